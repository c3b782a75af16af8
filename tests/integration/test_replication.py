"""Replication through the pooler: a server of its own for each client, logged in to as the client asked."""
import itertools
import os
import pathlib
import signal
import struct
import subprocess
import threading
import time

import psycopg2
import psycopg2.extras
import pytest
from harness.postgres import PASSWORD
from harness.process import PATIENCE, Process, give, run_as, server_user, wait_until
from harness.wire import Closed, Wire, bind, cancel, copy_data, execute, kinds, message, parse, query, startup, SYNC

pytestmark = pytest.mark.weir_only  # Debian 12's PgBouncer refuses replication
WALSENDERS = "select count(*) from pg_stat_activity where backend_type = 'walsender'"
names = (f"slot_{number}" for number in itertools.count())


@pytest.fixture
def weir(pooler, postgres):
    """One whose name for the physical replication of the tools, "replication", leads to the server, too."""
    return pooler(databases(postgres), default_pool_size=3)


@pytest.fixture
def slot():
    """A name of its own; the slot is dropped after the test."""
    return next(names)


@pytest.fixture(autouse=True)
def nothing_is_left(postgres):
    """Set up first, so looked at last: all clients have gone by then."""
    yield
    wait_until(lambda: postgres.sql(WALSENDERS) == "0", "the end of all walsenders")
    postgres.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots; delete from things")


def databases(postgres):
    entry = f"host=127.0.0.1 port={postgres.port}"
    return {"main": f"{entry} dbname=main", "replication": entry}


def replicating(wire, weir, how="database", user="ana", **parameters):
    client = wire(weir)
    client.login(user, replication=how, **parameters)
    return client


def streaming(postgres, client, slot):
    """A logical stream of test_decoding, from now on."""
    client.ask(query(f"CREATE_REPLICATION_SLOT {slot} LOGICAL test_decoding"))
    client.send(query(f"START_REPLICATION SLOT {slot} LOGICAL 0/0"))
    client.read_until("W")
    return client


def changes(client, until):
    """What test_decoding says, up to a line that holds the text; keepalives are answered."""
    seen = []
    while not seen or until not in seen[-1]:
        each = client.read()
        assert each.kind == "d", each
        if each.payload[:1] == b"w":
            seen.append(each.payload[25:].decode())
        elif each.payload[-1:] == b"\1":
            client.send(status(struct.unpack("!q", each.payload[1:9])[0]))
    return seen


def status(position):
    return copy_data(struct.pack("!cqqqqb", b"r", position, position, position, 0, 0))


# ---- the protocol

@pytest.mark.parametrize("how", ["database", "true", "on", "yes", "1", "TRUE"])
def test_a_replication_connection_is_one_to_a_walsender(weir, wire, how):
    client = replicating(wire, weir, how)
    answer = client.ask(query("IDENTIFY_SYSTEM"))
    assert kinds(answer) == "TDCZ"
    assert answer[1].cells()[3] == ("main" if how == "database" else None)
    assert client.parameters["server_version"].startswith("1")


@pytest.mark.parametrize("how", ["false", "off", "no", "0"])
def test_replication_that_is_off_is_an_ordinary_connection(weir, wire, how):
    first, second = replicating(wire, weir, how), wire(weir, "ana")
    assert first.value("select pg_backend_pid()") == second.value("select pg_backend_pid()")


@pytest.mark.parametrize("how", ["", "maybe", "o", "DATABASE", "databases"])
def test_replication_that_makes_no_sense_is_refused(weir, wire, how):
    error = wire(weir).send(startup(user="ana", database="main", replication=how)).error()
    assert (error["S"], error["C"]) == ("FATAL", "22023") and f'"{how}"' in error["M"]


def test_all_that_the_client_asks_for_is_in_its_login(weir, wire):
    asked = {"application_name": "a standby", "client_encoding": "LATIN1", "DateStyle": "German, DMY",
             "extra_float_digits": "2", "search_path": '"odd\\ one", b', "options": "-c work_mem=1234kB -c geqo=off"}
    client = replicating(wire, weir, **asked)
    assert client.parameters["application_name"] == "a standby"
    assert client.parameters["client_encoding"] == "LATIN1"
    assert client.parameters["DateStyle"] == "German, DMY"
    for name, expected in {**asked, "work_mem": "1234kB", "geqo": "off"}.items():
        if name != "options":
            assert client.value(f"SHOW {name}") == expected


