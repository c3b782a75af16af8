#include "drivers/redis/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/redis/greeting.h"
#include "drivers/redis/trust.h"
#include "drivers/tls.h"
#include "drivers/watch.h"

enum {
    READ_SIZE = 16 * 1024,
    WHY = 512,
    SENTENCE = 2 * WHY, /* with what it is about */
};

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

struct connect {
    uv_loop_t *loop;
    void *owner;
    connect_done *done;
    struct url url; /* a copy, with the database of the target */
    struct peer_keepalive keepalive;
    uv_timer_t soon; /* so that done is never called from inside connect_start */
    union {
        uv_work_t work;
        uv_getaddrinfo_t resolution;
    } request;
    bool is_out; /* request is with a thread; its callback comes back */
    bool stopped;
    SSL_CTX *context;
    union address given;             /* a numeric address, or a path */
    struct addrinfo only;            /*   as a list of one */
    struct addrinfo *found, *trying; /* what the resolver gave; the one in line */
    struct bytes failures;           /* of those tried */
    int fd;
    struct watch *watch;
    void (*go_on)(struct connect *connect); /* what to do when fd is ready */
    SSL *ssl;
    bool secured; /* tls is in use */
    struct tls tls;
    struct bytes out; /* the greeting */
    size_t sent;
    struct greeting greeting;
    char why[WHY];
};

/* ---- the end ----------------------------------------------------------------------------- */

static void stop_watching(struct connect *connect)
{
    watch_stop(connect->watch);
    connect->watch = NULL;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct connect *connect = CONTAINER_OF(handle, struct connect, soon);

    SSL_CTX_free(connect->context);
    uv_freeaddrinfo(connect->found);
    bytes_free(&connect->failures);
    bytes_free(&connect->out);
    greeting_fini(&connect->greeting);
    url_free(&connect->url);
    free(connect);
}

static void hang_up(struct connect *connect)
{
    stop_watching(connect);
    if (connect->secured)
        tls_fini(&connect->tls);
    SSL_free(connect->ssl);
    if (connect->fd >= 0)
        close(connect->fd);
    connect->secured = false;
    connect->ssl = NULL;
    connect->fd = -1;
}

static void destroy(struct connect *connect)
{
    hang_up(connect);
    connect->stopped = true;
    if (!connect->is_out) /* else a thread still writes here */
        uv_close((uv_handle_t *)&connect->soon, on_timer_closed);
}

void connect_stop(struct connect *connect)
{
    if (connect->is_out)
        uv_cancel((uv_req_t *)&connect->request);
    destroy(connect);
}

static void tell_failure(struct connect *connect, enum err e, const char *why, const char *reply)
{
    char text[SENTENCE + URL_SHOWN], shown[URL_SHOWN];

    url_write(&connect->url, shown, sizeof(shown));
    snprintf(text, sizeof(text), "%s: %s", shown, why);
    hang_up(connect);
    connect->done(connect->owner,
                  &(struct connect_result){.err = e, .fd = -1, .why = text, .reply = reply});
    destroy(connect);
}

static void fail(struct connect *connect, enum err e, const char *why)
{
    tell_failure(connect, e, why, NULL);
}

static void fail_with(struct connect *connect, enum err e, const char *what, const char *why)
{
    char text[SENTENCE];

    snprintf(text, sizeof(text), "%s: %s", what, why);
    fail(connect, e, text);
}

static const char *words_of(int system_error)
{
    return uv_strerror(uv_translate_sys_error(system_error));
}

/* ---- waiting for the socket -------------------------------------------------------------- */

static void on_ready(void *owner)
{
    struct connect *connect = owner;

    stop_watching(connect);
    connect->go_on(connect);
}

static void wait_for(struct connect *connect, int events, void (*go_on)(struct connect *))
{
    connect->go_on = go_on;
    connect->watch = watch_start(connect->loop, connect->fd, events, connect, on_ready);
    if (connect->watch == NULL)
        fail(connect, ERR_BACKEND_DOWN, "the socket cannot be watched");
}

