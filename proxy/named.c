/* uthash would end the program when there is no memory; with this the item is not added. */
#define HASH_NONFATAL_OOM 1

#include "proxy/named.h"

#include <string.h>

/* The macros are the length of these functions, not what is written here. */
/* NOLINTBEGIN(readability-function-size) */

enum err named_add(struct named_set *set, struct named *named)
{
    HASH_ADD_KEYPTR(hh, set->first, named->name, strlen(named->name), named);
    return named->hh.tbl != NULL ? ERR_OK : ERR_NO_MEMORY;
}

void named_remove(struct named_set *set, struct named *named)
{
    HASH_DEL(set->first, named);
}

struct named *named_find(const struct named_set *set, const char *name)
{
    struct named *found = NULL;

    HASH_FIND_STR(set->first, name, found);
    return found;
}

/* NOLINTEND(readability-function-size) */

size_t named_count(const struct named_set *set)
{
    return HASH_COUNT(set->first);
}

struct named *named_first(const struct named_set *set)
{
    return set->first;
}

struct named *named_next(const struct named *named)
{
    return named->hh.next;
}

struct named *named_take_first(struct named_set *set)
{
    struct named *first = set->first;

    if (first != NULL)
        named_remove(set, first);
    return first;
}
