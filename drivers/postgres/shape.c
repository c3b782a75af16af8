#include "drivers/postgres/shape.h"

enum {
    AHEAD = 5 + 2, /* type, length; the number of columns */
    FIXED = 18,    /* table 4, attribute 2, type 4, size 2, modifier 4, format 2 */
    FIRST = 12,    /* as many are still to come where the type begins ... */
    LAST = 3,      /* ... and where the modifier ends */
};

/* FNV-1a. */
static uint64_t mix(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

void shape_begin(struct shape *shape)
{
    *shape = (struct shape){.hash = UINT64_C(0xcbf29ce484222325), .ahead = AHEAD};
}

void shape_feed(struct shape *shape, struct slice piece)
{
    uint64_t hash = shape->hash;

    for (size_t i = 0; i < piece.length; i++) {
        uint8_t byte = piece.at[i];

        if (shape->ahead > 0) {
            if (shape->ahead-- <= 2)
                hash = mix(hash, byte);
        } else if (shape->fixed > 0) {
            if (shape->fixed <= FIRST && shape->fixed >= LAST)
                hash = mix(hash, byte);
            shape->fixed--;
        } else {
            hash = mix(hash, byte);
            if (byte == '\0')
                shape->fixed = FIXED;
        }
    }
    shape->hash = hash;
}

uint64_t shape_end(const struct shape *shape)
{
    return shape->hash != SHAPE_UNKNOWN ? shape->hash : 1;
}
