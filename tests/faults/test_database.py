"""Others at the database: a reader that does not let go, a writer that has the lock."""

import sqlite3
import time

from faults import crew, outcome, suite
from faults.load import Load
from support import traffic

CHECKPOINT_BYTES = 256 << 10
STEADY = ("tracker.commit_volume=256KiB", "exporter.commit_interval=20ms", f"exporter.checkpoint={CHECKPOINT_BYTES >> 10}KiB")


def connect(case):
    """With a table to read: the exporter has made the database."""
    deadline = time.monotonic() + crew.WAIT_S
    while True:
        try:
            connection = sqlite3.connect(f"file:{case.directory}/wanmeter.db?mode=rw", uri=True, isolation_level=None,
                                         timeout=0)
            connection.execute("SELECT count(*) FROM usage_slot").fetchone()
            return connection
        except sqlite3.OperationalError:
            assert time.monotonic() < deadline, "no database"
            time.sleep(0.01)


def test_a_reader_that_keeps_its_snapshot_costs_nothing_but_room(case):
    options = suite.options()
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(20, 150))
    load.write(case.directory / "in.pcap")
    truth = load.usage()
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=STEADY)
    reader = connect(case)
    reader.execute("BEGIN")
    before = reader.execute("SELECT count(*), sum(packets) FROM usage_slot").fetchone()
    run.finish()
    wal_bytes = (case.directory / "wanmeter.db-wal").stat().st_size
    assert reader.execute("SELECT count(*), sum(packets) FROM usage_slot").fetchone() == before
    assert wal_bytes > CHECKPOINT_BYTES, "the reader was in nobody's way"
    reader.close()
    outcome.judge(case, "reader holds a snapshot", 1, truth)
    case.wanmeter("seal")
    wal = case.directory / "wanmeter.db-wal"
    assert not wal.exists() or wal.stat().st_size == 0, "once the reader has gone, the next writer folds it in"
