/*
 * proxy/fronts/redis/upstream.h - one Redis of the configuration, and all that leads to it.
 *
 *      identity = upstream_identity(upstream, user, password);      found, or made
 *      shared = shared_find(identity, 0, 2);
 *
 * An identity is whom lines are logged in as. Who brings a password that Redis has taken has the
 * identity of that name; its password is that which was taken last, and is what new lines log in
 * with. So there are no more identities than Redis has users.
 *
 * Ownership: all of it lives as long as the door.
 */
#ifndef PROXY_FRONTS_REDIS_UPSTREAM_H
#define PROXY_FRONTS_REDIS_UPSTREAM_H

#include <uthash.h>

#include "drivers/redis/line.h"
#include "proxy/config_redis.h"
#include "proxy/listener.h"
#include "proxy/metrics.h"

struct door;
struct dedicated;
struct pubsub;
struct shared;

/* Bytes, since a password may hold any. */
struct identity {
    struct upstream *upstream;
    struct bytes password;
    bool has_password, is_anonymous;
    struct dedicated *dedicated[2]; /* by protocol, 2 and 3; NULL: nobody has wanted one yet */
    struct pubsub *pubsub;          /* the same */
    UT_hash_handle hh;
    size_t name_length; /* 0: Redis's default user, by password alone */
    uint8_t name[];
};

struct upstream {
    struct door *door;
    const struct config_redis_upstream *config;
    struct listeners listeners;
    struct metrics_redis metrics;
    struct line_counts counts;
    struct identity *anonymous;  /* who has not said who he is, where Redis decides */
    struct identity *configured; /* the URL's */
    struct identity *identities; /* all others, by name */
    int32_t db_limit;            /* databases from that number on have been refused; 0: none has */
    struct shared *shares, *checking; /* checking: where passwords are tried */
};

enum err upstream_init(struct upstream *upstream, struct door *door,
                       const struct config_redis_upstream *config) MUST_CHECK;
void upstream_fini(struct upstream *upstream);

enum err upstream_listen(struct upstream *upstream, char why[256]) MUST_CHECK;

/* NULL for want of memory. */
struct identity *upstream_identity(struct upstream *upstream, struct slice name,
                                   struct slice password) MUST_CHECK;

/* Whom a guest is before he says anything; NULL: nobody, he must say. */
struct identity *upstream_first_identity(struct upstream *upstream);

/* Where a line to it goes. */
struct connect_target upstream_target(const struct identity *identity, int32_t db,
                                      unsigned protocol);

/* Redis has said that there is no such database: until a line is lost, and there may be another
 * Redis, nobody needs to ask again. */
void upstream_learn_limit(struct upstream *upstream, int32_t db);
bool upstream_has_database(const struct upstream *upstream, int32_t db);

void upstream_tick(struct upstream *upstream, uint64_t now);
void upstream_retire(struct upstream *upstream);
bool upstream_is_vacant(const struct upstream *upstream);

void upstream_log(const struct upstream *upstream, const struct line *line, const char *what,
                  const char *why);

#endif
