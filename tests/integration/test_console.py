"""The admin console: its tables, and who may see them."""
import os
import re
import shutil
import socket

import psycopg
import pytest
from harness import console
from harness.console import OWN_TABLES, TABLES
from harness.pooler import Pooler, scram_secret
from harness.process import wait_until
from harness.wire import (SYNC, TERMINATE, bind, cancel, describe, execute, kinds, message, parse, query, startup)

pytestmark = pytest.mark.weir_only


@pytest.fixture
def watched(pooler):
    """A weir where ana may do everything and bob may look."""
    return pooler(admin_users="ana", stats_users="bob, eve", secrets={"ana": "", "bob": "", "cyd": ""})


@pytest.fixture
def admin(watched):
    with console.of(watched) as connection:
        yield connection


@pytest.fixture
def pgbouncer(folder, postgres):
    """Debian's PgBouncer beside weir, to be compared with."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin") or pytest.skip("pgbouncer is not installed")
    own = folder / "pgbouncer"
    own.mkdir()
    other = Pooler(own, {"main": f"host=127.0.0.1 port={postgres.port} dbname=main"}, None, {"ana": "", "bob": ""},
                   program=program, admin_users="ana", stats_users="bob")
    yield other.start()
    other.close()


def described(connection, table):
    with connection.cursor() as cursor:
        return [(each.name, each.type_code) for each in cursor.execute(f"show {table}").description]


@pytest.mark.parametrize("table", [*TABLES, *OWN_TABLES])
def test_a_table_has_its_columns_in_order_and_of_their_types(admin, table):
    assert described(admin, table) == {**TABLES, **OWN_TABLES}[table]
    assert described(admin, table.lower() + ";") == {**TABLES, **OWN_TABLES}[table]


# What PgBouncer has renamed since.
RENAMED = {"reserve_pool": "reserve_pool_size"}
LATER = {"STATE", "PEERS", "PEER_POOLS"}  # what 1.18 has not


@pytest.mark.parametrize("table", [each for each in TABLES if each not in LATER])
def test_what_debians_pgbouncer_shows_is_shown_in_its_order_and_of_its_type(admin, pgbouncer, table, connect):
    connect(pgbouncer).execute("select 1")
    with console.of(pgbouncer) as other:
        theirs = [(RENAMED.get(name, name), kind) for name, kind in described(other, table)]
    ours = described(admin, table)
    assert [each for each in ours if each in theirs] == theirs


def test_the_rows_of_lists_totals_and_config_are_debians_pgbouncers_too(admin, pgbouncer):
    with console.of(pgbouncer) as other:
        for table, key in ("lists", "list"), ("totals", "name"), ("config", "key"):
            theirs, ours = ([each[key] for each in console.rows(one, f"show {table}")] for one in (other, admin))
            assert set(theirs) <= set(ours), table
            if table != "config":  # some settings have another place since
                assert [name for name in ours if name in theirs] == theirs


# ---- what they hold ---------------------------------------------------------------------------------------------


def test_pools_clients_and_servers_are_as_they_are(watched, admin, connect, wire):
    first, second = connect(watched, application_name="first"), connect(watched, application_name="second")
    waits = wire(watched, "ana", application_name="waits")
    rests = connect(watched, application_name="rests")
    rests.execute("select 1")
    for each in first, second:
        each.execute("begin")
        each.execute("select 1")
    waits.send(query("select 1"))
    wait_until(lambda: console.row(admin, "show pools", database="main")["cl_waiting"] == 1)

    pool = console.row(admin, "show pools", database="main", user="ana")
    assert pool == {**pool, "cl_active": 3, "cl_waiting": 1, "sv_active": 2, "sv_idle": 0, "pool_mode": "transaction",
                    "load_balance_hosts": None}
    assert pool["maxwait"] + pool["maxwait_us"] / 1e6 >= 0
    assert console.row(admin, "show pools", database="pgbouncer")["cl_active"] == 1

    clients = {each["application_name"]: each for each in console.rows(admin, "show clients")}
    assert {name: each["state"] for name, each in clients.items() if each["database"] == "main"} == \
        {"first": "active", "second": "active", "waits": "waiting", "rests": "idle"}
    servers = {each["ptr"]: each for each in console.rows(admin, "show servers")}
    one = clients["first"]
    assert servers[one["link"]]["link"] == one["ptr"] and servers[one["link"]]["state"] == "active"
    with socket.socket(fileno=os.dup(first.fileno())) as own:
        assert one == {**one, "type": "C", "user": "ana", "database": "main", "replication": "none",
                       "addr": "127.0.0.1", "port": own.getsockname()[1], "local_addr": "127.0.0.1",
                       "local_port": watched.port, "tls": "", "close_needed": 0}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+", one["connect_time"])
    pids = {each.execute("select pg_backend_pid()").fetchone()[0] for each in (first, second)}
    assert {each["remote_pid"] for each in servers.values()} == pids
    assert clients["rests"]["link"] == ""

    main = console.row(admin, "show databases", name="main")
    assert main == {**main, "host": "127.0.0.1", "database": "main", "force_user": None, "pool_size": 2,
                    "current_connections": 2, "current_client_connections": 4, "paused": 0, "disabled": 0}
    ana = console.row(admin, "show users", name="ana")
    assert (ana["current_connections"], ana["current_client_connections"]) == (2, 5)  # the console's, too
    lists = {each["list"]: each["items"] for each in console.rows(admin, "show lists")}
    assert lists == {**lists, "databases": 2, "pools": 2, "used_clients": 5, "used_servers": 2, "login_clients": 0}
    for each in first, second:
        each.execute("rollback")
    waits.read_until("Z")
    wait_until(lambda: console.row(admin, "show pools", database="main")["sv_idle"] == 2)


def test_what_a_client_keeps_its_server_for_can_be_seen(watched, admin, connect):
    keeper = connect(watched, application_name="keeper")

    def link():
        keeper.execute("select 1")
        return console.row(admin, "show clients", application_name="keeper")["link"]
    keeper.execute("select pg_advisory_lock(7)")
    wait_until(lambda: re.fullmatch(r"S-\d+ pinned: lock", link()))
    keeper.execute("create temporary table t (i int)")
    wait_until(lambda: re.fullmatch(r"S-\d+ pinned: lock, temporary", link()))
    keeper.execute("drop table t")
    wait_until(lambda: re.fullmatch(r"S-\d+ pinned: lock", link()))
    keeper.execute("select pg_advisory_unlock(7)")
    wait_until(lambda: link() == "")


def test_in_session_pooling_a_link_is_only_a_link(pooler, connect):
    weir = pooler(pool_mode="session", admin_users="ana")
    connect(weir, application_name="one").execute("select 1")
    with console.of(weir) as admin:
        one = console.row(admin, "show clients", application_name="one")
        assert console.row(admin, "show servers", ptr=one["link"])["link"] == one["ptr"]
        assert console.row(admin, "show pools", database="main")["pool_mode"] == "session"


def test_stats_count_what_was_done(watched, admin, connect):
    client, preparing = connect(watched), connect(watched, prepare_threshold=0)
    before = console.row(admin, "show stats_totals", database="main")
    for _ in range(3):
        client.execute("select 'abc'")
    for value in 1, 2:
        preparing.execute("select %s::int", [value])
    after = console.row(admin, "show stats_totals", database="main")
    grown = {key: after[key] - before[key] for key in after if key != "database"}
    assert (grown["xact_count"], grown["query_count"], grown["server_assignment_count"]) == (6, 6, 6)  # Parse alone is one
    assert (grown["client_parse_count"], grown["server_parse_count"], grown["bind_count"]) == (1, 1, 2)
    assert grown["bytes_received"] > 0 and grown["bytes_sent"] > 0 and grown["query_time"] > 0
    assert after["client_login_count"] == 2
    totals = {each["name"]: each["value"] for each in console.rows(admin, "show totals")}
    assert totals["total_query_count"] == after["query_count"]
    stats = console.row(admin, "show stats", database="main")
    assert stats["total_received"] == after["bytes_received"] and stats["total_bind_count"] == after["bind_count"]
    assert console.row(admin, "show stats", database="pgbouncer")["total_query_count"] == 0


def test_averages_are_of_the_last_stats_period(pooler, connect):
    weir = pooler(admin_users="ana", stats_period=1)
    client = connect(weir)
    with console.of(weir) as admin:
        def averages():
            client.execute("select pg_sleep(0.01)")
            return console.row(admin, "show stats_averages", database="main")
        seen = wait_until(lambda: next((each for each in [averages()] if each["xact_count"] > 0), None))
        assert seen["query_time"] >= 10000 and seen["xact_time"] >= 10000
        wait_until(lambda: console.row(admin, "show stats_averages", database="main")["xact_count"] == 0,
                   "averages of silence")
        assert console.row(admin, "show stats", database="main")["total_xact_count"] > 0


def test_config_shows_what_is_set_and_what_is_standard(watched, admin):
    assert console.row(admin, "show config", key="admin_users") == {
        "key": "admin_users", "value": "ana", "default": "", "changeable": "yes"}
    assert console.row(admin, "show config", key="listen_port")["value"] == str(watched.port)
    assert console.row(admin, "show config", key="default_pool_size") == {
        "key": "default_pool_size", "value": "2", "default": "20", "changeable": "yes"}
    assert console.row(admin, "show config", key="listen_addr")["changeable"] == "no"


def test_the_rest_says_what_there_is(admin):
    version = console.rows(admin, "show version")[0]["version"]
    assert re.fullmatch(r"PgBouncer \d+\.\d+\.\d+ \(weir \S+\)", version)
    assert {each["key"]: each["value"] for each in console.rows(admin, "show state")} == {
        "active": "yes", "paused": "no", "suspended": "no"}
    for empty in "peers", "peer_pools", "dns_hosts", "dns_zones", "redis_pools", "redis_clients":
        assert console.rows(admin, f"show {empty}") == []
    assert console.row(admin, "show mem", name="client_cache")["used"] == 1
    notices = []
    admin.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_primary,
                                                            notice.message_detail)))
    admin.execute("show help")
    assert notices[0][:2] == ("NOTICE", "Console usage") and "SHOW HELP|CONFIG" in notices[0][2]


def test_who_is_logging_in_is_among_the_sockets(watched, admin, wire):
    wire(watched)  # says nothing
    found = wait_until(lambda: [each for each in console.rows(admin, "show sockets") if each["state"] == "cl_login"])
    assert [(each["user"], each["database"]) for each in found] == [("(nouser)", "(nodb)")]
    assert [each["database"] for each in console.rows(admin, "show clients")] == ["pgbouncer"]


def test_replication_is_shown_as_what_it_is(watched, admin, wire):
    wire(watched, "ana", replication="database", application_name="walker")
    assert console.row(admin, "show clients", application_name="walker")["replication"] == "logical"
    assert console.row(admin, "show servers", replication="logical")["state"] == "active"


def test_users_are_who_they_have_logged_in_as(pooler, postgres, connect):
    forced = f"host=127.0.0.1 port={postgres.port} dbname=main user=bob pool_size=3"
    weir = pooler({"forced": forced}, {"cyd": "pool_mode=session pool_size=7"}, {"ana": "", "bob": "", "cyd": ""},
                  admin_users="ana")
    connect(weir, dbname="forced", user="cyd", application_name="it").execute("select 1")
    with console.of(weir) as admin:
        assert console.row(admin, "show clients", application_name="it")["user"] == "cyd"
        assert console.row(admin, "show pools", database="forced")["user"] == "bob"
        assert console.row(admin, "show databases", name="forced")["force_user"] == "bob"
        cyd = console.row(admin, "show users", name="cyd")
        assert cyd == {**cyd, "pool_size": "        7", "reserve_pool_size": "", "pool_mode": "session",
                       "current_connections": 0, "current_client_connections": 1}
        assert console.row(admin, "show users", name="bob")["current_connections"] == 1


def test_without_a_file_there_is_what_the_url_says(pooler, postgres, connect):
    weir = pooler(url=f"postgres://ana@127.0.0.1:{postgres.port}/main")
    connect(weir, dbname="whatever", user="whoever", application_name="it").execute("select 1")
    with console.of(weir, user="anybody") as looker:
        main = console.row(looker, "show databases", name="main")
        assert main == {**main, "host": "127.0.0.1", "port": postgres.port, "database": "main", "force_user": "ana",
                        "current_connections": 1, "current_client_connections": 1}
        assert console.row(looker, "show clients", application_name="it")["user"] == "whoever"
        assert console.row(looker, "show pools", database="main")["user"] == "ana"


# ---- who may come in --------------------------------------------------------------------------------------------


def refusal(weir, **words):
    with pytest.raises(psycopg.OperationalError) as caught:
        console.of(weir, **words)
    return str(caught.value)


def test_only_who_is_listed_comes_in(watched):
    assert "not allowed" in refusal(watched, user="cyd")
    assert "password authentication failed" in refusal(watched, user="eve")  # listed, and nobody knows her
    for dbname in "pgbouncer", "weir":
        with console.of(watched, user="bob", dbname=dbname) as connection:
            assert console.rows(connection, "show version")


def test_the_console_wants_a_password_as_any_database_does(pooler):
    weir = pooler(auth_type="scram-sha-256", admin_users="ana", secrets={"ana": scram_secret("right")})
    assert "password authentication failed" in refusal(weir, password="wrong")
    with console.of(weir, password="right") as connection:
        assert console.rows(connection, "show version")


def test_where_everybody_may_come_in_everybody_may_look(pooler, postgres):
    weir = pooler({"main": f"host=127.0.0.1 port={postgres.port} dbname=main user=ana"}, auth_type="any",
                  admin_users="ana")
    with console.of(weir, user="whoever") as connection:
        assert console.rows(connection, "show pools")
        with pytest.raises(psycopg.Error, match="admin access needed"):
            connection.execute("reload")
    with console.of(weir, user="ana") as connection:
        connection.execute("reload")


def test_user_pgbouncer_of_our_own_uid_needs_no_password(pooler, folder):
    weir = pooler(auth_type="scram-sha-256", unix_socket_dir=folder, secrets={}, max_client_conn=1)
    with console.of(weir, user="pgbouncer", host=folder) as connection:
        connection.execute("reload")
        me = console.rows(connection, "show clients")[0]
        assert (me["addr"], me["port"], me["user"]) == ("unix", weir.port, "pgbouncer") and me["remote_pid"] > 0
        with console.of(weir, user="pgbouncer", host=folder) as another:  # beyond max_client_conn
            assert len(console.rows(another, "show clients")) == 2
    for words in {"user": "pgbouncer"}, {"user": "ana", "host": folder}, {"user": "pgbouncer", "dbname": "main",
                                                                         "host": folder}:
        wait_until(lambda: "password authentication failed" in refusal(weir, password="wrong", **words),
                   "room for one more")  # once those before it are gone


def test_nobody_replicates_the_console(watched, wire):
    raw = wire(watched)
    raw.send(startup(user="ana", database="pgbouncer", replication="true"))
    assert "nothing to replicate" in raw.error()["M"]


# ---- what is said to it -----------------------------------------------------------------------------------------


def test_a_client_is_greeted_as_by_pgbouncer(watched, wire):
    raw = wire(watched, "bob", database="pgbouncer")
    assert raw.parameters == {"server_version": raw.parameters["server_version"], "client_encoding": "UTF8",
                              "server_encoding": "UTF8", "DateStyle": "ISO", "TimeZone": "GMT",
                              "standard_conforming_strings": "on", "is_superuser": "on"}
    assert re.fullmatch(r"\d+\.\d+\.\d+/bouncer", raw.parameters["server_version"])
    assert raw.key


@pytest.mark.parametrize("command", [
    "", ";", "select 1", "show version; show state", "begin", "show nothing", "pause a b", "reload now"])
def test_what_is_no_command_is_answered_in_pgbouncers_words(admin, pgbouncer, command):
    said = []
    with console.of(pgbouncer) as other:
        for each in admin, other:
            with pytest.raises(psycopg.Error) as caught:
                each.execute(command)
            said.append(caught.value.diag.message_primary)
    assert said[0] == said[1]


def test_what_drivers_set_is_let_pass(admin):
    for command in "set datestyle to 'ISO'", "SET client_encoding = UTF8", "set timezone='x'", "set extra_float_digits=3":
        assert admin.execute(command).statusmessage == "SET"
    assert admin.execute("show client_encoding").fetchone() == ("UTF-8",)


def test_the_extended_protocol_says_the_same(watched, wire):
    raw = wire(watched, "bob", database="pgbouncer")
    simple = raw.ask(query("show lists"))
    extended = raw.ask(parse("", "show lists"), bind(), describe("P"), execute(), SYNC)
    assert kinds(extended) == "12TDCZ"
    assert [each.payload for each in extended[2:]] == [each.payload for each in simple]


def test_what_is_no_message_ends_it(watched, wire):
    raw = wire(watched, "bob", database="pgbouncer")
    raw.send(message("y", b"?"))
    assert raw.error()["C"] == "08P01" and raw.is_closed()
    raw = wire(watched, "bob", database="pgbouncer")
    raw.send(TERMINATE).is_closed()


def test_a_cancel_request_does_nothing_to_a_console(watched, wire):
    raw = wire(watched, "bob", database="pgbouncer")
    cancel(watched.port, raw.key)
    assert kinds(raw.ask(query("show version"))) == "TDCZ"


def test_who_asks_and_does_not_read_costs_no_more_than_what_is_on_its_way(watched, wire):
    greedy = wire(watched, "bob", database="pgbouncer")
    answer = sum(len(each.payload) + 5 for each in greedy.ask(query("show config")))
    asked = 4000
    greedy.send(query("show config") * asked)
    with console.of(watched) as admin:
        stuck = wait_until(lambda: [each for each in console.rows(admin, "show active_sockets")
                                    if each["user"] == "bob" and each["send_avail"] > 0])
        for _ in range(20):  # and others are served
            assert console.rows(admin, "show version")
            assert stuck == [each for each in console.rows(admin, "show active_sockets") if each["user"] == "bob"]
        assert stuck[0]["send_avail"] <= 64 * 1024 + answer and stuck[0]["pkt_avail"] <= 128 * 1024
    for _ in range(asked):
        greedy.read_until("Z")


def test_a_console_survives_who_leaves_in_the_middle(watched, wire):
    for cut in 1, 4, 5, 8:
        wire(watched, "bob", database="pgbouncer").send(query("show config")[:cut]).socket.close()
    raw = wire(watched, "bob", database="pgbouncer")
    raw.send(query("show config") * 50).socket.close()
    with console.of(watched) as admin:
        wait_until(lambda: len(console.rows(admin, "show clients")) == 1)
