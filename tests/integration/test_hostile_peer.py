"""Whoever can reach the processes' sockets can send them anything: nothing of it is counted, nobody falls over."""

import importlib
import os
import random
import stat
import subprocess
import time

from support import capture, traffic
from support.case import PATIENCE_S, each

N_MESSAGES = 300


@each(["malformed", "of a stream that nobody announced"])
def test_messages_that_are_none_of_ours_change_no_bill(case, kind):
    try:
        zmq = importlib.import_module("zmq")
    except ImportError as error:
        case.skip(f"{error} (package python3-zmq)")
    packets = traffic.mix(seed=31, n_packets=20_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    content = (case.directory / "in.pcap").read_bytes()
    half = len(content) // 2

    reader, writer = os.pipe()
    replay = case.wanmeter.start("replay", "-", stdin=reader)
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(content[:half])
        pipe.flush()
        for path in sockets(case, at_least=2):
            send(zmq, path, malformed if kind == "malformed" else unannounced)
        assert replay.poll() is None, "the replay ended"
        pipe.write(content[half:])
    try:
        output, errors = replay.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        replay.kill()
        raise AssertionError(f"the replay hangs\n{replay.communicate()}") from None
    assert replay.returncode == 0, f"exit code {replay.returncode}\n{output}\n{errors}"
    assert case.wanmeter.total() == traffic.total(packets)
    case.wanmeter.audit()


def sockets(case, at_least):
    """The processes' sockets, once they are there. Waits for the processes, which have no other word for it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = [path for path in case.wanmeter.sockets.rglob("*") if is_socket(path)]
        if len(found) >= at_least:
            return found
        assert time.monotonic() < deadline, f"only {found}"
        time.sleep(0.01)


def is_socket(path):
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except FileNotFoundError:
        return False


def send(zmq, path, make):
    source = random.Random(str(path.name))
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.set(zmq.SNDTIMEO, 5000)
    socket.connect(f"ipc://{path}")
    try:
        for _ in range(N_MESSAGES):
            socket.send(make(source))
    except zmq.Again:
        pass        # it does not take more: as good
    finally:
        context.destroy(linger=1000)


def malformed(source):
    """Random bytes, or a message that starts as ours do and goes on with random bytes."""
    return (b"" if source.random() < 0.5 else header(source)) + b"\xff" + source.randbytes(source.randrange(2000))


def unannounced(source):
    """A batch (two bytes of packets) as protobuf has it, of a known producer's unknown start."""
    return header(source) + b"\x32\x04\x1a\x02\xff\xff"


def header(source):
    """The fields 'stream' and 'seq' of a Batch; the sequence number is anything."""
    producer = source.choice((b"capture-0", b"tracker-0"))
    stream = b"\x0a\x09" + producer + b"\x11" + source.randbytes(8) + b"\x18\x00"
    return b"\x0a" + bytes([len(stream)]) + stream + b"\x10" + b"\xfe" * source.randrange(1, 9) + b"\x01"
