/*
 * tests/fuzz/names_model.h - PostgreSQL's prepared statements, small enough to be fuzzed.
 *
 * The extended protocol of a backend that knows names (postgres.c, prepare.c of PostgreSQL 15).
 * What a statement does is its first letter; what it is, its whole text and types, is in each
 * row and description of it:
 *
 *      r rows   n no rows   e error   x does not parse   b BEGIN   k COMMIT   z ROLLBACK   c COPY
 * FROM "deallocate all"   "deallocate NAME"   "discard all"   "execute NAME"
 *
 * With moods, a batch may fail at any message as if its time were over, and the server may die.
 */
#ifndef TESTS_FUZZ_NAMES_MODEL_H
#define TESTS_FUZZ_NAMES_MODEL_H

#include <stdio.h>

#include "choices.h"
#include "drivers/postgres/wire.h"

enum {
    MODEL_HEADER = 5,
    MODEL_BUFFER = 8192, /* what the server keeps to itself before it sends */
    MODEL_NAME = 63,
    MODEL_NAMES = 128,
    MODEL_TEXT = 32,
};

/* The body of a Parse behind its name, or the beginning of it. */
struct model_text {
    size_t length;
    uint8_t head[MODEL_TEXT];
};

struct model_name {
    char name[MODEL_NAME + 1];
    struct model_text text;
};

struct model {
    struct bytes in, kept, out; /* not read yet; said and not sent; sent */
    struct choices *moods;      /* NULL: none */
    uint8_t status;             /* 'I', 'T', 'E' */
    bool implicit;              /* a transaction is open that BEGIN did not open */
    bool extended, skipping;    /* doing_extended_query_message, ignore_till_sync */
    bool copying, by_query;
    bool dead;
    bool forgot; /* by a batch and not a Query; until it is reset */
    bool vague;  /* one was forgotten, and nobody may have seen which */
    bool has_unnamed;
    bool own;           /* whoever talks now has parsed it, and may count on it ... */
    bool lasting;       /* ... even behind the end of its transaction: it was not bound in it */
    bool parsed, bound; /* since the last Sync */
    struct model_text unnamed;
    bool open[2]; /* portals: the unnamed one and another */
    struct model_text portals[2];
    size_t count;
    struct model_name names[MODEL_NAMES];
};

/* ---- saying ------------------------------------------------------------------------------ */

static void model_flush(struct model *m)
{
    bytes_add(&m->out, m->kept.at, m->kept.length);
    bytes_clear(&m->kept);
}

static void model_say(struct model *m, uint8_t type, const void *body, size_t length)
{
    uint8_t header[MODEL_HEADER] = {type};

    bytes_put_u32(header + 1, (uint32_t)length + 4);
    bytes_add(&m->kept, header, sizeof(header));
    bytes_add(&m->kept, body, length);
    while (m->kept.length >= MODEL_BUFFER) {
        bytes_add(&m->out, m->kept.at, MODEL_BUFFER);
        bytes_drop(&m->kept, MODEL_BUFFER);
    }
}

static void model_say_tag(struct model *m, const char *tag)
{
    model_say(m, WIRE_COMMAND_COMPLETE, tag, strlen(tag) + 1);
}

static void model_say_text(struct model *m, uint8_t type, const struct model_text *text)
{
    model_say(m, type, text, sizeof(*text));
}

static void model_close_portals(struct model *m)
{
    m->open[0] = m->open[1] = false;
}

static void model_say_ready(struct model *m)
{
    m->implicit = false;
    if (m->status == 'I')
        model_close_portals(m);
    model_say(m, WIRE_READY_FOR_QUERY, &m->status, 1);
    model_flush(m);
}

static void model_fail(struct model *m)
{
    static const char error[] = "SERROR\0VERROR\0C26000\0Mno\0";

    model_say(m, WIRE_ERROR_RESPONSE, error, sizeof(error));
    model_flush(m);
    model_close_portals(m);
    m->status = m->status == 'I' ? 'I' : 'E';
    m->implicit = m->copying = m->parsed = false;
    m->skipping = m->extended;
    if (!m->skipping)
        model_say_ready(m);
}

static void model_die(struct model *m)
{
    static const char fatal[] = "SFATAL\0VFATAL\0C57P01\0Mthe end\0";

    model_say(m, WIRE_ERROR_RESPONSE, fatal, sizeof(fatal));
    model_flush(m);
    m->dead = true;
}

/* ---- names ------------------------------------------------------------------------------- */

static struct model_name *model_find(struct model *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (strncmp(m->names[i].name, name, MODEL_NAME) == 0)
            return &m->names[i];
    return NULL;
}

