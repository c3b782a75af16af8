#include "proxy/fronts/http/db_tell.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"

/* ---- beginning and end ------------------------------------------------------------------- */

static void begin_rows(struct db_tell_item *item, const struct ask *ask, size_t i, bool as_lines)
{
    struct rows_options options = {
        .form = as_lines ? ROWS_NDJSON : ROWS_DB,
        .as_text = ask->format == ASK_FORMAT_TEXT,
        .big_numbers = ask->numbers == ASK_NUMBERS_EXACT,
        .index = i,
        .rows_most = ask->max_rows,
    };

    if (i < ask->queries_length)
        options.as_arrays = ask->queries[i].rows == ASK_ROWS_ARRAYS;
    rows_begin(&item->rows, &options);
}

enum err db_tell_begin(struct db_tell *tell, struct exchange *exchange, const struct ask *ask,
                       bool as_lines)
{
    *tell = (struct db_tell){
        .exchange = exchange,
        .length = ask->queries_length,
        .as_lines = as_lines,
        .floor = DB_TELL_NOBODY,
        .most = ask->max_bytes,
        .in_transaction = ask->mode == ASK_TRANSACTION,
    };
    tell->items = calloc(tell->length + 1, sizeof(*tell->items));
    if (tell->items == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < tell->length; i++)
        begin_rows(&tell->items[i], ask, i, as_lines);
    begin_rows(&tell->transaction, ask, tell->length, false);
    return ERR_OK;
}

static void fini_item(struct db_tell_item *item)
{
    rows_fini(&item->rows);
    bytes_free(&item->out);
}

void db_tell_fini(struct db_tell *tell)
{
    for (size_t i = 0; tell->items != NULL && i < tell->length; i++)
        fini_item(&tell->items[i]);
    if (tell->items != NULL)
        fini_item(&tell->transaction);
    free(tell->items);
    *tell = (struct db_tell){0};
}

static struct db_tell_item *item_of(struct db_tell *tell, size_t i)
{
    REQUIRE(i <= tell->length);
    return i < tell->length ? &tell->items[i] : &tell->transaction;
}

/* ---- what is told ------------------------------------------------------------------------ */

static void count(struct db_tell *tell, struct db_tell_item *item, size_t before)
{
    item->told += item->out.length - before;
    tell->told += item->out.length - before;
}

static void mark_failed(struct db_tell *tell, struct db_tell_item *item)
{
    if (!item->failed && item != &tell->transaction)
        tell->errors++;
    item->failed = true;
}

/* What the others have told is not there for this one. */
static void set_limit(const struct db_tell *tell, struct db_tell_item *item)
{
    uint64_t others = tell->told - item->told;

    if (tell->most > 0)
        item->rows.options.bytes_most = tell->most > others ? tell->most - others : 1;
}

/* Goes back to where nothing was told of it; not if some has been passed on. */
static bool take_back(struct db_tell *tell, struct db_tell_item *item)
{
    struct rows_options options = item->rows.options;

    if (item->passed_on)
        return false;
    tell->told -= item->told;
    item->told = 0;
    bytes_clear(&item->out);
    rows_begin(&item->rows, &options);
    return true;
}

/* Half a row may stand there, or half an error. */
static bool refuse(struct db_tell *tell, struct db_tell_item *item, const char *sqlstate,
                   const char *message)
{
    size_t before = item->out.length;
    bool told = rows_refuse_as(&item->rows, sqlstate, message, &item->out);

    if (!told && take_back(tell, item)) {
        before = 0;
        told = rows_refuse_as(&item->rows, sqlstate, message, &item->out);
    }
    count(tell, item, before);
    mark_failed(tell, item);
    return told && !item->out.failed;
}

/* Of what rows.h cannot go on from. */
static enum err stop_at(struct db_tell *tell, struct db_tell_item *item, enum rows_sight sight,
                        bool *stop)
{
    size_t before = item->out.length;
    bool told = rows_refuse(&item->rows, sight, &item->out);

    *stop = sight != ROWS_COPY_IN; /* that one the errand ends by itself */
    count(tell, item, before);
    mark_failed(tell, item);
    return told ? ERR_OK : ERR_PROTOCOL;
}

enum err db_tell_take(struct db_tell *tell, size_t i, struct slice bytes, bool *stop)
{
    struct db_tell_item *item = item_of(tell, i);
    enum err e = ERR_OK;

    *stop = false;
    tell->may_start = tell->may_start || item != &tell->transaction;
    while (bytes.length > 0 && e == ERR_OK) {
        size_t used = 0, before = item->out.length;
        enum rows_sight sight;

        set_limit(tell, item);
        sight = rows_take(&item->rows, bytes, &used, &item->out);
        count(tell, item, before);
        bytes = (struct slice){bytes.at + used, bytes.length - used};
        if (sight == ROWS_READY || (sight == ROWS_BROKEN && rows_is_over(&item->rows)))
            break;
        if (sight == ROWS_FAILED)
            mark_failed(tell, item);
        else if (sight != ROWS_MORE)
            e = stop_at(tell, item, sight, stop);
    }
    return item->out.failed ? ERR_NO_MEMORY : e;
}

