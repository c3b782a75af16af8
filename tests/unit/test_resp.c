/* Each row is what a server says, and what is read in it: kind and length of each value, and how
 * it ends. Every row is also cut in two at every byte, and shown byte by byte. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/redis/resp.h"

static struct bytes out;

static void forget(void)
{
    bytes_free(&out);
    clean_end();
}

TestSuite(resp, .fini = forget);

struct row {
    struct slice said;
    const char *read;
};

#define ROW(said, read)                                                                            \
    {                                                                                              \
        {(const uint8_t *)(said), sizeof(said) - 1}, read                                          \
    }

static const struct row rows[] = {
    /* lines */
    ROW("+OK\r\n", "+5"),
    ROW("+\r\n", "+3"),
    ROW("-ERR no\r\n", "-9"),
    ROW(",1.5\r\n,inf\r\n,nan\r\n,-1e-7\r\n", ",6 ,6 ,6 ,8"),
    ROW("(3492890328409238509324850943850943825024385\r\n", "(46"),
    ROW("+a\rb\nc\r\r\n", "+9"),
    ROW("+\r\r\r\n+\n\r\n", "+5 +4"),
    ROW("+OK\r\n+PONG\r\n", "+5 +7"),
    ROW("+OK", "more"),
    ROW("+OK\r", "more"),
    ROW("+OK\r\n-", "+5 more"),

    /* short lines, of which nothing is used before all is there */
    ROW(":0\r\n:-1\r\n:+1\r\n:-9223372036854775808\r\n", ":4 :5 :5 :23"),
    ROW(":1", "more"),
    ROW(":\r\n", "broken"),
    ROW(":-\r\n", "broken"),
    ROW(":1x\r\n", "broken"),
    ROW(":1\rx", "broken"),
    ROW(":1\n", "broken"),
    ROW(":--1\r\n", "broken"),
    ROW(":00000000000000000000000000001\r\n", "broken"),
    ROW("#t\r\n#f\r\n", "#4 #4"),
    ROW("#\r\n", "broken"),
    ROW("#x\r\n", "broken"),
    ROW("#tf\r\n", "broken"),
    ROW("_\r\n", "_3"),
    ROW("_x\r\n", "broken"),

    /* bulks */
    ROW("$5\r\nhello\r\n", "$11"),
    ROW("$0\r\n\r\n", "$6"),
    ROW("$2\r\n\r\n\r\n", "$8"),
    ROW("$-1\r\n", "$5"),
    ROW("$5\r\nhello\r\n$-1\r\n$1\r\na\r\n", "$11 $5 $7"),
    ROW("=7\r\ntxt:yes\r\n", "=13"),
    ROW("!5\r\nERR x\r\n", "!11"),
    ROW("$5\r\nhel", "more"),
    ROW("$5\r\nhello\r", "more"),
    ROW("$5\r\nhello+OK\r\n", "broken"),
    ROW("$5\r\nhello\r+OK\r\n", "broken"),
    ROW("$4\r\nhello\r\n", "broken"),

    /* lengths */
    ROW("$\r\n", "broken"),
    ROW("$-\r\n", "broken"),
    ROW("$-2\r\n", "broken"),
    ROW("$-0\r\n", "broken"),
    ROW("$-1x", "broken"),
    ROW("$-1\rx", "broken"),
    ROW("$+1\r\n", "broken"),
    ROW("$01\r\n", "broken"),
    ROW("$00\r\n", "broken"),
    ROW("$01", "broken"),
    ROW("$ 1\r\n", "broken"),
    ROW("$1 \r\n", "broken"),
    ROW("$1\n", "broken"),
    ROW("$1\rx", "broken"),
    ROW("$1\0\r\n", "broken"),
    ROW("$x\r\n", "broken"),
    ROW("$999999999999999999\r\n", "more"),
    ROW("$1000000000000000000\r\n", "broken"),
    ROW("$18446744073709551617\r\na\r\n", "broken"),
    ROW("!-1\r\n", "broken"),
    ROW("=-1\r\n", "broken"),
    ROW("$?\r\n", "broken"),
    ROW("*?\r\n", "broken"),

    /* aggregates */
    ROW("*2\r\n:1\r\n$1\r\na\r\n", "*15"),
    ROW("*0\r\n*-1\r\n%0\r\n~0\r\n>0\r\n", "*4 *5 %4 ~4 >4"),
    ROW("*3\r\n*1\r\n:1\r\n*0\r\n*-1\r\n+x\r\n", "*21 +4"),
    ROW("*2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:3\r\n*1\r\n$-1\r\n:5\r\n", "*33 :4"),
    ROW("%2\r\n+a\r\n:1\r\n+b\r\n*2\r\n:1\r\n:2\r\n", "%28"),
    ROW("~2\r\n+a\r\n+b\r\n", "~12"),
    ROW(">3\r\n+message\r\n+c\r\n+m\r\n+OK\r\n", ">22 +5"),
    ROW("*1\r\n", "more"),
    ROW("*2\r\n:1\r\n", "more"),
    ROW("*2147483647\r\n", "more"),
    ROW("*2147483648\r\n", "broken"),
    ROW("%1073741823\r\n", "more"),
    ROW("%1073741824\r\n", "broken"),
    ROW("%-1\r\n", "broken"),
    ROW(">-1\r\n", "broken"),
    ROW("*1\r\n?", "broken"),

    /* attributes belong to what follows, and kind is its */
    ROW("|1\r\n+a\r\n:1\r\n+OK\r\n", "+17"),
    ROW("|1\r\n+a\r\n:1\r\n", "more"),
    ROW("|0\r\n:1\r\n", ":8"),
    ROW("|1\r\n+a\r\n*2\r\n:1\r\n:2\r\n$1\r\nx\r\n:9\r\n", "$27 :4"),
    ROW("|1\r\n+a\r\n:1\r\n%1\r\n+b\r\n:2\r\n:9\r\n", "%24 :4"),
    ROW("|0\r\n|0\r\n~1\r\n:1\r\n", "~16"),
    ROW("*2\r\n|1\r\n+a\r\n:1\r\n:1\r\n:2\r\n:9\r\n", "*24 :4"),
    ROW("*1\r\n|0\r\n:1\r\n:9\r\n", "*12 :4"),
    ROW("|1\r\n|0\r\n+a\r\n:1\r\n_\r\n:9\r\n", "_19 :4"),
    ROW("|-1\r\n", "broken"),

    /* a push between the elements of a reply, as Redis 7.0.15 says it for SUBSCRIBE x, MULTI,
     * PUBLISH x hi, GET k, EXEC; and at the end of what only seems to end there */
    ROW("*2\r\n>3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n:1\r\n_\r\n", "*43"),
    ROW("*1\r\n>0\r\n:1\r\n:9\r\n", "*12 :4"),
    ROW("*1\r\n:1\r\n>0\r\n", "*8 >4"),
    ROW("|0\r\n>1\r\n:1\r\n%0\r\n", "%16"),

    /* none of this is RESP */
    ROW("HTTP/1.1 400 Bad Request\r\n", "broken"),
    ROW("\r\n", "broken"),
    ROW("\0", "broken"),
    ROW("\xff", "broken"),
    ROW(";4\r\nHell\r\n", "broken"),
    ROW(".\r\n", "broken"),
    ROW("+OK\r\n\r\n", "+5 broken"),
    ROW("", ""),
};

