#include "drivers/postgres/listening.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/watch.h"

enum { LONGEST_ENCODING = 32 };

struct listening {
    uv_loop_t *loop;
    const struct listening_events *events;
    void *owner;
    struct login *login; /* while opening */
    PGconn *conn;
    struct watch *watch;
    int watched; /* events of uv_poll */
    bool asking, ready, closed;
    bool in_event; /* its memory must outlive the call that is telling something */
    char encoding[LONGEST_ENCODING];
    char why[200]; /* the first error of what is being answered */
};

static void on_ready(void *owner);

static void destroy(struct listening *listening)
{
    PQfinish(listening->conn);
    free(listening);
}

void listening_close(struct listening *listening)
{
    watch_stop(listening->watch);
    listening->watch = NULL;
    if (listening->login != NULL)
        login_stop(listening->login);
    listening->login = NULL;
    listening->closed = true;
    if (!listening->in_event)
        destroy(listening);
}

/* libpq's messages are lines; ours is a part of one. */
static void copy_line(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%.*s", (int)strcspn(text, "\n"), text);
}

static void lose(struct listening *listening, const char *why)
{
    char text[200];

    copy_line(text, sizeof(text), why);
    watch_stop(listening->watch);
    listening->watch = NULL;
    listening->events->lost(listening->owner, text);
}

/* ---- writing and reading ----------------------------------------------------------------- */

static bool watch(struct listening *listening, int events)
{
    if (listening->watch != NULL && listening->watched == events)
        return true;
    watch_stop(listening->watch);
    listening->watched = events;
    listening->watch =
        watch_start(listening->loop, PQsocket(listening->conn), events, listening, on_ready);
    return listening->watch != NULL;
}

/* Sends what it can now, and watches for when it can send the rest. */
static bool flush(struct listening *listening)
{
    int left = PQflush(listening->conn);

    return left >= 0 && watch(listening, left > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

enum err listening_ask(struct listening *listening, const char *sql)
{
    REQUIRE(!listening->asking);
    listening->why[0] = '\0';
    if (PQsendQuery(listening->conn, sql) != 1)
        return ERR_BACKEND_LOST;
    listening->asking = true;
    return flush(listening) ? ERR_OK : ERR_BACKEND_LOST;
}

static void tell_notifications(struct listening *listening)
{
    PGnotify *heard;

    while (!listening->closed && (heard = PQnotifies(listening->conn)) != NULL) {
        listening->events->notified(listening->owner, heard->be_pid, heard->relname, heard->extra);
        PQfreemem(heard);
    }
}

static void tell_answer(struct listening *listening)
{
    const char *why = listening->why[0] != '\0' ? listening->why : NULL;

    listening->asking = false;
    if (listening->ready) {
        listening->events->answered(listening->owner, why);
    } else if (why != NULL) {
        lose(listening, why);
    } else {
        listening->ready = true;
        listening->events->opened(listening->owner);
    }
}

/* What was notified before the answer is told before it. */
static void take_answers(struct listening *listening)
{
    while (!listening->closed && listening->asking && !PQisBusy(listening->conn)) {
        PGresult *result = PQgetResult(listening->conn);

        if (result == NULL) {
            tell_notifications(listening);
            if (!listening->closed)
                tell_answer(listening);
            return;
        }
        if (PQresultStatus(result) == PGRES_FATAL_ERROR && listening->why[0] == '\0')
            copy_line(listening->why, sizeof(listening->why), PQresultErrorMessage(result));
        PQclear(result);
    }
}

static void on_ready(void *owner)
{
    struct listening *listening = owner;
    bool alive = PQconsumeInput(listening->conn) == 1 && flush(listening);

    listening->in_event = true;
    tell_notifications(listening);
    if (alive && !listening->closed)
        take_answers(listening);
    if (!listening->closed && listening->watch != NULL &&
        (!alive || PQstatus(listening->conn) != CONNECTION_OK))
        lose(listening, PQerrorMessage(listening->conn));
    listening->in_event = false;
    if (listening->closed)
        destroy(listening);
}

/* ---- opening ----------------------------------------------------------------------------- */

/* It will be idle for long, and is not to be ended for that; the name is for whoever looks at
 * pg_stat_activity. PostgreSQL before 14 does not know idle_session_timeout. */
static bool set_up(struct listening *listening)
{
    char sql[300];

    snprintf(sql, sizeof(sql),
             "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings "
             "WHERE name IN ('idle_session_timeout', 'statement_timeout');"
             "SET application_name TO 'weir listener'; SET client_encoding TO '%s'",
             listening->encoding);
    return PQsetnonblocking(listening->conn, 1) == 0 && listening_ask(listening, sql) == ERR_OK;
}

static void on_login(void *owner, PGconn *conn, const char *why)
{
    struct listening *listening = owner;

    listening->login = NULL;
    listening->conn = conn;
    listening->in_event = true;
    if (conn == NULL)
        lose(listening, why);
    else if (!set_up(listening))
        lose(listening, PQerrorMessage(conn));
    listening->in_event = false;
    if (listening->closed)
        destroy(listening);
}

struct listening *listening_open(uv_loop_t *loop, const struct login_target *target,
                                 const char *encoding, const struct listening_events *events,
                                 void *owner)
{
    struct listening *listening = calloc(1, sizeof(*listening));

    if (listening == NULL)
        return NULL;
    listening->loop = loop;
    listening->events = events;
    listening->owner = owner;
    snprintf(listening->encoding, sizeof(listening->encoding), "%s", encoding);
    listening->login = login_start(loop, target, listening, on_login);
    if (listening->login != NULL)
        return listening;
    free(listening);
    return NULL;
}
