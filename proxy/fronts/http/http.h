/*
 * proxy/fronts/http/http.h - the HTTP door: connections, and requests on their way to handlers.
 *
 *      struct http_options options = {.home = &worker->home, .log = &log, .routes = routes,
 *                                     .routes_length = COUNT_OF(routes), .context = worker};
 *      if (http_open(&http, &options, "127.0.0.1", 8080) != ERR_OK) ...
 *      http_drain(&http);                  every connection ends with its answer
 *      http_close(&http, then);
 *
 * It knows no route's meaning: those are handlers (exchange.h), in the table it is given. What
 * no handler is for is answered here: 404, 405, OPTIONS, and all that is wrong with a request,
 * always as {"error":"..."}.
 *
 * Answers leave in the order of the requests, and the next request of a connection is not
 * read until its peer took the last answer. A connection, whose deadlines are those of its
 * states:
 *
 *      VACANT --> RESTING --> ASKING --> WORKING <--> SENDING --> ANSWERING --> RESTING
 *                                         ^   `----------`----> FINISHING --> LEAVING
 *                                         |
 *                                         `---> GATHERING
 *
 *      RESTING     between requests             SENDING     ... and the peer has much to take
 *      ASKING      a head is coming             ANSWERING   all is said, and being taken
 *      GATHERING   its body is coming           FINISHING   ... and it was the last answer
 *      WORKING     a handler has the request    LEAVING     ... and it was taken; what still
 *                                                           comes is thrown away
 *
 *      any ---> CLOSING --> VACANT     a handler that is still at work is told then
 *
 * A peer that is too slow loses its connection, but not one that goes on: a body may take as
 * long as it comes with HTTP_LEAST_RATE, and an answer as long as any of it is taken.
 *
 * There is room for so many connections and a few more, from birth, though none of it is touched
 * before it is used. The few more are told 503; who comes when there is no room at all waits in
 * the kernel's queue. Whoever rests has nothing but its connection: parser, headers and
 * buffers belong to an exchange (answer.h), which is taken for each request and kept for the next.
 *
 * Ownership: the memory is the caller's, from http_open until then was called.
 */
#ifndef PROXY_FRONTS_HTTP_HTTP_H
#define PROXY_FRONTS_HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "drivers/stream.h"
#include "proxy/fronts/http/exchange.h"
#include "proxy/fronts/http/gzip.h"
#include "proxy/metrics.h"

enum { HTTP_LEAST_RATE = 512 }; /* bytes of a body in a second */

#define HTTP_FOR_EVER (UINT64_MAX / 2) /* as a timeout */

enum http_state {
    HTTP_VACANT,
    HTTP_RESTING,
    HTTP_ASKING,
    HTTP_GATHERING,
    HTTP_WORKING,
    HTTP_SENDING,
    HTTP_ANSWERING,
    HTTP_FINISHING,
    HTTP_LEAVING,
    HTTP_CLOSING,
    HTTP_STATE_COUNT
};

extern const char *const http_state_names[HTTP_STATE_COUNT];

struct http_options {
    struct stream_home *home;
    struct log *log;
    const struct exchange_handler *routes; /* lent until the door is closed */
    size_t routes_length;
    void *context;                         /* for the handlers */
    const char *origins;                   /* whose scripts may call (CORS): "*", a list, or NULL */
    unsigned max_connections;              /* 0: 64 */
    size_t head_most;                      /* bytes of a request's head; 0: 16 KB */
    size_t most_gathered;                  /* bytes of all bodies together; 0: 256 MB */
    size_t gzip_least;                     /* shorter answers are not compressed; 0: 4 KB */
    uint64_t timeout_ms[HTTP_STATE_COUNT]; /* 0: what the table in http.c says */
};

struct http;

struct http_connection {
    struct stream stream;
    struct http *http;
    struct link link;  /* in the list of its state */
    struct link stirs; /* in http->stirring */
    enum http_state state;
    uint64_t since;            /* it has been in this state, or has last got on in it: uv_now */
    uint64_t sent;             /* bytes, ever */
    uint64_t progress;         /* what was gathered or taken at since */
    struct exchange *exchange; /* the request that is read or worked on, or NULL */
    struct peer peer;
};

struct http {
    struct http_options options;
    struct metrics_http counted; /* since the door was opened */
    uv_tcp_t listener;
    uv_timer_t timer; /* the one for all connections: the earliest deadline */
    uv_idle_t turn;   /* active while somebody stirs */
    uv_idle_cb turn_over;
    uint64_t due; /* when the timer fires, if it is active */
    struct list connections[HTTP_STATE_COUNT];
    struct list stirring; /* have something to do at the end of the turn */
    struct http_connection *slots;
    size_t slots_length, slots_used; /* used: were in use at some time */
    struct exchange *spare;          /* kept for the next requests */
    size_t spare_length;
    size_t gathered; /* bytes of bodies, of all exchanges */
    struct gzip_home gzips;
    struct bytes head, scratch;    /* of the answer that is being written */
    struct http_connection *shown; /* bytes of this one are being read */
    time_t date_at;                /* what date was made of */
    char date[32];
    bool someone_waits; /* at the listener, because nothing was vacant */
    bool draining;
    int handles; /* of the loop that are not closed, connections aside */
    void (*then)(struct http *http);
};

/* ERR_CONFIG: not an address. ERR_NO_MEMORY. ERR_IO: cannot listen there; the log says
 * why. After a failure http_close is still to be called. Port 0: any that is free. */
enum err http_open(struct http *http, const struct http_options *options, const char *address,
                   uint16_t port) MUST_CHECK;

/* From now on every connection is closed with its answer, and those that rest now. Who comes
 * anew is served. */
void http_drain(struct http *http);
/* What there is to see; also of a door that was not opened, which is all zero. */
void http_view(const struct http *http, size_t counts[HTTP_STATE_COUNT],
               struct metrics_http_view *view);

/* How many requests handlers have. */
size_t http_working(const struct http *http);

/* Closes the door and all its connections, whatever they are doing. */
void http_close(struct http *http, void (*then)(struct http *http));

/* The port it listens at. */
uint16_t http_port(const struct http *http);

/* For connection.c: some deadline may be nearer now; a connection has become vacant. */
void http_set_timer(struct http *http);
void http_vacated(struct http *http);

#endif
