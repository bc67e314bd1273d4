"""Memory that is refused and system calls that fail, in one process at a time, at random (libfiu).

It begins in mid-run. A process may die of it and is started again. The bill is exact."""

import signal
import time

from faults import crew, outcome, suite, wrapped
from faults.load import Load
from support import traffic
from support.case import each

# What fails, how often, and in which process. Memory of a few hundred calls is refused within a second.
FAULTS = {
    "memory of the exporter": ("exporter", "libc/mm/*", 0.001),
    "memory of a tracker": ("tracker", "libc/mm/*", 0.001),
    "writing and syncing the database": ("exporter", "posix/io/rw/pwrite,posix/io/sync/*", 0.02),
    "short writes of the database": ("exporter", "posix/io/rw/pwrite/reduce", 0.1),
    "reading the database": ("exporter", "posix/io/rw/pread", 0.02),
    "sockets of the exporter": ("exporter", "posix/io/net/*", 0.002),
    "sockets of a tracker": ("tracker", "posix/io/net/*", 0.002),
}
SHORT = ("memory of a tracker", "sockets of a tracker")
INJECTIONS_MAX, RUNS_MAX = 3, 10
FAILING_S = 1


@each(suite.options().choose(SHORT, FAULTS))
def test_calls_that_fail_at_random_cost_no_byte(case, kind):
    if not wrapped.has(wrapped.FIU):
        case.skip("no libfiu (package fiu-utils)")
    options = suite.options()
    role, names, probability = FAULTS[kind]
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(30, 100))
    load.write(case.directory / "in.pcap")
    truth, program = load.usage(), wrapped.programs(case, role, wrapped.failing(case))
    for n in range(RUNS_MAX):
        run = crew.replay(case, "in.pcap", config=traffic.CONFIG, program=program, options=["--database", f"{n}.db"],
                          sets=(wrapped.OPEN, "tracker.commit_volume=256KiB", "exporter.commit_interval=20ms"))
        outcome.wait_for_usage(case, f"{n}.db")     # who cannot even start is not started again
        n_hit = inject(case, run, role if role == "exporter" else role + "-0", names, probability, options)
        run.finish()
        if n_hit:
            outcome.judge(case, f"failing: {kind}", n_hit, truth, database=f"{n}.db")
            return
    raise AssertionError(f"all of {RUNS_MAX} runs were over too early")


def inject(case, run, name, names, probability, options):
    """Into one process after the other of this name: those that died of it are followed by others."""
    random_, hit = options.random("failing", name, names), set()
    while run.is_running() and len(hit) < INJECTIONS_MAX and run.wait_for("exporter", "tracker-0", "capture-0"):
        if hit:
            time.sleep(random_.uniform(0.05, 0.5))
        run.send("capture-0", signal.SIGSTOP)       # the run may not end meanwhile
        pid = run.processes().get(name)
        if pid and pid not in hit and wrapped.fail(case, pid, names, probability):
            hit.add(pid)
        run.send("capture-0", signal.SIGCONT)
    time.sleep(FAILING_S)
    pid = run.processes().get(name)
    if pid in hit:      # it has lived with it: a disk that fails for ever is no case of "costs nothing"
        wrapped.relieve(case, pid, names)
    return len(hit)
