#include "drivers/redis/resp.h"

#include <string.h>

/* ---- reading ----------------------------------------------------------------------------- */

enum place {
    BETWEEN, /* before a value */
    AT_HEAD, /* before an element */
    IN_LINE,
    IN_LINE_AT_CR, /* the last byte was one, and may be the first half of the line's end */
    IN_BULK,
    IN_PIECES, /* of what is not RESP */
};

/* What a first byte announces. */
enum shape { NOTHING, LINE, SHORT_LINE, BULK, AGGREGATE };

static const uint8_t shapes[256] = {
    ['+'] = LINE,       ['-'] = LINE,       [','] = LINE,       ['('] = LINE,
    [':'] = SHORT_LINE, ['#'] = SHORT_LINE, ['_'] = SHORT_LINE, ['$'] = BULK,
    ['!'] = BULK,       ['='] = BULK,       ['*'] = AGGREGATE,  ['%'] = AGGREGATE,
    ['~'] = AGGREGATE,  ['>'] = AGGREGATE,  ['|'] = AGGREGATE,
};

static enum resp_found break_off(struct resp *resp)
{
    resp->place = IN_PIECES;
    return RESP_BROKEN;
}

/* A value's head is used. An aggregate is closed as soon as its last element begins: so whatever
 * ends now ends all of it if nothing is open. */
static inline void begin_value(struct resp *resp, uint8_t kind)
{
    if (resp->place == BETWEEN) {
        resp->kind = kind;
        return;
    }
    if (--resp->open[resp->depth - 1] == 0)
        resp->depth--;
    if (resp->depth == 0 && resp->kind == '|' && kind != '>')
        resp->kind = kind;
}

static inline enum resp_found end_value(struct resp *resp)
{
    if (resp->depth > 0) {
        resp->place = AT_HEAD;
        return RESP_MORE;
    }
    resp->place = BETWEEN;
    return RESP_WHOLE;
}

/* Each of these reads on from *at, moves it to behind what it used, and returns RESP_WHOLE where
 * the whole value ends; RESP_MORE where an element does, or there is not enough to go on. */

static inline enum resp_found read_line(struct resp *resp, const uint8_t **at, const uint8_t *end)
{
    while (*at < end) {
        const uint8_t *cr;

        if (resp->place == IN_LINE_AT_CR && **at == '\n') {
            ++*at;
            return end_value(resp);
        }
        resp->place = IN_LINE;
        cr = memchr(*at, '\r', (size_t)(end - *at));
        if (cr == NULL) {
            *at = end;
            return RESP_MORE;
        }
        resp->place = IN_LINE_AT_CR;
        *at = cr + 1;
    }
    return RESP_MORE;
}

static inline enum resp_found read_bulk(struct resp *resp, const uint8_t **at, const uint8_t *end)
{
    uint64_t size = (uint64_t)(end - *at);

    if (resp->left > 2) {
        uint64_t body = resp->left - 2 < size ? resp->left - 2 : size;

        *at += body;
        resp->left -= body;
    }
    for (; resp->left <= 2 && *at < end; ++*at) {
        if (**at != (resp->left == 2 ? '\r' : '\n'))
            return break_off(resp);
        if (--resp->left > 0)
            continue;
        ++*at;
        return end_value(resp);
    }
    return RESP_MORE;
}

/* All of it or nothing; what may stand in it is checked, since it is so little. */
static inline enum resp_found read_short_line(struct resp *resp, const uint8_t **at,
                                              const uint8_t *end)
{
    const uint8_t *first = *at + 1, *next = first;
    uint8_t kind = **at;

    if (kind == ':' && next < end && (*next == '-' || *next == '+'))
        first = ++next;
    while (
        next < end && next - first < RESP_HEAD_MOST - 4 &&
        (kind == ':' ? (uint8_t)(*next - '0') <= 9 : kind == '#' && (*next == 't' || *next == 'f')))
        next++;
    if (next == end)
        return RESP_MORE;
    if (*next != '\r' || (kind != '_' && next == first) || (kind == '#' && next > first + 1))
        return break_off(resp);
    if (next + 1 == end)
        return RESP_MORE;
    if (next[1] != '\n')
        return break_off(resp);
    begin_value(resp, kind);
    *at = next + 2;
    return end_value(resp);
}

/* Of what resp_length() did not take: whether it is the beginning of a length or of "-1". */
static bool may_become_length(const uint8_t *at, const uint8_t *end, bool may_be_null)
{
    static const uint8_t null[] = "-1\r\n";
    const uint8_t *digit = at;

    if (at < end && *at == '-')
        return may_be_null && end - at < 4 && memcmp(at, null, (size_t)(end - at)) == 0;
    while (digit < end && (uint8_t)(*digit - '0') <= 9)
        digit++;
    if (digit - at > RESP_MOST_DIGITS || (digit - at > 1 && *at == '0'))
        return false;
    return digit == end || (digit > at && *digit == '\r' && digit + 1 == end);
}

/* The head of an aggregate or a bulk that is not simply a kind and a length. */
static enum resp_found read_odd_head(struct resp *resp, const uint8_t **at, const uint8_t *end)
{
    uint8_t kind = **at;
    bool may_be_null = kind == '$' || kind == '*';

