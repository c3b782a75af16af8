#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "no_memory.h"
#include "proxy/config.h"

/* ---- the words the stories are told in --------------------------------------------------- */

static struct mistake_list mistakes;
static struct config *config;

static void forget(void)
{
    config_destroy(config);
    config = NULL;
    mistake_free(&mistakes);
}

static void leave(void)
{
    forget();
    folder_leave();
}

TestSuite(config, .init = folder_enter, .fini = leave);

static enum err load(const char *text)
{
    forget();
    folder_put("c.ini", text);
    return config_load("c.ini", &config, &mistakes);
}

static void is_wrong(const char *text, const char *expected)
{
    cr_assert_eq(load(text), ERR_CONFIG, "%s", text);
    cr_assert_null(config);
    cr_assert_str_eq(mistake_text(&mistakes), expected, "%s: %s", text, mistake_text(&mistakes));
}

static void is_odd(const char *text, const char *expected)
{
    cr_assert_eq(load(text), ERR_OK, "%s: %s", text, mistake_text(&mistakes));
    cr_assert_str_eq(mistake_text(&mistakes), expected, "%s: %s", text, mistake_text(&mistakes));
}

/* A config that has nothing odd about it, to which an entry can be added. */
#define DATABASES  "[databases]\nd = user=u\n"
#define ANY        "[weir]\nauth_type = any\n"
#define ONE_ODD(x) "c.ini:5: warning: " x "\n"
#define ONE(x)     "c.ini:5: " x "\n"

/* ---- a file as it is found in the field -------------------------------------------------- */

static void enter_data(void)
{
    folder_enter();
    cr_assert_eq(chdir(getenv("TEST_DATA")), 0);
}

TestSuite(field, .init = enter_data, .fini = leave);

Test(field, a_pgbouncer_ini_from_the_field_works_as_it_is)
{
    const struct config_database *shop;

    cr_assert_eq(config_load("pgbouncer.ini", &config, &mistakes), ERR_OK, "%s",
                 mistake_text(&mistakes));
    cr_assert_str_eq(mistake_text(&mistakes),
                     "pgbouncer.ini:45: warning: server_check_query is not implemented yet, "
                     "and ignored\n");
    cr_assert_str_eq(config->settings.listen_addr, "*");
    cr_assert_eq(config->settings.pool_mode, SETTINGS_POOL_MODE_TRANSACTION);
    cr_assert_eq(config->settings.auth_type, SETTINGS_AUTH_SCRAM);
    cr_assert_eq(config->settings.query_wait_timeout_ms, 500);
    cr_assert_eq(config->settings.unix_socket_mode, 0770);
    shop = config_find_database(config, "shop");
    cr_assert_str_eq(shop->host, "10.0.0.11");
    cr_assert_eq(shop->port, 5433);
    cr_assert_str_eq(shop->password, "it's secret");
    cr_assert_str_eq(config_find_database(config, "Odd \"name\"")->application_name, "odd app");
    cr_assert_str_eq(userlist_find(config->userlist, "shop")->secret, "it's secret");
    cr_assert_str_eq(userlist_find(config->userlist, "say \"hi\"")->secret, "in \"plain\" text");
}

/* ---- what is wrong ----------------------------------------------------------------------- */

Test(config, a_wrong_line_is_named_and_nothing_is_loaded)
{
    static const char *const rows[][2] = {
        {"listen_port = 0", ONE("listen_port: 0 is less than 1")},
        {"listen_port = x", ONE("listen_port: \"x\" is not a whole number")},
        {"pool_mode = both", ONE("pool_mode: \"both\" is none of: session transaction statement")},
        {"auth_type = hba", ONE("auth_type: \"hba\" is not implemented yet")},
        {"poolmode = session", ONE("unknown setting \"poolmode\"; did you mean pool_mode?")},
        {"xyz = 1", ONE("unknown setting \"xyz\"")},
        {"workers = 2", ONE("workers: 2 is more than 1")},
        {"[servers]\na = b", ONE("unknown section [servers]")},
        {"[http]\nlisten_prot = 1",
         "c.ini:6: unknown setting of [http] \"listen_prot\"; did you mean listen_port?\n"},
        {"unix_socket_dir =",
         "c.ini: nowhere to listen: neither listen_addr nor unix_socket_dir is set\n"},
        {"auth_file = none.txt",
         "c.ini: cannot read \"none.txt\" (auth_file): No such file or directory\n"},
    };
    char text[256];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(text, sizeof(text), DATABASES ANY "%s\n", rows[i][0]);
        is_wrong(text, rows[i][1]);
    }
}

