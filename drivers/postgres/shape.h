/*
 * drivers/postgres/shape.h - what rows look like, in 64 bits.
 *
 * A hash over what PostgreSQL compares when it says "cached plan must not change result type"
 * (equalTupleDescs): the names of the columns, their types, sizes and modifiers. Not the formats,
 * which a Bind chooses, nor the tables they come from. Taken from a message as it comes, in any
 * pieces:
 *
 *      shape_begin(&shape);
 *      shape_feed(&shape, piece);           a RowDescription or NoData, with its header
 *      if (shape_end(&shape) != told) ...
 *
 * PostgreSQL manual, 55.7 "Message Formats".
 */
#ifndef DRIVERS_POSTGRES_SHAPE_H
#define DRIVERS_POSTGRES_SHAPE_H

#include <stdint.h>

#include "base/bytes.h"

enum { SHAPE_UNKNOWN = 0 };

struct shape {
    uint64_t hash;
    uint8_t ahead; /* bytes of the header and the number of columns still to come */
    uint8_t fixed; /* of a column, behind its name: bytes still to come */
};

void shape_begin(struct shape *shape);
void shape_feed(struct shape *shape, struct slice piece);
/* Never SHAPE_UNKNOWN. */
uint64_t shape_end(const struct shape *shape);

#endif
