#include "drivers/postgres/sql_setting.h"

#include <string.h>

#include "drivers/postgres/sql_statement.h"

enum { HEAD = 4 };

/* What may come next in a SET or RESET. */
enum {
    SET_FIRST,  /* a name, or a word that is none */
    SET_SCOPED, /* after SET SESSION: a name */
    SET_NAMED,  /* after the first part of the name */
    SET_DOT,
    SET_MORE_NAME, /* after a dot and one more part */
    VALUE_FIRST,
    VALUE,     /* after a comma, or where there is no = before */
    SIGNED,    /* after a minus */
    SEPARATOR, /* a comma, or the end: it is clear */
    DEFAULTED, /* the end: SET ... TO DEFAULT */
    ZONE,
    UNCLEAR,
    NOTHING, /* it leaves nothing */
    NO_SET,  /* it does not even complete as one: SET CONSTRAINTS */
    RESET_FIRST,
    RESET_NAMED,
    RESET_DOT,
    RESET_MORE_NAME,
    RESET_ALL,
};

/* What may come next in the arguments of set_config(). */
enum { NO_CALL, OPENS, FIRST, SECOND, THIRD, TOO_MANY };

/* ---- changes ----------------------------------------------------------------------------- */

/* There is always room for the head of one more. */
static uint8_t *entry(struct sql *sql)
{
    return sql->changes + sql->changes_length;
}

static void open_entry(struct sql *sql)
{
    sql->filled = sql->changes_length;
    sql->capturing = sql->murky = sql->local = false;
    sql_setting_put(sql, "\0\0\0\0", HEAD);
}

void sql_setting_put(struct sql *sql, const void *from, size_t length)
{
    if (length > (size_t)SQL_CHANGES_MOST - sql->filled) {
        sql->hints |= SQL_LOST;
        sql->murky = true;
        return;
    }
    memcpy(sql->changes + sql->filled, from, length);
    sql->filled = (uint16_t)(sql->filled + length);
}

static size_t name_length(struct sql *sql)
{
    return (sql->hints & SQL_LOST) != 0 ? 0 : entry(sql)[1];
}

/* What is filled so far is the name. PostgreSQL does not look at the case of its letters. */
static void end_name(struct sql *sql)
{
    size_t length = (size_t)sql->filled - sql->changes_length - HEAD;

    if ((sql->hints & SQL_LOST) != 0 || length > SQL_WORD_MOST) {
        sql->hints |= SQL_LOST;
        return;
    }
    for (size_t i = 0; i < length; i++)
        if (entry(sql)[HEAD + i] >= 'A' && entry(sql)[HEAD + i] <= 'Z')
            entry(sql)[HEAD + i] |= 0x20;
    entry(sql)[1] = (uint8_t)length;
}

static void close_entry(struct sql *sql, enum sql_change_kind kind)
{
    size_t length;

    if ((sql->hints & SQL_LOST) != 0)
        return;
    if (kind != SQL_CHANGE_SET && kind != SQL_CHANGE_CALL)
        sql->filled = (uint16_t)(sql->changes_length + HEAD + name_length(sql));
    length = (size_t)sql->filled - sql->changes_length - HEAD - name_length(sql);
    entry(sql)[0] = (uint8_t)kind;
    entry(sql)[2] = (uint8_t)(length >> 8);
    entry(sql)[3] = (uint8_t)length;
    sql->changes_length = sql->filled;
    sql->hints |= SQL_CHANGES;
    if (kind == SQL_CHANGE_ASK || kind == SQL_CHANGE_CALLED)
        sql->hints |= SQL_SETS;
}

static bool is_name(struct sql *sql, const char *name)
{
    return name_length(sql) == strlen(name) &&
           memcmp(entry(sql) + HEAD, name, name_length(sql)) == 0;
}

static void rename_entry(struct sql *sql, const char *name)
{
    sql->filled = (uint16_t)(sql->changes_length + HEAD);
    if (sql->hints & SQL_LOST)
        return;
    sql_setting_put(sql, name, strlen(name));
    end_name(sql);
}

void sql_setting_discard(struct sql *sql)
{
    open_entry(sql);
    close_entry(sql, SQL_CHANGE_DISCARD);
}

/* ---- values ------------------------------------------------------------------------------ */

static bool is_plain_name(const uint8_t *at, size_t length)
{
    if (length == 0 || (at[0] >= '0' && at[0] <= '9'))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!(at[i] >= 'a' && at[i] <= 'z') && !(at[i] >= '0' && at[i] <= '9') && at[i] != '_')
            return false;
    return true;
}

