/*
 * Each test is a story: what happens, and what the pool then orders.
 */
#include <signal.h>

#include "pool_words.h"

/* ---- asking and returning ---------------------------------------------------------------- */

Test(pool, opens_nothing_before_anyone_asks)
{
    limits.min_servers = 1;
    given_the_pool();
    at(1000);
    orders_are("");
    cr_assert_eq(pool_next_deadline(pool), UINT64_MAX);
}

Test(pool, a_client_waits_for_the_only_server)
{
    given_ana_has_one_of(1);
    asks(&bob);
    orders_are("");
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("grant s0 to bob");
}

Test(pool, who_waited_longest_is_served_first)
{
    given_ana_has_one_of(1);
    asks(&bob);
    asks(&eve);
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("grant s0 to bob");
    asks(&ana);
    returns(&bob, POOL_LEFT_NOTHING);
    orders_are("grant s0 to eve");
}

Test(pool, a_connection_is_opened_only_for_who_would_wait_otherwise)
{
    given_a_pool_of(3);
    asks(&ana);
    orders_are("open s0");
    asks(&bob);
    orders_are("open s1");
    opened(0);
    orders_are("grant s0 to ana");
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("grant s0 to bob");
    opened(1);
    asks(&ana);
    orders_are("grant s1 to ana");
}

Test(pool, the_server_used_last_is_used_next)
{
    given_ana_has_one_of(2);
    asks(&bob);
    orders_are("open s1");
    opened(1);
    orders_are("grant s1 to bob");
    returns(&ana, POOL_LEFT_NOTHING);
    returns(&bob, POOL_LEFT_NOTHING);
    asks(&eve);
    orders_are("grant s1 to eve");
}

Test(pool, what_is_left_is_cleaned_before_anyone_else_sees_it)
{
    given_ana_has_one_of(1);
    asks(&bob);
    returns(&ana, POOL_LEFT_STATE);
    orders_are("clean s0");
    pool_cleaned(pool, s[0], now);
    orders_are("grant s0 to bob");
}

Test(pool, a_server_nobody_can_answer_for_is_closed)
{
    given_ana_has_one_of(1);
    asks(&bob);
    returns(&ana, POOL_LEFT_UNKNOWN);
    orders_are("close s0");
    lost(0);
    orders_are("open s0");
}

Test(pool, who_gives_up_leaves_its_place)
{
    given_ana_has_one_of(1);
    asks(&bob);
    asks(&eve);
    pool_give_up(pool, &bob, now);
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("grant s0 to eve");
}

Test(pool, who_gives_up_after_its_refusal_is_not_told)
{
    given_ana_has_one_of(1);
    asks(&bob);
    at(1000);
    pool_give_up(pool, &bob, now);
    orders_are("");
}

Test(pool, a_server_that_died_in_its_sleep_costs_the_client_nothing)
{
    given_ana_has_one_of(1);
    returns(&ana, POOL_LEFT_NOTHING);
    at(100);
    asks(&bob);
    asks(&eve);
    orders_are("grant s0 to bob");
    pool_withdraw(pool, s[0], now);
    orders_are("open s0");
    opened(0);
    orders_are("grant s0 to bob"); /* before eve, as if nothing had been */
}

/* ---- limits ------------------------------------------------------------------------------ */

Test(pool, a_full_queue_refuses_at_once)
{
    limits.max_waiting = 1;
    given_ana_has_one_of(1);
    asks(&bob);
    cr_assert_eq(pool_ask(pool, &eve, now), ERR_QUEUE_FULL);
}

Test(pool, nobody_waits_longer_than_allowed)
{
    given_ana_has_one_of(1);
    at(10);
    asks(&bob);
    at(1009);
    orders_are("");
    cr_assert_leq(pool_next_deadline(pool), 1010);
    at(1010);
    orders_are("refuse bob: 53300");
}

Test(pool, no_limit_is_no_deadline)
{
    limits.wait_ms = 0;
    given_ana_has_one_of(1);
    asks(&bob);
    at(1000000000);
    orders_are("");
}

