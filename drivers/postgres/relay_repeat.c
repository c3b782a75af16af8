#include "drivers/postgres/relay_repeat.h"

/* Where a Bind names its statement, behind its portal; NULL: not here. */
static const uint8_t *named_by_bind(struct slice message)
{
    const uint8_t *end = memchr(message.at + RELAY_HEADER, '\0', message.length - RELAY_HEADER);

    return end != NULL && end + 1 < message.at + message.length ? end + 1 : NULL;
}

/* Whether a batch may begin with it: a Bind or Describe of a statement with a name. */
static bool is_of_named(struct slice message)
{
    const uint8_t *name = NULL;

    if (message.at[0] == WIRE_BIND)
        name = named_by_bind(message);
    else if (message.length > RELAY_HEADER + 1 && message.at[RELAY_HEADER] == 'S')
        name = message.at + RELAY_HEADER + 1;
    return name != NULL && *name != '\0';
}

/* The bytes of a batch up to its Sync; 0 if not all of it is there, it is too long, or it describes
 * nothing. */
static size_t batch_length(struct slice ahead)
{
    bool describes = false;
    size_t length = 0;
    uint8_t type;

    do {
        if (ahead.length - length < RELAY_HEADER)
            return 0;
        type = ahead.at[length];
        if (strchr("BDECS", type) == NULL)
            return 0;
        describes |= type == WIRE_DESCRIBE;
        length += 1 + (size_t)bytes_u32(ahead.at + length + 1);
        if (length > ahead.length || length > RELAY_MOST_REPEATED)
            return 0;
    } while (type != WIRE_SYNC);
    return describes ? length : 0;
}

static void record(struct relay *relay, struct slice ahead)
{
    struct relay_record *r = &relay->record;
    size_t length = is_of_named(ahead) ? batch_length(ahead) : 0;

    if (length == 0)
        return;
    memcpy(r->bytes, ahead.at, length);
    r->length = (uint16_t)length;
    r->used = 0;
    r->state = RELAY_REPEAT_RECORDED;
}

void relay_repeat_begin(struct relay *relay, struct slice ahead, bool alone)
{
    struct relay_record *r = &relay->record;

    if (r->state == RELAY_REPEAT_AGAIN)
        return;
    if (r->state == RELAY_REPEAT_COMPLETE)
        r->state = RELAY_REPEAT_NOTHING;
    if (ahead.at[0] == WIRE_SYNC && r->state == RELAY_REPEAT_RECORDED)
        r->state = RELAY_REPEAT_COMPLETE;
    else if ((ahead.at[0] == WIRE_BIND || ahead.at[0] == WIRE_DESCRIBE) && alone)
        record(relay, ahead);
}

static bool is_field(struct slice error, char field, const char *value)
{
    struct slice found = wire_error_field(error, field);

    return found.length == strlen(value) && memcmp(found.at, value, found.length) == 0;
}

void relay_repeat_see_error(struct relay *relay, struct slice error)
{
    if (!ANY_OF(OWED_BIND, OWED_DESCRIBE) || !is_field(error, 'C', "0A000") ||
        !is_field(error, 'R', "RevalidateCachedQuery") || relay->names.set == NULL)
        return;
    relay->names.set->age++;
    if (relay->record.state == RELAY_REPEAT_COMPLETE && !relay->nobody)
        relay->record.state = RELAY_REPEAT_WANTED;
}

void relay_repeat_ready(struct relay *relay, struct relay_plan *plan)
{
    if (relay->status != 'I') /* it was when the batch began, and nothing of it was executed */
        relay->tainted = relay->dying = true;
    relay->record.state = RELAY_REPEAT_DUE;
    plan->repeat = true;
}

bool relay_repeat(struct relay *relay, struct relay_plan *plan)
{
    struct relay_record *r = &relay->record;
    size_t used;

    if (r->state == RELAY_REPEAT_DUE)
        r->state = RELAY_REPEAT_AGAIN;
    if (r->state != RELAY_REPEAT_AGAIN || relay->client == NULL)
        return false;
    used = relay_from_client(relay, relay->client,
                             (struct slice){r->bytes + r->used, r->length - (size_t)r->used}, plan);
    r->used = (uint16_t)(r->used + used);
    if (used == 0 && plan->count == 0)
        r->state = RELAY_REPEAT_NOTHING;
    return r->state == RELAY_REPEAT_AGAIN;
}
