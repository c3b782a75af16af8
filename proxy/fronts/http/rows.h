/*
 * proxy/fronts/http/rows.h - the result of one query: PostgreSQL's messages in, JSON out.
 *
 *      rows_begin(&rows, &options);                      and rows_fini at the end of all
 *      switch (e = rows_take(&rows, in, &used, &out)) {  in: what the server said, in any pieces
 *      case ROWS_MORE:      show what comes next
 *      case ROWS_READY:     all is told; what is behind used is the next query's
 *      case ROWS_FAILED:    the query failed; show what is behind used, which is the error
 *      default:             a limit, or what cannot be: rows_refuse(&rows, e, &out) tells it
 *      }
 *
 * For what comes from Parse, Bind, Describe (the portal), Execute and Sync in text format, so one
 * result. Nothing is gathered but the names of the columns: a value of 1 GB is told in pieces as
 * large as those that come. Per result nothing is allocated when the memory of the one before was
 * enough, per row and value never; out grows as the caller lets it.
 *
 *      WAITING --> TELLING (rows) --> COMPLETE --> OVER --(ReadyForQuery)--> WAITING
 *        any of them --> FAILING (an ErrorResponse) -----^
 *        any of them --rows_refuse-----------------------'
 *
 * A result is successful at ReadyForQuery and no earlier: where a deferred constraint does not
 * hold, the error comes behind CommandComplete. Failed, it is OVER with its ErrorResponse, since a
 * FATAL one is the server's last. What is shown then is looked through for its end, and not told.
 *
 * What is told
 * ------------
 * Values are what cell.h makes of them: as_text: all strings; else by type, where int8 and numeric
 * are strings unless big_numbers. Rows are objects, or arrays with as_arrays. Of several columns
 * with the same name an object has the last. Column names and all else are valid UTF-8.
 *
 * ROWS_NEON, as Neon's /sql answers (reference: its proxy, sql_over_http.rs, json.rs):
 *      {"rowAsArray":false,"fields":[{"name":"n","dataTypeID":23,"tableID":0,"columnID":0,
 *       "dataTypeSize":4,"dataTypeModifier":-1,"format":"text"}],"rows":[{"n":1}],
 *       "command":"SELECT","rowCount":1}
 *   or, where it failed, no more than
 *      {"severity":"ERROR","code":"42703","message":…,"detail":null,…}         all 17 of them
 *   Since Neon says the error instead of the result, the caller must still have what it got: at
 *   ROWS_FAILED, and before rows_refuse, it takes back all that this result has added to out.
 *
 * ROWS_DB, as /db answers, a result standing in the list of all:
 *      {"fields":[{"name":"n","type":23}],"rows":[{"n":1}],"command":"SELECT","row_count":1}
 *      {"error":{"severity":"ERROR","sqlstate":"22012","message":"division by zero"}}
 *   Who has seen rows before the error keeps them: {"fields":[…],"rows":[…],"error":{…}}. A result
 *   has either "command" or "error". command is the tag without its numbers ("CREATE TABLE"),
 *   row_count a number or null. Of an error only the fields are there that the server sent, named
 *   severity (never translated), sqlstate, message, detail, hint, position, internal_position,
 *   internal_query, where, schema, table, column, data_type, constraint, file, line and routine;
 *   position, internal_position and line are numbers.
 *
 * ROWS_NDJSON, the same for a result of its own, a line each, with options.index as i:
 *      {"i":0,"fields":[{"name":"n","type":23}]}               if there are any
 *      {"i":0,"row":{"n":1}}
 *      {"i":0,"done":{"command":"SELECT","row_count":1}}       or {"i":0,"error":{…}}
 *
 * Limits are looked at before a row is told, so rows are always whole: rows_most of them, and
 * bytes_most of JSON, for which a row counts with the length it has on the wire. 0: no limit.
 */
#ifndef PROXY_FRONTS_HTTP_ROWS_H
#define PROXY_FRONTS_HTTP_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "proxy/fronts/http/cell.h"
#include "proxy/fronts/http/rows_columns.h"
#include "proxy/fronts/http/rows_error.h"