Test(pool, an_opening_that_takes_too_long_is_given_up)
{
    given_a_pool_of(1);
    asks(&ana);
    orders_are("open s0");
    at(300);
    orders_are("close s0");
    lost(0);
    orders_are("");
    at(800);
    orders_are("open s0");
}

Test(pool, a_cleaning_that_takes_too_long_costs_the_server)
{
    given_ana_has_one_of(1);
    returns(&ana, POOL_LEFT_STATE);
    orders_are("clean s0");
    at(200);
    orders_are("close s0");
}

Test(pool, who_is_idle_for_too_long_is_closed_oldest_first)
{
    given_ana_has_one_of(2);
    asks(&bob);
    orders_are("open s1");
    opened(1);
    orders_are("grant s1 to bob");
    at(100);
    returns(&ana, POOL_LEFT_NOTHING);
    at(200);
    returns(&bob, POOL_LEFT_NOTHING);
    at(60100);
    orders_are("close s0");
    at(60200);
    orders_are("close s1");
}

Test(pool, the_minimum_is_kept_and_made_up)
{
    limits.min_servers = 2;
    given_a_pool_of(3);
    asks(&ana);
    orders_are("open s0; open s1");
    opened(0);
    opened(1);
    orders_are("grant s0 to ana");
    returns(&ana, POOL_LEFT_NOTHING);
    at(100000);
    orders_are("");
    lost(1);
    orders_are("open s2");
}

Test(pool, lifetimes_that_began_together_end_apart)
{
    uint64_t ends[2];

    limits.lifetime_ms = 10000;
    limits.idle_ms = 0;
    limits.min_servers = 2;
    given_a_pool_of(2);
    asks(&ana);
    orders_are("open s0; open s1");
    opened(0);
    opened(1);
    orders_are("grant s0 to ana");
    returns(&ana, POOL_LEFT_NOTHING);
    for (size_t i = 0; i < 2; i++) {
        while (pool_count(pool, POOL_SERVER_IDLE) == 2 - i)
            at(pool_next_deadline(pool));
        ends[i] = now;
    }
    cr_assert_geq(ends[0], 8000);
    cr_assert_leq(ends[1], 10000);
    cr_assert_neq(ends[0], ends[1]);
}

Test(pool, a_server_past_its_lifetime_is_closed_when_it_comes_back)
{
    limits.lifetime_ms = 1000;
    given_ana_has_one_of(1);
    at(1001);
    orders_are("");
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("close s0");
}

Test(pool, single_use_is_one_client_a_server)
{
    limits.single_use = true;
    given_ana_has_one_of(1);
    asks(&bob);
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("close s0");
    lost(0);
    orders_are("open s0");
}

/* ---- a server that is down --------------------------------------------------------------- */

Test(pool, who_is_hasty_hears_at_once_who_is_not_waits)
{
    given_a_pool_of(2);
    ana.hasty = true;
    asks(&ana);
    asks(&bob);
    orders_are("open s0; open s1");
    lost(0);
    orders_are(""); /* the other may yet be ready */
    lost(1);
    orders_are("refuse ana: 08006");
    cr_assert_eq(pool_ask(pool, &ana, now), ERR_BACKEND_DOWN);
    at(500);
    orders_are("open s0"); /* one, to see whether it is back */
    opened(0);
    orders_are("grant s0 to bob");
    asks(&ana);
    orders_are("open s1");
}

Test(pool, a_failed_opening_refuses_nobody_while_others_live)
{
    given_ana_has_one_of(2);
    bob.hasty = true;
    asks(&bob);
    orders_are("open s1");
    lost(1);
    orders_are("");
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("grant s0 to bob");
}

Test(pool, while_it_is_down_it_is_tried_at_intervals)
{
    given_a_pool_of(1);
    limits.wait_ms = 0;
    asks(&ana);
    orders_are("open s0");
    lost(0);
    orders_are("");
    at(499);
    orders_are("");
    cr_assert_leq(pool_next_deadline(pool), 500);
    at(500);
    orders_are("open s0");
}

