#include "proxy/fronts/http/event_out.h"

#include <string.h>

enum place { PLACE_HEAD, PLACE_LINE, PLACE_BULK, PLACE_BULK_END };

static void say(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

static void drop(struct slice *in, size_t length)
{
    *in = (struct slice){in->at + length, in->length - length};
}

/* ---- texts ------------------------------------------------------------------------------- */

static void add_text(struct event_out *event, struct slice text, struct bytes *out)
{
    while (text.length > 0) {
        size_t plain = 0;

        if (event->has_returned && *text.at == '\n') {
            event->has_returned = false;
            drop(&text, 1);
            continue;
        }
        event->has_returned = false;
        while (plain < text.length && text.at[plain] != '\r' && text.at[plain] != '\n')
            plain++;
        bytes_add(out, text.at, plain);
        drop(&text, plain);
        if (text.length == 0)
            return;
        event->has_returned = *text.at == '\r';
        say(out, "\ndata: ");
        drop(&text, 1);
    }
}

static void end_value(struct event_out *event, struct bytes *out)
{
    event->place = PLACE_HEAD;
    event->has_returned = false;
    if (event->elements > 0 && --event->elements > 0)
        say(out, ",");
    else
        say(out, "\n\n");
}

/* ---- heads: whole, as resp.h gives them --------------------------------------------------- */

/* False: there is none (-1). */
static bool length_of(struct slice digits, uint64_t *length)
{
    *length = 0;
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return false;
        *length = *length * 10 + (uint64_t)(digits.at[i] - '0');
    }
    return true;
}

static bool begin_list(struct event_out *event, struct slice digits, struct bytes *out)
{
    if (event->elements > 0)
        return false;
    if (!length_of(digits, &event->elements) || event->elements == 0)
        return false;
    say(out, "data: ");
    return true;
}

static void begin_bulk(struct event_out *event, struct slice digits, struct bytes *out)
{
    if (length_of(digits, &event->left)) {
        event->place = event->left > 0 ? PLACE_BULK : PLACE_BULK_END;
    } else {
        say(out, "null");
        end_value(event, out);
    }
}

static bool take_head(struct event_out *event, struct slice *in, struct bytes *out)
{
    const uint8_t *end = memchr(in->at, '\n', in->length);
    uint8_t kind = *in->at;
    struct slice digits = {in->at + 1, 0};

    if (kind != '*' && event->elements == 0)
        say(out, "data: ");
    if (kind == '+') {
        event->place = PLACE_LINE;
        drop(in, 1);
        return true;
    }
    if (end == NULL || end - in->at < 2)
        return false;
    digits.length = (size_t)(end - in->at) - 2; /* its kind and CR */
    drop(in, (size_t)(end - in->at) + 1);
    switch (kind) {
    case ':':
        bytes_add(out, digits.at, digits.length);
        end_value(event, out);
        return true;
    case '$':
        begin_bulk(event, digits, out);
        return true;
    case '*':
        return begin_list(event, digits, out);
    default:
        return false;
    }
}

/* ---- what is in a line or a bulk --------------------------------------------------------- */

/* A CR alone is not told from one that ends it: Redis writes none here, and a line is a line. */
static void take_line(struct event_out *event, struct slice *in, struct bytes *out)
{
    const uint8_t *end = memchr(in->at, '\n', in->length);
    size_t length = end != NULL ? (size_t)(end - in->at) : in->length;

    for (size_t i = 0; i < length; i++)
        if (in->at[i] != '\r')
            bytes_add(out, in->at + i, 1);
    drop(in, length + (end != NULL));
    if (end != NULL)
        end_value(event, out);
}

static void take_bulk(struct event_out *event, struct slice *in, struct bytes *out)
{
    size_t length = in->length < event->left ? in->length : (size_t)event->left;

    add_text(event, (struct slice){in->at, length}, out);
    event->left -= length;
    drop(in, length);
    if (event->left == 0)
        event->place = PLACE_BULK_END;
}

static void take_bulk_end(struct event_out *event, struct slice *in, struct bytes *out)
{
    bool is_end = *in->at == '\n';

    drop(in, 1);
    if (is_end)
        end_value(event, out);
}

enum resp_found event_out_read(struct event_out *event, struct slice in, size_t *used,
                               struct bytes *out)
{
    enum resp_found found = resp_read(&event->resp, in, used);
    struct slice part = {in.at, *used};

    if (found == RESP_BROKEN)
        return found;
    while (part.length > 0) {
        switch ((enum place)event->place) {
        case PLACE_LINE:
            take_line(event, &part, out);
            break;
        case PLACE_BULK:
            take_bulk(event, &part, out);
            break;
        case PLACE_BULK_END:
            take_bulk_end(event, &part, out);
            break;
        case PLACE_HEAD:
            if (!take_head(event, &part, out))
                return RESP_BROKEN;
            break;
        }
    }
    return found;
}
