"""Prepared statements of many clients on few servers: everybody has its own, as if there were no pool."""
import asyncio
import struct

import asyncpg
import psycopg
import pytest
from harness.process import wait_until
from harness.wire import FLUSH, SYNC, bind, close, describe, execute, kinds, message, parse, query, text

pytestmark = pytest.mark.weir_only  # PgBouncer of Debian 12 knows no statements by name in transaction mode

RUN = "2DCZ"  # bound, rows, completed, ready


def run(client, name, *values):
    """The first cell of what a statement that is prepared says."""
    answer = client.ask(bind("", name, values), execute(), SYNC)
    assert kinds(answer) == RUN, answer
    return answer[1].cells()[0]


def prepare(client, name, sql):
    assert kinds(client.ask(parse(name, sql), SYNC)) == "1Z"


def on_servers(postgres, weir, count=2):
    """How many statements each of the pool's servers has, as it says itself."""
    holders, seen = [], {}
    try:
        for _ in range(count):
            holders.append(psycopg.connect(weir.dsn(), prepare_threshold=None))
            pid, prepared = holders[-1].execute(
                "select pg_backend_pid(), array(select name from pg_prepared_statements order by name)").fetchone()
            seen[pid] = prepared
    finally:
        for each in holders:
            each.close()
    return seen


def end_servers(postgres):
    postgres.sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where usename in ('ana', 'bob')")
    wait_until(lambda: postgres.sql("select count(*) from pg_stat_activity where usename in ('ana', 'bob')") in (0, "0"),
               "the servers' end")


@pytest.mark.parametrize("size", [1, 2])
def test_the_same_name_means_what_each_client_says(pooler, wire, size):
    weir = pooler(default_pool_size=size)
    clients = [wire(weir, "ana") for _ in range(8)]
    for number, client in enumerate(clients):
        prepare(client, "s", f"select 'of {number % 5}'")
    for _ in range(3):
        for number, client in enumerate(clients):
            assert run(client, "s") == f"of {number % 5}"


def test_a_server_keeps_no_more_than_it_may(postgres, pooler, wire):
    weir = pooler(default_pool_size=1, max_prepared_statements=1)
    clients = [wire(weir, "ana") for _ in range(3)]
    for number, client in enumerate(clients):
        for each in range(3):
            prepare(client, f"s{each}", f"select '{number} {each}'")
    for _ in range(2):
        for number, client in enumerate(clients):
            for each in range(3):
                assert run(client, f"s{each}") == f"{number} {each}"
    run(clients[0], "s0")
    (prepared,) = on_servers(postgres, weir, 1).values()
    assert len(prepared) <= 2  # the one that was used last, and the one that goes next


def test_nothing_is_evicted_in_the_middle_of_a_batch(pooler, wire):
    weir = pooler(default_pool_size=1, max_prepared_statements=1)
    client = wire(weir, "ana")
    parts = [part for number in range(6) for part in (parse(f"s{number}", f"select {number}"), bind("", f"s{number}"),
                                                      execute())]
    answer = client.ask(*parts, bind("", "s0"), execute(), SYNC)
    assert kinds(answer) == "12DC" * 6 + "2DCZ"
    assert [each.cells() for each in answer if each.kind == "D"][-1] == ["0"]


def test_more_in_one_batch_than_is_looked_after(pooler, wire):
    weir = pooler(default_pool_size=1, max_prepared_statements=2)
    client = wire(weir, "ana")
    client.send(*(parse(f"s{number}", f"select {number}") for number in range(100)), FLUSH)
    assert kinds(client.read_until("1") + [each for _ in range(99) for each in client.read_until("1")]) == "1" * 100
    client.send(*(close("S", f"s{number}") for number in range(100)), FLUSH)
    assert kinds([each for _ in range(100) for each in client.read_until("3")]) == "3" * 100
    assert kinds(client.ask(SYNC)) == "Z"


