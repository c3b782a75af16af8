#include "ask_words.h"

TestSuite(ask, .fini = finish);

static const struct ask_limits none = {0};

static void is_read(const char *body, const char *expected)
{
    const char *got = told(ask_db(&ask, slice_of(body), &none, &error));

    cr_assert_str_eq(got, expected, "%s: %s", body, got);
}

/* A query of that text in place of the %s. */
static void query_is(const char *query, const char *expected)
{
    char body[512], whole[512];

    snprintf(body, sizeof(body), "{\"queries\":[%s]}", query);
    snprintf(whole, sizeof(whole), "parallel continue batch: %s", expected);
    is_read(body, whole);
}

/* ---- what is understood ------------------------------------------------------------------ */

Test(ask, a_query_is_a_string_or_an_object_of_sql_or_of_redis)
{
    query_is("\"select 1\"", "sql 'select 1'");
    query_is("\"a\",\"b\"", "sql 'a' sql 'b'");
    query_is("\"\"", "sql ''");
    query_is("{\"sql\":\"select $1\",\"params\":[\"x\"],\"db\":\"shop\",\"timeout_ms\":250}",
             "sql 'select $1' ['x'] db 'shop' 250ms");
    query_is("{\"sql\":\"x\",\"params\":[]}", "sql 'x'");
    query_is("{\"redis\":[\"GET\",\"k\"],\"timeout_ms\":1}", "redis ['GET', 'k'] 1ms");
    query_is("{\"redis\":[\"SET\",\"k\",1.50,true]}", "redis ['SET', 'k', '1.50', 'true']");
    query_is("{\"redis\":[\"SET\",\"\\u0000\",\"\\u00e9\"]}", "redis ['SET', '\\00', '\\c3\\a9']");
    is_read("{\"queries\":[]}", "parallel continue batch:");
}

Test(ask, parameters_are_texts_and_lose_nothing)
{
    static const char *const rows[][2] = {
        {"\"a\"", "'a'"},
        {"\"\"", "''"},
        {"null", "NULL"},
        {"true, false", "'true', 'false'"},
        {"0, -0, -1.50, 1e400, 12345678901234567890123",
         "'0', '-0', '-1.50', '1e400', '12345678901234567890123'"},
        {"0.10000000000000000000001E-2", "'0.10000000000000000000001E-2'"},
        {"{\"b\": 1.0, \"a\": [null, true, \"\\\"\\u0001\\n\"], \"c\": {}}",
         "'{\"b\":1.0,\"a\":[null,true,\"\\\"\\u0001\\n\"],\"c\":{}}'"},
        {"[]", "'{}'"},
        {"[1, [2, 3.0]], [true, null]", "'{1,{2,3.0}}', '{true,NULL}'"},
        {"[\"a\\\"b\", \"c\\\\d\", \"NULL\", \"x\\ny\"]",
         "'{\"a\\\"b\",\"c\\\\d\",\"NULL\",\"x\\0ay\"}'"},
        {"[{\"a\": \"\\\"\"}]", "'{\"{\\\"a\\\":\\\"\\\\\\\"\\\"}\"}'"},
    };
    char query[300], expected[300];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(query, sizeof(query), "{\"sql\":\"x\",\"params\":[%s]}", rows[i][0]);
        snprintf(expected, sizeof(expected), "sql 'x' [%s]", rows[i][1]);
        query_is(query, expected);
    }
}

Test(ask, what_is_said_for_all_holds_for_each_query_that_says_nothing)
{
    is_read(
        "{\"db\":\"shop\",\"queries\":[\"a\",{\"sql\":\"b\",\"db\":\"c\"},{\"redis\":[\"PING\"]}]}",
        "parallel continue batch: sql 'a' db 'shop' sql 'b' db 'c' redis ['PING']");
    is_read(
        "{\"queries\":[\"a\"],\"mode\":\"pipeline\",\"on_error\":\"cancel\",\"format\":\"text\","
        "\"numbers\":\"exact\",\"rows\":\"arrays\",\"timeout_ms\":30000,\"max_rows\":10,"
        "\"max_bytes\":1000}",
        "pipeline cancel text exact arrays 30000ms 10 rows 1000 bytes batch: sql 'a'");
    is_read("{\"mode\":\"transaction\",\"isolation\":\"repeatable read\",\"read_only\":true,"
            "\"deferrable\":true,\"queries\":[\"a\"]}",
            "transaction stop repeatable read read only deferrable batch: sql 'a'");
    is_read("{\"mode\":\"parallel\",\"on_error\":\"stop\",\"format\":\"json\",\"numbers\":\"safe\","
            "\"rows\":\"objects\",\"queries\":[\"a\"]}",
            "parallel stop batch: sql 'a'");
}

