#include "proxy/fronts/http/parser.h"

#include <string.h>

enum { GO_ON = 0, STOP = -1 };

/* ---- the two libraries ------------------------------------------------------------------- */

#ifdef HAVE_LLHTTP

typedef llhttp_t machine;

static bool keeps_alive(const machine *m)
{
    return llhttp_should_keep_alive(m) != 0;
}

static bool has_body(const machine *m)
{
    return (m->flags & F_CHUNKED) != 0 || m->content_length > 0;
}

/* Pausing where a request is complete leaves error_pos at the first byte of the next. */
static int pause_here(machine *m)
{
    return HPE_PAUSED;
}

static bool execute(struct parser *parser, const char *at, size_t length, size_t *used)
{
    llhttp_errno_t e;

    llhttp_resume(&parser->machine);
    e = llhttp_execute(&parser->machine, at, length);
    *used = e == HPE_OK ? length : (size_t)(llhttp_get_error_pos(&parser->machine) - at);
    if (e == HPE_INVALID_VERSION) /* what its predecessor lets on_head_complete say */
        parser->request.status = 505;
    return e == HPE_OK || e == HPE_PAUSED;
}

static void set_up(struct parser *parser)
{
    llhttp_settings_init(&parser->settings);
    llhttp_init(&parser->machine, HTTP_REQUEST, &parser->settings);
}

#else

typedef struct http_parser machine;

static bool keeps_alive(const machine *m)
{
    return http_should_keep_alive(m) != 0;
}

/* All ones: none was named. */
static bool has_body(const machine *m)
{
    return (m->flags & F_CHUNKED) != 0 ||
           (m->content_length > 0 && m->content_length != UINT64_MAX);
}

static int pause_here(machine *m)
{
    http_parser_pause(m, 1);
    return GO_ON;
}

static bool execute(struct parser *parser, const char *at, size_t length, size_t *used)
{
    enum http_errno e;

    if (HTTP_PARSER_ERRNO(&parser->machine) == HPE_PAUSED)
        http_parser_pause(&parser->machine, 0);
    *used = http_parser_execute(&parser->machine, &parser->settings, at, length);
    e = HTTP_PARSER_ERRNO(&parser->machine);
    return e == HPE_OK || e == HPE_PAUSED;
}

static void set_up(struct parser *parser)
{
    http_parser_settings_init(&parser->settings);
    http_parser_init(&parser->machine, HTTP_REQUEST);
}

#endif

/* ---- what they call ---------------------------------------------------------------------- */

static int on_begin(machine *m)
{
    struct parser *parser = m->data;

    parser->request = (struct parser_request){.target = parser->target};
    parser->target_length = 0;
    parser->target[0] = '\0';
    return GO_ON;
}

static int on_target(machine *m, const char *at, size_t length)
{
    struct parser *parser = m->data;

    if (length > PARSER_TARGET_MOST - parser->target_length) {
        parser->request.status = 414;
        return STOP;
    }
    memcpy(parser->target + parser->target_length, at, length);
    parser->target_length += length;
    parser->target[parser->target_length] = '\0';
    return GO_ON;
}

static enum parser_method method_of(const machine *m)
{
    if (m->method == HTTP_GET)
        return PARSER_GET;
    return m->method == HTTP_HEAD ? PARSER_HEAD : PARSER_OTHER;
}

static int on_head_complete(machine *m)
{
    struct parser *parser = m->data;
    struct parser_request *request = &parser->request;

    if (m->http_major != 1) {
        request->status = 505;
        return STOP;
    }
    request->method = method_of(m);
    request->has_body = has_body(m);
    request->keep_alive = keeps_alive(m) && !request->has_body;
    m->upgrade = 0; /* a wish for another protocol may be ignored, and is */
    if (!request->has_body)
        return GO_ON;
    parser->complete = true;
    return STOP;
}

static int on_complete(machine *m)
{
    struct parser *parser = m->data;

    parser->complete = true;
    return pause_here(m);
}

/* ---- requests ---------------------------------------------------------------------------- */

/* How many bytes of in stand before a line that does not end as it must; there are only
 * lines, since nobody takes a body. */
static size_t sound_length(const struct parser *parser, struct slice in)
{
    const uint8_t *end = in.at + in.length, *at = in.at;

    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        uint8_t before = at > in.at ? at[-1] : (uint8_t)parser->last;

        if (before != '\r')
            return (size_t)(at - in.at);
        at++;
    }
    return in.length;
}

static enum parser_result refuse(struct parser *parser, int status, struct parser_request *request)
{
    *request = parser->request;
    request->target = parser->target;
    request->keep_alive = false;
    if (request->status == 0)
        request->status = status;
    return PARSER_REFUSED;
}

enum parser_result parser_read(struct parser *parser, struct slice in, size_t *used,
                               struct parser_request *request)
{
    size_t room = PARSER_HEAD_MOST - parser->head_length;
    size_t most = in.length < room ? in.length : room;
    size_t sound = sound_length(parser, (struct slice){in.at, most});
    bool fine = true;

    *used = 0;
    if (sound > 0) /* nothing at all would mean the end of the connection */
        fine = execute(parser, (const char *)in.at, sound, used);
    if (*used > 0)
        parser->last = (char)in.at[*used - 1];
    parser->head_length += *used;
    if (parser->complete) {
        *request = parser->request;
        parser->complete = false;
        parser->head_length = 0;
        return PARSER_REQUEST;
    }
    if (!fine || sound < most)
        return refuse(parser, 400, request);
    if (most < in.length)
        return refuse(parser, 431, request);
    return PARSER_MORE;
}

void parser_init(struct parser *parser)
{
    *parser = (struct parser){0};
    set_up(parser);
    parser->machine.data = parser;
    parser->settings.on_message_begin = on_begin;
    parser->settings.on_url = on_target;
    parser->settings.on_headers_complete = on_head_complete;
    parser->settings.on_message_complete = on_complete;
}
