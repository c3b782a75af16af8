/*
 * Prepared statements: clients call them what they like, and any server will do. Each story
 * is told again cut into pieces. The traps are those of poolers before this one.
 */
#include "clean_end.h"
#include "conversation_names.h"

TestSuite(relay, .fini = clean_end);

/* ---- one client -------------------------------------------------------------------------- */

Story(a_named_statement_is_passed_on_as_it_came_and_keeps_nobody)
{
    exchange("Parse s1 select; Bind s1; Execute; Sync", "ParseComplete; " SERVED);
    the_server_is_free();
    client_sends("Bind s1; Execute; Sync");
    the_server_is_not_free();
    server_sends(SERVED);
    the_server_is_free();
}

Story(a_server_that_lacks_it_is_told_ahead_of_its_use)
{
    prepare("s1", "select");
    the_client_gets_a_new_server();
    client_sends("Bind s1; Execute; Sync");
    server_gets("Parse s1 select; Bind s1; Execute; Sync");
    server_sends("ParseComplete; BindComplete; CommandComplete SELECT 1; ReadyForQuery I");
    client_gets("BindComplete; CommandComplete SELECT 1; ReadyForQuery I");
    exchange("Bind s1; Execute; Sync", SERVED);
}

Story(so_is_one_that_is_to_describe_it)
{
    prepare("s1", "select");
    the_client_gets_a_new_server();
    client_sends("Describe S s1; Sync");
    server_gets("Parse s1 select; Describe S s1; Sync");
    server_sends("ParseComplete; ParameterDescription; NoData; ReadyForQuery I");
    client_gets("ParameterDescription; NoData; ReadyForQuery I");
    the_server_is_free();
}

/* The error is what the client's own message would have met. */
Story(what_cannot_be_parsed_any_more_is_the_clients_error)
{
    prepare("s1", "select");
    the_client_gets_a_new_server();
    client_sends("Bind s1; Execute; Sync");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
    at_server.length = 0;
    client_sends("Bind s1; Execute; Sync");
    server_gets("Parse s1 select; Bind s1; Execute; Sync");
    server_sends("ParseComplete; " SERVED);
    client_gets(SERVED);
}

/* Trap 14. */
Story(a_statement_whose_parse_failed_is_nobodys)
{
    exchange("Parse s1 selct; Sync", "ErrorResponse ERROR; ReadyForQuery I");
    prepare("s1", "select");
    exchange("Bind s1; Execute; Sync", SERVED);
    cr_assert_eq(sent.names.count, 1);
}

/* Trap 13: the server dropped it, with all that came before the Sync. */
Story(a_parse_behind_an_error_was_never_made)
{
    exchange("Parse - bad; Parse s1 select; Sync", "ErrorResponse ERROR; ReadyForQuery I");
    cr_assert_eq(sent.names.count, 0);
    cr_assert_eq(relay.names.on_server.count, 0);
    prepare("s1", "other");
    exchange("Bind s1; Execute; Sync", SERVED);
}

Story(to_parse_a_name_twice_is_an_error_on_any_server)
{
    prepare("s1", "select");
    exchange("Parse s1 select; Sync", "ErrorResponse ERROR; ReadyForQuery I");
    the_client_gets_a_new_server();
    client_sends("Parse s1 select; Sync");
    server_gets("Parse s1 select; Parse s1 select; Sync");
    server_sends("ParseComplete; ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I");
    exchange("Bind s1; Execute; Sync", SERVED);
}

Story(even_where_another_has_taken_its_name)
{
    prepare("s1", "other");
    another_client_comes();
    prepare("x", "nothing");
    client_sends("Parse s1 mine; Sync");
    server_sends("ParseComplete; ReadyForQuery I");
    at_server.length = at_client.length = 0;
    client_sends("Parse s1 more; Sync");
    server_gets("Parse weir_3 more; Sync");
}

