"""Processes that die while they work: the bill is that of a run in which nobody died."""

import os
import signal
import sqlite3
import time
from pathlib import Path

from support import capture, traffic
from support.case import PATIENCE_S, each

OK, RUNTIME, USAGE, LOSS, MISMATCH = range(5)
# Small, so that a commit point is never far.
SMALL_STEPS = ["--set", "tracker.commit_volume=64KiB", "--set", "capture.batch=16KiB", "--set", "capture.window=1MiB"]
PLAIN = ["--quiet", "--config", "config.yaml", "--shards", "2", "--database", "plain.db"]
USAGE_ROWS = "SELECT slot_ns, account, wan, direction, class, packets, l2_bytes, l3_bytes, billed_bytes FROM usage ORDER BY 1, 2, 3, 4, 5"
SOURCE_ROWS = "SELECT name, packets, l2_bytes, first_ns, last_ns, is_complete FROM source ORDER BY source_index"
FLOW_ROWS = "SELECT * FROM flow ORDER BY id, first_ns, record"


@each(["exporter", "tracker-0", "tracker-1"])
def test_a_process_that_is_killed_in_the_middle_of_a_replay_changes_no_usage(case, name):
    bytes_of_file = make_capture(case)
    with Replay(case) as replay:
        replay.feed(bytes_of_file[:len(bytes_of_file) // 2])
        replay.wait_for_usage()
        replay.kill(name)
        replay.wait_for_restart(name)
        replay.feed(bytes_of_file[len(bytes_of_file) // 2:])
        replay.finish(allowed={OK})
    assert_same_usage(case)
    if name == "exporter":
        assert case.query(FLOW_ROWS) == case.query(FLOW_ROWS, database="plain.db")
    assert case.query("SELECT count(*) FROM run") == [(1,)]


@each(["exporter", "tracker-0"])
def test_a_process_that_is_killed_again_and_again_changes_no_usage(case, name):
    bytes_of_file = make_capture(case)
    n_parts = 5
    size = len(bytes_of_file) // n_parts + 1
    with Replay(case) as replay:
        for i in range(n_parts):
            replay.feed(bytes_of_file[i * size:(i + 1) * size])
            replay.wait_for_usage()
            replay.kill(name)
            replay.wait_for_restart(name, i + 1)
        replay.finish(allowed={OK})
    assert_same_usage(case)


@each(["exporter", "tracker-0"])
def test_a_process_that_is_killed_while_the_run_stops_is_started_again(case, name):
    """A signal ends the input; what was captured gets into the database all the same."""
    bytes_of_file = make_capture(case)
    with Replay(case) as replay:
        replay.feed(bytes_of_file)
        replay.wait_for_usage()
        pid = replay.pid_of(name)
        os.kill(pid, signal.SIGSTOP)  # the end cannot be reached before it is killed
        replay.process.send_signal(signal.SIGINT)
        os.kill(pid, signal.SIGKILL)
        replay.wait_for_restart(name)
        replay.finish(allowed={OK, LOSS})
    assert_balanced(case)


def test_a_process_that_dies_at_every_start_ends_a_replay(case):
    """Not for ever: the run fails, and what was committed stays."""
    bytes_of_file = make_capture(case)
    with Replay(case) as replay:
        replay.feed(bytes_of_file[:len(bytes_of_file) // 2])
        replay.wait_for_usage()
        n = 0
        deadline = time.monotonic() + PATIENCE_S
        while replay.process.poll() is None and time.monotonic() < deadline:
            pid, state, _ = replay.roster().get("tracker-0", (0, "", 0))
            if state == "running" and pid and signal_process(pid):
                n += 1
            time.sleep(0.01)
        errors = replay.finish(allowed={RUNTIME})
    assert n >= 7 and "tracker-0: died" in errors, (n, errors)
    assert_balanced(case)


# --- capture workers ---

@each([1, 2])
def test_a_worker_that_is_killed_in_the_middle_of_files_loses_nothing(case, n_workers):
    """Its successor reads them again, and leaves out what it had sent."""
    make_capture(case)
    names = ["in.pcap"]
    if n_workers == 2:
        names.append("second.pcap")
        capture.write_pcap(case.directory / "second.pcap", traffic.mix(seed=4, n_packets=5_000))
        for path in case.directory.glob("plain.db*"):
            path.unlink()
        case.wanmeter("replay", *PLAIN, "--workers", "2", *names)
    killed = f"capture-{n_workers - 1}"
    with Replay(case, "--workers", str(n_workers), files=names) as replay:
        stopped = replay.stop("tracker-1")  # so that the end is not reached before
        for i in range(3):
            replay.wait_for_usage()
            replay.kill(killed)
            replay.wait_for_restart(killed, i + 1)
        os.kill(stopped, signal.SIGCONT)
        replay.finish(allowed={OK})
    assert_same_usage(case)
    assert case.query(FLOW_ROWS) == case.query(FLOW_ROWS, database="plain.db")
    assert case.query(SOURCE_ROWS) == case.query(SOURCE_ROWS, database="plain.db")
    case.wanmeter.audit()


def test_a_worker_that_is_killed_while_a_replay_stops_brings_in_what_was_read(case):
    make_capture(case)
    with Replay(case, files=["in.pcap"]) as replay:
        stopped = replay.stop("tracker-1")
        replay.wait_for_usage()
        os.kill(replay.pid_of("capture-0"), signal.SIGSTOP)  # it does not end before it is killed
        replay.process.send_signal(signal.SIGINT)
        replay.kill("capture-0")
        replay.wait_for_restart("capture-0")
        os.kill(stopped, signal.SIGCONT)
        replay.finish(allowed={LOSS})
    assert_balanced(case)
    ((name, packets, _, _, _, is_complete),) = case.query(SOURCE_ROWS)
    assert (name, is_complete) == ("in.pcap", 0) and packets == case.wanmeter.total()[0]


# --- all at once ---

def test_what_a_killed_replay_has_left_goes_into_its_database_with_the_next_run(case):
    make_capture(case)
    other = traffic.mix(seed=5, n_packets=1_000)
    capture.write_pcap(case.directory / "other.pcap", other)
    with Replay(case, files=["in.pcap"]) as replay:
        replay.stop("tracker-1")
        replay.wait_for_usage()
        replay.kill_all()
    before = case.wanmeter.total()[0]
    assert list(replay.directory.glob("ring-0-*"))
    done = case.wanmeter("replay", "--set", f"run_directory={replay.directory}", "--database", "other.db", "other.pcap")
    assert "a run was killed" in done.stderr, done.stderr
    assert case.wanmeter.total()[0] > before, "tracker-1's packets, at least"
    assert case.wanmeter.total("other.db") == traffic.total(other)
    assert_balanced(case)
    assert case.query("SELECT count(*), count(finished_ns) FROM run") == [(1, 1)]
    assert case.query("SELECT min(closed) FROM stream WHERE kind = 'capture'") == [(1,)]
    assert case.wanmeter.losses() == []
    assert not list(replay.directory.glob("ring-*")) and not list(replay.directory.glob("run*"))


def test_remains_that_nobody_knows_the_meaning_of_are_not_touched(case):
    make_capture(case)
    directory = case.directory / "own"
    directory.mkdir()
    (directory / "ring-0-0").write_bytes(b"x" * 8192)
    done = case.wanmeter("replay", "--set", f"run_directory={directory}", "--set", "security.sandbox=off", "in.pcap", check=RUNTIME)
    assert "ring-*" in done.stderr, done.stderr
    assert (directory / "ring-0-0").read_bytes() == b"x" * 8192


# --- support ---

class Replay:
    """A replay of standard input, by two trackers, in a directory that is known."""

    def __init__(self, case, *options, files=()):
        self.case = case
        self.directory = case.wanmeter.sockets / "own"
        reader, writer = os.pipe()
        self.process = case.wanmeter.start(
            "replay", "--quiet", "--config", "config.yaml", "--shards", "2", "--set", f"run_directory={self.directory}",
            *SMALL_STEPS, *options, *(files or ["-"]), stdin=reader)
        os.close(reader)
        self.pipe = os.fdopen(writer, "wb")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate(timeout=PATIENCE_S)

    def feed(self, data):
        self.pipe.write(data)
        self.pipe.flush()

    def roster(self):
        """{name: (pid, state, restarts)}"""
        path = self.directory / "processes"
        if not path.exists():
            return {}
        rows = [line.split() for line in path.read_text().splitlines()]
        return {name: (int(pid), state, int(n)) for name, pid, state, n in rows}

    def pid_of(self, name):
        pid, state, _ = self.roster()[name]
        assert state == "running" and pid
        return pid

    def stop(self, name):
        """At once; its pid, to go on."""
        self.wait(f"{name} started", lambda: (self.directory / f"{name}.sock").exists())
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGSTOP)
        return pid

    def kill_all(self):
        """As when the machine's memory is full, or somebody means it: the processes go with their supervisor."""
        pids = [pid for pid, _, _ in self.roster().values()]
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while any(is_alive(pid) for pid in pids):
            assert time.monotonic() < deadline, "orphans"
            time.sleep(0.01)

    def kill(self, name):
        os.kill(self.pid_of(name), signal.SIGKILL)

    def wait(self, what, is_so):
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, f"never: {what}"
            time.sleep(0.01)

    def wait_for_restart(self, name, n=1):
        self.wait(f"{name} started again", lambda: self.roster().get(name, (0, "", 0))[1:] == ("running", n))

    def wait_for_usage(self):
        """More than there was."""
        before = n_usage(self.case)
        self.wait("more usage", lambda: n_usage(self.case) > 0 and (before == 0 or n_usage(self.case) >= before))

    def finish(self, allowed):
        self.pipe.close()
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode in allowed, (self.process.returncode, errors)
        assert not self.directory.exists()
        return errors


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def signal_process(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def make_capture(case, n_packets=30_000):
    """The bytes of in.pcap, and what an undisturbed replay makes of them in plain.db."""
    path = case.directory / "in.pcap"
    capture.write_pcap(path, traffic.mix(seed=3, n_packets=n_packets))
    case.write("config.yaml", traffic.CONFIG)
    case.wanmeter("replay", *PLAIN, "in.pcap")
    return path.read_bytes()


def n_usage(case):
    try:
        return case.wanmeter.total()[0]
    except (AssertionError, sqlite3.OperationalError):
        return 0  # not there yet, or not ready


def assert_same_usage(case):
    assert case.query(USAGE_ROWS) == case.query(USAGE_ROWS, database="plain.db")
    assert_balanced(case)


def assert_balanced(case):
    differences = case.query("SELECT difference_packets, difference_l2_bytes, difference_l3_bytes, lost_packets FROM audit")
    assert differences == [(0, 0, 0, 0)], differences
