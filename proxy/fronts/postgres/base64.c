#include "proxy/fronts/postgres/base64.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

void base64_add(struct bytes *out, struct slice from)
{
    uint8_t text[BASE64_SIZE(BASE64_MOST) + 1];

    ASSERT(from.length <= BASE64_MOST);
    bytes_add(out, text, (size_t)EVP_EncodeBlock(text, from.at, (int)from.length));
}

static size_t padding_of(struct slice text)
{
    size_t padding = 0;

    while (padding < 2 && padding < text.length && text.at[text.length - 1 - padding] == '=')
        padding++;
    return padding;
}

bool base64_decode(struct slice text, uint8_t *to, size_t most, size_t *length)
{
    uint8_t raw[BASE64_SIZE(BASE64_MOST)], again[BASE64_SIZE(BASE64_MOST) + 1];
    size_t decoded = text.length / 4 * 3 - padding_of(text);
    bool good = false;

    ASSERT(most <= BASE64_MOST);
    if (text.length == 0 || text.length % 4 != 0 || decoded > most)
        return false;
    if (EVP_DecodeBlock(raw, text.at, (int)text.length) == (int)(text.length / 4 * 3)) {
        EVP_EncodeBlock(again, raw, (int)decoded);
        good = memcmp(again, text.at, text.length) == 0;
    }
    if (good) {
        memcpy(to, raw, decoded);
        *length = decoded;
    }
    OPENSSL_cleanse(raw, sizeof(raw));
    OPENSSL_cleanse(again, sizeof(again));
    return good;
}
