"""Many clients on few links: how few they are, who waits for one, what is left on them, and the ways to configure them."""
import pytest
from harness.process import wait_until
from harness.redis import RedisWire
from harness.resp import request
from harness.wire import Closed

pytestmark = pytest.mark.weir_only


def ask(target, *arguments):
    with RedisWire(target.port) as wire:
        try:
            return wire.ask(*arguments)
        except Closed:
            return b"closed"


def bulk(value):
    return b"$%d\r\n%s\r\n" % (len(value), value)


# ---- ways to get there


def test_tls_to_redis(own_redis, redis_door, redis_wire):
    server = own_redis(tls=True)
    weir = redis_door(server, address=f"rediss://127.0.0.1:{server.tls_port}?cacert={server.certificate}")
    wire = redis_wire(weir)
    value = b"v" * 3000000
    assert wire.pipeline(("SET", "k", value), ("GET", "k"), ("BLPOP", "none", "0.01")) == [
        b"+OK\r\n", bulk(value), b"*-1\r\n"]
    server.stop()
    server.start()
    wait_until(lambda: ask(weir, "PING") == b"+PONG\r\n", "service after a restart")
    stranger = redis_door(server, address=f"rediss://127.0.0.1:{server.tls_port}", wait_timeout=1)
    assert redis_wire(stranger).ask("PING").startswith(b"-")
    assert "certificate" in stranger.said()


def test_a_unix_socket_on_both_sides(redis_server, redis_door, folder):
    path = folder / "redis.sock"
    redis_door(redis_server, address=f"unix://{redis_server.socket}", unix_socket=path)
    with RedisWire(path) as wire:
        assert wire.pipeline(("SET", "k", "v"), ("MULTI",), ("GET", "k"), ("EXEC",)) == [
            b"+OK\r\n", b"+OK\r\n", b"+QUEUED\r\n", b"*1\r\n$1\r\nv\r\n"]
    assert redis_server.value("GET", "k") == b"v"


def test_a_url_is_all_it_takes(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, url=f"redis://127.0.0.1:{redis_server.port}/2")
    assert redis_wire(weir).ask("SET", "k", "v") == b"+OK\r\n"
    with redis_server.wire() as past:
        past.ask("SELECT", "2")
        assert past.ask("GET", "k") == b"$1\r\nv\r\n"


# ---- what it is all for


def test_many_clients_are_one_connection_of_redis(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server)
    before = len(redis_server.clients())
    wires = [redis_wire(weir) for _ in range(300)]
    for number, wire in enumerate(wires):
        assert wire.ask("SET", f"k{number}", number) == b"+OK\r\n"
    assert len(redis_server.clients()) - before <= 2
    subscribers = [redis_wire(weir) for _ in range(200)]
    for number, wire in enumerate(subscribers):
        assert wire.ask("SUBSCRIBE", f"c{number % 10}").startswith(b"*3")
    assert len(redis_server.clients()) - before <= 4, "ten thousand subscribers would be one connection"
    assert wires[0].ask("PUBLISH", "c3", "x").startswith(b":")
    for wire in subscribers[3::10]:
        assert wire.read() == b"*3\r\n$7\r\nmessage\r\n$2\r\nc3\r\n$1\r\nx\r\n"


def test_requests_of_one_turn_leave_in_one_write(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server)
    wires = [redis_wire(weir) for _ in range(50)]
    for wire in wires:
        wire.ask("PING")
    before = redis_server.info("stats")
    for _ in range(40):
        for wire in wires:
            wire.send(request("GET", "k") * 5)
        for wire in wires:
            assert [wire.read() for _ in range(5)] == [b"$-1\r\n"] * 5
    after = redis_server.info("stats")
    commands = after["total_commands_processed"] - before["total_commands_processed"]
    reads = after["total_reads_processed"] - before["total_reads_processed"]
    assert commands >= 10000 and reads < commands / 4, f"{reads} reads for {commands} commands"


