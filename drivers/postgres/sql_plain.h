/*
 * drivers/postgres/sql_plain.h - the texts that most clients send most of the time.
 *
 *      if (sql_plain(text)) ...        one SELECT, INSERT, UPDATE or DELETE, of no consequence
 *
 * They change nothing in their session, and that can be seen without reading them: they begin with
 * one of four words, end with their only semicolon, and do not have the letters of what sql.h gives
 * hints of. About a tenth of what reading costs. A text that is not called plain may be so.
 */
#ifndef DRIVERS_POSTGRES_SQL_PLAIN_H
#define DRIVERS_POSTGRES_SQL_PLAIN_H

#include <stdbool.h>

#include "base/bytes.h"

/* Without the NUL at its end. */
bool sql_plain(struct slice text);

#endif
