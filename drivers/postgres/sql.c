#include "drivers/postgres/sql.h"

#include <string.h>

#include "drivers/postgres/sql_setting.h"
#include "drivers/postgres/sql_statement.h"

/* Where the lexer is. */
enum {
    BETWEEN,
    IN_WORD,
    IN_NUMBER,
    IN_PARAMETER, /* $1 */
    IN_STRING,
    AT_QUOTE, /* in a string: two are one of its letters, one is its end */
    IN_QUOTED,
    AT_DOUBLE_QUOTE,
    AT_DASH,
    IN_LINE, /* a comment up to the end of the line */
    AT_SLASH,
    IN_COMMENT,
    AT_STAR,
    AT_INNER_SLASH,
    IN_TAG, /* $tag */
    IN_DOLLARS,
    AT_DOLLAR, /* which may begin the tag that ends it */
    AT_U,      /* U& */
    DONE
};

/* A string that goes on after a line break has the escapes of its beginning. */
enum { PLAIN, ESCAPES, HAD_ESCAPES, HAD_ESCAPES_ABOVE };

enum {
    OPERATOR = '+',
    SPACE = ' ',
    LETTER = 'a', /* any of another alphabet, too */
    DIGIT = '9',
    QUOTE = 'q',
    DOUBLE_QUOTE = 'Q',
    DOLLAR = '$',
    DASH = '-',
    SLASH = '/',
    SEMICOLON = ';',
    NUL = '0',
};

/* What each byte may be, by its letter in the enum. */
/* clang-format off */
static const char classes[] =
    "0++++++++     ++++++++++++++++++ +Q+$++q+++++-+/9999999999+;++++"
    "+aaaaaaaaaaaaaaaaaaaaaaaaaa++++a+aaaaaaaaaaaaaaaaaaaaaaaaaa+++++"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/* clang-format on */

static char class_of(uint8_t c)
{
    return classes[c];
}

/* What each byte is in a word, if it can be in one. */
/* clang-format off */
static const char folded[] =
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\0\0\0\0$\0\0\0\0\0\0\0\0\0\0\0"
    "0123456789\0\0\0\0\0\0"
    "\0abcdefghijklmno"
    "pqrstuvwxyz\0\0\0\0_"
    "\0abcdefghijklmno"
    "pqrstuvwxyz\0\0\0\0\0"
    "\200\201\202\203\204\205\206\207\210\211\212\213\214\215\216\217"
    "\220\221\222\223\224\225\226\227\230\231\232\233\234\235\236\237"
    "\240\241\242\243\244\245\246\247\250\251\252\253\254\255\256\257"
    "\260\261\262\263\264\265\266\267\270\271\272\273\274\275\276\277"
    "\300\301\302\303\304\305\306\307\310\311\312\313\314\315\316\317"
    "\320\321\322\323\324\325\326\327\330\331\332\333\334\335\336\337"
    "\340\341\342\343\344\345\346\347\350\351\352\353\354\355\356\357"
    "\360\361\362\363\364\365\366\367\370\371\372\373\374\375\376\377";
/* clang-format on */

static void token(struct sql *sql, char which)
{
    if (sql_statement_listens(sql))
        sql_statement_token(sql, which);
}

/* ---- strings ----------------------------------------------------------------------------- */

static void put(struct sql *sql, const uint8_t *from, size_t length)
{
    if (sql->capturing)
        sql_setting_put(sql, from, length);
    else if (sql->now == SQL_DO)
        for (size_t i = 0; i < length; i++)
            sql_statement_body(sql, from[i]);
}

static void begin_string(struct sql *sql, uint8_t quotes)
{
    sql->quotes = quotes;
    sql->escaped = sql->high = false;
    sql->at = IN_STRING;
}

/* E'...' */
static const uint8_t *in_escapes(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *begin = p;

    for (; p < end && *p != '\0' && (sql->escaped || *p != '\''); p++) {
        if (*p == '\\' && sql->high)
            sql->hints |= SQL_ENCODING;
        if (*p == '\\')
            sql->murky = true;
        sql->escaped = *p == '\\' && !sql->escaped;
        sql->high = *p >= 0x80;
    }
    put(sql, begin, (size_t)(p - begin));
    return p;
}

