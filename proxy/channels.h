/*
 * proxy/channels.h - who listens to which channels of a database, and what the one connection
 * that listens for them all has to be asked.
 *
 * Like a pool it decides and does nothing else: it has no connection and reads no clock. It is
 * told what happened, and then says what is to be done, and who is to be told:
 *
 *      channels_want(&channels, &client->subscriber, "news");     a LISTEN is on its way
 *      while ((order = channels_next_order(&channels, now, &sql)) != CHANNELS_NOTHING)
 *          carry_out(order);
 *      while ((subscriber = channels_next_told(&channels, &listening)) != NULL)
 *          go_on(subscriber);
 *
 * The connection       CLOSED --> OPENING --> READY <--> ASKING      and from any: lost
 *
 * A subscription       WANTED --> TENTATIVE --> CONFIRMED
 *
 * WANTED: the connection has not been asked since, and nothing is heard. TENTATIVE: from here
 * on nothing is missed, whatever becomes of the client's own LISTEN; that may only run now.
 * CONFIRMED: its transaction was committed. Even a channel that is listened to already costs
 * a round trip, for the answer divides what was notified before from what comes after.
 *
 * Ownership: a subscriber is embedded in what the caller has of its client, and must leave
 * before it goes. Channels and subscriptions are the module's.
 */
#ifndef PROXY_CHANNELS_H
#define PROXY_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "base/list.h"
#include "proxy/named.h"

enum { CHANNELS_LONGEST_NAME = 63 }; /* in bytes; PostgreSQL cuts longer ones */

enum channels_connection {
    CHANNELS_CLOSED,
    CHANNELS_OPENING,
    CHANNELS_READY,
    CHANNELS_ASKING,
    CHANNELS_USELESS, /* it would not take again what it had taken before */
};

enum channels_order {
    CHANNELS_NOTHING,
    CHANNELS_OPEN,    /* and say channels_opened or channels_lost */
    CHANNELS_ASK,     /* sql; and say channels_answered or channels_lost */
    CHANNELS_CLOSE,   /* nobody needs it */
    CHANNELS_GIVE_UP, /* the same, and it counts as lost: too slow, or useless */
};

struct channels_limits {
    uint64_t answer_ms; /* how long opening and asking may take */
    uint64_t idle_ms;   /* with nobody left it is closed after that; 0: never */
    uint64_t retry_ms;  /* the pause after it could not be opened */
};

/* A channel's state is the list it is in. */
enum channels_state {
    CHANNELS_ABSENT,   /* is to be listened to */
    CHANNELS_ASKED,    /* ... and the connection has been asked to */
    CHANNELS_HEARD,    /* is listened to */
    CHANNELS_UNWANTED, /* ... and nobody wants it */
    CHANNELS_LEAVING,  /* ... and the connection has been asked not to */
    CHANNELS_STATE_COUNT
};

struct channels {
    struct channels_limits limits;
    struct named_set names;
    struct list states[CHANNELS_STATE_COUNT];
    struct list members;              /* everybody who has a subscription */
    struct list waiting, asked, told; /* those who wait to be told */
    struct channels_subscriber *next_member;
    enum channels_connection connection;
    uint64_t since;    /* when the connection came into its state */
    uint64_t retry_at; /* while CLOSED */
    unsigned failures; /* since something was answered last */
    bool gap;          /* the connection was lost, and subscribers may have missed something */
};

enum channels_stage { CHANNELS_WANTED, CHANNELS_TENTATIVE, CHANNELS_CONFIRMED };

struct channels_channel;

struct channels_subscription {
    struct link of_channel, of_subscriber;
    struct channels_channel *channel;
    struct channels_subscriber *subscriber;
    enum channels_stage stage;
};

struct channels_subscriber {
    struct list subscriptions;
    struct link member, waiting;
    struct list *line; /* where it waits, if it does */
    bool failed;       /* what it waited for cannot be had */
    /* Called before a subscription goes, for what is kept of it. */
    void (*ends)(struct channels_subscriber *subscriber,
                 struct channels_subscription *subscription);
};

struct channels_channel {
    struct named named;
    struct link link; /* in channels.states[state] */
    enum channels_state state;
    struct list subscriptions;
    struct channels_subscription *next; /* of whoever goes through them */
    char name[CHANNELS_LONGEST_NAME + 1];
};

void channels_init(struct channels *channels, const struct channels_limits *limits);
/* No subscriber may be left. */
void channels_fini(struct channels *channels);

/* ---- what happens ------------------------------------------------------------------------ */

void channels_join(struct channels_subscriber *subscriber,
                   void (*ends)(struct channels_subscriber *, struct channels_subscription *));

/* The client is about to listen to a channel; it waits until channels_next_told gives it. Any
 * number of channels, and then it is told once. */
enum err channels_want(struct channels *channels, struct channels_subscriber *subscriber,
                       const char *name) MUST_CHECK;

/* It listens from now on, for its transaction was committed. False: that was not wanted. */
bool channels_confirm(struct channels_subscriber *subscriber, const char *name);

/* What it had confirmed is tentative again: it has said UNLISTEN, and LISTEN perhaps. NULL: all. */
void channels_doubt(struct channels_subscriber *subscriber, const char *name);

/* It listens no more: to this one; or to none that has not come further than to that stage, and
 * then it waits no more, either. */
void channels_drop(struct channels *channels, struct channels_subscriber *subscriber,
                   const char *name);
void channels_forget(struct channels *channels, struct channels_subscriber *subscriber,
                     enum channels_stage stage);

void channels_opened(struct channels *channels, uint64_t now);
void channels_answered(struct channels *channels, bool well, uint64_t now);
void channels_lost(struct channels *channels, uint64_t now);

/* ---- what is to be done ------------------------------------------------------------------ */

/* sql is filled, with its NUL, for CHANNELS_ASK. */
enum channels_order channels_next_order(struct channels *channels, uint64_t now,
                                        struct bytes *sql) MUST_CHECK;

/* Whoever need not wait any more, once; NULL: nobody. */
struct channels_subscriber *channels_next_told(struct channels *channels,
                                               bool *listening) MUST_CHECK;

/* When to ask again even if nothing happens; UINT64_MAX: never. */
uint64_t channels_deadline(const struct channels *channels);

/* ---- who hears what ---------------------------------------------------------------------- */

/* NULL: nobody. */
struct channels_channel *channels_find(const struct channels *channels, const char *name);

/* Goes through those that hear it, from first = true; whoever is given may leave meanwhile. */
struct channels_subscription *channels_next_hearing(struct channels_channel *channel, bool first);

/* Goes through all subscribers in the same way; whether something may have been missed is
 * told once. */
bool channels_take_gap(struct channels *channels);
struct channels_subscriber *channels_next_member(struct channels *channels, bool first);

struct channels_subscription *channels_subscription(const struct channels_subscriber *subscriber,
                                                    const char *name);

#endif
