"""Measures lite2pg, PostgreSQL's own time for the same rows (the floor), and other tools, and writes what it saw.

Order: what may fail at once, then tools and servers, then the rounds, then the figures. Nothing is left behind but the
results and what was installed under target/bench.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import contenders
import model as models
import results
import server as servers
from measure import Failure, Usage

ROOT = Path(__file__).resolve().parents[2]
TARGET_DATABASE = "bench"

# A database of about 100 KB: where starting, looking and proving cost more than moving the rows.
TINY_SCALE = 0.0001
TINY_ROUNDS_MIN = 5

# Runs take seconds to minutes. One that is not done by then never ends.
TIMEOUT_S = 3600

# matplotlib draws the plots. Its pins are those of a day when it drew well.
PLOTS = ["matplotlib==3.11.2"]

HELP_END = """
what is measured
  floor              pre-rendered binary COPY files through two psql, the same keys, indexes and foreign keys over two
                     sessions, ANALYZE: what PostgreSQL needs by itself. Ratios are to the floor of the same round.
  lite2pg-no-verify  the rows moved, keys built, rows counted
  lite2pg            the same, and every cell compared
  duckdb csv psycopg pgloader sling     other tools, with what each leaves out

what is written
  OUT/RESULTS.md     figures, targets, machine, versions, commands
  OUT/results.csv    every single run
  OUT/results-*.svg  plots

examples
  scripts/bench                                           the figures that the targets are about
  scripts/bench --scale 0.01 --rounds 1 --out /tmp/smoke  does it run at all? one to two minutes
  scripts/bench --only floor,lite2pg-no-verify --rounds 7 one question, closely looked at
  scripts/bench --set shared_buffers=256MB --scale 0.1    on a small machine
