"""The connection that listens for all: lost, refused, too slow, and many clients at once."""
import concurrent.futures
import contextlib
import itertools
import threading
import time

import psycopg
import pytest
from harness.listening import backends, hears, pids_that_listen, shared
from harness.process import wait_until
from harness.wire import cancel, kinds, query

pytestmark = pytest.mark.weir_only

# ---- trouble ---------------------------------------------------------------------------------


def test_a_lost_connection_is_replaced_and_listeners_are_told(postgres, weir, wire):
    listeners = [wire(weir, "ana") for _ in range(3)]
    for number, listener in enumerate(listeners):
        listener.ask(query(f"listen news; listen own{number}"))
    before = pids_that_listen(postgres)
    assert len(before) == 1
    postgres.sql(f"select pg_terminate_backend({before[0]})")
    for listener in listeners:
        warning = listener.read_until("N")[-1].fields()
        assert warning["V"] == "WARNING" and warning["C"] == "01000"
    assert len(pids_that_listen(postgres)) == 1 and pids_that_listen(postgres) != before
    postgres.sql("notify news, 'again'; notify own1, 'too'")
    assert [hears(listener) for listener in listeners] == [[("news", "again")]] * 3
    assert hears(listeners[1]) == [("own1", "too")]
    assert weir.metrics()["weir_listening_servers_lost_total"] == 1
    assert "listening connection lost" in weir.said()


def test_after_a_restart_of_the_server_it_is_listened_to_again(own_postgres, pooler, wire):
    weir = pooler(backend=own_postgres, server_login_retry=1)
    listener = wire(weir, "ana")
    listener.ask(query("listen news"))
    wait_until(lambda: weir.metrics()['weir_clients{state="idle"}'] == 1, "the client's rest")
    own_postgres.stop()
    wait_until(lambda: weir.metrics()["weir_listening_servers_lost_total"] >= 2, "attempts to log in")
    own_postgres.start()
    listener.read_until("N")
    own_postgres.sql("notify news, 'again'")
    assert hears(listener) == [("news", "again")]


def test_without_the_shared_connection_a_listener_keeps_its_server(postgres, pooler, wire):
    """A role that may have one connection, which is the pool's."""
    postgres.sql("create role lonely login connection limit 1")
    try:
        weir = pooler(secrets={"lonely": ""}, default_pool_size=1)
        listener = wire(weir, "lonely")
        assert listener.value("select 1") == "1"
        assert kinds(listener.ask(query("listen news"))) == "CZ"
        postgres.sql("notify news, 'one'")
        assert hears(listener) == [("news", "one")]
        assert weir.metrics()["weir_listens_unshared_total"] == 1
        weir.close()
    finally:
        postgres.sql("drop role lonely")


def test_a_name_that_the_connection_refuses_disturbs_nobody(postgres, pooler, wire):
    """What is no letter in the server's encoding."""
    postgres.sql("create database latin encoding 'latin1' template template0 locale 'C'")
    try:
        weir = pooler({"main": f"host=127.0.0.1 port={postgres.port} dbname=latin"})
        good, bad = wire(weir, "ana", client_encoding="UTF8"), wire(weir, "ana", client_encoding="UTF8")
        good.ask(query("listen news"))
        assert bad.send(query('listen "日本"')).error()["C"] == "22P05"
        assert kinds(bad.read_until("Z")) == "Z"
        postgres.sql("notify news, 'one'", dbname="latin")
        assert hears(good) == [("news", "one")]
        assert weir.metrics()["weir_listening_servers_lost_total"] == 0
        weir.close()
    finally:
        postgres.sql("drop database latin with (force)")


def test_who_does_not_take_its_notifications_is_closed(postgres, pooler, wire):
    weir = pooler(max_queued_notifications=20000)
    listener, other = wire(weir, "ana"), wire(weir, "ana")
    for each in (listener, other):
        each.ask(query("listen news"))
    listener.ask(query("begin"))
    postgres.sql("select pg_notify('news', n || repeat('x', 5000)) from generate_series(1, 10) n")
    assert listener.error()["C"] == "53400"
    assert listener.is_closed()
    assert len(hears(other, 10)) == 10
    assert weir.metrics()["weir_notifications_dropped_total"] == 4
    assert shared(weir)[2] == 1


def test_a_slow_reader_gets_all_that_fits(postgres, pooler, wire):
    """What the kernel does not take is kept, and comes when the client reads again."""
    weir = pooler(max_queued_notifications=16 * 1024 * 1024)
    listener = wire(weir, "ana")
    listener.ask(query("listen news"))
    postgres.sql("select pg_notify('news', n || repeat('x', 7000)) from generate_series(1, 1500) n")
    wait_until(lambda: weir.metrics()["weir_notifications_received_total"] == 1500, "the notifications")
    assert weir.metrics()["weir_notifications_delivered_total"] < 1500
    assert [int(payload.rstrip("x")) for _, payload in hears(listener, 1500)] == list(range(1, 1501))
    assert listener.value("select 1") == "1"


def test_who_leaves_is_not_listened_for(postgres, pooler, wire):
    weir = pooler(server_idle_timeout=1)
    listener, other = wire(weir, "ana"), wire(weir, "ana")
    listener.ask(query("listen news"))
    listener.socket.close()
    wait_until(lambda: shared(weir) == [1, 0, 0], "the channel's end")
    wait_until(lambda: shared(weir) == [0, 0, 0], "the connection's end")
    other.ask(query("listen news"))
    postgres.sql("notify news, 'one'")
    assert hears(other) == [("news", "one")]


