#include "drivers/postgres/relay_defer.h"
#include "drivers/postgres/relay_reject.h"
#include "drivers/postgres/relay_repeat.h"
#include "drivers/postgres/relay_steps.h"
#include "drivers/postgres/sql_plain.h"

enum {
    LONG = 10000,    /* what PostgreSQL takes of messages without a text (PQ_SMALL_MESSAGE_LIMIT) */
    BARE = 4,        /* ... and of those without a body */
    MOST_AT_ONCE = 8 /* entries of what is owed that one message may take */
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
static void account(struct relay *relay, uint8_t owed, uint8_t marks)
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
    owed_push(&relay->owed, owed | marks);
}

/* Only the client can end it, so it must not be made to wait for the answer. */
static bool is_in_mid_copy(const struct relay *relay)
{
    return relay->copy == WIRE_COPY_IN_RESPONSE && !owed_holds(&relay->owed, OWED_COPY_END);
}

/* In statement mode: whether a request that is not answered yet stands between the server and this
 * message. What is meant for a COPY does not wait, for the COPY would; nor does a Sync within one,
 * which does nothing. Anything else there would be done behind the answer if the COPY has failed
 * by itself, and is no client's right. */
static enum relay_verdict take_turns(const struct relay *relay, uint8_t type)
{
    const struct owed *owed = &relay->owed;

    if (relay->in_block)
        return RELAY_WAITS;
    if (!relay->by_statement || owed->length == 0 || asked[type].idle_is_fine)
        return RELAY_GO_ON;
    if (relay->copy == WIRE_COPY_IN_RESPONSE && !owed_holds(owed, OWED_COPY_END))
        return type == WIRE_SYNC ? RELAY_GO_ON : RELAY_BROKEN;
    if (owed_holds(owed, OWED_QUERY) || owed_holds(owed, OWED_SYNC) ||
        owed_holds(owed, OWED_FUNCTION))
        return RELAY_WAITS;
    return RELAY_GO_ON;
}

static enum relay_verdict judge(struct relay *relay, struct slice message, struct relay_plan *plan)
{
    uint8_t type = message.at[0];
    uint32_t length = bytes_u32(message.at + 1);

    plan->unknown_type = type;
    plan->unknown_length = length;
    if (type >= COUNT_OF(asked) || length < 4 || length > asked[type].longest)
        return RELAY_BROKEN;
    if (type == WIRE_TERMINATE)
        return RELAY_TERMINATED;
    if (relay == NULL)
        return asked[type].idle_is_fine ? RELAY_GO_ON : RELAY_NEEDS_SERVER;
    if (relay->owed.length >= OWED_MOST - MOST_AT_ONCE || relay_repeat_holds(relay) ||
        (relay->question && relay->restoring))
        return RELAY_WAITS;
    return take_turns(relay, type);
}

