#include "proxy/fronts/http/ask.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proxy/fronts/http/ask_parts.h"

enum { BAD_REQUEST = 400, TOO_LARGE = 413, UNAVAILABLE = 503 };

/* ---- complaints -------------------------------------------------------------------------- */

enum err ask_refuse(struct ask_error *error, int status, const char *format, ...)
{
    va_list rest;

    *error = (struct ask_error){.status = status};
    va_start(rest, format);
    vsnprintf(error->why, sizeof(error->why), format, rest);
    va_end(rest);
    return ERR_PROTOCOL;
}

enum err ask_no_memory(struct ask_error *error)
{
    *error = (struct ask_error){.status = UNAVAILABLE, .sqlstate = err_sqlstate(ERR_NO_MEMORY)};
    snprintf(error->why, sizeof(error->why), "%s", err_text(ERR_NO_MEMORY));
    return ERR_NO_MEMORY;
}

void ask_place(struct ask_reading *reading, const char *format, ...)
{
    va_list rest;

    va_start(rest, format);
    vsnprintf(reading->place, sizeof(reading->place), format, rest);
    va_end(rest);
}

enum err ask_complain(const struct ask_reading *reading, const char *key, const char *format, ...)
{
    const char *behind = reading->place[0] == '\0' && key[0] == '.' ? key + 1 : key;
    const char *colon = reading->place[0] != '\0' || *behind != '\0' ? ": " : "";
    char why[ASK_WHY];
    va_list rest;

    va_start(rest, format);
    vsnprintf(why, sizeof(why), format, rest);
    va_end(rest);
    return ask_refuse(reading->error, BAD_REQUEST, "%s%s%.80s%s%s", reading->prefix, reading->place,
                      behind, colon, why);
}

enum err ask_complain_of_type(const struct ask_reading *reading, const char *key,
                              const char *needed, const json_t *value)
{
    return ask_complain(reading, key, "%s is needed, not %s", needed, document_kind(value));
}

/* ---- values ------------------------------------------------------------------------------ */

enum err ask_read(struct ask_reading *reading, struct slice body)
{
    char why[DOCUMENT_WHY] = "";
    enum err e = document_read(&reading->ask->document, body, why);

    if (e == ERR_NO_MEMORY)
        return ask_no_memory(reading->error);
    if (e != ERR_OK)
        return ask_refuse(reading->error, BAD_REQUEST, "%s%s", reading->prefix, why);
    return ERR_OK;
}

enum err ask_make_queries(struct ask_reading *reading, size_t length)
{
    struct ask *ask = reading->ask;
    uint64_t most = reading->limits->queries;

    if (most > 0 && length > most)
        return ask_refuse(reading->error, TOO_LARGE,
                          "%s%zu queries are too many: there may be %llu (max_queries)",
                          reading->prefix, length, (unsigned long long)most);
    ask->queries = document_room(&ask->document, (length > 0 ? length : 1) * sizeof(*ask->queries));
    if (ask->queries == NULL)
        return ask_no_memory(reading->error);
    ask->queries_length = length;
    return ERR_OK;
}

static bool has_zero(struct slice text)
{
    return text.length > 0 && memchr(text.at, '\0', text.length) != NULL;
}

static enum err complain_of_zero(const struct ask_reading *reading, const char *key)
{
    return ask_complain(reading, key, "there is a zero character, which PostgreSQL has in no text");
}

enum err ask_take_text(const struct ask_reading *reading, const char *key, const json_t *value,
                       struct slice *text)
{
    if (!json_is_string(value))
        return ask_complain_of_type(reading, key, "a string", value);
    *text = (struct slice){(const uint8_t *)json_string_value(value), json_string_length(value)};
    return has_zero(*text) ? complain_of_zero(reading, key) : ERR_OK;
}

static enum err take_param(const struct ask_reading *reading, const char *key, json_t *value,
                           struct slice *param)
{
    if (document_text(&reading->ask->document, value, param) != ERR_OK)
        return ask_no_memory(reading->error);
    return has_zero(*param) ? complain_of_zero(reading, key) : ERR_OK;
}

enum err ask_take_params(const struct ask_reading *reading, const char *key, json_t *value,
                         struct ask_query *query)
{
    size_t length = json_array_size(value);
    enum err e = ERR_OK;
    char place[40];

