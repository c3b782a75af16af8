/*
 * proxy/routes.h - the pages of the HTTP door: one row each.
 *
 *      options.routes = routes_all(&options.routes_length);        options.context: the worker
 */
#ifndef PROXY_ROUTES_H
#define PROXY_ROUTES_H

#include "proxy/fronts/http/exchange.h"

const struct exchange_handler *routes_all(size_t *length);

#endif
