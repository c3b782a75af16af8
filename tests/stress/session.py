"""A session of a client: what it holds, how it asks, and how it checks what it was answered."""
import asyncio
import struct

from harness.wire import SYNC, TERMINATE, bind, close, execute, kinds, message, query, text

from stress.peer import Canceled, Peer
from stress.state import REPORTED, SHOW, State, some_value
from stress.world import LOST, UNKNOWN


def parse(name, sql, *types):
    return message("P", text(name) + text(sql) + struct.pack(f"!h{len(types)}i", len(types), *types))


class Session:
    def __init__(self, client, keeper):
        self.client, self.world, self.dice, self.tag = client, client.world, client.dice, client.tag
        self.keeper = keeper       # may do what keeps a server
        self.requests = 0
        self.prepared = {}         # name -> Statement
        self.doubtful = set()      # names that were under way
        self.peer = None
        self.locks, self.tables, self.cursors = set(), set(), set()

    # ---- beginning and end

    async def open(self):
        client = self.client
        client.sessions += 1
        client.cancels = 0
        chosen = {name: some_value(client, name) for name in REPORTED[:3] if self.dice.random() < 0.6}
        words = dict(chosen)
        if self.world.ways["options"] == "follows" and self.dice.random() < 0.5:
            more = {"search_path": self.tag, "work_mem": some_value(client, "work_mem")}
            words["options"] = " ".join(f"-c {name}={value}" for name, value in more.items())
            chosen.update(more)
        self.state = State(self.world.defaults, chosen)
        self.peer = await Peer.connect(client)
        await self.peer.login(**words)
        client.session = self
        self.world.count["sessions"] += 1

    def end(self):
        client = self.client
        client.session = None
        client.asked_at = None
        if self.peer:
            if self.peer.key:
                self.world.old_keys.append(self.peer.key)
            if not self.peer.closed:
                if not self.peer.transport.is_closing():
                    self.peer.say(TERMINATE)
                self.peer.transport.close()

    def may_set(self, name):
        return name in REPORTED or self.may("setting")

    def may(self, what):
        """Whether this session may bring about that kind of state, as weir treats it now."""
        way = self.world.ways[what]
        return way == "follows" or (way == "pins" and self.keeper)

    def may_in_passing(self, what):
        """The same for what ends with its transaction, which some ways keep a server for all the same."""
        return self.keeper or self.world.ways[what] != "pins"

    # ---- asking

    def mark(self):
        """A word that no other request has."""
        self.requests += 1
        return f"{self.tag}.{self.client.sessions}.{self.requests}"

    def accuse(self, why):
        self.client.accuse(why)

    def expect(self, seen, word, rows=None):
        got = kinds(seen)
        if got != word:
            errors = [each.fields() for each in seen if each.kind == "E"]
            self.accuse(f"was answered {got} and not {word} {errors}")
        if rows is not None:
            cells = [each.cells() for each in seen if each.kind == "D"]
            if cells != rows:
                self.accuse(f"received {cells[:5]} and not {rows[:5]}")

    def expect_error(self, seen, code, word):
        self.expect(seen, word)
        fields = next(each.fields() for each in seen if each.kind == "E")
        if fields["C"] != code:
            self.accuse(f"was told {fields} and not {code}")
        return fields

    async def run(self, sql, tag=None, whole=False):
        """One query without rows; tag is what the server calls it when done."""
        seen = await self.peer.ask(query(sql), whole=whole)
        self.expect(seen, "CZ")
        done = next(each for each in seen if each.kind == "C").payload[:-1].decode()
        if tag and done != tag:
            self.accuse(f"{sql!r} was answered {done}")
        return done

    async def first_answers(self, ends, *then):
        """Up to one of those; then is what brings ReadyForQuery should a cancel hit meanwhile."""
        try:
            return await self.peer.collect(ends)
        except Canceled:
            if then:
                await self.peer.send(*then, whole=True)
            await self.peer.collect()
            raise

    async def batch(self, *messages, word, rows=None):
        seen = await self.peer.ask(*messages, SYNC)
        self.expect(seen, word + "Z", rows)
        return seen

    async def rows(self, sql, expected):
        """A query of one statement, simple or unnamed."""
        if self.dice.random() < 0.5:
            self.expect(await self.peer.ask(query(sql)), "TDCZ" if expected else "TCZ", expected)
        else:
            await self.batch(parse("", sql), bind(), execute(), word="12DC" if expected else "12C", rows=expected)

    async def check_state(self):
        mark = self.mark()
        await self.rows(f"select '{mark}', {SHOW}", [[mark, *self.state.expected()]])

    # ---- after a cancel

    async def recover(self):
        """Back to where it is known what holds."""
        for _ in range(10):
            try:
                if self.peer.status != "I":
                    await self.run("rollback", "ROLLBACK", whole=True)
                self.state.rollback()
                self.state.marks.clear()
                for name in sorted(self.doubtful):
                    self.expect(await self.peer.ask(close("S", name), SYNC, whole=True), "3Z")
                    self.prepared.pop(name, None)
                self.doubtful.clear()
                mark = self.mark()
                seen = await self.peer.ask(query(f"select '{mark}', {SHOW}"), whole=True)
                self.expect(seen, "TDCZ")
                cells = next(each.cells() for each in seen if each.kind == "D")
                wrong = self.state.learn(cells[1:]) if cells[0] == mark else f"{cells[0]} came for {mark}"
                if wrong:
                    self.accuse(f"after a cancel: {wrong}, which it has never asked for")
                return
            except Canceled:
                continue
        self.accuse("was canceled ten times in a row")

    def lose(self, numbers, unless=False):
        """Entries that cannot have come into the ledger, unless."""
        self.client.settle(numbers, UNKNOWN if unless else LOST)

    async def think(self, longest=0.1):
        await asyncio.sleep(self.dice.random() * longest)


