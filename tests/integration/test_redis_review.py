"""What no client may ever see: bytes in the middle of others, or what it did done elsewhere than it believes; and that nobody is left waiting."""
import socket
import threading
import time

import pytest
from harness.fake_redis import bulk
from harness.process import PATIENCE, wait_until
from harness.redis import RedisWire
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


def clients(weir):
    """How many there are, in whatever state."""
    lines = weir.metrics().items()
    return sum(value for name, value in lines if name.startswith("weir_redis_clients{"))


def hello(wire, protocol=3, *arguments):
    reply = wire.ask("HELLO", str(protocol), *arguments)
    assert reply.startswith(b"%" if protocol == 3 else b"*"), reply


# ---- subscribers


def test_a_message_waits_for_the_end_of_the_reply_before_it(redis_door, fake_redis, redis_wire):
    begun, heard = threading.Event(), threading.Event()
    subscribing = []

    def behave(connection):
        while True:
            words = connection.request()
            name = words[0].upper()
            if name == b"SUBSCRIBE":
                subscribing.append(connection)
                connection.say(b"*3\r\n$9\r\nsubscribe\r\n", bulk(words[1]), b":1\r\n")
            elif name == b"GET":
                connection.say(b"$10\r\n01234")
                begun.set()
                heard.wait(PATIENCE)
                connection.say(b"56789\r\n")
            elif name == b"PING" and connection in subscribing:
                connection.say(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
            else:
                connection.say(connection.reply(words))

    weir = redis_door(fake_redis(behave))
    wire, other = redis_wire(weir, protocol=3), redis_wire(weir)
    assert wire.ask("SUBSCRIBE", "c").startswith(b">3")
    assert other.ask("SUBSCRIBE", "c").startswith(b"*3")
    wire.send(request("GET", "k"))
    assert begun.wait(PATIENCE)
    for word in (b"one", b"two"):
        subscribing[0].say(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n", bulk(word))
        assert other.read().endswith(bulk(word))
    heard.set()
    assert wire.read() == b"$10\r\n0123456789\r\n"
    assert wire.read() == b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\none\r\n"
    assert wire.read() == b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\ntwo\r\n"
    assert wire.ask("ECHO", "x") == b"$1\r\nx\r\n"


def test_who_subscribes_after_auth_has_the_rights_of_the_new_user(own_redis, redis_door, redis_wire):
    server = own_redis()
    for name, channels in (("ana", "&*"), ("bob", "resetchannels")):
        assert server.ask("ACL", "SETUSER", name, "on", f">{name}", "~*", "+@all", channels) == b"+OK\r\n"
    wire = redis_wire(redis_door(server))
    hello(wire, 3, "AUTH", "ana", "ana")
    assert wire.ask("SUBSCRIBE", "c").startswith(b">3")
    assert wire.ask("AUTH", "bob", "bob") == b"+OK\r\n"
    wire.send(request("SUBSCRIBE", "secret"))
    assert outcome(wire) == b"-"
    server.ask("PUBLISH", "secret", "x")
    with RedisWire(wire.socket.getpeername()[1]) as other:
        hello(other, 3, "AUTH", "ana", "ana")
        other.ask("SUBSCRIBE", "c")
        assert other.ask("AUTH", "bob", "bob") == b"+OK\r\n"
        assert other.ask("UNSUBSCRIBE", "c").startswith(b">3")
        assert other.ask("SUBSCRIBE", "secret").startswith(b"-NOPERM")


def test_who_goes_back_to_resp2_hears_resp2(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server)
    wire = redis_wire(weir, protocol=3)
    assert wire.ask("SUBSCRIBE", "c").startswith(b">3")
    hello(wire, 2)
    redis_server.ask("PUBLISH", "c", "x")
    assert wire.read() == b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"


def test_no_message_comes_in_the_middle_of_what_is_not_counted(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server)
    wire = redis_wire(weir, protocol=3)
    assert wire.ask("SUBSCRIBE", "c").startswith(b">3")
    wire.send(request("MONITOR"))
    assert outcome(wire) == b"-"
    assert wire.closes() == b""
    wire = redis_wire(weir, protocol=3)
    assert wire.ask("SUBSCRIBE", "c").startswith(b">3")
    assert wire.ask("UNSUBSCRIBE", "c").startswith(b">3")
    assert wire.ask("MONITOR") == b"+OK\r\n"


def test_a_subscriber_may_not_say_more_at_length_than_in_short(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server)
    for words in (("SET", "k", b"x" * 100000), ("PING", b"x" * 100000), ("GET", "k", b"x" * 100000)):
        wire = redis_wire(weir)
        assert wire.ask("SUBSCRIBE", "c").startswith(b"*3")
        wire.send(request(*words))
        assert outcome(wire) == b"-"
    assert redis_server.ask("EXISTS", "k") == b":0\r\n"


def test_subscriptions_that_redis_does_not_answer_take_no_memory(redis_door, fake_redis, redis_wire):
    def behave(connection):
        connection.serve(until="SUBSCRIBE")
        connection.stay_silent()

    weir = redis_door(fake_redis(behave), connect_timeout=60)
    wire = redis_wire(weir)
    wire.socket.settimeout(2)
    many = request("SUBSCRIBE", "c") * 10000
    sent = 0
    with pytest.raises(OSError):
        while sent < 200 << 20:
            sent += wire.socket.send(many)
    assert sent < 100 << 20 and weir.process.pss_bytes() < 300 << 20


# ---- databases


def test_what_cannot_happen_in_its_database_happens_in_no_other(own_redis, redis_door, redis_wire):
    server = own_redis()
    server.ask("ACL", "SETUSER", "ana", "on", ">ana", "~*", "&*", "+@all")
    weir = redis_door(server, address=f"redis://ana:ana@127.0.0.1:{server.port}", auth="none")
    first, second = redis_wire(weir), redis_wire(weir)
    assert first.pipeline(("SELECT", "1"), ("GET", "k")) == [b"+OK\r\n", b"$-1\r\n"]
    assert second.pipeline(("SELECT", "2"), ("GET", "k")) == [b"+OK\r\n", b"$-1\r\n"]
    assert first.pipeline(("MULTI",), ("EXEC",)) == [b"+OK\r\n", b"*0\r\n"]
    assert server.ask("ACL", "SETUSER", "ana", "-select") == b"+OK\r\n"
    second.send(request("MULTI"), request("SET", "k", "v"), request("EXEC"))
    assert [outcome(second) for _ in range(3)] == [b"-", b"+OK\r\n", b"-"], "what is shared goes on there"
    second.send(request("SET", "large", b"x" * 100000))
    assert outcome(second).startswith((b"-", b"closed"))
    with server.wire() as past:
        for db in range(16):
            past.ask("SELECT", str(db))
            if db != 2:
                assert past.ask("DBSIZE") == b":0\r\n", f"it happened in {db}"


def test_own_lines_go_to_each_clients_database(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, max_dedicated=1)
    wires = [redis_wire(weir) for _ in range(4)]
    for db, wire in enumerate(wires):
        assert wire.ask("SELECT", str(db)) == b"+OK\r\n"
    for turn in range(3):
        for db, wire in enumerate(wires):
            wire.send(request("MULTI"), request("SET", "k", f"{db} in {turn}"), request("EXEC"),
                      request("SET", "large", bytes([65 + db]) * 100000), request("GET", "k"))
        for db, wire in enumerate(wires):
            assert [wire.read() for _ in range(5)] == [
                b"+OK\r\n", b"+QUEUED\r\n", b"*1\r\n+OK\r\n", b"+OK\r\n", bulk(b"%d in %d" % (db, turn))]
    with redis_server.wire() as past:
        for db in range(4):
            past.ask("SELECT", str(db))
            assert past.ask("GET", "large") == bulk(bytes([65 + db]) * 100000)


def test_a_database_is_asked_for_by_its_whole_number(redis_door, fake_redis, redis_wire):
    upstream = fake_redis(lambda connection: connection.serve())
    wire = redis_wire(redis_door(upstream))
    assert wire.ask("SELECT", "2147483647") == b"+OK\r\n"
    assert upstream.seen("SELECT") == [[b"SELECT", b"2147483647"]]


def test_a_redis_that_does_not_answer_where_it_is_sent_is_too_late(redis_door, fake_redis, redis_wire):
    def behave(connection):
        words = connection.serve(until="SELECT")
        if connection.seen[-2][0].upper() == b"CLIENT":  # at the login
            connection.say(b"+OK\r\n")
            connection.serve()
        connection.stay_silent()

    wire = redis_wire(redis_door(fake_redis(behave), command_timeout=1))
    assert wire.ask("SELECT", "1") == b"+OK\r\n"
    wire.send(request("BLPOP", "q", "0"), request("ECHO", "x"))
    assert wire.read().startswith(b"-")
    assert wire.read() == b"$1\r\nx\r\n"


# ---- clients that have said all they had to say


def read_slowly(wire, seconds):
    """Something all the time, but little; what it was."""
    said, ends = b"", time.monotonic() + seconds
    while time.monotonic() < ends:
        said += wire.socket.recv(100000)
        time.sleep(0.3)
    return said


@pytest.mark.parametrize("last", ["nothing", "quit"])
def test_who_closes_its_half_gets_all_replies(redis_server, redis_door, redis_wire, last):
    value = b"x" * 10000
    redis_server.ask("SET", "k", value)
    wire = redis_wire(redis_door(redis_server), receive_buffer=65536)
    wire.send(request("GET", "k") * 3000, request("QUIT") if last == "quit" else b"")
    wire.socket.shutdown(socket.SHUT_WR)
    said = read_slowly(wire, 4)
    while data := wire.socket.recv(1 << 20):
        said += data
    assert len(said) == 3000 * len(bulk(value)) + (5 if last == "quit" else 0)


def test_a_large_reply_goes_on_to_who_has_closed_its_half(redis_server, redis_door, redis_wire):
    value = b"x" * 30000000
    redis_server.ask("SET", "k", value)
    wire = redis_wire(redis_door(redis_server), receive_buffer=65536)
    wire.send(request("GET", "k"), request("QUIT"))
    wire.socket.shutdown(socket.SHUT_WR)
    said = read_slowly(wire, 5)
    while data := wire.socket.recv(1 << 20):
        said += data
    assert len(said) == len(bulk(value)) + 5


def test_who_does_not_hear_its_last_words_is_closed(redis_server, redis_door, redis_wire):
    redis_server.ask("SET", "k", b"x" * 30000000)
    weir = redis_door(redis_server, client_message_timeout=1)
    wire = redis_wire(weir, receive_buffer=65536)
    wire.send(request("GET", "k"), request("QUIT"))
    wire.socket.shutdown(socket.SHUT_WR)
    wait_until(lambda: clients(weir) == 1, "the client")
    wait_until(lambda: clients(weir) == 0, "its end")


# ---- time


def test_what_stands_behind_a_blocking_command_is_not_late(redis_server, redis_door, redis_wire):
    wire = redis_wire(redis_door(redis_server, command_timeout=1))
    wire.send(request("BLPOP", "q", "0"), request("MULTI"), request("PING"), request("EXEC"), request("BLPOP", "q", "0"))
    assert not wire.readable(2.5)
    redis_server.ask("RPUSH", "q", "x")
    assert wire.read() == b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n"
    assert [wire.read() for _ in range(3)] == [b"+OK\r\n", b"+QUEUED\r\n", b"*1\r\n+PONG\r\n"]
    assert not wire.readable(1.5)
    redis_server.ask("RPUSH", "q", "y")
    assert wire.read() == b"*2\r\n$1\r\nq\r\n$1\r\ny\r\n"
