/*
 * drivers/postgres/parameters.h - the session settings that follow a client from server to
 * server: those that PostgreSQL reports when they change (manual, 55.2.7 Asynchronous
 * Operations) and that a client can set, and beside them extras: whatever else it has set.
 *
 *      p = parameters_change(set, p, PARAMETERS_TIME_ZONE, value);    p was held, and is
 *      p = parameters_set_extra(set, p, name, value);
 *      if (wanted != current)
 *          parameters_write_sets(current, wanted, &sql);              "SET TimeZone TO 'UTC'"
 *      parameters_release(set, p);
 *
 * A set keeps each combination of values once, so two sessions that want the same point to
 * the same parameters, and whether a server is as its client wants it is one comparison.
 *
 * An extra's name is in lower case and its value as set_config() takes it; what has no extra
 * has the server's default. Beyond PARAMETERS_EXTRAS_MOST bytes a client can have no more.
 *
 * Ownership: parameters never change. Who keeps a pointer holds it, and releases it.
 * parameters_change and the others that take a set take what they are given and Give what they
 * return; for want of memory, the same.
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

enum { PARAMETERS_EXTRAS_MOST = 4096 };

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

/* The same but for one value. What is not printable ASCII in
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

/* ---- extras ------------------------------------------------------------------------------ */

/* Whether it can be an extra: short enough, a name of ASCII, and a value in UTF-8. */
bool parameters_may_keep(const struct parameters *p, struct slice name, struct slice value);

/* A value that may not be kept is left out. */
const struct parameters *parameters_set_extra(struct parameters_set *set,
                                              const struct parameters *p, struct slice name,
                                              struct slice value) MUST_CHECK;
const struct parameters *parameters_drop_extra(struct parameters_set *set,
                                               const struct parameters *p,
                                               struct slice name) MUST_CHECK;

/* The setting of that name, reported or not, becomes what it is in own. */
const struct parameters *parameters_restore(struct parameters_set *set, const struct parameters *p,
                                            const struct parameters *own,
                                            struct slice name) MUST_CHECK;

/* The extras become those of own; but the role stays, unless role_too. */
const struct parameters *parameters_restore_extras(struct parameters_set *set,
                                                   const struct parameters *p,
                                                   const struct parameters *own,
                                                   bool role_too) MUST_CHECK;

/* NULL: there is none of that name. */
const char *parameters_extra(const struct parameters *p, struct slice name);

bool parameters_have_same_extras(const struct parameters *a, const struct parameters *b);

/* One after the other, each with the NUL that ends it; NULL begins and ends. */
const char *parameters_next_extra(const struct parameters *p, const char *name, const char **value);

/* ---- to the server ----------------------------------------------------------------------- */

/* Adds the SQL that makes a session of one into a session of the other, with a NUL. */
void parameters_write_sets(const struct parameters *from, const struct parameters *to,
                           struct bytes *sql);

#endif
