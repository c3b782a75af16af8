#include "drivers/postgres/relay_shapes.h"

/* It cannot clash with what a client calls its own: it never comes to be. */
#define NO_NAME "weir"
#define NO_SQL  "cached plan must not change result type (weir tells a client)"

static bool is_same(const struct relay_name *a, const struct relay_name *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/* ---- Bind -------------------------------------------------------------------------------- */

/* Its portal's name, without the NUL, which must be there. */
static struct slice portal_of(struct slice bind)
{
    return (struct slice){bind.at + RELAY_HEADER, strlen((const char *)bind.at + RELAY_HEADER)};
}

bool relay_shapes_is_described(struct slice ahead)
{
    size_t length = 1 + (size_t)bytes_u32(ahead.at + 1);
    struct slice portal = portal_of(ahead);
    const uint8_t *next = ahead.at + length;

    return ahead.length > length && ahead.length - length > RELAY_HEADER + 1 + portal.length &&
           next[0] == WIRE_DESCRIBE && next[RELAY_HEADER] == 'P' &&
           memcmp(next + RELAY_HEADER + 1, portal.at, portal.length + 1) == 0;
}

enum relay_judgement relay_shapes_judge(struct relay *relay, struct slice ahead,
                                        const struct relay_name *name, const struct relay_name *as,
                                        bool there)
{
    struct relay_bound *bound = &relay->names.bound;
    enum relay_sight at_client, at_server = RELAY_UNKNOWN;
    uint64_t told, shape = SHAPE_UNKNOWN;

    at_client = relay_steps_told(relay, name, &told);
    if (at_client == RELAY_UNCLEAR)
        return RELAY_PENDING;
    if (there)
        at_server = relay_steps_shape(relay, as, &shape);
    if (at_client == RELAY_KNOWN && told == shape)
        return RELAY_FITS;
    if (at_client == RELAY_UNKNOWN || relay_shapes_is_described(ahead)) {
        *bound = (struct relay_bound){true, relay_steps_name(portal_of(ahead)), *name, *as};
        return RELAY_FITS;
    }
    if (at_server == RELAY_UNCLEAR)
        return RELAY_PENDING;
    if (at_server == RELAY_UNKNOWN)
        return RELAY_UNSEEN;
    return relay->names.anew ? RELAY_REFUSED : RELAY_DIFFERS;
}

/* ---- Describe ---------------------------------------------------------------------------- */

void relay_shapes_look(struct relay *relay, struct relay_plan *plan, const struct relay_name *as)
{
    relay_steps_say_about(relay, plan, WIRE_DESCRIBE, as);
    relay_steps_learn(relay, RELAY_SHAPE, NULL, as);
}

void relay_shapes_see_statement(struct relay *relay, const struct relay_name *name,
                                const struct relay_name *as, struct relay_naming *naming)
{
    uint64_t told, shape;

    if (relay_steps_told(relay, name, &told) == RELAY_KNOWN &&
        relay_steps_shape(relay, as, &shape) == RELAY_KNOWN && told == shape)
        return;
    relay_steps_learn(relay, RELAY_SHAPE, name, as);
    naming->marks = OWED_NAMED;
}

/* What it looks like is not learned from its answer: planned for the values it was bound with, it
 * may have other type modifiers than the statement. */
void relay_shapes_see_portal(struct relay *relay, const struct relay_name *portal,
                             struct relay_plan *plan, struct relay_naming *naming)
{
    struct relay_bound *bound = &relay->names.bound;
    uint64_t shape;

    if (!is_same(portal, &bound->portal))
        return;
    if (relay_steps_shape(relay, &bound->as, &shape) == RELAY_UNKNOWN)
        relay_shapes_look(relay, plan, &bound->as);
    relay_steps_learn(relay, RELAY_TOLD, &bound->name, &bound->as);
    naming->marks = OWED_NAMED;
    bound->teaches = false;
}

void relay_shapes_begin(struct relay *relay)
{
    if (!owed_head_is(&relay->owed, OWED_NAMED) || owed_head(&relay->owed) != OWED_DESCRIBE ||
        !relay_steps_wants_shape(relay))
        return;
    relay->names.hashing = true;
    shape_begin(&relay->names.shape);
}

void relay_shapes_feed(struct relay *relay, struct slice piece, bool last)
{
    shape_feed(&relay->names.shape, piece);
    if (!last)
        return;
    relay->names.hashing = false;
    relay_steps_done(relay);
}

/* ---- refusal ----------------------------------------------------------------------------- */

void relay_shapes_refuse(struct relay *relay, struct relay_plan *plan)
{
    static const uint8_t body[] = NO_NAME "\0" NO_SQL "\0\0"; /* and a NUL: no types */

    relay_steps_say_head(relay, plan, WIRE_PARSE, sizeof(body));
    relay_steps_say(relay, plan, body, sizeof(body));
    owed_push(&relay->owed, OWED_REFUSAL);
    relay->unsynced = true;
}

bool relay_shapes_is_refusal(const struct relay *relay, struct slice error)
{
    struct slice code = wire_error_field(error, 'C');

    return owed_head(&relay->owed) == OWED_REFUSAL && code.length == 5 &&
           memcmp(code.at, "42601", 5) == 0;
}

struct slice relay_shapes_refusal(void)
{
    static const uint8_t error[] = "E\0\0\0\132SERROR\0VERROR\0C0A000\0"
                                   "Mcached plan must not change result type\0"
                                   "RRevalidateCachedQuery\0";

    return (struct slice){error, sizeof(error)};
}
