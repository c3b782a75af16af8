"""Clients and servers that leave in the middle, or never say a word."""
import signal
import threading
import time

import psycopg
import pytest
from harness import fake as fakes
from harness.process import wait_until
from harness.wire import FLUSH, Closed, bind, copy_data, execute, message, parse, query, text

SLEEPING = "select count(*) from pg_stat_activity where query like 'select pg_sleep(30)%' and state = 'active'"


def entry(server):
    return {"main": f"host=127.0.0.1 port={server.port} dbname=main"}


def sleeping(postgres, wire, weir):
    """A client whose query would take long, once the server is at it."""
    client = wire(weir, "ana").send(query("select pg_sleep(30)"))
    wait_until(lambda: postgres.sql(SLEEPING) == "1", "the query's start")
    return client


@pytest.mark.weir_only
def test_the_query_of_a_client_that_left_is_cancelled(postgres, pooler, wire):
    weir = pooler(default_pool_size=1)
    first = wire(weir, "ana")
    pid = first.value("select pg_backend_pid()")
    first.send(query("select pg_sleep(30)"))
    wait_until(lambda: postgres.sql(SLEEPING) == "1", "the query's start")
    first.socket.close()
    wait_until(lambda: postgres.sql(SLEEPING) == "0", "the query's end")
    assert wire(weir, "ana").value("select pg_backend_pid()") == pid, "the server connection is kept"


def test_a_client_that_left_its_transaction_has_it_rolled_back(postgres, pooler, wire):
    weir = pooler(default_pool_size=1)
    first = wire(weir, "ana")
    first.ask(query("begin; insert into things values (1, 'lost')"))
    first.socket.close()
    second = wire(weir, "ana")
    assert second.value("select count(*) from things") == "0"
    assert postgres.sql("select count(*) from pg_stat_activity where state like 'idle in transaction%'") == "0"


def test_a_client_that_left_within_a_copy_leaves_nothing_behind(pooler, wire):
    weir = pooler(default_pool_size=1)
    first = wire(weir, "ana")
    first.send(query("copy things from stdin")).read_until("G")
    first.send(copy_data(b"1\tlost\n")).socket.close()
    assert wire(weir, "ana").value("select count(*) from things") == "0"


def test_a_client_that_left_within_a_large_result_makes_room(pooler, wire):
    weir = pooler(default_pool_size=1)
    first = wire(weir, "ana").send(query("select repeat('x', 1000) from generate_series(1, 300000)"))
    first.read_until("D")
    first.socket.close()
    assert wire(weir, "ana").value("select 'room'") == "room"


def test_a_client_that_left_with_an_unsynced_batch_makes_room(pooler, wire):
    weir = pooler(default_pool_size=1)
    first = wire(weir, "ana").send(parse("", "select 1"), bind(), execute(), FLUSH)
    first.read_until("C")
    first.socket.close()
    assert wire(weir, "ana").value("select 'room'") == "room"


@pytest.mark.weir_only
def test_the_query_of_a_client_that_left_while_waiting_is_not_run(postgres, pooler, connect, wire):
    weir = pooler(default_pool_size=1)
    holder, leaving = connect(weir, autocommit=False), wire(weir, "ana")
    holder.execute("select 1")
    open_before = weir.process.descriptors()
    leaving.send(query("insert into things values (9, 'ghost')")).socket.close()
    wait_until(lambda: weir.process.descriptors() < open_before, "its leaving")
    holder.commit()
    assert wire(weir, "ana").value("select count(*) from things") == "0"


def test_a_client_that_does_not_read_is_waited_for_in_little_memory(pooler, wire):
    weir = pooler(default_pool_size=2)
    others = wire(weir, "ana")
    others.ask(query("select 1"))
    before = weir.process.pss_bytes()
    slow = wire(weir, "ana").send(query("select repeat('x', 1000) from generate_series(1, 200000)"))
    for _ in range(50):
        assert others.value("select 'served'") == "served"
        time.sleep(0.01)
    assert weir.process.pss_bytes() - before < 16 << 20
    assert sum(len(each.payload) for each in slow.read_until("Z") if each.kind == "D") > 200_000_000


def test_both_sides_may_write_much_at_once(weir, wire):
    """A client that sends megabytes of queries before it reads must not be waited for forever."""
    client = wire(weir, "ana")
    rounds = 3000
    batch = (parse("", f"select '{'q' * 2000}', repeat('r', 2000)") + bind() + execute()) * rounds
    writer = threading.Thread(target=lambda: client.send(batch, query("select 'end'")))
    writer.start()
    answers = client.read_until("Z")
    writer.join()
    assert sum(each.kind == "D" for each in answers) == rounds + 1


def test_a_server_terminated_in_a_query_says_why_to_its_client_only(postgres, weir, connect, wire):
    other = connect(weir, autocommit=False)
    other.execute("select 1")
    client = sleeping(postgres, wire, weir)
    postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(30)'")
    error = client.error()
    assert error["S"] == "FATAL" and error["C"] == "57P01"
    assert client.is_closed()
    assert other.execute("select 'undisturbed'").fetchone() == ("undisturbed",)


