#include "proxy/config_redis.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/address.h"

#define AT(field)       offsetof(struct config_redis, field)
#define UPSTREAM(field) offsetof(struct config_redis_upstream, field)
#define LIVE            OPTION_LIVE
#define START           OPTION_AT_START
#define PORT            OPTION_COUNT(0, 65535)
#define COUNT           OPTION_COUNT(0, OPTION_ANY)
#define AT_LEAST_ONE    OPTION_COUNT(1, OPTION_ANY)
#define AUTH            OPTION_WORD("pass none file")

enum { LONGEST_NAME = 63 };

/* clang-format off */
static const struct option_row rows[] = {
    /* name                    kind, range                 where                          default      changes
     *   what it is, in one sentence */
    {"auth",                   AUTH,                       AT(auth),                      "pass",      LIVE,
        "Who checks a client's AUTH: Redis, which it passes to; or nobody, and all are served as the URL's user; or auth_file, and all are, too."},
    {"auth_file",              OPTION_STRING,              AT(auth_file),                 NULL,        LIVE,
        "For auth = file: users and their secrets, as auth_file of [weir] has them, which is the default."},
    {"client_idle_timeout",    OPTION_SECONDS,             AT(client_idle_timeout_ms),    "0",         LIVE,
        "A client idle for longer is closed, unless it waits for messages or for a blocking command; 0: never."},
    {"client_message_timeout", OPTION_SECONDS,             AT(client_message_timeout_ms), "60",        LIVE,
        "A client that stays in the middle of a command for longer, or sends more and reads no reply, is closed; 0: never."},
    {"client_output_limit",    OPTION_BYTES(4096, OPTION_ANY), AT(client_output_limit),   "67108864",  LIVE,
        "A client for which more bytes than this wait to be sent is closed."},
    {"command_timeout",        OPTION_SECONDS,             AT(command_timeout_ms),        "0",         LIVE,
        "A client whose command takes longer is told so, and the reply is thrown away when it comes; 0: never."},
    {"connect_timeout",        OPTION_SECONDS,             AT(connect_timeout_ms),        "5",         LIVE,
        "How long connecting and logging in to Redis may take; 0: without end."},
    {"connections",            OPTION_COUNT(1, 64),        AT(connections),               "1",         START,
        "How many links clients of the same user, database and protocol version share."},
    {"dedicated_idle_timeout", OPTION_SECONDS,             AT(dedicated_idle_timeout_ms), "60",        LIVE,
        "A link of nobody's that was some client's own is closed when idle for longer; 0: never."},
    {"large_value",            OPTION_BYTES(1, OPTION_ANY), AT(large_value),               "65536",     LIVE,
        "From this many bytes on a value, sent or received, moves its client off the shared link, so that others need not wait for it."},
    {"listen_addr",            OPTION_STRING,              AT(listen_addr),               "127.0.0.1", START,
        "The addresses to listen on for Redis, with commas between; `*` is all."},
    {"listen_port",            PORT,                       AT(listen_port),               "6380",      START,
        "The port of the first upstream; 0: none."},
    {"max_clients",            AT_LEAST_ONE,               AT(max_clients),               "10000",     LIVE,
        "How many clients of Redis may be connected."},
    {"max_dedicated",          AT_LEAST_ONE,               AT(max_dedicated),             "1000",        LIVE,
        "How many links of their own, for MULTI, blocking commands and the like, the clients of a user may have in all."},
    {"max_subscriptions",      COUNT,                          AT(max_subscriptions),     "100000",    LIVE,
        "How many channels and patterns one client may subscribe to."},
    {"max_waiting",            COUNT,                      AT(max_waiting),               "10000",     LIVE,
        "How many clients of a user may wait for a link of their own; 0: any number."},
    {"retry",                  OPTION_SECONDS,             AT(retry_ms),                  "1",         LIVE,
        "The longest pause between attempts to reach an upstream that is not there."},
    {"stuck_timeout",          OPTION_SECONDS,             AT(stuck_timeout_ms),          "60",        LIVE,
        "A shared link that has owed a reply for longer is closed, and who waits for one is told; 0: never."},
    {"unix_socket",            OPTION_STRING,              AT(unix_socket),               NULL,        START,
        "The path of a Unix socket for the first upstream."},
    {"unix_socket_mode",       OPTION_MODE,                AT(unix_socket_mode),          "0777",      START,
        "The mode of Unix sockets."},
    {"wait_timeout",           OPTION_SECONDS,             AT(wait_timeout_ms),           "10",        LIVE,
        "How long a client waits for a link of its own, or for an upstream that is not there; 0: without end."},
};

