"""What tests of the Redis door are given: two Redis for all, and weir in front of one of them.

    def test_a_key_is_kept(redis_target):            # run twice: Redis itself, and through weir
        with RedisWire(redis_target.port) as wire:
            assert wire.ask("GET", "none") == b"$-1\\r\\n"
"""
import itertools

import pytest

from harness import pooler as program
from harness.fake_redis import FakeRedis
from harness.redis import Redis, RedisWire
from harness.redis_door import RedisDoor, StandIn, is_redis


@pytest.fixture(scope="session")
def redis_servers():
    """Two alike: one that is asked directly, one behind weir."""
    servers = []
    try:
        servers += [Redis(), Redis()]
        yield servers
    finally:
        for server in servers:
            server.close()


@pytest.fixture
def redis_server(redis_servers):
    """The one behind weir, empty."""
    redis_servers[1].clean()
    return redis_servers[1]


@pytest.fixture
def own_redis():
    """own_redis(setting=value...) is a server for this test alone."""
    servers = []

    def start(**settings):
        servers.append(Redis(**settings))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def url_of(server):
    return f"redis://127.0.0.1:{server.port}"


def close_all(doors):
    failures = []
    for door in doors:
        try:
            door.close()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def redis_door(redis_server, folder):
    """redis_door(upstream, setting=value...) starts one weir before that server; all end with the test.
    With WEIR=redis-server it is the server itself, so that what must hold for weir can be seen to hold there."""
    doors = []
    numbers = itertools.count()

    def start(upstream=None, **settings):
        upstream = upstream or redis_server
        if is_redis(program.PROGRAM):
            return StandIn(upstream)
        own = folder / f"redis-{next(numbers)}"
        own.mkdir()
        address = settings.pop("address", None) or url_of(upstream)
        doors.append(RedisDoor(own, address, **settings))
        return doors[-1].start()

    yield start
    close_all(doors)


@pytest.fixture(params=["direct", "weir"])
def redis_target(request, redis_server):
    """Where a test's clients go: each test runs against Redis itself and through weir. It is empty."""
    return redis_server if request.param == "direct" else request.getfixturevalue("redis_door")()


@pytest.fixture
def redis_compare(redis_servers, redis_door):
    """redis_compare(scenario) runs scenario(port) against an empty Redis and then through weir before another;
    what it returns must be the same, and is returned."""
    def both(scenario, **settings):
        answers = []
        for server in redis_servers:
            server.clean()
        for target in (redis_servers[0], redis_door(redis_servers[1], **settings)):
            answers.append(scenario(target.port))
        assert answers[1] == answers[0], "not what Redis itself does"
        return answers[0]

    return both


@pytest.fixture
def redis_wire():
    """redis_wire(target) is a raw connection; with protocol=3 it has said HELLO 3."""
    wires = []

    def dial(target, protocol=2, **words):
        wires.append(RedisWire(target.port, **words))
        if protocol == 3:
            assert wires[-1].ask("HELLO", "3").startswith(b"%")
        return wires[-1]

    yield dial
    for wire in wires:
        wire.close()


@pytest.fixture
def fake_redis():
    """fake_redis(behave) is a server of our own making."""
    servers = []

    def listen(behave):
        servers.append(FakeRedis(behave))
        return servers[-1]

    yield listen
    for server in servers:
        server.close()
