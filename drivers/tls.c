#include "drivers/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

enum {
    RECORD = 16 * 1024, /* the most a record holds */
    BULK = 8 * 1024,    /* PostgreSQL's send buffer: who fills it has probably more to say */
};

void tls_init(struct tls *tls, SSL *ssl)
{
    *tls = (struct tls){.ssl = ssl, .read_needs = TLS_READABLE, .write_needs = TLS_WRITABLE};
    /* One system call for a record, and not one for its header and another for its body. */
    SSL_set_read_ahead(ssl, 1);
    /* A record begun in the caller's memory is offered again from the queue. */
    SSL_set_mode(ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_clear_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
}

void tls_fini(struct tls *tls)
{
    bytes_free(&tls->queue);
}

/* ---- what OpenSSL says when it cannot go on ---------------------------------------------- */

static void break_off(struct tls *tls, enum err why)
{
    if (tls->broken == ERR_OK)
        tls->broken = why;
}

/* After a call that returned 0 or less; returns what the socket must become for the next,
 * or 0 if the peer has said goodbye. After anything else OpenSSL forbids to go on
 * (SSL_get_error(3)); an end without a goodbye is among it: what came may be cut short. */
static int explain(struct tls *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_READABLE;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WRITABLE;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        break_off(tls, ERR_IO);
        return TLS_READABLE;
    }
}

static void explain_read(struct tls *tls)
{
    tls->read_needs = explain(tls, 0);
    tls->heard_end = tls->read_needs == 0;
}

/* A write that fails after the peer's goodbye is reported as that goodbye. */
static void explain_write(struct tls *tls, int result)
{
    tls->write_needs = explain(tls, result);
    if (tls->write_needs == 0)
        break_off(tls, ERR_IO);
}

/* ---- reading ----------------------------------------------------------------------------- */

bool tls_has_ended(const struct tls *tls, enum err *why)
{
    *why = tls->broken;
    return tls->heard_end || tls->broken != ERR_OK;
}

static bool may_read(const struct tls *tls)
{
    return !tls->heard_end && tls->broken == ERR_OK;
}

static size_t read_record(struct tls *tls, uint8_t *to, size_t size)
{
    size_t got = 0;

    ERR_clear_error(); /* an old error would be taken for one of this call */
    tls->dry = SSL_read_ex(tls->ssl, to, size, &got) <= 0;
    tls->read_needs = TLS_READABLE;
    if (tls->dry)
        explain_read(tls);
    return got;
}

/* The peer has asked for new keys while a record of ours was on its way. OpenSSL answers
 * when that record has gone; if it reads another such message before, it mixes up the
 * answer and the record, and breaks the connection ("bad length"). */
static bool must_write_first(const struct tls *tls)
{
    return tls->begun > 0 && SSL_get_key_update_type(tls->ssl) != SSL_KEY_UPDATE_NONE;
}

/* A short answer is read with one system call: the loop will tell of more, if more comes.
 * Who says much is read until nothing is left, and so gets far with each turn. */
size_t tls_read(struct tls *tls, uint8_t *to, size_t size)
{
    size_t got = 0;

    tls->dry = false;
    while (got < size && !tls->dry && may_read(tls)) {
        if (must_write_first(tls)) {
            tls->dry = true;
            tls->read_needs = TLS_WRITABLE;
            break;
        }
        got += read_record(tls, to + got, size - got);
        if (got < BULK && !SSL_has_pending(tls->ssl))
            break;
    }
    return got;
}

/* SSL_has_pending is true for part of a record, too. A read tells; then it was dry. */
bool tls_is_hiding(const struct tls *tls)
{
    return !may_read(tls) || (!tls->dry && SSL_has_pending(tls->ssl) == 1);
}

bool tls_has_unread(struct tls *tls)
{
    uint8_t byte;
    size_t seen;

    if (!may_read(tls))
        return true;
    ERR_clear_error();
    tls->dry = SSL_peek_ex(tls->ssl, &byte, 1, &seen) <= 0;
    if (!tls->dry)
        return true;
    explain_read(tls);
    return !may_read(tls) || tls->read_needs != TLS_READABLE;
}