    if (may_be_null && end - *at >= 5 && memcmp(*at + 1, "-1\r\n", 4) == 0) {
        begin_value(resp, kind);
        *at += 5;
        return end_value(resp);
    }
    return may_become_length(*at + 1, end, may_be_null) ? RESP_MORE : break_off(resp);
}

static enum resp_found open_aggregate(struct resp *resp, uint8_t kind, uint64_t count)
{
    bool is_inside = resp->place != BETWEEN;

    if (count > RESP_MOST_ELEMENTS / (kind == '%' || kind == '|' ? 2 : 1))
        return break_off(resp);
    if (kind == '%' || kind == '|')
        count *= 2;
    /* The value that is still awaited is read as the last element of what stands before it. */
    if (kind == '|' || (kind == '>' && is_inside))
        count++;
    begin_value(resp, kind);
    if (count == 0)
        return end_value(resp);
    if (resp->depth == RESP_MOST_DEPTH)
        return break_off(resp);
    resp->open[resp->depth++] = (uint32_t)count;
    resp->place = AT_HEAD;
    return RESP_MORE;
}

static inline enum resp_found read_head(struct resp *resp, const uint8_t **at, const uint8_t *end)
{
    uint8_t kind = **at;
    uint64_t length;
    size_t head;

    switch ((enum shape)shapes[kind]) {
    case LINE:
        begin_value(resp, kind);
        resp->place = IN_LINE;
        ++*at;
        return read_line(resp, at, end);
    case SHORT_LINE:
        return read_short_line(resp, at, end);
    case BULK:
    case AGGREGATE:
        head = resp_length(*at + 1, end, &length);
        if (head == 0)
            return read_odd_head(resp, at, end);
        *at += 1 + head;
        if (shapes[kind] == AGGREGATE)
            return open_aggregate(resp, kind, length);
        begin_value(resp, kind);
        resp->place = IN_BULK;
        resp->left = length + 2;
        return read_bulk(resp, at, end);
    case NOTHING:
        break;
    }
    return break_off(resp);
}

enum resp_found resp_read(struct resp *resp, struct slice in, size_t *used)
{
    const uint8_t *at = in.at, *end = in.length > 0 ? in.at + in.length : in.at, *before;
    enum resp_found found = RESP_MORE;

    do {
        before = at;
        if (at == end && resp->place != IN_PIECES)
            break;
        switch ((enum place)resp->place) {
        case BETWEEN:
        case AT_HEAD:
            found = read_head(resp, &at, end);
            break;
        case IN_LINE:
        case IN_LINE_AT_CR:
            found = read_line(resp, &at, end);
            break;
        case IN_BULK:
            found = read_bulk(resp, &at, end);
            break;
        case IN_PIECES:
            found = RESP_BROKEN;
            break;
        }
    } while (found == RESP_MORE && at > before);
    *used = (size_t)(at - in.at);
    return found;
}

/* ---- saying ------------------------------------------------------------------------------ */

enum { NUMBER_MOST = 20 };

/* A kind, a number, and the end of a line. printf would take longer than all the rest. */
static void add_head(struct bytes *out, char kind, uint64_t number, bool is_negative)
{
    char head[NUMBER_MOST + 4], *at = head + sizeof(head);

    *--at = '\n';
    *--at = '\r';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (is_negative)
        *--at = '-';
    *--at = kind;
    bytes_add(out, at, (size_t)(head + sizeof(head) - at));
}

static void add_line(struct bytes *out, const char *text)
{
    size_t length = strlen(text);
    uint8_t *to = length > 0 ? bytes_extend(out, length) : NULL;

    for (size_t i = 0; to != NULL && i < length; i++)
        to[i] = text[i] == '\r' || text[i] == '\n' ? ' ' : (uint8_t)text[i];
}

void resp_add_simple(struct bytes *out, const char *text)
{
    bytes_add(out, "+", 1);
    add_line(out, text);
    bytes_add(out, "\r\n", 2);
}

void resp_add_error(struct bytes *out, const char *prefix, const char *text)
{
    bytes_add(out, "-", 1);
    add_line(out, prefix);
    bytes_add(out, " ", 1);
    add_line(out, text);
    bytes_add(out, "\r\n", 2);
}

void resp_add_integer(struct bytes *out, int64_t value)
{
    add_head(out, ':', value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void resp_add_bulk_head(struct bytes *out, size_t length)
{
    add_head(out, '$', length, false);
}

void resp_add_bulk(struct bytes *out, struct slice bulk)
{
    resp_add_bulk_head(out, bulk.length);
    bytes_add(out, bulk.at, bulk.length);
    bytes_add(out, "\r\n", 2);
}

void resp_add_array(struct bytes *out, uint32_t count)
{
    add_head(out, '*', count, false);
}

void resp_add_null(struct bytes *out, unsigned protocol)
{
    if (protocol == 2)
        bytes_add(out, "$-1\r\n", 5);
    else
        bytes_add(out, "_\r\n", 3);
}

void resp_add_map(struct bytes *out, uint32_t pairs, unsigned protocol)
{
    if (protocol == 2)
        add_head(out, '*', 2 * (uint64_t)pairs, false);
    else
        add_head(out, '%', pairs, false);
}

void resp_add_push(struct bytes *out, uint32_t count, unsigned protocol)
{
    add_head(out, protocol == 2 ? '*' : '>', count, false);
}
