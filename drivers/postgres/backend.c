#include "drivers/postgres/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/postgres/cancel.h"
#include "drivers/postgres/wire.h"

#define MAY(state) (1u << BACKEND_##state)

static const unsigned may_become[BACKEND_STATE_COUNT] = {
    [BACKEND_LOGIN] = MAY(PROVING) | MAY(CLOSING),
    [BACKEND_PROVING] = MAY(FREE) | MAY(CLOSING),
    [BACKEND_FREE] = MAY(LEASED) | MAY(CLOSING),
    [BACKEND_LEASED] = MAY(FREE) | MAY(LEFT) | MAY(CLOSING),
    [BACKEND_LEFT] = MAY(CLEANING) | MAY(CLOSING),
    [BACKEND_CLEANING] = MAY(FREE) | MAY(CLOSING),
    [BACKEND_CLOSING] = 0,
};

static void become(struct backend *backend, enum backend_state state)
{
    REQUIRE(may_become[backend->state] & (1u << state));
    backend->state = state;
}

static void lose(struct backend *backend, enum err e, const char *why)
{
    if (backend->state == BACKEND_CLOSING)
        return;
    become(backend, BACKEND_CLOSING);
    backend->events->lost(backend, e, why);
}

static void stop_insisting(struct backend *backend)
{
    if (link_is_linked(&backend->insisting))
        list_remove(&backend->home->insisting, &backend->insisting);
}

/* ---- asking for ourselves ---------------------------------------------------------------- */

