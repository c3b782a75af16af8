/*
 * What only the hostile and the hasty do with prepared statements: nobody gets what is another's,
 * and nobody waits for ever.
 */
#include "clean_end.h"
#include "conversation_names.h"

TestSuite(relay, .fini = clean_end);

Story(what_follows_waits_for_what_a_deallocate_comes_to)
{
    prepare("s1", "select");
    client_sends("Query deallocate s1; Close S s1; Sync");
    server_gets("Query deallocate s1");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    client_goes_on();
    server_sends("ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I; CloseComplete; ReadyForQuery I");
    cr_assert_eq(sent.names.count, 0);
}

Story(nor_is_it_mistaken_for_one_that_the_server_must_forget)
{
    prepare("s1", "a");
    prepare("s2", "b");
    prepare("s3", "c");
    prepare("s4", "d");
    client_sends("Parse - deallocate s2; Bind; Execute; Sync");
    server_gets("Parse - deallocate s2; Bind; Execute; Sync");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I");
    cr_assert_eq(sent.names.count, 4);
    cr_assert_eq(relay.names.on_server.count, 4);
}

/* The Query itself is going to fail. */
Story(what_cannot_be_parsed_ahead_of_a_query_is_one_error_and_not_two)
{
    prepare("s1", "select");
    the_client_gets_a_new_server();
    client_sends("Query execute s1");
    server_gets("Parse s1 select; Sync; Query execute s1");
    server_sends("ErrorResponse ERROR; ReadyForQuery I; ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
}

/* The server keeps what EXECUTE is going to need. */
Story(nothing_is_forgotten_ahead_of_execute)
{
    prepare("s1", "a");
    prepare("s2", "b");
    prepare("s3", "c");
    prepare("s4", "d");
    client_sends("Parse - execute s1; Bind; Execute; Sync");
    server_gets("Parse - execute s1; Bind; Execute; Sync");
}

/* ---- what only the hostile do ------------------------------------------------------------ */

/* The Parse was dropped with its batch: what there is, is another's. */
Story(a_parse_without_a_name_that_was_dropped_gives_nobody_anothers)
{
    exchange("Parse - secret; Bind; Execute; Sync", "ParseComplete; " SERVED);
    another_client_comes();
    client_sends("Parse s1 bad; Parse - x; Sync; Bind; Execute; Sync");
    server_gets("Parse s1 bad; Parse - x; Sync");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    client_goes_on();
    server_gets("Close S; Bind; Execute; Sync");
    server_sends("CloseComplete; ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I; ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
}

Story(nor_does_one_that_failed)
{
    exchange("Parse - secret; Bind; Execute; Sync", "ParseComplete; " SERVED);
    another_client_comes();
    exchange("Parse - bad; Sync", "ErrorResponse ERROR; ReadyForQuery I");
    client_sends("Bind; Execute; Sync");
    server_gets("Close S; Bind; Execute; Sync");
}

Story(a_query_that_was_dropped_leaves_the_unnamed_one_where_it_is)
{
    exchange("Query begin", "CommandComplete BEGIN; ReadyForQuery T");
    exchange("Parse - x; Sync", "ParseComplete; ReadyForQuery T");
    exchange("Parse s1 bad; Query a; Sync", "ErrorResponse ERROR; ReadyForQuery E");
    exchange("Bind; Execute; Sync", "ErrorResponse ERROR; ReadyForQuery E");
}

/* In the middle of a message from the server there is no place for another. */
Story(what_is_answered_here_waits_for_the_end_of_a_message)
{
    prepare("s1", "select");
    client_sends("Describe S s1; Close S s1");
    server_gets("Describe S s1");
    bytes_add(&kept_server,
              "T\0\0\0\x0c"
              "1234",
              9);
    server_goes_on();
    client_sends("Flush");
    the_server_is_not_free();
    bytes_add(&kept_server, "5678", 4);
    server_goes_on();
    client_gets("RowDescription 12345678; CloseComplete");
}

/* As many as one plan has room for, and more, and no message behind them. */
Story(nothing_answered_here_is_forgotten_for_want_of_room)
{
    char expected[600] = "BindComplete";

    prepare("s1", "select");
    client_sends("Bind s1");
    for (int i = 0; i < 20; i++) {
        client_sends(i % 2 == 0 ? "Close S s1" : "Parse s1 select");
        strcat(expected, i % 2 == 0 ? "; CloseComplete" : "; ParseComplete");
    }
    client_sends("Flush");
    server_sends("BindComplete");
    client_gets(expected);
}

/* Names as long as they may be, and more statements than the server may keep. */
Story(there_is_room_for_all_that_goes_ahead)
{
#define NAME_61 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"
    char story[200];

    for (int i = 0; i < 20; i++) {
        snprintf(story, sizeof(story), "Parse " NAME_61 "%02d a%d", i, i);
        client_sends(story);
    }
    client_sends("Sync");
    for (int i = 0; i < 20; i++)
        server_sends("ParseComplete");
    server_sends("ReadyForQuery I");
    the_server_is_free();
    client_sends("Describe S " NAME_61 "19; Sync; Describe S " NAME_61 "18; Sync; "
                 "Describe S " NAME_61 "17; Sync; Describe S " NAME_61 "16; Sync; "
                 "Describe S " NAME_61 "15; Sync; Describe S " NAME_61 "14; Sync");
    cr_assert_eq(kept_client.length, 0);
}

/* That the transaction has failed does not mean that it goes on. */
Story(nor_behind_a_rollback_does_anybody_execute_what_is_anothers)
{
    prepare("s1", "secret");
    another_client_comes();
    exchange("Query begin; Query bad", "CommandComplete BEGIN; ReadyForQuery T; "
                                       "ErrorResponse ERROR; ReadyForQuery E");
    client_sends("Query rollback; Query execute s1");
    server_gets("Query rollback");
    server_sends("CommandComplete ROLLBACK; ReadyForQuery I");
    client_goes_on();
    server_gets("Close S s1; Sync; Query execute s1");
}

/* In a batch as well: no Sync of ours can end what goes ahead, but an error is not possible. */
Story(not_even_in_mid_batch_does_anybody_execute_what_is_anothers)
{
    prepare("s1", "mine");
    another_client_comes();
    exchange("Parse - x; Flush", "ParseComplete");
    client_sends("Query execute s1");
    server_gets("Close S s1; Query execute s1");
}

/* A batch that may fail is ended by its client's own Sync alone: up to that all is dropped. */
Story(no_sync_of_ours_ends_the_batch_of_a_client)
{
    prepare("s1", "a");
    the_client_gets_a_new_server();
    client_sends("Parse - bad; Query x; Query deallocate s1");
    server_gets("Parse - bad; Query x; Parse s1 a; Query deallocate s1");
    server_sends("ErrorResponse ERROR");
    client_gets("ErrorResponse ERROR");
    exchange("Sync", "ReadyForQuery I");
    the_server_is_free();
}

/* It waits for an answer that comes behind what it has not sent. */
Story(nobody_waits_for_itself_in_the_middle_of_a_copy)
{
    client_sends("Parse c copy; Bind c; Execute; Parse s1 a; Sync; Bind s1");
    server_sends("ParseComplete; BindComplete; CopyInResponse x");
    client_goes_on();
    cr_assert_eq(verdict, RELAY_BROKEN);
}

/* ---- statements too long to be kept ------------------------------------------------------ */

static void send_a_long_one(const char *name)
{
    struct bytes story = {0};

    bytes_print(&story, "Parse %s %033000d; Sync", name, 0);
    bytes_add(&story, "", 1);
    client_sends((const char *)story.at);
    bytes_free(&story);
    bytes_clear(&at_server);
}

static void prepare_a_long_one(const char *name)
{
    send_a_long_one(name);
    server_sends("ParseComplete; ReadyForQuery I");
    client_gets("ParseComplete; ReadyForQuery I");
}

Story(a_long_statement_that_cannot_be_parsed_keeps_none)
{
    send_a_long_one("long");
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    client_gets("ErrorResponse ERROR; ReadyForQuery I");
    cr_assert_eq(relay.pinned, 0);
    the_server_is_free();
}

/* Nobody else could use it, nor would the server ever forget it. */
Story(it_does_if_its_client_has_gone_meanwhile)
{
    struct bytes out = {0};

    send_a_long_one("long");
    cr_assert(relay_abandon(&relay, &sent, &out));
    server_sends("ParseComplete; ReadyForQuery I");
    cr_assert_eq(relay.pinned, 1u << RELAY_PIN_STATEMENT);
    bytes_free(&out);
}

Story(a_long_statement_keeps_its_server_which_does_not_forget_it)
{
    prepare_a_long_one("long");
    cr_assert_eq(relay.pinned, 1u << RELAY_PIN_STATEMENT);
    prepare("s1", "a");
    prepare("s2", "b");
    prepare("s3", "c");
    client_sends("Bind long; Execute; Sync");
    server_gets("Bind long; Execute; Sync");
    server_sends(SERVED);
    client_gets(SERVED);
    client_sends("Bind s3; Execute; Sync");
    server_gets("Close S s1; Bind s3; Execute; Sync");
}

Story(until_it_is_closed)
{
    prepare_a_long_one("long");
    exchange("Close S long; Sync", "CloseComplete; ReadyForQuery I");
    cr_assert_eq(sent.names.count, 0);
    cr_assert_eq(relay.names.on_server.count, 0);
    prepare("long", "a");
}
