/*
 * drivers/tls.h - bytes through an SSL that somebody else has made and logged in with.
 *
 *      tls_init(&tls, ssl);
 *      got = tls_read(&tls, buffer, size);             as much as is there, at most size
 *      if (got == 0 && tls_has_ended(&tls, &why)) ...
 *      tls_write(&tls, slices, count);                 takes all
 *      tls_flush(&tls);                                goes on with what is queued
 *      events = tls_awaits(&tls, reading);             for what to watch the socket
 *
 * Knows OpenSSL and no loop: nothing here waits, and after each call tls_awaits says what
 * the socket must become before it is worth while to come back. That is not always what
 * one thinks: a write may have to read first, and a read to write. Nor does a silent socket
 * mean that nothing is there: OpenSSL takes from it more than it was asked for, so whoever
 * wants to read must come back by himself while tls_is_hiding().
 *
 * Small slices share a record, since each record costs 22 bytes or more and a system call.
 * What the socket does not take is queued. A record that was begun must be offered to
 * OpenSSL again as it was, so the queue begins with it.
 *
 * Ownership: ssl is lent until tls_fini, which leaves it as it is: no goodbye is said but
 * by tls_finish. The socket must not block, and SIGPIPE must be ignored.
 */
#ifndef DRIVERS_TLS_H
#define DRIVERS_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum tls_event { TLS_READABLE = 1, TLS_WRITABLE = 2 }; /* as uv_poll has them */

struct tls {
    SSL *ssl;
    struct bytes queue;       /* what the socket did not take */
    size_t sent;              /* so much of the queue has gone since */
    size_t begun;             /* length of the record that OpenSSL must be given again, or 0 */
    int read_needs;           /* a tls_event: what a read, and a write, waits for */
    int write_needs;          /*   when it cannot go on */
    bool dry;                 /* the last read found nothing more */
    bool heard_end;           /* the peer has said that nothing more will come */
    bool finishing, finished; /* so shall we, so have we */
    enum err broken;          /* nothing goes any more, and why */
};

void tls_init(struct tls *tls, SSL *ssl);
void tls_fini(struct tls *tls);

size_t tls_read(struct tls *tls, uint8_t *to, size_t size);

/* Whether nothing more will be read; then why: ERR_OK after the peer's goodbye. */
bool tls_has_ended(const struct tls *tls, enum err *why);

/* Whether there is something to read, or an end to be told, of which the socket says
 * nothing. */
bool tls_is_hiding(const struct tls *tls);

/* Whether something has come for the reader, who does not expect anything; an end counts.
 * What TLS itself sends to an idle connection (session tickets, new keys) is taken note of
 * and does not count: every connection over TLS 1.3 begins with tickets. */
bool tls_has_unread(struct tls *tls);

void tls_write(struct tls *tls, const struct slice *slices, size_t count);
size_t tls_queued(const struct tls *tls);
void tls_flush(struct tls *tls);

/* Says that nothing more will come, once the queue is empty. */
void tls_finish(struct tls *tls);

/* TLS_READABLE, TLS_WRITABLE, both or 0. A write that must read first asks for READABLE
 * even if nobody wants to read: else both sides could wait for ever. */
int tls_awaits(const struct tls *tls, bool reading);

#endif
