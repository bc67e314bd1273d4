"""A live interface: what is sent into one end of a cable is what is billed at the other."""

import os
import select
import signal
import time
from pathlib import Path

from support import network, traffic
from support.case import PATIENCE_S
from support.traffic import CONFIG

N_PACKETS = 100_000
SOURCES = """\
sources:
  - interface: mirror0
"""


def test_every_packet_sent_is_billed(case):
    enter_network(case)
    packets = traffic.mix(seed=11, n_packets=N_PACKETS)
    monitor = start(case, CONFIG + SOURCES)
    network.send("mirror1", (packet.frame for packet in packets))
    stop(monitor)

    assert network.statistics("mirror0") == traffic.total(packets)[:2], "something else was on the wire"
    assert_known(case, packets)


def test_several_workers_on_one_interface_bill_every_packet_once(case):
    enter_network(case)
    packets = traffic.mix(seed=12, n_packets=20_000)
    monitor = start(case, CONFIG + SOURCES + "    workers: 2\n", "--set", "tracker.shards=2", workers=2)
    network.send("mirror1", (packet.frame for packet in packets))
    stop(monitor)
    assert_known(case, packets)


def test_what_a_stopped_tracker_cannot_take_is_declared_to_the_byte(case):
    """A mirror port does not wait: with no room left, packets become a loss line, and the audit still adds up."""
    enter_network(case)
    packets = traffic.mix(seed=13, n_packets=30_000)
    monitor = start(case, CONFIG + SOURCES, "--set", "capture.window=64KiB", "--set", "capture.batch=8KiB")
    tracker = child(monitor.pid, "wanmeter-tracker")
    os.kill(tracker, signal.SIGSTOP)
    network.send("mirror1", (packet.frame for packet in packets))
    os.kill(tracker, signal.SIGCONT)
    stop(monitor, code=3)

    lost = case.query("SELECT stage, reason, certainty, sum(packets), sum(l2_bytes), sum(l3_bytes) FROM loss "
                      "GROUP BY stage, reason, certainty")
    assert [row[:3] for row in lost] == [("capture", "ring_full", "exact")], lost
    counted = case.wanmeter.total()
    assert tuple(a + b for a, b in zip(counted, lost[0][3:], strict=True)) == traffic.total(packets)
    assert counted[0] > 0 and case.query("SELECT verdict FROM audit") == [("exact",)]


def child(parent, name):
    return children(parent, name)[0]


def children(parent, name):
    pids = map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    found = [pid for pid in pids if Path(os.readlink(f"/proc/{pid}/exe")).name == name]
    assert found, f"no {name}"
    return found


def test_an_interface_without_traffic_ends_when_asked(case):
    enter_network(case)
    monitor = start(case, SOURCES)
    stop(monitor)
    assert case.wanmeter.total() == (0, 0, 0)
    case.wanmeter.audit()


def test_a_missing_interface_is_named(case):
    enter_network(case)
    done = case.wanmeter("run", "--config", case.write("live.yaml", "sources:\n  - interface: nosuch0\n"), check={1, 2})
    assert "nosuch0" in done.stderr, done.stderr


def assert_known(case, packets):
    assert case.wanmeter.losses() == []
    counted, known = case.wanmeter.usage_totals(), traffic.usage_totals(packets)
    assert counted == known, f"only counted: {set(counted.items()) - set(known.items())}, " \
        f"only sent: {set(known.items()) - set(counted.items())}"
    case.wanmeter.audit()


def enter_network(case):
    problem = network.enter()
    if problem:
        case.skip(problem)
    network.make_veth("mirror0", "mirror1")


def start(case, config, *options, workers=1):
    """Returns when all workers say that they capture: until then packets may go by."""
    monitor = case.wanmeter.start("run", "--config", case.write("live.yaml", config), *options)
    said, deadline = b"", time.monotonic() + PATIENCE_S
    while said.count(b"ready: capturing") < workers:
        readable, _, _ = select.select([monitor.stderr], [], [], max(0, deadline - time.monotonic()))
        piece = os.read(monitor.stderr.fileno(), 4096) if readable else b""
        said += piece
        if not piece:
            monitor.kill()
            raise AssertionError(f"not ready: {said.decode(errors='replace')} {monitor.communicate()[1]}")
    return monitor


def stop(monitor, code=0):
    monitor.send_signal(signal.SIGTERM)
    output, errors = monitor.communicate(timeout=PATIENCE_S)
    assert monitor.returncode == code, f"exit code {monitor.returncode}\n{output}\n{errors}"
