/*
 * tests/unit/clean_end.h - a test that leaks has failed.
 *
 * Criterion has a test's verdict before its process ends, and LeakSanitizer speaks
 * after that: a leak would be printed and forgiven. So each suite looks for leaks
 * itself, while the verdict is open:
 *
 *      TestSuite(pool, .fini = clean_end);
 */
#ifndef TESTS_UNIT_CLEAN_END_H
#define TESTS_UNIT_CLEAN_END_H

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>

static inline void clean_end(void)
{
    if (__lsan_do_recoverable_leak_check() != 0)
        abort();
}
#else
static inline void clean_end(void)
{
}
#endif

#endif
