"""POST /db: many queries in one request, in its order, with errors in their places."""
import base64
import http.client
import json
import pathlib
import socket
import threading
import time

import pytest
from harness.pooler import Pooler, scram_secret
from harness.process import PATIENCE, wait_until

pytestmark = pytest.mark.weir_only

OPEN = {"open": True, "user": "ana"}


@pytest.fixture
def door(pooler):
    """door(...) is a weir that is open, on loopback."""
    def start(http=None, **settings):
        return pooler(http={**OPEN, **(http or {})}, **{"default_pool_size": 5, **settings})
    return start


def post(weir, body, **headers):
    """(status, headers, body)"""
    client = http.client.HTTPConnection("127.0.0.1", weir.http_port, timeout=PATIENCE)
    try:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        client.request("POST", "/db", text, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = client.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        client.close()


def ask(weir, *queries, **more):
    """The answer to queries, whose status is 200."""
    status, headers, body = post(weir, {"queries": list(queries), **more})
    assert status == 200, body
    assert headers["content-type"] == "application/json"
    return json.loads(body)


def lines(weir, *queries, **more):
    status, headers, body = post(weir, {"queries": list(queries), **more}, Accept="application/x-ndjson")
    assert status == 200, body
    assert headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in body.splitlines()]


def rows(answer):
    return [result.get("rows") for result in answer["results"]]


def codes(answer):
    return [result["error"]["sqlstate"] if "error" in result else None for result in answer["results"]]


# ---- results -----------------------------------------------------------------------------------


def test_results_are_in_the_order_of_the_queries(door):
    queries = [f"select {i} as n, pg_sleep({0.02 * (9 - i)})::text as s" for i in range(10)]
    answer = ask(door(), *queries)
    assert [result["rows"][0]["n"] for result in answer["results"]] == list(range(10))
    assert answer["errors"] == 0


def test_a_result_says_its_fields_and_its_command(door):
    answer = ask(door(), {"sql": "select $1::int as n, $2::text as t", "params": [7, None]}, "create temp table x ()")
    assert answer["results"] == [
        {"fields": [{"name": "n", "type": 23}, {"name": "t", "type": 25}], "rows": [{"n": 7, "t": None}],
         "command": "SELECT", "row_count": 1},
        {"fields": [], "rows": [], "command": "CREATE TABLE", "row_count": None}]


def test_no_queries_are_no_results(door):
    status, _, body = post(door(), {"queries": []})
    assert (status, json.loads(body)) == (200, {"results": [], "errors": 0})


@pytest.mark.parametrize("mode", ["parallel", "pipeline"])
def test_errors_are_in_their_places_and_the_others_go_on(door, mode):
    answer = ask(door(), "select 1 as n", "select 1/0", "no sql", "select 2 as n", mode=mode)
    assert codes(answer) == [None, "22012", "42601", None]
    assert (rows(answer)[0], rows(answer)[3], answer["errors"]) == ([{"n": 1}], [{"n": 2}], 2)


@pytest.mark.parametrize("mode", ["parallel", "pipeline"])
def test_rows_before_an_error_are_kept(door, mode):
    answer = ask(door(), "select 10 / (3 - n) as q from generate_series(1, 5) n", "select 1 as n", mode=mode)
    assert [row["q"] for row in rows(answer)[0]] == [5, 10]
    assert codes(answer) == ["22012", None]


def test_an_error_stops_what_has_not_begun(door):
    answer = ask(door({"max_parallel": 1}), "select 1 as n", "select 1/0", "select 2 as n", on_error="stop")
    assert codes(answer) == [None, "22012", "57014"]
    assert "not executed" in answer["results"][2]["error"]["message"]


def test_an_error_cancels_those_beside_it(door):
    begun = time.monotonic()
    answer = ask(door(), "select pg_sleep(30)", "select pg_sleep(0.2), 1/(random()*0)::int", "select pg_sleep(30)",
                 on_error="cancel")
    assert codes(answer) == ["57014", "22012", "57014"]
    assert time.monotonic() - begun < 10


