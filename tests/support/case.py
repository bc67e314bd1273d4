"""case: what a test function is given.

    def test_something(case):
        case.wanmeter("replay", "in.pcap")          runs the built program in case.directory
        case.query("SELECT …")

    @each(["a", "b"])
    def test_of_every_one(case, item): …

    @waits                                          for somebody else's clock, not for a processor: many of
    def test_of_the_kernel(case): …                 them run beside the others

    case.skip("no corpus here")                     loud: the reason is printed before the closing line
"""

import contextlib
import ctypes
import os
import shutil
import signal
import stat
import tempfile
import time
from pathlib import Path

from support.wanmeter import Wanmeter

EXIT_SKIP = 77
PATIENCE_S = 60  # what a slow machine with much else to do may take for what takes a moment
ROOT = Path(__file__).resolve().parents[2]
PR_SET_CHILD_SUBREAPER = 36


class Skip(Exception):
    pass


def each(items):
    def mark(function):
        function.items = list(items)
        return function
    return mark


def waits(function):
    function.waits = True
    return function


class Case:
    """A context: entering makes the directory, leaving looks for what was left behind and removes it."""

    root = ROOT

    def __init__(self, name, build):
        self.name, self.build = name, Path(build).resolve()
        # Sockets have short names at most (108 bytes), and a database on a disk would wait for it at every commit.
        self.directory = Path(tempfile.mkdtemp(prefix="wm", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
        self.wanmeter = Wanmeter(self.build / "cli" / "wanmeter", self.directory)
        self.query = self.wanmeter.query

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        left = leftover_processes() + leftover_sockets(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        if left and (kind is None or kind is Skip):
            raise AssertionError("left behind: " + "; ".join(left))
        for line in left:
            print("left behind:", line)

    def skip(self, reason):
        raise Skip(reason)

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path


def watch_descendants():
    """From now on orphans of this process's descendants become its own children, where they can be seen."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    signal.signal(signal.SIGTERM, on_terminate)


def on_terminate(_number, _frame):
    """The case has taken too long: its programs end with it."""
    for pid in children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(1)


def children():
    return children_of("self")


def children_of(pid):
    """Those of all its threads; none if it is gone."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (task / "children").read_text().split())
    return found


def leftover_processes(patience_s=2):
    """Descendants that still run, as text; those that end by themselves within a moment are none. Ends them."""
    deadline = time.monotonic() + patience_s
    while (alive := reap()) and time.monotonic() < deadline:
        time.sleep(0.02)
    found = []
    for pid in alive:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        found.append(f"process {pid}: {command}")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return found


def reap():
    """Collects ended children; returns those that run."""
    alive = []
    for pid in children():
        try:
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                alive.append(pid)
        except ChildProcessError:
            continue
    return alive


def leftover_sockets(directory):
    return [f"socket {path}" for path in directory.rglob("*") if path.is_symlink() or
            stat.S_ISSOCK(path.lstat().st_mode)]
