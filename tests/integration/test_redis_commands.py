"""Every command of Redis, directly and through weir, in RESP2 and RESP3: the same bytes.

What is sent stands in tests/data/redis, a section a test; its README says how to read it.
"""
import pytest
from harness import pooler as program
from harness.redis_corpus import FAILED, play, sections
from harness.redis_door import RedisDoor, StandIn, is_redis
from harness.redis_fixtures import close_all, url_of
from harness.resp import plain

SECTIONS = sections()
CASES = [pytest.param(section, protocol, id=f"{section.title}-resp{protocol}")
         for section in SECTIONS for protocol in section.protocols()]


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """before(server) is where clients of weir before that server go; one weir for all sections, while it lives."""
    doors, dead = {}, []

    def door(server):
        if is_redis(program.PROGRAM):
            return StandIn(server)
        if server.port in doors and not doors[server.port].process.alive():
            dead.append(doors.pop(server.port))
        if server.port not in doors:
            doors[server.port] = RedisDoor(tmp_path_factory.mktemp("weir"), url_of(server)).start()
        return doors[server.port]

    yield door
    close_all([*doors.values(), *dead])


@pytest.fixture
def two(redis_servers, own_redis):
    """two(section): two servers as it needs them."""
    def alike(section):
        if section.owns() is None:
            for server in redis_servers:
                server.clean()
            return redis_servers
        servers = [own_redis(**section.owns()) for _ in range(2)]
        for server in servers:
            if "cluster" in section.needs:
                assert server.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383") == b"+OK\r\n"
        return servers

    return alike


def difference(direct, through):
    """The first one, as a person would want to read it; None when there is none."""
    for (line, expected), (_, answer) in zip(direct, through):
        if expected != answer:
            return f"{line}\n  Redis: {expected[:2000]!r}\n  weir:  {answer[:2000]!r}"
    if len(direct) != len(through):
        return f"{len(direct)} replies of Redis, {len(through)} of weir"
    return None


@pytest.mark.parametrize("section, protocol", CASES)
def test_commands_are_answered_as_redis_answers_them(section, protocol, two, before):
    servers = two(section)
    direct = play(section, servers[0].port, servers[0], protocol)
    door = before(servers[1])
    through = play(section, door.port, servers[1], protocol)
    wrong = difference(direct, through)
    if wrong:
        ended = "" if is_redis(program.PROGRAM) or door.process.alive() else f"\nweir ended:\n{door.said()[-4000:]}"
        pytest.fail(wrong + ended, pytrace=False)
    assert section.owns() is not None or servers[1].value("DBSIZE") == servers[0].value("DBSIZE"), "they have done the same"
    assert not direct[-1][1].startswith(FAILED), f"the row itself is wrong: {direct[-1]}"


def names(commands):
    """Of COMMAND's answer, subcommands included."""
    for name, *_, subcommands in commands:
        yield name.decode()
        yield from names(subcommands)


BY_HAND = {"sync"}  # test_redis_dangerous.py


def test_no_command_is_forgotten(redis_server):
    tried = {name for section in SECTIONS for line in section.lines if not line.directive for name in line.commands()}
    known = set(names(plain(redis_server.ask("COMMAND"))))
    assert len(known) > 300 and len([name for name in known if "|" not in name]) >= 240
    assert known - tried - BY_HAND == set(), "the server's commands that no row of tests/data/redis sends"
