#include "proxy/broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A server idle for less has been watched by the loop just now; longer, and it is worth one
 * system call to see whether it died behind our back (trap 54). */
enum { LOOK_AFTER_MS = 20 };

static uint64_t now_in(const struct broker *broker)
{
    return uv_now(broker->home.streams->loop);
}

static void say(struct broker_place *place, struct backend *backend, const char *what,
                const char *why)
{
    struct log_who who = {.kind = 'S',
                          .id = backend->id,
                          .database = place->terms.database,
                          .user = place->terms.user};

    log_write(place->broker->log, LOG_LEVEL_INFO, &who, "%s%s%s", what, why[0] ? ": " : "", why);
}

/* ---- carrying out orders ----------------------------------------------------------------- */

static const struct backend_events backend_events;

static void remember_why(struct broker_place *place, const struct pool_server *server,
                         const char *why)
{
    char *to = pool_server_is_own(server) ? place->why_own : place->why;

    snprintf(to, sizeof(place->why), "%s", why);
}

static void open_server(struct broker_place *place, struct pool_server *server,
                        struct pool_client *client)
{
    struct broker *broker = place->broker;
    struct login_target target = place->terms.target;
    struct backend *backend;

    if (client != NULL)
        target.wishes = *CONTAINER_OF(client, struct broker_lease, client)->wishes;
    backend = backend_open(&broker->home, &target, place->terms.max_prepared_statements,
                           &backend_events, place, server);
    if (backend == NULL) {
        remember_why(place, server, err_text(ERR_NO_MEMORY));
        pool_lost(place->pool, server, now_in(broker));
        return;
    }
    backend->id = ++broker->next_id;
    backend->since = now_in(broker);
    backend->reset_always = place->terms.reset_always && place->terms.reset_query != NULL;
    pool_server_set_connection(server, backend);
}

/* The server has died since it became idle: its client must not learn that it did. */
static bool withdrawn(struct broker_place *place, struct pool_server *server, uint64_t idle_ms)
{
    struct backend *backend = pool_server_connection(server);

    if (idle_ms < LOOK_AFTER_MS || !backend_is_stale(backend))
        return false;
    say(place, backend, "closing", "it died while it was idle");
    place->metrics.servers_lost++;
    backend_close(backend);
    pool_withdraw(place->pool, server, now_in(place->broker));
    return true;
}

static void grant(struct broker_place *place, const struct pool_order *order)
{
    struct broker_lease *lease = CONTAINER_OF(order->client, struct broker_lease, client);

    if (withdrawn(place, order->server, order->idle_ms))
        return;
    lease->wishes = NULL;
    lease->backend = pool_server_connection(order->server);
    backend_lease(lease->backend, lease, lease->sent,
                  &(struct backend_wish){.wanted = lease->wanted,
                                         .own = lease->own,
                                         .mode = place->terms.session_state});
    if (lease->backend != NULL) /* else it was lost at once, and that was told */
        lease->events->granted(lease);
}

static void refuse(struct broker_place *place, const struct pool_order *order)
{
    struct broker_lease *lease = CONTAINER_OF(order->client, struct broker_lease, client);
    bool own = lease->client.own;
    const char *why = own ? place->why_own : place->why;
    bool known = order->why == ERR_BACKEND_DOWN || (order->why == ERR_WAIT_TOO_LONG && !own);

    if (order->why == ERR_WAIT_TOO_LONG)
        place->metrics.waited_too_long++;
    lease->wishes = NULL;
    lease->events->refused(lease, order->why, known ? why : "");
}

static void close_server(struct broker_place *place, const struct pool_order *order)
{
    struct backend *backend = pool_server_connection(order->server);
    bool opening = backend->state == BACKEND_LOGIN || backend->state == BACKEND_PROVING;

    say(place, backend, "closing", order->why == ERR_OK ? "" : err_text(order->why));
    place->metrics.servers_closed++;
    if (opening) {
        remember_why(place, order->server, err_text(order->why));
        place->metrics.servers_not_opened++;
    }
    backend_close(backend);
    pool_lost(place->pool, order->server, now_in(place->broker));
}

/* Cancels that have done nothing yet are due again. */
static void await_cancels(struct broker *broker)
{
    struct list *insisting = &broker->home.insisting;

    for (struct link *link = list_front(insisting); link != NULL;
         link = list_after(insisting, link))
        alarm_due_at(broker->alarm, CONTAINER_OF(link, struct backend, insisting)->insist.due);
}

