"""The Redis door of the program under test, or with WEIR=redis-server a Redis in its place.

A test that fails with WEIR=redis-server is wrong itself: it then compares Redis with Redis.
"""
import pathlib

from harness.pooler import Pooler
from harness.process import free_port


def is_redis(program):
    return pathlib.Path(program).name == "redis-server"


class RedisDoor(Pooler):
    """A weir that has no other door; .port is where clients of Redis go. Settings are those of [redis],
    and http={...} more of those of [http]."""

    def __init__(self, folder, upstream, url=None, **settings):
        self.upstream = upstream
        self.redis_port = free_port()
        self.name = settings.pop("name", "main")
        self.http = settings.pop("http", {})
        super().__init__(folder, {}, url=url, listen_port=self.redis_port, **settings)
        if url is not None:
            self.arguments = ["--redis", url, "--redis-listen", f"127.0.0.1:{self.port}",
                              "--http", f"127.0.0.1:{self.http_port}"]

    def write(self, databases, users, secrets, settings):
        settings = {"listen_addr": "127.0.0.1", "listen_port": self.port, self.name: self.upstream, **settings}
        lines = ["[redis]", *(f"{name} = {value}" for name, value in settings.items()),
                 "[http]", "listen_addr = 127.0.0.1", f"listen_port = {self.http_port}",
                 *(f"{name} = {value}" for name, value in self.http.items())]
        self.config.write_text("\n".join(lines) + "\n")


class StandIn:
    """A Redis where weir would be: the upstream itself."""

    def __init__(self, upstream):
        self.port = upstream.port