static const struct option_row upstream_rows[] = {
    {"listen_addr", OPTION_STRING, UPSTREAM(listen_addr), NULL, START, "In place of listen_addr for all."},
    {"listen_port", PORT,          UPSTREAM(listen_port), NULL, START, "The port of this upstream; all but the first need one, or a unix_socket."},
    {"unix_socket", OPTION_STRING, UPSTREAM(unix_socket), NULL, START, "The path of a Unix socket for this upstream."},
};
/* clang-format on */

const struct option_table config_redis_table = {rows, COUNT_OF(rows), "setting of [redis]"};
const struct option_table config_redis_upstream_table = {upstream_rows, COUNT_OF(upstream_rows),
                                                         "key of an upstream"};

static struct config_redis_upstream *upstream_of(struct named *named)
{
    return NAMED_ITEM(named, struct config_redis_upstream, named);
}

/* ---- an upstream ------------------------------------------------------------------------- */

static void destroy_upstream(struct config_redis_upstream *upstream)
{
    option_free(&config_redis_upstream_table, upstream);
    url_free(&upstream->url);
    free(upstream->file);
    free((char *)upstream->named.name);
    free(upstream);
}

static struct config_redis_upstream *create_upstream(const char *name,
                                                     struct mistake_list *mistakes)
{
    struct config_redis_upstream *upstream = calloc(1, sizeof(*upstream));
    const char *file = mistakes->at.file != NULL ? mistakes->at.file : "";

    if (upstream == NULL) {
        mistake_add_no_memory(mistakes);
        return NULL;
    }
    option_reset(&config_redis_upstream_table, upstream, mistakes);
    upstream->line = mistakes->at.line;
    upstream->named.name = strdup(name);
    upstream->file = strdup(file);
    if (upstream->named.name != NULL && upstream->file != NULL)
        return upstream;
    mistake_add_no_memory(mistakes);
    destroy_upstream(upstream);
    return NULL;
}

static bool read_url(const char *text, struct url *url, struct mistake_list *mistakes)
{
    char why[URL_WHY];
    enum err e = url_parse(text, url, why, sizeof(why));

    if (e == ERR_NO_MEMORY)
        mistake_add_no_memory(mistakes);
    else if (e != ERR_OK)
        mistake_add(mistakes, "%s", why);
    return e == ERR_OK;
}

/* The URL, and behind a blank what else there is to say. */
static bool read_upstream(struct config_redis_upstream *upstream, char *text,
                          struct mistake_list *mistakes)
{
    char *rest = text + strcspn(text, " \t");
    size_t errors = mistakes->errors;
    struct ini_pair pair;

    if (*rest != '\0')
        *rest++ = '\0';
    if (!read_url(text, &upstream->url, mistakes))
        return false;
    while (ini_next_pair(&rest, &pair, mistakes))
        option_assign(&config_redis_upstream_table, upstream, pair.key, pair.value, mistakes);
    return mistakes->errors == errors;
}

void config_redis_add(struct config_redis *redis, const char *name, char *text,
                      struct mistake_list *mistakes)
{
    struct config_redis_upstream *upstream;

    redis->is_said = true;
    if (strlen(name) > LONGEST_NAME) {
        mistake_add(mistakes, "an upstream's name has at most %d characters", LONGEST_NAME);
        return;
    }
    if (named_find(&redis->upstreams, name) != NULL) {
        mistake_add(mistakes, "there is an upstream \"%s\" already", name);
        return;
    }
    upstream = create_upstream(name, mistakes);
    if (upstream == NULL)
        return;
    if (!read_upstream(upstream, text, mistakes)) {
        destroy_upstream(upstream);
    } else if (named_add(&redis->upstreams, &upstream->named) != ERR_OK) {
        mistake_add_no_memory(mistakes);
        destroy_upstream(upstream);
    }
}

/* ---- an entry ---------------------------------------------------------------------------- */

/* Whether text begins like scheme://, whatever the scheme. */
static bool looks_like_url(const char *text)
{
    size_t length =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    return length > 0 && strncmp(text + length, "://", 3) == 0;
}

void config_redis_take(struct config_redis *redis, struct ini_entry *entry,
                       struct mistake_list *mistakes)
{
    bool is_setting = option_find(&config_redis_table, entry->key) != NULL;
    bool is_url = looks_like_url(entry->value);

    redis->is_said = true;
    if (is_setting && is_url)
        mistake_add(mistakes, "%s is a setting, and no name for an upstream", entry->key);
    else if (is_url)
        config_redis_add(redis, entry->key, entry->value, mistakes);
    else if (is_setting || option_nearest(&config_redis_table, entry->key) != NULL)
        option_assign(&config_redis_table, redis, entry->key, entry->value, mistakes);
    else
        mistake_add(mistakes,
                    "\"%s\" is no setting of [redis], and for an upstream its value must be a URL, "
                    "like redis://host:6379",
                    entry->key);
}

