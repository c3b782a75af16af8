/*
 * The server's side of SCRAM against a client written from the RFC, its example, and a
 * table in which every part of every message is spoilt once.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/postgres/scram.h"
#include "scram_client.h"

#define FIRST_BARE "n=,r=abc"
#define FIRST      "n,," FIRST_BARE
#define NONCE      "abcc2VydmVyJ3MgcGFydCBoZXJl" /* abc and RANDOM */
#define RANDOM     "server's part here"

static struct scram scram;
static struct secret_keys keys;
static struct bytes final;
static char server_first[512];
static struct scram_client client;

static struct slice text(const char *words)
{
    return (struct slice){(const uint8_t *)words, strlen(words)};
}

static void given_the_password(const char *password)
{
    keys = (struct secret_keys){.iterations = 16, .salt_length = 4, .salt = "salt"};
    cr_assert(secret_derive(text(password), &keys));
}

static void given_ana_knows_pencil(void)
{
    given_the_password("pencil");
}

static void forget(void)
{
    scram_fini(&scram);
    bytes_free(&final);
    clean_end();
}

TestSuite(scram, .init = given_ana_knows_pencil, .fini = forget);

static enum err begins(struct slice client_first)
{
    struct slice first;
    enum err e = scram_begin(&scram, client_first, &keys, (const uint8_t *)RANDOM, &first);

    if (e == ERR_OK)
        snprintf(server_first, sizeof(server_first), "%.*s", (int)first.length,
                 (const char *)first.at);
    return e;
}

/* Starts anew and goes as far as the client's last message, which it answers with password. */
static void comes_to_the_end(const char *first, const char *header, const char *password)
{
    scram_fini(&scram);
    cr_assert_eq(begins(text(first)), ERR_OK);
    scram_client_answer(&client, first + 3, server_first, header, password);
}

static enum err proves(void)
{
    bytes_clear(&final);
    return scram_prove(&scram, &keys, &final);
}

/* ---- stories ----------------------------------------------------------------------------- */

Test(scram, who_knows_the_password_is_let_in_and_told_that_the_server_does)
{
    comes_to_the_end(FIRST, "biws", "pencil");
    cr_assert_str_eq(server_first, "r=" NONCE ",s=c2FsdA==,i=16");
    cr_assert_eq(scram_end(&scram, text(client.final)), ERR_OK);
    cr_assert_eq(proves(), ERR_OK);
    cr_assert_eq(final.length, strlen(client.verdict));
    cr_assert_arr_eq(final.at, client.verdict, final.length);
}

Test(scram, who_does_not_is_refused_and_told_nothing)
{
    comes_to_the_end(FIRST, "biws", "pen");
    cr_assert_eq(scram_end(&scram, text(client.final)), ERR_OK);
    cr_assert_eq(proves(), ERR_WRONG_PASSWORD);
    cr_assert_eq(final.length, 0);
}

Test(scram, a_client_that_could_bind_to_the_channel_need_not)
{
    comes_to_the_end("y,," FIRST_BARE, "eSws", "pencil");
    cr_assert_eq(scram_end(&scram, text(client.final)), ERR_OK);
    cr_assert_eq(proves(), ERR_OK);
}

Test(scram, a_header_changed_under_way_is_noticed)
{
    comes_to_the_end("y,," FIRST_BARE, "biws", "pencil");
    cr_assert_eq(scram_end(&scram, text(client.final)), ERR_PROTOCOL);
}

Test(scram, extensions_nobody_must_understand_are_signed_and_ignored)
{
    comes_to_the_end(FIRST ",x=1,Y=2", "biws", "pencil");
    cr_assert_eq(scram_end(&scram, text(client.final)), ERR_OK);
    cr_assert_eq(proves(), ERR_OK);
}

Test(scram, the_clients_key_can_be_used_to_log_in_to_servers)
{
    uint8_t digest[SECRET_KEY_SIZE];

    comes_to_the_end(FIRST, "biws", "pencil");
    cr_assert_eq(scram_end(&scram, text(client.final)), ERR_OK);
    cr_assert_eq(proves(), ERR_OK);
    SHA256(scram.client_key, SECRET_KEY_SIZE, digest);
    cr_assert_arr_eq(digest, keys.stored_key, SECRET_KEY_SIZE);
}

