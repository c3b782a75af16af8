"""LISTEN in transaction mode: one connection listens for all clients of a database."""
import asyncio
import itertools
import random

import asyncpg
import psycopg
import pytest
from harness.listening import asides, backends, hears, pinned, shared
from harness.process import wait_until
from harness.wire import SYNC, Wire, bind, describe, execute, kinds, message, parse, query

pytestmark = pytest.mark.weir_only


@pytest.fixture
def barrier(postgres):
    """What a client hears of all that was notified before: a server tells notifications in the order
    of their commits."""
    numbers = itertools.count()

    def pass_by(listener):
        channel = f"barrier{next(numbers)}"
        seen = asides(listener.ask(query(f"listen {channel}")))
        postgres.sql(f"notify {channel}")
        while (channel, "") not in seen:
            seen += hears(listener)
        return seen[:-1]

    return pass_by


# ---- what a client sees ----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_listener_keeps_no_server(postgres, pooler, wire, connect, mode):
    weir = pooler(default_pool_size=1, pool_mode=mode)
    listener, other = wire(weir, "ana"), connect(weir)
    assert kinds(listener.ask(query("listen news"))) == "CZ"
    assert other.execute("select count(*) from pg_listening_channels()").fetchone() == (0,)
    other.execute("notify news, 'one'")
    assert hears(listener) == [("news", "one")]
    assert shared(weir) == [1, 1, 1]
    assert backends(postgres) == 2


def test_in_session_mode_a_listener_has_its_own_server(postgres, pooler, wire):
    weir = pooler(pool_mode="session")
    listener = wire(weir, "ana")
    listener.ask(query("listen news"))
    postgres.sql("notify news, 'one'")
    assert hears(listener) == [("news", "one")]
    assert listener.value("select pg_listening_channels()") == "news"
    assert shared(weir) == [0, 0, 0]


def test_sharing_can_be_turned_off(postgres, pooler, wire):
    weir = pooler(max_listen_channels=0)
    listener = wire(weir, "ana")
    listener.ask(query("listen news"))
    postgres.sql("notify news, 'one'")
    assert hears(listener) == [("news", "one")]
    assert shared(weir) == [0, 0, 0]
    assert pinned(weir) == 1


def test_who_notifies_itself_hears_it_once(weir, wire, barrier):
    client = wire(weir, "ana")
    client.ask(query("listen news"))
    client.ask(query("notify news, 'mine'"))
    assert hears(client) == [("news", "mine")]
    client.send(query("listen more; notify more, 'at once'"))
    assert hears(client) == [("more", "at once")]
    assert barrier(client) == []


@pytest.mark.parametrize("listen, notify, name", [
    ("News", "NEWS", "news"), ('"News"', '"News"', "News"), ('"a ""b""; c"', '"a ""b""; c"', 'a "b"; c'),
    ('"grün"', '"grün"', "grün"), ("Grün", "grün", "grün"), ('"x\'y"', '"x\'y"', "x'y"),
    ("a" * 63, "a" * 63, "a" * 63), ("b" * 80, "b" * 63, "b" * 63),
])
def test_names_mean_what_they_mean_to_postgresql(postgres, weir, wire, listen, notify, name):
    listener = wire(weir, "ana")
    listener.ask(query(f"listen {listen}"))
    postgres.sql(f"notify {notify}, 'x'")
    assert hears(listener) == [(name, "x")]
    assert shared(weir) == [1, 1, 1]
    listener.ask(query(f"unlisten {listen}"))
    wait_until(lambda: shared(weir)[1:] == [0, 0], "the channel's end")


def test_a_payload_comes_as_it_was(postgres, weir, wire):
    listener = wire(weir, "ana")
    listener.ask(query("listen news"))
    for payload in ("", "'\"\\;\n", "ü€𝄞", "x" * 7999):
        with psycopg.connect(f"host=127.0.0.1 port={postgres.port} user=ana dbname=main") as direct:
            direct.execute("select pg_notify('news', %s)", (payload,))
        assert hears(listener) == [("news", payload)]


def test_channels_and_payloads_are_in_the_client_s_encoding(postgres, weir, wire):
    latin, utf8 = wire(weir, "ana", client_encoding="LATIN1"), wire(weir, "ana", client_encoding="utf-8")
    utf8.ask(query('listen "grün"'))
    latin.ask(message("Q", 'listen "grün"'.encode("latin-1") + b"\0"))
    postgres.sql("notify \"grün\", 'Käse'")
    assert utf8.read_until("A")[-1].payload[4:] == "grün\0Käse\0".encode()
    assert latin.read_until("A")[-1].payload[4:] == "grün\0Käse\0".encode("latin-1")
    assert shared(weir)[0] == 2


