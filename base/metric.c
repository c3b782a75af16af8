#include "base/metric.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

enum { MICROSECONDS = 1000000 };

static void add_text(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

static void add_escaped(struct bytes *out, const char *text)
{
    struct slice rest = {(const uint8_t *)text, strlen(text)};

    while (rest.length > 0) {
        size_t length = utf8_length(rest), took = length > 0 ? length : 1;

        if (length == 0)
            add_text(out, "\xef\xbf\xbd");
        else if (rest.at[0] == '\n')
            add_text(out, "\\n");
        else if (rest.at[0] == '"' || rest.at[0] == '\\')
            bytes_print(out, "\\%c", rest.at[0]);
        else
            bytes_add(out, rest.at, length);
        rest.at += took;
        rest.length -= took;
    }
}

/* Writes name, what is put behind it, and the labels; le, of a histogram's bucket, is one
 * more of them unless it is NULL. */
static void add_series(struct bytes *out, const char *name, const char *suffix,
                       const struct metric_label *labels, const char *le)
{
    const char *before = "{";

    add_text(out, name);
    add_text(out, suffix);
    for (; labels->name != NULL; labels++, before = ",") {
        bytes_print(out, "%s%s=\"", before, labels->name);
        add_escaped(out, labels->value);
        add_text(out, "\"");
    }
    if (le != NULL) {
        bytes_print(out, "%sle=\"%s\"", before, le);
        before = ",";
    }
    add_text(out, *before == ',' ? "} " : " ");
}

static void add_count(struct bytes *out, uint64_t value)
{
    bytes_print(out, "%" PRIu64 "\n", value);
}

static void add_seconds(struct bytes *out, uint64_t microseconds)
{
    bytes_print(out, "%" PRIu64 ".%06u\n", microseconds / MICROSECONDS,
                (unsigned)(microseconds % MICROSECONDS));
}

const char *metric_kind_name(enum metric_kind kind)
{
    static const char *const names[] = {"counter", "gauge", "histogram"};

    return names[kind];
}

void metric_family(struct bytes *out, const char *name, enum metric_kind kind, const char *help)
{
    bytes_print(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, metric_kind_name(kind));
}

void metric_sample(struct bytes *out, const char *name, const struct metric_label *labels,
                   uint64_t value)
{
    add_series(out, name, "", labels, NULL);
    add_count(out, value);
}

void metric_time(struct bytes *out, const char *name, const struct metric_label *labels,
                 uint64_t microseconds)
{
    add_series(out, name, "", labels, NULL);
    add_seconds(out, microseconds);
}

void metric_histogram(struct bytes *out, const char *name, const struct metric_label *labels,
                      const struct histogram *histogram)
{
    for (unsigned power = HISTOGRAM_FIRST_BOUND; power <= HISTOGRAM_LAST_BOUND; power++) {
        char le[32];

        snprintf(le, sizeof(le), "%.6f", (double)((uint64_t)1 << power) / MICROSECONDS);
        add_series(out, name, "_bucket", labels, le);
        add_count(out, histogram_below(histogram, power));
    }
    add_series(out, name, "_bucket", labels, "+Inf");
    add_count(out, histogram->count);
    add_series(out, name, "_sum", labels, NULL);
    add_seconds(out, histogram->sum);
    add_series(out, name, "_count", labels, NULL);
    add_count(out, histogram->count);
}
