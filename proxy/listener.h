/*
 * proxy/listener.h - where clients come in: TCP addresses and Unix sockets.
 *
 *      listener_init(&listeners, loop, &options, owner, on_connection);
 *      listener_open_tcp(&listeners, "0.0.0.0", 6432, why)
 *      ... on_connection(owner, handle)         accept it from handle
 *      listener_close_all(&listeners);
 *
 * When descriptors run out, libuv accepts and closes what waits, so that clients hear at
 * once and those that are connected go on undisturbed.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include <stdint.h>
#include <uv.h>

#include "base/contract.h"
#include "base/err.h"
#include "base/list.h"

typedef void listener_connection(void *owner, uv_stream_t *listener);

struct listener_options {
    int backlog;
    unsigned unix_mode;
};

struct listeners {
    uv_loop_t *loop;
    struct list open;
    struct listener_options options;
    void *owner;
    listener_connection *on_connection;
};

void listener_init(struct listeners *listeners, uv_loop_t *loop,
                   const struct listener_options *options, void *owner,
                   listener_connection *on_connection);

/* address: an IP address, "*" for all, or a name. On failure why says what of it failed. */
enum err listener_open_tcp(struct listeners *listeners, const char *address, unsigned port,
                           char why[256]) MUST_CHECK;

/* A socket of that name; what a crashed predecessor left there is replaced. */
enum err listener_open_unix(struct listeners *listeners, const char *path,
                            char why[256]) MUST_CHECK;

/* No new connections. Unix sockets are removed. */
void listener_close_all(struct listeners *listeners);

#endif
