/*
 * proxy/admin.h - what commands of the console do to a worker.
 *
 *      .console = &admin_events, .console_owner = worker       in a front's options
 *
 * Who may give them was decided before (console.h), and so was which of them can be done at all.
 */
#ifndef PROXY_ADMIN_H
#define PROXY_ADMIN_H

#include "proxy/fronts/postgres/console.h"

/* Their owner is a worker. */
extern const struct console_events admin_events;

#endif
