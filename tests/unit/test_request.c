/* Each row is what a client sends, and the verdict in words: how long the request is, how many
 * arguments it has, and those shown. Every row is also shown cut at every byte, which must not
 * change a thing, and passed on in pieces. The errors are what Redis 7.0.15 was heard to say. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/redis/request.h"
#include "no_memory.h"

static struct bytes scratch, told, sent;

static void forget(void)
{
    bytes_free(&scratch);
    bytes_free(&told);
    bytes_free(&sent);
    clean_end();
}

TestSuite(request, .fini = forget);

struct row {
    struct slice sent;
    const char *verdict;
};

#define ROW(sent, verdict)                                                                         \
    {                                                                                              \
        {(const uint8_t *)(sent), sizeof(sent) - 1}, verdict                                       \
    }
#define COUNT    "broken: Protocol error: invalid multibulk length"
#define LENGTH   "broken: Protocol error: invalid bulk length"
#define EXPECTED "broken: Protocol error: expected '$', got "
#define QUOTES   "broken: Protocol error: unbalanced quotes in request"

static const struct row rows[] = {
    ROW("*1\r\n$4\r\nPING\r\n", "14 bytes, 1: PING"),
    ROW("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "20 bytes, 2: GET k"),
    ROW("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "26 bytes, 3: SET k "),
    ROW("*2\r\n$4\r\nECHO\r\n$10\r\n0123456789\r\n", "31 bytes, 2: ECHO 0123456789"),
    ROW("*1\r\n$4\r\n\r\n\r\n\r\n", "14 bytes, 1: \r\n\r\n"),
    ROW("*8\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh"
        "\r\n",
        "60 bytes, 8: a b c d e f g h"),
    ROW("*9\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh"
        "\r\n$1\r\ni\r\n",
        "67 bytes, 9: a b c d e f g h"),
    ROW("", "more"),
    ROW("*", "more"),
    ROW("*2147483647\r\n", "more"),
    ROW("*1\r\n$4\r\nPING\r", "more"),

    /* nothing is asked for */
    ROW("*0\r\n", "empty, 4 bytes"),
    ROW("*-1\r\n", "empty, 5 bytes"),
    ROW("*-9223372036854775808\r\n", "empty, 23 bytes"),
    ROW("\r\n", "empty, 2 bytes"),
    ROW("\n", "empty, 1 bytes"),
    ROW(" \t\v\f\r\r\n", "empty, 7 bytes"),

    /* how many arguments */
    ROW("*\r\n", COUNT),
    ROW("*abc\r\n", COUNT),
    ROW("*-\r\n", COUNT),
    ROW("*-0\r\n", COUNT),
    ROW("*00\r\n", COUNT),
    ROW("*01\r\n", COUNT),
    ROW("*+1\r\n", COUNT),
    ROW("* 1\r\n", COUNT),
    ROW("*1 \r\n", COUNT),
    ROW("*2147483648\r\n", COUNT),
    ROW("*9223372036854775808\r\n", COUNT),
    ROW("*99999999999999999999\r\n", COUNT),
    ROW("*-9223372036854775809\r\n", COUNT),
    ROW("*000000000000000000000000000000000000001\r\n", COUNT),

    /* how long they are */
    ROW("*1\r\n$\r\n", LENGTH),
    ROW("*1\r\n$-1\r\n", LENGTH),
    ROW("*1\r\n$abc\r\n", LENGTH),
    ROW("*1\r\n$04\r\n", LENGTH),
    ROW("*1\r\n$+4\r\n", LENGTH),
    ROW("*1\r\n$536870913\r\n", LENGTH),
    ROW("*1\r\n$99999999999999999999\r\n", LENGTH),
    ROW("*2\r\n$4\r\nPING\r\n$x\r\n", LENGTH),
    ROW("*1\r\n$536870912\r\n", "large, 1:"),

    /* what is no argument */
    ROW("*1\r\nPING\r\n", EXPECTED "'P'"),
    ROW("*1\r\n:1\r\n", EXPECTED "':'"),
    ROW("*1\r\n\r\n", EXPECTED "' '"),
    ROW("*1\r\n\n\r\n", EXPECTED "' '"),
    ROW("*1\r\n\xff\r\n", EXPECTED "'\xff'"),
    ROW("*1\r\n*1\r\n", EXPECTED "'*'"),
    ROW("*2\r\n$4\r\nPING\r\n*1\r\n", EXPECTED "'*'"),

    /* Redis reads these; what else one may find in them is not for a server to decide */
    ROW("*1\r\n$4\r\nPINGxx", LENGTH),
    ROW("*1\r\n$4\r\nPINGx", LENGTH),
    ROW("*1\r\n$4\r\nPING\rx", LENGTH),
    ROW("*1\r\n$4\r\nPINGx\n", LENGTH),
    ROW("*1\rx", COUNT),
    ROW("*1\r\n$4\rx", LENGTH),

    /* Redis never finds a CR behind a NUL, and waits */
    ROW("*1\0\r\n", "more"),
    ROW("*1\r\n\0\r\n", "more"),
    ROW("*1\r\n$4\0\r\nPING\r\n", "more"),

    /* inline */
    ROW("PING\r\n", "6 bytes, inline, 1: PING"),
    ROW("PING\n", "5 bytes, inline, 1: PING"),
    ROW("GET k\r\n", "7 bytes, inline, 2: GET k"),
    ROW("  GET \t k  \r\n", "13 bytes, inline, 2: GET k"),
    ROW("a b c d e f g h i j\n", "20 bytes, inline, 10: a b c d e f g h"),
    ROW("GET\rk\n", "6 bytes, inline, 2: GET k"),
    ROW("\vGET \"k\"\f\r\n", "11 bytes, inline, 2: GET k"),
    ROW("a\vb c\fd\n", "8 bytes, inline, 2: a\vb c\fd"),
    ROW("\xe2\x82\xac \xff\n", "6 bytes, inline, 2: \xe2\x82\xac \xff"),
    ROW("$4\r\n", "4 bytes, inline, 1: $4"),
    ROW("PING", "more"),
    ROW("PING\r", "more"),
    ROW("PI\0NG\r\n", "more"),

    /* quotes */
    ROW("SET \"\" ''\n", "10 bytes, inline, 3: SET  "),
    ROW("E \"a b\" 'c d'\n", "14 bytes, inline, 3: E a b c d"),
    ROW("\"\\n\\r\\t\\b\\a\"\n", "13 bytes, inline, 1: \n\r\t\b\a"),
    ROW("\"\\\\ \\\" \\q \\'\"\n", "14 bytes, inline, 1: \\ \" q '"),
    ROW("\"\\x41\\x7e\\xFf\\xfF\"\n", "19 bytes, inline, 1: A~\xff\xff"),
    ROW("\"\\x4g\\x\\xg4\"\n", "13 bytes, inline, 1: x4gxxg4"),
    ROW("'a\\'b' '\\n\\x41\\\\ '\n", "19 bytes, inline, 2: a'b \\n\\x41\\\\ "),
    ROW("a\"b c\" d'e f'\n", "14 bytes, inline, 2: ab c de f"),
    ROW("\"a'b\" 'a\"b'\n", "12 bytes, inline, 2: a'b a\"b"),
    ROW("a\\n\n", "4 bytes, inline, 1: a\\n"),
    ROW("\"abc\r\n", QUOTES),
    ROW("'abc\r\n", QUOTES),
    ROW("\"\r\n", QUOTES),
    ROW("\"abc\"d\r\n", QUOTES),
    ROW("'abc'd\r\n", QUOTES),
    ROW("'abc'\"d\"\r\n", QUOTES),
    ROW("\"abc\\\"\r\n", QUOTES),
    ROW("\"abc\\\r\n", QUOTES),
    ROW("'abc\\'\r\n", QUOTES),
    ROW("'a\\\\'\n", QUOTES),
    ROW("a b \"c\n", QUOTES),
};

