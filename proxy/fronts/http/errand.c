#include "proxy/fronts/http/errand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/postgres/sql_plain.h"
#include "drivers/postgres/wire.h"
#include "proxy/fronts/http/errand_parts.h"

uint64_t errand_now(const struct errand *errand)
{
    return uv_now(errand->home->broker->home.streams->loop);
}

static struct errand_lane *lane_of(const struct errand *errand, const struct schedule_lane *lane)
{
    return &errand->lanes[lane - errand->places];
}

/* ---- which query is which ------------------------------------------------------------------ */

/* BEGIN is ahead of the owner's queries. */
static size_t ahead(const struct errand *errand)
{
    return errand_is_transaction(errand) ? 1 : 0;
}

size_t errand_index(const struct errand *errand, const struct schedule_query *query)
{
    size_t place = (size_t)(query - errand->queries);

    if (errand_is_transaction(errand) &&
        (place == 0 || place == errand->schedule.with.queries_length - 1))
        return ERRAND_TRANSACTION;
    return place - ahead(errand);
}

static struct schedule_query *find(const struct errand *errand, size_t index)
{
    REQUIRE(index < errand->schedule.with.queries_length - 2 * ahead(errand));
    return &errand->queries[index + ahead(errand)];
}

/* ---- the end ------------------------------------------------------------------------------- */

static void destroy(struct errand *errand)
{
    list_remove(&errand->home->errands, &errand->link);
    for (size_t i = 0; i < errand->lanes_length; i++)
        errand_lane_fini(&errand->lanes[i]);
    bytes_free(&errand->own);
    free(errand->queries);
    free(errand->places);
    free(errand->items);
    free(errand->lanes);
    free(errand);
}

/* A lane that is left may be granted to another of the same errand, which is left in its turn. */
static void take_down(struct errand *errand)
{
    errand->busy++;
    for (bool some = true; some;) {
        some = false;
        for (size_t i = 0; i < errand->lanes_length; i++) {
            some |= errand->lanes[i].lease.backend != NULL;
            errand_lane_leave(&errand->lanes[i]);
        }
    }
    destroy(errand);
}

void errand_cancel(struct errand *errand)
{
    errand->dead = true;
    if (errand->busy == 0)
        take_down(errand);
}

/* ---- what becomes of it -------------------------------------------------------------------- */

static struct errand_end end_of(const struct errand *errand, const struct schedule_query *query)
{
    const struct errand_item *item = &errand->items[query - errand->queries];

    return (struct errand_end){
        .how = query->how,
        .why = query->why,
        .text = query->why != ERR_OK ? errand->text : "",
        .told = item->told,
        .cut = item->cut,
    };
}

static void tell(struct errand *errand, const struct schedule_query *query)
{
    struct errand_end end = end_of(errand, query);
    size_t index = errand_index(errand, query);

    if (index == ERRAND_TRANSACTION && query == errand->queries) {
        errand->begin = end;
        errand->begin.text = ""; /* the COMMIT, which comes later, has the same error */
        return;
    }
    if (index == ERRAND_TRANSACTION && errand->begin.how != SCHEDULE_WELL) {
        errand->begin.text = end.text;
        end = errand->begin;
    }
    if (!errand->dead)
        errand->events->over(errand, index, &end);
}

void errand_tell(struct errand *errand)
{
    const struct schedule_query *query;

    while ((query = schedule_next_over(&errand->schedule)) != NULL)
        tell(errand, query);
    errand->text[0] = '\0';
}

static void carry_out(struct errand *errand, const struct schedule_order *order)
{
    struct errand_lane *lane = lane_of(errand, order->lane);

    switch (order->kind) {
    case SCHEDULE_ORDER_ASK:
        errand_lane_ask(lane);
        break;
    case SCHEDULE_ORDER_SEND:
        errand_lane_send(lane);
        break;
    case SCHEDULE_ORDER_CANCEL:
        errand_lane_cancel(lane);
        break;
    case SCHEDULE_ORDER_GIVE_UP:
    case SCHEDULE_ORDER_LEAVE:
        errand_lane_leave(lane);
        break;
    }
}

static void await(struct errand *errand)
{
    errand->due = schedule_due(&errand->schedule);
    if (errand->due != SCHEDULE_NEVER)
        alarm_due_at(errand->home->broker->alarm, errand->due);
}

static void finish(struct errand *errand)
{
    errand->busy++;
    errand->dead = true;
    errand->events->finished(errand);
    destroy(errand);
}

