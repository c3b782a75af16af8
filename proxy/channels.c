#include "proxy/channels.h"

#include <stdlib.h>
#include <string.h>

static struct channels_subscription *of_channel(struct link *link)
{
    return LIST_ITEM(link, struct channels_subscription, of_channel);
}

static struct channels_subscription *of_subscriber(struct link *link)
{
    return LIST_ITEM(link, struct channels_subscription, of_subscriber);
}

/* ---- channels ---------------------------------------------------------------------------- */

static void move(struct channels *channels, struct channels_channel *channel,
                 enum channels_state state)
{
    list_remove(&channels->states[channel->state], &channel->link);
    list_push_back(&channels->states[state], &channel->link);
    channel->state = state;
}

static void destroy(struct channels *channels, struct channels_channel *channel)
{
    REQUIRE(channel->subscriptions.length == 0);
    list_remove(&channels->states[channel->state], &channel->link);
    named_remove(&channels->names, &channel->named);
    free(channel);
}

static struct channels_channel *create(struct channels *channels, const char *name)
{
    struct channels_channel *channel = calloc(1, sizeof(*channel));

    if (channel == NULL)
        return NULL;
    strcpy(channel->name, name);
    channel->named.name = channel->name;
    channel->state = CHANNELS_ABSENT;
    list_init(&channel->subscriptions);
    if (named_add(&channels->names, &channel->named) != ERR_OK) {
        free(channel);
        return NULL;
    }
    list_push_back(&channels->states[CHANNELS_ABSENT], &channel->link);
    return channel;
}

struct channels_channel *channels_find(const struct channels *channels, const char *name)
{
    return NAMED_ITEM(named_find(&channels->names, name), struct channels_channel, named);
}

/* Whether anybody wants it may have changed. */
static void review(struct channels *channels, struct channels_channel *channel)
{
    bool wanted = channel->subscriptions.length > 0;

    if (!wanted && channel->state == CHANNELS_ABSENT)
        destroy(channels, channel);
    else if (!wanted && channel->state == CHANNELS_HEARD)
        move(channels, channel, CHANNELS_UNWANTED);
    else if (wanted && channel->state == CHANNELS_UNWANTED)
        move(channels, channel, CHANNELS_HEARD);
}

/* ---- subscriptions ----------------------------------------------------------------------- */

struct channels_subscription *channels_subscription(const struct channels_subscriber *subscriber,
                                                    const char *name)
{
    struct link *link = list_front(&subscriber->subscriptions);

    for (; link != NULL; link = list_after(&subscriber->subscriptions, link))
        if (strcmp(of_subscriber(link)->channel->name, name) == 0)
            return of_subscriber(link);
    return NULL;
}

/* Whoever goes through the lists it is in goes on behind it. */
static void end(struct channels *channels, struct channels_subscription *subscription)
{
    struct channels_channel *channel = subscription->channel;
    struct channels_subscriber *subscriber = subscription->subscriber;

    subscriber->ends(subscriber, subscription);
    if (channel->next == subscription)
        channel->next = of_channel(list_after(&channel->subscriptions, &subscription->of_channel));
    list_remove(&channel->subscriptions, &subscription->of_channel);
    list_remove(&subscriber->subscriptions, &subscription->of_subscriber);
    free(subscription);
    if (subscriber->subscriptions.length == 0) {
        if (channels->next_member == subscriber)
            channels->next_member = LIST_ITEM(list_after(&channels->members, &subscriber->member),
                                              struct channels_subscriber, member);
        list_remove(&channels->members, &subscriber->member);
    }
    review(channels, channel);
}

static enum err subscribe(struct channels *channels, struct channels_subscriber *subscriber,
                          const char *name)
{
    struct channels_subscription *subscription = calloc(1, sizeof(*subscription));
    struct channels_channel *channel = channels_find(channels, name);

    if (subscription != NULL && channel == NULL)
        channel = create(channels, name);
    if (subscription == NULL || channel == NULL) {
        free(subscription);
        return ERR_NO_MEMORY;
    }
    subscription->channel = channel;
    subscription->subscriber = subscriber;
    subscription->stage = CHANNELS_WANTED;
    list_push_back(&channel->subscriptions, &subscription->of_channel);
    if (subscriber->subscriptions.length == 0)
        list_push_back(&channels->members, &subscriber->member);
    list_push_back(&subscriber->subscriptions, &subscription->of_subscriber);
    review(channels, channel);
    return ERR_OK;
}

