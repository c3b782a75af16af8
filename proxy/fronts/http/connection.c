#include "proxy/fronts/http/connection.h"

#include <stdlib.h>

#include "proxy/fronts/http/answer.h"

enum {
    MOST_SPARE = 64,      /* exchanges */
    MOST_SLICES = 4,      /* of a write */
    MOST_KEPT = 16 * 1024 /* of what one has gathered */
};

#define MAY(state) (1u << HTTP_##state)
#define ENDS       (MAY(RESTING) | MAY(ANSWERING) | MAY(FINISHING) | MAY(LEAVING) | MAY(CLOSING))

/* How long a connection may stay in each state (0: for ever), where it may go from there,
 * and the status it is told when that was too long; 0: it is closed without a word. */
static const struct {
    uint64_t timeout_ms;
    unsigned may_become;
    int too_late;
} life[] = {
    [HTTP_VACANT] = {0, MAY(RESTING) | MAY(CLOSING), 0},
    [HTTP_RESTING] = {60000, MAY(ASKING) | MAY(WORKING) | MAY(CLOSING), 0},
    [HTTP_ASKING] = {10000, MAY(WORKING) | MAY(CLOSING), 408},
    [HTTP_GATHERING] = {30000, MAY(WORKING) | MAY(CLOSING), 408},
    [HTTP_WORKING] = {0, MAY(GATHERING) | MAY(SENDING) | ENDS, 0}, /* the handler has its own */
    [HTTP_SENDING] = {60000, MAY(WORKING) | ENDS, 0},
    [HTTP_ANSWERING] = {60000, MAY(RESTING) | MAY(CLOSING), 0},
    [HTTP_FINISHING] = {60000, MAY(LEAVING) | MAY(CLOSING), 0},
    [HTTP_LEAVING] = {5000, MAY(CLOSING), 0},
    [HTTP_CLOSING] = {0, MAY(VACANT), 0}, /* the loop's turn; it always comes */
};

/* ---- states ------------------------------------------------------------------------------ */

uint64_t connection_timeout(const struct http *http, enum http_state state)
{
    return http->options.timeout_ms[state] ? http->options.timeout_ms[state]
                                           : life[state].timeout_ms;
}

/* What of its task in this state is done, in bytes. */
static uint64_t progress_of(const struct http_connection *connection)
{
    if (connection->state == HTTP_GATHERING)
        return connection->exchange->parser.body.length;
    if (connection->state >= HTTP_SENDING && connection->state <= HTTP_FINISHING)
        return connection->sent - stream_queued(&connection->stream);
    return 0;
}

static uint64_t least_progress(const struct http_connection *connection)
{
    if (connection->state == HTTP_GATHERING)
        return connection_timeout(connection->http, HTTP_GATHERING) * HTTP_LEAST_RATE / 1000;
    return 1;
}

/* At the end of its state's list, with all its time before it. */
static void stand_in(struct http_connection *connection, enum http_state state)
{
    struct http *http = connection->http;

    list_remove(&http->connections[connection->state], &connection->link);
    list_push_back(&http->connections[state], &connection->link);
    connection->state = state;
    connection->since = uv_now(http->options.home->loop);
    connection->progress = progress_of(connection);
    http_set_timer(http);
}

static void move(struct http_connection *connection, enum http_state to)
{
    REQUIRE(life[connection->state].may_become & (1u << to));
    stand_in(connection, to);
}

void connection_break(struct http_connection *connection)
{
    if (connection->state == HTTP_CLOSING)
        return;
    move(connection, HTTP_CLOSING);
    stream_close(&connection->stream);
}

/* ---- exchanges --------------------------------------------------------------------------- */

static void destroy(struct exchange *exchange)
{
    parser_fini(&exchange->parser);
    bytes_free(&exchange->lines);
    bytes_free(&exchange->out);
    free(exchange);
}

static bool take_exchange(struct http_connection *connection)
{
    struct http *http = connection->http;
    struct exchange *exchange = http->spare;

    if (exchange != NULL) {
        http->spare = exchange->next;
        http->spare_length--;
    } else {
        if ((exchange = calloc(1, sizeof(*exchange))) == NULL)
            return false;
        parser_init(&exchange->parser, http->options.head_most);
    }
    exchange->connection = connection;
    connection->exchange = exchange;
    return true;
}

static void make_new(struct exchange *exchange)
{
    if (exchange->out.capacity > MOST_KEPT)
        bytes_free(&exchange->out);
    bytes_clear(&exchange->out);
    bytes_clear(&exchange->lines);
    parser_forget(&exchange->parser, MOST_KEPT);
    exchange->request = (struct parser_request){0};
    exchange->route = (struct route_found){0};
    exchange->owner = NULL;
    exchange->step = ANSWER_READING;
    exchange->is_last = exchange->may_gzip = exchange->is_chunked = false;
    exchange->gathered = 0;
    exchange->dropped = 0;
}

