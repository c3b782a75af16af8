#include "proxy/fronts/http/parser.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "proxy/fronts/http/parser_trailer.h"

enum { GO_ON = 0, STOP = -1 };

#ifdef HAVE_LLHTTP
typedef llhttp_t machine;
typedef llhttp_settings_t settings;
enum { F_LENGTH = F_CONTENT_LENGTH };
#else
typedef struct http_parser machine;
typedef struct http_parser_settings settings;
enum { F_LENGTH = F_CONTENTLENGTH };
#endif

static int on_begin(machine *m);
static int on_target(machine *m, const char *at, size_t length);
static int on_name(machine *m, const char *at, size_t length);
static int on_value(machine *m, const char *at, size_t length);
static int on_head(machine *m);
static int on_body(machine *m, const char *at, size_t length);
static int on_complete(machine *m);
#ifdef HAVE_LLHTTP
static int on_name_complete(machine *m);
#endif

static const settings callbacks = {
    .on_message_begin = on_begin,
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_complete,
#ifdef HAVE_LLHTTP
    .on_header_field_complete = on_name_complete,
#endif
};

/* A method that none of the libraries knows, such as BREW: letters all the same, and a blank. */
static bool looks_like_a_method(const char *at, const char *end)
{
    const char *from = at;

    while (at < end && ((*at >= 'A' && *at <= 'Z') || *at == '-'))
        at++;
    return at > from && at < end && *at == ' ';
}

/* ---- the two libraries ------------------------------------------------------------------- */

#ifdef HAVE_LLHTTP

static bool keeps_alive(const machine *m)
{
    return llhttp_should_keep_alive(m) != 0;
}

/* Pausing leaves error_pos at the first byte that was not used. */
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
    if (e == HPE_INVALID_VERSION) /* what its predecessor lets on_head say */
        parser->request.status = 505;
    if (e == HPE_INVALID_METHOD && looks_like_a_method(at + *used, at + length))
        parser->request.status = 501;
    return e == HPE_OK || e == HPE_PAUSED;
}

/* Its predecessor calls on_value for an empty value, too. */
static int on_name_complete(machine *m)
{
    return on_value(m, "", 0);
}

static void set_up(struct parser *parser)
{
    llhttp_init(&parser->machine, HTTP_REQUEST, &callbacks);
    parser->machine.data = parser;
}

#else

static bool keeps_alive(const machine *m)
{
    return http_should_keep_alive(m) != 0;
}

static int pause_here(machine *m)
{
    http_parser_pause(m, 1);
    return GO_ON;
}

static enum http_errno execute_some(struct parser *parser, const char *at, size_t length,
                                    size_t *used)
{
    if (HTTP_PARSER_ERRNO(&parser->machine) == HPE_PAUSED)
        http_parser_pause(&parser->machine, 0);
    *used = http_parser_execute(&parser->machine, &callbacks, at, length);
    return HTTP_PARSER_ERRNO(&parser->machine);
}

/* It pauses before the last byte of a head and not behind it. */
static bool execute(struct parser *parser, const char *at, size_t length, size_t *used)
{
    enum http_errno e = execute_some(parser, at, length, used);
    size_t more = 0;

    if (e == HPE_PAUSED && parser->head_ended) {
        e = execute_some(parser, at + *used, 1, &more);
        *used += more;
    }
    if (e == HPE_INVALID_METHOD && looks_like_a_method(at + *used, at + length))
        parser->request.status = 501;
    return e == HPE_OK || e == HPE_PAUSED;
}

static void set_up(struct parser *parser)
{
    http_parser_init(&parser->machine, HTTP_REQUEST);
    parser->machine.data = parser;
}

#endif

/* ---- lines ------------------------------------------------------------------------------- */

/* What was read last where a chunk has ended: nothing but the end of a line may follow. */
enum { END_OF_CHUNK = 1 };

/* Whether a byte may follow another outside of bodies. CR and LF are a pair or nothing, and no
 * line begins with a blank, since that would make it the rest of the line before. */
static bool may_follow(char before, char at)
{
    if (before == '\r' || at == '\n')
        return before == '\r' && at == '\n';
    if (before == END_OF_CHUNK)
        return at == '\r';
    return before != '\n' || (at != ' ' && at != '\t');
}

