/*
 * Any order of events, and what must be true after each. Two bytes are an event: what
 * happens, and to whom. What the contract forbids is left out.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "pool/pool.h"

enum { SERVERS = 3, CLIENTS = 6 };

struct world {
    struct pool *pool;
    uint64_t now;
    struct pool_server *servers[SERVERS]; /* NULL: VACANT */
    enum pool_order_kind doing[SERVERS];
    struct pool_client clients[CLIENTS];
};

static void take_orders(struct world *w)
{
    struct pool_order order;

    while (pool_next_order(w->pool, &order)) {
        if (order.kind == POOL_ORDER_REFUSE) {
            REQUIRE(order.client->server == NULL && order.why != ERR_OK);
            continue;
        }
        size_t i = pool_server_number(w->pool, order.server);
        w->servers[i] = order.server;
        w->doing[i] = order.kind;
        REQUIRE(order.kind != POOL_ORDER_GRANT || order.client->server == order.server);
        REQUIRE(order.kind != POOL_ORDER_OPEN || order.client == NULL || order.client->own);
        REQUIRE(order.kind != POOL_ORDER_GRANT || !order.client->own || order.idle_ms == 0);
    }
}

static void client_acts(struct world *w, struct pool_client *client, unsigned how)
{
    uint64_t since;

    if (client->server != NULL &&
        pool_server_state(client->server, &since) == POOL_SERVER_OPENING) {
        if (how & 1)
            pool_give_up(w->pool, client, w->now);
    } else if (client->server != NULL) {
        pool_return(w->pool, client, (enum pool_leftovers)(how % 3), w->now);
    } else if (link_is_linked(&client->queued)) {
        pool_give_up(w->pool, client, w->now);
    } else {
        client->hasty = how & 1;
        client->own = (how & 6) == 6;
        if (pool_ask(w->pool, client, w->now) != ERR_OK)
            REQUIRE(!link_is_linked(&client->queued));
    }
}

static void server_acts(struct world *w, size_t i, unsigned how)
{
    struct pool_server *server = w->servers[i];
    uint64_t since;

    if (server == NULL)
        return;
    if (w->doing[i] == POOL_ORDER_OPEN && how % 2) {
        pool_opened(w->pool, server, w->now);
    } else if (w->doing[i] == POOL_ORDER_CLEAN && how % 2) {
        pool_cleaned(w->pool, server, w->now);
    } else if (pool_server_state(server, &since) == POOL_SERVER_LEASED && how % 4 == 1) {
        w->servers[i] = NULL;
        pool_withdraw(w->pool, server, w->now);
    } else {
        w->servers[i] = NULL;
        pool_lost(w->pool, server, w->now);
    }
    w->doing[i] = POOL_ORDER_GRANT; /* nothing is asked of it */
}

static void check(const struct world *w)
{
    size_t total = 0, held = 0, waiting = 0;
    uint64_t since;

    for (unsigned state = 0; state < POOL_SERVER_STATE_COUNT; state++)
        total += pool_count(w->pool, (enum pool_server_state)state);
    for (size_t i = 0; i < CLIENTS; i++) {
        const struct pool_client *client = &w->clients[i];

        held += client->server != NULL &&
                pool_server_state(client->server, &since) == POOL_SERVER_LEASED;
        waiting += link_is_linked(&client->queued) && !client->own;
    }
    REQUIRE(total == SERVERS);
    REQUIRE(held == pool_count(w->pool, POOL_SERVER_LEASED));
    REQUIRE(waiting == 0 || pool_count(w->pool, POOL_SERVER_IDLE) == 0);
    REQUIRE(pool_waiting(w->pool) == 0 || pool_next_deadline(w->pool) != UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool_limits limits = {
        .max_servers = SERVERS,
        .max_waiting = CLIENTS - 1,
        .wait_ms = 50,
        .open_ms = 40,
        .clean_ms = 30,
        .idle_ms = 200,
        .lifetime_ms = 300,
        .retry_ms = 10,
    };
    struct world w = {0};

    if (size < 1)
        return 0;
    limits.min_servers = data[0] % (SERVERS + 1);
    limits.single_use = (data[0] & 0x10) != 0;
    w.pool = pool_create(&limits);
    for (size_t i = 1; w.pool != NULL && i + 1 < size; i += 2) {
        unsigned whom = data[i] >> 2, how = data[i + 1];

        switch (data[i] & 3) {
        case 0:
        case 1:
            client_acts(&w, &w.clients[whom % CLIENTS], how);
            break;
        case 2:
            server_acts(&w, whom % SERVERS, how);
            break;
        case 3:
            if (how >= 0xf8)
                pool_renew(w.pool, w.now);
            take_orders(&w);
            pool_tick(w.pool, w.now += how % 64);
            break;
        }
        take_orders(&w);
        check(&w);
    }
    free(w.pool); /* in mid-story, so not by pool_destroy() */
    return 0;
}
