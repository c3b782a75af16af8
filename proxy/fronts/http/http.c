#include "proxy/fronts/http/http.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_CONNECTIONS = 64,
    SPARE = 8, /* slots of those who are only told that there is no room */
    BACKLOG = 128,
};

#define MAY(state) (1u << HTTP_##state)

/* How long a connection may stay in each state (0: for ever), where it may go from there,
 * and the status it is told when that was too long; 0: it is closed without a word. */
static const struct {
    uint64_t timeout_ms;
    unsigned may_become;
    int too_late;
} life[] = {
    [HTTP_VACANT] = {0, MAY(RESTING) | MAY(CLOSING), 0},
    [HTTP_RESTING] = {60000, MAY(ASKING) | MAY(LEAVING) | MAY(CLOSING), 0},
    [HTTP_ASKING] = {10000, MAY(RESTING) | MAY(ANSWERING) | MAY(LEAVING) | MAY(CLOSING), 408},
    [HTTP_ANSWERING] = {10000, MAY(RESTING) | MAY(CLOSING), 0},
    [HTTP_LEAVING] = {5000, MAY(CLOSING), 0},
    [HTTP_CLOSING] = {0, MAY(VACANT), 0}, /* the loop's turn; it always comes */
};

static const struct status {
    int code;
    const char *reason, *error; /* what a person reads */
} statuses[] = {
    {200, "OK", ""},
    {400, "Bad Request", "this is not an HTTP request"},
    {404, "Not Found", "there is no such page"},
    {405, "Method Not Allowed", "this page can only be read (GET, HEAD)"},
    {408, "Request Timeout", "the request took too long to arrive"},
    {413, "Content Too Large", "this page takes no body"},
    {414, "URI Too Long", "the target of the request is too long"},
    {431, "Request Header Fields Too Large", "the head of the request is too long"},
    {503, "Service Unavailable", "too busy: out of connections or memory"},
    {505, "HTTP Version Not Supported", "only HTTP/1.0 and HTTP/1.1 are spoken here"},
};

/* ---- states ------------------------------------------------------------------------------ */

static uint64_t timeout_of(const struct http *http, size_t state)
{
    return http->options.timeout_ms[state] ? http->options.timeout_ms[state]
                                           : life[state].timeout_ms;
}

static uint64_t now_of(const struct http *http)
{
    return uv_now(http->options.home->loop);
}

static struct http_connection *longest_in(const struct http *http, size_t state)
{
    return LIST_FRONT(&http->connections[state], struct http_connection, link);
}

static void on_timer(uv_timer_t *timer);

/* Each state has one timeout, so its list is in the order of deadlines and its front is
 * the next. A timer that fires too early, since somebody moved on, is only set again. */
static void set_timer(struct http *http)
{
    uint64_t due = UINT64_MAX, now = now_of(http);

    for (size_t state = HTTP_RESTING; state <= HTTP_LEAVING; state++) {
        const struct http_connection *longest = longest_in(http, state);

        if (longest != NULL && longest->since + timeout_of(http, state) < due)
            due = longest->since + timeout_of(http, state);
    }
    if (due == UINT64_MAX || uv_is_closing((uv_handle_t *)&http->timer) ||
        (uv_is_active((uv_handle_t *)&http->timer) && http->due <= due))
        return;
    http->due = due;
    uv_timer_start(&http->timer, on_timer, due > now ? due - now : 0, 0);
}

static void move(struct http_connection *connection, enum http_state to)
{
    struct http *http = connection->http;

    REQUIRE(life[connection->state].may_become & (1u << to));
    list_remove(&http->connections[connection->state], &connection->link);
    list_push_back(&http->connections[to], &connection->link);
    connection->state = to;
    connection->since = now_of(http);
    set_timer(http);
}

static void leave(struct http_connection *connection)
{
    if (connection->state == HTTP_CLOSING)
        return;
    move(connection, HTTP_CLOSING);
    stream_close(&connection->stream);
}

/* ---- answers ----------------------------------------------------------------------------- */

struct answer {
    int status;
    const char *type, *more; /* a whole header line, or "" */
    bool head_only, last;
};

static const struct status *status_of(int code)
{
    size_t i = 0;

    while (statuses[i].code != code) {
        i++;
        ASSERT(i < COUNT_OF(statuses));
    }
    return &statuses[i];
}

static void build_head(struct http *http, const struct answer *answer)
{
    time_t now = time(NULL);
    char date[64];
    struct tm utc;

    gmtime_r(&now, &utc);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
    bytes_clear(&http->head);
    bytes_print(&http->head,
                "HTTP/1.1 %d %s\r\n"
                "Date: %s\r\n"
                "Content-Type: %s\r\n"
                "Content-Length: %zu\r\n"
                "Cache-Control: no-store\r\n"
                "%s%s\r\n",
                answer->status, status_of(answer->status)->reason, date, answer->type,
                http->body.length, answer->more, answer->last ? "Connection: close\r\n" : "");
}

