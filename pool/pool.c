#include "pool/pool.h"

#include <stdlib.h>

#define B(state) (1u << POOL_SERVER_##state)
#define NEVER    UINT64_MAX

static const unsigned may_become[POOL_SERVER_STATE_COUNT] = {
#define X(state, next, meaning) [POOL_SERVER_##state] = next,
    POOL_SERVER_STATES(X)
#undef X
};

const char *const pool_server_state_names[POOL_SERVER_STATE_COUNT] = {
#define X(state, ...) #state,
    POOL_SERVER_STATES(X)
#undef X
};

struct pool_server {
    enum pool_server_state state;
    struct link link;           /* in pool->servers[state]: the state is the list */
    struct link ordered;        /* in pool->orders */
    struct pool_order order;    /* the last one given to it */
    struct pool_client *client; /* who holds it, while LEASED */
    uint64_t since;             /* when it came into its state */
    uint64_t expires;           /* when it is too old for another client */
    bool opened;                /* its connection was once ready */
    void *connection;
};

struct pool {
    struct pool_limits limits;
    struct list servers[POOL_SERVER_STATE_COUNT]; /* front: longest in the state */
    struct list waiting;                          /* front: longest wait */
    struct list orders;
    struct list refusals;
    uint64_t due;           /* nothing can be overdue before */
    uint64_t open_again_at; /* the end of the pause after a failed opening */
    uint64_t jitter;
    bool asked, failing, retiring;
    struct pool_server slots[]; /* limits.max_servers of them */
};

/* ---- time -------------------------------------------------------------------------------- */

/* A limit of 0 is no limit, and adding must not wrap around. */
static uint64_t after(uint64_t since, uint64_t limit_ms)
{
    return limit_ms == 0 || since > NEVER - limit_ms ? NEVER : since + limit_ms;
}

/* Deadlines only come nearer here; pool_tick finds out exactly. So a deadline costs one
 * comparison where it arises, and asking for the next one costs nothing. */
static void due_at(struct pool *pool, uint64_t when)
{
    if (when < pool->due)
        pool->due = when;
}

static uint64_t limit_in(const struct pool *pool, enum pool_server_state state)
{
    switch (state) {
    case POOL_SERVER_OPENING:
        return pool->limits.open_ms;
    case POOL_SERVER_CLEANING:
        return pool->limits.clean_ms;
    case POOL_SERVER_IDLE:
        return pool->limits.idle_ms;
    case POOL_SERVER_VACANT:
    case POOL_SERVER_LEASED:
    case POOL_SERVER_CLOSING:
    case POOL_SERVER_STATE_COUNT:
        break;
    }
    return 0;
}

/* Up to a fifth of the lifetime less, so that servers opened together end apart. */
static uint64_t next_expiry(struct pool *pool, uint64_t now)
{
    uint64_t fifth = pool->limits.lifetime_ms / 5;

    pool->jitter = pool->jitter * 6364136223846793005u + 1442695040888963407u;
    return after(now, pool->limits.lifetime_ms) - (fifth > 0 ? (pool->jitter >> 33) % fifth : 0);
}

/* ---- moving a server from state to state ------------------------------------------------- */

static void move(struct pool *pool, struct pool_server *server, enum pool_server_state to,
                 uint64_t now)
{
    REQUIRE(may_become[server->state] & (1u << to));
    list_remove(&pool->servers[server->state], &server->link);
    list_push_back(&pool->servers[to], &server->link);
    server->state = to;
    server->since = now;
    due_at(pool, after(now, limit_in(pool, to)));
}

static struct pool_server *longest_in(const struct pool *pool, enum pool_server_state state)
{
    return LIST_FRONT(&pool->servers[state], struct pool_server, link);
}

static struct pool_server *last_into(const struct pool *pool, enum pool_server_state state)
{
    return LIST_BACK(&pool->servers[state], struct pool_server, link);
}

static struct pool_client *longest_waiting(const struct pool *pool)
{
    return LIST_FRONT(&pool->waiting, struct pool_client, queued);
}

/* Servers whose connection was ready once and may be again. */
static size_t alive(const struct pool *pool)
{
    return pool_count(pool, POOL_SERVER_IDLE) + pool_count(pool, POOL_SERVER_LEASED) +
           pool_count(pool, POOL_SERVER_CLEANING);
}

/* ---- giving orders ----------------------------------------------------------------------- */

static void give(struct pool *pool, struct pool_server *server, struct pool_order order)
{
    REQUIRE(!link_is_linked(&server->ordered));
    server->order = order;
    server->order.server = server;
    list_push_back(&pool->orders, &server->ordered);
}

