#include <stdio.h>
#include <string.h>

#include "proxy/fronts/http/errand_parts.h"

/* More than that queued for a server, and the rest waits until it has taken it. */
enum { MOST_QUEUED = 64 * 1024 };

static struct errand_lane *lessee(struct broker_lease *lease)
{
    return CONTAINER_OF(lease, struct errand_lane, lease);
}

static struct parameters_set *set_of(const struct errand_lane *lane)
{
    return &lane->errand->home->broker->home.parameters;
}

static struct metrics_pool *metrics_of(const struct errand_lane *lane)
{
    return &lane->lease.place->metrics;
}

static void explain(struct errand_lane *lane, const char *text)
{
    snprintf(lane->errand->text, sizeof(lane->errand->text), "%s", text);
}

/* ---- how it wants its servers -------------------------------------------------------------- */

static const struct parameters *change(struct errand_lane *lane, const struct parameters *p,
                                       enum parameters_name name, const char *value)
{
    if (strcmp(parameters_value(p, name), value) == 0)
        return p;
    return parameters_change(set_of(lane), p, name,
                             (struct slice){(const uint8_t *)value, strlen(value)});
}

/* As text that JSON can be made of: the database's own order of day and month stays. */
static const struct parameters *settings(struct errand_lane *lane,
                                         const struct parameters *standard)
{
    const struct parameters *p = parameters_hold(standard);
    const char *order = strchr(parameters_value(p, PARAMETERS_DATE_STYLE), ',');
    char style[64];

    snprintf(style, sizeof(style), "ISO%s", order != NULL ? order : ", MDY");
    p = change(lane, p, PARAMETERS_CLIENT_ENCODING, "UTF8");
    p = change(lane, p, PARAMETERS_DATE_STYLE, style);
    return change(lane, p, PARAMETERS_INTERVAL_STYLE, "postgres");
}

static void forget_settings(struct errand_lane *lane)
{
    parameters_release(set_of(lane), lane->lease.wanted);
    parameters_release(set_of(lane), lane->lease.own);
    lane->lease.wanted = lane->lease.own = NULL;
}

/* Whatever the lane had before, it begins anew. */
static void bring_settings(struct errand_lane *lane)
{
    const struct parameters *standard = lane->lease.place->standard;

    forget_settings(lane);
    if (standard == NULL) /* no server of that pool was seen yet */
        return;
    lane->lease.own = settings(lane, standard);
    lane->lease.wanted = parameters_hold(lane->lease.own);
}

/* ---- coming and going ---------------------------------------------------------------------- */

void errand_lane_ask(struct errand_lane *lane)
{
    lane->lease.place = (struct broker_place *)(uintptr_t)lane->lane->place;
    bring_settings(lane);
    tally_asks(&lane->tally);
    broker_ask(&lane->lease, lane->errand->hasty);
}

static void begin_anew(struct errand_lane *lane)
{
    statement_names_clear(&lane->sent.names);
    lane->sent = (struct relay_sent){.most_names = lane->errand->most_statements};
    lane->reply = (struct reply){0};
    lane->sending = NULL;
    lane->offset = 0;
    lane->paused = lane->copying = false;
}

void errand_lane_leave(struct errand_lane *lane)
{
    if (lane->lease.backend != NULL)
        broker_leave(&lane->lease, &lane->sent);
    else if (lane->lease.place != NULL)
        broker_give_up(&lane->lease);
    begin_anew(lane);
}

/* ---- to the server ------------------------------------------------------------------------- */

static void hear(struct errand_lane *lane, struct slice in);

/* What is sent next, with what is behind it if that stands there in memory too: in one write. */
static struct slice next_bytes(const struct errand_lane *lane)
{
    const struct errand *errand = lane->errand;
    const struct schedule_query *query =
        lane->sending != NULL ? lane->sending : schedule_unsent(lane->lane);
    const struct schedule_query *end = errand->queries + errand->schedule.with.queries_length;
    struct slice in;

    if (query == NULL)
        return (struct slice){0};
    in = errand->items[query - errand->queries].wire;
    in.at += lane->offset;
    in.length -= lane->offset;
    while (++query < end && query->lane == lane->lane && !query->sent &&
           lane->lane->state == SCHEDULE_HOLDING) {
        struct slice more = errand->items[query - errand->queries].wire;

        if (more.at != in.at + in.length)
            break;
        in.length += more.length;
    }
    return in;
}

