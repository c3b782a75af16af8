/*
 * proxy/fronts/http/route.h - which handler a request is for, and who may call it from where.
 *
 *      route_find(&routes, method, path, &found);
 *      if (found.handler == NULL) ...          404 where found.methods is 0, else 405
 *      route_allows_origin("https://a.example", origin)
 *
 * Pure: a table and a request in, a verdict out.
 */
#ifndef PROXY_FRONTS_HTTP_ROUTE_H
#define PROXY_FRONTS_HTTP_ROUTE_H

#include "proxy/fronts/http/exchange.h"

struct route_table {
    const struct exchange_handler *handlers;
    size_t length;
};

struct route_found {
    const struct exchange_handler *handler; /* the one to begin; NULL: none */
    const struct exchange_handler *near;    /* the best for the path, whatever its methods */
    unsigned methods;                       /* that the path takes; 0: there is no such path */
};

void route_find(const struct route_table *table, enum exchange_method method, struct slice path,
                struct route_found *found);

/* "GET, HEAD, OPTIONS" */
void route_list_methods(unsigned methods, struct bytes *out);

/* Whether scripts of that origin may call: origins is a list with commas or blanks between, or
 * "*"; NULL and "" are none. */
bool route_allows_origin(const char *origins, struct slice origin);
bool route_allows_all(const char *origins);

#endif
