#include "drivers/postgres/relay_repeat.h"
#include "drivers/postgres/relay_shapes.h"

enum { LONGEST_PARAMETER = 8192 }; /* a ParameterStatus beyond that is passed on unread */

/* The head was answered. Where nothing copies the server ignores copied data, except in one case:
 * in the middle of a batch whose statement's time is over. It finds that out at whatever it reads
 * next, and at copied data it does not only answer with an error, but with a ReadyForQuery that
 * nobody waits for. */
static void pop(struct relay *relay)
{
    bool of_batch = owed_is_of_batch(owed_head(&relay->owed));

    if (owed_head_is(&relay->owed, OWED_NAMED) && !relay->names.hashing)
        relay_steps_done(relay);
    if (owed_pop(&relay->owed) && of_batch)
        relay->tainted = true;
    relay->in_batch |= of_batch;
}

/* ---- from the server: errors and COPY ---------------------------------------------------- */

static void unexpected(struct relay *relay)
{
    relay->tainted = true;
}

static bool is_fatal(struct slice body)
{
    struct slice severity = wire_error_field(body, 'V');

    if (severity.length == 0) /* before PostgreSQL 9.6 */
        severity = wire_error_field(body, 'S');
    return severity.length == 5 &&
           (memcmp(severity.at, "FATAL", 5) == 0 || memcmp(severity.at, "PANIC", 5) == 0);
}

/* The server drops what follows in the batch. */
static void drop_batch(struct relay *relay)
{
    unsigned named;

    if (!owed_drop_until_sync(&relay->owed, &named))
        relay->skipping = relay->unsynced = true;
    relay_steps_drop(relay, named);
    relay->names.unbound = false; /* who has met an error begins anew */
}

static void on_error(struct relay *relay, struct slice body)
{
    if (is_fatal(body))
        relay->dying = true;
    if (!owed_head_is_ours(&relay->owed))
        state_error(&relay->state);
    else if (relay->question)
        relay->unanswered = true;
    else /* what was to follow must not be seen to have worked */
        relay->failed = relay->nobody = true;
    /* Which of the Syncs sent meanwhile will be answered depends on when it failed. */
    if (relay->copy != 0 && relay->maybe_ignored > 0)
        relay->tainted = true;
    relay->copy = 0;
    relay->listening.unlistening = false;
    relay->maybe_ignored = 0;
    if (ANY_OF(OWED_PARSE_UNNAMED))
        relay_names_unnamed(relay, false);
    if (relay->owed.length == 0 && (!relay->unsynced || relay->skipping))
        unexpected(relay);
    else if (ANY_OF(OWED_QUERY, OWED_FUNCTION)) { /* or to a Flush, and then that is dropped */
        relay->tainted |= relay->in_batch;
        if (owed_head_is(&relay->owed, OWED_NAMED))
            relay_steps_failed(relay);
    } else if (!ANY_OF(OWED_SYNC))
        drop_batch(relay);
}

/* The COPY reads what was sent ahead up to its end, and ignores the Syncs in it, if it comes to
 * reading at all. */
static void begin_copy(struct relay *relay, uint8_t how)
{
    unsigned syncs;

    if (!ANY_OF(OWED_EXECUTE, OWED_QUERY))
        unexpected(relay);
    relay->copy = how;
    if (relay->nobody && how != WIRE_COPY_OUT_RESPONSE)
        relay->dying = true; /* it would wait for data that nobody has */
    if (how != WIRE_COPY_IN_RESPONSE || relay->owed.length == 0)
        return;
    syncs = owed_drop_syncs_in_copy(&relay->owed);
    relay->maybe_ignored += syncs;
    if (syncs > 0 && ANY_OF(OWED_EXECUTE) && !owed_holds(&relay->owed, OWED_SYNC) &&
        !owed_holds(&relay->owed, OWED_QUERY) && !owed_holds(&relay->owed, OWED_FUNCTION))
        relay->unsynced = true;
}

/* ---- from the server: answers ------------------------------------------------------------ */

static bool tag_is(struct slice tag, const char *text)
{
    return tag.length == strlen(text) + 1 && memcmp(tag.at, text, tag.length) == 0;
}

