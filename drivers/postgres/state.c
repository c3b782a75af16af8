#include "drivers/postgres/state.h"

#include <string.h>

#include "drivers/postgres/parameters.h"
#include "drivers/postgres/wire.h"

/* Each hint, and what to ask for it. */
static const struct {
    uint32_t hint;
    unsigned kinds;
} questions[] = {
    {SQL_SETS, STATE_SETTINGS},   {SQL_LOCKS, STATE_LOCKS},     {SQL_TEMP, STATE_TEMP},
    {SQL_HOLD, STATE_CURSORS},    {SQL_LISTENS, STATE_LISTENS}, {SQL_PREPARES, STATE_PREPARED},
    {SQL_OPAQUE, STATE_ANYTHING},
};

enum {
    TO_ASK = SQL_SETS | SQL_LOCKS | SQL_TEMP | SQL_HOLD | SQL_LISTENS | SQL_PREPARES | SQL_OPAQUE |
             SQL_ENDS,
};

/* ---- logs -------------------------------------------------------------------------------- */

enum { HEAD = 8 }; /* kind, length of name, of value (2), request (4) */

static void put_u16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static bool log_add(struct state_log *log, const struct sql_change *change, uint32_t request)
{
    uint8_t *at = log->at + log->length;
    size_t size = HEAD + change->name.length + change->value.length;

    if (log->length + size > sizeof(log->at))
        return false;
    at[0] = (uint8_t)change->kind;
    at[1] = (uint8_t)change->name.length;
    put_u16(at + 2, change->value.length);
    bytes_put_u32(at + 4, request);
    if (change->name.length > 0)
        memcpy(at + HEAD, change->name.at, change->name.length);
    if (change->value.length > 0)
        memcpy(at + HEAD + change->name.length, change->value.at, change->value.length);
    log->length = (uint16_t)(log->length + size);
    return true;
}

static bool log_next(const struct state_log *log, size_t *from, struct sql_change *change,
                     uint32_t *request)
{
    const uint8_t *at = log->at + *from;

    if (*from >= log->length)
        return false;
    change->kind = (enum sql_change_kind)at[0];
    change->name = (struct slice){at + HEAD, at[1]};
    change->value = (struct slice){at + HEAD + at[1], (size_t)at[2] << 8 | at[3]};
    *request = bytes_u32(at + 4);
    *from += HEAD + change->name.length + change->value.length;
    return true;
}

static void log_drop(struct state_log *log, size_t length)
{
    if (length == 0)
        return;
    memmove(log->at, log->at + length, log->length - length);
    log->length = (uint16_t)(log->length - length);
}

/* ---- what is to be asked ----------------------------------------------------------------- */

static bool is(struct slice name, const char *text)
{
    return name.length == strlen(text) && memcmp(name.at, text, name.length) == 0;
}

/* PostgreSQL lists neither settings of no one's own (with a dot) nor the role. */
static bool is_listed(struct slice name)
{
    return memchr(name.at, '.', name.length) == NULL && !is(name, "role");
}

static void be_blind(struct state *state)
{
    state->blind = true;
    state->hints |= SQL_SETS;
}

static void suspect(struct state *state, struct slice name)
{
    struct sql_change change = {SQL_CHANGE_ASK, name, {NULL, 0}}, known;
    uint32_t request;

    state->hints |= SQL_SETS;
    if (name.length == 0) {
        be_blind(state);
        return;
    }
    if (is_listed(name))
        return;
    for (size_t at = 0; log_next(&state->suspects, &at, &known, &request);)
        if (known.name.length == name.length && memcmp(known.name.at, name.at, name.length) == 0)
            return;
    if (!log_add(&state->suspects, &change, 0))
        be_blind(state);
}

static void suspect_all(struct state *state, struct state_log *log)
{
    struct sql_change change;
    uint32_t request;

    for (size_t at = 0; log_next(log, &at, &change, &request);)
        if (change.name.length > 0)
            suspect(state, change.name);
        else
            state->hints |= SQL_OPAQUE; /* RESET ALL: who knows whether */
    log->length = 0;
}

/* ---- from the client --------------------------------------------------------------------- */

void state_init(struct state *state)
{
    memset(state, 0, offsetof(struct state, of_statement));
    state->of_statement.length = state->expected.length = state->done.length = 0;
    state->committed.length = state->suspects.length = 0;
}

static void expect(struct state *state, const struct sql_change *change, uint32_t request)
{
    if (!log_add(&state->expected, change, request))
        be_blind(state);
}

