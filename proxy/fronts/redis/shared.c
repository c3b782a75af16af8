#include "proxy/fronts/redis/shared.h"

#include <stdlib.h>

#include "proxy/fronts/redis/door.h"

enum {
    FIRST_PAUSE_MS = 50,
    MOST_QUEUED = 256 * 1024, /* bytes that Redis has not taken, of requests that are small */
    MOST_OWED = 64 * 1024,    /* replies; more of them mean that Redis is not keeping up */
};

static const struct line_events line_events;

/* ---- finding ----------------------------------------------------------------------------- */

static struct shared *create(struct upstream *upstream, const struct shared_key *key)
{
    size_t length = upstream->door->with.config->connections;
    struct shared *shared = calloc(1, sizeof(*shared) + length * sizeof(shared->lanes[0]));

    if (shared == NULL)
        return NULL;
    shared->key = *key;
    shared->upstream = upstream;
    shared->length = length;
    for (size_t i = 0; i < length; i++) {
        shared->lanes[i].shared = shared;
        list_init(&shared->lanes[i].waiting);
        list_init(&shared->lanes[i].stalled);
    }
    return shared;
}

struct shared *shared_find(const struct identity *identity, int32_t db, unsigned protocol)
{
    struct upstream *upstream = identity->upstream;
    struct shared_key key = {.identity = identity, .db = db, .protocol = protocol};
    struct shared *shared;

    HASH_FIND(hh, upstream->shares, &key, sizeof(key), shared);
    if (shared != NULL || (shared = create(upstream, &key)) == NULL)
        return shared;
    HASH_ADD(hh, upstream->shares, key, sizeof(shared->key), shared);
    if (shared->hh.tbl != NULL)
        return shared;
    free(shared); /* uthash had no memory */
    return NULL;
}

struct shared *shared_checking(struct upstream *upstream)
{
    struct shared_key key = {.identity = upstream->anonymous, .db = 0, .protocol = 2};

    if (upstream->checking == NULL)
        upstream->checking = create(upstream, &key);
    if (upstream->checking != NULL)
        upstream->checking->is_checking = true;
    return upstream->checking;
}

struct shared_lane *shared_lane(struct shared *shared, uint64_t number)
{
    return &shared->lanes[number % shared->length];
}

void shared_join(struct shared *shared, struct guest *guest)
{
    if (guest->lane != NULL)
        guest->lane->shared->guests--;
    guest->lane = NULL;
    if (shared == NULL)
        return;
    shared->guests++;
    guest->lane = shared_lane(shared, guest->id);
}

bool shared_lane_is_full(const struct shared_lane *lane)
{
    return line_queued(lane->line) > MOST_QUEUED || lane->line->trunk.replies > MOST_OWED;
}

/* ---- guests who wait --------------------------------------------------------------------- */

static void wait_in(struct list *list, struct guest *guest)
{
    if (link_is_linked(&guest->waiting))
        return;
    guest->list = list;
    list_push_back(list, &guest->waiting);
}

static struct guest *take_first(struct list *list)
{
    struct guest *guest = LIST_FRONT(list, struct guest, waiting);

    if (guest != NULL)
        list_remove(list, &guest->waiting);
    return guest;
}

static void wake_all(struct list *list)
{
    struct guest *guest;

    while ((guest = take_first(list)) != NULL)
        guest_ready(guest);
}

void shared_stall(struct shared_lane *lane, struct guest *guest)
{
    wait_in(&lane->stalled, guest);
}

/* ---- opening and losing ------------------------------------------------------------------ */

static void open_line(struct shared_lane *lane)
{
    struct shared *shared = lane->shared;
    struct upstream *upstream = shared->upstream;
    struct door *door = upstream->door;
    struct connect_target target =
        upstream_target(shared->key.identity, shared->key.db, shared->key.protocol);

    if (door_now(door) < lane->retry_at) {
        alarm_due_at(door->with.alarm, lane->retry_at);
        return;
    }
    lane->line = line_open(&door->lines, &target, &line_events, lane, NULL);
    if (lane->line == NULL) {
        lane->retry_at = door_now(door) + FIRST_PAUSE_MS;
        alarm_due_at(door->with.alarm, lane->retry_at);
        return;
    }
    lane->line->counts = &upstream->counts;
    lane->line->id = ++door->next_id;
    alarm_due_at(door->with.alarm, door_now(door) + door->with.config->connect_timeout_ms);
}

