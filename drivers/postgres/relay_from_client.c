#include "drivers/postgres/relay_parts.h"

enum {
    LONG = 10000, /* what PostgreSQL takes of messages without a text (PQ_SMALL_MESSAGE_LIMIT) */
    BARE = 4,     /* ... and of those without a body */
};

/* How long a message of the client may be (0: it is unknown), and what it asks for. A server
 * answers one that is too long, or a Flush with a body, with an error or its own end. Where nothing
 * is owed for a message it must not come to that: the server may be somebody else's by then. */
static const struct {
    uint32_t longest;
    uint8_t owed;
    bool idle_is_fine; /* without a server it means nothing and is swallowed */
} asked[128] = {
    [WIRE_QUERY] = {RELAY_LONGEST, OWED_QUERY, false},
    [WIRE_PARSE] = {RELAY_LONGEST, OWED_PARSE, false},
    [WIRE_BIND] = {RELAY_LONGEST, OWED_BIND, false},
    [WIRE_DESCRIBE] = {LONG, OWED_DESCRIBE, false},
    [WIRE_EXECUTE] = {LONG, OWED_EXECUTE, false},
    [WIRE_CLOSE] = {LONG, OWED_CLOSE, false},
    [WIRE_FUNCTION_CALL] = {RELAY_LONGEST, OWED_FUNCTION, false},
    [WIRE_SYNC] = {BARE, OWED_SYNC, false},
    [WIRE_FLUSH] = {BARE, 0, true},
    [WIRE_COPY_DATA] = {RELAY_LONGEST, OWED_COPY_DATA, true},
    [WIRE_COPY_DONE] = {LONG, OWED_COPY_END, true},
    [WIRE_COPY_FAIL] = {LONG, OWED_COPY_END, true},
    [WIRE_TERMINATE] = {LONG, 0, false},
};

static void push_sync(struct relay *relay)
{
    relay->skipping = relay->unsynced = false;
    if (relay->copy != WIRE_COPY_IN_RESPONSE || owed_holds(&relay->owed, OWED_COPY_END)) {
        owed_push(&relay->owed, OWED_SYNC);
        return;
    }
    /* In mid-COPY the server ignores it, unless the COPY has just failed (trap 22). */
    relay->maybe_ignored++;
    relay->unsynced = ANY_OF(OWED_EXECUTE);
}

static void push_mark(struct relay *relay, uint8_t mark)
{
    if (relay->owed.length > 0)
        owed_push_mark(&relay->owed, mark);
    else if (relay->unsynced && !relay->skipping)
        relay->tainted = true; /* see pop() */
}

/* Enters a message that goes to the server into what it owes. */
static void account(struct relay *relay, uint8_t owed)
{
    switch (owed) {
    case 0:
        return;
    case OWED_COPY_DATA:
    case OWED_COPY_END:
        push_mark(relay, owed);
        return;
    case OWED_SYNC:
        push_sync(relay);
        return;
    case OWED_QUERY:
    case OWED_FUNCTION:
        if (relay->skipping) /* it is dropped there, and answered by nothing */
            return;
        relay->unsynced = false; /* it ends the implicit transaction */
        break;
    default:
        relay->unsynced = true;
        if (relay->skipping)
            return;
        break;
    }
    owed_push(&relay->owed, owed);
}

static enum relay_verdict judge(struct relay *relay, struct slice message, struct relay_plan *plan)
{
    uint8_t type = message.at[0];
    uint32_t length = bytes_u32(message.at + 1);

    if (type >= COUNT_OF(asked) || length < 4 || length > asked[type].longest) {
        plan->unknown_type = type;
        plan->unknown_length = length;
        return RELAY_BROKEN;
    }
    if (type == WIRE_TERMINATE)
        return RELAY_TERMINATED;
    if (relay == NULL)
        return asked[type].idle_is_fine ? RELAY_GO_ON : RELAY_NEEDS_SERVER;
    return relay->owed.length < OWED_MOST - 1 ? RELAY_GO_ON : RELAY_WAITS;
}

