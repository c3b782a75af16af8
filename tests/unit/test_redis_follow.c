#include <criterion/criterion.h>
#include <string.h>

#include "drivers/redis/follow.h"

/* Stories about one client: what it sends, where that goes, and what comes of it. A request is
 * its words; where it goes is one letter: s(hared), o(wn), l(ater), h(ere), b(lind), e(nd). */

static struct follow follow;
static struct trunk_note sent[64]; /* not answered yet */
static size_t first_sent, last_sent;
static bool has_own, is_heavy, is_blocked;

static struct verb_use use_of(const char *words, struct request *request)
{
    *request = (struct request){0};
    while (*words != '\0') {
        size_t length = strcspn(words, " ");

        request->args[request->count++] = (struct slice){(const uint8_t *)words, length};
        words += length + strspn(words + length, " ");
    }
    request->shown = request->count;
    return verb_classify(request);
}

static size_t owed(void)
{
    return last_sent - first_sent;
}

/* Where it goes; what goes over a line of its own is owed an answer. */
static char client_sends(const char *words)
{
    static const char letters[] = {[FOLLOW_SHARE] = 's',
                                   [FOLLOW_OWN] = 'o',
                                   [FOLLOW_LATER] = 'l',
                                   [FOLLOW_HERE] = 'h',
                                   [FOLLOW_END] = 'e'};
    struct follow_where where = {
        .is_owed = owed() > 0, .has_own = has_own, .is_heavy = is_heavy, .is_blocked = is_blocked};
    struct request request;
    struct verb_use use = use_of(words, &request);
    struct follow_plan plan = follow_see(&follow, &use, &where);

    if (plan.step == FOLLOW_OWN && plan.goes_blind)
        return 'b';
    if (plan.step == FOLLOW_OWN) {
        has_own = true;
        is_blocked |= plan.note.is_patient;
        if (plan.note.kind == FOLLOW_SELECT || plan.note.kind == FOLLOW_HELLO)
            plan.note.argument = request.args[1].at[0] - '0';
        follow_sent(&follow, &use);
        sent[last_sent++] = plan.note;
    }
    if (plan.step == FOLLOW_SHARE)
        sent[last_sent++] = plan.note;
    return letters[plan.step];
}

static void redis_answers(const char *reply)
{
    cr_assert_gt(owed(), 0);
    if (sent[first_sent].kind != FOLLOW_PLAIN)
        follow_heard(&follow, &sent[first_sent],
                     (struct slice){(const uint8_t *)reply, strlen(reply)});
    first_sent++;
    if (owed() > 0)
        return;
    is_blocked = false;
    follow_settle(&follow);
    if (follow_is_free(&follow))
        has_own = false;
}

static void begin(void)
{
    follow_init(&follow);
    first_sent = last_sent = 0;
    has_own = is_heavy = is_blocked = false;
}

#define SENDS(words, where)                                                                        \
    do {                                                                                           \
        char to = client_sends(words);                                                             \
        cr_assert_eq(to, (where)[0], "%s went to %c", words, to);                                  \
    } while (0)

TestSuite(redis_follow, .init = begin);

Test(redis_follow, what_needs_nothing_is_shared_however_much_is_owed)
{
    SENDS("GET a", "s");
    SENDS("SET a 1", "s");
    SENDS("UNWATCH", "s");
    SENDS("EXEC", "s"); /* an error, and no more */
}

Test(redis_follow, a_transaction_has_a_line_of_its_own_until_it_was_executed)
{
    SENDS("MULTI", "o");
    SENDS("GET a", "o");
    SENDS("EXEC", "o");
    redis_answers("+OK\r\n");
    redis_answers("+QUEUED\r\n");
    cr_assert(has_own);
    redis_answers("*1\r\n$-1\r\n");
    cr_assert_not(has_own);
    SENDS("GET a", "s");
}

Test(redis_follow, transactions_in_a_row_are_sent_in_a_row)
{
    for (int i = 0; i < 3; i++) {
        SENDS("MULTI", "o");
        SENDS("INCR a", "o");
        SENDS("EXEC", "o");
    }
    for (int i = 0; i < 3; i++) {
        redis_answers("+OK\r\n");
        redis_answers("+QUEUED\r\n");
        redis_answers("*1\r\n:1\r\n");
        cr_assert_eq(has_own, i < 2);
    }
}