/* Looks at what is no body, up to to. Neither library does, as they are built by Debian. */
static void see_framing(struct parser *parser, const uint8_t *to)
{
    const uint8_t *at = parser->unframed;
    char last = parser->last;

    if (at >= to)
        return;
    parser->framing += (size_t)(to - at);
    for (; at < to; last = (char)*at++)
        if (!may_follow(last, (char)*at))
            parser->malformed = true;
    parser->unframed = to;
    parser->last = last;
}

/* ---- headers ----------------------------------------------------------------------------- */

static struct slice text_at(const struct parser *parser, size_t at, size_t length)
{
    return (struct slice){parser->text.at + at, length};
}

static bool is_named(const struct parser *parser, size_t i, const char *name, size_t length)
{
    const struct parser_header *header = &parser->headers[i];

    return header->name_length == length &&
           strncasecmp((const char *)parser->text.at + header->name, name, length) == 0;
}

static struct slice value_of(const struct parser *parser, size_t i)
{
    const struct parser_header *header = &parser->headers[i];
    struct slice value = text_at(parser, header->value, header->value_length);

    while (value.length > 0 && (value.at[value.length - 1] == ' ' || //
                                value.at[value.length - 1] == '\t'))
        value.length--;
    return value;
}

/* Gives the first of that name, and how many there are. */
static size_t find_headers(const struct parser *parser, const char *name, struct slice *first)
{
    size_t length = strlen(name), count = 0;

    *first = (struct slice){NULL, 0};
    for (size_t i = 0; i < parser->headers_length; i++)
        if (is_named(parser, i, name, length) && count++ == 0)
            *first = value_of(parser, i);
    return count;
}

struct slice parser_header(const struct parser *parser, const char *name)
{
    struct slice first;

    find_headers(parser, name, &first);
    return first;
}

static bool is_word(struct slice value, const char *word)
{
    return value.length == strlen(word) &&
           strncasecmp((const char *)value.at, word, value.length) == 0;
}

static bool is_number(struct slice value)
{
    for (size_t i = 0; i < value.length; i++)
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
    return value.length > 0;
}

/* ---- what a head must be ----------------------------------------------------------------- */

/* How long the body is must be beyond doubt: who is before us or behind us must not read it
 * differently. */
static int check_framing(struct parser *parser)
{
    struct slice length, coding;
    size_t lengths = find_headers(parser, "Content-Length", &length);
    size_t codings = find_headers(parser, "Transfer-Encoding", &coding);

    if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0))
        return 400;
    if (lengths > 0 && !is_number(length))
        return 400;
    if (codings > 0 && parser->request.is_old)
        return 400;
    if (codings > 0 && !is_word(coding, "chunked"))
        return 501;
    parser->is_chunked = codings > 0;
    parser->has_length = lengths > 0;
    return 0;
}

/* Whoever takes the first and whoever takes the last of them would disagree. */
static int check_once(const struct parser *parser)
{
    static const char *const names[] = {"Host", "Authorization", "Content-Type"};
    struct slice first;

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (find_headers(parser, names[i], &first) > 1)
            return 400;
    return 0;
}

static int check_expect(struct parser *parser)
{
    struct slice expect = parser_header(parser, "Expect");

    if (expect.at == NULL)
        return 0;
    parser->request.awaits_continue = !parser->request.is_old;
    return is_word(expect, "100-continue") ? 0 : 417;
}

static bool is_name(struct slice name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < name.length; i++)
        if (!isalnum(name.at[i]) && memchr(others, name.at[i], sizeof(others) - 1) == NULL)
            return false;
    return name.length > 0;
}

static bool is_value(struct slice value)
{
    for (size_t i = 0; i < value.length; i++)
        if ((value.at[i] < ' ' && value.at[i] != '\t') || value.at[i] == 127)
            return false;
    return true;
}

/* "Content-Length : 3" is none to some, and one to others. */
static int check_characters(const struct parser *parser)
{
    for (size_t i = 0; i < parser->headers_length; i++) {
        const struct parser_header *header = &parser->headers[i];

        if (!is_name(text_at(parser, header->name, header->name_length)) ||
            !is_value(value_of(parser, i)))
            return 400;
    }
    return 0;
}

static int check_head(struct parser *parser)
{
    int status = check_characters(parser);

    if (status == 0)
        status = check_framing(parser);
    if (status == 0)
        status = check_once(parser);
    return status != 0 ? status : check_expect(parser);
}

/* ---- a head is read ---------------------------------------------------------------------- */

