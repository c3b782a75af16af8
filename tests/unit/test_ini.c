/*
 * What a text says is told as: "[section] key=value; key=value; ", and what is wrong
 * with it as its mistakes, a line each.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/ini.h"
#include "folder.h"
#include "no_memory.h"

TestSuite(ini, .init = folder_enter, .fini = folder_leave);

/* ---- the words the stories are told in --------------------------------------------------- */

static struct mistake_list mistakes;
static struct bytes told;

static void tell(void *owner, struct ini_entry *entry)
{
    if (entry->key == NULL)
        bytes_print(&told, "[%s] ", entry->section);
    else
        bytes_print(&told, "%s=%s; ", entry->key, entry->value);
}

static const struct ini_reader reader = {tell, NULL, &mistakes};

static void forget(void)
{
    mistake_free(&mistakes);
    bytes_free(&told);
}

static void is_told(const char *expected, const char *expected_mistakes, const char *of)
{
    bytes_add(&told, "", 1);
    cr_assert_str_eq((char *)told.at, expected, "%s: told \"%s\"", of, (char *)told.at);
    cr_assert_str_eq(mistake_text(&mistakes), expected_mistakes, "%s: \"%s\"", of,
                     mistake_text(&mistakes));
    forget();
}

struct row {
    const char *text, *told, *mistakes;
};

static void check_text(const struct row *row)
{
    ini_read_text(&reader, "x", (struct slice){(const uint8_t *)row->text, strlen(row->text)});
    is_told(row->told, row->mistakes, row->text);
}

/* ---- lines ------------------------------------------------------------------------------- */

