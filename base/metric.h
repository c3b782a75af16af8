/*
 * base/metric.h - numbers as Prometheus reads them: its text format, version 0.0.4.
 *
 *      metric_family(&out, "weir_queries_total", METRIC_COUNTER, "Queries of clients.");
 *      metric_sample(&out, "weir_queries_total", METRIC_LABELS({"user", "ana"}), 42);
 *
 *      # HELP weir_queries_total Queries of clients.
 *      # TYPE weir_queries_total counter
 *      weir_queries_total{user="ana"} 42
 *
 * A family is named once, and all its samples follow at once; no two have the same labels.
 * Names end in their base unit (_seconds, _bytes), those of counters in _total. Values of
 * labels may be anything: they are escaped here, and what is not UTF-8 becomes U+FFFD.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/bytes.h"
#include "base/histogram.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_label {
    const char *name, *value; /* the list ends where name is NULL */
};

#define METRIC_LABELS(...) ((const struct metric_label[]){__VA_ARGS__, {0}})
#define METRIC_NO_LABELS   ((const struct metric_label[]){{0}})

const char *metric_kind_name(enum metric_kind kind);

void metric_family(struct bytes *out, const char *name, enum metric_kind kind, const char *help);
void metric_sample(struct bytes *out, const char *name, const struct metric_label *labels,
                   uint64_t value);

/* A sample in seconds, of microseconds. */
void metric_time(struct bytes *out, const char *name, const struct metric_label *labels,
                 uint64_t microseconds);

/* A histogram of microseconds, in seconds: its buckets, its sum and its count. */
void metric_histogram(struct bytes *out, const char *name, const struct metric_label *labels,
                      const struct histogram *histogram);

#endif
