#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/fronts/redis/guest_parts.h"

/* So many replies of one guest may be owed; then its requests wait. */
enum { MOST_OWED = 64 * 1024 };

/* Requests that stand side by side and go the same way. */
struct taking {
    struct guest *guest;
    const uint8_t *run;
    size_t length;
    uint32_t count;
};

/* What was made of the request at the beginning of in. */
struct sight {
    struct request request;
    struct verb_use use;
    struct follow_plan plan;
    bool is_large;
    size_t answered; /* so much of it was used, if it was answered at once */
};

/* ---- shared ------------------------------------------------------------------------------ */

static struct shared_lane *lane_of(struct guest *guest)
{
    struct shared *shared;

    if (guest->lane != NULL)
        return guest->lane;
    shared = shared_find(guest->identity, guest->follow.db, guest->follow.protocol);
    if (shared == NULL)
        return NULL;
    shared_join(shared, guest);
    return guest->lane;
}

void guest_take_shared(struct guest *guest, struct slice bytes, uint32_t count)
{
    struct trunk_note note = {.count = count};
    struct shared_lane *lane = guest->lane;
    uint64_t now = door_now(guest->door);

    shared_watch(lane, now);
    lane->wanted = now;
    if (line_ask(lane->line, guest, &note, bytes, now) != ERR_OK) {
        guest_fail(guest, ERR_NO_MEMORY, NULL);
        return;
    }
    guest->owed += count;
    guest->upstream->metrics.commands += count;
    guest->upstream->metrics.shared += count;
}

static void send_run(struct taking *taking)
{
    struct slice run = {taking->run, taking->length};
    uint32_t count = taking->count;

    taking->length = taking->count = 0;
    if (count > 0 && !guest_is_going(taking->guest))
        guest_take_shared(taking->guest, run, count);
}

/* Whether the guest's lane can take a request; else it waits. */
static bool lane_is_ready(struct taking *taking)
{
    struct guest *guest = taking->guest;
    struct shared_lane *lane = lane_of(guest);

    if (lane == NULL)
        guest_fail(guest, ERR_NO_MEMORY, NULL);
    else if (!shared_lane_is_open(lane))
        shared_wait(lane, guest);
    else if (shared_lane_is_full(lane))
        shared_stall(lane, guest);
    else
        return true;
    return false;
}

static size_t share(struct taking *taking, const struct sight *sight, struct slice in)
{
    size_t length = sight->request.length;
    const struct bytes *spare = &taking->guest->door->spare;

    if (taking->count == 0 && !lane_is_ready(taking))
        return 0;
    if (sight->request.is_inline) {
        send_run(taking);
        if (!guest_is_going(taking->guest))
            guest_take_shared(taking->guest, (struct slice){spare->at, spare->length}, 1);
        return length;
    }
    if (taking->count == 0)
        taking->run = in.at;
    taking->length += length;
    taking->count++;
    return length;
}

/* ---- over a line of its own -------------------------------------------------------------- */

/* Granted, or waited for. */
static bool has_own(struct guest *guest)
{
    struct dedicated *dedicated;

    if (guest->own.line != NULL || guest->own.dedicated != NULL)
        return guest->own.line != NULL;
    dedicated = dedicated_of(guest->identity, guest->follow.protocol);
    if (dedicated == NULL)
        guest_fail(guest, ERR_NO_MEMORY, NULL);
    else
        dedicated_ask(dedicated, guest);
    return guest->own.line != NULL;
}

static enum err ask_ours(struct guest *guest, const char *text, size_t length, void *whom)
{
    struct trunk_note note = {.count = 1, .kind = whom != NULL ? GUEST_OURS : FOLLOW_PLAIN};

    return line_ask(guest->own.line, whom, &note, (struct slice){(const uint8_t *)text, length},
                    door_now(guest->door));
}

static void watch_own(struct guest *guest)
{
    uint64_t timeout = guest->door->with.config->command_timeout_ms;

    if (timeout > 0)
        alarm_due_at(guest->door->with.alarm, door_now(guest->door) + timeout);
}

/* Whether the line is in the guest's database; else it is sent there. What the guest asks waits
 * until it is: Redis may refuse, and then it would happen in another. */
