/*
 * Clients of Redis over lines that they share and lines of their own, as guest_take.c,
 * guest_hear.c and dedicated.c do it. Each client talks to a Redis of its own as well, through
 * nobody: what it gets must be what that one says, byte for byte, each reply whole and in order,
 * or an error in its place, or it is closed. And:
 *
 *  - each byte that Redis says goes to whom it was said for, or to nobody;
 *  - over a shared line nothing goes that changes its state or has not just one reply;
 *  - what a client has in its own line (MULTI, WATCH, tracking...) goes nowhere else;
 *  - a line is given back as it was lent, or is cleaned, or is closed.
 */
#include "fuzz.h"
#include "redis_guest.h"

enum { MOST_EVENTS = 600 };

/* ---- what is heard ----------------------------------------------------------------------- */

static void lose_own(struct world *w, struct line *line)
{
    struct client *c = line->guest;
    bool mid = line->trunk.mid || line->is_raw, free;

    line->guest = NULL;
    line_close(line);
    if (c == NULL)
        return;
    free = follow_is_free(&c->follow) && !c->follow.sent_multi && !c->follow.sent_watch &&
           !c->is_passing;
    c->own = NULL;
    if (mid || c->may_be_closed || !free) {
        if (!mid && !c->may_be_closed)
            is_between(c); /* errors are written, and then the end */
        client_is_new(w, c);
        return;
    }
    is_between(c);
    REQUIRE(c->is_off || c->expects == c->owed);
    drop_expected(c, c->expects);
    model_discard(&c->reference); /* it has been told that none of that was done */
    c->reference.state.db = c->follow.db;
    c->owed = 0;
    c->has_doubt = c->is_blocked = c->is_moving = false;
}

static void lose_shared(struct world *w, struct line *line)
{
    struct trunk_owed owed;
    struct client *c;
    bool mid;

    while (trunk_take(&line->trunk, &owed, &mid)) {
        if ((c = owed.whom) == NULL)
            continue;
        if (mid) {
            client_is_new(w, c);
            continue;
        }
        is_between(c);
        c->owed -= owed.note.count;
        if (!c->is_off)
            drop_expected(c, owed.note.count);
    }
    line_close(line);
}

static void lose(struct world *w, struct line *line)
{
    if (!line->is_open)
        return;
    if (line->is_shared)
        lose_shared(w, line);
    else
        lose_own(w, line);
}

static bool hear_clean(struct line *line, const struct trunk_run *run)
{
    static const char *const expected[] = {[CLEAN_RESET] = "+RESET",
                                           [CLEAN_AUTH] = "+OK",
                                           [CLEAN_HELLO] = "%",
                                           [CLEAN_LAST] = "$10\r\nweir-clean\r\n"};
    const char *words = expected[run->note.kind];

    if (run->whole == 0)
        return true;
    if (run->first.length < strlen(words) || memcmp(run->first.at, words, strlen(words)) != 0)
        return false;
    if (run->note.kind != CLEAN_LAST)
        return true;
    line->is_cleaning = false;
    REQUIRE(line_is_clean(line));
    return true;
}

/* False: the line does not do as it was told. */
static bool hear(struct world *w, struct line *line, const struct trunk_run *run)
{
    struct client *c = run->whom;

    if (run->whom == NULL)
        return true;
    if (run->whom == line)
        return hear_clean(line, run);
    if (run->note.kind == KIND_OURS) {
        if (run->whole > 0 && run->first.at[0] != '+') {
            REQUIRE(line->is_poisoned || c->is_off);
            client_is_new(w, c);
        } else if (run->whole > 0) {
            c->is_moving = false;
            line->db = c->follow.db;
        }
        return true;
    }
    check_got(c);
    if (run->is_push || run->whole == 0)
        return true;
    REQUIRE(run->whole <= c->owed);
    c->owed -= run->whole;
    REQUIRE(c->is_off || c->expects == c->owed);
    if (run->note.kind != FOLLOW_PLAIN)
        follow_heard(&c->follow, &run->note, run->first);
    if (run->note.kind == FOLLOW_SELECT && c->own != NULL)
        c->own->db = c->follow.db;
    c->is_blocked = c->is_blocked && c->owed > 0;
    if (c->owed == 0 && c->is_passing) { /* before it was asked? */
        REQUIRE(c->is_off);
        client_is_new(w, c);
    } else if (c->owed == 0) {
        leave_own(w, c);
    }
    return true;
}

