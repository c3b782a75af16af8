/*
 * proxy/fronts/postgres/console_rows.h - the rows of a table, cell by cell.
 *
 *      console_rows_begin(&rows, &out, columns, count);
 *      for (each thing) {
 *          console_rows_text(&rows, thing->name);          in the columns' order
 *          console_rows_number(&rows, thing->count);
 *      }                                                   a row ends with its last cell
 *      console_rows_end(&rows);
 *
 * A cell that is not of its column's type is our own mistake, and stops the process: the
 * client would read another's bytes, or nonsense. What a client has asked for in binary it
 * gets so. Out of memory is told by out, as always (base/bytes.h).
 */
#ifndef PROXY_FRONTS_POSTGRES_CONSOLE_ROWS_H
#define PROXY_FRONTS_POSTGRES_CONSOLE_ROWS_H

#include "base/bytes.h"
#include "base/contract.h"
#include "drivers/postgres/wire.h"

enum { CONSOLE_ROWS_COLUMNS_MOST = 32 };

struct console_rows {
    struct bytes *out;
    const struct wire_column *columns; /* lent */
    uint16_t count, next;
    struct bytes cells; /* of the row so far, ... */
    size_t ends[CONSOLE_ROWS_COLUMNS_MOST];
    bool nulls[CONSOLE_ROWS_COLUMNS_MOST];
};

void console_rows_begin(struct console_rows *rows, struct bytes *out,
                        const struct wire_column *columns, uint16_t count);
void console_rows_end(struct console_rows *rows);

/* NULL is SQL's NULL, in a column of whatever type. */
void console_rows_text(struct console_rows *rows, const char *text);
void console_rows_number(struct console_rows *rows, uint64_t number);

/* A column of text: microseconds since 1970, as PgBouncer writes a time. */
void console_rows_time(struct console_rows *rows, uint64_t us);

#endif
