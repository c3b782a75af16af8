"""What ends a Redis, or makes its connection something else: each with servers of its own."""
import pytest
from harness.process import PATIENCE, wait_until
from harness.redis import RedisWire
from harness.resp import request
from harness.wire import Closed


@pytest.fixture(params=["direct", "weir"])
def lone(request, own_redis, redis_door):
    """A server of its own, and where its clients go."""
    server = own_redis()
    return server, server if request.param == "direct" else redis_door(server)


def answer_or_end(wire):
    """A client whose server dies is told so, or is closed as Redis would close it; it never waits."""
    try:
        return wire.read()[:1]
    except Closed as end:
        return bytes(*end.args)


@pytest.mark.parametrize("deadly", ["SHUTDOWN NOSAVE", "SHUTDOWN NOW NOSAVE", "DEBUG SEGFAULT", "DEBUG PANIC"])
def test_a_command_ends_the_server_and_nobody_hangs(lone, redis_wire, deadly):
    server, target = lone
    killer, blocked, other = redis_wire(target), redis_wire(target), redis_wire(target)
    assert other.ask("SET", "k", "v") == b"+OK\r\n"
    blocked.send(request("BLPOP", "q", "0"))
    wait_until(lambda: server.info("clients")["blocked_clients"] == 1, "a blocked client")
    killer.send(request(*deadly.split()))
    wait_until(lambda: not server.process.alive(), f"the end by {deadly}")
    assert answer_or_end(killer) in (b"", b"-")
    assert answer_or_end(blocked) in (b"", b"-")
    other.send(request("GET", "k"))
    assert answer_or_end(other) in (b"", b"-")


def test_who_asked_before_is_served_after_a_restart(lone):
    server, target = lone
    with RedisWire(target.port) as wire:
        assert wire.ask("PING") == b"+PONG\r\n"
    server.stop()
    server.start()

    def served():
        try:
            with RedisWire(target.port) as again:
                return again.ask("SET", "k", "again") == b"+OK\r\n"
        except (OSError, Closed):
            return False

    wait_until(served, "service after a restart", PATIENCE)
    assert server.value("GET", "k") == b"again"


def rdb(wire):
    """The dump that follows "$size", or "$EOF:mark" from a server that does not know its size yet."""
    head = b""
    while not head.endswith(b"\r\n"):
        head += wire.socket.recv(1)
        head = head.lstrip(b"\n")  # says that it is alive
    if head.startswith(b"$EOF:"):
        mark, data = head[5:-2], b""
        while not data.endswith(mark):
            data += wire.socket.recv(1)
        return data[:-len(mark)]
    size, data = int(head[1:]), b""
    while len(data) < size:
        data += wire.socket.recv(size - len(data))
    return data


@pytest.mark.parametrize("words", ["SYNC", "PSYNC ? -1"])
def test_a_replica_gets_its_data_and_what_follows(lone, redis_wire, words):
    server, target = lone
    server.ask("SET", "before", "x" * 5000)
    replica, other = redis_wire(target), redis_wire(target)
    replica.send(request(*words.split()))
    if words != "SYNC":
        assert replica.read().startswith(b"+FULLRESYNC ")
    data = rdb(replica)
    assert data.startswith(b"REDIS00") and b"before" in data
    assert server.value("ROLE")[0] == b"master" and len(server.value("ROLE")[2]) == 1
    assert other.ask("SET", "after", "y") == b"+OK\r\n"
    seen = b""
    while request("SET", "after", "y") not in seen:
        seen += replica.read()
    assert other.ask("GET", "after") == b"$1\r\ny\r\n"


def test_a_server_becomes_a_replica_and_the_roles_change(lone, own_redis, redis_wire):
    server, target = lone
    replica = own_redis()
    wire = redis_wire(target)
    assert wire.ask("SET", "k", "of the replica") == b"+OK\r\n"
    assert replica.ask("SET", "k", "of the primary") == b"+OK\r\n"
    assert wire.ask("REPLICAOF", "127.0.0.1", replica.port) == b"+OK\r\n"
    wait_until(lambda: wire.value("ROLE")[3] == b"connected", "replication")
    assert wire.ask("GET", "k") == b"$14\r\nof the primary\r\n"
    assert wire.ask("SET", "k", "x").startswith(b"-READONLY ")
    wait_until(lambda: replica.ask("FAILOVER", "TO", "127.0.0.1", server.port) == b"+OK\r\n", "a replica that is online")
    wait_until(lambda: wire.value("ROLE")[0] == b"master", "the change of roles")
    assert wire.ask("SET", "k", "writable again") == b"+OK\r\n"
    wait_until(lambda: replica.value("GET", "k") == b"writable again", "replication the other way")
    wait_until(lambda: wire.ask("FAILOVER") == b"+OK\r\n", "a replica that is online")
    wait_until(lambda: wire.value("ROLE")[0] == b"slave", "the roles' change back")
    assert wire.ask("WAIT", "0", "10").startswith(b"-ERR WAIT cannot be used with replica instances")


def test_writes_are_waited_for(lone, own_redis, redis_wire):
    server, target = lone
    replica = own_redis()
    assert replica.ask("REPLICAOF", "127.0.0.1", server.port) == b"+OK\r\n"
    wait_until(lambda: replica.value("ROLE")[3] == b"connected", "replication")
    wire = redis_wire(target)
    for turn in range(20):
        answers = wire.pipeline(("SET", "k", turn), ("WAIT", "1", "20000"), ("GET", "k"))
        assert answers == [b"+OK\r\n", b":1\r\n", b"$%d\r\n%d\r\n" % (len(str(turn)), turn)]
        assert replica.value("GET", "k") == str(turn).encode(), "WAIT came after its own client's SET"
