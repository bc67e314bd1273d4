"""Storage that misbehaves: a lock for long, a full disk, a spool that is killed, cut and found again."""

import os
import signal
import sqlite3
import time

from faults import crew, outcome, room, suite
from faults.load import Load
from faults.test_database import connect
from support import traffic

STEADY = ("tracker.commit_volume=256KiB", "exporter.commit_interval=20ms", "tracker.shards=2")
FLOWS = "SELECT id, first_ns, last_ns, orig_packets, orig_l3_bytes, reply_packets, reply_l3_bytes, end_reason, record, seal " \
        "FROM flow ORDER BY 1, 2, 3"
SEALS = "SELECT seal, hash FROM seal ORDER BY seal"


def make_load(case, short=12, long=100):
    options = suite.options()
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(short, long))
    load.write(case.directory / "in.pcap")
    return load, load.usage()


def rows(case, sql, database):
    connection = sqlite3.connect(f"file:{case.directory / database}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def assert_same_as_undisturbed(case, database="wanmeter.db"):
    """Rows, seals and their chain, as a run of its own gives them."""
    crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=(*STEADY, "database=alone.db")).finish()
    assert rows(case, FLOWS, database) == rows(case, FLOWS, "alone.db")
    assert rows(case, SEALS, database) == rows(case, SEALS, "alone.db") != []


def lock(case, database="wanmeter.db"):
    """A foreign writer, once the run is under way."""
    writer = connect(case)
    deadline = time.monotonic() + crew.WAIT_S
    while True:
        try:
            if writer.execute("SELECT count(*) FROM usage_slot").fetchone()[0] > 0:
                writer.execute("BEGIN IMMEDIATE")
                return writer
        except sqlite3.OperationalError:
            pass
        assert time.monotonic() < deadline, "no row"
        time.sleep(0.002)


def test_a_foreign_lock_is_waited_out_in_the_spool(case):
    load, truth = make_load(case)
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=STEADY)
    writer = lock(case)
    run.wait_until_said("records are kept in")
    spool = case.directory / "wanmeter.db-spool"
    wait_for(lambda: spool.exists() and spool.stat().st_size > 100_000, run)
    assert spool.stat().st_mode & 0o777 == 0o600
    writer.rollback()
    run.finish()
    assert "takes records again" in run.said()
    assert not spool.exists()
    outcome.judge(case, "foreign lock", 1, truth)
    assert_same_as_undisturbed(case)


def test_a_lock_with_no_spool_holds_the_senders_back(case):
    load, truth = make_load(case)
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=(*STEADY, "exporter.spool_bytes=0B"))
    writer = lock(case)
    run.wait_until_said("records are kept by their senders")
    time.sleep(3)       # longer than a sender waits for an answer
    writer.rollback()
    run.finish()
    assert not (case.directory / "wanmeter.db-spool").exists()
    outcome.judge(case, "foreign lock, no spool", 1, truth)


def test_a_spool_that_is_full_holds_the_senders_back(case):
    load, truth = make_load(case)
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=(*STEADY, "exporter.spool_bytes=200KiB"))
    writer = lock(case)
    run.wait_until_said("exporter.spool_bytes are full")
    assert (case.directory / "wanmeter.db-spool").stat().st_size <= 200 << 10
    writer.rollback()
    run.finish()
    outcome.judge(case, "foreign lock, spool full", 1, truth)
    assert_same_as_undisturbed(case)


def test_a_full_disk_is_waited_out_in_a_spool_on_another(case):
    room.enter(case)
    load, truth = make_load(case)
    (case.directory / "other").mkdir()
    with room.small(case.directory / "db", 24 << 20) as folder:
        filler = room.fill(folder, leave=2 << 20)
        run = crew.replay(case, "in.pcap", config=traffic.CONFIG,
                          sets=(*STEADY, "database=db/wanmeter.db", f"exporter.spool_directory={case.directory}/other"))
        run.wait_until_said("records are kept in")
        wait_for(lambda: (case.directory / "other" / "wanmeter.db-spool").exists(), run)
        filler.unlink()
        run.finish()
        outcome.judge(case, "disk full, spool elsewhere", 1, truth, database="db/wanmeter.db")
        assert_same_as_undisturbed(case, "db/wanmeter.db")


