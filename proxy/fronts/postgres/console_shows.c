#include "proxy/fronts/postgres/console_shows.h"

#include <strings.h>

/* PgBouncer's letters: text, int4, int8, numeric. A time is sent as text. */
/* clang-format off */
#define T(name) {name, WIRE_TEXT, false}
#define I(name) {name, WIRE_INT4, false}
#define Q(name) {name, WIRE_INT8, false}
#define N(name) {name, WIRE_NUMERIC, false}
#define B(name) {name, WIRE_BYTEA, false}

static const struct wire_column no_columns[] = {T("")};

#define SOCKET_COLUMNS \
    T("type"), T("user"), T("database"), T("replication"), T("state"), T("addr"), I("port"), \
    T("local_addr"), I("local_port"), T("connect_time"), T("request_time"), I("wait"), \
    I("wait_us"), I("close_needed"), T("ptr"), T("link"), I("remote_pid"), T("tls"), \
    T("application_name"), I("prepared_statements"), I("id")

static const struct wire_column client_columns[] = {SOCKET_COLUMNS};

static const struct wire_column socket_columns[] = {
    SOCKET_COLUMNS, I("recv_pos"), I("pkt_pos"), I("pkt_remain"), I("send_pos"), I("send_remain"),
    I("pkt_avail"), I("send_avail"),
};

static const struct wire_column config_columns[] = {
    T("key"), T("value"), T("default"), T("changeable"),
};

static const struct wire_column database_columns[] = {
    T("name"), T("host"), I("port"), T("database"), T("force_user"), I("pool_size"),
    I("min_pool_size"), I("reserve_pool_size"), I("server_lifetime"), T("pool_mode"),
    T("load_balance_hosts"), I("max_connections"), I("current_connections"),
    I("max_client_connections"), I("current_client_connections"), I("paused"), I("disabled"),
};

static const struct wire_column host_columns[] = {T("hostname"), Q("ttl"), T("addrs")};
static const struct wire_column zone_columns[] = {T("zonename"), Q("serial"), I("count")};

static const struct wire_column fd_columns[] = {
    I("fd"), T("task"), T("user"), T("database"), T("addr"), I("port"), Q("cancel"), I("link"),
    T("client_encoding"), T("std_strings"), T("datestyle"), T("timezone"), T("password"),
    B("scram_client_key"), B("scram_server_key"),
};

static const struct wire_column list_columns[] = {T("list"), I("items")};

static const struct wire_column memory_columns[] = {
    T("name"), I("size"), I("used"), I("free"), I("memtotal"),
};

static const struct wire_column peer_columns[] = {
    I("peer_id"), T("host"), I("port"), I("pool_size"),
};

static const struct wire_column peer_pool_columns[] = {
    I("peer_id"), I("cl_active_cancel_req"), I("cl_waiting_cancel_req"), I("sv_active_cancel"),
    I("sv_login"),
};

static const struct wire_column pool_columns[] = {
    T("database"), T("user"), I("cl_active"), I("cl_waiting"), I("cl_active_cancel_req"),
    I("cl_waiting_cancel_req"), I("sv_active"), I("sv_active_cancel"), I("sv_being_canceled"),
    I("sv_idle"), I("sv_used"), I("sv_tested"), I("sv_login"), I("maxwait"), I("maxwait_us"),
    T("pool_mode"), T("load_balance_hosts"),
};

static const struct wire_column guest_columns[] = {
    Q("id"), T("upstream"), T("user"), T("addr"), I("port"), T("state"), I("database"),
    I("protocol"), T("name"), I("owed"), I("subscriptions"), T("own_line"), T("connect_time"),
};

static const struct wire_column redis_columns[] = {
    T("upstream"), T("user"), I("database"), I("protocol"), I("cl_active"), I("cl_waiting"),
    I("sv_shared"), I("sv_subscribing"), I("sv_dedicated"), I("sv_idle"), I("sv_cleaning"),
    I("sv_login"), I("owed"), I("maxwait"), I("maxwait_us"), N("commands"), N("reads"),
    T("reads_per_command"),
};

static const struct wire_column state_columns[] = {T("key"), T("value")};

static const struct wire_column stats_columns[] = {
    T("database"), N("total_server_assignment_count"), N("total_xact_count"),
    N("total_query_count"), N("total_received"), N("total_sent"), N("total_xact_time"),
    N("total_query_time"), N("total_wait_time"), N("total_client_parse_count"),
    N("total_server_parse_count"), N("total_bind_count"), N("total_client_login_count"),
    N("avg_server_assignment_count"), N("avg_xact_count"), N("avg_query_count"), N("avg_recv"),
    N("avg_sent"), N("avg_xact_time"), N("avg_query_time"), N("avg_wait_time"),
    N("avg_client_parse_count"), N("avg_server_parse_count"), N("avg_bind_count"),
    N("avg_client_login_count"),
};

#define STATS_COLUMNS \
    T("database"), N("server_assignment_count"), N("xact_count"), N("query_count"), \
    N("bytes_received"), N("bytes_sent"), N("xact_time"), N("query_time"), N("wait_time")

static const struct wire_column total_columns[] = {
    STATS_COLUMNS, N("client_parse_count"), N("server_parse_count"), N("bind_count"),
    N("client_login_count"),
};

static const struct wire_column average_columns[] = {
    STATS_COLUMNS, N("avg_client_parse_count"), N("avg_server_parse_count"), N("avg_bind_count"),
    N("avg_client_login_count"),
};

static const struct wire_column sum_columns[] = {T("name"), N("value")};

static const struct wire_column user_columns[] = {
    T("name"), T("pool_size"), T("reserve_pool_size"), T("pool_mode"), I("max_user_connections"),
    I("current_connections"), I("max_user_client_connections"), I("current_client_connections"),
};

static const struct wire_column version_columns[] = {T("version")};
/* clang-format on */

static const struct console_table tables[CONSOLE_SHOWS_COUNT] = {
#define X(name, columns)                                                                           \
    [CONSOLE_SHOWS_##name] = {#name, CONSOLE_SHOWS_##name, columns,                                \
                              CONSOLE_SHOWS_##name == CONSOLE_SHOWS_HELP ? 0 : COUNT_OF(columns)},
    CONSOLE_SHOWS(X)
#undef X
};

const struct console_table *console_shows_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        if (strcasecmp(name, tables[i].name) == 0)
            return &tables[i];
    return NULL;
}

const struct console_table *console_shows_table(enum console_show show)
{
    return &tables[show];
}
