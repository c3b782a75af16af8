/*
 * What is understood of a body lies within what was given or made of it, has no zero byte where
 * PostgreSQL has none, and is within the limits; what is not understood has a status and a
 * reason, which is JSON once it is said. Inputs begin with what they are for, and most are
 * pieces of requests put together, so that they get further than the first bracket.
 */
#include <jansson.h>
#include <string.h>

#include "choices.h"
#include "fuzz.h"
#include "proxy/fronts/http/ask.h"

static const struct ask_limits limits = {
    .queries = 8, .rows = 100, .bytes = 1000, .timeout_ms = 50};

static void check_text(struct slice text, bool may_have_zero)
{
    volatile uint8_t last;

    if (text.length == 0)
        return;
    REQUIRE(text.at != NULL);
    last = text.at[text.length - 1]; /* it can be read */
    (void)last;
    REQUIRE(memchr(text.at, '\0', text.length) == NULL || may_have_zero);
}

static void check_query(const struct ask_query *query)
{
    REQUIRE((query->sql.at != NULL) != (query->arguments != NULL));
    REQUIRE(query->arguments == NULL || query->arguments_length > 0);
    REQUIRE(query->params_length <= ASK_MOST_PARAMS);
    REQUIRE(query->database.length <= ASK_LONGEST_DATABASE);
    check_text(query->sql, false);
    check_text(query->database, false);
    for (size_t i = 0; i < query->params_length; i++)
        check_text(query->params[i], false);
    for (size_t i = 0; i < query->arguments_length; i++)
        check_text(query->arguments[i], true);
}

static void check_error(const struct ask_error *error, enum ask_says how)
{
    struct bytes out = {0};
    json_t *said;

    REQUIRE(error->status == 400 || error->status == 413);
    REQUIRE(error->why[0] != '\0' && strlen(error->why) < ASK_WHY);
    ask_say(error, how, &out);
    said = json_loadb((const char *)out.at, out.length, JSON_REJECT_DUPLICATES, NULL);
    REQUIRE(json_is_object(said));
    json_decref(said);
    bytes_free(&out);
}

static void check(const struct ask *ask, enum err e, const struct ask_error *error)
{
    if (e != ERR_OK) {
        check_error(error, ASK_SAYS_ERROR);
        check_error(error, ASK_SAYS_NEON);
        return;
    }
    REQUIRE(ask->queries_length <= limits.queries);
    REQUIRE(ask->timeout_ms > 0 && ask->timeout_ms <= limits.timeout_ms);
    REQUIRE(ask->max_rows > 0 && ask->max_rows <= limits.rows);
    REQUIRE(ask->max_bytes > 0 && ask->max_bytes <= limits.bytes);
    for (size_t i = 0; i < ask->queries_length; i++)
        check_query(&ask->queries[i]);
}

/* What jansson alone says of it: it is no less strict. */
static void check_against_jansson(struct slice body, enum err e)
{
    json_t *root = json_loadb(
        body.length > 0 ? (const char *)body.at : "", body.length,
        JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, NULL);
    json_error_t error;

    if (root == NULL && e == ERR_OK) { /* but for doubles that overflow */
        root = json_loadb((const char *)body.at, body.length,
                          JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
        REQUIRE(root != NULL || json_error_code(&error) == json_error_numeric_overflow);
    }
    json_decref(root);
}

static void try_login(struct ask *ask, struct slice text)
{
    struct ask_error error = {0};
    enum err e = ask_sql_login(ask, text, text.length % 2, &error);

    if (e != ERR_OK) {
        check_error(&error, ASK_SAYS_NEON);
        return;
    }
    REQUIRE(ask->login.user.length > 0 && ask->login.database.length > 0);
    check_text(ask->login.user, false);
    check_text(ask->login.database, false);
    check_text(ask->login.password, true);
}

static void try_path(struct ask *ask, struct slice text, size_t path, size_t query)
{
    struct ask_error error = {0};
    struct ask_rest_parts parts;

    path = path < text.length ? path : text.length;
    parts.path = (struct slice){text.at, path};
    text = (struct slice){text.at + path, text.length - path};
    query = query < text.length ? query : text.length;
    parts.query = (struct slice){text.at, query};
    parts.body = (struct slice){text.at + query, text.length - query};
    if (ask_rest_token(ask, parts.query, &error) != ERR_OK)
        check_error(&error, ASK_SAYS_ERROR);
    check(ask, ask_rest_path(ask, &parts, &limits, &error), &error);
}

static void try_body(struct ask *ask, uint8_t what, struct slice body)
{
    const struct ask_sql_headers headers = {0};
    struct ask_error error = {0};
    enum err e;

    if (what % 3 == 0)
        e = ask_db(ask, body, &limits, &error);
    else if (what % 3 == 1)
        e = ask_sql(ask, &headers, body, &limits, &error);
    else
        e = ask_rest(ask, (enum ask_rest_kind)(what / 3 % 3), body, &limits, &error);
    check(ask, e, &error);
    check_against_jansson(body, e);
}

/* Pieces that the rest of the input chooses, and now and then a byte of its own. */
static void compose(struct choices *choices, struct bytes *out)
{
    static const char *const pieces[] = {
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "1",
        "-1.50",
        "null",
        "true",
        "{}",
        "[]",
        "\"\\u0000\"",
        "\"queries\":[",
        "\"sql\":\"a\"",
        "\"params\":[",
        "\"redis\":[\"GET\",",
        "\"query\":\"a\"",
        "\"mode\":\"transaction\"",
        "\"db\":\"d\"",
        "\"timeout_ms\":5",
        "1e400",
        "00",
        "{\"queries\":[\"a\"",
        "\"on_error\":\"stop\"",
        "]}",
        "\"",
        "\\",
        "12345678901234567890",
        " ",
        "\n",
    };

    while (choices->length > 0) {
        uint8_t chosen = choose(choices);
        const char *piece = pieces[chosen % COUNT_OF(pieces)];

        if (chosen >= 240)
            bytes_add(out, &chosen, 1);
        else
            bytes_add(out, piece, strlen(piece));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};
    uint8_t what = choose(&choices), more = choose(&choices);
    struct bytes composed = {0};
    struct slice text;
    struct ask ask = {0};

    if (more % 4 > 0)
        compose(&choices, &composed);
    else
        bytes_add(&composed, choices.at, choices.length);
    bytes_add(&composed, "", 1); /* somewhere to point to */
    text = (struct slice){composed.at, composed.length - 1};
    if (what % 8 == 7)
        try_path(&ask, text, more, more / 2);
    else if (what % 8 == 6)
        try_login(&ask, text);
    else
        try_body(&ask, what, text);
    ask_free(&ask);
    bytes_free(&composed);
    return 0;
}
