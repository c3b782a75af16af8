/*
 * drivers/redis/trunk.h - whose is the next reply of a connection to Redis; pure.
 *
 *      trunk_owe(&trunk, guest, &(struct trunk_note){.count = 3}, now);     three requests were
 * sent while (trunk_next(&trunk, in, &run) == TRUNK_RUN)                    bytes have come in =
 * show(run.whom, &run, in);                                   run.length of them
 *
 * Redis answers the requests of a connection one after the other, each with one reply (Redis
 * serialization protocol specification). So the trunk is a queue of who is owed how many, and a
 * reader that tells where a reply ends (resp.h). What would break this rule must not be sent
 * over a shared connection: verb.h says what that is.
 *
 *      sent --> owed: [ana 3] [bob 1] [nobody 2] [ana 1] --> their replies, in that order
 *
 * Who goes away, or is told that it took too long, is forgotten: what comes for him then is
 * nobody's, and is swallowed. A reply is shown in the pieces it comes in; nothing is gathered.
 *
 * Errors: TRUNK_BROKEN when bytes come that are no reply, or that nobody is owed. Such a
 * connection can be trusted with nothing more, and must be closed.
 *
 * Ownership: whom is the caller's; it is compared and given back, never looked into, and must be
 * forgotten before it dies.
 */
#ifndef DRIVERS_REDIS_TRUNK_H
#define DRIVERS_REDIS_TRUNK_H

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "drivers/redis/resp.h"

enum { TRUNK_FIRST = 256 }; /* so much of a reply is kept for who wants to know what it says */

/* What is known about a request when its reply comes. */
struct trunk_note {
    uint32_t count;   /* so many of the same; more than one only of kind 0 */
    uint8_t kind;     /* the caller's; 0: the reply is of no interest */
    bool is_patient;  /* it may take for ever */
    int32_t argument; /* the caller's */
};

struct trunk_owed {
    void *whom; /* NULL: nobody */
    uint64_t since;
    struct trunk_note note;
};

struct trunk {
    struct resp resp;
    struct trunk_owed *ring;
    size_t size, head, entries; /* size is a power of two */
    size_t replies;             /* owed in all */
    void *pushed_to;            /* whom pushes (RESP3) are for; NULL: there must be none */
    bool mid;                   /* a part of the next reply, or of a push, has come */
    uint8_t first[TRUNK_FIRST]; /* the beginning of a reply whose kind is not 0 */
    size_t first_length;
};

/* Bytes for one, who may be nobody. */
struct trunk_run {
    void *whom;
    size_t length;
    uint32_t begun; /* so many replies begin in it, ... */
    uint32_t whole; /* ... and so many end */
    struct trunk_note note;
    bool is_push;       /* not a reply: one that was not asked for */
    bool is_mid;        /* more of the last one is to come */
    struct slice first; /* of a whole reply whose kind is not 0: how it begins */
};

enum trunk_found { TRUNK_RUN, TRUNK_MORE, TRUNK_BROKEN };

void trunk_init(struct trunk *trunk);
void trunk_fini(struct trunk *trunk);

/* ERR_NO_MEMORY: nothing was noted, so nothing may be sent. */
enum err trunk_owe(struct trunk *trunk, void *whom, const struct trunk_note *note,
                   uint64_t now) MUST_CHECK;

/* What was asked last is on its way only now: its time begins anew. */
void trunk_touch(struct trunk *trunk, uint64_t now);

/* What the bytes at the beginning of in are. TRUNK_MORE: of no use before more has come. */
enum trunk_found trunk_next(struct trunk *trunk, struct slice in, struct trunk_run *run);

/* What is owed to whom is nobody's from now on. Whether he was in the midst of a reply or push. */
bool trunk_forget(struct trunk *trunk, const void *whom);

/* The first who has waited since before `before`, and was not forgotten: from now on so many of
 * his replies are nobody's, and he can be told. Not those who are patient, nor who has a part of a
 * reply: what he is told would be in its midst. False: there is none. */
bool trunk_expire(struct trunk *trunk, uint64_t before, void **whom, uint32_t *count);

/* Since when the longest owed reply is; UINT64_MAX: none is, or only patient ones. */
uint64_t trunk_oldest(const struct trunk *trunk);

/* Takes the first from the queue: nothing more will come. False when nothing is owed. */
bool trunk_take(struct trunk *trunk, struct trunk_owed *owed, bool *mid);

#endif
