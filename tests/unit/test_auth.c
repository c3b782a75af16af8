/*
 * Logins as stories: what weir asks, what the client answers, and how it ends. The client
 * is the test's own. What weir says is told in words: "password?", "md5?", "sasl?",
 * "scram r=..., "signature", "in".
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/postgres/wire.h"
#include "proxy/fronts/postgres/auth.h"
#include "scram_client.h"

#define MD5_OF_PENCIL "md5042c1618f4fe621a5d00d6ea09993af7" /* of ana */
#define SCRAM_OF_PENCIL                                                                            \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"    \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define WRONG_PASSWORD "28P01 password authentication failed for user \"ana\""
#define MALFORMED_SASL "08P01 malformed SASL response"
#define BAD_SIZE       "08P01 invalid password packet size"
#define MD5_RESPONSE   "md556c5e1d50ea6bc7390d3a5b937038866" /* to the salt "\1\2\3\4" */
#define MD5_WRONG      "md50123456789abcdef0123456789abcdef"

/* ---- the words the stories are told in --------------------------------------------------- */

static struct auth *auth;
static struct auth_request request;
static struct secret secret;
static struct secret_keys kept;
static struct bytes out;
static enum auth_step step;
static int derivations;
static char server_first[512];
static struct scram_client client;

static struct slice text(const char *words)
{
    return (struct slice){(const uint8_t *)words, strlen(words)};
}

static void begin_anew(void)
{
    derivations = 0;
    kept = (struct secret_keys){0};
    request = (struct auth_request){
        .user = text("ana"),
        .kept = &kept,
        .iterations = 16,
        .process_key = text("known to this process"),
        .random = "\1\2\3\4 and the rest",
    };
}

static void forget(void)
{
    auth_destroy(auth);
    bytes_free(&out);
    clean_end();
}

TestSuite(auth, .init = begin_anew, .fini = forget);

static void given_her_secret_is(const char *words)
{
    cr_assert_eq(secret_parse(text(words), &secret), ERR_OK);
    request.secret = &secret;
}

static void given_there_is_no_such_user(void)
{
    request.secret = NULL;
}

static void begins(enum auth_type type)
{
    auth_destroy(auth);
    bytes_clear(&out);
    request.type = type;
    auth = auth_create(&request);
    cr_assert_not_null(auth);
    step = auth_begin(auth, &out);
}

static void derives_if_it_must(void)
{
    for (; step == AUTH_DERIVE; derivations++) {
        auth_derive(auth);
        step = auth_derived(auth, &out);
    }
}

static void answers_bytes(const void *at, size_t length)
{
    bytes_clear(&out);
    step = auth_answer(auth, (struct slice){at, length}, &out);
    derives_if_it_must();
}

static void answers(const char *password)
{
    answers_bytes(password, strlen(password) + 1);
}

static void chooses(const char *mechanism, const char *first)
{
    struct bytes body = {0};

    bytes_add(&body, mechanism, strlen(mechanism) + 1);
    bytes_put_u32(bytes_extend(&body, 4), (uint32_t)strlen(first));
    bytes_add(&body, first, strlen(first));
    answers_bytes(body.at, body.length);
    bytes_free(&body);
}

static void tell_request(struct slice body, struct bytes *told)
{
    const char *data = (const char *)body.at + 4;
    int length = (int)body.length - 4;

    switch (bytes_u32(body.at)) {
    case 0:
        bytes_print(told, "in; ");
        break;
    case 3:
        bytes_print(told, "password?; ");
        break;
    case 5:
        bytes_print(told, "md5 %02x%02x%02x%02x?; ", data[0], data[1], data[2], data[3]);
        break;
    case 10:
        bytes_print(told, "%s?; ", data);
        break;
    case 11:
        snprintf(server_first, sizeof(server_first), "%.*s", length, data);
        bytes_print(told, "prove it; ");
        break;
    case 12:
        cr_assert_eq(strlen(client.verdict), (size_t)length);
        cr_assert_arr_eq(data, client.verdict, (size_t)length);
        bytes_print(told, "so do I; ");
        break;
    default:
        cr_assert_fail("an unknown request");
    }
}