def test_a_killed_exporter_leaves_a_spool_that_the_next_one_replays(case):
    """Killed while it spools, and again while it replays: each batch is there once."""
    options = suite.options()
    load, truth = make_load(case, short=20)
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=STEADY)
    writer = lock(case)
    spool = case.directory / "wanmeter.db-spool"
    wait_for(lambda: spool.exists() and spool.stat().st_size > 1_000_000, run)
    run.kill("exporter")
    writer.rollback()
    n_kills, chance = 1, options.random("spool")
    for _ in range(options.choose(3, 12)):
        time.sleep(chance.uniform(0.0, 0.2))
        n_kills += run.kill("exporter")
    run.finish()
    assert "batches of it are in the database now" in run.said()
    outcome.judge(case, "killed with a spool", n_kills + 1, truth)


def test_a_run_that_ended_with_a_spool_is_completed_by_the_next(case):
    load, truth = make_load(case)
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=STEADY)
    writer = lock(case)
    spool = case.directory / "wanmeter.db-spool"
    wait_for(lambda: spool.exists() and spool.stat().st_size > 100_000, run)
    run.send("wanmeter", signal.SIGTERM)
    run.wait_until_said("stopping:")
    run.send("wanmeter", signal.SIGTERM)
    run.finish(statuses={1})
    writer.close()
    before = spool.stat().st_size
    assert before > 0
    # The next run is of another configuration; the spool is of its own.
    more = Load(99, n_packets=100).write(case.directory / "more.pcap")
    case.wanmeter("replay", "--set", "zone=3", more)
    assert not spool.exists()
    losses = case.query("SELECT stage, reason, certainty FROM loss")
    assert case.query("SELECT verdict FROM audit") == [("bounded" if losses else "exact",)], losses
    assert set(losses) <= {("capture", "not_ended", "unknown")}, losses
    assert case.query("SELECT DISTINCT zone FROM flow") == [(0,), (3,)]
    counted = outcome.read_usage(case, "wanmeter.db")
    assert all(sums <= truth[key] for key, sums in counted.items() if key in truth and key[1] != "none")


def test_records_that_a_cut_spool_had_are_declared_to_the_byte(case):
    """They had been acknowledged: nobody has them any more. The next batch tells how much is missing."""
    load, _ = make_load(case, short=30)
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=(*STEADY, "exporter.spool_bytes=700KiB"))
    writer = lock(case)
    spool = case.directory / "wanmeter.db-spool"
    run.wait_until_said("exporter.spool_bytes are full")    # senders have more: there will be a next batch
    time.sleep(0.5)     # it syncs what it has then, and acknowledges it: what is cut is what its senders have forgotten
    run.send("exporter", signal.SIGSTOP)
    os.truncate(spool, spool.stat().st_size - 300_000)
    run.kill("exporter")
    writer.rollback()
    run.finish(statuses={0, 3})
    lines = case.query("SELECT reason, certainty, packets, l2_bytes FROM loss WHERE stage = 'exporter'")
    assert {line[:2] for line in lines} == {("spool_damaged", "unknown"), ("records_lost", "exact")}, lines
    counted = [sum(column) for column in zip(*outcome.read_usage(case, "wanmeter.db").values(), strict=True)]
    lost = [sum(line[n] for line in lines if line[1] == "exact") for n in (2, 3)]
    assert (counted[0] + lost[0], counted[1] + lost[1]) == (load.n_packets, load.l2_bytes) and lost[0] > 0
    assert case.query("SELECT verdict FROM audit") == [("bounded",)]


def wait_for(condition, run):
    deadline = time.monotonic() + crew.WAIT_S
    while not condition():
        assert run.is_running() and time.monotonic() < deadline, run.said()[-3000:]
        time.sleep(0.005)
