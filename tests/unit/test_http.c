#include "http_door.h"

TestSuite(http, .init = set_up, .fini = clean_up);

static size_t metrics_length;

static void begin_metrics(struct exchange *exchange, void *context)
{
    struct bytes out = {0};
    uint8_t *at;

    cr_assert_eq(context, &loop);
    if (metrics_length == 0)
        bytes_print(&out, "a_metric 1\n");
    else if ((at = bytes_extend(&out, metrics_length)) != NULL)
        memset(at, 'm', metrics_length);
    exchange_answer(exchange, 200, "text/plain; version=0.0.4; charset=utf-8",
                    (struct slice){out.at, out.length});
    bytes_free(&out);
}

static void begin_health(struct exchange *exchange, void *context)
{
    exchange_answer(exchange, 200, "text/plain; charset=utf-8", SLICE("ok\n"));
}

static const struct exchange_handler routes[] = {
    {.path = "/metrics", .methods = EXCHANGE_GET, .begin = begin_metrics},
    {.path = "/healthz", .methods = EXCHANGE_GET, .begin = begin_health},
};

static void give_routes(struct http_options *to)
{
    to->routes = routes;
    to->routes_length = COUNT_OF(routes);
}

static size_t count_of(const char *what)
{
    size_t count = 0;

    for (const char *at = heard; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

/* ---- pages ------------------------------------------------------------------------------- */

Test(http, prometheus_reads_the_metrics)
{
    int fd;

    given_a_door();
    fd = a_client();
    says(fd, "GET /metrics?x=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    hears(fd, "\r\n\r\na_metric 1\n");
    cr_assert_eq(strncmp(heard, "HTTP/1.1 200 OK\r\nDate: ", 23), 0);
    cr_assert_not_null(strstr(heard, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                                     "Content-Length: 11\r\n"));
    says(fd, "HEAD /metrics HTTP/1.1\r\n\r\n");
    hears(fd, "Content-Length: 11\r\n");
    cr_assert_str_eq(heard + heard_length - 4, "\r\n\r\n");
    close(fd);
}

Test(http, a_health_check_hears_ok)
{
    int fd;

    given_a_door();
    fd = a_client();
    says(fd, "GET /healthz HTTP/1.0\r\n\r\n");
    is_closed_after(fd, "HTTP/1.1 200 OK\r\n");
    cr_assert_not_null(strstr(heard, "Connection: close\r\n\r\nok\n"));
}

Test(http, what_is_not_there_is_told_as_json)
{
    int fd;

    given_a_door();
    fd = a_client();
    says(fd, "GET /metric HTTP/1.1\r\n\r\n");
    hears(fd, "Content-Type: application/json\r\n");
    cr_assert_eq(strncmp(heard, "HTTP/1.1 404 Not Found\r\n", 24), 0);
    cr_assert_str_eq(strstr(heard, "\r\n\r\n") + 4, "{\"error\":\"there is no such page\"}\n");
    says(fd, "DELETE /metrics HTTP/1.1\r\n\r\n");
    hears(fd, "Allow: GET, HEAD, OPTIONS\r\n");
    cr_assert_eq(strncmp(heard, "HTTP/1.1 405 ", 13), 0);
    says(fd, "GET /healthz HTTP/1.1\r\n\r\n");
    hears(fd, "\r\n\r\nok\n");
    close(fd);
}

Test(http, requests_in_a_row_are_answered_in_their_order)
{
    static const char two[] = "GET /healthz HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n";
    int fd;

    given_a_door();
    fd = a_client();
    for (int i = 0; i < 500; i++)
        says(fd, two);
    says(fd, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    is_closed_after(fd, "HTTP/1.1 200 OK");
    cr_assert_eq(count_of("\r\n\r\nok\nHTTP/1.1 200 "), 500);
    cr_assert_eq(count_of("\r\n\r\na_metric 1\nHTTP/1.1 "), 500);
    cr_assert_eq(count_of("HTTP/1.1 404 "), 1);
}

Test(http, who_says_no_more_but_listens_hears_all)
{
    int fd;

    metrics_length = BIG;
    given_a_door();
    fd = a_client();
    says(fd, "GET /metrics HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n");
    cr_assert_eq(http.connections[HTTP_ANSWERING].length, 1);
    cr_assert_eq(shutdown(fd, SHUT_WR), 0);
    turn();
    is_closed_after(fd, "HTTP/1.1 200 OK");
    cr_assert(heard_length > BIG);
    cr_assert_str_eq(heard + heard_length - 3, "ok\n");
}

/* ---- what is wrong ----------------------------------------------------------------------- */

Test(http, what_is_wrong_is_told_and_the_connection_closed)
{
    static const struct {
        const char *says, *status;
    } table[] = {
        {"nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"GET /metrics HTTP/1.1\nHost: h\n\n", "HTTP/1.1 400 "},
        {"GET /metrics HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
         "HTTP/1.1 400 "},
        {"GET /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 413 "},
        {"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405 "},
        {"GET /metrics HTTP/3.0\r\n\r\n", "HTTP/1.1 505 "},
    };

    given_a_door();
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int fd = a_client();

        says(fd, table[i].says);
        shutdown(fd, SHUT_WR);
        is_closed_after(fd, table[i].status);
        cr_assert_not_null(strstr(heard, "{\"error\":\""));
    }
}

Test(http, a_head_of_100_kb_is_refused_and_the_refusal_arrives)
{
    static char line[100 * 1024];
    int fd;

    options.timeout_ms[HTTP_LEAVING] = UINT32_MAX; /* it is the end that ends it */
    given_a_door();
    fd = a_client();
    says(fd, "GET /metrics HTTP/1.1\r\nX: ");
    memset(line, 'x', sizeof(line));
    says_bytes(fd, line, sizeof(line));
    shutdown(fd, SHUT_WR);
    is_closed_after(fd, "HTTP/1.1 431 ");
    nobody_is_left();
}

Test(http, random_bytes_harm_nothing)
{
    uint64_t state = 0x9e3779b97f4a7c15u;

    given_a_door();
    for (int client = 0; client < 50; client++) {
        char noise[300];
        int fd = a_client();

        for (size_t i = 0; i < sizeof(noise); i++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            noise[i] = (char)(state >> 32);
        }
        says_bytes(fd, noise, sizeof(noise));
        shutdown(fd, SHUT_WR);
        is_closed_after(fd, "HTTP/1.1 400 ");
    }
}

Test(http, half_a_request_and_gone_leaves_nothing_behind)
{
    int fd;

    given_a_door();
    fd = a_client();
    says(fd, "GET /met");
    cr_assert_eq(http.connections[HTTP_ASKING].length, 1);
    close(fd);
    nobody_is_left();
}

/* ---- deadlines --------------------------------------------------------------------------- */

Test(http, half_a_request_and_silence_is_told_after_a_while)
{
    int fd;

    options.timeout_ms[HTTP_ASKING] = 50;
    given_a_door();
    fd = a_client();
    says(fd, "GET /met");
    is_closed_after(fd, "HTTP/1.1 408 ");
}

Test(http, the_earliest_deadline_comes_first_whoever_else_is_there)
{
    int resting, fd;

    options.timeout_ms[HTTP_ASKING] = 50;
    given_a_door();
    resting = a_client();
    fd = a_client();
    says(fd, "GET /met");
    is_closed_after(fd, "HTTP/1.1 408 ");
    cr_assert_eq(http.connections[HTTP_RESTING].length, 1);
    close(resting);
}

Test(http, a_trickle_does_not_put_the_deadline_off)
{
    int fd;

    options.timeout_ms[HTTP_ASKING] = 50;
    given_a_door();
    fd = a_client();
    for (int i = 0; i < PATIENCE_MS && http.connections[HTTP_LEAVING].length == 0; i++)
        says(fd, i == 0 ? "GET /healthz?" : "a");
    shutdown(fd, SHUT_WR);
    is_closed_after(fd, "HTTP/1.1 408 ");
}

Test(http, who_asks_nothing_is_closed_without_a_word)
{
    int fd;

    options.timeout_ms[HTTP_RESTING] = 50;
    given_a_door();
    fd = a_client();
    cr_assert(hears_for(fd, PATIENCE_MS));
    cr_assert_eq(heard_length, 0);
    close(fd);
}

Test(http, who_does_not_take_its_answers_is_closed_and_asked_nothing_more)
{
    int fd;

    metrics_length = BIG;
    options.timeout_ms[HTTP_ANSWERING] = 50;
    given_a_door();
    fd = a_client();
    for (int i = 0; i < 10; i++)
        says(fd, "GET /metrics HTTP/1.1\r\n\r\n");
    nobody_is_left();
    close(fd);
}

Test(http, who_does_not_go_after_the_last_words_is_closed)
{
    int fd;

    options.timeout_ms[HTTP_LEAVING] = 50;
    given_a_door();
    fd = a_client();
    says(fd, "GET /healthz HTTP/1.0\r\n\r\n");
    nobody_is_left();
    close(fd);
}

/* ---- how many ---------------------------------------------------------------------------- */

Test(http, more_than_there_is_room_for_are_told_so)
{
    int fds[2], fd;

    options.max_connections = 2;
    given_a_door();
    for (int i = 0; i < 2; i++) {
        fds[i] = a_client();
        says(fds[i], "GET /healthz HTTP/1.1\r\n\r\n");
        hears(fds[i], "ok\n");
    }
    fd = a_client();
    shutdown(fd, SHUT_WR);
    is_closed_after(fd, "HTTP/1.1 503 ");
    close(fds[0]);
    turn();
    fds[0] = a_client();
    says(fds[0], "GET /healthz HTTP/1.1\r\n\r\n");
    hears(fds[0], "ok\n");
    close(fds[0]);
    close(fds[1]);
}

Test(http, a_crowd_waits_outside_and_all_are_answered)
{
    enum { CROWD = 40 };
    int fds[CROWD];

    options.max_connections = 2;
    options.timeout_ms[HTTP_RESTING] = options.timeout_ms[HTTP_LEAVING] = 30;
    given_a_door();
    for (int i = 0; i < CROWD; i++)
        fds[i] = a_client();
    for (int i = 0; i < CROWD; i++) {
        cr_assert(hears_for(fds[i], PATIENCE_MS));
        cr_assert(heard_length == 0 || strncmp(heard, "HTTP/1.1 503 ", 13) == 0);
        close(fds[i]);
    }
}

Test(http, the_door_closes_whatever_its_connections_do)
{
    int fds[3];

    metrics_length = BIG;
    given_a_door();
    for (int i = 0; i < 3; i++)
        fds[i] = a_client();
    says(fds[1], "GET /met");
    says(fds[2], "GET /metrics HTTP/1.1\r\n\r\n");
    cr_assert_eq(http.connections[HTTP_RESTING].length, 1);
    cr_assert_eq(http.connections[HTTP_ASKING].length, 1);
    cr_assert_eq(http.connections[HTTP_ANSWERING].length, 1);
}

Test(http, what_cannot_be_listened_at_is_told)
{
    cr_assert_eq(http_open(&http, &options, "not an address", 80), ERR_CONFIG);
    http_close(&http, on_door_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    door_is_closed = false;
    cr_assert_eq(http_open(&http, &options, "192.0.2.1", 80), ERR_IO);
}
