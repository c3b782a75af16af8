"""psycopg 3 and 2, as their manuals use them: many clients, two servers, and nobody notices."""
import contextlib
import itertools
import os
import socket
import threading

import psycopg
import psycopg2
import psycopg2.extensions
import psycopg2.extras
import pytest
from harness.clients import at_once, dsn
from harness.process import PATIENCE, wait_until
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

pytestmark = pytest.mark.weir_only

CLIENTS = 24


def open3(port, **words):
    """psycopg 3 with automatic preparation as early as it goes without asking for it."""
    words = {"autocommit": True, "prepare_threshold": 1, "connect_timeout": 20, **words}
    return psycopg.connect(dsn(port), **words)


def open2(port):
    return psycopg2.connect(dsn(port), connect_timeout=20)


@contextlib.contextmanager
def again_and_again(pause, act):
    """Nobody tells when a query has arrived: a cancel that came too early is no use, and is sent again."""
    over = threading.Event()

    def repeat():
        while not over.wait(pause):
            act()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def for_a_while(connection):
    """psycopg 3.1 waits for notifications for ever: a connection that waits too long is cut."""
    def shut():
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    cut = threading.Timer(PATIENCE, shut)
    cut.start()
    try:
        yield
    finally:
        cut.cancel()


# Statements with the same names and other texts, since psycopg numbers them as they come.
PREPARED = [("select %s::int + 1", 5), ("select %s::text || '!'", "five"), ("select %s::date - 1", "2026-11-21"),
            ("select array[%s::int8, 2]", 7), ("select n from generate_series(1, %s::int) n", 3),
            ("select %s::numeric / 8", 3), ("select jsonb_build_object('n', %s::int)", 9)]


def prepared(port, number, ready):
    with open3(port) as connection:
        connection.prepared_max = 4  # fewer than there are: psycopg deallocates some, by SQL
        ready()
        own = PREPARED[number % 7:] + PREPARED[:number % 7]
        answers = []
        for turn, (sql, value) in enumerate(own * 4):
            answers += connection.execute(sql, (value,)).fetchall()
            if turn in (9, 20):
                ready()  # all have prepared, and nobody has left
        return str(answers)


def test_psycopg_prepares_and_deallocates(compare):
    answers = compare(lambda port: at_once(CLIENTS, lambda *who: prepared(port, *who)))
    assert "([7, 2],)" in answers[0] and "('five!',)" in answers[20]


def prepared_in_transactions(port, number, ready):
    """A rollback and a drop make psycopg forget all, with DEALLOCATE ALL."""
    heard = []
    with open3(port, autocommit=False) as connection:
        ready()
        connection.execute(f"create table work.t{number} (n int, tag text)")
        connection.commit()
        for turn in range(6):
            for n in range(3):
                connection.execute(f"insert into work.t{number} values (%s, %s)", (turn * 10 + n, f"tag {number}"))
            heard += connection.execute(f"select count(*), min(tag) from work.t{number} where n >= %s", (0,)).fetchone()
            if turn % 2:
                connection.rollback()
            else:
                connection.commit()
            ready()
        try:
            connection.execute(f"select %s::int / 0, 'of {number}'", (1,))
        except psycopg.errors.DivisionByZero as error:
            heard.append(error.sqlstate)
        connection.rollback()
        connection.execute(f"drop table work.t{number}")
        connection.commit()
        heard += connection.execute("select %s::int / 2", (84,)).fetchone()
        connection.commit()
    return heard


def test_psycopg_forgets_its_statements_after_a_rollback(compare):
    answers = compare(lambda port: at_once(CLIENTS, lambda *who: prepared_in_transactions(port, *who)))
    assert answers[3][:4] == [3, "tag 3", 6, "tag 3"] and answers[3][-2:] == ["22012", 42]


def changed_under_it(port):
    """The result of a prepared statement changes its type: the server says 0A000 to whoever prepared before."""
    with open3(port) as one, open3(port) as other:
        one.execute("create table work.changing (n int); insert into work.changing values (7)")
        for _ in range(3):
            one.execute("select * from work.changing where n = %s", (7,))
        other.execute("alter table work.changing alter n type bigint, add tag text default 'new'")
        other.execute("select * from work.changing where n = %s", (7,))
        return other.execute("select * from work.changing where n = %s", (7,)).fetchall()


def test_psycopg_prepares_what_another_prepared_before_a_table_changed(compare):
    assert compare(changed_under_it) == [(7, "new")]


