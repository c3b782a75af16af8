"""Errands: the queries of an HTTP request, here without HTTP. In parallel, and among other clients."""
import random
import signal
import threading
import time

import psycopg
import pytest

from harness.errands import running
from harness.process import PATIENCE, wait_until

pytestmark = pytest.mark.weir_only


# ---- in parallel ---------------------------------------------------------------------------------


def test_each_query_has_its_own_answer(errands):
    answers = errands().run([f"select {i}" for i in range(20)])
    assert [answers[i].rows for i in range(20)] == [[(str(i),)] for i in range(20)]
    assert {(answers[i].how, answers[i].letters) for i in range(20)} == {("well", "12TDCZ")}


def connections(postgres):
    return int(postgres.sql("select count(*) from pg_stat_activity where usename = 'ana'"))


def test_a_hundred_sleep_half_a_second_at_the_same_time(errands, postgres):
    errand = errands(100, min_pool_size=100)
    errand.run(["select 1"], "warm")
    wait_until(lambda: connections(postgres) == 100, "a warm pool")
    begun = time.monotonic()
    answers = errand.run(["select pg_sleep(0.5)"] * 100)
    took = time.monotonic() - begun
    assert all(over.how == "well" for over in answers.values())
    assert took < 0.65


def test_connections_that_are_not_there_yet_are_opened_side_by_side(errands):
    errand = errands(20)
    answers = errand.run(["select pg_sleep(0.5)"] * 20, most_asking=20)
    assert all(over.how == "well" for over in answers.values())
    assert max(over.ms for over in answers.values()) - min(over.ms for over in answers.values()) < 450


def test_who_waits_gets_his_turn_between_the_queries_of_another(errands):
    errand = errands(1)
    errand.start("long", ["select pg_sleep(0.02)"] * 100)
    errand.start("short", ["select 1"])
    short, long = errand.ended("short"), errand.ended("long")
    assert short[0].how == "well" and all(over.how == "well" for over in long.values())
    assert short[0].ms < max(over.ms for over in long.values()) - 1000


def test_one_connection_runs_many_queries_before_it_is_given_back(errands):
    errand = errands(1)
    errand.run(["select 1"], "first")
    answers = errand.run([f"select {i}" for i in range(20)], most_parallel=5)
    assert all(answers[i].rows == [(str(i),)] for i in range(20))
    assert errand.metrics()['weir_pool_wait_seconds_count{database="main",user="ana"}'] == 2
    assert errand.metrics()['weir_pool_queries_total{database="main",user="ana"}'] == 21


def test_an_error_is_in_its_place_and_the_others_go_on(errands):
    answers = errands().run(["select 1", "select 1/0", "no sql", "select 2"])
    assert [answers[i].how for i in range(4)] == ["well", "error", "error", "well"]
    assert (answers[1].code, answers[2].code) == ("22012", "42601")


def test_several_errands_share_a_small_pool_without_a_deadlock(errands):
    errand = errands(2, query_wait_timeout=15)
    for name in "abcde":
        errand.start(name, [f"select '{name}{i}'" if i % 7 else "select pg_sleep(0.01)" for i in range(100)])
    for name in "abcde":
        answers = errand.ended(name)
        assert len(answers) == 100 and all(over.how == "well" for over in answers.values())
        assert all(answers[i].rows == [(f"{name}{i}",)] for i in range(100) if i % 7)


def test_large_results_that_are_told_in_order_do_not_wait_for_each_other(errands):
    """Each pauses all of its answers but the first until it is their turn, and every query is for another
    pool than the one before: who were started out of order would hold what another waits for."""
    errand = errands(1)
    large = "select repeat('x', 1000) from generate_series(1, 5000)"
    for name in "ab":
        errand.start(name, [{"sql": large, "pause": i > 0, "db": "main" if (i + (name == "b")) % 2 else "other"}
                            for i in range(6)])
    turn = {"a": 0, "b": 0}

    def served():
        for name in "ab":
            while ("over", name, turn[name]) in list(errand.order):
                turn[name] += 1
            errand.tell(resume=name, index=min(turn[name], 5))
        return turn == {"a": 6, "b": 6}

    wait_until(served, "the end of both")
    for name in "ab":
        answers = errand.ended(name)
        assert all(over.how == "well" and over.length > 5000000 for over in answers.values())


