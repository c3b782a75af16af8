#include "proxy/metrics.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "base/err.h"
#include "base/metric.h"

/* What one rendering works on. Pools that are the same stand side by side. */
struct scrape {
    const struct metrics_view *views;
    size_t views_length;
    const struct metrics_pool_view **pools;
    size_t pools_length;
};

/* The same pool, as the views of all workers have it. */
struct group {
    const struct metrics_pool_view *const *pools;
    size_t length;
};

enum how { ADDED, MOST };
enum unit { NUMBER, TIME };

struct row;
typedef void render(struct bytes *out, const struct row *row, const struct scrape *scrape);

struct row {
    const char *name, *what, *labels;
    enum metric_kind kind;
    render *render;
    size_t at; /* where the number is, in what render knows it to be in */
    enum how how;
    enum unit unit;
};

/* ---- numbers ----------------------------------------------------------------------------- */

static const void *field(const void *in, size_t at)
{
    return (const char *)in + at;
}

static uint64_t together(enum how how, uint64_t one, uint64_t other)
{
    if (how == ADDED)
        return one + other;
    return one > other ? one : other;
}

static void sample(struct bytes *out, const struct row *row, const struct metric_label *labels,
                   uint64_t value)
{
    if (row->unit == TIME)
        metric_time(out, row->name, labels, value);
    else
        metric_sample(out, row->name, labels, value);
}

/* ---- pools ------------------------------------------------------------------------------- */

static int by_name(const struct metrics_pool_view *one, const struct metrics_pool_view *other)
{
    int order = strcmp(one->database, other->database);

    return order != 0 ? order : strcmp(one->user, other->user);
}

static int by_name_for_qsort(const void *one, const void *other)
{
    return by_name(*(const struct metrics_pool_view *const *)one,
                   *(const struct metrics_pool_view *const *)other);
}

/* The pool behind group; the first one when group is empty. False behind the last. */
static bool next_group(const struct scrape *scrape, struct group *group)
{
    const struct metrics_pool_view *const *end = scrape->pools + scrape->pools_length;
    const struct metrics_pool_view *const *at =
        group->length > 0 ? group->pools + group->length : scrape->pools;

    *group = (struct group){.pools = at};
    while (at + group->length < end && by_name(at[0], at[group->length]) == 0)
        group->length++;
    return group->length > 0;
}

/* clang-format off */
#define NAMES_OF(group) {"database", (group).pools[0]->database}, {"user", (group).pools[0]->user}
/* clang-format on */

static void render_pool_counter(struct bytes *out, const struct row *row,
                                const struct scrape *scrape)
{
    for (struct group group = {0}; next_group(scrape, &group);) {
        uint64_t value = 0;

        for (size_t i = 0; i < group.length; i++)
            value += *(const uint64_t *)field(group.pools[i]->counted, row->at);
        sample(out, row, METRIC_LABELS(NAMES_OF(group)), value);
    }
}

static void render_pool_time(struct bytes *out, const struct row *row, const struct scrape *scrape)
{
    for (struct group group = {0}; next_group(scrape, &group);) {
        struct histogram all = {0};

        for (size_t i = 0; i < group.length; i++)
            histogram_add(&all, field(group.pools[i]->counted, row->at));
        metric_histogram(out, row->name, METRIC_LABELS(NAMES_OF(group)), &all);
    }
}

static void render_pool_gauge(struct bytes *out, const struct row *row, const struct scrape *scrape)
{
    for (struct group group = {0}; next_group(scrape, &group);) {
        uint64_t value = 0;

        for (size_t i = 0; i < group.length; i++)
            value = together(row->how, value, *(const uint64_t *)field(group.pools[i], row->at));
        sample(out, row, METRIC_LABELS(NAMES_OF(group)), value);
    }
}

static void render_pool_state(struct bytes *out, const struct row *row, const struct group *group,
                              size_t state)
{
    const struct metrics_states *first = field(group->pools[0], row->at);
    uint64_t value = 0;

    for (size_t i = 0; i < group->length; i++) {
        const struct metrics_states *states = field(group->pools[i], row->at);

        ASSERT(states->length == first->length);
        value += states->counts[state];
    }
    sample(out, row,
           METRIC_LABELS(NAMES_OF(*group), {strrchr(row->labels, ' ') + 1, first->names[state]}),
           value);
}

static void render_pool_states(struct bytes *out, const struct row *row,
                               const struct scrape *scrape)
{
    for (struct group group = {0}; next_group(scrape, &group);) {
        const struct metrics_states *states = field(group.pools[0], row->at);

        for (size_t state = 0; state < states->length; state++)
            render_pool_state(out, row, &group, state);
    }
}

/* ---- the whole program ------------------------------------------------------------------- */

static void render_process_counter(struct bytes *out, const struct row *row,
                                   const struct scrape *scrape)
{
    uint64_t value = 0;

    for (size_t i = 0; i < scrape->views_length; i++)
        value += *(const uint64_t *)field(scrape->views[i].counted, row->at);
    sample(out, row, METRIC_NO_LABELS, value);
}