static enum exchange_method method_of(const machine *m)
{
    switch (m->method) {
    case HTTP_GET:
        return EXCHANGE_GET;
    case HTTP_HEAD:
        return EXCHANGE_HEAD;
    case HTTP_POST:
        return EXCHANGE_POST;
    case HTTP_PUT:
        return EXCHANGE_PUT;
    case HTTP_PATCH:
        return EXCHANGE_PATCH;
    case HTTP_DELETE:
        return EXCHANGE_DELETE;
    case HTTP_OPTIONS:
        return EXCHANGE_OPTIONS;
    default:
        return EXCHANGE_OTHER;
    }
}

/* "/path?query#no", or "http://host/path?query" as a proxy is asked. */
static void split_target(struct parser *parser)
{
    struct exchange_request *asked = &parser->request.asked;
    struct slice rest = text_at(parser, 0, parser->target_length);
    const uint8_t *at;

    if (rest.length > 7 && strncasecmp((const char *)rest.at, "http://", 7) == 0) {
        at = memchr(rest.at + 7, '/', rest.length - 7);
        rest.length = at != NULL ? rest.length - (size_t)(at - rest.at) : 0;
        rest.at = at != NULL ? at : rest.at;
    }
    if ((at = memchr(rest.at, '#', rest.length)) != NULL)
        rest.length = (size_t)(at - rest.at);
    asked->path = rest.length > 0 ? rest : SLICE("/");
    asked->query = (struct slice){NULL, 0};
    if ((at = memchr(rest.at, '?', rest.length)) != NULL) {
        asked->path.length = (size_t)(at - rest.at);
        asked->query = (struct slice){at + 1, rest.length - asked->path.length - 1};
    }
}

static bool agrees(const struct parser *parser)
{
    const machine *m = &parser->machine;

    return ((m->flags & F_CHUNKED) != 0) == parser->is_chunked &&
           ((m->flags & F_LENGTH) != 0) == parser->has_length;
}

static int stop(struct parser *parser, int status)
{
    parser->request.status = status;
    return STOP;
}

static int on_begin(machine *m)
{
    struct parser *parser = m->data;

    parser->request = (struct parser_request){0};
    parser->bodyless = parser->in_body = parser->in_value = false;
    parser->is_chunked = parser->has_length = false;
    parser->announced = 0;
    parser->target_length = parser->headers_length = 0;
    bytes_clear(&parser->text);
    bytes_clear(&parser->body);
    return GO_ON;
}

/* All of a head is kept in one text, which is no longer than the head. */
static int add_text(struct parser *parser, const char *at, size_t length)
{
    if (length > parser->head_most - parser->text.length)
        return stop(parser, 431);
    bytes_add(&parser->text, at, length);
    return parser->text.failed ? stop(parser, 503) : GO_ON;
}

static int on_target(machine *m, const char *at, size_t length)
{
    struct parser *parser = m->data;

    if (length > PARSER_TARGET_MOST - parser->target_length)
        return stop(parser, 414);
    parser->target_length += length;
    return add_text(parser, at, length);
}

static int on_name(machine *m, const char *at, size_t length)
{
    struct parser *parser = m->data;
    struct parser_header *header;

    if (parser->in_body) {
        parser_trailer_add(parser, at, length);
        return GO_ON;
    }
    if (parser->headers_length == 0 || parser->in_value) {
        if (parser->headers_length == PARSER_HEADERS_MOST)
            return stop(parser, 431);
        parser->headers[parser->headers_length++] =
            (struct parser_header){.name = (uint16_t)parser->text.length};
        parser->in_value = false;
    }
    header = &parser->headers[parser->headers_length - 1];
    header->name_length = (uint16_t)(header->name_length + length);
    return add_text(parser, at, length);
}

static int on_value(machine *m, const char *at, size_t length)
{
    struct parser *parser = m->data;
    struct parser_header *header;

    if (parser->in_body)
        return parser_trailer_is_right(parser) ? GO_ON : stop(parser, 400);
    header = &parser->headers[parser->headers_length - 1];
    if (!parser->in_value)
        header->value = (uint16_t)parser->text.length;
    parser->in_value = true;
    header->value_length = (uint16_t)(header->value_length + length);
    return add_text(parser, at, length);
}

