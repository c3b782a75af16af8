#include "base/contract.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void contract_broken(const char *what, const char *file, int line)
{
    fprintf(stderr, "weir stops, because going on could be worse: %s:%d: not so: %s\n", file, line,
            what);
    abort();
}
