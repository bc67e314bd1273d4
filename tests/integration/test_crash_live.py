"""Workers that die while they capture: what they had sent is billed, what they had not is declared, to the packet."""

import os
import re
import signal
import struct
import time

from integration.test_crash import is_alive
from integration.test_live import SOURCES, enter_network, start, stop
from support import network, traffic
from support.case import PATIENCE_S, each
from support.traffic import CONFIG

N_PACKETS = 4_000
LOSSES = "SELECT stage, reason, certainty, sum(packets), sum(l2_bytes), sum(l3_bytes) FROM loss GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
COUNTS_AT = 424  # in a ring's header (proto/ring/ring_internal.h): gathered, captured


@each(["", "    dedicated: true\n"])
def test_what_a_killed_worker_had_captured_is_billed_or_declared_to_the_byte(case, option):
    enter_network(case)
    parts = [traffic.mix(seed=seed, n_packets=N_PACKETS) for seed in (21, 22, 23)]
    directory = case.directory / "run"
    monitor = start(case, CONFIG + SOURCES + option, "--set", f"run_directory={directory}", "--set", "tracker.shards=2")
    send(parts[0])
    wait("billed", lambda: case.wanmeter.total()[0] > N_PACKETS / 2)  # fragments may wait for their first one
    trackers = [pid_of(directory, f"tracker-{shard}") for shard in (0, 1)]
    for pid in trackers:
        os.kill(pid, signal.SIGSTOP)
    send(parts[1])
    n_packets = traffic.total(parts[0])[0] + traffic.total(parts[1])[0]
    wait("captured", lambda: captured(directory) == n_packets)
    os.kill(pid_of(directory, "capture-0"), signal.SIGKILL)
    for pid in trackers:
        os.kill(pid, signal.SIGCONT)
    wait("ready again", lambda: restarts(directory, "capture-0") == 1 and is_capturing(monitor))
    send(parts[2])
    stop(monitor, code=3)

    packets = [packet for part in parts for packet in part]
    losses = case.query(LOSSES)
    exact = [row for row in losses if row[0] == "capture"]
    assert all(row[:3] == ("capture", "worker_died", "exact") for row in exact), losses
    lost = tuple(sum(row[i] for row in exact) for i in (3, 4, 5))
    counted = case.wanmeter.total()
    assert tuple(a + b for a, b in zip(counted, lost, strict=True)) == traffic.total(packets), (counted, losses)
    assert lost[0] < N_PACKETS / 2, losses  # what was sent before it died is there
    assert case.query("SELECT packets, l2_bytes, is_complete FROM source") == [(*traffic.total(packets)[:2], 1)]
    assert case.query("SELECT difference_packets, difference_l2_bytes, difference_l3_bytes FROM audit") == [(0, 0, 0)]
    kernel = [row[:3] for row in losses if row[0] == "kernel"]
    assert kernel == ([] if option else [("kernel", "worker_died", "unknown")]), losses
    assert not list(directory.glob("ring-*"))


def test_what_a_killed_run_had_captured_is_billed_or_declared_by_the_next(case):
    enter_network(case)
    parts = [traffic.mix(seed=seed, n_packets=N_PACKETS) for seed in (31, 32)]
    directory = case.directory / "run"
    options = ["--set", f"run_directory={directory}", "--set", "tracker.shards=2"]
    monitor = start(case, CONFIG + SOURCES, *options)
    send(parts[0])
    wait("billed", lambda: case.wanmeter.total()[0] > N_PACKETS / 2)
    os.kill(pid_of(directory, "tracker-0"), signal.SIGSTOP)
    send(parts[1])
    n_packets = sum(traffic.total(part)[0] for part in parts)
    wait("captured", lambda: captured(directory) == n_packets)
    pids = [int(row[0]) for row in roster(directory).values()]
    monitor.kill()
    monitor.communicate(timeout=PATIENCE_S)
    wait("all ended", lambda: not any(is_alive(pid) for pid in pids))

    monitor = start(case, CONFIG + SOURCES, *options)
    stop(monitor, code=3)
    losses = case.query(LOSSES)
    exact = [row for row in losses if row[:3] == ("capture", "worker_died", "exact")]
    lost = tuple(sum(row[i] for row in exact) for i in (3, 4, 5))
    packets = [packet for part in parts for packet in part]
    counted = case.wanmeter.total()
    assert tuple(a + b for a, b in zip(counted, lost, strict=True)) == traffic.total(packets), (counted, losses)
    assert lost[0] < N_PACKETS / 2, losses
    assert case.query("SELECT sum(packets), sum(l2_bytes) FROM source") == [traffic.total(packets)[:2]]
    assert case.query("SELECT count(*), count(finished_ns) FROM run") == [(1, 1)]  # the same run goes on
    assert case.query("SELECT difference_packets, difference_l2_bytes, difference_l3_bytes FROM audit") == [(0, 0, 0)]


def test_what_passes_between_a_killed_run_and_the_next_is_told_by_a_dedicated_port(case):
    enter_network(case)
    parts = [traffic.mix(seed=seed, n_packets=N_PACKETS) for seed in (41, 42, 43)]
    directory = case.directory / "run"
    options = [CONFIG + SOURCES + "    dedicated: true\n", "--set", f"run_directory={directory}"]
    monitor = start(case, *options)
    send(parts[0])
    wait("billed", lambda: case.wanmeter.total()[0] > N_PACKETS / 2)
    pids = [int(row[0]) for row in roster(directory).values()]
    monitor.kill()
    monitor.communicate(timeout=PATIENCE_S)
    wait("all ended", lambda: not any(is_alive(pid) for pid in pids))
    send(parts[1])
    monitor = start(case, *options)
    send(parts[2])
    stop(monitor, code=3)

    # What nobody took, the kernel also calls dropped: no more than that, in lines of their own.
    losses = [row for row in case.query(LOSSES) if row[:3] != ("nic", "dropped", "upper_bound")]
    assert {row[2] for row in losses} <= {"exact", "derived"}, losses
    total = traffic.total([packet for part in parts for packet in part])
    counted = case.wanmeter.total()
    assert tuple(counted[i] + sum(row[3 + i] for row in losses) for i in (0, 1)) == total[:2], (counted, losses)
    assert sum(row[3] for row in losses if row[0] == "kernel") >= traffic.total(parts[1])[0], losses


# --- support ---

def send(packets):
    network.send("mirror1", (packet.frame for packet in packets))


def wait(what, is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def roster(directory):
    return {line.split()[0]: line.split()[1:] for line in (directory / "processes").read_text().splitlines()}


def pid_of(directory, name):
    return int(roster(directory)[name][0])


def restarts(directory, name):
    return int(roster(directory)[name][2])


def captured(directory):
    """Packets that the first worker has counted as captured, by the ring of its first lane."""
    header = (directory / "ring-0-0").read_bytes()[:4096]
    return struct.unpack_from("=6Q", header, COUNTS_AT)[3]


def is_capturing(monitor):
    """It has said so, since it was asked the last time."""
    line = monitor.stderr.readline()
    return bool(re.search("ready", line))
