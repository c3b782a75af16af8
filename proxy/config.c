#include "proxy/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/ini.h"
#include "proxy/address.h"

/* ---- what an entry can say --------------------------------------------------------------- */

#define DATABASE(field) offsetof(struct config_database, field)
#define USER(field)     offsetof(struct config_user, field)
#define NOT_YET         OPTION_NOWHERE
#define LIVE            OPTION_LIVE
#define COUNT           OPTION_COUNT(0, OPTION_ANY)
#define POOL_MODE       OPTION_WORD(SETTINGS_POOL_MODES)
#define SESSION_STATE   OPTION_WORD(SETTINGS_SESSION_STATES)
#define BALANCE         OPTION_WORD("round-robin disable")

/* clang-format off */
static const struct option_row database_rows[] = {
    {"application_name",          OPTION_STRING, DATABASE(application_name),      NULL, LIVE, "What the server is told to call the connection."},
    {"auth_dbname",               OPTION_STRING, NOT_YET,                         NULL, LIVE, "The database that auth_query is asked in."},
    {"auth_query",                OPTION_STRING, NOT_YET,                         NULL, LIVE, "The query that finds a user's secret."},
    {"auth_user",                 OPTION_STRING, NOT_YET,                         NULL, LIVE, "The user who asks auth_query."},
    {"client_encoding",           OPTION_STRING, DATABASE(client_encoding),       NULL, LIVE, "The encoding that the server is asked for."},
    {"connect_query",             OPTION_STRING, NOT_YET,                         NULL, LIVE, "A query for every new server connection."},
    {"datestyle",                 OPTION_STRING, DATABASE(datestyle),             NULL, LIVE, "The style of dates that the server is asked for."},
    {"dbname",                    OPTION_STRING, DATABASE(dbname),                NULL, LIVE, "The name on the server; else the entry's."},
    {"host",                      OPTION_STRING, DATABASE(host),                  NULL, LIVE, "Name, address, folder of a Unix socket, or several with commas between."},
    {"load_balance_hosts",        BALANCE,       NOT_YET,              "round-robin", LIVE, "Whether several hosts take turns."},
    {"max_db_client_connections", COUNT,         NOT_YET,                         NULL, LIVE, "How many clients the database may have."},
    {"max_db_connections",        COUNT,         NOT_YET,                         NULL, LIVE, "How many server connections the database may have over all pools."},
    {"min_pool_size",             COUNT,         DATABASE(min_pool_size),         NULL, LIVE, "In place of min_pool_size for all."},
    {"password",                  OPTION_STRING, DATABASE(password),              NULL, LIVE, "The password of user."},
    {"pool_mode",                 POOL_MODE,     DATABASE(pool_mode),             NULL, LIVE, "In place of pool_mode for all."},
    {"pool_size",                 COUNT,         DATABASE(pool_size),             NULL, LIVE, "In place of default_pool_size."},
    {"port",                      OPTION_COUNT(1, 65535), DATABASE(port),       "5432", LIVE, "The server's port."},
    {"query_wait_timeout",        OPTION_SECONDS, DATABASE(query_wait_timeout_ms), NULL, LIVE, "In place of query_wait_timeout for all."},
    {"reserve_pool",              COUNT,         NOT_YET,                         NULL, LIVE, "Another name of reserve_pool_size."},
    {"reserve_pool_size",         COUNT,         NOT_YET,                         NULL, LIVE, "In place of reserve_pool_size for all."},
    {"server_lifetime",           OPTION_SECONDS, DATABASE(server_lifetime_ms),   NULL, LIVE, "In place of server_lifetime for all; 0: not in its place."},
    {"session_state",             SESSION_STATE, DATABASE(session_state),         NULL, LIVE, "In place of session_state for all."},
    {"timezone",                  OPTION_STRING, DATABASE(timezone),              NULL, LIVE, "The time zone that the server is asked for."},
    {"user",                      OPTION_STRING, DATABASE(user),                  NULL, LIVE, "Who all clients are on the server."},
};

