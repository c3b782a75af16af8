#include "proxy/fronts/postgres/session.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/postgres/wire.h"
#include "proxy/fronts/postgres/console.h"
#include "proxy/fronts/postgres/front.h"
#include "proxy/fronts/postgres/greeting.h"
#include "proxy/fronts/postgres/session_console.h"
#include "proxy/fronts/postgres/subscriptions.h"

/* More than that queued for one side, and the other is not read until it has been taken. */
enum { MOST_QUEUED = 64 * 1024 };

const char *const session_state_names[SESSION_STATE_COUNT] = {
#define X(state, name) [SESSION_##state] = name,
    SESSION_STATES(X)
#undef X
};

typedef size_t step(struct session *session, struct slice in);

static step greet, keep, pass_on, discard;
static void welcome(struct session *session);

#define MAY(state) (1u << SESSION_##state)
#define MAY_END    (MAY(LEAVING) | MAY(CLOSING))
#define MAY_WORK   (MAY(SENDING) | MAY(WORKING) | MAY(HOLDING) | MAY(PINNED))

/* What a session does with what its client sends, where it may go, and what it says when
 * it has been in a state for too long. Who waits for a server is told by its pool. */
static const struct {
    step *bytes;
    unsigned may_become;
    enum err too_late;
} life[SESSION_STATE_COUNT] = {
    [SESSION_GREETING] = {greet,
                          MAY(WELCOMING) | MAY(RESTING) | MAY(CONSOLE) | MAY(CANCELING) | MAY_END,
                          ERR_LOGIN_TOO_LONG},
    [SESSION_WELCOMING] = {keep, MAY(RESTING) | MAY(REPLICATING) | MAY_END, ERR_LOGIN_TOO_LONG},
    [SESSION_RESTING] = {pass_on, MAY(BEGUN) | MAY(QUEUEING) | MAY_END, ERR_IDLE_TOO_LONG},
    [SESSION_BEGUN] = {pass_on, MAY(RESTING) | MAY(QUEUEING) | MAY_END,
                       ERR_IN_TRANSACTION_TOO_LONG},
    [SESSION_QUEUEING] = {keep, MAY(WORKING) | MAY(RESTING) | MAY_END, ERR_OK},
    [SESSION_SENDING] = {pass_on, MAY_WORK | MAY(RESTING) | MAY_END, ERR_MESSAGE_TOO_LONG},
    [SESSION_WORKING] = {pass_on, MAY_WORK | MAY(RESTING) | MAY_END, ERR_QUERY_TOO_LONG},
    [SESSION_HOLDING] = {pass_on, MAY_WORK | MAY(RESTING) | MAY_END, ERR_IN_TRANSACTION_TOO_LONG},
    [SESSION_PINNED] = {pass_on, MAY_WORK | MAY(RESTING) | MAY_END, ERR_IDLE_TOO_LONG},
    [SESSION_REPLICATING] = {pass_on, MAY_END, ERR_OK},
    [SESSION_CONSOLE] = {session_console_bytes, MAY_END, ERR_OK}, /* who watches may be silent */
    [SESSION_CANCELING] = {discard, MAY_END, ERR_CLOSED},
    [SESSION_LEAVING] = {discard, MAY(CLOSING), ERR_CLOSED},
    [SESSION_CLOSING] = {discard, 0, ERR_CLOSED},
};

static struct session *session_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct session, stream);
}

static struct session *lessee(struct broker_lease *lease)
{
    return CONTAINER_OF(lease, struct session, lease);
}

static struct relay *relay_of(struct session *session)
{
    return session->lease.backend != NULL ? &session->lease.backend->relay : NULL;
}

static struct metrics_pool *metrics_of(struct session *session)
{
    return &session->lease.place->metrics;
}

static bool is_over(const struct session *session)
{
    return session->state == SESSION_LEAVING || session->state == SESSION_CLOSING;
}

/* ---- from state to state ----------------------------------------------------------------- */

