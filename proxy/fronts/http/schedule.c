#include "proxy/fronts/http/schedule.h"

#define B(state)    (1u << SCHEDULE_##state)
#define ORDER(kind) (1u << SCHEDULE_ORDER_##kind)

static const unsigned may_become[SCHEDULE_LANE_STATE_COUNT] = {
#define X(state, successors, meaning) [SCHEDULE_##state] = (successors),
    SCHEDULE_LANE_STATES(X)
#undef X
};

static void become(struct schedule *s, struct schedule_lane *lane, enum schedule_lane_state to)
{
    REQUIRE(may_become[lane->state] & (1u << to));
    s->used += (to != SCHEDULE_VACANT) - (size_t)(lane->state != SCHEDULE_VACANT);
    s->asking += (to == SCHEDULE_ASKING) - (size_t)(lane->state == SCHEDULE_ASKING);
    lane->state = to;
}

static void order(struct schedule *s, struct schedule_lane *lane, unsigned kind)
{
    lane->todo |= kind;
    if (!link_is_linked(&lane->link))
        list_push_back(&s->todo, &lane->link);
}

/* Whatever it was to do it is not to do any more. */
static void countermand(struct schedule *s, struct schedule_lane *lane)
{
    lane->todo = 0;
    if (link_is_linked(&lane->link))
        list_remove(&s->todo, &lane->link);
}

static struct schedule_query *first_queued(const struct schedule *s)
{
    return LIST_FRONT(&s->queued, struct schedule_query, link);
}

static bool is_one_session(const struct schedule *s)
{
    return s->with.mode != SCHEDULE_PARALLEL;
}

/* ---- queries ------------------------------------------------------------------------------- */

static void end_query(struct schedule *s, struct schedule_query *query, enum schedule_how how,
                      enum err why)
{
    REQUIRE(query->state == SCHEDULE_QUEUED || query->state == SCHEDULE_IN_FLIGHT);
    list_remove(query->state == SCHEDULE_QUEUED ? &s->queued : &query->lane->flight, &query->link);
    query->lane = NULL;
    query->state = SCHEDULE_OVER;
    query->how = how;
    query->why = why;
    list_push_back(&s->over, &query->link);
}

static void end_queued(struct schedule *s, enum schedule_how how, enum err why)
{
    struct schedule_query *query;

    while ((query = first_queued(s)) != NULL)
        end_query(s, query, how, why);
}

/* Of what was not sent it is known that nothing came of it. */
static void end_flight(struct schedule *s, struct schedule_lane *lane, enum schedule_how unsent,
                       enum err why)
{
    struct schedule_query *query;

    lane->unsent = NULL;
    while ((query = schedule_front(lane)) != NULL)
        end_query(s, query, query->sent ? SCHEDULE_LOST : unsent, why);
}

/* ---- lanes --------------------------------------------------------------------------------- */

static uint64_t time_of(const struct schedule_query *query, uint64_t now)
{
    return query != NULL && query->timeout_ms > 0 ? now + query->timeout_ms : SCHEDULE_NEVER;
}

static void empty(struct schedule *s, struct schedule_lane *lane)
{
    countermand(s, lane);
    become(s, lane, SCHEDULE_VACANT);
    lane->due = SCHEDULE_NEVER;
}

/* What was a session is over, and cannot go on in another connection. */
static void end_session(struct schedule *s, enum err why)
{
    if (is_one_session(s))
        end_queued(s, SCHEDULE_SKIPPED, why);
}

static void leave(struct schedule *s, struct schedule_lane *lane)
{
    REQUIRE(lane->flight.length == 0);
    countermand(s, lane);
    become(s, lane, SCHEDULE_LEAVING);
    lane->due = SCHEDULE_NEVER;
    order(s, lane, ORDER(LEAVE));
    end_session(s, ERR_OK);
}

static void give_up(struct schedule *s, struct schedule_lane *lane)
{
    bool has_asked = (lane->todo & ORDER(ASK)) == 0;

    if (!has_asked) {
        empty(s, lane);
        return;
    }
    become(s, lane, SCHEDULE_GIVING_UP);
    order(s, lane, ORDER(GIVE_UP));
}

