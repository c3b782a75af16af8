/*
 * tests/unit/tls_ends.h - a TLS stream and its peer, in one thread over a socket pair.
 *
 *      given_a_connection(TLS1_3_VERSION);     stream is ours, peer an SSL at the other end
 *      stream_read(&stream);
 *      peer_says("an answer", 9);
 *      turn();                                 who waits lets the loop turn
 *      ... heard, shown_count, ended_count
 *
 * ours is what libpq would have: an SSL that has shaken hands on a descriptor of its own,
 * and that outlives the stream.
 */
#ifndef TESTS_UNIT_TLS_ENDS_H
#define TESTS_UNIT_TLS_ENDS_H

#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clean_end.h"
#include "drivers/stream.h"

enum { PATIENCE = 20000, BIG = 20 * 1024 * 1024, FULL_BUFFER = 128 * 1024 };

static uv_loop_t loop;
static struct stream_home home;
static struct stream stream;
static SSL_CTX *our_context, *peer_context;
static SSL *ours, *peer;
static int our_fd, peer_fd;

static uint8_t *heard; /* all that was shown and used */
static size_t heard_length, shown_count, most_used;
static bool pauses_when_shown;
static unsigned ended_count, drained_count, closed_count;
static enum err ended_why;

/* ---- the stream's owner ------------------------------------------------------------------ */

static size_t on_bytes(struct stream *of, struct slice in)
{
    size_t used = most_used > 0 && in.length > most_used ? most_used : in.length;

    cr_assert_eq(of, &stream);
    cr_assert_eq(ended_count, 0);
    cr_assert_leq(heard_length + used, (size_t)BIG);
    memcpy(heard + heard_length, in.at, used);
    heard_length += used;
    shown_count++;
    if (pauses_when_shown)
        stream_pause(of);
    return used;
}

static inline void on_ended(struct stream *of, enum err why)
{
    ended_count++;
    ended_why = why;
}

static inline void on_drained(struct stream *of)
{
    cr_assert_eq(stream_queued(of), 0);
    drained_count++;
}

static inline void on_closed(struct stream *of)
{
    closed_count++;
}

static const struct stream_events events = {on_bytes, on_ended, on_drained, on_closed};

/* ---- two ends ---------------------------------------------------------------------------- */

static inline void certify(SSL_CTX *context)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);

    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"x", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    cr_assert_eq(SSL_CTX_use_certificate(context, certificate), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static inline void set_up(void)
{
    signal(SIGPIPE, SIG_IGN);
    heard = malloc(BIG);
    our_context = SSL_CTX_new(TLS_client_method());
    peer_context = SSL_CTX_new(TLS_server_method());
    certify(peer_context);
    cr_assert_eq(uv_loop_init(&loop), 0);
    cr_assert_eq(stream_home_init(&home, &loop), ERR_OK);
}

static inline void clean_up(void)
{
    if (closed_count == 0)
        stream_close(&stream);
    uv_run(&loop, UV_RUN_DEFAULT);
    if (closed_count != 1 || uv_loop_close(&loop) != 0)
        abort();
    stream_home_fini(&home);
    SSL_free(ours);
    SSL_free(peer);
    SSL_CTX_free(our_context);
    SSL_CTX_free(peer_context);
    close(our_fd);
    close(peer_fd);
    free(heard);
    clean_end();
}

static inline void given_a_connection(int version)
{
    int fds[2], ours_done = 0, peer_done = 0;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    our_fd = fds[0];
    peer_fd = fds[1];
    SSL_CTX_set_max_proto_version(our_context, version);
    ours = SSL_new(our_context);
    peer = SSL_new(peer_context);
    SSL_set_fd(ours, our_fd);
    SSL_set_fd(peer, peer_fd);
    SSL_set_mode(peer, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    while (ours_done != 1 || peer_done != 1) {
        ours_done = ours_done == 1 ? 1 : SSL_connect(ours);
        peer_done = peer_done == 1 ? 1 : SSL_accept(peer);
    }
    cr_assert_eq(SSL_version(ours), version);
    cr_assert_eq(stream_adopt_tls(&stream, &home, &events, dup(our_fd), ours), ERR_OK);
}

static inline void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
}

static inline void turn_for_a_while(void)
{
    for (int i = 0; i < 20; i++)
        turn();
}

static inline uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static inline uint8_t *many_bytes(size_t length)
{
    uint8_t *bytes = malloc(length);

    for (size_t i = 0; i < length; i++)
        bytes[i] = byte_at(i);
    return bytes;
}

static inline void heard_all(size_t length)
{
    for (int i = 0; i < PATIENCE && heard_length < length; i++)
        turn();
    cr_assert_eq(heard_length, length, "%zu of %zu", heard_length, length);
    for (size_t i = 0; i < length; i++)
        cr_assert_eq(heard[i], byte_at(i), "byte %zu", i);
}

static inline void peer_says(const void *at, size_t length)
{
    cr_assert_eq(SSL_write(peer, at, (int)length), (int)length);
}

/* Returns what one SSL_read gives, at most a record; 0 or less for nothing. */
static inline int peer_reads(uint8_t *to, size_t size)
{
    ERR_clear_error();
    return SSL_read(peer, to, (int)size);
}

static inline void peer_reads_all_from(size_t got, size_t length)
{
    uint8_t part[16384];

    for (int i = 0; i < PATIENCE && got < length; i++) {
        for (int now; got < length && (now = peer_reads(part, sizeof(part))) > 0;
             got += (size_t)now)
            for (int k = 0; k < now; k++)
                cr_assert_eq(part[k], byte_at(got + (size_t)k), "byte %zu", got + (size_t)k);
        turn();
    }
    cr_assert_eq(got, length);
}

static inline void peer_reads_all(size_t length)
{
    peer_reads_all_from(0, length);
}

static inline void is_told_the_end(enum err why)
{
    for (int i = 0; i < 100 && ended_count == 0; i++)
        turn();
    cr_assert_eq(ended_count, 1);
    cr_assert_eq(ended_why, why);
    turn_for_a_while();
    cr_assert_eq(ended_count, 1);
}

/* Nothing is done again and again while nobody says anything. */
static inline bool loop_rests(void)
{
    return uv_loop_alive(&loop) == 0 || uv_backend_timeout(&loop) != 0;
}

static inline bool socket_is_silent(void)
{
    char byte;

    return recv(our_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static inline void closes(void)
{
    stream_close(&stream);
    for (int i = 0; i < 100 && closed_count == 0; i++)
        turn();
    cr_assert_eq(closed_count, 1);
}

#endif
