#include "topics_story.h"

TestSuite(topics, .init = begin, .fini = end);

/* ---- stories ----------------------------------------------------------------------------- */

Test(topics, a_subscriber_is_told_when_redis_has_confirmed)
{
    orders_are("");
    subscribes(&ana, "a");
    cr_assert(topics_is_owed(&ana.subscriber));
    orders_are("open");
    opens();
    orders_are("subscribe a");
    gets(&ana, "");
    redis_says(SUBSCRIBED_A);
    gets(&ana, SUBSCRIBED_A);
    cr_assert_not(topics_is_owed(&ana.subscriber));
    cr_assert(topics_is_subscribed(&ana.subscriber));
    redis_says(HELLO);
    gets(&ana, HELLO);
    orders_are("");
}

Test(topics, what_redis_is_asked_is_a_command_for_each_name)
{
    subscribes(&ana, "a bc");
    pump();
    topics_opened(&topics, now);
    cr_assert_eq(topics_next_order(&topics, now, &out), TOPICS_ASK);
    bytes_add(&out, "", 1);
    cr_assert_str_eq((const char *)out.at, "*2\r\n$9\r\nsubscribe\r\n$1\r\na\r\n"
                                           "*2\r\n$9\r\nsubscribe\r\n$2\r\nbc\r\n");
}

