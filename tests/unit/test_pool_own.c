/*
 * Clients that want a server opened for them alone, and closed after them.
 */
#include "pool_words.h"

/* ---- a server of one's own ---------------------------------------------------------------- */

static void asks_for_one_of_its_own(struct pool_client *client)
{
    client->own = true;
    asks(client);
}

Test(pool, a_server_of_ones_own_is_opened_for_one_client_and_closed_after_it)
{
    given_a_pool_of(2);
    asks_for_one_of_its_own(&ana);
    orders_are("open s0");
    asks(&bob);
    orders_are("open s1");
    opened(0);
    orders_are("grant s0 to ana");
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("close s0");
    opened(1);
    orders_are("grant s1 to bob");
}

Test(pool, an_idle_server_is_nobodys_own)
{
    given_ana_has_one_of(2);
    returns(&ana, POOL_LEFT_NOTHING);
    asks_for_one_of_its_own(&bob);
    orders_are("open s1");
    opened(1);
    orders_are("grant s1 to bob");
}

Test(pool, an_idle_server_makes_room_for_one_of_its_own)
{
    given_ana_has_one_of(1);
    returns(&ana, POOL_LEFT_NOTHING);
    asks_for_one_of_its_own(&bob);
    orders_are("close s0");
    asks(&eve);
    orders_are("");
    lost(0);
    orders_are("open s0");
    opened(0);
    orders_are("grant s0 to bob");
    returns(&bob, POOL_LEFT_STATE);
    orders_are("close s0");
    lost(0);
    orders_are("open s0");
    opened(0);
    orders_are("grant s0 to eve");
}

Test(pool, who_waited_longer_is_served_before_room_is_made)
{
    given_ana_has_one_of(1);
    asks(&bob);
    at(10);
    asks_for_one_of_its_own(&eve);
    returns(&ana, POOL_LEFT_NOTHING);
    orders_are("grant s0 to bob");
    at(20);
    asks(&ana);
    returns(&bob, POOL_LEFT_NOTHING);
    orders_are("close s0"); /* eve came before ana */
    lost(0);
    orders_are("open s0");
    opened(0);
    orders_are("grant s0 to eve");
}

Test(pool, who_waits_too_long_for_one_of_its_own_is_refused)
{
    given_ana_has_one_of(1);
    asks_for_one_of_its_own(&bob);
    cr_assert_eq(pool_waiting(pool), 1);
    cr_assert_eq(pool_longest_wait(pool, now + 7), 7);
    at(999);
    orders_are("");
    at(1000);
    orders_are("refuse bob: 53300");
    cr_assert_eq(pool_waiting(pool), 0);
}

Test(pool, that_one_of_its_own_cannot_be_opened_is_told_to_its_client_alone)
{
    given_a_pool_of(2);
    asks_for_one_of_its_own(&ana);
    asks(&bob);
    bob.hasty = true;
    orders_are("open s0; open s1");
    lost(0);
    orders_are("refuse ana: 08006");
    asks(&eve);
    orders_are("open s0"); /* no pause: the others know nothing of it */
    opened(1);
    orders_are("grant s1 to bob");
}

Test(pool, an_opening_of_ones_own_that_takes_too_long_is_closed_and_its_client_refused)
{
    given_a_pool_of(1);
    asks_for_one_of_its_own(&ana);
    orders_are("open s0");
    at(300);
    orders_are("close s0; refuse ana: 08006");
    lost(0);
    asks(&bob);
    orders_are("open s0");
}

Test(pool, who_gives_up_while_one_of_its_own_is_opened_costs_that_one)
{
    given_a_pool_of(1);
    asks_for_one_of_its_own(&ana);
    orders_are("open s0");
    asks(&bob);
    pool_give_up(pool, &ana, now);
    orders_are("close s0");
    lost(0);
    orders_are("open s0");
    opened(0);
    orders_are("grant s0 to bob");
}

Test(pool, who_gives_up_before_one_of_its_own_is_opened_costs_nothing)
{
    given_a_pool_of(1);
    asks_for_one_of_its_own(&ana);
    pool_give_up(pool, &ana, now);
    orders_are("");
    asks_for_one_of_its_own(&bob);
    pool_give_up(pool, &bob, now);
    cr_assert(pool_is_vacant(pool));
}

Test(pool, one_of_its_own_that_is_lost_leaves_its_client_alone)
{
    given_a_pool_of(1);
    asks_for_one_of_its_own(&ana);
    orders_are("open s0");
    opened(0);
    orders_are("grant s0 to ana");
    lost(0);
    orders_are("");
    cr_assert(pool_is_vacant(pool));
}

Test(pool, retiring_refuses_those_who_wait_for_one_of_their_own)
{
    given_a_pool_of(1);
    asks_for_one_of_its_own(&ana);
    orders_are("open s0");
    asks_for_one_of_its_own(&bob);
    pool_retire(pool, now);
    orders_are("close s0; refuse ana: 57P01; refuse bob: 57P01");
    lost(0);
    cr_assert(pool_is_vacant(pool));
}

Test(pool, many_who_want_one_of_their_own_share_the_limit)
{
    given_a_pool_of(2);
    asks_for_one_of_its_own(&ana);
    asks_for_one_of_its_own(&bob);
    asks_for_one_of_its_own(&eve);
    orders_are("open s0; open s1");
    opened(1);
    orders_are("grant s1 to bob");
    returns(&bob, POOL_LEFT_NOTHING);
    orders_are("close s1");
    lost(1);
    orders_are("open s1");
    opened(1);
    orders_are("grant s1 to eve");
}
