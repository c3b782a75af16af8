/*
 * proxy/fronts/redis/shared.h - the lines that all guests of one user, database and protocol share.
 *
 *      shared = shared_find(identity, db, protocol);
 *      lane = shared_lane(shared, guest->id);
 *      if (lane_is_open(lane)) line_ask(lane->line, guest, ...)     replies: guest_hear
 *      else shared_wait(lane, guest);                                ... guest_ready, guest_refused
 *
 * A lane is one of them: always the same for a guest, so that his requests stay in order. It is
 * opened when somebody wants it, closed when nobody has for dedicated_idle_timeout, and when it
 * is lost, opened again, at once and then after pauses that double up to `retry`. Whoever waits
 * does so meanwhile, unless Redis has refused the login in words: those he is told.
 *
 *      CLOSED --> OPENING --> OPEN --> CLOSED
 *         `<---- pause <----'
 */
#ifndef PROXY_FRONTS_REDIS_SHARED_H
#define PROXY_FRONTS_REDIS_SHARED_H

#include "proxy/fronts/redis/upstream.h"

struct guest;

struct shared_key {
    const struct identity *identity;
    int32_t db;
    uint32_t protocol;
};

struct shared_lane {
    struct shared *shared;
    struct line *line;   /* NULL: closed */
    struct list waiting; /* guests */
    struct list stalled; /* guests who wait until the line has taken what is queued */
    uint64_t retry_at;   /* not before, after a failure */
    uint64_t pause_ms;
    uint64_t wanted; /* when it was, last */
};

struct shared {
    struct shared_key key;
    struct upstream *upstream;
    size_t guests;  /* whose lane is here */
    bool is_proven; /* it was open once: there is such a database */
    bool is_checking;
    UT_hash_handle hh;
    size_t length;
    struct shared_lane lanes[];
};

/* NULL for want of memory. */
struct shared *shared_find(const struct identity *identity, int32_t db,
                           unsigned protocol) MUST_CHECK;

/* The one where AUTH is tried: nothing else is ever sent there. */
struct shared *shared_checking(struct upstream *upstream) MUST_CHECK;

/* The guest's lane from now on; NULL: none. */
void shared_join(struct shared *shared, struct guest *guest);

struct shared_lane *shared_lane(struct shared *shared, uint64_t number);

static inline bool shared_lane_is_open(const struct shared_lane *lane)
{
    return lane->line != NULL && lane->line->state == LINE_OPEN;
}

/* Whether the lane can take no more for now. */
bool shared_lane_is_full(const struct shared_lane *lane);

/* Until the lane is open; until it has taken what is queued. */
void shared_wait(struct shared_lane *lane, struct guest *guest);
void shared_stall(struct shared_lane *lane, struct guest *guest);

/* Before something is asked: its reply has its time. */
void shared_watch(const struct shared_lane *lane, uint64_t now);

/* True: it is of no use to anybody, and may be destroyed. */
bool shared_tick(struct shared *shared, uint64_t now) MUST_CHECK;
void shared_close(struct shared *shared);
void shared_destroy(struct shared *shared);

#endif
