"""SHOW REDIS_POOLS and REDIS_CLIENTS: the Redis door in the same tables as PostgreSQL's."""
import psycopg
import pytest
from harness import console
from harness.process import free_port, wait_until
from harness.redis import RedisWire
from harness.redis_door import RedisDoor
from harness.resp import request

pytestmark = pytest.mark.weir_only


class BothDoors(RedisDoor):
    """One weir with both; .port is that of clients of Redis."""

    def write(self, databases, users, secrets, settings):
        self.console_port = free_port()
        super().write(databases, users, secrets, settings)
        userlist = self.folder / "userlist.txt"
        userlist.write_text('"ana" ""\n')
        with open(self.config, "a") as config:
            config.write("[databases]\nmain = host=127.0.0.1 port=1\n[weir]\nlisten_addr = 127.0.0.1\n"
                         f"listen_port = {self.console_port}\nunix_socket_dir =\nauth_type = trust\n"
                         f"auth_file = {userlist}\nstats_users = ana\n")


@pytest.fixture
def both(redis_server, folder):
    own = folder / "both"
    own.mkdir()
    door = BothDoors(own, f"redis://127.0.0.1:{redis_server.port}").start()
    yield door
    door.close()


@pytest.fixture
def watch(both):
    with psycopg.connect(both.dsn(dbname="pgbouncer", port=both.console_port), autocommit=True) as connection:
        yield connection


@pytest.fixture
def dial(both):
    wires = []

    def start():
        wires.append(RedisWire(both.port))
        return wires[-1]

    yield start
    for each in wires:
        each.close()


def test_clients_of_one_database_share_a_line(watch, dial):
    clients = [dial() for _ in range(3)]
    for client in clients:
        for _ in range(10):
            assert client.ask("SET", "k", "v") == b"+OK\r\n"
    pool = console.row(watch, "show redis_pools", upstream="main", database=0, protocol=2)
    assert pool == {**pool, "user": "default", "cl_active": 3, "cl_waiting": 0, "sv_shared": 1, "sv_dedicated": 0,
                    "sv_idle": 0, "owed": 0, "commands": 30, "maxwait": 0}
    assert 0 < pool["reads"] <= 30 and float(pool["reads_per_command"]) == pytest.approx(float(pool["reads"]) / 30, abs=1e-3)


def test_what_many_send_at_once_costs_few_reads(watch, dial):
    client = dial()
    for _ in range(3):
        client.send(request("PING") * 300)
        for _ in range(300):
            assert client.read() == b"+PONG\r\n"
    pool = console.row(watch, "show redis_pools", database=0)
    assert pool["commands"] >= 900 and float(pool["reads_per_command"]) < 0.5


def test_a_client_is_shown_with_what_it_has(watch, dial):
    one, other = dial(), dial()
    one.ask("SELECT", "3")
    one.ask("CLIENT", "SETNAME", "it")
    one.ask("MULTI")
    one.ask("SET", "k", "v")
    other.ask("SUBSCRIBE", "news")
    shown = console.row(watch, "show redis_clients", name="it")
    assert shown == {**shown, "upstream": "main", "user": "default", "addr": "127.0.0.1", "database": 3, "protocol": 2,
                     "state": "holding", "subscriptions": 0, "owed": 0}
    assert shown["own_line"].startswith("S-")
    listener = console.row(watch, "show redis_clients", state="subscribed")
    assert (listener["subscriptions"], listener["database"], listener["own_line"]) == (1, 0, "")
    pool = console.row(watch, "show redis_pools", database=3, protocol=2)
    assert (pool["cl_active"], pool["sv_dedicated"]) == (1, 1)
    assert console.row(watch, "show redis_pools", database=0, protocol=2)["sv_subscribing"] == 1
    one.ask("EXEC")
    wait_until(lambda: console.row(watch, "show redis_clients", name="it")["own_line"] == "")
    assert [each["state"] for each in console.rows(watch, "show redis_clients") if each["name"] == "it"] == ["idle"]


def test_protocols_are_pools_of_their_own(watch, dial):
    two, three = dial(), dial()
    two.ask("PING")
    three.ask("HELLO", "3")
    three.ask("PING")
    assert {each["protocol"] for each in console.rows(watch, "show redis_pools")} == {2, 3}
    assert sorted(each["protocol"] for each in console.rows(watch, "show redis_clients")) == [2, 3]


def test_a_client_that_blocks_has_a_line_and_is_owed(watch, dial):
    blocked = dial()
    blocked.send(request("BLPOP", "list", "0"))
    wait_until(lambda: [each for each in console.rows(watch, "show redis_clients") if each["owed"] == 1])
    pool = console.row(watch, "show redis_pools", database=0)
    assert pool["owed"] == 1 and pool["cl_active"] == 1
