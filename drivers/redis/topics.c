#include "drivers/redis/topics.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/redis/topics_commands.h"

/* ---- what clients do --------------------------------------------------------------------- */

/* What it is told instead; NULL: nothing is against it. What it has already is not counted, what
 * it asks for twice is. */
static const char *find_objection(const struct topics *topics, struct topics_subscriber *subscriber,
                                  enum heard_kind kind, const struct slice *names, size_t count)
{
    size_t total = subscriber->asking, unknown = 0;

    for (unsigned i = 0; i < HEARD_KIND_COUNT; i++)
        total += subscriber->subscriptions[i].length;
    for (size_t i = 0; i < count; i++) {
        struct topics_topic *topic = topics_names_find(topics, kind, names[i]);

        if (names[i].length > topics->limits.longest_name)
            return "the name of the channel is too long";
        unknown += topic == NULL;
        total += topic == NULL || topics_names_pair(topics, topic, subscriber) == NULL;
    }
    if (total > topics->limits.most_names_each)
        return "too many subscriptions of one client";
    if (unknown > 0 && topics_count_names(topics) + unknown > topics->limits.most_names)
        return "too many channels are subscribed to";
    return NULL;
}

enum err topics_subscribe(struct topics *topics, struct topics_subscriber *subscriber,
                          enum heard_kind kind, const struct slice *names, size_t count)
{
    const char *error = find_objection(topics, subscriber, kind, names, count);
    bool at_once = error != NULL && subscriber->commands.length == 0;
    struct topics_command command = {
        .subscriber = subscriber, .kind = kind, .subscribes = true, .error = error};

    REQUIRE(count > 0);
    return topics_commands_add(topics, command, names, error != NULL ? 0 : count,
                               at_once ? &topics->told : &topics->waiting);
}

/* Who is subscribed to nothing misses nothing, and need not wait for Redis. */
enum err topics_unsubscribe(struct topics *topics, struct topics_subscriber *subscriber,
                            enum heard_kind kind, const struct slice *names, size_t count)
{
    bool at_once = !topics_is_subscribed(subscriber) && subscriber->commands.length == 0;

    return topics_commands_add(topics,
                               (struct topics_command){.subscriber = subscriber, .kind = kind},
                               names, count, at_once ? &topics->told : &topics->waiting);
}

bool topics_is_subscribed(const struct topics_subscriber *subscriber)
{
    for (unsigned i = 0; i < HEARD_KIND_COUNT; i++)
        if (subscriber->subscriptions[i].length > 0)
            return true;
    return false;
}

bool topics_is_owed(const struct topics_subscriber *subscriber)
{
    return subscriber->commands.length > 0;
}

void topics_join(struct topics_subscriber *subscriber)
{
    *subscriber = (struct topics_subscriber){.is_resp3 = false};
    for (unsigned i = 0; i < HEARD_KIND_COUNT; i++)
        list_init(&subscriber->subscriptions[i]);
    list_init(&subscriber->commands);
}

void topics_leave(struct topics *topics, struct topics_subscriber *subscriber)
{
    struct link *link;

    while ((link = list_front(&subscriber->commands)) != NULL)
        topics_commands_drop(topics, CONTAINER_OF(link, struct topics_command, of_subscriber));
    for (unsigned i = 0; i < HEARD_KIND_COUNT; i++)
        while ((link = list_front(&subscriber->subscriptions[i])) != NULL)
            topics_names_end(topics, CONTAINER_OF(link, struct topics_subscription, of_subscriber));
    if (link_is_linked(&subscriber->missed))
        list_remove(&topics->missed, &subscriber->missed);
    subscriber->has_missed = false;
}

/* ---- who has missed something ------------------------------------------------------------ */

static void miss(struct topics *topics, struct topics_subscriber *subscriber, enum topics_miss why)
{
    if (subscriber->has_missed)
        return;
    subscriber->has_missed = true;
    subscriber->why = why;
    list_push_back(&topics->missed, &subscriber->missed);
}

