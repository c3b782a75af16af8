/*
 * proxy/fronts/http/rows_error.h - an error as JSON: an ErrorResponse in any pieces, or weir's own
 * words. A part of rows.h, which says how it looks, and whose options it is given.
 *
 *      rows_error_begin(&error, &options);
 *      while (!rows_error_take(&error, part, &out)) ...        until all of it was seen, or
 *      rows_error_say(&error, "54000", "too many rows", &out);
 *
 * What is told stands between braces that are the caller's. PostgreSQL manual, 55.8.
 */
#ifndef PROXY_FRONTS_HTTP_ROWS_ERROR_H
#define PROXY_FRONTS_HTTP_ROWS_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "proxy/fronts/http/cell.h"

struct rows_options;

struct rows_error {
    bool is_neon, is_in_field;
    uint8_t field;    /* 1 + its place in the table, or 0: it is not told */
    uint32_t told;    /* which fields were, bit by bit */
    char sqlstate[6]; /* "": not seen yet */
    struct cell cell;
};

void rows_error_begin(struct rows_error *error, const struct rows_options *options);

/* Whether the error ended in it. What stands behind its end is of no interest. */
bool rows_error_take(struct rows_error *error, struct slice part, struct bytes *out) MUST_CHECK;

void rows_error_say(struct rows_error *error, const char *sqlstate, const char *message,
                    struct bytes *out);

#endif