static bool is_in_place(struct guest *guest)
{
    struct line *line = guest->own.line;
    char number[16], text[64];
    int digits, length;

    if (line->db == guest->follow.db)
        return true;
    digits = snprintf(number, sizeof(number), "%d", (int)guest->follow.db);
    length = snprintf(text, sizeof(text), "*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", digits, number);
    if (ask_ours(guest, text, (size_t)length, guest) != ERR_OK) {
        guest_fail(guest, ERR_NO_MEMORY, NULL);
        return false;
    }
    guest->is_moving = true;
    watch_own(guest);
    return false;
}

/* From now on bytes are bytes; what was asked before is answered first. */
static void go_blind(struct guest *guest)
{
    guest->follow.is_blind = true;
    guest->own.line->is_raw = true;
    guest->owed = 0;
}

static bool ask_own(struct guest *guest, const struct sight *sight, struct slice bytes)
{
    static const char ping[] = "*1\r\n$4\r\nPING\r\n";
    struct line *line = guest->own.line;
    enum err e = ERR_OK;

    if (sight->plan.goes_blind) {
        go_blind(guest);
        line_send(line, bytes);
        return true;
    }
    if (sight->plan.pings)
        e = ask_ours(guest, ping, sizeof(ping) - 1, NULL);
    if (e == ERR_OK)
        e = line_ask(line, guest, &sight->plan.note, bytes, door_now(guest->door));
    if (e != ERR_OK) {
        guest_fail(guest, ERR_NO_MEMORY, NULL);
        return false;
    }
    follow_sent(&guest->follow, &sight->use);
    guest->owed++;
    guest->is_blocked |= sight->plan.note.is_patient;
    guest->has_doubt |= sight->use.leaves_doubt;
    guest->outlives_reset |= sight->use.outlives_reset || sight->use.may_close;
    guest->may_be_closed = sight->use.may_close;
    return true;
}

static void count_own(struct guest *guest)
{
    guest->upstream->metrics.commands++;
    guest->upstream->metrics.dedicated++;
    watch_own(guest);
}

static size_t send_own(struct guest *guest, const struct sight *sight, struct slice in)
{
    const struct bytes *spare = &guest->door->spare;
    struct slice bytes = {in.at, sight->request.length};

    guest->will_block = sight->plan.note.is_patient;
    if (!has_own(guest) || line_queued(guest->own.line) > GUEST_MOST_QUEUED || !is_in_place(guest))
        return 0;
    if (sight->request.is_inline)
        bytes = (struct slice){spare->at, spare->length};
    count_own(guest);
    return ask_own(guest, sight, bytes) ? sight->request.length : 0;
}

/* ---- large requests, and blind guests ---------------------------------------------------- */

static size_t begin_large(struct guest *guest, const struct sight *sight)
{
    if (!has_own(guest) || !is_in_place(guest))
        return 0;
    if (sight->plan.goes_blind) {
        go_blind(guest);
        return 0;
    }
    if ((guest->pass = calloc(1, sizeof(*guest->pass))) == NULL) {
        guest_fail(guest, ERR_NO_MEMORY, NULL);
        return 0;
    }
    count_own(guest);
    (void)ask_own(guest, sight, (struct slice){0});
    return 0; /* its bytes are shown again, to pass_on */
}

/* Redis would not know what to make of the rest, either; it is spared the whole. */
static void break_off(struct guest *guest)
{
    char error[REQUEST_ERROR_SIZE + 8];

    guest->upstream->metrics.protocol_violations++;
    snprintf(error, sizeof(error), "%s", guest->pass->error);
    guest_fail(guest, ERR_PROTOCOL, error);
}

/* It has come on. */
static void watch_pass(struct guest *guest)
{
    uint64_t timeout = guest->door->with.config->client_message_timeout_ms;

    guest->since = door_now(guest->door);
    if (timeout > 0)
        alarm_due_at(guest->door->with.alarm, guest->since + timeout);
}

static size_t pass_on(struct guest *guest, struct slice in)
{
    enum request_found found = REQUEST_BROKEN;
    size_t used;

    if (line_queued(guest->own.line) > GUEST_MOST_QUEUED)
        return 0;
    if (guest->pass->error[0] == '\0') /* once broken, always */
        found = request_pass(guest->pass, in, &used);
    if (found == REQUEST_BROKEN) {
        if (guest->owed <= 1) /* what was asked before is answered first */
            break_off(guest);
        return 0;
    }
    if (used > 0)
        line_send(guest->own.line, (struct slice){in.at, used});
    watch_pass(guest);
    if (found != REQUEST_MORE) {
        trunk_touch(&guest->own.line->trunk, door_now(guest->door));
        watch_own(guest);
        free(guest->pass);
        guest->pass = NULL;
        if (guest->owed == 0) /* it was answered before it had ended */
            guest_hear_no_more(guest);
    }
    return used;
}

