/*
 * Clients that have learned what the rows of a statement look like, and servers where they look
 * otherwise since a table has changed. See drivers/postgres/relay_shapes.h.
 */
#include "clean_end.h"
#include "conversation_names.h"

TestSuite(relay, .fini = clean_end);

#define USE     "Bind s1; Execute; Sync"
#define NO_SQL  "Parse weircached plan must not change result type (weir tells a client); "
#define REFUSED "ErrorResponse ERROR; ReadyForQuery I"

/* As asyncpg, Npgsql and pgx do. */
static void learn(const char *description)
{
    char answer[200];

    snprintf(answer, sizeof(answer), "ParseComplete; ParameterDescription; %s; ReadyForQuery I",
             description);
    exchange("Parse s1 select; Describe S s1; Sync", answer);
}

/* What weir asks ahead of a Bind, and what it hears. */
static void server_is_asked(const char *asked, const char *answer)
{
    cr_assert_eq(verdict, RELAY_WAITS);
    the_server_is_not_free();
    server_gets(asked);
    server_sends(answer);
    client_goes_on();
}

static void it_is_served(void)
{
    server_gets(USE);
    server_sends(SERVED);
    client_gets(SERVED);
    the_server_is_free();
}

static void it_is_refused(void)
{
    server_gets(NO_SQL USE);
    server_sends("ErrorResponse SYNTAX; ReadyForQuery I");
    client_gets(REFUSED);
    the_server_is_free();
}

#define AHEAD        "Parse s1 select; Describe S s1; Flush"
#define ANEW         "Close S s1; " AHEAD
#define PARSED(what) "ParseComplete; ParameterDescription; " what

/* ---- on another server ------------------------------------------------------------------- */

Story(who_knows_the_rows_is_served_where_they_look_the_same)
{
    learn("RowDescription a");
    exchange(USE, SERVED);
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription a"));
    client_gets("");
    it_is_served();
    exchange(USE, SERVED);
}

/* A client that has set its time zone since: how the text is read now is how it is prepared from
 * now on, and once is enough. */
Story(it_is_prepared_once_as_it_is_read_now)
{
    learn("RowDescription a");
    the_client_gets_a_new_server();
    relay.names.reading = 1;
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription a"));
    client_gets("");
    it_is_served();
    exchange(USE, SERVED);
}

Story(and_told_where_they_look_otherwise)
{
    learn("RowDescription a");
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription b"));
    it_is_refused();
    cr_assert_eq(statements.age, 0);
}

Story(every_time_until_it_asks)
{
    learn("RowDescription a");
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription b"));
    it_is_refused();
    client_sends(USE);
    server_is_asked(ANEW, "CloseComplete; " PARSED("RowDescription b"));
    it_is_refused();
    exchange("Describe S s1; Sync", "ParameterDescription; RowDescription b; ReadyForQuery I");
    exchange(USE, SERVED);
}

Story(or_prepares_it_anew)
{
    learn("RowDescription a");
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription b"));
    it_is_refused();
    client_sends("Close S s1; Parse s1 select; Describe S s1; Sync");
    server_gets("Describe S s1; Sync");
    server_sends("ParameterDescription; RowDescription b; ReadyForQuery I");
    client_gets("CloseComplete; ParseComplete; ParameterDescription; RowDescription b; "
                "ReadyForQuery I");
    exchange(USE, SERVED);
}

Story(rows_may_come_where_none_came)
{
    learn("NoData");
    exchange(USE, SERVED);
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("NoData"));
    it_is_served();
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription a"));
    it_is_refused();
}

/* The server's plan may be the one that is out of date. */
Story(a_server_that_knows_other_rows_prepares_anew_first)
{
    learn("RowDescription a");
    statement_names_set_shape(&relay.names.on_server, SLICE("s1"), 7);
    client_sends(USE);
    server_is_asked(ANEW, "CloseComplete; " PARSED("RowDescription a"));
    it_is_served();
    exchange(USE, SERVED);
}

Story(a_server_that_was_never_asked_is_asked)
{
    prepare("s1", "select");
    another_client_comes();
    client_sends("Parse s1 select; Sync");
    server_sends("ReadyForQuery I");
    statement_names_set_shape(&sent.names, SLICE("s1"), 7);
    at_server.length = at_client.length = 0;
    client_sends(USE);
    server_is_asked("Describe S s1; Flush", "ParameterDescription; RowDescription a");
    server_is_asked(ANEW, "CloseComplete; " PARSED("RowDescription a"));
    it_is_refused();
}

