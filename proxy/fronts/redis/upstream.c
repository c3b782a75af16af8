#include "proxy/fronts/redis/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/address.h"
#include "proxy/fronts/redis/door.h"
#include "proxy/fronts/redis/pubsub.h"

/* ---- whom lines are logged in as --------------------------------------------------------- */

static struct identity *create_identity(struct upstream *upstream, struct slice name)
{
    struct identity *identity = calloc(1, sizeof(*identity) + name.length);

    if (identity == NULL)
        return NULL;
    identity->upstream = upstream;
    identity->name_length = name.length;
    if (name.length > 0)
        memcpy(identity->name, name.at, name.length);
    return identity;
}

static void destroy_identity(struct identity *identity)
{
    if (identity == NULL)
        return;
    dedicated_destroy(identity->dedicated[0]);
    dedicated_destroy(identity->dedicated[1]);
    pubsub_destroy(identity->pubsub);
    bytes_free(&identity->password);
    free(identity);
}

static struct identity *add_identity(struct upstream *upstream, struct slice name)
{
    struct identity *identity = create_identity(upstream, name);

    if (identity == NULL)
        return NULL;
    HASH_ADD(hh, upstream->identities, name, name.length, identity);
    if (identity->hh.tbl != NULL)
        return identity;
    destroy_identity(identity); /* uthash had no memory */
    return NULL;
}

struct identity *upstream_identity(struct upstream *upstream, struct slice name,
                                   struct slice password)
{
    struct bytes copy = {0};
    struct identity *identity;

    bytes_add(&copy, password.at, password.length);
    if (copy.failed)
        return NULL;
    if (name.at == NULL) /* which memcmp() must not be given, either */
        name = SLICE("");
    HASH_FIND(hh, upstream->identities, name.at, name.length, identity);
    if (identity == NULL)
        identity = add_identity(upstream, name);
    if (identity == NULL) {
        bytes_free(&copy);
        return NULL;
    }
    bytes_free(&identity->password);
    identity->password = copy;
    identity->has_password = true; /* without one it would be the URL's user */
    return identity;
}

struct identity *upstream_first_identity(struct upstream *upstream)
{
    switch (upstream->door->with.config->auth) {
    case CONFIG_REDIS_AUTH_PASS:
        return upstream->anonymous;
    case CONFIG_REDIS_AUTH_NONE:
        return upstream->configured;
    case CONFIG_REDIS_AUTH_FILE:
        break;
    }
    return NULL;
}

struct connect_target upstream_target(const struct identity *identity, int32_t db,
                                      unsigned protocol)
{
    const struct upstream *upstream = identity->upstream;
    struct connect_target target = {
        .url = &upstream->config->url,
        .anonymous = identity->is_anonymous,
        .database = db,
        .protocol = (int)protocol,
        .client_name = SLICE("weir"),
        .keepalive = upstream->door->with.keepalive,
    };

    if (identity->has_password) {
        target.password = (struct slice){identity->password.at, identity->password.length};
        if (target.password.at == NULL) /* an empty one is one, too */
            target.password = SLICE("");
        if (identity->name_length > 0)
            target.user = (struct slice){identity->name, identity->name_length};
    }
    return target;
}

/* ---- its life ---------------------------------------------------------------------------- */

enum err upstream_init(struct upstream *upstream, struct door *door,
                       const struct config_redis_upstream *config)
{
    *upstream = (struct upstream){.door = door, .config = config};
    list_init(&upstream->listeners.open);
    upstream->anonymous = create_identity(upstream, (struct slice){0});
    upstream->configured = create_identity(upstream, (struct slice){0});
    if (upstream->anonymous == NULL || upstream->configured == NULL)
        return ERR_NO_MEMORY;
    upstream->anonymous->is_anonymous = true;
    return ERR_OK;
}

void upstream_fini(struct upstream *upstream)
{
    struct shared *shared, *next_group;
    struct identity *identity, *next_identity;

    if (upstream->door == NULL)
        return;
    HASH_ITER(hh, upstream->shares, shared, next_group)
    {
        HASH_DEL(upstream->shares, shared);
        shared_destroy(shared);
    }
    if (upstream->checking != NULL)
        shared_destroy(upstream->checking);
    HASH_ITER(hh, upstream->identities, identity, next_identity)
    {
        HASH_DEL(upstream->identities, identity);
        destroy_identity(identity);
    }
    destroy_identity(upstream->anonymous);
    destroy_identity(upstream->configured);
}

