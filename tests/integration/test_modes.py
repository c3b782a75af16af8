"""Session, transaction and statement pooling: whose server it is for how long, and what is refused."""
import subprocess
import threading

import psycopg
import pytest
from harness.process import wait_until
from harness.wire import FLUSH, SYNC, Closed, bind, cancel, copy_data, COPY_DONE, execute, kinds, parse, query

NO_BLOCKS = "transaction blocks not allowed in statement pooling mode"
MODES = ("session", "transaction", "statement")


def pid(client):
    return client.value("select pg_backend_pid()")


def batch(*statements):
    return b"".join(parse("", sql) + bind() + execute() for sql in statements) + SYNC


def refused(client):
    """Whether the client is told, in PgBouncer's words, and sent away."""
    seen = client.read_until("E")
    while seen[-1].fields()["S"] == "ERROR":  # what went wrong within the block
        seen = client.read_until("E")
    error = seen[-1].fields()
    return (error["S"], error["C"], error["M"]) == ("FATAL", "08P01", NO_BLOCKS) and client.is_closed()


# ---- statement pooling

@pytest.fixture
def by_statement(pooler):
    return pooler(pool_mode="statement", default_pool_size=1)


def test_each_statement_may_have_another_server(postgres, by_statement, wire):
    first, second = wire(by_statement, "ana"), wire(by_statement, "ana")
    assert pid(first) == pid(second) == pid(first)
    assert kinds(first.ask(batch("select 1"))) == "12DCZ"
    assert postgres.sql("select count(*) from pg_stat_activity where usename = 'ana'") == "1"


@pytest.mark.parametrize("request_", [
    query("begin"),
    query("start transaction; select 1"),
    query("insert into things values (1, 'lost'); begin; insert into things values (2, 'lost')"),
    query("begin; select 1/0"),
    query("begin; insert into things values (1, 'lost'); savepoint s"),
    query("commit; begin"),
    batch("begin"),
    batch("insert into things values (1, 'lost')", "begin"),
    batch("begin", "insert into things values (1, 'lost')", "select 1/0"),
    parse("", "begin") + bind() + execute() + query("insert into things values (1, 'lost')"),
], ids=["begin", "start", "within", "failed", "savepoint", "commit-begin", "batch", "end-of-batch", "failed-batch",
        "batch-and-query"])
def test_a_transaction_left_open_is_refused_and_nothing_of_it_is_done(postgres, by_statement, wire, request_):
    other = wire(by_statement, "ana")
    before = pid(other)
    assert refused(wire(by_statement, "ana").send(request_))
    assert other.value("select count(*) from things") == "0"
    if by_statement.is_weir:
        assert pid(other) == before, "the server is rolled back and kept"


@pytest.mark.weir_only
@pytest.mark.parametrize("ahead", [
    (query("begin"), query("insert into things values (1, 'half done')"), query("commit")),
    (batch("begin"), batch("insert into things values (1, 'half done')"), batch("commit")),
    (query("begin"), batch("insert into things values (1, 'half done')"), query("commit")),
])
def test_not_even_a_transaction_sent_ahead_is_half_done(by_statement, wire, ahead):
    """PgBouncer tells the client the same, but its server has done it all by then."""
    for _ in range(10):
        assert refused(wire(by_statement, "ana").send(*ahead))
    assert wire(by_statement, "ana").value("select count(*) from things") == "0"


def test_a_transaction_within_one_request_is_allowed(by_statement, wire):
    """As PgBouncer has it: the server is nobody's for no moment of it."""
    client = wire(by_statement, "ana")
    assert kinds(client.ask(query("begin; select 1; commit"))) == "CTDCCZ"
    assert kinds(client.ask(batch("begin", "select 1", "commit"))) == "12C12DC12CZ"


