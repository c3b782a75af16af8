/*
 * proxy/fronts/http/types.h - what a PostgreSQL type looks like in JSON, by its OID.
 *
 *      struct types_type type = types_find(oid);
 *
 * Those that PostgreSQL brings along are known. Others are TYPES_TEXT: their OIDs differ from
 * database to database, and nobody is asked. That includes arrays of such types, whose elements
 * are therefore not taken apart. Domains come as the type they are made from.
 *
 * Source: pg_type.dat; the OIDs below 10000 never change.
 */
#ifndef PROXY_FRONTS_HTTP_TYPES_H
#define PROXY_FRONTS_HTTP_TYPES_H

#include <stdint.h>

#include "base/contract.h"

enum types_kind {
    TYPES_TEXT,   /* a string */
    TYPES_BOOL,   /* true or false */
    TYPES_NUMBER, /* int2, int4, float4, float8: a number; a string where JSON has none: "NaN" */
    TYPES_BIG,    /* int8, numeric: more digits than a double has */
    TYPES_JSON,   /* json, jsonb: inline */
};

struct types_type {
    uint8_t kind;      /* enum types_kind; of the elements if it is an array */
    uint8_t delimiter; /* between elements; 0: it is no array */
};

struct types_type types_find(uint32_t oid) MUST_CHECK;

#endif
