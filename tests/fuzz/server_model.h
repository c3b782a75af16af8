/*
 * tests/fuzz/server_model.h - PostgreSQL as a client sees it, small enough to be fuzzed.
 *
 * The backend's message loop (postgres.c, copyfromparse.c, fastpath.c of PostgreSQL 15) without
 * a database: what a statement does stands in the message, one letter a statement.
 *
 *      Query "rc"     rows, then COPY FROM STDIN       r rows        e error     o COPY TO STDOUT
 *      Parse "" "e"   a Parse that fails               c COPY FROM   b BEGIN     k COMMIT, ROLLBACK
 *      Execute "s"    rows and PortalSuspended         s suspended   p SET       0 nothing at all
 *
 * What a server does of its own accord comes from the choices of the fuzzer: it dies, says
 * something aside, a statement's time is over, a COPY fails. Every byte it is given and
 * every byte it says bears a tag: whose request it belongs to.
 */
#ifndef TESTS_FUZZ_SERVER_MODEL_H
#define TESTS_FUZZ_SERVER_MODEL_H

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "choices.h"
#include "drivers/postgres/wire.h"

enum {
    MODEL_HEADER = 5,
    MODEL_BUFFER = 8192, /* what the server keeps to itself before it sends */
    MODEL_SMALL = 10000, /* PQ_SMALL_MESSAGE_LIMIT */
    MODEL_NOBODY = 0,    /* the tag of what nobody asked for */
    MODEL_OURS = 0xff,   /* ... and of what weir asked itself */
};

struct tagged {
    struct bytes bytes, tags;
};

struct model {
    struct choices *choices;
    struct tagged in, kept, out; /* not read yet; said and not sent; sent */
    uint8_t status;              /* 'I', 'T', 'E' */
    uint8_t tag;                 /* whose request it is at */
    bool implicit;               /* a transaction is open that BEGIN did not open */
    bool extended, skipping;     /* doing_extended_query_message, ignore_till_sync */
    bool in_batch;               /* extended messages came since the last ReadyForQuery */
    bool copying, by_query;      /* in COPY FROM STDIN; of a Query */
    bool timed;                  /* statement_timeout runs */
    bool dead;
    bool copy_failed;   /* once, after it began */
    bool query_failed;  /* once, in the middle of a batch */
    bool was_timed_out; /* once */
    bool strayed;       /* it has read copied data in the middle of a batch */
    uint8_t rest[8];    /* of the Query: statements still to do */
    size_t rest_count;
};

/* ---- tagged bytes ------------------------------------------------------------------------ */

static void tagged_add(struct tagged *to, const void *from, size_t length, uint8_t tag)
{
    uint8_t *tags;

    bytes_add(&to->bytes, from, length);
    tags = bytes_extend(&to->tags, length);
    REQUIRE(tags != NULL);
    memset(tags, tag, length);
}

static void tagged_drop(struct tagged *from, size_t length)
{
    bytes_drop(&from->bytes, length);
    bytes_drop(&from->tags, length);
}

static void tagged_free(struct tagged *tagged)
{
    bytes_free(&tagged->bytes);
    bytes_free(&tagged->tags);
}

static void tagged_move(struct tagged *to, struct tagged *from, size_t length)
{
    if (length == 0)
        return;
    bytes_add(&to->bytes, from->bytes.at, length);
    bytes_add(&to->tags, from->tags.at, length);
    tagged_drop(from, length);
}

/* ---- saying ------------------------------------------------------------------------------ */

static void model_flush(struct model *m)
{
    tagged_move(&m->out, &m->kept, m->kept.bytes.length);
}

static void model_say(struct model *m, uint8_t type, const void *body, size_t length)
{
    uint8_t header[MODEL_HEADER] = {type};

    bytes_put_u32(header + 1, (uint32_t)length + 4);
    tagged_add(&m->kept, header, sizeof(header), m->tag);
    if (length > 0)
        tagged_add(&m->kept, body, length, m->tag);
    while (m->kept.bytes.length >= MODEL_BUFFER)
        tagged_move(&m->out, &m->kept, MODEL_BUFFER);
}

static void model_say_text(struct model *m, uint8_t type, const char *text)
{
    model_say(m, type, text, strlen(text) + 1);
}

