#include <criterion/criterion.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/postgres/parameters.h"

TestSuite(parameters, .fini = clean_end);

static struct parameters_set set;

static const struct parameters *with(enum parameters_name name, const char *value)
{
    const struct parameters *p = parameters_empty(&set);

    return parameters_change(&set, p, name, (struct slice){(const uint8_t *)value, strlen(value)});
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
    parameters_release(&set, a);
    parameters_release(&set, b);
    parameters_release(&set, c);
    cr_assert_null(set.all);
}

Test(parameters, only_what_differs_is_set)
{
    const struct parameters *a = with(PARAMETERS_TIME_ZONE, "UTC");
    const struct parameters *b =
        parameters_change(&set, parameters_hold(a), PARAMETERS_DATE_STYLE, SLICE("ISO, MDY"));

    sets_are(a, a, "");
    sets_are(a, b, "SET DateStyle TO E'ISO, MDY'");
    parameters_release(&set, a);
    parameters_release(&set, b);
}

Test(parameters, a_value_cannot_get_out_of_its_quotes)
{
    const struct parameters *a = parameters_empty(&set);
    const struct parameters *b = with(PARAMETERS_APPLICATION_NAME, "a'b\\'; drop\n\xc3\xa4");

    sets_are(a, b, "SET application_name TO E'a''b\\\\''; drop?\?\?'");
    parameters_release(&set, a);
    parameters_release(&set, b);
}

Test(parameters, an_empty_name_is_a_name)
{
    const struct parameters *a = with(PARAMETERS_APPLICATION_NAME, "psql");
    const struct parameters *b = parameters_empty(&set);

    sets_are(a, b, "SET application_name TO E''");
    parameters_release(&set, a);
    parameters_release(&set, b);
}

Test(parameters, names_have_no_case)
{
    cr_assert_eq(parameters_find(SLICE("timezone")), PARAMETERS_TIME_ZONE);
    cr_assert_eq(parameters_find(SLICE("DATESTYLE")), PARAMETERS_DATE_STYLE);
    cr_assert_eq(parameters_find(SLICE("search_path")), PARAMETERS_COUNT);
}