/* Says the answer whose body was built. The peer may not take it all at once: then it is
 * asked nothing more until it has. */
static void say(struct http_connection *connection, const struct answer *answer)
{
    struct http *http = connection->http;

    build_head(http, answer);
    if (http->head.failed) { /* not even a word is left */
        leave(connection);
        return;
    }
    stream_write(
        &connection->stream,
        (struct slice[]){{http->head.at, http->head.length}, {http->body.at, http->body.length}},
        answer->head_only ? 1 : 2);
    if (answer->last) {
        move(connection, HTTP_LEAVING);
        stream_finish(&connection->stream);
    } else {
        move(connection, stream_queued(&connection->stream) > 0 ? HTTP_ANSWERING : HTTP_RESTING);
    }
}

static void say_error(struct http_connection *connection, const struct answer *answer)
{
    struct answer error = *answer;
    struct bytes *body = &connection->http->body;

    error.type = "application/json";
    bytes_clear(body);
    bytes_print(body, "{\"error\":\"%s\"}\n", status_of(error.status)->error);
    say(connection, &error);
}

static void refuse(struct http_connection *connection, int status)
{
    say_error(connection, &(struct answer){.status = status, .more = "", .last = true});
}

/* ---- pages ------------------------------------------------------------------------------- */

static void render_metrics(struct http *http)
{
    http->options.render(http->options.context, &http->body);
}

static void render_health(struct http *http)
{
    bytes_print(&http->body, "ok\n");
}

static const struct page {
    const char *path, *type;
    void (*render)(struct http *http);
} pages[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", render_metrics},
    {"/healthz", "text/plain; charset=utf-8", render_health},
};

static const struct page *page_of(const char *target)
{
    size_t length = strcspn(target, "?");

    for (size_t i = 0; i < COUNT_OF(pages); i++)
        if (strlen(pages[i].path) == length && memcmp(pages[i].path, target, length) == 0)
            return &pages[i];
    return NULL;
}

static void answer_request(struct http_connection *connection, const struct parser_request *request)
{
    const struct page *page = page_of(request->target);
    struct http *http = connection->http;
    struct answer answer = {.status = 200,
                            .more = "",
                            .head_only = request->method == PARSER_HEAD,
                            .last = !request->keep_alive};

    if (page == NULL) {
        answer.status = 404;
    } else if (request->method == PARSER_OTHER) {
        answer.status = 405;
        answer.more = "Allow: GET, HEAD\r\n";
    } else if (request->has_body) {
        answer.status = 413;
    } else {
        answer.type = page->type;
        bytes_clear(&http->body);
        page->render(http);
        answer.status = http->body.failed ? 503 : 200;
    }
    if (answer.status == 200)
        say(connection, &answer);
    else
        say_error(connection, &answer);
}

/* ---- what happens to a connection -------------------------------------------------------- */

static struct http_connection *connection_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct http_connection, stream);
}

/* Reads on to the end of one request; returns how many bytes that was. */
static size_t read_request(struct http_connection *connection, struct slice in)
{
    struct parser_request request;
    size_t used;

    if (connection->state == HTTP_RESTING)
        move(connection, HTTP_ASKING);
    switch (parser_read(&connection->parser, in, &used, &request)) {
    case PARSER_MORE:
        break;
    case PARSER_REQUEST:
        answer_request(connection, &request);
        break;
    case PARSER_REFUSED:
        refuse(connection, request.status);
        break;
    }
    return used;
}

static size_t on_bytes(struct stream *stream, struct slice in)
{
    struct http_connection *connection = connection_of(stream);
    size_t used = 0;

    while (used < in.length &&
           (connection->state == HTTP_RESTING || connection->state == HTTP_ASKING))
        used += read_request(connection, (struct slice){in.at + used, in.length - used});
    return connection->state == HTTP_ANSWERING ? used : in.length;
}

/* Who has said all and still listens gets what is on its way. */
static void on_ended(struct stream *stream, enum err why)
{
    if (why != ERR_OK || stream_queued(stream) == 0)
        leave(connection_of(stream));
}

static void on_drained(struct stream *stream)
{
    struct http_connection *connection = connection_of(stream);

    if (connection->state == HTTP_ANSWERING) {
        move(connection, HTTP_RESTING);
        stream_again(stream);
    }
    if (stream->ended && stream_queued(stream) == 0)
        leave(connection);
}

static void accept_one(struct http *http);
static void finish_closing(struct http *http);

static void on_closed(struct stream *stream)
{
    struct http_connection *connection = connection_of(stream);
    struct http *http = connection->http;

    move(connection, HTTP_VACANT);
    if (http->then != NULL)
        finish_closing(http);
    else if (http->someone_waits)
        accept_one(http);
}