static void note_sent(struct errand_lane *lane, size_t used)
{
    while (used > 0) {
        size_t left;

        if (lane->sending == NULL) {
            lane->sending = schedule_unsent(lane->lane);
            schedule_sent(lane->lane);
        }
        left =
            lane->errand->items[lane->sending - lane->errand->queries].wire.length - lane->offset;
        if (used < left) {
            lane->offset += used;
            return;
        }
        used -= left;
        lane->sending = NULL;
        lane->offset = 0;
    }
}

static void break_off(struct errand_lane *lane, enum err why, const char *text)
{
    explain(lane, text);
    schedule_broken(&lane->errand->schedule, lane->lane, why, errand_now(lane->errand));
}

/* Why the relay does not go on. */
static void obey(struct errand_lane *lane, const struct relay_plan *plan)
{
    char text[80];

    switch (plan->verdict) {
    case RELAY_GO_ON:
    case RELAY_WAITS: /* until the server has answered */
        break;
    case RELAY_NEEDS_SERVER:
    case RELAY_TERMINATED:
        REQUIRE(plan->verdict == RELAY_GO_ON); /* a query has its server, and is no goodbye */
        break;
    case RELAY_TOO_MANY_NAMES:
        break_off(lane, ERR_TOO_MANY_STATEMENTS, "");
        break;
    case RELAY_REJECTED:
        break_off(lane, ERR_NOT_SUPPORTED, "session_state = reject does not allow this");
        break;
    case RELAY_BROKEN:
        snprintf(text, sizeof(text), "invalid frontend message: type 0x%02x, length %u",
                 plan->unknown_type, plan->unknown_length);
        break_off(lane, ERR_PROTOCOL, text);
        break;
    }
}

/* How much of in the relay takes now. */
static size_t pass_on(struct errand_lane *lane, struct slice in, struct relay_plan *plan)
{
    struct backend *backend = lane->lease.backend;
    size_t used = relay_from_client(&backend->relay, &lane->sent, in, plan);

    tally_sends(metrics_of(lane), plan);
    tally_answered_here(metrics_of(lane), plan);
    if (plan->count > 0)
        backend_send(backend, plan->slices, plan->count);
    return used;
}

/* True: it may take more at once. */
static bool take_note(struct errand_lane *lane, size_t used, const struct relay_plan *plan)
{
    if (plan->back.length > 0)
        hear(lane, plan->back);
    obey(lane, plan);
    return (used > 0 || plan->count > 0) && plan->verdict == RELAY_GO_ON;
}

/* A cancel under way must not hit what comes next. */
static bool may_send(const struct errand_lane *lane)
{
    const struct backend *backend = lane->lease.backend;

    return backend != NULL && !lane->errand->dead && backend->canceling == 0 && !lane->copying &&
           (lane->lane->state == SCHEDULE_HOLDING || lane->lane->state == SCHEDULE_CANCELING) &&
           stream_queued(&backend->stream) <= MOST_QUEUED;
}

void errand_lane_send(struct errand_lane *lane)
{
    bool more = true;

    while (more && may_send(lane)) {
        struct slice in = next_bytes(lane);
        struct relay_plan plan;
        size_t used;

        if (in.length == 0)
            return;
        used = pass_on(lane, in, &plan);
        note_sent(lane, used);
        more = take_note(lane, used, &plan);
    }
}

/* Nobody has data for it. The Sync behind the query was read as a part of them (trap 22). */
static void end_copy(struct errand_lane *lane)
{
    static const char reason[] = "there is no data for it here";
    uint8_t bytes[WIRE_HEADER_SIZE + sizeof(reason) + WIRE_HEADER_SIZE] = {WIRE_COPY_FAIL};
    uint8_t *sync = bytes + WIRE_HEADER_SIZE + sizeof(reason);
    struct slice in = {bytes, sizeof(bytes)};
    bool more = true;

    bytes_put_u32(bytes + 1, 4 + sizeof(reason));
    memcpy(bytes + WIRE_HEADER_SIZE, reason, sizeof(reason));
    *sync = WIRE_SYNC;
    bytes_put_u32(sync + 1, 4);
    lane->copying = false;
    while (more && in.length > 0) {
        struct relay_plan plan;
        size_t used = pass_on(lane, in, &plan);

        in.at += used;
        in.length -= used;
        more = take_note(lane, used, &plan);
    }
    if (in.length > 0)
        break_off(lane, ERR_NOT_SUPPORTED, "COPY FROM STDIN");
}