enum {
    ROWS_DESCRIPTION_MOST = 1 << 20, /* bytes of a RowDescription */
    ROWS_TAG_MOST = 64,              /* PostgreSQL's own limit, too */
};

enum rows_form { ROWS_NEON, ROWS_DB, ROWS_NDJSON };

struct rows_options {
    enum rows_form form;
    bool as_arrays;   /* rows, instead of objects */
    bool as_text;     /* every value that is not null is a string, as PostgreSQL wrote it */
    bool big_numbers; /* int8 and numeric are numbers */
    size_t index;     /* of the query, for NDJSON */
    uint64_t rows_most, bytes_most;
};

enum rows_sight {
    ROWS_MORE,   /* all was used */
    ROWS_READY,  /* used ends with ReadyForQuery, and the result is whole */
    ROWS_FAILED, /* once: an ErrorResponse begins, of which nothing is told yet */
    /* What only rows_refuse can go on from; until then it is said again. */
    ROWS_TOO_MANY,  /* rows */
    ROWS_TOO_LARGE, /* bytes */
    ROWS_COPY_IN,   /* the server waits for CopyFail, and for a Sync behind it */
    ROWS_COPY_OUT,  /* what it sends now is not told */
    /* Not PostgreSQL, or not of one query: never use the connection again. A result that is over
     * already stands. */
    ROWS_BROKEN,
};

enum rows_state { ROWS_WAITING, ROWS_TELLING, ROWS_COMPLETE, ROWS_FAILING, ROWS_OVER };

/* All zero before the first rows_begin. Must not be moved while a result is told. */
struct rows {
    struct rows_options options;
    enum rows_state state;
    char status;    /* of ReadyForQuery: I, T, E; 0 before it */
    uint64_t count; /* rows told */

    /* rows.c's own */
    enum rows_sight stopped; /* ROWS_MORE: it is not */
    bool has_fields;         /* they were told */
    uint8_t part;            /* rows.c: enum part, what becomes of the message */
    uint8_t type;            /* of the message */
    uint32_t left;           /* bytes of its body */
    uint8_t fixed[8];        /* a number of several bytes that is not whole yet */
    uint8_t fixed_length;
    struct bytes gathered; /* a body that is not whole yet */
    struct rows_columns columns;
    uint64_t told; /* bytes of JSON, before this rows_take */
    size_t begin;  /* of this rows_take's in out */
    /* of the row */
    size_t column; /* that is next */
    bool is_begun, is_cell_told, is_in_cell, is_cell_hidden;
    uint32_t cell_left;
    struct rows_error error;
    bool is_error_begun;
    struct cell cell;
    char tag[ROWS_TAG_MOST]; /* of CommandComplete */
    char line[32];           /* how a line of NDJSON begins */
};

void rows_begin(struct rows *rows, const struct rows_options *options);
void rows_fini(struct rows *rows);

/* Uses as much of in as can be, and appends to out. For want of memory out has failed, and what is
 * in it is not to be sent. */
enum rows_sight rows_take(struct rows *rows, struct slice in, size_t *used,
                          struct bytes *out) MUST_CHECK;

/* Ends the result with an error of weir's own, at any time before it is over: for what rows_take
 * could not go on from, or for anything else (rows_refuse_as): too late, lost, never begun. What
 * the server still says may be shown to rows_take, until ROWS_READY. false: half a row or half an
 * error has been told, and nothing can be added to it: break the connection off. Never so with
 * ROWS_NEON, where the caller takes back what was told. */
bool rows_refuse(struct rows *rows, enum rows_sight why, struct bytes *out) MUST_CHECK;
bool rows_refuse_as(struct rows *rows, const char *sqlstate, const char *message,
                    struct bytes *out) MUST_CHECK;

/* Of the error, weir's own or the server's; "" if there is none. */
static inline const char *rows_sqlstate(const struct rows *rows)
{
    return rows->error.sqlstate;
}

static inline bool rows_is_over(const struct rows *rows)
{
    return rows->state == ROWS_OVER;
}

#endif