void shared_wait(struct shared_lane *lane, struct guest *guest)
{
    wait_in(&lane->waiting, guest);
    if (lane->line == NULL)
        open_line(lane);
}

static void on_opened(struct line *line)
{
    struct shared_lane *lane = line->owner;

    upstream_log(lane->shared->upstream, line, "new connection to server", "");
    lane->shared->upstream->metrics.links_opened++;
    lane->shared->is_proven = true;
    lane->pause_ms = 0;
    lane->wanted = door_now(lane->shared->upstream->door);
    wake_all(&lane->waiting);
}

/* Doubles from time to time, and not at once after a line that had been open. */
static void put_off(struct shared_lane *lane, bool was_open)
{
    struct door *door = lane->shared->upstream->door;
    uint64_t most = door->with.config->retry_ms;

    if (was_open) {
        lane->retry_at = lane->pause_ms = 0;
        return;
    }
    lane->pause_ms = lane->pause_ms == 0 ? FIRST_PAUSE_MS : lane->pause_ms * 2;
    if (most > 0 && lane->pause_ms > most)
        lane->pause_ms = most;
    lane->retry_at = door_now(door) + lane->pause_ms;
}

/* Those who were owed are told; the others never learn of it. */
static void tell_lost(struct line *line, enum err e, const char *why)
{
    struct trunk_owed owed;
    bool mid;

    while (trunk_take(&line->trunk, &owed, &mid))
        if (owed.whom != NULL)
            guest_hear_lost(owed.whom, &owed, mid, e, why);
}

static void refuse_all(struct shared_lane *lane, enum err e, const char *why, const char *reply)
{
    struct list refused;
    struct guest *guest;

    list_init(&refused); /* who asks again at once is not asked about now */
    while ((guest = take_first(&lane->waiting)) != NULL)
        wait_in(&refused, guest);
    while ((guest = take_first(&refused)) != NULL)
        guest_refused(guest, e, why, reply);
}

static void lose_line(struct shared_lane *lane, enum err e, const char *why, const char *reply)
{
    struct line *line = lane->line;
    struct upstream *upstream = lane->shared->upstream;
    bool was_open = line->state == LINE_OPEN;

    upstream_log(upstream, line, was_open ? "closing because" : "server login failed", why);
    if (was_open) {
        upstream->metrics.links_lost++;
        upstream->db_limit = 0; /* there may be another Redis when it is opened again */
    } else {
        upstream->metrics.links_not_opened++;
    }
    lane->line = NULL;
    put_off(lane, was_open);
    tell_lost(line, e, why);
    line_close(line);
    wake_all(&lane->stalled);
    if (e == ERR_NO_DATABASE && lane->shared->key.db > 0)
        upstream_learn_limit(upstream, lane->shared->key.db);
    if (reply != NULL)
        refuse_all(lane, e, why, reply);
    if (lane->waiting.length > 0 && lane->line == NULL)
        open_line(lane);
}

static void on_lost(struct line *line, enum err e, const char *why, const char *reply)
{
    lose_line(line->owner, e, why, reply);
}

static void on_reply(struct line *line, const struct trunk_run *run, struct slice bytes)
{
    struct shared_lane *lane = line->owner;

    if (run->whom != NULL)
        guest_hear(run->whom, run, bytes);
    if (lane->stalled.length > 0 && lane->line == line && !shared_lane_is_full(lane))
        wake_all(&lane->stalled);
}

static void on_drained(struct line *line)
{
    struct shared_lane *lane = line->owner;

    wake_all(&lane->stalled);
}

static const struct line_events line_events = {
    .opened = on_opened, .lost = on_lost, .reply = on_reply, .drained = on_drained};

/* ---- time -------------------------------------------------------------------------------- */

void shared_watch(const struct shared_lane *lane, uint64_t now)
{
    const struct door *door = lane->shared->upstream->door;
    const struct config_redis *config = door->with.config;

    if (lane->line->trunk.replies > 0) /* then somebody looks after it */
        return;
    if (config->command_timeout_ms > 0)
        alarm_due_at(door->with.alarm, now + config->command_timeout_ms);
    if (config->stuck_timeout_ms > 0)
        alarm_due_at(door->with.alarm, now + config->stuck_timeout_ms);
}