/* So many bytes of the line are for him. */
static void hand_over(struct line *line, size_t length, void *whom, bool is_ours)
{
    struct client *c = whom;
    uint32_t owner;
    size_t used;

    for (; length > 0; length -= used) {
        const uint8_t *at = line->redis.out.at;
        size_t first = line->parts[0].length < length ? line->parts[0].length : length;

        if (whom != NULL && whom != line && !is_ours && !c->follow.is_blind)
            bytes_add(&c->got, at, first);
        line_use(line, length, &owner, &used);
        if (whom == NULL)
            continue;
        if (whom == line || is_ours)
            REQUIRE(owner == OURS || line->is_poisoned);
        else
            REQUIRE(owner == c->id || (c->is_off && owner == OURS));
    }
}

/* What was to be queued, had MULTI not been refused, may have waited and be unblocked. */
static bool may_break(const struct line *line, struct slice in)
{
    const struct trunk *trunk = &line->trunk;
    bool is_patient = trunk->entries > 0 && trunk->ring[trunk->head].note.is_patient;

    return line->is_poisoned ||
           (!is_patient && in.length >= 10 && memcmp(in.at, "-UNBLOCKED", 10) == 0);
}

static void show(struct world *w, struct line *line, size_t length)
{
    size_t all = line->redis.out.length;
    struct trunk_run run;

    if (!line->is_open)
        return;
    line->shown = line->shown + length < all ? line->shown + length : all;
    while (line->is_open && line->shown > 0) {
        struct slice in = {line->redis.out.at, line->shown};
        enum trunk_found found = TRUNK_MORE;

        if (line->is_raw && line->trunk.replies == 0) {
            hand_over(line, line->shown, line->guest, false);
            return;
        }
        found = trunk_next(&line->trunk, in, &run);
        if (found == TRUNK_MORE)
            return;
        REQUIRE(found == TRUNK_RUN || may_break(line, in));
        if (found == TRUNK_RUN)
            hand_over(line, run.length, run.whom, run.note.kind == KIND_OURS && run.whom != line);
        if (found == TRUNK_BROKEN || !hear(w, line, &run))
            lose(w, line);
    }
}

/* ---- time, and what else happens --------------------------------------------------------- */

static void expire_shared(struct world *w, struct line *line)
{
    uint32_t count;
    void *whom;

    while (line->is_open && line->is_shared &&
           trunk_expire(&line->trunk, w->now - choose(&w->choices) % 4, &whom, &count)) {
        struct client *c = whom;

        is_between(c);
        REQUIRE(count <= c->owed);
        c->owed -= count;
        if (!c->is_off)
            drop_expected(c, count);
    }
}

static void expire_own(struct world *w, struct client *c)
{
    if (c->own == NULL || c->owed == 0 || trunk_oldest(&c->own->trunk) >= w->now)
        return;
    c->may_be_closed = false;
    lose_own(w, c->own);
}

/* Something that was read has changed; or, over a line of others, somebody has it sent there. */
static void push(struct world *w, struct line *line)
{
    struct client *c = line->guest;
    size_t before = line->redis.out.length;
    bool is_his = c != NULL && line->redis.state.tracking && line->tracker == c->id;

    if (!line->is_open || line->redis.state.protocol != 3 || !line_has_room(line))
        return;
    if (!is_his && !line->is_shared)
        return;
    bytes_print(&line->redis.out, ">2\r\n+invalidate\r\n:%05u\r\n", w->pushes++ % 99999);
    REQUIRE(line->redis.out.length - before == PUSH);
    if (is_his && !line->is_raw)
        bytes_add(&c->pushes, line->redis.out.at + before, PUSH);
    line->is_poisoned |= !is_his;
    line_said(line, before, is_his ? c->id : NOBODYS);
}

