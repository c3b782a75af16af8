"""HTTP itself: what is well formed is answered, what is not is told so, and nobody is disturbed."""
import http.client
import json
import re
import shutil
import socket
import subprocess
import time

import pytest
from harness.process import PATIENCE, wait_until

pytestmark = pytest.mark.weir_only

CROWD = 10_000
HEAD = re.compile(rb"HTTP/1\.1 (\d+) [^\r]*\r\n(.*?)\r\n\r\n", re.DOTALL)


@pytest.fixture
def weir(pooler):
    return pooler()


class Client:
    """A socket, and the answers that come by it."""

    def __init__(self, weir):
        self.socket = socket.create_connection(("127.0.0.1", weir.http_port), timeout=PATIENCE)
        self.heard = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, text):
        try:
            self.socket.sendall(text)
        except ConnectionError:
            pass  # the answer tells why
        return self

    def hear(self):
        """More bytes; false at the end of the connection."""
        try:
            more = self.socket.recv(65536)
        except ConnectionError:
            more = b""
        self.heard += more
        return bool(more)

    def answer(self, head_only=False):
        """(status, headers, body) of the next answer."""
        while not (head := HEAD.match(self.heard)):
            assert self.hear(), f"closed after {self.heard!r}"
        headers = {name.decode().lower(): value.decode()
                   for name, value in (line.split(b": ", 1) for line in head[2].split(b"\r\n"))}
        end = head.end() + (0 if head_only else int(headers["content-length"]))
        while len(self.heard) < end:
            assert self.hear()
        body, self.heard = self.heard[head.end():end], self.heard[end:]
        return int(head[1]), headers, body

    def is_closed(self):
        self.socket.shutdown(socket.SHUT_WR)
        while self.hear():
            pass
        assert self.heard == b""


# ---- what is well formed -------------------------------------------------------------------


def test_pythons_client_keeps_its_connection(weir):
    client = http.client.HTTPConnection("127.0.0.1", weir.http_port, timeout=PATIENCE)
    for path, status in (("/healthz", 200), ("/metrics", 200), ("/nowhere", 404), ("/healthz", 200)) * 5:
        client.request("GET", path)
        socket_before = client.sock
        answer = client.getresponse()
        body = answer.read()
        assert answer.status == status and client.sock is socket_before
        assert status == 200 or json.loads(body)["error"]
    client.request("HEAD", "/metrics")
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (200, b"") and int(answer.headers["Content-Length"]) > 0
    client.request("OPTIONS", "/metrics")
    assert (answer := client.getresponse()).status == 200 and answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    client.close()


def curl(weir, *arguments):
    ran = subprocess.run(["curl", "-sS", "--max-time", "20", "-w", "\n%{http_code} %{num_connects}", *arguments,
                          f"http://127.0.0.1:{weir.http_port}/metrics"], capture_output=True, timeout=PATIENCE * 2)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.decode()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_is_served(weir):
    assert "weir_connections_accepted_total" in curl(weir)
    assert curl(weir).endswith("\n200 1")
    assert curl(weir, "--http1.0").endswith("\n200 1")
    assert "weir_connections_accepted_total" in curl(weir, "--compressed")
    packed = curl(weir, "-H", "Accept-Encoding: gzip", "-o", "/dev/null", "-D", "-")
    assert "Content-Encoding: gzip" in packed
    assert curl(weir, "-I").count("200") >= 1
    assert curl(weir, "-d", "x" * 5000, "-H", "Expect: 100-continue").endswith("405 1")
    assert curl(weir, "-T", "-", "-H", "Transfer-Encoding: chunked").endswith("405 1")


def test_requests_in_a_row_are_answered_in_their_order(weir):
    with Client(weir) as client:
        client.say(b"GET /healthz HTTP/1.1\r\n\r\nGET /nowhere HTTP/1.1\r\n\r\nHEAD /metrics HTTP/1.1\r\n\r\n"
                   b"GET /healthz HTTP/1.1\r\n\r\n" * 50)
        for _ in range(50):
            assert client.answer()[2] == b"ok\n"
            assert client.answer()[0] == 404
            assert client.answer(head_only=True)[0] == 200
            assert client.answer()[2] == b"ok\n"
        client.is_closed()


def test_a_request_may_come_byte_by_byte(weir):
    with Client(weir) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n":
            client.say(bytes([byte]))
        assert client.answer()[2] == b"ok\n"


# ---- what is not ---------------------------------------------------------------------------

BEHIND = b"GET /healthz HTTP/1.1\r\n\r\n"  # must never be answered as a second request