/* ---- from the server ----------------------------------------------------------------------- */

/* What was collected of a query's answer goes to the owner. Of BEGIN and COMMIT, errors. */
static void pass_back(struct errand_lane *lane, const struct schedule_query *query,
                      struct slice *bytes)
{
    struct errand *errand = lane->errand;

    if (bytes->length > 0 && !errand->dead)
        errand->events->answer(errand, errand_index(errand, query), *bytes);
    *bytes = (struct slice){0};
}

static void add(struct slice *bytes, struct slice part)
{
    if (bytes->length == 0)
        bytes->at = part.at;
    bytes->length += part.length;
}

/* It ends with ReadyForQuery, and that with the state of the transaction. */
static void end_answer(struct errand_lane *lane, const struct reply_part *part)
{
    static const enum schedule_answer answers[] = {
        [REPLY_WELL] = SCHEDULE_ANSWERED_WELL,
        [REPLY_ERROR] = SCHEDULE_ANSWERED_ERROR,
        [REPLY_CANCELED] = SCHEDULE_ANSWERED_CANCELED,
    };
    struct errand *errand = lane->errand;
    bool in_block = part->bytes.at[part->bytes.length - 1] != 'I';

    errand_lane_resume(lane);
    schedule_answered(&errand->schedule, lane->lane, answers[part->outcome], in_block,
                      errand_now(errand));
    errand_tell(errand);
}

/* Whose answer it is; NULL: nobody's. What comes to one who was not asked is not to be trusted. */
static struct schedule_query *addressee(struct errand_lane *lane)
{
    struct schedule_query *front = schedule_front(lane->lane);

    return front != NULL && front->sent && !lane->errand->dead ? front : NULL;
}

static void hear(struct errand_lane *lane, struct slice in)
{
    struct errand *errand = lane->errand;
    struct schedule_query *query = addressee(lane);
    struct slice gathered = {0};
    struct reply_part part;

    errand->busy++;
    while (reply_next(&lane->reply, &in, &part)) {
        struct errand_item *item = query != NULL ? &errand->items[query - errand->queries] : NULL;

        if (query == NULL)
            continue;
        item->told |= part.type == WIRE_ERROR_RESPONSE;
        item->cut = reply_is_cut(&lane->reply);
        lane->copying |= part.type == WIRE_COPY_IN_RESPONSE && !item->cut;
        if (errand_index(errand, query) != ERRAND_TRANSACTION || part.type == WIRE_ERROR_RESPONSE)
            add(&gathered, part.bytes);
        else
            pass_back(lane, query, &gathered);
        if (!part.ends)
            continue;
        pass_back(lane, query, &gathered);
        end_answer(lane, &part);
        query = addressee(lane);
    }
    if (query != NULL)
        pass_back(lane, query, &gathered);
    errand->busy--;
}

static void on_answer(struct broker_lease *lease, const struct relay_plan *plan)
{
    struct errand_lane *lane = lessee(lease);

    tally_hears(&lane->tally, metrics_of(lane), plan, true);
    for (size_t i = 0; i < plan->count; i++)
        hear(lane, plan->slices[i]);
}

static size_t own_asks(const struct errand_lane *lane)
{
    const struct errand *errand = lane->errand;
    size_t count = 0;

    for (size_t i = 0; i < errand->lanes_length; i++)
        count += errand->places[i].state == SCHEDULE_ASKING &&
                 errand->places[i].place == lane->lane->place;
    return count;
}

/* Whether the next query finds its connection as the first did, and nobody else waits for it. */
static bool is_as_new(const struct errand_lane *lane)
{
    const struct backend *backend = lane->lease.backend;
    size_t waiting = pool_waiting(lane->lease.place->pool);

    return backend_may_be_left(backend, &lane->sent) && !backend->relay.tainted &&
           !backend->relay.dying && lane->sent.names.count == 0 &&
           backend->upkeep.settings.wanted == lane->lease.wanted &&
           (waiting == 0 || waiting <= own_asks(lane));
}

