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

size_t routes_make(struct exchange_handler made[ROUTES_MOST], const struct config_http *http)
{
    size_t length = 0;

    _Static_assert(COUNT_OF(routes) <= ROUTES_MOST, "there is room for all routes");
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        made[length] = routes[i];
        if (made[length].needs_body || made[length].body_most > 0)
            made[length].body_most = http->max_body;
        length++;
    }
    return length;
}
