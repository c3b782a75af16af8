"""A proxy that is wrong on purpose: the stress test must notice, or it proves nothing."""
import asyncio

from stress.world import TAG

MOST = 5  # mistakes: who would notice the first may have hung up just then


class Mixer:
    """Relays each client on a connection of its own, and after some time does what the fault says, a few times."""

    def __init__(self, upstream, fault, after):
        self.upstream, self.fault, self.left = upstream, fault, after
        self.held = None   # a reply for somebody else, and whose it was
        self.done = 0
        self.port = None

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def serve(self, reader, writer):
        from_redis, to_redis = await asyncio.open_connection("127.0.0.1", self.upstream)
        await asyncio.gather(self.pump(reader, to_redis, lambda data, writer: writer.write(data)),
                             self.pump(from_redis, writer, self.reply), return_exceptions=True)

    async def pump(self, reader, writer, act):
        try:
            while data := await reader.read(65536):
                act(data, writer)
                await writer.drain()
        except (ConnectionError, OSError):
            pass
        finally:
            writer.close()

    def reply(self, data, writer):
        """Only what carries a tag is worth a mistake: all are told OK."""
        self.left -= 1
        if self.left > 0 or self.done == MOST or not TAG.search(data):
            writer.write(data)
        else:
            getattr(self, self.fault)(data, writer)

    def swap(self, data, writer):
        """Two clients get each other's reply."""
        if self.held is None:
            self.held = data, writer
            return
        other_data, other = self.held
        writer.write(other_data)
        if other is not writer:
            other.write(data)
            self.done += 1
        else:
            writer.write(data)
        self.held = None

    def repeat(self, data, writer):
        """A client gets a reply twice."""
        writer.write(data + data)
        self.done += 1

    def stray(self, data, writer):
        """A client gets, before its own, what another is told, too."""
        if self.held is None:
            self.held = data, writer
            writer.write(data)
        elif self.held[1] is not writer:
            writer.write(self.held[0] + data)
            self.held = None
            self.done += 1
        else:
            writer.write(data)

    def one_byte(self, data, writer):
        """A digit of a reply is another."""
        at = next((at for at in range(len(data) - 1, -1, -1) if 48 <= data[at] < 57), None)
        if at is not None:
            data = data[:at] + bytes([data[at] + 1]) + data[at + 1:]
            self.done += 1
        writer.write(data)

    def lost(self, data, writer):
        """A connection ends for no reason."""
        writer.close()
        self.done += 1
