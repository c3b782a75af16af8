"""/metrics, /healthz and the log."""
import json
import shutil
import socket
import subprocess
import urllib.error

import pytest
from harness.process import PATIENCE, wait_until
from harness.wire import query, startup

pytestmark = pytest.mark.weir_only


def test_healthz_says_that_all_is_well(weir):
    assert weir.get("/healthz")[0] == 200


def test_what_is_not_there_is_404(weir):
    with pytest.raises(urllib.error.HTTPError) as caught:
        weir.get("/nowhere")
    assert caught.value.code == 404


def test_promtool_finds_no_fault_with_the_metrics(weir, wire):
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed")
    wire(weir, "ana").ask(query("select 1"))
    status, headers, body = weir.get("/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    done = subprocess.run([promtool, "check", "metrics"], input=body, text=True, capture_output=True,
                          timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def of_pool(weir, name):
    return sum(value for key, value in weir.metrics().items()
               if key.startswith(name + "{") and 'database="main"' in key and 'user="ana"' in key)


def test_transactions_and_queries_are_counted(weir, wire):
    client = wire(weir, "ana")
    for _ in range(5):
        client.ask(query("begin"))
        client.ask(query("select 1"))
        client.ask(query("commit"))
    assert of_pool(weir, "weir_pool_transactions_total") == 5
    assert of_pool(weir, "weir_pool_queries_total") == 15
    assert of_pool(weir, "weir_pool_transaction_seconds_count") == 5
    assert of_pool(weir, "weir_pool_client_sent_bytes_total") > 100


def test_those_who_wait_are_shown(pooler, connect, wire):
    weir = pooler(default_pool_size=1)
    holder = connect(weir, autocommit=False)
    holder.execute("select 1")
    waiting = [wire(weir, "ana").send(query("select 1")) for _ in range(3)]
    wait_until(lambda: of_pool(weir, "weir_pool_waiting_clients") == 3, "three who wait")
    holder.commit()
    for client in waiting:
        client.read_until("Z")
    assert of_pool(weir, "weir_pool_waiting_clients") == 0
    assert of_pool(weir, "weir_pool_wait_seconds_count") >= 4


def test_counters_do_not_go_back(weir, wire):
    seen = []
    for _ in range(3):
        wire(weir, "ana").ask(query("select 1"))
        seen.append({name: value for name, value in weir.metrics().items() if "_total" in name})
    for before, after in zip(seen, seen[1:]):
        assert all(after.get(name, 0) >= value for name, value in before.items())


def test_names_from_clients_cannot_break_the_metrics(pooler, postgres, wire):
    odd = 'a"b\\c'
    weir = pooler({"main": f"host=127.0.0.1 port={postgres.port} dbname=main user=ana"}, secrets={odd: "", "ana": ""})
    wire(weir, odd).ask(query("select 1"))
    assert weir.metrics()


@pytest.mark.parametrize("request_bytes", [b"\r\n\r\n", b"GET\r\n\r\n", b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n",
                                           b"GET /" + b"x" * 100_000, b"POST /metrics HTTP/1.1\r\n\r\n"])
def test_a_broken_request_disturbs_nobody(weir, request_bytes):
    with socket.create_connection(("127.0.0.1", weir.http_port), timeout=PATIENCE) as client:
        try:
            client.sendall(request_bytes)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        except ConnectionError:
            pass
    assert weir.get("/healthz")[0] == 200


def test_the_log_may_be_json_a_line_an_event(pooler, wire):
    weir = pooler(log_format="json")
    wire(weir, "ana").ask(query("select 1"))
    wire(weir).send(startup(user="nobody", database="main")).is_closed()
    wait_until(lambda: "nobody" in weir.said(), "the line about nobody")
    for line in weir.said().splitlines():
        assert isinstance(json.loads(line), dict)


def test_the_log_goes_to_a_file_when_told(pooler, folder, wire):
    path = folder / "weir.log"
    weir = pooler(logfile=path)
    wire(weir, "ana").ask(query("select 1"))
    wait_until(lambda: path.exists() and "ana" in path.read_text(), "the line about ana")


def test_a_client_cannot_write_lines_into_the_log(pooler, wire):
    weir = pooler()
    wire(weir).send(startup(user="x\nFATAL forged", database="main")).is_closed()
    assert not any(line.startswith("FATAL forged") for line in weir.said().splitlines())


def test_passwords_are_not_in_the_log(pooler, wire):
    weir = pooler(auth_type="plain", secrets={"ana": "hush-hush"}, verbose=3)
    client = wire(weir).send(startup(user="ana", database="main"))
    client.read()
    client.send(b"p\0\0\0\x0fhush-hus!!\0").is_closed()
    assert "hush" not in weir.said()