/* ---- what is read, in words -------------------------------------------------------------- */

struct reading {
    struct resp resp;
    struct bytes told;
    size_t length; /* of the value so far */
    bool is_broken;
};

/* Memory of its own, so that the sanitizer sees a byte read too far. Returns what was used. */
static size_t show(struct reading *reading, const uint8_t *at, size_t length)
{
    uint8_t *copy = malloc(length ? length : 1);
    enum resp_found found;
    size_t used;

    memcpy(copy, at, length);
    found = resp_read(&reading->resp, (struct slice){copy, length}, &used);
    free(copy);
    cr_assert_leq(used, length);
    cr_assert_lt(found == RESP_MORE ? length - used : 0, RESP_HEAD_MOST);
    reading->is_broken = found == RESP_BROKEN;
    reading->length += used;
    if (found != RESP_WHOLE)
        return used;
    cr_assert(resp_is_between(&reading->resp));
    bytes_print(&reading->told, "%s%c%zu", reading->told.length ? " " : "", reading->resp.kind,
                reading->length);
    reading->length = 0;
    return used;
}

/* The first piece, then pieces of so many bytes, each behind what was not used of the last. */
static void reads(const struct row *row, size_t first, size_t piece)
{
    struct reading reading = {0};
    size_t begin = 0, end = first;
    struct slice said = row->said;

    for (;;) {
        size_t used = show(&reading, said.at + begin, end - begin);

        begin += used;
        if (reading.is_broken)
            break;
        if (used > 0)
            continue;
        if (end == said.length)
            break;
        end = end + piece < said.length ? end + piece : said.length;
    }
    if (reading.is_broken || begin < end || !resp_is_between(&reading.resp))
        bytes_print(&reading.told, "%s%s", reading.told.length ? " " : "",
                    reading.is_broken ? "broken" : "more");
    bytes_add(&reading.told, "", 1);
    cr_assert_str_eq((char *)reading.told.at, row->read, "%.*s, first %zu, then %zu: \"%s\"",
                     (int)said.length, (const char *)said.at, first, piece,
                     (char *)reading.told.at);
    bytes_free(&reading.told);
}

