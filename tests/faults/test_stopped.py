"""A process that stands still for some seconds: those around it wait, say hello again, and nothing is lost."""

import signal
import time

from faults import crew, outcome, suite
from faults.load import Load
from support import traffic
from support.case import each

STOPPED_S = 3       # longer than the two seconds after which a sender says hello again
STEADY = ("capture.batch_packets=512", "exporter.commit_interval=20ms", "tracker.commit_volume=256KiB")


@each(suite.options().choose(("exporter", "capture-0"), ("exporter", "tracker-1", "capture-0", "wanmeter")))
def test_a_process_that_stands_still_under_load_costs_nothing(case, victim):
    options = suite.options()
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(40, 150))
    names = load.write_parts(case.directory, 2)
    truth = load.usage()
    run = crew.replay(case, *names, config=traffic.CONFIG, sets=("tracker.shards=2", "capture.workers=2", *STEADY))
    n_stops = 0
    for _ in range(options.choose(1, 3)):
        if run.wait_for(victim) is None or not run.send(victim, signal.SIGSTOP):
            break
        time.sleep(STOPPED_S)
        run.send(victim, signal.SIGCONT)
        n_stops += 1
    run.finish()
    assert n_stops > 0
    outcome.judge(case, f"SIGSTOP {victim}, {STOPPED_S} s", n_stops, truth)
