#include "proxy/fronts/postgres/scram.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "proxy/fronts/postgres/base64.h"

static enum err complain(struct scram *scram, enum err why, const char *text)
{
    scram->complaint = text;
    return why;
}

/* ---- attributes -------------------------------------------------------------------------- */

/* Cuts "x=value" off rest, and the comma behind it; x is any letter if name is 0. */
static bool take_attribute(struct slice *rest, uint8_t name, struct slice *value)
{
    const uint8_t *comma;
    size_t length;

    if (rest->length < 2 || rest->at[1] != '=' ||
        (name != 0 ? rest->at[0] != name : !isalpha(rest->at[0])))
        return false;
    comma = memchr(rest->at, ',', rest->length);
    length = comma != NULL ? (size_t)(comma - rest->at) : rest->length;
    *value = (struct slice){rest->at + 2, length - 2};
    rest->at += length + (comma != NULL);
    rest->length -= length + (comma != NULL);
    return comma == NULL || rest->length > 0; /* a comma stands between two */
}

static bool starts_with(struct slice rest, uint8_t letter)
{
    return rest.length > 0 && rest.at[0] == letter;
}

static bool is_nonce(struct slice text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] < 0x21 || text.at[i] > 0x7e)
            return false;
    return text.length > 0;
}

static bool is_message(struct slice in)
{
    return in.length > 0 && in.length <= SCRAM_MESSAGE_MOST && !memchr(in.at, '\0', in.length);
}

/* ---- the beginning ----------------------------------------------------------------------- */

/* Cuts the gs2 header off rest: who binds to the channel, and who acts for whom. */
static enum err take_header(struct scram *scram, struct slice *rest)
{
    if (starts_with(*rest, 'p'))
        return complain(scram, ERR_PROTOCOL, "channel binding was not offered");
    if (rest->length < 3 || rest->at[1] != ',')
        return complain(scram, ERR_PROTOCOL, "malformed SCRAM message");
    if (starts_with(*rest, 'n'))
        scram->header = SLICE("biws"); /* n,, */
    else if (starts_with(*rest, 'y'))
        scram->header = SLICE("eSws"); /* y,, */
    else
        return complain(scram, ERR_PROTOCOL, "malformed SCRAM message");
    if (rest->at[2] == 'a')
        return complain(scram, ERR_NOT_SUPPORTED,
                        "client uses authorization identity, but it is not supported");
    if (rest->at[2] != ',')
        return complain(scram, ERR_PROTOCOL, "malformed SCRAM message");
    rest->at += 3;
    rest->length -= 3;
    return ERR_OK;
}

static enum err read_first(struct scram *scram, struct slice bare, struct slice *nonce)
{
    struct slice rest = bare, ignored;
    bool good;

    if (starts_with(rest, 'm'))
        return complain(scram, ERR_NOT_SUPPORTED, "client requires an unsupported SCRAM extension");
    good = take_attribute(&rest, 'n', &ignored) && take_attribute(&rest, 'r', nonce) &&
           is_nonce(*nonce);
    while (good && rest.length > 0)
        good = take_attribute(&rest, 0, &ignored);
    return good ? ERR_OK : complain(scram, ERR_PROTOCOL, "malformed SCRAM message");
}

enum err scram_begin(struct scram *scram, struct slice client_first,
                     const struct secret_keys *offer, const uint8_t random[SCRAM_RANDOM_SIZE],
                     struct slice *server_first)
{
    struct slice bare = client_first, nonce;
    struct bytes *said = &scram->said;
    size_t begin;
    enum err e;

    ASSERT(said->length == 0);
    if (!is_message(client_first))
        return complain(scram, ERR_PROTOCOL, "malformed SCRAM message");
    if ((e = take_header(scram, &bare)) != ERR_OK ||
        (e = read_first(scram, bare, &nonce)) != ERR_OK)
        return e;

