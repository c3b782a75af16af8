/*
 * proxy/fronts/http/parameter.h - a parameter as JSON has it, in PostgreSQL's text format.
 *
 *      e = parameter_add(value, &is_null, &out);        appends; nothing if it is NULL
 *
 *      null       NULL
 *      true       true
 *      1, 1.5     as written, for integers of 64 bits; of others the shortest number that is the
 *                 same double: 0.1, 1.0, 1e+30
 *      "a"        a, as it is
 *      {"a":1}    {"a":1}, JSON without blanks
 *      [1,"a"]    {1,"a"}, an array literal, for arrays in arrays too. Strings are quoted, objects
 *                 are quoted JSON, null is NULL. Arrays in objects are JSON.
 *
 * As Neon's proxy does it (json.rs: json_value_to_pg_text), except that it quotes strings in arrays
 * as JSON would, which PostgreSQL reads otherwise: "a\nb" is "anb" there. Here it is what it was.
 *
 * ERR_PROTOCOL: arrays or objects deeper than PARAMETER_DEPTH_MOST.
 */
#ifndef PROXY_FRONTS_HTTP_PARAMETER_H
#define PROXY_FRONTS_HTTP_PARAMETER_H

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"

enum { PARAMETER_DEPTH_MOST = 256 };

enum err parameter_add(json_t *value, bool *is_null, struct bytes *out) MUST_CHECK;

#endif