def test_what_one_query_leaves_the_next_does_not_find(errands):
    errand = errands(1)
    answers = errand.run([
        "set search_path = nowhere", "show search_path", "begin isolation level serializable", "show transaction_isolation",
        "create temporary table mine (x int)", "select * from mine", "select pg_advisory_lock(77)",
        "select count(*) from pg_locks where locktype = 'advisory'", "set application_name = 'me'",
        "show application_name", "listen news", "select count(*) from pg_listening_channels()"])
    assert answers[1].rows == [('"$user", public',)]
    assert answers[3].rows == [("read committed",)]
    assert answers[5].code == "42P01"
    assert answers[7].rows == [("0",)]
    assert answers[9].rows != [("me",)]
    assert answers[11].rows == [("0",)]
    assert errand.run(["show search_path"], "b")[0].rows == [('"$user", public',)]


def test_settings_are_those_that_json_can_be_made_of(errands):
    errand = errands(1, entry="datestyle='German, DMY' client_encoding=LATIN1")
    for name in "ab":  # the first finds a pool in which no server was seen
        answers = errand.run(["show datestyle", "show client_encoding", "show intervalstyle"], name)
        assert [answers[i].rows[0][0] for i in range(3)] == ["ISO, DMY", "UTF8", "postgres"]


def test_stop_leaves_out_what_was_not_started(errands):
    answers = errands(1).run(["select 1", "select 1/0", "select 2", "select 3"], on_error="stop")
    assert [answers[i].how for i in range(4)] == ["well", "error", "skipped", "skipped"]


def test_cancel_ends_the_siblings_of_one_that_failed(errands, postgres):
    errand = errands(3)
    begun = time.monotonic()
    answers = errand.run(["select pg_sleep(31)", "select pg_sleep(32)", "select pg_sleep(0.2), 1/0 from pg_sleep(0.2)",
                          "select 2"], on_error="cancel")
    assert time.monotonic() - begun < 5
    assert [answers[i].how for i in range(4)] == ["stopped", "stopped", "error", "skipped"]
    assert [(answers[i].code, answers[i].why, answers[i].told) for i in range(2)] == [("57014", "57014", True)] * 2
    wait_until(lambda: running(postgres, "pg_sleep(3") == 0, "the end of the siblings")


def test_a_query_that_takes_too_long_is_canceled_and_its_connection_kept(errands, postgres):
    errand = errands(1)
    answers = errand.run([{"sql": "select pg_sleep(30)", "timeout_ms": 200}, "select pg_backend_pid()"])
    assert (answers[0].how, answers[0].why, answers[0].code) == ("stopped", "57014", "57014")
    again = errand.run(["select pg_backend_pid()"], "b")
    assert again[0].rows == answers[1].rows
    assert running(postgres, "pg_sleep(30)") == 0


def test_who_does_not_read_is_not_waited_for(errands):
    large = "select repeat('x', 1000) from generate_series(1, 100000)"
    answers = errands(1).run([{"sql": large, "pause": True, "timeout_ms": 300}, "select 2"], most_parallel=1)
    assert [(answers[i].how, answers[i].why) for i in range(2)] == [("lost", "57014"), ("well", "")]
    assert answers[0].length < 50000000


def test_a_server_that_does_not_heed_a_cancel_is_left(errands, own_postgres):
    databases = {"main": f"host=127.0.0.1 port={own_postgres.port} dbname=main"}
    errand = errands(1, databases=databases, server_reset_timeout=1)
    errand.start("a", [{"sql": "select pg_sleep(42)", "timeout_ms": 500}, "select 2"], cancel_ms=300)
    who = "select pid from pg_stat_activity where query like '%pg_sleep(42)%' and pid <> pg_backend_pid()"
    pid = int(wait_until(lambda: own_postgres.sql(who), "the query"))
    own_postgres.kill(pid, signal.SIGSTOP)
    answers = errand.ended("a")
    own_postgres.kill(pid, signal.SIGCONT)
    assert [(answers[i].how, answers[i].why) for i in range(2)] == [("lost", "57014"), ("well", "")]
    wait_until(lambda: own_postgres.sql(who) == "", "the end of the query")


def test_a_request_that_takes_too_long_ends_as_a_whole(errands, postgres):
    begun = time.monotonic()
    answers = errands(2).run(["select pg_sleep(33)"] * 5 + ["select 1"], timeout_ms=300)
    assert time.monotonic() - begun < 5
    assert {over.how for over in answers.values()} == {"stopped"}
    assert {over.why for over in answers.values()} == {"57014"}
    assert [answers[i].told for i in range(6)] == [True, True, False, False, False, False]
    wait_until(lambda: running(postgres, "pg_sleep(33)") == 0, "the end of the queries")


