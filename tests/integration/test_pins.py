"""What cannot follow keeps the server for its client, until it ends. Two servers: who is pinned has one of its own."""
import threading

import pytest
from harness.process import wait_until
from harness.wire import SYNC, Wire, bind, execute, parse, query

pytestmark = pytest.mark.weir_only
PID = "select pg_backend_pid()"

# begins it; what it is for the metrics; ends it
PINS = [
    ("select pg_advisory_lock(7)", "lock", "select pg_advisory_unlock(7)"),
    ("select pg_try_advisory_lock_shared(7)", "lock", "select pg_advisory_unlock_all()"),
    ("create temp table mine (n int)", "temporary", "drop table mine"),
    ("select 1 as n into temporary mine", "temporary", "discard temp"),
    ("create function pg_temp.f() returns int language sql as 'select 1'", "temporary", "drop function pg_temp.f()"),
    ("begin; declare c cursor with hold for select 1; commit", "cursor", "close c"),
    ("prepare mine as select 1", "prepare", "deallocate mine"),
    ("listen news", "listen", "unlisten *"),
    ("do $$ begin perform pg_advisory_lock(8); end $$", "lock", "select pg_advisory_unlock(8)"),
    ("select set_config('app.' || 'x', '1', false)", "setting", "discard all"),
    ("create temp table mine (n int); select pg_advisory_lock(7)", "temporary", "discard all"),
]

# what has none of these left when it is over
NO_PINS = [
    "select pg_advisory_xact_lock(7)",
    "begin; select pg_advisory_lock(7); select pg_advisory_unlock(7); commit",
    "create temp table mine (n int) on commit drop",
    "begin; create temp table mine (n int); rollback",
    "begin; declare c cursor for select 1; fetch c; commit",
    "begin; declare c cursor with hold for select 1; close c; commit",
    "begin; listen news; rollback",
    "do $$ begin perform 1; end $$",
    "select 'pg_advisory_lock(7)' as temp",
]


@pytest.fixture
def weir(pooler):
    return pooler(default_pool_size=2, max_listen_channels=0)  # a LISTEN that is shared pins nobody


def pinned(weir, reason):
    return weir.metrics()[f'weir_pool_pinned_clients{{database="main",user="ana",reason="{reason}"}}']


def count(weir, reason):
    return weir.metrics()[f'weir_pool_pins_total{{database="main",user="ana",reason="{reason}"}}']


def shares_a_server(client, other):
    """Who is not pinned is given the server used last, whoever that was."""
    return client.value(PID) == other.value(PID)


@pytest.mark.parametrize("begin, reason, end", PINS)
def test_what_pins_a_client_keeps_its_server_until_it_ends(weir, wire, begin, reason, end):
    client, other = wire(weir, "ana"), wire(weir, "ana")
    for part in begin.split("; ") if begin.startswith("begin; ") else [begin]:
        client.ask(query(part))
    own = client.value(PID)
    assert {client.value(PID) for _ in range(3)} == {own}
    assert own not in {other.value(PID) for _ in range(3)}
    assert pinned(weir, reason) == 1
    assert count(weir, reason) == 1
    client.ask(query(end))
    assert shares_a_server(client, other)
    assert pinned(weir, reason) == 0
    assert count(weir, reason) == 1


@pytest.mark.parametrize("begin, reason, end", PINS)
def test_what_a_pinned_client_leaves_nobody_finds(pooler, wire, begin, reason, end):
    weir = pooler(default_pool_size=1)
    client, other = wire(weir, "ana"), wire(weir, "ana")
    for part in begin.split("; ") if begin.startswith("begin; ") else [begin]:
        client.ask(query(part))
    client.socket.close()
    assert other.value("select count(*) from pg_locks where locktype = 'advisory'") == "0"
    assert other.value("select count(*) from pg_class where relnamespace = pg_my_temp_schema()") == "0"
    assert other.value("select count(*) from pg_cursors where is_holdable") == "0"
    assert other.value("select count(*) from pg_prepared_statements where from_sql") == "0"
    assert other.value("select count(*) from pg_listening_channels()") == "0"
    assert other.value("select coalesce(current_setting('app.x', true), '')") == ""


@pytest.mark.parametrize("text", NO_PINS)
def test_what_ends_with_its_transaction_pins_nobody(weir, wire, text):
    client, other = wire(weir, "ana"), wire(weir, "ana")
    for part in text.split("; ") if text.startswith("begin; ") else [text]:
        client.ask(query(part))
    assert shares_a_server(client, other)


@pytest.mark.parametrize("text", [begin for begin, _, _ in PINS if ";" not in begin])
def test_the_same_in_the_extended_protocol_with_and_without_names(weir, wire, text):
    client, other = wire(weir, "ana"), wire(weir, "ana")
    client.ask(parse("", text), bind("", ""), execute(), SYNC)
    assert {client.value(PID) for _ in range(3)}.isdisjoint({other.value(PID) for _ in range(3)})
    client.ask(query("discard all"))
    assert shares_a_server(client, other)
    client.ask(parse("named", text), SYNC)
    assert shares_a_server(client, other)
    client.ask(bind("", "named"), execute(), SYNC)
    assert {client.value(PID) for _ in range(3)}.isdisjoint({other.value(PID) for _ in range(3)})


