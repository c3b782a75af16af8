/*
 * Clients in any order of events, beside a Redis that keeps its own account of what it was asked:
 * it reads when it likes, refuses some names, and its link may be lost at any time. Each client
 * knows what it has been told, byte by byte, and hears exactly what it is subscribed to by that.
 */
#include "topics_model.h"

/* ---- clients ----------------------------------------------------------------------------- */

static void client_is_new(struct world *w, struct client *client)
{
    bool is_resp3 = choose(&w->choices) % 2 == 1;

    topics_leave(&w->topics, &client->subscriber);
    topics_join(&client->subscriber);
    client->subscriber.is_resp3 = is_resp3;
    for (unsigned kind = 0; kind < HEARD_KIND_COUNT; kind++)
        client->told[kind].count = 0;
    client->first = client->count = 0;
    client->ended = NOTHING;
}

static void client_asks(struct world *w, struct client *client, unsigned how)
{
    struct asked asked = {.kind = how % HEARD_KIND_COUNT, .subscribes = how & 64, .seq = w->seq};
    struct slice slices[MOST_WORDS];
    enum err e;

    if (client->count == MOST_ASKED)
        return;
    asked.count = choose(&w->choices) % (MOST_WORDS + 1);
    if (asked.subscribes && asked.count == 0)
        asked.count = 1;
    for (unsigned i = 0; i < asked.count; i++) {
        asked.names[i] = choose(&w->choices) % NAMES;
        slices[i] = model_name(asked.names[i]);
    }
    client->asked[(client->first + client->count++) % MOST_ASKED] = asked;
    e = asked.subscribes
            ? topics_subscribe(&w->topics, &client->subscriber, asked.kind, slices, asked.count)
            : topics_unsubscribe(&w->topics, &client->subscriber, asked.kind, slices, asked.count);
    REQUIRE(e == ERR_OK);
}

/* ---- what a client is told --------------------------------------------------------------- */

static void expect(struct bytes *expected, const struct client *client, bool subscribed,
                   enum heard_kind kind, unsigned name)
{
    size_t count = kind == HEARD_SHARD
                       ? client->told[HEARD_SHARD].count
                       : client->told[HEARD_CHANNEL].count + client->told[HEARD_PATTERN].count;
    size_t before = expected->length;

    model_reply(expected, subscribed, kind, name, count);
    if (!client->subscriber.is_resp3)
        return;
    expected->at[before] = '>';
    if (name == NOTHING) { /* "$-1\r\n:0\r\n" */
        expected->length -= strlen("$-1\r\n") + strlen(":0\r\n") + (count > 9);
        bytes_print(expected, "_\r\n:%zu\r\n", count);
    }
}

static bool is_error_about(const struct asked *asked, const struct bytes *said)
{
    char text[100] = "";

    memcpy(text, said->at, said->length < 99 ? said->length : 99);
    REQUIRE(strchr(text, '\n') == text + said->length - 1); /* one line and no more */
    if (strncmp(text, "-NOPERM ", 8) != 0)
        return strncmp(text, "-ERR too many", 13) == 0 ||
               strncmp(text, "-ERR the server", 15) == 0 ||
               (asked->kind == HEARD_SHARD && strncmp(text, "-ERR Redis has ended", 20) == 0);
    for (unsigned i = 0; i < asked->count; i++)
        if (text[8] == "cps"[asked->kind] &&
            strncmp(text + 9, (const char *)model_name(asked->names[i]).at,
                    model_name(asked->names[i]).length) == 0)
            return true;
    return false;
}

static void expect_all(struct bytes *expected, struct client *client, const struct asked *asked)
{
    struct names *told = &client->told[asked->kind];

    if (asked->count == 0 && told->count == 0)
        expect(expected, client, false, asked->kind, NOTHING);
    while (asked->count == 0 && told->count > 0) {
        unsigned name = told->at[0];

        names_remove(told, name);
        expect(expected, client, false, asked->kind, name);
    }
    for (unsigned i = 0; i < asked->count; i++) {
        if (asked->subscribes)
            names_add(told, asked->names[i]);
        else
            names_remove(told, asked->names[i]);
        expect(expected, client, asked->subscribes, asked->kind, asked->names[i]);
    }
}

