"""What nobody should send. Each time: it ends in time, and everybody else is served as before."""
import random
import socket
import struct

import pytest
from harness.process import wait_until
from harness.wire import PROTOCOL_3_0, message, packet, parse, query, startup

LENGTHS = [0, 3, 7, -1, 2**31 - 1, -2**31]


@pytest.fixture
def served(pooler, wire):
    """A pooler that hurries, with a client before, who must still be there after the test."""
    weir = pooler(client_login_timeout=1)
    client = wire(weir, "ana")
    assert client.value("select 1") == "1"
    yield weir
    assert client.value("select 'still served'") == "still served"
    assert wire(weir, "bob").value("select 'welcome'") == "welcome"


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_end_in_a_closed_connection(served, wire, seed):
    client = wire(served)
    try:
        client.send(random.Random(seed).randbytes(1 + 37 * seed))
    except ConnectionError:
        pass
    assert client.is_closed()


@pytest.mark.parametrize("length", LENGTHS)
def test_a_wrong_length_before_login_ends_in_a_closed_connection(served, wire, length):
    assert wire(served).send(struct.pack("!ii", length, PROTOCOL_3_0)).is_closed()


@pytest.mark.parametrize("length", [0, 3, -1, -2**31])
def test_a_wrong_length_after_login_ends_in_a_closed_connection(served, wire, length):
    assert wire(served, "ana").send(b"Q" + struct.pack("!i", length)).is_closed()


def test_a_query_that_claims_two_gigabytes_disturbs_nobody(served, wire):
    client = wire(served, "ana").send(b"Q" + struct.pack("!i", 2**31 - 1) + b"select 1")
    for _ in range(5):
        assert wire(served, "bob").value("select 1") == "1"
    client.socket.close()


def test_a_startup_packet_of_10000_bytes_is_refused(served, wire):
    assert wire(served).send(startup(user="ana", database="main", application_name="x" * 10_000)).is_closed()


def test_a_startup_packet_without_a_user_is_refused(served, wire):
    client = wire(served).send(startup(database="main"))
    assert client.error()["S"] == "FATAL"
    assert client.is_closed()


@pytest.mark.parametrize("body", [b"", b"user", b"user\0", b"user\0ana", b"user\0ana\0database\0main", b"\0\0\0"])
def test_a_startup_packet_cut_short_within_is_refused(served, wire, body):
    assert wire(served).send(packet(PROTOCOL_3_0, body)).is_closed()


def test_a_name_of_many_letters_is_refused(served, wire):
    assert wire(served).send(startup(user="a" * 300, database="d" * 300)).is_closed()


@pytest.mark.parametrize("kind", ["\0", "!", "z", "\x7f"])
def test_an_unknown_message_type_ends_in_an_error_or_a_closed_connection(served, wire, kind):
    assert wire(served, "ana").send(message(kind, b"what?")).is_closed()


@pytest.mark.parametrize("first", [query("select 1"), message("p", b"secret\0"), message("X")])
def test_a_message_before_login_ends_in_a_closed_connection(served, wire, first):
    assert wire(served).send(first).is_closed()


@pytest.mark.parametrize("sent", [b"", b"\0", struct.pack("!i", 50), startup(user="ana", database="main")[:-3]])
def test_half_a_startup_packet_and_silence_is_cut_off(served, wire, sent):
    assert wire(served).send(sent).is_closed()


def test_silence_instead_of_a_password_is_cut_off(pooler, postgres, wire):
    weir = pooler(client_login_timeout=1, auth_type="scram-sha-256", secrets={"ana": "secret"})
    client = wire(weir).send(startup(user="ana", database="main"))
    assert client.read().kind == "R"
    assert client.is_closed()


@pytest.mark.parametrize("reply", [b"", b"p", message("p"), message("p", b"SCRAM-SHA-256\0"),
                                   message("p", b"SCRAM-SHA-256\0" + struct.pack("!i", 2**31 - 1) + b"n,,n=,r=x"),
                                   message("p", b"SCRAM-SHA-256\0" + struct.pack("!i", 3) + b"n,,"),
                                   message("p", b"x" * 5000), query("select 1")])
def test_a_broken_scram_message_is_refused(pooler, wire, reply):
    weir = pooler(client_login_timeout=1, auth_type="scram-sha-256", secrets={"ana": "secret"})
    client = wire(weir).send(startup(user="ana", database="main"))
    assert client.read().kind == "R"
    assert client.send(reply).is_closed()


@pytest.mark.parametrize("sent", [b"Q", b"Q\0\0\0", query("select 1")[:-4], parse("", "select 1")[:8],
                                  parse("", "select 1") + query("select 2")[:7]])
def test_half_a_message_then_close_gives_the_server_to_others(pooler, wire, sent):
    weir = pooler(default_pool_size=1)
    client = wire(weir, "ana")
    client.send(sent).socket.close()
    assert wire(weir, "ana").value("select 'mine'") == "mine"


@pytest.mark.parametrize("sent", [b"Q\0\0\0", query("select 1")[:-4]])
def test_half_a_message_then_silence_keeps_only_its_own_client_waiting(served, wire, sent):
    client = wire(served, "ana").send(sent)
    for _ in range(5):
        assert wire(served, "bob").value("select 1") == "1"
    client.socket.close()


def test_a_hundred_resets_leave_no_descriptor_behind(served, wire):
    before = served.process.descriptors()
    for number in range(100):
        client = wire(served, *["ana"] * (number % 2))
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
    wait_until(lambda: served.process.descriptors() <= before + 4, "the descriptors' return")
