/* What Upstash's client sends, and what one may write by hand. */
#include "ask_words.h"

TestSuite(ask_rest, .fini = finish);

static const struct ask_limits none = {0};

static void is_read(enum ask_rest_kind kind, const char *body, const char *expected)
{
    const char *got = told(ask_rest(&ask, kind, slice_of(body), &none, &error));

    cr_assert_str_eq(got, expected, "%s: %s", body, got);
}

Test(ask_rest, a_command_is_an_array_of_what_redis_takes_as_text)
{
    is_read(ASK_REST_ONE, "[\"get\",\"k\"]", "pipeline continue: redis ['get', 'k']");
    is_read(ASK_REST_ONE, "[\"set\",\"k\",\"{\\\"a\\\":1}\",\"ex\",10]",
            "pipeline continue: redis ['set', 'k', '{\"a\":1}', 'ex', '10']");
    is_read(ASK_REST_ONE,
            "[\"set\",\"\",\"\\u0000\\u00e9\",1.10,1e3,-0,true,false,123456789012345678901]",
            "pipeline continue: redis ['set', '', '\\00\\c3\\a9', '1.10', '1e3', '-0', 'true', "
            "'false', '123456789012345678901']");
}

Test(ask_rest, a_pipeline_is_an_array_of_commands)
{
    is_read(ASK_REST_PIPELINE, "[[\"set\",\"k\",1],[\"get\",\"k\"]]",
            "pipeline continue batch: redis ['set', 'k', '1'] redis ['get', 'k']");
    is_read(ASK_REST_PIPELINE, "[[\"ping\"]]", "pipeline continue batch: redis ['ping']");
    is_read(ASK_REST_MULTI_EXEC, "[[\"ping\"]]", "transaction continue batch: redis ['ping']");
}

