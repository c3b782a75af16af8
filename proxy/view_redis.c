#include "proxy/view_redis.h"

#include <stdlib.h>

#include "proxy/fronts/redis/door.h"
#include "proxy/fronts/redis/pubsub.h"
#include "proxy/fronts/redis/upstream.h"

struct view_redis_counts {
    size_t clients[GUEST_STATE_COUNT];
    size_t servers[POOL_SERVER_STATE_COUNT];
    uint64_t waiting_since;
};

/* ---- clients ----------------------------------------------------------------------------- */

static void count_clients(const struct door *door, struct view_redis_counts *counts)
{
    for (unsigned state = 0; state < GUEST_STATE_COUNT; state++) {
        const struct list *list = &door->guests[state];

        for (struct link *link = list_front(list); link != NULL; link = list_after(list, link)) {
            const struct guest *guest = CONTAINER_OF(link, struct guest, link);
            struct view_redis_counts *mine = &counts[guest->upstream - door->upstreams];

            if (state == GUEST_WAITING && mine->clients[state] == 0)
                mine->waiting_since = guest->since; /* the first is the one who came first */
            mine->clients[state]++;
        }
    }
}

/* ---- lines ------------------------------------------------------------------------------- */

static void count_pubsub(const struct pubsub *pubsub, struct metrics_redis_view *view)
{
    if (pubsub == NULL)
        return;
    view->subscribing_links += pubsub->line != NULL;
    view->subscriptions += topics_count_subscriptions(&pubsub->topics);
}

static void count_dedicated(const struct identity *identity, struct view_redis_counts *counts)
{
    for (int i = 0; i < 2; i++) {
        const struct dedicated *dedicated = identity->dedicated[i];

        if (dedicated == NULL)
            continue;
        for (unsigned state = 0; state < POOL_SERVER_STATE_COUNT; state++)
            counts->servers[state] += pool_count(dedicated->pool, (enum pool_server_state)state);
    }
}

static void count_lanes(const struct upstream *upstream, struct metrics_redis_view *view)
{
    for (const struct shared *shared = upstream->shares; shared != NULL; shared = shared->hh.next) {
        for (size_t i = 0; i < shared->length; i++) {
            if (!shared_lane_is_open(&shared->lanes[i]))
                continue;
            view->shared_links++;
            view->owed += shared->lanes[i].line->trunk.replies;
        }
    }
}

static void add_up(struct view_redis *view, const struct door *door, size_t i)
{
    const struct upstream *upstream = &door->upstreams[i];
    struct view_redis_counts *counts = &view->counts[i];
    struct metrics_redis *counted = &view->counted[i];

    count_dedicated(upstream->anonymous, counts);
    count_dedicated(upstream->configured, counts);
    for (const struct identity *one = upstream->identities; one != NULL; one = one->hh.next)
        count_dedicated(one, counts);
    *counted = upstream->metrics;
    counted->reads_from_redis = upstream->counts.reads;
    counted->writes_to_redis = upstream->counts.writes;
    counted->bytes_from_redis = upstream->counts.bytes_in;
    counted->bytes_to_redis = upstream->counts.bytes_out;
    counted->replies_swallowed = upstream->counts.swallowed;
    view->views[i] = (struct metrics_redis_view){
        .upstream = upstream->config->named.name,
        .counted = counted,
        .clients = {guest_state_names, counts->clients, GUEST_STATE_COUNT},
        .dedicated = {pool_server_state_names, counts->servers, POOL_SERVER_STATE_COUNT},
        .waiting = counts->clients[GUEST_WAITING],
        .max_dedicated = door->with.config->max_dedicated,
    };
    if (counts->clients[GUEST_WAITING] > 0)
        view->views[i].longest_wait = (door_now(door) - counts->waiting_since) * 1000;
    count_lanes(upstream, &view->views[i]);
    count_pubsub(upstream->anonymous->pubsub, &view->views[i]);
    count_pubsub(upstream->configured->pubsub, &view->views[i]);
    for (const struct identity *one = upstream->identities; one != NULL; one = one->hh.next)
        count_pubsub(one->pubsub, &view->views[i]);
}

/* ---- all of it --------------------------------------------------------------------------- */

enum err view_redis_init(struct view_redis *view, const struct door *door)
{
    size_t length = door->upstreams_length;

    *view = (struct view_redis){
        .views = calloc(length + 1, sizeof(*view->views)),
        .counted = calloc(length + 1, sizeof(*view->counted)),
        .counts = calloc(length + 1, sizeof(*view->counts)),
    };
    if (view->views == NULL || view->counted == NULL || view->counts == NULL)
        return ERR_NO_MEMORY;
    view->length = length;
    count_clients(door, view->counts);
    for (size_t i = 0; i < length; i++)
        add_up(view, door, i);
    return ERR_OK;
}

void view_redis_fini(struct view_redis *view)
{
    free(view->views);
    free(view->counted);
    free(view->counts);
}
