#include "proxy/fronts/postgres/auth.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/postgres/wire.h"
#include "proxy/fronts/postgres/startup.h"

enum state {
    BEGINNING,
    AWAITING_PASSWORD,
    AWAITING_MD5,
    AWAITING_SCRAM_FIRST,
    AWAITING_SCRAM_FINAL,
    DERIVING_TO_COMPARE, /* keys of the password a client sent, with those of its secret */
    DERIVING_TO_PROVE,   /* keys of a plain secret, to check the client's proof with */
    DONE,
};

struct auth {
    enum state state;
    enum auth_type type;
    bool exists; /* there is a user of that name */
    bool doomed; /* whatever the client answers, it is refused in the end */

    uint8_t user_at[STARTUP_USER_MOST];
    struct slice user;
    struct secret secret;
    uint8_t password_at[SECRET_MOST];
    struct slice password; /* whose keys are to be derived; also the text of secret */

    struct secret_keys keys; /* what the client was offered; being derived, unless ready */
    struct secret_keys *kept;
    struct scram scram;
    bool proved;

    uint8_t random[AUTH_RANDOM_SIZE];
    enum err why;
    char reason[STARTUP_USER_MOST + 80];
};

static const char mechanism[] = "SCRAM-SHA-256";

/* ---- how it ends ------------------------------------------------------------------------- */

PRINTF_LIKE(3, 4)
static enum auth_step refuse(struct auth *auth, enum err why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(auth->reason, sizeof(auth->reason), format, arguments);
    va_end(arguments);
    auth->why = why;
    auth->state = DONE;
    return AUTH_REFUSED;
}

/* The one place where somebody is let in or turned away for what they know. */
static enum auth_step judge(struct auth *auth, bool good, struct bytes *out)
{
    if (!good || auth->doomed)
        return refuse(auth, ERR_WRONG_PASSWORD, "password authentication failed for user \"%.*s\"",
                      (int)auth->user.length, (const char *)auth->user.at);
    wire_add_auth_ok(out);
    auth->state = DONE;
    return AUTH_OK;
}

static enum auth_step wait_in(struct auth *auth, enum state state)
{
    auth->state = state;
    return state == DERIVING_TO_COMPARE || state == DERIVING_TO_PROVE ? AUTH_DERIVE : AUTH_SEND;
}

/* ---- creation ---------------------------------------------------------------------------- */

static void set_password(struct auth *auth, struct slice password)
{
    REQUIRE(password.length <= sizeof(auth->password_at));
    memcpy(auth->password_at, password.at, password.length);
    auth->password = (struct slice){auth->password_at, password.length};
}

/* Who has no secret to speak of is given one that fits no password. */
static void set_secret(struct auth *auth, const struct secret *secret, enum secret_kind usual)
{
    struct slice nobodys = SLICE("md5--------------------------------");

    auth->exists = secret != NULL;
    auth->doomed = secret == NULL || secret->text.length == 0;
    if (auth->doomed)
        auth->secret = (struct secret){.kind = secret != NULL ? secret->kind : usual};
    else
        auth->secret = *secret;
    set_password(auth, auth->doomed ? nobodys : secret->text);
    auth->secret.text = auth->password;
}

/* A salt must be at hand before any keys are: a client is told it first. */
static bool set_offer(struct auth *auth, const struct auth_request *request)
{
    ASSERT(request->iterations > 0 && request->process_key.length >= SECRET_SALT_SIZE);
    if (auth->secret.kind == SECRET_SCRAM && !auth->doomed) {
        auth->keys = auth->secret.keys;
        return true;
    }
    auth->keys.iterations = request->iterations;
    return secret_make_salt(request->process_key, auth->user, &auth->keys);
}

struct auth *auth_create(const struct auth_request *request)
{
    struct auth *auth = calloc(1, sizeof(*auth));

    if (auth == NULL)
        return NULL;
    REQUIRE(request->user.length <= sizeof(auth->user_at));
    memcpy(auth->user_at, request->user.at, request->user.length);
    memcpy(auth->random, request->random, sizeof(auth->random));
    auth->user = (struct slice){auth->user_at, request->user.length};
    auth->type = request->type;
    auth->kept = request->kept;
    set_secret(auth, request->secret, request->usual);
    if (!set_offer(auth, request)) {
        auth_destroy(auth);
        return NULL;
    }
    return auth;
}

