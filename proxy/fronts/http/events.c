#include "proxy/fronts/http/events.h"

#include <stdlib.h>

#include "drivers/redis/resp.h"
#include "proxy/fronts/http/ask.h"
#include "proxy/fronts/http/event_out.h"
#include "proxy/fronts/http/reply_json.h"

struct events {
    struct exchange *exchange;
    struct rest_home *home;
    struct teller *teller; /* NULL: not yet, or no more */
    struct ask ask;
    struct bytes out;
    bool is_mid; /* an event has gone in part */
    bool has_failed, has_begun;
    struct reply_json error;
    struct event_out event;
};

static void destroy(struct events *events)
{
    if (events->teller != NULL)
        teller_give(events->teller, false);
    ask_free(&events->ask);
    bytes_free(&events->out);
    free(events);
}

static void fail(struct events *events, int status, const char *why)
{
    struct exchange *exchange = events->exchange;

    destroy(events);
    exchange_error(exchange, status, "%s", why);
}

/* ---- what Redis says --------------------------------------------------------------------- */

/* An error in the place of the first word: there will be nothing to listen to. */
static enum resp_found hear_error(struct events *events, struct slice in, size_t *used)
{
    struct exchange *exchange = events->exchange;
    enum resp_found found = reply_json_read(&events->error, in, used, &events->out);

    if (found != RESP_WHOLE)
        return found;
    exchange_start(exchange, 400, "application/json");
    exchange_write(exchange, (struct slice){events->out.at, events->out.length});
    destroy(events);
    exchange_end(exchange);
    return found;
}

static enum resp_found on_reply(void *owner, struct slice in, size_t *used)
{
    struct events *events = owner;
    enum resp_found found;

    if (!events->has_begun && *in.at == '-')
        events->has_failed = true;
    if (events->has_failed)
        return hear_error(events, in, used);
    events->has_begun = true;
    found = event_out_read(&events->event, in, used, &events->out);
    if (found == RESP_BROKEN)
        return found;
    if (events->out.failed) {
        fail(events, 503, "ERR out of memory");
        return found;
    }
    events->is_mid = found == RESP_MORE;
    if (!exchange_is_started(events->exchange)) {
        exchange_header_add(events->exchange, "Cache-Control", "no-cache");
        exchange_start(events->exchange, 200, "text/event-stream");
    }
    exchange_write(events->exchange, (struct slice){events->out.at, events->out.length});
    bytes_clear(&events->out);
    if (exchange_queued(events->exchange) >= EXCHANGE_ENOUGH)
        teller_pause(events->teller);
    return found;
}

static void on_lost(void *owner)
{
    struct events *events = owner;
    struct exchange *exchange = events->exchange;

    events->teller = NULL;
    if (!exchange_is_started(exchange) || events->is_mid) {
        fail(events, 502, "ERR the connection to Redis was lost");
        return;
    }
    destroy(events);
    exchange_end(exchange);
}

static void on_answered(void *owner)
{
    (void)owner; /* there is no last event */
}

static const struct teller_events teller_events = {on_reply, on_answered, on_lost};

/* ---- who asks, and for what -------------------------------------------------------------- */

static void ask_redis(struct events *events, const struct who_answer *answer)
{
    const struct ask_query *query = events->ask.queries;
    struct bytes request = {0};

    resp_add_array(&request, (uint32_t)query->arguments_length);
    for (size_t i = 0; i < query->arguments_length; i++)
        resp_add_bulk(&request, query->arguments[i]);
    if (!request.failed)
        events->teller = teller_take(&events->home->tellers, answer->redis, &teller_events, events);
    if (events->teller != NULL)
        teller_listen(events->teller, (struct slice){request.at, request.length});
    else
        fail(events, 503, "ERR Redis cannot be reached now");
    bytes_free(&request);
}

static void let_in(struct exchange *exchange, const struct who_answer *answer)
{
    struct events *events = exchange_owner(exchange);
    const struct exchange_request *request = exchange_request(exchange);
    struct ask_rest_parts parts = {request->path, request->query, {0}};
    struct ask_limits limits = {0};
    struct ask_error error;

    ask_free(&events->ask);
    if (answer->redis == NULL)
        fail(events, 403, "ERR this token is for no Redis");
    else if (answer->redis_read_only)
        fail(events, 400, "NOPERM this token is for commands that read");
    else if (ask_rest_path(&events->ask, &parts, &limits, &error) != ERR_OK)
        fail(events, error.status, error.why);
    else
        ask_redis(events, answer);
}

static void refused(struct exchange *exchange, const struct who_answer *answer)
{
    destroy(exchange_owner(exchange));
    gate_add_headers(exchange, answer);
    exchange_error(exchange, answer->status, "%s", answer->why);
}

static const struct gate_events gate_events = {let_in, refused};

void events_begin(struct rest_home *home, struct exchange *exchange)
{
    struct who_asks asks = gate_ask(exchange, WHO_REDIS);
    struct events *events = calloc(1, sizeof(*events));
    struct ask_error error;

    if (events == NULL) {
        exchange_error(exchange, 503, "ERR out of memory");
        return;
    }
    events->home = home;
    events->exchange = exchange;
    exchange_set_owner(exchange, events);
    reply_json_begin(&events->error, 0);
    if (ask_rest_token(&events->ask, exchange_request(exchange)->query, &error) != ERR_OK) {
        fail(events, error.status, error.why);
        return;
    }
    asks.token = events->ask.token;
    gate_open(home->gate, exchange, &asks, &gate_events);
}

void events_drained(struct exchange *exchange)
{
    struct events *events = exchange_owner(exchange);

    if (events->teller != NULL)
        teller_resume(events->teller);
}

void events_gone(struct exchange *exchange)
{
    struct events *events = exchange_owner(exchange);

    gate_forget(events->home->gate, exchange);
    destroy(events);
}
