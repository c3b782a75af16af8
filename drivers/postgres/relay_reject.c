#include "drivers/postgres/relay_reject.h"

#include <stdio.h>

enum { NAME_MOST = 63 };

/* The languages of DO are trusted: who may connect may use plpgsql, unless it was dropped, and then
 * the error is another. */
static const char instead[] = "DO $weir$BEGIN RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = "
                              "'this would stay in the session, "
                              "which session_state = reject does not allow'; END$weir$";

static bool is_rejected(const struct relay *relay, struct slice text)
{
    struct sql sql;

    sql_begin(&sql);
    sql_feed(&sql, text);
    sql_end(&sql);
    return state_rejects(&relay->state, &sql);
}

/* A Query with that text, or a Parse with the client's name for it and no parameters. */
static struct slice write_instead(struct relay *relay, uint8_t type, struct slice name)
{
    uint8_t *to = relay->state.instead, *at = to + RELAY_HEADER;

    if (name.length > NAME_MOST)
        name.length = NAME_MOST;
    if (type == WIRE_PARSE) {
        memcpy(at, name.at, name.length);
        at += name.length;
        *at++ = '\0';
    }
    memcpy(at, instead, sizeof(instead));
    at += sizeof(instead);
    if (type == WIRE_PARSE) {
        *at++ = 0;
        *at++ = 0;
    }
    to[0] = type;
    bytes_put_u32(to + 1, (uint32_t)(at - to) - 1);
    return (struct slice){to, (size_t)(at - to)};
}

/* One at a time: the plan points to it. */
static bool is_in(const struct relay_plan *plan, const struct relay *relay)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->slices[i].at >= relay->state.instead &&
            plan->slices[i].at < relay->state.instead + STATE_INSTEAD_MOST)
            return true;
    return false;
}

enum relay_reject relay_reject_see(struct relay *relay, struct slice *message,
                                   const struct relay_plan *plan)
{
    uint8_t type = message->at[0];
    size_t length = 1 + (size_t)bytes_u32(message->at + 1);
    struct slice name = {message->at + RELAY_HEADER, 0}, text;
    const uint8_t *end = name.at;

    if ((type != WIRE_QUERY && type != WIRE_PARSE) || relay->skipping || length > RELAY_WHOLE_BELOW)
        return RELAY_REJECT_NOT;
    if (message->length < length || is_in(plan, relay))
        return RELAY_REJECT_NOT_YET;
    if (type == WIRE_PARSE) {
        end = memchr(name.at, '\0', length - RELAY_HEADER);
        if (end == NULL)
            return RELAY_REJECT_NOT; /* the server says what it thinks of it */
        name.length = (size_t)(end - name.at);
        end++;
    }
    text = (struct slice){end, length - (size_t)(end - message->at)};
    if (!is_rejected(relay, text))
        return RELAY_REJECT_NOT;
    *message = write_instead(relay, type, name);
    return RELAY_REJECT_IT;
}