Test(config, a_wrong_database_or_user_is_named)
{
    static const char *const rows[][2] = {
        {"d = host", "expected a list of key=value, each value in '' if it has blanks"},
        {"d = host=''", "host: the value is empty"},
        {"d = hots=x", "unknown key of a database \"hots\"; did you mean host?"},
        {"d = port=0", "port: 0 is less than 1"},
        {"d = pool_size=many", "pool_size: \"many\" is not a whole number"},
        {"d = pool_mode=x", "pool_mode: \"x\" is none of: session transaction statement"},
        {"pgbouncer = host=x", "the database name \"pgbouncer\" is reserved for the console"},
        {"weir = host=x", "the database name \"weir\" is reserved for the console"},
        {"d234567890123456789012345678901234567890123456789012345678901234 = host=x",
         "a database's name has at most 63 characters"},
        {"[users]\nu = pool_sise=1",
         "unknown key of a user \"pool_sise\"; did you mean pool_size?"},
        {"[users]\nu = query_wait_timeout=-1",
         "query_wait_timeout: \"-1\" is not a number of seconds"},
    };
    char text[256], expected[256];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(text, sizeof(text), ANY DATABASES "%s\n", rows[i][0]);
        snprintf(expected, sizeof(expected), "c.ini:%d: %s\n", rows[i][0][0] == '[' ? 6 : 5,
                 rows[i][1]);
        /* An entry of the same name is told to be so, besides. */
        if (strncmp(rows[i][0], "d =", 3) == 0)
            strcat(expected, ONE_ODD("database \"d\" comes a second time, and this one counts"));
        cr_assert_eq(load(text), ERR_CONFIG);
        cr_assert_not_null(strstr(mistake_text(&mistakes), expected), "%s: %s", text,
                           mistake_text(&mistakes));
    }
}

Test(config, every_mistake_is_told_and_not_only_the_first)
{
    folder_put("more.ini", "pool_mode = x\n");
    folder_put("users.txt", "broken\n");
    is_wrong("[weir]\nauth_file = users.txt\n%include more.ini\nnonsense\nlog_stats = x\n",
             "more.ini:1: pool_mode: \"x\" is none of: session transaction statement\n"
             "c.ini:4: expected: name = value (an odd name needs double quotes)\n"
             "c.ini:5: log_stats: \"x\" is not a whole number\n"
             "c.ini: warning: nobody can be served: there is no database\n"
             "users.txt:1: expected: \"user\" \"secret\"\n");
}

Test(config, a_file_that_is_not_there_is_an_error)
{
    cr_assert_eq(config_load("none.ini", &config, &mistakes), ERR_CONFIG);
    cr_assert_not_null(
        strstr(mistake_text(&mistakes), "cannot read \"none.ini\": No such file or directory\n"));
}

Test(config, no_message_shows_a_password)
{
    cr_assert_eq(load("[databases]\nd = user=u password='sesame\nd = password=sesame x\n"
                      "sesame\n"),
                 ERR_CONFIG);
    cr_assert_null(strstr(mistake_text(&mistakes), "sesame"));
}

/* ---- what is odd ------------------------------------------------------------------------- */

Test(config, what_is_known_and_not_implemented_is_a_warning)
{
    static const char *const rows[][2] = {
        {"verbose = 0", ""},
        {"max_db_connections = 61",
         ONE_ODD("max_db_connections is not implemented yet, and ignored")},
        {"max_db_connections = 0", ""},
        {"so_reuseport = 1", ONE_ODD("so_reuseport is not implemented yet, and ignored")},
        {"[peers]\n1 = host=x", ONE_ODD("[peers] is not implemented yet, and ignored")},
        {"[users]\nu = transaction_timeout=1",
         "c.ini:6: warning: transaction_timeout is not implemented yet, and ignored\n"},
        {"[databases]\ne = user=u connect_query='select 1'",
         "c.ini:6: warning: connect_query is not implemented yet, and ignored\n"},
        {"[databases]\ne = user=u load_balance_hosts=round-robin", ""},
        {"[databases]\nd = user=v",
         "c.ini:6: warning: database \"d\" comes a second time, and this one counts\n"},
        {"[databases]\ne = host=x",
         "c.ini: warning: database \"e\" needs user=, as auth_type is any\n"},
        {"auth_type = md5",
         "c.ini: warning: nobody can log in: auth_file is not set, and auth_type not any\n"},
    };
    char text[256];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(text, sizeof(text), DATABASES ANY "%s\n", rows[i][0]);
        is_odd(text, rows[i][1]);
    }
}

