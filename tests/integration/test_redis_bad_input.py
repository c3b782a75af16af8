"""What no client of Redis should send: the words and the end that Redis itself gives, and nobody else notices."""
import pytest
from harness.process import wait_until
from harness.resp import request
from harness.wire import Closed

SIZE, COUNT = b"invalid bulk length", b"invalid multibulk length"
BROKEN = {  # what is sent, and what Redis calls it
    "a count that is no number": (b"*x\r\n", COUNT),
    "no count": (b"*\r\n", COUNT),
    "a count with a blank": (b"* 1\r\n$4\r\nPING\r\n", COUNT),
    "a count with a plus": (b"*+1\r\n$4\r\nPING\r\n", COUNT),
    "a count with a zero ahead": (b"*01\r\n$4\r\nPING\r\n", COUNT),
    "a count of 2^31": (b"*2147483648\r\n", COUNT),
    "a count of 2^63": (b"*9223372036854775808\r\n", COUNT),
    "a count of 2^64": (b"*18446744073709551616\r\n", COUNT),
    "a count line without an end": (b"*" + b"1" * 70000, b"too big mbulk count string"),
    "no size": (b"*1\r\nPING\r\n", b"expected '$', got 'P'"),
    "a sign in place of a size": (b"*2\r\n$4\r\nECHO\r\n:1\r\n", b"expected '$', got ':'"),
    "a size that is no number": (b"*1\r\n$x\r\n", SIZE),
    "a size below zero": (b"*1\r\n$-1\r\n", SIZE),
    "a size of -2": (b"*2\r\n$3\r\nGET\r\n$-2\r\n", SIZE),
    "a size of 512 MB and one": (b"*2\r\n$3\r\nGET\r\n$536870913\r\n", SIZE),
    "a size of 2^63": (b"*1\r\n$9223372036854775808\r\n", SIZE),
    "a size of 2^64 and one": (b"*1\r\n$18446744073709551617\r\n", SIZE),
    "a size line without an end": (b"*1\r\n$" + b"1" * 70000, b"too big bulk count string"),
    "an open double quote": (b'SET "a\r\n', b"unbalanced quotes in request"),
    "an open single quote": (b"SET 'a\r\n", b"unbalanced quotes in request"),
    "something behind a quote": (b'SET "a"b\r\n', b"unbalanced quotes in request"),
    "an inline request of 68 KB": (b"PING " + b"x" * 70000, b"too big inline request"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_protocol_error_is_told_as_redis_tells_it_and_ends_the_connection(redis_target, redis_wire, case):
    data, words = BROKEN[case]
    wire, other = redis_wire(redis_target), redis_wire(redis_target)
    wire.send(data)
    assert wire.closes() == b"-ERR Protocol error: " + words + b"\r\n"
    assert other.ask("PING") == b"+PONG\r\n"


@pytest.mark.parametrize("case", BROKEN)
def test_what_was_right_before_it_is_answered_first(redis_target, redis_wire, case):
    data, words = BROKEN[case]
    wire = redis_wire(redis_target)
    wire.send(request("SET", "k", "v"), b"GET k\r\n", request("BLPOP", "none", "0.01"), request("INCR", "n"), data)
    assert wire.closes() == b"+OK\r\n$1\r\nv\r\n*-1\r\n:1\r\n-ERR Protocol error: " + words + b"\r\n"


def test_an_error_inside_a_transaction_ends_it(redis_target, redis_server, redis_wire):
    wire = redis_wire(redis_target)
    wire.send(b"MULTI\r\nSET k v\r\n*z\r\n")
    assert wire.closes() == b"+OK\r\n+QUEUED\r\n-ERR Protocol error: invalid multibulk length\r\n"
    assert redis_server.value("EXISTS", "k") == b"0"


ODD = {  # what is sent, and answered; the connection goes on
    "nothing": (b"\r\n\r\n", b""),
    "requests without arguments": (b"*0\r\n*-1\r\n*-5\r\n", b""),
    "inline, with a mere line feed": (b"ECHO a\nECHO b\r\n", b"$1\r\na\r\n$1\r\nb\r\n"),
    "inline, with blanks and quotes": (b"  ECHO   \"a \\x41\\n\\\"\"  \r\n", b"$5\r\na A\n\"\r\n"),
    "inline, with single quotes": (b"ECHO 'it\\'s'\r\n", b"$4\r\nit's\r\n"),
    "inline, of 60 KB": (b"ECHO " + b"x" * 60000 + b"\r\n", b"$60000\r\n" + b"x" * 60000 + b"\r\n"),
    "inline, of nothing but blanks": (b"    \r\n", b""),
    "inline, unknown": (b"nosuch thing\r\n", b"-ERR unknown command 'nosuch', with args beginning with: 'thing' \r\n"),
    "a size with a zero byte as its data": (b"*2\r\n$4\r\nECHO\r\n$1\r\n\0\r\n", b"$1\r\n\0\r\n"),
    "an unknown command of line ends": (b"*1\r\n$4\r\n\r\n\r\n\r\n", b"-ERR unknown command '    ', with args beginning with: \r\n"),
    "an empty name": (b"*1\r\n$0\r\n\r\n", b"-ERR unknown command '', with args beginning with: \r\n"),
    "both kinds": (b"*1\r\n$4\r\nPING\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n", b"+PONG\r\n+PONG\r\n$1\r\nx\r\n"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_but_right_is_answered(redis_target, redis_wire, case):
    data, answer = ODD[case]
    wire = redis_wire(redis_target)
    wire.send(data, request("ECHO", "the end"))
    got = b""
    while not got.endswith(b"$7\r\nthe end\r\n"):
        got += wire.read()
    assert got == answer + b"$7\r\nthe end\r\n"


@pytest.mark.parametrize("case", [case for case in ODD if len(ODD[case][0]) < 1000])
def test_it_may_come_byte_by_byte(redis_target, redis_wire, case):
    data, answer = ODD[case]
    wire = redis_wire(redis_target)
    for byte in data + request("ECHO", "the end"):
        wire.send(bytes([byte]))
    got = b""
    while not got.endswith(b"$7\r\nthe end\r\n"):
        got += wire.read()
    assert got == answer + b"$7\r\nthe end\r\n"


@pytest.mark.parametrize("data", [b"POST / HTTP/1.1\r\n", b"Host: example.org\r\n", b"post x\r\n",
                                  request("POST", "/"), request("host:", "x")])
def test_a_browser_s_request_ends_the_connection_without_a_word(redis_target, redis_wire, data):
    """Redis takes it for a cross-protocol attack."""
    wire = redis_wire(redis_target)
    assert wire.ask("ECHO", "before") == b"$6\r\nbefore\r\n"
    wire.send(data, request("SET", "k", "attacked"))
    assert wire.closes() == b""
    assert redis_wire(redis_target).ask("GET", "k") == b"$-1\r\n"


def test_get_with_a_path_is_but_a_wrong_get(redis_target, redis_wire):
    wire = redis_wire(redis_target)
    assert wire.send(b"GET / HTTP/1.1\r\n").read() == b"-ERR wrong number of arguments for 'get' command\r\n"
    assert wire.send(b"Host: x\r\n\r\n").closes() == b""


@pytest.fixture
def guarded(request, own_redis, redis_door):
    server = own_redis(requirepass="secret")
    return server if request.param == "direct" else redis_door(server)


@pytest.fixture
def guarded_by_weir(redis_server, redis_door, tmp_path):
    users = tmp_path / "users.txt"
    users.write_text('"default" "secret"\n')
    return redis_door(redis_server, auth="file", auth_file=users)


@pytest.mark.parametrize("door", ["direct", "weir"])
@pytest.mark.parametrize("data, words", [(b"*11\r\n$4\r\nECHO\r\n", b"unauthenticated multibulk length"),
                                         (b"*1\r\n$16385\r\n", b"unauthenticated bulk length")])
def test_who_has_not_logged_in_may_not_send_much(own_redis, guarded_by_weir, redis_wire, door, data, words):
    """Where weir knows who has: with auth = pass only Redis does."""
    guarded = own_redis(requirepass="secret") if door == "direct" else guarded_by_weir
    wire = redis_wire(guarded)
    wire.send(data)
    assert wire.closes() == b"-ERR Protocol error: " + words + b"\r\n"
    trusted = redis_wire(guarded)
    assert trusted.ask("AUTH", "secret") == b"+OK\r\n"
    assert trusted.ask("SET", "k", "x" * 16385) == b"+OK\r\n"
    assert trusted.ask("DEL", *range(20)) == b":0\r\n"


@pytest.mark.parametrize("guarded", ["direct", "weir"], indirect=True)
def test_a_wrong_password_lets_nobody_in(guarded, redis_wire):
    wrong, right = redis_wire(guarded), redis_wire(guarded)
    assert right.ask("AUTH", "secret") == b"+OK\r\n"
    assert right.ask("SET", "k", "v") == b"+OK\r\n"
    refused, needed = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n", b"-NOAUTH Authentication required.\r\n"
    assert wrong.pipeline(("GET", "k"), ("AUTH", "guess"), ("GET", "k"), ("AUTH", "nobody", "secret"), ("GET", "k"),
                          ("MULTI",), ("SELECT", "1"), ("SUBSCRIBE", "c"), ("BLPOP", "q", "0")) == \
        [needed, refused, needed, refused, needed, *[needed] * 4]
    assert wrong.pipeline(("AUTH", "secret"), ("GET", "k"), ("AUTH", "guess"), ("GET", "k")) == \
        [b"+OK\r\n", b"$1\r\nv\r\n", refused, b"$1\r\nv\r\n"], "a failed AUTH leaves who one was"
    assert right.ask("GET", "k") == b"$1\r\nv\r\n"


# ---- much, half, and nothing


def test_a_million_keys_are_asked_for_at_once(redis_target, redis_wire):
    wire, other = redis_wire(redis_target, patience=120), redis_wire(redis_target)
    wire.ask("SET", "k7", "seven")
    wire.send(request("MGET", *(f"k{n % 100}" for n in range(1000000))))
    assert other.ask("ECHO", "meanwhile") == b"$9\r\nmeanwhile\r\n"
    expected = b"".join(b"$5\r\nseven\r\n" if n == 7 else b"$-1\r\n" for n in range(100)) * 10000
    assert wire.read() == b"*1000000\r\n" + expected
    assert wire.ask("GET", "k7") == b"$5\r\nseven\r\n"


def test_a_hundred_thousand_requests_in_one_write(redis_target, redis_wire):
    wire = redis_wire(redis_target, patience=60)
    answers = wire.pipeline(*(("ECHO", n) for n in range(20000)))
    assert answers == [b"$%d\r\n%d\r\n" % (len(str(n)), n) for n in range(20000)]


HALVES = {"a name": b"*2\r\n$3\r\nGE", "a count": b"*2", "a size": b"*2\r\n$3\r\nGET\r\n$", "a key": b"*2\r\n$3\r\nGET\r\n$5\r\nke",
          "a line": b"GET ke", "a line end": b"*1\r\n$4\r\nPING\r"}


@pytest.mark.parametrize("case", HALVES)
def test_half_a_request_delays_nobody_and_is_answered_when_whole(redis_target, redis_wire, case):
    half, other = redis_wire(redis_target), redis_wire(redis_target)
    half.send(request("ECHO", "before"), HALVES[case])
    assert half.read() == b"$6\r\nbefore\r\n"
    for turn in range(50):
        assert other.ask("ECHO", turn) == b"$%d\r\n%d\r\n" % (len(str(turn)), turn)
    assert not half.readable(0)
    rest = {"a name": b"T\r\n$1\r\nk\r\n", "a count": b"\r\n$3\r\nGET\r\n$1\r\nk\r\n", "a size": b"1\r\nk\r\n",
            "a key": b"y 1\r\n", "a line": b"y\r\n", "a line end": b"\n"}[case]
    assert half.send(rest).read() == (b"+PONG\r\n" if case == "a line end" else b"$-1\r\n")


@pytest.mark.parametrize("size", [10, 100000, 3000000])
@pytest.mark.parametrize("multi", [False, True])
def test_half_a_request_and_a_hung_up_client_change_nothing(redis_target, redis_server, redis_wire, size, multi):
    other = redis_wire(redis_target)
    other.ask("SET", "k", "kept")
    for _ in range(5):
        half = redis_wire(redis_target)
        if multi:
            assert half.ask("MULTI") == b"+OK\r\n"
        whole = request("SET", "k", b"x" * size)
        half.send(whole[:len(whole) - size // 2])
        assert other.ask("GET", "k") == b"$4\r\nkept\r\n"
        half.close()
    for _ in range(20):
        assert other.ask("GET", "k") == b"$4\r\nkept\r\n"
        assert redis_wire(redis_target).ask("INCR", "n").startswith(b":")
    assert redis_server.value("GET", "k") == b"kept"


def test_a_value_sent_slowly_in_pieces_is_whole(redis_target, redis_wire):
    wire, other = redis_wire(redis_target), redis_wire(redis_target)
    value = b"0123456789abcdef" * 20000
    data = request("SET", "k", value) + request("GET", "k") + request("ECHO", "after")
    for at in range(0, len(data), 50001):
        wire.send(data[at:at + 50001])
        assert other.ask("PING") == b"+PONG\r\n"
    assert [wire.read() for _ in range(3)] == [b"+OK\r\n", b"$%d\r\n%s\r\n" % (len(value), value), b"$5\r\nafter\r\n"]


def test_who_reads_nothing_delays_nobody_and_gets_all_of_it_in_the_end(redis_target, redis_wire):
    slow, other = redis_wire(redis_target, patience=60, receive_buffer=4096), redis_wire(redis_target)
    value = b"v" * 1000000
    assert other.ask("SET", "large", value) == b"+OK\r\n"
    slow.send(*[request("GET", "large"), request("ECHO", "small")] * 40)
    for turn in range(200):
        assert other.ask("ECHO", turn) == b"$%d\r\n%d\r\n" % (len(str(turn)), turn)
    for _ in range(40):
        assert slow.read() == b"$1000000\r\n" + value + b"\r\n"
        assert slow.read() == b"$5\r\nsmall\r\n"


def test_who_hangs_up_in_a_large_reply_delays_nobody(redis_target, redis_wire):
    other = redis_wire(redis_target)
    assert other.ask("SET", "large", b"v" * 5000000) == b"+OK\r\n"
    for _ in range(10):
        leaver = redis_wire(redis_target, receive_buffer=4096)
        leaver.send(*[request("GET", "large")] * 3)
        assert leaver.socket.recv(100)[:9] == b"$5000000\r"
        leaver.close()
        assert other.ask("ECHO", "still") == b"$5\r\nstill\r\n"


def test_replies_that_nobody_waits_for_go_to_nobody(redis_target, redis_wire):
    """Clients that ask and leave at once, beside one that asks the like."""
    stayer = redis_wire(redis_target)
    for turn in range(300):
        leaver = redis_wire(redis_target)
        leaver.send(request("ECHO", "of the leaver"))
        leaver.close()
        word = b"stays %d" % turn
        assert stayer.ask("ECHO", word) == b"$%d\r\n%s\r\n" % (len(word), word)


def test_a_blocked_client_that_leaves_takes_nothing(redis_target, redis_server, redis_wire):
    other = redis_wire(redis_target)
    for turn in range(5):
        blocked = redis_wire(redis_target)
        blocked.send(request("BLPOP", "q", "0"))
        wait_until(lambda: redis_server.info("clients")["blocked_clients"] == 1, "a blocked client")
        blocked.close()
        wait_until(lambda: redis_server.info("clients")["blocked_clients"] == 0, "the end of its wait")
        assert other.ask("RPUSH", "q", turn) == b":1\r\n"
        assert other.ask("LPOP", "q") == b"$1\r\n%d\r\n" % turn, "it was not given to who has left"


def test_a_client_may_half_close_and_still_gets_its_answers(redis_target, redis_wire):
    """nc and redis-cli's --pipe do so; Redis closes at once, and what it has answered by then arrives."""
    import socket
    wire = redis_wire(redis_target)
    assert wire.ask("SET", "k", "v") == b"+OK\r\n"
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.closes() == b""


def test_nobody_is_told_anything_after_quit(redis_target, redis_wire):
    wire = redis_wire(redis_target)
    wire.send(request("SET", "k", "v"), request("QUIT"), request("SET", "k", "late"), request("GET", "k"))
    assert wire.closes() == b"+OK\r\n+OK\r\n"
    with pytest.raises(Closed):
        wire.read()
    assert redis_wire(redis_target).ask("GET", "k") == b"$1\r\nv\r\n"


@pytest.mark.parametrize("data", [b"*1\r$4\r\nPING\r\n", b"*1\r\n$4\r\nPING.."])
def test_weir_is_stricter_than_redis_about_line_ends(redis_server, redis_door, redis_wire, data):
    """Redis overlooks what stands there; another server on a shared link might read on elsewhere."""
    wire = redis_wire(redis_door(redis_server))
    wire.send(data)
    assert wire.read().startswith(b"-ERR Protocol error: invalid ")
    assert wire.closes() == b""
