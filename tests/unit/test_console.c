#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/postgres/console.h"

/* ---- the words --------------------------------------------------------------------------- */

static struct console *console;
static struct bytes in, out;
static enum console_verdict verdict;
static char done[256]; /* what the console was told to do */
static struct console_outcome next;

static void on_show(void *owner, enum console_show show, struct console_rows *rows)
{
    (void)owner;
    if (show == CONSOLE_SHOWS_VERSION) {
        console_rows_text(rows, "it");
    } else if (show == CONSOLE_SHOWS_LISTS) {
        for (int i = 0; i < 3; i++) {
            console_rows_text(rows, "l");
            console_rows_number(rows, (uint64_t)i);
        }
    }
}

static void on_act(void *owner, const struct console_command *command,
                   struct console_outcome *outcome)
{
    (void)owner;
    snprintf(done + strlen(done), sizeof(done) - strlen(done), "%s%s%s; ",
             console_command_name(command->verb), command->argument[0] ? " " : "",
             command->argument);
    *outcome = next;
}

static const struct console_events events = {on_show, on_act};

static void clean_up(void)
{
    console_destroy(console);
    bytes_free(&in);
    bytes_free(&out);
    clean_end();
}

TestSuite(console, .fini = clean_up);

static void given(bool is_admin)
{
    console = console_create(&events, NULL, is_admin);
    cr_assert_not_null(console);
}

static void say(uint8_t type, const void *body, size_t length)
{
    uint8_t head[5] = {type};

    bytes_put_u32(head + 1, (uint32_t)length + 4);
    bytes_add(&in, head, sizeof(head));
    bytes_add(&in, body, length);
}
#define SAY(type, body) say(type, body, sizeof(body) - 1)

static void query(const char *text)
{
    say(WIRE_QUERY, text, strlen(text) + 1);
}

static void parse(const char *name, const char *text)
{
    struct bytes body = {0};

    bytes_add(&body, name, strlen(name) + 1);
    bytes_add(&body, text, strlen(text) + 1);
    bytes_add(&body, "\0", 2);
    say(WIRE_PARSE, body.at, body.length);
    bytes_free(&body);
}

#define BIND    SAY(WIRE_BIND, "\0\0\0\0\0\0\0\0")
#define ROWS    SAY(WIRE_DESCRIBE, "P\0")
#define EXECUTE SAY(WIRE_EXECUTE, "\0\0\0\0\0")
#define SYNC    SAY(WIRE_SYNC, "")

/* A letter for each message, with an error's SQLSTATE and the text of a tag. */
static void describe(char *to, size_t size)
{
    struct slice rest = {out.at, out.length};
    struct wire_header header;

    for (to[0] = '\0'; rest.length > 0; rest.at += header.length, rest.length -= header.length) {
        struct slice body = {rest.at + 5, 0};
        size_t length = strlen(to);

        cr_assert_eq(wire_header(rest, &header), WIRE_MESSAGE);
        cr_assert_leq(header.length, rest.length);
        body.length = header.length - 5;
        if (header.type == WIRE_ERROR_RESPONSE)
            snprintf(to + length, size - length, "E%.5s ", wire_error_field(body, 'C').at);
        else if (header.type == WIRE_COMMAND_COMPLETE)
            snprintf(to + length, size - length, "C(%s) ", body.at);
        else
            snprintf(to + length, size - length, "%c ", header.type);
    }
    if (to[0] != '\0')
        to[strlen(to) - 1] = '\0';
}

/* All of what was said so far, in one piece or byte by byte. */
static void listen(bool in_pieces)
{
    size_t used = 0, seen = in_pieces ? 0 : in.length;

    bytes_clear(&out);
    do {
        seen += seen < in.length;
        do
            used +=
                console_bytes(console, (struct slice){in.at + used, seen - used}, &out, &verdict);
        while (verdict == CONSOLE_GOES_ON);
    } while (seen < in.length && verdict == CONSOLE_WANTS_MORE);
    cr_assert(verdict != CONSOLE_WANTS_MORE || used == in.length);
    cr_assert_not(out.failed);
}

