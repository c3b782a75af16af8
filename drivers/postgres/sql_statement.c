#include "drivers/postgres/sql_statement.h"

#include <string.h>

#include "drivers/postgres/sql_setting.h"

/* What may come next in a statement. Those up to LAST_FINAL may end there. */
enum {
    NONE = SQL_STATEMENT_NONE,
    ANY = SQL_STATEMENT_ANY,
    REST = SQL_STATEMENT_REST,
    END,
    BEGUN, /* BEGIN ...: options of a transaction */
    MODES,
    MORE_MODES,
    WORK,
    CHAIN,
    WORK_OR_TO,
    CHAIN_OR_TO,
    SETTING,
    SELECT_NEXT, /* SELECT set_config(...) and nothing else: a comma, or the end */
    SELECT_NAMED,
    LAST_FINAL,
    TRANSACTION,
    MODE,
    ISOLATION,
    LEVEL,
    COMMITTED,
    REPEATABLE,
    READ,
    NOT,
    SAVEPOINT,
    NAME,
    NAME_REST,
    NAME_OR_ALL,
    PREPARED,
    PREPARED_NAME,
    DEALLOCATED,
    DISCARDED,
    SELECT,
    SELECT_DOT,
    SELECT_CALL,
    SELECT_CALLED, /* its arguments come next */
    SELECT_AS,
};

/* How a statement begins. */
static const struct {
    const char *word;
    uint8_t kind, next;
    uint32_t hints;
} firsts[] = {
    {"select", SQL_SELECT, SELECT, 0},
    {"begin", SQL_BEGIN, BEGUN, SQL_BLOCKS},
    {"commit", SQL_COMMIT, WORK, SQL_BLOCKS},
    {"set", SQL_SET, SETTING, 0},
    {"end", SQL_COMMIT, WORK, SQL_BLOCKS},
    {"rollback", SQL_ROLLBACK, WORK_OR_TO, SQL_BLOCKS},
    {"reset", SQL_RESET, SETTING, SQL_ENDS},
    {"create", SQL_CREATE, ANY, 0},
    {"drop", SQL_DROP, ANY, SQL_ENDS},
    {"start", SQL_BEGIN, TRANSACTION, SQL_BLOCKS},
    {"abort", SQL_ROLLBACK, WORK, SQL_BLOCKS},
    {"savepoint", SQL_SAVEPOINT, NAME, 0},
    {"release", SQL_RELEASE, SAVEPOINT, 0},
    {"listen", SQL_LISTEN, NAME, SQL_LISTENS},
    {"unlisten", SQL_UNLISTEN, NAME_OR_ALL, SQL_ENDS},
    {"notify", SQL_NOTIFY, NAME_REST, 0},
    {"prepare", SQL_PREPARE, PREPARED, 0},
    {"execute", SQL_EXECUTE, NAME_REST, SQL_EXECUTES},
    {"deallocate", SQL_DEALLOCATE, DEALLOCATED, SQL_ENDS},
    {"discard", SQL_DISCARD, DISCARDED, SQL_ENDS},
    {"declare", SQL_DECLARE, NAME_REST, 0},
    {"close", SQL_CLOSE, NAME_OR_ALL, SQL_ENDS},
    {"do", SQL_DO, ANY, SQL_OPAQUE},
    {"call", SQL_CALL, ANY, SQL_OPAQUE},
    {"load", SQL_LOAD, ANY, SQL_LOADS},
};

enum { NAMED = 1, ALL = 2 };

