/*
 * proxy/fronts/postgres/brought.h - the settings that a client brings along in its first packet.
 *
 *      if (!brought_is_valid(parameters, ignored, text, sizeof(text))) refuse...
 *      own = brought_settings(set, standard, parameters, ignored);
 *
 * Any name is a setting, and `options` is a command line of them: -c name=value, or
 * --name=value, with blanks between and a backslash before a blank that is none (manual, 20.1.3
 * and 34.1.2). What PostgreSQL makes of a value it says when the client gets its first server.
 */
#ifndef PROXY_FRONTS_POSTGRES_BROUGHT_H
#define PROXY_FRONTS_POSTGRES_BROUGHT_H

#include <stdbool.h>

#include "drivers/postgres/parameters.h"

/* parameters: of the packet (startup.h). ignored: the names of ignore_startup_parameters. */
bool brought_is_valid(struct slice parameters, const char *ignored, char *text,
                      size_t size) MUST_CHECK;

/* The standard ones but for what the client has brought along. Gives what it returns. */
const struct parameters *brought_settings(struct parameters_set *set,
                                          const struct parameters *standard,
                                          struct slice parameters, const char *ignored) MUST_CHECK;

#endif
