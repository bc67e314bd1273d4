"""The capture's wall clock steps: that is noticed and told, ends nothing early, and costs no byte."""

import time

from faults import wrapped
from integration.test_live import enter_network, start, stop
from support import network
from support.capture import ethernet, ip, udp
from support.case import PATIENCE_S, each

SITE = "sources:\n  - interface: mirror0\n"
FRAME = ethernet("02:00:00:00:00:01", "02:00:00:00:01:01", ip("10.1.0.1", "192.0.2.1", udp(4000, 53, b"x")))
OTHER = ethernet("02:00:00:00:00:01", "02:00:00:00:01:01", ip("10.1.0.1", "192.0.2.1", udp(4001, 53, b"xyz")))


@each(["+3600", "-7200", "+34560000"])
def test_a_step_is_a_line_without_loss_and_ends_no_connection(case, step):
    if not wrapped.has(wrapped.FAKETIME):
        case.skip("no libfaketime (package faketime)")
    enter_network(case)
    clock = case.write("clock", "+0\n")
    case.wanmeter.program = wrapped.programs(case, "capture", {
        "LD_PRELOAD": wrapped.FAKETIME[0], "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1, "DONT_FAKE_MONOTONIC": 1})
    monitor = start(case, SITE, "--set", "security.sandbox=off")     # libfaketime reads a file
    network.send("mirror1", [FRAME] * 3)
    wait_for(lambda: case.query("SELECT 1 FROM usage"), "usage")
    clock.write_text(step + "\n")
    wait_for(case.wanmeter.losses, "a line")
    for _ in range(20):     # heartbeats go by: the clock of an hour later would end the connection
        network.send("mirror1", [FRAME, OTHER])
        time.sleep(0.1)
    stop(monitor)

    lines = case.wanmeter.losses()
    assert [line[:6] for line in lines] == [("capture", "clock_step", 0, 0, 0, "exact")], lines
    words = "forward by" if step.startswith("+") else "back by"
    assert words in lines[0][6] and f"{int(step[1:]):d}." in lines[0][6], lines
    assert case.query("SELECT orig_src_port, count(DISTINCT id), sum(orig_packets) FROM flow GROUP BY 1 ORDER BY 1") == \
        [(4000, 1, 23), (4001, 1, 20)]
    if step.startswith("+"):
        assert case.query("SELECT max(seal) > min(seal) FROM usage_slot") == [(1,)], "the trackers do not know of the step"
    assert case.wanmeter.total()[0] == 43
    assert case.query("SELECT verdict FROM audit") == [("exact",)]
    case.wanmeter.audit()


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.1)
