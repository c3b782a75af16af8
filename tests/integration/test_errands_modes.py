"""Errands of one connection: pipelines and transactions; and pools of other modes."""
import pytest

from harness.errands import running
from harness.process import wait_until

pytestmark = pytest.mark.weir_only


@pytest.fixture
def accounts(postgres):
    postgres.sql("drop table if exists accounts; create table accounts (id int primary key deferrable, amount int); "
                 "insert into accounts values (1, 100), (2, 0)")
    yield lambda: postgres.sql("select string_agg(amount::text, ' ' order by id) from accounts")
    postgres.sql("drop table accounts")


# ---- in a pipeline -------------------------------------------------------------------------------


def test_a_pipeline_is_one_session_in_order(errands):
    answers = errands().run(["select pg_backend_pid()"] * 5 + [
        "set search_path = elsewhere", "show search_path", "begin", "select 1/0", "select 3", "rollback", "select 4"],
        mode="pipeline")
    assert len({answers[i].rows[0] for i in range(5)}) == 1
    assert answers[6].rows == [("elsewhere",)]
    assert [answers[i].code for i in (8, 9)] == ["22012", "25P02"]
    assert [answers[i].how for i in (10, 11)] == ["well", "well"]


def test_a_long_pipeline_under_back_pressure(errands):
    errand = errands(1)
    answers = errand.run([f"select {i}, repeat('x', {i})" for i in range(3000)], mode="pipeline")
    assert all(answers[i].rows == [(str(i), "x" * i)] for i in range(3000))


def test_a_pipeline_stops_where_it_should(errands):
    errand = errands(1)
    for on_error in ("stop", "cancel"):
        answers = errand.run(["select 1", "select 1/0", "select 2"], mode="pipeline", on_error=on_error)
        assert [answers[i].how for i in range(3)] == ["well", "error", "skipped"]


def test_a_time_limit_in_a_pipeline_hits_no_other(errands):
    answers = errands(1).run(["select 1", {"sql": "select pg_sleep(30)", "timeout_ms": 200}, "select 2", "select 3"],
                             mode="pipeline")
    assert [answers[i].how for i in range(4)] == ["well", "stopped", "well", "well"]


def test_a_pipeline_that_takes_too_long_is_canceled_query_by_query(errands, postgres):
    answers = errands(1).run(["select 1"] + ["select pg_sleep(38)"] * 4, mode="pipeline", timeout_ms=300)
    assert [answers[i].how for i in range(5)] == ["well"] + ["stopped"] * 4
    assert running(postgres, "pg_sleep(38)") == 0


# ---- in a transaction ----------------------------------------------------------------------------


def test_a_transaction_is_committed(errands, accounts):
    answers = errands().run(["update accounts set amount = amount - 30 where id = 1",
                             "update accounts set amount = amount + 30 where id = 2",
                             "select sum(amount) from accounts"], mode="transaction")
    assert [answers[i].how for i in (0, 1, 2, -1)] == ["well"] * 4
    assert answers[2].rows == [("100",)] and answers[-1].letters == ""
    assert accounts() == "70 30"


def test_the_first_error_rolls_it_back(errands, accounts):
    errand = errands(1)
    answers = errand.run(["update accounts set amount = 5 where id = 1", "select 1/0",
                          "update accounts set amount = 6 where id = 2", "savepoint a", "select 1"], mode="transaction")
    assert [answers[i].how for i in (0, 1, 2, 3, 4, -1)] == ["well", "error"] + ["skipped"] * 4
    assert accounts() == "100 0"
    assert errand.run(["select txid_current_if_assigned() is null"], "b")[0].rows == [("t",)]


def test_what_the_commit_says_is_told(errands, accounts):
    answers = errands().run(["set constraints all deferred", "insert into accounts values (1, 1)"], mode="transaction")
    assert [answers[i].how for i in (0, 1, -1)] == ["well", "well", "error"]
    assert answers[-1].code == "23505"
    assert accounts() == "100 0"


