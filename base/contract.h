/*
 * base/contract.h - what a function promises, and what it relies on.
 *
 *   MUST_CHECK    the compiler warns who drops the result
 *   REQUIRE(c)    checked in every build. For what, if it did not hold, could show
 *                 one user another's bytes: then the process stops.
 *   ASSERT(c)     checked in debug builds. For our own mistakes, to find them early.
 *
 * Neither is for what a client, a backend, a file or the kernel can cause; that is
 * an enum err (base/err.h).
 */
#ifndef BASE_CONTRACT_H
#define BASE_CONTRACT_H

#include <stddef.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

_Noreturn void contract_broken(const char *what, const char *file, int line);

#define REQUIRE(c) ((c) ? (void)0 : contract_broken(#c, __FILE__, __LINE__))

#ifdef NDEBUG
#define ASSERT(c) ((void)sizeof(c))
#else
#define ASSERT(c) REQUIRE(c)
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#endif
