#include "proxy/metrics.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "base/err.h"
#include "base/metric.h"

enum how { ADDED, MOST };
enum unit { NUMBER, TIME };

/* Whose number it is: the program's, or that of each pool or upstream. */
enum subject { PROGRAM, POOL, UPSTREAM, SUBJECT_COUNT };

enum { MOST_LABELS = 4 }; /* of a subject and a state; the last one ends the list */

/* The views of one subject, of all workers. What is the same stands side by side. */
struct subjects {
    const void **views;
    size_t length;
};

/* What one rendering works on. */
struct scrape {
    const struct metrics_view *views;
    size_t views_length;
    struct subjects of[SUBJECT_COUNT];
};

/* The same pool or upstream, as the views of all workers have it. */
struct group {
    enum subject subject;
    const void *const *views;
    size_t length;
};

struct row;
typedef void render(struct bytes *out, const struct row *row, const struct scrape *scrape);

struct row {
    const char *name, *what, *labels;
    enum metric_kind kind;
    enum subject subject;
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

/* ---- pools and upstreams ----------------------------------------------------------------- */

static int order_of_pools(const void *one, const void *other)
{
    const struct metrics_pool_view *a = *(const struct metrics_pool_view *const *)one;
    const struct metrics_pool_view *b = *(const struct metrics_pool_view *const *)other;
    int order = strcmp(a->database, b->database);

    return order != 0 ? order : strcmp(a->user, b->user);
}

static int order_of_upstreams(const void *one, const void *other)
{
    const struct metrics_redis_view *a = *(const struct metrics_redis_view *const *)one;
    const struct metrics_redis_view *b = *(const struct metrics_redis_view *const *)other;

    return strcmp(a->upstream, b->upstream);
}

static size_t label_pool(const void *view, struct metric_label *labels)
{
    const struct metrics_pool_view *pool = view;

    labels[0] = (struct metric_label){"database", pool->database};
    labels[1] = (struct metric_label){"user", pool->user};
    return 2;
}

static size_t label_upstream(const void *view, struct metric_label *labels)
{
    const struct metrics_redis_view *redis = view;

    labels[0] = (struct metric_label){"upstream", redis->upstream};
    return 1;
}

static const void *counted_in_pool(const void *view)
{
    return ((const struct metrics_pool_view *)view)->counted;
}

static const void *counted_in_upstream(const void *view)
{
    return ((const struct metrics_redis_view *)view)->counted;
}

static const struct {
    int (*order)(const void *one, const void *other); /* as qsort() has it */
    size_t (*label)(const void *view, struct metric_label *labels);
    const void *(*counted)(const void *view);
} subjects[SUBJECT_COUNT] = {
    [POOL] = {order_of_pools, label_pool, counted_in_pool},
    [UPSTREAM] = {order_of_upstreams, label_upstream, counted_in_upstream},
};

/* The group behind this one; the first one when it is empty. False behind the last. */
static bool next_group(const struct scrape *scrape, struct group *group)
{
    const struct subjects *all = &scrape->of[group->subject];
    const void *const *end = all->views + all->length;
    const void *const *at = group->length > 0 ? group->views + group->length : all->views;

    group->views = at;
    group->length = 0;
    while (at + group->length < end && subjects[group->subject].order(at, at + group->length) == 0)
        group->length++;
    return group->length > 0;
}

/* Room for one more, and the end, is left in labels. */
static size_t label(const struct group *group, struct metric_label labels[MOST_LABELS])
{
    memset(labels, 0, MOST_LABELS * sizeof(*labels));
    return subjects[group->subject].label(group->views[0], labels);
}

static void group_sample(struct bytes *out, const struct row *row, const struct group *group,
                         uint64_t value)
{
    struct metric_label labels[MOST_LABELS];

    label(group, labels);
    sample(out, row, labels, value);
}

static const void *counted(const struct group *group, size_t i, const struct row *row)
{
    return field(subjects[group->subject].counted(group->views[i]), row->at);
}

static void render_counter(struct bytes *out, const struct row *row, const struct scrape *scrape)
{
    for (struct group group = {.subject = row->subject}; next_group(scrape, &group);) {
        uint64_t value = 0;

        for (size_t i = 0; i < group.length; i++)
            value += *(const uint64_t *)counted(&group, i, row);
        group_sample(out, row, &group, value);
    }
}

static void render_time(struct bytes *out, const struct row *row, const struct scrape *scrape)
{
    for (struct group group = {.subject = row->subject}; next_group(scrape, &group);) {
        struct metric_label labels[MOST_LABELS];
        struct histogram all = {0};

        for (size_t i = 0; i < group.length; i++)
            histogram_add(&all, counted(&group, i, row));
        label(&group, labels);
        metric_histogram(out, row->name, labels, &all);
    }
}

static void render_gauge(struct bytes *out, const struct row *row, const struct scrape *scrape)
{
    for (struct group group = {.subject = row->subject}; next_group(scrape, &group);) {
        uint64_t value = 0;

        for (size_t i = 0; i < group.length; i++)
            value = together(row->how, value, *(const uint64_t *)field(group.views[i], row->at));
        group_sample(out, row, &group, value);
    }
}

static void render_state(struct bytes *out, const struct row *row, const struct group *group,
                         size_t state)
{
    const struct metrics_states *first = field(group->views[0], row->at);
    struct metric_label labels[MOST_LABELS];
    size_t length = label(group, labels);
    uint64_t value = 0;

    for (size_t i = 0; i < group->length; i++) {
        const struct metrics_states *states = field(group->views[i], row->at);

        ASSERT(states->length == first->length);
        value += states->counts[state];
    }
    labels[length] = (struct metric_label){strrchr(row->labels, ' ') + 1, first->names[state]};
    sample(out, row, labels, value);
}

static void render_states(struct bytes *out, const struct row *row, const struct scrape *scrape)
{
    for (struct group group = {.subject = row->subject}; next_group(scrape, &group);) {
        const struct metrics_states *states = field(group.views[0], row->at);

        for (size_t state = 0; state < states->length; state++)
            render_state(out, row, &group, state);
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
    const struct metrics_states *first = field(&scrape->views[0], row->at);

    for (size_t state = 0; state < first->length; state++) {
        uint64_t value = 0;

        for (size_t i = 0; i < scrape->views_length; i++) {
            const struct metrics_states *states = field(&scrape->views[i], row->at);

            value += states->counts[state];
        }
        sample(out, row, METRIC_LABELS({"state", first->names[state]}), value);
    }
}

static void render_build(struct bytes *out, const struct row *row, const struct scrape *scrape)
{
    sample(out, row, METRIC_LABELS({"version", scrape->views[0].version}), 1);
}

/* ---- the table --------------------------------------------------------------------------- */

/* clang-format off */
#define STATES(of, field) render_states, offsetof(struct of, field), ADDED, NUMBER

static const struct row rows[] = {
    {"weir_build_info", "Always 1; its label is Weir's version.", "version", METRIC_GAUGE, PROGRAM,
     render_build, 0, MOST, NUMBER},
#define X(field, how, unit, name, what) \
    {name, what, "", METRIC_GAUGE, PROGRAM, render_process_gauge, offsetof(struct metrics_view, field), how, unit},
    METRICS_PROCESS_GAUGES(X)
#undef X
    {"weir_clients", "Clients by what they are doing.", "state", METRIC_GAUGE, PROGRAM,
     render_process_states, offsetof(struct metrics_view, clients), ADDED, NUMBER},
#define X(field, name, what) \
    {name, what, "", METRIC_COUNTER, PROGRAM, render_process_counter, offsetof(struct metrics_process, field), ADDED, NUMBER},
    METRICS_PROCESS_COUNTERS(X)
#undef X
    {"weir_http_connections", "HTTP connections by what they are doing.", "state", METRIC_GAUGE, PROGRAM,
     render_process_states, offsetof(struct metrics_view, http.connections), ADDED, NUMBER},
#define X(field, how, unit, name, what) \
    {name, what, "", METRIC_GAUGE, PROGRAM, render_process_gauge, offsetof(struct metrics_view, http.field), how, unit},
    METRICS_HTTP_GAUGES(X)
#undef X
#define X(field, name, what) \
    {name, what, "", METRIC_COUNTER, PROGRAM, render_process_gauge, offsetof(struct metrics_view, http.counted.field), ADDED, NUMBER},
    METRICS_HTTP_COUNTERS(X)
#undef X
    {"weir_pool_clients", "Clients of the pool by what they are doing.", "database, user, state", METRIC_GAUGE, POOL,
     STATES(metrics_pool_view, clients)},
    {"weir_pool_pinned_clients", "Clients that keep their server between transactions, by the reason.", "database, user, reason", METRIC_GAUGE, POOL,
     STATES(metrics_pool_view, pinned)},
    {"weir_pool_pins_total", "Times a client came to keep its server between transactions, by the reason.", "database, user, reason", METRIC_COUNTER, POOL,
     STATES(metrics_pool_view, pins)},
    {"weir_pool_servers", "Server connections of the pool by what they are doing.", "database, user, state", METRIC_GAUGE, POOL,
     STATES(metrics_pool_view, servers)},
#define X(field, how, unit, name, what) \
    {name, what, "database, user", METRIC_GAUGE, POOL, render_gauge, offsetof(struct metrics_pool_view, field), how, unit},
    METRICS_POOL_GAUGES(X)
#undef X
#define X(field, name, what) \
    {name, what, "database, user", METRIC_COUNTER, POOL, render_counter, offsetof(struct metrics_pool, field), ADDED, NUMBER},
    METRICS_POOL_COUNTERS(X)
#undef X
#define X(field, name, what) \
    {name, what, "database, user", METRIC_HISTOGRAM, POOL, render_time, offsetof(struct metrics_pool, field), ADDED, TIME},
    METRICS_POOL_TIMES(X)
#undef X
    {"weir_redis_clients", "Clients of the upstream by what they are doing.", "upstream, state", METRIC_GAUGE, UPSTREAM,
     STATES(metrics_redis_view, clients)},
    {"weir_redis_dedicated_links", "Links of clients' own by what they are doing.", "upstream, state", METRIC_GAUGE, UPSTREAM,
     STATES(metrics_redis_view, dedicated)},
#define X(field, how, unit, name, what) \
    {name, what, "upstream", METRIC_GAUGE, UPSTREAM, render_gauge, offsetof(struct metrics_redis_view, field), how, unit},
    METRICS_REDIS_GAUGES(X)
#undef X
#define X(field, name, what) \
    {name, what, "upstream", METRIC_COUNTER, UPSTREAM, render_counter, offsetof(struct metrics_redis, field), ADDED, NUMBER},
    METRICS_REDIS_COUNTERS(X)
#undef X
};
/* clang-format on */

/* end() frees it. */
static enum err make_room(struct subjects *all, size_t length)
{
    all->views = malloc((length + 1) * sizeof(void *)); /* never of no bytes */
    return all->views != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static enum err begin(struct scrape *scrape, const struct metrics_view *views, size_t length)
{
    struct subjects *pools = &scrape->of[POOL], *upstreams = &scrape->of[UPSTREAM];
    size_t most_pools = 0, most_upstreams = 0;

    for (size_t i = 0; i < length; i++) {
        most_pools += views[i].pools_length;
        most_upstreams += views[i].upstreams_length;
    }
    *scrape = (struct scrape){.views = views, .views_length = length};
    if (make_room(pools, most_pools) != ERR_OK || make_room(upstreams, most_upstreams) != ERR_OK)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < length; i++) {
        for (size_t k = 0; k < views[i].pools_length; k++)
            pools->views[pools->length++] = &views[i].pools[k];
        for (size_t k = 0; k < views[i].upstreams_length; k++)
            upstreams->views[upstreams->length++] = &views[i].upstreams[k];
    }
    qsort(pools->views, pools->length, sizeof(void *), order_of_pools);
    qsort(upstreams->views, upstreams->length, sizeof(void *), order_of_upstreams);
    return ERR_OK;
}

static void end(struct scrape *scrape)
{
    free(scrape->of[POOL].views);
    free(scrape->of[UPSTREAM].views);
}

void metrics_render(struct bytes *out, const struct metrics_view *views, size_t length)
{
    struct scrape scrape;

    ASSERT(length > 0);
    if (begin(&scrape, views, length) != ERR_OK) {
        out->failed = true;
        end(&scrape);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        metric_family(out, rows[i].name, rows[i].kind, rows[i].what);
        rows[i].render(out, &rows[i], &scrape);
    }
    end(&scrape);
}

void metrics_describe(struct bytes *out)
{
    bytes_print(out, "| metric | type | labels | what it is |\n|---|---|---|---|\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        bytes_print(out, "| `%s` | %s | %s | %s |\n", rows[i].name, metric_kind_name(rows[i].kind),
                    rows[i].labels, rows[i].what);
}
