#include "proxy/fronts/redis/dedicated.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/fronts/redis/door.h"

/* A line idle for less has been watched by the loop just now. */
enum { LOOK_AFTER_MS = 20 };

static const struct line_events line_events;
static void carry_out_all(struct dedicated *dedicated);
static void on_lost(struct line *line, enum err e, const char *why, const char *reply);

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
        .clean_ms = config->connect_timeout_ms,
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
    struct line *line;

    target.client_name = (struct slice){0}; /* inside MULTI, CLIENT GETNAME is answered by Redis */
    line = line_open(&door->lines, &target, &line_events, dedicated, server);
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

/* ---- cleaning ---------------------------------------------------------------------------- */

/* What must come back from a line that is cleaned, by the kind of the note. */
enum { CLEAN_RESET = 1, CLEAN_OK, CLEAN_HELLO, CLEAN_LAST, CLEAN_COUNT };

#define LAST_WORD "weir-clean"

static const char *const expected[CLEAN_COUNT] = {
    [CLEAN_RESET] = "+RESET\r\n",
    [CLEAN_OK] = "+OK\r\n",
    [CLEAN_HELLO] = "%",
    [CLEAN_LAST] = "$10\r\n" LAST_WORD "\r\n",
};

static enum err ask(struct line *line, uint8_t kind, struct slice bytes, uint64_t now)
{
    struct trunk_note note = {.count = 1, .kind = kind};

    return line_ask(line, line, &note, bytes, now);
}

static enum err ask_auth(const struct identity *identity, struct line *line, uint64_t now)
{
    struct connect_target target = upstream_target(identity, 0, 2);
    struct bytes out = {0};
    const char *user = target.url->user, *password = target.url->password;
    bool from_url = target.password.at == NULL && !target.anonymous && password != NULL;
    enum err e = ERR_NO_MEMORY;

    if (target.password.at == NULL && !from_url)
        return ERR_OK;
    if (from_url) {
        target.user = (struct slice){(const uint8_t *)user, user != NULL ? strlen(user) : 0};
        target.password = (struct slice){(const uint8_t *)password, strlen(password)};
    }
    bytes_print(&out, "*%d\r\n$4\r\nAUTH\r\n", target.user.length > 0 ? 3 : 2);
    if (target.user.length > 0)
        resp_add_bulk(&out, target.user);
    resp_add_bulk(&out, target.password);
    if (!out.failed)
        e = ask(line, CLEAN_OK, (struct slice){out.at, out.length}, now);
    if (out.at != NULL)
        OPENSSL_cleanse(out.at, out.capacity);
    bytes_free(&out);
    return e;
}

/* RESET, and the login anew, which RESET has ended; then a word that must come back, and nothing
 * else before it. Whatever does not come back as it should, the line is lost. */
static void clean(struct dedicated *dedicated, struct line *line)
{
    uint64_t now = door_now(door_of(dedicated));
    enum err e = ask(line, CLEAN_RESET, SLICE("*1\r\n$5\r\nRESET\r\n"), now);

    dedicated->identity->upstream->metrics.links_cleaned++;
    line->db = 0;
    if (e == ERR_OK)
        e = ask_auth(dedicated->identity, line, now);
    if (e == ERR_OK && dedicated->protocol == 3)
        e = ask(line, CLEAN_HELLO, SLICE("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"), now);
    if (e == ERR_OK)
        e = ask(line, CLEAN_LAST, SLICE("*2\r\n$4\r\nECHO\r\n$10\r\n" LAST_WORD "\r\n"), now);
    if (e != ERR_OK && line->state == LINE_OPEN) /* it may have been told already */
        on_lost(line, e, err_text(e), NULL);
}

static void hear_clean(struct line *line, const struct trunk_run *run)
{
    const char *words = expected[run->note.kind];
    size_t length = strlen(words);
    struct dedicated *dedicated = line->owner;

    if (run->whole == 0)
        return;
    if (run->first.length < length || memcmp(run->first.at, words, length) != 0) {
        on_lost(line, ERR_BACKEND_LOST, "it could not be cleaned", NULL);
        return;
    }
    if (run->note.kind != CLEAN_LAST)
        return;
    pool_cleaned(dedicated->pool, line->slot, door_now(door_of(dedicated)));
    carry_out_all(dedicated);
}

/* ---- carrying out orders, the rest -------------------------------------------------------- */

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
    case POOL_ORDER_CLEAN:
        clean(dedicated, pool_server_connection(order->server));
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
    if (run->whom == line)
        hear_clean(line, run);
    else if (run->whom != NULL)
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
