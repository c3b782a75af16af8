#include <criterion/criterion.h>
#include <stdio.h>

#include "clean_end.h"
#include "proxy/fronts/postgres/console_command.h"

TestSuite(console_command, .fini = clean_end);

/* "VERB argument=value", or what is wrong. */
static void is(const char *text, const char *expected)
{
    struct console_command command;
    char read[512];

    switch (console_command_parse(text, &command)) {
    case CONSOLE_COMMAND_READ:
        snprintf(read, sizeof(read), "%s%s%s%s%s", console_command_name(command.verb),
                 command.argument[0] ? " " : "", command.argument, command.value[0] ? "=" : "",
                 command.value);
        break;
    case CONSOLE_COMMAND_UNKNOWN:
        snprintf(read, sizeof(read), "unknown");
        break;
    case CONSOLE_COMMAND_TOO_LONG:
        snprintf(read, sizeof(read), "too long");
        break;
    }
    cr_assert_str_eq(read, expected, "[%s] is \"%s\", not \"%s\"", text, read, expected);
}

Test(console_command, a_command_is_one_word_or_two_in_any_case)
{
    is("SHOW pools", "SHOW pools");
    is("show POOLS;", "SHOW POOLS");
    is(" \t\r\nShow\n clients \n;\n ", "SHOW clients");
    is("select version", "SHOW version");
    is("RELOAD", "RELOAD");
    is("shutdown wait_for_clients;", "SHUTDOWN wait_for_clients");
    is("kill_client 12", "KILL_CLIENT 12");
    is("\"show\" \"pools\"", "SHOW pools");
    is("reconnect \"odd \"\" name\";", "RECONNECT odd \" name");
    is("reconnect \"\"", "RECONNECT");
    is("show", "SHOW");
}

Test(console_command, what_is_more_or_less_than_that_is_none)
{
    static const char *const texts[] = {
        "",
        ";",
        "  ",
        "show pools clients",
        "show version; show pools",
        "show pools;;",
        "show -- pools",
        "show pools'",
        "show po-ols",
        "show \"pools",
        "select 1 + 1",
        "select pg_sleep(1)",
        "begin",
        "unknown word",
        "showpools",
        "show\"pools\"",
        "reloa",
        "show \x80",
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        is(texts[i], "unknown");
}

Test(console_command, set_has_a_key_and_a_value)
{
    is("SET a = b", "SET a=b");
    is("set a=b;", "SET a=b");
    is("set a to b", "SET a=b");
    is("set a TO 'x y'", "SET a=x y");
    is("set a = 'it''s'", "SET a=it's");
    is("set \"a\" = \"x y\" ;", "SET a=x y");
    is("set a=''", "SET a");
    is("set a", "unknown");
    is("set a =", "unknown");
    is("set a = 'b", "unknown");
    is("set a = b, c", "unknown");
    is("set = b", "unknown");
    is("set", "unknown");
    is("set a b", "unknown");
    is("set a = -1", "unknown");
}

Test(console_command, no_word_is_longer_than_it_can_be)
{
    char text[400];

    snprintf(text, sizeof(text), "show %063d", 0);
    cr_assert_eq(console_command_parse(text, &(struct console_command){0}), CONSOLE_COMMAND_READ);
    snprintf(text, sizeof(text), "show %064d", 0);
    is(text, "too long");
    snprintf(text, sizeof(text), "show \"%062d\"", 0);
    is(text, "too long");
    is("sixteen_letters_", "too long");
    is("fifteen_letters", "unknown");
    snprintf(text, sizeof(text), "set a = '%0253d'", 0);
    cr_assert_eq(console_command_parse(text, &(struct console_command){0}), CONSOLE_COMMAND_READ);
    snprintf(text, sizeof(text), "set a = '%0254d'", 0);
    is(text, "too long");
    snprintf(text, sizeof(text), "set %064d = 1", 0);
    is(text, "too long");
    is("set \"\" = 1", "too long"); /* what PgBouncer calls bad arguments */
}
