#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "proxy/fronts/http/throttle.h"

static struct throttle throttle;

static struct throttle_peer at(const char *address)
{
    struct peer peer = {.family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET};

    cr_assert_eq(inet_pton(peer.family, address, peer.ip), 1);
    return throttle_peer(&peer);
}

static void fail(const char *address, int times, uint64_t now)
{
    for (int i = 0; i < times; i++)
        throttle_fail(&throttle, at(address), now);
}

static uint64_t waits(const char *address, uint64_t now)
{
    return throttle_wait(&throttle, at(address), now);
}

Test(throttle, the_first_cost_nothing_and_the_next_twice_as_much_each)
{
    static const uint64_t expected[] = {0, 0, 0, 1000, 2000, 4000, 8000, 16000, 30000, 30000};

    cr_assert_eq(waits("10.0.0.1", 5), 0);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        fail("10.0.0.1", 1, 5);
        cr_assert_eq(waits("10.0.0.1", 5), expected[i], "%zu", i);
    }
    fail("10.0.0.1", 100, 5);
    cr_assert_eq(waits("10.0.0.1", 5), 30000);
    cr_assert_eq(waits("10.0.0.1", 30004), 1);
    cr_assert_eq(waits("10.0.0.1", 30005), 0);
}

Test(throttle, another_address_does_not_wait)
{
    fail("10.0.0.1", 9, 0);
    cr_assert_eq(waits("10.0.0.2", 0), 0);
    cr_assert_eq(waits("::1", 0), 0);
    cr_assert_eq(throttle_wait(&throttle, throttle_peer(&(struct peer){.family = AF_UNIX}), 0), 0);
}

Test(throttle, who_was_quiet_for_long_is_forgotten)
{
    fail("10.0.0.1", 9, 0);
    fail("10.0.0.1", 1, THROTTLE_FORGET - 1);
    cr_assert_eq(waits("10.0.0.1", THROTTLE_FORGET), 29999);
    fail("10.0.0.1", 1, 2 * THROTTLE_FORGET);
    cr_assert_eq(waits("10.0.0.1", 2 * THROTTLE_FORGET), 0);
}

Test(throttle, a_network_of_ipv6_is_one_and_an_ipv4_address_is_the_same_in_both)
{
    fail("2001:db8:1:2::1", 2, 0);
    fail("2001:db8:1:2:ffff::9", 2, 0);
    cr_assert_eq(waits("2001:db8:1:2::77", 0), 1000);
    cr_assert_eq(waits("2001:db8:1:3::1", 0), 0);
    fail("::ffff:10.0.0.1", 4, 0);
    cr_assert_eq(waits("10.0.0.1", 0), 1000);
    cr_assert_eq(waits("::ffff:10.0.0.2", 0), 0);
}

Test(throttle, a_flood_of_addresses_does_not_make_the_worst_forgotten)
{
    char address[32];

    throttle.seed = 42;
    fail("10.0.0.1", 9, 0);
    for (unsigned i = 0; i < 20 * THROTTLE_ROOM; i++) {
        snprintf(address, sizeof(address), "172.16.%u.%u", i / 256, i % 256);
        fail(address, 1, 1);
    }
    cr_assert_eq(waits("10.0.0.1", 1), 29999);
}

Test(throttle, what_was_right_after_all_is_forgiven)
{
    cr_assert_not(throttle_suspects(&throttle, at("10.0.0.1"), 9));
    fail("10.0.0.1", 2, 9);
    cr_assert_not(throttle_suspects(&throttle, at("10.0.0.1"), 9));
    fail("10.0.0.1", 3, 9);
    cr_assert(throttle_suspects(&throttle, at("10.0.0.1"), 9));
    cr_assert_eq(waits("10.0.0.1", 9), 2000);
    throttle_forgive(&throttle, at("10.0.0.1"), 5000);
    cr_assert_eq(waits("10.0.0.1", 5000), 0);
    fail("10.0.0.1", 1, 5000);
    cr_assert_eq(waits("10.0.0.1", 5000), 2000);
    throttle_forgive(&throttle, at("10.0.0.2"), 5000); /* nobody: nothing happens */
    cr_assert_eq(waits("10.0.0.2", 5000), 0);
}
