/*
 * proxy/fronts/http/answer.h - an exchange from inside, and how its answer looks on the wire.
 *
 *      answer_send(exchange, ANSWER_WHOLE, piece)      head, Content-Length and body
 *      answer_send(exchange, ANSWER_PART, piece)       the head before the first, then chunks
 *      answer_send(exchange, ANSWER_END, piece)
 *      answer_flush(exchange)                          at the end of a turn
 *
 * What handlers see of it is exchange.h. An exchange belongs to the connection that reads or
 * answers its request, and is the door's otherwise, with the memory it has got.
 */
#ifndef PROXY_FRONTS_HTTP_ANSWER_H
#define PROXY_FRONTS_HTTP_ANSWER_H

#include "base/list.h"
#include "proxy/fronts/http/http.h"
#include "proxy/fronts/http/parser.h"
#include "proxy/fronts/http/route.h"

enum { ANSWER_PIECE = 16 * 1024 }; /* what is sent without waiting for more */

/* READING --> BEGUN --> STARTED --> SENT
 *                `--------`---------`-----> ended
 *                `--> UPGRADED ----------->        */
enum answer_step {
    ANSWER_READING,  /* the request; there is no handler yet */
    ANSWER_BEGUN,    /* somebody is to answer */
    ANSWER_STARTED,  /* status and headers are said */
    ANSWER_SENT,     /* ... and on their way */
    ANSWER_UPGRADED, /* bytes from now on */
};

struct exchange {
    struct exchange *next; /* in http->spare */
    struct http_connection *connection;
    struct parser parser;
    struct parser_request request;
    struct route_found route;
    void *owner;
    enum answer_step step;
    bool is_last;    /* of its connection */
    bool may_gzip;   /* its type is worth it, and the peer takes it */
    bool is_chunked; /* once sent */
    int status;
    char type[96];      /* Content-Type */
    struct bytes lines; /* other headers */
    struct bytes out;   /* written, and not sent yet; compressed, if gzip */
    uint64_t dropped;   /* bytes of an answer to HEAD */
    size_t gathered;    /* of its body, as counted in http->gathered */
    struct gzip *gzip;
};

/* FLUSH is a PART that leaves nothing behind in the compressor. */
enum answer_part { ANSWER_WHOLE, ANSWER_PART, ANSWER_FLUSH, ANSWER_END };

void answer_send(struct exchange *exchange, enum answer_part part, struct slice piece);
void answer_flush(struct exchange *exchange);

/* What a person reads about a status. */
const char *answer_text(int status);

/* Appends text as it stands between the quotes of JSON; what is not UTF-8 becomes U+FFFD. */
void answer_quote(struct bytes *out, struct slice text);

#endif
