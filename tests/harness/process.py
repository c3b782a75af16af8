"""Processes that a test starts: as whom, with which log, and how they end."""
import os
import pwd
import resource
import signal
import socket
import subprocess
import time

PATIENCE = float(os.environ.get("TEST_PATIENCE", "20"))  # seconds until what must happen is given up


def wait_until(happened, what="the condition", patience=PATIENCE):
    """Returns the first true value of happened(); fails when that takes too long."""
    deadline = time.monotonic() + patience
    while True:
        value = happened()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {patience:g} s")
        time.sleep(0.01)


GIVEN = set()


def free_port():
    """Never the same twice: who was given one may not have come to listen there yet."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        if port not in GIVEN:
            GIVEN.add(port)
            return port


def server_user():
    """PostgreSQL and PgBouncer refuse root: whom to run them as, None when that is ourselves."""
    return pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None


def give(path, user):
    if user:
        account = pwd.getpwnam(user)
        os.chown(path, account.pw_uid, account.pw_gid)


def run_as(user):
    """The arguments of subprocess that make a child belong to that user."""
    if not user:
        return {}
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def limit_descriptors(soft):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard), hard))


class Process:
    """A program whose output goes to a file, and that is ended by its pid."""

    def __init__(self, arguments, log, user=None, descriptors=None, env=None):
        self.log = log
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))) if descriptors else None
        with open(log, "ab") as output:
            self.child = subprocess.Popen([str(argument) for argument in arguments], stdin=subprocess.DEVNULL,
                                          stdout=output, stderr=output, cwd="/", preexec_fn=limit,
                                          env={**os.environ, **(env or {})}, **run_as(user))
        self.pid = self.child.pid

    def said(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        return self.child.poll() is None

    def send(self, number):
        self.child.send_signal(number)

    def wait(self, patience=PATIENCE):
        """The exit status; a process that does not end in time is killed, and that is a failure."""
        try:
            return self.child.wait(patience)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"{self.child.args[0]} did not end within {patience:g} s:\n{self.said()}") from None

    def end(self, number=signal.SIGTERM, patience=PATIENCE):
        if self.alive():
            self.send(number)
        return self.wait(patience)

    def cpu_seconds(self):
        fields = open(f"/proc/{self.pid}/stat").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def pss_bytes(self):
        return self._memory("Pss:")

    def rss_bytes(self):
        return self._memory("Rss:")

    def _memory(self, name):
        for line in open(f"/proc/{self.pid}/smaps_rollup"):
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name} in smaps_rollup")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))
