/*
 * proxy/config_http.h - what [http] can say: where it listens, who may come in, how much.
 *
 *      [http]
 *      listen_port = 8080
 *      token.web   = 6mN0...long...random database=shop user=ana redis=cache
 *      token.stats = sha256:9f86d0... database=stats,shop user=reader
 *      max_queries = 100
 *
 *      token = config_http_find_token(&config->http, secret);
 *      if (token != NULL && config_http_token_allows(token, "shop")) ...
 *
 * A key that begins with token. is a token: behind its secret stands what it opens. Any other
 * key is a setting; each field has its setting's name, and a time its unit besides. Of a
 * secret only the digest is kept, and no message shows it. A file of tokens of its own, with
 * other rights, is %include.
 *
 * Who comes without a token proves to be a user of auth_file, as at the PostgreSQL door. With
 * open nobody proves anything, and so it needs an address that is loopback.
 */
#ifndef PROXY_CONFIG_HTTP_H
#define PROXY_CONFIG_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/ini.h"
#include "base/mistake.h"
#include "base/option.h"
#include "proxy/named.h"

enum { CONFIG_HTTP_DIGEST = 32, CONFIG_HTTP_SHORTEST_TOKEN = 16 };

struct config_http_token {
    struct named named;                 /* for logs: it is no secret */
    uint8_t digest[CONFIG_HTTP_DIGEST]; /* SHA-256 of the secret */
    char
        *database; /* a comma list, the first is for who does not say; "*" in it: any; NULL: none */
    char *user;    /* on these databases; NULL: the user= of the database */
    char *redis;   /* the upstream; NULL: none */
    bool redis_read_only; /* only what does not write */
    char *file;           /* where it was said, with its line */
    size_t line;
};

struct config_http {
    /* where */
    char *listen_addr;
    uint64_t listen_port; /* 0: off */

    /* who */
    bool open;               /* on loopback: all are served, as user, without any proof */
    char *user, *database;   /* of open; the database also of who says none; NULL: not set */
    struct named_set tokens; /* of struct config_http_token */
    char *cors_origins;      /* a comma list of https://host:port, or "*"; "": none */
    bool neon;               /* whether there are /sql and /v2 */

    /* how much; 0 is no limit, save where its row says otherwise */
    uint64_t max_body, max_queries, max_rows, max_response, max_parallel;
    uint64_t request_timeout_ms;

    /* for the server; see connection.h */
    uint64_t max_connections, max_header_size, max_buffered, gzip_min_size;
    uint64_t idle_timeout_ms, header_timeout_ms, body_timeout_ms, send_timeout_ms;
};

/* The tables of keys, for documentation. */
extern const struct option_table config_http_table, config_http_token_table;

/* The one with that secret, or NULL. Takes as long whichever it is, or none. */
const struct config_http_token *config_http_find_token(const struct config_http *http,
                                                       struct slice secret);

/* Whether the token is for that database. */
bool config_http_token_allows(const struct config_http_token *token, const char *database);

/* The first of a token's databases that is one; gives false where there is none, as for "*". */
bool config_http_token_database(const struct config_http_token *token, char *name, size_t size);

/* Whether a page of that origin may ask: an Origin header as it came. "*" does not count with
 * open, where who is served has proved nothing. */
bool config_http_allows_origin(const struct config_http *http, struct slice origin);

/* ---- for config.c ------------------------------------------------------------------------ */

struct config;

/* Sets the defaults in a struct of all zero. */
void config_http_init(struct config_http *http, struct mistake_list *mistakes);
void config_http_fini(struct config_http *http);

/* An entry of [http]; the value is cut up. */
void config_http_take(struct config_http *http, struct ini_entry *entry,
                      struct mistake_list *mistakes);

/* Says what is wrong as a whole, when all of config was read. */
void config_http_finish(const struct config *config, struct mistake_list *mistakes);

#endif