/* ---- a verdict in words ------------------------------------------------------------------ */

static void tell_args(const struct request *request)
{
    bytes_print(&told, "%u:", request->count);
    cr_assert_leq(request->shown, request->count);
    for (uint32_t i = 0; i < request->shown; i++) {
        bytes_add(&told, " ", 1);
        bytes_add(&told, request->args[i].at, request->args[i].length);
    }
}

static enum request_found tell(struct slice in, bool is_authenticated)
{
    struct request request;
    enum request_found found = request_read(&request, in, is_authenticated, &scratch);

    bytes_clear(&told);
    switch (found) {
    case REQUEST_MORE:
        bytes_print(&told, "more");
        break;
    case REQUEST_WHOLE:
        bytes_print(&told, "%zu bytes, %s", request.length, request.is_inline ? "inline, " : "");
        tell_args(&request);
        break;
    case REQUEST_EMPTY:
        bytes_print(&told, "empty, %zu bytes", request.length);
        break;
    case REQUEST_LARGE:
        bytes_print(&told, "large, ");
        tell_args(&request);
        break;
    case REQUEST_BROKEN:
        bytes_print(&told, "broken: %s", request.error);
        break;
    }
    bytes_add(&told, "", 1);
    return found;
}

/* Memory of its own for each length, so that the sanitizer sees a byte read too far. */
static enum request_found verdict_on(struct slice in, bool is_authenticated)
{
    uint8_t *copy = malloc(in.length ? in.length : 1);
    enum request_found found;

