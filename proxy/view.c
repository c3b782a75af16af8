#include "proxy/view.h"

#include <dirent.h>

#include "proxy/view_pools.h"
#include "proxy/view_redis.h"
#include "proxy/worker.h"

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

void view_render(const struct worker *worker, struct bytes *out)
{
    size_t http[HTTP_STATE_COUNT];
    struct hub_counts heard = hub_count(&worker->hub);
    struct view_pools pools;
    struct view_redis redis;
    struct metrics_view view = {
        .version = WEIR_VERSION,
        .counted = &worker->metrics,
        .clients = {session_state_names, pools.clients, SESSION_STATE_COUNT},
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
    if (view_pools_init(&pools, worker) != ERR_OK)
        out->failed = true;
    if (view_redis_init(&redis, &worker->door) != ERR_OK)
        out->failed = true;
    view.pools = pools.views;
    view.pools_length = pools.length;
    view.upstreams = redis.views;
    view.upstreams_length = redis.length;
    if (!out->failed)
        metrics_render(out, &view, 1);
    view_redis_fini(&redis);
    view_pools_fini(&pools);
}
