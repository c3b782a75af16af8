#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "folder.h"
#include "no_memory.h"
#include "proxy/userlist.h"

TestSuite(userlist, .init = folder_enter, .fini = folder_leave);

static struct mistake_list mistakes;

static struct userlist *parse(const char *text)
{
    return userlist_parse("u", (struct slice){(const uint8_t *)text, strlen(text)}, &mistakes);
}

/* Tells the secret of ana, or "-", and the mistakes. */
static void ana_has(const char *text, const char *secret, const char *expected_mistakes)
{
    struct userlist *list = parse(text);
    const struct userlist_user *ana = list != NULL ? userlist_find(list, "ana") : NULL;

    cr_assert_str_eq(ana != NULL ? ana->secret : "-", secret, "%s", text);
    cr_assert_str_eq(mistake_text(&mistakes), expected_mistakes, "%s: %s", text,
                     mistake_text(&mistakes));
    userlist_destroy(list);
    mistake_free(&mistakes);
}

Test(userlist, a_user_is_two_quoted_texts_in_a_line)
{
    static const char *const rows[][2] = {
        {"", "-"},
        {"\"ana\" \"x\"", "x"},
        {"\"ana\" \"x\"\r\n", "x"},
        {"\n\n  \"ana\"\t\"x y\" ignored \"z\"\n", "x y"},
        {"; \"ana\" \"x\"\n", "-"},
        {"\"ana\"\"x\"", "-"},
        {"\"ana\" \"\"", ""},
        {"\"ana\" \"a\"\"b\"", "a\"b"},
        {"\"ana\" \"\"\"\"", "\""},
        {"\"ana\" \"SCRAM-SHA-256$4096:c2FsdA==$a=:b=\"", "SCRAM-SHA-256$4096:c2FsdA==$a=:b="},
        {"\"eve\" \"x\"\n\"ana\" \"y\"\n\"bob\" \"z\"", "y"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        ana_has(rows[i][0], rows[i][1], i == 5 ? "u:1: expected: \"user\" \"secret\"\n" : "");
}

Test(userlist, a_broken_line_is_named_and_the_others_count)
{
    ana_has("ana x\n\"ana\" \"y\"", "y", "u:1: expected: \"user\" \"secret\"\n");
    ana_has("\"ana\" \"y\"\n\n\"ana", "y", "u:3: expected: \"user\" \"secret\"\n");
    ana_has("\"ana\"", "-", "u:1: expected: \"user\" \"secret\"\n");
    ana_has("\"ana\" \"x", "-", "u:1: expected: \"user\" \"secret\"\n");
    ana_has("\"ana\" x \"y\"", "-", "u:1: expected: \"user\" \"secret\"\n");
    ana_has("\"\" \"x\"", "-", "u:1: a user's name has 1 to 127 characters\n");
}

Test(userlist, the_last_of_the_same_name_counts)
{
    ana_has("\"ana\" \"x\"\n\"ana\" \"y\"", "y",
            "u:2: warning: user \"ana\" comes a second time, and this one counts\n");
}

Test(userlist, names_and_secrets_may_be_as_long_as_in_pgbouncer_and_no_longer)
{
    static char text[USERLIST_LONGEST_SECRET + 300], secret[USERLIST_LONGEST_SECRET + 2];
    char name[USERLIST_LONGEST_NAME + 2];
    struct userlist *list;

    memset(name, 'n', sizeof(name));
    memset(secret, 's', sizeof(secret));
    for (int more = 0; more <= 1; more++) {
        snprintf(text, sizeof(text), "\"%.*s\" \"x\"\n\"ana\" \"%.*s\"",
                 USERLIST_LONGEST_NAME + more, name, USERLIST_LONGEST_SECRET + more, secret);
        list = parse(text);
        cr_assert_eq(userlist_count(list), more ? 0 : 2);
        userlist_destroy(list);
    }
    cr_assert_str_eq(mistake_text(&mistakes), "u:1: a user's name has 1 to 127 characters\n"
                                              "u:2: a secret has at most 65530 characters\n");
    mistake_free(&mistakes);
}

Test(userlist, of_many_users_each_is_found)
{
    enum { MANY = 5000 };
    struct bytes text = {0};
    struct userlist *list;
    char name[16];

    for (int i = 0; i < MANY; i++)
        bytes_print(&text, "\"user%d\" \"%d\"\n", i, i);
    list = userlist_parse("u", (struct slice){text.at, text.length}, &mistakes);
    cr_assert_eq(userlist_count(list), MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        cr_assert_str_eq(userlist_find(list, name)->secret, name + 4);
    }
    cr_assert_null(userlist_find(list, "user"));
    userlist_destroy(list);
    bytes_free(&text);
}

Test(userlist, it_is_read_from_a_file)
{
    struct userlist *list;

    folder_put("users.txt", "\"ana\" \"x\"\nwrong\n");
    list = userlist_load("users.txt", &mistakes);
    cr_assert_str_eq(userlist_find(list, "ana")->secret, "x");
    userlist_destroy(list);
    list = userlist_load("none.txt", &mistakes);
    cr_assert_eq(userlist_count(list), 0);
    userlist_destroy(list);
    cr_assert_str_eq(
        mistake_text(&mistakes),
        "users.txt:2: expected: \"user\" \"secret\"\n"
        "users.txt: cannot read \"none.txt\" (auth_file): No such file or directory\n");
    mistake_free(&mistakes);
}

Test(userlist, want_of_memory_is_told_wherever_it_strikes)
{
    enum err e = ERR_NO_MEMORY;

    folder_put("users.txt", "\"ana\" \"x\"\n\"bob\" \"y\"\n");
    for (long n = 0; e == ERR_NO_MEMORY; n++) {
        struct userlist *list;

        mistake_free(&mistakes);
        no_memory_after(n);
        list = userlist_load("users.txt", &mistakes);
        no_memory_after(NO_MEMORY_NEVER);
        e = mistake_verdict(&mistakes);
        cr_assert_eq(e == ERR_OK, list != NULL && userlist_count(list) == 2);
        userlist_destroy(list);
    }
    cr_assert_eq(e, ERR_OK);
}
