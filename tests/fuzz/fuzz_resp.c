/*
 * What the reader makes of: any bytes, which must not depend on how they are cut; RESP2, of which
 * hiredis' reader must think the same, also with a byte in it changed; and RESP3, whose values the
 * model below has counted while it wrote them.
 *
 * hiredis: redisReader without functions makes no objects; the length of a value is what its
 * buffer has lost. 0.14 knows RESP2 alone, and arrays seven deep; 1.x looks into lines.
 */
#include <hiredis/read.h>
#include <stdlib.h>
#include <string.h>

#include "choices.h"
#include "drivers/redis/resp.h"
#include "fuzz.h"

enum { MOST_VALUES = 64, MOST_DEPTH = 4, MOST_ELEMENTS = 5, MOST_BODY = 20 };

/* The values of a stream: their kinds, where they end, and what comes behind them. */
struct outcome {
    size_t count;
    uint8_t kinds[MOST_VALUES];
    size_t ends[MOST_VALUES];
    enum resp_found last; /* MORE: the stream ended, maybe between values */
    bool is_between;
};

/* ---- the reader -------------------------------------------------------------------------- */

/* Never without a place, so that offsets can be added to it. */
static struct slice all_of(const struct bytes *stream)
{
    return stream->length > 0 ? (struct slice){stream->at, stream->length} : SLICE("");
}

/* Memory of its own, so that the sanitizer sees a byte read too far. */
static enum resp_found show(struct resp *resp, struct slice in, size_t *used)
{
    uint8_t *copy = malloc(in.length ? in.length : 1);
    enum resp_found found;

    REQUIRE(copy != NULL);
    if (in.length > 0)
        memcpy(copy, in.at, in.length);
    found = resp_read(resp, (struct slice){copy, in.length}, used);
    free(copy);
    REQUIRE(*used <= in.length);
    return found;
}

/* Shows pieces of so many bytes, each behind what was not used of the last. */
static struct outcome outcome_of(struct slice in, size_t piece)
{
    struct resp resp = {0};
    struct outcome outcome = {.last = RESP_MORE};
    size_t begin = 0, end = 0, used;

    while (outcome.count < MOST_VALUES) {
        outcome.last = show(&resp, (struct slice){in.at + begin, end - begin}, &used);
        begin += used;
        if (outcome.last == RESP_BROKEN)
            break;
        if (outcome.last == RESP_WHOLE) {
            REQUIRE(resp_is_between(&resp));
            outcome.kinds[outcome.count] = resp.kind;
            outcome.ends[outcome.count++] = begin;
            continue;
        }
        REQUIRE(end - begin < RESP_HEAD_MOST);
        if (end == in.length)
            break;
        end = in.length - end > piece ? end + piece : in.length;
    }
    outcome.is_between = resp_is_between(&resp) && begin == end;
    return outcome;
}

static void be_alike(const struct outcome *a, const struct outcome *b)
{
    REQUIRE(a->count == b->count && a->last == b->last && a->is_between == b->is_between);
    REQUIRE(memcmp(a->kinds, b->kinds, a->count) == 0);
    REQUIRE(memcmp(a->ends, b->ends, a->count * sizeof(a->ends[0])) == 0);
}

static struct outcome read_in_all_ways(struct slice in, struct choices *choices)
{
    struct outcome whole = outcome_of(in, in.length), pieces = outcome_of(in, 1), others;

    be_alike(&whole, &pieces);
    others = outcome_of(in, 2u + choose(choices) % 30);
    be_alike(&whole, &others);
    return whole;
}

/* ---- the model --------------------------------------------------------------------------- */

static void add_value(struct bytes *out, struct choices *choices, unsigned protocol,
                      unsigned depth);

/* Bytes that look like what they are not, and no kind that only RESP3 has. */
static void add_body(struct bytes *out, struct choices *choices, size_t length)
{
    static const char letters[] = "+-:$*\r\n019aX";

    for (; length > 0; length--)
        bytes_add(out, &letters[choose(choices) % (sizeof(letters) - 1)], 1);
}

