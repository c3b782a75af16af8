#include <stdlib.h>
#include <string.h>

#include "proxy/show_parts.h"

struct database {
    const char *name;
    struct stats now, before;
};

/* Pools are in the order of their databases, and the console is among these. */
static size_t add_up(const struct view_pools *pools, struct database *databases)
{
    struct database *last = NULL;
    size_t length = 0;

    for (size_t i = 0; i < pools->length; i++) {
        const struct broker_place *place = pools->places[i];
        const char *name = place->terms.database;
        int after = strcmp(name, SHOW_CONSOLE);

        if (after > 0 && (i == 0 || strcmp(pools->places[i - 1]->terms.database, SHOW_CONSOLE) < 0))
            databases[length++] = (struct database){.name = SHOW_CONSOLE};
        if (last == NULL || strcmp(last->name, name) != 0) {
            last = &databases[length++];
            *last = (struct database){.name = name};
        }
        stats_add_pool(&last->now, &place->metrics);
        stats_add(&last->before, &place->older);
    }
    if (pools->length == 0 ||
        strcmp(pools->places[pools->length - 1]->terms.database, SHOW_CONSOLE) < 0)
        databases[length++] = (struct database){.name = SHOW_CONSOLE};
    return length;
}

static void write_all(const struct stats *stats, struct console_rows *rows)
{
    for (unsigned i = 0; i < STATS_COUNT; i++)
        console_rows_number(rows, stats->of[i]);
}

static void write_database(const struct database *database, enum console_show show,
                           uint64_t passed_us, struct console_rows *rows)
{
    struct stats average;

    stats_average(&average, &database->now, &database->before, passed_us);
    console_rows_text(rows, database->name);
    if (show != CONSOLE_SHOWS_STATS_AVERAGES)
        write_all(&database->now, rows);
    if (show != CONSOLE_SHOWS_STATS_TOTALS)
        write_all(&average, rows);
}

static void write_figures(const char *prefix, const struct stats *stats, struct console_rows *rows)
{
    char name[64];

    for (unsigned i = 0; i < STATS_COUNT; i++) {
        snprintf(name, sizeof(name), "%s%s", prefix, stats_names[i]);
        console_rows_text(rows, name);
        console_rows_number(rows, stats->of[i]);
    }
}

static void write_totals(const struct database *databases, size_t length, uint64_t passed_us,
                         struct console_rows *rows)
{
    struct stats now = {{0}}, before = {{0}}, average;

    for (size_t i = 0; i < length; i++) {
        stats_add(&now, &databases[i].now);
        stats_add(&before, &databases[i].before);
    }
    stats_average(&average, &now, &before, passed_us);
    write_figures("total_", &now, rows);
    write_figures("avg_", &average, rows);
}

void show_stats(const struct worker *worker, enum console_show show, struct console_rows *rows)
{
    uint64_t passed_us = (uv_now(&worker->loop) - worker->period_before) * 1000;
    struct view_pools pools;
    struct database *databases = NULL;
    size_t length = 0;

    if (view_pools_init(&pools, worker) == ERR_OK)
        databases = calloc(pools.length + 1, sizeof(*databases));
    rows->out->failed |= databases == NULL;
    if (databases != NULL)
        length = add_up(&pools, databases);
    if (show == CONSOLE_SHOWS_TOTALS)
        write_totals(databases, length, passed_us, rows);
    for (size_t i = 0; i < length && show != CONSOLE_SHOWS_TOTALS; i++)
        write_database(&databases[i], show, passed_us, rows);
    free(databases);
    view_pools_fini(&pools);
}
