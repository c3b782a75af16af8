/* Messages are those of Neon's proxy, which its users may know: serverless/error.rs there. */
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "proxy/fronts/http/ask_parts.h"

enum { BAD_REQUEST = 400, LONGEST_USER = 127 };

static bool is(struct slice text, const char *word)
{
    return text.length == strlen(word) && memcmp(text.at, word, text.length) == 0;
}

/* ---- headers ----------------------------------------------------------------------------- */

static bool read_isolation(struct slice text, enum ask_isolation *isolation)
{
    static const char *const words[] = {
        [ASK_READ_UNCOMMITTED] = "ReadUncommitted",
        [ASK_READ_COMMITTED] = "ReadCommitted",
        [ASK_REPEATABLE_READ] = "RepeatableRead",
        [ASK_SERIALIZABLE] = "Serializable",
    };

    for (size_t i = ASK_READ_UNCOMMITTED; i < COUNT_OF(words); i++) {
        if (!is(text, words[i]))
            continue;
        *isolation = (enum ask_isolation)i;
        return true;
    }
    return false;
}

/* What is not exactly true is false. */
static enum err take_headers(struct ask *ask, const struct ask_sql_headers *headers,
                             struct ask_error *error)
{
    ask->format = is(headers->raw_text_output, "true") ? ASK_FORMAT_TEXT : ASK_FORMAT_JSON;
    ask->rows = is(headers->array_mode, "true") ? ASK_ROWS_ARRAYS : ASK_ROWS_OBJECTS;
    ask->read_only = is(headers->batch_read_only, "true");
    ask->deferrable = is(headers->batch_deferrable, "true");
    if (headers->batch_isolation_level.at != NULL &&
        !read_isolation(headers->batch_isolation_level, &ask->isolation))
        return ask_refuse(error, BAD_REQUEST, "invalid isolation level");
    return ERR_OK;
}

/* ---- the body ---------------------------------------------------------------------------- */

static enum err take_array_mode(const struct ask_reading *reading, const json_t *value,
                                struct ask_query *query)
{
    if (value == NULL || json_is_null(value))
        return ERR_OK;
    if (!json_is_boolean(value))
        return ask_complain_of_type(reading, ".arrayMode", "true or false", value);
    query->rows = json_is_true(value) ? ASK_ROWS_ARRAYS : ASK_ROWS_OBJECTS;
    return ERR_OK;
}

static enum err take_query(const struct ask_reading *reading, json_t *value,
                           struct ask_query *query)
{
    const json_t *sql = json_object_get(value, "query");
    json_t *params = json_object_get(value, "params");
    enum err e;

    query->rows = reading->ask->rows;
    if (!json_is_object(value))
        return ask_complain_of_type(reading, "", "an object", value);
    if (sql == NULL)
        return ask_complain(reading, "", "missing field `query`");
    e = ask_take_text(reading, ".query", sql, &query->sql);
    if (e == ERR_OK && params != NULL)
        e = ask_take_params(reading, ".params", params, query);
    return e == ERR_OK ? take_array_mode(reading, json_object_get(value, "arrayMode"), query) : e;
}

static enum err take_batch(struct ask_reading *reading, json_t *queries)
{
    size_t length = json_array_size(queries);
    enum err e;

    if (!json_is_array(queries))
        return ask_complain_of_type(reading, ".queries", "an array", queries);
    e = ask_make_queries(reading, length);
    for (size_t i = 0; i < length && e == ERR_OK; i++) {
        ask_place(reading, "queries[%zu]", i);
        e = take_query(reading, json_array_get(queries, i), &reading->ask->queries[i]);
    }
    return e;
}

static enum err take_body(struct ask_reading *reading)
{
    struct ask *ask = reading->ask;
    json_t *root = ask->document.root;
    enum err e;

    if (!json_is_object(root))
        return ask_complain_of_type(reading, "", "an object with query or queries", root);
    if (json_object_get(root, "query") == NULL && json_object_get(root, "queries") != NULL) {
        ask->is_batch = true;
        ask->mode = ASK_TRANSACTION;
        return take_batch(reading, json_object_get(root, "queries"));
    }
    e = ask_make_queries(reading, 1);
    return e == ERR_OK ? take_query(reading, root, ask->queries) : e;
}

enum err ask_sql(struct ask *ask, const struct ask_sql_headers *headers, struct slice body,
                 const struct ask_limits *limits, struct ask_error *error)
{
    struct ask_reading reading = {ask, limits, error,
                                  "could not parse the HTTP request body: ", ""};
    enum err e = take_headers(ask, headers, error);

    ask->on_error = ASK_STOP;
    ask->timeout_ms = limits->timeout_ms;
    ask->max_rows = limits->rows;
    ask->max_bytes = limits->bytes;
    if (e == ERR_OK)
        e = ask_read(&reading, body);
    return e == ERR_OK ? take_body(&reading) : e;
}

