#include "drivers/postgres/relay_repeat.h"

#include "drivers/postgres/relay_shapes.h"

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

/* Whether as many texts begin a message's body as its type has, behind so many bytes. */
static bool has_texts(struct slice message, size_t skip, unsigned texts)
{
    const uint8_t *at = message.at + RELAY_HEADER + skip, *end = message.at + message.length;

    for (; texts > 0 && at != NULL && at < end; texts--) {
        at = memchr(at, '\0', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    return texts == 0 && at != NULL;
}

static bool is_sane(struct slice message)
{
    if (message.at[0] == WIRE_BIND)
        return has_texts(message, 0, 2);
    return message.at[0] != WIRE_DESCRIBE || has_texts(message, 1, 1);
}

/* What a whole Bind or Describe of a statement calls it. */
static const char *name_in(struct slice message)
{
    const char *text = (const char *)message.at + RELAY_HEADER;

    return message.at[0] == WIRE_BIND ? text + strlen(text) + 1 : text + 1;
}

/* Whether the client will know what a Bind gives: it asks, or has just asked. described: the
 * statement that was described last. */
static bool is_described(struct slice bind, const char *described)
{
    return relay_shapes_is_described(bind) ||
           (described != NULL && strcmp(name_in(bind), described) == 0);
}

/* The bytes of a batch up to its Sync; 0 if not all of it is there, it is too long, or it binds
 * what it does not describe. */
static size_t batch_length(struct slice ahead)
{
    const char *described = NULL;
    struct slice rest = ahead;
    size_t length;
    uint8_t type;

    do {
        if (rest.length < RELAY_HEADER)
            return 0;
        type = rest.at[0];
        length = 1 + (size_t)bytes_u32(rest.at + 1);
        if (strchr("BDECS", type) == NULL || length > rest.length ||
            !is_sane((struct slice){rest.at, length}))
            return 0;
        if (type == WIRE_BIND && !is_described(rest, described))
            return 0;
        if (type == WIRE_DESCRIBE && rest.at[RELAY_HEADER] == 'S')
            described = name_in(rest);
        rest = (struct slice){rest.at + length, rest.length - length};
        if (ahead.length - rest.length > RELAY_MOST_REPEATED)
            return 0;
    } while (type != WIRE_SYNC);
    return ahead.length - rest.length;
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
    r->parameters = false;
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

void relay_repeat_forget(struct relay *relay)
{
    if (relay->record.state == RELAY_REPEAT_RECORDED ||
        relay->record.state == RELAY_REPEAT_COMPLETE)
        relay->record.state = RELAY_REPEAT_NOTHING;
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

bool relay_repeat_see_answer(struct relay *relay, uint8_t type)
{
    struct relay_record *r = &relay->record;
    bool begins = r->state == RELAY_REPEAT_RECORDED || r->state == RELAY_REPEAT_COMPLETE;

    if (type == WIRE_PARAMETER_DESCRIPTION && (begins || r->parameters)) {
        r->parameters = begins;
        return begins;
    }
    if (begins)
        r->state = RELAY_REPEAT_NOTHING;
    r->parameters = false;
    return true;
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
    if (used == 0 && plan->count == 0) {
        if (r->used < r->length) /* it waits for something: its client must not wait for ever */
            relay->tainted = relay->dying = true;
        r->state = RELAY_REPEAT_NOTHING;
    }
    return r->state == RELAY_REPEAT_AGAIN;
}
