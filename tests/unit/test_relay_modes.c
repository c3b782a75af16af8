/*
 * What the relay does for pool_mode = statement and for replication connections.
 */
#include "clean_end.h"
#include "conversation.h"

TestSuite(relay, .fini = clean_end);

/* ---- transaction blocks in statement mode ------------------------------------------------ */

static void blocks_are_not_allowed(void)
{
    relay.by_statement = true;
}

Story(statements_one_after_the_other_pass)
{
    blocks_are_not_allowed();
    exchange("Query select 1", "CommandComplete SELECT 1; ReadyForQuery I");
    exchange("Parse - x; Bind; Execute; Sync",
             "ParseComplete; BindComplete; CommandComplete SELECT 1; ReadyForQuery I");
    the_server_is_free();
    cr_assert(!relay.in_block);
}

Story(a_block_is_kept_from_its_client_with_its_end)
{
    blocks_are_not_allowed();
    client_sends("Query a and begin");
    server_sends("CommandComplete SELECT 1; CommandComplete BEGIN; ReadyForQuery T");
    client_gets("CommandComplete SELECT 1; CommandComplete BEGIN");
    cr_assert(relay.in_block);
    the_server_is_not_free();
}

Story(a_block_that_has_failed_is_one_too)
{
    blocks_are_not_allowed();
    client_sends("Parse - begin; Bind; Execute; Parse - x; Sync");
    server_sends("ParseComplete; BindComplete; CommandComplete BEGIN; ErrorResponse ERROR; "
                 "ReadyForQuery E");
    client_gets("ParseComplete; BindComplete; CommandComplete BEGIN; ErrorResponse ERROR");
    cr_assert(relay.in_block);
}

/* Else the server would do all of it before it can be rolled back. */
Story(what_was_sent_ahead_of_an_answer_waits_for_it)
{
    blocks_are_not_allowed();
    client_sends("Query begin; Query insert; Query commit");
    server_gets("Query begin");
    cr_assert_eq(verdict, RELAY_WAITS);
    server_sends("CommandComplete BEGIN; ReadyForQuery T");
    client_goes_on();
    server_gets("");
}

Story(a_batch_waits_for_the_one_before_it_and_not_for_itself)
{
    blocks_are_not_allowed();
    client_sends("Parse - x; Bind; Execute; Sync; Parse - y; Sync; FunctionCall f; Sync");
    server_gets("Parse - x; Bind; Execute; Sync");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
    client_goes_on();
    server_gets("Parse - y; Sync");
    server_sends("ParseComplete; ReadyForQuery I");
    client_goes_on();
    server_gets("FunctionCall f");
    server_sends("FunctionCallResponse; ReadyForQuery I");
    client_goes_on();
    server_gets("Sync");
}

Story(a_query_dropped_by_a_failed_batch_keeps_nobody_waiting)
{
    blocks_are_not_allowed();
    client_sends("Parse - x; Query a; Sync");
    server_gets("Parse - x; Query a");
    server_sends("ErrorResponse ERROR");
    client_goes_on();
    server_gets("Sync");
    server_sends("ReadyForQuery I");
    the_server_is_free();
}

Story(copied_data_does_not_wait_for_its_own_copy)
{
    blocks_are_not_allowed();
    client_sends("Query copy; CopyData 1");
    server_gets("Query copy; CopyData 1");
    server_sends("CopyInResponse");
    client_sends("Sync; CopyData 2; CopyDone; Query commit");
    server_gets("Sync; CopyData 2; CopyDone");
    server_sends("CommandComplete COPY 2; ReadyForQuery I");
    client_goes_on();
    server_gets("Query commit");
}

/* The COPY may have failed already, and then the server would do it. */
Story(what_is_not_for_a_copy_has_no_place_in_it)
{
    blocks_are_not_allowed();
    exchange("Query begin and copy", "CopyInResponse");
    client_sends("Query rollback and insert");
    server_gets("");
    cr_assert_eq(verdict, RELAY_BROKEN);
}