/* Ends those of its subscriptions that are in that stage, or before it. */
static void end_up_to(struct channels *channels, struct channels_subscriber *subscriber,
                      enum channels_stage stage)
{
    struct link *link = list_front(&subscriber->subscriptions), *next;

    for (; link != NULL; link = next) {
        next = list_after(&subscriber->subscriptions, link);
        if (of_subscriber(link)->stage <= stage)
            end(channels, of_subscriber(link));
    }
}

/* ---- those who wait ---------------------------------------------------------------------- */

static void stand_in(struct list *line, struct channels_subscriber *subscriber)
{
    subscriber->line = line;
    list_push_back(line, &subscriber->waiting);
}

static void stop_waiting(struct channels_subscriber *subscriber)
{
    if (subscriber->line != NULL)
        list_remove(subscriber->line, &subscriber->waiting);
    subscriber->line = NULL;
}

static struct channels_subscriber *next_in(struct list *line)
{
    struct channels_subscriber *subscriber = LIST_FRONT(line, struct channels_subscriber, waiting);

    if (subscriber != NULL)
        stop_waiting(subscriber);
    return subscriber;
}

/* The connection has answered what was asked since they began to wait, or never will. */
static void tell(struct channels *channels, struct list *line, bool listening)
{
    struct channels_subscriber *subscriber;

    while ((subscriber = next_in(line)) != NULL) {
        struct link *link = list_front(&subscriber->subscriptions);

        subscriber->failed = !listening;
        stand_in(&channels->told, subscriber);
        if (!listening) {
            end_up_to(channels, subscriber, CHANNELS_WANTED);
            continue;
        }
        for (; link != NULL; link = list_after(&subscriber->subscriptions, link))
            if (of_subscriber(link)->stage == CHANNELS_WANTED)
                of_subscriber(link)->stage = CHANNELS_TENTATIVE;
    }
}

struct channels_subscriber *channels_next_told(struct channels *channels, bool *listening)
{
    struct channels_subscriber *subscriber = next_in(&channels->told);

    if (subscriber != NULL)
        *listening = !subscriber->failed;
    return subscriber;
}

/* ---- what subscribers do ----------------------------------------------------------------- */

void channels_join(struct channels_subscriber *subscriber,
                   void (*ends)(struct channels_subscriber *, struct channels_subscription *))
{
    *subscriber = (struct channels_subscriber){.ends = ends};
    list_init(&subscriber->subscriptions);
}

enum err channels_want(struct channels *channels, struct channels_subscriber *subscriber,
                       const char *name)
{
    enum err e = ERR_OK;

    REQUIRE(name[0] != '\0' && strlen(name) <= CHANNELS_LONGEST_NAME);
    if (channels_subscription(subscriber, name) == NULL)
        e = subscribe(channels, subscriber, name);
    if (e == ERR_OK && subscriber->line != &channels->waiting) { /* what was asked is not enough */
        stop_waiting(subscriber);
        stand_in(&channels->waiting, subscriber);
    }
    return e;
}

bool channels_confirm(struct channels_subscriber *subscriber, const char *name)
{
    struct channels_subscription *subscription = channels_subscription(subscriber, name);

    if (subscription == NULL || subscription->stage == CHANNELS_WANTED)
        return false;
    subscription->stage = CHANNELS_CONFIRMED;
    return true;
}

void channels_doubt(struct channels_subscriber *subscriber, const char *name)
{
    struct link *link = list_front(&subscriber->subscriptions);

    for (; link != NULL; link = list_after(&subscriber->subscriptions, link))
        if (of_subscriber(link)->stage == CHANNELS_CONFIRMED &&
            (name == NULL || strcmp(of_subscriber(link)->channel->name, name) == 0))
            of_subscriber(link)->stage = CHANNELS_TENTATIVE;
}

void channels_drop(struct channels *channels, struct channels_subscriber *subscriber,
                   const char *name)
{
    struct channels_subscription *subscription = channels_subscription(subscriber, name);

    if (subscription != NULL)
        end(channels, subscription);
}

void channels_forget(struct channels *channels, struct channels_subscriber *subscriber,
                     enum channels_stage stage)
{
    stop_waiting(subscriber);
    end_up_to(channels, subscriber, stage);
}

