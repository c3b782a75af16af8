#include "proxy/fronts/http/neon.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/fronts/http/ask.h"
#include "proxy/fronts/http/extended.h"
#include "proxy/fronts/http/neon_result.h"

enum { LARGE = 1024 * 1024 }; /* an answer that is sent as it is taken, and not at once */
enum { BAD_REQUEST = 400, UNAUTHORIZED = 401, FORBIDDEN = 403, NO_MEMORY = 503 };

struct neon {
    struct gate *gate;
    struct exchange *exchange;
    struct ask ask;
    struct errand *errand; /* NULL: not begun, or over */
    struct bytes wire;     /* all queries' */
    struct neon_result result;
    size_t written; /* of a large answer */
};

static const char content_type[] = "application/json";

/* ---- answers ------------------------------------------------------------------------------- */

/* A random UUID, of version 4. */
static void add_request_id(struct exchange *exchange)
{
    uint8_t id[16];
    char text[37];
    size_t at = 0;

    if (RAND_bytes(id, sizeof(id)) != 1)
        return;
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(id); i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at,
                               i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", id[i]);
    exchange_header_add(exchange, "neon-request-id", text);
}

static void answer(struct exchange *exchange, int status, const struct bytes *body)
{
    if (body->failed) {
        exchange_error(exchange, NO_MEMORY, "out of memory");
        return;
    }
    add_request_id(exchange);
    exchange_answer(exchange, status, content_type, (struct slice){body->at, body->length});
}

static void answer_error(struct exchange *exchange, const struct ask_error *error)
{
    struct bytes body = {0};

    ask_say(error, ASK_SAYS_NEON, &body);
    answer(exchange, error->status, &body);
    bytes_free(&body);
}

static void answer_err(struct exchange *exchange, enum err e, const char *text)
{
    struct ask_error error = {.status = neon_result_status_of(e), .sqlstate = err_sqlstate(e)};

    snprintf(error.why, sizeof(error.why), "%s", text != NULL ? text : err_text(e));
    answer_error(exchange, &error);
}

static void add_headers(struct exchange *exchange, const struct ask *ask)
{
    static const char *const levels[] = {
        [ASK_READ_UNCOMMITTED] = "ReadUncommitted",
        [ASK_READ_COMMITTED] = "ReadCommitted",
        [ASK_REPEATABLE_READ] = "RepeatableRead",
        [ASK_SERIALIZABLE] = "Serializable",
    };

    if (!ask->is_batch)
        return;
    if (ask->read_only)
        exchange_header_add(exchange, "Neon-Batch-Read-Only", "true");
    if (ask->deferrable)
        exchange_header_add(exchange, "Neon-Batch-Deferrable", "true");
    if (ask->isolation != ASK_ISOLATION_UNSET)
        exchange_header_add(exchange, "Neon-Batch-Isolation-Level", levels[ask->isolation]);
}

/* ---- the request's life -------------------------------------------------------------------- */

static void destroy(struct neon *neon)
{
    ask_free(&neon->ask);
    bytes_free(&neon->wire);
    neon_result_fini(&neon->result);
    free(neon);
}

static void end_as(struct neon *neon, enum err e, const char *text)
{
    answer_err(neon->exchange, e, text);
    destroy(neon);
}

static void write_on(struct neon *neon)
{
    const struct bytes *out = &neon->result.out;
    size_t length;

    while (neon->written < out->length && exchange_queued(neon->exchange) < EXCHANGE_ENOUGH) {
        length = out->length - neon->written;
        length = length < EXCHANGE_ENOUGH ? length : EXCHANGE_ENOUGH;
        exchange_write(neon->exchange, (struct slice){out->at + neon->written, length});
        neon->written += length;
    }
    if (neon->written < out->length)
        return;
    exchange_end(neon->exchange);
    destroy(neon);
}

static void end(struct neon *neon)
{
    const struct neon_result *result = &neon->result;

    if (result->state == NEON_RESULT_WELL)
        add_headers(neon->exchange, &neon->ask);
    if (result->out.length >= LARGE && !result->out.failed) {
        add_request_id(neon->exchange);
        exchange_start(neon->exchange, result->status, content_type);
        write_on(neon);
        return;
    }
    answer(neon->exchange, result->status, &result->out);
    destroy(neon);
}

void neon_drained(struct exchange *exchange)
{
    struct neon *neon = exchange_owner(exchange);

    if (exchange_is_started(exchange))
        write_on(neon);
}

void neon_gone(struct exchange *exchange)
{
    struct neon *neon = exchange_owner(exchange);

    gate_forget(neon->gate, exchange);
    if (neon->errand != NULL)
        errand_cancel(neon->errand);
    destroy(neon);
}

/* ---- its queries --------------------------------------------------------------------------- */

static void on_answer(struct errand *errand, size_t index, struct slice bytes)
{
    struct neon *neon = errand_owner(errand);

    if (neon_result_take(&neon->result, index, bytes) && !neon->result.out.failed)
        return;
    neon->errand = NULL;
    errand_cancel(errand);
    end(neon);
}

