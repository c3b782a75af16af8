#include "proxy/view.h"

#include <dirent.h>
#include <stdlib.h>

#include "proxy/view_redis.h"
#include "proxy/worker.h"

struct counts {
    size_t clients[SESSION_STATE_COUNT];
    size_t servers[POOL_SERVER_STATE_COUNT];
    size_t pinned[RELAY_PIN_COUNT];
};

static const char *const pin_names[RELAY_PIN_COUNT] = {
#define X(pin, name, meaning) [pin] = name,
    RELAY_PINS(X)
#undef X
};

static uint64_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    uint64_t count = 0;

    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 3; /* ".", ".." and the folder itself */
}

/* Where a place is among the broker's, so that sessions can be counted in one go. */
static size_t number_places(const struct broker *broker)
{
    size_t number = 0;

    for (struct broker_place *place = broker->places; place != NULL; place = place->hh.next)
        place->number = number++;
    return number;
}

static void count_client(const struct session *session, struct counts *counts)
{
    counts->clients[session->state]++;
    for (unsigned pin = 0; pin < RELAY_PIN_COUNT; pin++)
        counts->pinned[pin] += session->lease.pinned >> pin & 1;
}

static void count_clients(const struct front *front, struct counts *pools,
                          size_t total[SESSION_STATE_COUNT])
{
    for (unsigned state = 0; state < SESSION_STATE_COUNT; state++) {
        const struct list *list = &front->sessions[state];

        total[state] = list->length;
        for (struct link *link = list_front(list); link != NULL; link = list_after(list, link)) {
            const struct session *session = CONTAINER_OF(link, struct session, link);

            if (session->lease.place != NULL)
                count_client(session, &pools[session->lease.place->number]);
        }
    }
}

static struct metrics_pool_view view_of(const struct broker_place *place, struct counts *counts,
                                        uint64_t now)
{
    for (unsigned state = 0; state < POOL_SERVER_STATE_COUNT; state++)
        counts->servers[state] = pool_count(place->pool, (enum pool_server_state)state);
    return (struct metrics_pool_view){
        .database = place->terms.database,
        .user = place->terms.user,
        .counted = &place->metrics,
        .clients = {session_state_names, counts->clients, SESSION_STATE_COUNT},
        .servers = {pool_server_state_names, counts->servers, POOL_SERVER_STATE_COUNT},
        .pinned = {pin_names, counts->pinned, RELAY_PIN_COUNT},
        .pins = {pin_names, place->pins, RELAY_PIN_COUNT},
        .waiting = pool_waiting(place->pool),
        .longest_wait = pool_longest_wait(place->pool, now) * 1000,
        .max_servers = place->terms.limits.max_servers,
    };
}

void view_render(const struct worker *worker, struct bytes *out)
{
    size_t length = number_places(&worker->broker), total[SESSION_STATE_COUNT];
    size_t http[HTTP_STATE_COUNT];
    struct counts *counts = calloc(length + 1, sizeof(*counts));
    struct metrics_pool_view *pools = calloc(length + 1, sizeof(*pools));
    struct hub_counts heard = hub_count(&worker->hub);
    struct view_redis redis;
    struct metrics_view view = {
        .version = WEIR_VERSION,
        .counted = &worker->metrics,
        .clients = {session_state_names, total, SESSION_STATE_COUNT},
        .pools = pools,
        .pools_length = length,
        .listening = heard.connections,
        .channels = heard.channels,
        .listeners = heard.listeners,
        .max_clients = worker->config->settings.max_client_conn,
        .descriptors = open_descriptors(),
        .start_time = worker->started_us,
    };

    http_view(&worker->http, http, &view.http);
    view.http.counted.let_in = worker->who.let_in;
    view.http.counted.shut_out = worker->who.refused;
    view.http.counted.slowed_down = worker->who.slowed_down;
    if (view_redis_init(&redis, &worker->door) != ERR_OK)
        out->failed = true;
    view.upstreams = redis.views;
    view.upstreams_length = redis.length;
    out->failed = out->failed || counts == NULL || pools == NULL;
    if (!out->failed) {
        count_clients(&worker->front, counts, total);
        for (const struct broker_place *p = worker->broker.places; p != NULL; p = p->hh.next)
            pools[p->number] = view_of(p, &counts[p->number], uv_now(&worker->loop));
        metrics_render(out, &view, 1);
    }
    view_redis_fini(&redis);
    free(counts);
    free(pools);
}
