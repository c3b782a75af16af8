#include <criterion/criterion.h>
#include <string.h>

#include "base/option.h"
#include "clean_end.h"
#include "no_memory.h"

/* ---- a table that has one row of each kind ----------------------------------------------- */

enum colour { COLOUR_UNSET = -1, COLOUR_RED, COLOUR_GREEN };

struct things {
    char *name, *nick;
    uint64_t count, limit, size, wait_ms, mode;
    bool loud;
    enum colour colour, other;
};

#define AT(field) offsetof(struct things, field)

static const struct option_row rows[] = {
    {"name", OPTION_STRING, AT(name), "ana", OPTION_LIVE, "What it is called."},
    {"nick", OPTION_STRING, AT(nick), NULL, OPTION_LIVE, "And by its friends."},
    {"count", OPTION_COUNT(2, 100), AT(count), "20", OPTION_AT_START, "How many."},
    {"limit", OPTION_COUNT(0, OPTION_ANY), AT(limit), NULL, OPTION_LIVE, "At most."},
    {"size", OPTION_BYTES(1, OPTION_ANY), AT(size), "4096", OPTION_LIVE, "How large."},
    {"wait", OPTION_SECONDS, AT(wait_ms), "1.5", OPTION_LIVE, "How long."},
    {"mode", OPTION_MODE, AT(mode), "0700", OPTION_LIVE, "Who may."},
    {"loud", OPTION_BOOL, AT(loud), "1", OPTION_LIVE, "Whether."},
    {"colour", OPTION_WORD("red green | blue"), AT(colour), "green", OPTION_LIVE, "Which."},
    {"other_colour", OPTION_WORD("red green"), AT(other), NULL, OPTION_LIVE, "Which else."},
    {"later", OPTION_SECONDS, OPTION_NOWHERE, "15", OPTION_LIVE, "Some day."},
    {"much_later", OPTION_STRING, OPTION_NOWHERE, NULL, OPTION_LIVE, "Some other day."},
};
static const struct option_table table = {rows, COUNT_OF(rows), "thing"};

static struct things things;
static struct mistake_list mistakes;

static void begin(void)
{
    option_reset(&table, &things, &mistakes);
}

static void end(void)
{
    option_free(&table, &things);
    mistake_free(&mistakes);
    clean_end();
}

TestSuite(option, .init = begin, .fini = end);

static void says(const char *name, const char *expected)
{
    struct bytes out = {0};

    if (!option_print(option_find(&table, name), &things, &out))
        bytes_print(&out, "(unset)");
    bytes_add(&out, "", 1);
    cr_assert_str_eq((char *)out.at, expected, "%s is %s", name, (char *)out.at);
    bytes_free(&out);
}

/* ---- the stories ------------------------------------------------------------------------- */

Test(option, everything_begins_with_its_default)
{
    cr_assert_eq(mistake_verdict(&mistakes), ERR_OK);
    cr_assert_str_eq(things.name, "ana");
    cr_assert_null(things.nick);
    cr_assert_eq(things.count, 20);
    cr_assert_eq(things.limit, OPTION_UNSET);
    cr_assert_eq(things.wait_ms, 1500);
    cr_assert_eq(things.mode, 0700);
    cr_assert(things.loud);
    cr_assert_eq(things.colour, COLOUR_GREEN);
    cr_assert_eq(things.other, COLOUR_UNSET);
}