static void open_one(struct pool *pool, uint64_t now)
{
    struct pool_server *server = longest_in(pool, POOL_SERVER_VACANT);

    server->opened = false;
    move(pool, server, POOL_SERVER_OPENING, now);
    give(pool, server, (struct pool_order){.kind = POOL_ORDER_OPEN});
}

static void grant(struct pool *pool, struct pool_server *server, struct pool_client *client,
                  uint64_t now)
{
    struct pool_order order = {
        .kind = POOL_ORDER_GRANT, .client = client, .idle_ms = now - server->since};

    REQUIRE(server->client == NULL && client->server == NULL);
    list_remove(&pool->waiting, &client->queued);
    server->client = client;
    client->server = server;
    move(pool, server, POOL_SERVER_LEASED, now);
    give(pool, server, order);
}

static void clean(struct pool *pool, struct pool_server *server, uint64_t now)
{
    move(pool, server, POOL_SERVER_CLEANING, now);
    give(pool, server, (struct pool_order){.kind = POOL_ORDER_CLEAN});
}

static void close_one(struct pool *pool, struct pool_server *server, enum err why, uint64_t now)
{
    move(pool, server, POOL_SERVER_CLOSING, now);
    give(pool, server, (struct pool_order){.kind = POOL_ORDER_CLOSE, .why = why});
}

static void refuse(struct pool *pool, struct pool_client *client, enum err why)
{
    list_remove(&pool->waiting, &client->queued);
    client->refusal = why;
    list_push_back(&pool->refusals, &client->queued);
}

static void refuse_the_hasty(struct pool *pool, enum err why)
{
    struct link *link = list_front(&pool->waiting), *next;

    for (; link != NULL; link = next) {
        struct pool_client *client = CONTAINER_OF(link, struct pool_client, queued);

        next = list_after(&pool->waiting, link);
        if (client->hasty)
            refuse(pool, client, why);
    }
}

/* No server is ready, and none is being opened that may yet be: one login refused says
 * nothing about those beside it (trap 20). */
static bool seems_down(const struct pool *pool)
{
    return alive(pool) == 0 && pool_count(pool, POOL_SERVER_OPENING) == 0;
}

/* ---- the rules --------------------------------------------------------------------------- */

/* Servers that will be free without anybody returning one. */
static size_t on_their_way(const struct pool *pool)
{
    return pool_count(pool, POOL_SERVER_OPENING) + pool_count(pool, POOL_SERVER_CLEANING);
}

static bool wants_another(const struct pool *pool)
{
    size_t open = pool->limits.max_servers - pool_count(pool, POOL_SERVER_VACANT) -
                  pool_count(pool, POOL_SERVER_CLOSING);

    if (pool->retiring || pool_count(pool, POOL_SERVER_VACANT) == 0)
        return false;
    return pool->waiting.length > on_their_way(pool) ||
           (pool->asked && open < pool->limits.min_servers);
}

/* A connection is opened only for a client whom no server on its way can serve. While the
 * backend fails, one opening at a time finds out whether it is back. */
static void serve(struct pool *pool, uint64_t now)
{
    while (pool->waiting.length > 0 && pool_count(pool, POOL_SERVER_IDLE) > 0)
        grant(pool, last_into(pool, POOL_SERVER_IDLE), longest_waiting(pool), now);

    while (wants_another(pool)) {
        if (pool->open_again_at > now) {
            due_at(pool, pool->open_again_at);
            return;
        }
        if (pool->failing && pool_count(pool, POOL_SERVER_OPENING) > 0)
            return;
        open_one(pool, now);
    }
}

static bool may_serve_again(const struct pool *pool, const struct pool_server *server, uint64_t now)
{
    return !pool->retiring && !pool->limits.single_use && server->expires > now;
}

static void make_idle(struct pool *pool, struct pool_server *server, uint64_t now)
{
    move(pool, server, POOL_SERVER_IDLE, now);
    due_at(pool, server->expires);
}

static void free_or_close(struct pool *pool, struct pool_server *server, uint64_t now)
{
    if (may_serve_again(pool, server, now))
        make_idle(pool, server, now);
    else
        close_one(pool, server, ERR_OK, now);
}

static void take_from_client(struct pool_server *server)
{
    server->client->server = NULL;
    server->client = NULL;
}

/* ---- events: clients --------------------------------------------------------------------- */

enum err pool_ask(struct pool *pool, struct pool_client *client, uint64_t now)
{
    REQUIRE(client->server == NULL && !link_is_linked(&client->queued));

