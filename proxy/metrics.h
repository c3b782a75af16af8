/*
 * proxy/metrics.h - everything that is counted, a line each.
 *
 * A counter is a field that whoever sees the event raises:
 *
 *      pool->metrics.queries++;
 *      histogram_record(&pool->metrics.wait, microseconds);
 *
 * A new metric is one new line in a list below: the field, the name, the sentence, what
 * /metrics shows and the README's table all come from it. What can be looked up when
 * somebody asks (who is where, who waits) is not counted but put into a view:
 *
 *      struct metrics_view view = {.process = &worker->metrics, ...};
 *      metrics_render(&out, &view, 1);
 *
 * Each worker counts for itself and gives one view; pools of the same database and user
 * are added up, and upstreams of the same name, so that there is one series for each
 * however many workers there are.
 */
#ifndef PROXY_METRICS_H
#define PROXY_METRICS_H

#include "base/bytes.h"
#include "base/histogram.h"

/* clang-format off */

/* Per pool. Labels: database, user. */
#define METRICS_POOL_COUNTERS(X) \
    X(transactions,          "weir_pool_transactions_total",          "Transactions that ended.") \
    X(queries,               "weir_pool_queries_total",               "Queries that were answered.") \
    X(bytes_from_clients,    "weir_pool_client_received_bytes_total", "Bytes that clients sent.") \
    X(bytes_to_clients,      "weir_pool_client_sent_bytes_total",     "Bytes sent to clients.") \
    X(logins,                "weir_pool_logins_total",                "Clients that logged in.") \
    X(statements_from_clients, "weir_pool_client_statements_total",   "Prepared statements with a name that clients made.") \
    X(statements_to_servers, "weir_pool_server_statements_total",     "Times such a statement was prepared on a server.") \
    X(statements_bound,      "weir_pool_bound_statements_total",      "Times clients bound such a statement.") \
    X(waited_too_long,       "weir_pool_wait_timeouts_total",         "Clients refused because no connection became free in time.") \
    X(servers_opened,        "weir_pool_servers_opened_total",        "Server connections opened and logged in.") \
    X(servers_not_opened,    "weir_pool_servers_failed_total",        "Server connections that could not be opened.") \
    X(servers_closed,        "weir_pool_servers_closed_total",        "Server connections closed by Weir.") \
    X(servers_lost,          "weir_pool_servers_lost_total",          "Server connections that broke or were closed by the server.") \
    X(servers_cleaned,       "weir_pool_servers_cleaned_total",       "Times a server connection was cleaned of what a client had left.") \
    X(cancels,               "weir_pool_cancels_total",               "Cancel requests passed on to a server.") \
    X(cancels_repeated,      "weir_pool_cancels_repeated_total",      "Cancel requests sent again or later, as the server had not come to the query.")

#define METRICS_POOL_TIMES(X) \
    X(wait,                  "weir_pool_wait_seconds",                "How long clients waited for a server connection.") \
    X(transaction,           "weir_pool_transaction_seconds",         "How long transactions took.") \
    X(query,                 "weir_pool_query_seconds",               "How long queries took.")

/* From the view: ADDED up over the workers or the MOST of them; a NUMBER, or a TIME that
 * is given in microseconds. */
#define METRICS_POOL_GAUGES(X) \
    X(waiting,      ADDED, NUMBER, "weir_pool_waiting_clients",             "Clients that wait for a server connection.") \
    X(longest_wait, MOST,  TIME,   "weir_pool_longest_wait_seconds",        "How long the first of those that wait has waited.") \
    X(max_servers,  MOST,  NUMBER, "weir_pool_servers_limit",               "How many server connections the pool may have.")

