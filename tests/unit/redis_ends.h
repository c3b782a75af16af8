/*
 * tests/unit/redis_ends.h - a connection in the making, and what it takes for a Redis.
 *
 *      listens(AF_INET);                       the peer: a listener of ours
 *      starts("redis://:pw@127.0.0.1:%u/1");   %u: the peer's port
 *      until(peer_heard("SELECT"));            both sides go on meanwhile
 *      peer_says("+OK\r\n");
 *      until(is_done());
 *      ... result
 *
 * One thread, one loop: until() turns the loop, lets the peer accept, shake hands and read,
 * and waits for either in between. The peer speaks TLS if peer_context is set.
 */
#ifndef TESTS_UNIT_REDIS_ENDS_H
#define TESTS_UNIT_REDIS_ENDS_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/redis/connect.h"
#include "folder.h"

static const uint64_t patience = (uint64_t)60 * 1000 * 1000 * 1000;

static uv_loop_t loop;
static struct connect *connection;
static struct connect_result result; /* its texts are in why and reply */
static char why[2048], reply[1024];
static unsigned done_count;

static int listener = -1, peer_fd = -1;
static unsigned port;
static struct bytes heard; /* by the peer */
static bool peer_is_deaf, peer_heard_end;
static SSL_CTX *peer_context;
static SSL *peer;

/* ---- the owner --------------------------------------------------------------------------- */

static void on_done(void *owner, const struct connect_result *of)
{
    cr_assert_eq(owner, &result);
    result = *of;
    snprintf(why, sizeof(why), "%s", of->why != NULL ? of->why : "");
    snprintf(reply, sizeof(reply), "%s", of->reply != NULL ? of->reply : "");
    connection = NULL;
    done_count++;
}

/* What the target says about the url is set by the story. */
static inline void starts_to(struct connect_target *target, const char *format)
{
    char text[512];
    struct url url;

    snprintf(text, sizeof(text), format, port);
    cr_assert_eq(url_parse(text, &url, why, sizeof(why)), ERR_OK, "%s: %s", text, why);
    target->url = &url;
    connection = connect_start(&loop, target, &result, on_done);
    url_free(&url); /* lent for the call, and no longer */
    cr_assert_eq(done_count, 0, "not from inside connect_start");
}

static inline void starts(const char *format)
{
    struct connect_target target = {.database = -1, .protocol = 2};

    starts_to(&target, format);
    cr_assert_not_null(connection);
}

/* ---- the peer ---------------------------------------------------------------------------- */

static inline void listens_at(const struct sockaddr *address, socklen_t length, int backlog)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
    } own;
    socklen_t own_length = sizeof(own);

    listener = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(listener, address, length), 0);
    cr_assert_eq(listen(listener, backlog), 0);
    cr_assert_eq(getsockname(listener, &own.any, &own_length), 0);
    port = address->sa_family == AF_INET ? ntohs(own.in.sin_port) : 0;
}

static inline void listens(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    listens_at((struct sockaddr *)&address, sizeof(address), 10);
}

/* In the folder of the test. */
static inline void listens_at_path(const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    listens_at((struct sockaddr *)&address, sizeof(address), backlog);
}

/* Nobody listens at port any more. */
static inline void stops_to_listen(void)
{
    close(listener);
    listener = -1;
}

static inline void peer_closes(void)
{
    SSL_free(peer);
    peer = NULL;
    if (peer_fd >= 0)
        close(peer_fd);
    peer_fd = -1;
}

static inline ssize_t peer_takes(uint8_t *to, size_t size)
{
    int got;

    if (peer == NULL)
        return recv(peer_fd, to, size, 0);
    ERR_clear_error();
    errno = EAGAIN;
    got = SSL_is_init_finished(peer) ? 1 : SSL_accept(peer);
    if (got == 1)
        got = SSL_read(peer, to, (int)size);
    if (got <= 0 && SSL_get_error(peer, got) != SSL_ERROR_WANT_READ)
        return 0;
    return got > 0 ? got : -1;
}

static inline void peer_goes_on(void)
{
    uint8_t part[65536];
    ssize_t got;

    if (peer_fd < 0 && listener >= 0) {
        peer_fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (peer_fd >= 0 && peer_context != NULL) {
            peer = SSL_new(peer_context);
            SSL_set_fd(peer, peer_fd);
        }
    }
    if (peer_fd < 0 || peer_is_deaf || peer_heard_end)
        return;
    while ((got = peer_takes(part, sizeof(part))) > 0)
        bytes_add(&heard, part, (size_t)got);
    peer_heard_end = got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static inline void peer_says_bytes(const void *at, size_t length)
{
    if (peer != NULL)
        cr_assert_eq(SSL_write(peer, at, (int)length), (int)length);
    else
        cr_assert_eq(send(peer_fd, at, length, MSG_NOSIGNAL), (ssize_t)length);
}

static inline void peer_says(const char *text)
{
    peer_says_bytes(text, strlen(text));
}

static inline bool peer_heard(const char *text)
{
    return heard.length > 0 && memmem(heard.at, heard.length, text, strlen(text)) != NULL;
}

/* ---- both -------------------------------------------------------------------------------- */

static inline bool is_done(void)
{
    return done_count > 0;
}

/* Both go on, and then wait for whatever comes first. */
static inline void turn(void)
{
    struct pollfd fds[] = {{uv_backend_fd(&loop), POLLIN, 0},
                           {peer_fd >= 0 ? peer_fd : listener, POLLIN, 0}};
    int most = uv_backend_timeout(&loop);

    if (peer_is_deaf || peer_heard_end)
        fds[1].fd = -1;
    poll(fds, 2, most < 0 || most > 10 ? 10 : most);
    uv_run(&loop, UV_RUN_NOWAIT);
    peer_goes_on();
}

/* The condition may have effects: once true, it is not looked at again. */
#define until(condition)                                                                           \
    do {                                                                                           \
        uint64_t until_start = uv_hrtime();                                                        \
        bool until_met;                                                                            \
                                                                                                   \
        while (!(until_met = (condition)) && uv_hrtime() - until_start < patience)                 \
            turn();                                                                                \
        cr_assert(until_met, "%s", why);                                                           \
    } while (0)

static inline void set_up(void)
{
    signal(SIGPIPE, SIG_IGN);
    folder_enter();
    cr_assert_eq(uv_loop_init(&loop), 0);
}

static inline void clean_up(void)
{
    if (connection != NULL)
        connect_stop(connection);
    uv_run(&loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop) != 0 || done_count > 1)
        abort();
    SSL_free(result.ssl);
    if (done_count > 0 && result.fd >= 0)
        close(result.fd);
    peer_closes();
    SSL_CTX_free(peer_context);
    if (listener >= 0)
        close(listener);
    bytes_free(&heard);
    folder_leave(); /* looks for leaks, too */
}

/* ---- stories of several ------------------------------------------------------------------ */

static inline void fails(enum err e, const char *expected)
{
    until(is_done());
    cr_assert_eq(result.err, e, "%s: %s", err_text(result.err), why);
    cr_assert(strstr(why, expected) != NULL, "%s", why);
    cr_assert_eq(result.fd, -1);
    cr_assert_null(result.ssl);
    if (peer_fd >= 0) {
        peer_is_deaf = false;
        until(peer_heard_end);
    }
}

#endif
