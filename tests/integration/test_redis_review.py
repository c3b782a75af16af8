"""What no client may ever see: bytes in the middle of others, or what it did done elsewhere than it believes; and that nobody is left waiting."""
import socket
import threading
import time

import pytest
from harness.fake_redis import bulk
from harness.process import PATIENCE, wait_until
from harness.redis import RedisWire
from harness.resp import request
from harness.wire import Closed

pytestmark = pytest.mark.weir_only


def outcome(wire):
    """"-" for an error, "closed", or the reply."""
    try:
        reply = wire.read()
    except Closed as end:
        return b"closed" if end.args == (b"",) else b"closed after " + end.args[0]
    return b"-" if reply.startswith(b"-") else reply


def hello(wire, protocol=3, *arguments):
    reply = wire.ask("HELLO", str(protocol), *arguments)
    assert reply.startswith(b"%" if protocol == 3 else b"*"), reply


# ---- subscribers


def test_a_message_waits_for_the_end_of_the_reply_before_it(redis_door, fake_redis, redis_wire):
    begun, heard = threading.Event(), threading.Event()
    subscribing = []

    def behave(connection):
        while True:
            words = connection.request()
            name = words[0].upper()
            if name == b"SUBSCRIBE":
                subscribing.append(connection)
                connection.say(b"*3\r\n$9\r\nsubscribe\r\n", bulk(words[1]), b":1\r\n")
            elif name == b"GET":
                connection.say(b"$10\r\n01234")
                begun.set()
                heard.wait(PATIENCE)
                connection.say(b"56789\r\n")
            elif name == b"PING" and connection in subscribing:
                connection.say(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
            else:
                connection.say(connection.reply(words))

    weir = redis_door(fake_redis(behave))
    wire, other = redis_wire(weir, protocol=3), redis_wire(weir)
    assert wire.ask("SUBSCRIBE", "c").startswith(b">3")
    assert other.ask("SUBSCRIBE", "c").startswith(b"*3")
    wire.send(request("GET", "k"))
    assert begun.wait(PATIENCE)
    for word in (b"one", b"two"):
        subscribing[0].say(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n", bulk(word))
        assert other.read().endswith(bulk(word))
    heard.set()
    assert wire.read() == b"$10\r\n0123456789\r\n"
    assert wire.read() == b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\none\r\n"
    assert wire.read() == b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\ntwo\r\n"
    assert wire.ask("ECHO", "x") == b"$1\r\nx\r\n"
