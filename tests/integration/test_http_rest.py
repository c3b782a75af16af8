"""Redis over HTTP, as Upstash answers it: raw requests, and npm's @upstash/redis as it is."""
import base64
import contextlib
import http.client
import json
import pathlib
import signal
import socket
import threading
import time

import pytest
from harness.clients import run
from harness.process import PATIENCE, wait_until

pytestmark = pytest.mark.weir_only

PROGRAMS = pathlib.Path(__file__).parent / "node"
TOKEN, READER = "a-token-of-the-tests-0001", "a-reader-of-the-tests-0002"
TOKENS = {"token.all": f"{TOKEN} redis=main", "token.reads": f"{READER} redis=main redis_read_only=1"}


class Rest:
    """One connection to the HTTP door of a weir."""

    def __init__(self, weir, token=TOKEN):
        self.http = http.client.HTTPConnection("127.0.0.1", weir.http_port, timeout=PATIENCE)
        self.token = token

    def ask(self, method, path, body=None, **headers):
        """(status, the JSON of the answer)"""
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if isinstance(body, list):
            body = json.dumps(body)
        self.http.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = self.http.getresponse()
        assert answer.headers["Content-Type"].startswith("application/json")
        said = answer.read()
        return answer.status, json.loads(said) if said else None

    def one(self, *command, **headers):
        return self.ask("POST", "/", list(command), **headers)

    def pipeline(self, *commands, **headers):
        return self.ask("POST", "/pipeline", [list(command) for command in commands], **headers)

    def multi(self, *commands, **headers):
        return self.ask("POST", "/multi-exec", [list(command) for command in commands], **headers)


@pytest.fixture
def weir(redis_door):
    return redis_door(http=TOKENS)


@pytest.fixture
def rest(weir):
    return Rest(weir)


# ---- one command


def test_one_command_is_answered(rest):
    assert rest.one("SET", "k", "v") == (200, {"result": "OK"})
    assert rest.one("get", "k") == (200, {"result": "v"})
    assert rest.one("GET", "none") == (200, {"result": None})
    assert rest.one("INCRBY", "n", 41) == (200, {"result": 41})
    assert rest.one("SET", "é\n\"", "ü\0\u2028") == (200, {"result": "OK"})
    assert rest.one("GET", "é\n\"") == (200, {"result": "ü\0\u2028"})
    assert rest.one("RPUSH", "l", "a", "", "c") == (200, {"result": 3})
    assert rest.one("LRANGE", "l", 0, -1) == (200, {"result": ["a", "", "c"]})
    assert rest.one("LRANGE", "nothing", 0, -1) == (200, {"result": []})
    assert rest.one("MGET", "k", "none", "n") == (200, {"result": ["v", None, "41"]})
    assert rest.one("EVAL", "return {1,{'a',{}},{false,{'OK'}}}", 0) == (200, {"result": [1, ["a", []], [None, ["OK"]]]})
    assert rest.one("EVAL", "return {redis.error_reply('MY no'), 1}", 0) == (200, {"result": ["MY no", 1]})
    assert rest.one("SET", "k", True) == (200, {"result": "OK"})
    assert rest.one("GET", "k") == (200, {"result": "true"})


def test_an_error_of_redis_is_a_400(rest):
    assert rest.one("nosuch", "x")[0] == 400
    assert "ERR unknown command 'nosuch'" in rest.one("nosuch", "x")[1]["error"]
    assert rest.one("SET", "k") == (400, {"error": "ERR wrong number of arguments for 'set' command"})
    rest.one("SET", "k", "word")
    assert rest.one("INCR", "k", Upstash_Encoding="base64") == (
        400, {"error": "ERR value is not an integer or out of range"})


def test_strings_are_base64_if_that_is_asked_for(rest):
    def ask(*command):
        return rest.one(*command, Upstash_Encoding="base64")[1]["result"]

    assert ask("SET", "k", "v") == "OK"
    for length in range(12):
        text = "abcdefghijkl"[:length]
        ask("SET", "k", text)
        assert ask("GET", "k") == base64.b64encode(text.encode()).decode()
    assert ask("GET", "none") is None and ask("INCR", "n") == 1
    assert ask("EVAL", "return {'a',{'OK','bc',7}}", 0) == ["YQ==", ["OK", "YmM=", 7]]
    ask("SETRANGE", "b", 2, "x")
    assert ask("GET", "b") == base64.b64encode(b"\0\0x").decode()


def test_bytes_that_are_no_text_are_replaced(rest, redis_server):
    redis_server.value("SET", "k", b"a\xff\xc3(b")
    assert rest.one("GET", "k") == (200, {"result": "a\ufffd\ufffd(b"})
    assert rest.one("GET", "k", Upstash_Encoding="base64")[1]["result"] == base64.b64encode(b"a\xff\xc3(b").decode()


