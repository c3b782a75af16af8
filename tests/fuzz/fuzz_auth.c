/*
 * Any answers to any kind of login. The first bytes choose method and secret; the rest is
 * cut into answers; some are made to end as a text does, some to begin SCRAM. Nobody
 * who must know something gets in, and every login ends after two answers.
 */
#include "fuzz.h"

#include "proxy/fronts/postgres/auth.h"

#define SCRAM_OF_PENCIL                                                                            \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"    \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static const char *const secrets[] = {
    "",
    "a password no input will have",
    "md50123456789abcdef0123456789abcdef",
    SCRAM_OF_PENCIL,
};

static struct slice text(const char *words)
{
    size_t length = 0;

    while (words[length] != '\0')
        length++;
    return (struct slice){(const uint8_t *)words, length};
}

static enum auth_step answer(struct auth *auth, struct slice body, struct bytes *out)
{
    struct bytes copy = {0};
    enum auth_step step;

    if (body.length % 3 == 0)
        bytes_add(&copy, "SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc", 29);
    else
        bytes_add(&copy, body.at, body.length);
    if (body.length % 2 == 0)
        bytes_add(&copy, "", 1);
    bytes_clear(out);
    step = auth_answer(auth, (struct slice){copy.at, copy.length}, out);
    bytes_free(&copy);
    if (step == AUTH_DERIVE) {
        auth_derive(auth);
        step = auth_derived(auth, out);
    }
    return step;
}

static void log_in(const struct auth_request *request, struct slice rest)
{
    struct auth *auth = auth_create(request);
    struct bytes out = {0};
    enum auth_step step = AUTH_REFUSED;
    int answers = 0;

    if (auth != NULL)
        step = auth_begin(auth, &out);
    for (; step == AUTH_SEND; answers++) {
        size_t cut = rest.length > 0 ? rest.at[0] % rest.length : 0;

        step = answer(auth, (struct slice){rest.at, cut}, &out);
        rest = (struct slice){rest.at + cut, rest.length - cut};
    }
    REQUIRE(answers <= 2);
    REQUIRE(step != AUTH_OK || request->type == AUTH_ANY ||
            (request->type == AUTH_TRUST && request->secret != NULL));
    REQUIRE(step != AUTH_REFUSED || auth_reason(auth)[0] != '\0');
    auth_destroy(auth);
    bytes_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct auth_request request = {
        .user = SLICE("ana"), .iterations = 1, .process_key = SLICE("known to this process")};
    struct secret secret;

    if (size < 3)
        return 0;
    request.type = (enum auth_type)(data[0] % 5);
    request.usual = (enum secret_kind)(data[1] % 3);
    REQUIRE(secret_parse(text(secrets[data[2] % COUNT_OF(secrets)]), &secret) == ERR_OK);
    request.secret = data[2] > 200 ? NULL : &secret;
    log_in(&request, (struct slice){data + 3, size - 3});
    return 0;
}