static void cancel(struct schedule *s, struct schedule_lane *lane, enum err why, uint64_t now)
{
    become(s, lane, SCHEDULE_CANCELING);
    lane->why = why;
    lane->due = now + s->with.cancel_ms;
    order(s, lane, ORDER(CANCEL));
}

static bool is_running(const struct schedule_lane *lane)
{
    return lane->state == SCHEDULE_HOLDING && lane->flight.length > 0;
}

/* ---- what is started, and where ------------------------------------------------------------ */

/* Whether its lane must be its own while it runs. */
static bool is_alone(const struct schedule *s, const struct schedule_query *query)
{
    if (query->alone || s->with.mode == SCHEDULE_PARALLEL)
        return true;
    return s->with.mode == SCHEDULE_PIPELINE &&
           (query->timeout_ms > 0 || s->with.on_error != SCHEDULE_CONTINUE);
}

static bool may_take(const struct schedule *s, const struct schedule_lane *lane)
{
    const struct schedule_query *next = first_queued(s);
    const struct schedule_query *last = LIST_BACK(&lane->flight, struct schedule_query, link);

    if (lane->state != SCHEDULE_HOLDING || next == NULL || next->place != lane->place)
        return false;
    return last == NULL || (!is_alone(s, last) && !is_alone(s, next));
}

static void start(struct schedule *s, struct schedule_lane *lane, uint64_t now)
{
    struct schedule_query *query = first_queued(s);

    list_remove(&s->queued, &query->link);
    list_push_back(&lane->flight, &query->link);
    query->state = SCHEDULE_IN_FLIGHT;
    query->lane = lane;
    if (lane->unsent == NULL)
        lane->unsent = query;
    if (lane->flight.length == 1)
        lane->due = time_of(query, now);
    order(s, lane, ORDER(SEND));
}

static bool is_held(const struct schedule *s, const void *place)
{
    for (size_t i = 0; i < s->with.lanes_length; i++) {
        enum schedule_lane_state state = s->with.lanes[i].state;

        if (s->with.lanes[i].place == place &&
            (state == SCHEDULE_HOLDING || state == SCHEDULE_CANCELING))
            return true;
    }
    return false;
}

/* How many could be started at once, if all connections were there that may be asked for: what
 * comes behind waits for those of another place. */
static size_t wanted(const struct schedule *s)
{
    const struct schedule_query *next = first_queued(s);
    const struct link *link = next != NULL ? &next->link : NULL;
    size_t most = is_one_session(s) || s->frugal ? 1 : s->with.most_asking, count = 0;

    if (next == NULL || (s->frugal && is_held(s, next->place)) ||
        (is_one_session(s) && is_held(s, next->place)))
        return 0;
    for (; link != NULL && count < most; link = list_after(&s->queued, link))
        if (CONTAINER_OF(link, struct schedule_query, link)->place == next->place)
            count++;
        else
            break;
    return count;
}

/* Those that ask for what is not wanted next, and the last of those that are too many. */
static void ask_less(struct schedule *s, size_t most)
{
    const struct schedule_query *next = first_queued(s);
    size_t count = 0;

    for (size_t i = 0; i < s->with.lanes_length; i++) {
        struct schedule_lane *lane = &s->with.lanes[i];

        if (lane->state != SCHEDULE_ASKING)
            continue;
        if (next == NULL || lane->place != next->place || count >= most)
            give_up(s, lane);
        else
            count++;
    }
}

static void ask_more(struct schedule *s, size_t most)
{
    const struct schedule_query *next = first_queued(s);

    for (size_t i = 0; i < s->with.lanes_length && s->asking < most; i++) {
        struct schedule_lane *lane = &s->with.lanes[i];

        if (lane->state != SCHEDULE_VACANT)
            continue;
        become(s, lane, SCHEDULE_ASKING);
        lane->place = next->place;
        order(s, lane, ORDER(ASK));
    }
}

/* What a lane can take it takes, and if it has nothing it goes. Then, whether more are wanted.
 * Without a lane nothing is started, and now is not looked at. */
