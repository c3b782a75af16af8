/*
 * proxy/fronts/redis/door.h - the Redis door of a worker: all its clients, on the way to all
 * upstreams.
 *
 *      door_init(&door, &options);
 *      door_listen(&door, why);
 *      door_turn(&door);                  before the loop waits: what was gathered is sent
 *      door_tick(&door, now);             what is overdue
 *      door_drain(&door);                 ... until door_is_empty()
 *
 * A client is a guest (guest.h). An upstream is one Redis of the configuration (upstream.h),
 * with the lines to it: those that many share (shared.h) and those of one guest (dedicated.h).
 *
 *      guest --> upstream --> shared --> lane --> line --> Redis
 *                    `------> dedicated -------> line --> Redis
 */
#ifndef PROXY_FRONTS_REDIS_DOOR_H
#define PROXY_FRONTS_REDIS_DOOR_H

#include "base/list.h"
#include "base/log.h"
#include "drivers/offload.h"
#include "drivers/peer.h"
#include "drivers/redis/line.h"
#include "proxy/alarm.h"
#include "proxy/config.h"
#include "proxy/fronts/redis/guest.h"
#include "proxy/listener.h"

/* What a door is given by its worker, and lent for its life. */
struct door_options {
    uv_loop_t *loop;
    struct stream_home *streams;
    struct alarm *alarm;
    struct log *log;
    struct offload *hashing; /* for passwords */
    const struct config_redis *config;
    struct peer_keepalive keepalive;
    int backlog;
    bool log_connections, log_disconnections;
};

struct upstream;

struct door {
    struct door_options with;
    struct line_home lines;
    struct upstream *upstreams; /* an array */
    size_t upstreams_length;
    struct list guests[GUEST_STATE_COUNT]; /* front: longest in that state */
    uint64_t limits_ms[GUEST_STATE_COUNT];
    struct list due;    /* guests who can go on */
    struct bytes spare; /* for what is built and sent at once */
    size_t clients;     /* those that max_clients counts */
    uint64_t next_id;
    bool draining;
};

enum err door_init(struct door *door, const struct door_options *options) MUST_CHECK;
void door_fini(struct door *door);

enum err door_listen(struct door *door, char why[256]) MUST_CHECK;
void door_turn(struct door *door);
void door_tick(struct door *door, uint64_t now);

/* No new guests. */
void door_close(struct door *door);

/* The same; those who are owed nothing go now, the others when they are answered. Stop: all
 * at once, and all lines after them. */
void door_drain(struct door *door);
void door_stop(struct door *door);

/* Whether no guest is left; whether no line is, either. */
bool door_is_empty(const struct door *door);
bool door_is_vacant(const struct door *door);

static inline uint64_t door_now(const struct door *door)
{
    return uv_now(door->with.loop);
}

#endif
