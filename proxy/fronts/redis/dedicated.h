/*
 * proxy/fronts/redis/dedicated.h - lines that belong to one guest at a time.
 *
 *      dedicated_ask(dedicated, guest);            ... guest_ready, guest_refused
 *      guest->own.line                             is his, its replies come by guest_hear
 *      dedicated_leave(guest, POOL_LEFT_NOTHING);
 *
 * One pool (pool/pool.h) for each user and protocol decides who gets which; here its orders are
 * carried out. A line comes back clean or not at all: whatever might have been left in it, it is
 * closed. In which database a line is, its next guest finds out and changes (line->db).
 */
#ifndef PROXY_FRONTS_REDIS_DEDICATED_H
#define PROXY_FRONTS_REDIS_DEDICATED_H

#include "pool/pool.h"
#include "proxy/fronts/redis/upstream.h"

struct guest;

struct dedicated {
    struct identity *identity;
    unsigned protocol;
    struct pool *pool;
    bool carrying_out;
    char why[200]; /* the last opening failed */
};

/* A guest's part in it. */
struct dedicated_lease {
    struct pool_client client;
    struct dedicated *dedicated; /* it waits for, or has a line of; else NULL */
    struct line *line;           /* while granted */
};

/* NULL for want of memory. */
struct dedicated *dedicated_of(struct identity *identity, unsigned protocol) MUST_CHECK;
void dedicated_destroy(struct dedicated *dedicated);

/* May call guest_ready or guest_refused at once. */
void dedicated_ask(struct dedicated *dedicated, struct guest *guest);
void dedicated_give_up(struct guest *guest);
void dedicated_leave(struct guest *guest, enum pool_leftovers left);

void dedicated_tick(struct dedicated *dedicated, uint64_t now);
void dedicated_retire(struct dedicated *dedicated);

#endif
