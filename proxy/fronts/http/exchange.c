#include "proxy/fronts/http/exchange.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/fronts/http/answer.h"
#include "proxy/fronts/http/connection.h"

enum { LONGEST_ERROR = 1024 };

/* ---- the request ------------------------------------------------------------------------- */

const struct exchange_request *exchange_request(const struct exchange *exchange)
{
    return &exchange->request.asked;
}

struct slice exchange_header(const struct exchange *exchange, const char *name)
{
    return parser_header(&exchange->parser, name);
}

const struct peer *exchange_peer(const struct exchange *exchange)
{
    return &exchange->connection->peer;
}

/* 127.0.0.0/8, ::1, and the former as IPv6 shows it. */
bool exchange_is_local(const struct exchange *exchange)
{
    static const uint8_t loopback[16] = {[15] = 1};
    static const uint8_t mapped[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    const struct peer *peer = &exchange->connection->peer;

    if (peer->family == AF_INET)
        return peer->ip[0] == 127;
    return peer->family == AF_INET6 && (memcmp(peer->ip, loopback, sizeof(loopback)) == 0 ||
                                        memcmp(peer->ip, mapped, sizeof(mapped)) == 0);
}

void exchange_set_owner(struct exchange *exchange, void *owner)
{
    exchange->owner = owner;
}

void *exchange_owner(const struct exchange *exchange)
{
    return exchange->owner;
}

void *exchange_context(const struct exchange *exchange)
{
    return exchange->connection->http->options.context;
}

const struct exchange_handler *exchange_handler(const struct exchange *exchange)
{
    return exchange->route.handler;
}

/* ---- the answer -------------------------------------------------------------------------- */

static bool is_head_only(const struct exchange *exchange)
{
    return exchange->request.asked.method == EXCHANGE_HEAD;
}

void exchange_header_add(struct exchange *exchange, const char *name, const char *value)
{
    size_t from;

    REQUIRE(exchange->step <= ANSWER_STARTED);
    bytes_print(&exchange->lines, "%s: ", name);
    from = exchange->lines.length;
    bytes_print(&exchange->lines, "%s\r\n", value);
    if (exchange->lines.failed)
        return;
    for (uint8_t *at = exchange->lines.at + from;
         at < exchange->lines.at + exchange->lines.length - 2; at++)
        if (*at == '\r' || *at == '\n')
            *at = ' ';
}

static bool is_worth_gzip(const char *type)
{
    static const char *const types[] = {"application/json", "application/x-ndjson",
                                        "application/javascript", "image/svg+xml", "text/"};

    if (strncasecmp(type, "text/event-stream", 17) == 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (strncasecmp(type, types[i], strlen(types[i])) == 0)
            return true;
    return false;
}

/* "gzip", "gzip;q=0.8", but not "gzip;q=0". */
static bool is_wanted(const char *coding, const char *end)
{
    const char *weight = memchr(coding, '=', (size_t)(end - coding));

    for (; weight != NULL && weight < end; weight++)
        if (*weight >= '1' && *weight <= '9')
            return true;
    return memchr(coding, '=', (size_t)(end - coding)) == NULL;
}

/* A list, "gzip, deflate, br;q=1.0". */
static bool takes_gzip(const struct exchange *exchange)
{
    struct slice accepts = exchange_header(exchange, "Accept-Encoding");
    const char *at = (const char *)accepts.at, *end = at + accepts.length, *next;

    for (; accepts.length > 0 && at < end; at = next) {
        next = memchr(at, ',', (size_t)(end - at));
        next = next != NULL ? next + 1 : end;
        while (at < next && (*at == ' ' || *at == '\t'))
            at++;
        if (next - at >= 4 && strncasecmp(at, "gzip", 4) == 0)
            return is_wanted(at, next);
    }
    return false;
}

static void set_head(struct exchange *exchange, int status, const char *type)
{
    REQUIRE(exchange->step == ANSWER_BEGUN);
    exchange->step = ANSWER_STARTED;
    exchange->is_last |= exchange->connection->http->draining;
    exchange->status = status;
    snprintf(exchange->type, sizeof(exchange->type), "%s", type != NULL ? type : "");
    exchange->may_gzip = is_worth_gzip(exchange->type) && takes_gzip(exchange);
}

static bool is_closing(const struct exchange *exchange)
{
    return exchange->connection->state == HTTP_CLOSING;
}

static void finish(struct exchange *exchange)
{
    connection_answered(exchange->connection, exchange->is_last);
}

void exchange_answer(struct exchange *exchange, int status, const char *content_type,
                     struct slice body)
{
    set_head(exchange, status, content_type);
    if (!is_closing(exchange))
        answer_send(exchange, ANSWER_WHOLE, body);
    finish(exchange);
}

void exchange_error(struct exchange *exchange, int status, const char *format, ...)
{
    char text[LONGEST_ERROR];
    struct bytes *out = &exchange->out;
    va_list arguments;

    if (exchange->step >= ANSWER_SENT) {
        exchange_abort(exchange);
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (exchange->step == ANSWER_STARTED) {
        exchange->step = ANSWER_BEGUN;
        bytes_clear(&exchange->lines);
    }
    bytes_clear(out);
    bytes_print(out, "{\"error\":\"");
    answer_quote(out, (struct slice){(const uint8_t *)text, strlen(text)});
    bytes_print(out, "\"}\n");
    if (out->failed)
        connection_break(exchange->connection);
    exchange_answer(exchange, status, "application/json", (struct slice){out->at, out->length});
}

void exchange_start(struct exchange *exchange, int status, const char *content_type)
{
    set_head(exchange, status, content_type);
    bytes_clear(&exchange->out);
    exchange->dropped = 0;
    connection_stir(exchange->connection);
}

/* Gathers what is small until it is worth a write, or the turn ends. */
static void write_plain(struct exchange *exchange, struct slice piece)
{
    if (exchange->out.length + piece.length < ANSWER_PIECE) {
        bytes_add(&exchange->out, piece.at, piece.length);
        connection_stir(exchange->connection);
    } else if (exchange->step != ANSWER_UPGRADED) {
        answer_send(exchange, ANSWER_PART, piece);
    } else {
        connection_send(exchange->connection,
                        (struct slice[]){{exchange->out.at, exchange->out.length}, piece}, 2);
        bytes_clear(&exchange->out);
    }
}

static void write_gzip(struct exchange *exchange, struct slice piece)
{
    gzip_add(exchange->gzip, piece, GZIP_MORE, &exchange->out);
    connection_stir(exchange->connection);
    if (exchange->out.length >= ANSWER_PIECE)
        answer_send(exchange, ANSWER_PART, (struct slice){NULL, 0});
}

void exchange_write(struct exchange *exchange, struct slice piece)
{
    REQUIRE(exchange->step >= ANSWER_STARTED);
    if (is_closing(exchange) || piece.length == 0)
        return;
    if (is_head_only(exchange))
        exchange->dropped += piece.length;
    else if (exchange->gzip != NULL)
        write_gzip(exchange, piece);
    else
        write_plain(exchange, piece);
}

static struct slice written(const struct exchange *exchange)
{
    if (is_head_only(exchange))
        return (struct slice){NULL, exchange->dropped};
    return (struct slice){exchange->out.at, exchange->out.length};
}

void exchange_end(struct exchange *exchange)
{
    REQUIRE(exchange->step >= ANSWER_STARTED);
    if (is_closing(exchange)) {
        finish(exchange);
        return;
    }
    if (exchange->step == ANSWER_UPGRADED)
        answer_flush(exchange);
    else if (exchange->step == ANSWER_SENT)
        answer_send(exchange, ANSWER_END, (struct slice){NULL, 0});
    else if (exchange->out.failed)
        connection_break(exchange->connection);
    else
        answer_send(exchange, ANSWER_WHOLE, written(exchange));
    finish(exchange);
}

void exchange_abort(struct exchange *exchange)
{
    connection_break(exchange->connection);
    finish(exchange);
}

bool exchange_is_started(const struct exchange *exchange)
{
    return exchange->step >= ANSWER_STARTED;
}

bool exchange_is_sent(const struct exchange *exchange)
{
    return exchange->step >= ANSWER_SENT;
}

size_t exchange_queued(const struct exchange *exchange)
{
    if (is_closing(exchange))
        return 0;
    return exchange->out.length + stream_queued(&exchange->connection->stream);
}

/* ---- another protocol -------------------------------------------------------------------- */

void exchange_upgrade(struct exchange *exchange, const char *protocol)
{
    struct bytes *head = &exchange->connection->http->head;

    REQUIRE(exchange->step == ANSWER_BEGUN && exchange->route.handler->bytes != NULL);
    exchange->step = ANSWER_UPGRADED;
    exchange->is_last = true;
    bytes_clear(&exchange->out);
    bytes_clear(head);
    bytes_print(head, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n",
                protocol);
    bytes_add(head, exchange->lines.at, exchange->lines.length);
    bytes_add(head, "\r\n", 2);
    if (head->failed || exchange->lines.failed)
        connection_break(exchange->connection);
    else
        connection_send(exchange->connection, &(struct slice){head->at, head->length}, 1);
    connection_stir(exchange->connection);
}

void exchange_pause(struct exchange *exchange)
{
    stream_pause(&exchange->connection->stream);
}

void exchange_resume(struct exchange *exchange)
{
    stream_read(&exchange->connection->stream);
    connection_stir(exchange->connection);
}
