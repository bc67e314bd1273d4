"""kill -9 at random moments under load: the usage rows of a replay are exact, those of a live run lack what is declared."""

import time

from faults import crew, outcome, suite, wire
from faults.load import Load, any_slot
from support import traffic
from support.case import each

N_SHARDS, N_WORKERS = 2, 2
ROLES = ("exporter", "tracker", "capture")
ALL = ("exporter", *(f"tracker-{n}" for n in range(N_SHARDS)), *(f"capture-{n}" for n in range(N_WORKERS)))
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
    packets = Load(options.seed, n_packets=20_000).packets
    done, n_run = 0, 0
    while done < share(options):
        database, wanted = f"{n_run}.db", min(KILLS_A_RUN, share(options) - done)
        run = crew.live(case, config=traffic.CONFIG, workers=N_WORKERS, sets=(*BUSY, f"database={database}"),
                        is_dedicated=n_run % 2 == 0)
        with wire.Sender(packets, RATE) as sender:
            n_kills = kill_some(run, random_, role, wanted, 0.3)
            run.wait_for(*ALL)      # what was killed last is there again
        run.stop({0, 3})
        assert n_kills == wanted
        outcome.judge(case, f"kill -9 {role}, live", n_kills, sender.usage(), verdicts=("exact", "bounded"),
                      fold=any_slot, database=database)
        remove(case, database)
        done, n_run = done + n_kills, n_run + 1


def share(options):
    """Of all kills: each case has the same number."""
    return max(1, options.kills // (2 * (len(ROLES) + 1)))


def kill_some(run, random_, role, n_kills, gap_s):
    """Kills up to 'n_kills' processes at random moments, 'gap_s' apart on average; returns how many were hit."""
    done = 0
    while done < n_kills and run.is_running():
        if run.wait_for(*ALL) is None:
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
