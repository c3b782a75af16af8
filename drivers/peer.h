/*
 * drivers/peer.h - who is at the other end of a stream, and whether it still is.
 *
 *      peer_get(&session->stream, &session->peer);          while it is connected
 *      peer_write(&session->peer, text, sizeof(text));      "127.0.0.1:5432", at any time
 *      peer_keep_alive(&session->stream, &how);             TCP asks now and then
 */
#ifndef DRIVERS_PEER_H
#define DRIVERS_PEER_H

#include <sys/types.h>

#include "drivers/stream.h"

/* An address in little room. */
struct peer {
    uint8_t family; /* AF_INET, AF_INET6, or another for a Unix socket */
    uint8_t ip[16];
    uint16_t port;
};

/* 0 is the system's own value. */
struct peer_keepalive {
    bool on;
    int idle_s, interval_s, count;
};

void peer_get(const struct stream *stream, struct peer *peer);

/* Our own end of it. */
void peer_get_local(const struct stream *stream, struct peer *local);

/* Who is at the other end of a Unix socket. False: it is none, or that cannot be known. */
bool peer_user(const struct stream *stream, uid_t *user, pid_t *process);

/* "127.0.0.1", "::1" or "unix". */
void peer_write_host(const struct peer *peer, char *to, size_t size);

/* "127.0.0.1:5432", "[::1]:5432" or "unix". */
void peer_write(const struct peer *peer, char *to, size_t size);

/* Does nothing to a stream that is no TCP, or under TLS: whoever has connected that socket sees
 * to it, with the second. */
void peer_keep_alive(struct stream *stream, const struct peer_keepalive *how);
void peer_keep_socket_alive(int fd, const struct peer_keepalive *how);

#endif
