"""Programs that behave otherwise before a person."""
import os
import pty
import subprocess
import time

from harness.process import PATIENCE, wait_until


class Terminal:
    """A program that believes to speak to a person."""

    def __init__(self, arguments):
        self.master, terminal = pty.openpty()
        self.child = subprocess.Popen([str(argument) for argument in arguments], stdin=terminal, stdout=terminal,
                                      stderr=terminal, start_new_session=True,
                                      env={**os.environ, "TERM": "dumb", "PAGER": ""})
        os.close(terminal)
        os.set_blocking(self.master, False)
        self.output = ""

    def write(self, text):
        os.write(self.master, text.encode())

    def said(self):
        """All there is to read; a terminal whose other end is closed is an error to read from."""
        try:
            self.output += os.read(self.master, 65536).decode().replace("\r", "")
        except (BlockingIOError, OSError):
            pass
        return self.output

    def says(self, text):
        wait_until(lambda: text in self.said(), f"'{text}' in\n{self.output}", PATIENCE)

    def until(self, act, text):
        """Again and again, since nobody tells when a program can be interrupted, or no longer is."""
        def said_soon():
            act()
            deadline = time.monotonic() + 0.3
            while text not in self.said() and time.monotonic() < deadline:
                time.sleep(0.01)
            return text in self.output

        wait_until(said_soon, f"'{text}' in\n{self.output}", PATIENCE)

    def close(self):
        try:
            return self.child.wait(PATIENCE)
        finally:
            self.child.kill()
            self.child.wait()
            os.close(self.master)
