"""What tests of real clients share: many at once, and programs that must end well."""
import concurrent.futures
import os
import subprocess
import threading

from harness.process import PATIENCE


def dsn(port, **words):
    """For libpq; the same words reach PostgreSQL itself and the pooler, but for the port."""
    words = {"host": "127.0.0.1", "port": port, "user": "ana", "dbname": "main", "sslmode": "disable", **words}
    return " ".join(f"{key}={value}" for key, value in words.items())


def at_once(count, talk):
    """What talk(0, ready), talk(1, ready)... return; ready() comes back when all have called it, so
    that all are connected before the first goes on."""
    barrier = threading.Barrier(count)

    def one(number):
        try:
            return talk(number, lambda: barrier.wait(PATIENCE))
        except BaseException:
            barrier.abort()
            raise

    with concurrent.futures.ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


def run(arguments, text=None, env=None, patience=60):
    """What a program prints. Ending badly, or saying anything on stderr, is a failure."""
    done = subprocess.run([str(argument) for argument in arguments], input=text, text=True, capture_output=True,
                          timeout=patience, check=False, env={**os.environ, **(env or {})})
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"{arguments[0]} ended with {done.returncode}:\n{done.stderr}\n{done.stdout[-4000:]}")
    return done.stdout
