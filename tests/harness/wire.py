"""PostgreSQL's protocol byte by byte, for what no driver would send."""
import select
import socket
import struct

from harness.process import PATIENCE

PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = PROTOCOL_3_0 | 2
CANCEL, SSL, GSSENC = ((1234 << 16) | low for low in (5678, 5679, 5680))


def text(value):
    return value.encode() + b"\0"


def message(kind, payload=b""):
    return kind.encode() + struct.pack("!i", len(payload) + 4) + payload


def packet(code, payload=b""):
    return struct.pack("!ii", len(payload) + 8, code) + payload


def startup(code=PROTOCOL_3_0, **parameters):
    return packet(code, b"".join(text(name) + text(value) for name, value in parameters.items()) + b"\0")


def query(sql):
    return message("Q", text(sql))


def parse(name, sql):
    return message("P", text(name) + text(sql) + struct.pack("!h", 0))


def bind(portal="", statement="", values=()):
    cells = b"".join(struct.pack("!i", len(value)) + value for value in (str(each).encode() for each in values))
    return message("B", text(portal) + text(statement) + struct.pack("!hh", 0, len(values)) + cells +
                   struct.pack("!h", 0))


def describe(kind, name=""):
    return message("D", kind.encode() + text(name))


def execute(portal="", rows=0):
    return message("E", text(portal) + struct.pack("!i", rows))


def close(kind, name=""):
    return message("C", kind.encode() + text(name))


def function_call(oid, *values):
    cells = b"".join(struct.pack("!i", len(value)) + value for value in values)
    return message("F", struct.pack("!ihhh", oid, 1, 1, len(values)) + cells + struct.pack("!h", 1))


SYNC, FLUSH, TERMINATE, COPY_DONE = message("S"), message("H"), message("X"), message("c")


def copy_data(data):
    return message("d", data)


def copy_fail(why):
    return message("f", text(why))


class Message:
    def __init__(self, kind, payload):
        self.kind = kind
        self.payload = payload

    def fields(self):
        """Of an ErrorResponse or a NoticeResponse."""
        return {part[:1].decode(): part[1:].decode() for part in self.payload.split(b"\0") if part}

    def cells(self):
        """Of a DataRow."""
        at, cells = 2, []
        for _ in range(struct.unpack_from("!h", self.payload)[0]):
            length = struct.unpack_from("!i", self.payload, at)[0]
            cells.append(None if length < 0 else self.payload[at + 4:at + 4 + length].decode())
            at += 4 + max(length, 0)
        return cells

    def __repr__(self):
        return f"{self.kind} {self.payload[:80]!r}"


class Closed(Exception):
    """The other side closed the connection between messages, or in one."""


class Wire:
    """A client of 127.0.0.1:port; every read ends in time."""

    def __init__(self, port, patience=PATIENCE, receive_buffer=None):
        self.socket = socket.socket()
        self.socket.settimeout(patience)
        if receive_buffer:  # before connecting, or the window is already larger
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.key = None
        self.parameters = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))
        return self

    def take(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionError:
                part = b""
            if not part:
                raise Closed(data)
            data += part
        return data

    def readable(self, patience):
        return bool(select.select([self.socket], [], [], patience)[0])

    def read(self):
        kind, length = struct.unpack("!ci", self.take(5))
        return Message(kind.decode("latin-1"), self.take(length - 4))

    def read_until(self, kinds):
        """All messages up to and with the first one of those kinds."""
        seen = []
        while not seen or seen[-1].kind not in kinds:
            seen.append(self.read())
        return seen

    def login(self, user="ana", database="main", **parameters):
        """Where the pooler trusts; returns what it said until ReadyForQuery."""
        self.send(startup(user=user, database=database, **parameters))
        seen = self.read_until("ZE")
        for each in seen:
            if each.kind == "K":
                self.key = each.payload
            if each.kind == "S":
                name, value = each.payload.decode().split("\0")[:2]
                self.parameters[name] = value
        assert seen[-1].kind == "Z", seen[-1].fields()
        return seen

    def ask(self, *messages):
        """What is answered, up to the next ReadyForQuery."""
        return self.send(*messages).read_until("Z")

    def value(self, sql):
        """The first cell of the answer to one query."""
        return next(each.cells()[0] for each in self.ask(query(sql)) if each.kind == "D")

    def error(self):
        """The fields of the next ErrorResponse; raises Closed when the connection ends without one."""
        return self.read_until("E")[-1].fields()

    def is_closed(self):
        """Waits until the other side has closed; what it still says is read over."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True


def kinds(messages):
    """The messages' types in one word, DataRows once in a row, without what may come at any time."""
    word = ""
    for each in messages:
        if each.kind not in "NSA" and not (each.kind == "D" and word.endswith("D")):
            word += each.kind
    return word


def cancel(port, key):
    """Sends a CancelRequest and waits until it was taken."""
    with Wire(port) as wire:
        wire.send(packet(CANCEL, key)).is_closed()
