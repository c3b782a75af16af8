"""The clients and their troubles, let loose together for some time."""
import asyncio

from stress import acts, drivers, transactions, trouble
from stress.peer import Canceled, Cut, Lost
from stress.session import Session
from stress.world import Violation

ACTS = [  # weight, act
    (8, acts.simple), (2, acts.several), (3, acts.flushed), (3, acts.portal), (1, acts.large), (3, acts.failing),
    (2, acts.noticing), (3, acts.sleeping), (1, acts.timing_out), (4, acts.seeing), (4, acts.own_table),
    (14, acts.prepared), (3, acts.closing), (3, acts.parsing_again), (7, acts.pipeline),
    (4, acts.insert), (3, acts.copy_in), (2, acts.copy_out), (8, acts.setting),
    (3, acts.listening), (5, acts.notifying), (2, acts.temporary), (2, acts.locking), (2, acts.cursor),
    (1, acts.sql_prepare), (10, transactions.transaction), (3, transactions.implicit),
]
WEIGHTS, CHOICES = zip(*ACTS)
DRIVERS = 16  # every so manieth client is psycopg's, and as many asyncpg's


async def act(session):
    """One, and back on its feet if a cancel has hit."""
    chosen = session.dice.choices(CHOICES, WEIGHTS)[0]
    session.client.note("..", chosen.__name__)
    try:
        await chosen(session)
        session.world.count["acts"] += 1
    except Canceled:
        await session.recover()
        return not session.keeper  # who holds what a cancel has made uncertain, leaves
    return True


async def visit(client, keeper):
    session = Session(client, keeper)
    try:
        await session.open()
        for _ in range(session.dice.randrange(3, 15 if keeper else 60)):
            if client.world.over.is_set() or not await act(session):
                break
            await session.think(0.2)
    except (Cut, Lost) as end:
        client.note("!!", repr(end))
    finally:
        session.end()


async def live(client):
    world = client.world
    await world.pause(client.dice.random())
    while not world.over.is_set():
        if client.dice.random() < 0.3 and not world.keepers.locked():
            async with world.keepers:
                await visit(client, keeper=True)
        else:
            await visit(client, keeper=False)
        await world.pause(client.dice.random() * 0.1)


async def guarded(world, name, work):
    """A failure of the test's own is a failure of the test."""
    try:
        await work
    except Violation:
        pass
    except Exception as failure:
        world.violations.append(f"{name}: {failure!r}\n" + trace(failure))
        world.over.set()


def trace(failure):
    import traceback
    return "".join(traceback.format_exception(failure))


def where(task):
    """The chain of what a task waits for."""
    found, coroutine = [], task.get_coro()
    while getattr(coroutine, "cr_frame", None):
        found.append(f"{coroutine.__qualname__}:{coroutine.cr_frame.f_lineno}")
        coroutine = coroutine.cr_await
    return f"{task.get_name()}: {' > '.join(found)} > {coroutine!r}"


def lives(world):
    for client in world.clients:
        kind = client.number % DRIVERS
        if kind == 0:
            yield client.tag, drivers.live(client, drivers.psycopg_session)
        elif kind == 1:
            yield client.tag, drivers.live(client, drivers.asyncpg_session)
        else:
            yield client.tag, live(client)


async def let_loose(world, postgres, seconds):
    """Returns when all clients have left, at the first violation or after that time."""
    works = [("the killer", trouble.kill_servers(world, postgres)), ("the canceler", trouble.cancel_clients(world)),
             ("half greetings", trouble.greet_by_halves(world)), ("the watch", trouble.watch(world)), *lives(world)]
    tasks = [asyncio.create_task(guarded(world, name, work), name=name) for name, work in works]
    await world.pause(seconds)
    world.over.set()
    _, late = await asyncio.wait(tasks, timeout=trouble.STUCK)
    if late and not world.violations:
        world.violations.append(f"did not come to an end: {sorted(task.get_name() for task in late)}")
        world.violations += [where(task) for task in late]
        world.violations += [world.told(client) for client in world.clients if client.asked_at][:2]
    for task in late:
        task.cancel()
