#include "proxy/fronts/http/who.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/fronts/postgres/secret.h"

enum {
    UNAUTHORIZED = 401,
    FORBIDDEN = 403,
    TOO_MANY = 429,
    UNAVAILABLE = 503,
    BUCKETS = WHO_ROOM / WHO_WAYS,
    USUAL_ITERATIONS = 4096,
    /* "user:password" in base64, which comes in groups of four */
    LONGEST_BASIC = (CONFIG_LONGEST_USER + 1 + WHO_LONGEST_PASSWORD + 3) / 3 * 4,
};

struct who_check {
    char user[CONFIG_LONGEST_USER + 1];
    char database[CONFIG_LONGEST_DATABASE + 1];
    const char *secret; /* NULL: there is nobody of that name */
    uint8_t digest[WHO_KEY_SIZE];
    struct throttle_peer peer;
    bool is_true, is_counted; /* as a failure, until it is known */
    size_t password_length;
    uint8_t password[];
};

/* What was said to prove it; lent. */
struct proof {
    struct slice user, password;
};

static bool is(struct slice text, const char *word)
{
    return text.length == strlen(word) &&
           strncasecmp((const char *)text.at, word, text.length) == 0;
}

/* Cuts "Bearer " or the like off. */
static bool take_scheme(struct slice *text, const char *scheme)
{
    size_t length = strlen(scheme);
    struct slice rest = *text;

    if (rest.length <= length || !is((struct slice){rest.at, length}, scheme) ||
        rest.at[length] != ' ')
        return false;
    for (; length < rest.length && rest.at[length] == ' '; length++)
        ;
    *text = (struct slice){rest.at + length, rest.length - length};
    return true;
}

void who_init(struct who *who, const struct config *config, const uint8_t key[WHO_KEY_SIZE])
{
    *who = (struct who){.config = config};
    memcpy(who->key, key, sizeof(who->key));
    memcpy(&who->throttle.seed, key, sizeof(who->throttle.seed));
}

void who_fini(struct who *who)
{
    OPENSSL_cleanse(who, sizeof(*who));
}

/* ---- verdicts ---------------------------------------------------------------------------- */

static enum who_verdict refuse(struct who *who, struct who_answer *answer, int status,
                               const char *why)
{
    *answer = (struct who_answer){.status = status, .why = why};
    who->refused++;
    return WHO_REFUSED;
}

static enum who_verdict slow_down(struct who *who, struct who_answer *answer, uint64_t wait_ms)
{
    who->slowed_down++;
    refuse(who, answer, TOO_MANY, "too many wrong passwords or tokens came from this address");
    answer->retry_after_s = (unsigned)((wait_ms + 999) / 1000);
    return WHO_REFUSED;
}

static enum who_verdict refuse_wrong(struct who *who, struct throttle_peer peer, uint64_t now,
                                     struct who_answer *answer, const char *why)
{
    uint64_t wait_ms = throttle_wait(&who->throttle, peer, now);

    throttle_fail(&who->throttle, peer, now);
    if (wait_ms > 0)
        return slow_down(who, answer, throttle_wait(&who->throttle, peer, now));
    return refuse(who, answer, UNAUTHORIZED, why);
}

/* The one database there is; "" where there are more. Of "*", only if it is always the same. */
static const char *only_database(const struct config *config)
{
    const struct named *first = named_first(&config->databases);
    const struct config_database *database = NAMED_ITEM(first, const struct config_database, named);

    if (first == NULL || named_next(first) != NULL)
        return "";
    if (strcmp(first->name, "*") == 0 && database->conninfo == NULL && database->dbname == NULL)
        return "";
    return first->name;
}

static void use_database(const struct config *config, struct slice said, struct who_answer *answer)
{
    const char *usual =
        config->http.database != NULL ? config->http.database : only_database(config);
    size_t size = sizeof(answer->database);

    REQUIRE(said.length < size); /* cut, it might be another's name */
    if (said.length > 0)
        snprintf(answer->database, size, "%.*s", (int)said.length, (const char *)said.at);
    else if (answer->token == NULL ||
             (!config_http_token_database(answer->token, answer->database, size) &&
              config_http_token_allows(answer->token, usual)))
        snprintf(answer->database, size, "%s", usual);
}

static const struct config_redis_upstream *find_upstream(const struct config *config,
                                                         const char *name)
{
    const struct named *found = name != NULL ? named_find(&config->redis.upstreams, name)
                                             : named_first(&config->redis.upstreams);

    return NAMED_ITEM(found, const struct config_redis_upstream, named);
}

static enum who_verdict let_in(struct who *who)
{
    who->let_in++;
    return WHO_LET_IN;
}

bool who_may_use(const struct who_answer *answer, const char *database)
{
    return answer->token == NULL || config_http_token_allows(answer->token, database);
}

