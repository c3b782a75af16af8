#include <criterion/criterion.h>
#include <stdio.h>
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

TestSuite(config_redis, .init = folder_enter, .fini = leave);

/* [redis] stands in the first line, so text begins with the second. */
static enum err load(const char *text)
{
    char whole[1024];

    forget();
    snprintf(whole, sizeof(whole), "[redis]\n%s\n", text);
    folder_put("c.ini", whole);
    return config_load("c.ini", &config, &mistakes);
}

static void is_told(const char *text, enum err e, const char *expected)
{
    cr_assert_eq(load(text), e, "%s: %s", text, mistake_text(&mistakes));
    cr_assert_eq(e == ERR_OK, config != NULL);
    cr_assert_str_eq(mistake_text(&mistakes), expected, "%s: %s", text, mistake_text(&mistakes));
}

static const struct config_redis_upstream *upstream(const char *name)
{
    const struct config_redis_upstream *found =
        NAMED_ITEM(named_find(&config->redis.upstreams, name), struct config_redis_upstream, named);

    cr_assert_not_null(found, "%s", name);
    return found;
}

/* ---- what is served ---------------------------------------------------------------------- */

Test(config_redis, an_upstream_is_all_it_takes)
{
    is_told("cache = redis://10.0.0.5/2", ERR_OK, "");
    cr_assert_not(config_serves_postgres(config));
    cr_assert(config_redis_is_served(&config->redis));
    cr_assert_str_eq(upstream("cache")->url.host, "10.0.0.5");
    cr_assert_eq(upstream("cache")->url.port, 6379);
    cr_assert_eq(upstream("cache")->url.database, 2);
    cr_assert_str_eq(upstream("cache")->listen_addr, "127.0.0.1");
    cr_assert_eq(upstream("cache")->listen_port, 6380);
    cr_assert_null(upstream("cache")->unix_socket);
    cr_assert_eq(config->redis.auth, CONFIG_REDIS_AUTH_PASS);
    cr_assert_eq(config->redis.connections, 1);
    cr_assert_eq(config->redis.connect_timeout_ms, 5000);
    cr_assert_eq(config->redis.client_output_limit, 64 << 20);
    cr_assert_eq(config->redis.unix_socket_mode, 0777);
    cr_assert_not_null(config->redis.userlist);
}

Test(config_redis, the_first_is_served_where_the_section_says_and_the_others_where_they_say)
{
    is_told("a = redis://10.0.0.1\n"
            "b = rediss://10.0.0.2:7000 listen_port=6381\n"
            "c = unix:///run/redis.sock listen_addr='::1, 127.0.0.2' listen_port=7001\n"
            "d = redis://10.0.0.3 unix_socket=/run/d.sock\n"
            "listen_addr = 127.0.0.3\nlisten_port = 7001\nunix_socket = /run/a.sock\n",
            ERR_OK, "");
    cr_assert_str_eq(upstream("a")->listen_addr, "127.0.0.3");
    cr_assert_eq(upstream("a")->listen_port, 7001);
    cr_assert_str_eq(upstream("a")->unix_socket, "/run/a.sock");
    cr_assert(upstream("b")->url.tls);
    cr_assert_str_eq(upstream("b")->listen_addr, "127.0.0.3");
    cr_assert_eq(upstream("b")->listen_port, 6381);
    cr_assert_null(upstream("b")->unix_socket);
    cr_assert_str_eq(upstream("c")->url.path, "/run/redis.sock");
    cr_assert_str_eq(upstream("c")->listen_addr, "::1, 127.0.0.2");
    cr_assert_eq(upstream("d")->listen_port, 0);
    cr_assert_str_eq(upstream("d")->unix_socket, "/run/d.sock");
}

Test(config_redis, a_unix_socket_alone_is_enough)
{
    is_told("a = redis://h\nlisten_port = 0\nunix_socket = /run/a.sock", ERR_OK, "");
    cr_assert(config_redis_is_served(&config->redis));
    is_told("a = redis://h listen_addr='' unix_socket=/run/a.sock", ERR_CONFIG,
            "c.ini:2: listen_addr: the value is empty\n");
}

