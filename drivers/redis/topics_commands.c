#include "drivers/redis/topics_commands.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/redis/resp.h"

const char *const topics_commands_prefixes[HEARD_KIND_COUNT] = {"", "p", "s"};

/* ---- the line ---------------------------------------------------------------------------- */

void topics_commands_put(struct list *line, struct topics_command *command)
{
    if (command->line != NULL)
        list_remove(command->line, &command->in_line);
    command->line = line;
    list_push_back(line, &command->in_line);
}

void topics_commands_move(struct list *from, struct list *to)
{
    struct topics_command *command;

    while ((command = TOPICS_COMMANDS_ITEM(list_front(from))) != NULL)
        topics_commands_put(to, command);
}

void topics_commands_drop(struct topics *topics, struct topics_command *command)
{
    for (size_t i = 0; i < command->count; i++) {
        command->topics[i]->wishes -= command->subscribes;
        topics_names_unmention(topics, command->topics[i]);
    }
    if (command->line != NULL) {
        list_remove(command->line, &command->in_line);
        list_remove(&command->subscriber->commands, &command->of_subscriber);
        command->subscriber->asking -= command->subscribes ? command->count : 0;
    }
    free(command);
}

enum err topics_commands_add(struct topics *topics, struct topics_command like,
                             const struct slice *names, size_t count, struct list *line)
{
    struct topics_command *command =
        calloc(1, sizeof(*command) + count * sizeof(struct topics_topic *));

    if (command == NULL)
        return ERR_NO_MEMORY;
    *command = like;
    for (; command->count < count; command->count++) {
        struct topics_topic *topic = topics_names_mention(topics, like.kind, names[command->count]);

        if (topic == NULL) {
            topics_commands_drop(topics, command);
            return ERR_NO_MEMORY;
        }
        command->topics[command->count] = topic;
        topic->wishes += like.subscribes;
        topics_names_review(topics, topic);
    }
    like.subscriber->asking += like.subscribes ? count : 0;
    list_push_back(&like.subscriber->commands, &command->of_subscriber);
    topics_commands_put(line, command);
    return ERR_OK;
}

/* ---- carrying out commands, as Redis does ------------------------------------------------ */

/* topic NULL: it was subscribed to nothing. */
static void reply(struct bytes *out, const struct topics_command *command,
                  const struct topics_topic *topic)
{
    const struct topics_subscriber *s = command->subscriber;
    const char *verb = command->subscribes ? "subscribe" : "unsubscribe";
    const char *prefix = topics_commands_prefixes[command->kind];
    unsigned protocol = s->is_resp3 ? 3 : 2;
    size_t count = command->kind == HEARD_SHARD ? s->subscriptions[HEARD_SHARD].length
                                                : s->subscriptions[HEARD_CHANNEL].length +
                                                      s->subscriptions[HEARD_PATTERN].length;

    resp_add_push(out, 3, protocol);
    resp_add_bulk_head(out, strlen(prefix) + strlen(verb));
    bytes_print(out, "%s%s\r\n", prefix, verb);
    if (topic != NULL)
        resp_add_bulk(out, (struct slice){topic->name, topic->length});
    else
        resp_add_null(out, protocol);
    resp_add_integer(out, (int64_t)count);
}

static void reply_refusal(struct bytes *out, const struct topics_topic *topic)
{
    const struct bytes *refusal = &topic->refusal;

    if (refusal->length == 0 || refusal->failed) {
        resp_add_error(out, err_resp_prefix(ERR_BACKEND_DOWN), err_text(ERR_BACKEND_DOWN));
        return;
    }
    bytes_add(out, refusal->at, refusal->length);
    bytes_add(out, "\r\n", 2);
}

static void subscribe(struct topics *topics, const struct topics_command *command,
                      struct bytes *out)
{
    for (size_t i = 0; i < command->count; i++)
        if (command->topics[i]->state != TOPICS_STATE_HEARD) {
            reply_refusal(out, command->topics[i]);
            return;
        }
    for (size_t i = 0; i < command->count; i++) {
        if (topics_names_subscribe(topics, command->topics[i], command->subscriber) != ERR_OK)
            out->failed = true;
        reply(out, command, command->topics[i]);
    }
}

static void unsubscribe_all(struct topics *topics, const struct topics_command *command,
                            struct bytes *out)
{
    struct list *all = &command->subscriber->subscriptions[command->kind];
    struct link *link;

    if (all->length == 0)
        reply(out, command, NULL);
    while ((link = list_front(all)) != NULL) {
        struct topics_subscription *subscription =
            CONTAINER_OF(link, struct topics_subscription, of_subscriber);
        struct topics_topic *topic = subscription->pair.topic;

        topic->mentions++; /* its name is needed */
        topics_names_end(topics, subscription);
        reply(out, command, topic);
        topics_names_unmention(topics, topic);
    }
}

static void unsubscribe(struct topics *topics, const struct topics_command *command,
                        struct bytes *out)
{
    for (size_t i = 0; i < command->count; i++) {
        struct topics_subscription *subscription =
            topics_names_pair(topics, command->topics[i], command->subscriber);

        if (subscription != NULL)
            topics_names_end(topics, subscription);
        reply(out, command, command->topics[i]);
    }
}

void topics_commands_execute(struct topics *topics, const struct topics_command *command,
                             struct bytes *out)
{
    if (command->error != NULL)
        resp_add_error(out, "ERR", command->error);
    else if (command->subscribes)
        subscribe(topics, command, out);
    else if (command->count == 0)
        unsubscribe_all(topics, command, out);
    else
        unsubscribe(topics, command, out);
}