    if (pool->limits.max_waiting != 0 && pool->waiting.length >= pool->limits.max_waiting)
        return ERR_QUEUE_FULL;
    if (pool->retiring)
        return ERR_SHUTTING_DOWN;
    if (client->hasty && pool->failing && pool->open_again_at > now && seems_down(pool))
        return ERR_BACKEND_DOWN;

    pool->asked = true;
    client->since = now;
    client->refusal = ERR_OK;
    list_push_back(&pool->waiting, &client->queued);
    due_at(pool, after(now, pool->limits.wait_ms));
    serve(pool, now);
    return ERR_OK;
}

void pool_give_up(struct pool *pool, struct pool_client *client, uint64_t now)
{
    REQUIRE(client->server == NULL);
    list_remove(client->refusal == ERR_OK ? &pool->waiting : &pool->refusals, &client->queued);
    client->refusal = ERR_OK;
    serve(pool, now);
}

void pool_return(struct pool *pool, struct pool_client *client, enum pool_leftovers left,
                 uint64_t now)
{
    struct pool_server *server = client->server;

    REQUIRE(server != NULL && server->client == client && !link_is_linked(&server->ordered));
    take_from_client(server);
    switch (left) {
    case POOL_LEFT_NOTHING:
        free_or_close(pool, server, now);
        break;
    case POOL_LEFT_STATE:
        clean(pool, server, now);
        break;
    case POOL_LEFT_UNKNOWN:
        close_one(pool, server, ERR_OK, now);
        break;
    }
    serve(pool, now);
}

/* ---- events: servers --------------------------------------------------------------------- */

void pool_opened(struct pool *pool, struct pool_server *server, uint64_t now)
{
    REQUIRE(server->state == POOL_SERVER_OPENING);
    server->opened = true;
    server->expires = next_expiry(pool, now);
    pool->failing = false;
    pool->open_again_at = 0;
    if (pool->retiring)
        close_one(pool, server, ERR_OK, now);
    else
        make_idle(pool, server, now);
    serve(pool, now);
}

void pool_cleaned(struct pool *pool, struct pool_server *server, uint64_t now)
{
    REQUIRE(server->state == POOL_SERVER_CLEANING);
    free_or_close(pool, server, now);
    serve(pool, now);
}

void pool_lost(struct pool *pool, struct pool_server *server, uint64_t now)
{
    REQUIRE(server->state != POOL_SERVER_VACANT);
    if (link_is_linked(&server->ordered))
        list_remove(&pool->orders, &server->ordered);
    if (server->client != NULL)
        take_from_client(server);
    server->connection = NULL;
    move(pool, server, POOL_SERVER_VACANT, now);
    if (!server->opened && !pool->retiring) {
        pool->failing = true;
        pool->open_again_at = now + pool->limits.retry_ms;
        if (seems_down(pool))
            refuse_the_hasty(pool, ERR_BACKEND_DOWN);
    }
    server->opened = false;
    serve(pool, now);
}

void pool_withdraw(struct pool *pool, struct pool_server *server, uint64_t now)
{
    struct pool_client *client = server->client;

    REQUIRE(server->state == POOL_SERVER_LEASED && client != NULL);
    take_from_client(server);
    list_push_front(&pool->waiting, &client->queued);
    due_at(pool, after(client->since, pool->limits.wait_ms));
    pool_lost(pool, server, now);
}

void pool_warm(struct pool *pool, uint64_t now)
{
    pool->asked = true;
    serve(pool, now);
}

static void close_all(struct pool *pool, enum pool_server_state state, uint64_t now)
{
    struct pool_server *server;

    while ((server = longest_in(pool, state)) != NULL)
        close_one(pool, server, ERR_SHUTTING_DOWN, now);
}

void pool_retire(struct pool *pool, uint64_t now)
{
    pool->retiring = true;
    close_all(pool, POOL_SERVER_OPENING, now);
    close_all(pool, POOL_SERVER_IDLE, now);
    close_all(pool, POOL_SERVER_CLEANING, now);
    while (pool->waiting.length > 0)
        refuse(pool, longest_waiting(pool), ERR_SHUTTING_DOWN);
}

/* ---- events: time ------------------------------------------------------------------------ */

static void close_overdue(struct pool *pool, enum pool_server_state state, enum err why,
                          uint64_t now)
{
    struct pool_server *server;

    while ((server = longest_in(pool, state)) != NULL) {
        uint64_t when = after(server->since, limit_in(pool, state));

        if (when > now) {
            due_at(pool, when);
            return;
        }
        close_one(pool, server, why, now);
    }
}

