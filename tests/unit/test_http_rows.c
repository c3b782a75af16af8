/* One query's messages, and the JSON of it, in each of its forms. */
#include "http_rows_story.h"

TestSuite(http_rows, .fini = forget);

#define FIELD_NEON(name, oid, column)                                                              \
    "{\"name\":\"" name "\",\"dataTypeID\":" oid ",\"tableID\":" column                            \
    ",\"dataTypeSize\":-1,\"dataTypeModifier\":-1,\"format\":\"text\"}"
#define FIRST  "16384,\"columnID\":1"
#define SECOND "16385,\"columnID\":2"

/* ---- Neon -------------------------------------------------------------------------------- */

/* As reference/http.md has it from the wire. */
Test(http_rows, what_neon_was_seen_to_answer)
{
    struct bytes body = {0};

    is_bound();
    bytes_add(&body, "\0\1n\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0", 22);
    message('T', (struct slice){body.at, body.length});
    bytes_free(&body);
    columns = 1;
    says_row("1");
    completes("SELECT 1");
    is_told((struct rows_options){.form = ROWS_NEON, .as_arrays = true, .as_text = true},
            "{\"rowAsArray\":true,\"fields\":[{\"name\":\"n\",\"dataTypeID\":23,\"tableID\":0,"
            "\"columnID\":0,\"dataTypeSize\":4,\"dataTypeModifier\":-1,\"format\":\"text\"}],"
            "\"rows\":[[\"1\"]],\"command\":\"SELECT\",\"rowCount\":1}");
}

Test(http_rows, neon_rows_are_objects_arrays_and_text_as_asked)
{
    is_bound();
    describes("n:23 t:25");
    says_row("1", "a");
    says_row("-2", NULL);
    completes("SELECT 2");
    is_told(neon, "{\"rowAsArray\":false,\"fields\":[" FIELD_NEON("n", "23", FIRST) "," FIELD_NEON(
                      "t", "25", SECOND) "],\"rows\":[{\"n\":1,\"t\":\"a\"},{\"n\":-2,\"t\":null}],"
                                         "\"command\":\"SELECT\",\"rowCount\":2}");
    is_told(neon_arrays,
            "{\"rowAsArray\":true,\"fields\":[" FIELD_NEON("n", "23", FIRST) "," FIELD_NEON(
                "t", "25", SECOND) "],\"rows\":[[1,\"a\"],"
                                   "[-2,null]],"
                                   "\"command\":\"SELECT\","
                                   "\"rowCount\":2}");
    is_told(neon_raw,
            "{\"rowAsArray\":false,\"fields\":[" FIELD_NEON("n", "23", FIRST) "," FIELD_NEON(
                "t", "25", SECOND) "],\"rows\":[{\"n\":\"1\",\"t\":\"a\"},{\"n\":\"-2\","
                                   "\"t\":null}],\"command\":\"SELECT\",\"rowCount\":2}");
}

Test(http_rows, an_error_has_all_of_neons_words_and_nothing_else)
{
    is_bound();
    describes("n:23");
    says_row("1");
    message('E', SLICE("SFEHLER\0VERROR\0C22012\0Mdivision\nby zero\0P15\0Fint.c\0L840\0"
                       "Rint4div\0zqq\0\0"));
    wire_add_ready_for_query(&said, 'I');
    is_told(neon, "{\"severity\":\"FEHLER\",\"code\":\"22012\",\"message\":\"division\\nby zero\","
                  "\"position\":\"15\",\"file\":\"int.c\",\"line\":\"840\",\"routine\":\"int4div\","
                  "\"detail\":null,\"hint\":null,\"internalPosition\":null,\"internalQuery\":null,"
                  "\"where\":null,\"schema\":null,\"table\":null,\"column\":null,\"dataType\":null,"
                  "\"constraint\":null}");
    cr_assert_str_eq(rows_sqlstate(&rows), "22012");
    is_told(db_arrays, "{\"fields\":[{\"name\":\"n\",\"type\":23}],\"rows\":[[1]],\"error\":{"
                       "\"severity\":\"ERROR\",\"sqlstate\":\"22012\","
                       "\"message\":\"division\\nby zero\",\"position\":15,\"file\":\"int.c\","
                       "\"line\":840,\"routine\":\"int4div\"}}");
    is_told(lines, "{\"i\":7,\"fields\":[{\"name\":\"n\",\"type\":23}]}\n"
                   "{\"i\":7,\"row\":{\"n\":1}}\n"
                   "{\"i\":7,\"error\":{\"severity\":\"ERROR\",\"sqlstate\":\"22012\","
                   "\"message\":\"division\\nby zero\",\"position\":15,\"file\":\"int.c\","
                   "\"line\":840,\"routine\":\"int4div\"}}\n");
}