Story(a_transaction_fails_with_it)
{
    learn("RowDescription a");
    the_client_gets_a_new_server();
    exchange("Query begin", "CommandComplete BEGIN; ReadyForQuery T");
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription b"));
    server_gets(NO_SQL USE);
    server_sends("ErrorResponse SYNTAX; ReadyForQuery E");
    client_gets("ErrorResponse ERROR; ReadyForQuery E");
}

Story(what_came_before_it_in_its_batch_is_answered)
{
    learn("RowDescription a");
    the_client_gets_a_new_server();
    client_sends("Parse - x; Bind; Execute; Bind s1; Execute; Sync");
    server_is_asked("Parse - x; Bind; Execute; " AHEAD,
                    "ParseComplete; BindComplete; CommandComplete X; " PARSED("RowDescription b"));
    server_gets(NO_SQL USE);
    server_sends("ErrorResponse SYNTAX; ReadyForQuery I");
    client_gets("ParseComplete; BindComplete; CommandComplete X; " REFUSED);
    the_server_is_free();
}

Story(the_words_are_those_of_postgresql)
{
    static const char expected[] = "E\0\0\0ZSERROR\0VERROR\0C0A000\0"
                                   "Mcached plan must not change result type\0"
                                   "RRevalidateCachedQuery\0";

    learn("RowDescription a");
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription b"));
    server_sends("ErrorResponse SYNTAX");
    cr_assert_eq(at_client.length, sizeof(expected));
    cr_assert_arr_eq(at_client.at, expected, sizeof(expected));
}

/* ---- what teaches ------------------------------------------------------------------------ */

/* As JDBC does: asked for once, when the statement gets its name. */
Story(a_portals_description_is_its_statements)
{
    client_sends("Parse s1 select; Bind s1; Describe P; Execute; Sync");
    server_gets("Parse s1 select; Bind s1; Describe S s1; Describe P; Execute; Sync");
    server_sends("ParseComplete; BindComplete; ParameterDescription; RowDescription a; "
                 "RowDescription aa; CommandComplete A; ReadyForQuery I");
    client_gets("ParseComplete; BindComplete; RowDescription aa; CommandComplete A; "
                "ReadyForQuery I");
    exchange(USE, SERVED);
    exchange("Bind s1; Describe P; Execute; Sync",
             "BindComplete; RowDescription aa; CommandComplete A; ReadyForQuery I");
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription b"));
    it_is_refused();
}

Story(another_portals_is_not)
{
    client_sends("Parse s1 select; Bind p:s1; Describe Pq; Execute; Sync");
    server_gets("Parse s1 select; Bind p:s1; Describe Pq; Execute; Sync");
    server_sends("ParseComplete; BindComplete; RowDescription a; CommandComplete A; "
                 "ReadyForQuery I");
    cr_assert_eq(statement_names_shape(&sent.names, SLICE("s1")), 0);
}

Story(who_asks_as_it_goes_is_passed_on)
{
    learn("RowDescription a");
    the_client_gets_a_new_server();
    client_sends("Bind s1; Describe P; Execute; Sync");
    if (piece != 0) /* that it will ask is not to be seen in time */
        return;
    server_gets("Parse s1 select; Bind s1; Describe S s1; Describe P; Execute; Sync");
    server_sends("ParseComplete; BindComplete; ParameterDescription; RowDescription b; "
                 "RowDescription b; CommandComplete A; ReadyForQuery I");
    client_gets("BindComplete; RowDescription b; CommandComplete A; ReadyForQuery I");
    the_server_is_free();
    exchange(USE, SERVED);
}

Story(so_is_who_knows_nothing)
{
    prepare("s1", "select");
    statement_names_set_shape(&relay.names.on_server, SLICE("s1"), 7);
    exchange(USE, SERVED);
    the_client_gets_a_new_server();
    client_sends(USE);
    server_gets("Parse s1 select; " USE);
}

Story(a_batch_counts_on_what_it_asks)
{
    exchange("Parse s1 select; Describe S s1; Bind s1; Execute; Sync",
             "ParseComplete; ParameterDescription; RowDescription a; " SERVED);
    exchange(USE, SERVED);
}