Test(ask_rest, one_wrong_command_and_nothing_is_done)
{
    static const struct {
        enum ask_rest_kind kind;
        const char *body, *expected;
    } rows[] = {
        {ASK_REST_ONE, "", "400 ERR failed to parse the body: it is empty"},
        {ASK_REST_ONE, "[",
         "400 ERR failed to parse the body: ']' expected near end of file, line 1, "
         "column 1"},
        {ASK_REST_ONE, "[]", "400 ERR empty command"},
        {ASK_REST_ONE, "{}", "400 ERR an array is needed, not an object"},
        {ASK_REST_ONE, "\"get\"", "400 ERR an array is needed, not a string"},
        {ASK_REST_ONE, "[\"set\",\"k\",null]",
         "400 ERR [2]: a string, a number or a boolean is needed, not null"},
        {ASK_REST_ONE, "[[\"get\",\"k\"]]",
         "400 ERR [0]: a string, a number or a boolean is needed, not an array"},
        {ASK_REST_ONE, "[\"set\",\"k\",{}]",
         "400 ERR [2]: a string, a number or a boolean is needed, not an object"},
        {ASK_REST_ONE, "[\"get\",\"\xff\"]",
         "400 ERR failed to parse the body: unable to decode byte "
         "0xff near '\"', line 1, column 8"},
        {ASK_REST_PIPELINE, "[]", "400 ERR empty pipeline request"},
        {ASK_REST_PIPELINE, "{}", "400 ERR an array of commands is needed, not an object"},
        {ASK_REST_PIPELINE, "[\"get\",\"k\"]", "400 ERR [0]: an array is needed, not a string"},
        {ASK_REST_PIPELINE, "[[\"get\",\"k\"],[]]", "400 ERR [1]: empty command"},
        {ASK_REST_MULTI_EXEC, "[[\"get\",\"k\"],[\"get\",[]]]",
         "400 ERR [1][1]: a string, a number or a boolean is needed, not an array"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        is_read(rows[i].kind, rows[i].body, rows[i].expected);
}

Test(ask_rest, a_pipeline_has_a_limit)
{
    static const struct ask_limits limits = {.queries = 1};
    const char *got = told(
        ask_rest(&ask, ASK_REST_PIPELINE, slice_of("[[\"ping\"],[\"ping\"]]"), &limits, &error));

    cr_assert_str_eq(got, "413 ERR 2 queries are too many: there may be 1 (max_queries)");
}

/* ---- paths ------------------------------------------------------------------------------- */

static const char *read_path(const char *path, const char *query, const char *body)
{
    struct ask_rest_parts parts = {slice_of(path), slice_of(query), slice_of(body)};

    return told(ask_rest_path(&ask, &parts, &none, &error));
}

Test(ask_rest, a_command_may_stand_in_the_url)
{
    static const struct {
        const char *path, *query, *body, *expected;
    } rows[] = {
        {"/get/foo", "", "", "redis ['get', 'foo']"},
        {"/set/foo/bar", "EX=100&_token=abc", "", "redis ['set', 'foo', 'bar', 'EX', '100']"},
        {"/set/foo", "_token=abc&EX=100&NX", "a\"value",
         "redis ['set', 'foo', 'a\"value', 'EX', '100', 'NX']"},
        {"/set/foo", "&&NX=&", "v", "redis ['set', 'foo', 'v', 'NX']"},
        {"/set/a%2Fb%20c/d+e", "X=a+b%2B", "", "redis ['set', 'a/b c', 'd+e', 'X', 'a b+']"},
        {"/set/k/%00%ff", "", "", "redis ['set', 'k', '\\00\\ff']"},
        {"/set//v", "", "", "redis ['set', '', 'v']"},
        {"/get/foo/", "", "", "redis ['get', 'foo']"},
        {"get/foo", "", "", "redis ['get', 'foo']"},
        {"/set/k", "", "\xff\x01[]", "redis ['set', 'k', '\\ff\\01[]']"},
        {"/subscribe/ch", "", "[]", "redis ['subscribe', 'ch']"},
        {"/PSUBSCRIBE/p*", "_token=x", "[]", "redis ['PSUBSCRIBE', 'p*']"},
        {"/monitor", "", "[]", "redis ['monitor']"},
        {"/publish/ch", "", "[]", "redis ['publish', 'ch', '[]']"},
    };
    char expected[200];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *got = read_path(rows[i].path, rows[i].query, rows[i].body);

        snprintf(expected, sizeof(expected), "pipeline continue: %s", rows[i].expected);
        cr_assert_str_eq(got, expected, "%s: %s", rows[i].path, got);
    }
}

Test(ask_rest, a_url_that_says_nothing_or_not_well_is_refused)
{
    static const char *const rows[][3] = {
        {"/", "", "400 ERR empty command"},
        {"", "EX=1", "400 ERR empty command"},
        {"/get/%", "", "400 ERR in a URL two hex digits stand behind each %"},
        {"/get/%4", "", "400 ERR in a URL two hex digits stand behind each %"},
        {"/get/%zz", "", "400 ERR in a URL two hex digits stand behind each %"},
        {"/get/k", "a=%g0", "400 ERR in a URL two hex digits stand behind each %"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *got = read_path(rows[i][0], rows[i][1], "body");

        cr_assert_str_eq(got, rows[i][2], "%s: %s", rows[i][0], got);
    }
}

Test(ask_rest, the_token_may_stand_in_the_url)
{
    cr_assert_eq(ask_rest_token(&ask, SLICE("EX=100&_token=a%2Bb&NX"), &error), ERR_OK);
    cr_assert_eq(ask.token.length, 3);
    cr_assert_arr_eq(ask.token.at, "a+b", 3);
    ask_free(&ask);
    cr_assert_eq(ask_rest_token(&ask, SLICE("EX=100"), &error), ERR_OK);
    cr_assert_eq(ask.token.length, 0);
    ask_free(&ask);
    cr_assert_eq(ask_rest_token(&ask, SLICE(""), &error), ERR_OK);
    cr_assert_eq(ask_rest_token(&ask, SLICE("_token=%"), &error), ERR_PROTOCOL);
}