def test_who_hangs_up_leaves_nothing_running(errands, postgres):
    errand = errands(4)
    errand.start("a", ["select pg_sleep(34)"] * 6)
    wait_until(lambda: running(postgres, "pg_sleep(34)") == 4, "four running queries")
    errand.tell(cancel="a")
    errand.wait("canceled", "a")
    wait_until(lambda: running(postgres, "pg_sleep(34)") == 0, "the end of the queries")
    assert errand.run(["select 1"], "b")[0].rows == [("1",)]


def test_it_may_be_canceled_from_its_own_answer(errands):
    errand = errands(2)
    for mode in ("parallel", "pipeline", "transaction"):
        errand.start(mode, ["select 1", "select 2", "select 3"], mode=mode, cancels_itself=True)
        errand.wait("canceled", mode)
        assert errand.run([f"select {i}" for i in range(10)], "after" + mode)[9].rows == [("9",)]


def test_one_of_them_may_be_stopped(errands):
    errand = errands(2)
    errand.start("a", ["select pg_sleep(35)", "select pg_sleep(0.3)", "select pg_sleep(36)"])
    time_out = {"stop": "a", "index": 0}
    errand.tell(**time_out)
    errand.tell(stop="a", index=2)
    answers = errand.ended("a")
    assert [answers[i].how for i in range(3)] == ["stopped", "well", "stopped"]


@pytest.mark.parametrize("mode", ["parallel", "pipeline"])
def test_one_of_which_too_much_comes_may_be_stopped(errands, mode):
    """From within its answer, as who has limits does."""
    errand = errands(1)
    large = "select repeat('x', 100) from generate_series(1, 1000000)"
    answers = errand.run([{"sql": large, "stop": True}, "select 2", {"sql": "select 3", "stop": True}, "select 4"],
                         mode=mode, most_parallel=1)
    assert [answers[i].how for i in range(4)] == ["stopped", "well", "stopped", "well"]
    assert {answers[i].why for i in (0, 2)} == {"0A000"}
    assert (answers[1].rows, answers[3].rows) == ([("2",)], [("4",)])


def test_who_waits_too_long_for_a_connection_is_refused(errands, postgres):
    errand = errands(1, query_wait_timeout=1)
    errand.start("a", ["select pg_sleep(3)"])
    answers = errand.run(["select 1", "select 2"], "b")
    assert [(over.how, over.why) for over in answers.values()] == [("refused", "53300")] * 2
    assert errand.ended("a")[0].how == "well"


def test_a_server_that_is_down_is_told(errands):
    errand = errands(databases={"main": "host=127.0.0.1 port=1 dbname=main"}, query_wait_timeout=1)
    answers = errand.run(["select 1", "select 2"], hasty=True)
    assert {(over.how, over.why) for over in answers.values()} <= {("refused", "08006"), ("refused", "53300")}
    assert "refused" in answers[0].text or "onnect" in answers[0].text


def test_a_connection_that_is_lost_ends_its_query_and_no_other(errands, postgres):
    errand = errands(2)
    errand.start("a", ["select pg_sleep(37)", "select 1", "select 2"])
    wait_until(lambda: running(postgres, "pg_sleep(37)") == 1, "the query")
    postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(37)%' "
                 "and pid <> pg_backend_pid()")
    answers = errand.ended("a")
    assert (answers[0].how, answers[0].why, answers[0].code) == ("lost", "08006", "57P01")
    assert [answers[i].how for i in (1, 2)] == ["well"] * 2


def test_nobody_has_data_for_a_copy(errands, postgres):
    for mode in ("parallel", "pipeline"):
        errand = errands(1)
        answers = errand.run(["select 1", "copy things from stdin", "select 2", "copy (select 3) to stdout"], mode=mode)
        assert [answers[i].how for i in range(4)] == ["well", "error", "well", "well"]
        assert answers[2].rows == [("2",)] and "d" in answers[3].letters


def test_what_is_running_may_end_before_weir_does(errands, postgres):
    errand = errands(1)
    errand.start("a", ["select pg_sleep(0.5)", "select 1"], most_parallel=1)
    wait_until(lambda: running(postgres, "pg_sleep(0.5)") == 1, "the query")
    errand.child.send_signal(signal.SIGTERM)
    answers = errand.ended("a")
    assert [over.how for over in answers.values()] == ["well", "well"]


