#include "topics_story.h"

TestSuite(topics_limits, .init = begin, .fini = end);

/* ---- limits ------------------------------------------------------------------------------ */

Test(topics_limits, a_client_has_so_many_names_and_no_more)
{
    subscribes(&ana, "a b c");
    subscribes(&ana, "d e");
    subscribes(&ana, "d");
    pump();
    opens();
    orders_are("open, subscribe a, subscribe b, subscribe c, subscribe d");
    redis_says(SUBSCRIBED_A SUBSCRIBED_B "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:3\r\n"
                                         "*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:4\r\n");
    gets(&ana, SUBSCRIBED_A SUBSCRIBED_B "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:3\r\n"
                                         "-ERR too many subscriptions of one client\r\n"
                                         "*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:4\r\n");
}

Test(topics_limits, all_have_so_many_names_and_no_more)
{
    subscribes(&ana, "a b c d");
    subscribes(&bob, "a e f");
    subscribes(&eva, "a g");
    subscribes(&eva, "a");
    cr_assert_eq(topics_count_names(&topics), 6);
    pump();
    opens();
    leaves(&ana);
    leaves(&bob);
    redis_says(SUBSCRIBED_A SUBSCRIBED_B);
    is_lost();
    opens();
    redis_says(SUBSCRIBED_A);
    gets(&eva, "-ERR too many channels are subscribed to\r\n" SUBSCRIBED_A);
}

Test(topics_limits, a_long_name_is_refused_at_once)
{
    subscribes(&ana, "a_name_of_20_letters a_name_of_21_letters_");
    orders_are("");
    gets(&ana, "-ERR the name of the channel is too long\r\n");
}

/* ---- the link is lost -------------------------------------------------------------------- */

Test(topics_limits, who_may_have_missed_something_is_closed_and_who_has_not_heard_yet_waits)
{
    given_ana_hears_a();
    subscribes(&bob, "a");
    subscribes(&eva, "b");
    orders_are("subscribe b");
    is_lost();
    gets(&ana, "(lost)");
    orders_are("open");
    opens();
    orders_are("subscribe a, subscribe b");
    redis_says(SUBSCRIBED_A SUBSCRIBED_B);
    gets(&bob, PUSHED_A);
    gets(&eva, "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n");
}

Test(topics_limits, who_may_have_missed_something_can_stay_instead)
{
    given_ana_hears_a();
    topics.limits.keep_after_loss = true;
    is_lost();
    gets(&ana, "");
    orders_are("open");
    is_lost();
    orders_are("");
    cr_assert_eq(topics_deadline(&topics), now + 500);
    now += 500;
    orders_are("open");
    opens();
    orders_are("subscribe a");
    redis_says(SUBSCRIBED_A HELLO);
    gets(&ana, HELLO);
}

Test(topics_limits, who_stays_and_is_refused_then_is_closed)
{
    given_all_hear_a();
    topics.limits.keep_after_loss = true;
    is_lost();
    opens();
    redis_says(NOPERM);
    gets(&ana, "(refused)");
    gets(&bob, "(refused)");
    gets(&eva, "(refused)");
    cr_assert_eq(topics_count_names(&topics), 0);
}

Test(topics_limits, what_was_half_said_is_not_continued_by_the_next_link)
{
    given_ana_hears_a();
    topics.limits.keep_after_loss = true;
    redis_says("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$20000\r\nhalf");
    is_lost();
    opens();
    redis_says(SUBSCRIBED_A HELLO);
    gets(&ana, HELLO);
}