static void serve(struct schedule *s, struct schedule_lane *lane, uint64_t now)
{
    size_t most;

    while (lane != NULL && may_take(s, lane))
        start(s, lane, now);
    if (lane != NULL && lane->state == SCHEDULE_HOLDING && lane->flight.length == 0)
        leave(s, lane);
    most = wanted(s);
    ask_less(s, most);
    ask_more(s, most);
}

/* ---- errors -------------------------------------------------------------------------------- */

static void react(struct schedule *s, uint64_t now)
{
    s->failed = s->with.mode == SCHEDULE_TRANSACTION;
    if (s->failed || s->with.on_error != SCHEDULE_CONTINUE)
        end_queued(s, SCHEDULE_SKIPPED, ERR_OK);
    for (size_t i = 0; i < s->with.lanes_length && s->with.on_error == SCHEDULE_CANCEL; i++)
        if (!is_one_session(s) && is_running(&s->with.lanes[i]))
            cancel(s, &s->with.lanes[i], ERR_CANCELED, now);
}

/* It was ended, if not by its COMMIT, by a query: what was to be done within it is not done
 * outside. */
static void end_block(struct schedule *s, uint64_t now)
{
    struct schedule_query *commit = LIST_BACK(&s->queued, struct schedule_query, link);

    while (s->queued.length > 1)
        end_query(s, first_queued(s), SCHEDULE_SKIPPED, ERR_OK);
    if (commit != NULL)
        end_query(s, commit, SCHEDULE_ERROR, ERR_TRANSACTION_ENDED);
    react(s, now);
}

/* ---- what happened ------------------------------------------------------------------------- */

void schedule_begin(struct schedule *s, const struct schedule_options *options, uint64_t now)
{
    *s = (struct schedule){
        .with = *options,
        .due = options->timeout_ms > 0 ? now + options->timeout_ms : SCHEDULE_NEVER,
    };
    REQUIRE(s->with.queries_length > 0 && s->with.lanes_length > 0 && s->with.most_asking > 0);
    if (is_one_session(s))
        s->with.lanes_length = 1;
    list_init(&s->queued);
    list_init(&s->over);
    list_init(&s->todo);
    for (size_t i = 0; i < s->with.lanes_length; i++) {
        list_init(&s->with.lanes[i].flight);
        s->with.lanes[i].due = SCHEDULE_NEVER;
    }
    for (size_t i = 0; i < s->with.queries_length; i++) {
        struct schedule_query *query = &s->with.queries[i];

        REQUIRE(!is_one_session(s) || query->place == s->with.queries[0].place);
        list_push_back(&s->queued, &query->link);
    }
    serve(s, NULL, now);
}

void schedule_granted(struct schedule *s, struct schedule_lane *lane, uint64_t now)
{
    if (lane->state == SCHEDULE_GIVING_UP) {
        leave(s, lane);
        return;
    }
    become(s, lane, SCHEDULE_HOLDING);
    serve(s, lane, now);
}

/* Who has a connection of that pool goes on with that one. Else whoever wants one is refused. */
void schedule_refused(struct schedule *s, struct schedule_lane *lane, enum err why, uint64_t now)
{
    bool asked = lane->state == SCHEDULE_ASKING, refused = false;
    struct link *link = list_front(&s->queued), *next;

    empty(s, lane);
    if (!asked)
        return;
    s->frugal = true;
    for (; link != NULL && s->asking == 0 && !is_held(s, lane->place); link = next) {
        struct schedule_query *query = CONTAINER_OF(link, struct schedule_query, link);

        next = list_after(&s->queued, link);
        if (query->place != lane->place)
            continue;
        end_query(s, query, SCHEDULE_REFUSED, why);
        refused = true;
    }
    if (refused)
        react(s, now);
    serve(s, NULL, now);
}

static enum schedule_how how_of(const struct schedule *s, const struct schedule_lane *lane,
                                enum schedule_answer answer)
{
    bool unwanted = schedule_front(lane)->unwanted != ERR_OK;

