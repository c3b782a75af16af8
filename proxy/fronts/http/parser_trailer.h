/*
 * proxy/fronts/http/parser_trailer.h - headers that stand behind a chunked body; for parser.c.
 *
 *      parser_trailer_add(parser, at, length);          a piece of a name
 *      if (!parser_trailer_is_right(parser)) ...        its value begins
 *
 * Only names are looked at, and of these only what fits: what says how long a body is must not
 * stand behind it (RFC 9110, 6.5.1). llhttp refuses it by itself, its predecessor does not.
 */
#ifndef PROXY_FRONTS_HTTP_PARSER_TRAILER_H
#define PROXY_FRONTS_HTTP_PARSER_TRAILER_H

#include "proxy/fronts/http/parser.h"

void parser_trailer_add(struct parser *parser, const char *at, size_t length);
bool parser_trailer_is_right(struct parser *parser);

#endif
