"""A client that was told once what rows look like never reads others, whichever server it gets."""
import asyncio

import asyncpg
import pytest
from harness.wire import FLUSH, SYNC, bind, close, describe, execute, kinds, parse, query

STAR = "select * from shapes_of"
COLUMN_TYPES = ["bigint", "text", "int", "numeric", "int[]", "bigint", "int", "float8"]
VALUES = {"int": 1, "bigint": 1, "text": "1", "numeric": 1, "float8": 1.0, "int[]": [1]}


@pytest.fixture
def table(postgres):
    postgres.sql("drop table if exists shapes_of; create table shapes_of (a int); insert into shapes_of values (1);"
                 "grant all on shapes_of to public")
    yield
    postgres.sql("drop table shapes_of")


def change_type(postgres, to):
    postgres.sql(f"alter table shapes_of drop column a, add a {to} default '{'{1}' if to.endswith(']') else '1'}'")


def run(story):
    asyncio.run(asyncio.wait_for(story, 60))


async def dial(weir):
    return await asyncpg.connect(host="127.0.0.1", port=weir.port, user="ana", database="main", ssl=False)


async def everybody(clients, do):
    return await asyncio.gather(*(do(each) for each in clients))


def test_asyncpg_reads_what_is_there_however_often_it_changes(postgres, pooler, table):
    async def story():
        weir = pooler(default_pool_size=2)
        clients = [await dial(weir) for _ in range(6)]
        for turn, to in enumerate(["int"] + COLUMN_TYPES * 3):
            if turn > 0:
                change_type(postgres, to)
            for _ in range(3):
                rows = await everybody(clients, lambda each: each.fetch(STAR))
                assert [[tuple(row) for row in each] for each in rows] == [[(VALUES[to],)]] * 6
        await everybody(clients, lambda each: each.close())
    run(story())


def test_asyncpg_finds_the_columns_that_are_new(postgres, pooler, table):
    async def story():
        weir = pooler(default_pool_size=2)
        clients = [await dial(weir) for _ in range(6)]
        for turn in range(12):
            if turn > 0:
                postgres.sql(f"alter table shapes_of add c{turn} int default {turn}")
            for _ in range(3):
                rows = await everybody(clients, lambda each: each.fetch(STAR))
                assert [tuple(each[0]) for each in rows] == [(1, *range(1, turn + 1))] * 6
                assert len(list(rows[0][0].keys())) == turn + 1
        await everybody(clients, lambda each: each.close())
    run(story())


@pytest.mark.parametrize("changes", [1, 5])
def test_asyncpg_is_served_in_the_middle_of_changes(postgres, pooler, table, changes):
    """A value is one that was there, never another's bytes; and asyncpg's own retry is enough."""
    async def story():
        weir = pooler(default_pool_size=2)
        clients = [await dial(weir) for _ in range(6)]
        done = asyncio.Event()
        seen = set()

        async def read(client):
            while not done.is_set():
                try:
                    seen.update(type(row[0]) for row in await client.fetch(STAR))
                except asyncpg.exceptions.InvalidCachedStatementError:
                    seen.add("told twice in a row")

        readers = [asyncio.create_task(read(each)) for each in clients]
        for to in ["bigint", "text", "int"] * changes:
            await asyncio.to_thread(change_type, postgres, to)
            assert await asyncio.gather(*(each.fetchval(STAR) for each in [await dial(weir)])) == [VALUES[to]]
        done.set()
        await asyncio.gather(*readers)
        assert seen <= {int, str, "told twice in a row"} and {int, str} <= seen
        await everybody(clients, lambda each: each.close())
    run(story())


def learn(client, name="s1", sql=STAR):
    answer = client.ask(parse(name, sql), describe("S", name), SYNC)
    assert kinds(answer) in ("1tTZ", "1tnZ")
    return answer


def use(client, name="s1"):
    return client.ask(bind("", name), execute(), SYNC)


def is_told(answer, status=b"I"):
    fields = answer[0].fields()
    assert (fields["S"], fields["V"], fields["C"]) == ("ERROR", "ERROR", "0A000")
    assert fields["M"] == "cached plan must not change result type" and fields["R"] == "RevalidateCachedQuery"
    assert kinds(answer) == "EZ" and answer[1].payload == status
    return True


def rows(answer):
    return [each.cells() for each in answer if each.kind == "D"]


@pytest.fixture
def weir(pooler):
    return pooler(default_pool_size=1)


def test_another_has_prepared_it_after_the_change(postgres, weir, wire, table):
    first, second = wire(weir, "ana"), wire(weir, "ana")
    learn(first)
    postgres.sql("alter table shapes_of add b int default 2")
    assert kinds(learn(second)) == "1tTZ" and rows(use(second)) == [["1", "2"]]
    for _ in range(3):
        assert is_told(use(first))
    first.ask(close("S", "s1"), SYNC)
    learn(first)
    assert rows(use(first)) == [["1", "2"]] == rows(use(second))


def test_to_describe_it_is_enough(postgres, weir, wire, table):
    first, second = wire(weir, "ana"), wire(weir, "ana")
    learn(first)
    postgres.sql("alter table shapes_of add b int default 2")
    learn(second)
    assert is_told(use(first))
    assert "T" in kinds(first.ask(describe("S", "s1"), SYNC))
    assert rows(use(first)) == [["1", "2"]]


