"""Who does not read, is not sent: and nobody else pays for it."""
from harness.process import wait_until
from harness.wire import Wire, query

MEGABYTE = 1 << 20


def slow_reader(target):
    """Logged in, with so small a buffer that what it does not read piles up at once."""
    reader = Wire(target.port, receive_buffer=4096)
    reader.login("ana")
    return reader


def memory(target):
    """Resident, in bytes."""
    with open(f"/proc/{target.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


def test_a_server_held_back_for_a_slow_client_is_read_again_for_the_next_one(postgres, pooler, connect):
    weir = pooler(default_pool_size=1)
    other = connect(weir)
    other.execute("select 1")

    def is_at_rest():
        state = postgres.sql("select state || ' ' || wait_event from pg_stat_activity where usename = 'ana'")
        return state in ("idle ClientRead", "active ClientWrite")

    for size in range(MEGABYTE // 8, 4 * MEGABYTE, MEGABYTE // 16):
        slow = slow_reader(weir)
        slow.send(query(f"select repeat('x', {size})"))
        assert slow.readable(10)
        wait_until(is_at_rest, "all to be sent, or stuck")
        # Either way: once it has been read, the server is free.
        row = next(each for each in slow.read_until("Z") if each.kind == "D")
        assert len(row.payload) == size + 6
        assert other.execute("select 1").fetchone() == (1,)
        slow.socket.close()


def test_a_client_that_reads_nothing_costs_no_memory_and_delays_nobody(postgres, pooler, connect):
    weir = pooler(default_pool_size=2)
    other = connect(weir)
    other.execute("select 1")
    before = memory(weir)
    slow = slow_reader(weir)
    slow.send(query("select repeat('x', 1000000) from generate_series(1, 200)"))
    wait_until(lambda: postgres.sql("select count(*) from pg_stat_activity where wait_event = 'ClientWrite'") == "1",
               "the server to be held back")
    assert other.execute("select 2").fetchone() == (2,)
    assert memory(weir) - before < 2 * MEGABYTE
    slow.socket.close()
    wait_until(lambda: postgres.sql("select count(*) from pg_stat_activity where state = 'active' "
                                    "and query like '%generate_series%' and pid <> pg_backend_pid()") == "0",
               "the query to be cancelled")


def test_a_client_that_sends_and_reads_nothing_costs_no_memory(pooler, connect):
    weir = pooler(default_pool_size=1)
    before = memory(weir)
    greedy = slow_reader(weir)
    greedy.socket.setblocking(False)
    sent = 0
    request = query("select repeat('x', 100000)") * 1000
    try:
        while sent < 200 * MEGABYTE:
            sent += greedy.socket.send(request)
    except BlockingIOError:
        pass
    assert sent < 200 * MEGABYTE
    assert memory(weir) - before < 4 * MEGABYTE
    greedy.socket.close()
    assert connect(weir).execute("select 1").fetchone() == (1,)