static void on_over(struct errand *errand, size_t index, const struct errand_end *how)
{
    struct neon *neon = errand_owner(errand);

    neon_result_over(&neon->result, index, how);
}

static void on_finished(struct errand *errand)
{
    struct neon *neon = errand_owner(errand);

    neon->errand = NULL;
    neon_result_finish(&neon->result);
    end(neon);
}

static const struct errand_events errand_events = {
    .answer = on_answer, .over = on_over, .finished = on_finished};

/* ask.h and errand.h name the levels alike. */
static enum errand_isolation isolation_of(const struct ask *ask)
{
    static const enum errand_isolation levels[] = {
        [ASK_ISOLATION_UNSET] = ERRAND_ISOLATION_DEFAULT,
        [ASK_READ_UNCOMMITTED] = ERRAND_READ_UNCOMMITTED,
        [ASK_READ_COMMITTED] = ERRAND_READ_COMMITTED,
        [ASK_REPEATABLE_READ] = ERRAND_REPEATABLE_READ,
        [ASK_SERIALIZABLE] = ERRAND_SERIALIZABLE,
    };

    return levels[ask->isolation];
}

static enum err start(struct neon *neon, const struct errand_query *queries)
{
    const struct settings *settings = &neon->gate->config->settings;
    const struct ask *ask = &neon->ask;
    struct errand_options options = {
        .queries = queries,
        .queries_length = ask->queries_length,
        .mode = ask->is_batch ? SCHEDULE_TRANSACTION : SCHEDULE_PARALLEL,
        .on_error = SCHEDULE_STOP,
        .isolation = isolation_of(ask),
        .read_only = ask->read_only,
        .deferrable = ask->deferrable,
        .timeout_ms = ask->timeout_ms,
        .cancel_ms = settings->cancel_wait_timeout_ms,
        .most_parallel = 1,
        .most_asking = 1,
        .most_statements = settings->max_client_prepared_statements,
        .hasty = true, /* its client is not one to wait for minutes */
    };

    return errand_start(neon->gate->errands, &options, &errand_events, neon, &neon->errand);
}

/* All into one piece of memory, which moves while it grows: so the queries are cut at the end. */
static enum err write_queries(struct neon *neon, struct errand_query *queries)
{
    const struct ask *ask = &neon->ask;
    size_t from = 0;
    enum err e = ERR_OK;

    for (size_t i = 0; i < ask->queries_length && e == ERR_OK; i++) {
        e = extended_add_query(&neon->wire, ask->queries[i].sql, ask->queries[i].params,
                               ask->queries[i].params_length);
        queries[i].wire.length = neon->wire.length;
    }
    if (neon->wire.failed)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < ask->queries_length && e == ERR_OK; i++) {
        size_t to = queries[i].wire.length;

        queries[i].wire = (struct slice){neon->wire.at + from, to - from};
        from = to;
    }
    return e;
}

static enum err run(struct neon *neon, struct broker_place *place)
{
    size_t length = neon->ask.queries_length;
    struct errand_query *queries = calloc(length, sizeof(*queries));
    enum err e = queries != NULL ? write_queries(neon, queries) : ERR_NO_MEMORY;

    for (size_t i = 0; i < length && e == ERR_OK; i++)
        queries[i].place = place;
    if (e == ERR_OK)
        e = start(neon, queries);
    free(queries);
    return e;
}

static void end_without_database(struct neon *neon)
{
    char text[ASK_LONGEST_DATABASE + 40];
    struct slice name = neon->ask.login.database;

    snprintf(text, sizeof(text), "database \"%.*s\" does not exist", (int)name.length,
             (const char *)name.at);
    end_as(neon, ERR_NO_DATABASE, text);
}

static void on_let_in(struct exchange *exchange, const struct who_answer *who)
{
    struct neon *neon = exchange_owner(exchange);
    struct broker_place *place;
    enum err e = gate_find_place(neon->gate, who, neon->ask.login.database, &place);

    neon_result_begin(&neon->result, &neon->ask);
    if (e == ERR_NO_DATABASE) {
        end_without_database(neon);
        return;
    }
    if (e == ERR_OK && neon->ask.queries_length == 0) {
        neon->result.state = NEON_RESULT_WELL;
        neon_result_finish(&neon->result);
        end(neon);
        return;
    }
    if (e == ERR_OK)
        e = run(neon, place);
    if (e != ERR_OK)
        end_as(neon, e, NULL);
}

/* ---- who asks, and what for ---------------------------------------------------------------- */

/* In Neon's words, for 400 is what its driver reads them of. */
static void say_refused(struct exchange *exchange, const struct who_answer *who,
                        const struct ask_login *login)
{
    bool is_wrong = who->status == UNAUTHORIZED || who->status == FORBIDDEN;
    struct ask_error error = {.status = is_wrong ? BAD_REQUEST : who->status};

    if (who->status == UNAUTHORIZED)
        error.sqlstate = err_sqlstate(ERR_WRONG_PASSWORD);
    else if (who->status == FORBIDDEN)
        error.sqlstate = err_sqlstate(ERR_NO_ENTRY);
    if (who->status == UNAUTHORIZED && login->password.at != NULL &&
        exchange_header(exchange, "Authorization").length == 0)
        snprintf(error.why, sizeof(error.why), "password authentication failed for user '%.*s'",
                 (int)login->user.length, (const char *)login->user.at);
    else
        snprintf(error.why, sizeof(error.why), "%s", who->why);
    if (!is_wrong)
        gate_add_headers(exchange, who);
    answer_error(exchange, &error);
}

