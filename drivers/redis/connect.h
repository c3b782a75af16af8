/*
 * drivers/redis/connect.h - connects to Redis and logs in, without blocking the loop.
 *
 *      connect = connect_start(loop, &target, owner, done);
 *      ... done(owner, &result)            once, from the loop; connect is gone
 *      connect_stop(connect);              instead, when nobody wants it any more
 *
 *      preparing (resolves the name and reads the certificates, on libuv's threads)
 *        --> connecting (one address after another) --> securing (TLS, for rediss://)
 *        --> greeting (AUTH, CLIENT SETNAME, SELECT, HELLO: see greeting.h) --> done
 *
 * What went wrong is told in three ways: an enum err for those who decide, a sentence for the
 * log, and, if Redis has answered with an error, that error as it was, so that a client can
 * be given Redis's own words. A refusal of one address is no failure while there is another;
 * a failure after that is one, and no further address is tried.
 *
 *      err                    when                                            reply
 *      ERR_BACKEND_DOWN       resolving, connecting, TLS, a certificate
 *      ERR_BACKEND_DOWN       Redis is not ready: LOADING, too many clients   yes
 *      ERR_BACKEND_LOST       it closed the connection while we logged in
 *      ERR_PROTOCOL           it sent something else than the answers
 *      ERR_CONFIG             certificates or key of ours cannot be used
 *      ERR_WRONG_PASSWORD     AUTH was refused                                yes
 *      ERR_NO_ENTRY           NOAUTH (see anonymous), NOPERM, DENIED          yes
 *      ERR_NO_DATABASE        SELECT was refused                              yes
 *      ERR_NOT_SUPPORTED      HELLO 3 was refused: RESP3 is not known there   yes
 *      ERR_NO_MEMORY
 *
 * Redis lets those log in for whom it is still LOADING, and tells it to their commands; so here
 * it is a failure only where AUTH, SELECT or HELLO is answered with it.
 *
 * No deadline here: whoever started it stops it. One address that does not answer uses up
 * all of that time, as with libpq.
 *
 * Ownership: the target is lent for connect_start; the strings of the result for done. fd and
 * ssl are given: hand them to stream_adopt() or stream_adopt_tls(), and after events.closed,
 * SSL_free(ssl). fd does not block, and has TCP_NODELAY and the target's keepalive; ssl, which
 * is NULL without TLS, uses fd itself. Nothing unread waits in either.
 * SIGPIPE must be ignored, as for every stream under TLS.
 */
#ifndef DRIVERS_REDIS_CONNECT_H
#define DRIVERS_REDIS_CONNECT_H

#include <openssl/types.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "drivers/peer.h"
#include "drivers/redis/url.h"

/* Where to, and as whom. */
struct connect_target {
    const struct url *url;
    struct slice user, password; /* with password.at they replace the url's two, user.at being
                                  * NULL for Redis's default user; any bytes are allowed */
    bool anonymous;              /* as nobody, whatever the url says; a Redis that wants a password
                                  * is no failure then, but for another database or RESP3 */
    int database;                /* -1: the url's */
    int protocol;                /* 2 or 3 */
    struct slice client_name;    /* for CLIENT LIST; empty: none. Redis may refuse it */
    struct peer_keepalive keepalive;
};

/* As REDISMODULE's: 7.0.15 is CONNECT_VERSION(7, 0, 15). */
#define CONNECT_VERSION(major, minor, patch) ((major) << 16 | (minor) << 8 | (patch))

struct connect_result {
    enum err err;      /* ERR_OK: logged in */
    int fd;            /* Gives; -1 if it failed */
    SSL *ssl;          /* Gives; NULL without TLS, and if it failed */
    unsigned version;  /* of the server; 0 if it does not say, as before Redis 6 */
    const char *why;   /* a sentence with the server's address; NULL if logged in */
    const char *reply; /* Redis's error without its '-', if it was that; else NULL */
};

struct connect;
typedef void connect_done(void *owner, const struct connect_result *result);

/* Gives a connection in the making; NULL for want of memory. */
struct connect *connect_start(uv_loop_t *loop, const struct connect_target *target, void *owner,
                              connect_done *done) MUST_CHECK;
void connect_stop(struct connect *connect);

#endif