Story(in_one_batch_it_is_made_and_used_and_closed)
{
    client_sends("Parse s1 a; Bind s1; Execute; Close S s1; Parse s1 b; Bind s1; Execute; Sync");
    server_gets("Parse s1 a; Bind s1; Execute; Parse weir_2 b; Bind weir_2; Execute; Sync");
    server_sends("ParseComplete; BindComplete; CommandComplete A; ParseComplete; BindComplete; "
                 "CommandComplete B; ReadyForQuery I");
    client_gets("ParseComplete; BindComplete; CommandComplete A; CloseComplete; ParseComplete; "
                "BindComplete; CommandComplete B; ReadyForQuery I");
    the_server_is_free();
    exchange("Describe S nothing; Sync", "ErrorResponse ERROR; ReadyForQuery I");
}

/* It is not known yet what an earlier batch comes to: that one is answered first. */
Story(a_later_batch_waits_for_what_it_counts_on)
{
    client_sends("Parse s1 a; Sync; Bind s1; Execute; Sync");
    server_gets("Parse s1 a; Sync");
    cr_assert_eq(verdict, RELAY_WAITS);
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    client_goes_on();
    server_gets("Bind s1; Execute; Sync");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I; ErrorResponse ERROR; ReadyForQuery I");
}

Story(a_long_name_means_what_its_beginning_means)
{
#define NAME_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
    prepare(NAME_63 "lmn", "select");
    exchange("Bind " NAME_63 "; Sync", "BindComplete; ReadyForQuery I");
}

/* ---- closing ----------------------------------------------------------------------------- */

/* Others may need it: the server is not asked. */
Story(a_close_is_answered_here_in_its_place)
{
    prepare("s1", "select");
    client_sends("Bind s1; Execute; Close S s1; Sync");
    server_gets("Bind s1; Execute; Sync");
    server_sends("BindComplete; CommandComplete A");
    client_gets("BindComplete; CommandComplete A; CloseComplete");
    server_sends("ReadyForQuery I");
    client_gets("ReadyForQuery I");
    the_server_is_free();
    cr_assert_eq(sent.names.count, 0);
}

/* Trap 8. */
Story(to_close_what_is_not_there_is_no_error)
{
    exchange("Close S s1; Sync", "CloseComplete; ReadyForQuery I");
    the_server_is_free();
}

/* Trap 7. */
Story(to_close_a_portal_closes_no_statement)
{
    prepare("s1", "select");
    exchange("Close Ps1; Sync", "CloseComplete; ReadyForQuery I");
    exchange("Bind s1; Execute; Sync", SERVED);
}

Story(a_close_behind_an_error_was_never_made)
{
    prepare("s1", "select");
    client_sends("Bind s1; Execute; Close S s1; Sync");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I");
    cr_assert_eq(sent.names.count, 1);
}

/* Trap 11: nobody waits for a Sync that may never come. */
Story(what_is_answered_here_is_answered_at_a_flush)
{
    prepare("s1", "select");
    client_sends("Close S s1; Flush");
    client_gets("CloseComplete");
    server_gets("Flush");
    exchange("Sync", "ReadyForQuery I");
    server_gets("");
    the_server_is_free();
}

/* ---- several clients --------------------------------------------------------------------- */

/* Trap 9. */
Story(what_the_server_has_already_is_answered_here_in_its_place)
{
    prepare("s1", "select");
    another_client_comes();
    client_sends("Parse s1 select; Describe S s1; Sync");
    server_gets("Describe S s1; Sync");
    server_sends("ParameterDescription; NoData; ReadyForQuery I");
    client_gets("ParseComplete; ParameterDescription; NoData; ReadyForQuery I");
    client_sends("Parse s1 select; Sync");
    server_gets("Parse s1 select; Sync");
}

