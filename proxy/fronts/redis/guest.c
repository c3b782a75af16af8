#include "proxy/fronts/redis/guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/fronts/redis/guest_parts.h"

/* So often a client that leaves may be seen to have read nothing. */
enum { MOST_STALLS = 15 };

const char *const guest_state_names[GUEST_STATE_COUNT] = {
#define X(state, name) [GUEST_##state] = name,
    GUEST_STATES(X)
#undef X
};

/* What it is told when it has been in a state for too long. */
static const enum err too_late[GUEST_STATE_COUNT] = {
    [GUEST_RESTING] = ERR_IDLE_TOO_LONG,
    [GUEST_HOLDING] = ERR_IDLE_TOO_LONG,
};

static struct guest *guest_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct guest, stream);
}

static void say(const struct guest *guest, const char *what, const char *why)
{
    struct log_who who = {
        .kind = 'C', .id = guest->id, .database = guest->upstream->config->named.name};

    log_write(guest->door->with.log, LOG_LEVEL_INFO, &who, "%s%s%s", what, why[0] ? ": " : "", why);
}

/* ---- states ------------------------------------------------------------------------------ */

bool guest_is_waiting(const struct guest *guest)
{
    return link_is_linked(&guest->waiting) ||
           (guest->own.dedicated != NULL && guest->own.line == NULL);
}

bool guest_is_going(const struct guest *guest)
{
    return guest->state == GUEST_LEAVING || guest->state == GUEST_CLOSING;
}

/* What it has sent besides waits until it has read more of its replies. */
static bool must_read(const struct guest *guest)
{
    return guest->has_rest && stream_queued(&guest->stream) >= GUEST_MOST_QUEUED;
}

static void enter(struct guest *guest, enum guest_state state)
{
    struct door *door = guest->door;

    list_remove(&door->guests[guest->state], &guest->link);
    guest->state = (uint8_t)state;
    guest->since = door_now(door);
    if (state == GUEST_SENDING || state == GUEST_LEAVING)
        guest->unread = stream_queued(&guest->stream);
    list_push_back(&door->guests[state], &guest->link);
    if (door->limits_ms[state] > 0)
        alarm_due_at(door->with.alarm, guest->since + door->limits_ms[state]);
}

static enum guest_state state_of(const struct guest *guest)
{
    if (guest->follow.is_blind)
        return GUEST_BLIND;
    if (guest_is_waiting(guest))
        return GUEST_WAITING;
    if (guest->owed > 0 || guest->is_checking || guest->is_moving || guest_subscribe_is_owed(guest))
        return GUEST_WORKING;
    if (guest->pass != NULL || guest->has_rest)
        return GUEST_SENDING;
    if (guest->own.line != NULL)
        return GUEST_HOLDING;
    return guest_subscribe_is_on(guest) ? GUEST_SUBSCRIBED : GUEST_RESTING;
}

/* In the middle of a large request whose rest nobody has. */
static bool is_cut_off(const struct guest *guest)
{
    return guest->pass != NULL && guest->owed <= 1 && !link_is_linked(&guest->due) &&
           line_queued(guest->own.line) <= GUEST_MOST_QUEUED;
}

void guest_settle(struct guest *guest)
{
    enum guest_state state;

    if (guest_is_going(guest))
        return;
    state = state_of(guest);
    if (state != guest->state)
        enter(guest, state);
    if (guest->has_ended && is_cut_off(guest))
        guest_leave(guest);
    if (guest->has_ended && state == GUEST_BLIND && !guest->has_rest)
        guest_close(guest); /* it ended before it became blind */
    if (state == GUEST_WAITING || state == GUEST_WORKING || state == GUEST_BLIND)
        return;
    if (guest->has_ended && !link_is_linked(&guest->due) && !must_read(guest))
        guest_leave(guest);
    else if (guest->door->draining && state != GUEST_HOLDING)
        guest_fail(guest, ERR_SHUTTING_DOWN, NULL);
}

/* ---- the end ----------------------------------------------------------------------------- */

/* Whatever it has of others it has no more. */
static void detach(struct guest *guest)
{
    if (link_is_linked(&guest->waiting))
        list_remove(guest->list, &guest->waiting);
    if (link_is_linked(&guest->due))
        list_remove(&guest->door->due, &guest->due);
    if (guest->lane != NULL && guest->lane->line != NULL)
        trunk_forget(&guest->lane->line->trunk, guest);
    guest_auth_forget(guest);
    guest_subscribe_end(guest);
    dedicated_give_up(guest);
    dedicated_leave(guest, POOL_LEFT_UNKNOWN);
    guest->owed = 0;
}

