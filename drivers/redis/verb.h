/*
 * drivers/redis/verb.h - what a request to Redis needs, by its command.
 *
 * Hundreds of clients share a link to Redis, so a request may only go there if it leaves no
 * state, gets exactly one reply, does not wait, does not close the link and need not pass others:
 *
 *      struct verb_use use = verb_classify(&request);
 *      if (use.need == VERB_SHARED) ...            any link of its user, database and protocol
 *      else if (use.need == VERB_SLOW) ...         a link of its own until its one reply
 *      if (use.leaves_doubt) ...                   that link is not reused without RESET
 *
 * The rows are in verb_table.c, one a command; a test compares them with COMMAND of a real server.
 * Whatever is not clear gets the answer that is safe whatever Redis makes of it: a link of its own,
 * and doubt. So for commands that no row names (modules, renamed, newer ones), and for names with
 * a zero byte. Redis compares names with strcasecmp, which stops there, once its hash table has led
 * it to the right bucket: "monitor\0" and a number is MONITOR to it, one time in a few hundred.
 *
 * Rows name commands of Redis up to 8 and of Valkey; the arity decides whether Redis would look at
 * the request at all. What it refuses for its number of arguments changes nothing and gets one
 * error; if it is more than a VERB_SHARED, it is a VERB_SLOW that leaves doubt, as a newer Redis
 * may allow it. This module knows no state: whether the client has authenticated, is within MULTI,
 * or has subscribed to something, is the business of others.
 *
 * Redis 7.0: commands/ *.json, processCommand() in server.c, networking.c, and those named in
 * verb_table.c.
 */
#ifndef DRIVERS_REDIS_VERB_H
#define DRIVERS_REDIS_VERB_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/redis/request.h"

enum verb_need {
    VERB_SHARED,   /* nothing: any link of its user, database and protocol; one reply */
    VERB_SLOW,     /* one reply, but long in coming, or it must pass others: a link of its own */
    VERB_BLOCKING, /* may wait for ever for its one reply: a link of its own, no command timeout */
    VERB_WAIT,     /* as BLOCKING, and it is about what its own link has sent before it */
    VERB_MULTI,
    VERB_EXEC,
    VERB_DISCARD,
    VERB_WATCH,
    VERB_UNWATCH,
    VERB_SUBSCRIBE,   /* a reply for each channel */
    VERB_UNSUBSCRIBE, /* the same; without a channel, one for each there was, or one */
    VERB_KEEPS,       /* one reply, but it leaves state in its connection */
    VERB_BLIND,       /* from now on replies cannot be counted: never reuse the link */
    VERB_SELECT,      /* of a database whose number is one: args[1] */
    VERB_AUTH,        /* with a password, or a user and a password; they may be too long to show */
    VERB_HELLO,       /* its arguments may be wrong, or not all shown */
    VERB_RESET,
    VERB_QUIT,
    VERB_CLIENT_SETNAME,
    VERB_CLIENT_GETNAME,
    VERB_CLIENT_ID,
    VERB_CLIENT_SETINFO, /* Redis before 7.2 does not know it */
    VERB_ATTACK,         /* POST, Host: - Redis closes the connection without a word */
};

enum verb_subscription { VERB_CHANNEL, VERB_PATTERN, VERB_SHARD };

struct verb_use {
    enum verb_need need;
    enum verb_subscription subscription; /* of SUBSCRIBE and UNSUBSCRIBE */
    bool is_known;                       /* a row names it, and its number of arguments is right */
    bool is_read_only;                   /* Redis flags it so; sent twice, it does no harm */
    bool leaves_doubt;   /* its own link may have state that we do not know of, or more to say */
    bool outlives_reset; /* what it leaves, RESET does not end: close the link */
    bool may_close;      /* a link that closes without a reply may be what was asked for */
};

struct verb_use verb_classify(const struct request *request);

/* Its name in words, lower case: "shared", "client_setname". */
const char *verb_need_name(enum verb_need need);

#endif
