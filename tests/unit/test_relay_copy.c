/*
 * COPY, where the server reads what is not a request, ignores what is one, and may stop doing so
 * at any time. Stories as in test_relay.c.
 */
#include "clean_end.h"
#include "conversation.h"

TestSuite(relay, .fini = clean_end);

/* ---- from the client, to the client ------------------------------------------------------ */

Story(copy_in_by_query)
{
    exchange("Query copy t from stdin", "CopyInResponse");
    client_sends("CopyData a; CopyData b; CopyDone");
    server_gets("CopyData a; CopyData b; CopyDone");
    the_server_is_not_free();
    server_sends("CommandComplete COPY 2; ReadyForQuery I");
    the_server_is_free();
}

Story(copy_out)
{
    exchange("Query copy t to stdout", "CopyOutResponse; CopyData a; CopyData b; CopyDone; "
                                       "CommandComplete COPY 2; ReadyForQuery I");
    the_server_is_free();
}

Story(a_sync_in_mid_copy_is_ignored_by_the_server_and_owed_by_nobody)
{
    client_sends("Parse - copy; Bind; Execute; Sync");
    server_sends("ParseComplete; BindComplete; CopyInResponse");
    client_sends("CopyData a; CopyDone; Sync");
    the_server_is_not_free();
    server_sends("CommandComplete COPY 1; ReadyForQuery I");
    the_server_is_free();
}

Story(all_of_a_copy_sent_ahead)
{
    client_sends("Parse - copy; Bind; Execute; Sync; CopyData a; CopyDone; Sync; Query a");
    server_sends("ParseComplete; BindComplete; CopyInResponse; CommandComplete COPY 1; "
                 "ReadyForQuery I; CommandComplete A");
    the_server_is_not_free();
    server_sends("ReadyForQuery I");
    the_server_is_free();
}

Story(a_copy_that_fails_swallows_what_the_client_still_sends)
{
    exchange("Query copy t from stdin", "CopyInResponse");
    client_sends("CopyData a");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
    has_server = false; /* it was given back */
    bytes_clear(&at_server);
    client_sends("CopyData b; CopyDone");
    server_gets("");
    cr_assert_eq(kept_client.length, 0);
    client_sends("Query next");
    cr_assert_eq(verdict, RELAY_NEEDS_SERVER);
}

Story(a_failed_copy_with_uncertain_syncs_taints_the_server)
{
    client_sends("Parse - copy; Bind; Execute; Sync");
    server_sends("ParseComplete; BindComplete; CopyInResponse; ErrorResponse ERROR");
    cr_assert(relay.tainted); /* who knows whether that Sync was read before the failure */
}

Story(a_sync_among_copied_data_sent_ahead_is_ignored_too)
{
    client_sends("Parse - copy; Bind; Execute; CopyData a; Sync; CopyData b; CopyDone; Sync");
    server_sends("ParseComplete; BindComplete; CopyInResponse; CommandComplete COPY 2");
    the_server_is_not_free();
    server_sends("ReadyForQuery I");
    the_server_is_free();
}

Story(a_sync_in_mid_copy_of_a_query_leaves_nothing_to_be_synced)
{
    exchange("Query copy t from stdin", "CopyInResponse");
    exchange("CopyData a; Sync; CopyDone", "CommandComplete COPY 1; ReadyForQuery I");
    the_server_is_free();
}

Story(a_function_call_ends_the_batch_of_a_copy_too)
{
    client_sends("Parse - copy; Bind; Execute; Sync; CopyDone; FunctionCall f");
    server_sends("ParseComplete; BindComplete; CopyInResponse; CommandComplete COPY 0; "
                 "FunctionCallResponse r; ReadyForQuery I");
    the_server_is_free();
}

/* Its statement's time may be over when the server reads it; then it is answered after all, with
 * an error and a ReadyForQuery, and one more of each than the relay waits for. */
Story(copied_data_in_a_batch_that_does_not_copy_taints_the_server)
{
    exchange("Parse - x; Flush", "ParseComplete");
    client_sends("CopyData a; Bind; Execute; Sync");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    cr_assert(relay.tainted);
}

Story(copied_data_sent_ahead_in_a_batch_that_does_not_copy_taints_the_server)
{
    client_sends("Parse - x; Bind; Execute 1; CopyData a; Bind; Execute; Sync");
    server_sends("ParseComplete; BindComplete; DataRow 1; PortalSuspended");
    cr_assert(relay.tainted);
}

Story(two_copies_in_one_query)
{
    client_sends("Query copy a; CopyData 1; CopyDone; CopyData 2; CopyDone");
    server_sends("CopyInResponse; CommandComplete COPY 1; CopyInResponse");
    the_server_is_not_free();
    server_sends("CommandComplete COPY 1; ReadyForQuery I");
    the_server_is_free();
}

Story(the_second_copy_of_a_query_does_not_end_with_the_first)
{
    exchange("Query copy a", "CopyInResponse");
    exchange("CopyData 1; CopyDone", "CommandComplete COPY 1; CopyInResponse");
    exchange("Sync; CopyDone", "CommandComplete COPY 0; ReadyForQuery I");
    the_server_is_free();
}

/* ---- of a client that goes --------------------------------------------------------------- */

Story(the_second_copy_of_a_gone_client_is_failed)
{
    exchange("Query copy a", "CopyInResponse");
    exchange("CopyDone", "CommandComplete COPY 0; CopyInResponse");
    bytes_clear(&at_server);
    cr_assert(relay_abandon(&relay, &sent, &at_server));
    server_gets("CopyFail the client has gone");
}

Story(a_copy_of_a_gone_client_is_failed)
{
    exchange("Query copy t from stdin", "CopyInResponse");
    client_sends("CopyData a");
    server_gets("CopyData a");
    cr_assert(relay_abandon(&relay, &sent, &at_server));
    server_gets("CopyFail the client has gone");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    client_gets("");
    the_server_is_free();
}

Story(a_copy_that_begins_after_its_client_went_costs_the_server)
{
    client_sends("Query copy t from stdin");
    cr_assert(relay_abandon(&relay, &sent, &at_server));
    server_sends("CopyInResponse");
    cr_assert(relay.dying);
}
