#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "folder.h"
#include "proxy/fronts/http/who.h"

#define TOKEN_WEB   "0123456789abcdef-web"
#define TOKEN_ANY   "0123456789abcdef-any"
#define TOKEN_CACHE "0123456789abcdef-cache"

/* ---- the words the stories are told in --------------------------------------------------- */

static struct mistake_list mistakes;
static struct config *config;
static struct who who;
static struct who_answer answer;
static struct bytes line;
static uint64_t now;

static void enter(void)
{
    static const uint8_t key[WHO_KEY_SIZE] = "a key that only this test knows";

    folder_enter();
    folder_put(
        "users.txt",
        "\"ana\" \"open sesame\"\n"
        "\"bob\" \"md5f8e14e51f459960062eb38d48f5dda88\"\n" /* sesame */
        "\"cleo\" \"SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$p2ksdyk09cdVq4n4"
        "0WPf0kkUAxKWywDmcBI7IHUw3yE=:grOQHhqdDgvGVtYwd50D4UpimTv1F0F0BgrbPFi5+eI=\"\n" /* weir */
        "\"none\" \"\"\n");
    who_init(&who, NULL, key);
    now = 1000 * 1000;
}

static void leave(void)
{
    who_fini(&who);
    config_destroy(config);
    mistake_free(&mistakes);
    bytes_free(&line);
    folder_leave();
}

TestSuite(who, .init = enter, .fini = leave);

static void serve(const char *http)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "[weir]\nlisten_addr = 127.0.0.1\nauth_type = scram-sha-256\nauth_file = users.txt\n"
             "[databases]\nshop = host=a user=shopper\nstats = host=b user=reader\n"
             "[redis]\ncache = redis://a\nqueue = redis://b listen_port=6381\n[http]\n%s\n",
             http);
    folder_put("c.ini", text);
    config_destroy(config);
    config = NULL;
    cr_assert_eq(config_load("c.ini", &config, &mistakes), ERR_OK, "%s", mistake_text(&mistakes));
    who.config = config;
}

static struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static const char *show(enum who_verdict verdict)
{
    bytes_clear(&line);
    if (verdict == WHO_REFUSED && answer.retry_after_s > 0)
        bytes_print(&line, "%d in %us", answer.status, answer.retry_after_s);
    else if (verdict == WHO_REFUSED)
        bytes_print(&line, "%d %s", answer.status, answer.why);
    else
        bytes_print(&line, "%s user=%s database=%s redis=%s%s",
                    answer.token != NULL ? answer.token->named.name : "no token", answer.user,
                    answer.database, answer.redis != NULL ? answer.redis->named.name : "",
                    answer.redis_read_only ? " read only" : "");
    bytes_add(&line, "", 1);
    return (const char *)line.at;
}

/* Decides, and checks the password if that is what it takes. */
static const char *told(const struct who_asks *asks)
{
    enum who_verdict verdict = who_decide(&who, asks, now, &answer);

    if (verdict == WHO_CHECK) {
        struct who_check *check = answer.check;

        who_check_run(check);
        verdict = who_checked(&who, check, now, &answer);
    }
    return show(verdict);
}

static void is_told(const struct who_asks *asks, const char *expected)
{
    const char *got = told(asks);

    cr_assert_str_eq(got, expected, "%s", got);
}

static struct who_asks with_header(enum who_door door, const char *authorization)
{
    return (struct who_asks){.door = door, .authorization = slice_of(authorization), .peer = {7}};
}

/* Basic; lent until the next call. */
static struct who_asks with_password(const char *pair)
{
    static char header[4096];
    size_t length = (size_t)snprintf(header, sizeof(header), "Basic ");

    EVP_EncodeBlock((unsigned char *)header + length, (const unsigned char *)pair,
                    (int)strlen(pair));
    return with_header(WHO_DB, header);
}

static struct who_asks neon(const char *user, const char *password, const char *database)
{
    return (struct who_asks){.door = WHO_SQL,
                             .user = slice_of(user),
                             .password = slice_of(password),
                             .database = slice_of(database),
                             .peer = {7}};
}

static void bearer(enum who_door door, const char *secret, const char *expected)
{
    char header[200];
    struct who_asks asks;

    snprintf(header, sizeof(header), "Bearer %s", secret);
    asks = with_header(door, header);
    is_told(&asks, expected);
}

/* ---- tokens ------------------------------------------------------------------------------ */

