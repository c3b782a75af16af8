/*
 * drivers/postgres/watch.h - watches a socket for libpq, which says for what.
 *
 *      watch = watch_start(loop, PQsocket(conn), UV_READABLE, login, ready);
 *      ... ready(login)                    and there: watch_stop(watch), PQconnectPoll
 *
 * libpq closes a socket and opens another when it tries the next address, often under the
 * same number. So each poll is watched by a handle of its own.
 *
 * Ownership: watch_start gives the watch, watch_stop takes it, and ready is not called
 * after that. libpq may close the socket from then on.
 */
#ifndef DRIVERS_POSTGRES_WATCH_H
#define DRIVERS_POSTGRES_WATCH_H

#include <uv.h>

#include "base/contract.h"

struct watch;
typedef void watch_ready(void *owner);

/* NULL if the socket cannot be watched. events are those of uv_poll. */
struct watch *watch_start(uv_loop_t *loop, int fd, int events, void *owner,
                          watch_ready *ready) MUST_CHECK;

/* NULL is stopped already. */
void watch_stop(struct watch *watch);

#endif
