/*
 * base/utf8.h - where a character ends, and whether it is one.
 *
 *      for (; rest.length > 0; rest = after(rest, n ? n : 1))
 *          if ((n = utf8_length(rest)) == 0) ...       not UTF-8: one byte of it
 *
 * What clients send is bytes, whatever it says it is. Who shows them to a person or puts
 * them into JSON asks here first.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/bytes.h"

/* How many bytes the first character of text has: 1 to 4; 0 when it is none, is cut off,
 * is longer than it need be, or is a surrogate. text is not empty. */
size_t utf8_length(struct slice text);

#endif