Story(a_later_one_waits_for_it)
{
    learn("RowDescription a");
    statement_names_set_shape(&sent.names, SLICE("s1"), 7);
    client_sends("Describe S s1; Sync; " USE);
    cr_assert_eq(verdict, RELAY_WAITS);
    server_sends("ParameterDescription; RowDescription a; ReadyForQuery I");
    client_goes_on();
    client_gets("ParameterDescription; RowDescription a; ReadyForQuery I");
    at_server.length = 0;
    server_sends(SERVED);
    client_gets(SERVED);
    the_server_is_free();
}

Story(what_could_not_be_described_has_taught_nothing)
{
    prepare("s1", "select");
    exchange("Describe S s1; Sync", "ParameterDescription; ErrorResponse ERROR; ReadyForQuery I");
    cr_assert_eq(statement_names_shape(&sent.names, SLICE("s1")), 0);
    cr_assert_eq(statement_names_shape(&relay.names.on_server, SLICE("s1")), 0);
}

/* ---- what may go wrong ------------------------------------------------------------------- */

/* "cached plan must not change result type", said by the server itself, is the client's; and no
 * batch of before is run again for it. */
Story(a_plan_that_is_stale_is_the_clients_error)
{
    struct relay_plan plan;

    learn("RowDescription a");
    exchange("Describe S s1; Sync", "ParameterDescription; RowDescription a; ReadyForQuery I");
    statement_names_set_shape(&relay.names.on_server, SLICE("s1"), 0);
    client_sends(USE);
    server_is_asked("Describe S s1; Flush", "ParameterDescription; ErrorResponse STALE");
    cr_assert_eq(statements.age, 1);
    statements.age = 0;
    server_gets(USE);
    server_sends("ReadyForQuery I");
    client_gets("ErrorResponse STALE; ReadyForQuery I");
    cr_assert_not(relay_repeat(&relay, &plan));
    the_server_is_free();
}

Story(what_cannot_be_parsed_any_more_is_too)
{
    learn("RowDescription a");
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, "ErrorResponse ERROR");
    server_gets(USE);
    server_sends("ReadyForQuery I");
    client_gets(REFUSED);
    the_server_is_free();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription a"));
    it_is_served();
}

Story(who_vanishes_while_it_waits_leaves_a_whole_server)
{
    struct bytes out = {0};

    learn("RowDescription a");
    the_client_gets_a_new_server();
    client_sends(USE);
    cr_assert(relay_abandon(&relay, &sent, &out));
    bytes_free(&out);
    kept_client.length = 0;
    server_sends(PARSED("RowDescription b"));
    server_sends("CommandComplete ROLLBACK; ReadyForQuery I; ReadyForQuery I");
    client_gets("");
    the_server_is_free();
    relay_attach(&relay, &sent);
    at_server.length = 0;
    client_sends(USE);
    server_is_asked(ANEW, "CloseComplete; " PARSED("RowDescription b"));
    it_is_refused();
}

Story(any_other_error_is_passed_on)
{
    learn("RowDescription a");
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription b"));
    server_sends("ErrorResponse FATAL");
    client_gets("ErrorResponse FATAL");
    cr_assert(relay.dying);
}

/* It would go on to the Bind. */
Story(a_server_that_takes_anything_for_sql_is_not_believed)
{
    learn("RowDescription a");
    the_client_gets_a_new_server();
    client_sends(USE);
    server_is_asked(AHEAD, PARSED("RowDescription b"));
    server_sends("ParseComplete; " SERVED);
    cr_assert_eq(verdict, RELAY_BROKEN);
    cr_assert(relay.dying && relay.tainted);
    client_gets("");
}

Story(nothing_is_answered_in_the_middle_of_a_description)
{
    struct bytes all = to_bytes(server_names, "ParameterDescription; RowDescription abcdefgh");

    prepare("s1", "select");
    client_sends("Describe S s1; Close S s1");
    bytes_add(&kept_server, all.at, all.length - 5);
    server_goes_on();
    client_sends("Flush");
    bytes_add(&kept_server, all.at + all.length - 5, 5);
    server_goes_on();
    bytes_free(&all);
    client_gets("ParameterDescription; RowDescription abcdefgh; CloseComplete");
    cr_assert_eq(sent.names.count, 0);
}
