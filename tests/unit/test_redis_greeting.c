/* What is said to a Redis is told with | for CR LF; its answers are written that way, too. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/redis/greeting.h"
#include "no_memory.h"

/* ---- the words the stories are told in --------------------------------------------------- */

#define HELLO_2                                                                                    \
    "*14|$6|server|$5|redis|$7|version|$6|7.0.15|$5|proto|:2|$2|id|:9|$4|mode|$10|standalone|"     \
    "$4|role|$6|master|$7|modules|*0|"
#define HELLO_3                                                                                    \
    "%7|$6|server|$5|redis|$7|version|$6|7.0.15|$5|proto|:3|$2|id|:9|$4|mode|$10|standalone|"      \
    "$4|role|$6|master|$7|modules|*1|%2|$4|name|$7|version|$3|ver|:9|"

static struct greeting greeting;
static struct bytes said;

static void clean_up(void)
{
    greeting_fini(&greeting);
    bytes_free(&said);
    clean_end();
}

TestSuite(redis_greeting, .fini = clean_up);

static struct bytes with_line_ends(const char *text)
{
    struct bytes bytes = {0};

    for (; *text != '\0'; text++)
        bytes_add(&bytes, *text == '|' ? "\r\n" : text, *text == '|' ? 2 : 1);
    return bytes;
}

static void given(const struct greeting_wishes *wishes)
{
    clean_up();
    said = (struct bytes){0};
    greeting_init(&greeting, wishes, &said);
    cr_assert_not(said.failed);
}

static void is_said(const char *text)
{
    struct bytes expected = with_line_ends(text);

    cr_assert_eq(said.length, expected.length, "%.*s", (int)said.length, (char *)said.at);
    cr_assert_eq(memcmp(said.at, expected.at, said.length), 0, "%.*s", (int)said.length,
                 (char *)said.at);
    bytes_free(&expected);
}

/* In pieces of so many bytes; what comes behind a verdict is not shown. */
static enum greeting_found hears_in_pieces(const char *text, size_t size)
{
    struct bytes bytes = with_line_ends(text);
    enum greeting_found found = GREETING_MORE;

    for (size_t at = 0; at < bytes.length && found == GREETING_MORE; at += size) {
        size_t now = bytes.length - at < size ? bytes.length - at : size;
        uint8_t *piece = malloc(now); /* so that a byte read behind it is noticed */

        memcpy(piece, bytes.at + at, now);
        found = greeting_read(&greeting, (struct slice){piece, now});
        free(piece);
    }
    bytes_free(&bytes);
    return found;
}

static enum greeting_found hears(const char *text)
{
    return hears_in_pieces(text, SIZE_MAX);
}

#define WORD(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const struct greeting_wishes nothing = {.protocol = 2}, resp3 = {.protocol = 3};
static const struct greeting_wishes all = {.user = WORD("ana"),
                                           .password = WORD("pw"),
                                           .client_name = WORD("weir"),
                                           .database = 12,
                                           .protocol = 3};

static void is_refused(const struct greeting_wishes *wishes, const char *answers, enum err e,
                       const char *asked, const char *reply)
{
    given(wishes);
    cr_assert_eq(hears(answers), GREETING_REFUSED, "%s", answers);
    cr_assert_eq(greeting.err, e, "%s: %s", answers, err_text(greeting.err));
    cr_assert_str_eq(greeting.reply, reply);
    if (asked == NULL)
        cr_assert_null(greeting_asked(&greeting));
    else
        cr_assert_str_eq(greeting_asked(&greeting), asked);
}

/* ---- what is said ------------------------------------------------------------------------ */

