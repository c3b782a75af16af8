"""A PostgreSQL that does what a real one will not: say nothing, stop half way, talk rubbish."""
import socket
import struct
import threading

from harness.wire import message, text

READY = message("Z", b"I")
WELCOME = (message("R", struct.pack("!i", 0)) + message("S", text("server_version") + text("15.0")) +
           message("S", text("client_encoding") + text("UTF8")) +
           message("S", text("standard_conforming_strings") + text("on")) +
           message("K", struct.pack("!ii", 4242, 4242)) + READY)
ROW_DESCRIPTION = message("T", struct.pack("!h", 1) + text("n") + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0))


def row(value):
    return message("D", struct.pack("!hi", 1, len(value)) + value)


def result(value):
    return ROW_DESCRIPTION + row(value) + message("C", text("SELECT 1")) + READY


class FakeServer:
    """Listens on a free port; behave(connection) is run in a thread for each connection."""

    def __init__(self, behave, connection=None):
        self.connection = connection or Connection
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            connection = self.connection(peer)
            self.connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection):
        try:
            self.behave(connection)
        except (OSError, EOFError):
            pass
        finally:
            connection.close()

    def accepted(self):
        return len(self.connections)

    def close(self):
        for listening in (self.listener, *(connection.peer for connection in self.connections)):
            try:
                listening.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listening.close()
        for thread in self.threads:
            thread.join(5)


class FakePostgres(FakeServer):
    """connection.login() answers a startup packet as a server that trusts would;
    connection.message() reads one message; connection.say() writes bytes."""


class Connection:
    def __init__(self, peer):
        self.peer = peer
        self.released = threading.Event()

    def take(self, size):
        data = b""
        while len(data) < size:
            part = self.peer.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def login(self, welcome=WELCOME):
        while True:
            length, code = struct.unpack("!ii", self.take(8))
            self.take(length - 8)
            if code >> 16 == 3:
                break
            if code & 0xffff == 5678:  # a cancel request: nobody's login
                raise EOFError
            self.say(b"N")
        self.say(welcome)

    def message(self):
        """The next one that is neither a Sync, which is answered here, nor the last."""
        while True:
            kind, length = struct.unpack("!ci", self.take(5))
            payload = self.take(length - 4)
            if kind == b"X":
                raise EOFError
            if kind != b"S":
                return kind.decode(), payload
            self.say(READY)

    def say(self, *data):
        self.peer.sendall(b"".join(data))

    def stay_silent(self):
        """Until the other side closes."""
        while self.peer.recv(65536):
            pass

    def close(self):
        self.peer.close()
