#include <criterion/criterion.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/postgres/parameters.h"

TestSuite(parameters, .fini = clean_end);

static struct parameters_set all;

static const struct parameters *with(enum parameters_name name, const char *value)
{
    const struct parameters *p = parameters_empty(&all);

    return parameters_change(&all, p, name, (struct slice){(const uint8_t *)value, strlen(value)});
}

static void sets_are(const struct parameters *from, const struct parameters *to, const char *sql)
{
    struct bytes out = {0};

    parameters_write_sets(from, to, &out);
    cr_assert_str_eq((char *)out.at, sql);
    bytes_free(&out);
}

Test(parameters, who_wants_the_same_has_the_same)
{
    const struct parameters *a = with(PARAMETERS_TIME_ZONE, "UTC");
    const struct parameters *b = with(PARAMETERS_TIME_ZONE, "UTC");
    const struct parameters *c = with(PARAMETERS_TIME_ZONE, "Asia/Tokyo");

    cr_assert_eq(a, b);
    cr_assert_neq(a, c);
    parameters_release(&all, a);
    parameters_release(&all, b);
    parameters_release(&all, c);
    cr_assert_null(all.all);
}

Test(parameters, only_what_differs_is_set)
{
    const struct parameters *a = with(PARAMETERS_TIME_ZONE, "UTC");
    const struct parameters *b =
        parameters_change(&all, parameters_hold(a), PARAMETERS_DATE_STYLE, SLICE("ISO, MDY"));

    sets_are(a, a, "");
    sets_are(a, b, "SET DateStyle TO E'ISO, MDY'");
    parameters_release(&all, a);
    parameters_release(&all, b);
}

Test(parameters, a_value_cannot_get_out_of_its_quotes)
{
    const struct parameters *a = parameters_empty(&all);
    const struct parameters *b = with(PARAMETERS_APPLICATION_NAME, "a'b\\'; drop\n\xc3\xa4");

    sets_are(a, b, "SET application_name TO E'a''b\\\\''; drop?\?\?'");
    parameters_release(&all, a);
    parameters_release(&all, b);
}

Test(parameters, an_empty_name_is_a_name)
{
    const struct parameters *a = with(PARAMETERS_APPLICATION_NAME, "psql");
    const struct parameters *b = parameters_empty(&all);

    sets_are(a, b, "SET application_name TO E''");
    parameters_release(&all, a);
    parameters_release(&all, b);
}

Test(parameters, names_have_no_case)
{
    cr_assert_eq(parameters_find(SLICE("timezone")), PARAMETERS_TIME_ZONE);
    cr_assert_eq(parameters_find(SLICE("DATESTYLE")), PARAMETERS_DATE_STYLE);
    cr_assert_eq(parameters_find(SLICE("search_path")), PARAMETERS_COUNT);
}

/* ---- extras ------------------------------------------------------------------------------ */

static struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static const struct parameters *set(const struct parameters *p, const char *name, const char *value)
{
    return parameters_set_extra(&all, p, slice_of(name), slice_of(value));
}

Test(parameters, extras_in_any_order_are_the_same_extras)
{
    const struct parameters *a =
        set(set(set(parameters_empty(&all), "b", "2"), "a", "1"), "ab", "3");
    const struct parameters *b =
        set(set(set(parameters_empty(&all), "ab", "0"), "a", "1"), "b", "2");

    cr_assert_neq(a, b);
    b = set(b, "ab", "3");
    cr_assert_eq(a, b);
    cr_assert_str_eq(parameters_extra(a, SLICE("ab")), "3");
    cr_assert_null(parameters_extra(a, SLICE("abc")));
    b = parameters_drop_extra(&all, b, SLICE("ab"));
    sets_are(a, b, "RESET \"ab\"");
    sets_are(b, a, "SET \"ab\" TO E'3'");
    b = parameters_change(&all, b, PARAMETERS_TIME_ZONE, SLICE("UTC"));
    cr_assert_str_eq(parameters_extra(b, SLICE("b")), "2");
    parameters_release(&all, a);
    parameters_release(&all, b);
    cr_assert_null(all.all);
}

Test(parameters, a_list_of_names_is_not_quoted_once_more)
{
    const struct parameters *a = parameters_empty(&all);
    const struct parameters *b = set(parameters_empty(&all), "search_path", "\"A b\", c");

    sets_are(a, b, "SELECT pg_catalog.set_config('search_path', E'\"A b\", c', false)");
    sets_are(b, a, "RESET \"search_path\"");
    parameters_release(&all, a);
    parameters_release(&all, b);
}

Test(parameters, a_role_is_left_first_and_taken_last)
{
    const struct parameters *a = set(set(parameters_empty(&all), "role", "x"), "work_mem", "1MB");
    const struct parameters *b = set(set(parameters_empty(&all), "role", "y"), "a.b", "c'\"");

    sets_are(a, b, "RESET ROLE;RESET \"work_mem\";SET \"a.b\" TO E'c''\"';SET \"role\" TO E'y'");
    sets_are(b, a, "RESET ROLE;RESET \"a.b\";SET \"work_mem\" TO E'1MB';SET \"role\" TO E'x'");
    parameters_release(&all, a);
    parameters_release(&all, b);
}

Test(parameters, letters_beyond_ascii_are_written_in_any_encoding)
{
    const struct parameters *a = parameters_empty(&all);
    const struct parameters *b =
        set(parameters_empty(&all), "a.b", "J\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80");

    sets_are(a, b, "SET \"a.b\" TO E'J\\u00fc\\u20ac\\U0001f600'");
    cr_assert(!parameters_may_keep(a, SLICE("a.b"), SLICE("J\xfc")));
    cr_assert(!parameters_may_keep(a, SLICE("\xc3\xbc"), SLICE("x")));
    parameters_release(&all, a);
    parameters_release(&all, b);
}

Test(parameters, what_was_reset_becomes_the_client_s_own)
{
    const struct parameters *own = set(set(with(PARAMETERS_TIME_ZONE, "UTC"), "a", "1"), "z", "9");
    const struct parameters *p =
        set(set(set(parameters_empty(&all), "a", "2"), "b", "3"), "role", "x");

    p = parameters_restore(&all, p, own, SLICE("a"));
    p = parameters_restore(&all, p, own, SLICE("b"));
    p = parameters_restore(&all, p, own, SLICE("timezone"));
    cr_assert_str_eq(parameters_extra(p, SLICE("a")), "1");
    cr_assert_null(parameters_extra(p, SLICE("b")));
    cr_assert_str_eq(parameters_value(p, PARAMETERS_TIME_ZONE), "UTC");
    p = parameters_restore_extras(&all, p, own, false);
    cr_assert_str_eq(parameters_extra(p, SLICE("role")), "x");
    cr_assert_str_eq(parameters_extra(p, SLICE("z")), "9");
    p = parameters_restore_extras(&all, p, own, true);
    cr_assert_eq(p, own);
    parameters_release(&all, p);
    parameters_release(&all, own);
}

Test(parameters, there_is_no_room_without_end)
{
    static char value[PARAMETERS_EXTRAS_MOST];
    const struct parameters *a = parameters_empty(&all);

    memset(value, 'x', sizeof(value));
    cr_assert(!parameters_may_keep(a, SLICE("a"), (struct slice){(uint8_t *)value, sizeof(value)}));
    cr_assert(
        parameters_may_keep(a, SLICE("a"), (struct slice){(uint8_t *)value, sizeof(value) - 3}));
    parameters_release(&all, a);
}
