/*
 * A client that sets, resets, commits and rolls back as it likes, in Queries of one or several
 * statements, one behind the other before they are answered; and a server that knows the truth.
 * Whenever the server is at rest, what was taken for changed is what has changed, or it is said
 * that the server must be asked.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "drivers/postgres/relay.h"
#include "drivers/postgres/wire.h"

enum { NAMES = 3, MOST_SAVED = 8, MOST_STATEMENTS = 4 };

struct settings {
    int values[NAMES]; /* 0: the default */
};

/* As in PostgreSQL: guc.c and xact.c, as far as that goes. */
struct server {
    struct settings now, at_begin, saved[MOST_SAVED];
    unsigned saves;
    char status;   /* 'I', 'T', 'E' */
    bool implicit; /* a Query of several statements is one transaction */
    struct bytes said;
};

struct choices {
    const uint8_t *at;
    size_t left;
};

static unsigned choose(struct choices *choices, unsigned of)
{
    if (choices->left == 0)
        return 0;
    choices->left--;
    return *choices->at++ % of;
}

/* ---- the server -------------------------------------------------------------------------- */

static void complete(struct server *s, const char *tag)
{
    wire_add_command_complete(&s->said, tag);
}

static bool fail(struct server *s)
{
    static const struct wire_error error = {"ERROR", "XX000", "no", NULL, NULL};

    wire_add_error(&s->said, &error);
    if (s->status == 'I')
        s->now = s->at_begin;
    else
        s->status = 'E';
    return false;
}

static void end(struct server *s, bool commits)
{
    if (!commits || s->status == 'E') {
        s->now = s->at_begin;
        complete(s, "ROLLBACK");
    } else {
        complete(s, "COMMIT");
    }
    s->status = 'I';
    s->saves = 0;
    s->at_begin = s->now;
}

static bool go_back(struct server *s)
{
    if (s->status == 'I' || s->saves == 0)
        return fail(s);
    s->now = s->saved[s->saves - 1];
    s->status = 'T';
    complete(s, "ROLLBACK");
    return true;
}

static bool save(struct server *s)
{
    if (s->status == 'I' || s->saves == MOST_SAVED)
        return fail(s);
    s->saved[s->saves++] = s->now;
    complete(s, "SAVEPOINT");
    return true;
}

/* Writes a statement to sql, and does it. False: it has failed. */
static bool do_one(struct server *s, struct choices *choices, struct bytes *sql)
{
    unsigned what = choose(choices, 12), name = choose(choices, NAMES);
    int value = 1 + (int)choose(choices, 9);
    bool ends = what == 5 || what == 6, backs = what == 8;
    static const char *const words[] = {"",
                                        "",
                                        "",
                                        "",
                                        "begin",
                                        "commit",
                                        "rollback",
                                        "savepoint s",
                                        "rollback to s",
                                        "no such thing",
                                        "",
                                        "select 1"};

    if (what < 3)
        bytes_print(sql, "set x.n%u = %d", name, value);
    else if (what == 3)
        bytes_print(sql, "reset x.n%u", name);
    else if (what == 10)
        bytes_print(sql, "select set_config('x.n%u', '%d', false)", name, value);
    else
        bytes_print(sql, "%s", words[what]);
    bytes_print(sql, "; ");
    if (what == 9 || (s->status == 'E' && !ends && !backs))
        return fail(s);
    if (ends) {
        end(s, what == 5);
        return true;
    }
    if (backs || what == 7)
        return backs ? go_back(s) : save(s);
    if (what == 4 && s->status == 'I')
        s->status = 'T';
    if (what < 3 || what == 10)
        s->now.values[name] = value;
    if (what == 3)
        s->now.values[name] = 0;
    complete(s, what < 3 ? "SET" : what == 3 ? "RESET" : what == 4 ? "BEGIN" : "SELECT 1");
    return true;
}

static void do_query(struct server *s, struct choices *choices, struct bytes *sql)
{
    unsigned count = 1 + choose(choices, MOST_STATEMENTS);
    bool well = true;

    for (unsigned i = 0; i < count; i++) {
        if (well) {
            well = do_one(s, choices, sql);
        } else { /* it is there, and is not executed */
            bytes_print(sql, "set x.n0 = 99; ");
        }
    }
    if (s->status == 'I')
        s->at_begin = s->now;
    wire_add_ready_for_query(&s->said, s->status);
}

/* ---- the world --------------------------------------------------------------------------- */

struct world {
    struct relay relay;
    struct relay_sent sent;
    struct statement_set statements;
    struct server server;
    struct settings taken;
};

static void send_query(struct world *w, struct choices *choices)
{
    struct bytes sql = {0}, message = {0};
    struct relay_plan plan;
    size_t used = 0, piece;

    do_query(&w->server, choices, &sql);
    wire_add_query(&message, (struct slice){sql.at, sql.length});
    while (used < message.length) {
        piece = 1 + choose(choices, 40);
        if (piece < RELAY_WHOLE_BELOW && used == 0)
            piece = message.length; /* a beginning waits for the rest */
        if (piece > message.length - used)
            piece = message.length - used;
        used +=
            relay_from_client(&w->relay, &w->sent, (struct slice){message.at + used, piece}, &plan);
        REQUIRE(plan.verdict == RELAY_GO_ON);
    }
    bytes_free(&sql);
    bytes_free(&message);
}

static void take(struct world *w)
{
    struct sql_change change;

    while (state_take(&w->relay.state, &change)) {
        REQUIRE(change.name.length == 4);
        w->taken.values[change.name.at[3] - '0'] =
            change.kind == SQL_CHANGE_RESET ? 0 : change.value.at[0] - '0';
    }
}

static void answer(struct world *w)
{
    struct relay_plan plan;
    size_t used = 0, now;

    do {
        now = relay_from_server(
            &w->relay, (struct slice){w->server.said.at + used, w->server.said.length - used},
            &plan);
        used += now;
        take(w);
    } while (now > 0);
    REQUIRE(used == w->server.said.length);
    bytes_clear(&w->server.said);
}

/* What is asked is told, as the owner would be. */
static void compare(struct world *w)
{
    REQUIRE(!w->relay.state.blind);
    if (state_question(&w->relay.state, 0) != 0) {
        REQUIRE(state_question(&w->relay.state, 0) == STATE_SETTINGS);
        w->taken = w->server.now;
        state_asked(&w->relay.state);
    }
    REQUIRE(memcmp(&w->taken, &w->server.now, sizeof(w->taken)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};
    static struct world w;

    w = (struct world){.server = {.status = 'I'}};
    relay_init(&w.relay, &w.statements, 10);
    relay_attach(&w.relay, &w.sent);
    while (choices.left > 0) {
        send_query(&w, &choices);
        if (choose(&choices, 3) > 0)
            answer(&w);
        if (relay_is_settled(&w.relay, &w.sent))
            compare(&w);
    }
    answer(&w);
    if (relay_is_settled(&w.relay, &w.sent))
        compare(&w);
    relay_fini(&w.relay);
    statement_names_clear(&w.sent.names);
    bytes_free(&w.server.said);
    return 0;
}
