"""POST /sql: what Neon's driver is told, row by row, and the unmodified driver itself (node/neon.js)."""
import concurrent.futures
import gzip
import hashlib
import http.client
import json
import pathlib
import signal
import socket
import uuid

import pytest
from harness.clients import run
from harness.process import PATIENCE, wait_until

pytestmark = pytest.mark.weir_only

PROGRAM = pathlib.Path(__file__).parent / "node" / "neon.js"
PASSWORD = "p@ss/w: %ö"
MAIN = "postgresql://ana:p%40ss%2Fw%3A%20%25%C3%B6@db.localtest.me/main?sslmode=require"
ERROR_KEYS = {"message", "code", "detail", "hint", "position", "internalPosition", "internalQuery", "severity", "where",
              "schema", "table", "column", "dataType", "constraint", "file", "line", "routine"}


@pytest.fixture
def start(pooler):
    def of(http=None, **settings):
        return pooler(**{"secrets": {"ana": PASSWORD, "bob": ""}, "http": http or {}, **settings})
    return of


@pytest.fixture
def weir(start):
    return start()


class Sql:
    """A connection of HTTP, and what is asked on it."""

    def __init__(self, weir, address=MAIN, **headers):
        self.client = http.client.HTTPConnection("127.0.0.1", weir.http_port, timeout=PATIENCE)
        self.headers = {} if address is None else {"Neon-Connection-String": address}
        self.headers |= named(headers)

    def send(self, body, method="POST", path="/sql", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.client.request(method, path, body, {**self.headers, **named(headers)})

    def answer(self):
        answer = self.client.getresponse()
        self.answered = answer.headers
        text = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            text = gzip.decompress(text)
        self.size = len(text)
        return answer.status, json.loads(text) if text else None

    def __call__(self, body, **more):
        self.send(body, **more)
        return self.answer()

    def rows(self, query, *params, **headers):
        status, said = self({"query": query, "params": params}, **headers)
        assert status == 200, said
        return said["rows"]

    def error(self, body, status=400, **more):
        """The error, which has all the keys that node-postgres's have."""
        answered, said = self(body, **more)
        assert answered == status and set(said) == ERROR_KEYS, said
        assert self.answered["Content-Type"] == "application/json"
        return said


def named(headers):
    return {name.replace("_", "-"): value for name, value in headers.items()}


# ---- the contract --------------------------------------------------------------------------


def test_one_query_is_answered_as_neon_does(weir):
    sql = Sql(weir)
    field = {"name": "n", "dataTypeID": 23, "tableID": 0, "columnID": 0, "dataTypeSize": 4, "dataTypeModifier": -1,
             "format": "text"}
    status, said = sql({"query": "select $1::int as n", "params": ["1"]}, Neon_Raw_Text_Output="true",
                       Neon_Array_Mode="true", Content_Type="text/plain;charset=UTF-8")
    assert status == 200
    assert said == {"rowAsArray": True, "fields": [field], "rows": [["1"]], "command": "SELECT", "rowCount": 1}
    assert sql.answered["Content-Type"] == "application/json"
    assert uuid.UUID(sql.answered["neon-request-id"]).version == 4
    first = sql.answered["neon-request-id"]
    assert sql({"query": "select 1::int as n"}) == (200, {"rowAsArray": False, "fields": [field], "rows": [{"n": 1}],
                                                         "command": "SELECT", "rowCount": 1})
    assert sql.answered["neon-request-id"] != first
    # only the exact word is true, and a query's own arrayMode counts more than the header
    assert sql({"query": "select 1::int as n"}, Neon_Array_Mode="True", Neon_Raw_Text_Output="1")[1]["rows"] == [{"n": 1}]
    assert sql({"query": "select 1::int as n", "arrayMode": False}, Neon_Array_Mode="true")[1]["rows"] == [{"n": 1}]
    assert sql({"query": "select 1::int as n", "arrayMode": True})[1]["rows"] == [[1]]
    said = sql({"query": "create temporary table t (n int)"})[1]
    assert (said["command"], said["rowCount"], said["fields"], said["rows"]) == ("CREATE", None, [], [])


def test_values_are_json_unless_raw_text_is_wanted(weir):
    sql = Sql(weir)
    query = ("select true as b, 2::int2 as i, 9007199254740993 as l, 1.50::numeric as d, 0.1::float8 as f, "
             "'NaN'::float8 as x, '{\"a\": [1]}'::jsonb as j, '[2:3]={1,null}'::int[] as a, null as n, '\\x00ff'::bytea as y")
    assert sql.rows(query) == [{"b": True, "i": 2, "l": "9007199254740993", "d": "1.50", "f": 0.1, "x": "NaN",
                                "j": {"a": [1]}, "a": [1, None], "n": None, "y": "\\x00ff"}]
    assert sql.rows(query, Neon_Raw_Text_Output="true") == [
        {"b": "t", "i": "2", "l": "9007199254740993", "d": "1.50", "f": "0.1", "x": "NaN", "j": '{"a": [1]}',
         "a": "[2:3]={1,NULL}", "n": None, "y": "\\x00ff"}]


def test_parameters_may_be_any_json(weir):
    sql = Sql(weir)
    said = sql.rows("select $1::text as a, $2::text as b, $3::text as c, $4::text as d, $5::text as e, $6::text as f",
                    None, True, 1.5, "tex\"t", [1, [None], "a b", {"k": 1}], {"a": [1]})
    assert said == [{"a": None, "b": "true", "c": "1.5", "d": 'tex"t', "e": '{1,{NULL},"a b","{\\"k\\":1}"}',
                     "f": '{"a":[1]}'}]
    assert sql.rows("select $1::int[] as a, $2::jsonb as j", [[1, 2], [3, None]], {"a": 1}) == [
        {"a": [[1, 2], [3, None]], "j": {"a": 1}}]
    assert "bind message supplies 0 parameters" in sql.error({"query": "select $1::int", "params": []})["message"]
    assert len(sql.rows("select " + ",".join(f"${n}::int as c{n}" for n in range(1, 1001)), *range(1000))[0]) == 1000


def test_a_batch_is_a_transaction_and_its_options_come_back(weir):
    sql = Sql(weir)
    ask = {"queries": [{"query": f"show transaction_{what}"} for what in ("isolation", "read_only", "deferrable")]}
    shown = [result["rows"][0] for result in sql(ask, Neon_Batch_Isolation_Level="Serializable", Neon_Batch_Read_Only="true",
                                                Neon_Batch_Deferrable="true")[1]["results"]]
    assert shown == [{"transaction_isolation": "serializable"}, {"transaction_read_only": "on"},
                     {"transaction_deferrable": "on"}]
    assert [sql.answered[f"Neon-Batch-{name}"] for name in ("Isolation-Level", "Read-Only", "Deferrable")] == [
        "Serializable", "true", "true"]
    status, said = sql(ask, Neon_Batch_Read_Only="yes")
    assert status == 200 and said["results"][1]["rows"] == [{"transaction_read_only": "off"}]
    assert not [name for name in sql.answered if name.lower().startswith("neon-batch")]
    assert sql({"queries": []}) == (200, {"results": []})
    one = sql({"queries": [{"query": "select $1::int as n", "params": [1], "arrayMode": True}]})[1]
    assert [list(one), one["results"][0]["rows"]] == [["results"], [[1]]]
    assert sql.error(ask, Neon_Batch_Isolation_Level="serializable")["message"] == "invalid isolation level"


def test_the_first_error_rolls_a_batch_back(weir, postgres):
    postgres.sql("drop table if exists batch; create table batch (n int unique deferrable initially deferred)")
    sql = Sql(weir)
    insert = {"query": "insert into batch values ($1)", "params": [1]}
    error = sql.error({"queries": [insert, {"query": "select 1/0"}, insert]})
    assert (error["code"], error["severity"], error["message"]) == ("22012", "ERROR", "division by zero")
    error = sql.error({"queries": [insert, insert, {"query": "select 1"}]})  # said by COMMIT
    assert (error["code"], error["table"], error["line"].isdigit()) == ("23505", "batch", True)
    assert sql.error({"queries": [insert, {"query": "select pg_terminate_backend(pg_backend_pid())"}]})["code"] == "57P01"
    assert sql.error({"queries": [{"query": "commit"}, {"query": "select 1"}]})["code"] == "25P01"
    assert sql.rows("select count(*)::int as n from batch") == [{"n": 0}]
    assert sql({"queries": [insert, {"query": "select 1 as n"}]})[0] == 200
    assert sql.rows("select count(*)::int as n from batch") == [{"n": 1}]


def test_options_tells_what_may_be_sent(start):
    for origins, told in (("", None), ("*", "*")):
        sql = Sql(start({"cors_origins": origins}), address=None)
        assert sql(b"", method="OPTIONS", Origin="https://app.example.org") == (200, None)
        assert sql.answered["Allow"] == "OPTIONS, POST"
        assert sql.answered["Access-Control-Max-Age"] == "86400"
        assert sql.answered["Access-Control-Allow-Headers"] == (
            "Authorization, Neon-Connection-String, Neon-Raw-Text-Output, Neon-Array-Mode, Neon-Pool-Opt-In, "
            "Neon-Batch-Read-Only, Neon-Batch-Isolation-Level, Neon-Batch-Deferrable")
        assert sql.answered["Access-Control-Allow-Origin"] == told
        assert sql({"query": "select 1"}, Neon_Connection_String=MAIN)[0] == 200
        assert sql.answered["Access-Control-Allow-Origin"] == told


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_no_other_method_is_one(weir, method):
    assert Sql(weir)(b"", method=method) == (400, "query is not supported")


def test_without_neon_there_is_no_such_page(start):
    sql = Sql(start({"neon": 0}))
    sql.send({"query": "select 1"})
    assert sql.answer()[0] == 404


# ---- who -----------------------------------------------------------------------------------

WRONG_ADDRESS = {
    None: "invalid header: neon-connection-string",
    "mysql://a:b@c/d": "incorrect scheme",
    "postgres://a:b@/d": "missing hostname",
    "postgres://a:b@c": "missing database name",
    "postgres://:b@c/d": "missing username",
    "postgres://a@c/d": "missing authentication credentials: required password",
}


@pytest.mark.parametrize("address", WRONG_ADDRESS)
def test_a_wrong_connection_string_is_told(weir, address):
    assert Sql(weir, address).error({"query": "select 1"})["message"] == WRONG_ADDRESS[address]


def test_a_password_is_checked_as_a_login_would_be(weir):
    for user, password in (("ana", "wrong"), ("nobody", "p")):
        sql = Sql(weir, f"postgresql://{user}:{password}@h/main")
        error = sql.error({"query": "select 1"})
        assert error["message"] == f"password authentication failed for user '{user}'" and error["code"] == "28P01"
    assert Sql(weir).rows("select current_user as who") == [{"who": "ana"}]
    error = Sql(weir, MAIN.replace("/main", "/nowhere")).error({"query": "select 1"})
    assert (error["message"], error["code"]) == ('database "nowhere" does not exist', "3D000")


def test_who_guesses_is_slowed_down_and_who_knows_is_not(weir):
    assert Sql(weir).rows("select 1 as n") == [{"n": 1}]
    told = [Sql(weir, f"postgresql://ana:guess{n}@h/main")({"query": "select 1"})[0] for n in range(8)]
    assert told[:3] == [400] * 3 and told[-1] == 429, told
    sql = Sql(weir, "postgresql://ana:another@h/main")
    sql.error({"query": "select 1"}, status=429)
    assert int(sql.answered["Retry-After"]) >= 1
    assert Sql(weir).rows("select 1 as n") == [{"n": 1}]


def test_a_token_does_instead_of_a_password(start):
    sql = Sql(start({"token.web": "0123456789abcdef0123 database=main user=bob"}), "postgresql://whoever@h/main",
              Authorization="Bearer 0123456789abcdef0123")
    assert sql.rows("select current_user as who") == [{"who": "bob"}]
    assert sql.error({"query": "select 1"}, Authorization="Bearer wrong")["message"] == "there is no such token"
    error = sql.error({"query": "select 1"}, Neon_Connection_String="postgresql://whoever@h/other")
    assert error["message"] == "this token is not for that database"


def test_open_asks_nobody_but_strange_pages(start):
    sql = Sql(start({"open": 1, "user": "bob"}), "postgresql://me@localhost/main")
    assert sql.rows("select current_user as who") == [{"who": "bob"}]
    sql.error({"query": "select 1"}, Origin="https://evil.example")
    sql.error({"query": "select 1"}, Host="evil.example")
    assert sql.rows("select 1 as n") == [{"n": 1}]


# ---- what is wrong, and what is too much ---------------------------------------------------

WRONG_BODY = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "no query": b"{}",
    "a number": b'{"query": 1}',
    "params of another type": b'{"query": "select 1", "params": {}}',
    "arrayMode of another type": b'{"query": "select 1", "arrayMode": "true"}',
    "queries of another type": b'{"queries": {}}',
    "a query in queries of another type": b'{"queries": ["select 1"]}',
    "a zero": b'{"query": "select 1\\u0000"}',
    "invalid UTF-8": b'{"query": "select \'\xff\'"}',
    "deep": b'{"query": "select 1", "params": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    "a key twice": b'{"query": "select 1", "query": "select 2"}',
}