/* As redis-server 7.0.15 answered a client in RESP2. */
Test(topics, replies_in_resp2_are_those_of_redis)
{
    unsubscribes(&ana, "");
    asks(&ana, HEARD_PATTERN, false, "");
    asks(&ana, HEARD_SHARD, false, "");
    unsubscribes(&ana, "x y");
    pump();
    gets(&ana, "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"
               "*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n"
               "*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n"
               "*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:0\r\n"
               "*3\r\n$11\r\nunsubscribe\r\n$1\r\ny\r\n:0\r\n");
    subscribes(&ana, "a a b");
    pump();
    opens();
    asks(&ana, HEARD_PATTERN, true, "a*");
    redis_says(SUBSCRIBED_A SUBSCRIBED_B "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:3\r\n");
    asks(&ana, HEARD_SHARD, true, "a");
    subscribes(&ana, "a");
    pump();
    redis_says("*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    gets(&ana,
         "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
         "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
         "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:3\r\n"
         "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n"
         "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:3\r\n");
    unsubscribes(&ana, "a zz a");
    unsubscribes(&ana, "");
    asks(&ana, HEARD_PATTERN, false, "");
    asks(&ana, HEARD_SHARD, false, "");
    pump();
    redis_says("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    gets(
        &ana,
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$2\r\nzz\r\n:"
        "2\r\n"
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n"
        "*3\r\n$12\r\npunsubscribe\r\n$2\r\na*\r\n:0\r\n"
        "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
    cr_assert_not(topics_is_subscribed(&ana.subscriber));
}

/* The same for one in RESP3. */
Test(topics, replies_in_resp3_are_those_of_redis)
{
    unsubscribes(&bob, "");
    asks(&bob, HEARD_SHARD, false, "");
    unsubscribes(&bob, "x");
    subscribes(&bob, "a");
    asks(&bob, HEARD_PATTERN, true, "a*");
    pump();
    opens();
    redis_says(SUBSCRIBED_A "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:2\r\n");
    asks(&bob, HEARD_PATTERN, false, "");
    pump();
    redis_says("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    gets(&bob,
         ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n>3\r\n$12\r\nsunsubscribe\r\n_\r\n:0\r\n"
         ">3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:0\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
         ">3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:2\r\n"
         ">3\r\n$12\r\npunsubscribe\r\n$2\r\na*\r\n:1\r\n");
}

Test(topics, a_name_of_no_letters_is_a_name)
{
    struct slice nothing = {(const uint8_t *)"", 0};

    cr_assert_eq(topics_subscribe(&topics, &ana.subscriber, HEARD_CHANNEL, &nothing, 1), ERR_OK);
    pump();
    opens();
    redis_says("*3\r\n$9\r\nsubscribe\r\n$0\r\n\r\n:1\r\n"
               "*3\r\n$7\r\nmessage\r\n$0\r\n\r\n$0\r\n\r\n");
    gets(&ana, "*3\r\n$9\r\nsubscribe\r\n$0\r\n\r\n:1\r\n"
               "*3\r\n$7\r\nmessage\r\n$0\r\n\r\n$0\r\n\r\n");
}

Test(topics, each_subscriber_hears_in_its_own_protocol)
{
    given_all_hear_a();
    redis_says(HELLO);
    gets(&ana, HELLO);
    gets(&bob, PUSHED_HELLO);
    gets(&eva, HELLO);
}

Test(topics, names_of_the_three_kinds_are_told_apart)
{
    subscribes(&ana, "a");
    asks(&bob, HEARD_PATTERN, true, "a");
    asks(&eva, HEARD_SHARD, true, "a");
    pump();
    opens();
    orders_are("open, subscribe a, psubscribe a, ssubscribe a");
    redis_says(SUBSCRIBED_A "*3\r\n$10\r\npsubscribe\r\n$1\r\na\r\n:2\r\n"
                            "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    gets(&ana, SUBSCRIBED_A);
    gets(&bob, ">3\r\n$10\r\npsubscribe\r\n$1\r\na\r\n:1\r\n");
    gets(&eva, "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    redis_says(HELLO "*4\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\na\r\n$5\r\nhello\r\n"
                     "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$5\r\nshard\r\n");
    gets(&ana, HELLO);
    gets(&bob, ">4\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\na\r\n$5\r\nhello\r\n");
    gets(&eva, "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$5\r\nshard\r\n");
}

Test(topics, names_and_payloads_may_be_any_bytes)
{
    static const char said[] = "*3\r\n$9\r\nsubscribe\r\n$4\r\n\0\r\n\xff\r\n:1\r\n"
                               "*3\r\n$7\r\nmessage\r\n$4\r\n\0\r\n\xff\r\n$3\r\n\0$1\r\n";
    struct slice name = SLICE("\0\r\n\xff");

    cr_assert_eq(topics_subscribe(&topics, &ana.subscriber, HEARD_CHANNEL, &name, 1), ERR_OK);
    pump();
    opens();
    shows(said, sizeof(said) - 1);
    cr_assert_eq(ana.got.length, sizeof(said) - 1);
    cr_assert_arr_eq(ana.got.at, said, sizeof(said) - 1);
}

/* The answer divides what was published before from what comes after. */
Test(topics, even_a_name_that_is_heard_costs_a_round_trip)
{
    given_ana_hears_a();
    subscribes(&eva, "a");
    orders_are("ping");
    redis_says(HELLO);
    gets(&ana, HELLO);
    gets(&eva, "");
    redis_says("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    gets(&eva, SUBSCRIBED_A);
}

Test(topics, what_was_published_before_an_unsubscribe_is_heard_before_its_answer)
{
    given_ana_hears_a();
    unsubscribes(&ana, "a");
    orders_are("ping");
    redis_says(HELLO);
    gets(&ana, HELLO);
    redis_says("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    gets(&ana, LEFT_A);
    orders_are("unsubscribe a");
    redis_says(HELLO);
    gets(&ana, "");
    redis_says(LEFT_A);
    orders_are("");
    cr_assert_eq(topics_count_names(&topics), 0);
}

/* It is -NOPERM for a user who may subscribe and not ping. */
Test(topics, any_answer_to_a_ping_will_do)
{
    given_ana_hears_a();
    unsubscribes(&ana, "a");
    pump();
    redis_says("-NOPERM this user has no permissions to run the 'ping' command\r\n");
    gets(&ana, LEFT_A);
    redis_says(LEFT_A);
    unsubscribes(&ana, "a");
    gets(&ana, "");
    pump();
    gets(&ana, LEFT_A);
}

Test(topics, all_who_come_during_a_batch_are_in_the_next)
{
    subscribes(&ana, "a");
    subscribes(&bob, "a");
    pump();
    opens();
    subscribes(&eva, "b");
    subscribes(&eva, "a");
    subscribes(&ana, "b");
    orders_are("open, subscribe a");
    redis_says(SUBSCRIBED_A);
    gets(&ana, SUBSCRIBED_A);
    gets(&bob, PUSHED_A);
    orders_are("subscribe b");
    gets(&eva, "");
    redis_says(SUBSCRIBED_B);
    gets(&eva,
         "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n");
    gets(&ana, SUBSCRIBED_B);
}

Test(topics, a_client_is_answered_in_the_order_it_asked)
{
    subscribes(&ana, "a");
    unsubscribes(&ana, "a");
    subscribes(&ana, "b");
    unsubscribes(&ana, "");
    unsubscribes(&ana, "");
    pump();
    opens();
    redis_says(SUBSCRIBED_A SUBSCRIBED_B);
    gets(&ana, SUBSCRIBED_A LEFT_A "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n"
                                   "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n"
                                   "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
    orders_are("open, subscribe a, subscribe b, unsubscribe a, unsubscribe b");
}

Test(topics, who_wants_what_is_just_being_left_gets_it)
{
    given_ana_hears_a();
    leaves(&ana);
    orders_are("unsubscribe a");
    subscribes(&eva, "a");
    orders_are("");
    redis_says(HELLO LEFT_A);
    gets(&eva, "");
    orders_are("subscribe a");
    redis_says(SUBSCRIBED_A HELLO);
    gets(&eva, SUBSCRIBED_A HELLO);
}

Test(topics, who_wants_what_nobody_wanted_any_more_gets_it_as_it_is)
{
    given_ana_hears_a();
    leaves(&ana);
    subscribes(&eva, "a");
    orders_are("ping");
    redis_says("*2\r\n$4\r\npong\r\n$0\r\n\r\n" HELLO);
    gets(&eva, SUBSCRIBED_A HELLO);
}

Test(topics, who_goes_while_it_waits_is_told_nothing)
{
    subscribes(&ana, "a");
    subscribes(&eva, "b");
    pump();
    opens();
    leaves(&ana);
    redis_says(SUBSCRIBED_A SUBSCRIBED_B HELLO);
    gets(&ana, "");
    gets(&eva, "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n");
    orders_are("open, subscribe a, subscribe b, unsubscribe a");
}

Test(topics, some_may_leave_while_they_hear)
{
    given_all_hear_a();
    ana.leaves_when_it_hears = true;
    redis_says(HELLO HELLO);
    gets(&ana, HELLO);
    gets(&bob, "");
    gets(&eva, HELLO HELLO);
}

/* ---- what Redis refuses ------------------------------------------------------------------ */

Test(topics, an_error_is_told_to_those_who_asked_for_that_and_in_its_place)
{
    subscribes(&ana, "a");
    subscribes(&ana, "no");
    subscribes(&ana, "b");
    subscribes(&bob, "a no b");
    subscribes(&eva, "b");
    pump();
    opens();
    redis_says(SUBSCRIBED_A NOPERM SUBSCRIBED_B);
    gets(&ana, SUBSCRIBED_A NOPERM SUBSCRIBED_B);
    gets(&bob, NOPERM);
    gets(&eva, "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n");
    cr_assert_not(topics_is_subscribed(&bob.subscriber), "Redis looks at all names first");
    redis_says(HELLO);
    gets(&bob, "");
    orders_are("open, subscribe a, subscribe no, subscribe b");
}

Test(topics, what_was_refused_is_asked_for_again_by_who_comes_later)
{
    subscribes(&ana, "a");
    pump();
    opens();
    subscribes(&eva, "a");
    redis_says(NOPERM);
    gets(&ana, NOPERM);
    gets(&eva, "");
    orders_are("open, subscribe a, subscribe a");
    redis_says(SUBSCRIBED_A);
    gets(&eva, SUBSCRIBED_A);
}

Test(topics, what_redis_will_not_leave_is_not_heard_all_the_same)
{
    given_ana_hears_a();
    leaves(&ana);
    orders_are("unsubscribe a");
    redis_says("-NOPERM this user has no permissions to run the 'unsubscribe' command\r\n" HELLO);
    gets(&ana, "");
    cr_assert_eq(topics_count_names(&topics), 0);
}

/* A slot that moves to another node ends the subscriptions of its channels. */
Test(topics, what_redis_ends_by_itself_is_told_to_each)
{
    asks(&ana, HEARD_SHARD, true, "a");
    asks(&bob, HEARD_SHARD, true, "a");
    pump();
    opens();
    redis_says("*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    gets(&ana, "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    gets(&bob, ">3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    redis_says("*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
    gets(&ana, "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
    gets(&bob, ">3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
    orders_are("open, ssubscribe a");
    cr_assert_eq(topics_count_names(&topics), 0);
}
