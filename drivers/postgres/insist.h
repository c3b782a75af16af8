/*
 * drivers/postgres/insist.h - whether a cancel is to be sent again; a backend's.
 *
 *      insist_begin(&insist, &relay->owed, now);               a cancel is on its way
 *      if (insist.due <= now && insist_again(&insist, &relay->owed, now)) cancel once more
 *
 * PostgreSQL ignores a cancel that arrives while it waits for a command, and one that was sent
 * right behind its query may overtake it (PostgreSQL manual, 55.2.8 Canceling Requests in
 * Progress). So as long as the server owes what it owed then, it is told again: after FIRST
 * milliseconds, then after twice as many, and so on, MOST times.
 *
 * What was not meant is not hit: not once the request is answered, nor while there is anything
 * behind it that the server may be at already. The caller sends nothing more until the cancel has
 * come to its end (cancel.h).
 *
 * What weir has sent ahead of the request, its settings or its BEGIN, is not meant either, and must
 * not fail: as long as the server is there the cancel is early, and waits (trap 30).
 *
 * Pure: it has no socket and no clock.
 */
#ifndef DRIVERS_POSTGRES_INSIST_H
#define DRIVERS_POSTGRES_INSIST_H

#include "base/contract.h"
#include "drivers/postgres/owed.h"

enum { INSIST_FIRST = 100, INSIST_MOST = 5 };

#define INSIST_NEVER UINT64_MAX

struct insist {
    uint64_t due;      /* INSIST_NEVER: it is given up */
    uint32_t until;    /* of what is owed, the first that was not when the cancel was sent */
    uint32_t answered; /* as it is while the request's own turn lasts */
    uint8_t tries;
};

/* Of a request that is not the only one it is never clear which was meant: then it is given up. */
void insist_begin(struct insist *insist, const struct owed *owed, uint64_t now);

/* Whether the server has not come to the request yet. */
bool insist_is_early(const struct insist *insist, const struct owed *owed);

/* It is due. True: once more. */
bool insist_again(struct insist *insist, const struct owed *owed, uint64_t now) MUST_CHECK;

#endif
