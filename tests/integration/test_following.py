"""What PostgreSQL does not report follows its client as well: several clients in turn on one server."""
import pytest
from harness.wire import SYNC, Wire, bind, execute, parse, query

# a change, what shows it, what it shows then
CHANGES = [
    ("set search_path to one, \"T w o\"", "show search_path", "one, \"T w o\""),
    ("set search_path = ''", "show search_path", '""'),
    ("set search_path to '$user', public", "show search_path", '"$user", public'),
    ("set work_mem = '1MB'", "show work_mem", "1MB"),
    ("set session statement_timeout = 77000", "show statement_timeout", "77s"),
    ("set extra_float_digits to -1", "show extra_float_digits", "-1"),
    ("set role things_reader", "select current_user", "things_reader"),
    ("set \"App\".User_id = 'it''s \\ m\u00e4'", "show app.user_id", "it's \\ m\u00e4"),
    ("set work_mem = '2MB'; set timezone = 'Asia/Tokyo'; set app.user_id = 1",
     "select current_setting('work_mem') || current_setting('timezone') || current_setting('app.user_id')",
     "2MBAsia/Tokyo1"),
    ("select set_config('work_mem', '3MB', false)", "show work_mem", "3MB"),
    ("select pg_catalog.set_config('search_path', '', false)", "show search_path", ""),
    ("select set_config('app.' || 'user_id', '4', false), set_config('work_mem', '4321kB', false)", "show work_mem", "4321kB"),
    ("begin; set work_mem = '5MB'; commit", "show work_mem", "5MB"),
    ("begin; savepoint s; set work_mem = '6MB'; release s; commit", "show work_mem", "6MB"),
    ("begin; set app.user_id = 'kept'; savepoint s; set app.user_id = 'lost'; rollback to s; commit",
     "show app.user_id", "kept"),
    ("do $$ begin set work_mem = '7MB'; perform set_config('app.user_id', 'by do', false); end $$",
     "select current_setting('work_mem') || current_setting('app.user_id')", "7MBby do"),
    ("do $$ begin set role things_reader; end $$", "select current_user", "things_reader"),
    ("set session characteristics as transaction isolation level serializable",
     "show default_transaction_isolation", "serializable"),
    ("set default_transaction_read_only = on", "show transaction_read_only", "on"),
    ("select set_config('work_mem', v, false) from (values ('8MB')) as t (v)", "show work_mem", "8MB"),
    ("set work_mem to 9000; select 1 / 0", "show work_mem", "4MB"),
    ("set local work_mem = '9MB'", "show work_mem", "4MB"),
    ("begin; set local work_mem = '9MB'; commit", "show work_mem", "4MB"),
    ("begin; set work_mem = '9MB'; rollback", "show work_mem", "4MB"),
    ("begin; select set_config('work_mem', '9MB', true); commit", "show work_mem", "4MB"),
    ("set work_mem = '9MB'; reset work_mem", "show work_mem", "4MB"),
    ("set work_mem = '9MB'; set role things_reader; discard all", "select current_user || current_setting('work_mem')", None),
]


@pytest.fixture
def one(postgres, pooler):
    postgres.sql("do $$ begin if to_regrole('things_reader') is null then create role things_reader; end if; end $$")
    postgres.sql("grant things_reader to ana")
    return pooler(default_pool_size=1)


def test_the_list_of_changes_is_not_only_of_those_that_leave_nothing():
    assert sum(expected != "4MB" for _, _, expected in CHANGES) > 15


@pytest.mark.weir_only
@pytest.mark.parametrize("change, look, expected", CHANGES)
def test_what_a_client_sets_it_finds_and_no_other(one, wire, change, look, expected):
    first, second = wire(one, "ana", client_encoding="UTF8"), wire(one, "ana", client_encoding="UTF8")
    shows = "select coalesce(nullif(current_setting('app.user_id', true), ''), '-') || current_user || " \
            "current_setting('search_path') || current_setting('work_mem') || current_setting('statement_timeout')"
    usual = second.value(shows)
    if change.startswith("begin; ") and "; set " in change:  # one message each
        for part in change.split("; "):
            first.ask(query(part))
    else:
        first.ask(query(change))
    if "discard" not in change and "'app.' ||" not in change:  # whose name nobody knows: it keeps its server
        for _ in range(3):
            assert second.value(shows) == usual
            assert first.value(look) == expected
    first.socket.close()
    assert second.value(shows) == usual


