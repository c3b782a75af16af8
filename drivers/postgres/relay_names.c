/*
 * Clients call their statements what they like, and any server may have to serve them. Where
 * the name a client uses is free on its server, or means the same there, the client's own bytes
 * are forwarded. What the server lacks is prepared ahead of the message that needs it, in the
 * same write; what it has already is answered here, in its place; only a name that means
 * something else there is changed, and what is sent instead is the statement's number.
 *
 * What a message will change is a step. It is done when the server has answered, and dropped with
 * what the server drops (traps 13, 14): until then a later message of the same batch counts on it,
 * since it shares its fate, and one of a later batch waits.
 */
#include <inttypes.h>
#include <stdio.h>

#include "drivers/postgres/relay_parts.h"

enum {
    WHOLE = 32 * 1024, /* a statement longer than that stays where it is */
    MOST_NAMES = 2048, /* bytes; nobody has names that long */
    MOST_AT_ONCE = 4,  /* steps that a message may take */
    MOST_SLICES = 8,   /* ... and slices */
    MOST_EVICTED = 2,
};

/* What a statement is called, by the side that matters here. */
struct name {
    uint8_t length;
    uint8_t text[STATEMENT_NAME_MOST];
};

/* UNCLEAR: it depends on what an earlier batch comes to. */
enum sight { UNKNOWN, KNOWN, UNCLEAR };

/* How a server may be made to have a statement. */
enum place { IS_THERE, IS_FREE, IS_TAKEN, IS_UNCLEAR };

static struct slice slice_of(const struct name *name)
{
    return (struct slice){name->text, name->length};
}

static struct name name_of(struct slice text)
{
    struct name name = {0};

    name.length = (uint8_t)(text.length < STATEMENT_NAME_MOST ? text.length : STATEMENT_NAME_MOST);
    if (name.length > 0)
        memcpy(name.text, text.at, name.length);
    return name;
}

static bool is_same(struct slice a, const uint8_t *text, uint8_t length)
{
    return a.length == length && memcmp(a.at, text, length) == 0;
}

/* ---- steps ------------------------------------------------------------------------------- */

static struct relay_step *step_at(struct relay_names *names, unsigned i)
{
    return &names->steps[(names->first + i) % RELAY_MOST_STEPS];
}

/* statement NULL: the names mean nothing any more. name or as NULL: that side stays as it is. */
static void add_step(struct relay *relay, const struct statement *statement,
                     const struct name *name, const struct name *as)
{
    struct relay_names *names = &relay->names;
    struct relay_step *step;

    REQUIRE(names->count < RELAY_MOST_STEPS);
    step = step_at(names, names->count++);
    step->statement = statement != NULL ? statement_hold(statement) : NULL;
    step->batch = names->batch;
    step->of_client = name != NULL;
    step->of_server = as != NULL;
    if (name != NULL) {
        step->name_length = name->length;
        memcpy(step->name, name->text, name->length);
    }
    if (as != NULL) {
        step->as_length = as->length;
        memcpy(step->as, as->text, as->length);
    }
}

static bool change(struct statement_names *names, struct slice name,
                   const struct statement *statement)
{
    if (statement != NULL)
        return statement_names_put(names, name, statement);
    statement_names_remove(names, name);
    return true;
}

static void take_first(struct relay_names *names)
{
    names->first = (uint8_t)((names->first + 1) % RELAY_MOST_STEPS);
    names->count--;
    names->flushed = false;
}

void relay_names_done(struct relay *relay)
{
    struct relay_names *names = &relay->names;
    struct relay_step *step = step_at(names, 0);
    bool kept = true;

    REQUIRE(names->count > 0);
    if (step->of_server)
        kept &=
            change(&names->on_server, (struct slice){step->as, step->as_length}, step->statement);
    if (step->of_client && relay->client != NULL)
        kept &= change(&relay->client->names, (struct slice){step->name, step->name_length},
                       step->statement);
    if (!kept) /* for want of memory nobody knows any more what means what */
        relay->tainted = relay->dying = true;
    statement_release(step->statement);
    take_first(names);
}