static void model_say_ready(struct model *m)
{
    model_say(m, WIRE_READY_FOR_QUERY, &m->status, 1);
    m->in_batch = false;
    model_flush(m);
}

static void model_die(struct model *m)
{
    static const char fatal[] = "SFATAL\0VFATAL\0C57P01\0Mthe end\0";

    model_say(m, WIRE_ERROR_RESPONSE, fatal, sizeof(fatal));
    model_flush(m);
    m->dead = true;
}

/* Nobody asked for it, and only a client whose server listens for it alone is to get it. */
static void model_say_notification(struct model *m)
{
    uint8_t tag = m->tag;

    m->tag = MODEL_NOBODY;
    model_say(m, WIRE_NOTIFICATION_RESPONSE, "\0\0\0\7channel\0payload", 20);
    m->tag = tag;
}

static void model_say_aside(struct model *m, uint8_t which)
{
    static const char notice[] = "SNOTICE\0VNOTICE\0C00000\0Mlook\0";

    if (which % 3 == 0)
        model_say(m, WIRE_NOTICE_RESPONSE, notice, sizeof(notice));
    else if (which % 3 == 1)
        model_say(m, WIRE_PARAMETER_STATUS, "TimeZone\0UTC", 13);
    else
        model_say_notification(m);
}

/* ---- transactions ------------------------------------------------------------------------ */

/* Where sigsetjmp() of PostgresMain() returns to. */
static void model_fail(struct model *m)
{
    static const char error[] = "SERROR\0VERROR\0C22012\0Mdivision by zero\0";

    model_say(m, WIRE_ERROR_RESPONSE, error, sizeof(error));
    model_flush(m);
    m->copy_failed |= m->copying;
    m->query_failed |= m->in_batch && !m->extended;
    m->status = m->status == 'I' ? 'I' : 'E';
    m->implicit = m->timed = m->copying = false;
    m->rest_count = 0;
    m->skipping = m->extended;
    if (!m->skipping)
        model_say_ready(m);
}

static void model_end_implicit(struct model *m)
{
    m->implicit = m->timed = false;
}

static void model_begin_implicit(struct model *m)
{
    m->implicit = m->status == 'I';
    m->timed = true;
}

/* ---- statements -------------------------------------------------------------------------- */

static void model_say_rows(struct model *m, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        model_say_text(m, WIRE_DATA_ROW, "row");
}

/* True: it is done. False: it has failed, or copies. */
static bool model_run(struct model *m, uint8_t statement)
{
    if (statement == 'e' || (m->status == 'E' && statement != 'k' && statement != 'R')) {
        model_fail(m);
        return false;
    }
    switch (statement) {
    case 'c':
        model_say_text(m, WIRE_COPY_IN_RESPONSE, "c");
        model_flush(m);
        m->copying = true;
        return false;
    case 'o':
        model_say_text(m, WIRE_COPY_OUT_RESPONSE, "c");
        model_say_text(m, WIRE_COPY_DATA, "line");
        model_say(m, WIRE_COPY_DONE, NULL, 0);
        model_say_text(m, WIRE_COMMAND_COMPLETE, "COPY 1");
        break;
    case 'b':
        m->status = 'T';
        m->implicit = false;
        model_say_text(m, WIRE_COMMAND_COMPLETE, "BEGIN");
        break;
    case 'k':
    case 'R': /* weir's own, in words */
        m->status = 'I';
        m->implicit = false;
        model_say_text(m, WIRE_COMMAND_COMPLETE, "ROLLBACK");
        break;
    case 'p':
        model_say_text(m, WIRE_COMMAND_COMPLETE, "SET");
        break;
    case '0':
        model_say(m, WIRE_EMPTY_QUERY_RESPONSE, NULL, 0);
        break;
    default:
        if (!m->extended)
            model_say_text(m, WIRE_ROW_DESCRIPTION, "columns");
        model_say_rows(m, statement % 5);
        if (m->extended && statement == 's')
            model_say(m, WIRE_PORTAL_SUSPENDED, NULL, 0);
        else
            model_say_text(m, WIRE_COMMAND_COMPLETE, "SELECT");
        break;
    }
    return true;
}

/* The statements of a Query, from where it is. */
static void model_go_on(struct model *m)
{
    while (m->rest_count > 0) {
        uint8_t statement = m->rest[0];

        memmove(m->rest, m->rest + 1, --m->rest_count);
        if (!model_run(m, statement))
            return;
    }
    model_end_implicit(m);
    model_say_ready(m);
}