@pytest.mark.parametrize("name", WRONG_BODY)
def test_a_wrong_body_is_told(weir, name):
    sql = Sql(weir)
    assert sql.error(WRONG_BODY[name])["message"]
    assert sql.rows("select 1 as n") == [{"n": 1}]


def test_what_the_server_says_is_told_whole(weir):
    error = Sql(weir).error({"query": "select nothing from pg_class"})
    assert error["message"] == 'column "nothing" does not exist'
    assert (error["severity"], error["code"], error["position"], error["detail"]) == ("ERROR", "42703", "8", None)
    assert error["routine"] and error["file"].endswith(".c")


def test_too_large_an_answer_is_507_and_leaves_nothing_behind(start):
    weir = start({"max_response": 100_000}, default_pool_size=1)
    sql = Sql(weir)
    big = {"query": "select repeat('x', 1000) as t from generate_series(1, $1)", "params": [90]}
    assert sql(big)[0] == 200 and 90_000 < sql.size <= 100_000
    error = sql.error({**big, "params": [1_000_000]}, status=507)
    assert error["message"] == "response is too large (max is 100000 bytes)"
    assert sql({"queries": [big]})[0] == 200
    error = sql.error({"queries": [big, big]}, status=507)  # all results together count
    assert error["message"] == "response is too large (max is 100000 bytes)"
    error = sql.error({"query": "select repeat('x', 50000000) as t"}, status=507)
    assert sql.rows("select 1 as n") == [{"n": 1}]


