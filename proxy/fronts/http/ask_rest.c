#include <string.h>
#include <strings.h>

#include "proxy/fronts/http/ask_parts.h"

enum { BAD_REQUEST = 400 };

static bool is(struct slice text, const char *word)
{
    return text.length == strlen(word) &&
           strncasecmp((const char *)text.at, word, text.length) == 0;
}

/* Cuts off what stands before the next mark, and the mark with it; false at the end. A mark at
 * the very end has nothing behind it. */
static bool cut(struct slice *rest, char mark, struct slice *part)
{
    const uint8_t *found;

    if (rest->length == 0)
        return false;
    found = memchr(rest->at, mark, rest->length);
    part->at = rest->at;
    part->length = found != NULL ? (size_t)(found - rest->at) : rest->length;
    rest->at += part->length + (found != NULL);
    rest->length -= part->length + (found != NULL);
    return true;
}

static size_t count(struct slice text, char mark)
{
    size_t marks = 0;

    for (size_t i = 0; i < text.length; i++)
        marks += text.at[i] == (uint8_t)mark;
    return marks;
}

static enum err decode(const struct ask_reading *reading, struct slice text, bool plus_is_blank,
                       struct slice *decoded)
{
    bool is_clean;
    enum err e = ask_decode(reading, text, plus_is_blank, decoded, &is_clean);

    if (e == ERR_OK && !is_clean)
        return ask_refuse(reading->error, BAD_REQUEST,
                          "ERR in a URL two hex digits stand behind each %%");
    return e;
}

/* ---- the URL's query --------------------------------------------------------------------- */

/* Cuts the next name and value off *rest; found is false at the end. */
static enum err next_pair(const struct ask_reading *reading, struct slice *rest, struct slice *name,
                          struct slice *value, bool *found)
{
    struct slice pair = {0}, raw_name = {0};
    enum err e;

    do {
        *found = cut(rest, '&', &pair);
    } while (*found && pair.length == 0);
    if (!*found)
        return ERR_OK;
    cut(&pair, '=', &raw_name);
    e = decode(reading, raw_name, true, name);
    return e == ERR_OK ? decode(reading, pair, true, value) : e;
}

enum err ask_rest_token(struct ask *ask, struct slice query, struct ask_error *error)
{
    const struct ask_reading reading = {.ask = ask, .error = error, .prefix = ""};
    struct slice name = {0}, value = {0};
    bool found = false;
    enum err e;

    while ((e = next_pair(&reading, &query, &name, &value, &found)) == ERR_OK && found)
        if (is(name, "_token"))
            ask->token = value;
    return e;
}

/* ---- bodies ------------------------------------------------------------------------------ */

static void take_limits(struct ask *ask, const struct ask_limits *limits)
{
    ask->mode = ASK_PIPELINE;
    ask->timeout_ms = limits->timeout_ms;
    ask->max_rows = limits->rows;
    ask->max_bytes = limits->bytes;
}

static enum err take_one(struct ask_reading *reading)
{
    enum err e = ask_make_queries(reading, 1);

    if (e != ERR_OK)
        return e;
    return ask_take_command(reading, "", reading->ask->document.root, reading->ask->queries);
}

static enum err take_many(struct ask_reading *reading)
{
    json_t *root = reading->ask->document.root;
    size_t length = json_array_size(root);
    enum err e;

    if (!json_is_array(root))
        return ask_complain_of_type(reading, "", "an array of commands", root);
    if (length == 0)
        return ask_complain(reading, "", "empty pipeline request");
    e = ask_make_queries(reading, length);
    for (size_t i = 0; i < length && e == ERR_OK; i++) {
        ask_place(reading, "[%zu]", i);
        e = ask_take_command(reading, "", json_array_get(root, i), &reading->ask->queries[i]);
    }
    return e;
}

enum err ask_rest(struct ask *ask, enum ask_rest_kind kind, struct slice body,
                  const struct ask_limits *limits, struct ask_error *error)
{
    struct ask_reading reading = {ask, limits, error, "ERR failed to parse the body: ", ""};
    enum err e;

    take_limits(ask, limits);
    ask->is_batch = kind != ASK_REST_ONE;
    if (kind == ASK_REST_MULTI_EXEC)
        ask->mode = ASK_TRANSACTION;
    e = ask_read(&reading, body);
    reading.prefix = "ERR ";
    if (e != ERR_OK)
        return e;
    return kind == ASK_REST_ONE ? take_one(&reading) : take_many(&reading);
}

/* ---- paths ------------------------------------------------------------------------------- */

static enum err add(const struct ask_reading *reading, struct slice text, bool plus_is_blank)
{
    struct ask_query *query = reading->ask->queries;

    return decode(reading, text, plus_is_blank, &query->arguments[query->arguments_length++]);
}

static enum err add_path(const struct ask_reading *reading, struct slice path)
{
    struct slice part;
    enum err e = ERR_OK;

    if (path.length > 0 && *path.at == '/')
        path = (struct slice){path.at + 1, path.length - 1};
    while (e == ERR_OK && cut(&path, '/', &part))
        e = add(reading, part, false);
    return e;
}

static void add_as_it_is(struct ask_query *query, struct slice text)
{
    query->arguments[query->arguments_length++] = text;
}

static void add_body(struct ask_query *query, struct slice body)
{
    struct slice command = query->arguments[0];

    if (body.length > 0 && !is(command, "subscribe") && !is(command, "psubscribe") &&
        !is(command, "monitor"))
        add_as_it_is(query, body);
}

static enum err add_pairs(const struct ask_reading *reading, struct slice text)
{
    struct slice name = {0}, value = {0};
    bool found = false;
    enum err e;

    while ((e = next_pair(reading, &text, &name, &value, &found)) == ERR_OK && found) {
        if (is(name, "_token"))
            continue;
        add_as_it_is(reading->ask->queries, name);
        if (value.length > 0)
            add_as_it_is(reading->ask->queries, value);
    }
    return e;
}

enum err ask_rest_path(struct ask *ask, const struct ask_rest_parts *parts,
                       const struct ask_limits *limits, struct ask_error *error)
{
    struct ask_reading reading = {ask, limits, error, "ERR ", ""};
    size_t most = count(parts->path, '/') + 2 + 2 * (count(parts->query, '&') + 1);
    enum err e = ask_make_queries(&reading, 1);

    take_limits(ask, limits);
    if (e != ERR_OK)
        return e;
    ask->queries->arguments = document_room(&ask->document, most * sizeof(struct slice));
    if (ask->queries->arguments == NULL)
        return ask_no_memory(error);
    e = add_path(&reading, parts->path);
    if (e != ERR_OK)
        return e;
    if (ask->queries->arguments_length == 0)
        return ask_refuse(error, BAD_REQUEST, "ERR empty command");
    add_body(ask->queries, parts->body);
    return add_pairs(&reading, parts->query);
}