bool db_tell_fail(struct db_tell *tell, size_t i, const char *sqlstate, const char *message)
{
    return refuse(tell, item_of(tell, i), sqlstate, message);
}

bool db_tell_is_told(const struct db_tell *tell, size_t i)
{
    return rows_is_over(i < tell->length ? &tell->items[i].rows : &tell->transaction.rows);
}

void db_tell_over(struct db_tell *tell, size_t i)
{
    item_of(tell, i)->over = true;
}

/* ---- what is passed on ------------------------------------------------------------------- */

static void start(struct db_tell *tell)
{
    if (exchange_is_started(tell->exchange))
        return;
    exchange_start(tell->exchange, 200,
                   tell->as_lines ? "application/x-ndjson" : "application/json");
    if (!tell->as_lines)
        exchange_write(tell->exchange, SLICE("{\"results\":["));
}

/* The first length bytes; the rest comes to the front. */
static void pass_on(struct db_tell *tell, struct db_tell_item *item, size_t length)
{
    start(tell);
    exchange_write(tell->exchange, (struct slice){item->out.at, length});
    item->passed_on = true;
    item->out.length -= length;
    if (item->out.length > 0)
        memmove(item->out.at, item->out.at + length, item->out.length);
}

/* All of it is passed on: its memory goes, the answer may be long. */
static void forget(struct db_tell_item *item)
{
    fini_item(item);
    item->out = (struct bytes){0};
    item->rows = (struct rows){.state = ROWS_OVER};
}

static void pass_on_head(struct db_tell *tell)
{
    struct db_tell_item *item;

    while (tell->head < tell->length) {
        item = &tell->items[tell->head];
        if (item->out.length > 0) {
            start(tell);
            if (!item->passed_on && tell->head > 0)
                exchange_write(tell->exchange, SLICE(",\n"));
            pass_on(tell, item, item->out.length);
        }
        if (!item->over)
            return;
        forget(item);
        tell->head++;
    }
}

/* Of one that has the floor, or that may take it. */
static void pass_on_lines(struct db_tell *tell, size_t i)
{
    struct db_tell_item *item = &tell->items[i];
    const uint8_t *end =
        item->out.length > 0 ? memrchr(item->out.at, '\n', item->out.length) : NULL;

    if (end != NULL) {
        pass_on(tell, item, (size_t)(end - item->out.at) + 1);
        tell->floor = DB_TELL_NOBODY;
    }
    if (item->out.length > 0 && (tell->floor == i || item->out.length > DB_TELL_LONGEST_LINE)) {
        pass_on(tell, item, item->out.length);
        tell->floor = i;
    }
    if (item->over && item->out.length == 0)
        forget(item);
}

static void flush_lines(struct db_tell *tell, size_t i)
{
    bool had_floor = tell->floor == i;

    if (tell->floor != DB_TELL_NOBODY && !had_floor)
        return;
    pass_on_lines(tell, i);
    for (size_t other = 0; had_floor && other < tell->length; other++)
        if (tell->floor == DB_TELL_NOBODY && tell->items[other].out.length > 0)
            pass_on_lines(tell, other);
}

void db_tell_flush(struct db_tell *tell, size_t i)
{
    if (!tell->may_start)
        return;
    if (!tell->as_lines)
        pass_on_head(tell);
    else if (i < tell->length)
        flush_lines(tell, i);
}

bool db_tell_must_wait(const struct db_tell *tell, size_t i)
{
    if (i >= tell->length)
        return false;
    if (!tell->as_lines && i != tell->head)
        return false;
    return exchange_queued(tell->exchange) > EXCHANGE_ENOUGH ||
           (tell->as_lines && tell->items[i].out.length > DB_TELL_LONGEST_LINE);
}

/* {"error":{...}}, as a member of what is open. */
static void add_transaction(struct db_tell *tell, struct bytes *out)
{
    const struct bytes *error = &tell->transaction.out;

    if (!tell->in_transaction)
        return;
    bytes_print(out, ",\"committed\":%s", tell->committed ? "true" : "false");
    if (tell->committed || error->length < 2)
        return;
    bytes_add(out, ",", 1);
    bytes_add(out, error->at + 1, error->length - 2);
}

void db_tell_end(struct db_tell *tell)
{
    struct bytes out = {0};

    tell->may_start = true;
    for (size_t i = 0; tell->as_lines && i < tell->length; i++)
        flush_lines(tell, i);
    if (!tell->as_lines)
        pass_on_head(tell);
    start(tell);
    bytes_print(&out, tell->as_lines ? "{\"end\":{\"errors\":%zu" : "],\"errors\":%zu",
                tell->errors);
    add_transaction(tell, &out);
    bytes_print(&out, tell->as_lines ? "}}\n" : "}\n");
    if (out.failed) {
        exchange_abort(tell->exchange);
    } else {
        exchange_write(tell->exchange, (struct slice){out.at, out.length});
        exchange_end(tell->exchange);
    }
    bytes_free(&out);
}