/* Without LF: nothing ends early. A CR would do no harm either, but hiredis 1 wants none. */
static void add_line(struct bytes *out, struct choices *choices, unsigned protocol, uint8_t kind)
{
    static const char letters[] = "+-:$*019aX\r";
    size_t count = protocol == 3 ? sizeof(letters) - 1 : sizeof(letters) - 2;

    bytes_add(out, &kind, 1);
    for (unsigned length = choose(choices) % MOST_BODY; length > 0; length--)
        bytes_add(out, &letters[choose(choices) % count], 1);
    bytes_add(out, "\r\n", 2);
}

static void add_bulk(struct bytes *out, struct choices *choices, uint8_t kind)
{
    size_t length = choose(choices) % (2 * MOST_BODY);

    bytes_print(out, "%c%zu\r\n", kind, length);
    add_body(out, choices, length);
    bytes_add(out, "\r\n", 2);
}

/* count: what is announced; each: values for each of it. */
static void add_aggregate(struct bytes *out, struct choices *choices, unsigned protocol,
                          unsigned depth, uint8_t kind)
{
    unsigned count = choose(choices) % MOST_ELEMENTS;
    unsigned values = kind == '%' || kind == '|' ? 2 * count : count;

    if (depth >= MOST_DEPTH)
        count = values = 0;
    bytes_print(out, "%c%u\r\n", kind, count);
    for (; values > 0; values--) {
        /* What may stand between two elements, and is not one. */
        if (protocol == 3 && choose(choices) % 8 == 0)
            add_aggregate(out, choices, protocol, depth + 1, choose(choices) % 2 ? '>' : '|');
        add_value(out, choices, protocol, depth + 1);
    }
}

static void add_integer(struct bytes *out, struct choices *choices)
{
    int64_t value = (int8_t)choose(choices);

    if (choose(choices) % 4 == 0)
        value *= INT64_MAX / 128;
    resp_add_integer(out, value);
}

static void add_value(struct bytes *out, struct choices *choices, unsigned protocol, unsigned depth)
{
    static const char *const kinds[] = {[2] = "+-:$$**n0", [3] = "+-:$$**n0,(=!#_%~"};
    uint8_t kind = (uint8_t)kinds[protocol][choose(choices) % strlen(kinds[protocol])];

    if (kind == 'n')
        bytes_add(out, "$-1\r\n", 5);
    else if (kind == '0')
        bytes_add(out, "*-1\r\n", 5);
    else if (kind == ':')
        add_integer(out, choices);
    else if (kind == '#')
        bytes_add(out, choose(choices) % 2 ? "#t\r\n" : "#f\r\n", 4);
    else if (kind == '_')
        bytes_add(out, "_\r\n", 3);
    else if (strchr("*%~", kind) != NULL)
        add_aggregate(out, choices, protocol, depth, kind);
    else if (strchr("$=!", kind) != NULL)
        add_bulk(out, choices, kind);
    else
        add_line(out, choices, protocol, kind);
}

/* ---- what is tried ----------------------------------------------------------------------- */

static void read_anything(struct choices *choices)
{
    static const char letters[] = "+-:$*%~>|#_,(=!\r\n\r\n\r\n00112-9tfa";
    struct bytes stream = {0};
    bool is_plain = choose(choices) % 4 == 0;
    struct choices rest = *choices;

    while (rest.length > 0) {
        uint8_t byte = choose(&rest);

        bytes_add(&stream, is_plain ? (const char *)&byte : &letters[byte % (sizeof(letters) - 1)],
                  1);
    }
    (void)read_in_all_ways(all_of(&stream), choices);
    bytes_free(&stream);
}