/* The rest of those that have one. An empty word is any name. */
static const struct step {
    uint8_t from;
    char token;
    const char *word;
    uint8_t next, kind; /* kind 0: as before */
    uint8_t is;
} steps[] = {
    {TRANSACTION, 'w', "transaction", MODES, 0, 0},
    {BEGUN, 'w', "work", MODES, 0, 0},
    {BEGUN, 'w', "transaction", MODES, 0, 0},
    {MORE_MODES, ',', NULL, MODE, 0, 0},
    {MODE, 'w', "isolation", ISOLATION, 0, 0},
    {MODE, 'w', "read", READ, 0, 0},
    {MODE, 'w', "not", NOT, 0, 0},
    {MODE, 'w', "deferrable", MORE_MODES, 0, 0},
    {ISOLATION, 'w', "level", LEVEL, 0, 0},
    {LEVEL, 'w', "read", COMMITTED, 0, 0},
    {LEVEL, 'w', "repeatable", REPEATABLE, 0, 0},
    {LEVEL, 'w', "serializable", MORE_MODES, 0, 0},
    {COMMITTED, 'w', "committed", MORE_MODES, 0, 0},
    {COMMITTED, 'w', "uncommitted", MORE_MODES, 0, 0},
    {REPEATABLE, 'w', "read", MORE_MODES, 0, 0},
    {READ, 'w', "only", MORE_MODES, 0, 0},
    {READ, 'w', "write", MORE_MODES, 0, 0},
    {NOT, 'w', "deferrable", MORE_MODES, 0, 0},
    {WORK, 'w', "work", CHAIN, 0, 0},
    {WORK, 'w', "transaction", CHAIN, 0, 0},
    {WORK, 'w', "prepared", ANY, SQL_TWO_PHASE, 0},
    {WORK_OR_TO, 'w', "work", CHAIN_OR_TO, 0, 0},
    {WORK_OR_TO, 'w', "transaction", CHAIN_OR_TO, 0, 0},
    {WORK_OR_TO, 'w', "to", SAVEPOINT, SQL_ROLLBACK_TO, 0},
    {WORK_OR_TO, 'w', "prepared", ANY, SQL_TWO_PHASE, 0},
    {CHAIN_OR_TO, 'w', "to", SAVEPOINT, SQL_ROLLBACK_TO, 0},
    {SAVEPOINT, 'w', "savepoint", NAME, 0, 0},
    {SAVEPOINT, 'w', "", END, 0, NAMED},
    {SAVEPOINT, 'q', "", END, 0, NAMED},
    {NAME, 'w', "", END, 0, NAMED},
    {NAME, 'q', "", END, 0, NAMED},
    {NAME_REST, 'w', "", REST, 0, NAMED},
    {NAME_REST, 'q', "", REST, 0, NAMED},
    {NAME_OR_ALL, '*', NULL, END, 0, ALL},
    {NAME_OR_ALL, 'w', "all", END, 0, ALL},
    {NAME_OR_ALL, 'w', "", END, 0, NAMED},
    {NAME_OR_ALL, 'q', "", END, 0, NAMED},
    {PREPARED, 'w', "transaction", PREPARED_NAME, 0, NAMED},
    {PREPARED, 'w', "", REST, 0, NAMED},
    {PREPARED, 'q', "", REST, 0, NAMED},
    {PREPARED_NAME, 's', NULL, REST, SQL_TWO_PHASE, 0},
    {PREPARED_NAME, '(', NULL, REST, 0, 0},
    {PREPARED_NAME, 'w', "as", REST, 0, 0},
    {DEALLOCATED, 'w', "prepare", NAME_OR_ALL, 0, 0},
    {DEALLOCATED, 'w', "all", END, 0, ALL},
    {DEALLOCATED, 'w', "", END, 0, NAMED},
    {DEALLOCATED, 'q', "", END, 0, NAMED},
    {DISCARDED, 'w', "all", END, SQL_DISCARD_ALL, 0},
    {DISCARDED, 'w', "temp", END, SQL_DISCARD_TEMP, 0},
    {DISCARDED, 'w', "temporary", END, SQL_DISCARD_TEMP, 0},
    {DISCARDED, 'w', "plans", END, 0, 0},
    {DISCARDED, 'w', "sequences", END, 0, 0},
    {SELECT, 'w', "pg_catalog", SELECT_DOT, 0, 0},
    {SELECT_DOT, '.', NULL, SELECT_CALL, 0, 0},
    {SELECT, 'w', "set_config", SELECT_CALLED, 0, 0},
    {SELECT_CALL, 'w', "set_config", SELECT_CALLED, 0, 0},
    {SELECT_NEXT, ',', NULL, SELECT, 0, 0},
    {SELECT_NEXT, 'w', "as", SELECT_AS, 0, 0},
    {SELECT_AS, 'w', "", SELECT_NAMED, 0, 0},
    {SELECT_AS, 'q', "", SELECT_NAMED, 0, 0},
    {SELECT_NAMED, ',', NULL, SELECT, 0, 0},
};

/* ---- hints ------------------------------------------------------------------------------- */

/* The word before, where a hint is two words. */
enum { OTHER, MAKES, WITH };

