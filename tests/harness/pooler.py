"""The program under test: weir, or PgBouncer where a test holds for both.

WEIR names the program. Tests of what weir alone does are marked and left out for PgBouncer.
"""
import base64
import hashlib
import hmac
import os
import pathlib
import shutil
import signal
import socket
import urllib.request

from harness.process import PATIENCE, Process, free_port, give, server_user, wait_until

PROGRAM = os.environ.get("WEIR", "")
IS_WEIR = pathlib.Path(PROGRAM).name not in ("pgbouncer", "redis-server")
WRONG_END = ("Sanitizer", "runtime error:", "weir stops")


def md5_secret(user, password):
    return "md5" + hashlib.md5((password + user).encode()).hexdigest()


def scram_secret(password, iterations=4096, salt=b"0123456789abcdef"):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{text[0]}${text[1]}:{text[2]}"


def ini(value):
    """A setting as PgBouncer's files write it."""
    return str(int(value)) if isinstance(value, bool) else str(value)


class Pooler:
    """One running program with its own folder, configuration and ports."""

    def __init__(self, folder, databases, users=None, secrets=None, program=None, **settings):
        self.folder = folder
        self.program = program or PROGRAM
        self.is_weir = "pgbouncer" not in pathlib.Path(self.program).name
        self.port = settings.pop("listen_port", None) or free_port()
        self.http_port = settings.pop("http_port", None) or free_port()
        self.config = folder / "weir.ini"
        url = settings.pop("url", None)  # weir alone may be started without a file
        self.arguments = [self.config] if url is None else [
            "--postgres", url, "--listen", f"127.0.0.1:{self.port}", "--http", f"127.0.0.1:{self.http_port}"]
        self.user = None if self.is_weir else server_user()
        self.process = None
        self.ended = False
        folder.chmod(0o755)
        give(folder, self.user)
        self.write(databases, users or {}, secrets or {}, settings)

    def write(self, databases, users, secrets, settings):
        http = settings.pop("http", {})  # settings of [http]
        userlist = self.folder / "userlist.txt"
        doubled = {user.replace('"', '""'): secret.replace('"', '""') for user, secret in secrets.items()}
        userlist.write_text("".join(f'"{user}" "{secret}"\n' for user, secret in doubled.items()))
        settings = {"listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "",
                    "auth_type": "trust", "auth_file": userlist, "pool_mode": "transaction",
                    "default_pool_size": 2, "ignore_startup_parameters": "extra_float_digits", **settings}
        lines = ["[databases]", *(f"{name} = {value}" for name, value in databases.items())]
        if users:
            lines += ["[users]", *(f"{name} = {value}" for name, value in users.items())]
        lines += ["[pgbouncer]", *(f"{name} = {ini(value)}" for name, value in settings.items())]
        if self.is_weir:
            lines += ["[http]", "listen_addr = 127.0.0.1", f"listen_port = {self.http_port}"]
            lines += [f"{name} = {ini(value)}" for name, value in http.items()]
        self.config.write_text("\n".join(lines) + "\n")

    def start(self, descriptors=None, wait=True):
        self.process = Process([self.program, *self.arguments], self.folder / "log", user=self.user,
                               descriptors=descriptors, env={"ASAN_OPTIONS": "detect_leaks=1"})
        if wait:
            wait_until(self.listens, "the pooler's start")
        return self

    def listens(self):
        if not self.process.alive():
            raise AssertionError(f"{self.program} ended:\n{self.said()}")
        try:
            for port in (self.port, self.http_port) if self.is_weir else (self.port,):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    def said(self):
        return self.process.said()

    def dsn(self, user="ana", dbname="main", password=None, **more):
        words = {"host": "127.0.0.1", "port": self.port, "user": user, "dbname": dbname, "sslmode": "disable", **more}
        if password is not None:
            words["password"] = password
        return " ".join("{}='{}'".format(key, str(value).replace("\\", "\\\\").replace("'", "\\'"))
                        for key, value in words.items())

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=PATIENCE) as answer:
            return answer.status, answer.headers, answer.read().decode()

    def metrics(self):
        """{'name{labels}': value}"""
        lines = self.get("/metrics")[2].splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def stop(self, number=None, patience=PATIENCE):
        """Ends it at once; says what was wrong with its end, or nothing."""
        number = number or (signal.SIGINT if self.is_weir else signal.SIGTERM)
        self.ended = True
        status = self.process.end(number, patience)
        said = self.said()
        expected = 0 if self.is_weir else 1  # PgBouncer's "fast exit"
        return [wrong for wrong in WRONG_END if wrong in said] + ([f"exit status {status}"] if status != expected else [])

    def close(self):
        """Ends it, if the test did not, and fails for an exit status or a report that nobody expected."""
        wrong = [] if self.ended or not self.process else self.stop()
        if wrong:
            raise AssertionError(f"{', '.join(wrong)}:\n{self.said()[-6000:]}")


def find_program():
    """The absolute path of what WEIR names, None without it."""
    found = shutil.which(PROGRAM) if PROGRAM else None
    return str(pathlib.Path(found).absolute()) if found else None  # a link's own name says what it is