static void miss_all(struct topics *topics, const struct topics_topic *topic, enum topics_miss why)
{
    struct link *link = topic != NULL ? list_front(&topic->subscriptions) : NULL;

    for (; link != NULL; link = list_after(&topic->subscriptions, link))
        miss(topics, TOPICS_NAMES_OF_TOPIC(link)->pair.subscriber, why);
}

struct topics_subscriber *topics_next_missed(struct topics *topics, enum topics_miss *why)
{
    struct topics_subscriber *subscriber =
        LIST_FRONT(&topics->missed, struct topics_subscriber, missed);

    if (subscriber != NULL) {
        list_remove(&topics->missed, &subscriber->missed);
        *why = subscriber->why;
    }
    return subscriber;
}

struct topics_subscriber *topics_next_told(struct topics *topics, struct bytes *out)
{
    struct topics_command *command;

    REQUIRE(topics->next == NULL); /* who is subscribed now must not hear what came before */
    while ((command = TOPICS_COMMANDS_ITEM(list_front(&topics->told))) != NULL) {
        struct topics_subscriber *subscriber = command->subscriber;

        bytes_clear(out);
        if (!subscriber->has_missed)
            topics_commands_execute(topics, command, out);
        topics_commands_drop(topics, command);
        if (!subscriber->has_missed)
            return subscriber;
    }
    return NULL;
}

/* ---- the link ---------------------------------------------------------------------------- */

static struct topics_topic *front(const struct topics *topics, enum topics_state state)
{
    return TOPICS_NAMES_TOPIC(list_front(&topics->states[state]));
}

static void become(struct topics *topics, enum topics_link link, uint64_t now)
{
    topics->link = link;
    topics->since = now;
}

static void settle(struct topics *topics, struct topics_topic *topic, enum topics_state state)
{
    topics_names_move(topics, topic, state);
    topics_names_review(topics, topic);
}

/* Each name in a command of its own: an error is about it alone. */
static void ask_for(struct bytes *out, const char *verb, const struct topics_topic *topic)
{
    const char *prefix = topics_commands_prefixes[topic->kind];

    resp_add_array(out, 2);
    resp_add_bulk_head(out, strlen(prefix) + strlen(verb));
    bytes_print(out, "%s%s\r\n", prefix, verb);
    resp_add_bulk(out, (struct slice){topic->name, topic->length});
}

static void wish_again(struct topics *topics, const struct topics_command *command)
{
    for (size_t i = 0; command->subscribes && i < command->count; i++)
        if (command->topics[i]->state == TOPICS_STATE_SILENT)
            topics_names_move(topics, command->topics[i], TOPICS_STATE_ABSENT);
}

static enum topics_order ask(struct topics *topics, uint64_t now, struct bytes *out)
{
    struct topics_topic *topic;
    struct topics_command *command;

    bytes_clear(out);
    while ((topic = front(topics, TOPICS_STATE_UNWANTED)) != NULL) {
        ask_for(out, "unsubscribe", topic);
        topics_names_move(topics, topic, TOPICS_STATE_LEAVING);
    }
    while ((command = TOPICS_COMMANDS_ITEM(list_front(&topics->waiting))) != NULL) {
        wish_again(topics, command);
        topics_commands_put(&topics->asked, command);
    }
    while ((topic = front(topics, TOPICS_STATE_ABSENT)) != NULL) {
        ask_for(out, "subscribe", topic);
        bytes_free(&topic->refusal);
        topics_names_move(topics, topic, TOPICS_STATE_ASKED);
    }
    topics->ping = out->length == 0;
    if (topics->ping)
        bytes_print(out, "*1\r\n$4\r\nping\r\n");
    become(topics, TOPICS_ASKING, now);
    return TOPICS_ASK;
}

void topics_opened(struct topics *topics, uint64_t now)
{
    become(topics, TOPICS_READY, now);
}

