/*
 * proxy/fronts/postgres/console_shows.h - what SHOW can show, and in which columns.
 *
 *      show = console_shows_find("pools");         NULL: nothing of that name
 *      wire_add_row_description(&out, show->columns, show->count);
 *      ... and rows, by console_rows.h, of whoever knows them
 *
 * Columns are PgBouncer's (1.25 and what comes after), in its order and of its types, so that
 * what was built on its console goes on working; REDIS_POOLS and REDIS_CLIENTS are weir's own.
 * A new table is one line of CONSOLE_SHOWS and one list of columns.
 *
 * Source: PgBouncer, doc/usage.md, "Show commands", and src/admin.c and stats.c where those
 * say it otherwise.
 */
#ifndef PROXY_FRONTS_POSTGRES_CONSOLE_SHOWS_H
#define PROXY_FRONTS_POSTGRES_CONSOLE_SHOWS_H

#include "base/contract.h"
#include "drivers/postgres/wire.h"

/* clang-format off */
#define CONSOLE_SHOWS(X) \
    /* table           columns          what it shows, one a row */ \
    X(ACTIVE_SOCKETS,  socket_columns)   /* connections of which bytes are kept */ \
    X(CLIENTS,         client_columns)   /* clients that have logged in */ \
    X(CONFIG,          config_columns)   /* settings */ \
    X(DATABASES,       database_columns) /* databases, and the console */ \
    X(DNS_HOSTS,       host_columns)     /* nothing: libuv keeps no names */ \
    X(DNS_ZONES,       zone_columns)     /* nothing */ \
    X(FDS,             fd_columns)       /* not supported */ \
    X(HELP,            no_columns)       /* a notice */ \
    X(LISTS,           list_columns)     /* kinds of things, and how many there are */ \
    X(MEM,             memory_columns)   /* kinds of memory */ \
    X(PEERS,           peer_columns)     /* nothing: there are no peers yet */ \
    X(PEER_POOLS,      peer_pool_columns) /* nothing */ \
    X(POOLS,           pool_columns)     /* pools */ \
    X(REDIS_CLIENTS,   guest_columns)    /* clients of the Redis door */ \
    X(REDIS_POOLS,     redis_columns)    /* users, databases and protocols of each upstream */ \
    X(SERVERS,         client_columns)   /* server connections */ \
    X(SOCKETS,         socket_columns)   /* connections of both sides */ \
    X(STATE,           state_columns)    /* active, paused, suspended */ \
    X(STATS,           stats_columns)    /* databases */ \
    X(STATS_AVERAGES,  average_columns)  /* databases */ \
    X(STATS_TOTALS,    total_columns)    /* databases */ \
    X(TOTALS,          sum_columns)      /* figures, of all databases together */ \
    X(USERS,           user_columns)     /* users of auth_file and [users] */ \
    X(VERSION,         version_columns)  /* what weir is compatible with, and its own version */
/* clang-format on */

enum console_show {
#define X(show, ...) CONSOLE_SHOWS_##show,
    CONSOLE_SHOWS(X)
#undef X
        CONSOLE_SHOWS_COUNT
};

struct console_table {
    const char *name;
    enum console_show show;
    const struct wire_column *columns;
    uint16_t count; /* 0: it has no rows */
};

/* In any case of letters. */
const struct console_table *console_shows_find(const char *name) MUST_CHECK;
const struct console_table *console_shows_table(enum console_show show);

#endif
