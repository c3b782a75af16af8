"""Measures weir beside PgBouncer (Redis: nutcracker) and direct connections, in one run, round by round in turn.

Each measurement is taken once per round and target, so that a slow minute of the machine
meets all of them; the tables show medians over the rounds, and the ratios to the others'.
"""
import argparse
import contextlib
import functools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import redis_rows
from harness import pooler as program
from harness.pooler import Pooler
from harness.postgres import Postgres
from harness.process import limit_descriptors
from harness.wire import Wire, query, startup
from measuring import DIRECT, READS, WEIR, WRITES, say, system_calls, table

PGBOUNCER = "PgBouncer"
LARGE_ROWS = 20_000  # of 1,000 bytes
ZONES = ["Asia/Tokyo", "Europe/Rome", "America/Lima", "Africa/Cairo", "Asia/Kolkata", "America/Denver",
         "Australia/Perth", "Europe/Lisbon"]
CHANNELS = 100
MEASURES = ["simple", "extended", "prepared", "timezones", "many", "large", "calls", "memory", "listeners"]
ONCE = ("calls", "memory", "listeners")  # they do not vary


class Direct:
    """PostgreSQL itself in a pooler's place."""

    def __init__(self, postgres):
        self.port = postgres.port
        self.process = None


@functools.cache
def pgbouncer_version():
    said = subprocess.run(["pgbouncer", "--version"], text=True, capture_output=True, check=True).stdout
    return tuple(map(int, said.split()[1].split(".")))


