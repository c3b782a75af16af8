"""Ordinary clients doing ordinary things."""
import subprocess

import psycopg
import psycopg2
import pytest
from harness.process import PATIENCE


def psql(postgres, target, *arguments, sql=None, user="ana"):
    return subprocess.run([postgres.bin / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", target.dsn(user=user), *arguments],
                          input=sql, text=True, capture_output=True, timeout=PATIENCE, check=False)


def pgbench(postgres, target, *arguments):
    return subprocess.run([postgres.bin / "pgbench", "-n", "-h", "127.0.0.1", "-p", str(target.port), "-U", "ana",
                           *arguments, "main"], text=True, capture_output=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def bench_tables(postgres):
    subprocess.run([postgres.bin / "pgbench", "-iq", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "postgres",
                    "main"], check=True, capture_output=True, timeout=60)


def test_psql_gets_rows(postgres, weir):
    done = psql(postgres, weir, "-At", "-c", "select generate_series(1, 3)")
    assert (done.stdout, done.stderr, done.returncode) == ("1\n2\n3\n", "", 0)


def test_psql_sees_the_server_s_error(postgres, weir):
    done = psql(postgres, weir, "-c", "select 1/0")
    assert "division by zero" in done.stderr and done.returncode != 0


def test_psql_is_told_the_server_s_version_and_encoding(postgres, weir):
    done = psql(postgres, weir, "-At", sql="\\encoding\n\\echo :SERVER_VERSION_NUM\n")
    assert done.stdout.split()[0] == "UTF8"
    assert done.stdout.split()[1] == postgres.sql("show server_version_num")


def test_psql_may_describe_a_table(postgres, weir):
    done = psql(postgres, weir, "-c", "\\d things")
    assert "things_pkey" in done.stdout and done.returncode == 0


def test_psql_runs_a_script_in_one_transaction(postgres, weir):
    done = psql(postgres, weir, "-1", "-At",
                sql="create temp table t (n int); insert into t values (1), (2);\nselect sum(n) from t;")
    assert (done.stdout, done.returncode) == ("3\n", 0)


@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_pgbench_runs_without_a_failed_transaction(postgres, weir, bench_tables, protocol):
    done = pgbench(postgres, weir, "-S", "-c", "10", "-t", "100", "-M", protocol)
    assert done.returncode == 0, done.stderr
    assert "transactions actually processed: 1000/1000" in done.stdout


@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_pgbench_may_write(postgres, weir, bench_tables, protocol):
    done = pgbench(postgres, weir, "-c", "8", "-t", "20", "-M", protocol)
    assert done.returncode == 0, done.stderr
    assert "transactions actually processed: 160/160" in done.stdout
    assert postgres.sql("select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from "
                        "pgbench_branches)") == "t"


@pytest.mark.weir_only
def test_pgbench_may_prepare_its_statements(postgres, weir, bench_tables):
    done = pgbench(postgres, weir, "-S", "-c", "2", "-t", "50", "-M", "prepared")
    assert done.returncode == 0, done.stderr
    assert "transactions actually processed: 100/100" in done.stdout


def test_psycopg_commits_and_rolls_back(postgres, weir, connect):
    connection = connect(weir, autocommit=False)
    connection.execute("insert into things values (1, 'kept')")
    connection.commit()
    connection.execute("insert into things values (2, 'lost')")
    connection.rollback()
    assert postgres.sql("delete from things returning name") == "kept"


def test_psycopg_sends_parameters_and_reads_types(weir, connect):
    row = connect(weir).execute("select %s::int + 1, %s::text, %s::bytea, null", (41, "ü", b"\0\xff")).fetchone()
    assert row == (42, "ü", b"\0\xff", None)


def test_psycopg_reads_binary_results(weir, connect):
    cursor = connect(weir).cursor(binary=True)
    assert cursor.execute("select 7::int8, 1.5::float8").fetchone() == (7, 1.5)


def test_psycopg2_works(weir):
    connection = psycopg2.connect(weir.dsn())
    with connection, connection.cursor() as cursor:
        cursor.execute("select %s", ("as ever",))
        assert cursor.fetchone() == ("as ever",)
    connection.close()


@pytest.mark.weir_only
def test_asyncpg_works_with_its_prepared_statements(weir):
    import asyncio
    import asyncpg

    async def talk():
        connection = await asyncpg.connect(host="127.0.0.1", port=weir.port, user="ana", database="main", ssl=False)
        values = [await connection.fetchval("select $1::int * 2", number) for number in range(20)]
        async with connection.transaction():
            rows = [row[0] async for row in connection.cursor("select generate_series(1, 200)", prefetch=50)]
        await connection.close()
        return values, rows

    assert asyncio.run(talk()) == ([number * 2 for number in range(20)], list(range(1, 201)))


@pytest.mark.weir_only
def test_psycopg_may_prepare_its_statements(weir, connect):
    connections = [connect(weir, prepare_threshold=0) for _ in range(2)]
    for number in range(10):
        for connection in connections:
            assert connection.execute("select %s::int", (number,)).fetchone() == (number,)


def test_a_large_result_arrives_whole(weir, connect):
    rows = connect(weir).execute("select n, repeat(chr(65 + n % 26), 1000) from generate_series(1, 20000) n").fetchall()
    assert len(rows) == 20000
    assert all(text == chr(65 + number % 26) * 1000 for number, text in rows)


def test_large_results_of_several_clients_arrive_whole(postgres, pooler, folder):
    script = folder / "large.sql"
    script.write_text("select repeat('x', 1000) from generate_series(1, 20000);\n")
    done = pgbench(postgres, pooler(default_pool_size=4), "-f", script, "-c", "4", "-t", "20")
    assert done.returncode == 0, done.stderr
    assert "transactions actually processed: 80/80" in done.stdout


def test_a_large_parameter_arrives_whole(weir, connect):
    text = "weir" * 1_000_000
    assert connect(weir).execute("select length(%s), md5(%s) = md5(repeat('weir', 1000000))",
                                 (text, text)).fetchone() == (4_000_000, True)


def test_a_value_of_60_mb_arrives_whole(weir, connect):
    assert len(connect(weir).execute("select repeat('x', 60000000)").fetchone()[0]) == 60_000_000


def test_an_empty_query_is_answered(weir, connect):
    assert connect(weir).execute("").statusmessage in (None, "")


def test_several_statements_in_one_query_give_several_results(weir, connect):
    cursor = connect(weir).execute("select 1; select 2")
    assert cursor.fetchone() == (1,)
    assert cursor.nextset()
    assert cursor.fetchone() == (2,)


def test_notices_arrive_with_their_text(weir, connect):
    connection = connect(weir)
    heard = []
    connection.add_notice_handler(lambda notice: heard.append(notice.message_primary))
    connection.execute("do $$ begin raise notice 'first'; raise warning 'second'; end $$")
    assert heard == ["first", "second"]


def test_an_error_leaves_the_connection_usable(weir, connect):
    connection = connect(weir)
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("select 1/0")
    assert connection.execute("select 1").fetchone() == (1,)


def test_a_failed_transaction_says_so_until_it_is_rolled_back(weir, connect):
    connection = connect(weir, autocommit=False)
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("select * from nowhere")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        connection.execute("select 1")
    connection.rollback()
    assert connection.execute("select 1").fetchone() == (1,)
