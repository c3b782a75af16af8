"""A statement whose result changes its type: who has learned to read the old one must be told."""
import struct

import pytest
from harness.wire import SYNC, Wire, describe, execute, kinds, message, parse, query

BIND_FOR_BINARY = message("B", b"\0s\0" + struct.pack("!hhhh", 0, 0, 1, 1))


@pytest.mark.weir_only
def test_new_types_are_not_read_as_the_old_ones(postgres, weir):
    """JDBC describes a statement once, and would read eight bytes as an int of four."""
    for target in (postgres, weir):
        postgres.sql("drop table if exists typed; create table typed (n int); insert into typed values (7)")
        client, other = Wire(target.port), Wire(target.port)
        client.login("ana")
        other.login("ana")
        client.ask(parse("s", "select n from typed"), describe("S", "s"), SYNC)
        assert kinds(client.ask(BIND_FOR_BINARY, execute(), SYNC)) == "2DCZ"
        other.ask(query("alter table typed alter n type bigint"))
        other.ask(query("begin"))
        other.ask(query("select 1"))  # on the server that was used last, so that the client gets another
        answers = client.ask(BIND_FOR_BINARY, execute(), SYNC)
        assert kinds(answers) == "EZ", target
        assert answers[0].fields()["C"] == "0A000"
        client.socket.close()
        other.socket.close()
