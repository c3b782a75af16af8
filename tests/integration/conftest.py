"""What every integration test is given: a PostgreSQL for all, and a pooler for itself.

    def test_a_query_is_answered(pooler):
        weir = pooler(default_pool_size=1)
        assert connect(weir).execute("select 1").fetchone() == (1,)
"""
import contextlib
import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile

import psycopg
import pytest

from harness import pooler as program
from harness.errands import Errands
from harness.fake import FakePostgres
from harness.pooler import Pooler
from harness.postgres import Postgres, prepare
from harness.process import limit_descriptors
from harness.wire import Wire

pytest_plugins = ["harness.redis_fixtures"]


NODE = pathlib.Path(__file__).parent / "node"


def pytest_configure():
    limit_descriptors(20000)
    program.PROGRAM = program.find_program() or ""
    if not program.PROGRAM:
        pytest.exit("say what is tested: WEIR=build/proxy/weir pytest", returncode=2)


def pytest_collection_modifyitems(items):
    if not program.IS_WEIR:
        for item in items:
            if item.get_closest_marker("weir_only"):
                item.add_marker(pytest.mark.skip(reason="only weir does this"))


@pytest.fixture(scope="session")
def postgres():
    """One server for all tests; those that break it take their own."""
    server = Postgres()
    try:
        prepare(server)
        yield server
    finally:
        server.close()


@pytest.fixture
def own_postgres():
    server = Postgres()
    try:
        prepare(server)
        yield server
    finally:
        server.close()


@pytest.fixture
def folder():
    """Readable by the user that servers run as, which pytest's own is not."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def pooler(postgres, folder):
    """pooler(databases=..., users=..., secrets=..., setting=value...) starts one; all end with the test."""
    started = []
    numbers = itertools.count()

    def start(databases=None, users=None, secrets=None, *, backend=None, descriptors=None, wait=True, entry="",
              **settings):
        own = folder / str(next(numbers))
        own.mkdir()
        port = (backend or postgres).port
        databases = databases or {"main": f"host=127.0.0.1 port={port} dbname=main {entry}"}
        if secrets is None:
            secrets = {"ana": "", "bob": ""}
        started.append(Pooler(own, databases, users, secrets, **settings))
        return started[-1].start(descriptors, wait)

    yield start
    failures = []
    for each in started:
        try:
            each.close()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def weir(pooler):
    """One with two server connections for one database, trusting everybody."""
    return pooler()


@pytest.fixture
def compare(postgres, pooler):
    """compare(scenario) runs scenario(port) against PostgreSQL itself and then through a pooler with two
    servers; what it returns must be the same, and is returned. A scenario finds an empty schema "work"."""
    def both(scenario, **settings):
        answers = []
        for target in (postgres, pooler(**{"query_wait_timeout": 30, "max_client_conn": 500, **settings})):
            postgres.sql("drop schema if exists work cascade; create schema work")
            answers.append(scenario(target.port))
        postgres.sql("drop schema work cascade")
        assert answers[1] == answers[0], "not what PostgreSQL itself does"
        return answers[0]

    return both


@pytest.fixture
def connect():
    """connect(pooler, user=..., ...) is a psycopg connection in autocommit, closed after the test."""
    opened = []

    def login(target, autocommit=True, prepare_threshold=None, **words):
        connection = psycopg.connect(target.dsn(**words), autocommit=autocommit, prepare_threshold=prepare_threshold,
                                     connect_timeout=20)
        opened.append(connection)
        return connection

    yield login
    for connection in opened:
        connection.close()


@pytest.fixture
def wire():
    """wire(pooler) is a raw connection; wire(pooler, "ana") has logged in."""
    opened = []

    def dial(target, user=None, **parameters):
        opened.append(Wire(target.port))
        if user:
            opened[-1].login(user, **parameters)
        return opened[-1]

    yield dial
    for each in opened:
        each.socket.close()


@pytest.fixture
def fake():
    """fake(behave) is a server of our own making."""
    servers = []

    def listen(behave):
        servers.append(FakePostgres(behave))
        return servers[-1]

    yield listen
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def modules():
    """The packages that node/package-lock.json names, installed by npm for this run only."""
    with tempfile.TemporaryDirectory(prefix="weir-node-") as folder:
        for file in ("package.json", "package-lock.json"):
            shutil.copy(NODE / file, folder)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
                               "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"], cwd=folder, text=True,
                              capture_output=True, timeout=180, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            pytest.fail(f"npm could not install what these tests need:\n{done.stdout}{done.stderr}", pytrace=False)
        yield os.path.join(folder, "node_modules")


@pytest.fixture
def errands(postgres, folder):
    """errands(pool_size, setting=value...) starts the program with pools of that size."""
    started = []

    def start(pool_size=2, entry="", databases=None, **settings):
        own = folder / str(len(started))
        own.mkdir()
        databases = databases or {
            "main": f"host=127.0.0.1 port={postgres.port} dbname=main {entry}",
            "other": f"host=127.0.0.1 port={postgres.port} dbname=main application_name=other",
        }
        written = Pooler(own, databases, {}, {"ana": "", "bob": ""}, default_pool_size=pool_size, **settings)
        started.append((Errands(written.config, own / "log"), own / "log"))
        started[-1][0].dsn, started[-1][0].metrics = written.dsn, written.metrics
        return started[-1][0]

    yield start
    wrong = []
    for each, log in started:
        with contextlib.suppress(BrokenPipeError):
            try:
                each.close()
            except AssertionError as failure:
                wrong.append(f"{failure}\n{log.read_text(errors='replace')[-6000:]}")
    assert not wrong, "\n".join(wrong)
