"""What one client leaves in its server, no other client finds."""
import pytest
from harness.wire import query


@pytest.fixture
def weir(pooler):
    return pooler(default_pool_size=1)


@pytest.mark.weir_only
@pytest.mark.parametrize("change, look, usual", [
    ("set default_transaction_read_only = on", "show transaction_read_only", "off"),
    ("set session authorization bob", "select session_user", "ana"),
    ("set role bob", "select current_user", "ana"),
    ("set role things_reader", "select current_user", "ana"),
    ("select set_config('role', 'things_reader', false)", "select current_user", "ana"),
    ("set work_mem = '1MB'", "show work_mem", "4MB"),
    ("set work_mem = '1MB'; set application_name = 'mine'", "show work_mem", "4MB"),
    ("begin; set work_mem = '1MB'; set timezone = 'Asia/Tokyo'; commit", "show work_mem", "4MB"),
    ("select set_config('timezone', 'Asia/Tokyo', false); set work_mem = '1MB'", "show work_mem", "4MB"),
    ("listen news", "select count(*) from pg_listening_channels()", "0"),
    ("prepare mine as select 1", "select count(*) from pg_prepared_statements", "0"),
])
def test_what_one_client_sets_no_other_sees(postgres, weir, wire, change, look, usual):
    postgres.sql("do $$ begin if to_regrole('things_reader') is null then create role things_reader; end if; end $$")
    first = wire(weir, "ana")
    first.ask(query(change))
    second = wire(weir, "ana").send(query(look))
    if not second.readable(0.3):  # the first has kept its server
        first.socket.close()
    assert next(each.cells()[0] for each in second.read_until("Z") if each.kind == "D") == usual


@pytest.mark.weir_only
@pytest.mark.parametrize("setting, value", [("application_name", "mine"), ("TimeZone", "Asia/Tokyo"),
                                            ("DateStyle", "German, DMY"), ("client_encoding", "LATIN1")])
def test_what_postgresql_reports_follows_its_client(weir, wire, setting, value):
    first, second = wire(weir, "ana"), wire(weir, "ana")
    before = second.value(f"show {setting}")
    first.ask(query(f"set {setting} to '{value}'"))
    for _ in range(3):
        assert second.value(f"show {setting}") == before
        assert first.value(f"show {setting}") == value


def test_an_empty_application_name_is_legal(weir, wire):
    assert wire(weir, "ana", application_name="").value("show application_name") == ""