    bytes_add(said, bare.at, bare.length);
    bytes_add(said, ",r=", 3);
    begin = said->length - 2;
    scram->nonce_at = said->length;
    bytes_add(said, nonce.at, nonce.length);
    base64_add(said, (struct slice){random, SCRAM_RANDOM_SIZE});
    scram->nonce_length = said->length - scram->nonce_at;
    bytes_add(said, ",s=", 3);
    base64_add(said, (struct slice){offer->salt, offer->salt_length});
    bytes_print(said, ",i=%u", offer->iterations);
    if (said->failed)
        return complain(scram, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
    *server_first = (struct slice){said->at + begin, said->length - begin};
    return ERR_OK;
}

/* ---- the end ----------------------------------------------------------------------------- */

static bool equals(struct slice a, struct slice b)
{
    return a.length == b.length && CRYPTO_memcmp(a.at, b.at, a.length) == 0;
}

/* Reads everything, and tells how long the part is that the proof was made of. */
static bool read_final(struct slice in, struct slice *header, struct slice *nonce,
                       struct slice *proof, size_t *length)
{
    struct slice rest = in, ignored;
    bool good = take_attribute(&rest, 'c', header) && take_attribute(&rest, 'r', nonce);

    while (good && rest.length > 0 && !starts_with(rest, 'p'))
        good = take_attribute(&rest, 0, &ignored);
    *length = in.length - rest.length - 1; /* and without the comma */
    return good && take_attribute(&rest, 'p', proof) && rest.length == 0;
}

enum err scram_end(struct scram *scram, struct slice client_final)
{
    struct slice expected = {scram->said.at + scram->nonce_at, scram->nonce_length};
    struct slice header, nonce, proof;
    size_t length, proof_length;

    ASSERT(scram->said.length > 0);
    if (!is_message(client_final) || !read_final(client_final, &header, &nonce, &proof, &length))
        return complain(scram, ERR_PROTOCOL, "malformed SCRAM message");
    if (!equals(header, scram->header))
        return complain(scram, ERR_PROTOCOL, "unexpected SCRAM channel-binding attribute");
    if (!equals(nonce, expected))
        return complain(scram, ERR_PROTOCOL, "invalid SCRAM response: nonce does not match");
    if (!base64_decode(proof, scram->proof, sizeof(scram->proof), &proof_length) ||
        proof_length != sizeof(scram->proof))
        return complain(scram, ERR_PROTOCOL, "malformed SCRAM message");
    bytes_add(&scram->said, ",", 1);
    bytes_add(&scram->said, client_final.at, length);
    return scram->said.failed ? complain(scram, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY)) : ERR_OK;
}

/* ---- the proof --------------------------------------------------------------------------- */

static bool sign(const struct scram *scram, const uint8_t key[SECRET_KEY_SIZE],
                 uint8_t signature[SECRET_KEY_SIZE])
{
    return HMAC(EVP_sha256(), key, SECRET_KEY_SIZE, scram->said.at, scram->said.length, signature,
                NULL) != NULL;
}

/* RFC 5802, section 3: the proof is ClientKey XOR HMAC(StoredKey, AuthMessage), and
 * StoredKey is the digest of ClientKey. */
enum err scram_prove(struct scram *scram, const struct secret_keys *keys,
                     struct bytes *server_final)
{
    uint8_t signature[SECRET_KEY_SIZE], digest[SECRET_KEY_SIZE];

    if (!sign(scram, keys->stored_key, signature))
        return ERR_WRONG_PASSWORD;
    for (size_t i = 0; i < SECRET_KEY_SIZE; i++)
        scram->client_key[i] = scram->proof[i] ^ signature[i];
    if (EVP_Digest(scram->client_key, SECRET_KEY_SIZE, digest, NULL, EVP_sha256(), NULL) != 1 ||
        CRYPTO_memcmp(digest, keys->stored_key, SECRET_KEY_SIZE) != 0 ||
        !sign(scram, keys->server_key, signature))
        return ERR_WRONG_PASSWORD;
    bytes_add(server_final, "v=", 2);
    base64_add(server_final, (struct slice){signature, SECRET_KEY_SIZE});
    return ERR_OK;
}

void scram_fini(struct scram *scram)
{
    bytes_free(&scram->said);
    OPENSSL_cleanse(scram, sizeof(*scram));
}