/* How much of its messages the relay must see at once: of some, what they are about. */
static size_t needed_from_client(struct slice message)
{
    uint8_t type = message.at[0];
    uint32_t body = bytes_u32(message.at + 1) - 4;
    size_t more = 0;

    if (type == WIRE_PARSE || type == WIRE_DESCRIBE || type == WIRE_CLOSE || type == WIRE_EXECUTE)
        more = 1;
    else if (type == WIRE_BIND)
        more = 2;
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

/* Whether nothing is under way that the client has asked its server for. */
static bool is_alone(const struct relay *relay)
{
    for (unsigned i = 0; i < relay->owed.length; i++)
        if ((owed_entry(&relay->owed, i) & (OWED_OURS | OWED_HERE)) == 0)
            return false;
    return relay->status == 'I';
}

/* Whether its text is of no consequence: one look for all who would read it. */
static bool is_plain(struct slice message)
{
    size_t head = RELAY_HEADER + (message.at[0] == WIRE_PARSE);
    size_t length = 1 + (size_t)bytes_u32(message.at + 1);
    const uint8_t *text = message.at + head, *nul;

    if ((message.at[0] != WIRE_QUERY && message.at[0] != WIRE_PARSE) || message.length < length ||
        length <= head || (message.at[0] == WIRE_PARSE && text[-1] != '\0'))
        return false;
    nul = memchr(text, '\0', length - head);
    return nul != NULL && sql_plain((struct slice){text, (size_t)(nul - text)});
}

/* Enters the message, or what stands for it. */
static bool begin_for_server(struct relay *relay, struct relay_sent *sent, struct slice message,
                             struct relay_plan *plan, size_t *replaced)
{
    struct relay_naming naming = {0};
    size_t length = 1 + (size_t)bytes_u32(message.at + 1);
    enum relay_reject reject = relay->state.mode == STATE_REJECT
                                   ? relay_reject_see(relay, &message, plan)
                                   : RELAY_REJECT_NOT;
    bool alone = is_alone(relay), plain;
    bool to_nobody = message.at[0] == WIRE_FLUSH && owed_head_is(&relay->owed, OWED_HERE);

    if (reject == RELAY_REJECT_NOT_YET)
        return false;
    if (to_nobody && relay->names.back_length > 0) /* there is room for all of them next time */
        return false;
    plain = is_plain(message);
    /* On a server that is the client's to the end they are its own affair. */
    if ((relay->pinned & (1u << RELAY_PIN_MODE | 1u << RELAY_PIN_REPLICATION)) == 0 &&
        !relay_names_see(relay, message, plain, plan, &naming)) {
        if (plan->verdict == RELAY_WAITS && is_in_mid_copy(relay))
            plan->verdict = RELAY_BROKEN;
        return false;
    }
    relay_repeat_begin(relay, message, alone);
    if ((naming.marks & OWED_HERE) == 0 && reject == RELAY_REJECT_NOT)
        state_begin(&relay->state, message, relay->owed.asked, relay->skipping, plain);
    account(relay, naming.kind != 0 ? naming.kind : asked[message.at[0]].owed, naming.marks);
    if (to_nobody) /* the server may have nothing to answer */
        relay_steps_answer_back(relay, plan);
    sent->swallow = (naming.marks & OWED_HERE) != 0;
    sent->remaining = 1 + bytes_u32(message.at + 1) - (uint32_t)naming.replaced;
    *replaced = naming.replaced;
    if (reject == RELAY_REJECT_NOT)
        return true;
    if (!sent->swallow)
        relay_forward(plan, message.at + naming.replaced, message.length - naming.replaced);
    sent->remaining = 0;
    *replaced = length;
    return true;
}

/* Whether the next message can be dealt with now; if not, for the reason in plan->verdict. */
static bool is_due(struct relay *relay, struct relay_sent *sent, struct slice message,
                   struct relay_plan *plan)
{
    if (message.length < RELAY_HEADER || message.length < needed_from_client(message))
        return false;
    plan->verdict = judge(relay, message, plan);
    if (plan->verdict != RELAY_NEEDS_SERVER)
        return plan->verdict == RELAY_GO_ON;
    plan->verdict = RELAY_GO_ON;
    if (sent->refusing)
        return true;
    if (!is_worth_a_server(message))
        return false;
    if (!relay_defer_answers(sent, message, plan) && !sent->refusing)
        plan->verdict = RELAY_NEEDS_SERVER;
    return plan->verdict == RELAY_GO_ON;
}

/* Looks at the next message. False: not now. replaced: how much of it something in the plan stands
 * for. */
static bool begin_client_message(struct relay *relay, struct relay_sent *sent, struct slice message,
                                 struct relay_plan *plan, size_t *replaced)
{
    if (!is_due(relay, sent, message, plan))
        return false;
    if (relay != NULL && !sent->refusing)
        return begin_for_server(relay, sent, message, plan, replaced);
    sent->remaining = 1 + bytes_u32(message.at + 1);
    sent->swallow = true;
    if (sent->refusing)
        refuse(sent, message.at[0], plan);
    return true;
}

/* The texts in it say what it will do to the session. */
static void read_text(struct relay *relay, const struct relay_sent *sent, struct slice part,
                      size_t header)
{
    if (relay == NULL || sent->swallow || relay->state.reading == 0)
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

    relay_begin_plan(plan);
    if (relay != NULL)
        relay->names.own_length = relay->names.back_length = 0;
    if (relay != NULL && sent->begun_length > 0 && in.length > 0)
        relay_defer_begin(relay, sent, plan);
    while (used < in.length && relay_has_room(plan)) {
        size_t part, replaced = 0;
        bool begins = sent->remaining == 0;

        if (sent->remaining == 0 && (plan->refused || (relay == NULL && plan->back.length > 0)))
            break;
        if (sent->remaining == 0 &&
            !begin_client_message(relay, sent, (struct slice){in.at + used, in.length - used}, plan,
                                  &replaced))
            break;
        used += replaced;
        part = sent->remaining < in.length - used ? sent->remaining : in.length - used;
        read_text(relay, sent, (struct slice){in.at + used, part}, begins ? RELAY_HEADER : 0);
        if (relay != NULL && relay->state.rejects) {
            plan->verdict = RELAY_REJECTED;
            break;
        }
        if (!sent->swallow && part > 0)
            relay_forward(plan, in.at + used, part);
        sent->remaining -= (uint32_t)part;
        used += part;
    }
    /* What was sent ahead is answered, and then there is room for what comes next. */
    if (relay != NULL && used == 0 && plan->count > 0 && plan->verdict == RELAY_GO_ON)
        plan->verdict = RELAY_WAITS;
    return used;
}
