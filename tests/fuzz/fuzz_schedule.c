/*
 * A request's queries, with whatever may happen to them in whatever order, and what must be true
 * after each step. What the contract forbids is left out.
 *
 * The first bytes are the request, then two are an event: what happens, and where.
 */
#include <stdlib.h>
#include <string.h>

#include "choices.h"
#include "fuzz.h"
#include "proxy/fronts/http/schedule.h"

enum { QUERIES = 12, LANES = 4, POOLS = 3, CANCEL_MS = 20 };

struct world {
    struct schedule schedule;
    struct schedule_query queries[QUERIES];
    struct schedule_lane lanes[LANES];
    size_t length;
    bool waits[LANES], has[LANES]; /* for a connection; one */
    bool asks_cancel[LANES];       /* of its server, since it was last asked something */
    size_t told[QUERIES];
    bool failed; /* a query has, so that others are stopped */
    uint64_t now;
};

static char pools[POOLS];

/* ---- what is to be done -------------------------------------------------------------------- */

static bool has_failed(const struct schedule_query *query)
{
    return query->how != SCHEDULE_WELL && query->how != SCHEDULE_SKIPPED;
}

static void take_over(struct world *w, const struct schedule_query *query)
{
    size_t i = (size_t)(query - w->queries);

    REQUIRE(w->told[i]++ == 0);
    REQUIRE(query->sent || query->how != SCHEDULE_WELL);
    REQUIRE(!query->sent || query->how != SCHEDULE_REFUSED);
    w->failed |= has_failed(query);
}

static void send(struct world *w, struct schedule_lane *lane, bool all)
{
    struct schedule_query *query;
    const struct schedule *s = &w->schedule;

    while ((query = schedule_unsent(lane)) != NULL && all) {
        size_t i = (size_t)(query - w->queries);

        REQUIRE(w->has[lane - w->lanes] && query->place == lane->place);
        REQUIRE(s->with.mode != SCHEDULE_PARALLEL || lane->flight.length == 1);
        REQUIRE(!query->alone || schedule_front(lane) == query);
        REQUIRE(s->with.mode != SCHEDULE_TRANSACTION || i < w->length - 1 || !w->failed);
        schedule_sent(lane);
    }
}

static void carry_out(struct world *w, const struct schedule_order *order, bool all)
{
    size_t i = (size_t)(order->lane - w->lanes);

    switch (order->kind) {
    case SCHEDULE_ORDER_ASK:
        REQUIRE(!w->waits[i] && !w->has[i]);
        w->waits[i] = true;
        break;
    case SCHEDULE_ORDER_GIVE_UP:
        REQUIRE(w->waits[i] && !w->has[i]);
        w->waits[i] = false;
        break;
    case SCHEDULE_ORDER_SEND:
        REQUIRE(w->has[i]);
        send(w, order->lane, all);
        break;
    case SCHEDULE_ORDER_CANCEL:
        REQUIRE(w->has[i] && order->lane->state == SCHEDULE_CANCELING);
        w->asks_cancel[i] = true;
        if (!schedule_front(order->lane)->sent)
            schedule_abandon(&w->schedule, order->lane, w->now);
        break;
    case SCHEDULE_ORDER_LEAVE:
        REQUIRE(w->has[i] && order->lane->flight.length == 0);
        w->has[i] = w->asks_cancel[i] = false;
        break;
    }
}

static void take_orders(struct world *w, bool all)
{
    struct schedule_order order;
    struct schedule_query *query;
    size_t steps = 0;

    do {
        while ((query = schedule_next_over(&w->schedule)) != NULL)
            take_over(w, query);
        REQUIRE(++steps < 1000);
        if (!schedule_next_order(&w->schedule, &order))
            break;
        carry_out(w, &order, all);
    } while (true);
}

/* ---- what must be true --------------------------------------------------------------------- */

static void check_lane(const struct world *w, size_t i)
{
    const struct schedule_lane *lane = &w->lanes[i];
    bool holds = lane->state == SCHEDULE_HOLDING || lane->state == SCHEDULE_CANCELING;

    REQUIRE(lane->state != SCHEDULE_LEAVING && lane->state != SCHEDULE_GIVING_UP);
    REQUIRE(w->has[i] == holds && w->waits[i] == (lane->state == SCHEDULE_ASKING));
    REQUIRE(lane->state != SCHEDULE_CANCELING ||
            (lane->due <= w->now + CANCEL_MS && w->asks_cancel[i] && lane->flight.length > 0));
    REQUIRE(schedule_due(&w->schedule) <= lane->due);
    REQUIRE(holds == (lane->flight.length > 0)); /* nobody holds what he has no use for */
}

static void check(const struct world *w)
{
    const struct schedule *s = &w->schedule;
    size_t asking = 0, used = 0, ended = 0;

    for (size_t i = 0; i < s->with.lanes_length; i++) {
        check_lane(w, i);
        asking += w->waits[i];
        used += w->waits[i] || w->has[i];
    }
    for (size_t i = 0; i < w->length; i++) {
        ended += w->told[i];
        REQUIRE(i == 0 || w->queries[i].state != SCHEDULE_IN_FLIGHT || /* in order */
                w->queries[i - 1].state != SCHEDULE_QUEUED);
    }
    REQUIRE(asking == s->asking && used == s->used && asking <= s->with.most_asking);
    REQUIRE(s->queued.length > 0 || asking == 0);
    REQUIRE(used > 0 || ended == w->length); /* whoever waits, waits for something */
    REQUIRE(schedule_is_finished(s) == (used == 0 && ended == w->length));
}