/* Compares what the client was told, in words, and a refusal with its reason. */
static void is_told(const char *expected)
{
    struct slice rest = {out.at, out.length};
    struct wire_header header;
    struct bytes told = {0};

    while (wire_header(rest, &header) == WIRE_MESSAGE) {
        cr_assert_eq(header.type, WIRE_AUTHENTICATION);
        tell_request((struct slice){rest.at + 5, header.length - 5}, &told);
        rest = (struct slice){rest.at + header.length, rest.length - header.length};
    }
    if (step == AUTH_REFUSED)
        bytes_print(&told, "%s %s; ", err_sqlstate(auth_why(auth)), auth_reason(auth));
    cr_assert_eq(strstr(expected, "in") == expected + strlen(expected) - 2, step == AUTH_OK);
    told.at[told.length - 2] = '\0';
    cr_assert_str_eq((char *)told.at, expected);
    bytes_free(&told);
    bytes_clear(&out);
}

/* All of a SCRAM login up to the client's last message, which is made with password. */
static void proves_with(const char *password)
{
    is_told("SCRAM-SHA-256?");
    chooses("SCRAM-SHA-256", "n,,n=,r=abc");
    is_told("prove it");
    scram_client_answer(&client, "n=,r=abc", server_first, "biws", password);
    answers_bytes(client.final, strlen(client.final));
}

/* ---- nothing is asked -------------------------------------------------------------------- */

Test(auth, any_lets_anybody_in)
{
    begins(AUTH_ANY);
    is_told("in");
    given_her_secret_is("");
    begins(AUTH_ANY);
    is_told("in");
}

Test(auth, trust_lets_in_who_is_in_the_list)
{
    given_her_secret_is("");
    begins(AUTH_TRUST);
    is_told("in");
    given_there_is_no_such_user();
    begins(AUTH_TRUST);
    is_told(WRONG_PASSWORD);
}

/* ---- a password in clear ----------------------------------------------------------------- */

Test(auth, the_right_password_lets_in_whatever_the_secret_is)
{
    static const char *const secrets[] = {"pencil", MD5_OF_PENCIL, SCRAM_OF_PENCIL};

    for (size_t i = 0; i < COUNT_OF(secrets); i++) {
        given_her_secret_is(secrets[i]);
        begins(AUTH_PLAIN);
        is_told("password?");
        answers("pencil");
        is_told("in");
        begins(AUTH_PLAIN);
        is_told("password?");
        answers("pen");
        is_told(WRONG_PASSWORD);
    }
    cr_assert_eq(derivations, 2);
}

Test(auth, the_text_of_a_secret_is_no_password)
{
    static const char *const secrets[] = {MD5_OF_PENCIL, SCRAM_OF_PENCIL};

    for (size_t i = 0; i < COUNT_OF(secrets); i++) {
        given_her_secret_is(secrets[i]);
        begins(AUTH_PLAIN);
        answers(secrets[i]);
        is_told(WRONG_PASSWORD);
    }
}

Test(auth, keys_of_what_a_client_sent_are_never_kept)
{
    given_her_secret_is(SCRAM_OF_PENCIL);
    begins(AUTH_PLAIN);
    answers("wrong");
    is_told(WRONG_PASSWORD);
    cr_assert_not(kept.ready);
}

Test(auth, a_password_message_is_one_text)
{
    static const struct {
        struct slice body;
        const char *told;
    } rows[] = {
#define ROW(body, told) {{(const uint8_t *)(body), sizeof(body) - 1}, told}
        ROW("", BAD_SIZE),           ROW("pencil", BAD_SIZE),
        ROW("pencil\0\0", BAD_SIZE), ROW("pencil\0x", BAD_SIZE),
        ROW("pen\0cil\0", BAD_SIZE), ROW("\0", "28P01 empty password returned by client"),
        ROW("pencil\0", "in"),
    };

    given_her_secret_is("pencil");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begins(AUTH_PLAIN);
        answers_bytes(rows[i].body.at, rows[i].body.length);
        is_told(rows[i].told);
    }
}

