#include "proxy/fronts/http/parameter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/fronts/http/json_out.h"

static struct slice string_of(const json_t *value)
{
    return (struct slice){(const uint8_t *)json_string_value(value), json_string_length(value)};
}

/* The shortest that is read as the same number, and looks like no integer: 0.1, 1.0, 1e+30. */
static void add_real(double real, struct bytes *out)
{
    enum { LEAST_DIGITS = 15, MOST_DIGITS = 17 };
    bool has_point = false;
    char text[64];

    for (int digits = LEAST_DIGITS; digits <= MOST_DIGITS; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    for (char *at = text; *at != '\0'; at++) {
        if (strchr("+-0123456789e", *at) == NULL)
            *at = '.'; /* whatever the locale has there */
        has_point = has_point || *at == '.' || *at == 'e';
    }
    bytes_add(out, text, strlen(text));
    if (!has_point)
        bytes_add(out, ".0", 2);
}

/* What is neither a string, an array nor an object; null as in JSON. */
static void add_scalar(const json_t *value, struct bytes *out)
{
    switch (json_typeof(value)) {
    case JSON_INTEGER:
        bytes_print(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return;
    case JSON_REAL:
        add_real(json_real_value(value), out);
        return;
    case JSON_TRUE:
        bytes_add(out, "true", 4);
        return;
    case JSON_FALSE:
        bytes_add(out, "false", 5);
        return;
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_STRING:
        bytes_add(out, "null", 4);
        return;
    }
}

/* ---- as JSON ----------------------------------------------------------------------------- */

static enum err add_json(json_t *value, unsigned depth, struct bytes *out);

static enum err add_json_object(json_t *object, unsigned depth, struct bytes *out)
{
    enum err e = ERR_OK;
    const char *key, *comma = "";
    json_t *value;

    bytes_add(out, "{", 1);
    json_object_foreach(object, key, value)
    {
        bytes_add(out, comma, strlen(comma));
        comma = ",";
        json_out_string(out, (struct slice){(const uint8_t *)key, strlen(key)});
        bytes_add(out, ":", 1);
        if ((e = add_json(value, depth, out)) != ERR_OK)
            return e;
    }
    bytes_add(out, "}", 1);
    return ERR_OK;
}

static enum err add_json(json_t *value, unsigned depth, struct bytes *out)
{
    enum err e;

    if (depth == PARAMETER_DEPTH_MOST)
        return ERR_PROTOCOL;
    if (json_is_object(value))
        return add_json_object(value, depth + 1, out);
    if (json_is_string(value))
        json_out_string(out, string_of(value));
    else if (!json_is_array(value))
        add_scalar(value, out);
    else {
        bytes_add(out, "[", 1);
        for (size_t i = 0; i < json_array_size(value); i++) {
            bytes_add(out, ",", i > 0);
            if ((e = add_json(json_array_get(value, i), depth + 1, out)) != ERR_OK)
                return e;
        }
        bytes_add(out, "]", 1);
    }
    return ERR_OK;
}

/* ---- as an array ------------------------------------------------------------------------- */

/* Quotes what was added since begin, in its place: from behind, so that nothing is overwritten
 * before it is moved. */
static void quote_from(size_t begin, struct bytes *out)
{
    size_t from = out->length, more = 2;
    uint8_t *to;

    for (size_t i = begin; i < from; i++)
        more += out->at[i] == '"' || out->at[i] == '\\';
    if (out->failed || bytes_extend(out, more) == NULL)
        return;
    to = out->at + out->length;
    *--to = '"';
    while (from > begin) {
        uint8_t byte = out->at[--from];

        *--to = byte;
        if (byte == '"' || byte == '\\')
            *--to = '\\';
    }
    *--to = '"';
}

static enum err add_array(json_t *array, unsigned depth, struct bytes *out)
{
    enum err e = ERR_OK;

    if (depth == PARAMETER_DEPTH_MOST)
        return ERR_PROTOCOL;
    bytes_add(out, "{", 1);
    for (size_t i = 0; e == ERR_OK && i < json_array_size(array); i++) {
        json_t *value = json_array_get(array, i);
        size_t begin;

        bytes_add(out, ",", i > 0);
        begin = out->length;
        if (json_is_array(value))
            e = add_array(value, depth + 1, out);
        else if (json_is_null(value))
            bytes_add(out, "NULL", 4);
        else if (json_is_string(value)) {
            bytes_add(out, json_string_value(value), json_string_length(value));
            quote_from(begin, out);
        } else if (json_is_object(value)) {
            e = add_json(value, depth + 1, out);
            quote_from(begin, out);
        } else
            add_scalar(value, out);
    }
    bytes_add(out, "}", 1);
    return e;
}

/* ---- outside ----------------------------------------------------------------------------- */

enum err parameter_add(json_t *value, bool *is_null, struct bytes *out)
{
    size_t begin = out->length;
    enum err e = ERR_OK;

    *is_null = json_is_null(value);
    if (json_is_array(value))
        e = add_array(value, 0, out);
    else if (json_is_object(value))
        e = add_json(value, 0, out);
    else if (json_is_string(value))
        bytes_add(out, json_string_value(value), json_string_length(value));
    else if (!*is_null)
        add_scalar(value, out);
    if (e == ERR_OK && out->failed)
        e = ERR_NO_MEMORY;
    if (e != ERR_OK)
        out->length = begin;
    return e;
}