#define TOKENS                                                                                     \
    "token.web = " TOKEN_WEB " database=shop user=ana redis=cache\n"                               \
    "token.any = " TOKEN_ANY " database=*\n"                                                       \
    "token.cache = " TOKEN_CACHE " redis=queue redis_read_only=1"

Test(who, a_token_opens_what_its_line_says_and_nothing_else)
{
    serve(TOKENS);
    bearer(WHO_DB, TOKEN_WEB, "web user=ana database=shop redis=cache");
    cr_assert(who_may_use(&answer, "shop"));
    cr_assert_not(who_may_use(&answer, "stats"));
    cr_assert_not(who_may_use(&answer, ""));
    bearer(WHO_DB, TOKEN_ANY, "any user= database= redis=");
    cr_assert(who_may_use(&answer, "stats"));
    bearer(WHO_DB, TOKEN_CACHE, "cache user= database= redis=queue read only");
    cr_assert_not(who_may_use(&answer, "shop"));
    bearer(WHO_REDIS, TOKEN_CACHE, "cache user= database= redis=queue read only");
    bearer(WHO_REDIS, TOKEN_ANY, "403 this token is for no Redis");
    cr_assert_eq(who.let_in, 4);
    cr_assert_eq(who.refused, 1);
}

Test(who, a_wrong_token_is_refused_and_counted)
{
    serve(TOKENS);
    bearer(WHO_DB, "0123456789abcdef-wex", "401 there is no such token");
    bearer(WHO_DB, TOKEN_WEB "x", "401 there is no such token");
    bearer(WHO_REDIS, "web", "401 there is no such token");
    cr_assert_eq(who.refused, 3);
    cr_assert_eq(who.slowed_down, 0);
}

Test(who, a_token_of_redis_may_stand_in_the_url)
{
    struct who_asks asks = {.door = WHO_REDIS, .token = SLICE(TOKEN_CACHE)};

    serve(TOKENS);
    is_told(&asks, "cache user= database= redis=queue read only");
    asks.token = SLICE("no");
    is_told(&asks, "401 there is no such token");
    asks = (struct who_asks){.door = WHO_DB, .token = SLICE(TOKEN_WEB)};
    is_told(&asks, "401 a token or a password is needed");
}

Test(who, a_token_stands_in_for_neons_password_for_its_databases)
{
    struct who_asks asks = neon("someone", "", "shop");

    serve(TOKENS);
    asks.authorization = SLICE("Bearer " TOKEN_WEB);
    is_told(&asks, "web user=ana database=shop redis=cache");
    asks.database = SLICE("stats");
    is_told(&asks, "403 this token is not for that database");
}

Test(who, nobody_is_let_in_without_a_proof)
{
    struct who_asks asks = {.door = WHO_DB};

    serve(TOKENS);
    is_told(&asks, "401 a token or a password is needed");
    asks.door = WHO_REDIS;
    is_told(&asks, "401 a token is needed");
    asks.door = WHO_SQL;
    is_told(&asks, "401 a token is needed");
    asks = with_header(WHO_DB, "Digest x");
    is_told(&asks, "401 Authorization is neither Bearer nor Basic");
    asks = with_header(WHO_DB, "Bearer");
    is_told(&asks, "401 Authorization is neither Bearer nor Basic");
    asks = with_header(WHO_REDIS, "Basic YTpi");
    is_told(&asks, "401 Authorization is not Bearer");
    asks = with_header(WHO_DB, "bearer  " TOKEN_WEB);
    is_told(&asks, "web user=ana database=shop redis=cache");
}

Test(who, a_stranger_is_refused_before_his_body_is_taken)
{
    struct who_asks asks = {.door = WHO_DB};

    serve(TOKENS);
    cr_assert(who_refuses(&who, &asks, now, &answer));
    cr_assert_eq(answer.status, 401);
    asks = with_password("ana:perhaps");
    cr_assert_not(who_refuses(&who, &asks, now, &answer));
    asks = with_header(WHO_DB, "Bearer " TOKEN_WEB);
    cr_assert_not(who_refuses(&who, &asks, now, &answer));
    cr_assert_eq(who.let_in, 0);
    cr_assert_eq(who.refused, 1);
}

/* ---- passwords --------------------------------------------------------------------------- */

