"""What clients of Redis do: one coroutine an act, chosen by weight. All values carry their owner's tag."""
import asyncio

from harness.resp import request

from stress.peer import Cut
from stress.redis_peer import NULL, OK, QUEUED, RedisPeer, array, bulk, number

GROUPS = 4
LARGE = 50_000_000
USERS = [f"user{n}" for n in range(3)]


class Session:
    """One connection's life: what its keys hold, in each database, is known exactly, for nobody else has them."""

    def __init__(self, client, peer):
        self.client, self.world, self.dice, self.tag = client, client.world, client.dice, client.tag
        self.peer = peer
        self.db = 0
        self.user = "default"
        self.kept = {}       # (database, key): value
        self.counters = {}   # (database, key): number
        self.requests = 0
        client.sessions += 1
        self.prefix = f"{self.tag}:{client.sessions}"

    def mark(self):
        self.requests += 1
        return f"{self.tag} {self.client.sessions} {self.requests}"

    def key(self, name=None):
        return f"{self.prefix}:{self.dice.randrange(6) if name is None else name}"

    def null(self):
        return b"_\r\n" if self.peer.resp3 else NULL

    def no_list(self):
        return b"_\r\n" if self.peer.resp3 else b"*-1\r\n"

    def pair_of_hash(self, reply):
        return b"%1\r\n" + reply if self.peer.resp3 else b"*2\r\n" + reply

    # ---- single requests, and what must be answered

    def set(self):
        key, value = self.key(), self.mark() + "." * self.dice.choice([0, 0, 10, 300, 3000])
        self.kept[self.db, key] = value
        return request("SET", key, value, "EX", 300), OK

    def get(self):
        key = self.key()
        value = self.kept.get((self.db, key))
        return request("GET", key), self.null() if value is None else bulk(value)

    def mget(self):
        keys = [self.key(n) for n in range(4)]
        values = [self.kept.get((self.db, key)) for key in keys]
        return request("MGET", *keys), array(*(self.null() if value is None else bulk(value) for value in values))

    def incr(self):
        key = self.key("n")
        count = self.counters[self.db, key] = self.counters.get((self.db, key), 0) + 1
        return request("INCR", key), number(count)

    def echo(self):
        mark = self.mark()
        return request("ECHO", mark), bulk(mark)

    def wrong(self):
        mark = self.mark()
        return request("NOSUCH", mark), b"-ERR unknown command 'NOSUCH', with args beginning with: '%s' \r\n" % mark.encode()

    def script(self):
        mark = self.mark()
        return request("EVAL", "return {ARGV[1], #ARGV}", 0, mark), array(bulk(mark), number(1))

    def hash(self):
        mark = self.mark()
        return request("EVAL", "redis.setresp(3) return {map={tag=ARGV[1]}}", 0, mark), \
            self.pair_of_hash(bulk("tag") + bulk(mark))

    def whoami(self):
        return request("ACL", "WHOAMI"), bulk(self.user)

    def simple(self):
        return self.dice.choice([self.set, self.set, self.get, self.get, self.mget, self.incr, self.echo, self.wrong,
                                 self.script, self.hash, self.whoami])()

    # ---- several, in one line

    def multi(self, end=True):
        """Queued ones are answered in EXEC."""
        inside = [self.simple_in_multi() for _ in range(self.dice.randrange(1, 6))]
        return [(request("MULTI"), OK), *((asked, QUEUED) for asked, _ in inside),
                (request("EXEC"), array(*(expected for _, expected in inside)))]

    def simple_in_multi(self):
        return self.dice.choice([self.set, self.get, self.mget, self.incr, self.echo])()

    def blocking(self):
        """With something there, or until its time is up: what was to be there may be lost with a link."""
        queue, mark = self.key("q"), self.mark()
        if self.dice.random() < 0.3:
            return [(request("BLPOP", self.key("none"), 0.01), self.no_list())]
        return [(request("RPUSH", queue, mark), number(1)), (request("BLPOP", queue, 15), array(bulk(queue), bulk(mark)))]

    def select(self):
        self.db = self.dice.randrange(4)
        return request("SELECT", self.db), OK


async def shared(session):
    await session.peer.ask(session.simple())


async def line(session):
    await session.peer.ask(*(session.simple() for _ in range(session.dice.randrange(2, 60))))


async def mixed(session):
    """SET; BLPOP; GET; MULTI ... EXEC; SELECT; GET: the order is kept whatever link each goes over."""
    pairs = []
    for _ in range(session.dice.randrange(2, 8)):
        pairs += [session.simple() for _ in range(session.dice.randrange(3))]
        pairs += session.dice.choice([session.multi, session.blocking, lambda: [session.select()]])()
        pairs.append(session.get())
    await session.peer.ask(*pairs)


async def slow_transaction(session):
    pairs = session.multi()
    for pair in pairs[:-1]:
        await session.peer.ask(pair)
        await asyncio.sleep(session.dice.random() * 0.01)
    await session.peer.ask(pairs[-1])


async def discarded(session):
    mark = session.mark()
    await session.peer.ask((request("MULTI"), OK), (request("SET", session.key("x"), mark), QUEUED), (request("DISCARD"), OK),
                           (request("GET", session.key("x")), session.null()))


async def watching(session):
    """What another connection has changed, or has not."""
    key, mark, changed = session.key("w"), session.mark(), session.dice.random() < 0.5
    await session.peer.ask((request("SET", key, mark), OK), (request("WATCH", key), OK), session.get())
    if changed:
        await beside(session, (request("SELECT", session.db), OK), (request("SET", key, mark + " changed"), OK))
    else:
        await asyncio.sleep(session.dice.random() * 0.01)
    await session.peer.ask((request("MULTI"), OK), (request("GET", key), QUEUED),
                           (request("EXEC"), session.no_list() if changed else array(bulk(mark))))


