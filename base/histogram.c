#include "base/histogram.h"

#include "base/contract.h"

/* The last value that is counted in a bucket: the one before the next bucket's first. */
static uint64_t last_of(size_t bucket)
{
    const size_t cut = (size_t)1 << HISTOGRAM_CUT;
    unsigned shift;

    if (bucket < cut)
        return bucket;
    shift = (unsigned)(bucket >> HISTOGRAM_CUT) - 1;
    return ((uint64_t)(bucket % cut + cut + 1) << shift) - 1;
}

void histogram_add(struct histogram *to, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    to->count += from->count;
    to->sum += from->sum;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    double wanted = share * (double)histogram->count;
    uint64_t seen = 0;
    size_t last = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS && (seen == 0 || (double)seen < wanted); i++) {
        if (histogram->buckets[i] == 0)
            continue;
        seen += histogram->buckets[i];
        last = i;
    }
    return last_of(last);
}

uint64_t histogram_below(const struct histogram *histogram, unsigned power)
{
    uint64_t below = 0;

    ASSERT(power >= HISTOGRAM_CUT && power <= HISTOGRAM_BITS);
    for (size_t i = 0; i < histogram_bucket((uint64_t)1 << power); i++)
        below += histogram->buckets[i];
    return below;
}