/* Redis has ended it by itself, as it does when a slot moves to another node, and tells each. */
static void end_by_itself(struct topics *topics, struct topics_topic *topic)
{
    struct topics_command command = {.kind = topic->kind};
    struct slice name = {topic->name, topic->length};
    struct link *link = list_front(&topic->subscriptions);

    bytes_clear(&topic->refusal);
    bytes_print(&topic->refusal, "-ERR Redis has ended the subscription");
    for (; link != NULL; link = list_after(&topic->subscriptions, link)) {
        command.subscriber = TOPICS_NAMES_OF_TOPIC(link)->pair.subscriber;
        if (topics_commands_add(topics, command, &name, 1, &topics->told) != ERR_OK)
            miss(topics, command.subscriber, TOPICS_NO_MEMORY);
    }
    settle(topics, topic, TOPICS_STATE_SILENT);
}

static bool is_about(const struct topics_topic *topic, const struct heard *heard)
{
    return topic != NULL && topic->kind == heard->kind && topic->length == heard->name.length &&
           memcmp(topic->name, heard->name.at, topic->length) == 0;
}

static bool take_unsubscribed(struct topics *topics, const struct heard *heard)
{
    struct topics_topic *topic = front(topics, TOPICS_STATE_LEAVING);

    if (is_about(topic, heard)) {
        settle(topics, topic, TOPICS_STATE_SILENT);
        return true;
    }
    topic = topics_names_find(topics, heard->kind, heard->name);
    if (topic != NULL &&
        (topic->state == TOPICS_STATE_HEARD || topic->state == TOPICS_STATE_UNWANTED))
        end_by_itself(topics, topic);
    return true;
}

static bool take_subscribed(struct topics *topics, const struct heard *heard)
{
    struct topics_topic *topic = front(topics, TOPICS_STATE_ASKED);

    if (front(topics, TOPICS_STATE_LEAVING) != NULL || !is_about(topic, heard))
        return false;
    settle(topics, topic, TOPICS_STATE_HEARD);
    return true;
}

/* It answers what was asked first. What Redis will not stop to say is not heard any more. */
static bool take_error(struct topics *topics, struct slice error)
{
    struct topics_topic *leaving = front(topics, TOPICS_STATE_LEAVING);
    struct topics_topic *asked = front(topics, TOPICS_STATE_ASKED);
    bool was_owed = leaving != NULL || asked != NULL || topics->ping;

    topics->ping = false;
    if (leaving != NULL) {
        settle(topics, leaving, TOPICS_STATE_SILENT);
    } else if (asked != NULL) {
        bytes_add(&asked->refusal, error.at, error.length);
        miss_all(topics, asked, TOPICS_REFUSED);
        settle(topics, asked, TOPICS_STATE_SILENT);
    }
    return was_owed;
}

static bool take_answer(struct topics *topics, const struct heard *heard)
{
    bool was_owed = topics->ping;

    switch (heard->what) {
    case HEARD_SUBSCRIBED:
        return take_subscribed(topics, heard);
    case HEARD_UNSUBSCRIBED:
        return take_unsubscribed(topics, heard);
    case HEARD_ERROR:
        return take_error(topics, heard->error);
    case HEARD_PONG:
        topics->ping = false;
        return was_owed;
    case HEARD_MESSAGE:
        break;
    }
    return false;
}

static void review_batch(struct topics *topics, uint64_t now)
{
    if (topics->link != TOPICS_ASKING || topics->ping ||
        front(topics, TOPICS_STATE_LEAVING) != NULL || front(topics, TOPICS_STATE_ASKED) != NULL)
        return;
    become(topics, TOPICS_READY, now);
    topics->failures = 0;
    topics_commands_move(&topics->asked, &topics->told);
}

/* A message nobody wants any more goes to nobody. */
static void publish(struct topics *topics, const struct heard *heard)
{
    struct topics_topic *topic = topics_names_find(topics, heard->kind, heard->name);

    topics->next = topic != NULL ? TOPICS_NAMES_OF_TOPIC(list_front(&topic->subscriptions)) : NULL;
}