/* ---- the connection ---------------------------------------------------------------------- */

static void become(struct channels *channels, enum channels_connection connection, uint64_t now)
{
    channels->connection = connection;
    channels->since = now;
}

/* Nothing but letters in quotes: nobody's name is read as anything else. */
static void add_statement(struct bytes *sql, const char *verb, const char *name)
{
    bytes_print(sql, "%s \"", verb);
    for (; *name != '\0'; name++)
        bytes_print(sql, "%s%c", *name == '"' ? "\"" : "", *name);
    bytes_print(sql, "\";");
}

static void add_all(struct channels *channels, enum channels_state from, enum channels_state to,
                    const char *verb, struct bytes *sql)
{
    struct channels_channel *channel;

    while ((channel = LIST_FRONT(&channels->states[from], struct channels_channel, link)) != NULL) {
        add_statement(sql, verb, channel->name);
        move(channels, channel, to);
    }
}

/* One Query, so it works as a whole or not at all. It may be empty: an answer is enough. */
static void write_question(struct channels *channels, struct bytes *sql)
{
    struct channels_subscriber *subscriber;

    bytes_clear(sql);
    add_all(channels, CHANNELS_UNWANTED, CHANNELS_LEAVING, "UNLISTEN", sql);
    add_all(channels, CHANNELS_ABSENT, CHANNELS_ASKED, "LISTEN", sql);
    bytes_add(sql, "", 1);
    while ((subscriber = next_in(&channels->waiting)) != NULL)
        stand_in(&channels->asked, subscriber);
}

static void settle(struct channels *channels, enum channels_state from, enum channels_state to)
{
    struct link *link;

    while ((link = list_front(&channels->states[from])) != NULL) {
        struct channels_channel *channel = CONTAINER_OF(link, struct channels_channel, link);

        move(channels, channel, to);
        review(channels, channel);
    }
}

void channels_opened(struct channels *channels, uint64_t now)
{
    become(channels, CHANNELS_READY, now);
}

void channels_answered(struct channels *channels, bool well, uint64_t now)
{
    become(channels, well || !channels->gap ? CHANNELS_READY : CHANNELS_USELESS, now);
    if (well) {
        channels->failures = 0;
        settle(channels, CHANNELS_LEAVING, CHANNELS_ABSENT); /* gone, unless it is wanted again */
        settle(channels, CHANNELS_ASKED, CHANNELS_HEARD);
        tell(channels, &channels->asked, true);
        return;
    }
    tell(channels, &channels->asked, false);
    settle(channels, CHANNELS_LEAVING, CHANNELS_HEARD);
    settle(channels, CHANNELS_ASKED, CHANNELS_ABSENT);
}

/* After a connection that worked another is opened at once, else after a pause. */
void channels_lost(struct channels *channels, uint64_t now)
{
    bool worked = channels->failures == 0 && channels->connection != CHANNELS_OPENING;
    struct channels_subscriber *subscriber;

    become(channels, CHANNELS_CLOSED, now);
    channels->failures++;
    channels->retry_at = worked ? now : now + channels->limits.retry_ms;
    while ((subscriber = next_in(&channels->asked)) != NULL)
        stand_in(&channels->waiting, subscriber);
    if (!worked)
        tell(channels, &channels->waiting, false);
    settle(channels, CHANNELS_LEAVING, CHANNELS_ABSENT);
    settle(channels, CHANNELS_UNWANTED, CHANNELS_ABSENT);
    settle(channels, CHANNELS_ASKED, CHANNELS_ABSENT);
    while (channels->states[CHANNELS_HEARD].length > 0) {
        settle(channels, CHANNELS_HEARD, CHANNELS_ABSENT);
        channels->gap = true;
    }
}

static bool has_work(const struct channels *channels)
{
    return channels->waiting.length > 0 || channels->states[CHANNELS_ABSENT].length > 0 ||
           channels->states[CHANNELS_UNWANTED].length > 0;
}

static bool is_over(const struct channels *channels, uint64_t limit, uint64_t now)
{
    return limit > 0 && now >= channels->since + limit;
}

static enum channels_order give_up(struct channels *channels, uint64_t now)
{
    channels_lost(channels, now);
    return CHANNELS_GIVE_UP;
}

