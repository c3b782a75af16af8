/*
 * drivers/redis/topics.h - who is subscribed to what, and what the one link that subscribes for
 * them all has to ask Redis.
 *
 * It decides and does nothing else: it has no socket and reads no clock. It is told what clients
 * want and shown what the link says, and then tells what is to be done:
 *
 *      topics_subscribe(&topics, &guest->subscriber, HEARD_CHANNEL, names, n);
 *
 *      do {                                              "pump": after each event
 *          while ((s = topics_next_missed(&topics, &why)) != NULL)    close(s), topics_leave
 *          while ((s = topics_next_told(&topics, &out)) != NULL)      send(s, out)
 *          while ((order = topics_next_order(&topics, now, &out)) != TOPICS_NOTHING)
 *              carry_out(order, out);
 *      } while (anything of that was there);
 *
 *      while ((found = topics_read(&topics, in, &used, now)) != TOPICS_MORE) {
 *          TOPICS_HEARD: while ((s = topics_next_hearer(&topics, &bytes)) != NULL) send(s, bytes)
 *          TOPICS_PUMP:  pump
 *          TOPICS_BROKEN: close the link, topics_lost
 *          in = behind used; }
 *
 * While hearers are gone through, clients may leave and ask, and the link be lost; the pump waits
 * until then. It may itself lose the link (TOPICS_GIVE_UP), and then nothing more is read of it.
 *
 * The link         CLOSED --> OPENING --> READY <--> ASKING          and from any: lost
 *
 * A client's commands stand in one line with all others'. What they need is asked of Redis in
 * one batch at a time, all that came meanwhile in the next; when its last answer has come they
 * are carried out one by one, as Redis would at that moment. So a client's replies cannot change
 * order, each count is what Redis would count, and a batch of one name serves ten thousand
 * clients. Even what Redis was asked for before costs a client a round trip (a PING if there is
 * nothing else): its answer divides what was published before from what comes after, and so a
 * client that publishes and then subscribes, or unsubscribes, over another connection sees what
 * it would see without us.
 *
 * A name           SILENT --> ABSENT --> ASKED --> HEARD --> UNWANTED --> LEAVING --> SILENT
 *
 * Each name is asked for by itself, so that Redis' error is about that name. It goes to those
 * whose command has the name, instead of all replies to that command, and none of its names is
 * subscribed by it: Redis, too, looks at all names before it takes the first.
 *
 * A subscriber that has missed something is given by topics_next_missed, and hears nothing more:
 * it should be closed, which tells it what a Redis that went away would (each client library
 * subscribes again then). It misses something when the link is lost (with keep_after_loss it is
 * subscribed again instead and not told); when Redis does not take again what it had taken; when
 * a message is longer than longest_message. Redis itself closes subscribers for which more than
 * 32 MB wait (client-output-buffer-limit pubsub), and so this link: a good longest_message. It must
 * be longer than longest_name and a hundred bytes.
 *
 * A message that is not whole in what topics_read is shown is gathered once, in a block of its
 * size; others are lent as they came. Who cannot send at once keeps one block with all others
 * that cannot (topics_keep).
 *
 * What is not as with a link of one's own: PUBLISH and PUBSUB NUMSUB count this one once; Redis'
 * ACL is not asked again for a name that is heard (it closes the link itself when its user loses
 * the right to a channel); and names of several slots in one SSUBSCRIBE are no error.
 *
 * Ownership: a subscriber is embedded in what the caller has of its client, and must leave
 * before it goes. All else is the module's.
 */
#ifndef DRIVERS_REDIS_TOPICS_H
#define DRIVERS_REDIS_TOPICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "base/list.h"
#include "drivers/redis/gather.h"
#include "drivers/redis/heard.h"

enum topics_link { TOPICS_CLOSED, TOPICS_OPENING, TOPICS_READY, TOPICS_ASKING };

enum topics_order {
    TOPICS_NOTHING,
    TOPICS_OPEN,    /* a link in RESP2; and say topics_opened or topics_lost */
    TOPICS_ASK,     /* write out to it; and show topics_read what it says */
    TOPICS_CLOSE,   /* nobody needs it */
    TOPICS_GIVE_UP, /* close it; it counts as lost: too slow */
};

enum topics_found {
    TOPICS_MORE,   /* what is not used is to be shown again with more behind it */
    TOPICS_HEARD,  /* a message: topics_next_hearer until NULL */
    TOPICS_PUMP,   /* somebody has been told something, or has missed something */
    TOPICS_BROKEN, /* not what Redis says */
};

enum topics_miss {
    TOPICS_LINK_LOST,
    TOPICS_REFUSED,  /* what Redis had taken from the link before, it did not take again */
    TOPICS_TOO_LONG, /* a message, for longest_message or for the memory there is */
    TOPICS_NO_MEMORY,
};

struct topics_limits {
    uint64_t answer_ms; /* how long opening and a batch may take */
    uint64_t idle_ms;   /* with nobody left the link is closed after that; 0: never */
    uint64_t retry_ms;  /* the pause after it could not be opened */
    uint64_t quiet_ms;  /* after that without a batch it is asked for a sign of life; 0: never */
    size_t most_names;  /* that Redis is asked for */
    size_t most_names_each; /* of a client; what it is asking for counts */
    size_t longest_name;
    size_t longest_message; /* framing included */
    bool keep_after_loss;   /* subscribers stay when the link is lost */
};

