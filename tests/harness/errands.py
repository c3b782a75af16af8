"""The program that runs errands, which run the queries of an HTTP request: here without HTTP, told what
to do line by line."""
import json
import pathlib
import queue
import subprocess
import threading

from harness import pooler
from harness.process import PATIENCE


def messages(data):
    """(letter, body) of what a server said."""
    while data:
        length = int.from_bytes(data[1:5], "big")
        yield chr(data[0]), data[5:1 + length]
        data = data[1 + length:]


def values(body):
    """What is in a DataRow."""
    count, body = int.from_bytes(body[:2], "big"), body[2:]
    for _ in range(count):
        length = int.from_bytes(body[:4], "big", signed=True)
        yield None if length < 0 else body[4:4 + length].decode()
        body = body[4 + max(length, 0):]


class Over:
    """How a query ended."""

    def __init__(self, event):
        self.index, self.how, self.why, self.text = (event[key] for key in ("index", "how", "why", "text"))
        self.told, self.cut, self.length, self.ms = (event[key] for key in ("told", "cut", "length", "ms"))
        said = [] if self.cut else list(messages(bytes.fromhex(event["bytes"])))
        self.letters = "".join(letter for letter, _ in said)
        self.rows = [tuple(values(body)) for letter, body in said if letter == "D"]
        errors = [body for letter, body in said if letter == "E"]
        fields = {part[:1]: part[1:] for part in errors[0].split(b"\0") if part} if errors else {}
        self.code, self.message = fields.get(b"C", b"").decode(), fields.get(b"M", b"").decode()

    def __repr__(self):
        return f"{self.index} {self.how} {self.why} {self.text} {self.code} {self.message} {self.rows}"


class Errands:
    """The program that runs them, with its pools."""

    def __init__(self, config, log):
        self.log = open(log, "ab")
        self.child = subprocess.Popen([pathlib.Path(pooler.PROGRAM).parents[1] / "tests/errands", config],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, cwd="/")
        self.events = {}
        self.overs = {}
        self.order = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            event = json.loads(line)
            self.order.append((event["event"], event["name"], event.get("index")))
            if event["event"] == "over":
                self.overs.setdefault(event["name"], []).append(Over(event))
            else:
                self.queue(event["event"], event["name"]).put(event)

    def queue(self, event, name):
        return self.events.setdefault((event, name), queue.Queue())

    def tell(self, **what):
        self.child.stdin.write(json.dumps(what).encode() + b"\n")
        self.child.stdin.flush()

    def start(self, name, queries, **options):
        self.tell(start=name, queries=[{"sql": each} if isinstance(each, str) else each for each in queries], **options)

    def wait(self, event, name, patience=PATIENCE):
        try:
            return self.queue(event, name).get(timeout=patience)
        except queue.Empty:
            raise AssertionError(f"{event} {name} did not come: {self.order}, {self.child.poll()}") from None

    def ended(self, name, patience=PATIENCE):
        """How each query of it ended, by its index; -1 is the transaction."""
        self.wait("finished", name, patience)
        overs = self.overs.pop(name)
        by_index = {over.index: over for over in overs}
        assert len(by_index) == len(overs), f"told twice: {overs}"
        return by_index

    def run(self, queries, name="a", patience=PATIENCE, **options):
        self.start(name, queries, **options)
        return self.ended(name, patience)

    def close(self):
        self.child.stdin.close()
        try:
            status = self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            status = "killed"
        self.reader.join(PATIENCE)
        self.log.close()
        assert status == 0, f"exit status {status}"


def running(postgres, text):
    return int(postgres.sql(f"select count(*) from pg_stat_activity where query like '%{text}%' and state <> 'idle' "
                            "and pid <> pg_backend_pid()"))
