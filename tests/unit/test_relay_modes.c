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
