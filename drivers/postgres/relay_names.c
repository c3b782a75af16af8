/*
 * Clients call their statements what they like, and any server may have to serve them. Where
 * the name a client uses is free on its server, or means the same there, the client's own bytes
 * are forwarded. What the server lacks is prepared ahead of the message that needs it, in the
 * same write; what it has already is answered here, in its place; only a name that means
 * something else there is changed, and what is sent instead is the statement's number.
 */
#include "drivers/postgres/relay_repeat.h"
#include "drivers/postgres/relay_shapes.h"
#include "drivers/postgres/relay_sql.h"

enum {
    WHOLE = 32 * 1024, /* a statement longer than that stays where it is */
    MOST_NAMES = 2048, /* bytes; nobody has names that long */
    MOST_AT_ONCE = 6,  /* steps that a message may take */
    MOST_SLICES = 8,   /* ... and slices */
    MOST_OWN = 400,    /* ... and bytes of ours */
};

/* ---- the client's messages --------------------------------------------------------------- */

/* A message and what is in it. */
struct seen {
    struct slice ahead; /* it, and what has come behind it */
    struct slice message;
    size_t length; /* of the message, when all of it is there */
    size_t at;     /* where the statement's name is */
    size_t after;  /* ... and what follows its NUL */
    struct relay_name name;
};

static bool wait_for_answers(struct relay_plan *plan)
{
    plan->verdict = RELAY_WAITS;
    return false;
}

/* ... which no Sync may make the server give. */
static bool press_for_answers(struct relay *relay, struct relay_plan *plan)
{
    relay_steps_press(relay, plan);
    return wait_for_answers(plan);
}

/* The client's own message, with its statement called something else. */
static void rename_it(struct relay *relay, struct relay_plan *plan, const struct seen *seen,
                      const struct relay_name *as, struct relay_naming *naming)
{
    const uint8_t *message = seen->message.at;
    size_t old = seen->after - seen->at - 1;

    relay_steps_say_head(relay, plan, message[0], bytes_u32(message + 1) - 4 - old + as->length);
    if (seen->at > RELAY_HEADER)
        relay_forward(plan, message + RELAY_HEADER, seen->at - RELAY_HEADER);
    relay_steps_say_name(relay, plan, as);
    naming->replaced = seen->after;
}

static void rename_if_needed(struct relay *relay, struct relay_plan *plan, const struct seen *seen,
                             const struct relay_name *as, struct relay_naming *naming)
{
    if (as->length != seen->name.length || memcmp(as->text, seen->name.text, as->length) != 0)
        rename_it(relay, plan, seen, as, naming);
}

/* The client has that name already: the server is to say so, which must have it for that. */
static bool see_parse_again(struct relay *relay, const struct seen *seen,
                            const struct statement *statement, const struct statement *mine,
                            struct relay_plan *plan, struct relay_naming *naming)
{
    struct relay_name as;
    enum relay_place place = relay_steps_find_place(relay, &seen->name, mine, &as);

    if (place == RELAY_IS_UNCLEAR)
        return wait_for_answers(plan);
    if (place == RELAY_IS_TAKEN)
        relay_steps_close_ahead(relay, plan, &as);
    if (place != RELAY_IS_THERE)
        relay_steps_parse_ahead(relay, plan, mine, &as);
    rename_if_needed(relay, plan, seen, &as, naming);
    relay_steps_add(relay, statement, &seen->name, &as);
    return true;
}

static bool see_new(struct relay *relay, const struct seen *seen, const struct statement *statement,
                    struct relay_plan *plan, struct relay_naming *naming)
{
    const struct statement *mine;
    enum relay_sight sight = relay_steps_at_client(relay, &seen->name, &mine);
    enum relay_place place;
    struct relay_name as;

    naming->marks = OWED_NAMED;
    if (sight == RELAY_UNCLEAR)
        return wait_for_answers(plan);
    if (sight == RELAY_KNOWN)
        return see_parse_again(relay, seen, statement, mine, plan, naming);
    place = relay_steps_find_place(relay, &seen->name, statement, &as);
    if (place == RELAY_IS_UNCLEAR)
        return wait_for_answers(plan);
    if (place == RELAY_IS_THERE && relay->status != 'E') {
        naming->marks |= OWED_HERE;
        relay_steps_add(relay, statement, &seen->name, NULL);
        return true;
    }
    /* In a transaction that has failed the server alone knows whether it may be parsed. */
    if (place != RELAY_IS_FREE)
        relay_steps_close_ahead(relay, plan, &as);
    rename_if_needed(relay, plan, seen, &as, naming);
    relay_steps_add(relay, statement, &seen->name, &as);
    return true;
}