void auth_destroy(struct auth *auth)
{
    if (auth == NULL)
        return;
    scram_fini(&auth->scram);
    OPENSSL_cleanse(auth, sizeof(*auth));
    free(auth);
}

/* ---- the first question ------------------------------------------------------------------ */

static enum auth_step ask_password(struct auth *auth, struct bytes *out)
{
    wire_add_auth_cleartext(out);
    return wait_in(auth, AWAITING_PASSWORD);
}

static enum auth_step ask_scram(struct auth *auth, struct bytes *out)
{
    static const char *const mechanisms[] = {mechanism};

    auth->doomed |= auth->secret.kind == SECRET_MD5; /* it has no keys and cannot yield any */
    wire_add_auth_sasl(out, mechanisms, COUNT_OF(mechanisms));
    return wait_in(auth, AWAITING_SCRAM_FIRST);
}

static enum auth_step ask_md5(struct auth *auth, struct bytes *out)
{
    if (auth->secret.kind == SECRET_SCRAM)
        return ask_scram(auth, out);
    wire_add_auth_md5(out, auth->random);
    return wait_in(auth, AWAITING_MD5);
}

enum auth_step auth_begin(struct auth *auth, struct bytes *out)
{
    REQUIRE(auth->state == BEGINNING);
    switch (auth->type) {
    case AUTH_ANY:
        auth->doomed = false;
        return judge(auth, true, out);
    case AUTH_TRUST:
        auth->doomed = !auth->exists;
        return judge(auth, true, out);
    case AUTH_PLAIN:
        return ask_password(auth, out);
    case AUTH_MD5:
        return ask_md5(auth, out);
    case AUTH_SCRAM_SHA_256:
        return ask_scram(auth, out);
    }
    return refuse(auth, ERR_NO_ENTRY, "%s", err_text(ERR_NO_ENTRY));
}

/* ---- passwords, in clear and by md5 ------------------------------------------------------ */

/* A PasswordMessage is one text: it ends at its first NUL, and there ends the message. */
static bool is_text(struct slice body)
{
    return body.length > 0 && body.length <= AUTH_ANSWER_MOST &&
           memchr(body.at, '\0', body.length) == body.at + body.length - 1;
}

/* Whether it is fit to be checked; if not, auth is refused already. */
static bool read_password(struct auth *auth, struct slice body, struct slice *password)
{
    if (!is_text(body))
        refuse(auth, ERR_PROTOCOL, "invalid password packet size");
    else if (body.length == 1)
        refuse(auth, ERR_WRONG_PASSWORD, "empty password returned by client");
    *password = (struct slice){body.at, body.length - 1};
    return auth->state != DONE;
}

static enum auth_step check_password(struct auth *auth, struct slice body, struct bytes *out)
{
    struct slice password;

    if (!read_password(auth, body, &password))
        return AUTH_REFUSED;
    if (auth->secret.kind != SECRET_SCRAM)
        return judge(auth, secret_check_plain(&auth->secret, auth->user, password), out);
    set_password(auth, password);
    auth->keys.ready = false;
    return wait_in(auth, DERIVING_TO_COMPARE);
}

static enum auth_step check_md5(struct auth *auth, struct slice body, struct bytes *out)
{
    struct slice response;

    if (!read_password(auth, body, &response))
        return AUTH_REFUSED;
    return judge(auth, secret_check_md5(&auth->secret, auth->user, auth->random, response), out);
}

/* ---- SCRAM ------------------------------------------------------------------------------- */

/* A SASLInitialResponse: | mechanism\0 | length 4 | data |. */
static bool read_sasl_initial(struct slice body, struct slice *name, struct slice *data)
{
    const uint8_t *nul = body.length > 0 ? memchr(body.at, '\0', body.length) : NULL;
    size_t used;

    if (nul == NULL)
        return false;
    *name = (struct slice){body.at, (size_t)(nul - body.at)};
    used = name->length + 1 + sizeof(uint32_t);
    if (body.length < used || bytes_u32(nul + 1) != body.length - used)
        return false;
    *data = (struct slice){body.at + used, body.length - used};
    return true;
}

static enum auth_step begin_scram(struct auth *auth, struct slice body, struct bytes *out)
{
    struct slice name, first, answer;
    enum err e;