Test(resp, every_value_is_found_however_it_is_cut)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t first = 0; first <= rows[i].said.length; first++)
            reads(&rows[i], first, rows[i].said.length + 1);
        reads(&rows[i], 0, 1);
    }
}

/* ---- what does not fit a row ------------------------------------------------------------- */

static enum resp_found found_in(struct resp *resp, struct slice in, size_t expected)
{
    size_t used;
    enum resp_found found = resp_read(resp, in, &used);

    cr_assert_eq(used, expected, "%zu, not %zu", used, expected);
    return found;
}

Test(resp, what_comes_of_a_long_bulk_or_line_is_used_at_once)
{
    struct resp resp = {0};

    cr_assert_eq(found_in(&resp, SLICE("$1073741824\r\nabc"), 16), RESP_MORE);
    cr_assert_eq(resp.kind, '$');
    cr_assert_not(resp_is_between(&resp));
    resp = (struct resp){0};
    cr_assert_eq(found_in(&resp, SLICE("-ERR very"), 9), RESP_MORE);
    cr_assert_eq(found_in(&resp, SLICE(" long"), 5), RESP_MORE);
    cr_assert_eq(found_in(&resp, SLICE("\r\n+"), 2), RESP_WHOLE);
    cr_assert_eq(resp.kind, '-');
}

Test(resp, half_a_head_is_left_for_later)
{
    struct resp resp = {0};

    cr_assert_eq(found_in(&resp, SLICE("$1"), 0), RESP_MORE);
    cr_assert(resp_is_between(&resp));
    cr_assert_eq(found_in(&resp, SLICE("$1\r"), 0), RESP_MORE);
    cr_assert_eq(found_in(&resp, SLICE("*2\r\n:1\r\n:"), 8), RESP_MORE);
    cr_assert_not(resp_is_between(&resp));
    cr_assert_eq(found_in(&resp, SLICE(":1\r\n"), 4), RESP_WHOLE);
}

Test(resp, a_value_is_not_read_beyond_its_end)
{
    struct resp resp = {0};

    cr_assert_eq(found_in(&resp, SLICE("+OK\r\n?"), 5), RESP_WHOLE);
    cr_assert_eq(found_in(&resp, SLICE("$1\r\na\r\n?"), 7), RESP_WHOLE);
    cr_assert_eq(found_in(&resp, SLICE("*1\r\n:1\r\n?"), 8), RESP_WHOLE);
}

