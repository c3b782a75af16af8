#include "drivers/postgres/relay_steps.h"

#include <inttypes.h>
#include <stdio.h>

enum { MOST_EVICTED = 2, MOST_EXPELLED = 20 };

struct slice relay_steps_slice(const struct relay_name *name)
{
    return (struct slice){name->text, name->length};
}

struct relay_name relay_steps_name(struct slice text)
{
    struct relay_name name = {0};

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
struct relay_step *relay_steps_add(struct relay *relay, const struct statement *statement,
                                   const struct relay_name *name, const struct relay_name *as)
{
    struct relay_names *names = &relay->names;
    struct relay_step *step;

    REQUIRE(names->count < RELAY_MOST_STEPS);
    step = step_at(names, names->count++);
    names->flushed = false;
    step->statement = statement != NULL ? statement_hold(statement) : NULL;
    step->batch = names->batch;
    step->of_client = name != NULL;
    step->of_server = as != NULL;
    step->of_all = false;
    step->learns = RELAY_NOTHING_NEW;
    if (name != NULL) {
        step->name_length = name->length;
        memcpy(step->name, name->text, name->length);
    }
    if (as != NULL) {
        step->as_length = as->length;
        memcpy(step->as, as->text, as->length);
    }
    return step;
}

void relay_steps_learn(struct relay *relay, enum relay_lesson lesson, const struct relay_name *name,
                       const struct relay_name *as)
{
    struct relay_step *step = relay_steps_add(relay, NULL, name, as);

    step->learns = lesson;
    step->of_server = lesson == RELAY_SHAPE;
}

bool relay_steps_wants_shape(const struct relay *relay)
{
    const struct relay_names *names = &relay->names;

    return names->count > 0 && names->steps[names->first].learns == RELAY_SHAPE;
}

static void learn(struct relay *relay, const struct relay_step *step)
{
    struct slice name = {step->name, step->name_length}, as = {step->as, step->as_length};
    struct statement_names *on_server = &relay->names.on_server;
    uint64_t shape = step->learns == RELAY_SHAPE ? shape_end(&relay->names.shape)
                                                 : statement_names_shape(on_server, as);

    if (step->of_server)
        statement_names_set_shape(on_server, as, shape);
    if (step->of_client && relay->client != NULL)
        statement_names_set_shape(&relay->client->names, name, shape);
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

void relay_steps_done(struct relay *relay)
{
    struct relay_names *names = &relay->names;
    struct relay_step *step = step_at(names, 0);
    bool kept = true;

    REQUIRE(names->count > 0);
    if (step->learns != RELAY_NOTHING_NEW) {
        learn(relay, step);
        take_first(names);
        return;
    }
    if (step->of_server)
        kept &=
            change(&names->on_server, (struct slice){step->as, step->as_length}, step->statement);
    if (step->statement != NULL && statement_is_opaque(step->statement))
        relay->pinned |= 1u << RELAY_PIN_STATEMENT; /* nobody could make it elsewhere */
    /* A SET before it has changed how it was read, or it was prepared before a SET. */
    if (kept && step->of_server && step->statement != NULL &&
        !statement_is_opaque(step->statement) &&
        statement_reading(step->statement) != names->reading)
        statement_names_distrust_newest(&names->on_server);
    if (step->of_client && relay->client != NULL)
        kept &= change(&relay->client->names, (struct slice){step->name, step->name_length},
                       step->statement);
    if (!kept) /* for want of memory nobody knows any more what means what */
        relay->tainted = relay->dying = true;
    statement_release(step->statement);
    take_first(names);
}

void relay_steps_failed(struct relay *relay)
{
    struct relay_step *step = step_at(&relay->names, 0);

    REQUIRE(relay->names.count > 0);
    step->of_client = step->of_server = false;
}

void relay_steps_drop(struct relay *relay, unsigned count)
{
    for (; count > 0; count--) {
        statement_release(step_at(&relay->names, 0)->statement);
        take_first(&relay->names);
    }
}

/* ---- what a name means now --------------------------------------------------------------- */

/* What the newest step about it will make of it, if there is one; or teach, if lessons count. */
static const struct relay_step *newest(struct relay_names *names, struct slice name, bool client,
                                       bool lessons)
{
    for (unsigned i = names->count; i-- > 0;) {
        const struct relay_step *step = step_at(names, i);

        if (step->of_all)
            return step;
        if (step->learns != RELAY_NOTHING_NEW && !lessons)
            continue;
        if (client && step->of_client && is_same(name, step->name, step->name_length))
            return step;
        if (!client && step->of_server && is_same(name, step->as, step->as_length))
            return step;
    }
    return NULL;
}

static enum relay_sight look(struct relay *relay, const struct relay_name *name, bool client,
                             const struct statement **found)
{
    struct relay_names *names = &relay->names;
    const struct relay_step *step = newest(names, relay_steps_slice(name), client, false);

    *found = step != NULL ? step->statement
                          : statement_names_find(client ? &relay->client->names : &names->on_server,
                                                 relay_steps_slice(name));
    if (step != NULL && (step->batch != names->batch || step->of_all))
        return RELAY_UNCLEAR;
    return *found != NULL ? RELAY_KNOWN : RELAY_UNKNOWN;
}

enum relay_sight relay_steps_at_client(struct relay *relay, const struct relay_name *name,
                                       const struct statement **found)
{
    return look(relay, name, true, found);
}

enum relay_sight relay_steps_at_server(struct relay *relay, const struct relay_name *name,
                                       const struct statement **found)
{
    return look(relay, name, false, found);
}

/* What is known of it, if no step under way changes that. */
static enum relay_sight find_shape(const struct statement_names *names,
                                   const struct relay_name *name, uint64_t *shape)
{
    *shape = statement_names_shape(names, relay_steps_slice(name));
    return *shape != SHAPE_UNKNOWN ? RELAY_KNOWN : RELAY_UNKNOWN;
}

enum relay_sight relay_steps_shape(struct relay *relay, const struct relay_name *as,
                                   uint64_t *shape)
{
    const struct relay_step *step = newest(&relay->names, relay_steps_slice(as), false, true);

    *shape = SHAPE_UNKNOWN;
    if (step == NULL)
        return find_shape(&relay->names.on_server, as, shape);
    return step->learns != RELAY_NOTHING_NEW ? RELAY_UNCLEAR : RELAY_UNKNOWN;
}

enum relay_sight relay_steps_told(struct relay *relay, const struct relay_name *name,
                                  uint64_t *shape)
{
    const struct relay_step *step = newest(&relay->names, relay_steps_slice(name), true, true);

    *shape = SHAPE_UNKNOWN;
    if (step == NULL)
        return find_shape(&relay->client->names, name, shape);
    return step->learns != RELAY_NOTHING_NEW && step->batch != relay->names.batch ? RELAY_UNCLEAR
                                                                                  : RELAY_UNKNOWN;
}

/* Whether the server can be trusted to mean by a name what it meant. */
static bool is_sound(struct relay *relay, const struct relay_name *name)
{
    return newest(&relay->names, relay_steps_slice(name), false, false) != NULL ||
           statement_names_is_trusted(&relay->names.on_server, relay_steps_slice(name));
}

/* What a statement is called where its client's name is something else's. */
static struct relay_name number_of(const struct statement *statement)
{
    char number[STATEMENT_NAME_MOST];
    int length = snprintf(number, sizeof(number), "weir_%" PRIu64, statement_id(statement));

    return relay_steps_name((struct slice){(const uint8_t *)number, (size_t)length});
}

const struct statement *relay_steps_reread(struct relay *relay, const struct relay_name *name,
                                           const struct statement *mine)
{
    struct statement_names *names = &relay->client->names;
    struct slice text = relay_steps_slice(name);
    uint64_t told = statement_names_shape(names, text);
    const struct statement *now;

    if (statement_is_opaque(mine) || statement_reading(mine) == relay->names.reading ||
        newest(&relay->names, text, true, false) != NULL)
        return mine;
    now = statement_intern(relay->names.set, relay->names.reading, statement_body(mine));
    if (now == NULL || !statement_names_put(names, text, now)) {
        relay->tainted = relay->dying = true;
        return NULL;
    }
    statement_names_set_shape(names, text, told);
    statement_release(now); /* its name holds it */
    return now;
}

/* What the server calls, or is to call, the statement that its client calls name. Where it had to
 * have a number once, that name may be free again. */
enum relay_place relay_steps_find_place(struct relay *relay, const struct relay_name *name,
                                        const struct statement *statement, struct relay_name *as)
{
    const struct statement *found, *by_number;
    enum relay_sight sight = relay_steps_at_server(relay, name, &found), numbered;

    *as = *name;
    if (sight == RELAY_UNCLEAR)
        return RELAY_IS_UNCLEAR;
    if (found != statement) {
        struct relay_name number = number_of(statement);

        numbered = relay_steps_at_server(relay, &number, &by_number);
        if (numbered == RELAY_UNCLEAR)
            return RELAY_IS_UNCLEAR;
        if (sight == RELAY_UNKNOWN && by_number != statement)
            return RELAY_IS_FREE;
        *as = number;
        sight = numbered;
        found = by_number;
    }
    if (sight == RELAY_UNKNOWN)
        return RELAY_IS_FREE;
    return found == statement && is_sound(relay, as) ? RELAY_IS_THERE : RELAY_IS_TAKEN;
}

/* ---- what we say ourselves --------------------------------------------------------------- */

void relay_steps_say(struct relay *relay, struct relay_plan *plan, const void *from, size_t length)
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

void relay_steps_say_head(struct relay *relay, struct relay_plan *plan, uint8_t type, size_t body)
{
    uint8_t head[RELAY_HEADER] = {type};

    bytes_put_u32(head + 1, (uint32_t)body + 4);
    relay_steps_say(relay, plan, head, sizeof(head));
}

void relay_steps_say_name(struct relay *relay, struct relay_plan *plan,
                          const struct relay_name *name)
{
    relay_steps_say(relay, plan, name->text, name->length);
    relay_steps_say(relay, plan, "", 1);
}

void relay_steps_say_about(struct relay *relay, struct relay_plan *plan, uint8_t type,
                           const struct relay_name *as)
{
    relay_steps_say_head(relay, plan, type, 2u + as->length);
    relay_steps_say(relay, plan, "S", 1);
    relay_steps_say_name(relay, plan, as);
    owed_push(&relay->owed,
              (type == WIRE_CLOSE ? OWED_CLOSE : OWED_DESCRIBE) | OWED_QUIET | OWED_NAMED);
    relay->unsynced = true;
}

/* Whatever the server calls by that name it forgets. */
void relay_steps_close_ahead(struct relay *relay, struct relay_plan *plan,
                             const struct relay_name *as)
{
    relay_steps_say_about(relay, plan, WIRE_CLOSE, as);
    relay_steps_add(relay, NULL, NULL, as);
}

void relay_steps_parse_ahead(struct relay *relay, struct relay_plan *plan,
                             const struct statement *statement, const struct relay_name *as)
{
    struct slice body = statement_body(statement);

    if (statement_is_opaque(statement)) /* it was not kept */
        return;
    relay_steps_say_head(relay, plan, WIRE_PARSE, 1u + as->length + body.length);
    relay_steps_say_name(relay, plan, as);
    relay_forward(plan, body.at, body.length); /* the step holds it */
    owed_push(&relay->owed, OWED_PARSE | OWED_QUIET | OWED_NAMED);
    relay->unsynced = true;
    plan->prepared++;
    relay_steps_add(relay, statement, NULL, as);
}

/* The server keeps no more than it may. Only between batches: none counts on what goes (trap 12).
 */
void relay_steps_evict(struct relay *relay, struct relay_plan *plan)
{
    struct relay_names *names = &relay->names;

    for (unsigned i = 0; i < MOST_EVICTED && names->on_server.count > names->most + i; i++) {
        struct relay_name oldest = relay_steps_name(statement_names_oldest(&names->on_server));
        const struct statement *found;

        if (relay_steps_at_server(relay, &oldest, &found) != RELAY_KNOWN)
            return; /* it is going already */
        statement_names_touch(&names->on_server, relay_steps_slice(&oldest));
        if (statement_is_opaque(found)) /* it could not come back */
            continue;
        relay_steps_close_ahead(relay, plan, &oldest);
    }
}

/* ---- answers ----------------------------------------------------------------------------- */

struct slice relay_steps_answer(struct relay *relay)
{
    uint8_t kind = owed_head(&relay->owed);

    if (!owed_head_is(&relay->owed, OWED_HERE) || relay->remaining > 0)
        return (struct slice){NULL, 0};
    relay_steps_done(relay);
    (void)!owed_pop(&relay->owed);
    return kind == OWED_PARSE ? SLICE("1\0\0\0\4") : SLICE("3\0\0\0\4");
}

void relay_steps_answer_back(struct relay *relay, struct relay_plan *plan)
{
    struct relay_names *names = &relay->names;
    struct slice answer;

    while (names->back_length + RELAY_HEADER <= RELAY_MOST_BACK) {
        answer = relay_steps_answer(relay);
        if (answer.length == 0)
            break;
        memcpy(names->back + names->back_length, answer.at, answer.length);
        names->back_length = (uint16_t)(names->back_length + answer.length);
    }
    plan->back = (struct slice){names->back, names->back_length};
}

static bool is_tag(struct slice tag, const char *text)
{
    return is_same(tag, (const uint8_t *)text, (uint8_t)(strlen(text) + 1));
}

void relay_steps_completed(struct relay *relay, struct slice tag)
{
    bool expected = owed_head_is(&relay->owed, OWED_NAMED);

    if (is_tag(tag, "DEALLOCATE ALL") || is_tag(tag, "DISCARD ALL")) {
        statement_names_clear(&relay->names.on_server);
        if (relay->client != NULL && !owed_head_is_ours(&relay->owed))
            statement_names_clear(&relay->client->names);
    } else if (is_tag(tag, "DEALLOCATE") && !expected) { /* who knows which */
        statement_names_distrust(&relay->names.on_server);
    }
}

void relay_steps_press(struct relay *relay, struct relay_plan *plan)
{
    relay_steps_answer_back(relay, plan);
    if (relay->names.count == 0 || relay->names.flushed)
        return;
    relay_steps_say_head(relay, plan, WIRE_FLUSH, 0);
    relay->names.flushed = true;
}

void relay_steps_end_ahead(struct relay *relay, struct relay_plan *plan)
{
    relay_steps_say_head(relay, plan, WIRE_SYNC, 0);
    owed_push(&relay->owed, OWED_SYNC | OWED_OURS);
    relay->unsynced = false;
    relay->names.batch++;
}

bool relay_steps_expel(struct relay *relay, struct relay_plan *plan)
{
    bool in_batch = relay->unsynced || owed_ends_in_batch(&relay->owed);
    struct slice strange[MOST_EXPELLED];
    size_t count;

    if (plan->count > 0 || relay->names.back_length > 0)
        return false; /* alone: there is always room for it then */
    if (relay->names.count > 0)
        relay_steps_press(relay, plan);
    if (relay->names.count > 0) {
        plan->verdict = RELAY_WAITS;
        return false;
    }
    count = statement_names_strange(&relay->names.on_server, &relay->client->names, strange,
                                    MOST_EXPELLED);
    if (count == 0)
        return true;
    for (size_t i = 0; i < count; i++) {
        struct relay_name as = relay_steps_name(strange[i]);

        relay_steps_close_ahead(relay, plan, &as);
    }
    if (in_batch)
        relay_steps_press(relay, plan);
    else
        relay_steps_end_ahead(relay, plan);
    plan->verdict = RELAY_WAITS;
    return false;
}
