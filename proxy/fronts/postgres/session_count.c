#include "proxy/fronts/postgres/session.h"

static struct metrics_pool *metrics_of(struct session *session)
{
    return &session->lease.place->metrics;
}

static uint64_t sum(const struct relay_plan *plan)
{
    uint64_t length = 0;

    for (size_t i = 0; i < plan->count; i++)
        length += plan->slices[i].length;
    return length;
}

void session_count_request(struct session *session, const struct relay_plan *plan)
{
    metrics_of(session)->bytes_from_clients += sum(plan);
}

void session_count_answer(struct session *session, const struct relay_plan *plan)
{
    struct metrics_pool *metrics = metrics_of(session);
    uint64_t now;

    metrics->bytes_to_clients += sum(plan);
    if (plan->queries == 0 || session->state == SESSION_REPLICATING)
        return;
    now = uv_hrtime() / 1000;
    metrics->queries += plan->queries;
    metrics->transactions += plan->transactions;
    histogram_record(&metrics->query, now - session->query_us);
    if (plan->transactions > 0) {
        histogram_record(&metrics->transaction, now - session->asked_us);
        session->asked_us = now;
    }
    session->query_us = now;
}

/* What was answered at once has no duration. Statements are seen in any plan of a client's. */
void session_count_own(struct session *session, const struct relay_plan *plan)
{
    metrics_of(session)->queries += plan->queries;
    metrics_of(session)->transactions += plan->transactions;
    metrics_of(session)->statements_from_clients += plan->parsed;
    metrics_of(session)->statements_to_servers += plan->prepared;
    metrics_of(session)->statements_bound += plan->bound;
}
