#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/metrics.h"

static const char *const client_states[] = {"active", "waiting"};
static const char *const server_states[] = {"idle", "leased"};
static const char *const guest_states[] = {"resting", "subscribed"};

static const char *const http_states[] = {"resting", "working"};

/* What a worker would have: two pools, and two upstreams of [redis]. */
struct worker {
    struct metrics_process process;
    struct metrics_pool ana, bob;
    size_t clients[2], servers[2];
    struct metrics_pool_view pools[2];
    struct metrics_redis queue, cache;
    size_t guests[2], links[2];
    struct metrics_redis_view upstreams[2];
    struct metrics_http http;
    size_t connections[2];
};

static struct worker one, other;
static struct bytes out;

static void clean_up(void)
{
    bytes_free(&out);
    clean_end();
}

TestSuite(metrics, .fini = clean_up);

static struct metrics_view view_of(struct worker *w)
{
    struct metrics_states clients = {client_states, w->clients, 2};
    struct metrics_states servers = {server_states, w->servers, 2};

    w->pools[0] = (struct metrics_pool_view){"shop",  "bob",   &w->bob, clients, servers,
                                             servers, clients, 0,       0,       5};
    w->pools[1] = (struct metrics_pool_view){
        "app", "ana", &w->ana, clients, servers, servers, clients, 2, 1500000 + w->ana.queries, 20};
    w->upstreams[0] = (struct metrics_redis_view){
        .upstream = "queue",
        .counted = &w->queue,
        .clients = {guest_states, w->guests, 2},
        .dedicated = {server_states, w->links, 2},
    };
    w->upstreams[1] = w->upstreams[0];
    w->upstreams[1].upstream = "cache";
    w->upstreams[1].counted = &w->cache;
    w->upstreams[1].shared_links = 1;
    w->upstreams[1].max_dedicated = 64;
    return (struct metrics_view){.version = "0.1.0",
                                 .counted = &w->process,
                                 .clients = clients,
                                 .pools = w->pools,
                                 .pools_length = 2,
                                 .upstreams = w->upstreams,
                                 .upstreams_length = 2,
                                 .http = {.counted = w->http,
                                          .connections = {http_states, w->connections, 2},
                                          .buffered = w->connections[0] * 100,
                                          .max_connections = 1000},
                                 .max_clients = 100,
                                 .descriptors = 12,
                                 .start_time = 1800000000000000};
}

static const char *text(void)
{
    bytes_add(&out, "", 1);
    cr_assert_not(out.failed);
    return (const char *)out.at;
}

static void has(const char *line)
{
    cr_assert_not_null(strstr((const char *)out.at, line), "%s is not in:\n%s", line, out.at);
}

Test(metrics, the_program_comes_first_then_its_pools_by_name)
{
    static const char expected[] =
        "# HELP weir_build_info Always 1; its label is Weir's version.\n"
        "# TYPE weir_build_info gauge\n"
        "weir_build_info{version=\"0.1.0\"} 1\n"
        "# HELP weir_listening_servers Server connections that listen for clients; they belong to "
        "no pool.\n"
        "# TYPE weir_listening_servers gauge\n"
        "weir_listening_servers 0\n"
        "# HELP weir_listen_channels Channels that are listened to for clients.\n"
        "# TYPE weir_listen_channels gauge\n"
        "weir_listen_channels 0\n"
        "# HELP weir_listeners Clients that listen without keeping a server connection.\n"
        "# TYPE weir_listeners gauge\n"
        "weir_listeners 0\n"
        "# HELP weir_clients_limit How many clients may be connected "
        "(max_client_conn).\n"
        "# TYPE weir_clients_limit gauge\n"
        "weir_clients_limit 100\n"
        "# HELP weir_open_descriptors File descriptors in use.\n"
        "# TYPE weir_open_descriptors gauge\n"
        "weir_open_descriptors 12\n"
        "# HELP weir_start_time_seconds When Weir started, in seconds since "
        "1970.\n"
        "# TYPE weir_start_time_seconds gauge\n"
        "weir_start_time_seconds 1800000000.000000\n"
        "# HELP weir_clients Clients by what they are doing.\n"
        "# TYPE weir_clients gauge\n"
        "weir_clients{state=\"active\"} 1\n"
        "weir_clients{state=\"waiting\"} 0\n"
        "# HELP weir_connections_accepted_total Client connections accepted.\n"
        "# TYPE weir_connections_accepted_total counter\n"
        "weir_connections_accepted_total 7\n";
    struct metrics_view view;

    one.process.accepted = 7;
    one.clients[0] = 1;
    one.ana.queries = 3;
    view = view_of(&one);
    view.pools_length = 0;
    metrics_render(&out, &view, 1);
    cr_assert_eq(strncmp(text(), expected, sizeof(expected) - 1), 0, "%s", out.at);
    bytes_clear(&out);

    view = view_of(&one);
    metrics_render(&out, &view, 1);
    text();
    has("# TYPE weir_pool_queries_total counter\n"
        "weir_pool_queries_total{database=\"app\",user=\"ana\"} 3\n"
        "weir_pool_queries_total{database=\"shop\",user=\"bob\"} 0\n"
        "# HELP ");
    has("weir_pool_clients{database=\"app\",user=\"ana\",state=\"active\"} 1\n"
        "weir_pool_clients{database=\"app\",user=\"ana\",state=\"waiting\"} 0\n");
}

