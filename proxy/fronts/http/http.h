/*
 * proxy/fronts/http/http.h - the HTTP door: what Prometheus and health checks ask.
 *
 *      struct http_options options = {.home = &worker->home, .log = &log,
 *                                     .render = render_metrics, .context = worker};
 *      if (http_open(&http, &options, "127.0.0.1", 8080) != ERR_OK) ...
 *      http_close(&http, then);
 *
 *      GET, HEAD /metrics      what render gives
 *      GET, HEAD /healthz      ok
 *      all else                404, 405 and so on: {"error":"..."}
 *
 * Answers leave in the order of the requests, and the next request of a connection is not
 * read until its peer took the last answer. A connection, whose deadlines are those of its
 * states:
 *
 *      VACANT --> RESTING --> ASKING --> RESTING       the answer was taken at once
 *                                `-----> ANSWERING     the peer is still taking it
 *                                          `--> RESTING
 *      any ---> LEAVING     the last answer is given; what still comes is thrown away
 *      any ---> CLOSING --> VACANT
 *
 * There is room for so many connections and a few more, from birth. The few more are told
 * 503; who comes when there is no room at all waits in the kernel's queue.
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

#include "proxy/fronts/http/parser.h"

enum http_state {
    HTTP_VACANT,
    HTTP_RESTING,
    HTTP_ASKING,
    HTTP_ANSWERING,
    HTTP_LEAVING,
    HTTP_CLOSING,
    HTTP_STATE_COUNT
};

struct http_options {
    struct stream_home *home;
    struct log *log;
    /* Gives the metrics to out; called from the loop for each request of /metrics. */
    void (*render)(void *context, struct bytes *out);
    void *context;
    unsigned max_connections;              /* 0: 64 */
    uint64_t timeout_ms[HTTP_STATE_COUNT]; /* 0: what the table in http.c says */
};

struct http;

struct http_connection {
    struct stream stream;
    struct http *http;
    struct link link; /* in the list of its state */
    enum http_state state;
    uint64_t since; /* it has been in this state, uv_now */
    struct parser parser;
};

struct http {
    struct http_options options;
    uv_tcp_t listener;
    uv_timer_t timer; /* the one for all connections: the earliest deadline */
    uint64_t due;     /* when the timer fires, if it is active */
    struct list connections[HTTP_STATE_COUNT];
    struct http_connection *slots;
    struct bytes head, body; /* of the answer that is being written */
    bool someone_waits;      /* at the listener, because nothing was vacant */
    int handles;             /* of the loop that are not closed, connections aside */
    void (*then)(struct http *http);
};

/* ERR_CONFIG: not an address. ERR_NO_MEMORY. ERR_IO: cannot listen there; the log says
 * why. After a failure http_close is still to be called. Port 0: any that is free. */
enum err http_open(struct http *http, const struct http_options *options, const char *address,
                   uint16_t port) MUST_CHECK;

/* Closes the door and all its connections, whatever they are doing. */
void http_close(struct http *http, void (*then)(struct http *http));

/* The port it listens at. */
uint16_t http_port(const struct http *http);

#endif
