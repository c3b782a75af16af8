"""redis-cli in all its modes and redis-benchmark with all its tests: nobody notices."""
import os
import re
import signal
import subprocess

import pytest
from harness.clients import at_once, run
from harness.process import PATIENCE, wait_until
from harness.redis import RedisWire
from harness.resp import request
from harness.terminal import Terminal

CLIENTS = 12

SCRIPT = r"""
set kNUMBER "with \"quotes\" \x41\n"
get kNUMBER
incr kNUMBER
mset aNUMBER 1 bNUMBER 2
mget aNUMBER none bNUMBER
hset hNUMBER f v g NUMBER
hgetall hNUMBER
rpush lNUMBER a b c
lrange lNUMBER 0 -1
zadd zNUMBER 1.5 m 2 n
zrange zNUMBER 0 -1 withscores
sadd tNUMBER only
smembers tNUMBER
multi
incr nNUMBER
nosuch
exec
multi
incr nNUMBER
lrange lNUMBER 0 0
exec
multi
discard
watch nNUMBER
multi
incr nNUMBER
exec
select 3
set kNUMBER three
select 0
get kNUMBER
blpop lNUMBER 1
blpop none 0.05
eval "return {1, {2, 'of NUMBER'}, redis.call('get', KEYS[1])}" 1 nNUMBER
xadd xNUMBER 1-1 f v
xread streams xNUMBER 0
client setname cNUMBER
client getname
object encoding lNUMBER
geoadd gNUMBER 13.361389 38.115556 Palermo
geopos gNUMBER Palermo none
hello 3
hgetall hNUMBER
get none
hello 2
hgetall hNUMBER
echo end
"""


def cli(port, *arguments):
    return ["redis-cli", "-p", port, *arguments]


def without_ids(text):
    """HELLO tells the connection's id."""
    return re.sub(r'(\bid\b"?(?:,|:| => |\s+)(?:\d+[)#] )?(?:\(integer\) )?)\d+', r"\1N", text)


@pytest.mark.parametrize("form", [[], ["-3"], ["--no-raw"], ["--csv"], ["--json"], ["-2", "--json"], ["-3", "--no-raw"]],
                         ids=lambda form: "".join(form) or "plain")
def test_a_script_prints_the_same(redis_compare, form):
    def talk(port, number, ready):
        ready()
        return without_ids(run(cli(port, *form), SCRIPT.replace("NUMBER", str(number))))

    answers = redis_compare(lambda port: at_once(CLIENTS, lambda *who: talk(port, *who)))
    assert "of 7" in answers[7] and "three" not in answers[7] and answers[7].rstrip().strip('"').endswith("end")


def test_a_person_notices_nothing(redis_compare):
    """Before a terminal it asks for COMMAND DOCS, shows the database, and connects again."""
    def talk(port, number, ready):
        terminal = Terminal(cli(port))
        try:
            terminal.says(f"127.0.0.1:{port}> ")
            ready()
            for line, answer in ((f"set k{number} v", "OK"), ("select 2", "OK\n"), (f"rpush l{number} x y", "(integer) 2"),
                                 ("multi", "OK"), (f"lrange l{number} 0 -1", "QUEUED"), ("exec", '2) "y"'),
                                 (f"blpop l{number} 0", f'1) "l{number}"'), ("get", "wrong number of arguments"),
                                 ("hello 3", "1# "), ("hgetall none", "(empty hash)"), ("reset", "RESET")):
                terminal.output = ""
                terminal.write(line + "\n")
                terminal.says(answer)
            terminal.says("> ")
            terminal.write("quit\n")
            return terminal.close()
        finally:
            terminal.child.kill()

    assert redis_compare(lambda port: at_once(CLIENTS, lambda *who: talk(port, *who))) == [0] * CLIENTS