def test_who_vanishes_while_it_takes_a_lock_leaves_none(pooler, wire, postgres):
    weir = pooler(default_pool_size=1)
    client, other = wire(weir, "ana"), wire(weir, "ana")
    client.send(query("select pg_advisory_lock(9), pg_sleep(0.2)"))
    client.socket.close()
    assert other.value("select count(*) from pg_locks where locktype = 'advisory'") == "0"


def test_a_question_that_the_server_does_not_answer_pins(weir, wire):
    """Its time is over before it has begun."""
    client, other = wire(weir, "ana"), wire(weir, "ana")
    client.ask(query("set statement_timeout = '1ms'; do $$ begin perform 1; end $$"))
    client.ask(query("set statement_timeout = 0"))
    client.ask(query("reset statement_timeout"))
    assert shares_a_server(client, other)


def test_what_is_sent_behind_waits_for_the_question_and_is_answered(weir, wire):
    client = wire(weir, "ana")
    client.send(*[query(text) for text in ("select pg_advisory_lock(1)", "select 'a'", "do $$ begin end $$",
                                           "select 'b'", "select pg_advisory_unlock(1)", "select 'c'")])
    rows = [each.cells()[0] for _ in range(6) for each in client.read_until("Z") if each.kind == "D"]
    assert rows == ["", "a", "b", "t", "c"]


# ---- session_state ----------------------------------------------------------------------------


def test_pin_keeps_the_server_for_who_sets_what_is_not_reported(pooler, wire):
    weir = pooler(default_pool_size=2, session_state="pin")
    client, other = wire(weir, "ana"), wire(weir, "ana")
    client.ask(query("set timezone = 'Asia/Tokyo'"))
    assert shares_a_server(client, other)
    client.ask(query("set work_mem = '1MB'"))
    assert {client.value(PID) for _ in range(3)}.isdisjoint({other.value(PID) for _ in range(3)})
    client.ask(query("reset work_mem"))
    assert shares_a_server(client, other)


def test_ignore_does_neither(pooler, wire):
    weir = pooler(default_pool_size=1, session_state="ignore")
    client, other = wire(weir, "ana"), wire(weir, "ana")
    client.ask(query("set work_mem = '1MB'"))
    client.ask(query("select pg_advisory_lock(7)"))
    assert other.value("show work_mem") == "1MB"
    other.ask(query("select pg_advisory_unlock_all()"))


REJECTED = [begin for begin, _, _ in PINS if ";" not in begin] + ["set work_mem = '1MB'", "set role none",
                                                                  "select set_config('work_mem', '1MB', false)"]


@pytest.mark.parametrize("text", REJECTED)
def test_reject_says_so_and_executes_nothing(pooler, wire, text):
    weir = pooler(default_pool_size=1, session_state="reject")
    client, other = wire(weir, "ana"), wire(weir, "ana")
    for messages in ([query(text)], [parse("", text), bind("", ""), execute(), SYNC],
                     [parse("named", text), bind("", "named"), execute(), SYNC]):
        error = client.send(*messages).error()
        assert error["C"] == "0A000"
        assert "session_state" in error["M"]
        assert client.read_until("Z")[-1].kind == "Z"
        assert shares_a_server(client, other)
    assert client.value("show work_mem") == "4MB"
    client.ask(query("set timezone = 'Asia/Tokyo'"))
    assert client.value("show timezone") == "Asia/Tokyo"


def test_reject_in_a_transaction_fails_the_transaction(pooler, wire):
    weir = pooler(default_pool_size=1, session_state="reject")
    client = wire(weir, "ana")
    client.ask(query("begin"))
    client.ask(query("select 1"))
    assert client.send(query("set work_mem = '1MB'")).error()["C"] == "0A000"
    assert client.read_until("Z")[-1].payload == b"E"
    assert client.send(query("select 2")).error()["C"] == "25P02"
    client.read_until("Z")
    client.ask(query("rollback"))


def test_a_text_too_long_to_be_held_back_is_rejected_before_its_end(pooler, wire):
    weir = pooler(default_pool_size=1, session_state="reject")
    client, other = wire(weir, "ana"), wire(weir, "ana")
    assert client.send(query(f"select '{'x' * 50000}'; create temp table mine (n int)")).error()["C"] == "0A000"
    assert client.is_closed()
    assert other.value("select count(*) from pg_class where relname = 'mine'") == "0"
    assert len(other.value(f"select '{'x' * 50000}'")) == 50000


def test_a_database_and_a_user_may_have_their_own(postgres, pooler, wire):
    weir = pooler({"main": f"host=127.0.0.1 port={postgres.port} dbname=main session_state=reject"},
                  users={"bob": "session_state=follow"}, default_pool_size=1)
    assert wire(weir, "ana").send(query("set work_mem = '1MB'")).error()["C"] == "0A000"
    bob = wire(weir, "bob")
    bob.ask(query("set work_mem = '1MB'"))
    assert bob.value("show work_mem") == "1MB"