void relay_names_drop(struct relay *relay, unsigned count)
{
    for (; count > 0; count--) {
        statement_release(step_at(&relay->names, 0)->statement);
        take_first(&relay->names);
    }
}

/* ---- what a name means now --------------------------------------------------------------- */

/* What the newest step about it will make of it, if there is one. */
static const struct relay_step *newest(struct relay_names *names, struct slice name, bool client)
{
    for (unsigned i = names->count; i-- > 0;) {
        const struct relay_step *step = step_at(names, i);

        if (client && step->of_client && is_same(name, step->name, step->name_length))
            return step;
        if (!client && step->of_server && is_same(name, step->as, step->as_length))
            return step;
    }
    return NULL;
}

static enum sight look(struct relay *relay, const struct name *name, bool client,
                       const struct statement **found)
{
    struct relay_names *names = &relay->names;
    const struct relay_step *step = newest(names, slice_of(name), client);

    *found = step != NULL ? step->statement
                          : statement_names_find(client ? &relay->client->names : &names->on_server,
                                                 slice_of(name));
    if (step != NULL && step->batch != names->batch)
        return UNCLEAR;
    return *found != NULL ? KNOWN : UNKNOWN;
}

static enum sight look_at_client(struct relay *relay, const struct name *name,
                                 const struct statement **found)
{
    return look(relay, name, true, found);
}

static enum sight look_at_server(struct relay *relay, const struct name *name,
                                 const struct statement **found)
{
    return look(relay, name, false, found);
}

/* What the server calls, or is to call, the statement that its client calls name. */
static enum place find_place(struct relay *relay, const struct name *name,
                             const struct statement *statement, struct name *as)
{
    const struct statement *found;
    enum sight sight = look_at_server(relay, name, &found);
    char number[STATEMENT_NAME_MOST];
    int length;

    *as = *name;
    if (sight == KNOWN && found != statement) { /* a clash: by its number */
        length = snprintf(number, sizeof(number), "weir_%" PRIu64, statement_id(statement));
        *as = name_of((struct slice){(const uint8_t *)number, (size_t)length});
        sight = look_at_server(relay, as, &found);
    }
    if (sight == UNCLEAR)
        return IS_UNCLEAR;
    if (sight == UNKNOWN)
        return IS_FREE;
    return found == statement ? IS_THERE : IS_TAKEN;
}

/* ---- what we say ourselves --------------------------------------------------------------- */

static void say(struct relay *relay, struct relay_plan *plan, const void *from, size_t length)
{
    struct relay_names *names = &relay->names;
    uint8_t *at = names->own + names->own_length;

    if (length == 0)
        return;
    REQUIRE(names->own_length + length <= RELAY_MOST_OWN);
    memcpy(at, from, length);
    names->own_length = (uint16_t)(names->own_length + length);
    relay_forward(plan, at, length);
}

static void say_head(struct relay *relay, struct relay_plan *plan, uint8_t type, size_t body)
{
    uint8_t head[RELAY_HEADER] = {type};

    bytes_put_u32(head + 1, (uint32_t)body + 4);
    say(relay, plan, head, sizeof(head));
}

static void say_name(struct relay *relay, struct relay_plan *plan, const struct name *name)
{
    say(relay, plan, name->text, name->length);
    say(relay, plan, "", 1);
}

/* Whatever the server calls by that name it forgets. */
static void close_ahead(struct relay *relay, struct relay_plan *plan, const struct name *as)
{
    say_head(relay, plan, WIRE_CLOSE, 2u + as->length);
    say(relay, plan, "S", 1);
    say_name(relay, plan, as);
    owed_push(&relay->owed, OWED_CLOSE | OWED_QUIET | OWED_NAMED);
    relay->unsynced = true;
    add_step(relay, NULL, NULL, as);
}