/* False: that is not what Redis says. */
static bool take(struct topics *topics, enum gather_found found, const struct heard *heard,
                 uint64_t now)
{
    bool is_message = heard->is_named && heard->what == HEARD_MESSAGE;

    if (found == GATHER_PASSED && is_message)
        miss_all(topics, topics_names_find(topics, heard->kind, heard->name), TOPICS_TOO_LONG);
    else if (found == GATHER_WHOLE && is_message)
        publish(topics, heard);
    else if (found != GATHER_WHOLE || !take_answer(topics, heard))
        return false;
    review_batch(topics, now);
    return true;
}

enum topics_found topics_read(struct topics *topics, struct slice in, size_t *used, uint64_t now)
{
    REQUIRE(topics->link == TOPICS_READY || topics->link == TOPICS_ASKING);
    REQUIRE(topics->next == NULL); /* the message before has gone to all who hear it */
    *used = 0;
    in.at = in.length > 0 ? in.at : (const uint8_t *)"";
    while (topics->told.length == 0 && topics->missed.length == 0) {
        struct heard heard;
        size_t step;
        enum gather_found found = gather_read(
            &topics->gather, &heard, (struct slice){in.at + *used, in.length - *used}, &step);

        *used += step;
        if (found == GATHER_MORE)
            return TOPICS_MORE;
        if (found == GATHER_BROKEN || !take(topics, found, &heard, now))
            return TOPICS_BROKEN;
        if (topics->next != NULL)
            return TOPICS_HEARD;
    }
    return TOPICS_PUMP;
}

/* All is asked for again on the next; the commands keep their order. */
void topics_lost(struct topics *topics, uint64_t now)
{
    bool worked = topics->failures == 0 && topics->link != TOPICS_OPENING;
    struct link *link = list_front(&topics->members);

    become(topics, TOPICS_CLOSED, now);
    topics->failures++;
    topics->retry_at = worked ? now : now + topics->limits.retry_ms;
    topics->ping = false;
    topics->next = NULL;
    gather_reset(&topics->gather);
    for (; link != NULL && !topics->limits.keep_after_loss;
         link = list_after(&topics->members, link))
        miss(topics, CONTAINER_OF(link, struct topics_subscriber, member), TOPICS_LINK_LOST);
    for (unsigned i = TOPICS_STATE_ASKED; i < TOPICS_STATE_COUNT; i++) {
        struct topics_topic *topic;

        while ((topic = front(topics, (enum topics_state)i)) != NULL)
            settle(topics, topic,
                   topic->subscriptions.length > 0 ? TOPICS_STATE_ABSENT : TOPICS_STATE_SILENT);
    }
    topics_commands_move(&topics->asked, &topics->told);
    topics_commands_move(&topics->waiting, &topics->told);
    if (worked)
        topics_commands_move(&topics->told, &topics->waiting);
}

/* ---- orders ------------------------------------------------------------------------------ */

static bool is_over(const struct topics *topics, uint64_t limit, uint64_t now)
{
    return limit > 0 && now >= topics->since + limit;
}

static bool needs_link(const struct topics *topics)
{
    struct link *link = list_front(&topics->waiting);

    if (topics->states[TOPICS_STATE_ABSENT].length > 0)
        return true;
    for (; link != NULL; link = list_after(&topics->waiting, link))
        if (TOPICS_COMMANDS_ITEM(link)->count > 0 && TOPICS_COMMANDS_ITEM(link)->subscribes)
            return true;
    return false;
}

/* Who comes now does not wait for the next attempt; nor does who needs no link. */
static enum topics_order order_closed(struct topics *topics, uint64_t now)
{
    if (!needs_link(topics) || topics->retry_at > now) {
        topics_commands_move(&topics->waiting, &topics->told);
        return TOPICS_NOTHING;
    }
    become(topics, TOPICS_OPENING, now);
    return TOPICS_OPEN;
}

static enum topics_order order_ready(struct topics *topics, uint64_t now, struct bytes *out)
{
    bool is_idle = topics->members.length == 0;

