#include "proxy/fronts/redis/door.h"

#include <stdlib.h>

#include "proxy/fronts/redis/guest_parts.h"

enum { LAST_WORDS_MS = 2000 }; /* how often it is looked whether a client hears them */

static void set_limits(struct door *door)
{
    const struct config_redis *config = door->with.config;

    door->limits_ms[GUEST_RESTING] = config->client_idle_timeout_ms;
    door->limits_ms[GUEST_SENDING] = config->client_message_timeout_ms;
    door->limits_ms[GUEST_WAITING] = config->wait_timeout_ms;
    door->limits_ms[GUEST_HOLDING] = config->client_idle_timeout_ms;
    door->limits_ms[GUEST_LEAVING] = LAST_WORDS_MS;
}

enum err door_init(struct door *door, const struct door_options *options)
{
    size_t length = named_count(&options->config->upstreams);
    const struct named *named = named_first(&options->config->upstreams);
    enum err e;

    *door = (struct door){.with = *options};
    line_home_init(&door->lines, options->streams);
    list_init(&door->due);
    for (size_t i = 0; i < GUEST_STATE_COUNT; i++)
        list_init(&door->guests[i]);
    set_limits(door);
    if (length == 0)
        return ERR_OK;
    door->upstreams = calloc(length, sizeof(*door->upstreams));
    if (door->upstreams == NULL)
        return ERR_NO_MEMORY;
    for (; named != NULL; named = named_next(named)) {
        e = upstream_init(&door->upstreams[door->upstreams_length++], door,
                          CONTAINER_OF(named, struct config_redis_upstream, named));
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

void door_fini(struct door *door)
{
    REQUIRE(door_is_empty(door));
    for (size_t i = 0; i < door->upstreams_length; i++)
        upstream_fini(&door->upstreams[i]);
    free(door->upstreams);
    bytes_free(&door->spare);
}

enum err door_listen(struct door *door, char why[256])
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < door->upstreams_length && e == ERR_OK; i++)
        e = upstream_listen(&door->upstreams[i], why);
    return e;
}

/* Guests first: what they ask leaves with the rest. */
void door_turn(struct door *door)
{
    size_t count = door->due.length; /* who becomes due meanwhile has its turn in the next */
    struct link *link;

    while (count-- > 0 && (link = list_pop_front(&door->due)) != NULL)
        guest_go_on(CONTAINER_OF(link, struct guest, due));
    line_flush_all(&door->lines);
    if (door->due.length > 0)
        alarm_due_at(door->with.alarm, door_now(door));
}

/* ---- time -------------------------------------------------------------------------------- */

/* All in one state have the same time there, so who came first is overdue first. */
static void expire(struct door *door, enum guest_state state, uint64_t now)
{
    uint64_t limit = door->limits_ms[state];
    struct guest *guest;

    if (limit == 0)
        return;
    while ((guest = LIST_FRONT(&door->guests[state], struct guest, link)) != NULL) {
        if (guest->since + limit > now) {
            alarm_due_at(door->with.alarm, guest->since + limit);
            return;
        }
        guest_expire(guest);
    }
}

/* When the guest will have waited for too long. A reply that comes piece by piece is late when
 * nothing more of it comes, and then not if that is because the guest does not read. */
static uint64_t own_deadline(const struct guest *guest, uint64_t now)
{
    const struct config_redis *config = guest->door->with.config;
    const struct line *line = guest->own.line;
    uint64_t since = trunk_oldest(&line->trunk), limit = config->command_timeout_ms;

    if (guest->pass != NULL) { /* that it has sent half of */
        since = guest->since;
        limit = config->client_message_timeout_ms;
    } else if (line->trunk.mid && since != UINT64_MAX) {
        since = stream_queued(&guest->stream) > 0 ? now : line->heard;
    }
    return limit == 0 || since == UINT64_MAX ? UINT64_MAX : since + limit;
}

/* Over lines that many share, each of these looks after its own (shared.h). */
static void expire_own(struct door *door, uint64_t now)
{
    const struct list *working = &door->guests[GUEST_WORKING];
    struct link *link = list_front(working), *next;

    for (; link != NULL; link = next) {
        struct guest *guest = CONTAINER_OF(link, struct guest, link);
        uint64_t deadline;

        next = list_after(working, link);
        if (guest->own.line == NULL || (deadline = own_deadline(guest, now)) == UINT64_MAX)
            continue;
        if (deadline > now)
            alarm_due_at(door->with.alarm, deadline);
        else if (guest->pass != NULL && line_queued(guest->own.line) <= GUEST_MOST_QUEUED)
            guest_fail(guest, ERR_MESSAGE_TOO_LONG, NULL);
        else
            guest_hear_own_late(guest);
    }
}

void door_tick(struct door *door, uint64_t now)
{
    expire_own(door, now);
    for (unsigned state = 0; state < GUEST_CLOSING; state++)
        expire(door, (enum guest_state)state, now);
    for (size_t i = 0; i < door->upstreams_length; i++)
        upstream_tick(&door->upstreams[i], now);
}

/* ---- the end ----------------------------------------------------------------------------- */

static void fail_all(struct door *door, enum guest_state state)
{
    struct guest *guest;

    while ((guest = LIST_FRONT(&door->guests[state], struct guest, link)) != NULL)
        guest_fail(guest, ERR_SHUTTING_DOWN, NULL);
}

void door_close(struct door *door)
{
    for (size_t i = 0; i < door->upstreams_length; i++)
        listener_close_all(&door->upstreams[i].listeners);
}

void door_drain(struct door *door)
{
    door->draining = true;
    door_close(door);
    fail_all(door, GUEST_RESTING);
    fail_all(door, GUEST_SENDING);
    fail_all(door, GUEST_SUBSCRIBED); /* has nothing that ends, */
    fail_all(door, GUEST_BLIND);      /* nor has who is blind */
}

void door_stop(struct door *door)
{
    struct guest *guest;

    door_drain(door);
    for (unsigned state = 0; state < GUEST_LEAVING; state++)
        fail_all(door, (enum guest_state)state);
    while ((guest = LIST_FRONT(&door->guests[GUEST_LEAVING], struct guest, link)) != NULL)
        guest_close(guest);
    for (size_t i = 0; i < door->upstreams_length; i++)
        upstream_retire(&door->upstreams[i]);
}

bool door_is_empty(const struct door *door)
{
    for (unsigned state = 0; state < GUEST_STATE_COUNT; state++)
        if (door->guests[state].length > 0)
            return false;
    return true;
}

bool door_is_vacant(const struct door *door)
{
    for (size_t i = 0; i < door->upstreams_length; i++)
        if (!upstream_is_vacant(&door->upstreams[i]))
            return false;
    return door_is_empty(door);
}
