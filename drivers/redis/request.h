/* PROPOSED interface; keep names and meaning. Branch resp has the real one. */
#ifndef DRIVERS_REDIS_REQUEST_H
#define DRIVERS_REDIS_REQUEST_H

#include "base/bytes.h"

enum {
    REQUEST_WHOLE_BELOW = 32 * 1024, /* longer requests are streamed */
    REQUEST_MOST_ARGS = 8,           /* so many are shown; enough to classify */
};

enum request_found {
    REQUEST_MORE,   /* the beginning of one (or nothing): show it again with more behind it */
    REQUEST_WHOLE,  /* length bytes of `in` are one request */
    REQUEST_EMPTY,  /* length bytes mean nothing, and are answered by nothing: "\r\n", "*0\r\n",
                       "*-1\r\n" */
    REQUEST_LARGE,  /* it will not be whole below REQUEST_WHOLE_BELOW; the args seen so far are
                       shown; length is 0 */
    REQUEST_BROKEN, /* `error` is what Redis says: "Protocol error: invalid bulk length" etc.; then
                       the connection is closed */
};

struct request {
    uint32_t count;                       /* arguments in all, the command's name included */
    uint32_t shown;                       /* of which so many are in args, in full */
    struct slice args[REQUEST_MOST_ARGS]; /* lent from `in` (from `scratch` if inline) */
    size_t length;
    bool is_inline;  /* then what must be sent to Redis is in scratch, as a multibulk */
    char error[128]; /* or const char *, as you like; text as Redis 7.0's, with the right %c */
};

#endif
