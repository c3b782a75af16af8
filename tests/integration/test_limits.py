"""More clients than there is room for."""
import time

import pytest
from harness.process import wait_until
from harness.wire import Closed, Wire, query, startup

WAVE = 500


def refusal(client):
    """The SQLSTATE that a client was refused with, None when the connection just ended."""
    try:
        return client.error()["C"]
    except Closed:
        return None


def test_the_hundred_that_fit_are_served_while_ten_thousand_are_turned_away(pooler, wire):
    weir = pooler(max_client_conn=100)
    clients = [wire(weir, "ana") for _ in range(100)]
    for _ in range(10_000 // WAVE):
        late = [Wire(weir.port) for _ in range(WAVE)]
        for client in late:
            try:
                client.send(startup(user="ana", database="main"))
            except ConnectionError:
                pass
        refused = [refusal(client) for client in late]
        if weir.is_weir:
            assert set(refused) == {"53300"}
        for client in late:
            client.socket.close()
    assert [client.value("select 'served'") for client in clients] == ["served"] * 100


def test_who_leaves_makes_room_for_another(pooler, wire):
    weir = pooler(max_client_conn=3)
    clients = [wire(weir, "ana") for _ in range(3)]
    clients.pop().socket.close()

    wait_until(lambda: let_in(wire(weir)), "room")


def test_a_thousand_clients_share_two_servers(postgres, pooler, wire):
    weir = pooler(max_client_conn=2000)
    clients = [wire(weir, "ana") for _ in range(1000)]
    for number, client in enumerate(clients):
        client.send(query(f"select {number}"))
    answers = [client.read_until("Z") for client in clients]
    assert [answer[1].cells()[0] for answer in answers] == [str(number) for number in range(1000)]
    assert int(postgres.sql("select count(*) from pg_stat_activity where usename = 'ana'")) <= 2


def let_in(client):
    """Whether it may log in; with no descriptor left it may be closed, told why, or left waiting."""
    try:
        client.send(startup(user="ana", database="main"))
        if client.readable(0.3) and client.read_until("ZE")[-1].kind == "Z":
            return True
    except (Closed, ConnectionError):
        pass
    client.socket.close()
    return False


@pytest.mark.weir_only
def test_without_descriptors_those_who_are_in_are_served_on(pooler, wire):
    weir = pooler(descriptors=60, max_client_conn=1000, client_login_timeout=2)
    clients = [wire(weir, "ana")]
    clients[0].ask(query("select 1"))
    for client in (wire(weir) for _ in range(100)):
        if not let_in(client):
            break
        clients.append(client)
    assert 20 < len(clients) < 100
    for _ in range(3):
        assert [client.value("select 'served'") for client in clients] == ["served"] * len(clients)
    before = weir.process.cpu_seconds()
    time.sleep(0.5)
    assert weir.process.cpu_seconds() - before < 0.25, "it does not spin on what it cannot accept"
    for client in clients[:10]:
        client.socket.close()
    wait_until(lambda: let_in(wire(weir)), "room for another")


@pytest.mark.weir_only
def test_a_queue_that_is_full_refuses_at_once(pooler, connect, wire):
    weir = pooler(default_pool_size=1, max_waiting_clients=2)
    connect(weir, autocommit=False).execute("select 1")
    waiting = [wire(weir, "ana").send(query("select 1")) for _ in range(6)]
    wait_until(lambda: sum(client.readable(0) for client in waiting) == 4, "four refusals")
    assert {client.error()["C"] for client in waiting if client.readable(0)} == {"53300"}
