/*
 * proxy/fronts/http/rows_columns.h - the columns of a result: a RowDescription in, JSON out, and
 * what is kept of it for the rows. A part of rows.h, whose options it is given.
 *
 *      rows_columns_clear(&columns)
 *      rows_columns_take(&columns, body, &options, &out)       adds {"name":…},{"name":…}
 *      column = rows_columns_at(&columns, i);
 *
 * PostgreSQL manual, 55.7 "RowDescription".
 */
#ifndef PROXY_FRONTS_HTTP_ROWS_COLUMNS_H
#define PROXY_FRONTS_HTTP_ROWS_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "proxy/fronts/http/types.h"

struct rows_options;

enum {
    ROWS_COLUMNS_MOST = 4096, /* PostgreSQL's own limit is 1664 */
};

struct rows_column {
    uint32_t key, key_length; /* in names: ,"n": */
    uint32_t hash;            /* of it */
    struct types_type type;   /* as it is told */
    bool is_hidden;           /* in an object, where another of that name follows */
};

struct rows_columns {
    struct bytes columns, names;
    size_t length;
};

static inline const struct rows_column *rows_columns_at(const struct rows_columns *columns,
                                                        size_t i)
{
    return (const struct rows_column *)(const void *)columns->columns.at + i;
}

void rows_columns_clear(struct rows_columns *columns);
void rows_columns_fini(struct rows_columns *columns);

/* false: it is no RowDescription of text, or has too many columns, and out is as it was; or for
 * want of memory, and out has failed. */
bool rows_columns_take(struct rows_columns *columns, struct slice body,
                       const struct rows_options *options, struct bytes *out) MUST_CHECK;

#endif
