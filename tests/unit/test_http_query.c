/* A query on its way to the server: its parameters from JSON, and its messages. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "clean_end.h"
#include "no_memory.h"
#include "proxy/fronts/http/extended.h"
#include "proxy/fronts/http/parameter.h"

static struct bytes out;

static void forget(void)
{
    bytes_free(&out);
    clean_end();
}

TestSuite(http_query, .fini = forget);

/* ---- parameters -------------------------------------------------------------------------- */

static const struct {
    const char *json, *text; /* NULL: it is NULL */
} parameters[] = {
    {"null", NULL},
    {"true", "true"},
    {"false", "false"},
    {"42", "42"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"0.1", "0.1"},
    {"1.0", "1.0"},
    {"-1.5", "-1.5"},
    {"1e30", "1e+30"},
    {"0.30000000000000004", "0.30000000000000004"},
    {"123456789.12345678", "123456789.12345678"},
    {"\"\"", ""},
    {"\"foo\\\"\"", "foo\""},
    {"\"{1,2}\"", "{1,2}"},
    {"\"a\\nb\"", "a\nb"},
    {"{}", "{}"},
    {"{\"a\": [1, 0.1, null, \"x\\n\"], \"b\": {}}", "{\"a\":[1,0.1,null,\"x\\n\"],\"b\":{}}"},
    /* as Neon's json.rs has them in its tests */
    {"[true, false, null, \"NULL\", 42, \"foo\", \"bar\\\"-\\\\\"]",
     "{true,false,NULL,\"NULL\",42,\"foo\",\"bar\\\"-\\\\\"}"},
    {"[[true, false], [null, 42], [\"foo\", \"bar\\\"-\\\\\"]]",
     "{{true,false},{NULL,42},{\"foo\",\"bar\\\"-\\\\\"}}"},
    {"[{\"foo\": 1}, {\"bar\": 2}]", "{\"{\\\"foo\\\":1}\",\"{\\\"bar\\\":2}\"}"},
    /* and others */
    {"[]", "{}"},
    {"[[]]", "{{}}"},
    {"[\"\", \" \", \"a\\nb\", \"\xd0\xb6\"]", "{\"\",\" \",\"a\nb\",\"\xd0\xb6\"}"},
    {"[0.1, {\"a\": [\"\\\"\"]}]", "{0.1,\"{\\\"a\\\":[\\\"\\\\\\\"\\\"]}\"}"},
};

static void is_parameter(size_t i)
{
    json_t *value = json_loads(parameters[i].json, JSON_DECODE_ANY, NULL);
    bool is_null;

    cr_assert_not_null(value, "%s", parameters[i].json);
    bytes_clear(&out);
    bytes_add(&out, "before", 6);
    cr_assert_eq(parameter_add(value, &is_null, &out), ERR_OK);
    cr_assert_eq(is_null, parameters[i].text == NULL);
    bytes_add(&out, "", 1);
    cr_assert_str_eq((char *)out.at + 6, parameters[i].text ? parameters[i].text : "");
    json_decref(value);
}

Test(http_query, a_parameter_is_text_as_postgresql_reads_it)
{
    for (size_t i = 0; i < COUNT_OF(parameters); i++)
        is_parameter(i);
}

static json_t *nested(const char *open, const char *close, size_t depth)
{
    char text[16 * PARAMETER_DEPTH_MOST] = "";
    json_t *value;

    for (size_t i = 0; i < depth; i++)
        strcat(text, open);
    strcat(text, "1");
    for (size_t i = 0; i < depth; i++)
        strcat(text, close);
    value = json_loads(text, 0, NULL);
    cr_assert_not_null(value);
    return value;
}

Test(http_query, a_parameter_is_not_nested_without_end)
{
    static const char *const braces[][2] = {{"[", "]"}, {"{\"a\":", "}"}, {"[{\"a\":", "}]"}};

    bytes_add(&out, "before", 6);
    for (size_t i = 0; i < COUNT_OF(braces); i++) {
        size_t each = strlen(braces[i][1]);
        json_t *well = nested(braces[i][0], braces[i][1], PARAMETER_DEPTH_MOST / each - 1);
        json_t *deep = nested(braces[i][0], braces[i][1], PARAMETER_DEPTH_MOST / each + 1);
        bool is_null;

        cr_assert_eq(parameter_add(deep, &is_null, &out), ERR_PROTOCOL);
        cr_assert_eq(out.length, 6);
        cr_assert_eq(parameter_add(well, &is_null, &out), ERR_OK);
        out.length = 6;
        json_decref(well);
        json_decref(deep);
    }
}

/* ---- messages ---------------------------------------------------------------------------- */

Test(http_query, a_query_is_five_messages)
{
    struct slice params[] = {SLICE("7"), {NULL, 0}, SLICE("")};
    static const char expected[] = "P\0\0\0\x10\0select 1\0\0\0"
                                   "B\0\0\0\x19\0\0\0\0\0\3\0\0\0\1"
                                   "7\xff\xff\xff\xff\0\0\0\0\0\0"
                                   "D\0\0\0\6P\0"
                                   "E\0\0\0\x9\0\0\0\0\0"
                                   "S\0\0\0\4";

    cr_assert_eq(extended_add_query(&out, SLICE("select 1"), params, 3), ERR_OK);
    cr_assert_eq(out.length, sizeof(expected) - 1);
    cr_assert_eq(memcmp(out.at, expected, out.length), 0);
}

Test(http_query, without_parameters_and_without_text)
{
    cr_assert_eq(extended_add_query(&out, SLICE(""), NULL, 0), ERR_OK);
    cr_assert_eq(out.length, 9 + 13 + 7 + 10 + 5);
}

Test(http_query, what_cannot_be_said_is_not_begun)
{
    struct slice *params = calloc(EXTENDED_PARAMS_MOST + 1, sizeof(*params));
    struct slice huge = {(const uint8_t *)"", EXTENDED_MESSAGE_MOST - 4};

    cr_assert_eq(extended_add_query(&out, SLICE("select\0 1"), NULL, 0), ERR_PROTOCOL);
    cr_assert_eq(extended_add_query(&out, SLICE("x"), params, EXTENDED_PARAMS_MOST + 1),
                 ERR_PROTOCOL);
    cr_assert_eq(extended_add_query(&out, SLICE("x"), &huge, 1), ERR_PROTOCOL);
    huge.length = SIZE_MAX;
    cr_assert_eq(extended_add_query(&out, SLICE("x"), &huge, 1), ERR_PROTOCOL);
    cr_assert_eq(extended_add_query(&out, huge, NULL, 0), ERR_PROTOCOL);
    huge.length = EXTENDED_MESSAGE_MOST - 4;
    cr_assert_eq(extended_add_query(&out, huge, NULL, 0), ERR_PROTOCOL);
    cr_assert_eq(out.length, 0);
    cr_assert_eq(extended_add_query(&out, SLICE("x"), params, EXTENDED_PARAMS_MOST), ERR_OK);
    free(params);
}

Test(http_query, without_memory_nothing_is_sent)
{
    struct slice params[] = {SLICE("7")};
    json_t *value = json_loads("[\"a\", {\"b\": 1}]", 0, NULL);
    bool is_null;

    no_memory_after(0);
    cr_assert_eq(extended_add_query(&out, SLICE("select 1"), params, 1), ERR_NO_MEMORY);
    cr_assert_eq(parameter_add(value, &is_null, &out), ERR_NO_MEMORY);
    no_memory_after(NO_MEMORY_NEVER);
    json_decref(value);
}