/* ---- greeting ---------------------------------------------------------------------------- */

static size_t unsent(const struct connect *connect)
{
    return connect->secured ? tls_queued(&connect->tls) : connect->out.length - connect->sent;
}

/* A server that has closed may have said why before: what fails here is told by reading. */
static void send_rest(struct connect *connect)
{
    struct bytes *out = &connect->out;
    ssize_t taken = 0;

    if (connect->secured) {
        tls_flush(&connect->tls);
        return;
    }
    while (connect->sent < out->length && taken >= 0) {
        taken =
            send(connect->fd, out->at + connect->sent, out->length - connect->sent, MSG_NOSIGNAL);
        if (taken >= 0)
            connect->sent += (size_t)taken;
        else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            connect->sent = out->length;
    }
}

static bool has_ended(struct connect *connect)
{
    enum err e;

    if (!tls_has_ended(&connect->tls, &e))
        return false;
    if (e == ERR_OK)
        snprintf(connect->why, sizeof(connect->why), "it closed the connection");
    else
        trust_explain(connect->ssl, connect->why, sizeof(connect->why));
    return true;
}

/* Returns how many bytes have come, 0 for none yet, -1 for none ever, and then why. */
static ssize_t receive(struct connect *connect, uint8_t *to, size_t size, int flags)
{
    ssize_t got;

    if (connect->secured) {
        got = (ssize_t)tls_read(&connect->tls, to, size);
        return got == 0 && has_ended(connect) ? -1 : got;
    }
    got = recv(connect->fd, to, size, flags);
    if (got > 0)
        return got;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    snprintf(connect->why, sizeof(connect->why), "%s",
             got == 0 ? "it closed the connection" : words_of(errno));
    return -1;
}

static void refuse(struct connect *connect)
{
    struct greeting *greeting = &connect->greeting;
    char text[SENTENCE];

    if (greeting_asked(greeting) == NULL) {
        fail(connect, greeting->err,
             greeting->err == ERR_PROTOCOL ? "it does not answer as Redis does"
                                           : err_text(greeting->err));
        return;
    }
    snprintf(text, sizeof(text), "%s: %s", greeting_asked(greeting), greeting->reply);
    tell_failure(connect, greeting->err, text, greeting->reply);
}

static void lose(struct connect *connect)
{
    greeting_end(&connect->greeting);
    if (connect->greeting.reply[0] != '\0')
        refuse(connect);
    else
        fail_with(connect, ERR_BACKEND_LOST, "while logging in", connect->why);
}

static void succeed(struct connect *connect)
{
    struct connect_result result = {.err = ERR_OK,
                                    .fd = connect->fd,
                                    .ssl = connect->ssl,
                                    .version = connect->greeting.version};

    connect->fd = -1;
    connect->ssl = NULL;
    connect->done(connect->owner, &result);
    destroy(connect);
}

/* All is answered: nothing may be left to send, and nothing have come that was not asked for. */
static void welcome(struct connect *connect)
{
    uint8_t byte;
    ssize_t more = receive(connect, &byte, 1, MSG_PEEK);

    if (more < 0)
        lose(connect);
    else if (more > 0 || unsent(connect) > 0)
        fail(connect, ERR_PROTOCOL, "it says more than it was asked for");
    else
        succeed(connect);
}

static void greet(struct connect *connect)
{
    uint8_t in[READ_SIZE];
    enum greeting_found found = GREETING_MORE;
    ssize_t got;

    send_rest(connect);
    while (found == GREETING_MORE && (got = receive(connect, in, sizeof(in), 0)) != 0) {
        if (got < 0) {
            lose(connect);
            return;
        }
        found = greeting_read(&connect->greeting, (struct slice){in, (size_t)got});
    }
    if (found == GREETING_REFUSED)
        refuse(connect);
    else if (found == GREETING_WELCOME)
        welcome(connect);
    else if (connect->secured)
        wait_for(connect, tls_awaits(&connect->tls, true), greet);
    else
        wait_for(connect, UV_READABLE | (unsent(connect) > 0 ? UV_WRITABLE : 0), greet);
}

