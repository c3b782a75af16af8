"""The command line and its files: what is wrong is named with its place, and nothing starts."""
import socket
import subprocess

import psycopg
import pytest
from harness import pooler as program
from harness.postgres import PASSWORD
from harness.process import PATIENCE, Process, free_port, wait_until

pytestmark = pytest.mark.weir_only


def run(*arguments):
    return subprocess.run([program.PROGRAM, *map(str, arguments)], text=True, capture_output=True, timeout=PATIENCE,
                          check=False)


@pytest.fixture
def written(folder):
    def write(text, name="weir.ini"):
        path = folder / name
        path.write_text(text)
        return path
    return write


GOOD = "[databases]\nmain = host=127.0.0.1\n[weir]\nlisten_addr = 127.0.0.1\nauth_type = trust\nauth_file = {}\n"


@pytest.fixture
def userlist(written):
    return written('"ana" "secret"\n', "userlist.txt")


def test_help_and_version_are_given():
    assert "usage: weir" in run("--help").stdout
    assert run("--version").stdout.startswith("weir ")
    assert run("--help").returncode == run("--version").returncode == 0


@pytest.mark.parametrize("arguments", [[], ["--nonsense"], ["a.ini", "b.ini"], ["--check"], ["--postgres"],
                                       ["--redis"], ["--redis-listen", "127.0.0.1:6380"],
                                       ["a.ini", "--redis", "redis://127.0.0.1"]])
def test_a_wrong_command_line_is_an_error(arguments):
    done = run(*arguments)
    assert done.returncode != 0 and done.stderr


def test_a_good_configuration_passes_the_check(written, userlist):
    done = run("--check", written(GOOD.format(userlist)))
    assert done.returncode == 0, done.stderr


def test_a_missing_file_is_named():
    done = run("/nowhere/weir.ini")
    assert done.returncode == 1 and "/nowhere/weir.ini" in done.stderr


@pytest.mark.parametrize("line", ["no_such_setting = 1", "default_pool_size = many", "pool_mode = sometimes",
                                  "listen_port = 70000", "just words", "[nowhere]"])
@pytest.mark.parametrize("how", [["--check"], []])
def test_a_wrong_line_is_named_with_its_place_and_nothing_starts(written, userlist, line, how):
    path = written(GOOD.format(userlist) + line + "\n")
    done = run(*how, path)
    assert done.returncode == 1
    assert f"{path}:7:" in done.stderr


def test_every_mistake_is_named_at_once(written, userlist):
    path = written(GOOD.format(userlist) + "pool_mode = sometimes\nlisten_port = x\n[databases]\nbad = hos=1\n")
    done = run("--check", path)
    assert done.returncode == 1
    assert all(f"{path}:{line}:" in done.stderr for line in (7, 8, 10)), done.stderr


def test_a_wrong_line_of_the_userlist_is_named(written):
    users = written('"ana" "secret"\n"bob\n', "userlist.txt")
    done = run("--check", written(GOOD.format(users)))
    assert done.returncode == 1 and f"{users}:2:" in done.stderr


def test_a_setting_that_weir_does_not_have_yet_is_a_warning(written, userlist):
    done = run("--check", written(GOOD.format(userlist) + "dns_max_ttl = 20\n"))
    assert done.returncode == 0 and "dns_max_ttl" in done.stderr


def test_a_port_in_use_is_named(pooler):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        weir = pooler(listen_port=port, wait=False)
        assert weir.process.wait() == 1
        weir.ended = True
        assert str(port) in weir.said() and "in use" in weir.said()


def test_without_a_file_a_url_is_enough(postgres, folder):
    port, http = free_port(), free_port()
    quoted = PASSWORD.replace("'", "%27").replace(" ", "%20")
    weir = Process([program.PROGRAM, "--postgres", f"postgres://scram_user:{quoted}@127.0.0.1:{postgres.port}/main",
                    "--listen", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http}"], folder / "log")
    try:
        def answer():
            assert weir.alive(), weir.said()
            try:
                with psycopg.connect(f"host=127.0.0.1 port={port} user=scram_user dbname=main") as connection:
                    return connection.execute("select current_user").fetchone()
            except psycopg.OperationalError:
                return None
        assert wait_until(answer, "an answer") == ("scram_user",)
    finally:
        assert weir.end() == 0, weir.said()


def test_a_wide_address_without_an_auth_file_is_refused():
    done = run("--postgres", "postgres://ana@127.0.0.1/main", "--listen", f"0.0.0.0:{free_port()}")
    assert done.returncode == 1 and "auth" in done.stderr


REDIS = "[redis]\nauth = none\ncache = redis://:sesame@127.0.0.1:{}\n"


@pytest.mark.parametrize("line, why", [
    ("no_such_setting = 1", "\"no_such_setting\" is no setting of [redis]"),
    ("conections = 2", "did you mean connections?"),
    ("listen_port = 70000", "listen_port: 70000 is more than 65535"),
    ("queue = redis://127.0.0.1:6379", "needs a listen_port of its own"),
    ("queue = redis://127.0.0.1:6379 listen_port=6380", "port 6380 is cache's"),
    ("queue = redis://:sesame@127.0.0.1:port listen_port=6381", "port"),
    ("queue = redis://:sesame@127.0.0.1 listen_port=6381 listen_addr=0.0.0.0", "served as the URL's user"),
    ("cache = redis://127.0.0.1", "already"),
])
@pytest.mark.parametrize("how", [["--check"], []])
def test_a_wrong_line_of_redis_is_named_with_its_place_and_nothing_starts(written, line, why, how):
    path = written(REDIS.format(6379) + line + "\n")
    done = run(*how, path)
    assert done.returncode == 1
    assert f"{path}:4: " in done.stderr and why in done.stderr, done.stderr
    assert "sesame" not in done.stderr


def test_a_good_configuration_of_redis_alone_passes_the_check(written):
    done = run("--check", written(REDIS.format(6379)))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_a_wide_address_for_redis_without_an_auth_file_is_refused():
    done = run("--redis", "redis://:sesame@127.0.0.1", "--redis-listen", f"0.0.0.0:{free_port()}")
    assert done.returncode == 1 and "--auth-file" in done.stderr and "sesame" not in done.stderr


def test_settings_are_printed_as_markdown():
    done = run("--settings")
    assert done.returncode == 0 and "| `pool_mode`" in done.stdout and "### [redis]" in done.stdout


def test_metrics_are_printed_as_markdown():
    done = run("--metrics")
    assert done.returncode == 0 and "| `weir_pool_wait_seconds` | histogram |" in done.stdout
    assert "| `weir_redis_commands_total` | counter | upstream |" in done.stdout
