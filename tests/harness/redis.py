"""A private Redis: own folder, free ports, loopback only, ended by its pid; and a raw client for it.

    server = Redis()
    with RedisWire(server.port) as wire:
        assert wire.ask("SET", "key", "value") == b"+OK\\r\\n"
    server.value("GET", "key")                            # past whatever is tested
    server.info("stats")["total_commands_processed"]
"""
import pathlib
import select
import shutil
import socket
import subprocess
import tempfile

from harness.process import PATIENCE, Process, free_port, wait_until
from harness.resp import Cutter, ERROR, parse, request
from harness.wire import Closed

# DEBUG is allowed since it is one of the commands that pass; the rest makes two servers alike.
SETTINGS = {"bind": "127.0.0.1", "save": "", "appendonly": "no", "enable-debug-command": "yes",
            "repl-diskless-sync-delay": "0", "maxclients": "12000", "tcp-backlog": "1024", "loglevel": "warning",
            "busy-reply-threshold": "100"}
USERS = {"ana": "the pass'word", "bob": "bob's", "reader": "r"}


class Redis:
    def __init__(self, tls=False, users=False, program="redis-server", **settings):
        """settings are redis.conf's, with _ for -. users=True adds those of USERS, by ACL."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-redis-"))
        self.socket = self.folder / "socket"
        self.port = settings.pop("port", None) or free_port()
        self.tls_port = free_port() if tls else None
        self.program = program
        self.settings = {**SETTINGS, "port": self.port, "unixsocket": self.socket, "dir": self.folder,
                         **{name.replace("_", "-"): value for name, value in settings.items()}}
        if settings.get("cluster_enabled") == "yes":
            self.settings["cluster-port"] = free_port()  # its own choice may be beyond 65535
        self.password = settings.get("requirepass")
        self.process = None
        try:
            if tls:
                self._certify()
            self.start()
            if users:
                self._admit()
            self.usual = self._settings()
        except BaseException:
            self.close()
            raise

    def _certify(self):
        self.certificate, key = self.folder / "server.crt", self.folder / "server.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out",
                        self.certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, capture_output=True, timeout=60)
        self.settings.update({"tls-port": self.tls_port, "tls-cert-file": self.certificate, "tls-key-file": key,
                              "tls-auth-clients": "no"})

    def _admit(self):
        for name, password in USERS.items():
            rights = "+@read +@connection +info" if name == "reader" else "+@all"
            assert self.ask("ACL", "SETUSER", name, "on", f">{password}", "~*", "&*", *rights.split()) == b"+OK\r\n"

    def start(self):
        words = [word for name, value in self.settings.items() for word in (f"--{name}", value)]
        self.process = Process([self.program, *words], self.folder / "log")
        wait_until(self._answers, f"Redis's start ({self.folder / 'log'})")
        return self

    def _answers(self):
        if not self.process.alive():
            raise AssertionError(f"Redis ended:\n{self.process.said()}")
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    # ---- past whatever is tested

    def wire(self, **words):
        wire = RedisWire(self.port, **words)
        if self.password:
            assert wire.ask("AUTH", self.password) == b"+OK\r\n"
        return wire

    def ask(self, *arguments):
        """The reply's bytes; each on a connection of its own."""
        with self.wire() as wire:
            return wire.ask(*arguments)

    def value(self, *arguments):
        return parse(self.ask(*arguments)).plain()

    def info(self, section="default"):
        lines = self.value("INFO", section).decode().splitlines()
        return {name: number(value) for name, _, value in (line.partition(":") for line in lines) if value}

    def clients(self):
        """Other connections than the one that asks, each as CLIENT LIST tells of it."""
        lines = self.value("CLIENT", "LIST").decode().splitlines()
        clients = [dict(word.partition("=")[::2] for word in line.split()) for line in lines]
        return [client for client in clients if client["cmd"] != "client|list"]

    def calls(self, command):
        """How often it was carried out since the last clean()."""
        stats = self.info("commandstats").get(f"cmdstat_{command}", "calls=0")
        return int(stats.partition("calls=")[2].partition(",")[0])

    def clean(self):
        """As it was at its start: what a test may have left is taken away."""
        with self.wire() as wire:
            self._interrupt(wire)
            names = parse(wire.ask("ACL", "USERS")).plain()
            kept = {b"default", *(name.encode() for name in USERS)}
            for command in ("FUNCTION FLUSH", "SCRIPT FLUSH", "SLOWLOG RESET", "LATENCY RESET", "ACL LOG RESET",
                            "CLIENT UNPAUSE", "FLUSHALL", *(f"ACL DELUSER {name.decode()}" for name in {*names} - kept)):
                reply = wire.ask(*command.split())
                assert reply[0] != ERROR, (command, reply)
            for name, value in self._settings().items():
                if value != self.usual.get(name):
                    wire.ask("CONFIG", "SET", name, self.usual[name])
            wire.ask("CONFIG", "RESETSTAT")

    @staticmethod
    def _interrupt(wire):
        """A script that runs for ever ends."""
        def free():
            if not wire.ask("PING").startswith(b"-BUSY"):
                return True
            wire.ask("SCRIPT", "KILL")
            return False

        wait_until(free, "the end of a script")

    def _settings(self):
        words = self.value("CONFIG", "GET", "*")
        return dict(zip(words[::2], words[1::2]))

    def kill_clients(self):
        """All but the one that says so; how many."""
        return self.value("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    # ---- its end

    def stop(self):
        """At once, as a machine that fails would."""
        if self.process and self.process.alive():
            self.process.child.kill()
            self.process.wait()

    def close(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def number(value):
    try:
        return int(value)
    except ValueError:
        return value


class RedisWire:
    """A client of 127.0.0.1:port or of a socket's path; every read ends in time."""

    def __init__(self, address, patience=PATIENCE, receive_buffer=None):
        is_port = isinstance(address, int)
        self.socket = socket.socket(socket.AF_INET if is_port else socket.AF_UNIX)
        self.socket.settimeout(patience)
        if receive_buffer:  # before connecting, or the window is already larger
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", address) if is_port else str(address))
        if is_port:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cutter = Cutter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, *data):
        self.socket.sendall(b"".join(data))
        return self

    def read(self):
        """The bytes of one reply, whatever it is; raises Closed with what came of it."""
        while True:
            reply = self.cutter.cut()
            if reply is not None:
                return reply
            try:
                data = self.socket.recv(1 << 18)
            except ConnectionError:
                data = b""
            if not data:
                raise Closed(self.cutter.rest())
            self.cutter.feed(data)

    def ask(self, *arguments):
        return self.send(request(*arguments)).read()

    def value(self, *arguments):
        return parse(self.ask(*arguments)).plain()

    def pipeline(self, *requests):
        """All in one write; the replies."""
        self.send(*(request(*arguments) for arguments in requests))
        return [self.read() for _ in requests]

    def readable(self, patience):
        return bool(select.select([self.socket], [], [], patience)[0])

    def closes(self):
        """Waits until the other side has closed; what it still said."""
        said = self.cutter.rest()
        try:
            while data := self.socket.recv(1 << 18):
                said += data
        except ConnectionError:
            pass
        return said
