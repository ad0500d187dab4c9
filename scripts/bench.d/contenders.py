"""Who is measured: the floor, lite2pg, its peers. Each knows how to get itself, and how to fill one empty database.

A contender's `run` returns what it cost and raises `Failure` when it does not finish. It judges nothing: whether the
rows are there, and what is missing beside them, is looked at by whoever called it.
"""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys

import measure
import server as servers
from measure import Failure, Usage

# One place for versions, so that two machines measure the same peers. DuckDB's extensions have to match it exactly.
DUCKDB = ["duckdb==1.5.5", "duckdb-extension-sqlite-scanner==1.5.5", "duckdb-extension-postgres-scanner==1.5.5"]
PSYCOPG = ["psycopg[binary]==3.3.9"]
# The package `sling` fetches a binary from elsewhere at its first run; these bring it along.
SLING_BINARIES = {("linux", "x86_64"): "sling-linux-amd64", ("linux", "aarch64"): "sling-linux-arm64"}
SLING = "1.4.11"

# `maintenance_work_mem` of the floor's two sessions: what lite2pg gives its own (MAINTENANCE_MB_TOTAL, halved).
FLOOR_MAINTENANCE_MB = 256

# pgloader reads 100 000 rows ahead by default and runs out of its heap.
PGLOADER_PREFETCH_ROWS = 10_000


class Contender:
    """`key` is for --only and the CSV, `title` and `command` for readers, `leaves_out` tells what no catalog shows."""

    slow = False
    leaves_out = ""

    def __init__(self, bench):
        self.bench = bench

    def prepare(self):
        """Gets the program. Raises `Failure` when it cannot be had; returns its version."""
        raise NotImplementedError

    def run(self, case, server, database, log):
        raise NotImplementedError

    def _program(self, command, log, env=None, **pipes):
        """Runs one program to its end."""
        with measure.Process(command, log=log, env=env, **pipes) as process:
            code = process.wait(self.bench.timeout_s)
        if code != 0:
            # A process that was killed is one that the time limit ended, or the system for want of memory.
            limit = process.usage.wall_s >= self.bench.timeout_s
            end = f"not done after {self.bench.timeout_s} s" if limit else f"exit code {code}"
            raise Failure(f"{end}: {servers.tail(log.name, 2)}")
        return process.usage


class Floor(Contender):
    key, title = "floor", "**floor**: PostgreSQL alone"
    command = r"two `psql`: `\copy t FROM FILE (FORMAT binary)`, then indexes, keys, foreign keys, `ANALYZE` over both"
    leaves_out = "reading SQLite, deciding types, counting back"

    def prepare(self):
        return ""

    def run(self, case, server, database, log):
        model, phases = case.model, {}
        with server.session(database, log) as one, server.session(database, log) as two:
            both, started = [one, two], one.started
            one.do(rf"\i {model.tables_sql}")
            for session in both:
                session.do(f"SET maintenance_work_mem = '{FLOOR_MAINTENANCE_MB}MB';")
            copies = [rf"\copy {table} FROM '{file}' (FORMAT binary)" for table, file in model.copies]
            phases["copy"] = servers.side_by_side(both, copies)
            phases["index"] = servers.side_by_side(both, model.builds)
            # One session adds, which is quick, so that locks on two tables are never taken crosswise.
            adding = servers.side_by_side([one], [add for add, _ in model.foreign_keys])
            phases["constrain"] = adding + servers.side_by_side(both, [check for _, check in model.foreign_keys])
            phases["analyze"] = servers.side_by_side(both, model.analyzes)
            for session in both:
                session.finish()
            wall_s = one.usage.wall_s + (one.started - started)
        user_s, sys_s, peak = (sum(getattr(s.usage, name) for s in both) for name in ("user_s", "sys_s", "peak_bytes"))
        return Usage(max(wall_s, two.started + two.usage.wall_s - started), user_s, sys_s, peak, phases)


class Lite2pg(Contender):
    """`migrate` as users run it. Its phases are its own account of itself."""

    key, title = "lite2pg", "**lite2pg**, verified"
    verifies = True
    command = "`lite2pg migrate SOURCE TARGET --json`"

    def prepare(self):
        if self.verifies and not self.bench.can_skip_verification:
            raise Failure("this lite2pg has no verification yet")
        return self.bench.lite2pg_version

    def run(self, case, server, database, log):
        arguments = ["migrate", case.source, server.dsn(database), "--json"]
        if not self.verifies and self.bench.can_skip_verification:
            arguments.append("--no-verify")
        with open(case.directory / "summary.json", "w+") as out:
            usage = self._program([self.bench.lite2pg, *arguments], log, stdout=out)
            out.seek(0)
            summary = json.load(out)
        usage.phases = {phase: ms / 1000 for phase, ms in summary["phases"]}
        usage.peak_bytes = max(usage.peak_bytes, summary["peak_memory_bytes"] or 0)
        return usage


class Lite2pgUnverified(Lite2pg):
    key, title = "lite2pg-no-verify", "**lite2pg**, rows counted"
    verifies = False
    leaves_out = "comparing the cells"

    def __init__(self, bench):
        super().__init__(bench)
        if bench.can_skip_verification:
            self.command = "`lite2pg migrate SOURCE TARGET --json --no-verify`"


class Duckdb(Contender):
    key, title = "duckdb", "DuckDB, bare copy"
    command = "`ATTACH` both, `CREATE TABLE target.t AS SELECT * FROM source.t` each (peers/duckdb_copy.py)"
    leaves_out = "statistics, counting back, verification, resuming"

    def prepare(self):
        self.bench.pip(*DUCKDB)
        return f"DuckDB {DUCKDB[0].partition('==')[2]}"

    def run(self, case, server, database, log):
        script = self.bench.peers / "duckdb_copy.py"
        return self._program([self.bench.python, "-B", script, case.source, server.dsn(database)], log)


