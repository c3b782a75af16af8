#include "drivers/redis/heard.h"

#include <string.h>

enum {
    MOST_DIGITS = 12,
    LONGEST_BEGINNING = 64,   /* of an array, up to the name */
    LONGEST_LINE = 16 * 1024, /* an error's; it may name what was asked for */
};

static const struct word {
    const char *text;
    size_t items; /* in the array */
    enum heard_what what;
    enum heard_kind kind;
} words[] = {
    {"message", 3, HEARD_MESSAGE, HEARD_CHANNEL},
    {"pmessage", 4, HEARD_MESSAGE, HEARD_PATTERN},
    {"smessage", 3, HEARD_MESSAGE, HEARD_SHARD},
    {"subscribe", 3, HEARD_SUBSCRIBED, HEARD_CHANNEL},
    {"psubscribe", 3, HEARD_SUBSCRIBED, HEARD_PATTERN},
    {"ssubscribe", 3, HEARD_SUBSCRIBED, HEARD_SHARD},
    {"unsubscribe", 3, HEARD_UNSUBSCRIBED, HEARD_CHANNEL},
    {"punsubscribe", 3, HEARD_UNSUBSCRIBED, HEARD_PATTERN},
    {"sunsubscribe", 3, HEARD_UNSUBSCRIBED, HEARD_SHARD},
    {"pong", 2, HEARD_PONG, HEARD_CHANNEL},
};

/* Where it is: at bytes of in are read; or, if that is more than there are, are needed. */
struct reading {
    struct slice in;
    size_t at;
};

static enum heard_found need(struct reading *r, size_t at)
{
    r->at = at;
    return HEARD_MORE;
}

/* The end of a line or bulk, at `at`. */
static enum heard_found read_end(struct reading *r, size_t at)
{
    if (r->in.length < at + 2)
        return need(r, at + 2);
    r->at = at + 2;
    return memcmp(r->in.at + at, "\r\n", 2) == 0 ? HEARD_WHOLE : HEARD_BROKEN;
}

/* "$12\r\n" */
static enum heard_found read_number(struct reading *r, uint8_t type, size_t *number)
{
    size_t at = r->at, value = 0;

    if (at == r->in.length)
        return need(r, at + 4);
    if (r->in.at[at++] != type)
        return HEARD_BROKEN;
    for (; at < r->in.length && r->in.at[at] >= '0' && r->in.at[at] <= '9'; at++)
        value = value * 10 + (r->in.at[at] - '0');
    if (at - r->at > MOST_DIGITS)
        return HEARD_BROKEN;
    if (at == r->in.length)
        return need(r, at + 2);
    if (at == r->at + 1)
        return HEARD_BROKEN;
    *number = value;
    return r->in.at[at] == '\r' ? read_end(r, at) : HEARD_BROKEN;
}

static enum heard_found read_bulk(struct reading *r, struct slice *bulk)
{
    size_t length;
    enum heard_found found = read_number(r, '$', &length);

    if (found != HEARD_WHOLE)
        return found;
    *bulk = (struct slice){r->in.at + r->at, length};
    return read_end(r, r->at + length);
}

static const struct word *find_word(struct slice text)
{
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strlen(words[i].text) == text.length &&
            memcmp(words[i].text, text.at, text.length) == 0)
            return &words[i];
    return NULL;
}

/* What stands behind the name. */
static enum heard_found read_rest(struct heard *heard, struct reading *r)
{
    enum heard_found found = HEARD_WHOLE;
    struct slice ignored;
    size_t count;

    if (heard->what != HEARD_MESSAGE)
        return read_number(r, ':', &count);
    if (heard->kind == HEARD_PATTERN)
        found = read_bulk(r, &ignored); /* the channel */
    return found == HEARD_WHOLE ? read_bulk(r, &ignored) : found;
}

static enum heard_found read_array(struct heard *heard, struct reading *r)
{
    size_t items;
    struct slice text;
    const struct word *word;
    enum heard_found found = read_number(r, '*', &items);

    if (found == HEARD_WHOLE && (items < 2 || items > 4))
        return HEARD_BROKEN;
    if (found == HEARD_WHOLE)
        found = read_bulk(r, &text);
    if (r->at > LONGEST_BEGINNING)
        return HEARD_BROKEN;
    if (found != HEARD_WHOLE)
        return found;
    word = find_word(text);
    if (word == NULL || word->items != items)
        return HEARD_BROKEN;
    heard->what = word->what;
    heard->kind = word->kind;
    found = read_bulk(r, &heard->name);
    if (found != HEARD_WHOLE || heard->what == HEARD_PONG)
        return found;
    heard->is_named = true;
    return read_rest(heard, r);
}

static enum heard_found read_line(struct heard *heard, struct reading *r)
{
    const uint8_t *end = memchr(r->in.at, '\r', r->in.length);
    size_t length = end != NULL ? (size_t)(end - r->in.at) : r->in.length;

    if (length > LONGEST_LINE)
        return HEARD_BROKEN;
    if (end == NULL)
        return need(r, r->in.length + 2);
    heard->error = (struct slice){r->in.at, length};
    heard->what = r->in.at[0] == '-' ? HEARD_ERROR : HEARD_PONG;
    if (heard->what == HEARD_PONG && (length != 5 || memcmp(r->in.at, "+PONG", 5) != 0))
        return HEARD_BROKEN;
    return read_end(r, length);
}

enum heard_found heard_read(struct heard *heard, struct slice in)
{
    struct reading r = {.in = in};
    enum heard_found found;

    *heard = (struct heard){.length = 1};
    if (in.length == 0)
        return HEARD_MORE;
    found = in.at[0] == '*'                      ? read_array(heard, &r)
            : in.at[0] == '-' || in.at[0] == '+' ? read_line(heard, &r)
                                                 : HEARD_BROKEN;
    heard->length = r.at;
    return found;
}
