"""The Redis door beside twemproxy (Debian's nutcracker) and direct connections.

The load is redis-benchmark's; each of its runs is made as long as --seconds says, whatever the target. Redis' own
INFO tells how well a proxy batches: how many reads it took Redis for how many commands.
"""
import contextlib
import csv
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from harness.pooler import find_program
from harness.process import Process, free_port, wait_until
from measuring import DIRECT, READS, WEIR, WRITES, say, system_calls

NUTCRACKER = "nutcracker"
MEASURES = ["redis-simple", "redis-500", "redis-pipeline", "redis-latency", "redis-calls", "redis-memory"]
ONCE = ("redis-calls", "redis-memory")  # they do not vary
VALUE = 64  # bytes
TESTS = ("set", "get")
KEY = "key:__rand_int__"  # what redis-benchmark calls its key when it has one only
LARGE, HUGE = 100_000_000, 500_000_000  # bytes of values that others read; that pass both ways
PIECE = b"0123456789abcdef" * 62_500  # of which they are made
COMERS = 10_000  # clients that come and go
LINKS = 20  # connections to Redis that a proxy may keep when its clients have left
WITHIN = 10 << 20  # bytes: where memory must be back...
SOON = 10  # ...and in how many seconds
CONFIG = """\
bench:
  listen: 127.0.0.1:{port}
  hash: fnv1a_64
  distribution: ketama
  redis: true
  auto_eject_hosts: false
  servers:
   - 127.0.0.1:{redis}:1
"""


class Target:
    """Redis itself or a proxy: a program, its port, and a folder of its own."""

    def __init__(self, folder, arguments, port):
        self.port = port
        self.process = Process(arguments, pathlib.Path(tempfile.mkdtemp(dir=folder)) / "log")
        try:
            wait_until(self._listens, f"{arguments[0]}'s start")
        except BaseException:
            self.close()
            raise

    def _listens(self):
        if not self.process.alive():
            raise AssertionError(f"it ended:\n{self.process.said()}")
        try:
            Client(self.port).close()
            return True
        except OSError:
            return False

    def close(self):
        self.process.end(signal.SIGINT)  # weir would wait for transactions after SIGTERM


