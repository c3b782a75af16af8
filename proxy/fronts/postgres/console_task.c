#include "proxy/fronts/postgres/console_task.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MOST_ECHOED = 200 /* of a command that is none */ };

/* What drivers set and ask for without being told to; a console has nothing to set. */
static const struct console_task_fake {
    const char *name, *value;
} fakes[] = {
    {"client_encoding", "UTF-8"},
    {"default_transaction_isolation", "read committed"},
    {"standard_conforming_strings", "on"},
    {"datestyle", "ISO"},
    {"timezone", "GMT"},
    {"extra_float_digits", "2"},
};

static const char help[] = "\n\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION\n"
                           "\tSHOW PEERS|PEER_POOLS\n"
                           "\tSHOW SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE\n"
                           "\tSHOW DNS_HOSTS|DNS_ZONES\n"
                           "\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS\n"
                           "\tSHOW REDIS_POOLS|REDIS_CLIENTS\n"
                           "\tRELOAD\n"
                           "\tRECONNECT [<db>]\n"
                           "\tKILL_CLIENT <client_id>\n"
                           "\tSHUTDOWN\n"
                           "\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS";

/* ---- what a text means ------------------------------------------------------------------- */

void console_task_fail(struct console_outcome *outcome, enum err why, const char *text)
{
    outcome->why = why;
    snprintf(outcome->text, sizeof(outcome->text), "%s", text);
}

/* A character is not cut in two. */
static void fail_syntax(struct console_outcome *outcome, const char *text)
{
    size_t length = strlen(text);

    if (length > MOST_ECHOED)
        for (length = MOST_ECHOED; length > 0 && ((uint8_t)text[length] & 0xc0) == 0x80;)
            length--;
    outcome->why = ERR_SYNTAX;
    snprintf(outcome->text, sizeof(outcome->text), "invalid command '%.*s', use SHOW HELP;",
             (int)length, text);
}

static const struct console_task_fake *find_fake(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(fakes); i++)
        if (strcasecmp(name, fakes[i].name) == 0)
            return &fakes[i];
    return NULL;
}

static bool argument_makes_sense(const struct console_command *command)
{
    const char *argument = command->argument;

    if (argument[0] == '\0')
        return true;
    if (command->verb == CONSOLE_SHUTDOWN)
        return strcasecmp(argument, "WAIT_FOR_SERVERS") == 0 ||
               strcasecmp(argument, "WAIT_FOR_CLIENTS") == 0;
    return console_command_argument(command->verb) != CONSOLE_ARGUMENT_NONE;
}

static bool is_one(struct console_task *task)
{
    enum console_verb verb = task->command.verb;

    if (verb != CONSOLE_SHOW && verb != CONSOLE_SET)
        return argument_makes_sense(&task->command);
    task->fake = find_fake(task->command.argument);
    if (verb == CONSOLE_SHOW && task->fake == NULL)
        task->table = console_shows_find(task->command.argument);
    return verb == CONSOLE_SET || task->fake != NULL || task->table != NULL;
}

bool console_task_read(struct console_task *task, const char *text, struct console_outcome *outcome)
{
    *task = (struct console_task){0};
    switch (console_command_parse(text, &task->command)) {
    case CONSOLE_COMMAND_READ:
        if (is_one(task))
            return true;
        break;
    case CONSOLE_COMMAND_TOO_LONG:
        console_task_fail(outcome, ERR_ARGUMENT, "bad arguments");
        return false;
    case CONSOLE_COMMAND_UNKNOWN:
        break;
    }
    fail_syntax(outcome, text);
    return false;
}

uint16_t console_task_columns(const struct console_task *task,
                              struct wire_column columns[CONSOLE_ROWS_COLUMNS_MOST])
{
    if (task->command.verb != CONSOLE_SHOW)
        return 0;
    if (task->fake != NULL) {
        columns[0] = (struct wire_column){task->fake->name, WIRE_TEXT, false};
        return 1;
    }
    memcpy(columns, task->table->columns, task->table->count * sizeof(*columns));
    return task->table->count;
}

/* ---- doing it ---------------------------------------------------------------------------- */

static bool may_show(const struct console_task_with *with, const struct console_task *task,
                     struct console_outcome *outcome)
{
    if (task->table == NULL || task->table->show != CONSOLE_SHOWS_FDS)
        return true;
    if (with->is_admin)
        console_task_fail(outcome, ERR_NOT_SUPPORTED, "SHOW FDS is not supported yet");
    else
        console_task_fail(outcome, ERR_NO_RIGHT, err_text(ERR_NO_RIGHT));
    return false;
}

static bool may_act(const struct console_task_with *with, const struct console_command *command,
                    struct console_outcome *outcome)
{
    enum console_verb verb = command->verb;

    if (!with->is_admin) {
        console_task_fail(outcome, ERR_NO_RIGHT, err_text(ERR_NO_RIGHT));
    } else if (verb != CONSOLE_SET && command->argument[0] == '\0' &&
               console_command_argument(verb) == CONSOLE_ARGUMENT_NEEDED) {
        console_task_fail(outcome, ERR_ARGUMENT, "a database is required");
    } else if (verb == CONSOLE_SET || !console_command_is_done(verb)) {
        outcome->why = ERR_NOT_SUPPORTED;
        snprintf(outcome->text, sizeof(outcome->text), "%s is not supported yet",
                 console_command_name(verb));
    } else {
        return true;
    }
    return false;
}

static void show(const struct console_task *task, const struct console_task_with *with,
                 const struct wire_column *columns, struct bytes *out)
{
    uint16_t count = task->fake != NULL ? 1 : task->table->count;
    struct console_rows rows;

    if (count == 0)
        return;
    console_rows_begin(&rows, out, columns, count);
    if (task->fake != NULL)
        console_rows_text(&rows, task->fake->value);
    else
        with->events->show(with->owner, task->table->show, &rows);
    console_rows_end(&rows);
}

void console_task_run(const struct console_task *task, const struct console_task_with *with,
                      const struct wire_column *columns, struct bytes *rows,
                      struct console_outcome *outcome)
{
    struct wire_error usage = {
        .severity = "NOTICE", .code = "00000", .message = "Console usage", .detail = help};

    if (task->command.verb == CONSOLE_SHOW) {
        if (!may_show(with, task, outcome))
            return;
        if (task->table != NULL && task->table->show == CONSOLE_SHOWS_HELP)
            wire_add_notice(rows, &usage);
        show(task, with, columns, rows);
    } else if (task->command.verb == CONSOLE_SET && task->fake != NULL) {
        outcome->notice = "SET ignored";
    } else if (may_act(with, &task->command, outcome)) {
        with->events->act(with->owner, &task->command, outcome);
    }
}