def test_statements_sent_ahead_are_answered_in_order(by_statement, wire):
    client = wire(by_statement, "ana")
    count = 200
    client.send(*(query(f"select {n}") if n % 2 else batch(f"select {n}") for n in range(count)))
    rows = [next(each.cells()[0] for each in client.read_until("Z") if each.kind == "D") for _ in range(count)]
    assert rows == [str(n) for n in range(count)]


def test_copies_work_statement_by_statement(postgres, by_statement, wire):
    client = wire(by_statement, "ana")
    client.send(query("copy things from stdin"), copy_data(b"1\tone\n"), COPY_DONE, query("copy things to stdout"))
    assert kinds(client.read_until("Z")) == "GCZ"
    assert [each.payload for each in client.read_until("Z") if each.kind == "d"] == [b"1\tone\n"]
    client.send(parse("", "copy things from stdin"), bind(), execute(), SYNC, copy_data(b"2\ttwo\n"), COPY_DONE, SYNC)
    assert kinds(client.read_until("Z")) == "12GCZ"
    assert client.value("delete from things returning (select count(*) from things)") == "2"


def test_drivers_in_autocommit_work(by_statement, connect):
    with pytest.raises(psycopg.OperationalError, match=NO_BLOCKS):
        connect(by_statement, autocommit=False).execute("select 1")
    client = connect(by_statement)
    assert [client.execute("select %s::int", (n,)).fetchone() for n in range(20)] == [(n,) for n in range(20)]


@pytest.mark.weir_only
@pytest.mark.parametrize("always", [False, True])
def test_prepared_statements_follow_their_client_in_statement_mode(pooler, connect, always):
    """... and past a reset query that makes the server forget them."""
    weir = pooler(pool_mode="statement", default_pool_size=1, server_reset_query_always=always)
    clients = [connect(weir, prepare_threshold=0) for _ in range(3)]
    for turn in range(5):
        for number, client in enumerate(clients):
            assert client.execute("select %s::int + 10 * %s::int", (number, turn)).fetchone() == (number + 10 * turn,)
            assert client.execute(f"select {number}, %s::text", (f"t{turn}",)).fetchone() == (number, f"t{turn}")


@pytest.mark.weir_only
@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench_in_statement_mode(postgres, by_statement, folder, protocol):
    script = folder / "script"
    script.write_text("select :client_id as client \\gset my_\nselect 1 / (:client_id = :my_client)::int;\n")
    done = subprocess.run([postgres.bin / "pgbench", "-n", "-f", script, "-M", protocol, "-c", "4", "-t", "100",
                           by_statement.dsn()], text=True, capture_output=True, timeout=60, check=False)
    assert "number of transactions actually processed: 400/400" in done.stdout, done.stderr


# ---- which mode holds for whom

@pytest.mark.weir_only
def test_the_user_goes_before_the_database_and_that_before_all(pooler, wire, postgres):
    entry = f"host=127.0.0.1 port={postgres.port} dbname=main"
    weir = pooler({"main": entry, "tx": f"{entry} pool_mode=transaction"},
                  users={"bob": "pool_mode=statement"}, pool_mode="session")
    for user, database, expected in (("ana", "main", "session"), ("ana", "tx", "transaction"),
                                     ("bob", "main", "statement"), ("bob", "tx", "statement")):
        holder = wire(weir)
        holder.login(user, database)
        other = wire(weir)
        other.login(user, database)
        own = pid(holder)
        found = "session" if pid(other) != own else "transaction"
        if found == "transaction":
            try:
                holder.ask(query("begin"))
            except Closed:
                found = "statement"
        assert found == expected, (user, database)


@pytest.mark.weir_only
@pytest.mark.parametrize("first", ["ana", "bob"])
def test_a_pool_has_the_mode_of_its_own_user_whoever_comes_first(pooler, postgres, wire, first):
    """With a forced user several names share one pool (trap 42): two modes in it would be one too many."""
    weir = pooler({"main": f"host=127.0.0.1 port={postgres.port} dbname=main user=ana"},
                  users={"ana": "pool_size=1 pool_mode=transaction", "bob": "pool_size=7 pool_mode=session"},
                  pool_mode="session")
    pids = {pid(wire(weir, user)) for user in (first, "bob", "ana", "bob")}
    assert len(pids) == 1


