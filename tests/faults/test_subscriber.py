"""Subscribers that are slow, stand still or are dead: the bill is as without them, and so is its time."""

import importlib
import signal
import subprocess
import sys

from faults import crew, outcome, suite
from faults.load import Load
from support import traffic
from support.case import each

N_SUBSCRIBERS = 3
# Subscribes, says so, and takes one event a second, or none at all.
SUBSCRIBER = """
import sys, time, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.set(zmq.RCVHWM, 1)
socket.subscribe(b"")
socket.connect(sys.argv[1])
while True:
    socket.recv_multipart()
    print("one", flush=True)
    time.sleep(1)
"""


@each(suite.options().choose(("stopped",), ("slow", "stopped", "killed")))
def test_a_subscriber_in_a_bad_way_changes_no_bill(case, kind):
    try:
        importlib.import_module("zmq")
    except ImportError as error:
        case.skip(f"{error} (package python3-zmq)")
    options = suite.options()
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(10, 100))
    load.write(case.directory / "in.pcap")
    endpoint = f"ipc://{case.directory}/events"
    subscribers = [subprocess.Popen([sys.executable, "-c", SUBSCRIBER, endpoint], stdout=subprocess.PIPE, text=True)
                   for _ in range(N_SUBSCRIBERS)]
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG,
                      options=["--events", endpoint, "--wait-subscribers", N_SUBSCRIBERS])
    try:
        for subscriber in subscribers:
            assert subscriber.stdout.readline() == "one\n", run.said()
            if kind != "slow":
                subscriber.send_signal({"stopped": signal.SIGSTOP, "killed": signal.SIGKILL}[kind])
        run.finish()
    finally:
        for subscriber in subscribers:
            subscriber.kill()
            subscriber.communicate()
    outcome.judge(case, f"subscribers {kind}", N_SUBSCRIBERS, load.usage())
