/*
 * proxy/view_pools.h - pools and their clients as those see them who look from outside.
 *
 *      if (view_pools_init(&pools, worker) == ERR_OK)
 *          for (i = 0; i < pools.length; i++)
 *              pools.places[i], pools.views[i]             by database, then by user
 *      view_pools_fini(&pools);                            in any case
 *
 * Gathered when somebody asks: for /metrics (view.h) as for SHOW (show.h).
 */
#ifndef PROXY_VIEW_POOLS_H
#define PROXY_VIEW_POOLS_H

#include "base/contract.h"
#include "base/err.h"
#include "proxy/fronts/postgres/session.h"
#include "proxy/metrics.h"

struct worker;

struct view_pools_counts {
    size_t clients[SESSION_STATE_COUNT];
    size_t servers[POOL_SERVER_STATE_COUNT];
    size_t pinned[RELAY_PIN_COUNT];
};

struct view_pools {
    struct broker_place **places; /* each place's number is where it stands here */
    struct metrics_pool_view *views;
    struct view_pools_counts *counts;
    size_t length;
    size_t clients[SESSION_STATE_COUNT]; /* of all pools, and of none */
};

extern const char *const view_pools_pins[RELAY_PIN_COUNT];

enum err view_pools_init(struct view_pools *pools, const struct worker *worker) MUST_CHECK;
void view_pools_fini(struct view_pools *pools);

#endif