static const struct option_row user_rows[] = {
    {"client_idle_timeout",         OPTION_SECONDS, NOT_YET,                           NULL, LIVE, "In place of client_idle_timeout for all."},
    {"idle_transaction_timeout",    OPTION_SECONDS, NOT_YET,                           NULL, LIVE, "In place of idle_transaction_timeout for all."},
    {"max_user_client_connections", COUNT,          NOT_YET,                           NULL, LIVE, "In place of max_user_client_connections for all."},
    {"max_user_connections",        COUNT,          NOT_YET,                           NULL, LIVE, "In place of max_user_connections for all."},
    {"pool_mode",                   POOL_MODE,      USER(pool_mode),                   NULL, LIVE, "In place of the database's pool_mode."},
    {"pool_size",                   COUNT,          USER(pool_size),                   NULL, LIVE, "In place of the database's pool_size."},
    {"query_timeout",               OPTION_SECONDS, NOT_YET,                           NULL, LIVE, "In place of query_timeout for all."},
    {"query_wait_timeout",          OPTION_SECONDS, USER(query_wait_timeout_ms),       NULL, LIVE, "In place of the database's query_wait_timeout."},
    {"reserve_pool_size",           COUNT,          NOT_YET,                           NULL, LIVE, "In place of the database's reserve_pool_size."},
    {"session_state",               SESSION_STATE,  USER(session_state),               NULL, LIVE, "In place of the database's session_state."},
    {"transaction_timeout",         OPTION_SECONDS, NOT_YET,                           NULL, LIVE, "In place of transaction_timeout for all."},
};
/* clang-format on */

const struct option_table config_database_table = {database_rows, COUNT_OF(database_rows),
                                                   "key of a database"};
const struct option_table config_user_table = {user_rows, COUNT_OF(user_rows), "key of a user"};

/* ---- databases and users ----------------------------------------------------------------- */

static void destroy_database(struct config_database *database)
{
    option_free(&config_database_table, database);
    free(database->conninfo);
    free((char *)database->named.name);
    free(database);
}

static void destroy_user(struct config_user *user)
{
    option_free(&config_user_table, user);
    free((char *)user->named.name);
    free(user);
}

static struct config_database *create_database(const char *name, struct mistake_list *mistakes)
{
    struct config_database *database = calloc(1, sizeof(*database));

    if (database != NULL)
        database->named.name = strdup(name);
    if (database == NULL || database->named.name == NULL) {
        mistake_add_no_memory(mistakes);
        free(database);
        return NULL;
    }
    option_reset(&config_database_table, database, mistakes);
    return database;
}

static struct config_user *create_user(const char *name, struct mistake_list *mistakes)
{
    struct config_user *user = calloc(1, sizeof(*user));

    if (user != NULL)
        user->named.name = strdup(name);
    if (user == NULL || user->named.name == NULL) {
        mistake_add_no_memory(mistakes);
        free(user);
        return NULL;
    }
    option_reset(&config_user_table, user, mistakes);
    return user;
}

static struct config_database *find_database(const struct config *config, const char *name)
{
    return NAMED_ITEM(named_find(&config->databases, name), struct config_database, named);
}

static struct config_user *find_user(const struct config *config, const char *name)
{
    return NAMED_ITEM(named_find(&config->users, name), struct config_user, named);
}

/* Takes the database. */
static void add_database(struct config *config, struct config_database *database,
                         struct mistake_list *mistakes)
{
    struct config_database *before = find_database(config, database->named.name);

    if (before != NULL) {
        mistake_warn(mistakes, "database \"%s\" comes a second time, and this one counts",
                     database->named.name);
        named_remove(&config->databases, &before->named);
        destroy_database(before);
    }
    if (named_add(&config->databases, &database->named) != ERR_OK) {
        mistake_add_no_memory(mistakes);
        destroy_database(database);
    }
}

