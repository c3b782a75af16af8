#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/postgres/listens.h"

static struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

/* What is found, in words. */
static const char *found_in(const char *text)
{
    static char words[1000];
    struct listens listens = {.text = slice_of(text)};
    struct listens_item item;

    words[0] = '\0';
    while (listens_next(&listens, &item))
        snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s%s",
                 words[0] ? " " : "", item.stops ? "-" : "+", item.all ? "*" : item.name);
    return words;
}

Test(listens, the_word_is_found_anywhere_and_in_any_case)
{
    static const char *const texts[] = {"listen a",  "LISTEN a",   "/* */LiStEn a",
                                        "x;lISTEN",  "unlisten a", "select 'listen'",
                                        "lislisten", "iiiilisten"};
    static const char *const others[] = {"",         "listen" + 6,  "lisen",
                                         "select 1", "liste",       "isten a",
                                         "list en",  "l i s t e n", "lIstem listem"};

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        cr_assert(listens_may_be_in(slice_of(texts[i])), "%s", texts[i]);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        cr_assert_not(listens_may_be_in(slice_of(others[i])), "%s", others[i]);
}

/* Whatever stands before and behind it. */
Test(listens, the_word_is_found_at_every_place)
{
    char text[64];

    for (size_t before = 0; before < 20; before++)
        for (const char *c = "listenxLISTEN "; *c != '\0'; c++) {
            memset(text, *c, sizeof(text));
            memcpy(text + before, "Listen", 6);
            cr_assert(listens_may_be_in((struct slice){(uint8_t *)text, before + 6}));
            cr_assert(listens_may_be_in((struct slice){(uint8_t *)text, sizeof(text)}));
        }
}

Test(listens, each_statement_of_a_text_is_seen)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"listen news", "+news"},
        {"LISTEN News;", "+news"},
        {"listen \"News\"", "+News"},
        {"listen \"a\"\"b;c\"", "+a\"b;c"},
        {" /* x; */ listen -- y;\n a ; ", "+a"},
        {"listen a; select 1; listen b", "+a +b"},
        {"unlisten a;unlisten *;listen b", "-a -* +b"},
        {"select 'listen a; listen b'", ""},
        {"select $$;$$; listen a", "+a"},
        {"select $q$ $$ ; listen b $q$; listen a", "+a"},
        {"; ;; listen a", "+a"},
        {"begin; listen a; commit", "+a"},
        {"listen", ""},
        {"listen a b", ""},
        {"listenx a", ""},
        {"do 'begin listen a; end'", ""},
        {"create rule r as on insert to t do (notify a; listen b)", ""},
        {"listen 123456789_", ""},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_assert_str_eq(found_in(cases[i].text), cases[i].expected, "%s: %s", cases[i].text,
                         found_in(cases[i].text));
}

Test(listens, a_name_is_cut_as_postgresql_cuts_it)
{
    char text[200] = "listen ";

    memset(text + 7, 'A', 80);
    cr_assert_eq(strlen(found_in(text)), 1 + 63);
    cr_assert_eq(found_in(text)[1], 'a');
}
