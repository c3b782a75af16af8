#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#include "clean_end.h"
#include "proxy/fronts/postgres/console_rows.h"

static struct bytes out;
static struct console_rows rows;

static void clean_up(void)
{
    bytes_free(&out);
    clean_end();
}

TestSuite(console_rows, .fini = clean_up);

static void said(const char *expected, size_t length)
{
    cr_assert_not(out.failed);
    cr_assert_eq(out.length, length, "%zu bytes, not %zu", out.length, length);
    cr_assert_arr_eq(out.at, expected, length);
    bytes_clear(&out);
}
#define SAID(text) said(text, sizeof(text) - 1)

static void begin(const struct wire_column *columns, size_t count)
{
    console_rows_begin(&rows, &out, columns, (uint16_t)count);
}

Test(console_rows, a_row_ends_with_its_last_cell)
{
    static const struct wire_column columns[] = {{"a", WIRE_TEXT, false}, {"b", WIRE_INT4, false}};

    begin(columns, 2);
    console_rows_text(&rows, "xy");
    cr_assert_eq(out.length, 0);
    console_rows_number(&rows, 12);
    SAID("D\0\0\0\x12\0\2\0\0\0\2xy\0\0\0\00212");
    console_rows_text(&rows, "");
    console_rows_number(&rows, 0);
    SAID("D\0\0\0\x0f\0\2\0\0\0\0\0\0\0\0010");
    console_rows_text(&rows, NULL);
    console_rows_text(&rows, NULL);
    SAID("D\0\0\0\x0e\0\2\xff\xff\xff\xff\xff\xff\xff\xff");
    console_rows_end(&rows);
}

Test(console_rows, numbers_in_binary)
{
    static const struct wire_column columns[] = {
        {"i", WIRE_INT4, true}, {"q", WIRE_INT8, true}, {"n", WIRE_NUMERIC, true}};

    begin(columns, 3);
    console_rows_number(&rows, 258);
    console_rows_number(&rows, 258);
    console_rows_number(&rows, 123456789);
    SAID("D\0\0\0\x2c\0\3\0\0\0\4\0\0\1\2\0\0\0\x08\0\0\0\0\0\0\1\2"
         "\0\0\0\x0e\0\3\0\2\0\0\0\0\0\1\x09\x29\x1a\x85");
    console_rows_number(&rows, 0);
    console_rows_number(&rows, 0);
    console_rows_number(&rows, 0);
    SAID("D\0\0\0\x26\0\3\0\0\0\4\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0");
    console_rows_end(&rows);
}

Test(console_rows, what_a_column_cannot_hold_is_its_largest)
{
    static const struct wire_column columns[] = {
        {"i", WIRE_INT4, false}, {"q", WIRE_INT8, false}, {"n", WIRE_NUMERIC, false}};

    begin(columns, 3);
    console_rows_number(&rows, UINT64_MAX);
    console_rows_number(&rows, UINT64_MAX);
    console_rows_number(&rows, UINT64_MAX);
    SAID("D\0\0\0\x43\0\3\0\0\0\0122147483647\0\0\0\0239223372036854775807"
         "\0\0\0\02418446744073709551615");
    console_rows_end(&rows);
}

Test(console_rows, a_time_is_text)
{
    static const struct wire_column columns[] = {{"t", WIRE_TEXT, false}};

    setenv("TZ", "UTC", 1);
    tzset();
    begin(columns, 1);
    console_rows_time(&rows, 1000000000123456);
    SAID("D\0\0\0\x21\0\1\0\0\0\x17"
         "2001-09-09 01:46:40 UTC");
    console_rows_end(&rows);
}
