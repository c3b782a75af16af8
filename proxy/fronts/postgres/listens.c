#include "proxy/fronts/postgres/listens.h"

#include <string.h>
#include <strings.h>

static const char word[] = "listen"; /* no letter twice */
enum { WORD_LENGTH = sizeof(word) - 1 };

/* How far the next place is where the word may end, by the letter at this one (Horspool). Others
 * than letters may be taken for some: then it is nearer than it could be. */
static size_t skip(uint8_t letter)
{
    static const uint8_t known[32] = {
        ['l' & 31] = 5, ['i' & 31] = 4, ['s' & 31] = 3, ['t' & 31] = 2, ['e' & 31] = 1,
    };
    uint8_t found = known[letter & 31];

    return found == 0 ? WORD_LENGTH : found;
}

bool listens_may_be_in(struct slice text)
{
    size_t end = WORD_LENGTH - 1;

    while (end < text.length) {
        uint8_t letter = text.at[end];

        if ((letter | 0x20) == 'n' && (text.at[end - 1] | 0x20) == 'e' &&
            strncasecmp((const char *)text.at + end - (WORD_LENGTH - 1), word, WORD_LENGTH) == 0)
            return true;
        end += skip(letter);
    }
    return false;
}

/* Whether what has been read has just come to the end of a statement: then whatever follows is
 * another one. */
static bool is_between(const struct sql *read)
{
    struct sql here = *read, beyond = *read;

    sql_end(&here);
    sql_feed(&beyond, SLICE("x"));
    sql_end(&beyond);
    return beyond.statements > here.statements;
}

/* Reads one statement. */
static void read_statement(struct listens *listens, struct sql *sql)
{
    const uint8_t *from, *semicolon;
    size_t length;

    sql_begin(sql);
    do {
        from = listens->text.at + listens->at;
        length = listens->text.length - listens->at;
        semicolon = memchr(from, ';', length);
        if (semicolon != NULL)
            length = (size_t)(semicolon - from) + 1;
        sql_feed(sql, (struct slice){from, length});
        listens->at += length;
    } while (semicolon != NULL && !is_between(sql));
    sql_end(sql);
}

bool listens_next(struct listens *listens, struct listens_item *item)
{
    struct sql sql;

    while (listens->at < listens->text.length) {
        read_statement(listens, &sql);
        if (!sql.clear || (sql.kind != SQL_LISTEN && sql.kind != SQL_UNLISTEN))
            continue;
        *item = (struct listens_item){.stops = sql.kind == SQL_UNLISTEN, .all = sql.all};
        memcpy(item->name, sql.name, sizeof(item->name));
        return true;
    }
    return false;
}