def test_what_the_database_s_entry_says_holds_unless_the_client_says_more(pooler, postgres, wire):
    weir = pooler(entry="application_name=entry timezone='Asia/Tokyo' datestyle='SQL, DMY'")
    client = replicating(wire, weir, TimeZone="Europe/Paris")
    assert [client.value(f"SHOW {name}") for name in ("application_name", "TimeZone", "DateStyle")] == \
        ["entry", "Europe/Paris", "SQL, DMY"]


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_a_stream_goes_both_ways_in_every_mode(postgres, pooler, wire, slot, mode):
    weir = pooler(pool_mode=mode)
    client = streaming(postgres, replicating(wire, weir), slot)
    wire(weir, "ana").ask(query("insert into things values (1, 'streamed')"))
    assert any("streamed" in line for line in changes(client, "COMMIT"))
    where = int(postgres.sql("select pg_current_wal_lsn() - '0/0'::pg_lsn"))
    client.send(status(where))
    wait_until(lambda: postgres.sql(f"select confirmed_flush_lsn - '0/0' >= {where} from pg_replication_slots "
                                    f"where slot_name = '{slot}'") == "t", "the standby's position")
    client.send(message("c"))
    rest = client.read_until("Z")
    assert kinds(rest).lstrip("d").startswith("cC")
    assert client.value("SHOW server_version"), "the walsender takes another command"


def test_a_walsender_refuses_what_it_refuses_and_goes_on(weir, wire):
    client = replicating(wire, weir, "true")
    answer = client.ask(parse("", "select 1"), bind(), execute(), SYNC)
    assert kinds(answer) == "EZ" and answer[0].fields()["C"] == "08P01"
    assert kinds(client.ask(query("IDENTIFY_SYSTEM"))) == "TDCZ"


# ---- whose server it is

def test_its_server_is_nobody_else_s_before_or_after(postgres, pooler, wire):
    weir = pooler(default_pool_size=2)
    ordinary = wire(weir, "ana")
    shared = ordinary.value("select pg_backend_pid()")
    client = replicating(wire, weir)
    own = client.value("select pg_backend_pid()")
    assert own != shared
    assert {wire(weir, "ana").value("select pg_backend_pid()") for _ in range(5)} == {shared}
    client.socket.close()
    wait_until(lambda: postgres.sql(WALSENDERS) == "0", "the walsender's end")
    assert ordinary.value("select pg_backend_pid()") == shared


def test_it_counts_among_the_servers_of_its_pool(postgres, pooler, wire):
    """... and an idle one makes room for it."""
    weir = pooler(default_pool_size=1, query_wait_timeout=1)
    ordinary = wire(weir, "ana")
    assert ordinary.value("select 'before'") == "before"
    client = replicating(wire, weir)
    assert postgres.sql("select count(*) from pg_stat_activity where usename = 'ana'") == "1"
    late = wire(weir).send(startup(user="ana", database="main", replication="database"))
    assert late.error()["C"] == "53300"
    ordinary.send(query("select 'after'"))
    client.socket.close()
    assert ordinary.read_until("Z")[1].cells() == ["after"]


def test_who_waits_for_room_gets_it(pooler, wire):
    weir = pooler(default_pool_size=1)
    first = replicating(wire, weir)
    second = wire(weir).send(startup(user="ana", database="main", replication="true"))
    gauge = 'weir_pool_waiting_clients{database="main",user="ana"}'
    wait_until(lambda: weir.metrics()[gauge] == 1, "its place in the queue")
    first.socket.close()
    assert second.read_until("Z")[-1].kind == "Z"
    assert kinds(second.ask(query("IDENTIFY_SYSTEM"))) == "TDCZ"
    assert weir.metrics()['weir_clients{state="replicating"}'] == 1


