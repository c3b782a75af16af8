/*
 * proxy/fronts/http/parser.h - bytes in, requests out.
 *
 *      parser_init(&parser, 16 * 1024);
 *      switch (parser_read(&parser, in, &used, &request)) {
 *      case PARSER_MORE:    ...        all was used; show what comes next
 *      case PARSER_HEAD:    ...        a body follows: parser_take_body, or answer and close
 *      case PARSER_REQUEST: ...        answer it; what is behind used is the next one
 *      case PARSER_REFUSED: ...        answer request.status and close
 *      }
 *      authorization = parser_header(&parser, "Authorization");
 *      parser_fini(&parser);
 *
 *      head --> REQUEST                     it has no body, or an empty one
 *        `----> HEAD --> body --> REQUEST
 *
 * The work is done by llhttp where it is packaged and by its predecessor http-parser
 * elsewhere; this hides which. What the two see differently, and what others have been seen to
 * understand differently (RFC 9112, 11.2), is refused here for both: a line that ends without
 * CR or begins with a blank (obs-fold), both or several of Content-Length and
 * Transfer-Encoding, a coding that is not chunked, two Host or Authorization, a version that is
 * not 1.x, and heads, chunk extensions and trailers that are too long. Trailers are dropped.
 *
 * A body is gathered here, up to body_most: more is 413, before a byte of it is taken if its
 * length was announced. Memory grows with what has come, not with what was announced.
 */
#ifndef PROXY_FRONTS_HTTP_PARSER_H
#define PROXY_FRONTS_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef HAVE_LLHTTP
#include <llhttp.h>
#else
#include <http_parser.h>
#endif

#include "base/bytes.h"
#include "base/contract.h"
#include "proxy/fronts/http/exchange.h"

enum {
    PARSER_HEAD_LEAST = 1024, /* what head_most may be */
    PARSER_HEAD_MOST = 60 * 1024,
    PARSER_TARGET_MOST = 8 * 1024,
    PARSER_HEADERS_MOST = 100,
    PARSER_FRAMING_MOST = 1024, /* bytes between two pieces of a chunked body, and of trailers */
};

struct parser_request {
    struct exchange_request asked; /* lent until the next request is read, or parser_forget */
    bool keep_alive, is_old;       /* is_old: HTTP/1.0 */
    bool awaits_continue;          /* Expect: 100-continue */
    int status;                    /* of PARSER_REFUSED: 400, 413, 414, 417, 431, 501, 503 or 505 */
};

enum parser_result { PARSER_MORE, PARSER_HEAD, PARSER_REQUEST, PARSER_REFUSED };

/* Where a header is in the text. */
struct parser_header {
    uint16_t name, name_length, value, value_length;
};

struct parser {
#ifdef HAVE_LLHTTP
    llhttp_t machine;
#else
    struct http_parser machine;
#endif
    struct parser_request request;
    size_t head_most, body_most;
    size_t framing;          /* bytes of the head, or since the last piece of the body */
    const uint8_t *unframed; /* of what is being read: from here on nobody has looked */
    uint64_t announced;      /* Content-Length, if it was not 0 */
    bool in_body, is_chunked, has_length;
    bool head_ended, complete, bodyless, malformed;
    bool in_value; /* of a header */
    char last;     /* byte of framing that was read */
    struct bytes text, body;
    char trailer[20]; /* the name of the one that is being read */
    size_t trailer_length;
    size_t target_length; /* of text, which begins with it */
    size_t headers_length;
    struct parser_header headers[PARSER_HEADERS_MOST];
};

/* A parser must not be moved afterwards. head_most: of request line and headers, in bytes. */
void parser_init(struct parser *parser, size_t head_most);
void parser_fini(struct parser *parser);

/* Reads to the end of in, of one request, or of a head that a body follows, and gives how many
 * bytes that was to used. After PARSER_REFUSED, or a request that is not kept alive, it must
 * not be called again. in is not empty. */
enum parser_result parser_read(struct parser *parser, struct slice in, size_t *used,
                               struct parser_request *request) MUST_CHECK;

/* After PARSER_HEAD: how long the body may be. False: it is longer, as far as that was
 * announced. */
bool parser_take_body(struct parser *parser, size_t most) MUST_CHECK;

/* The first header of that name, whatever its case; at: NULL if there is none. */
struct slice parser_header(const struct parser *parser, const char *name);

/* Makes it as new, for another connection; keeps memory up to keep_most of it. */
void parser_forget(struct parser *parser, size_t keep_most);

#endif