def test_a_pipeline_is_one_session(door):
    answer = ask(door(), "select pg_backend_pid() as pid", "set work_mem = '5MB'", "show work_mem",
                 "select pg_backend_pid() as pid", mode="pipeline")
    assert rows(answer)[0] == rows(answer)[3]
    assert rows(answer)[2] == [{"work_mem": "5MB"}]


def test_formats(door):
    weir = door()
    query = "select 9007199254740993::int8 as big, 1.50::numeric as num, true as yes, array[1,null] as list"
    assert rows(ask(weir, query))[0] == [{"big": "9007199254740993", "num": "1.50", "yes": True, "list": [1, None]}]
    assert rows(ask(weir, query, numbers="exact"))[0][0]["big"] == 9007199254740993
    assert rows(ask(weir, query, format="text"))[0] == [
        {"big": "9007199254740993", "num": "1.50", "yes": "t", "list": "{1,NULL}"}]
    assert rows(ask(weir, query, rows="arrays"))[0] == [["9007199254740993", "1.50", True, [1, None]]]


def test_redis_is_said_to_be_missing_in_its_place(door):
    weir = door()
    answer = ask(weir, "select 1 as n", {"redis": ["GET", "k"]}, "select 2 as n")
    assert (codes(answer), answer["errors"]) == ([None, "0A000", None], 1)
    assert codes(ask(weir, {"redis": ["GET", "k"]})) == ["0A000"]
    assert post(weir, {"queries": ["select 1", {"redis": ["GET", "k"]}], "on_error": "stop"})[0] == 501


def test_copy_is_refused_and_the_others_go_on(door):
    answer = ask(door(), "copy (select generate_series(1, 100000)) to stdout", "copy pg_class from stdin",
                 "select 1 as n", mode="pipeline")
    assert [code is not None for code in codes(answer)] == [True, True, False]
    assert rows(answer)[2] == [{"n": 1}]


# ---- transactions ------------------------------------------------------------------------------


@pytest.fixture
def table(postgres):
    postgres.sql("drop table if exists db_things; create table db_things (n int unique deferrable initially deferred);"
                 "grant all on db_things to public")
    yield lambda: postgres.sql("select count(*) from db_things").strip()
    postgres.sql("drop table db_things")


def test_a_transaction_is_committed(door, table):
    answer = ask(door(), "insert into db_things values (1)", "insert into db_things values (2)", mode="transaction")
    assert (answer["committed"], answer["errors"], codes(answer)) == (True, 0, [None, None])
    assert table() == "2"


def test_an_error_rolls_a_transaction_back(door, table):
    answer = ask(door(), "insert into db_things values (1)", "select 1/0", "insert into db_things values (2)",
                 mode="transaction")
    assert (answer["committed"], codes(answer)) == (False, [None, "22012", "25P02"])
    assert table() == "0"


def test_a_commit_that_fails_says_why(door, table):
    answer = ask(door(), "insert into db_things values (1)", "insert into db_things values (1)", mode="transaction")
    assert (answer["committed"], answer["error"]["sqlstate"], codes(answer)) == (False, "23505", [None, None])
    assert table() == "0"


def test_a_transaction_has_its_options(door, table):
    weir = door()
    said = dict(mode="transaction", isolation="serializable", read_only=True, deferrable=True)
    answer = ask(weir, "show transaction_isolation", "show transaction_read_only", "show transaction_deferrable", **said)
    assert [list(row[0].values())[0] for row in rows(answer)] == ["serializable", "on", "on"]
    answer = ask(weir, "insert into db_things values (1)", **said)
    assert (codes(answer), answer["committed"]) == (["25006"], False)


# ---- times -------------------------------------------------------------------------------------


def running(postgres, word):
    return postgres.sql("select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() "
                        f"and query like '%{word}%'").strip()


