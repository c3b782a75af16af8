"""A raw connection of one client of Redis, for an event loop: each reply is compared when it comes.

    peer = await RedisPeer.connect(client)
    await peer.ask((request("SET", key, value), OK), (request("GET", key), bulk(value)))

What is expected is the reply's bytes, or a function of them. Messages of pub/sub may come at any time, and
are looked at for whom they are for. Cut and Lost are not failures by themselves: the one was our own doing,
and the other is weighed against what was done to the links.
"""
import asyncio
import collections
import time

from harness.resp import Cutter, NotResp, parse

from stress.peer import Cut, Lost
from stress.world import TAG

OK, QUEUED, NULL = b"+OK\r\n", b"+QUEUED\r\n", b"$-1\r\n"
MESSAGES = tuple(kind + rest for kind in (b"*", b">") for rest in (
    b"3\r\n$7\r\nmessage\r\n", b"4\r\n$8\r\npmessage\r\n", b"3\r\n$8\r\nsmessage\r\n"))
NOTICED = 2  # seconds until a killed link is known as such to all: what was sent to it by then is lost, too
SHOWN = 160  # bytes of what was said, in the failure


def bulk(value):
    value = value if isinstance(value, bytes) else str(value).encode()
    return b"$%d\r\n%s\r\n" % (len(value), value)


def number(value):
    return b":%d\r\n" % value


def array(*replies):
    return b"*%d\r\n%s" % (len(replies), b"".join(replies))


