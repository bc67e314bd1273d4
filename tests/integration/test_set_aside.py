"""A batch that trackers die of: set aside at the third try, a loss to the byte, and the others are counted."""

import importlib
import struct
import subprocess
import time
from pathlib import Path

from support.case import PATIENCE_S

CONFIG = """\
database: {directory}/wanmeter.db
run_directory: {directory}/run
capture: {{rss_key: microsoft}}
security: {{user: "{user}", sandbox: "off"}}
"""
EPOCH = 77
FAILED = 1


def test_a_batch_that_kills_its_tracker_twice_is_set_aside(case):
    try:
        zmq = importlib.import_module("zmq")
    except ImportError as error:
        case.skip(f"{error} (package python3-zmq)")
    (case.directory / "run").mkdir()
    case.write("config.yaml", CONFIG.format(directory=case.directory, user=user_name()))
    with Process(case, "exporter") as exporter, Worker(zmq, case) as worker:
        for _ in range(2):
            with Process(case, "tracker", "--shard", "0", "--workers", "1") as tracker:
                worker.send_all(lambda: tracker.poll() is not None)
                errors = tracker.communicate(timeout=PATIENCE_S)[1]
                assert tracker.returncode == FAILED and "batch 1: a packet's descriptor is malformed" in errors, errors
        with Process(case, "tracker", "--shard", "0", "--workers", "1") as tracker:
            worker.send_all(lambda: worker.committed == 2)
            worker.say_bye()
            errors = tracker.communicate(timeout=PATIENCE_S)[1]
            assert tracker.returncode == 0 and "killed this shard's tracker twice" in errors, errors
        errors = exporter.communicate(timeout=PATIENCE_S)[1]
        assert exporter.returncode == 0, errors
    assert case.query("SELECT stage, reason, packets, l2_bytes, l3_bytes, certainty, evidence FROM loss") == [
        ("tracker", "set_aside", 5, 500, 400, "exact",
         "killed this shard's tracker twice; in the run directory as set-aside-capture-0-0-1")]
    assert case.query("SELECT verdict, captured_packets, lost_packets FROM audit") == [("exact", 5, 5)]
    kept = (case.directory / "run" / "set-aside-capture-0-0-1").read_bytes()
    assert b"\xff" * 99 in kept
    assert not list((case.directory / "run").glob("*.page"))


class Process:
    def __init__(self, case, name, *arguments):
        program = Path(case.wanmeter.program).parent.parent / name / f"wanmeter-{name}"
        self.command = [program, "--run-directory", case.directory / "run", "--config", case.directory / "config.yaml",
                        "--shards", "1", *arguments]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


class Worker:
    """Speaks as capture-0: an empty batch, one that makes no sense, and the end."""

    def __init__(self, zmq, case):
        self.zmq, self.endpoint, self.committed = zmq, f"ipc://{case.directory}/run/tracker-0.sock", -1

    def __enter__(self):
        self.context = self.zmq.Context()
        return self

    def __exit__(self, *_):
        self.context.destroy(linger=0)

    def send_all(self, is_done):
        self.socket = self.context.socket(self.zmq.DEALER)
        self.socket.set(self.zmq.ROUTING_ID, b"capture-0")
        self.socket.connect(self.endpoint)
        deadline = time.monotonic() + PATIENCE_S
        self.socket.send(envelope(0, (0, 0, 0), message(5, varint(1, 0) + varint(2, 0) + varint(3, 2))))
        while not is_done():
            assert time.monotonic() < deadline, f"committed: {self.committed}"
            if not self.socket.poll(20):
                continue
            reply = fields(self.socket.recv())
            self.committed = zigzag_back(reply.get(2, 0))
            if 3 in reply:  # welcome
                self.send_batches()

    def send_batches(self):
        self.socket.send(envelope(0, (0, 0, 0), batch(0, b"")))
        self.socket.send(envelope(1, (5, 500, 400), batch(1, b"\xff" * 400)))
        self.socket.send(envelope(2, (5, 500, 400), varint(4, 1) + batch(0, b"")))

    def say_bye(self):
        self.socket.send(envelope(0, (5, 500, 400), varint(8, 1)))


# --- protobuf, as far as it is needed ---

def number(value):
    encoded = b""
    while value > 127:
        encoded += bytes([value & 127 | 128])
        value >>= 7
    return encoded + bytes([value])


def varint(field, value):
    return number(field << 3) + number(value)


def message(field, content):
    return number(field << 3 | 2) + number(len(content)) + content


def envelope(seq, totals, content):
    stream = message(1, b"capture-0") + b"\x11" + struct.pack("<Q", EPOCH) + varint(3, 0)
    sums = b"".join(varint(i + 1, total) for i, total in enumerate(totals))
    return message(1, stream) + varint(2, 2 * seq) + message(3, sums) + content


def batch(n_packets, descriptors):
    return message(6, varint(1, 2 * 10**9) + varint(2, n_packets) + message(3, descriptors))


def fields(encoded):
    """{field: value} of the outermost message: numbers, or bytes."""
    found, at = {}, 0

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = encoded[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(encoded):
        key = take()
        value = take()
        if key & 7 == 2:
            value, at = encoded[at:at + value], at + value
        found[key >> 3] = value
    return found


def zigzag_back(value):
    return value >> 1 ^ -(value & 1)


def user_name():
    return subprocess.run(["id", "-un"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