/* A name's state is the list it is in. */
enum topics_state {
    TOPICS_STATE_SILENT,   /* Redis says nothing of it, and need not yet */
    TOPICS_STATE_ABSENT,   /* is to be asked for */
    TOPICS_STATE_ASKED,    /* ... and has been */
    TOPICS_STATE_HEARD,    /* Redis has confirmed it */
    TOPICS_STATE_UNWANTED, /* ... and nobody wants it */
    TOPICS_STATE_LEAVING,  /* ... and Redis has been told so */
    TOPICS_STATE_COUNT
};

struct topics {
    struct topics_limits limits;
    struct topics_topic *names[HEARD_KIND_COUNT];
    struct topics_subscription *pairs; /* of name and subscriber */
    struct list states[TOPICS_STATE_COUNT];
    struct list waiting, asked, told; /* commands, in the order they came */
    struct list members;              /* who is subscribed to anything */
    struct list missed;
    enum topics_link link;
    bool ping;                        /* is owed by Redis, and is all of the batch */
    unsigned failures;                /* since Redis answered last */
    uint64_t since;                   /* when the link came into its state */
    uint64_t retry_at;                /* while CLOSED */
    struct topics_subscription *next; /* who hears the message that is there */
    struct gather gather;             /* ... which is in there */
};

struct topics_subscriber {
    bool is_resp3;        /* set by the caller, while nothing is owed */
    enum topics_miss why; /* while in topics.missed */
    bool has_missed;
    struct list subscriptions[HEARD_KIND_COUNT];
    struct list commands; /* not answered: the caller reads no more of a client that has many */
    size_t asking;        /* names in them that are to be subscribed */
    struct link member, missed;
};

void topics_init(struct topics *topics, const struct topics_limits *limits);
/* All must have left. */
void topics_fini(struct topics *topics);

/* ---- clients ----------------------------------------------------------------------------- */

void topics_join(struct topics_subscriber *subscriber);
/* Its commands are forgotten and its subscriptions end, and nobody is told: for RESET, QUIT and
 * the end of the connection. */
void topics_leave(struct topics *topics, struct topics_subscriber *subscriber);

/* Takes copies of the names, of which there is one at least; for topics_unsubscribe none means
 * all of that kind. ERR_NO_MEMORY: nothing was changed. Beyond a limit its turn brings an
 * error. */
enum err topics_subscribe(struct topics *topics, struct topics_subscriber *subscriber,
                          enum heard_kind kind, const struct slice *names, size_t count) MUST_CHECK;
enum err topics_unsubscribe(struct topics *topics, struct topics_subscriber *subscriber,
                            enum heard_kind kind, const struct slice *names,
                            size_t count) MUST_CHECK;

/* Whether it is in what Redis calls subscribed mode. */
bool topics_is_subscribed(const struct topics_subscriber *subscriber);
/* Whether replies are to come: what the client says next is answered behind them. */
bool topics_is_owed(const struct topics_subscriber *subscriber);

/* ---- the link ---------------------------------------------------------------------------- */

void topics_opened(struct topics *topics, uint64_t now);
void topics_lost(struct topics *topics, uint64_t now);
/* TOPICS_PUMP again and again until nobody is left to be told. */
enum topics_found topics_read(struct topics *topics, struct slice in, size_t *used,
                              uint64_t now) MUST_CHECK;

/* ---- what is to be done ------------------------------------------------------------------ */

/* out is filled for TOPICS_ASK; if it failed, the link is to be closed and topics_lost said. */
enum topics_order topics_next_order(struct topics *topics, uint64_t now,
                                    struct bytes *out) MUST_CHECK;

/* The replies to one command; NULL: nobody is to be told anything. If out failed, the client
 * cannot be told and is to be closed. */
struct topics_subscriber *topics_next_told(struct topics *topics, struct bytes *out) MUST_CHECK;

/* Who has missed something, once; NULL: nobody. */
struct topics_subscriber *topics_next_missed(struct topics *topics,
                                             enum topics_miss *why) MUST_CHECK;

/* When to ask again even if nothing happens; UINT64_MAX: never. */
uint64_t topics_deadline(const struct topics *topics);

/* ---- who hears what ---------------------------------------------------------------------- */

/* The next who hears the message that is there, and the message as it is to be sent, lent until
 * the next call. Whoever is given may leave meanwhile, and any other. */
struct topics_subscriber *topics_next_hearer(struct topics *topics, struct slice *bytes) MUST_CHECK;

/* What topics_next_hearer has just given that subscriber, to be kept until gather_release; NULL
 * for want of memory. */
struct gather_message *topics_keep(struct topics *topics,
                                   const struct topics_subscriber *subscriber) MUST_CHECK;

/* ---- figures ----------------------------------------------------------------------------- */

size_t topics_count_names(const struct topics *topics);
size_t topics_count_subscriptions(const struct topics *topics);

#endif
