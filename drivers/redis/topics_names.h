/*
 * drivers/redis/topics_names.h - the names that topics.h knows, and who is subscribed to each.
 *
 *      topic = topics_names_mention(topics, HEARD_CHANNEL, SLICE("news"));   found, or made
 *      e = topics_names_subscribe(topics, topic, subscriber);
 *      topics_names_unmention(topics, topic);                   it goes when nothing keeps it
 *
 * A name stays while a command mentions it, while anybody wants it, and while Redis has been
 * asked for it. Part of topics.c; nobody else needs it.
 */
#ifndef DRIVERS_REDIS_TOPICS_NAMES_H
#define DRIVERS_REDIS_TOPICS_NAMES_H

#include <uthash.h>

#include "drivers/redis/topics.h"

struct topics_topic {
    UT_hash_handle hh; /* by name */
    struct link link;  /* in topics.states[state] */
    enum topics_state state;
    enum heard_kind kind;
    struct list subscriptions;
    size_t mentions, wishes; /* commands that have it; of these, those that subscribe */
    struct bytes refusal;    /* what Redis said instead, the last time it was asked */
    size_t length;
    uint8_t name[];
};

struct topics_subscription {
    UT_hash_handle hh; /* by the pair */
    struct topics_pair {
        struct topics_topic *topic;
        struct topics_subscriber *subscriber;
    } pair;
    struct link of_topic, of_subscriber;
};

#define TOPICS_NAMES_TOPIC(l)    LIST_ITEM(l, struct topics_topic, link)
#define TOPICS_NAMES_OF_TOPIC(l) LIST_ITEM(l, struct topics_subscription, of_topic)

/* NULL: it is not known. */
struct topics_topic *topics_names_find(const struct topics *topics, enum heard_kind kind,
                                       struct slice name);
/* NULL: no memory. */
struct topics_topic *topics_names_mention(struct topics *topics, enum heard_kind kind,
                                          struct slice name) MUST_CHECK;
void topics_names_unmention(struct topics *topics, struct topics_topic *topic);

void topics_names_move(struct topics *topics, struct topics_topic *topic, enum topics_state state);
/* Whether anybody wants it may have changed; it may be gone then. */
void topics_names_review(struct topics *topics, struct topics_topic *topic);

/* NULL: there is none. */
struct topics_subscription *topics_names_pair(const struct topics *topics,
                                              struct topics_topic *topic,
                                              struct topics_subscriber *subscriber);
/* ERR_OK also if it is subscribed already. */
enum err topics_names_subscribe(struct topics *topics, struct topics_topic *topic,
                                struct topics_subscriber *subscriber) MUST_CHECK;
void topics_names_end(struct topics *topics, struct topics_subscription *subscription);

#endif
