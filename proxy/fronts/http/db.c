#include "proxy/fronts/http/db.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/fronts/http/ask.h"
#include "proxy/fronts/http/db_tell.h"
#include "proxy/fronts/http/errand.h"
#include "proxy/fronts/http/extended.h"

enum { MOST_ASKING = 8 }; /* connections a request waits for at a time: others want some, too */

struct db_query {
    size_t index; /* of the query it is in the request */
    bool paused;
};

struct db {
    struct exchange *exchange;
    struct gate *gate;
    struct ask ask;
    struct errand *errand;    /* NULL: none, or it is over */
    struct bytes wire;        /* of all queries, one behind the other */
    struct db_query *queries; /* of the errand */
    size_t length;
    struct db_tell tell;
    size_t refused; /* queries for which there was no connection, */
    enum err why;   /* ... of the last */
    size_t paused;  /* queries */
    unsigned busy;  /* calls that are within it */
    bool dead;
};

/* ---- the end ----------------------------------------------------------------------------- */

static void destroy(struct db *db)
{
    if (db->errand != NULL)
        errand_cancel(db->errand);
    db_tell_fini(&db->tell);
    ask_free(&db->ask);
    bytes_free(&db->wire);
    free(db->queries);
    free(db);
}

static void leave(struct db *db)
{
    if (--db->busy == 0 && db->dead)
        destroy(db);
}

/* Its exchange has ended, or ends so. */
static void end(struct db *db)
{
    db->dead = true;
    exchange_set_owner(db->exchange, NULL);
}

static void abort_it(struct db *db)
{
    if (db->dead)
        return;
    end(db);
    if (exchange_is_sent(db->exchange))
        exchange_abort(db->exchange);
    else
        exchange_error(db->exchange, 503, "the answer could not be made");
}

static void say(struct exchange *exchange, const struct ask_error *error)
{
    struct bytes out = {0};

    ask_say(error, ASK_SAYS_ERROR, &out);
    if (out.failed)
        exchange_error(exchange, 503, "out of memory");
    else
        exchange_answer(exchange, error->status, "application/json",
                        (struct slice){out.at, out.length});
    bytes_free(&out);
}

/* ---- events of the errand ---------------------------------------------------------------- */

/* Of the query in the request; the transaction stands behind the last. */
static size_t index_of(const struct db *db, size_t k)
{
    return k == ERRAND_TRANSACTION ? db->tell.length : db->queries[k].index;
}

static void wait_if_need_be(struct db *db, size_t k)
{
    if (k == ERRAND_TRANSACTION || db->queries[k].paused ||
        !db_tell_must_wait(&db->tell, db->queries[k].index))
        return;
    db->queries[k].paused = true;
    db->paused++;
    errand_pause(db->errand, k);
}

static void resume(struct db *db)
{
    for (size_t k = 0; db->paused > 0 && k < db->length && !db->dead; k++) {
        if (!db->queries[k].paused || db_tell_must_wait(&db->tell, db->queries[k].index))
            continue;
        db->queries[k].paused = false;
        db->paused--;
        errand_resume(db->errand, k);
    }
}

static void on_answer(struct errand *errand, size_t k, struct slice bytes)
{
    struct db *db = errand_owner(errand);
    size_t i = index_of(db, k);
    bool stop;

    db->busy++;
    if (db_tell_take(&db->tell, i, bytes, &stop) != ERR_OK) {
        abort_it(db);
    } else {
        db_tell_flush(&db->tell, i);
        if (stop && k != ERRAND_TRANSACTION)
            errand_stop(errand, k, ERR_CANCELED);
        else
            wait_if_need_be(db, k);
        resume(db); /* another may have come to the end of its line */
    }
    leave(db);
}

struct words {
    const char *sqlstate, *text;
};

static struct words words_of(const struct db *db, const struct errand_end *end)
{
    if (end->why == ERR_OK && end->how == SCHEDULE_SKIPPED)
        return (struct words){db->ask.mode == ASK_TRANSACTION ? "25P02" : "57014",
                              "not executed, for another query failed"};
    if (end->why == ERR_OK)
        return (struct words){err_sqlstate(ERR_BACKEND_LOST), err_text(ERR_BACKEND_LOST)};
    if (end->why == ERR_QUERY_TOO_LONG)
        return (struct words){err_sqlstate(end->why),
                              "canceled: it took longer than timeout_ms or request_timeout"};
    return (struct words){err_sqlstate(end->why),
                          end->text[0] != '\0' ? end->text : err_text(end->why)};
}

static void on_transaction_over(struct db *db, const struct errand_end *end)
{
    struct words words = words_of(db, end);

    db->tell.committed = end->how == SCHEDULE_WELL;
    if (db->tell.committed || end->how == SCHEDULE_SKIPPED ||
        db_tell_is_told(&db->tell, db->tell.length))
        return;
    if (!db_tell_fail(&db->tell, db->tell.length, words.sqlstate, words.text))
        abort_it(db);
}

