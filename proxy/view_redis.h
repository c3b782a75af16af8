/*
 * proxy/view_redis.h - the Redis door as those see it who look from outside.
 *
 *      if (view_redis_init(&redis, &worker->door) == ERR_OK)
 *          view.upstreams = redis.views, view.upstreams_length = redis.length;
 *      view_redis_fini(&redis);                             in any case
 */
#ifndef PROXY_VIEW_REDIS_H
#define PROXY_VIEW_REDIS_H

#include "base/contract.h"
#include "base/err.h"
#include "proxy/metrics.h"

struct door;
struct view_redis_counts;

struct view_redis {
    struct metrics_redis_view *views; /* one an upstream */
    size_t length;
    struct metrics_redis *counted;
    struct view_redis_counts *counts;
};

enum err view_redis_init(struct view_redis *view, const struct door *door) MUST_CHECK;
void view_redis_fini(struct view_redis *view);

#endif
