/*
 * proxy/fronts/postgres/greeting.h - from the first byte of a client to its welcome.
 *
 *      session->greeting = greeting_begin(session);
 *      used = greeting_bytes(session->greeting, in);
 *      ... session_welcome(), session_wait_for_cancel() or session_fail()
 *      greeting_abandon(session->greeting);       from any of them: it is over
 *
 *      first packet --> password exchange --> (keys being derived) --> welcome
 *           `--> SSLRequest, GSSENCRequest: answered 'N', and again
 *           `--> CancelRequest: passed on
 *
 * What a login needs lives here and not in the session, and is wiped when it is over.
 *
 * Ownership: greeting_abandon takes the greeting, also from inside greeting_bytes and
 * while a thread still works for it.
 */
#ifndef PROXY_FRONTS_POSTGRES_GREETING_H
#define PROXY_FRONTS_POSTGRES_GREETING_H

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"

struct greeting;
struct session;

/* NULL for want of memory. */
struct greeting *greeting_begin(struct session *session) MUST_CHECK;
size_t greeting_bytes(struct greeting *greeting, struct slice in);
void greeting_abandon(struct greeting *greeting);

/* Welcomes the client: what its server has reported, its key to cancel with, ReadyForQuery. From
 * then on session->lease.wanted says how it wants its servers: as they are anyway, but for what
 * it asked for in its first packet. */
enum err greeting_welcome(const struct greeting *greeting) MUST_CHECK;

#endif
