#include "proxy/stats.h"

enum { A_SECOND = STATS_COUNT };

#define OF_TRANSACTIONS STATS_TRANSACTIONS
#define OF_QUERIES      STATS_QUERIES
#define OF_ASSIGNMENTS  STATS_ASSIGNMENTS

const char *const stats_names[STATS_COUNT] = {
#define X(figure, name, ...) [STATS_##figure] = name,
    STATS(X)
#undef X
};

/* A_SECOND, or the figure that says how many there were. */
static const unsigned averages[STATS_COUNT] = {
#define X(figure, name, field, average) [STATS_##figure] = (average),
    STATS(X)
#undef X
};

void stats_add(struct stats *to, const struct stats *from)
{
    for (unsigned i = 0; i < STATS_COUNT; i++)
        to->of[i] += from->of[i];
}

void stats_add_pool(struct stats *to, const struct metrics_pool *metrics)
{
#define X(figure, name, field, ...) to->of[STATS_##figure] += metrics->field;
    STATS(X)
#undef X
}

void stats_average(struct stats *average, const struct stats *now, const struct stats *before,
                   uint64_t passed_us)
{
    *average = (struct stats){{0}};
    for (unsigned i = 0; i < STATS_COUNT; i++) {
        uint64_t grown = now->of[i] - before->of[i];
        unsigned of = averages[i];
        uint64_t many = of != A_SECOND ? now->of[of] - before->of[of] : passed_us;

        if (many == 0)
            continue;
        if (of != A_SECOND)
            average->of[i] = grown / many;
        else /* what is counted in bytes must not overflow */
            average->of[i] = (uint64_t)((double)grown * 1e6 / (double)many);
    }
}