# ---- many


def test_a_pipeline_answers_in_order_with_errors_in_place(rest):
    assert rest.pipeline(("SET", "k", "v"), ("nosuch",), ("GET", "k"), ("INCR", "k"), ("SUBSCRIBE", "c"), ("DEL", "k")) == (
        200, [{"result": "OK"}, {"error": "ERR unknown command 'nosuch', with args beginning with: "}, {"result": "v"},
              {"error": "ERR value is not an integer or out of range"},
              {"error": "ERR Command is not available over HTTP: 'SUBSCRIBE'"}, {"result": 1}])
    assert rest.pipeline(("MULTI",), ("QUIT",))[1] == [
        {"error": "ERR Command is not available over HTTP: 'MULTI'"},
        {"error": "ERR Command is not available over HTTP: 'QUIT'"}]
    many = [("INCR", f"n{number % 7}") for number in range(1000)]
    assert rest.pipeline(*many) == (200, [{"result": number // 7 + 1} for number in range(1000)])


def test_a_pipeline_is_one_round_trip(weir, rest, redis_server):
    """Redis reads the commands of a pipeline together: it is asked no more often than once."""
    rest.one("PING")
    before = int(redis_server.info("stats")["total_reads_processed"])
    assert rest.pipeline(*[("INCR", "n")] * 500)[1][-1] == {"result": 500}
    after = int(redis_server.info("stats")["total_reads_processed"])
    assert after - before <= 4, "of which one is INFO"


def test_a_transaction_is_one(rest, weir):
    rest.one("SET", "word", "x")
    assert rest.multi(("SET", "a", 1), ("INCR", "word"), ("LRANGE", "none", 0, -1), ("GET", "a")) == (
        200, [{"result": "OK"}, {"error": "ERR value is not an integer or out of range"}, {"result": []}, {"result": "1"}])
    assert rest.multi(("SET", "a", 2), ("nosuch",)) == (
        400, {"error": "EXECABORT Transaction discarded because of previous errors."})
    assert rest.one("GET", "a") == (200, {"result": "1"})
    assert rest.multi(("SET", "a", 2), ("EXEC",))[0] == 400
    assert rest.multi(("GET", "a"), ("SMEMBERS", "none"), Upstash_Encoding="base64") == (
        200, [{"result": "MQ=="}, {"result": []}])

    wrong = []

    def take_turns(name):
        own = Rest(weir)
        for _ in range(30):
            status, answers = own.multi(("SET", "turn", name), ("INCR", "count"), ("GET", "turn"))
            if status != 200 or answers[2] != {"result": name}:
                wrong.append(answers)

    threads = [threading.Thread(target=take_turns, args=(f"t{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not wrong and rest.one("GET", "count") == (200, {"result": "240"})


def test_nobody_gets_the_answers_of_another(weir):
    wrong = []

    def talk(name):
        own = Rest(weir)
        for turn in range(40):
            text = f"{name}:{turn}:" + "x" * (turn * 500)
            commands = [("SET", name, text), ("GET", name), ("nosuch", name), ("ECHO", text), ("OBJECT", "ENCODING", name)]
            if turn % 5 == 4:
                commands.append(("BLPOP", f"none-{name}", "0.01"))
            status, answers = own.pipeline(*commands)
            if status != 200 or [answers[1], answers[3]] != [{"result": text}] * 2 or name not in answers[2]["error"]:
                wrong.append((name, turn, answers))

    threads = [threading.Thread(target=talk, args=(f"client-{number}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not wrong, wrong[0]


# ---- paths


def test_paths_are_commands(rest):
    assert rest.ask("GET", "/set/foo/bar?EX=100") == (200, {"result": "OK"})
    assert rest.ask("GET", "/ttl/foo") == (200, {"result": 100})
    assert rest.ask("POST", "/set/foo", "a b/c") == (200, {"result": "OK"})
    assert rest.ask("GET", "/get/foo") == (200, {"result": "a b/c"})
    assert rest.ask("PUT", "/set/foo?EX=50&NX", "new") == (200, {"result": None})
    assert rest.ask("GET", "/get/fo%6f", Upstash_Encoding="base64") == (200, {"result": "YSBiL2M="})
    assert rest.ask("HEAD", "/get/foo") == (200, None)
    assert rest.ask("GET", "/nosuch")[0] == 400
    assert rest.ask("DELETE", "/get/foo")[0] == 405
    assert rest.ask("GET", "/pipeline")[0] == 405
    assert rest.ask("GET", "/healthz/x")[0] == 400
    assert rest.ask("GET", "/")[0] == 400


# ---- what is no request


@pytest.mark.parametrize("path, body", [
    ("/", "{"), ("/", "[]"), ("/", "{}"), ("/", "\"GET\""), ("/", "[[\"GET\",\"k\"]]"), ("/", "[{\"a\":1}]"), ("/", ""),
    ("/", "[\"GET\",\"\xff\"]"), ("/pipeline", "[]"), ("/pipeline", "[\"GET\",\"k\"]"), ("/pipeline", "[[]]"),
    ("/pipeline", "[[\"SET\",\"k\",\"v\"],[]]"), ("/multi-exec", "[[\"SET\",\"k\",\"v\"],7]")])
def test_what_is_no_request_is_told_and_nothing_is_done(rest, path, body):
    status, said = rest.ask("POST", path, body.encode("latin-1"))
    assert status == 400 and said["error"].startswith("ERR")
    assert rest.one("GET", "k") == (200, {"result": None})


# ---- who may


def test_who_has_no_token_is_refused(weir):
    stranger = Rest(weir, token=None)
    for token in ("", "?_token=wrong-wrong-wrong-wrong"):
        status, said = stranger.ask("POST", f"/pipeline{token}", [["SET", "k", "v"]])
        assert status == 401 and said["error"]
    assert stranger.ask("GET", f"/set/k/v?_token={TOKEN}") == (200, {"result": "OK"})
    assert stranger.ask("POST", f"/?_token={TOKEN}", ["GET", "k"]) == (200, {"result": "v"})


def test_who_may_only_read_does_not_write(weir, rest):
    reader = Rest(weir, READER)
    rest.one("SET", "k", "v")
    assert reader.one("GET", "k") == (200, {"result": "v"})
    assert reader.one("SET", "k", "w") == (
        400, {"error": "NOPERM this user has no permissions to run the 'SET' command"})
    status, answers = reader.pipeline(("GET", "k"), ("DEL", "k"), ("EVAL", "return redis.call('DEL','k')", 0), ("nosuch",),
                                      ("AUTH", "x"), ("FLUSHALL",), ("SORT", "k", "STORE", "j"), ("STRLEN", "k"))
    assert status == 200 and answers[0] == {"result": "v"} and answers[-1] == {"result": 1}
    assert all(answer["error"].startswith("NOPERM") for answer in answers[1:-1])
    assert reader.multi(("GET", "k"), ("DEL", "k"))[0] == 400
    assert rest.one("GET", "k") == (200, {"result": "v"})


# ---- large, slow, gone


def test_a_large_value_goes_both_ways(rest):
    text = "é0123456789" * 400_000
    assert rest.one("SET", "large", text) == (200, {"result": "OK"})
    assert rest.one("GET", "large") == (200, {"result": text})
    status, said = rest.one("GET", "large", Upstash_Encoding="base64")
    assert status == 200 and base64.b64decode(said["result"]).decode() == text
    assert [len(said["result"]) for said in rest.pipeline(*[("GET", "large")] * 4)[1]] == [len(text)] * 4


def test_an_answer_that_is_too_large_is_broken_off(redis_door):
    weir = redis_door(http={**TOKENS, "max_response": 100_000})
    rest = Rest(weir)
    rest.one("SET", "k", "x" * 90_000)
    assert rest.one("GET", "k")[0] == 200
    with pytest.raises(http.client.IncompleteRead):
        rest.pipeline(("GET", "k"), ("GET", "k"))
    assert Rest(weir).one("GET", "k")[0] == 200
    status, said = Rest(redis_door(http={**TOKENS, "max_response": 30})).one("MGET", *["none"] * 10)
    assert status == 507 and "max_response" in said["error"]


def test_a_request_that_takes_too_long_is_ended(redis_door):
    rest = Rest(redis_door(http={**TOKENS, "request_timeout": 1}))
    started = time.monotonic()
    status, said = rest.one("BLPOP", "nothing", 0)
    assert status == 504 and "request_timeout" in said["error"] and time.monotonic() - started < PATIENCE
    assert rest.one("RPUSH", "nothing", "x") == (200, {"result": 1})
    assert rest.one("LLEN", "nothing") == (200, {"result": 1})


def test_who_hangs_up_leaves_nothing(weir, rest, redis_server):
    with contextlib.closing(socket.create_connection(("127.0.0.1", weir.http_port), timeout=PATIENCE)) as client:
        body = b'["BLPOP","list",0]'
        client.sendall(b"POST / HTTP/1.1\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
                       % (TOKEN.encode(), len(body), body))
        wait_until(lambda: redis_server.info("clients")["blocked_clients"] in (1, "1"), "BLPOP")
    wait_until(lambda: redis_server.info("clients")["blocked_clients"] in (0, "0"), "its end")
    assert rest.one("RPUSH", "list", "x") == (200, {"result": 1})


def test_a_redis_that_is_gone_is_told_and_may_come_back(redis_door, own_redis):
    server = own_redis()
    rest = Rest(redis_door(server, http=TOKENS, wait_timeout=1))
    assert rest.one("SET", "k", "v")[0] == 200
    server.stop()
    status, said = rest.one("GET", "k")
    assert status >= 400 and said["error"]
    status, said = rest.pipeline(("GET", "k"), ("GET", "k"))
    assert status >= 500 or all(answer["error"] for answer in said)
    assert rest.multi(("SET", "k", "w"))[0] >= 400
    server.start()
    wait_until(lambda: rest.one("SET", "k", "new") == (200, {"result": "OK"}), "service")
    assert rest.pipeline(("GET", "k")) == (200, [{"result": "new"}])


# ---- who listens


class Listener:
    """Server-sent events, one by one."""

    def __init__(self, weir, path, token=TOKEN):
        self.http = http.client.HTTPConnection("127.0.0.1", weir.http_port, timeout=PATIENCE)
        self.http.request("POST", path, "[]", {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"})
        self.answer = self.http.getresponse()

    def hear(self):
        lines = []
        while (line := self.answer.readline()) not in (b"\n", b""):
            assert line.startswith(b"data: ") and line.endswith(b"\n"), line
            lines.append(line[6:-1].decode())
        return lines

    def close(self):
        self.answer.close()
        self.http.close()


def test_who_subscribes_hears_messages(weir, rest, redis_server):
    one, many = Listener(weir, "/subscribe/news"), Listener(weir, "/psubscribe/n*")
    assert (one.answer.status, one.answer.headers["Content-Type"]) == (200, "text/event-stream")
    assert one.hear() == ["subscribe,news,1"] and many.hear() == ["psubscribe,n*,1"]
    for text in ("hello", "{\"a\": [1, 2]}", "", "two\nlines\r\n", "x" * 300_000):
        assert rest.one("PUBLISH", "news", text)[1]["result"] >= 1
        assert "\n".join(one.hear()) == "message,news," + text.replace("\r\n", "\n")
        assert "\n".join(many.hear()) == "pmessage,n*,news," + text.replace("\r\n", "\n")
    assert rest.pipeline(("GET", "none"), ("PUBSUB", "NUMPAT"))[1] == [{"result": None}, {"result": 1}]
    one.close()
    many.close()
    wait_until(lambda: redis_server.value("PUBSUB", "NUMPAT") in (0, b"0"), "the end of what nobody hears")


def test_who_monitors_hears_commands(weir, rest):
    listener = Listener(weir, "/monitor")
    assert listener.hear() == ["OK"]
    rest.one("SET", "seen", "by\nall")
    while not (line := listener.hear()[0]).endswith('"SET" "seen" "by\\nall"'):
        assert line
    listener.close()


def test_who_may_not_listen_is_told(weir):
    for path, token, status in (("/subscribe/c", "wrong-wrong-wrong-wrong", 401), ("/subscribe/c", READER, 400),
                                ("/subscribe", TOKEN, 400)):
        listener = Listener(weir, path, token)
        assert listener.answer.status == status and json.loads(listener.answer.read())["error"], path


def test_who_listens_is_let_go_when_weir_stops(weir):
    listener = Listener(weir, "/subscribe/c")
    assert listener.hear() == ["subscribe,c,1"]
    assert Rest(weir).one("PING") == (200, {"result": "PONG"})  # a guest that waits for more requests
    assert weir.stop(signal.SIGTERM) == []
    assert listener.hear() == [] and listener.answer.isclosed()


# ---- its own client


@pytest.mark.parametrize("encoding", ["base64", "plain"])
def test_upstash_redis_notices_nothing(weir, modules, encoding):
    env = {"NODE_PATH": modules, "NODE_OPTIONS": "--no-deprecation", "TOKEN": TOKEN, "READER": READER,
           "ENCODING": encoding}
    said = json.loads(run(["node", PROGRAMS / "upstash.js", weir.http_port], env=env, patience=60))
    assert said["strings"] == ["OK", "value", 42, {"a": [1, "zwei", None]}, None, "é✓", 1, ["value", None, 42]]
    assert said["hashes"] == [2, {"name": "ana", "age": 7}, "ana", 8, ["age", "name"]]
    assert said["lists"] == [3, ["a", "b", {"c": 1}], "a", 2]
    assert said["zsets"] == [2, ["one", "two"], ["one", 1, "two", 2.5], 2.5]
    assert said["scan"] == 50
    assert said["pipeline"] == ["OK", 1, {"deep": True}, None]
    assert said["multi"] == [1, 2, 2]
    assert said["many"] == list(range(1, 201))
    assert "WRONGTYPE" in said["error"] and "NOPERM" in said["refused"]
    assert said["eval"] == [1, "two", ["three"]]
    assert said["heard"] == [{"channel": "news", "message": {"n": 1}}, {"channel": "news", "message": "text, with commas"}]
    assert said["unauthorized"]