Test(redis_greeting, says_no_more_than_is_wished)
{
    static const uint8_t binary[] = {'a', 0, '\r', '\n'};
    struct greeting_wishes password = {.password = SLICE("pw"), .protocol = 2};
    struct greeting_wishes empty = {
        .user = SLICE("ana"), .password = {(const uint8_t *)"", 0}, .protocol = 2};
    struct greeting_wishes odd = {.password = {binary, 4}, .protocol = 2};

    given(&nothing);
    is_said("*2|$5|HELLO|$1|2|");
    given(&resp3);
    is_said("*2|$5|HELLO|$1|3|");
    given(&password);
    is_said("*2|$4|AUTH|$2|pw|*2|$5|HELLO|$1|2|");
    given(&empty);
    is_said("*3|$4|AUTH|$3|ana|$0||*2|$5|HELLO|$1|2|");
    given(&odd);
    cr_assert_eq(memcmp(said.at, "*2\r\n$4\r\nAUTH\r\n$4\r\na\0\r\n\r\n", 24), 0);
}

Test(redis_greeting, says_all_in_the_order_that_redis_needs)
{
    given(&all);
    is_said("*3|$4|AUTH|$3|ana|$2|pw|*3|$6|CLIENT|$7|SETNAME|$4|weir|*2|$6|SELECT|$2|12|"
            "*2|$5|HELLO|$1|3|");
}

/* ---- welcome ----------------------------------------------------------------------------- */

Test(redis_greeting, is_welcome_when_all_is_answered)
{
    given(&nothing);
    cr_assert_eq(hears(HELLO_2), GREETING_WELCOME);
    cr_assert_eq(greeting.version, 0x07000f);
    given(&all);
    cr_assert_eq(hears("+OK|+OK|+OK|" HELLO_3), GREETING_WELCOME);
    cr_assert_eq(greeting.version, 0x07000f);
    cr_assert_null(greeting_asked(&greeting));
}

Test(redis_greeting, is_the_same_in_pieces_of_any_size)
{
    for (size_t size = 1; size < 250; size++) {
        given(&all);
        cr_assert_eq(hears_in_pieces("+OK|+OK|+OK|" HELLO_3, size), GREETING_WELCOME, "%zu", size);
        cr_assert_eq(greeting.version, 0x07000f);
        given(&all);
        cr_assert_eq(hears_in_pieces("+OK|-ERR no|-ERR DB index is out of range|", size),
                     GREETING_REFUSED);
        cr_assert_str_eq(greeting.reply, "ERR DB index is out of range");
    }
}

Test(redis_greeting, is_not_over_before_the_last_byte)
{
    struct bytes answers = with_line_ends("+OK|+OK|+OK|" HELLO_3);

    given(&all);
    for (size_t i = 0; i + 1 < answers.length; i++)
        cr_assert_eq(greeting_read(&greeting, (struct slice){answers.at + i, 1}), GREETING_MORE);
    bytes_free(&answers);
}

Test(redis_greeting, may_be_without_a_name_or_a_version)
{
    given(&all);
    cr_assert_eq(hears("+OK|-ERR Client names cannot contain spaces|+OK|" HELLO_3),
                 GREETING_WELCOME);
    given(&all);
    cr_assert_eq(hears("+OK|-NOPERM no permissions|+OK|" HELLO_3), GREETING_WELCOME);
    given(&nothing);
    cr_assert_eq(hears("-ERR unknown command `HELLO`, with args beginning with: `2`, |"),
                 GREETING_WELCOME);
    cr_assert_eq(greeting.version, 0);
    given(&nothing);
    cr_assert_eq(hears("-NOPERM this user has no permissions|"), GREETING_WELCOME);
}

Test(redis_greeting, understands_every_version)
{
    static const struct {
        const char *answer;
        unsigned version;
    } rows[] = {
        {"*2|$7|version|$5|6.0.0|", 0x060000},
        {"*2|$7|version|$7|255.2.3|", 0xff0203},
        {"*2|$7|version|$7|256.2.3|", 0xff0203},
        {"*2|$7|version|$3|8.1|", 0x080100},
        {"*2|$7|version|$8|8.1.2-rc|", 0x080102},
        {"*2|$7|version|$0||", 0},
        {"*2|$7|version|:8|", 0},
        {"*0|", 0},
        {"*2|$7|version|$21|99999999999999999.0.0|", 0xff0000},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        given(&nothing);
        cr_assert_eq(hears(rows[i].answer), GREETING_WELCOME, "%s", rows[i].answer);
        cr_assert_eq(greeting.version, rows[i].version, "%s: %x", rows[i].answer, greeting.version);
    }
}

