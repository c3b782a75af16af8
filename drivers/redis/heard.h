/*
 * drivers/redis/heard.h - what a link says that subscribes: one message of it after another.
 *
 *      found = heard_read(&heard, in);          the beginning of in
 *      HEARD_WHOLE: heard.length bytes of in are the message; name and error are cut from in
 *      HEARD_MORE:  show it again with more behind it; it will be heard.length long at least
 *
 * The link speaks RESP2, which every Redis has. It carries nothing but subscribing and PING, so
 * that nothing else is answered by an array, and a message is the same bytes as for a client in
 * RESP3, but for the first: '*' for '>'.
 *
 * heard_read holds nothing: what is not whole is read anew (gather.h).
 *
 * Source: Redis 7.0, src/pubsub.c (addReplyPubsubMessage and its neighbours).
 */
#ifndef DRIVERS_REDIS_HEARD_H
#define DRIVERS_REDIS_HEARD_H

#include <stdbool.h>

#include "base/bytes.h"

/* Three spaces of names: SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE. */
enum heard_kind { HEARD_CHANNEL, HEARD_PATTERN, HEARD_SHARD, HEARD_KIND_COUNT };

enum heard_what {
    HEARD_MESSAGE,
    HEARD_SUBSCRIBED,
    HEARD_UNSUBSCRIBED,
    HEARD_ERROR, /* error: the line, "-NOPERM ...", without its end */
    HEARD_PONG,
};

enum heard_found { HEARD_MORE, HEARD_WHOLE, HEARD_BROKEN };

struct heard {
    enum heard_what what;
    enum heard_kind kind;
    bool is_named; /* what, kind and name are known, even if the rest is not there */
    struct slice name, error;
    size_t length;
};

enum heard_found heard_read(struct heard *heard, struct slice in);

#endif
