/*
 * tests/fuzz/redis_guest.h - the clients of fuzz_redis_relay.c, and what they send: as
 * proxy/fronts/redis/guest_take.c, guest_here.c and dedicated.c do it.
 *
 *      client_asks(w, client);        one more request, chosen by the fuzzer
 *      client_is_seen(w, client);     those that can go now go
 *      client_is_new(w, client);      it has gone, and another comes
 */
#ifndef TESTS_FUZZ_REDIS_GUEST_H
#define TESTS_FUZZ_REDIS_GUEST_H

#include "drivers/redis/follow.h"
#include "redis_line.h"

enum { CLIENTS = 4, OWN = 3, MOST_ASKS = 8, MOST_OWED = 32, PUSH = 25 };
enum { SHARED = USERS * DATABASES * 2, LINES = SHARED + OWN };
enum { KIND_OURS = FOLLOW_KIND_COUNT };
enum { CLEAN_RESET = 1, CLEAN_AUTH, CLEAN_HELLO, CLEAN_LAST };

struct client {
    struct follow follow;
    struct model reference;
    struct line *own;
    struct ask asks[MOST_ASKS]; /* not taken yet */
    size_t asks_count;
    struct bytes expected, pushes, got;
    size_t lengths[MOST_OWED]; /* of what is expected */
    uint32_t id, seq, owed, expects;
    uint8_t user;
    bool is_heavy, has_doubt, outlives_reset, may_be_closed, is_blocked;
    bool is_moving;    /* its own line is, to its database */
    bool is_passing;   /* a large request */
    bool is_off;       /* its own line has said more than it was asked for */
    struct ask passed; /* given to Redis when it is whole */
};

struct world {
    struct choices choices;
    struct client clients[CLIENTS];
    struct line lines[LINES]; /* first those that are shared */
    uint64_t now;
    uint32_t last_id;
    unsigned variant, pushes;
};

/* What was made of a request. */
struct sight {
    struct ask ask;
    struct verb_use use;
    struct follow_plan plan;
};

static bool leave_line(struct world *w, struct client *c, bool closes);

/* ---- what a client gets ------------------------------------------------------------------ */

static void client_is_new(struct world *w, struct client *c)
{
    for (size_t i = 0; i < SHARED; i++)
        if (w->lines[i].is_open)
            trunk_forget(&w->lines[i].trunk, c);
    leave_line(w, c, true);
    bytes_free(&c->expected);
    bytes_free(&c->pushes);
    bytes_free(&c->got);
    bytes_free(&c->reference.out);
    *c = (struct client){.id = ++w->last_id, .is_heavy = choose(&w->choices) % 8 == 0};
    follow_init(&c->follow);
    model_open(&c->reference, 0, 2, w->variant);
    c->reference.is_reference = true;
}

/* Nothing but whole replies has been shown. */
static void is_between(const struct client *c)
{
    REQUIRE(c->is_off || c->got.length == 0);
}

static void drop_expected(struct client *c, uint32_t count)
{
    REQUIRE(count <= c->expects);
    while (count-- > 0) {
        bytes_drop(&c->expected, c->lengths[0]);
        memmove(c->lengths, c->lengths + 1, --c->expects * sizeof(c->lengths[0]));
    }
}

static void check_got(struct client *c)
{
    while (c->got.length > 0 && !c->is_off) {
        bool is_push = c->got.at[0] == '>';
        struct bytes *from = is_push ? &c->pushes : &c->expected;
        size_t whole = is_push ? PUSH : c->lengths[0];
        size_t length = c->got.length < whole ? c->got.length : whole;

        REQUIRE(is_push || c->expects > 0);
        REQUIRE(from->length >= whole && memcmp(from->at, c->got.at, length) == 0);
        if (length < whole)
            return;
        bytes_drop(&c->got, whole);
        if (is_push)
            bytes_drop(from, whole);
        else
            drop_expected(c, 1);
    }
}

/* Its own Redis does it, too. Over a line it is owed a reply then. */
static void refer(struct client *c, const struct ask *ask, bool is_owed)
{
    struct model *m = &c->reference;

    model_do(m, ask);
    if (is_owed && !c->is_off) {
        REQUIRE(m->replies == 1 && c->expects < MOST_OWED);
        bytes_add(&c->expected, m->out.at, m->out.length);
        c->lengths[c->expects++] = m->out.length;
    }
    bytes_clear(&m->out);
}