/* ---- refused ----------------------------------------------------------------------------- */

Test(redis_greeting, is_refused_in_the_words_of_redis)
{
    static const char wrong[] = "WRONGPASS invalid username-password pair or user is disabled.";
    static const char noauth[] =
        "NOAUTH HELLO must be called with the client already authenticated";

    is_refused(&all, "-WRONGPASS invalid username-password pair or user is disabled.|",
               ERR_WRONG_PASSWORD, "AUTH", wrong);
    is_refused(&all, "-ERR invalid password|", ERR_WRONG_PASSWORD, "AUTH", "ERR invalid password");
    is_refused(&all, "+OK|-NOAUTH Authentication required.|", ERR_NO_ENTRY, "CLIENT SETNAME",
               "NOAUTH Authentication required.");
    is_refused(&all, "+OK|+OK|-ERR DB index is out of range|", ERR_NO_DATABASE, "SELECT",
               "ERR DB index is out of range");
    is_refused(&all, "+OK|+OK|-NOPERM no|", ERR_NO_ENTRY, "SELECT", "NOPERM no");
    is_refused(&nothing, "-NOAUTH HELLO must be called with the client already authenticated|",
               ERR_NO_ENTRY, "HELLO", noauth);
    is_refused(&resp3, "-ERR unknown command 'HELLO'|", ERR_NOT_SUPPORTED, "HELLO",
               "ERR unknown command 'HELLO'");
    is_refused(&resp3, "-NOPROTO unsupported protocol version|", ERR_NOT_SUPPORTED, "HELLO",
               "NOPROTO unsupported protocol version");
}

Test(redis_greeting, may_be_that_of_nobody_to_a_server_that_wants_a_password)
{
    static const char noauth[] = "-NOAUTH Authentication required.|";
    struct greeting_wishes nobody = {.client_name = WORD("weir"), .protocol = 2, .anonymous = true};

    given(&nobody);
    cr_assert_eq(hears("-NOAUTH Authentication required.|-NOAUTH HELLO must be called|"),
                 GREETING_WELCOME);
    cr_assert_eq(greeting.version, 0);
    is_refused(&nobody, "-DENIED Redis is running in protected mode|", ERR_NO_ENTRY,
               "CLIENT SETNAME", "DENIED Redis is running in protected mode");
    nobody.client_name.length = 0;
    nobody.protocol = 3;
    is_refused(&nobody, noauth, ERR_NO_ENTRY, "HELLO", "NOAUTH Authentication required.");
    nobody.database = 1;
    is_refused(&nobody, noauth, ERR_NO_ENTRY, "SELECT", "NOAUTH Authentication required.");
}

Test(redis_greeting, is_refused_by_a_server_that_takes_nobody_now)
{
    static const char loading[] = "LOADING Redis is loading the dataset in memory";
    static const char full[] = "ERR max number of clients reached";

    is_refused(&all, "-LOADING Redis is loading the dataset in memory|", ERR_BACKEND_DOWN, "AUTH",
               loading);
    is_refused(&all, "-ERR max number of clients reached|", ERR_BACKEND_DOWN, "AUTH", full);
    is_refused(&nothing, "-ERR max number of clients reached|", ERR_BACKEND_DOWN, "HELLO", full);
    is_refused(&nothing, "-DENIED Redis is running in protected mode|", ERR_NO_ENTRY, "HELLO",
               "DENIED Redis is running in protected mode");
    is_refused(&all, "+OK|-ERR max number of clients reached|", ERR_BACKEND_DOWN, "CLIENT SETNAME",
               full);
}

