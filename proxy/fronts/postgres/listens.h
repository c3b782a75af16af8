/*
 * proxy/fronts/postgres/listens.h - the LISTENs and UNLISTENs in a text of SQL.
 *
 *      if (listens_may_be_in(text)) {                  cheap, for every query there is
 *          struct listens listens = {.text = text};
 *          while (listens_next(&listens, &item))
 *              ...
 *      }
 *
 * It tells what would run if all went well: whether it does, the server says. What hides in
 * functions and strings is not seen.
 */
#ifndef PROXY_FRONTS_POSTGRES_LISTENS_H
#define PROXY_FRONTS_POSTGRES_LISTENS_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "drivers/postgres/sql.h"

/* Start from all zero but for the text, which ends at its first NUL. */
struct listens {
    struct slice text;
    size_t at;
};

struct listens_item {
    bool stops;                   /* an UNLISTEN */
    bool all;                     /* ... of everything */
    char name[SQL_NAME_MOST + 1]; /* as PostgreSQL understands it */
};

/* Whether the word is anywhere in it; true too often, never false when it matters. */
bool listens_may_be_in(struct slice text);

bool listens_next(struct listens *listens, struct listens_item *item) MUST_CHECK;

#endif
