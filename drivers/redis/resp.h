/*
 * drivers/redis/resp.h - where a value of Redis ends, and how to say one.
 *
 *      struct resp resp = {0};                      one for each connection
 *      switch (resp_read(&resp, in, &used)) {       in: what came, from the first byte not used
 *      case RESP_MORE:     pass used bytes on: they are part of a value that is not whole yet
 *      case RESP_WHOLE:    pass used bytes on: a value ends there; resp.kind is its first byte
 *      case RESP_BROKEN:   this is no RESP: close
 *      }
 *
 *      resp_add_error(&out, "ERR", "no such thing");         ...and an answer
 *      if (out.failed) ...
 *
 * A value is a line, a bulk, or an aggregate of so many values; both versions of the protocol
 * are read, whichever was agreed on:
 *
 *      lines        +OK  -ERR no  :1  ,1.5  (123  #t  _       each to its CR LF
 *      bulks        $5 hello  =7 txt:yes  !5 ERR x             so many bytes and CR LF; $-1 is none
 *      aggregates   *2 v v  %1 k v  ~2 v v  >2 v v             so many values; *-1 is none
 *      attributes   |1 k v v                                   belong to the value that follows
 *
 * Nothing is kept or copied: bulks and lines of any length are used as they come, in pieces.
 * Only a head such as "$12\r\n", and the lines of : # and _, are never used in part: *used stops
 * before one that is not whole, and it is shown again with what comes behind it. It has at most
 * RESP_HEAD_MOST bytes. So *used may be 0 with RESP_MORE.
 *
 * What only frames is checked, since a server out of step must be noticed as early as can be:
 * lengths have no sign, no leading zero and no blank, and a bulk ends with CR LF. What stands in
 * a line or a bulk is passed on as it is. Lines end at CR LF; a CR or LF alone is part of one.
 *
 * A push is a value of its own, of kind '>'. Redis 7.0 also writes pushes between the elements of
 * a reply (MULTI, PUBLISH to a channel of one's own, EXEC, under RESP3): there it is part of the
 * whole, and not one of the elements that were announced.
 *
 * Not read, since Redis never sends them: values of unknown length ("$?", "*?").
 *
 * Source: redis.io/docs "Redis serialization protocol specification"; tried with Redis 7.0.15.
 */
#ifndef DRIVERS_REDIS_RESP_H
#define DRIVERS_REDIS_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"

enum {
    /* So many aggregates may be begun and not ended, or the value is RESP_BROKEN. One whose last
     * element has begun needs no room any more, and does not count. */
    RESP_MOST_DEPTH = 512,
    RESP_MOST_ELEMENTS = INT32_MAX, /* of one aggregate; a pair is two */
    RESP_MOST_DIGITS = 18,          /* of a length */
    RESP_HEAD_MOST = 32,
};

/* ---- reading ----------------------------------------------------------------------------- */

enum resp_found {
    RESP_MORE,   /* the bytes used are part of the value; more of it must come */
    RESP_WHOLE,  /* the bytes used end the value; the next call begins another */
    RESP_BROKEN, /* not RESP: and so it stays, whatever is shown */
};

/* Where in a value the reader is. All zero: before one. */
struct resp {
    uint64_t left;  /* bytes to come of a bulk, its CR LF included */
    uint32_t depth; /* how many of open are in use */
    uint8_t place;  /* resp.c: enum place */
    uint8_t kind; /* the value's first byte (behind its attributes); readable until the next call */
    uint32_t open[RESP_MOST_DEPTH]; /* elements to come, for each aggregate; never 0 */
};

enum resp_found resp_read(struct resp *resp, struct slice in, size_t *used) MUST_CHECK;

/* No value is half read. */
static inline bool resp_is_between(const struct resp *resp)
{
    return resp->place == 0;
}

/* "12\r\n": how many bytes a length takes with the end of its line, 0 if that is not what stands
 * there, in whole and as Redis would write it. */
static inline size_t resp_length(const uint8_t *at, const uint8_t *end, uint64_t *length)
{
    const uint8_t *digit = at, *most = end - at > RESP_MOST_DIGITS ? at + RESP_MOST_DIGITS : end;
    uint64_t value = 0;

    for (; digit < most && (uint8_t)(*digit - '0') <= 9; digit++)
        value = value * 10 + (uint8_t)(*digit - '0');
    if (digit == at || end - digit < 2 || digit[0] != '\r' || digit[1] != '\n')
        return 0;
    if (*at == '0' && digit - at > 1)
        return 0;
    *length = value;
    return (size_t)(digit - at) + 2;
}

/* ---- saying ------------------------------------------------------------------------------ */

/* They add to bytes, and fail with them (base/bytes.h). A request is an array of bulks. Lines
 * may contain anything: what would end them early becomes a blank, as Redis has it. */
void resp_add_simple(struct bytes *out, const char *text);
/* prefix: "ERR", "WRONGPASS": err_resp_prefix(). */
void resp_add_error(struct bytes *out, const char *prefix, const char *text);
void resp_add_integer(struct bytes *out, int64_t value);
void resp_add_bulk(struct bytes *out, struct slice bulk);
/* For who adds length bytes and CR LF. */
void resp_add_bulk_head(struct bytes *out, size_t length);
void resp_add_array(struct bytes *out, uint32_t count);

/* What looks different in RESP2 and RESP3; protocol: 2 or 3. pairs are announced to follow. */
void resp_add_null(struct bytes *out, unsigned protocol);
void resp_add_map(struct bytes *out, uint32_t pairs, unsigned protocol);
void resp_add_push(struct bytes *out, uint32_t count, unsigned protocol);

#endif
