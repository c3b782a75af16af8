"""A client that was told once what rows look like never reads others, whichever server it gets."""
import asyncio

import asyncpg
import psycopg
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
