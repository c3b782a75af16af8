/* What a client leaves in a session, told as stories with the relay: what is committed, and what is
 * asked. */
#include "conversation.h"

#include "clean_end.h"

TestSuite(relay, .fini = clean_end);

#define SELECTED "RowDescription x; DataRow x; CommandComplete SELECT 1; ReadyForQuery I"

/* All that has been changed for good, in order, as the owner of a relay takes it. */
static void changed(const char *expected)
{
    char words[1024] = "";
    struct sql_change change;

    while (state_take(&relay.state, &change))
        snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s%.*s=%.*s",
                 words[0] ? "; " : "",
                 change.kind == SQL_CHANGE_RESET       ? "reset "
                 : change.kind == SQL_CHANGE_RESET_ALL ? "reset all "
                 : change.kind == SQL_CHANGE_DISCARD   ? "discard "
                                                       : "",
                 (int)change.name.length, (const char *)change.name.at, (int)change.value.length,
                 (const char *)change.value.at);
    cr_assert_str_eq(words, expected, "in pieces of %zu it is \"%s\", not \"%s\"", piece, words,
                     expected);
}

static void asks(unsigned kinds)
{
    cr_assert_eq(state_question(&relay.state, 0), kinds, "in pieces of %zu it asks %x", piece,
                 state_question(&relay.state, 0));
}

Story(a_set_holds_when_its_transaction_has_committed)
{
    exchange("Query set a = 1", "CommandComplete SET; ReadyForQuery I");
    changed("a=1");
    exchange("Query begin", "CommandComplete BEGIN; ReadyForQuery T");
    exchange("Query set a = 2", "CommandComplete SET; ReadyForQuery T");
    changed("");
    exchange("Query commit", "CommandComplete COMMIT; ReadyForQuery I");
    changed("a=2");
    asks(0);
}

Story(what_was_rolled_back_is_forgotten)
{
    exchange("Query begin", "CommandComplete BEGIN; ReadyForQuery T");
    exchange("Query set a = 2", "CommandComplete SET; ReadyForQuery T");
    exchange("Query rollback", "CommandComplete ROLLBACK; ReadyForQuery I");
    changed("");
    exchange("Query begin", "CommandComplete BEGIN; ReadyForQuery T");
    exchange("Query set a = 3", "CommandComplete SET; ReadyForQuery T");
    exchange("Query x", "ErrorResponse ERROR; ReadyForQuery E");
    exchange("Query commit", "CommandComplete ROLLBACK; ReadyForQuery I");
    changed("");
    asks(0);
}

Story(a_set_that_fails_changes_nothing)
{
    exchange("Query set a = 2", "ErrorResponse ERROR; ReadyForQuery I");
    changed("");
    asks(0);
    exchange("Query set b = 3", "CommandComplete SET; ReadyForQuery I");
    changed("b=3");
}

Story(what_a_savepoint_has_undone_is_to_be_asked)
{
    exchange("Query begin", "CommandComplete BEGIN; ReadyForQuery T");
    exchange("Query set a.b = 2", "CommandComplete SET; ReadyForQuery T");
    exchange("Query rollback to s", "CommandComplete ROLLBACK; ReadyForQuery T");
    exchange("Query commit", "CommandComplete COMMIT; ReadyForQuery I");
    changed("");
    asks(STATE_SETTINGS);
}

Story(a_rollback_and_a_commit_in_one_go_are_not_taken_for_a_rollback)
{
    client_sends("Query begin; Query set a = 2; Query rollback to s; Query commit");
    server_sends(
        "CommandComplete BEGIN; ReadyForQuery T; CommandComplete SET; ReadyForQuery T; "
        "CommandComplete ROLLBACK; ReadyForQuery T; CommandComplete COMMIT; ReadyForQuery I");
    changed("");
    asks(STATE_SETTINGS);
}

Story(each_of_several_sets_has_its_answer)
{
    client_sends("Query set a = 1; Query select 1; Query set b = 2; Query set c = 3");
    server_sends("CommandComplete SET; ReadyForQuery I; " SELECTED "; ErrorResponse ERROR; "
                 "ReadyForQuery I; CommandComplete SET; ReadyForQuery I");
    changed("a=1; c=3");
    asks(0);
}

Story(a_set_local_leaves_nothing)
{
    exchange("Query set local a = 1", "CommandComplete SET; ReadyForQuery I");
    changed("");
    asks(0);
}

Story(resets_are_told_in_their_order)
{
    exchange("Query reset a", "CommandComplete RESET; ReadyForQuery I");
    exchange("Query set b = 1", "CommandComplete SET; ReadyForQuery I");
    changed("reset a=; b=1");
    exchange("Query reset all", "CommandComplete RESET; ReadyForQuery I");
    exchange("Query discard all", "CommandComplete DISCARD ALL; ReadyForQuery I");
    changed("reset all =; discard =");
}

