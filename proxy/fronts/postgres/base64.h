/*
 * proxy/fronts/postgres/base64.h - base64 as SCRAM has it: padded, one spelling only.
 *
 * OpenSSL's decoder skips white space and takes "AB==" and "AA==" for the same byte. What
 * is compared with a key must not be that lenient, so decoding here checks that encoding
 * the result gives the text back. RFC 4648, section 4.
 */
#ifndef PROXY_FRONTS_POSTGRES_BASE64_H
#define PROXY_FRONTS_POSTGRES_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"

enum { BASE64_MOST = 128 }; /* bytes at once, before encoding */

#define BASE64_SIZE(length) (((length) + 2) / 3 * 4)

/* from: at most BASE64_MOST bytes. */
void base64_add(struct bytes *out, struct slice from);

/* Gives up to most bytes (BASE64_MOST or fewer) to to, and their number to length. False
 * when text is empty, says more than that, or is not base64. */
bool base64_decode(struct slice text, uint8_t *to, size_t most, size_t *length) MUST_CHECK;

#endif