def test_a_query_that_takes_too_long_is_canceled(door, postgres):
    weir = door()
    begun = time.monotonic()
    answer = ask(weir, {"sql": "select pg_sleep(30) as late1", "timeout_ms": 200}, "select pg_sleep(0.5)::text as s")
    assert codes(answer) == ["57014", None]
    assert time.monotonic() - begun < 10
    assert running(postgres, "late1") == "0"


def test_a_request_that_takes_too_long_is_canceled(door, postgres):
    begun = time.monotonic()
    answer = ask(door({"max_parallel": 2}), *["select pg_sleep(30) as late2"] * 4, timeout_ms=300)
    assert codes(answer) == ["57014"] * 4
    assert time.monotonic() - begun < 10
    assert running(postgres, "late2") == "0"


def test_who_hangs_up_has_its_queries_canceled(door, postgres):
    weir = door()
    body = json.dumps({"queries": ["select pg_sleep(60) as hangup"] * 3}).encode()
    with socket.create_connection(("127.0.0.1", weir.http_port), timeout=PATIENCE) as client:
        client.sendall(b"POST /db HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        wait_until(lambda: running(postgres, "hangup") == "3", "the queries' start")
    wait_until(lambda: running(postgres, "hangup") == "0", "the queries' end")
    assert rows(ask(weir, "select 1 as n")) == [[{"n": 1}]]


def test_a_hundred_sleep_half_a_second_at_the_same_time(door, postgres):
    weir = door({"max_parallel": 100}, default_pool_size=100, min_pool_size=100)
    ask(weir, "select 1")
    counted = "select count(*) from pg_stat_activity where usename = 'ana'"
    wait_until(lambda: int(postgres.sql(counted)) == 100, "a warm pool")
    took = []
    for _ in range(3):  # the machine is shared: the best counts
        begun = time.monotonic()
        answer = ask(weir, *["select pg_sleep(0.5)::text as s"] * 100)
        took.append(time.monotonic() - begun)
        assert answer["errors"] == 0
    assert min(took) <= 0.65


def test_more_queries_than_connections_wait_for_each_other(door):
    weir = door({"max_parallel": 8}, default_pool_size=2)
    answers = []

    def work():
        answers.append(rows(ask(weir, *[f"select {i} as n, pg_sleep(0.01)::text as s" for i in range(30)])))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert all([row[0]["n"] for row in answer] == list(range(30)) for answer in answers)


def test_no_connection_in_time_is_said_with_a_status(door, postgres):
    weir = door(default_pool_size=1, query_wait_timeout=1)
    thread = threading.Thread(target=ask, args=(weir, "select pg_sleep(3)::text as holder"))
    thread.start()
    wait_until(lambda: running(postgres, "holder") == "1", "its query")
    status, headers, body = post(weir, {"queries": ["select 1", "select 2"]})
    thread.join()
    assert (status, headers["retry-after"]) == (504, "1")
    assert "query_wait_timeout" in json.loads(body)["error"]


def test_a_server_that_is_down_is_said_with_a_status(pooler):
    weir = pooler({"main": "host=127.0.0.1 port=1 dbname=main"}, http=OPEN)
    status, _, body = post(weir, {"queries": ["select 1", "select 2"]})
    assert (status, list(json.loads(body))) == (502, ["error"])


@pytest.mark.parametrize("mode", ["pipeline", "transaction"])
def test_a_server_that_is_down_is_said_in_every_mode(pooler, mode):
    weir = pooler({"main": "host=127.0.0.1 port=1 dbname=main"}, http=OPEN)
    status, _, body = post(weir, {"queries": ["select 1", "select 2"], "mode": mode})
    assert (status, list(json.loads(body))) == (502, ["error"])


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_a_server_that_dies_amid_its_rows_ends_no_answer_well(door, postgres, accept):
    weir = door({"max_response": 0})
    query = "select repeat('x', 3000000) as v from generate_series(1, 1000) /* dying */"
    client = http.client.HTTPConnection("127.0.0.1", weir.http_port, timeout=PATIENCE)
    client.request("POST", "/db", json.dumps({"queries": [query]}), {"Accept": accept})
    stuck = "select count(*) from pg_stat_activity where query like '%dying%' and wait_event = 'ClientWrite'"
    wait_until(lambda: postgres.sql(stuck).strip() == "1", "a server that waits")
    postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%dying%' "
                 "and pid <> pg_backend_pid()")
    try:
        body = client.getresponse().read()
        assert b'"sqlstate":"57P01"' in body[-1000:] or b'"sqlstate":"08006"' in body[-1000:]
    except (http.client.IncompleteRead, ConnectionError):
        pass  # in the middle of a row nothing else can be said
    client.close()
    assert rows(ask(weir, "select 1 as n")) == [[{"n": 1}]]


