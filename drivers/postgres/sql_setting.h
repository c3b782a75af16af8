/*
 * drivers/postgres/sql_setting.h - SET, RESET and set_config(); for sql_statement.c.
 *
 * A change is entered into sql->changes while it is read, and made what it has turned out to
 * be when it ends: four bytes (kind, length of the name, length of the value), name, value.
 */
#ifndef DRIVERS_POSTGRES_SQL_SETTING_H
#define DRIVERS_POSTGRES_SQL_SETTING_H

#include "drivers/postgres/sql.h"

/* A SET or RESET: its tokens after the first, and its end. */
void sql_setting_begin(struct sql *sql, bool reset);
void sql_setting_token(struct sql *sql, char token);
void sql_setting_end(struct sql *sql);

void sql_setting_discard(struct sql *sql);

/* The word set_config was read; then the tokens that follow, until sql->argument is 0. */
void sql_setting_call(struct sql *sql);
void sql_setting_argument(struct sql *sql, char token, bool alone);

/* The calls of this statement are not all there is to it. */
void sql_setting_not_alone(struct sql *sql);

/* Some of a string or a number, while sql->capturing. */
void sql_setting_put(struct sql *sql, const void *from, size_t length);

/* Something changes the setting called name, who knows to what. */
void sql_setting_note(struct sql *sql, const char *name);

#endif