def test_a_server_killed_in_mid_result_ends_its_client_and_no_other(own_postgres, pooler, wire):
    weir = pooler(entry(own_postgres), server_login_retry=1, default_pool_size=1)
    client = wire(weir, "ana")
    pid = int(client.value("select pg_backend_pid()"))
    client.send(query("select repeat('x', 1000) from generate_series(1, 1000000)")).read_until("D")
    own_postgres.kill(pid, signal.SIGKILL)
    try:
        last = client.read_until("E")[-1]
        assert last.fields()["S"] in ("FATAL", "ERROR")
    except Closed:
        pass
    assert client.is_closed()

    def served():
        try:
            with psycopg.connect(weir.dsn(), connect_timeout=5) as another:
                return another.execute("select 'again'").fetchone() == ("again",)
        except psycopg.OperationalError:
            return False
    wait_until(served, "recovery")


def test_an_idle_server_that_died_is_not_handed_out(postgres, weir, wire):
    client = wire(weir, "ana")
    client.ask(query("select 1"))
    postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ana'")
    wait_until(lambda: postgres.sql("select count(*) from pg_stat_activity where usename = 'ana'") == "0")
    assert client.value("select 'fine'") == "fine"


def test_idle_clients_survive_a_restart_of_the_server(own_postgres, pooler, wire):
    weir = pooler(entry(own_postgres), server_login_retry=1)
    clients = [wire(weir, "ana") for _ in range(5)]
    for client in clients:
        client.ask(query("select 1"))
    own_postgres.stop()
    own_postgres.start()
    time.sleep(1.1)  # server_login_retry, should one have been tried meanwhile
    assert [client.value("select 'back'") for client in clients] == ["back"] * 5


def test_a_server_that_does_not_listen_is_an_error_in_time_and_tried_again(own_postgres, pooler, connect):
    own_postgres.stop()
    weir = pooler(entry(own_postgres), server_login_retry=1, server_connect_timeout=2, query_wait_timeout=3)
    started = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        connect(weir).execute("select 1")
    assert time.monotonic() - started < 10
    own_postgres.start()

    def served():
        try:
            return connect(weir).execute("select 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False
    wait_until(served, "the server's return")


def silent(connection):
    connection.stay_silent()


def closes_at_once(connection):
    connection.close()


def garbage(connection):
    connection.take(8)
    connection.say(bytes(range(256)) * 8)
    connection.stay_silent()


def half_a_welcome(connection):
    connection.login(fakes.WELCOME[:20])


@pytest.mark.parametrize("behaviour", [silent, closes_at_once, garbage, half_a_welcome])
def test_a_server_that_cannot_be_talked_to_is_an_error_in_time(pooler, fake, connect, wire, behaviour):
    weir = pooler(entry(fake(behaviour)), server_connect_timeout=1, server_login_retry=1, query_wait_timeout=3)
    started = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        connect(weir).execute("select 1")
    assert time.monotonic() - started < 10


def half_a_row_and_gone(connection):
    connection.login()
    while True:
        kind, payload = connection.message()
        if kind == "Q" and b"half" in payload:
            connection.say(fakes.ROW_DESCRIPTION, fakes.row(b"x" * 1000)[:300])
            return
        connection.say(fakes.result(payload.rstrip(b"\0")))


def test_a_server_gone_within_a_row_ends_its_client_with_no_broken_message(pooler, fake, wire):
    weir = pooler(entry(fake(half_a_row_and_gone)), default_pool_size=2)
    client, other = wire(weir, "ana"), wire(weir, "ana")
    assert client.value("one") == "one"
    client.send(query("half"))
    assert client.read().kind == "T"
    with pytest.raises(Closed):
        client.read()
    assert other.value("two") == "two"


def unasked_bytes(connection):
    """Answers, and some time later says something that nobody asked for."""
    connection.login()
    while True:
        _, payload = connection.message()
        connection.say(fakes.result(payload.rstrip(b"\0")))
        time.sleep(0.05)
        connection.say(fakes.row(b"of somebody else"))


def test_what_a_server_says_unasked_reaches_nobody(pooler, fake, wire):
    weir = pooler(entry(fake(unasked_bytes)), default_pool_size=1)
    for number in range(5):
        client = wire(weir, "ana")
        assert client.value(f"mine {number}") == f"mine {number}"
        time.sleep(0.1)  # for the fake's unasked bytes


def test_notices_of_an_idle_server_do_no_harm(pooler, fake, wire):
    def chatty(connection):
        connection.login()
        while True:
            _, payload = connection.message()
            connection.say(fakes.result(payload.rstrip(b"\0")))
            connection.say(message("N", text("SNOTICE") + text("C00000") + text("Mhello") + b"\0"))

    server = fake(chatty)
    weir = pooler(entry(server), default_pool_size=1)
    client = wire(weir, "ana")
    assert [client.value(f"{number}") for number in range(20)] == [str(number) for number in range(20)]
    assert server.accepted() == 1, "a NOTICE does not cost a server"
