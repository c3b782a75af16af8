#include <criterion/criterion.h>
#include <string.h>
#include <syslog.h>

#include "clean_end.h"
#include "proxy/settings.h"

TestSuite(settings, .fini = clean_end);

Test(settings, every_default_is_a_right_value)
{
    struct settings settings = {0};
    struct mistake_list mistakes = {0};

    option_reset(&settings_table, &settings, &mistakes);
    for (size_t i = 0; i < settings_table.count; i++)
        if (settings_table.rows[i].standard != NULL)
            option_set(&settings_table.rows[i], &settings, settings_table.rows[i].standard,
                       &mistakes);
    cr_assert_eq(mistakes.errors + mistakes.warnings, 0, "%s", mistake_text(&mistakes));
    cr_assert_eq(settings.listen_port, 6432);
    cr_assert_eq(settings.query_wait_timeout_ms, 120000);
    cr_assert_eq(settings.pool_mode, SETTINGS_POOL_MODE_SESSION);
    cr_assert_eq(settings.auth_type, SETTINGS_AUTH_MD5);
    cr_assert_eq(settings_facility(&settings), LOG_DAEMON);
    cr_assert_str_eq(settings.server_reset_query, "DISCARD ALL");
    option_free(&settings_table, &settings);
    mistake_free(&mistakes);
}

Test(settings, a_name_stands_for_one_setting_and_has_a_sentence)
{
    for (size_t i = 0; i < settings_table.count; i++) {
        const struct option_row *row = &settings_table.rows[i];

        cr_assert_eq(option_find(&settings_table, row->name), row, "%s twice", row->name);
        cr_assert_eq(row->what[strlen(row->what) - 1], '.', "%s", row->name);
        cr_assert(row->words != NULL || row->kind != OPTION_KIND_WORD, "%s", row->name);
        cr_assert(row->standard != NULL || row->kind != OPTION_KIND_BOOL, "%s", row->name);
    }
}

Test(settings, protection_that_was_asked_for_and_is_not_there_is_an_error)
{
    static const char *const rows[][2] = {
        {"auth_type", "hba"},
        {"auth_type", "cert"},
        {"auth_type", "pam"},
        {"auth_type", "ldap"},
        {"client_tls_sslmode", "require"},
        {"client_tls_sslmode", "verify-full"},
        {"server_tls_sslmode", "require"},
        {"server_tls_sslmode", "verify-ca"},
    };
    struct settings settings = {0};
    struct mistake_list mistakes = {0};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        option_assign(&settings_table, &settings, rows[i][0], rows[i][1], &mistakes);
        cr_assert_eq(mistakes.errors, i + 1, "%s = %s", rows[i][0], rows[i][1]);
    }
    cr_assert_eq(mistakes.warnings, 0);
    mistake_free(&mistakes);
}
