"""What clients do between transactions: one coroutine an act, chosen by weight."""
import asyncio

from harness.wire import (COPY_DONE, FLUSH, SYNC, bind, close, copy_data, copy_fail, describe, execute, kinds, query)

from stress.peer import Cut
from stress.session import parse
from stress.state import literal, some_value
from stress.world import KEPT, LOST

TEXT, INT = 25, 23
NAMES = [f"s{number}" for number in range(5)]  # everybody's statements are called so
GROUPS = 4


class Statement:
    """sql with one parameter, and what it answers for a value of it."""

    def __init__(self, session, kind, version):
        tag = session.tag
        self.kind = kind
        self.types = [TEXT]
        if kind == "own":
            self.sql = f"select '{version}', $1"
            self.rows = lambda value: [[version, value]]
        elif kind == "shared":  # the same text for all
            self.sql = "select $1, current_setting('application_name'), current_user"
            self.rows = lambda value: [[value, session.state.shown["application_name"], role_of(session)]]
        elif kind == "typed":  # the same text with other types is another statement
            self.sql = "select $1, $2 - 1"
            self.types = [TEXT, INT if session.client.number % 2 else 20]
            self.rows = lambda value: [[value, "41"]]
        elif kind == "mine":  # the same text, and another table
            self.sql = "select tag, n, $1 from mine order by n"
            self.rows = lambda value: [[tag, str(n), value] for n in range(1, 6)]
        else:
            self.sql = "select tag, $1 from shared.things"
            self.rows = lambda value: [[tag, value]] * (3 if role_of(session) == tag else 0)

    def values(self, value):
        return [value, 42] if self.kind == "typed" else [value]

    def usable(self, session):
        return self.kind != "mine" or session.state.shown["search_path"].startswith(session.tag)


def role_of(session):
    return session.state.shown["role"] if session.state.shown["role"] != "none" else "app"


# ---- queries


async def simple(session):
    mark, count = session.mark(), session.dice.randrange(1, 20)
    await session.rows(f"select '{mark}', n from generate_series(1, {count}) n",
                       [[mark, str(n)] for n in range(1, count + 1)])


async def several(session):
    marks = [session.mark() for _ in range(3)]
    seen = await session.peer.ask(query("; ".join(f"select '{mark}'" for mark in marks)))
    session.expect(seen, "TDCTDCTDCZ", [[mark] for mark in marks])


async def flushed(session):
    """Nothing is lent to anybody between a Flush and the Sync."""
    mark = session.mark()
    await session.peer.send(parse("", f"select '{mark}', $1", TEXT), describe("S"), FLUSH)
    session.expect(await session.first_answers("TE", SYNC), "1tT")
    await session.think(0.02)
    await session.batch(bind(values=[mark]), execute(), word="2DC", rows=[[mark, mark]])


async def portal(session):
    mark = session.mark()
    await session.peer.send(parse("", f"select '{mark}', n from generate_series(1, 5) n"), bind("p"),
                            execute("p", 2), FLUSH)
    session.expect(await session.first_answers("sE", SYNC), "12Ds", [[mark, "1"], [mark, "2"]])
    await session.think(0.02)
    await session.batch(execute("p"), close("P", "p"), word="DC3", rows=[[mark, str(n)] for n in (3, 4, 5)])


async def large(session):
    mark, width = session.mark(), session.dice.randrange(1, 4000)
    await session.peer.send(query(f"select '{mark}', repeat('{session.tag} ', {width}) from generate_series(1, 10)"))
    if session.dice.random() < 0.1:  # leaves in the middle of it
        await session.first_answers("DEZ")
        session.peer.cut(b"", 0)
    session.expect(await session.peer.collect(), "TDCZ", [[mark, f"{session.tag} " * width]] * 10)


async def failing(session):
    mark = session.mark()
    seen = await session.peer.ask(query(f"select '{mark}'::int"))
    if mark not in session.expect_error(seen, "22P02", "EZ")["M"]:
        session.accuse("received another's error")


async def noticing(session):
    mark = session.mark()
    await session.run(f"do $$ begin raise notice '{mark}'; end $$", "DO")


async def sleeping(session):
    mark = session.mark()
    await session.rows(f"select '{mark}' from pg_sleep({session.dice.random() * 0.3:.3f})", [[mark]])


async def timing_out(session):
    """Only who has set it is stopped by it."""
    if not session.may_in_passing("setting"):
        return
    mark = session.mark()
    seen = await session.peer.ask(query(f"begin; set local statement_timeout = 20; select '{mark}', pg_sleep(5)"))
    session.expect_error(seen, "57014", "CCTEZ" if "T" in kinds(seen) else "CCEZ")
    await session.run("rollback", "ROLLBACK")


async def seeing(session):
    await session.check_state()


async def own_table(session):
    if session.state.shown["search_path"].startswith(session.tag):
        await session.rows("select tag, n from mine order by n", [[session.tag, str(n)] for n in range(1, 6)])
    else:
        await session.rows("select tag from shared.things",
                           [[session.tag]] * (3 if role_of(session) == session.tag else 0))


