""""cached plan must not change result type": a table changes, and no client sees it (trap 48)."""
import pytest
from harness.wire import SYNC, bind, describe, execute, kinds, parse, query


@pytest.fixture
def table(postgres):
    postgres.sql("drop table if exists changing; create table changing (a int); insert into changing values (1);"
                 "grant all on changing to public")
    yield
    postgres.sql("drop table changing")


def use(client):
    return client.ask(bind("", "s1"), describe("P"), execute(), SYNC)


def test_a_prepared_statement_survives_a_change_of_its_table(postgres, pooler, wire, table):
    weir = pooler(default_pool_size=1)
    client, other = wire(weir, "ana"), wire(weir, "ana")
    for each in (client, other):
        each.ask(parse("s1", "select * from changing"), SYNC)
        assert kinds(use(each)) == "2TDCZ"
    postgres.sql("alter table changing add b int default 2")
    for each in (client, other):
        answer = use(each)
        assert kinds(answer) == "2TDCZ"
        assert answer[2].cells() == ["1", "2"]


def test_who_asks_for_no_description_is_told(postgres, pooler, wire, table):
    """It would take the new rows for the old ones."""
    client = wire(pooler(default_pool_size=1), "ana")
    client.ask(parse("s1", "select * from changing"), SYNC)
    postgres.sql("alter table changing add b int default 2")
    answer = client.ask(bind("", "s1"), execute(), SYNC)
    assert kinds(answer) == "EZ" and answer[0].fields()["C"] == "0A000"
    assert kinds(use(client)) == "2TDCZ"


def test_in_a_transaction_it_is_an_error_and_then_it_works(postgres, pooler, wire, table):
    weir = pooler(default_pool_size=1)
    client = wire(weir, "ana")
    client.ask(parse("s1", "select * from changing"), SYNC)
    postgres.sql("alter table changing add b int default 2")
    client.ask(query("begin"))
    answer = use(client)
    assert kinds(answer) == "EZ" and answer[0].fields()["C"] == "0A000"
    client.ask(query("rollback"))
    assert kinds(use(client)) == "2TDCZ"
