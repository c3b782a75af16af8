"""What the HTTP door makes of PostgreSQL's own answers: every type, and parameters of every kind.

The translators alone (harness/results.c), between this test and a server; psycopg says what it must be."""
import decimal
import json
import pathlib
import struct
import subprocess

import psycopg
import pytest

from harness import pooler
from harness.wire import SYNC, Wire, copy_fail

pytestmark = pytest.mark.weir_only

BIG = "x" * 200
# a value in SQL, and what it is in JSON when types count
VALUES = [
    ("true", True),
    ("null::bool", None),
    ("(-32768)::int2", -32768),
    ("2147483647", 2147483647),
    ("9223372036854775807::int8", "9223372036854775807"),
    ("1.50::numeric", "1.50"),
    ("'NaN'::numeric", "NaN"),
    ("(10::numeric ^ 200)", str(10 ** 200) + "." + "0" * 16),
    ("1.1::float4", 1.1),
    ("1e300::float8", 1e300),
    ("0.1::float8 + 0.2::float8", 0.1 + 0.2),
    ("'NaN'::float8", "NaN"),
    ("'-Infinity'::float4", "-Infinity"),
    ("''::text", ""),
    ("E'q\" b\\\\ n\\n \\u00e9 \\U0001F418'::text", 'q" b\\ n\n \u00e9 \U0001F418'),
    (f"'{BIG}'::varchar", BIG),
    ("'a'::char(3)", "a  "),
    ("'c'::\"char\"", "c"),
    ("'\\x00ff'::bytea", "\\x00ff"),
    ("date '2026-11-21'", "2026-11-21"),
    ("timestamp 'infinity'", "infinity"),
    ("timestamptz '2026-11-21 16:15:43.5+00'", "2026-11-21 16:15:43.5+00"),
    ("time '16:15'", "16:15:00"),
    ("timetz '16:15+02'", "16:15:00+02"),
    ("interval '1 day 02:03:04'", "1 day 02:03:04"),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("'{\"a\":\n [1, null, \"\\u00e9\\n\"]}'::json", {"a": [1, None, "\u00e9\n"]}),
    ("'{\"b\": {\"c\": 1.5e2}, \"a\": []}'::jsonb", {"a": [], "b": {"c": 150}}),
    ("'null'::jsonb", None),
    ("'\"text\"'::json", "text"),
    ("'$.a'::jsonpath", '$."a"'),
    ("'<a/>'::xml", "<a/>"),
    ("b'101'", "101"),
    ("b'1'::varbit", "1"),
    ("'1.2.3.4/8'::inet", "1.2.3.4/8"),
    ("'10.0.0.0/8'::cidr", "10.0.0.0/8"),
    ("'08:00:2b:01:02:03'::macaddr", "08:00:2b:01:02:03"),
    ("'12.34'::money", "$12.34"),
    ("point(1,2)", "(1,2)"),
    ("box(point(1,1),point(0,0))", "(1,1),(0,0)"),
    ("int4range(1, 5)", "[1,5)"),
    ("'{[1,2),[3,4)}'::int4multirange", "{[1,2),[3,4)}"),
    ("to_tsvector('simple', 'b a')", "'a':2 'b':1"),
    ("row(1, 'a b', null)", '(1,"a b",)'),
    ("'main'::name", "main"),
    ("1::oid", "1"),
    ("'1 2'::int2vector", "1 2"),
    ("'pg_class'::regclass", "pg_class"),
    ("'0/16'::pg_lsn", "0/16"),
    # arrays
    ("'{}'::int[]", []),
    ("array[1, null, -3]", [1, None, -3]),
    ("array[[1,2],[3,4]]", [[1, 2], [3, 4]]),
    ("'[0:1]={1,2}'::int[]", [1, 2]),
    ("'[1:1][-2:-1][3:5]={{{1,2,3},{4,5,6}}}'::int[]", [[[1, 2, 3], [4, 5, 6]]]),
    ("array[true, false]", [True, False]),
    ("array[1.5, 'NaN', '-Infinity']::float8[]", [1.5, "NaN", "-Infinity"]),
    ("array[1, 2]::int8[]", ["1", "2"]),
    ("array[1.10]::numeric[]", ["1.10"]),
    ("array['', 'a', 'NULL', 'null', null, 'a,b', '{', '\"', E'\\\\', E'\\n', ' x ', 'é']",
     ["", "a", "NULL", "null", None, "a,b", "{", '"', "\\", "\n", " x ", "é"]),
    (f"array['{BIG}', '{BIG} {BIG}']", [BIG, f"{BIG} {BIG}"]),
    ("array['{\"a\": [1, \"\\\"\"]}', 'null', '1', null]::jsonb[]", [{"a": [1, '"']}, None, 1, None]),
    ("array['[1,2]']::json[]", [[1, 2]]),
    ("array['\\x00'::bytea]", ["\\x00"]),
    ("array[timestamp '2026-11-21']", ["2026-11-21 00:00:00"]),
    ("array[box(point(1,1),point(0,0)), box(point(2,2),point(0,0))]", ["(1,1),(0,0)", "(2,2),(0,0)"]),
    ("array[int4range(1,2), null]", ["[1,2)", None]),
    ("array['{[1,2)}'::int8multirange]", ["{[1,2)}"]),
    ("array['1 2'::int2vector]", ["1 2"]),
    ("array['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid]", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
]
NAMES = [f"c{i}" for i in range(len(VALUES))]


@pytest.fixture(scope="module")
def translate():
    program = pathlib.Path(pooler.PROGRAM).resolve().parent.parent / "tests" / "results"

    def run(*arguments, given):
        return subprocess.run([program, *arguments], input=given, capture_output=True, check=True, timeout=60).stdout

    return run


@pytest.fixture
def answer(postgres, translate):
    """answer(sql, params): the bytes that a server says to it."""
    wire = Wire(postgres.port)
    wire.login("ana", DateStyle="ISO")

    def ask(sql, params=(), behind=b""):
        wire.send(translate("ask", given=json.dumps({"sql": sql, "params": params}).encode()), behind)
        return b"".join(each.kind.encode() + struct.pack("!i", len(each.payload) + 4) + each.payload
                        for each in wire.read_until("Z"))

    with wire:
        yield ask


def select(values):
    return "select " + ", ".join(f"{sql} as {name}" for (sql, _), name in zip(values, NAMES))


def pieces(said):
    return 1, 7, 4096, len(said)


def test_every_type_as_json(answer, translate):
    said = answer(select(VALUES))
    for piece in pieces(said):
        told = json.loads(translate("neon", str(piece), given=said))
        assert {name: told["rows"][0][name] for name in NAMES} == dict(zip(NAMES, (json_ for _, json_ in VALUES)))
        assert (told["command"], told["rowCount"], told["rowAsArray"]) == ("SELECT", 1, False)
        told = json.loads(translate("db+arrays", str(piece), given=said))
        assert told["rows"] == [[value for _, value in VALUES]]
        lines = translate("lines+arrays", str(piece), given=said).decode().splitlines()
        assert [list(json.loads(line))[1] for line in lines] == ["fields", "row", "done"]
        assert json.loads(lines[1])["row"] == told["rows"][0]


def test_every_type_as_text(answer, translate, postgres):
    """The same text that psycopg's libpq got."""
    said = answer(select(VALUES))
    with psycopg.connect(f"host=127.0.0.1 port={postgres.port} user=ana dbname=main") as connection:
        connection.execute("set datestyle to iso")
        result = connection.pgconn.exec_(select(VALUES).encode())
    texts = [result.get_value(0, i) for i in range(len(VALUES))]
    expected = [None if text is None else text.decode() for text in texts]
    for form in ("neon+arrays+text", "db+arrays+text"):
        assert json.loads(translate(form, "5", given=said))["rows"] == [expected]
    fields = json.loads(translate("neon", "3", given=said))["fields"]
    assert [field["dataTypeID"] for field in fields] == [result.ftype(i) for i in range(len(VALUES))]
    assert [field["dataTypeSize"] for field in fields] == [result.fsize(i) for i in range(len(VALUES))]
    assert [field["dataTypeModifier"] for field in fields] == [result.fmod(i) for i in range(len(VALUES))]


def test_big_numbers_where_they_are_asked_for(answer, translate):
    said = answer("select 9223372036854775807::int8 as a, 1.10::numeric as b, 'NaN'::numeric as c, array[1]::int8[] as d")
    told = json.loads(translate("db+numbers", "9", given=said), parse_float=decimal.Decimal)
    assert told["rows"] == [{"a": 9223372036854775807, "b": decimal.Decimal("1.10"), "c": "NaN", "d": [1]}]


def test_every_array_of_a_server_is_known_and_no_other_type_is_one(answer, translate, postgres):
    """An array type that is told as a string, or a type told as an array that is none, has a wrong row in types.c."""
    with psycopg.connect(f"host=127.0.0.1 port={postgres.port} user=postgres dbname=main", autocommit=True) as admin:
        types = admin.execute("""select oid, format_type(oid, null), typcategory = 'A' and oid not in (22, 30)
            from pg_type where oid < 10000 and typtype in ('b', 'r', 'm') and typname not like '\\_pg\\_%'
            order by oid""").fetchall()
        columns = []
        for _, name, is_array in types:
            if is_array:
                columns.append((f"'{{}}'::{name}", []))
    assert len(columns) > 60
    for start in range(0, len(columns), 30):
        some = columns[start:start + 30]
        told = json.loads(translate("db+arrays", "11", given=answer(select(some))))
        assert told.get("rows") == [[value for _, value in some]], told


def test_parameters_are_what_they_were(answer, translate):
    """Through the server and back."""
    cases = [
        ("text", "a\n\"b\\ é"), ("text", ""), ("text", None), ("int", 42), ("bool", True), ("float8", 0.1),
        ("float8", 1e30), ("float8", 1 / 3), ("jsonb", {"a": [1, 0.1, None, "x\n\"\\"], "b": {}}),
        ("text[]", ["a", "", "NULL", None, "a\nb", "\"", "\\", "{", ",", " x ", "é"]), ("int[]", [[1, 2], [3, None]]),
        ("bool[]", [True, False]), ("float8[]", [0.1, 1.0]), ("jsonb[]", [{"a": "\"\\\n"}, {"b": [1, [2]]}]),
        ("text[]", []),
    ]
    sql = "select " + ", ".join(f"${i + 1}::{kind} as c{i}" for i, (kind, _) in enumerate(cases))
    told = json.loads(translate("neon+arrays", "13", given=answer(sql, [value for _, value in cases])))
    assert told.get("rows") == [[value for _, value in cases]], told


def test_errors_are_the_servers(answer, translate):
    said = answer("select $1::int", [])
    told = json.loads(translate("neon", "3", given=said))
    assert told["message"].startswith("bind message supplies 0 parameters")
    assert set(told) == {
        "message", "severity", "code", "detail", "hint", "position", "internalPosition", "internalQuery", "where",
        "schema", "table", "column", "dataType", "constraint", "file", "line", "routine"}
    assert (told["code"], told["severity"], told["detail"]) == ("08P01", "ERROR", None)
    told = json.loads(translate("db", "3", given=answer("select nothing")))
    assert told["error"]["sqlstate"] == "42703" and told["error"]["position"] == 8
    told = json.loads(translate("db", "1", given=answer("select 1; select 2")))
    assert told["error"]["message"] == "cannot insert multiple commands into a prepared statement"
    told = json.loads(translate("db", "1", given=answer("select 10 / (3 - i) as q from generate_series(1, 5) i")))
    assert told["rows"] == [{"q": 5}, {"q": 10}] and told["error"]["sqlstate"] == "22012"


def test_what_cannot_be_committed_has_failed(answer, translate):
    answer("create table once (n int unique deferrable initially deferred)")
    try:
        assert json.loads(translate("db", "9", given=answer("insert into once values (1)"))) == {
            "fields": [], "rows": [], "command": "INSERT", "row_count": 1}
        said = answer("insert into once values (1)")
        assert [chr(kind) for kind in said if chr(kind) in "CE"][0] == "C"
        told = json.loads(translate("db", "9", given=said))
        assert told["error"]["sqlstate"] == "23505" and "command" not in told
        told = json.loads(translate("db", "2", given=answer("insert into once values (2) returning n")))
        assert told["rows"] == [{"n": 2}]
    finally:
        answer("drop table once")


def test_copy_is_refused(answer, translate):
    """For COPY FROM STDIN a server overlooks the Sync that was sent ahead: it wants another behind CopyFail."""
    answer("create temp table copied (n int)")
    for sql, word, behind in [("copy copied to stdout", "TO STDOUT", b""),
                              ("copy (select generate_series(1, 1000)) to stdout", "TO STDOUT", b""),
                              ("copy copied from stdin", "FROM STDIN", copy_fail("no") + SYNC)]:
        said = answer(sql, behind=behind)
        for form in ("neon", "db"):
            told = json.loads(translate(form, "3", given=said))
            error = told if form == "neon" else told["error"]
            assert error["message"] == f"COPY {word} is not possible over HTTP"
    assert json.loads(translate("db", "3", given=answer("select 1 as n")))["rows"] == [{"n": 1}]


def test_many_columns_and_a_large_value(answer, translate):
    columns = ", ".join(f"'{i}'::text as c{i}" for i in range(1600))
    told = json.loads(translate("db", "1000", given=answer(f"select {columns}")))
    assert told["rows"] == [{f"c{i}": str(i) for i in range(1600)}]
    said = answer("select repeat(E'é\"\\n', 1000000) as t, array[repeat('a b', 100000)] as a")
    whole, cut = (translate("lines", str(piece), given=said) for piece in (len(said), 4093))
    assert whole == cut
    row = json.loads(whole.splitlines()[1])["row"]
    assert row == {"t": 'é"\n' * 1000000, "a": ["a b" * 100000]}


def test_tags(answer, translate):
    for sql, neon, db in [("create temp table gone (n int)", ("CREATE", None), ("CREATE TABLE", None)),
                          ("", ("", None), ("", None)),
                          ("values (1), (2)", ("SELECT", 2), ("SELECT", 2)),
                          ("insert into gone values (1), (2)", ("INSERT", 2), ("INSERT", 2)),
                          ("begin", ("BEGIN", None), ("BEGIN", None)),
                          ("commit", ("COMMIT", None), ("COMMIT", None))]:
        said = answer(sql)
        told = json.loads(translate("neon", "2", given=said))
        assert (told["command"], told["rowCount"]) == neon
        told = json.loads(translate("db", "2", given=said))
        assert (told["command"], told["row_count"]) == db