static const struct model_text *model_statement(struct model *m, const char *name)
{
    const struct model_name *n = model_find(m, name);

    if (name[0] == '\0')
        return m->has_unnamed ? &m->unnamed : NULL;
    return n != NULL ? &n->text : NULL;
}

static void model_forget(struct model *m, const char *name)
{
    struct model_name *n = model_find(m, name);

    if (name[0] == '\0')
        m->has_unnamed = m->own = m->lasting = false;
    else if (n != NULL)
        *n = m->names[--m->count];
}

static bool model_starts(const struct model_text *text, const char *with)
{
    return strncmp((const char *)text->head, with, strlen(with)) == 0;
}

static bool model_is_exit(const struct model_text *text)
{
    return text->head[0] == 'k' || text->head[0] == 'z';
}

/* Whether it may not be done now: the transaction has failed, and it does not end it. */
static bool model_is_barred(const struct model *m, const struct model_text *text)
{
    return m->status == 'E' && !model_is_exit(text);
}

/* ---- statements -------------------------------------------------------------------------- */

static bool model_row(struct model *m, const struct model_text *text)
{
    if (text->head[0] == 'r')
        model_say_text(m, WIRE_DATA_ROW, text);
    model_say_tag(m, text->head[0] == 'r' ? "SELECT 1" : "INSERT 0 1");
    return true;
}

/* False: it has failed. */
static bool model_run_sql(struct model *m, const struct model_text *text)
{
    const char *sql = (const char *)text->head, *name = strchr(sql, ' ') + 1;
    const struct model_text *statement = model_statement(m, name);

    if (model_starts(text, "deallocate all") || model_starts(text, "discard all")) {
        if (sql[1] == 'i' && m->status != 'I')
            return false;
        m->count = 0;
        m->forgot = m->extended;
        model_say_tag(m, sql[1] == 'i' ? "DISCARD ALL" : "DEALLOCATE ALL");
        return true;
    }
    if (statement == NULL ||
        strchr("rn", model_starts(text, "execute") ? statement->head[0] : 'r') == NULL)
        return false;
    if (model_starts(text, "execute"))
        return model_row(m, statement);
    m->vague = true;
    model_forget(m, name);
    model_say_tag(m, "DEALLOCATE");
    return true;
}

/* False: it has failed, or copies. */
static bool model_run(struct model *m, const struct model_text *text)
{
    if (text->head[0] == 'e' && text->head[1] != 'x' && !model_is_barred(m, text))
        return false;
    if (model_is_barred(m, text))
        return false;
    switch (text->head[0]) {
    case 'b':
        m->status = 'T';
        model_say_tag(m, "BEGIN");
        return true;
    case 'k':
    case 'z':
        model_say_tag(m, text->head[0] == 'z' || m->status == 'E' ? "ROLLBACK" : "COMMIT");
        m->status = 'I';
        model_close_portals(m);
        return true;
    case 'c':
        model_say(m, WIRE_COPY_IN_RESPONSE, "\0\0", 3);
        model_flush(m);
        m->copying = true;
        return true;
    case 'd':
    case 'e':
        return model_run_sql(m, text);
    case 'x':
        return false;
    default:
        return model_row(m, text);
    }
}

static struct model_text model_text_of(struct slice body)
{
    struct model_text text = {.length = body.length};

    memcpy(text.head, body.at, body.length < MODEL_TEXT ? body.length : MODEL_TEXT);
    return text;
}

static void model_query(struct model *m, struct slice body)
{
    struct model_text text = model_text_of(body);

    m->has_unnamed = m->own = m->lasting = m->parsed = false;
    m->by_query = true;
    if (!model_run(m, &text))
        model_fail(m);
    else if (!m->copying)
        model_say_ready(m);
}

/* ---- batches ----------------------------------------------------------------------------- */

static void model_parse(struct model *m, struct slice body)
{
    const char *name = (const char *)body.at;
    size_t length = strlen(name) + 1;
    struct model_text text = model_text_of((struct slice){body.at + length, body.length - length});
    bool moody = m->moods != NULL && choose(m->moods) >= 0xf0;

    if (name[0] == '\0')
        m->has_unnamed = m->own = m->lasting = m->parsed = false;
    if (text.head[0] == 'x' || moody || model_is_barred(m, &text) || model_find(m, name) != NULL) {
        model_fail(m);
        return;
    }
    if (name[0] == '\0') {
        m->has_unnamed = m->own = m->parsed = true;
        m->bound = false;
        m->unnamed = text;
    } else {
        REQUIRE(m->count < MODEL_NAMES);
        snprintf(m->names[m->count].name, sizeof(m->names[0].name), "%s", name);
        m->names[m->count++].text = text;
    }
    model_say(m, WIRE_PARSE_COMPLETE, NULL, 0);
}

