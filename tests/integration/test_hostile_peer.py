"""Whoever can reach the processes' sockets can send them anything: nothing of it is counted, nobody falls over."""

import importlib
import os
import random
import stat
import time

from support import capture, traffic

SOCKETS_TIMEOUT_S = 20
N_MESSAGES = 300


def test_garbage_on_every_socket_changes_no_bill(case):
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
            send_garbage(zmq, path)
        assert replay.poll() is None, "the replay ended"
        pipe.write(content[half:])
    output, errors = replay.communicate(timeout=60)
    assert replay.returncode == 0, f"exit code {replay.returncode}\n{output}\n{errors}"
    assert case.wanmeter.total() == traffic.total(packets)
    case.wanmeter.audit()


def sockets(case, at_least):
    """The processes' sockets, once they are there. Waits for the processes, which have no other word for it."""
    deadline = time.monotonic() + SOCKETS_TIMEOUT_S
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


def send_garbage(zmq, path):
    source = random.Random(str(path.name))
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.set(zmq.SNDTIMEO, 5000)
    socket.set(zmq.LINGER, 1000)
    socket.connect(f"ipc://{path}")
    try:
        for n in range(N_MESSAGES):
            socket.send(garbage(source, n))
    except zmq.Again:
        pass        # it does not take more: as good
    finally:
        context.destroy(linger=1000)


def garbage(source, n):
    """Random bytes; and messages that start as ours do: a stream (field 1), then a sequence number that is far off."""
    if n % 3 == 0:
        return source.randbytes(source.randrange(2000))
    stream = b"\x0a\x09capture-0" + b"\x11" + source.randbytes(8) + b"\x18\x00"
    message = b"\x0a" + bytes([len(stream)]) + stream + b"\x10" + b"\xfe" * source.randrange(1, 9) + b"\x01"
    return message + (source.randbytes(40) if n % 3 == 1 else b"\x32\x04\x1a\x02\xff\xff")