Test(redis_greeting, refuses_what_is_no_answer)
{
    static const char *const garbage[] = {
        "HTTP/1.1 400 Bad Request|",
        ":1|",
        "$2|OK|",
        "*0|",
        "_|",
        "|",
        "%0|",
        ">1|+a|",
        "$-1|",
        "*-1|",
        "|1|+a|+b|+OK|",
        "+OK|+OK|+OK|+OK|",
        "+OK|+OK|+OK|*0|",
        "+OK|+OK|+OK|$1|a|",
        "+OK|+OK|+OK|>1|+a|",
        "$99999999999999999999|",
    };

    for (size_t i = 0; i < COUNT_OF(garbage); i++)
        is_refused(&all, garbage[i], ERR_PROTOCOL, NULL, "");
    is_refused(&nothing, "+OK|", ERR_PROTOCOL, NULL, "");
    is_refused(&nothing, "%0|", ERR_PROTOCOL, NULL, "");
}

Test(redis_greeting, refuses_more_than_was_asked_for)
{
    is_refused(&nothing, HELLO_2 "+OK|", ERR_PROTOCOL, NULL, "");
    is_refused(&all, "+OK|+OK|+OK|" HELLO_3 ">", ERR_PROTOCOL, NULL, "");
    is_refused(&nothing, "-ERR unknown command|-ERR unknown command|", ERR_PROTOCOL, NULL, "");
}

Test(redis_greeting, refuses_an_answer_without_end)
{
    uint8_t piece[4096] = {0};
    enum greeting_found found;
    size_t heard = 0;

    given(&nothing);
    found = hears("*2|$7|version|$536870912|");
    for (; found == GREETING_MORE && heard < 1 << 20; heard += sizeof(piece))
        found = greeting_read(&greeting, (struct slice){piece, sizeof(piece)});
    cr_assert_eq(found, GREETING_REFUSED);
    cr_assert_eq(greeting.err, ERR_PROTOCOL);
    cr_assert_leq(heard, GREETING_MOST + sizeof(piece));
    cr_assert_leq(greeting.in.capacity, 2 * GREETING_MOST);
}

Test(redis_greeting, keeps_so_much_of_an_error_and_makes_it_printable)
{
    struct bytes error = {0};

    given(&all);
    bytes_print(&error, "-ERR a\tb %0*d", 2 * GREETING_REPLY, 7);
    bytes_add(&error, "\r\n", 2);
    cr_assert_eq(greeting_read(&greeting, (struct slice){error.at, error.length}),
                 GREETING_REFUSED);
    cr_assert_eq(strlen(greeting.reply), GREETING_REPLY - 1);
    cr_assert_eq(strncmp(greeting.reply, "ERR a b 000", 11), 0);
    bytes_free(&error);
}

Test(redis_greeting, that_is_cut_off_has_a_reason_if_the_last_word_was_one)
{
    given(&all);
    cr_assert_eq(hears("+OK|-ERR go away|"), GREETING_MORE);
    greeting_end(&greeting);
    cr_assert_eq(greeting.err, ERR_BACKEND_DOWN);
    cr_assert_str_eq(greeting.reply, "ERR go away");
    cr_assert_str_eq(greeting_asked(&greeting), "CLIENT SETNAME");

    given(&all);
    cr_assert_eq(hears("+OK|-ERR no such name|+OK|%7|$6|ser"), GREETING_MORE);
    greeting_end(&greeting);
    cr_assert_eq(greeting.err, ERR_BACKEND_LOST);
    cr_assert_null(greeting_asked(&greeting));
}

Test(redis_greeting, leaves_nothing_behind_when_memory_runs_out)
{
    bool done = false;

    for (long n = 0; !done; n++) {
        enum greeting_found found = GREETING_REFUSED;

        bytes_free(&said);
        greeting_fini(&greeting);
        no_memory_after(n);
        greeting_init(&greeting, &all, &said);
        if (!said.failed)
            found = greeting_read(&greeting, SLICE("+OK\r\n+OK\r\n+OK\r\n%0\r\n"));
        no_memory_after(NO_MEMORY_NEVER);
        done = found == GREETING_WELCOME;
        cr_assert(done || said.failed || greeting.err == ERR_NO_MEMORY);
    }
}
