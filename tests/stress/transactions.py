"""Transactions of many statements: what is set, written and prepared in them, and how they end."""
from harness.wire import SYNC, bind, execute, query

from stress import acts
from stress.peer import Canceled, Cut, Lost
from stress.session import parse
from stress.world import KEPT, LOST


async def begin(session):
    if session.dice.random() < 0.3:
        await session.batch(parse("", "begin"), bind(), execute(), word="12C")
    else:
        await session.run("begin", "BEGIN")
    session.state.mark()


async def set_something(session):
    name = session.dice.choice([name for name in session.state.base if session.may_set(name)])
    local = session.dice.random() < 0.4
    sql, value = acts.setting_of(session, name, local)
    await session.run(sql, "SET")
    session.state.put(name, value, local)
    await session.check_state()


async def write(session, numbers):
    numbers += session.client.enter()
    await session.run(f"insert into {session.tag}.ledger (tag, n) values ('{session.tag}', {numbers[-1]})", "INSERT 0 1")


async def temporary(session):
    if not session.may_in_passing("temporary"):
        return
    mark = session.mark()
    await session.run(f"create temp table passing on commit drop as select '{mark}'::text as tag", "SELECT 1")
    await session.rows("select tag from pg_temp.passing", [[mark]])
    await session.run("drop table pg_temp.passing", "DROP TABLE")


async def lock(session):
    mark = session.mark()
    await session.rows(f"select '{mark}', pg_advisory_xact_lock({1000 + session.client.number})::text", [[mark, ""]])


async def fetch(session):
    if not session.may_in_passing("cursor"):
        return
    mark = session.mark()
    await session.run(f"declare here cursor for select '{mark}' from generate_series(1, 4)", "DECLARE CURSOR")
    await session.rows("fetch 3 from here", [[mark]] * 3)
    await session.run("close here", "CLOSE CURSOR")


async def savepoint(session, numbers):
    """What is done after it is undone, after an error or without."""
    await session.run("savepoint here", "SAVEPOINT")
    session.state.mark()
    lost = []
    await set_something(session)
    await write(session, lost)
    if session.dice.random() < 0.5:
        await acts.failing(session)
        refused = await session.peer.ask(query(f"select '{session.mark()}'"))
        session.expect_error(refused, "25P02", "EZ")
    if session.peer.status == "E" or session.dice.random() < 0.5:
        await session.run("rollback to savepoint here", "ROLLBACK")
        session.state.back_to_mark()
        session.client.settle(lost, LOST)
        await session.check_state()
    else:
        numbers += lost
    await session.run("release savepoint here", "RELEASE")
    session.state.forget_mark()


async def step(session, numbers):
    fate = session.dice.randrange(10)
    if fate < 2:
        await set_something(session)
    elif fate < 4:
        await write(session, numbers)
    elif fate == 4:
        await savepoint(session, numbers)
    elif fate == 5:
        await acts.prepared(session)
    else:
        await session.dice.choice([acts.simple, acts.portal, acts.own_table, acts.noticing, lock, fetch,
                                   temporary, acts.pipeline_of_good])(session)
    await session.think(0.02)


async def finish(session, numbers, keep):
    """The client's last word. Only what follows it may be in doubt."""
    if keep:
        done = await session.run("commit", "COMMIT")
        session.client.settle(numbers, KEPT if done == "COMMIT" else LOST)
        session.state.commit()
    else:
        session.client.settle(numbers, LOST)
        await session.run("rollback", "ROLLBACK")
        session.state.rollback()


async def transaction(session):
    numbers, last_word = [], False
    keep = session.dice.random() < 0.6
    try:
        await begin(session)
        for _ in range(session.dice.randrange(1, 6)):
            await step(session, numbers)
        if not keep and session.dice.random() < 0.3:
            await acts.failing(session)
        last_word = keep
        await finish(session, numbers, keep)
    except Cut as cut:
        session.lose(numbers, unless=last_word and cut.complete)
        raise
    except (Lost, Canceled):
        session.lose(numbers, unless=last_word)
        raise
    session.world.count["transactions of several statements"] += 1
    await session.check_state()


async def implicit(session):
    """A transaction in one request, which an error at its end undoes."""
    mark = session.mark()
    numbers = session.client.enter()
    session.client.settle(numbers, LOST)
    session.peer.may_report["application_name"].add(mark)
    entry = f"insert into {session.tag}.ledger (tag, n) values ('{session.tag}', {numbers[0]})"
    if session.dice.random() < 0.5:
        seen = await session.peer.ask(query(f"{entry}; set application_name = '{mark}'; select '{mark}'::int"))
        session.expect_error(seen, "22P02", "CCEZ")
    else:
        seen = await session.peer.ask(parse("", entry), bind(), execute(), parse("", f"select '{mark}'::int"), SYNC)
        session.expect_error(seen, "22P02", "12CEZ")
    await session.check_state()
