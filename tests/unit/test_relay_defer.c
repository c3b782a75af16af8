/*
 * Transactions that no server knows of yet. Each story is told again cut into pieces.
 */
#include "clean_end.h"
#include "conversation.h"

TestSuite(relay, .fini = clean_end);

static void without_a_server(void)
{
    has_server = false;
    sent.defers = true;
}

static void it_gets_a_server(void)
{
    has_server = true;
    client_goes_on();
}

Story(a_begin_is_answered_here_and_goes_ahead_of_what_follows)
{
    without_a_server();
    client_sends("Query begin");
    client_gets("CommandComplete BEGIN; ReadyForQuery T");
    cr_assert_eq(verdict, RELAY_GO_ON);
    client_sends("Query select 1");
    cr_assert_eq(verdict, RELAY_NEEDS_SERVER);
    it_gets_a_server();
    server_gets("Query begin; Query select 1");
    server_sends("CommandComplete BEGIN; ReadyForQuery T; CommandComplete SELECT 1; "
                 "ReadyForQuery T");
    client_gets("CommandComplete SELECT 1; ReadyForQuery T");
    the_server_is_not_free();
    exchange("Query commit", "CommandComplete COMMIT; ReadyForQuery I");
    the_server_is_free();
    cr_assert_eq(transactions, 1);
}

Story(so_it_is_ahead_of_a_batch)
{
    without_a_server();
    client_sends("Query start transaction read only; Parse - x; Bind; Execute; Sync");
    client_gets("CommandComplete START TRANSACTION; ReadyForQuery T");
    it_gets_a_server();
    server_gets("Query start transaction read only; Parse - x; Bind; Execute; Sync");
}

Story(a_transaction_in_which_nothing_happens_takes_no_server)
{
    without_a_server();
    client_sends("Query BEGIN; Query COMMIT");
    client_gets("CommandComplete BEGIN; ReadyForQuery T; CommandComplete COMMIT; ReadyForQuery I");
    client_sends("Query begin isolation level repeatable read; Query rollback");
    client_gets("CommandComplete BEGIN; ReadyForQuery T; CommandComplete ROLLBACK; "
                "ReadyForQuery I");
    client_sends("Query commit");
    cr_assert_eq(verdict, RELAY_NEEDS_SERVER);
}

/* What is not clear, or is no BEGIN, or has company, is PostgreSQL's to judge. */
Story(nothing_else_is_answered_here)
{
    static const char *const others[] = {
        "Query begin nonsense",
        "Query select 1",
        "Query commit",
        "Query beg",
        "Query",
        "Query begin isolation level",
        "Query begin read write",
        "Query begin isolation level serializable",
    };

    for (size_t i = 0; i < COUNT_OF(others); i++) {
        end_story();
        begin_story();
        without_a_server();
        client_sends(others[i]);
        cr_assert_eq(verdict, RELAY_NEEDS_SERVER, "%s", others[i]);
        client_gets("");
    }
}

Story(a_second_begin_is_the_servers_to_judge)
{
    without_a_server();
    client_sends("Query begin; Query begin");
    cr_assert_eq(verdict, RELAY_NEEDS_SERVER);
    it_gets_a_server();
    server_gets("Query begin; Query begin");
}

Story(only_who_may_defers)
{
    without_a_server();
    sent.defers = false;
    client_sends("Query begin");
    cr_assert_eq(verdict, RELAY_NEEDS_SERVER);
}

/* Its first statement was canceled while it waited for a server. */
Story(a_transaction_that_has_failed_stays_so_until_it_is_ended)
{
    without_a_server();
    client_sends("Query begin; Query a");
    client_gets("CommandComplete BEGIN; ReadyForQuery T");
    sent.refusing = sent.begun_failed = true;
    refusals = 0;
    client_goes_on();
    cr_assert_eq(refusals, 1);
    client_sends("Query b");
    client_gets("ErrorResponse ERROR");
    cr_assert_eq(refusals, 2);
    client_sends("Parse - c; Bind; Execute; Sync");
    client_gets("ErrorResponse ERROR");
    cr_assert_eq(refusals, 3);
    client_sends("Query commit");
    client_gets("CommandComplete ROLLBACK; ReadyForQuery I");
    client_sends("Query b");
    cr_assert_eq(verdict, RELAY_NEEDS_SERVER);
}

Story(a_begin_that_the_server_refuses_ends_its_client)
{
    without_a_server();
    client_sends("Query begin; Query a");
    client_gets("CommandComplete BEGIN; ReadyForQuery T");
    it_gets_a_server();
    server_sends("ErrorResponse ERROR; ReadyForQuery I; CommandComplete A; ReadyForQuery I");
    client_gets("");
    cr_assert(relay.failed);
}

/* What must be alone in its plan finds the BEGIN in it. */
Story(what_cannot_go_with_the_begin_goes_behind_it)
{
    without_a_server();
    client_sends("Query begin; Query execute s1");
    it_gets_a_server();
    server_gets("Query begin");
    cr_assert_eq(verdict, RELAY_WAITS);
    server_sends("CommandComplete BEGIN; ReadyForQuery T");
    client_goes_on();
    server_gets("Query execute s1");
}
