"""Sequences of messages, as drivers send them and as none would."""
import struct

import psycopg
import pytest
from harness.wire import (COPY_DONE, FLUSH, SYNC, TERMINATE, bind, close, copy_data, copy_fail, describe, execute,
                          function_call, kinds, parse, query)

FUNCTION_ABS = 1397  # abs(int4)


def test_a_pipeline_of_many_syncs_is_answered_in_order(weir, wire):
    client = wire(weir, "ana")
    client.send(*(parse("", f"select {number}") + bind() + execute() + SYNC for number in range(50)))
    answers = [client.read_until("Z") for _ in range(50)]
    assert [kinds(answer) for answer in answers] == ["12DCZ"] * 50
    assert [answer[2].cells() for answer in answers] == [[str(number)] for number in range(50)]


def test_an_error_in_a_pipeline_skips_to_the_next_sync_and_no_further(weir, wire):
    client = wire(weir, "ana")
    client.send(parse("", "select 1/0"), bind(), execute(), parse("", "select 1"), bind(), execute(), SYNC,
                parse("", "select 2"), bind(), execute(), SYNC)
    assert kinds(client.read_until("Z")) == "1EZ"
    assert kinds(client.read_until("Z")) == "12DCZ"


def test_a_syntax_error_in_a_pipeline_does_not_swallow_the_query_behind_it(weir, wire):
    client = wire(weir, "ana")
    client.send(parse("", "selekt"), describe("S"), SYNC, query("select 'here'"))
    assert kinds(client.read_until("Z")) == "EZ"
    assert kinds(client.read_until("Z")) == "TDCZ"


def test_psycopg_pipelines_survive_an_error(weir, connect):
    connection = connect(weir)
    with pytest.raises(psycopg.errors.DivisionByZero):
        with connection.pipeline():
            connection.execute("select 1")
            connection.execute("select 1/0")
            connection.execute("select 2")
    with connection.pipeline():
        cursors = [connection.execute("select %s::int", (number,)) for number in range(100)]
        assert [cursor.fetchone()[0] for cursor in cursors] == list(range(100))


def test_flush_shows_what_is_ready_without_ending_the_transaction(weir, wire):
    client = wire(weir, "ana")
    client.send(parse("", "select $1::int"), describe("S"), FLUSH)
    assert kinds(client.read_until("T")) == "1tT"
    client.send(bind("", "", [5]), execute(), SYNC)
    assert kinds(client.read_until("Z")) == "2DCZ"


def test_between_flush_and_sync_the_server_is_the_client_s_own(weir, wire):
    ana, others = wire(weir, "ana"), [wire(weir, "bob") for _ in range(4)]
    ana.send(parse("", "select pg_backend_pid()"), FLUSH)
    ana.read_until("1")
    pids = [other.value("select pg_backend_pid()") for other in others]
    ana.send(bind(), execute(), FLUSH)
    mine = ana.read_until("C")[1].cells()[0]
    assert mine not in pids
    ana.ask(SYNC)


def test_a_portal_with_a_row_limit_goes_on_where_it_stopped(weir, wire):
    client = wire(weir, "ana")
    client.send(parse("", "select generate_series(1, 5)"), bind("p"), execute("p", 2), FLUSH)
    assert kinds(client.read_until("s")) == "12Ds"
    client.send(execute("p", 2), FLUSH)
    assert [row.cells() for row in client.read_until("s")[:2]] == [["3"], ["4"]]
    client.send(execute("p", 2), SYNC)
    assert kinds(client.read_until("Z")) == "DCZ"


def test_a_portal_lives_as_long_as_its_transaction(weir, wire):
    client, other = wire(weir, "ana"), wire(weir, "bob")
    client.ask(query("begin"))
    client.ask(parse("", "select generate_series(1, 3)"), bind("p"), execute("p", 1), SYNC)
    other.ask(query("select 1"))
    assert kinds(client.ask(execute("p", 0), SYNC)) == "DCZ"
    assert client.ask(query("commit"))[-1].payload == b"I"


def test_closing_a_portal_or_a_statement_that_is_not_there_is_no_error(weir, wire):
    client = wire(weir, "ana")
    assert kinds(client.ask(close("P", "p"), close("S", ""), SYNC)) == "33Z"


def test_a_query_behind_an_extended_query_without_sync_is_legal(weir, wire):
    client = wire(weir, "ana")
    client.send(parse("", "select 1"), bind(), execute(), query("select 2"))
    assert kinds(client.read_until("Z")) == "12DCTDCZ"


def test_a_lone_sync_is_answered(weir, wire):
    assert kinds(wire(weir, "ana").ask(SYNC)) == "Z"


def test_a_lone_flush_or_copy_message_does_no_harm(weir, wire):
    client = wire(weir, "ana")
    assert kinds(client.ask(FLUSH, copy_data(b"late"), COPY_DONE, query("select 1"))) == "TDCZ"


def test_messages_may_arrive_byte_by_byte(weir, wire):
    client = wire(weir, "ana")
    for byte in parse("", "select 1") + bind() + execute() + SYNC + query("select 2"):
        client.send(bytes([byte]))
    assert kinds(client.read_until("Z") + client.read_until("Z")) == "12DCZTDCZ"


def test_a_function_call_is_answered(weir, wire):
    client = wire(weir, "ana")
    answer = client.ask(function_call(FUNCTION_ABS, struct.pack("!i", -7)))
    assert kinds(answer) == "VZ"
    assert answer[0].payload == struct.pack("!ii", 4, 7)