/* ---- what happens -------------------------------------------------------------------------- */

static void client_acts(struct world *w, struct schedule_lane *lane, unsigned how)
{
    size_t i = (size_t)(lane - w->lanes);

    if (!w->waits[i])
        return;
    w->waits[i] = false;
    w->has[i] = how % 4 != 0;
    if (w->has[i])
        schedule_granted(&w->schedule, lane, w->now);
    else
        schedule_refused(&w->schedule, lane, ERR_WAIT_TOO_LONG, w->now);
}

static void answer(struct world *w, struct schedule_lane *lane, unsigned how)
{
    struct schedule_query *front = schedule_front(lane);
    enum schedule_answer answer = how % 3 == 0   ? SCHEDULE_ANSWERED_ERROR
                                  : how % 7 == 1 ? SCHEDULE_ANSWERED_CANCELED
                                                 : SCHEDULE_ANSWERED_WELL;

    if (front == NULL || !front->sent)
        return;
    schedule_answered(&w->schedule, lane, answer, how % 11 != 2, w->now);
    front = schedule_front(lane);
    if (how & 0x80 && front != NULL && front->sent) /* more comes before the loop turns */
        schedule_answered(&w->schedule, lane, answer, true, w->now);
    if (lane->flight.length == 0)
        schedule_rested(&w->schedule, lane, (how & 0x40) != 0, w->now);
}

static void server_acts(struct world *w, struct schedule_lane *lane, unsigned how)
{
    size_t i = (size_t)(lane - w->lanes);

    if (!w->has[i])
        return;
    if (how % 32 == 0) {
        w->has[i] = w->asks_cancel[i] = false;
        schedule_lost(&w->schedule, lane, w->now);
    } else if (how % 32 == 1) {
        schedule_broken(&w->schedule, lane, ERR_PROTOCOL, w->now);
    } else if (how % 32 == 2) {
        schedule_abandon(&w->schedule, lane, w->now);
    } else if (how % 32 == 3) {
        send(w, lane, true);
    } else {
        answer(w, lane, how);
    }
    if (lane->state == SCHEDULE_HOLDING && lane->flight.length == 0)
        schedule_rested(&w->schedule, lane, (how & 0x40) != 0, w->now);
}

static void act(struct world *w, unsigned what, unsigned how)
{
    struct schedule_lane *lane = &w->lanes[(what >> 3) % LANES];

    switch (what & 7) {
    case 0:
    case 1:
    case 2:
        client_acts(w, lane, how);
        break;
    case 3:
    case 4:
    case 5:
        server_acts(w, lane, how);
        break;
    case 6:
        schedule_tick(&w->schedule, w->now += how % 16);
        break;
    case 7:
        if (how == 255)
            schedule_stop_all(&w->schedule, ERR_SHUTTING_DOWN, w->now);
        else
            schedule_stop(&w->schedule, &w->queries[how % w->length], ERR_NOT_SUPPORTED, w->now);
        break;
    }
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void begin(struct world *w, struct choices *choices)
{
    unsigned first = choose(choices), second = choose(choices);
    struct schedule_options options = {
        .mode = (enum schedule_mode)(first % 3),
        .on_error = (enum schedule_on_error)(first / 3 % 3),
        .timeout_ms = first & 0x80 ? 100 : 0,
        .cancel_ms = CANCEL_MS,
        .most_asking = 1 + second % 3,
    };

    w->length = 3 + second / 4 % (QUERIES - 2);
    for (size_t i = 0; i < w->length; i++) {
        unsigned how = choose(choices);
        bool frames = options.mode == SCHEDULE_TRANSACTION && (i == 0 || i == w->length - 1);

        w->queries[i] = (struct schedule_query){
            .place = &pools[options.mode == SCHEDULE_PARALLEL ? how % POOLS : 0],
            .timeout_ms = how & 0x40 ? 30 : 0,
            .alone = frames || (options.mode != SCHEDULE_PARALLEL && (how & 0x20)),
        };
    }
    options.queries = w->queries;
    options.queries_length = w->length;
    options.lanes = w->lanes;
    options.lanes_length = LANES;
    schedule_begin(&w->schedule, &options, 0);
}

/* Whatever has happened: who is granted and answered what is asked for comes to an end. */
static void come_to_an_end(struct world *w)
{
    for (size_t i = 0; i < 10000 && !schedule_is_finished(&w->schedule); i++) {
        for (size_t lane = 0; lane < LANES; lane++)
            if (w->has[lane])
                send(w, &w->lanes[lane], true);
        for (size_t lane = 0; lane < LANES; lane++)
            act(w, (unsigned)(i % 2 ? 3 : 0) | (unsigned)lane << 3, 5 + 0x40);
        take_orders(w, true);
        check(w);
    }
    REQUIRE(schedule_is_finished(&w->schedule));
    for (size_t i = 0; i < w->length; i++) /* nothing is skipped without a reason */
        REQUIRE(w->queries[i].how != SCHEDULE_SKIPPED || w->queries[i].why != ERR_OK || w->failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};
    struct world w = {0};

    begin(&w, &choices);
    take_orders(&w, true);
    check(&w);
    while (choices.length > 1) {
        unsigned what = choose(&choices), how = choose(&choices);

        act(&w, what, how);
        take_orders(&w, (how & 0x20) != 0);
        check(&w);
    }
    come_to_an_end(&w);
    return 0;
}