/* Takes the user. */
static void add_user(struct config *config, struct config_user *user, struct mistake_list *mistakes)
{
    struct config_user *before = find_user(config, user->named.name);

    if (before != NULL) {
        mistake_warn(mistakes, "user \"%s\" comes a second time, and this one counts",
                     user->named.name);
        named_remove(&config->users, &before->named);
        destroy_user(before);
    }
    if (named_add(&config->users, &user->named) != ERR_OK) {
        mistake_add_no_memory(mistakes);
        destroy_user(user);
    }
}

/* ---- sections ---------------------------------------------------------------------------- */

struct section {
    const char *name;
    /* NULL: known, and not implemented yet */
    void (*take)(struct config *config, struct ini_entry *entry, struct mistake_list *mistakes);
};

struct loading {
    struct config *config;
    struct mistake_list *mistakes;
    const struct section *section; /* the current one; NULL: to be ignored */
};

static void take_setting(struct config *config, struct ini_entry *entry,
                         struct mistake_list *mistakes)
{
    option_assign(&settings_table, &config->settings, entry->key, entry->value, mistakes);
}

static void take_http(struct config *config, struct ini_entry *entry, struct mistake_list *mistakes)
{
    config_http_take(&config->http, entry, mistakes);
}

static void take_redis(struct config *config, struct ini_entry *entry,
                       struct mistake_list *mistakes)
{
    config_redis_take(&config->redis, entry, mistakes);
}

static bool name_is_possible(const char *name, struct mistake_list *mistakes)
{
    if (strcmp(name, "pgbouncer") == 0 || strcmp(name, "weir") == 0)
        mistake_add(mistakes, "the database name \"%s\" is reserved for the console", name);
    else if (strlen(name) > CONFIG_LONGEST_DATABASE)
        mistake_add(mistakes, "a database's name has at most %d characters",
                    CONFIG_LONGEST_DATABASE);
    else
        return true;
    return false;
}

static void take_database(struct config *config, struct ini_entry *entry,
                          struct mistake_list *mistakes)
{
    struct config_database *database;
    struct ini_pair pair;

    if (!name_is_possible(entry->key, mistakes))
        return;
    database = create_database(entry->key, mistakes);
    if (database == NULL)
        return;
    while (ini_next_pair(&entry->value, &pair, mistakes))
        option_assign(&config_database_table, database, pair.key, pair.value, mistakes);
    if (database->user != NULL && strlen(database->user) > CONFIG_LONGEST_USER)
        mistake_add(mistakes, "a user's name has at most %d characters", CONFIG_LONGEST_USER);
    if (database->password != NULL && database->user == NULL)
        mistake_warn(mistakes, "password says nothing without user");
    add_database(config, database, mistakes);
}

static void take_user(struct config *config, struct ini_entry *entry, struct mistake_list *mistakes)
{
    struct config_user *user = create_user(entry->key, mistakes);
    struct ini_pair pair;

    if (user == NULL)
        return;
    if (strlen(user->named.name) > CONFIG_LONGEST_USER)
        mistake_add(mistakes, "a user's name has at most %d characters", CONFIG_LONGEST_USER);
    while (ini_next_pair(&entry->value, &pair, mistakes))
        option_assign(&config_user_table, user, pair.key, pair.value, mistakes);
    add_user(config, user, mistakes);
}

static const struct section sections[] = {
    {"databases", take_database},
    {"users", take_user},
    {"weir", take_setting},
    {"pgbouncer", take_setting},
    {"http", take_http},
    {"redis", take_redis},
    {"peers", NULL},
};

