#include "proxy/fronts/http/parser_trailer.h"

#include <string.h>
#include <strings.h>

void parser_trailer_add(struct parser *parser, const char *at, size_t length)
{
    if (parser->in_value)
        parser->trailer_length = 0;
    parser->in_value = false;
    for (size_t i = 0; i < length && parser->trailer_length < sizeof(parser->trailer); i++)
        parser->trailer[parser->trailer_length++] = at[i];
}

static bool is(const struct parser *parser, const char *name)
{
    return parser->trailer_length == strlen(name) &&
           strncasecmp(parser->trailer, name, parser->trailer_length) == 0;
}

bool parser_trailer_is_right(struct parser *parser)
{
    parser->in_value = true;
    return !is(parser, "content-length") && !is(parser, "transfer-encoding");
}