static void parse_ahead(struct relay *relay, struct relay_plan *plan,
                        const struct statement *statement, const struct name *as)
{
    struct slice body = statement_body(statement);

    say_head(relay, plan, WIRE_PARSE, 1u + as->length + body.length);
    say_name(relay, plan, as);
    relay_forward(plan, body.at, body.length); /* the step holds it */
    owed_push(&relay->owed, OWED_PARSE | OWED_QUIET | OWED_NAMED);
    relay->unsynced = true;
    add_step(relay, statement, NULL, as);
}

/* The server keeps no more than it may. Only between batches: none counts on what goes (trap 12).
 */
static void evict(struct relay *relay, struct relay_plan *plan)
{
    struct relay_names *names = &relay->names;

    for (unsigned i = 0; i < MOST_EVICTED && names->on_server.count > names->most + i; i++) {
        struct name oldest = name_of(statement_names_oldest(&names->on_server));
        const struct statement *found;

        if (look_at_server(relay, &oldest, &found) != KNOWN)
            return; /* it is going already */
        statement_names_touch(&names->on_server, slice_of(&oldest));
        close_ahead(relay, plan, &oldest);
    }
}

/* ---- the client's messages --------------------------------------------------------------- */

/* A message and what is in it. */
struct seen {
    struct slice message;
    size_t length; /* of the message, when all of it is there */
    size_t at;     /* where the statement's name is */
    size_t after;  /* ... and what follows its NUL */
    struct name name;
};

static bool wait_for_answers(struct relay_plan *plan)
{
    plan->verdict = RELAY_WAITS;
    return false;
}

/* The client's own message, with its statement called something else. */
static void rename_it(struct relay *relay, struct relay_plan *plan, const struct seen *seen,
                      const struct name *as, struct relay_naming *naming)
{
    const uint8_t *message = seen->message.at;
    size_t old = seen->after - seen->at - 1;

    say_head(relay, plan, message[0], bytes_u32(message + 1) - 4 - old + as->length);
    if (seen->at > RELAY_HEADER)
        relay_forward(plan, message + RELAY_HEADER, seen->at - RELAY_HEADER);
    say_name(relay, plan, as);
    naming->replaced = seen->after;
}

static void rename_if_needed(struct relay *relay, struct relay_plan *plan, const struct seen *seen,
                             const struct name *as, struct relay_naming *naming)
{
    if (!is_same(slice_of(as), seen->name.text, seen->name.length))
        rename_it(relay, plan, seen, as, naming);
}

/* The client has that name already: the server is to say so, which must have it for that. */
static bool see_parse_again(struct relay *relay, const struct seen *seen,
                            const struct statement *statement, const struct statement *mine,
                            struct relay_plan *plan)
{
    const struct statement *found;
    enum sight sight = look_at_server(relay, &seen->name, &found);

    if (sight == UNCLEAR)
        return wait_for_answers(plan);
    if (sight == UNKNOWN && relay->status != 'E')
        parse_ahead(relay, plan, mine, &seen->name);
    add_step(relay, statement, &seen->name, &seen->name);
    return true;
}

static bool see_new(struct relay *relay, const struct seen *seen, const struct statement *statement,
                    struct relay_plan *plan, struct relay_naming *naming)
{
    const struct statement *mine;
    enum sight sight = look_at_client(relay, &seen->name, &mine);
    enum place place;
    struct name as;

    naming->marks = OWED_NAMED;
    if (sight == UNCLEAR)
        return wait_for_answers(plan);
    if (sight == KNOWN)
        return see_parse_again(relay, seen, statement, mine, plan);
    place = find_place(relay, &seen->name, statement, &as);
    if (place == IS_UNCLEAR)
        return wait_for_answers(plan);
    if (place == IS_THERE && relay->status != 'E') {
        naming->marks |= OWED_HERE;
        add_step(relay, statement, &seen->name, NULL);
        return true;
    }
    /* In a transaction that has failed the server alone knows whether it may be parsed. */
    if (place != IS_FREE)
        close_ahead(relay, plan, &as);
    rename_if_needed(relay, plan, seen, &as, naming);
    add_step(relay, statement, &seen->name, &as);
    return true;
}