class Bench:
    def __init__(self, options, postgres, folder):
        self.options = options
        self.postgres = postgres
        self.folder = folder
        self.targets = {DIRECT: Direct(postgres)}
        self.script = folder / "large.sql"
        self.script.write_text("select * from large;\n")

    def start(self):
        for path in (shutil.which("pgbouncer"), program.find_program()):
            self.targets[PGBOUNCER if "pgbouncer" in path else WEIR] = self.pooler(path)

    def pooler(self, path, postgres=None, **settings):
        own = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        databases = {"main": f"host=127.0.0.1 port={(postgres or self.postgres).port} dbname=main"}
        settings = {"default_pool_size": self.options.pool, **settings}
        if self.prepares(path):
            settings["max_prepared_statements"] = 200
        return Pooler(own, databases, secrets={"postgres": ""}, program=path, max_client_conn=15000,
                      listen_backlog=4096, log_connections=0, log_disconnections=0, query_wait_timeout=0,
                      **settings).start()

    @staticmethod
    def prepares(path):
        """Whether it knows of prepared statements in transaction mode, as PgBouncer does from 1.21 on."""
        return "pgbouncer" not in str(path) or pgbouncer_version() >= (1, 21)

    def close(self):
        for target in self.targets.values():
            if target.process:
                target.close()

    def pgbench(self, target, *arguments, patience=120, zones=(None,)):
        """(transactions, transactions a second, the proxy's CPU seconds); one program for each time zone"""
        before = target.process.cpu_seconds() if target.process else 0
        command = [self.postgres.bin / "pgbench", "-n", "-h", "127.0.0.1", "-p", str(target.port), "-U", "postgres",
                   *map(str, arguments), "main"]
        running = [subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env={**os.environ, **({"PGTZ": zone} if zone else {})}) for zone in zones]
        count = rate = 0
        for each in running:
            said, wrong = each.communicate(timeout=patience)
            if each.returncode != 0:
                raise SystemExit(wrong)
            count += int(re.search(r"actually processed: (\d+)", said)[1])
            rate += float(re.search(r"tps = ([0-9.]+) \(without", said)[1])
        after = target.process.cpu_seconds() if target.process else 0
        return count, rate, after - before

    def select(self, target, protocol, clients):
        count, rate, cpu = self.pgbench(target, "-S", "-M", protocol, "-c", clients, "-T", self.options.seconds)
        return {"tps": rate, **({"cpu": cpu / count * 1e6} if target.process else {})}

    def simple(self, target):
        return self.select(target, "simple", 32)

    def extended(self, target):
        return self.select(target, "extended", 32)

    def prepared(self, target):
        """Beside simple, so that both meet the same minute of the machine."""
        if target.process and not self.prepares(target.program):
            return {}
        simple = self.select(target, "simple", 32)
        figures = self.select(target, "prepared", 32)
        return {**figures, **({"against": figures["cpu"] / simple["cpu"]} if target.process else {})}

    def timezones(self, target):
        """Eight programs of four clients, in one time zone and in eight."""
        if not target.process:
            return {}
        one, eight = (self.pgbench(target, "-S", "-c", 4, "-T", self.options.seconds, zones=zones)[1]
                      for zones in (ZONES[:1] * 8, ZONES))
        return {"one": one, "eight": eight, "ratio": eight / one}

    def listeners(self, target):
        """Server connections that listen for them, in the mode that has LISTEN; each is told of its channel."""
        if not target.process:
            return {}
        number = self.options.listeners
        postgres = Postgres(settings=[f"max_connections={number + 50}"], dbname="main")
        fresh = None
        try:
            postgres.sql("create database main", dbname="postgres")
            mode = "transaction" if target.is_weir else "session"
            fresh = self.pooler(target.program, postgres, pool_mode=mode, default_pool_size=number + 10)
            clients = [Wire(fresh.port) for _ in range(number)]
            for i, client in enumerate(clients):
                client.login("postgres")
                client.ask(query(f"listen channel_{i % CHANNELS}"))
            # What has said LISTEN and no UNLISTEN since; weir gives the connection that it listens with a name.
            used = postgres.sql("select count(*) from pg_stat_activity where client_addr is not null "
                                "and (query ~* '^listen' or application_name = 'weir listener')")
            postgres.sql("; ".join(f"notify channel_{i}, '{i}'" for i in range(CHANNELS)))
            for i, client in enumerate(clients):
                told = client.read_until("A")[-1].payload[4:]
                if told != f"channel_{i % CHANNELS}\0{i % CHANNELS}\0".encode():
                    raise SystemExit(f"{told} came to a listener of channel_{i % CHANNELS}")
                client.socket.close()
        finally:
            if fresh:
                fresh.close()
            postgres.close()
        return {"servers": int(used)}

    def many(self, target):
        return self.select(target, "simple", 900) if target.process else {}

    def large(self, target):
        count, rate, cpu = self.pgbench(target, "-f", self.script, "-c", 4, "-T", self.options.seconds)
        return {"rate": rate, **({"cpu": cpu / count * 1e3} if target.process else {})}

    def calls(self, target):
        """System calls from the first transaction to the last, counted by strace."""
        if not target.process:
            return {}
        counted = system_calls(target.process.pid, self.folder / "strace",
                               lambda: self.pgbench(target, "-S", "-c", 32, "-t", 500)[0])
        if not counted:
            return {}
        calls, count = counted
        io = sum(calls.get(name, 0) for name in READS + WRITES)
        return {"io": io / count, "ctl": calls.get("epoll_ctl", 0) / count,
                "others": (sum(calls.values()) - io - calls.get("epoll_ctl", 0)) / count}

    def memory(self, target):
        """What an idle client costs that has run a query: in a program of its own, which has freed nothing yet."""
        if not target.process:
            return {}
        fresh = self.pooler(target.program)
        try:
            clients = self.idle_clients(fresh, 100)
            before = fresh.process.pss_bytes()
            clients += self.idle_clients(fresh, self.options.idle)
            grown = fresh.process.pss_bytes() - before
            for client in clients:
                client.socket.close()
        finally:
            fresh.close()
        return {"bytes": grown / self.options.idle}

    @staticmethod
    def idle_clients(target, number):
        clients = []
        for _ in range(number):
            clients.append(Wire(target.port))
            clients[-1].send(startup(user="postgres", database="main")).read_until("Z")
            clients[-1].ask(query("select 1"))
        return clients


ROWS = [  # measurement, figure, what it is called, how it is printed
    ("simple", "tps", "`pgbench -S`, 32 clients, simple: tps", "{:,.0f}"),
    ("simple", "cpu", "… proxy CPU per transaction, µs", "{:.1f}"),
    ("extended", "tps", "`pgbench -S`, 32 clients, extended: tps", "{:,.0f}"),
    ("extended", "cpu", "… proxy CPU per transaction, µs", "{:.1f}"),
    ("prepared", "tps", "`pgbench -S`, 32 clients, prepared: tps", "{:,.0f}"),
    ("prepared", "cpu", "… proxy CPU per transaction, µs", "{:.1f}"),
    ("prepared", "against", "… against simple's", "{:.2f}"),
    ("timezones", "one", "`pgbench -S`, 8 × 4 clients in one time zone: tps", "{:,.0f}"),
    ("timezones", "eight", "… in eight time zones: tps", "{:,.0f}"),
    ("timezones", "ratio", "… against one", "{:.2f}"),
    ("many", "tps", "`pgbench -S`, 900 clients, simple: tps", "{:,.0f}"),
    ("many", "cpu", "… proxy CPU per transaction, µs", "{:.1f}"),
    ("large", "rate", "results of 20 MB a second", "{:.1f}"),
    ("large", "cpu", "… proxy CPU per result, ms", "{:.1f}"),
    ("calls", "io", "reads and writes per transaction", "{:.2f}"),
    ("calls", "ctl", "… epoll_ctl", "{:.2f}"),
    ("calls", "others", "… other system calls", "{:.2f}"),
    ("memory", "bytes", "memory per idle client (PSS), bytes", "{:,.0f}"),
    ("listeners", "servers", "listeners on 100 channels: server connections that listen", "{:,.0f}"),
]


