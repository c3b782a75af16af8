"""Deadlines, cancels, servers that talk rubbish or hang, and orders to stop in the middle of something."""
import base64
import concurrent.futures
import hashlib
import hmac
import signal
import struct
import threading
import time

import pytest
from harness.fake import READY, result
from harness.process import free_port, wait_until
from harness.wire import (COPY_DONE, FLUSH, Closed, Wire, cancel, copy_data, kinds, message, query, startup,
                          text)


def running(postgres, sql):
    return int(postgres.sql(f"select count(*) from pg_stat_activity where state = 'active' and query like '{sql}%'"))


def server_of(fake):
    return {"main": f"host=127.0.0.1 port={fake.port} dbname=main"}


# ---- clients that vanish


@pytest.mark.weir_only
@pytest.mark.parametrize("half", [query("select 2")[:8], copy_data(b"x" * 1000)[:500]])
def test_half_a_message_behind_a_query_does_not_keep_it_running(postgres, pooler, wire, half):
    weir = pooler(default_pool_size=1)
    gone = wire(weir, "ana")
    gone.send(query("select pg_sleep(42)"), half)
    wait_until(lambda: running(postgres, "select pg_sleep(42)") == 1)
    gone.socket.close()
    assert wire(weir, "ana").value("select 1") == "1"
    wait_until(lambda: running(postgres, "select pg_sleep(42)") == 0, patience=5)


def test_session_mode_cleans_what_a_session_left(pooler, wire):
    weir = pooler(default_pool_size=1, pool_mode="session")
    with wire(weir, "ana") as first:
        pid = first.value("select pg_backend_pid()")
        first.ask(query("create temp table mine (n int); set work_mem = '1MB'"))
    second = wire(weir, "ana")
    assert second.value("select pg_backend_pid()") == pid
    assert second.value("select coalesce(to_regclass('pg_temp.mine')::text, 'none')") == "none"
    assert second.value("show work_mem") == "4MB"


# ---- servers that die


def errors(client):
    """The SQLSTATEs a client is told until its connection ends."""
    seen = []
    try:
        while True:
            each = client.read()
            if each.kind == "E":
                seen.append(each.fields()["C"])
    except Closed as end:
        assert end.args == (b"",), "it ended in the middle of a message"
    return seen


def test_a_client_whose_server_is_killed_is_told_once(postgres, weir, wire):
    victim, other = wire(weir, "ana"), wire(weir, "ana")
    victim.send(query("select pg_sleep(43)"))
    wait_until(lambda: running(postgres, "select pg_sleep(43)") == 1)
    postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(43)'")
    assert errors(victim) == ["57P01"]
    assert other.value("select 1") == "1"


def test_a_server_that_refuses_one_more_connection_fails_nobody_who_can_wait(postgres, pooler):
    postgres.sql("create role few login connection limit 1")
    weir = pooler(default_pool_size=5, secrets={"few": ""}, server_login_retry=1)
    def ask(n):
        with Wire(weir.port) as client:
            client.login("few")
            return client.value(f"select {n} from pg_sleep(0.05)")
    try:
        with concurrent.futures.ThreadPoolExecutor(20) as threads:
            assert list(threads.map(ask, range(20))) == [str(n) for n in range(20)]
    finally:
        weir.stop()
        postgres.sql("drop role few")


@pytest.mark.weir_only
def test_rubbish_from_a_server_is_an_error_and_not_silence(fake, pooler, wire):
    def behave(connection):
        connection.login()
        connection.message(), connection.say(b"HTTP/1.1 200 OK\r\n\r\n" + b"\xff" * 40)
        connection.stay_silent()
    weir = pooler(server_of(fake(behave)))
    client = wire(weir, "ana")
    client.send(query("select 1"))
    assert errors(client) == ["08006"]


def sends_no_parameters(connection):
    connection.login(message("R", struct.pack("!i", 0)) + message("K", struct.pack("!ii", 1, 2)) + READY)
    while connection.message():
        connection.say(result(b"1"))


@pytest.mark.weir_only
def test_a_server_that_reports_no_parameters_is_good_enough(fake, pooler, wire):
    weir = pooler(server_of(fake(sends_no_parameters)))
    assert wire(weir, "ana").value("select 1") == "1"


@pytest.mark.weir_only
def test_a_database_that_leads_back_here_ends_in_an_error(pooler, wire):
    port = free_port()
    weir = pooler({"main": f"host=127.0.0.1 port={port} dbname=main"}, listen_port=port, server_connect_timeout=1,
                  ignore_startup_parameters="extra_float_digits")
    client = wire(weir)
    client.send(startup(user="ana", database="main"))
    assert client.error()["C"] in ("08006", "08P01", "53300")


# ---- deadlines


