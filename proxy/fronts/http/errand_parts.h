/*
 * proxy/fronts/http/errand_parts.h - what errand.c and errand_lane.c share of an errand.
 *
 * errand.c has the request: its queries, its schedule, its events. errand_lane.c has what one lane
 * of the schedule stands for: a lease, what goes to its server and what comes from there.
 *
 * While busy, code of the errand is further up the stack, and orders wait for it. A dead errand was
 * canceled, and is taken down when nobody is busy with it. The connection whose answers are being
 * told is left at its next turn, when all of them were read: what is not read yet must not come to
 * whoever has it next.
 */
#ifndef PROXY_FRONTS_HTTP_ERRAND_PARTS_H
#define PROXY_FRONTS_HTTP_ERRAND_PARTS_H

#include "proxy/fronts/http/errand.h"
#include "proxy/fronts/http/reply.h"
#include "proxy/tally.h"

struct errand_item {
    struct slice wire;
    bool told; /* its answer has an error */
    bool cut;  /* ... ends in the middle of a message, so far */
};

struct errand_lane {
    struct errand *errand;
    struct schedule_lane *lane; /* of the schedule */
    struct broker_lease lease;
    struct relay_sent sent;
    struct reply reply;
    struct tally tally;
    struct schedule_query *sending; /* if a part of it was sent: ... */
    size_t offset;                  /* ... so much */
    bool paused;
    bool copying; /* its server waits for data to copy */
};

struct errand {
    struct errand_home *home;
    const struct errand_events *events;
    void *owner;
    struct link link; /* in home->errands */
    struct schedule schedule;
    struct schedule_query *queries; /* in a transaction BEGIN is the first, and COMMIT the last */
    struct schedule_lane *places;
    struct errand_item *items;
    struct errand_lane *lanes;
    size_t lanes_length;
    struct bytes own; /* BEGIN and COMMIT */
    size_t most_statements;
    struct errand_end begin; /* how the BEGIN ended */
    uint64_t due;
    char text[256]; /* beside the error that is to be told next */
    unsigned busy;
    bool hasty, dead;
};

static inline bool errand_is_transaction(const struct errand *errand)
{
    return errand->schedule.with.mode == SCHEDULE_TRANSACTION;
}

uint64_t errand_now(const struct errand *errand);

/* What the owner calls a query. */
size_t errand_index(const struct errand *errand, const struct schedule_query *query);

/* Those that are over are told. */
void errand_tell(struct errand *errand);

/* Whatever follows from what was told to the schedule. May end the errand. */
void errand_run(struct errand *errand);

void errand_lane_init(struct errand_lane *lane, struct errand *errand, struct schedule_lane *of);
void errand_lane_fini(struct errand_lane *lane);

/* The orders of the schedule. */
void errand_lane_ask(struct errand_lane *lane);
void errand_lane_send(struct errand_lane *lane);
void errand_lane_cancel(struct errand_lane *lane);
/* Whatever it has of a pool it has no more. */
void errand_lane_leave(struct errand_lane *lane);

void errand_lane_pause(struct errand_lane *lane);
void errand_lane_resume(struct errand_lane *lane);

#endif
