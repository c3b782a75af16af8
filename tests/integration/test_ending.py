"""SIGTERM drains, SIGINT stops at once; both end with status 0, which every test's end checks too."""
import signal
import time

import pytest
from harness.process import wait_until
from harness.wire import Closed, Wire, query, startup

pytestmark = pytest.mark.weir_only


def refuses(weir):
    try:
        with Wire(weir.port) as client:
            client.login()
        return False
    except (OSError, AssertionError, Closed):
        return True


def test_sigterm_lets_transactions_end(postgres, weir, wire):
    client = wire(weir, "ana")
    client.ask(query("begin; insert into things values (1, 'kept')"))
    weir.process.send(signal.SIGTERM)
    wait_until(lambda: refuses(weir), "the door's closing")
    assert client.value("select 'going on'") == "going on"
    client.send(query("commit"))
    assert client.read_until("C")[-1].kind == "C"
    client.socket.close()
    assert weir.stop(signal.SIGTERM) == []
    assert postgres.sql("delete from things returning name") == "kept"


def test_sigterm_ends_a_weir_with_idle_clients(weir, wire):
    clients = [wire(weir, "ana") for _ in range(5)]
    for client in clients:
        client.ask(query("select 1"))
    assert weir.stop(signal.SIGTERM) == []
    assert all(client.is_closed() for client in clients)


def test_sigterm_does_not_wait_forever(pooler, wire):
    weir = pooler(shutdown_timeout=1)
    client = wire(weir, "ana")
    client.ask(query("begin"))
    started = time.monotonic()
    assert weir.stop(signal.SIGTERM) == []
    assert 0.5 < time.monotonic() - started < 10
    assert client.is_closed()


def test_sigint_waits_for_nobody(postgres, weir, wire):
    busy, in_transaction = wire(weir, "ana"), wire(weir, "ana")
    in_transaction.ask(query("begin; insert into things values (1, 'lost')"))
    busy.send(query("select pg_sleep(30)"))
    wait_until(lambda: postgres.sql("select count(*) from pg_stat_activity where query = 'select pg_sleep(30)' "
                                    "and state = 'active'") == "1", "the query's start")
    started = time.monotonic()
    assert weir.stop(signal.SIGINT) == []
    assert time.monotonic() - started < 5
    assert busy.is_closed() and in_transaction.is_closed()
    wait_until(lambda: postgres.sql("select count(*) from things") == "0")


def test_a_second_signal_hurries_the_first(weir, wire):
    client = wire(weir, "ana")
    client.ask(query("begin"))
    weir.process.send(signal.SIGTERM)
    wait_until(lambda: refuses(weir), "the door's closing")
    assert weir.stop(signal.SIGINT) == []
    assert client.is_closed()


def test_it_ends_while_its_server_says_nothing(pooler, fake, wire):
    server = fake(lambda connection: connection.stay_silent())
    weir = pooler({"main": f"host=127.0.0.1 port={server.port} dbname=main"})
    client = wire(weir).send(startup(user="ana", database="main"), query("select 1"))
    wait_until(lambda: server.accepted() > 0, "the server's login")
    assert weir.stop(signal.SIGINT) == []
    assert client.is_closed()