def pipelined(port, number, ready):
    heard = []
    with open3(port) as connection:
        ready()
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("select %s::int, %s::text", (n, f"{number}/{n}")) for n in range(30)]
            pipeline.sync()
            heard += [cursor.fetchone() for cursor in cursors]
        try:
            with connection.pipeline():
                connection.execute("select %s::int", (1,))
                connection.execute("select 1 / %s::int", (0,))
                connection.execute("select %s::int", (2,))
        except psycopg.errors.DivisionByZero as error:
            heard.append(error.sqlstate)
        with connection.pipeline(), connection.transaction():
            connection.execute(f"create table work.p{number} (n int)")
            connection.cursor().executemany(f"insert into work.p{number} values (%s)", [(n,) for n in range(50)])
        ready()
        with connection.cursor() as cursor:
            cursor.executemany(f"update work.p{number} set n = n + 1 where n = %s returning n",
                               [(n,) for n in range(5)], returning=True)
            heard.append(cursor.fetchone())
        heard.append(connection.execute(f"select count(*), sum(n) from work.p{number}").fetchone())
    return heard


def test_psycopg_pipelines(compare):
    answers = compare(lambda port: at_once(CLIENTS, lambda *who: pipelined(port, *who)))
    assert answers[5][:1] == [(0, "5/0")] and answers[5][30] == "22012" and answers[5][-1][0] == 50


def cursors(port, number, ready):
    heard = []
    with open3(port, autocommit=False) as connection:
        ready()
        with connection.cursor("rows", scrollable=True) as cursor:
            cursor.execute("select n, %s::text as tag from generate_series(1, 500) n", (f"tag {number}",))
            heard += cursor.fetchmany(3)
            cursor.scroll(100)
            heard += cursor.fetchmany(2)
            cursor.scroll(10, mode="absolute")
            heard.append(cursor.fetchone())
            heard.append(sum(row[0] for row in cursor))
        connection.rollback()
        for binary in (False, True):
            with connection.cursor("rows", binary=binary, row_factory=dict_row) as cursor:
                cursor.itersize = 7
                rows = cursor.execute("select n, n::float8 / 4 as part from generate_series(1, 40) n")
                heard.append([row["part"] for row in rows])
            connection.commit()
            ready()
        with connection.cursor("held", withhold=True) as cursor:
            cursor.execute("select %s::int + n from generate_series(1, 20) n", (number,))
            connection.commit()
            heard.append(cursor.fetchmany(4))
            connection.commit()
            heard.append(cursor.fetchall())
        connection.commit()
    return heard


def test_psycopg_reads_by_server_side_cursors(compare):
    answers = compare(lambda port: at_once(CLIENTS, lambda *who: cursors(port, *who)))
    assert answers[4][0] == (1, "tag 4") and len(answers[4][-1]) == 16


def copies(port, number, ready):
    rows = [(n, f"{number}\t{n}", None if n % 3 else b"\0\xff" * n) for n in range(300)]
    with open3(port) as connection:
        ready()
        table = f"work.c{number}"
        connection.execute(f"create table {table} (n int, tag text, raw bytea)")
        with connection.cursor() as cursor:
            with cursor.copy(f"copy {table} from stdin") as copy:
                for row in rows:
                    copy.write_row(row)
            with cursor.copy(f"copy {table} from stdin (format binary)") as copy:
                copy.set_types(["int4", "text", "bytea"])
                for row in rows:
                    copy.write_row(row)
            with pytest.raises(psycopg.errors.InvalidTextRepresentation):
                with cursor.copy(f"copy {table} from stdin") as copy:
                    for _ in range(2000):
                        copy.write("x\ty\tz\n" * 50)  # which goes on for long after the server's error
            with cursor.copy(f"copy (select n, tag, raw from {table} order by n) to stdout") as copy:
                copy.set_types(["int4", "text", "bytea"])
                heard = list(itertools.islice(copy.rows(), 4)) + [sum(1 for _ in copy.rows())]
            with cursor.copy(f"copy {table} to stdout (format binary)") as copy:
                heard.append(sum(len(piece) for piece in copy))
        return heard


def test_psycopg_copies_both_ways(compare):
    answers = compare(lambda port: at_once(CLIENTS, lambda *who: copies(port, *who)))
    assert answers[6][:2] == [(0, "6\t0", b""), (0, "6\t0", b"")] and answers[6][4] == 596


