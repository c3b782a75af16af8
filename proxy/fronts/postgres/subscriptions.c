#include "proxy/fronts/postgres/subscriptions.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/postgres/wire.h"
#include "proxy/fronts/postgres/front.h"
#include "proxy/fronts/postgres/listens.h"

enum {
    MOST_QUEUED = 64 * 1024,     /* in its stream; the rest is kept here */
    LONGEST = RELAY_WHOLE_BELOW, /* no LISTEN is looked for in longer messages */
    LONGEST_OF_ALL = 1 << 30
};

/* What could not be sent yet. */
struct item {
    struct link link;
    struct channels_subscription *subscription; /* NULL: none in particular */
    struct hub_message *message;
};

struct subscriptions {
    struct session *session;
    struct channels_subscriber subscriber;
    struct hub_room *room;
    /* The next message of the client: */
    enum { OPEN, WAITING, TOLD } gate; /* it may pass; the hub must listen before; it does */
    /* Its server: */
    enum { UNCHECKED, CHECKING, DEAFENING } check; /* was asked what it listens to, and not to */
    bool committed;          /* some of what it was sent may have been, since it was asked */
    bool gated;              /* some of it listens, and has passed the gate */
    bool unshared;           /* some of it may listen, and has not */
    struct bytes heard;      /* what it has answered: names, each with its NUL */
    struct bytes unlistened; /* what the client wants no more, if that is committed; the same */
    bool unlistened_all;
    struct list queue;
    size_t queued; /* bytes */
};

static const struct hub *hub_of(const struct session *session)
{
    return session->front->with.hub;
}

static struct metrics_process *metrics_of(const struct session *session)
{
    return session->front->with.metrics;
}

static struct relay *relay_of(const struct session *session)
{
    return session->lease.backend != NULL ? &session->lease.backend->relay : NULL;
}

/* Not if its server listens for it alone. */
static bool may_share(const struct session *session)
{
    const struct relay *relay = relay_of(session);

    return hub_of(session)->with.most_channels > 0 && (relay == NULL || !relay_hears(relay));
}

/* ---- the queue --------------------------------------------------------------------------- */

static void remove_item(struct subscriptions *mine, struct item *item)
{
    list_remove(&mine->queue, &item->link);
    mine->queued -= item->message->length + sizeof(*item);
    hub_message_release(item->message);
    free(item);
}

static bool is_of(const struct item *item, const struct channels_subscription *subscription)
{
    return item->subscription == subscription;
}

static bool is_tentative(const struct item *item, const struct channels_subscription *ignored)
{
    (void)ignored;
    return item->subscription != NULL && item->subscription->stage != CHANNELS_CONFIRMED;
}

static void remove_items(struct subscriptions *mine,
                         bool (*which)(const struct item *, const struct channels_subscription *),
                         const struct channels_subscription *subscription)
{
    struct link *link = list_front(&mine->queue), *next;

    for (; link != NULL; link = next) {
        struct item *item = CONTAINER_OF(link, struct item, link);

        next = list_after(&mine->queue, link);
        if (which(item, subscription))
            remove_item(mine, item);
    }
}

static void on_subscription_ends(struct channels_subscriber *subscriber,
                                 struct channels_subscription *subscription)
{
    remove_items(CONTAINER_OF(subscriber, struct subscriptions, subscriber), is_of, subscription);
}

static void write_message(struct session *session, const struct hub_message *message)
{
    if (message->is_notification)
        metrics_of(session)->notifications_delivered++;
    stream_write(&session->stream, &(struct slice){message->bytes, message->length}, 1);
}

/* Not in a transaction, nor in the middle of an answer (PostgreSQL manual, NOTIFY). */
static bool may_speak(const struct session *session, bool is_ready)
{
    const struct relay *relay = relay_of(session);

    if (stream_queued(&session->stream) > MOST_QUEUED)
        return false;
    if (relay == NULL) /* it may be in a transaction that has no server yet */
        return session->sent.begun_length == 0;
    return relay->status == 'I' && !backend_is_mid_answer(session->lease.backend) &&
           (is_ready || (!relay_owes(relay) && !relay->unsynced));
}

static void deliver(struct session *session, bool is_ready)
{
    struct subscriptions *mine = session->subscriptions;
    struct item *item;

    while ((item = LIST_FRONT(&mine->queue, struct item, link)) != NULL &&
           !is_tentative(item, NULL) && may_speak(session, is_ready)) {
        write_message(session, item->message);
        remove_item(mine, item);
    }
}

void subscriptions_deliver(struct session *session)
{
    if (session->subscriptions != NULL)
        deliver(session, false);
}

static void give_up(struct session *session, enum err why)
{
    metrics_of(session)->notifications_dropped += session->subscriptions->queue.length + 1;
    session_fail(session, why, NULL);
}