static void on_over(struct errand *errand, size_t k, const struct errand_end *end)
{
    struct db *db = errand_owner(errand);
    size_t i = index_of(db, k);
    struct words words = words_of(db, end);

    db->busy++;
    if (k == ERRAND_TRANSACTION) {
        on_transaction_over(db, end);
        leave(db);
        return;
    }
    if (end->how == SCHEDULE_REFUSED || (end->how == SCHEDULE_SKIPPED && end->why != ERR_OK)) {
        db->refused++;
        db->why = end->why;
    }
    if (!db_tell_is_told(&db->tell, i) && !db_tell_fail(&db->tell, i, words.sqlstate, words.text)) {
        abort_it(db);
    } else {
        db_tell_over(&db->tell, i);
        db_tell_flush(&db->tell, i);
        resume(db);
    }
    leave(db);
}

/* Nothing has run, and all for the same lack. */
static bool say_refused(struct db *db)
{
    int status = err_http_status(db->why);

    if (exchange_is_started(db->exchange) || db->refused == 0 || db->refused < db->tell.length)
        return false;
    if (status == 503 || status == 504)
        exchange_header_add(db->exchange, "Retry-After", "1");
    exchange_error(db->exchange, status, "%s", err_text(db->why));
    return true;
}

static void on_finished(struct errand *errand)
{
    struct db *db = errand_owner(errand);

    db->busy++;
    db->errand = NULL;
    if (!db->dead) {
        if (!say_refused(db))
            db_tell_end(&db->tell);
        db->dead = true;
    }
    leave(db);
}

static const struct errand_events errand_events = {
    .answer = on_answer,
    .over = on_over,
    .finished = on_finished,
};

/* ---- the beginning ----------------------------------------------------------------------- */

static bool wants_lines(const struct exchange *exchange)
{
    static const char name[] = "application/x-ndjson";
    struct slice accept = exchange_header(exchange, "Accept");
    size_t length = sizeof(name) - 1;

    for (size_t i = 0; i + length <= accept.length; i++)
        if (strncasecmp((const char *)accept.at + i, name, length) == 0)
            return true;
    return false;
}

/* Those for Redis are told to be not there yet; the others have a place in the errand. */
static enum err sort_out(struct db *db)
{
    db->queries = calloc(db->ask.queries_length + 1, sizeof(*db->queries));
    if (db->queries == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < db->ask.queries_length; i++) {
        if (db->ask.queries[i].sql.at != NULL) {
            db->queries[db->length++].index = i;
            continue;
        }
        if (!db_tell_fail(&db->tell, i, "0A000", "Redis is not served by /db yet"))
            return ERR_NO_MEMORY;
        db_tell_over(&db->tell, i);
    }
    return ERR_OK;
}

static enum err write_queries(struct db *db, struct errand_query *queries, size_t *at)
{
    size_t begin = 0;

    for (size_t k = 0; k < db->length; k++) {
        const struct ask_query *query = &db->ask.queries[db->queries[k].index];
        enum err e = extended_add_query(&db->wire, query->sql, query->params, query->params_length);

        *at = db->queries[k].index;
        if (e != ERR_OK)
            return e;
        if (db->wire.failed)
            return ERR_NO_MEMORY;
        queries[k].timeout_ms = query->timeout_ms;
        queries[k].wire.length = db->wire.length - begin;
        begin = db->wire.length;
    }
    begin = 0;
    for (size_t k = 0; k < db->length; k++) { /* now that it does not move any more */
        queries[k].wire.at = db->wire.at + begin;
        begin += queries[k].wire.length;
    }
    return ERR_OK;
}

