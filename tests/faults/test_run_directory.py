"""A run directory on a disk that is full: where sockets, rings, pages and the roster are made and grow."""

import errno
import os
import time

from faults import crew, outcome, room, suite, wire
from faults.load import Load, any_slot
from faults.test_storage import lock
from support import traffic
from support.case import each

NO_ROOM = os.strerror(errno.ENOSPC)
KIB, MIB = 1 << 10, 1 << 20
DISK_BYTES = 32 * MIB
# Too little for the run's own files; for pages of processes; for rings; enough.
LEFT = (0, 8 * KIB, 16 * KIB, 24 * KIB, 2 * MIB, 16 * MIB)
LEFT_LONG = (*LEFT, *range(4 * KIB, 60 * KIB, 4 * KIB), 64 * KIB, 256 * KIB, MIB, 3 * MIB, 4 * MIB, 8 * MIB)
INODES = (3, 6, 9, 12, 64)
INODES_LONG = range(2, 24)
DIRECTORY = "disk/run"
STEADY = (f"run_directory={DIRECTORY}", "tracker.shards=2", "tracker.commit_volume=256KiB",
          "exporter.commit_interval=20ms", "exporter.spool_bytes=0B")
RATE = 60_000       # packets a second, live


def test_a_run_that_finds_no_room_for_its_files_says_so_and_leaves_nothing(case):
    load = make_load(case)
    n_refused = 0
    for n, left in enumerate(suite.options().choose(LEFT, LEFT_LONG)):
        with room.small(case.directory / "disk", DISK_BYTES) as folder:
            room.fill(folder, leave=left)
            n_refused += replay_or_refuse(case, load, f"{n}.db", f"{left} bytes")
        (case.directory / "disk").rmdir()
    assert n_refused > 3, "there was room"


def test_a_run_that_can_make_no_more_files_says_so_and_leaves_nothing(case):
    load = make_load(case)
    n_refused = 0
    for n, inodes in enumerate(suite.options().choose(INODES, INODES_LONG)):
        with room.small(case.directory / "disk", DISK_BYTES, inodes):
            n_refused += replay_or_refuse(case, load, f"{n}.db", f"{inodes} inodes")
        (case.directory / "disk").rmdir()
    assert n_refused > 2, "there was room"


@each(suite.options().choose(("exporter", "capture-0"), ("nobody", "exporter", "tracker-0", "capture-0")))
def test_rings_that_cannot_grow_hold_a_replay_back(case, victim):
    """Whoever is killed meanwhile is started again beside what is there."""
    options = suite.options()
    load = make_load(case, n_packets=10_000, repeats=options.choose(15, 60))
    with room.small(case.directory / "disk", DISK_BYTES) as folder:
        run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=STEADY)
        writer = lock(case)
        filler = room.fill(folder, leave=0)
        run.wait_until_said("records are kept by their senders")
        time.sleep(0.5)
        if victim != "nobody":
            assert run.kill(victim)
            run.wait_until_said(f"{victim}: started again")
            time.sleep(0.5)
        writer.rollback()
        time.sleep(0.5)
        filler.unlink()
        run.finish()
        outcome.judge(case, f"disk of the run directory is full, kill -9 {victim}", 1, load.usage())
        assert list((folder / "run").rglob("*")) == []


@each(suite.options().choose(("capture-0",), ("nobody", "capture-0")))
def test_batches_that_find_no_room_in_a_ring_live_are_kept_in_memory(case, victim):
    """As many as before. Those of a worker that is killed then are loss lines, to the byte."""
    options = suite.options()
    wire.lay(case)
    room.enter(case)
    packets = Load(options.seed, n_packets=20_000).packets
    with room.small(case.directory / "disk", DISK_BYTES) as folder:
        run = crew.live(case, config=traffic.CONFIG, sets=STEADY, is_dedicated=True)
        filler = room.fill(folder, leave=0)
        with wire.Sender(packets, RATE) as sender:
            writer = lock(case)
            most = sender.n_sent + options.choose(100_000, 300_000)    # more than the rings have room for
            wait_for(lambda: sender.n_sent > most, run)
            if victim != "nobody":
                assert run.kill(victim)
                run.wait_until_said(f"{victim}: started again")
            writer.rollback()
            filler.unlink()
            run.wait_for(victim if victim != "nobody" else "exporter")
            time.sleep(0.5)
        run.stop({0, 3})
        row = outcome.judge(case, f"disk of the run directory is full, live, kill -9 {victim}", 1, sender.usage(),
                            fold=any_slot, verdicts=("exact", "bounded"))
        assert (row.lines > 0) == (victim != "nobody"), row


def make_load(case, n_packets=1_000, repeats=1):
    room.enter(case)
    load = Load(suite.options().seed, n_packets=n_packets, repeats=repeats)
    load.write(case.directory / "in.pcap")
    return load


def replay_or_refuse(case, load, database, what):
    """True: it was refused. Else the bill is exact."""
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=(*STEADY, f"database={database}"))
    if run.finish({0, 1}) == 0:
        outcome.judge(case, "run directory with little room", 1, load.usage(), database=database)
        return False
    assert NO_ROOM in run.said() and "killed by" not in run.said(), f"{what}: {run.said()}"
    left = [path.name for path in (case.directory / "disk").rglob("*") if path.name != "filler"]
    assert not left, f"{what}: {left}"
    return True


def wait_for(condition, run):
    deadline = time.monotonic() + crew.WAIT_S
    while not condition():
        assert run.is_running() and time.monotonic() < deadline, run.said()[-3000:]
        time.sleep(0.005)