def test_what_is_running_when_weir_ends_is_told(errands, postgres):
    errand = errands(1)
    errand.start("a", ["select pg_sleep(41)", "select 1"])
    wait_until(lambda: running(postgres, "pg_sleep(41)") == 1, "the query")
    errand.child.stdin.close()
    answers = errand.ended("a")
    assert [(answers[0].how, answers[0].why), (answers[1].how, answers[1].why)] == [("lost", "57P01"), ("stopped", "57P01")]
    wait_until(lambda: running(postgres, "pg_sleep(41)") == 0, "the end of the query")


# ---- among others --------------------------------------------------------------------------------


def one_of_many(seed, tag):
    """The queries and options of an errand whose answers bear its tag."""
    choose = random.Random(seed)
    kinds = [
        lambda i: {"sql": f"select '{tag}', {i}, current_setting('application_name')"},
        lambda i: {"sql": f"select '{tag}', {i}, pg_sleep({choose.random() / 50:.3f})::text"},
        lambda i: {"sql": f"select '{tag}', {i}, pg_sleep(20)::text", "timeout_ms": choose.randrange(1, 30)},
        lambda i: {"sql": f"select '{tag}', {i}, repeat('{tag}', 20000)"},
        lambda i: {"sql": f"select '{tag}', {i}, (1/0)::text"},
        lambda i: {"sql": f"set application_name = '{tag}'"},
        lambda i: {"sql": f"select '{tag}', {i}, set_config('search_path', '{tag}', false)"},
        lambda i: {"sql": "begin"},
        lambda i: {"sql": "copy things from stdin"},
        lambda i: {"sql": f"select '{tag}', {i}, pg_advisory_lock(hashtext('{tag}'))::text"},
    ]
    queries = [choose.choices(kinds, [8, 4, 1, 2, 1, 1, 1, 1, 1, 1])[0](i) for i in range(choose.randrange(1, 20))]
    options = {"mode": choose.choice(["parallel", "parallel", "pipeline", "transaction"]),
               "on_error": choose.choice(["continue", "stop", "cancel"]), "most_parallel": choose.randrange(1, 6),
               "most_asking": choose.randrange(1, 4), "timeout_ms": choose.choice([0, 0, 0, 100])}
    return queries, options, choose.random() < 0.15


def check_ones_own(answers, tag, queries):
    for over in answers.values():
        for row in over.rows:
            assert len(row) < 2 or (row[0] == tag and row[1] == str(over.index)), f"{tag} has got {row}"
            if len(row) == 3 and "application_name" in queries[over.index]["sql"]:
                assert row[2] in ("", "weir", tag), f"{tag} has got {row}"
        assert over.how != "refused" and (over.told or over.how != "error" or over.why), over


def sessions_beside(dsn, wrong, stop):
    """A client of the wire protocol, with settings that are nobody else's."""
    try:
        with psycopg.connect(dsn(application_name="wire"), autocommit=True, prepare_threshold=None) as connection:
            while not stop.is_set():
                row = connection.execute("select current_setting('application_name'), current_setting('search_path'), "
                                         "current_setting('datestyle')").fetchone()
                assert row == ("wire", '"$user", public', "ISO, MDY"), row
    except BaseException as error:  # pylint: disable=broad-except
        wrong.append(error)


def test_nobody_gets_what_is_anothers(errands, postgres):
    errand = errands(3, query_wait_timeout=60)
    wrong, stop = [], threading.Event()
    errand.run(["select 1"], "first")  # now it listens
    beside = [threading.Thread(target=sessions_beside, args=(errand.dsn, wrong, stop)) for _ in range(4)]
    for each in beside:
        each.start()
    going = {}
    for seed in range(300):
        tag = f"t{seed}t"
        queries, options, leaves = one_of_many(seed, tag)
        errand.start(tag, queries, **options)
        if leaves:
            errand.tell(cancel=tag)
        going[tag] = queries, leaves
        while len(going) > 20:
            finish_one(errand, going)
    while going:
        finish_one(errand, going)
    stop.set()
    for each in beside:
        each.join(PATIENCE)
    assert not wrong, wrong
    wait_until(lambda: postgres.sql("select count(*) from pg_stat_activity where usename = 'ana' and state <> 'idle'")
               == "0", "that nothing is left running")


def finish_one(errand, going):
    tag, (queries, leaves) = next(iter(going.items()))
    del going[tag]
    if leaves:  # unless it was over before
        wait_until(lambda: any(("canceled", tag) == event[:2] or ("finished", tag) == event[:2]
                               for event in list(errand.order)), f"the end of {tag}")
        return
    check_ones_own(errand.ended(tag, 60), tag, queries)
