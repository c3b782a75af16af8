#include "proxy/tally.h"

#include <uv.h>

static uint64_t now_us(void)
{
    return uv_hrtime() / 1000;
}

static uint64_t sum(const struct relay_plan *plan)
{
    uint64_t length = 0;

    for (size_t i = 0; i < plan->count; i++)
        length += plan->slices[i].length;
    return length;
}

void tally_asks(struct tally *tally)
{
    tally->asked_us = now_us();
}

void tally_granted(struct tally *tally, struct metrics_pool *metrics)
{
    uint64_t asked_us = tally->asked_us;

    tally->asked_us = tally->query_us = now_us();
    histogram_record(&metrics->wait, tally->asked_us - asked_us);
}

void tally_wakes(struct tally *tally, bool begins)
{
    tally->query_us = now_us();
    if (begins)
        tally->asked_us = tally->query_us;
}

void tally_sends(struct metrics_pool *metrics, const struct relay_plan *plan)
{
    metrics->bytes_from_clients += sum(plan);
}

void tally_hears(struct tally *tally, struct metrics_pool *metrics, const struct relay_plan *plan,
                 bool timed)
{
    uint64_t now;

    metrics->bytes_to_clients += sum(plan);
    if (plan->queries == 0 || !timed)
        return;
    now = now_us();
    metrics->queries += plan->queries;
    metrics->transactions += plan->transactions;
    histogram_record(&metrics->query, now - tally->query_us);
    if (plan->transactions > 0) {
        histogram_record(&metrics->transaction, now - tally->asked_us);
        tally->asked_us = now;
    }
    tally->query_us = now;
}

/* Statements are seen in any plan of a client's. */
void tally_answered_here(struct metrics_pool *metrics, const struct relay_plan *plan)
{
    metrics->queries += plan->queries;
    metrics->transactions += plan->transactions;
    metrics->statements_from_clients += plan->parsed;
    metrics->statements_to_servers += plan->prepared;
    metrics->statements_bound += plan->bound;
}
