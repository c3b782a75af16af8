/*
 * Who answers what: each story is a conversation, and each is told again cut into pieces.
 * The traps are those of poolers before this one.
 */
#include "clean_end.h"
#include "conversation.h"

#include <signal.h>

TestSuite(relay, .fini = clean_end);

/* ---- queries ----------------------------------------------------------------------------- */

Story(a_query_is_passed_on_and_its_answer_comes_back)
{
    the_server_is_free();
    client_sends("Query select 1");
    the_server_is_not_free();
    server_gets("Query select 1");
    server_sends("RowDescription a; DataRow 1; CommandComplete SELECT 1; ReadyForQuery I");
    client_gets("RowDescription a; DataRow 1; CommandComplete SELECT 1; ReadyForQuery I");
    the_server_is_free();
    cr_assert_eq(transactions, 1);
}

Story(the_server_is_kept_while_a_transaction_is_open)
{
    exchange("Query begin", "CommandComplete BEGIN; ReadyForQuery T");
    the_server_is_not_free();
    exchange("Query select 1/0", "ErrorResponse ERROR; ReadyForQuery E");
    the_server_is_not_free();
    exchange("Query rollback", "CommandComplete ROLLBACK; ReadyForQuery I");
    the_server_is_free();
    cr_assert_eq(transactions, 1);
}

