/*
 * proxy/fronts/postgres/auth.h - whether a client is who it says it is.
 *
 *      auth = auth_create(&request);
 *      step = auth_begin(auth, &out);
 *      ... and then, as step says:
 *
 *      AUTH_SEND       write out; when a 'p' message has come: auth_answer(auth, body, &out)
 *      AUTH_DERIVE     run auth_derive(auth) on another thread; then auth_derived(auth, &out)
 *      AUTH_OK         write out, which ends in AuthenticationOk: let the client in
 *      AUTH_REFUSED    tell the client auth_why() and auth_reason(), FATAL, and close
 *
 *      auth_destroy(auth);
 *
 * It decides and does nothing else: no socket, no clock, and chance comes with the
 * request. How a login goes depends on the method and on what is known of the user:
 *
 *      method          secret:  plain      md5        scram      none
 *      any                      in         in         in         in
 *      trust                    in         in         in         refused
 *      plain                    password   password   password*  as usual
 *      md5                      md5        md5        SCRAM      as usual
 *      scram-sha-256            SCRAM*     refused    SCRAM      refused
 *
 *      * keys are derived, by AUTH_DERIVE
 *
 * Nobody learns from the way in whether a user exists: who does not is asked the same
 * questions, as if of the usual kind of secret, and refused in the same words at the
 * same point; so is one whose secret cannot answer the question or is empty. A made-up
 * salt stays the same for as long as the process's key does. What is left to see is
 * time: the first login of a plain secret derives keys, and no made-up one does.
 *
 * Ownership: auth has copies of what is in the request, save kept, which must live as
 * long as auth. One thread at a time: between AUTH_DERIVE and the end of auth_derive
 * nothing else may touch it, auth_destroy included. Passwords are wiped with it.
 */
#ifndef PROXY_FRONTS_POSTGRES_AUTH_H
#define PROXY_FRONTS_POSTGRES_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "proxy/fronts/postgres/scram.h"
#include "proxy/fronts/postgres/secret.h"

enum {
    AUTH_RANDOM_SIZE = SCRAM_RANDOM_SIZE,
    AUTH_ANSWER_MOST = SECRET_MOST + 1, /* no body of a 'p' message may be longer */
};

enum auth_type {
    AUTH_ANY,
    AUTH_TRUST,
    AUTH_PLAIN,
    AUTH_MD5,
    AUTH_SCRAM_SHA_256,
};

enum auth_step {
    AUTH_SEND,
    AUTH_DERIVE,
    AUTH_OK,
    AUTH_REFUSED,
};

struct auth_request {
    enum auth_type type;
    struct slice user;           /* at most STARTUP_USER_MOST bytes */
    const struct secret *secret; /* NULL when there is no such user */
    enum secret_kind usual;      /* what most users have: a stranger is asked for that */

    /* Keys derived from a plain secret are kept here for the user's next login. Starts
     * from all zero, belongs to this thread, and is zeroed when the secret changes; NULL
     * to derive them each time. */
    struct secret_keys *kept;
    uint32_t iterations;              /* of keys that are derived: scram_iterations, 1 or more */
    struct slice process_key;         /* random, 16 bytes or more, the same for all logins */
    uint8_t random[AUTH_RANDOM_SIZE]; /* for this login alone */
};

/* NULL for want of memory. */
struct auth *auth_create(const struct auth_request *request) MUST_CHECK;
void auth_destroy(struct auth *auth);

/* Each adds to out what the client is to be told; a failed out is the caller's to see. */
enum auth_step auth_begin(struct auth *auth, struct bytes *out) MUST_CHECK;
enum auth_step auth_answer(struct auth *auth, struct slice body, struct bytes *out) MUST_CHECK;
enum auth_step auth_derived(struct auth *auth, struct bytes *out) MUST_CHECK;

/* The slow part, pure: for any thread. */
void auth_derive(struct auth *auth);

/* After AUTH_DERIVE: whether the keys are those that kept is for. Then one login of the user
 * derives them, and others that wait for the same go straight to auth_derived(). */
bool auth_shares_keys(const struct auth *auth);

/* After AUTH_REFUSED. */
enum err auth_why(const struct auth *auth);
const char *auth_reason(const struct auth *auth);

/* After AUTH_OK by SCRAM: Gives what logs this user in to servers that have the same
 * secret (libpq's scram_client_key). False after any other login. */
bool auth_client_key(const struct auth *auth, uint8_t key[SECRET_KEY_SIZE]) MUST_CHECK;

#endif