static void model_query(struct model *m, struct slice body)
{
    m->by_query = true;
    model_begin_implicit(m);
    m->rest_count = 0;
    for (size_t i = 0; i + 1 < body.length && i < sizeof(m->rest); i++)
        m->rest[m->rest_count++] = body.at[i];
    if (m->rest_count == 0)
        model_say(m, WIRE_EMPTY_QUERY_RESPONSE, NULL, 0);
    model_go_on(m);
}

static void model_execute(struct model *m, uint8_t statement)
{
    m->by_query = false;
    model_begin_implicit(m);
    if (model_run(m, statement) && statement != 's')
        m->timed = false;
}

/* ---- COPY FROM STDIN --------------------------------------------------------------------- */

static void model_copy_ends(struct model *m)
{
    m->copying = false;
    model_say_text(m, WIRE_COMMAND_COMPLETE, "COPY 1");
    if (m->by_query)
        model_go_on(m);
    else
        m->timed = false;
}

static void model_copy(struct model *m, uint8_t type)
{
    switch (type) {
    case WIRE_COPY_DATA:
    case WIRE_FLUSH:
    case WIRE_SYNC:
        break;
    case WIRE_COPY_DONE:
        model_copy_ends(m);
        break;
    case WIRE_COPY_FAIL:
        model_fail(m);
        break;
    default: /* in the middle of a message, so nothing can be read any more */
        m->extended = true;
        model_fail(m);
        model_die(m);
        break;
    }
}

/* ---- the loop ---------------------------------------------------------------------------- */

static void model_describe(struct model *m, uint8_t what)
{
    model_begin_implicit(m);
    if (what == 'e') {
        model_fail(m);
        return;
    }
    if (what == 's')
        model_say_text(m, WIRE_PARAMETER_DESCRIPTION, "types");
    if (what == '0')
        model_say(m, WIRE_NO_DATA, NULL, 0);
    else
        model_say_text(m, WIRE_ROW_DESCRIPTION, "columns");
}

/* The answer to Parse, Bind, Close: done, or an error. */
static void model_answer(struct model *m, uint8_t with, uint8_t what)
{
    if (with != WIRE_CLOSE_COMPLETE)
        model_begin_implicit(m);
    if (what == 'e')
        model_fail(m);
    else
        model_say(m, with, NULL, 0);
}

static void model_function(struct model *m, uint8_t what)
{
    model_begin_implicit(m);
    if (what == 'e' || m->status == 'E') {
        model_fail(m);
        return;
    }
    model_say_text(m, WIRE_FUNCTION_CALL_RESPONSE, "result");
    model_end_implicit(m);
    model_say_ready(m);
}

static void model_sync(struct model *m, struct slice body)
{
    if (body.length > 0 || (m->implicit && choose(m->choices) > 250)) { /* COMMIT fails */
        model_fail(m);
        return;
    }
    model_end_implicit(m);
    model_say_ready(m);
}

static void model_main(struct model *m, uint8_t type, struct slice body)
{
    /* What it is to do is its last letter but for the NUL that ends it. */
    uint8_t what = body.length > 1 ? body.at[body.length - 2] : 'r';

    switch (type) {
    case WIRE_QUERY:
        model_query(m, body);
        break;
    case WIRE_PARSE:
        model_answer(m, WIRE_PARSE_COMPLETE, what);
        break;
    case WIRE_BIND:
        model_answer(m, WIRE_BIND_COMPLETE, what);
        break;
    case WIRE_CLOSE:
        model_answer(m, WIRE_CLOSE_COMPLETE, what);
        break;
    case WIRE_DESCRIBE:
        model_describe(m, what);
        break;
    case WIRE_EXECUTE:
        model_execute(m, what);
        break;
    case WIRE_FUNCTION_CALL:
        model_function(m, what);
        break;
    case WIRE_SYNC:
        model_sync(m, body);
        break;
    case WIRE_FLUSH:
        if (body.length > 0)
            model_fail(m);
        else
            model_flush(m);
        break;
    default: /* copied data that comes late, or has no place here */
        m->strayed |= m->in_batch;
        break;
    }
}

static bool model_is_extended(uint8_t type)
{
    return memchr("PBCDEH", type, 6) != NULL;
}