Test(http_rows, of_neons_command_the_first_word_is_told)
{
    static const struct {
        const char *tag, *neon, *db;
    } table[] = {
        {"INSERT 0 5", "\"INSERT\",\"rowCount\":5", "\"INSERT\",\"row_count\":5"},
        {"SELECT 0", "\"SELECT\",\"rowCount\":0", "\"SELECT\",\"row_count\":0"},
        {"CREATE TABLE", "\"CREATE\",\"rowCount\":null", "\"CREATE TABLE\",\"row_count\":null"},
        {"BEGIN", "\"BEGIN\",\"rowCount\":null", "\"BEGIN\",\"row_count\":null"},
        {"REFRESH MATERIALIZED VIEW", "\"REFRESH\",\"rowCount\":null",
         "\"REFRESH MATERIALIZED VIEW\",\"row_count\":null"},
        {"MERGE 18446744073709551615", "\"MERGE\",\"rowCount\":null",
         "\"MERGE 18446744073709551615\",\"row_count\":null"},
        {"", "\"\",\"rowCount\":null", "\"\",\"row_count\":null"},
    };
    char expected[200];

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        bytes_clear(&said);
        is_bound();
        wire_add_bare(&said, WIRE_NO_DATA);
        completes(table[i].tag);
        snprintf(expected, sizeof(expected),
                 "{\"rowAsArray\":false,\"fields\":[],\"rows\":[],\"command\":%s}", table[i].neon);
        is_told(neon, expected);
        snprintf(expected, sizeof(expected), "{\"fields\":[],\"rows\":[],\"command\":%s}",
                 table[i].db);
        is_told(db, expected);
        snprintf(expected, sizeof(expected), "{\"i\":7,\"done\":{\"command\":%s}}\n", table[i].db);
        is_told(lines, expected);
    }
}

/* ---- /db and lines ----------------------------------------------------------------------- */

Test(http_rows, a_result_of_db)
{
    is_bound();
    describes("n:23 big:20 num:1700 ok:16");
    says_row("1", "9223372036854775807", "1.50", "t");
    says_row(NULL, NULL, NULL, NULL);
    completes("SELECT 2");
    is_told(db_arrays,
            "{\"fields\":[{\"name\":\"n\",\"type\":23},{\"name\":\"big\",\"type\":20},"
            "{\"name\":\"num\",\"type\":1700},{\"name\":\"ok\",\"type\":16}],\"rows\":[[1,"
            "\"9223372036854775807\",\"1.50\",true],[null,null,null,null]],\"command\":\"SELECT\","
            "\"row_count\":2}");
    is_told((struct rows_options){.form = ROWS_DB, .as_arrays = true, .big_numbers = true},
            "{\"fields\":[{\"name\":\"n\",\"type\":23},{\"name\":\"big\",\"type\":20},"
            "{\"name\":\"num\",\"type\":1700},{\"name\":\"ok\",\"type\":16}],\"rows\":[[1,"
            "9223372036854775807,1.50,true],[null,null,null,null]],\"command\":\"SELECT\","
            "\"row_count\":2}");
}