@pytest.mark.weir_only
def test_a_query_that_takes_too_long_is_cancelled_on_the_server(postgres, pooler, wire):
    weir = pooler(default_pool_size=1, query_timeout=1)
    client = wire(weir, "ana")
    client.send(query("select pg_sleep(45)"))
    assert client.error()["C"] == "57014"
    assert wire(weir, "ana").value("select 1") == "1"
    assert running(postgres, "select pg_sleep(45)") == 0


@pytest.mark.weir_only
def test_many_short_queries_in_a_row_are_not_one_that_takes_too_long(pooler, wire):
    weir = pooler(query_timeout=1)
    client = wire(weir, "ana")
    client.send(*[query("select pg_sleep(0.1)")] * 25)
    for _ in range(25):
        assert kinds(client.read_until("Z")) == "TDCZ"


@pytest.mark.weir_only
def test_a_flush_is_not_a_query_that_takes_long(pooler, wire):
    weir = pooler(query_timeout=1)
    client = wire(weir, "ana")
    client.ask(query("begin"))
    client.send(FLUSH)
    time.sleep(2)
    assert client.value("select 1") == "1"


@pytest.mark.weir_only
def test_an_error_in_the_middle_of_a_row_is_not_made_up(pooler, wire):
    weir = pooler(query_timeout=4)
    client = wire(weir, "ana")
    client.send(query("select repeat('x', 60000000)"))
    time.sleep(5)
    head = client.take(5)
    while head[:1] != b"D":
        client.take(struct.unpack("!i", head[1:])[0] - 4)
        head = client.take(5)
    with pytest.raises(Closed) as end:
        client.take(struct.unpack("!i", head[1:])[0] - 4)
    assert set(end.value.args[0][6:]) == {ord("x")}


@pytest.mark.weir_only
def test_who_is_idle_in_a_transaction_for_too_long_is_told_so(pooler, wire):
    weir = pooler(default_pool_size=1, idle_transaction_timeout=1)
    client = wire(weir, "ana")
    client.ask(query("begin"))
    for _ in range(4):  # it counts from the last query
        time.sleep(0.4)
        client.ask(query("select 1"))
    assert client.error()["C"] == "25P03"
    assert wire(weir, "ana").value("select 1") == "1"


@pytest.mark.weir_only
def test_who_is_idle_for_too_long_is_told_so(pooler, wire):
    weir = pooler(client_idle_timeout=1)
    client = wire(weir, "ana")
    client.ask(query("select pg_sleep(1.5)"))
    assert client.error()["C"] == "57P05"


@pytest.mark.weir_only
def test_without_a_limit_a_client_waits_as_long_as_it_takes(pooler, connect, wire):
    weir = pooler(default_pool_size=1, query_wait_timeout=0)
    holder, waiting = connect(weir, autocommit=False), wire(weir, "ana")
    holder.execute("select 1")
    waiting.send(query("select 2"))
    time.sleep(2)
    holder.commit()
    assert kinds(waiting.read_until("Z")) == "TDCZ"


@pytest.mark.weir_only
def test_a_login_that_waits_for_a_silent_server_ends_in_time(fake, pooler, wire):
    weir = pooler(server_of(fake(lambda connection: connection.stay_silent())), query_wait_timeout=0,
                  server_connect_timeout=0, client_login_timeout=1)
    client = wire(weir).send(startup(user="ana", database="main"))
    assert client.error()["C"] == "08P01"


# ---- cancels


@pytest.mark.weir_only
def test_a_storm_of_cancels_blocks_nobody(postgres, weir, wire):
    victim, other = wire(weir, "ana"), wire(weir, "bob")
    victim.send(query("select pg_sleep(46)"))
    wait_until(lambda: running(postgres, "select pg_sleep(46)") == 1)
    storm = [threading.Thread(target=cancel, args=(weir.port, victim.key)) for _ in range(200)]
    for each in storm:
        each.start()
    assert other.value("select 1") == "1"
    assert wire(weir, "bob").value("select 2") == "2"
    assert victim.error()["C"] == "57014"
    for each in storm:
        each.join()
    assert wire(weir, "ana").value("select 3") == "3"


@pytest.mark.weir_only
def test_a_cancel_right_behind_its_query_is_not_lost(weir, wire):
    """PostgreSQL ignores one that arrives before the query has begun."""
    client = wire(weir, "ana")
    for _ in range(30):
        client.send(query("select pg_sleep(20)"))
        cancel(weir.port, client.key)
        answer = client.read_until("Z")
        assert [each.fields()["C"] for each in answer if each.kind == "E"] == ["57014"]