static void release_exchange(struct http_connection *connection)
{
    struct http *http = connection->http;
    struct exchange *exchange = connection->exchange;

    http->gathered -= exchange->gathered;
    if (exchange->gzip != NULL)
        gzip_give(&http->gzips, exchange->gzip);
    exchange->gzip = NULL;
    connection->exchange = NULL;
    if (http->spare_length == MOST_SPARE) {
        destroy(exchange);
        return;
    }
    make_new(exchange);
    exchange->next = http->spare;
    http->spare = exchange;
    http->spare_length++;
}

void connection_free_spare(struct http *http)
{
    for (struct exchange *exchange = http->spare, *next; exchange != NULL; exchange = next) {
        next = exchange->next;
        destroy(exchange);
    }
}

/* ---- what the answer needs --------------------------------------------------------------- */

void connection_send(struct http_connection *connection, const struct slice *slices, size_t count)
{
    struct slice full[MOST_SLICES];
    size_t total = 0, length = 0;

    REQUIRE(count <= MOST_SLICES);
    for (size_t i = 0; i < count; i++)
        if (slices[i].length > 0) {
            full[length++] = slices[i];
            total += slices[i].length;
        }
    if (connection->state == HTTP_CLOSING || total == 0)
        return;
    stream_write(&connection->stream, full, length);
    connection->sent += total;
    connection->http->counted.bytes_out += total;
    if (connection->state == HTTP_WORKING && stream_queued(&connection->stream) > 0)
        move(connection, HTTP_SENDING);
}

void connection_stir(struct http_connection *connection)
{
    struct http *http = connection->http;

    if (connection->state == HTTP_CLOSING || link_is_linked(&connection->stirs))
        return;
    list_push_back(&http->stirring, &connection->stirs);
    if (!uv_is_active((uv_handle_t *)&http->turn))
        uv_idle_start(&http->turn, http->turn_over);
}

static bool is_upgraded(const struct http_connection *connection)
{
    return connection->exchange != NULL && connection->exchange->step == ANSWER_UPGRADED;
}

void connection_settle(struct http_connection *connection)
{
    if (connection->state == HTTP_CLOSING)
        return;
    if (connection->exchange != NULL)
        answer_flush(connection->exchange);
    if (connection->state == HTTP_RESTING || is_upgraded(connection))
        stream_again(&connection->stream);
}

/* The peer may not take it all at once: then it is asked nothing more until it has. */
void connection_answered(struct http_connection *connection, bool is_last)
{
    bool taken;

    release_exchange(connection);
    if (connection->state == HTTP_CLOSING)
        return;
    taken = stream_queued(&connection->stream) == 0;
    if (is_last) {
        move(connection, taken ? HTTP_LEAVING : HTTP_FINISHING);
        stream_finish(&connection->stream);
    } else {
        move(connection, taken ? HTTP_RESTING : HTTP_ANSWERING);
        if (connection != connection->http->shown)
            connection_stir(connection); /* the next request may be here already */
    }
}

/* ---- what is wrong ----------------------------------------------------------------------- */

static void say(struct http_connection *connection, int status, const char *text)
{
    struct exchange *exchange = connection->exchange;

    connection->http->counted.refused++;
    exchange_error(exchange, status, "%s", text);
}

static void refuse(struct http_connection *connection, int status, const char *text)
{
    if (connection->exchange == NULL && !take_exchange(connection)) {
        connection_break(connection); /* not even a word is left */
        return;
    }
    if (connection->state != HTTP_WORKING)
        move(connection, HTTP_WORKING);
    connection->exchange->is_last = true;
    connection->exchange->step = ANSWER_BEGUN;
    connection->http->counted.too_large += status == 413 || status == 431 || status == 414;
    say(connection, status, text);
}

void connection_refuse(struct http_connection *connection, int status)
{
    refuse(connection, status, answer_text(status));
}

void connection_overdue(struct http_connection *connection)
{
    struct http *http = connection->http;

    if (connection->state != HTTP_LEAVING &&
        progress_of(connection) >= connection->progress + least_progress(connection)) {
        stand_in(connection, connection->state);
        return;
    }
    http->counted.too_late += connection->state > HTTP_RESTING && connection->state < HTTP_LEAVING;
    if (life[connection->state].too_late != 0)
        connection_refuse(connection, life[connection->state].too_late);
    else
        connection_break(connection);
}

/* ---- requests ---------------------------------------------------------------------------- */

