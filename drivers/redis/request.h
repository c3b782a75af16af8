/*
 * drivers/redis/request.h - where a client's request ends, and what its first arguments are.
 *
 *      switch (request_read(&request, in, is_authenticated, &scratch)) {
 *      case REQUEST_MORE:      show the same again, with what comes behind it
 *      case REQUEST_WHOLE:     length bytes of in are one request: look at its args, pass it on
 *      case REQUEST_EMPTY:     length bytes of in ask for nothing and get no answer
 *      case REQUEST_LARGE:     look at its args; then request_pass() from the same byte on
 *      case REQUEST_BROKEN:    say "-ERR " and request.error, and close
 *      }
 *
 * A request is an array of bulks (multibulk), or a line of words as one types them (inline):
 *
 *      *2 CR LF $3 CR LF GET CR LF $1 CR LF k CR LF
 *      GET k CR LF
 *
 * A multibulk request is passed on as it came. An inline one is put into scratch as a multibulk,
 * quotes and escapes resolved, and that is passed on: a server is only ever told multibulks, and
 * only such as every server reads alike.
 *
 * Nothing is kept between calls: the beginning of a request is read anew with what has come
 * behind it, so it makes no difference in what pieces it comes. A request of REQUEST_WHOLE_BELOW
 * bytes or more is not waited for: it is REQUEST_LARGE once the arguments that can be shown have
 * been seen. A decision needs at most REQUEST_SHOW_MOST bytes at once, which is what a stream
 * keeps. So a line may be as long as Redis has it, less one byte, and one where a length should be
 * half of that.
 *
 * Errors are Redis's own, word for word, and come where Redis has them. It does not look at the
 * LF behind a CR nor at the CR LF behind a bulk; here what is not CR LF is an invalid length,
 * since other servers might read something else than Redis from there on.
 *
 * Source: Redis 7.0, networking.c: processInlineBuffer(), processMultibulkBuffer(), and sds.c:
 * sdssplitargs(), string2ll().
 */
#ifndef DRIVERS_REDIS_REQUEST_H
#define DRIVERS_REDIS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"

enum {
    REQUEST_WHOLE_BELOW = 32 * 1024,       /* a request as long as this is streamed */
    REQUEST_MOST_ARGS = 8,                 /* so many are shown; enough to classify */
    REQUEST_MOST_LINE = 64 * 1024,         /* of an inline request, its LF included */
    REQUEST_MOST_HEAD = 32 * 1024,         /* of a line with a length, if there are such */
    REQUEST_MOST_BULK = 512 * 1024 * 1024, /* its proto-max-bulk-len, by default */
    REQUEST_UNAUTHENTICATED_COUNT = 10,    /* what who has not logged in may send */
    REQUEST_UNAUTHENTICATED_BULK = 16 * 1024,
    REQUEST_SHOW_MOST = REQUEST_WHOLE_BELOW + REQUEST_MOST_HEAD,
    REQUEST_ERROR_SIZE = 64,
};

enum request_found {
    REQUEST_MORE,   /* the beginning of one, or nothing */
    REQUEST_WHOLE,  /* one request */
    REQUEST_EMPTY,  /* "\r\n", "*0\r\n", "*-1\r\n" and the like */
    REQUEST_LARGE,  /* REQUEST_WHOLE_BELOW bytes or more; those args that end before are shown */
    REQUEST_BROKEN, /* no request; error says why */
};

struct request {
    uint32_t count; /* arguments in all, the command's name included */
    uint32_t shown; /* of which the first so many are in args; all or REQUEST_MOST_ARGS if WHOLE */
    size_t length;  /* of WHOLE and EMPTY: bytes of in; 0 for LARGE */
    bool is_inline; /* what to pass on is in scratch, not in `in` */
    struct slice args[REQUEST_MOST_ARGS]; /* lent from in; from scratch if inline */
    char error[REQUEST_ERROR_SIZE];       /* of BROKEN: "Protocol error: ..."; one line */
};

/* What stands at the beginning of in. What is valid in request then: of WHOLE and LARGE all but
 * error, of EMPTY length, of BROKEN error, of MORE nothing. scratch is for inline requests, and
 * cleared by each; it may be shared by all connections. Without memory for it: BROKEN. */
enum request_found request_read(struct request *request, struct slice in, bool is_authenticated,
                                struct bytes *scratch) MUST_CHECK;

/* A multibulk request that is passed on in pieces. All zero to begin (but for is_unauthenticated),
 * and again at its end. */
struct request_pass {
    uint64_t left;                  /* bytes to come of an argument, its CR LF included */
    uint32_t count;                 /* arguments to come, this one included */
    bool is_unauthenticated;        /* the caller's: such a client may send less */
    char error[REQUEST_ERROR_SIZE]; /* of BROKEN */
};

/* Uses as much of in as belongs to the request, whose first byte, '*', was the first to be shown;
 * only the line of a length is never used in part. WHOLE: it ends with the bytes used. EMPTY:
 * those were one that asks for nothing. MORE: more of it must come. BROKEN: as above. */
enum request_found request_pass(struct request_pass *pass, struct slice in,
                                size_t *used) MUST_CHECK;

#endif
