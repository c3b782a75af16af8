/*
 * Any order of events, beside a server that keeps its own account of what it was asked. Two
 * bytes are an event: what happens, and to whom. What the contract forbids is left out.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "proxy/channels.h"

enum { CLIENTS = 4, NAMES = 4 };

struct world {
    struct channels channels;
    struct channels_subscriber clients[CLIENTS];
    uint64_t now;
    struct bytes sql;
    bool asked;
    uint32_t listening, will_listen; /* a bit for each name: what was answered, and will be */
};

static const char *const names[NAMES] = {"a", "b", "c", "d"};

static void on_end(struct channels_subscriber *subscriber,
                   struct channels_subscription *subscription)
{
    REQUIRE(subscription->subscriber == subscriber);
}

static bool is_listening(const struct world *w, const char *name)
{
    return (w->listening & 1u << (name[0] - 'a')) != 0;
}

/* LISTEN "a";UNLISTEN "b"; */
static void take_question(struct world *w)
{
    const char *sql = (const char *)w->sql.at;

    w->asked = true;
    w->will_listen = w->listening;
    for (; *sql != '\0'; sql = strchr(sql, ';') + 1) {
        uint32_t bit = 1u << (strchr(sql, '"')[1] - 'a');

        if (sql[0] == 'L')
            w->will_listen |= bit;
        else
            w->will_listen &= ~bit;
    }
}

static void tell(const struct world *w, struct channels_subscriber *subscriber, bool listening)
{
    struct list *all = &subscriber->subscriptions;

    for (struct link *link = list_front(all); link != NULL; link = list_after(all, link)) {
        struct channels_subscription *s =
            CONTAINER_OF(link, struct channels_subscription, of_subscriber);

        REQUIRE(s->stage != CHANNELS_WANTED);
        REQUIRE(!listening || s->stage != CHANNELS_TENTATIVE || is_listening(w, s->channel->name));
    }
}

static void go_on(struct world *w)
{
    struct channels_subscriber *subscriber;
    enum channels_order order;
    bool listening;

    do {
        while ((order = channels_next_order(&w->channels, w->now, &w->sql)) != CHANNELS_NOTHING) {
            if (order == CHANNELS_ASK)
                take_question(w);
            else
                w->listening = w->asked = 0; /* a connection begins or ends */
        }
        subscriber = channels_next_told(&w->channels, &listening);
        if (subscriber != NULL)
            tell(w, subscriber, listening);
    } while (subscriber != NULL);
}

static void client_acts(struct world *w, struct channels_subscriber *client, unsigned how)
{
    const char *name = names[how / 8 % NAMES];

    switch (how % 8) {
    case 0:
        channels_drop(&w->channels, client, name);
        break;
    case 1:
        channels_doubt(client, how & 64 ? NULL : name);
        break;
    case 2:
        (void)!channels_confirm(client, name);
        break;
    case 3:
        channels_forget(&w->channels, client, (enum channels_stage)(how / 8 % 3));
        break;
    default:
        REQUIRE(channels_want(&w->channels, client, name) == ERR_OK);
    }
}

static void connection_acts(struct world *w, unsigned how)
{
    enum channels_connection connection = w->channels.connection;

    if (connection == CHANNELS_CLOSED)
        return;
    if (how % 8 == 0) {
        w->listening = w->asked = 0;
        channels_lost(&w->channels, w->now);
    } else if (connection == CHANNELS_OPENING) {
        channels_opened(&w->channels, w->now);
    } else if (connection == CHANNELS_ASKING) {
        REQUIRE(w->asked);
        w->asked = false;
        if (how % 8 != 1)
            w->listening = w->will_listen;
        channels_answered(&w->channels, how % 8 != 1, w->now);
    }
}

static void check_channel(const struct world *w, struct channels_channel *channel)
{
    bool heard = channel->state >= CHANNELS_HEARD && channel->state != CHANNELS_LEAVING;
    struct channels_subscription *s = channels_next_hearing(channel, true);

    REQUIRE(!heard || is_listening(w, channel->name));
    REQUIRE(s == NULL || heard || w->channels.gap);
    REQUIRE(channel->subscriptions.length > 0 || channel->state != CHANNELS_ABSENT);
    REQUIRE(channel->subscriptions.length > 0 || channel->state != CHANNELS_HEARD);
}

static void check(const struct world *w)
{
    const struct channels *c = &w->channels;
    bool waits = c->waiting.length + c->asked.length > 0;

    REQUIRE(c->told.length == 0);
    REQUIRE(!waits || channels_deadline(c) != UINT64_MAX);
    REQUIRE(c->waiting.length == 0 || c->connection != CHANNELS_READY);
    REQUIRE(c->connection == CHANNELS_ASKING || c->asked.length == 0);
    for (struct named *n = named_first(&c->names); n != NULL; n = named_next(n))
        check_channel(w, CONTAINER_OF(n, struct channels_channel, named));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct channels_limits limits = {.answer_ms = 50, .idle_ms = 100, .retry_ms = 30};
    struct world w = {.now = 1000};

    channels_init(&w.channels, &limits);
    for (size_t i = 0; i < CLIENTS; i++)
        channels_join(&w.clients[i], on_end);
    for (size_t i = 0; i + 1 < size; i += 2) {
        unsigned whom = data[i] >> 2, how = data[i + 1];

        if ((data[i] & 3) < 2)
            client_acts(&w, &w.clients[whom % CLIENTS], how);
        else if ((data[i] & 3) == 2)
            connection_acts(&w, how);
        else
            w.now += how % 32;
        go_on(&w);
        (void)!channels_take_gap(&w.channels);
        check(&w);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        channels_forget(&w.channels, &w.clients[i], CHANNELS_CONFIRMED);
    channels_fini(&w.channels);
    bytes_free(&w.sql);
    return 0;
}
