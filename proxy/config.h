/*
 * proxy/config.h - what weir was told to be.
 *
 *      struct mistake_list mistakes = {0};
 *      struct config *config;
 *      enum err e = config_load("weir.ini", &config, &mistakes);
 *      fputs(mistake_text(&mistakes), stderr);         there may be warnings in any case
 *      if (e == ERR_OK) {
 *          database = config_find_database(config, "shop");
 *          config_get_rules(config, database, "ana", &rules);
 *          config_destroy(config);
 *      }
 *
 * A file is read whole, the files it includes and its auth_file with it, and every mistake
 * is told; only a file without errors becomes a config. It never changes after that: a
 * reload makes another one.
 *
 * A database and a user may say for themselves what [weir] says for all; what then holds
 * for a user in a database is put together by config_get_rules().
 */
#ifndef PROXY_CONFIG_H
#define PROXY_CONFIG_H

#include "base/contract.h"
#include "base/err.h"
#include "base/mistake.h"
#include "proxy/config_http.h"
#include "proxy/config_redis.h"
#include "proxy/named.h"
#include "proxy/settings.h"
#include "proxy/userlist.h"

/* In characters. The server cuts longer ones, which might be another's name then. */
enum { CONFIG_LONGEST_DATABASE = 63, CONFIG_LONGEST_USER = 127 };

/* A string is NULL and a number OPTION_UNSET where nothing was said. */
struct config_database {
    struct named named; /* "*" is any that is not named */
    char *host, *dbname, *user, *password;
    uint64_t port;  /* always set */
    char *conninfo; /* libpq's, as it was given: then the five above say nothing */
    char *application_name, *client_encoding, *datestyle, *timezone;
    uint64_t pool_size, min_pool_size;
    enum settings_pool_mode pool_mode;
    enum settings_session_state session_state;
    uint64_t server_lifetime_ms, query_wait_timeout_ms;
};

struct config_user {
    struct named named;
    uint64_t pool_size;
    enum settings_pool_mode pool_mode;
    enum settings_session_state session_state;
    uint64_t query_wait_timeout_ms;
};

struct config {
    struct settings settings;
    struct config_http http;
    struct config_redis redis;
    struct named_set databases; /* of struct config_database, the "*" among them */
    struct named_set users;     /* of struct config_user */
    struct userlist *userlist;  /* never NULL; empty without auth_file */
};

/* What holds for a user in a database. */
struct config_rules {
    uint64_t pool_size, min_pool_size; /* a pool_size of 0 is no limit */
    enum settings_pool_mode pool_mode;
    enum settings_session_state session_state;
    uint64_t server_lifetime_ms;    /* 0: used once */
    uint64_t query_wait_timeout_ms; /* 0: no limit */
};

/* The tables of keys, for documentation; [weir] has settings_table. */
extern const struct option_table config_database_table, config_user_table;

/* Gives a config on ERR_OK; ERR_CONFIG and ERR_NO_MEMORY are told by mistakes, too. */
enum err config_load(const char *path, struct config **config,
                     struct mistake_list *mistakes) MUST_CHECK;

/* Servers without a file: --postgres URL, --redis URL and what may stand beside them, as the
 * command line has them; NULL where it has none. Every client is served as the URL's user,
 * so who comes from elsewhere than this machine must be in auth_file. A Redis URL without a
 * password makes nobody anything: then clients' AUTH passes to Redis. */
struct config_urls {
    const char *postgres; /* a URL or conninfo string of libpq, and for libpq to read */
    const char *redis;    /* as drivers/redis/url.h has it */
    const char *listen, *redis_listen, *http, *pool_size, *auth_file;
};

enum err config_from_urls(const struct config_urls *urls, struct config **config,
                          struct mistake_list *mistakes) MUST_CHECK;

/* Takes the config; NULL is none. */
void config_destroy(struct config *config);

/* Whether there is a PostgreSQL door: not where there are upstreams of [redis] alone. */
bool config_serves_postgres(const struct config *config);

/* The database of that name, else "*", else NULL. */
const struct config_database *config_find_database(const struct config *config, const char *name);

/* Its name on the server for a client that asked for `requested`; NULL: conninfo says. */
const char *config_dbname(const struct config_database *database, const char *requested);

/* What [users] says about a user, or NULL. It does not tell whether the user exists. */
const struct config_user *config_find_user_settings(const struct config *config, const char *name);

void config_get_rules(const struct config *config, const struct config_database *database,
                      const char *user, struct config_rules *rules);

#endif
