/*
 * proxy/fronts/http/reply.h - where in what a server says the answer to each query ends, and how.
 *
 *      while (reply_next(&reply, &in, &part))
 *          ... part.bytes of a message of part.type; part.ends: the answer to a query ends here
 *
 * Messages may come in any pieces, and nothing is gathered. Start from all zero.
 */
#ifndef PROXY_FRONTS_HTTP_REPLY_H
#define PROXY_FRONTS_HTTP_REPLY_H

#include "base/bytes.h"
#include "drivers/postgres/wire.h"

enum reply_outcome {
    REPLY_WELL,
    REPLY_ERROR,
    REPLY_CANCELED, /* 57014 */
};

struct reply {
    uint8_t head[WIRE_HEADER_SIZE];
    uint8_t head_length; /* of a header that is not whole yet */
    uint32_t remaining;  /* of the message whose header was seen */
    uint8_t field;       /* of an error: which one comes; 0: its letter is next */
    uint8_t code[5], code_length;
    enum reply_outcome outcome; /* of the answer that comes */
};

struct reply_part {
    uint8_t type;
    struct slice bytes; /* lent */
    bool ends;          /* the answer, as outcome says */
    enum reply_outcome outcome;
};

/* Takes the next part from in: a message, or as much of it as there is. False: there is none. */
bool reply_next(struct reply *reply, struct slice *in, struct reply_part *part) MUST_CHECK;

/* Whether a message has come in part. */
bool reply_is_cut(const struct reply *reply);

#endif
