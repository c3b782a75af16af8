#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

static bool make_room(struct bytes *bytes, size_t length)
{
    size_t capacity = bytes->capacity ? bytes->capacity : FIRST_CAPACITY;
    uint8_t *at;

    if (bytes->failed)
        return false;
    if (bytes->capacity - bytes->length >= length)
        return true;
    while (capacity - bytes->length < length && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    at = realloc(bytes->at, capacity);
    if (at == NULL || capacity - bytes->length < length) {
        bytes->failed = true;
        bytes->at = at ? at : bytes->at;
        return false;
    }
    bytes->at = at;
    bytes->capacity = capacity;
    return true;
}

uint8_t *bytes_extend(struct bytes *bytes, size_t length)
{
    if (!make_room(bytes, length))
        return NULL;
    bytes->length += length;
    return bytes->at + bytes->length - length;
}

void bytes_add(struct bytes *bytes, const void *from, size_t length)
{
    /* Nothing is added to nothing without asking where: NULL + 0 is undefined in C11. */
    uint8_t *to = length > 0 ? bytes_extend(bytes, length) : NULL;

    if (to != NULL)
        memcpy(to, from, length);
}

void bytes_print(struct bytes *bytes, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !make_room(bytes, (size_t)length + 1)) {
        bytes->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf((char *)bytes->at + bytes->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    bytes->length += (size_t)length;
}

void bytes_clear(struct bytes *bytes)
{
    bytes->length = 0;
    bytes->failed = false;
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct bytes){0};
}
