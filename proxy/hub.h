/*
 * proxy/hub.h - one connection to a database listens for all its clients.
 *
 *      room = hub_room(hub, session->lease.place, "UTF8");       found, or made
 *      e = hub_want(room, &mine->subscriber, "news");            ... events.told
 *      channels_confirm(&mine->subscriber, "news");              ... events.notified
 *      hub_forget(room, &mine->subscriber, CHANNELS_CONFIRMED);
 *
 * A room is a database, as the configuration calls it, in one client encoding (for the server
 * writes channels and payloads in the connection's). It holds what channels.h decides, and
 * carries it out with the one connection of drivers/postgres/listening.h, which is opened as
 * the user of whoever came first: any user may listen to any channel. It is none of the pool's,
 * is closed when nobody has needed it for server_idle_timeout, and opened again when it is
 * lost, at once and then every server_login_retry. Subscribers are told then that they may
 * have missed something.
 *
 * Ownership: rooms live as long as the hub. A message is shared by those that cannot take it
 * yet: who keeps one holds it, and releases it.
 *
 * events may be called from inside hub_want, and from inside each other.
 */
#ifndef PROXY_HUB_H
#define PROXY_HUB_H

#include <uv.h>

#include "base/log.h"
#include "proxy/alarm.h"
#include "proxy/broker.h"
#include "proxy/channels.h"
#include "proxy/metrics.h"

/* Bytes for clients, as they are sent. */
struct hub_message {
    unsigned holders;
    bool is_notification; /* else a notice about them */
    size_t length;
    uint8_t bytes[];
};

struct hub_events {
    /* What was wanted is listened to; or cannot be, and is not wanted any more. */
    void (*told)(struct channels_subscriber *subscriber, bool listening);
    /* subscription: by which one it is heard; NULL for a notice. */
    void (*notified)(struct channels_subscriber *subscriber,
                     struct channels_subscription *subscription, struct hub_message *message);
};

struct hub_options {
    uv_loop_t *loop;
    struct log *log;
    struct alarm *alarm;
    struct metrics_process *metrics;
    const struct hub_events *events;
    struct channels_limits limits;
    size_t most_channels; /* of a client; 0: nothing is shared */
    size_t most_queued;   /* bytes of what a client has not taken */
};

struct hub_room;

struct hub {
    struct hub_options with;
    struct named_set rooms;
};

/* What there is now. */
struct hub_counts {
    size_t connections, channels, listeners;
};

void hub_init(struct hub *hub, const struct hub_options *options);
void hub_tick(struct hub *hub, uint64_t now);

/* Connections to that database, or to all for NULL, are as if they had been lost. */
void hub_reconnect(struct hub *hub, const char *database);

/* Closes all connections; no subscriber may be left. */
void hub_stop(struct hub *hub);
void hub_fini(struct hub *hub);

/* NULL for want of memory. encoding: as the client calls it. */
struct hub_room *hub_room(struct hub *hub, const struct broker_place *place,
                          const char *encoding) MUST_CHECK;

enum err hub_want(struct hub_room *room, struct channels_subscriber *subscriber,
                  const char *channel) MUST_CHECK;
void hub_drop(struct hub_room *room, struct channels_subscriber *subscriber, const char *channel);
void hub_forget(struct hub_room *room, struct channels_subscriber *subscriber,
                enum channels_stage stage);

struct hub_message *hub_message_hold(struct hub_message *message);
void hub_message_release(struct hub_message *message);

struct hub_counts hub_count(const struct hub *hub);

#endif