def test_too_many_rows_are_507(start):
    sql = Sql(start({"max_rows": 10}))
    assert len(sql.rows("select generate_series(1, 10)")) == 10
    assert "10" in sql.error({"query": "select generate_series(1, 11)"}, status=507)["message"]
    assert sql.rows("select 1 as n") == [{"n": 1}]


def test_too_large_a_request_is_413_and_too_many_queries_are_told(start):
    weir = start({"max_body": 2000, "max_queries": 3})
    sql = Sql(weir)
    sql.send({"query": "select 1", "params": ["x" * 3000]})
    assert sql.answer()[0] == 413
    sql = Sql(weir)
    assert sql({"queries": [{"query": "select 1"}] * 3})[0] == 200
    assert "3" in sql.error({"queries": [{"query": "select 1"}] * 4}, status=413)["message"]


def test_a_request_that_takes_too_long_is_canceled(start, postgres):
    sql = Sql(start({"request_timeout": 0.3}, default_pool_size=1))
    for ask in ({"query": "select pg_sleep(600)"}, {"queries": [{"query": "select 1"}, {"query": "select pg_sleep(600)"}]}):
        error = sql.error(ask)
        assert (error["code"], error["message"]) == ("57014", "canceling statement due to request_timeout")
    assert sql.rows("select 1 as n") == [{"n": 1}]