/* Its time in that state begins now; who came last is at the back. */
static void enter(struct session *session, enum session_state state)
{
    struct front *front = session->front;
    uint64_t limit = front->with.limits_ms[state];

    list_push_back(&front->sessions[state], &session->link);
    session->state = (uint8_t)state;
    session->since = uv_now(front->with.streams->loop);
    if (limit > 0)
        alarm_due_at(front->with.alarm, session->since + limit);
}

static void become(struct session *session, enum session_state state)
{
    if (session->state == state)
        return;
    REQUIRE(life[session->state].may_become & (1u << state));
    list_remove(&session->front->sessions[session->state], &session->link);
    enter(session, state);
}

static void begin_anew(struct session *session)
{
    list_remove(&session->front->sessions[session->state], &session->link);
    enter(session, (enum session_state)session->state);
}

/* Whatever it has of a pool it has no more. */
static void detach(struct session *session)
{
    subscriptions_end(session);
    if (session->lease.backend != NULL)
        broker_leave(&session->lease, &session->sent);
    else
        broker_give_up(&session->lease);
}

static void end_greeting(struct session *session)
{
    greeting_abandon(session->greeting);
    session->greeting = NULL;
}

void session_close(struct session *session)
{
    if (session->state == SESSION_CLOSING)
        return;
    detach(session);
    become(session, SESSION_CLOSING);
    end_greeting(session);
    stream_close(&session->stream);
}

/* No more words: what is queued is sent, then the end, and then we wait for the client's.
 * To close at once would destroy what it has not read yet, if it has sent something more. */
static void leave(struct session *session)
{
    detach(session);
    become(session, SESSION_LEAVING);
    end_greeting(session);
    stream_finish(&session->stream);
    stream_read(&session->stream);
}

void session_fail(struct session *session, enum err why, const char *text)
{
    struct backend *backend = session->lease.backend;
    bool cut = backend != NULL && backend_is_mid_answer(backend);

    if (is_over(session))
        return;
    if (text == NULL || text[0] == '\0')
        text = err_text(why);
    if (session->front->with.log_pooler_errors)
        session_who_says(session, LOG_LEVEL_WARNING, "pooler error: ", text);
    if (why == ERR_PROTOCOL)
        session->front->with.metrics->protocol_violations++;
    detach(session);
    if (!cut) /* else our words would be taken for a part of a row */
        session_words_error(session, "FATAL", why, text);
    leave(session);
}

void session_expire(struct session *session)
{
    enum err why = life[session->state].too_late;

    if (session->state == SESSION_LEAVING || session->state == SESSION_CANCELING)
        session_close(session);
    else if (why != ERR_OK)
        session_fail(session, why, NULL);
}

/* ---- bytes from the client --------------------------------------------------------------- */

static size_t greet(struct session *session, struct slice in)
{
    return greeting_bytes(session->greeting, in);
}

static size_t keep(struct session *session, struct slice in)
{
    (void)session;
    (void)in;
    return 0;
}

static size_t discard(struct session *session, struct slice in)
{
    (void)session;
    return in.length;
}

static void ask_for_server(struct session *session)
{
    become(session, SESSION_QUEUEING);
    tally_asks(&session->tally);
    broker_ask(&session->lease, false);
}

/* What a session that has a server is waiting for. */
static enum session_state occupation(struct session *session)
{
    const struct relay *relay = relay_of(session);

    if (session->lease.client.own)
        return SESSION_REPLICATING;
    if (relay_is_half_sent(&session->sent) || session->half_seen)
        return SESSION_SENDING;
    if (relay_owes(relay))
        return SESSION_WORKING;
    return relay->status == 'I' && !relay->unsynced ? SESSION_PINNED : SESSION_HOLDING;
}

