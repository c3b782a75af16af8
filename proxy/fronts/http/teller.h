/*
 * proxy/fronts/http/teller.h - what a request over HTTP speaks to Redis through: a guest of the
 * Redis door (guest.h), and our end of the connection with it.
 *
 *      teller = teller_take(&home, config, &events, owner);       one that is clean, or a new one
 *      teller_ask(teller, requests, count);                       in one write
 *          events.reply(owner, in, &used)     what came: as resp_read() has it, once a piece
 *          events.answered(owner)             all replies have come; more may be asked
 *          events.lost(owner)                 no more will come; it is given back already
 *      teller_give(teller, true);                                 as good as new; else false
 *
 *      idle --take--> owned --give--> idle, or closing
 *        `--------------`--(the door has closed it)--> closing
 *
 * The guest is served as the upstream's URL's user: who may come was decided by who.h, as the
 * door decides it by AUTH. All that the door does for its clients it does for this one: many
 * share a link to Redis, and commands that need one get one of their own.
 *
 * One request's answers must never be another's. So a teller goes back to those that wait only
 * if it has got all the replies it asked for, and nothing else; and if its owner knows that what
 * it asked leaves nothing behind (VERB_SHARED). Any other is closed, and its guest with it.
 *
 * Ownership: tellers are the home's; between take and give, or lost, one is its owner's to use.
 * None has a deadline of its own: the guest has those of the door, the owner that of its request.
 */
#ifndef PROXY_FRONTS_HTTP_TELLER_H
#define PROXY_FRONTS_HTTP_TELLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/list.h"
#include "drivers/redis/resp.h"
#include "drivers/stream.h"
#include "proxy/config_redis.h"

enum { TELLER_MOST_IDLE = 64 }; /* of all upstreams */

struct door;
struct teller;

struct teller_events {
    /* A part of one reply, never of two. RESP_BROKEN: it is lost. May give it back. */
    enum resp_found (*reply)(void *owner, struct slice in, size_t *used);
    void (*answered)(void *owner);
    void (*lost)(void *owner);
};

struct teller_home {
    struct door *door;
    struct list idle; /* front: the last that came back */
    bool stopped;
};

void teller_home_init(struct teller_home *home, struct door *door);

/* Closes those that wait, and each that comes back from now on. */
void teller_home_stop(struct teller_home *home);

/* NULL: out of memory or descriptors, or the door drains. */
struct teller *teller_take(struct teller_home *home, const struct config_redis_upstream *config,
                           const struct teller_events *events, void *owner) MUST_CHECK;

/* Requests in whole, each with one reply. Not while replies are owed. */
void teller_ask(struct teller *teller, struct slice requests, size_t count);

/* The same for one that is answered by any number of replies: there is no event.answered, and
 * it cannot be clean any more. */
void teller_listen(struct teller *teller, struct slice request);

/* Back-pressure: nothing is read; it goes on. Not resume from within an event. */
void teller_pause(struct teller *teller);
void teller_resume(struct teller *teller);

void teller_give(struct teller *teller, bool is_clean);

#endif