@contextlib.contextmanager
def with_postgres(options, folder):
    postgres = Postgres(settings=["shared_buffers=256MB", "max_connections=100", "autovacuum=off"], dbname="main")
    bench = Bench(options, postgres, folder)
    try:
        postgres.sql("create database main", dbname="postgres")
        subprocess.run([postgres.bin / "pgbench", "-iq", "-s", "10", "-h", "127.0.0.1", "-p", str(postgres.port), "-U",
                        "postgres", "main"], check=True, capture_output=True, timeout=120)
        postgres.sql(f"create table large as select repeat('x', 1000) from generate_series(1, {LARGE_ROWS}); "
                     "vacuum freeze large; vacuum analyze")
        bench.start()
        yield bench
    finally:
        bench.close()
        postgres.close()


@contextlib.contextmanager
def with_redis(options, folder):
    bench = redis_rows.RedisBench(options, folder)
    try:
        bench.start()
        yield bench
    finally:
        bench.close()


def measure_all(options, benches):
    """benches: {measurement: who takes it}"""
    results = {}
    for number in range(options.rounds):
        for measure, bench in benches.items():
            if measure in (*ONCE, *redis_rows.ONCE) and number > 0:
                continue
            for name, target in bench.targets.items():
                figures = getattr(bench, measure.replace("-", "_"))(target)
                if figures:
                    results.setdefault((measure, name), []).append(figures)
                    say(f"round {number + 1}, {measure}, {name}: "
                        + ", ".join(f"{key} {value:.2f}" for key, value in figures.items()))
    return results


def read_options():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="how long each run of the load takes (%(default)s)")
    parser.add_argument("--pool", type=int, default=8, help="server connections of each pooler (%(default)s)")
    parser.add_argument("--idle", type=int, default=5000, help="idle clients (%(default)s)")
    parser.add_argument("--listeners", type=int, default=1000, help="listeners on 100 channels (%(default)s)")
    parser.add_argument("measure", nargs="*", help=f"what: {' '.join(MEASURES + redis_rows.MEASURES)}; all without; "
                                                   "all of Redis: redis")
    options = parser.parse_args()
    asked = [each for word in options.measure or [*MEASURES, "redis"]
             for each in (redis_rows.MEASURES if word == "redis" else [word])]
    options.measure = [*dict.fromkeys(asked)]
    if set(asked) - {*MEASURES, *redis_rows.MEASURES}:
        parser.error(f"measures are {' '.join(MEASURES + redis_rows.MEASURES)} redis")
    return options


def main():
    options = read_options()
    limit_descriptors(1 << 20)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-bench-"))
    folder.chmod(0o755)
    try:
        with contextlib.ExitStack() as stack:
            made = {}
            for make, measures in ((with_postgres, MEASURES), (with_redis, redis_rows.MEASURES)):
                if {*measures} & {*options.measure}:
                    made |= dict.fromkeys(measures, stack.enter_context(make(options, folder)))
            results = measure_all(options, {measure: made[measure] for measure in options.measure})
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    if {*MEASURES} & {*made}:
        version = ".".join(map(str, pgbouncer_version()))
        print(f"\nPgBouncer {version}, pool of {options.pool}, one worker, medians of {options.rounds} rounds.\n")
        print(table(results, ROWS, PGBOUNCER))
    if {*redis_rows.MEASURES} & {*made}:
        print(f"\n{redis_rows.caption(made['redis-simple'])}\n")
        print(table(results, redis_rows.ROWS, redis_rows.NUTCRACKER))


if __name__ == "__main__":
    main()