static bool begins(const struct sql *sql, const char *text)
{
    return strncmp(sql->word, text, strlen(text)) == 0;
}

static void hint_function(struct sql *sql)
{
    if (sql_statement_is(sql, "pg_temp") || begins(sql, "pg_temp_"))
        sql->hints |= SQL_TEMP;
    else if (begins(sql, "pg_advisory_lock") || begins(sql, "pg_try_advisory_lock"))
        sql->hints |= SQL_LOCKS;
    else if (begins(sql, "pg_advisory_unlock"))
        sql->hints |= SQL_ENDS;
}

static bool is_one_of(const struct sql *sql, const char *a, const char *b)
{
    return sql_statement_is(sql, a) || sql_statement_is(sql, b);
}

/* Reads only words that begin like one that matters: this is where most words go. */
void sql_statement_hint(struct sql *sql)
{
    uint8_t previous = sql->previous;

    sql->previous = OTHER;
    switch (sql->word[0]) {
    case 'p':
        if (sql->length > 6 && sql->word[1] == 'g' && sql->word[2] == '_')
            hint_function(sql);
        break;
    case 's':
        if (sql->length == 10 && sql_statement_is(sql, "set_config"))
            sql_setting_call(sql);
        break;
    case 't':
        if (previous == MAKES && is_one_of(sql, "temp", "temporary"))
            sql->hints |= SQL_TEMP;
        break;
    case 'e':
        if (sql_statement_is(sql, "execute")) /* EXPLAIN ANALYZE EXECUTE */
            sql->hints |= SQL_EXECUTES;
        break;
    case 'h':
        if (previous == WITH && sql_statement_is(sql, "hold"))
            sql->hints |= SQL_HOLD;
        break;
    case 'c':
    case 'r':
        sql->previous = is_one_of(sql, "create", "replace") ? MAKES : OTHER;
        break;
    case 'l':
    case 'g':
        sql->previous = is_one_of(sql, "local", "global") ? MAKES : OTHER;
        break;
    case 'i':
        sql->previous = sql_statement_is(sql, "into") ? MAKES : OTHER;
        break;
    case 'w':
        sql->previous = sql_statement_is(sql, "with") ? WITH : OTHER;
        break;
    default:
        break;
    }
}

/* ---- from token to token ----------------------------------------------------------------- */

static void begin(struct sql *sql, char token)
{
    size_t i = 0;

    sql->now = SQL_OTHER;
    sql->grammar = token == '(' ? NONE : ANY; /* (SELECT ...) */
    sql->first = sql->changes_length;
    if (token != SQL_TOKEN_WORD)
        return;
    while (i < COUNT_OF(firsts) && !sql_statement_is(sql, firsts[i].word))
        i++;
    if (i == COUNT_OF(firsts))
        return;
    sql->now = firsts[i].kind;
    sql->grammar = firsts[i].next;
    sql->hints |= firsts[i].hints;
    if (sql->grammar == SETTING)
        sql_setting_begin(sql, sql->now == SQL_RESET);
}

static bool fits(const struct sql *sql, const struct step *step, char token)
{
    if (step->from != sql->grammar || step->token != token)
        return false;
    return step->word == NULL || step->word[0] == '\0' || sql_statement_is(sql, step->word);
}

static void take(struct sql *sql, const struct step *step)
{
    sql->grammar = step->next;
    if (step->kind != 0)
        sql->now = step->kind;
    sql->all_now = step->is == ALL;
    if (step->is == NAMED)
        memcpy(sql->name_now, sql->word, (size_t)sql->length + 1);
}

static void advance(struct sql *sql, char token)
{
    size_t i = 0;

    if (sql->grammar == SELECT && sql->word[0] != 'p' && sql->word[0] != 's') {
        sql_setting_not_alone(sql); /* as most do */
        sql->grammar = ANY;
        return;
    }
    /* Options may be left out, and so may the commas between them. */
    if (token == SQL_TOKEN_WORD &&
        (sql->grammar == MODES || sql->grammar == MORE_MODES ||
         (sql->grammar == BEGUN && !is_one_of(sql, "work", "transaction"))))
        sql->grammar = MODE;
    while (i < COUNT_OF(steps) && !fits(sql, &steps[i], token))
        i++;
    if (i < COUNT_OF(steps)) {
        take(sql, &steps[i]);
        return;
    }
    if (sql->grammar >= SELECT || sql->grammar == SELECT_NEXT || sql->grammar == SELECT_NAMED)
        sql_setting_not_alone(sql);
    sql->grammar = ANY;
}

