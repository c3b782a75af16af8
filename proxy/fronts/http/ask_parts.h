/*
 * proxy/fronts/http/ask_parts.h - what ask_db.c, ask_sql.c and ask_rest.c share.
 *
 *      struct ask_reading reading = {ask, limits, error, "could not parse the body: ", ""};
 *      e = ask_read(&reading, body);                       jansson's complaints, with the prefix
 *      ask_place(&reading, "queries[%zu]", i);             where the next complaints are
 *      return ask_complain(&reading, ".sql", "a string is needed, not %s", kind);
 *
 * Each gives ERR_OK, or has filled in reading->error.
 */
#ifndef PROXY_FRONTS_HTTP_ASK_PARTS_H
#define PROXY_FRONTS_HTTP_ASK_PARTS_H

#include "proxy/fronts/http/ask.h"

struct ask_reading {
    struct ask *ask;
    const struct ask_limits *limits;
    struct ask_error *error;
    const char *prefix; /* of all complaints */
    char place[64];     /* "queries[3]"; "": the body as a whole */
};

/* ERR_PROTOCOL and ERR_NO_MEMORY, to be returned. */
enum err ask_refuse(struct ask_error *error, int status, const char *format, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK;
enum err ask_no_memory(struct ask_error *error) MUST_CHECK;

void ask_place(struct ask_reading *reading, const char *format, ...) PRINTF_LIKE(2, 3);

/* key: what stands behind the place, ".sql" or "[2]" or ""; as a first word without its dot. */
enum err ask_complain(const struct ask_reading *reading, const char *key, const char *format, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK;

/* "sql: a string is needed, not a number". */
enum err ask_complain_of_type(const struct ask_reading *reading, const char *key,
                              const char *needed, const json_t *value) MUST_CHECK;

/* Reads the body into ask->document. */
enum err ask_read(struct ask_reading *reading, struct slice body) MUST_CHECK;

/* Room for so many queries; refuses more than there may be. */
enum err ask_make_queries(struct ask_reading *reading, size_t length) MUST_CHECK;

/* Values that are what they must be, without a zero character. */
enum err ask_take_text(const struct ask_reading *reading, const char *key, const json_t *value,
                       struct slice *text) MUST_CHECK;
enum err ask_take_params(const struct ask_reading *reading, const char *key, json_t *value,
                         struct ask_query *query) MUST_CHECK;

/* A command of Redis: strings, numbers and booleans, at least one. */
enum err ask_take_command(const struct ask_reading *reading, const char *key, json_t *value,
                          struct ask_query *query) MUST_CHECK;

/* Gives text with each %XX as its byte, and + as a blank if plus_is_blank. A % without two
 * digits behind it stays; *is_clean is false then. */
enum err ask_decode(const struct ask_reading *reading, struct slice text, bool plus_is_blank,
                    struct slice *decoded, bool *is_clean) MUST_CHECK;

#endif