static void is_told(struct world *w, struct client *client)
{
    struct bytes expected = {0};
    bool was_subscribed = client_is_subscribed(client);

    REQUIRE(!w->out.failed && w->out.length > 0);
    if (client->ended != NOTHING) {
        names_remove(&client->told[HEARD_SHARD], client->ended);
        expect(&expected, client, false, HEARD_SHARD, client->ended);
        client->ended = NOTHING;
    } else {
        struct asked asked = client->asked[client->first];

        REQUIRE(client->count > 0);
        client->first = (client->first + 1) % MOST_ASKED;
        client->count--;
        if (w->out.at[0] == '-') {
            REQUIRE(asked.subscribes && is_error_about(&asked, &w->out));
            bytes_free(&expected);
            return;
        }
        expect_all(&expected, client, &asked);
        /* What was published before it asked has come, if it hears at all. */
        REQUIRE((!was_subscribed && !client_is_subscribed(client)) ||
                !model_has_unread_before(&w->redis, asked.seq));
    }
    REQUIRE(expected.length == w->out.length);
    REQUIRE(memcmp(expected.at, w->out.at, expected.length) == 0);
    bytes_free(&expected);
}

static void pump(struct world *w)
{
    struct topics_subscriber *subscriber;
    enum topics_order order;
    enum topics_miss why;

    do {
        while ((subscriber = topics_next_missed(&w->topics, &why)) != NULL) {
            REQUIRE(why != TOPICS_NO_MEMORY && (why != TOPICS_LINK_LOST || !w->keeps));
            REQUIRE(client_is_subscribed(client_of(subscriber)));
            client_is_new(w, client_of(subscriber));
        }
        while ((subscriber = topics_next_told(&w->topics, &w->out)) != NULL)
            is_told(w, client_of(subscriber));
        order = topics_next_order(&w->topics, w->now, &w->out);
        if (order == TOPICS_ASK)
            bytes_add(&w->redis.in, w->out.at, w->out.length);
        else if (order != TOPICS_NOTHING)
            model_forget(&w->redis);
    } while (order != TOPICS_NOTHING || w->topics.told.length + w->topics.missed.length > 0);
}

/* ---- what clients hear ------------------------------------------------------------------- */

static void check_kept(struct kept *kept)
{
    struct gather_message *message = kept->message;

    if (message == NULL)
        return;
    model_check_message(&kept->said, (struct slice){message->bytes, message->length});
    REQUIRE(message->bytes[0] == (kept->is_resp3 ? '>' : '*'));
    gather_release(message);
    kept->message = NULL;
}

static void keep(struct world *w, const struct said *said, const struct client *client)
{
    struct kept *kept = &w->kept[choose(&w->choices) % KEPT];

    check_kept(kept);
    *kept = (struct kept){.said = *said, .is_resp3 = client->subscriber.is_resp3};
    kept->message = topics_keep(&w->topics, &client->subscriber);
    REQUIRE(kept->message != NULL);
}

static void hear(struct world *w, const struct said *said)
{
    bool heard[CLIENTS] = {false};
    struct topics_subscriber *subscriber;
    struct slice bytes;

    while ((subscriber = topics_next_hearer(&w->topics, &bytes)) != NULL) {
        struct client *client = client_of(subscriber);

        REQUIRE(!heard[client - w->clients]);
        heard[client - w->clients] = true;
        REQUIRE(names_has(&client->told[said->kind], said->name));
        REQUIRE(bytes.at[0] == (subscriber->is_resp3 ? '>' : '*'));
        model_check_message(said, bytes);
        if (choose(&w->choices) % 4 == 0)
            keep(w, said, client);
        if (choose(&w->choices) > 250) {
            struct client *other = &w->clients[choose(&w->choices) % CLIENTS];

            heard[other - w->clients] = true; /* or has heard already, or need not */
            client_is_new(w, other);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        REQUIRE(heard[i] || !names_has(&w->clients[i].told[said->kind], said->name));
}

/* What was read without being given to anybody. */
static void account(struct world *w, const struct said *said)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *client = &w->clients[i];

        if (!names_has(&client->told[said->kind], said->name))
            continue;
        if (said->ends)
            client->ended = said->name;
        else
            REQUIRE(said->is_too_long && client->subscriber.has_missed);
    }
}