/* Per upstream of [redis]. Label: upstream. */
#define METRICS_REDIS_COUNTERS(X) \
    X(accepted,              "weir_redis_connections_accepted_total", "Client connections accepted.") \
    X(turned_away,           "weir_redis_clients_rejected_total",     "Clients rejected because of max_clients.") \
    X(logins_failed,         "weir_redis_logins_failed_total",        "AUTH and HELLO of clients that were refused.") \
    X(protocol_violations,   "weir_redis_protocol_violations_total",  "Client connections ended because of what the client sent.") \
    X(output_limit,          "weir_redis_output_limit_total",         "Client connections ended because of client_output_limit.") \
    X(commands,              "weir_redis_commands_total",             "Commands that clients sent.") \
    X(shared,                "weir_redis_commands_shared_total",      "Commands of those that went to a shared link.") \
    X(dedicated,             "weir_redis_commands_dedicated_total",   "Commands of those that went to a link of their client's own.") \
    X(command_timeouts,      "weir_redis_command_timeouts_total",     "Commands refused because of command_timeout.") \
    X(waited_too_long,       "weir_redis_wait_timeouts_total",        "Commands refused because no link became free in time.") \
    X(waiting_refused,       "weir_redis_waiting_refused_total",      "Commands refused because of max_waiting.") \
    X(commands_lost,         "weir_redis_commands_lost_total",        "Commands without a reply because their link was lost.") \
    X(replies_swallowed,     "weir_redis_replies_swallowed_total",    "Replies that came when their client no longer waited for them.") \
    X(bytes_from_clients,    "weir_redis_client_received_bytes_total", "Bytes that clients sent.") \
    X(bytes_to_clients,      "weir_redis_client_sent_bytes_total",    "Bytes sent to clients.") \
    X(bytes_from_redis,      "weir_redis_server_received_bytes_total", "Bytes that Redis sent.") \
    X(bytes_to_redis,        "weir_redis_server_sent_bytes_total",    "Bytes sent to Redis.") \
    X(reads_from_clients,    "weir_redis_client_reads_total",         "Times bytes were read from a client.") \
    X(writes_to_clients,     "weir_redis_client_writes_total",        "Times bytes were written to a client.") \
    X(reads_from_redis,      "weir_redis_server_reads_total",         "Times bytes were read from Redis; few a command where many share.") \
    X(writes_to_redis,       "weir_redis_server_writes_total",        "Times bytes were written to Redis; few a command where many share.") \
    X(links_opened,          "weir_redis_links_opened_total",         "Links opened and logged in.") \
    X(links_not_opened,      "weir_redis_links_failed_total",         "Links that could not be opened.") \
    X(links_lost,            "weir_redis_links_lost_total",           "Links that broke or were closed by Redis.") \
    X(links_stuck,           "weir_redis_links_stuck_total",          "Links closed because of stuck_timeout.") \
    X(links_cleaned,         "weir_redis_links_cleaned_total",        "Times a link was cleaned of what a client had left.") \
    X(messages_received,     "weir_redis_messages_received_total",    "Messages of pub/sub received on subscribing links.") \
    X(messages_delivered,    "weir_redis_messages_delivered_total",   "Messages of those sent to clients.")

#define METRICS_REDIS_GAUGES(X) \
    X(waiting,           ADDED, NUMBER, "weir_redis_waiting_clients",       "Clients that wait for a link.") \
    X(longest_wait,      MOST,  TIME,   "weir_redis_longest_wait_seconds",  "How long the first of those that wait has waited.") \
    X(shared_links,      ADDED, NUMBER, "weir_redis_shared_links",          "Links that clients share.") \
    X(subscribing_links, ADDED, NUMBER, "weir_redis_subscribing_links",     "Links that subscribe for clients.") \
    X(owed,              ADDED, NUMBER, "weir_redis_replies_owed",          "Replies that Redis owes on shared links.") \
    X(subscriptions,     ADDED, NUMBER, "weir_redis_subscriptions",         "Channels and patterns that clients are subscribed to, each client's counted.") \
    X(max_dedicated,     MOST,  NUMBER, "weir_redis_dedicated_links_limit", "How many links of their own clients of one user may have (max_dedicated).")

/* The HTTP door. No labels. */
#define METRICS_HTTP_COUNTERS(X) \
    X(accepted,    "weir_http_connections_accepted_total", "HTTP connections accepted.") \
    X(turned_away, "weir_http_connections_rejected_total", "HTTP connections rejected because of max_connections.") \
    X(requests,    "weir_http_requests_total",             "HTTP requests that a page was asked with.") \
    X(refused,     "weir_http_requests_refused_total",     "HTTP requests answered with an error before any page was asked.") \
    X(too_large,   "weir_http_requests_too_large_total",   "HTTP requests of those that were too long: max_header_size, max_buffered, or what their page takes.") \
    X(too_late,    "weir_http_timeouts_total",             "HTTP connections ended because their client was too slow.") \
    X(gone,        "weir_http_clients_gone_total",         "HTTP clients that hung up while their request was worked on.") \
    X(let_in,      "weir_http_logins_total",               "HTTP requests whose token or password was right, or that needed none.") \
    X(shut_out,    "weir_http_logins_failed_total",        "HTTP requests refused for who sent them, those that are to wait included.") \
    X(slowed_down, "weir_http_logins_slowed_total",        "HTTP requests refused unchecked, after too many wrong tokens and passwords.") \
    X(bytes_in,    "weir_http_received_bytes_total",       "Bytes that HTTP clients sent.") \
    X(bytes_out,   "weir_http_sent_bytes_total",           "Bytes sent to HTTP clients.")

