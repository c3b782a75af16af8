/*
 * base/histogram.h - how long things took, in 2 KB however many there were.
 *
 *      struct histogram waits = {0};
 *      histogram_record(&waits, microseconds);
 *      histogram_add(&sum_of_workers, &waits);
 *      p99 = histogram_quantile(&waits, 0.99);
 *
 * Every power of two is cut into eight buckets, and below eight each value has its own:
 *
 *      0 1 2 3 4 5 6 7 | 8 9 10 .. 15 | 16 18 20 .. 30 | 32 36 .. 60 | 64 72 .. 120 | 128 ...
 *
 * so a value is known to an eighth of itself, from a microsecond to 71 minutes; what takes
 * longer is counted with the longest. Recording takes no division and no branch but two.
 *
 * Times are cut to whole microseconds. So "below 128" is every time under 128 us, which is
 * what Prometheus' le="0.000128" asks: its bounds (HISTOGRAM_BOUNDS) are powers of two
 * microseconds, and the counts at them are exact.
 *
 * A histogram has one writer and no lock. All zero is empty.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_CUT = 3, /* a power of two has 2^3 buckets */
    HISTOGRAM_BITS = 32,
    HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_CUT + 1) << HISTOGRAM_CUT
};

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count, sum; /* sum is of the values as they were recorded */
};

/* The bounds shown to Prometheus, as powers of two microseconds: 128 us to 67 s. */
enum { HISTOGRAM_FIRST_BOUND = 7, HISTOGRAM_LAST_BOUND = 26 };

static inline size_t histogram_bucket(uint64_t value)
{
    const uint64_t most = ((uint64_t)1 << HISTOGRAM_BITS) - 1;
    unsigned shift;

    if (value > most)
        value = most;
    if (value >> HISTOGRAM_CUT == 0)
        return value;
    /* The highest HISTOGRAM_CUT + 1 bits say which: the first of them is always set. */
    shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_CUT;
    return ((size_t)shift << HISTOGRAM_CUT) + (size_t)(value >> shift);
}

static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
    histogram->buckets[histogram_bucket(value)]++;
    histogram->count++;
    histogram->sum += value;
}

void histogram_add(struct histogram *to, const struct histogram *from);

/* The longest that the fastest share (0 to 1) of all values may have taken: never less than
 * it was, and at most an eighth more. 0 when there are no values. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

/* How many values were below two to the power. */
uint64_t histogram_below(const struct histogram *histogram, unsigned power);

#endif
