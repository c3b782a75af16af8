/*
 * drivers/postgres/parameters.h - the session settings that follow a client from server to
 * server: those that PostgreSQL reports when they change (manual, 55.2.7 Asynchronous
 * Operations) and that a client can set.
 *
 *      p = parameters_change(set, p, PARAMETERS_TIME_ZONE, value);    p was held, and is
 *      if (wanted != current)
 *          parameters_write_sets(current, wanted, &sql);              "SET TimeZone TO 'UTC'"
 *      parameters_release(set, p);
 *
 * A set keeps each combination of values once, so two sessions that want the same point to
 * the same parameters, and whether a server is as its client wants it is one comparison.
 *
 * Ownership: parameters never change. Who keeps a pointer holds it, and releases it.
 * parameters_change takes what it is given and Gives what it returns.
 */
#ifndef DRIVERS_POSTGRES_PARAMETERS_H
#define DRIVERS_POSTGRES_PARAMETERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"

/* In the order they are set: how the others are read depends on the first. */
/* clang-format off */
#define PARAMETERS(X) \
    X(CLIENT_ENCODING,  "client_encoding")  \
    X(STRINGS,          "standard_conforming_strings") \
    X(DATE_STYLE,       "DateStyle")        \
    X(INTERVAL_STYLE,   "IntervalStyle")    \
    X(TIME_ZONE,        "TimeZone")         \
    X(APPLICATION_NAME, "application_name")
/* clang-format on */

enum parameters_name {
#define X(name, ...) PARAMETERS_##name,
    PARAMETERS(X)
#undef X
        PARAMETERS_COUNT
};

extern const char *const parameters_names[PARAMETERS_COUNT];

struct parameters;

/* All that are held; all zero is an empty set. */
struct parameters_set {
    struct parameters *all;
};

/* PARAMETERS_COUNT: it is none of these. Names have no case. */
enum parameters_name parameters_find(struct slice name);

/* Those with all values empty: to begin with. NULL for want of memory. */
const struct parameters *parameters_empty(struct parameters_set *set) MUST_CHECK;

/* The same but for one value; for want of memory, the same. What is not printable ASCII in
 * value becomes '?', as PostgreSQL has it for application_name. */
const struct parameters *parameters_change(struct parameters_set *set, const struct parameters *p,
                                           enum parameters_name name,
                                           struct slice value) MUST_CHECK;

const struct parameters *parameters_hold(const struct parameters *p);
void parameters_release(struct parameters_set *set, const struct parameters *p);

/* How SQL is read: a text means the same to two sessions where this is the same. Its literals are
 * taken in when it is parsed, by client_encoding, TimeZone and the like. */
uint64_t parameters_reading(const struct parameters *p);

const char *parameters_value(const struct parameters *p, enum parameters_name name);

/* Adds the SQL that makes a session of one into a session of the other, with a NUL. */
void parameters_write_sets(const struct parameters *from, const struct parameters *to,
                           struct bytes *sql);

#endif