/* What it executes may be anybody's (relay_sql.h). */
static bool may_execute(const struct statement *statement)
{
    return statement_is_opaque(statement) ||
           (statement_hints(statement) & (SQL_EXECUTES | SQL_OPAQUE)) != 0;
}

static bool see_parse(struct relay *relay, const struct seen *seen, struct relay_plan *plan,
                      struct relay_naming *naming)
{
    struct slice body = {seen->message.at + seen->after, seen->length - seen->after};
    const struct statement *statement;
    bool now;

    if (seen->name.length == 0) {
        naming->kind = OWED_PARSE_UNNAMED;
        return true;
    }
    if (relay->client->most_names > 0 && relay->client->names.count >= relay->client->most_names) {
        plan->verdict = RELAY_TOO_MANY_NAMES;
        return false;
    }
    statement = seen->length > WHOLE
                    ? statement_opaque(relay->names.set)
                    : statement_intern(relay->names.set, relay->names.reading, body);
    if (statement == NULL) {
        plan->verdict = RELAY_BROKEN;
        return false;
    }
    now = (!may_execute(statement) || relay_steps_expel(relay, plan)) &&
          see_new(relay, seen, statement, plan, naming);
    statement_release(statement);
    return now;
}

static void make_there(struct relay *relay, const struct statement *mine, enum relay_place place,
                       const struct relay_name *as, struct relay_plan *plan)
{
    if (place == RELAY_IS_TAKEN)
        relay_steps_close_ahead(relay, plan, as);
    if (place != RELAY_IS_THERE)
        relay_steps_parse_ahead(relay, plan, mine, as);
    else
        statement_names_touch(&relay->names.on_server, relay_steps_slice(as));
}

static bool see_use_of_mine(struct relay *relay, const struct seen *seen,
                            const struct statement *mine, struct relay_plan *plan,
                            struct relay_naming *naming)
{
    bool binds = seen->message.at[0] == WIRE_BIND;
    enum relay_judgement judgement = RELAY_FITS;
    struct relay_name as;
    enum relay_place place;

    mine = relay_steps_reread(relay, &seen->name, mine);
    if (mine == NULL) {
        plan->verdict = RELAY_BROKEN;
        return false;
    }
    if (may_execute(mine) && !relay_steps_expel(relay, plan))
        return false;
    place = relay_steps_find_place(relay, &seen->name, mine, &as);
    if (place == RELAY_IS_UNCLEAR)
        return wait_for_answers(plan);
    if (binds && !statement_is_opaque(mine)) /* only this server ever has that */
        judgement =
            relay_shapes_judge(relay, seen->ahead, &seen->name, &as, place == RELAY_IS_THERE);
    if (judgement == RELAY_PENDING)
        return press_for_answers(relay, plan);
    if (judgement == RELAY_DIFFERS)
        place = RELAY_IS_TAKEN;
    make_there(relay, mine, place, &as, plan);
    if (judgement == RELAY_UNSEEN || judgement == RELAY_DIFFERS) {
        relay->names.anew = place != RELAY_IS_THERE;
        relay_shapes_look(relay, plan, &as);
        relay_repeat_forget(relay);
        return press_for_answers(relay, plan);
    }
    if (judgement == RELAY_REFUSED)
        relay_shapes_refuse(relay, plan);
    if (binds)
        state_use(&relay->state, statement_body(mine), statement_hints(mine));
    else
        relay_shapes_see_statement(relay, &seen->name, &as, naming);
    rename_if_needed(relay, plan, seen, &as, naming);
    return true;
}

/* A Bind or Describe: the server must have what it is about, and must not have what the client
 * has not. */
static bool see_use(struct relay *relay, const struct seen *seen, struct relay_plan *plan,
                    struct relay_naming *naming)
{
    const struct statement *mine, *other;
    enum relay_sight sight = relay_steps_at_client(relay, &seen->name, &mine);