void sql_statement_token(struct sql *sql, char token)
{
    bool word = token == SQL_TOKEN_WORD || token == SQL_TOKEN_QUOTED;

    if (sql->argument != 0) {
        sql_setting_argument(sql, token, sql->grammar == SELECT_CALLED);
        if (word)
            sql_statement_hint(sql);
        if (sql->argument == 0 && sql->grammar == SELECT_CALLED)
            sql->grammar = token == ')' ? SELECT_NEXT : ANY;
        return;
    }
    if (word)
        sql_statement_hint(sql);
    if (sql->grammar == NONE)
        begin(sql, token);
    else if (sql->grammar == SETTING)
        sql_setting_token(sql, token);
    else if (sql_statement_listens(sql))
        advance(sql, token);
}

/* ---- the body of a DO -------------------------------------------------------------------- */

enum { NO_WORD, AFTER_SET, AFTER_FUNCTION, AFTER_BRACKET, IN_NAME };

/* Names that PostgreSQL does not list when asked what is set must be known. */
static void note_name(struct sql *sql)
{
    sql->word[sql->length] = '\0';
    if (strchr(sql->word, '.') != NULL || sql_statement_is(sql, "role"))
        sql_setting_note(sql, sql->word);
}

static void body_word(struct sql *sql)
{
    sql->word[sql->length] = '\0';
    if (sql->body == AFTER_SET && sql_statement_is(sql, "session"))
        return;
    if (sql->body == AFTER_SET) {
        note_name(sql);
        sql->body = NO_WORD;
    } else if (sql_statement_is(sql, "set")) {
        sql->body = AFTER_SET;
    } else {
        sql->body = sql_statement_is(sql, "set_config") ? AFTER_FUNCTION : NO_WORD;
    }
}

static void body_mark(struct sql *sql, uint8_t byte)
{
    if (byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r')
        return;
    if (sql->body == AFTER_FUNCTION && byte == '(')
        sql->body = AFTER_BRACKET;
    else if (sql->body == AFTER_BRACKET && byte == '\'')
        sql->body = IN_NAME;
    else
        sql->body = NO_WORD;
}

static bool is_of_name(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_' ||
           byte == '.' || byte == '$' || byte >= 0x80;
}

void sql_statement_body(struct sql *sql, uint8_t byte)
{
    uint8_t folded = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;

    if (sql->body == IN_NAME ? byte != '\'' : is_of_name(folded)) {
        if (sql->length < SQL_WORD_MOST)
            sql->word[sql->length++] = (char)folded;
        return;
    }
    if (sql->body == IN_NAME) {
        note_name(sql);
        sql->body = NO_WORD;
        byte = ' ';
    } else if (sql->length > 0) {
        body_word(sql);
    }
    sql->length = 0;
    body_mark(sql, byte);
}

/* ---- the end of a statement -------------------------------------------------------------- */

static void note_end(struct sql *sql)
{
    if (sql->now == SQL_PREPARE)
        sql->hints |= SQL_PREPARES;
    if (sql->now == SQL_TWO_PHASE)
        sql->hints |= SQL_BLOCKS;
    if (sql->now == SQL_ROLLBACK_TO)
        sql->hints |= SQL_SAVEPOINTS;
    if (sql->now == SQL_DISCARD_ALL)
        sql_setting_discard(sql);
    if (sql->now == SQL_SET || sql->now == SQL_RESET)
        sql_setting_end(sql);
    if (sql->grammar >= SELECT)
        sql_setting_not_alone(sql);
}

void sql_statement_end(struct sql *sql)
{
    if (sql->argument != 0)
        sql_statement_token(sql, ';');
    if (sql->grammar == NONE)
        return;
    note_end(sql);
    if (sql->statements++ == 0) {
        sql->kind = (enum sql_kind)sql->now;
        sql->clear = sql->grammar != ANY && sql->grammar < LAST_FINAL;
        sql->all = sql->clear && sql->all_now;
        strcpy(sql->name, sql->name_now);
    }
    sql->grammar = NONE;
    sql->now = sql->previous = 0;
    sql->nesting = 0;
    sql->all_now = false;
    sql->name_now[0] = '\0';
}