def test_databases_do_not_mix(postgres, pooler, wire):
    postgres.sql("create database other")
    try:
        weir = pooler({name: f"host=127.0.0.1 port={postgres.port} dbname={name}" for name in ("main", "other")})
        one = wire(weir, "ana")
        two = wire(weir)
        two.login("ana", "other")
        for listener in (one, two):
            listener.ask(query("listen news"))
        postgres.sql("notify news, 'other'", dbname="other")
        postgres.sql("notify news, 'main'")
        assert hears(one) == [("news", "main")]
        assert hears(two) == [("news", "other")]
        assert shared(weir) == [2, 2, 2]
        weir.close()
    finally:
        postgres.sql("drop database other with (force)")


def test_users_of_a_database_share_its_connection(postgres, weir, wire):
    ana, bob = wire(weir, "ana"), wire(weir, "bob")
    for listener in (ana, bob):
        listener.ask(query("listen news"))
    postgres.sql("notify news, 'all'")
    assert hears(ana) == hears(bob) == [("news", "all")]
    assert shared(weir) == [1, 1, 2]


# ---- transactions ----------------------------------------------------------------------------


def test_a_listen_counts_when_it_is_committed(postgres, weir, wire, barrier):
    listener = wire(weir, "ana")
    listener.ask(query("begin"))
    listener.ask(query("listen news"))
    listener.send(query("select count(*) from pg_stat_activity, pg_sleep(0.5)"))
    postgres.sql("notify news, 'while it does something'")
    assert kinds(listener.read_until("Z")) == "TDCZ"
    postgres.sql("notify news, 'while it does nothing'")
    wait_until(lambda: weir.metrics()["weir_notifications_received_total"] == 2, "the notifications")
    assert kinds(listener.ask(query("commit"))) == "CZ"
    assert barrier(listener) == []
    postgres.sql("notify news, 'now'")
    assert hears(listener) == [("news", "now")]


@pytest.mark.parametrize("texts", [
    ["begin", "listen news", "rollback"], ["begin; listen news; rollback"], ["listen news; select 1/0"],
    ["begin", "listen news", "select 1/0", "commit"], ["begin; savepoint s; listen news; rollback to s; commit"],
    ["begin", "savepoint s", "listen news", "rollback to s", "commit"], ["listen news; unlisten news"],
    ["begin; listen news; unlisten *; commit"], ["select 'listen news'"], ["/* listen news */ select 1"],
    ["prepare p as select 1", "listen news x"],
])
def test_what_was_not_committed_is_not_listened_to(postgres, weir, wire, barrier, texts):
    listener = wire(weir, "ana")
    for text in texts:
        listener.ask(query(text))
    wait_until(lambda: shared(weir)[1:] == [0, 0], "the channel's end")
    postgres.sql("notify news")
    assert barrier(listener) == []


@pytest.mark.parametrize("texts", [
    ["begin", "listen news", "commit"], ["begin; listen news; commit"], ["begin; listen news; commit; select 1/0"],
    ["begin; savepoint s; select 1; rollback to s; listen news; commit"], ["unlisten *; listen news"],
    ["begin; savepoint s; listen news; release s; commit"], ["select 1; listen news"], ["listen other; listen news"],
    ["listen news", "begin", "unlisten news", "rollback"], ["listen news", "unlisten news; select 1/0"],
    ["listen news", "unlisten other"], ["listen news", "begin; unlisten *; listen news; commit"],
    ["listen news", "listen news"], ["listen news", "begin; listen news; rollback"],
])
def test_what_was_committed_is_listened_to_once(postgres, weir, wire, barrier, texts):
    listener = wire(weir, "ana")
    for text in texts:
        listener.ask(query(text))
    postgres.sql("notify news, 'one'")
    assert hears(listener) == [("news", "one")]
    assert barrier(listener) == []
    wait_until(lambda: pinned(weir) == 0, "the server's return")


@pytest.mark.parametrize("texts", [["unlisten news"], ["unlisten *"], ["discard all"], ["begin; unlisten news; commit"],
                                   ["begin", "unlisten *", "commit"], ["unlisten news; unlisten more"]])
def test_unlisten_ends_it(postgres, weir, wire, barrier, texts):
    listener = wire(weir, "ana")
    listener.ask(query("listen news"))
    for text in texts:
        listener.ask(query(text))
    postgres.sql("notify news")
    assert barrier(listener) == []