static void link_shows(struct world *w, size_t length)
{
    struct model *redis = &w->redis;
    enum topics_found found;
    size_t used;

    length = length < redis->out.length - redis->shown ? length : redis->out.length - redis->shown;
    redis->shown += length;
    if (redis->shown == 0)
        return;
    do {
        struct slice in = {redis->out.at + redis->read, redis->shown - redis->read};
        const struct said *said;

        found = topics_read(&w->topics, in, &used, w->now);
        redis->read += used;
        while ((said = model_next_read(redis)) != NULL)
            if (found == TOPICS_HEARD && !model_is_next_read(redis))
                hear(w, said);
            else
                account(w, said);
        REQUIRE(found != TOPICS_BROKEN);
        if (found == TOPICS_PUMP)
            pump(w);
        if (w->topics.link < TOPICS_READY)
            return;
    } while (found != TOPICS_MORE);
    model_tidy(redis);
}

/* ---- events ------------------------------------------------------------------------------ */

static void link_acts(struct world *w, unsigned how)
{
    enum topics_link link = w->topics.link;

    if (link == TOPICS_CLOSED)
        return;
    if (how % 32 == 0) {
        model_forget(&w->redis);
        topics_lost(&w->topics, w->now);
    } else if (link == TOPICS_OPENING) {
        topics_opened(&w->topics, w->now);
    } else if (how % 4 == 1) {
        model_reads(&w->redis);
    } else {
        link_shows(w, how % 2 == 0 ? how / 2 : 20000);
    }
}

static void happens(struct world *w)
{
    unsigned what = choose(&w->choices), how = choose(&w->choices);
    struct client *client = &w->clients[what / 16 % CLIENTS];

    switch (what % 16) {
    case 0:
        w->now += how % 32;
        break;
    case 1:
        w->redis.refuses[how % HEARD_KIND_COUNT] ^= 1u << how / 16 % NAMES;
        break;
    case 2:
        client_is_new(w, client);
        break;
    case 3:
        client->subscriber.is_resp3 = how % 2 == 1;
        break;
    case 4:
    case 5:
    case 6:
        client_asks(w, client, how);
        break;
    case 7:
        if (w->topics.link >= TOPICS_READY)
            model_ends_shard(&w->redis, how % NAMES);
        break;
    case 8:
    case 9:
    case 10:
        w->seq++;
        if (w->topics.link >= TOPICS_READY)
            model_publishes(&w->redis, how, w->seq);
        break;
    default:
        link_acts(w, how);
        break;
    }
}

static void check(const struct world *w)
{
    const struct topics *t = &w->topics;

    REQUIRE(t->told.length == 0 && t->missed.length == 0);
    REQUIRE(t->waiting.length + t->asked.length == 0 || topics_deadline(t) != UINT64_MAX);
    REQUIRE(t->link == TOPICS_ASKING || t->asked.length == 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &w->clients[i];

        REQUIRE(client->ended == NOTHING);
        REQUIRE(topics_is_owed(&client->subscriber) == (client->count > 0));
        REQUIRE(topics_is_subscribed(&client->subscriber) == client_is_subscribed(client));
    }
}