Test(ask, less_than_what_is_configured_can_be_asked_for_and_not_more)
{
    static const struct ask_limits limits = {
        .queries = 2, .rows = 10, .bytes = 20, .timeout_ms = 30};
    static const char *const rows[][2] = {
        {"{\"queries\":[\"a\",\"b\"]}",
         "parallel continue 30ms 10 rows 20 bytes batch: sql 'a' sql 'b'"},
        {"{\"queries\":[],\"max_rows\":9,\"max_bytes\":19,\"timeout_ms\":29}",
         "parallel continue 29ms 9 rows 19 bytes batch:"},
        {"{\"queries\":[\"a\",\"b\",\"c\"]}",
         "413 3 queries are too many: there may be 2 (max_queries)"},
        {"{\"queries\":[],\"max_rows\":11}", "400 max_rows: 11 is more than the configured 10"},
        {"{\"queries\":[],\"max_bytes\":21}", "400 max_bytes: 21 is more than the configured 20"},
        {"{\"queries\":[],\"timeout_ms\":31}", "400 timeout_ms: 31 is more than the configured 30"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *got = told(ask_db(&ask, slice_of(rows[i][0]), &limits, &error));

        cr_assert_str_eq(got, rows[i][1], "%s: %s", rows[i][0], got);
    }
}

/* ---- what is not JSON -------------------------------------------------------------------- */

Test(ask, what_is_no_json_is_told_with_its_place)
{
    static const char *const rows[][2] = {
        {"", "it is empty"},
        {" ", "unexpected token near end of file, line 1, column 1"},
        {"{", "string or '}' expected near end of file, line 1, column 1"},
        {"{\"queries\":[}", "unexpected token near '}', line 1, column 13"},
        {"{\"queries\":[]", "'}' expected near end of file, line 1, column 13"},
        {"{\"queries\":[]} x", "end of file expected near 'x', line 1, column 16"},
        {"{\"queries\":[\"a\"\n,\n]}", "unexpected token near ']', line 3, column 1"},
        {"{'queries':[]}", "string or '}' expected near ''', line 1, column 2"},
        {"{\"queries\":[\"a\"]]", "'}' expected near ']', line 1, column 17"},
        {"{\"queries\":[\"\\x\"]}", "invalid escape near '\"\\x', line 1, column 15"},
        {"{\"queries\":[\"\n\"]}", "unexpected newline near '\"', line 1, column 13"},
        {"{\"queries\":[nul]}", "invalid token near 'nul', line 1, column 15"},
        {"{\"queries\":[NaN]}", "invalid token near 'NaN', line 1, column 15"},
        {"{\"queries\":[\"a\",\"a]}", "premature end of input near '\"a]}', line 1, column 20"},
        {"{\"queries\":[],\"queries\":[]}",
         "duplicate object key near '\"queries\"', line 1, column 23"},
        {"{\"queries\":[{\"sql\":\"a\",\"sql\":\"b\"}]}",
         "duplicate object key near '\"sql\"', line 1, column 28"},
        {"{\"queries\":[{\"sql\":\"a\",\"params\":[{\"x\":1,\"x\":2}]}]}",
         "duplicate object key near '\"x\"', line 1, column 43"},
        {"{\"queries\":[],\"\\u0000\":1}",
         "NUL byte in object key not supported near '\"\\u0000\"', line 1, column 22"},
        {"{\"queries\":[\"\\ud800\"]}",
         "invalid Unicode '\\uD800' near '\"\\ud800\"', line 1, column 20"},
        {"{\"queries\":[\"\xff\"]}", "unable to decode byte 0xff near '\"', line 1, column 13"},
        {"{\"queries\":[\"\xc0\x80\"]}", "unable to decode byte 0xc0 near '\"', line 1, column 13"},
        {"{\"queries\":[\"\xed\xa0\x80\"]}",
         "unable to decode byte 0xed near '\"', line 1, column 13"},
        {"\xef\xbb\xbf{}", "invalid token near '\xef\xbb\xbf', line 1, column 1"},
    };
    char expected[ASK_WHY];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(expected, sizeof(expected), "400 the body is not JSON: %s", rows[i][1]);
        is_read(rows[i][0], expected);
    }
}

