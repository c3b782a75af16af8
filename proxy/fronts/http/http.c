#include "proxy/fronts/http/http.h"

#include <stdlib.h>

#include "proxy/fronts/http/connection.h"

enum {
    MAX_CONNECTIONS = 64,
    SPARE = 8, /* slots of those who are only told that there is no room */
    BACKLOG = 1024,
    HEAD_MOST = 16 * 1024,
    MOST_GATHERED = 256 * 1024 * 1024,
    GZIP_LEAST = 4 * 1024,
};

const char *const http_state_names[HTTP_STATE_COUNT] = {
    [HTTP_VACANT] = "vacant",       [HTTP_RESTING] = "resting",     [HTTP_ASKING] = "asking",
    [HTTP_GATHERING] = "gathering", [HTTP_WORKING] = "working",     [HTTP_SENDING] = "sending",
    [HTTP_ANSWERING] = "answering", [HTTP_FINISHING] = "finishing", [HTTP_LEAVING] = "leaving",
    [HTTP_CLOSING] = "closing",
};

/* ---- deadlines --------------------------------------------------------------------------- */

static struct http_connection *longest_in(const struct http *http, size_t state)
{
    return LIST_FRONT(&http->connections[state], struct http_connection, link);
}

/* When the one that has been in a state for longest has been there for too long. */
static uint64_t deadline_in(const struct http *http, enum http_state state)
{
    const struct http_connection *longest = longest_in(http, state);
    uint64_t timeout = connection_timeout(http, state);

    return longest != NULL && timeout > 0 ? longest->since + timeout : UINT64_MAX;
}

static void on_timer(uv_timer_t *timer);

/* Each state has one timeout, so its list is in the order of deadlines and its front is
 * the next. A timer that fires too early, since somebody moved on, is only set again. */
void http_set_timer(struct http *http)
{
    uint64_t due = UINT64_MAX, now = uv_now(http->options.home->loop);

    for (enum http_state state = HTTP_RESTING; state <= HTTP_LEAVING; state++)
        if (deadline_in(http, state) < due)
            due = deadline_in(http, state);
    if (due == UINT64_MAX || uv_is_closing((uv_handle_t *)&http->timer) ||
        (uv_is_active((uv_handle_t *)&http->timer) && http->due <= due))
        return;
    http->due = due;
    uv_timer_start(&http->timer, on_timer, due > now ? due - now : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct http *http = timer->data;

    for (enum http_state state = HTTP_RESTING; state <= HTTP_LEAVING; state++)
        while (deadline_in(http, state) <= uv_now(http->options.home->loop))
            connection_overdue(longest_in(http, state));
    http_set_timer(http);
}

/* ---- the end of a turn ------------------------------------------------------------------- */

/* Those that stir meanwhile are settled in the next turn. */
static void on_turn(uv_idle_t *turn)
{
    struct http *http = turn->data;
    struct http_connection *connection;

    for (size_t left = http->stirring.length; left > 0 && http->stirring.length > 0; left--) {
        connection = LIST_FRONT(&http->stirring, struct http_connection, stirs);
        list_remove(&http->stirring, &connection->stirs);
        connection_settle(connection);
    }
    if (http->stirring.length == 0)
        uv_idle_stop(turn);
}

/* ---- who comes --------------------------------------------------------------------------- */

static void accept_one(struct http *http)
{
    struct http_connection *connection = connection_vacant(http);
    size_t vacant;

    /* The loop asks for no more connections while one is not accepted. */
    http->someone_waits = connection == NULL;
    if (connection == NULL)
        return;
    connection_open(connection);
    vacant = http->connections[HTTP_VACANT].length + http->slots_length - http->slots_used;
    if (vacant < SPARE && connection->state == HTTP_RESTING) {
        http->counted.turned_away++;
        connection_refuse(connection, 503);
    }
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

/* ---- opening ----------------------------------------------------------------------------- */

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

static void set_defaults(struct http_options *options)
{
    if (options->max_connections == 0)
        options->max_connections = MAX_CONNECTIONS;
    if (options->head_most == 0)
        options->head_most = HEAD_MOST;
    if (options->most_gathered == 0)
        options->most_gathered = MOST_GATHERED;
    if (options->gzip_least == 0)
        options->gzip_least = GZIP_LEAST;
}

static void set_up_handles(struct http *http)
{
    uv_loop_t *loop = http->options.home->loop;

    uv_tcp_init(loop, &http->listener);
    uv_timer_init(loop, &http->timer);
    uv_idle_init(loop, &http->turn);
    http->listener.data = http->timer.data = http->turn.data = http;
    http->handles = 3;
}

enum err http_open(struct http *http, const struct http_options *options, const char *address,
                   uint16_t port)
{
    *http = (struct http){.options = *options, .turn_over = on_turn};
    set_defaults(&http->options);
    for (size_t state = 0; state < HTTP_STATE_COUNT; state++)
        list_init(&http->connections[state]);
    list_init(&http->stirring);
    gzip_init(&http->gzips);
    set_up_handles(http);
    http->slots_length = (size_t)http->options.max_connections + SPARE;
    http->slots = calloc(http->slots_length, sizeof(http->slots[0]));
    if (http->slots == NULL)
        return ERR_NO_MEMORY;
    return listen_at(http, address, port);
}

/* ---- closing ----------------------------------------------------------------------------- */

static void finish_closing(struct http *http)
{
    size_t open = 0;

    for (size_t state = HTTP_RESTING; state < HTTP_STATE_COUNT; state++)
        open += http->connections[state].length;
    if (open > 0 || http->handles > 0)
        return;
    connection_free_spare(http);
    gzip_fini(&http->gzips);
    free(http->slots);
    bytes_free(&http->head);
    bytes_free(&http->scratch);
    http->then(http);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http *http = handle->data;

    http->handles--;
    finish_closing(http);
}

void http_vacated(struct http *http)
{
    if (http->then != NULL)
        finish_closing(http);
    else if (http->someone_waits)
        accept_one(http);
}

void http_drain(struct http *http)
{
    struct http_connection *connection;

    http->draining = true;
    while ((connection = longest_in(http, HTTP_RESTING)) != NULL)
        connection_break(connection);
}

/* Whoever is vacant is no connection. */
void http_view(const struct http *http, size_t counts[HTTP_STATE_COUNT],
               struct metrics_http_view *view)
{
    for (size_t state = 0; state < HTTP_STATE_COUNT; state++)
        counts[state] = http->connections[state].length;
    *view = (struct metrics_http_view){
        .counted = http->counted,
        .connections = {http_state_names + HTTP_RESTING, counts + HTTP_RESTING,
                        HTTP_STATE_COUNT - HTTP_RESTING},
        .buffered = http->gathered,
        .max_connections = http->options.max_connections,
    };
}

size_t http_working(const struct http *http)
{
    return http->connections[HTTP_WORKING].length + http->connections[HTTP_SENDING].length;
}

void http_close(struct http *http, void (*then)(struct http *http))
{
    struct http_connection *connection;

    REQUIRE(http->then == NULL);
    http->then = then;
    for (size_t state = HTTP_RESTING; state <= HTTP_LEAVING; state++)
        while ((connection = longest_in(http, state)) != NULL)
            connection_break(connection);
    uv_close((uv_handle_t *)&http->timer, on_handle_closed);
    uv_close((uv_handle_t *)&http->turn, on_handle_closed);
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