/* ---- what is found ----------------------------------------------------------------------- */

Test(config, a_database_that_is_not_named_is_served_by_the_star)
{
    is_odd(ANY "[databases]\na = user=u\nb = user=u dbname=c\n* = user=s\n", "");
    cr_assert_str_eq(config_dbname(config_find_database(config, "a"), "a"), "a");
    cr_assert_str_eq(config_dbname(config_find_database(config, "b"), "b"), "c");
    cr_assert_str_eq(config_find_database(config, "z")->user, "s");
    cr_assert_str_eq(config_dbname(config_find_database(config, "z"), "z"), "z");
    is_odd(ANY "[databases]\na = user=u\n", "");
    cr_assert_null(config_find_database(config, "z"));
}

Test(config, the_user_goes_before_the_database_and_that_before_all)
{
    struct config_rules rules;

    is_odd(DATABASES
           "e = user=u pool_size=3 pool_mode=transaction query_wait_timeout=2 "
           "server_lifetime=4\nf = user=u server_lifetime=0 min_pool_size=0\n"
           "[users]\nana = pool_size=2 query_wait_timeout=1\neve = pool_mode=statement\n" ANY
           "default_pool_size = 9\nmin_pool_size = 1\n",
           "");
    config_get_rules(config, config_find_database(config, "e"), "ana", &rules);
    cr_assert_eq(rules.pool_size, 2);
    cr_assert_eq(rules.pool_mode, SETTINGS_POOL_MODE_TRANSACTION);
    cr_assert_eq(rules.query_wait_timeout_ms, 1000);
    cr_assert_eq(rules.server_lifetime_ms, 4000);
    config_get_rules(config, config_find_database(config, "e"), "bob", &rules);
    cr_assert_eq(rules.pool_size, 3);
    cr_assert_eq(rules.query_wait_timeout_ms, 2000);
    config_get_rules(config, config_find_database(config, "e"), "eve", &rules);
    cr_assert_eq(rules.pool_mode, SETTINGS_POOL_MODE_STATEMENT);
    config_get_rules(config, config_find_database(config, "f"), "bob", &rules);
    cr_assert_eq(rules.pool_size, 9);
    cr_assert_eq(rules.min_pool_size, 0);
    cr_assert_eq(rules.pool_mode, SETTINGS_POOL_MODE_SESSION);
    cr_assert_eq(rules.server_lifetime_ms, 3600000);
    cr_assert_null(config_find_user_settings(config, "bob"));
}

Test(config, http_has_its_own_address)
{
    is_odd(DATABASES ANY, "");
    cr_assert_str_eq(config->http.listen_addr, "127.0.0.1");
    cr_assert_eq(config->http.listen_port, 8080);
    is_odd(DATABASES ANY "[http]\nlisten_addr = ::1\nlisten_port = 0\n", "");
    cr_assert_str_eq(config->http.listen_addr, "::1");
    cr_assert_eq(config->http.listen_port, 0);
}

Test(config, want_of_memory_is_told_wherever_it_strikes)
{
    enum err e = ERR_NO_MEMORY;

    folder_put("users.txt", "\"ana\" \"x\"\n");
    folder_put("c.ini", "[databases]\nd = user=u\nd = user=u\n* = host=h\n[users]\nana = "
                        "pool_size=1\n[weir]\nauth_file = users.txt\n[http]\nlisten_port = 1\n");
    for (long n = 0; e == ERR_NO_MEMORY; n++) {
        forget();
        no_memory_after(n);
        e = config_load("c.ini", &config, &mistakes);
        no_memory_after(NO_MEMORY_NEVER);
        cr_assert_eq(e == ERR_OK, config != NULL);
    }
    cr_assert_eq(e, ERR_OK);
}