static void unblock(struct line *line)
{
    size_t before = line->redis.out.length;

    if (line_unblock(line) || !line->is_open || !line_has_room(line))
        return;
    if (line->redis.state.endless) {
        bytes_print(&line->redis.out, "+1.5 [0 lua]\r\n$7");
        line_said(line, before, line->guest->id);
    } else if (line->is_shared) { /* CLIENT UNBLOCK of what CLIENT PAUSE has stopped */
        bytes_print(&line->redis.out, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
        line_said(line, before, NOBODYS);
        line->is_poisoned = true;
    }
}

/* Redis says something by itself, and it is read before anything is asked. */
static void say_by_itself(struct world *w, struct line *line)
{
    if (!line->is_open || line->guest != NULL || line->redis.is_blocked ||
        line->trunk.replies > 0 || line->in_count > 0 || line->redis.out.length > 0)
        return;
    bytes_print(&line->redis.out, "-ERR bye\r\n");
    line_said(line, 0, NOBODYS);
    line->is_poisoned = true;
    show(w, line, SIZE_MAX / 2);
    REQUIRE(!line->is_open);
}

/* Its bytes have all come; or there is something wrong with them. */
static void pass(struct world *w, struct client *c, bool is_whole)
{
    if (!c->is_passing || !line_has_room(c->own))
        return;
    if (!is_whole) {
        client_is_new(w, c);
        return;
    }
    c->is_passing = false;
    line_give(c->own, &c->passed);
}

static void watch_closing(struct world *w, struct line *line)
{
    if (line->is_open && line->redis.is_closed && line->redis.out.length == 0)
        lose(w, line);
}

static bool step(struct world *w, struct line *line)
{
    uint32_t late = line->redis.late_owner;

    if (!line_step(line))
        return false;
    if (late != 0 && line->redis.late_owner == 0 && line->guest != NULL &&
        line->guest->id == late) {
        line->guest->is_off = true;
        drop_expected(line->guest, line->guest->expects);
        bytes_clear(&line->guest->got);
    }
    watch_closing(w, line);
    return true;
}

static void rarely(struct world *w, struct client *c, struct line *line, uint8_t how)
{
    if (how % 16 == 0)
        client_is_new(w, c);
    else if (how % 16 == 1)
        lose(w, line);
    else if (how % 8 == 2)
        expire_shared(w, line);
    else if (how % 8 == 3)
        expire_own(w, c);
    else if (how % 8 == 4)
        push(w, line);
    else if (how % 8 == 5)
        pass(w, c, how > 16);
    else if (how % 8 == 6)
        say_by_itself(w, line);
    else if (how % 8 == 7)
        c->is_heavy ^= c->own == NULL;
}

static void happen(struct world *w)
{
    uint8_t what = choose(&w->choices), who = choose(&w->choices);
    struct client *c = &w->clients[who % CLIENTS];
    struct line *line = &w->lines[who / CLIENTS % LINES];

    if (who & 0x80 && c->own != NULL)
        line = c->own;
    else if (who & 0x80)
        line = lane_of(w, c);
    if (what % 16 < 5)
        client_asks(w, c);
    else if (what % 16 < 8)
        client_is_seen(w, c);
    else if (what % 16 < 11)
        step(w, line);
    else if (what % 16 < 13)
        show(w, line, 1u + what / 16u * (what / 16u));
    else if (what % 16 == 13)
        unblock(line);
    else if (what % 16 == 14)
        rarely(w, c, line, choose(&w->choices));
    else
        w->now++;
}

/* All that can still happen does: then nobody waits but for a line that others keep. */
static void end(struct world *w)
{
    bool goes_on = true;

    for (unsigned round = 0; goes_on; round++) {
        REQUIRE(round < 1000);
        goes_on = false;
        for (size_t i = 0; i < CLIENTS; i++) {
            pass(w, &w->clients[i], true);
            goes_on = client_is_seen(w, &w->clients[i]) || goes_on;
        }
        for (size_t i = 0; i < LINES; i++) {
            goes_on = line_unblock(&w->lines[i]) || goes_on;
            while (step(w, &w->lines[i]))
                goes_on = true;
            goes_on = goes_on || w->lines[i].redis.out.length > w->lines[i].shown;
            show(w, &w->lines[i], SIZE_MAX / 2);
            watch_closing(w, &w->lines[i]);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &w->clients[i];

        REQUIRE(c->is_off || (c->owed == 0 && c->expects == 0));
        REQUIRE(c->is_off || c->follow.is_blind || c->pushes.length == 0);
        for (size_t j = SHARED; j < LINES; j++)
            REQUIRE(c->is_off || c->asks_count == 0 || w->lines[j].guest != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    struct world *w = &world;

    memset(w, 0, sizeof(*w));
    w->choices = (struct choices){data, size};
    w->variant = choose(&w->choices) % 4;
    w->now = 10;
    for (size_t i = 0; i < LINES; i++)
        w->lines[i].is_shared = i < SHARED;
    for (size_t i = 0; i < CLIENTS; i++)
        client_is_new(w, &w->clients[i]);
    for (unsigned i = 0; i < MOST_EVENTS && w->choices.length > 0; i++)
        happen(w);
    end(w);
    for (size_t i = 0; i < CLIENTS; i++)
        client_is_new(w, &w->clients[i]);
    for (size_t i = 0; i < CLIENTS; i++)
        bytes_free(&w->clients[i].reference.out);
    for (size_t i = 0; i < LINES; i++)
        line_close(&w->lines[i]);
    return 0;
}