def test_notifications_come_between_transactions(postgres, weir, wire):
    """As PostgreSQL has it: not in the middle of one."""
    listener = wire(weir, "ana")
    listener.ask(query("listen news"))
    listener.ask(query("begin"))
    postgres.sql("notify news, 'one'")
    wait_until(lambda: weir.metrics()["weir_notifications_received_total"] == 1, "the notification")
    assert asides(listener.ask(query("select 1"))) == []
    listener.ask(query("commit"))
    assert hears(listener) == [("news", "one")]


def test_an_answer_is_not_cut_in_two(postgres, weir, wire):
    listener = wire(weir, "ana")
    listener.ask(query("listen news"))
    listener.send(query("select repeat('x', 100), pg_sleep(0.001) from generate_series(1, 300)"))
    for number in range(50):
        postgres.sql(f"notify news, '{number}'")
    answer = listener.read_until("Z")
    assert kinds(answer) == "TDCZ" and len([each for each in answer if each.kind == "D"]) == 300
    late = 50 - len(asides(answer))
    assert asides(answer) + hears(listener, late) == [("news", str(number)) for number in range(50)]


# ---- ways to say it --------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [
    [parse("", "listen news"), bind(), describe("P"), execute(), SYNC],
    [parse("s", "listen news"), bind("", "s"), execute(), SYNC],
    [parse("", "begin"), bind(), execute(), parse("", "listen news"), bind(), execute(), parse("", "commit"), bind(),
     execute(), SYNC],
    [query("select 1"), parse("", "listen news"), bind(), execute(), SYNC],
], ids=["unnamed", "named", "in a transaction", "behind a query"])
def test_a_listen_may_be_prepared(postgres, weir, wire, batch):
    listener = wire(weir, "ana")
    listener.send(*batch)
    while b"".join(batch).count(b"Q\0\0") and kinds(listener.read_until("Z")) != "TDCZ":
        pass
    assert "E" not in kinds(listener.read_until("Z"))
    postgres.sql("notify news, 'one'")
    assert hears(listener) == [("news", "one")]
    assert shared(weir) == [1, 1, 1]
    assert pinned(weir) == 0


def test_a_statement_that_listens_may_be_used_again(postgres, weir, wire):
    listener = wire(weir, "ana")
    assert kinds(listener.ask(parse("on", "listen news"), parse("off", "unlisten news"), SYNC)) == "11Z"
    for turn in range(3):
        assert kinds(listener.ask(bind("", "on"), execute(), SYNC)) == "2CZ"
        postgres.sql(f"notify news, '{turn}'")
        assert hears(listener) == [("news", str(turn))]
        assert kinds(listener.ask(bind("", "off"), execute(), SYNC)) == "2CZ"
        wait_until(lambda: shared(weir)[2] == 0, "the listener's end")
    assert pinned(weir) == 0


def test_a_listen_may_come_in_pieces(postgres, weir, wire):
    listener = wire(weir, "ana")
    for byte in query("begin") + query("listen news") + query("commit"):
        listener.send(bytes([byte]))
    assert [kinds(listener.read_until("Z")) for _ in range(3)] == ["CZ"] * 3
    postgres.sql("notify news, 'one'")
    assert hears(listener) == [("news", "one")]
    assert shared(weir) == [1, 1, 1]


def test_many_requests_at_once_are_answered_in_their_order(postgres, weir, wire):
    listener = wire(weir, "ana")
    listener.send(*(query(f"select {number}; listen news{number}; select -{number}") for number in range(30)))
    for number in range(30):
        cells = [each.cells()[0] for each in listener.read_until("Z") if each.kind == "D"]
        assert cells == [str(number), str(-number)]
    assert shared(weir) == [1, 30, 1]
    postgres.sql("notify news0, 'a'; notify news29, 'b'")
    assert hears(listener, 2) == [("news0", "a"), ("news29", "b")]


def test_what_cannot_be_seen_keeps_its_server(postgres, weir, wire):
    """A text too long to be looked at: it works, with a server of its own."""
    listener = wire(weir, "ana")
    listener.ask(query(f"/* {'x' * 20000} */ listen news"))
    postgres.sql("notify news, 'one'")
    assert hears(listener) == [("news", "one")]
    assert shared(weir)[2] == 0
    assert pinned(weir) == 1
    listener.ask(query("listen more"))
    postgres.sql("notify more, 'two'; notify news, 'three'")
    assert hears(listener, 2) == [("more", "two"), ("news", "three")]