def test_copy_is_refused(start, postgres):
    postgres.sql("drop table if exists not_copied; create table not_copied (n int)")
    sql = Sql(start(default_pool_size=1))
    for query in ("copy not_copied to stdout", "copy not_copied from stdin", "copy (select generate_series(1, 100000)) to stdout"):
        for ask in ({"query": query}, {"queries": [{"query": query}]}):
            assert sql.error(ask)["code"] == "0A000"
            assert sql.rows("select 1 as n") == [{"n": 1}]


def test_a_server_that_is_not_there_is_500(pooler):
    weir = pooler(databases={"main": "host=127.0.0.1 port=1 dbname=main"}, secrets={"ana": PASSWORD})
    for _ in range(2):
        error = Sql(weir).error({"query": "select 1"}, status=500)
        assert error["code"] == "08006" and "refused" in error["message"]


def test_who_hangs_up_has_its_query_canceled(weir, postgres):
    def running():
        return int(postgres.sql("select count(*) from pg_stat_activity where query like '%hung up on%' and state = 'active' "
                                "and pid <> pg_backend_pid()"))
    for ask in ({"query": "select pg_sleep(600), 'hung up on'"}, {"queries": [{"query": "select pg_sleep(600), 'hung up on'"}]}):
        sql = Sql(weir)
        sql.send(ask)
        wait_until(lambda: running() == 1, "the query")
        sql.client.sock.close()
        sql.client.close()
        wait_until(lambda: running() == 0, "the end of the query")
    assert Sql(weir).rows("select 1 as n") == [{"n": 1}]