static void expire_replies(struct shared_lane *lane, uint64_t now, uint64_t limit)
{
    void *whom;
    uint32_t count;

    if (now < limit)
        return;
    while (lane->line != NULL && trunk_expire(&lane->line->trunk, now - limit + 1, &whom, &count))
        guest_hear_late(whom, count);
}

/* A line that still says something is not stuck, however long the reply is. */
static void expire_stuck(struct shared_lane *lane, uint64_t now, uint64_t limit)
{
    uint64_t oldest = trunk_oldest(&lane->line->trunk);

    if (oldest == UINT64_MAX)
        return;
    if (oldest < lane->line->heard)
        oldest = lane->line->heard;
    if (oldest + limit > now) {
        alarm_due_at(lane->shared->upstream->door->with.alarm, oldest + limit);
        return;
    }
    lane->shared->upstream->metrics.links_stuck++;
    lose_line(lane, ERR_BACKEND_TOO_SLOW, "Redis does not answer (stuck_timeout)", NULL);
}

/* Nobody has wanted it for so long: it is opened again when somebody does. */
static void expire_idle(struct shared_lane *lane, uint64_t now, uint64_t limit)
{
    if (lane->line->trunk.replies > 0)
        lane->wanted = now;
    if (lane->wanted + limit > now) {
        alarm_due_at(lane->shared->upstream->door->with.alarm, lane->wanted + limit);
        return;
    }
    upstream_log(lane->shared->upstream, lane->line, "closing because", "server idle timeout");
    line_close(lane->line);
    lane->line = NULL;
}

static void tick_open(struct shared_lane *lane, uint64_t now)
{
    const struct config_redis *config = lane->shared->upstream->door->with.config;
    struct alarm *alarm = lane->shared->upstream->door->with.alarm;

    if (config->command_timeout_ms > 0)
        expire_replies(lane, now, config->command_timeout_ms);
    if (lane->line != NULL && config->command_timeout_ms > 0 && lane->line->trunk.replies > 0)
        alarm_due_at(alarm, now + config->command_timeout_ms / 4 + 1);
    if (lane->line != NULL && config->stuck_timeout_ms > 0)
        expire_stuck(lane, now, config->stuck_timeout_ms);
    wake_all(&lane->stalled);
    if (lane->line != NULL && lane->line->state == LINE_OPEN &&
        config->dedicated_idle_timeout_ms > 0)
        expire_idle(lane, now, config->dedicated_idle_timeout_ms);
}

static void tick_opening(struct shared_lane *lane, uint64_t now)
{
    uint64_t limit = lane->shared->upstream->door->with.config->connect_timeout_ms;

    if (limit == 0)
        return;
    if (lane->line->since + limit > now)
        alarm_due_at(lane->shared->upstream->door->with.alarm, lane->line->since + limit);
    else
        lose_line(lane, ERR_BACKEND_TOO_SLOW, "Redis cannot be reached in time (connect_timeout)",
                  NULL);
}

bool shared_tick(struct shared *shared, uint64_t now)
{
    bool is_used = shared->guests > 0 || shared->is_checking;

    for (size_t i = 0; i < shared->length; i++) {
        struct shared_lane *lane = &shared->lanes[i];

        if (lane->line == NULL && lane->waiting.length > 0)
            open_line(lane);
        else if (lane->line != NULL && lane->line->state == LINE_OPENING)
            tick_opening(lane, now);
        else if (lane->line != NULL)
            tick_open(lane, now);
        is_used = is_used || lane->line != NULL || lane->waiting.length > 0;
    }
    return !is_used;
}

/* ---- the end ----------------------------------------------------------------------------- */

void shared_close(struct shared *shared)
{
    for (size_t i = 0; i < shared->length; i++) {
        if (shared->lanes[i].line != NULL)
            line_close(shared->lanes[i].line);
        shared->lanes[i].line = NULL;
    }
}

void shared_destroy(struct shared *shared)
{
    for (size_t i = 0; i < shared->length; i++)
        REQUIRE(shared->lanes[i].line == NULL && shared->lanes[i].waiting.length == 0);
    free(shared);
}