/* ---- writing ----------------------------------------------------------------------------- */

size_t tls_queued(const struct tls *tls)
{
    return tls->queue.length - tls->sent;
}

/* Returns whether the record has gone. */
static bool write_record(struct tls *tls, struct slice record)
{
    size_t written;
    bool gone;

    ERR_clear_error();
    gone = SSL_write_ex(tls->ssl, record.at, record.length, &written) > 0;
    tls->begun = gone ? 0 : record.length;
    if (!gone)
        explain_write(tls, 0);
    return gone;
}

static void queue(struct tls *tls, struct slice record)
{
    bytes_add(&tls->queue, record.at, record.length);
    if (tls->queue.failed) /* a hole in the byte stream: nothing may follow */
        break_off(tls, ERR_NO_MEMORY);
}

/* A place in a list of slices. */
struct place {
    const struct slice *slices;
    size_t count, offset; /* slices from here on, and bytes used of the first */
};

static struct slice take(struct place *place, size_t most)
{
    struct slice part = {place->slices->at + place->offset, place->slices->length - place->offset};

    if (part.length <= most) {
        place->slices++;
        place->count--;
        place->offset = 0;
    } else {
        part.length = most;
        place->offset += most;
    }
    return part;
}

/* What goes into one record: as much as fits of a slice as it is, or several gathered in
 * room. Empty at the end. */
static struct slice next_record(struct place *place, uint8_t *room)
{
    struct slice part;
    size_t gathered = 0;

    while (place->count > 0 && gathered < RECORD) {
        part = take(place, RECORD - gathered);
        if (gathered == 0 && (part.length == RECORD || place->count == 0))
            return part;
        if (part.length > 0)
            memcpy(room + gathered, part.at, part.length);
        gathered += part.length;
    }
    return (struct slice){room, gathered};
}

void tls_write(struct tls *tls, const struct slice *slices, size_t count)
{
    struct place place = {.slices = slices, .count = count};
    uint8_t room[RECORD];
    struct slice record;

    while (tls->broken == ERR_OK && !tls->finishing) {
        record = next_record(&place, room);
        if (record.length == 0)
            return;
        if (tls_queued(tls) > 0 || !write_record(tls, record))
            queue(tls, record);
    }
}

/* Frees all as soon as it can: one burst must not cost memory for ever (trap 62). */
static void forget_sent(struct tls *tls)
{
    size_t left = tls_queued(tls);

    if (left == 0) {
        bytes_free(&tls->queue);
    } else if (left <= tls->sent) {
        memmove(tls->queue.at, tls->queue.at + tls->sent, left);
        tls->queue.length = left;
    } else {
        return;
    }
    tls->sent = 0;
}

/* SSL_shutdown says goodbye the first time, and hears the peer's the next: reading does
 * that here, so it is not called again once it has been sent. */
static void say_goodbye(struct tls *tls)
{
    int result;

    ERR_clear_error();
    result = SSL_shutdown(tls->ssl);
    tls->finished = result >= 0;
    if (!tls->finished)
        explain_write(tls, result);
}

void tls_flush(struct tls *tls)
{
    while (tls_queued(tls) > 0 && tls->broken == ERR_OK) {
        size_t left = tls_queued(tls), most = tls->begun > 0 ? tls->begun : RECORD;
        struct slice record = {tls->queue.at + tls->sent, left < most ? left : most};

        if (!write_record(tls, record))
            break;
        tls->sent += record.length;
    }
    forget_sent(tls);
    if (tls->finishing && !tls->finished && tls_queued(tls) == 0 && tls->broken == ERR_OK)
        say_goodbye(tls);
}

void tls_finish(struct tls *tls)
{
    tls->finishing = true;
    tls_flush(tls);
}

/* ---- waiting ----------------------------------------------------------------------------- */

int tls_awaits(const struct tls *tls, bool reading)
{
    bool writing = tls_queued(tls) > 0 || (tls->finishing && !tls->finished);
    int events = 0;

    if (tls->broken != ERR_OK)
        return 0;
    if (reading && !tls->heard_end)
        events |= tls->read_needs;
    if (writing)
        events |= tls->write_needs;
    return events;
}
