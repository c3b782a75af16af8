/*
 * tests/unit/pool_words.h - the words in which stories about the pool are told.
 *
 *      given_a_pool_of(1);
 *      asks(&ana);
 *      orders_are("open s0");
 *
 * There is no network and no clock; at() is the time.
 */
#ifndef TESTS_UNIT_POOL_WORDS_H
#define TESTS_UNIT_POOL_WORDS_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "pool/pool.h"

/* ---- the words --------------------------------------------------------------------------- */

static struct pool *pool;
static uint64_t now;
static struct pool_client ana, bob, eve;
static struct pool_server *s[4];
static struct pool_limits limits;

static void set_out(void)
{
    limits = (struct pool_limits){
        .max_servers = 1,
        .wait_ms = 1000,
        .open_ms = 300,
        .clean_ms = 200,
        .idle_ms = 60000,
        .retry_ms = 500,
    };
    now = 0;
}

static void clear_away(void)
{
    free(pool);
    clean_end();
}

TestSuite(pool, .init = set_out, .fini = clear_away);

static void given_the_pool(void)
{
    pool = pool_create(&limits);
    cr_assert_not_null(pool);
}

static void given_a_pool_of(size_t size)
{
    limits.max_servers = size;
    given_the_pool();
}

static const char *name_of(const struct pool_client *client)
{
    return client == &ana ? "ana" : client == &bob ? "bob" : "eve";
}

static void put_in_words(char *to, size_t size, const struct pool_order *order)
{
    static const char *const verbs[] = {"open", "grant", "clean", "close", "refuse"};
    size_t number = order->server ? pool_server_number(pool, order->server) : 0;

    if (order->server != NULL)
        s[number] = order->server;
    if (order->kind == POOL_ORDER_REFUSE)
        snprintf(to, size, "refuse %s: %s; ", name_of(order->client), err_sqlstate(order->why));
    else if (order->kind == POOL_ORDER_GRANT)
        snprintf(to, size, "grant s%zu to %s; ", number, name_of(order->client));
    else
        snprintf(to, size, "%s s%zu; ", verbs[order->kind], number);
}

static void orders_are(const char *expected)
{
    char told[512] = "";
    struct pool_order order;

    while (pool_next_order(pool, &order))
        put_in_words(told + strlen(told), sizeof(told) - strlen(told), &order);
    if (told[0] != '\0')
        told[strlen(told) - 2] = '\0';
    cr_assert_str_eq(told, expected, "at %llu ms: \"%s\", not \"%s\"", (unsigned long long)now,
                     told, expected);
}

static void at(uint64_t ms)
{
    now = ms;
    pool_tick(pool, now);
}

static void asks(struct pool_client *client)
{
    cr_assert_eq(pool_ask(pool, client, now), ERR_OK);
}

static void returns(struct pool_client *client, enum pool_leftovers left)
{
    pool_return(pool, client, left, now);
}

static void opened(size_t i)
{
    pool_opened(pool, s[i], now);
}

static void lost(size_t i)
{
    pool_lost(pool, s[i], now);
}

static void given_ana_has_one_of(size_t size)
{
    given_a_pool_of(size);
    asks(&ana);
    orders_are("open s0");
    opened(0);
    orders_are("grant s0 to ana");
}

#endif
