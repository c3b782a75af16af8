/*
 * drivers/postgres/upkeep.h - keeps a leased server's session accounted for; a backend's.
 *
 *      upkeep_lease(upkeep, relay, wanted, own, mode);
 *      upkeep_note(upkeep, relay, conn, &plan);            after each relay_from_server
 *      if (upkeep_next(upkeep, relay, &out)) send(out);    when the relay is settled
 *      if (upkeep_allows(upkeep, relay)) leave...
 *
 * Between two transactions it asks the server what only the server can tell, and sets what the
 * client wants and the server has lost. What can neither follow nor be undone pins the client to
 * its server (relay.h), until the server says that it is no more.
 */
#ifndef DRIVERS_POSTGRES_UPKEEP_H
#define DRIVERS_POSTGRES_UPKEEP_H

#include <libpq-fe.h>

#include "drivers/postgres/following.h"
#include "drivers/postgres/question.h"
#include "drivers/postgres/relay.h"

struct upkeep {
    struct following settings;
    struct question question;
    unsigned failed; /* questions in a row */
};

/* False for want of memory. */
bool upkeep_init(struct upkeep *upkeep, struct parameters_set *set) MUST_CHECK;
void upkeep_fini(struct upkeep *upkeep);

/* wanted and own are lent; NULL: as the server is. */
void upkeep_lease(struct upkeep *upkeep, struct relay *relay, const struct parameters *wanted,
                  const struct parameters *own, enum state_mode mode);

/* What the server has reported when it was new. */
void upkeep_read(struct upkeep *upkeep, const PGconn *conn);

void upkeep_note(struct upkeep *upkeep, struct relay *relay, const PGconn *conn,
                 const struct relay_plan *plan, bool leased);

/* Adds what is to be asked or set now. False: nothing is. Only when the relay is settled. */
bool upkeep_next(struct upkeep *upkeep, struct relay *relay, struct bytes *out) MUST_CHECK;

/* Whether nothing is left that must be asked first. */
bool upkeep_allows(const struct relay *relay);

/* Adds what makes the server as its client wants it, before the client's first message. */
void upkeep_adapt(struct upkeep *upkeep, struct relay *relay, struct bytes *ahead);

/* sql was executed by us, to clean. */
void upkeep_cleaned(struct upkeep *upkeep, const char *sql);

#endif
