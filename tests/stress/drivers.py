"""Clients with drivers that applications use, beside the raw ones: their own statements, settings and ways to leave."""
import asyncio
import time

import asyncpg
import psycopg

from stress.state import some_value
from stress.world import KEPT, LOGIN, LOST, UNKNOWN


async def psycopg_session(client):
    """psycopg prepares what it sees twice, under names that every client uses."""
    world, dice, tag = client.world, client.dice, client.tag
    zone = some_value(client, "TimeZone")
    connection = await psycopg.AsyncConnection.connect(
        world.pooler.dsn(user=LOGIN, application_name=f"{tag} psycopg"), autocommit=True, prepare_threshold=1)
    try:
        await connection.execute(f"set timezone to '{zone}'")
        for number in range(dice.randrange(3, 30)):
            mark = f"{tag}.{client.sessions}.{number}"
            numbers = client.enter()
            keep = dice.random() < 0.5
            client.settle(numbers, LOST)
            async with connection.transaction(force_rollback=not keep):
                rows = await (await connection.execute(
                    f"select '{tag}', %s::text, current_setting('timezone'), current_setting('application_name') "
                    "from generate_series(1, 3)", [mark])).fetchall()
                expect(client, rows, [(tag, mark, zone, f"{tag} psycopg")] * 3)
                await connection.execute(f"insert into {tag}.ledger (tag, n) values (%s, %s)", [tag, numbers[0]])
                client.settle(numbers, UNKNOWN if keep else LOST)
            client.settle(numbers, KEPT if keep else LOST)
            async with connection.pipeline():
                cursors = [await connection.execute("select %s::text", [f"{mark}.{i}"]) for i in range(4)]
            expect(client, [await each.fetchone() for each in cursors], [(f"{mark}.{i}",) for i in range(4)])
            await asyncio.sleep(dice.random() * 0.1)
    finally:
        await connection.close()


async def asyncpg_session(client):
    """asyncpg caches statements for the connection. (Its timeouts are left to other tests: a server killed
    at that moment leaves it in states of its own.)"""
    world, dice, tag = client.world, client.dice, client.tag
    zone = some_value(client, "TimeZone")
    connection = await asyncpg.connect(host="127.0.0.1", port=world.pooler.port, user=LOGIN, database="main", ssl=False,
                                       server_settings={"application_name": f"{tag} asyncpg", "TimeZone": zone})
    try:
        for number in range(dice.randrange(3, 30)):
            mark = f"{tag}.{client.sessions}.{number}"
            rows = await connection.fetch(f"select '{tag}' as tag, $1::text, current_setting('timezone'), "
                                          "current_setting('application_name') from generate_series(1, 3)", mark)
            expect(client, [tuple(row) for row in rows], [(tag, mark, zone, f"{tag} asyncpg")] * 3)
            copied = client.enter(3)
            await connection.copy_records_to_table("ledger", schema_name=tag, columns=["tag", "n"],
                                                   records=[(tag, each) for each in copied])
            client.settle(copied, KEPT)
            await asyncio.sleep(dice.random() * 0.1)
        if dice.random() < 0.7:
            await connection.close(timeout=20)
    finally:
        connection.terminate()  # it waits for ever, now and then, to close what was killed in a cancel


def expect(client, rows, expected):
    client.note("<-", repr(rows[:1])[:200])
    if rows != expected:
        client.accuse(f"received {rows[:4]} and not {expected[:4]}")


LOST_SERVER = (psycopg.errors.AdminShutdown, psycopg.OperationalError, asyncpg.AdminShutdownError,
               asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, ConnectionError)


def is_lost(failure):
    """psycopg's pipeline, which meets the end when it is left, has no error of its own for it."""
    bare = type(failure) is psycopg.DatabaseError and "closed the connection" in str(failure)
    return bare or isinstance(failure, LOST_SERVER)


LOST_WORDS = ("administrator command", "closed", "does not exist", "unexpectedly",
              "pipeline mode while busy")  # psycopg, as it says before PostgreSQL itself


async def live(client, session):
    """One session after another until the end; a server that was killed ends one, nothing else may."""
    world = client.world
    while not world.over.is_set():
        client.sessions += 1
        client.asked_at = time.monotonic()
        try:
            await session(client)
        except Exception as failure:
            if not is_lost(failure):
                raise
            text = str(failure)
            client.note("<-", text)
            if not any(word in text for word in LOST_WORDS):
                client.accuse(f"failed with {failure!r}")
            world.killed()
        client.asked_at = None
        world.count["sessions"] += 1
        await world.pause(client.dice.random() * 0.2)