Test(ask, a_number_that_is_none_is_never_let_through)
{
    static const char *const numbers[] = {
        "01",  "1.",  ".5",    "-",        "+1",        "1e",    "1e+",   "0x10",
        "1-2", "--1", "1.2.3", "1e5e6",    "1 2",       "true1", "1true", "-0-",
        "00",  "-01", "1E",    "Infinity", "-Infinity", "1_000",
    };
    char body[100];

    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        const char *got;

        snprintf(body, sizeof(body), "{\"queries\":[{\"sql\":\"a\",\"params\":[%s]}]}", numbers[i]);
        got = told(ask_db(&ask, slice_of(body), &none, &error));
        cr_assert(strncmp(got, "400 the body is not JSON: ", 26) == 0, "%s: %s", numbers[i], got);
    }
}

static const char *nest(size_t levels, const char *inner)
{
    static char body[200 * 1024];
    size_t length =
        (size_t)snprintf(body, sizeof(body), "{\"queries\":[{\"sql\":\"a\",\"params\":[");

    memset(body + length, '[', levels);
    length += levels;
    length += (size_t)snprintf(body + length, sizeof(body) - length, "%s", inner);
    memset(body + length, ']', levels);
    strcpy(body + length + levels, "]}]}");
    return body;
}

Test(ask, nesting_has_a_limit)
{
    static const char refusal[] = "400 the body is not JSON: it is nested in more than 64 levels";
    const char *got = told(ask_db(&ask, slice_of(nest(60, "1")), &none, &error));

    cr_assert(strncmp(got, "parallel", 8) == 0, "%s", got);
    cr_assert_not_null(strstr(got, "{{{{1}}}}"));
    is_read(nest(61, "1"), refusal);
    is_read(nest(90 * 1024, ""), refusal);
    is_read(nest(0, "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\""),
            "parallel continue batch: sql 'a' "
            "['[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[']");
}

Test(ask, so_many_values_have_a_limit_and_so_many_parameters)
{
    static char body[2 * DOCUMENT_MOST_VALUES + 100];
    size_t length =
        (size_t)snprintf(body, sizeof(body), "{\"queries\":[{\"sql\":\"a\",\"params\":[1");

    for (size_t i = 0; i < ASK_MOST_PARAMS; i++)
        length += (size_t)snprintf(body + length, 4, ",1");
    strcpy(body + length, "]}]}");
    is_read(body, "400 queries[0].params: there may be at most 65535");
    while (length + 10 < sizeof(body))
        length += (size_t)snprintf(body + length, 4, ",1");
    strcpy(body + length, "]}]}");
    is_read(body, "400 the body is not JSON: it has more than 1000000 values");
}

/* ---- what is JSON, and something else than was asked for --------------------------------- */

Test(ask, a_value_of_another_type_is_told_with_its_place)
{
    static const char *const rows[][2] = {
        {"[]", "an object with queries is needed, not an array"},
        {"1", "an object with queries is needed, not a number"},
        {"\"x\"", "an object with queries is needed, not a string"},
        {"null", "an object with queries is needed, not null"},
        {"{\"queries\":{}}", "queries: an array is needed, not an object"},
        {"{\"queries\":\"select 1\"}", "queries: an array is needed, not a string"},
        {"{\"queries\":null}", "queries: an array is needed, not null"},
        {"{\"queries\":[\"a\",1]}", "queries[1]: a string or an object is needed, not a number"},
        {"{\"queries\":[[]]}", "queries[0]: a string or an object is needed, not an array"},
        {"{\"queries\":[null]}", "queries[0]: a string or an object is needed, not null"},
        {"{\"queries\":[true]}", "queries[0]: a string or an object is needed, not a boolean"},
        {"{\"queries\":[{\"sql\":1}]}", "queries[0].sql: a string is needed, not a number"},
        {"{\"queries\":[{\"sql\":null}]}", "queries[0].sql: a string is needed, not null"},
        {"{\"queries\":[{\"sql\":[\"a\"]}]}", "queries[0].sql: a string is needed, not an array"},
        {"{\"queries\":[{\"sql\":\"a\",\"params\":{}}]}",
         "queries[0].params: an array is needed, not an object"},
        {"{\"queries\":[{\"sql\":\"a\",\"params\":null}]}",
         "queries[0].params: an array is needed, not null"},
        {"{\"queries\":[{\"sql\":\"a\",\"db\":1}]}",
         "queries[0].db: a string is needed, not a number"},
        {"{\"queries\":[{\"sql\":\"a\",\"timeout_ms\":\"1\"}]}",
         "queries[0].timeout_ms: a number is needed, not a string"},
        {"{\"queries\":[{\"redis\":\"GET k\"}]}",
         "queries[0].redis: an array is needed, not a string"},
        {"{\"queries\":[{\"redis\":[\"GET\",null]}]}",
         "queries[0].redis[1]: a string, a number or a boolean is needed, not null"},
        {"{\"queries\":[{\"redis\":[\"GET\",{}]}]}",
         "queries[0].redis[1]: a string, a number or a boolean is needed, not an object"},
        {"{\"queries\":[],\"db\":true}", "db: a string is needed, not a boolean"},
        {"{\"queries\":[],\"mode\":1}", "mode: a string is needed, not a number"},
        {"{\"queries\":[],\"on_error\":false}", "on_error: a string is needed, not a boolean"},
        {"{\"queries\":[],\"isolation\":{}}", "isolation: a string is needed, not an object"},
        {"{\"queries\":[],\"read_only\":1}", "read_only: true or false is needed, not a number"},
        {"{\"queries\":[],\"deferrable\":\"true\"}",
         "deferrable: true or false is needed, not a string"},
        {"{\"queries\":[],\"timeout_ms\":null}", "timeout_ms: a number is needed, not null"},
        {"{\"queries\":[],\"format\":[]}", "format: a string is needed, not an array"},
        {"{\"queries\":[],\"numbers\":1}", "numbers: a string is needed, not a number"},
        {"{\"queries\":[],\"rows\":1}", "rows: a string is needed, not a number"},
        {"{\"queries\":[],\"max_rows\":\"9\"}", "max_rows: a number is needed, not a string"},
        {"{\"queries\":[],\"max_bytes\":true}", "max_bytes: a number is needed, not a boolean"},
    };
    char expected[ASK_WHY];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(expected, sizeof(expected), "400 %s", rows[i][1]);
        is_read(rows[i][0], expected);
    }
}

