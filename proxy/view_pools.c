#include "proxy/view_pools.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/worker.h"

const char *const view_pools_pins[RELAY_PIN_COUNT] = {
#define X(pin, name, meaning) [pin] = name,
    RELAY_PINS(X)
#undef X
};

static int compare(const void *a, const void *b)
{
    const struct broker_place *one = *(struct broker_place *const *)a;
    const struct broker_place *other = *(struct broker_place *const *)b;
    int order = strcmp(one->terms.database, other->terms.database);

    return order != 0 ? order : strcmp(one->terms.user, other->terms.user);
}

/* ... so that sessions can be counted in one go. */
static void number_places(struct view_pools *pools, const struct broker *broker)
{
    size_t i = 0;

    for (struct broker_place *place = broker->places; place != NULL; place = place->hh.next)
        pools->places[i++] = place;
    qsort(pools->places, pools->length, sizeof(struct broker_place *), compare);
    for (i = 0; i < pools->length; i++)
        pools->places[i]->number = i;
}

static void count_client(const struct session *session, struct view_pools_counts *counts)
{
    counts->clients[session->state]++;
    for (unsigned pin = 0; pin < RELAY_PIN_COUNT; pin++)
        counts->pinned[pin] += session->lease.pinned >> pin & 1;
}

static void count_clients(struct view_pools *pools, const struct front *front)
{
    for (unsigned state = 0; state < SESSION_STATE_COUNT; state++) {
        const struct list *list = &front->sessions[state];

        pools->clients[state] = list->length;
        for (struct link *link = list_front(list); link != NULL; link = list_after(list, link)) {
            const struct session *session = CONTAINER_OF(link, struct session, link);

            if (session->lease.place != NULL)
                count_client(session, &pools->counts[session->lease.place->number]);
        }
    }
}

static struct metrics_pool_view view_of(const struct broker_place *place,
                                        struct view_pools_counts *counts, uint64_t now)
{
    for (unsigned state = 0; state < POOL_SERVER_STATE_COUNT; state++)
        counts->servers[state] = pool_count(place->pool, (enum pool_server_state)state);
    return (struct metrics_pool_view){
        .database = place->terms.database,
        .user = place->terms.user,
        .counted = &place->metrics,
        .clients = {session_state_names, counts->clients, SESSION_STATE_COUNT},
        .servers = {pool_server_state_names, counts->servers, POOL_SERVER_STATE_COUNT},
        .pinned = {view_pools_pins, counts->pinned, RELAY_PIN_COUNT},
        .pins = {view_pools_pins, place->pins, RELAY_PIN_COUNT},
        .waiting = pool_waiting(place->pool),
        .longest_wait = pool_longest_wait(place->pool, now) * 1000,
        .max_servers = place->terms.limits.max_servers,
    };
}

enum err view_pools_init(struct view_pools *pools, const struct worker *worker)
{
    size_t length = HASH_COUNT(worker->broker.places);

    *pools = (struct view_pools){
        .places = calloc(length + 1, sizeof(struct broker_place *)),
        .views = calloc(length + 1, sizeof(*pools->views)),
        .counts = calloc(length + 1, sizeof(*pools->counts)),
    };
    if (pools->places == NULL || pools->views == NULL || pools->counts == NULL)
        return ERR_NO_MEMORY;
    pools->length = length;
    number_places(pools, &worker->broker);
    count_clients(pools, &worker->front);
    for (size_t i = 0; i < length; i++)
        pools->views[i] = view_of(pools->places[i], &pools->counts[i], uv_now(&worker->loop));
    return ERR_OK;
}

void view_pools_fini(struct view_pools *pools)
{
    free(pools->places);
    free(pools->views);
    free(pools->counts);
}