static const struct stream_events events = {
    .bytes = on_bytes, .ended = on_ended, .drained = on_drained, .closed = on_closed};

static void on_timer(uv_timer_t *timer)
{
    struct http *http = timer->data;
    struct http_connection *longest;

    for (size_t state = HTTP_RESTING; state <= HTTP_LEAVING; state++)
        while ((longest = longest_in(http, state)) != NULL &&
               longest->since + timeout_of(http, state) <= now_of(http)) {
            if (life[state].too_late != 0)
                refuse(longest, life[state].too_late);
            else
                leave(longest);
        }
    set_timer(http);
}

/* ---- the door ---------------------------------------------------------------------------- */

static void accept_one(struct http *http)
{
    struct http_connection *connection = longest_in(http, HTTP_VACANT);

    /* The loop asks for no more connections while one is not accepted. */
    http->someone_waits = connection == NULL;
    if (connection == NULL)
        return;
    parser_init(&connection->parser);
    if (stream_accept(&connection->stream, http->options.home, &events,
                      (uv_stream_t *)&http->listener) != ERR_OK) {
        move(connection, HTTP_CLOSING);
        return;
    }
    move(connection, HTTP_RESTING);
    stream_read(&connection->stream);
    if (http->connections[HTTP_VACANT].length < SPARE)
        refuse(connection, 503);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct http *http = listener->data;

    if (status == 0)
        accept_one(http);
    else
        log_write(http->options.log, LOG_LEVEL_WARNING, NULL, "http: cannot accept: %s",
                  uv_strerror(status));
}

static enum err parse_address(const char *address, uint16_t port, struct sockaddr_storage *to)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)to;
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)to;

    return uv_ip4_addr(address, port, in) == 0 || uv_ip6_addr(address, port, in6) == 0 ? ERR_OK
                                                                                       : ERR_CONFIG;
}

static enum err listen_at(struct http *http, const char *address, uint16_t port)
{
    struct sockaddr_storage at;
    int failure;
    enum err e;

    if ((e = parse_address(address, port, &at)) != ERR_OK)
        return e;
    if ((failure = uv_tcp_bind(&http->listener, (struct sockaddr *)&at, 0)) == 0)
        failure = uv_listen((uv_stream_t *)&http->listener, BACKLOG, on_connection);
    if (failure == 0)
        return ERR_OK;
    log_write(http->options.log, LOG_LEVEL_ERROR, NULL, "http: cannot listen on %s port %d: %s",
              address, port, uv_strerror(failure));
    return ERR_IO;
}

enum err http_open(struct http *http, const struct http_options *options, const char *address,
                   uint16_t port)
{
    size_t slots = (options->max_connections ? options->max_connections : MAX_CONNECTIONS) + SPARE;

    *http = (struct http){.options = *options, .handles = 2};
    for (size_t state = 0; state < HTTP_STATE_COUNT; state++)
        list_init(&http->connections[state]);
    uv_tcp_init(options->home->loop, &http->listener);
    uv_timer_init(options->home->loop, &http->timer);
    http->listener.data = http->timer.data = http;

    http->slots = calloc(slots, sizeof(http->slots[0]));
    if (http->slots == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < slots; i++) {
        http->slots[i].http = http;
        list_push_back(&http->connections[HTTP_VACANT], &http->slots[i].link);
    }
    return listen_at(http, address, port);
}

static void finish_closing(struct http *http)
{
    size_t open = 0;

    for (size_t state = HTTP_RESTING; state < HTTP_STATE_COUNT; state++)
        open += http->connections[state].length;
    if (open > 0 || http->handles > 0)
        return;
    free(http->slots);
    bytes_free(&http->head);
    bytes_free(&http->body);
    http->then(http);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http *http = handle->data;

    http->handles--;
    finish_closing(http);
}

void http_close(struct http *http, void (*then)(struct http *http))
{
    struct http_connection *connection;

    REQUIRE(http->then == NULL);
    http->then = then;
    for (size_t state = HTTP_RESTING; state <= HTTP_LEAVING; state++)
        while ((connection = longest_in(http, state)) != NULL)
            leave(connection);
    uv_close((uv_handle_t *)&http->timer, on_handle_closed);
    uv_close((uv_handle_t *)&http->listener, on_handle_closed);
}

uint16_t http_port(const struct http *http)
{
    struct sockaddr_storage at = {0};
    int length = sizeof(at);

    if (uv_tcp_getsockname(&http->listener, (struct sockaddr *)&at, &length) != 0)
        return 0;
    if (at.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)(void *)&at)->sin6_port);
    return ntohs(((struct sockaddr_in *)(void *)&at)->sin_port);
}
