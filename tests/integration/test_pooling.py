"""Many clients, few servers: who gets which, when, and what nobody ever sees."""
import concurrent.futures
import threading
import time

import psycopg
import pytest
from harness.process import wait_until
from harness.wire import cancel, kinds, query


def servers(postgres, user="ana"):
    return int(postgres.sql(f"select count(*) from pg_stat_activity where usename = '{user}'"))


def pid(connection):
    return connection.execute("select pg_backend_pid()").fetchone()[0]


def test_two_clients_in_turn_share_one_server(weir, connect):
    first, second = connect(weir), connect(weir)
    assert pid(first) == pid(second) == pid(first)


def test_a_transaction_keeps_its_server_and_no_other_client_gets_it(weir, connect):
    holder, other = connect(weir, autocommit=False), connect(weir)
    own = pid(holder)
    assert {pid(other) for _ in range(10)} & {own} == set()
    assert pid(holder) == own


def test_no_more_servers_are_opened_than_the_pool_may_have(postgres, weir, connect):
    clients = [connect(weir) for _ in range(20)]
    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        pids = set(threads.map(lambda client: client.execute("select pg_backend_pid(), pg_sleep(0.02)").fetchone()[0],
                               clients))
    assert len(pids) <= 2
    assert servers(postgres) <= 2


def test_a_database_may_have_its_own_pool_size(postgres, pooler, connect):
    weir = pooler(entry="pool_size=1", default_pool_size=10)
    clients = [connect(weir) for _ in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda client: client.execute("select pg_sleep(0.02)"), clients))
    assert servers(postgres) == 1


def test_each_user_has_a_pool(postgres, weir, connect):
    assert pid(connect(weir, user="ana")) != pid(connect(weir, user="bob"))
    assert connect(weir, user="bob").execute("select current_user").fetchone() == ("bob",)


def test_a_forced_user_is_the_server_s_user_for_all(pooler, postgres, connect):
    weir = pooler({"main": f"host=127.0.0.1 port={postgres.port} dbname=main user=bob"})
    first, second = connect(weir, user="ana"), connect(weir, user="bob")
    assert first.execute("select current_user").fetchone() == ("bob",)
    assert pid(first) == pid(second)


def test_a_database_may_have_another_name_here(pooler, postgres, connect):
    weir = pooler({"alias": f"host=127.0.0.1 port={postgres.port} dbname=main"})
    assert connect(weir, dbname="alias").execute("select current_database()").fetchone() == ("main",)


def test_a_server_may_be_reached_by_name(pooler, postgres, connect):
    weir = pooler({"main": f"host=localhost port={postgres.port} dbname=main"})
    assert connect(weir).execute("select 1").fetchone() == (1,)


def test_a_server_may_be_reached_by_a_unix_socket(pooler, postgres, connect):
    weir = pooler({"main": f"host={postgres.folder} port={postgres.port} dbname=main"})
    assert connect(weir).execute("select 1").fetchone() == (1,)


def test_every_client_gets_its_own_answers_and_nobody_else_s(weir):
    """Forty clients on two servers, each with its own answers to compare, errors and rollbacks between them."""
    def talk(number):
        with psycopg.connect(weir.dsn(), prepare_threshold=None) as connection:
            for turn in range(40):
                mine = f"{number}/{turn}"
                assert connection.execute("select %s::text, repeat(%s, 50)", (mine, mine)).fetchone() == \
                    (mine, mine * 50)
                if turn % 5 == 0:
                    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match=f"x{number}y{turn}"):
                        connection.execute(f"select 'x{number}y{turn}'::int")
                if turn % 3 == 0:
                    connection.rollback()
                else:
                    connection.commit()
        return True

    with concurrent.futures.ThreadPoolExecutor(40) as threads:
        assert all(threads.map(talk, range(40)))


def test_transactions_of_many_clients_do_not_mix(postgres, weir):
    postgres.sql("create table if not exists sums (n int); truncate sums")

    def add(number):
        with psycopg.connect(weir.dsn(), prepare_threshold=None) as connection:
            for turn in range(10):
                with connection.transaction():
                    connection.execute("insert into sums values (%s)", (number,))
                    if turn % 2:
                        raise psycopg.Rollback
        return True

    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        assert all(threads.map(add, range(20)))
    assert postgres.sql("select count(*), count(distinct n) from sums; drop table sums") == "100|20"


def test_who_waited_longest_is_served_first(postgres, pooler, connect, wire):
    weir = pooler(default_pool_size=1)
    postgres.sql("drop sequence if exists turn; create sequence turn; grant all on sequence turn to public")
    holder = connect(weir, autocommit=False)
    waiting = [wire(weir, "ana") for _ in range(8)]
    holder.execute("select 1")
    for client in waiting:
        client.send(query("select nextval('turn')"))
        time.sleep(0.02)  # so that they come in this order: nobody tells us that a query has arrived
    holder.commit()
    order = [next(each.cells()[0] for each in client.read_until("Z") if each.kind == "D") for client in waiting]
    assert order == [str(number) for number in range(1, 9)]