Test(http_rows, a_result_in_lines)
{
    is_bound();
    describes("n:23 j:114");
    says_row("1", "{\"a\":\n[1,\r\n 2]}");
    says_row("2", NULL);
    completes("SELECT 2");
    is_told(lines,
            "{\"i\":7,\"fields\":[{\"name\":\"n\",\"type\":23},{\"name\":\"j\",\"type\":114}]}\n"
            "{\"i\":7,\"row\":{\"n\":1,\"j\":{\"a\": [1,   2]}}}\n"
            "{\"i\":7,\"row\":{\"n\":2,\"j\":null}}\n"
            "{\"i\":7,\"done\":{\"command\":\"SELECT\",\"row_count\":2}}\n");
}

Test(http_rows, an_error_before_anything_is_all_there_is)
{
    static const struct wire_error error = {"ERROR", "42601", "syntax error", .hint = "look"};

    wire_add_error(&said, &error);
    wire_add_ready_for_query(&said, 'E');
    is_told(db, "{\"error\":{\"severity\":\"ERROR\",\"sqlstate\":\"42601\","
                "\"message\":\"syntax error\",\"hint\":\"look\"}}");
    cr_assert_eq(rows.status, 'E');
}

/* PostgreSQL checks deferred constraints at Sync, behind CommandComplete. */
Test(http_rows, a_command_that_cannot_be_committed_has_failed)
{
    static const struct wire_error error = {"ERROR", "23505", "duplicate key", NULL, NULL};

    is_bound();
    wire_add_bare(&said, WIRE_NO_DATA);
    wire_add_command_complete(&said, "INSERT 0 1");
    wire_add_error(&said, &error);
    wire_add_ready_for_query(&said, 'I');
    is_told(db, "{\"error\":{\"severity\":\"ERROR\",\"sqlstate\":\"23505\","
                "\"message\":\"duplicate key\"}}");
}

Test(http_rows, an_empty_query_is_no_error)
{
    is_bound();
    wire_add_bare(&said, WIRE_NO_DATA);
    wire_add_bare(&said, WIRE_EMPTY_QUERY_RESPONSE);
    wire_add_ready_for_query(&said, 'I');
    is_told(neon, "{\"rowAsArray\":false,\"fields\":[],\"rows\":[],\"command\":\"\","
                  "\"rowCount\":null}");
}

Test(http_rows, rows_without_columns_are_rows)
{
    is_bound();
    describes("");
    says_row(NULL);
    says_row(NULL);
    completes("SELECT 2");
    is_told(db, "{\"fields\":[],\"rows\":[{},{}],\"command\":\"SELECT\",\"row_count\":2}");
    is_told(db_arrays, "{\"fields\":[],\"rows\":[[],[]],\"command\":\"SELECT\",\"row_count\":2}");
}

Test(http_rows, of_columns_with_one_name_an_object_has_the_last)
{
    is_bound();
    describes("a:23 b:25 a:25 b:25 b:25");
    says_row("1", "long enough to be cut", "x", NULL, "y");
    completes("SELECT 1");
    is_told(lines, "{\"i\":7,\"fields\":[{\"name\":\"a\",\"type\":23},{\"name\":\"b\",\"type\":25},"
                   "{\"name\":\"a\",\"type\":25},{\"name\":\"b\",\"type\":25},"
                   "{\"name\":\"b\",\"type\":25}]}\n"
                   "{\"i\":7,\"row\":{\"a\":\"x\",\"b\":\"y\"}}\n"
                   "{\"i\":7,\"done\":{\"command\":\"SELECT\",\"row_count\":1}}\n");
}

/* These two have the same hash. */
Test(http_rows, columns_with_other_names_are_other_columns)
{
    describes("l3vu:23 2tea:23");
    says_row("1", "2");
    completes("SELECT 1");
    is_told(db, "{\"fields\":[{\"name\":\"l3vu\",\"type\":23},{\"name\":\"2tea\",\"type\":23}],"
                "\"rows\":[{\"l3vu\":1,\"2tea\":2}],\"command\":\"SELECT\",\"row_count\":1}");
}