def test_pipe(redis_compare, redis_servers):
    def talk(port, number, ready):
        lines = b"".join(request("SET", f"pipe{number}:{n}", "x" * (n % 300)) for n in range(5000))
        lines += b"".join(request("INCR", f"pipe{number}:0") for n in range(10)) + request("NOSUCH")
        ready()
        done = subprocess.run([str(word) for word in cli(port, "--pipe")], input=lines, capture_output=True, timeout=60,
                              check=False)
        return done.returncode, re.sub(rb"\W+", b" ", done.stdout[-60:]), sorted({*done.stderr.splitlines()})

    answers = redis_compare(lambda port: at_once(4, lambda *who: talk(port, *who)))
    assert b"replies 5011" in answers[0][1], answers[0]
    assert redis_servers[1].value("DBSIZE") == b"20000"


def test_scan_and_samples(redis_compare):
    def talk(port):
        run(cli(port), "".join(f"set s:{n} {'x' * (n + 1)}\n" for n in range(500)) + "rpush list 1 2 3\nhset h f v\n"
            "config set maxmemory-policy allkeys-lfu\nget s:1\n")
        big = run(cli(port, "--bigkeys"))
        return (sorted(run(cli(port, "--scan")).split()), sorted(run(cli(port, "--scan", "--pattern", "s:1?")).split()),
                sorted(re.findall(r"Biggest +\w+ found '.*|^\d+ (?:string|list|hash).*", big, re.MULTILINE)),
                "-------- summary" in run(cli(port, "--memkeys")), "-------- summary" in run(cli(port, "--hotkeys")))

    answers = redis_compare(talk)
    assert len(answers[0]) == 502 and len(answers[1]) == 10 and "bytes" in "".join(answers[2])


def test_evaluating_repeating_and_reading_arguments(redis_compare, folder):
    (folder / "script.lua").write_text("return {KEYS[1], ARGV[1], redis.call('incr', KEYS[1])}")
    (folder / "value").write_text("from a file")

    def talk(port):
        return [run(cli(port, "--eval", folder / "script.lua", "key", ",", "argument")),
                run(cli(port, "-r", "5", "-i", "0", "incr", "counter")), run(cli(port, "-x", "set", "k"), "of stdin"),
                run(cli(port, "-X", "tag", "set", "k", "tag", "get"), "of stdin, too"), run(cli(port, "-n", "4", "set", "four", "x")),
                run(cli(port, "-n", "4", "get", "four")), run(cli(port, "get", "four")),
                run(["redis-cli", "-u", f"redis://127.0.0.1:{port}/4", "get", "four"]),
                run(cli(port, "--raw", "-D", ",", "mget", "k", "four")), run(cli(port, "--quoted-input", "set", '"a\\x00b"', "1")),
                run(cli(port, "-e", "ping"))]

    answers = redis_compare(talk)
    assert answers[1].split() == ["1", "2", "3", "4", "5"] and answers[6] == "\n" and answers[7] == "x\n"


