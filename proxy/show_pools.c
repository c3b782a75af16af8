#include <stdlib.h>
#include <string.h>

#include "proxy/show_parts.h"

/* What PgBouncer calls the states of a pool's clients and servers; in the order of columns. */
struct pool_row {
    const char *database, *user;
    size_t active, waiting, canceling;
    size_t sv_active, sv_being_canceled, sv_idle, sv_tested, sv_login;
    uint64_t longest_wait_us;
    const char *mode, *balance;
};

static void write_row(const struct pool_row *row, struct console_rows *rows)
{
    console_rows_text(rows, row->database);
    console_rows_text(rows, row->user);
    console_rows_number(rows, row->active);
    console_rows_number(rows, row->waiting);
    console_rows_number(rows, row->canceling);
    console_rows_number(rows, 0); /* a cancel waits for no connection */
    console_rows_number(rows, row->sv_active);
    console_rows_number(rows, 0); /* and takes none of the pool's */
    console_rows_number(rows, row->sv_being_canceled);
    console_rows_number(rows, row->sv_idle);
    console_rows_number(rows, 0); /* the idle need no check */
    console_rows_number(rows, row->sv_tested);
    console_rows_number(rows, row->sv_login);
    console_rows_number(rows, row->longest_wait_us / 1000000);
    console_rows_number(rows, row->longest_wait_us % 1000000);
    console_rows_text(rows, row->mode);
    console_rows_text(rows, row->balance);
}

static size_t count_being_canceled(const struct broker_place *place)
{
    const struct pool_server *server = NULL;
    size_t count = 0;

    while ((server = pool_server_after(place->pool, POOL_SERVER_CLEANING, server)) != NULL) {
        const struct backend *backend = pool_server_connection(server);

        count += backend != NULL && backend->canceling > 0;
    }
    return count;
}

/* Cancel requests have no place of their own: it is that of the server they were sent to. */
static size_t count_canceling(const struct worker *worker, const struct broker_place *place)
{
    const struct list *list = &worker->front.sessions[SESSION_CANCELING];
    size_t count = 0;

    for (struct link *link = list_front(list); link != NULL; link = list_after(list, link)) {
        const struct session *session = CONTAINER_OF(link, struct session, link);

        count += show_place_of(worker, session->canceling) == place;
    }
    return count;
}

static void write_pool(const struct worker *worker, const struct view_pools *pools, size_t i,
                       struct console_rows *rows)
{
    const struct broker_place *place = pools->places[i];
    const struct metrics_pool_view *view = &pools->views[i];
    const size_t *clients = view->clients.counts, *servers = view->servers.counts;
    size_t being_canceled = count_being_canceled(place);
    struct pool_row row = {
        .database = view->database,
        .user = view->user,
        .waiting = clients[SESSION_QUEUEING] + clients[SESSION_WELCOMING],
        .canceling = count_canceling(worker, place),
        .sv_active = servers[POOL_SERVER_LEASED],
        .sv_being_canceled = being_canceled,
        .sv_idle = servers[POOL_SERVER_IDLE],
        .sv_tested = servers[POOL_SERVER_CLEANING] - being_canceled,
        .sv_login = servers[POOL_SERVER_OPENING],
        .longest_wait_us = view->longest_wait,
        .mode = show_mode(place->terms.mode),
        .balance = show_balance(place->terms.target.host),
    };

    for (unsigned state = 0; state < SESSION_LEAVING; state++)
        row.active += clients[state];
    row.active -= row.waiting;
    write_row(&row, rows);
}

static void write_console(const struct worker *worker, struct console_rows *rows)
{
    write_row(&(struct pool_row){.database = SHOW_CONSOLE,
                                 .user = SHOW_CONSOLE,
                                 .active = worker->front.sessions[SESSION_CONSOLE].length,
                                 .mode = show_mode(SETTINGS_POOL_MODE_STATEMENT)},
              rows);
}

void show_pools(const struct worker *worker, struct console_rows *rows)
{
    struct view_pools pools;
    size_t i = 0;

    if (view_pools_init(&pools, worker) == ERR_OK) {
        for (; i < pools.length && strcmp(pools.views[i].database, SHOW_CONSOLE) < 0; i++)
            write_pool(worker, &pools, i, rows);
        write_console(worker, rows);
        for (; i < pools.length; i++)
            write_pool(worker, &pools, i, rows);
    } else {
        rows->out->failed = true;
    }
    view_pools_fini(&pools);
}