static void complete(struct relay *relay, struct slice tag)
{
    state_complete(&relay->state, tag, relay->owed.answered, ANY_OF(OWED_QUERY));
    if (tag_is(tag, "LISTEN"))
        relay->pinned |= 1u << RELAY_PIN_LISTEN; /* until it is known whether it does */
    if (!tag_is(tag, "LOAD"))
        return;
    relay->pinned |= 1u << RELAY_PIN_LIBRARY; /* which nothing unloads */
    relay->tainted = true;
}

/* Whether an UNLISTEN was committed. Which part a ROLLBACK TO has undone is not known: then not. */
static void note_listening(struct relay *relay, struct slice tag)
{
    if (tag_is(tag, "LISTEN")) {
        relay->listening.begun = true;
    } else if (tag_is(tag, "UNLISTEN")) {
        relay->listening.unlistening = true;
    } else if (tag_is(tag, "COMMIT")) {
        relay->listening.unlistened |= relay->listening.unlistening;
        relay->listening.unlistening = false;
    } else if (tag_is(tag, "ROLLBACK")) {
        relay->listening.unlistening = false;
    } else if (tag_is(tag, "DISCARD ALL")) {
        relay->listening.discarded = true;
    }
}

static void on_complete(struct relay *relay, struct slice tag)
{
    if (relay->copy == WIRE_COPY_IN_RESPONSE && relay->owed.length > 0)
        owed_drop_copied(&relay->owed);
    relay->copy = 0;
    relay->maybe_ignored = 0; /* the COPY has read past them */
    relay_steps_completed(relay, tag);
    if (!owed_head_is_ours(&relay->owed)) {
        complete(relay, tag);
        note_listening(relay, tag);
    }
    if (ANY_OF(OWED_EXECUTE))
        pop(relay);
    else if (!ANY_OF(OWED_QUERY))
        unexpected(relay);
}

static void on_ready(struct relay *relay, uint8_t status, struct relay_plan *plan)
{
    bool ours = owed_head_is_ours(&relay->owed);

    if (!ANY_OF(OWED_SYNC, OWED_QUERY, OWED_FUNCTION) || relay->copy != 0 ||
        (status != 'I' && status != 'T' && status != 'E'))
        unexpected(relay);
    relay->status = status;
    relay->copy = 0;
    if (relay->names.unbound && ANY_OF(OWED_SYNC)) /* after a Query it is gone (trap 51) */
        relay->pinned |= 1u << RELAY_PIN_UNNAMED;
    relay->names.unbound = false;
    if (ANY_OF(OWED_QUERY)) /* it destroys the unnamed statement (trap 51) */
        relay_names_unnamed(relay, false);
    if (relay->owed.length > 0)
        pop(relay);
    relay->in_batch = false;
    if (ours) {
        plan->answered = true;
        relay->question = false;
        return;
    }
    if (status == 'I') {
        relay->listening.unlistened |= relay->listening.unlistening;
        relay->listening.unlistening = false;
    }
    if (relay->by_statement && status != 'I')
        relay->in_block = relay->swallow = true;
    else if (relay_repeat_hides(relay)) {
        relay_repeat_ready(relay, plan);
        return;
    }
    state_ready(&relay->state, status, relay->owed.answered);
    plan->queries++;
    if (status == 'I')
        plan->transactions++;
}

static void expect(struct relay *relay, bool expected, bool answered)
{
    if (!expected)
        unexpected(relay);
    else if (answered)
        pop(relay);
}