/* Each order may give rise to others, and to something to be told. */
void errand_run(struct errand *errand)
{
    struct schedule_order order;

    if (errand->busy > 0)
        return;
    errand->busy++;
    errand_tell(errand);
    while (!errand->dead && schedule_next_order(&errand->schedule, &order)) {
        carry_out(errand, &order);
        errand_tell(errand);
    }
    errand->busy--;
    if (errand->dead)
        take_down(errand);
    else if (schedule_is_finished(&errand->schedule))
        finish(errand);
    else
        await(errand);
}

void errand_stop(struct errand *errand, size_t index, enum err why)
{
    schedule_stop(&errand->schedule, find(errand, index), why, errand_now(errand));
    errand_run(errand);
}

/* ---- back-pressure ------------------------------------------------------------------------- */

/* The lane whose server answers that query now; NULL: none does. */
static struct errand_lane *lane_that_answers(const struct errand *errand, size_t index)
{
    const struct schedule_query *query = find(errand, index);

    if (query->state != SCHEDULE_IN_FLIGHT || schedule_front(query->lane) != query)
        return NULL;
    return lane_of(errand, query->lane);
}

void errand_pause(struct errand *errand, size_t index)
{
    struct errand_lane *lane = lane_that_answers(errand, index);

    if (lane != NULL && !errand->dead)
        errand_lane_pause(lane);
}

void errand_resume(struct errand *errand, size_t index)
{
    struct errand_lane *lane = lane_that_answers(errand, index);

    if (lane != NULL)
        errand_lane_resume(lane);
}

/* ---- the beginning ------------------------------------------------------------------------- */

/* Whether it is one SELECT, INSERT, UPDATE or DELETE. What others do to a transaction, or what they
 * make of what comes behind them (COPY), is not known before they have been answered. */
static bool is_plain(struct slice wire)
{
    size_t body = WIRE_HEADER_SIZE;
    const uint8_t *text, *end, *nul;

    if (wire.length <= body || wire.at[0] != WIRE_PARSE || bytes_u32(wire.at + 1) >= wire.length)
        return false;
    end = wire.at + 1 + bytes_u32(wire.at + 1);
    nul =
        end > wire.at + body ? memchr(wire.at + body, '\0', (size_t)(end - wire.at) - body) : NULL;
    if (nul == NULL)
        return false;
    text = nul + 1;
    nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;
    return nul != NULL && sql_plain((struct slice){text, (size_t)(nul - text)});
}

static void write_begin(struct bytes *out, const struct errand_options *options)
{
    static const char *const levels[] = {
        [ERRAND_ISOLATION_DEFAULT] = "",
        [ERRAND_READ_UNCOMMITTED] = " ISOLATION LEVEL READ UNCOMMITTED",
        [ERRAND_READ_COMMITTED] = " ISOLATION LEVEL READ COMMITTED",
        [ERRAND_REPEATABLE_READ] = " ISOLATION LEVEL REPEATABLE READ",
        [ERRAND_SERIALIZABLE] = " ISOLATION LEVEL SERIALIZABLE",
    };
    char text[80];
    int length =
        snprintf(text, sizeof(text), "BEGIN%s%s%s", levels[options->isolation],
                 options->read_only ? " READ ONLY" : "", options->deferrable ? " DEFERRABLE" : "");

    wire_add_query(out, (struct slice){(const uint8_t *)text, (size_t)length});
}

static void frame(struct errand *errand, const struct errand_options *options)
{
    const void *place = options->queries[0].place;
    size_t length = options->queries_length, begin;

    write_begin(&errand->own, options);
    begin = errand->own.length;
    wire_add_query(&errand->own, SLICE("COMMIT"));
    if (errand->own.failed)
        return;
    errand->items[0].wire = (struct slice){errand->own.at, begin};
    errand->items[length + 1].wire =
        (struct slice){errand->own.at + begin, errand->own.length - begin};
    errand->queries[0] = errand->queries[length + 1] =
        (struct schedule_query){.place = place, .alone = true};
}

static void take(struct errand *errand, size_t at, const struct errand_query *query, bool looks)
{
    REQUIRE(query->wire.length > 0);
    errand->items[at].wire = query->wire;
    errand->queries[at] = (struct schedule_query){
        .place = query->place,
        .timeout_ms = query->timeout_ms,
        .alone = looks && !is_plain(query->wire),
    };
}

static struct errand *create(struct errand_home *home, size_t queries, size_t lanes)
{
    struct errand *errand = calloc(1, sizeof(*errand));