Test(scram, a_proof_is_worth_nothing_in_another_exchange)
{
    struct scram_client yesterday;
    struct slice first;

    comes_to_the_end(FIRST, "biws", "pencil");
    yesterday = client;
    scram_fini(&scram);
    cr_assert_eq(
        scram_begin(&scram, text(FIRST), &keys, (const uint8_t *)"another part today", &first),
        ERR_OK);
    cr_assert_eq(scram_end(&scram, text(yesterday.final)), ERR_PROTOCOL);
}

/* RFC 7677, section 3. Its server nonce is no base64, so what was said is put in by hand. */
Test(scram, the_example_of_the_rfc)
{
    static const char nonce[] = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    static const char said[] =
        "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAf"
        "uxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    struct secret secret;

    bytes_add(&scram.said, said, sizeof(said) - 1);
    scram.header = SLICE("biws");
    scram.nonce_at = (size_t)(strstr(said, nonce) - said);
    scram.nonce_length = strlen(nonce);
    cr_assert_eq(secret_parse(text("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                                   "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                                   "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
                              &secret),
                 ERR_OK);
    keys = secret.keys;
    cr_assert_eq(
        scram_end(&scram, text("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
                               ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")),
        ERR_OK);
    cr_assert_eq(proves(), ERR_OK);
    cr_assert_eq(final.length, 46);
    cr_assert_arr_eq(final.at, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", 46);
}

/* ---- the first message, spoilt ----------------------------------------------------------- */

static const struct row {
    struct slice message;
    enum err e;
} firsts[] = {
#define ROW(text, e)                                                                               \
    {                                                                                              \
        {(const uint8_t *)(text), sizeof(text) - 1}, e                                             \
    }
    ROW("n,,n=,r=abc", ERR_OK),
    ROW("y,,n=,r=abc", ERR_OK),
    ROW("n,,n=ana=2Cbob,r=abc", ERR_OK),
    ROW("n,,n=,r=~!+/", ERR_OK),
    ROW("n,,n=,r=abc,x=", ERR_OK),
    ROW("", ERR_PROTOCOL),
    ROW("n", ERR_PROTOCOL),
    ROW("n,", ERR_PROTOCOL),
    ROW("n,,", ERR_PROTOCOL),
    ROW("n=,r=abc", ERR_PROTOCOL),
    ROW("x,,n=,r=abc", ERR_PROTOCOL),
    ROW("N,,n=,r=abc", ERR_PROTOCOL),
    ROW("n.,n=,r=abc", ERR_PROTOCOL),
    ROW("n,.n=,r=abc", ERR_PROTOCOL),
    ROW("p=tls-server-end-point,,n=,r=abc", ERR_PROTOCOL),
    ROW("p", ERR_PROTOCOL),
    ROW("n,a=eve,n=,r=abc", ERR_NOT_SUPPORTED),
    ROW("n,,m=x,n=,r=abc", ERR_NOT_SUPPORTED),
    ROW("n,,r=abc", ERR_PROTOCOL),
    ROW("n,,r=abc,n=", ERR_PROTOCOL),
    ROW("n,,n=", ERR_PROTOCOL),
    ROW("n,,n=,", ERR_PROTOCOL),
    ROW("n,,n,r=abc", ERR_PROTOCOL),
    ROW("n,,n=,r", ERR_PROTOCOL),
    ROW("n,,n=,r=", ERR_PROTOCOL),
    ROW("n,,n=,r=a c", ERR_PROTOCOL),
    ROW("n,,n=,r=a\x7f", ERR_PROTOCOL),
    ROW("n,,n=,r=a\xc3\xa4", ERR_PROTOCOL),
    ROW("n,,n=,r=abc,", ERR_PROTOCOL),
    ROW("n,,n=,r=abc,x", ERR_PROTOCOL),
    ROW("n,,n=,r=abc,1=x", ERR_PROTOCOL),
    ROW("n,,n=,r=abc,,x=1", ERR_PROTOCOL),
    ROW("n,,n=,r=abc\0", ERR_PROTOCOL),
    ROW("n,,n=\0,r=abc", ERR_PROTOCOL),
};

Test(scram, a_first_message_is_as_the_rfc_has_it_or_refused_with_a_reason)
{
    for (size_t i = 0; i < COUNT_OF(firsts); i++) {
        enum err e = begins(firsts[i].message);

        cr_assert_eq(e, firsts[i].e, "%s: %s", (const char *)firsts[i].message.at, err_text(e));
        cr_assert_eq(scram.complaint != NULL, e != ERR_OK);
        scram_fini(&scram);
    }
}

Test(scram, a_message_has_no_more_than_1024_bytes)
{
    char long_one[SCRAM_MESSAGE_MOST + 2];

    memset(long_one, 'x', sizeof(long_one));
    memcpy(long_one, FIRST, strlen(FIRST));
    long_one[SCRAM_MESSAGE_MOST + 1] = '\0';
    cr_assert_eq(begins(text(long_one)), ERR_PROTOCOL);
    long_one[SCRAM_MESSAGE_MOST] = '\0';
    cr_assert_eq(begins(text(long_one)), ERR_OK);
}

/* ---- the last message, spoilt ------------------------------------------------------------ */

#define PROOF "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const struct row finals[] = {
    ROW("c=biws,r=" NONCE ",p=" PROOF, ERR_OK),
    ROW("c=biws,r=" NONCE ",x=y,p=" PROOF, ERR_OK),
    ROW("", ERR_PROTOCOL),
    ROW("p=" PROOF, ERR_PROTOCOL),
    ROW("c=biws", ERR_PROTOCOL),
    ROW("c=biws,p=" PROOF, ERR_PROTOCOL),
    ROW("r=" NONCE ",p=" PROOF, ERR_PROTOCOL),
    ROW("r=" NONCE ",c=biws,p=" PROOF, ERR_PROTOCOL),
    ROW("c=,r=" NONCE ",p=" PROOF, ERR_PROTOCOL),
    ROW("c=eSws,r=" NONCE ",p=" PROOF, ERR_PROTOCOL),
    ROW("c=n,,,r=" NONCE ",p=" PROOF, ERR_PROTOCOL),
    ROW("c=biwsbiws,r=" NONCE ",p=" PROOF, ERR_PROTOCOL),
    ROW("c=biws,r=,p=" PROOF, ERR_PROTOCOL),
    ROW("c=biws,r=abc,p=" PROOF, ERR_PROTOCOL),
    ROW("c=biws,r=x" NONCE ",p=" PROOF, ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE "x,p=" PROOF, ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE, ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE ",", ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE ",x", ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE ",p=", ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE ",p=AAAA", ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE ",p=!" PROOF, ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE ",p=AAAA" PROOF, ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE ",p=" PROOF ",", ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE ",p=" PROOF ",x=y", ERR_PROTOCOL),
    ROW("c=biws,r=" NONCE ",p=" PROOF "\0", ERR_PROTOCOL),
};

Test(scram, a_last_message_is_as_the_rfc_has_it_or_refused_with_a_reason)
{
    for (size_t i = 0; i < COUNT_OF(finals); i++) {
        cr_assert_eq(begins(text(FIRST)), ERR_OK);
        cr_assert_eq(scram_end(&scram, finals[i].message), finals[i].e, "%s",
                     (const char *)finals[i].message.at);
        cr_assert_eq(scram.complaint != NULL, finals[i].e != ERR_OK);
        scram_fini(&scram);
    }
}

Test(scram, no_byte_of_the_last_message_can_be_changed)
{
    comes_to_the_end(FIRST, "biws", "pencil");
    for (size_t i = 0; client.final[i] != '\0'; i++) {
        struct scram_client spoilt = client;
        enum err e;

        spoilt.final[i] ^= 1;
        scram_fini(&scram);
        cr_assert_eq(begins(text(FIRST)), ERR_OK);
        e = scram_end(&scram, text(spoilt.final));
        cr_assert(e == ERR_PROTOCOL || proves() == ERR_WRONG_PASSWORD, "byte %zu", i);
    }
}
