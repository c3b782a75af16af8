/*
 * proxy/fronts/http/db_tell.h - the results of a request on their way into one answer.
 *
 *      db_tell_begin(&tell, exchange, &ask, as_lines)     ERR_NO_MEMORY
 *      e = db_tell_take(&tell, i, bytes, &stop)           what a server said to query i
 *      db_tell_fail(&tell, i, sqlstate, message)          it ends with that
 *      db_tell_over(&tell, i)                             nothing comes any more
 *      db_tell_flush(&tell)                               passes on what may be passed on
 *      if (db_tell_must_wait(&tell, i)) ...               its server is to be paused
 *      db_tell_end(&tell)                                 the end of the answer
 *      db_tell_fini(&tell)
 *
 * ERR_NO_MEMORY, and false of fail, mean that this answer cannot be ended well: abort it.
 * For what is told in which order see db.h. Knows of no errand and no pool.
 */
#ifndef PROXY_FRONTS_HTTP_DB_TELL_H
#define PROXY_FRONTS_HTTP_DB_TELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "proxy/fronts/http/ask.h"
#include "proxy/fronts/http/exchange.h"
#include "proxy/fronts/http/rows.h"

#define DB_TELL_NOBODY SIZE_MAX

enum { DB_TELL_LONGEST_LINE = 64 * 1024 }; /* that is kept, while others tell theirs */

struct db_tell_item {
    struct rows rows;
    struct bytes out; /* told, and not passed on */
    uint64_t told;    /* bytes, ever */
    bool passed_on;   /* some of it: it cannot be taken back */
    bool over, failed;
};

struct db_tell {
    struct exchange *exchange;
    struct db_tell_item *items;
    size_t length;
    bool as_lines;
    bool may_start;      /* something has run, or the end is known: the status is 200 */
    size_t head;         /* without lines: the first that is not passed on whole */
    size_t floor;        /* with lines: who is in the middle of one that was passed on in part */
    uint64_t told, most; /* bytes of JSON of all results; most 0: any number */
    size_t errors;
    /* mode transaction */
    bool in_transaction, committed;
    struct db_tell_item transaction; /* the error of its BEGIN or COMMIT */
};

enum err db_tell_begin(struct db_tell *tell, struct exchange *exchange, const struct ask *ask,
                       bool as_lines) MUST_CHECK;
void db_tell_fini(struct db_tell *tell);

/* i: of a query, or length: of the transaction. stop: nobody wants the rest of it. */
enum err db_tell_take(struct db_tell *tell, size_t i, struct slice bytes, bool *stop) MUST_CHECK;
bool db_tell_fail(struct db_tell *tell, size_t i, const char *sqlstate,
                  const char *message) MUST_CHECK;
bool db_tell_is_told(const struct db_tell *tell, size_t i);
void db_tell_over(struct db_tell *tell, size_t i);

void db_tell_flush(struct db_tell *tell, size_t i);
bool db_tell_must_wait(const struct db_tell *tell, size_t i);
void db_tell_end(struct db_tell *tell);

#endif
