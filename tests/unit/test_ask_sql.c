/* What Neon's driver sends to /sql, and what it must not. */
#include "ask_words.h"

TestSuite(ask_sql, .fini = finish);

static const struct ask_limits none = {0};
static struct ask_sql_headers headers;

static void is_read(const char *body, const char *expected)
{
    const char *got = told(ask_sql(&ask, &headers, slice_of(body), &none, &error));

    cr_assert_str_eq(got, expected, "%s: %s", body, got);
}

Test(ask_sql, one_query_is_no_transaction_and_a_batch_is_one_even_of_none)
{
    is_read("{\"query\":\"select $1 as n\",\"params\":[\"1\",null,\"{\\\"1\\\",\\\"2\\\"}\",true]}",
            "parallel stop: sql 'select $1 as n' ['1', NULL, '{\"1\",\"2\"}', 'true']");
    is_read("{\"query\":\"a\"}", "parallel stop: sql 'a'");
    is_read("{\"queries\":[{\"query\":\"a\"},{\"query\":\"b\",\"params\":[7]}]}",
            "transaction stop batch: sql 'a' sql 'b' ['7']");
    is_read("{\"queries\":[]}", "transaction stop batch:");
    is_read("{\"query\":\"a\",\"queries\":[]}", "parallel stop: sql 'a'");
}

Test(ask_sql, keys_of_later_drivers_are_let_pass)
{
    is_read("{\"query\":\"a\",\"fullResults\":true,\"x\":{}}", "parallel stop: sql 'a'");
}

Test(ask_sql, only_true_is_true)
{
    static const char *const other[] = {"True", "1", "yes", "true ", "", "false"};

    headers = (struct ask_sql_headers){.raw_text_output = SLICE("true"),
                                       .array_mode = SLICE("true"),
                                       .batch_isolation_level = SLICE("RepeatableRead"),
                                       .batch_read_only = SLICE("true"),
                                       .batch_deferrable = SLICE("true")};
    is_read("{\"queries\":[{\"query\":\"a\"}]}",
            "transaction stop repeatable read read only deferrable "
            "text arrays batch: sql 'a'");
    for (size_t i = 0; i < COUNT_OF(other); i++) {
        headers = (struct ask_sql_headers){.raw_text_output = slice_of(other[i]),
                                           .array_mode = slice_of(other[i]),
                                           .batch_read_only = slice_of(other[i]),
                                           .batch_deferrable = slice_of(other[i])};
        is_read("{\"query\":\"a\"}", "parallel stop: sql 'a'");
    }
}

Test(ask_sql, isolation_levels_are_spelt_as_the_driver_does)
{
    static const char *const rows[][2] = {
        {"ReadUncommitted", "transaction stop read uncommitted batch:"},
        {"ReadCommitted", "transaction stop read committed batch:"},
        {"RepeatableRead", "transaction stop repeatable read batch:"},
        {"Serializable", "transaction stop serializable batch:"},
        {"serializable", "400 invalid isolation level"},
        {"", "400 invalid isolation level"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        headers = (struct ask_sql_headers){.batch_isolation_level = slice_of(rows[i][0])};
        is_read("{\"queries\":[]}", rows[i][1]);
    }
}

Test(ask_sql, a_query_may_have_rows_of_another_form)
{
    is_read(
        "{\"queries\":[{\"query\":\"a\",\"arrayMode\":true},{\"query\":\"b\",\"arrayMode\":null},"
        "{\"query\":\"c\"}]}",
        "transaction stop batch: sql 'a' arrays sql 'b' sql 'c'");
    headers = (struct ask_sql_headers){.array_mode = SLICE("true")};
    is_read("{\"query\":\"a\",\"arrayMode\":false}", "parallel stop arrays: sql 'a' objects");
}

Test(ask_sql, what_cannot_be_read_is_told_as_neon_does)
{
    static const char *const rows[][2] = {
        {"", "it is empty"},
        {"{", "string or '}' expected near end of file, line 1, column 1"},
        {"[]", "an object with query or queries is needed, not an array"},
        {"{}", "missing field `query`"},
        {"{\"query\":1}", "query: a string is needed, not a number"},
        {"{\"query\":\"\\u0000\"}",
         "query: there is a zero character, which PostgreSQL has in no text"},
        {"{\"query\":\"a\",\"params\":\"x\"}", "params: an array is needed, not a string"},
        {"{\"query\":\"a\",\"params\":null}", "params: an array is needed, not null"},
        {"{\"query\":\"a\",\"arrayMode\":1}", "arrayMode: true or false is needed, not a number"},
        {"{\"query\":\"a\",\"query\":\"b\"}",
         "duplicate object key near '\"query\"', line 1, column 20"},
        {"{\"queries\":{}}", "queries: an array is needed, not an object"},
        {"{\"queries\":[\"a\"]}", "queries[0]: an object is needed, not a string"},
        {"{\"queries\":[{\"query\":\"a\"},{}]}", "queries[1]: missing field `query`"},
        {"{\"queries\":[{\"query\":\"\xff\"}]}",
         "unable to decode byte 0xff near '\"', line 1, column 22"},
    };
    char expected[ASK_WHY];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(expected, sizeof(expected), "400 could not parse the HTTP request body: %s",
                 rows[i][1]);
        is_read(rows[i][0], expected);
    }
}

