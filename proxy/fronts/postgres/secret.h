/*
 * proxy/fronts/postgres/secret.h - what weir knows of a user's password.
 *
 * A line of userlist.txt has the password itself or, in PostgreSQL's spelling
 * (pg_authid.rolpassword), what can check it:
 *
 *      plain     open sesame
 *      md5       md5<32 hex digits: md5(password, user)>
 *      scram     SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
 *
 * What looks like one of the latter and is malformed is a plain password, as in
 * PostgreSQL. An empty secret lets nobody in, whatever the method.
 *
 * Which question each secret can answer:
 *
 *                  password in clear      md5 response        SCRAM proof
 *      plain       check_plain            check_md5           derive, then scram.h
 *      md5         check_plain            check_md5           never
 *      scram       derive, check_keys     never               scram.h
 *
 * secret_derive takes milliseconds by design (4096 rounds): it is pure, touches nothing
 * but its arguments, and belongs on a thread of its own. All else is microseconds. Keys
 * are compared in constant time.
 *
 * SCRAM wants passwords normalised by SASLprep. One of plain ASCII is its own normal
 * form; any other is used as its bytes, which is what PostgreSQL falls back to. So a
 * password outside ASCII works if client and list spell it in the same bytes and
 * SASLprep would not have changed them (NFKC text, no odd spaces): the usual case.
 *
 * Ownership: a secret lends its text from the list it was read from.
 */
#ifndef PROXY_FRONTS_POSTGRES_SECRET_H
#define PROXY_FRONTS_POSTGRES_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"

enum {
    SECRET_MOST = 2048, /* bytes of a secret's text; cloud tokens have more than 1000 */
    SECRET_KEY_SIZE = 32,
    SECRET_SALT_SIZE = 16,  /* of those made here */
    SECRET_SALT_MOST = 128, /* of those read */
    SECRET_MD5_SALT_SIZE = 4,
};

enum secret_kind {
    SECRET_PLAIN,
    SECRET_MD5,
    SECRET_SCRAM,
};

/* RFC 5802: what a server keeps, so that stealing it does not let the thief log in. */
struct secret_keys {
    uint32_t iterations;
    size_t salt_length;
    uint8_t salt[SECRET_SALT_MOST];
    uint8_t stored_key[SECRET_KEY_SIZE], server_key[SECRET_KEY_SIZE];
    bool ready; /* the two keys are there, not only salt and iterations */
};

struct secret {
    enum secret_kind kind;
    struct slice text;       /* lent */
    struct secret_keys keys; /* of SECRET_SCRAM */
};

/* ERR_CONFIG for a text of more than SECRET_MOST bytes. */
enum err secret_parse(struct slice text, struct secret *secret) MUST_CHECK;

/* Neither is for SECRET_SCRAM: to that the answer is no. */
bool secret_check_plain(const struct secret *secret, struct slice user,
                        struct slice password) MUST_CHECK;
bool secret_check_md5(const struct secret *secret, struct slice user,
                      const uint8_t salt[SECRET_MD5_SALT_SIZE], struct slice response) MUST_CHECK;

/* The salt for a user's plain password, and for a user that does not exist: made of key,
 * which only this process knows, it is the same at every attempt and cannot be foretold. */
bool secret_make_salt(struct slice key, struct slice user, struct secret_keys *keys) MUST_CHECK;

/* Makes both keys of password with the salt and iterations that are in keys. */
bool secret_derive(struct slice password, struct secret_keys *keys) MUST_CHECK;

/* Whether two sets of keys are of the same password; salt and iterations must be. */
bool secret_check_keys(const struct secret_keys *a, const struct secret_keys *b) MUST_CHECK;

#endif
