"""Two hundred clients of Redis on few links, each with values, databases, messages and transactions of its own.

    STRESS_SECONDS=600 STRESS_SEED=4711 tests/run.sh integration -k crosstalk

Everything carries its owner's tag, and each knows exactly what it must be answered: the first reply that is
anything else fails the test with all that both clients have done (tests/stress). The closing line names the
seed: with the same one every client takes the same decisions, though not at the same moments.
"""
import asyncio
import os
import secrets
import time

import pytest
from harness import pooler as program
from harness.process import wait_until
from harness.redis import RedisWire
from stress import redis_acts, redis_crowd
from stress.redis_mixer import Mixer

SECONDS = float(os.environ.get("STRESS_SECONDS", "60"))
CLIENTS = int(os.environ.get("STRESS_CLIENTS", "200"))


@pytest.fixture
def say(capsys):
    def line(text):
        with capsys.disabled():
            print(f"\ncrosstalk: {text}", flush=True)
    return line


@pytest.fixture
def server(own_redis):
    redis = own_redis()
    for user in redis_acts.USERS:
        assert redis.ask("ACL", "SETUSER", user, "on", f">{user}", "~*", "&*", "+@all") == b"+OK\r\n"
    return redis


def run(world, server, seconds, **words):
    asyncio.run(redis_crowd.let_loose(world, server, seconds, **words))


def check_links(weir, server):
    """Nothing of anybody is left on any link; newcomers find all as it is on a new connection."""
    try:
        wait_until(lambda: server.info("clients")["blocked_clients"] == 0, "the end of all waits")
    except AssertionError:
        blocked = [link for link in server.clients() if "b" in link["flags"]]
        pytest.fail(f"still blocked, for clients that have left: {blocked}", pytrace=False)
    links = server.clients()
    assert all(link["multi"] == "-1" or link["flags"] == "N" for link in links), links
    newcomers = [RedisWire(weir.port) for _ in range(50)]
    try:
        for turn, wire in enumerate(newcomers):
            assert wire.pipeline(("CLIENT", "GETNAME"), ("ACL", "WHOAMI"), ("EXEC",), ("HGETALL", "none"), ("ECHO", turn)) == \
                [b"$-1\r\n", b"$7\r\ndefault\r\n", b"-ERR EXEC without MULTI\r\n", b"*0\r\n",
                 b"$%d\r\n%d\r\n" % (len(str(turn)), turn)]
            assert wire.pipeline(("WATCH", "k"), ("MULTI",), ("ACL", "WHOAMI"), ("EXEC",), ("SET", f"new{turn}", turn)) == \
                [b"+OK\r\n", b"+OK\r\n", b"+QUEUED\r\n", b"*1\r\n$7\r\ndefault\r\n", b"+OK\r\n"]
        with server.wire() as past:
            assert past.ask("EXISTS", *(f"new{turn}" for turn in range(50))) == b":50\r\n", "all in database 0"
    finally:
        for wire in newcomers:
            wire.close()


def check_metrics(weir):
    wait_until(lambda: not any(value for name, value in weir.metrics().items() if name.startswith("weir_redis_replies_owed")),
               "all replies")
    metrics = weir.metrics()
    assert not any(value for name, value in metrics.items() if name.startswith("weir_redis_protocol_violations_total"))


@pytest.mark.parametrize("way", ["direct", "weir"])
def test_two_hundred_clients_on_few_links_see_nothing_of_each_other(server, redis_door, say, way):
    """Directly for a few seconds, so that the test itself is seen to hold."""
    seed = os.environ.get("STRESS_SEED") or str(secrets.randbelow(10 ** 6))
    through = way == "weir" and program.IS_WEIR
    target = redis_door(server, max_dedicated=60, wait_timeout=60) if through else server
    seconds = SECONDS if way == "weir" else min(SECONDS, 10)
    world = redis_crowd.RedisWorld(target, seed, CLIENTS)
    started = time.monotonic()
    say(f"{way}, seed {seed}, {CLIENTS} clients, {seconds:g} s")
    run(world, server, seconds)
    for violation in world.violations[:2]:
        say(violation)
    if world.violations:
        pytest.fail(f"seed {seed}: " + "; ".join(each.splitlines()[0] for each in world.violations[:3]), pytrace=False)
    count = world.count
    assert count["requests"] > 2 * seconds * CLIENTS and count["messages"] and world.kills
    check_links(target, server)
    if through:
        check_metrics(target)
    say(f"ok: {way}, seed {seed}, {time.monotonic() - started:.0f} s, " +
        ", ".join(f"{value} {name}" for name, value in sorted(count.items())) + f", {world.kills} kills")


@pytest.mark.parametrize("fault", ["swap", "repeat", "stray", "one_byte", "lost"])
def test_the_test_above_notices_a_proxy_that_is_wrong(server, fault):
    """After two thousand pieces of replies: the first mistake that anybody is there to see ends the run."""
    async def both():
        mixer = await Mixer(server.port, fault, 2000).start()
        world = redis_crowd.RedisWorld(mixer, "mixer", 30)
        await redis_crowd.let_loose(world, server, 30, kills=False)
        mixer.server.close()
        return world, mixer

    world, mixer = asyncio.run(both())
    assert mixer.done, "the mixer has done it"
    assert world.violations, f"nobody noticed: {dict(world.count)}"
