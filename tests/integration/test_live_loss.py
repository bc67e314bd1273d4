"""What a live capture cannot take is declared: sent = counted + declared, in packets, and on a dedicated port in bytes."""

import os
import signal
import time

from integration.test_live import assert_known, children, enter_network, start, stop
from support import network, traffic
from support.case import PATIENCE_S, each
from support.traffic import CONFIG

PORT = "sources:\n  - interface: mirror0\n"
DEDICATED = PORT + "    dedicated: yes\n"


@each([1, 2])
def test_on_a_dedicated_port_drops_are_declared_to_the_byte(case, workers):
    enter_network(case)
    packets = traffic.mix(seed=21, n_packets=12_000)
    _, lines = overrun(case, packets, DEDICATED + f"    workers: {workers}\n", workers)
    assert [line[:2] + line[4:6] for line in lines] == [("kernel", "ring_full", None, "derived")], lines


def test_on_a_shared_port_dropped_packets_are_counted_and_their_bytes_are_unknown(case):
    enter_network(case)
    packets = traffic.mix(seed=22, n_packets=12_000)
    _, lines = overrun(case, packets, PORT, 1)
    assert [line[:2] + line[3:6] for line in lines] == [("kernel", "ring_full", None, None, "exact")], lines


@each([1, 2])
def test_drops_are_told_while_the_capture_goes_on(case, workers):
    enter_network(case)
    packets = traffic.mix(seed=25, n_packets=12_000)
    _, lines = overrun(case, packets, DEDICATED + f"    workers: {workers}\n", workers, is_awaited=True)
    assert {line[5] for line in lines} == {"derived"} and len(lines) >= 1, lines


def overrun(case, packets, sources, workers, is_awaited=False):
    """(what was counted, loss lines) of packets that come while the workers stand still, with small rings"""
    monitor = start(case, CONFIG + sources, "--set", "capture.ring=1MiB", workers=workers)
    pids = children(monitor.pid, "wanmeter-capture")
    assert len(pids) == workers
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    network.send("mirror1", (packet.frame for packet in packets))
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    if is_awaited:
        wait_for(case.wanmeter.losses, "a loss line")
    stop(monitor, code=3)
    counted, lines = case.wanmeter.total(), case.wanmeter.losses()
    lost = sum(line[2] for line in lines)
    assert lost > 0 and counted[0] + lost == traffic.total(packets)[0], lines
    if all(line[3] is not None for line in lines):
        assert counted[1] + sum(line[3] for line in lines) == traffic.total(packets)[1], lines
    assert case.query("SELECT verdict FROM audit") == [("bounded",)]
    return counted, lines


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.1)


def test_a_dedicated_port_without_loss_is_exact(case):
    enter_network(case)
    packets = traffic.mix(seed=23, n_packets=20_000)
    monitor = start(case, CONFIG + DEDICATED)
    network.send("mirror1", (packet.frame for packet in packets))
    stop(monitor)
    assert_known(case, packets)
    assert case.query("SELECT verdict FROM audit") == [("exact",)]


def test_what_this_machine_sends_by_a_dedicated_port_is_left_out(case):
    enter_network(case)
    packets = traffic.mix(seed=24, n_packets=400)
    monitor = start(case, CONFIG + DEDICATED)
    network.send("mirror0", (packet.frame for packet in packets[:300]))
    network.send("mirror1", (packet.frame for packet in packets))
    stop(monitor)
    assert_known(case, packets)