static void on_connection(void *owner, uv_stream_t *listener)
{
    guest_accept(owner, listener);
}

static enum err listen_tcp(struct upstream *upstream, char why[256])
{
    const char *list = upstream->config->listen_addr;
    unsigned port = (unsigned)upstream->config->listen_port;
    char address[ADDRESS_HOST_SIZE];
    enum err e;

    if (port == 0)
        return ERR_OK;
    while (address_next(&list, address)) {
        if ((e = listener_open_tcp(&upstream->listeners, address, port, why)) != ERR_OK)
            return e;
        log_write(upstream->door->with.log, LOG_LEVEL_INFO, NULL,
                  "listening on %s:%u for Redis \"%s\"", address, port,
                  upstream->config->named.name);
    }
    return ERR_OK;
}

enum err upstream_listen(struct upstream *upstream, char why[256])
{
    const struct door_options *with = &upstream->door->with;
    struct listener_options options = {.backlog = with->backlog,
                                       .unix_mode = (unsigned)with->config->unix_socket_mode};
    const char *path = upstream->config->unix_socket;
    enum err e;

    listener_init(&upstream->listeners, with->loop, &options, upstream, on_connection);
    if ((e = listen_tcp(upstream, why)) != ERR_OK || path == NULL || path[0] == '\0')
        return e;
    e = listener_open_unix(&upstream->listeners, path, why);
    if (e == ERR_OK)
        log_write(with->log, LOG_LEVEL_INFO, NULL, "listening on unix:%s for Redis \"%s\"", path,
                  upstream->config->named.name);
    return e;
}

void upstream_learn_limit(struct upstream *upstream, int32_t db)
{
    if (upstream->db_limit == 0 || db < upstream->db_limit)
        upstream->db_limit = db;
}

bool upstream_has_database(const struct upstream *upstream, int32_t db)
{
    return upstream->db_limit == 0 || db < upstream->db_limit;
}

/* ---- all that belongs to it -------------------------------------------------------------- */

static void for_each_identity(struct upstream *upstream, void (*what)(struct identity *, uint64_t),
                              uint64_t now)
{
    struct identity *identity, *next;

    what(upstream->anonymous, now);
    what(upstream->configured, now);
    HASH_ITER(hh, upstream->identities, identity, next)
    {
        what(identity, now);
    }
}

static void tick(struct identity *identity, uint64_t now)
{
    dedicated_tick(identity->dedicated[0], now);
    dedicated_tick(identity->dedicated[1], now);
    pubsub_tick(identity->pubsub, now);
}

void upstream_tick(struct upstream *upstream, uint64_t now)
{
    struct shared *shared, *next;

    HASH_ITER(hh, upstream->shares, shared, next)
    {
        if (shared_tick(shared, now)) {
            HASH_DEL(upstream->shares, shared);
            shared_destroy(shared);
        }
    }
    if (upstream->checking != NULL)
        REQUIRE(!shared_tick(upstream->checking, now));
    for_each_identity(upstream, tick, now);
}

static void retire(struct identity *identity, uint64_t now)
{
    (void)now;
    dedicated_retire(identity->dedicated[0]);
    dedicated_retire(identity->dedicated[1]);
    pubsub_retire(identity->pubsub);
}

void upstream_retire(struct upstream *upstream)
{
    struct shared *shared, *next;

    HASH_ITER(hh, upstream->shares, shared, next)
    {
        shared_close(shared);
    }
    if (upstream->checking != NULL)
        shared_close(upstream->checking);
    for_each_identity(upstream, retire, 0);
}

static bool pools_are_vacant(const struct identity *identity)
{
    for (int i = 0; i < 2; i++)
        if (identity->dedicated[i] != NULL && !pool_is_vacant(identity->dedicated[i]->pool))
            return false;
    return true;
}

bool upstream_is_vacant(const struct upstream *upstream)
{
    const struct identity *identity = upstream->identities;

    if (!pools_are_vacant(upstream->anonymous) || !pools_are_vacant(upstream->configured))
        return false;
    for (; identity != NULL; identity = identity->hh.next)
        if (!pools_are_vacant(identity))
            return false;
    return true;
}

void upstream_log(const struct upstream *upstream, const struct line *line, const char *what,
                  const char *why)
{
    struct log_who who = {.kind = 'R', .id = line->id, .database = upstream->config->named.name};

    log_write(upstream->door->with.log, LOG_LEVEL_INFO, &who, "%s%s%s", what, why[0] ? ": " : "",
              why);
}
