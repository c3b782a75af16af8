/*
 * drivers/redis/topics_commands.h - the commands of topics.h that are not answered yet, and how
 * each is carried out when its turn has come.
 *
 *      e = topics_commands_add(topics, like, names, count, &topics->waiting);
 *      topics_commands_move(&topics->waiting, &topics->asked);
 *      topics_commands_execute(topics, command, &out);          appends the replies
 *      topics_commands_drop(topics, command);
 *
 * A command is in one line at a time, and in its client's list; it keeps the names it has. Part of
 * topics.c; nobody else needs it.
 *
 * Source: Redis 7.0, src/pubsub.c.
 */
#ifndef DRIVERS_REDIS_TOPICS_COMMANDS_H
#define DRIVERS_REDIS_TOPICS_COMMANDS_H

#include "drivers/redis/topics_names.h"

struct topics_command {
    struct link in_line, of_subscriber;
    struct list *line;
    struct topics_subscriber *subscriber;
    enum heard_kind kind;
    bool subscribes;
    const char *error; /* is all it is answered; NULL: it is carried out */
    size_t count;      /* of topics; of an UNSUBSCRIBE 0: all */
    struct topics_topic *topics[];
};

#define TOPICS_COMMANDS_ITEM(l) LIST_ITEM(l, struct topics_command, in_line)

/* like: what it is to be, but for the names. */
enum err topics_commands_add(struct topics *topics, struct topics_command like,
                             const struct slice *names, size_t count, struct list *line) MUST_CHECK;
void topics_commands_drop(struct topics *topics, struct topics_command *command);

/* To the back of another line; all of them, in their order. */
void topics_commands_put(struct list *line, struct topics_command *command);
void topics_commands_move(struct list *from, struct list *to);

/* Redis has been asked for all that it needs. */
void topics_commands_execute(struct topics *topics, const struct topics_command *command,
                             struct bytes *out);

extern const char *const topics_commands_prefixes[HEARD_KIND_COUNT];

#endif