    if (!json_is_array(value))
        return ask_complain_of_type(reading, key, "an array", value);
    if (length > ASK_MOST_PARAMS)
        return ask_complain(reading, key, "there may be at most %d", ASK_MOST_PARAMS);
    query->params =
        document_room(&reading->ask->document, (length > 0 ? length : 1) * sizeof(*query->params));
    if (query->params == NULL)
        return ask_no_memory(reading->error);
    query->params_length = length;
    for (size_t i = 0; i < length && e == ERR_OK; i++) {
        snprintf(place, sizeof(place), "%s[%zu]", key, i);
        e = take_param(reading, place, json_array_get(value, i), &query->params[i]);
    }
    return e;
}

static enum err take_argument(const struct ask_reading *reading, const char *key, json_t *value,
                              struct slice *argument)
{
    if (!json_is_string(value) && !json_is_integer(value) && !json_is_boolean(value))
        return ask_complain_of_type(reading, key, "a string, a number or a boolean", value);
    return document_text(&reading->ask->document, value, argument) == ERR_OK
               ? ERR_OK
               : ask_no_memory(reading->error);
}

enum err ask_take_command(const struct ask_reading *reading, const char *key, json_t *value,
                          struct ask_query *query)
{
    size_t length = json_array_size(value);
    enum err e = ERR_OK;
    char place[40];

    if (!json_is_array(value))
        return ask_complain_of_type(reading, key, "an array", value);
    if (length == 0)
        return ask_complain(reading, key, "empty command");
    query->arguments = document_room(&reading->ask->document, length * sizeof(*query->arguments));
    if (query->arguments == NULL)
        return ask_no_memory(reading->error);
    query->arguments_length = length;
    for (size_t i = 0; i < length && e == ERR_OK; i++) {
        snprintf(place, sizeof(place), "%s[%zu]", key, i);
        e = take_argument(reading, place, json_array_get(value, i), &query->arguments[i]);
    }
    return e;
}

/* ---- percent-encoding -------------------------------------------------------------------- */

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= ' ';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that text begins with; gives how much of it that took. */
static size_t decode_one(struct slice text, bool plus_is_blank, uint8_t *byte)
{
    *byte = *text.at == '+' && plus_is_blank ? ' ' : *text.at;
    if (*text.at != '%' || text.length < 3 || hex(text.at[1]) < 0 || hex(text.at[2]) < 0)
        return 1;
    *byte = (uint8_t)(hex(text.at[1]) << 4 | hex(text.at[2]));
    return 3;
}

enum err ask_decode(const struct ask_reading *reading, struct slice text, bool plus_is_blank,
                    struct slice *decoded, bool *is_clean)
{
    uint8_t *to = document_room(&reading->ask->document, text.length > 0 ? text.length : 1);

    if (to == NULL)
        return ask_no_memory(reading->error);
    *decoded = (struct slice){to, 0};
    *is_clean = true;
    while (text.length > 0) {
        size_t used = decode_one(text, plus_is_blank, to++);

        if (used == 1 && *text.at == '%')
            *is_clean = false;
        text.at += used;
        text.length -= used;
        decoded->length++;
    }
    return ERR_OK;
}

/* ---- what is said ------------------------------------------------------------------------ */

static struct slice text_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

void ask_say(const struct ask_error *error, enum ask_says how, struct bytes *out)
{
    /* As Neon's proxy orders them; what only PostgreSQL can know is null here. */
    static const char *const unknown[] = {
        "detail", "hint",   "position", "internalPosition", "internalQuery", "severity",
        "where",  "schema", "table",    "column",           "dataType",      "constraint",
        "file",   "line",   "routine",
    };

    bytes_print(out, "{\"%s\":", how == ASK_SAYS_NEON ? "message" : "error");
    document_quote(text_of(error->why), out);
    if (how == ASK_SAYS_NEON) {
        bytes_print(out, ",\"code\":");
        if (error->sqlstate != NULL)
            document_quote(text_of(error->sqlstate), out);
        else
            bytes_print(out, "null");
        for (size_t i = 0; i < COUNT_OF(unknown); i++)
            bytes_print(out, ",\"%s\":null", unknown[i]);
    }
    bytes_print(out, "}");
}

void ask_free(struct ask *ask)
{
    if (ask->login.password.at != NULL)
        OPENSSL_cleanse((void *)ask->login.password.at, ask->login.password.length);
    document_free(&ask->document);
    *ask = (struct ask){0};
}
