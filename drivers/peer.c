#include "drivers/peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

union name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

typedef int ask_for_name(int fd, struct sockaddr *name, socklen_t *length);

/* What cannot be asked is a Unix socket's, which says as little. */
static void get(const struct stream *stream, ask_for_name *ask, struct peer *peer)
{
    union name name;
    socklen_t length = sizeof(name);
    uv_os_fd_t fd;

    *peer = (struct peer){.family = AF_UNIX};
    if (uv_fileno(&stream->uv.handle, &fd) != 0 || ask(fd, &name.any, &length) != 0)
        return;
    peer->family = (uint8_t)name.any.sa_family;
    if (name.any.sa_family == AF_INET6) {
        memcpy(peer->ip, &name.in6.sin6_addr, sizeof(name.in6.sin6_addr));
        peer->port = ntohs(name.in6.sin6_port);
    } else if (name.any.sa_family == AF_INET) {
        memcpy(peer->ip, &name.in.sin_addr, sizeof(name.in.sin_addr));
        peer->port = ntohs(name.in.sin_port);
    }
}

void peer_get(const struct stream *stream, struct peer *peer)
{
    get(stream, getpeername, peer);
}

void peer_get_local(const struct stream *stream, struct peer *local)
{
    get(stream, getsockname, local);
}

bool peer_user(const struct stream *stream, uid_t *user, pid_t *process)
{
    struct ucred who;
    socklen_t length = sizeof(who);
    struct peer peer;
    uv_os_fd_t fd;

    peer_get(stream, &peer);
    if (peer.family != AF_UNIX || uv_fileno(&stream->uv.handle, &fd) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0)
        return false;
    *user = who.uid;
    *process = who.pid;
    return who.pid > 0; /* else it is no Unix socket: Linux says 0 then, and no error */
}

void peer_write_host(const struct peer *peer, char *to, size_t size)
{
    if (peer->family == AF_INET || peer->family == AF_INET6)
        uv_inet_ntop(peer->family, peer->ip, to, size);
    else
        snprintf(to, size, "unix");
}

void peer_write(const struct peer *peer, char *to, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "";

    if (peer->family != AF_INET && peer->family != AF_INET6) {
        snprintf(to, size, "unix");
        return;
    }
    uv_inet_ntop(peer->family, peer->ip, ip, sizeof(ip));
    snprintf(to, size, peer->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, peer->port);
}

static void set_option(uv_os_fd_t fd, int option, int value)
{
    if (value > 0)
        setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

void peer_keep_socket_alive(int fd, const struct peer_keepalive *how)
{
    int on = 1;

    if (!how->on)
        return;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    set_option(fd, TCP_KEEPIDLE, how->idle_s);
    set_option(fd, TCP_KEEPINTVL, how->interval_s);
    set_option(fd, TCP_KEEPCNT, how->count);
}

void peer_keep_alive(struct stream *stream, const struct peer_keepalive *how)
{
    uv_os_fd_t fd;

    if (stream->uv.handle.type == UV_TCP && uv_fileno(&stream->uv.handle, &fd) == 0)
        peer_keep_socket_alive(fd, how);
}