/* ---- the connection string --------------------------------------------------------------- */

/* What stands before the first of marks; all, if none is there. */
static struct slice cut_before(struct slice text, const char *marks)
{
    size_t length = 0;

    while (length < text.length && (text.at[length] == '\0' || !strchr(marks, text.at[length])))
        length++;
    return (struct slice){text.at, length};
}

static struct slice behind(struct slice text, size_t length)
{
    length = length < text.length ? length : text.length;
    return (struct slice){text.at + length, text.length - length};
}

/* What stands before the last @, without it; length 0 and all left in *text if there is none. */
static struct slice cut_user_info(struct slice *text)
{
    for (size_t i = text->length; i > 0; i--) {
        struct slice before = {text->at, i - 1};

        if (text->at[i - 1] != '@')
            continue;
        *text = behind(*text, i);
        return before;
    }
    return (struct slice){text->at, 0};
}

static bool is_utf8(struct slice text)
{
    while (text.length > 0) {
        size_t length = utf8_length(text);

        if (length == 0 || *text.at == '\0')
            return false;
        text = behind(text, length);
    }
    return true;
}

/* As urlencoding::decode does, a % that begins nothing stays. */
static enum err decode(const struct ask_reading *reading, struct slice text, struct slice *decoded)
{
    bool is_clean;

    return ask_decode(reading, text, false, decoded, &is_clean);
}

/* No message shows any of it: it may be misspelt, and the password then anywhere. */
static enum err take_parts(const struct ask_reading *reading, struct slice user_info,
                           struct slice path, bool has_bearer)
{
    struct ask_login *login = &reading->ask->login;
    struct slice user = cut_before(user_info, ":"), password = behind(user_info, user.length + 1);

    if (decode(reading, path, &login->database) != ERR_OK ||
        decode(reading, user, &login->user) != ERR_OK ||
        decode(reading, password, &login->password) != ERR_OK)
        return ERR_NO_MEMORY;
    if (login->database.length == 0)
        return ask_refuse(reading->error, BAD_REQUEST, "missing database name");
    if (!is_utf8(login->database) || login->database.length > ASK_LONGEST_DATABASE)
        return ask_refuse(reading->error, BAD_REQUEST, "invalid database name");
    if (login->user.length == 0)
        return ask_refuse(reading->error, BAD_REQUEST, "missing username");
    if (!is_utf8(login->user) || login->user.length > LONGEST_USER)
        return ask_refuse(reading->error, BAD_REQUEST,
                          "invalid username: 1 to %d bytes of UTF-8 are needed", LONGEST_USER);
    if (login->password.length > 0)
        return ERR_OK;
    login->password = (struct slice){NULL, 0};
    if (!has_bearer)
        return ask_refuse(reading->error, BAD_REQUEST,
                          "missing authentication credentials: required password");
    return ERR_OK;
}

static bool has_scheme(struct slice scheme)
{
    static const char *const known[] = {"postgres", "postgresql"};

    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (scheme.length == strlen(known[i]) &&
            strncasecmp((const char *)scheme.at, known[i], scheme.length) == 0)
            return true;
    return false;
}

enum err ask_sql_login(struct ask *ask, struct slice connection_string, bool has_bearer,
                       struct ask_error *error)
{
    struct ask_reading reading = {.ask = ask, .error = error, .prefix = ""};
    struct slice scheme = cut_before(connection_string, ":"), rest, authority, user_info, path;
    enum err e;

    if (connection_string.at == NULL)
        return ask_refuse(error, BAD_REQUEST, "invalid header: neon-connection-string");
    rest = behind(connection_string, scheme.length);
    if (rest.length == 0)
        return ask_refuse(error, BAD_REQUEST,
                          "invalid connection string: relative URL without a base");
    if (!has_scheme(scheme))
        return ask_refuse(error, BAD_REQUEST, "incorrect scheme");
    if (rest.length < 3 || memcmp(rest.at, "://", 3) != 0)
        return ask_refuse(error, BAD_REQUEST, "missing hostname");
    rest = behind(rest, 3);
    authority = cut_before(rest, "/?#");
    rest = behind(rest, authority.length);
    path = rest.length > 0 && *rest.at == '/' ? cut_before(behind(rest, 1), "/?#")
                                              : (struct slice){rest.at, 0};
    user_info = cut_user_info(&authority);
    e = take_parts(&reading, user_info, path, has_bearer);
    if (e == ERR_OK && (authority.length == 0 || *authority.at == ':'))
        return ask_refuse(error, BAD_REQUEST, "missing hostname");
    return e;
}
