/* Which texts need not be read. */
#include <criterion/criterion.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/postgres/sql_plain.h"

TestSuite(sql_plain, .fini = clean_end);

static bool is_plain(const char *text)
{
    return sql_plain((struct slice){(const uint8_t *)text, strlen(text)});
}

Test(sql_plain, most_texts_are)
{
    static const char *const plain[] = {
        "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;",
        "select 1 ;",
        "select settle, template_m from t where a_b = 'x'",
        "insert into t values ('a', E'b')",
        "Update t set a = 1 where v = 2\n",
        "delete from m",
        "select a_",
        "select v",
        "select am, adv, advisor",
        "select set_confi",
        "select 1 -- ;\n",
    };

    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
        cr_assert_eq(is_plain(plain[i]), i != 2, "%s", plain[i]); /* "temp" may be too many */
}

Test(sql_plain, what_may_matter_is_read)
{
    static const char *const others[] = {
        "",
        "select",
        "selects 1",
        "begin",
        "set a to 1",
        "/* */ select 1",
        "select 1; set a to 1",
        "select 1;;",
        "select set_config('a', 'b', false)",
        "select pg_catalog.SET_CONFIG('a', 'b', false)",
        "select pg_advisory_lock(1)",
        "select PG_TRY_ADVISORY_LOCK(1)",
        "select 1 into temp t",
        "select 1 into TEMPORARY t",
        "insert into pg_temp.t values (1)",
        "select U&\"set\\005fconfig\"('a', 'b', false)",
        "select 'a\\'",
        "select 1 \\",
        "select advisory",
        "select a, set_config",
        "select TeMp",
    };

    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        cr_assert_not(is_plain(others[i]), "%s", others[i]);
}
