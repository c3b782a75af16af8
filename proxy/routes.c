#include "proxy/routes.h"

#include "proxy/view.h"

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

static const struct exchange_handler routes[] = {
    {.path = "/metrics", .methods = EXCHANGE_GET, .begin = begin_metrics},
    {.path = "/healthz", .methods = EXCHANGE_GET, .begin = begin_health},
};

const struct exchange_handler *routes_all(size_t *length)
{
    *length = COUNT_OF(routes);
    return routes;
}