Story(an_error_does_not_cost_the_server)
{
    exchange("Query select 1/0", "ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
}

Story(queries_sent_ahead_are_all_owed)
{
    client_sends("Query a; Query b; Query c");
    server_gets("Query a; Query b; Query c");
    server_sends("CommandComplete X; ReadyForQuery I");
    the_server_is_not_free();
    server_sends("EmptyQueryResponse; ReadyForQuery I; ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
    cr_assert_eq(transactions, 3);
}

Story(a_query_of_several_statements_has_one_end)
{
    client_sends("Query a; Sync");
    server_sends("CommandComplete A; RowDescription b; DataRow 1; CommandComplete B; "
                 "EmptyQueryResponse; ReadyForQuery I");
    the_server_is_not_free();
    server_sends("ReadyForQuery I");
    the_server_is_free();
}

Story(a_function_call_is_answered_and_ended)
{
    exchange("FunctionCall f", "FunctionCallResponse r; ReadyForQuery I");
    the_server_is_free();
    exchange("FunctionCall f", "ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
}

Story(asides_may_come_at_any_time_and_answer_nothing)
{
    client_sends("Query a");
    server_sends("NoticeResponse n; ParameterStatus TimeZone; CommandComplete A; ReadyForQuery I");
    client_gets("NoticeResponse n; ParameterStatus TimeZone; CommandComplete A; ReadyForQuery I");
    server_sends("NoticeResponse later");
    the_server_is_free();
}

Story(what_is_notified_is_for_a_client_whose_server_listens_for_it)
{
    client_sends("Query a");
    server_gets("Query a");
    server_sends("NotificationResponse x; CommandComplete A; ReadyForQuery I");
    client_gets("CommandComplete A; ReadyForQuery I");
    the_server_is_free();
    exchange("Query listen x", "CommandComplete LISTEN; ReadyForQuery I");
    server_sends("NotificationResponse x");
    client_gets("NotificationResponse x");
}

Story(what_is_notified_is_for_nobody_if_the_client_hears_it_from_elsewhere)
{
    relay.listening.elsewhere = true;
    exchange("Query listen x", "CommandComplete LISTEN; ReadyForQuery I");
    server_sends("NotificationResponse x");
    client_gets("");
    cr_assert_eq(relay.pinned, 1u << RELAY_PIN_LISTEN, "until the server was told to stop");
}

/* Whether an UNLISTEN was committed; then it is looked up and taken back. */
static bool unlistened(void)
{
    bool was = relay.listening.unlistened;

    relay.listening.unlistened = false;
    return was;
}

Story(an_unlisten_counts_when_it_is_committed)
{
    exchange("Query unlisten x", "CommandComplete UNLISTEN; ReadyForQuery I");
    cr_assert(unlistened());
    exchange("Query begin", "CommandComplete BEGIN; ReadyForQuery T");
    exchange("Query unlisten x", "CommandComplete UNLISTEN; ReadyForQuery T");
    cr_assert_not(unlistened());
    exchange("Query commit", "CommandComplete COMMIT; ReadyForQuery I");
    cr_assert(unlistened());
}

Story(an_unlisten_that_was_rolled_back_does_not_count)
{
    exchange("Query begin", "CommandComplete BEGIN; ReadyForQuery T");
    exchange("Query unlisten x", "CommandComplete UNLISTEN; ReadyForQuery T");
    exchange("Query rollback", "CommandComplete ROLLBACK; ReadyForQuery I");
    exchange("Query unlisten and fail",
             "CommandComplete UNLISTEN; ErrorResponse e; ReadyForQuery I");
    cr_assert_not(unlistened());
    exchange("Query unlisten, commit and fail",
             "CommandComplete UNLISTEN; CommandComplete COMMIT; ErrorResponse e; ReadyForQuery I");
    cr_assert(unlistened());
}

Story(rows_that_answer_what_we_asked_are_for_us)
{
    struct bytes sql = {0};
    struct relay_plan plan;

    relay_ask_query(&relay, "q", &sql);
    bytes_free(&sql);
    cr_assert_eq(relay_from_server(&relay, SLICE("D\0\0\0\x0b\0\1\0\0\0\1"), &plan), 0);
    cr_assert_eq(relay_from_server(&relay, SLICE("D\0\0\0\x0b\0\1\0\0\0\1x"), &plan), 12);
    cr_assert_eq(plan.count, 0);
    cr_assert_eq(plan.row.length, 7);
}

Story(half_a_message_keeps_the_server)
{
    struct bytes half = to_bytes(client_names, "FunctionCall one");

    half.length -= 4;
    in_pieces(&half, &kept_client, client_goes_on);
    the_server_is_not_free();
    cr_assert_gt(sent.remaining, 0);
}

Story(half_an_answer_keeps_the_server)
{
    struct bytes half;

    client_sends("Query a");
    half = to_bytes(server_names, "CommandComplete A; ReadyForQuery I; NoticeResponse late");
    half.length -= 3;
    in_pieces(&half, &kept_server, server_goes_on);
    the_server_is_not_free();
    bytes_add(&kept_server, "te", 3);
    server_goes_on();
    the_server_is_free();
}

/* ---- the extended protocol --------------------------------------------------------------- */

Story(a_batch_ends_with_its_sync)
{
    client_sends("Parse - select 1; Bind p:; Describe p; Execute; Sync");
    server_gets("Parse - select 1; Bind p:; Describe p; Execute; Sync");
    server_sends("ParseComplete; BindComplete; RowDescription a; DataRow 1; "
                 "CommandComplete SELECT 1; ReadyForQuery I");
    client_gets("ParseComplete; BindComplete; RowDescription a; DataRow 1; "
                "CommandComplete SELECT 1; ReadyForQuery I");
    the_server_is_free();
}

Story(a_statement_is_described_with_two_messages)
{
    exchange("Parse - x; Describe S; Sync", "ParseComplete; ParameterDescription p; "
                                            "RowDescription r; ReadyForQuery I");
    the_server_is_free();
    exchange("Parse - x; Describe S; Sync",
             "ParseComplete; ParameterDescription p; NoData; ReadyForQuery I");
    the_server_is_free();
}

Story(a_flush_is_no_boundary)
{
    exchange("Parse - x; Describe S; Flush",
             "ParseComplete; ParameterDescription p; RowDescription r");
    the_server_is_not_free(); /* all is answered, nothing is synced */
    exchange("Bind; Execute; Sync", "BindComplete; CommandComplete A; ReadyForQuery I");
    the_server_is_free();
}

Story(a_portal_with_a_row_limit_stays_on_its_server)
{
    exchange("Parse - x; Bind p:; Execute 2; Flush",
             "ParseComplete; BindComplete; DataRow 1; DataRow 2; PortalSuspended");
    the_server_is_not_free();
    exchange("Execute 2; Flush", "DataRow 3; CommandComplete SELECT 3");
    the_server_is_not_free();
    exchange("Close p; Sync", "CloseComplete; ReadyForQuery I");
    the_server_is_free();
}

Story(an_error_drops_what_follows_up_to_the_sync)
{
    client_sends("Parse - x; Bind; Execute; Sync; Parse - y; Bind; Execute; Sync");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_not_free();
    server_sends("ParseComplete; BindComplete; CommandComplete A; ReadyForQuery I");
    the_server_is_free();
}

Story(an_error_drops_a_query_that_stands_before_the_sync)
{
    client_sends("Parse - x; Query a; Sync");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
}

Story(after_an_error_nothing_is_owed_before_a_sync_is_sent)
{
    client_sends("Parse - x; Flush");
    server_sends("ErrorResponse ERROR");
    the_server_is_not_free();
    client_sends("Bind; Execute; Query a; Flush");
    server_gets("Parse - x; Flush; Bind; Execute; Query a; Flush");
    the_server_is_not_free();
    client_sends("Sync");
    server_sends("ReadyForQuery I");
    the_server_is_free();
}

/* statement_timeout goes on between the messages of a batch; that it is over is said when the
 * next message has been read, and a Flush has no answer of its own. */
Story(an_error_between_two_messages_begins_the_skipping_too)
{
    exchange("Parse - x; Flush", "ParseComplete");
    exchange("Flush", "ErrorResponse ERROR");
    the_server_is_not_free();
    cr_assert(!relay.tainted);
    client_sends("Bind; Query a; Sync");
    server_sends("ReadyForQuery I");
    the_server_is_free();
}

/* The error may be the Flush's; then the Query is dropped, and its ReadyForQuery never comes. */
Story(a_query_that_fails_inside_a_batch_taints_the_server)
{
    exchange("Parse - x; Flush", "ParseComplete");
    client_sends("Flush; Query a");
    server_sends("ErrorResponse ERROR");
    cr_assert(relay.tainted);
}

Story(an_error_does_not_reach_beyond_the_sync)
{
    client_sends("Parse - x; Sync; Parse - y; Flush");
    server_sends("ErrorResponse ERROR; ReadyForQuery I; ParseComplete");
    the_server_is_not_free();
    client_sends("Sync");
    server_sends("ReadyForQuery I");
    the_server_is_free();
}

Story(a_query_inside_a_batch_is_legal)
{
    client_sends("Parse - x; Query a; Parse - y; Bind; Sync");
    server_sends("ParseComplete; CommandComplete A; ReadyForQuery I");
    the_server_is_not_free();
    server_sends("ParseComplete; BindComplete; ReadyForQuery I");
    the_server_is_free();
}

Story(a_commit_that_fails_at_the_sync_is_that_syncs_error)
{
    client_sends("Parse - x; Bind; Execute; Sync; Sync");
    server_sends("ParseComplete; BindComplete; CommandComplete INSERT 0 1; ErrorResponse ERROR; "
                 "ReadyForQuery I");
    the_server_is_not_free();
    server_sends("ReadyForQuery I");
    the_server_is_free();
}

Story(what_cannot_be_undone_pins_its_client_and_spoils_its_server)
{
    exchange("Query load 'x'", "CommandComplete LOAD; ReadyForQuery I");
    cr_assert_eq(relay.pinned, 1u << RELAY_PIN_LIBRARY);
    cr_assert(relay.tainted);
}

/* ---- clients without a server ------------------------------------------------------------ */

Story(without_a_server_a_query_stays_where_it_is)
{
    has_server = false;
    client_sends("Query select 1");
    cr_assert_eq(verdict, RELAY_NEEDS_SERVER);
    server_gets("");
    has_server = true;
    client_goes_on();
    server_gets("Query select 1");
}

Story(a_goodbye_is_not_passed_on)
{
    client_sends("Query a; Terminate");
    server_gets("Query a");
    cr_assert_eq(verdict, RELAY_TERMINATED);
}

Story(an_unknown_message_stops_there)
{
    client_sends("Query a; Unknown x");
    server_gets("Query a");
    cr_assert_eq(verdict, RELAY_BROKEN);
}

Story(a_length_that_cannot_be_stops_there)
{
    bytes_add(&kept_client, "Q\0\0\0\3", 5);
    client_goes_on();
    cr_assert_eq(verdict, RELAY_BROKEN);
    bytes_clear(&kept_client);
    bytes_add(&kept_client, "Q\x7f\xff\xff\xff", 5);
    client_goes_on();
    cr_assert_eq(verdict, RELAY_BROKEN);
    server_gets("");
}

/* PostgreSQL would answer it with an error that nobody waits for, and perhaps when the server is
 * somebody else's. */
Story(a_flush_with_a_body_stops_there)
{
    client_sends("Query a; Flush x");
    server_gets("Query a");
    cr_assert_eq(verdict, RELAY_BROKEN);
}

/* ... and this by closing the connection. */
Story(a_copy_fail_longer_than_postgresql_takes_stops_there)
{
    bytes_add(&kept_client, "f\0\0\x27\x11", 5);
    client_goes_on();
    cr_assert_eq(verdict, RELAY_BROKEN);
    server_gets("");
}

/* ---- servers that misbehave -------------------------------------------------------------- */

Story(an_answer_nobody_asked_for_taints_the_server)
{
    server_sends("ReadyForQuery I");
    cr_assert(relay.tainted);
}

Story(an_answer_to_something_else_taints_the_server)
{
    client_sends("Bind; Sync");
    server_sends("ParseComplete");
    cr_assert(relay.tainted);
}

Story(a_server_that_dies_in_a_query_tells_its_client)
{
    client_sends("Query a");
    server_sends("ErrorResponse FATAL");
    client_gets("ErrorResponse FATAL");
    cr_assert(relay.dying);
}

Story(a_server_that_dies_afterwards_tells_nobody)
{
    client_sends("Query a");
    server_sends("CommandComplete A; ReadyForQuery I; ErrorResponse FATAL");
    client_gets("CommandComplete A; ReadyForQuery I");
    cr_assert(relay.dying);
}

Story(nonsense_from_the_server_goes_no_further)
{
    client_sends("Query a");
    bytes_add(&kept_server, "D\0\0\0\1", 5);
    server_goes_on();
    cr_assert_eq(verdict, RELAY_BROKEN);
    client_gets("");
    bytes_clear(&kept_server);
}

/* ---- clients that go --------------------------------------------------------------------- */

static bool client_goes(void)
{
    return relay_abandon(&relay, &sent, &at_server);
}

static void weir_asks(const char *sql)
{
    relay_ask_query(&relay, sql, &at_server);
}

Story(what_a_gone_client_is_owed_goes_to_nobody)
{
    client_sends("Query a");
    server_gets("Query a");
    cr_assert(client_goes());
    server_gets("");
    server_sends("DataRow 1; CommandComplete A; ReadyForQuery T");
    client_gets("");
    weir_asks("ROLLBACK");
    server_gets("Query ROLLBACK");
    server_sends("CommandComplete ROLLBACK; ReadyForQuery I");
    client_gets("");
    the_server_is_free();
    cr_assert(!relay.failed);
}

/* A Sync alone would commit what its client has not. */
Story(a_batch_of_a_gone_client_is_rolled_back)
{
    client_sends("Parse - x; Bind; Execute; Flush");
    server_gets("Parse - x; Bind; Execute; Flush");
    cr_assert(client_goes());
    server_gets("Query ROLLBACK; Sync");
    server_sends("ParseComplete; BindComplete; CommandComplete A; NoticeResponse WARNING");
    server_sends("CommandComplete ROLLBACK; ReadyForQuery I");
    the_server_is_not_free();
    server_sends("ReadyForQuery I");
    client_gets("");
    the_server_is_free();
}

Story(a_batch_of_a_gone_client_that_fails_ends_at_the_sync)
{
    client_sends("Parse - x; Bind; Execute");
    cr_assert(client_goes());
    server_sends("ParseComplete; BindComplete; ErrorResponse ERROR");
    the_server_is_not_free();
    server_sends("ReadyForQuery I");
    the_server_is_free();
    cr_assert(!relay.failed);
}

Story(a_batch_that_has_failed_before_its_client_goes_is_synced)
{
    client_sends("Parse - x; Flush");
    server_sends("ErrorResponse ERROR");
    cr_assert(client_goes());
    server_gets("Parse - x; Flush; Sync");
    server_sends("ReadyForQuery I");
    the_server_is_free();
}

/* Its Query has ended the batch only if the Parse did not fail. */
Story(a_batch_of_a_gone_client_is_synced_though_a_query_ends_it)
{
    client_sends("Parse - x; Query a");
    server_gets("Parse - x; Query a");
    cr_assert(client_goes());
    server_gets("Sync");
    server_sends("ErrorResponse ERROR");
    the_server_is_not_free();
    server_sends("ReadyForQuery I");
    the_server_is_free();
}

Story(a_client_that_goes_in_mid_message_costs_the_server)
{
    struct bytes half = to_bytes(client_names, "FunctionCall one");

    half.length -= 4;
    in_pieces(&half, &kept_client, client_goes_on);
    cr_assert(!client_goes());
}

Story(an_answer_cut_by_the_clients_going_ends_there)
{
    struct bytes row = to_bytes(server_names, "DataRow 1234567890");
    size_t all;

    client_sends("Query a");
    row.length -= 4;
    in_pieces(&row, &kept_server, server_goes_on);
    cr_assert(client_goes());
    all = at_client.length;
    bytes_add(&kept_server, "890", 4);
    server_goes_on();
    server_sends("CommandComplete A; ReadyForQuery I");
    cr_assert_eq(at_client.length, all);
    the_server_is_free();
}

/* ---- limits ------------------------------------------------------------------------------ */

Test(relay, who_sends_too_far_ahead_waits)
{
    piece = 0;
    begin_story();
    for (int i = 0; i < OWED_MOST + 10 && verdict != RELAY_WAITS; i++)
        client_sends("Query a");
    cr_assert_eq(verdict, RELAY_WAITS);
    server_sends("CommandComplete A; ReadyForQuery I");
    client_goes_on();
    cr_assert_eq(verdict, RELAY_GO_ON);
    end_story();
}

Test(relay, a_server_that_owes_something_cannot_be_lent, .signal = SIGABRT)
{
    piece = 0;
    begin_story();
    client_sends("Query a");
    relay_attach(&relay, &sent);
}

/* ---- requests that were refused ---------------------------------------------------------- */

static void weir_refuses(void)
{
    has_server = false;
    sent.refusing = true;
    refusals = 0;
    client_goes_on();
}

Story(a_refused_query_is_swallowed_whole_and_the_next_one_is_not)
{
    has_server = false;
    client_sends("Query a; Query b");
    weir_refuses();
    server_gets("");
    cr_assert_eq(refusals, 1);
    cr_assert_eq(verdict, RELAY_NEEDS_SERVER);
    has_server = true;
    client_goes_on();
    server_gets("Query b");
}

Story(a_refused_batch_is_swallowed_up_to_its_sync)
{
    has_server = false;
    client_sends("Parse - a; Bind; Execute");
    weir_refuses();
    client_sends("Query a; Sync; Parse - b; Sync");
    cr_assert_eq(refusals, 1);
    has_server = true;
    client_goes_on();
    server_gets("Parse - b; Sync");
}
