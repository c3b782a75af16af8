/*
 * proxy/fronts/http/schedule.h - which query of a request runs when, and on which connection.
 *
 * A request has many queries, and lanes on which they run: a lane is a place for one connection of
 * a pool. The schedule decides and does nothing else: it knows no socket and no clock. Tell it what
 * happened and what time it is, then ask what is to be done:
 *
 *      schedule_granted(&schedule, lane, now);
 *      while ((query = schedule_next_over(&schedule)) != NULL) ...     tell how it ended
 *      while (schedule_next_order(&schedule, &order)) ...              carry it out
 *
 * A query   QUEUED --> IN_FLIGHT --> OVER --> TOLD      QUEUED --> OVER: it was not started
 *
 * A lane    VACANT --> ASKING --> HOLDING <--> CANCELING
 *             ^ ^         |          `------------`------> LEAVING --> VACANT
 *             | `--- GIVING_UP        its connection was lost: VACANT
 *             `-----------'
 *
 * PARALLEL: each lane runs one query at a time. Queries are started in their order, whatever pools
 * they are for, so one that is in flight never waits for one that is not: that is why a request
 * that waits for one more connection cannot keep others, or itself, from coming to an end. No lane
 * holds a connection that has nothing to run.
 *
 * PIPELINE: one lane, on which each query is sent without waiting for the one before, unless one of
 * the two is `alone`, has a time limit of its own (its cancel would hit another), or an error is to
 * stop what follows.
 *
 * TRANSACTION: the same, where the first query is what begins it and the last what commits it: that
 * one is sent when all others have been answered well. What fails, stops or ends the transaction
 * has the others skipped.
 *
 * A query whose time is over is canceled on the server and has cancel_ms to end; what the server
 * says counts then, for it may have been quicker. After that its connection is left as it is, for
 * the pool to clean or to close.
 *
 * Ownership: the caller's memory holds it all: schedule, queries and lanes. Times are milliseconds.
 */
#ifndef PROXY_FRONTS_HTTP_SCHEDULE_H
#define PROXY_FRONTS_HTTP_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "base/err.h"
#include "base/list.h"

enum schedule_mode { SCHEDULE_PARALLEL, SCHEDULE_PIPELINE, SCHEDULE_TRANSACTION };

/* What an error does to the other queries. In a transaction it always stops them. */
enum schedule_on_error {
    SCHEDULE_CONTINUE, /* nothing */
    SCHEDULE_STOP,     /* those that are not started are skipped */
    SCHEDULE_CANCEL,   /* ... and those that run are canceled */
};

/* clang-format off */
#define SCHEDULE_LANE_STATES(X) \
    /* state     may become                                   meaning                              */ \
    X(VACANT,    B(ASKING),                                   "has no connection and wants none")    \
    X(ASKING,    B(HOLDING) | B(GIVING_UP) | B(VACANT),       "waits for a connection")              \
    X(HOLDING,   B(CANCELING) | B(LEAVING) | B(VACANT),       "has one, and something to run on it") \
    X(CANCELING, B(HOLDING) | B(LEAVING) | B(VACANT),         "what runs there is to end soon")      \
    X(LEAVING,   B(VACANT),                                   "is about to give it back")            \
    X(GIVING_UP, B(LEAVING) | B(VACANT),                      "is about to wait no more")
/* clang-format on */

enum schedule_lane_state {
#define X(state, ...) SCHEDULE_##state,
    SCHEDULE_LANE_STATES(X)
#undef X
        SCHEDULE_LANE_STATE_COUNT
};

enum schedule_query_state {
    SCHEDULE_QUEUED,
    SCHEDULE_IN_FLIGHT,
    SCHEDULE_OVER,
    SCHEDULE_TOLD,
};

enum schedule_how {
    SCHEDULE_WELL,    /* answered to its end */
    SCHEDULE_ERROR,   /* answered with an error; why: if it is not the server's own */
    SCHEDULE_SKIPPED, /* not started, for another has failed, or because of why */
    SCHEDULE_STOPPED, /* canceled, or not even started: ERR_QUERY_TOO_LONG, ERR_CANCELED, ... */
    SCHEDULE_REFUSED, /* not started, for there was no connection for it: ERR_WAIT_TOO_LONG, ... */
    SCHEDULE_LOST,    /* what became of it is not known: ERR_BACKEND_LOST, or why it was canceled */
};

struct schedule_lane;

/* Set place, timeout_ms and alone, and all else zero. */
struct schedule_query {
    const void *place;   /* the pool its connection is to be of */
    uint64_t timeout_ms; /* from when it is the server's turn to answer it; 0: no limit */
    bool alone; /* nothing may be sent behind it before it is answered, nor it behind others */
    /* The schedule's: */
    enum schedule_query_state state;
    bool sent;         /* some of it */
    enum err unwanted; /* ERR_OK: it is wanted */
    enum schedule_how how;
    enum err why;
    struct schedule_lane *lane; /* while IN_FLIGHT */
    struct link link;           /* in schedule.queued, lane->flight, or schedule.over */
};