WRONG = {
    "length and coding": (400, b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "coding and length": (400, b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 25\r\n\r\n"),
    "the same length twice": (400, b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"),
    "a list of lengths": (400, b"POST /metrics HTTP/1.1\r\nContent-Length: 0, 0\r\n\r\n"),
    "a length with a sign": (400, b"POST /metrics HTTP/1.1\r\nContent-Length: +0\r\n\r\n"),
    "a length beyond all numbers": (400, b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    "a blank before the colon": (400, b"POST /metrics HTTP/1.1\r\nContent-Length : 25\r\n\r\n"),
    "two codings": (400, b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"),
    "an unknown coding": (501, b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "a coding of HTTP/1.0": (400, b"POST /metrics HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a folded line": (400, b"GET /healthz HTTP/1.1\r\nA: b\r\n c\r\n\r\n"),
    "a line folded by a tab": (400, b"GET /healthz HTTP/1.1\r\nA: b\r\n\tc: d\r\n\r\n"),
    "a folded coding": (400, b"POST /metrics HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    "bare LF": (400, b"GET /healthz HTTP/1.1\nHost: h\n\n"),
    "one bare LF": (400, b"GET /healthz HTTP/1.1\r\nHost: h\nContent-Length: 25\r\n\r\n"),
    "bare CR": (400, b"GET /healthz HTTP/1.1\r\nHost: h\rContent-Length: 25\r\n\r\n"),
    "NUL in a header": (400, b"GET /healthz HTTP/1.1\r\nHost: h\0\r\n\r\n"),
    "two hosts": (400, b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "two authorizations": (400, b"GET /healthz HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n"),
    "no header": (400, b"GET /healthz HTTP/1.1\r\nno colon\r\n\r\n"),
    "nothing of HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "2 GB of a body": (413, b"GET /metrics HTTP/1.1\r\nContent-Length: 2147483648\r\n\r\n"),
    "a chunked body where none is taken": (413, b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "an unknown path with a body": (404, b"POST /nowhere HTTP/1.1\r\nContent-Length: 2147483648\r\n\r\n"),
    "a method that this page does not take": (405, b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\n"),
    "an unknown method": (501, b"BREW /metrics HTTP/1.1\r\n\r\n"),
    "another expectation": (417, b"GET /metrics HTTP/1.1\r\nExpect: a miracle\r\n\r\n"),
    "another version": (505, b"GET /metrics HTTP/2.0\r\n\r\n"),
    "a long target": (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"),
    "a long header": (431, b"GET /metrics HTTP/1.1\r\nA: " + b"a" * 20_000 + b"\r\n\r\n"),
    "many headers": (431, b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_and_ends_the_connection(weir, name):
    expected, request = WRONG[name]
    with Client(weir) as client:
        client.say(request + BEHIND)
        status, headers, body = client.answer()
        assert (status, headers["connection"]) == (expected, "close")
        assert json.loads(body)["error"]
        client.is_closed()
    assert weir.get("/healthz")[0] == 200


def test_an_unknown_path_or_method_costs_nobody_the_connection(weir):
    with Client(weir) as client:
        client.say(b"GET /nowhere HTTP/1.1\r\n\r\nDELETE /metrics HTTP/1.1\r\n\r\n" + BEHIND)
        assert client.answer()[0] == 404
        status, headers, body = client.answer()
        assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS") and json.loads(body)["error"]
        assert client.answer()[2] == b"ok\n"


@pytest.mark.parametrize("half", [b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost: h\r\n"])
def test_half_a_request_and_the_end_is_told(weir, half):
    with Client(weir) as client:
        client.say(half).socket.shutdown(socket.SHUT_WR)
        assert client.answer()[0] == 400
        assert not client.hear()
    for _ in range(100):
        with Client(weir) as client:
            client.say(half)
    assert weir.get("/healthz")[0] == 200


# ---- who is slow ---------------------------------------------------------------------------


def test_a_slow_head_is_not_waited_for(pooler):
    weir = pooler(http={"header_timeout": 0.3, "idle_timeout": 0.3})
    with Client(weir) as trickle, Client(weir) as silent, Client(weir) as resting:
        trickle.say(b"GET /healthz HTTP/1.1\r\nA: ")
        silent.say(b"GET /healthz HTTP/1.1\r\n")
        began = time.monotonic()
        trickle.socket.settimeout(0.02)
        while not trickle.heard and time.monotonic() - began < PATIENCE:
            trickle.say(b"a")
            try:
                trickle.hear()
            except TimeoutError:
                pass
        trickle.socket.settimeout(PATIENCE)
        assert trickle.answer()[0] == 408
        assert time.monotonic() - began < 5
        assert silent.answer()[0] == 408
        assert not resting.hear(), "told nothing, as nothing was asked"


def test_who_does_not_read_its_answers_is_closed_and_disturbs_nobody(pooler):
    weir = pooler(http={"send_timeout": 0.5})
    with Client(weir) as greedy:
        greedy.socket.settimeout(0.2)
        request = b"GET /metrics HTTP/1.1\r\n\r\n" * 1000
        closed = False
        deadline = time.monotonic() + PATIENCE
        while not closed and time.monotonic() < deadline:
            try:
                greedy.socket.sendall(request)
            except TimeoutError:
                assert weir.get("/healthz")[0] == 200
            except ConnectionError:
                closed = True
        assert closed


# ---- how many ------------------------------------------------------------------------------


def test_ten_thousand_connections_are_kept_and_served(pooler):
    weir = pooler(http={"max_connections": CROWD + 100})
    clients = [Client(weir) for _ in range(CROWD)]
    try:
        for _ in range(2):
            for client in clients:
                client.say(BEHIND)
            for client in clients:
                status, headers, body = client.answer()
                assert (status, body) == (200, b"ok\n") and "connection" not in headers
    finally:
        for client in clients:
            client.socket.close()


def test_more_than_there_is_room_for_are_told_so(pooler):
    weir = pooler(http={"max_connections": 10})
    clients = []
    for _ in range(10):
        clients.append(Client(weir))
        assert clients[-1].say(BEHIND).answer()[0] == 200
    with Client(weir) as late:
        assert late.answer()[0] == 503
    for client in clients:
        client.socket.close()

    def is_served():
        with Client(weir) as client:
            return client.say(BEHIND).answer()[0] == 200
    wait_until(is_served, "room")