# ---- server_reset_query_always

@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_with_always_the_reset_query_runs_after_every_lease(postgres, pooler, wire, mode):
    """What a function of the user's has set, nobody sees: only the reset query removes it."""
    postgres.sql("create or replace function spoil() returns text language sql as "
                 "$$ select set_config('work_mem', '1MB', false) $$")
    weir = pooler(pool_mode=mode, default_pool_size=1, server_reset_query_always=True)
    client, other = wire(weir, "ana"), wire(weir, "ana")
    own = pid(client)
    for _ in range(3):
        assert client.value("select spoil()") == "1MB"
        assert (other.value("show work_mem"), pid(other)) == ("4MB", own)


@pytest.mark.weir_only
def test_the_operators_reset_query_is_the_one_that_runs(postgres, pooler, wire):
    postgres.sql("create table if not exists resets (n int); truncate resets")
    weir = pooler(default_pool_size=1, server_reset_query_always=True, server_reset_query="insert into resets values (1)")
    client = wire(weir, "ana")
    for _ in range(3):
        client.value("select 1")
    before = int(postgres.sql("select count(*) from resets"))
    assert before >= 2
    client.ask(query("listen news"))  # what pins is removed, too, though the operator's query does not
    client.socket.close()
    other = wire(weir, "ana")
    assert other.value("select count(*) from pg_listening_channels()") == "0"
    assert int(other.value("select count(*) from resets")) > before
    assert weir.metrics()['weir_pool_servers_cleaned_total{database="main",user="ana"}'] >= 4


@pytest.mark.weir_only
def test_a_reset_query_that_fails_costs_the_server_and_not_the_client(pooler, wire):
    weir = pooler(default_pool_size=1, server_reset_query_always=True, server_reset_query="select 1/0")
    client = wire(weir, "ana")
    assert len({pid(client) for _ in range(3)}) == 3


@pytest.mark.parametrize("always", [False, True])
def test_settings_follow_their_client_past_the_reset(pooler, wire, always):
    weir = pooler(default_pool_size=1, server_reset_query_always=always)
    first, second = wire(weir, "ana"), wire(weir, "ana", TimeZone="Asia/Tokyo")
    first.ask(query("set timezone to 'Europe/Paris'"))
    for _ in range(3):
        assert (first.value("show timezone"), second.value("show timezone")) == ("Europe/Paris", "Asia/Tokyo")


# ---- cancels, and clients that vanish

SLEEPING = "select count(*) from pg_stat_activity where query = '{}' and state = 'active'"


def begun(postgres, client, sql):
    client.send(query(sql))
    wait_until(lambda: postgres.sql(SLEEPING.format(sql)) == "1", "the query's start")
    return client


@pytest.mark.parametrize("mode", MODES)
def test_a_cancel_hits_its_owners_query_and_no_other(postgres, pooler, wire, mode):
    weir = pooler(pool_mode=mode, default_pool_size=2)
    victim, bystander = wire(weir, "ana"), wire(weir, "ana")
    begun(postgres, bystander, "select pg_sleep(4), 31")
    begun(postgres, victim, "select pg_sleep(33)")
    cancel(weir.port, victim.key)
    assert victim.error()["C"] == "57014"
    assert victim.read().kind == "Z"
    assert next(each.cells()[1] for each in bystander.read_until("Z") if each.kind == "D") == "31"
    assert victim.value("select 'again'") == "again"


@pytest.mark.parametrize("mode", MODES)
def test_a_cancel_for_a_client_without_a_query_hits_nobody(postgres, pooler, wire, mode):
    weir = pooler(pool_mode=mode, default_pool_size=2)
    idle, other = wire(weir, "ana"), wire(weir, "ana")
    for _ in range(2):
        idle.value("select 1")  # the other has its server now, if it has none of its own
        begun(postgres, other, "select pg_sleep(2), 32")
        cancel(weir.port, idle.key)
        assert next(each.cells()[1] for each in other.read_until("Z") if each.kind == "D") == "32"