static void rest(struct errand_lane *lane)
{
    struct errand *errand = lane->errand;
    struct backend *backend = lane->lease.backend;

    if (backend->relay.failed) { /* what it wants of its servers, this one will not have */
        break_off(lane, ERR_SETTING, backend->failure);
    } else if (backend->relay.in_block && !backend_is_mid_answer(backend)) {
        break_off(lane, ERR_IN_BLOCK, "");
    } else if (lane->copying) {
        end_copy(lane);
    } else if (lane->lane->flight.length == 0) {
        schedule_rested(&errand->schedule, lane->lane, is_as_new(lane), errand_now(errand));
    } else {
        errand_lane_send(lane);
    }
}

static void on_turn(struct broker_lease *lease)
{
    struct errand_lane *lane = lessee(lease);
    struct errand *errand = lane->errand;

    errand->busy++;
    if (!errand->dead)
        rest(lane);
    errand->busy--;
    errand_run(errand);
}

static void on_drained(struct broker_lease *lease)
{
    struct errand_lane *lane = lessee(lease);

    lane->errand->busy++;
    errand_lane_send(lane);
    lane->errand->busy--;
    errand_run(lane->errand);
}

/* ---- leases -------------------------------------------------------------------------------- */

/* It has seen no server of that pool before and could not say how it wants them. */
static bool has_come_unprepared(const struct errand_lane *lane)
{
    return lane->lease.wanted == NULL && lane->lease.place->standard != NULL;
}

static void on_granted(struct broker_lease *lease)
{
    struct errand_lane *lane = lessee(lease);
    struct errand *errand = lane->errand;

    if (errand->dead) /* it is being taken down, and what it has is left in its turn */
        return;
    if (has_come_unprepared(lane)) {
        broker_leave(lease, &lane->sent);
        bring_settings(lane);
        broker_ask(lease, errand->hasty);
        return;
    }
    broker_set_mode(lease);
    tally_granted(&lane->tally, metrics_of(lane));
    schedule_granted(&errand->schedule, lane->lane, errand_now(errand));
    errand_run(errand);
}

static void on_refused(struct broker_lease *lease, enum err why, const char *text)
{
    struct errand_lane *lane = lessee(lease);
    struct errand *errand = lane->errand;

    if (errand->dead)
        return;
    explain(lane, text);
    schedule_refused(&errand->schedule, lane->lane, why, errand_now(errand));
    errand_run(errand);
}

static void on_lost(struct broker_lease *lease, const char *text, bool told, bool cut)
{
    struct errand_lane *lane = lessee(lease);
    struct errand *errand = lane->errand;

    (void)told;
    (void)cut;
    begin_anew(lane);
    explain(lane, text);
    schedule_lost(&errand->schedule, lane->lane, errand_now(errand));
    errand_run(errand);
}

static const struct broker_events lease_events = {
    .granted = on_granted,
    .refused = on_refused,
    .lost = on_lost,
    .answer = on_answer,
    .turn = on_turn,
    .drained = on_drained,
};

/* ---- cancels and pauses -------------------------------------------------------------------- */

/* Where nothing was sent there is nothing to cancel, and who is not read will not be heard. A
 * cancel that cannot be sent is in vain; then the time it has runs out. */
void errand_lane_cancel(struct errand_lane *lane)
{
    const struct schedule_query *front = schedule_front(lane->lane);

    if (lane->paused || front == NULL || !front->sent) {
        schedule_abandon(&lane->errand->schedule, lane->lane, errand_now(lane->errand));
        return;
    }
    if (broker_cancel(&lane->lease) == ERR_OK)
        metrics_of(lane)->cancels++;
}

void errand_lane_pause(struct errand_lane *lane)
{
    lane->paused = true;
    stream_pause(&lane->lease.backend->stream);
}

void errand_lane_resume(struct errand_lane *lane)
{
    if (!lane->paused)
        return;
    lane->paused = false;
    stream_read(&lane->lease.backend->stream);
}

void errand_lane_init(struct errand_lane *lane, struct errand *errand, struct schedule_lane *of)
{
    lane->errand = errand;
    lane->lane = of;
    lane->lease.events = &lease_events;
    lane->lease.sent = &lane->sent;
    begin_anew(lane);
}

void errand_lane_fini(struct errand_lane *lane)
{
    if (lane->errand == NULL)
        return;
    forget_settings(lane);
    statement_names_clear(&lane->sent.names);
}
