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

/* Who knows what it executes: the server keeps nothing that is another's. */
static void nobody_reaches_what_is_anothers(const char *request)
{
    char own[200];

    prepare("s1", "secret");
    another_client_comes();
    client_sends(request);
    server_gets("Close S s1; Sync");
    cr_assert_eq(verdict, RELAY_WAITS);
    server_sends("CloseComplete; ReadyForQuery I");
    client_gets("");
    client_goes_on();
    snprintf(own, sizeof(own), "%s", request);
    server_gets(own);
    cr_assert_eq(relay.names.on_server.count, 0);
}

Story(explain_execute_reaches_nobodys)
{
    nobody_reaches_what_is_anothers("Query explain execute s1");
}

Story(nor_does_code)
{
    nobody_reaches_what_is_anothers("Query do 'begin execute x end'");
}

Story(nor_what_is_created_from_it)
{
    nobody_reaches_what_is_anothers("Query create table t as execute s1");
}

Story(nor_does_a_statement_with_a_name_of_its_own)
{
    nobody_reaches_what_is_anothers("Parse t explain execute s1");
}

Story(nor_does_a_batch)
{
    nobody_reaches_what_is_anothers("Parse - explain execute s1");
}

Story(what_is_the_clients_own_stays_for_it)
{
    prepare("s1", "mine");
    exchange("Query explain execute s1", "CommandComplete EXPLAIN; ReadyForQuery I");
    cr_assert_eq(relay.names.on_server.count, 1);
}

/* ---- trap 48: "cached plan must not change result type" ---------------------------------- */

#define STALE "ErrorResponse STALE; ReadyForQuery I"
#define DESCRIBED                                                                                  \
    "BindComplete; RowDescription a; DataRow 1; CommandComplete SELECT 1; ReadyForQuery I"

/* The first time that a client has a portal described, weir asks what the statement looks like. */
#define ASKED "Bind s1; Describe S s1; Describe P; Execute; Sync"
#define LOOKED                                                                                     \
    "BindComplete; ParameterDescription; RowDescription a; RowDescription a; DataRow 1; "          \
    "CommandComplete SELECT 1; ReadyForQuery I"

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
    server_gets(ASKED);
    server_sends(STALE);
    client_gets(piece == 0 ? "" : "ErrorResponse STALE; ReadyForQuery I");
    if (piece != 0) /* it did not come at once: so it was not kept */
        return;
    the_server_is_not_free();
    weir_repeats();
    server_gets("Close S s1; Parse s1 select; " ASKED);
    server_sends("CloseComplete; ParseComplete; " LOOKED);
    client_gets(DESCRIBED);
    the_server_is_free();
    weir_repeats();
    exchange("Bind s1; Execute; Sync", SERVED);
}

Story(what_fails_again_is_the_clients_error)
{
    prepare("s1", "select");
    client_sends("Bind s1; Describe P; Execute; Sync");
    server_gets(ASKED);
    server_sends(STALE);
    if (piece != 0)
        at_client.length = 0;
    weir_repeats();
    if (piece != 0)
        return;
    server_gets("Close S s1; Parse s1 select; " ASKED);
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
    server_gets("Close S s1; Parse s1 select; " ASKED "; Query next");
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
    server_gets(ASKED);
    server_sends("ReadyForQuery I");
    weir_repeats();
    client_goes_on();
    server_gets("Close S s1; Parse s1 select; " ASKED "; Query next");
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

/* A server says what the parameters are before it finds that its plan is stale. */
Story(the_parameters_are_described_once)
{
    prepare("s1", "select");
    client_sends("Describe S s1; Sync");
    server_gets("Describe S s1; Sync");
    server_sends("ParameterDescription; " STALE);
    if (piece != 0)
        return;
    client_gets("ParameterDescription");
    weir_repeats();
    server_gets("Close S s1; Parse s1 select; Describe S s1; Sync");
    server_sends("CloseComplete; ParseComplete; ParameterDescription; RowDescription a; "
                 "ReadyForQuery I");
    client_gets("RowDescription a; ReadyForQuery I");
    exchange("Describe S s1; Sync", "ParameterDescription; RowDescription a; ReadyForQuery I");
}

Story(what_the_client_has_got_an_answer_to_is_not_run_again)
{
    struct relay_plan plan;

    prepare("s1", "select");
    prepare("s2", "other");
    client_sends("Bind s1; Describe P; Execute; Bind s2; Describe P; Execute; Sync");
    server_sends("BindComplete; ParameterDescription; RowDescription a; RowDescription a; "
                 "DataRow 1; CommandComplete A; " STALE);
    client_gets("BindComplete; RowDescription a; DataRow 1; CommandComplete A; " STALE);
    cr_assert_not(relay_repeat(&relay, &plan));
    the_server_is_free();
}

/* The second Bind is one of who knows the rows already. */
Story(nor_is_what_binds_something_that_is_not_described)
{
    struct relay_plan plan;

    prepare("s1", "select");
    prepare("s2", "other");
    client_sends("Bind s1; Describe P; Execute; Bind s2; Execute; Sync");
    server_sends(STALE);
    client_gets(STALE);
    cr_assert_not(relay_repeat(&relay, &plan));
}

Story(a_statement_that_was_just_described_is_as_good)
{
    prepare("s1", "select");
    client_sends("Describe S s1; Bind s1; Execute; Sync");
    server_sends(STALE);
    if (piece != 0)
        return;
    at_server.length = 0;
    weir_repeats();
    server_gets("Close S s1; Parse s1 select; Describe S s1; Bind s1; Execute; Sync");
    server_sends("CloseComplete; ParseComplete; ParameterDescription; RowDescription a; " SERVED);
    client_gets("ParameterDescription; RowDescription a; " SERVED);
}
