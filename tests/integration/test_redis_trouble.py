"""A Redis that is absent, slow, silent, or talks nonsense: who is told what, and that nobody gets another's bytes."""
import threading
import time

import pytest
from harness.fake_redis import bulk
from harness.process import PATIENCE, free_port, wait_until
from harness.redis import Redis, RedisWire
from harness.resp import request
from harness.wire import Closed

pytestmark = pytest.mark.weir_only


def outcome(wire):
    """"-" for an error, "closed", or the reply."""
    try:
        reply = wire.read()
    except Closed as end:
        return b"closed" if end.args == (b"",) else b"closed after " + end.args[0]
    return b"-" if reply.startswith(b"-") else reply


def ask(target, *arguments, patience=PATIENCE):
    with RedisWire(target.port, patience=patience) as wire:
        wire.send(request(*arguments))
        return outcome(wire)


class Nowhere:
    """An upstream's address where nobody listens."""

    def __init__(self):
        self.port = free_port()


# ---- absent


def test_an_absent_upstream_is_told_and_may_come_later(redis_door, redis_wire):
    nowhere = Nowhere()
    weir = redis_door(nowhere, wait_timeout=1)
    wire = redis_wire(weir)
    reply = wire.ask("GET", "k")
    assert reply.startswith(b"-") and b"Redis" in reply, reply
    assert "refused" in weir.said()
    assert wire.ask("MULTI").startswith(b"-")
    server = Redis(port=nowhere.port)
    try:
        wait_until(lambda: wire.ask("SET", "k", "v") == b"+OK\r\n", "service")
        assert wire.ask("GET", "k") == b"$1\r\nv\r\n"
    finally:
        server.close()


def test_an_upstream_that_does_not_answer_the_login_is_given_up(redis_door, fake_redis, redis_wire):
    upstream = fake_redis(lambda connection: connection.stay_silent())
    weir = redis_door(upstream, connect_timeout=1, wait_timeout=2, command_timeout=3)
    started = time.monotonic()
    assert redis_wire(weir).ask("GET", "k").startswith(b"-")
    assert time.monotonic() - started < 10


def test_a_killed_link_fails_what_was_in_flight_and_nothing_else(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server)
    wires = [redis_wire(weir) for _ in range(20)]
    for wire in wires:
        assert wire.ask("INCR", "n").startswith(b":")
    calls = redis_server.calls("incr")
    for turn in range(5):
        redis_server.kill_clients()
        answers = []
        for wire in wires:
            wire.send(request("INCR", "n"))
        for wire in wires:
            answers.append(outcome(wire))
        assert all(answer == b"-" or answer.startswith(b":") for answer in answers), answers
        served = [answer for answer in answers if answer != b"-"]
        assert len(set(served)) == len(served)
        calls += len(answers)
    assert redis_server.calls("incr") <= calls, "nothing is sent twice"
    for wire in wires:
        wait_until(lambda: wire.ask("ECHO", "again") == b"$5\r\nagain\r\n", "service")