/* All zero at first. */
struct schedule_lane {
    enum schedule_lane_state state;
    const void *place;
    struct list flight;            /* what runs on it: the front is what its server answers now */
    struct schedule_query *unsent; /* ... of which that and what is behind it was not sent yet */
    unsigned todo;                 /* orders: a bit for each enum schedule_order_kind */
    enum err why;                  /* while CANCELING */
    uint64_t due;                  /* when the front has had enough time; SCHEDULE_NEVER */
    struct link link;              /* in schedule.todo, if todo is not 0 */
};

#define SCHEDULE_NEVER UINT64_MAX

/* Pipelines and transactions use one lane, and their queries have one place. At least one query and
 * one lane. */
struct schedule_options {
    struct schedule_query *queries;
    size_t queries_length;
    struct schedule_lane *lanes;
    size_t lanes_length;
    enum schedule_mode mode;
    enum schedule_on_error on_error;
    uint64_t timeout_ms; /* of all of it; 0: no limit */
    uint64_t cancel_ms;  /* what is canceled has that long to end */
    size_t most_asking;  /* connections that it waits for at a time; at least 1 */
};

struct schedule {
    struct schedule_options with;
    struct list queued, over; /* queries */
    struct list todo;         /* lanes with orders */
    size_t told;
    size_t used, asking; /* lanes that are not VACANT; of those, ASKING */
    uint64_t due;        /* the end of timeout_ms; SCHEDULE_NEVER */
    bool frugal;         /* was refused a connection: wants no second one any more */
    bool failed;         /* the transaction */
};

enum schedule_order_kind {
    SCHEDULE_ORDER_ASK,     /* for a connection to lane->place, then granted or refused */
    SCHEDULE_ORDER_GIVE_UP, /* asking */
    SCHEDULE_ORDER_SEND,    /* what schedule_unsent says, as far as it can be */
    SCHEDULE_ORDER_CANCEL,  /* what its server is doing */
    SCHEDULE_ORDER_LEAVE,   /* give the connection back, whatever it is doing */
};

struct schedule_order {
    enum schedule_order_kind kind;
    struct schedule_lane *lane;
};

void schedule_begin(struct schedule *schedule, const struct schedule_options *options,
                    uint64_t now);

/* ---- what happened ----------------------------------------------------------------------- */

void schedule_granted(struct schedule *schedule, struct schedule_lane *lane, uint64_t now);
void schedule_refused(struct schedule *schedule, struct schedule_lane *lane, enum err why,
                      uint64_t now);

/* The first of those in flight has been answered to its end, in_block: and its server is in a
 * transaction. */
enum schedule_answer {
    SCHEDULE_ANSWERED_WELL,
    SCHEDULE_ANSWERED_ERROR,
    SCHEDULE_ANSWERED_CANCELED, /* the error that canceled queries end with */
};
void schedule_answered(struct schedule *schedule, struct schedule_lane *lane,
                       enum schedule_answer answer, bool in_block, uint64_t now);

/* All that has come was dealt with. as_new: nothing in the connection tells that something has run
 * there, and nobody waits for it. */
void schedule_rested(struct schedule *schedule, struct schedule_lane *lane, bool as_new,
                     uint64_t now);

/* What is in flight on it cannot go on: its connection was lost, or must be left. */
void schedule_lost(struct schedule *schedule, struct schedule_lane *lane, uint64_t now);
void schedule_broken(struct schedule *schedule, struct schedule_lane *lane, enum err why,
                     uint64_t now);

/* An order to cancel is hopeless: the server has nothing to cancel, or is not heard. */
void schedule_abandon(struct schedule *schedule, struct schedule_lane *lane, uint64_t now);

/* Nobody wants that query any more; or none of them, and then nothing is waited for. */
void schedule_stop(struct schedule *schedule, struct schedule_query *query, enum err why,
                   uint64_t now);
void schedule_stop_all(struct schedule *schedule, enum err why, uint64_t now);

/* What is overdue at now. Due again at schedule_due() at the latest. */
void schedule_tick(struct schedule *schedule, uint64_t now);
uint64_t schedule_due(const struct schedule *schedule);

/* ---- what is to be done ------------------------------------------------------------------- */

/* A query that is over, to be told; NULL when there is none. Taken at once, wherever that may be.
 */
struct schedule_query *schedule_next_over(struct schedule *schedule);

/* Takes the oldest order; false when there is none. */
bool schedule_next_order(struct schedule *schedule, struct schedule_order *order) MUST_CHECK;

/* Everything was told, and no lane has or wants a connection. */
bool schedule_is_finished(const struct schedule *schedule);

/* What the server of a lane answers now; NULL: nothing. */
struct schedule_query *schedule_front(const struct schedule_lane *lane);

/* What is to be sent next on a lane; NULL: nothing. With its first byte it counts as sent. */
struct schedule_query *schedule_unsent(const struct schedule_lane *lane);
void schedule_sent(struct schedule_lane *lane);

#endif
