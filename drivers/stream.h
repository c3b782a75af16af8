/*
 * drivers/stream.h - bytes over a socket, under back-pressure.
 *
 *      if (stream_accept(&s->stream, home, &events, listener) == ERR_OK)
 *          stream_read(&s->stream);                from now on: events.bytes
 *      stream_write(&s->stream, slices, n);
 *      stream_close(&s->stream);                   events.closed gives the memory back
 *
 * All streams of a worker read into the one buffer of their home. events.bytes is shown
 * what came and says how many bytes of it were used; the rest is kept and shown again,
 * with what came after it behind it. So a parser sees each message header whole, holds
 * no bytes itself, and a client who waits for a server is simply not used up yet. Who
 * uses nothing stops being read when half a buffer is kept.
 *
 * stream_write takes all or keeps what the socket did not take; it never takes half and
 * never fails: a broken socket is told once, by events.ended. Who writes much looks at
 * stream_queued() and stops reading from the other side until events.drained.
 *
 *      open --> reading <--> paused --> ended --> closed
 *
 * Ownership: the memory is the caller's until stream_close and from events.closed on.
 * events.bytes is lent its slice for the call.
 */
#ifndef DRIVERS_STREAM_H
#define DRIVERS_STREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"

struct stream;

struct stream_events {
    /* Returns how many bytes of in were used. May close the stream. */
    size_t (*bytes)(struct stream *stream, struct slice in);
    /* Nothing more will come: ERR_OK for an orderly end, else what broke. Once. */
    void (*ended)(struct stream *stream, enum err why);
    /* The peer has taken all that was queued. */
    void (*drained)(struct stream *stream);
    /* The last call: the memory is the caller's again. */
    void (*closed)(struct stream *stream);
};

/* What the streams of a worker share: the buffer all read into, and small blocks for what
 * is kept, so that a client who waits costs no malloc. */
struct stream_home {
    uv_loop_t *loop;
    uint8_t *buffer;
    size_t size;
    struct stream_block *spare;
    size_t spare_count;
};

struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
        uv_poll_t poll; /* with tls: OpenSSL reads and writes the socket itself */
    } uv;
    struct stream_home *home;
    const struct stream_events *events;
    struct stream_tls *tls; /* NULL for a plain socket, which pays for no more than this */
    uint8_t *kept;          /* bytes shown and not used yet */
    uint32_t kept_length, kept_capacity;
    bool wants_reading, is_reading; /* wants, and has room for what comes */
    bool broken;                    /* a write failed: what is left is to hear the end */
    bool ended;                     /* events.ended was called */
};

enum err stream_home_init(struct stream_home *home, uv_loop_t *loop) MUST_CHECK;
void stream_home_fini(struct stream_home *home);

/* A connection that waits at listener (a uv_tcp_t or uv_pipe_t), or a connected socket fd,
 * which is taken. After a failure nothing follows but events.closed. */
enum err stream_accept(struct stream *stream, struct stream_home *home,
                       const struct stream_events *events, uv_stream_t *listener) MUST_CHECK;
enum err stream_adopt(struct stream *stream, struct stream_home *home,
                      const struct stream_events *events, int fd) MUST_CHECK;

/* The same for a socket over which ssl has shaken hands: ssl is lent until events.closed.
 * fd is watched and, in the end, closed; ssl may use another descriptor of that socket. */
enum err stream_adopt_tls(struct stream *stream, struct stream_home *home,
                          const struct stream_events *events, int fd, SSL *ssl) MUST_CHECK;

/* Reading starts or goes on; stops. What is kept is shown again only by new bytes or by
 * stream_again, which must not be called from within events.bytes. */
void stream_read(struct stream *stream);
void stream_pause(struct stream *stream);
void stream_again(struct stream *stream);

void stream_write(struct stream *stream, const struct slice *slices, size_t count);
size_t stream_queued(const struct stream *stream);

/* Tells the peer that nothing more will come, once what is queued was taken. Reading
 * goes on: closing while the peer still sends would take our last words from it. */
void stream_finish(struct stream *stream);
void stream_close(struct stream *stream);

/* Whether something has come that nobody was told yet (an end counts): a look at the
 * socket without waiting; under TLS, at what is in the records. A connection that owes nothing and
 * has something is unusable. */
bool stream_has_unread(const struct stream *stream);

#endif
