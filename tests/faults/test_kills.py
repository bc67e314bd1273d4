"""kill -9 at random moments under load: the usage rows of a replay are exact, those of a live run lack what is declared."""

import time

from faults import crew, outcome, suite, wire
from faults.load import Load, any_slot
from support import traffic
from support.case import each

N_SHARDS, N_WORKERS = 2, 2
ROLES = ("exporter", "tracker")
KILLS_A_RUN = 4
# Small batches and many commit points: there is something half done at any moment.
BUSY = (f"tracker.shards={N_SHARDS}", "capture.batch_packets=512", "tracker.commit_volume=256KiB",
        "exporter.commit_interval=20ms")
RATE = 20_000       # packets a second, live


@each(suite.options().choose(ROLES, (*ROLES, "any")))
def test_processes_killed_in_a_replay_cost_no_byte(case, role):
    options = suite.options()
    random_ = options.random("replay", role)
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(60, 200))
    names = load.write_parts(case.directory, N_WORKERS)
    truth, done, n_run = load.usage(), 0, 0
    while done < share(options):
        database = f"{n_run}.db"
        run = crew.replay(case, *names, config=traffic.CONFIG, sets=(*BUSY, f"capture.workers={N_WORKERS}"),
                          options=["--database", database])
        n_kills = kill_some(run, random_, role, min(KILLS_A_RUN, share(options) - done), 0.3)
        run.finish()
        if n_kills:
            outcome.judge(case, f"kill -9 {role}, replay", n_kills, truth, database=database)
        done, n_run = done + n_kills, n_run + 1
        assert n_run < 100, "no run could be hit"
        remove(case, database)


@each(suite.options().choose(("any",), (*ROLES, "any")))
def test_processes_killed_in_a_live_run_cost_what_is_declared(case, role):
    options = suite.options()
    random_ = options.random("live", role)
    wire.lay(case)
    load = Load(options.seed, n_packets=options.choose(40_000, 200_000))
    run = crew.live(case, config=traffic.CONFIG, workers=N_WORKERS, sets=BUSY)
    with wire.Sender(load.packets, RATE) as sender:
        n_kills = kill_some(run, random_, role, share(options), load.n_packets / RATE / (share(options) + 1))
        assert sender.is_sending(), "the last kill came too late"
    run.stop({0, 3})
    outcome.judge(case, f"kill -9 {role}, live", n_kills, load.usage(), verdicts=("exact", "bounded"),
                  fold=any_slot)


def share(options):
    """Of all kills: each case has the same number."""
    return max(1, options.kills // (2 * (len(ROLES) + 1)))


def kill_some(run, random_, role, n_kills, gap_s):
    """Kills up to 'n_kills' processes at random moments, 'gap_s' apart on average; returns how many were hit."""
    done = 0
    while done < n_kills and run.is_running():
        if run.wait_for(f"capture-{N_WORKERS - 1}", "exporter", f"tracker-{N_SHARDS - 1}") is None:
            break
        time.sleep(random_.uniform(0, 2 * gap_s))
        done += run.kill(victim(random_, role))
    return done


def victim(random_, role):
    role = random_.choice(ROLES) if role == "any" else role
    count = {"exporter": 0, "tracker": N_SHARDS, "capture": N_WORKERS}[role]
    return f"{role}-{random_.randrange(count)}" if count else role


def remove(case, database):
    for path in case.directory.glob(database + "*"):
        path.unlink()
