/*
 * proxy/fronts/postgres/console.h - what is said to a client of the console.
 *
 *      console = console_create(&events, owner, is_admin);
 *      used = console_bytes(console, in, &out, &verdict);        one message, or none
 *      write out, and do as verdict says
 *      console_destroy(console);
 *
 * It speaks PostgreSQL's protocol in the server's place, simple and extended, and knows no
 * socket, no clock and no worker: what tables hold and what commands do is its events'.
 *
 *      client says                        it answers
 *      Query                              the command's answer, ReadyForQuery
 *      Parse Bind Describe Execute Sync   the same in parts, as a server would; in binary, too
 *      Terminate                          CONSOLE_ENDS
 *
 * A statement takes no parameters. An error in an extended message drops all up to the Sync.
 * A table is made when its portal is executed first, and kept if no more than a part of it was
 * asked for. Portals end with the next Sync or Query.
 *
 * Who is no admin may SHOW (but not FDS), and SET what is faked: drivers set a few parameters,
 * unasked, and are told that they have. Errors have PgBouncer's words and PostgreSQL's SQLSTATE.
 *
 * Source: PostgreSQL manual, 55.2.3 "Extended Query"; PgBouncer, src/admin.c.
 */
#ifndef PROXY_FRONTS_POSTGRES_CONSOLE_H
#define PROXY_FRONTS_POSTGRES_CONSOLE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "proxy/fronts/postgres/console_task.h"

enum {
    CONSOLE_MESSAGE_MOST = 16 * 1024, /* of a client */
    CONSOLE_NAMES_MOST = 100,         /* prepared statements of a client, and portals */
};

enum console_verdict {
    CONSOLE_GOES_ON, /* and again with what was not used */
    CONSOLE_WANTS_MORE,
    CONSOLE_ENDS,   /* the client said goodbye */
    CONSOLE_BROKEN, /* nobody could make sense of its message */
};

struct console;

/* NULL for want of memory. */
struct console *console_create(const struct console_events *events, void *owner,
                               bool is_admin) MUST_CHECK;
void console_destroy(struct console *console); /* NULL is none */

size_t console_bytes(struct console *console, struct slice in, struct bytes *out,
                     enum console_verdict *verdict) MUST_CHECK;

/* What a client of the console is greeted with, before its key and ReadyForQuery. */
void console_greet(struct bytes *out);

/* Whether database is what the console is called; whether user is in a comma list. */
bool console_is_database(const char *database);
bool console_is_listed(const char *list, const char *user);

/* The PgBouncer that it is compatible with. */
#define CONSOLE_VERSION "1.25.2"

#endif
