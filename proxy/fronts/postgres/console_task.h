/*
 * proxy/fronts/postgres/console_task.h - what a text typed at the console asks for.
 *
 *      if (console_task_read(&task, text, &outcome)) {
 *          count = console_task_columns(&task, columns);       of its rows; 0: it has none
 *          console_task_run(&task, &with, columns, count, &rows, &outcome);
 *      }
 *      if (outcome.why != ERR_OK) ... outcome.text
 *
 * A text makes sense or not whoever has typed it; whether he may, and whether it can be done, is
 * found out when it is run.
 */
#ifndef PROXY_FRONTS_POSTGRES_CONSOLE_TASK_H
#define PROXY_FRONTS_POSTGRES_CONSOLE_TASK_H

#include <stdbool.h>

#include "base/err.h"
#include "proxy/fronts/postgres/console_command.h"
#include "proxy/fronts/postgres/console_rows.h"
#include "proxy/fronts/postgres/console_shows.h"

enum { CONSOLE_TASK_TEXT = 256 };

/* What became of it. */
struct console_outcome {
    enum err why; /* ERR_OK: it was done */
    char text[CONSOLE_TASK_TEXT];
    const char *notice; /* about what was done; NULL: none */
};

struct console_events {
    /* Adds the rows of a table. */
    void (*show)(void *owner, enum console_show show, struct console_rows *rows);
    /* Carries out what the client may do. This may end the session of the client itself: then
     * its owner drops what console_bytes says. */
    void (*act)(void *owner, const struct console_command *command,
                struct console_outcome *outcome);
};

struct console_task_fake;

struct console_task {
    struct console_command command;
    const struct console_table *table;    /* of SHOW; NULL: what is faked */
    const struct console_task_fake *fake; /* of SHOW and SET; NULL: none */
};

/* Who runs it. */
struct console_task_with {
    const struct console_events *events;
    void *owner;
    bool is_admin;
};

void console_task_fail(struct console_outcome *outcome, enum err why, const char *text);

bool console_task_read(struct console_task *task, const char *text,
                       struct console_outcome *outcome) MUST_CHECK;

/* Copied, since a client may want them in binary. */
uint16_t console_task_columns(const struct console_task *task,
                              struct wire_column columns[CONSOLE_ROWS_COLUMNS_MOST]) MUST_CHECK;

void console_task_run(const struct console_task *task, const struct console_task_with *with,
                      const struct wire_column *columns, struct bytes *rows,
                      struct console_outcome *outcome);

#endif