Test(who, a_password_is_checked_as_at_a_login)
{
    static const char *const wrong[] = {
        "ana:open",        "ana:",       "ana",    ":open sesame",
        "eve:open sesame", "none:",      "none:x", "Ana:open sesame",
        "bob:weir",        "cleo:sesame"};
    struct who_asks asks = with_password("ana:open sesame");

    serve("database = shop");
    is_told(&asks, "no token user=ana database=shop redis=");
    cr_assert(who_may_use(&answer, "stats"));
    asks = with_password("bob:sesame");
    is_told(&asks, "no token user=bob database=shop redis=");
    asks = with_password("cleo:weir");
    is_told(&asks, "no token user=cleo database=shop redis=");
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        asks = with_password(wrong[i]);
        asks.peer.key = 100 + i;
        cr_assert_eq(told(&asks)[0], '4', "%s: %s", wrong[i], line.at);
        cr_assert_eq(answer.status, 401);
    }
    cr_assert_eq(who.refused, COUNT_OF(wrong));
}

Test(who, basic_that_is_none_is_refused)
{
    static const char *const rows[] = {"Basic *", "Basic YTpi=", "Basic YT",
                                       "Basic ====", "Basic YWJj" /* abc */};
    struct who_asks asks;

    serve("");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        asks = with_header(WHO_DB, rows[i]);
        asks.peer.key = 100 + i;
        is_told(&asks, "401 Authorization: Basic is malformed");
    }
}

Test(who, neons_password_is_checked_for_the_database_it_says)
{
    struct who_asks asks = neon("ana", "open sesame", "stats");

    serve("");
    is_told(&asks, "no token user=ana database=stats redis=");
    asks = neon("ana", "wrong", "stats");
    is_told(&asks, "401 password authentication failed");
    asks = neon("ana", "open sesame", "nowhere"); /* it is told later, and not to strangers */
    is_told(&asks, "no token user=ana database=nowhere redis=");
}

Test(who, a_password_that_was_right_is_known_and_then_takes_no_thread)
{
    struct who_asks asks = with_password("ana:open sesame");

    serve("");
    cr_assert_eq(who_decide(&who, &asks, now, &answer), WHO_CHECK);
    who_check_run(answer.check);
    cr_assert_eq(who_checked(&who, answer.check, now, &answer), WHO_LET_IN);
    cr_assert_eq(who_decide(&who, &asks, now, &answer), WHO_LET_IN);
    cr_assert_str_eq(answer.user, "ana");
    asks = with_password("ana:open sesamf");
    cr_assert_eq(who_decide(&who, &asks, now, &answer), WHO_CHECK);
    who_check_free(answer.check);
    asks = with_password("bob:open sesame");
    cr_assert_eq(who_decide(&who, &asks, now, &answer), WHO_CHECK);
    who_check_free(answer.check);
    asks = with_password("ana:open sesame");
    cr_assert_eq(who_decide(&who, &asks, now + WHO_REMEMBERED, &answer), WHO_CHECK);
    who_check_free(answer.check);
}

Test(who, a_check_that_did_not_run_lets_nobody_in)
{
    struct who_asks asks = with_password("ana:open sesame");

    serve("");
    cr_assert_eq(who_decide(&who, &asks, now, &answer), WHO_CHECK);
    cr_assert_eq(who_checked(&who, answer.check, now, &answer), WHO_REFUSED);
}

Test(who, a_new_secret_forgets_the_old_password)
{
    struct who_asks asks = with_password("ana:open sesame");

    serve("");
    is_told(&asks, "no token user=ana database= redis=");
    folder_put("users.txt", "\"ana\" \"another\"\n");
    serve("");
    is_told(&asks, "401 password authentication failed");
}

/* ---- guessing ---------------------------------------------------------------------------- */

Test(who, who_guesses_has_to_wait_and_nothing_is_checked_meanwhile)
{
    struct who_asks wrong = with_password("ana:guess"), right;

    serve(TOKENS);
    for (int i = 0; i < 4; i++)
        is_told(&wrong, "401 password authentication failed");
    is_told(&wrong, "429 in 1s");
    right = with_password("ana:open sesame");
    is_told(&right, "429 in 1s"); /* or it would be an oracle */
    cr_assert_eq(who.slowed_down, 2);
    right.peer.key++;
    is_told(&right, "no token user=ana database= redis=");
    right.peer.key--;
    is_told(&right, "no token user=ana database= redis="); /* known now, wherever it comes from */
    bearer(WHO_DB, TOKEN_WEB, "web user=ana database=shop redis=cache");
    now += 1000;
    wrong = with_password("ana:guess");
    is_told(&wrong, "401 password authentication failed");
    is_told(&wrong, "429 in 2s");
}