def transactions(port, number, ready):
    heard = []
    with open3(port, autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        connection.read_only = number % 2 == 0
        connection.deferrable = True
        ready()
        for name in ("transaction_isolation", "transaction_read_only", "transaction_deferrable"):
            heard += connection.execute(f"show {name}").fetchone()
        connection.rollback()
        ready()
        connection.read_only = False
        connection.isolation_level = None
        connection.execute(f"create table work.s{number} (n int)")
        with connection.transaction():
            for n in range(6):
                try:
                    with connection.transaction(f"inner {n}"):
                        connection.execute(f"insert into work.s{number} values (%s)", (n,))
                        connection.execute("select 10 / %s::int", (n % 3,))
                except psycopg.errors.DivisionByZero:
                    heard.append(f"undone {n}")
        connection.commit()
        heard.append(connection.execute(f"select array_agg(n order by n) from work.s{number}").fetchone())
        heard.append(connection.execute("select %s", (Jsonb({"who": number}),)).fetchone())
        connection.commit()
        with again_and_again(0.2, connection.cancel), pytest.raises(psycopg.errors.QueryCanceled) as error:
            connection.execute("select pg_sleep(%s), %s::int", (60, number))
        heard.append(str(error.value).strip())
        connection.rollback()
        heard.append(connection.execute("select %s::int", (number,)).fetchone())
    return heard


def test_psycopg_keeps_its_transactions_savepoints_and_cancels(compare):
    answers = compare(lambda port: at_once(CLIENTS, lambda *who: transactions(port, *who)))
    assert answers[1][:5] == ["serializable", "off", "on", "undone 0", "undone 3"]
    assert answers[1][-2:] == ["canceling statement due to user request", (1,)]


def listening(port, number, ready):
    heard = []
    with open3(port) as listener, open3(port) as teller, for_a_while(listener):
        listener.execute(f"listen own_{number}")
        listener.execute("listen everybody")
        ready()  # all listen
        teller.execute("select pg_notify('everybody', %s)", (f"from {number}",))
        for n in range(5):
            teller.execute("select pg_notify(%s, %s)", (f"own_{number}", f"{number}: {n}"))
        for notify in listener.notifies():
            heard.append((notify.channel, notify.payload))
            if len(heard) == CLIENTS + 5:
                break
        listener.execute("unlisten everybody")
        ready()  # nobody else is to hear what follows
        teller.execute("notify everybody, 'unheard'")
        teller.execute(f"notify own_{number}, 'the end'")
        for notify in listener.notifies():
            heard.append((notify.channel, notify.payload))
            if notify.payload == "the end":
                break
        listener.execute("unlisten *")
    own = [payload for channel, payload in heard if channel != "everybody"]
    return own, sorted(payload for channel, payload in heard if channel == "everybody")


def test_psycopg_hears_notifications(compare):
    answers = compare(lambda port: at_once(CLIENTS, lambda *who: listening(port, *who)))
    own, everybody = answers[2]
    assert own == [f"2: {n}" for n in range(5)] + ["the end"]
    assert everybody == sorted(f"from {n}" for n in range(CLIENTS))


def with_psycopg2(port, number, ready):
    heard = []
    connection = open2(port)
    ready()
    with connection, connection.cursor() as cursor:
        cursor.execute(f"create table work.v{number} (n int, tag text)")
        psycopg2.extras.execute_values(cursor, f"insert into work.v{number} values %s",
                                       [(n, f"{number}/{n}") for n in range(250)], page_size=60)
        psycopg2.extras.execute_batch(cursor, f"update work.v{number} set n = n + %s where n = %s",
                                      [(1000, n) for n in range(10)])
    with connection, connection.cursor("rows") as cursor:
        cursor.itersize = 20
        cursor.execute(f"select n, tag from work.v{number} order by n limit 60")
        heard += list(cursor)
    with connection, connection.cursor("held", withhold=True, scrollable=True) as cursor:
        cursor.execute(f"select n from work.v{number} order by n")
        connection.commit()
        heard += cursor.fetchmany(2)
        cursor.scroll(-1)
        heard += cursor.fetchmany(2)
    with connection, connection.cursor() as cursor:
        with open("/dev/null", "w", encoding="ascii") as nowhere:
            cursor.copy_expert(f"copy work.v{number} to stdout (format csv)", nowhere)
        heard.append(cursor.rowcount)
        try:
            cursor.execute("select 'x'::int")
        except psycopg2.errors.InvalidTextRepresentation as error:
            heard.append(error.pgcode)
    connection.rollback()
    connection.set_session(isolation_level="repeatable read", readonly=True)
    with connection, connection.cursor() as cursor:
        cursor.execute("show transaction_isolation")
        heard += cursor.fetchall()
    connection.set_session(isolation_level="default", readonly=False, autocommit=True)
    connection.set_client_encoding("LATIN1")
    with connection.cursor() as cursor:
        cursor.execute("select 'ü', current_setting('client_encoding')")
        heard += cursor.fetchall()
    connection.close()
    return heard


def test_psycopg2_notices_nothing(compare):
    answers = compare(lambda port: at_once(CLIENTS, lambda *who: with_psycopg2(port, *who)))
    assert answers[8][:1] == [(10, "8/10")] and answers[8][-1] == ("ü", "LATIN1")


def psycopg2_listening(port, number, ready):
    connection, teller = open2(port), open2(port)
    for each in (connection, teller):
        each.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
    with connection.cursor() as cursor, teller.cursor() as tells:
        cursor.execute(f"listen two_{number}")
        ready()
        for n in range(4):
            tells.execute(f"notify two_{number}, '{number}: {n}'")

        def heard():
            connection.poll()
            return len(connection.notifies) == 4

        wait_until(heard, "four notifications", PATIENCE)
        answers = [(notify.channel, notify.payload) for notify in connection.notifies]
    connection.close()
    teller.close()
    return answers


def test_psycopg2_hears_notifications(compare):
    answers = compare(lambda port: at_once(CLIENTS, lambda *who: psycopg2_listening(port, *who)))
    assert answers[7] == [("two_7", f"7: {n}") for n in range(4)]