def test_what_is_the_same_is_answered_in_its_place(pooler, wire):
    weir = pooler(default_pool_size=1)
    first, second = wire(weir, "ana"), wire(weir, "ana")
    prepare(first, "s", "select $1::int")
    answer = second.ask(parse("", "select 7"), bind(), execute(), parse("s", "select $1::int"), describe("S", "s"),
                        bind("", "s", [5]), describe("P"), execute(), close("S", "s"), SYNC)
    assert kinds(answer) == "12DC1tT2TDC3Z"
    assert run(first, "s", 6) == "6"


def test_parse_describe_flush_and_then_bind(pooler, wire):
    weir = pooler(default_pool_size=1)
    prepare(wire(weir, "ana"), "s", "select $1::int")
    client = wire(weir, "ana")
    client.send(parse("s", "select $1::int"), describe("S", "s"), FLUSH)
    assert kinds(client.read_until("T")) == "1tT"
    assert run(client, "s", 5) == "5"


def test_a_flush_is_answered_by_what_needs_no_server(pooler, wire):
    weir = pooler(default_pool_size=1)
    prepare(wire(weir, "ana"), "s", "select 1")
    client = wire(weir, "ana")
    client.send(parse("s", "select 1"), FLUSH)
    assert kinds(client.read_until("1")) == "1"
    client.send(close("S", "s"), FLUSH)
    assert kinds(client.read_until("3")) == "3"
    assert kinds(client.ask(SYNC)) == "Z"


def test_nobody_binds_describes_or_executes_what_is_anothers(pooler, wire):
    weir = pooler(default_pool_size=1)
    first, second = wire(weir, "ana"), wire(weir, "ana")
    prepare(first, "s", "select 'secret'")
    assert kinds(first.ask(parse("", "select 'secret'"), bind(), execute(), SYNC)) == "12DCZ"
    for hostile in ([bind("", "s"), execute(), SYNC], [describe("S", "s"), SYNC], [bind(), execute(), SYNC],
                    [describe("S"), SYNC], [query("execute s")]):
        answer = second.ask(*hostile)
        assert kinds(answer) == "EZ" and answer[0].fields()["C"] == "26000"
        assert run(first, "s") == "secret"


def test_a_dropped_parse_gives_nobody_the_unnamed_statement_of_another(pooler, wire):
    weir = pooler(default_pool_size=1)
    first, second = wire(weir, "ana"), wire(weir, "ana")
    first.ask(parse("", "select 'secret'"), bind(), execute(), SYNC)
    assert kinds(second.ask(parse("s", "selekt"), parse("", "select 1"), SYNC)) == "EZ"
    answer = second.ask(bind(), execute(), SYNC)
    assert kinds(answer) == "EZ" and answer[0].fields()["C"] == "26000"


def test_the_types_of_parameters_are_part_of_a_statement(pooler, wire):
    weir = pooler(default_pool_size=1)
    sql, oids = "select pg_typeof($1)::text", (23, 25, 23)
    clients = [wire(weir, "ana") for _ in oids]
    for client, oid in zip(clients, oids):
        prepared = client.ask(message("P", text("s") + text(sql) + struct.pack("!hi", 1, oid)), SYNC)
        assert kinds(prepared) == "1Z"
    assert [run(client, "s", 1) for client in clients] == ["integer", "text", "integer"]


def test_how_a_text_is_read_is_part_of_a_statement(pooler, wire):
    """Its literals are taken in when it is parsed, by the settings of whoever parses it."""
    weir, zones = pooler(default_pool_size=1), ("UTC", "Asia/Tokyo", "UTC")
    clients = [wire(weir, "ana", TimeZone=zone) for zone in zones]
    for client in clients:
        prepare(client, "s", "select '2020-01-01 12:00'::timestamptz")
    for _ in range(2):
        assert [run(client, "s")[-3:] for client in clients] == ["+00", "+09", "+00"]
        assert {run(client, "s")[:19] for client in clients} == {"2020-01-01 12:00:00"}
    for encoding, length in ("LATIN1", "2"), ("UTF8", "1"):
        client = wire(weir, "ana", client_encoding=encoding)
        client.ask(message("P", b"e\0select length('\xc3\xa9')\0\0\0"), SYNC)
        assert run(client, "e") == length