static size_t pass_raw(struct guest *guest, struct slice in)
{
    if (line_queued(guest->own.line) > GUEST_MOST_QUEUED)
        return 0;
    line_send(guest->own.line, in);
    return in.length;
}

/* ---- one request ------------------------------------------------------------------------- */

/* It waited for what it will not get. */
static size_t refuse(struct guest *guest, const struct sight *sight)
{
    if (guest->owed > 0)
        return 0;
    guest_write(guest, (struct slice){(uint8_t *)guest->refusal, strlen(guest->refusal)});
    free(guest->refusal);
    guest->refusal = NULL;
    guest_auth_free(guest);
    guest->claim_is_true = false;
    if (sight->is_large)
        guest_leave(guest);
    return sight->request.length;
}

static bool may_come_unknown(const struct verb_use *use)
{
    return use->need == VERB_AUTH || use->need == VERB_HELLO || use->need == VERB_QUIT ||
           use->need == VERB_RESET || use->need == VERB_ATTACK;
}

static bool is_about_subscribing(const struct verb_use *use)
{
    return use->need == VERB_SUBSCRIBE || use->need == VERB_UNSUBSCRIBE;
}

static size_t answer_here(struct guest *guest, const struct sight *sight, struct slice in)
{
    const struct bytes *spare = &guest->door->spare;

    if (!sight->is_large && is_about_subscribing(&sight->use)) {
        if (sight->request.is_inline)
            in = (struct slice){spare->at, spare->length};
        guest_subscribe(guest, in, sight->request.count, &sight->use);
        return sight->request.length;
    }
    if (!sight->is_large)
        return guest_here(guest, &sight->request, &sight->use) ? sight->request.length : 0;
    guest_fail(guest, ERR_PROTOCOL, "too long for this command");
    return 0;
}

/* Messages would come in the middle of what is passed on as it is. */
static bool may_go_blind(struct guest *guest)
{
    if (guest_subscribe_is_on(guest)) {
        guest_fail(guest, ERR_PROTOCOL, "weir: not for who has subscribed already");
        return false;
    }
    guest_subscribe_end(guest);
    return true;
}

/* Who has gone does not need what may never end, and would take it from somebody else. */
static bool is_worth_it(struct guest *guest, const struct follow_plan *plan)
{
    if (!guest->has_ended || !(plan->note.is_patient || plan->goes_blind))
        return true;
    guest_leave(guest);
    return false;
}

static int32_t number_of(const struct request *request)
{
    int32_t number = 0;

    if (request->shown < 2 || request->args[1].length == 0 || request->args[1].length > 9)
        return -1;
    for (size_t i = 0; i < request->args[1].length; i++) {
        uint8_t digit = request->args[1].at[i];

        if (digit < '0' || digit > '9')
            return -1;
        number = number * 10 + (digit - '0');
    }
    return number;
}

static size_t do_one(struct taking *taking, struct sight *sight, struct slice in)
{
    struct guest *guest = taking->guest;

    if (sight->plan.step == FOLLOW_SHARE)
        return share(taking, sight, in);
    send_run(taking);
    if (guest_is_going(guest))
        return 0;
    switch (sight->plan.step) {
    case FOLLOW_OWN:
        if (!is_worth_it(guest, &sight->plan) || (sight->plan.goes_blind && !may_go_blind(guest)))
            return 0;
        return sight->is_large ? begin_large(guest, sight) : send_own(guest, sight, in);
    case FOLLOW_HERE:
        return answer_here(guest, sight, in);
    case FOLLOW_END:
        guest->upstream->metrics.protocol_violations++;
        guest_close(guest);
        return 0;
    case FOLLOW_SHARE:
    case FOLLOW_LATER:
        break;
    }
    return 0;
}

/* What else a subscriber says comes after what it is still owed for subscribing, and is little
 * in RESP2. True: that was all, for now. */