def test_who_leaves_the_queue_or_the_login_leaves_nothing(postgres, pooler, wire):
    weir = pooler(default_pool_size=1)
    for _ in range(10):
        client = wire(weir).send(startup(user="ana", database="main", replication="true"))
        client.socket.close()
    holder = replicating(wire, weir)
    for _ in range(5):
        wire(weir).send(startup(user="ana", database="main", replication="true")).socket.close()
    holder.socket.close()
    assert wire(weir, "ana").value("select 'room'") == "room"


# ---- who may

def test_it_is_authenticated_as_any_client(pooler, postgres, wire):
    weir = pooler(secrets={"scram_user": PASSWORD}, auth_type="scram-sha-256")
    words = {"user": "scram_user", "replication": "database"}
    factory = psycopg2.extras.LogicalReplicationConnection
    with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
        psycopg2.connect(weir.dsn(password="wrong", **words), connection_factory=factory)
    with psycopg2.connect(weir.dsn(password=PASSWORD, **words), connection_factory=factory) as connection:
        cursor = connection.cursor()
        cursor.execute("IDENTIFY_SYSTEM")
        assert cursor.fetchone()[3] == "main"
    connection.close()


def test_the_servers_refusal_is_told_to_its_client_alone(postgres, pooler, wire):
    postgres.sql("do $$ begin if to_regrole('carol') is null then create role carol login; end if; end $$")
    weir = pooler(secrets={"carol": ""}, server_login_retry=60)
    for _ in range(2):
        error = wire(weir).send(startup(user="carol", database="main", replication="true")).error()
        assert error["S"] == "FATAL" and "replication" in error["M"], error
        assert wire(weir, "carol").value("select current_user") == "carol", "no pause, and no blame for the others"


# ---- time

def test_no_time_that_is_meant_for_queries_ends_a_stream(postgres, pooler, wire, slot):
    weir = pooler(query_timeout=1, idle_transaction_timeout=1, client_idle_timeout=1, client_message_timeout=1,
                  server_lifetime=1, server_idle_timeout=1)
    idle, client = replicating(wire, weir, "true"), streaming(postgres, replicating(wire, weir), slot)
    time.sleep(2.5)  # more than twice all of them
    postgres.sql("insert into things values (2, 'late')")
    assert any("late" in line for line in changes(client, "late"))
    assert kinds(idle.ask(query("IDENTIFY_SYSTEM"))) == "TDCZ"


def test_the_end_of_the_pooler_is_the_end_of_a_stream(postgres, pooler, wire, slot):
    weir = pooler(shutdown_timeout=30)
    client = streaming(postgres, replicating(wire, weir), slot)
    started = time.monotonic()
    assert weir.stop(signal.SIGTERM) == []
    assert time.monotonic() - started < 10
    assert client.error()["C"] == "57P01"


# ---- cancels, and clients that vanish

def test_a_cancel_ends_the_stream_of_its_owner_and_no_other(postgres, weir, wire, slot):
    client, other = streaming(postgres, replicating(wire, weir), slot), wire(weir, "ana")
    other.send(query("select pg_sleep(1), 'undisturbed'"))
    cancel(weir.port, other.key[:4] + client.key[4:])  # one's number with the other's key
    cancel(weir.port, client.key)
    assert client.error()["C"] == "57014"
    assert client.read_until("Z")[-1].kind == "Z"
    assert client.value("SHOW server_version"), "the connection goes on"
    assert other.read_until("Z")[1].cells()[1] == "undisturbed"


def test_a_cancel_for_an_ordinary_client_leaves_streams_alone(postgres, weir, wire, slot):
    client, other = streaming(postgres, replicating(wire, weir), slot), wire(weir, "ana")
    other.send(query("select pg_sleep(30)"))
    wait_until(lambda: postgres.sql("select count(*) from pg_stat_activity where query = 'select pg_sleep(30)' "
                                    "and state = 'active'") == "1", "the query's start")
    cancel(weir.port, other.key)
    assert other.error()["C"] == "57014"
    postgres.sql("insert into things values (3, 'still there')")
    assert any("still there" in line for line in changes(client, "still there"))


def test_a_client_that_vanishes_in_a_stream_takes_its_server_with_it(postgres, weir, wire, slot):
    client = streaming(postgres, replicating(wire, weir), slot)
    client.socket.close()
    wait_until(lambda: postgres.sql(WALSENDERS) == "0", "the walsender's end")


