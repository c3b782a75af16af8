"""A hundred clients on a few servers, each with settings, schema, role and statements of its own.

    STRESS_SECONDS=600 STRESS_SEED=4711 tests/run.sh integration -k isolation

Everything that belongs to a client carries its tag, and a tag at another client fails the test
with all that both have done (tests/stress). The closing line names the seed: with the same one
every client takes the same decisions, though not at the same moments.
"""
import asyncio
import os
import re
import secrets
import time

import pytest
from harness.process import wait_until
from harness.wire import Wire, query
from stress import crowd, probes
from stress.state import NAMES, SHOW
from stress.world import KEPT, LOGIN, LOST, World, lay_out

SECONDS = float(os.environ.get("STRESS_SECONDS", "60"))
CLIENTS = int(os.environ.get("STRESS_CLIENTS", "100"))
SERVERS = 8


@pytest.fixture
def say(capsys):
    def line(text):
        with capsys.disabled():
            print(f"\nisolation: {text}", flush=True)
    return line


def defaults_of(weir):
    """What a client has that asks for nothing; nobody has been here before."""
    with Wire(weir.port) as first:
        first.login(LOGIN)
        row = next(each.cells() for each in first.ask(query(f"select {SHOW}")) if each.kind == "D")
    return dict(zip(NAMES, row))


def totals(weir, name):
    """A metric of the pool, by its labels other than the pool's."""
    return {labels: value for labels, value in weir.metrics().items() if labels.startswith(name)
            and f'user="{LOGIN}"' in labels}


def total(weir, name):
    return sum(totals(weir, name).values())


def in_use(weir):
    """The servers that are neither idle nor yet to be opened, by state."""
    return {labels: value for labels, value in totals(weir, "weir_pool_servers{").items()
            if value > 0 and not re.search('state="(IDLE|VACANT)"', labels)}


def check_servers(weir, postgres, world):
    """All idle, none kept, and nothing of anybody left on them."""
    wait_until(lambda: total(weir, "weir_pool_clients") == 0, "the clients' end")
    try:
        wait_until(lambda: not in_use(weir), "all servers' being idle")
    except AssertionError:
        pytest.fail(f"not idle in the end: {in_use(weir)}")
    assert postgres.sql(f"select count(*) from pg_stat_activity where usename = '{LOGIN}' and state <> 'idle'") == "0"
    assert postgres.sql("select count(*) from pg_locks where locktype = 'advisory'") == "0"
    newcomers = [Wire(weir.port) for _ in range(SERVERS)]
    try:
        for wire in newcomers:
            wire.login(LOGIN)
            wire.ask(query("begin"))
        for wire in newcomers:
            row = next(each.cells() for each in wire.ask(query(f"select {SHOW}")) if each.kind == "D")
            assert dict(zip(NAMES, row)) == world.defaults
            assert wire.value("select count(*) from pg_class where relpersistence = 't' and relkind = 'r' "
                              "and pg_table_is_visible(oid)") == "0"
            assert wire.value("select count(*) from pg_cursors where is_holdable") == "0"
    finally:
        for wire in newcomers:
            wire.socket.close()


def check_metrics(weir, world):
    """What weir counted is what was done."""
    metrics = weir.metrics()
    assert metrics["weir_cancel_requests_total"] == world.count["cancel requests"]
    assert metrics["weir_protocol_violations_total"] == 0
    assert total(weir, "weir_pool_waiting_clients") == 0
    assert total(weir, "weir_pool_wait_timeouts_total") == 0
    assert total(weir, "weir_pool_servers_failed_total") == 0
    assert total(weir, "weir_pool_transactions_total") >= world.count["acts"] / 2, "most acts are a transaction or more"
    assert total(weir, "weir_pool_servers{") == SERVERS


def check_ledger(postgres, client):
    rows = postgres.sql(f"select tag, n from {client.tag}.ledger").splitlines()
    found = {int(row.split("|")[1]) for row in rows}
    foreign = [row for row in rows if not row.startswith(client.tag)]
    missing = [n for n, how in client.entries.items() if how == KEPT and n not in found]
    undead = [n for n, how in client.entries.items() if how == LOST and n in found]
    assert not foreign + missing + undead, \
        f"{client.tag}: others' {foreign}, lost {missing}, not rolled back {undead}\n{client.world.told(client)}"


@pytest.mark.weir_only
def test_a_hundred_clients_on_a_few_servers_see_nothing_of_each_other(own_postgres, pooler, say):
    seed = os.environ.get("STRESS_SEED") or str(secrets.randbelow(10 ** 6))
    lay_out(own_postgres, CLIENTS)
    weir = pooler(backend=own_postgres, secrets={LOGIN: ""}, default_pool_size=SERVERS, max_client_conn=2 * CLIENTS + 50,
                  server_login_retry=1, log_connections=0, log_disconnections=0, query_wait_timeout=120,
                  max_prepared_statements=20, ignore_startup_parameters="")
    world = World(weir, seed, CLIENTS, SERVERS)
    world.defaults = defaults_of(weir)
    world.ways = probes.ways(pooler(backend=own_postgres, secrets={LOGIN: ""}, default_pool_size=1,
                                    ignore_startup_parameters="").port)
    started = time.monotonic()
    say(f"seed {seed}, {CLIENTS} clients, {SERVERS} servers; " +
        ", ".join(f"{name} {way}" for name, way in world.ways.items()))
    asyncio.run(crowd.let_loose(world, own_postgres, SECONDS))
    for violation in world.violations:
        say(violation)
    if world.violations:
        pytest.fail(f"seed {seed}: " + "; ".join(each.splitlines()[0] for each in world.violations), pytrace=False)
    count = world.count
    assert count["clients whose server was killed"] <= world.kills
    check_servers(weir, own_postgres, world)
    check_metrics(weir, world)
    for client in world.clients:
        check_ledger(own_postgres, client)
    say(f"ok: seed {seed}, {time.monotonic() - started:.0f} s, " +
        ", ".join(f"{value} {name}" for name, value in sorted(count.items())) + f", {world.kills} servers killed")