Test(redis_follow, what_follows_a_transaction_waits_for_its_end)
{
    SENDS("MULTI", "o");
    SENDS("EXEC", "o");
    SENDS("GET a", "l");
    redis_answers("+OK\r\n");
    SENDS("GET a", "l");
    redis_answers("*0\r\n");
    SENDS("GET a", "s");
}

Test(redis_follow, a_blocking_request_waits_for_what_was_asked_before)
{
    SENDS("SET a 1", "s");
    SENDS("BLPOP q 0", "l");
    redis_answers("+OK\r\n");
    SENDS("BLPOP q 0", "o");
    cr_assert(sent[first_sent].is_patient);
    SENDS("GET a", "l");
    redis_answers("*2\r\n$1\r\nq\r\n$1\r\n1\r\n");
    cr_assert_not(has_own);
}

Test(redis_follow, what_may_take_for_ever_makes_nothing_late_that_was_sent_behind_it)
{
    SENDS("WATCH a", "o");
    SENDS("BLPOP q 0", "o");
    SENDS("MULTI", "l");
    SENDS("BLPOP q 0", "l");
    SENDS("GET a", "l");
    redis_answers("+OK\r\n");
    SENDS("MULTI", "l");
    redis_answers("*-1\r\n");
    SENDS("MULTI", "o");
}

Test(redis_follow, who_watches_keeps_the_line_until_it_does_not)
{
    SENDS("WATCH a", "o");
    redis_answers("+OK\r\n");
    cr_assert(has_own);
    SENDS("GET a", "o");
    redis_answers("$-1\r\n");
    cr_assert(has_own);
    SENDS("UNWATCH", "o");
    redis_answers("+OK\r\n");
    cr_assert_not(has_own);
}

Test(redis_follow, a_watch_ends_with_its_transaction_whether_that_happened_or_not)
{
    const char *const ends[] = {"*0\r\n", "*-1\r\n", "_\r\n", "-EXECABORT Transaction discarded"};

    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        SENDS("WATCH a", "o");
        SENDS("MULTI", "o");
        SENDS("EXEC", "o");
        redis_answers("+OK\r\n");
        redis_answers("+OK\r\n");
        redis_answers(ends[i]);
        cr_assert_not(has_own, "%s", ends[i]);
    }
}

Test(redis_follow, an_exec_that_was_refused_may_have_left_the_transaction_there)
{
    SENDS("MULTI", "o");
    SENDS("EXEC", "o");
    redis_answers("+OK\r\n");
    redis_answers("-NOPERM this user has no permissions to run the 'exec' command\r\n");
    cr_assert(has_own);
    SENDS("GET a", "o");
}

Test(redis_follow, a_multi_that_was_refused_is_none)
{
    SENDS("MULTI", "o");
    SENDS("GET a", "o");
    SENDS("EXEC", "o");
    redis_answers("-NOPERM no\r\n");
    redis_answers("$1\r\na\r\n");
    redis_answers("-ERR EXEC without MULTI\r\n");
    cr_assert_not(has_own);
}

Test(redis_follow, behind_a_multi_that_was_refused_a_watch_is_one)
{
    SENDS("MULTI", "o");
    SENDS("WATCH a", "o");
    SENDS("DISCARD", "o");
    redis_answers("-NOPERM no\r\n");
    redis_answers("+OK\r\n");
    redis_answers("-ERR DISCARD without MULTI\r\n");
    cr_assert(has_own);
    SENDS("UNWATCH", "o");
    redis_answers("+OK\r\n");
    cr_assert_not(has_own);
}

Test(redis_follow, behind_a_multi_that_was_refused_an_unwatch_is_one)
{
    SENDS("WATCH a", "o");
    SENDS("MULTI", "o");
    SENDS("UNWATCH", "o");
    redis_answers("+OK\r\n");
    redis_answers("-NOPERM no\r\n");
    redis_answers("+OK\r\n");
    cr_assert_not(has_own);
}

Test(redis_follow, behind_a_multi_that_was_refused_another_may_not_be)
{
    SENDS("MULTI", "o");
    SENDS("MULTI", "o");
    redis_answers("-NOPERM no\r\n");
    redis_answers("+OK\r\n");
    cr_assert(has_own);
    SENDS("GET a", "o");
}