# ---- prepared statements


def call(session, name, statement, describes=False):
    """The messages that run it, what kinds they are answered by, and the rows."""
    value = session.mark()
    messages = [bind("", name, statement.values(value)), execute()]
    rows = statement.rows(value)
    if describes:
        return [describe("S", name), *messages], "tT2" + "D" * bool(rows) + "C", rows
    return messages, "2" + "D" * bool(rows) + "C", rows


def invent(session):
    kind = session.dice.choice(["own", "own", "shared", "typed", "mine", "things"])
    if kind == "mine" and not session.state.shown["search_path"].startswith(session.tag):
        kind = "own"
    return Statement(session, kind, session.mark())


async def prepared(session):
    """Parses it unless it has that name already, and runs it, in one batch or several."""
    name = session.dice.choice(NAMES)
    statement = session.prepared.get(name)
    ahead, word = [], ""
    session.doubtful.add(name)
    if statement is None:
        statement = invent(session)
        ahead, word = [parse(name, statement.sql, *statement.types)], "1"
        if session.dice.random() < 0.5:
            await session.batch(*ahead, word=word)
            ahead, word = [], ""
        session.prepared[name] = statement
    for _ in range(session.dice.randrange(1, 4)):
        if not statement.usable(session):
            break
        messages, kinds_of_it, rows = call(session, name, statement, session.dice.random() < 0.3)
        await session.batch(*ahead, *messages, word=word + kinds_of_it, rows=rows)
        ahead, word = [], ""
    if ahead:
        await session.batch(*ahead, word=word)
    session.doubtful.discard(name)


async def closing(session):
    name = session.dice.choice(NAMES)
    session.doubtful.add(name)
    await session.batch(close("S", name), word="3")
    session.prepared.pop(name, None)
    session.doubtful.discard(name)


async def parsing_again(session):
    """A name that is taken stays what it was; one that the client has not prepared is nobody else's."""
    name = session.dice.choice(NAMES)
    if name in session.prepared and not session.prepared[name].usable(session):
        return  # a server that has it not yet says why it cannot have it, and not that it is taken: README says so
    if name in session.prepared:
        seen = await session.peer.ask(parse(name, f"select '{session.mark()}'"), SYNC)
        session.expect_error(seen, "42P05", "EZ")
    else:
        seen = await session.peer.ask(bind("", name, [session.mark()]), execute(), SYNC)
        session.expect_error(seen, "26000", "EZ")


async def pipeline(session, faulty=True):
    """Several batches at once, of which some fail and leave no statement behind."""
    messages, wanted = [], []
    names = session.dice.sample(NAMES, 3)
    session.doubtful.update(names)
    for name in names:
        statement = session.prepared.get(name)
        if statement and statement.usable(session):
            more, word, rows = call(session, name, statement)
        elif statement is None and faulty and session.dice.random() < 0.4:  # an error, and then what nobody carries out
            more, word, rows = [parse("", f"select '{session.mark()}'::int"), parse(name, "select 1")], "E", []
        else:
            mark = session.mark()
            more, word, rows = [parse("", f"select '{mark}'"), bind(), execute()], "12DC", [[mark]]
        messages += [*more, SYNC]
        wanted.append((word + "Z", rows))
    await session.peer.send(*messages)
    answers = await session.peer.collect(times=len(wanted))
    for word, rows in wanted:
        end = next(i for i, each in enumerate(answers) if each.kind == "Z") + 1
        session.expect(answers[:end], word, rows)
        answers = answers[end:]
    session.doubtful.difference_update(names)


async def pipeline_of_good(session):
    await pipeline(session, faulty=False)


# ---- COPY and the ledger


async def insert(session):
    """One entry, in a transaction of its own."""
    numbers = session.client.enter()
    try:
        await session.run(f"insert into {session.tag}.ledger (tag, n) values ('{session.tag}', {numbers[0]})",
                          "INSERT 0 1")
    except Cut as cut:
        session.lose(numbers, unless=cut.complete)
        raise
    session.client.settle(numbers, KEPT)


async def copy_in(session):
    numbers = session.client.enter(session.dice.randrange(1, 30))
    given_up = session.dice.random() < 0.3
    lines = [copy_data(f"{session.tag}\t{number}\n".encode()) for number in numbers]
    complete = False
    try:
        await session.peer.send(query(f"copy {session.tag}.ledger (tag, n) from stdin"))
        session.expect(await session.first_answers("GE"), "G")
        await session.think(0.01)
        if given_up:
            session.client.settle(numbers, LOST)
            seen = await session.peer.ask(*lines, copy_fail(session.mark()))
            session.expect_error(seen, "57014", "EZ")
            return
        complete = True
        session.expect(await session.peer.ask(*lines, COPY_DONE), "CZ")
    except Cut as cut:
        session.lose(numbers, unless=complete and cut.complete)
        raise
    session.client.settle(numbers, KEPT)