/* '...': were a backslash to mean something, would the string end elsewhere? */
static const uint8_t *in_plain(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *quote = memchr(p, '\'', (size_t)(end - p)), *last;
    const uint8_t *nul = memchr(p, '\0', (size_t)((quote != NULL ? quote : end) - p));
    const uint8_t *to = nul != NULL ? nul : quote != NULL ? quote : end;

    for (last = to; last > p && last[-1] == '\\'; last--)
        continue;
    sql->escaped = (last == p && sql->escaped) != ((to - last) % 2 != 0);
    if (sql->capturing && memchr(p, '\\', (size_t)(to - p)) != NULL)
        sql->murky = true;
    if (to == quote && sql->escaped)
        sql->hints |= SQL_BACKSLASH;
    put(sql, p, (size_t)(to - p));
    return to;
}

static const uint8_t *in_string(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    p = sql->quotes == ESCAPES ? in_escapes(sql, p, end) : in_plain(sql, p, end);
    if (p == end)
        return p;
    sql->at = *p == '\0' ? DONE : AT_QUOTE;
    return p + 1;
}

static const uint8_t *at_quote(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    (void)end;
    if (*p == '\'') {
        put(sql, p, 1);
        begin_string(sql, sql->quotes);
        return p + 1;
    }
    sql->quotes = sql->quotes == ESCAPES ? HAD_ESCAPES : PLAIN;
    sql->at = BETWEEN;
    token(sql, SQL_TOKEN_STRING);
    return p;
}

/* ---- words ------------------------------------------------------------------------------- */

static void add_to_word(struct sql *sql, uint8_t c)
{
    if (sql->length < SQL_WORD_MOST)
        sql->word[sql->length++] = (char)c;
}

/* PostgreSQL cuts identifiers at 63 bytes, and not in the middle of a letter. */
static void end_word(struct sql *sql, char which)
{
    size_t length = sql->length;

    if (length > SQL_NAME_MOST)
        for (length = SQL_NAME_MOST; length > 0 && (sql->word[length] & 0xc0) == 0x80;)
            length--;
    sql->word[length] = '\0';
    sql->length = (uint16_t)length;
    sql->at = BETWEEN;
    if (sql_statement_listens(sql))
        sql_statement_token(sql, which);
    else
        sql_statement_hint(sql);
    sql->glued = false;
}

/* A word of one letter may turn out to be how a string begins. */
static bool was_prefix(struct sql *sql, uint8_t next)
{
    char c = sql->length == 1 ? sql->word[0] : '\0';

    if (next == '\'' && (c == 'e' || c == 'b' || c == 'x' || c == 'n')) {
        sql->murky |= c != 'e';
        begin_string(sql, c == 'e' ? ESCAPES : PLAIN);
        return true;
    }
    if (next == '&' && c == 'u')
        sql->at = AT_U;
    return sql->at == AT_U;
}

static const uint8_t *in_word(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    size_t length = sql->length;

    for (; p < end && folded[*p] != '\0'; p++, length++)
        if (length < SQL_WORD_MOST)
            sql->word[length] = folded[*p];
    sql->length = (uint16_t)(length < SQL_WORD_MOST ? length : SQL_WORD_MOST);
    if (p == end)
        return p;
    if (was_prefix(sql, *p))
        return p + 1;
    end_word(sql, SQL_TOKEN_WORD);
    return p;
}

static const uint8_t *at_u(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    (void)end;
    if (*p == '\'') {
        sql->murky = true;
        begin_string(sql, PLAIN);
        return p + 1;
    }
    if (*p == '"') { /* it may be any name */
        sql->hints |= SQL_OPAQUE;
        sql->length = 0;
        sql->at = IN_QUOTED;
        return p + 1;
    }
    end_word(sql, SQL_TOKEN_WORD);
    token(sql, '&');
    return p;
}

static const uint8_t *in_quoted(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    for (; p < end && *p != '"' && *p != '\0'; p++)
        add_to_word(sql, *p);
    if (p == end)
        return p;
    sql->at = *p == '\0' ? DONE : AT_DOUBLE_QUOTE;
    return p + 1;
}

static const uint8_t *at_double_quote(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    (void)end;
    if (*p == '"') {
        add_to_word(sql, '"');
        sql->at = IN_QUOTED;
        return p + 1;
    }
    end_word(sql, SQL_TOKEN_QUOTED);
    return p;
}

/* ---- dollar quotes ----------------------------------------------------------------------- */

