/*
 * proxy/fronts/http/parser.h - bytes in, requests out.
 *
 *      parser_init(&parser);
 *      switch (parser_read(&parser, in, &used, &request)) {
 *      case PARSER_MORE:    ...        all was used; show what comes next
 *      case PARSER_REQUEST: ...        answer it; what is behind used is the next one
 *      case PARSER_REFUSED: ...        answer request.status and close
 *      }
 *
 * The work is done by llhttp where it is packaged and by its predecessor http-parser
 * elsewhere; this hides which. What the two see differently is refused here for both: a
 * line that ends without CR, a version that is not 1.x, more than PARSER_HEAD_MOST bytes.
 *
 * Nobody here takes a body yet. A request that has one is given out when its head is
 * complete, and is the last of its connection: nothing reads on from there.
 */
#ifndef PROXY_FRONTS_HTTP_PARSER_H
#define PROXY_FRONTS_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef HAVE_LLHTTP
#include <llhttp.h>
#else
#include <http_parser.h>
#endif

#include "base/bytes.h"
#include "base/contract.h"

enum {
    PARSER_HEAD_MOST = 8 * 1024,
    PARSER_TARGET_MOST = 1024,
};

enum parser_method { PARSER_GET, PARSER_HEAD, PARSER_OTHER };

struct parser_request {
    enum parser_method method;
    const char *target; /* as sent, "/metrics?x=1"; lent until the next parser_read */
    bool keep_alive, has_body;
    int status; /* of PARSER_REFUSED: 400, 414, 431 or 505 */
};

enum parser_result { PARSER_MORE, PARSER_REQUEST, PARSER_REFUSED };

struct parser {
#ifdef HAVE_LLHTTP
    llhttp_t machine;
    llhttp_settings_t settings;
#else
    struct http_parser machine;
    struct http_parser_settings settings;
#endif
    struct parser_request request;
    size_t head_length;
    size_t target_length;
    bool complete;
    char last; /* byte that was read */
    char target[PARSER_TARGET_MOST + 1];
};

/* A parser must not be moved afterwards. */
void parser_init(struct parser *parser);

/* Reads to the end of in or of one request, and gives how many bytes that was to used.
 * After PARSER_REFUSED, or a request that is not kept alive, it must not be called again. */
enum parser_result parser_read(struct parser *parser, struct slice in, size_t *used,
                               struct parser_request *request) MUST_CHECK;

#endif
