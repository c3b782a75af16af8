#include "drivers/redis/topics_names.h"

#include <stdlib.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------------------- */

/* The macros are the length of these functions, not what is written here; and clang does not see
 * that a pair is all of its bytes. */
/* NOLINTBEGIN(readability-function-size, clang-analyzer-core.UndefinedBinaryOperatorResult) */

struct topics_topic *topics_names_find(const struct topics *topics, enum heard_kind kind,
                                       struct slice name)
{
    struct topics_topic *found = NULL;

    HASH_FIND(hh, topics->names[kind], name.at, name.length, found);
    return found;
}

static bool add_name(struct topics *topics, struct topics_topic *topic)
{
    HASH_ADD_KEYPTR(hh, topics->names[topic->kind], topic->name, topic->length, topic);
    return topic->hh.tbl != NULL;
}

static void remove_name(struct topics *topics, struct topics_topic *topic)
{
    HASH_DEL(topics->names[topic->kind], topic);
}

struct topics_subscription *topics_names_pair(const struct topics *topics,
                                              struct topics_topic *topic,
                                              struct topics_subscriber *subscriber)
{
    struct topics_pair pair = {topic, subscriber};
    struct topics_subscription *found = NULL;

    HASH_FIND(hh, topics->pairs, &pair, sizeof(pair), found);
    return found;
}

static bool add_pair(struct topics *topics, struct topics_subscription *subscription)
{
    HASH_ADD(hh, topics->pairs, pair, sizeof(subscription->pair), subscription);
    return subscription->hh.tbl != NULL;
}

static void remove_pair(struct topics *topics, struct topics_subscription *subscription)
{
    HASH_DEL(topics->pairs, subscription);
}

/* NOLINTEND(readability-function-size, clang-analyzer-core.UndefinedBinaryOperatorResult) */

void topics_names_move(struct topics *topics, struct topics_topic *topic, enum topics_state state)
{
    list_remove(&topics->states[topic->state], &topic->link);
    list_push_back(&topics->states[state], &topic->link);
    topic->state = state;
}

static struct topics_topic *create(struct topics *topics, enum heard_kind kind, struct slice name)
{
    struct topics_topic *topic = calloc(1, sizeof(*topic) + name.length);

    if (topic == NULL)
        return NULL;
    topic->kind = kind;
    topic->length = name.length;
    if (name.length > 0)
        memcpy(topic->name, name.at, name.length);
    list_init(&topic->subscriptions);
    if (!add_name(topics, topic)) {
        free(topic);
        return NULL;
    }
    topic->state = TOPICS_STATE_SILENT;
    list_push_back(&topics->states[TOPICS_STATE_SILENT], &topic->link);
    return topic;
}

static void destroy(struct topics *topics, struct topics_topic *topic)
{
    list_remove(&topics->states[topic->state], &topic->link);
    remove_name(topics, topic);
    bytes_free(&topic->refusal);
    free(topic);
}

void topics_names_review(struct topics *topics, struct topics_topic *topic)
{
    bool is_wanted = topic->subscriptions.length > 0 || topic->wishes > 0;

    if (is_wanted && topic->state == TOPICS_STATE_UNWANTED)
        topics_names_move(topics, topic, TOPICS_STATE_HEARD);
    else if (!is_wanted && topic->state == TOPICS_STATE_HEARD)
        topics_names_move(topics, topic, TOPICS_STATE_UNWANTED);
    else if (!is_wanted && topic->state == TOPICS_STATE_ABSENT)
        topics_names_move(topics, topic, TOPICS_STATE_SILENT);
    if (!is_wanted && topic->mentions == 0 && topic->state == TOPICS_STATE_SILENT)
        destroy(topics, topic);
}

struct topics_topic *topics_names_mention(struct topics *topics, enum heard_kind kind,
                                          struct slice name)
{
    struct topics_topic *topic = topics_names_find(topics, kind, name);

    if (topic == NULL)
        topic = create(topics, kind, name);
    if (topic != NULL)
        topic->mentions++;
    return topic;
}

void topics_names_unmention(struct topics *topics, struct topics_topic *topic)
{
    topic->mentions--;
    topics_names_review(topics, topic);
}

/* ---- subscriptions ----------------------------------------------------------------------- */

enum err topics_names_subscribe(struct topics *topics, struct topics_topic *topic,
                                struct topics_subscriber *subscriber)
{
    struct topics_subscription *subscription;

    if (topics_names_pair(topics, topic, subscriber) != NULL)
        return ERR_OK;
    subscription = calloc(1, sizeof(*subscription));
    if (subscription == NULL)
        return ERR_NO_MEMORY;
    subscription->pair.topic = topic;
    subscription->pair.subscriber = subscriber;
    if (!add_pair(topics, subscription)) {
        free(subscription);
        return ERR_NO_MEMORY;
    }
    if (!topics_is_subscribed(subscriber))
        list_push_back(&topics->members, &subscriber->member);
    list_push_back(&topic->subscriptions, &subscription->of_topic);
    list_push_back(&subscriber->subscriptions[topic->kind], &subscription->of_subscriber);
    return ERR_OK;
}

/* Whoever goes through those that hear the name goes on behind it. */
void topics_names_end(struct topics *topics, struct topics_subscription *subscription)
{
    struct topics_topic *topic = subscription->pair.topic;
    struct topics_subscriber *subscriber = subscription->pair.subscriber;

    if (topics->next == subscription)
        topics->next =
            TOPICS_NAMES_OF_TOPIC(list_after(&topic->subscriptions, &subscription->of_topic));
    list_remove(&topic->subscriptions, &subscription->of_topic);
    list_remove(&subscriber->subscriptions[topic->kind], &subscription->of_subscriber);
    remove_pair(topics, subscription);
    free(subscription);
    if (!topics_is_subscribed(subscriber))
        list_remove(&topics->members, &subscriber->member);
    topics_names_review(topics, topic);
}
