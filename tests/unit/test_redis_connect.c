#include <netinet/tcp.h>

#include "no_memory.h"
#include "redis_ends.h"

#define HELLO "*2\r\n$5\r\nHELLO\r\n$1\r\n2\r\n"
#define MAP   "*2\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n"

TestSuite(redis_connect, .init = set_up, .fini = clean_up, .timeout = 120);

/* ---- a resolver of our own --------------------------------------------------------------- */

/* The names stories use have these addresses, or cannot be resolved. */
static const char *first_address, *second_address;
static uv_getaddrinfo_cb resolved;

int __real_uv_getaddrinfo(uv_loop_t *of, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                          const char *node, const char *service, const struct addrinfo *hints);
int __wrap_uv_getaddrinfo(uv_loop_t *of, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                          const char *node, const char *service, const struct addrinfo *hints);

static void on_first(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

    if (found != NULL && second_address != NULL)
        cr_assert_eq(getaddrinfo(second_address, NULL, &hints, &found->ai_next), 0);
    if (status == 0 && first_address == NULL)
        status = UV_EAI_NONAME;
    resolved(request, status, found);
}

int __wrap_uv_getaddrinfo(uv_loop_t *of, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                          const char *node, const char *service, const struct addrinfo *hints)
{
    cr_assert_str_eq(node, "db1");
    resolved = done;
    return __real_uv_getaddrinfo(
        of, request, on_first, first_address != NULL ? first_address : "127.0.0.1", service, hints);
}

