#include "proxy/fronts/postgres/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "proxy/fronts/postgres/base64.h"

enum {
    MD5_SIZE = 16,
    MD5_HEX_SIZE = 2 * MD5_SIZE,
    MD5_TEXT_SIZE = 3 + MD5_HEX_SIZE, /* "md5" and the digits */
};

/* ---- reading ----------------------------------------------------------------------------- */

static bool take_prefix(struct slice *rest, struct slice prefix)
{
    if (rest->length < prefix.length || memcmp(rest->at, prefix.at, prefix.length) != 0)
        return false;
    rest->at += prefix.length;
    rest->length -= prefix.length;
    return true;
}

/* Cuts off what stands before the next end, and the end with it. */
static bool take_until(struct slice *rest, char end, struct slice *part)
{
    const uint8_t *found = rest->length > 0 ? memchr(rest->at, end, rest->length) : NULL;

    if (found == NULL)
        return false;
    *part = (struct slice){rest->at, (size_t)(found - rest->at)};
    rest->at += part->length + 1;
    rest->length -= part->length + 1;
    return true;
}

static bool parse_iterations(struct slice digits, uint32_t *iterations)
{
    uint32_t value = 0;

    for (size_t i = 0; i < digits.length; i++) {
        unsigned digit = digits.at[i] - (unsigned)'0';

        if (digit > 9 || value > (INT32_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *iterations = value;
    return value > 0;
}

static bool parse_key(struct slice text, uint8_t key[SECRET_KEY_SIZE])
{
    size_t length;

    return base64_decode(text, key, SECRET_KEY_SIZE, &length) && length == SECRET_KEY_SIZE;
}

static bool parse_scram(struct slice text, struct secret_keys *keys)
{
    struct slice rest = text, iterations, salt, stored_key;

    keys->ready = take_prefix(&rest, SLICE("SCRAM-SHA-256$")) &&
                  take_until(&rest, ':', &iterations) && take_until(&rest, '$', &salt) &&
                  take_until(&rest, ':', &stored_key) &&
                  parse_iterations(iterations, &keys->iterations) &&
                  base64_decode(salt, keys->salt, SECRET_SALT_MOST, &keys->salt_length) &&
                  parse_key(stored_key, keys->stored_key) && parse_key(rest, keys->server_key);
    return keys->ready;
}

static bool looks_like_md5(struct slice text)
{
    if (text.length != MD5_TEXT_SIZE || !take_prefix(&text, SLICE("md5")))
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] == '\0' || strchr("0123456789abcdef", text.at[i]) == NULL)
            return false;
    return true;
}

enum err secret_parse(struct slice text, struct secret *secret)
{
    if (text.length > SECRET_MOST)
        return ERR_CONFIG;
    *secret = (struct secret){.kind = SECRET_PLAIN, .text = text};
    if (looks_like_md5(text))
        secret->kind = SECRET_MD5;
    else if (parse_scram(text, &secret->keys))
        secret->kind = SECRET_SCRAM;
    return ERR_OK;
}

/* ---- md5 --------------------------------------------------------------------------------- */

/* Gives "md5" and the digest of a and b, as PostgreSQL spells it, without a NUL. False
 * where OpenSSL has no MD5 (FIPS). */
static bool make_md5(struct slice a, struct slice b, uint8_t text[MD5_TEXT_SIZE])
{
    static const uint8_t digits[] = "0123456789abcdef";
    struct slice prefix = SLICE("md5");
    uint8_t digest[MD5_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
                EVP_DigestUpdate(context, a.at, a.length) == 1 &&
                EVP_DigestUpdate(context, b.at, b.length) == 1 &&
                EVP_DigestFinal_ex(context, digest, NULL) == 1;

    EVP_MD_CTX_free(context);
    if (!done)
        return false;
    memcpy(text, prefix.at, prefix.length);
    for (size_t i = 0; i < MD5_SIZE; i++) {
        text[prefix.length + 2 * i] = digits[digest[i] >> 4];
        text[prefix.length + 2 * i + 1] = digits[digest[i] & 15];
    }
    return true;
}

/* The md5 secret of a user, be it kept or to be made of a plain one. */
static bool md5_of(const struct secret *secret, struct slice user, uint8_t text[MD5_TEXT_SIZE])
{
    if (secret->kind == SECRET_PLAIN)
        return make_md5(secret->text, user, text);
    if (secret->kind == SECRET_MD5)
        memcpy(text, secret->text.at, MD5_TEXT_SIZE);
    return secret->kind == SECRET_MD5;
}

bool secret_check_md5(const struct secret *secret, struct slice user,
                      const uint8_t salt[SECRET_MD5_SALT_SIZE], struct slice response)
{
    uint8_t text[MD5_TEXT_SIZE], expected[MD5_TEXT_SIZE];
    struct slice digits = {text + 3, MD5_HEX_SIZE};
    bool good = secret->text.length > 0 && response.length == MD5_TEXT_SIZE &&
                md5_of(secret, user, text) &&
                make_md5(digits, (struct slice){salt, SECRET_MD5_SALT_SIZE}, expected) &&
                CRYPTO_memcmp(expected, response.at, MD5_TEXT_SIZE) == 0;

    OPENSSL_cleanse(text, sizeof(text));
    return good;
}

/* ---- in clear ---------------------------------------------------------------------------- */

/* Digests are compared and not the texts, so that not even a length shows. */
static bool are_same(struct slice a, struct slice b)
{
    uint8_t digest_a[EVP_MAX_MD_SIZE], digest_b[EVP_MAX_MD_SIZE];
    bool same = EVP_Digest(a.at, a.length, digest_a, NULL, EVP_sha256(), NULL) == 1 &&
                EVP_Digest(b.at, b.length, digest_b, NULL, EVP_sha256(), NULL) == 1 &&
                CRYPTO_memcmp(digest_a, digest_b, SECRET_KEY_SIZE) == 0;

    OPENSSL_cleanse(digest_a, sizeof(digest_a));
    OPENSSL_cleanse(digest_b, sizeof(digest_b));
    return same;
}

bool secret_check_plain(const struct secret *secret, struct slice user, struct slice password)
{
    uint8_t text[MD5_TEXT_SIZE];

    if (secret->text.length == 0 || secret->kind == SECRET_SCRAM)
        return false;
    if (secret->kind == SECRET_PLAIN)
        return are_same(secret->text, password);
    return make_md5(password, user, text) &&
           CRYPTO_memcmp(secret->text.at, text, MD5_TEXT_SIZE) == 0;
}

/* ---- SCRAM keys -------------------------------------------------------------------------- */

bool secret_make_salt(struct slice key, struct slice user, struct secret_keys *keys)
{
    uint8_t code[EVP_MAX_MD_SIZE];

    if (HMAC(EVP_sha256(), key.at, (int)key.length, user.at, user.length, code, NULL) == NULL)
        return false;
    memcpy(keys->salt, code, SECRET_SALT_SIZE);
    keys->salt_length = SECRET_SALT_SIZE;
    return true;
}

/* RFC 5802, section 3: StoredKey := H(HMAC(SaltedPassword, "Client Key")) and
 * ServerKey := HMAC(SaltedPassword, "Server Key"). */
bool secret_derive(struct slice password, struct secret_keys *keys)
{
    uint8_t salted[SECRET_KEY_SIZE], client_key[SECRET_KEY_SIZE];
    struct slice client = SLICE("Client Key"), server = SLICE("Server Key");

    keys->ready =
        PKCS5_PBKDF2_HMAC((const char *)password.at, (int)password.length, keys->salt,
                          (int)keys->salt_length, (int)keys->iterations, EVP_sha256(),
                          sizeof(salted), salted) == 1 &&
        HMAC(EVP_sha256(), salted, sizeof(salted), client.at, client.length, client_key, NULL) &&
        HMAC(EVP_sha256(), salted, sizeof(salted), server.at, server.length, keys->server_key,
             NULL) &&
        EVP_Digest(client_key, sizeof(client_key), keys->stored_key, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_cleanse(salted, sizeof(salted));
    OPENSSL_cleanse(client_key, sizeof(client_key));
    return keys->ready;
}

bool secret_check_keys(const struct secret_keys *a, const struct secret_keys *b)
{
    return a->ready && b->ready &&
           CRYPTO_memcmp(a->stored_key, b->stored_key, SECRET_KEY_SIZE) == 0;
}