class Csv(Contender):
    """Types are given to it, as somebody would who writes the tables by hand; keys and indexes are not."""

    key, title = "csv", "sqlite3's CSV into psql"
    command = r"""`sqlite3 -csv SOURCE "SELECT …" | psql -c "\copy t FROM STDIN (FORMAT csv)"`, into typed tables"""
    leaves_out = "statistics, counting back, verification, resuming"

    def prepare(self):
        if not shutil.which("sqlite3"):
            self.bench.system_package("sqlite3")
        return "sqlite3 " + _output("sqlite3", "--version").split()[0]

    def run(self, case, server, database, log):
        psql = f"{server.program('psql')} -X -q -v ON_ERROR_STOP=1 -d {shlex.quote(server.dsn(database))}"
        lines = ["set -eu -o pipefail", f"{psql} -f {case.model.tables_sql} >/dev/null"]
        for table, columns in case.columns.items():
            # CSV has no spelling for bytes.
            select = f"SELECT {_with_hex(columns)} FROM {table}"
            query = shlex.join(["sqlite3", "-readonly", "-csv", str(case.source), select])
            lines.append(rf"{query} | {psql} -c '\copy public.{table} FROM STDIN (FORMAT csv)'")
        return self._program(["bash", "-c", "\n".join(lines)], log)


class Psycopg(Contender):
    key, title = "psycopg", "Python script with psycopg's COPY"
    command = "peers/psycopg_copy.py: the schema by hand, text COPY by two processes, keys and indexes by two threads"
    leaves_out = "counting back, verification, resuming"

    def prepare(self):
        self.bench.pip(*PSYCOPG)
        return f"psycopg {PSYCOPG[0].partition('==')[2]} (binary), Python {platform.python_version()}"

    def run(self, case, server, database, log):
        script = self.bench.peers / "psycopg_copy.py"
        return self._program([self.bench.python, "-B", script, case.source, server.dsn(database)], log)


class Pgloader(Contender):
    key, title, slow = "pgloader", "pgloader", True
    options = f"prefetch rows = {PGLOADER_PREFETCH_ROWS}"
    command = f"`LOAD DATABASE … WITH include drop, create tables, create indexes, reset sequences, {options}`"
    leaves_out = "statistics, counting back, verification, resuming"

    def prepare(self):
        if not shutil.which("pgloader"):
            self.bench.system_package("pgloader")
        # Debian's 3.6.9 calls itself 3.6.7~devel: the package's version says which one it is.
        package = _output("dpkg-query", "-W", "-f", "${Version}", "pgloader") if shutil.which("dpkg-query") else ""
        return f"pgloader {package}" if package else _output("pgloader", "--version").splitlines()[0]

    def run(self, case, server, database, log):
        file = case.directory / "pgloader.load"
        file.write_text(
            f"LOAD DATABASE\n  FROM sqlite://{case.source}\n  INTO {server.pgloader_url(database)}\n"
            f"WITH include drop, create tables, create indexes, reset sequences, {self.options}\n"
            "EXCLUDING TABLE NAMES LIKE 'sqlite_%';\n"
        )
        return self._program(["pgloader", "--root-dir", case.directory / "pgloader", file], log)


class Sling(Contender):
    key, title, slow = "sling", "sling", True
    command = (
        "`sling run`, `mode: full-refresh`; by TCP, for want of unix sockets; BLOBs as hex, or they arrive as text"
    )
    leaves_out = "statistics, verification, resuming"

    def prepare(self):
        package = SLING_BINARIES.get((sys.platform, platform.machine()))
        if not package:
            raise Failure(f"no package brings a binary for {sys.platform} on {platform.machine()}")
        self.bench.pip(f"{package}=={SLING}")
        (self._binary,) = self.bench.site_packages().glob(f"{package.replace('-', '_')}/bin/{package}")
        self._binary.chmod(0o755)
        return f"sling {SLING}"

    def run(self, case, server, database, log):
        file = case.directory / "sling.yaml"
        streams = "".join(f"  main.{table}:\n{self._query(table, cols)}" for table, cols in case.columns.items())
        defaults = "defaults:\n  mode: full-refresh\n  object: public.{stream_table}\n"
        file.write_text(f"source: SOURCE\ntarget: TARGET\n{defaults}streams:\n{streams}")
        env = os.environ | {
            "SLING_HOME_DIR": str(case.directory / "sling"),
            "SLING_DISABLE_TELEMETRY": "true",
            "SOURCE": f"sqlite://{case.source}",
            "TARGET": server.tcp_url(database),
        }
        return self._program([self._binary, "run", "-r", file], log, env)

    @staticmethod
    def _query(table, columns):
        if not any(map(_is_blob, columns)):
            return ""
        # JSON is YAML, and knows how to quote.
        return f"    sql: {json.dumps(f'SELECT {_with_hex(columns)} FROM {table}')}\n"


ALL = [Floor, Lite2pgUnverified, Duckdb, Lite2pg, Csv, Psycopg, Pgloader, Sling]


def _is_blob(column):
    return "BLOB" in column[1].upper()


def _with_hex(columns):
    """The columns for a SELECT in SQLite, bytes spelled as PostgreSQL reads them."""
    spelled = [rf"'\x' || hex({c[0]}) AS {c[0]}" if _is_blob(c) else c[0] for c in columns]
    return ", ".join(spelled)


def _output(*command):
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout.strip()