static void send_bytes(struct backend *backend, struct bytes *out)
{
    if (out->failed)
        lose(backend, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
    else if (out->length > 0)
        backend_send(backend, &(struct slice){out->at, out->length}, 1);
    bytes_free(out);
}

static void ask_query(struct backend *backend, const char *sql)
{
    struct bytes out = {0};

    relay_ask_query(&backend->relay, sql, &out);
    send_bytes(backend, &out);
}

/* ---- cleaning ---------------------------------------------------------------------------- */

static void set_free(struct backend *backend)
{
    stop_insisting(backend);
    relay_renew(&backend->relay);
    backend->client = NULL;
    become(backend, BACKEND_FREE);
}

/* In session mode that is the operator's business. In the others what pins a client has no
 * place on the server of another, whatever the configuration says. */
static const char *next_reset(const struct backend *backend)
{
    static const char all[] = "DISCARD ALL";
    bool by_mode = (backend->relay.pinned & 1u << RELAY_PIN_MODE) != 0;
    bool of_pins =
        (backend->relay.pinned != 0 || state_is_doubtful(&backend->relay.state)) && !by_mode;
    const char *own = by_mode || backend->reset_always ? backend->reset_query : NULL;

    if (of_pins && backend->resets == 0)
        return all;
    if (of_pins && own != NULL && strcmp(own, all) == 0)
        return NULL;
    return backend->resets == (of_pins ? 1 : 0) ? own : NULL;
}

/* One step at a time: each time the server has answered the last one, or a cancel has come
 * to its end. A cancel under way must not hit the ROLLBACK (trap 28). */
static void clean_on(struct backend *backend)
{
    struct relay *relay = &backend->relay;
    const char *reset = next_reset(backend);

    if (relay->failed || relay->tainted) {
        lose(backend, ERR_BACKEND_LOST, "it could not be cleaned");
    } else if (relay_owes(relay) || backend->canceling > 0 || !backend->whole) {
        return;
    } else if (relay->status != 'I') {
        ask_query(backend, "ROLLBACK");
    } else if (reset != NULL) {
        backend->resets++;
        upkeep_cleaned(&backend->upkeep, reset); /* or it is closed */
        ask_query(backend, reset);
    } else if (!relay_is_settled(relay, NULL)) {
        lose(backend, ERR_BACKEND_LOST, "it could not be cleaned");
    } else {
        set_free(backend);
        backend->events->cleaned(backend);
    }
}

void backend_clean(struct backend *backend, const char *reset_query)
{
    become(backend, BACKEND_CLEANING);
    backend->reset_query = reset_query;
    backend->resets = 0;
    backend->relay.failed = false; /* what failed has changed nothing */
    if (relay_owes(&backend->relay) && backend_cancel(backend) != ERR_OK)
        lose(backend, ERR_BACKEND_LOST, "what it was doing could not be canceled");
    else
        clean_on(backend);
}

static void on_canceled(void *owner, const char *why_not)
{
    struct backend *backend = owner;

    (void)why_not; /* the query goes on; deadlines see to the rest */
    if (--backend->canceling > 0)
        return;
    backend->insisted = false;
    backend->events->canceled(backend);
    if (backend->state == BACKEND_CLEANING)
        clean_on(backend);
    else if (backend->state == BACKEND_LEASED)
        backend->events->turn(backend); /* it may have been done but for this */
    else if (backend->state == BACKEND_CLOSING)
        backend_close(backend);
}

static enum err send_cancel(struct backend *backend)
{
    enum err e = cancel_send(backend->home->cancels, backend->conn, backend, on_canceled);

    if (e == ERR_OK)
        backend->canceling++;
    return e;
}

enum err backend_cancel(struct backend *backend)
{
    uint64_t now = uv_now(backend->home->streams->loop);

    if (!relay_owes(&backend->relay))
        return ERR_OK;
    stop_insisting(backend);
    insist_begin(&backend->insist, &backend->relay.owed, now);
    if (backend->insist.due != INSIST_NEVER)
        list_push_back(&backend->home->insisting, &backend->insisting);
    if (backend->state == BACKEND_LEASED && backend->insist.due != INSIST_NEVER &&
        insist_is_early(&backend->insist, &backend->relay.owed))
        return ERR_OK;
    return send_cancel(backend);
}

bool backend_insist(struct backend *backend)
{
    uint64_t now = uv_now(backend->home->streams->loop);
    bool again = insist_again(&backend->insist, &backend->relay.owed, now);

    if (backend->insist.due == INSIST_NEVER)
        stop_insisting(backend);
    if (!again || backend->canceling > 0 || send_cancel(backend) != ERR_OK)
        return false;
    backend->insisted = true;
    return true;
}

bool backend_is_insisting(const struct backend *backend)
{
    return backend->insisted;
}

/* ---- bytes from the server --------------------------------------------------------------- */

static void after_turn(struct backend *backend)
{
    struct relay *relay = &backend->relay;

    switch (backend->state) {
    case BACKEND_LEASED:
        backend->events->turn(backend);
        break;
    case BACKEND_PROVING:
        if (relay->tainted || relay->failed) {
            lose(backend, ERR_BACKEND_LOST, "it said something unexpected after login");
        } else if (backend->whole && relay_is_settled(relay, NULL)) {
            set_free(backend);
            backend->events->opened(backend);
        }
        break;
    case BACKEND_FREE:
        if (relay->tainted)
            lose(backend, ERR_BACKEND_LOST, "it spoke without being asked");
        break;
    case BACKEND_CLEANING:
        clean_on(backend);
        break;
    case BACKEND_LOGIN:
    case BACKEND_LEFT:
    case BACKEND_CLOSING:
    case BACKEND_STATE_COUNT:
        break;
    }
}

static void note_failure(struct backend *backend, struct slice body)
{
    struct slice text = wire_error_field(body, 'M');

    snprintf(backend->failure, sizeof(backend->failure), "%.*s", (int)text.length,
             text.at ? (const char *)text.at : "");
}

static void take_note(struct backend *backend, const struct relay_plan *plan)
{
    if (plan->failure.length > 0)
        note_failure(backend, plan->failure);
    upkeep_note(&backend->upkeep, &backend->relay, backend->conn, plan,
                backend->state == BACKEND_LEASED);
}

static void repeat(struct backend *backend)
{
    struct relay_plan plan;

    while (relay_repeat(&backend->relay, &plan))
        backend_send(backend, plan.slices, plan.count);
}

static size_t on_bytes(struct stream *stream, struct slice in)
{
    struct backend *backend = CONTAINER_OF(stream, struct backend, stream);
    struct relay_plan plan;
    size_t used = 0, now;

    do {
        now = relay_from_server(&backend->relay, (struct slice){in.at + used, in.length - used},
                                &plan);
        used += now;
        take_note(backend, &plan);
        if (backend->state == BACKEND_LEASED && (now > 0 || plan.count > 0))
            backend->events->answer(backend, &plan);
        if (plan.repeat)
            repeat(backend);
    } while ((now > 0 || plan.count > 0) && (used < in.length || relay_plan_is_full(&plan)));

    if (backend->state == BACKEND_CLOSING)
        return in.length;
    backend->whole = used == in.length;
    backend->told = backend->relay.dying && !backend->relay.swallow && plan.verdict != RELAY_BROKEN;
    if (plan.verdict == RELAY_BROKEN)
        lose(backend, ERR_BACKEND_LOST, "it sent something that is not the protocol");
    else if (backend->relay.dying && backend->relay.remaining == 0)
        lose(backend, ERR_BACKEND_LOST, "server ended the connection");
    else
        after_turn(backend);
    return used;
}

static void on_ended(struct stream *stream, enum err why)
{
    (void)why;
    lose(CONTAINER_OF(stream, struct backend, stream), ERR_BACKEND_LOST,
         err_text(ERR_BACKEND_LOST));
}

static void on_drained(struct stream *stream)
{
    struct backend *backend = CONTAINER_OF(stream, struct backend, stream);

    if (backend->state == BACKEND_LEASED)
        backend->events->drained(backend);
}

/* ---- closing ----------------------------------------------------------------------------- */

/* libpq says goodbye, under TLS as well, unless that would fall into the middle of a message.
 * It frees the SSL that the stream was lent: so the stream is closed before. */
static void destroy(struct backend *backend)
{
    if (backend->conn != NULL && (backend->half_sent || !relay_is_settled(&backend->relay, NULL)))
        shutdown(PQsocket(backend->conn), SHUT_RDWR);
    PQfinish(backend->conn);
    upkeep_fini(&backend->upkeep);
    relay_fini(&backend->relay);
    bytes_free(&backend->ahead);
    free(backend);
}

static void on_closed(struct stream *stream)
{
    destroy(CONTAINER_OF(stream, struct backend, stream));
}

void backend_close(struct backend *backend)
{
    backend->state = BACKEND_CLOSING;
    backend->client = NULL;
    stop_insisting(backend);
    relay_detach(&backend->relay);
    if (backend->adopted)
        stream_pause(&backend->stream);
    if (backend->canceling > 0) /* comes back from on_canceled */
        return;
    if (backend->login != NULL)
        login_stop(backend->login);
    backend->login = NULL;
    if (backend->adopted)
        stream_close(&backend->stream);
    else
        destroy(backend);
}

/* ---- opening ----------------------------------------------------------------------------- */

static const struct stream_events stream_events = {
    .bytes = on_bytes,
    .ended = on_ended,
    .drained = on_drained,
    .closed = on_closed,
};

static void prove(struct backend *backend)
{
    struct bytes out = {0};

    become(backend, BACKEND_PROVING);
    upkeep_read(&backend->upkeep, backend->conn);
    relay_ask_sync(&backend->relay, &out);
    stream_read(&backend->stream);
    send_bytes(backend, &out);
}

/* Under TLS the bytes go through libpq's own SSL: the keys are in there. */
static enum err adopt(struct backend *backend)
{
    PGconn *conn = backend->conn;
    struct stream_home *home = backend->home->streams;
    SSL *ssl = PQsslInUse(conn) ? PQsslStruct(conn, "OpenSSL") : NULL;
    int fd;

    if (PQsslInUse(conn) && ssl == NULL)
        return ERR_NOT_SUPPORTED; /* a libpq built with something else */
    fd = dup(PQsocket(conn));     /* so that PQfinish and uv_close each have their own */
    if (fd < 0)
        return ERR_IO;
    backend->adopted = true;
    if (ssl != NULL)
        return stream_adopt_tls(&backend->stream, home, &stream_events, fd, ssl);
    return stream_adopt(&backend->stream, home, &stream_events, fd);
}

static void on_login(void *owner, PGconn *conn, const char *why)
{
    struct backend *backend = owner;
    enum err e;

    backend->login = NULL;
    backend->conn = conn;
    if (conn == NULL)
        lose(backend, ERR_BACKEND_DOWN, why);
    else if ((e = adopt(backend)) != ERR_OK)
        lose(backend, e, "the connection cannot be taken over from libpq");
    else
        prove(backend);
}

struct backend *backend_open(struct backend_home *home, const struct login_target *target,
                             size_t most_statements, const struct backend_events *events,
                             void *owner, void *slot)
{
    struct backend *backend = calloc(1, sizeof(*backend));

    if (backend == NULL)
        return NULL;
    backend->home = home;
    backend->events = events;
    backend->owner = owner;
    backend->slot = slot;
    backend->whole = true;
    relay_init(&backend->relay, most_statements > 0 ? &home->statements : NULL, most_statements);
    if (upkeep_init(&backend->upkeep, &home->parameters))
        backend->login = login_start(home->streams->loop, target, backend, on_login);
    if (backend->login != NULL)
        return backend;
    upkeep_fini(&backend->upkeep);
    free(backend);
    return NULL;
}

/* ---- leasing ----------------------------------------------------------------------------- */

bool backend_is_stale(const struct backend *backend)
{
    return stream_has_unread(&backend->stream);
}

void backend_lease(struct backend *backend, void *client, struct relay_sent *sent,
                   const struct backend_wish *wish)
{
    become(backend, BACKEND_LEASED);
    REQUIRE(backend->client == NULL && backend->canceling == 0 &&
            !link_is_linked(&backend->insisting));
    relay_attach(&backend->relay, sent);
    backend->client = client;
    upkeep_lease(&backend->upkeep, &backend->relay, wish->wanted, wish->own, wish->mode);
    upkeep_adapt(&backend->upkeep, &backend->relay, &backend->ahead);
    if (backend->ahead.failed)
        lose(backend, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
}

/* What goes ahead, and the client's own, in one write. */
static void send_with_ahead(struct backend *backend, const struct slice *slices, size_t count)
{
    struct slice all[RELAY_MOST_SLICES + 1];

    REQUIRE(count <= RELAY_MOST_SLICES);
    all[0] = (struct slice){backend->ahead.at, backend->ahead.length};
    if (count > 0)
        memcpy(all + 1, slices, count * sizeof(*slices));
    stream_write(&backend->stream, all, count + 1);
    bytes_free(&backend->ahead);
}

void backend_send(struct backend *backend, const struct slice *slices, size_t count)
{
    if (backend->ahead.length > 0)
        send_with_ahead(backend, slices, count);
    else
        stream_write(&backend->stream, slices, count);
}

bool backend_is_mid_answer(const struct backend *backend)
{
    return backend->relay.remaining > 0 && !backend->relay.swallow;
}

bool backend_is_settled(const struct backend *backend, const struct relay_sent *sent)
{
    return backend->whole && backend->canceling == 0 && relay_is_settled(&backend->relay, sent);
}

void backend_ask(struct backend *backend, const char *sql)
{
    REQUIRE(backend->state == BACKEND_LEASED);
    ask_query(backend, sql);
}

bool backend_may_be_left(const struct backend *backend, const struct relay_sent *sent)
{
    return backend_is_settled(backend, sent) && upkeep_allows(&backend->relay);
}

bool backend_is_due(const struct backend *backend, const struct relay_sent *sent)
{
    return backend_is_settled(backend, sent) &&
           (backend->relay.pinned == 0 || state_is_doubtful(&backend->relay.state));
}

void backend_see_to(struct backend *backend, const struct relay_sent *sent)
{
    struct bytes out = {0};

    if (backend->state != BACKEND_LEASED || backend->relay.tainted || backend->relay.dying ||
        !backend_is_settled(backend, sent))
        return;
    if (upkeep_next(&backend->upkeep, &backend->relay, &out))
        send_bytes(backend, &out);
    bytes_free(&out);
}

enum backend_leftovers backend_leave(struct backend *backend, const struct relay_sent *sent,
                                     const struct parameters **wanted)
{
    struct relay *relay = &backend->relay;
    struct bytes out = {0};

    REQUIRE(backend->state == BACKEND_LEASED);
    *wanted = following_leave(&backend->upkeep.settings);
    backend->client = NULL;
    stop_insisting(backend);
    stream_read(&backend->stream); /* paused, perhaps, for a client that read slowly */
    if (backend->ahead.length > 0) /* granted, and gone before its first message */
        backend_send(backend, NULL, 0);
    if (backend_may_be_left(backend, sent) && !relay->tainted && !relay->dying &&
        !backend->reset_always) {
        relay_detach(relay);
        become(backend, BACKEND_FREE);
        return BACKEND_LEFT_NOTHING;
    }
    become(backend, BACKEND_LEFT);
    backend->half_sent = relay_is_half_sent(sent);
    if (!relay_abandon(relay, sent, &out)) {
        bytes_free(&out);
        (void)!backend_cancel(backend); /* it is closed all the same: at best, in vain */
        return BACKEND_LEFT_UNKNOWN;
    }
    send_bytes(backend, &out);
    return BACKEND_LEFT_STATE;
}

/* ---- what a client is told --------------------------------------------------------------- */

/* libpq knows parameters by name only. These are what PostgreSQL reports, up to 18. */
static const char *const reported[] = {
    "server_version",
    "server_encoding",
    "is_superuser",
    "session_authorization",
    "integer_datetimes",
    "in_hot_standby",
    "default_transaction_read_only",
    "scram_iterations",
    "search_path",
};

void backend_write_parameters(const struct backend *backend, struct bytes *out)
{
    for (size_t i = 0; i < COUNT_OF(reported); i++) {
        const char *value = PQparameterStatus(backend->conn, reported[i]);

        if (value != NULL)
            wire_add_parameter_status(out, reported[i], value);
    }
}

int backend_pid(const struct backend *backend)
{
    return backend->conn != NULL ? PQbackendPID(backend->conn) : 0;
}

void backend_write_tls(const struct backend *backend, char *to, size_t size)
{
    const char *protocol = NULL, *cipher = NULL;

    if (backend->conn != NULL) {
        protocol = PQsslAttribute(backend->conn, "protocol");
        cipher = PQsslAttribute(backend->conn, "cipher");
    }
    snprintf(to, size, "%s%s%s", protocol ? protocol : "", cipher ? "/" : "", cipher ? cipher : "");
}
