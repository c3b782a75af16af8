/*
 * drivers/postgres/cancel.h - asks PostgreSQL to cancel what a connection is doing.
 *
 *      if (cancel_send(&worker->cancels, backend->conn, backend, done) != ERR_OK)
 *          ...                       too many under way already
 *
 * done is called once, from the loop, when the server has closed the cancel's own
 * connection: only then it is certain that the cancel hits nothing that comes later
 * (PostgreSQL manual, 55.2.8 Canceling Requests in Progress). Until done the caller keeps
 * the connection from everybody else. conn is lent for the call.
 *
 * From libpq 17 on the cancel is sent by the loop, and under TLS where the connection is,
 * with the same verification. Before that there is only PQcancel: it blocks, so it runs on
 * the thread pool, and it does not encrypt. Who listens on the network could then read the
 * key of that one backend, and cancel its queries; the server's pg_hba.conf does not apply
 * to cancels, so that works with hostssl, too. Either way a limit of its own keeps a storm
 * of cancels away from logins.
 */
#ifndef DRIVERS_POSTGRES_CANCEL_H
#define DRIVERS_POSTGRES_CANCEL_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "drivers/offload.h"

typedef void cancel_done(void *owner, const char *why_not); /* NULL: it was delivered */

enum err cancel_send(struct offload *offload, PGconn *conn, void *owner,
                     cancel_done *done) MUST_CHECK;

#endif