# ---- NDJSON ------------------------------------------------------------------------------------


def test_lines_come_with_their_querys_number_and_an_end(door):
    said = lines(door(), "select 1 as n", "select 1/0", "insert into pg_temp.nothing values (1)", "select 2 as n")
    assert said[-1] == {"end": {"errors": 2}}
    assert [line for line in said if line.get("i") == 3] == [
        {"i": 3, "fields": [{"name": "n", "type": 23}]}, {"i": 3, "row": {"n": 2}},
        {"i": 3, "done": {"command": "SELECT", "row_count": 1}}]
    assert [line["error"]["sqlstate"] for line in said if "error" in line and line["i"] == 1] == ["22012"]


def test_lines_come_as_they_come(door):
    weir = door()
    body = json.dumps({"queries": ["select pg_sleep(3)::text as s", "select 1 as n"]})
    client = http.client.HTTPConnection("127.0.0.1", weir.http_port, timeout=PATIENCE)
    begun = time.monotonic()
    client.request("POST", "/db", body, {"Accept": "application/x-ndjson"})
    answer = client.getresponse()
    first = json.loads(answer.readline())
    assert (first["i"], time.monotonic() - begun < 2) == (1, True)
    answer.read()
    client.close()


def test_long_lines_of_several_queries_are_whole(door):
    queries = [f"select repeat('{letter}', 3000000) as v from generate_series(1, 3)" for letter in "abcd"]
    said = lines(door(), *queries)
    for i, letter in enumerate("abcd"):
        values = [line["row"]["v"] for line in said if line.get("i") == i and "row" in line]
        assert values == [letter * 3000000] * 3
    assert said[-1] == {"end": {"errors": 0}}


def test_a_transaction_of_lines_says_whether_it_is_committed(door):
    assert lines(door(), "select 1", "select 1/0", mode="transaction")[-1] == {"end": {"errors": 1, "committed": False}}


def stream(weir, body, each=None):
    """How many bytes and lines the answer has."""
    client = http.client.HTTPConnection("127.0.0.1", weir.http_port, timeout=PATIENCE)
    client.request("POST", "/db", json.dumps(body), {"Accept": "application/x-ndjson"})
    answer = client.getresponse()
    size = ends = 0
    last = b""
    while part := answer.read(1 << 20):
        size += len(part)
        ends += part.count(b"\n")
        last = (last + part)[-200:]
        if each:
            each(size)
    client.close()
    return size, ends, last.splitlines()[-1]


def test_a_large_answer_takes_no_memory(door):
    weir = door()
    body = {"queries": ["select n, repeat('x', 1000) as v from generate_series(1, 200000) n"]}
    stream(weir, {"queries": ["select n, repeat('x', 1000) as v from generate_series(1, 20000) n"]})
    before = weir.process.rss_bytes()
    most = []
    size, ends, last = stream(weir, body, lambda _: most.append(weir.process.rss_bytes()))
    assert (size > 200_000_000, ends, json.loads(last)) == (True, 200_003, {"end": {"errors": 0}})
    sanitized = "asan" in pathlib.Path(f"/proc/{weir.process.pid}/maps").read_text()
    assert max(most) - before <= (48 if sanitized else 2) << 20  # a sanitizer keeps what was freed for a while


