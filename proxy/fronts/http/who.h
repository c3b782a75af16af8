/*
 * proxy/fronts/http/who.h - who sent a request, and what it may use.
 *
 *      struct who_asks asks = {.door = WHO_DB, .authorization = ..., .host = ..., ...};
 *      switch (who_decide(&who, &asks, now, &answer)) {
 *      case WHO_LET_IN:    answer.user, answer.token ... until the request is done
 *      case WHO_REFUSED:   answer.status, answer.why; answer.retry_after_s
 *      case WHO_CHECK:     answer.check: on a thread who_check_run(check), and then on the loop
 *                          who_checked(&who, check, now, &answer), which is one of the others
 *      }
 *
 * How one can prove who one is, in this order:
 *
 *      a token     Authorization: Bearer, or Upstash's ?_token=; what it opens says [http]
 *      a password  Authorization: Basic, or in Neon's connection string: checked as at a login
 *                  over the wire, against auth_file
 *      nothing     where [http] is open, which it can be on loopback only
 *
 *                        token   password   open
 *      WHO_DB    /db       yes     yes       yes
 *      WHO_SQL   /sql      yes     yes       yes, whatever user and password are said
 *      WHO_REDIS /, ...    yes     no        yes, and with any token where none is configured
 *
 * A wrong proof is refused, also where it is open: nobody learns later than he could that his
 * token is not what he thinks. Open has one more enemy: a page in a browser of this machine. It
 * may send requests to 127.0.0.1 without asking anybody, and by a name of its own that leads
 * there (DNS rebinding). So there a request is refused whose Host is a name other than
 * localhost. And it is refused, there and with Basic, which browsers remember and send along,
 * if its Origin is another than that Host and not among cors_origins.
 *
 * A password takes milliseconds on a thread, whether the user exists or not, and HTTP sends it
 * each time: those found right are remembered for WHO_REMEMBERED, as a digest under a key that
 * only this process knows. Wrong ones are counted, and slow their sender down (throttle.h): while
 * it has to wait no password is checked that is not known to be right. Tokens are always
 * compared, in constant time; a wrong one is told 429 instead of 401 then.
 *
 * Ownership: a check is the caller's until it is given to who_checked or who_check_free; it
 * holds copies and lends nothing but the configuration, so who_check_run may run on a thread.
 */
#ifndef PROXY_FRONTS_HTTP_WHO_H
#define PROXY_FRONTS_HTTP_WHO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "proxy/config.h"
#include "proxy/fronts/http/throttle.h"

enum {
    WHO_KEY_SIZE = 32,
    WHO_ROOM = 512,                  /* passwords remembered */
    WHO_WAYS = 4,                    /* of a bucket of them */
    WHO_REMEMBERED = 10 * 60 * 1000, /* ms */
    WHO_LONGEST_PASSWORD = 1024,
};

enum who_door { WHO_DB, WHO_SQL, WHO_REDIS };

/* A request; all lent, with length 0 for what it has not. */
struct who_asks {
    enum who_door door;
    struct slice authorization, host, origin; /* headers */
    struct slice token;                       /* Upstash's ?_token= */
    struct slice user, password, database;    /* of Neon's connection string, decoded */
    struct throttle_peer peer;
};

enum who_verdict { WHO_LET_IN, WHO_REFUSED, WHO_CHECK };

struct who_check;

/* What is lent is the configuration's. */
struct who_answer {
    /* WHO_LET_IN */
    char user[CONFIG_LONGEST_USER + 1];         /* for terms_look_up; "": the database's own */
    char database[CONFIG_LONGEST_DATABASE + 1]; /* for who does not say; "": must be said */
    const struct config_http_token *token;      /* NULL: by password, or open */
    const struct config_redis_upstream *redis;  /* NULL: none */
    bool redis_read_only;

    /* WHO_REFUSED */
    int status; /* 401, with WWW-Authenticate; 403, 429, 503 */
    unsigned retry_after_s;
    const char *why; /* static */

    /* WHO_CHECK */
    struct who_check *check;
};

struct who_known {
    uint8_t digest[WHO_KEY_SIZE];
    uint64_t until; /* 0: nothing */
};

struct who {
    const struct config *config;
    uint8_t key[WHO_KEY_SIZE];
    struct throttle throttle;
    struct who_known known[WHO_ROOM];
    uint64_t let_in, refused, slowed_down; /* requests; slowed_down are among the refused */
};

/* key: random, and nobody else's. */
void who_init(struct who *who, const struct config *config, const uint8_t key[WHO_KEY_SIZE]);
void who_fini(struct who *who);

enum who_verdict who_decide(struct who *who, const struct who_asks *asks, uint64_t now,
                            struct who_answer *answer) MUST_CHECK;

/* Before the body is taken: whether who_decide would refuse it at once, and as what. If not, it is
 * to be decided when the body is there. */
bool who_refuses(struct who *who, const struct who_asks *asks, uint64_t now,
                 struct who_answer *answer) MUST_CHECK;

/* Whether it may use that database, be there one of that name or not. */
bool who_may_use(const struct who_answer *answer, const char *database);

/* Touches nothing but the check. */
void who_check_run(struct who_check *check);

/* Takes the check; WHO_LET_IN or WHO_REFUSED. */
enum who_verdict who_checked(struct who *who, struct who_check *check, uint64_t now,
                             struct who_answer *answer) MUST_CHECK;

/* Takes the check: nobody wants to know any more. Not while it runs. */
void who_check_free(struct who_check *check);

#endif