static void answers(const char *expected)
{
    char told[400];

    listen(false);
    describe(told, sizeof(told));
    cr_assert_str_eq(told, expected, "\"%s\", not \"%s\"", told, expected);
    bytes_clear(&in);
}

static void error_is(const char *text, const char *message)
{
    struct slice body, field;

    query(text);
    listen(false);
    bytes_clear(&in);
    cr_assert_eq(out.at[0], WIRE_ERROR_RESPONSE);
    body = (struct slice){out.at + 5, out.length - 5};
    field = wire_error_field(body, 'M');
    cr_assert(field.length == strlen(message) && memcmp(field.at, message, field.length) == 0,
              "[%s] is answered \"%.*s\"", text, (int)field.length, (const char *)field.at);
}

/* ---- simple queries ---------------------------------------------------------------------- */

Test(console, a_table_is_shown)
{
    given(false);
    query("show version");
    answers("T D C(SHOW) Z");
    query("SHOW LISTS;");
    answers("T D D D C(SHOW) Z");
    query("select lists");
    answers("T D D D C(SHOW) Z");
    query("show peers");
    answers("T C(SHOW) Z");
    query("show help");
    answers("N C(SHOW) Z");
}

Test(console, what_is_no_command_is_an_error_and_nothing_else)
{
    given(true);
    error_is("", "invalid command '', use SHOW HELP;");
    error_is("select 1", "invalid command 'select 1', use SHOW HELP;");
    error_is("show version; show lists",
             "invalid command 'show version; show lists', use SHOW HELP;");
    error_is("show nothing", "invalid command 'show nothing', use SHOW HELP;");
    error_is("reload now", "invalid command 'reload now', use SHOW HELP;");
    error_is("shutdown later", "invalid command 'shutdown later', use SHOW HELP;");
    error_is("sixteen_letters_", "bad arguments");
    query("select 1");
    answers("E42601 Z");
    cr_assert_str_eq(done, "");
}

Test(console, a_long_text_is_not_thrown_back_in_whole_nor_cut_in_mid_character)
{
    char text[1000] = "select ", expected[300] = "";

    given(true);
    for (int i = 0; i < 400; i++)
        strcat(text, "\xc3\xa9");
    snprintf(expected, sizeof(expected), "invalid command '%.199s', use SHOW HELP;", text);
    error_is(text, expected);
}

Test(console, drivers_may_set_and_see_what_they_like_to)
{
    given(false);
    query("SET datestyle TO 'ISO'");
    answers("N C(SET) Z");
    query("show TimeZone");
    answers("T D C(SHOW) Z");
    cr_assert_str_eq(done, "");
}

/* ---- who may do what --------------------------------------------------------------------- */

static const char *const commands[] = {
    "reload",
    "reconnect",
    "reconnect main",
    "kill_client 1",
    "shutdown",
    "shutdown wait_for_servers",
    "shutdown WAIT_FOR_CLIENTS",
    "pause",
    "pause main",
    "resume",
    "kill",
    "kill main",
    "disable main",
    "enable main",
    "suspend",
    "wait_close",
    "set verbose = 1",
    "disable",
    "show fds",
};

Test(console, who_is_no_admin_changes_nothing)
{
    given(false);
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        error_is(commands[i], "admin access needed");
        query(commands[i]);
        answers("E42501 Z");
        parse("", commands[i]);
        BIND;
        EXECUTE;
        SYNC;
        answers("1 2 E42501 Z");
    }
    cr_assert_str_eq(done, "");
}

