/*
 * proxy/named.h - things that are found by their name.
 *
 *      struct ship { struct named named; ... };
 *
 *      struct named_set ships = {0};
 *      ship->named.name = name;                          lent while in the set
 *      if (named_add(&ships, &ship->named) != ERR_OK) ...
 *      ship = NAMED_ITEM(named_find(&ships, "argo"), struct ship, named);
 *      for (n = named_first(&ships); n != NULL; n = named_next(n)) ...
 *      while ((n = named_take_first(&ships)) != NULL) ...
 *
 * A set owns no item and keeps their order. It is uthash, whose macros are large, so they
 * stand in one place; a set of nothing takes no memory.
 */
#ifndef PROXY_NAMED_H
#define PROXY_NAMED_H

#include <uthash.h>

#include "base/contract.h"
#include "base/err.h"

struct named {
    const char *name;
    UT_hash_handle hh;
};

struct named_set {
    struct named *first;
};

#define NAMED_ITEM(n, type, member) ((n) ? CONTAINER_OF(n, type, member) : NULL)

/* ERR_NO_MEMORY: then it was not added. The set must not have that name already. */
enum err named_add(struct named_set *set, struct named *named) MUST_CHECK;
void named_remove(struct named_set *set, struct named *named);

struct named *named_find(const struct named_set *set, const char *name);
size_t named_count(const struct named_set *set);

/* In the order they were added; NULL behind the last. */
struct named *named_first(const struct named_set *set);
struct named *named_next(const struct named *named);

/* Removes the first, and gives it; NULL when none is left. */
struct named *named_take_first(struct named_set *set);

#endif
