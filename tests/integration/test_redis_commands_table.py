"""The table of Redis commands, against what a server says of itself and does.

A row that a server contradicts fails here: a command without one, a flag that it does not heed, a shared
command that leaves something in its connection or has more or fewer than one reply."""
import collections
import pathlib
import subprocess

import pytest
import redis

from harness import pooler
from harness.process import Process, wait_until

pytestmark = pytest.mark.weir_only
Row = collections.namedtuple("Row", "arity need words")
Command = collections.namedtuple("Command", "arity flags")

FLAGS_WITHOUT_MEANING_HERE = {
    "write", "denyoom", "fast", "loading", "stale", "movablekeys", "skip_monitor", "skip_slowlog", "no_async_loading",
    "no_mandatory_keys", "module", "readonly", "asking", "admin", "noscript",
}
# flag: what whoever has it may need
NEEDS_OF = {
    "blocking": {"blocking", "wait"},
    "no_auth": {"auth", "hello", "reset", "quit"},
}
NEVER_SHARED = {"blocking", "no_multi", "no_auth", "allow_busy"}
# "pubsub" without a subscription
ONLY_TELLS = {"publish", "spublish", "pubsub"}
# "admin" or "noscript", and shared all the same: looked at one by one, they leave nothing in their connection
SHARED_ALL_THE_SAME = {
    "eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro", "role",
    *("acl " + name for name in "cat dryrun genpass getuser list log users whoami".split()),
    *("client " + name for name in "getredir info list trackinginfo".split()),
    *("cluster " + name for name in "count-failure-reports replicas slaves".split()),
    *("commandlog " + name for name in "get len reset".split()),
    *("config " + name for name in "get resetstat".split()),
    *("function " + name for name in "delete dump flush list load restore".split()),
    *("latency " + name for name in "doctor graph histogram history latest reset".split()),
    "module list",
    *("script " + name for name in "exists flush load show".split()),
    *("slowlog " + name for name in "get len reset".split()),
}


def complaints(table, commands):
    """What a server's commands say against the rows; all names as in "client id"."""
    for name, (arity, flags) in sorted(commands.items()):
        row = table.get(name)
        if row is None:
            if "module" not in flags:  # those pass as what no row names
                yield f"{name}: no row"
            continue
        if row.need != "shared" and row.arity != arity:
            yield f"{name}: its arity is {arity}, not {row.arity}"
        if ("readonly" in flags) != ("read_only" in row.words):
            yield f"{name}: read_only is not what its flags say"
        if row.need == "blocking" and "blocking" not in flags:
            yield f"{name}: does not block"
        for flag in sorted(flags):
            if flag in NEEDS_OF and row.need not in NEEDS_OF[flag]:
                yield f"{name}: is {flag}, and needs {row.need}"
            if flag in NEVER_SHARED and row.need == "shared":
                yield f"{name}: is {flag}, and shared"
            if flag in ("admin", "noscript") and row.need == "shared" and name not in SHARED_ALL_THE_SAME:
                yield f"{name}: is {flag}, and shared"
            if flag == "pubsub" and row.need not in ("subscribe", "unsubscribe") and name.split()[0] not in ONLY_TELLS:
                yield f"{name}: is pubsub, and needs {row.need}"
            if flag not in FLAGS_WITHOUT_MEANING_HERE | NEEDS_OF.keys() | NEVER_SHARED | {"pubsub"}:
                yield f"{name}: a flag that nobody has looked at: {flag}"


# ---- both sides -----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def table():
    program = pathlib.Path(pooler.PROGRAM).resolve().parent.parent / "tests" / "verbs"
    printed = subprocess.run([program], capture_output=True, text=True, check=True, timeout=60).stdout
    rows = {}
    for line in printed.splitlines():
        command, subcommand, arity, need, *words = line.split()
        name = command if subcommand == "-" else f"{command} {subcommand}"
        rows[name] = Row(int(arity), need, words)
    return rows


@pytest.fixture
def dial(folder):
    """dial() is a connection to a Redis of this test's own."""
    process = Process(["redis-server", "--port", "0", "--unixsocket", folder / "socket", "--save", "", "--dir", folder],
                      folder / "redis.log")
    wait_until(lambda: "ready to accept connections" in process.said().lower() or not process.alive(), "Redis listens")
    assert process.alive(), process.said()
    opened = []

    def connect():
        opened.append(redis.connection.UnixDomainSocketConnection(path=str(folder / "socket"), decode_responses=True,
                                                                  encoding_errors="replace", socket_timeout=10))
        opened[-1].connect()
        return opened[-1]

    yield connect
    for connection in opened:
        connection.disconnect()
    process.end()


