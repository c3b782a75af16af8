#include <stdlib.h>

#include "pool/pool_parts.h"

/* ---- looking ----------------------------------------------------------------------------- */

/* Up to a fifth of the lifetime less, so that servers opened together end apart. */
static uint64_t next_expiry(struct pool *pool, uint64_t now)
{
    uint64_t fifth = pool->limits.lifetime_ms / 5;

    pool->jitter = pool->jitter * 6364136223846793005u + 1442695040888963407u;
    return pool_after(now, pool->limits.lifetime_ms) -
           (fifth > 0 ? (pool->jitter >> 33) % fifth : 0);
}

static struct pool_server *longest_in(const struct pool *pool, enum pool_server_state state)
{
    return LIST_FRONT(&pool->servers[state], struct pool_server, link);
}

static struct pool_server *last_into(const struct pool *pool, enum pool_server_state state)
{
    return LIST_BACK(&pool->servers[state], struct pool_server, link);
}

static struct pool_client *longest_waiting(const struct list *queue)
{
    return LIST_FRONT(queue, struct pool_client, queued);
}

static struct list *queue_of(struct pool *pool, const struct pool_client *client)
{
    return client->own ? &pool->apart : &pool->waiting;
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

/* From the queue: from now on the two belong together. */
static void match(struct pool *pool, struct pool_server *server, struct pool_client *client)
{
    REQUIRE(server->client == NULL && client->server == NULL);
    list_remove(queue_of(pool, client), &client->queued);
    server->client = client;
    client->server = server;
}

/* client NULL: for whoever waits then. */
static void open_one(struct pool *pool, struct pool_client *client, uint64_t now)
{
    struct pool_server *server = longest_in(pool, POOL_SERVER_VACANT);

    server->opened = server->outdated = false;
    server->own = client != NULL;
    if (client != NULL)
        match(pool, server, client);
    pool_server_move(pool, server, POOL_SERVER_OPENING, now);
    give(pool, server, (struct pool_order){.kind = POOL_ORDER_OPEN, .client = client});
}

static void grant(struct pool *pool, struct pool_server *server, uint64_t now)
{
    uint64_t idle_ms = server->state == POOL_SERVER_IDLE ? now - server->since : 0;

    pool_server_move(pool, server, POOL_SERVER_LEASED, now);
    give(pool, server,
         (struct pool_order){
             .kind = POOL_ORDER_GRANT, .client = server->client, .idle_ms = idle_ms});
}

static void clean(struct pool *pool, struct pool_server *server, uint64_t now)
{
    pool_server_move(pool, server, POOL_SERVER_CLEANING, now);
    give(pool, server, (struct pool_order){.kind = POOL_ORDER_CLEAN});
}

static void take_from_client(struct pool_server *server)
{
    server->client->server = NULL;
    server->client = NULL;
}

static void will_refuse(struct pool *pool, struct pool_client *client, enum err why)
{
    client->refusal = why;
    list_push_back(&pool->refusals, &client->queued);
}

/* Who waits for this server alone waits in vain. */
static void disappoint(struct pool *pool, struct pool_server *server, enum err why)
{
    struct pool_client *client = server->client;

    if (server->state != POOL_SERVER_OPENING || client == NULL)
        return;
    take_from_client(server);
    will_refuse(pool, client, why);
}

static void close_one(struct pool *pool, struct pool_server *server, enum err why, uint64_t now)
{
    disappoint(pool, server, why);
    pool_server_move(pool, server, POOL_SERVER_CLOSING, now);
    give(pool, server, (struct pool_order){.kind = POOL_ORDER_CLOSE, .why = why});
}

static void refuse(struct pool *pool, struct pool_client *client, enum err why)
{
    list_remove(queue_of(pool, client), &client->queued);
    will_refuse(pool, client, why);
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

/* Those being opened for whoever waits. */
static size_t opening(const struct pool *pool)
{
    const struct list *list = &pool->servers[POOL_SERVER_OPENING];
    size_t count = 0;

    for (struct link *link = list_front(list); link != NULL; link = list_after(list, link))
        count += !CONTAINER_OF(link, struct pool_server, link)->own;
    return count;
}

/* No server is ready, and none is being opened that may yet be: one login refused says
 * nothing about those beside it (trap 20). */
static bool seems_down(const struct pool *pool)
{
    return alive(pool) == 0 && opening(pool) == 0;
}

/* ---- the rules --------------------------------------------------------------------------- */

/* Servers that will be free without anybody returning one. */
static size_t on_their_way(const struct pool *pool)
{
    return opening(pool) + pool_count(pool, POOL_SERVER_CLEANING);
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

/* Who wants a server of its own gets the room of one that is idle, unless somebody is to have
 * that who has waited for longer. */
static void make_room(struct pool *pool, uint64_t now)
{
    const struct pool_client *client = longest_waiting(&pool->apart);
    const struct pool_client *other = longest_waiting(&pool->waiting);

    while (pool->apart.length >
               pool_count(pool, POOL_SERVER_VACANT) + pool_count(pool, POOL_SERVER_CLOSING) &&
           pool_count(pool, POOL_SERVER_IDLE) > 0 &&
           (other == NULL || client->since <= other->since))
        close_one(pool, longest_in(pool, POOL_SERVER_IDLE), ERR_OK, now);
}

/* A connection is opened only for a client whom no server on its way can serve. While the
 * backend fails, one opening at a time finds out whether it is back. */
static void serve(struct pool *pool, uint64_t now)
{
    make_room(pool, now);
    while (pool->waiting.length > 0 && pool_count(pool, POOL_SERVER_IDLE) > 0) {
        struct pool_server *server = last_into(pool, POOL_SERVER_IDLE);

        match(pool, server, longest_waiting(&pool->waiting));
        grant(pool, server, now);
    }
    while (pool->apart.length > 0 && pool_count(pool, POOL_SERVER_VACANT) > 0)
        open_one(pool, longest_waiting(&pool->apart), now);
    while (wants_another(pool)) {
        if (pool->open_again_at > now) {
            pool_due_at(pool, pool->open_again_at);
            return;
        }
        if (pool->failing && opening(pool) > 0)
            return;
        open_one(pool, NULL, now);
    }
}

static bool may_serve_again(const struct pool *pool, const struct pool_server *server, uint64_t now)
{
    return !pool->retiring && !pool->limits.single_use && server->expires > now;
}

static void make_idle(struct pool *pool, struct pool_server *server, uint64_t now)
{
    pool_server_move(pool, server, POOL_SERVER_IDLE, now);
    pool_due_at(pool, server->expires);
}

static void free_or_close(struct pool *pool, struct pool_server *server, uint64_t now)
{
    if (may_serve_again(pool, server, now))
        make_idle(pool, server, now);
    else
        close_one(pool, server, ERR_OK, now);
}

/* ---- events: clients --------------------------------------------------------------------- */

enum err pool_ask(struct pool *pool, struct pool_client *client, uint64_t now)
{
    REQUIRE(client->server == NULL && !link_is_linked(&client->queued));

    if (pool->limits.max_waiting != 0 && pool_waiting(pool) >= pool->limits.max_waiting)
        return ERR_QUEUE_FULL;
    if (pool->retiring)
        return ERR_SHUTTING_DOWN;
    if (client->hasty && pool->failing && pool->open_again_at > now && seems_down(pool))
        return ERR_BACKEND_DOWN;

    pool->asked = true;
    client->since = now;
    client->refusal = ERR_OK;
    list_push_back(queue_of(pool, client), &client->queued);
    pool_due_at(pool, pool_after(now, pool->limits.wait_ms));
    serve(pool, now);
    return ERR_OK;
}

void pool_give_up(struct pool *pool, struct pool_client *client, uint64_t now)
{
    struct pool_server *server = client->server;

    if (server != NULL) { /* it is being opened for this client alone */
        REQUIRE(server->state == POOL_SERVER_OPENING);
        take_from_client(server);
        if (link_is_linked(&server->ordered)) { /* not even that */
            list_remove(&pool->orders, &server->ordered);
            pool_server_move(pool, server, POOL_SERVER_VACANT, now);
        } else {
            close_one(pool, server, ERR_OK, now);
        }
    } else {
        list_remove(client->refusal == ERR_OK ? queue_of(pool, client) : &pool->refusals,
                    &client->queued);
        client->refusal = ERR_OK;
    }
    serve(pool, now);
}

void pool_return(struct pool *pool, struct pool_client *client, enum pool_leftovers left,
                 uint64_t now)
{
    struct pool_server *server = client->server;

    REQUIRE(server != NULL && server->client == client && !link_is_linked(&server->ordered));
    take_from_client(server);
    if (server->own)
        left = POOL_LEFT_UNKNOWN;
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
    if (!server->own) {
        pool->failing = false;
        pool->open_again_at = 0;
    }
    if (pool->retiring)
        close_one(pool, server, ERR_SHUTTING_DOWN, now);
    else if (server->client != NULL)
        grant(pool, server, now);
    else if (server->outdated)
        close_one(pool, server, ERR_OK, now);
    else
        make_idle(pool, server, now);
    server->outdated = false;
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
    disappoint(pool, server, ERR_BACKEND_DOWN);
    if (server->client != NULL)
        take_from_client(server);
    server->connection = NULL;
    pool_server_move(pool, server, POOL_SERVER_VACANT, now);
    if (!server->opened && !server->own && !pool->retiring) {
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
    list_push_front(queue_of(pool, client), &client->queued);
    pool_due_at(pool, pool_after(client->since, pool->limits.wait_ms));
    pool_lost(pool, server, now);
}

void pool_warm(struct pool *pool, uint64_t now)
{
    pool->asked = true;
    serve(pool, now);
}

static void close_all(struct pool *pool, enum pool_server_state state, enum err why, uint64_t now)
{
    struct pool_server *server;

    while ((server = longest_in(pool, state)) != NULL)
        close_one(pool, server, why, now);
}

static void expire_all(struct pool *pool, enum pool_server_state state, uint64_t now)
{
    struct list *list = &pool->servers[state];

    for (struct link *link = list_front(list); link != NULL; link = list_after(list, link)) {
        struct pool_server *server = CONTAINER_OF(link, struct pool_server, link);

        server->expires = now;
        server->outdated = state == POOL_SERVER_OPENING;
    }
}

void pool_renew(struct pool *pool, uint64_t now)
{
    expire_all(pool, POOL_SERVER_OPENING, now);
    expire_all(pool, POOL_SERVER_LEASED, now);
    expire_all(pool, POOL_SERVER_CLEANING, now);
    close_all(pool, POOL_SERVER_IDLE, ERR_OK, now);
    serve(pool, now);
}

void pool_retire(struct pool *pool, uint64_t now)
{
    pool->retiring = true;
    close_all(pool, POOL_SERVER_OPENING, ERR_SHUTTING_DOWN, now);
    close_all(pool, POOL_SERVER_IDLE, ERR_SHUTTING_DOWN, now);
    close_all(pool, POOL_SERVER_CLEANING, ERR_SHUTTING_DOWN, now);
    while (pool->waiting.length > 0)
        refuse(pool, longest_waiting(&pool->waiting), ERR_SHUTTING_DOWN);
    while (pool->apart.length > 0)
        refuse(pool, longest_waiting(&pool->apart), ERR_SHUTTING_DOWN);
}

/* ---- events: time ------------------------------------------------------------------------ */

static void close_overdue(struct pool *pool, enum pool_server_state state, enum err why,
                          uint64_t now)
{
    struct pool_server *server;

    while ((server = longest_in(pool, state)) != NULL) {
        uint64_t when = pool_after(server->since, pool_server_limit(pool, state));

        if (when > now) {
            pool_due_at(pool, when);
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
            pool_due_at(pool, server->expires);
    }
}

/* Servers beyond the minimum; those grow old, but are not closed for being idle. */
static void close_idle(struct pool *pool, uint64_t now)
{
    struct pool_server *server;

    while (alive(pool) > pool->limits.min_servers &&
           (server = longest_in(pool, POOL_SERVER_IDLE)) != NULL) {
        uint64_t when = pool_after(server->since, pool->limits.idle_ms);

        if (when > now) {
            pool_due_at(pool, when);
            return;
        }
        close_one(pool, server, ERR_OK, now);
    }
}

static void refuse_overdue(struct pool *pool, const struct list *queue, uint64_t now)
{
    struct pool_client *client;

    while ((client = longest_waiting(queue)) != NULL) {
        uint64_t when = pool_after(client->since, pool->limits.wait_ms);

        if (when > now) {
            pool_due_at(pool, when);
            break;
        }
        refuse(pool, client, ERR_WAIT_TOO_LONG);
    }
}

void pool_tick(struct pool *pool, uint64_t now)
{
    if (now < pool->due)
        return;
    pool->due = POOL_NEVER;
    refuse_overdue(pool, &pool->waiting, now);
    refuse_overdue(pool, &pool->apart, now);
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
    pool->due = POOL_NEVER;
    list_init(&pool->waiting);
    list_init(&pool->apart);
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
    REQUIRE(pool_waiting(pool) == 0 && pool->refusals.length == 0 && pool_is_vacant(pool));
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
    return pool->waiting.length + pool->apart.length;
}

uint64_t pool_longest_wait(const struct pool *pool, uint64_t now)
{
    const struct pool_client *client = longest_waiting(&pool->waiting);
    const struct pool_client *other = longest_waiting(&pool->apart);
    uint64_t longest = client != NULL ? now - client->since : 0;

    return other != NULL && now - other->since > longest ? now - other->since : longest;
}
