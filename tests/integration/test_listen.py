"""LISTEN in transaction mode: one connection listens for all clients of a database."""
import asyncio
import concurrent.futures
import threading
import time

import asyncpg
import psycopg
import pytest
from harness.process import wait_until
from harness.wire import SYNC, bind, close, describe, execute, kinds, message, parse, query, text

pytestmark = pytest.mark.weir_only

LISTENERS = "from pg_stat_activity where backend_type = 'client backend' and query like '%LISTEN%' and pid <> pg_backend_pid()"


def heard(connection, count, patience=20):
    """The next notifications as (channel, payload), `count` of them."""
    found = []
    for each in connection.notifies(timeout=patience, stop_after=count) if hasattr(connection.notifies, "timeout") else \
            notifies(connection, count, patience):
        found.append((each.channel, each.payload))
    return found


def notifies(connection, count, patience):
    """psycopg before 3.2 has no time limit of its own."""
    watch = threading.Timer(patience, connection.close)
    watch.start()
    try:
        generator = connection.notifies()
        for _ in range(count):
            yield next(generator)
        generator.close()
    finally:
        watch.cancel()


def hears_nothing(wire):
    """Whatever there was to hear is in front of the answer to a query that comes afterwards."""
    time.sleep(0.2)  # for what must not come there is nothing to wait for
    return [each for each in wire.ask(query("select 1")) if each.kind == "A"] == []


def notification(wire):
    each = wire.read_until("A")[-1]
    channel, payload = each.payload[4:].split(b"\0")[:2]
    return channel.decode(), payload.decode()


def backends(postgres, user="ana"):
    return int(postgres.sql(f"select count(*) from pg_stat_activity where usename = '{user}'"))


def listening_pids(postgres):
    """The shared connections: the only ones that have no application's statement."""
    return postgres.sql(f"select pid {LISTENERS} and query not like 'UNLISTEN%'").split()


def test_a_listener_keeps_no_server(postgres, pooler, connect):
    weir = pooler(default_pool_size=1)
    listener, other = connect(weir), connect(weir)
    listener.execute("listen news")
    assert other.execute("select count(*) from pg_listening_channels()").fetchone() == (0,)
    other.execute("notify news, 'one'")
    assert heard(listener, 1) == [("news", "one")]
    assert weir.metrics()["weir_listening_servers"] == 1
    assert backends(postgres) == 2
