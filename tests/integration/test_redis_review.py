"""What no client may ever see: bytes in the middle of others, or what it did done elsewhere than it believes; and that nobody is left waiting."""
import signal
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


def in_time(wire, reply, least, most):
    started = time.monotonic()
    assert outcome(wire) == reply
    assert least < time.monotonic() - started < most


def silent_at(name):
    def behave(connection):
        connection.serve(until=name)
        connection.stay_silent()

    return behave


def test_an_auth_that_redis_does_not_answer_is_late(redis_door, fake_redis, redis_wire):
    wire = redis_wire(redis_door(fake_redis(silent_at("AUTH")), command_timeout=1, stuck_timeout=0,
                                 connect_timeout=0, dedicated_idle_timeout=0))
    assert wire.ask("ECHO", "x") == b"$1\r\nx\r\n"
    time.sleep(0.2)  # whatever was due at the beginning has been
    wire.send(request("AUTH", "ana", "secret"))
    in_time(wire, b"-", 0.5, 5)


def test_a_stuck_link_is_noticed_without_anything_else_to_notice(redis_door, fake_redis, redis_wire):
    wire = redis_wire(redis_door(fake_redis(silent_at("GET")), stuck_timeout=1, connect_timeout=0, dedicated_idle_timeout=0))
    assert wire.ask("ECHO", "x") == b"$1\r\nx\r\n"
    time.sleep(0.2)
    wire.send(request("GET", "k"))
    in_time(wire, b"-", 0.5, 5)


def test_a_long_reply_that_comes_is_not_stuck(redis_door, fake_redis, redis_wire):
    def behave(connection):
        connection.serve(until="GET")
        connection.say(b"$30\r\n")
        for _ in range(6):
            time.sleep(0.5)
            connection.say(b"12345")
        connection.say(b"\r\n")
        connection.serve()

    wire = redis_wire(redis_door(fake_redis(behave), stuck_timeout=1, command_timeout=0))
    assert wire.ask("GET", "k") == bulk(b"12345" * 6)
    assert wire.ask("ECHO", "x") == b"$1\r\nx\r\n"


def test_a_long_reply_over_its_own_link_is_not_late_while_it_comes_or_is_not_read(redis_server, redis_door, redis_wire):
    value = b"x" * 30000000
    redis_server.ask("SET", "k", value)
    wire = redis_wire(redis_door(redis_server, command_timeout=1), receive_buffer=65536)
    wire.send(request("MULTI"), request("GET", "k"), request("EXEC"))
    said = read_slowly(wire, 4)
    whole = b"+OK\r\n+QUEUED\r\n*1\r\n" + bulk(value)
    while len(said) < len(whole):
        data = wire.socket.recv(1 << 20)
        assert data, f"it ended after {len(said)} of {len(whole)} bytes"
        said += data
    assert said == whole
    assert wire.ask("ECHO", "x") == b"$1\r\nx\r\n"


# ---- large requests


def lent_links(weir):
    return weir.metrics()['weir_redis_dedicated_links{upstream="main",state="LEASED"}']


def test_half_a_large_request_and_the_end_gives_the_link_back(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, max_dedicated=1, client_message_timeout=0, wait_timeout=5)
    other = redis_wire(weir)
    for how in ("half", "whole"):
        wire = redis_wire(weir)
        wire.send(request("SET", "k", b"x" * 500000)[:300000])
        wait_until(lambda: lent_links(weir) >= 1, "a link")
        if how == "half":
            wire.socket.shutdown(socket.SHUT_WR)
            assert wire.closes() == b""
        else:
            wire.close()
        assert other.pipeline(("MULTI",), ("EXEC",)) == [b"+OK\r\n", b"*0\r\n"]
    assert redis_server.ask("EXISTS", "k") == b":0\r\n"


def test_half_a_large_request_and_silence_is_told(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, client_message_timeout=1)
    wire = redis_wire(weir)
    wire.send(request("SET", "k", b"x" * 500000)[:300000])
    in_time(wire, b"-", 0.5, 5)
    assert wire.closes() == b""


def test_a_large_request_that_comes_slowly_is_not_late(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, command_timeout=1, client_message_timeout=1)
    wire = redis_wire(weir)
    whole = request("SET", "k", b"x" * 500000)
    for at in range(0, len(whole), 100000):
        wire.send(whole[at:at + 100000])
        time.sleep(0.5)
    assert wire.read() == b"+OK\r\n"