static void begin_section(struct loading *loading, const char *name)
{
    loading->section = NULL;
    for (size_t i = 0; i < COUNT_OF(sections); i++)
        if (strcmp(sections[i].name, name) == 0)
            loading->section = &sections[i];
    if (loading->section == NULL)
        mistake_add(loading->mistakes, "unknown section [%s]", name);
    else if (loading->section->take == NULL)
        mistake_warn(loading->mistakes, "[%s] is not implemented yet, and ignored", name);
}

static void on_entry(void *owner, struct ini_entry *entry)
{
    struct loading *loading = owner;

    if (entry->key == NULL)
        begin_section(loading, entry->section);
    else if (loading->section != NULL && loading->section->take != NULL)
        loading->section->take(loading->config, entry, loading->mistakes);
}

/* ---- a whole config ---------------------------------------------------------------------- */

static struct config *create(struct mistake_list *mistakes)
{
    struct config *config = calloc(1, sizeof(*config));

    if (config == NULL) {
        mistake_add_no_memory(mistakes);
        return NULL;
    }
    option_reset(&settings_table, &config->settings, mistakes);
    config_http_init(&config->http, mistakes);
    config_redis_init(&config->redis, mistakes);
    return config;
}

void config_destroy(struct config *config)
{
    struct named *named;

    if (config == NULL)
        return;
    while ((named = named_take_first(&config->databases)) != NULL)
        destroy_database(CONTAINER_OF(named, struct config_database, named));
    while ((named = named_take_first(&config->users)) != NULL)
        destroy_user(CONTAINER_OF(named, struct config_user, named));
    option_free(&settings_table, &config->settings);
    config_http_fini(&config->http);
    config_redis_fini(&config->redis);
    userlist_destroy(config->userlist);
    free(config);
}

/* With auth_type any nobody is who he says, so each database must know whom to be. */
static void check_users(const struct config *config, struct mistake_list *mistakes)
{
    const struct named *named = named_first(&config->databases);

    for (; named != NULL; named = named_next(named)) {
        const struct config_database *database = CONTAINER_OF(named, struct config_database, named);

        if (database->user == NULL && database->conninfo == NULL)
            mistake_warn(mistakes, "database \"%s\" needs user=, as auth_type is any", named->name);
    }
}

/* What no line says by itself. */
static void check_postgres(const struct config *config, struct mistake_list *mistakes)
{
    const struct settings *settings = &config->settings;

    if (settings->listen_addr[0] == '\0' && settings->unix_socket_dir[0] == '\0')
        mistake_add(mistakes, "nowhere to listen: neither listen_addr nor unix_socket_dir is set");
    if (named_count(&config->databases) == 0)
        mistake_warn(mistakes, "nobody can be served: there is no database");
    if (settings->auth_type == SETTINGS_AUTH_ANY)
        check_users(config, mistakes);
    else if (settings->auth_file == NULL)
        mistake_warn(mistakes, "nobody can log in: auth_file is not set, and auth_type not any");
}

static void load_userlist(struct config *config, struct mistake_list *mistakes)
{
    if (config->settings.auth_file != NULL)
        config->userlist = userlist_load(config->settings.auth_file, mistakes);
    else
        config->userlist = userlist_parse("", SLICE(""), mistakes);
}

static void finish_redis(struct config *config, struct mistake_list *mistakes)
{
    const struct settings *settings = &config->settings;
    const struct config_redis_neighbour neighbours[] = {
        {"PostgreSQL", settings->listen_addr,
         config_serves_postgres(config) ? settings->listen_port : 0},
        {"HTTP", config->http.listen_addr, config->http.listen_port},
    };
    struct config_redis_whole whole = {settings->auth_file, config->userlist, neighbours,
                                       COUNT_OF(neighbours)};

    config_redis_finish(&config->redis, &whole, mistakes);
    if (!mistakes->text.failed && !config_serves_postgres(config) &&
        !config_redis_is_served(&config->redis))
        mistake_add(mistakes, "nowhere to listen: there is no database, and no upstream is served");
}

