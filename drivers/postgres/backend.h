/*
 * drivers/postgres/backend.h - one logged-in connection to PostgreSQL.
 *
 *      backend = backend_open(home, target, &events, owner);   ... events.opened
 *      backend_lease(backend, session);                        its answers go to session
 *      backend_send(backend, slices, count);                   ... events.answer
 *      left = backend_leave(backend, &session->sent);
 *      backend_clean(backend);                                 ... events.cleaned
 *      backend_close(backend);
 *
 *      LOGIN --> PROVING --> FREE <--> LEASED --> LEFT --> CLEANING --> FREE
 *         `---------`---------`----------`---------`----------`-----> CLOSING
 *
 * libpq logs in; then its socket is duplicated into a stream, and its SSL lent to it if it
 * has one; libpq is not asked again, save for cancels and the goodbye. PROVING is one Sync
 * of our own: that its answer is the first thing to arrive shows that libpq has left no
 * byte behind.
 *
 * Ownership: backend_open gives the backend, backend_close takes it. events.lost comes at
 * most once and leaves only backend_close to be called.
 */
#ifndef DRIVERS_POSTGRES_BACKEND_H
#define DRIVERS_POSTGRES_BACKEND_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "base/list.h"
#include "drivers/offload.h"
#include "drivers/postgres/insist.h"
#include "drivers/postgres/login.h"
#include "drivers/postgres/relay.h"
#include "drivers/postgres/upkeep.h"
#include "drivers/stream.h"

struct backend;

struct backend_events {
    void (*opened)(struct backend *backend);
    /* It is of no use any more; why is for people. */
    void (*lost)(struct backend *backend, enum err e, const char *why);
    void (*cleaned)(struct backend *backend);
    /* Bytes for the client that leases it. */
    void (*answer)(struct backend *backend, const struct relay_plan *plan);
    /* All that has come was dealt with. */
    void (*turn)(struct backend *backend);
    /* Cancels can no longer hit it. */
    void (*canceled)(struct backend *backend);
    /* The server has taken what was queued for it. */
    void (*drained)(struct backend *backend);
};

enum backend_state {
    BACKEND_LOGIN,
    BACKEND_PROVING,
    BACKEND_FREE,
    BACKEND_LEASED,
    BACKEND_LEFT, /* nobody's, until it is cleaned or closed */
    BACKEND_CLEANING,
    BACKEND_CLOSING,
    BACKEND_STATE_COUNT
};

/* What all backends of a worker share. */
struct backend_home {
    struct stream_home *streams;
    struct offload *cancels;
    struct parameters_set parameters;
    struct statement_set statements;
    struct list insisting; /* backends whose cancel may have to be sent again */
};

struct backend {
    struct stream stream;
    struct relay relay;
    struct backend_home *home;
    const struct backend_events *events;
    enum backend_state state;
    void *owner, *slot; /* who opened it, and for what */
    void *client;       /* who leases it */
    uint64_t id;        /* for the log; the owner's to set ... */
    uint64_t since;     /* ... when it was opened, as well */
    struct login *login;
    PGconn *conn;
    const char *reset_query; /* in session mode; may be NULL */
    bool reset_always;       /* ... and in any other; the owner's to set */
    struct upkeep upkeep;
    struct bytes ahead; /* ours, and goes with what is sent next */
    char failure[200];  /* the server's words about what we asked */
    bool adopted, half_sent;
    uint8_t resets;     /* that were begun since its client has left */
    bool whole;         /* no part of a message has come without the rest */
    bool told;          /* its client has heard from the server itself why it ends */
    unsigned canceling; /* cancels that may still hit it */
    bool insisted;      /* ... one of them not at its client's wish */
    struct insist insist;
    struct link insisting; /* in home->insisting */
};

/* most_statements: how many it may keep prepared for its clients; 0, and who prepares one by name
 * keeps it. */
struct backend *backend_open(struct backend_home *home, const struct login_target *target,
                             size_t most_statements, const struct backend_events *events,
                             void *owner, void *slot) MUST_CHECK;
void backend_close(struct backend *backend);

/* Whether something has happened to a free backend that the loop has not told yet. */
bool backend_is_stale(const struct backend *backend);

/* How a client wants its server. NULL: as it is. */
struct backend_wish {
    const struct parameters *wanted; /* its settings now ... */
    const struct parameters *own;    /* ... and when it came, which a RESET goes back to */
    enum state_mode mode;
};

/* Its settings become those the client wants, by what goes ahead of its first message. sent, where
 * the client is in its messages, is lent until it is left. */
void backend_lease(struct backend *backend, void *client, struct relay_sent *sent,
                   const struct backend_wish *wish);
void backend_send(struct backend *backend, const struct slice *slices, size_t count);

/* weir asks something on the client's behalf; the rows are in the plans of events.answer. Only
 * while it is settled: it owes nothing, and is in no transaction. May lose the backend. */
bool backend_is_settled(const struct backend *backend, const struct relay_sent *sent);
void backend_ask(struct backend *backend, const char *sql);

/* Whether its client has got the beginning of a message, and not yet its end. */
bool backend_is_mid_answer(const struct backend *backend);

/* Whether something is to be done that waits for its client to be at rest: it may be left, or there
 * is something to ask the server. Then backend_see_to asks it. */
bool backend_is_due(const struct backend *backend, const struct relay_sent *sent);
void backend_see_to(struct backend *backend, const struct relay_sent *sent);

/* Whether its client has nothing to keep it for. */
bool backend_may_be_left(const struct backend *backend, const struct relay_sent *sent);

/* What a client leaves: nothing, something to be cleaned, or nobody can tell and only
 * closing is safe. */
enum backend_leftovers { BACKEND_LEFT_NOTHING, BACKEND_LEFT_STATE, BACKEND_LEFT_UNKNOWN };

/* The client goes, whatever is going on. Its answers go to nobody from now on. Gives how it
 * wants its next server. */
enum backend_leftovers backend_leave(struct backend *backend, const struct relay_sent *sent,
                                     const struct parameters **wanted) MUST_CHECK;

/* Cancels what still runs, rolls back, resets what a pinned client left: in session mode by
 * reset_query, lent until then, which may be NULL. With reset_always that comes last in any. */
void backend_clean(struct backend *backend, const char *reset_query);

/* Cancels what the server is doing for its client, if it is doing anything. It may then be
 * among home->insisting: backend_insist is to be called when its insist.due has come, and is true
 * if it has canceled again. As long as that may hit something, nothing new is to be sent. */
enum err backend_cancel(struct backend *backend) MUST_CHECK;
bool backend_insist(struct backend *backend) MUST_CHECK;
bool backend_is_insisting(const struct backend *backend);

/* The ParameterStatus messages a server of this kind greets with, those aside that follow
 * the client. */
void backend_write_parameters(const struct backend *backend, struct bytes *out);
int backend_pid(const struct backend *backend); /* 0: it is not logged in */

/* "TLSv1.3/TLS_AES_256_GCM_SHA384"; "" without TLS. */
void backend_write_tls(const struct backend *backend, char *to, size_t size);

#endif
