#include "proxy/fronts/redis/dedicated.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/fronts/redis/door.h"

/* A line idle for less has been watched by the loop just now. */
enum { LOOK_AFTER_MS = 20 };

static const struct line_events line_events;

static struct door *door_of(const struct dedicated *dedicated)
{
    return dedicated->identity->upstream->door;
}

static struct guest *guest_of(struct pool_client *client)
{
    return CONTAINER_OF(client, struct guest, own.client);
}

struct dedicated *dedicated_of(struct identity *identity, unsigned protocol)
{
    const struct config_redis *config = identity->upstream->door->with.config;
    struct dedicated **place = &identity->dedicated[protocol - 2], *made;
    struct pool_limits limits = {
        .max_servers = config->max_dedicated,
        .max_waiting = config->max_waiting,
        .open_ms = config->connect_timeout_ms,
        .idle_ms = config->dedicated_idle_timeout_ms,
        .retry_ms = config->retry_ms,
    };

    if (*place != NULL || (made = calloc(1, sizeof(*made))) == NULL)
        return *place;
    made->identity = identity;
    made->protocol = protocol;
    made->pool = pool_create(&limits);
    if (made->pool == NULL) {
        free(made);
        return NULL;
    }
    *place = made;
    return made;
}

void dedicated_destroy(struct dedicated *dedicated)
{
    if (dedicated == NULL)
        return;
    pool_destroy(dedicated->pool);
    free(dedicated);
}

/* ---- carrying out orders ----------------------------------------------------------------- */

static void open_line(struct dedicated *dedicated, struct pool_server *server)
{
    struct door *door = door_of(dedicated);
    struct connect_target target = upstream_target(dedicated->identity, 0, dedicated->protocol);
    struct line *line = line_open(&door->lines, &target, &line_events, dedicated, server);

    if (line == NULL) {
        pool_lost(dedicated->pool, server, door_now(door));
        return;
    }
    line->counts = &dedicated->identity->upstream->counts;
    line->id = ++door->next_id;
    pool_server_set_connection(server, line);
}

static void grant(struct dedicated *dedicated, const struct pool_order *order)
{
    struct line *line = pool_server_connection(order->server);
    struct guest *guest = guest_of(order->client);

    if (order->idle_ms >= LOOK_AFTER_MS && line_is_stale(line)) {
        line_close(line);
        pool_withdraw(dedicated->pool, order->server, door_now(door_of(dedicated)));
        return;
    }
    line->guest = guest;
    line->trunk.pushed_to = guest;
    guest->own.line = line;
    guest_ready(guest);
}

static void close_line(struct dedicated *dedicated, const struct pool_order *order)
{
    struct line *line = pool_server_connection(order->server);

    if (line->state == LINE_OPENING) {
        snprintf(dedicated->why, sizeof(dedicated->why), "%s", err_text(order->why));
        dedicated->identity->upstream->metrics.links_not_opened++;
    }
    line_close(line);
    pool_lost(dedicated->pool, order->server, door_now(door_of(dedicated)));
}

static void refuse(struct dedicated *dedicated, const struct pool_order *order)
{
    struct guest *guest = guest_of(order->client);

    guest->own.dedicated = NULL;
    if (order->why == ERR_QUEUE_FULL)
        dedicated->identity->upstream->metrics.waiting_refused++;
    guest_refused(guest, order->why,
                  order->why == ERR_BACKEND_DOWN && dedicated->why[0] ? dedicated->why
                                                                      : err_text(order->why),
                  NULL);
}

static void carry_out(struct dedicated *dedicated, const struct pool_order *order)
{
    switch (order->kind) {
    case POOL_ORDER_OPEN:
        open_line(dedicated, order->server);
        break;
    case POOL_ORDER_GRANT:
        grant(dedicated, order);
        break;
    case POOL_ORDER_CLEAN: /* never asked for: lines come back clean or are closed */
        REQUIRE(false);
        break;
    case POOL_ORDER_CLOSE:
        close_line(dedicated, order);
        break;
    case POOL_ORDER_REFUSE:
        refuse(dedicated, order);
        break;
    }
}

/* Carrying one out may give rise to others, which are carried out here and not further down
 * the stack. */