def test_a_client_that_vanishes_in_a_command_has_it_cancelled(postgres, weir, wire, slot, connect):
    """A slot is made when the transactions that run have ended; the walsender waits for them and reads nothing."""
    holder = connect(weir, autocommit=False)
    holder.execute("create temp table something (n int)")
    client = replicating(wire, weir).send(query(f"CREATE_REPLICATION_SLOT {slot} LOGICAL test_decoding"))
    wait_until(lambda: postgres.sql(WALSENDERS + " and state = 'active'") == "1", "the command's start")
    client.socket.close()
    wait_until(lambda: postgres.sql(WALSENDERS) == "0", "the walsender's end")
    holder.rollback()


def test_a_client_that_vanishes_in_half_a_message_takes_its_server_with_it(postgres, weir, wire, slot):
    client = streaming(postgres, replicating(wire, weir), slot)
    client.send(status(1)[:10]).socket.close()
    wait_until(lambda: postgres.sql(WALSENDERS) == "0", "the walsender's end")


def test_a_killed_walsender_ends_its_client_and_no_other(postgres, weir, wire, slot):
    client, other = streaming(postgres, replicating(wire, weir), slot), wire(weir, "ana")
    other.ask(query("select 1"))
    postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender'")
    assert client.error()["C"] == "57P01"
    assert client.is_closed()
    assert other.value("select 'fine'") == "fine"


def test_much_is_streamed_in_little_memory(postgres, weir, wire, slot):
    client = streaming(postgres, replicating(wire, weir), slot)
    postgres.sql("create table if not exists wide (t text); insert into wide select repeat('x', 1000) "
                 "from generate_series(1, 100000); drop table wide")
    before = weir.process.pss_bytes()
    wait_until(lambda: client.readable(0.1), "the first of it")
    time.sleep(1)  # in which it could be read ahead
    assert weir.process.pss_bytes() - before < 16 << 20
    received = 0
    while received < 100_000_000:
        received += len(client.read().payload)


# ---- PostgreSQL's own tools

@pytest.fixture
def tool(postgres, weir, folder):
    """tool("pg_basebackup", ...) runs one with the pooler's address and says how it ended."""
    target = folder / "target"
    target.mkdir(mode=0o700)
    give(target, server_user())

    def run(name, *arguments):
        done = subprocess.run([postgres.bin / name, "-h", "127.0.0.1", "-p", str(weir.port), "-U", "ana", "-w", *arguments],
                              text=True, capture_output=True, timeout=60, check=False, cwd="/", **run_as(server_user()))
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr
    run.target = target
    return run


def test_pg_recvlogical(postgres, weir, connect, tool, slot):
    tool("pg_recvlogical", "-d", "main", "--slot", slot, "--create-slot", "-P", "test_decoding")
    writer = connect(weir)
    for number in range(50):
        writer.execute("insert into things values (%s, %s)", (number, f"row {number}"))
    end = postgres.sql("select pg_current_wal_lsn()")
    postgres.sql("select txid_current()")  # something behind the end
    output = tool.target / "changes"
    tool("pg_recvlogical", "-d", "main", "--slot", slot, "--start", "--endpos", end, "-f", str(output))
    said = output.read_text()
    assert [f"'row {number}'" in said for number in range(50)] == [True] * 50
    tool("pg_recvlogical", "-d", "main", "--slot", slot, "--drop-slot")


def test_pg_receivewal(postgres, weir, connect, tool, slot):
    tool("pg_receivewal", "--slot", slot, "--create-slot")
    connect(weir).execute("select txid_current()")
    postgres.sql("select pg_switch_wal()")
    end = postgres.sql("select pg_current_wal_lsn()")
    postgres.sql("select pg_switch_wal(); select txid_current()")
    tool("pg_receivewal", "-D", str(tool.target), "--slot", slot, "--endpos", end, "--synchronous", "--no-loop")
    received = sorted(path.name for path in tool.target.iterdir())
    assert received
    whole = [name for name in received if not name.endswith(".partial")]
    assert all((tool.target / name).read_bytes() == (postgres.data / "pg_wal" / name).read_bytes() for name in whole)
    tool("pg_receivewal", "--slot", slot, "--drop-slot")