static const uint8_t *in_tag(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    for (; p < end; p++) {
        char class = class_of(*p);

        if (class == DIGIT && sql->tag_length == 0) {
            sql->at = IN_PARAMETER;
            return p;
        }
        if (class != LETTER && class != DIGIT)
            break;
        if (sql->tag_length == SQL_NAME_MOST) {
            sql->hints |= SQL_LOST;
            sql->at = DONE;
            return p;
        }
        sql->tag[sql->tag_length++] = (char)*p;
    }
    if (p == end)
        return p;
    sql->at = *p == '$' ? IN_DOLLARS : BETWEEN; /* where else it would not be SQL */
    return *p == '$' ? p + 1 : p;
}

static const uint8_t *in_dollars(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *dollar = memchr(p, '$', (size_t)(end - p));
    const uint8_t *nul = memchr(p, '\0', (size_t)((dollar != NULL ? dollar : end) - p));
    const uint8_t *to = nul != NULL ? nul : dollar != NULL ? dollar : end;

    put(sql, p, (size_t)(to - p));
    if (to == end)
        return end;
    sql->matched = 0;
    sql->at = to == nul ? DONE : AT_DOLLAR;
    return to + 1;
}

static const uint8_t *at_dollar(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    while (p < end && sql->matched < sql->tag_length && *p == (uint8_t)sql->tag[sql->matched]) {
        sql->matched++;
        p++;
    }
    if (p == end)
        return p;
    if (sql->matched == sql->tag_length && *p == '$') {
        sql->at = BETWEEN;
        token(sql, SQL_TOKEN_STRING);
        return p + 1;
    }
    put(sql, (const uint8_t *)"$", 1);
    put(sql, (const uint8_t *)sql->tag, sql->matched);
    sql->matched = 0;
    if (*p != '$')
        sql->at = IN_DOLLARS;
    return *p != '$' ? p : p + 1;
}

/* ---- comments ---------------------------------------------------------------------------- */

static void note_line_break(struct sql *sql)
{
    if (sql->quotes == HAD_ESCAPES)
        sql->quotes = HAD_ESCAPES_ABOVE;
}

static const uint8_t *at_dash(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    (void)end;
    sql->at = *p == '-' ? IN_LINE : BETWEEN;
    if (*p == '-')
        return p + 1;
    sql->quotes = PLAIN;
    token(sql, '-');
    return p;
}

static const uint8_t *in_line(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p != '\n' && *p != '\r' && *p != '\0')
        p++;
    if (p < end)
        sql->at = BETWEEN;
    return p;
}

static const uint8_t *at_slash(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    (void)end;
    sql->quotes = PLAIN;
    sql->at = *p == '*' ? IN_COMMENT : BETWEEN;
    sql->comments = *p == '*';
    if (*p == '*')
        return p + 1;
    token(sql, '/');
    return p;
}

static const uint8_t *in_comment(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p != '*' && *p != '/' && *p != '\0')
        p++;
    if (p == end)
        return p;
    sql->at = *p == '*' ? AT_STAR : *p == '/' ? AT_INNER_SLASH : DONE;
    return p + 1;
}

static const uint8_t *at_star(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    (void)end;
    if (*p == '*')
        return p + 1;
    sql->at = IN_COMMENT;
    if (*p != '/')
        return p;
    if (--sql->comments == 0)
        sql->at = BETWEEN;
    return p + 1;
}

static const uint8_t *at_inner_slash(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    (void)end;
    if (*p == '/')
        return p + 1;
    sql->at = IN_COMMENT;
    sql->comments += *p == '*';
    return *p == '*' ? p + 1 : p;
}

/* ---- all the rest ------------------------------------------------------------------------ */

static const uint8_t *in_number(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *begin = p;

    while (p < end && (class_of(*p) == DIGIT || *p == '.'))
        p++;
    put(sql, begin, (size_t)(p - begin));
    if (p == end)
        return p;
    sql->at = BETWEEN;
    token(sql, SQL_TOKEN_NUMBER);
    sql->glued = class_of(*p) == LETTER;
    return p;
}

static const uint8_t *in_parameter(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    while (p < end && class_of(*p) == DIGIT)
        p++;
    if (p == end)
        return p;
    sql->at = BETWEEN;
    token(sql, SQL_TOKEN_PARAMETER);
    return p;
}

static void begin_operator(struct sql *sql, uint8_t c)
{
    if (c == '(' || c == '[')
        sql->nesting++;
    else if ((c == ')' || c == ']') && sql->nesting > 0)
        sql->nesting--;
    token(sql, (char)c);
}

