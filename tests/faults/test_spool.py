"""A spool that is cut or changed while nobody has it: what it loses is declared (test_storage.py has what it is for)."""

import contextlib
import signal
import sqlite3
import time
from pathlib import Path

from faults import crew, outcome, suite, wrapped
from faults.load import Load
from faults.test_ended import wait_for_row
from integration.test_roles import N_PACKETS, JointRun
from support import traffic
from support.case import each

STEADY = ("tracker.commit_volume=256KiB", "exporter.commit_interval=20ms")
SPOOLED_BYTES = 20_000


@each(["torn", "flipped"])
def test_a_damaged_spool_is_declared(case, kind):
    """The exporter is killed while records wait in its spool, and some of these are cut off or changed."""
    options = suite.options()
    random_ = options.random("spool", kind)
    for n in range(options.choose(1, 20)):
        database = f"{n}.db"
        load, run = start(case, database)
        with held(case, run, database):
            spool = wait_for_spool(case, run, database)
            run.send("wanmeter", signal.SIGSTOP)        # or it would be restarted before it is hurt
            assert run.kill("exporter")
            damage(spool, kind, random_)
        run.send("wanmeter", signal.SIGCONT)
        run.finish({0, 3})
        outcome.judge(case, f"spool {kind}", 1, load.usage(), database=database, verdicts=("exact", "bounded"))


@each(["torn", "flipped", "gone"])
def test_a_last_batch_that_went_with_the_spool_is_declared_and_the_run_ends(case, kind):
    """All trackers have said goodbye, since the spool had all that they sent: nobody sends the ends of their streams again."""
    random_ = suite.options().random("last batch", kind)
    load, run = start(case, sets=("tracker.shards=2",))
    with held(case, run, "wanmeter.db"):
        spool = wait_for_spool(case, run, "wanmeter.db")
        wait_until_only_the_exporter_is_left(run)
        run.send("wanmeter", signal.SIGSTOP)
        assert run.kill("exporter")
        if kind == "gone":
            spool.unlink()
        else:
            damage(spool, kind, random_)
    run.send("wanmeter", signal.SIGCONT)
    run.finish({3}, timeout=60)
    assert ("capture", "not_ended", "unknown") in case.query("SELECT DISTINCT stage, reason, certainty FROM loss")
    assert case.query("SELECT count(*) FROM run WHERE finished_ns IS NULL") == [(0,)]
    outcome.judge(case, f"last batches in a spool, {kind}", 1, load.usage(), verdicts=("bounded",))


def test_the_exporters_own_supervisor_hears_that_all_trackers_have_ended(case):
    """`wanmeter run --role`: the trackers' supervisor has left when the exporter's successor misses their last batches."""
    run = JointRun(case, "--set", "tracker.shards=2", "--set", "exporter.commit_interval=20ms")
    run.start_all()
    run.send(1)
    run.wait_until_billed(N_PACKETS)
    exporter = run.parts["exporter"]
    with held(case, exporter):
        run.send(2)
        run.wait_until_captured()
        run.end("capture", signal.SIGTERM)
        run.end("tracker", signal.SIGTERM)
        exporter.send("wanmeter", signal.SIGSTOP)
        assert exporter.kill("exporter")
        (case.directory / "wanmeter.db-spool").unlink()
    exporter.send("wanmeter", signal.SIGCONT)
    run.finish("exporter", {0, 3})
    assert ("capture", "not_ended", "unknown") in case.query("SELECT DISTINCT stage, reason, certainty FROM loss")
    assert case.query("SELECT count(*), count(finished_ns) FROM run") == [(1, 1)]
    run.judge("bounded")


def test_trackers_that_died_before_their_goodbye_do_not_wait_for_workers_that_have_gone(case):
    """The worker's last batches were acknowledged out of the spool: its trackers' successors will not see them again. (Or some
    of them, or none, as far as the acknowledgements had come: then it sends them again.)"""
    load = Load(suite.options().seed, n_packets=10_000)
    load.write(case.directory / "in.pcap")
    program = wrapped.programs(case, "capture", before="while [ ! -e go ]; do sleep 0.05; done")
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=(*STEADY, "tracker.shards=2"), program=program)
    wait_for_row(case, run)
    wait_until_idle(run)                                # the trackers have been welcomed
    with held(case, run):
        run.send("exporter", signal.SIGSTOP)
        (case.directory / "go").touch()
        run.wait_for("capture-0")
        wait_until_idle(run)
        run.send("capture-0", signal.SIGSTOP)           # its goodbye is waited for
        run.send("exporter", signal.SIGCONT)
        wait_until_idle(run)
        run.send("wanmeter", signal.SIGSTOP)
        for name in ("tracker-0", "tracker-1", "exporter"):
            run.kill(name)
        (case.directory / "wanmeter.db-spool").unlink(missing_ok=True)
        run.send("capture-0", signal.SIGCONT)
        wait_until_idle(run)
    run.send("wanmeter", signal.SIGCONT)
    run.finish({0, 3}, timeout=60)
    outcome.judge(case, "spool gone, trackers killed before their goodbye", 1, load.usage(), verdicts=("exact", "bounded"))


def wait_until_idle(run, seconds=0.5):
    """None of the run's processes has taken time for so long."""
    since, before = time.monotonic(), None
    while time.monotonic() < since + seconds:
        now = {pid: cpu_ticks(pid) for pid in run.processes().values()}
        if now != before:
            since, before = time.monotonic(), now
        time.sleep(0.02)


def cpu_ticks(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[11]) + int(fields[12])


def wait_until_only_the_exporter_is_left(run):
    deadline = time.monotonic() + crew.WAIT_S
    while set(run.processes()) != {"wanmeter", "exporter"}:
        assert run.is_running() and time.monotonic() < deadline, f"others go on: {run.processes()} {run.said()}"
        time.sleep(0.01)


def start(case, database="wanmeter.db", sets=()):
    options = suite.options()
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(30, 100))
    load.write(case.directory / "in.pcap")
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=(*STEADY, *sets), options=["--database", database])
    outcome.wait_for_usage(case, database)
    return load, run


@contextlib.contextmanager
def held(case, run, database="wanmeter.db"):
    """The database's write lock, by somebody else."""
    writer = sqlite3.connect(f"file:{case.directory}/{database}?mode=rw", uri=True, isolation_level=None, timeout=0)
    deadline = time.monotonic() + crew.WAIT_S
    while True:
        try:
            writer.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError:
            assert time.monotonic() < deadline and run.is_running(), "never got the lock"
    try:
        yield
    finally:
        writer.execute("ROLLBACK")
        writer.close()


def wait_for_spool(case, run, database):
    path = case.directory / (database + "-spool")
    deadline = time.monotonic() + crew.WAIT_S
    while not path.exists() or path.stat().st_size < SPOOLED_BYTES:
        assert run.is_running() and time.monotonic() < deadline, f"nothing is spooled: {run.said()}"
        time.sleep(0.01)
    return path


def damage(path, kind, random_):
    content = bytearray(path.read_bytes())
    place = random_.randrange(16, len(content))
    if kind == "torn":
        del content[place:]
    else:
        content[place] ^= 1 << random_.randrange(8)
    with open(path, "r+b") as out:
        out.write(content)
        out.truncate(len(content))