def lines_of(arguments, enough, act=lambda said: None):
    """What a program that never ends has printed once enough(it) holds; then it is interrupted."""
    child = subprocess.Popen([str(argument) for argument in arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL)
    os.set_blocking(child.stdout.fileno(), False)
    said = ""

    def more():
        nonlocal said
        act(said)
        said += (child.stdout.read() or b"").decode()
        return enough(said)

    try:
        wait_until(more, f"enough of {arguments}", PATIENCE)
        return said
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(PATIENCE)
        child.stdout.close()


def test_stat_and_latency_go_on(redis_compare):
    def talk(port):
        stat = lines_of(cli(port, "--stat", "-i", "0.02"), lambda said: said.count("\n") > 12)
        latency = lines_of(cli(port, "--latency-history", "-i", "0.2", "--raw"), lambda said: said.count("\n") > 2)
        once = run(cli(port, "--latency", "-i", "0.2", "--raw"))
        return re.findall("keys.*", stat)[0], len(latency.splitlines()[0].split()), len(once.split())

    assert redis_compare(talk)[0].split()[:3] == ["keys", "mem", "clients"]


def test_subscribing_hears_what_is_published(redis_compare):
    def talk(port, number, ready):
        with RedisWire(port) as publisher:
            kinds = (("subscribe", f"c{number}"), ("psubscribe", f"c{number}"), ("ssubscribe", f"s{number}"))
            ready()
            heard = []
            for command, channel in kinds:
                send = "SPUBLISH" if command == "ssubscribe" else "PUBLISH"

                def act(said):
                    if "1" in said and "again" not in said:
                        publisher.ask(send, channel, f"to {number}, again")

                said = lines_of(cli(port, "--csv", command, channel), lambda said: f"to {number}, again" in said, act)
                heard.append(sorted({*said.splitlines()}))
            return heard

    answers = redis_compare(lambda port: at_once(CLIENTS, lambda *who: talk(port, *who)))
    assert '"message","c7","to 7, again"' in answers[7][0]


def test_monitor_shows_what_all_do(redis_compare):
    def talk(port):
        with RedisWire(port) as other:
            said = lines_of(cli(port, "monitor"), lambda said: '"ECHO" "seen"' in said, lambda said: other.ask("ECHO", "seen"))
        return said.splitlines()[0], '"ECHO" "seen"' in said

    assert redis_compare(talk) == ("OK", True)


def test_a_dump_and_a_replica(redis_compare, folder):
    def talk(port):
        run(cli(port), "".join(f"set dumped:{n} {'y' * (n + 1)}\n" for n in range(300)))
        done = subprocess.run([str(word) for word in cli(port, "--rdb", folder / f"rdb{port}")], capture_output=True, timeout=30,
                              check=False)
        checked = run(["redis-check-rdb", folder / f"rdb{port}"])
        with RedisWire(port) as other:
            said = lines_of(cli(port, "--replica"), lambda said: '"after"' in said, lambda said: other.ask("SET", "after", "x"))
        return done.returncode, re.findall(r"\d+ keys read", checked), '"after"' in said

    assert redis_compare(talk) == (0, ["300 keys read"], True)


# ---- redis-benchmark

ALL = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET", "SPOP", "ZADD",
       "ZPOPMIN", "LPUSH (needed to benchmark LRANGE)", "LRANGE_100 (first 100 elements)", "LRANGE_300 (first 300 elements)",
       "LRANGE_500 (first 500 elements)", "LRANGE_600 (first 600 elements)", "MSET (10 keys)"]


@pytest.mark.parametrize("form", [[], ["-3"], ["-P", "16"], ["-r", "1000"], ["-d", "20000", "-t", "set,get,lpush,mset"],
                                  ["-k", "0", "-t", "set,get,incr"], ["--dbnum", "3", "-t", "set,get"], ["--threads", "2", "-P", "4"],
                                  ["--enable-tracking", "-3", "-t", "set,get"]], ids=lambda form: "".join(form) or "plain")
def test_benchmarks_run_to_their_end(redis_compare, redis_servers, form):
    def talk(port):
        """-k 0 warns of what it does; an error of a server ends it."""
        done = subprocess.run(["redis-benchmark", "-p", str(port), "-n", "600", "-c", "30", "--csv", *form], text=True,
                              capture_output=True, timeout=120, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0 and re.fullmatch("(WARNING: Keepalive disabled.*)?", done.stderr.strip()), done.stderr
        return [line.split('","')[0].strip('"') for line in done.stdout.splitlines()[1:]]

    names = redis_compare(talk)
    assert [name for name in names if name != "XADD"] == ALL or "-t" in form  # XADD came with Redis 7.2
    direct, through = [{name: server.calls(name) for name in ("set", "get", "incr", "lpush", "spop", "zpopmin", "lrange", "mset")}
                       for server in redis_servers]
    assert direct["set"] >= 600 and direct["get"] >= 600
    assert direct == through, "as many reached Redis"
