#include <string.h>

#include "proxy/fronts/redis/guest_parts.h"

/* So many small replies in a row, and a guest whose replies were large is as others again. */
enum { CALM = 64 };

/* ---- its own line ------------------------------------------------------------------------ */

/* Nothing is owed: the line goes back if nothing is left in it. */
void guest_hear_no_more(struct guest *guest)
{
    struct line *line = guest->own.line;
    enum pool_leftovers left = POOL_LEFT_NOTHING;

    if (line == NULL || guest->pass != NULL || line->trunk.replies > 0)
        return;
    follow_settle(&guest->follow);
    if (!follow_is_free(&guest->follow))
        return;
    if (guest->outlives_reset)
        left = POOL_LEFT_UNKNOWN;
    else if (guest->has_doubt)
        left = POOL_LEFT_STATE;
    guest->has_doubt = guest->outlives_reset = false;
    dedicated_leave(guest, left);
}

/* The line is in the guest's database, or Redis has said why not. */
static void hear_ours(struct guest *guest, const struct trunk_run *run)
{
    char words[TRUNK_FIRST];

    if (run->whole == 0)
        return;
    guest->is_moving = false;
    if (run->first.length >= 3 && memcmp(run->first.at, "+OK", 3) == 0) {
        guest->own.line->db = guest->follow.db;
        guest_due(guest);
        return;
    }
    guest_hear_error(run->first, words);
    dedicated_leave(guest, POOL_LEFT_UNKNOWN);
    guest_refused(guest, ERR_NO_DATABASE, "", words);
}

void guest_hear_error(struct slice first, char words[TRUNK_FIRST])
{
    memcpy(words, first.at + 1, first.length - 1);
    words[first.length - 1] = '\0';
    words[strcspn(words, "\r\n")] = '\0';
}

/* ---- sizes ------------------------------------------------------------------------------- */

static void weigh(struct guest *guest, const struct trunk_run *run)
{
    uint64_t limit = guest->door->with.config->large_value;

    if (run->whole > 1) { /* more than one in a buffer: none of them is large */
        guest->reply_bytes = 0;
        guest->is_heavy = guest->is_heavy && run->whole < CALM;
        return;
    }
    guest->reply_bytes += (uint32_t)run->length;
    if (guest->reply_bytes > limit) {
        guest->is_heavy = true;
        guest->calm = 0;
        guest->reply_bytes = (uint32_t)limit; /* it cannot overflow */
    }
    if (run->whole == 0)
        return;
    if (guest->is_heavy && guest->reply_bytes < limit && ++guest->calm >= CALM)
        guest->is_heavy = false;
    guest->reply_bytes = 0;
}

/* On a shared line a reply is taken whole, however large, so that it delays nobody; the next
 * one is too much for who has not taken that. From its own line, no more is read meanwhile. */
static bool has_room(struct guest *guest, const struct trunk_run *run)
{
    size_t queued = stream_queued(&guest->stream);

    if (queued < GUEST_MOST_QUEUED)
        return true;
    if (guest->own.line != NULL) {
        stream_pause(&guest->own.line->stream);
        return true;
    }
    if (run->begun == 0 || queued <= guest->door->with.config->client_output_limit)
        return true;
    guest->upstream->metrics.output_limit++;
    guest_close(guest); /* it does not read: there is no use in words */
    return false;
}

/* ---- replies ----------------------------------------------------------------------------- */

static void end_replies(struct guest *guest, const struct trunk_run *run)
{
    REQUIRE(run->whole <= guest->owed);
    guest->owed -= run->whole;
    if (run->note.kind != FOLLOW_PLAIN)
        follow_heard(&guest->follow, &run->note, run->first);
    if (run->note.kind == FOLLOW_HELLO)
        guest_subscribe_speak(guest);
    if (run->note.kind == FOLLOW_SELECT && guest->own.line != NULL)
        guest->own.line->db = guest->follow.db;
    if (run->note.kind == FOLLOW_SELECT || run->note.kind == FOLLOW_HELLO)
        shared_join(NULL, guest); /* what it shares from now on, it shares elsewhere */
    if (guest->owed == 1 && guest->pass != NULL) /* what is on its way may go on, or not */
        guest_due(guest);
    if (guest->owed > 0)
        return;
    guest->is_blocked = false;
    guest_hear_no_more(guest);
    if (guest->has_rest)
        guest_due(guest);
    guest_settle(guest);
}

void guest_hear_message(struct guest *guest, struct slice bytes)
{
    if (!guest->is_mid) {
        guest_write(guest, bytes);
        return;
    }
    bytes_add(&guest->held, bytes.at, bytes.length);
    if (guest->held.failed)
        guest_end(guest, err_text(ERR_NO_MEMORY));
}

size_t guest_hear_queued(const struct guest *guest)
{
    return stream_queued(&guest->stream) + guest->held.length;
}

