/* tests/fuzz/choices.h - what the fuzzer has chosen, byte by byte; zeros when it has chosen no
 * more. */
#ifndef TESTS_FUZZ_CHOICES_H
#define TESTS_FUZZ_CHOICES_H

#include <string.h>

#include "base/bytes.h"

struct choices {
    const uint8_t *at;
    size_t length;
};

static inline uint8_t choose(struct choices *choices)
{
    if (choices->length == 0)
        return 0;
    choices->length--;
    return *choices->at++;
}

/* From the beginning. */
static inline void bytes_drop(struct bytes *bytes, size_t length)
{
    if (length > 0)
        memmove(bytes->at, bytes->at + length, bytes->length - length);
    bytes->length -= length;
}

#endif
