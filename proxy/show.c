#include "proxy/show.h"

#include <string.h>

#include "drivers/postgres/backend.h"
#include "proxy/fronts/postgres/console.h"
#include "proxy/show_parts.h"

/* ---- words ------------------------------------------------------------------------------- */

const char *show_balance(const char *host)
{
    return host != NULL && strchr(host, ',') != NULL ? "disable" : NULL; /* libpq's way */
}

const char *show_mode(enum settings_pool_mode mode)
{
    static const char *const modes[] = {
        [SETTINGS_POOL_MODE_SESSION] = "session",
        [SETTINGS_POOL_MODE_TRANSACTION] = "transaction",
        [SETTINGS_POOL_MODE_STATEMENT] = "statement",
    };

    return mode != SETTINGS_POOL_MODE_UNSET ? modes[mode] : NULL;
}

static bool has_server(const struct broker_place *place, const void *backend)
{
    for (unsigned state = 0; state < POOL_SERVER_STATE_COUNT; state++) {
        const struct pool_server *server = NULL;

        while ((server = pool_server_after(place->pool, (enum pool_server_state)state, server)))
            if (pool_server_connection(server) == backend)
                return true;
    }
    return false;
}

const struct broker_place *show_place_of(const struct worker *worker, const void *backend)
{
    const struct broker_place *place = worker->broker.places;

    while (place != NULL && !has_server(place, backend))
        place = place->hh.next;
    return place;
}

/* ---- small tables ------------------------------------------------------------------------ */

static void show_config(const struct worker *worker, struct console_rows *rows)
{
    struct bytes value = {0};

    for (size_t i = 0; i < settings_table.count; i++) {
        const struct option_row *row = &settings_table.rows[i];
        bool is_set;

        bytes_clear(&value);
        is_set = option_print(row, &worker->config->settings, &value);
        bytes_add(&value, "", 1);
        rows->out->failed |= value.failed;
        console_rows_text(rows, row->name);
        console_rows_text(rows, is_set && !value.failed ? (const char *)value.at : NULL);
        console_rows_text(rows, row->standard);
        console_rows_text(rows, row->when == OPTION_LIVE ? "yes" : "no");
    }
    bytes_free(&value);
}

static size_t count_servers(const struct worker *worker)
{
    size_t count = 0;

    for (const struct broker_place *place = worker->broker.places; place; place = place->hh.next)
        for (unsigned state = POOL_SERVER_VACANT + 1; state < POOL_SERVER_STATE_COUNT; state++)
            count += pool_count(place->pool, (enum pool_server_state)state);
    return count;
}

static size_t count_clients(const struct worker *worker)
{
    size_t count = 0;

    for (unsigned state = 0; state < SESSION_STATE_COUNT; state++)
        count += worker->front.sessions[state].length;
    return count;
}

static void show_lists(const struct worker *worker, struct console_rows *rows)
{
    const struct {
        const char *list;
        size_t items;
    } lists[] = {
        {"databases", show_databases_count(worker)},
        {"users", show_databases_count_users(worker)},
        {"peers", 0},
        {"pools", HASH_COUNT(worker->broker.places) + 1},
        {"peer_pools", 0},
        {"free_clients", 0}, /* what nobody uses is given back at once */
        {"used_clients", count_clients(worker)},
        {"login_clients", worker->front.sessions[SESSION_GREETING].length},
        {"free_servers", 0},
        {"used_servers", count_servers(worker)},
        {"dns_names", 0},
        {"dns_zones", 0},
        {"dns_queries", 0},
        {"dns_pending", 0},
    };

    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        console_rows_text(rows, lists[i].list);
        console_rows_number(rows, lists[i].items);
    }
}

static void show_mem(const struct worker *worker, struct console_rows *rows)
{
    const struct {
        const char *name;
        size_t size, used;
    } kinds[] = {
        {"pool_cache", sizeof(struct broker_place), HASH_COUNT(worker->broker.places)},
        {"server_cache", sizeof(struct backend), count_servers(worker)},
        {"client_cache", sizeof(struct session), count_clients(worker)},
        {"iobuf_cache", worker->streams.size, 1}, /* all read into the same one */
    };

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        console_rows_text(rows, kinds[i].name);
        console_rows_number(rows, kinds[i].size);
        console_rows_number(rows, kinds[i].used);
        console_rows_number(rows, 0);
        console_rows_number(rows, kinds[i].size * kinds[i].used);
    }
}

static void show_state(struct console_rows *rows)
{
    static const char *const states[][2] = {
        {"active", "yes"}, {"paused", "no"}, {"suspended", "no"}};

    for (size_t i = 0; i < COUNT_OF(states); i++) {
        console_rows_text(rows, states[i][0]);
        console_rows_text(rows, states[i][1]);
    }
}

/* ---- all of them ------------------------------------------------------------------------- */

void show_fill(const struct worker *worker, enum console_show show, struct console_rows *rows)
{
    switch (show) {
    case CONSOLE_SHOWS_CLIENTS:
    case CONSOLE_SHOWS_SERVERS:
    case CONSOLE_SHOWS_SOCKETS:
    case CONSOLE_SHOWS_ACTIVE_SOCKETS:
        show_sockets(worker, show, rows);
        break;
    case CONSOLE_SHOWS_STATS:
    case CONSOLE_SHOWS_STATS_TOTALS:
    case CONSOLE_SHOWS_STATS_AVERAGES:
    case CONSOLE_SHOWS_TOTALS:
        show_stats(worker, show, rows);
        break;
    case CONSOLE_SHOWS_CONFIG:
        show_config(worker, rows);
        break;
    case CONSOLE_SHOWS_DATABASES:
        show_databases(worker, rows);
        break;
    case CONSOLE_SHOWS_USERS:
        show_databases_users(worker, rows);
        break;
    case CONSOLE_SHOWS_LISTS:
        show_lists(worker, rows);
        break;
    case CONSOLE_SHOWS_MEM:
        show_mem(worker, rows);
        break;
    case CONSOLE_SHOWS_POOLS:
        show_pools(worker, rows);
        break;
    case CONSOLE_SHOWS_REDIS_CLIENTS:
        show_redis_clients(worker, rows);
        break;
    case CONSOLE_SHOWS_REDIS_POOLS:
        show_redis_pools(worker, rows);
        break;
    case CONSOLE_SHOWS_STATE:
        show_state(rows);
        break;
    case CONSOLE_SHOWS_VERSION:
        console_rows_text(rows, "PgBouncer " CONSOLE_VERSION " (weir " WEIR_VERSION ")");
        break;
    case CONSOLE_SHOWS_DNS_HOSTS: /* of these there is nothing */
    case CONSOLE_SHOWS_DNS_ZONES:
    case CONSOLE_SHOWS_PEERS:
    case CONSOLE_SHOWS_PEER_POOLS:
    case CONSOLE_SHOWS_FDS: /* these have no rows */
    case CONSOLE_SHOWS_HELP:
    case CONSOLE_SHOWS_COUNT:
        break;
    }
}
