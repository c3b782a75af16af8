#include "proxy/fronts/http/document.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { CHUNK_SIZE = 4096 };

struct document_chunk {
    struct document_chunk *next;
    size_t used, size;
    alignas(max_align_t) uint8_t room[];
};

/* ---- numbers ----------------------------------------------------------------------------- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_of_number(uint8_t c)
{
    return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static size_t run_of_number(struct slice text)
{
    size_t length = 0;

    while (length < text.length && is_of_number(text.at[length]))
        length++;
    return length;
}

/* Moves *at behind its digits; false if there are none. */
static bool skip_digits(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *from = *at;

    while (*at < end && is_digit(**at))
        ++*at;
    return *at > from;
}

/* RFC 8259, section 6. */
static bool is_number(const uint8_t *at, const uint8_t *end)
{
    at += at < end && *at == '-';
    if (at < end && *at == '0')
        at++;
    else if (!skip_digits(&at, end))
        return false;
    if (at < end && *at == '.' && (++at, !skip_digits(&at, end)))
        return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        if (!skip_digits(&at, end))
            return false;
    }
    return at == end;
}

struct slice document_number(const struct document *document, const json_t *value)
{
    size_t place = (size_t)json_integer_value(value);
    struct slice text;

    REQUIRE(json_is_integer(value) && place < document->body.length);
    text = (struct slice){document->body.at + place, document->body.length - place};
    text.length = run_of_number(text);
    REQUIRE(is_number(text.at, text.at + text.length));
    return text;
}

/* ---- what jansson is shown --------------------------------------------------------------- */

struct scan {
    struct slice body;
    size_t at;
    size_t depth, deepest, values;
    struct bytes shown;
};

/* A string passes as it is: jansson knows what it may be. */
static void pass_string(struct scan *scan)
{
    size_t from = scan->at++;

    while (scan->at < scan->body.length && scan->body.at[scan->at] != '"')
        scan->at += scan->body.at[scan->at] == '\\' ? 2 : 1;
    scan->at = scan->at < scan->body.length ? scan->at + 1 : scan->body.length;
    bytes_add(&scan->shown, scan->body.at + from, scan->at - from);
}

/* What is no number passes too, and jansson refuses it: it can be no part of anything else. */
static void pass_number(struct scan *scan)
{
    const uint8_t *at = scan->body.at + scan->at;
    size_t length = run_of_number((struct slice){at, scan->body.length - scan->at});

    if (is_number(at, at + length))
        bytes_print(&scan->shown, "%zu", scan->at);
    else
        bytes_add(&scan->shown, at, length);
    scan->at += length;
}

static void pass_other(struct scan *scan)
{
    uint8_t c = scan->body.at[scan->at++];

    scan->values += c == ',' || c == '[' || c == '{';
    if (c == '[' || c == '{')
        scan->depth++;
    else if ((c == ']' || c == '}') && scan->depth > 0)
        scan->depth--;
    if (scan->depth > scan->deepest)
        scan->deepest = scan->depth;
    bytes_add(&scan->shown, &c, 1);
}

static void show(struct scan *scan)
{
    while (scan->at < scan->body.length && scan->deepest <= DOCUMENT_DEEPEST &&
           scan->values <= DOCUMENT_MOST_VALUES) {
        uint8_t c = scan->body.at[scan->at];

        if (c == '"')
            pass_string(scan);
        else if (is_digit(c) || c == '-')
            pass_number(scan);
        else
            pass_other(scan);
    }
}

/* ---- reading ----------------------------------------------------------------------------- */

static json_t *load(struct slice text, size_t flags, json_error_t *error)
{
    const char *at = text.length > 0 ? (const char *)text.at : "";

    return json_loadb(at, text.length,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL | flags, error);
}

/* What is wrong with the body itself, and where; what jansson was shown has other columns. */
static void explain(struct slice body, json_error_t *error, char why[DOCUMENT_WHY])
{
    json_error_t own;
    json_t *root = load(body, JSON_DECODE_INT_AS_REAL, &own);

    if (root == NULL && json_error_code(&own) != json_error_numeric_overflow)
        *error = own;
    json_decref(root);
    snprintf(why, DOCUMENT_WHY, "%s, line %d, column %d", error->text, error->line, error->column);
}

