"""A run that is ended in its midst: what it committed is whole and no more than came; the next run adds to it exactly."""

import shutil
import sqlite3
import time

from faults import crew, outcome, room, suite, wire, wrapped
from faults.load import SLOT_NS, Load, add, any_slot
from support import network, traffic
from support.case import each, reap

KILLED = -9
TAIL_SLOTS = 3
STEADY = ("tracker.commit_volume=256KiB", "exporter.commit_interval=20ms", "tracker.shards=2", f"run_directory={outcome.RUN_DIRECTORY}")
ALONE = (f"run_directory={outcome.RUN_DIRECTORY}",)


def test_a_killed_supervisor_takes_its_processes_along_and_the_next_run_goes_on(case):
    options = suite.options()
    random_ = options.random("supervisor")
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(40, 150))
    load.write(case.directory / "in.pcap")
    n_done, n_wanted = 0, options.choose(1, 10)
    for n in range(10 * n_wanted):
        database = f"{n}.db"
        run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=(*STEADY, f"database={database}"))
        outcome.wait_for_usage(case, database)
        time.sleep(random_.uniform(0, 0.3))
        is_hit = run.kill("wanmeter")
        if run.finish({0, KILLED}) == KILLED and is_hit:
            after = go_on(case, "kill -9 of the supervisor", load, database)
            assert_nothing_is_missing_before_the_last(after, load)
            n_done += 1
        if n_done == n_wanted:
            return
    raise AssertionError("every run was over too early")


@each(["replay", "live"])
def test_a_run_that_was_ended_before_its_first_commit_is_told_of_by_the_next(case, kind):
    """As when the machine fails: its rings are gone too. Nobody knows what it had captured, and the bill says so."""
    load = Load(suite.options().seed, n_packets=1_000)
    load.write(case.directory / "in.pcap")
    if kind == "live":
        wire.lay(case)
    run = begin(case, kind, is_awaited=False, program=wrapped.programs(case, "tracker", before="kill -STOP $$"))
    wait_for_row(case, run)
    run.kill("wanmeter")
    run.finish({KILLED})
    wait_until_gone()
    assert case.query("SELECT count(*), count(finished_ns) FROM run") == [(1, 0)]
    assert case.query("SELECT count(*) FROM stream") == [(0,)]
    shutil.rmtree(case.directory / outcome.RUN_DIRECTORY)
    run = begin(case, kind)
    if kind == "live":
        network.send("mirror1", (packet.frame for packet in load.packets))
        run.stop({0, 3})
    else:
        run.finish({0, 3})
    assert case.query("SELECT stage, reason, packets, l2_bytes, l3_bytes, certainty, run_id FROM loss") == \
        [("capture", "not_ended", None, None, None, "unknown", 1)]
    outcome.judge(case, f"run ended before its first commit, {kind}", 1, load.usage(), verdicts=("bounded",),
                  fold=any_slot if kind == "live" else None)


def begin(case, kind, is_awaited=True, **how):
    if kind == "live":
        return crew.live(case, config=traffic.CONFIG, sets=ALONE, is_awaited=is_awaited, **how)
    return crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=ALONE, **how)


def wait_for_row(case, run):
    deadline = time.monotonic() + crew.WAIT_S
    while True:
        try:
            if case.query("SELECT count(*) FROM run") == [(1,)]:
                return
        except (AssertionError, sqlite3.OperationalError):
            pass    # not made yet
        assert run.is_running() and time.monotonic() < deadline, run.said()[-2000:]
        time.sleep(0.01)


def wait_until_gone():
    deadline = time.monotonic() + crew.WAIT_S
    while crew.descendants():
        assert time.monotonic() < deadline, f"orphans: {crew.descendants()}"
        reap()
        time.sleep(0.01)


def test_a_database_without_room_is_waited_for(case):
    """And the spool beside it has none either: the senders keep what they have."""
    options = suite.options()
    room.enter(case)
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(20, 100))
    load.write(case.directory / "in.pcap")
    with room.small(case.directory / "db", 64 << 20) as folder:
        filler = room.fill(folder, leave=2 << 20)
        run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=(*STEADY, "database=db/full.db"))
        run.wait_until_said("records are kept by their senders")
        time.sleep(3)       # longer than a sender waits for an answer
        said = run.said()   # a checkpoint may make room for a moment
        n_ended, n_begun = said.count("takes records again"), said.count("until it goes again")
        assert n_begun == n_ended + 1 and said.count("warning") == 2 * n_begun + n_ended, \
            f"said once, not at every try: {said}"
        filler.unlink()
        run.finish()
        outcome.judge(case, "disk of the database is full", 1, load.usage(), database="db/full.db")


def go_on(case, fault, load, database):
    """What is there is checked; then the same capture again, as new traffic, is added to it to the byte. So is what the
    rings of the run before still have of the first time; what that had not read is not captured, and no loss."""
    wait_until_gone()
    truth = load.usage()
    assert case.query("PRAGMA integrity_check", database=database) == [("ok",)]
    before = outcome.read_usage(case, database)
    outcome.subtract(truth, before)
    assert outcome.audit(case, database) != "mismatch"
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, options=["--force"], sets=(*STEADY, f"database={database}"))
    run.finish({0, 3})
    for key, amounts in before.items():
        add(truth, key, amounts)
    after = outcome.read_usage(case, database)
    outcome.subtract(after, truth)      # not less than that
    twice = load.usage()
    for key, amounts in load.usage().items():
        add(twice, key, amounts)
    outcome.subtract(twice, after)      # nor more than came
    outcome.judge(case, fault, 1, after, database=database, verdicts=("exact", "bounded"))
    return after


def assert_nothing_is_missing_before_the_last(after, load):
    """Two runs over one capture: where the killed one had been past, each row is twice what the generator made. Of its last
    slots some batches had not left their worker."""
    once = load.usage()
    reached = max(key[0] for key, amounts in after.items() if amounts[0] > once[key][0])
    early = {key: amounts for key, amounts in once.items() if key[0] < reached - TAIL_SLOTS * SLOT_NS}
    assert early, "killed too early"
    wrong = {key: after.get(key) for key, amounts in early.items() if after.get(key) != tuple(2 * n for n in amounts)}
    assert not wrong, list(wrong.items())[:3]