/* ---- TLS --------------------------------------------------------------------------------- */

static void secure(struct connect *connect)
{
    int result;

    ERR_clear_error(); /* an old error would be taken for one of this call */
    result = SSL_connect(connect->ssl);
    if (result == 1) {
        tls_init(&connect->tls, connect->ssl);
        connect->secured = true;
        tls_write(&connect->tls, &(struct slice){connect->out.at, connect->out.length}, 1);
        greet(connect);
        return;
    }
    switch (SSL_get_error(connect->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        wait_for(connect, UV_READABLE, secure);
        break;
    case SSL_ERROR_WANT_WRITE:
        wait_for(connect, UV_WRITABLE, secure);
        break;
    default:
        trust_explain(connect->ssl, connect->why, sizeof(connect->why));
        fail_with(connect, ERR_BACKEND_DOWN, "no TLS", connect->why);
        break;
    }
}

static void begin_to_secure(struct connect *connect)
{
    connect->ssl = trust_secure(connect->context, &connect->url, connect->fd);
    if (connect->ssl == NULL)
        fail(connect, ERR_CONFIG, "TLS cannot be begun with that name");
    else
        secure(connect);
}

/* ---- connecting -------------------------------------------------------------------------- */

static void on_connected(struct connect *connect)
{
    int on = 1;

    if (connect->trying->ai_family != AF_UNIX) {
        setsockopt(connect->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        peer_keep_socket_alive(connect->fd, &connect->keepalive);
    }
    if (connect->context != NULL)
        begin_to_secure(connect);
    else
        greet(connect);
}

static void note_failure(struct connect *connect, int system_error)
{
    const struct sockaddr *address = connect->trying->ai_addr;
    char ip[INET6_ADDRSTRLEN] = "";

    if (connect->failures.length > 0)
        bytes_print(&connect->failures, ", ");
    if (address->sa_family != AF_UNIX && uv_ip_name(address, ip, sizeof(ip)) == 0)
        bytes_print(&connect->failures, "%s: ", ip);
    bytes_print(&connect->failures, "%s", words_of(system_error));
    hang_up(connect);
    connect->trying = connect->trying->ai_next;
}

static void try_next(struct connect *connect);

static void on_answer(struct connect *connect)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(connect->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    if (error == 0) {
        on_connected(connect);
        return;
    }
    note_failure(connect, error);
    try_next(connect);
}

/* Returns 0, EINPROGRESS, or why not. EAGAIN of a Unix socket: its queue is full; it cannot be
 * waited for. */
static int dial(const struct addrinfo *to, int *fd)
{
    *fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return errno;
    return connect(*fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
}

static void set_port(const struct connect *connect)
{
    union address *address = (union address *)(void *)connect->trying->ai_addr;

    if (connect->trying->ai_family == AF_INET)
        address->in.sin_port = htons(connect->url.port);
    else if (connect->trying->ai_family == AF_INET6)
        address->in6.sin6_port = htons(connect->url.port);
}

static void try_next(struct connect *connect)
{
    int error;

    while (connect->trying != NULL) {
        set_port(connect);
        error = dial(connect->trying, &connect->fd);
        if (error == 0) {
            on_connected(connect);
            return;
        }
        if (error == EINPROGRESS) {
            wait_for(connect, UV_WRITABLE, on_answer);
            return;
        }
        note_failure(connect, error);
    }
    bytes_add(&connect->failures, "", 1);
    if (connect->failures.failed)
        fail(connect, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
    else
        fail_with(connect, ERR_BACKEND_DOWN, "cannot connect", (char *)connect->failures.at);
}

/* ---- preparing --------------------------------------------------------------------------- */

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct connect *connect = CONTAINER_OF(request, struct connect, request.resolution);

    connect->is_out = false;
    connect->found = connect->trying = found;
    if (connect->stopped)
        destroy(connect);
    else if (status != 0)
        fail_with(connect, ERR_BACKEND_DOWN, "its name is not resolved", uv_strerror(status));
    else
        try_next(connect);
}

/* Whether there is nothing to resolve; then the address is in connect->given. */
static bool is_given(struct connect *connect)
{
    const struct url *url = &connect->url;
    union address *given = &connect->given;
    size_t length = sizeof(*given);

    if (url->path != NULL) {
        given->un.sun_family = AF_UNIX;
        snprintf(given->un.sun_path, sizeof(given->un.sun_path), "%s", url->path);
        length = sizeof(given->un);
    } else if (uv_ip4_addr(url->host, url->port, &given->in) == 0) {
        length = sizeof(given->in);
    } else if (uv_ip6_addr(url->host, url->port, &given->in6) == 0) {
        length = sizeof(given->in6);
    } else {
        return false;
    }
    connect->only = (struct addrinfo){
        .ai_family = given->any.sa_family, .ai_addr = &given->any, .ai_addrlen = (socklen_t)length};
    connect->trying = &connect->only;
    return true;
}

static void resolve(struct connect *connect)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int status;

    if (is_given(connect)) {
        try_next(connect);
        return;
    }
    status = uv_getaddrinfo(connect->loop, &connect->request.resolution, on_resolved,
                            connect->url.host, NULL, &hints);
    if (status == 0)
        connect->is_out = true;
    else
        fail_with(connect, ERR_BACKEND_DOWN, "its name is not resolved", uv_strerror(status));
}

static void on_thread(uv_work_t *work)
{
    struct connect *connect = CONTAINER_OF(work, struct connect, request.work);

    connect->context = trust_create(&connect->url, connect->why, sizeof(connect->why));
}

static void on_trusting(uv_work_t *work, int status)
{
    struct connect *connect = CONTAINER_OF(work, struct connect, request.work);

    connect->is_out = false;
    if (connect->stopped)
        destroy(connect);
    else if (status != 0 || connect->context == NULL)
        fail(connect, ERR_CONFIG, connect->why);
    else
        resolve(connect);
}

static void on_soon(uv_timer_t *timer)
{
    struct connect *connect = CONTAINER_OF(timer, struct connect, soon);

    if (!connect->url.tls) {
        resolve(connect);
        return;
    }
    REQUIRE(uv_queue_work(connect->loop, &connect->request.work, on_thread, on_trusting) == 0);
    connect->is_out = true;
}

/* ---- the beginning ----------------------------------------------------------------------- */

static struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, text != NULL ? strlen(text) : 0};
}