def test_what_a_function_listens_to_reaches_nobody_else(postgres, pooler, wire):
    weir = pooler(default_pool_size=1)
    first, second = wire(weir, "ana"), wire(weir, "ana")
    first.ask(query("do $$ begin execute 'listen hidden'; end $$"))
    first.socket.close()
    second.ask(query("listen news"))
    postgres.sql("notify hidden, 'x'; notify news, 'y'")
    assert hears(second) == [("news", "y")]


def test_beyond_the_limit_a_client_keeps_its_server(postgres, pooler, wire):
    weir = pooler(max_listen_channels=2)
    listener = wire(weir, "ana")
    for channel in "abc":
        listener.ask(query(f"listen {channel}"))
    assert shared(weir) == [1, 2, 1]
    assert pinned(weir) == 1
    assert weir.metrics()["weir_listens_unshared_total"] == 1
    postgres.sql("notify a, '1'; notify b, '2'; notify c, '3'")
    assert sorted(hears(listener, 3)) == [("a", "1"), ("b", "2"), ("c", "3")]


# ---- the server itself as oracle -------------------------------------------------------------


def some_script(random):
    """Messages that say LISTEN and UNLISTEN in one transaction or several, which may fail."""
    verbs = ["listen {}", "listen {}", "listen {}", "unlisten {}", "unlisten *", "select 1", "savepoint s"]
    texts = [random.choice(verbs).format(random.choice("abc")) for _ in range(random.randint(1, 4))]
    if random.random() < 0.2:
        texts.insert(random.randint(0, len(texts)), "select 1/0")
    ending = random.choice(["commit", "rollback", ""])
    if "savepoint s" in texts or ending:
        texts = ["begin", *texts, ending or "commit"]
        if "savepoint s" in texts and not any(text.startswith("unlisten") for text in texts) and random.random() < 0.7:
            texts.insert(-1, "rollback to s")
    how = random.choice(["one query", "queries", "batch"])
    if how == "one query":
        return [[query("; ".join(texts))]]
    if how == "queries":
        return [[query(text)] for text in texts]
    return [[part for text in texts for part in (parse("", text), bind(), execute())] + [SYNC]]


@pytest.mark.parametrize("seed", range(4))
def test_a_client_hears_what_it_would_hear_without_weir(postgres, weir, wire, seed):
    """The same script through weir and directly; then all channels are notified, and compared."""
    script = random.Random(seed)
    pooled, direct, sentry, notifier = wire(weir, "ana"), Wire(postgres.port), wire(weir, "ana"), Wire(postgres.port)
    with direct, notifier:
        for each in (direct, notifier):
            each.login("ana")
        sentry.ask(query("listen past"))
        for turn in range(60):
            messages = some_script(script)
            for client in (pooled, direct):
                for request in messages:
                    client.ask(*request)
                client.ask(query("rollback"))  # whatever it has left open
            notifier.ask(query("".join(f"notify {channel}, '{turn}';" for channel in "abc") + "notify past"))
            hears(sentry)  # what is notified before is on its way, too
            heard = [[], []]
            for client, found in zip((pooled, direct), heard):
                for _ in range(2):  # directly, what is notified may come behind the answer
                    found += asides(client.ask(query("select 1")))
            assert heard[0] == heard[1], (turn, messages)


# ---- clients ---------------------------------------------------------------------------------


def test_psycopg_listens(postgres, pooler, connect):
    weir = pooler(default_pool_size=1)
    listener, other = connect(weir), connect(weir)
    listener.execute("listen news")
    other.execute("select pg_notify('news', 'one'), pg_notify('news', 'two')")
    notifies = listener.notifies()
    assert [next(notifies).payload for _ in range(2)] == ["one", "two"]
    notifies.close()


def test_asyncpg_listens(postgres, pooler):
    weir = pooler(default_pool_size=1)

    async def talk(cache):
        heard = asyncio.Queue()
        listener, notifier = [await asyncpg.connect(host="127.0.0.1", port=weir.port, user="ana", database="main",
                                                    ssl=False, statement_cache_size=cache) for _ in range(2)]

        def callback(_connection, _pid, channel, payload):
            heard.put_nowait((channel, payload))

        for turn in range(3):
            await listener.add_listener("News", callback)
            await notifier.execute("select pg_notify('News', $1)", str(turn))
            assert await asyncio.wait_for(heard.get(), 20) == ("News", str(turn))
            await listener.remove_listener("News", callback)
        await listener.reset()
        await listener.close()
        await notifier.close()

    for cache in (0, 100):
        asyncio.run(talk(cache))
    assert pinned(weir) == 0
    assert weir.metrics()["weir_listens_unshared_total"] == 0