static void model_bind(struct model *m, struct slice body)
{
    const char *portal = (const char *)body.at;
    const struct model_text *text = model_statement(m, portal + strlen(portal) + 1);
    unsigned which = portal[0] != '\0';

    if (text == NULL || model_is_barred(m, text) || (which && m->open[which])) {
        model_fail(m);
        return;
    }
    m->open[which] = m->bound = true;
    m->portals[which] = *text;
    model_say(m, WIRE_BIND_COMPLETE, NULL, 0);
}

static void model_describe(struct model *m, struct slice body)
{
    const char *name = (const char *)body.at + 1;
    unsigned which = name[0] != '\0';
    const struct model_text *text = m->open[which] ? &m->portals[which] : NULL;

    if (body.at[0] == 'S')
        text = model_statement(m, name);
    if (text == NULL || model_is_barred(m, text)) {
        model_fail(m);
        return;
    }
    if (body.at[0] == 'S')
        model_say_text(m, WIRE_PARAMETER_DESCRIPTION, text);
    if (text->head[0] == 'r')
        model_say_text(m, WIRE_ROW_DESCRIPTION, text);
    else
        model_say(m, WIRE_NO_DATA, NULL, 0);
}

static void model_close(struct model *m, struct slice body)
{
    const char *name = (const char *)body.at + 1;

    if (body.at[0] == 'S')
        model_forget(m, name);
    else
        m->open[name[0] != '\0'] = false;
    model_say(m, WIRE_CLOSE_COMPLETE, NULL, 0);
}

static void model_execute(struct model *m, struct slice body)
{
    unsigned which = body.at[0] != '\0';
    struct model_text text = m->portals[which];

    m->by_query = false;
    if (!m->open[which] || !model_run(m, &text))
        model_fail(m);
}

static void model_sync(struct model *m)
{
    m->lasting |= m->parsed && !m->bound;
    if (m->status == 'I')
        m->own = m->lasting;
    m->parsed = false;
    model_say_ready(m);
}

/* ---- the loop ---------------------------------------------------------------------------- */

static void model_copy(struct model *m, uint8_t type)
{
    if (type == WIRE_COPY_DONE) {
        m->copying = false;
        model_say_tag(m, "COPY 1");
        if (m->by_query)
            model_say_ready(m);
    } else if (type == WIRE_COPY_FAIL) {
        m->extended = !m->by_query;
        model_fail(m);
    } else if (memchr("dHS", type, 3) == NULL) {
        model_die(m);
    }
}

static void model_main(struct model *m, uint8_t type, struct slice body)
{
    m->implicit |= m->extended && type != WIRE_FLUSH;
    if (type == WIRE_QUERY)
        model_query(m, body);
    else if (type == WIRE_PARSE)
        model_parse(m, body);
    else if (type == WIRE_BIND)
        model_bind(m, body);
    else if (type == WIRE_DESCRIBE)
        model_describe(m, body);
    else if (type == WIRE_CLOSE)
        model_close(m, body);
    else if (type == WIRE_EXECUTE)
        model_execute(m, body);
    else if (type == WIRE_SYNC)
        model_sync(m);
    else if (type == WIRE_FLUSH)
        model_flush(m);
}

static void model_message(struct model *m, uint8_t type, struct slice body)
{
    if (m->copying) {
        model_copy(m, type);
        return;
    }
    m->extended = memchr("PBCDEH", type, 6) != NULL;
    if (type == WIRE_SYNC)
        m->skipping = false;
    if (m->skipping)
        return;
    if (m->moods != NULL && m->implicit && memchr("PBCDE", type, 5) && choose(m->moods) >= 0xf0)
        model_fail(m);
    else
        model_main(m, type, body);
}

/* One message. False: it waits for one. */
static bool model_step(struct model *m)
{
    size_t length;

    if (m->dead || m->in.length < MODEL_HEADER)
        return false;
    length = 1 + (size_t)bytes_u32(m->in.at + 1);
    if (m->in.length < length)
        return false;
    model_message(m, m->in.at[0], (struct slice){m->in.at + MODEL_HEADER, length - MODEL_HEADER});
    bytes_drop(&m->in, length);
    return true;
}

/* Nothing of anybody is left in it: what it has not read yet is answered by nothing. */
static bool model_is_idle(const struct model *m)
{
    size_t at = 0;

    while (m->in.length - at >= MODEL_HEADER && memchr("dcfH", m->in.at[at], 4) != NULL)
        at += 1 + (size_t)bytes_u32(m->in.at + at + 1);
    return at == m->in.length && m->kept.length == 0 && m->out.length == 0 && m->status == 'I' &&
           !m->implicit && !m->skipping && !m->copying;
}

static void model_fini(struct model *m)
{
    bytes_free(&m->in);
    bytes_free(&m->kept);
    bytes_free(&m->out);
}

#endif
