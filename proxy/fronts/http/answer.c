#include "proxy/fronts/http/answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "proxy/fronts/http/connection.h"

enum { MOST_KEPT = 64 * 1024 }; /* of a buffer that was needed once */

static const struct status {
    int code;
    const char *reason, *text; /* what a person reads */
} statuses[] = {
    {200, "OK", ""},
    {201, "Created", ""},
    {202, "Accepted", ""},
    {204, "No Content", ""},
    {304, "Not Modified", ""},
    {400, "Bad Request", "this is not an HTTP request"},
    {401, "Unauthorized", "who asks must say who it is"},
    {403, "Forbidden", "not allowed"},
    {404, "Not Found", "there is no such page"},
    {405, "Method Not Allowed", "this page does not take that method"},
    {406, "Not Acceptable", "this cannot be given in that form"},
    {408, "Request Timeout", "the request took too long to arrive"},
    {409, "Conflict", "this contradicts what is there"},
    {411, "Length Required", "a body is needed, and its Content-Length"},
    {413, "Content Too Large", "the body is longer than this page takes"},
    {414, "URI Too Long", "the target of the request is too long"},
    {415, "Unsupported Media Type", "the body is not of a type that is understood"},
    {417, "Expectation Failed", "only 100-continue can be expected"},
    {422, "Unprocessable Content", "the body cannot be worked on"},
    {426, "Upgrade Required", "another protocol is spoken here"},
    {429, "Too Many Requests", "too many requests"},
    {431, "Request Header Fields Too Large", "the head of the request is too long"},
    {499, "Client Closed Request", "the client has gone"},
    {500, "Internal Server Error", "this failed"},
    {501, "Not Implemented", "this method or transfer coding is not known"},
    {502, "Bad Gateway", "the server cannot be reached"},
    {503, "Service Unavailable", "too busy: out of connections or memory"},
    {504, "Gateway Timeout", "the server did not answer in time"},
    {505, "HTTP Version Not Supported", "only HTTP/1.0 and HTTP/1.1 are spoken here"},
    {507, "Insufficient Storage", "the answer is too large"},
};

static const struct status *status_of(int code)
{
    static const struct status unknown = {0, "Unknown", "this failed"};

    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        if (statuses[i].code == code)
            return &statuses[i];
    return &unknown;
}

const char *answer_text(int status)
{
    return status_of(status)->text;
}

void answer_quote(struct bytes *out, struct slice text)
{
    while (text.length > 0) {
        size_t length = utf8_length(text);
        uint8_t first = text.at[0];

        if (length == 0)
            bytes_add(out, "\xef\xbf\xbd", 3);
        else if (first == '"' || first == '\\')
            bytes_print(out, "\\%c", first);
        else if (first < ' ')
            bytes_print(out, "\\u%04x", first);
        else
            bytes_add(out, text.at, length);
        text.at += length > 0 ? length : 1;
        text.length -= length > 0 ? length : 1;
    }
}

/* ---- the head ---------------------------------------------------------------------------- */

static struct http *http_of(const struct exchange *exchange)
{
    return exchange->connection->http;
}

static bool is_head_only(const struct exchange *exchange)
{
    return exchange->request.asked.method == EXCHANGE_HEAD;
}

