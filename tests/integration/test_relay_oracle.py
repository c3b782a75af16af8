"""What PostgreSQL itself says is right: the same messages, sent to it and through the pooler.

And what a client could leave to the next one, if the relay took a server for free too early."""
import random
import struct
import time

import pytest
from harness.wire import (COPY_DONE, FLUSH, SYNC, Closed, Wire, bind, close, copy_data, copy_fail, describe, execute,
                          function_call, kinds, message, parse, query)

FUNCTION_ABS = 1397  # abs(int4)
COPY_IN, COPY_OUT = "copy oracle from stdin", "copy oracle to stdout"
ROWS = "select generate_series(1, 4)"


def batch(sql, *, rows=0, describes=""):
    return [parse("", sql), bind(), *(describe(each) for each in describes), execute("", rows)]


# What clients send in one piece of mind. All of it may be sent ahead: what the server does with a
# message depends on those before it and not on when they come.
ATOMS = [
    [query("select 1")], [query("select 1; select 2")], [query("")], [query("selekt")],
    [query("select 1; select 1/0; select 3")], [query("begin")], [query("commit")], [query("rollback")],
    [query("select 1/0")], [query("begin; select 1; commit")], [*batch("select 1"), SYNC], [*batch("select 1")],
    [*batch("select 1"), FLUSH], [*batch(ROWS, describes="SP"), SYNC], [*batch("select 1/0"), SYNC],
    [*batch("select 1/0")], [*batch("selekt", describes="S"), SYNC], [*batch(""), SYNC],
    [*batch(ROWS, rows=3), FLUSH, execute("", 3), SYNC], [*batch(ROWS, rows=3), execute("", 0)],
    [*batch("begin"), SYNC], [*batch("rollback"), SYNC], [*batch("insert into oracle values (7)"), SYNC],
    [parse("n", "select 5"), bind("", "n"), execute(), close("S", "n"), SYNC], [close("S", "none"), SYNC],
    [close("P"), FLUSH], [query(COPY_OUT)], [*batch(COPY_OUT), SYNC], [SYNC], [SYNC, SYNC], [FLUSH],
    [query(COPY_IN), copy_data(b"1\n2\n"), COPY_DONE], [query(COPY_IN), copy_fail("no")],
    [query(COPY_IN), copy_data(b"x\n"), copy_data(b"1\n"), COPY_DONE],
    [query("copy nothing from stdin"), copy_data(b"1\n"), COPY_DONE],
    [query(COPY_IN), SYNC, copy_data(b"1\n"), FLUSH, SYNC, COPY_DONE],
    [query(f"{COPY_IN}; select 1; {COPY_IN}"), copy_data(b"1\n"), COPY_DONE, SYNC, COPY_DONE],
    [*batch(COPY_IN), SYNC, copy_data(b"3\n"), COPY_DONE, SYNC],
    [*batch(COPY_IN), copy_data(b"4\n"), SYNC, COPY_DONE, SYNC], [*batch(COPY_IN), COPY_DONE],
    [*batch(COPY_IN), copy_fail("no"), SYNC], [*batch(COPY_IN), copy_data(b"y\n"), COPY_DONE, SYNC],
    [function_call(FUNCTION_ABS, struct.pack("!i", -3))], [function_call(1)],
]


def send_in_pieces(client, chance, data):
    while data:
        size = chance.choice((1, 5, 6, 40, 4000))
        client.send(data[:size])
        data = data[size:]


def converse(client, chance, data):
    """All answers, up to that of one last query."""
    send_in_pieces(client, chance, data)
    client.send(SYNC, query("rollback"), query("select 'the end'"))
    answers = []
    while not (answers and answers[-1].kind == "D" and b"the end" in answers[-1].payload):
        answers += client.read_until("DZ")
    answers += client.read_until("Z")
    return [(each.kind, each.payload) for each in answers if each.kind not in "NSA"]


def test_the_answers_are_those_of_the_server_itself(postgres, pooler, wire):
    weir = pooler(default_pool_size=1)
    with Wire(postgres.port) as admin:
        admin.login("postgres")
        admin.ask(query("drop table if exists oracle"))
        admin.ask(query("create table oracle (a int); grant all on oracle to public"))
    for seed in range(400):
        chance = random.Random(seed)
        data = b"".join(b"".join(chance.choice(ATOMS)) for _ in range(chance.randrange(1, 9)))
        said = []
        for port in (postgres.port, weir.port):
            with Wire(postgres.port) as admin:
                admin.login("postgres")
                admin.ask(query("truncate oracle"))
            with Wire(port) as client:
                client.login("ana")
                said.append(converse(client, random.Random(seed), data))
        assert said[1] == said[0], f"pipeline {seed}: {data!r}"


def test_a_flush_that_is_none_hurts_nobody_else(pooler, wire):
    weir = pooler(default_pool_size=1)
    for _ in range(20):
        client, other = wire(weir, "ana"), wire(weir, "ana")
        other.send(query("select 2"))
        client.send(query("select 1"), message("H", b"not empty"), query("select 2"))
        assert kinds(other.read_until("Z")) == "TDCZ"


@pytest.mark.parametrize("late", [copy_data(b"x"), COPY_DONE, copy_fail("x")])
def test_no_client_can_leave_its_answers_to_the_next(pooler, wire, late):
    """At copied data a server whose statement_timeout is over says ReadyForQuery, and goes on."""
    weir = pooler(default_pool_size=1)
    client, other = wire(weir, "ana"), wire(weir, "ana")
    client.ask(query("select set_config('statement_timeout', '100', false)"))
    client.send(parse("", "select 1"), FLUSH)
    client.read_until("1")
    time.sleep(0.3)
    client.send(late, *batch("select pg_sleep(0.05)"), *batch("select 'not yours'"), SYNC)
    client.read_until("E")
    answer = other.ask(query("select 'mine'"))
    assert [each.cells() for each in answer if each.kind == "D"] == [["mine"]]


def test_a_batch_that_fails_after_its_client_has_gone_is_ended(pooler, wire):
    """Its Query is dropped up to a Sync that nobody has sent."""
    weir = pooler(default_pool_size=1)
    for _ in range(20):
        client, other = wire(weir, "ana"), wire(weir, "ana")
        client.send(parse("", "selekt"), query("select 1"))
        client.socket.close()
        assert kinds(other.ask(query("select 2"))) == "TDCZ"


def test_a_client_whose_copy_failed_in_mid_message_gives_its_server_back(postgres, pooler, wire):
    postgres.sql("create table if not exists half_copied (a int); grant all on half_copied to public")
    weir = pooler(default_pool_size=1)
    client, other = wire(weir, "ana"), wire(weir, "ana")
    half = copy_data(b"x" * 100)
    client.send(query("copy half_copied from stdin"))
    client.read_until("G")
    client.send(copy_data(b"not a number\n"), half[:50])
    client.read_until("Z")
    client.send(half[50:])
    assert kinds(other.ask(query("select 2"))) == "TDCZ"
