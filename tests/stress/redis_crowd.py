"""The clients of Redis and their troubles, let loose together for some time."""
import asyncio
import time

from harness.resp import Cutter, parse, request

from stress import redis_acts
from stress.crowd import guarded, where
from stress.peer import Cut, Lost
from stress.redis_peer import RedisPeer
from stress.trouble import STUCK, watch
from stress.world import World

WEIGHTS, CHOICES = zip(*redis_acts.ACTS)


class RedisWorld(World):
    def __init__(self, target, seed, clients):
        super().__init__(target, seed, clients, servers=0)
        self.large = asyncio.Semaphore(2)
        self.last_blow = 0.0   # when a kill had been carried out
        self.killing = False
        for client in self.clients:
            client.peers = []


async def visit(client):
    peer = await RedisPeer.connect(client)
    session = redis_acts.Session(client, peer)
    try:
        for _ in range(session.dice.randrange(3, 60)):
            if client.world.over.is_set():
                break
            chosen = session.dice.choices(CHOICES, WEIGHTS)[0]
            client.note("..", chosen.__name__)
            await chosen(session)
            client.world.count["acts"] += 1
            client.world.count[chosen.__name__.replace("_", " ")] += 1
            await asyncio.sleep(session.dice.random() * 0.05)
    except (Cut, Lost) as end:
        client.note("!!", repr(end))
    finally:
        client.asked_at = None
        for each in list(client.peers):
            each.leave()
    client.world.count["sessions"] += 1


async def live(client):
    world = client.world
    await world.pause(client.dice.random())
    while not world.over.is_set():
        try:
            await visit(client)
        except ConnectionError:  # while all connect anew
            world.count["refused connections"] += 1
        await world.pause(client.dice.random() * 0.05)


class Admin:
    """A connection past whatever is tested, which kills others and never itself."""

    async def open(self, port):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.cutter = Cutter()
        return self

    async def value(self, *words):
        self.writer.write(request(*words))
        while True:
            reply = self.cutter.cut()
            if reply is not None:
                return parse(reply).plain()
            data = await self.reader.read(65536)
            if not data:
                raise ConnectionError
            self.cutter.feed(data)


async def kill_links(world, server):
    """A link at a time, whatever is on it; now and then all of them."""
    admin = await Admin().open(server.port)
    own = (await admin.value("CLIENT", "ID")).decode()
    while not world.over.is_set():
        await world.pause(0.5 + world.dice.random())
        lines = (await admin.value("CLIENT", "LIST")).decode().splitlines()
        ids = [line.split()[0][3:] for line in lines]
        ids = [number for number in ids if number != own]
        if not ids or world.over.is_set():
            continue
        world.kills += 1
        world.killing = True
        fate = world.dice.random()
        if fate < 0.7:
            await admin.value("CLIENT", "KILL", "ID", world.dice.choice(ids))
        elif fate < 0.8:
            await admin.value("CLIENT", "KILL", "TYPE", "pubsub")
        else:
            await admin.value("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        world.last_blow = time.monotonic()
        world.killing = False
    admin.writer.close()


async def let_loose(world, server, seconds, kills=True):
    """Returns when all clients have left, at the first violation or after that time."""
    works = [("the watch", watch(world)), *((client.tag, live(client)) for client in world.clients)]
    if kills:
        works.append(("the killer", kill_links(world, server)))
    tasks = [asyncio.create_task(guarded(world, name, work), name=name) for name, work in works]
    await world.pause(seconds)
    world.over.set()
    _, late = await asyncio.wait(tasks, timeout=STUCK if not world.violations else 5)
    if late and not world.violations:
        tales = [world.told(client) for client in world.clients if client.asked_at]
        world.violations.append("\n".join([f"did not come to an end: {sorted(task.get_name() for task in late)}",
                                           *(where(task) for task in late), *tales[:2]]))
    for task in late:
        task.cancel()