static void on_refused(struct exchange *exchange, const struct who_answer *who)
{
    struct neon *neon = exchange_owner(exchange);

    say_refused(exchange, who, &neon->ask.login);
    destroy(neon);
}

/* Before the body is here, the owner is what was read of the head. */
static void on_refused_early(struct exchange *exchange, const struct who_answer *who)
{
    const struct ask *ask = exchange_owner(exchange);

    say_refused(exchange, who, &ask->login);
}

static const struct gate_events gate_events = {.let_in = on_let_in, .refused = on_refused};
static const struct gate_events early_events = {.refused = on_refused_early};

static struct who_asks asks_of(const struct exchange *exchange, const struct ask *ask)
{
    struct who_asks asks = gate_ask(exchange, WHO_SQL);

    asks.user = ask->login.user;
    asks.password = ask->login.password;
    asks.database = ask->login.database;
    return asks;
}

/* Where all are served, nobody needs a password. */
static enum err read_login(const struct exchange *exchange, const struct gate *gate,
                           struct ask *ask, struct ask_error *error)
{
    bool needs_none =
        gate->config->http.open || exchange_header(exchange, "Authorization").length > 0;

    return ask_sql_login(ask, exchange_header(exchange, "Neon-Connection-String"), needs_none,
                         error);
}

static enum err read_body(const struct exchange *exchange, struct neon *neon,
                          struct ask_error *error)
{
    const struct config_http *http = &neon->gate->config->http;
    const struct ask_limits limits = {
        .queries = http->max_queries,
        .rows = http->max_rows,
        .bytes = http->max_response,
        .timeout_ms = http->request_timeout_ms,
    };
    const struct ask_sql_headers headers = {
        .raw_text_output = exchange_header(exchange, "Neon-Raw-Text-Output"),
        .array_mode = exchange_header(exchange, "Neon-Array-Mode"),
        .batch_isolation_level = exchange_header(exchange, "Neon-Batch-Isolation-Level"),
        .batch_read_only = exchange_header(exchange, "Neon-Batch-Read-Only"),
        .batch_deferrable = exchange_header(exchange, "Neon-Batch-Deferrable"),
    };

    return ask_sql(&neon->ask, &headers, exchange_request(exchange)->body, &limits, error);
}

void neon_refuse(struct gate *gate, struct exchange *exchange)
{
    enum exchange_method method = exchange_request(exchange)->method;
    struct ask ask = {0};
    struct ask_error error;
    struct who_asks asks;

    if (method == EXCHANGE_OPTIONS)
        return;
    if (method != EXCHANGE_POST) {
        add_request_id(exchange);
        exchange_answer(exchange, BAD_REQUEST, content_type, SLICE("\"query is not supported\""));
        return;
    }
    if (read_login(exchange, gate, &ask, &error) != ERR_OK) {
        answer_error(exchange, &error);
    } else {
        asks = asks_of(exchange, &ask);
        exchange_set_owner(exchange, &ask);
        if (!gate_refuse(gate, exchange, &asks, &early_events))
            exchange_set_owner(exchange, NULL);
    }
    ask_free(&ask);
}

static void answer_options(struct exchange *exchange)
{
    exchange_header_add(exchange, "Allow", "OPTIONS, POST");
    exchange_header_add(exchange, "Access-Control-Allow-Headers",
                        "Authorization, Neon-Connection-String, Neon-Raw-Text-Output, "
                        "Neon-Array-Mode, Neon-Pool-Opt-In, Neon-Batch-Read-Only, "
                        "Neon-Batch-Isolation-Level, Neon-Batch-Deferrable");
    exchange_header_add(exchange, "Access-Control-Max-Age", "86400");
    exchange_answer(exchange, 200, NULL, (struct slice){NULL, 0});
}

void neon_begin(struct gate *gate, struct exchange *exchange)
{
    struct ask_error error;
    struct who_asks asks;
    struct neon *neon;

    if (exchange_request(exchange)->method == EXCHANGE_OPTIONS) {
        answer_options(exchange);
        return;
    }
    neon = calloc(1, sizeof(*neon));
    if (neon == NULL) {
        exchange_error(exchange, NO_MEMORY, "out of memory");
        return;
    }
    *neon = (struct neon){.gate = gate, .exchange = exchange};
    exchange_set_owner(exchange, neon);
    if (read_login(exchange, gate, &neon->ask, &error) != ERR_OK ||
        read_body(exchange, neon, &error) != ERR_OK) {
        answer_error(exchange, &error);
        destroy(neon);
        return;
    }
    asks = asks_of(exchange, &neon->ask);
    gate_open(gate, exchange, &asks, &gate_events);
}