    if (sight == RELAY_KNOWN)
        return see_use_of_mine(relay, seen, mine, plan, naming);
    if (sight == RELAY_UNKNOWN) {
        sight = relay_steps_at_server(relay, &seen->name, &other);
        if (sight == RELAY_KNOWN)
            relay_steps_close_ahead(relay, plan, &seen->name);
    }
    return sight != RELAY_UNCLEAR || wait_for_answers(plan);
}

/* Whether it is the client's: the last one that anybody has parsed there is. */
static enum relay_sight look_at_unnamed(const struct relay *relay)
{
    bool earlier = false; /* than the last Sync: that may have come to nothing */

    for (unsigned i = relay->owed.length; i-- > 0;) {
        uint8_t kind = owed_entry(&relay->owed, i) & OWED_KIND;

        if (kind == OWED_SYNC)
            earlier = true;
        else if (kind == OWED_PARSE_UNNAMED || kind == OWED_QUERY)
            return earlier ? RELAY_UNCLEAR : kind == OWED_QUERY ? RELAY_UNKNOWN : RELAY_KNOWN;
    }
    return relay->names.unnamed ? RELAY_KNOWN : RELAY_UNKNOWN;
}

static bool see_use_of_unnamed(struct relay *relay, struct relay_plan *plan)
{
    static const struct relay_name unnamed;
    enum relay_sight sight = look_at_unnamed(relay);

    if (sight == RELAY_UNKNOWN)
        relay_steps_close_ahead(relay, plan, &unnamed);
    return sight != RELAY_UNCLEAR || wait_for_answers(plan);
}

void relay_names_unnamed(struct relay *relay, bool own)
{
    relay->names.unnamed = relay->names.unbound = own;
    relay->pinned &= ~(1u << RELAY_PIN_UNNAMED);
}

/* Nobody else can use it. */
static bool see_close_opaque(struct relay *relay, const struct seen *seen,
                             const struct statement *mine, struct relay_plan *plan,
                             struct relay_naming *naming)
{
    struct relay_name as;
    enum relay_place place = relay_steps_find_place(relay, &seen->name, mine, &as);

    if (place == RELAY_IS_UNCLEAR)
        return wait_for_answers(plan);
    rename_if_needed(relay, plan, seen, &as, naming);
    naming->marks = OWED_NAMED;
    relay_steps_add(relay, NULL, &seen->name, &as);
    return true;
}

/* Others may use it: the server keeps it until it must go. */
static bool see_close(struct relay *relay, const struct seen *seen, struct relay_plan *plan,
                      struct relay_naming *naming)
{
    const struct statement *mine, *other;
    enum relay_sight sight = relay_steps_at_client(relay, &seen->name, &mine);
    enum relay_sight there = relay_steps_at_server(relay, &seen->name, &other);

    if (sight == RELAY_UNCLEAR || there == RELAY_UNCLEAR)
        return wait_for_answers(plan);
    if (sight == RELAY_UNKNOWN && there == RELAY_UNKNOWN)
        return true; /* it may be one of PREPARE */
    if (sight == RELAY_KNOWN && statement_is_opaque(mine))
        return see_close_opaque(relay, seen, mine, plan, naming);
    naming->marks = OWED_NAMED | OWED_HERE;
    relay_steps_add(relay, NULL, sight == RELAY_KNOWN ? &seen->name : NULL, NULL);
    return true;
}

/* ---- reading a message ------------------------------------------------------------------- */

/* Where the statement's name begins: in a Bind, behind the portal's. 0: that has not come. */
static size_t find_name(struct slice message)
{
    const uint8_t *end;

    if (message.at[0] == WIRE_PARSE)
        return RELAY_HEADER;
    if (message.at[0] == WIRE_DESCRIBE || message.at[0] == WIRE_CLOSE)
        return RELAY_HEADER + 1;
    end = memchr(message.at + RELAY_HEADER, '\0', message.length - RELAY_HEADER);
    return end != NULL ? (size_t)(end - message.at) + 1 : 0;
}

