/*
 * tests/fuzz/topics_model.h - the Redis of fuzz_topics.c, and what its clients remember.
 *
 *      model_publishes(&redis, how, seq);       said to the link, if it is subscribed
 *      model_reads(&redis);                     one command of the link, and answers it
 *
 * What it says stands in out: up to shown it has been shown to the link, up to read it was used.
 */
#ifndef TESTS_FUZZ_TOPICS_MODEL_H
#define TESTS_FUZZ_TOPICS_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "choices.h"
#include "drivers/redis/topics.h"
#include "fuzz.h"

enum {
    CLIENTS = 4,
    NAMES = 4,
    NOTHING = NAMES, /* no name */
    MOST_WORDS = 3,  /* of a command */
    MOST_ASKED = 16, /* of a client, not answered */
    MOST_SAID = 256,
    KEPT = 4,
    LONGEST_MESSAGE = 12000,
};

/* ---- what clients remember --------------------------------------------------------------- */

/* In the order they were subscribed. */
struct names {
    unsigned at[NAMES];
    size_t count;
};

struct asked {
    enum heard_kind kind;
    bool subscribes;
    unsigned names[MOST_WORDS];
    unsigned count;
    unsigned seq; /* of what was published last */
};

struct client {
    struct topics_subscriber subscriber;
    struct names told[HEARD_KIND_COUNT];
    struct asked asked[MOST_ASKED]; /* a ring */
    unsigned first, count;
    unsigned ended; /* the channel of which Redis has said so by itself */
};

/* A message, or (ends) the end of a subscription by itself. */
struct said {
    enum heard_kind kind;
    unsigned name, seq;
    bool ends, is_too_long;
    size_t end; /* in out */
    size_t padding;
};

struct model {
    struct bytes in, out;
    size_t shown, read;
    unsigned subscribed[HEARD_KIND_COUNT], refuses[HEARD_KIND_COUNT]; /* a bit for each name */
    struct said said[MOST_SAID];
    size_t said_count, said_read;
};

/* By one who could not take it at once. */
struct kept {
    struct gather_message *message;
    struct said said;
    bool is_resp3;
};

struct world {
    struct kept kept[KEPT];
    struct topics topics;
    struct client clients[CLIENTS];
    struct model redis;
    struct choices choices;
    struct bytes out;
    uint64_t now;
    unsigned seq;
    bool keeps;
};

static struct client *client_of(struct topics_subscriber *subscriber)
{
    return CONTAINER_OF(subscriber, struct client, subscriber);
}

static bool client_is_subscribed(const struct client *client)
{
    return client->told[0].count + client->told[1].count + client->told[2].count > 0;
}

static unsigned names_mask(const struct names *names)
{
    unsigned mask = 0;

    for (size_t i = 0; i < names->count; i++)
        mask |= 1u << names->at[i];
    return mask;
}

static bool names_has(const struct names *names, unsigned name)
{
    return (names_mask(names) & 1u << name) != 0;
}

static void names_add(struct names *names, unsigned name)
{
    if (!names_has(names, name))
        names->at[names->count++] = name;
}

static void names_remove(struct names *names, unsigned name)
{
    size_t kept = 0;

    for (size_t i = 0; i < names->count; i++)
        if (names->at[i] != name)
            names->at[kept++] = names->at[i];
    names->count = kept;
}

/* ---- Redis ------------------------------------------------------------------------------- */

/* The last is a pattern of all, if it is one. */
static struct slice model_name(unsigned name)
{
    static const char *const names[NAMES] = {"a", "", "b\r\n", "*"};

    return (struct slice){(const uint8_t *)names[name], strlen(names[name])};
}

static void model_bulk(struct bytes *out, struct slice text)
{
    bytes_print(out, "$%zu\r\n", text.length);
    bytes_add(out, text.at, text.length);
    bytes_add(out, "\r\n", 2);
}

static void model_reply(struct bytes *out, bool subscribed, enum heard_kind kind, unsigned name,
                        size_t count)
{
    static const char *const words[2][HEARD_KIND_COUNT] = {
        {"unsubscribe", "punsubscribe", "sunsubscribe"}, {"subscribe", "psubscribe", "ssubscribe"}};
    const char *word = words[subscribed][kind];

    bytes_print(out, "*3\r\n$%zu\r\n%s\r\n", strlen(word), word);
    if (name == NOTHING)
        bytes_print(out, "$-1\r\n");
    else
        model_bulk(out, model_name(name));
    bytes_print(out, ":%zu\r\n", count);
}

/* The link is lost, or closed. */
static void model_forget(struct model *m)
{
    bytes_clear(&m->in);
    bytes_clear(&m->out);
    m->shown = m->read = m->said_count = m->said_read = 0;
    memset(m->subscribed, 0, sizeof(m->subscribed));
}

static bool model_is_known(const struct model *m, enum heard_kind kind, unsigned name)
{
    return (m->subscribed[kind] & 1u << name) != 0;
}

static unsigned model_name_of(const uint8_t *at, size_t length)
{
    for (unsigned name = 0; name < NAMES; name++)
        if (model_name(name).length == length && memcmp(model_name(name).at, at, length) == 0)
            return name;
    abort();
}