/* ---- the end ----------------------------------------------------------------------------- */

Test(pool, who_retires_closes_what_is_free_and_what_becomes_free)
{
    given_ana_has_one_of(2);
    asks(&bob);
    orders_are("open s1");
    opened(1);
    orders_are("grant s1 to bob");
    returns(&bob, POOL_LEFT_NOTHING);
    pool_retire(pool, now);
    orders_are("close s1");
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("close s0");
    cr_assert_eq(pool_ask(pool, &eve, now), ERR_SHUTTING_DOWN);
    lost(0);
    lost(1);
    cr_assert(pool_is_vacant(pool));
}

Test(pool, who_retires_does_not_wait_for_what_is_being_opened)
{
    given_a_pool_of(1);
    asks(&ana);
    orders_are("open s0");
    pool_retire(pool, now);
    orders_are("close s0; refuse ana: 57P01");
    lost(0);
    cr_assert(pool_is_vacant(pool));
}

Test(pool, one_server_for_two_stops_the_process, .signal = SIGABRT)
{
    given_ana_has_one_of(1);
    asks(&ana);
}

Test(pool, returning_what_one_has_not_stops_the_process, .signal = SIGABRT)
{
    given_ana_has_one_of(1);
    returns(&bob, POOL_LEFT_NOTHING);
}

Test(pool, who_retires_waits_for_no_opening_and_no_cleaning)
{
    given_ana_has_one_of(2);
    asks(&bob);
    orders_are("open s1");
    returns(&ana, POOL_LEFT_STATE);
    orders_are("clean s0");
    pool_retire(pool, now);
    orders_are("close s1; close s0; refuse bob: 57P01");
}

Test(pool, renewed_it_lends_nothing_that_was_open_before)
{
    given_ana_has_one_of(3);
    asks(&bob);
    orders_are("open s1");
    opened(1);
    orders_are("grant s1 to bob");
    returns(&bob, POOL_LEFT_NOTHING);
    pool_renew(pool, now);
    orders_are("close s1");
    asks(&bob);
    orders_are("open s2");
    opened(2);
    orders_are("grant s2 to bob");
    lost(1);
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("close s0");
    returns(&bob, POOL_LEFT_NOTHING);
    orders_are("");
}

Test(pool, what_was_being_opened_or_cleaned_when_it_was_renewed_is_closed_then)
{
    given_ana_has_one_of(2);
    asks(&bob);
    orders_are("open s1");
    returns(&ana, POOL_LEFT_STATE);
    orders_are("clean s0");
    pool_renew(pool, now);
    orders_are("");
    pool_cleaned(pool, s[0], now);
    orders_are("close s0");
    lost(0);
    opened(1);
    orders_are("close s1; open s0");
    lost(1);
    opened(0);
    orders_are("grant s0 to bob");
}

Test(pool, renewing_is_no_failure)
{
    given_a_pool_of(1);
    asks(&ana);
    orders_are("open s0");
    pool_renew(pool, now);
    opened(0);
    orders_are("close s0");
    lost(0);
    orders_are("open s0");
}

Test(pool, its_servers_can_be_looked_at_state_by_state)
{
    const struct pool_server *first;

    given_ana_has_one_of(2);
    asks(&bob);
    orders_are("open s1");
    first = pool_server_after(pool, POOL_SERVER_LEASED, NULL);
    cr_assert_eq(first, s[0]);
    cr_assert_null(pool_server_after(pool, POOL_SERVER_LEASED, first));
    cr_assert_eq(pool_server_after(pool, POOL_SERVER_OPENING, NULL), s[1]);
    cr_assert_null(pool_server_after(pool, POOL_SERVER_IDLE, NULL));
    cr_assert_not(pool_server_is_expired(s[0], now));
    pool_renew(pool, now);
    cr_assert(pool_server_is_expired(s[0], now));
    cr_assert(pool_server_is_expired(s[1], now));
}