    memcpy(copy, in.at, in.length);
    found = tell((struct slice){copy, in.length}, is_authenticated);
    free(copy);
    return found;
}

static void says(struct slice in, bool is_authenticated, const char *expected)
{
    (void)verdict_on(in, is_authenticated);
    cr_assert_str_eq((char *)told.at, expected, "%.*s: \"%s\"",
                     in.length < 100 ? (int)in.length : 100, (const char *)in.at, (char *)told.at);
}

Test(request, every_request_has_its_verdict)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        says(rows[i].sent, true, rows[i].verdict);
}

/* More comes, or what will be said in the end is said at once. */
Test(request, half_a_request_is_waited_for)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t length = 0; length < rows[i].sent.length; length++) {
            struct slice part = {rows[i].sent.at, length};

            if (verdict_on(part, true) != REQUEST_MORE)
                cr_assert_str_eq((char *)told.at, rows[i].verdict);
        }
    }
}

Test(request, a_whole_one_is_not_seen_early)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct slice part = {rows[i].sent.at, rows[i].sent.length - 1};

        if (strstr(rows[i].verdict, "bytes") != NULL)
            cr_assert_eq(verdict_on(part, true), REQUEST_MORE, "%s", rows[i].verdict);
    }
}

static void send(const void *at, size_t length)
{
    bytes_add(&sent, at, length);
    cr_assert_not(sent.failed);
}

static void send_text(const char *text)
{
    send(text, strlen(text));
}

static void send_many(size_t count, char byte)
{
    uint8_t *to = bytes_extend(&sent, count);

    cr_assert_not_null(to);
    memset(to, byte, count);
}

static struct slice all_sent(void)
{
    return (struct slice){sent.at, sent.length};
}

Test(request, what_follows_changes_nothing)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (strcmp(rows[i].verdict, "more") == 0)
            continue;
        bytes_clear(&sent);
        send(rows[i].sent.at, rows[i].sent.length);
        send_text("*1\r\n\"\r\n\r\n");
        says(all_sent(), true, rows[i].verdict);
    }
}

/* ---- inline requests become multibulks --------------------------------------------------- */

static void becomes(const char *line, const char *multibulk)
{
    struct slice in = {(const uint8_t *)line, strlen(line)};
    struct request request;

    cr_assert_eq(request_read(&request, in, true, &scratch), REQUEST_WHOLE);
    cr_assert(request.is_inline);
    cr_assert_eq(scratch.length, strlen(multibulk));
    cr_assert_arr_eq(scratch.at, multibulk, scratch.length);
}