async def beside(session, *pairs):
    """On another connection of the same client."""
    other = await RedisPeer.connect(session.client)
    try:
        if session.user != "default":
            await other.ask((request("AUTH", session.user, session.user), OK), whole=True)
        await other.ask(*pairs, whole=True)
    finally:
        other.leave()


async def waiting(session):
    queue, mark = session.key("b"), session.mark()
    await session.peer.send((request("BRPOP", session.key("none"), queue, 0), array(bulk(queue), bulk(mark))), session.get())
    await asyncio.sleep(session.dice.random() * 0.03)
    await beside(session, (request("SELECT", session.db), OK), (request("RPUSH", queue, mark), number(1)))
    await session.peer.answered()


async def naming(session):
    await session.peer.ask((request("CLIENT", "SETNAME", session.tag), OK), (request("CLIENT", "GETNAME"), bulk(session.tag)))


async def changing_protocol(session):
    session.peer.resp3 = not session.peer.resp3
    await session.peer.ask((request("HELLO", 3 if session.peer.resp3 else 2), greets), session.hash(), session.get())


def greets(reply):
    return reply[:1] in b"%*" and b"server" in reply


async def logging_in(session):
    session.user = session.dice.choice(USERS)
    await session.peer.ask((request("AUTH", session.user, session.user), OK), session.whoami(), session.get(),
                           (request("AUTH", session.user, "wrong"), refuses), session.whoami())


def refuses(reply):
    return reply.startswith(b"-WRONGPASS ")


async def resetting(session):
    session.db, session.user, session.peer.resp3 = 0, "default", False
    await session.peer.ask((request("RESET"), b"+RESET\r\n"), session.whoami(), session.hash(), session.get())


async def silence(session):
    """Requests whose replies are not wanted, among those that are."""
    key, mark = session.key("r"), session.mark()
    await session.peer.ask(session.echo(), (request("CLIENT", "REPLY", "SKIP"), None), (request("SET", key, mark), None),
                           (request("GET", key), bulk(mark)), session.echo())


async def listening(session):
    """Own channel, a group's and a pattern; one's own message comes back, and nobody else's."""
    peer, tag = session.peer, session.tag
    own, group = f"to:{tag}", f"group:{session.dice.randrange(GROUPS)}"
    sign = b">" if peer.resp3 else b"*"
    peer.listens |= {own, group}
    await peer.ask((request("SUBSCRIBE", own, group), confirms(sign, b"subscribe", own, 1)),
                   (b"", confirms(sign, b"subscribe", group, 2)), whole=True)
    text = f"{tag} {session.mark()}"
    await beside(session, (request("PUBLISH", own, text), counts))
    if peer.resp3:
        await line(session)
    try:
        await asyncio.wait_for(peer.answered(lambda peer: ("message", own, text) in peer.heard), 20)
    except asyncio.TimeoutError:
        if not peer.hit():
            session.client.accuse(f"never received {text!r}")
        session.world.count["messages lost with a killed link"] += 1
    await session.peer.ask((request("UNSUBSCRIBE", own, group), confirms(sign, b"unsubscribe", own, 1)),
                           (b"", confirms(sign, b"unsubscribe", group, 0)), session.get(), whole=True)
    peer.listens -= {own, group}
    peer.heard.clear()


def confirms(sign, kind, channel, count):
    return sign + b"3\r\n" + bulk(kind) + bulk(channel) + number(count)


def counts(reply):
    return reply[:1] == b":"


async def publishing(session):
    other = session.dice.choice(session.world.clients)
    channel, owner = session.dice.choice([(f"to:{other.tag}", other.tag), (f"group:{session.dice.randrange(GROUPS)}", None)])
    text = f"{owner or channel} from {session.client.number} {session.client.sessions} {session.requests}"
    session.requests += 1
    await session.peer.ask(session.get(), (request("PUBLISH", channel, text), counts), session.get())


async def reading_slowly(session):
    """Much is answered, and not read for a while."""
    key, value = session.key("s"), f"{session.mark()} " * 20000
    await session.peer.ask((request("SET", key, value, "EX", 60), OK))
    await session.peer.send(*[(request("GET", key), bulk(value))] * 10, session.get())
    await session.peer.read_slowly(session.dice.random() * 0.5)
    await session.peer.answered()
    await session.peer.ask((request("DEL", key), number(1)))


async def large(session):
    """50 MB there and back, a few at a time in all; now and then it is left in the middle."""
    if session.world.large.locked():
        return
    async with session.world.large:
        key, mark = session.key("large"), f"{session.mark()} "
        value = mark.encode() * (LARGE // len(mark))
        await session.peer.ask((request("SET", key, value, "PX", 60000), OK), session.echo())
        if session.dice.random() < 0.3:
            await session.peer.send((request("GET", key), bulk(value)))
            await asyncio.sleep(session.dice.random() * 0.05)
            session.peer.leave()
            session.world.count["left in a large value"] += 1
            raise Cut(False)
        await session.peer.ask(session.echo(), (request("GET", key), bulk(value)), session.echo(),
                               (request("DEL", key), number(1)))
        session.world.count["values of 50 MB"] += 1


async def leaving(session):
    """In the middle of replies to come."""
    await session.peer.send(*(session.simple() for _ in range(20)), *session.multi(), *session.blocking())
    session.peer.hang_up(b"")


ACTS = [(20, shared), (12, line), (14, mixed), (5, slow_transaction), (3, discarded), (5, watching), (5, waiting), (3, naming),
        (4, changing_protocol), (3, logging_in), (2, resetting), (2, silence), (4, listening), (6, publishing),
        (2, reading_slowly), (1, large), (1, leaving)]