Test(console, an_admin_does_what_can_be_done)
{
    given(true);
    query("reload");
    answers("C(RELOAD) Z");
    query("reconnect main");
    answers("C(RECONNECT) Z");
    query("KILL_CLIENT 12;");
    answers("C(KILL_CLIENT) Z");
    query("shutdown wait_for_clients");
    answers("C(SHUTDOWN) Z");
    cr_assert_str_eq(done, "RELOAD; RECONNECT main; KILL_CLIENT 12; SHUTDOWN wait_for_clients; ");
    next = (struct console_outcome){.why = ERR_NO_DATABASE, .text = "no such database: x"};
    error_is("reconnect x", "no such database: x");
    next = (struct console_outcome){.notice = "by the way"};
    query("reload");
    answers("N C(RELOAD) Z");
}

Test(console, what_cannot_be_done_yet_is_said_and_not_done)
{
    static const char *const later[] = {
        "pause",      "pause main",      "resume",      "kill",
        "kill main",  "disable main",    "enable main", "suspend",
        "wait_close", "set verbose = 1", "show fds",
    };

    given(true);
    for (size_t i = 0; i < COUNT_OF(later); i++) {
        query(later[i]);
        answers("E0A000 Z");
    }
    error_is("pause", "PAUSE is not supported yet");
    error_is("set verbose = 1", "SET is not supported yet");
    error_is("show fds", "SHOW FDS is not supported yet");
    error_is("disable", "a database is required");
    cr_assert_str_eq(done, "");
}

/* ---- in parts ---------------------------------------------------------------------------- */

Test(console, a_table_is_shown_in_parts)
{
    given(false);
    parse("", "show lists");
    SAY(WIRE_DESCRIBE, "S\0");
    BIND;
    ROWS;
    EXECUTE;
    SYNC;
    answers("1 t T 2 T D D D C(SHOW) Z");
    parse("", "reload");
    SAY(WIRE_DESCRIBE, "S\0");
    SYNC;
    answers("1 t n Z");
}

Test(console, the_rows_a_client_did_not_ask_for_wait)
{
    given(false);
    parse("s", "show lists");
    SAY(WIRE_BIND, "p\0s\0\0\0\0\0\0\0");
    SAY(WIRE_EXECUTE, "p\0\0\0\0\2");
    SAY(WIRE_FLUSH, "");
    SAY(WIRE_EXECUTE, "p\0\0\0\0\2");
    SAY(WIRE_EXECUTE, "p\0\0\0\0\2");
    SYNC;
    answers("1 2 D D s D C(SHOW) C(SHOW) Z");
    SAY(WIRE_EXECUTE, "p\0\0\0\0\0");
    SYNC;
    answers("E34000 Z");
    SAY(WIRE_BIND, "\0s\0\0\0\0\0\0\0");
    EXECUTE;
    SYNC;
    answers("2 D D D C(SHOW) Z");
    SAY(WIRE_CLOSE, "Ss\0");
    SAY(WIRE_BIND, "\0s\0\0\0\0\0\0\0");
    SYNC;
    answers("3 E26000 Z");
}

Test(console, an_error_drops_what_follows_up_to_the_sync)
{
    given(true);
    parse("", "show nothing");
    BIND;
    EXECUTE;
    query("reload");
    SYNC;
    query("show version");
    answers("E42601 Z T D C(SHOW) Z");
    cr_assert_str_eq(done, "");
}

Test(console, nothing_is_done_twice_by_one_portal)
{
    given(true);
    parse("", "reload");
    BIND;
    EXECUTE;
    EXECUTE;
    SYNC;
    answers("1 2 C(RELOAD) E34000 Z");
    cr_assert_str_eq(done, "RELOAD; ");
}

Test(console, numbers_may_be_had_in_binary)
{
    static const char row[] = "D\0\0\0\x13\0\2\0\0\0\1l\0\0\0\4\0\0\0\0";

    given(false);
    parse("", "show lists");
    SAY(WIRE_BIND, "\0\0\0\0\0\0\0\1\0\1");
    SAY(WIRE_EXECUTE, "\0\0\0\0\1");
    SYNC;
    answers("1 2 D s Z");
    cr_assert_arr_eq(out.at + 10, row, sizeof(row) - 1);
    SAY(WIRE_BIND, "\0\0\0\0\0\0\0\2\0\0\0\1");
    SAY(WIRE_EXECUTE, "\0\0\0\0\1");
    SYNC;
    answers("2 D s Z");
    cr_assert_arr_eq(out.at + 5, row, sizeof(row) - 1);
}

