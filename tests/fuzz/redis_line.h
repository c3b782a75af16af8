/*
 * tests/fuzz/redis_line.h - a line of fuzz_redis_relay.c: its trunk, the Redis at its other end,
 * and whose each byte is that this one says.
 *
 *      line_give(line, &ask);                   Redis will read it
 *      line_step(line);                         Redis reads one request, or says what is late
 *      line_owner(line, length, &owner, &part)  whose the next bytes are, up to length of them
 */
#ifndef TESTS_FUZZ_REDIS_LINE_H
#define TESTS_FUZZ_REDIS_LINE_H

#include "drivers/redis/trunk.h"
#include "redis_model.h"

enum { MOST_PARTS = 512, OURS = 0 };
#define NOBODYS UINT32_MAX

struct part {
    uint32_t owner;
    size_t length;
};

struct line {
    struct trunk trunk;
    struct model redis;
    struct ask in[MOST_IN];
    size_t in_first, in_count;
    struct part parts[MOST_PARTS];
    size_t parts_count, shown;
    int32_t db;
    uint8_t user, protocol;
    bool is_open, is_shared, is_raw, is_cleaning;
    bool is_poisoned; /* it has said more than it was asked for */
    struct client *guest;
    uint32_t tracker; /* whose tracking it is */
};

static inline void line_close(struct line *line)
{
    trunk_fini(&line->trunk);
    bytes_free(&line->redis.out);
    *line = (struct line){.is_shared = line->is_shared};
}

static inline void line_open(struct line *line, uint8_t user, int32_t db, uint8_t protocol,
                             unsigned variant)
{
    line_close(line);
    trunk_init(&line->trunk);
    model_open(&line->redis, user, protocol, variant);
    line->redis.state.db = line->db = db;
    line->user = user;
    line->protocol = protocol;
    line->is_open = true;
}

static inline bool line_has_room(const struct line *line)
{
    return line->in_count < MOST_IN - 8 && line->parts_count < MOST_PARTS - 8;
}

static inline void line_give(struct line *line, const struct ask *ask)
{
    REQUIRE(line->in_count < MOST_IN);
    line->in[(line->in_first + line->in_count++) % MOST_IN] = *ask;
}

/* Whatever out has more than before is his. */
static inline void line_said(struct line *line, size_t before, uint32_t owner)
{
    size_t length = line->redis.out.length - before;

    REQUIRE(line->parts_count < MOST_PARTS && !line->redis.out.failed);
    if (length > 0)
        line->parts[line->parts_count++] = (struct part){owner, length};
}

static inline bool line_is_clean(const struct line *line)
{
    const struct model *m = &line->redis;
    const struct model_state *s = &m->state;

    return !s->multi && !s->watching && !s->dirty_exec && !s->tracking && !s->odd && !s->keeps &&
           !s->no_evict && !s->endless && !s->silent && !s->skips && !s->named &&
           s->subscribed == 0 && s->user == line->user && s->protocol == line->protocol &&
           s->db == line->db && !m->is_blocked && m->late_owner == 0 && !m->is_closed &&
           line->in_count == 0 && m->out.length == 0;
}

static inline void line_say_late(struct line *line)
{
    size_t before = line->redis.out.length;

    bytes_print(&line->redis.out, "+OK late\r\n");
    line_said(line, before, line->redis.late_owner);
    line->redis.late_owner = 0;
    line->is_poisoned = true;
}

static inline bool line_is_same(const struct model_state *a, const struct model_state *b)
{
    return a->multi == b->multi && a->watching == b->watching && a->tracking == b->tracking &&
           a->odd == b->odd && a->keeps == b->keeps && a->no_evict == b->no_evict &&
           a->endless == b->endless && a->silent == b->silent && a->skips == b->skips &&
           a->named == b->named && a->protocol == b->protocol && a->user == b->user &&
           a->subscribed == b->subscribed && a->db == b->db;
}

/* False: there is nothing it could do. */
static inline bool line_step(struct line *line)
{
    struct model *m = &line->redis;
    struct model_state was = m->state;
    size_t before = m->out.length;
    struct ask ask;

    if (!line->is_open || line->parts_count >= MOST_PARTS - 8)
        return false;
    if (m->late_owner != 0) {
        line_say_late(line);
        return true;
    }
    if (line->in_count == 0 || m->is_blocked || m->is_closed)
        return false;
    ask = line->in[line->in_first];
    line->in_first = (line->in_first + 1) % MOST_IN;
    line->in_count--;
    model_do(m, &ask);
    line_said(line, before, ask.owner);
    if (m->state.tracking && !was.tracking)
        line->tracker = ask.owner;
    if (line->is_shared) /* what others rely on */
        REQUIRE(line_is_same(&m->state, &was) && m->replies == 1 && !m->is_blocked &&
                !m->is_closed && m->late_owner == 0);
    return true;
}

static inline bool line_unblock(struct line *line)
{
    size_t before = line->redis.out.length;

    if (!line->is_open || !line->redis.is_blocked || line->parts_count >= MOST_PARTS - 8)
        return false;
    model_unblock(&line->redis, &line->redis.blocking);
    line_said(line, before, line->redis.blocking.owner);
    return true;
}

/* The next bytes are used. */
static inline void line_use(struct line *line, size_t length, uint32_t *owner, size_t *used)
{
    struct part *part = &line->parts[0];

    REQUIRE(line->parts_count > 0 && length <= line->shown);
    *owner = part->owner;
    *used = part->length < length ? part->length : length;
    part->length -= *used;
    line->shown -= *used;
    bytes_drop(&line->redis.out, *used);
    if (part->length == 0)
        memmove(part, part + 1, --line->parts_count * sizeof(*part));
}

#endif