static void carry_out(struct broker_place *place, const struct pool_order *order)
{
    switch (order->kind) {
    case POOL_ORDER_OPEN:
        open_server(place, order->server, order->client);
        break;
    case POOL_ORDER_GRANT:
        grant(place, order);
        break;
    case POOL_ORDER_CLEAN:
        place->metrics.servers_cleaned++;
        backend_clean(pool_server_connection(order->server), place->terms.reset_query);
        await_cancels(place->broker);
        break;
    case POOL_ORDER_CLOSE:
        close_server(place, order);
        break;
    case POOL_ORDER_REFUSE:
        refuse(place, order);
        break;
    }
}

/* Carrying one out may give rise to others, which are carried out here and not further
 * down the stack. */
static void carry_out_all(struct broker_place *place)
{
    struct pool_order order;

    if (place->carrying_out)
        return;
    place->carrying_out = true;
    while (pool_next_order(place->pool, &order))
        carry_out(place, &order);
    place->carrying_out = false;
    alarm_due_at(place->broker->alarm, pool_next_deadline(place->pool));
}

/* ---- what servers say -------------------------------------------------------------------- */

/* How a client finds its servers if it says nothing: as they are when they are new, but for
 * what the database's entry says. */
static void set_standard(struct broker_place *place, const struct backend *backend)
{
    struct parameters_set *set = &place->broker->home.parameters;

    parameters_release(set, place->standard);
    place->standard = parameters_hold(backend->upkeep.settings.has);
    for (unsigned i = 0; i < PARAMETERS_COUNT; i++) {
        const char *value = place->terms.settings[i];

        if (value != NULL)
            place->standard =
                parameters_change(set, place->standard, (enum parameters_name)i,
                                  (struct slice){(const uint8_t *)value, strlen(value)});
    }
}

static void on_opened(struct backend *backend)
{
    struct broker_place *place = backend->owner;

    say(place, backend, "new connection to server", "");
    place->metrics.servers_opened++;
    if (!pool_server_is_own(backend->slot)) {
        place->why[0] = '\0';
        set_standard(place, backend);
        bytes_clear(&place->welcome);
        backend_write_parameters(backend, &place->welcome);
    }
    pool_opened(place->pool, backend->slot, now_in(place->broker));
    carry_out_all(place);
}

static void on_lost(struct backend *backend, enum err e, const char *why)
{
    struct broker_place *place = backend->owner;
    struct pool_server *server = backend->slot;
    struct broker_lease *lease = backend->client;
    uint64_t since;
    bool opening = pool_server_state(server, &since) == POOL_SERVER_OPENING;
    bool told = backend->told;
    bool cut = backend_is_mid_answer(backend);

    (void)e;
    if (opening) {
        say(place, backend, "server login failed", why);
        place->metrics.servers_not_opened++;
        remember_why(place, server, why);
    } else {
        say(place, backend, "closing because", why);
        place->metrics.servers_lost++;
    }
    if (lease != NULL) {
        lease->backend = NULL;
        lease->pinned = 0;
    }
    pool_lost(place->pool, server, now_in(place->broker));
    backend_close(backend);
    if (lease != NULL)
        lease->events->lost(lease, why, told, cut);
    carry_out_all(place);
}

static void on_cleaned(struct backend *backend)
{
    struct broker_place *place = backend->owner;

    pool_cleaned(place->pool, backend->slot, now_in(place->broker));
    carry_out_all(place);
}

static void on_canceled(struct backend *backend)
{
    struct broker_place *place = backend->owner;

    if (place->broker->canceled != NULL)
        place->broker->canceled(place->broker->owner, backend);
}

static void on_answer(struct backend *backend, const struct relay_plan *plan)
{
    struct broker_lease *lease = backend->client;

    lease->events->answer(lease, plan);
}

static void on_turn(struct backend *backend)
{
    struct broker_lease *lease = backend->client;

    lease->events->turn(lease);
}

static void on_drained(struct backend *backend)
{
    struct broker_lease *lease = backend->client;

    lease->events->drained(lease);
}

static const struct backend_events backend_events = {
    .opened = on_opened,
    .lost = on_lost,
    .cleaned = on_cleaned,
    .canceled = on_canceled,
    .answer = on_answer,
    .turn = on_turn,
    .drained = on_drained,
};