class RedisPeer(asyncio.Protocol):
    def __init__(self, client):
        self.client = client
        self.world = client.world
        self.cutter = Cutter()
        self.owed = collections.deque()   # what was asked, and what must be answered
        self.waiter = None
        self.closed = self.leaving = self.degraded = False
        self.since = time.monotonic() - NOTICED
        self.listens = set()              # channels, from before SUBSCRIBE until after UNSUBSCRIBE
        self.heard = set()
        self.resp3 = False

    # ---- the loop's side

    @classmethod
    async def connect(cls, client):
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_connection(lambda: cls(client), "127.0.0.1", client.world.pooler.port)
        client.peers.append(peer)
        return peer

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.leaving or (self.world.over.is_set() and self.world.violations):
            return
        try:
            self.cutter.feed(data)
            for reply in iter(self.cutter.cut, None):
                self.take(reply)
        except NotResp as failure:
            self.accuse_quietly(f"received what is no reply: {failure}")
        except Exception as failure:
            self.failure = failure
            self.wake()

    failure = None

    def accuse_quietly(self, why):
        try:
            self.client.accuse(why)
        except Exception as failure:
            self.failure = failure
            self.wake()

    def connection_lost(self, why):
        self.closed = True
        self.wake()

    def wake(self):
        if self.waiter and not self.waiter.done():
            self.waiter.set_result(None)

    def take(self, reply):
        self.world.count["replies"] += 1
        if reply.startswith(MESSAGES):
            self.take_message(reply)
            return
        if not self.owed:
            self.client.note("<-", reply[:SHOWN])
            self.world.look_at(self.client, reply)
            self.client.accuse(f"received {reply[:SHOWN]!r}, and had asked for nothing")
        asked, expected = self.owed.popleft()
        if not (reply == expected if isinstance(expected, bytes) else expected(reply)):
            self.weigh(asked, expected, reply)
        if not self.owed:
            self.client.note("<-", b"... " + reply[:SHOWN])
            self.client.asked_at = None
            self.wake()

    def weigh(self, asked, expected, reply):
        """Not what was expected: another's, which ends the run, or what a killed link has made of it."""
        self.client.note("<-", reply[:SHOWN])
        self.world.look_at(self.client, reply)
        if not self.degraded and not (reply[:1] == b"-" and self.hit() and b"_timeout" not in reply):
            told = expected[:SHOWN] if isinstance(expected, bytes) else expected.__name__
            self.client.accuse(f"asked {asked[:SHOWN]!r}, expected {told!r} and received {reply[:SHOWN]!r}")
        if not self.degraded:
            self.world.count["clients told of a killed link"] += 1
        self.degraded = True  # what follows depends on what was lost

    def take_message(self, reply):
        self.client.note("<-", reply[:SHOWN])
        kind, *_, channel, text = (word.decode() for word in parse(reply).plain())
        owner = self.client.tag if channel.startswith("to:") else channel
        if channel not in self.listens or not text.startswith(f"{owner} "):
            self.world.look_at(self.client, reply)
            self.client.accuse(f"received {kind} {text!r} on {channel}, and listens to {sorted(self.listens)}")
        if (kind, channel, text) in self.heard:
            self.client.accuse(f"received {kind} {text!r} on {channel} twice")
        self.heard.add((kind, channel, text))
        self.world.count["messages"] += 1
        self.wake()

    # ---- the client's side

    async def answered(self, enough=lambda peer: not peer.owed):
        """Until all that was asked is answered, or what else is said here holds."""
        while not enough(self) or self.failure:
            if self.failure:
                raise self.failure
            if self.closed:
                self.weigh_end()
            self.waiter = asyncio.get_running_loop().create_future()
            if self.owed and self.client.asked_at is None:
                self.client.asked_at = time.monotonic()
            await self.waiter
        if self.degraded:
            raise Lost

    def hit(self):
        """Whether a link was killed that may have been its own."""
        return self.world.killing or self.world.last_blow > self.since

    def weigh_end(self):
        self.client.asked_at = None
        if self.world.violations and self.world.over.is_set():
            raise Lost  # the first one tells
        if not self.hit():
            self.client.accuse("its connection was closed without a word")
        self.world.count["clients whose connection was closed with a killed link"] += 1
        raise Lost

    async def ask(self, *pairs, whole=False):
        await self.send(*pairs, whole=whole)
        await self.answered()

    async def send(self, *pairs, whole=False):
        """Sends requests, in pieces now and then; sometimes hangs up in the middle instead."""
        self.world.count["requests"] += len(pairs)
        data = b"".join(asked for asked, _ in pairs)
        dice = self.client.dice
        fate = dice.random()
        if self.closed:
            self.weigh_end()
        self.owed.extend((asked[:SHOWN], expected) for asked, expected in pairs if expected is not None)
        if fate < 0.01 and not whole:
            self.hang_up(data[:dice.randrange(len(data) + 1)])
        if fate < 0.05:
            middle = dice.randrange(len(data))
            self.say(data[:middle])
            await asyncio.sleep(dice.random() * 0.01)
            data = data[middle:]
        self.say(data)
        if fate > 0.995 and not whole:  # in the middle of the replies, or before them
            await asyncio.sleep(dice.random() * 0.005)
            self.hang_up(b"")

    def say(self, data):
        self.client.note("->", data[:SHOWN] + (b"... %d bytes" % len(data) if len(data) > SHOWN else b""))
        self.transport.write(data)

    def hang_up(self, data):
        self.world.count["hung up in the middle"] += 1
        if data:
            self.say(data)
        self.leave()
        raise Cut(False)

    def leave(self):
        if not self.leaving:
            self.client.note("->", "hangs up")
            self.leaving = True
            self.client.asked_at = None
            self.client.peers.remove(self)
            abruptly = self.client.dice.random() < 0.5
            if abruptly and not self.closed:
                self.transport.abort()
            else:
                self.transport.close()

    async def read_slowly(self, seconds):
        """Nothing is read for some time, and what comes is not lost."""
        self.transport.pause_reading()
        await asyncio.sleep(seconds)
        if not self.closed:
            self.transport.resume_reading()


def names_own(client):
    """A reply that must carry the client's tag and nobody else's."""
    def of_its_own(reply):
        found = {int(tag[1]) for tag in TAG.finditer(reply)}
        return found == {client.number}
    return of_its_own


def anything(_reply):
    return True
