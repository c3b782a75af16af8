/*
 * drivers/postgres/sql.h - what a text of SQL would do to its session.
 *
 *      sql_begin(&sql);
 *      sql_feed(&sql, piece);                     in any number of pieces, up to the NUL
 *      sql_end(&sql);
 *      if (sql.statements == 1 && sql.kind == SQL_BEGIN && sql.clear) ...
 *      if (sql.hints & SQL_LOCKS) ...
 *      for (size_t at = 0; sql_next_change(&sql, &at, &change);) ...
 *
 * It reads the text as PostgreSQL's lexer does (manual, 4.1 Lexical Structure): nested comments,
 * quotes of every kind, names folded and cut to 63 bytes. It understands the few statements
 * that change a session, and of all others no more than their words. What it tells does not
 * depend on how the text was cut, needs no memory besides itself, and costs 1 to 3
 * nanoseconds a byte.
 *
 * A hint is never missing, unless SQL hides what it does in functions; there may be one too many.
 * What is not clear is called so.
 */
#ifndef DRIVERS_POSTGRES_SQL_H
#define DRIVERS_POSTGRES_SQL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"

enum {
    SQL_NAME_MOST = 63,     /* of one identifier, as PostgreSQL cuts it */
    SQL_WORD_MOST = 127,    /* of a setting's name, dots included */
    SQL_CHANGES_MOST = 2048 /* bytes of all changes of a text; beyond that it is SQL_LOST */
};

/* Of the first statement. */
enum sql_kind {
    SQL_EMPTY,        /* there is none */
    SQL_OTHER,        /* of no consequence here */
    SQL_BEGIN,        /* or START TRANSACTION; clear: nothing but valid options */
    SQL_COMMIT,       /* or END; clear: without AND CHAIN */
    SQL_ROLLBACK,     /* or ABORT; clear: the same */
    SQL_ROLLBACK_TO,  /* a savepoint, which is the name */
    SQL_SAVEPOINT,    /* the name */
    SQL_RELEASE,      /* the name */
    SQL_TWO_PHASE,    /* PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED */
    SQL_SET,          /* see the changes */
    SQL_RESET,        /* the same */
    SQL_LISTEN,       /* the channel's name */
    SQL_UNLISTEN,     /* the name, or all */
    SQL_NOTIFY,       /* the name */
    SQL_PREPARE,      /* the name */
    SQL_EXECUTE,      /* the name */
    SQL_DEALLOCATE,   /* the name, or all */
    SQL_DISCARD_ALL,  /* clear: nothing else */
    SQL_DISCARD_TEMP, /* or TEMPORARY */
    SQL_DISCARD,      /* PLANS or SEQUENCES */
    SQL_DECLARE,      /* the name */
    SQL_CLOSE,        /* the name, or all */
    SQL_DO,
    SQL_CALL,
    SQL_LOAD,
    SQL_SELECT,
    SQL_CREATE,
    SQL_DROP,
};

/* Of all statements, and of the body of a DO. */
enum sql_hint {
    SQL_LOCKS = 1 << 0,      /* takes an advisory lock for the session */
    SQL_TEMP = 1 << 1,       /* makes something temporary */
    SQL_HOLD = 1 << 2,       /* WITH HOLD */
    SQL_PREPARES = 1 << 3,   /* PREPARE */
    SQL_EXECUTES = 1 << 4,   /* EXECUTE: who knows what was prepared */
    SQL_LISTENS = 1 << 5,    /* LISTEN */
    SQL_SETS = 1 << 6,       /* changes settings in a way that is not clear; names may be known */
    SQL_OPAQUE = 1 << 7,     /* DO, CALL: it could do anything */
    SQL_LOADS = 1 << 8,      /* LOAD, which nothing undoes */
    SQL_SAVEPOINTS = 1 << 9, /* ROLLBACK TO: undoes a part */
    SQL_ENDS = 1 << 10,      /* may end something: UNLISTEN, DROP, CLOSE, an unlock... */
    SQL_BLOCKS = 1 << 11,    /* begins or ends a transaction */
    /* How much the rest is worth: */
    SQL_BACKSLASH = 1 << 12, /* it reads otherwise if standard_conforming_strings is off */
    SQL_ENCODING = 1 << 13,  /* ... if a backslash may be the second half of a letter (SJIS...) */
    SQL_LOST = 1 << 14,      /* too much to keep: take it for anything */
    SQL_CHANGES = 1 << 15,   /* changes settings; see sql_next_change */
};

/* What becomes of a setting, in the order of the text. */
enum sql_change_kind {
    SQL_CHANGE_NOTHING,   /* SET LOCAL and the like: gone with its transaction */
    SQL_CHANGE_SET,       /* the value as set_config() takes it */
    SQL_CHANGE_RESET,     /* RESET name, or SET name TO DEFAULT */
    SQL_CHANGE_RESET_ALL, /* RESET ALL */
    SQL_CHANGE_DISCARD,   /* DISCARD ALL */
    SQL_CHANGE_ASK,       /* to what is not clear; no name: nor is which */
    /* So far one for each statement that completes as SET, RESET or DISCARD ALL. By functions: */
    SQL_CHANGE_CALL,   /* SELECT set_config(...), which is all of the text; as SQL_CHANGE_SET */
    SQL_CHANGE_CALLED, /* somewhere in something: ask */
};

struct sql_change {
    enum sql_change_kind kind;
    struct slice name; /* in lower case */
    struct slice value;
};

struct sql {
    /* When all is read: */
    enum sql_kind kind;
    bool clear; /* the statement is well formed, to its end */
    bool all;   /* ... ALL or * instead of a name */
    uint32_t statements;
    uint32_t hints;
    char name[SQL_NAME_MOST + 1]; /* empty: it has none, or that is not clear */

    uint16_t changes_length; /* see sql_next_change */

    /* On the way there, and nobody else's: */
    uint8_t at;       /* the lexer */
    uint8_t quotes;   /* ... in a string, or just out of one */
    uint8_t previous; /* ... the word before, if it matters */
    uint8_t now;      /* the statement: its kind */
    uint8_t grammar;  /* ... what may come next */
    uint8_t setting;  /* ... what may come next in a SET or RESET */
    uint8_t argument; /* ... in the arguments of set_config() */
    uint8_t tokens;   /* ... of this argument, so far */
    uint8_t literal;  /* ... a bit for each argument that is one */
    uint8_t body;     /* ... in the body of a DO */
    bool all_now, capturing, local, escaped, high, glued, murky;
    uint16_t length, tag_length, matched; /* of word; of tag, and of its end */
    uint16_t filled, first, element;      /* of changes: with what is not complete yet; by this
                                           * statement; a value's last element */
    uint32_t nesting, argument_nesting, comments;
    char name_now[SQL_NAME_MOST + 1];
    char tag[SQL_NAME_MOST + 1];           /* of a dollar quote */
    char word[SQL_WORD_MOST + 1];          /* folded, unless quoted */
    uint8_t changes[SQL_CHANGES_MOST + 8]; /* with room for a head behind */
};

void sql_begin(struct sql *sql);
void sql_feed(struct sql *sql, struct slice piece);
void sql_end(struct sql *sql);

/* Lent until the next sql_begin. Start from at = 0. */
bool sql_next_change(const struct sql *sql, size_t *at, struct sql_change *change);

/* Whether PostgreSQL keeps the setting as a list of names, each quoted (trap 37). */
bool sql_is_list_of_names(struct slice name);

#endif