def test_a_wrong_function_call_is_an_error_and_no_more(weir, wire):
    client = wire(weir, "ana")
    assert kinds(client.ask(function_call(4_000_000_000 - (1 << 32)))) == "EZ"
    assert client.value("select 'still here'") == "still here"


def test_terminate_ends_the_connection(weir, wire):
    assert wire(weir, "ana").send(TERMINATE).is_closed()


@pytest.mark.weir_only
def test_a_named_statement_stays_with_its_client(weir, wire):
    clients = [wire(weir, "ana") for _ in range(2)]
    for number, client in enumerate(clients):
        assert kinds(client.ask(parse("s", f"select {number}"), SYNC)) == "1Z"
    for _ in range(3):
        for number, client in enumerate(clients):
            answer = client.ask(bind("", "s"), execute(), SYNC)
            assert kinds(answer) == "2DCZ" and answer[1].cells() == [str(number)]


@pytest.mark.weir_only
def test_a_client_with_a_named_statement_gives_its_server_back_when_it_leaves(pooler, wire):
    weir = pooler(default_pool_size=1)
    first = wire(weir, "ana")
    first.ask(parse("s", "select 1"), SYNC)
    first.send(TERMINATE).is_closed()
    second = wire(weir, "ana")
    assert kinds(second.ask(parse("s", "select 2"), SYNC)) == "1Z"


def test_notices_come_between_rows(weir, wire):
    client = wire(weir, "ana")
    answer = client.ask(query("begin; create or replace function pg_temp.loud(n int) returns int language plpgsql as "
                              "$$ begin raise notice 'at %', n; return n; end $$; "
                              "select pg_temp.loud(n) from generate_series(1, 3) n; commit"))
    assert [each.fields()["M"] for each in answer if each.kind == "N"] == ["at 1", "at 2", "at 3"]


def copied(postgres):
    return postgres.sql("select string_agg(id || name, ',' order by id) from things; truncate things")


def test_copy_in_and_out_within_a_transaction(postgres, weir, connect):
    connection = connect(weir, autocommit=False)
    with connection.cursor() as cursor:
        with cursor.copy("copy things from stdin") as copy:
            for number in range(1, 4):
                copy.write_row((number, "row"))
        with cursor.copy("copy things to stdout") as copy:
            assert list(copy.rows()) == [("1", "row"), ("2", "row"), ("3", "row")]
    connection.commit()
    assert copied(postgres) == "1row,2row,3row"


def test_copy_in_and_out_without_a_transaction(postgres, weir, connect, wire):
    connection = connect(weir)
    others = [wire(weir, "bob") for _ in range(4)]
    with connection.cursor().copy("copy things from stdin") as copy:
        copy.write_row((1, "first"))
        assert [other.value("select 'theirs'") for other in others] == ["theirs"] * 4
        copy.write_row((2, "second"))
    with connection.cursor().copy("copy (select id from things order by id) to stdout") as copy:
        assert list(copy.rows()) == [("1",), ("2",)]
    assert copied(postgres) == "1first,2second"


def test_copy_of_many_megabytes_both_ways(postgres, weir, connect):
    connection = connect(weir)
    block = b"".join(b"%d\t%s\n" % (number, b"x" * 90) for number in range(100_000))
    with connection.cursor().copy("copy things from stdin") as copy:
        copy.write(block)
    with connection.cursor().copy("copy (select * from things order by id) to stdout") as copy:
        assert b"".join(copy) == block
    postgres.sql("truncate things")


def test_a_copy_given_up_by_the_client_leaves_nothing_behind(postgres, weir, wire):
    client = wire(weir, "ana")
    client.send(query("copy things from stdin")).read_until("G")
    assert kinds(client.ask(copy_data(b"1\tone\n"), copy_fail("changed my mind"))) == "EZ"
    assert client.value("select count(*) from things") == "0"


def test_a_copy_that_fails_on_the_server_swallows_what_the_client_still_sends(weir, wire):
    client, other = wire(weir, "ana"), wire(weir, "bob")
    client.send(query("copy things from stdin")).read_until("G")
    client.send(copy_data(b"not a number\tx\n"))
    client.send(*(copy_data(b"more\n") for _ in range(2000)), COPY_DONE)
    assert kinds(client.read_until("Z")) == "EZ"
    assert client.value("select 'still here'") == "still here"
    assert other.value("select 'me too'") == "me too"


def test_copy_in_by_the_extended_protocol_ignores_the_sync_within(postgres, weir, wire):
    client = wire(weir, "ana")
    client.send(parse("", "copy things from stdin"), bind(), execute(), SYNC)
    client.read_until("G")
    assert kinds(client.ask(copy_data(b"7\tseven\n"), SYNC, COPY_DONE, SYNC)) == "CZ"
    assert client.value("select 'next'") == "next"
    assert copied(postgres) == "7seven"


def test_two_copies_in_one_query(postgres, weir, wire):
    client = wire(weir, "ana")
    client.send(query("copy things from stdin; copy things to stdout; select 'done'")).read_until("G")
    answer = client.ask(copy_data(b"1\tone\n"), COPY_DONE)
    assert kinds(answer).replace("d", "") == "CHcCTDCZ"
    assert copied(postgres) == "1one"