/* ---- tokens ------------------------------------------------------------------------------ */

static enum who_verdict let_token_in(struct who *who, const struct who_asks *asks,
                                     const struct config_http_token *token,
                                     struct who_answer *answer)
{
    *answer = (struct who_answer){.token = token, .redis_read_only = token->redis_read_only};
    if (token->redis != NULL)
        answer->redis = find_upstream(who->config, token->redis);
    if (token->user != NULL)
        snprintf(answer->user, sizeof(answer->user), "%s", token->user);
    use_database(who->config, asks->database, answer);
    if (asks->door == WHO_REDIS && answer->redis == NULL)
        return refuse(who, answer, FORBIDDEN, "this token is for no Redis");
    if (asks->door == WHO_SQL && !who_may_use(answer, answer->database))
        return refuse(who, answer, FORBIDDEN, "this token is not for that database");
    return let_in(who);
}

/* ---- passwords that were right before ---------------------------------------------------- */

static struct who_known *bucket_of(struct who *who, const uint8_t digest[WHO_KEY_SIZE])
{
    uint32_t place;

    memcpy(&place, digest, sizeof(place));
    return &who->known[(size_t)(place % BUCKETS) * WHO_WAYS];
}

static bool is_known(struct who *who, const uint8_t digest[WHO_KEY_SIZE], uint64_t now)
{
    const struct who_known *bucket = bucket_of(who, digest);
    bool known = false;

    for (size_t i = 0; i < WHO_WAYS; i++)
        known |=
            bucket[i].until > now && CRYPTO_memcmp(bucket[i].digest, digest, WHO_KEY_SIZE) == 0;
    return known;
}

/* In the place of the one that ends first. */
static void remember(struct who *who, const uint8_t digest[WHO_KEY_SIZE], uint64_t now)
{
    struct who_known *bucket = bucket_of(who, digest), *oldest = bucket;

    if (is_known(who, digest, now))
        return;
    for (size_t i = 1; i < WHO_WAYS; i++)
        if (bucket[i].until < oldest->until)
            oldest = &bucket[i];
    memcpy(oldest->digest, digest, WHO_KEY_SIZE);
    oldest->until = now + WHO_REMEMBERED;
}

/* Of user, secret and password, so that a password is forgotten with its secret. */
static bool make_digest(const struct who *who, const struct who_check *check,
                        uint8_t digest[WHO_KEY_SIZE])
{
    uint8_t text[sizeof(check->user) + WHO_KEY_SIZE + WHO_LONGEST_PASSWORD];
    const char *secret = check->secret != NULL ? check->secret : "";
    size_t length = sizeof(check->user);
    bool done;

    memcpy(text, check->user, length); /* whole, zeros and all: so no two users run together */
    done = EVP_Digest(secret, strlen(secret), text + length, NULL, EVP_sha256(), NULL) == 1;
    length += WHO_KEY_SIZE;
    memcpy(text + length, check->password, check->password_length);
    length += check->password_length;
    done = done && HMAC(EVP_sha256(), who->key, WHO_KEY_SIZE, text, length, digest, NULL) != NULL;
    OPENSSL_cleanse(text, sizeof(text));
    return done;
}

/* ---- passwords --------------------------------------------------------------------------- */

void who_check_free(struct who_check *check)
{
    if (check == NULL)
        return;
    OPENSSL_cleanse(check, sizeof(*check) + check->password_length);
    free(check);
}

/* One who does not exist costs as much time as one who does, whatever the secrets are. */
static bool check_secret(const struct who_check *check, const struct secret *secret)
{
    struct slice user = {(const uint8_t *)check->user, strlen(check->user)};
    struct slice password = {check->password, check->password_length};
    struct secret_keys keys = {.iterations = USUAL_ITERATIONS, .salt_length = SECRET_SALT_SIZE};
    bool is_scram = secret->kind == SECRET_SCRAM, is_right, is_derived;

    if (is_scram)
        keys = secret->keys;
    keys.ready = false;
    is_derived = secret_derive(password, &keys);
    is_right = is_scram ? is_derived && secret_check_keys(&keys, &secret->keys)
                        : secret_check_plain(secret, user, password);
    OPENSSL_cleanse(&keys, sizeof(keys));
    return is_right;
}

void who_check_run(struct who_check *check)
{
    const char *text = check->secret != NULL ? check->secret : "";
    struct secret secret;

    check->is_true =
        secret_parse((struct slice){(const uint8_t *)text, strlen(text)}, &secret) == ERR_OK &&
        check_secret(check, &secret) && check->secret != NULL;
}

static enum who_verdict let_user_in(struct who *who, const struct who_check *check,
                                    struct who_answer *answer)
{
    struct slice said = {(const uint8_t *)check->database, strlen(check->database)};

