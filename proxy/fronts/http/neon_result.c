#include "proxy/fronts/http/neon_result.h"

#include <stdio.h>
#include <string.h>

enum { OK = 200, BAD_REQUEST = 400, SERVER_ERROR = 500, TOO_LARGE = 507 };

int neon_result_status_of(enum err e)
{
    int status = err_http_status(e);

    if (e == ERR_QUERY_TOO_LONG) /* as where statement_timeout says so */
        return BAD_REQUEST;
    return status >= BAD_REQUEST && status < SERVER_ERROR ? BAD_REQUEST : SERVER_ERROR;
}

static struct rows_options options_of(const struct neon_result *result, size_t index)
{
    const struct ask *ask = result->ask;
    struct rows_options options = {
        .form = ROWS_NEON,
        .as_text = ask->format == ASK_FORMAT_TEXT,
        .rows_most = ask->max_rows,
        .bytes_most = ask->max_bytes,
    };

    if (index < ask->queries_length)
        options.as_arrays = ask->queries[index].rows == ASK_ROWS_ARRAYS;
    if (ask->max_bytes > 0) /* of all results together; 0 would be no limit */
        options.bytes_most =
            result->out.length < ask->max_bytes ? ask->max_bytes - result->out.length : 1;
    return options;
}

void neon_result_begin(struct neon_result *result, const struct ask *ask)
{
    *result = (struct neon_result){.ask = ask};
    if (ask->is_batch)
        bytes_print(&result->out, "{\"results\":[");
}

void neon_result_fini(struct neon_result *result)
{
    rows_fini(&result->rows);
    bytes_free(&result->out);
}

/* ---- what goes wrong ----------------------------------------------------------------------- */

/* The error stands in place of all that was told. */
static void clear(struct neon_result *result)
{
    bytes_clear(&result->out);
}

static void fail_as(struct neon_result *result, int status, const char *sqlstate, const char *text)
{
    struct rows_options options = {.form = ROWS_NEON};

    clear(result);
    rows_begin(&result->rows, &options);
    result->out.failed |= !rows_refuse_as(&result->rows, sqlstate, text, &result->out);
    result->state = NEON_RESULT_FAILED;
    result->status = status;
}

static void fail(struct neon_result *result, enum err why, const char *text)
{
    if (why == ERR_QUERY_TOO_LONG)
        text = "canceling statement due to request_timeout";
    else if (text[0] == '\0')
        text = err_text(why);
    fail_as(result, neon_result_status_of(why), err_sqlstate(why), text);
}

static void fail_too_large(struct neon_result *result)
{
    char text[80];

    snprintf(text, sizeof(text), "response is too large (max is %llu bytes)",
             (unsigned long long)result->ask->max_bytes);
    fail_as(result, TOO_LARGE, "54000", text);
}

/* What rows.h cannot go on from, in its own words. What is broken may be over already. */
static void fail_for(struct neon_result *result, enum rows_sight why)
{
    if (why == ROWS_TOO_LARGE) {
        fail_too_large(result);
        return;
    }
    if (why == ROWS_BROKEN) {
        fail_as(result, SERVER_ERROR, err_sqlstate(ERR_PROTOCOL),
                "the server did not keep to the protocol");
        return;
    }
    clear(result);
    result->out.failed |= !rows_refuse(&result->rows, why, &result->out);
    result->state = NEON_RESULT_FAILED;
    result->status = why == ROWS_TOO_MANY ? TOO_LARGE : BAD_REQUEST;
}

/* ---- what the server says ------------------------------------------------------------------ */

static void begin_query(struct neon_result *result, size_t index)
{
    struct rows_options options = options_of(result, index);

    if (result->ask->is_batch && index > 0 && index < result->ask->queries_length)
        bytes_print(&result->out, ",");
    result->index = index;
    result->is_telling = true;
    result->is_whole = false;
    rows_begin(&result->rows, &options);
}

/* Whether what follows is to be shown to rows as well. */
static bool see(struct neon_result *result, enum rows_sight sight)
{
    switch (sight) {
    case ROWS_MORE:
        return true;
    case ROWS_READY:
        result->is_whole = true;
        return false;
    case ROWS_FAILED:
        clear(result);
        result->state = NEON_RESULT_FAILING;
        return true;
    case ROWS_TOO_MANY:
    case ROWS_TOO_LARGE:
    case ROWS_COPY_IN:
    case ROWS_COPY_OUT:
    case ROWS_BROKEN:
        break;
    }
    fail_for(result, sight);
    return false;
}

bool neon_result_take(struct neon_result *result, size_t index, struct slice in)
{
    bool goes_on = true;
    size_t used;

    if (result->state == NEON_RESULT_FAILED)
        return false;
    if (!result->is_telling || result->index != index) {
        if (result->state != NEON_RESULT_GOING)
            return true; /* another one has failed before it */
        begin_query(result, index);
    }
    while (in.length > 0 && goes_on && !result->is_whole) {
        used = 0;
        goes_on = see(result, rows_take(&result->rows, in, &used, &result->out));
        in.at += used;
        in.length -= used;
    }
    return result->state != NEON_RESULT_FAILED;
}

/* ---- how it ends --------------------------------------------------------------------------- */

/* Of a query that was answered to its end. Of a COMMIT only errors are told. */
static void close_result(struct neon_result *result, size_t index)
{
    bool is_commit = index == ERRAND_TRANSACTION;
    bool is_told = result->is_telling && result->index == index;
    uint64_t most = result->ask->max_bytes;

    if (is_commit ? is_told : !is_told || !result->is_whole)
        fail_for(result, ROWS_BROKEN);
    else if (most > 0 && result->out.length > most)
        fail_too_large(result);
    else if (is_commit || !result->ask->is_batch)
        result->state = NEON_RESULT_WELL;
}

/* The server's own words are the answer, if it had the time to say them all. */
static bool has_told(const struct neon_result *result, size_t index, const struct errand_end *end)
{
    return result->state == NEON_RESULT_FAILING && result->index == index && !end->cut &&
           rows_is_over(&result->rows);
}

static void end_failed(struct neon_result *result, size_t index, const struct errand_end *end)
{
    if (has_told(result, index, end) && end->why != ERR_QUERY_TOO_LONG) {
        result->state = NEON_RESULT_FAILED;
        result->status = BAD_REQUEST;
    } else if (end->why != ERR_OK) {
        fail(result, end->why, end->text);
    } else {
        fail(result, ERR_BACKEND_LOST, end->text);
    }
}

void neon_result_over(struct neon_result *result, size_t index, const struct errand_end *end)
{
    if (result->state == NEON_RESULT_FAILED || result->state == NEON_RESULT_WELL)
        return;
    switch (end->how) {
    case SCHEDULE_WELL:
        if (result->state == NEON_RESULT_GOING)
            close_result(result, index);
        break;
    case SCHEDULE_SKIPPED:
        if (end->why != ERR_OK)
            fail(result, end->why, end->text);
        break;
    case SCHEDULE_ERROR:
    case SCHEDULE_STOPPED:
    case SCHEDULE_REFUSED:
    case SCHEDULE_LOST:
        end_failed(result, index, end);
        break;
    }
}

void neon_result_finish(struct neon_result *result)
{
    if (result->state == NEON_RESULT_GOING || result->state == NEON_RESULT_FAILING)
        fail(result, ERR_BACKEND_LOST, "");
    if (result->state != NEON_RESULT_WELL)
        return;
    if (result->ask->is_batch)
        bytes_print(&result->out, "]}");
    result->status = OK;
}