static void execute_bound(struct state *state, uint32_t request, bool dropped)
{
    struct sql_change change;
    uint32_t unused;

    if (dropped || !state->bound)
        return;
    for (size_t at = 0; log_next(&state->of_statement, &at, &change, &unused);)
        expect(state, &change, request);
}

/* Of a statement whose text we do not know, anything may be. */
static void bind_statement(struct state *state, struct slice message, bool dropped)
{
    const uint8_t *body = message.at + WIRE_HEADER_SIZE;
    bool both = message.length >= WIRE_HEADER_SIZE + 2;
    bool unnamed_portal = both && body[0] == '\0';
    bool known = state->used || (unnamed_portal && body[1] == '\0' && state->parsed);

    state->bound = known && unnamed_portal;
    state->parsed &= !state->used;
    state->used = false;
    if (!dropped)
        state->hints |= (known ? state->statement : SQL_OPAQUE) & TO_ASK;
}

/* There is nothing to read, and nothing that could come of it. */
static void end_plain(struct state *state)
{
    if (state->reading == WIRE_PARSE) {
        state->statement = 0;
        state->of_statement.length = 0;
        state->parsed = !state->is_dropped;
    }
    state->reading = 0;
    state->in_name = state->rejects = false;
}

void state_begin(struct state *state, struct slice message, uint32_t request, bool dropped,
                 bool plain)
{
    const uint8_t *body = message.at + WIRE_HEADER_SIZE;

    if (state->mode == STATE_IGNORE)
        return;
    switch (message.at[0]) {
    case WIRE_QUERY:
    case WIRE_PARSE:
        state->in_name = message.at[0] == WIRE_PARSE;
        state->is_named = state->in_name && message.length > WIRE_HEADER_SIZE && body[0] != '\0';
        if (state->is_named && state->mode != STATE_REJECT)
            break; /* it is looked at when it is used */
        state->reading = message.at[0];
        state->is_dropped = dropped;
        state->request = request;
        if (plain)
            end_plain(state);
        else
            sql_begin(&state->sql);
        break;
    case WIRE_BIND:
        bind_statement(state, message, dropped);
        break;
    case WIRE_EXECUTE:
        if (message.length > WIRE_HEADER_SIZE && body[0] == '\0')
            execute_bound(state, request, dropped);
        break;
    case WIRE_FUNCTION_CALL:
        state->hints |= SQL_OPAQUE;
        break;
    default:
        break;
    }
}

void state_feed(struct state *state, struct slice body)
{
    const uint8_t *nul;

    if (state->reading == 0)
        return;
    if (state->in_name) {
        nul = memchr(body.at, '\0', body.length);
        if (nul == NULL)
            return;
        state->in_name = false;
        body.length -= (size_t)(nul + 1 - body.at);
        body.at = nul + 1;
    }
    sql_feed(&state->sql, body);
}

/* What a text reads otherwise than we do may hide anything in it. */
static void doubt(struct state *state)
{
    const struct sql *sql = &state->sql;

    if (((sql->hints & SQL_BACKSLASH) != 0 && state->odd_strings) ||
        ((sql->hints & SQL_ENCODING) != 0 && state->odd_letters) || (sql->hints & SQL_LOST) != 0)
        state->hints |= SQL_OPAQUE;
    if ((sql->hints & SQL_OPAQUE) != 0) /* nor do we know how what is sent next will be read */
        state->odd_strings = state->odd_letters = true;
    if (sql->hints & SQL_LOST)
        be_blind(state);
}

static void note_names(struct state *state, const struct sql_change *change)
{
    if (change->kind == SQL_CHANGE_ASK || change->kind == SQL_CHANGE_CALLED)
        suspect(state, change->name);
    if (is(change->name, "standard_conforming_strings") || change->name.length == 0)
        state->odd_strings = true;
    if (is(change->name, "client_encoding") || change->name.length == 0)
        state->odd_letters = true;
}

/* A Query is executed now, a statement when it is. */
static void end_query(struct state *state)
{
    struct sql_change change;

    state->hints |= state->sql.hints & TO_ASK;
    if (state->sql.hints & SQL_PREPARES)
        state->prepared |= state->sql.hints;
    if (state->sql.hints & SQL_EXECUTES)
        state->hints |= state->prepared & TO_ASK;
    for (size_t at = 0; sql_next_change(&state->sql, &at, &change);) {
        note_names(state, &change);
        if (change.kind != SQL_CHANGE_CALLED && !state->is_dropped)
            expect(state, &change, state->request);
    }
}

