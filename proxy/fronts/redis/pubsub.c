#include "proxy/fronts/redis/pubsub.h"

#include <stdlib.h>

#include "proxy/fronts/redis/guest_parts.h"

enum {
    MOST_NAMES = 1000000,
    LONGEST_NAME = 64 * 1024,
    LONGEST_MESSAGE = 32 * 1024 * 1024, /* Redis itself closes a subscriber at that */
    MOST_TRIES = 3,
    QUIET_MS = 30000, /* after that a silent line is asked whether it is still there */
};

static const struct line_events line_events;

static struct door *door_of(const struct pubsub *pubsub)
{
    return pubsub->identity->upstream->door;
}

static struct pubsub_ear *ear_of(struct topics_subscriber *subscriber)
{
    return CONTAINER_OF(subscriber, struct pubsub_ear, subscriber);
}

/* ---- the line ---------------------------------------------------------------------------- */

static void lose(struct pubsub *pubsub)
{
    if (pubsub->line != NULL)
        line_close(pubsub->line);
    pubsub->line = NULL;
    topics_lost(&pubsub->topics, door_now(door_of(pubsub)));
}

static void open_line(struct pubsub *pubsub)
{
    struct upstream *upstream = pubsub->identity->upstream;
    struct connect_target target = upstream_target(pubsub->identity, 0, 2);

    pubsub->line = line_open(&door_of(pubsub)->lines, &target, &line_events, pubsub, NULL);
    if (pubsub->line == NULL) {
        lose(pubsub);
        return;
    }
    pubsub->line->counts = &upstream->counts;
    pubsub->line->id = ++door_of(pubsub)->next_id;
    pubsub->line->is_raw = true;
}

static void carry_out(struct pubsub *pubsub, enum topics_order order, const struct bytes *out)
{
    switch (order) {
    case TOPICS_OPEN:
        open_line(pubsub);
        break;
    case TOPICS_ASK:
        if (out->failed)
            lose(pubsub);
        else
            line_send(pubsub->line, (struct slice){out->at, out->length});
        break;
    case TOPICS_CLOSE:
        line_close(pubsub->line);
        pubsub->line = NULL;
        break;
    case TOPICS_GIVE_UP:
        upstream_log(pubsub->identity->upstream, pubsub->line, "closing because",
                     "Redis does not answer who subscribes");
        lose(pubsub);
        break;
    case TOPICS_NOTHING:
        break;
    }
}

/* ---- who is told what -------------------------------------------------------------------- */

static const char *const missed[] = {
    [TOPICS_LINK_LOST] = "the connection that subscribes was lost",
    [TOPICS_REFUSED] = "Redis does not take a subscription again",
    [TOPICS_TOO_LONG] = "a message was too long",
    [TOPICS_NO_MEMORY] = "out of memory",
};

static bool tell_missed(struct pubsub *pubsub)
{
    struct topics_subscriber *subscriber;
    enum topics_miss why;
    bool any = false;

    while ((subscriber = topics_next_missed(&pubsub->topics, &why)) != NULL) {
        any = true;
        guest_end(ear_of(subscriber)->guest, missed[why]);
    }
    return any;
}

static bool tell_replies(struct pubsub *pubsub)
{
    struct topics_subscriber *subscriber;
    struct bytes out = {0};
    bool any = false;

    while ((subscriber = topics_next_told(&pubsub->topics, &out)) != NULL) {
        struct guest *guest = ear_of(subscriber)->guest;

        any = true;
        if (out.failed) {
            guest_end(guest, missed[TOPICS_NO_MEMORY]);
            bytes_free(&out);
            continue;
        }
        guest_hear_message(guest, (struct slice){out.at, out.length});
        if (!guest_subscribe_is_owed(guest))
            guest_due(guest);
    }
    bytes_free(&out);
    return any;
}

static bool carry_out_all(struct pubsub *pubsub)
{
    uint64_t now = door_now(door_of(pubsub));
    struct bytes out = {0};
    enum topics_order order;
    bool any = false;

    while ((order = topics_next_order(&pubsub->topics, now, &out)) != TOPICS_NOTHING) {
        any = true;
        carry_out(pubsub, order, &out);
        bytes_clear(&out);
    }
    bytes_free(&out);
    return any;
}

static void pump(struct pubsub *pubsub)
{
    bool any = true;

    if (pubsub->pumping || pubsub->is_hearing)
        return;
    pubsub->pumping = true;
    while (any) {
        any = tell_missed(pubsub);
        any = tell_replies(pubsub) || any;
        any = carry_out_all(pubsub) || any;
    }
    pubsub->pumping = false;
    alarm_due_at(door_of(pubsub)->with.alarm, topics_deadline(&pubsub->topics));
}

/* ---- messages ---------------------------------------------------------------------------- */

static void spread(struct pubsub *pubsub)
{
    struct metrics_redis *metrics = &pubsub->identity->upstream->metrics;
    size_t limit = door_of(pubsub)->with.config->client_output_limit;
    struct topics_subscriber *subscriber;
    struct slice bytes;

    metrics->messages_received++;
    pubsub->is_hearing = true;
    while ((subscriber = topics_next_hearer(&pubsub->topics, &bytes)) != NULL) {
        struct guest *guest = ear_of(subscriber)->guest;

        metrics->messages_delivered++;
        guest_hear_message(guest, bytes);
        if (guest_is_going(guest) || guest_hear_queued(guest) <= limit)
            continue;
        metrics->output_limit++;
        guest_end(guest, "it does not take what it subscribed to (client_output_limit)");
    }
    pubsub->is_hearing = false;
}