Test(who, many_guesses_at_once_are_as_many_guesses)
{
    struct who_asks wrong = with_password("ana:guess"), right;
    struct who_check *check;

    serve("");
    for (int i = 0; i < 3; i++)
        is_told(&wrong, "401 password authentication failed");
    right = with_password("ana:open sesame");
    cr_assert_not(who_refuses(&who, &right, now, &answer)); /* which counts nothing */
    cr_assert_eq(who_decide(&who, &right, now, &answer), WHO_CHECK);
    check = answer.check;
    is_told(&right, "429 in 1s"); /* the first is not known to be right yet */
    who_check_run(check);
    cr_assert_eq(who_checked(&who, check, now, &answer), WHO_LET_IN);
    wrong = with_password("ana:other");
    is_told(&wrong, "401 password authentication failed");
    is_told(&wrong, "429 in 1s");
}

Test(who, who_guesses_tokens_has_to_wait_too)
{
    serve(TOKENS);
    for (int i = 0; i < 4; i++)
        bearer(WHO_REDIS, "0123456789abcdef", "401 there is no such token");
    bearer(WHO_REDIS, "0123456789abcdef", "429 in 2s");
    bearer(WHO_REDIS, "0123456789abcdef", "429 in 4s");
    bearer(WHO_REDIS, TOKEN_WEB, "web user=ana database=shop redis=cache");
}

/* ---- open -------------------------------------------------------------------------------- */

Test(who, where_it_is_open_all_are_served_as_the_configured_user)
{
    struct who_asks asks = {.door = WHO_DB};

    serve("open = 1\nuser = guest\ndatabase = stats");
    is_told(&asks, "no token user=guest database=stats redis=cache");
    asks.door = WHO_REDIS;
    is_told(&asks, "no token user=guest database=stats redis=cache");
    asks = neon("someone", "anything", "shop");
    is_told(&asks, "no token user=guest database=shop redis=cache");
    bearer(WHO_REDIS, "any", "no token user=guest database=stats redis=cache");
}

Test(who, a_wrong_proof_is_refused_also_where_it_is_open)
{
    struct who_asks asks = with_password("ana:wrong");

    serve("open = 1\n" TOKENS);
    is_told(&asks, "401 password authentication failed");
    bearer(WHO_REDIS, "any", "401 there is no such token");
    bearer(WHO_REDIS, TOKEN_CACHE, "cache user= database= redis=queue read only");
}

Test(who, a_page_of_a_browser_is_not_served_where_it_is_open)
{
    static const struct {
        const char *host, *origin;
        bool is_served;
    } rows[] = {
        {"", "", true},
        {"localhost:8080", "", true},
        {"LOCALHOST", "", true},
        {"127.0.0.1:8080", "", true},
        {"127.1.2.3", "", true},
        {"[::1]:8080", "", true},
        {"evil.example:8080", "", false},
        {"localhost.evil.example", "", false},
        {"127.0.0.1.evil.example", "", false},
        {"10.0.0.1", "", false},
        {"127.", "", false},
        {"localhost:80:80", "", false},
        {"localhost:8080", "https://evil.example", false},
        {"localhost:8080", "null", false},
        {"localhost:8080", "http://localhost:8081", false},
        {"localhost:8080", "http://localhost:8080", true},
        {"localhost:8080", "https://app.example", true},
        {"localhost:8080", "https://app.example.evil", false},
        {"", "http://", false},
    };

    serve("open = 1\ncors_origins = https://app.example, *");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct who_asks asks = {
            .door = WHO_DB, .host = slice_of(rows[i].host), .origin = slice_of(rows[i].origin)};

        cr_assert_eq(who_decide(&who, &asks, now, &answer),
                     rows[i].is_served ? WHO_LET_IN : WHO_REFUSED, "%s %s", rows[i].host,
                     rows[i].origin);
        cr_assert(rows[i].is_served || answer.status == 403);
    }
}

Test(who, what_a_browser_sends_along_by_itself_needs_an_allowed_origin)
{
    struct who_asks asks = with_password("ana:open sesame");

    serve("cors_origins = https://app.example");
    asks.host = SLICE("weir.example");
    asks.origin = SLICE("https://evil.example");
    is_told(&asks, "403 pages of that origin may not ask (cors_origins)");
    asks.origin = SLICE("https://app.example");
    is_told(&asks, "no token user=ana database= redis=");
    asks.origin = SLICE("https://weir.example");
    is_told(&asks, "no token user=ana database= redis=");
}