static bool model_is_copy(uint8_t type)
{
    return memchr("dcf", type, 3) != NULL;
}

/* PostgreSQL closes without a word when a length cannot be. */
static bool model_takes(uint8_t type, uint32_t length)
{
    uint32_t most = memchr("CDEHScf", type, 7) != NULL ? MODEL_SMALL : 0x3ffffffe;

    return length >= 4 && length <= most;
}

/* The length of the message that comes next; 0 when it is not all there. */
static size_t model_next(const struct model *m)
{
    const struct bytes *in = &m->in.bytes;
    size_t length;

    if (in->length < MODEL_HEADER)
        return 0;
    length = 1 + (size_t)bytes_u32(in->at + 1);
    return in->length >= length ? length : 0;
}

static void model_message(struct model *m, uint8_t type, struct slice body)
{
    if (m->copying) {
        model_copy(m, type);
        return;
    }
    m->extended = model_is_extended(type);
    if (type == WIRE_SYNC)
        m->skipping = false;
    if (m->skipping)
        return;
    m->in_batch |= m->extended;
    if (memchr("QPBCDEHSFdcf", type, 12) == NULL) {
        model_die(m);
    } else if (m->timed && choose(m->choices) >= 0xe0) {
        m->was_timed_out = true;
        model_fail(m); /* found out now, whatever has been read */
    } else {
        model_main(m, type, body);
    }
}

/* What it does of its own accord; true when that was all it does for now. */
static bool model_of_its_own_accord(struct model *m)
{
    uint8_t chosen = choose(m->choices);
    bool busy = m->copying || m->implicit || m->skipping;

    if (chosen < 0xf0)
        return false;
    if (!busy)
        m->tag = MODEL_NOBODY;
    if (chosen == 0xff)
        model_die(m);
    else if (chosen >= 0xf8 && m->copying)
        model_fail(m);
    else
        model_say_aside(m, chosen);
    if (!busy)
        model_flush(m);
    return true;
}

/* The message belongs to one client, and so does what it falls into: a COPY, or what is
 * dropped up to a Sync. */
static void model_check_owner(const struct model *m, size_t length)
{
    uint8_t owner = m->in.tags.at[0];

    for (size_t i = 1; i < length; i++)
        REQUIRE(m->in.tags.at[i] == owner);
    if (m->copying || (m->skipping && m->in.bytes.at[0] != WIRE_SYNC))
        REQUIRE(owner == m->tag || owner == MODEL_OURS);
}

/* One step: a message, or something nobody asked for. False: it waits. */
static bool model_step(struct model *m)
{
    size_t length = model_next(m);
    uint8_t type;

    if (m->dead || model_of_its_own_accord(m))
        return !m->dead;
    if (m->in.bytes.length >= MODEL_HEADER &&
        !model_takes(m->in.bytes.at[0], bytes_u32(m->in.bytes.at + 1))) {
        m->dead = true;
        return false;
    }
    if (length == 0)
        return false;
    type = m->in.bytes.at[0];
    model_check_owner(m, length);
    if (!m->copying && (!m->skipping || type == WIRE_SYNC)) /* else it is dropped */
        m->tag = m->in.tags.at[0];
    model_message(m, type, (struct slice){m->in.bytes.at + MODEL_HEADER, length - MODEL_HEADER});
    tagged_drop(&m->in, length);
    return true;
}

/* ---- the truth --------------------------------------------------------------------------- */

/* Whether nothing of anybody is left in it: what it has not read yet is whole and will be
 * answered by nothing, whatever happens. */
static bool model_is_idle(const struct model *m)
{
    const struct bytes *in = &m->in.bytes;
    size_t at = 0;

    while (in->length - at >= MODEL_HEADER) {
        uint32_t length = bytes_u32(in->at + at + 1);
        bool harmless = model_is_copy(in->at[at]) || (in->at[at] == WIRE_FLUSH && length == 4);

        if (!harmless || !model_takes(in->at[at], length) || in->length - at < 1 + (size_t)length)
            return false;
        at += 1 + (size_t)length;
    }
    return at == in->length && m->kept.bytes.length == 0 && m->status == 'I' && !m->implicit &&
           !m->skipping && !m->copying;
}

static void model_fini(struct model *m)
{
    tagged_free(&m->in);
    tagged_free(&m->kept);
    tagged_free(&m->out);
}

#endif