class Client:
    """As little of Redis' protocol as is needed here: one request, one reply of one line or one value."""

    def __init__(self, port, buffering=1 << 16):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.socket.makefile("rb", buffering=buffering)

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, *words):
        parts = [f"${len(word)}\r\n{word}\r\n" for word in words]
        self.socket.sendall("".join([f"*{len(words)}\r\n", *parts]).encode())

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n") or line.startswith(b"-"):
            raise SystemExit(f"a reply was expected, not {line[:200]}")
        return line[:-2]

    def ask(self, *words):
        """The line, or the value's bytes."""
        self.send(*words)
        line = self.line()
        return self.file.read(int(line[1:]) + 2)[:-2] if line.startswith(b"$") else line

    def write_pieces(self, key, size):
        self.socket.sendall(f"*3\r\n$3\r\nSET\r\n${len(key)}\r\n{key}\r\n${size}\r\n".encode())
        for _ in range(size // len(PIECE)):
            self.socket.sendall(PIECE)
        self.socket.sendall(b"\r\n")
        if self.line() != b"+OK":
            raise SystemExit(f"{key} was not written")

    def read_pieces(self, key, size):
        self.send("GET", key)
        if self.line() != b"$%d" % size:
            raise SystemExit(f"{key} is not of {size} bytes")
        room = bytearray(len(PIECE))
        for _ in range(size // len(PIECE)):
            if self.file.readinto(room) != len(PIECE) or room != PIECE:
                raise SystemExit(f"{key} came back with other bytes")
        self.file.read(2)


class Reader(threading.Thread):
    """Reads the large value in a loop, from the first that has come whole to the end of the `with` block."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.client = Client(port)
        self.began, self.enough = threading.Event(), threading.Event()
        self.count, self.wrong = 0, None

    def run(self):
        try:
            while not self.enough.is_set():
                self.client.read_pieces("large", LARGE)
                self.count += 1
                self.began.set()
        except (OSError, SystemExit) as wrong:
            self.wrong = wrong
            self.began.set()

    def __enter__(self):
        self.start()
        self.began.wait()
        self.since, self.before = time.monotonic(), self.count
        return self

    def __exit__(self, *_):
        self.rate = (self.count - self.before) / (time.monotonic() - self.since)
        self.enough.set()
        self.join()
        self.client.close()
        if self.wrong:
            raise SystemExit(f"large values could not be read: {self.wrong}")


class RedisBench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
        port = free_port()
        self.redis = Target(self.folder, ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                                          "--appendonly", "no", "--maxclients", 15000, "--tcp-backlog", 4096,
                                          "--dir", self.folder], port)
        self.targets = {DIRECT: self.redis}
        self.own = Client(port)  # past whatever is measured

    def start(self):
        self.own.ask("SET", KEY, "x" * VALUE)
        self.own.write_pieces("large", LARGE)
        self.targets[NUTCRACKER] = self.proxy(NUTCRACKER)
        if self.has_door():
            self.targets[WEIR] = self.proxy(WEIR)
        else:
            say(f"{find_program()} has no --redis: it is left out of the rows of Redis")

    @staticmethod
    def has_door():
        program = find_program()
        return program and "--redis" in subprocess.run([program, "--help"], text=True, capture_output=True).stdout

    def proxy(self, name):
        port = free_port()
        if name == WEIR:
            arguments = [find_program(), "--redis", f"redis://127.0.0.1:{self.redis.port}",
                         "--redis-listen", f"127.0.0.1:{port}", "--http", "127.0.0.1:0"]
        else:
            config = self.folder / f"nutcracker-{port}.yml"
            config.write_text(CONFIG.format(port=port, redis=self.redis.port))
            arguments = [nutcracker(), "-c", config, "-a", "127.0.0.1", "-s", free_port(), "-o", "/dev/stderr",
                         "-p", self.folder / f"nutcracker-{port}.pid"]
        return Target(self.folder, arguments, port)

    def close(self):
        for target in reversed([*self.targets.values()]):
            target.close()

    def is_direct(self, target):
        return target is self.redis

    # ---- the load

    def benchmark(self, target, test, number, clients, pipeline=1):
        """redis-benchmark's own figures: rps, p99_latency_ms..."""
        words = ["-p", target.port, "-t", test, "-d", VALUE, "-n", number, "-c", clients, "-P", pipeline, "--csv"]
        done = subprocess.run(["redis-benchmark", *map(str, words)], text=True, capture_output=True, timeout=300)
        lines = [line for line in done.stdout.splitlines() if line.startswith('"')]
        if done.returncode != 0 or len(lines) != 2:
            raise SystemExit(f"redis-benchmark: {done.stdout}{done.stderr}")
        figures = next(csv.DictReader(lines))
        figures.pop("test")
        return {name: float(value) for name, value in figures.items()}

    def enough(self, target, test, clients, pipeline=1):
        """How many requests take as long as was asked for; at least 200, for the sake of a p99.

        The sample must last: beside large values a short one meets none of the delays, or only those."""
        number = clients * pipeline * 20
        while True:
            begin = time.monotonic()
            self.benchmark(target, test, number, clients, pipeline)
            took = time.monotonic() - begin
            if took > max(self.options.seconds / 10, 0.5):
                return max(200, int(number * self.options.seconds / took))
            number *= 4

    def counted(self, target):
        pairs = (line.partition(b":")[::2] for line in self.own.ask("INFO", "stats").splitlines())
        stats = {name: value for name, value in pairs if name.startswith(b"total_")}
        return {"reads": int(stats[b"total_reads_processed"]), "commands": int(stats[b"total_commands_processed"]),
                "redis": self.redis.process.cpu_seconds(), "proxy": target.process.cpu_seconds()}

    def speed(self, target, clients, pipeline=1):
        figures = {}
        for test in TESTS:
            number = self.enough(target, test, clients, pipeline)
            before = self.counted(target)
            said = self.benchmark(target, test, number, clients, pipeline)
            grown = {name: value - before[name] for name, value in self.counted(target).items()}
            figures[f"{test} rate"] = said["rps"]
            figures[f"{test} redis"] = grown["redis"] / number * 1e6
            figures[f"{test} reads"] = grown["reads"] / grown["commands"]
            if not self.is_direct(target):
                figures[f"{test} proxy"] = grown["proxy"] / number * 1e6
        return figures

    # ---- the measurements

    def redis_simple(self, target):
        return self.speed(target, 50)

    def redis_500(self, target):
        return self.speed(target, 500)

    def redis_pipeline(self, target):
        return self.speed(target, 50, 16)

    def redis_latency(self, target):
        """Of ten clients' small GETs, without large values and beside them.

        Redis copies a large value before it sends it, and answers nobody meanwhile (some 50 ms for 100 MB). When they
        are read without a pause that is in the p99 of who has no proxy, too: a proxy's is to be compared with direct's.
        The median shows whether others wait for a value's whole way."""
        alone = self.benchmark(target, "get", self.enough(target, "get", 10), 10)
        with Reader(target.port) as reader:
            beside = self.benchmark(target, "get", self.enough(target, "get", 10), 10)
        return {"p50": alone["p50_latency_ms"], "p50 beside": beside["p50_latency_ms"],
                "p99": alone["p99_latency_ms"], "p99 beside": beside["p99_latency_ms"],
                "ratio": beside["p99_latency_ms"] / alone["p99_latency_ms"], "large": reader.rate}

    def redis_calls(self, target):
        """System calls from the first request to the last, counted by strace, which slows down whom it looks at."""
        if self.is_direct(target):
            return {}
        number = 20_000
        counted = system_calls(target.process.pid, self.folder / "strace",
                               lambda: self.benchmark(target, "get", number, 50))
        if not counted:
            return {}
        calls = {name: times / number for name, times in counted[0].items()}
        figures = {"reads": sum(calls.get(name, 0) for name in READS),
                   "writes": sum(calls.get(name, 0) for name in WRITES), "epoll_ctl": calls.get("epoll_ctl", 0)}
        say("system calls per request: " + ", ".join(f"{name} {times:.3f}" for name, times in calls.items()))
        return {**figures, "others": sum(calls.values()) - sum(figures.values())}

    def redis_memory(self, target):
        """In a program of its own: at its start, and what is left when clients and a huge value have come and gone."""
        if self.is_direct(target):
            return {}
        fresh = self.proxy(next(name for name, each in self.targets.items() if each is target))
        with contextlib.closing(fresh):
            start = memory(fresh.process)
            figures = {f"start {kind}": size for kind, size in start.items()}
            self.own.ask("SET", KEY, "x" * VALUE)  # redis-benchmark writes others
            self.come_and_go(fresh)
            figures |= {f"clients {kind}": size for kind, size in grown(fresh.process, start).items()}
            client = Client(fresh.port)
            client.write_pieces("huge", HUGE)
            client.read_pieces("huge", HUGE)
            client.close()
            figures |= {f"value {kind}": size for kind, size in grown(fresh.process, start).items()}
            self.own.ask("DEL", "huge")
        return {name: size / (1 << 20) for name, size in figures.items()}

    @staticmethod
    def come_and_go(target):
        """All at once, or in waves if descriptors do not suffice."""
        before = target.process.descriptors()
        wave = min(COMERS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
        left = COMERS
        while left > 0:
            clients = [Client(target.port, buffering=128) for _ in range(min(wave, left))]
            for client in clients:
                if client.ask("GET", KEY) != b"x" * VALUE:
                    raise SystemExit(f"one of {len(clients)} clients was told another value")
            for client in clients:
                client.close()
            left -= len(clients)
            wait_until(lambda: target.process.descriptors() <= before + LINKS, "the end of clients that left", 60)


def memory(process):
    return {"rss": process.rss_bytes(), "pss": process.pss_bytes()}


def grown(process, start):
    """Since the start; memory may take a moment to be given back, and what is not then is in the figures."""
    def sizes():
        return {kind: size - start[kind] for kind, size in memory(process).items()}
    with contextlib.suppress(AssertionError):
        wait_until(lambda: max(sizes().values()) <= WITHIN, "giving back memory", SOON)
    return sizes()


def speed_rows(measure, title, rate, proxy=None, redis=None):
    for test in TESTS:
        yield (measure, f"{test} rate", f"{test.upper()}, {title}: requests/s", "{:,.0f}", f"≥ {rate:.2f} of direct")
        yield (measure, f"{test} proxy", "… proxy CPU per request, µs", "{:.2f}",
               f"≤ {proxy:.2f} of nutcracker" if proxy else "–")
        yield (measure, f"{test} redis", "… Redis CPU per request, µs", "{:.2f}",
               f"≤ {redis:.2f} of direct" if redis else "–")
        yield (measure, f"{test} reads", "… Redis' reads per command", "{:.3f}")


def memory_rows():
    most = f"≤ {WITHIN >> 20}"
    for kind in ("rss", "pss"):
        yield ("redis-memory", f"start {kind}", f"memory at the start ({kind.upper()}), MB", "{:.1f}")
        yield ("redis-memory", f"clients {kind}", f"… more after {COMERS:,} clients", "{:.1f}", most)
        yield ("redis-memory", f"value {kind}", "… more after a value of 500 MB, both ways", "{:.1f}", most)


ROWS = [  # as measuring.py says
    *speed_rows("redis-simple", "50 clients", 1.03, 0.85, 0.20),
    *speed_rows("redis-500", "500 clients", 1.07),
    *speed_rows("redis-pipeline", "50 clients, 16 in a pipeline", 0.75),
    ("redis-latency", "p50", "GET, 10 clients: median, ms", "{:.3f}"),
    ("redis-latency", "p50 beside", "… while another reads values of 100 MB", "{:.3f}"),
    ("redis-latency", "p99", "… p99, ms", "{:.3f}"),
    ("redis-latency", "p99 beside", "… p99 while another reads values of 100 MB", "{:.3f}"),
    ("redis-latency", "ratio", "… against without", "{:.1f}", "≤ 3"),
    ("redis-latency", "large", "… values of 100 MB a second", "{:.1f}"),
    ("redis-calls", "reads", "GET, 50 clients: reads per request", "{:.2f}"),
    ("redis-calls", "writes", "… writes", "{:.2f}"),
    ("redis-calls", "epoll_ctl", "… epoll_ctl", "{:.2f}"),
    ("redis-calls", "others", "… other system calls", "{:.2f}"),
    *memory_rows(),
]


def nutcracker():
    """Debian installs it where only root's PATH leads."""
    return shutil.which(NUTCRACKER) or f"/usr/sbin/{NUTCRACKER}"


def nutcracker_version():
    said = subprocess.run([nutcracker(), "-V"], text=True, capture_output=True, check=True)
    return re.search(r"nutcracker-(\S+)", said.stdout + said.stderr)[1]


def caption(bench):
    without = "" if WEIR in bench.targets else " Without weir, which has no --redis here."
    return (f"nutcracker {nutcracker_version()}, values of {VALUE} bytes, one worker, medians of "
            f"{bench.options.rounds} rounds.{without}")
