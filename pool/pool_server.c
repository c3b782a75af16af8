#include "pool/pool_parts.h"

#define B(state) (1u << POOL_SERVER_##state)

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

uint64_t pool_server_limit(const struct pool *pool, enum pool_server_state state)
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

void pool_server_move(struct pool *pool, struct pool_server *server, enum pool_server_state to,
                      uint64_t now)
{
    REQUIRE(may_become[server->state] & (1u << to));
    list_remove(&pool->servers[server->state], &server->link);
    list_push_back(&pool->servers[to], &server->link);
    server->state = to;
    server->since = now;
    pool_due_at(pool, pool_after(now, pool_server_limit(pool, to)));
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

bool pool_server_is_own(const struct pool_server *server)
{
    return server->own;
}

bool pool_server_is_expired(const struct pool_server *server, uint64_t now)
{
    return server->outdated || (server->opened && (server->own || server->expires <= now));
}

const struct pool_server *pool_server_after(const struct pool *pool, enum pool_server_state state,
                                            const struct pool_server *other)
{
    const struct list *list = &pool->servers[state];
    struct link *link = other != NULL ? list_after(list, &other->link) : list_front(list);

    return LIST_ITEM(link, const struct pool_server, link);
}

void pool_server_set_connection(struct pool_server *server, void *connection)
{
    server->connection = connection;
}

void *pool_server_connection(const struct pool_server *server)
{
    return server->connection;
}