/* When all is said and done, Redis knows of exactly what anybody is subscribed to. */
static void check_in_the_end(struct world *w)
{
    unsigned wanted[HEARD_KIND_COUNT] = {0};

    for (unsigned i = 0;
         i < 100 && (w->topics.link == TOPICS_ASKING || w->topics.link == TOPICS_OPENING); i++) {
        link_acts(w, 1);
        pump(w);
        link_acts(w, 3);
        pump(w);
    }
    if (w->topics.link != TOPICS_READY)
        return;
    while (w->redis.read < w->redis.out.length) {
        link_shows(w, w->redis.out.length);
        pump(w);
        if (w->topics.link != TOPICS_READY)
            return;
    }
    for (unsigned kind = 0; kind < HEARD_KIND_COUNT; kind++) {
        for (unsigned i = 0; i < CLIENTS; i++)
            wanted[kind] |= names_mask(&w->clients[i].told[kind]);
        REQUIRE(wanted[kind] == w->redis.subscribed[kind]);
    }
}

/* What is not Redis may say anything: then the link is lost, and nothing worse. */
static void take_nonsense(struct world *w)
{
    struct bytes *in = &w->redis.in;
    size_t used, at = 0;
    enum topics_found found;

    bytes_print(in, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n");
    bytes_add(in, w->choices.at, w->choices.length);
    do {
        struct topics_subscriber *subscriber;
        struct slice bytes;

        found =
            topics_read(&w->topics, (struct slice){in->at + at, in->length - at}, &used, w->now);
        REQUIRE(used <= in->length - at);
        at += used;
        while ((subscriber = topics_next_hearer(&w->topics, &bytes)) != NULL)
            REQUIRE(subscriber == &w->clients[0].subscriber && bytes.length > 20);
        while ((subscriber = topics_next_told(&w->topics, &w->out)) != NULL)
            REQUIRE(subscriber == &w->clients[0].subscriber);
        while ((subscriber = topics_next_missed(&w->topics, &(enum topics_miss){0})) != NULL)
            REQUIRE(subscriber == &w->clients[0].subscriber);
    } while (found == TOPICS_PUMP || found == TOPICS_HEARD);
}

static void begin_with_nonsense(struct world *w)
{
    enum topics_order order;

    REQUIRE(topics_subscribe(&w->topics, &w->clients[0].subscriber, HEARD_CHANNEL,
                             &(struct slice){(const uint8_t *)"a", 1}, 1) == ERR_OK);
    order = topics_next_order(&w->topics, w->now, &w->out);
    REQUIRE(order == TOPICS_OPEN);
    topics_opened(&w->topics, w->now);
    order = topics_next_order(&w->topics, w->now, &w->out);
    REQUIRE(order == TOPICS_ASK);
    take_nonsense(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct topics_limits limits = {.answer_ms = 50,
                                                .idle_ms = 100,
                                                .retry_ms = 30,
                                                .quiet_ms = 60,
                                                .most_names = 9,
                                                .most_names_each = 6,
                                                .longest_name = 10,
                                                .longest_message = LONGEST_MESSAGE};
    struct world w = {.now = 1000, .choices = {data, size}};
    unsigned mode;

    topics_init(&w.topics, &limits);
    mode = choose(&w.choices);
    w.keeps = w.topics.limits.keep_after_loss = mode % 2 == 1;
    for (unsigned i = 0; i < CLIENTS; i++) {
        topics_join(&w.clients[i].subscriber);
        w.clients[i].ended = NOTHING;
    }
    if (mode % 8 == 7) {
        begin_with_nonsense(&w);
        w.choices.length = 0;
    }
    while (w.choices.length > 0) {
        happens(&w);
        pump(&w);
        check(&w);
    }
    if (mode % 8 != 7)
        check_in_the_end(&w);
    for (unsigned i = 0; i < CLIENTS; i++)
        topics_leave(&w.topics, &w.clients[i].subscriber);
    topics_fini(&w.topics);
    for (unsigned i = 0; i < KEPT; i++)
        check_kept(&w.kept[i]);
    model_forget(&w.redis);
    bytes_free(&w.redis.out);
    bytes_free(&w.redis.in);
    bytes_free(&w.out);
    return 0;
}