def test_a_large_answer_is_compressed_for_who_takes_it(weir):
    sql = Sql(weir)
    rows = sql.rows("select repeat('x', 100) as t from generate_series(1, 1000)", Accept_Encoding="gzip")
    assert sql.answered["Content-Encoding"] == "gzip" and rows == [{"t": "x" * 100}] * 1000


def test_a_large_answer_is_sent_as_it_is_taken(start):
    weir = start(default_pool_size=1)
    for headers in ({}, {"Accept_Encoding": "gzip"}):
        sql = Sql(weir)
        rows = sql.rows("select n, md5(n::text) as sum from generate_series(1, 300000) n", **headers)
        assert sql.answered["Transfer-Encoding"] == "chunked" and sql.size > 10_000_000
        assert all(row == {"n": n + 1, "sum": hashlib.md5(str(n + 1).encode()).hexdigest()} for n, row in enumerate(rows))
    slow = Sql(weir)
    slow.send({"query": "select repeat('x', 60000000) as t"})
    # the server is given back before its answer is taken
    wait_until(lambda: Sql(weir).rows("select 1 as n") == [{"n": 1}])
    gone = Sql(weir)
    gone.send({"query": "select repeat('x', 60000000) as t"})
    link = gone.client.sock
    assert gone.client.getresponse().read(1000)
    link.shutdown(socket.SHUT_RDWR)
    assert slow.answer()[1]["rows"] == [{"t": "x" * 60_000_000}]
    assert slow.rows("select 1 as n") == [{"n": 1}]


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_every_mode_of_a_pool_serves(start, mode):
    sql = Sql(start(pool_mode=mode))
    assert sql.rows("select 1 as n") == [{"n": 1}]
    if mode == "statement":
        assert sql.error({"queries": [{"query": "select 1"}]})["code"] == "08P01"
    else:
        assert sql({"queries": [{"query": "select 1"}]})[0] == 200


