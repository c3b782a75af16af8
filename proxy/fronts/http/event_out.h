/*
 * proxy/fronts/http/event_out.h - what Redis says to who listens, as server-sent events.
 *
 *      switch (event_out_read(&event, in, &used, &out)) {       from all zero on
 *      case RESP_MORE:     a part of an event is behind out
 *      case RESP_WHOLE:    an event ends there
 *      case RESP_BROKEN:   not RESP2, an error, or lists within lists: nobody says that here
 *      }
 *
 *      *3 $9 subscribe $1 c :1         data: subscribe,c,1
 *      *3 $7 message $1 c $2 hi        data: message,c,hi
 *      +17.25 [0 ...] "GET" "k"        data: 17.25 [0 ...] "GET" "k"
 *
 * and an empty line behind each. A line end within a text begins another line of data, which an
 * EventSource puts together again; so what is in a message cannot be another event. Bytes that
 * are no UTF-8 are passed on: who reads events replaces them.
 *
 * Nothing is gathered. Source: HTML, "Server-sent events"; docs "Upstash REST API".
 */
#ifndef PROXY_FRONTS_HTTP_EVENT_OUT_H
#define PROXY_FRONTS_HTTP_EVENT_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "drivers/redis/resp.h"

struct event_out {
    struct resp resp;
    uint64_t elements; /* of the list that comes: not ended yet */
    uint64_t left;     /* bytes of a bulk */
    uint8_t place;     /* event_out.c: enum place */
    bool has_returned; /* a CR came last: an LF belongs to it */
};

enum resp_found event_out_read(struct event_out *event, struct slice in, size_t *used,
                               struct bytes *out) MUST_CHECK;

#endif