    if (answer == SCHEDULE_ANSWERED_WELL)
        return unwanted ? SCHEDULE_STOPPED : SCHEDULE_WELL;
    if (s->failed)
        return SCHEDULE_SKIPPED; /* sent ahead, and only told that the transaction has failed */
    if (answer == SCHEDULE_ANSWERED_CANCELED && lane->state == SCHEDULE_CANCELING)
        return SCHEDULE_STOPPED;
    return SCHEDULE_ERROR;
}

/* What is next on a lane that is canceled is to be canceled too; what was not sent never will be.
 */
static void cancel_next(struct schedule *s, struct schedule_lane *lane)
{
    const struct schedule_query *front = schedule_front(lane);

    if (front != NULL && front->sent) {
        order(s, lane, ORDER(CANCEL));
        return;
    }
    end_flight(s, lane, SCHEDULE_STOPPED, lane->why);
    countermand(s, lane);
    become(s, lane, SCHEDULE_HOLDING);
}

void schedule_answered(struct schedule *s, struct schedule_lane *lane, enum schedule_answer answer,
                       bool in_block, uint64_t now)
{
    struct schedule_query *query = schedule_front(lane);
    enum schedule_how how = how_of(s, lane, answer);
    enum err why = query->unwanted != ERR_OK ? query->unwanted : lane->why;

    REQUIRE(query->sent);
    end_query(s, query, how, how == SCHEDULE_STOPPED ? why : ERR_OK);
    lane->due = lane->state == SCHEDULE_CANCELING ? lane->due : time_of(schedule_front(lane), now);
    if (lane->state == SCHEDULE_CANCELING)
        cancel_next(s, lane);
    if (how != SCHEDULE_WELL)
        react(s, now);
    else if (s->with.mode == SCHEDULE_TRANSACTION && !in_block)
        end_block(s, now);
    serve(s, NULL, now);
}

void schedule_rested(struct schedule *s, struct schedule_lane *lane, bool as_new, uint64_t now)
{
    if (lane->state != SCHEDULE_HOLDING || lane->flight.length > 0)
        return;
    if (!as_new && !is_one_session(s))
        leave(s, lane);
    serve(s, lane, now);
}

void schedule_lost(struct schedule *s, struct schedule_lane *lane, uint64_t now)
{
    bool had = lane->flight.length > 0;

    if (lane->state == SCHEDULE_ASKING || lane->state == SCHEDULE_GIVING_UP) {
        schedule_refused(s, lane, ERR_BACKEND_LOST, now);
        return;
    }
    lane->unsent = NULL;
    if (had) /* it may have got something, even if we know of nothing */
        end_query(s, schedule_front(lane), SCHEDULE_LOST, ERR_BACKEND_LOST);
    end_flight(s, lane, SCHEDULE_SKIPPED, ERR_BACKEND_LOST);
    empty(s, lane);
    end_session(s, ERR_BACKEND_LOST);
    if (had)
        react(s, now);
    serve(s, NULL, now);
}

void schedule_broken(struct schedule *s, struct schedule_lane *lane, enum err why, uint64_t now)
{
    if (lane->state != SCHEDULE_HOLDING && lane->state != SCHEDULE_CANCELING)
        return;
    lane->unsent = NULL;
    if (lane->flight.length > 0)
        end_query(s, schedule_front(lane), SCHEDULE_ERROR, why);
    end_flight(s, lane, SCHEDULE_SKIPPED, why);
    leave(s, lane);
    react(s, now);
    serve(s, NULL, now);
}

void schedule_abandon(struct schedule *s, struct schedule_lane *lane, uint64_t now)
{
    if (lane->state != SCHEDULE_CANCELING)
        return;
    end_flight(s, lane, SCHEDULE_STOPPED, lane->why);
    leave(s, lane);
    react(s, now);
    serve(s, NULL, now);
}

/* One of several that were sent cannot be canceled without hitting another: it comes to its end by
 * itself. A transaction fails as a whole. */