static void send_to_server(struct session *session, const struct relay_plan *plan)
{
    struct backend *backend = session->lease.backend;

    if (session->state == SESSION_HOLDING || session->state == SESSION_PINNED)
        tally_wakes(&session->tally, session->state == SESSION_PINNED);
    if (session->state == SESSION_SENDING)
        begin_anew(session); /* it goes on sending, however slowly */
    become(session, occupation(session));
    tally_sends(metrics_of(session), plan);
    backend_send(backend, plan->slices, plan->count);
    if (stream_queued(&backend->stream) > MOST_QUEUED)
        stream_pause(&session->stream);
}

/* What the relay wants before it goes on. */
static void obey(struct session *session, const struct relay_plan *plan)
{
    char text[80];

    session->held_back = plan->verdict == RELAY_WAITS;
    switch (plan->verdict) {
    case RELAY_GO_ON:
    case RELAY_WAITS:
        break;
    case RELAY_NEEDS_SERVER:
        ask_for_server(session);
        break;
    case RELAY_TERMINATED:
        session_close(session);
        break;
    case RELAY_TOO_MANY_NAMES:
        session_fail(session, ERR_TOO_MANY_STATEMENTS, NULL);
        break;
    case RELAY_REJECTED:
        session_fail(session, ERR_NOT_SUPPORTED, "session_state = reject does not allow this");
        break;
    case RELAY_BROKEN:
        snprintf(text, sizeof(text), "invalid frontend message: type 0x%02x, length %u",
                 plan->unknown_type, plan->unknown_length);
        session_fail(session, ERR_PROTOCOL, text);
        break;
    }
}

static size_t pass_on(struct session *session, struct slice in)
{
    struct relay_plan plan;
    size_t used;

    /* A cancel that is sent again must not hit what comes next: its client knows of none. */
    session->held_back =
        session->lease.backend != NULL && backend_is_insisting(session->lease.backend);
    if (session->held_back)
        return 0;
    used = subscriptions_pass(session, in, &plan);
    if (plan.count > 0 || (session->half_seen && session->lease.backend != NULL))
        send_to_server(session, &plan);
    if (plan.back.length > 0)
        stream_write(&session->stream, &plan.back, 1);
    if (plan.refused)
        stream_write(&session->stream,
                     session->sent.begun_failed ? &SLICE("Z\0\0\0\5E") : &SLICE("Z\0\0\0\5I"), 1);
    tally_answered_here(metrics_of(session), &plan);
    if (session->lease.backend == NULL && !is_over(session))
        become(session, session->sent.begun_length > 0 ? SESSION_BEGUN : SESSION_RESTING);
    obey(session, &plan);
    return used;
}

static void on_turn(struct broker_lease *lease);

/* Each state takes what it can; what it leaves is for the state that follows. */
static size_t on_bytes(struct stream *stream, struct slice in)
{
    struct session *session = session_of(stream);
    size_t used = 0, now;
    uint8_t state;

    session->in_bytes = true;
    do {
        state = session->state;
        now = life[state].bytes(session, (struct slice){in.at + used, in.length - used});
        used += now;
        /* Copied data may be the last its server was kept for, and nothing answers it (trap 23). */
        if (now > 0 && session->lease.backend != NULL &&
            backend_is_due(session->lease.backend, &session->sent))
            on_turn(&session->lease);
    } while ((now > 0 || session->state != state) && used < in.length);
    session->in_bytes = false;
    return used;
}

static void on_ended(struct stream *stream, enum err why)
{
    struct session *session = session_of(stream);

    (void)why;
    if (session->state != SESSION_LEAVING && session->state != SESSION_CANCELING &&
        session->front->with.log_disconnections)
        session_who_says(session, LOG_LEVEL_INFO, "closing because: ", "client unexpected eof");
    session_close(session);
}

/* ---- what its server says ---------------------------------------------------------------- */

