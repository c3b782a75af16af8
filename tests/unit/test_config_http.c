#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "folder.h"
#include "no_memory.h"
#include "proxy/config.h"

#define SECRET "0123456789abcdef"

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

TestSuite(config_http, .init = folder_enter, .fini = leave);

/* [http] stands in the fourth line, and text begins with the fifth. */
static enum err load(const char *text)
{
    char whole[2048];

    forget();
    folder_put("users.txt", "\"ana\" \"x\"\n");
    snprintf(whole, sizeof(whole),
             "[weir]\nlisten_addr = 127.0.0.1\nauth_file = users.txt\n[http]\n%s\n"
             "[databases]\nshop = host=a user=u\nfree = host=b\n"
             "[redis]\ncache = redis://a\n",
             text);
    folder_put("c.ini", whole);
    return config_load("c.ini", &config, &mistakes);
}

static void is_told(const char *text, enum err e, const char *expected)
{
    cr_assert_eq(load(text), e, "%s: %s", text, mistake_text(&mistakes));
    cr_assert_eq(e == ERR_OK, config != NULL);
    cr_assert_str_eq(mistake_text(&mistakes), expected, "%s: %s", text, mistake_text(&mistakes));
}

static const struct config_http_token *find(const char *secret)
{
    return config_http_find_token(&config->http,
                                  (struct slice){(const uint8_t *)secret, strlen(secret)});
}

/* ---- settings ---------------------------------------------------------------------------- */

Test(config_http, it_has_limits_and_nothing_is_open_by_itself)
{
    const struct config_http *http;

    is_told("", ERR_OK, "");
    http = &config->http;
    cr_assert_str_eq(http->listen_addr, "127.0.0.1");
    cr_assert_eq(http->listen_port, 8080);
    cr_assert_not(http->open);
    cr_assert(http->neon);
    cr_assert_eq(http->max_body, 10 << 20);
    cr_assert_eq(http->max_queries, 1000);
    cr_assert_eq(http->max_rows, 0);
    cr_assert_eq(http->max_response, 64 << 20);
    cr_assert_eq(http->max_parallel, 16);
    cr_assert_eq(http->request_timeout_ms, 60000);
    cr_assert_null(http->user);
    cr_assert_null(http->database);
    cr_assert_eq(named_count(&http->tokens), 0);
    is_told("max_body = 1\nmax_queries = 2\nmax_rows = 3\nmax_response = 4\nmax_parallel = 5\n"
            "request_timeout = 0.25\nneon = 0\ndatabase = shop",
            ERR_OK, "");
    http = &config->http;
    cr_assert_eq(http->max_body, 1);
    cr_assert_eq(http->max_queries, 2);
    cr_assert_eq(http->max_rows, 3);
    cr_assert_eq(http->max_response, 4);
    cr_assert_eq(http->max_parallel, 5);
    cr_assert_eq(http->request_timeout_ms, 250);
    cr_assert_not(http->neon);
    cr_assert_str_eq(http->database, "shop");
}

/* ---- tokens ------------------------------------------------------------------------------ */

Test(config_http, a_token_is_found_by_its_secret_and_opens_what_stands_behind_it)
{
    const struct config_http_token *token;
    char name[64];

    is_told("token.web = " SECRET "web  database=shop,free user=ana redis=cache\n"
            "token.all = '" SECRET " it''s' database='free , *' user='ana b'\n"
            "token.redis = " SECRET "redis redis=cache redis_read_only=1",
            ERR_OK, "");
    cr_assert_eq(named_count(&config->http.tokens), 3);
    token = find(SECRET "web");
    cr_assert_not_null(token);
    cr_assert_str_eq(token->named.name, "web");
    cr_assert_str_eq(token->user, "ana");
    cr_assert_str_eq(token->redis, "cache");
    cr_assert_not(token->redis_read_only);
    cr_assert(config_http_token_allows(token, "shop"));
    cr_assert(config_http_token_allows(token, "free"));
    cr_assert_not(config_http_token_allows(token, "shopp"));
    cr_assert_not(config_http_token_allows(token, "shop,free"));
    cr_assert_not(config_http_token_allows(token, ""));
    cr_assert(config_http_token_database(token, name, sizeof(name)));
    cr_assert_str_eq(name, "shop");

    token = find(SECRET " it's");
    cr_assert_not_null(token);
    cr_assert_str_eq(token->user, "ana b");
    cr_assert(config_http_token_allows(token, "anything"));
    cr_assert(config_http_token_database(token, name, sizeof(name)));
    cr_assert_str_eq(name, "free");

    token = find(SECRET "redis");
    cr_assert_not_null(token);
    cr_assert(token->redis_read_only);
    cr_assert_not(config_http_token_allows(token, "shop"));
    cr_assert_not(config_http_token_database(token, name, sizeof(name)));

    cr_assert_null(find(SECRET));
    cr_assert_null(find(""));
    cr_assert_null(find("web"));
}

