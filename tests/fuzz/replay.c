/* A fuzz target without libFuzzer: replay N runs N inputs made from a fixed seed. */
#include <stdlib.h>

#include "fuzz.h"

enum { LONGEST = 512 };

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int main(int argc, char **argv)
{
    long runs = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
    uint64_t state = 0x9e3779b97f4a7c15u;
    uint8_t input[LONGEST];

    for (long run = 0; run < runs; run++) {
        size_t size = next(&state) % (LONGEST + 1);

        for (size_t i = 0; i < size; i++)
            input[i] = (uint8_t)(next(&state) >> 32);
        LLVMFuzzerTestOneInput(input, size);
    }
    return 0;
}