static bool see_parse(struct relay *relay, const struct seen *seen, struct relay_plan *plan,
                      struct relay_naming *naming)
{
    struct slice body = {seen->message.at + seen->after, seen->length - seen->after};
    const struct statement *statement;
    bool now;

    if (seen->name.length == 0) {
        relay->names.unnamed = true;
        relay->pinned &= ~(1u << RELAY_PIN_UNNAMED);
        return true;
    }
    if (seen->length > WHOLE) /* it is not kept, so its client must stay where it is */
        relay->pinned |= 1u << RELAY_PIN_STATEMENT;
    statement = seen->length > WHOLE ? statement_opaque(relay->names.set)
                                     : statement_intern(relay->names.set, body);
    if (statement == NULL) {
        plan->verdict = RELAY_BROKEN;
        return false;
    }
    now = see_new(relay, seen, statement, plan, naming);
    statement_release(statement);
    return now;
}

/* A Bind or Describe: the server must have what it is about, and must not have what the client
 * has not. */
static bool see_use(struct relay *relay, const struct seen *seen, struct relay_plan *plan,
                    struct relay_naming *naming)
{
    const struct statement *mine, *other;
    enum sight sight = look_at_client(relay, &seen->name, &mine);
    enum place place;
    struct name as;

    if (sight == UNKNOWN) {
        sight = look_at_server(relay, &seen->name, &other);
        if (sight == KNOWN)
            close_ahead(relay, plan, &seen->name);
    } else if (sight == KNOWN) {
        place = find_place(relay, &seen->name, mine, &as);
        if (place == IS_UNCLEAR)
            return wait_for_answers(plan);
        if (place == IS_TAKEN)
            close_ahead(relay, plan, &as);
        if (place != IS_THERE)
            parse_ahead(relay, plan, mine, &as);
        else
            statement_names_touch(&relay->names.on_server, slice_of(&as));
        rename_if_needed(relay, plan, seen, &as, naming);
    }
    return sight != UNCLEAR || wait_for_answers(plan);
}

/* The unnamed one is the last anybody has parsed there. */
static void see_use_of_unnamed(struct relay *relay, struct relay_plan *plan)
{
    static const struct name unnamed;

    if (!relay->names.unnamed)
        close_ahead(relay, plan, &unnamed);
}

/* Others may use it: the server keeps it until it must go. */
static bool see_close(struct relay *relay, const struct seen *seen, struct relay_plan *plan,
                      struct relay_naming *naming)
{
    const struct statement *mine, *other;
    enum sight sight = look_at_client(relay, &seen->name, &mine);
    enum sight there = look_at_server(relay, &seen->name, &other);

    if (sight == UNCLEAR || there == UNCLEAR)
        return wait_for_answers(plan);
    if (sight == UNKNOWN && there == UNKNOWN)
        return true; /* it may be one of PREPARE */
    naming->marks = OWED_NAMED | OWED_HERE;
    add_step(relay, NULL, sight == KNOWN ? &seen->name : NULL, NULL);
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
    seen->name = name_of((struct slice){message.at + seen->at, seen->after - seen->at - 1});
    return message.at[0] != WIRE_PARSE || seen->name.length == 0 || whole || seen->length > WHOLE;
}

/* Whether a message says which statement it means. The kind must be there to tell. */
static bool is_about_statement(struct slice message)
{
    switch (message.at[0]) {
    case WIRE_PARSE:
    case WIRE_BIND:
        return true;
    case WIRE_DESCRIBE:
    case WIRE_CLOSE:
        return message.length > RELAY_HEADER && message.at[RELAY_HEADER] == 'S';
    default:
        return false;
    }
}

