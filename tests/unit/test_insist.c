/*
 * Cancels that may have come too early, and are sent again. Each story is told again cut into
 * pieces.
 */
#include "drivers/postgres/insist.h"

#include "clean_end.h"
#include "conversation.h"

TestSuite(relay, .fini = clean_end);

static struct insist insist;
static uint64_t now;

static void at(uint64_t when)
{
    now = when;
}

static void it_is_canceled(void)
{
    at(0);
    insist_begin(&insist, &relay.owed, now);
}

/* What a timer would do. */
static bool again(void)
{
    return insist.due <= now && insist_again(&insist, &relay.owed, now);
}

Story(it_is_sent_again_while_the_request_is_owed)
{
    client_sends("Query a");
    it_is_canceled();
    at(99);
    cr_assert(!again());
    at(100);
    cr_assert(again());
    cr_assert_eq(insist.due, 300);
    at(299);
    cr_assert(!again());
    at(300);
    cr_assert(again());
}

Story(not_for_ever)
{
    unsigned times = 0;

    client_sends("Query a");
    it_is_canceled();
    for (at(0); now < 100000; now++)
        times += again();
    cr_assert_eq(times, INSIST_MOST);
    cr_assert_eq(insist.due, INSIST_NEVER);
}

Story(not_once_it_was_answered)
{
    exchange("Query x", "CommandComplete X; ReadyForQuery I");
    client_sends("Query a");
    it_is_canceled();
    the_server_is_not_free();
    server_sends("ErrorResponse ERROR; ReadyForQuery I");
    the_server_is_free();
    client_sends("Query b");
    at(100);
    cr_assert(!again());
    cr_assert_eq(insist.due, INSIST_NEVER);
}

Story(nor_once_it_was_answered_before_a_sync)
{
    client_sends("Parse - a; Bind; Execute; Flush");
    it_is_canceled();
    server_sends("ParseComplete; BindComplete; CommandComplete A");
    client_sends("Bind; Execute; Sync");
    at(100);
    cr_assert(!again());
    cr_assert_eq(insist.due, INSIST_NEVER);
}

Story(nor_once_there_was_no_more_to_it)
{
    client_sends("Parse - a; Flush");
    it_is_canceled();
    server_sends("ParseComplete");
    client_sends("Bind; Execute; Sync");
    at(100);
    cr_assert(!again());
    cr_assert_eq(insist.due, INSIST_NEVER);
}

Story(a_batch_is_a_request)
{
    client_sends("Parse - begin; Bind; Execute; Parse - a; Bind; Execute; Sync");
    it_is_canceled();
    at(100);
    cr_assert(again());
    server_sends("ParseComplete; BindComplete; CommandComplete BEGIN; ParseComplete; BindComplete");
    at(300); /* the second of its statements may not have been meant */
    cr_assert(!again());
}

Story(its_sync_may_come_later)
{
    client_sends("Parse - a; Bind; Execute; Flush");
    it_is_canceled();
    server_sends("ParseComplete; BindComplete; DataRow 1");
    client_sends("Sync");
    at(100);
    cr_assert(again());
}

Story(who_sends_more_meanwhile_is_not_hit_by_it)
{
    client_sends("Query a");
    it_is_canceled();
    client_sends("Query b");
    at(100);
    cr_assert(!again());
    server_sends("CommandComplete A; ReadyForQuery I");
    at(300);
    cr_assert(!again());
    cr_assert_eq(insist.due, INSIST_NEVER);
}

Story(nor_is_more_of_its_batch)
{
    client_sends("Parse - a; Bind; Execute; Flush");
    it_is_canceled();
    client_sends("Bind; Execute; Flush");
    at(100);
    cr_assert(!again());
}

Story(of_two_requests_neither)
{
    client_sends("Query a; Query b");
    it_is_canceled();
    cr_assert_eq(insist.due, INSIST_NEVER);
}

/* Settings, or a BEGIN, that went ahead in the same write (trap 30). */
Story(what_weir_has_asked_ahead_of_it_is_not_hit)
{
    struct bytes ahead = {0};

    relay_ask_query(&relay, "set a", &ahead);
    bytes_free(&ahead);
    client_sends("Query a");
    it_is_canceled();
    cr_assert(insist_is_early(&insist, &relay.owed));
    for (at(0); now < 10000; now++)
        cr_assert(!again());
    server_sends("CommandComplete SET; ReadyForQuery I");
    cr_assert(!insist_is_early(&insist, &relay.owed));
    at(10100);
    cr_assert(again());
    server_sends("CommandComplete A; ReadyForQuery I");
    at(20000);
    cr_assert(!again());
}

Story(nor_is_what_weir_asks_for_itself)
{
    struct bytes ahead = {0};

    relay_ask_query(&relay, "select", &ahead);
    bytes_free(&ahead);
    it_is_canceled();
    cr_assert_eq(insist.due, INSIST_NEVER);
}

/* The client has gone, and what it has begun is undone. */
Story(nor_what_undoes_it)
{
    struct bytes out = {0};

    client_sends("Parse - a; Bind; Execute");
    cr_assert(relay_abandon(&relay, &sent, &out));
    bytes_free(&out);
    it_is_canceled();
    at(100);
    cr_assert(!again());
}

Story(copied_data_are_no_request)
{
    client_sends("Query copy t from stdin; CopyData 1");
    it_is_canceled();
    client_sends("CopyData 2");
    at(100);
    cr_assert(again());
}