/* The value's last element, as a name in a list of names: in quotes, if it needs them. */
static void quote_element(struct sql *sql)
{
    uint8_t *from = sql->changes + sql->element;
    size_t length = (size_t)(sql->filled - sql->element), quotes = 2, to;

    if (is_plain_name(from, length) || (sql->hints & SQL_LOST) != 0)
        return;
    for (size_t i = 0; i < length; i++)
        quotes += from[i] == '"';
    if (quotes > (size_t)SQL_CHANGES_MOST - sql->filled) {
        sql->hints |= SQL_LOST;
        return;
    }
    to = length + quotes;
    from[--to] = '"';
    while (length > 0) {
        from[--to] = from[--length];
        if (from[length] == '"')
            from[--to] = '"';
    }
    from[--to] = '"';
    sql->filled = (uint16_t)(sql->filled + quotes);
}

/* PostgreSQL keeps a whole number as it prints it: without zeros in front. */
static bool is_plain_number(const struct sql *sql)
{
    const uint8_t *at = sql->changes + sql->element;
    size_t length = (size_t)(sql->filled - sql->element);

    return length == 1 || (length > 1 && at[0] != '0' && length < 10) ||
           memchr(at, '.', length) != NULL;
}

static void expect_value(struct sql *sql, uint8_t next)
{
    sql->setting = next;
    sql->element = sql->filled;
    sql->capturing = true;
}

static void end_element(struct sql *sql, char token)
{
    struct slice name = {entry(sql) + HEAD, name_length(sql)};

    sql->capturing = false;
    sql->setting = SEPARATOR;
    if (token == SQL_TOKEN_WORD || token == SQL_TOKEN_QUOTED)
        sql_setting_put(sql, sql->word, sql->length);
    if (token == SQL_TOKEN_NUMBER && !is_plain_number(sql))
        sql->murky = true;
    if (sql_is_list_of_names(name))
        quote_element(sql);
    if (sql->murky || sql->glued)
        sql->setting = UNCLEAR;
}

static bool is_element(const struct sql *sql, char token)
{
    bool text = token == SQL_TOKEN_WORD || token == SQL_TOKEN_QUOTED || token == SQL_TOKEN_STRING;

    return token == SQL_TOKEN_NUMBER || (text && sql->setting != SIGNED);
}

static void value_token(struct sql *sql, char token)
{
    bool first = sql->setting == VALUE_FIRST;

    if (first && token == SQL_TOKEN_WORD && sql_statement_is(sql, "default")) {
        sql->setting = DEFAULTED;
        sql->capturing = false;
    } else if (is_element(sql, token)) {
        end_element(sql, token);
    } else if (token == '-' && sql->setting != SIGNED) {
        sql_setting_put(sql, "-", 1);
        expect_value(sql, SIGNED);
    } else {
        sql->setting = UNCLEAR;
        sql->capturing = false;
    }
}

static void separator(struct sql *sql, char token)
{
    if (token != ',') {
        sql->setting = UNCLEAR;
        return;
    }
    sql_setting_put(sql, ", ", 2);
    expect_value(sql, VALUE);
}

/* ---- SET --------------------------------------------------------------------------------- */

static void add_to_name(struct sql *sql, uint8_t next)
{
    sql_setting_put(sql, sql->word, sql->length);
    end_name(sql);
    sql->setting = next;
}

/* SET with words of its own instead of a name. */
static void special(struct sql *sql, char token)
{
    static const struct {
        const char *word, *name;
        uint8_t next;
    } specials[] = {
        {"transaction", "", NOTHING},     {"constraints", "", NO_SET},
        {"xml", "xmloption", UNCLEAR},    {"names", "client_encoding", UNCLEAR},
        {"schema", "search_path", VALUE}, {"role", "role", VALUE},
    };

    for (size_t i = 0; i < COUNT_OF(specials); i++) {
        if (!is_name(sql, specials[i].word))
            continue;
        rename_entry(sql, specials[i].name);
        sql->setting = specials[i].next;
        if (sql->setting == VALUE && token == SQL_TOKEN_STRING) {
            sql->setting = UNCLEAR; /* nobody has looked at what is in it */
        } else if (sql->setting == VALUE) {
            expect_value(sql, VALUE);
            value_token(sql, token);
        }
        return;
    }
    sql->setting = UNCLEAR;
}