static int on_head(machine *m)
{
    struct parser *parser = m->data;
    struct parser_request *request = &parser->request;
    int status;

    if (m->http_major != 1)
        return stop(parser, 505);
    request->is_old = m->http_minor == 0;
    if ((status = check_head(parser)) != 0)
        return stop(parser, status);
    if (!agrees(parser)) /* about where the body ends */
        return stop(parser, 400);
    request->asked.method = method_of(m);
    request->asked.has_body = parser->is_chunked || parser->has_length;
    request->keep_alive = keeps_alive(m);
    split_target(parser);
    if (parser->has_length)
        parser->announced = m->content_length;
    m->upgrade = 0; /* it is the handler who may grant that */
    parser->bodyless = !parser->is_chunked && parser->announced == 0;
    parser->head_ended = true;
    return pause_here(m);
}

/* ---- a body is read ---------------------------------------------------------------------- */

static int on_body(machine *m, const char *at, size_t length)
{
    struct parser *parser = m->data;

    see_framing(parser, (const uint8_t *)at);
    parser->unframed = (const uint8_t *)at + length;
    parser->last = parser->is_chunked ? END_OF_CHUNK : '\0';
    if (parser->malformed || parser->framing > PARSER_FRAMING_MOST)
        return STOP;
    parser->framing = 0;
    if (length > parser->body_most - parser->body.length)
        return stop(parser, 413);
    bytes_add(&parser->body, at, length);
    return parser->body.failed ? stop(parser, 503) : GO_ON;
}

/* Who has no body was complete when its head was. */
static int on_complete(machine *m)
{
    struct parser *parser = m->data;

    if (parser->bodyless)
        return GO_ON;
    parser->complete = true;
    return pause_here(m);
}

/* ---- requests ---------------------------------------------------------------------------- */

static enum parser_result refuse(struct parser *parser, struct parser_request *request)
{
    size_t most = parser->in_body ? PARSER_FRAMING_MOST : parser->head_most;

    if (parser->malformed)
        parser->request.status = 400;
    else if (parser->request.status == 0)
        parser->request.status = parser->framing > most ? 431 : 400;
    *request = parser->request;
    request->keep_alive = false;
    return PARSER_REFUSED;
}

static enum parser_result give(struct parser *parser, struct parser_request *request)
{
    parser->complete = false;
    parser->in_body = false;
    parser->framing = 0;
    parser->last = '\0';
    parser->request.asked.body = (struct slice){parser->body.at, parser->body.length};
    *request = parser->request;
    return PARSER_REQUEST;
}

/* The head has ended; a body begins behind it, or nothing. */
static enum parser_result turn(struct parser *parser, struct parser_request *request)
{
    parser->head_ended = false;
    if (parser->bodyless)
        return give(parser, request);
    parser->in_body = true;
    parser->framing = 0;
    parser->body_most = 0;
    *request = parser->request;
    return PARSER_HEAD;
}

bool parser_take_body(struct parser *parser, size_t most)
{
    parser->body_most = most;
    return parser->is_chunked ? most > 0 : parser->announced <= most;
}

enum parser_result parser_read(struct parser *parser, struct slice in, size_t *used,
                               struct parser_request *request)
{
    bool fine;

    ASSERT(in.length > 0);
    *used = 0;
    parser->unframed = in.at;
    fine = execute(parser, (const char *)in.at, in.length, used);
    if (parser->unframed < in.at + *used)
        see_framing(parser, in.at + *used);
    if (!fine || parser->malformed ||
        parser->framing > (parser->in_body ? PARSER_FRAMING_MOST : parser->head_most))
        return refuse(parser, request);
    if (parser->head_ended)
        return turn(parser, request);
    return parser->complete ? give(parser, request) : PARSER_MORE;
}

void parser_init(struct parser *parser, size_t head_most)
{
    REQUIRE(head_most >= PARSER_HEAD_LEAST && head_most <= PARSER_HEAD_MOST);
    *parser = (struct parser){.head_most = head_most};
    set_up(parser);
}

void parser_fini(struct parser *parser)
{
    bytes_free(&parser->text);
    bytes_free(&parser->body);
}

static void shrink(struct bytes *bytes, size_t keep_most)
{
    if (bytes->capacity > keep_most)
        bytes_free(bytes);
    bytes_clear(bytes);
}

void parser_forget(struct parser *parser, size_t keep_most)
{
    struct bytes text = parser->text, body = parser->body;

    shrink(&text, keep_most);
    shrink(&body, keep_most);
    parser_init(parser, parser->head_most);
    parser->text = text;
    parser->body = body;
}