Test(config_redis, databases_are_served_besides)
{
    is_told("a = redis://h\n[databases]\nd = user=u\n[weir]\nauth_type = any", ERR_OK, "");
    cr_assert(config_serves_postgres(config));
    is_told("a = redis://h\nlisten_port = 0\n[databases]\nd = user=u\n[weir]\nauth_type = any",
            ERR_OK, "c.ini:2: warning: upstream \"a\" is not served: listen_port is 0\n");
    cr_assert(config_serves_postgres(config));
    cr_assert_not(config_redis_is_served(&config->redis));
}

/* ---- who is served ----------------------------------------------------------------------- */

Test(config_redis, users_are_those_of_auth_file_or_of_weir)
{
    folder_put("own.txt", "\"ana\" \"x\"\n");
    folder_put("all.txt", "\"bob\" \"y\"\n");
    is_told("a = redis://:p@h\nauth = file\nauth_file = own.txt", ERR_OK, "");
    cr_assert_eq(config->redis.auth, CONFIG_REDIS_AUTH_FILE);
    cr_assert_not_null(userlist_find(config->redis.userlist, "ana"));
    is_told("a = redis://:p@h\nauth = file\n[weir]\nauth_file = all.txt", ERR_OK, "");
    cr_assert_not_null(userlist_find(config->redis.userlist, "bob"));
    cr_assert_null(userlist_find(config->redis.userlist, "ana"));
}

Test(config_redis, nobody_from_outside_is_served_as_the_urls_user)
{
#define WIDE(host)                                                                                 \
    "c.ini:2: upstream \"a\": as auth is none, whoever can reach " host " would be served as the " \
    "URL's user: listen on 127.0.0.1, or set auth to file or pass\n"

    is_told("a = redis://:p@h\nauth = none\nlisten_addr = *", ERR_CONFIG, WIDE("*"));
    is_told("a = redis://:p@h\nauth = none\nlisten_addr = 127.0.0.1, ::", ERR_CONFIG, WIDE("::"));
    is_told("a = redis://:p@h listen_addr=10.0.0.1\nauth = none", ERR_CONFIG, WIDE("10.0.0.1"));
    is_told("a = redis://:p@h\nauth = none\nlisten_addr = localhost, ::1", ERR_OK, "");
    is_told("a = redis://:p@h\nauth = none\nlisten_addr = *\nlisten_port = 0\n"
            "unix_socket = /run/a.sock",
            ERR_OK, "");
}

/* ---- what is wrong, and what is odd ------------------------------------------------------ */

Test(config_redis, a_wrong_line_is_named_and_nothing_is_loaded)
{
    static const char *const rows[][2] = {
        {"listen_port = 70000", "listen_port: 70000 is more than 65535"},
        {"connections = 0", "connections: 0 is less than 1"},
        {"auth = maybe", "auth: \"maybe\" is none of: pass none file"},
        {"conections = 1", "unknown setting of [redis] \"conections\"; did you mean connections?"},
        {"cache = 10.0.0.5:6379",
         "\"cache\" is no setting of [redis], and for an upstream its value must be a URL, like "
         "redis://host:6379"},
        {"listen_addr = redis://h", "listen_addr is a setting, and no name for an upstream"},
        {"a = redis://h", "there is an upstream \"a\" already"},
        {"b = redis://h", "upstream \"b\" needs a listen_port of its own"},
        {"b = redis://h listen_port=6380", "upstream \"b\": port 6380 is a's"},
        {"b = redis://h listen_port=6380 listen_addr=0.0.0.0", "upstream \"b\": port 6380 is a's"},
        {"b = redis://h listen_port=8080", "upstream \"b\": port 8080 is HTTP's"},
        {"b = redis://h listen_port=6432", "upstream \"b\": port 6432 is PostgreSQL's"},
        {"b = redis://h unix_socket=/s\nc = redis://h listen_port=1 unix_socket=/s\n",
         "upstream \"c\": unix_socket is b's"},
        {"b = redis://h listen_prot=1",
         "unknown key of an upstream \"listen_prot\"; did you mean listen_port?"},
        {"b = redis://h 6381", "expected a list of key=value, each value in '' if it has blanks"},
        {"b234567890123456789012345678901234567890123456789012345678901234 = redis://h",
         "an upstream's name has at most 63 characters"},
    };
    char text[512], expected[512];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int line = 6 + (strchr(rows[i][0], '\n') != NULL);

        snprintf(text, sizeof(text),
                 "[databases]\nd = user=u\n[redis]\na = redis://h\n%s\n[weir]\nauth_type = "
                 "any\nlisten_addr = *",
                 rows[i][0]);
        snprintf(expected, sizeof(expected), "c.ini:%d: %s\n", line, rows[i][1]);
        is_told(text, ERR_CONFIG, expected);
    }
}