Test(ask, a_value_that_cannot_be_is_told_with_its_place)
{
    static const char *const rows[][2] = {
        {"{}", "queries: missing"},
        {"{\"queries\":[{}]}", "queries[0]: neither sql nor redis is said"},
        {"{\"queries\":[{\"db\":\"x\"}]}", "queries[0]: neither sql nor redis is said"},
        {"{\"queries\":[{\"sql\":\"a\",\"redis\":[\"b\"]}]}",
         "queries[0]: sql and redis are two queries"},
        {"{\"queries\":[{\"redis\":[]}]}", "queries[0].redis: empty command"},
        {"{\"queries\":[{\"redis\":[\"a\"],\"params\":[]}]}", "queries[0].params: goes with sql"},
        {"{\"queries\":[{\"redis\":[\"a\"],\"db\":\"b\"}]}", "queries[0].db: goes with sql"},
        {"{\"queries\":[\"a\\u0000b\"]}",
         "queries[0]: there is a zero character, which PostgreSQL has in no text"},
        {"{\"queries\":[{\"sql\":\"a\",\"params\":[1,\"\\u0000\"]}]}",
         "queries[0].params[1]: there is a zero character, which PostgreSQL has in no text"},
        {"{\"queries\":[{\"sql\":\"a\",\"params\":[[\"\\u0000\"]]}]}",
         "queries[0].params[0]: there is a zero character, which PostgreSQL has in no text"},
        {"{\"queries\":[{\"sql\":\"a\",\"db\":\"\"}]}",
         "queries[0].db: a database's name has 1 to 63 bytes"},
        {"{\"queries\":[{\"sql\":\"a\",\"timeout_ms\":0}]}",
         "queries[0].timeout_ms: it is at least 1"},
        {"{\"queries\":[{\"sql\":\"a\",\"timeout_ms\":-1}]}",
         "queries[0].timeout_ms: -1 is not a whole number of 1 to 15 digits"},
        {"{\"queries\":[{\"sql\":\"a\",\"timeout_ms\":1.5}]}",
         "queries[0].timeout_ms: 1.5 is not a whole number of 1 to 15 digits"},
        {"{\"queries\":[],\"timeout_ms\":1e3}",
         "timeout_ms: 1e3 is not a whole number of 1 to 15 digits"},
        {"{\"queries\":[],\"max_rows\":18446744073709551617}",
         "max_rows: 18446744073709551617 is not a whole number of 1 to 15 digits"},
        {"{\"queries\":[],\"mode\":\"both\"}",
         "mode: \"both\" is none of parallel|pipeline|transaction"},
        {"{\"queries\":[],\"mode\":\"pipe\"}",
         "mode: \"pipe\" is none of parallel|pipeline|transaction"},
        {"{\"queries\":[],\"mode\":\"\"}", "mode: \"\" is none of parallel|pipeline|transaction"},
        {"{\"queries\":[],\"mode\":\"parallel\\u0000\"}",
         "mode: \"parallel\" is none of parallel|pipeline|transaction"},
        {"{\"queries\":[],\"on_error\":\"Stop\"}",
         "on_error: \"Stop\" is none of continue|stop|cancel"},
        {"{\"queries\":[],\"rows\":\"lists\"}", "rows: \"lists\" is none of objects|arrays"},
        {"{\"queries\":[],\"isolation\":\"serializable\"}",
         "isolation: goes with mode transaction"},
        {"{\"queries\":[],\"mode\":\"pipeline\",\"read_only\":true}",
         "read_only: goes with mode transaction"},
        {"{\"queries\":[],\"mode\":\"transaction\",\"on_error\":\"continue\"}",
         "on_error: a transaction ends with its first error"},
        {"{\"queries\":[\"a\",{\"redis\":[\"PING\"]}],\"mode\":\"transaction\"}",
         "queries[1]: Redis takes part in no transaction"},
        {"{\"queries\":[{\"sql\":\"a\",\"db\":\"b\"}],\"mode\":\"transaction\"}",
         "in mode transaction all queries share one database: say db beside queries"},
        {"{\"queries\":[{\"sql\":\"a\",\"db\":\"b\"}],\"mode\":\"pipeline\"}",
         "in mode pipeline all queries share one database: say db beside queries"},
    };
    char expected[ASK_WHY];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(expected, sizeof(expected), "400 %s", rows[i][1]);
        is_read(rows[i][0], expected);
    }
}