Test(http_rows, names_may_be_anything)
{
    is_bound();
    describes("\"q\":23 ?column?:23 \xff:23 \xd0\xb6:23");
    says_row("1", "2", "3", "4");
    completes("SELECT 1");
    is_told(db,
            "{\"fields\":[{\"name\":\"\\\"q\\\"\",\"type\":23},{\"name\":\"?column?\",\"type\":23},"
            "{\"name\":\"\xef\xbf\xbd\",\"type\":23},{\"name\":\"\xd0\xb6\",\"type\":23}],"
            "\"rows\":[{\"\\\"q\\\"\":1,\"?column?\":2,\"\xef\xbf\xbd\":3,\"\xd0\xb6\":4}],"
            "\"command\":\"SELECT\",\"row_count\":1}");
}

Test(http_rows, what_is_said_besides_is_not_told)
{
    static const struct wire_error notice = {"NOTICE", "00000", "by the way", NULL, NULL};

    wire_add_parameter_status(&said, "TimeZone", "UTC");
    is_bound();
    wire_add_notice(&said, &notice);
    describes("n:23");
    wire_add_notification(&said, 1, "c", "p");
    says_row("1");
    wire_add_notice(&said, &notice);
    wire_add_command_complete(&said, "SELECT 1");
    wire_add_parameter_status(&said, "TimeZone", "UTC");
    wire_add_ready_for_query(&said, 'T');
    is_told(db, "{\"fields\":[{\"name\":\"n\",\"type\":23}],\"rows\":[{\"n\":1}],"
                "\"command\":\"SELECT\",\"row_count\":1}");
    cr_assert_eq(rows.status, 'T');
}

Test(http_rows, what_comes_behind_is_the_next_querys)
{
    size_t end, used;

    is_bound();
    describes("n:23");
    completes("SELECT 0");
    end = said.length;
    is_bound();
    rows_begin(&rows, &db);
    cr_assert_eq(rows_take(&rows, (struct slice){said.at, said.length}, &used, &told), ROWS_READY);
    cr_assert_eq(used, end);
    cr_assert(rows_is_over(&rows));
}

/* ---- limits ------------------------------------------------------------------------------ */

Test(http_rows, too_many_rows_end_in_an_error)
{
    struct rows_options some = db, exact = db;

    is_bound();
    describes("n:23");
    says_row("1");
    says_row("2");
    says_row("3");
    completes("SELECT 3");
    some.rows_most = 2;
    exact.rows_most = 3;
    is_told(some, "{\"fields\":[{\"name\":\"n\",\"type\":23}],\"rows\":[{\"n\":1},{\"n\":2}],"
                  "\"error\":{\"severity\":\"ERROR\",\"sqlstate\":\"54000\","
                  "\"message\":\"the result has too many rows (max is 2)\"}}");
    cr_assert_str_eq(rows_sqlstate(&rows), "54000");
    is_told(exact, "{\"fields\":[{\"name\":\"n\",\"type\":23}],\"rows\":[{\"n\":1},{\"n\":2},"
                   "{\"n\":3}],\"command\":\"SELECT\",\"row_count\":3}");
}

Test(http_rows, too_many_bytes_end_in_an_error_before_the_row_that_has_them)
{
    struct rows_options some = lines, of_neon = neon;

    is_bound();
    describes("t:25");
    says_row("a");
    says_row("0123456789012345678901234567890123456789");
    completes("SELECT 2");
    of_neon.bytes_most = some.bytes_most = 100;
    is_told(some, "{\"i\":7,\"fields\":[{\"name\":\"t\",\"type\":25}]}\n"
                  "{\"i\":7,\"row\":{\"t\":\"a\"}}\n"
                  "{\"i\":7,\"error\":{\"severity\":\"ERROR\",\"sqlstate\":\"54000\","
                  "\"message\":\"response is too large (max is 100 bytes)\"}}\n");
    is_told(of_neon, "{\"severity\":\"ERROR\",\"code\":\"54000\","
                     "\"message\":\"response is too large (max is 100 bytes)\","
                     "\"detail\":null,\"hint\":null,\"position\":null,\"internalPosition\":null,"
                     "\"internalQuery\":null,\"where\":null,\"schema\":null,\"table\":null,"
                     "\"column\":null,\"dataType\":null,\"constraint\":null,\"file\":null,"
                     "\"line\":null,\"routine\":null}");
}