Test(console, parameters_and_functions_there_are_none)
{
    given(false);
    SAY(WIRE_PARSE, "\0show lists\0\0\1\0\0\0\x19");
    SYNC;
    answers("E0A000 Z");
    parse("", "show lists");
    SAY(WIRE_BIND, "\0\0\0\0\0\1\0\0\0\0\0\0");
    SYNC;
    answers("1 E0A000 Z");
    SAY(WIRE_FUNCTION_CALL, "\0\0\0\1\0\0\0\0\0\0");
    answers("E0A000 Z");
    query("show version");
    answers("T D C(SHOW) Z");
}

Test(console, names_are_taken_only_once_and_there_are_not_too_many)
{
    char name[8];

    given(false);
    parse("s", "show lists");
    parse("s", "show lists");
    SYNC;
    answers("1 E42P05 Z");
    for (int i = 1; i < CONSOLE_NAMES_MOST; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        parse(name, "show lists");
    }
    listen(false);
    bytes_clear(&in);
    parse("last", "show lists");
    SYNC;
    answers("E53400 Z");
}

/* ---- what is cut, and what is none ------------------------------------------------------- */

Test(console, pieces_are_answered_as_the_whole)
{
    char whole[400], pieces[400];

    given(false);
    query("show lists");
    parse("", "show lists");
    BIND;
    ROWS;
    EXECUTE;
    SYNC;
    query("reload");
    listen(false);
    describe(whole, sizeof(whole));
    listen(true);
    describe(pieces, sizeof(pieces));
    cr_assert_str_eq(pieces, whole);
}

Test(console, who_says_goodbye_is_let_go)
{
    given(false);
    SAY(WIRE_TERMINATE, "");
    listen(false);
    cr_assert_eq(verdict, CONSOLE_ENDS);
    cr_assert_eq(out.length, 0);
}

static void is_broken(const void *message, size_t length)
{
    size_t used;

    given(true);
    bytes_clear(&out);
    used = console_bytes(console, (struct slice){message, length}, &out, &verdict);
    cr_assert_eq(verdict, CONSOLE_BROKEN, "%.1s: %u", (const char *)message, verdict);
    cr_assert_leq(used, length);
    console_destroy(console);
    console = NULL;
}
#define IS_BROKEN(message) is_broken(message, sizeof(message) - 1)

Test(console, what_makes_no_sense_ends_it)
{
    IS_BROKEN("Q\0\0\0\3");
    IS_BROKEN("Q\0\0\xff\xff"); /* longer than any command */
    IS_BROKEN("Q\0\0\0\x06no");
    IS_BROKEN("P\0\0\0\x06no");
    IS_BROKEN("P\0\0\0\7a\0b");
    IS_BROKEN("P\0\0\0\x08\0show lists\0");
    IS_BROKEN("B\0\0\0\x08\0\0\0\1");
    IS_BROKEN("D\0\0\0\6X\0");
    IS_BROKEN("C\0\0\0\6X\0");
    IS_BROKEN("E\0\0\0\7\0\0\0");
    IS_BROKEN("p\0\0\0\5\0");
    IS_BROKEN("\0\0\0\0\4");
}

Test(console, a_list_of_users_has_commas)
{
    cr_assert(console_is_listed("ana", "ana"));
    cr_assert(console_is_listed("bob, ana ,eve", "ana"));
    cr_assert(console_is_listed(",bob,,ana", "ana"));
    cr_assert_not(console_is_listed("anastasia, ban", "ana"));
    cr_assert_not(console_is_listed("", "ana"));
    cr_assert_not(console_is_listed("", ""));
    cr_assert_not(console_is_listed(" , ", ""));
    cr_assert_not(console_is_listed("Ana", "ana"));
    cr_assert_not(console_is_listed(NULL, "ana"));
}