/* ---- what sessions want ------------------------------------------------------------------ */

void broker_ask(struct broker_lease *lease, bool hasty)
{
    struct broker_place *place = lease->place;
    enum err e;

    lease->client.hasty = hasty;
    lease->client.own = lease->wishes != NULL;
    e = pool_ask(place->pool, &lease->client, now_in(place->broker));
    if (e != ERR_OK)
        lease->events->refused(lease, e, e == ERR_BACKEND_DOWN ? place->why : "");
    else
        carry_out_all(place);
}

void broker_give_up(struct broker_lease *lease)
{
    struct broker_place *place = lease->place;

    if (!link_is_linked(&lease->client.queued) && lease->client.server == NULL)
        return;
    pool_give_up(place->pool, &lease->client, now_in(place->broker));
    carry_out_all(place);
}

void broker_set_mode(struct broker_lease *lease)
{
    struct relay *relay = &lease->backend->relay;
    enum settings_pool_mode mode = lease->place->terms.mode;

    if (lease->client.own) {
        relay->pinned |= 1u << RELAY_PIN_REPLICATION;
        return;
    }
    relay->by_statement = mode == SETTINGS_POOL_MODE_STATEMENT;
    if (mode == SETTINGS_POOL_MODE_SESSION)
        relay->pinned |= 1u << RELAY_PIN_MODE;
}

void broker_see_to(struct broker_lease *lease)
{
    struct backend *backend = lease->backend;
    uint32_t pinned;

    backend_see_to(backend, lease->sent);
    if (lease->backend == NULL) /* it was lost, and that was told */
        return;
    pinned = backend->relay.pinned;
    for (unsigned i = 0; i < RELAY_PIN_COUNT; i++)
        lease->place->pins[i] += (pinned & ~lease->pinned) >> i & 1;
    lease->pinned = pinned;
}

void broker_leave(struct broker_lease *lease, const struct relay_sent *sent)
{
    static const enum pool_leftovers left[] = {
        [BACKEND_LEFT_NOTHING] = POOL_LEFT_NOTHING,
        [BACKEND_LEFT_STATE] = POOL_LEFT_STATE,
        [BACKEND_LEFT_UNKNOWN] = POOL_LEFT_UNKNOWN,
    };
    struct broker_place *place = lease->place;
    struct backend *backend = lease->backend;
    struct parameters_set *set = &place->broker->home.parameters;
    const struct parameters *wanted;
    enum backend_leftovers leftovers = backend_leave(backend, sent, &wanted);

    lease->backend = NULL;
    lease->pinned = 0;
    if (lease->wanted != NULL) { /* what it has set meanwhile it finds again on its next server */
        parameters_release(set, lease->wanted);
        lease->wanted = wanted;
    } else {
        parameters_release(set, wanted);
    }
    pool_return(place->pool, &lease->client, left[leftovers], now_in(place->broker));
    carry_out_all(place);
}

enum err broker_cancel(struct broker_lease *lease)
{
    enum err e = backend_cancel(lease->backend);

    await_cancels(lease->place->broker);
    return e;
}

/* ---- places ------------------------------------------------------------------------------ */

/* One block for all the strings of a place: text and its NUL, one behind the other. */
static const char *copy(char **end, const char *text)
{
    char *at = *end;

    if (text == NULL)
        return NULL;
    *end = stpcpy(at, text) + 1;
    return at;
}

