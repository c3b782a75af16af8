/*
 * proxy/fronts/postgres/scram.h - the server's side of SCRAM-SHA-256.
 *
 *      client                                          server
 *      n,,n=,r=<c>                   ----------------> scram_begin
 *                  <----------------------------------  r=<c><s>,s=<salt>,i=<rounds>
 *      c=biws,r=<c><s>,p=<proof>     ----------------> scram_end: is it well said?
 *                                                      scram_prove: is it true?
 *                  <----------------------------------  v=<signature>
 *
 * scram_end and scram_prove are two because the keys of a plain password take a thread
 * and milliseconds to derive, and are needed for the second only.
 *
 * Channel binding is not offered: 'n' and 'y' are accepted, 'p' is refused. So are an
 * identity to act for ("a=") and extensions that must be understood ("m="). The name in
 * the message is ignored; the one of the startup packet counts.
 *
 * Ownership: a scram is the caller's, from all zero; scram_fini wipes and frees what it
 * holds, also after an error.
 *
 * RFC 5802 and RFC 7677.
 */
#ifndef PROXY_FRONTS_POSTGRES_SCRAM_H
#define PROXY_FRONTS_POSTGRES_SCRAM_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "proxy/fronts/postgres/secret.h"

enum {
    SCRAM_RANDOM_SIZE = 18,    /* the server's part of the nonce, before base64 */
    SCRAM_MESSAGE_MOST = 1024, /* PostgreSQL's limit for a SASL message */
};

struct scram {
    struct bytes said;   /* RFC 5802's AuthMessage, as far as it has been said */
    struct slice header; /* the gs2 header in base64, which the end must repeat */
    size_t nonce_at, nonce_length;
    uint8_t proof[SECRET_KEY_SIZE];
    uint8_t client_key[SECRET_KEY_SIZE]; /* after scram_prove: logs in to servers with the
                                            same secret (libpq's scram_client_key) */
    const char *complaint;               /* why scram_begin or scram_end failed */
};

/* Gives the server's answer to server_first, lent until scram_end. Of offer only salt and
 * iterations are used. ERR_PROTOCOL, ERR_NOT_SUPPORTED or ERR_NO_MEMORY. */
enum err scram_begin(struct scram *scram, struct slice client_first,
                     const struct secret_keys *offer, const uint8_t random[SCRAM_RANDOM_SIZE],
                     struct slice *server_first) MUST_CHECK;

/* Checks all but the proof. ERR_PROTOCOL or ERR_NO_MEMORY. */
enum err scram_end(struct scram *scram, struct slice client_final) MUST_CHECK;

/* ERR_WRONG_PASSWORD, or adds the server's last word to server_final. */
enum err scram_prove(struct scram *scram, const struct secret_keys *keys,
                     struct bytes *server_final) MUST_CHECK;

void scram_fini(struct scram *scram);

#endif
