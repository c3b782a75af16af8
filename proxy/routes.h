/*
 * proxy/routes.h - the pages of the HTTP door: one row each.
 *
 *      options.routes_length = routes_make(worker->routes, config);  options.context: the worker
 */
#ifndef PROXY_ROUTES_H
#define PROXY_ROUTES_H

#include "proxy/config.h"
#include "proxy/fronts/http/exchange.h"

enum { ROUTES_MOST = 32 };

/* Fills in the rows that this configuration has, with its limits; how many they are. */
size_t routes_make(struct exchange_handler routes[ROUTES_MOST], const struct config *config);

#endif
