"""What befalls the clients: servers killed, cancels with right and wrong keys, logins half done."""
import asyncio
import time

import asyncpg
from harness.wire import startup

from stress.peer import cancel_packet, send_cancel
from stress.world import LOGIN

STUCK = 60  # seconds without an answer


async def kill_servers(world, postgres):
    """A server at a time, whatever it does. What its client had sent is lost, and nobody else's."""
    admin = await asyncpg.connect(host="127.0.0.1", port=postgres.port, user="postgres", database="main")
    try:
        while not world.over.is_set():
            pids = [row[0] for row in await admin.fetch(
                "select pid from pg_stat_activity where usename = $1 and backend_type = 'client backend' order by pid",
                LOGIN)]
            if pids:
                world.kills += 1
                world.last_kill = time.monotonic()
                await admin.fetchval("select pg_terminate_backend($1)", world.dice.choice(pids))
            await world.pause(0.3 + world.dice.random())
    finally:
        await admin.close()


async def cancel_clients(world):
    """Only who has the key may be hit; keys of nobody, of the past and half ones hit nobody."""
    dice = world.dice
    while not world.over.is_set():
        waiting = [client for client in world.clients if client.asked_at and client.session] or world.clients
        session = dice.choice(waiting if dice.random() < 0.8 else world.clients).session
        fate = dice.random()
        key = session.peer.key if session and session.peer.key else bytes(8)
        if fate < 0.4 and session:
            session.client.cancels += 1
            session.client.note("!!", "a cancel with its key")
            await send_cancel(world, cancel_packet(key))
        elif fate < 0.6:
            await send_cancel(world, cancel_packet(key[:4] + bytes(dice.randrange(256) for _ in range(4))))
        elif fate < 0.8 and world.old_keys:
            await send_cancel(world, cancel_packet(dice.choice(world.old_keys)))
        else:
            await send_cancel(world, cancel_packet(key)[:dice.randrange(16)])
        await world.pause(dice.random() * 0.1)


async def greet_by_halves(world):
    while not world.over.is_set():
        packet = startup(user=LOGIN, database="main", application_name="c999 half")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", world.pooler.port)
            writer.write(packet[:world.dice.randrange(len(packet))])
            await world.pause(world.dice.random() * 0.2)
            writer.close()
        except ConnectionError:
            pass


async def watch(world):
    """Nobody waits for ever."""
    while not world.over.is_set():
        now = time.monotonic()
        for client in world.clients:
            if client.asked_at and now - client.asked_at > STUCK:
                try:
                    client.accuse(f"has had no answer for {STUCK} s")
                except Exception:
                    return
        await world.pause(1)
