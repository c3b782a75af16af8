/*
 * drivers/postgres/relay_repeat.h - "cached plan must not change result type"; a relay's (relay.h).
 *
 * A statement that was prepared on a server before a table has changed fails there for ever (trap
 * 48), and its client cannot help it. So from then on no server's plans are relied on: each is made
 * anew when it is used next. And the batch is kept that begins with a Bind or Describe of a
 * statement, outside of any transaction: if that is refused, nothing of it has been executed, and
 * it is sent again. Only if it describes what it asks for: else its client would read new rows as
 * it has learned to read the old ones, and must be told, as PostgreSQL itself would tell it.
 *
 *      NOTHING --> RECORDED --> COMPLETE --> WANTED --> DUE --> AGAIN --> NOTHING
 *                  the Bind     its Sync     refused    ready   sent again
 *
 * Only while nothing was sent behind it: the order of what a client asks for never changes.
 */
#ifndef DRIVERS_POSTGRES_RELAY_REPEAT_H
#define DRIVERS_POSTGRES_RELAY_REPEAT_H

#include "drivers/postgres/relay_parts.h"

enum relay_repeat_state {
    RELAY_REPEAT_NOTHING,
    RELAY_REPEAT_RECORDED,
    RELAY_REPEAT_COMPLETE,
    RELAY_REPEAT_WANTED,
    RELAY_REPEAT_DUE,
    RELAY_REPEAT_AGAIN,
};

/* The client begins the first message in ahead, which is all that has come of it. alone: nothing
 * that it has asked for before is under way. */
void relay_repeat_begin(struct relay *relay, struct slice ahead, bool alone);

/* The server says an error; if it is the one, the client does not see it. */
void relay_repeat_see_error(struct relay *relay, struct slice error);

/* The batch is over that is to be sent again. */
void relay_repeat_ready(struct relay *relay, struct relay_plan *plan);

/* Whether what the server says now is about that batch. */
static inline bool relay_repeat_hides(const struct relay *relay)
{
    return relay->record.state == RELAY_REPEAT_WANTED;
}

/* Whether the client must wait for that. */
static inline bool relay_repeat_holds(const struct relay *relay)
{
    return relay->record.state == RELAY_REPEAT_WANTED || relay->record.state == RELAY_REPEAT_DUE;
}

#endif