/* ---- without a file ---------------------------------------------------------------------- */

static void set(struct config_redis *redis, const char *name, const char *value,
                struct mistake_list *mistakes)
{
    option_assign(&config_redis_table, redis, name, value, mistakes);
}

static void listen_there(struct config_redis *redis, const char *text,
                         struct mistake_list *mistakes)
{
    struct address address;

    if (address_parse(text, &address) != ERR_OK || address.is_folder != (address.port == 0)) {
        mistake_add(mistakes, "\"%s\" is not HOST:PORT, [::1]:PORT or /path of a Unix socket",
                    text);
        return;
    }
    if (redis->auth == CONFIG_REDIS_AUTH_NONE && !address_is_loopback(&address)) {
        mistake_add(mistakes,
                    "whoever can reach %s would be served as the URL's user: listen on 127.0.0.1, "
                    "or say with --auth-file who may come in",
                    address.host);
        return;
    }
    set(redis, "listen_addr", address.is_folder ? "" : address.host, mistakes);
    redis->listen_port = address.port;
    if (address.is_folder)
        set(redis, "unix_socket", address.host, mistakes);
}

void config_redis_serve(struct config_redis *redis, const char *url, const char *listen,
                        bool has_auth_file, struct mistake_list *mistakes)
{
    const struct config_redis_upstream *upstream;
    char *text = strdup(url);

    mistakes->at = (struct mistake_place){"--redis", 0};
    if (text == NULL)
        mistake_add_no_memory(mistakes);
    else
        config_redis_add(redis, "redis", text, mistakes);
    free(text);
    upstream = upstream_of(named_first(&redis->upstreams));
    if (upstream != NULL && upstream->url.password != NULL)
        set(redis, "auth", "none", mistakes);
    if (has_auth_file)
        set(redis, "auth", "file", mistakes);
    mistakes->at.file = "--redis-listen";
    if (listen != NULL)
        listen_there(redis, listen, mistakes);
}

/* ---- the whole --------------------------------------------------------------------------- */

void config_redis_init(struct config_redis *redis, struct mistake_list *mistakes)
{
    option_reset(&config_redis_table, redis, mistakes);
}

void config_redis_fini(struct config_redis *redis)
{
    struct named *named;

    while ((named = named_take_first(&redis->upstreams)) != NULL)
        destroy_upstream(upstream_of(named));
    option_free(&config_redis_table, redis);
    userlist_destroy(redis->own_userlist);
}

static bool has_port(const struct config_redis_upstream *upstream)
{
    const char *list = upstream->listen_addr;
    char host[ADDRESS_HOST_SIZE];

    return upstream->listen_port > 0 && address_next(&list, host);
}

static bool has_socket(const struct config_redis_upstream *upstream)
{
    return upstream->unix_socket != NULL && upstream->unix_socket[0] != '\0';
}

bool config_redis_is_served(const struct config_redis *redis)
{
    for (struct named *n = named_first(&redis->upstreams); n != NULL; n = named_next(n))
        if (has_port(upstream_of(n)) || has_socket(upstream_of(n)))
            return true;
    return false;
}

/* Sets *string to a copy of text unless it is set. */
static void fill_in(char **string, const char *text, struct mistake_list *mistakes)
{
    if (*string != NULL || text == NULL)
        return;
    *string = strdup(text);
    if (*string == NULL)
        mistake_add_no_memory(mistakes);
}

static void fill_in_upstreams(struct config_redis *redis, struct mistake_list *mistakes)
{
    for (struct named *n = named_first(&redis->upstreams); n != NULL; n = named_next(n)) {
        struct config_redis_upstream *upstream = upstream_of(n);
        bool is_first = n == named_first(&redis->upstreams);

        fill_in(&upstream->listen_addr, redis->listen_addr, mistakes);
        if (is_first)
            fill_in(&upstream->unix_socket, redis->unix_socket, mistakes);
        if (upstream->listen_port == OPTION_UNSET)
            upstream->listen_port = is_first ? redis->listen_port : 0;
    }
}

/* ---- what is wrong ----------------------------------------------------------------------- */

static void check_port(const struct config_redis_upstream *upstream,
                       const struct config_redis_neighbour *neighbour,
                       struct mistake_list *mistakes)
{
    if (has_port(upstream) && upstream->listen_port == neighbour->listen_port &&
        address_lists_meet(upstream->listen_addr, neighbour->listen_addr))
        mistake_add(mistakes, "upstream \"%s\": port %llu is %s's", upstream->named.name,
                    (unsigned long long)upstream->listen_port, neighbour->name);
}