static void model_carries_out(struct model *m, const char *word, unsigned name)
{
    enum heard_kind kind = word[0] == 'p'                  ? HEARD_PATTERN
                           : strncmp(word, "subs", 4) == 0 ? HEARD_CHANNEL
                           : word[0] == 's'                ? HEARD_SHARD
                                                           : HEARD_CHANNEL;
    bool subscribes = strstr(word, "unsub") == NULL;

    if (subscribes && (m->refuses[kind] & 1u << name) != 0) {
        bytes_print(&m->out, "-NOPERM %c%.*s\r\n", "cps"[kind],
                    (int)strcspn((const char *)model_name(name).at, "\r"), model_name(name).at);
        return;
    }
    if (subscribes)
        m->subscribed[kind] |= 1u << name;
    else
        m->subscribed[kind] &= ~(1u << name);
    model_reply(&m->out, subscribes, kind, name, 1);
}

/* One command, if it is there: "*2\r\n$9\r\nsubscribe\r\n$1\r\na\r\n", or ping. */
static void model_reads(struct model *m)
{
    char word[20] = "";
    size_t at = strlen("*2\r\n"), length;

    if (m->in.length == 0)
        return;
    length = strtoul((const char *)m->in.at + at + 1, NULL, 10);
    at = (size_t)((uint8_t *)memchr(m->in.at + at, '\n', m->in.length - at) - m->in.at) + 1;
    memcpy(word, m->in.at + at, length);
    at += length + 2;
    if (strcmp(word, "ping") == 0) {
        bytes_print(&m->out, "%s",
                    m->subscribed[0] ? "*2\r\n$4\r\npong\r\n$0\r\n\r\n" : "+PONG\r\n");
    } else {
        length = strtoul((const char *)m->in.at + at + 1, NULL, 10);
        at = (size_t)((uint8_t *)memchr(m->in.at + at, '\n', m->in.length - at) - m->in.at) + 1;
        model_carries_out(m, word, model_name_of(m->in.at + at, length));
        at += length + 2;
    }
    bytes_drop(&m->in, at);
}

static struct said *model_new_said(struct model *m, enum heard_kind kind, unsigned name)
{
    REQUIRE(m->said_count < MOST_SAID);
    m->said[m->said_count] = (struct said){.kind = kind, .name = name};
    return &m->said[m->said_count++];
}

static void model_says(struct model *m, enum heard_kind kind, unsigned name, unsigned channel,
                       struct said how)
{
    static const char *const words[] = {"*3\r\n$7\r\nmessage\r\n", "*4\r\n$8\r\npmessage\r\n",
                                        "*3\r\n$8\r\nsmessage\r\n"};
    size_t begin = m->out.length;
    struct said *said;
    uint8_t *room;

    if (!model_is_known(m, kind, name) || m->said_count == MOST_SAID)
        return;
    said = model_new_said(m, kind, name);
    said->seq = how.seq;
    bytes_print(&m->out, "%s", words[kind]);
    model_bulk(&m->out, model_name(name));
    if (kind == HEARD_PATTERN)
        model_bulk(&m->out, model_name(channel));
    bytes_print(&m->out, "$%zu\r\n%010u", how.padding + 10, how.seq);
    room = bytes_extend(&m->out, how.padding);
    REQUIRE(room != NULL);
    memset(room, 'x', how.padding);
    bytes_print(&m->out, "\r\n");
    said->end = m->out.length;
    said->is_too_long = m->out.length - begin > LONGEST_MESSAGE;
}

static void model_publishes(struct model *m, unsigned how, unsigned seq)
{
    static const size_t paddings[8] = {0, 5, 1, 100, 9000, 0, LONGEST_MESSAGE - 60, 20000};
    struct said said = {.seq = seq, .padding = paddings[how / 32]};
    unsigned name = how % NAMES;

    if (how & 16) {
        model_says(m, HEARD_SHARD, name, name, said);
        return;
    }
    model_says(m, HEARD_CHANNEL, name, name, said);
    model_says(m, HEARD_PATTERN, name, name, said);
    if (name != NAMES - 1)
        model_says(m, HEARD_PATTERN, NAMES - 1, name, said);
}

/* As when a slot moves to another node. */
static void model_ends_shard(struct model *m, unsigned name)
{
    struct said *said;

    if (!model_is_known(m, HEARD_SHARD, name) || m->said_count == MOST_SAID)
        return;
    m->subscribed[HEARD_SHARD] &= ~(1u << name);
    said = model_new_said(m, HEARD_SHARD, name);
    said->ends = true;
    model_reply(&m->out, false, HEARD_SHARD, name, 0);
    said->end = m->out.length;
}

/* ---- what was read of what it said ------------------------------------------------------- */

static bool model_is_next_read(const struct model *m)
{
    return m->said_read < m->said_count && m->said[m->said_read].end <= m->read;
}

static const struct said *model_next_read(struct model *m)
{
    return model_is_next_read(m) ? &m->said[m->said_read++] : NULL;
}

static void model_tidy(struct model *m)
{
    if (m->read < m->out.length)
        return;
    bytes_clear(&m->out);
    m->shown = m->read = m->said_count = m->said_read = 0;
}

static bool model_has_unread_before(const struct model *m, unsigned seq)
{
    return m->said_read < m->said_count && !m->said[m->said_read].ends &&
           m->said[m->said_read].seq <= seq;
}

static void model_check_message(const struct said *said, struct slice bytes)
{
    char seq[11];

    snprintf(seq, sizeof(seq), "%010u", said->seq);
    REQUIRE(bytes.length > 30);
    REQUIRE(memmem(bytes.at, bytes.length, seq, 10) != NULL);
    REQUIRE(memcmp(bytes.at + bytes.length - 2, "\r\n", 2) == 0);
}

#endif