Test(request, an_inline_one_is_sent_as_a_multibulk)
{
    becomes("PING\r\n", "*1\r\n$4\r\nPING\r\n");
    becomes("SET k \"a\\r\\n\" ''\n", "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\na\r\n\r\n$0\r\n\r\n");
    becomes("a b c d e f g h i j\n",
            "*10\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n"
            "$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n");
}

/* The buffer moves while it grows. */
Test(request, args_of_a_long_line_stand_where_they_are_said_to)
{
    send_text("SET ");
    send_many(60000, 'k');
    send_text(" ");
    send_many(5000, 'v');
    send_text("\r\n");
    cr_assert_eq(verdict_on(all_sent(), true), REQUEST_WHOLE);
    cr_assert_eq(memcmp(told.at, "65007 bytes, inline, 3: SET kkk", 31), 0);
    cr_assert_eq(memcmp(told.at + told.length - 4, "vvv", 4), 0);
}

Test(request, scratch_is_left_alone_by_what_is_not_inline)
{
    bytes_add(&scratch, "abc", 3);
    says(SLICE("*1\r\n$4\r\nPING\r\n"), true, "14 bytes, 1: PING");
    says(SLICE("\r\n"), true, "empty, 2 bytes");
    cr_assert_eq(scratch.length, 3);
}

/* ---- limits ------------------------------------------------------------------------------ */

static void starts_with(const char *begin)
{
    bytes_clear(&sent);
    send_text(begin);
}

Test(request, a_line_has_an_end)
{
    starts_with("");
    send_many(REQUEST_MOST_LINE - 1, 'x');
    says(all_sent(), true, "more");
    send_text("\n");
    cr_assert_eq(verdict_on(all_sent(), true), REQUEST_WHOLE);
    sent.at[sent.length - 1] = 'x';
    says(all_sent(), true, "broken: Protocol error: too big inline request");
    send_text("\n");
    says(all_sent(), true, "broken: Protocol error: too big inline request");
}

static void has_an_end(const char *begin, size_t line, const char *verdict)
{
    starts_with(begin);
    send_many(line - 1, '$');
    says(all_sent(), true, "more");
    sent.at[sent.length - 1] = '\r';
    says(all_sent(), true, "more");
    sent.at[sent.length - 1] = '$';
    send_text("$");
    says(all_sent(), true, verdict);
    send_text("\r\n");
    says(all_sent(), true, verdict);
}

Test(request, so_has_a_line_with_a_length)
{
    has_an_end("*", REQUEST_MOST_HEAD - 1, "broken: Protocol error: too big mbulk count string");
    has_an_end("*1\r\n", REQUEST_MOST_HEAD, "broken: Protocol error: too big bulk count string");
    has_an_end("*2\r\n$4\r\nPING\r\n", REQUEST_MOST_HEAD,
               "broken: Protocol error: too big bulk count string");
}

/* The last byte that may be needed to decide: the LF behind the longest line with a length, behind
 * the longest argument that can be shown. */
Test(request, no_more_is_needed_than_a_stream_keeps)
{
    size_t longest = REQUEST_WHOLE_BELOW - 1 - (sizeof("*2\r\n$32750\r\n\r\n") - 1);

    bytes_print(&sent, "*2\r\n$%zu\r\n", longest);
    send_many(longest, 'x');
    send_text("\r\n");
    send_many(REQUEST_MOST_HEAD - 1, '1');
    sent.at[REQUEST_WHOLE_BELOW - 1] = '$';
    send_text("\r");
    cr_assert_eq(sent.length, REQUEST_SHOW_MOST - 1);
    says(all_sent(), true, "more");
    send_text("\n");
    says(all_sent(), true, LENGTH);
}