    if (!read_sasl_initial(body, &name, &first))
        return refuse(auth, ERR_PROTOCOL, "malformed SASL response");
    if (name.length != sizeof(mechanism) - 1 || memcmp(name.at, mechanism, name.length) != 0)
        return refuse(auth, ERR_PROTOCOL,
                      "client selected an invalid SASL authentication mechanism");
    e = scram_begin(&auth->scram, first, &auth->keys, auth->random, &answer);
    if (e != ERR_OK)
        return refuse(auth, e, "%s", auth->scram.complaint);
    wire_add_auth_sasl_continue(out, answer);
    return wait_in(auth, AWAITING_SCRAM_FINAL);
}

static enum auth_step prove(struct auth *auth, const struct secret_keys *keys, struct bytes *out)
{
    struct bytes final = {0};

    auth->proved = scram_prove(&auth->scram, keys, &final) == ERR_OK && !auth->doomed;
    if (auth->proved)
        wire_add_auth_sasl_final(out, (struct slice){final.at, final.length});
    out->failed |= final.failed;
    bytes_free(&final);
    return judge(auth, auth->proved, out);
}

/* Kept keys are good as long as they were made with the salt and iterations of today. */
static bool fits(const struct secret_keys *kept, const struct secret_keys *offer)
{
    return kept != NULL && kept->ready && kept->iterations == offer->iterations &&
           kept->salt_length == offer->salt_length &&
           memcmp(kept->salt, offer->salt, offer->salt_length) == 0;
}

static enum auth_step end_scram(struct auth *auth, struct slice body, struct bytes *out)
{
    enum err e = scram_end(&auth->scram, body);

    if (e != ERR_OK)
        return refuse(auth, e, "%s", auth->scram.complaint);
    if (auth->secret.kind == SECRET_SCRAM || auth->doomed)
        return prove(auth, &auth->keys, out);
    if (fits(auth->kept, &auth->keys))
        return prove(auth, auth->kept, out);
    return wait_in(auth, DERIVING_TO_PROVE);
}

/* ---- what happens ------------------------------------------------------------------------ */

typedef enum auth_step hear(struct auth *auth, struct slice body, struct bytes *out);

static hear *const on_answer[] = {
    [AWAITING_PASSWORD] = check_password,
    [AWAITING_MD5] = check_md5,
    [AWAITING_SCRAM_FIRST] = begin_scram,
    [AWAITING_SCRAM_FINAL] = end_scram,
    [DONE] = NULL,
};

enum auth_step auth_answer(struct auth *auth, struct slice body, struct bytes *out)
{
    REQUIRE(on_answer[auth->state] != NULL);
    return on_answer[auth->state](auth, body, out);
}

void auth_derive(struct auth *auth)
{
    REQUIRE(auth->state == DERIVING_TO_COMPARE || auth->state == DERIVING_TO_PROVE);
    if (!secret_derive(auth->password, &auth->keys))
        auth->keys.ready = false;
}

bool auth_shares_keys(const struct auth *auth)
{
    return auth->state == DERIVING_TO_PROVE && auth->kept != NULL;
}

enum auth_step auth_derived(struct auth *auth, struct bytes *out)
{
    REQUIRE(auth->state == DERIVING_TO_COMPARE || auth->state == DERIVING_TO_PROVE);
    if (auth_shares_keys(auth) && fits(auth->kept, &auth->keys))
        return prove(auth, auth->kept, out);
    if (!auth->keys.ready)
        return refuse(auth, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
    if (auth->state == DERIVING_TO_COMPARE)
        return judge(auth, secret_check_keys(&auth->keys, &auth->secret.keys), out);
    if (auth->kept != NULL)
        *auth->kept = auth->keys;
    return prove(auth, &auth->keys, out);
}

/* ---- afterwards -------------------------------------------------------------------------- */

enum err auth_why(const struct auth *auth)
{
    return auth->why;
}

const char *auth_reason(const struct auth *auth)
{
    return auth->reason;
}

bool auth_client_key(const struct auth *auth, uint8_t key[SECRET_KEY_SIZE])
{
    if (auth->proved)
        memcpy(key, auth->scram.client_key, SECRET_KEY_SIZE);
    return auth->proved;
}
