#include "http_handlers.h"

TestSuite(exchange, .init = set_up, .fini = clean_up);

/* ---- bodies ------------------------------------------------------------------------------ */

Test(exchange, a_body_is_whole_when_its_handler_sees_it)
{
    int fd;

    given_a_door();
    fd = a_client();
    says(fd, "POST /echo HTTP/1.1\r\nContent-Length: 7\r\n\r\nab");
    turn();
    cr_assert_eq(http.connections[HTTP_GATHERING].length, 1);
    cr_assert_eq(begun, 0);
    says(fd, "cde\r\n");
    hears(fd, "\r\n\r\nabcde\r\n");
    says(fd, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd");
    says(fd, "\r\n0\r\n\r\nPOST /echo HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    hears(fd, "\r\n\r\nabcdHTTP/1.1 200 OK");
    cr_assert_str_eq(heard + heard_length - 5, "\r\n\r\nx");
    cr_assert_eq(http.gathered, 0);
    close(fd);
}

Test(exchange, who_awaits_leave_to_go_on_gets_it_or_the_refusal)
{
    int fd;

    given_a_door();
    fd = a_client();
    says(fd, "POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    hears(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    cr_assert_eq(heard_length, 25);
    says(fd, "ab");
    hears(fd, "\r\n\r\nab");
    says(fd, "POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab");
    hears(fd, "\r\n\r\nab");
    does_not_hear("100 Continue");
    says(fd, "POST /echo HTTP/1.1\r\nContent-Length: 2000000000\r\nExpect: 100-continue\r\n\r\n");
    shutdown(fd, SHUT_WR);
    is_closed_after(fd, "HTTP/1.1 413 ");
    does_not_hear("100 Continue");
    cr_assert_eq(http.counted.too_large, 1);
}

Test(exchange, what_no_handler_need_see_is_refused_before_its_body_is_taken)
{
    static const struct {
        const char *says, *status;
    } table[] = {
        {"POST /echo HTTP/1.1\r\n\r\n", "HTTP/1.1 411 "},
        {"POST /echo HTTP/1.1\r\nContent-Length: 2147483648\r\n\r\nabc", "HTTP/1.1 413 "},
        {"POST /held HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n"
         "01234567890123456789012345678901234567890123456789"
         "012345678901234567890123456789012345678901234567890\r\n",
         "HTTP/1.1 413 "},
        {"POST /nowhere HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 404 "},
        {"GET /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 405 "},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc", "HTTP/1.1 501 "},
        {"BREW /echo HTTP/1.1\r\n\r\n", "HTTP/1.1 501 "},
        {"POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 400 "},
        {"POST /echo HTTP/1.1\r\nContent-Le", "HTTP/1.1 400 "},
    };

    given_a_door();
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int fd = a_client();

        says(fd, table[i].says);
        shutdown(fd, SHUT_WR);
        is_closed_after(fd, table[i].status);
        cr_assert_not_null(strstr(heard, "{\"error\":\""));
        cr_assert_eq(strstr(heard, "\r\nConnection: close\r\n") != NULL, i > 0);
        cr_assert_null(strstr(heard + 1, "HTTP/1.1 "), "its body is no request: %s", heard);
    }
    cr_assert_eq(begun, 0);
    nobody_is_left();
}

Test(exchange, who_is_not_welcome_is_told_so_at_once)
{
    int fd;

    given_a_door();
    refusal = "\"no\"\n\xff";
    fd = a_client();
    says(fd, "POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    shutdown(fd, SHUT_WR);
    is_closed_after(fd, "HTTP/1.1 401 Unauthorized\r\n");
    cr_assert_not_null(strstr(heard, "\r\n\r\n{\"error\":\"\\\"no\\\"\\u000a\xef\xbf\xbd\"}\n"));
    cr_assert_eq(begun, 0);
}

Test(exchange, all_bodies_together_have_a_limit)
{
    static char half[600];
    int fds[2];

    options.most_gathered = 1000;
    given_a_door();
    memset(half, 'h', sizeof(half));
    for (int i = 0; i < 2; i++) {
        fds[i] = a_client();
        says(fds[i], "POST /echo HTTP/1.1\r\nContent-Length: 700\r\n\r\n");
        says_bytes(fds[i], half, sizeof(half));
    }
    shutdown(fds[1], SHUT_WR);
    is_closed_after(fds[1], "HTTP/1.1 503 ");
    says_bytes(fds[0], half, 100);
    hears(fds[0], "Content-Length: 700\r\n");
    close(fds[0]);
    nobody_is_left();
}

Test(exchange, a_slow_body_is_waited_for_only_if_it_comes_fast_enough)
{
    static char kilobyte[1024];
    int fd;

    options.timeout_ms[HTTP_GATHERING] = 100;
    given_a_door();
    memset(kilobyte, 'k', sizeof(kilobyte));
    fd = a_client();
    says(fd, "POST /echo HTTP/1.1\r\nContent-Length: 20480\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        uint64_t until = uv_now(&loop) + 20;

        cr_assert_eq(http.connections[HTTP_GATHERING].length, 1);
        says_bytes(fd, kilobyte, sizeof(kilobyte));
        while (uv_now(&loop) < until)
            turn();
    }
    hears(fd, "Content-Length: 20480\r\n");
    says(fd, "POST /echo HTTP/1.1\r\nContent-Length: 20480\r\n\r\n");
    for (int i = 0; i < PATIENCE_MS && http.connections[HTTP_GATHERING].length == 1; i++)
        if (i % 16 == 0)
            says(fd, "k"); /* a trickle */
        else
            turn();
    shutdown(fd, SHUT_WR);
    is_closed_after(fd, "HTTP/1.1 408 ");
    cr_assert_eq(begun, 1);
    cr_assert_eq(http.counted.too_late, 1);
}

/* ---- answers that take their time -------------------------------------------------------- */

Test(exchange, the_next_request_waits_for_the_answer_of_the_one_before)
{
    struct exchange *first;
    int fd;

    given_a_door();
    fd = who_asks("GET /held?1 HTTP/1.1\r\n\r\nGET /held?2 HTTP/1.1\r\n\r\n");
    cr_assert_not(hears_for(fd, 20));
    cr_assert_eq(begun, 1);
    first = held;
    cr_assert_eq(exchange_request(first)->query.at[0], '1');
    exchange_answer(first, 200, "text/plain", SLICE("one"));
    cr_assert_eq(begun, 1, "not from within the call");
    hears(fd, "\r\n\r\none");
    cr_assert_eq(begun, 2);
    cr_assert_eq(exchange_request(held)->query.at[0], '2');
    exchange_answer(held, 200, "text/plain", SLICE("two"));
    hears(fd, "\r\n\r\ntwo");
    close(fd);
}

Test(exchange, who_hangs_up_is_noticed_and_that_is_the_last_word)
{
    int fd;

    given_a_door();
    fd = who_asks("GET /held HTTP/1.1\r\n\r\n");
    close(fd);
    waits_until_gone(1);
    cr_assert_eq(http.counted.gone, 1);
    nobody_is_left();

    fd = who_asks("GET /held HTTP/1.1\r\n\r\nGET /held HTTP/1.1\r\n\r\n");
    exchange_start(held, 200, "text/plain");
    exchange_write(held, SLICE("half"));
    hears(fd, "half");
    close(fd);
    waits_until_gone(2);
    nobody_is_left();
    cr_assert_eq(begun, 2);
}

Test(exchange, an_exchange_may_end_when_its_peer_has_just_gone)
{
    struct linger reset = {.l_onoff = 1};
    int fd;

    given_a_door();
    fd = who_asks("GET /held HTTP/1.1\r\n\r\n");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    exchange_answer(held, 200, "text/plain", SLICE("too late"));
    nobody_is_left();
    cr_assert_eq(gone, 0);
}

Test(exchange, the_door_closes_upon_those_at_work)
{
    int fd;

    given_a_door();
    fd = who_asks("GET /held HTTP/1.1\r\n\r\n");
    http_close(&http, on_door_closed);
    cr_assert_eq(gone, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(gone, 1);
    cr_assert(door_is_closed);
    close(fd);
    door_is_closed = false;
    given_a_door(); /* for clean_up */
}

Test(exchange, a_door_that_drains_ends_each_connection_with_its_answer)
{
    int resting, fd;

    given_a_door();
    resting = a_client();
    says(resting, "POST /echo HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    hears(resting, "x");
    fd = who_asks("GET /held HTTP/1.1\r\n\r\n");
    cr_assert_eq(http_working(&http), 1);
    http_drain(&http);
    cr_assert(hears_for(resting, PATIENCE_MS));
    cr_assert_eq(heard_length, 0);
    exchange_answer(held, 200, "text/plain", SLICE("last"));
    cr_assert_eq(http_working(&http), 0);
    shutdown(fd, SHUT_WR);
    is_closed_after(fd, "HTTP/1.1 200 OK");
    cr_assert_not_null(strstr(heard, "Connection: close\r\n\r\nlast"));
    close(resting);
}

/* ---- in pieces --------------------------------------------------------------------------- */

Test(exchange, what_ends_at_once_has_a_length)
{
    int fd;

    given_a_door();
    fd = who_asks("GET /held HTTP/1.1\r\n\r\n");
    exchange_header_add(held, "X-Odd", "a\r\nb");
    exchange_start(held, 201, "text/plain");
    cr_assert(exchange_is_started(held));
    exchange_write(held, SLICE("one "));
    exchange_write(held, SLICE("two"));
    cr_assert_not(exchange_is_sent(held));
    cr_assert_eq(exchange_queued(held), 7);
    exchange_end(held);
    hears(fd, "Content-Length: 7\r\n");
    hears_for(fd, 5);
    close(fd);
}

Test(exchange, what_comes_later_is_chunked_and_sent_when_the_turn_ends)
{
    int fd;

    given_a_door();
    fd = who_asks("GET /held HTTP/1.1\r\n\r\n");
    exchange_header_add(held, "X-Odd", "a\r\nb");
    exchange_start(held, 200, "text/plain");
    hears(fd, "Transfer-Encoding: chunked\r\n");
    cr_assert_not_null(strstr(heard, "\r\nX-Odd: a  b\r\n"));
    exchange_write(held, SLICE("one "));
    exchange_write(held, SLICE("two"));
    hears(fd, "7\r\none two\r\n");
    cr_assert_eq(heard_length, 12);
    exchange_write(held, SLICE("3"));
    exchange_end(held);
    hears(fd, "1\r\n3\r\n0\r\n\r\n");
    held = NULL;
    close(fd);

    fd = who_asks("GET /held HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    exchange_start(held, 200, "text/plain");
    exchange_write(held, SLICE("old"));
    hears(fd, "Connection: close\r\n\r\nold");
    does_not_hear("chunked");
    exchange_end(held);
    cr_assert(hears_for(fd, PATIENCE_MS));
    cr_assert_eq(heard_length, 0);
    close(fd);
}

Test(exchange, whoever_asks_for_the_head_gets_no_more)
{
    int fd;

    given_a_door();
    fd = who_asks("HEAD /held HTTP/1.1\r\n\r\n");
    exchange_start(held, 200, "text/plain");
    exchange_write(held, SLICE("one "));
    cr_assert_not(hears_for(fd, 20));
    cr_assert_eq(heard_length, 0);
    exchange_write(held, SLICE("two"));
    exchange_end(held);
    hears(fd, "Content-Length: 7\r\n");
    cr_assert_str_eq(heard + heard_length - 4, "\r\n\r\n");
    close(fd);
}

Test(exchange, an_error_takes_the_place_of_what_was_not_sent_yet)
{
    int fd;

    given_a_door();
    fd = who_asks("GET /held HTTP/1.1\r\n\r\n");
    exchange_header_add(held, "X-Never", "seen");
    exchange_start(held, 200, "text/plain");
    exchange_write(held, SLICE("half"));
    exchange_error(held, 502, "%s is gone", "it");
    hears(fd, "\r\n\r\n{\"error\":\"it is gone\"}\n");
    cr_assert_eq(strncmp(heard, "HTTP/1.1 502 Bad Gateway\r\n", 26), 0);
    does_not_hear("half");
    does_not_hear("X-Never");
    close(fd);
}

Test(exchange, an_error_behind_half_an_answer_ends_the_connection)
{
    int fd;

    given_a_door();
    fd = who_asks("GET /held HTTP/1.1\r\n\r\n");
    exchange_start(held, 200, "text/plain");
    exchange_write(held, SLICE("half"));
    hears(fd, "half\r\n");
    cr_assert(exchange_is_sent(held));
    exchange_error(held, 502, "gone");
    cr_assert(hears_for(fd, PATIENCE_MS));
    cr_assert_eq(heard_length, 0);
    cr_assert_eq(gone, 0);
    close(fd);
    nobody_is_left();
}

/* ---- back-pressure ----------------------------------------------------------------------- */

Test(exchange, who_reads_slowly_is_written_to_slowly)
{
    size_t most = 0, body = 0;
    int fd, small = 64 * 1024;

    given_a_door();
    fd = a_client();
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    says(fd, "GET /much HTTP/1.1\r\n\r\n");
    for (int i = 0; i < 20; i++)
        turn();
    cr_assert_gt(left_to_write, 0);
    cr_assert_eq(http.connections[HTTP_SENDING].length, 1);
    while (body < MUCH) {
        struct http_connection *sending =
            LIST_FRONT(&http.connections[HTTP_SENDING], struct http_connection, link);
        ssize_t got = recv(fd, heard, BIG, MSG_DONTWAIT);

        for (ssize_t i = 0; i < got; i++)
            body += heard[i] == 'p';
        if (sending != NULL && stream_queued(&sending->stream) > most)
            most = stream_queued(&sending->stream);
        if (got <= 0)
            turn();
    }
    cr_assert_lt(most, EXCHANGE_ENOUGH + 32 * 1024, "%zu were queued", most);
    close(fd);
}

Test(exchange, who_takes_nothing_for_too_long_is_gone)
{
    int fd;

    options.timeout_ms[HTTP_SENDING] = 50;
    given_a_door();
    fd = who_asks("GET /held HTTP/1.1\r\n\r\n");
    left_to_write = SIZE_MAX;
    exchange_start(held, 200, "text/plain");
    while (http.connections[HTTP_SENDING].length == 0 || exchange_queued(held) < EXCHANGE_ENOUGH)
        exchange_write(held, (struct slice){(uint8_t *)heard, 100000});
    waits_until_gone(1);
    cr_assert_eq(http.counted.too_late, 1);
    nobody_is_left();
    close(fd);
}