Test(metrics, the_workers_are_added_up_to_one_series_a_pool)
{
    struct metrics_view views[2];

    one.process.logins = 1, other.process.logins = 2;
    one.ana.queries = 10, other.ana.queries = 20;
    one.servers[1] = 3, other.servers[1] = 4;
    histogram_record(&one.ana.wait, 100);
    histogram_record(&other.ana.wait, 1000);
    views[0] = view_of(&one);
    views[1] = view_of(&other);
    metrics_render(&out, views, 2);
    text();
    has("weir_logins_total 3\n");
    has("# TYPE weir_pool_queries_total counter\n"
        "weir_pool_queries_total{database=\"app\",user=\"ana\"} 30\n"
        "weir_pool_queries_total{database=\"shop\",user=\"bob\"} 0\n"
        "# HELP ");
    has("weir_pool_servers{database=\"app\",user=\"ana\",state=\"leased\"} 7\n");
    has("weir_pool_waiting_clients{database=\"app\",user=\"ana\"} 4\n");
    has("weir_pool_longest_wait_seconds{database=\"app\",user=\"ana\"} 1.500020\n");
    has("weir_pool_servers_limit{database=\"app\",user=\"ana\"} 20\n");
    has("weir_pool_wait_seconds_bucket{database=\"app\",user=\"ana\",le=\"0.000128\"} 1\n");
    has("weir_pool_wait_seconds_sum{database=\"app\",user=\"ana\"} 0.001100\n"
        "weir_pool_wait_seconds_count{database=\"app\",user=\"ana\"} 2\n");
}

Test(metrics, upstreams_of_redis_are_shown_by_name_and_added_up)
{
    struct metrics_view views[2];

    one.cache.commands = 5, other.cache.commands = 6, one.queue.reads_from_redis = 1;
    one.guests[1] = 2, other.guests[1] = 3, one.links[0] = 4;
    views[0] = view_of(&one);
    views[1] = view_of(&other);
    views[1].upstreams_length = 1; /* as if that worker had only one of them */
    metrics_render(&out, views, 2);
    text();
    has("# TYPE weir_redis_commands_total counter\n"
        "weir_redis_commands_total{upstream=\"cache\"} 5\n"
        "weir_redis_commands_total{upstream=\"queue\"} 0\n"
        "# HELP ");
    bytes_clear(&out);

    views[1] = view_of(&other);
    metrics_render(&out, views, 2);
    text();
    has("weir_redis_commands_total{upstream=\"cache\"} 11\n"
        "weir_redis_commands_total{upstream=\"queue\"} 0\n"
        "# HELP ");
    has("weir_redis_server_reads_total{upstream=\"queue\"} 1\n");
    has("weir_redis_clients{upstream=\"cache\",state=\"resting\"} 0\n"
        "weir_redis_clients{upstream=\"cache\",state=\"subscribed\"} 5\n"
        "weir_redis_clients{upstream=\"queue\",state=\"resting\"} 0\n");
    has("weir_redis_dedicated_links{upstream=\"queue\",state=\"idle\"} 4\n");
    has("weir_redis_shared_links{upstream=\"cache\"} 2\n"
        "weir_redis_shared_links{upstream=\"queue\"} 0\n");
    has("weir_redis_dedicated_links_limit{upstream=\"cache\"} 64\n");
}

Test(metrics, the_http_doors_of_all_workers_are_one)
{
    struct metrics_view views[2];

    one.http.requests = 40;
    other.http.requests = 2;
    one.connections[0] = 3;
    other.connections[0] = 4;
    other.connections[1] = 5;
    views[0] = view_of(&one);
    views[1] = view_of(&other);
    metrics_render(&out, views, 2);
    has("weir_http_requests_total 42\n");
    has("weir_http_connections{state=\"resting\"} 7\n");
    has("weir_http_connections{state=\"working\"} 5\n");
    has("weir_http_buffered_bytes 700\n");
    has("weir_http_connections_limit 1000\n");
}

Test(metrics, prometheus_own_tool_has_nothing_to_say)
{
    struct metrics_view view = view_of(&one);
    FILE *tool;

    if (system("command -v promtool >/dev/null") != 0)
        cr_skip("promtool is not installed (Debian: prometheus)");
    one.pools[0].database = "q\"uo\\te\n";
    one.upstreams[0].upstream = "q\"uo\\te\n";
    metrics_render(&out, &view, 1);
    cr_assert_not_null(tool = popen("promtool check metrics >&2", "w"));
    cr_assert_eq(fwrite(out.at, 1, out.length, tool), out.length);
    cr_assert_eq(pclose(tool), 0);
}

Test(metrics, every_metric_is_described_and_every_described_one_is_shown)
{
    struct metrics_view view = view_of(&one);
    struct bytes table = {0};
    size_t described = 0, shown = 0;

    metrics_describe(&table);
    bytes_add(&table, "", 1);
    metrics_render(&out, &view, 1);
    for (const char *at = text(); (at = strstr(at, "# HELP ")) != NULL; at++)
        shown++;
    for (const char *at = (const char *)table.at; (at = strstr(at, "| `weir_")) != NULL; at++)
        described++;
    cr_assert_eq(described, shown);
    cr_assert_not_null(strstr((const char *)table.at,
                              "| `weir_pool_queries_total` | counter | database, user | Queries "
                              "that were answered. |\n"));
    cr_assert_not_null(strstr((const char *)table.at,
                              "| `weir_redis_clients` | gauge | upstream, state | Clients of the "
                              "upstream by what they are doing. |\n"));
    bytes_free(&table);
}
