#include "proxy/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/show.h"
#include "proxy/worker.h"

static void show(void *owner, enum console_show show, struct console_rows *rows)
{
    show_fill(owner, show, rows);
}

static void say(struct worker *worker, const struct console_command *command)
{
    const char *quote = command->argument[0] != '\0' ? "'" : "";

    log_write(worker->log, LOG_LEVEL_INFO, NULL, "%s %s%s%s%scommand issued",
              console_command_name(command->verb), quote, command->argument, quote,
              quote[0] != '\0' ? " " : "");
}

/* ---- commands ---------------------------------------------------------------------------- */

static void reload(struct worker *worker, struct console_outcome *outcome)
{
    if (worker_reload(worker) == ERR_OK) {
        outcome->notice = WORKER_RELOADED;
        return;
    }
    outcome->why = ERR_CONFIG;
    snprintf(outcome->text, sizeof(outcome->text),
             "RELOAD failed, see logs for additional details");
}

static void reconnect(struct worker *worker, const char *database, struct console_outcome *outcome)
{
    if (database[0] == '\0') {
        database = NULL;
    } else if (console_is_database(database)) {
        outcome->why = ERR_ARGUMENT;
        snprintf(outcome->text, sizeof(outcome->text), "cannot reconnect admin db: %s", database);
        return;
    } else if (config_find_database(worker->config, database) == NULL) {
        outcome->why = ERR_NO_DATABASE;
        snprintf(outcome->text, sizeof(outcome->text), "no such database: %s", database);
        return;
    }
    broker_reconnect(&worker->broker, database);
    hub_reconnect(&worker->hub, database);
}

static struct session *find_client(const struct front *front, uint64_t id)
{
    for (unsigned state = 0; state < SESSION_LEAVING; state++) {
        const struct list *list = &front->sessions[state];

        for (struct link *link = list_front(list); link != NULL; link = list_after(list, link)) {
            struct session *session = CONTAINER_OF(link, struct session, link);

            if (session->id == id)
                return session;
        }
    }
    return NULL;
}

/* Whoever waits to have passed on a cancel request is not told anything. */
static void kill_client(struct worker *worker, const char *id, struct console_outcome *outcome)
{
    char *end = NULL;
    uint64_t number = strtoull(id, &end, 10);
    struct session *session;

    outcome->why = ERR_ARGUMENT;
    if (id[0] < '0' || id[0] > '9' || *end != '\0') {
        snprintf(outcome->text, sizeof(outcome->text), "invalid client pointer supplied");
        return;
    }
    session = find_client(&worker->front, number);
    if (session == NULL) {
        snprintf(outcome->text, sizeof(outcome->text), "client not found");
        return;
    }
    outcome->why = ERR_OK;
    if (session->state == SESSION_CANCELING)
        session_close(session);
    else
        session_fail(session, ERR_KILLED, NULL);
}

static void shut_down(struct worker *worker, const char *when)
{
    if (strcasecmp(when, "WAIT_FOR_CLIENTS") == 0)
        worker_shut_down(worker, WORKER_EMPTYING);
    else if (strcasecmp(when, "WAIT_FOR_SERVERS") == 0)
        worker_shut_down(worker, WORKER_DRAINING);
    else
        worker_shut_down(worker, WORKER_STOPPING);
}

static void act(void *owner, const struct console_command *command, struct console_outcome *outcome)
{
    struct worker *worker = owner;

    say(worker, command);
    if (command->verb == CONSOLE_RELOAD)
        reload(worker, outcome);
    else if (command->verb == CONSOLE_RECONNECT)
        reconnect(worker, command->argument, outcome);
    else if (command->verb == CONSOLE_KILL_CLIENT)
        kill_client(worker, command->argument, outcome);
    else if (command->verb == CONSOLE_SHUTDOWN)
        shut_down(worker, command->argument);
    else
        outcome->why = ERR_NOT_SUPPORTED;
}

const struct console_events admin_events = {.show = show, .act = act};