/* ---- connecting -------------------------------------------------------------------------- */

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof(value);

    cr_assert_eq(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

static void is_connected(void)
{
    char bytes[10];

    until(is_done());
    cr_assert_eq(result.err, ERR_OK, "%s", why);
    cr_assert_null(result.why);
    cr_assert_null(result.reply);
    cr_assert_null(result.ssl);
    cr_assert_neq(fcntl(result.fd, F_GETFL) & O_NONBLOCK, 0);
    cr_assert_neq(fcntl(result.fd, F_GETFD) & FD_CLOEXEC, 0);
    cr_assert_eq(recv(result.fd, bytes, sizeof(bytes), 0), -1);
    bytes_clear(&heard);
    cr_assert_eq(send(result.fd, "PING\r\n", 6, 0), 6);
    until(peer_heard("PING\r\n"));
    peer_says("+PONG\r\n");
    until(recv(result.fd, bytes, sizeof(bytes), 0) == 7);
}

Test(redis_connect, gives_a_socket_that_is_logged_in)
{
    listens();
    starts("redis://127.0.0.1:%u");
    until(peer_heard(HELLO));
    cr_assert_eq(heard.length, sizeof(HELLO) - 1);
    peer_says(MAP);
    is_connected();
    cr_assert_eq(result.version, CONNECT_VERSION(7, 0, 15));
    cr_assert_eq(option_of(result.fd, IPPROTO_TCP, TCP_NODELAY), 1);
    cr_assert_eq(option_of(result.fd, SOL_SOCKET, SO_KEEPALIVE), 0);
}

Test(redis_connect, keeps_the_socket_alive_as_it_is_told)
{
    struct connect_target target = {
        .database = -1, .protocol = 2, .keepalive = {.on = true, .idle_s = 77, .count = 3}};

    listens();
    starts_to(&target, "redis://127.0.0.1:%u");
    until(peer_heard(HELLO));
    peer_says(MAP);
    is_connected();
    cr_assert_eq(option_of(result.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    cr_assert_eq(option_of(result.fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    cr_assert_eq(option_of(result.fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
}

Test(redis_connect, goes_by_the_name_and_passes_over_addresses_that_refuse)
{
    listens();
    first_address = "127.0.0.2";
    second_address = "127.0.0.1";
    starts("redis://db1:%u");
    until(peer_heard(HELLO));
    peer_says(MAP);
    is_connected();
}

Test(redis_connect, names_all_addresses_that_refuse)
{
    listens();
    stops_to_listen();
    first_address = "127.0.0.2";
    second_address = "127.0.0.1";
    starts("redis://db1:%u/3");
    fails(ERR_BACKEND_DOWN, "cannot connect: 127.0.0.2: connection refused, "
                            "127.0.0.1: connection refused");
    cr_assert_eq(strncmp(why, "redis://db1:", 12), 0);
    cr_assert_str_empty(reply);
}

Test(redis_connect, says_that_a_name_is_unknown)
{
    starts("redis://db1");
    fails(ERR_BACKEND_DOWN, "redis://db1:6379/0: its name is not resolved: unknown node");
}

Test(redis_connect, says_at_once_that_a_port_is_closed)
{
    listens();
    stops_to_listen();
    starts("redis://127.0.0.1:%u");
    fails(ERR_BACKEND_DOWN, "cannot connect: 127.0.0.1: connection refused");
}

static const char *at_path(void)
{
    static char url[100];

    snprintf(url, sizeof(url), "unix://%s/r.sock?db=2", folder_path);
    return url;
}

Test(redis_connect, goes_through_a_unix_socket)
{
    listens_at_path("r.sock", 10);
    starts(at_path());
    until(peer_heard("SELECT\r\n$1\r\n2\r\n" HELLO));
    peer_says("+OK\r\n" MAP);
    is_connected();
}

Test(redis_connect, says_what_is_wrong_with_a_unix_socket)
{
    starts(at_path());
    fails(ERR_BACKEND_DOWN, "cannot connect: no such file or directory");
}

Test(redis_connect, does_not_wait_in_the_full_queue_of_a_unix_socket)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "r.sock"};
    int fds[2];

    listens_at_path("r.sock", 0);
    for (int i = 0; i < 2; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fds[i], (struct sockaddr *)&address, sizeof(address));
    }
    starts(at_path());
    while (!is_done()) /* the peer accepts nobody */
        uv_run(&loop, UV_RUN_ONCE);
    fails(ERR_BACKEND_DOWN, "cannot connect: resource temporarily unavailable");
    close(fds[0]);
    close(fds[1]);
}

/* ---- logging in -------------------------------------------------------------------------- */

Test(redis_connect, logs_in_as_the_url_says)
{
    listens();
    starts("redis://ana:pw@127.0.0.1:%u/3");
    until(peer_heard(HELLO));
    cr_assert(peer_heard("*3\r\n$4\r\nAUTH\r\n$3\r\nana\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n"
                         "3\r\n" HELLO));
    peer_says("+OK\r\n+OK\r\n" MAP);
    is_connected();
}

Test(redis_connect, logs_in_as_the_target_says_instead)
{
    struct connect_target target = {
        .password = SLICE("a\0b"), .client_name = SLICE("weir"), .database = 0, .protocol = 3};

    listens();
    starts_to(&target, "redis://ana:pw@127.0.0.1:%u/3");
    until(peer_heard("HELLO"));
    cr_assert_eq(memcmp(heard.at, "*2\r\n$4\r\nAUTH\r\n$3\r\na\0b\r\n*3\r\n$6\r\nCLIENT\r\n", 39),
                 0);
    cr_assert(!peer_heard("SELECT"));
    cr_assert(peer_heard("HELLO\r\n$1\r\n3\r\n"));
    peer_says("+OK\r\n-ERR no names here\r\n%0\r\n");
    is_connected();
    cr_assert_eq(result.version, 0);
}

Test(redis_connect, logs_in_as_nobody_if_the_target_says_so)
{
    struct connect_target target = {.user = SLICE("x"),
                                    .password = SLICE("y"),
                                    .anonymous = true,
                                    .database = 7,
                                    .protocol = 2};

    listens();
    starts_to(&target, "redis://ana:pw@127.0.0.1:%u/3");
    until(peer_heard(HELLO));
    cr_assert(!peer_heard("AUTH"));
    cr_assert(peer_heard("SELECT\r\n$1\r\n7\r\n"));
    peer_says("+OK\r\n" MAP);
    is_connected();
}

Test(redis_connect, is_nobody_where_redis_wants_a_password_and_may_say_it_later)
{
    struct connect_target target = {.anonymous = true, .database = -1, .protocol = 2};

    listens();
    starts_to(&target, "redis://ana:pw@127.0.0.1:%u");
    until(peer_heard(HELLO));
    peer_says("-NOAUTH HELLO must be called with the client already authenticated\r\n");
    is_connected();
}

Test(redis_connect, takes_answers_byte_by_byte)
{
    static const char answers[] = "+OK\r\n" MAP;

    listens();
    starts("redis://:pw@127.0.0.1:%u");
    until(peer_heard(HELLO));
    for (size_t i = 0; i + 1 < sizeof(answers); i++) {
        cr_assert_eq(done_count, 0);
        peer_says_bytes(answers + i, 1);
        turn();
    }
    is_connected();
    cr_assert_eq(result.version, CONNECT_VERSION(7, 0, 15));
}

/* More than the socket takes at once, to a peer that does not read yet. */
Test(redis_connect, says_much_as_it_is_taken)
{
    static uint8_t password[20 * 1024 * 1024];
    struct connect_target target = {
        .password = {password, sizeof(password)}, .database = -1, .protocol = 2};

    memset(password, 'x', sizeof(password));
    listens();
    starts_to(&target, "redis://127.0.0.1:%u");
    peer_is_deaf = true;
    until(peer_fd >= 0);
    for (int i = 0; i < 20; i++)
        turn();
    peer_is_deaf = false;
    until(heard.length >= sizeof(password) && peer_heard(HELLO));
    cr_assert_eq(done_count, 0);
    peer_says("+OK\r\n" MAP);
    is_connected();
}

/* ---- what goes wrong --------------------------------------------------------------------- */

static void hears(const char *url, const char *answers)
{
    listens();
    starts(url);
    until(peer_heard(HELLO));
    peer_says(answers);
}

Test(redis_connect, tells_a_refusal_in_the_words_of_redis)
{
    hears("redis://:x@127.0.0.1:%u/1", "-WRONGPASS invalid\r\n-NOAUTH no\r\n-NOAUTH no\r\n");
    fails(ERR_WRONG_PASSWORD, "/1: AUTH: WRONGPASS invalid");
    cr_assert_str_eq(reply, "WRONGPASS invalid");
}

Test(redis_connect, tells_a_wrong_database_in_the_words_of_redis)
{
    hears("redis://127.0.0.1:%u/99", "-ERR DB index is out of range\r\n" MAP);
    fails(ERR_NO_DATABASE, "/99: SELECT: ERR DB index is out of range");
    cr_assert_str_eq(reply, "ERR DB index is out of range");
}

Test(redis_connect, tells_an_error_that_came_before_we_spoke)
{
    listens();
    starts("redis://127.0.0.1:%u");
    peer_is_deaf = true;
    until(peer_fd >= 0);
    peer_says("-ERR max number of clients reached\r\n");
    shutdown(peer_fd, SHUT_WR);
    fails(ERR_BACKEND_DOWN, "HELLO: ERR max number of clients reached");
    cr_assert_str_eq(reply, "ERR max number of clients reached");
}

Test(redis_connect, is_lost_when_the_server_closes)
{
    listens();
    starts("redis://127.0.0.1:%u");
    until(peer_heard(HELLO));
    peer_closes();
    stops_to_listen();
    fails(ERR_BACKEND_LOST, "while logging in: it closed the connection");
    cr_assert_str_empty(reply);
}

Test(redis_connect, is_lost_when_the_server_closes_in_half_an_answer)
{
    hears("redis://:x@127.0.0.1:%u", "+OK\r\n*2\r\n$7\r\nver");
    peer_closes();
    stops_to_listen();
    fails(ERR_BACKEND_LOST, "while logging in: it closed the connection");
}

Test(redis_connect, is_lost_when_the_server_closes_after_its_last_answer)
{
    hears("redis://127.0.0.1:%u", MAP);
    peer_closes();
    stops_to_listen();
    fails(ERR_BACKEND_LOST, "while logging in: it closed the connection");
}

Test(redis_connect, is_lost_when_the_server_resets)
{
    struct linger at_once = {.l_onoff = 1};

    hears("redis://:x@127.0.0.1:%u", "+OK\r\n");
    setsockopt(peer_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    peer_closes();
    stops_to_listen();
    fails(ERR_BACKEND_LOST, "while logging in: connection reset by peer");
}

Test(redis_connect, does_not_go_on_with_a_server_that_is_none)
{
    hears("redis://127.0.0.1:%u", "HTTP/1.1 400 Bad Request\r\n\r\n");
    fails(ERR_PROTOCOL, "it does not answer as Redis does");
}

Test(redis_connect, does_not_go_on_with_a_server_that_says_too_much)
{
    hears("redis://127.0.0.1:%u", MAP "+OK\r\n");
    fails(ERR_PROTOCOL, "it does not answer as Redis does");
}

/* All that the greeting reads is read, and one byte more waits. */
Test(redis_connect, does_not_go_on_with_a_server_of_which_something_waits)
{
    static const char head[] = "*2\r\n$7\r\nversion\r\n$16357\r\n"; /* with the rest: 16 KB */
    static char answer[16 * 1024 + 1];

    memset(answer, 'x', sizeof(answer));
    memcpy(answer, head, sizeof(head) - 1);
    memcpy(answer + 16 * 1024 - 2, "\r\n", 2);
    listens();
    starts("redis://127.0.0.1:%u");
    until(peer_heard(HELLO));
    peer_says_bytes(answer, sizeof(answer));
    fails(ERR_PROTOCOL, "it says more than it was asked for");
}

/* ---- stopping ---------------------------------------------------------------------------- */

static void stops(void)
{
    connect_stop(connection);
    connection = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(done_count, 0);
    cr_assert_eq(uv_loop_alive(&loop), 0);
}

Test(redis_connect, can_be_stopped_before_it_began)
{
    starts("redis://db1");
    stops();
}

Test(redis_connect, can_be_stopped_while_it_resolves)
{
    first_address = "127.0.0.1";
    starts("redis://db1");
    while (resolved == NULL)
        uv_run(&loop, UV_RUN_NOWAIT);
    stops();
}

Test(redis_connect, can_be_stopped_while_it_connects)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fds[4]; /* fill the queue, so that nobody answers */

    listens_at((struct sockaddr *)&address, sizeof(address), 0);
    address.sin_port = htons((uint16_t)port);
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fds[i], (struct sockaddr *)&address, sizeof(address));
    }
    starts("redis://127.0.0.1:%u");
    for (int i = 0; i < 10; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(done_count, 0);
    stops();
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
}

Test(redis_connect, can_be_stopped_while_the_server_is_silent)
{
    listens();
    starts("redis://127.0.0.1:%u");
    until(peer_heard(HELLO));
    stops();
    until(peer_heard_end);
}

Test(redis_connect, does_not_spin_while_the_server_is_silent)
{
    hears("redis://:x@127.0.0.1:%u", "+OK\r\n*2\r\n");
    for (int i = 0; i < 5; i++)
        turn();
    cr_assert_eq(uv_backend_timeout(&loop), -1);
    cr_assert_eq(poll(&(struct pollfd){uv_backend_fd(&loop), POLLIN, 0}, 1, 0), 0);
}

/* ---- want of memory ---------------------------------------------------------------------- */

/* The peer has all it needs; ours has so much. */
static void goes_on_with(long allocations)
{
    bool said = false;

    for (uint64_t start = uv_hrtime(); !is_done() && uv_hrtime() - start < patience;) {
        no_memory_after(allocations);
        uv_run(&loop, UV_RUN_NOWAIT);
        allocations = allocations_left;
        no_memory_after(NO_MEMORY_NEVER);
        peer_goes_on();
        if (!said && peer_heard(HELLO)) {
            peer_says("+OK\r\n" MAP);
            said = true;
        }
    }
    cr_assert_eq(done_count, 1);
}

Test(redis_connect, leaves_nothing_behind_when_memory_runs_out)
{
    long n = 0;

    listens();
    first_address = "127.0.0.1";
    for (;; n++) {
        starts("redis://ana:pw@db1:%u");
        goes_on_with(n);
        if (result.err == ERR_OK)
            break;
        cr_assert(result.err == ERR_NO_MEMORY || strstr(why, "cannot be watched") != NULL, "%s",
                  why);
        done_count = 0;
        peer_closes();
        peer_heard_end = false;
        bytes_clear(&heard);
    }
    cr_assert_gt(n, 2);
}

Test(redis_connect, cannot_start_without_memory)
{
    struct connect_target target = {.database = -1, .protocol = 2};
    struct url url;
    long n = 0;

    cr_assert_eq(url_parse("rediss://ana:pw@db1", &url, why, sizeof(why)), ERR_OK);
    target.url = &url;
    for (; connection == NULL; n++) {
        no_memory_after(n);
        connection = connect_start(&loop, &target, &result, on_done);
        no_memory_after(NO_MEMORY_NEVER);
    }
    cr_assert_gt(n, 3);
    url_free(&url);
    stops();
}
