"""Memory that is refused and system calls that fail, in one process at a time, at random (libfiu).

It begins in mid-run. A process may die of it and is started again. The bill is exact."""

import signal
import time

from faults import crew, outcome, suite, wire, wrapped
from faults.load import Load, any_slot
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
    "memory of a worker": ("capture", "libc/mm/*", 0.001),
    "sockets of a worker": ("capture", "posix/io/net/*", 0.002),
    "short reads of a worker": ("capture", "posix/io/rw/read/reduce", 0.2),
}
READING = "posix/io/rw/read"     # also of what wakes its loop: it may die of it as well
SHORT = ("memory of a tracker", "sockets of a tracker", "memory of a worker")
INJECTIONS_MAX, RUNS_MAX = 3, 10
FAILING_S = 1
RATE = 20_000       # packets a second, live


@each(suite.options().choose(SHORT, FAULTS))
def test_calls_that_fail_at_random_cost_no_byte(case, kind):
    role, names, probability = FAULTS[kind]
    load, program = begin(case, role)
    for n in range(RUNS_MAX):
        n_hit = replay_hit(case, program, f"{n}.db", role, names, probability)
        if n_hit:
            outcome.judge(case, f"failing: {kind}", n_hit, load.usage(), database=f"{n}.db")
            return
    raise AssertionError(f"all of {RUNS_MAX} runs were over too early")


def test_a_capture_that_cannot_be_read_on_is_a_loss_line_and_what_was_read_is_counted(case):
    load, program = begin(case, "capture")
    for n in range(RUNS_MAX):
        n_hit = replay_hit(case, program, f"{n}.db", "capture", READING, 0.05, statuses={0, 3})
        lines = case.query("SELECT stage, reason, certainty FROM loss", database=f"{n}.db")
        if n_hit and lines:
            assert set(lines) == {("source", "read_error", "unknown")}, lines
            outcome.judge(case, "failing: reading a capture", n_hit, load.usage(), database=f"{n}.db",
                          verdicts=("bounded",))
            return
    raise AssertionError(f"all of {RUNS_MAX} runs were over too early")


def test_a_live_worker_without_memory_costs_what_is_declared(case):
    if not wrapped.has(wrapped.FIU):
        case.skip("no libfiu (package fiu-utils)")
    options = suite.options()
    wire.lay(case)
    packets = Load(options.seed, n_packets=20_000).packets
    run = crew.live(case, config=traffic.CONFIG, program=wrapped.programs(case, "capture", wrapped.failing(case)),
                    is_dedicated=True, sets=(wrapped.OPEN, "tracker.commit_volume=256KiB"))
    n_hit = 0
    with wire.Sender(packets, RATE) as sender:
        for _ in range(options.choose(1, 10)):
            pid = run.wait_for("capture-0")[0]
            n_hit += wrapped.fail(case, pid, "libc/mm/*", 0.01)
            time.sleep(FAILING_S)
            if run.processes().get("capture-0") == pid:
                wrapped.relieve(case, pid, "libc/mm/*")
        run.wait_for("capture-0")
    assert n_hit > 0
    run.stop({0, 3})
    outcome.judge(case, "failing: memory of a worker, live", n_hit, sender.usage(), verdicts=("exact", "bounded"),
                  fold=any_slot)


def begin(case, role):
    """A capture, and the program whose 'role' can be made to fail."""
    if not wrapped.has(wrapped.FIU):
        case.skip("no libfiu (package fiu-utils)")
    options = suite.options()
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(30, 100))
    load.write(case.directory / "in.pcap")
    return load, wrapped.programs(case, role, wrapped.failing(case))


def replay_hit(case, program, database, role, names, probability, **how):
    """How many processes were hit."""
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, program=program, options=["--database", database],
                      sets=(wrapped.OPEN, "tracker.commit_volume=256KiB", "exporter.commit_interval=20ms"))
    outcome.wait_for_usage(case, database)      # who cannot even start is not started again
    n_hit = inject(case, run, role if role == "exporter" else role + "-0", names, probability, suite.options())
    run.finish(**how)
    return n_hit


def inject(case, run, name, names, probability, options):
    """Into one process after the other of this name: those that died of it are followed by others."""
    random_, hit = options.random("failing", name, names), set()
    while run.is_running() and len(hit) < INJECTIONS_MAX and run.wait_for("exporter", "tracker-0", "capture-0"):
        if hit:
            time.sleep(random_.uniform(0.05, 0.5))
        other = "exporter" if name == "capture-0" else "capture-0"
        run.send(other, signal.SIGSTOP)     # the run may not end meanwhile
        pid = run.processes().get(name)
        if pid and pid not in hit and wrapped.fail(case, pid, names, probability):
            hit.add(pid)
        run.send(other, signal.SIGCONT)
    time.sleep(FAILING_S)
    pid = run.processes().get(name)
    if pid in hit and not names.startswith(READING):      # it has lived with it: a disk that fails for ever is no case of "costs nothing"
        wrapped.relieve(case, pid, names)
    return len(hit)
