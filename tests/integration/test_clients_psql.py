"""psql and pgbench with all that their manuals offer: many clients, two servers, and nobody notices."""
import re
import signal
import subprocess

import pytest
from harness.clients import at_once, dsn, run
from harness.terminal import Terminal

pytestmark = pytest.mark.weir_only

CLIENTS = 12

# Each psql has its own tables; ON_ERROR_STOP is off, and what goes wrong is part of what is compared.
SCRIPT = r"""
create table work.tNUMBER (n int, tag text);
\copy work.tNUMBER from 'FOLDER/rows.csv' with (format csv)
\copy work.tNUMBER from stdin
100	from stdin
101	of NUMBER
\.
\copy (select n, tag from work.tNUMBER where n >= 3 order by n) to 'FOLDER/outNUMBER'
\copy (select n, tag from work.tNUMBER order by n) to stdout
\copy work.tNUMBER from 'FOLDER/rows.csv'
\copy work.none from 'FOLDER/rows.csv'
copy work.tNUMBER (n) from stdin;
7
\.
select count(*) as rows, max(n) as most, NUMBER as who from work.tNUMBER \gset
\echo :rows :most :who
select n, n + NUMBER as sum from generate_series(1, 3) n \gx
select format('select %s * %s', n, NUMBER) from generate_series(1, 3) n \gexec
select tag, count(*) from work.tNUMBER group by tag order by tag \crosstabview tag
\set AUTOCOMMIT off
insert into work.tNUMBER values (500, 'lost');
rollback;
insert into work.tNUMBER values (501, 'kept');
commit;
\set AUTOCOMMIT on
\set ON_ERROR_ROLLBACK on
begin;
insert into work.tNUMBER values (502, 'kept');
select 1 / 0;
insert into work.tNUMBER values (503, 'kept');
commit;
select n from work.tNUMBER where n > 500 order by n;
\set FETCH_COUNT 7
select n, NUMBER from generate_series(1, 30) n;
\set FETCH_COUNT 0
select 1 as one \; select 2 as two \; select NUMBER as who;
\d work.tNUMBER
select 'a' || NUMBER as described, 1::numeric(4, 2) as too \gdesc
\echo :LAST_ERROR_SQLSTATE :ERROR
update work.turns set n = n + 1 where who = NUMBER returning n, 12 / (4 - n) \watch 0.05
select n from work.turns where who = NUMBER;
\errverbose
prepare named as select $1::int * NUMBER;
execute named(3);
deallocate named;
begin;
declare walk cursor for select n from generate_series(1, 10) n;
fetch 3 in walk;
move 4 in walk;
fetch all in walk;
commit;
do $$ begin raise notice 'noticed'; end $$;
\encoding LATIN1
select 'e' as letter, current_setting('client_encoding');
"""


def psql(postgres, port, *arguments):
    return [postgres.bin / "psql", "-Xqn", *arguments, dsn(port)]