def test_nor_does_a_set_leave_its_reading_to_others(pooler, wire):
    weir = pooler(default_pool_size=1)
    first, second = wire(weir, "ana", TimeZone="UTC"), wire(weir, "ana", TimeZone="UTC")
    sql = "select '2020-01-01 12:00'::timestamptz"
    first.send(parse("", "set timezone to 'Asia/Tokyo'"), bind(), execute(), parse("s", sql), SYNC)
    assert kinds(first.read_until("Z")) == "12C1Z"
    prepare(second, "s", sql)
    assert run(second, "s") == "2020-01-01 12:00:00+00"


def test_a_name_is_known_by_its_beginning(pooler, wire):
    weir = pooler(default_pool_size=1)
    client = wire(weir, "ana")
    prepare(client, "n" * 63 + "first", "select 'long'")
    assert run(client, "n" * 63 + "other") == "long"
    assert kinds(client.ask(parse("n" * 63, "select 2"), SYNC)) == "EZ"


def test_a_statement_that_could_not_be_parsed_is_not_there(pooler, wire):
    weir = pooler(default_pool_size=1)
    client = wire(weir, "ana")
    assert client.ask(parse("s", "selekt"), SYNC)[0].fields()["C"] == "42601"
    assert client.ask(bind("", "s"), execute(), SYNC)[0].fields()["C"] == "26000"
    assert kinds(client.ask(parse("", "selekt"), parse("s", "select 1"), SYNC)) == "EZ"
    prepare(client, "s", "select 2")
    assert run(client, "s") == "2"


@pytest.mark.parametrize("size", [1, 2])
def test_a_name_taken_twice_is_an_error_wherever_it_comes_to(pooler, wire, size):
    weir = pooler(default_pool_size=size, max_prepared_statements=1)
    client, other = wire(weir, "ana"), wire(weir, "ana")
    prepare(client, "s", "select 'mine'")
    for number in range(5):
        prepare(other, f"s{number}", f"select {number}")
        answer = client.ask(parse("s", "select 'again'"), SYNC)
        assert kinds(answer) == "EZ" and answer[0].fields()["C"] == "42P05"
        assert run(client, "s") == "mine"


def test_statements_outlive_their_server(own_postgres, pooler, wire):
    weir = pooler(backend=own_postgres, default_pool_size=2)
    clients = [wire(weir, "ana") for _ in range(4)]
    for number, client in enumerate(clients):
        prepare(client, "s", f"select {number}")
    end_servers(own_postgres)
    for number, client in enumerate(clients):
        assert run(client, "s") == str(number)


@pytest.mark.parametrize("forget", ["discard all", "deallocate all"])
def test_who_forgets_all_forgets_only_its_own(pooler, wire, forget):
    weir = pooler(default_pool_size=1)
    first, second = wire(weir, "ana"), wire(weir, "ana")
    prepare(first, "s", "select 1")
    prepare(second, "s", "select 2")
    second.ask(query(forget))
    assert run(first, "s") == "1"
    assert second.ask(bind("", "s"), execute(), SYNC)[0].fields()["C"] == "26000"
    prepare(second, "s", "select 3")
    assert [run(first, "s"), run(second, "s")] == ["1", "3"]


def test_a_rollback_that_is_prepared_ends_a_transaction_that_has_failed(pooler, wire):
    weir = pooler(default_pool_size=2)
    first, second = wire(weir, "ana"), wire(weir, "ana")
    for client in (first, second):
        prepare(client, "end", "rollback")
        prepare(client, "one", "select 1")
    for client in (second, first):
        client.ask(query("begin"))
        assert client.ask(query("select 1/0"))[-1].payload == b"E"
        assert client.ask(bind("", "one"), execute(), SYNC)[0].fields()["C"] == "25P02"
        assert client.ask(bind("", "end"), execute(), SYNC)[-1].payload == b"I"