static enum err find_places(const struct db *db, const struct who_answer *answer,
                            struct errand_query *queries, size_t *at)
{
    for (size_t k = 0; k < db->length; k++) {
        const struct ask_query *query = &db->ask.queries[db->queries[k].index];
        enum err e;

        *at = db->queries[k].index;
        e = gate_find_place(db->gate, answer, query->database, &queries[k].place);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

_Static_assert((int)ASK_PARALLEL == (int)SCHEDULE_PARALLEL &&
                   (int)ASK_PIPELINE == (int)SCHEDULE_PIPELINE &&
                   (int)ASK_TRANSACTION == (int)SCHEDULE_TRANSACTION,
               "modes are the same");
_Static_assert((int)ASK_CONTINUE == (int)SCHEDULE_CONTINUE && (int)ASK_STOP == (int)SCHEDULE_STOP &&
                   (int)ASK_CANCEL == (int)SCHEDULE_CANCEL,
               "what an error does is the same");
_Static_assert((int)ASK_ISOLATION_UNSET == (int)ERRAND_ISOLATION_DEFAULT &&
                   (int)ASK_READ_UNCOMMITTED == (int)ERRAND_READ_UNCOMMITTED &&
                   (int)ASK_READ_COMMITTED == (int)ERRAND_READ_COMMITTED &&
                   (int)ASK_REPEATABLE_READ == (int)ERRAND_REPEATABLE_READ &&
                   (int)ASK_SERIALIZABLE == (int)ERRAND_SERIALIZABLE,
               "isolation levels are the same");

static struct errand_options options_of(const struct ask *ask, const struct config *config)
{
    size_t parallel = config->http.max_parallel;

    return (struct errand_options){
        .mode = (enum schedule_mode)ask->mode,
        .on_error = (enum schedule_on_error)ask->on_error,
        .isolation = (enum errand_isolation)ask->isolation,
        .read_only = ask->read_only,
        .deferrable = ask->deferrable,
        .timeout_ms = ask->timeout_ms,
        .cancel_ms = config->settings.cancel_wait_timeout_ms,
        .most_parallel = parallel,
        .most_asking = parallel < MOST_ASKING ? parallel : MOST_ASKING,
        .most_statements = config->settings.max_client_prepared_statements,
        .hasty = true,
    };
}

static enum err run(struct db *db, const struct who_answer *answer, size_t *at)
{
    struct errand_options options = options_of(&db->ask, db->gate->config);
    struct errand_query *queries = calloc(db->length + 1, sizeof(*queries));
    enum err e;

    if (queries == NULL)
        return ERR_NO_MEMORY;
    if ((e = find_places(db, answer, queries, at)) == ERR_OK &&
        (e = write_queries(db, queries, at)) == ERR_OK && db->length > 0) {
        options.queries = queries;
        options.queries_length = db->length;
        e = errand_start(db->gate->errands, &options, &errand_events, db, &db->errand);
    }
    free(queries);
    return e;
}

/* Nothing has been executed. */
static void say_not_run(struct exchange *exchange, enum err e, size_t at)
{
    if (e == ERR_NO_ENTRY)
        exchange_error(exchange, 403, "queries[%zu]: not for that database", at);
    else if (e == ERR_NO_DATABASE)
        exchange_error(exchange, 404, "queries[%zu]: there is no such database, or none is said",
                       at);
    else if (e == ERR_PROTOCOL)
        exchange_error(exchange, 400, "queries[%zu]: more than a message to PostgreSQL can hold",
                       at);
    else
        exchange_error(exchange, err_http_status(e), "%s", err_text(e));
}

static enum err read_it(struct db *db)
{
    const struct config_http *http = &db->gate->config->http;
    bool as_lines = wants_lines(db->exchange);
    struct ask_limits limits = {
        .queries = http->max_queries,
        .rows = http->max_rows,
        .bytes = as_lines ? 0 : http->max_response,
        .timeout_ms = http->request_timeout_ms,
    };
    struct ask_error error;

    if (ask_db(&db->ask, exchange_request(db->exchange)->body, &limits, &error) != ERR_OK) {
        say(db->exchange, &error);
        return ERR_PROTOCOL;
    }
    if (db_tell_begin(&db->tell, db->exchange, &db->ask, as_lines) != ERR_OK ||
        sort_out(db) != ERR_OK) {
        exchange_error(db->exchange, 503, "out of memory");
        return ERR_NO_MEMORY;
    }
    if (db->length < db->tell.length && db->ask.on_error != ASK_CONTINUE) {
        exchange_error(db->exchange, 501, "Redis is not served by /db yet");
        return ERR_NOT_SUPPORTED;
    }
    return ERR_OK;
}

static void on_let_in(struct exchange *exchange, const struct who_answer *answer)
{
    struct db *db = exchange_owner(exchange);
    size_t at = 0;
    enum err e;

    if (read_it(db) != ERR_OK) {
        destroy(db);
        return;
    }
    e = run(db, answer, &at);
    if (e != ERR_OK)
        say_not_run(exchange, e, at);
    else if (db->errand == NULL)
        db_tell_end(&db->tell);
    if (db->errand == NULL)
        destroy(db);
}

static void on_refused(struct exchange *exchange, const struct who_answer *answer)
{
    struct db *db = exchange_owner(exchange);

    gate_add_headers(exchange, answer);
    exchange_error(exchange, answer->status, "%s", answer->why);
    if (db != NULL)
        destroy(db);
}

static const struct gate_events gate_events = {.let_in = on_let_in, .refused = on_refused};

/* ---- the route --------------------------------------------------------------------------- */

void db_refuse(struct gate *gate, struct exchange *exchange)
{
    struct who_asks asks = gate_ask(exchange, WHO_DB);

    (void)gate_refuse(gate, exchange, &asks, &gate_events);
}

void db_begin(struct gate *gate, struct exchange *exchange)
{
    struct who_asks asks = gate_ask(exchange, WHO_DB);
    struct db *db = calloc(1, sizeof(*db));

    if (db == NULL) {
        exchange_error(exchange, 503, "out of memory");
        return;
    }
    db->exchange = exchange;
    db->gate = gate;
    exchange_set_owner(exchange, db);
    gate_open(gate, exchange, &asks, &gate_events);
}

void db_drained(struct exchange *exchange)
{
    struct db *db = exchange_owner(exchange);

    db->busy++;
    resume(db);
    leave(db);
}

void db_gone(struct exchange *exchange)
{
    struct db *db = exchange_owner(exchange);

    gate_forget(db->gate, exchange);
    destroy(db);
}
