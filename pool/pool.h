/*
 * pool/pool.h - who gets which connection, and when.
 *
 * A pool holds the connections to one backend for one identity and lends each to one
 * client at a time. It decides and does nothing else: it knows no socket and no clock.
 * Tell it what happened and what time it is, then ask what is to be done:
 *
 *      pool_ask(pool, &session->lease, now);
 *      while (pool_next_order(pool, &order))
 *          carry_out(&order);
 *
 * Orders queue up, so the caller's code never runs inside the pool. Take the order for a
 * server before telling the next event about that server.
 *
 * A client   asks --> waits --> is granted a server --> returns it
 *                       `-----> is refused: waited too long, server cannot be reached
 *                       `-----> gives up
 *
 * A server   VACANT --> OPENING --> IDLE <--> LEASED --> CLEANING --> IDLE
 *               ^          |          |          |           |
 *               `------- CLOSING <----+----------+-----------'
 *            and from anywhere to VACANT when its connection is lost
 *
 * Who waited longest is served first (FIFO), with the server used last (LIFO): it is the
 * warmest, and those not needed grow old enough to be closed. Limits are structure: there
 * is no slot for one server too many.
 *
 * A client may want a server of its own: it takes one of the pool's places (that of a server that
 * is idle, if need be), is opened for that client and closed when it is returned. If it cannot
 * be opened that is told to this client, and says nothing about the others.
 *
 * Ownership: the pool owns its servers. A pool_client is embedded in the caller's session,
 * which must live until the client was refused, gave up, or returned its server.
 *
 * Times are milliseconds of any clock that does not run backwards.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "base/err.h"
#include "base/list.h"

/* The life of a server, once: from this list come the enum, the check of each move, the
 * lists servers are in, the counts, the columns and the metrics. */
/* clang-format off */
#define POOL_SERVER_STATES(X) \
    /* state     may become                                      meaning                              */ \
    X(VACANT,    B(OPENING),                                     "room for one more connection")         \
    X(OPENING,   B(IDLE) | B(LEASED) | B(CLOSING) | B(VACANT),   "connecting and logging in")            \
    X(IDLE,      B(LEASED) | B(CLOSING) | B(VACANT),             "ready for the next client")            \
    X(LEASED,    B(IDLE) | B(CLEANING) | B(CLOSING) | B(VACANT), "belongs to one client")                \
    X(CLEANING,  B(IDLE) | B(CLOSING) | B(VACANT),               "what a client left is being removed")  \
    X(CLOSING,   B(VACANT),                                      "its connection is being closed")
/* clang-format on */

enum pool_server_state {
#define X(state, ...) POOL_SERVER_##state,
    POOL_SERVER_STATES(X)
#undef X
        POOL_SERVER_STATE_COUNT
};

extern const char *const pool_server_state_names[POOL_SERVER_STATE_COUNT];

struct pool;
struct pool_server;

/* A time of 0 means: no such limit. */
struct pool_limits {
    size_t max_servers;   /* connections in whatever state; at least 1 */
    size_t min_servers;   /* kept open once anyone has asked; at most max_servers */
    size_t max_waiting;   /* clients in the queue; one more is refused; 0: no limit */
    uint64_t wait_ms;     /* the longest a client waits */
    uint64_t open_ms;     /* the longest an opening takes */
    uint64_t clean_ms;    /* the longest a cleaning takes */
    uint64_t idle_ms;     /* a server idle for longer is closed */
    uint64_t lifetime_ms; /* a server older than that is closed once it is free */
    uint64_t retry_ms;    /* the pause after a failed opening */
    uint64_t seed;        /* of the jitter that keeps lifetimes from ending together */
    bool single_use;      /* a server serves one client and is closed */
};

/* A client's place in a pool. Start from all zero; the fields are the pool's. */
struct pool_client {
    struct link queued; /* in the queue, or among the refusals */
    struct pool_server
        *server;      /* the server it was granted, or that is being opened for it alone */
    uint64_t since;   /* when it asked */
    enum err refusal; /* why it was refused, until it is told */
    bool hasty;       /* would rather be refused than wait for a server that is down */
    bool own;         /* wants a server opened for it alone, and closed after it */
};