static enum err parse(struct document *document, struct slice shown, char why[DOCUMENT_WHY])
{
    json_error_t error;

    document->root = load(shown, 0, &error);
    if (document->root != NULL)
        return ERR_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        return ERR_NO_MEMORY;
    explain(document->body, &error, why);
    return ERR_PROTOCOL;
}

enum err document_read(struct document *document, struct slice body, char why[DOCUMENT_WHY])
{
    struct scan scan = {.body = body};
    enum err e = ERR_PROTOCOL;

    document->body = body;
    show(&scan);
    if (scan.shown.failed)
        e = ERR_NO_MEMORY;
    else if (scan.deepest > DOCUMENT_DEEPEST)
        snprintf(why, DOCUMENT_WHY, "it is nested in more than %d levels", DOCUMENT_DEEPEST);
    else if (scan.values > DOCUMENT_MOST_VALUES)
        snprintf(why, DOCUMENT_WHY, "it has more than %d values", DOCUMENT_MOST_VALUES);
    else if (body.length == 0)
        snprintf(why, DOCUMENT_WHY, "it is empty");
    else
        e = parse(document, (struct slice){scan.shown.at, scan.shown.length}, why);
    bytes_free(&scan.shown);
    return e;
}

/* ---- memory ------------------------------------------------------------------------------ */

static struct document_chunk *add_chunk(struct document *document, size_t size)
{
    struct document_chunk *chunk = calloc(1, sizeof(*chunk) + size);

    if (chunk == NULL)
        return NULL;
    chunk->size = size;
    chunk->next = document->chunks;
    document->chunks = chunk;
    return chunk;
}

void *document_room(struct document *document, size_t size)
{
    struct document_chunk *chunk = document->chunks;
    size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    void *room;

    if (rounded < size)
        return NULL;
    if (chunk == NULL || chunk->size - chunk->used < rounded)
        chunk = add_chunk(document, rounded > CHUNK_SIZE ? rounded : CHUNK_SIZE);
    if (chunk == NULL)
        return NULL;
    room = chunk->room + chunk->used;
    chunk->used += rounded;
    return room;
}

struct slice document_copy(struct document *document, struct slice text)
{
    uint8_t *copy = document_room(document, text.length > 0 ? text.length : 1);

    if (copy != NULL && text.length > 0)
        memcpy(copy, text.at, text.length);
    return (struct slice){copy, copy != NULL ? text.length : 0};
}

void document_free(struct document *document)
{
    struct document_chunk *chunk;

    json_decref(document->root);
    while ((chunk = document->chunks) != NULL) {
        document->chunks = chunk->next;
        free(chunk);
    }
    *document = (struct document){0};
}

/* ---- texts ------------------------------------------------------------------------------- */

static struct slice string_of(const json_t *value)
{
    return (struct slice){(const uint8_t *)json_string_value(value), json_string_length(value)};
}

static void quote_one(uint8_t c, struct bytes *out)
{
    switch (c) {
    case '"':
    case '\\':
        bytes_print(out, "\\%c", c);
        break;
    case '\n':
        bytes_add(out, "\\n", 2);
        break;
    case '\r':
        bytes_add(out, "\\r", 2);
        break;
    case '\t':
        bytes_add(out, "\\t", 2);
        break;
    default:
        if (c < ' ')
            bytes_print(out, "\\u%04x", c);
        else
            bytes_add(out, &c, 1);
    }
}

void document_quote(struct slice text, struct bytes *out)
{
    bytes_add(out, "\"", 1);
    while (text.length > 0) {
        size_t length = utf8_length(text);
        size_t used = length > 0 ? length : 1;

        if (length == 0)
            bytes_add(out, "\xef\xbf\xbd", 3);
        else if (length == 1)
            quote_one(*text.at, out);
        else
            bytes_add(out, text.at, length);
        text.at += used;
        text.length -= used;
    }
    bytes_add(out, "\"", 1);
}

