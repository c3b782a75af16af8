"""Commands of the admin console: who may give them, and what they do."""
import signal
import threading

import psycopg
import pytest
from harness import console
from harness.process import wait_until
from harness.wire import Closed, execute, parse, bind, query, SYNC

pytestmark = pytest.mark.weir_only

DONE = ["reload", "reconnect", "reconnect main", "kill_client 99999", "shutdown", "shutdown wait_for_servers",
        "shutdown wait_for_clients"]
LATER = ["pause", "pause main", "resume", "resume main", "kill", "kill main", "disable main", "enable main", "suspend",
         "wait_close", "wait_close main", "set verbose = 1", "show fds"]


@pytest.fixture
def watched(pooler):
    return pooler(admin_users="ana", stats_users="bob")


@pytest.fixture
def admin(watched):
    with console.of(watched) as connection:
        yield connection


def error(connection, command):
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(command)
    return caught.value.diag.sqlstate, caught.value.diag.message_primary


@pytest.mark.parametrize("command", DONE + LATER)
def test_who_may_only_look_may_not(watched, wire, command):
    with console.of(watched, user="bob") as connection:
        assert error(connection, command) == ("42501", "admin access needed")
    raw = wire(watched, "bob", database="pgbouncer")
    raw.send(parse("", command), bind(), execute(), SYNC)
    assert raw.error()["C"] == "42501"
    wire(watched, "ana").ask(query("select 1"))  # and nothing has happened


@pytest.mark.parametrize("command", LATER)
def test_what_is_not_supported_yet_says_so(admin, command):
    sqlstate, text = error(admin, command)
    assert sqlstate == "0A000" and text.endswith("is not supported yet")


def test_reload_does_what_sighup_does(watched, admin):
    log = watched.folder / "weir.log"
    assert admin.execute("reload").statusmessage == "RELOAD"
    assert "RELOAD command issued" in watched.said()
    assert not log.exists()


def test_reload_opens_the_log_anew(pooler, folder):
    log = folder / "its.log"
    weir = pooler(admin_users="ana", logfile=log)
    with console.of(weir) as admin:
        log.rename(folder / "old.log")
        notices = []
        admin.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        admin.execute("reload")
        assert log.exists() and "configuration needs a restart" in notices[0]


# ---- RECONNECT --------------------------------------------------------------------------------------------------


def pid(connection):
    return connection.execute("select pg_backend_pid()").fetchone()[0]


def test_reconnect_closes_what_is_idle_now_and_the_rest_as_it_is_left(watched, admin, connect):
    client, holder = connect(watched), connect(watched)
    holder.execute("begin")
    held, other = pid(holder), pid(client)
    assert admin.execute("reconnect").statusmessage == "RECONNECT"
    assert pid(client) not in (held, other)
    assert console.row(admin, "show servers", remote_pid=held)["close_needed"] == 1
    assert pid(holder) == held  # its transaction goes on
    holder.execute("commit")
    wait_until(lambda: held not in [each["remote_pid"] for each in console.rows(admin, "show servers")])
    assert pid(holder) != held


def test_reconnect_is_for_one_database_if_it_says_so(pooler, postgres, connect):
    where = f"host=127.0.0.1 port={postgres.port}"
    weir = pooler({"main": f"{where} dbname=main", "other": f"{where} dbname=postgres"}, admin_users="ana",
                  default_pool_size=1)
    main, other = connect(weir), connect(weir, dbname="other")
    before = pid(main), pid(other)
    with console.of(weir) as admin:
        admin.execute("reconnect other")
        assert pid(main) == before[0] and pid(other) != before[1]
        assert error(admin, "reconnect nosuch") == ("3D000", "no such database: nosuch")
        assert error(admin, "reconnect pgbouncer") == ("22023", "cannot reconnect admin db: pgbouncer")


def test_who_listens_is_told_that_something_may_have_been_missed(watched, admin, connect):
    listener = connect(watched)
    notices, heard_of = [], []
    listener.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    listener.execute("listen news")
    admin.execute("reconnect")

    def heard():
        connect(watched).execute("notify news, 'x'")
        listener.execute("select 1")
        return heard_of
    listener.add_notify_handler(lambda notify: heard_of.append(notify.payload))
    assert set(wait_until(heard)) == {"x"}
    assert notices


# ---- KILL_CLIENT ------------------------------------------------------------------------------------------------