def test_who_waits_too_long_is_told_so(pooler, connect):
    weir = pooler(default_pool_size=1, query_wait_timeout=1)
    holder, waiting = connect(weir, autocommit=False), connect(weir)
    holder.execute("select 1")
    started = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
        waiting.execute("select 2")
    assert 0.7 < time.monotonic() - started < 5
    assert holder.execute("select 3").fetchone() == (3,)


def test_an_idle_server_is_closed_after_its_time(postgres, pooler, connect):
    weir = pooler(server_idle_timeout=1)
    connect(weir).execute("select 1")
    assert servers(postgres) == 1
    wait_until(lambda: servers(postgres) == 0, "the idle server's end", 10)


def test_an_old_server_is_closed_after_its_lifetime(postgres, pooler, connect):
    weir = pooler(server_lifetime=1)
    client = connect(weir)
    first = pid(client)
    wait_until(lambda: servers(postgres) == 0, "the old server's end", 10)
    assert pid(client) != first


def test_min_pool_size_servers_are_kept_ready(postgres, pooler, connect):
    weir = pooler(min_pool_size=3, default_pool_size=5, server_idle_timeout=1)
    connect(weir).execute("select 1")
    wait_until(lambda: servers(postgres) == 3, "three servers", 10)


@pytest.mark.weir_only
def test_min_pool_size_servers_of_a_forced_user_need_no_client(postgres, pooler):
    pooler({"main": f"host=127.0.0.1 port={postgres.port} dbname=main user=ana"}, min_pool_size=2, default_pool_size=5)
    wait_until(lambda: servers(postgres) == 2, "two servers", 10)


def test_a_session_keeps_its_server_in_session_mode(pooler, connect):
    weir = pooler(pool_mode="session")
    first, second = connect(weir), connect(weir)
    assert pid(first) == pid(first) != pid(second)
    first.execute("create temp table mine (n int)")
    first.close()
    third = connect(weir)
    assert third.execute("select to_regclass('pg_temp.mine')").fetchone() == (None,)


def test_a_running_query_can_be_cancelled(weir, connect):
    connection = connect(weir)
    threading.Timer(0.2, connection.cancel).start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("select pg_sleep(20)")
    assert connection.execute("select 1").fetchone() == (1,)


def test_a_cancel_reaches_only_its_own_client_s_query(postgres, weir, wire):
    victim, bystander = wire(weir, "ana"), wire(weir, "ana")
    bystander.send(query("select pg_sleep(0.6), 'undisturbed'"))
    victim.send(query("select pg_sleep(20)"))
    wait_until(lambda: postgres.sql("select count(*) from pg_stat_activity where query = 'select pg_sleep(20)'") == "1")
    cancel(weir.port, victim.key)
    assert victim.error()["C"] == "57014"
    assert bystander.read_until("Z")[1].cells()[1] == "undisturbed"


def test_a_late_cancel_hits_nobody(weir, wire):
    first, second = wire(weir, "ana"), wire(weir, "ana")
    for _ in range(20):
        first.ask(query("select 1"))
        second.send(query("select pg_sleep(0.02), 'whole'"))
        cancel(weir.port, first.key)
        assert second.read_until("Z")[1].kind == "D"


def test_a_cancel_with_a_wrong_key_does_nothing(weir, wire):
    client = wire(weir, "ana")
    client.send(query("select pg_sleep(0.5), 'whole'"))
    cancel(weir.port, b"\0\0\0\1\0\0\0\2")
    cancel(weir.port, client.key[:4] + bytes([client.key[4] ^ 1]) + client.key[5:])
    assert client.read_until("Z")[1].cells()[1] == "whole"


def cancel_until_answered(weir, client):
    """Nobody tells when the query before the cancel has arrived."""
    def answered():
        cancel(weir.port, client.key)
        return client.readable(0.1)
    wait_until(answered, "the answer to the cancel")


@pytest.mark.weir_only
def test_a_queueing_client_can_be_cancelled(pooler, connect, wire):
    weir = pooler(default_pool_size=1)
    holder, waiting = connect(weir, autocommit=False), wire(weir, "ana")
    holder.execute("select 1")
    cancel_until_answered(weir, waiting.send(query("select 2")))
    assert waiting.error()["C"] == "57014"
    assert holder.execute("select 3").fetchone() == (3,)


@pytest.mark.weir_only
def test_a_cancelled_queueing_client_may_go_on(pooler, connect, wire):
    weir = pooler(default_pool_size=1)
    holder, waiting = connect(weir, autocommit=False), wire(weir, "ana")
    holder.execute("select 1")
    cancel_until_answered(weir, waiting.send(query("select 2")))
    assert kinds(waiting.read_until("Z")) == "EZ"
    holder.commit()
    assert waiting.value("select 4") == "4"
