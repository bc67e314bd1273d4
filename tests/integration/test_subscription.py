"""A subscriber in another language: the events add up to the database, and nothing is missing unnoticed."""

import importlib
import subprocess
import sys
import time
from collections import defaultdict

from support import capture, traffic
from support.case import PATIENCE_S



def test_a_python_subscriber_sees_every_event_once_and_its_sum_is_the_database(case):
    zmq, event_pb2 = modules(case)
    packets = traffic.mix(seed=21, n_packets=5_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    endpoint = f"ipc://{case.directory}/events"
    replay = case.wanmeter.start("replay", "--config", case.write("site.yaml", traffic.CONFIG), "--events", endpoint,
                                 "--wait-subscribers", "1", "in.pcap")
    events = receive(zmq, event_pb2, endpoint, replay)

    assert_no_gaps(events)
    kinds = {topic.split(".")[0] for topic, _ in events}
    assert {"new", "update", "destroy", "usage", "bye"} <= kinds, kinds
    assert usage_of(events) == case.wanmeter.usage_totals() == traffic.usage_totals(packets)
    assert connections_of(events) == connections_in(case)


def test_a_subscriber_to_one_account_hears_of_no_other(case):
    zmq, event_pb2 = modules(case)
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=22, n_packets=2_000))
    endpoint = f"ipc://{case.directory}/events"
    replay = case.wanmeter.start("replay", "--config", case.write("site.yaml", traffic.CONFIG), "--events", endpoint,
                                 "--wait-subscribers", "2", "in.pcap")
    events = receive(zmq, event_pb2, endpoint, replay, prefixes=(b"usage.alice", b"bye"))
    assert {topic for topic, _ in events if topic != "bye"} == {"usage.alice"}
    assert usage_of(events) == {key: sums for key, sums in case.wanmeter.usage_totals().items() if key[0] == "alice"}


def modules(case):
    """pyzmq, and the event contract compiled for Python."""
    try:
        zmq = importlib.import_module("zmq")
        importlib.import_module("google.protobuf")
    except ImportError as error:
        case.skip(f"{error} (packages python3-zmq and python3-protobuf)")
    subprocess.run(["protoc", f"--proto_path={case.root / 'proto'}", f"--python_out={case.directory}", "event.proto"],
                   check=True)
    sys.path.insert(0, str(case.directory))
    return zmq, importlib.import_module("event_pb2")


def receive(zmq, event_pb2, endpoint, replay, prefixes=(b"",)):
    """Every (topic, Event) up to the exporter's 'bye'; the replay must end well after it."""
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.set(zmq.RCVHWM, 0)
    for prefix in prefixes:
        socket.subscribe(prefix)
    socket.connect(endpoint)
    events, deadline = [], time.monotonic() + PATIENCE_S
    try:
        while not events or events[-1][0] != "bye":
            if not socket.poll(1000 * max(0, deadline - time.monotonic())):
                replay.kill()
                raise AssertionError(f"no bye after {len(events)} events\n{replay.communicate()}")
            topic, payload = socket.recv_multipart()
            events.append((topic.decode(), event_pb2.Event.FromString(payload)))
    finally:
        context.destroy(linger=0)
    output, errors = replay.communicate(timeout=PATIENCE_S)
    assert replay.returncode == 0, f"exit code {replay.returncode}\n{output}\n{errors}"
    return [(topic, event) for topic, event in events if topic != "heartbeat"]


def assert_no_gaps(events):
    next_seq = defaultdict(int)
    for topic, event in events:
        assert event.topic == topic
        if topic != "bye":
            assert event.seq == next_seq[topic], f"{topic}: seq {event.seq} after {next_seq[topic] - 1}"
            next_seq[topic] += 1
    last = {state.topic: state.last_seq for state in events[-1][1].heartbeat.topics}
    assert last == {topic: seq - 1 for topic, seq in next_seq.items()}, "the bye names other last events"
    assert len({event.epoch for _, event in events}) == 1


def usage_of(events):
    sums = defaultdict(lambda: [0, 0, 0])
    for topic, event in events:
        if topic.startswith("usage."):
            usage = event.usage
            row = sums[(usage.account, usage.wan, usage.direction, getattr(usage, "class"))]
            for n, value in enumerate((usage.packets, usage.l2_bytes, usage.l3_bytes)):
                row[n] += value
    return {key: tuple(row) for key, row in sums.items()}


def connections_of(events):
    """{id: (packets, l3_bytes)}: the sums over each connection's events; each began once and ended once."""
    kinds, sums = defaultdict(list), defaultdict(lambda: [0, 0])
    for topic, event in events:
        kind = topic.split(".")[0]
        if kind in ("new", "update", "destroy"):
            connection = event.connection
            kinds[connection.id].append(kind)
            sums[connection.id][0] += connection.orig.packets + connection.reply.packets
            sums[connection.id][1] += connection.orig.l3_bytes + connection.reply.l3_bytes
    for seen in kinds.values():
        assert seen[0] == "new" and seen[-1] == "destroy" and set(seen[1:-1]) <= {"update"}, seen
    return {connection_id: tuple(row) for connection_id, row in sums.items()}


def connections_in(case):
    rows = case.query("SELECT id, sum(orig_packets + reply_packets), sum(orig_l3_bytes + reply_l3_bytes) FROM flow "
                      "GROUP BY id")
    return {row[0]: row[1:] for row in rows}