def test_its_kind_is_as_asked_for(errands):
    show = ["show transaction_isolation", "show transaction_read_only", "show transaction_deferrable"]
    answers = errands().run(show, mode="transaction", isolation="serializable", read_only=True, deferrable=True)
    assert [answers[i].rows[0][0] for i in range(3)] == ["serializable", "on", "on"]
    answers = errands().run([*show, "create table never (x int)"], mode="transaction", isolation="repeatable read",
                            read_only=True)
    assert [answers[i].rows[0][0] for i in range(3)] == ["repeatable read", "on", "off"]
    assert (answers[3].how, answers[3].code) == ("error", "25006")


def test_who_ends_it_himself_gets_no_more_of_it(errands, accounts):
    answers = errands().run(["update accounts set amount = 7 where id = 1", "commit",
                             "update accounts set amount = 8 where id = 2"], mode="transaction")
    assert [answers[i].how for i in (0, 1, 2, -1)] == ["well", "well", "skipped", "error"]
    assert answers[-1].why == "25P01"
    assert accounts() == "7 0"


def test_a_savepoint_does_not_save_it(errands, accounts):
    answers = errands().run(["update accounts set amount = 9 where id = 1", "savepoint a", "select 1/0",
                             "rollback to savepoint a"], mode="transaction")
    assert [answers[i].how for i in (0, 1, 2, 3, -1)] == ["well", "well", "error", "skipped", "skipped"]
    assert accounts() == "100 0"


def test_a_transaction_that_takes_too_long_is_rolled_back(errands, accounts, postgres):
    errand = errands(1)
    answers = errand.run(["update accounts set amount = 9 where id = 1", "select pg_sleep(39)", "select 1"],
                         mode="transaction", timeout_ms=300)
    assert [answers[i].how for i in (0, 1)] == ["well", "stopped"]
    assert answers[-1].how in ("stopped", "skipped")
    assert accounts() == "100 0"
    wait_until(lambda: running(postgres, "pg_sleep(39)") == 0, "the end of the query")


def test_who_hangs_up_in_a_transaction_rolls_it_back(errands, accounts, postgres):
    errand = errands(1)
    errand.start("a", ["update accounts set amount = 9 where id = 1", "select pg_sleep(40)"], mode="transaction")
    wait_until(lambda: running(postgres, "pg_sleep(40)") == 1, "the query")
    errand.tell(cancel="a")
    assert errand.run(["update accounts set amount = amount + 1 where id = 1"], "b")[0].how == "well"
    assert accounts() == "101 0"


def test_where_statements_are_pooled_there_are_no_transactions(errands):
    errand = errands(1, pool_mode="statement")
    errand.start("a", ["select 1"], mode="transaction")
    assert errand.wait("not started", "a")["why"] == "08P01"
    answers = errand.run(["begin", "select 1"], "b")
    assert (answers[0].how, answers[0].why, answers[1].how) == ("error", "08P01", "well")
    answers = errand.run([f"select {i}" for i in range(5)] + ["begin", "select 6"], "c", mode="pipeline")
    assert [answers[i].how for i in range(7)] == ["well"] * 5 + ["error", "skipped"]


@pytest.mark.parametrize("length", [10, 30000])
def test_what_may_not_be_done_to_a_session_is_an_error(errands, length):
    errand = errands(1, session_state="reject")
    answers = errand.run(["select 1", "create temporary table mine (x int) /*" + "x" * length + "*/", "select 2"])
    assert [answers[i].how for i in range(3)] == ["well", "error", "well"]
    assert "0A000" in (answers[1].code, answers[1].why)
    assert errand.run(["select 1"], "b")[0].how == "well"


def test_where_sessions_are_pooled_they_work_as_well(errands):
    errand = errands(1, pool_mode="session", server_reset_query="discard all")
    answers = errand.run(["set search_path = nowhere", "show search_path"])
    assert answers[1].rows == [('"$user", public',)]
    answers = errand.run(["select 1", "select 2"], "b", mode="transaction")
    assert [answers[i].how for i in (0, 1, -1)] == ["well"] * 3


def test_a_transaction_of_which_too_much_comes_is_rolled_back(errands, accounts):
    answers = errands(1).run(["update accounts set amount = 4 where id = 1", {"sql": "select 3", "stop": True}],
                             mode="transaction")
    assert [answers[i].how for i in (0, 1, -1)] == ["well", "stopped", "skipped"]
    assert accounts() == "100 0"
