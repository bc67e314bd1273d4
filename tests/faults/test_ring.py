"""A worker is killed with batches in its ring, and the ring is damaged before its successor opens it; or its tracker is, whose
successor takes the batches from the ring again."""

import signal
import time

from faults import crew, outcome, suite, wire
from faults.load import Load, any_slot
from faults.test_ended import go_on
from support import traffic
from support.case import each

KINDS = ("torn", "emptied", "header")
STEADY = ("capture.batch_packets=512", "tracker.commit_volume=256KiB", "exporter.commit_interval=20ms",
          f"run_directory={outcome.RUN_DIRECTORY}")
RATE = 20_000
HEADER_SIZE = 4096


@each(suite.options().choose(("emptied", "flipped"), ("torn", "emptied", "flipped", "header")))
def test_a_damaged_ring_of_a_replay_is_declared_or_ends_it(case, kind):
    """Without a whole header nobody knows what of the files is counted: the run fails, and what is committed stays.
    With it, damaged batches are told of to the byte, the newest too, which the tracker may have."""
    options = suite.options()
    random_ = options.random("ring", "replay", kind)
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(30, 60))
    load.write(case.directory / "in.pcap")
    for n in range(options.choose(1, 10)):
        database = f"{n}.db"
        run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=STEADY, options=["--database", database])
        outcome.wait_for_usage(case, database)
        hurt(case, run, kind, random_)
        if run.finish({0, 3} if kind == "flipped" else {0, 1, 3}) == 1:
            go_on(case, f"ring {kind}, replay", load, database)
        else:
            outcome.judge(case, f"ring {kind}, replay", 1, load.usage(), database=database,
                          verdicts=("exact",) if kind == "flipped" else ("exact", "bounded"))


@each(suite.options().choose(KINDS[:1], (*KINDS, "flipped")))
def test_a_damaged_ring_of_a_live_run_is_declared(case, kind):
    options = suite.options()
    random_ = options.random("ring", "live", kind)
    wire.lay(case)
    packets = Load(options.seed, n_packets=20_000).packets
    for n in range(options.choose(1, 10)):
        database = f"{n}.db"
        run = crew.live(case, config=traffic.CONFIG, sets=(*STEADY, f"database={database}"), is_dedicated=n % 2 == 0)
        with wire.Sender(packets, RATE) as sender:
            time.sleep(random_.uniform(0.1, 0.3))
            hurt(case, run, kind, random_)
            run.wait_for("capture-0")
            time.sleep(0.5)
        run.stop({0, 3})
        outcome.judge(case, f"ring {kind}, live", 1, sender.usage(), database=database, fold=any_slot,
                      verdicts=("exact", "bounded"))
        if kind == "flipped":
            lines = case.query("SELECT certainty FROM loss WHERE reason = 'ring_damaged'", database=database)
            assert {certainty for (certainty,) in lines} <= {"exact"}, lines


@each(("flipped", "removed", "replaced"))
def test_a_tracker_that_cannot_take_batches_from_the_ring_again_has_them_all_or_their_loss(case, kind):
    """Its worker sends what it cannot take; what is damaged in the ring is not sent but told of, to the byte."""
    options = suite.options()
    random_ = options.random("ring", "tracker", kind)
    load = Load(options.seed, n_packets=10_000, repeats=30)
    load.write(case.directory / "in.pcap")
    for n in range(options.choose(1, 10)):
        database = f"{n}.db"
        run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=STEADY, options=["--database", database])
        outcome.wait_for_usage(case, database)
        hurt(case, run, kind, random_, victim="tracker-0")
        run.finish({0, 3} if kind == "flipped" else {0})
        outcome.judge(case, f"ring {kind}, tracker killed", 1, load.usage(), database=database)
        said = run.said()
        assert "they go by the socket" in said or kind == "flipped", said


def hurt(case, run, kind, random_, victim="capture-0"):
    """The exporter stands still, so that nothing is committed and the ring fills; then a process is killed."""
    run.send("exporter", signal.SIGSTOP)
    time.sleep(0.2)
    run.send("wanmeter", signal.SIGSTOP)
    assert run.kill(victim)
    rings = sorted((case.directory / outcome.RUN_DIRECTORY).glob("ring-*"))
    assert rings, "no ring"
    damage(random_.choice(rings), kind, random_)
    run.send("wanmeter", signal.SIGCONT)
    run.send("exporter", signal.SIGCONT)


def damage(path, kind, random_):
    size = path.stat().st_size
    if kind == "replaced":
        path.with_suffix(".other").write_bytes(random_.randbytes(size))
        path.with_suffix(".other").rename(path)
        return
    if kind == "removed":
        path.unlink()
        return
    with open(path, "r+b") as ring:
        if kind == "torn":
            ring.truncate(random_.randrange(size))
        elif kind == "emptied":
            ring.truncate(0)
        elif kind == "header":
            ring.write(random_.randbytes(256))
        else:
            for _ in range(64):     # most of a ring is empty; without a header nothing is known
                at = random_.randrange(HEADER_SIZE, min(size, 1 << 20))
                ring.seek(at)
                old = ring.read(1)[0]
                ring.seek(at)
                ring.write(bytes([old ^ 1 << random_.randrange(8)]))