static void on_answer(struct broker_lease *lease, const struct relay_plan *plan)
{
    struct session *session = lessee(lease);

    tally_hears(&session->tally, metrics_of(session), plan, session->state != SESSION_REPLICATING);
    if (plan->count > 0)
        stream_write(&session->stream, plan->slices, plan->count);
    subscriptions_note(session, plan);
    if (plan->queries > 0 && session->state != SESSION_REPLICATING)
        begin_anew(session); /* what is owed next is another query */
    if (!session->server_paused && stream_queued(&session->stream) > MOST_QUEUED) {
        session->server_paused = true;
        stream_pause(&lease->backend->stream);
    }
}

void session_go_on(struct session *session)
{
    if (!session->in_bytes) /* else that is just what happens */
        stream_again(&session->stream);
}

/* The client may go on, and with what it has sent ahead. Who does not read what was
 * answered is not asked what else it wants. */
static void listen_again(struct session *session)
{
    if (stream_queued(&session->stream) > MOST_QUEUED) {
        stream_pause(&session->stream);
        session->held_back = true;
        return;
    }
    stream_read(&session->stream);
    if (session->held_back)
        session_go_on(session);
}

void session_rest(struct session *session)
{
    become(session, SESSION_RESTING);
    session->server_paused = false;
    subscriptions_rest(session);
    if (session->front->draining)
        session_fail(session, ERR_SHUTTING_DOWN, NULL);
    else
        listen_again(session);
}

/* Whether it has nothing to keep its server for, and the server was asked what only that knows. May
 * lose it. */
static bool may_leave(struct broker_lease *lease)
{
    if (backend_may_be_left(lease->backend, lease->sent)) /* nearly always */
        return true;
    broker_see_to(lease);
    return lease->backend != NULL && backend_may_be_left(lease->backend, lease->sent);
}

static void on_turn(struct broker_lease *lease)
{
    struct session *session = lessee(lease);
    struct relay *owed = relay_of(session);

    if (owed->failed) { /* what it wanted in its first packet, the server will not have */
        session_fail(session, ERR_SETTING, lease->backend->failure);
        return;
    }
    if (owed->in_block && !backend_is_mid_answer(lease->backend)) { /* it is rolled back */
        session_fail(session, ERR_IN_BLOCK, NULL);
        return;
    }
    if (subscriptions_check(session)) {
        if (lease->backend != NULL)
            become(session, SESSION_WORKING);
        return;
    }
    if (may_leave(lease)) {
        broker_leave(lease, &session->sent);
        session_rest(session);
        return;
    }
    if (lease->backend == NULL) /* it was lost, and that was told */
        return;
    become(session, occupation(session));
    if (session->state == SESSION_PINNED && session->front->draining)
        session_fail(session, ERR_SHUTTING_DOWN, NULL);
    else if (session->held_back)
        session_go_on(session);
}

/* The server takes again what its client sends. */
static void on_server_drained(struct broker_lease *lease)
{
    stream_read(&lessee(lease)->stream);
}

/* The client has taken what it was sent: its server may go on. */
static void on_drained(struct stream *stream)
{
    struct session *session = session_of(stream);

    subscriptions_deliver(session);
    if (session->state == SESSION_RESTING || session->state == SESSION_CONSOLE)
        listen_again(session);
    else if (session->server_paused && session->lease.backend != NULL)
        stream_read(&session->lease.backend->stream);
    session->server_paused = false;
}

static void on_granted(struct broker_lease *lease)
{
    struct session *session = lessee(lease);

    if (session->state == SESSION_WELCOMING) {
        if (lease->client.own)
            broker_set_mode(lease);
        else /* it only wanted to know what to say */
            broker_leave(lease, &session->sent);
        welcome(session);
        return;
    }
    broker_set_mode(lease);
    become(session, SESSION_WORKING);
    tally_granted(&session->tally, metrics_of(session));
    session_go_on(session);
}

static void on_refused(struct broker_lease *lease, enum err why, const char *text)
{
    struct session *session = lessee(lease);
    char words[400];

    snprintf(words, sizeof(words), "%s%s%s", err_text(why), text[0] ? ": " : "", text);
    session_fail(session, why, words);
}