enum pool_order_kind {
    POOL_ORDER_OPEN,   /* connect server, then pool_opened() or pool_lost() */
    POOL_ORDER_GRANT,  /* client has server until it calls pool_return() */
    POOL_ORDER_CLEAN,  /* remove what was left in server, then pool_cleaned() or pool_lost() */
    POOL_ORDER_CLOSE,  /* close server, whatever it is doing, then pool_lost() */
    POOL_ORDER_REFUSE, /* tell client why; the pool has forgotten it */
};

struct pool_order {
    enum pool_order_kind kind;
    struct pool_server *server; /* none for REFUSE */
    struct pool_client *client; /* for GRANT and REFUSE, and for OPEN if it is for that one alone */
    enum err why;               /* for CLOSE and REFUSE; ERR_OK: nothing is wrong */
    uint64_t idle_ms;           /* for GRANT: how long the server was idle before */
};

/* What a client leaves behind in the server it returns. */
enum pool_leftovers {
    POOL_LEFT_NOTHING, /* the next client may have it as it is */
    POOL_LEFT_STATE,   /* an open transaction, settings: to be cleaned first */
    POOL_LEFT_UNKNOWN, /* nobody can tell: only closing is safe */
};

/* Gives a pool, or NULL for want of memory. No other call allocates. */
struct pool *pool_create(const struct pool_limits *limits) MUST_CHECK;

/* Takes the pool. No client may be waiting and every server must be VACANT. */
void pool_destroy(struct pool *pool);

/* A client asks for a server, stops waiting for one, gives it back. pool_ask fails with
 * ERR_QUEUE_FULL, or ERR_BACKEND_DOWN for the hasty, and then the client is not waiting. */
enum err pool_ask(struct pool *pool, struct pool_client *client, uint64_t now) MUST_CHECK;
void pool_give_up(struct pool *pool, struct pool_client *client, uint64_t now);
void pool_return(struct pool *pool, struct pool_client *client, enum pool_leftovers left,
                 uint64_t now);

/* What became of an order, or of a connection by itself. */
void pool_opened(struct pool *pool, struct pool_server *server, uint64_t now);
void pool_cleaned(struct pool *pool, struct pool_server *server, uint64_t now);
void pool_lost(struct pool *pool, struct pool_server *server, uint64_t now);

/* A server just granted turned out to be dead: as pool_lost(), and its client is back at
 * the head of the queue, as if it had never been granted anything. */
void pool_withdraw(struct pool *pool, struct pool_server *server, uint64_t now);

/* What is overdue at now is refused or closed. Due again at pool_next_deadline() at the
 * latest; UINT64_MAX means never. One timer serves any number of pools. */
void pool_tick(struct pool *pool, uint64_t now);
uint64_t pool_next_deadline(const struct pool *pool);

/* Somebody will ask: the minimum is opened now. */
void pool_warm(struct pool *pool, uint64_t now);

/* What is open now serves nobody anew: the idle are closed, the others when they come back, and
 * what is being opened once it is. Where a client would wait for them, others are opened. */
void pool_renew(struct pool *pool, uint64_t now);

/* No more openings, and nobody is served any more. What is lent is closed when it comes back,
 * all else now. */
void pool_retire(struct pool *pool, uint64_t now);
bool pool_is_vacant(const struct pool *pool);

/* Takes the oldest order; false when there is none. */
bool pool_next_order(struct pool *pool, struct pool_order *order) MUST_CHECK;

size_t pool_count(const struct pool *pool, enum pool_server_state state);
size_t pool_waiting(const struct pool *pool);
uint64_t pool_longest_wait(const struct pool *pool, uint64_t now);

/* The server in that state which has come into it after another one, or first of all for NULL;
 * NULL: there is none. */
const struct pool_server *pool_server_after(const struct pool *pool, enum pool_server_state state,
                                            const struct pool_server *other);

/* A server's number in its pool, from 0; its state and since when; a place for whoever
 * carries out its orders. */
size_t pool_server_number(const struct pool *pool, const struct pool_server *server);
enum pool_server_state pool_server_state(const struct pool_server *server, uint64_t *since);
bool pool_server_is_own(const struct pool_server *server);
/* Whether it will be closed as soon as its client leaves it. */
bool pool_server_is_expired(const struct pool_server *server, uint64_t now);
void pool_server_set_connection(struct pool_server *server, void *connection);
void *pool_server_connection(const struct pool_server *server);

#endif