def test_a_change_undone_is_no_change(postgres, weir, wire, table):
    first, second = wire(weir, "ana"), wire(weir, "ana")
    learn(first)
    postgres.sql("alter table shapes_of add b int default 2")
    learn(second)
    assert rows(use(second)) == [["1", "2"]]
    postgres.sql("alter table shapes_of drop column b")
    assert rows(use(first)) == [["1"]]
    assert is_told(use(second))


def test_in_a_transaction_it_fails_as_a_whole(postgres, weir, wire, table):
    first, second = wire(weir, "ana"), wire(weir, "ana")
    learn(first)
    postgres.sql("alter table shapes_of add b int default 2")
    learn(second)
    first.ask(query("begin"))
    first.ask(query("insert into shapes_of values (7)"))
    assert is_told(use(first), b"E")
    assert first.ask(query("select 1"))[0].fields()["C"] == "25P02"
    first.ask(query("commit"))
    assert rows(use(second)) == [["1", "2"]]


def test_nothing_of_the_batch_is_done(postgres, weir, wire, table):
    """Neither what came before it in the batch nor what comes behind it."""
    first, second = wire(weir, "ana"), wire(weir, "ana")
    learn(first)
    learn(first, "s2", "insert into shapes_of values (9) returning a")
    learn(first, "s3", "insert into shapes_of values (8)")
    postgres.sql("alter table shapes_of add b int default 2")
    learn(second)
    answer = first.ask(bind("", "s3"), execute(), bind("", "s1"), execute(), bind("", "s2"), execute(), SYNC)
    assert kinds(answer) == "2CEZ"
    assert rows(use(second)) == [["1", "2"]]
    assert rows(use(first, "s2")) == [["9"]] and kinds(use(first, "s3")) == "2CZ"


def test_who_describes_the_portal_each_time_never_knows(postgres, weir, connect, table):
    """libpq: psycopg, pgbench, psql."""
    clients = [connect(weir, prepare_threshold=0) for _ in range(3)]
    for turn in range(5):
        for each in clients * 2:
            assert each.execute(STAR).fetchall() == [(1, *range(1, turn + 1))]
        postgres.sql(f"alter table shapes_of add c{turn + 1} int default {turn + 1}")


def test_who_describes_the_portal_once_is_told(postgres, weir, wire, table):
    """JDBC."""
    first, second = wire(weir, "ana"), wire(weir, "ana")
    for each in (first, second):
        assert kinds(each.ask(parse("s1", STAR), bind("", "s1"), describe("P"), execute(), SYNC)) == "12TDCZ"
        assert rows(use(each)) == [["1"]]
    postgres.sql("alter table shapes_of add b int default 2")
    assert kinds(first.ask(bind("", "s1"), describe("P"), execute(), SYNC)) == "2TDCZ"
    assert rows(use(first)) == [["1", "2"]]
    assert is_told(use(second))


def test_a_portal_may_be_described_otherwise_than_its_statement(weir, wire):
    """Its plan knows which value it will be: the modifier of that is not the statement's."""
    sql = "select case when true then 'a'::varchar(3) else 'bb'::varchar(5) end"
    first, second = wire(weir, "ana"), wire(weir, "ana")
    assert kinds(first.ask(parse("s1", sql), bind("", "s1"), describe("P"), execute(), SYNC)) == "12TDCZ"
    learn(second, sql=sql)
    for each in (first, second, first, second):
        assert rows(use(each)) == [["a"]]
        assert kinds(each.ask(bind("", "s1"), describe("P"), execute(), SYNC)) == "2TDCZ"


def test_a_flush_is_no_boundary(postgres, weir, wire, table):
    first, second = wire(weir, "ana"), wire(weir, "ana")
    learn(first)
    postgres.sql("alter table shapes_of add b int default 2")
    learn(second)
    error = first.send(bind("", "s1"), execute(), FLUSH).read_until("E")[-1]
    assert error.fields()["C"] == "0A000"
    assert kinds(first.ask(SYNC)) == "Z"


def test_a_table_with_more_columns_than_fit_one_read(postgres, weir, wire):
    names = [f"a_column_whose_name_is_rather_long_{i:04}" for i in range(1500)]
    postgres.sql("drop table if exists wide; create table wide (" + ",".join(f"{each} int" for each in names) + ");"
                 "insert into wide (" + names[0] + ") values (1); grant all on wide to public")
    first, second = wire(weir, "ana"), wire(weir, "ana")
    learn(first, sql="select * from wide")
    assert len(rows(use(first))[0]) == 1500
    postgres.sql(f"alter table wide rename {names[-1]} to another")
    learn(second, sql="select * from wide")
    assert is_told(use(first))
    postgres.sql("drop table wide")


def test_one_name_may_be_two_tables(postgres, weir, wire):
    """Each client is served what its own search_path means, whoever has prepared it last."""
    postgres.sql("drop schema if exists one, two cascade; create schema one create table t (a int);"
                 "create schema two create table t (b text); insert into one.t values (1); insert into two.t values ('x');"
                 "grant usage on schema one, two to public; grant select on one.t, two.t to public")
    first, second = (wire(weir, "ana", options=f"-c search_path={each}") for each in ("one", "two"))
    for each in (first, second):
        learn(each, sql="select * from t")
    for _ in range(4):
        assert rows(use(first)) == [["1"]] and rows(use(second)) == [["x"]]
    postgres.sql("drop schema one, two cascade")