def test_a_long_statement_works_as_long_as_its_client_is_there(pooler, wire):
    weir = pooler(default_pool_size=2, max_prepared_statements=1)
    client = wire(weir, "ana")
    prepare(client, "long", "select '" + "x" * 50_000 + "'")
    for number in range(4):
        prepare(client, f"s{number}", f"select {number}")
    assert len(run(client, "long")) == 50_000
    assert kinds(client.ask(close("S", "long"), SYNC)) == "3Z"
    prepare(client, "long", "select 'short'")
    assert run(client, "long") == "short"


@pytest.mark.weir_only
def test_a_long_statement_that_cannot_be_parsed_keeps_no_server(pooler, wire):
    weir = pooler(default_pool_size=1)
    client = wire(weir, "ana")
    answer = client.ask(parse("long", "selec '" + "x" * 50_000 + "'"), SYNC)
    assert kinds(answer) == "EZ" and answer[0].fields()["C"] == "42601"
    assert wire(weir, "ana").value("select 1") == "1"


def test_psycopg_prepares_for_itself(pooler):
    weir = pooler(default_pool_size=2, max_prepared_statements=3)
    clients = [psycopg.connect(weir.dsn(), autocommit=True, prepare_threshold=0) for _ in range(6)]
    try:
        for turn in range(4):
            for number, client in enumerate(clients):
                for each in range(3):
                    found = client.execute(f"select %s::int + {number % 3 * 100 + each}", (turn,)).fetchone()
                    assert found == (turn + number % 3 * 100 + each,)
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("size", [1, 2])
def test_asyncpg_prepares_for_itself(pooler, size):
    weir = pooler(default_pool_size=size, max_prepared_statements=2)

    async def talk(number):
        connection = await asyncpg.connect(host="127.0.0.1", port=weir.port, user="ana", database="main")
        try:
            for turn in range(10):
                sql = f"select $1::int + {(number + turn) % 4 * 1000}"
                assert await connection.fetchval(sql, number) == number + (number + turn) % 4 * 1000
                async with connection.transaction():
                    assert await connection.fetchval("select $1::text", str(number)) == str(number)
        finally:
            await connection.close()

    async def all_at_once():
        await asyncio.wait_for(asyncio.gather(*(talk(number) for number in range(10))), 60)

    asyncio.run(all_at_once())


@pytest.mark.parametrize("text", ["explain execute s1", "select 1; execute s1", "create temp table stolen as execute s1",
                                  "do $$ begin execute 'execute s1'; end $$",
                                  "select 1; /*" + "x" * 70000 + "*/ execute s1"])
def test_no_text_reaches_what_another_has_prepared(pooler, wire, text):
    weir = pooler(default_pool_size=1)
    owner = wire(weir, "ana")
    for request in ([query(text)], [parse("", text), bind("", ""), execute(), SYNC],
                    [parse("t", text), bind("", "t"), execute(), SYNC]):
        owner.ask(parse("s1", "select 'secret'"), SYNC)
        thief = wire(weir, "ana")
        answer = thief.ask(*request)
        thief.socket.close()  # a long one with a name keeps its server
        several = ";" in text and "do $$" not in text and request[0][:1] == b"P"
        assert [each.fields()["C"] for each in answer if each.kind == "E"] == ["42601" if several else "26000"]
        owner.ask(query("discard all"))


def test_an_execute_may_follow_a_begin_that_has_waited(pooler, wire):
    client = wire(pooler(default_pool_size=1), "ana")
    client.ask(parse("s1", "select 'mine'"), SYNC)
    client.ask(query("begin"))
    assert client.value("execute s1") == "mine"
    client.ask(query("commit"))
