#include "proxy/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct listeners *all;
    struct link link;
    char *path; /* of a Unix socket */
};

void listener_init(struct listeners *listeners, uv_loop_t *loop,
                   const struct listener_options *options, void *owner,
                   listener_connection *on_connection)
{
    *listeners = (struct listeners){
        .loop = loop, .options = *options, .owner = owner, .on_connection = on_connection};
    list_init(&listeners->open);
}

static void on_waiting(uv_stream_t *handle, int status)
{
    struct listener *listener = handle->data;

    if (status == 0)
        listener->all->on_connection(listener->all->owner, handle);
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;

    free(listener->path);
    free(listener);
}

static void close_one(struct listener *listener)
{
    if (link_is_linked(&listener->link))
        list_remove(&listener->all->open, &listener->link);
    uv_close(&listener->uv.handle, on_closed);
}

static struct listener *create(struct listeners *all, bool is_tcp)
{
    struct listener *listener = calloc(1, sizeof(*listener));

    if (listener == NULL)
        return NULL;
    if (is_tcp)
        uv_tcp_init(all->loop, &listener->uv.tcp);
    else
        uv_pipe_init(all->loop, &listener->uv.pipe, 0);
    listener->uv.handle.data = listener;
    listener->all = all;
    list_push_back(&all->open, &listener->link);
    return listener;
}

/* ---- TCP --------------------------------------------------------------------------------- */

static int bind_tcp(struct listener *listener, const struct addrinfo *address)
{
    /* An IPv6 address is that and no more: "*" opens both kinds. */
    unsigned flags = address->ai_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0;
    int failure = uv_tcp_bind(&listener->uv.tcp, address->ai_addr, flags);

    return failure != 0
               ? failure
               : uv_listen(&listener->uv.stream, listener->all->options.backlog, on_waiting);
}

/* A machine without IPv6 has nothing to listen on there; that is no failure of "*". */
static bool is_forgivable(const char *address, const struct addrinfo *found, int failure)
{
    return strcmp(address, "*") == 0 && found->ai_family == AF_INET6 &&
           (failure == UV_EAFNOSUPPORT || failure == UV_EADDRNOTAVAIL);
}

static enum err open_all(struct listeners *listeners, const char *address, unsigned port,
                         const struct addrinfo *found, char why[256])
{
    for (; found != NULL; found = found->ai_next) {
        struct listener *listener = create(listeners, true);
        int failure;

        if (listener == NULL)
            return ERR_NO_MEMORY;
        failure = bind_tcp(listener, found);
        if (failure == 0)
            continue;
        close_one(listener);
        if (is_forgivable(address, found, failure))
            continue;
        snprintf(why, 256, "cannot listen on %s port %u: %s", address, port, uv_strerror(failure));
        return ERR_IO;
    }
    return ERR_OK;
}

enum err listener_open_tcp(struct listeners *listeners, const char *address, unsigned port,
                           char why[256])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char service[16];
    int failure;
    enum err e;

    snprintf(service, sizeof(service), "%u", port);
    /* This may block; nobody is connected yet. */
    failure = getaddrinfo(strcmp(address, "*") == 0 ? NULL : address, service, &hints, &found);
    if (failure != 0) {
        snprintf(why, 256, "cannot listen on %s port %u: %s", address, port, gai_strerror(failure));
        return ERR_IO;
    }
    e = open_all(listeners, address, port, found, why);
    freeaddrinfo(found);
    return e;
}

/* ---- Unix sockets ------------------------------------------------------------------------ */

/* Nobody answers there, so whoever made it is gone. */
static bool is_left_over(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, failure;

    if (strlen(path) >= sizeof(address.sun_path))
        return false;
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    failure = connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ? errno : 0;
    close(fd);
    return failure == ECONNREFUSED;
}

enum err listener_open_unix(struct listeners *listeners, const char *path, char why[256])
{
    struct listener *listener = create(listeners, false);
    int failure;

    if (listener == NULL)
        return ERR_NO_MEMORY;
    if (is_left_over(path))
        unlink(path);
    failure = uv_pipe_bind(&listener->uv.pipe, path);
    if (failure == 0) {
        listener->path = strdup(path);
        failure = uv_listen(&listener->uv.stream, listeners->options.backlog, on_waiting);
    }
    if (failure == 0 && chmod(path, (mode_t)listeners->options.unix_mode) != 0)
        failure = uv_translate_sys_error(errno);
    if (failure == 0)
        return ERR_OK;
    snprintf(why, 256, "cannot listen on %.150s: %s", path, uv_strerror(failure));
    close_one(listener);
    return ERR_IO;
}

/* libuv unlinks the path of a pipe it closes. */
void listener_close_all(struct listeners *listeners)
{
    struct listener *listener;

    while ((listener = LIST_FRONT(&listeners->open, struct listener, link)) != NULL)
        close_one(listener);
}