Story(it_is_answered_behind_what_came_before_it)
{
    prepare("s1", "select");
    another_client_comes();
    client_sends("Parse - x; Bind; Execute; Parse s1 select; Bind s1; Execute; Sync");
    server_gets("Parse - x; Bind; Execute; Bind s1; Execute; Sync");
    server_sends("ParseComplete; BindComplete; DataRow 1; CommandComplete A; BindComplete; "
                 "CommandComplete B; ReadyForQuery I");
    client_gets("ParseComplete; BindComplete; DataRow 1; CommandComplete A; ParseComplete; "
                "BindComplete; CommandComplete B; ReadyForQuery I");
}

Story(and_not_at_all_behind_an_error)
{
    prepare("s1", "select");
    another_client_comes();
    client_sends("Parse - x; Bind; Execute; Parse s1 select; Sync");
    server_sends("ParseComplete; BindComplete; ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ParseComplete; BindComplete; ErrorResponse ERROR; ReadyForQuery I");
    cr_assert_eq(sent.names.count, 0);
}

Story(the_same_name_may_mean_something_else_to_another)
{
    prepare("s1", "mine");
    another_client_comes();
    client_sends("Parse s1 yours; Bind s1; Execute; Sync");
    server_gets("Parse weir_2 yours; Bind weir_2; Execute; Sync");
    server_sends("ParseComplete; " SERVED);
    client_gets("ParseComplete; " SERVED);
    client_sends("Bind p:s1; Describe S s1; Close S s1; Sync");
    server_gets("Bind p:weir_2; Describe S weir_2; Sync");
}

/* More of ours goes ahead than fits into one plan. */
Story(many_long_names_may_be_needed_at_once)
{
#define LONG_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LONG_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
    prepare(LONG_A, "a");
    prepare(LONG_B, "b");
    prepare(LONG_C, "c");
    the_client_gets_a_new_server();
    client_sends("Bind " LONG_A "; Describe S " LONG_B "; Bind " LONG_C "; Bind " LONG_A "; Sync");
    server_gets("Parse " LONG_A " a; Bind " LONG_A "; Parse " LONG_B " b; Describe S " LONG_B
                "; Parse " LONG_C " c; Bind " LONG_C "; Bind " LONG_A "; Sync");
}