static void on_lost(struct broker_lease *lease, const char *why, bool told, bool cut)
{
    struct session *session = lessee(lease);

    if (cut)
        session_close(session); /* nothing can be said in the middle of a message */
    else if (told)
        leave(session);
    else
        session_fail(session, ERR_BACKEND_LOST, why);
}

static const struct broker_events lease_events = {
    .granted = on_granted,
    .refused = on_refused,
    .lost = on_lost,
    .answer = on_answer,
    .turn = on_turn,
    .drained = on_server_drained,
};

const struct session *session_with(const struct broker_lease *lease)
{
    return lease != NULL && lease->events == &lease_events
               ? CONTAINER_OF(lease, const struct session, lease)
               : NULL;
}

/* ---- coming and going -------------------------------------------------------------------- */

static void on_closed(struct stream *stream)
{
    struct session *session = session_of(stream);
    struct front *front = session->front;

    list_remove(&front->sessions[session->state], &session->link);
    parameters_release(&front->with.broker->home.parameters, session->lease.wanted);
    parameters_release(&front->with.broker->home.parameters, session->lease.own);
    front_strike_off(front, session);
    statement_names_clear(&session->sent.names);
    console_destroy(session->console);
    free(session->login);
    free(session);
}

static const struct stream_events stream_events = {
    .bytes = on_bytes,
    .ended = on_ended,
    .drained = on_drained,
    .closed = on_closed,
};

void session_accept(struct front *front, uv_stream_t *listener)
{
    struct session *session = calloc(1, sizeof(*session));
    enum err e;

    REQUIRE(session != NULL); /* who has not even that serves nobody: let it be started anew */
    session->front = front;
    session->id = ++front->next_id;
    session->lease.events = &lease_events;
    session->lease.sent = &session->sent;
    enter(session, SESSION_GREETING);
    session->came_s = (uint32_t)(session->since / 1000);
    e = stream_accept(&session->stream, front->with.streams, &stream_events, listener);
    if (e == ERR_OK) {
        peer_keep_alive(&session->stream, &front->with.keepalive);
        peer_get(&session->stream, &session->peer);
        session->greeting = greeting_begin(session);
    }
    if (session->greeting != NULL)
        stream_read(&session->stream);
    else
        session_close(session);
}

static void welcome(struct session *session)
{
    if (greeting_welcome(session->greeting) != ERR_OK)
        session_fail(session, ERR_NO_MEMORY, NULL);
    if (is_over(session))
        return;
    end_greeting(session);
    session->front->with.metrics->logins++;
    metrics_of(session)->logins++;
    session->sent.most_names = session->front->with.max_statements;
    session->sent.defers = session->lease.place->terms.mode == SETTINGS_POOL_MODE_TRANSACTION &&
                           session->lease.backend == NULL;
    session->held_back = true; /* what was sent ahead of the welcome */
    if (session->lease.backend == NULL) {
        session_rest(session);
        return;
    }
    become(session, SESSION_REPLICATING);
    listen_again(session);
}

/* Once a server of its pool was seen, it can be greeted at once, unless it wants one of its own. */
void session_welcome(struct session *session)
{
    if (session->lease.place->standard != NULL && session->lease.wishes == NULL) {
        welcome(session);
        return;
    }
    become(session, SESSION_WELCOMING);
    broker_ask(&session->lease, true);
}

void session_begin_console(struct session *session)
{
    become(session, SESSION_CONSOLE);
    end_greeting(session);
    session->front->with.metrics->logins++;
    session->held_back = true;
    listen_again(session);
}

/* ---- cancels ----------------------------------------------------------------------------- */

void session_wait_for_cancel(struct session *session, const void *backend)
{
    become(session, SESSION_CANCELING);
    session->canceling = backend;
    end_greeting(session);
    if (backend == NULL)
        session_close(session);
}