Test(topics_limits, after_a_link_that_could_not_be_opened_nobody_waits_for_the_next)
{
    subscribes(&ana, "a");
    unsubscribes(&ana, "");
    orders_are("open");
    is_lost();
    gets(&ana, DOWN "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
    subscribes(&ana, "a");
    orders_are("");
    gets(&ana, DOWN);
    now += 500;
    subscribes(&ana, "a");
    orders_are("open");
}

Test(topics_limits, who_leaves_names_needs_no_link_for_it)
{
    given_ana_hears_a();
    topics.limits.keep_after_loss = true;
    is_lost();
    is_lost();
    orders_are("open");
    unsubscribes(&ana, "");
    orders_are("");
    gets(&ana, LEFT_A);
    now += 500;
    orders_are("");
    cr_assert_eq(topics_deadline(&topics), UINT64_MAX);
}

Test(topics_limits, nobody_waits_for_ever)
{
    subscribes(&ana, "a");
    orders_are("open");
    cr_assert_eq(topics_deadline(&topics), now + 100);
    now += 100;
    orders_are("give up");
    gets(&ana, DOWN);
}

Test(topics_limits, a_batch_that_is_not_answered_is_the_end_of_a_link)
{
    given_ana_hears_a();
    subscribes(&eva, "b");
    orders_are("subscribe b");
    now += 99;
    orders_are("");
    now += 1;
    orders_are("give up, open");
    gets(&ana, "(lost)");
    now += 100;
    orders_are("give up");
    gets(&eva, DOWN);
}

Test(topics_limits, what_nobody_needs_is_closed_after_a_while)
{
    given_ana_hears_a();
    cr_assert_eq(topics_deadline(&topics), UINT64_MAX);
    leaves(&ana);
    orders_are("unsubscribe a");
    redis_says(LEFT_A);
    cr_assert_eq(topics_deadline(&topics), now + 1000);
    now += 1000;
    orders_are("close");
    cr_assert_eq(topics_deadline(&topics), UINT64_MAX);
    subscribes(&eva, "a");
    orders_are("open");
}

Test(topics_limits, a_quiet_link_is_asked_for_a_sign_of_life)
{
    given_ana_hears_a();
    topics.limits.quiet_ms = 50;
    cr_assert_eq(topics_deadline(&topics), now + 50);
    now += 50;
    orders_are("ping");
    redis_says("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    orders_are("");
    now += 50;
    orders_are("ping");
    now += 100;
    orders_are("give up");
    gets(&ana, "(lost)");
}

/* ---- what is not Redis ------------------------------------------------------------------- */

Test(topics_limits, what_redis_would_not_say_is_the_end_of_a_link)
{
    static const char *const nonsense[] = {
        SUBSCRIBED_B,
        "+PONG\r\n",
        "-ERR out of the blue\r\n",
        "$-1\r\n",
        ":1\r\n",
        "+OK\r\n",
        ">3\r\n",
        "*3\r\n$7\r\nmassage\r\n$1\r\na\r\n$1\r\nb\r\n",
        "*4\r\n$7\r\nmessage\r\n",
        "*3\r\n$7\r\nmessage\r\n$-1\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n:1\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\na\n\r$1\r\na\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\naaaa",
        "*3\r\n$7\r\nmessage\r\n$9999999999999999999\r\n",
        "*3\r\n$1000000\r\n",
        "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n",
    };

    topics.limits.keep_after_loss = true;
    subscribes(&ana, "a");
    pump();
    for (size_t i = 0; i < COUNT_OF(nonsense); i++) {
        opens();
        redis_says(SUBSCRIBED_A);
        orders[0] = '\0';
        redis_says(nonsense[i]);
        cr_assert_str_eq(orders, "broken, open", "%s: %s", nonsense[i], orders);
        cr_assert_not(ana.gone);
    }
}

/* It may take its caller a while to close it. */
Test(topics_limits, who_has_missed_something_hears_and_is_told_nothing_more)
{
    struct topics_subscriber *subscriber;
    enum topics_miss why;

    given_all_hear_a();
    topics.limits.keep_after_loss = true;
    is_lost();
    opens();
    topics.limits.keep_after_loss = false;
    subscribes(&ana, "b");
    topics_lost(&topics, now);
    for (unsigned i = 0; i < 3; i++) {
        subscriber = topics_next_missed(&topics, &why);
        cr_assert_not_null(subscriber);
        cr_assert_eq(why, TOPICS_LINK_LOST);
    }
    leaves(&bob);
    now += 500;
    pump();
    opens();
    orders_are("open, subscribe a, open, subscribe a");
    redis_says(SUBSCRIBED_A HELLO);
    gets(&ana, "");
    gets(&eva, "");
    orders_are("");
}

Test(topics_limits, answers_come_in_the_order_of_what_was_asked)
{
    given_ana_hears_a();
    leaves(&ana);
    subscribes(&eva, "b");
    orders_are("unsubscribe a, subscribe b");
    redis_says(SUBSCRIBED_B);
    orders_are("broken, open");
}

Test(topics_limits, nothing_is_asked_before_all_have_been_told)
{
    given_ana_hears_a();
    subscribes(&eva, "b");
    pump();
    subscribes(&bob, "c");
    cr_assert_eq(topics_read(&topics, SLICE(SUBSCRIBED_B), &(size_t){0}, now), TOPICS_PUMP);
    cr_assert_eq(topics_next_order(&topics, now, &out), TOPICS_NOTHING);
    orders_are("subscribe b, subscribe c");
}
