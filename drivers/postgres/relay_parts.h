/*
 * drivers/postgres/relay_parts.h - what the relay's two halves share: relay_from_client.c for what
 * the client sends, relay_from_server.c for what the server answers. Nobody else includes it.
 */
#ifndef DRIVERS_POSTGRES_RELAY_PARTS_H
#define DRIVERS_POSTGRES_RELAY_PARTS_H

#include <stddef.h>
#include <string.h>

#include "drivers/postgres/relay.h"
#include "drivers/postgres/wire.h"

enum {
    RELAY_HEADER = 5,           /* type and length */
    RELAY_LONGEST = 0x3ffffffe, /* what PostgreSQL itself takes (PQ_LARGE_MESSAGE_LIMIT) */
};

/* Whether the head of what is owed is one of these. */
#define ANY_OF(...) (relay_owes_any_of(relay, (const uint8_t[]){__VA_ARGS__, 0}))

static inline bool relay_owes_any_of(const struct relay *relay, const uint8_t *kinds)
{
    for (; *kinds != 0; kinds++)
        if (owed_head(&relay->owed) == *kinds)
            return true;
    return false;
}

/* All but its slices, of which there are none. */
static inline void relay_begin_plan(struct relay_plan *plan)
{
    memset(plan, 0, offsetof(struct relay_plan, slices));
}

static inline void relay_forward(struct relay_plan *plan, const uint8_t *at, size_t length)
{
    struct slice *last = plan->count > 0 ? &plan->slices[plan->count - 1] : NULL;

    if (last != NULL && last->at + last->length == at)
        last->length += length;
    else
        plan->slices[plan->count++] = (struct slice){at, length};
}

static inline bool relay_has_room(const struct relay_plan *plan)
{
    return !relay_plan_is_full(plan);
}

/* ---- names of statements: relay_names.c -------------------------------------------------- */

/* What relay_names_see makes of a message. */
struct relay_naming {
    size_t replaced; /* bytes at its beginning that something in the plan stands for */
    uint8_t kind;    /* of what is owed for it, if not what is for all of its type */
    uint8_t marks;   /* beside that; with OWED_HERE, it is not sent */
};

/* Looks at the client's next message; plain: its text is of no consequence. What must go ahead of
 * it is added to the plan. False: not yet, for the reason in plan->verdict, or because more of it
 * is needed. */
bool relay_names_see(struct relay *relay, struct slice message, bool plain, struct relay_plan *plan,
                     struct relay_naming *naming) MUST_CHECK;

/* The unnamed statement is the client's own from now on, or is not there any more. */
void relay_names_unnamed(struct relay *relay, bool own);

#endif
