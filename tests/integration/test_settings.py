"""What a client sets stays its own, whichever server it gets."""
import concurrent.futures

import psycopg
import pytest
from harness.wire import SYNC, Wire, bind, execute, parse, query

ZONES = ["UTC", "Asia/Tokyo", "Europe/Rome", "America/Lima", "Africa/Cairo"]


def show(connection, name):
    return connection.execute(f"show {name}").fetchone()[0]


def test_settings_of_the_first_packet_are_reported_and_hold(weir, wire):
    client = Wire(weir.port)
    client.login("ana", TimeZone="Asia/Tokyo", DateStyle="German", application_name="it's \\ me")
    assert client.parameters["TimeZone"] == "Asia/Tokyo"
    assert client.parameters["application_name"] == "it's \\ me"
    assert client.value("show timezone") == "Asia/Tokyo"
    assert client.value("show datestyle") == "German, DMY"
    assert client.value("show application_name") == "it's \\ me"
    assert client.value("select '2026-11-21'::date") == "21.11.2026"
    client.socket.close()


def test_clients_with_different_settings_share_servers_and_never_see_each_others(weir, connect):
    clients = [connect(weir, options="", application_name=f"client {i}") for i in range(10)]
    for i, client in enumerate(clients):
        client.execute(f"set timezone to '{ZONES[i % 5]}'")

    def is_own(i):
        return all(show(clients[i], "timezone") == ZONES[i % 5] and
                   show(clients[i], "application_name") == f"client {i}" for _ in range(30))

    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        assert all(threads.map(is_own, range(10)))


def test_a_setting_undone_by_rollback_is_undone(weir, connect):
    client, other = connect(weir), connect(weir)
    client.execute("set timezone to 'Asia/Tokyo'")
    with pytest.raises(ZeroDivisionError), client.transaction():
        client.execute("set timezone to 'Europe/Rome'")
        raise ZeroDivisionError
    assert show(other, "timezone") != "Asia/Tokyo"
    assert show(client, "timezone") == "Asia/Tokyo"


def test_a_local_setting_ends_with_its_transaction(weir, connect):
    client = connect(weir)
    before = show(client, "timezone")
    with client.transaction():
        client.execute("set local timezone to 'Europe/Rome'")
        assert show(client, "timezone") == "Europe/Rome"
    assert show(client, "timezone") == before


def test_a_setting_the_server_does_not_report_is_gone_with_its_client(pooler, connect):
    weir = pooler(default_pool_size=1)
    client = connect(weir)
    client.execute("set work_mem to '77kB'")
    assert show(client, "work_mem") == "77kB"
    client.close()
    assert show(connect(weir), "work_mem") != "77kB"


def test_what_pinned_a_client_is_gone_with_it_whatever_the_configuration_says(pooler, connect):
    weir = pooler(default_pool_size=1, server_reset_query="")
    for text in ("select 'first'", "select 'second'"):
        client = Wire(weir.port)
        client.login("ana")
        answer = client.ask(parse("same_name", text), bind("", "same_name"), execute(), SYNC)
        assert next(each for each in answer if each.kind == "D").cells() == [text[8:-1]]
        client.socket.close()


def test_a_value_the_server_does_not_take_is_told_to_the_client_that_wants_it(weir, wire, connect):
    other = connect(weir)
    client = Wire(weir.port)
    client.login("ana", TimeZone="Nowhere/Land")
    client.send(query("select 'must not be seen'"))
    seen = client.read_until("E")
    assert [each.kind for each in seen] == ["E"]
    assert seen[0].fields()["C"] == "22023"
    assert "Nowhere/Land" in seen[0].fields()["M"]
    assert client.is_closed()
    assert other.execute("select 1").fetchone() == (1,)


def test_what_the_database_s_entry_says_holds_for_clients_that_say_nothing(pooler, connect):
    weir = pooler(entry="timezone=Asia/Tokyo application_name=entry")
    assert show(connect(weir, application_name="own"), "timezone") == "Asia/Tokyo"
    client = Wire(weir.port)
    client.login("ana")
    assert client.value("show application_name") == "entry"
    client.socket.close()


def test_startup_parameters_may_be_ignored(pooler):
    weir = pooler(ignore_startup_parameters="work_mem, options")
    client = Wire(weir.port)
    client.login("ana", work_mem="77kB", options="-c statement_timeout=77s")
    assert client.value("show work_mem") == "4MB"
    assert client.value("show statement_timeout") == "0"
    client.socket.close()


@pytest.mark.parametrize("options", ["-d 5", "-c", "-c work_mem", "nonsense"])
def test_options_that_are_none_are_refused(weir, options):
    with pytest.raises(psycopg.OperationalError, match="invalid command-line argument for server process"):
        psycopg.connect(weir.dsn(options=options))
