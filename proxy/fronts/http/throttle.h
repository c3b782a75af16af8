/*
 * proxy/fronts/http/throttle.h - who guesses passwords waits, and longer each time.
 *
 *      who = throttle_peer(exchange_peer(exchange));
 *      wait_ms = throttle_wait(&throttle, who, now);
 *      if (wait_ms > 0) ...                        429, Retry-After: and nothing is checked
 *      if (!is_right) throttle_fail(&throttle, who, now);
 *
 * The first THROTTLE_FREE wrong answers of an address cost nothing; the next 1 s, then 2, 4, up
 * to THROTTLE_LONGEST. What is right does not take that back: who has one password of his own
 * could otherwise guess at others' for ever. Who has been quiet for THROTTLE_FORGET is forgotten.
 *
 * Memory is bounded: there is room for THROTTLE_ROOM addresses, in buckets of a few, and a
 * newcomer takes the place of who in its bucket has failed the least, then the longest ago. An
 * IPv6 address counts by its first 64 bits, which are one customer's.
 *
 * Pure: no clock, no allocation. A throttle of all zero has seen nobody; seed makes its
 * buckets unforeseeable.
 */
#ifndef PROXY_FRONTS_HTTP_THROTTLE_H
#define PROXY_FRONTS_HTTP_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/contract.h"
#include "drivers/peer.h"

enum {
    THROTTLE_FREE = 3,
    THROTTLE_FIRST = 1000, /* ms, as all here */
    THROTTLE_LONGEST = 30 * 1000,
    THROTTLE_FORGET = 15 * 60 * 1000,
    THROTTLE_ROOM = 1024,
    THROTTLE_WAYS = 8, /* of a bucket */
};

/* Eight bytes that are the same for all addresses of one peer. */
struct throttle_peer {
    uint64_t key; /* 0: a Unix socket, or nobody knows */
};

struct throttle_entry {
    uint64_t key;
    uint64_t failed_at; /* the last time */
    uint32_t failures;  /* 0: the entry is free */
};

struct throttle {
    uint64_t seed;
    struct throttle_entry entries[THROTTLE_ROOM];
};

struct throttle_peer throttle_peer(const struct peer *peer);

/* How long this peer has to wait from now on; 0: not at all. */
uint64_t throttle_wait(const struct throttle *throttle, struct throttle_peer peer, uint64_t now);
void throttle_fail(struct throttle *throttle, struct throttle_peer peer, uint64_t now);

/* Whether its next failure makes it wait. Then a check that takes time is counted as failed when it
 * begins, or many at once would be as many guesses; it is forgiven if it was right after all. */
bool throttle_suspects(const struct throttle *throttle, struct throttle_peer peer, uint64_t now);
void throttle_forgive(struct throttle *throttle, struct throttle_peer peer, uint64_t now);

#endif