Test(ini, what_is_right_is_shown_line_by_line)
{
    static const struct row rows[] = {
        {"", "", ""},
        {"\n \r\n\t\n", "", ""},
        {"[a]\nb = c", "[a] b=c; ", ""},
        {"[a]\r\nb = c\r\n", "[a] b=c; ", ""},
        {" [a]\n\tb=  c d \t\n", "[a] b=c d; ", ""},
        {"[a]\nb =", "[a] b=; ", ""},
        {"[a]\nb = c ; no comment # either", "[a] b=c ; no comment # either; ", ""},
        {"; x\n# x\n[a] ; x\n  ;b=c\n", "[a] ", ""},
        {"[a]\nb=1\n[c]\nb=2\n[a]\n", "[a] b=1; [c] b=2; [a] ", ""},
        {"[a]\n*=1\nA_9.-b = 2", "[a] *=1; A_9.-b=2; ", ""},
        {"[a]\n\"a b\"= 1\n\"say \"\"=\"\"\" =2\n", "[a] a b=1; say \"=\"=2; ", ""},
        {"[a]\n'a b'= 1\n'it''s'=2\n'\"'=3", "[a] a b=1; it's=2; \"=3; ", ""},
        {"[a]\nb = host=::1 password='x y'", "[a] b=host=::1 password='x y'; ", ""},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_text(&rows[i]);
}

Test(ini, what_is_wrong_is_named_with_its_line_and_the_rest_is_read)
{
    static const struct row rows[] = {
        {"b = c\n[a]\nd = e", "[a] d=e; ", "x:1: \"b\" stands before any [section]\n"},
        {"\n[a\n[]\n", "", "x:2: a section is written [name]\nx:3: a section is written [name]\n"},
        {"[a] b\nc=d", "",
         "x:1: nothing may follow the ] of a section\n"
         "x:2: \"c\" stands before any [section]\n"},
        {"[a]\nb\nc=1", "[a] c=1; ",
         "x:2: expected: name = value (an odd name needs double quotes)\n"},
        {"[a]\n= b\n\"\" = b\nb c = d", "[a] ",
         "x:2: expected: name = value (an odd name needs double quotes)\n"
         "x:3: expected: name = value (an odd name needs double quotes)\n"
         "x:4: expected: name = value (an odd name needs double quotes)\n"},
        {"[a]\n\"b = c\n\"b\"\"=c", "[a] ",
         "x:2: the quote is never closed\nx:3: the quote is never closed\n"},
        {"[a]\n%include b.ini", "[a] ", "x:2: %include is not possible here\n"},
        {"[a]\n%includes = b\n%include\n", "[a] ",
         "x:2: expected: name = value (an odd name needs double quotes)\n"
         "x:3: expected: name = value (an odd name needs double quotes)\n"},
        {"[a2345678901234567890123456789012345678901234567890123456789012345]", "",
         "x:1: a section's name has at most 63 characters\n"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_text(&rows[i]);
}

Test(ini, a_zero_byte_does_not_hide_what_follows_it)
{
    ini_read_text(&reader, "x", SLICE("[a]\nb=c\0d\ne=f\n"));
    is_told("[a] e=f; ", "x:2: a zero byte in a line: is this a text file?\n", "zero");
}

/* ---- files ------------------------------------------------------------------------------- */

Test(ini, a_file_is_included_where_it_is_asked_for_and_keeps_the_section)
{
    folder_put("main.ini", "[a]\nb=1\n%include more.ini\ne=4\nwrong\n");
    folder_put("more.ini", "c=2\nwrong\n[d]\nd=3");
    ini_read_file(&reader, "main.ini");
    is_told("[a] b=1; c=2; [d] d=3; e=4; ",
            "more.ini:2: expected: name = value (an odd name needs double quotes)\n"
            "main.ini:5: expected: name = value (an odd name needs double quotes)\n",
            "include");
}

Test(ini, a_file_that_is_not_there_is_a_mistake_of_the_line_that_asks)
{
    folder_put("main.ini", "[a]\n%include none.ini\nb=1\n");
    ini_read_file(&reader, "main.ini");
    is_told("[a] b=1; ", "main.ini:2: cannot read \"none.ini\": No such file or directory\n",
            "include");
    ini_read_file(&reader, "none.ini");
    is_told("", "cannot read \"none.ini\": No such file or directory\n", "file");
}

Test(ini, a_file_that_includes_itself_comes_to_an_end)
{
    folder_put("main.ini", "%include main.ini\n");
    ini_read_file(&reader, "main.ini");
    is_told("", "main.ini:1: files may include each other 10 deep\n", "loop");
}

Test(ini, want_of_memory_is_told_wherever_it_strikes)
{
    enum err e = ERR_NO_MEMORY;

    for (long n = 0; e == ERR_NO_MEMORY; n++) {
        forget();
        no_memory_after(n);
        ini_read_text(&reader, "x", SLICE("[a]\nb=1"));
        no_memory_after(NO_MEMORY_NEVER);
        e = told.failed ? ERR_NO_MEMORY : mistake_verdict(&mistakes);
    }
    cr_assert_eq(e, ERR_OK);
    is_told("[a] b=1; ", "", "memory");
}

/* ---- lists of key=value ------------------------------------------------------------------ */

Test(ini, a_value_can_be_a_list_of_keys_and_values)
{
    static const struct row rows[] = {
        {"", "", ""},
        {"  \t", "", ""},
        {"a=b", "a=b; ", ""},
        {"a=b c=d\te=f ", "a=b; c=d; e=f; ", ""},
        {"a = b c= d", "a=b; c=d; ", ""},
        {"a=b=c", "a=b=c; ", ""},
        {"a='b c' d='it''s' e=''''", "a=b c; d=it's; e='; ", ""},
        {"a=b'c", "a=b'c; ", ""},
        {"a=\"b\"", "a=\"b\"; ", ""},
        {"a='' b=c d=", "b=c; ", "a: the value is empty\nd: the value is empty\n"},
        {"a", "", "expected a list of key=value, each value in '' if it has blanks\n"},
        {"a=b c", "a=b; ", "expected a list of key=value, each value in '' if it has blanks\n"},
        {"=b", "", "expected a list of key=value, each value in '' if it has blanks\n"},
        {"a='b", "", "a: the quote is not closed, or something follows it\n"},
        {"a='b''", "", "a: the quote is not closed, or something follows it\n"},
        {"a='b'c=d", "", "a: the quote is not closed, or something follows it\n"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[64], *list = text;
        struct ini_pair pair;

        snprintf(text, sizeof(text), "%s", rows[i].text);
        while (ini_next_pair(&list, &pair, &mistakes))
            bytes_print(&told, "%s=%s; ", pair.key, pair.value);
        is_told(rows[i].told, rows[i].mistakes, rows[i].text);
    }
}