static void add_slice(struct slice text, struct bytes *out)
{
    bytes_add(out, text.at, text.length);
}

/* What is written alike in JSON, in array literals and by itself; false for the others. */
static bool add_plain(const struct document *document, const json_t *value, struct bytes *out)
{
    if (json_is_integer(value))
        add_slice(document_number(document, value), out);
    else if (json_is_boolean(value))
        add_slice(json_is_true(value) ? SLICE("true") : SLICE("false"), out);
    else
        return false;
    return true;
}

/* Recursion is bounded by DOCUMENT_DEEPEST, here and below. */
static void add_json(const struct document *document, json_t *value, struct bytes *out)
{
    const char *key, *comma = "";
    json_t *item;
    size_t i;

    if (json_is_object(value)) {
        bytes_add(out, "{", 1);
        json_object_foreach(value, key, item)
        {
            bytes_print(out, "%s", comma);
            document_quote((struct slice){(const uint8_t *)key, strlen(key)}, out);
            bytes_add(out, ":", 1);
            add_json(document, item, out);
            comma = ",";
        }
        bytes_add(out, "}", 1);
    } else if (json_is_array(value)) {
        bytes_add(out, "[", 1);
        json_array_foreach(value, i, item)
        {
            bytes_add(out, ",", i > 0);
            add_json(document, item, out);
        }
        bytes_add(out, "]", 1);
    } else if (json_is_string(value)) {
        document_quote(string_of(value), out);
    } else if (!add_plain(document, value, out)) {
        bytes_add(out, "null", 4);
    }
}

/* As array literals have it: only the quote and the backslash are escaped. */
static void add_quoted_element(struct slice text, struct bytes *out)
{
    bytes_add(out, "\"", 1);
    for (size_t i = 0; i < text.length; i++) {
        bytes_add(out, "\\", text.at[i] == '"' || text.at[i] == '\\');
        bytes_add(out, &text.at[i], 1);
    }
    bytes_add(out, "\"", 1);
}

static void add_array(const struct document *document, json_t *value, struct bytes *out);

static void add_element(const struct document *document, json_t *value, struct bytes *out)
{
    struct bytes json = {0};

    if (json_is_array(value)) {
        add_array(document, value, out);
    } else if (json_is_string(value)) {
        add_quoted_element(string_of(value), out);
    } else if (json_is_object(value)) {
        add_json(document, value, &json);
        add_quoted_element((struct slice){json.at, json.length}, out);
        out->failed |= json.failed;
        bytes_free(&json);
    } else if (!add_plain(document, value, out)) {
        bytes_add(out, "NULL", 4);
    }
}

static void add_array(const struct document *document, json_t *value, struct bytes *out)
{
    json_t *item;
    size_t i;

    bytes_add(out, "{", 1);
    json_array_foreach(value, i, item)
    {
        bytes_add(out, ",", i > 0);
        add_element(document, item, out);
    }
    bytes_add(out, "}", 1);
}

static enum err make_text(struct document *document, json_t *value, struct slice *text)
{
    struct bytes out = {0};

    if (json_is_array(value))
        add_array(document, value, &out);
    else
        add_json(document, value, &out);
    if (!out.failed)
        *text = document_copy(document, (struct slice){out.at, out.length});
    bytes_free(&out);
    return text->at != NULL ? ERR_OK : ERR_NO_MEMORY;
}

enum err document_text(struct document *document, json_t *value, struct slice *text)
{
    *text = (struct slice){NULL, 0};
    if (json_is_null(value))
        return ERR_OK;
    if (json_is_array(value) || json_is_object(value))
        return make_text(document, value, text);
    if (json_is_integer(value))
        *text = document_number(document, value);
    else if (json_is_string(value))
        *text = string_of(value);
    else
        *text = json_is_true(value) ? SLICE("true") : SLICE("false");
    return ERR_OK;
}

const char *document_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}