@pytest.mark.weir_only
@pytest.mark.parametrize("mode", MODES)
def test_a_queueing_client_is_cancelled_and_leaves_the_queue(postgres, pooler, wire, mode):
    weir = pooler(pool_mode=mode, default_pool_size=1)
    waiting, holder = wire(weir, "ana"), wire(weir, "ana")
    begun(postgres, holder, "select pg_sleep(34)")
    waiting.send(query("insert into things values (34, 'ghost')"))
    gauge = 'weir_pool_waiting_clients{database="main",user="ana"}'
    wait_until(lambda: weir.metrics()[gauge] == 1, "its place in the queue")
    cancel(weir.port, waiting.key)
    assert waiting.error()["C"] == "57014"
    assert waiting.read().kind == "Z"
    assert weir.metrics()[gauge] == 0
    cancel(weir.port, holder.key)
    assert holder.error()["C"] == "57014"
    holder.socket.close()
    assert waiting.value("select count(*) from things") == "0"


@pytest.mark.weir_only
@pytest.mark.parametrize("mode", MODES)
def test_a_client_that_vanishes_in_a_query_gives_its_server_back(postgres, pooler, wire, mode):
    weir = pooler(pool_mode=mode, default_pool_size=1)
    leaving = wire(weir, "ana")
    own = pid(leaving)
    begun(postgres, leaving, "select pg_sleep(35)").socket.close()
    wait_until(lambda: postgres.sql(SLEEPING.format("select pg_sleep(35)")) == "0", "the query's end")
    assert pid(wire(weir, "ana")) == own, "the server connection is kept"


@pytest.mark.parametrize("mode", MODES)
def test_a_client_that_vanishes_in_a_batch_leaves_nothing(pooler, wire, mode):
    weir = pooler(pool_mode=mode, default_pool_size=1)
    leaving = wire(weir, "ana").send(parse("", "insert into things values (36, 'lost') returning id"), bind(),
                                     execute(), FLUSH)
    leaving.read_until("C")
    leaving.socket.close()
    assert wire(weir, "ana").value("select count(*) from things") == "0"


@pytest.mark.parametrize("mode", MODES)
def test_a_client_that_vanishes_in_a_copy_leaves_nothing(pooler, wire, mode):
    weir = pooler(pool_mode=mode, default_pool_size=1)
    leaving = wire(weir, "ana").send(query("copy things from stdin"))
    leaving.read_until("G")
    leaving.send(copy_data(b"37\tlost\n")).socket.close()
    assert wire(weir, "ana").value("select count(*) from things") == "0"


@pytest.mark.weir_only
@pytest.mark.parametrize("mode", MODES)
def test_cancels_of_many_clients_hit_only_their_own(pooler, mode):
    """Each client cancels itself again and again; who did not ask for it must never be cancelled."""
    weir = pooler(pool_mode=mode, default_pool_size=4)
    wrong = []

    def cancelled(number):
        with psycopg.connect(weir.dsn(), autocommit=True, prepare_threshold=None) as client:
            for _ in range(15):
                timer = threading.Timer(0.01, client.cancel)
                timer.start()
                try:
                    client.execute("select pg_sleep(0.03)")
                except psycopg.errors.QueryCanceled:
                    pass
                timer.join()

    def undisturbed(number):
        with psycopg.connect(weir.dsn(), autocommit=True, prepare_threshold=None) as client:
            for turn in range(30):
                try:
                    if client.execute("select pg_sleep(0.01), %s::int", (turn,)).fetchone()[1] != turn:
                        wrong.append((number, turn))
                except psycopg.Error as error:
                    wrong.append((number, turn, error))

    threads = [threading.Thread(target=(cancelled, undisturbed)[n % 2], args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