static void answer(struct relay *relay, struct slice message, struct relay_plan *plan)
{
    struct slice body = {message.at + RELAY_HEADER, message.length - RELAY_HEADER};

    switch (message.at[0]) {
    case WIRE_DATA_ROW:
        expect(relay, ANY_OF(OWED_EXECUTE, OWED_QUERY), false);
        break;
    case WIRE_COPY_DATA:
    case WIRE_COPY_DONE:
        expect(relay, relay->copy != 0, false);
        break;
    case WIRE_COMMAND_COMPLETE:
        on_complete(relay, body);
        break;
    case WIRE_READY_FOR_QUERY:
        on_ready(relay, body.at[0], plan);
        break;
    case WIRE_ROW_DESCRIPTION:
        relay_shapes_begin(relay);
        expect(relay, ANY_OF(OWED_DESCRIBE, OWED_QUERY), ANY_OF(OWED_DESCRIBE));
        break;
    case WIRE_NO_DATA:
        relay_shapes_begin(relay);
        expect(relay, ANY_OF(OWED_DESCRIBE), true);
        break;
    case WIRE_PARAMETER_DESCRIPTION:
        expect(relay, ANY_OF(OWED_DESCRIBE), false);
        break;
    case WIRE_PARSE_COMPLETE:
        if (ANY_OF(OWED_PARSE_UNNAMED))
            relay_names_unnamed(relay, true);
        expect(relay, ANY_OF(OWED_PARSE, OWED_PARSE_UNNAMED), true);
        break;
    case WIRE_BIND_COMPLETE:
        relay->names.unbound = false;
        expect(relay, ANY_OF(OWED_BIND), true);
        break;
    case WIRE_CLOSE_COMPLETE:
        expect(relay, ANY_OF(OWED_CLOSE), true);
        break;
    case WIRE_PORTAL_SUSPENDED:
        expect(relay, ANY_OF(OWED_EXECUTE), true);
        break;
    case WIRE_EMPTY_QUERY_RESPONSE:
        expect(relay, ANY_OF(OWED_EXECUTE, OWED_QUERY), ANY_OF(OWED_EXECUTE));
        break;
    case WIRE_FUNCTION_CALL_RESPONSE:
        expect(relay, ANY_OF(OWED_FUNCTION), false);
        break;
    case WIRE_ERROR_RESPONSE:
        on_error(relay, body);
        break;
    case WIRE_COPY_IN_RESPONSE:
    case WIRE_COPY_OUT_RESPONSE:
    case WIRE_COPY_BOTH_RESPONSE:
        begin_copy(relay, message.at[0]);
        break;
    default:
        unexpected(relay);
        break;
    }
}

/* Whether a message answers nothing and may come at any time (trap 19). */
static bool is_aside(uint8_t type)
{
    return type == WIRE_NOTICE_RESPONSE || type == WIRE_PARAMETER_STATUS ||
           type == WIRE_NOTIFICATION_RESPONSE;
}

/* How much of a message must be there before anything can be said about it. */
static size_t needed_from_server(uint8_t type, size_t length, bool ours)
{
    size_t most = RELAY_HEADER;

    if (type == WIRE_READY_FOR_QUERY)
        most = RELAY_HEADER + 1;
    else if (type == WIRE_COMMAND_COMPLETE)
        most = RELAY_HEADER + 64;
    else if (type == WIRE_ERROR_RESPONSE)
        most = RELAY_HEADER + 512; /* its routine comes last */
    else if (type == WIRE_PARAMETER_STATUS && length <= LONGEST_PARAMETER)
        most = length;
    else if (type == WIRE_DATA_ROW && ours && length <= LONGEST_PARAMETER)
        most = length;
    return length < most ? length : most;
}

/* What comes after the last answer is nobody's: a client that has been served must not
 * learn that the server it no longer needs is being shut down. */
static bool is_for_nobody(const struct relay *relay, uint8_t type)
{
    bool quiet = owed_head_is(&relay->owed, OWED_QUIET) &&
                 (type == WIRE_PARSE_COMPLETE || type == WIRE_CLOSE_COMPLETE ||
                  type == WIRE_PARAMETER_DESCRIPTION || type == WIRE_ROW_DESCRIPTION ||
                  type == WIRE_NO_DATA ||
                  (type == WIRE_ERROR_RESPONSE && owed_is_ended_by_us(&relay->owed)));

    if (type == WIRE_NOTIFICATION_RESPONSE)
        return relay->nobody || !relay_hears(relay);
    return relay->nobody || owed_head_is_ours(&relay->owed) || quiet ||
           (relay_repeat_hides(relay) && !is_aside(type)) ||
           (type == WIRE_ERROR_RESPONSE && relay->pinned == 0 && relay_is_settled(relay, NULL));
}

