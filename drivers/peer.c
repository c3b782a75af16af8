#include "drivers/peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void peer_get(const struct stream *stream, struct peer *peer)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } name;
    socklen_t length = sizeof(name);
    uv_os_fd_t fd;

    *peer = (struct peer){.family = AF_UNIX};
    if (uv_fileno(&stream->uv.handle, &fd) != 0 || getpeername(fd, &name.any, &length) != 0)
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
