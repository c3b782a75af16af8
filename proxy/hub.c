#include "proxy/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "drivers/postgres/listening.h"
#include "drivers/postgres/wire.h"

enum { LONGEST_ENCODING = 31 };

struct hub_room {
    struct hub *hub;
    struct named named;
    struct channels channels;
    const struct broker_place *place; /* as whom it logs in */
    struct listening *listening;
    uint64_t id; /* of the connection, for the log */
    bool pumping;
    char encoding[LONGEST_ENCODING + 1];
    char name[]; /* the encoding, and the database */
};

static struct hub_room *room_of(struct named *named)
{
    return NAMED_ITEM(named, struct hub_room, named);
}

static uint64_t now_in(const struct hub *hub)
{
    return uv_now(hub->with.loop);
}

static void say(const struct hub_room *room, enum log_level level, const char *what,
                const char *why)
{
    struct log_who who = {.kind = 'S',
                          .id = room->id,
                          .database = room->place->terms.database,
                          .user = room->place->terms.user};

    log_write(room->hub->with.log, level, &who, "%s%s%s", what, why[0] ? ": " : "", why);
}

/* ---- messages ---------------------------------------------------------------------------- */

struct hub_message *hub_message_hold(struct hub_message *message)
{
    message->holders++;
    return message;
}

void hub_message_release(struct hub_message *message)
{
    if (--message->holders == 0)
        free(message);
}

/* Takes the bytes; NULL for want of memory. */
static struct hub_message *message_of(struct bytes *bytes, bool is_notification)
{
    struct hub_message *message = bytes->failed ? NULL : malloc(sizeof(*message) + bytes->length);

    if (message != NULL) {
        *message = (struct hub_message){
            .holders = 1, .is_notification = is_notification, .length = bytes->length};
        memcpy(message->bytes, bytes->at, bytes->length);
    }
    bytes_free(bytes);
    return message;
}

/* Some may have missed something, and are told so: a notification is never lost in silence. */
static void tell_of_gap(struct hub_room *room)
{
    static const struct wire_error notice = {
        .severity = "WARNING",
        .code = "01000",
        .message = "the connection that listens was lost and is there again",
        .detail = "What was notified in between has been missed.",
    };
    struct channels_subscriber *member;
    struct hub_message *message;
    struct bytes out = {0};

    wire_add_notice(&out, &notice);
    message = message_of(&out, false);
    if (message == NULL)
        return;
    for (member = channels_next_member(&room->channels, true); member != NULL;
         member = channels_next_member(&room->channels, false))
        room->hub->with.events->notified(member, NULL, message);
    hub_message_release(message);
}

/* ---- carrying out ------------------------------------------------------------------------ */

static const struct listening_events listening_events;

static void lose(struct hub_room *room, const char *why)
{
    bool opened = room->channels.connection != CHANNELS_OPENING;

    say(room, LOG_LEVEL_WARNING,
        opened ? "listening connection lost" : "login of a listening connection failed", why);
    room->hub->with.metrics->listening_lost++;
    listening_close(room->listening);
    room->listening = NULL;
}

static void open_connection(struct hub_room *room)
{
    room->id = ++room->place->broker->next_id;
    room->listening = listening_open(room->hub->with.loop, &room->place->terms.target,
                                     room->encoding, &listening_events, room);
    if (room->listening == NULL)
        channels_lost(&room->channels, now_in(room->hub));
}

static void ask(struct hub_room *room, const struct bytes *sql)
{
    enum err e = ERR_NO_MEMORY;

    if (!sql->failed)
        e = listening_ask(room->listening, (const char *)sql->at);
    if (e == ERR_OK)
        return;
    lose(room, err_text(e));
    channels_lost(&room->channels, now_in(room->hub));
}

static void carry_out(struct hub_room *room, enum channels_order order, const struct bytes *sql)
{
    switch (order) {
    case CHANNELS_NOTHING:
        break;
    case CHANNELS_OPEN:
        open_connection(room);
        break;
    case CHANNELS_ASK:
        ask(room, sql);
        break;
    case CHANNELS_CLOSE:
        say(room, LOG_LEVEL_INFO, "listening connection closed", "nobody needs it");
        listening_close(room->listening);
        room->listening = NULL;
        break;
    case CHANNELS_GIVE_UP:
        lose(room, err_text(ERR_BACKEND_TOO_SLOW));
        break;
    }
}

/* Carrying something out, or telling somebody, may give rise to more, which is done here and
 * not further down the stack. */
static void pump(struct hub_room *room)
{
    struct channels_subscriber *subscriber;
    enum channels_order order;
    struct bytes sql = {0};
    bool listening;

    if (room->pumping)
        return;
    room->pumping = true;
    do {
        while ((order = channels_next_order(&room->channels, now_in(room->hub), &sql)) !=
               CHANNELS_NOTHING)
            carry_out(room, order, &sql);
        subscriber = channels_next_told(&room->channels, &listening);
        if (subscriber != NULL)
            room->hub->with.events->told(subscriber, listening);
    } while (subscriber != NULL);
    room->pumping = false;
    bytes_free(&sql);
    alarm_due_at(room->hub->with.alarm, channels_deadline(&room->channels));
}

/* ---- what the connection says ------------------------------------------------------------ */

static void on_opened(void *owner)
{
    struct hub_room *room = owner;

    say(room, LOG_LEVEL_INFO, "new connection that listens", "");
    channels_opened(&room->channels, now_in(room->hub));
    pump(room);
}

static void on_answered(void *owner, const char *why)
{
    struct hub_room *room = owner;

    if (why != NULL)
        say(room, LOG_LEVEL_WARNING, "what clients want to listen to is refused", why);
    channels_answered(&room->channels, why == NULL, now_in(room->hub));
    pump(room);
    if (channels_take_gap(&room->channels))
        tell_of_gap(room);
}

