/*
 * drivers/postgres/login.h - logs in to PostgreSQL with libpq, without blocking the loop.
 *
 *      login = login_start(loop, &target, owner, done);
 *      ... done(owner, conn, NULL)  or  done(owner, NULL, "why it failed")
 *      login_stop(login);           instead, when nobody wants it any more
 *
 *      resolving --> connecting (PQconnectPoll under uv_poll) --> done
 *
 * The user's connection string is libpq's own, so sslmode, several hosts,
 * target_session_attrs, passfile and service work. Who says nothing of sslmode gets libpq's
 * default, prefer: TLS if the server has it, unverified. Kerberos encryption is never used,
 * since only libpq could speak it afterwards. Host names are resolved on the thread pool
 * first and handed over as hostaddr, since PQconnectStart would block in getaddrinfo; the
 * name goes along, and verify-full compares the certificate with it.
 *
 * done is called once, from the loop, never from inside login_start; it is given the
 * connection (Gives) or lent the reason, and the login is gone. No deadline here: whoever
 * started it stops it.
 */
#ifndef DRIVERS_POSTGRES_LOGIN_H
#define DRIVERS_POSTGRES_LOGIN_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/contract.h"
#include "base/err.h"

/* What one client alone wants of its connection; NULL where it said nothing. */
struct login_wishes {
    const char *replication; /* "true" or "database": the server is to be a walsender */
    const char *options;     /* for the server's command line, after those of conninfo */
    const char *application_name, *client_encoding;
};

/* Where to, and as whom. NULL is libpq's default; conninfo comes first, and the others
 * replace what it says. Lent for the call. */
struct login_target {
    const char *conninfo; /* a URL or key=value pairs */
    const char *host, *port, *dbname, *user, *password;
    struct login_wishes wishes;
};

struct login;
typedef void login_done(void *owner, PGconn *conn, const char *why);

/* Gives a login under way; NULL for want of memory. */
struct login *login_start(uv_loop_t *loop, const struct login_target *target, void *owner,
                          login_done *done) MUST_CHECK;
void login_stop(struct login *login);

/* Whether conninfo can be understood; else why not, in why. */
bool login_conninfo_is_valid(const char *conninfo, char *why, size_t size);

/* What conninfo says about name ("user", "dbname"); else what libpq would take. */
void login_conninfo_value(const char *conninfo, const char *name, char *to, size_t size);

#endif
