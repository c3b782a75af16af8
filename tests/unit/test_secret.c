/* Secrets as userlist.txt has them: what each is taken for, and whom it lets in. */
#include <criterion/criterion.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/postgres/base64.h"
#include "proxy/fronts/postgres/secret.h"

TestSuite(secret, .fini = clean_end);

/* The password "pencil", salted and stored as in RFC 7677's example. */
#define SALT   "W22ZaJ0SNY7soEsUEjb6gQ=="
#define STORED "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define SCRAM  "SCRAM-SHA-256$4096:" SALT "$" STORED ":" SERVER
#define PENCIL "md5042c1618f4fe621a5d00d6ea09993af7" /* of ana */

static struct slice text(const char *words)
{
    return (struct slice){(const uint8_t *)words, strlen(words)};
}

static struct secret secret_of(const char *words)
{
    struct secret secret;

    cr_assert_eq(secret_parse(text(words), &secret), ERR_OK);
    return secret;
}

/* ---- what a text is taken for ------------------------------------------------------------ */

static const struct row {
    const char *text;
    enum secret_kind kind;
} rows[] = {
    {"", SECRET_PLAIN},
    {"open sesame", SECRET_PLAIN},
    {"md5", SECRET_PLAIN},
    {"md50123456789abcdef0123456789abcdef", SECRET_MD5},
    {"md50123456789ABCDEF0123456789abcdef", SECRET_PLAIN},
    {"md50123456789abcdef0123456789abcde", SECRET_PLAIN},
    {"md50123456789abcdef0123456789abcdef0", SECRET_PLAIN},
    {"md50123456789abcdef0123456789abcdeg", SECRET_PLAIN},
    {SCRAM, SECRET_SCRAM},
    {"SCRAM-SHA-256$1:AA==$" STORED ":" SERVER, SECRET_SCRAM},
    {"SCRAM-SHA-256$2147483647:" SALT "$" STORED ":" SERVER, SECRET_SCRAM},
    /* each part spoilt */
    {"SCRAM-SHA-256", SECRET_PLAIN},
    {"SCRAM-SHA-1$4096:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"scram-sha-256$4096:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$0:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$-1:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$+1:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$ 1:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$40x6:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$2147483648:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$4294967297:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$99999999999999999999999:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$4096:$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$4096:W22Z*J0S$" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$4096:" SALT ":" STORED ":" SERVER, SECRET_PLAIN},
    {"SCRAM-SHA-256$4096:" SALT "$" STORED, SECRET_PLAIN},
    {"SCRAM-SHA-256$4096:" SALT "$" STORED ":", SECRET_PLAIN},
    {"SCRAM-SHA-256$4096:" SALT "$" STORED ":" SALT, SECRET_PLAIN},
    {"SCRAM-SHA-256$4096:" SALT "$" SALT ":" SERVER, SECRET_PLAIN},
    {SCRAM "=", SECRET_PLAIN},
    {SCRAM "\n", SECRET_PLAIN},
    {SCRAM ":" SERVER, SECRET_PLAIN},
};

Test(secret, a_text_is_taken_for_what_it_spells_and_else_for_a_password)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        cr_assert_eq(secret_of(rows[i].text).kind, rows[i].kind, "%s", rows[i].text);
}

Test(secret, one_too_long_is_an_error_of_the_list)
{
    static char words[SECRET_MOST + 2];
    struct secret secret;

    memset(words, 'x', SECRET_MOST + 1);
    cr_assert_eq(secret_parse(text(words), &secret), ERR_CONFIG);
    words[SECRET_MOST] = '\0';
    cr_assert_eq(secret_parse(text(words), &secret), ERR_OK);
}

Test(secret, base64_has_one_spelling)
{
    static const char *const wrong[] = {
        "",     "A",    "AA",    "AAA",   "AB==",     "AA= ", "=AAA",
        "A===", "====", " AAA=", "AA\n=", "AA==AA==", "AA-_"};
    uint8_t to[4];
    size_t length = 9;

    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        cr_assert_not(base64_decode(text(wrong[i]), to, sizeof(to), &length), "%s", wrong[i]);
    cr_assert_eq(length, 9);
    cr_assert(base64_decode(text("AQI="), to, sizeof(to), &length));
    cr_assert_eq(length, 2);
    cr_assert_arr_eq(to, "\1\2", 2);
    cr_assert(base64_decode(text("AQIDBA=="), to, sizeof(to), &length));
    cr_assert_not(base64_decode(text("AQIDBAU="), to, sizeof(to), &length));
}