def test_large_parameters_arrive_whole(weir):
    text = "ö\"\\" * 1_000_000
    assert Sql(weir).rows("select length($1::text) as n, md5($1::text) as sum", text) == [
        {"n": len(text), "sum": hashlib.md5(text.encode()).hexdigest()}]


def test_a_server_that_dies_in_the_middle_is_told(start):
    sql = Sql(start(default_pool_size=1))
    error = sql.error({"query": "select pg_terminate_backend(pg_backend_pid())"})
    assert (error["code"], error["severity"]) == ("57P01", "FATAL")
    assert sql.rows("select 1 as n") == [{"n": 1}]


def test_nobody_is_told_what_another_asked(start):
    """Many who ask all the time, few servers, and some who hang up in the middle."""
    weir = start(default_pool_size=3)

    def ask(number):
        sql = Sql(weir)
        heard = []
        for turn in range(40):
            mine = f"{number}.{turn}."
            if number % 4 == 3:
                sql.send({"query": "select repeat($1, 50000) as t, pg_sleep(0.002)::text as s", "params": [mine]})
                sql.client.sock.shutdown(socket.SHUT_RDWR)
                sql.client.close()
            elif turn % 3 == 0:
                heard.append(sql.rows("select repeat($1, 2000) as t", mine) == [{"t": mine * 2000}])
            elif turn % 3 == 1:
                heard.append(sql.error({"query": f"select '{mine}'::int"})["message"].endswith(f'"{mine}"'))
            else:
                status, said = sql({"queries": [{"query": "select $1 as t", "params": [mine + str(n)]} for n in range(5)]})
                heard.append([result["rows"] for result in said["results"]] == [[{"t": mine + str(n)}] for n in range(5)])
        return heard

    with concurrent.futures.ThreadPoolExecutor(16) as crowd:
        for heard in crowd.map(ask, range(16)):
            assert all(heard)
    wait_until(lambda: Sql(weir).rows("select 1 as n") == [{"n": 1}])


def test_a_stop_waits_for_what_is_asked(weir, postgres):
    sql = Sql(weir)
    sql.send({"queries": [{"query": "select pg_sleep(0.5)"}, {"query": "select 1 as n, 'asked before the stop' as t"}]})
    wait_until(lambda: "1" == postgres.sql("select count(*) from pg_stat_activity where query like '%pg_sleep(0.5)%' "
                                           "and state = 'active' and pid <> pg_backend_pid()").strip(), "the query")
    weir.process.send(signal.SIGTERM)
    status, said = sql.answer()
    assert status == 200 and said["results"][1]["rows"] == [{"n": 1, "t": "asked before the stop"}]
    assert sql.answered["Connection"] == "close"


def test_requests_leave_nothing_behind_for_others(start):
    weir = start(default_pool_size=1)
    sql = Sql(weir)
    for leave in ("set datestyle to 'German'", "create temporary table left_over (n int)", "begin", "listen somebody",
                  "prepare left_over as select 1", "select set_config('application_name', 'left', false)"):
        assert sql({"query": leave})[0] == 200, leave
    assert sql.rows("select current_setting('datestyle') as d, to_regclass('pg_temp.left_over') as t, "
                    "(select count(*)::int from pg_prepared_statements where name = 'left_over') as p") == [
                        {"d": "ISO, MDY", "t": None, "p": 0}]
    assert sql.rows("select now()::text as t") != sql.rows("select now()::text as t"), "another transaction"


# ---- Neon's own driver ---------------------------------------------------------------------