Test(ask, an_unknown_key_is_named_with_the_one_that_may_be_meant)
{
    static const char *const rows[][2] = {
        {"{\"querys\":[]}", "querys: unknown; did you mean queries?"},
        {"{\"queries\":[],\"onerror\":\"stop\"}", "onerror: unknown; did you mean on_error?"},
        {"{\"queries\":[],\"timeoutMs\":1}", "timeoutMs: unknown; did you mean timeout_ms?"},
        {"{\"queries\":[],\"something\":1}", "something: unknown"},
        {"{\"queries\":[\"a\",{\"sql\":\"a\",\"parms\":[]}]}",
         "queries[1].parms: unknown; did you mean params?"},
        {"{\"queries\":[{\"query\":\"a\"}]}", "queries[0].query: unknown"},
        {"{\"queries\":[],\"\":1}", "unknown"},
        {"{\"queries\":[],"
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\":1}",
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: unknown"},
    };
    char expected[ASK_WHY];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(expected, sizeof(expected), "400 %s", rows[i][1]);
        is_read(rows[i][0], expected);
    }
}

/* ---- what is said ------------------------------------------------------------------------ */

static const char *said(enum ask_says how)
{
    bytes_clear(&line);
    ask_say(&error, how, &line);
    bytes_add(&line, "", 1);
    return (const char *)line.at;
}

Test(ask, an_error_is_json_whatever_it_quotes)
{
    cr_assert_eq(ask_db(&ask, slice_of("{\"queries\":[{\"sql\\\"\\n\\u20ac\":1}]}"), &none, &error),
                 ERR_PROTOCOL);
    cr_assert_str_eq(said(ASK_SAYS_ERROR),
                     "{\"error\":\"queries[0].sql\\\"\\n\xe2\x82\xac: unknown\"}");
    error = (struct ask_error){.status = 400, .why = "\xff<\xe2\x82> \x01\x7f"};
    cr_assert_str_eq(said(ASK_SAYS_ERROR),
                     "{\"error\":\"\xef\xbf\xbd<\xef\xbf\xbd\xef\xbf\xbd> \\u0001\x7f\"}");
}

Test(ask, neon_is_told_all_that_its_clients_look_at)
{
    error = (struct ask_error){.status = 400, .sqlstate = "08P01", .why = "no"};
    cr_assert_str_eq(said(ASK_SAYS_NEON),
                     "{\"message\":\"no\",\"code\":\"08P01\",\"detail\":null,\"hint\":null,"
                     "\"position\":null,\"internalPosition\":null,\"internalQuery\":null,"
                     "\"severity\":null,\"where\":null,\"schema\":null,\"table\":null,"
                     "\"column\":null,\"dataType\":null,\"constraint\":null,\"file\":null,"
                     "\"line\":null,\"routine\":null}");
    error.sqlstate = NULL;
    cr_assert_not_null(strstr(said(ASK_SAYS_NEON), "\"code\":null,"));
}