/* False: more of it must come, or it makes no sense. */
static bool read_it(struct slice message, struct relay_plan *plan, struct seen *seen)
{
    const uint8_t *end = NULL;
    bool whole;

    seen->ahead = message;
    seen->length = 1 + (size_t)bytes_u32(message.at + 1);
    if (message.length > seen->length)
        message.length = seen->length;
    whole = message.length == seen->length;
    seen->message = message;
    seen->at = find_name(message);
    if (seen->at > 0 && seen->at < message.length)
        end = memchr(message.at + seen->at, '\0', message.length - seen->at);
    if (end == NULL) {
        if (whole || message.length > MOST_NAMES) {
            plan->verdict = RELAY_BROKEN;
            plan->unknown_type = message.at[0];
            plan->unknown_length = (uint32_t)seen->length - 1;
        }
        return false;
    }
    seen->after = (size_t)(end - message.at) + 1;
    seen->name =
        relay_steps_name((struct slice){message.at + seen->at, seen->after - seen->at - 1});
    return message.at[0] != WIRE_PARSE || seen->name.length == 0 || whole || seen->length > WHOLE;
}

static bool is_of_portal(struct slice message)
{
    return message.at[0] == WIRE_DESCRIBE && message.length > RELAY_HEADER &&
           message.at[RELAY_HEADER] == 'P';
}

/* Whether a message says which statement it means. The kind must be there to tell. */
static bool is_about_statement(const struct relay *relay, struct slice message)
{
    switch (message.at[0]) {
    case WIRE_PARSE:
    case WIRE_BIND:
        return true;
    case WIRE_DESCRIBE:
        if (is_of_portal(message))
            return relay->names.bound.teaches;
        /* fallthrough */
    case WIRE_CLOSE:
        return message.length > RELAY_HEADER && message.at[RELAY_HEADER] == 'S';
    default:
        return false;
    }
}

static bool see_statement(struct relay *relay, const struct seen *seen, struct relay_plan *plan,
                          struct relay_naming *naming)
{
    if (is_of_portal(seen->message)) {
        relay_shapes_see_portal(relay, &seen->name, plan, naming);
        return true;
    }
    relay->names.bound.teaches &= seen->message.at[0] == WIRE_DESCRIBE;
    switch (seen->message.at[0]) {
    case WIRE_PARSE:
        return see_parse(relay, seen, plan, naming);
    case WIRE_CLOSE:
        return seen->name.length == 0 || see_close(relay, seen, plan, naming);
    default:
        return seen->name.length > 0 ? see_use(relay, seen, plan, naming)
                                     : see_use_of_unnamed(relay, plan);
    }
}

static void count(const struct seen *seen, const struct relay_naming *naming,
                  struct relay_plan *plan)
{
    bool parses = seen->message.at[0] == WIRE_PARSE;

    if (seen->name.length == 0)
        return;
    plan->parsed += parses;
    plan->prepared += parses && (naming->marks & OWED_HERE) == 0;
    plan->bound += seen->message.at[0] == WIRE_BIND;
}

static bool has_room(const struct relay *relay)
{
    return relay->names.count <= RELAY_MOST_STEPS - MOST_AT_ONCE;
}

bool relay_names_see(struct relay *relay, struct slice message, bool plain, struct relay_plan *plan,
                     struct relay_naming *naming)
{
    struct relay_names *names = &relay->names;
    struct seen seen;
    bool sql;

    *naming = (struct relay_naming){0};
    sql = !plain && !relay->skipping && names->set != NULL && relay_sql_is_text(message);
    if (sql && !relay_sql_see(relay, message, plan, naming))
        return false;
    if (message.at[0] == WIRE_SYNC) {
        names->batch++;
        names->bound.teaches = false;
    }
    if (relay->skipping || !is_about_statement(relay, message)) {
        names->anew = false;
        return true;
    }
    if (!read_it(message, plan, &seen))
        return false;
    if (names->set == NULL && seen.name.length > 0) {
        relay->pinned |= 1u << RELAY_PIN_STATEMENT;
        return true;
    }
    if (plan->count + MOST_SLICES > RELAY_MOST_SLICES ||
        names->own_length + MOST_OWN > RELAY_MOST_OWN ||
        (!has_room(relay) && names->back_length > 0))
        return false; /* there will be room when that has been sent */
    if (!has_room(relay))
        relay_steps_press(relay, plan);
    if (!has_room(relay))
        return wait_for_answers(plan);
    /* Not what SQL is going to use, nor ahead of a message whose own step is there already. */
    if (!relay->unsynced && names->on_server.count > names->most && !sql)
        relay_steps_evict(relay, plan);
    if (!see_statement(relay, &seen, plan, naming))
        return false;
    count(&seen, naming, plan);
    names->anew = false;
    return true;
}
