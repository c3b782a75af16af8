"""TLS between the pooler and the server: the same bytes, and nobody else who reads them."""
import concurrent.futures
import pathlib
import shutil
import subprocess
import tempfile
import time

import psycopg
import pytest
from harness.postgres import Postgres, prepare
from harness.process import give, server_user, wait_until
from harness.wire import query

pytestmark = pytest.mark.weir_only

MEGABYTE = 1_000_000


class Certificate:
    """Self-signed, for localhost only: it is its own authority."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-certificate-"))
        self.folder.chmod(0o755)
        self.file, self.key = self.folder / "server.crt", self.folder / "server.key"
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", self.key, "-out", self.file], check=True, capture_output=True, timeout=60)
        self.key.chmod(0o600)
        give(self.key, server_user())

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def certificate():
    made = Certificate()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def wrong_certificate():
    made = Certificate()
    yield made
    made.remove()


@pytest.fixture(scope="module", params=["TLSv1.2", "TLSv1.3"])
def server(request, certificate):
    made = Postgres(["ssl=on", f"ssl_cert_file={certificate.file}", f"ssl_key_file={certificate.key}",
                     f"ssl_max_protocol_version={request.param}"])
    made.version = request.param
    try:
        prepare(made)
        subprocess.run([made.bin / "pgbench", "-iq", "-h", made.folder, "-p", str(made.port), "-U", "postgres", "main"],
                       check=True, capture_output=True, timeout=60)
        yield made
    finally:
        made.close()


@pytest.fixture
def to(pooler):
    """to(server, sslmode="require", ...) starts a weir for it; None leaves sslmode to its default."""
    def start(server, sslmode="require", host="localhost", **words):
        words = {**({"sslmode": sslmode} if sslmode else {}), **words}
        query = "&".join(f"{name}={value}" for name, value in words.items())
        return pooler(url=f"postgres://ana@{host}:{server.port}/main?{query}")

    return start


def ssl(connection):
    return connection.execute("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()").fetchone()


def why_not(connect, weir):
    with pytest.raises(psycopg.OperationalError) as refusal:
        connect(weir).execute("select 1")
    return str(refusal.value)


def test_what_must_be_encrypted_is(server, to, connect):
    assert ssl(connect(to(server))) == (True, server.version)


def test_encryption_is_preferred(server, to, connect):
    assert ssl(connect(to(server, None))) == (True, server.version)


def test_encryption_is_preferred_with_a_configuration_file_too(server, pooler, connect):
    assert ssl(connect(pooler(backend=server))) == (True, server.version)


def test_encryption_may_be_switched_off(server, to, connect):
    assert ssl(connect(to(server, "disable"))) == (False, None)


def test_a_server_without_encryption_is_enough_if_nobody_says_otherwise(postgres, to, connect):
    assert ssl(connect(to(postgres, None))) == (False, None)


def test_a_server_without_encryption_is_refused_if_it_is_required(postgres, to, connect):
    assert "server does not support SSL" in why_not(connect, to(postgres))


def test_the_right_certificate_is_accepted(server, certificate, to, connect):
    assert ssl(connect(to(server, "verify-full", sslrootcert=certificate.file))) == (True, server.version)


def test_a_certificate_of_somebody_else_is_refused(server, wrong_certificate, to, connect):
    weir = to(server, "verify-full", sslrootcert=wrong_certificate.file)
    assert "certificate verify failed" in why_not(connect, weir)


def test_a_certificate_for_another_name_is_refused(server, certificate, to, connect):
    weir = to(server, "verify-full", host="127.0.0.1", sslrootcert=certificate.file)
    assert 'does not match host name "127.0.0.1"' in why_not(connect, weir)


def test_queries_of_every_kind_are_answered(server, to, connect):
    connection = connect(to(server), prepare_threshold=0)
    for number in range(20):
        assert connection.execute("select %s::int + 1", (number,)).fetchone() == (number + 1,)
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("select 1/0")
    assert len(connection.execute("select generate_series(1, 3); select 1", prepare=False).fetchall()) == 3
    with connection.transaction():
        connection.execute("create temp table t (n int) on commit drop")
        connection.execute("insert into t values (1)")
        assert connection.execute("select n from t").fetchone() == (1,)


def test_a_result_of_20_mb_arrives_whole(server, to, connect):
    rows = connect(to(server)).execute("select n, repeat(chr(65 + n % 26), 1000) from generate_series(1, 20000) n")
    assert all(text == chr(65 + number % 26) * 1000 for number, text in rows)
    assert rows.rowcount == 20000


def test_a_value_of_20_mb_goes_both_ways(server, to, connect):
    text = "0123456789" * (2 * MEGABYTE)
    assert connect(to(server)).execute("select %s::text || ''", (text,)).fetchone() == (text,)


def test_a_copy_of_20_mb_goes_both_ways(server, to, connect):
    connection = connect(to(server))
    block = "".join(f"{number}\t{'x' * 90}\n" for number in range(1000)).encode()
    with connection.transaction():
        connection.execute("create temp table copied (n int, text text) on commit drop")
        with connection.cursor().copy("copy copied from stdin") as copy:
            for _ in range(200):
                copy.write(block)
        assert connection.execute("select count(*), sum(length(text)) from copied").fetchone() == (200000, 18000000)
        with connection.cursor().copy("copy copied to stdout") as copy:
            assert sum(map(len, copy)) == 200 * len(block)


def test_who_reads_slowly_gets_all_and_costs_little(server, to, wire):
    """The server has to wait, the bytes that OpenSSL holds too, and nothing is lost."""
    weir = to(server)
    slow = wire(weir, "ana")
    slow.send(query("select repeat('x', 2000) from generate_series(1, 20000)"))
    time.sleep(1)
    assert weir.process.pss_bytes() < 200 * MEGABYTE
    rows = 0
    while True:
        message = slow.read()
        rows += message.kind == "D"
        if message.kind == "Z":
            break
        if rows % 4000 == 1:
            time.sleep(0.1)
    assert rows == 20000


def test_a_query_may_be_canceled(server, to, connect):
    connection = connect(to(server))
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        sleeping = threads.submit(connection.execute, "select pg_sleep(30)")
        wait_until(lambda: server.sql("select count(*) from pg_stat_activity where query like '%pg_sleep(30)' and "
                                      "wait_event = 'PgSleep'") == "1")
        connection.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            sleeping.result(20)
    assert connection.execute("select 1").fetchone() == (1,)


def test_an_idle_connection_is_used_again(server, to, connect):
    """The session tickets that follow every login over TLS 1.3 are no reason to throw it away."""
    connection = connect(to(server))
    first = connection.execute("select pg_backend_pid()").fetchone()
    for _ in range(3):
        time.sleep(0.3)
        assert connection.execute("select pg_backend_pid()").fetchone() == first


def test_a_connection_that_was_ended_is_replaced(server, to, connect):
    connection = connect(to(server))
    pid = connection.execute("select pg_backend_pid()").fetchone()[0]
    server.sql(f"select pg_terminate_backend({pid}, 5000)")
    time.sleep(0.3)
    assert connection.execute("select pg_backend_pid()").fetchone()[0] != pid


def test_a_server_connection_is_closed_with_a_goodbye(server, to, connect):
    weir = to(server)
    pid = connect(weir).execute("select pg_backend_pid()").fetchone()[0]
    assert weir.stop() == []
    wait_until(lambda: server.sql(f"select count(*) from pg_stat_activity where pid = {pid}") == "0")
    log = server.process.said()
    assert "SSL error" not in log and "unexpected EOF" not in log and "connection reset" not in log.lower()


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench_runs_without_a_failed_transaction(server, to, protocol):
    weir = to(server)
    done = subprocess.run([server.bin / "pgbench", "-n", "-S", "-c", "8", "-T", "2", "-M", protocol, "-h", "127.0.0.1",
                           "-p", str(weir.port), "-U", "ana", "main"],
                          text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 and "number of failed transactions: 0" in done.stdout, done.stderr