Story(a_batch_that_copies_may_be_sent_ahead)
{
    blocks_are_not_allowed();
    client_sends("Parse - copy; Bind; Execute; Sync; CopyData 1; CopyDone; Sync");
    server_gets("Parse - copy; Bind; Execute; Sync; CopyData 1; CopyDone");
    server_sends("ParseComplete; BindComplete; CopyInResponse");
    client_goes_on();
    server_gets("Sync");
    server_sends("CommandComplete COPY 1; ReadyForQuery I");
    the_server_is_free();
}

Story(what_weir_asks_is_no_block_of_its_clients)
{
    blocks_are_not_allowed();
    relay_ask_query(&relay, "SET x", &at_server);
    client_sends("Query a");
    server_gets("Query SET x; Query a");
    server_sends("CommandComplete SET; ReadyForQuery I; CommandComplete A; ReadyForQuery I");
    client_gets("CommandComplete A; ReadyForQuery I");
    the_server_is_free();
}

/* ---- replication ------------------------------------------------------------------------- */

static void it_is_a_replication_connection(void)
{
    relay.pinned |= 1u << RELAY_PIN_REPLICATION;
}

Story(a_stream_goes_both_ways_until_both_have_ended_it)
{
    it_is_a_replication_connection();
    exchange("Query START_REPLICATION", "CopyBothResponse");
    exchange("CopyData status", "CopyData wal; CopyData keepalive");
    exchange("CopyData status; CopyData status", "CopyData wal");
    the_server_is_not_free();
    client_sends("CopyDone");
    server_gets("CopyDone");
    server_sends("CopyData wal; CopyDone; CommandComplete COPY 0; ReadyForQuery I");
    client_gets("CopyData wal; CopyDone; CommandComplete COPY 0; ReadyForQuery I");
    cr_assert_not(relay.tainted);
    exchange("Query IDENTIFY_SYSTEM",
             "RowDescription a; DataRow 1; CommandComplete IDENTIFY_SYSTEM; ReadyForQuery I");
    cr_assert_not(relay.tainted);
}

/* At the end of a timeline the server ends the stream, and says then where the next begins. */
Story(a_stream_that_the_server_ends_has_a_result)
{
    it_is_a_replication_connection();
    exchange("Query START_REPLICATION", "CopyBothResponse; CopyData wal; CopyDone");
    exchange("CopyDone", "RowDescription a; DataRow 2; CommandComplete START_STREAMING; "
                         "CommandComplete X; ReadyForQuery I");
    cr_assert_not(relay.tainted);
}

Story(a_stream_that_is_canceled_may_be_followed_by_another)
{
    it_is_a_replication_connection();
    exchange("Query START_REPLICATION", "CopyBothResponse; CopyData wal");
    client_sends("CopyData status");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    client_sends("CopyData late");
    client_gets("ErrorResponse ERROR; ReadyForQuery I");
    server_gets("CopyData status; CopyData late");
    exchange("Query START_REPLICATION", "CopyBothResponse; CopyData wal");
    cr_assert_not(relay.tainted);
}

Story(a_base_backup_is_results_and_copies_in_one_answer)
{
    it_is_a_replication_connection();
    exchange("Query BASE_BACKUP",
             "RowDescription a; DataRow 1; CommandComplete SELECT; RowDescription b; DataRow 2; "
             "CommandComplete SELECT; CopyOutResponse; CopyData x; CopyData y; CopyDone; "
             "RowDescription c; DataRow 3; CommandComplete SELECT; CommandComplete SELECT; "
             "ReadyForQuery I");
    cr_assert_not(relay.tainted);
}

Story(an_idle_replication_connection_hears_of_its_servers_end)
{
    it_is_a_replication_connection();
    server_sends("ErrorResponse FATAL");
    client_gets("ErrorResponse FATAL");
    cr_assert(relay.dying);
}

Story(a_replication_connection_cannot_be_kept_when_its_client_goes)
{
    it_is_a_replication_connection();
    cr_assert_not(relay_abandon(&relay, &sent, &at_server));
    server_gets("");
}
