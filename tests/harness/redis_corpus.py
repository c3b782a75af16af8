"""Reads tests/data/redis, whose README says how a line is written, and plays a section to a server.

    for section in sections():
        seen = play(section, target.port, server, protocol=3)     # [(line, the reply's bytes)...]
"""
import codecs
import pathlib
import re

from harness.process import wait_until
from harness.redis import RedisWire
from harness.resp import Value, parse, request
from harness.wire import Closed

FOLDER = pathlib.Path(__file__).parent.parent / "data" / "redis"
WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
RULES_OF = re.compile(r"(.*?)(?: ~ ((?:[a-z]+(?::\w+)? ?)+))?")
END = b"(closed)"
FAILED = b"(failed) "   # the line itself, in our hands


class Line:
    def __init__(self, text, where):
        self.text = text
        self.where = where
        self.directive = text[1:].split() if text.startswith("@") else None
        text, rules = RULES_OF.fullmatch(text).groups()
        who, how, words = re.fullmatch(r"(?:([a-z])([>!<]))?(.*)", text).groups()
        self.who, self.how = who or "a", how or ">"
        self.rules = (rules or "").split()
        self.words = [] if self.directive else [unquote(word) for word in WORD.findall(words)]

    def arguments(self, kept):
        return [kept[word[1:].decode()] if word[:1] == b"$" and word[1:].decode() in kept else word for word in self.words]

    def command(self):
        return self.words[0].decode("latin-1").lower() if self.words else ""

    def commands(self):
        """What it tests: "config", "config|get"."""
        name = self.command()
        return {name, f"{name}|{self.words[1].decode('latin-1').lower()}"} if len(self.words) > 1 else {name}

    def __repr__(self):
        return f"{self.where}: {self.text}"


def unquote(word):
    if word.startswith('"'):
        return codecs.escape_decode(word[1:-1].encode("latin-1"))[0]
    many = re.fullmatch(r"(\w)\*(\d+)", word)
    return many[1].encode() * int(many[2]) if many else word.encode()


class Section:
    def __init__(self, title):
        self.title, _, words = title.partition(" (")
        self.needs = words.rstrip(")").split()
        self.lines = []

    def protocols(self):
        return [protocol for protocol in (2, 3) if not {"resp2", "resp3"} & {*self.needs} or f"resp{protocol}" in self.needs]

    def owns(self):
        """The settings of servers of its own, None if it has none."""
        for need, settings in (("own", {}), ("cluster", {"cluster_enabled": "yes"}), ("password", {"requirepass": "secret"})):
            if need in self.needs:
                return settings
        return None


def sections():
    found = []
    for file in sorted(FOLDER.glob("*.txt")):
        for number, text in enumerate(file.read_text().splitlines(), 1):
            if text.startswith("== "):
                found.append(Section(text[3:]))
            elif text and not text.startswith("#"):
                found[-1].lines.append(Line(text, f"{file.name}:{number}"))
    return found


# ---- what of a reply is not compared


def each(value, change):
    if isinstance(value.content, list):
        return Value(value.kind, [each(one, change) for one in value.content])
    return value if value.content is None else Value(value.kind, change(value.content))


def units(value, size):
    return [value.content[at:at + size] for at in range(0, len(value.content), size)]


def in_order(value, size):
    ordered = sorted(units(value, size), key=lambda unit: [one.encoded() for one in unit])
    return Value(value.kind, [one for unit in ordered for one in unit])


def ordered(value):
    return in_order(value, 2 if value.kind == "%" else 1) if isinstance(value.content, list) else value


def deep(value):
    """Lists of RESP2 that stand for maps lose their pairs; that is as far as this goes."""
    if not isinstance(value.content, list):
        return value
    return ordered(Value(value.kind, [deep(one) for one in value.content]))


RULES = {
    "digits": lambda value: each(value, lambda text: re.sub(rb"\d+", b"N", text)),
    "hex": lambda value: each(value, lambda text: re.sub(rb"\b(0x)?[0-9a-f]{12,}\b", b"X", text)),
    "fields": lambda value: each(value, lambda text: b"\n".join(sorted(set(re.findall(rb"[\w-]+(?=[:=])", text))))),
    "links": lambda value: each(value, lambda text: re.sub(rb"\d+", b"N", text)),
    "sorted": ordered,
    "pairs": lambda value: in_order(value, 2),
    "deep": deep,
    "kind": lambda value: Value("+", value.kind.encode()),
}


def comparable(reply, rules):
    named = [RULES[rule] for rule in rules if not rule.startswith("keep:")]
    if not named or reply == END or reply[:1] == b"-":
        return reply
    value = parse(reply)
    for rule in named:
        value = rule(value)
    return value.encoded()


# ---- playing


class Play:
    def __init__(self, port, server, protocol):
        self.port, self.server, self.protocol = port, server, protocol
        self.wires, self.kept, self.seen = {}, {}, []
        self.deaf = set()   # those that asked for no replies, or for everybody's requests

    def wire(self, who):
        if who not in self.wires:
            self.wires[who] = RedisWire(self.port)
            if self.protocol == 3:
                reply = self.wires[who].ask("HELLO", "3")
                assert reply[:1] == b"%" or reply.startswith(b"-NOAUTH"), reply
        return self.wires[who]

    def read(self, who):
        try:
            return self.wire(who).read()
        except Closed as end:
            return b"".join([*end.args, END])

    def line(self, line):
        if line.directive:
            wait(self.server, *line.directive)
            return
        if line.how != "<":
            try:
                self.wire(line.who).send(request(*line.arguments(self.kept)))
            except ConnectionError:
                pass  # what is read tells
        if line.how != "!":
            reply = self.read(line.who)
            for rule in line.rules:
                if rule.startswith("keep:"):
                    self.kept[rule[5:]] = parse(reply).content
            self.seen.append((line, comparable(reply, line.rules)))

    def end(self):
        """Nobody has been sent more than was read: the next thing that each hears is the answer to this."""
        for who, wire in self.wires.items():
            try:
                wire.send(request("PING", "the end"))
            except ConnectionError:
                pass
            self.seen.append((f"the end of {who}", self.read(who)))

    def close(self):
        for wire in self.wires.values():
            wire.close()


def wait(server, what, *words):
    if what == "blocked":
        wait_until(lambda: server.info("clients")["blocked_clients"] == int(words[0]), f"{words[0]} blocked clients")
    elif what == "calls":
        wait_until(lambda: server.calls(words[0]) == int(words[1]), f"{words[1]} calls of {words[0]}")
    elif what == "busy":
        wait_until(lambda: server.ask("PING").startswith(b"-BUSY"), "a busy server")
    elif what == "saved":
        wait_until(lambda: not any(server.info("persistence")[f"{job}_in_progress"] for job in ("rdb_bgsave", "aof_rewrite")),
                   "the end of saving")
    elif what == "cluster":
        wait_until(lambda: b"cluster_state:ok" in server.value("CLUSTER", "INFO"), "a working cluster")
    else:
        raise AssertionError(f"@ {what} means nothing")


def play(section, port, server, protocol):
    stage = Play(port, server, protocol)
    try:
        for line in section.lines:
            try:
                stage.line(line)
            except (OSError, AssertionError) as failure:
                stage.seen.append((line, FAILED + repr(failure).encode()))
                return stage.seen  # nothing after it would mean anything
        stage.end()
        return stage.seen
    finally:
        stage.close()
