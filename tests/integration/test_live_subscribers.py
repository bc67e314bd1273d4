"""Subscribers of a live run that stand still or come late: billing does not wait for them, and what they missed can be fetched."""

import json
import signal
import time
from pathlib import Path

from integration.test_live import enter_network, start, stop
from support import network
from support.capture import ethernet, ip, udp
from support.case import PATIENCE_S

N_FLOWS = 5_000
SITE = "sources:\n  - interface: mirror0\nrun_directory: run\n"
FRAME = ethernet("02:00:00:00:00:01", "02:00:00:00:01:01", ip("10.1.0.1", "192.0.2.1", udp(1, 53, b"x")))
ADDRESS_AT = 14 + 12 + 2        # the last two bytes of the source address
PORT_AT = 14 + 20


def test_a_subscriber_that_stands_still_holds_up_nobody_and_misses_nothing(case):
    enter_network(case)
    monitor = start(case, SITE, "--set", "events.keep=1000000")
    stopped = subscribe(case, "stopped", "--from", "0")
    network.send("mirror1", [FRAME])
    wait_for(lambda: (case.directory / "stopped").stat().st_size > 0, "first event")
    stopped.send_signal(signal.SIGSTOP)
    network.send("mirror1", flows(N_FLOWS))
    wait_for(lambda: case.wanmeter.total()[0] == N_FLOWS + 1, "end of billing while a subscriber stands still")
    assert state_of(stopped.pid) == "T"

    late = subscribe(case, "late", "--from", "0")
    wait_for(lambda: n_new(case, "late") == N_FLOWS + 1, "all events for who came late")
    stopped.send_signal(signal.SIGCONT)
    wait_for(lambda: n_new(case, "stopped") == N_FLOWS + 1, "all events for who stood still")
    stop(monitor)
    for name, subscriber in (("late", late), ("stopped", stopped)):
        _, errors = subscriber.communicate(timeout=PATIENCE_S)
        assert subscriber.returncode == 0 and "missed" not in errors, errors
        numbers = [event["global_seq"] for event in events(case, name)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"{name}: an event is missing, or there twice"
    assert case.query("SELECT verdict FROM audit") == [("exact",)]


def flows(number):
    for flow in range(number):
        yield FRAME[:ADDRESS_AT] + (flow // 1000).to_bytes(2, "big") + FRAME[ADDRESS_AT + 2:PORT_AT] + \
            (1000 + flow % 1000).to_bytes(2, "big") + FRAME[PORT_AT + 2:]


def subscribe(case, name, *options):
    with open(case.directory / name, "w", encoding="utf-8") as out:
        return case.wanmeter.start("events", "--run-directory", "run", "--format", "json", *options, stdout=out)


def events(case, name):
    lines = (case.directory / name).read_text().splitlines()
    return [json.loads(line) for line in lines]


def n_new(case, name):
    return (case.directory / name).read_text().count('"topic": "new.')


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.1)
