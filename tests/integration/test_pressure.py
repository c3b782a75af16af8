"""Much at once, and peers that do not read: nobody else notices, and memory stays what it is."""
import socket
import threading
import time

import pytest
from harness.wire import COPY_DONE, SYNC, Wire, bind, copy_data, execute, kinds, parse, query

SENT = 'weir_pool_client_sent_bytes_total{database="main",user="ana"}'


def slow_reader(weir):
    """A client whose socket takes next to nothing that it has not read."""
    reader = Wire.__new__(Wire)
    reader.socket = socket.socket()
    reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.socket.settimeout(20)
    reader.socket.connect(("127.0.0.1", weir.port))
    reader.key, reader.parameters = None, {}
    reader.login()
    return reader


@pytest.mark.weir_only
def test_who_asks_again_and_again_and_reads_nothing_is_not_answered_for_ever(weir, wire):
    other = wire(weir, "ana")
    with slow_reader(weir) as greedy:
        for _ in range(2000):
            greedy.send(query("select repeat('x', 6000)"))
            time.sleep(0.002)
        assert weir.metrics()[SENT] < 8_000_000
        assert other.value("select 1") == "1"
        for _ in range(2000):
            assert kinds(greedy.read_until("Z")) == "TDCZ"


@pytest.mark.weir_only
def test_who_pipelines_and_reads_nothing_is_stopped_and_disturbs_nobody(weir, wire):
    with slow_reader(weir) as greedy:
        greedy.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(3000):
                greedy.send(query("select repeat('x', 20000) --" + "y" * 10000))
        assert wire(weir, "ana").value("select 1") == "1"
        first = weir.metrics()[SENT]
        time.sleep(0.2)
        assert weir.metrics()[SENT] - first < 1000


def test_ten_thousand_pipelined_queries_are_answered_in_order(weir, wire):
    client = wire(weir, "ana")
    sender = threading.Thread(target=client.send, args=[query(f"select {n}") for n in range(10000)])
    sender.start()
    for n in range(10000):
        answer = client.read_until("Z")
        assert kinds(answer) == "TDCZ" and answer[1].cells() == [str(n)]
    sender.join()


def test_ten_thousand_pipelined_extended_queries_are_answered_in_order(weir, wire):
    client = wire(weir, "ana")
    batches = [parse("", f"select {n}") + bind() + execute() + SYNC for n in range(10000)]
    sender = threading.Thread(target=client.send, args=batches)
    sender.start()
    for n in range(10000):
        answer = client.read_until("Z")
        assert kinds(answer) == "12DCZ" and answer[2].cells() == [str(n)]
    sender.join()


def test_one_batch_of_ten_thousand_statements_is_answered_whole(weir, wire):
    client = wire(weir, "ana")
    batch = [parse("", f"select {n}") + bind() + execute() for n in range(10000)] + [SYNC]
    sender = threading.Thread(target=client.send, args=batch)
    sender.start()
    assert kinds(client.read_until("Z")) == "12DC" * 10000 + "Z"
    sender.join()


def test_a_query_of_100_mb_arrives_whole(weir, connect):
    text = "x" * 100_000_000
    assert connect(weir).execute(f"select length('{text}')").fetchone() == (len(text),)


def test_a_row_of_100_mb_arrives_whole(weir, connect):
    assert len(connect(weir).execute("select repeat('x', 100000000)").fetchone()[0]) == 100_000_000


def test_copied_data_that_nobody_waits_for_is_read_over(weir, wire):
    client = wire(weir, "ana")
    client.send(*[copy_data(b"x" * 100_000)] * 100, COPY_DONE)
    assert client.value("select 1") == "1"