/* Takes what was made, and gives it as config if it can be used. */
static enum err finish(struct config *made, struct config **config, struct mistake_list *mistakes)
{
    struct mistake_place place = mistakes->at;
    enum err e;

    if (!mistakes->text.failed && (named_count(&made->databases) > 0 || !made->redis.is_said))
        check_postgres(made, mistakes);
    load_userlist(made, mistakes);
    mistakes->at = place;
    if (!mistakes->text.failed)
        finish_redis(made, mistakes);
    if (!mistakes->text.failed)
        config_http_finish(made, mistakes);
    e = mistake_verdict(mistakes);
    if (e == ERR_OK)
        *config = made;
    else
        config_destroy(made);
    return e;
}

enum err config_load(const char *path, struct config **config, struct mistake_list *mistakes)
{
    struct loading loading = {.config = create(mistakes), .mistakes = mistakes};
    struct ini_reader reader = {on_entry, &loading, mistakes};

    if (loading.config == NULL)
        return ERR_NO_MEMORY;
    ini_read_file(&reader, path);
    return finish(loading.config, config, mistakes);
}

/* ---- without a file ---------------------------------------------------------------------- */

static void set(struct config *config, const char *name, const char *value,
                struct mistake_list *mistakes)
{
    option_assign(&settings_table, &config->settings, name, value, mistakes);
}

/* False, and the mistake noted, unless the address can be listened on by these rules. */
static bool read_address(const char *text, const struct config_urls *urls, struct address *address,
                         struct mistake_list *mistakes)
{
    if (address_parse(text, address) != ERR_OK)
        mistake_add(mistakes, "\"%s\" is not HOST:PORT, [::1]:PORT or /folder", text);
    else if (!address_is_loopback(address) && urls->auth_file == NULL)
        mistake_add(mistakes,
                    "whoever can reach %s would be served as the server's user: "
                    "listen on 127.0.0.1, or say with --auth-file who may come in",
                    address->host);
    else
        return true;
    return false;
}

static void listen_there(struct config *config, const struct config_urls *urls,
                         struct mistake_list *mistakes)
{
    const char *text = urls->listen != NULL ? urls->listen : "127.0.0.1:6432";
    struct address address;

    mistakes->at.file = "--listen";
    if (!read_address(text, urls, &address, mistakes))
        return;
    set(config, "listen_addr", address.is_folder ? "" : address.host, mistakes);
    set(config, "unix_socket_dir", address.is_folder ? address.host : "", mistakes);
    if (address.port > 0)
        config->settings.listen_port = address.port;
    else if (!address.is_folder)
        mistake_add(mistakes, "the port must be at least 1");
}

static void listen_for_http(struct config *config, const struct config_urls *urls,
                            struct mistake_list *mistakes)
{
    struct address address;

    mistakes->at.file = "--http";
    if (urls->http == NULL || !read_address(urls->http, urls, &address, mistakes))
        return;
    if (address.is_folder) {
        mistake_add(mistakes, "HTTP is served over TCP only: HOST:PORT");
        return;
    }
    option_assign(&config_http_table, &config->http, "listen_addr", address.host, mistakes);
    config->http.listen_port = address.port;
}

static void serve_server(struct config *config, const char *conninfo, struct mistake_list *mistakes)
{
    struct config_database *database = create_database("*", mistakes);

    mistakes->at.file = "--postgres";
    if (conninfo == NULL || *conninfo == '\0')
        mistake_add(mistakes, "expected a URL, like postgres://user@host/database");
    if (database == NULL)
        return;
    database->conninfo = strdup(conninfo != NULL ? conninfo : "");
    if (database->conninfo == NULL)
        mistake_add_no_memory(mistakes);
    add_database(config, database, mistakes);
}