    if (topics->waiting.length > 0 || front(topics, TOPICS_STATE_ABSENT) != NULL ||
        front(topics, TOPICS_STATE_UNWANTED) != NULL)
        return ask(topics, now, out);
    if (!is_idle && is_over(topics, topics->limits.quiet_ms, now))
        return ask(topics, now, out);
    if (!is_idle || !is_over(topics, topics->limits.idle_ms, now))
        return TOPICS_NOTHING;
    become(topics, TOPICS_CLOSED, now);
    gather_reset(&topics->gather);
    return TOPICS_CLOSE;
}

enum topics_order topics_next_order(struct topics *topics, uint64_t now, struct bytes *out)
{
    if (topics->told.length > 0 || topics->missed.length > 0)
        return TOPICS_NOTHING; /* that comes first, and may change what is needed */
    if (topics->link == TOPICS_CLOSED)
        return order_closed(topics, now);
    if (topics->link == TOPICS_READY)
        return order_ready(topics, now, out);
    if (!is_over(topics, topics->limits.answer_ms, now))
        return TOPICS_NOTHING;
    topics_lost(topics, now);
    return TOPICS_GIVE_UP;
}

static uint64_t after(const struct topics *topics, uint64_t limit)
{
    return limit > 0 ? topics->since + limit : UINT64_MAX;
}

uint64_t topics_deadline(const struct topics *topics)
{
    switch (topics->link) {
    case TOPICS_CLOSED:
        return front(topics, TOPICS_STATE_ABSENT) != NULL ? topics->retry_at : UINT64_MAX;
    case TOPICS_READY:
        return after(topics,
                     topics->members.length > 0 ? topics->limits.quiet_ms : topics->limits.idle_ms);
    case TOPICS_OPENING:
    case TOPICS_ASKING:
        break;
    }
    return after(topics, topics->limits.answer_ms);
}

/* ---- who hears what ---------------------------------------------------------------------- */

struct topics_subscriber *topics_next_hearer(struct topics *topics, struct slice *bytes)
{
    struct topics_subscription *subscription;

    while ((subscription = topics->next) != NULL) {
        struct topics_subscriber *subscriber = subscription->pair.subscriber;

        topics->next = TOPICS_NAMES_OF_TOPIC(
            list_after(&subscription->pair.topic->subscriptions, &subscription->of_topic));
        if (subscriber->has_missed) /* there would be a gap before it */
            continue;
        if (gather_form(&topics->gather, subscriber->is_resp3, bytes))
            return subscriber;
        miss(topics, subscriber, TOPICS_NO_MEMORY);
    }
    return NULL;
}

struct gather_message *topics_keep(struct topics *topics,
                                   const struct topics_subscriber *subscriber)
{
    return gather_keep(&topics->gather, subscriber->is_resp3);
}

/* ---- the whole --------------------------------------------------------------------------- */

size_t topics_count_names(const struct topics *topics)
{
    size_t count = 0;

    for (unsigned i = 0; i < TOPICS_STATE_COUNT; i++)
        count += topics->states[i].length;
    return count;
}

size_t topics_count_subscriptions(const struct topics *topics)
{
    return HASH_COUNT(topics->pairs);
}

void topics_init(struct topics *topics, const struct topics_limits *limits)
{
    *topics = (struct topics){.limits = *limits};
    gather_init(&topics->gather, limits->longest_message);
    for (size_t i = 0; i < TOPICS_STATE_COUNT; i++)
        list_init(&topics->states[i]);
    list_init(&topics->waiting);
    list_init(&topics->asked);
    list_init(&topics->told);
    list_init(&topics->members);
    list_init(&topics->missed);
}

void topics_fini(struct topics *topics)
{
    REQUIRE(topics->members.length == 0 && topics->missed.length == 0);
    REQUIRE(topics->waiting.length + topics->asked.length + topics->told.length == 0);
    if (topics->link != TOPICS_CLOSED)
        topics_lost(topics, topics->since); /* no name is kept but for Redis */
    REQUIRE(topics_count_names(topics) == 0);
    gather_reset(&topics->gather);
}