static bool hears(struct taking *taking, struct sight *sight)
{
    struct guest *guest = taking->guest;

    sight->answered = 0;
    if (guest_subscribe_is_owed(guest) &&
        (!is_about_subscribing(&sight->use) || guest_subscribe_is_full(guest)))
        return true;
    if (guest->owed + taking->count > 0 && guest_subscribe_is_on(guest) &&
        guest->follow.protocol == 2)
        return true;
    if (!guest_subscribe_answers(guest, &sight->request, &sight->use))
        return false;
    if (sight->is_large) /* the rest of it is not waited for */
        guest_leave(guest);
    sight->answered = sight->request.length;
    return true;
}

static size_t take_request(struct taking *taking, struct sight *sight, struct slice in)
{
    struct guest *guest = taking->guest;
    struct follow_where where = {
        .is_owed = guest->owed + taking->count > 0 || guest->is_mid,
        .has_own = guest->own.line != NULL,
        .is_large = sight->is_large,
        .is_heavy = guest->is_heavy,
        .is_blocked = guest->is_blocked,
    };

    if (guest->refusal != NULL)
        return refuse(guest, sight);
    sight->use = verb_classify(&sight->request);
    if (guest->identity == NULL && !may_come_unknown(&sight->use)) {
        guest_answer(guest, "-NOAUTH Authentication required.\r\n");
        if (sight->is_large)
            guest_leave(guest);
        return sight->request.length;
    }
    if (guest->ear != NULL && hears(taking, sight))
        return guest_is_going(guest) ? 0 : sight->answered;
    if (sight->use.need == VERB_SHARED && guest->own.line == NULL && !sight->is_large &&
        !guest->is_heavy && follow_may_share(&guest->follow))
        return share(taking, sight, in);
    sight->plan = follow_see(&guest->follow, &sight->use, &where);
    if (sight->plan.note.kind == FOLLOW_SELECT || sight->plan.note.kind == FOLLOW_HELLO)
        sight->plan.note.argument = number_of(&sight->request);
    return do_one(taking, sight, in);
}

/* Redis's own words, and it closes, too; but what was asked before is answered first. */
static void reject(struct taking *taking, const struct sight *sight)
{
    struct guest *guest = taking->guest;

    send_run(taking);
    if (guest->owed > 0 || guest_is_going(guest))
        return;
    guest->upstream->metrics.protocol_violations++;
    guest_fail(guest, ERR_PROTOCOL, sight->request.error);
}

static size_t take_one(struct taking *taking, struct slice in)
{
    struct guest *guest = taking->guest;
    struct sight sight;

    if (guest->follow.is_blind)
        return pass_raw(guest, in);
    if (guest->pass != NULL)
        return pass_on(guest, in);
    sight.is_large = false;
    switch (request_read(&sight.request, in, guest->identity != NULL, &guest->door->spare)) {
    case REQUEST_MORE:
        return 0;
    case REQUEST_EMPTY:
        send_run(taking); /* runs are of requests side by side */
        return sight.request.length;
    case REQUEST_BROKEN:
        reject(taking, &sight);
        return 0;
    case REQUEST_LARGE:
        sight.is_large = true;
        break;
    case REQUEST_WHOLE:
        break;
    }
    return take_request(taking, &sight, in);
}

/* ---- all that came ----------------------------------------------------------------------- */

static bool may_go_on(const struct guest *guest)
{
    return !guest_is_going(guest) && !guest->is_checking && !guest->is_moving &&
           guest->owed < MOST_OWED && !guest_is_waiting(guest) &&
           stream_queued(&guest->stream) < GUEST_MOST_QUEUED;
}

/* A large request has no length of its own when it begins; then it is looked at once more. */
size_t guest_take(struct guest *guest, struct slice in)
{
    struct taking taking = {.guest = guest};
    size_t used = 0, more;

    guest->upstream->metrics.reads_from_clients++;
    while (used < in.length && may_go_on(guest)) {
        bool was_passing = guest->pass != NULL || guest->follow.is_blind;
        bool is_passing;

        more = take_one(&taking, (struct slice){in.at + used, in.length - used});
        used += more;
        is_passing = guest->pass != NULL || guest->follow.is_blind;
        if (more == 0 && (was_passing || !is_passing))
            break;
    }
    send_run(&taking);
    guest->upstream->metrics.bytes_from_clients += used;
    return used;
}
