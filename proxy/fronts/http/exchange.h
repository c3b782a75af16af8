/*
 * proxy/fronts/http/exchange.h - one request and its answer, as those see it who answer.
 *
 *      static void begin(struct exchange *exchange, void *context)
 *      {
 *          struct slice body = exchange_request(exchange)->body;
 *          exchange_answer(exchange, 200, "application/json", SLICE("{}"));     all at once; or
 *
 *          exchange_set_owner(exchange, errand);
 *          exchange_header_add(exchange, "X-Errors", "0");
 *          exchange_start(exchange, 200, "application/x-ndjson");               and later, as it
 *          exchange_write(exchange, rows);                                      comes
 *          exchange_end(exchange);
 *      }
 *      static const struct exchange_handler routes[] = {
 *          {.path = "/db", .methods = EXCHANGE_POST, .body_most = 1 << 20, .begin = begin,
 *           .drained = go_on, .gone = cancel}, ...
 *
 *      refuse? --> begin --> start --> write ... write --> end
 *         `----------`----`----`-------- answer, error, abort, or gone
 *
 * Every exchange that was begun ends once: by exchange_answer, _error, _end or _abort, called
 * at any time, within begin or later; or by a call of gone. After that it must not be touched.
 * gone comes only from the loop, never from within a call made here.
 *
 * What is written is sent when it is worth it, and at the end of the loop's turn at the latest:
 * write in any pieces. An answer that ended before any of it had to be sent has a
 * Content-Length, another is chunked (HTTP/1.0: ends with the connection). What is large is
 * compressed where the client takes gzip, save text/event-stream. HEAD is answered like GET;
 * what is written is then counted and dropped. Nothing here fails for want of memory: then the
 * connection is closed, and gone is called.
 *
 * Back-pressure: who writes much stops when exchange_queued() is large (EXCHANGE_ENOUGH), and
 * goes on in drained, which is called when the client has taken all. A client that takes nothing
 * for too long is gone. One who closes its end of the connection while it is being answered
 * is gone, too, whether it still listens or not.
 *
 * Ownership: the exchange is the door's. Slices of the request and of headers are lent until
 * it ends; what is written or answered is copied or sent within the call.
 */
#ifndef PROXY_FRONTS_HTTP_EXCHANGE_H
#define PROXY_FRONTS_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "drivers/peer.h"

struct exchange;

/* What a handler need not know of more. */
enum { EXCHANGE_ENOUGH = 64 * 1024 };

enum exchange_method {
    EXCHANGE_GET = 1 << 0,
    EXCHANGE_HEAD = 1 << 1,
    EXCHANGE_POST = 1 << 2,
    EXCHANGE_PUT = 1 << 3,
    EXCHANGE_PATCH = 1 << 4,
    EXCHANGE_DELETE = 1 << 5,
    EXCHANGE_OPTIONS = 1 << 6,
    EXCHANGE_OTHER = 1 << 7, /* HTTP knows it, and no handler here takes it */
};

struct exchange_request {
    enum exchange_method method;
    struct slice path;  /* as sent, percent signs and all: "/set/a%20b" */
    struct slice query; /* what stands behind "?", or empty */
    struct slice body;  /* whole, from begin on */
    bool has_body;      /* there is one or will be, be it empty */
};

/* A route. Of those that match path and method an exact one is taken, else the longest prefix. */
struct exchange_handler {
    const char *path; /* "/db"; a prefix "/x" is also "/x/y", and "/" is everything */
    bool is_prefix;
    bool needs_body;   /* without Content-Length and Transfer-Encoding: 411 */
    unsigned methods;  /* of exchange_method. HEAD comes with GET; OPTIONS is the door's */
    size_t body_most;  /* longer: 413, before it is read */
    bool cors;         /* may be called by scripts of the origins in http_options.origins; */
    const char *allow; /* ... with these headers: "Authorization, Content-Type", or NULL */

    /* Optional: the head is here, the body is not. Who is not welcome is answered here (401),
     * before its body is taken; at once, or not at all. */
    void (*refuse)(struct exchange *exchange, void *context);
    /* The request is here, its body whole. context is that of http_options. */
    void (*begin)(struct exchange *exchange, void *context);
    /* Optional: the client has taken all that was queued. */
    void (*drained)(struct exchange *exchange);
    /* The client hung up or was too slow, or the door closes: stop all work. The last call.
     * Only for those who do not end the exchange within begin may it not be NULL. */
    void (*gone)(struct exchange *exchange);
    /* For exchange_upgrade: what the client sends from then on. Returns how much was used; the
     * rest is shown again with more behind it. */
    size_t (*bytes)(struct exchange *exchange, struct slice in);
};

/* ---- the request ------------------------------------------------------------------------- */

const struct exchange_request *exchange_request(const struct exchange *exchange);

/* The value of a header, whatever the case of its name; the first, of several. Empty (at: NULL)
 * if there is none. Of Authorization, Host and Content-Type there is one at most: else 400. */
struct slice exchange_header(const struct exchange *exchange, const char *name);

const struct peer *exchange_peer(const struct exchange *exchange);
bool exchange_is_local(const struct exchange *exchange); /* the peer is this machine (loopback) */

/* Whatever the handler wants to find again; NULL at first. The handler itself, for several that
 * share functions. */
void exchange_set_owner(struct exchange *exchange, void *owner);
void *exchange_owner(const struct exchange *exchange);
void *exchange_context(const struct exchange *exchange);
const struct exchange_handler *exchange_handler(const struct exchange *exchange);

/* ---- the answer -------------------------------------------------------------------------- */

/* Before start, answer or error. Not for Content-Length, -Encoding and -Type, Date, Connection,
 * nor those of CORS: they are the door's. Line ends in a value become blanks. */
void exchange_header_add(struct exchange *exchange, const char *name, const char *value);

/* All at once. */
void exchange_answer(struct exchange *exchange, int status, const char *content_type,
                     struct slice body);
/* {"error":"..."}; in place of what was started but not sent yet. Is the half of another answer
 * on its way already, it is an abort. */
void exchange_error(struct exchange *exchange, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Piece by piece. */
void exchange_start(struct exchange *exchange, int status, const char *content_type);
void exchange_write(struct exchange *exchange, struct slice piece);
void exchange_end(struct exchange *exchange);
/* Ends what cannot be ended well: the connection is closed, so that the client sees it. */
void exchange_abort(struct exchange *exchange);

bool exchange_is_started(const struct exchange *exchange);
/* Whether any of the answer is on its way: then status and headers stand. */
bool exchange_is_sent(const struct exchange *exchange);
/* What was written and not yet taken by the client, in bytes. */
size_t exchange_queued(const struct exchange *exchange);

/* ---- another protocol -------------------------------------------------------------------- */

/* Answers 101, in place of start: protocol is the value of Upgrade ("websocket"). From then on
 * write sends bytes as they are, bytes() is shown what comes, first what came already, and end
 * closes when all was taken. pause and resume are for back-pressure the other way. There is no
 * deadline but for a client that takes nothing. */
void exchange_upgrade(struct exchange *exchange, const char *protocol);
void exchange_pause(struct exchange *exchange);
void exchange_resume(struct exchange *exchange);

#endif