def test_links_of_their_own_come_back_clean(redis_server, redis_door, redis_wire):
    """All that a client can leave in a link; the next one on it has none of it."""
    weir = redis_door(redis_server, max_dedicated=1)
    leave = [["MULTI"], ["WATCH", "k"], ["MULTI", "SET"], ["CLIENT", "NO-EVICT", "ON"], ["SELECT", "5"],
             ["CLIENT", "SETNAME", "left"], ["HELLO", "3"], ["MONITOR"], ["CLIENT", "REPLY", "OFF"],
             ["CLIENT", "TRACKING", "ON", "BCAST"], ["BLPOP", "none", "0"], ["SUBSCRIBE", "c"], ["PSUBSCRIBE", "*"],
             ["SCRIPT", "DEBUG", "YES"], ["READONLY"]]
    for words in leave:
        leaver = RedisWire(weir.port)
        leaver.send(request("MULTI"), request("EXEC"), request("SET", "x", "y"))  # gets the link
        assert [leaver.read() for _ in range(3)] == [b"+OK\r\n", b"*0\r\n", b"+OK\r\n"]
        leaver.send(request("SELECT", "3"), request(*words))
        assert leaver.read() == b"+OK\r\n"
        if words not in (["CLIENT", "REPLY", "OFF"], ["BLPOP", "none", "0"]):
            leaver.read()
        leaver.close()
        with RedisWire(weir.port) as next_one:
            answers = next_one.pipeline(("SET", "k", "v"), ("WATCH", "k"), ("MULTI",), ("GET", "k"), ("CLIENT", "GETNAME"),
                                        ("HGETALL", "none"), ("EXEC",))
            assert answers == [b"+OK\r\n", b"+OK\r\n", b"+OK\r\n", b"+QUEUED\r\n", b"+QUEUED\r\n", b"+QUEUED\r\n",
                               b"*3\r\n$1\r\nv\r\n$-1\r\n*0\r\n"], f"after {words}"


def test_who_left_while_it_waited_for_a_link_takes_nothing(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, max_dedicated=1, wait_timeout=30)
    holder, other = redis_wire(weir), redis_wire(weir)
    assert holder.ask("MULTI") == b"+OK\r\n"
    leaver = RedisWire(weir.port)
    leaver.send(request("BLPOP", "q", "0"), request("SET", "left", "x"))
    wait_until(lambda: weir.metrics()['weir_redis_waiting_clients{upstream="main"}'] == 1, "a client that waits")
    leaver.close()
    wait_until(lambda: weir.metrics()['weir_redis_waiting_clients{upstream="main"}'] == 0, "nobody waiting")
    assert holder.ask("DISCARD") == b"+OK\r\n"
    for turn in range(5):
        assert other.pipeline(("RPUSH", "q", turn), ("LPOP", "q")) == [b":1\r\n", b"$1\r\n%d\r\n" % turn]
        assert other.pipeline(("MULTI",), ("PING",), ("EXEC",))[-1] == b"*1\r\n+PONG\r\n", "the link is free"


def test_one_s_own_message_comes_once_and_the_count_too(redis_server, redis_door, redis_wire):
    wire = redis_wire(redis_door(redis_server), protocol=3)
    assert wire.ask("SUBSCRIBE", "c").startswith(b">3")
    message = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\nself\r\n"
    for _ in range(20):
        assert sorted([wire.ask("PUBLISH", "c", "self"), wire.read()]) == [b":1\r\n", message]
    assert wire.ask("PING") == b"+PONG\r\n"


def test_many_large_values_at_once_keep_nobody_waiting(redis_server, redis_door, redis_wire):
    """More than a shared link takes at once; what waits for it goes on when it can."""
    weir = redis_door(redis_server, large_value=10 ** 9)
    wires = [redis_wire(weir) for _ in range(30)]
    value = b"x" * 20000
    for turn in range(40):
        for number, wire in enumerate(wires):
            wire.send(request("SET", f"k{number}", value))
        for wire in wires:
            assert wire.read() == b"+OK\r\n"
    assert not weir.metrics()['weir_redis_wait_timeouts_total{upstream="main"}']
