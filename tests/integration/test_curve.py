"""A tcp endpoint: who has a key on the list is let in; others get nothing, and are counted."""

import importlib
import socket
import stat
import threading

from support import capture, traffic
from support.case import PATIENCE_S
from support.traffic import CONFIG

ENDPOINTS = """\
events:
  endpoint: tcp://127.0.0.1:{0}
  control_endpoint: tcp://127.0.0.1:{1}
  key_file: daemon.key
  clients: ["{2}"]
  subscribers_min: 2
  subscribers_wait: 10min
"""


def test_only_who_has_a_key_on_the_list_gets_events(case):
    try:
        zmq = importlib.import_module("zmq")
    except ImportError as error:
        case.skip(f"{error} (package python3-zmq)")
    packets = traffic.mix(seed=9, n_packets=3000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    keys = {name: new_key(case, name) for name in ("daemon", "client", "other")}
    ports = free_ports(2)
    case.write("site.yaml", CONFIG + ENDPOINTS.format(*ports, keys["client"][1].decode()))
    replay = case.wanmeter.start("replay", "--config", "site.yaml", "in.pcap")
    said = Lines(replay.stderr)
    context = zmq.Context()
    endpoint = f"tcp://127.0.0.1:{ports[0]}"
    try:
        strangers = [subscribe(context, zmq, endpoint, keys["other"], keys["daemon"][1])]
        said.wait_for("a peer whose key is not on the list was refused")
        strangers.append(subscribe(context, zmq, endpoint, None, None))
        # One that takes somebody else for the daemon.
        strangers.append(subscribe(context, zmq, endpoint, keys["client"], keys["other"][1]))
        said.wait_for("a peer without the keys was refused")
        friend = subscribe(context, zmq, endpoint, keys["client"], keys["daemon"][1])
        ours = case.wanmeter.start("events", "--endpoint", endpoint, "--control", f"tcp://127.0.0.1:{ports[1]}", "--key",
                                   "client.key", "--server-key", keys["daemon"][1].decode(), "--format", "json")
        topics = receive(friend)
        output, errors = ours.communicate(timeout=PATIENCE_S)
        replay.wait(timeout=PATIENCE_S)
        assert replay.returncode == 0, said.text()
        assert ours.returncode == 0, errors
        assert len(topics) > 100 and output.count("\n") > 100, (len(topics), output[-500:], errors)
        assert [stranger.poll(0) for stranger in strangers] == [0, 0, 0]
    finally:
        for process in (replay, locals().get("ours")):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        context.destroy(linger=0)
    assert case.wanmeter.total() == traffic.total(packets)


def test_tcp_without_keys_is_refused_by_the_configuration(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=9, n_packets=10))
    done = case.wanmeter("replay", "--events", "tcp://127.0.0.1:5556", "in.pcap", check=2)
    assert "events.endpoint: tcp without keys" in done.stderr, done.stderr
    done = case.wanmeter("replay", "--set", "events.control_endpoint=udp://127.0.0.1:1", "in.pcap", check=2)
    assert "no such transport" in done.stderr, done.stderr


def test_a_secret_key_that_others_can_read_is_none(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=9, n_packets=10))
    _, public = new_key(case, "daemon")
    path = case.directory / "daemon.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "File exists" in case.wanmeter("key", "new", path, check=1).stderr
    assert case.wanmeter("key", "public", path).stdout.strip().encode() == public
    path.chmod(0o640)
    case.write("site.yaml", ENDPOINTS.format(*free_ports(2), public.decode()))
    done = case.wanmeter("replay", "--config", "site.yaml", "in.pcap", check={1, 2})
    assert "others can read" in done.stderr, done.stderr


def new_key(case, name):
    public = case.wanmeter("key", "new", f"{name}.key").stdout.strip()
    return (case.directory / f"{name}.key").read_bytes().strip(), public.encode()


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def subscribe(context, zmq, endpoint, key, server_public):
    subscriber = context.socket(zmq.SUB)
    subscriber.set(zmq.RCVHWM, 0)
    if key:
        subscriber.curve_secretkey, subscriber.curve_publickey = key
        subscriber.curve_serverkey = server_public
    subscriber.subscribe(b"")
    subscriber.connect(endpoint)
    return subscriber


def receive(subscriber):
    """The topics, until the daemon says goodbye."""
    topics = []
    while not topics or topics[-1] != b"bye":
        assert subscriber.poll(PATIENCE_S * 1000), f"no more events after {len(topics)}"
        topics.append(subscriber.recv_multipart()[0])
    return topics


class Lines:
    """What a process says, read as it comes."""

    def __init__(self, stream):
        self.lines, self.condition = [], threading.Condition()
        self.thread = threading.Thread(target=self.read, args=(stream,), daemon=True)
        self.thread.start()

    def read(self, stream):
        for line in stream:
            with self.condition:
                self.lines.append(line)
                self.condition.notify_all()

    def wait_for(self, text):
        with self.condition:
            assert self.condition.wait_for(lambda: text in "".join(self.lines), PATIENCE_S), f"no '{text}': {self.lines}"

    def text(self):
        with self.condition:
            return "".join(self.lines)