/* Bytes of replies and pushes; then what has waited for their end. */
static void write_replies(struct guest *guest, const struct trunk_run *run, struct slice bytes)
{
    guest_write(guest, bytes);
    guest->is_mid = run->is_mid;
    if (run->is_mid || guest->held.length == 0)
        return;
    guest_write(guest, (struct slice){guest->held.at, guest->held.length});
    bytes_free(&guest->held);
}

void guest_hear(struct guest *guest, const struct trunk_run *run, struct slice bytes)
{
    REQUIRE(!guest_is_going(guest));
    if (run->note.kind == GUEST_OURS) {
        hear_ours(guest, run);
        return;
    }
    if (run->note.kind == GUEST_CHECK) {
        if (run->whole > 0)
            guest_auth_hear(guest, run->first);
        return;
    }
    write_replies(guest, run, bytes);
    if (!run->is_push)
        weigh(guest, run);
    if (run->is_push && run->whole > 0 && guest->has_rest)
        guest_due(guest); /* what was to be answered here has waited for its end */
    if (!has_room(guest, run) || run->is_push || run->whole == 0)
        return;
    end_replies(guest, run);
}

size_t guest_hear_raw(struct guest *guest, struct slice bytes)
{
    guest_write(guest, bytes);
    if (stream_queued(&guest->stream) >= GUEST_MOST_QUEUED)
        stream_pause(&guest->own.line->stream);
    return bytes.length;
}

/* ---- replies that will not come ---------------------------------------------------------- */

static void answer_lost(struct guest *guest, uint32_t count, enum err e, const char *why)
{
    while (count-- > 0 && !guest_is_going(guest))
        guest_answer(guest, "-%s weir: %s\r\n", err_resp_prefix(e), why);
}

void guest_hear_lost(struct guest *guest, const struct trunk_owed *owed, bool mid, enum err e,
                     const char *why)
{
    if (guest_is_going(guest))
        return;
    if (owed->note.kind == GUEST_CHECK) {
        guest->is_checking = false;
        guest_refused(guest, e, why, NULL);
        return;
    }
    guest->upstream->metrics.commands_lost += owed->note.count;
    if (mid) { /* the rest of that reply will never come */
        guest_leave(guest);
        return;
    }
    answer_lost(guest, owed->note.count, e, why);
    guest->owed -= owed->note.count;
    if (guest->owed == 0 && guest->has_rest)
        guest_due(guest);
    guest_settle(guest);
}

/* What was begun on that line is gone with it. A client that went on would do outside of its
 * transaction what it meant to do inside. */
void guest_hear_own_lost(struct guest *guest, struct line *line, enum err e, const char *why)
{
    bool free = follow_is_free(&guest->follow) && !guest->follow.sent_multi &&
                !guest->follow.sent_watch && guest->pass == NULL;
    bool mid = line->trunk.mid || guest->follow.is_blind || guest->may_be_closed;

    if (guest_is_going(guest))
        return;
    guest->upstream->metrics.commands_lost += guest->owed;
    if (mid) {
        guest_leave(guest);
        return;
    }
    answer_lost(guest, guest->owed, e, why);
    guest->owed = 0;
    guest->is_blocked = guest->has_doubt = guest->is_moving = false;
    guest->outlives_reset = false;
    if (!free) {
        guest_leave(guest);
        return;
    }
    if (guest->has_rest)
        guest_due(guest);
    guest_settle(guest);
}

#define TOO_LATE "no reply in time (command_timeout)"

/* Nobody else waits for that line, so it is given up with what it may still say. */
void guest_hear_own_late(struct guest *guest)
{
    struct line *line = guest->own.line;

    if (guest->is_moving) {
        guest->is_moving = false;
        dedicated_leave(guest, POOL_LEFT_UNKNOWN);
        guest_refused(guest, ERR_BACKEND_TOO_SLOW, TOO_LATE, NULL);
        return;
    }
    guest->upstream->metrics.command_timeouts += guest->owed;
    guest->may_be_closed = false;
    dedicated_leave(guest, POOL_LEFT_UNKNOWN);
    guest_hear_own_lost(guest, line, ERR_BACKEND_TOO_SLOW, TOO_LATE);
}

void guest_hear_late(struct guest *guest, uint32_t count)
{
    const char *why = TOO_LATE;

    if (guest->is_checking) {
        guest->is_checking = false;
        guest_refused(guest, ERR_BACKEND_TOO_SLOW, why, NULL);
        return;
    }
    guest->upstream->metrics.command_timeouts += count;
    answer_lost(guest, count, ERR_BACKEND_TOO_SLOW, why);
    guest->owed -= count;
    if (guest->owed == 0 && guest->has_rest)
        guest_due(guest);
    guest_settle(guest);
}
