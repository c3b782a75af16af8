/*
 * Handlers for the HTTP door: /held keeps its exchange for the test to answer, /echo gives its body
 * back, /much writes as long as it may, /shout speaks another protocol.
 */
#ifndef TESTS_UNIT_HTTP_HANDLERS_H
#define TESTS_UNIT_HTTP_HANDLERS_H

#include "http_door.h"

enum { BODY_MOST = 100 * 1024, MUCH = 32 * 1024 * 1024 };

static struct exchange *held;
static int begun, gone;
static size_t left_to_write;
static const char *refusal;

static void on_held(struct exchange *exchange, void *context)
{
    cr_assert_eq(exchange_context(exchange), context);
    cr_assert_null(exchange_owner(exchange));
    cr_assert(exchange_is_local(exchange));
    cr_assert_str_eq(exchange_handler(exchange)->path, "/held");
    exchange_set_owner(exchange, &held);
    held = exchange;
    begun++;
}

static void on_gone(struct exchange *exchange)
{
    cr_assert_eq(exchange, held);
    cr_assert_eq(exchange_owner(exchange), &held);
    held = NULL;
    gone++;
}

static void on_echo(struct exchange *exchange, void *context)
{
    begun++;
    exchange_answer(exchange, 200, "text/plain", exchange_request(exchange)->body);
}

static void on_refuse(struct exchange *exchange, void *context)
{
    if (refusal != NULL)
        exchange_error(exchange, 401, "%s", refusal);
}

static void fill(struct exchange *exchange)
{
    static char piece[5000];

    memset(piece, 'p', sizeof(piece));
    while (left_to_write > 0 && exchange_queued(exchange) < EXCHANGE_ENOUGH) {
        size_t now = left_to_write < sizeof(piece) ? left_to_write : sizeof(piece);

        exchange_write(exchange, (struct slice){(uint8_t *)piece, now});
        left_to_write -= now;
    }
    if (left_to_write == 0)
        exchange_end(exchange);
}

static void on_much(struct exchange *exchange, void *context)
{
    left_to_write = MUCH;
    exchange_start(exchange, 200, "text/plain");
    fill(exchange);
}

static void on_upgrade(struct exchange *exchange, void *context)
{
    exchange_header_add(exchange, "X-Key", "k");
    exchange_upgrade(exchange, "shout");
    held = exchange;
}

static size_t on_shout(struct exchange *exchange, struct slice in)
{
    if (in.length % 2) /* words of two */
        in.length--;
    for (size_t i = 0; i < in.length; i++)
        exchange_write(exchange, (struct slice){(uint8_t[]){(uint8_t)(in.at[i] - 'a' + 'A')}, 1});
    if (in.length > 0 && in.at[in.length - 1] == 'z')
        exchange_end(exchange);
    return in.length;
}

static void on_shout_gone(struct exchange *exchange)
{
    gone++;
}

static const struct exchange_handler routes[] = {
    {.path = "/echo",
     .methods = EXCHANGE_POST,
     .body_most = BODY_MOST,
     .needs_body = true,
     .cors = true,
     .allow = "X-Mine, Authorization",
     .refuse = on_refuse,
     .begin = on_echo},
    {.path = "/held",
     .methods = EXCHANGE_GET | EXCHANGE_POST,
     .body_most = 100,
     .begin = on_held,
     .gone = on_gone},
    {.path = "/much", .methods = EXCHANGE_GET, .begin = on_much, .drained = fill, .gone = on_gone},
    {.path = "/shout",
     .methods = EXCHANGE_GET,
     .begin = on_upgrade,
     .bytes = on_shout,
     .gone = on_shout_gone},
};

static void give_routes(struct http_options *to)
{
    to->routes = routes;
    to->routes_length = COUNT_OF(routes);
}

static int who_asks(const char *request)
{
    int fd = a_client();

    says(fd, request);
    for (int i = 0; i < PATIENCE_MS && held == NULL; i++)
        turn();
    cr_assert_not_null(held);
    return fd;
}

static inline void waits_until_gone(int count)
{
    for (int i = 0; i < PATIENCE_MS && gone < count; i++)
        turn();
    cr_assert_eq(gone, count);
}

static inline void does_not_hear(const char *part)
{
    cr_assert_null(strstr(heard, part), "%s is in: %s", part, heard);
}

#endif