def script(postgres, port, folder):
    """What each psql prints, errors in their places; out-files too."""
    (folder / "rows.csv").write_text("".join(f"{n},row {n}\n" for n in range(5)))
    run(psql(postgres, port), "create table work.turns (who int, n int);"
        f"insert into work.turns select who, 0 from generate_series(0, {CLIENTS - 1}) who")

    def talk(number, ready):
        ready()
        done = subprocess.run(psql(postgres, port, "-At"),
                              input=SCRIPT.replace("FOLDER", str(folder)).replace("NUMBER", str(number)), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        return done.returncode, re.sub(r"LOCATION: .*", "", done.stdout), (folder / f"out{number}").read_text()

    return at_once(CLIENTS, talk)


def test_psql_s_commands_do_what_they_always_do(compare, postgres, folder):
    status, said, out = compare(lambda port: script(postgres, port, folder))[4]
    assert status == 0
    assert "\n8 101 4\n" in said and "\n501\n502\n503\n" in said and "noticed" in said and "\ne|LATIN1\n" in said
    assert "\n1|4\n2|6\n3|12\n" in said and "division by zero" in said, "\\watch runs until its query fails"
    assert out == "3\trow 3\n4\trow 4\n100\tfrom stdin\n101\tof 4\n"


def bind(postgres, port, _number, ready):
    ready()
    return run(psql(postgres, port, "-At"), "select $1::int + $2::int, $3 \\bind 1 2 'it''s' \\g\n"
               "select $1 \\bind again \\g\n")


def test_psql_binds_parameters(compare, postgres):
    version = run([postgres.bin / "psql", "--version"])
    if int(re.search(r"\d+", version)[0]) < 16:
        pytest.skip(f"\\bind came with psql 16; here is {version.strip()}")
    answers = compare(lambda port: at_once(CLIENTS, lambda *who: bind(postgres, port, *who)))
    assert answers[0] == "3|it's\nagain\n"


def interrupted(postgres, port, number, ready):
    """Ctrl-C to a query that runs or still waits for a server, and to \\watch; the session goes on after it."""
    terminal = Terminal(psql(postgres, port, "-At"))
    try:
        terminal.says("=#")
        ready()
        # In one line, since an interrupt throws away what psql has not read.
        terminal.write(f"\\echo it ' starts' \\\\ select pg_sleep(60), 'of {number}';\n")
        terminal.says("it  starts")
        terminal.until(lambda: terminal.child.send_signal(signal.SIGINT), "canceling statement")
        terminal.until(lambda: terminal.write("\\echo first: :LAST_ERROR_SQLSTATE\n"), "first: 57014")
        terminal.write("select 'still ' || 'here';\n")
        terminal.says("still here")
        terminal.write("select 'tick' || 'tack' \\watch 0.05\n")
        terminal.says("ticktack\nticktack\n")
        terminal.child.send_signal(signal.SIGINT)
        terminal.until(lambda: terminal.write("\\echo the ' end'\n"), "the  end")
        terminal.write("\\q\n")
        return terminal.close()
    finally:
        terminal.child.kill()


def test_psql_is_interrupted_and_goes_on(compare, postgres):
    assert compare(lambda port: at_once(CLIENTS, lambda *who: interrupted(postgres, port, *who))) == [0] * CLIENTS


# pgbench, whose scripts add to sums that can be foretold.

WRITES = r"""
\set n random(1, 10)
begin;
update work.sums set n = n + 1 where who = :client_id returning n as before \gset
select n, :before as before from work.sums where who = :client_id;
commit;
select :n + 1 as next \gset
\if :next > 11
select 1 / 0;
\endif
insert into work.log values (:client_id, :before, 'SCRIPT');
"""

PIPELINES = r"""
\set n random(1, 10)
\startpipeline
begin;
update work.sums set n = n + 1 where who = :client_id;
select sum(n) from generate_series(1, :n) n;
commit;
insert into work.log values (:client_id, :n, 'SCRIPT');
select 'SCRIPT', :client_id;
\endpipeline
select count(*) from work.sums where who = :client_id;
\startpipeline
select :n::int;
select 'again', :n;
\endpipeline
"""


def bench(postgres, port, folder, number, text, protocol):
    """One of several pgbenches at once, whose statements have the same names and other texts. Each client
    has a thread of its own, for pgbench waits for PQprepare() with all other clients of its thread: one of
    them may have the very transaction open whose end a server is waited for."""
    file = folder / f"{number}.sql"
    text = text.replace("SCRIPT", f"script {number}")
    file.write_text(text.replace("who = :client_id", f"who = 100 * {number} + :client_id"))
    done = subprocess.run([postgres.bin / "pgbench", "-n", "-h", "127.0.0.1", "-p", str(port), "-U", "ana",
                           "-M", protocol, "-f", file, "-c", "16", "-j", "16", "-t", "25", "main"],
                          text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 and "ERROR" not in done.stderr, done.stderr
    assert "number of failed transactions: 0 (0.000%)" in done.stdout, done.stdout
    return re.findall("number of transactions actually processed: .*", done.stdout)


def benches(postgres, port, folder, protocol):
    run(psql(postgres, port), "create table work.sums (who int primary key, n int);"
        "create table work.log (who int, n int, tag text);"
        "insert into work.sums select 100 * s + c, 0 from generate_series(0, 1) s, generate_series(0, 15) c")
    texts = [WRITES, WRITES] if protocol == "simple" else [WRITES, PIPELINES]  # pipelines need the extended protocol
    return at_once(2, lambda number, ready: bench(postgres, port, folder, number, texts[number], protocol)) + \
        [run(psql(postgres, port, "-At"), "select who, n from work.sums order by who; "
             "select tag, who, count(*) from work.log group by 1, 2 order by 1, 2")]


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench_s_scripts_and_pipelines_run_without_a_failure(compare, postgres, folder, protocol):
    answers = compare(lambda port: benches(postgres, port, folder, protocol))
    assert answers[0] == answers[1] == ["number of transactions actually processed: 400/400"]
    assert "\n3|25\n" in answers[2] and "script 1|15|25\n" in answers[2]
