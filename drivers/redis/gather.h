/*
 * drivers/redis/gather.h - what a subscribing link says, message by message, each of them whole.
 *
 *      found = gather_read(&gather, &heard, in, &used);
 *      GATHER_WHOLE:  heard is it; gather_form() is its bytes, for clients in RESP2 or RESP3
 *      GATHER_MORE:   show what was not used again, with more behind it
 *      GATHER_PASSED: it is longer than most, and is gone past; heard says what is known of it
 *
 * A message that is whole in `in` is lent from there. Of a short one that is not, nothing is
 * used; a longer one is gathered in a block of its size, and there is one such block at most.
 *
 * A client in RESP3 is sent the same bytes but for the first, so these are copied once for all of
 * them, into a block that is used again. Who cannot send at once keeps the block (gather_keep),
 * shared with all others; then the next message gets another.
 */
#ifndef DRIVERS_REDIS_GATHER_H
#define DRIVERS_REDIS_GATHER_H

#include "base/bytes.h"
#include "base/contract.h"
#include "drivers/redis/heard.h"
#include "drivers/redis/resp.h"

enum gather_found { GATHER_MORE, GATHER_WHOLE, GATHER_PASSED, GATHER_BROKEN };

/* A message in one protocol's form. */
struct gather_message {
    unsigned holders;
    size_t length, capacity;
    uint8_t bytes[];
};

struct gather {
    size_t most;                     /* bytes of a message, framing included */
    struct slice message;            /* the one that is there, as RESP2 has it */
    struct gather_message *forms[2]; /* ... for RESP2 and RESP3, if they were */
    bool made[2];                    /* ... copied */
    struct gather_message *part;     /* what is not whole yet */
    size_t needs;                    /* so many bytes at least */
    struct gather_message *passed;   /* what there was of one that is too long */
    struct resp skip;                /* where in it */
    bool skipping;
};

void gather_init(struct gather *gather, size_t most);
/* To begin with another link; or the end. */
void gather_reset(struct gather *gather);

enum gather_found gather_read(struct gather *gather, struct heard *heard, struct slice in,
                              size_t *used) MUST_CHECK;

/* The message that is there, lent until the next is read. False: no memory. */
bool gather_form(struct gather *gather, bool is_resp3, struct slice *bytes) MUST_CHECK;
/* The same, to be kept; NULL for want of memory. */
struct gather_message *gather_keep(struct gather *gather, bool is_resp3) MUST_CHECK;
void gather_release(struct gather_message *message);

#endif
