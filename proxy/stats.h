/*
 * proxy/stats.h - what has been done for a database, as SHOW STATS has it.
 *
 *      stats_add_pool(&sum, &place->metrics);                           since the start
 *      stats_average(&average, &sum, &before, now_us - before_us);      ... of late
 *
 * The figures are those of metrics.h under PgBouncer's names. A period's average compares what
 * is now with what was at the end of the period before the last: so it is over one period at
 * least, and two at most.
 *
 * Source: PgBouncer, doc/usage.md, "SHOW STATS", and calc_average() in src/stats.c.
 */
#ifndef PROXY_STATS_H
#define PROXY_STATS_H

#include "proxy/metrics.h"

/* clang-format off */
#define STATS(X) \
    /* figure             name in SHOW TOTALS        where it is counted          its average */ \
    X(ASSIGNMENTS,        "server_assignment_count", wait.count,                  A_SECOND) \
    X(TRANSACTIONS,       "xact_count",              transactions,                A_SECOND) \
    X(QUERIES,            "query_count",             queries,                     A_SECOND) \
    X(RECEIVED,           "client_bytes",            bytes_from_clients,          A_SECOND) \
    X(SENT,               "server_bytes",            bytes_to_clients,            A_SECOND) \
    X(TRANSACTION_TIME,   "xact_time",               transaction.sum,             OF_TRANSACTIONS) \
    X(QUERY_TIME,         "query_time",              query.sum,                   OF_QUERIES) \
    X(WAIT_TIME,          "wait_time",               wait.sum,                    OF_ASSIGNMENTS) \
    X(CLIENT_PARSES,      "ps_client_parse_count",   statements_from_clients,     A_SECOND) \
    X(SERVER_PARSES,      "ps_server_parse_count",   statements_to_servers,       A_SECOND) \
    X(BINDS,              "ps_bind_count",           statements_bound,            A_SECOND) \
    X(LOGINS,             "client_login_count",      logins,                      A_SECOND)
/* clang-format on */

enum stats_figure {
#define X(figure, ...) STATS_##figure,
    STATS(X)
#undef X
        STATS_COUNT
};

extern const char *const stats_names[STATS_COUNT];

/* Times in microseconds. */
struct stats {
    uint64_t of[STATS_COUNT];
};

void stats_add(struct stats *to, const struct stats *from);
void stats_add_pool(struct stats *to, const struct metrics_pool *metrics);

/* Counts a second, and times of one. All zero when no time has passed. */
void stats_average(struct stats *average, const struct stats *now, const struct stats *before,
                   uint64_t passed_us);

#endif