Test(auth, a_password_may_have_2048_bytes)
{
    static char words[SECRET_MOST + 2];

    memset(words, 'x', SECRET_MOST);
    given_her_secret_is(words);
    begins(AUTH_PLAIN);
    answers(words);
    is_told("in");
    words[SECRET_MOST] = 'x';
    begins(AUTH_PLAIN);
    answers(words);
    is_told(BAD_SIZE);
}

/* ---- md5 --------------------------------------------------------------------------------- */

Test(auth, md5_lets_in_with_a_plain_or_an_md5_secret)
{
    static const char *const secrets[] = {"pencil", MD5_OF_PENCIL};

    for (size_t i = 0; i < COUNT_OF(secrets); i++) {
        given_her_secret_is(secrets[i]);
        begins(AUTH_MD5);
        is_told("md5 01020304?");
        answers(MD5_RESPONSE);
        is_told("in");
        begins(AUTH_MD5);
        answers(MD5_WRONG);
        is_told(WRONG_PASSWORD);
        begins(AUTH_MD5);
        answers("md5");
        is_told(WRONG_PASSWORD);
    }
}

Test(auth, an_md5_response_is_worth_nothing_for_another_salt)
{
    given_her_secret_is("pencil");
    request.random[0] = 9;
    begins(AUTH_MD5);
    is_told("md5 09020304?");
    answers(MD5_RESPONSE);
    is_told(WRONG_PASSWORD);
}

Test(auth, md5_becomes_scram_for_a_scram_secret)
{
    given_her_secret_is(SCRAM_OF_PENCIL);
    begins(AUTH_MD5);
    proves_with("pencil");
    is_told("so do I; in");
}

/* ---- SCRAM ------------------------------------------------------------------------------- */

Test(auth, scram_lets_in_with_a_scram_secret_and_derives_nothing)
{
    uint8_t key[SECRET_KEY_SIZE];

    given_her_secret_is(SCRAM_OF_PENCIL);
    begins(AUTH_SCRAM_SHA_256);
    proves_with("pencil");
    is_told("so do I; in");
    cr_assert_eq(derivations, 0);
    cr_assert(auth_client_key(auth, key));
    begins(AUTH_SCRAM_SHA_256);
    proves_with("pen");
    is_told(WRONG_PASSWORD);
    cr_assert_not(auth_client_key(auth, key));
}

Test(auth, keys_of_a_plain_secret_are_derived_once)
{
    given_her_secret_is("pencil");
    for (int i = 0; i < 3; i++) {
        begins(AUTH_SCRAM_SHA_256);
        proves_with(i == 1 ? "pen" : "pencil");
        is_told(i == 1 ? WRONG_PASSWORD : "so do I; in");
        cr_assert_eq(derivations, 1);
    }
}

Test(auth, kept_keys_of_other_iterations_are_not_used)
{
    given_her_secret_is("pencil");
    begins(AUTH_SCRAM_SHA_256);
    proves_with("pencil");
    is_told("so do I; in");
    request.iterations = 17;
    begins(AUTH_SCRAM_SHA_256);
    proves_with("pencil");
    is_told("so do I; in");
    cr_assert_eq(derivations, 2);
}

Test(auth, who_waits_while_another_login_derives_need_not)
{
    struct auth *another;

    given_her_secret_is("pencil");
    begins(AUTH_SCRAM_SHA_256);
    chooses("SCRAM-SHA-256", "n,,n=,r=abc");
    is_told("prove it");
    scram_client_answer(&client, "n=,r=abc", server_first, "biws", "pencil");
    step = auth_answer(auth, text(client.final), &out);
    cr_assert_eq(step, AUTH_DERIVE);
    cr_assert(auth_shares_keys(auth));
    another = auth;
    auth = NULL;
    begins(AUTH_SCRAM_SHA_256);
    proves_with("pencil");
    is_told("so do I; in");
    cr_assert_eq(auth_derived(another, &out), AUTH_OK);
    cr_assert_eq(derivations, 1);
    auth_destroy(another);
}

