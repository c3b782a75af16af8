/*
 * proxy/fronts/http/cell.h - one value of PostgreSQL's, in text format, as JSON.
 *
 *      cell_add(type, text, &out)                       when all of it is here, or
 *
 *      cell_begin(&cell, type, &out);
 *      cell_add_part(&cell, part, &out)                 as often as need be
 *      cell_end(&cell, &out)
 *
 *      TYPES_TEXT     a string
 *      TYPES_BOOL     t, f: true, false
 *      TYPES_NUMBER   its digits as they are; a string where JSON has no such number (NaN), or
 *                     where it has more than CELL_KEPT_MOST characters
 *      TYPES_BIG      the same; who wants strings says TYPES_TEXT
 *      TYPES_JSON     inline
 *      any with a delimiter   [..]: "[0:1]={a,\"b c\",NULL}" is ["a","b c",null]; elements by kind
 *
 * No value is gathered. Bounds ("[0:1]=") are dropped: JSON has no place for them. Quotes and
 * backslashes are taken off the elements, an unquoted NULL is null.
 *
 * false: this is no array literal as PostgreSQL writes them. What stands in out then is no JSON.
 * PostgreSQL manual, 8.15.6 "Array Input and Output Syntax".
 */
#ifndef PROXY_FRONTS_HTTP_CELL_H
#define PROXY_FRONTS_HTTP_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "proxy/fronts/http/json_out.h"
#include "proxy/fronts/http/types.h"

enum {
    CELL_KEPT_MOST = 128, /* bytes of a number; of an element, until it is known not to be NULL */
    CELL_DEPTH_MOST = 64, /* of arrays; PostgreSQL's own limit is 6 */
};

struct cell {
    struct types_type type;
    uint8_t place; /* cell.c: enum place, where in an array */
    uint8_t item;  /* cell.c: enum item, what becomes of the value, or of the element */
    uint8_t depth;
    bool may_be_null;
    uint8_t kept_length;
    struct json_out text;
    uint8_t kept[CELL_KEPT_MOST];
};

bool cell_add(struct types_type type, struct slice text, struct bytes *out) MUST_CHECK;

void cell_begin(struct cell *cell, struct types_type type, struct bytes *out);
bool cell_add_part(struct cell *cell, struct slice part, struct bytes *out) MUST_CHECK;
bool cell_end(struct cell *cell, struct bytes *out) MUST_CHECK;

#endif
