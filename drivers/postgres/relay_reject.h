/*
 * drivers/postgres/relay_reject.h - session_state = reject: what would leave something in the
 * session is not executed; a relay's (relay.h), for relay_from_client.c.
 *
 * In its place the server gets a statement that fails: so the error comes where the answer would,
 * and a transaction has failed as if PostgreSQL itself did not allow it. A text too long to
 * be held back is read while it passes; its server never gets its end.
 */
#ifndef DRIVERS_POSTGRES_RELAY_REJECT_H
#define DRIVERS_POSTGRES_RELAY_REJECT_H

#include "drivers/postgres/relay_parts.h"

enum relay_reject { RELAY_REJECT_NOT, RELAY_REJECT_NOT_YET, RELAY_REJECT_IT };

/* In that mode: looks at the next message, as much of it as there is. RELAY_REJECT_IT: *message has
 * become what is sent instead; lent until the next call. */
enum relay_reject relay_reject_see(struct relay *relay, struct slice *message,
                                   const struct relay_plan *plan) MUST_CHECK;

#endif
