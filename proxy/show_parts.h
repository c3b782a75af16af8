/*
 * proxy/show_parts.h - the tables of show.h, by kind. Nobody else includes it.
 *
 *      show_sockets.c     CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS
 *      show_pools.c       POOLS
 *      show_databases.c   DATABASES, USERS
 *      show_stats.c       STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS
 *      show_redis.c       REDIS_POOLS, REDIS_CLIENTS
 *      show.c             all others
 */
#ifndef PROXY_SHOW_PARTS_H
#define PROXY_SHOW_PARTS_H

#include "proxy/show.h"
#include "proxy/view_pools.h"
#include "proxy/worker.h"

/* Where the console stands among databases, whatever a client calls it. */
#define SHOW_CONSOLE "pgbouncer"

/* Whose cancel is under way; NULL: nobody's any more. */
const struct broker_place *show_place_of(const struct worker *worker, const void *backend);

/* NULL: its pools say nothing. PgBouncer says something only where there are several hosts. */
const char *show_balance(const char *host);

/* "transaction"; NULL for SETTINGS_POOL_MODE_UNSET. */
const char *show_mode(enum settings_pool_mode mode);

void show_sockets(const struct worker *worker, enum console_show show, struct console_rows *rows);
void show_pools(const struct worker *worker, struct console_rows *rows);
void show_databases(const struct worker *worker, struct console_rows *rows);
void show_databases_users(const struct worker *worker, struct console_rows *rows);
void show_stats(const struct worker *worker, enum console_show show, struct console_rows *rows);
void show_redis_pools(const struct worker *worker, struct console_rows *rows);
void show_redis_clients(const struct worker *worker, struct console_rows *rows);

/* How many databases there are, with the console; how many users. */
size_t show_databases_count(const struct worker *worker);
size_t show_databases_count_users(const struct worker *worker);

#endif