def test_a_client_may_leave_while_it_waits_for_the_connection(postgres, fake, pooler, wire):
    """A server that never lets the listening connection in."""
    logins = itertools.count()

    def behave(connection):
        if next(logins):
            connection.stay_silent()
        connection.login()
        connection.message()

    weir = pooler(backend=fake(behave), server_connect_timeout=2)
    going, waiting = wire(weir, "ana"), wire(weir, "ana")
    for client in (going, waiting):
        client.send(query("listen news"))
    wait_until(lambda: shared(weir)[2] == 2, "the listeners")
    going.socket.close()
    wait_until(lambda: shared(weir)[2] == 1, "the client's end")
    wait_until(lambda: weir.metrics()["weir_listens_unshared_total"] == 1, "the deadline")


def test_a_client_in_line_may_be_canceled(pooler, wire, connect):
    weir = pooler(default_pool_size=1)
    holder, listener = connect(weir, autocommit=False), wire(weir, "ana")
    holder.execute("select 1")
    listener.send(query("listen news"))
    wait_until(lambda: weir.metrics()['weir_clients{state="waiting"}'] == 1, "the client in line")
    cancel(weir.port, listener.key)
    assert listener.error()["C"] == "57014"
    listener.read_until("Z")
    wait_until(lambda: shared(weir)[2] == 0, "the listener's end")


def test_draining_ends_with_listeners(weir, wire):
    listener = wire(weir, "ana")
    listener.ask(query("listen news"))
    weir.process.send(15)
    assert listener.error()["C"] == "57P01"
    assert weir.process.wait() == 0
    weir.ended = True


# ---- many ------------------------------------------------------------------------------------


def test_a_thousand_listeners_need_one_connection(postgres, pooler, wire):
    weir = pooler(max_client_conn=2000, default_pool_size=4)
    clients = [wire(weir, "ana") for _ in range(1000)]
    for number, client in enumerate(clients):
        client.send(query(f"listen channel{number % 100}"))
    for client in clients:
        assert kinds(client.read_until("Z")) == "CZ"
    assert shared(weir) == [1, 100, 1000]
    assert len(pids_that_listen(postgres)) == 1
    assert backends(postgres) <= 5
    postgres.sql("select pg_notify('channel' || n, 'to ' || n) from generate_series(0, 99) n")
    for number, client in enumerate(clients):
        assert hears(client) == [(f"channel{number % 100}", f"to {number % 100}")]


def test_in_a_storm_nothing_is_lost_and_nothing_comes_twice(postgres, pooler):
    """Notifiers, and listeners that run queries and transactions meanwhile; each sender's in order."""
    weir = pooler(default_pool_size=4)
    senders, count, listeners = 4, 500, 12
    ready = threading.Barrier(senders + listeners)

    def send(sender):
        with psycopg.connect(weir.dsn(), autocommit=True, prepare_threshold=None) as connection:
            ready.wait(20)
            for number in range(count):
                connection.execute(f"select pg_notify('c{number % 3}', '{sender}/{number}')")
        return []

    def listen(mine):
        found = []
        with psycopg.connect(weir.dsn(), autocommit=True, prepare_threshold=None) as connection:
            connection.add_notify_handler(lambda each: found.append((each.channel, each.payload)))
            for channel in range(3):
                connection.execute(f"listen c{channel}")
            ready.wait(20)
            deadline = time.monotonic() + 60
            while len(found) < senders * count and time.monotonic() < deadline:
                with connection.transaction() if mine % 3 == 0 else contextlib.nullcontext():
                    mark = f"{mine}:{len(found)}"
                    assert connection.execute("select %s::text, repeat(%s, 20)", (mark, mark)).fetchone() == \
                        (mark, mark * 20)
        return found

    with concurrent.futures.ThreadPoolExecutor(senders + listeners) as threads:
        heard = [threads.submit(listen, mine) for mine in range(listeners)]
        sent = [threads.submit(send, sender) for sender in range(senders)]
        for each in sent:
            each.result()
        for each in heard:
            found = each.result()
            assert len(found) == len(set(found)) == senders * count
            for sender in range(senders):
                own = [int(payload.split("/")[1]) for _, payload in found if payload.startswith(f"{sender}/")]
                assert own == list(range(count))


def test_clients_that_come_and_go_do_not_disturb_each_other(postgres, weir):
    """LISTEN and UNLISTEN of the same few channels, and each hears what it sends to itself."""
    def talk(mine):
        with psycopg.connect(weir.dsn(), autocommit=True, prepare_threshold=None) as connection:
            for turn in range(15):
                channel = f"c{(mine + turn) % 3}"
                found = []
                handler = lambda each, to=found: to.append((each.channel, each.payload))  # noqa: E731
                connection.add_notify_handler(handler)
                connection.execute(f"listen {channel}")
                connection.execute(f"notify {channel}, '{mine}/{turn}'")
                deadline = time.monotonic() + 20
                while (channel, f"{mine}/{turn}") not in found and time.monotonic() < deadline:
                    connection.execute("select 1")
                assert found.count((channel, f"{mine}/{turn}")) == 1
                assert {name for name, _ in found} == {channel}
                connection.execute("unlisten *")
                connection.remove_notify_handler(handler)
        return True

    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        assert all(threads.map(talk, range(10)))
    wait_until(lambda: shared(weir)[1:] == [0, 0], "the channels' end")