static void keep_statement(struct state *state)
{
    struct sql_change change;

    state->statement = state->sql.hints;
    state->of_statement.length = 0;
    if (state->sql.hints & SQL_PREPARES)
        state->prepared |= state->sql.hints;
    if (state->sql.hints & SQL_EXECUTES)
        state->statement |= state->prepared;
    for (size_t at = 0; sql_next_change(&state->sql, &at, &change);) {
        note_names(state, &change);
        if (change.kind != SQL_CHANGE_CALLED && !log_add(&state->of_statement, &change, 0))
            be_blind(state);
    }
}

/* Through a portal with a name it may be executed without our knowing which it is. */
static void end_parse(struct state *state)
{
    keep_statement(state);
    state->parsed = !state->is_dropped;
    state->hints |= state->statement & TO_ASK;
}

void state_use(struct state *state, struct slice text, uint32_t hints)
{
    state->used = true;
    state->statement = 0;
    state->of_statement.length = 0;
    if (hints == 0 || state->mode == STATE_IGNORE)
        return;
    sql_begin(&state->sql);
    sql_feed(&state->sql, text);
    sql_end(&state->sql);
    doubt(state);
    keep_statement(state);
}

/* A setting that PostgreSQL reports may be changed, for that follows; and what is there reset. */
bool state_rejects(const struct state *state, const struct sql *sql)
{
    const uint32_t rejected = SQL_LOCKS | SQL_TEMP | SQL_HOLD | SQL_PREPARES | SQL_LISTENS |
                              SQL_OPAQUE | SQL_LOADS | SQL_LOST;
    struct sql_change change;

    if (state->mode != STATE_REJECT || (sql->hints & rejected) != 0)
        return state->mode == STATE_REJECT;
    for (size_t at = 0; sql_next_change(sql, &at, &change);)
        if (change.kind != SQL_CHANGE_NOTHING && change.kind != SQL_CHANGE_RESET &&
            change.kind != SQL_CHANGE_RESET_ALL && change.kind != SQL_CHANGE_DISCARD &&
            parameters_find(change.name) == PARAMETERS_COUNT)
            return true;
    return false;
}

void state_end(struct state *state)
{
    if (state->reading == 0)
        return;
    sql_end(&state->sql);
    state->rejects = state_rejects(state, &state->sql);
    doubt(state);
    if (state->reading == WIRE_QUERY)
        end_query(state);
    else if (!state->is_named)
        end_parse(state);
    state->reading = 0;
}

void state_suspect(struct state *state, struct slice name)
{
    if (state->mode != STATE_IGNORE)
        suspect(state, name);
}

/* ---- from the server --------------------------------------------------------------------- */

static bool is_tag(struct slice tag, const char *text)
{
    return tag.length == strlen(text) + 1 && memcmp(tag.at, text, tag.length) == 0;
}

static bool fits(enum sql_change_kind kind, struct slice tag)
{
    bool set = is_tag(tag, "SET"), reset = is_tag(tag, "RESET");

    switch (kind) {
    case SQL_CHANGE_NOTHING:
    case SQL_CHANGE_RESET:
    case SQL_CHANGE_ASK:
        return set || reset;
    case SQL_CHANGE_SET:
        return set;
    case SQL_CHANGE_RESET_ALL:
        return reset;
    case SQL_CHANGE_DISCARD:
        return is_tag(tag, "DISCARD ALL");
    case SQL_CHANGE_CALL:
        return tag.at[0] == 'S' && !set;
    case SQL_CHANGE_CALLED:
        break;
    }
    return false;
}

static void do_change(struct state *state, const struct sql_change *change)
{
    if (change->kind == SQL_CHANGE_NOTHING || change->kind == SQL_CHANGE_ASK)
        return;
    if (!log_add(&state->done, change, 0))
        be_blind(state);
}

/* The next of the changes expected of this request was made; those of requests before it that
 * were not are forgotten. False: there is none that fits. */
static bool make_change(struct state *state, struct slice tag, uint32_t request)
{
    struct sql_change change;
    uint32_t of = 0;
    size_t at = 0, before;
    bool made = false;

    for (before = 0; log_next(&state->expected, &at, &change, &of); before = at) {
        if ((int32_t)(of - request) < 0)
            continue;
        if (of != request || !fits(change.kind, tag))
            break;
        do_change(state, &change);
        made = true;
        if (change.kind != SQL_CHANGE_CALL) {
            before = at;
            break;
        }
    }
    log_drop(&state->expected, before);
    return made;
}

