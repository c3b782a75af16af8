/*
 * drivers/postgres/relay_defer.h - transactions that no server knows of yet; a relay's (relay.h).
 *
 *      client   BEGIN                 SELECT ...                            COMMIT
 *      weir           BEGIN, ready T             (takes a server)
 *      server                         BEGIN (ours); SELECT ...
 *
 * Between BEGIN and the first real statement an application may take its time: no server need
 * wait for it. A Query that is nothing but a BEGIN is answered here, and its text goes ahead of
 * what follows, in the same write; so is one that ends a transaction in which nothing happened.
 * If a transaction is canceled before it has come to a server, it has failed, and says so until
 * it is ended, as PostgreSQL would.
 *
 * What PostgreSQL decides when a transaction begins (now(), its snapshot) is decided by its first
 * statement.
 */
#ifndef DRIVERS_POSTGRES_RELAY_DEFER_H
#define DRIVERS_POSTGRES_RELAY_DEFER_H

#include "drivers/postgres/relay_parts.h"

/* The client has no server, and a whole message for one. True: it was answered here. */
bool relay_defer_answers(struct relay_sent *sent, struct slice message, struct relay_plan *plan);

/* The client has got its server, which is to know of its transaction. */
void relay_defer_begin(struct relay *relay, struct relay_sent *sent, struct relay_plan *plan);

#endif