class Deaf:
    """A server that knows how many cancels have come, and does what it is told when one does."""

    def __init__(self, answer):
        self.answer = answer
        self.cancels = threading.Semaphore(0)

    def __call__(self, connection):
        try:
            connection.login()
        except EOFError:
            self.cancels.release()
            return
        while True:
            connection.say(*self.answer(self, connection.message()[1].rstrip(b"\0")))

    def is_canceled(self, patience=5):
        return self.cancels.acquire(timeout=patience)


CANCELED = message("E", text("SERROR") + text("VERROR") + text("C57014") + text("Mcanceled") + b"\0") + READY


@pytest.mark.weir_only
def test_a_cancel_that_the_server_has_ignored_is_sent_again(fake, pooler, wire):
    def at_the_third(server, sql):
        return [CANCELED if all(server.is_canceled() for _ in range(3)) else result(b"never canceled")]

    weir = pooler(server_of(fake(Deaf(at_the_third))), default_pool_size=1)
    client = wire(weir, "ana").send(query("select 1"))
    cancel(weir.port, client.key)
    assert client.error()["C"] == "57014"
    metrics = weir.metrics()
    assert sum(value for key, value in metrics.items() if key.startswith("weir_pool_cancels_total")) == 1
    assert sum(value for key, value in metrics.items() if key.startswith("weir_pool_cancels_repeated_total")) == 2


@pytest.mark.weir_only
def test_it_is_not_sent_again_once_its_query_was_answered(fake, pooler, wire):
    def at_the_first(server, sql):
        canceled = server.is_canceled(5 if sql == b"one" else 0.5)
        return [result(b"canceled" if canceled else b"whole")]

    weir = pooler(server_of(fake(Deaf(at_the_first))), default_pool_size=1)
    client, other = wire(weir, "ana"), wire(weir, "ana")
    client.send(query("one"))
    cancel(weir.port, client.key)
    assert client.read_until("Z")[1].cells() == ["canceled"]
    assert client.value("two") == "whole"
    assert other.value("three") == "whole"


@pytest.mark.weir_only
def test_nothing_is_sent_into_a_cancel_that_its_client_has_not_asked_for(fake, pooler, wire):
    seen, heard, over = [], [], threading.Event()

    def twice_in_vain(server, sql):
        seen.append(sql)
        assert sql != b"one" or (server.is_canceled() and server.is_canceled())
        return [result(sql)]

    server = Deaf(twice_in_vain)

    def behave(connection):
        server(connection)
        heard.append(connection)  # a cancel, which is over when this ends
        assert len(heard) < 2 or over.wait(10)

    weir = pooler(server_of(fake(behave)), default_pool_size=1)
    client = wire(weir, "ana").send(query("one"))
    cancel(weir.port, client.key)
    assert client.read_until("Z")[1].cells() == ["one"]
    client.send(query("two"))
    assert not client.readable(0.3) and seen == [b"one"]
    over.set()
    assert client.read_until("Z")[1].cells() == ["two"]


@pytest.mark.weir_only
@pytest.mark.parametrize("ahead", ["set", "begin"])
def test_a_cancel_does_not_hit_what_went_ahead_of_its_query(fake, pooler, wire, ahead):
    came_early = []

    def at_the_query(server, sql):
        if sql == b"select 1":
            return [CANCELED if server.is_canceled() else result(b"never canceled")]
        came_early.append(server.is_canceled(0.3))
        return [message("C", text(ahead.upper())), message("Z", b"T" if ahead == "begin" else b"I")]

    weir = pooler(server_of(fake(Deaf(at_the_query))), default_pool_size=1)
    wire(weir, "ana")
    client = wire(weir, "ana", **({"TimeZone": "UTC"} if ahead == "set" else {}))
    if ahead == "begin":
        assert kinds(client.ask(query("begin"))) == "CZ"
    client.send(query("select 1"))
    cancel(weir.port, client.key)
    assert client.error()["C"] == "57014"
    assert came_early == [False]


# ---- logins


