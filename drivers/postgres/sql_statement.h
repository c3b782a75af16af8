/*
 * drivers/postgres/sql_statement.h - what statements are about; for sql.c, which reads words.
 *
 * Each statement is a walk through a table of what may come next. What is in no table is
 * of no interest, but for the words in it that are hints.
 */
#ifndef DRIVERS_POSTGRES_SQL_STATEMENT_H
#define DRIVERS_POSTGRES_SQL_STATEMENT_H

#include <string.h>

#include "drivers/postgres/sql.h"

/* Any other token is its own character; the end of a statement is ';'. */
enum sql_token {
    SQL_TOKEN_WORD = 'w',
    SQL_TOKEN_QUOTED = 'q', /* an identifier, in sql->word like a word */
    SQL_TOKEN_STRING = 's',
    SQL_TOKEN_NUMBER = 'n',
    SQL_TOKEN_PARAMETER = '$',
};

/* Where a statement is, in sql->grammar; more of them are in the .c. */
enum {
    SQL_STATEMENT_NONE, /* it has not begun */
    SQL_STATEMENT_ANY,  /* its rest does not matter, or is not understood */
    SQL_STATEMENT_REST, /* its rest does not matter, and all before was understood */
};

void sql_statement_token(struct sql *sql, char token);
void sql_statement_end(struct sql *sql);

/* A word in a statement whose rest does not matter. */
void sql_statement_hint(struct sql *sql);

static inline bool sql_statement_listens(const struct sql *sql)
{
    return (sql->grammar != SQL_STATEMENT_ANY && sql->grammar != SQL_STATEMENT_REST) ||
           sql->argument != 0;
}

/* A byte of the body of a DO. */
void sql_statement_body(struct sql *sql, uint8_t byte);

/* Whether sql->word is text, given in lower case. */
static inline bool sql_statement_is(const struct sql *sql, const char *text)
{
    return sql->length == strlen(text) && memcmp(sql->word, text, sql->length) == 0;
}

#endif
