#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/histogram.h"
#include "clean_end.h"

TestSuite(histogram, .fini = clean_end);

enum { VALUES = 2000, ROUNDS = 50 };

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Of any size: as many below 1 ms as above 1 s. */
static uint64_t some_time(void)
{
    return (next() & 0xffffffff) >> next() % 32;
}

static int ascending(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

    return (one > other) - (one < other);
}

Test(histogram, buckets_follow_each_other_and_get_wider)
{
    size_t before = histogram_bucket(0);

    cr_assert_eq(before, 0);
    for (uint64_t value = 1; value < 100000; value++) {
        size_t bucket = histogram_bucket(value);

        cr_assert(bucket == before || bucket == before + 1, "%zu", (size_t)value);
        cr_assert(value > 16 || bucket == value);
        before = bucket;
    }
    cr_assert_eq(histogram_bucket(UINT32_MAX), HISTOGRAM_BUCKETS - 1);
    cr_assert_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

Test(histogram, a_power_of_two_begins_a_bucket)
{
    for (unsigned power = 1; power < HISTOGRAM_BITS; power++)
        cr_assert_eq(histogram_bucket((uint64_t)1 << power),
                     histogram_bucket(((uint64_t)1 << power) - 1) + 1);
}

Test(histogram, a_quantile_is_never_too_short_and_at_most_an_eighth_too_long)
{
    static const double shares[] = {0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
    static uint64_t values[VALUES];

    for (int round = 0; round < ROUNDS; round++) {
        struct histogram h = {0};
        size_t count = 1 + next() % VALUES;

        for (size_t i = 0; i < count; i++)
            histogram_record(&h, values[i] = some_time());
        qsort(values, count, sizeof(values[0]), ascending);

        for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
            double rank = shares[i] * (double)count;
            size_t at = (size_t)rank;
            uint64_t exact, answer = histogram_quantile(&h, shares[i]);

            at = (double)at < rank ? at + 1 : at; /* the smallest number not below rank */
            exact = values[at > 0 ? at - 1 : 0];
            cr_assert(answer >= exact && answer <= exact + exact / 8, "%g: %zu for %zu", shares[i],
                      (size_t)answer, (size_t)exact);
        }
    }
}

Test(histogram, counts_at_the_bounds_are_exact)
{
    struct histogram h = {0};
    uint64_t below[HISTOGRAM_BITS] = {0}, sum = 0;

    for (int i = 0; i < VALUES; i++) {
        uint64_t value = i % 3 ? some_time() : (uint64_t)1 << next() % HISTOGRAM_BITS;

        histogram_record(&h, value);
        sum += value;
        for (unsigned power = 0; power < HISTOGRAM_BITS; power++)
            below[power] += value < (uint64_t)1 << power;
    }
    for (unsigned power = HISTOGRAM_FIRST_BOUND; power <= HISTOGRAM_LAST_BOUND; power++)
        cr_assert_eq(histogram_below(&h, power), below[power]);
    cr_assert_eq(h.count, VALUES);
    cr_assert_eq(h.sum, sum);
}

Test(histogram, added_up_it_is_as_if_one_had_counted_all)
{
    struct histogram one = {0}, other = {0}, all = {0};

    for (int i = 0; i < VALUES; i++) {
        uint64_t value = some_time();

        histogram_record(i % 2 ? &one : &other, value);
        histogram_record(&all, value);
    }
    histogram_add(&one, &other);
    cr_assert_arr_eq(&one, &all, sizeof(all));
}

Test(histogram, an_empty_one_answers_nothing)
{
    struct histogram h = {0};

    cr_assert_eq(histogram_quantile(&h, 0.5), 0);
    cr_assert_eq(histogram_below(&h, HISTOGRAM_LAST_BOUND), 0);
}