Test(config_http, a_token_may_be_said_by_its_digest)
{
    /* printf 0123456789abcdefweb | sha256sum */
    is_told("token.web = sha256:f28dbdc0eb30f36d97b2096142c398d007f170587f5240d2143f89e0759d9e24 "
            "database=shop",
            ERR_OK, "");
    cr_assert_str_eq(find(SECRET "web")->named.name, "web");
    cr_assert_null(find("sha256:f28dbdc0eb30f36d97b2096142c398d007f170587f5240d2143f89e0759d9e24"));
}

Test(config_http, a_wrong_token_is_named_with_its_line_and_never_shown)
{
    static const char *const rows[][2] = {
        {"token.a = short database=shop", "c.ini:5: a token's secret has at least 16 characters\n"},
        {"token.a =", "c.ini:5: a token's secret has at least 16 characters\n"},
        {"token.a = sha256:12 database=shop",
         "c.ini:5: behind sha256: a token has 64 hex digits, of its secret's SHA-256\n"},
        {"token.a = '" SECRET " database=shop",
         "c.ini:5: the quote of the token's secret is not closed\n"},
        {"token. = " SECRET " database=shop", "c.ini:5: a token's name has 1 to 63 characters\n"},
        {"token.a = " SECRET " databse=shop",
         "c.ini:5: unknown key of a token \"databse\"; did you mean database?\n"},
        {"token.a = " SECRET " shop",
         "c.ini:5: expected a list of key=value, each value in '' if it has blanks\n"},
        {"token.a = " SECRET " redis=cache redis_read_only=yes",
         "c.ini:5: redis_read_only: \"yes\" is not a whole number\n"},
        {"\ntoken.a = " SECRET, "c.ini:6: token \"a\" opens nothing: say database= or redis=\n"},
        {"token.a = " SECRET " database=shopp",
         "c.ini:5: token \"a\": there is no database \"shopp\"\n"},
        {"token.a = " SECRET " database=shop,free",
         "c.ini:5: token \"a\" needs user=, as database \"free\" has none\n"},
        {"token.a = " SECRET " database=*",
         "c.ini:5: token \"a\" needs user=, as database \"free\" has none\n"},
        {"token.a = " SECRET " redis=cash",
         "c.ini:5: token \"a\": [redis] has no upstream \"cash\"\n"},
        {"token.a = " SECRET " database=shop redis_read_only=1",
         "c.ini:5: token \"a\": redis_read_only says nothing without redis\n"},
        {"token.a = " SECRET " database=shop user=''", "c.ini:5: user: the value is empty\n"},
        {"token.a = " SECRET " database=shop\ntoken.b = " SECRET " redis=cache",
         "c.ini:6: token \"b\" has the secret of \"a\"\n"},
        {"token.a = " SECRET " database=shop\ntoken.a = " SECRET "2 redis=cache",
         "c.ini:6: there is a token \"a\" already\n"},
        {"tokens.a = x", "c.ini:5: unknown setting of [http] \"tokens.a\"\n"},
        {"max_querys = 1",
         "c.ini:5: unknown setting of [http] \"max_querys\"; did you mean max_queries?\n"},
        {"max_body = 0", "c.ini:5: max_body: 0 is less than 1\n"},
        {"max_parallel = 0", "c.ini:5: max_parallel: 0 is less than 1\n"},
        {"request_timeout = soon",
         "c.ini:5: request_timeout: \"soon\" is not a number of seconds\n"},
        {"neon = on", "c.ini:5: neon: \"on\" is not a whole number\n"},
        {"database = nowhere", "c.ini: database of [http]: there is no database \"nowhere\"\n"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        is_told(rows[i][0], ERR_CONFIG, rows[i][1]);
        cr_assert_null(strstr(mistake_text(&mistakes), SECRET));
    }
    is_told("token.a = " SECRET " redis=cache user=ana", ERR_OK,
            "c.ini:5: warning: token \"a\": user says nothing without database\n");
    is_told("user = ana", ERR_OK, "c.ini: warning: user of [http] says nothing unless open is 1\n");
}

/* ---- open -------------------------------------------------------------------------------- */

Test(config_http, open_is_for_loopback_and_needs_to_know_whom_to_be)
{
    is_told("open = 1\nuser = ana", ERR_OK, "");
    is_told("open = 1\nuser = ana\nlisten_addr = ::1", ERR_OK, "");
    is_told("open = 1", ERR_CONFIG,
            "c.ini: as open of [http] is 1, database \"free\" needs user=, or [http] does\n");
    is_told("open = 1\nuser = ana\nlisten_addr = 0.0.0.0", ERR_CONFIG,
            "c.ini: as open of [http] is 1, whoever can reach 0.0.0.0 would be served without a "
            "token: listen on 127.0.0.1, or set open to 0\n");
    is_told("open = 1\nuser = ana\nlisten_addr = 10.0.0.1\nlisten_port = 0", ERR_OK, "");
}

static void url_is(const struct config_urls *urls, bool is_open)
{
    forget();
    cr_assert_eq(config_from_urls(urls, &config, &mistakes), ERR_OK, "%s", mistake_text(&mistakes));
    cr_assert_eq(config->http.open, is_open);
}

Test(config_http, a_url_is_served_openly_unless_an_auth_file_says_to_whom)
{
    struct config_urls urls = {.postgres = "postgres://u@h/d"};

    folder_put("users.txt", "\"ana\" \"x\"\n");
    url_is(&urls, true);
    urls.redis = "redis://h";
    url_is(&urls, true);
    urls.auth_file = "users.txt";
    url_is(&urls, false);
    urls.http = "0.0.0.0:8080";
    url_is(&urls, false);
    urls.auth_file = NULL;
    forget();
    cr_assert_eq(config_from_urls(&urls, &config, &mistakes), ERR_CONFIG);
}

/* ---- origins ----------------------------------------------------------------------------- */

static bool allows(const char *origin)
{
    return config_http_allows_origin(&config->http,
                                     (struct slice){(const uint8_t *)origin, strlen(origin)});
}

Test(config_http, pages_may_ask_whose_origin_is_in_the_list)
{
    is_told("", ERR_OK, "");
    cr_assert_not(allows("https://a.example"));
    is_told("cors_origins = https://a.example, http://b.example:81", ERR_OK, "");
    cr_assert(allows("https://a.example"));
    cr_assert(allows("HTTPS://A.example"));
    cr_assert(allows("http://b.example:81"));
    cr_assert_not(allows("http://b.example"));
    cr_assert_not(allows("https://a.example.evil"));
    cr_assert_not(allows("null"));
    cr_assert_not(allows(""));
    is_told("cors_origins = *", ERR_OK, "");
    cr_assert(allows("https://any.example"));
    is_told("cors_origins = *\nopen = 1\nuser = ana", ERR_OK, "");
    cr_assert_not(allows("https://any.example"));
}

/* ---- memory ------------------------------------------------------------------------------ */

Test(config_http, want_of_memory_is_told)
{
    enum err e = ERR_NO_MEMORY;

    for (long n = 0; e != ERR_OK; n++) {
        forget();
        folder_put("c.ini", "[databases]\nd = host=h user=u\n[weir]\nlisten_addr = 127.0.0.1\n"
                            "auth_type = any\n[http]\ntoken.a = " SECRET " database=d user=u\n");
        no_memory_after(n);
        e = config_load("c.ini", &config, &mistakes);
        no_memory_after(NO_MEMORY_NEVER);
        cr_assert(e == ERR_OK || e == ERR_NO_MEMORY, "%s", mistake_text(&mistakes));
    }
    cr_assert_not_null(find(SECRET));
}