/* ---- lines of one's own ------------------------------------------------------------------ */

static void ask_ours(struct world *w, struct line *line, const char *words, uint8_t number,
                     void *whom, uint8_t kind)
{
    struct ask ask = {.owner = OURS, .number = number};
    struct trunk_note note = {.count = 1, .kind = kind};

    while (strcmp(commands[ask.command].words, words) != 0)
        ask.command++;
    REQUIRE(trunk_owe(&line->trunk, whom, &note, w->now) == ERR_OK);
    line_give(line, &ask);
}

static void clean(struct world *w, struct line *line)
{
    line->is_cleaning = true;
    line->db = 0;
    ask_ours(w, line, "RESET", 0, line, CLEAN_RESET);
    ask_ours(w, line, "AUTH u# p", line->user, line, CLEAN_AUTH);
    if (line->protocol == 3)
        ask_ours(w, line, "HELLO #", 3, line, CLEAN_HELLO);
    ask_ours(w, line, "ECHO weir-clean", 0, line, CLEAN_LAST);
}

/* dedicated_leave() and what the pool orders. True: the line was kept, for others. */
static bool leave_line(struct world *w, struct client *c, bool closes)
{
    struct line *line = c->own;

    if (line == NULL)
        return false;
    c->own = NULL;
    line->guest = NULL;
    if (trunk_forget(&line->trunk, c) || line->trunk.replies > 0 || line->is_raw || closes ||
        c->outlives_reset) {
        line_close(line);
        return false;
    }
    if (c->has_doubt)
        clean(w, line);
    else
        REQUIRE(line_is_clean(line));
    return true;
}

static void leave_own(struct world *w, struct client *c)
{
    if (c->own == NULL || c->is_passing || c->own->trunk.replies > 0)
        return;
    follow_settle(&c->follow);
    if (!follow_is_free(&c->follow))
        return;
    leave_line(w, c, false);
    c->has_doubt = c->outlives_reset = false;
}

static bool has_own(struct world *w, struct client *c)
{
    struct line *line, *found = NULL;

    for (size_t i = SHARED; i < LINES && c->own == NULL; i++) {
        line = &w->lines[i];
        if (line->guest != NULL || line->is_cleaning)
            continue;
        if (line->is_open && line->user == c->user && line->protocol == c->follow.protocol)
            c->own = line;
        else
            found = line;
    }
    if (c->own == NULL && found != NULL) {
        line_open(found, c->user, 0, c->follow.protocol, w->variant);
        c->own = found;
    }
    if (c->own == NULL)
        return false;
    c->own->guest = c;
    c->own->trunk.pushed_to = c;
    return true;
}

/* ---- what is asked ----------------------------------------------------------------------- */

static size_t words_of(const struct ask *ask, char text[TAG], struct request *request)
{
    size_t length = strlen(commands[ask->command].words);

    *request = (struct request){0};
    memcpy(text, commands[ask->command].words, length + 1);
    for (size_t i = 0, from = 0; i <= length; i++) {
        if (text[i] == '#')
            text[i] = (char)('0' + ask->number);
        if (text[i] != ' ' && text[i] != '\0')
            continue;
        request->args[request->count++] = (struct slice){(uint8_t *)text + from, i - from};
        from = i + 1;
    }
    request->shown = request->count;
    return length;
}

/* Else it is sent there, and what the client asks waits until it is. */
static bool is_in_place(struct world *w, struct client *c)
{
    if (c->own->db == c->follow.db)
        return true;
    ask_ours(w, c->own, "SELECT #", (uint8_t)c->follow.db, c, KIND_OURS);
    c->is_moving = true;
    return false;
}

