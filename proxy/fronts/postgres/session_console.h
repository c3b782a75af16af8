/*
 * proxy/fronts/postgres/session_console.h - a session whose client talks to the console.
 *
 *      e = session_console_begin(session, "ana", is_admin);       it is greeted
 *      used = session_console_bytes(session, in);                 ... as long as it is one
 *
 * What is said is decided in console.h; here it is sent. Who does not read what it has asked for
 * is not asked what else it wants.
 */
#ifndef PROXY_FRONTS_POSTGRES_SESSION_CONSOLE_H
#define PROXY_FRONTS_POSTGRES_SESSION_CONSOLE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"

struct session;

/* Instead of session_welcome(). On failure it is as it was. */
enum err session_console_begin(struct session *session, const char *user, bool is_admin) MUST_CHECK;

size_t session_console_bytes(struct session *session, struct slice in);

#endif
