"""Redis's protocol byte by byte: what clients send, and where in a stream a reply ends.

    request("SET", "key", "value")       the bytes of a request
    cutter = Cutter(); cutter.feed(data)
    cutter.cut()                         the exact bytes of the next reply, None when it is not whole
    parse(b"*1\\r\\n:1\\r\\n")             [1] as Values, for tests that look into a reply
"""

BULKS = frozenset(b"$!=")
LINES = frozenset(b"+-:_#,(")
LISTS = frozenset(b"*~>")
PAIRS = frozenset(b"%|")
PUSH, ATTRIBUTE, ERROR = b">"[0], b"|"[0], b"-"[0]
KEPT = 1 << 16  # bytes already cut that may stay in front of the others


class NotResp(Exception):
    """These bytes are no reply."""


def as_bytes(argument):
    return argument if isinstance(argument, bytes) else str(argument).encode()


def request(*arguments):
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in map(as_bytes, arguments):
        parts += (b"$%d\r\n" % len(argument), argument, b"\r\n")
    return b"".join(parts)


class Cutter:
    """Cuts a stream into replies. Nothing is read twice, however small the pieces are that come."""

    def __init__(self):
        self.data = bytearray()
        self.start = 0   # of the reply that is being read
        self.at = 0      # how far it has been read
        self.owed = 1    # values that it still lacks; an aggregate adds its own

    def feed(self, data):
        self.data += data

    def rest(self):
        """What has come of the reply that is not whole."""
        return bytes(self.data[self.start:])

    def cut(self):
        while self.owed:
            if not self._value():
                return None
        reply = bytes(self.data[self.start:self.at])
        self.start, self.owed = self.at, 1
        if self.start > KEPT or self.start == len(self.data):
            del self.data[:self.start]
            self.start = self.at = 0
        return reply

    def _value(self):
        data, at = self.data, self.at
        end = data.find(b"\r\n", at)
        if end < 0:
            return False
        kind = data[at]
        if kind in LINES:
            self.at = end + 2
            self.owed -= 1
            return True
        try:
            count = int(data[at + 1:end])
        except ValueError:
            raise NotResp(self.rest()[:200]) from None
        end += 2
        if kind in BULKS:
            end += count + 2 if count >= 0 else 0
            if len(data) < end:
                return False
            if count >= 0 and data[end - 2:end] != b"\r\n":
                raise NotResp(self.rest()[:200])
            self.owed -= 1
        elif kind in LISTS or kind in PAIRS:
            self.owed += max(count, 0) * (2 if kind in PAIRS else 1) - (kind != ATTRIBUTE)
        else:
            raise NotResp(self.rest()[:200])
        self.at = end
        return True


def cut_all(data):
    """Of a stream that is whole: its replies."""
    cutter = Cutter()
    cutter.feed(data)
    return list(iter(cutter.cut, None))


class Value:
    """One of a reply: its kind ('+', '$', '*'...), its bytes, or its values if it is an aggregate."""

    def __init__(self, kind, content):
        self.kind = kind
        self.content = content

    def encoded(self):
        if not isinstance(self.content, list):
            if self.kind in "$!=":
                return b"$-1\r\n" if self.content is None else \
                    b"%s%d\r\n%s\r\n" % (self.kind.encode(), len(self.content), self.content)
            return self.kind.encode() + self.content + b"\r\n"
        count = len(self.content) // (2 if self.kind in "%|" else 1)
        return b"%s%d\r\n" % (self.kind.encode(), count) + b"".join(each.encoded() for each in self.content)

    def plain(self):
        """Bytes, lists and None, as one would write them in an assertion."""
        return [each.plain() for each in self.content] if isinstance(self.content, list) else self.content


def parse(reply):
    value, end = parse_at(reply, 0)
    if end != len(reply):
        raise NotResp(reply[end:])
    return value


def parse_at(data, at):
    end = data.index(b"\r\n", at)
    kind, word, at = chr(data[at]), data[at + 1:end], end + 2
    if kind in "$!=":
        count = int(word)
        return (Value(kind, None), at) if count < 0 else (Value(kind, data[at:at + count]), at + count + 2)
    if kind not in "*~>%|":
        return Value(kind, word), at
    count = int(word)
    if count < 0:
        return Value("_", word), at  # "*-1": told from an empty one by its kind
    values = []
    for _ in range(count * (2 if kind in "%|" else 1) + (kind == "|")):
        value, at = parse_at(data, at)
        values.append(value)
    return Value(kind, values), at


def plain(reply):
    return parse(reply).plain()
