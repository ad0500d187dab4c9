"""What a program costs: wall time, CPU, peak memory. Knows nothing of databases.

CPU comes from wait4: exact, with every process that the program waited for. The peak of memory does not: Linux hands
`ru_maxrss` down from the process that forked, so every small program would seem as large as this one. It is read from
VmHWM in /proc instead, which the kernel keeps as a maximum, so that looking rarely misses little; a program of several
processes is charged for those that live at the same time.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path


class Failure(Exception):
    """Something that ends a contender's run, not the benchmark."""


@dataclass
class Usage:
    """What a run cost. `peak_bytes` is 0 where /proc does not tell."""

    wall_s: float = 0.0
    user_s: float = 0.0
    sys_s: float = 0.0
    peak_bytes: int = 0
    phases: dict = field(default_factory=dict)

    @property
    def cpu_s(self):
        return self.user_s + self.sys_s


class Process:
    """A child in a process group of its own, watched for its memory. Leaving `with` ends the whole group."""

    def __init__(self, command, *, log, env=None, **pipes):
        self.started = time.monotonic()
        pipes = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log} | pipes
        # A session of its own: Ctrl-C reaches us alone, and we end the child with all that it started.
        self.child = subprocess.Popen([str(word) for word in command], env=env, start_new_session=True, **pipes)
        self.usage = Usage()
        self._peak = _Peak(self.child.pid)
        self._peak.start()

    def wait(self, timeout_s=None):
        """Returns the exit code, negative for a signal. After `timeout_s` the group is killed."""
        if self.child.returncode is not None:
            return self.child.returncode
        timer = threading.Timer(timeout_s, self.kill) if timeout_s else None
        if timer:
            timer.daemon = True
            timer.start()
        try:
            _, status, rusage = os.wait4(self.child.pid, 0)
        finally:
            if timer:
                timer.cancel()
        self.usage.wall_s = time.monotonic() - self.started
        self.usage.user_s, self.usage.sys_s = rusage.ru_utime, rusage.ru_stime
        self.usage.peak_bytes = self._peak.end()
        # Popen would otherwise wait for a process that is gone.
        self.child.returncode = os.waitstatus_to_exitcode(status)
        return self.child.returncode

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.returncode is None:
            self.kill()
            self.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class _Peak(threading.Thread):
    """Looks at a process and its descendants: every 2 ms at first, for short runs, then ever more rarely."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._pid, self._bytes, self._done = pid, 0, threading.Event()

    def run(self):
        pause_s = 0.002
        while True:
            self._bytes = max(self._bytes, sum(map(_peak_bytes, descendants(self._pid))))
            if self._done.wait(pause_s):
                return
            pause_s = min(pause_s * 1.05, 0.1)

    def end(self):
        self._done.set()
        self.join()
        return self._bytes


def descendants(pid):
    """The process and all that it started, as far as they live."""
    found, open_ends = [], [pid]
    while open_ends:
        pid = open_ends.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                open_ends += map(int, (task / "children").read_text().split())
    return found


def _peak_bytes(pid):
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def cpu_of_tree_s(pid):
    """CPU of a process, of its children that ended, and of its descendants that live: a server's, all in all."""
    ticks = 0
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            # The name in brackets may hold blanks and brackets; fields are counted after the last one.
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")
