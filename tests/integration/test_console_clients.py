"""Real clients of the admin console: what they do with PgBouncer's they do with weir's."""
import asyncio
import contextlib
import os
import shutil
import subprocess
import urllib.request

import asyncpg
import psycopg2
import pytest
from harness import console
from harness.pooler import Pooler, find_program
from harness.process import PATIENCE, Process, free_port, wait_until

pytestmark = pytest.mark.weir_only
EXPORTER = shutil.which("prometheus-pgbouncer-exporter")
needs_exporter = pytest.mark.skipif(not EXPORTER, reason="prometheus-pgbouncer-exporter is not installed")


@pytest.fixture
def watched(pooler, connect):
    weir = pooler(admin_users="ana", stats_users="bob")
    connect(weir).execute("select 1")
    return weir


@pytest.fixture
def pgbouncer(folder, postgres, connect):
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin") or pytest.skip("pgbouncer is not installed")
    own = folder / "pgbouncer"
    own.mkdir()
    other = Pooler(own, {"main": f"host=127.0.0.1 port={postgres.port} dbname=main"}, None, {"ana": "", "bob": ""},
                   program=program, admin_users="ana", stats_users="bob")
    connect(other.start()).execute("select 1")
    yield other
    other.close()


# ---- psql -------------------------------------------------------------------------------------------------------


def psql(target, *arguments, text=None, user="ana"):
    return subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-p", str(target.port), "-U", user, "-d", "pgbouncer",
                           *arguments], input=text, text=True, capture_output=True, timeout=PATIENCE, check=False,
                          env={**os.environ, "PGSSLMODE": "disable"})


def test_psql_shows_tables(watched):
    done = psql(watched, "-At", "-c", "show databases", "-c", "show pools;")
    assert done.returncode == 0 and done.stderr == ""
    assert [line.split("|")[0] for line in done.stdout.splitlines()] == ["main", "pgbouncer", "main", "pgbouncer"]


def test_psql_reads_a_script(watched):
    done = psql(watched, "-At", text="show version;\nshow state;\n\\echo done\nreload;\n")
    assert done.stdout.splitlines()[1:] == ["active|yes", "paused|no", "suspended|no", "done", "RELOAD"]


def test_psqls_backslash_d_fails_and_the_console_goes_on(watched):
    done = psql(watched, "-At", text="\\d\nshow version;\n")
    assert "invalid command" in done.stderr and done.stdout.startswith("PgBouncer ")


def test_psqls_watch_and_gset_work(watched):
    done = psql(watched, "-At", text="show version \\gset\n\\echo :version\nshow users \\gx\n")
    assert done.stdout.startswith("PgBouncer ") and "max_user_connections|0" in done.stdout


# ---- drivers ----------------------------------------------------------------------------------------------------