static bool send_own(struct world *w, struct client *c, const struct sight *sight)
{
    struct line *line;

    if (c->own == NULL && !has_own(w, c))
        return false;
    line = c->own;
    if (!line_has_room(line) || c->expects == MOST_OWED)
        return false;
    if (!is_in_place(w, c))
        return false;
    if (sight->plan.goes_blind) {
        REQUIRE(c->expects == 0 || c->is_off);
        is_between(c);
        c->follow.is_blind = line->is_raw = true;
        c->owed = 0;
        line_give(line, &sight->ask);
        return true;
    }
    if (sight->plan.pings)
        ask_ours(w, line, "PING", 0, NULL, FOLLOW_PLAIN);
    c->is_blocked |= sight->plan.note.is_patient;
    REQUIRE(trunk_owe(&line->trunk, c, &sight->plan.note, w->now) == ERR_OK);
    follow_sent(&c->follow, &sight->use);
    c->owed++;
    c->has_doubt |= sight->use.leaves_doubt;
    c->outlives_reset |= sight->use.outlives_reset;
    c->may_be_closed |= sight->use.may_close;
    c->is_passing = sight->ask.is_large;
    if (c->is_passing)
        c->passed = sight->ask;
    else
        line_give(line, &sight->ask);
    refer(c, &sight->ask, true);
    return true;
}

static struct line *lane_of(struct world *w, const struct client *c)
{
    size_t place =
        ((size_t)c->user * DATABASES + (size_t)c->follow.db) * 2 + c->follow.protocol - 2;
    struct line *line = &w->lines[place];

    if (!line->is_open)
        line_open(line, c->user, c->follow.db, c->follow.protocol, w->variant);
    line->is_shared = true;
    return line;
}

/* What it has in a line of its own would not be there. */
static void has_nothing(const struct client *c, const struct line *lane)
{
    const struct model_state *s = &c->reference.state;

    REQUIRE(c->own == NULL);
    if (c->is_off) /* it has read replies for those of other requests */
        return;
    REQUIRE(!s->multi && !s->watching && !s->tracking && !s->keeps && !s->no_evict);
    REQUIRE(!s->endless && !s->silent && !s->skips && s->subscribed == 0);
    REQUIRE(s->db == lane->db && s->user == lane->user && s->protocol == lane->protocol);
}

static bool share(struct world *w, struct client *c, const struct sight *sight, uint32_t *run)
{
    struct line *lane = lane_of(w, c);

    if (!line_has_room(lane) || c->expects == MOST_OWED)
        return false;
    has_nothing(c, lane);
    REQUIRE(sight->plan.note.count == 1 && sight->plan.note.kind == 0 && !sight->ask.is_large);
    line_give(lane, &sight->ask);
    refer(c, &sight->ask, true);
    has_nothing(c, lane);
    ++*run;
    return true;
}

static void send_run(struct world *w, struct client *c, uint32_t *run)
{
    struct trunk_note note = {.count = *run};

    if (*run > 0)
        REQUIRE(trunk_owe(&lane_of(w, c)->trunk, c, &note, w->now) == ERR_OK);
    c->owed += *run;
    *run = 0;
}

/* ---- what is answered here --------------------------------------------------------------- */

static void greet(struct world *w, struct client *c, const struct sight *sight)
{
    static const struct ask plain = {.number = 3};
    const char *words = commands[sight->ask.command].words;
    struct sight hello = *sight;
    uint32_t run = 0;

    if (words[5] != '\0' && words[6] == '#' && (sight->ask.number < 2 || sight->ask.number > 3)) {
        refer(c, &sight->ask, false);
        return;
    }
    if (words[5] != '\0' && words[6] == '3') {
        hello.ask.number = plain.number;
        while (strcmp(commands[hello.ask.command].words, "HELLO #") != 0)
            hello.ask.command--;
        refer(c, &sight->ask, false);
        if (sight->ask.number >= USERS)
            return;
        c->user = sight->ask.number;
        c->follow.protocol = 3;
    } else if (words[5] != '\0') {
        refer(c, &sight->ask, false);
        c->follow.protocol = sight->ask.number;
    }
    hello.plan.note = (struct trunk_note){.count = 1};
    if (share(w, c, &hello, &run))
        send_run(w, c, &run);
}