static void read_resp3(struct choices *choices)
{
    struct bytes stream = {0};
    struct outcome expected = {.last = RESP_MORE, .is_between = true}, outcome;

    while (choices->length > 0 && expected.count < MOST_VALUES - 1) {
        bool is_push = choose(choices) % 8 == 0, has_attribute = choose(choices) % 8 == 0;
        size_t begin;

        if (has_attribute && !is_push)
            add_aggregate(&stream, choices, 3, 0, '|');
        if (has_attribute && !is_push && choose(choices) % 2) /* and before what it belongs to */
            add_aggregate(&stream, choices, 3, 0, '>');
        begin = stream.length;
        if (is_push)
            add_aggregate(&stream, choices, 3, 0, '>');
        else
            add_value(&stream, choices, 3, 0);
        REQUIRE(!stream.failed);
        expected.kinds[expected.count] = stream.at[begin];
        expected.ends[expected.count++] = stream.length;
    }
    outcome = read_in_all_ways(all_of(&stream), choices);
    be_alike(&expected, &outcome);
    bytes_free(&stream);
}

/* The first value as hiredis has it; is_only_theirs: it is broken by what weir does not look at,
 * or by a limit that weir does not have. */
static enum resp_found ask_hiredis(struct slice in, size_t *length, bool *is_only_theirs)
{
    redisReader *reader = redisReaderCreateWithFunctions(NULL);
    enum resp_found found = RESP_MORE;
    void *reply = NULL;

    REQUIRE(reader != NULL);
    REQUIRE(redisReaderFeed(reader, (const char *)in.at, in.length) == REDIS_OK);
    if (redisReaderGetReply(reader, &reply) != REDIS_OK)
        found = RESP_BROKEN;
    else if (reply != NULL)
        found = RESP_WHOLE;
    *length = in.length - (reader->len - reader->pos);
    *is_only_theirs = strstr(reader->errstr, "integer") != NULL ||
                      strstr(reader->errstr, "simple string") != NULL ||
                      strstr(reader->errstr, "nested") != NULL;
    redisReaderFree(reader);
    return found;
}

/* weir is stricter: it knows no length that Redis would not write, and looks at the end of a bulk.
 * hiredis looks at what stands in lines. Else they agree, to the byte. */
static void agree_with_hiredis(struct slice in, bool is_sound)
{
    struct outcome ours = outcome_of(in, in.length);
    size_t length;
    bool is_only_theirs;
    enum resp_found theirs = ask_hiredis(in, &length, &is_only_theirs);

    if (is_sound)
        REQUIRE(theirs == RESP_WHOLE && ours.count > 0);
    if (ours.count == 0 && ours.last == RESP_BROKEN)
        return;
    if (theirs == RESP_BROKEN)
        REQUIRE(is_only_theirs);
    if (theirs == RESP_MORE)
        REQUIRE(ours.count == 0);
    if (theirs == RESP_WHOLE)
        REQUIRE(ours.count > 0 && ours.ends[0] == length);
}

static void read_resp2(struct choices *choices)
{
    static const char letters[] = "+-:$*\r\n019aX";
    struct bytes stream = {0};
    size_t end;

    add_value(&stream, choices, 2, 0);
    REQUIRE(!stream.failed);
    end = stream.length;
    agree_with_hiredis((struct slice){stream.at, end}, true);
    for (size_t length = 1; length < end; length++)
        agree_with_hiredis((struct slice){stream.at, length}, false);
    add_value(&stream, choices, 2, 0);
    REQUIRE(!stream.failed);
    for (size_t at = 0; at < end; at += 1u + choose(choices) % 8) {
        uint8_t was = stream.at[at];

        stream.at[at] = (uint8_t)letters[choose(choices) % (sizeof(letters) - 1)];
        agree_with_hiredis(all_of(&stream), false);
        stream.at[at] = was;
    }
    bytes_free(&stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};

    switch (choose(&choices) % 3) {
    case 0:
        read_anything(&choices);
        break;
    case 1:
        read_resp2(&choices);
        break;
    case 2:
        read_resp3(&choices);
        break;
    }
    return 0;
}
