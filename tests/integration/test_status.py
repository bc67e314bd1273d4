"""What `wanmeter status` says of a daemon, also of one that does not answer."""

import json
import os
import signal
import time

from support import network, traffic
from support.case import PATIENCE_S
from support.traffic import CONFIG

UNREACHABLE, NOT_WELL = 5, 3


def test_status_shows_who_runs_as_whom_in_what(case):
    problem = network.enter()
    if problem:
        case.skip(problem)
    network.make_veth("mirror0", "mirror1")
    config = case.write("live.yaml", CONFIG + "sources:\n  - interface: mirror0\n" + f"run_directory: {case.directory}/run\n")
    packets = traffic.mix(seed=3, n_packets=5000)
    daemon = case.wanmeter.start("run", "--config", config)
    try:
        rows = wait_for(case, all_running)
        network.send("mirror1", (packet.frame for packet in packets))
        rows = wait_for(case, lambda rows: rows["capture-0"]["figures"]["frames"] >= len(packets) and
                        rows["tracker-0"]["figures"]["flows"] > 0 and rows["exporter"]["figures"]["batches"] > 0)
        assert set(rows) == {"capture-0", "tracker-0", "exporter"}
        for name, row in rows.items():
            assert row["sandbox"] | {"landlock_version": 0} == {
                "effective_capabilities": 0, "no_new_privileges": True, "seccomp_filter": not is_sanitized(case),
                "landlock_version": 0}, (name, row)
            assert row["restarts"] == 0 and row["uptime_ns"] > 0 and (row["uid"] != 0) == (name != "exporter"), row
        assert 1 <= rows["tracker-0"]["figures"]["probe_lines_max"] <= 4
        assert rows["exporter"]["figures"]["database_bytes"] > 0
        assert 0 <= rows["tracker-0"]["figures"]["watermark_lag_ns"] < PATIENCE_S * 10**9
        table = case.wanmeter("status", "--run-directory", case.directory / "run").stdout.splitlines()
        assert len(table) == 4 and table[0].split()[:4] == ["process", "state", "pid", "uid"], table

        os.kill(rows["tracker-0"]["pid"], signal.SIGSTOP)       # it can be asked nothing now
        wait_for(case, lambda rows: rows["tracker-0"]["state"] == "hangs", code=NOT_WELL)
        os.kill(rows["tracker-0"]["pid"], signal.SIGKILL)
        rows = wait_for(case, lambda rows: all_running(rows) and rows["tracker-0"]["restarts"] == 1)
    finally:
        daemon.send_signal(signal.SIGTERM)
        output, errors = daemon.communicate(timeout=PATIENCE_S)
    assert daemon.returncode in {0, 3}, f"exit code {daemon.returncode}\n{output}\n{errors}"
    assert not (case.directory / "run").exists()
    assert "no daemon" in case.wanmeter("status", "--run-directory", case.directory / "run", check=UNREACHABLE).stderr


def all_running(rows):
    return len(rows) == 3 and all(row["state"] == "running" for row in rows.values())


def is_sanitized(case):
    return b"__asan_init" in (case.build / "tracker" / "wanmeter-tracker").read_bytes()


def wait_for(case, is_so, code=0):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = case.wanmeter("status", "--run-directory", case.directory / "run", "--format", "json", check=None)
        rows = {row["process"]: row for row in json.loads(done.stdout)["rows"]} if done.stdout else {}
        try:
            if is_so(rows) and done.returncode == code:
                return rows
        except KeyError:
            pass        # not there yet
        assert time.monotonic() < deadline, (done.returncode, rows, done.stderr)
        time.sleep(0.1)