def test_a_killed_link_ends_a_transaction_and_a_wait(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server)
    multi, watch, blocked, subscribed = (redis_wire(weir) for _ in range(4))
    assert multi.pipeline(("MULTI",), ("INCR", "n")) == [b"+OK\r\n", b"+QUEUED\r\n"]
    assert watch.ask("WATCH", "n") == b"+OK\r\n"
    blocked.send(request("BLPOP", "q", "0"))
    wait_until(lambda: redis_server.info("clients")["blocked_clients"] == 1, "a blocked client")
    assert subscribed.ask("SUBSCRIBE", "c").startswith(b"*3")
    for kind in ("normal", "pubsub"):
        redis_server.value("CLIENT", "KILL", "TYPE", kind)
    assert outcome(blocked) in (b"-", b"closed")
    multi.send(request("EXEC"))
    assert outcome(multi) in (b"-", b"closed"), "half a transaction is never carried out"
    watch.send(request("MULTI"), request("INCR", "n"), request("EXEC"))
    try:
        assert watch.read() == b"+OK\r\n" and watch.read() == b"+QUEUED\r\n" and watch.read()[:1] in b"*-_"
        refused = False
    except (Closed, AssertionError):
        refused = True
    if not refused:
        assert redis_server.value("GET", "n") is None, "what was watched is not watched any more, and nobody knows"

    def heard():
        with RedisWire(weir.port) as other:
            other.ask("PUBLISH", "c", "x")
        return subscribed.readable(0.1)

    wait_until(heard, "a message, or the end")
    assert outcome(subscribed) in (b"closed", b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n")


# ---- nonsense

NONSENSE = {
    "words": b"what?\r\n",
    "binary": bytes(range(128, 256)) * 10,
    "an empty line": b"\r\n",
    "a size that is no number": b"$x\r\n",
    "a size of -2": b"$-2\r\n",
    "a size of 2^63": b"$9223372036854775808\r\n",
    "a size of 2^64 and five": b"$18446744073709551621\r\nhello\r\n",
    "a count that is no number": b"*a\r\n",
    "a count of 2^63": b"*9223372036854775808\r\n",
    "a bulk that is longer than it says": b"$3\r\nhello\r\n",
    "a value of no kind in a list": b"*2\r\n:1\r\n?\r\n",
    "a value of 100,000 levels": b"*2\r\n" * 100000,
    "a header line without an end": b"$" + b"1" * 100000,
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "TLS": b"\x15\x03\x03\x00\x02\x02\x46",
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_ends_the_link_and_whoever_waited_is_told(redis_door, fake_redis, redis_wire, case):
    def behave(connection):
        connection.serve(until="GET")
        connection.say(NONSENSE[case])
        connection.stay_silent()

    upstream = fake_redis(behave)
    weir = redis_door(upstream, command_timeout=10)
    first, second = redis_wire(weir), redis_wire(weir)
    assert first.ask("ECHO", "mine") == b"$4\r\nmine\r\n"
    before = upstream.accepted()
    first.send(request("GET", "k"), request("ECHO", "late"))
    seen = outcome(first)
    assert seen == b"-" or seen.startswith(b"closed"), seen
    second.send(request("ECHO", "of the second"))
    assert outcome(second) in (b"-", b"$13\r\nof the second\r\n")
    wait_until(lambda: ask(weir, "ECHO", "again") == b"$5\r\nagain\r\n", "service on a new link")
    assert upstream.accepted() > before


@pytest.mark.parametrize("extra", [b"+EXTRA\r\n", b"$5\r\nextra\r\n", b"*2\r\n:1\r\n:2\r\n", b"-ERR what\r\n"])
def test_a_reply_that_nobody_asked_for_reaches_nobody(redis_door, fake_redis, redis_wire, extra):
    def behave(connection):
        connection.serve(until="GET")
        connection.say(bulk(b"value"), extra)
        connection.serve()

    upstream = fake_redis(behave)
    weir = redis_door(upstream)
    wires = [redis_wire(weir) for _ in range(5)]
    wires[0].send(request("GET", "k"))
    assert outcome(wires[0]) in (b"$5\r\nvalue\r\n", b"-")
    for turn in range(20):
        for number, wire in enumerate(wires):
            word = b"%d of %d" % (turn, number)
            wire.send(request("ECHO", word))
            assert outcome(wire) in (b"-", bulk(word)), "shifted by one"


@pytest.mark.parametrize("piece", [b"", b"$", b"$5\r\n", b"$5\r\nva", b"$5\r\nvalue\r"])
def test_a_link_closed_in_mid_reply(redis_door, fake_redis, redis_wire, piece):
    """Who has had part of the reply cannot be told anything else: the connection ends."""
    def behave(connection):
        connection.serve(until="GET")
        connection.say(piece)

    weir = redis_door(fake_redis(behave))
    first, second = redis_wire(weir), redis_wire(weir)
    assert second.ask("ECHO", "x") == b"$1\r\nx\r\n"
    first.send(request("GET", "k"))
    seen = outcome(first)
    assert seen == b"-" or (seen.startswith(b"closed") and (piece.startswith(seen[13:]) or seen == b"closed")), seen
    wait_until(lambda: ask(weir, "ECHO", "again") == b"$5\r\nagain\r\n", "service on a new link")
    second.send(request("ECHO", "still"))
    assert outcome(second) in (b"$5\r\nstill\r\n", b"-")


# ---- late, and silent


def test_a_late_reply_is_swallowed_and_nobody_else_pays(redis_door, fake_redis, redis_wire):
    told = threading.Event()

    def behave(connection):
        while True:
            connection.serve(until="GET")
            told.wait(PATIENCE)
            connection.say(bulk(b"late"))

    upstream = fake_redis(behave)
    weir = redis_door(upstream, command_timeout=1)
    wire, other = redis_wire(weir), redis_wire(weir)
    started = time.monotonic()
    assert wire.ask("GET", "k").startswith(b"-")
    assert 0.5 < time.monotonic() - started < 6
    told.set()
    for word in ("a", "b", "c"):
        assert wire.ask("ECHO", word) == bulk(word.encode())
        assert other.ask("ECHO", word) == bulk(word.encode())
    assert wire.ask("GET", "k") == bulk(b"late"), "now in time"


def test_the_timeout_of_one_of_a_pipeline_keeps_the_order(redis_door, fake_redis, redis_wire):
    told = threading.Event()

    def behave(connection):
        connection.serve(until="GET")
        told.wait(PATIENCE)
        connection.say(bulk(b"late"))
        connection.serve()

    weir = redis_door(fake_redis(behave), command_timeout=1)
    wire = redis_wire(weir)
    wire.send(request("ECHO", "first"), request("GET", "k"), request("ECHO", "second"))
    assert outcome(wire) == bulk(b"first")
    assert outcome(wire) == b"-"
    told.set()
    assert outcome(wire) in (b"-", bulk(b"second"))
    assert wire.ask("ECHO", "third") == bulk(b"third")


def test_a_blocking_command_has_no_timeout(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, command_timeout=1)
    blocked, other = redis_wire(weir), redis_wire(weir)
    blocked.send(request("BLPOP", "q", "0"))
    with pytest.raises(OSError):
        blocked.socket.settimeout(2.5)
        blocked.read()
    blocked.socket.settimeout(PATIENCE)
    assert other.ask("RPUSH", "q", "x") == b":1\r\n"
    assert blocked.read() == b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n"


def test_an_upstream_that_stops_reading_takes_no_memory_and_its_clients_are_told(redis_door, fake_redis, redis_wire):
    over = threading.Event()

    def behave(connection):
        connection.serve(until="SET")
        over.wait(60)

    weir = redis_door(fake_redis(behave), command_timeout=2, stuck_timeout=4)
    first, flood = redis_wire(weir), redis_wire(weir)
    first.send(request("SET", "k", "v"))
    flood.socket.settimeout(1)
    sent = 0
    try:
        for _ in range(100):
            flood.send(request("SET", "k", b"x" * 1000000))
            sent += 1
    except OSError:
        pass  # it is no longer read, or it was ended
    memory = weir.process.pss_bytes()
    try:
        assert outcome(first) == b"-"
        assert sent < 80 and memory < 400 << 20, f"{sent} MB were taken, {memory >> 20} MB are used"
        wait_until(lambda: ask(weir, "ECHO", "again") == b"$5\r\nagain\r\n", "service")
    finally:
        over.set()


def test_a_refused_login_is_told_in_redis_s_words(own_redis, redis_door, redis_wire):
    server = own_redis(requirepass="secret")
    weir = redis_door(server, address=f"redis://:wrong@127.0.0.1:{server.port}", auth="none", wait_timeout=1)
    assert b"WRONGPASS" in redis_wire(weir).ask("GET", "k")
    assert "wrong@" not in weir.said(), "passwords are not logged"
    right = redis_door(server, address=f"redis://:secret@127.0.0.1:{server.port}/3", auth="none")
    wire = redis_wire(right)
    assert wire.ask("SET", "k", "in three") == b"+OK\r\n"
    with server.wire() as past:
        past.ask("SELECT", "3")
        assert past.ask("GET", "k") == bulk(b"in three")


def test_a_redis_that_is_full_is_told_of(own_redis, redis_door, redis_wire):
    server = own_redis(maxclients="4")
    weir = redis_door(server, wait_timeout=1)
    wires = [redis_wire(weir) for _ in range(30)]
    for wire in wires:
        assert wire.ask("PING") == b"+PONG\r\n", "all of them on one link"
    for wire in wires[:10]:
        wire.send(request("BLPOP", "q", "0"))
    told = [wire for wire in wires[:10] if wire.readable(3) and outcome(wire) in (b"-", b"closed")]
    assert len(told) >= 6, "who finds no link is told why"
    assert wires[20].ask("PING") == b"+PONG\r\n"
