/*
 * proxy/fronts/redis/pubsub.h - one line to Redis subscribes for all guests of a user.
 *
 *      pubsub = pubsub_of(identity);                      found, or made
 *      guest->ear = pubsub_join(pubsub, guest);
 *      pubsub_subscribe(guest->ear, kind, names, count);  ... guest_write, guest_due
 *      pubsub_leave(guest->ear);
 *
 * What is to be asked of Redis, who is told what and who hears a message is decided by
 * drivers/redis/topics.h; here that is carried out. An ear is a guest's part in it.
 *
 * When the line is lost its guests are closed, as Redis would: what was published meanwhile is
 * gone, and each client library subscribes again. Who does not take what it hears is closed at
 * client_output_limit.
 */
#ifndef PROXY_FRONTS_REDIS_PUBSUB_H
#define PROXY_FRONTS_REDIS_PUBSUB_H

#include "drivers/redis/topics.h"
#include "proxy/fronts/redis/upstream.h"

struct guest;

struct pubsub {
    struct identity *identity;
    struct topics topics;
    struct line *line; /* NULL: closed */
    bool pumping, is_hearing;
    unsigned tries; /* to open a line again that was closed while it logged in */
};

struct pubsub_ear {
    struct topics_subscriber subscriber;
    struct pubsub *pubsub;
    struct guest *guest;
};

/* NULL for want of memory. */
struct pubsub *pubsub_of(struct identity *identity) MUST_CHECK;
void pubsub_destroy(struct pubsub *pubsub);

struct pubsub_ear *pubsub_join(struct pubsub *pubsub, struct guest *guest) MUST_CHECK;
void pubsub_leave(struct pubsub_ear *ear); /* takes it; NULL is none */

/* names of none: all, for pubsub_unsubscribe. */
enum err pubsub_subscribe(struct pubsub_ear *ear, enum heard_kind kind, const struct slice *names,
                          size_t count) MUST_CHECK;
enum err pubsub_unsubscribe(struct pubsub_ear *ear, enum heard_kind kind, const struct slice *names,
                            size_t count) MUST_CHECK;

void pubsub_tick(struct pubsub *pubsub, uint64_t now);
void pubsub_retire(struct pubsub *pubsub);

#endif