def test_pg_basebackup_takes_a_backup_that_starts(postgres, weir, connect, tool, folder):
    connect(weir).execute("insert into things values (7, 'backed up')")
    tool("pg_basebackup", "-D", str(tool.target / "data"), "-X", "stream", "-c", "fast")
    subprocess.run([postgres.bin / "pg_verifybackup", str(tool.target / "data")], check=True, capture_output=True,
                   timeout=60, cwd="/", **run_as(server_user()))
    socket_folder = folder / "copy"
    socket_folder.mkdir()
    give(socket_folder, server_user())
    copy = Process([postgres.bin / "postgres", "-D", tool.target / "data", "--listen_addresses=", "--fsync=off",
                    f"--unix_socket_directories={socket_folder}", "--port=5432"], folder / "copy.log", user=server_user())
    try:
        def restored():
            done = subprocess.run([postgres.bin / "psql", "-XAtq", "-h", socket_folder, "-U", "postgres", "-d", "main",
                                   "-c", "select name from things"], text=True, capture_output=True, check=False)
            return done.stdout.strip() == "backed up"
        wait_until(restored, f"the copy's start: {copy.said()}", PATIENCE * 2)
    finally:
        copy.end(signal.SIGQUIT)


def test_a_standby_that_follows_through_the_pooler(postgres, weir, tool, folder):
    """A walreceiver is one more client: its WAL arrives, and what it says of itself comes to the server."""
    tool("pg_basebackup", "-D", str(tool.target / "data"), "-X", "none", "-c", "fast")
    data = tool.target / "data"
    (data / "standby.signal").touch()
    give(data / "standby.signal", server_user())
    socket_folder = folder / "standby"
    socket_folder.mkdir()
    give(socket_folder, server_user())
    conninfo = f"host=127.0.0.1 port={weir.port} user=ana application_name=second"
    standby = Process([postgres.bin / "postgres", "-D", data, "--listen_addresses=", "--fsync=off", "--hot_standby=on",
                       f"--primary_conninfo={conninfo}", f"--unix_socket_directories={socket_folder}", "--port=5432",
                       "--max_connections=300", f"--restore_command=cp {postgres.data}/pg_wal/%f %p",
                       "--wal_receiver_status_interval=1"], folder / "standby.log", user=server_user())
    try:
        wait_until(lambda: postgres.sql("select state from pg_stat_replication where application_name = 'second'")
                   == "streaming", "the standby's stream", PATIENCE * 2)
        postgres.sql("insert into things values (8, 'followed')")

        def followed():
            done = subprocess.run([postgres.bin / "psql", "-XAtq", "-h", socket_folder, "-U", "postgres", "-d", "main",
                                   "-c", "select name from things"], text=True, capture_output=True, check=False)
            return done.stdout.strip() == "followed"
        wait_until(followed, "the row's arrival")
        where = postgres.sql("select pg_current_wal_flush_lsn()")
        wait_until(lambda: postgres.sql(f"select replay_lsn >= '{where}' from pg_stat_replication "
                                        "where application_name = 'second'") == "t", "the standby's word for it")
    finally:
        standby.end(signal.SIGQUIT)


def test_psycopg2_streams(postgres, weir, slot):
    connection = psycopg2.connect(weir.dsn(), connection_factory=psycopg2.extras.LogicalReplicationConnection)
    cursor = connection.cursor()
    cursor.create_replication_slot(slot, output_plugin="test_decoding")
    cursor.start_replication(slot_name=slot, decode=True)
    postgres.sql("insert into things values (9, 'for psycopg2')")
    seen = []

    class Enough(Exception):
        pass

    def consume(change):
        seen.append(change.payload)
        change.cursor.send_feedback(flush_lsn=change.data_start)
        if "for psycopg2" in change.payload:
            raise Enough

    with pytest.raises(Enough):
        cursor.consume_stream(consume)
    connection.close()
    assert any("for psycopg2" in line for line in seen)


def test_psycopg2_physical(weir):
    connection = psycopg2.connect(weir.dsn(), connection_factory=psycopg2.extras.PhysicalReplicationConnection)
    cursor = connection.cursor()
    cursor.execute("IDENTIFY_SYSTEM")
    assert cursor.fetchone()[3] is None
    connection.close()