/* A quote here goes on with the string above, or begins another. */
static void begin_quote(struct sql *sql)
{
    begin_string(sql, sql->quotes == HAD_ESCAPES_ABOVE ? ESCAPES : PLAIN);
}

/* Begins what the byte begins. False: it is looked at again, as a part of that. */
static bool begin(struct sql *sql, uint8_t c)
{
    char class = class_of(c);

    if (class == QUOTE) {
        begin_quote(sql);
        return true;
    }
    if (class == DASH || class == SLASH) { /* comments may stand between parts of a string */
        sql->at = class == DASH ? AT_DASH : AT_SLASH;
        return true;
    }
    sql->quotes = PLAIN;
    sql->length = sql->tag_length = 0;
    switch (class) {
    case LETTER:
        sql->at = IN_WORD;
        return false;
    case DIGIT:
        sql->at = IN_NUMBER;
        return false;
    case DOUBLE_QUOTE:
        sql->at = IN_QUOTED;
        break;
    case DOLLAR:
        sql->at = IN_TAG;
        break;
    case SEMICOLON:
        if (sql->nesting == 0)
            sql_statement_end(sql);
        break;
    case NUL:
        sql->at = DONE;
        break;
    default:
        begin_operator(sql, c);
        break;
    }
    return true;
}

static const uint8_t *between(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    while (p < end && sql->at == BETWEEN) {
        if (class_of(*p) == SPACE) {
            if (*p == '\n' || *p == '\r')
                note_line_break(sql);
            p++;
        } else if (begin(sql, *p)) {
            p++;
        }
    }
    return p;
}

static const uint8_t *done(struct sql *sql, const uint8_t *p, const uint8_t *end)
{
    (void)sql;
    (void)p;
    return end;
}

typedef const uint8_t *reader(struct sql *sql, const uint8_t *p, const uint8_t *end);

static reader *const readers[] = {
    [BETWEEN] = between,     [IN_WORD] = in_word,
    [IN_NUMBER] = in_number, [IN_PARAMETER] = in_parameter,
    [IN_STRING] = in_string, [AT_QUOTE] = at_quote,
    [IN_QUOTED] = in_quoted, [AT_DOUBLE_QUOTE] = at_double_quote,
    [AT_DASH] = at_dash,     [IN_LINE] = in_line,
    [AT_SLASH] = at_slash,   [IN_COMMENT] = in_comment,
    [AT_STAR] = at_star,     [AT_INNER_SLASH] = at_inner_slash,
    [IN_TAG] = in_tag,       [IN_DOLLARS] = in_dollars,
    [AT_DOLLAR] = at_dollar, [AT_U] = at_u,
    [DONE] = done,
};

void sql_begin(struct sql *sql)
{
    memset(sql, 0, offsetof(struct sql, name_now));
    sql->name_now[0] = '\0';
}

void sql_feed(struct sql *sql, struct slice piece)
{
    const uint8_t *p = piece.at, *end = piece.at + piece.length;

    while (p < end)
        p = readers[sql->at](sql, p, end);
}

/* What is half read ends here as it would at a blank. */
void sql_end(struct sql *sql)
{
    if (sql->at != DONE)
        sql_feed(sql, SLICE(" "));
    sql_statement_end(sql);
    if (sql->statements > 1) { /* which SELECT is which, their answers do not say */
        sql->first = 0;
        sql_setting_not_alone(sql);
    }
    sql->at = DONE;
}

bool sql_next_change(const struct sql *sql, size_t *at, struct sql_change *change)
{
    const uint8_t *entry = sql->changes + *at;

    if (*at >= sql->changes_length)
        return false;
    change->kind = (enum sql_change_kind)entry[0];
    change->name = (struct slice){entry + 4, entry[1]};
    change->value = (struct slice){entry + 4 + entry[1], (size_t)entry[2] << 8 | entry[3]};
    *at += 4 + change->name.length + change->value.length;
    return true;
}

bool sql_is_list_of_names(struct slice name)
{
    static const char *const lists[] = {
        "search_path",
        "temp_tablespaces",
        "session_preload_libraries",
        "local_preload_libraries",
        "shared_preload_libraries",
        "unix_socket_directories",
    };

    for (size_t i = 0; i < COUNT_OF(lists); i++)
        if (name.length == strlen(lists[i]) && memcmp(name.at, lists[i], name.length) == 0)
            return true;
    return false;
}