Test(auth, a_caller_that_keeps_nothing_derives_each_time)
{
    given_her_secret_is("pencil");
    request.kept = NULL;
    for (int i = 1; i <= 2; i++) {
        begins(AUTH_SCRAM_SHA_256);
        proves_with("pencil");
        is_told("so do I; in");
        cr_assert_eq(derivations, i);
    }
}

Test(auth, the_salt_goes_out_before_anything_is_derived)
{
    given_her_secret_is("pencil");
    begins(AUTH_SCRAM_SHA_256);
    chooses("SCRAM-SHA-256", "n,,n=,r=abc");
    cr_assert_eq(step, AUTH_SEND);
    cr_assert_eq(derivations, 0);
}

Test(auth, scram_cannot_be_done_with_an_md5_secret)
{
    given_her_secret_is(MD5_OF_PENCIL);
    begins(AUTH_SCRAM_SHA_256);
    proves_with("pencil");
    is_told(WRONG_PASSWORD);
    begins(AUTH_SCRAM_SHA_256);
    proves_with(MD5_OF_PENCIL); /* who has stolen the list */
    is_told(WRONG_PASSWORD);
    cr_assert_eq(derivations, 0);
}

Test(auth, yesterdays_proof_is_refused)
{
    struct scram_client yesterday;

    given_her_secret_is(SCRAM_OF_PENCIL);
    begins(AUTH_SCRAM_SHA_256);
    proves_with("pencil");
    is_told("so do I; in");
    yesterday = client;
    request.random[0] = 9;
    begins(AUTH_SCRAM_SHA_256);
    chooses("SCRAM-SHA-256", "n,,n=,r=abc");
    answers_bytes(yesterday.final, strlen(yesterday.final));
    is_told("08P01 invalid SCRAM response: nonce does not match");
}

Test(auth, a_sasl_response_is_as_the_manual_has_it)
{
    static const struct {
        struct slice body;
        const char *told;
    } rows[] = {
        ROW("", MALFORMED_SASL),
        ROW("SCRAM-SHA-256", MALFORMED_SASL),
        ROW("SCRAM-SHA-256\0", MALFORMED_SASL),
        ROW("SCRAM-SHA-256\0\0\0\0", MALFORMED_SASL),
        ROW("SCRAM-SHA-256\0\0\0\0\x0cn,,n=,r=abc", MALFORMED_SASL),
        ROW("SCRAM-SHA-256\0\0\0\0\x0an,,n=,r=abc", MALFORMED_SASL),
        ROW("SCRAM-SHA-256\0\xff\xff\xff\xff", MALFORMED_SASL),
        ROW("SCRAM-SHA-256\0\0\0\0\0", "08P01 malformed SCRAM message"),
        ROW("pencil\0", MALFORMED_SASL),
        ROW("SCRAM-SHA-1\0\0\0\0\x0bn,,n=,r=abc",
            "08P01 client selected an invalid SASL authentication mechanism"),
        ROW("SCRAM-SHA-256-PLUS\0\0\0\0\x0bn,,n=,r=abc",
            "08P01 client selected an invalid SASL authentication mechanism"),
        ROW("SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc", "prove it"),
    };

    given_her_secret_is(SCRAM_OF_PENCIL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begins(AUTH_SCRAM_SHA_256);
        is_told("SCRAM-SHA-256?");
        answers_bytes(rows[i].body.at, rows[i].body.length);
        is_told(rows[i].told);
    }
}

