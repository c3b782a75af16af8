#include "drivers/redis/line.h"

#include <openssl/ssl.h>
#include <stdlib.h>

enum { KEEP_BELOW = 64 * 1024 }; /* a larger buffer is given back when it was sent */

static struct line *line_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct line, stream);
}

void line_home_init(struct line_home *home, struct stream_home *streams)
{
    *home = (struct line_home){.streams = streams};
    list_init(&home->unsent);
}

/* ---- its end ----------------------------------------------------------------------------- */

static void lose(struct line *line, enum err e, const char *why, const char *reply)
{
    if (line->is_lost || line->state == LINE_CLOSING)
        return;
    line->is_lost = true;
    if (line->has_stream)
        stream_pause(&line->stream);
    line->events->lost(line, e, why, reply);
}

static void free_line(struct line *line)
{
    trunk_fini(&line->trunk);
    bytes_free(&line->out);
    SSL_free(line->ssl);
    free(line);
}

static void on_closed(struct stream *stream)
{
    free_line(line_of(stream));
}

void line_close(struct line *line)
{
    if (line->state == LINE_CLOSING)
        return;
    line->state = LINE_CLOSING;
    if (link_is_linked(&line->unsent))
        list_remove(&line->home->unsent, &line->unsent);
    if (line->connect != NULL)
        connect_stop(line->connect);
    line->connect = NULL;
    if (line->has_stream)
        stream_close(&line->stream);
    else
        free_line(line);
}

/* ---- what comes -------------------------------------------------------------------------- */

static size_t show_replies(struct line *line, struct slice in)
{
    enum trunk_found found = TRUNK_MORE;
    struct trunk_run run;
    size_t used = 0;

    while (line->state == LINE_OPEN && !line->is_lost &&
           (!line->is_raw || line->trunk.replies > 0)) {
        found = trunk_next(&line->trunk, (struct slice){in.at + used, in.length - used}, &run);
        if (found != TRUNK_RUN)
            break;
        if (run.whom == NULL)
            line->counts->swallowed += run.whole;
        line->events->reply(line, &run, (struct slice){in.at + used, run.length});
        used += run.length;
    }
    if (found == TRUNK_BROKEN)
        lose(line, ERR_PROTOCOL, "Redis sent what is no reply, or answers nobody", NULL);
    return used;
}

static size_t on_bytes(struct stream *stream, struct slice in)
{
    struct line *line = line_of(stream);
    size_t used;

    if (line->is_lost)
        return in.length;
    line->counts->reads++;
    line->reads++;
    line->heard = uv_now(line->home->streams->loop);
    used = show_replies(line, in);
    if (line->is_raw && line->trunk.replies == 0 && line->state == LINE_OPEN && used < in.length)
        used += line->events->raw(line, (struct slice){in.at + used, in.length - used});
    line->counts->bytes_in += used;
    return line->is_lost ? in.length : used;
}

static void on_ended(struct stream *stream, enum err why)
{
    lose(line_of(stream), ERR_BACKEND_LOST,
         why == ERR_OK ? "Redis closed the connection" : "the connection to Redis broke", NULL);
}

static void on_drained(struct stream *stream)
{
    struct line *line = line_of(stream);

    if (line->state == LINE_OPEN && !line->is_lost)
        line->events->drained(line);
}

static const struct stream_events stream_events = {on_bytes, on_ended, on_drained, on_closed};

/* ---- opening ----------------------------------------------------------------------------- */

static enum err adopt(struct line *line, const struct connect_result *result)
{
    struct stream_home *streams = line->home->streams;

    line->has_stream = true; /* and its events.closed comes whatever happens */
    line->ssl = result->ssl;
    if (result->ssl != NULL)
        return stream_adopt_tls(&line->stream, streams, &stream_events, result->fd, result->ssl);
    return stream_adopt(&line->stream, streams, &stream_events, result->fd);
}

static void on_connected(void *owner, const struct connect_result *result)
{
    struct line *line = owner;

    line->connect = NULL;
    line->version = result->version;
    if (result->err != ERR_OK) {
        lose(line, result->err, result->why, result->reply);
    } else if (adopt(line, result) != ERR_OK) {
        lose(line, ERR_IO, "the connection to Redis could not be used", NULL);
    } else {
        line->state = LINE_OPEN;
        stream_read(&line->stream);
        line->events->opened(line);
    }
}

struct line *line_open(struct line_home *home, const struct connect_target *target,
                       const struct line_events *events, void *owner, void *slot)
{
    struct line *line = calloc(1, sizeof(*line));

    if (line == NULL)
        return NULL;
    line->home = home;
    line->events = events;
    line->owner = owner;
    line->slot = slot;
    line->db = target->database;
    line->since = uv_now(home->streams->loop);
    trunk_init(&line->trunk);
    line->connect = connect_start(home->streams->loop, target, line, on_connected);
    if (line->connect == NULL) {
        free(line);
        return NULL;
    }
    return line;
}

/* ---- what goes --------------------------------------------------------------------------- */

enum err line_ask(struct line *line, void *whom, const struct trunk_note *note, struct slice bytes,
                  uint64_t now)
{
    enum err e;

    ASSERT(line->state == LINE_OPEN && !line->is_raw);
    bytes_add(&line->out, bytes.at, bytes.length);
    if (line->out.failed) {
        /* What was gathered for others is gone, too: only the end is honest. */
        lose(line, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY), NULL);
        return ERR_NO_MEMORY;
    }
    if ((e = trunk_owe(&line->trunk, whom, note, now)) != ERR_OK) {
        line->out.length -= bytes.length;
        return e;
    }
    line->asked += note->count;
    if (!link_is_linked(&line->unsent))
        list_push_back(&line->home->unsent, &line->unsent);
    return ERR_OK;
}

static void write_now(struct line *line, struct slice bytes)
{
    line->counts->writes++;
    line->counts->bytes_out += bytes.length;
    stream_write(&line->stream, &bytes, 1);
}

void line_flush(struct line *line)
{
    if (link_is_linked(&line->unsent))
        list_remove(&line->home->unsent, &line->unsent);
    if (line->out.length == 0 || line->state != LINE_OPEN)
        return;
    write_now(line, (struct slice){line->out.at, line->out.length});
    if (line->out.capacity > KEEP_BELOW)
        bytes_free(&line->out);
    else
        bytes_clear(&line->out);
    /* What the socket took at once, its stream does not tell. */
    if (line->state == LINE_OPEN && !line->is_lost && stream_queued(&line->stream) == 0)
        line->events->drained(line);
}

void line_flush_all(struct line_home *home)
{
    struct line *line;

    while ((line = LIST_FRONT(&home->unsent, struct line, unsent)) != NULL)
        line_flush(line);
}

void line_send(struct line *line, struct slice bytes)
{
    line_flush(line);
    if (line->state == LINE_OPEN)
        write_now(line, bytes);
}

size_t line_queued(const struct line *line)
{
    return line->out.length + (line->has_stream ? stream_queued(&line->stream) : 0);
}

bool line_is_stale(const struct line *line)
{
    return line->trunk.replies > 0 || stream_has_unread(&line->stream);
}