Test(config_redis, a_wrong_url_is_named_and_not_shown)
{
    static const char *const rows[] = {"redis://:sesame@h:port", "redis://h/sesame",
                                       "sesame://:sesame@h", "redis://sesame@h",
                                       "redis://h?sesame=1 x"};
    char text[256];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(text, sizeof(text), "a = %s", rows[i]);
        cr_assert_eq(load(text), ERR_CONFIG, "%s", text);
        cr_assert_eq(strncmp(mistake_text(&mistakes), "c.ini:2: ", 9), 0, "%s",
                     mistake_text(&mistakes));
        cr_assert(i == 4 || strstr(mistake_text(&mistakes), "sesame") == NULL, "%s",
                  mistake_text(&mistakes));
    }
    cr_assert_eq(load("listen_addr = redis://:sesame@h"), ERR_CONFIG);
    cr_assert_null(strstr(mistake_text(&mistakes), "sesame"));
}

Test(config_redis, what_is_wrong_as_a_whole_is_told)
{
    is_told("a = redis://h\nlisten_port = 0", ERR_CONFIG,
            "c.ini:2: warning: upstream \"a\" is not served: listen_port is 0\n"
            "c.ini: nowhere to listen: there is no database, and no upstream is served\n");
    is_told("a = redis://h\nauth = file", ERR_CONFIG,
            "c.ini: auth of [redis] is file, but there is no auth_file\n");
    is_told("a = redis://h\nauth = file\nauth_file = none.txt", ERR_CONFIG,
            "c.ini: cannot read \"none.txt\" (auth_file): No such file or directory\n");
    folder_put("users.txt", "broken\n");
    is_told("a = redis://h\nauth = file\nauth_file = users.txt", ERR_CONFIG,
            "users.txt:1: expected: \"user\" \"secret\"\n");
}

Test(config_redis, what_is_odd_is_a_warning)
{
    is_told("a = redis://:p@h", ERR_OK,
            "c.ini:2: warning: upstream \"a\": clients are not served as the URL's user, as auth "
            "is pass\n");
    is_told("a = redis://localhost\nlisten_addr = *", ERR_OK,
            "c.ini:2: warning: upstream \"a\": whoever can reach * is to Redis a client of its own "
            "machine: its default user should have a password\n");
    is_told("a = redis://10.0.0.5\nlisten_addr = *", ERR_OK, "");
    is_told("a = redis://h\nauth_file = x", ERR_OK,
            "c.ini: warning: auth_file of [redis] says nothing unless auth is file\n");
    folder_put("users.txt", "; nobody\n");
    is_told("a = redis://h\nauth = file\nauth_file = users.txt", ERR_OK,
            "c.ini: warning: nobody can log in to [redis]: there is no user in auth_file\n");
    is_told("[databases]\nd = user=u\n[weir]\nauth_type = any\n[redis]\nconnections = 2", ERR_OK,
            "c.ini: warning: nobody can be served by [redis]: there is no upstream\n");
}

Test(config_redis, want_of_memory_is_told_wherever_it_strikes)
{
    enum err e = ERR_NO_MEMORY;

    folder_put("users.txt", "\"ana\" \"x\"\n");
    folder_put("c.ini", "[redis]\na = rediss://u:p@h/1?cacert=x\nb = unix:///s listen_port=1 "
                        "listen_addr=127.0.0.1\nunix_socket = /t\nauth = file\n"
                        "auth_file = users.txt\n[http]\nlisten_port = 2\n");
    for (long n = 0; e == ERR_NO_MEMORY; n++) {
        forget();
        no_memory_after(n);
        e = config_load("c.ini", &config, &mistakes);
        no_memory_after(NO_MEMORY_NEVER);
        cr_assert_eq(e == ERR_OK, config != NULL);
    }
    cr_assert_eq(e, ERR_OK, "%s", mistake_text(&mistakes));
    forget();
}
