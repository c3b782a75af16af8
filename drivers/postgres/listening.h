/*
 * drivers/postgres/listening.h - a connection to PostgreSQL that only listens.
 *
 *      listening = listening_open(loop, &target, "UTF8", &events, owner);   ... events.opened
 *      listening_ask(listening, "LISTEN \"news\"");                         ... events.answered
 *                                                                           ... events.notified
 *      listening_close(listening);
 *
 *      opening --> idle <--> asking        and from anywhere: lost
 *
 * No client's bytes pass here, so libpq keeps the connection and reads it, without blocking.
 * An answer is also a barrier: whatever was committed before it was asked for has been
 * notified when it is told (PostgreSQL reads its queue of notifications between commands).
 *
 * Events come from the loop, never from inside a function here. events.lost comes at most
 * once and leaves only listening_close to be called. No deadline here: whoever opened it
 * closes it.
 *
 * Ownership: listening_open gives the connection, listening_close takes it; also from
 * inside an event.
 */
#ifndef DRIVERS_POSTGRES_LISTENING_H
#define DRIVERS_POSTGRES_LISTENING_H

#include <uv.h>

#include "base/contract.h"
#include "base/err.h"
#include "drivers/postgres/login.h"

struct listening;

struct listening_events {
    void (*opened)(void *owner);
    /* why is the server's error, and NULL if there was none. */
    void (*answered)(void *owner, const char *why);
    /* pid is that of the server process that sent it. Strings are lent. */
    void (*notified)(void *owner, int pid, const char *channel, const char *payload);
    void (*lost)(void *owner, const char *why);
};

/* encoding: what channels and payloads are to be written in; letters and digits only. NULL
 * for want of memory. */
struct listening *listening_open(uv_loop_t *loop, const struct login_target *target,
                                 const char *encoding, const struct listening_events *events,
                                 void *owner) MUST_CHECK;

/* One at a time. On failure nothing was asked, and the connection is of no use. */
enum err listening_ask(struct listening *listening, const char *sql) MUST_CHECK;

void listening_close(struct listening *listening);

#endif