static void prepare_greeting(struct connect *connect, const struct connect_target *target)
{
    struct greeting_wishes wishes = {.client_name = target->client_name,
                                     .database = connect->url.database,
                                     .protocol = target->protocol,
                                     .anonymous = target->anonymous};

    if (target->password.at != NULL && !target->anonymous) {
        wishes.user = target->user;
        wishes.password = target->password;
    } else if (!target->anonymous) {
        wishes.user = slice_of(connect->url.user);
        wishes.password = slice_of(connect->url.password);
    }
    greeting_init(&connect->greeting, &wishes, &connect->out);
}

struct connect *connect_start(uv_loop_t *loop, const struct connect_target *target, void *owner,
                              connect_done *done)
{
    struct connect *connect = calloc(1, sizeof(*connect));

    ASSERT(target->protocol == 2 || target->protocol == 3);
    if (connect == NULL || url_copy(target->url, &connect->url) != ERR_OK) {
        free(connect);
        return NULL;
    }
    connect->loop = loop;
    connect->owner = owner;
    connect->done = done;
    connect->keepalive = target->keepalive;
    connect->fd = -1;
    if (target->database >= 0)
        connect->url.database = target->database;
    prepare_greeting(connect, target);
    if (connect->out.failed) {
        bytes_free(&connect->out);
        url_free(&connect->url);
        free(connect);
        return NULL;
    }
    uv_timer_init(loop, &connect->soon);
    uv_timer_start(&connect->soon, on_soon, 0, 0);
    return connect;
}
