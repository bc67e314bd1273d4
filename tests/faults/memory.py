"""memory: caps on what a process may take.

    with memory.group(4 << 20) as cap:          a control group of its own; Unavailable: this machine gives none
        cap.add(pid)                            what it takes from now on counts; without room for it, it is killed
        cap.n_hits()                            how often the limit was reached
    memory.limit_data(pid, more=1 << 20)        RLIMIT_DATA: so much more than it has; then it is refused
    memory.lift(pid)
"""

import contextlib
import os
import resource
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
# Of version 2 and 1: where there may be groups, the limit's file, and what counts its hits.
KINDS = ((ROOT, "memory.max", "memory.events"), (ROOT / "memory", "memory.limit_in_bytes", "memory.failcnt"))


class Unavailable(Exception):
    pass


class Group:
    def __init__(self, path, limit, hits):
        self.path, self.limit, self.hits = path, limit, hits

    def add(self, pid):
        (self.path / "cgroup.procs").write_text(str(pid))

    def n_hits(self):
        text = (self.path / self.hits).read_text()
        words = dict(line.split() for line in text.splitlines()) if " " in text else {"max": text}
        return int(words["max"])


@contextlib.contextmanager
def group(limit_bytes):
    """Its processes have ended when it is left."""
    made = next((found for found in map(make, KINDS) if found), None)
    if not made:
        raise Unavailable("no control group with a memory limit can be made here")
    try:
        (made.path / made.limit).write_text(str(limit_bytes))
        yield made
    finally:
        with contextlib.suppress(OSError):      # a case that failed may have left processes there
            made.path.rmdir()


def make(kind):
    """None: there is no such controller, or no right to it."""
    root, limit, hits = kind
    path = root / f"wanmeter-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError:
        return None
    if os.access(path / limit, os.W_OK):
        return Group(path, limit, hits)
    path.rmdir()
    return None


def limit_data(pid, more):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    data_bytes = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))
    resource.prlimit(pid, resource.RLIMIT_DATA, (data_bytes + more, resource.RLIM_INFINITY))


def lift(pid):
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