static void keep(struct session *session, struct channels_subscription *subscription,
                 struct hub_message *message)
{
    struct subscriptions *mine = session->subscriptions;
    size_t size = message->length + sizeof(struct item);
    struct item *item;

    if (mine->queued + size > hub_of(session)->with.most_queued) {
        give_up(session, ERR_NOTIFICATIONS);
        return;
    }
    item = calloc(1, sizeof(*item));
    if (item == NULL) {
        give_up(session, ERR_NO_MEMORY);
        return;
    }
    item->subscription = subscription;
    item->message = hub_message_hold(message);
    list_push_back(&mine->queue, &item->link);
    mine->queued += size;
}

/* What is notified before the client's transaction can have been committed is not for it: while
 * that has not begun, or has nothing to do. */
static bool is_too_early(const struct session *session)
{
    const struct relay *relay = relay_of(session);

    return relay == NULL || (!relay_owes(relay) && !session->subscriptions->committed);
}

static void on_notified(struct channels_subscriber *subscriber,
                        struct channels_subscription *subscription, struct hub_message *message)
{
    struct subscriptions *mine = CONTAINER_OF(subscriber, struct subscriptions, subscriber);
    struct session *session = mine->session;
    bool tentative = subscription != NULL && subscription->stage != CHANNELS_CONFIRMED;

    if (tentative && is_too_early(session))
        return;
    if (!tentative && mine->queue.length == 0 && may_speak(session, false))
        write_message(session, message);
    else
        keep(session, subscription, message);
}

/* ---- what the client says ---------------------------------------------------------------- */

static struct subscriptions *have(struct session *session)
{
    struct subscriptions *mine = session->subscriptions;

    if (mine != NULL)
        return mine;
    mine = calloc(1, sizeof(*mine));
    if (mine == NULL)
        return NULL;
    mine->session = session;
    channels_join(&mine->subscriber, on_subscription_ends);
    list_init(&mine->queue);
    session->subscriptions = mine;
    return mine;
}

/* From a text in a message's body up to its NUL; false when there is none. */
static bool take_text(struct slice *body, struct slice *text)
{
    const uint8_t *end = memchr(body->at, '\0', body->length);

    if (end == NULL)
        return false;
    *text = (struct slice){body->at, (size_t)(end - body->at)};
    *body = (struct slice){end + 1, body->length - text->length - 1};
    return true;
}

static struct slice parsed_text(struct slice body)
{
    struct slice name, text;

    return take_text(&body, &name) && take_text(&body, &text) ? text : (struct slice){0};
}

/* Of a statement that was parsed before. */
static struct slice bound_text(const struct session *session, struct slice body)
{
    const struct statement *statement = NULL;
    struct slice portal, name, text;

    if (session->sent.names.count > 0 && take_text(&body, &portal) && take_text(&body, &name))
        statement = statement_names_find(&session->sent.names, name);
    if (statement == NULL)
        return (struct slice){0};
    body = statement_body(statement);
    return take_text(&body, &text) ? text : (struct slice){0};
}

/* The SQL that a message would run; empty if there is none of any interest. */
static struct slice text_of(const struct session *session, struct slice message)
{
    struct slice body = {message.at + WIRE_HEADER_SIZE, message.length - WIRE_HEADER_SIZE}, text;

    switch (message.at[0]) {
    case WIRE_QUERY:
        return take_text(&body, &text) ? text : (struct slice){0};
    case WIRE_PARSE:
        return parsed_text(body);
    case WIRE_BIND:
        return bound_text(session, body);
    default:
        return (struct slice){0};
    }
}

/* ---- the gate ---------------------------------------------------------------------------- */

static void note_unlisten(struct subscriptions *mine, const struct listens_item *item)
{
    mine->unlistened_all |= item->all;
    if (!item->all)
        bytes_add(&mine->unlistened, item->name, strlen(item->name) + 1);
}

static bool enter_room(struct session *session, struct subscriptions *mine)
{
    const struct parameters *parameters = session->lease.place->standard;

    if (session->lease.backend != NULL)
        parameters = session->lease.backend->upkeep.settings.has;
    else if (session->lease.wanted != NULL)
        parameters = session->lease.wanted;
    if (mine->subscriber.subscriptions.length > 0)
        return true;
    mine->room = hub_room(session->front->with.hub, session->lease.place,
                          parameters_value(parameters, PARAMETERS_CLIENT_ENCODING));
    return mine->room != NULL;
}

static bool want(struct session *session, const char *name)
{
    struct subscriptions *mine = have(session);

    if (mine == NULL || !enter_room(session, mine))
        return false;
    if (channels_subscription(&mine->subscriber, name) == NULL &&
        mine->subscriber.subscriptions.length >= hub_of(session)->with.most_channels)
        return false;
    mine->gate = WAITING; /* it may be told at once */
    return hub_want(mine->room, &mine->subscriber, name) == ERR_OK;
}

