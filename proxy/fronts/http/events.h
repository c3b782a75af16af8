/*
 * proxy/fronts/http/events.h - SUBSCRIBE, PSUBSCRIBE and MONITOR of Redis over HTTP.
 *
 *      rest_refuse(&home, exchange);          the head is here
 *      events_begin(&home, exchange);         /subscribe/channel, /psubscribe/pattern, /monitor
 *      events_drained(exchange), events_gone(exchange)
 *
 *      begin --> (Redis says that it is so) --> server-sent events, as they come (event_out.h)
 *                  `-- an error: 400            `-- the line is lost, weir stops: the end
 *
 * Each is a guest of the Redis door (teller.h) until its client hangs up. There is no deadline but
 * those for who does not read: then nothing more is taken from the guest, and what the door keeps
 * for it has a limit (client_output_limit). As Upstash answers: docs "Upstash REST API".
 *
 * Ownership: as rest.h.
 */
#ifndef PROXY_FRONTS_HTTP_EVENTS_H
#define PROXY_FRONTS_HTTP_EVENTS_H

#include "proxy/fronts/http/exchange.h"
#include "proxy/fronts/http/rest.h"

void events_begin(struct rest_home *home, struct exchange *exchange);
void events_drained(struct exchange *exchange);
void events_gone(struct exchange *exchange);

#endif