    *answer = (struct who_answer){0};
    memcpy(answer->user, check->user, sizeof(answer->user));
    use_database(who->config, said, answer);
    return let_in(who);
}

enum who_verdict who_checked(struct who *who, struct who_check *check, uint64_t now,
                             struct who_answer *answer)
{
    enum who_verdict verdict;

    if (check->is_true) {
        if (check->is_counted)
            throttle_forgive(&who->throttle, check->peer, now);
        remember(who, check->digest, now);
        verdict = let_user_in(who, check, answer);
    } else if (check->is_counted) {
        verdict = refuse(who, answer, UNAUTHORIZED, "password authentication failed");
    } else {
        verdict = refuse_wrong(who, check->peer, now, answer, "password authentication failed");
    }
    who_check_free(check);
    return verdict;
}

static struct who_check *create_check(const struct who *who, const struct who_asks *asks,
                                      const struct proof *proof)
{
    struct who_check *check = calloc(1, sizeof(*check) + proof->password.length);
    const struct userlist_user *user;

    if (check == NULL)
        return NULL;
    memcpy(check->user, proof->user.at, proof->user.length);
    memcpy(check->password, proof->password.at, proof->password.length);
    check->password_length = proof->password.length;
    if (asks->database.length > 0)
        memcpy(check->database, asks->database.at, asks->database.length);
    check->peer = asks->peer;
    user = userlist_find(who->config->userlist, check->user);
    check->secret = user != NULL ? user->secret : NULL;
    if (make_digest(who, check, check->digest))
        return check;
    who_check_free(check);
    return NULL;
}

static bool is_text(struct slice text, size_t most)
{
    return text.length > 0 && text.length <= most && memchr(text.at, '\0', text.length) == NULL;
}

static enum who_verdict check_password(struct who *who, const struct who_asks *asks,
                                       const struct proof *proof, uint64_t now,
                                       struct who_answer *answer)
{
    uint64_t wait_ms = throttle_wait(&who->throttle, asks->peer, now);
    struct who_check *check;

    if (!is_text(proof->user, CONFIG_LONGEST_USER) ||
        !is_text(proof->password, WHO_LONGEST_PASSWORD) ||
        (asks->database.length > 0 && !is_text(asks->database, CONFIG_LONGEST_DATABASE)))
        return refuse_wrong(who, asks->peer, now, answer, "password authentication failed");
    check = create_check(who, asks, proof);
    if (check == NULL)
        return refuse(who, answer, UNAVAILABLE, err_text(ERR_NO_MEMORY));
    if (is_known(who, check->digest, now)) {
        enum who_verdict verdict = let_user_in(who, check, answer);

        who_check_free(check);
        return verdict;
    }
    if (wait_ms > 0) {
        who_check_free(check);
        return slow_down(who, answer, wait_ms);
    }
    *answer = (struct who_answer){.check = check};
    return WHO_CHECK;
}

/* ---- browsers ---------------------------------------------------------------------------- */

/* A page that this very address has served. */
static bool is_same_origin(struct slice origin, struct slice host)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        size_t length = strlen(schemes[i]);

        if (host.length > 0 && origin.length == length + host.length &&
            is((struct slice){origin.at, length}, schemes[i]) &&
            strncasecmp((const char *)origin.at + length, (const char *)host.at, host.length) == 0)
            return true;
    }
    return false;
}

static bool may_come_from(const struct who *who, const struct who_asks *asks)
{
    return asks->origin.length == 0 || is_same_origin(asks->origin, asks->host) ||
           config_http_allows_origin(&who->config->http, asks->origin);
}

static struct slice without_port(struct slice host)
{
    for (size_t i = host.length; i > 0; i--) {
        uint8_t c = host.at[i - 1];

        if (c == ':')
            return (struct slice){host.at, i - 1};
        if (c < '0' || c > '9')
            break;
    }
    return host;
}

/* No name but localhost's: any other may be one that leads here for a moment. None at all is
 * HTTP/1.0, which no browser speaks. */
static bool is_local(struct slice host)
{
    struct slice name = without_port(host);
    size_t length = 0;

    if (host.length == 0 || is(name, "localhost") || is(name, "[::1]"))
        return true;
    while (length < name.length &&
           (name.at[length] == '.' || (name.at[length] >= '0' && name.at[length] <= '9')))
        length++;
    return length == name.length && length > 4 && memcmp(name.at, "127.", 4) == 0;
}

/* ---- without any proof ------------------------------------------------------------------- */

static enum who_verdict let_anyone_in(struct who *who, const struct who_asks *asks,
                                      struct who_answer *answer)
{
    const struct config_http *http = &who->config->http;

