#include "proxy/routes.h"

#include "proxy/fronts/http/db.h"
#include "proxy/fronts/http/events.h"
#include "proxy/fronts/http/neon.h"
#include "proxy/view.h"
#include "proxy/worker.h"

/* What Prometheus reads. */
static void begin_metrics(struct exchange *exchange, void *worker)
{
    struct bytes out = {0};

    view_render(worker, &out);
    if (out.failed)
        exchange_error(exchange, 503, "out of memory");
    else
        exchange_answer(exchange, 200, "text/plain; version=0.0.4; charset=utf-8",
                        (struct slice){out.at, out.length});
    bytes_free(&out);
}

/* Whether the process is alive: it has answered. */
static void begin_health(struct exchange *exchange, void *worker)
{
    (void)worker;
    exchange_answer(exchange, 200, "text/plain; charset=utf-8", SLICE("ok\n"));
}

/* Redis over HTTP. */
static void refuse_rest(struct exchange *exchange, void *context)
{
    struct worker *worker = context;

    rest_refuse(&worker->rest, exchange);
}

static void begin_rest(struct exchange *exchange, void *context)
{
    struct worker *worker = context;

    rest_begin(&worker->rest, exchange);
}

static void begin_events(struct exchange *exchange, void *context)
{
    struct worker *worker = context;

    events_begin(&worker->rest, exchange);
}

#define EVENTS(where)                                                                              \
    {                                                                                              \
        .path = (where), .is_prefix = true, .methods = EXCHANGE_GET | EXCHANGE_POST,               \
        .body_most = 1, .cors = true, .allow = "Authorization, Content-Type, Cache-Control",       \
        .refuse = refuse_rest, .begin = begin_events, .drained = events_drained,                   \
        .gone = events_gone,                                                                       \
    }
#define REST(where, prefix, how)                                                                   \
    {                                                                                              \
        .path = (where), .is_prefix = (prefix), .methods = (how), .body_most = 1, .cors = true,    \
        .allow = "Authorization, Content-Type, Upstash-Encoding, Upstash-Sync-Token, "             \
                 "Upstash-Telemetry-Platform, Upstash-Telemetry-Runtime, Upstash-Telemetry-Sdk",   \
        .refuse = refuse_rest, .begin = begin_rest, .drained = rest_drained, .gone = rest_gone,    \
    }

/* Queries. */
static struct gate *gate_of(void *context)
{
    struct worker *worker = context;

    return &worker->gate;
}

static void refuse_db(struct exchange *exchange, void *worker)
{
    db_refuse(gate_of(worker), exchange);
}

static void begin_db(struct exchange *exchange, void *worker)
{
    db_begin(gate_of(worker), exchange);
}

/* Neon's. */
static void refuse_sql(struct exchange *exchange, void *worker)
{
    neon_refuse(gate_of(worker), exchange);
}

static void begin_sql(struct exchange *exchange, void *worker)
{
    neon_begin(gate_of(worker), exchange);
}

static const struct exchange_handler routes[] = {
    {.path = "/metrics", .methods = EXCHANGE_GET, .begin = begin_metrics},
    {.path = "/healthz", .methods = EXCHANGE_GET, .begin = begin_health},
    {.path = "/db",
     .methods = EXCHANGE_POST,
     .needs_body = true,
     .cors = true,
     .allow = "Authorization, Content-Type",
     .refuse = refuse_db,
     .begin = begin_db,
     .drained = db_drained,
     .gone = db_gone},
    {.path = "/sql",
     .methods = NEON_METHODS,
     .body_most = 1, /* as configured */
     .cors = true,
     .refuse = refuse_sql,
     .begin = begin_sql,
     .drained = neon_drained,
     .gone = neon_gone},
};

/* Only where there is a Redis. Any other path is a command of it. */
static const struct exchange_handler redis_routes[] = {
    REST("/", false, EXCHANGE_POST),
    REST("/pipeline", false, EXCHANGE_POST),
    REST("/multi-exec", false, EXCHANGE_POST),
    EVENTS("/subscribe"),
    EVENTS("/psubscribe"),
    EVENTS("/monitor"),
    REST("/", true, EXCHANGE_GET | EXCHANGE_HEAD | EXCHANGE_POST | EXCHANGE_PUT),
};

static struct exchange_handler make(const struct exchange_handler *row,
                                    const struct config_http *http)
{
    struct exchange_handler made = *row;

    if (made.needs_body || made.body_most > 0)
        made.body_most = http->max_body;
    return made;
}

size_t routes_make(struct exchange_handler made[ROUTES_MOST], const struct config *config)
{
    size_t length = 0;

    _Static_assert(COUNT_OF(routes) + COUNT_OF(redis_routes) <= ROUTES_MOST,
                   "there is room for all routes");
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (routes[i].gone != neon_gone || config->http.neon)
            made[length++] = make(&routes[i], &config->http);
    for (size_t i = 0; i < COUNT_OF(redis_routes) && named_count(&config->redis.upstreams) > 0; i++)
        made[length++] = make(&redis_routes[i], &config->http);
    return length;
}