void schedule_stop(struct schedule *s, struct schedule_query *query, enum err why, uint64_t now)
{
    struct schedule_lane *lane = query->lane;

    if (query->state == SCHEDULE_QUEUED) {
        end_query(s, query, SCHEDULE_STOPPED, why);
        react(s, now);
        serve(s, NULL, now);
        return;
    }
    if (query->state != SCHEDULE_IN_FLIGHT || query->unwanted != ERR_OK)
        return;
    query->unwanted = why;
    if (lane->state == SCHEDULE_HOLDING &&
        (lane->flight.length == 1 || s->with.mode == SCHEDULE_TRANSACTION))
        cancel(s, lane, why, now);
}

void schedule_stop_all(struct schedule *s, enum err why, uint64_t now)
{
    end_queued(s, SCHEDULE_STOPPED, why);
    for (size_t i = 0; i < s->with.lanes_length; i++) {
        struct schedule_lane *lane = &s->with.lanes[i];

        end_flight(s, lane, SCHEDULE_STOPPED, why);
        if (lane->state == SCHEDULE_HOLDING || lane->state == SCHEDULE_CANCELING)
            leave(s, lane);
    }
    serve(s, NULL, now);
}

/* ---- time ---------------------------------------------------------------------------------- */

static void time_out_all(struct schedule *s, uint64_t now)
{
    s->due = SCHEDULE_NEVER;
    end_queued(s, SCHEDULE_STOPPED, ERR_QUERY_TOO_LONG);
    for (size_t i = 0; i < s->with.lanes_length; i++)
        if (is_running(&s->with.lanes[i]))
            cancel(s, &s->with.lanes[i], ERR_QUERY_TOO_LONG, now);
    serve(s, NULL, now);
}

void schedule_tick(struct schedule *s, uint64_t now)
{
    if (s->due <= now)
        time_out_all(s, now);
    for (size_t i = 0; i < s->with.lanes_length; i++) {
        struct schedule_lane *lane = &s->with.lanes[i];

        if (lane->due > now)
            continue;
        if (lane->state == SCHEDULE_CANCELING)
            schedule_abandon(s, lane, now);
        else if (is_running(lane))
            cancel(s, lane, ERR_QUERY_TOO_LONG, now);
    }
}

uint64_t schedule_due(const struct schedule *s)
{
    uint64_t due = s->due;

    for (size_t i = 0; i < s->with.lanes_length; i++)
        if (s->with.lanes[i].due < due)
            due = s->with.lanes[i].due;
    return due;
}

/* ---- what is to be done -------------------------------------------------------------------- */

struct schedule_query *schedule_next_over(struct schedule *s)
{
    struct schedule_query *query = LIST_FRONT(&s->over, struct schedule_query, link);

    if (query == NULL)
        return NULL;
    list_remove(&s->over, &query->link);
    query->state = SCHEDULE_TOLD;
    s->told++;
    return query;
}

bool schedule_next_order(struct schedule *s, struct schedule_order *next)
{
    struct schedule_lane *lane = LIST_FRONT(&s->todo, struct schedule_lane, link);
    unsigned kind = 0;

    if (lane == NULL)
        return false;
    while ((lane->todo & 1u << kind) == 0)
        kind++;
    lane->todo &= ~(1u << kind);
    if (lane->todo == 0)
        list_remove(&s->todo, &lane->link);
    *next = (struct schedule_order){.kind = (enum schedule_order_kind)kind, .lane = lane};
    if (kind == SCHEDULE_ORDER_LEAVE || kind == SCHEDULE_ORDER_GIVE_UP) {
        empty(s, lane);
        serve(s, NULL, 0);
    }
    return true;
}

bool schedule_is_finished(const struct schedule *s)
{
    return s->told == s->with.queries_length && s->used == 0;
}

struct schedule_query *schedule_front(const struct schedule_lane *lane)
{
    return LIST_FRONT(&lane->flight, struct schedule_query, link);
}

struct schedule_query *schedule_unsent(const struct schedule_lane *lane)
{
    return lane->state == SCHEDULE_HOLDING ? lane->unsent : NULL;
}

void schedule_sent(struct schedule_lane *lane)
{
    struct link *next = list_after(&lane->flight, &lane->unsent->link);

    lane->unsent->sent = true;
    lane->unsent = LIST_ITEM(next, struct schedule_query, link);
}
