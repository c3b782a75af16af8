#include "proxy/fronts/http/reply.h"

#include <string.h>

/* How much of in the header takes. */
static size_t read_head(struct reply *reply, struct slice in)
{
    size_t missing = (size_t)WIRE_HEADER_SIZE - reply->head_length;
    size_t part = in.length < missing ? in.length : missing;
    uint32_t length;

    memcpy(reply->head + reply->head_length, in.at, part);
    reply->head_length += (uint8_t)part;
    if (reply->head_length < WIRE_HEADER_SIZE)
        return part;
    length = bytes_u32(reply->head + 1);
    reply->remaining = length > 4 ? length - 4 : 0;
    reply->field = reply->code_length = 0;
    if (reply->head[0] == WIRE_ERROR_RESPONSE)
        reply->outcome = REPLY_ERROR;
    return part;
}

/* Fields have a letter, and a text that ends with a NUL. */
static void read_error(struct reply *reply, struct slice body)
{
    for (size_t i = 0; i < body.length; i++) {
        uint8_t byte = body.at[i];

        if (reply->field == 0) {
            reply->field = byte;
        } else if (byte == '\0') {
            reply->field = 0;
        } else if (reply->field == 'C' && reply->code_length < sizeof(reply->code)) {
            reply->code[reply->code_length++] = byte;
        }
    }
    if (reply->code_length == sizeof(reply->code) &&
        memcmp(reply->code, "57014", sizeof(reply->code)) == 0)
        reply->outcome = REPLY_CANCELED;
}

static void end_message(struct reply *reply, struct reply_part *part)
{
    reply->head_length = 0;
    if (part->type != WIRE_READY_FOR_QUERY)
        return;
    part->ends = true;
    part->outcome = reply->outcome;
    reply->outcome = REPLY_WELL;
}

bool reply_next(struct reply *reply, struct slice *in, struct reply_part *part)
{
    size_t used = 0, body;

    if (in->length == 0)
        return false;
    if (reply->head_length < WIRE_HEADER_SIZE)
        used = read_head(reply, *in);
    body = in->length - used < reply->remaining ? in->length - used : reply->remaining;
    if (reply->head[0] == WIRE_ERROR_RESPONSE)
        read_error(reply, (struct slice){in->at + used, body});
    reply->remaining -= (uint32_t)body;
    used += body;
    *part = (struct reply_part){.type = reply->head[0], .bytes = {in->at, used}};
    if (reply->head_length == WIRE_HEADER_SIZE && reply->remaining == 0)
        end_message(reply, part);
    in->at += used;
    in->length -= used;
    return true;
}

bool reply_is_cut(const struct reply *reply)
{
    return reply->head_length > 0;
}