static void carry_out_all(struct dedicated *dedicated)
{
    struct pool_order order;

    if (dedicated->carrying_out)
        return;
    dedicated->carrying_out = true;
    while (pool_next_order(dedicated->pool, &order))
        carry_out(dedicated, &order);
    dedicated->carrying_out = false;
    alarm_due_at(door_of(dedicated)->with.alarm, pool_next_deadline(dedicated->pool));
}

/* ---- what lines say ---------------------------------------------------------------------- */

static void on_opened(struct line *line)
{
    struct dedicated *dedicated = line->owner;

    upstream_log(dedicated->identity->upstream, line, "new connection to server", "");
    dedicated->identity->upstream->metrics.links_opened++;
    pool_opened(dedicated->pool, line->slot, door_now(door_of(dedicated)));
    carry_out_all(dedicated);
}

static void on_lost(struct line *line, enum err e, const char *why, const char *reply)
{
    struct dedicated *dedicated = line->owner;
    struct upstream *upstream = dedicated->identity->upstream;
    struct guest *guest = line->guest;
    bool opening = line->state == LINE_OPENING;

    (void)reply;
    upstream_log(upstream, line, opening ? "server login failed" : "closing because", why);
    if (opening) {
        snprintf(dedicated->why, sizeof(dedicated->why), "%s", why);
        upstream->metrics.links_not_opened++;
    } else {
        upstream->metrics.links_lost++;
    }
    if (guest != NULL) {
        guest->own.line = NULL;
        guest->own.dedicated = NULL;
    }
    pool_lost(dedicated->pool, line->slot, door_now(door_of(dedicated)));
    if (guest != NULL)
        guest_hear_own_lost(guest, line, e, why);
    line_close(line);
    carry_out_all(dedicated);
}

static void on_reply(struct line *line, const struct trunk_run *run, struct slice bytes)
{
    if (run->whom != NULL)
        guest_hear(run->whom, run, bytes);
}

static size_t on_raw(struct line *line, struct slice in)
{
    return line->guest != NULL ? guest_hear_raw(line->guest, in) : in.length;
}

static void on_drained(struct line *line)
{
    if (line->guest != NULL)
        guest_due(line->guest);
}

static const struct line_events line_events = {
    .opened = on_opened, .lost = on_lost, .reply = on_reply, .raw = on_raw, .drained = on_drained};

/* ---- what guests do ---------------------------------------------------------------------- */

void dedicated_ask(struct dedicated *dedicated, struct guest *guest)
{
    enum err e;

    guest->own = (struct dedicated_lease){.dedicated = dedicated};
    e = pool_ask(dedicated->pool, &guest->own.client, door_now(door_of(dedicated)));
    if (e != ERR_OK) {
        guest->own.dedicated = NULL;
        dedicated->identity->upstream->metrics.waiting_refused++;
        guest_refused(guest, e, err_text(e), NULL);
        return;
    }
    carry_out_all(dedicated);
}

void dedicated_give_up(struct guest *guest)
{
    struct dedicated *dedicated = guest->own.dedicated;

    if (dedicated == NULL || guest->own.line != NULL)
        return;
    guest->own.dedicated = NULL;
    pool_give_up(dedicated->pool, &guest->own.client, door_now(door_of(dedicated)));
    carry_out_all(dedicated);
}

void dedicated_leave(struct guest *guest, enum pool_leftovers left)
{
    struct dedicated *dedicated = guest->own.dedicated;
    struct line *line = guest->own.line;

    if (line == NULL)
        return;
    if (trunk_forget(&line->trunk, guest) || line->trunk.replies > 0 || line->is_raw)
        left = POOL_LEFT_UNKNOWN;
    line_flush(line);
    stream_read(&line->stream);
    line->guest = NULL;
    guest->own.line = NULL;
    guest->own.dedicated = NULL;
    pool_return(dedicated->pool, &guest->own.client, left, door_now(door_of(dedicated)));
    carry_out_all(dedicated);
}

/* ---- time -------------------------------------------------------------------------------- */

void dedicated_tick(struct dedicated *dedicated, uint64_t now)
{
    if (dedicated == NULL)
        return;
    pool_tick(dedicated->pool, now);
    carry_out_all(dedicated);
}

void dedicated_retire(struct dedicated *dedicated)
{
    if (dedicated == NULL)
        return;
    pool_retire(dedicated->pool, door_now(door_of(dedicated)));
    carry_out_all(dedicated);
}