def test_kill_client_ends_one_and_its_query(watched, admin, connect, postgres):
    victim, other = connect(watched, application_name="victim"), connect(watched)
    other.execute("select 1")
    ended = []

    def sleep():
        try:
            victim.execute("select pg_sleep(60) /* victim */")
        except psycopg.Error as problem:
            ended.append(problem)
    thread = threading.Thread(target=sleep)
    thread.start()
    found = wait_until(lambda: [each for each in console.rows(admin, "show clients")
                                if each["application_name"] == "victim" and each["state"] == "active"])
    assert admin.execute(f"kill_client {found[0]['id']}").statusmessage == "KILL_CLIENT"
    thread.join(20)
    assert "admin forced disconnect" in str(ended[0])
    running = "select count(*) from pg_stat_activity where query like '%/* victim */' and state = 'active'"
    wait_until(lambda: postgres.sql(running + " and pid <> pg_backend_pid()") == "0")
    assert other.execute("select 1").fetchone() == (1,)
    assert [each for each in console.rows(admin, "show clients") if each["application_name"] == "victim"] == []


def test_kill_client_wants_the_id_of_one(admin):
    for wrong in "kill_client", "kill_client x", 'kill_client ""', "kill_client 1x", 'kill_client "-1"':
        assert error(admin, wrong) == ("22023", "invalid client pointer supplied")
    assert error(admin, "kill_client 4711") == ("22023", "client not found")


def test_who_kills_himself_is_gone_and_that_is_all(watched, admin):
    with console.of(watched) as other:
        me = max(each["id"] for each in console.rows(other, "show clients"))
        with pytest.raises(psycopg.OperationalError, match="admin forced disconnect"):
            other.execute(f"kill_client {me}")
    assert len(console.rows(admin, "show clients")) == 1


def test_a_client_that_waits_is_killed_out_of_the_queue(pooler, connect, wire):
    weir = pooler(admin_users="ana", default_pool_size=1)
    holder, waits = connect(weir), wire(weir, "ana", application_name="waits")
    holder.execute("begin")
    holder.execute("select 1")
    waits.send(query("select 1"))
    with console.of(weir) as admin:
        wait_until(lambda: console.row(admin, "show pools", database="main")["cl_waiting"] == 1)
        admin.execute(f"kill_client {console.row(admin, 'show clients', application_name='waits')['id']}")
        assert waits.error()["M"] == "admin forced disconnect"
        assert console.row(admin, "show pools", database="main")["cl_waiting"] == 0
    holder.execute("commit")


# ---- SHUTDOWN ---------------------------------------------------------------------------------------------------


def ended(weir):
    weir.ended = True
    assert weir.process.wait() == 0
    assert not [word for word in ("Sanitizer", "runtime error:", "weir stops") if word in weir.said()]


def test_shutdown_ends_all_at_once(watched, admin, connect):
    client = connect(watched)
    client.execute("begin")
    client.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        admin.execute("shutdown")
    ended(watched)
    with pytest.raises(psycopg.OperationalError):
        client.execute("select 1")


def test_shutdown_wait_for_servers_lets_transactions_end(watched, admin, connect):
    client, idle = connect(watched), connect(watched)
    client.execute("begin")
    client.execute("select 1")
    assert admin.execute("shutdown wait_for_servers").statusmessage == "SHUTDOWN"
    with pytest.raises(psycopg.OperationalError):
        idle.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(watched.dsn())
    assert client.execute("select 2").fetchone() == (2,)
    assert console.row(admin, "show pools", database="main")["sv_active"] == 1  # the console watches
    client.execute("commit")
    ended(watched)
    with pytest.raises(psycopg.OperationalError):
        admin.execute("show pools")


def test_shutdown_wait_for_clients_lets_everybody_stay(watched, admin, connect):
    client, idle = connect(watched), connect(watched)
    assert admin.execute("shutdown wait_for_clients").statusmessage == "SHUTDOWN"
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(watched.dsn())
    for _ in range(3):
        assert client.execute("select 2").fetchone() == (2,) == idle.execute("select 2").fetchone()
    assert admin.execute("shutdown WAIT_FOR_CLIENTS").statusmessage == "SHUTDOWN"  # a second one changes nothing
    client.close()
    assert idle.execute("select 1").fetchone() == (1,)
    idle.close()
    ended(watched)


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT], []])
def test_a_shutdown_that_waits_can_be_hastened(watched, admin, connect, signals):
    client = connect(watched)
    client.execute("begin")
    client.execute("select 1")
    admin.execute("shutdown wait_for_clients")
    for each in signals:
        watched.process.send(each)
    if signals == [signal.SIGTERM]:  # transactions end first
        wait_until(lambda: "got SIGTERM" in watched.said())
        client.execute("commit")
    elif not signals:
        with pytest.raises(psycopg.OperationalError):
            admin.execute("shutdown")
    ended(watched)


def test_with_nobody_else_there_the_end_is_now(watched, wire):
    raw = wire(watched, "ana", database="pgbouncer")
    raw.send(query("shutdown wait_for_clients"))
    assert raw.read().payload == b"SHUTDOWN\0"
    ended(watched)
    with pytest.raises(Closed):
        while True:
            raw.read()