/* How much of its messages the relay must see at once. */
static size_t needed_from_client(struct slice message)
{
    uint32_t body = bytes_u32(message.at + 1) - 4;
    size_t more = 0;

    if (message.at[0] == WIRE_PARSE || message.at[0] == WIRE_EXECUTE)
        more = 1; /* whether it has a name, */
    else if (message.at[0] == WIRE_BIND)
        more = 2; /* ... or two */
    return RELAY_HEADER + (body < more ? body : more);
}

/* A request that was refused has its end where the server would have said ReadyForQuery. */
static void refuse(struct relay_sent *sent, uint8_t type, struct relay_plan *plan)
{
    bool alone = (type == WIRE_QUERY || type == WIRE_FUNCTION_CALL) && !sent->in_batch;

    sent->swallow = true;
    sent->in_batch = true;
    if (type == WIRE_SYNC || alone) {
        plan->refused = true;
        sent->refusing = sent->in_batch = false;
    }
}

static bool is_worth_a_server(struct slice message)
{
    return message.length >= RELAY_WHOLE_BELOW || message.length > bytes_u32(message.at + 1);
}

/* Looks at the next message. False: not now, for the reason in plan->verdict. */
static bool begin_client_message(struct relay *relay, struct relay_sent *sent, struct slice message,
                                 struct relay_plan *plan)
{
    if (message.length < RELAY_HEADER || message.length < needed_from_client(message))
        return false;
    plan->verdict = judge(relay, message, plan);
    if (plan->verdict == RELAY_NEEDS_SERVER && sent->refusing)
        plan->verdict = RELAY_GO_ON;
    else if (plan->verdict == RELAY_NEEDS_SERVER && !is_worth_a_server(message)) {
        plan->verdict = RELAY_GO_ON;
        return false;
    }
    if (plan->verdict != RELAY_GO_ON)
        return false;
    sent->remaining = 1 + bytes_u32(message.at + 1);
    sent->swallow = relay == NULL;
    if (sent->refusing)
        refuse(sent, message.at[0], plan);
    if (relay == NULL)
        return true;
    state_begin(&relay->state, message, relay->owed.asked, relay->skipping);
    account(relay, asked[message.at[0]].owed);
    if (message.at[0] == WIRE_PARSE && sent->remaining > RELAY_HEADER &&
        message.at[RELAY_HEADER] != '\0')
        relay->pinned |= 1u << RELAY_PIN_STATEMENT;
    return true;
}

/* The texts in it say what it will do to the session. */
static void read_text(struct relay *relay, const struct relay_sent *sent, struct slice part,
                      size_t header)
{
    if (relay == NULL || sent->swallow)
        return;
    if (part.length > header)
        state_feed(&relay->state, (struct slice){part.at + header, part.length - header});
    if (sent->remaining == part.length)
        state_end(&relay->state);
}

size_t relay_from_client(struct relay *relay, struct relay_sent *sent, struct slice in,
                         struct relay_plan *plan)
{
    size_t used = 0;

    *plan = (struct relay_plan){.verdict = RELAY_GO_ON};
    while (used < in.length && relay_has_room(plan)) {
        size_t left = in.length - used, part, header = sent->remaining == 0 ? RELAY_HEADER : 0;

        if (sent->remaining == 0 && plan->refused)
            break;
        if (sent->remaining == 0 &&
            !begin_client_message(relay, sent, (struct slice){in.at + used, left}, plan))
            break;
        part = sent->remaining < left ? sent->remaining : left;
        read_text(relay, sent, (struct slice){in.at + used, part}, header);
        if (!sent->swallow)
            relay_forward(plan, in.at + used, part);
        sent->remaining -= (uint32_t)part;
        used += part;
    }
    return used;
}