static void on_closed(struct stream *stream)
{
    struct guest *guest = guest_of(stream);
    struct door *door = guest->door;

    list_remove(&door->guests[guest->state], &guest->link);
    shared_join(NULL, guest);
    if (guest->is_counted)
        door->clients--;
    guest_auth_free(guest);
    free(guest->pass);
    free(guest->name);
    free(guest->refusal);
    bytes_free(&guest->held);
    free(guest);
}

void guest_close(struct guest *guest)
{
    if (guest->state == GUEST_CLOSING)
        return;
    detach(guest);
    enter(guest, GUEST_CLOSING);
    stream_close(&guest->stream);
}

void guest_leave(struct guest *guest)
{
    if (guest_is_going(guest))
        return;
    detach(guest);
    enter(guest, GUEST_LEAVING);
    if (guest->has_ended && stream_queued(&guest->stream) == 0) {
        guest_close(guest);
        return;
    }
    stream_finish(&guest->stream);
    if (!guest->has_ended)
        stream_read(&guest->stream);
}

void guest_fail(struct guest *guest, enum err e, const char *text)
{
    bool mid = false;

    if (guest_is_going(guest))
        return;
    if (guest->lane != NULL && guest->lane->line != NULL)
        mid = trunk_forget(&guest->lane->line->trunk, guest);
    if (guest->own.line != NULL)
        mid = trunk_forget(&guest->own.line->trunk, guest) || guest->follow.is_blind || mid;
    if (!mid) /* else it would be read as a part of the reply */
        guest_answer(guest, "-%s %s\r\n", err_resp_prefix(e), text != NULL ? text : err_text(e));
    if (guest->door->with.log_disconnections)
        say(guest, "closing because", text != NULL ? text : err_text(e));
    guest_leave(guest);
}

void guest_end(struct guest *guest, const char *why)
{
    if (guest->state == GUEST_CLOSING)
        return;
    if (guest->door->with.log_disconnections)
        say(guest, "closing because", why);
    guest_close(guest);
}

/* Who is still reading is waited for. The kernel takes more of us only when much of what it has was
 * read, so it may look for a while as if nothing were. */
static void expire_leaving(struct guest *guest)
{
    size_t unread = stream_queued(&guest->stream);

    if (unread < guest->unread)
        guest->stalls = 0;
    if (unread == 0 || ++guest->stalls == MOST_STALLS ||
        (guest->stalls > 1 && guest->door->draining))
        guest_close(guest);
    else
        enter(guest, GUEST_LEAVING);
}

static void expire_sending(struct guest *guest)
{
    if (!must_read(guest))
        guest_fail(guest, ERR_MESSAGE_TOO_LONG, NULL);
    else if (stream_queued(&guest->stream) < guest->unread)
        enter(guest, GUEST_SENDING);
    else
        guest_end(guest, "it does not read its replies (client_message_timeout)");
}

void guest_expire(struct guest *guest)
{
    switch ((int)guest->state) {
    case GUEST_WAITING:
        if (link_is_linked(&guest->waiting))
            list_remove(guest->list, &guest->waiting);
        dedicated_give_up(guest);
        guest->upstream->metrics.waited_too_long++;
        guest_refused(guest, ERR_WAIT_TOO_LONG, "no connection to Redis in time (wait_timeout)",
                      NULL);
        guest_settle(guest); /* what is not due has a new time from now on */
        break;
    case GUEST_SENDING:
        expire_sending(guest);
        break;
    case GUEST_LEAVING:
        expire_leaving(guest);
        break;
    default:
        guest_fail(guest, too_late[guest->state], NULL);
        break;
    }
}

/* ---- waiting, and what comes of it ------------------------------------------------------- */

void guest_due(struct guest *guest)
{
    if (!guest_is_going(guest) && !link_is_linked(&guest->due))
        list_push_back(&guest->door->due, &guest->due);
}

void guest_ready(struct guest *guest)
{
    guest_due(guest);
}

/* Its next request, which was waiting, gets this for an answer; a large one cannot be
 * answered in its midst. */
void guest_refused(struct guest *guest, enum err e, const char *why, const char *reply)
{
    char text[1024]; /* Redis's words are kept up to 512 bytes (greeting.h) */

    if (guest_is_going(guest))
        return;
    if (guest->pass != NULL) {
        guest_fail(guest, e, why);
        return;
    }
    if (reply != NULL)
        snprintf(text, sizeof(text), "-%s\r\n", reply);
    else
        snprintf(text, sizeof(text), "-%s weir: %s\r\n", err_resp_prefix(e), why);
    free(guest->refusal);
    guest->refusal = strdup(text);
    if (guest->refusal == NULL)
        guest_fail(guest, ERR_NO_MEMORY, NULL);
    else
        guest_due(guest);
}