def test_psycopg2_works(watched):
    with contextlib.closing(psycopg2.connect(watched.dsn(dbname="pgbouncer"))) as connection:
        connection.set_session(autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute("SHOW LISTS;")
            assert dict(cursor.fetchall())["databases"] == 2
            with pytest.raises(psycopg2.Error) as caught:
                cursor.execute("SHOW NOTHING;")
            assert caught.value.pgcode == "42601"
            cursor.execute("SHOW STATS")
            names = [each.name for each in cursor.description]
            assert names == [name for name, _ in console.TABLES["STATS"]]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("threshold", [None, 0])
def test_psycopg_works_simple_extended_and_in_binary(watched, binary, threshold):
    with console.of(watched) as connection:
        connection.prepare_threshold = threshold
        for _ in range(3):
            for table in "stats", "pools", "dns_hosts", "clients":
                with connection.cursor(binary=binary) as cursor:
                    cursor.execute(f"show {table}")
                    found = cursor.fetchall()
            assert [each[2] for each in found] == ["main", "pgbouncer"]
            stats = connection.execute("show stats", binary=binary).fetchall()
            assert [each[0] for each in stats] == ["main", "pgbouncer"]
            assert all(each >= 0 for each in stats[0][1:]) and stats[0][3] >= 1


def test_psycopgs_pipeline_works(watched):
    with console.of(watched) as connection, connection.pipeline():
        answers = [connection.execute("show lists") for _ in range(10)]
        assert [dict(each.fetchall())["databases"] for each in answers] == [2] * 10


def test_asyncpg_works(watched):
    async def ask():
        connection = await asyncpg.connect(host="127.0.0.1", port=watched.port, user="ana", database="pgbouncer",
                                           ssl=False)
        try:
            stats = await connection.fetch("show stats")
            prepared = await connection.prepare("show lists")
            lists = {each["list"]: each["items"] for each in await prepared.fetch()}
            status = await connection.execute("show help")
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await connection.fetch("show nothing")
            return stats[0]["database"], int(stats[0]["total_xact_count"]), lists["databases"], status
        finally:
            await connection.close()
    assert asyncio.run(ask()) == ("main", 1, 2, "SHOW")


# ---- prometheus-pgbouncer-exporter ------------------------------------------------------------------------------


class Exporter:
    """Debian's, as it is, on a free port."""

    def __init__(self, folder, target, *arguments):
        self.port = free_port()
        self.process = Process([EXPORTER, "--host", "127.0.0.1", "--port", self.port, "--pgbouncer-host", "127.0.0.1",
                                "--pgbouncer-port", target.port, "--pgbouncer-user", "bob", *arguments],
                               folder / f"exporter-{self.port}.log", env={"PGSSLMODE": "disable"})
        wait_until(lambda: "Listing on port" in self.process.said() or not self.process.alive())

    def series(self):
        """{name{labels}: value} of PgBouncer's."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if line.startswith("pgbouncer_"))
        return {name: float(value) for name, _, value in pairs}


@pytest.fixture
def exporter(folder):
    started = []

    def start(target, *arguments):
        started.append(Exporter(folder, target, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.process.end()


@needs_exporter
def test_the_exporter_has_the_same_series_of_weir_as_of_pgbouncer(watched, pgbouncer, exporter):
    """It asks for columns that PgBouncer no longer has (total_requests, reserve_pool), so of databases it
    says something only where there are none of those it is told to look for: that, too, is the same."""
    ours, theirs = (exporter(target, "--database", "none").series() for target in (watched, pgbouncer))
    assert theirs and set(ours) == set(theirs)
    assert ours["pgbouncer_databases"] == theirs["pgbouncer_databases"] == 2
    assert ours["pgbouncer_used_clients"] == theirs["pgbouncer_used_clients"]


@needs_exporter
def test_the_exporters_tables_are_read_by_its_own_code(watched):
    """Its collectors one by one: pools and lists, which need no column that PgBouncer has dropped."""
    script = f"""
from prometheus_pgbouncer_exporter.collectors import ListsCollector, PoolsCollector
from prometheus_pgbouncer_exporter.utils import get_connection, get_data_by_named_column
connection = get_connection("bob", "{watched.port}", "127.0.0.1")
for collector in ListsCollector(connection), PoolsCollector(databases=None, connection=connection):
    for family in collector.collect():
        for sample in family.samples:
            print(sample.name, sorted(sample.labels.items()), float(sample.value))
print(get_data_by_named_column(connection, "STATS")[0]["total_received"] > 0)
print(get_data_by_named_column(connection, "DATABASES")[0]["pool_size"])
"""
    done = subprocess.run(["/usr/bin/python3", "-c", script], text=True, capture_output=True, timeout=PATIENCE,
                          check=False, env={**os.environ, "PGSSLMODE": "disable"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "pgbouncer_active_clients [('database', 'main'), ('user', 'ana')] 1.0" in lines
    assert "pgbouncer_waiting_clients [('database', 'pgbouncer'), ('user', 'pgbouncer')] 0.0" in lines
    assert "pgbouncer_databases [] 2.0" in lines
    assert lines[-2:] == ["True", "2"]


@needs_exporter
def test_where_the_exporter_fails_it_fails_with_pgbouncer_too(watched, pgbouncer, exporter):
    failures = []
    for target in watched, pgbouncer:
        started = exporter(target)
        wait_until(lambda: not started.process.alive())
        failures.append("KeyError: 'total_requests'" in started.process.said())
    assert failures == [True, True]


def test_the_program_under_test_is_not_pgbouncer():
    assert "pgbouncer" not in find_program()