class Scram:
    """A client of SCRAM-SHA-256, step by step."""

    def __init__(self, wire, user, database="main"):
        self.wire, self.bare = wire, "n=,r=abcdefghij"
        wire.send(startup(user=user, database=database)).read_until("R")
        first = ("n,," + self.bare).encode()
        wire.send(message("p", text("SCRAM-SHA-256") + struct.pack("!i", len(first)) + first))
        self.server_first = wire.read_until("R")[-1].payload[4:].decode()

    def finish(self, password):
        said = dict(part.split("=", 1) for part in self.server_first.split(","))
        without_proof = f"c=biws,r={said['r']}"
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(said["s"]), int(said["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(),
                                f"{self.bare},{self.server_first},{without_proof}".encode(), "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
        self.wire.send(message("p", f"{without_proof},p={proof}".encode()))


@pytest.fixture
def slow_to_hash(pooler):
    return pooler(auth_type="scram-sha-256", secrets={"ana": "secret"}, scram_iterations=2000000)


@pytest.mark.weir_only
def test_who_waits_for_keys_gets_them_though_another_gave_up(slow_to_hash, wire):
    first, second = Scram(wire(slow_to_hash), "ana"), Scram(wire(slow_to_hash), "ana")
    first.finish("secret"), second.finish("secret")
    first.wire.socket.close()
    assert second.wire.read_until("ZE")[-1].kind == "Z"


@pytest.mark.weir_only
def test_a_login_that_is_being_checked_when_weir_ends_ends_with_it(slow_to_hash, wire):
    client = Scram(wire(slow_to_hash), "ana")
    client.finish("secret")
    time.sleep(0.05)
    slow_to_hash.process.send(signal.SIGTERM)
    assert client.wire.error()["C"] == "57P01"
    assert slow_to_hash.stop() == []


# ---- the end


def ends_in_time(weir, number, patience):
    begun = time.monotonic()
    assert weir.stop(number) == []
    assert time.monotonic() - begun < patience


@pytest.mark.weir_only
def test_sigterm_waits_for_transactions_and_copies_and_tells_the_others(postgres, pooler, wire):
    weir = pooler(default_pool_size=3)
    idle, copying, working = wire(weir, "ana"), wire(weir, "ana"), wire(weir, "ana")
    postgres.sql("create table copied (n int)")
    try:
        assert kinds(copying.send(query("copy copied from stdin")).read_until("G")) == "G"
        working.ask(query("begin"))
        assert working.value("select 4") == "4"
        weir.process.send(signal.SIGTERM)
        assert idle.error()["C"] == "57P01"
        copying.send(copy_data(b"1\n2\n"), COPY_DONE)
        assert kinds(copying.read_until("Z")) == "CZ"
        assert copying.error()["C"] == "57P01"
        assert working.value("select 5") == "5"
        assert kinds(working.ask(query("commit"))) == "CZ"
        assert working.error()["C"] == "57P01"
        for each in (idle, copying, working):
            each.socket.close()
        assert weir.process.wait(5) == 0
        weir.ended = True
        assert postgres.sql("select count(*) from copied") == "2"
    finally:
        postgres.sql("drop table copied")


@pytest.mark.weir_only
def test_sigterm_ends_a_session_when_its_query_ends(pooler, wire):
    weir = pooler(pool_mode="session")
    client = wire(weir, "ana")
    client.send(query("select pg_sleep(0.5)"))
    time.sleep(0.1)
    weir.process.send(signal.SIGTERM)
    assert kinds(client.read_until("Z")) == "TDCZ"
    assert client.error()["C"] == "57P01"


@pytest.mark.weir_only
def test_sigint_does_not_wait_for_a_server_that_hangs(fake, pooler, wire):
    def behave(connection):
        connection.login()
        connection.message()
        connection.stay_silent()

    def hang(connection):  # a cancel request gets no end, either
        try:
            behave(connection)
        except EOFError:
            connection.released.wait(30)
    weir = pooler(server_of(fake(hang)), server_reset_timeout=60)
    client = wire(weir, "ana")
    client.send(query("select 1"))
    time.sleep(0.2)
    ends_in_time(weir, signal.SIGINT, 8)


# ---- half a message -------------------------------------------------------------------------------

@pytest.mark.weir_only
def test_half_a_request_takes_no_server(pooler, wire):
    weir = pooler(default_pool_size=1)
    silent = wire(weir, "ana")
    silent.send(query("select 1")[:9])
    assert wire(weir, "ana").value("select 2") == "2"
    silent.send(query("select 1")[9:])
    assert silent.read_until("Z")[1].cells() == ["1"]


@pytest.mark.weir_only
def test_half_a_message_and_silence_within_a_transaction_ends_in_time(pooler, wire):
    weir = pooler(default_pool_size=1, client_message_timeout=0.5)
    silent, other = wire(weir, "ana"), wire(weir, "ana")
    silent.ask(query("begin"))
    silent.ask(query("select 0"))
    silent.send(query("select 1")[:9])
    assert errors(silent) == ["08P01"]
    assert other.value("select 2") == "2"


@pytest.mark.weir_only
def test_who_sends_slowly_but_goes_on_is_not_cut_off(pooler, wire):
    weir = pooler(default_pool_size=1, client_message_timeout=0.4)
    slow = wire(weir, "ana")
    slow.ask(query("begin"))
    slow.ask(query("select 0"))
    request = query("select 'slow'")
    for byte in request:
        slow.send(bytes([byte]))
        time.sleep(0.05)  # slowness is what is tested
    assert slow.read_until("Z")[1].cells() == ["slow"]
