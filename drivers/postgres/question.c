#include "drivers/postgres/question.h"

#include <string.h>

#define EQUALS " OPERATOR(pg_catalog.=) "
#define OWN    EQUALS "pg_catalog.pg_backend_pid()"

enum { MOST_FACTS = 32 * 1024 };

/* One for each bit of enum state_kind, in its order. */
static const struct {
    char letter;
    const char *sql;
} parts[] = {
    {'s', "SELECT 's', name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings"
          " WHERE source" EQUALS "'session'"},
    {'l', "(SELECT 'l', NULL, NULL FROM pg_catalog.pg_locks"
          " WHERE locktype" EQUALS "'advisory' AND pid" OWN " LIMIT 1)"},
    {'t', "(SELECT 't', NULL, NULL FROM pg_catalog.pg_depend"
          " WHERE refclassid" EQUALS "'pg_catalog.pg_namespace'::pg_catalog.regclass"
          " AND refobjid" EQUALS "pg_catalog.pg_my_temp_schema() LIMIT 1)"},
    {'c', "(SELECT 'c', NULL, NULL FROM pg_catalog.pg_cursors WHERE is_holdable LIMIT 1)"},
    {'p', "(SELECT 'p', NULL, NULL FROM pg_catalog.pg_prepared_statements"
          " WHERE from_sql LIMIT 1)"},
    {'n', "(SELECT 'n', NULL, NULL FROM pg_catalog.pg_listening_channels() LIMIT 1)"},
};

static void write_name(struct bytes *sql, struct slice name)
{
    bytes_print(sql, "E'");
    for (size_t i = 0; i < name.length; i++) {
        if (name.at[i] == '\'' || name.at[i] == '\\')
            bytes_add(sql, &name.at[i], 1);
        bytes_add(sql, &name.at[i], 1);
    }
    bytes_print(sql, "'");
}

/* What pg_settings does not list. Where a setting of no one's own was reset, it is empty. */
static void write_suspect(struct bytes *sql, struct slice name)
{
    bytes_print(sql, " UNION ALL SELECT 's', ");
    write_name(sql, name);
    bytes_print(sql, ", pg_catalog.current_setting(");
    write_name(sql, name);
    bytes_print(sql, ", true)");
}

void question_write(struct question *question, unsigned kinds, const struct state *state,
                    struct bytes *sql)
{
    struct slice name;
    size_t at = 0;

    question->kinds = kinds;
    question->found = 0;
    question->too_much = false;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (kinds & 1u << i)
            bytes_print(sql, "%s%s", sql->length > 0 ? " UNION ALL " : "", parts[i].sql);
    if (kinds & STATE_SETTINGS) {
        write_suspect(sql, SLICE("session_authorization"));
        while (state_next_suspect(state, &at, &name))
            write_suspect(sql, name);
    }
    bytes_add(sql, "", 1);
}

static bool take_column(struct slice *row, struct slice *column)
{
    uint32_t length;

    if (row->length < 4)
        return false;
    length = bytes_u32(row->at);
    row->at += 4;
    row->length -= 4;
    *column = (struct slice){NULL, 0};
    if (length == UINT32_MAX)
        return true;
    if (length > row->length)
        return false;
    *column = (struct slice){row->at, length};
    row->at += length;
    row->length -= length;
    return true;
}

/* A row: a letter for its kind, and a setting's name and value. */
struct fact {
    struct slice letter, name, value;
};

static bool read_row(struct slice row, struct fact *fact)
{
    if (row.length < 2)
        return false;
    row.at += 2;
    row.length -= 2;
    return take_column(&row, &fact->letter) && take_column(&row, &fact->name) &&
           take_column(&row, &fact->value) && fact->letter.length == 1;
}

void question_row(struct question *question, struct slice body)
{
    struct fact fact;
    uint8_t length[4];

    if (!read_row(body, &fact)) {
        question->too_much = true;
        return;
    }
    for (size_t i = 1; i < COUNT_OF(parts); i++)
        if (fact.letter.at[0] == (uint8_t)parts[i].letter)
            question->found |= 1u << i;
    if (fact.letter.at[0] != (uint8_t)parts[0].letter)
        return;
    question->too_much |= question->facts.length + body.length > MOST_FACTS;
    if (question->too_much)
        return;
    bytes_put_u32(length, (uint32_t)body.length);
    bytes_add(&question->facts, length, sizeof(length));
    bytes_add(&question->facts, body.at, body.length);
}

static bool next_fact(const struct question *question, size_t *at, struct fact *fact)
{
    struct slice row;

    if (*at >= question->facts.length)
        return false;
    row = (struct slice){question->facts.at + *at + 4, bytes_u32(question->facts.at + *at)};
    *at += 4 + row.length;
    return read_row(row, fact);
}

static bool is(struct slice a, const char *b)
{
    return a.at != NULL && a.length == strlen(b) && memcmp(a.at, b, a.length) == 0;
}

static bool tells_of(const struct question *question, const char *name)
{
    struct fact fact;

    for (size_t at = 0; next_fact(question, &at, &fact);)
        if (is(fact.name, name))
            return true;
    return false;
}

/* What is set no more is not in the list. The names are copied: dropping one changes where they
 * are. */
static void drop_unlisted(const struct question *question, struct following *settings)
{
    const struct parameters *before = parameters_hold(settings->has);
    const char *value = NULL;

    for (const char *name = NULL; (name = parameters_next_extra(before, name, &value)) != NULL;) {
        bool listed = strchr(name, '.') == NULL && strcmp(name, "role") != 0;
        struct slice of = {(const uint8_t *)name, strlen(name)};

        if (listed && !tells_of(question, name) &&
            !following_found(settings, of, (struct slice){NULL, 0}))
            continue;
    }
    parameters_release(settings->set, before);
}

static bool settle_one(const struct fact *fact, struct following *settings,
                       const char *authorization)
{
    bool empty = is(fact->value, "") && memchr(fact->name.at, '.', fact->name.length) != NULL;
    bool none = is(fact->name, "role") && is(fact->value, "none");

    if (is(fact->name, "session_authorization"))
        return authorization == NULL || is(fact->value, authorization);
    return following_found(settings, fact->name,
                           empty || none ? (struct slice){NULL, 0} : fact->value);
}

bool question_settle(struct question *question, struct following *settings,
                     const char *authorization)
{
    bool all = !question->too_much && !question->facts.failed;
    struct fact fact;

    if (question->kinds & STATE_SETTINGS) {
        if (all)
            drop_unlisted(question, settings);
        for (size_t at = 0; next_fact(question, &at, &fact);)
            all &= fact.name.length > 0 && settle_one(&fact, settings, authorization);
    }
    question_forget(question);
    return all;
}

void question_forget(struct question *question)
{
    bytes_free(&question->facts);
    question->kinds = 0;
}
