/*
 * pool/pool_parts.h - what pool.c and pool_server.c share: what a pool is made of, and its time.
 * Nobody else includes it.
 */
#ifndef POOL_POOL_PARTS_H
#define POOL_POOL_PARTS_H

#include "pool/pool.h"

#define POOL_NEVER UINT64_MAX

struct pool_server {
    enum pool_server_state state;
    struct link link;           /* in pool->servers[state]: the state is the list */
    struct link ordered;        /* in pool->orders */
    struct pool_order order;    /* the last one given to it */
    struct pool_client *client; /* who holds it, while LEASED; for whom it is OPENING, if own */
    uint64_t since;             /* when it came into its state */
    uint64_t expires;           /* when it is too old for another client */
    bool opened;                /* its connection was once ready */
    bool outdated;              /* while OPENING: nobody is to have it */
    bool own;                   /* it is opened for one client alone */
    void *connection;
};

struct pool {
    struct pool_limits limits;
    struct list servers[POOL_SERVER_STATE_COUNT]; /* front: longest in the state */
    struct list waiting;                          /* front: longest wait */
    struct list apart;                            /* ... for a server of their own */
    struct list orders;
    struct list refusals;
    uint64_t due;           /* nothing can be overdue before */
    uint64_t open_again_at; /* the end of the pause after a failed opening */
    uint64_t jitter;
    bool asked, failing, retiring;
    struct pool_server slots[]; /* limits.max_servers of them */
};

/* A limit of 0 is no limit, and adding must not wrap around. */
static inline uint64_t pool_after(uint64_t since, uint64_t limit_ms)
{
    return limit_ms == 0 || since > POOL_NEVER - limit_ms ? POOL_NEVER : since + limit_ms;
}

/* Deadlines only come nearer here; pool_tick finds out exactly. So a deadline costs one
 * comparison where it arises, and asking for the next one costs nothing. */
static inline void pool_due_at(struct pool *pool, uint64_t when)
{
    if (when < pool->due)
        pool->due = when;
}

/* How long a server may be in a state; 0: as long as it likes. */
uint64_t pool_server_limit(const struct pool *pool, enum pool_server_state state);
void pool_server_move(struct pool *pool, struct pool_server *server, enum pool_server_state to,
                      uint64_t now);

#endif