static void here(struct world *w, struct client *c, const struct sight *sight)
{
    const struct model_state *s = &c->reference.state;
    bool ends = sight->use.need == VERB_RESET || sight->use.need == VERB_QUIT;

    is_between(c);
    REQUIRE(c->owed == 0 && (c->is_off || c->expects == 0) && (ends || c->is_off || !s->multi));
    if (sight->use.need == VERB_HELLO && !sight->ask.is_large) {
        REQUIRE(c->own == NULL && (c->is_off || !s->watching));
        greet(w, c, sight);
        return;
    }
    if (sight->ask.is_large || sight->use.need == VERB_QUIT || sight->use.need == VERB_SUBSCRIBE) {
        client_is_new(w, c);
        return;
    }
    refer(c, &sight->ask, false);
    if (sight->use.need == VERB_RESET) {
        leave_line(w, c, true);
        c->has_doubt = c->outlives_reset = c->is_heavy = false;
        c->user = 0;
        bytes_clear(&c->pushes);
        follow_init(&c->follow);
        c->reference.state.no_evict = false; /* it has another line */
    }
    if (sight->use.need == VERB_SELECT && sight->ask.number < DATABASES)
        c->follow.db = sight->ask.number;
    if (sight->use.need == VERB_AUTH && sight->ask.number < USERS)
        c->user = sight->ask.number;
    c->reference.state.named = false; /* that is known here, and no line needs it */
}

/* ---- one request ------------------------------------------------------------------------- */

static void see(const struct client *c, struct sight *sight, uint32_t run)
{
    struct follow_where where = {.is_owed = c->owed + run > 0 || (c->own && c->own->trunk.mid),
                                 .has_own = c->own != NULL,
                                 .is_large = sight->ask.is_large,
                                 .is_heavy = c->is_heavy,
                                 .is_blocked = c->is_blocked};
    struct request request;
    char text[TAG];

    words_of(&sight->ask, text, &request);
    sight->use = verb_classify(&request);
    sight->plan = follow_see(&c->follow, &sight->use, &where);
    if (sight->plan.note.kind == FOLLOW_SELECT || sight->plan.note.kind == FOLLOW_HELLO)
        sight->plan.note.argument =
            request.count > 1 && request.args[1].length == 1 ? request.args[1].at[0] - '0' : -1;
    if (sight->use.need == VERB_SHARED && !where.has_own && !where.is_large && !where.is_heavy &&
        follow_may_share(&c->follow))
        REQUIRE(sight->plan.step == FOLLOW_SHARE);
}

static bool take_one(struct world *w, struct client *c, const struct ask *ask, uint32_t *run)
{
    struct sight sight = {.ask = *ask};

    if (c->follow.is_blind) {
        if (!line_has_room(c->own))
            return false;
        line_give(c->own, ask);
        return true;
    }
    if (c->is_passing || c->is_moving)
        return false;
    see(c, &sight, *run);
    if (sight.plan.step == FOLLOW_SHARE)
        return share(w, c, &sight, run);
    send_run(w, c, run);
    switch (sight.plan.step) {
    case FOLLOW_OWN:
        return send_own(w, c, &sight);
    case FOLLOW_HERE:
        here(w, c, &sight);
        return true;
    case FOLLOW_END:
        client_is_new(w, c);
        return true;
    case FOLLOW_SHARE:
    case FOLLOW_LATER:
        break;
    }
    return false;
}

static bool client_is_seen(struct world *w, struct client *c)
{
    uint32_t run = 0, id = c->id;
    size_t taken = 0;

    while (taken < c->asks_count && take_one(w, c, &c->asks[taken], &run) && c->id == id)
        taken++;
    if (c->id != id)
        return true;
    send_run(w, c, &run);
    c->asks_count -= taken;
    memmove(c->asks, c->asks + taken, c->asks_count * sizeof(c->asks[0]));
    return taken > 0;
}

static void client_asks(struct world *w, struct client *c)
{
    uint8_t which = choose(&w->choices);
    struct ask *ask = &c->asks[c->asks_count];

    if (c->asks_count == MOST_ASKS)
        return;
    *ask = (struct ask){.owner = c->id, .seq = ++c->seq, .mood = choose(&w->choices)};
    ask->command = which < 128 ? which % 8 : which % (COUNT_OF(commands) - 2);
    ask->number = choose(&w->choices) % 5;
    ask->is_large = which >= 128 && ask->mood % 32 == 9;
    if (model_what(ask) == DOES_SELECT || model_what(ask) == DOES_AUTH)
        ask->number %= 4;
    c->asks_count++;
}

#endif
