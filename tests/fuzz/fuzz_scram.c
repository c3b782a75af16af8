/*
 * Any bytes as a client's messages and as a secret. Half the inputs get a good beginning,
 * so that the rest of the reading is reached: those of odd length. Nobody without the password gets
 * in.
 */
#include "fuzz.h"

#include "proxy/fronts/postgres/scram.h"

static struct slice rest_of(const uint8_t *data, size_t size, size_t from)
{
    return (struct slice){data + from, size - from};
}

static enum err begin(struct scram *scram, struct slice first, const struct secret_keys *keys)
{
    struct slice server_first;
    struct bytes good = {0};
    enum err e;

    bytes_print(&good, "n,,n=,r=");
    bytes_add(&good, first.at, first.length);
    if (first.length % 2)
        first = (struct slice){good.at, good.length};
    e = scram_begin(scram, first, keys, (const uint8_t *)"eighteen characters", &server_first);
    REQUIRE(e != ERR_OK ||
            server_first.at + server_first.length == scram->said.at + scram->said.length);
    bytes_free(&good);
    return e;
}

static enum err end(struct scram *scram, struct slice last)
{
    struct bytes good = {0};
    enum err e;

    bytes_print(&good, "c=biws,r=%.*s", (int)scram->nonce_length,
                (const char *)scram->said.at + scram->nonce_at);
    bytes_add(&good, last.at, last.length);
    if (last.length % 2)
        last = (struct slice){good.at, good.length};
    e = scram_end(scram, last);
    bytes_free(&good);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct secret_keys keys = {.iterations = 4096, .salt_length = 16, .ready = true};
    size_t cut = size > 0 ? data[0] % size : 0;
    struct slice usual = SLICE("n,,n=,r=abcd"); /* even: as it is */
    struct bytes final = {0};
    struct scram scram = {0};
    struct secret secret;

    REQUIRE(secret_parse(rest_of(data, size, 0), &secret) == ERR_OK || size > SECRET_MOST);
    if (begin(&scram, rest_of(data, cut, 0), &keys) != ERR_OK) {
        scram_fini(&scram);
        REQUIRE(begin(&scram, usual, &keys) == ERR_OK);
    }
    if (end(&scram, rest_of(data, size, cut)) == ERR_OK)
        REQUIRE(scram_prove(&scram, &keys, &final) == ERR_WRONG_PASSWORD && final.length == 0);
    scram_fini(&scram);
    bytes_free(&final);
    return 0;
}