/* It goes without the hub, and keeps its server. */
static void go_unshared(struct session *session)
{
    struct subscriptions *mine = session->subscriptions;

    metrics_of(session)->listens_unshared++;
    if (mine == NULL)
        return;
    mine->unshared = true;
    mine->gate = OPEN;
    if (mine->room != NULL)
        hub_forget(mine->room, &mine->subscriber, CHANNELS_WANTED);
}

/* Something may listen that is not seen. */
static void note_hidden(struct session *session)
{
    if (session->subscriptions != NULL)
        session->subscriptions->unshared = true;
}

/* Whether the text may run now. */
static bool open_gate(struct session *session, struct slice text)
{
    struct listens listens = {.text = text};
    struct listens_item item;
    bool well = true, wanted = false, found = false;

    while (well && listens_next(&listens, &item)) {
        found = true;
        if (!item.stops && item.name[0] != '\0' && may_share(session)) {
            well = want(session, item.name);
            wanted = true;
        } else if (item.stops && session->subscriptions != NULL) {
            note_unlisten(session->subscriptions, &item);
        }
    }
    if (!well)
        go_unshared(session);
    if (!found)
        note_hidden(session);
    return !wanted || session->subscriptions == NULL || session->subscriptions->gate != WAITING;
}

static bool may_pass(struct session *session, struct slice message)
{
    struct subscriptions *mine = session->subscriptions;
    bool was_told = mine != NULL && mine->gate == TOLD;
    struct slice text;

    if (mine != NULL && mine->gate == WAITING)
        return false;
    if (!was_told) {
        text = text_of(session, message);
        if (listens_may_be_in(text) && !open_gate(session, text))
            return false;
        mine = session->subscriptions;
    }
    if (mine != NULL)
        mine->gate = OPEN;
    return true;
}

static bool has_text(const struct session *session, uint8_t type)
{
    return type == WIRE_QUERY || type == WIRE_PARSE ||
           (type == WIRE_BIND && session->sent.names.count > 0);
}

/* Looks at the next message. False: it may not pass yet. */
static bool look_at_next(struct session *session, struct slice in)
{
    size_t length;

    if (in.length < WIRE_HEADER_SIZE)
        return false;
    length = 1 + (size_t)bytes_u32(in.at + 1);
    if (length < WIRE_HEADER_SIZE || length > LONGEST_OF_ALL) { /* the relay will say so */
        session->cleared += (uint32_t)in.length;
        return false;
    }
    if (length > LONGEST && has_text(session, in.at[0])) {
        note_hidden(session);
    } else if (has_text(session, in.at[0])) {
        session->half_seen = in.length < length;
        if (session->half_seen || !may_pass(session, (struct slice){in.at, length}))
            return false;
    }
    session->cleared += (uint32_t)length;
    return true;
}

/* How many of the bytes may go now. In session mode the server is the client's, and hears for it.
 */
static size_t look(struct session *session, struct slice in)
{
    const struct subscriptions *mine = session->subscriptions;

    if (session->lease.place->terms.mode == SETTINGS_POOL_MODE_SESSION ||
        hub_of(session)->with.most_channels == 0)
        return in.length;
    session->half_seen = false;
    if (mine != NULL && mine->check != UNCHECKED)
        return 0;
    while (session->cleared < in.length &&
           look_at_next(session,
                        (struct slice){in.at + session->cleared, in.length - session->cleared}))
        ;
    mine = session->subscriptions;
    if (mine != NULL && mine->gated && session->lease.backend != NULL && may_share(session))
        session->lease.backend->relay.listening.elsewhere = true;
    return session->cleared < in.length ? session->cleared : in.length;
}

size_t subscriptions_pass(struct session *session, struct slice in, struct relay_plan *plan)
{
    struct slice allowed = {in.at, look(session, in)};
    size_t used = relay_from_client(relay_of(session), &session->sent, allowed, plan);

    session->cleared -= used < session->cleared ? (uint32_t)used : session->cleared;
    if (plan->verdict == RELAY_GO_ON && allowed.length < in.length)
        plan->verdict = RELAY_WAITS;
    subscriptions_deliver(session); /* it may just have ended a transaction that had no server */
    return used;
}

static void on_told(struct channels_subscriber *subscriber, bool listening)
{
    struct subscriptions *mine = CONTAINER_OF(subscriber, struct subscriptions, subscriber);

    mine->gated |= listening;
    mine->unshared |= !listening;
    metrics_of(mine->session)->listens_unshared += !listening;
    mine->gate = TOLD;
    session_go_on(mine->session);
}

const struct hub_events subscriptions_events = {.told = on_told, .notified = on_notified};