static void close_expired(struct pool *pool, uint64_t now)
{
    struct list *idle = &pool->servers[POOL_SERVER_IDLE];
    struct link *link = list_front(idle), *next;

    for (; link != NULL; link = next) {
        struct pool_server *server = CONTAINER_OF(link, struct pool_server, link);

        next = list_after(idle, link);
        if (server->expires <= now)
            close_one(pool, server, ERR_OK, now);
        else
            due_at(pool, server->expires);
    }
}

/* Servers beyond the minimum; those grow old, but are not closed for being idle. */
static void close_idle(struct pool *pool, uint64_t now)
{
    struct pool_server *server;

    while (alive(pool) > pool->limits.min_servers &&
           (server = longest_in(pool, POOL_SERVER_IDLE)) != NULL) {
        uint64_t when = after(server->since, pool->limits.idle_ms);

        if (when > now) {
            due_at(pool, when);
            return;
        }
        close_one(pool, server, ERR_OK, now);
    }
}

void pool_tick(struct pool *pool, uint64_t now)
{
    struct pool_client *client;

    if (now < pool->due)
        return;
    pool->due = NEVER;
    while ((client = longest_waiting(pool)) != NULL) {
        uint64_t when = after(client->since, pool->limits.wait_ms);

        if (when > now) {
            due_at(pool, when);
            break;
        }
        refuse(pool, client, ERR_WAIT_TOO_LONG);
    }
    close_overdue(pool, POOL_SERVER_OPENING, ERR_BACKEND_TOO_SLOW, now);
    close_overdue(pool, POOL_SERVER_CLEANING, ERR_BACKEND_TOO_SLOW, now);
    close_expired(pool, now);
    close_idle(pool, now);
    serve(pool, now);
}

uint64_t pool_next_deadline(const struct pool *pool)
{
    return pool->due;
}

/* ---- orders out -------------------------------------------------------------------------- */

bool pool_next_order(struct pool *pool, struct pool_order *order)
{
    struct pool_server *server = LIST_FRONT(&pool->orders, struct pool_server, ordered);
    struct pool_client *client = LIST_FRONT(&pool->refusals, struct pool_client, queued);

    if (server != NULL) {
        list_remove(&pool->orders, &server->ordered);
        *order = server->order;
        return true;
    }
    if (client != NULL) {
        list_remove(&pool->refusals, &client->queued);
        *order = (struct pool_order){
            .kind = POOL_ORDER_REFUSE, .client = client, .why = client->refusal};
        client->refusal = ERR_OK;
        return true;
    }
    return false;
}

/* ---- birth, death and numbers ------------------------------------------------------------ */

struct pool *pool_create(const struct pool_limits *limits)
{
    struct pool *pool;

    REQUIRE(limits->max_servers > 0 && limits->min_servers <= limits->max_servers);
    pool = calloc(1, sizeof(*pool) + limits->max_servers * sizeof(pool->slots[0]));
    if (pool == NULL)
        return NULL;
    pool->limits = *limits;
    pool->jitter = limits->seed;
    pool->due = NEVER;
    list_init(&pool->waiting);
    list_init(&pool->orders);
    list_init(&pool->refusals);
    for (size_t i = 0; i < POOL_SERVER_STATE_COUNT; i++)
        list_init(&pool->servers[i]);
    for (size_t i = 0; i < limits->max_servers; i++)
        list_push_back(&pool->servers[POOL_SERVER_VACANT], &pool->slots[i].link);
    return pool;
}

void pool_destroy(struct pool *pool)
{
    REQUIRE(pool->waiting.length == 0 && pool->refusals.length == 0 && pool_is_vacant(pool));
    free(pool);
}

bool pool_is_vacant(const struct pool *pool)
{
    return pool_count(pool, POOL_SERVER_VACANT) == pool->limits.max_servers;
}

size_t pool_count(const struct pool *pool, enum pool_server_state state)
{
    return pool->servers[state].length;
}

size_t pool_waiting(const struct pool *pool)
{
    return pool->waiting.length;
}

uint64_t pool_longest_wait(const struct pool *pool, uint64_t now)
{
    const struct pool_client *client = longest_waiting(pool);

    return client != NULL ? now - client->since : 0;
}

size_t pool_server_number(const struct pool *pool, const struct pool_server *server)
{
    return (size_t)(server - pool->slots);
}

enum pool_server_state pool_server_state(const struct pool_server *server, uint64_t *since)
{
    *since = server->since;
    return server->state;
}

void pool_server_set_connection(struct pool_server *server, void *connection)
{
    server->connection = connection;
}

void *pool_server_connection(const struct pool_server *server)
{
    return server->connection;
}
