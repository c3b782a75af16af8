#include "proxy/config_http.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/address.h"
#include "proxy/config.h"

#define AT(field)    offsetof(struct config_http, field)
#define TOKEN(field) offsetof(struct config_http_token, field)
#define LIVE         OPTION_LIVE
#define START        OPTION_AT_START
#define PORT         OPTION_COUNT(0, 65535)
#define COUNT        OPTION_COUNT(0, OPTION_ANY)
#define BYTES        OPTION_BYTES(0, OPTION_ANY)

enum { LONGEST_NAME = 63, NAME_SIZE = 128 };

static const char token_prefix[] = "token.", digest_prefix[] = "sha256:";

/* clang-format off */
static const struct option_row rows[] = {
    /* name             kind, range                where                   default      changes
     *   what it is, in one sentence */
    {"body_timeout",    OPTION_SECONDS,            AT(body_timeout_ms),    "30",        START,
        "How long a request's body may take; longer if it comes with 512 bytes a second."},
    {"cors_origins",    OPTION_STRING,             AT(cors_origins),       "",          LIVE,
        "Origins whose pages may ask, like `https://app.example.org`, with commas between; `*`: all."},
    {"database",        OPTION_STRING,             AT(database),           NULL,        LIVE,
        "The database of a query that says none, and whose token says none."},
    {"gzip_min_size",   OPTION_BYTES(1, OPTION_ANY), AT(gzip_min_size),    "4096",      START,
        "From which size on answers are compressed for those who take gzip."},
    {"header_timeout",  OPTION_SECONDS,            AT(header_timeout_ms),  "10",        START,
        "How long the head of a request may take."},
    {"idle_timeout",    OPTION_SECONDS,            AT(idle_timeout_ms),    "60",        START,
        "How long a connection may rest between requests."},
    {"listen_addr",     OPTION_STRING,             AT(listen_addr),        "127.0.0.1", START,
        "The address to listen on for HTTP."},
    {"listen_port",     PORT,                      AT(listen_port),        "8080",      START,
        "The port of HTTP; 0: no HTTP."},
    {"max_body",        OPTION_BYTES(1, OPTION_ANY), AT(max_body),         "10485760",  LIVE,
        "A request with more bytes than this in its body is refused."},
    {"max_buffered",    OPTION_BYTES(1, OPTION_ANY), AT(max_buffered),     "268435456", START,
        "How many bytes all bodies of requests may have together."},
    {"max_connections", OPTION_COUNT(1, 1000000),  AT(max_connections),    "1000",      START,
        "How many HTTP connections there may be; more are told 503."},
    {"max_header_size", OPTION_BYTES(1024, 61440), AT(max_header_size),    "16384",     START,
        "How many bytes request line and headers of a request may have."},
    {"max_parallel",    OPTION_COUNT(1, OPTION_ANY), AT(max_parallel),     "16",        LIVE,
        "How many connections one request may use at a time."},
    {"max_queries",     COUNT,                     AT(max_queries),        "1000",      LIVE,
        "How many queries or commands a request may have; 0: any number."},
    {"max_response",    BYTES,                     AT(max_response),       "67108864",  LIVE,
        "An answer with more bytes than this is ended with an error, unless it is streamed as NDJSON; 0: no limit."},
    {"max_rows",        COUNT,                     AT(max_rows),           "0",         LIVE,
        "A query with more rows than this is ended with an error; 0: no limit."},
    {"neon",            OPTION_BOOL,               AT(neon),               "1",         LIVE,
        "Whether /sql and /v2 are there, for Neon's serverless driver."},
    {"open",            OPTION_BOOL,               AT(open),               "0",         LIVE,
        "Whether all who come are served without a token or password; only on loopback."},
    {"request_timeout", OPTION_SECONDS,            AT(request_timeout_ms), "60",        LIVE,
        "A request whose queries take longer has them cancelled; 0: never."},
    {"send_timeout",    OPTION_SECONDS,            AT(send_timeout_ms),    "60",        START,
        "How long a client may take nothing of its answer."},
    {"user",            OPTION_STRING,             AT(user),               NULL,        LIVE,
        "For open: who all are on the server, where the database has no user of its own."},
};