Test(http_rows, a_stop_is_said_until_it_is_refused)
{
    struct rows_options some = db;
    size_t used;

    describes("n:23");
    says_row("1");
    some.bytes_most = 1;
    rows_begin(&rows, &some);
    cr_assert_eq(rows_take(&rows, (struct slice){said.at, said.length}, &used, &told),
                 ROWS_TOO_LARGE);
    cr_assert_eq(rows_take(&rows, (struct slice){said.at, said.length}, &used, &told),
                 ROWS_TOO_LARGE);
    cr_assert_eq(used, 0);
}

/* ---- weir's own errors ------------------------------------------------------------------- */

Test(http_rows, a_query_that_never_ran_has_an_error)
{
    rows_begin(&rows, &lines);
    cr_assert(rows_refuse_as(&rows, "57014", "another one failed", &told));
    bytes_add(&told, "", 1);
    cr_assert_str_eq((char *)told.at,
                     "{\"i\":7,\"error\":{\"severity\":\"ERROR\","
                     "\"sqlstate\":\"57014\",\"message\":\"another one failed\"}}\n");
}

/* Wherever the server is lost: between rows the result can be ended, within one it cannot, except
 * for Neon's, of which nothing was sent. */
Test(http_rows, a_lost_server_is_told_unless_a_row_is_half_told)
{
    size_t rows_begin_at, first_end, used;

    is_bound();
    describes("j:114 t:25");
    rows_begin_at = said.length;
    says_row("[1]", "abc");
    first_end = said.length;
    says_row("{}", "x");
    for (size_t at = 0; at <= said.length; at++) {
        bool is_between = at < rows_begin_at + 7 || (at >= first_end && at < first_end + 7) ||
                          at == said.length; /* the head, and how many columns */

        for (size_t form = 0; form < 3; form++) {
            struct rows_options options = {.form = (enum rows_form)form};

            bytes_clear(&told);
            rows_begin(&rows, &options);
            cr_assert_eq(rows_take(&rows, (struct slice){said.at, at}, &used, &told), ROWS_MORE);
            cr_assert_eq(rows_refuse_as(&rows, "08006", "lost", &told),
                         is_between || form == ROWS_NEON, "form %zu, at %zu", form, at);
            cr_assert(rows_is_over(&rows));
        }
    }
}

/* The rest of what a refused query's server says is read to its end, and not told. */
Test(http_rows, what_a_refused_query_still_says_is_not_told)
{
    static const struct wire_error error = {"ERROR", "57014", "canceled", NULL, NULL};
    size_t used, length;

    is_bound();
    describes("j:114 t:25");
    says_row("[1]", "abc");
    wire_add_error(&said, &error);
    wire_add_ready_for_query(&said, 'I');
    for (size_t at = 0; at < said.length; at++) {
        enum rows_sight sight;

        bytes_clear(&told);
        rows_begin(&rows, &neon);
        sight = rows_take(&rows, (struct slice){said.at, at}, &used, &told);
        cr_assert(sight == ROWS_MORE || sight == ROWS_FAILED);
        if (rows_is_over(&rows))
            break;
        cr_assert(rows_refuse_as(&rows, "57014", "too late", &told));
        length = told.length;
        sight = rows_take(&rows, (struct slice){said.at + used, said.length - used}, &used, &told);
        cr_assert_eq(sight, ROWS_READY, "cut at %zu", at);
        cr_assert_eq(told.length, length);
    }
}