static void serve_postgres(struct config *config, const struct config_urls *urls,
                           struct mistake_list *mistakes)
{
    mistakes->at = (struct mistake_place){0};
    set(config, "pool_mode", "transaction", mistakes);
    set(config, "auth_type", urls->auth_file != NULL ? "scram-sha-256" : "any", mistakes);
    serve_server(config, urls->postgres, mistakes);
    listen_there(config, urls, mistakes);
    mistakes->at.file = "--pool-size";
    if (urls->pool_size != NULL)
        set(config, "default_pool_size", urls->pool_size, mistakes);
}

enum err config_from_urls(const struct config_urls *urls, struct config **config,
                          struct mistake_list *mistakes)
{
    struct config *made = create(mistakes);

    if (made == NULL)
        return ERR_NO_MEMORY;
    mistakes->at = (struct mistake_place){0};
    if (urls->auth_file != NULL)
        set(made, "auth_file", urls->auth_file, mistakes);
    if (urls->postgres != NULL || urls->redis == NULL)
        serve_postgres(made, urls, mistakes);
    if (urls->redis != NULL)
        config_redis_serve(&made->redis, urls->redis, urls->redis_listen, urls->auth_file != NULL,
                           mistakes);
    made->http.open = urls->auth_file == NULL; /* and read_address sees that it is loopback */
    listen_for_http(made, urls, mistakes);
    mistakes->at = (struct mistake_place){0};
    return finish(made, config, mistakes);
}

/* ---- what it says ------------------------------------------------------------------------ */

bool config_serves_postgres(const struct config *config)
{
    return named_count(&config->databases) > 0 || named_count(&config->redis.upstreams) == 0;
}

const struct config_database *config_find_database(const struct config *config, const char *name)
{
    const struct config_database *database = find_database(config, name);

    return database != NULL ? database : find_database(config, "*");
}

const char *config_dbname(const struct config_database *database, const char *requested)
{
    if (database->conninfo != NULL)
        return NULL;
    if (database->dbname != NULL)
        return database->dbname;
    return strcmp(database->named.name, "*") == 0 ? requested : database->named.name;
}

const struct config_user *config_find_user_settings(const struct config *config, const char *name)
{
    return find_user(config, name);
}

/* What is said in particular, else what is said in general. */
static uint64_t either(uint64_t particular, uint64_t general)
{
    return particular != OPTION_UNSET ? particular : general;
}

static enum settings_pool_mode either_mode(enum settings_pool_mode particular,
                                           enum settings_pool_mode general)
{
    return particular != SETTINGS_POOL_MODE_UNSET ? particular : general;
}

void config_get_rules(const struct config *config, const struct config_database *database,
                      const char *name, struct config_rules *rules)
{
    static const struct config_user nothing = {
        .pool_size = OPTION_UNSET,
        .pool_mode = SETTINGS_POOL_MODE_UNSET,
        .session_state = SETTINGS_SESSION_STATE_UNSET,
        .query_wait_timeout_ms = OPTION_UNSET,
    };
    const struct settings *all = &config->settings;
    const struct config_user *found = find_user(config, name);
    const struct config_user *user = found != NULL ? found : &nothing;
    uint64_t lifetime = either(database->server_lifetime_ms, 0);

    enum settings_session_state state = user->session_state;

    if (state == SETTINGS_SESSION_STATE_UNSET)
        state = database->session_state;
    *rules = (struct config_rules){
        .session_state = state != SETTINGS_SESSION_STATE_UNSET ? state : all->session_state,
        .pool_size = either(user->pool_size, either(database->pool_size, all->default_pool_size)),
        .min_pool_size = either(database->min_pool_size, all->min_pool_size),
        .pool_mode = either_mode(user->pool_mode, either_mode(database->pool_mode, all->pool_mode)),
        .server_lifetime_ms = lifetime > 0 ? lifetime : all->server_lifetime_ms,
        .query_wait_timeout_ms =
            either(user->query_wait_timeout_ms,
                   either(database->query_wait_timeout_ms, all->query_wait_timeout_ms)),
    };
}
