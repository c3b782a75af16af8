/*
 * drivers/redis/follow.h - what a client's next request needs, given what went before; pure.
 *
 *      use = verb_classify(&request);
 *      plan = follow_see(&follow, use, where);          share it, or a connection of its own?
 *      follow_sent(&follow, use);                       ... then this, when it is sent there
 *      follow_heard(&follow, &run.note, run.first);     when its reply has come
 *      if (follow_is_free(&follow)) ...                 nothing is left in the connection
 *
 * A client's state is either known here (database, protocol, name, who it is), and then any
 * connection will do that has the same; or it lives in one connection to Redis (MULTI, WATCH,
 * tracking), and then the client keeps that until the state has provably ended:
 *
 *      free --> WATCH, MULTI --> EXEC, DISCARD, UNWATCH were answered --> free
 *        `----> what only RESET ends (CLIENT TRACKING, a SELECT inside MULTI) --> kept
 *        `----> MONITOR, CLIENT REPLY, SYNC: replies cannot be counted --> blind, for good
 *
 * Requests are pipelined, so there are two views: what was sent, by which the next request is
 * judged, and what was answered, by which the connection is left. They agree when nothing is
 * owed, and only then is a connection left.
 *
 * Requests of one client never overtake each other: what must go another way than those before
 * it waits until these were answered (FOLLOW_LATER).
 *
 * Sources: Redis 7.0, multi.c (execCommand, discardTransaction, execCommandAbort) and the
 * manual's pages Transactions and Client-side caching.
 */
#ifndef DRIVERS_REDIS_FOLLOW_H
#define DRIVERS_REDIS_FOLLOW_H

#include "base/bytes.h"
#include "drivers/redis/trunk.h"
#include "drivers/redis/verb.h"

struct follow {
    int32_t db;
    uint8_t protocol; /* 2 or 3 */
    bool sent_multi, sent_watch;
    bool in_multi, is_watching;
    bool is_kept;  /* until RESET, or its end */
    bool is_blind; /* for good: bytes are bytes */
};

enum follow_step {
    FOLLOW_SHARE, /* with others */
    FOLLOW_OWN,   /* over a connection of its own */
    FOLLOW_LATER, /* not before nothing is owed to it */
    FOLLOW_HERE,  /* it is answered here, by what use.need says; nothing is owed */
    FOLLOW_END,   /* the client must go */
};

/* Where the client is. */
struct follow_where {
    bool is_owed;    /* replies to what it sent before */
    bool has_own;    /* connection */
    bool is_large;   /* the request: it is streamed */
    bool is_heavy;   /* the client: its replies have been large */
    bool is_blocked; /* one of those it is owed may take for ever */
};

struct follow_plan {
    enum follow_step step;
    struct trunk_note note;
    bool pings; /* a PING goes ahead of it (see follow.c), whose reply is nobody's */
    bool goes_blind;
};

/* What notes are about; 0 is of no interest. */
enum follow_kind {
    FOLLOW_PLAIN,
    FOLLOW_MULTI,
    FOLLOW_EXEC,
    FOLLOW_DISCARD,
    FOLLOW_WATCH,
    FOLLOW_UNWATCH,
    FOLLOW_BLOCKING,
    FOLLOW_SELECT,    /* the database is its note's argument, which the caller sets */
    FOLLOW_HELLO,     /* ... the protocol */
    FOLLOW_KIND_COUNT /* the caller's own begin here */
};

void follow_init(struct follow *follow);

/* Whether what needs nothing is shared for certain: the usual case, told without more ado. */
static inline bool follow_may_share(const struct follow *follow)
{
    return !follow->sent_multi && !follow->sent_watch && !follow->is_kept && !follow->is_blind;
}

struct follow_plan follow_see(const struct follow *follow, const struct verb_use *use,
                              const struct follow_where *where);

/* It was sent over the client's own connection. */
void follow_sent(struct follow *follow, const struct verb_use *use);

/* The reply to it has come; first: how it begins. */
void follow_heard(struct follow *follow, const struct trunk_note *note, struct slice first);

/* Nothing is owed: what was sent is what was answered. */
void follow_settle(struct follow *follow);

/* Whether the client has nothing to keep its connection for, once nothing is owed. */
bool follow_is_free(const struct follow *follow);

#endif
