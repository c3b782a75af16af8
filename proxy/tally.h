/*
 * proxy/tally.h - what a client of a pool adds to its metrics.
 *
 *      tally_asks(&tally);                             it wants a server
 *      tally_granted(&tally, metrics);
 *      tally_sends(metrics, plan);                     what goes to its server ...
 *      tally_hears(&tally, metrics, plan);             ... and comes from there
 *      tally_answered_here(metrics, plan);             ... and what was answered without one
 */
#ifndef PROXY_TALLY_H
#define PROXY_TALLY_H

#include <stdint.h>

#include "drivers/postgres/relay.h"
#include "proxy/metrics.h"

struct tally {
    uint64_t asked_us; /* when it began to want a server ... */
    uint64_t query_us; /* ... and its server to owe an answer */
};

void tally_asks(struct tally *tally);
void tally_granted(struct tally *tally, struct metrics_pool *metrics);

/* It has had its server all the time, and wants something of it only now. begins: a transaction. */
void tally_wakes(struct tally *tally, bool begins);

void tally_sends(struct metrics_pool *metrics, const struct relay_plan *plan);

/* timed: its queries have an end. */
void tally_hears(struct tally *tally, struct metrics_pool *metrics, const struct relay_plan *plan,
                 bool timed);

/* What was answered at once has no duration. */
void tally_answered_here(struct metrics_pool *metrics, const struct relay_plan *plan);

#endif
