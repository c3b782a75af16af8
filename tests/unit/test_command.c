#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "proxy/command.h"

TestSuite(command, .init = folder_enter, .fini = folder_leave);

/* ---- the words the stories are told in --------------------------------------------------- */

enum { MOST_WORDS = 16 };

static struct mistake_list mistakes;
static struct command command;
static char words[512];

/* Parses what follows the program's name; words have no blanks in them. */
static enum err parse(const char *line)
{
    char *argv[MOST_WORDS + 1] = {"weir"};
    int argc = 1;

    snprintf(words, sizeof(words), "%s", line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    mistake_free(&mistakes);
    return command_parse(argc, argv, &command, &mistakes);
}

static void is_wrong(const char *line, const char *expected)
{
    cr_assert_eq(parse(line), ERR_CONFIG, "%s", line);
    cr_assert_str_eq(mistake_text(&mistakes), expected, "%s: %s", line, mistake_text(&mistakes));
    mistake_free(&mistakes);
}

/* What is answered, and with which status; the caller's to free. */
static char *answer_to(const char *line, int status)
{
    char *told = NULL;
    size_t length;
    FILE *file = open_memstream(&told, &length);

    cr_assert_eq(parse(line), ERR_OK, "%s", mistake_text(&mistakes));
    cr_assert_eq(command_answer(&command, file, file), status);
    fclose(file);
    return told;
}

static void is_answered(const char *line, int status, const char *expected)
{
    char *told = answer_to(line, status);

    cr_assert_str_eq(told, expected, "%s: %s", line, told);
    free(told);
}

/* ---- the stories ------------------------------------------------------------------------- */

Test(command, a_file_is_all_it_takes)
{
    cr_assert_eq(parse("-v weir.ini -vq"), ERR_OK);
    cr_assert_eq(command.what, COMMAND_RUN);
    cr_assert_str_eq(command.config_path, "weir.ini");
    cr_assert_eq(command.verbose, 2);
    cr_assert(command.quiet);
}

Test(command, what_makes_no_sense_is_said)
{
    static const char *const rows[][2] = {
        {"", "a configuration file, --postgres URL or --redis URL is needed; see weir --help\n"},
        {"--check",
         "a configuration file, --postgres URL or --redis URL is needed; see weir --help\n"},
        {"a.ini b.ini", "more than one configuration file\n"},
        {"a.ini --postgres x", "a configuration file or --postgres, not both\n"},
        {"a.ini --redis x", "a configuration file or --redis, not both\n"},
        {"a.ini --pool-size 3",
         "--listen, --redis-listen, --http, --pool-size and --auth-file go with a URL; "
         "a configuration file says these itself\n"},
        {"--redis x --pool-size 3", "--listen and --pool-size go with --postgres\n"},
        {"--redis x --listen 127.0.0.1:1", "--listen and --pool-size go with --postgres\n"},
        {"--postgres x --redis-listen 127.0.0.1:1", "--redis-listen goes with --redis\n"},
        {"--postgres", "--postgres needs an argument\n"},
        {"-x a.ini", "unknown option -x; see weir --help\n"},
        {"--nonsense a.ini", "unknown option --nonsense; see weir --help\n"},
        {"--check=yes a.ini", "unknown option --check=yes; see weir --help\n"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        is_wrong(rows[i][0], rows[i][1]);
}

Test(command, check_tells_every_mistake)
{
    folder_put("good.ini", "[databases]\n* = user=u\n[weir]\nauth_type = any\n");
    folder_put("odd.ini", "[databases]\n* = user=u\n[weir]\nauth_type = any\nlog_stats = 0\n");
    folder_put("bad.ini", "[weir]\nauth_type = any\nlisten_port = x\nxyz = 1\n");
    is_answered("--check good.ini", 0, "good.ini: ok\n");
    is_answered("--check odd.ini", 0,
                "odd.ini:5: warning: log_stats is not implemented yet, and ignored\n"
                "odd.ini: ok\n");
    is_answered("bad.ini --check", 1,
                "bad.ini:3: listen_port: \"x\" is not a whole number\n"
                "bad.ini:4: unknown setting \"xyz\"\n"
                "bad.ini: warning: nobody can be served: there is no database\n");
    is_answered("--check --postgres postgres://u@h/d", 0, "--postgres: ok\n");
    is_answered("--check --redis redis://h", 0, "--redis: ok\n");
    folder_put("redis.ini", "[redis]\ncache = redis://h\ncache = redis://h\nqueue = redis://h\n");
    is_answered("redis.ini --check", 1,
                "redis.ini:3: there is an upstream \"cache\" already\n"
                "redis.ini:4: upstream \"queue\" needs a listen_port of its own\n");
}

Test(command, it_tells_its_version_its_help_and_its_settings)
{
    char *help, *settings;

    is_answered("--version", 0, "weir 0.1.0\n");
    help = answer_to("--help", 0);
    settings = answer_to("--settings", 0);
    cr_assert_not_null(strstr(help, "--check CONFIG.ini"));
    cr_assert_not_null(strstr(settings, "### [databases]\n\n| key of a database | value |"));
    cr_assert_not_null(strstr(settings, "### [redis]\n\n| setting of [redis] | value |"));
    cr_assert_not_null(strstr(settings, "| `auth` | `pass`, `none`, `file` | `pass` | live |"));
    cr_assert_not_null(strstr(settings, "| key of an upstream | value |"));
    cr_assert_not_null(
        strstr(settings, "| `listen_port` | number, 1 to 65535 | `6432` | at start"));
    free(help);
    free(settings);
}

/* ---- one server without a file ----------------------------------------------------------- */

static struct config *config_of(const char *line)
{
    struct config *config = NULL;

    cr_assert_eq(parse(line), ERR_OK);
    cr_assert_eq(command_load(&command, &config, &mistakes), ERR_OK, "%s: %s", line,
                 mistake_text(&mistakes));
    cr_assert_str_eq(mistake_text(&mistakes), "");
    mistake_free(&mistakes);
    return config;
}

Test(command, a_url_is_served_to_this_machine_as_its_user)
{
    struct config *config = config_of("--postgres postgres://u:p@h/d --pool-size 7");
    const struct config_database *any = config_find_database(config, "whatever");

    cr_assert_str_eq(any->conninfo, "postgres://u:p@h/d");
    cr_assert_null(config_dbname(any, "whatever"));
    cr_assert_str_eq(config->settings.listen_addr, "127.0.0.1");
    cr_assert_eq(config->settings.listen_port, 6432);
    cr_assert_str_eq(config->settings.unix_socket_dir, "");
    cr_assert_eq(config->settings.auth_type, SETTINGS_AUTH_ANY);
    cr_assert_eq(config->settings.pool_mode, SETTINGS_POOL_MODE_TRANSACTION);
    cr_assert_eq(config->settings.default_pool_size, 7);
    cr_assert_eq(config->http.listen_port, 8080);
    config_destroy(config);
}

Test(command, it_listens_where_it_is_told)
{
    struct config *config = config_of("--postgres x --listen [::1]:7000 --http 127.0.0.1:0");

    cr_assert_str_eq(config->settings.listen_addr, "::1");
    cr_assert_eq(config->settings.listen_port, 7000);
    cr_assert_eq(config->http.listen_port, 0);
    config_destroy(config);

    config = config_of("--postgres x --listen /run/weir");
    cr_assert_str_eq(config->settings.listen_addr, "");
    cr_assert_str_eq(config->settings.unix_socket_dir, "/run/weir");
    cr_assert_eq(config->settings.listen_port, 6432);
    config_destroy(config);
}

Test(command, nobody_from_outside_is_served_without_a_password)
{
#define REFUSED(option, host)                                                                      \
    option ": whoever can reach " host " would be served as the server's user: listen on "         \
           "127.0.0.1, or say with --auth-file who may come in\n"
    static const char *const rows[][2] = {
        {"--listen 0.0.0.0:6432", REFUSED("--listen", "0.0.0.0")},
        {"--listen *:6432", REFUSED("--listen", "*")},
        {"--listen [::]:6432", REFUSED("--listen", "::")},
        {"--http 10.0.0.1:80", REFUSED("--http", "10.0.0.1")},
        {"--listen 6432", "--listen: \"6432\" is not HOST:PORT, [::1]:PORT or /folder\n"},
        {"--listen 127.0.0.1:0", "--listen: the port must be at least 1\n"},
        {"--http /run/weir", "--http: HTTP is served over TCP only: HOST:PORT\n"},
        {"--pool-size x", "--pool-size: default_pool_size: \"x\" is not a whole number\n"},
    };
    struct config *config = NULL;
    char line[256];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(line, sizeof(line), "--postgres x %s", rows[i][0]);
        cr_assert_eq(parse(line), ERR_OK);
        cr_assert_eq(command_load(&command, &config, &mistakes), ERR_CONFIG, "%s", line);
        cr_assert_str_eq(mistake_text(&mistakes), rows[i][1], "%s: %s", line,
                         mistake_text(&mistakes));
    }
    mistake_free(&mistakes);
}

Test(command, with_an_auth_file_it_may_listen_anywhere)
{
    struct config *config;

    folder_put("users.txt", "\"ana\" \"x\"\n");
    config = config_of("--postgres x --listen 0.0.0.0:6432 --auth-file users.txt");
    cr_assert_eq(config->settings.auth_type, SETTINGS_AUTH_SCRAM);
    cr_assert_str_eq(config->settings.listen_addr, "0.0.0.0");
    cr_assert_str_eq(userlist_find(config->userlist, "ana")->secret, "x");
    config_destroy(config);
}

/* ---- Redis without a file ---------------------------------------------------------------- */

static const struct config_redis_upstream *upstream_in(const struct config *config)
{
    cr_assert_eq(named_count(&config->redis.upstreams), 1);
    return NAMED_ITEM(named_first(&config->redis.upstreams), struct config_redis_upstream, named);
}

Test(command, redis_alone_needs_no_postgres)
{
    struct config *config = config_of("--redis redis://10.0.0.5/3");
    const struct config_redis_upstream *upstream = upstream_in(config);

    cr_assert_not(config_serves_postgres(config));
    cr_assert_str_eq(upstream->named.name, "redis");
    cr_assert_str_eq(upstream->url.host, "10.0.0.5");
    cr_assert_eq(upstream->url.database, 3);
    cr_assert_str_eq(upstream->listen_addr, "127.0.0.1");
    cr_assert_eq(upstream->listen_port, 6380);
    cr_assert_null(upstream->unix_socket);
    cr_assert_eq(config->redis.auth, CONFIG_REDIS_AUTH_PASS);
    cr_assert_eq(config->http.listen_port, 8080);
    config_destroy(config);
}

Test(command, both_can_be_served_at_once)
{
    struct config *config = config_of("--postgres x --redis redis://:secret@h --listen [::1]:7000 "
                                      "--redis-listen 127.0.0.2:7000");

    cr_assert(config_serves_postgres(config));
    cr_assert_eq(config->settings.listen_port, 7000);
    cr_assert_eq(config->settings.auth_type, SETTINGS_AUTH_ANY);
    cr_assert_str_eq(upstream_in(config)->listen_addr, "127.0.0.2");
    cr_assert_eq(upstream_in(config)->listen_port, 7000);
    cr_assert_eq(config->redis.auth, CONFIG_REDIS_AUTH_NONE);
    config_destroy(config);
}

Test(command, redis_is_served_on_a_unix_socket_too)
{
    struct config *config = config_of("--redis unix:///run/redis.sock --redis-listen /tmp/w.sock");

    cr_assert_str_eq(upstream_in(config)->url.path, "/run/redis.sock");
    cr_assert_str_eq(upstream_in(config)->listen_addr, "");
    cr_assert_eq(upstream_in(config)->listen_port, 0);
    cr_assert_str_eq(upstream_in(config)->unix_socket, "/tmp/w.sock");
    config_destroy(config);
}

Test(command, nobody_from_outside_is_served_as_the_user_of_a_redis_url)
{
#define NOWHERE(text)                                                                              \
    "--redis-listen: \"" text "\" is not HOST:PORT, [::1]:PORT or /path of a Unix socket\n"
    static const char *const rows[][2] = {
        {"--redis redis://:p@h --redis-listen 0.0.0.0:6380",
         "--redis-listen: whoever can reach 0.0.0.0 would be served as the URL's user: listen on "
         "127.0.0.1, or say with --auth-file who may come in\n"},
        {"--redis redis://h --redis-listen 6380", NOWHERE("6380")},
        {"--redis redis://h --redis-listen 127.0.0.1:0", NOWHERE("127.0.0.1:0")},
        {"--redis redis://h --redis-listen /run/weir:1", NOWHERE("/run/weir:1")},
        {"--redis redis://h --postgres x --redis-listen 127.0.0.1:6432",
         "--redis: upstream \"redis\": port 6432 is PostgreSQL's\n"},
        {"--redis redis://h --redis-listen 127.0.0.1:8080",
         "--redis: upstream \"redis\": port 8080 is HTTP's\n"},
    };
    struct config *config = NULL;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_assert_eq(parse(rows[i][0]), ERR_OK);
        cr_assert_eq(command_load(&command, &config, &mistakes), ERR_CONFIG, "%s", rows[i][0]);
        cr_assert_str_eq(mistake_text(&mistakes), rows[i][1], "%s: %s", rows[i][0],
                         mistake_text(&mistakes));
    }
    cr_assert_eq(parse("--redis h:6379"), ERR_OK);
    cr_assert_eq(command_load(&command, &config, &mistakes), ERR_CONFIG);
    cr_assert_not_null(strstr(mistake_text(&mistakes), "--redis: "));
    mistake_free(&mistakes);
}

Test(command, redis_may_listen_anywhere_where_clients_say_who_they_are)
{
    struct config *config = config_of("--redis redis://10.0.0.5 --redis-listen 0.0.0.0:6380");

    cr_assert_str_eq(upstream_in(config)->listen_addr, "0.0.0.0");
    config_destroy(config);

    folder_put("users.txt", "\"ana\" \"x\"\n");
    config = config_of("--redis redis://:p@h --redis-listen *:6380 --auth-file users.txt");
    cr_assert_eq(config->redis.auth, CONFIG_REDIS_AUTH_FILE);
    cr_assert_str_eq(userlist_find(config->redis.userlist, "ana")->secret, "x");
    config_destroy(config);
}
