#include "drivers/postgres/upkeep.h"

#include <string.h>
#include <strings.h>

enum { MOST_TRIES = 2 };

/* What each kind of thing found is, as a reason to keep the server. */
static const struct {
    unsigned kind;
    enum relay_pin pin;
} reasons[] = {
    {STATE_SETTINGS, RELAY_PIN_SETTING}, {STATE_LOCKS, RELAY_PIN_LOCK},
    {STATE_TEMP, RELAY_PIN_TEMP},        {STATE_CURSORS, RELAY_PIN_CURSOR},
    {STATE_PREPARED, RELAY_PIN_PREPARE}, {STATE_LISTENS, RELAY_PIN_LISTEN},
};

static unsigned kinds_of(uint32_t pinned)
{
    unsigned kinds = 0;

    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (pinned & 1u << reasons[i].pin)
            kinds |= reasons[i].kind;
    return kinds;
}

static uint32_t pins_of(unsigned kinds)
{
    uint32_t pinned = 0;

    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (kinds & reasons[i].kind)
            pinned |= 1u << reasons[i].pin;
    return pinned;
}

bool upkeep_init(struct upkeep *upkeep, struct parameters_set *set)
{
    *upkeep = (struct upkeep){0};
    return following_init(&upkeep->settings, set);
}

void upkeep_fini(struct upkeep *upkeep)
{
    question_forget(&upkeep->question);
    following_fini(&upkeep->settings);
}

static struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

void upkeep_read(struct upkeep *upkeep, const PGconn *conn)
{
    for (unsigned i = 0; i < PARAMETERS_COUNT; i++) {
        const char *value = PQparameterStatus(conn, parameters_names[i]);

        if (value != NULL)
            following_report(&upkeep->settings, (enum parameters_name)i, slice_of(value));
    }
}

/* ---- how texts are read ------------------------------------------------------------------ */

/* Encodings in which the second half of a letter may look like a backslash. */
static bool is_odd(const char *encoding)
{
    static const char *const odd[] = {"SJIS",    "BIG5",  "GBK",           "UHC",
                                      "GB18030", "JOHAB", "SHIFT_JIS_2004"};

    if (strcmp(encoding, "UTF8") == 0) /* nearly always */
        return false;
    for (size_t i = 0; i < COUNT_OF(odd); i++)
        if (strcasecmp(encoding, odd[i]) == 0)
            return true;
    return false;
}

static void note_oddities(struct relay *relay, const struct parameters *p)
{
    relay->state.odd_strings |= strcmp(parameters_value(p, PARAMETERS_STRINGS), "on") != 0;
    relay->state.odd_letters |= is_odd(parameters_value(p, PARAMETERS_CLIENT_ENCODING));
}

/* ---- what the server says ---------------------------------------------------------------- */

static void pin(struct relay *relay, enum relay_pin why)
{
    relay->pinned |= 1u << why;
}

static bool is(struct slice name, const char *text)
{
    return name.length == strlen(text) && memcmp(name.at, text, name.length) == 0;
}

/* What the server reports and is none of those that always follow. That the server was promoted is
 * nobody's doing. */
static void note_other(struct upkeep *upkeep, struct relay *relay, const char *at_login,
                       struct slice name, struct slice value)
{
    bool usual = at_login == NULL || (strlen(at_login) == value.length &&
                                      memcmp(at_login, value.at, value.length) == 0);

    if (is(name, "in_hot_standby"))
        return;
    if (is(name, "is_superuser"))
        state_suspect(&relay->state, SLICE("role"));
    else if (!following_found(&upkeep->settings, name, usual ? (struct slice){NULL, 0} : value))
        pin(relay, RELAY_PIN_SETTING);
}

/* It is told behind what was parsed meanwhile. What we have set ourselves was known before. */
static void note_reading(struct relay *relay, const struct parameters *has)
{
    uint64_t reading = parameters_reading(has);

    if (owed_head_is_ours(&relay->owed) || reading == relay->names.reading)
        return;
    relay->names.reading = reading;
    statement_names_distrust(&relay->names.on_server);
}

/* A ParameterStatus: name and value, each with its NUL. */
static void note_parameter(struct upkeep *upkeep, struct relay *relay, const PGconn *conn,
                           struct slice body, bool leased)
{
    const uint8_t *end = memchr(body.at, '\0', body.length);
    enum parameters_name reported;
    struct slice name, value;

    if (end == NULL || end + 1 == body.at + body.length)
        return;
    name = (struct slice){body.at, (size_t)(end - body.at)};
    value = (struct slice){end + 1, body.length - name.length - 2};
    reported = parameters_find(name);
    if (reported != PARAMETERS_COUNT)
        following_report(&upkeep->settings, reported, value);
    else if (leased)
        note_other(upkeep, relay, PQparameterStatus(conn, (const char *)name.at), name, value);
    if (leased && reported != PARAMETERS_COUNT) {
        note_oddities(relay, upkeep->settings.has);
        note_reading(relay, upkeep->settings.has);
    }
}

/* What a session makes that makes temporary things by default, no text says. */
static void note_path(struct upkeep *upkeep, struct relay *relay)
{
    const char *path = parameters_extra(upkeep->settings.wanted, SLICE("search_path"));

    if (path != NULL && strstr(path, "pg_temp") != NULL)
        relay->state.hints |= SQL_TEMP;
}

