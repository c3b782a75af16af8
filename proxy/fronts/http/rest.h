/*
 * proxy/fronts/http/rest.h - Redis over HTTP, as Upstash answers it.
 *
 *      rest_refuse(&home, exchange);            the head is here
 *      rest_begin(&home, exchange);             the request is
 *      rest_drained(exchange), rest_gone(exchange)
 *      rest_tick(&home, now);                   what takes longer than request_timeout
 *
 *      POST /             ["SET", "k", "v"]       {"result":"OK"}; an error of Redis: 400
 *      POST /pipeline     [[...], [...]]          [{"result":...},{"error":...}]
 *      POST /multi-exec   the same, as MULTI and EXEC; if nothing was executed: 400
 *      .... /set/k/v?EX=9                         as POST /
 *
 * A pipeline is one write to a guest of the Redis door (teller.h), and so one round trip to
 * Redis. A transaction takes two: its commands wait for Redis's word that it has begun, since
 * without it each would be executed by itself.
 *
 * A command must have one reply and leave its connection as it was: there is no session over
 * HTTP. What has none (SUBSCRIBE, SELECT, MULTI, ...) is an error in its place, and so is what is
 * not read-only with a token that is; both are not sent to Redis. In a transaction they are an
 * error of the whole.
 *
 * Ownership: a request's memory is freed with its answer; home outlives all.
 */
#ifndef PROXY_FRONTS_HTTP_REST_H
#define PROXY_FRONTS_HTTP_REST_H

#include "base/list.h"
#include "proxy/alarm.h"
#include "proxy/fronts/http/exchange.h"
#include "proxy/fronts/http/gate.h"
#include "proxy/fronts/http/teller.h"

struct rest_home {
    struct gate *gate;
    struct alarm *alarm;
    struct teller_home tellers;
    struct list requests; /* front: begun first */
};

void rest_home_init(struct rest_home *home, struct gate *gate, struct door *door,
                    struct alarm *alarm);
void rest_home_stop(struct rest_home *home);

void rest_refuse(struct rest_home *home, struct exchange *exchange);
void rest_begin(struct rest_home *home, struct exchange *exchange);
void rest_drained(struct exchange *exchange);
void rest_gone(struct exchange *exchange);
void rest_tick(struct rest_home *home, uint64_t now);

#endif
