"""A private PostgreSQL: own data folder, free port, loopback only, ended by its pid."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from harness.process import Process, free_port, give, run_as, server_user, wait_until

# Who may log in, and how the server asks. Everybody else is trusted, so that a test of the
# pooler's own authentication does not depend on the server's.
USERS = {"scram_user": "scram-sha-256", "md5_user": "md5", "plain_user": "password"}
PASSWORD = "the pass'word"


def programs():
    """The folder of the newest PostgreSQL that Debian installed: others on PATH may be incomplete."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return folders[-1].parent if folders else pathlib.Path(shutil.which("initdb")).parent


class Postgres:
    def __init__(self, settings=(), dbname="main"):
        self.user = server_user()
        self.bin = programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-postgres-"))
        self.folder.chmod(0o755)
        give(self.folder, self.user)
        self.data = self.folder / "data"
        self.port = free_port()
        self.dbname = dbname
        self.settings = list(settings)
        self.process = None
        try:
            self._create()
            self.start()
        except BaseException:
            self.close()
            raise

    def _create(self):
        subprocess.run([self.bin / "initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync",
                        "--encoding=UTF8", "--locale=C"],
                       check=True, capture_output=True, timeout=120, cwd="/", **run_as(self.user))
        rules = [f"host all,replication {user} 127.0.0.1/32 {method}" for user, method in USERS.items()]
        (self.data / "pg_hba.conf").write_text("\n".join([*rules, "local all all trust",
                                                          "host all,replication all 127.0.0.1/32 trust"]) + "\n")

    def start(self):
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}",
                    "fsync=off", "max_connections=300", "wal_level=logical", "shared_buffers=64MB",
                    "log_min_messages=warning", *self.settings]
        self.process = Process([self.bin / "postgres", "-D", self.data, *(f"--{setting}" for setting in settings)],
                               self.folder / "log", user=self.user)
        wait_until(self._answers, f"PostgreSQL's start ({self.folder / 'log'})")

    def _answers(self):
        if not self.process.alive():
            raise AssertionError(f"PostgreSQL ended:\n{self.process.said()}")
        return subprocess.run([self.bin / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)],
                              check=False).returncode == 0

    def sql(self, text, dbname=None):
        """Runs SQL past the pooler and returns what psql prints."""
        done = subprocess.run([self.bin / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p",
                               str(self.port), "-U", "postgres", "-d", dbname or self.dbname],
                              input=text, text=True, check=False, timeout=60, capture_output=True)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout.strip()

    def kill(self, pid, number):
        """A signal to one backend of this server, as the user that it runs as."""
        parent = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
        assert parent == self.process.pid, f"{pid} is not a child of this server"
        os.kill(pid, number)

    def stop(self):
        """At once, as a machine that fails would: nobody is told."""
        if self.process:
            self.process.end(signal.SIGQUIT)

    def close(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def prepare(postgres):
    """The users and tables that the tests use."""
    quoted = PASSWORD.replace("'", "''")
    for encryption, user in (("scram-sha-256", "scram_user"), ("md5", "md5_user"), ("scram-sha-256", "plain_user")):
        postgres.sql(f"set password_encryption='{encryption}'; create role {user} login superuser password '{quoted}'",
                     dbname="postgres")
    postgres.sql("create role ana login superuser; create role bob login superuser; create database main;",
                 dbname="postgres")
    postgres.sql("create table things (id int primary key, name text)")