def drive(weir, postgres, modules, *scenarios):
    env = {"NODE_PATH": modules, "NODE_OPTIONS": "--no-deprecation"}
    return json.loads(run(["node", PROGRAM, weir.http_port, postgres.port, *scenarios], env=env, patience=150))


@pytest.fixture
def driven(weir, postgres, modules):
    return lambda *scenarios: drive(weir, postgres, modules, *scenarios)


def test_the_driver_is_told_what_node_postgres_is(driven):
    both = driven("same")["same"]
    for form in ("objects", "arrays"):
        wrong = [(text, direct, neon) for text, direct, neon in both[form] if without_name(neon) != without_name(direct)]
        assert not wrong, f"{form}: {wrong}"
        assert sum("error" in neon for _, _, neon in both[form]) == 12


def without_name(answer):
    """The class of the error is the driver's own, and of an empty query Neon says "" for a command."""
    return {key: value or None for key, value in answer.items() if key != "error"}


def test_the_driver_has_its_templates(driven):
    assert driven("templates")["templates"] == [
        [{"n": 42, "t": "a"}],
        [{"list": [1, 2, 3], "none": None, "b": "true"}],
        [{"bytes": {"bytes": "0001feff"}}],
        [{"nested": 3}],
        [{"t": "plain"}],
        [[1, 2]],
        ["_parsers", "_types", "command", "fields", "rowAsArray", "rowCount", "rows", "viaNeonFetch"],
    ]


def test_the_driver_has_its_transactions(driven):
    said = driven("transactions")["transactions"]
    assert said["usual"] == said["no"] == said["ReadCommitted"] == ["read committed", "off", "off"]
    assert [said[level][0] for level in ("ReadUncommitted", "RepeatableRead", "Serializable")] == [
        "read uncommitted", "repeatable read", "serializable"]
    assert said["all"] == ["serializable", "on", "on"]
    assert (said["empty"], said["one"], said["modes"]) == ([], [[{"none": True}]], [[[1]], [[2]]])
    assert [(full["rows"], full["command"], full["rowCount"]) for full in said["full"]] == [
        ([{"a": 1}], "SELECT", 1), ([{"b": "x"}], "SELECT", 1)]
    assert said["written"] == [[{"n": 50}], [{"count": 1}]]
    assert [(said[what]["error"], said[what]["code"]) for what in ("readOnly", "failed", "deferred", "commits")] == [
        ("NeonDbError", "25006"), ("NeonDbError", "22012"), ("NeonDbError", "23505"), ("NeonDbError", "25P01")]
    assert said["deferred"]["detail"] == "Key (n)=(1) already exists."
    assert (said["kept"], said["later"]) == ([50, 80], [{"n": 0}])  # 80 was committed by the batch itself


def test_the_driver_is_refused_in_words_it_understands(driven):
    said = driven("refused")["refused"]
    assert said["right"] == [{"who": "ana", "db": "main"}]
    assert [said[who]["error"] for who in ("wrong", "nobody", "nowhere")] == ["NeonDbError"] * 3
    assert said["wrong"]["message"] == "password authentication failed for user 'ana'"
    assert said["nobody"]["message"] == "password authentication failed for user 'nobody'"
    assert said["nowhere"]["message"] == 'database "no"where" does not exist'


def test_the_driver_tells_of_limits(start, postgres, modules):
    said = drive(start({"max_response": 10_000, "max_body": 10_000}), postgres, modules, "limits")["limits"]
    assert "HTTP status 507" in said["answer"] and "response is too large (max is 10000 bytes)" in said["answer"]
    assert said["request"].startswith("NeonDbError: Server error (HTTP status 413)")
    assert said["after"] == [{"n": 1}]


def test_many_drivers_share_few_servers_and_may_go(driven):
    said = driven("crowd", "aborted")
    assert said["crowd"] == ["22012" if n % 10 == 9 else n for n in range(100)]
    assert said["aborted"] == ["NeonDbError", 0, [{"n": 1}]]