static void answer_options(struct http_connection *connection)
{
    struct exchange *exchange = connection->exchange;
    struct http *http = connection->http;
    const struct exchange_handler *near = exchange->route.near;

    bytes_clear(&http->scratch);
    route_list_methods(exchange->route.methods, &http->scratch);
    bytes_add(&http->scratch, "", 1);
    if (http->scratch.failed) {
        connection_break(connection);
        connection_answered(connection, true);
        return;
    }
    exchange_header_add(exchange, "Allow", (const char *)http->scratch.at);
    if (near->cors && exchange_header(exchange, "Origin").length > 0) {
        exchange_header_add(exchange, "Access-Control-Allow-Methods",
                            (const char *)http->scratch.at);
        if (near->allow != NULL)
            exchange_header_add(exchange, "Access-Control-Allow-Headers", near->allow);
        exchange_header_add(exchange, "Access-Control-Max-Age", "86400");
    }
    exchange_answer(exchange, 200, NULL, (struct slice){NULL, 0});
}

static void refuse_method(struct http_connection *connection)
{
    struct http *http = connection->http;

    bytes_clear(&http->scratch);
    route_list_methods(connection->exchange->route.methods, &http->scratch);
    bytes_add(&http->scratch, "", 1);
    if (!http->scratch.failed)
        exchange_header_add(connection->exchange, "Allow", (const char *)http->scratch.at);
    say(connection, 405, answer_text(405));
}

static bool lacks_body(const struct exchange *exchange)
{
    return exchange->route.handler->needs_body && !exchange->request.asked.has_body &&
           (exchange->request.asked.method & (EXCHANGE_POST | EXCHANGE_PUT | EXCHANGE_PATCH)) != 0;
}

/* Whether the request is one for its handler, as far as its head tells; else it was answered. */
static bool admit(struct http_connection *connection)
{
    struct http *http = connection->http;
    struct exchange *exchange = connection->exchange;
    const struct exchange_request *asked = &exchange->request.asked;
    const struct route_table table = {http->options.routes, http->options.routes_length};

    route_find(&table, asked->method, asked->path, &exchange->route);
    if (exchange->route.near == NULL)
        say(connection, 404, answer_text(404));
    else if (exchange->route.handler == NULL && asked->method == EXCHANGE_OPTIONS)
        answer_options(connection);
    else if (exchange->route.handler == NULL)
        refuse_method(connection);
    else if (lacks_body(exchange))
        say(connection, 411, answer_text(411));
    else if (exchange->route.handler->refuse != NULL)
        exchange->route.handler->refuse(exchange, http->options.context);
    return connection->exchange == exchange;
}

/* The head is here, and tells who is to answer. Whoever answers before a body was read cannot
 * know where the next request begins, and closes. */
static bool begin_request(struct http_connection *connection, bool body_follows)
{
    struct exchange *exchange = connection->exchange;
    bool is_last = !exchange->request.keep_alive;

    exchange->is_last = is_last || body_follows;
    exchange->step = ANSWER_BEGUN;
    move(connection, HTTP_WORKING);
    if (!admit(connection))
        return false;
    exchange->is_last = is_last;
    return true;
}

static void begin_body(struct http_connection *connection, bool has_come)
{
    struct exchange *exchange = connection->exchange;

    if (!begin_request(connection, true))
        return;
    if (!parser_take_body(&exchange->parser, exchange->route.handler->body_most)) {
        connection_refuse(connection, 413);
        return;
    }
    exchange->step = ANSWER_READING;
    move(connection, HTTP_GATHERING);
    if (exchange->request.awaits_continue && !has_come)
        connection_send(connection, &SLICE("HTTP/1.1 100 Continue\r\n\r\n"), 1);
}

static void hand_over(struct http_connection *connection)
{
    struct exchange *exchange = connection->exchange;
    struct http *http = connection->http;

    if (connection->state == HTTP_ASKING && !begin_request(connection, false))
        return;
    if (connection->state == HTTP_GATHERING) {
        exchange->step = ANSWER_BEGUN;
        move(connection, HTTP_WORKING);
    }
    http->counted.requests++;
    exchange->route.handler->begin(exchange, http->options.context);
}

/* All bodies together have a limit, since each may be large. */
static bool fits(struct http_connection *connection)
{
    struct exchange *exchange = connection->exchange;
    struct http *http = connection->http;

    http->gathered += exchange->parser.body.length - exchange->gathered;
    exchange->gathered = exchange->parser.body.length;
    return http->gathered <= http->options.most_gathered;
}