def test_a_client_that_does_not_read_lets_the_server_wait(door, postgres):
    weir = door()
    body = json.dumps({"queries": ["select n, repeat('x', 1000) as v from generate_series(1, 500000) n /* slowly */"]
                       * 3}).encode()
    with socket.create_connection(("127.0.0.1", weir.http_port), timeout=PATIENCE) as client:
        client.sendall(b"POST /db HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(body) + body)
        waiting = ("select count(*) from pg_stat_activity where query like '%slowly%' and pid <> pg_backend_pid() "
                   "and wait_event = 'ClientWrite'")
        wait_until(lambda: postgres.sql(waiting).strip() == "3", "servers that wait")
        assert weir.process.rss_bytes() < 400 << 20  # sanitized; the answer is 1.5 GB
        assert rows(ask(weir, "select 1 as n")) == [[{"n": 1}]]
    wait_until(lambda: running(postgres, "slowly") == "0", "the queries' end")


# ---- limits ------------------------------------------------------------------------------------


def test_rows_are_limited(door):
    weir = door({"max_rows": 10})
    answer = ask(weir, "select generate_series(1, 11) as n", "select generate_series(1, 10) as n")
    assert (codes(answer), len(rows(answer)[0]), len(rows(answer)[1])) == (["54000", None], 10, 10)
    assert codes(ask(weir, "select generate_series(1, 5) as n", max_rows=4)) == ["54000"]


@pytest.mark.parametrize("mode", ["parallel", "pipeline"])
def test_bytes_out_are_limited_over_all_queries(door, mode):
    weir = door({"max_response": 100_000})
    query = "select repeat('x', 1000) as v from generate_series(1, 60)"
    answer = ask(weir, query, query, "select 1 as n", mode=mode)
    assert sorted(codes(answer)[:2], key=str) == ["54000", None]
    assert len(json.dumps(answer)) < 110_000
    assert lines(weir, query, query)[-1] == {"end": {"errors": 0}}  # not of what is streamed


def test_an_endless_query_ends_at_its_limit(door, postgres):
    answer = ask(door({"max_response": 100_000}), "select generate_series(1, 2000000000) as endless")
    assert codes(answer) == ["54000"]
    wait_until(lambda: running(postgres, "endless") == "0", "its end")


def test_queries_and_bytes_in_are_limited(door, postgres):
    weir = door({"max_queries": 3, "max_body": 10_000})
    status, _, body = post(weir, {"queries": ["select 1"] * 4})
    assert (status, "max_queries" in json.loads(body)["error"]) == (413, True)
    assert post(weir, {"queries": ["select 1" + " " * 10_000]})[0] == 413
    assert post(weir, {"queries": ["select 1"] * 3})[0] == 200


# ---- bad input ---------------------------------------------------------------------------------

BAD = {
    "nothing": b"", "no json": b"hello", "half": b'{"queries": ["insert into db_things values (1)"', "an array": b"[]",
    "two": b'{"queries":["insert into db_things values (1)"]} {}', "no queries": b"{}", "null": b'{"queries":null}',
    "queries a string": b'{"queries":"insert into db_things values (1)"}',
    "a number in queries": b'{"queries":["insert into db_things values (1)", 1]}',
    "sql a number": b'{"queries":[{"sql":1}]}', "params no list": b'{"queries":[{"sql":"select 1","params":{}}]}',
    "db a number": b'{"queries":["insert into db_things values (1)"],"db":1}',
    "db empty": b'{"queries":["insert into db_things values (1)"],"db":""}',
    "timeout negative": b'{"queries":["insert into db_things values (1)"],"timeout_ms":-1}',
    "timeout text": b'{"queries":[{"sql":"insert into db_things values (1)","timeout_ms":"1"}]}',
    "unknown key": b'{"queries":["insert into db_things values (1)"],"mod":"parallel"}',
    "unknown mode": b'{"queries":["insert into db_things values (1)"],"mode":"serial"}',
    "unknown on_error": b'{"queries":["insert into db_things values (1)"],"on_error":"ignore"}',
    "isolation": b'{"queries":["insert into db_things values (1)"],"mode":"transaction","isolation":"none"}',
    "isolation alone": b'{"queries":["insert into db_things values (1)"],"isolation":"serializable"}',
    "read_only text": b'{"queries":["insert into db_things values (1)"],"mode":"transaction","read_only":"yes"}',
    "format": b'{"queries":["insert into db_things values (1)"],"format":"xml"}',
    "max_rows": b'{"queries":["insert into db_things values (1)"],"max_rows":1.5}',
    "redis empty": b'{"queries":["insert into db_things values (1)",{"redis":[]}]}',
    "both": b'{"queries":[{"sql":"insert into db_things values (1)","redis":["GET","k"]}]}',
    "duplicate": b'{"queries":["insert into db_things values (1)"],"queries":["insert into db_things values (2)"]}',
    "utf-8": b'{"queries":["insert into db_things values (1) -- \xff"]}',
    "zero": b'{"queries":["insert into db_things values (1) -- \\u0000"]}',
    "surrogate": b'{"queries":["insert into db_things values (1) -- \\ud800"]}',
    "deep": b'{"queries":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep params": b'{"queries":[{"sql":"insert into db_things values ($1)","params":[' + b"[" * 5000 + b"]" * 5000 + b"]}]}",
    "huge number": b'{"queries":["insert into db_things values (1)"],"timeout_ms":1e999}',
}


@pytest.fixture(scope="module")
def shared(postgres, tmp_path_factory):
    """One weir for all bad bodies."""
    folder = tmp_path_factory.mktemp("db")
    weir = Pooler(folder, {"main": f"host=127.0.0.1 port={postgres.port} dbname=main"}, None, {"ana": ""}, http=OPEN).start()
    yield weir
    weir.close()


@pytest.mark.parametrize("name", BAD)
def test_bad_bodies_are_told_and_nothing_is_executed(shared, table, name):
    client = http.client.HTTPConnection("127.0.0.1", shared.http_port, timeout=PATIENCE)
    client.request("POST", "/db", BAD[name])
    answer = client.getresponse()
    said = json.loads(answer.read())
    assert (answer.status, list(said)) == (400, ["error"])
    assert said["error"]
    assert table() == "0"
    client.request("POST", "/db", '{"queries":["select 1 as n"]}')  # on the same connection
    assert json.loads(client.getresponse().read())["results"][0]["rows"] == [{"n": 1}]
    client.close()


def test_other_methods_and_no_body(shared):
    client = http.client.HTTPConnection("127.0.0.1", shared.http_port, timeout=PATIENCE)
    for method, path, status in (("GET", "/db?sql=select+1", 405), ("PUT", "/db", 405), ("DELETE", "/db", 405),
                                 ("POST", "/db/x", 404)):
        client.request(method, path)
        answer = client.getresponse()
        assert (answer.status, "error" in json.loads(answer.read())) == (status, True)
    client.close()


def raw(weir, text):
    """What is answered until the connection ends."""
    with socket.create_connection(("127.0.0.1", weir.http_port), timeout=PATIENCE) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        heard = b""
        while part := client.recv(65536):
            heard += part
        return heard


def test_smuggling_and_half_bodies_execute_nothing(shared, table):
    body = b'{"queries":["insert into db_things values (1)"]}'
    head = b"POST /db HTTP/1.1\r\nHost: localhost\r\n"
    length = b"Content-Length: %d\r\n" % len(body)
    for text, status in ((head + length + b"Transfer-Encoding: chunked\r\n\r\n" + body, b"400"),
                         (head + b"X: a\r\n b\r\n" + length + b"\r\n" + body, b"400"),
                         (head + b"Content-Length: 2147483648\r\n\r\n" + body, b"413"),
                         (head + length + length.replace(b"4", b"5") + b"\r\n" + body, b"400")):
        assert raw(shared, text)[9:12] == status, text
    assert raw(shared, head + length + b"\r\n" + body[:20])[9:12] == b"400"
    assert table() == "0"


# ---- who may ------------------------------------------------------------------------------------

TOKEN = "0123456789abcdef0123456789abcdef"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_a_token_opens_what_it_says_and_nothing_else(pooler, postgres):
    entry = f"host=127.0.0.1 port={postgres.port} dbname=main"
    weir = pooler({"main": entry, "other": entry}, http={"token.web": f"{TOKEN} database=main user=ana"})
    body = {"queries": ["select current_user as who"]}
    status, _, said = post(weir, body, **bearer(TOKEN))
    assert (status, rows(json.loads(said))) == (200, [[{"who": "ana"}]])
    status, headers, said = post(weir, body)
    assert (status, "Bearer" in headers["www-authenticate"], list(json.loads(said))) == (401, True, ["error"])
    assert post(weir, body, **bearer("x" + TOKEN))[0] == 401
    assert post(weir, {**body, "db": "other"}, **bearer(TOKEN))[0] == 403
    assert post(weir, {**body, "db": "nowhere"}, **bearer(TOKEN))[0] in (403, 404)
    metrics = weir.metrics()
    assert (metrics["weir_http_logins_failed_total"], metrics["weir_http_logins_total"] >= 1) == (2, True)


def test_a_password_is_checked_as_at_a_login(pooler):
    weir = pooler(secrets={"ana": "secret of ana"}, auth_type="scram-sha-256")
    body = {"queries": ["select current_user as who"], "db": "main"}
    for _ in range(2):  # checked, and remembered
        status, _, said = post(weir, body, **basic("ana", "secret of ana"))
        assert (status, rows(json.loads(said))) == (200, [[{"who": "ana"}]])
    assert post(weir, body, **basic("ana", "guess"))[0] == 401
    assert post(weir, body, **basic("nobody", "guess"))[0] == 401
    assert post(weir, body)[0] == 401
    assert [post(weir, body, **basic("ana", f"guess {i}"))[0] for i in range(4)][-1] == 429
    assert post(weir, body, **basic("ana", "secret of ana"))[0] == 200


def test_who_hangs_up_while_a_password_is_checked_harms_nobody(pooler):
    weir = pooler(secrets={"ana": scram_secret("secret of ana", iterations=200_000)}, auth_type="scram-sha-256")
    text = json.dumps({"queries": ["select 1 as n"], "db": "main"}).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in basic("ana", "secret of ana").items()).encode()
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", weir.http_port), timeout=PATIENCE) as client:
            client.sendall(b"POST /db HTTP/1.1\r\nHost: x\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(text) + text)
    wait_until(lambda: weir.metrics()["weir_http_clients_gone_total"] > 0, "one that is gone")
    status, _, said = post(weir, text, **basic("ana", "secret of ana"))
    assert (status, rows(json.loads(said))) == (200, [[{"n": 1}]])


def test_on_loopback_with_postgres_nothing_is_to_be_proved(pooler, postgres):
    weir = pooler(url=f"postgresql://ana@127.0.0.1:{postgres.port}/main")
    assert rows(ask(weir, "select current_user as who")) == [[{"who": "ana"}]]
    assert post(weir, {"queries": ["select 1"]}, Origin="https://evil.example")[0] == 403
    assert post(weir, {"queries": ["select 1"]}, Host="evil.example")[0] == 403


def test_a_database_that_is_not_there(door):
    status, _, body = post(door(), {"queries": ["select 1", {"sql": "select 2", "db": "nowhere"}]})
    assert (status, "queries[1]" in json.loads(body)["error"]) == (404, True)
