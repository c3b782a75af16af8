"""A transaction takes no server before its first real statement."""
import psycopg
import pytest
from harness.process import wait_until
from harness.wire import SYNC, bind, cancel, execute, kinds, parse, query


def test_who_has_only_begun_keeps_no_server(pooler, wire):
    weir = pooler(default_pool_size=1)
    begun = [wire(weir, "ana") for _ in range(5)]
    for client in begun:
        answer = client.ask(query("begin"))
        assert kinds(answer) == "CZ" and answer[-1].payload == b"T"
    other = wire(weir, "ana")
    assert kinds(other.ask(query("select 1"))) == "TDCZ"
    for client in begun:
        answer = client.ask(query("select now() = statement_timestamp(), 1"))
        assert answer[-1].payload == b"T"
        assert client.ask(query("commit"))[-1].payload == b"I"


def test_a_transaction_of_nothing_takes_none(pooler, wire, postgres):
    weir = pooler(default_pool_size=1)
    holder, client = wire(weir, "ana"), wire(weir, "ana")
    holder.ask(query("begin"))
    holder.ask(query("select 1"))
    for end in ("commit", "rollback", "end", "abort"):
        assert kinds(client.ask(query("begin"))) == "CZ"
        answer = client.ask(query(end))
        assert kinds(answer) == "CZ" and answer[-1].payload == b"I"
    holder.ask(query("commit"))


def test_its_options_are_kept(weir, connect):
    client = connect(weir, autocommit=False)
    client.read_only = True
    client.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    assert client.execute("show transaction_read_only").fetchone() == ("on",)
    assert client.execute("show transaction_isolation").fetchone() == ("repeatable read",)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        client.execute("create table nothing (a int)")
    client.rollback()


def test_a_batch_is_in_the_transaction(weir, wire):
    client = wire(weir, "ana")
    client.ask(query("begin"))
    client.send(parse("", "select 1"), bind(), execute(), SYNC)
    assert client.read_until("Z")[-1].payload == b"T"
    assert client.ask(query("select 1/0"))[-1].payload == b"E"
    assert client.ask(query("rollback"))[-1].payload == b"I"


def test_one_that_was_canceled_in_the_queue_has_failed(pooler, wire):
    weir = pooler(default_pool_size=1)
    holder, client = wire(weir, "ana"), wire(weir, "ana")
    holder.ask(query("begin"))
    holder.ask(query("select 1"))
    client.ask(query("begin"))
    client.send(query("select 2"))
    wait_until(lambda: any(value == 1 for key, value in weir.metrics().items()
                           if key.startswith("weir_clients{") and 'state="waiting"' in key))
    cancel(weir.port, client.key)
    answer = client.read_until("Z")
    assert kinds(answer) == "EZ" and answer[0].fields()["C"] == "57014" and answer[-1].payload == b"E"
    answer = client.ask(query("select 3"))
    assert kinds(answer) == "EZ" and answer[0].fields()["C"] == "25P02" and answer[-1].payload == b"E"
    answer = client.ask(query("commit"))
    assert answer[0].payload == b"ROLLBACK\0" and answer[-1].payload == b"I"
    holder.ask(query("commit"))
    assert kinds(client.ask(query("select 4"))) == "TDCZ"


def test_who_begins_and_falls_silent_is_in_a_transaction_too_long(pooler, wire):
    client = wire(pooler(idle_transaction_timeout=0.2), "ana")
    client.ask(query("begin"))
    assert client.read_until("E")[-1].fields()["C"] == "25P03"