/* After the first word, which may be a name or not, depending on what follows. */
static void after_first(struct sql *sql, char token)
{
    bool word = token == SQL_TOKEN_WORD;

    if (token == '.') {
        sql->setting = SET_DOT;
    } else if (token == '=' || (word && sql_statement_is(sql, "to"))) {
        expect_value(sql, VALUE_FIRST);
    } else if (is_name(sql, "local")) {
        rename_entry(sql, "");
        sql->setting = NOTHING;
    } else if (word && is_name(sql, "time") && sql_statement_is(sql, "zone")) {
        rename_entry(sql, "timezone");
        sql->setting = ZONE;
    } else if (word && is_name(sql, "session") && sql_statement_is(sql, "authorization")) {
        rename_entry(sql, "session_authorization");
        sql->setting = UNCLEAR;
    } else if (word && is_name(sql, "session") && sql_statement_is(sql, "characteristics")) {
        rename_entry(sql, "default_transaction_isolation");
        sql->setting = UNCLEAR;
    } else if (is_name(sql, "session")) {
        rename_entry(sql, "");
        add_to_name(sql, SET_NAMED);
    } else {
        special(sql, token);
    }
}

static void more_name(struct sql *sql, char token)
{
    bool word = token == SQL_TOKEN_WORD;

    if (token == '.') {
        sql->setting = SET_DOT;
    } else if (token == '=' || (word && sql_statement_is(sql, "to"))) {
        expect_value(sql, VALUE_FIRST);
    } else {
        sql->setting = UNCLEAR;
    }
}

static void name_token(struct sql *sql, char token, uint8_t next)
{
    if (token != SQL_TOKEN_WORD && token != SQL_TOKEN_QUOTED)
        sql->setting = UNCLEAR;
    else
        add_to_name(sql, next);
}

static void dot_token(struct sql *sql, char token, uint8_t next)
{
    sql_setting_put(sql, ".", 1);
    name_token(sql, token, next);
}

/* ---- RESET ------------------------------------------------------------------------------- */

static void after_reset(struct sql *sql, char token)
{
    if (token == '.') {
        sql->setting = RESET_DOT;
    } else if (is_name(sql, "time")) {
        rename_entry(sql, "timezone");
        sql->setting = DEFAULTED;
    } else if (is_name(sql, "session")) {
        rename_entry(sql, "session_authorization");
        sql->setting = DEFAULTED;
    } else {
        sql->setting = is_name(sql, "transaction") ? NOTHING : UNCLEAR;
    }
}

static void zone_token(struct sql *sql, char token)
{
    bool none = token == SQL_TOKEN_WORD &&
                (sql_statement_is(sql, "local") || sql_statement_is(sql, "default"));

    sql->setting = none ? DEFAULTED : UNCLEAR;
}

/* ---- from token to token ----------------------------------------------------------------- */

void sql_setting_begin(struct sql *sql, bool reset)
{
    open_entry(sql);
    sql->setting = reset ? RESET_FIRST : SET_FIRST;
}

void sql_setting_token(struct sql *sql, char token)
{
    switch (sql->setting) {
    case SET_FIRST:
        name_token(sql, token, SET_NAMED);
        break;
    case SET_NAMED:
        after_first(sql, token);
        break;
    case SET_DOT:
        dot_token(sql, token, SET_MORE_NAME);
        break;
    case SET_MORE_NAME:
        more_name(sql, token);
        break;
    case VALUE_FIRST:
    case VALUE:
    case SIGNED:
        value_token(sql, token);
        break;
    case SEPARATOR:
        separator(sql, token);
        break;
    case ZONE:
        zone_token(sql, token);
        break;
    case RESET_FIRST:
        name_token(sql, token, RESET_NAMED);
        if (token == SQL_TOKEN_WORD && sql_statement_is(sql, "all"))
            sql->setting = RESET_ALL;
        break;
    case RESET_NAMED:
        after_reset(sql, token);
        break;
    case RESET_DOT:
        dot_token(sql, token, RESET_MORE_NAME);
        break;
    case RESET_MORE_NAME:
        sql->setting = token == '.' ? RESET_DOT : UNCLEAR;
        break;
    case UNCLEAR:
    case NOTHING:
    case NO_SET:
        break;
    default:
        if (sql->setting == RESET_ALL)
            rename_entry(sql, "");
        sql->setting = UNCLEAR;
        break;
    }
}

