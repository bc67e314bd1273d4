"""The supervisors of a run's parts (`wanmeter run --role`), killed or asked to end at random moments under load, and started
again as systemd would: what lacks is declared."""

import signal
import time

from faults import outcome, suite, wire
from faults.load import Load, any_slot
from integration.test_roles import SOURCE, JointRun
from support import traffic
from support.case import each

ROLES = ("exporter", "tracker", "capture")
N_SHARDS, N_WORKERS = 2, 2
OPTIONS = ("--set", f"tracker.shards={N_SHARDS}", "--set", "capture.batch_packets=512", "--set", "tracker.commit_volume=256KiB",
           "--set", "exporter.commit_interval=20ms")
RATE = 10_000       # packets a second
GAP_S = 0.5


@each(suite.options().choose(("any",), (*ROLES, "any")))
def test_parts_killed_in_a_live_run_cost_what_is_declared(case, role):
    options = suite.options()
    random_ = options.random("part", role)
    packets = Load(options.seed, n_packets=20_000).packets
    config = traffic.CONFIG + SOURCE + f"    workers: {N_WORKERS}\n    dedicated: yes\n"
    run = JointRun(case, *OPTIONS, config=config, n_workers=N_WORKERS)
    run.start_all()
    count = options.choose(3, max(3, options.kills // 8))
    with wire.Sender(packets, RATE) as sender:
        for _ in range(count):
            time.sleep(random_.uniform(0, 2 * GAP_S))
            # The end of the capture part, where it is asked for, is the end of the run.
            chosen = random_.choice(ROLES) if role == "any" else role
            number = signal.SIGKILL if chosen == "capture" else random_.choice([signal.SIGKILL, signal.SIGTERM])
            run.end(chosen, number)
            run.start(chosen)
            run.parts[chosen].wait_for(*processes(chosen))
        run.wait_until_capturing()
    run.stop_in_order(exporter_statuses={0, 3})
    outcome.judge(case, f"kill -9 or SIGTERM of the supervisor of {role}", count, sender.usage(),
                  verdicts=("exact", "bounded"), fold=any_slot)


def processes(role):
    count = {"exporter": 0, "tracker": N_SHARDS, "capture": N_WORKERS}[role]
    return [f"{role}-{number}" for number in range(count)] or [role]