static const char *date_of(struct http *http)
{
    time_t now = time(NULL);
    struct tm utc;

    if (http->date_at != now) {
        gmtime_r(&now, &utc);
        strftime(http->date, sizeof(http->date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
        http->date_at = now;
    }
    return http->date;
}

static void add_origin(struct exchange *exchange)
{
    struct bytes *head = &http_of(exchange)->head;
    const struct exchange_handler *near = exchange->route.near;
    const char *origins = http_of(exchange)->options.origins;
    struct slice origin;

    if (near == NULL || !near->cors || origins == NULL)
        return;
    if (route_allows_all(origins)) {
        bytes_print(head, "Access-Control-Allow-Origin: *\r\n");
        return;
    }
    bytes_print(head, "Vary: Origin\r\n");
    origin = parser_header(&exchange->parser, "Origin");
    if (route_allows_origin(origins, origin))
        bytes_print(head, "Access-Control-Allow-Origin: %.*s\r\n", (int)origin.length,
                    (const char *)origin.at);
}

static void add_connection(struct exchange *exchange)
{
    struct bytes *head = &http_of(exchange)->head;

    if (exchange->is_last)
        bytes_print(head, "Connection: close\r\n");
    else if (exchange->request.is_old)
        bytes_print(head, "Connection: keep-alive\r\n");
}

/* length_known: else it is chunked, or ends with the connection. */
static void build_head(struct exchange *exchange, bool length_known, size_t length)
{
    struct bytes *head = &http_of(exchange)->head;
    bool has_body = exchange->status != 204 && exchange->status != 304;

    bytes_print(head, "HTTP/1.1 %d %s\r\nDate: %s\r\n", exchange->status,
                status_of(exchange->status)->reason, date_of(http_of(exchange)));
    if (has_body && exchange->type[0] != '\0')
        bytes_print(head, "Content-Type: %s\r\n", exchange->type);
    if (has_body && length_known)
        bytes_print(head, "Content-Length: %zu\r\n", length);
    else if (has_body && exchange->is_chunked)
        bytes_print(head, "Transfer-Encoding: chunked\r\n");
    bytes_print(head, "Cache-Control: no-store\r\n");
    if (exchange->gzip != NULL)
        bytes_print(head, "Content-Encoding: gzip\r\n");
    if (exchange->may_gzip)
        bytes_print(head, "Vary: Accept-Encoding\r\n");
    add_origin(exchange);
    bytes_add(head, exchange->lines.at, exchange->lines.length);
    head->failed |= exchange->lines.failed;
    add_connection(exchange);
    bytes_add(head, "\r\n", 2);
}

/* ---- sending ----------------------------------------------------------------------------- */

static void give_gzip(struct exchange *exchange)
{
    if (exchange->gzip != NULL)
        gzip_give(&http_of(exchange)->gzips, exchange->gzip);
    exchange->gzip = NULL;
}

static void forget(struct bytes *bytes)
{
    if (bytes->capacity > MOST_KEPT)
        bytes_free(bytes);
    bytes_clear(bytes);
}

static void send_whole(struct exchange *exchange, struct slice body)
{
    struct http *http = http_of(exchange);
    bool worth_it = exchange->may_gzip && !is_head_only(exchange) && //
                    body.length >= http->options.gzip_least;

    bytes_clear(&http->scratch);
    if (worth_it && (exchange->gzip = gzip_take(&http->gzips)) != NULL) {
        gzip_add(exchange->gzip, body, GZIP_END, &http->scratch);
        body = (struct slice){http->scratch.at, http->scratch.length};
    }
    build_head(exchange, true, body.length);
    give_gzip(exchange);
    if (http->head.failed || http->scratch.failed)
        connection_break(exchange->connection);
    else
        connection_send(exchange->connection,
                        (struct slice[]){{http->head.at, http->head.length}, body},
                        is_head_only(exchange) ? 1 : 2);
    forget(&http->scratch);
}

/* Length unknown: what was written so far goes through the compressor, if there is to be one. */
static void begin_parts(struct exchange *exchange)
{
    struct http *http = http_of(exchange);
    struct bytes plain = exchange->out;

    exchange->is_chunked = !exchange->request.is_old;
    exchange->is_last |= exchange->request.is_old;
    if (exchange->may_gzip)
        exchange->gzip = gzip_take(&http->gzips);
    build_head(exchange, false, 0);
    if (exchange->gzip == NULL)
        return;
    bytes_clear(&http->scratch);
    exchange->out = http->scratch;
    http->scratch = plain;
    gzip_add(exchange->gzip, (struct slice){plain.at, plain.length}, GZIP_MORE, &exchange->out);
    exchange->out.failed |= plain.failed;
    forget(&http->scratch);
}

static void compress(struct exchange *exchange, enum answer_part part, struct slice *piece)
{
    static const enum gzip_how how[] = {
        [ANSWER_PART] = GZIP_MORE, [ANSWER_FLUSH] = GZIP_FLUSH, [ANSWER_END] = GZIP_END};

    if (exchange->gzip == NULL)
        return;
    gzip_add(exchange->gzip, *piece, how[part], &exchange->out);
    *piece = (struct slice){NULL, 0};
}

static struct slice tail_of(const struct exchange *exchange, enum answer_part part, size_t length)
{
    if (!exchange->is_chunked)
        return (struct slice){NULL, 0};
    if (part == ANSWER_END)
        return length > 0 ? SLICE("\r\n0\r\n\r\n") : SLICE("0\r\n\r\n");
    return length > 0 ? SLICE("\r\n") : (struct slice){NULL, 0};
}

/* In one write: the head before the first part, the size of the chunk, and the chunk. */
static void send_part(struct exchange *exchange, enum answer_part part, struct slice piece)
{
    struct http *http = http_of(exchange);
    size_t length;

    if (exchange->step == ANSWER_STARTED)
        begin_parts(exchange);
    exchange->step = ANSWER_SENT;
    compress(exchange, part, &piece);
    length = exchange->out.length + piece.length;
    if (exchange->is_chunked && length > 0)
        bytes_print(&http->head, "%zx\r\n", length);
    if (http->head.failed || exchange->out.failed)
        connection_break(exchange->connection);
    else
        connection_send(exchange->connection,
                        (struct slice[]){{http->head.at, http->head.length},
                                         {exchange->out.at, exchange->out.length},
                                         piece,
                                         tail_of(exchange, part, length)},
                        4);
    forget(&exchange->out);
    if (part == ANSWER_END)
        give_gzip(exchange);
}

void answer_send(struct exchange *exchange, enum answer_part part, struct slice piece)
{
    bytes_clear(&http_of(exchange)->head);
    if (part == ANSWER_WHOLE)
        send_whole(exchange, piece);
    else
        send_part(exchange, part, piece);
}

static void send_raw(struct exchange *exchange)
{
    if (exchange->out.failed)
        connection_break(exchange->connection);
    else if (exchange->out.length > 0)
        connection_send(exchange->connection,
                        &(struct slice){exchange->out.at, exchange->out.length}, 1);
    forget(&exchange->out);
}

void answer_flush(struct exchange *exchange)
{
    if (exchange->step == ANSWER_UPGRADED)
        send_raw(exchange);
    else if (exchange->step >= ANSWER_STARTED && !is_head_only(exchange))
        answer_send(exchange, ANSWER_FLUSH, (struct slice){NULL, 0});
}