Test(auth, the_last_word_cannot_come_first_nor_the_first_last)
{
    given_her_secret_is(SCRAM_OF_PENCIL);
    begins(AUTH_SCRAM_SHA_256);
    proves_with("pencil");
    is_told("so do I; in");
    begins(AUTH_SCRAM_SHA_256);
    answers_bytes(client.final, strlen(client.final));
    is_told(MALFORMED_SASL);
    begins(AUTH_SCRAM_SHA_256);
    chooses("SCRAM-SHA-256", "n,,n=,r=abc");
    chooses("SCRAM-SHA-256", "n,,n=,r=abc");
    is_told("08P01 malformed SCRAM message");
}

/* ---- strangers --------------------------------------------------------------------------- */

Test(auth, a_stranger_sees_what_a_user_with_a_wrong_password_sees)
{
    static const struct {
        enum auth_type type;
        enum secret_kind usual;
        const char *question;
    } rows[] = {
        {AUTH_PLAIN, SECRET_PLAIN, "password?"},  {AUTH_PLAIN, SECRET_MD5, "password?"},
        {AUTH_PLAIN, SECRET_SCRAM, "password?"},  {AUTH_MD5, SECRET_PLAIN, "md5 01020304?"},
        {AUTH_MD5, SECRET_MD5, "md5 01020304?"},  {AUTH_MD5, SECRET_SCRAM, NULL},
        {AUTH_SCRAM_SHA_256, SECRET_PLAIN, NULL}, {AUTH_SCRAM_SHA_256, SECRET_MD5, NULL},
        {AUTH_SCRAM_SHA_256, SECRET_SCRAM, NULL},
    };

    given_there_is_no_such_user();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        request.usual = rows[i].usual;
        begins(rows[i].type);
        if (rows[i].question == NULL) {
            proves_with("pencil");
        } else {
            is_told(rows[i].question);
            answers(MD5_RESPONSE);
        }
        is_told(WRONG_PASSWORD);
        cr_assert_not(kept.ready);
    }
}

Test(auth, a_strangers_salt_is_that_of_a_plain_secret_and_never_changes)
{
    char of_a_user[sizeof(server_first)];

    given_her_secret_is("pencil");
    begins(AUTH_SCRAM_SHA_256);
    proves_with("pencil");
    is_told("so do I; in");
    strcpy(of_a_user, server_first);
    given_there_is_no_such_user();
    for (int i = 0; i < 2; i++) {
        begins(AUTH_SCRAM_SHA_256);
        proves_with("pencil");
        is_told(WRONG_PASSWORD);
        cr_assert_str_eq(server_first, of_a_user);
    }
}

Test(auth, an_empty_secret_is_asked_and_refused_like_a_stranger)
{
    given_her_secret_is("");
    begins(AUTH_PLAIN);
    is_told("password?");
    answers("md5--------------------------------");
    is_told(WRONG_PASSWORD);
    begins(AUTH_MD5);
    is_told("md5 01020304?");
    answers(MD5_RESPONSE);
    is_told(WRONG_PASSWORD);
    begins(AUTH_SCRAM_SHA_256);
    proves_with("");
    is_told(WRONG_PASSWORD);
}

/* ---- our own mistakes -------------------------------------------------------------------- */

Test(auth, an_answer_to_no_question_stops_the_process, .signal = SIGABRT)
{
    begins(AUTH_ANY);
    answers("pencil");
}

Test(auth, who_forgets_to_derive_lets_nobody_in)
{
    given_her_secret_is(SCRAM_OF_PENCIL);
    begins(AUTH_PLAIN);
    cr_assert_eq(auth_answer(auth, SLICE("wrong\0"), &out), AUTH_DERIVE);
    bytes_clear(&out);
    step = auth_derived(auth, &out);
    is_told("53200 out of memory");
}

Test(auth, a_message_that_cannot_be_built_is_seen_in_out)
{
    given_her_secret_is("pencil");
    cr_assert_null(bytes_extend(&out, SIZE_MAX / 2));
    request.type = AUTH_PLAIN;
    auth = auth_create(&request);
    cr_assert_eq(auth_begin(auth, &out), AUTH_SEND);
    cr_assert(out.failed);
}
