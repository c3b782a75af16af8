/*
 * drivers/postgres/following.h - the settings of a server, and how its client wants them.
 *
 *      following_lease(f, wanted, own);
 *      if (following_write(f, &sql)) ...          the server is not as its client wants it
 *      following_arrived(f);                      ... now it is
 *      following_report(f, name, value);          the server has told a value
 *      following_change(f, &change);              its client has changed a setting
 *      wanted = following_leave(f);
 *
 * What a client sets is set on its server, and wanted of the next. What it resets goes back to what
 * the client brought along when it came (trap 46), while the server knows only its own defaults: so
 * the two are not the same until what following_write writes was done.
 *
 * Ownership: what is lent is held here as long as it is needed; following_leave Gives.
 */
#ifndef DRIVERS_POSTGRES_FOLLOWING_H
#define DRIVERS_POSTGRES_FOLLOWING_H

#include "drivers/postgres/parameters.h"
#include "drivers/postgres/sql.h"

struct following {
    struct parameters_set *set;
    const struct parameters *has;    /* the server; reported values as it has reported them */
    const struct parameters *wanted; /* by its client; NULL: nobody has it */
    const struct parameters *own;    /* what the client brought along */
    const struct parameters *coming; /* what the server will have; NULL: as it is */
};

/* False for want of memory. */
bool following_init(struct following *f, struct parameters_set *set) MUST_CHECK;
void following_fini(struct following *f);

/* NULL: as the server is. */
void following_lease(struct following *f, const struct parameters *wanted,
                     const struct parameters *own);
const struct parameters *following_leave(struct following *f) MUST_CHECK;

/* Adds the SQL that makes the server as its client wants it. False: there is nothing to do. */
bool following_write(struct following *f, struct bytes *sql) MUST_CHECK;
/* Whether it would. */
bool following_differs(const struct following *f);
void following_arrived(struct following *f);
void following_failed(struct following *f);

/* A value of those that parameters_find() knows. */
void following_report(struct following *f, enum parameters_name name, struct slice value);

/* False: the server has it, and it cannot be kept. */
bool following_change(struct following *f, const struct sql_change *change) MUST_CHECK;

/* The server says that it has this; value.at NULL: its default. The same. */
bool following_found(struct following *f, struct slice name, struct slice value) MUST_CHECK;

/* Whether its client wants nothing but what it brought along, reported values aside. */
bool following_is_own(const struct following *f);

/* It was reset: the server has its defaults, but for what it reports; and for its role, unless
 * role_too. */
void following_discarded(struct following *f, bool role_too);

#endif
