"""Memory that is capped from outside: who finds none is refused or killed, and every byte is on the bill. Within what the
configuration bounds no cap is reached."""

import contextlib
import signal
import time

from faults import crew, flood, memory, outcome, suite, wrapped
from faults.load import Load
from faults.test_flood import LIMITS, any_class
from support import traffic
from support.case import each

MIB = 1 << 20
CAPPED_BYTES = 256 * MIB    # all processes of a run together, rings and database in a memory file system among it
# Small pieces, and few of them ahead: when the first are in the database, most of the capture is not yet read.
STEADY = ("tracker.commit_volume=256KiB", "exporter.commit_interval=20ms", "capture.batch=64KiB", "capture.window=1MiB")
PATIENCE_S = 2


@each(suite.options().choose(("tracker-0 killed", "exporter killed"),
                             ("tracker-0 killed", "exporter killed", "tracker-0 refused", "exporter refused")))
def test_a_process_whose_memory_is_capped_under_a_flood_costs_no_byte(case, how):
    name, _, kind = how.partition(" ")
    options = suite.options()
    load = make_flood(case, options.choose(120_000, 600_000))
    with contextlib.ExitStack() as stack:
        group = enter_group(case, stack, MIB) if kind == "killed" else None
        # Who has become another user is out of our reach, but for a control group.
        run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=STEADY if group else (*STEADY, wrapped.OPEN))
        outcome.wait_for_usage(case, "wanmeter.db")
        run.send("capture-0", signal.SIGSTOP)       # it may not be over before
        pid = run.processes()[name]
        group.add(pid) if group else memory.limit_data(pid, more=0)
        run.send("capture-0", signal.SIGCONT)
        if not group:
            relieve_later(run, name, pid)
        run.finish()
        outcome.judge(case, f"memory capped: {how}", 1, load.usage(), fold=any_class)
        is_ended = f"{name}: started again" in run.said()
        print("hits:", group.n_hits() if group else "-", "ended of it:", is_ended)
        assert is_ended or not group, "the cap was not felt"


def test_a_run_without_memory_to_start_with_says_so_and_leaves_nothing(case):
    load = make_flood(case, 1_000)
    n_refused = 0
    for n, megabytes in enumerate((2, 4, 8, 16, 192)):
        run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=LIMITS, options=["--database", f"{n}.db"],
                          prefix=["prlimit", f"--data={megabytes * MIB}"])
        if run.finish({0, 1, 2}) == 0:
            outcome.judge(case, "little memory from the start", 1, load.usage(), database=f"{n}.db", fold=any_class)
            continue
        n_refused += 1
        assert "memory" in run.said().lower(), f"{megabytes} MiB: {run.said()}"
    assert 0 < n_refused < 5, n_refused


def test_a_flood_within_the_configured_limits_reaches_no_cap(case):
    load = make_flood(case, suite.options().choose(40_000, 1_000_000))
    with contextlib.ExitStack() as stack:
        group = enter_group(case, stack, CAPPED_BYTES)
        run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=LIMITS,
                          prefix=["sh", "-c", f'echo $$ >{group.path}/cgroup.procs; exec "$@"', "sh"])
        run.finish()
        n_hits = group.n_hits()
        outcome.judge(case, "flood within the configured limits, memory capped", 1, load.usage(), fold=any_class)
        assert n_hits == 0 and "started again" not in run.said(), f"{n_hits} hits: {run.said()}"


def make_flood(case, n_packets):
    load = Load(1, packets=list(flood.tuples(suite.options().random("memory"), n_packets)))
    load.write(case.directory / "in.pcap")
    return load


def enter_group(case, stack, limit_bytes):
    try:
        return stack.enter_context(memory.group(limit_bytes))
    except memory.Unavailable as error:
        case.skip(str(error))


def relieve_later(run, name, pid):
    """A process that lives with it may wait for memory for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while run.is_running() and run.processes().get(name) == pid and time.monotonic() < deadline:
        time.sleep(0.02)
    memory.lift(pid)
