/*
 * proxy/broker.h - introduces pools, which decide, to drivers, which act.
 *
 * A place is one pool with all it needs to carry out its orders: which server, as whom,
 * what clients are greeted with, what is counted. The broker keeps the places of a worker
 * and carries out orders as they arise.
 *
 *      place = broker_place(broker, &terms);        found by its key, or made
 *      broker_ask(broker, &session->lease);         ... events.granted or events.refused
 *      broker_leave(broker, &session->lease, &session->sent);
 *
 * Ownership: places live as long as the broker. A lease is embedded in the session, which
 * must live until it was refused, gave up, or left.
 *
 * granted and refused may be called from inside broker_ask.
 */
#ifndef PROXY_BROKER_H
#define PROXY_BROKER_H

#include <uthash.h>

#include "base/log.h"
#include "drivers/postgres/backend.h"
#include "pool/pool.h"
#include "proxy/alarm.h"
#include "proxy/metrics.h"
#include "proxy/settings.h"
#include "proxy/stats.h"

struct broker_lease;

struct broker_events {
    void (*granted)(struct broker_lease *lease);
    void (*refused)(struct broker_lease *lease, enum err why, const char *text);
    /* The server is gone. told: it has said so to the client itself. cut: in mid-message. */
    void (*lost)(struct broker_lease *lease, const char *text, bool told, bool cut);
    void (*answer)(struct broker_lease *lease, const struct relay_plan *plan);
    void (*turn)(struct broker_lease *lease);
    void (*drained)(struct broker_lease *lease);
};

/* One server identity, and the terms on which its connections are lent. Strings are copied. */
struct broker_terms {
    const char *database, *user; /* what clients call it: the key */
    struct login_target target;
    struct pool_limits limits;
    const char *settings[PARAMETERS_COUNT]; /* what clients get if they do not say; may be NULL */
    enum settings_pool_mode mode;           /* when a client gives its server back */
    enum state_mode session_state;
    const char *reset_query;        /* may be NULL: nothing is reset */
    bool reset_always;              /* in every mode */
    size_t max_prepared_statements; /* on one server; 0: who prepares by name keeps it */
};

struct broker_place {
    struct broker *broker;
    struct pool *pool;
    char *strings; /* those of terms; database and user come first and are the key */
    size_t key_length;
    struct broker_terms terms;
    struct bytes welcome;              /* ParameterStatus messages, of the server opened last */
    const struct parameters *standard; /* how its servers are set when they are new; held; NULL
                                        * before the first was opened */
    char why[256];                     /* why the last opening failed */
    char why_own[256];                 /* ... of a server that a client wanted for itself */
    struct metrics_pool metrics;
    struct stats newer, older;    /* at the end of the last stats_period, and of that before */
    size_t pins[RELAY_PIN_COUNT]; /* how often a client came to keep its server for that */
    bool carrying_out;
    size_t number; /* for whoever goes through all places */
    UT_hash_handle hh;
};

struct broker {
    struct backend_home home;
    struct alarm *alarm;
    struct log *log;
    struct broker_place *places;
    uint64_t next_id;
    /* Somebody may wait for the end of cancels. */
    void *owner;
    void (*canceled)(void *owner, const struct backend *backend);
};

/* A session's place in all this. Start from all zero, then set place, sent and events. */
struct broker_lease {
    struct pool_client client;
    struct broker_place *place;
    struct backend *backend;         /* while granted */
    struct relay_sent *sent;         /* its client's; lent */
    uint32_t pinned;                 /* what it keeps its server for, as far as it was counted */
    const struct parameters *wanted; /* how its client wants its servers; held */
    const struct parameters *own;    /* ... and has wanted them when it came; held */
    /* A server of its own, for replication: what the client wants of it. Lent until granted or
     * refused, then NULL; client.own says it from then on. */
    const struct login_wishes *wishes;
    const struct broker_events *events;
};

void broker_init(struct broker *broker, struct backend_home home, struct alarm *alarm,
                 struct log *log);

/* Takes everything down; no session may be left. */
void broker_fini(struct broker *broker);

/* NULL for want of memory. broker_find: NULL when there is none yet. */
struct broker_place *broker_place(struct broker *broker,
                                  const struct broker_terms *terms) MUST_CHECK;
struct broker_place *broker_find(struct broker *broker, const char *database, const char *user);

/* Opens the minimum of servers before anyone asks. */
void broker_warm(struct broker_place *place);

/* Refusals come through events.refused, some at once. hasty: see pool/pool.h. */
void broker_ask(struct broker_lease *lease, bool hasty);
void broker_give_up(struct broker_lease *lease); /* if it waits */
/* Its client is at rest, perhaps: the server may be asked what only it knows. */
void broker_see_to(struct broker_lease *lease);
void broker_leave(struct broker_lease *lease, const struct relay_sent *sent);

/* What its server is doing for its client is canceled: again, if it goes on. */
enum err broker_cancel(struct broker_lease *lease) MUST_CHECK;

/* From now on the client works with its server, which it keeps for as long as the mode says. */
void broker_set_mode(struct broker_lease *lease);

/* Closes servers of that database, or of all for NULL, as they are left; new ones are opened. */
void broker_reconnect(struct broker *broker, const char *database);

/* A stats_period has ended. */
void broker_end_period(struct broker *broker);

/* What is overdue in any pool; asks the alarm for what is due next. */
void broker_tick(struct broker *broker, uint64_t now);

/* Closes what is idle now, and the rest when it is left. */
void broker_retire(struct broker *broker);
bool broker_is_vacant(const struct broker *broker);

#endif
