/*
 * base/list.h - a doubly linked list that counts, with its links inside the items.
 *
 *      struct session { struct link link; ... };
 *      list_push_back(&idle, &session->link);
 *      oldest = LIST_FRONT(&idle, struct session, link);      NULL when empty
 *
 * It allocates nothing, so nothing fails; it owns no item. A link is in one list at
 * most, and all zero while it is in none: calloc() is initialisation enough.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/contract.h"

struct link {
    struct link *before, *after;
};

struct list {
    struct link ring; /* ring.after is the front, ring.before the back */
    size_t length;
};

#define LIST_ITEM(l, type, member)     ((l) ? CONTAINER_OF(l, type, member) : NULL)
#define LIST_FRONT(list, type, member) LIST_ITEM(list_front(list), type, member)
#define LIST_BACK(list, type, member)  LIST_ITEM(list_back(list), type, member)

static inline void list_init(struct list *list)
{
    list->ring.before = list->ring.after = &list->ring;
    list->length = 0;
}

static inline bool link_is_linked(const struct link *link)
{
    return link->after != NULL;
}

static inline struct link *list_front(const struct list *list)
{
    return list->length > 0 ? list->ring.after : NULL;
}

static inline struct link *list_back(const struct list *list)
{
    return list->length > 0 ? list->ring.before : NULL;
}

/* Who stands behind link; NULL behind the last. */
static inline struct link *list_after(const struct list *list, const struct link *link)
{
    return link->after != &list->ring ? link->after : NULL;
}

static inline void list_push_back(struct list *list, struct link *link)
{
    ASSERT(!link_is_linked(link));
    link->before = list->ring.before;
    link->after = &list->ring;
    link->before->after = link;
    list->ring.before = link;
    list->length++;
}

static inline void list_push_front(struct list *list, struct link *link)
{
    ASSERT(!link_is_linked(link));
    link->before = &list->ring;
    link->after = list->ring.after;
    link->after->before = link;
    list->ring.after = link;
    list->length++;
}

static inline void list_remove(struct list *list, struct link *link)
{
    ASSERT(link_is_linked(link) && list->length > 0);
    link->before->after = link->after;
    link->after->before = link->before;
    link->before = link->after = NULL;
    list->length--;
}

static inline struct link *list_pop_front(struct list *list)
{
    struct link *front = list_front(list);

    if (front != NULL)
        list_remove(list, front);
    return front;
}

#endif
