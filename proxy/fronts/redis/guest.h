/*
 * proxy/fronts/redis/guest.h - one client of the Redis door.
 *
 *      guest_accept(upstream, listener);
 *      guest_ready(guest), guest_refused(...)        what it waited for is there, or will not be
 *      guest_hear(guest, &run, bytes);               a reply, or a part of one
 *      guest_go_on(guest);                           it was due: what it sent is looked at again
 *
 *      RESTING --> SENDING (half a request) --> WAITING (for a line) --> WORKING (replies are owed)
 *         ^                                                               |
 *         `---------- HOLDING (a line of its own: MULTI, WATCH) <--------'
 *      any of them --> BLIND (bytes are passed on as they are) --> LEAVING --> CLOSING
 *
 * Its requests are looked at one by one, and what each needs is decided in drivers/redis: verb.h
 * knows commands, follow.h this client. What can go the same way is sent as one piece. What
 * cannot go now is not used up: its stream keeps it, and shows it again when the guest is due.
 */
#ifndef PROXY_FRONTS_REDIS_GUEST_H
#define PROXY_FRONTS_REDIS_GUEST_H

#include "base/err.h"
#include "base/list.h"
#include "drivers/redis/follow.h"
#include "drivers/redis/request.h"
#include "drivers/stream.h"
#include "proxy/fronts/redis/dedicated.h"
#include "proxy/fronts/redis/shared.h"

/* clang-format off */
#define GUEST_STATES(X) \
    X(RESTING,  "idle")    \
    X(SENDING,  "sending") \
    X(WAITING,  "waiting") \
    X(WORKING,  "active")  \
    X(HOLDING,  "holding") \
    X(SUBSCRIBED, "subscribed") \
    X(BLIND,    "raw")     \
    X(LEAVING,  "leaving") \
    X(CLOSING,  "closing")
/* clang-format on */

enum guest_state {
#define X(state, name) GUEST_##state,
    GUEST_STATES(X)
#undef X
        GUEST_STATE_COUNT
};

extern const char *const guest_state_names[GUEST_STATE_COUNT];

/* Whom it says it is, until Redis has said whether that is so. */
struct guest_claim;
struct guest_check;
struct pubsub_ear;

struct guest {
    struct stream stream;
    struct link link;    /* in door->guests */
    struct link due;     /* in door->due */
    struct link waiting; /* in a lane's waiting or stalled, which is list */
    struct list *list;
    struct door *door;
    struct upstream *upstream;
    struct identity *identity; /* NULL: it has to say who it is first */
    struct shared_lane *lane;  /* of its shared requests; NULL: to be found */
    struct dedicated_lease own;
    struct follow follow;
    struct pubsub_ear *ear;    /* NULL: it has not subscribed */
    struct request_pass *pass; /* a large request is on its way */
    struct guest_claim *claim;
    struct guest_check *check; /* on a thread, by auth_file */
    struct bytes held;         /* messages that came in the middle of a reply */
    char *name;                /* CLIENT SETNAME; NULL: none */
    char *refusal;             /* what its next request is answered, since it cannot be done */
    uint64_t since, came, id;  /* since: in its state; came: was connected */
    size_t unread;             /* of its last words, when that was last looked at */
    uint32_t owed;             /* replies it has not got */
    uint32_t reply_bytes;      /* of the one that comes now, as far as that is of interest */
    uint8_t stalls;            /* so often in a row that was no less */
    uint8_t state;             /* enum guest_state */
    uint8_t calm;              /* so many small replies since the last large one, while is_heavy */
    bool is_heavy;             /* its replies are large: they come over a line of its own */
    bool is_checking;          /* Redis is asked whether its claim is true */
    bool claim_is_true;
    bool is_moving; /* its own line is on its way to the guest's database */
    bool is_mid;    /* it has had the beginning of a reply, and not its end */
    bool has_rest;  /* it has sent what was not used yet */
    bool has_ended; /* it will send no more */
    bool is_counted;
    bool is_blocked;     /* a patient request of it is on its way */
    bool will_block;     /* what it waits for a line of its own with is patient */
    bool has_doubt;      /* something may have been left in its own line, ... */
    bool outlives_reset; /* ... which RESET does not end */
    bool may_be_closed;  /* Redis may close that instead of a reply, as it was asked to */
};

void guest_accept(struct upstream *upstream, uv_stream_t *listener);

/* One that comes from within weir, over a connected socket, which is taken; who it is was found out
 * before. max_clients does not count it: whoever it is for was counted at another door. */
void guest_adopt(struct upstream *upstream, int fd, struct identity *identity);

void guest_ready(struct guest *guest);
void guest_refused(struct guest *guest, enum err e, const char *why, const char *reply);
void guest_hear(struct guest *guest, const struct trunk_run *run, struct slice bytes);
size_t guest_hear_raw(struct guest *guest, struct slice bytes);

/* Its shared line, or its own, is gone. owed: what it will not get; mid: that has begun. */
void guest_hear_lost(struct guest *guest, const struct trunk_owed *owed, bool mid, enum err e,
                     const char *why);
void guest_hear_own_lost(struct guest *guest, struct line *line, enum err e, const char *why);

/* So many of its replies took too long; they are nobody's now. */
void guest_hear_late(struct guest *guest, uint32_t count);
void guest_hear_own_late(struct guest *guest);

void guest_due(struct guest *guest);
void guest_go_on(struct guest *guest);

/* Has been in its state for too long. */
void guest_expire(struct guest *guest);

/* An error, and then the end. */
void guest_fail(struct guest *guest, enum err e, const char *text);
void guest_close(struct guest *guest);

#endif