static bool see_statement(struct relay *relay, const struct seen *seen, struct relay_plan *plan,
                          struct relay_naming *naming)
{
    switch (seen->message.at[0]) {
    case WIRE_PARSE:
        return see_parse(relay, seen, plan, naming);
    case WIRE_CLOSE:
        return seen->name.length == 0 || see_close(relay, seen, plan, naming);
    default:
        if (seen->name.length > 0)
            return see_use(relay, seen, plan, naming);
        see_use_of_unnamed(relay, plan);
        return true;
    }
}

/* Too many steps are under way. Those the server was asked for it answers when it is told to, and
 * those it was not are answered here: no Sync need come (trap 11). */
static bool make_room(struct relay *relay, struct relay_plan *plan)
{
    struct relay_names *names = &relay->names;

    relay_names_answer_back(relay, plan);
    if (names->count <= RELAY_MOST_STEPS - MOST_AT_ONCE)
        return true;
    if (!names->flushed)
        say_head(relay, plan, WIRE_FLUSH, 0);
    names->flushed = true;
    return wait_for_answers(plan);
}

/* What follows a message of that type. */
static void turn_the_page(struct relay *relay, uint8_t type)
{
    if (type == WIRE_SYNC)
        relay->names.batch++;
    if (type == WIRE_QUERY) { /* it destroys the unnamed one (trap 51) */
        relay->names.unnamed = false;
        relay->pinned &= ~(1u << RELAY_PIN_UNNAMED);
    }
}

bool relay_names_see(struct relay *relay, struct slice message, struct relay_plan *plan,
                     struct relay_naming *naming)
{
    struct relay_names *names = &relay->names;
    struct seen seen;

    *naming = (struct relay_naming){0};
    turn_the_page(relay, message.at[0]);
    if (relay->skipping || !is_about_statement(message))
        return true;
    if (!read_it(message, plan, &seen))
        return false;
    if (names->set == NULL && seen.name.length > 0) {
        relay->pinned |= 1u << RELAY_PIN_STATEMENT;
        return true;
    }
    if (plan->count + MOST_SLICES > RELAY_MOST_SLICES)
        return false;
    if (names->count > RELAY_MOST_STEPS - MOST_AT_ONCE && !make_room(relay, plan))
        return false;
    if (!relay->unsynced && names->on_server.count > names->most)
        evict(relay, plan);
    return see_statement(relay, &seen, plan, naming);
}

/* ---- answers ----------------------------------------------------------------------------- */

struct slice relay_names_answer(struct relay *relay)
{
    uint8_t kind = owed_head(&relay->owed);

    if (!owed_head_is(&relay->owed, OWED_HERE))
        return (struct slice){NULL, 0};
    relay_names_done(relay);
    (void)!owed_pop(&relay->owed);
    return kind == OWED_PARSE ? SLICE("1\0\0\0\4") : SLICE("3\0\0\0\4");
}

void relay_names_answer_back(struct relay *relay, struct relay_plan *plan)
{
    struct relay_names *names = &relay->names;
    struct slice answer;

    while (names->back_length + RELAY_HEADER <= RELAY_MOST_BACK) {
        answer = relay_names_answer(relay);
        if (answer.length == 0)
            break;
        memcpy(names->back + names->back_length, answer.at, answer.length);
        names->back_length = (uint16_t)(names->back_length + answer.length);
    }
    plan->back = (struct slice){names->back, names->back_length};
}

void relay_names_completed(struct relay *relay, struct slice tag)
{
    static const char *const all[] = {"DEALLOCATE ALL", "DISCARD ALL"};

    for (unsigned i = 0; i < COUNT_OF(all); i++) {
        if (!is_same(tag, (const uint8_t *)all[i], (uint8_t)(strlen(all[i]) + 1)))
            continue;
        statement_names_clear(&relay->names.on_server);
        if (relay->client != NULL && !owed_head_is_ours(&relay->owed))
            statement_names_clear(&relay->client->names);
    }
}