    if (!is_local(asks->host))
        return refuse(who, answer, FORBIDDEN,
                      "without a token weir is asked as localhost, and by no other name");
    if (!may_come_from(who, asks))
        return refuse(who, answer, FORBIDDEN, "pages of that origin may not ask (cors_origins)");
    *answer = (struct who_answer){.redis = find_upstream(who->config, NULL)};
    if (http->user != NULL)
        snprintf(answer->user, sizeof(answer->user), "%s", http->user);
    use_database(who->config, asks->database, answer);
    if (asks->door == WHO_REDIS && answer->redis == NULL)
        return refuse(who, answer, FORBIDDEN, "there is no Redis");
    return let_in(who);
}

/* ---- what there is to prove it ----------------------------------------------------------- */

/* Gives the token that was said; false if none was. */
static bool find_token(const struct who_asks *asks, struct slice *token)
{
    *token = asks->authorization;
    if (take_scheme(token, "Bearer"))
        return true;
    *token = asks->token;
    return asks->door == WHO_REDIS && token->length > 0;
}

/* False if it is not "user:password" in base64. text is room for what it says. */
static bool read_basic(struct slice basic, uint8_t text[LONGEST_BASIC], struct proof *proof)
{
    const uint8_t *colon;
    size_t padding = 0, length;
    int decoded;

    if (basic.length == 0 || basic.length > LONGEST_BASIC || basic.length % 4 != 0)
        return false;
    while (padding < 2 && basic.at[basic.length - 1 - padding] == '=')
        padding++;
    decoded = EVP_DecodeBlock(text, basic.at, (int)basic.length);
    if (decoded < (int)padding)
        return false;
    length = (size_t)decoded - padding;
    colon = length > 0 ? memchr(text, ':', length) : NULL;
    if (colon == NULL)
        return false;
    proof->user = (struct slice){text, (size_t)(colon - text)};
    proof->password = (struct slice){colon + 1, length - proof->user.length - 1};
    return true;
}

static enum who_verdict decide_basic(struct who *who, const struct who_asks *asks,
                                     struct slice basic, uint64_t now, struct who_answer *answer)
{
    uint8_t text[LONGEST_BASIC];
    struct proof proof;
    enum who_verdict verdict;

    if (!may_come_from(who, asks))
        return refuse(who, answer, FORBIDDEN, "pages of that origin may not ask (cors_origins)");
    if (read_basic(basic, text, &proof))
        verdict = check_password(who, asks, &proof, now, answer);
    else
        verdict = refuse_wrong(who, asks->peer, now, answer, "Authorization: Basic is malformed");
    OPENSSL_cleanse(text, sizeof(text));
    return verdict;
}

static enum who_verdict decide_token(struct who *who, const struct who_asks *asks,
                                     struct slice secret, uint64_t now, struct who_answer *answer)
{
    const struct config_http *http = &who->config->http;
    const struct config_http_token *token = config_http_find_token(http, secret);

    if (token != NULL)
        return let_token_in(who, asks, token, answer);
    if (http->open && named_count(&http->tokens) == 0)
        return let_anyone_in(who, asks, answer);
    return refuse_wrong(who, asks->peer, now, answer, "there is no such token");
}

static enum who_verdict decide(struct who *who, const struct who_asks *asks, uint64_t now,
                               struct who_answer *answer)
{
    const struct proof said = {asks->user, asks->password};
    struct slice basic = asks->authorization, token;

    if (find_token(asks, &token))
        return decide_token(who, asks, token, now, answer);
    if (asks->door == WHO_DB && take_scheme(&basic, "Basic"))
        return decide_basic(who, asks, basic, now, answer);
    if (asks->authorization.length > 0)
        return refuse(who, answer, UNAUTHORIZED,
                      asks->door == WHO_DB ? "Authorization is neither Bearer nor Basic"
                                           : "Authorization is not Bearer");
    if (who->config->http.open)
        return let_anyone_in(who, asks, answer);
    if (asks->door == WHO_SQL && said.password.length > 0)
        return check_password(who, asks, &said, now, answer);
    return refuse(who, answer, UNAUTHORIZED,
                  asks->door == WHO_DB ? "a token or a password is needed" : "a token is needed");
}

enum who_verdict who_decide(struct who *who, const struct who_asks *asks, uint64_t now,
                            struct who_answer *answer)
{
    enum who_verdict verdict = decide(who, asks, now, answer);

    if (verdict == WHO_CHECK && throttle_suspects(&who->throttle, asks->peer, now)) {
        throttle_fail(&who->throttle, asks->peer, now);
        answer->check->is_counted = true;
    }
    return verdict;
}

bool who_refuses(struct who *who, const struct who_asks *asks, uint64_t now,
                 struct who_answer *answer)
{
    switch (decide(who, asks, now, answer)) {
    case WHO_REFUSED:
        return true;
    case WHO_CHECK:
        who_check_free(answer->check);
        break;
    case WHO_LET_IN:
        who->let_in--; /* it will be */
        break;
    }
    *answer = (struct who_answer){0};
    return false;
}
