"""What the clients of the stress test share: the servers, the book of what was done to whom, the verdict.

Everything that belongs to client 17 carries its tag, c017: its rows, schema, role, time zone,
application_name, the texts of its errors and notices, what it is notified of. A tag at
another client ends the run, and the failure tells what both have done.
"""
import asyncio
import collections
import random
import re
import time

TAG = re.compile(rb"(?<![0-9A-Za-z])[cC](\d{3})(?![0-9])")
HISTORY = 400  # of each client's messages, in the failure
LOGIN = "app"  # whom all log in as
KEEPING = 4    # servers that nobody may keep for longer than a transaction


def tag_of(number):
    return f"c{number:03d}"


class Violation(Exception):
    """Somebody saw what is not theirs, or did not see what is."""


class Client:
    """Who comes back in one session after another, with the same tag, schema and role."""

    def __init__(self, world, number):
        self.world = world
        self.number = number
        self.tag = tag_of(number)
        self.dice = random.Random(f"{world.seed}/{number}")
        self.sessions = 0
        self.session = None       # the one that is logged in
        self.asked_at = None      # since when an answer is due
        self.cancels = 0          # sent with a key of the present session, and not yet seen to hit
        self.history = collections.deque(maxlen=HISTORY)
        self.next_entry = 0
        self.entries = {}         # of the ledger: number -> KEPT, LOST or UNKNOWN

    def note(self, direction, what):
        self.history.append((time.monotonic(), self.sessions, direction, what))

    def accuse(self, why):
        self.world.accuse(self, why)

    def enter(self, count=1):
        """Numbers of new entries for the ledger, whose end is not known yet."""
        numbers = range(self.next_entry, self.next_entry + count)
        self.next_entry += count
        self.entries.update(dict.fromkeys(numbers, UNKNOWN))
        return list(numbers)

    def settle(self, numbers, how):
        self.entries.update(dict.fromkeys(numbers, how))


KEPT, LOST, UNKNOWN = "kept", "lost", "unknown"


class World:
    def __init__(self, pooler, seed, clients, servers):
        self.pooler = pooler
        self.seed = seed
        self.servers = servers
        self.dice = random.Random(f"{seed}/world")
        self.started = time.monotonic()
        self.over = asyncio.Event()
        self.count = collections.Counter()   # what happened how often
        self.violations = []
        self.kills = 0
        self.last_kill = 0.0
        self.old_keys = collections.deque(maxlen=200)
        self.keepers = asyncio.Semaphore(max(servers - KEEPING, 1))
        self.ways = {}                       # what weir does about each kind of state: probes.py
        self.clients = [Client(self, number) for number in range(clients)]

    def accuse(self, client, why):
        self.violations.append(f"{client.tag}, session {client.sessions}: {why}\n" + self.told(client))
        self.over.set()
        raise Violation(why)

    def told(self, client):
        lines = [f"{at - self.started:9.3f} s{session} {direction} {what!r}"
                 for at, session, direction, what in client.history]
        return "\n".join(lines)

    def look_at(self, client, payload):
        """Ends the run when something of somebody else is in there."""
        for found in TAG.finditer(payload):
            if int(found[1]) != client.number:
                other = self.clients[int(found[1])] if int(found[1]) < len(self.clients) else None
                more = f"\nand what {other.tag} did:\n{self.told(other)}" if other else ""
                client.note("!!", bytes(payload[:200]))
                try:
                    client.accuse(f"received something of {found[0].decode()}: {bytes(payload[:200])!r}")
                finally:
                    self.violations[-1] += more

    def killed(self):
        """A server was lost under a client, as we had ordered."""
        self.count["clients whose server was killed"] += 1

    async def pause(self, seconds):
        """Returns early at the end of the run."""
        try:
            await asyncio.wait_for(self.over.wait(), seconds)
        except asyncio.TimeoutError:
            pass


def lay_out(postgres, clients, dbname="main"):
    """Roles, schemas and tables: each its own of the same names, and one table shared under row-level security."""
    lines = [f"create role {LOGIN} login;",
             "create schema shared;",
             "create table shared.things (owner name, tag text);",
             "alter table shared.things enable row level security;",
             "create policy own on shared.things using (owner = current_user);",
             f"grant usage on schema shared to public; grant select on shared.things to public;"
             f"grant create, temporary on database {dbname} to public;"]
    for number in range(clients):
        tag = tag_of(number)
        lines.append(f"""
            create role {tag}; grant {tag} to {LOGIN};
            create schema {tag} authorization {tag};
            set role {tag}; set search_path = {tag};
            create table mine (tag text, n int);
            insert into mine select '{tag}', generate_series(1, 5);
            create table ledger (tag text, n int primary key, who name default current_user);
            reset role; reset search_path;
            insert into shared.things select '{tag}', '{tag}' from generate_series(1, 3);""")
    postgres.sql("\n".join(lines), dbname=dbname)
