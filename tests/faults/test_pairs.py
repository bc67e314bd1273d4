"""Two faults at once, and one during the recovery from another."""

import contextlib
import itertools
import signal
import sqlite3
import time

from faults import crew, outcome, suite
from faults.load import Load
from support import traffic
from support.case import each

HELD_S = 1.0
STEADY = ("tracker.shards=2", "capture.workers=2", "tracker.commit_volume=256KiB", "exporter.commit_interval=20ms",
          "exporter.checkpoint=256KiB")
NAMES = ("exporter", "tracker-0", "tracker-1")


@contextlib.contextmanager
def killed(run, name):
    yield run.kill(name)


@contextlib.contextmanager
def stopped(run, name):
    pid = run.processes().get(name)
    is_hit = run.send(name, signal.SIGSTOP)
    yield is_hit
    if is_hit and run.processes().get(name) == pid:     # it may have been killed meanwhile
        run.send(name, signal.SIGCONT)


@contextlib.contextmanager
def held(run, begin):
    """The database, by somebody else."""
    database = sqlite3.connect(f"file:{run.case.directory}/wanmeter.db?mode=rw", uri=True, isolation_level=None, timeout=4)
    try:
        database.execute(begin)
        database.execute("SELECT count(*) FROM usage_slot").fetchone()
        is_held = True
    except sqlite3.OperationalError:    # an exporter that stands still has it
        is_held = False
    yield is_held
    if is_held:
        database.rollback()
    database.close()


FAULTS = {
    **{f"kill {name}": (killed, name) for name in NAMES},
    **{f"stop {name}": (stopped, name) for name in NAMES},
    "locked database": (held, "BEGIN IMMEDIATE"),
    "reader's snapshot": (held, "BEGIN"),
}
PAIRS = [f"{first} + {second}" for first, second in itertools.permutations(FAULTS, 2)
         if not {first, second} == {"locked database", "reader's snapshot"}]


def chosen():
    options = suite.options()
    pairs = list(PAIRS)
    options.random("pairs").shuffle(pairs)
    return pairs[:options.choose(1, len(pairs))]


@each(chosen())
def test_two_faults_at_once_cost_no_byte(case, pair):
    options = suite.options()
    random_ = options.random("pair", pair)
    load = Load(options.seed, n_packets=10_000, repeats=40)
    names = load.write_parts(case.directory, 2)
    truth = load.usage()
    run = crew.replay(case, *names, config=traffic.CONFIG, sets=STEADY)
    outcome.wait_for_usage(case, "wanmeter.db")
    first, second = ((make, what) for make, what in map(FAULTS.get, pair.split(" + ")))
    time.sleep(random_.uniform(0, 0.2))
    with first[0](run, first[1]) as is_first:
        time.sleep(random_.choice((0, 0, 0.1, 0.3)))       # at once, or while the first is being mended
        with second[0](run, second[1]) as is_second:
            time.sleep(random_.uniform(0, HELD_S))
    run.finish()
    outcome.judge(case, "two at once: " + pair.partition(" ")[0] + " + " + pair.partition(" + ")[2].partition(" ")[0],
                  is_first + is_second, truth)