/* The unnamed portal; and a Sync. */
static void client_executes(void)
{
    static const char messages[] = "E\0\0\0\11\0\0\0\0\0S\0\0\0\4";
    struct bytes all = {0};

    bytes_add(&all, messages, sizeof(messages) - 1);
    in_pieces(&all, &kept_client, client_goes_on);
    bytes_clear(&at_server);
}

Story(the_same_in_the_extended_protocol)
{
    client_sends("Parse - set a = 1; Bind");
    client_executes();
    server_sends("ParseComplete; BindComplete; CommandComplete SET; ReadyForQuery I");
    changed("a=1");
    client_sends("Bind");
    client_executes();
    server_sends("BindComplete; CommandComplete SET; ReadyForQuery I");
    changed("a=1");
    asks(0);
}

Story(a_statement_with_a_name_is_looked_at_when_it_is_used)
{
    exchange("Parse s1 set a = 1; Sync", "ParseComplete; ReadyForQuery I");
    client_sends("Bind s1");
    client_executes();
    server_sends("BindComplete; CommandComplete SET; ReadyForQuery I");
    changed("a=1");
    bytes_clear(&at_client);
    exchange("Parse s2 select pg_advisory_lock($1); Sync", "ParseComplete; ReadyForQuery I");
    asks(0);
    client_sends("Bind s2");
    asks(STATE_LOCKS);
}

Story(a_set_whose_text_was_not_seen_makes_it_blind)
{
    exchange("Query what is this", "CommandComplete SET; ReadyForQuery I");
    changed("");
    asks(STATE_SETTINGS);
    cr_assert(relay.state.blind);
    exchange("Query discard all", "CommandComplete DISCARD ALL; ReadyForQuery I");
    changed("discard =");
    cr_assert(!relay.state.blind);
}

Story(what_a_text_hints_at_is_asked_when_it_is_over)
{
    exchange("Query select pg_advisory_lock(1)", SELECTED);
    asks(STATE_LOCKS);
    exchange("Query create temp table t ()", "CommandComplete CREATE TABLE; ReadyForQuery I");
    asks(STATE_LOCKS | STATE_TEMP);
    state_asked(&relay.state);
    asks(0);
    exchange("Query do $$ x $$", "CommandComplete DO; ReadyForQuery I");
    asks(STATE_ANYTHING);
    state_asked(&relay.state);
    exchange("Query drop table t", "CommandComplete DROP TABLE; ReadyForQuery I");
    asks(0);
    cr_assert_eq(state_question(&relay.state, STATE_TEMP), STATE_TEMP);
}

Story(what_was_prepared_may_be_executed)
{
    exchange("Query prepare p as select pg_advisory_lock(1)",
             "CommandComplete PREPARE; ReadyForQuery I");
    state_asked(&relay.state);
    exchange("Query execute p", SELECTED);
    asks(STATE_LOCKS | STATE_PREPARED);
}

Story(names_that_postgresql_does_not_list_are_suspected)
{
    struct slice name;
    size_t at = 0;

    exchange("Query select set_config('App.x', y, false), set_config('work_mem', z, false) from t",
             SELECTED);
    asks(STATE_SETTINGS);
    cr_assert(state_next_suspect(&relay.state, &at, &name));
    cr_assert_eq(name.length, 5);
    cr_assert_eq(memcmp(name.at, "app.x", 5), 0);
    cr_assert(!state_next_suspect(&relay.state, &at, &name));
}

Story(our_question_goes_ahead_of_what_follows_and_its_rows_to_us)
{
    struct bytes out = {0};

    relay_ask_question(&relay, "select", &out);
    bytes_free(&out);
    the_server_is_not_free();
    client_sends("Query a");
    server_sends("RowDescription x; DataRow x; CommandComplete SELECT 1; ReadyForQuery I; "
                 "CommandComplete a; ReadyForQuery I");
    client_gets("CommandComplete a; ReadyForQuery I");
    the_server_is_free();
}

Story(a_question_that_fails_spoils_nothing)
{
    struct bytes out = {0};

    relay_ask_question(&relay, "select", &out);
    bytes_free(&out);
    client_sends("Query a");
    server_sends("ErrorResponse ERROR; ReadyForQuery I; CommandComplete a; ReadyForQuery I");
    client_gets("CommandComplete a; ReadyForQuery I");
    cr_assert(relay.unanswered && !relay.failed);
    the_server_is_free();
}

Story(who_ignores_looks_at_nothing)
{
    relay.state.mode = STATE_IGNORE;
    exchange("Query set a = 1", "CommandComplete SET; ReadyForQuery I");
    exchange("Query select pg_advisory_lock(1)", SELECTED);
    changed("");
    asks(0);
}