static void render_process_gauge(struct bytes *out, const struct row *row,
                                 const struct scrape *scrape)
{
    uint64_t value = 0;

    for (size_t i = 0; i < scrape->views_length; i++)
        value = together(row->how, value, *(const uint64_t *)field(&scrape->views[i], row->at));
    sample(out, row, METRIC_NO_LABELS, value);
}

static void render_process_states(struct bytes *out, const struct row *row,
                                  const struct scrape *scrape)
{
    const struct metrics_states *first = &scrape->views[0].clients;

    for (size_t state = 0; state < first->length; state++) {
        uint64_t value = 0;

        for (size_t i = 0; i < scrape->views_length; i++)
            value += scrape->views[i].clients.counts[state];
        sample(out, row, METRIC_LABELS({"state", first->names[state]}), value);
    }
}

static void render_build(struct bytes *out, const struct row *row, const struct scrape *scrape)
{
    sample(out, row, METRIC_LABELS({"version", scrape->views[0].version}), 1);
}

/* ---- the table --------------------------------------------------------------------------- */

/* clang-format off */
static const struct row rows[] = {
    {"weir_build_info", "Always 1; its label is Weir's version.", "version", METRIC_GAUGE,
     render_build, 0, MOST, NUMBER},
#define X(field, how, unit, name, what) \
    {name, what, "", METRIC_GAUGE, render_process_gauge, offsetof(struct metrics_view, field), how, unit},
    METRICS_PROCESS_GAUGES(X)
#undef X
    {"weir_clients", "Clients by what they are doing.", "state", METRIC_GAUGE,
     render_process_states, 0, ADDED, NUMBER},
#define X(field, name, what) \
    {name, what, "", METRIC_COUNTER, render_process_counter, offsetof(struct metrics_process, field), ADDED, NUMBER},
    METRICS_PROCESS_COUNTERS(X)
#undef X
    {"weir_pool_clients", "Clients of the pool by what they are doing.", "database, user, state", METRIC_GAUGE,
     render_pool_states, offsetof(struct metrics_pool_view, clients), ADDED, NUMBER},
    {"weir_pool_pinned_clients", "Clients that keep their server between transactions, by the reason.", "database, user, reason", METRIC_GAUGE,
     render_pool_states, offsetof(struct metrics_pool_view, pinned), ADDED, NUMBER},
    {"weir_pool_pins_total", "Times a client came to keep its server between transactions, by the reason.", "database, user, reason", METRIC_COUNTER,
     render_pool_states, offsetof(struct metrics_pool_view, pins), ADDED, NUMBER},
    {"weir_pool_servers", "Server connections of the pool by what they are doing.", "database, user, state", METRIC_GAUGE,
     render_pool_states, offsetof(struct metrics_pool_view, servers), ADDED, NUMBER},
#define X(field, how, unit, name, what) \
    {name, what, "database, user", METRIC_GAUGE, render_pool_gauge, offsetof(struct metrics_pool_view, field), how, unit},
    METRICS_POOL_GAUGES(X)
#undef X
#define X(field, name, what) \
    {name, what, "database, user", METRIC_COUNTER, render_pool_counter, offsetof(struct metrics_pool, field), ADDED, NUMBER},
    METRICS_POOL_COUNTERS(X)
#undef X
#define X(field, name, what) \
    {name, what, "database, user", METRIC_HISTOGRAM, render_pool_time, offsetof(struct metrics_pool, field), ADDED, TIME},
    METRICS_POOL_TIMES(X)
#undef X
};
/* clang-format on */

static enum err begin(struct scrape *scrape, const struct metrics_view *views, size_t length)
{
    size_t pools = 0;

    for (size_t i = 0; i < length; i++)
        pools += views[i].pools_length;
    *scrape = (struct scrape){.views = views, .views_length = length};
    scrape->pools =
        malloc((pools + 1) * sizeof(const struct metrics_pool_view *)); /* never of no bytes */
    if (scrape->pools == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < length; i++)
        for (size_t k = 0; k < views[i].pools_length; k++)
            scrape->pools[scrape->pools_length++] = &views[i].pools[k];
    qsort(scrape->pools, pools, sizeof(const struct metrics_pool_view *), by_name_for_qsort);
    return ERR_OK;
}

void metrics_render(struct bytes *out, const struct metrics_view *views, size_t length)
{
    struct scrape scrape;

    ASSERT(length > 0);
    if (begin(&scrape, views, length) != ERR_OK) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        metric_family(out, rows[i].name, rows[i].kind, rows[i].what);
        rows[i].render(out, &rows[i], &scrape);
    }
    free(scrape.pools);
}

void metrics_describe(struct bytes *out)
{
    bytes_print(out, "| metric | type | labels | what it is |\n|---|---|---|---|\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        bytes_print(out, "| `%s` | %s | %s | %s |\n", rows[i].name, metric_kind_name(rows[i].kind),
                    rows[i].labels, rows[i].what);
}