void guest_go_on(struct guest *guest)
{
    if (guest_is_going(guest))
        return;
    if (guest->own.line != NULL && stream_queued(&guest->stream) < GUEST_MOST_QUEUED)
        stream_read(&guest->own.line->stream);
    stream_read(&guest->stream);
    stream_again(&guest->stream);
    guest_settle(guest);
}

/* ---- what its stream says ---------------------------------------------------------------- */

static size_t on_bytes(struct stream *stream, struct slice in)
{
    struct guest *guest = guest_of(stream);
    size_t used;

    if (guest_is_going(guest))
        return in.length;
    used = guest_take(guest, in);
    if (guest_is_going(guest))
        return in.length;
    guest->has_rest = used < in.length;
    guest_settle(guest);
    return guest_is_going(guest) ? in.length : used;
}

/* What was sent before the end is still answered, as Redis does; but nobody waits for what may
 * never come. */
static void on_ended(struct stream *stream, enum err why)
{
    struct guest *guest = guest_of(stream);

    guest->has_ended = true;
    if (why != ERR_OK || guest->is_blocked || guest->follow.is_blind ||
        (guest->will_block && guest_is_waiting(guest)) ||
        (guest->state == GUEST_LEAVING && stream_queued(stream) == 0))
        guest_close(guest);
    else
        guest_settle(guest);
}

static void on_drained(struct stream *stream)
{
    struct guest *guest = guest_of(stream);

    if (guest->state == GUEST_LEAVING && guest->has_ended)
        guest_close(guest);
    else
        guest_due(guest);
}

static const struct stream_events stream_events = {on_bytes, on_ended, on_drained, on_closed};

void guest_write(struct guest *guest, struct slice bytes)
{
    guest->upstream->metrics.writes_to_clients++;
    guest->upstream->metrics.bytes_to_clients += bytes.length;
    stream_write(&guest->stream, &bytes, 1);
}

void guest_answer(struct guest *guest, const char *format, ...)
{
    char text[640];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    REQUIRE(length >= 0 && (size_t)length < sizeof(text));
    guest_write(guest, (struct slice){(const uint8_t *)text, (size_t)length});
}

/* ---- coming in --------------------------------------------------------------------------- */

static bool is_one_too_many(struct guest *guest)
{
    struct door *door = guest->door;

    if (door->clients < door->with.config->max_clients) {
        door->clients++;
        guest->is_counted = true;
        return false;
    }
    guest->upstream->metrics.turned_away++;
    return true;
}

static struct guest *create(struct upstream *upstream, struct identity *identity)
{
    struct door *door = upstream->door;
    struct guest *guest = calloc(1, sizeof(*guest));

    if (guest == NULL)
        return NULL;
    guest->door = door;
    guest->upstream = upstream;
    guest->identity = identity;
    guest->id = ++door->next_id;
    guest->since = guest->came = door_now(door);
    follow_init(&guest->follow);
    guest->follow.db = upstream->config->url.database;
    list_push_back(&door->guests[GUEST_RESTING], &guest->link);
    return guest;
}

void guest_accept(struct upstream *upstream, uv_stream_t *listener)
{
    struct door *door = upstream->door;
    struct guest *guest = create(upstream, upstream_first_identity(upstream));
    enum err e;

    if (guest == NULL)
        return;
    upstream->metrics.accepted++;
    e = stream_accept(&guest->stream, door->with.streams, &stream_events, listener);
    if (e != ERR_OK) {
        enter(guest, GUEST_CLOSING); /* and on_closed will come */
        return;
    }
    peer_keep_alive(&guest->stream, &door->with.keepalive);
    if (door->with.log_connections)
        say(guest, "login attempt", "");
    stream_read(&guest->stream);
    enter(guest, GUEST_RESTING);
    if (is_one_too_many(guest))
        guest_fail(guest, ERR_TOO_MANY_CLIENTS, "max number of clients reached");
    else if (door->draining)
        guest_fail(guest, ERR_SHUTTING_DOWN, NULL);
}

void guest_adopt(struct upstream *upstream, int fd, struct identity *identity)
{
    struct door *door = upstream->door;
    struct guest *guest = create(upstream, identity);

    if (guest == NULL) {
        close(fd);
        return;
    }
    if (stream_adopt(&guest->stream, door->with.streams, &stream_events, fd) != ERR_OK) {
        enter(guest, GUEST_CLOSING); /* and on_closed will come */
        return;
    }
    stream_read(&guest->stream);
    enter(guest, GUEST_RESTING);
    if (door->draining)
        guest_fail(guest, ERR_SHUTTING_DOWN, NULL);
}