static const struct option_row token_rows[] = {
    {"database",        OPTION_STRING, TOKEN(database),        NULL, LIVE, "The databases it is for, with commas between; the first is for queries that say none; `*`: any."},
    {"redis",           OPTION_STRING, TOKEN(redis),           NULL, LIVE, "The upstream of [redis] it is for."},
    {"redis_read_only", OPTION_BOOL,   TOKEN(redis_read_only), "0",  LIVE, "Whether commands that write are refused."},
    {"user",            OPTION_STRING, TOKEN(user),            NULL, LIVE, "Who it is on the server, where the database has no user of its own."},
};
/* clang-format on */

const struct option_table config_http_table = {rows, COUNT_OF(rows), "setting of [http]"};
const struct option_table config_http_token_table = {token_rows, COUNT_OF(token_rows),
                                                     "key of a token"};

static struct config_http_token *token_of(struct named *named)
{
    return NAMED_ITEM(named, struct config_http_token, named);
}

/* Moves *list behind its next item, which it gives without blanks around; false at the end. One
 * that is too long is cut, and then nothing's name. */
static bool next_item(const char **list, char item[NAME_SIZE])
{
    const char *at = *list + strspn(*list, ", \t");
    size_t length = strcspn(at, ",");
    size_t kept;

    *list = at + length;
    while (length > 0 && strchr(" \t", at[length - 1]) != NULL)
        length--;
    kept = length < NAME_SIZE ? length : NAME_SIZE - 1;
    memcpy(item, at, kept);
    item[kept] = '\0';
    return length > 0;
}

/* ---- a secret ---------------------------------------------------------------------------- */

static bool make_digest(struct slice secret, uint8_t digest[CONFIG_HTTP_DIGEST])
{
    return EVP_Digest(secret.at, secret.length, digest, NULL, EVP_sha256(), NULL) == 1;
}