static size_t space(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static bool copy_terms(struct broker_place *place, const struct broker_terms *from)
{
    const struct login_target *t = &from->target;
    size_t settings = 0, size;
    char *end;

    for (size_t i = 0; i < PARAMETERS_COUNT; i++)
        settings += space(from->settings[i]);
    size = settings + space(from->database) + space(from->user) + space(from->reset_query) +
           space(t->conninfo) + space(t->host) + space(t->port) + space(t->dbname) +
           space(t->user) + space(t->password);
    end = place->strings = malloc(size);
    if (place->strings == NULL)
        return false;
    place->terms = *from;
    place->terms.database = copy(&end, from->database);
    place->terms.user = copy(&end, from->user);
    place->terms.reset_query = copy(&end, from->reset_query);
    for (size_t i = 0; i < PARAMETERS_COUNT; i++)
        place->terms.settings[i] = copy(&end, from->settings[i]);
    place->terms.target = (struct login_target){
        .conninfo = copy(&end, t->conninfo),
        .host = copy(&end, t->host),
        .port = copy(&end, t->port),
        .dbname = copy(&end, t->dbname),
        .user = copy(&end, t->user),
        .password = copy(&end, t->password),
    };
    return true;
}

static void destroy(struct broker_place *place)
{
    parameters_release(&place->broker->home.parameters, place->standard);
    if (place->pool != NULL)
        pool_destroy(place->pool);
    bytes_free(&place->welcome);
    free(place->strings);
    free(place);
}

static struct broker_place *create(struct broker *broker, const struct broker_terms *terms)
{
    struct broker_place *place = calloc(1, sizeof(*place));

    if (place == NULL)
        return NULL;
    place->broker = broker;
    if (copy_terms(place, terms))
        place->pool = pool_create(&place->terms.limits);
    if (place->pool == NULL) {
        destroy(place);
        return NULL;
    }
    /* the first two strings are the key */
    place->key_length = space(terms->database) + space(terms->user);
    HASH_ADD_KEYPTR(hh, broker->places, place->strings, place->key_length, place);
    if (place->hh.tbl != NULL)
        return place;
    destroy(place);
    return NULL;
}

struct broker_place *broker_find(struct broker *broker, const char *database, const char *user)
{
    struct broker_place *place = NULL;
    char key[256];
    size_t length = space(database) + space(user);

    if (length > sizeof(key))
        return NULL;
    memcpy(key, database, space(database));
    memcpy(key + space(database), user, space(user));
    HASH_FIND(hh, broker->places, key, length, place);
    return place;
}

struct broker_place *broker_place(struct broker *broker, const struct broker_terms *terms)
{
    struct broker_place *place = broker_find(broker, terms->database, terms->user);

    return place != NULL ? place : create(broker, terms);
}

/* ---- the whole --------------------------------------------------------------------------- */

void broker_warm(struct broker_place *place)
{
    pool_warm(place->pool, now_in(place->broker));
    carry_out_all(place);
}

void broker_init(struct broker *broker, struct backend_home home, struct alarm *alarm,
                 struct log *log)
{
    *broker = (struct broker){.home = home, .alarm = alarm, .log = log};
    list_init(&broker->home.insisting);
}

void broker_fini(struct broker *broker)
{
    struct broker_place *place, *next;

    HASH_ITER(hh, broker->places, place, next)
    {
        HASH_DEL(broker->places, place);
        destroy(place);
    }
}

static void cancel_again(struct broker *broker, uint64_t now)
{
    struct list *insisting = &broker->home.insisting;
    struct link *link = list_front(insisting), *next;

    for (; link != NULL; link = next) {
        struct backend *backend = CONTAINER_OF(link, struct backend, insisting);
        struct broker_place *place = backend->owner;

        next = list_after(insisting, link);
        if (backend->insist.due <= now && backend_insist(backend))
            place->metrics.cancels_repeated++;
    }
    await_cancels(broker);
}

void broker_tick(struct broker *broker, uint64_t now)
{
    struct broker_place *place, *next;

    cancel_again(broker, now);
    HASH_ITER(hh, broker->places, place, next)
    {
        pool_tick(place->pool, now);
        carry_out_all(place);
    }
}

void broker_reconnect(struct broker *broker, const char *database)
{
    struct broker_place *place, *next;

    HASH_ITER(hh, broker->places, place, next)
    {
        if (database != NULL && strcmp(place->terms.database, database) != 0)
            continue;
        pool_renew(place->pool, now_in(broker));
        carry_out_all(place);
    }
}

void broker_end_period(struct broker *broker)
{
    for (struct broker_place *place = broker->places; place != NULL; place = place->hh.next) {
        place->older = place->newer;
        place->newer = (struct stats){{0}};
        stats_add_pool(&place->newer, &place->metrics);
    }
}

void broker_retire(struct broker *broker)
{
    struct broker_place *place, *next;

    HASH_ITER(hh, broker->places, place, next)
    {
        pool_retire(place->pool, now_in(broker));
        carry_out_all(place);
    }
}

bool broker_is_vacant(const struct broker *broker)
{
    for (const struct broker_place *place = broker->places; place != NULL; place = place->hh.next)
        if (!pool_is_vacant(place->pool))
            return false;
    return true;
}