    if (errand == NULL)
        return NULL;
    errand->home = home;
    errand->queries = calloc(queries, sizeof(*errand->queries));
    errand->items = calloc(queries, sizeof(*errand->items));
    errand->places = calloc(lanes, sizeof(*errand->places));
    errand->lanes = calloc(lanes, sizeof(*errand->lanes));
    list_push_back(&home->errands, &errand->link);
    if (errand->queries != NULL && errand->items != NULL && errand->places != NULL &&
        errand->lanes != NULL) {
        errand->lanes_length = lanes;
        return errand;
    }
    destroy(errand);
    return NULL;
}

/* With BEGIN and COMMIT. */
static size_t queries_of(const struct errand_options *options)
{
    return options->queries_length + (options->mode == SCHEDULE_TRANSACTION ? 2 : 0);
}

/* Who is refused at once is told so by the loop. */
static void begin(struct errand *errand, const struct errand_options *options)
{
    struct schedule_options with = {
        .queries = errand->queries,
        .queries_length = queries_of(options),
        .lanes = errand->places,
        .lanes_length = errand->lanes_length,
        .mode = options->mode,
        .on_error = options->on_error,
        .timeout_ms = options->timeout_ms,
        .cancel_ms = options->cancel_ms,
        .most_asking = options->most_asking,
    };
    struct schedule_order order;

    schedule_begin(&errand->schedule, &with, errand_now(errand));
    errand->busy++;
    while (schedule_next_order(&errand->schedule, &order))
        carry_out(errand, &order);
    errand->busy--;
    await(errand);
    if (errand->schedule.over.length == 0)
        return;
    errand->due = errand_now(errand);
    alarm_due_at(errand->home->broker->alarm, errand->due);
}

static size_t lanes_for(const struct errand_options *options)
{
    if (options->mode != SCHEDULE_PARALLEL)
        return 1;
    return options->most_parallel < options->queries_length ? options->most_parallel
                                                            : options->queries_length;
}

/* The queries, with what stands around them. False for want of memory. */
static bool take_all(struct errand *errand, const struct errand_options *options)
{
    bool transaction = options->mode == SCHEDULE_TRANSACTION;

    for (size_t i = 0; i < options->queries_length; i++)
        take(errand, i + (transaction ? 1 : 0), &options->queries[i],
             options->mode != SCHEDULE_PARALLEL);
    if (transaction)
        frame(errand, options);
    return !errand->own.failed;
}

enum err errand_start(struct errand_home *home, const struct errand_options *options,
                      const struct errand_events *events, void *owner, struct errand **started)
{
    bool transaction = options->mode == SCHEDULE_TRANSACTION;
    struct errand *errand;

    REQUIRE(options->queries_length > 0 && options->most_parallel > 0);
    if (transaction && options->queries[0].place->terms.mode == SETTINGS_POOL_MODE_STATEMENT)
        return ERR_IN_BLOCK;
    errand = create(home, queries_of(options), lanes_for(options));
    if (errand == NULL)
        return ERR_NO_MEMORY;
    errand->events = events;
    errand->owner = owner;
    errand->hasty = options->hasty;
    errand->most_statements = options->most_statements;
    for (size_t i = 0; i < errand->lanes_length; i++)
        errand_lane_init(&errand->lanes[i], errand, &errand->places[i]);
    if (!take_all(errand, options)) {
        destroy(errand);
        return ERR_NO_MEMORY;
    }
    *started = errand;
    begin(errand, options);
    return ERR_OK;
}

void *errand_owner(const struct errand *errand)
{
    return errand->owner;
}

/* ---- all of a worker ----------------------------------------------------------------------- */

void errand_home_init(struct errand_home *home, struct broker *broker)
{
    home->broker = broker;
    list_init(&home->errands);
}

/* The next in turn, which is the last from now on; those that are no more do not come again. */
static struct errand *next_in_turn(struct errand_home *home)
{
    struct link *link = list_pop_front(&home->errands);

    if (link == NULL)
        return NULL;
    list_push_back(&home->errands, link);
    return CONTAINER_OF(link, struct errand, link);
}

void errand_home_tick(struct errand_home *home, uint64_t now)
{
    struct errand *errand;

    for (size_t left = home->errands.length; left > 0; left--) {
        errand = next_in_turn(home);
        if (errand == NULL)
            return;
        if (errand->due <= now) {
            schedule_tick(&errand->schedule, now);
            errand_run(errand);
        } else if (errand->due != SCHEDULE_NEVER) {
            alarm_due_at(home->broker->alarm, errand->due);
        }
    }
}

void errand_home_stop(struct errand_home *home)
{
    struct errand *errand;

    for (size_t left = home->errands.length; left > 0; left--) {
        errand = next_in_turn(home);
        if (errand == NULL)
            return;
        schedule_stop_all(&errand->schedule, ERR_SHUTTING_DOWN, errand_now(errand));
        errand_run(errand);
    }
}
