#include <criterion/criterion.h>

#include "clean_end.h"
#include "proxy/stats.h"

TestSuite(stats, .fini = clean_end);

Test(stats, figures_of_pools_are_added_up)
{
    struct metrics_pool one = {.transactions = 1, .logins = 2}, two = {.transactions = 10};
    struct stats sum = {{0}};

    histogram_record(&one.wait, 100);
    histogram_record(&two.wait, 50);
    stats_add_pool(&sum, &one);
    stats_add_pool(&sum, &two);
    cr_assert_eq(sum.of[STATS_TRANSACTIONS], 11);
    cr_assert_eq(sum.of[STATS_LOGINS], 2);
    cr_assert_eq(sum.of[STATS_ASSIGNMENTS], 2);
    cr_assert_eq(sum.of[STATS_WAIT_TIME], 150);
    stats_add(&sum, &sum);
    cr_assert_eq(sum.of[STATS_TRANSACTIONS], 22);
}

Test(stats, counts_are_averaged_over_time_and_times_over_what_took_them)
{
    struct stats before = {{0}}, now, average;

    before.of[STATS_QUERIES] = 100;
    before.of[STATS_QUERY_TIME] = 5000;
    before.of[STATS_WAIT_TIME] = 1;
    before.of[STATS_SENT] = UINT64_C(1) << 60;
    now = before;
    now.of[STATS_QUERIES] += 30;
    now.of[STATS_QUERY_TIME] += 600;
    now.of[STATS_SENT] += UINT64_C(1) << 50; /* times a million is more than 64 bits */
    stats_average(&average, &now, &before, 2000000);
    cr_assert_eq(average.of[STATS_QUERIES], 15);
    cr_assert_eq(average.of[STATS_QUERY_TIME], 20);
    cr_assert_eq(average.of[STATS_WAIT_TIME], 0);
    cr_assert_eq(average.of[STATS_TRANSACTION_TIME], 0);
    cr_assert_eq(average.of[STATS_SENT], UINT64_C(1) << 49);
}

Test(stats, in_no_time_there_is_no_average)
{
    struct stats before = {{0}}, now = {{0}}, average;

    now.of[STATS_QUERIES] = 5;
    stats_average(&average, &now, &before, 0);
    cr_assert_eq(average.of[STATS_QUERIES], 0);
}