@pytest.mark.weir_only
@pytest.mark.parametrize("change, look, expected", [each for each in CHANGES if ";" not in each[0]])
def test_the_same_in_the_extended_protocol(one, wire, change, look, expected):
    first, second = wire(one, "ana", client_encoding="UTF8"), wire(one, "ana", client_encoding="UTF8")
    usual = second.value(look) if "app." not in look else None
    first.ask(parse("", change), bind("", ""), execute(), SYNC)
    if "'app.' ||" in change:
        return
    for _ in range(3):
        if usual is not None:
            assert second.value(look) == usual
        assert first.value(look) == expected


@pytest.mark.weir_only
def test_startup_options_and_any_setting_of_the_first_packet_hold(one, wire):
    client = wire(one, "ana", options="-c work_mem=2MB --statement-timeout=66s -csearch_path=a,\\ b "
                                      "-c app.name=with\\ blank", lock_timeout="2s", role="things_reader")
    other = wire(one, "ana")
    for _ in range(2):
        assert other.value("show work_mem") == "4MB"
        assert client.value("show work_mem") == "2MB"
        assert client.value("show statement_timeout") == "66s"
        assert client.value("show search_path") == "a, b"
        assert client.value("show app.name") == "with blank"
        assert client.value("show lock_timeout") == "2s"
        assert client.value("select current_user") == "things_reader"
        assert other.value("select current_user") == "ana"


@pytest.mark.weir_only
@pytest.mark.parametrize("startup, word", [
    ({"options": "-c work_mem=nonsense"}, "work_mem"),
    ({"statement_timeout": "nonsense"}, "statement_timeout"),
    ({"no_such_setting": "1"}, "no_such_setting"),
    ({"role": "nobody_of_that_name"}, "nobody_of_that_name"),
])
def test_a_value_postgresql_does_not_take_is_told_to_the_client_that_brought_it(one, wire, startup, word):
    other = wire(one, "ana")
    client = Wire(one.port)
    client.login("ana", **startup)
    seen = client.send(query("select 'must not be seen'")).read_until("E")
    assert [each.kind for each in seen] == ["E"]
    assert word in seen[0].fields()["M"]
    assert client.is_closed()
    assert other.value("show work_mem") == "4MB"
    client.socket.close()


@pytest.mark.weir_only
@pytest.mark.parametrize("reset", ["reset all", "discard all", "reset work_mem; reset timezone; reset app.own"])
def test_a_reset_goes_back_to_what_the_client_brought_along(one, wire, reset):
    client = wire(one, "ana", options="-c work_mem=2MB -c app.own=mine", TimeZone="Asia/Tokyo")
    other = wire(one, "ana")
    client.ask(query("set work_mem = '9MB'"))
    client.ask(query("set timezone = 'Europe/Rome'"))
    client.ask(query("set app.own = 'changed'"))
    client.ask(query(reset))
    for _ in range(2):
        assert client.value("show work_mem") == "2MB"
        assert client.value("show timezone") == "Asia/Tokyo"
        assert client.value("show app.own") == "mine"
        assert other.value("show work_mem") == "4MB"


@pytest.mark.weir_only
def test_a_role_whose_rights_are_fewer_does_not_keep_others_from_their_own(one, wire):
    first, second = wire(one, "ana"), wire(one, "ana")
    first.ask(query("set role things_reader"))
    second.ask(query("set work_mem = '9MB'"))
    for _ in range(3):
        assert first.value("select current_user || current_setting('work_mem')") == "things_reader4MB"
        assert second.value("select current_user || current_setting('work_mem')") == "ana9MB"


@pytest.mark.weir_only
def test_pipelined_settings_and_queries_keep_their_order(one, wire):
    first, second = wire(one, "ana"), wire(one, "ana")
    for turn in range(5):
        answer = first.send(query(f"set app.turn = {turn}"), query("show app.turn"), query("set app.turn = 'x"),
                            query("show app.turn"))
        rows = [each.cells()[0] for _ in range(4) for each in answer.read_until("Z") if each.kind == "D"]
        assert rows == [str(turn)] * 2
        assert second.value("select coalesce(current_setting('app.turn', true), '')") == ""
        assert first.value("show app.turn") == str(turn)


def test_a_reset_while_pinned_goes_back_to_what_the_client_brought(postgres, pooler, wire):
    """The server is asked what is left of the pins; what comes next must not overtake the settings."""
    client = wire(pooler(default_pool_size=1), "ana", application_name="mine", options="-c work_mem=1597kB")
    client.ask(query("create temp table kept as select 1"))
    with Wire(postgres.port) as admin:
        admin.login("postgres")
        admin.ask(query("begin; lock table pg_catalog.pg_class in access exclusive mode"))
        client.ask(query("reset all"))  # and now the question waits for the lock
        client.send(query("select current_setting('work_mem') || current_setting('application_name')"))
        admin.ask(query("commit"))
    assert [each.cells() for each in client.read_until("Z") if each.kind == "D"] == [["1597kBmine"]]