/* ---- whom it lets in --------------------------------------------------------------------- */

Test(secret, a_password_in_clear_is_checked_against_a_plain_or_md5_secret)
{
    struct secret plain = secret_of("pencil"), md5 = secret_of(PENCIL);

    cr_assert(secret_check_plain(&plain, text("ana"), text("pencil")));
    cr_assert_not(secret_check_plain(&plain, text("ana"), text("pencils")));
    cr_assert_not(secret_check_plain(&plain, text("ana"), text("pencl")));
    cr_assert_not(secret_check_plain(&plain, text("ana"), text("")));
    cr_assert(secret_check_plain(&md5, text("ana"), text("pencil")));
    cr_assert_not(secret_check_plain(&md5, text("eve"), text("pencil")));
    cr_assert_not(secret_check_plain(&md5, text("ana"), text(PENCIL)));
}

Test(secret, an_md5_response_is_checked_against_a_plain_or_md5_secret)
{
    const char *response = "md5cd5f2ab6edc1b648cbd69a01ea239f05";
    const uint8_t *salt = (const uint8_t *)"salt";
    struct secret plain = secret_of("pencil"), md5 = secret_of(PENCIL), scram = secret_of(SCRAM);

    cr_assert(secret_check_md5(&plain, text("ana"), salt, text(response)));
    cr_assert(secret_check_md5(&md5, text("ana"), salt, text(response)));
    cr_assert_not(secret_check_md5(&scram, text("ana"), salt, text(response)));
    cr_assert_not(secret_check_md5(&plain, text("eve"), salt, text(response)));
    cr_assert_not(secret_check_md5(&md5, text("ana"), (const uint8_t *)"pepp", text(response)));
    cr_assert_not(secret_check_md5(&md5, text("ana"), salt, text(PENCIL)));
    cr_assert_not(secret_check_md5(&md5, text("ana"), salt, text("")));
    cr_assert_not(secret_check_md5(&md5, text("ana"), salt, text("md5")));
}

Test(secret, an_empty_secret_lets_nobody_in)
{
    struct secret empty = secret_of("");

    cr_assert_not(secret_check_plain(&empty, text("ana"), text("")));
    cr_assert_not(secret_check_md5(&empty, text("ana"), (const uint8_t *)"salt",
                                   text("md506b8d494c2a663e45c93b0c39b1f0e36")));
}

Test(secret, keys_derived_from_the_password_are_those_of_its_scram_secret)
{
    struct secret scram = secret_of(SCRAM);
    struct secret_keys keys = scram.keys;

    keys.ready = false;
    cr_assert_not(secret_check_keys(&keys, &scram.keys));
    cr_assert(secret_derive(text("pencil"), &keys));
    cr_assert(secret_check_keys(&keys, &scram.keys));
    cr_assert_arr_eq(keys.server_key, scram.keys.server_key, SECRET_KEY_SIZE);
    cr_assert(secret_derive(text("pencils"), &keys));
    cr_assert_not(secret_check_keys(&keys, &scram.keys));
}

Test(secret, a_made_up_salt_is_the_same_for_a_user_and_another_for_each)
{
    struct secret_keys a = {0}, b = {0};

    cr_assert(secret_make_salt(text("process"), text("ana"), &a));
    cr_assert(secret_make_salt(text("process"), text("ana"), &b));
    cr_assert_eq(a.salt_length, SECRET_SALT_SIZE);
    cr_assert_arr_eq(a.salt, b.salt, SECRET_SALT_SIZE);
    cr_assert(secret_make_salt(text("process"), text("eve"), &b));
    cr_assert_arr_neq(a.salt, b.salt, SECRET_SALT_SIZE);
    cr_assert(secret_make_salt(text("another"), text("ana"), &b));
    cr_assert_arr_neq(a.salt, b.salt, SECRET_SALT_SIZE);
}