def test_a_large_request_that_breaks_is_told_behind_what_was_asked_before(redis_server, redis_door, redis_wire):
    wire = redis_wire(redis_door(redis_server))
    slow = request("EVAL", "local t = redis.call('time')[1] + 1; while redis.call('time')[1] - t < 1 do end; return 7", "0")
    wire.send(request("WATCH", "k"), slow, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n" + b"x" * 100000 + b"wrong")
    assert wire.read() == b"+OK\r\n"
    assert wire.read() == b":7\r\n"
    assert wire.read().startswith(b"-ERR Protocol error")
    assert wire.closes() == b""


# ---- many


def test_a_link_that_owed_too_much_takes_more_when_it_does_not(redis_server, redis_door):
    weir = redis_door(redis_server, stuck_timeout=0, connect_timeout=0, dedicated_idle_timeout=0)
    wires = [RedisWire(weir.port) for _ in range(4)]
    many = 50000
    for wire in wires:
        wire.ask("ECHO", "x")
    sleeper = redis_server.wire()
    sleeper.send(request("DEBUG", "SLEEP", "1.5"))
    for wire in wires:
        wire.send(request("ECHO", "x") * many)
    assert sleeper.read() == b"+OK\r\n"
    started = time.monotonic()
    for wire in wires:
        for _ in range(many):
            assert wire.read() == b"$1\r\nx\r\n"
        wire.close()
    assert time.monotonic() - started < 20


# ---- words


def test_redis_s_words_are_a_whole_reply_however_many_they_are(redis_door, fake_redis, redis_wire):
    def behave(connection):
        connection.serve(until="SELECT")
        connection.say(b"-ERR " + b"x" * 600 + b"\r\n")
        connection.serve()

    wire = redis_wire(redis_door(fake_redis(behave)))
    assert wire.ask("SELECT", "1").startswith(b"-ERR xxx")
    assert wire.ask("ECHO", "x") == b"$1\r\nx\r\n"


def test_what_a_client_says_is_no_reply_to_it(redis_compare):
    def scenario(port):
        with RedisWire(port) as wire:
            return wire.pipeline(("HELLO", "3", "a\r\n+b"), ("ECHO", "x"))

    redis_compare(scenario)


# ---- who it is


def test_a_password_alone_is_one_user_whoever_says_it(own_redis, redis_door, redis_wire):
    weir = redis_door(own_redis(requirepass="secret"))
    for _ in range(3):
        wire = redis_wire(weir)
        assert wire.ask("GET", "k").startswith(b"-NOAUTH")
        assert wire.ask("AUTH", "secret") == b"+OK\r\n"
        assert wire.pipeline(("GET", "k"), ("MULTI",), ("EXEC",), ("AUTH", "wrong"), ("GET", "k"))[-1] == b"$-1\r\n"
        assert wire.ask("AUTH", "", "secret").startswith(b"-WRONGPASS")
        assert wire.ask("RESET") == b"+RESET\r\n"
        assert wire.ask("GET", "k").startswith(b"-NOAUTH")


# ---- the end


def in_each_state(server, weir, dial):
    """Clients by what they are doing; the link of the one that waits is another's."""
    some = {name: dial(weir) for name in ("resting", "half", "half_large", "multi", "blocked", "subscribed", "monitor",
                                          "silenced", "unread", "subscribed3", "waits")}
    assert some["resting"].ask("PING") == b"+PONG\r\n"
    some["half"].send(b"*2\r\n$3\r\nGE")
    some["half_large"].send(request("SET", "k", b"x" * 500000)[:300000])
    assert some["multi"].pipeline(("MULTI",), ("INCR", "n")) == [b"+OK\r\n", b"+QUEUED\r\n"]
    some["blocked"].send(request("BLPOP", "q", "0"))
    assert some["subscribed"].ask("SUBSCRIBE", "c").startswith(b"*3")
    assert some["monitor"].ask("MONITOR") == b"+OK\r\n"
    some["silenced"].send(request("CLIENT", "REPLY", "OFF"), request("INCR", "m"))
    server.ask("SET", "large", b"x" * 20000000)
    some["unread"].send(request("GET", "large"))
    hello(some["subscribed3"])
    assert some["subscribed3"].ask("SUBSCRIBE", "c").startswith(b">3")
    wait_until(lambda: server.ask("GET", "m") == b"$1\r\n1\r\n", "what the silenced one says")
    wait_until(lambda: server.info("clients")["blocked_clients"] == 1, "a blocked client")
    some["waits"].send(request("MULTI"))
    wait_until(lambda: weir.metrics()['weir_redis_waiting_clients{upstream="main"}'] == 1, "a client that waits")
    return some


def test_a_fast_end_ends_all(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, max_dedicated=5, wait_timeout=0)
    some = in_each_state(redis_server, weir, redis_wire)
    assert weir.stop(signal.SIGINT) == []
    for name, wire in some.items():
        assert len(wire.closes()) < 20000100, name
    assert redis_server.ask("MGET", "n", "k") == b"*2\r\n$-1\r\n$-1\r\n"


def test_a_gentle_end_lets_those_finish_who_can(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, max_dedicated=5, wait_timeout=0)
    some = in_each_state(redis_server, weir, redis_wire)
    weir.process.child.send_signal(signal.SIGTERM)
    for name in ("resting", "half", "subscribed", "subscribed3"):
        assert some[name].closes().startswith(b"-"), name
    for name in ("monitor", "silenced"):
        some[name].closes()
    assert some["multi"].ask("EXEC") == b"*1\r\n:1\r\n"
    redis_server.ask("RPUSH", "q", "x")
    assert some["blocked"].read() == b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n"
    assert some["waits"].read() == b"+OK\r\n"
    assert some["waits"].ask("EXEC") == b"*0\r\n"
    some["half_large"].send(request("SET", "k", b"x" * 500000)[300000:])
    assert some["half_large"].read() == b"+OK\r\n"
    assert some["unread"].read() == bulk(b"x" * 20000000)
    for wire in some.values():
        wire.closes()
    wait_until(lambda: not weir.process.alive(), "its end")


def test_a_gentle_end_is_in_time_for_all(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, max_dedicated=5, wait_timeout=0)
    weir.config.write_text(weir.config.read_text() + "[weir]\nshutdown_timeout = 1\n")
    assert weir.stop() == []
    weir.ended = False
    weir.start()
    some = in_each_state(redis_server, weir, redis_wire)
    assert weir.stop(signal.SIGTERM) == []
    assert redis_server.ask("EXISTS", "k", "n") == b":0\r\n"
    for wire in some.values():
        wire.closes()


@pytest.mark.parametrize("before", ["", "GET k", "MULTI;EXEC"])
@pytest.mark.parametrize("command", ["BLPOP q 0", "MONITOR"])
def test_who_has_gone_takes_nothing_from_others(redis_server, redis_door, redis_wire, before, command):
    weir = redis_door(redis_server, max_dedicated=1, wait_timeout=0)
    holder, leaver = redis_wire(weir), redis_wire(weir)
    assert holder.ask("MULTI") == b"+OK\r\n"
    leaver.send(*(request(*words.split()) for words in before.split(";") if words), request(*command.split()))
    wait_until(lambda: weir.metrics()['weir_redis_waiting_clients{upstream="main"}'] == 1, "a client that waits")
    leaver.socket.shutdown(socket.SHUT_WR)
    if command == "BLPOP q 0" and "MULTI" not in before:
        leaver.closes()
    assert holder.ask("DISCARD") == b"+OK\r\n"
    leaver.closes()
    assert holder.pipeline(("RPUSH", "q", "x"), ("LPOP", "q")) == [b":1\r\n", b"$1\r\nx\r\n"]
    assert holder.pipeline(("MULTI",), ("PING",), ("EXEC",))[-1] == b"*1\r\n+PONG\r\n", "the link is free"


def test_clients_begin_in_the_url_s_database(redis_server, redis_door, redis_wire):
    weir = redis_door(redis_server, address=f"redis://127.0.0.1:{redis_server.port}/5")
    wire = redis_wire(weir)
    answers = wire.pipeline(("SET", "k", "v"), ("MULTI",), ("GET", "k"), ("EXEC",), ("SELECT", "0"), ("GET", "k"), ("RESET",),
                            ("GET", "k"), ("SET", "large", b"x" * 100000))
    assert answers == [b"+OK\r\n", b"+OK\r\n", b"+QUEUED\r\n", b"*1\r\n$1\r\nv\r\n", b"+OK\r\n", b"$-1\r\n", b"+RESET\r\n",
                       b"$1\r\nv\r\n", b"+OK\r\n"]
    with redis_server.wire() as past:
        assert past.ask("DBSIZE") == b":0\r\n"
        past.ask("SELECT", "5")
        assert past.ask("DBSIZE") == b":2\r\n"