Test(option, a_value_is_read_checked_and_printed)
{
    static const struct {
        const char *name, *text, *printed, *mistakes;
    } cases[] = {
        {"name", "eve", "eve", ""},
        {"name", "", "", ""},
        {"nick", "e", "e", ""},
        {"count", "2", "2", ""},
        {"count", "0x10", "16", ""},
        {"count", "020", "16", ""},
        {"count", "1", "20", "count: 1 is less than 2\n"},
        {"count", "101", "20", "count: 101 is more than 100\n"},
        {"count", "99999999999999999999", "20", "count: 99999999999999999999 is more than 100\n"},
        {"count", "", "20", "count: \"\" is not a whole number\n"},
        {"count", "-3", "20", "count: \"-3\" is not a whole number\n"},
        {"count", "3x", "20", "count: \"3x\" is not a whole number\n"},
        {"count", "1.5", "20", "count: \"1.5\" is not a whole number\n"},
        {"count", "08", "20", "count: \"08\" is not a whole number\n"},
        {"limit", "0", "0", ""},
        {"size", "65536", "65536", ""},
        {"wait", "0", "0", ""},
        {"wait", "0.25", "0.25", ""},
        {"wait", "1.1", "1.1", ""},
        {"wait", "120", "120", ""},
        {"wait", "1e-9", "0.001", ""},
        {"wait", "-1", "1.5", "wait: \"-1\" is not a number of seconds\n"},
        {"wait", "", "1.5", "wait: \"\" is not a number of seconds\n"},
        {"wait", "5s", "1.5", "wait: \"5s\" is not a number of seconds\n"},
        {"wait", "nan", "1.5", "wait: \"nan\" is not a number of seconds\n"},
        {"wait", "inf", "1.5", "wait: \"inf\" is not a number of seconds\n"},
        {"mode", "0777", "0777", ""},
        {"mode", "777", "0700", "mode: 777 is no mode; one is octal, like 0770\n"},
        {"loud", "0", "0", ""},
        {"loud", "2", "1", ""},
        {"loud", "yes", "1", "loud: \"yes\" is not a whole number\n"},
        {"colour", "red", "red", ""},
        {"colour", "Red", "red", ""},
        {"colour", "re", "green", "colour: \"re\" is none of: red green\n"},
        {"colour", "", "green", "colour: \"\" is none of: red green\n"},
        {"colour", "blue", "green", "colour: \"blue\" is not implemented yet\n"},
        {"other_colour", "green", "green", ""},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        option_assign(&table, &things, cases[i].name, cases[i].text, &mistakes);
        says(cases[i].name, cases[i].printed);
        cr_assert_str_eq(mistake_text(&mistakes), cases[i].mistakes);
        option_free(&table, &things);
        mistake_free(&mistakes);
        begin();
    }
}

Test(option, what_is_not_set_prints_nothing)
{
    says("nick", "(unset)");
    says("limit", "(unset)");
    says("other_colour", "(unset)");
    says("much_later", "(unset)");
}

Test(option, what_is_not_implemented_warns_who_would_miss_it)
{
    option_assign(&table, &things, "later", "15.0", &mistakes);
    cr_assert_eq(mistakes.warnings, 0);
    option_assign(&table, &things, "later", "16", &mistakes);
    option_assign(&table, &things, "much_later", "x", &mistakes);
    option_assign(&table, &things, "later", "x", &mistakes);
    cr_assert_str_eq(mistake_text(&mistakes),
                     "warning: later is not implemented yet, and ignored\n"
                     "warning: much_later is not implemented yet, and ignored\n"
                     "later: \"x\" is not a number of seconds\n");
    says("later", "15");
}

Test(option, an_unknown_name_is_an_error_that_knows_its_neighbours)
{
    option_assign(&table, &things, "coulor", "red", &mistakes);
    option_assign(&table, &things, "other-color", "red", &mistakes);
    option_assign(&table, &things, "xyz", "red", &mistakes);
    cr_assert_str_eq(mistake_text(&mistakes),
                     "unknown thing \"coulor\"; did you mean colour?\n"
                     "unknown thing \"other-color\"; did you mean other_colour?\n"
                     "unknown thing \"xyz\"\n");
}

Test(option, the_documentation_comes_from_the_rows)
{
    struct bytes out = {0};

    option_document(&table, &out);
    bytes_add(&out, "", 1);
    cr_assert_not_null(strstr((char *)out.at, "| thing | value | default | changes | meaning |\n"));
    cr_assert_not_null(
        strstr((char *)out.at, "| `count` | number, 2 to 100 | `20` | at start | How many. |\n"));
    cr_assert_not_null(
        strstr((char *)out.at, "| `colour` | `red`, `green` | `green` | live | Which. |\n"));
    cr_assert_not_null(
        strstr((char *)out.at, "| `nick` | text |  | live | And by its friends. |\n"));
    cr_assert_not_null(
        strstr((char *)out.at, "| `later` | seconds | `15` | not yet | Some day. |\n"));
    bytes_free(&out);
}

Test(option, want_of_memory_leaves_the_old_value)
{
    no_memory_after(0);
    option_assign(&table, &things, "name", "eve", &mistakes);
    no_memory_after(NO_MEMORY_NEVER);
    cr_assert_eq(mistake_verdict(&mistakes), ERR_NO_MEMORY);
    cr_assert_str_eq(things.name, "ana");
}
