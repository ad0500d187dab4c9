"""A private PostgreSQL server, its databases, and sessions in them. Knows nothing of who is measured.

It runs by the script that lite2pg itself uses for its embedded server (src/postgres/embedded.sh): that one never runs
PostgreSQL as root, and stops it and removes its directory when our end of a pipe closes, however we end.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import measure
from measure import Failure

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
SUPERUSER = "postgres"

# What the targets were set with. fsync stays on, as on a server that is meant to keep its data.
SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "8GB", "fsync": "on"}


class Server:
    """Use with `with`: leaving it stops the server and removes everything."""

    def __init__(self, root, programs, parent, settings, tcp=False):
        self.programs, self.settings, self._tcp = programs, settings, tcp
        self._password = secrets.token_hex(16)
        self._port = _free_port() if tcp else 5432
        self.dir = Path(tempfile.mkdtemp(prefix="lite2pg-bench-", dir=parent))
        owner = _owner()
        lines = {
            "listen_addresses": "127.0.0.1" if tcp else "",
            "port": str(self._port),
            "unix_socket_directories": f'"{self.dir}"',
            "timezone": "UTC",
            "log_timezone": "UTC",
        } | settings
        text = "\n# scripts/bench\n" + "".join(f"{name} = '{_quoted(value)}'\n" for name, value in lines.items())
        (self.dir / "settings").write_text(text)
        # The socket's directory lets nobody else in. A port is open to every user of the machine.
        (self.dir / "hba").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        (self.dir / "files").mkdir()
        if owner:
            for path in [self.dir, *self.dir.iterdir()]:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        drop = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
        script = (root / "src/postgres/embedded.sh").read_text()
        with open(self.dir / "log", "w") as log:
            self._script = subprocess.Popen(
                ["/bin/sh", "-c", script, "sh", programs, self.dir, self.dir],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self.dir, start_new_session=True,
                # PGDATA, PGPORT, LC_ALL and others would speak into it.
                env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, **drop,
            )  # fmt: skip

    def __enter__(self):
        try:
            self._wait_until_ready()
            if self._tcp:
                self.ask("postgres", f"ALTER ROLE {SUPERUSER} PASSWORD '{self._password}'")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._script.stdin.close()
        try:
            self._script.wait(STOP_TIMEOUT_S)
        finally:
            # What the script may not delete where the parent directory belongs to somebody else.
            shutil.rmtree(self.dir, ignore_errors=True)

    def _wait_until_ready(self):
        """Waits for the word `ready` in postmaster.pid, as `pg_ctl` does (since PostgreSQL 10, line 8)."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._script.poll() is None:
            with contextlib.suppress(OSError):
                lines = (self.dir / "data/postmaster.pid").read_text().splitlines()
                if len(lines) > 7 and lines[7].strip() == "ready":
                    self._postmaster = int(lines[0])
                    return
            time.sleep(0.02)
        raise SystemExit(f"bench: error: PostgreSQL did not start\n{tail(self.dir / 'log')}")

    def program(self, name):
        """A client's path: the server's own version where it lies beside the server, else the one on PATH."""
        own = self.programs / name
        return own if own.exists() else shutil.which(name)

    def version(self):
        return self.ask("postgres", "SHOW server_version")[0][0]

    def dsn(self, database):
        return f"host={self.dir} port={self._port} user={SUPERUSER} dbname={database}"

    def pgloader_url(self, database):
        return f"postgresql://{SUPERUSER}@unix:{self.dir}:{self._port}/{database}"

    def tcp_url(self, database):
        """For clients that know no unix sockets. It holds the password: for the environment, not for arguments."""
        address = f"{SUPERUSER}:{self._password}@127.0.0.1:{self._port}"
        return f"postgres://{address}/{database}?sslmode=disable"

    def cpu_s(self):
        return measure.cpu_of_tree_s(self._postmaster)

    @contextlib.contextmanager
    def database(self, name):
        """A fresh database, after a checkpoint: nobody pays for what an earlier contender left to be written."""
        self.drop(name)
        self.ask("postgres", f"CREATE DATABASE {name}")
        self.ask("postgres", "CHECKPOINT")
        yield name
        self.drop(name)

    def drop(self, name):
        # FORCE: a contender that was killed may have left a session.
        self.ask("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def ask(self, database, sql):
        """Rows of text. For what is not measured."""
        command = [self.program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-F", "\x1f", "-R", "\x1e"]
        done = subprocess.run(
            [*command, "-d", self.dsn(database), "-c", sql], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            # psql ends with 2 where it lost the server, and then the server's log knows more.
            more = f"\n{tail(self.dir / 'log')}" if done.returncode == 2 else ""
            raise Failure(done.stderr.strip() + more)
        text = done.stdout.removesuffix("\n").removesuffix("\x1e")
        return [line.split("\x1f") for line in text.split("\x1e")] if text else []

    def session(self, database, log):
        return Session(self, database, log)


class Session(measure.Process):
    """One psql that takes statements and its own commands one after the other."""

    DONE = "lite2pg-bench-done"

    def __init__(self, server, database, log):
        command = [server.program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", server.dsn(database)]
        super().__init__(command, log=log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def do(self, command):
        """Returns when it is carried out. psql ends at the first error, whose text is in the log."""
        try:
            self.child.stdin.write(f"{command}\n\\echo {self.DONE}\n".encode())
            self.child.stdin.flush()
        except BrokenPipeError:
            raise Failure(f"psql ended before: {command}") from None
        while line := self.child.stdout.readline():
            if line.strip() == self.DONE.encode():
                return
        raise Failure(f"psql ended at: {command}")

    def finish(self):
        self.child.stdin.close()
        if self.wait() != 0:
            raise Failure("psql failed")


def side_by_side(sessions, commands):
    """Carries the commands out in their order, each by the first session that is free. Returns the wall time."""
    started, waiting, failures = time.monotonic(), list(reversed(commands)), []

    def work(session):
        try:
            while True:
                # Of a list, pop is one step: two threads never get the same command.
                session.do(waiting.pop())
        except IndexError:
            pass
        except (Failure, ValueError, OSError) as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=[session], daemon=True) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Failure(str(failures[0]))
    return time.monotonic() - started


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tail(path, lines=6):
    """The last lines of a log, for somebody who has to see why."""
    with contextlib.suppress(OSError):
        text = Path(path).read_text(errors="replace")
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
    return ""


def _quoted(value):
    return value.replace("\\", "\\\\").replace("'", "''")


def _owner():
    """Whom the server runs as when we are root, which PostgreSQL refuses; nobody else otherwise."""
    if os.geteuid() != 0:
        return None
    for name in (SUPERUSER, "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise SystemExit("bench: error: PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")