void sql_setting_end(struct sql *sql)
{
    enum sql_change_kind kind = SQL_CHANGE_ASK;

    sql->capturing = false;
    if (sql->setting == NO_SET)
        return;
    if (sql->setting == SEPARATOR)
        kind = SQL_CHANGE_SET;
    else if (sql->setting == DEFAULTED || sql->setting == RESET_NAMED ||
             sql->setting == RESET_MORE_NAME)
        kind = SQL_CHANGE_RESET;
    else if (sql->setting == NOTHING)
        kind = SQL_CHANGE_NOTHING;
    else if (sql->setting == RESET_ALL)
        kind = SQL_CHANGE_RESET_ALL;
    if (kind == SQL_CHANGE_RESET_ALL)
        rename_entry(sql, "");
    close_entry(sql, kind);
}

/* ---- set_config() ------------------------------------------------------------------------ */

void sql_setting_call(struct sql *sql)
{
    if (sql->now == SQL_SET || sql->now == SQL_RESET)
        return; /* it is a name there */
    if (sql->argument != NO_CALL || sql->grammar == SQL_STATEMENT_NONE) {
        sql->hints |= SQL_SETS | SQL_OPAQUE; /* one within the arguments of another */
        return;
    }
    open_entry(sql);
    sql->argument = OPENS;
    sql->literal = 0;
}

static bool is_word_of(const struct sql *sql, const char *const words[3])
{
    for (size_t i = 0; i < 3; i++)
        if (sql_statement_is(sql, words[i]))
            return true;
    return false;
}

/* An argument has ended, by a comma or the last bracket. */
static void end_argument(struct sql *sql)
{
    if (sql->tokens == 1 && !sql->murky)
        sql->literal |= (uint8_t)(1u << sql->argument);
    if (sql->argument == FIRST && (sql->literal & 1u << FIRST) != 0)
        end_name(sql);
    else if (sql->argument == FIRST)
        rename_entry(sql, "");
    sql->murky = false;
    sql->tokens = 0;
    if (sql->argument < TOO_MANY)
        sql->argument++;
    sql->capturing = sql->argument == SECOND;
}

static void end_call(struct sql *sql, bool alone)
{
    const unsigned all = 1u << FIRST | 1u << SECOND | 1u << THIRD;
    bool third = (sql->literal & 1u << THIRD) != 0;

    sql->capturing = false;
    sql->argument = NO_CALL;
    if (third && sql->local)
        return; /* gone with its transaction */
    close_entry(sql, alone && sql->literal == all ? SQL_CHANGE_CALL : SQL_CHANGE_CALLED);
}

/* Of the third argument only a word is taken for what it says. */
static void argument_token(struct sql *sql, char token)
{
    static const char *const yes[] = {"true", "true", "true"};
    static const char *const either[] = {"true", "false", "false"};
    bool fits = token == SQL_TOKEN_STRING;

    if (sql->argument == THIRD) {
        fits = token == SQL_TOKEN_WORD && is_word_of(sql, either);
        sql->local = fits && is_word_of(sql, yes);
    }
    if (sql->tokens < 2)
        sql->tokens++;
    if (!fits)
        sql->tokens = 2;
}

void sql_setting_argument(struct sql *sql, char token, bool alone)
{
    if (token == ';') { /* the statement ends in the middle */
        sql->capturing = false;
        sql->argument = NO_CALL;
        sql->hints |= SQL_SETS | SQL_OPAQUE;
    } else if (sql->argument == OPENS) {
        sql->argument = token == '(' ? FIRST : NO_CALL;
        sql->capturing = token == '(';
        sql->tokens = 0;
        sql->argument_nesting = sql->nesting;
        if (token != '(' && alone)
            sql_setting_not_alone(sql);
    } else if (token == ')' && sql->nesting < sql->argument_nesting) {
        end_argument(sql);
        end_call(sql, alone);
    } else if (token == ',' && sql->nesting == sql->argument_nesting) {
        end_argument(sql);
    } else {
        argument_token(sql, token);
    }
}

void sql_setting_not_alone(struct sql *sql)
{
    struct sql_change change;
    size_t at = sql->first, before = at;

    while (sql_next_change(sql, &at, &change)) {
        if (change.kind == SQL_CHANGE_CALL) {
            sql->changes[before] = SQL_CHANGE_CALLED;
            sql->hints |= SQL_SETS;
        }
        before = at;
    }
}

void sql_setting_note(struct sql *sql, const char *name)
{
    open_entry(sql);
    sql_setting_put(sql, name, strlen(name));
    end_name(sql);
    close_entry(sql, SQL_CHANGE_CALLED);
}