async def copy_out(session):
    seen = await session.peer.ask(query(f"copy (select tag, n from {session.tag}.ledger order by n desc limit 30)"
                                        " to stdout"))
    if set(kinds(seen).replace("d", "")) != set("HcCZ"):
        session.accuse(f"was answered {kinds(seen)} to COPY OUT {[each for each in seen if each.kind == 'E']}")
    for each in seen:
        if each.kind == "d":
            tag, number = each.payload.decode().split()
            if tag != session.tag or session.client.entries.get(int(number), LOST) == LOST:
                session.accuse(f"copied out {tag} {number}, which is not in its ledger")


# ---- settings and what cannot follow


def setting_of(session, name, local=False):
    """SQL that sets it, as one of the ways there are."""
    value = some_value(session.client, name)
    session.state.uses(name, value)
    if name in session.peer.may_report:
        session.peer.may_report[name].add(value.lower())
    words = "set local" if local else session.dice.choice(["set", "set session", f"/* {session.tag} */ SET"])
    return f"{words} {name} to {literal(name, value)}", value


async def setting(session):
    name = session.dice.choice([name for name in session.state.base if session.may_set(name)])
    fate = session.dice.random()
    if fate < 0.2 and name != "role" and session.may("set_config"):
        value = some_value(session.client, name)
        session.state.uses(name, value)
        if name in session.peer.may_report:
            session.peer.may_report[name].add(value.lower())
        mark = session.mark()
        await session.rows(f"select '{mark}', set_config('{name}', '{value}', false)", [[mark, value]])
        session.state.put(name, value)
    elif fate < 0.35 and session.may("reset"):
        await session.run(f"reset {name}", "RESET")
        session.state.reset(name)
    elif fate < 0.4 and session.may("reset") and session.may("setting"):
        await session.run("reset all", "RESET")
        session.state.reset()
    else:
        sql, value = setting_of(session, name)
        await session.run(sql, "SET")
        session.state.put(name, value)
    await session.check_state()


async def listening(session):
    if not session.may("listen"):
        return
    channel = session.dice.choice([f"to_{session.tag}", f"group_{session.dice.randrange(GROUPS)}"])
    if channel in session.peer.listens:
        await session.run(f"unlisten {channel}", "UNLISTEN")
        session.peer.listens.discard(channel)
        return
    session.peer.listens.add(channel)
    await session.run(f"listen {channel}", "LISTEN")
    mark = session.mark()
    word = session.tag if channel.startswith("to_") else channel
    kills = session.world.kills
    await session.run(f"notify {channel}, '{word} {session.client.sessions} {session.requests}'", "NOTIFY")
    text = (channel, f"{word} {session.client.sessions} {session.requests}")
    for _ in range(200):
        if text in session.peer.notified:
            break
        await asyncio.sleep(0.05)
        session.expect(await session.peer.ask(query(f"select '{mark}'")), "TDCZ", [[mark]])
    else:
        if kills == session.world.kills:
            session.accuse(f"was never notified of {text}")
        session.world.count["notifications lost with a killed server"] += 1
    session.peer.notified.clear()


async def notifying(session):
    other = session.dice.randrange(len(session.world.clients))
    if session.dice.random() < 0.5:
        channel, word = f"to_{session.world.clients[other].tag}", session.world.clients[other].tag
    else:
        channel = word = f"group_{session.dice.randrange(GROUPS)}"
    await session.run(f"notify {channel}, '{word} from {session.client.number}'", "NOTIFY")


async def temporary(session):
    if not session.may("temporary"):
        return
    if session.tables and role_of(session) not in session.tables:
        return  # it belongs to another role
    if session.tables:
        await session.rows("select tag from pg_temp.kept", [[session.tag]])
        if session.dice.random() < 0.5:
            await session.run("drop table pg_temp.kept", "DROP TABLE")
            session.tables.clear()
        return
    session.tables.add(role_of(session))
    await session.run(f"create temp table kept as select '{session.tag}'::text as tag", "SELECT 1")


async def locking(session):
    if not session.may("lock"):
        return
    key, mark = session.client.number, session.mark()
    if session.locks:
        await session.rows(f"select '{mark}', pg_advisory_unlock({key})", [[mark, "t"]])
        session.locks.clear()
    else:
        session.locks.add(key)
        await session.rows(f"select '{mark}', pg_try_advisory_lock({key})::text in ('true', 'false')", [[mark, "t"]])
        await session.rows(f"select '{mark}', pg_advisory_lock({key})::text", [[mark, ""]])
        await session.rows(f"select '{mark}', pg_advisory_unlock({key})", [[mark, "t"]])


async def cursor(session):
    if not session.may("cursor"):
        return
    mark = session.mark()
    await session.run(f"declare held cursor with hold for select '{mark}' from generate_series(1, 4)",
                      "DECLARE CURSOR")
    await session.think()
    await session.rows("fetch 2 from held", [[mark]] * 2)
    await session.run("close held", "CLOSE CURSOR")


async def sql_prepare(session):
    if not session.may("prepare"):
        return
    mark = session.mark()
    await session.run(f"prepare named as select '{mark}'", "PREPARE")
    await session.think()
    await session.rows("execute named", [[mark]])
    await session.run("deallocate named", "DEALLOCATE")