Story(nobody_uses_what_another_has_prepared)
{
    prepare("s1", "secret");
    another_client_comes();
    client_sends("Bind s1; Execute; Sync");
    server_gets("Close S s1; Bind s1; Execute; Sync");
    server_sends("CloseComplete; ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
    cr_assert_eq(relay.names.on_server.count, 0);
}

Story(nor_what_another_has_prepared_without_a_name)
{
    exchange("Parse - secret; Bind; Execute; Sync", "ParseComplete; " SERVED);
    another_client_comes();
    client_sends("Bind; Execute; Sync");
    server_gets("Close S; Bind; Execute; Sync");
    server_sends("CloseComplete; ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I");
}

/* ---- the unnamed statement --------------------------------------------------------------- */

/* asyncpg without its cache: what is parsed and not bound yet is bound next. */
Story(an_unnamed_statement_keeps_its_server_until_it_is_used)
{
    exchange("Parse - x; Describe S; Sync",
             "ParseComplete; ParameterDescription; NoData; ReadyForQuery I");
    cr_assert_eq(relay.pinned, 1u << RELAY_PIN_UNNAMED);
    exchange("Bind; Execute; Sync", SERVED);
    exchange("Parse - y; Bind; Execute; Sync", "ParseComplete; " SERVED);
    cr_assert_eq(relay.pinned, 0);
    the_server_is_free();
}

Story(a_query_ends_that)
{
    exchange("Parse - x; Sync", "ParseComplete; ReadyForQuery I");
    exchange("Query a", "CommandComplete A; ReadyForQuery I");
    cr_assert_eq(relay.pinned, 0);
    client_sends("Bind; Execute; Sync");
    server_gets("Close S; Bind; Execute; Sync");
}

Story(nor_is_it_kept_for_one_that_could_not_be_bound)
{
    exchange("Parse - x; Bind; Execute; Sync",
             "ParseComplete; ErrorResponse ERROR; ReadyForQuery I");
    cr_assert_eq(relay.pinned, 0);
    the_server_is_free();
}

Story(one_that_could_not_be_parsed_keeps_nobody)
{
    exchange("Parse - x; Describe S; Sync", "ErrorResponse ERROR; ReadyForQuery I");
    cr_assert_eq(relay.pinned, 0);
    the_server_is_free();
}

/* ---- limits ------------------------------------------------------------------------------ */

Story(a_server_forgets_what_was_not_used_for_longest)
{
    prepare("s1", "a");
    prepare("s2", "b");
    prepare("s3", "c");
    exchange("Bind s1; Execute; Sync", SERVED);
    prepare("s4", "d");
    client_sends("Bind s1; Execute; Sync");
    server_gets("Close S s2; Bind s1; Execute; Sync");
    server_sends("CloseComplete; " SERVED);
    client_gets(SERVED);
    cr_assert_eq(relay.names.on_server.count, 3);
    client_sends("Bind s2; Execute; Sync");
    server_gets("Parse s2 b; Bind s2; Execute; Sync");
}

/* Trap 12: what a batch has bound may be bound again in it. */
Story(nothing_is_forgotten_in_the_middle_of_a_batch)
{
    client_sends("Parse a a; Parse b b; Parse c c; Parse d d; Parse e e; Flush");
    server_gets("Parse a a; Parse b b; Parse c c; Parse d d; Parse e e; Flush");
    server_sends("ParseComplete; ParseComplete; ParseComplete; ParseComplete; ParseComplete");
    client_sends("Bind a; Execute; Sync");
    server_gets("Bind a; Execute; Sync");
    server_sends(SERVED);
    client_sends("Bind a; Execute; Sync");
    server_gets("Close S b; Close S c; Bind a; Execute; Sync");
}

/* More than the relay can look after, and no Sync yet: the server answers what it can. */
Story(a_batch_may_be_longer_than_what_is_looked_after)
{
    char parse[40];

    for (int i = 0; i < 40; i++) {
        snprintf(parse, sizeof(parse), "Parse s%d a%d", i, i);
        client_sends(parse);
    }
    cr_assert_eq(verdict, RELAY_WAITS);
    cr_assert_eq(at_server.at[at_server.length - 5], WIRE_FLUSH);
    for (int i = 0; i < 40; i++) {
        server_sends("ParseComplete");
        client_goes_on();
    }
    client_sends("Sync");
    server_sends("ReadyForQuery I");
    the_server_is_free();
    cr_assert_eq(sent.names.count, 40);
}

Story(and_so_may_one_that_only_we_answer)
{
    for (int i = 0; i < 40; i++) {
        prepare("s", "a");
        client_sends("Close S s; Sync");
        server_gets("Sync");
        server_sends("ReadyForQuery I");
        client_gets("CloseComplete; ReadyForQuery I");
        at_server.length = 0;
        another_client_comes();
        statement_names_clear(&other_sent.names);
        statement_names_clear(&relay.names.on_server);
    }
}

Story(a_client_has_no_more_of_them_than_it_may)
{
    sent.most_names = 2;
    prepare("s1", "a");
    prepare("s2", "b");
    client_sends("Parse - c; Sync");
    cr_assert_eq(verdict, RELAY_GO_ON);
    client_sends("Parse s3 c; Sync");
    cr_assert_eq(verdict, RELAY_TOO_MANY_NAMES);
}

/* ---- what makes a server forget ---------------------------------------------------------- */

Story(deallocate_all_and_discard_all_forget_all)
{
    prepare("s1", "select");
    exchange("Query deallocate all", "CommandComplete DEALLOCATE ALL; ReadyForQuery I");
    exchange("Bind s1; Sync", "ErrorResponse ERROR; ReadyForQuery I");
    prepare("s1", "select");
    exchange("Query discard all", "CommandComplete DISCARD ALL; ReadyForQuery I");
    prepare("s1", "other");
}

Story(another_clients_names_survive_that_and_are_prepared_again)
{
    prepare("s1", "select");
    another_client_comes();
    exchange("Query discard all", "CommandComplete DISCARD ALL; ReadyForQuery I");
    statement_names_clear(&sent.names);
    relay_detach(&relay);
    sent = other_sent;
    other_sent = (struct relay_sent){0};
    relay_attach(&relay, &sent);
    client_sends("Bind s1; Execute; Sync");
    server_gets("Parse s1 select; Bind s1; Execute; Sync");
}

/* ---- transactions that have failed ------------------------------------------------------- */

/* The server alone knows what may be parsed then: a ROLLBACK may. */
Story(in_a_failed_transaction_the_server_is_asked)
{
    prepare("s1", "rollback");
    another_client_comes();
    exchange("Query a", "ErrorResponse ERROR; ReadyForQuery E");
    client_sends("Parse s1 rollback; Bind s1; Execute; Sync");
    server_gets("Close S s1; Parse s1 rollback; Bind s1; Execute; Sync");
    server_sends("CloseComplete; ParseComplete; BindComplete; CommandComplete ROLLBACK; "
                 "ReadyForQuery I");
    client_gets("ParseComplete; BindComplete; CommandComplete ROLLBACK; ReadyForQuery I");
}

/* ---- clients that vanish ----------------------------------------------------------------- */

Story(what_a_gone_client_has_prepared_the_server_still_has)
{
    struct bytes out = {0};

    client_sends("Parse s1 select; Bind s1; Execute");
    cr_assert(relay_abandon(&relay, &sent, &out));
    statement_names_clear(&sent.names);
    server_sends("ParseComplete; BindComplete; CommandComplete A");
    server_sends("CommandComplete ROLLBACK; ReadyForQuery I; ReadyForQuery I");
    client_gets("");
    the_server_is_free();
    bytes_free(&out);
    relay_attach(&relay, &sent);
    at_server.length = 0;
    client_sends("Parse s1 select; Bind s1; Execute; Sync");
    server_gets("Bind s1; Execute; Sync");
}

/* ---- if nobody looks after names --------------------------------------------------------- */

Story(without_a_limit_a_named_statement_keeps_its_server)
{
    relay_fini(&relay);
    relay_init(&relay, NULL, 0);
    relay_attach(&relay, &sent);
    prepare("s1", "select");
    cr_assert_eq(relay.pinned, 1u << RELAY_PIN_STATEMENT);
    exchange("Bind s1; Execute; Close S s1; Sync",
             "BindComplete; CommandComplete A; CloseComplete; ReadyForQuery I");
}

/* ---- what is counted --------------------------------------------------------------------- */

Story(statements_are_counted_where_they_are_made_prepared_and_bound)
{
    exchange("Parse s1 select; Bind s1; Execute; Sync", "ParseComplete; " SERVED);
    exchange("Bind s1; Execute; Sync", SERVED);
    cr_assert_eq(parsed, 1);
    cr_assert_eq(prepared, 1);
    cr_assert_eq(bound, 2);
    the_client_gets_a_new_server();
    client_sends("Bind s1; Execute; Sync");
    server_gets("Parse s1 select; Bind s1; Execute; Sync");
    server_sends("ParseComplete; " SERVED);
    client_gets(SERVED);
    cr_assert_eq(parsed, 1);
    cr_assert_eq(prepared, 2);
    cr_assert_eq(bound, 3);
    exchange("Parse - select; Bind; Execute; Sync", "ParseComplete; " SERVED);
    cr_assert_eq(parsed, 1);
    cr_assert_eq(prepared, 2);
    cr_assert_eq(bound, 3);
}