Test(resp, nothing_means_nothing)
{
    struct resp resp = {0};

    cr_assert_eq(found_in(&resp, (struct slice){NULL, 0}, 0), RESP_MORE);
    cr_assert(resp_is_between(&resp));
}

Test(resp, what_is_broken_stays_broken)
{
    struct resp resp = {0};

    cr_assert_eq(found_in(&resp, SLICE("?"), 0), RESP_BROKEN);
    cr_assert_eq(found_in(&resp, SLICE("+OK\r\n"), 0), RESP_BROKEN);
    cr_assert_eq(found_in(&resp, SLICE(""), 0), RESP_BROKEN);
    cr_assert_not(resp_is_between(&resp));
}

/* Two elements in each, the first being the next: nothing can be closed on the way down. */
Test(resp, nesting_has_an_end)
{
    struct resp resp = {0};

    for (size_t i = 0; i < RESP_MOST_DEPTH; i++)
        cr_assert_eq(found_in(&resp, SLICE("*2\r\n"), 4), RESP_MORE);
    for (size_t i = 0; i < RESP_MOST_DEPTH; i++)
        cr_assert_eq(found_in(&resp, SLICE(":1\r\n"), 4), RESP_MORE);
    cr_assert_eq(found_in(&resp, SLICE(":1\r\n"), 4), RESP_WHOLE);

    for (size_t i = 0; i < RESP_MOST_DEPTH; i++)
        cr_assert_eq(found_in(&resp, SLICE("*2\r\n"), 4), RESP_MORE);
    cr_assert_eq(found_in(&resp, SLICE("*2\r\n"), 4), RESP_BROKEN);
}

Test(resp, last_elements_take_no_room)
{
    struct resp resp = {0};

    for (size_t i = 0; i < 3 * RESP_MOST_DEPTH; i++)
        cr_assert_eq(found_in(&resp, SLICE("*1\r\n"), 4), RESP_MORE);
    cr_assert_eq(found_in(&resp, SLICE("+OK\r\n"), 5), RESP_WHOLE);
    cr_assert_eq(resp.kind, '*');
}

/* ---- what is said ------------------------------------------------------------------------ */

/* Compares what was built, and begins anew. */
static void said(const char *expected)
{
    cr_assert_not(out.failed);
    cr_assert_eq(out.length, strlen(expected), "%.*s", (int)out.length, (char *)out.at);
    cr_assert_arr_eq(out.at, expected, out.length);
    bytes_clear(&out);
}

Test(resp, lines_are_said)
{
    resp_add_simple(&out, "OK");
    said("+OK\r\n");
    resp_add_error(&out, "ERR", "no such thing");
    said("-ERR no such thing\r\n");
    resp_add_integer(&out, 0);
    resp_add_integer(&out, 1234567890);
    resp_add_integer(&out, INT64_MAX);
    resp_add_integer(&out, INT64_MIN);
    said(":0\r\n:1234567890\r\n:9223372036854775807\r\n:-9223372036854775808\r\n");
}

Test(resp, no_text_ends_its_line)
{
    resp_add_error(&out, "ERR", "a\r\n+OK\r\nb\n");
    said("-ERR a  +OK  b \r\n");
    resp_add_simple(&out, "\n");
    said("+ \r\n");
    resp_add_simple(&out, "");
    said("+\r\n");
}

Test(resp, a_request_is_an_array_of_bulks)
{
    resp_add_array(&out, 2);
    resp_add_bulk(&out, SLICE("GET"));
    resp_add_bulk(&out, SLICE(""));
    said("*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
    resp_add_bulk_head(&out, 100);
    said("$100\r\n");
}

Test(resp, each_version_has_its_own_words)
{
    resp_add_null(&out, 2);
    resp_add_map(&out, 7, 2);
    resp_add_push(&out, 3, 2);
    said("$-1\r\n*14\r\n*3\r\n");
    resp_add_null(&out, 3);
    resp_add_map(&out, 7, 3);
    resp_add_push(&out, 3, 3);
    said("_\r\n%7\r\n>3\r\n");
    resp_add_map(&out, UINT32_MAX, 2);
    said("*8589934590\r\n");
}