static void take_changes(struct upkeep *upkeep, struct relay *relay)
{
    struct sql_change change;

    while (state_take(&relay->state, &change)) {
        bool sets = change.kind == SQL_CHANGE_SET || change.kind == SQL_CHANGE_CALL;
        bool reported = parameters_find(change.name) != PARAMETERS_COUNT;

        if (!following_change(&upkeep->settings, &change))
            pin(relay, RELAY_PIN_SETTING);
        if (sets && !reported && relay->state.mode == STATE_PIN)
            pin(relay, RELAY_PIN_SETTING);
        if (sets && upkeep->settings.wanted != NULL)
            note_path(upkeep, relay);
    }
}

/* The server has answered, or has not been able to: then all is kept as it may be. */
static void conclude(struct upkeep *upkeep, struct relay *relay, const PGconn *conn)
{
    unsigned kinds = upkeep->question.kinds, found;
    const char *user = PQparameterStatus(conn, "session_authorization");

    if (relay->unanswered) {
        question_forget(&upkeep->question);
        if (++upkeep->failed < MOST_TRIES)
            return;
        relay->pinned |= pins_of(kinds);
        state_asked(&relay->state);
        return;
    }
    upkeep->failed = 0;
    found = upkeep->question.found;
    if (!question_settle(&upkeep->question, &upkeep->settings, user) || relay->state.blind ||
        (relay->state.mode == STATE_PIN && !following_is_own(&upkeep->settings)))
        found |= STATE_SETTINGS;
    relay->pinned = (relay->pinned & ~pins_of(kinds)) | pins_of(found & kinds);
    state_asked(&relay->state);
}

void upkeep_note(struct upkeep *upkeep, struct relay *relay, const PGconn *conn,
                 const struct relay_plan *plan, bool leased)
{
    if (plan->parameter.length > 0)
        note_parameter(upkeep, relay, conn, plan->parameter, leased);
    if (plan->row.length > 0 && upkeep->question.kinds != 0)
        question_row(&upkeep->question, plan->row);
    if (plan->failure.length > 0)
        following_failed(&upkeep->settings);
    if (plan->answered && upkeep->question.kinds != 0)
        conclude(upkeep, relay, conn);
    else if (plan->answered)
        following_arrived(&upkeep->settings);
    take_changes(upkeep, relay);
}

/* ---- what is asked and set --------------------------------------------------------------- */

void upkeep_lease(struct upkeep *upkeep, struct relay *relay, const struct parameters *wanted,
                  const struct parameters *own, enum state_mode mode)
{
    following_lease(&upkeep->settings, wanted, own);
    relay->state.mode = (uint8_t)mode;
    upkeep->failed = 0;
    relay->names.reading = parameters_reading(upkeep->settings.wanted);
    note_oddities(relay, upkeep->settings.wanted);
    note_path(upkeep, relay);
}

void upkeep_adapt(struct upkeep *upkeep, struct relay *relay, struct bytes *ahead)
{
    struct bytes sql = {0};

    if (following_write(&upkeep->settings, &sql)) {
        if (!sql.failed)
            relay_ask_query(relay, (const char *)sql.at, ahead);
        ahead->failed |= sql.failed;
    }
    bytes_free(&sql);
}

static void ask(struct upkeep *upkeep, struct relay *relay, unsigned kinds, struct bytes *out)
{
    struct bytes sql = {0};

    question_write(&upkeep->question, kinds, &relay->state, &sql);
    if (!sql.failed)
        relay_ask_question(relay, (const char *)sql.at, out);
    out->failed |= sql.failed;
    bytes_free(&sql);
}

bool upkeep_next(struct upkeep *upkeep, struct relay *relay, struct bytes *out)
{
    static const uint32_t for_good = 1u << RELAY_PIN_MODE | 1u << RELAY_PIN_STATEMENT |
                                     1u << RELAY_PIN_LIBRARY | 1u << RELAY_PIN_REPLICATION;
    unsigned kinds;

    if ((relay->pinned & 1u << RELAY_PIN_LISTEN) == 0)
        relay->state.hints &=
            ~(uint32_t)SQL_LISTENS; /* it was not done, or somebody has seen to it */
    if ((relay->pinned & 1u << RELAY_PIN_UNNAMED) != 0) /* our Query would destroy it (trap 51) */
        return false;
    kinds = state_question(&relay->state, kinds_of(relay->pinned));
    if (relay->state.blind)
        pin(relay, RELAY_PIN_SETTING);
    if (relay->pinned & for_good) /* it is kept whatever the answer is */
        kinds = 0;
    /* What the client sends meanwhile would go behind the question, and ahead of its settings. */
    relay->restoring = kinds != 0 && following_differs(&upkeep->settings);
    if (kinds != 0)
        ask(upkeep, relay, kinds, out);
    else if (relay->pinned != 0)
        upkeep_adapt(upkeep, relay, out);
    return out->length > 0 || out->failed;
}

bool upkeep_allows(const struct relay *relay)
{
    return relay->pinned == 0 && !relay->state.blind && state_question(&relay->state, 0) == 0;
}

void upkeep_cleaned(struct upkeep *upkeep, const char *text)
{
    struct sql_change change;
    struct sql sql;

    sql_begin(&sql);
    sql_feed(&sql, slice_of(text));
    sql_end(&sql);
    for (size_t at = 0; sql_next_change(&sql, &at, &change);)
        if (change.kind == SQL_CHANGE_RESET_ALL || change.kind == SQL_CHANGE_DISCARD)
            following_discarded(&upkeep->settings, change.kind == SQL_CHANGE_DISCARD);
}