Test(request, nor_does_a_nul_make_it_endless)
{
    send("\0\n", 2);
    send_many(REQUEST_MOST_LINE - 3, 'x');
    says(all_sent(), true, "more");
    send_text("x");
    says(all_sent(), true, "broken: Protocol error: too big inline request");
    bytes_clear(&sent);
    send("*\0\r\n", 4);
    send_many(REQUEST_MOST_HEAD - 4, 'x');
    says(all_sent(), true, "broken: Protocol error: too big mbulk count string");
}

Test(request, who_has_not_logged_in_may_send_little)
{
    says(SLICE("*10\r\n"), false, "more");
    says(SLICE("*11\r\n"), false, "broken: Protocol error: unauthenticated multibulk length");
    says(SLICE("*2147483647\r\n"), false,
         "broken: Protocol error: unauthenticated multibulk length");
    says(SLICE("*2147483648\r\n"), false, COUNT);
    says(SLICE("*1\r\n$16384\r\n"), false, "more");
    says(SLICE("*1\r\n$16385\r\n"), false, "broken: Protocol error: unauthenticated bulk length");
    says(SLICE("*1\r\n$536870913\r\n"), false, LENGTH);
}

Test(request, half_a_buffer_is_the_longest_that_is_shown_whole)
{
    enum { HEADS = sizeof("*2\r\n$4\r\nECHO\r\n$32739\r\n") - 1 };
    size_t longest = REQUEST_WHOLE_BELOW - 1 - HEADS - 2;

    bytes_print(&sent, "*2\r\n$4\r\nECHO\r\n$%zu\r\n", longest);
    says(all_sent(), true, "more");
    send_many(longest, 'x');
    says(all_sent(), true, "more");
    send_text("\r\n");
    cr_assert_eq(verdict_on(all_sent(), true), REQUEST_WHOLE);
    cr_assert_eq(memcmp(told.at, "32767 bytes, 2: ECHO xxx", 24), 0);

    bytes_clear(&sent);
    bytes_print(&sent, "*2\r\n$4\r\nECHO\r\n$%zu\r\n", longest + 1);
    says(all_sent(), true, "large, 2: ECHO");
    send_many(longest + 1, 'x');
    send_text("\r\n");
    says(all_sent(), true, "large, 2: ECHO");
}

/* It is known at once, but told when there is as much to decide by as there will ever be. */
Test(request, one_of_many_arguments_is_large_when_eight_are_seen)
{
    says(SLICE("*100000\r\n$4\r\nMGET\r\n"), true, "more");
    send_text("*100000\r\n$4\r\nMGET\r\n");
    for (size_t i = 0; i < 6; i++)
        send_text("$1\r\na\r\n");
    says(all_sent(), true, "more");
    send_text("$1\r\na\r\n");
    says(all_sent(), true, "large, 100000: MGET a a a a a a a");
    starts_with("*3\r\n$4\r\nMSET\r\n$40000\r\n");
    says(all_sent(), true, "large, 3: MSET");
}

/* The shortest argument takes six bytes: *5460 may end below the limit, *5461 cannot. */
Test(request, as_many_arguments_as_can_be_whole_are_waited_for)
{
    send_text("*5461\r\n");
    for (size_t i = 0; i < 8; i++)
        send_text("$0\r\n\r\n");
    says(all_sent(), true, "large, 5461:        ");
    sent.at[4] = '0';
    says(all_sent(), true, "more");
    for (size_t i = 8; i < 5460; i++)
        send_text("$0\r\n\r\n");
    says(all_sent(), true, "32767 bytes, 5460:        ");
}

Test(request, without_memory_an_inline_one_is_refused)
{
    struct request request;

    no_memory_after(0);
    cr_assert_eq(request_read(&request, SLICE("PING\r\n"), true, &scratch), REQUEST_BROKEN);
    no_memory_after(NO_MEMORY_NEVER);
    cr_assert_str_eq(request.error, "out of memory");
    cr_assert_eq(request_read(&request, SLICE("PING\r\n"), true, &scratch), REQUEST_WHOLE);
}

