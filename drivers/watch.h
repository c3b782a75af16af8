/*
 * drivers/watch.h - watches a socket while a connection is made over it.
 *
 *      watch = watch_start(loop, PQsocket(conn), UV_READABLE, login, ready);
 *      ... ready(login)                    and there: watch_stop(watch), PQconnectPoll
 *
 * Who tries one address after another, as libpq does by itself, closes a socket and opens
 * another, often under the same number. So each poll is watched by a handle of its own.
 * A broken socket is ready, too: the next call on it will say what is wrong.
 *
 * Ownership: watch_start gives the watch, watch_stop takes it, and ready is not called
 * after that. The socket may be closed from then on.
 */
#ifndef DRIVERS_WATCH_H
#define DRIVERS_WATCH_H

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