/* Reads on to the end of one request, or of its head; returns how many bytes that was. */
static size_t read_request(struct http_connection *connection, struct slice in)
{
    struct exchange *exchange;
    struct parser_request request;
    enum parser_result result;
    size_t used;

    if (connection->exchange == NULL && !take_exchange(connection)) {
        connection_break(connection);
        return in.length;
    }
    exchange = connection->exchange;
    if (connection->state == HTTP_RESTING)
        move(connection, HTTP_ASKING);
    result = parser_read(&exchange->parser, in, &used, &request);
    connection->http->counted.bytes_in += used;
    if (result != PARSER_MORE)
        exchange->request = request;
    if (result == PARSER_REFUSED) {
        connection_refuse(connection, request.status);
    } else if (!fits(connection)) {
        connection->http->counted.too_large++;
        refuse(connection, 503, "too many bodies of requests are being read");
    } else if (result == PARSER_HEAD) {
        begin_body(connection, used < in.length);
    } else if (result == PARSER_REQUEST) {
        hand_over(connection);
    }
    return used;
}

/* ---- what happens to a connection -------------------------------------------------------- */

static struct http_connection *connection_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct http_connection, stream);
}

static bool is_reading(const struct http_connection *connection)
{
    return connection->state == HTTP_RESTING || connection->state == HTTP_ASKING ||
           connection->state == HTTP_GATHERING;
}

static struct slice behind(struct slice in, size_t used)
{
    return (struct slice){in.at + used, in.length - used};
}

static size_t on_bytes(struct stream *stream, struct slice in)
{
    struct http_connection *connection = connection_of(stream);
    struct exchange *exchange;
    size_t used = 0, more;

    connection->http->shown = connection;
    while (used < in.length && is_reading(connection))
        used += read_request(connection, behind(in, used));
    exchange = connection->exchange;
    if (is_upgraded(connection) && connection->state != HTTP_CLOSING && used < in.length) {
        more = exchange->route.handler->bytes(exchange, behind(in, used));
        connection->http->counted.bytes_in += more;
        used += more;
    }
    connection->http->shown = NULL;
    return connection->state >= HTTP_WORKING && connection->state <= HTTP_ANSWERING ? used
                                                                                    : in.length;
}

/* Who has said all and still listens gets what is on its way, but no work is begun or gone on
 * with for it. */
static void on_ended(struct stream *stream, enum err why)
{
    struct http_connection *connection = connection_of(stream);

    if (why == ERR_OK && (connection->state == HTTP_ASKING || connection->state == HTTP_GATHERING))
        refuse(connection, 400, "the request ends in its middle");
    if (connection->state == HTTP_WORKING || connection->state == HTTP_SENDING) {
        connection->http->counted.gone++;
        connection_break(connection);
    } else if (why != ERR_OK || stream_queued(stream) == 0) {
        connection_break(connection);
    }
}

static void on_drained(struct stream *stream)
{
    struct http_connection *connection = connection_of(stream);
    struct exchange *exchange = connection->exchange;

    if (connection->state == HTTP_SENDING) {
        move(connection, HTTP_WORKING);
        if (exchange->route.handler->drained != NULL)
            exchange->route.handler->drained(exchange);
    } else if (connection->state == HTTP_ANSWERING) {
        move(connection, HTTP_RESTING);
        stream_again(stream);
    } else if (connection->state == HTTP_FINISHING) {
        move(connection, HTTP_LEAVING);
    }
    if (stream->ended && connection->state != HTTP_CLOSING && stream_queued(stream) == 0)
        connection_break(connection);
}

static void on_closed(struct stream *stream)
{
    struct http_connection *connection = connection_of(stream);
    struct exchange *exchange = connection->exchange;

    if (exchange != NULL && exchange->step > ANSWER_READING &&
        exchange->route.handler->gone != NULL)
        exchange->route.handler->gone(exchange);
    if (connection->exchange != NULL)
        release_exchange(connection);
    if (link_is_linked(&connection->stirs))
        list_remove(&connection->http->stirring, &connection->stirs);
    move(connection, HTTP_VACANT);
    http_vacated(connection->http);
}

static const struct stream_events events = {
    .bytes = on_bytes, .ended = on_ended, .drained = on_drained, .closed = on_closed};

/* ---- opening ----------------------------------------------------------------------------- */

/* The one used last is the warmest; one that was never used has cost nothing so far. */
struct http_connection *connection_vacant(struct http *http)
{
    struct http_connection *fresh;

    if (http->connections[HTTP_VACANT].length == 0 && http->slots_used < http->slots_length) {
        fresh = &http->slots[http->slots_used++];
        fresh->http = http;
        list_push_back(&http->connections[HTTP_VACANT], &fresh->link);
    }
    return LIST_BACK(&http->connections[HTTP_VACANT], struct http_connection, link);
}

void connection_open(struct http_connection *connection)
{
    struct http *http = connection->http;

    connection->sent = 0;
    if (stream_accept(&connection->stream, http->options.home, &events,
                      (uv_stream_t *)&http->listener) != ERR_OK) {
        move(connection, HTTP_CLOSING);
        return;
    }
    http->counted.accepted++;
    peer_get(&connection->stream, &connection->peer);
    move(connection, HTTP_RESTING);
    stream_read(&connection->stream);
}