Test(http_rows, copy_is_refused)
{
    message('G', SLICE("\0\0\0"));
    wire_add_error(&said,
                   &(struct wire_error){"ERROR", "57014", "COPY from stdin failed", NULL, NULL});
    wire_add_ready_for_query(&said, 'I');
    is_told(db, "{\"error\":{\"severity\":\"ERROR\",\"sqlstate\":\"0A000\","
                "\"message\":\"COPY FROM STDIN is not possible over HTTP\"}}");
    bytes_clear(&said);
    message('H', SLICE("\0\0\0"));
    message('d', SLICE("1\t2\n"));
    message('c', SLICE(""));
    completes("COPY 1");
    is_told(db, "{\"error\":{\"severity\":\"ERROR\",\"sqlstate\":\"0A000\","
                "\"message\":\"COPY TO STDOUT is not possible over HTTP\"}}");
}

/* ---- what is no answer to a query -------------------------------------------------------- */

static void is_broken_with(const char *told_before)
{
    char expected[400];

    snprintf(expected, sizeof(expected),
             "%s\"error\":{\"severity\":\"ERROR\",\"sqlstate\":\"08P01\","
             "\"message\":\"the server did not keep to the protocol\"}}",
             told_before);
    is_told(db, expected);
    bytes_clear(&said);
}

Test(http_rows, what_breaks_the_protocol_is_seen)
{
    static const char half[] = "{\"fields\":[{\"name\":\"n\",\"type\":23}],\"rows\":[],";

    message('D', SLICE("\0\1\0\0\0\1x")); /* a row of no result */
    is_broken_with("{");
    message('?', SLICE(""));
    is_broken_with("{");
    wire_add_ready_for_query(&said, 'I'); /* and nothing was done */
    is_broken_with("{");
    message('T', SLICE("\0\1n"));
    is_broken_with("{");
    message('T', SLICE("\0\2n\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"));
    is_broken_with("{");
    message('T', SLICE("\0\1n\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\1")); /* binary */
    is_broken_with("{");
    message('T', SLICE("\xff\xffn"));
    is_broken_with("{");
    message('C', SLICE("SELECT"));
    is_broken_with("{");
    message('Z', SLICE("II"));
    is_broken_with("{");
    bytes_add(&said, "T\0\0\0\3", 5);
    is_broken_with("{");
    describes("n:23");
    message('D', SLICE("\0\2\0\0\0\1x\0\0\0\1y"));
    is_broken_with(half);
    describes("n:23");
    message('D', SLICE("\0"));
    is_told(db, "{\"fields\":[{\"name\":\"n\",\"type\":23}],\"rows\":[],\"error\":{\"severity\":"
                "\"ERROR\",\"sqlstate\":\"08P01\",\"message\":\"the server did not keep to the "
                "protocol\"}}");
}

Test(http_rows, a_row_that_is_not_as_long_as_it_says_is_broken_off)
{
    static const struct slice bodies[] = {
        {(const uint8_t *)"\0\1\0\0\0\2x", 7},
        {(const uint8_t *)"\0\1\0\0\0", 5},
        {(const uint8_t *)"\0\1\x80\0\0\0", 6},
        {(const uint8_t *)"\0\1\0\0\0\1xy", 8},
    };

    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        size_t used;

        bytes_clear(&said);
        describes("n:25");
        message('D', bodies[i]);
        message('C', SLICE("x")); /* so that there is always a byte behind it */
        rows_begin(&rows, &db);
        cr_assert_eq(rows_take(&rows, (struct slice){said.at, said.length}, &used, &told),
                     ROWS_BROKEN);
        cr_assert_not(rows_refuse(&rows, ROWS_BROKEN, &told));
        cr_assert_eq(rows_take(&rows, (struct slice){said.at, said.length}, &used, &told),
                     ROWS_BROKEN, "and so it stays");
    }
}