static void commit(struct state *state)
{
    if (state->undone) /* to a savepoint: some of it */
        state->hints |= SQL_SETS;
    state->undone = false;
    if (state->committed.length + state->done.length > STATE_LOG_MOST) {
        be_blind(state);
    } else {
        memcpy(state->committed.at + state->committed.length, state->done.at, state->done.length);
        state->committed.length = (uint16_t)(state->committed.length + state->done.length);
    }
    state->done.length = 0;
}

/* ROLLBACK says the same whether it undid all or went back to a savepoint. */
static void undo(struct state *state)
{
    uint32_t hints = state->hints;

    if (state->done.length == 0)
        return;
    suspect_all(state, &state->done);
    state->hints = hints;
    state->undone = true;
}

void state_complete(struct state *state, struct slice tag, uint32_t request, bool of_query)
{
    if (state->mode == STATE_IGNORE || tag.length == 0)
        return;
    if (is_tag(tag, "SET") || is_tag(tag, "RESET") || is_tag(tag, "DISCARD ALL")) {
        if (!make_change(state, tag, request))
            be_blind(state); /* a statement whose text we have not seen */
    } else if (tag.at[0] == 'S' && state->expected.length > 0) {
        (void)make_change(state, tag, request);
    } else if (is_tag(tag, "COMMIT") || is_tag(tag, "PREPARE TRANSACTION")) {
        commit(state);
    } else if (is_tag(tag, "ROLLBACK")) {
        undo(state);
    } else if (is_tag(tag, "LISTEN")) {
        state->hints |= SQL_LISTENS;
    } else if (is_tag(tag, "PREPARE")) {
        state->hints |= SQL_PREPARES;
    } else if (is_tag(tag, "DECLARE CURSOR") && !of_query) {
        state->hints |= SQL_HOLD;
    } else if (is_tag(tag, "DO") || is_tag(tag, "CALL")) {
        state->hints |= SQL_OPAQUE;
    }
}

/* What was expected behind it is dropped by the server, up to where it goes on. */
void state_error(struct state *state)
{
    state->erred = true;
    state->parsed = state->used = state->bound = false;
}

static void forget_before(struct state *state, uint32_t request)
{
    struct sql_change change;
    uint32_t of;
    size_t at = 0, before = 0;

    while (log_next(&state->expected, &at, &change, &of) && (int32_t)(of - request) < 0)
        before = at;
    log_drop(&state->expected, before);
}

void state_ready(struct state *state, uint8_t status, uint32_t request)
{
    if (status == 'T' && state->undone) /* it was a savepoint, or AND CHAIN */
        state->hints |= SQL_SETS;
    if (status != 'E')
        state->undone = false;
    if (status == 'I') {
        if (state->erred && state->done.length > 0)
            suspect_all(state, &state->done);
        commit(state);
        state->erred = false;
    }
    state->ripe = state->committed.length > 0;
    forget_before(state, request);
}

/* ---- what has become of it --------------------------------------------------------------- */

bool state_take(struct state *state, struct sql_change *change)
{
    uint8_t *at = state->committed.at;
    size_t next = 0;
    uint32_t request;

    if (!state->ripe)
        return false;
    /* The kind 0xff marks the one that was lent last. */
    if (state->committed.length > 0 && at[0] == 0xff) {
        (void)log_next(&state->committed, &next, change, &request);
        log_drop(&state->committed, next);
        next = 0;
    }
    state->ripe = log_next(&state->committed, &next, change, &request);
    if (!state->ripe)
        return false;
    at[0] = 0xff;
    if (change->kind == SQL_CHANGE_DISCARD)
        state->blind = false;
    return true;
}

static unsigned kinds_of(uint32_t hints)
{
    unsigned kinds = 0;

    for (size_t i = 0; i < COUNT_OF(questions); i++)
        if (hints & questions[i].hint)
            kinds |= questions[i].kinds;
    return kinds;
}

unsigned state_question(const struct state *state, unsigned pinned)
{
    unsigned kinds;

    if (state->hints == 0) /* nearly always */
        return 0;
    kinds = kinds_of(state->hints);
    return state->hints & SQL_ENDS ? kinds | pinned : kinds;
}

void state_asked(struct state *state)
{
    state->hints = 0;
    state->suspects.length = 0;
}

bool state_is_doubtful(const struct state *state)
{
    return kinds_of(state->hints) != 0 || state->blind || state->expected.length > 0 ||
           state->done.length > 0 || state->committed.length > 0;
}

bool state_next_suspect(const struct state *state, size_t *at, struct slice *name)
{
    struct sql_change change;
    uint32_t request;

    if (!log_next(&state->suspects, at, &change, &request))
        return false;
    *name = change.name;
    return true;
}