/* What the owner is to know of it. A row too long to be read counts as none. */
static void tell(struct relay *relay, uint8_t type, struct slice message, size_t length,
                 struct relay_plan *plan)
{
    struct slice body = {message.at + RELAY_HEADER, message.length - RELAY_HEADER};
    bool ours = owed_head_is_ours(&relay->owed);

    if (type == WIRE_ERROR_RESPONSE && ours && !relay->question)
        plan->failure = body;
    if (type == WIRE_PARAMETER_STATUS && message.length == length)
        plan->parameter = body;
    if (type == WIRE_DATA_ROW && ours && message.length == length)
        plan->row = body;
    else if (type == WIRE_DATA_ROW && ours)
        relay->unanswered = true;
}

/* What the client has got before it does not get again; the error of what is there to fail it gets
 * in the words of PostgreSQL. */
static void withhold(struct relay *relay, struct slice message, struct relay_plan *plan)
{
    struct slice body = {message.at + RELAY_HEADER, message.length - RELAY_HEADER}, refusal;

    if (relay->record.state != RELAY_REPEAT_NOTHING || relay->record.parameters)
        relay->swallow = !relay_repeat_see_answer(relay, message.at[0]);
    if (message.at[0] != WIRE_ERROR_RESPONSE || !relay_shapes_is_refusal(relay, body))
        return;
    refusal = relay_shapes_refusal();
    relay_forward(plan, refusal.at, refusal.length);
    relay->swallow = true;
}

/* Looks at the next message. False: more of it is needed, or it makes no sense. */
static bool begin_server_message(struct relay *relay, struct slice in, struct relay_plan *plan)
{
    uint8_t type = in.at[0];
    bool ours = owed_head_is_ours(&relay->owed);
    size_t length;

    if (in.length < RELAY_HEADER)
        return false;
    length = 1 + (size_t)bytes_u32(in.at + 1);
    if (length < RELAY_HEADER || length > RELAY_LONGEST ||
        (type == WIRE_READY_FOR_QUERY && length != 6) ||
        (type == WIRE_PARSE_COMPLETE && owed_head(&relay->owed) == OWED_REFUSAL)) {
        relay->dying = relay->tainted = true;
        plan->verdict = RELAY_BROKEN;
        return false;
    }
    if (in.length < needed_from_server(type, length, ours))
        return false;
    if (in.length > length)
        in.length = length;
    if (type == WIRE_ERROR_RESPONSE)
        relay_repeat_see_error(relay,
                               (struct slice){in.at + RELAY_HEADER, in.length - RELAY_HEADER});
    relay->swallow = is_for_nobody(relay, type);
    if (!relay->swallow && !is_aside(type))
        withhold(relay, in, plan);
    tell(relay, type, in, length, plan);
    if (!is_aside(type))
        answer(relay, in, plan);
    relay->remaining = (uint32_t)length;
    return true;
}

/* What is answered here comes in its place: behind what the server has answered before, and ahead
 * of what it answers next (traps 9, 10). */
static void answer_here(struct relay *relay, struct relay_plan *plan)
{
    struct slice answer;

    while (owed_head_is(&relay->owed, OWED_HERE) && relay->remaining == 0 && relay_has_room(plan)) {
        answer = relay_steps_answer(relay);
        if (answer.length == 0)
            return;
        if (!relay->nobody)
            relay_forward(plan, answer.at, answer.length);
    }
}

size_t relay_from_server(struct relay *relay, struct slice in, struct relay_plan *plan)
{
    size_t used = 0;

    relay_begin_plan(plan);
    answer_here(relay, plan);
    while (used < in.length && relay_has_room(plan) && plan->parameter.length == 0 &&
           plan->row.length == 0 && !plan->answered) {
        size_t left = in.length - used, part;

        if (relay->remaining == 0 &&
            !begin_server_message(relay, (struct slice){in.at + used, left}, plan))
            break;
        part = relay->remaining < left ? relay->remaining : left;
        if (!relay->swallow)
            relay_forward(plan, in.at + used, part);
        relay->remaining -= (uint32_t)part;
        if (relay->names.hashing)
            relay_shapes_feed(relay, (struct slice){in.at + used, part}, relay->remaining == 0);
        used += part;
        answer_here(relay, plan);
    }
    return used;
}