/* ---- passing on -------------------------------------------------------------------------- */

/* Shows in by so many bytes, each piece behind what was not used of the last; tells how long the
 * request was. */
static enum request_found pass_by(struct request_pass *pass, struct slice in, size_t piece,
                                  size_t *length)
{
    enum request_found found = REQUEST_MORE;
    size_t end = 0, used;

    *length = 0;
    while (found == REQUEST_MORE && end < in.length) {
        uint8_t *copy;

        end = end + piece < in.length ? end + piece : in.length;
        copy = malloc(end - *length);
        memcpy(copy, in.at + *length, end - *length);
        found = request_pass(pass, (struct slice){copy, end - *length}, &used);
        free(copy);
        cr_assert_leq(used, end - *length);
        *length += used;
    }
    return found;
}

static void passes(const struct row *row, size_t piece)
{
    struct request_pass pass = {0};
    size_t length;
    enum request_found found = pass_by(&pass, row->sent, piece, &length);

    if (strncmp(row->verdict, "broken: ", 8) == 0) {
        cr_assert_eq(found, REQUEST_BROKEN, "%s", row->verdict);
        cr_assert_str_eq(pass.error, row->verdict + 8);
    } else if (strncmp(row->verdict, "empty", 5) == 0) {
        cr_assert_eq(found, REQUEST_EMPTY);
        cr_assert_eq(length, row->sent.length);
    } else if (strcmp(row->verdict, "more") == 0 || strncmp(row->verdict, "large", 5) == 0) {
        cr_assert_eq(found, REQUEST_MORE);
    } else {
        cr_assert_eq(found, REQUEST_WHOLE, "%s", row->verdict);
        cr_assert_eq(length, row->sent.length);
    }
}

Test(request, one_that_is_passed_on_in_pieces_ends_at_the_same_byte)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].sent.length == 0 || rows[i].sent.at[0] != '*')
            continue;
        for (size_t piece = 1; piece <= rows[i].sent.length; piece++)
            passes(&rows[i], piece);
    }
}

Test(request, a_large_one_passes_and_the_next_one_is_left)
{
    struct request_pass pass = {0};
    size_t length, whole;

    send_text("*2\r\n$4\r\nECHO\r\n$100000\r\n");
    send_many(100000, 'x');
    send_text("\r\n");
    whole = sent.length;
    send_text("*1\r\n");
    cr_assert_eq(verdict_on(all_sent(), true), REQUEST_LARGE);
    for (size_t piece = 1; piece < 70000; piece = piece * 3 + 1) {
        cr_assert_eq(pass_by(&pass, all_sent(), piece, &length), REQUEST_WHOLE);
        cr_assert_eq(length, whole);
        cr_assert_eq(pass.count, 0); /* it may begin again */
        cr_assert_eq(pass.left, 0);
    }
}

Test(request, an_argument_that_passes_is_used_as_it_comes)
{
    struct request_pass pass = {0};
    size_t used;

    cr_assert_eq(request_pass(&pass, SLICE("*2\r\n$100000\r\nabc"), &used), REQUEST_MORE);
    cr_assert_eq(used, 16);
    cr_assert_eq(request_pass(&pass, SLICE("d"), &used), REQUEST_MORE);
    cr_assert_eq(used, 1);
    cr_assert_eq(request_pass(&pass, (struct slice){NULL, 0}, &used), REQUEST_MORE);
    cr_assert_eq(used, 0);
}

Test(request, passing_on_allows_no_more_than_reading)
{
    struct request_pass pass = {.is_unauthenticated = true};
    size_t used;

    cr_assert_eq(request_pass(&pass, SLICE("*11\r\n"), &used), REQUEST_BROKEN);
    pass = (struct request_pass){.is_unauthenticated = true};
    cr_assert_eq(request_pass(&pass, SLICE("*1\r\n$16385\r\n"), &used), REQUEST_BROKEN);
    cr_assert_str_eq(pass.error, "Protocol error: unauthenticated bulk length");
}
