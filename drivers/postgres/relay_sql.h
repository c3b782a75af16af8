/*
 * drivers/postgres/relay_sql.h - prepared statements by the name that SQL gives them: PREPARE,
 * EXECUTE, DEALLOCATE and DISCARD in a text; a relay's (relay.h), for relay_names.c.
 *
 *      if (relay_sql_is_text(message) && !relay_sql_see(relay, message, plan, &naming))
 *          return false;                          not yet: more of it must come, or answers
 *
 * SQL cannot be renamed as a Bind can, so the server is made to call by that name what the client
 * does, and nothing if the client does not: others may have used it for something else. Where a
 * text may execute something and does not clearly say what (EXPLAIN EXECUTE, several statements,
 * DO), the server first forgets all that is not the client's own.
 */
#ifndef DRIVERS_POSTGRES_RELAY_SQL_H
#define DRIVERS_POSTGRES_RELAY_SQL_H

#include "drivers/postgres/relay_parts.h"

/* Whether a message is a Query, or a Parse without a name. */
bool relay_sql_is_text(struct slice message);
bool relay_sql_see(struct relay *relay, struct slice message, struct relay_plan *plan,
                   struct relay_naming *naming) MUST_CHECK;

#endif
