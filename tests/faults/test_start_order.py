"""The processes of a run, started by hand in any order: who receives binds, who sends waits."""

import itertools
import os
import pwd
import shutil
import subprocess
import time

from faults import outcome, suite
from faults.load import Load
from support import traffic

N_SHARDS = 2
END_S = 60


def test_processes_started_in_any_order_make_the_same_bill(case):
    options = suite.options()
    orders = list(itertools.permutations(["exporter", "tracker-0", "tracker-1", "capture-0"]))
    options.random("start order").shuffle(orders)
    load = Load(options.seed, n_packets=3000)
    load.write(case.directory / "in.pcap")
    orders = orders[:options.choose(3, len(orders))]
    for n, order in enumerate(orders):
        start_all(case, order, database=f"order{n}.db")
        row = outcome.check(case, load.usage(), database=f"order{n}.db")
    outcome.tell(row, "start order by hand", len(orders), times=len(orders))


def start_all(case, order, database):
    case.write("site.yaml", traffic.CONFIG)
    run_directory = case.directory / "run"
    run_directory.mkdir(exist_ok=True)
    if os.geteuid() == 0:       # the processes become another user (docs/security.md), whose it has to be
        shutil.chown(run_directory, process_user())
    started = []
    try:
        for name in order:
            started.append(subprocess.Popen(
                command(case, name, run_directory, database), cwd=case.directory, env=case.wanmeter.environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
            time.sleep(0.05)      # so that it is there before the next: that is what the case is about
        for name, process in zip(order, started, strict=True):
            errors = process.communicate(timeout=END_S)[1]
            assert process.returncode == 0, f"{order}: {name}: exit code {process.returncode}\n{errors}"
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.communicate()
    for path in run_directory.iterdir():    # the supervisor's task, if there is one
        path.unlink()


def process_user():
    names = {user.pw_name for user in pwd.getpwall()}
    return "wanmeter" if "wanmeter" in names else "nobody"


def command(case, name, run_directory, database):
    role, _, number = name.partition("-")
    words = [str(case.build / role / f"wanmeter-{role}"), "--run-directory", str(run_directory), "--config", "site.yaml",
             "--shards", str(N_SHARDS), "--set", f"database={database}"]
    if role == "tracker":
        words += ["--shard", number, "--workers", "1"]
    if role == "capture":
        words += ["--worker", number, "--workers", "1", "--first-source", "0", "--", "in.pcap"]
    return words