def ask(connection, *words):
    connection.send_command(*words)
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def commands_of(connection):
    commands = {}
    for name, arity, flags, *rest in ask(connection, "COMMAND"):
        commands[name] = Command(arity, set(flags))
        for name, arity, flags, *_ in rest[6]:
            commands[name.replace("|", " ")] = Command(arity, set(flags))
    return commands


# ---- what holds -----------------------------------------------------------------------------------------------

def test_the_server_contradicts_no_row(table, dial):
    commands = commands_of(dial())
    assert len(commands) > 300 and "client id" in commands
    assert list(complaints(table, commands)) == []


@pytest.mark.parametrize("name, arity, flags, complaint", [
    ("brandnew", 2, {"fast"}, "brandnew: no row"),
    ("client tomorrow", 2, set(), "client tomorrow: no row"),
    ("get", 2, {"readonly", "blocking"}, "get: is blocking, and needs shared"),
    ("get", 2, {"readonly", "noscript"}, "get: is noscript, and shared"),
    ("get", 2, set(), "get: read_only is not what its flags say"),
    ("append", 3, {"pubsub"}, "append: is pubsub, and needs shared"),
    ("append", 3, {"allow_busy"}, "append: is allow_busy, and shared"),
    ("append", 3, {"no_auth"}, "append: is no_auth, and needs shared"),
    ("append", 3, {"sparkling"}, "append: a flag that nobody has looked at: sparkling"),
    ("blpop", -3, set(), "blpop: does not block"),
    ("exec", -1, {"noscript"}, "exec: its arity is -1, not 1"),
])
def test_a_server_that_contradicts_one_is_noticed(table, name, arity, flags, complaint):
    assert complaint in list(complaints(table, {name: Command(arity, flags)}))


STATE = "id name user db resp flags sub psub ssub multi watch redir".split()


def state(connection):
    fields = dict(field.split("=", 1) for field in ask(connection, "CLIENT", "INFO").split())
    return {name: fields[name] for name in STATE if name in fields}


def trials(name, arity):
    """Requests that Redis takes for that command: refused by it or not, they may leave nothing."""
    words = name.split()
    for filler in ("key", "1", "0"):
        for more in (0, 1) if arity < 0 else (0,):
            yield words + [filler] * (abs(arity) - len(words) + more)


def test_what_is_shared_has_one_reply_and_leaves_nothing(table, dial):
    connection = dial()
    before = state(connection)
    assert before["db"] == "0"
    tried = 0
    for name, command in sorted(commands_of(connection).items()):
        if table[name].need != "shared":
            continue
        for words in trials(name, command.arity):
            connection.send_command(*words)
            connection.send_command("ECHO", "behind it")
            try:
                connection.read_response()
            except redis.ResponseError:
                pass
            assert connection.read_response() == "behind it", words
            assert state(connection) == before, words
            tried += 1
    assert tried > 600


@pytest.mark.parametrize("keeps", ["CLIENT TRACKING ON", "CLIENT TRACKING ON OPTIN", "READONLY", "ASKING"])
def test_what_reset_is_said_to_end_it_ends(table, dial, keeps):
    row = table.get(" ".join(keeps.lower().split()[:2])) or table[keeps.lower()]
    assert row.need == "keeps" and "outlives_reset" not in row.words
    connection = dial()
    if keeps.endswith("OPTIN"):
        assert ask(connection, *keeps.split()) == "OK" and ask(connection, "CLIENT", "CACHING", "YES") == "OK"
    before = state(dial())
    ask(connection, *keeps.split())
    assert ask(connection, "RESET") == "RESET"
    after = state(connection)
    assert {**after, "id": ""} == {**before, "id": ""}


def test_some_states_outlive_a_reset(table, dial):
    """As in Redis 7.0, whose RESET leaves NO-EVICT on. Where it does not, our caution costs a connection."""
    connection = dial()
    assert ask(connection, "CLIENT", "NO-EVICT", "ON") == "OK"
    assert ask(connection, "RESET") == "RESET"
    assert "e" not in state(connection)["flags"] or "outlives_reset" in table["client no-evict"].words


def test_a_name_with_a_zero_byte_can_be_the_name_before_it(dial):
    """Why verb_classify() takes such names for the worst. Redis finds a bucket by the whole name and compares
    up to the zero byte; a subcommand's table has few buckets. A Redis that knows better does not need this test."""
    connection = dial()
    number = ask(connection, "CLIENT", "ID")
    assert number in (ask(connection, "CLIENT", f"ID\0{i}") for i in range(10000))