"""


@dataclass
class Case:
    """One source, whose rows are counted here and not taken from any contender."""

    name: str
    scale: float
    directory: Path
    bytes: int = 0
    rows: dict = field(default_factory=dict)
    columns: dict = field(default_factory=dict)  # table → [(column, declared type)]
    model: models.Model = None
    values: dict = None

    @property
    def source(self):
        return self.directory / "source.db"


@dataclass
class Run:
    """One contender, once."""

    case: str
    round: int
    contender: str
    usage: Usage
    server_cpu_s: float = 0.0
    failure: str = ""
    missing: list = field(default_factory=list)
    rows_wrong: list = field(default_factory=list)
    values_wrong: list = field(default_factory=list)
    values_unknown: list = field(default_factory=list)


class Bench:
    """What all contenders share: where things are, and how they get installed."""

    def __init__(self, args):
        self.args, self.timeout_s = args, TIMEOUT_S
        self.target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
        self.venv = self.target / "bench/venv"
        self.python = self.venv / "bin/python"
        self.peers = Path(__file__).parent / "peers"

    def build(self):
        """lite2pg and its source maker, by the set-up that the other scripts use. Returns PostgreSQL's programs."""
        say("building lite2pg (release; the first time takes some minutes)")
        command = ". scripts/setup; cargo build --locked --release --bin lite2pg --example make_source </dev/null >&2"
        env = os.environ | {"CARGO_TARGET_DIR": str(self.target)}
        if subprocess.run(["sh", "-eu", "-c", command], cwd=ROOT, env=env).returncode != 0:
            raise SystemExit("bench: error: lite2pg was not built")
        found = subprocess.run(
            ["sh", "-eu", "-c", ". scripts/setup; setup_postgres_dir"], cwd=ROOT, env=env, text=True, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.lite2pg, self.make_source = (
            self.target / "release" / name for name in ("lite2pg", "examples/make_source")
        )
        ask = lambda *words: subprocess.run([self.lite2pg, *words], capture_output=True, text=True).stdout
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
        self.lite2pg_version = " at ".join(filter(None, [ask("--version").strip(), commit.stdout.strip()]))
        self.can_skip_verification = "--no-verify" in ask("migrate", "--help")
        return Path(found.stdout.strip())

    def pip(self, *packages):
        """Installs into a private environment, once."""
        if not self.python.exists():
            self._install(sys.executable, "-m", "venv", self.venv)
        stamp = self.venv / f"{'+'.join(packages)}.installed"
        if not stamp.exists():
            self._install(self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
            stamp.touch()

    def site_packages(self):
        (found,) = self.venv.glob("lib/python*/site-packages")
        return found

    def system_package(self, name):
        """By scripts/setup, whose LITE2PG_NO_INSTALL=1 holds here too."""
        self._install("sh", "-eu", "-c", f". scripts/setup; setup_install {name} {name}")
        if not shutil.which(name):
            raise Failure(f"{name} is still missing")

    def _install(self, *command):
        if os.environ.get("LITE2PG_NO_INSTALL") == "1" and command[0] != "sh":
            raise Failure("missing, and LITE2PG_NO_INSTALL=1 forbids an installation")
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise Failure(str(error)) from None
        if done.returncode != 0:
            lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            raise Failure(f"not installed: {lines[-1].strip() if lines else 'no reason given'}")


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(args)
    programs = bench.build()
    ready, absent = prepared(bench)
    machine = results.machine(args.work)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lite2pg-bench-", dir=args.work)))
        say(f"starting PostgreSQL with {settings_text(args.set)}")
        tcp = any(isinstance(c, contenders.Sling) for c in ready)
        server = stack.enter_context(servers.Server(ROOT, programs, args.work, args.set, tcp))
        version = server.version()
        cases = [made(bench, server, directory, name, scale) for name, scale in scales(args.scale)]
        runs = []
        for round_ in range(1, args.rounds + 1):
            runs += one_round(bench, server, cases, ready, round_)
        runs += tiny_rounds(bench, server, cases[-1], ready)
    say(f"writing to {args.out}")
    results.write(args, cases, ready, absent, runs, machine, version, plots_python(bench))


def arguments():
    keys = [c.key for c in contenders.ALL]
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__.split("\n")[0], epilog=HELP_END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 6.11 million rows (the default)")
    parser.add_argument("--rounds", type=int, default=3, help="how often everybody's turn comes (3)")
    parser.add_argument("--slow-rounds", type=int, default=1, help="the same for pgloader and sling (1)")
    parser.add_argument("--only", metavar="A,B", help=f"some of: {' '.join(keys)}")
    parser.add_argument("--out", type=Path, default=ROOT / "benches", help="where results go (benches/)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="a setting of PostgreSQL, instead of or beside " + settings_text(servers.SETTINGS),
    )  # fmt: skip
    parser.add_argument(
        "--work", type=Path, default=Path("/var/tmp"),
        help="where databases live meanwhile: a real disk with room for ten times the source (/var/tmp)",
    )  # fmt: skip
    args = parser.parse_args()
    args.only = args.only.split(",") if args.only else keys
    if unknown := [key for key in args.only if key not in keys]:
        parser.error(f"no contender `{unknown[0]}`: there are {', '.join(keys)}")
    if not args.scale > 0 or args.rounds < 1 or args.slow_rounds < 0:
        parser.error("--scale must be above 0, --rounds at least 1, --slow-rounds at least 0")
    if wrong := [pair for pair in args.set if "=" not in pair]:
        parser.error(f"--set {wrong[0]}: needs NAME=VALUE")
    args.settings_default = not args.set
    args.set = servers.SETTINGS | dict(pair.split("=", 1) for pair in args.set)
    # Ten times: source, rendered rows, database, and the write-ahead log of a contender that writes much of it.
    if not args.work.is_dir():
        parser.error(f"--work {args.work}: no such directory")
    need, free = int(args.scale * 20e9), shutil.disk_usage(args.work).free
    if free < need:
        parser.error(f"{args.work} has {free / 1e9:.0f} GB free, and this needs about {need / 1e9:.0f} GB: take --work")
    return args


def prepared(bench):
    """Who can run, and for everybody else why not. A peer that cannot be had is a line of the results, not an end."""
    ready, absent = [], []
    for kind in contenders.ALL:
        if kind.key not in bench.args.only:
            continue
        contender = kind(bench)
        try:
            contender.version = contender.prepare()
            ready.append(contender)
        except Failure as failure:
            say(f"{kind.key} cannot run: {failure}")
            absent.append((contender, str(failure)))
    return ready, absent


def scales(scale):
    # The tenth shows whether time grows with the rows and memory does not.
    return [("whole", scale), ("tenth", scale / 10), ("tiny", TINY_SCALE)]


def made(bench, server, directory, name, scale):
    """Makes a source and reads what lite2pg makes of it. Not timed; it also writes the log files that later runs
    only write over, so that the first contender does not pay for their making."""
    case = Case(name, scale, directory / name)
    case.directory.mkdir()
    say(f"making the {name} source (scale {scale:g}) and rendering its rows")
    done = subprocess.run(
        [bench.make_source, "bench", case.source, "--scale", f"{scale:.12f}"], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"bench: error: no source: {done.stderr}")
    case.bytes = case.source.stat().st_size
    with contextlib.closing(sqlite3.connect(f"file:{case.source}?mode=ro", uri=True)) as db:
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite^_%' ESCAPE '^'"
        for (table,) in db.execute(names).fetchall():
            case.columns[table] = [(row[1], row[2]) for row in db.execute(f"PRAGMA table_info({table})")]
            case.rows[table] = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    with server.database(models.MODEL_DATABASE) as database:
        with open(case.directory / "model.log", "w") as log:
            migrate = [bench.lite2pg, "migrate", case.source, server.dsn(database)]
            if subprocess.run(migrate, stdout=log, stderr=log, stdin=subprocess.DEVNULL).returncode != 0:
                raise SystemExit(f"bench: error: lite2pg failed\n{servers.tail(log.name)}")
        if models.row_counts(server, database) != case.rows:
            raise SystemExit("bench: error: lite2pg lost rows: there is nothing to measure")
        case.model = models.read(server, database, case.directory)
        if name == "whole":
            case.values = models.values(server, database, case.model.inventory, case.model.inventory.types)
    return case


def one_round(bench, server, cases, ready, round_):
    """Everybody's turn, then the floor's and lite2pg's with a tenth of the rows.

    Every second round goes backwards, so that a machine that grows slower or faster favours nobody. Slow ones come
    last: between the others they would drive apart what is to be compared.
    """
    whole, tenth, _ = cases
    fast = [c for c in ready if not c.slow]
    slow = [c for c in ready if c.slow and round_ <= bench.args.slow_rounds]
    for contender in (fast if round_ % 2 else fast[::-1]) + slow:
        yield turn(server, whole, contender, round_, look_at_values=round_ == 1)
    for contender in [c for c in fast if isinstance(c, (contenders.Floor, contenders.Lite2pg))]:
        yield turn(server, tenth, contender, round_)


def tiny_rounds(bench, server, tiny, ready):
    fast = [c for c in ready if not c.slow]
    for round_ in range(1, max(bench.args.rounds, TINY_ROUNDS_MIN) + 1):
        for contender in fast if round_ % 2 else fast[::-1]:
            yield turn(server, tiny, contender, round_)


def turn(server, case, contender, round_, look_at_values=False):
    """Runs one contender in a fresh database and looks at what it left there."""
    run = Run(case.name, round_, contender.key, Usage())
    with server.database(TARGET_DATABASE) as database:
        before_s = server.cpu_s()
        try:
            with open(case.directory / f"{contender.key}.log", "w+") as log:
                run.usage = contender.run(case, server, database, log)
        except Failure as failure:
            # Paths of this machine tell a reader nothing.
            run.failure = str(failure).replace(str(case.directory), "…").replace(str(server.dir), "…")
        run.server_cpu_s = server.cpu_s() - before_s
        if not run.failure:
            judge(server, case, database, run, look_at_values)
    words = run.failure or f"{run.usage.wall_s:.2f} s, {run.usage.cpu_s:.2f} s CPU, {run.usage.peak_bytes / 1e6:.0f} MB"
    say(f"{case.name}, round {round_}: {contender.key}: {words}")
    for wrong in run.rows_wrong + run.values_wrong:
        say(f"  {wrong}")
    return run


def judge(server, case, database, run, look_at_values):
    counts = models.row_counts(server, database)
    run.rows_wrong = [
        f"`{table}` has {counts.get(table.lower(), 0)} of {rows} rows"
        for table, rows in case.rows.items()
        if counts.get(table.lower()) != rows
    ]
    found = models.inventory(server, database)
    run.missing = models.missing(case.model.inventory, found)
    if look_at_values and case.values:
        figures = models.values(server, database, found, case.model.inventory.types)
        for column, expected in case.values.items():
            if figures.get(column) is None:
                run.values_unknown.append(".".join(column))
            elif figures[column] != expected:
                run.values_wrong.append(f"values of `{'.'.join(column)}` are changed")


def plots_python(bench):
    try:
        bench.pip(*PLOTS)
    except Failure as failure:
        say(f"no plots: {failure}")
        return None
    return bench.python


def settings_text(settings):
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def say(text):
    print(f"bench: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("bench: interrupted: servers stopped, databases removed, no results written")
    except Failure as failure:
        sys.exit(f"bench: error: {failure}")
