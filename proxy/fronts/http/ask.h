/*
 * proxy/fronts/http/ask.h - what a request wants done: bodies, paths and headers, understood.
 *
 *      struct ask ask = {0};
 *      struct ask_error error;
 *
 *      if (ask_db(&ask, body, &limits, &error) != ERR_OK)
 *          ask_say(&error, ASK_SAYS_ERROR, &out), answer with error.status;
 *      for (i = 0; i < ask.queries_length; i++) ...
 *      ask_free(&ask);
 *
 * Three ways to ask, and one struct for what came of it:
 *
 *      ask_db     POST /db      {"queries": ["select 1", {"sql": ..., "params": [...], "db": ...,
 *                               "timeout_ms": ...}, {"redis": ["GET", "k"]}], "db": ..., "mode":
 * ..., "on_error", "isolation", "read_only", "deferrable", "timeout_ms", "format", "numbers",
 * "rows", "max_rows", "max_bytes"} ask_sql    POST /sql     Neon's: {"query", "params",
 * "arrayMode"} or {"queries": [...]} ask_rest   POST / ...    Upstash's: ["GET", "k"], [["GET",
 * "k"], ...], or /get/k
 *
 * What is not understood whole is not done at all: an unknown key of /db, a value of another
 * type, a number out of range is an error with its place, "queries[3].parms: unknown; did you
 * mean params?". Neon and Upstash let unknown keys pass, and so do ask_sql and ask_rest.
 *
 * Parameters are texts, as PostgreSQL's protocol has them, with numbers as they were written;
 * see document_text. A zero character, which PostgreSQL has in no text, is an error; an
 * argument of Redis may have it.
 *
 * Ownership: all slices are lent until ask_free, and the body is lent to the ask until then.
 * An ask_free is due after a failure, too. Pure: no socket, no clock.
 */
#ifndef PROXY_FRONTS_HTTP_ASK_H
#define PROXY_FRONTS_HTTP_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "proxy/fronts/http/document.h"

enum {
    ASK_WHY = 320,
    ASK_MOST_PARAMS = 65535, /* Bind counts them in 16 bits */
    ASK_LONGEST_DATABASE = 63,
};

/* Each as its key's words: "parallel", "read committed", "text"... */
enum ask_mode { ASK_PARALLEL, ASK_PIPELINE, ASK_TRANSACTION };
enum ask_on_error { ASK_CONTINUE, ASK_STOP, ASK_CANCEL };
enum ask_isolation {
    ASK_ISOLATION_UNSET, /* the server's default */
    ASK_READ_UNCOMMITTED,
    ASK_READ_COMMITTED,
    ASK_REPEATABLE_READ,
    ASK_SERIALIZABLE,
};
enum ask_format { ASK_FORMAT_JSON, ASK_FORMAT_TEXT };     /* values by their types, or as strings */
enum ask_numbers { ASK_NUMBERS_SAFE, ASK_NUMBERS_EXACT }; /* int8, numeric: strings, or numbers */
enum ask_rows { ASK_ROWS_OBJECTS, ASK_ROWS_ARRAYS };

struct ask_query {
    struct slice sql;        /* at is NULL: it is for Redis */
    struct slice *params;    /* at is NULL: NULL */
    size_t params_length;    /* 0 to ASK_MOST_PARAMS */
    struct slice *arguments; /* for Redis: the command, and what goes with it */
    size_t arguments_length; /* at least 1 for Redis, else 0 */
    struct slice database;   /* length 0: whatever the token says */
    uint64_t timeout_ms;     /* 0: none of its own */
    enum ask_rows rows;      /* the request's, unless Neon's arrayMode says otherwise */
};

/* Who Neon's connection string says it is. */
struct ask_login {
    struct slice user, database;
    struct slice password; /* at is NULL: none, and a bearer token must do */
};

struct ask {
    struct ask_query *queries;
    size_t queries_length;
    bool is_batch; /* Neon's queries, Upstash's pipeline and multi-exec: the answer is a list */
    enum ask_mode mode;
    enum ask_on_error on_error;
    enum ask_isolation isolation; /* this and the next two: of ASK_TRANSACTION */
    bool read_only, deferrable;
    uint64_t timeout_ms; /* of all; 0: none was said, and none is configured */
    enum ask_format format;
    enum ask_numbers numbers;
    enum ask_rows rows;
    uint64_t max_rows, max_bytes; /* what was said, never more than configured; 0: no limit */

    struct ask_login login; /* of ask_sql_login */
    struct slice token;     /* of ask_rest_token; length 0: none */
    struct document document;
};

/* Of [http]; 0: no limit. */
struct ask_limits {
    uint64_t queries, rows, bytes, timeout_ms;
};

struct ask_error {
    int status;
    const char *sqlstate; /* of those who say one; NULL: none */
    char why[ASK_WHY];
};

/* All: ERR_OK, or another and error, which is then complete: ERR_PROTOCOL (400) for what is
 * wrong, ERR_NO_MEMORY (503). */
enum err ask_db(struct ask *ask, struct slice body, const struct ask_limits *limits,
                struct ask_error *error) MUST_CHECK;

/* ---- Neon's /sql ------------------------------------------------------------------------- */

/* As they came; at is NULL for one that did not. */
struct ask_sql_headers {
    struct slice raw_text_output, array_mode;                              /* Neon-... */
    struct slice batch_isolation_level, batch_read_only, batch_deferrable; /* Neon-Batch-... */
};

enum err ask_sql(struct ask *ask, const struct ask_sql_headers *headers, struct slice body,
                 const struct ask_limits *limits, struct ask_error *error) MUST_CHECK;

/* Reads Neon-Connection-String into ask->login; before or after ask_sql. A connection string
 * without a password is one if has_bearer: an Authorization came along. */
enum err ask_sql_login(struct ask *ask, struct slice connection_string, bool has_bearer,
                       struct ask_error *error) MUST_CHECK;

/* ---- Upstash's REST ---------------------------------------------------------------------- */

enum ask_rest_kind { ASK_REST_ONE, ASK_REST_PIPELINE, ASK_REST_MULTI_EXEC };

/* Reads ?_token= of a URL's query, what stands behind its ?, into ask->token. */
enum err ask_rest_token(struct ask *ask, struct slice query, struct ask_error *error) MUST_CHECK;

/* POST /, /pipeline and /multi-exec; the latter's mode is ASK_TRANSACTION. */
enum err ask_rest(struct ask *ask, enum ask_rest_kind kind, struct slice body,
                  const struct ask_limits *limits, struct ask_error *error) MUST_CHECK;

/* As they came; the query is what stands behind the ?, without it. */
struct ask_rest_parts {
    struct slice path, query, body;
};

/* /set/foo/bar?EX=100&_token=...: path, then body unless it is empty, then query's names and
 * values but for the token. What SUBSCRIBE, PSUBSCRIBE and MONITOR have for a body says nothing.
 * A value that is empty is none: ?NX= is NX. */
enum err ask_rest_path(struct ask *ask, const struct ask_rest_parts *parts,
                       const struct ask_limits *limits, struct ask_error *error) MUST_CHECK;

/* ---- what is said ------------------------------------------------------------------------ */

enum ask_says {
    ASK_SAYS_ERROR, /* {"error":"..."}: /db and Upstash */
    ASK_SAYS_NEON,  /* {"message":"...","code":null,...}: all that node-postgres's errors have */
};

/* Adds the error as a JSON object. */
void ask_say(const struct ask_error *error, enum ask_says how, struct bytes *out);

/* Frees all, and leaves it all zero. */
void ask_free(struct ask *ask);

#endif
