"""A raw connection of one client, for an event loop: what comes in is looked at when it comes in.

    peer = await Peer.connect(client)
    answers = await peer.ask(query("select 1"))     # up to ReadyForQuery, or to what ends them

Cut, Lost and Canceled are not failures by themselves: the first was our own doing, and the
others are weighed against what was done to servers and with keys.
"""
import asyncio
import collections
import struct
import time

from harness.wire import CANCEL, Message, packet, startup

from stress.world import LOGIN

HEAD = struct.Struct("!ci")


class Cut(Exception):
    """We hung up in the middle. complete: whether all of the request had been sent."""

    def __init__(self, complete):
        super().__init__()
        self.complete = complete


class Lost(Exception):
    """The server was killed, and the connection with it."""


class Canceled(Exception):
    """A cancel request with our key has hit."""


class Peer(asyncio.Protocol):
    def __init__(self, client):
        self.client = client
        self.world = client.world
        self.unread = bytearray()
        self.messages = collections.deque()
        self.waiter = None
        self.closed = False
        self.status = "I"
        self.key = None
        self.reported = {}
        self.may_report = {name: {value.lower()} for name, value in self.world.defaults.items()}
        self.listens = set()       # channels, from before LISTEN until after UNLISTEN
        self.notified = []

    # ---- the loop's side

    @classmethod
    async def connect(cls, client):
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_connection(lambda: cls(client), "127.0.0.1", client.world.pooler.port)
        return peer

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        unread = self.unread
        unread += data
        at = 0
        while len(unread) - at >= 5:
            kind, length = HEAD.unpack_from(unread, at)
            if len(unread) - at < length + 1:
                break
            self.take(kind.decode("latin-1"), bytes(unread[at + 5:at + length + 1]))
            at += length + 1
        del unread[:at]
        self.wake()

    def connection_lost(self, why):
        self.closed = True
        self.wake()

    def wake(self):
        if self.waiter and not self.waiter.done():
            self.waiter.set_result(None)

    def take(self, kind, payload):
        self.client.note("<-", kind.encode() + b" " + payload[:100])
        if self.world.over.is_set() and self.world.violations:
            return
        try:
            self.world.look_at(self.client, payload)
            if kind == "A":
                self.take_notification(payload)
                return
            if kind in "Dd" and self.client.tag.encode() not in payload:
                self.client.accuse(f"received a row without its tag: {payload[:200]!r}")
            if kind == "S":
                self.take_report(*payload.decode().split("\0")[:2])
            elif kind != "N":
                self.messages.append(Message(kind, payload))
        except Exception as failure:  # the waiter tells
            self.messages.append(failure)

    def take_report(self, name, value):
        if name in self.may_report and value.lower() not in self.may_report[name]:
            self.client.accuse(f"was told that {name} is {value!r}, which it has never asked for")
        self.reported[name] = value

    def take_notification(self, payload):
        channel, text = payload[4:].decode().split("\0")[:2]
        owner = self.client.tag if channel.startswith("to_") else channel
        if channel not in self.listens or not text.startswith(owner):
            self.client.accuse(f"was notified of {text!r} on {channel}, and listens to {sorted(self.listens)}")
        self.notified.append((channel, text))
        self.world.count["notifications"] += 1

    # ---- the client's side

    async def read(self):
        while not self.messages:
            if self.closed:
                raise ConnectionResetError
            self.waiter = asyncio.get_running_loop().create_future()
            self.client.asked_at = time.monotonic()
            await self.waiter
            self.client.asked_at = None
        message = self.messages.popleft()
        if isinstance(message, Exception):
            raise message
        if message.kind == "Z":
            self.status = message.payload.decode()
        return message

    async def collect(self, ends="Z", times=1):
        """Messages up to the one that ends them; raises what cannot be a mere answer."""
        seen, canceled = [], False
        while times > 0:
            try:
                message = await self.read()
            except ConnectionResetError:
                self.client.accuse("its connection was closed without a word")
            seen.append(message)
            if message.kind == "E":
                canceled |= self.weigh(message.fields())
            if message.kind in ends or (message.kind == "Z" and "Z" not in ends):
                times -= 1
        if canceled:
            raise Canceled
        return seen

    def weigh(self, fields):
        """An error that somebody else has caused: True for a cancel that hit as it should."""
        code, text = fields["C"], fields["M"]
        if code in ("57P01", "08006"):
            self.world.killed()
            raise Lost(text)
        if fields.get("S") == "FATAL":
            self.client.accuse(f"was told {code} {text}")
        if code != "57014" or "user request" not in text:
            return False
        if self.client.cancels == 0:
            self.client.accuse("was canceled, and nobody had sent its key")
        self.client.cancels -= 1
        self.world.count["cancels that hit"] += 1
        return True

    def say(self, data):
        self.client.note("->", data[:160])
        self.transport.write(data)

    async def send(self, *messages, whole=False):
        """Sends them, in pieces now and then; sometimes hangs up in the middle instead."""
        data = b"".join(messages)
        dice = self.client.dice
        fate = dice.random()
        if fate < 0.012 and not whole:
            self.cut(data[:dice.randrange(len(data) + 1)], len(data))
        if fate < 0.06:
            middle = dice.randrange(len(data))
            self.say(data[:middle])
            await asyncio.sleep(dice.random() * 0.01)
            data = data[middle:]
        self.say(data)

    def cut(self, data, of):
        self.world.count["hung up in the middle"] += 1
        self.say(data)
        self.client.note("->", f"hangs up after {len(data)} of {of} bytes")
        self.leave()
        raise Cut(len(data) == of)

    def leave(self):
        self.client.asked_at = None
        if self.client.dice.random() < 0.3:
            self.transport.abort()
        else:
            self.transport.close()

    async def ask(self, *messages, times=1, whole=False):
        await self.send(*messages, whole=whole)
        return await self.collect(times=times)

    async def login(self, **parameters):
        for name, value in parameters.items():
            self.may_report.setdefault(name, set()).add(value.lower())
        await self.send(startup(user=LOGIN, database="main", **parameters), whole=True)
        for message in await self.collect():
            if message.kind == "K":
                self.key = message.payload


async def send_cancel(world, data):
    """A cancel request, whole or not; waits until it was taken."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.pooler.port)
        writer.write(data)
        if len(data) == 16:
            world.count["cancel requests"] += 1
            await reader.read()
        writer.close()
    except ConnectionError:
        pass


def cancel_packet(key):
    return packet(CANCEL, key)
