/*
 * tests/unit/no_memory.h - what happens when there is no memory left?
 *
 *      for (long n = 0; e != ERR_OK; n++) {
 *          no_memory_after(n);                 the allocation after the next n fails
 *          e = the_function_tested();
 *          no_memory_after(NO_MEMORY_NEVER);
 *          cr_assert(e == ERR_OK || e == ERR_NO_MEMORY);
 *      }
 *
 * A test that includes this is linked with no_memory (tests/meson.build), which leads
 * the allocations of the code under test, and not those of libc, to here.
 */
#ifndef TESTS_UNIT_NO_MEMORY_H
#define TESTS_UNIT_NO_MEMORY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define NO_MEMORY_NEVER LONG_MAX

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
char *__real_strdup(const char *text);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);
char *__wrap_strdup(const char *text);

static long allocations_left = NO_MEMORY_NEVER;

static inline void no_memory_after(long allocations)
{
    allocations_left = allocations;
}

static inline bool none_left(void)
{
    return allocations_left != NO_MEMORY_NEVER && allocations_left-- <= 0;
}

void *__wrap_malloc(size_t size)
{
    return none_left() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return none_left() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size)
{
    return none_left() ? NULL : __real_realloc(at, size);
}

char *__wrap_strdup(const char *text)
{
    return none_left() ? NULL : __real_strdup(text);
}

#endif