static bool read_hex(const char *text, uint8_t digest[CONFIG_HTTP_DIGEST])
{
    static const char digits[] = "0123456789abcdef";

    if (strlen(text) != (size_t)2 * CONFIG_HTTP_DIGEST ||
        strspn(text, "0123456789abcdefABCDEF") != (size_t)2 * CONFIG_HTTP_DIGEST)
        return false;
    for (size_t i = 0; i < CONFIG_HTTP_DIGEST; i++) {
        size_t high = (size_t)(strchr(digits, text[2 * i] | ' ') - digits);
        size_t low = (size_t)(strchr(digits, text[2 * i + 1] | ' ') - digits);

        digest[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Wipes the secret. */
static void read_secret(struct config_http_token *token, char *secret,
                        struct mistake_list *mistakes)
{
    struct slice text = {(const uint8_t *)secret, strlen(secret)};
    size_t prefix = sizeof(digest_prefix) - 1;

    if (strncmp(secret, digest_prefix, prefix) == 0) {
        if (!read_hex(secret + prefix, token->digest))
            mistake_add(mistakes,
                        "behind sha256: a token has 64 hex digits, of its secret's SHA-256");
    } else if (text.length < CONFIG_HTTP_SHORTEST_TOKEN) {
        mistake_add(mistakes, "a token's secret has at least %d characters",
                    CONFIG_HTTP_SHORTEST_TOKEN);
    } else if (!make_digest(text, token->digest)) {
        mistake_add_no_memory(mistakes);
    }
    OPENSSL_cleanse(secret, text.length);
}

const struct config_http_token *config_http_find_token(const struct config_http *http,
                                                       struct slice secret)
{
    const struct config_http_token *found = NULL;
    uint8_t digest[CONFIG_HTTP_DIGEST];

    if (!make_digest(secret, digest))
        return NULL;
    for (struct named *n = named_first(&http->tokens); n != NULL; n = named_next(n))
        if (CRYPTO_memcmp(token_of(n)->digest, digest, sizeof(digest)) == 0)
            found = token_of(n);
    OPENSSL_cleanse(digest, sizeof(digest));
    return found;
}

/* ---- a token ----------------------------------------------------------------------------- */

static void destroy_token(struct config_http_token *token)
{
    option_free(&config_http_token_table, token);
    free(token->file);
    free((char *)token->named.name);
    OPENSSL_cleanse(token, sizeof(*token));
    free(token);
}

static struct config_http_token *create_token(const char *name, struct mistake_list *mistakes)
{
    struct config_http_token *token = calloc(1, sizeof(*token));

    if (token == NULL) {
        mistake_add_no_memory(mistakes);
        return NULL;
    }
    option_reset(&config_http_token_table, token, mistakes);
    token->line = mistakes->at.line;
    token->named.name = strdup(name);
    token->file = strdup(mistakes->at.file != NULL ? mistakes->at.file : "");
    if (token->named.name != NULL && token->file != NULL)
        return token;
    mistake_add_no_memory(mistakes);
    destroy_token(token);
    return NULL;
}

/* Cuts the secret off *text, be it in quotes or not; NULL if its quote is never closed. */
static char *cut_secret(char **text)
{
    char *secret = *text;

    if (*secret == '\'' || *secret == '"')
        return ini_unquote(text);
    *text += strcspn(*text, " \t");
    if (**text != '\0')
        *(*text)++ = '\0';
    return secret;
}

/* The secret, and behind a blank what it opens. */
static bool read_token(struct config_http_token *token, char *text, struct mistake_list *mistakes)
{
    size_t errors = mistakes->errors;
    char *secret = cut_secret(&text);
    struct ini_pair pair;

    if (secret == NULL) {
        mistake_add(mistakes, "the quote of the token's secret is not closed");
        return false;
    }
    read_secret(token, secret, mistakes);
    while (ini_next_pair(&text, &pair, mistakes))
        option_assign(&config_http_token_table, token, pair.key, pair.value, mistakes);
    return mistakes->errors == errors;
}

static const struct config_http_token *find_twin(const struct config_http *http,
                                                 const struct config_http_token *token)
{
    for (struct named *n = named_first(&http->tokens); n != NULL; n = named_next(n))
        if (memcmp(token_of(n)->digest, token->digest, sizeof(token->digest)) == 0)
            return token_of(n);
    return NULL;
}

/* Takes the token. */
static void add_token(struct config_http *http, struct config_http_token *token,
                      struct mistake_list *mistakes)
{
    const struct config_http_token *twin = find_twin(http, token);

    if (twin != NULL)
        mistake_add(mistakes, "token \"%s\" has the secret of \"%s\"", token->named.name,
                    twin->named.name);
    else if (named_add(&http->tokens, &token->named) == ERR_OK)
        return;
    else
        mistake_add_no_memory(mistakes);
    destroy_token(token);
}

static void take_token(struct config_http *http, const char *name, char *text,
                       struct mistake_list *mistakes)
{
    struct config_http_token *token;

    if (*name == '\0' || strlen(name) > LONGEST_NAME) {
        mistake_add(mistakes, "a token's name has 1 to %d characters", LONGEST_NAME);
        return;
    }
    if (named_find(&http->tokens, name) != NULL) {
        mistake_add(mistakes, "there is a token \"%s\" already", name);
        return;
    }
    token = create_token(name, mistakes);
    if (token == NULL)
        return;
    if (read_token(token, text, mistakes) && !mistakes->text.failed)
        add_token(http, token, mistakes);
    else
        destroy_token(token);
}

bool config_http_token_allows(const struct config_http_token *token, const char *database)
{
    const char *list = token->database != NULL ? token->database : "";
    char name[NAME_SIZE];

    while (next_item(&list, name))
        if (strcmp(name, "*") == 0 || strcmp(name, database) == 0)
            return true;
    return false;
}

bool config_http_token_database(const struct config_http_token *token, char *name, size_t size)
{
    const char *list = token->database != NULL ? token->database : "";
    char item[NAME_SIZE];

    while (next_item(&list, item)) {
        if (strcmp(item, "*") == 0 || strlen(item) >= size)
            continue;
        memcpy(name, item, strlen(item) + 1);
        return true;
    }
    return false;
}

/* ---- the section ------------------------------------------------------------------------- */

void config_http_init(struct config_http *http, struct mistake_list *mistakes)
{
    option_reset(&config_http_table, http, mistakes);
}

void config_http_fini(struct config_http *http)
{
    struct named *named;

    while ((named = named_take_first(&http->tokens)) != NULL)
        destroy_token(token_of(named));
    option_free(&config_http_table, http);
}

void config_http_take(struct config_http *http, struct ini_entry *entry,
                      struct mistake_list *mistakes)
{
    size_t length = sizeof(token_prefix) - 1;

    if (strncmp(entry->key, token_prefix, length) == 0)
        take_token(http, entry->key + length, entry->value, mistakes);
    else
        option_assign(&config_http_table, http, entry->key, entry->value, mistakes);
}

bool config_http_allows_origin(const struct config_http *http, struct slice origin)
{
    const char *list = http->cors_origins != NULL ? http->cors_origins : "";
    char item[NAME_SIZE];

    if (origin.length == 0)
        return false;
    while (next_item(&list, item)) {
        if (strcmp(item, "*") == 0 && !http->open)
            return true;
        if (strlen(item) == origin.length &&
            strncasecmp(item, (const char *)origin.at, origin.length) == 0)
            return true;
    }
    return false;
}

/* ---- what is wrong as a whole ------------------------------------------------------------ */

/* Whether it is known as whom to log in there, be no user said. */
static bool has_user(const struct config_database *database)
{
    return database->user != NULL || database->conninfo != NULL;
}

/* The first database without a user of its own; NULL if there is none. */
static const struct config_database *find_nameless(const struct config *config)
{
    for (struct named *n = named_first(&config->databases); n != NULL; n = named_next(n)) {
        const struct config_database *database = CONTAINER_OF(n, struct config_database, named);

        if (!has_user(database))
            return database;
    }
    return NULL;
}

static void check_user(const char *user, struct mistake_list *mistakes)
{
    if (user != NULL && (*user == '\0' || strlen(user) > CONFIG_LONGEST_USER))
        mistake_add(mistakes, "a user's name has 1 to %d characters", CONFIG_LONGEST_USER);
}

static void check_database(const struct config *config, const struct config_http_token *token,
                           const char *name, struct mistake_list *mistakes)
{
    bool is_any = strcmp(name, "*") == 0;
    const struct config_database *database =
        is_any ? find_nameless(config) : config_find_database(config, name);

    if (!is_any && database == NULL)
        mistake_add(mistakes, "token \"%s\": there is no database \"%s\"", token->named.name, name);
    else if (token->user == NULL && database != NULL && !has_user(database))
        mistake_add(mistakes, "token \"%s\" needs user=, as database \"%s\" has none",
                    token->named.name, database->named.name);
}

static void check_token(const struct config *config, const struct config_http_token *token,
                        struct mistake_list *mistakes)
{
    const char *list = token->database != NULL ? token->database : "";
    const char *name = token->named.name;
    char item[NAME_SIZE];

    if (token->database == NULL && token->redis == NULL)
        mistake_add(mistakes, "token \"%s\" opens nothing: say database= or redis=", name);
    while (next_item(&list, item))
        check_database(config, token, item, mistakes);
    check_user(token->user, mistakes);
    if (token->redis != NULL && named_find(&config->redis.upstreams, token->redis) == NULL)
        mistake_add(mistakes, "token \"%s\": [redis] has no upstream \"%s\"", name, token->redis);
    if (token->redis == NULL && token->redis_read_only)
        mistake_add(mistakes, "token \"%s\": redis_read_only says nothing without redis", name);
    if (token->database == NULL && token->user != NULL)
        mistake_warn(mistakes, "token \"%s\": user says nothing without database", name);
}

static void check_open(const struct config *config, struct mistake_list *mistakes)
{
    const struct config_http *http = &config->http;
    const struct config_database *nameless = find_nameless(config);
    char host[ADDRESS_HOST_SIZE];

    if (http->listen_port > 0 && address_find_open(http->listen_addr, host))
        mistake_add(mistakes,
                    "as open of [http] is 1, whoever can reach %s would be served without a token: "
                    "listen on 127.0.0.1, or set open to 0",
                    host);
    if (http->user == NULL && nameless != NULL)
        mistake_add(mistakes, "as open of [http] is 1, database \"%s\" needs user=, or [http] does",
                    nameless->named.name);
}

void config_http_finish(const struct config *config, struct mistake_list *mistakes)
{
    const struct config_http *http = &config->http;
    struct mistake_place before = mistakes->at;

    for (struct named *n = named_first(&http->tokens); n != NULL; n = named_next(n)) {
        mistakes->at = (struct mistake_place){token_of(n)->file, token_of(n)->line};
        check_token(config, token_of(n), mistakes);
    }
    mistakes->at = before;
    check_user(http->user, mistakes);
    if (http->database != NULL && config_find_database(config, http->database) == NULL)
        mistake_add(mistakes, "database of [http]: there is no database \"%s\"", http->database);
    if (http->open)
        check_open(config, mistakes);
    else if (http->user != NULL)
        mistake_warn(mistakes, "user of [http] says nothing unless open is 1");
}