static void on_notified(void *owner, int pid, const char *name, const char *payload)
{
    struct hub_room *room = owner;
    struct channels_channel *channel = channels_find(&room->channels, name);
    struct channels_subscription *subscription;
    struct hub_message *message;
    struct bytes out = {0};

    room->hub->with.metrics->notifications_received++;
    subscription = channel != NULL ? channels_next_hearing(channel, true) : NULL;
    if (subscription == NULL)
        return;
    wire_add_notification(&out, (uint32_t)pid, name, payload);
    message = message_of(&out, true);
    if (message == NULL) { /* nothing is lost in silence */
        lose(room, err_text(ERR_NO_MEMORY));
        channels_lost(&room->channels, now_in(room->hub));
        pump(room);
        return;
    }
    for (; subscription != NULL; subscription = channels_next_hearing(channel, false))
        room->hub->with.events->notified(subscription->subscriber, subscription, message);
    hub_message_release(message);
}

static void on_lost(void *owner, const char *why)
{
    struct hub_room *room = owner;

    lose(room, why);
    channels_lost(&room->channels, now_in(room->hub));
    pump(room);
}

static const struct listening_events listening_events = {
    .opened = on_opened,
    .answered = on_answered,
    .notified = on_notified,
    .lost = on_lost,
};

/* ---- rooms ------------------------------------------------------------------------------- */

/* PostgreSQL takes utf8 and UTF-8 for the same, and has another name for it besides. */
static void write_encoding(char to[LONGEST_ENCODING + 1], const char *from)
{
    size_t length = 0;

    for (; *from != '\0' && length < LONGEST_ENCODING; from++)
        if ((*from >= '0' && *from <= '9') || (*from >= 'A' && *from <= 'Z'))
            to[length++] = *from;
        else if (*from >= 'a' && *from <= 'z')
            to[length++] = (char)(*from - 'a' + 'A');
    to[length] = '\0';
    if (strcmp(to, "UNICODE") == 0)
        strcpy(to, "UTF8");
}

static struct hub_room *create(struct hub *hub, const char *name, const char *encoding)
{
    struct hub_room *room = calloc(1, sizeof(*room) + strlen(name) + 1);

    if (room == NULL)
        return NULL;
    room->hub = hub;
    strcpy(room->name, name);
    strcpy(room->encoding, encoding);
    room->named.name = room->name;
    channels_init(&room->channels, &hub->with.limits);
    if (named_add(&hub->rooms, &room->named) == ERR_OK)
        return room;
    free(room);
    return NULL;
}

struct hub_room *hub_room(struct hub *hub, const struct broker_place *place, const char *encoding)
{
    char name[256], canonical[LONGEST_ENCODING + 1];
    struct hub_room *room;

    write_encoding(canonical, encoding);
    snprintf(name, sizeof(name), "%s/%s", canonical, place->terms.database);
    room = room_of(named_find(&hub->rooms, name));
    if (room == NULL)
        room = create(hub, name, canonical);
    if (room != NULL && room->listening == NULL) /* who comes now has a server that works */
        room->place = place;
    return room;
}

enum err hub_want(struct hub_room *room, struct channels_subscriber *subscriber,
                  const char *channel)
{
    enum err e;

    e = channels_want(&room->channels, subscriber, channel);
    pump(room);
    return e;
}

void hub_drop(struct hub_room *room, struct channels_subscriber *subscriber, const char *channel)
{
    channels_drop(&room->channels, subscriber, channel);
    pump(room);
}

void hub_forget(struct hub_room *room, struct channels_subscriber *subscriber,
                enum channels_stage stage)
{
    channels_forget(&room->channels, subscriber, stage);
    pump(room);
}

/* ---- the whole --------------------------------------------------------------------------- */

void hub_init(struct hub *hub, const struct hub_options *options)
{
    *hub = (struct hub){.with = *options};
}

void hub_tick(struct hub *hub, uint64_t now)
{
    (void)now;
    for (struct named *named = named_first(&hub->rooms); named != NULL; named = named_next(named))
        pump(room_of(named));
}

void hub_reconnect(struct hub *hub, const char *database)
{
    for (struct named *named = named_first(&hub->rooms); named != NULL; named = named_next(named)) {
        struct hub_room *room = room_of(named);

        if (room->listening == NULL ||
            (database != NULL && strcmp(room->place->terms.database, database) != 0))
            continue;
        lose(room, "RECONNECT");
        channels_lost(&room->channels, now_in(hub));
        pump(room);
    }
}

void hub_stop(struct hub *hub)
{
    for (struct named *named = named_first(&hub->rooms); named != NULL; named = named_next(named)) {
        struct hub_room *room = room_of(named);

        if (room->listening != NULL)
            listening_close(room->listening);
        room->listening = NULL;
        room->pumping = true; /* and nothing follows */
    }
}

void hub_fini(struct hub *hub)
{
    struct named *named;

    while ((named = named_take_first(&hub->rooms)) != NULL) {
        REQUIRE(room_of(named)->listening == NULL);
        channels_fini(&room_of(named)->channels);
        free(room_of(named));
    }
}

struct hub_counts hub_count(const struct hub *hub)
{
    struct hub_counts counts = {0};

    for (struct named *named = named_first(&hub->rooms); named != NULL; named = named_next(named)) {
        const struct hub_room *room = room_of(named);

        counts.connections += room->listening != NULL ? 1 : 0;
        counts.channels += named_count(&room->channels.names);
        counts.listeners += room->channels.members.length;
    }
    return counts;
}