static void check_place(struct config_redis *redis, const struct config_redis_upstream *upstream,
                        const struct config_redis_whole *whole, struct mistake_list *mistakes)
{
    const char *name = upstream->named.name;

    for (size_t i = 0; i < whole->neighbours_length; i++)
        check_port(upstream, &whole->neighbours[i], mistakes);
    for (struct named *n = named_first(&redis->upstreams); n != &upstream->named;
         n = named_next(n)) {
        const struct config_redis_upstream *other = upstream_of(n);
        struct config_redis_neighbour neighbour = {other->named.name, other->listen_addr,
                                                   other->listen_port};

        check_port(upstream, &neighbour, mistakes);
        if (has_socket(upstream) && has_socket(other) &&
            strcmp(upstream->unix_socket, other->unix_socket) == 0)
            mistake_add(mistakes, "upstream \"%s\": unix_socket is %s's", name, other->named.name);
    }
    if (has_port(upstream) || has_socket(upstream))
        return;
    if (&upstream->named == named_first(&redis->upstreams))
        mistake_warn(mistakes, "upstream \"%s\" is not served: listen_port is 0", name);
    else
        mistake_add(mistakes, "upstream \"%s\" needs a listen_port of its own", name);
}

/* Redis in its protected mode trusts who comes from its own machine, as we do then. */
static bool is_protected(const struct url *url)
{
    char host[ADDRESS_HOST_SIZE];

    return url->host == NULL || !address_find_open(url->host, host);
}

static void check_who(const struct config_redis *redis,
                      const struct config_redis_upstream *upstream, struct mistake_list *mistakes)
{
    const struct url *url = &upstream->url;
    const char *name = upstream->named.name;
    char host[ADDRESS_HOST_SIZE];
    bool is_open = has_port(upstream) && address_find_open(upstream->listen_addr, host);

    if (redis->auth == CONFIG_REDIS_AUTH_NONE && is_open)
        mistake_add(mistakes,
                    "upstream \"%s\": as auth is none, whoever can reach %s would be served as the "
                    "URL's user: listen on 127.0.0.1, or set auth to file or pass",
                    name, host);
    if (redis->auth == CONFIG_REDIS_AUTH_PASS && is_open && is_protected(url))
        mistake_warn(mistakes,
                     "upstream \"%s\": whoever can reach %s is to Redis a client of its own "
                     "machine: its default user should have a password",
                     name, host);
    if (redis->auth == CONFIG_REDIS_AUTH_PASS && url->password != NULL)
        mistake_warn(mistakes,
                     "upstream \"%s\": clients are not served as the URL's user, as auth is pass",
                     name);
}

static void check_upstreams(struct config_redis *redis, const struct config_redis_whole *whole,
                            struct mistake_list *mistakes)
{
    struct mistake_place before = mistakes->at;

    for (struct named *n = named_first(&redis->upstreams); n != NULL; n = named_next(n)) {
        const struct config_redis_upstream *upstream = upstream_of(n);

        mistakes->at = (struct mistake_place){upstream->file, upstream->line};
        check_place(redis, upstream, whole, mistakes);
        check_who(redis, upstream, mistakes);
    }
    mistakes->at = before;
}

static void find_users(struct config_redis *redis, const struct config_redis_whole *whole,
                       struct mistake_list *mistakes)
{
    bool is_file = redis->auth == CONFIG_REDIS_AUTH_FILE;
    struct mistake_place place = mistakes->at;

    if (is_file && redis->auth_file == NULL && whole->auth_file == NULL)
        mistake_add(mistakes, "auth of [redis] is file, but there is no auth_file");
    if (!is_file && redis->auth_file != NULL)
        mistake_warn(mistakes, "auth_file of [redis] says nothing unless auth is file");
    if (is_file && redis->auth_file != NULL)
        redis->own_userlist = userlist_load(redis->auth_file, mistakes);
    mistakes->at = place;
    redis->userlist = redis->own_userlist != NULL ? redis->own_userlist : whole->userlist;
    if (is_file && redis->userlist != NULL && userlist_count(redis->userlist) == 0 &&
        mistakes->errors == 0)
        mistake_warn(mistakes, "nobody can log in to [redis]: there is no user in auth_file");
}

void config_redis_finish(struct config_redis *redis, const struct config_redis_whole *whole,
                         struct mistake_list *mistakes)
{
    if (mistakes->text.failed)
        return;
    fill_in_upstreams(redis, mistakes);
    if (mistakes->text.failed)
        return;
    check_upstreams(redis, whole, mistakes);
    find_users(redis, whole, mistakes);
    if (redis->is_said && named_count(&redis->upstreams) == 0 && mistakes->errors == 0)
        mistake_warn(mistakes, "nobody can be served by [redis]: there is no upstream");
}
