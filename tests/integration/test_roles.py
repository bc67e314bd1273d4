"""A run whose roles have a supervisor each (`wanmeter run --role`): the bill is that of one supervisor, whoever comes first,
dies or is stopped."""

import itertools
import os
import signal
import sqlite3
import time

from faults import crew
from support import network, traffic
from support.case import PATIENCE_S, each, leftover_sockets
from support.traffic import CONFIG

ROLES = ("exporter", "tracker", "capture")
SOURCE = "sources:\n  - interface: mirror0\n"
N_PACKETS = 2_000
KILLED = -9
LOST = ("SELECT stage, reason, certainty, ifnull(sum(packets), 0), ifnull(sum(l2_bytes), 0), ifnull(sum(l3_bytes), 0) "
        "FROM loss GROUP BY 1, 2, 3")


@each(map(",".join, itertools.permutations(ROLES)))
def test_parts_that_start_in_any_order_make_one_run(case, order):
    run = JointRun(case)
    for role in order.split(","):
        run.start(role)
    run.wait_until_capturing()
    run.send(1)
    run.stop_in_order()
    run.judge()
    assert case.query("SELECT count(*), count(finished_ns) FROM run") == [(1, 1)]


@each(itertools.product(["exporter", "tracker"], ["SIGKILL", "SIGTERM"]))
def test_a_part_that_is_started_again_goes_on(case, what):
    """Killed, or asked to end by itself: what it had in hand is sent to whoever takes its place."""
    role, number = what
    run = JointRun(case, "--set", "tracker.shards=2")
    run.start_all()
    run.send(1)
    run.wait_until_billed(N_PACKETS // 2)
    run.end(role, getattr(signal, number))
    run.send(2)
    run.start(role)
    run.send(3)
    run.stop_in_order()
    run.judge()
    assert case.query("SELECT count(*), count(finished_ns) FROM run") == [(1, 1)]
    assert case.wanmeter.losses() == []


def test_what_passes_while_the_capture_part_is_away_is_told_by_the_interface(case):
    run = JointRun(case, config=CONFIG + SOURCE + "    dedicated: yes\n")
    run.start_all()
    run.send(1)
    run.wait_until_billed(N_PACKETS)
    run.end("capture", signal.SIGKILL)
    run.send(2)
    run.start("capture")
    run.wait_until_capturing()
    run.send(3)
    run.stop_in_order(exporter_statuses={3})
    run.judge(verdict="bounded")
    assert case.query("SELECT count(*), count(finished_ns) FROM run") == [(1, 1)]
    # What nobody took, the kernel also calls dropped: no more than that, in lines of their own.
    lost = [row for row in case.query(LOST) if row[:3] != ("nic", "dropped", "upper_bound")]
    packets, l2_bytes = (sum(row[i] for row in lost) for i in (3, 4))
    counted = case.wanmeter.total()
    assert (counted[0] + packets, counted[1] + l2_bytes) == traffic.total(run.sent)[:2], (counted, lost)
    assert {row[2] for row in lost} <= {"exact", "derived"} and packets >= N_PACKETS, lost


def test_parts_that_are_stopped_the_wrong_way_round_drain_all_the_same(case):
    run = JointRun(case)
    run.start_all()
    run.send(1)
    for role in ROLES:
        run.parts[role].send("wanmeter", signal.SIGTERM)
    for role in ROLES:
        run.finish(role)
    run.judge()


def test_a_run_ends_with_its_capture_part_and_another_begins(case):
    run = JointRun(case)
    run.start_all()
    run.send(1)
    run.end("capture", signal.SIGTERM)
    run.start("capture")        # before the others have noticed, or after
    run.finish("tracker")
    run.finish("exporter")
    run.start("tracker")
    run.start("exporter")
    run.wait_until_capturing()
    run.send(2)
    run.stop_in_order()
    run.judge()
    assert case.query("SELECT count(*), count(finished_ns) FROM run") == [(2, 2)]


def test_what_killed_parts_have_left_is_brought_in_before_another_configuration(case):
    run = JointRun(case, "--set", "tracker.shards=2")
    run.start_all()
    run.send(1)
    run.wait_until_captured()
    for role in ROLES:
        run.end(role, signal.SIGKILL)
    run.options = ["--set", "tracker.shards=1"]
    run.start_all()
    run.send(2)
    run.stop_in_order(exporter_statuses={0, 3})
    lost = case.query(LOST)
    exact = [row for row in lost if row[2] == "exact"]
    assert all(row[:2] == ("capture", "worker_died") for row in exact), lost
    counted = case.wanmeter.total()
    assert tuple(n + sum(row[i] for row in exact) for n, i in zip(counted, (3, 4, 5), strict=True)) == traffic.total(run.sent)
    assert case.query("SELECT count(*), count(finished_ns) FROM run") == [(2, 2)]


def test_parts_that_come_while_the_exporter_s_brings_in_what_was_left_do_not_touch_it(case):
    run = JointRun(case, "--set", "tracker.shards=2")
    run.start_all()
    run.send(1)
    for role in ROLES:
        run.end(role, signal.SIGKILL)
    sockets = [run.directory / f"{name}.sock" for name in ("exporter", "tracker-0", "tracker-1")]
    for path in sockets:
        path.unlink()
    run.options = ["--set", "tracker.shards=1"]
    run.start("exporter")
    pid, = run.parts["exporter"].wait_for("capture-0")
    os.kill(pid, signal.SIGSTOP)
    wait("listening", lambda: all(path.exists() for path in sockets))
    for role in ("tracker", "capture"):
        for _ in range(2):
            run.start(role)
            run.parts[role].wait_until_said("waiting for the exporter")
            run.parts[role].stop()
    assert all(path.exists() for path in sockets), "somebody has removed them"
    os.kill(pid, signal.SIGCONT)
    run.start("tracker")
    run.start("capture")
    run.wait_until_capturing()
    run.stop_in_order(exporter_statuses={0, 3})
    assert case.query("SELECT count(*), count(finished_ns) FROM run") == [(2, 2)]


def test_a_role_is_had_once_and_not_beside_a_whole_run(case):
    run = JointRun(case)
    run.start_all()
    done = case.wanmeter("run", "--role", "tracker", *run.arguments(), check=1)
    assert "another wanmeter has the role tracker" in done.stderr, done.stderr
    done = case.wanmeter("run", *run.arguments(), check=1)
    assert "another wanmeter uses it" in done.stderr, done.stderr
    status = case.wanmeter("status", "--run-directory", "run").stdout
    assert all(f"{name} " in status for name in ("exporter", "tracker-0", "capture-0")), status
    run.stop_in_order()
    done = case.wanmeter("run", "--role", "tracker", check=2)
    assert "run_directory" in done.stderr, done.stderr
    case.wanmeter("run", "--role", "nobody", check=2)


# --- support ---

class JointRun:
    def __init__(self, case, *options, config=CONFIG + SOURCE, n_workers=1):
        problem = network.enter()
        if problem:
            case.skip(problem)
        network.make_veth("mirror0", "mirror1")
        self.case, self.options, self.sent, self.n_workers = case, options, [], n_workers
        self.directory = case.directory / "run"
        self.config = case.write("live.yaml", config)
        self.parts = {}

    def arguments(self):
        return ["--quiet", "--config", self.config, "--set", "run_directory=run", *self.options]

    def start(self, role):
        self.parts[role] = crew.Run(self.case, "run", "--role", role, *self.arguments())

    def start_all(self):
        for role in ROLES:
            self.start(role)
        self.wait_until_capturing()

    def wait_until_capturing(self):
        """All workers: what comes before one of them joins may be taken for what came before the run."""
        self.parts["capture"].wait_until_said("ready: capturing", self.n_workers)

    def send(self, seed):
        packets = traffic.mix(seed=seed, n_packets=N_PACKETS)
        network.send("mirror1", (packet.frame for packet in packets))
        self.sent += packets

    def wait_until_captured(self):
        wait("captured", lambda: network.statistics("mirror0")[0] >= len(self.sent))

    def wait_until_billed(self, n_packets):
        wait("billed", lambda: (self.case.directory / "wanmeter.db").exists() and billed(self.case) >= n_packets)

    def end(self, role, number):
        """And waits for it: with a kill, also for its processes."""
        part = self.parts[role]
        pids = [pid for name, pid in part.processes().items() if name.startswith(role)]
        part.send("wanmeter", number)
        part.finish({KILLED} if number == signal.SIGKILL else {0})
        wait("no orphan", lambda: not any(is_alive(pid) for pid in pids))

    def finish(self, role, statuses=frozenset({0})):
        self.parts[role].finish(statuses, PATIENCE_S)

    def stop_in_order(self, exporter_statuses=frozenset({0})):
        """As systemd does: the next when the one before has ended. The others' input ends with it."""
        for role in reversed(ROLES):
            self.parts[role].send("wanmeter", signal.SIGTERM)
            self.finish(role, exporter_statuses if role == "exporter" else {0})

    def judge(self, verdict="exact"):
        left = [path.name for path in self.directory.rglob("*")] if self.directory.exists() else []
        assert not left, f"left behind: {left}"
        assert not leftover_sockets(self.case.directory)
        if verdict == "exact":
            assert self.case.wanmeter.total() == traffic.total(self.sent), self.case.wanmeter.losses()
        assert self.case.query("SELECT difference_packets, difference_l2_bytes, verdict FROM audit") == [(0, 0, verdict)]
        self.case.wanmeter.audit()


def wait(what, is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def billed(case):
    try:
        return case.wanmeter.total()[0]
    except (AssertionError, sqlite3.OperationalError):
        return 0    # not there yet, or not ready


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
