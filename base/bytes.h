/*
 * base/bytes.h - a piece of memory lent (slice), and one that grows (bytes).
 *
 *      struct bytes out = {0};
 *      bytes_add(&out, "abc", 3);
 *      bytes_print(&out, "%d clients", n);
 *      if (out.failed) ...                  no memory: asked once, at the end
 *      write(fd, out.at, out.length);
 *      bytes_free(&out);
 *
 * A failed bytes stays failed and ignores what is added, so a builder of a message
 * needs one check and not one a field. What it points to is its own until bytes_free;
 * a slice owns nothing and is valid as long as what it was cut from.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"

struct slice {
    const uint8_t *at;
    size_t length;
};

struct bytes {
    uint8_t *at;
    size_t length, capacity;
    bool failed;
};

#define SLICE(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})

void bytes_add(struct bytes *bytes, const void *from, size_t length);
void bytes_print(struct bytes *bytes, const char *format, ...) PRINTF_LIKE(2, 3);

/* Room for length more bytes, to be filled by the caller; NULL when there is no memory. */
uint8_t *bytes_extend(struct bytes *bytes, size_t length) MUST_CHECK;

/* Forgets the contents and keeps the memory. */
void bytes_clear(struct bytes *bytes);
void bytes_free(struct bytes *bytes);

/* Network byte order, as PostgreSQL's messages have it. */
static inline uint32_t bytes_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void bytes_put_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

#endif
