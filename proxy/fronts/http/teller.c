#include "proxy/fronts/http/teller.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/fronts/redis/door.h"
#include "proxy/fronts/redis/guest.h"
#include "proxy/fronts/redis/upstream.h"

struct teller {
    struct stream stream;
    struct link link; /* in home->idle */
    struct teller_home *home;
    const struct config_redis_upstream *config;
    const struct teller_events *events; /* NULL: it is nobody's */
    void *owner;
    size_t owed;
    bool is_mid; /* a reply has come in part */
};

void teller_home_init(struct teller_home *home, struct door *door)
{
    *home = (struct teller_home){.door = door};
    list_init(&home->idle);
}

static void end(struct teller *teller)
{
    if (link_is_linked(&teller->link))
        list_remove(&teller->home->idle, &teller->link);
    teller->events = NULL;
    stream_close(&teller->stream);
}

void teller_home_stop(struct teller_home *home)
{
    struct teller *teller;

    home->stopped = true;
    while ((teller = LIST_FRONT(&home->idle, struct teller, link)) != NULL)
        end(teller);
}

/* ---- what its stream says ---------------------------------------------------------------- */

static struct teller *teller_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct teller, stream);
}

static void lose(struct teller *teller)
{
    const struct teller_events *events = teller->events;

    end(teller);
    if (events != NULL)
        events->lost(teller->owner);
}

/* What nobody asked for is no answer to anybody. */
static size_t on_bytes(struct stream *stream, struct slice in)
{
    struct teller *teller = teller_of(stream);
    size_t done = 0, used = 0;

    while (done < in.length && teller->events != NULL && teller->owed > 0) {
        enum resp_found found;

        found = teller->events->reply(teller->owner, (struct slice){in.at + done, in.length - done},
                                      &used);
        if (teller->events == NULL)
            return in.length;
        if (found == RESP_BROKEN) {
            lose(teller);
            return in.length;
        }
        done += used;
        teller->is_mid = found == RESP_MORE;
        if (found == RESP_MORE)
            return done;
        if (--teller->owed == 0 && done == in.length)
            teller->events->answered(teller->owner);
    }
    if (done < in.length)
        lose(teller);
    return in.length;
}

static void on_ended(struct stream *stream, enum err why)
{
    (void)why;
    lose(teller_of(stream));
}

static void on_drained(struct stream *stream)
{
    (void)stream;
}

static void on_closed(struct stream *stream)
{
    free(teller_of(stream));
}

static const struct stream_events stream_events = {on_bytes, on_ended, on_drained, on_closed};

/* ---- coming and going -------------------------------------------------------------------- */

static struct upstream *find_upstream(struct door *door, const struct config_redis_upstream *config)
{
    for (size_t i = 0; i < door->upstreams_length; i++)
        if (door->upstreams[i].config == config)
            return &door->upstreams[i];
    return NULL;
}

static struct teller *create(struct teller_home *home, const struct config_redis_upstream *config)
{
    struct upstream *upstream = find_upstream(home->door, config);
    struct teller *teller;
    int ends[2];

    if (upstream == NULL || home->door->draining)
        return NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return NULL;
    teller = calloc(1, sizeof(*teller));
    if (teller == NULL) {
        close(ends[0]);
        close(ends[1]);
        return NULL;
    }
    teller->home = home;
    teller->config = config;
    if (stream_adopt(&teller->stream, home->door->with.streams, &stream_events, ends[0]) !=
        ERR_OK) {
        close(ends[1]);
        return NULL; /* and on_closed will come */
    }
    guest_adopt(upstream, ends[1], upstream->configured);
    stream_read(&teller->stream);
    return teller;
}

/* One whose guest has been told something meanwhile, its end perhaps, is of no use. */
static struct teller *find(struct teller_home *home, const struct config_redis_upstream *config)
{
    struct link *link = list_front(&home->idle), *next;

    for (; link != NULL; link = next) {
        struct teller *teller = CONTAINER_OF(link, struct teller, link);

        next = list_after(&home->idle, link);
        if (teller->config != config)
            continue;
        list_remove(&home->idle, &teller->link);
        if (!stream_has_unread(&teller->stream))
            return teller;
        end(teller);
    }
    return NULL;
}

struct teller *teller_take(struct teller_home *home, const struct config_redis_upstream *config,
                           const struct teller_events *events, void *owner)
{
    struct teller *teller = home->stopped ? NULL : find(home, config);

    if (teller == NULL && !home->stopped)
        teller = create(home, config);
    if (teller == NULL)
        return NULL;
    REQUIRE(teller->owed == 0 && !teller->is_mid && teller->events == NULL);
    teller->events = events;
    teller->owner = owner;
    return teller;
}

void teller_ask(struct teller *teller, struct slice requests, size_t count)
{
    REQUIRE(teller->owed == 0 && count > 0);
    teller->owed = count;
    stream_write(&teller->stream, &requests, 1);
}

void teller_listen(struct teller *teller, struct slice request)
{
    teller_ask(teller, request, SIZE_MAX);
}

void teller_pause(struct teller *teller)
{
    stream_pause(&teller->stream);
}

void teller_resume(struct teller *teller)
{
    stream_read(&teller->stream);
    stream_again(&teller->stream);
}

void teller_give(struct teller *teller, bool is_clean)
{
    struct teller_home *home = teller->home;

    REQUIRE(teller->events != NULL);
    teller->events = NULL;
    teller->owner = NULL;
    if (!is_clean || teller->owed > 0 || teller->is_mid || home->stopped || teller->stream.ended ||
        stream_queued(&teller->stream) > 0 || home->idle.length == TELLER_MOST_IDLE) {
        end(teller);
        return;
    }
    stream_read(&teller->stream);
    list_push_front(&home->idle, &teller->link);
}