Test(redis_follow, what_is_queued_by_redis_has_not_happened)
{
    SENDS("WATCH a", "o");
    SENDS("MULTI", "o");
    SENDS("UNWATCH", "o");
    redis_answers("+OK\r\n");
    redis_answers("+OK\r\n");
    redis_answers("+QUEUED\r\n");
    SENDS("WATCH b", "o");
    redis_answers("-ERR WATCH inside MULTI is not allowed\r\n");
    SENDS("DISCARD", "o");
    redis_answers("+OK\r\n");
    cr_assert_not(has_own);
}

/* CLIENT UNBLOCK of what CLIENT PAUSE has stopped: then the command itself is still to come. */
Test(redis_follow, what_was_unblocked_by_another_is_not_lent_to_others)
{
    SENDS("BLPOP q 0", "o");
    redis_answers("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    cr_assert(has_own);
    SENDS("GET a", "o");
}

Test(redis_follow, a_second_multi_inside_the_first_ends_nothing)
{
    SENDS("MULTI", "o");
    SENDS("MULTI", "o");
    redis_answers("+OK\r\n");
    redis_answers("-ERR MULTI calls can not be nested\r\n");
    cr_assert(has_own);
    SENDS("DISCARD", "o");
    redis_answers("+OK\r\n");
    cr_assert_not(has_own);
}

Test(redis_follow, a_database_is_chosen_here_but_for_who_has_a_line_to_keep)
{
    SENDS("SELECT 3", "h");
    SENDS("WATCH a", "o");
    redis_answers("+OK\r\n");
    SENDS("SELECT 4", "o");
    redis_answers("+OK\r\n");
    cr_assert_eq(follow.db, 4);
    SENDS("SELECT 9", "o");
    redis_answers("-ERR DB index is out of range\r\n");
    cr_assert_eq(follow.db, 4);
}

Test(redis_follow, a_select_that_is_queued_happens_unseen_so_the_line_is_kept)
{
    SENDS("MULTI", "o");
    SENDS("SELECT 5", "o");
    SENDS("EXEC", "o");
    redis_answers("+OK\r\n");
    redis_answers("+QUEUED\r\n");
    redis_answers("*1\r\n+OK\r\n");
    cr_assert(has_own);
    SENDS("GET a", "o");
}

Test(redis_follow, nobody_counts_the_replies_of_who_monitors)
{
    SENDS("GET a", "s");
    SENDS("MONITOR", "l");
    redis_answers("$-1\r\n");
    SENDS("MONITOR", "b");
}

Test(redis_follow, subscribing_inside_a_transaction_is_beyond_counting)
{
    SENDS("MULTI", "o");
    redis_answers("+OK\r\n");
    SENDS("SUBSCRIBE a", "b");
}

Test(redis_follow, what_is_known_here_is_asked_here_and_in_its_turn)
{
    SENDS("GET a", "s");
    SENDS("CLIENT SETNAME bob", "l");
    SENDS("CLIENT ID", "l");
    SENDS("QUIT", "l");
    SENDS("RESET", "l");
    redis_answers("$-1\r\n");
    SENDS("CLIENT SETNAME bob", "h");
    SENDS("CLIENT ID", "h");
    SENDS("RESET", "h");
    SENDS("QUIT", "h");
}

Test(redis_follow, who_tracks_keeps_the_line)
{
    SENDS("CLIENT TRACKING ON", "o");
    redis_answers("+OK\r\n");
    cr_assert(has_own);
    SENDS("GET a", "o");
}

Test(redis_follow, large_replies_come_over_a_line_of_ones_own)
{
    is_heavy = true;
    SENDS("GET a", "o");
    SENDS("GET b", "o");
    redis_answers("$1\r\na\r\n");
    redis_answers("$1\r\na\r\n");
    cr_assert_not(has_own);
}

Test(redis_follow, wait_is_about_what_all_have_written_before)
{
    struct follow_where where = {0};
    struct request request;
    struct verb_use use = use_of("WAIT 1 0", &request);

    cr_assert(follow_see(&follow, &use, &where).pings);
}

Test(redis_follow, what_speaks_http_must_go)
{
    SENDS("POST / HTTP/1.1", "e");
}