/* ---- what its server says ---------------------------------------------------------------- */

static const char *next_name(const struct bytes *names, const char *name)
{
    const char *end = (const char *)names->at + names->length;

    name = name == NULL ? (const char *)names->at : name + strlen(name) + 1;
    return names->length > 0 && name < end ? name : NULL;
}

/* What the client has unlistened, if that was committed. */
static void doubt_unlistened(struct subscriptions *mine, struct relay *relay)
{
    const char *name = NULL;

    if (relay->listening.discarded || (relay->listening.unlistened && mine->unlistened_all))
        channels_doubt(&mine->subscriber, NULL);
    while (relay->listening.unlistened && (name = next_name(&mine->unlistened, name)) != NULL)
        channels_doubt(&mine->subscriber, name);
    relay->listening.discarded = relay->listening.unlistened = false;
}

void subscriptions_note(struct session *session, const struct relay_plan *plan)
{
    struct subscriptions *mine = session->subscriptions;
    struct relay *relay = relay_of(session);
    struct slice cell;

    if (mine == NULL)
        return;
    if (mine->check == CHECKING && plan->row.length > 0 && wire_only_cell(plan->row, &cell)) {
        bytes_add(&mine->heard, cell.at, cell.length);
        bytes_add(&mine->heard, "", 1);
    }
    if (plan->transactions > 0 && relay->listening.begun)
        mine->committed = true;
    doubt_unlistened(mine, relay);
    if (plan->transactions > 0)
        deliver(session, true);
    else if (plan->queries > 0 && !mine->committed && !relay_owes(relay)) /* it goes on */
        remove_items(mine, is_tentative, NULL);
}

/* None of its LISTENs is under way: what is not confirmed by now never will be. */
static void forget(struct subscriptions *mine)
{
    mine->committed = mine->gated = mine->unshared = false;
    if (mine->room != NULL)
        hub_forget(mine->room, &mine->subscriber, CHANNELS_TENTATIVE);
}

/* The server says what has been committed. False: some of it is the client's, and does not come
 * from the hub. What else it listens to is left by another one, in a function. */
static bool confirm(struct subscriptions *mine)
{
    const char *name;
    bool all = !mine->heard.failed;

    for (name = next_name(&mine->heard, NULL); name != NULL; name = next_name(&mine->heard, name))
        all &= channels_confirm(&mine->subscriber, name) || !mine->unshared;
    for (name = next_name(&mine->heard, NULL); name != NULL && !all;
         name = next_name(&mine->heard, name))
        hub_drop(mine->room, &mine->subscriber, name); /* else it would come twice */
    forget(mine);
    bytes_free(&mine->heard);
    return all;
}

static bool ask(struct session *session, const char *sql)
{
    backend_ask(session->lease.backend, sql);
    return true;
}

bool subscriptions_check(struct session *session)
{
    struct subscriptions *mine = session->subscriptions;
    struct relay *relay = relay_of(session);

    if (mine == NULL || mine->gate != OPEN ||
        !backend_is_settled(session->lease.backend, &session->sent))
        return false;
    if ((relay->pinned & 1u << RELAY_PIN_UNNAMED) != 0) /* our Query would destroy it (trap 51) */
        return false;
    switch (mine->check) {
    case UNCHECKED:
        mine->unlistened_all = false;
        bytes_free(&mine->unlistened);
        if (!relay->listening.begun || relay_hears(relay)) {
            forget(mine);
            return false;
        }
        mine->check = CHECKING;
        return ask(session, "SELECT pg_catalog.pg_listening_channels()");
    case CHECKING:
        mine->check = UNCHECKED;
        relay->listening.elsewhere = false;
        if (!confirm(mine))
            return false;
        relay->listening.begun = false;
        relay->pinned &= ~(1u << RELAY_PIN_LISTEN);
        mine->check = DEAFENING;
        return ask(session, "UNLISTEN *");
    case DEAFENING:
        mine->check = UNCHECKED;
        return false;
    }
    return false;
}

/* ---- the end ----------------------------------------------------------------------------- */

void subscriptions_rest(struct session *session)
{
    struct subscriptions *mine = session->subscriptions;

    if (mine == NULL)
        return;
    if (mine->gate == OPEN)
        forget(mine);
    deliver(session, false);
}

void subscriptions_end(struct session *session)
{
    struct subscriptions *mine = session->subscriptions;

    if (mine == NULL)
        return;
    session->subscriptions = NULL;
    while (mine->queue.length > 0)
        remove_item(mine, LIST_FRONT(&mine->queue, struct item, link));
    if (mine->room != NULL)
        hub_forget(mine->room, &mine->subscriber, CHANNELS_CONFIRMED);
    bytes_free(&mine->heard);
    bytes_free(&mine->unlistened);
    free(mine);
}
