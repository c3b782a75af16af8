/*
 * proxy/fronts/postgres/startup.h - the first packet of a connection.
 *
 *      switch (startup_read(in, &startup)) {
 *      case STARTUP_MORE:      wait for more bytes
 *      case STARTUP_SSL:       answer 'S' and do TLS, or 'N'; then read again
 *      case STARTUP_GSSENC:    answer 'N'; then read again
 *      case STARTUP_CANCEL:    startup.pid, startup.key; answer nothing
 *      case STARTUP_LOGIN:     startup.user wants startup.database
 *      case STARTUP_BAD:       say startup.why and startup.reason, close
 *      }
 *      use up startup.length bytes
 *
 * A packet has no type, only a length that counts itself, and a number: a version, or
 * one of three that no version will ever have.
 *
 *      | length 4 | 3.0 or 3.2    4 | user\0ana\0database\0shop\0...\0 |
 *      | length 4 | 1234.5678     4 | pid 4 | key 4 to 256 |           a CancelRequest
 *      | 8        | 1234.5679/80  4 |                       SSLRequest, GSSENCRequest
 *
 * What comes in pieces gets the same verdict as what comes at once, except that nothing
 * may follow an SSLRequest or GSSENCRequest before it is answered: such bytes would be
 * taken for encrypted ones and may be anybody's. The one who answers 'S' must see to it
 * that none came meanwhile.
 *
 * Versions, as PostgreSQL 18 sees them: 3.0 and 3.2 are spoken; 3.1 was never used and
 * is taken for 3.0 without a word; anything above is negotiated down to 3.2. A client
 * is told about that, and about _pq_. options (none is known), by one message.
 *
 * Slices are lent from the packet.
 *
 * PostgreSQL manual, 55.2.1 "Start-up", 55.7 "Message Formats".
 */
#ifndef PROXY_FRONTS_POSTGRES_STARTUP_H
#define PROXY_FRONTS_POSTGRES_STARTUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"

enum {
    STARTUP_LENGTH_MOST = 4 + 10000, /* PostgreSQL's limit: 10000 bytes after the length */
    STARTUP_USER_MOST = 127,
    STARTUP_DATABASE_MOST = 63, /* no PostgreSQL database has a longer name */
    STARTUP_NEWEST_MINOR = 2,
};

enum startup_kind {
    STARTUP_MORE,
    STARTUP_SSL,
    STARTUP_GSSENC,
    STARTUP_CANCEL,
    STARTUP_LOGIN,
    STARTUP_BAD,
};

struct startup {
    size_t length; /* of the packet; not for STARTUP_MORE and STARTUP_BAD */

    /* STARTUP_LOGIN */
    unsigned minor; /* version 3.minor is what the two will speak: 0 or 2 */
    struct slice user, database;
    struct slice replication; /* as the client wrote it; at is NULL if it did not */
    struct slice parameters;  /* all of them, for startup_next_parameter */
    uint32_t unknown_options; /* how many _pq_. options it has */
    bool must_negotiate;

    /* STARTUP_CANCEL */
    uint32_t pid;
    struct slice key;

    /* STARTUP_BAD */
    enum err why;
    char reason[120];
};

/* What the parameter replication asks for. */
enum startup_replication {
    STARTUP_NO_REPLICATION,
    STARTUP_PHYSICAL, /* a boolean as PostgreSQL reads them: true, on, yes, 1 ... */
    STARTUP_LOGICAL,  /* "database" */
    STARTUP_BAD_REPLICATION,
};

enum startup_kind startup_read(struct slice in, struct startup *startup) MUST_CHECK;

enum startup_replication startup_replication(const struct startup *startup) MUST_CHECK;

/* Adds the command line options ("-c name=value ...") that set what the client has asked for to a
 * server that is logged in to for it alone. Its own options come first, as they do in PostgreSQL.
 * Left out are application_name and client_encoding, which libpq has parameters of its own for. */
void startup_add_options(struct slice parameters, struct bytes *options);

void startup_add_option(const char *name, const char *value, struct bytes *options);

/* The value of the parameter called name, the last one if there are several; at is NULL: none. */
struct slice startup_value(struct slice parameters, const char *name) MUST_CHECK;

/* The parameters that are settings of the session: all but user, database, replication
 * and _pq_. options, in the client's order, repetitions too (the last one counts). Start
 * with rest = startup->parameters; false when there is no more. */
bool startup_next_parameter(struct slice *rest, struct slice *name, struct slice *value) MUST_CHECK;

/* Adds the NegotiateProtocolVersion that this client must get, if any. Its place is
 * before the first request to authenticate. */
void startup_add_negotiation(const struct startup *startup, struct bytes *out);

#endif