#define METRICS_HTTP_GAUGES(X) \
    X(buffered,        ADDED, NUMBER, "weir_http_buffered_bytes",    "Bytes of the bodies of HTTP requests that are being read or worked on.") \
    X(max_connections, MOST,  NUMBER, "weir_http_connections_limit", "How many HTTP connections there may be (max_connections).")

/* The whole program. No labels. */
#define METRICS_PROCESS_COUNTERS(X) \
    X(accepted,              "weir_connections_accepted_total",       "Client connections accepted.") \
    X(logins,                "weir_logins_total",                     "Clients that logged in.") \
    X(logins_failed,         "weir_logins_failed_total",              "Logins that were refused.") \
    X(turned_away,           "weir_clients_rejected_total",           "Clients rejected because of max_client_conn.") \
    X(protocol_violations,   "weir_protocol_violations_total",        "Connections ended because of what the client sent.") \
    X(cancel_requests,       "weir_cancel_requests_total",            "Cancel requests received.") \
    X(listens_unshared,      "weir_listens_unshared_total",           "LISTENs that keep a server connection, for want of a shared one.") \
    X(listening_lost,        "weir_listening_servers_lost_total",     "Shared listening connections that broke or could not be opened.") \
    X(notifications_received, "weir_notifications_received_total",    "Notifications received on shared listening connections.") \
    X(notifications_delivered, "weir_notifications_delivered_total",  "Notifications of those sent to clients.") \
    X(notifications_dropped, "weir_notifications_dropped_total",      "Notifications that a client which was closed for its queue had not taken.") \
    X(loop_turns,            "weir_loop_turns_total",                 "Turns of the event loops.")

#define METRICS_PROCESS_GAUGES(X) \
    X(listening,    ADDED, NUMBER, "weir_listening_servers",                "Server connections that listen for clients; they belong to no pool.") \
    X(channels,     ADDED, NUMBER, "weir_listen_channels",                  "Channels that are listened to for clients.") \
    X(listeners,    ADDED, NUMBER, "weir_listeners",                        "Clients that listen without keeping a server connection.") \
    X(max_clients,  MOST,  NUMBER, "weir_clients_limit",                    "How many clients may be connected (max_client_conn).") \
    X(descriptors,  MOST,  NUMBER, "weir_open_descriptors",                 "File descriptors in use.") \
    X(start_time,   MOST,  TIME,   "weir_start_time_seconds",               "When Weir started, in seconds since 1970.")

/* clang-format on */

struct metrics_pool {
#define X(field, ...) uint64_t field;
    METRICS_POOL_COUNTERS(X)
#undef X
#define X(field, ...) struct histogram field;
    METRICS_POOL_TIMES(X)
#undef X
};

struct metrics_redis {
#define X(field, ...) uint64_t field;
    METRICS_REDIS_COUNTERS(X)
#undef X
};

struct metrics_http {
#define X(field, ...) uint64_t field;
    METRICS_HTTP_COUNTERS(X)
#undef X
};

struct metrics_process {
#define X(field, ...) uint64_t field;
    METRICS_PROCESS_COUNTERS(X)
#undef X
};

/* How many are in each state. The names are the same in all views. */
struct metrics_states {
    const char *const *names;
    const size_t *counts;
    size_t length;
};

struct metrics_pool_view {
    const char *database, *user;
    const struct metrics_pool *counted;
    struct metrics_states clients, servers;
    struct metrics_states pinned; /* clients that keep their server now, by reason; ... */
    struct metrics_states pins;   /* ... and since the start */
#define X(field, ...) uint64_t field;
    METRICS_POOL_GAUGES(X)
#undef X
};

struct metrics_redis_view {
    const char *upstream;
    const struct metrics_redis *counted;
    struct metrics_states clients, dedicated; /* dedicated: links of clients' own */
#define X(field, ...) uint64_t field;
    METRICS_REDIS_GAUGES(X)
#undef X
};

struct metrics_http_view {
    struct metrics_http counted;
    struct metrics_states connections;
#define X(field, ...) uint64_t field;
    METRICS_HTTP_GAUGES(X)
#undef X
};

struct metrics_view {
    const char *version;
    const struct metrics_process *counted;
    struct metrics_states clients; /* of all pools, and those that are in none yet */
    const struct metrics_pool_view *pools;
    size_t pools_length;
    const struct metrics_redis_view *upstreams;
    size_t upstreams_length;
    struct metrics_http_view http;
#define X(field, ...) uint64_t field;
    METRICS_PROCESS_GAUGES(X)
#undef X
};

/* What Prometheus reads, of the views of all workers; at least one. */
void metrics_render(struct bytes *out, const struct metrics_view *views, size_t length);

/* All metrics as a Markdown table, for the README. */
void metrics_describe(struct bytes *out);

#endif