static size_t on_raw(struct line *line, struct slice in)
{
    struct pubsub *pubsub = line->owner;
    size_t used = 0, more;

    while (pubsub->line == line && used < in.length) {
        struct slice rest = {in.at + used, in.length - used};
        enum topics_found found =
            topics_read(&pubsub->topics, rest, &more, door_now(door_of(pubsub)));

        used += more;
        if (found == TOPICS_MORE)
            break;
        if (found == TOPICS_HEARD)
            spread(pubsub);
        if (found == TOPICS_BROKEN)
            lose(pubsub);
        pump(pubsub);
    }
    return pubsub->line == line ? used : in.length;
}

static void on_opened(struct line *line)
{
    struct pubsub *pubsub = line->owner;

    upstream_log(pubsub->identity->upstream, line, "new connection to server", "it subscribes");
    pubsub->identity->upstream->metrics.links_opened++;
    pubsub->tries = 0;
    topics_opened(&pubsub->topics, door_now(door_of(pubsub)));
    pump(pubsub);
}

/* One that was closed while it logged in was there: it is tried again before anybody is told. */
static bool is_opened_again(struct pubsub *pubsub, const struct line *line, enum err e)
{
    if (line->state != LINE_OPENING || e != ERR_BACKEND_LOST || pubsub->tries >= MOST_TRIES)
        return false;
    pubsub->tries++;
    line_close(pubsub->line);
    open_line(pubsub);
    return true;
}

static void on_lost(struct line *line, enum err e, const char *why, const char *reply)
{
    struct pubsub *pubsub = line->owner;
    struct metrics_redis *metrics = &pubsub->identity->upstream->metrics;

    (void)reply;
    upstream_log(pubsub->identity->upstream, line, "closing because", why);
    if (line->state == LINE_OPEN)
        metrics->links_lost++;
    else
        metrics->links_not_opened++;
    if (!is_opened_again(pubsub, line, e))
        lose(pubsub);
    pump(pubsub);
}

static void on_drained(struct line *line)
{
    (void)line;
}

static const struct line_events line_events = {
    .opened = on_opened, .lost = on_lost, .raw = on_raw, .drained = on_drained};

/* ---- guests ------------------------------------------------------------------------------ */

struct pubsub *pubsub_of(struct identity *identity)
{
    const struct config_redis *config = identity->upstream->door->with.config;
    struct topics_limits limits = {
        .answer_ms = config->connect_timeout_ms,
        .idle_ms = config->dedicated_idle_timeout_ms,
        .retry_ms = config->retry_ms,
        .quiet_ms = QUIET_MS,
        .most_names = MOST_NAMES,
        .most_names_each = config->max_subscriptions,
        .longest_name = LONGEST_NAME,
        .longest_message = LONGEST_MESSAGE,
    };

    if (identity->pubsub != NULL)
        return identity->pubsub;
    identity->pubsub = calloc(1, sizeof(*identity->pubsub));
    if (identity->pubsub == NULL)
        return NULL;
    identity->pubsub->identity = identity;
    topics_init(&identity->pubsub->topics, &limits);
    return identity->pubsub;
}

void pubsub_destroy(struct pubsub *pubsub)
{
    if (pubsub == NULL)
        return;
    topics_fini(&pubsub->topics);
    free(pubsub);
}

struct pubsub_ear *pubsub_join(struct pubsub *pubsub, struct guest *guest)
{
    struct pubsub_ear *ear = calloc(1, sizeof(*ear));

    if (ear == NULL)
        return NULL;
    ear->pubsub = pubsub;
    ear->guest = guest;
    topics_join(&ear->subscriber);
    return ear;
}

void pubsub_leave(struct pubsub_ear *ear)
{
    if (ear == NULL)
        return;
    topics_leave(&ear->pubsub->topics, &ear->subscriber);
    pump(ear->pubsub);
    free(ear);
}

enum err pubsub_subscribe(struct pubsub_ear *ear, enum heard_kind kind, const struct slice *names,
                          size_t count)
{
    enum err e = topics_subscribe(&ear->pubsub->topics, &ear->subscriber, kind, names, count);

    pump(ear->pubsub);
    return e;
}

enum err pubsub_unsubscribe(struct pubsub_ear *ear, enum heard_kind kind, const struct slice *names,
                            size_t count)
{
    enum err e = topics_unsubscribe(&ear->pubsub->topics, &ear->subscriber, kind, names, count);

    pump(ear->pubsub);
    return e;
}

/* ---- time, and the end ------------------------------------------------------------------- */

void pubsub_tick(struct pubsub *pubsub, uint64_t now)
{
    (void)now;
    if (pubsub != NULL)
        pump(pubsub);
}

void pubsub_retire(struct pubsub *pubsub)
{
    if (pubsub != NULL && pubsub->line != NULL)
        lose(pubsub);
}
