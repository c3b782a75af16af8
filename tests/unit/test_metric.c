#include <criterion/criterion.h>
#include <string.h>

#include "base/metric.h"
#include "clean_end.h"

static struct bytes out;

static void clean_up(void)
{
    bytes_free(&out);
    clean_end();
}

TestSuite(metric, .fini = clean_up);

static void text_is(const char *expected)
{
    bytes_add(&out, "", 1);
    cr_assert_not(out.failed);
    cr_assert_str_eq((const char *)out.at, expected);
    bytes_clear(&out);
}

Test(metric, a_family_is_named_before_its_samples)
{
    metric_family(&out, "weir_queries_total", METRIC_COUNTER, "Queries of clients.");
    metric_sample(&out, "weir_queries_total", METRIC_NO_LABELS, 18446744073709551615u);
    text_is("# HELP weir_queries_total Queries of clients.\n"
            "# TYPE weir_queries_total counter\n"
            "weir_queries_total 18446744073709551615\n");
}

Test(metric, a_label_may_hold_anything)
{
    metric_sample(&out, "a", METRIC_LABELS({"x", "q\"b\\n\nl"}, {"y", "\xff\xc3\xa9"}), 1);
    text_is("a{x=\"q\\\"b\\\\n\\nl\",y=\"\xef\xbf\xbd\xc3\xa9\"} 1\n");
}

Test(metric, times_are_in_seconds)
{
    metric_time(&out, "a_seconds", METRIC_NO_LABELS, 0);
    metric_time(&out, "a_seconds", METRIC_NO_LABELS, 12000034);
    text_is("a_seconds 0.000000\na_seconds 12.000034\n");
}

Test(metric, a_histogram_counts_up_to_each_bound)
{
    struct histogram h = {0};
    size_t lines = 0;

    histogram_record(&h, 127);
    histogram_record(&h, 128);
    histogram_record(&h, 3600000000);
    metric_histogram(&out, "a_seconds", METRIC_LABELS({"user", "ana"}), &h);
    bytes_add(&out, "", 1);
    for (const char *at = (const char *)out.at; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    cr_assert_eq(lines, HISTOGRAM_LAST_BOUND - HISTOGRAM_FIRST_BOUND + 1 + 3);
    cr_assert_not_null(strstr((char *)out.at,
                              "a_seconds_bucket{user=\"ana\",le=\"0.000128\"} 1\n"
                              "a_seconds_bucket{user=\"ana\",le=\"0.000256\"} 2\n"));
    cr_assert_not_null(strstr((char *)out.at, "a_seconds_bucket{user=\"ana\",le=\"67.108864\"} 2\n"
                                              "a_seconds_bucket{user=\"ana\",le=\"+Inf\"} 3\n"
                                              "a_seconds_sum{user=\"ana\"} 3600.000255\n"
                                              "a_seconds_count{user=\"ana\"} 3\n"));
}