Test(ask_sql, a_batch_has_a_limit)
{
    static const struct ask_limits limits = {.queries = 1};
    const char *got = told(ask_sql(&ask, &headers,
                                   slice_of("{\"queries\":[{\"query\":\"a\"},{\"query\":\"b\"}]}"),
                                   &limits, &error));

    cr_assert_str_eq(got,
                     "413 could not parse the HTTP request body: 2 queries are too many: there "
                     "may be 1 (max_queries)");
}

/* ---- connection strings ------------------------------------------------------------------ */

static const char *login(const char *text, bool has_bearer)
{
    bytes_clear(&line);
    if (ask_sql_login(&ask, slice_of(text), has_bearer, &error) == ERR_OK) {
        show_text("", ask.login.user);
        show_text(" ", ask.login.password);
        show_text(" ", ask.login.database);
    } else {
        bytes_print(&line, "%d %s", error.status, error.why);
    }
    bytes_add(&line, "", 1);
    ask_free(&ask);
    return (const char *)line.at;
}

Test(ask_sql, a_connection_string_says_who_and_where)
{
    static const char *const rows[][2] = {
        {"postgresql://u:p%40w@db.localtest.me:5432/mydb?sslmode=disable&application_name=x",
         "'u' 'p@w' 'mydb'"},
        {"postgres://u:p@h/d", "'u' 'p' 'd'"},
        {"POSTGRES://u:p@[::1]:5432/d#f", "'u' 'p' 'd'"},
        {"postgres://u:p:q@h/d", "'u' 'p:q' 'd'"},
        {"postgres://u:p@q@h/d", "'u' 'p@q' 'd'"},
        {"postgres://%c3%a9:%00%ff@h/a%20b%2fc", "'\\c3\\a9' '\\00\\ff' 'a b/c'"},
        {"postgres://u:p%4@h/d", "'u' 'p%4' 'd'"},
        {"postgres://u:p+@h/d/more", "'u' 'p+' 'd'"},
        {"", "400 invalid connection string: relative URL without a base"},
        {"db.example.org", "400 invalid connection string: relative URL without a base"},
        {"mysql://u:p@h/d", "400 incorrect scheme"},
        {"postgres:u:p@h/d", "400 missing hostname"},
        {"postgres://u:p@h", "400 missing database name"},
        {"postgres://u:p@h/", "400 missing database name"},
        {"postgres://u:p@h?x=/d", "400 missing database name"},
        {"postgres://u:p@h/%ff", "400 invalid database name"},
        {"postgres://u:p@h/a%00b", "400 invalid database name"},
        {"postgres://u:p@h/0123456789012345678901234567890123456789012345678901234567890123",
         "400 invalid database name"},
        {"postgres://h/d", "400 missing username"},
        {"postgres://:p@h/d", "400 missing username"},
        {"postgres://%ff:p@h/d", "400 invalid username: 1 to 127 bytes of UTF-8 are needed"},
        {"postgres://u@h/d", "400 missing authentication credentials: required password"},
        {"postgres://u:@h/d", "400 missing authentication credentials: required password"},
        {"postgres://u:p@/d", "400 missing hostname"},
        {"postgres://u:p@:5432/d", "400 missing hostname"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        cr_assert_str_eq(login(rows[i][0], false), rows[i][1], "%s: %s", rows[i][0], line.at);
    cr_assert_str_eq(login("postgres://u@h/d", true), "'u' NULL 'd'");
    cr_assert_eq(ask_sql_login(&ask, (struct slice){0}, false, &error), ERR_PROTOCOL);
    cr_assert_str_eq(error.why, "invalid header: neon-connection-string");
}

Test(ask_sql, a_login_outlives_the_reading_of_the_body)
{
    cr_assert_eq(ask_sql_login(&ask, SLICE("postgres://ana:secret@h/d"), false, &error), ERR_OK);
    cr_assert_eq(ask_sql(&ask, &headers, SLICE("{\"query\":\"a\"}"), &none, &error), ERR_OK);
    cr_assert_eq(ask.login.user.length, 3);
    cr_assert_arr_eq(ask.login.user.at, "ana", 3);
    cr_assert_arr_eq(ask.login.password.at, "secret", 6);
}
