/*
 * The HTTP door and its clients in one thread: who waits for something lets the loop turn.
 *
 *      given_a_door();
 *      fd = a_client();
 *      says(fd, "GET / HTTP/1.1\r\n\r\n");
 *      hears(fd, "ok");
 *
 * Who includes this has a table `routes`.
 */
#ifndef TESTS_UNIT_HTTP_DOOR_H
#define TESTS_UNIT_HTTP_DOOR_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clean_end.h"
#include "proxy/fronts/http/http.h"

enum { PATIENCE_MS = 10000, BIG = 4 * 1024 * 1024 };

static uv_loop_t loop;
static struct stream_home home;
static struct log a_log;
static struct http http;
static struct http_options options;
static bool door_is_closed;

static char *heard; /* all that the last client heard */
static size_t heard_length;

/* Of whoever includes this. */
static void give_routes(struct http_options *to);

static void set_up(void)
{
    struct log_options quiet = {.level = LOG_LEVEL_FATAL};

    heard = malloc(2 * BIG);
    cr_assert_eq(log_open(&a_log, &quiet), ERR_OK);
    cr_assert_eq(uv_loop_init(&loop), 0);
    cr_assert_eq(stream_home_init(&home, &loop), ERR_OK);
    options = (struct http_options){.home = &home, .log = &a_log, .context = &loop};
    give_routes(&options);
}

static void on_door_closed(struct http *closed)
{
    cr_assert_eq(closed, &http);
    door_is_closed = true;
}

/* Whatever a test left open, the door must close. */
static void clean_up(void)
{
    http_close(&http, on_door_closed);
    cr_assert_not(door_is_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    if (!door_is_closed || uv_loop_close(&loop) != 0)
        abort();
    stream_home_fini(&home);
    log_close(&a_log);
    free(heard);
    clean_end();
}

static void given_a_door(void)
{
    cr_assert_eq(http_open(&http, &options, "127.0.0.1", 0), ERR_OK);
    cr_assert_neq(http_port(&http), 0);
}

static int a_client(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(http_port(&http))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    return fd;
}

static void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    poll(NULL, 0, 1);
}

static void says_bytes(int fd, const char *at, size_t length)
{
    for (int waited = 0; length > 0 && waited < PATIENCE_MS; waited++) {
        ssize_t sent = send(fd, at, length, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0 && (errno == ECONNRESET || errno == EPIPE))
            return;
        at += sent > 0 ? sent : 0;
        length -= sent > 0 ? (size_t)sent : 0;
        turn();
    }
    cr_assert_eq(length, 0);
}

static void says(int fd, const char *text)
{
    says_bytes(fd, text, strlen(text));
}

/* Hears until the door has closed the connection, or nothing came for long enough. */
static bool hears_for(int fd, int quiet_ms)
{
    ssize_t got = -1;
    int quiet = 0;

    heard_length = 0;
    while (quiet < quiet_ms) {
        turn();
        got = recv(fd, heard + heard_length, 2 * BIG - 1 - heard_length, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            break;
        quiet = got > 0 ? 0 : quiet + 1;
        heard_length += got > 0 ? (size_t)got : 0;
    }
    heard[heard_length] = '\0';
    return got == 0;
}

static void is_closed_after(int fd, const char *status_line)
{
    cr_assert(hears_for(fd, PATIENCE_MS), "the door does not close; heard: %s", heard);
    cr_assert_eq(strncmp(heard, status_line, strlen(status_line)), 0, "heard: %s", heard);
    close(fd);
}

static void hears(int fd, const char *part)
{
    for (int i = 0; i < PATIENCE_MS / 20; i++) {
        cr_assert_not(hears_for(fd, 20), "closed after: %s", heard);
        if (heard_length > 0)
            break;
    }
    cr_assert_not_null(strstr(heard, part), "%s is not in: %s", part, heard);
}

/* A client hears the end when all was said; the door may still be waiting for its. */
static void nobody_is_left(void)
{
    for (int i = 0; i < PATIENCE_MS && http.connections[HTTP_VACANT].length < http.slots_used; i++)
        turn();
    cr_assert_eq(http.connections[HTTP_VACANT].length, http.slots_used);
    cr_assert_eq(http.gathered, 0);
}

#endif
