/*
 * Prepared statements when they are not what they were: forgotten by SQL, or planned for a table
 * that has changed.
 */
#include "clean_end.h"
#include "conversation_names.h"

TestSuite(relay, .fini = clean_end);

/* ---- SQL that speaks of them ------------------------------------------------------------- */

/* psycopg: prepared by the protocol, and forgotten by SQL. */
Story(deallocate_finds_what_the_protocol_prepared)
{
    prepare("s1", "select");
    exchange("Query deallocate s1", "CommandComplete DEALLOCATE; ReadyForQuery I");
    cr_assert_eq(sent.names.count, 0);
    cr_assert_eq(relay.names.on_server.count, 0);
    prepare("s1", "other");
    the_server_is_free();
}

Story(on_a_server_that_lacks_it_as_well)
{
    prepare("s1", "select");
    the_client_gets_a_new_server();
    client_sends("Query deallocate s1");
    server_gets("Parse s1 select; Sync; Query deallocate s1");
    server_sends("ParseComplete; ReadyForQuery I; CommandComplete DEALLOCATE; ReadyForQuery I");
    client_gets("CommandComplete DEALLOCATE; ReadyForQuery I");
    cr_assert_eq(sent.names.count, 0);
    the_server_is_free();
}

Story(a_deallocate_that_fails_has_forgotten_nothing)
{
    prepare("s1", "select");
    exchange("Query deallocate s1", "ErrorResponse ERROR; ReadyForQuery I");
    cr_assert_eq(sent.names.count, 1);
    cr_assert_eq(relay.names.on_server.count, 1);
}

Story(nobody_deallocates_or_executes_what_is_anothers)
{
    prepare("s1", "mine");
    another_client_comes();
    client_sends("Query execute s1");
    server_gets("Close S s1; Sync; Query execute s1");
    server_sends("CloseComplete; ReadyForQuery I; ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
}

Story(prepare_is_not_disturbed_by_what_is_anothers)
{
    prepare("s1", "mine");
    another_client_comes();
    client_sends("Query prepare s1 as select");
    server_gets("Close S s1; Sync; Query prepare s1 as select");
}

Story(execute_runs_what_the_client_calls_so)
{
    prepare("s1", "mine");
    another_client_comes();
    client_sends("Parse s1 yours; Sync");
    server_sends("ParseComplete; ReadyForQuery I");
    at_server.length = 0;
    client_sends("Query execute s1");
    server_gets("Close S s1; Parse s1 yours; Sync; Query execute s1");
}

/* In a pipeline it comes as a batch. */
Story(deallocate_may_come_as_a_batch)
{
    prepare("s1", "select");
    exchange("Parse - deallocate s1; Bind; Execute; Sync",
             "ParseComplete; BindComplete; CommandComplete DEALLOCATE; ReadyForQuery I");
    cr_assert_eq(sent.names.count, 0);
    client_sends("Parse s1 select; Sync");
    server_gets("Close S s1; Parse s1 select; Sync");
}

Story(what_follows_waits_until_all_are_forgotten)
{
    prepare("s1", "select");
    client_sends("Query deallocate all; Parse s1 select; Bind s1; Execute; Sync");
    server_gets("Query deallocate all");
    server_sends("CommandComplete DEALLOCATE ALL; ReadyForQuery I");
    client_goes_on();
    server_gets("Parse s1 select; Bind s1; Execute; Sync");
}

/* ---- trap 48: "cached plan must not change result type" ---------------------------------- */

#define STALE "ErrorResponse STALE; ReadyForQuery I"
#define DESCRIBED                                                                                  \
    "BindComplete; RowDescription a; DataRow 1; CommandComplete SELECT 1; ReadyForQuery I"

static void weir_repeats(void)
{
    struct relay_plan plan;

    while (relay_repeat(&relay, &plan))
        add_plan(&at_server, &plan);
}

Story(what_a_server_has_planned_for_another_table_is_prepared_and_run_again)
{
    prepare("s1", "select");
    client_sends("Bind s1; Describe P; Execute; Sync");
    server_gets("Bind s1; Describe P; Execute; Sync");
    server_sends(STALE);
    client_gets(piece == 0 ? "" : "ErrorResponse STALE; ReadyForQuery I");
    if (piece != 0) /* it did not come at once: so it was not kept */
        return;
    the_server_is_not_free();
    weir_repeats();
    server_gets("Close S s1; Parse s1 select; Bind s1; Describe P; Execute; Sync");
    server_sends("CloseComplete; ParseComplete; " DESCRIBED);
    client_gets(DESCRIBED);
    the_server_is_free();
    weir_repeats();
    exchange("Bind s1; Execute; Sync", SERVED);
}

Story(what_fails_again_is_the_clients_error)
{
    prepare("s1", "select");
    client_sends("Bind s1; Describe P; Execute; Sync");
    server_gets("Bind s1; Describe P; Execute; Sync");
    server_sends(STALE);
    if (piece != 0)
        at_client.length = 0;
    weir_repeats();
    if (piece != 0)
        return;
    server_gets("Close S s1; Parse s1 select; Bind s1; Describe P; Execute; Sync");
    server_sends("CloseComplete; ParseComplete; " STALE);
    client_gets(STALE);
}

Story(nothing_is_run_again_in_a_transaction_or_behind_something_else)
{
    prepare("s1", "select");
    exchange("Query begin", "CommandComplete BEGIN; ReadyForQuery T");
    exchange("Bind s1; Execute; Sync", "ErrorResponse STALE; ReadyForQuery E");
    exchange("Query rollback", "CommandComplete ROLLBACK; ReadyForQuery I");
    client_sends("Bind s1; Describe P; Execute; Sync; Query next");
    server_gets("Close S s1; Parse s1 select; Bind s1; Describe P; Execute; Sync; Query next");
    server_sends("CloseComplete; ParseComplete; " STALE "; CommandComplete A; ReadyForQuery I");
    client_gets(STALE "; CommandComplete A; ReadyForQuery I");
}

Story(what_follows_waits_for_it)
{
    prepare("s1", "select");
    client_sends("Bind s1; Describe P; Execute; Sync");
    if (piece != 0)
        return;
    server_sends("ErrorResponse STALE");
    client_sends("Query next");
    cr_assert_eq(verdict, RELAY_WAITS);
    server_gets("Bind s1; Describe P; Execute; Sync");
    server_sends("ReadyForQuery I");
    weir_repeats();
    client_goes_on();
    server_gets("Close S s1; Parse s1 select; Bind s1; Describe P; Execute; Sync; Query next");
}

/* It knows how to read the old rows and would take the new ones for them. */
Story(nothing_is_run_again_for_who_asks_for_no_description)
{
    prepare("s1", "select");
    exchange("Bind s1; Execute; Sync", STALE);
    client_sends("Bind s1; Execute; Sync");
    server_gets("Close S s1; Parse s1 select; Bind s1; Execute; Sync");
}

Story(what_is_described_anew_may_be_what_the_server_has)
{
    prepare("s1", "select");
    another_client_comes();
    client_sends("Parse s1 select; Describe S s1; Sync");
    server_gets("Describe S s1; Sync");
    if (piece != 0)
        return;
    server_sends(STALE);
    client_gets("ParseComplete");
    weir_repeats();
    server_gets("Close S s1; Parse s1 select; Describe S s1; Sync");
}
