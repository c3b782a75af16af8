"""A Redis that does what a real one will not: stop reading, answer nonsense, leave in mid-reply.

    def behave(connection):
        connection.serve(until="GET")          # as a real one would, up to the first GET, which it returns
        connection.say(b"$5\\r\\nhel")
"""
import re

from harness.fake import Connection, FakeServer

HELLO = [("server", "redis"), ("version", "7.0.15"), ("proto", 3), ("id", 7), ("mode", "standalone"), ("role", "master")]


def bulk(value):
    return b"$%d\r\n%s\r\n" % (len(value), value)


def word(value):
    return b":%d\r\n" % value if isinstance(value, int) else bulk(value.encode())


def hello(version):
    pairs = b"".join(word(name) + word(version if name == "proto" else value) for name, value in HELLO)
    modules = bulk(b"modules") + b"*0\r\n"
    return (b"%%%d\r\n" % (len(HELLO) + 1) if version == 3 else b"*%d\r\n" % (2 * len(HELLO) + 2)) + pairs + modules


class RedisConnection(Connection):
    """connection.request() reads one request, connection.say() writes bytes."""

    def __init__(self, peer):
        super().__init__(peer)
        self.unread = b""
        self.seen = []      # all requests, in their order

    def line(self):
        while b"\r\n" not in self.unread:
            self.more()
        line, _, self.unread = self.unread.partition(b"\r\n")
        return line

    def more(self):
        data = self.peer.recv(65536)
        if not data:
            raise EOFError
        self.unread += data

    def request(self):
        head = self.line()
        assert re.fullmatch(rb"\*\d+", head), f"what weir sent is no request: {head[:80]!r}"
        words = []
        for _ in range(int(head[1:])):
            size = int(self.line()[1:])
            while len(self.unread) < size + 2:
                self.more()
            words.append(self.unread[:size])
            self.unread = self.unread[size + 2:]
        self.seen.append(words)
        return words

    def reply(self, words):
        """What a Redis without data says."""
        name = words[0].upper()
        if name == b"HELLO":
            return hello(int(words[1]) if len(words) > 1 else 2)
        if name == b"PING":
            return bulk(words[1]) if len(words) > 1 else b"+PONG\r\n"
        if name == b"ECHO":
            return bulk(words[1])
        if name == b"GET":
            return b"$-1\r\n"
        return b"+RESET\r\n" if name == b"RESET" else b"+OK\r\n"

    def serve(self, until=None, times=1):
        """Answers requests; returns the one that is called so, unanswered."""
        while True:
            words = self.request()
            if until and words[0].upper() == until.encode():
                times -= 1
                if times == 0:
                    return words
            self.say(self.reply(words))


class FakeRedis(FakeServer):
    def __init__(self, behave):
        super().__init__(behave, RedisConnection)

    def seen(self, name):
        """The requests of that name that came on any connection."""
        return [words for connection in self.connections for words in connection.seen
                if words[0].upper() == name.encode()]