static enum channels_order order_closed(struct channels *channels, uint64_t now)
{
    /* Who comes now does not wait for the next attempt; nor does who wants nothing any more. */
    if (channels->states[CHANNELS_ABSENT].length == 0 || channels->retry_at > now) {
        tell(channels, &channels->waiting, false);
        return CHANNELS_NOTHING;
    }
    become(channels, CHANNELS_OPENING, now);
    return CHANNELS_OPEN;
}

static enum channels_order order_ready(struct channels *channels, uint64_t now, struct bytes *sql)
{
    if (has_work(channels)) {
        write_question(channels, sql);
        become(channels, CHANNELS_ASKING, now);
        return CHANNELS_ASK;
    }
    if (channels->members.length > 0 || !is_over(channels, channels->limits.idle_ms, now))
        return CHANNELS_NOTHING;
    become(channels, CHANNELS_CLOSED, now);
    return CHANNELS_CLOSE;
}

enum channels_order channels_next_order(struct channels *channels, uint64_t now, struct bytes *sql)
{
    switch (channels->connection) {
    case CHANNELS_CLOSED:
        return order_closed(channels, now);
    case CHANNELS_READY:
        return order_ready(channels, now, sql);
    case CHANNELS_USELESS:
        return give_up(channels, now);
    case CHANNELS_OPENING:
    case CHANNELS_ASKING:
        break;
    }
    return is_over(channels, channels->limits.answer_ms, now) ? give_up(channels, now)
                                                              : CHANNELS_NOTHING;
}

static uint64_t after(const struct channels *channels, uint64_t limit)
{
    return limit > 0 ? channels->since + limit : UINT64_MAX;
}

uint64_t channels_deadline(const struct channels *channels)
{
    switch (channels->connection) {
    case CHANNELS_CLOSED:
        return channels->states[CHANNELS_ABSENT].length > 0 ? channels->retry_at : UINT64_MAX;
    case CHANNELS_READY:
        return channels->members.length == 0 ? after(channels, channels->limits.idle_ms)
                                             : UINT64_MAX;
    case CHANNELS_USELESS:
        return channels->since;
    case CHANNELS_OPENING:
    case CHANNELS_ASKING:
        break;
    }
    return after(channels, channels->limits.answer_ms);
}

/* ---- who hears what ---------------------------------------------------------------------- */

struct channels_subscription *channels_next_hearing(struct channels_channel *channel, bool first)
{
    struct channels_subscription *subscription =
        first ? of_channel(list_front(&channel->subscriptions)) : channel->next;

    while (subscription != NULL && subscription->stage == CHANNELS_WANTED)
        subscription = of_channel(list_after(&channel->subscriptions, &subscription->of_channel));
    channel->next =
        subscription == NULL
            ? NULL
            : of_channel(list_after(&channel->subscriptions, &subscription->of_channel));
    return subscription;
}

bool channels_take_gap(struct channels *channels)
{
    bool gap = channels->gap && channels->connection == CHANNELS_READY &&
               channels->states[CHANNELS_ABSENT].length == 0;

    channels->gap = channels->gap && !gap;
    return gap;
}

struct channels_subscriber *channels_next_member(struct channels *channels, bool first)
{
    struct channels_subscriber *member =
        first ? LIST_FRONT(&channels->members, struct channels_subscriber, member)
              : channels->next_member;

    channels->next_member = member == NULL
                                ? NULL
                                : LIST_ITEM(list_after(&channels->members, &member->member),
                                            struct channels_subscriber, member);
    return member;
}

/* ---- the whole --------------------------------------------------------------------------- */

void channels_init(struct channels *channels, const struct channels_limits *limits)
{
    *channels = (struct channels){.limits = *limits};
    for (size_t i = 0; i < CHANNELS_STATE_COUNT; i++)
        list_init(&channels->states[i]);
    list_init(&channels->members);
    list_init(&channels->waiting);
    list_init(&channels->asked);
    list_init(&channels->told);
}

void channels_fini(struct channels *channels)
{
    REQUIRE(channels->members.length == 0);
    for (size_t i = 0; i < CHANNELS_STATE_COUNT; i++) {
        struct channels_channel *channel;

        while ((channel = LIST_FRONT(&channels->states[i], struct channels_channel, link)) != NULL)
            destroy(channels, channel);
    }
}
