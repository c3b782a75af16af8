"""asyncpg, with its statement cache and without: 200 tasks, two servers, and nobody notices."""
import asyncio
import datetime
import io

import asyncpg
import pytest
from harness.process import PATIENCE

pytestmark = pytest.mark.weir_only

TASKS = 200
caches = pytest.mark.parametrize("cache", [100, 0], ids=["cached", "uncached"])


def open_one(port, **words):
    return asyncpg.connect(host="127.0.0.1", port=port, user="ana", database="main", ssl=False, timeout=30, **words)


class Meeting:
    """await meeting() comes back when all have called it: asyncio.Barrier came with Python 3.11."""

    def __init__(self, count):
        self.count = count
        self.here = 0
        self.gone = asyncio.Event()

    async def __call__(self):
        self.here += 1
        if self.here == self.count:
            gone, self.gone, self.here = self.gone, asyncio.Event(), 0
            gone.set()
        else:
            await asyncio.wait_for(self.gone.wait(), PATIENCE)


def at_once(count, talk, port, **words):
    """What talk(connection, number, meet) returns for each of so many connections."""
    async def one(number, meet):
        connection = await open_one(port, **words)
        try:
            await meet()
            return await talk(connection, number, meet)
        finally:
            if not connection.is_closed():
                await connection.close(timeout=PATIENCE)

    async def everyone():
        meet = Meeting(count)
        return await asyncio.gather(*(one(number, meet) for number in range(count)))

    return asyncio.run(everyone())


async def queries(connection, number, meet):
    """asyncpg names its statements by a counter: all tasks use the same names, for other texts."""
    heard = []
    own = ["select $1::int + 1", "select $1::int * 2::int8", "select 'n' || $1::int::text", "select $1::int::float8",
           "select $1::int where $1 = 0 or $1 > 0"]
    for turn in range(3):
        for shift in range(5):
            heard.append(await connection.fetchval(own[(number + shift) % 5], number))
        if turn == 0:
            await meet()  # all have prepared, and nobody has left
    heard.append(await connection.fetchrow("select $1::date, $2::jsonb, $3::bytea, $4::numeric",
                                           datetime.date(2026, 11, 21), f'{{"n": {number}}}', b"\0\xff", 3))
    try:
        await connection.fetchval("select 1 / $1::int", 0)
    except asyncpg.DivisionByZeroError as error:
        heard.append(error.sqlstate)
    heard.append(await connection.fetchval("select $1::text", f"after {number}"))
    return heard


@caches
def test_asyncpg_queries_in_200_tasks(compare, cache):
    answers = compare(lambda port: at_once(TASKS, queries, port, statement_cache_size=cache))
    assert answers[10][:4] == [11, 20, "n10", 10.0] and answers[10][-2:] == ["22012", "after 10"]


async def statements(connection, number, meet):
    """Prepared by hand and used across transactions, and after they have failed."""
    heard = []
    add = await connection.prepare("select $1::int + $2::int")
    name = await connection.prepare("select $1::text || ' of ' || $2::text as name")
    heard.append([each.type.name for each in name.get_attributes()] + [each.name for each in name.get_parameters()])
    heard.append(await name.fetchval("first", str(number)))  # asyncpg sends a Sync only now, not after Parse
    await meet()
    for turn in range(4):
        transaction = connection.transaction(isolation="serializable" if turn % 2 else "read_committed")
        await transaction.start()
        heard.append(await add.fetchval(number, turn))
        if turn == 2:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.execute("select 1/0")
            with pytest.raises(asyncpg.InFailedSQLTransactionError):
                await add.fetchval(1, 1)
            await transaction.rollback()
        else:
            heard.append(await name.fetchval(str(turn), str(number)))
            await transaction.commit()
        await meet()
    heard.append(await add.executemany([(1, n) for n in range(40)]))
    heard.append(await name.fetch("the end", str(number)))
    return heard


@caches
def test_asyncpg_uses_statements_across_transactions(compare, cache):
    answers = compare(lambda port: at_once(40, statements, port, statement_cache_size=cache))
    assert answers[9][:4] == [["text", "text", "text"], "first of 9", 9, "0 of 9"]
    assert answers[9][-1][0]["name"] == "the end of 9"


async def cursors_and_savepoints(connection, number, meet):
    heard = []
    await connection.execute(f"create table work.a{number} (n int, tag text)")
    async with connection.transaction():
        await connection.executemany(f"insert into work.a{number} values ($1, $2)",
                                     [(n, f"{number}/{n}") for n in range(120)])
        try:
            async with connection.transaction():
                await connection.execute(f"delete from work.a{number}")
                raise KeyError
        except KeyError:
            pass
        rows = connection.cursor(f"select n from work.a{number} order by n", prefetch=11)
        heard.append([row["n"] async for row in rows])
        cursor = await connection.cursor(f"select n, tag from work.a{number} where n > $1 order by n", 50)
        heard += await cursor.fetch(3)
        heard.append(await cursor.forward(10))
        heard.append(await cursor.fetchrow())
    with pytest.raises(asyncpg.NoActiveSQLTransactionError):
        await connection.cursor("select 1")
    return heard


@caches
def test_asyncpg_reads_by_cursors(compare, cache):
    answers = compare(lambda port: at_once(40, cursors_and_savepoints, port, statement_cache_size=cache))
    assert answers[7][0] == list(range(120)) and answers[7][-1] == (64, "7/64")


async def copies(connection, number, meet):
    records = [(n, f"{number}/{n}", None if n % 2 else b"\0" * n) for n in range(400)]
    await connection.execute(f"create table work.k{number} (n int, tag text, raw bytea)")
    heard = [await connection.copy_records_to_table(f"k{number}", schema_name="work", records=records)]
    out = io.BytesIO()
    rows = f"select * from work.k{number} where n < $1 order by n"
    heard.append(await connection.copy_from_query(rows, 200, output=out))
    heard.append(out.getvalue())
    out = io.BytesIO()
    heard.append(await connection.copy_from_table(f"k{number}", schema_name="work", output=out, format="csv"))
    heard.append(await connection.copy_to_table(f"k{number}", schema_name="work", format="csv",
                                                source=io.BytesIO(out.getvalue())))
    with pytest.raises(asyncpg.BadCopyFileFormatError):
        await connection.copy_to_table(f"k{number}", schema_name="work", source=io.BytesIO(b"1\t2\t3\t4\n" * 100))

    async def breaks():
        yield b"1\ttag\t\\\\x00\n"
        raise KeyError

    with pytest.raises(KeyError):  # asyncpg sends CopyFail
        await connection.copy_to_table(f"k{number}", schema_name="work", source=breaks())
    heard.append(await connection.fetchrow(f"select count(*), count(raw), min(tag) from work.k{number}"))
    return heard


@caches
def test_asyncpg_copies_both_ways(compare, cache):
    answers = compare(lambda port: at_once(40, copies, port, statement_cache_size=cache))
    assert answers[3][:2] == ["COPY 400", "COPY 200"] and answers[3][-1] == (800, 400, "3/0")


async def timeouts(connection, number, meet):
    """A task's timeout cancels its query on the server, by asyncpg's own cancel request: one, which the server
    ignores if it comes in the very moment when a waiting query is let in. So no two come at the same time."""
    heard = []
    patience = 0.3 + number * 0.037
    for turn in range(2):
        with pytest.raises(asyncio.TimeoutError):
            await connection.fetchval("select pg_sleep($1)", 60, timeout=patience)
        heard.append(await connection.fetchval("select $1::text", f"{number}: {turn}"))
    with pytest.raises(asyncio.TimeoutError):
        async with connection.transaction():
            await connection.execute("select pg_sleep(60)", timeout=patience)
    task = asyncio.ensure_future(connection.fetchval("select pg_sleep($1), 'cancelled'", 60))
    assert await asyncio.wait({task}, timeout=patience) == (set(), {task})
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    heard.append(await connection.fetchval("select $1::text", f"after {number}"))
    return heard


@caches
def test_asyncpg_cancels_by_timeout(compare, cache):
    answers = compare(lambda port: at_once(12, timeouts, port, statement_cache_size=cache))
    assert answers[4] == ["4: 0", "4: 1", "after 4"]


async def listening(connection, number, meet):
    heard, all_heard = [], asyncio.Event()

    def hear(_connection, _pid, channel, payload):
        heard.append((channel, payload))
        if len(heard) == 40 + 3:
            all_heard.set()

    await connection.add_listener("everybody", hear)
    await connection.add_listener(f"own_{number}", hear)
    await meet()
    await connection.execute("select pg_notify('everybody', $1)", f"from {number}")
    async with connection.transaction():
        for n in range(3):
            await connection.execute(f"notify own_{number}, '{number}: {n}'")
    await asyncio.wait_for(all_heard.wait(), PATIENCE)
    await connection.remove_listener("everybody", hear)
    await connection.remove_listener(f"own_{number}", hear)
    return [payload for channel, payload in heard if channel != "everybody"], sorted(heard)


def test_asyncpg_hears_notifications(compare):
    answers = compare(lambda port: at_once(40, listening, port))
    assert answers[3][0] == ["3: 0", "3: 1", "3: 2"] and ("everybody", "from 39") in answers[3][1]


def types_of_its_own(port):
    """asyncpg asks for unknown types by itself, with JIT turned off for that and on again."""
    async def talk(connection, number, meet):
        await meet()
        return await connection.fetchrow("select $1::work.pair, array[$1::work.pair], 'b'::work.letter", (number, "n"))

    async def make():
        connection = await open_one(port)
        await connection.execute("create type work.pair as (n int, tag text);"
                                 "create type work.letter as enum ('a', 'b')")
        await connection.close()

    asyncio.run(make())
    return at_once(2, talk, port)  # the query for it takes PostgreSQL half a second


def test_asyncpg_learns_types_of_its_own(compare):
    assert compare(types_of_its_own)[1] == ((1, "n"), [(1, "n")], "b")


def with_a_pool(port, cache):
    """asyncpg's own pool before weir's: what it asks between two of its users is unlocked, closed and reset."""
    async def one(pool, number):
        heard = []
        for turn in range(3):
            async with pool.acquire() as connection:
                heard.append(await connection.fetchval("select $1::int + $2::int", number, turn))
                async with connection.transaction():
                    await connection.execute("set local work_mem = '1MB'")
                    heard.append(await connection.fetchval("show work_mem"))
        return heard

    async def talk():
        async with asyncpg.create_pool(host="127.0.0.1", port=port, user="ana", database="main", ssl=False, min_size=10,
                                       max_size=40, statement_cache_size=cache,
                                       server_settings={"application_name": "tasks"}) as pool:
            return await asyncio.gather(*(one(pool, number) for number in range(TASKS)))

    return asyncio.run(talk())


@caches
def test_asyncpg_has_a_pool_of_its_own(compare, cache):
    answers = compare(lambda port: with_a_pool(port, cache))
    assert answers[9] == [9, "1MB", 10, "1MB", 11, "1MB"]
