"""A running daemon's connections: listed, watched, updated and deleted, in the words of conntrack(8), and again in a replay."""

import importlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import zlib

from support import capture, network, traffic
from support.case import PATIENCE_S

CONFIG = """\
run_directory: {directory}/run
tracker: {{shards: 2}}
sources:
  - interface: {interface}
"""


def test_connections_are_listed_updated_and_deleted(case):
    enter_network(case)
    packets = traffic.mix(seed=21, n_packets=3000)
    daemon = start(case, "mirror0")
    network.send("mirror1", (packet.frame for packet in packets))
    settle(case)
    n_all, n_udp = int(ct(case, "count").stdout), int(ct(case, "count", "-p", "udp").stdout)
    assert 0 < n_udp < n_all
    assert len(ct(case, "list").stdout.splitlines()) == n_all
    rows = json.loads(ct(case, "list", "--format", "json").stdout)["rows"]
    assert len({row["id"] for row in rows}) == n_all

    updated = ct(case, "update", "-p", "udp", "--set-mark", "0x7/0xff", "--set-label", "0x5")
    assert updated.stderr == f"wanmeter ct: {n_udp} flow entries have been updated.\n"
    marked = ct(case, "list", "--mark", "0x3/0x3", "--label", "0x4").stdout.splitlines()
    assert len(marked) == n_udp and all(" udp " in line and " mark=7 " in line for line in marked)
    ct(case, "update", "-p", "udp", "--set-mark", "0x100/0x100", "--set-label", "0x0/0x4")
    assert " mark=263 " in ct(case, "list", "-p", "udp").stdout
    assert int(ct(case, "count", "--label", "0x1").stdout) == n_udp
    assert int(ct(case, "count", "--label", "0x4").stdout) == 0

    one = rows[0]["id"]
    assert len(ct(case, "get", "--id", one % 2**64).stdout.splitlines()) == 1
    ct(case, "delete", "--id", one % 2**64)
    assert ct(case, "get", "--id", one % 2**64, check=1).stderr == "wanmeter ct: such conntrack doesn't exist\n"
    assert ct(case, "delete", "--id", one % 2**64, check=1).stderr == "wanmeter ct: 0 flow entries have been deleted.\n"
    ct(case, "flush")
    assert int(ct(case, "count").stdout) == 0
    stop(daemon)

    reasons = dict(case.query("SELECT end_reason, count(*) FROM flow WHERE state <> 'none' GROUP BY 1"))
    assert reasons["deleted"] == n_all, reasons
    assert case.query("SELECT words, result, affected, uid FROM change WHERE words LIKE '%\"flush\"%'") == \
        [('["ct","flush"]', 0, n_all - 1, os.geteuid())]
    assert case.wanmeter.total() == traffic.total(packets)
    case.wanmeter.audit()


def test_changes_go_by_the_first_of_several_interfaces(case):
    """Also where packets come by another one only: the first one's clock follows the wall."""
    enter_network(case)
    network.make_veth("other0", "other1")
    packets = traffic.mix(seed=24, n_packets=2000)
    daemon = start(case, "mirror0", "  - interface: other0\n", interfaces=2)
    network.send("other1", (packet.frame for packet in packets))
    settle(case)
    n_all = int(ct(case, "count").stdout)
    assert ct(case, "update", "--set-mark", "9").stderr == f"wanmeter ct: {n_all} flow entries have been updated.\n"
    assert int(ct(case, "count", "--mark", "9").stdout) == n_all > 0
    stop(daemon)
    case.wanmeter.audit()


def test_what_cannot_be_done_says_why(case):
    enter_network(case)
    assert "no daemon" in ct(case, "count", check=5).stderr
    daemon = start(case, "mirror0")
    for status, arguments, words in [
        (2, ["update", "--set-mark", "0x700/0xff"], "outside its mask"),
        (2, ["update", "--set-label", "+nosuch"], "nosuch"),
        (2, ["update", "-p", "udp"], "--set-mark"),
        (2, ["list", "--state", "OPEN"], "OPEN"),
        (2, ["list", "-s", "192.0.2.1/33"], "192.0.2.1/33"),
        (2, ["list", "--account", "nosuch"], "nosuch"),
        (2, ["frob"], "frob"),
        (1, ["delete", "-s", "192.0.2.1"], "0 flow entries have been deleted"),
    ]:
        said = ct(case, *arguments, check=status).stderr
        assert words in said, said
    stop(daemon)
    case.wanmeter.audit()


def test_the_same_packets_and_changes_give_the_same_rows(case):
    """The connections that were updated and deleted while the packets came are so in a replay of the packets."""
    enter_network(case)
    packets = traffic.mix(seed=22, n_packets=6000)
    daemon = start(case, "mirror0")
    with Recorder("mirror0") as recorder:
        for i in range(6):
            network.send("mirror1", (packet.frame for packet in packets[i::6]))
            ct(case, "update", "-p", "tcp", "--set-mark", f"{i}/0xf", "--set-label", f"{1 << i:#x}/{1 << i:#x}", check={0, 1})
            ct(case, "delete", "-p", "udp", "--dport", "53", check={0, 1})
            ct(case, "delete", "-f", "ipv6", "-p", "udp", check={0, 1})
        recorder.wait_for(len(packets))
    stop(daemon)
    capture.write_pcap(case.directory / "same.pcap", recorder.packets)
    split_by_connection(case, recorder.packets, [packet for i in range(6) for packet in packets[i::6]])

    flows = flow_rows(case, "wanmeter.db")
    assert sum(row[-1] == "deleted" for row in flows) > 10
    for shards, files in ((1, ["same.pcap"]), (3, ["same.pcap"]), (2, ["--workers", "2", "some.pcap", "others.pcap"])):
        again = f"again-{shards}.db"
        case.wanmeter("replay", "--changes", "wanmeter.db", "-d", again, "--shards", shards, *files)
        found, usage = (set(case.query("SELECT * FROM usage", database=name)) for name in (again, "wanmeter.db"))
        assert found == usage, f"{files}: {found ^ usage}"
        found = flow_rows(case, again)
        assert found == flows, f"{shards} shards: {set(found) ^ set(flows)}"
        assert changes(case, again) == changes(case, "wanmeter.db")
        case.wanmeter.audit(database=again)
    case.wanmeter("replay", "-d", "without.db", "same.pcap")
    assert flow_rows(case, "without.db") != flows


def split_by_connection(case, recorded, sent):
    """Into two files: fragments find each other within one."""
    assert [packet.frame for packet in recorded] == [packet.frame for packet in sent]
    is_first = [zlib.crc32(repr(packet.about or packet.connection).encode()) % 2 == 0 for packet in sent]
    for name, which in (("some.pcap", True), ("others.pcap", False)):
        capture.write_pcap(case.directory / name,
                           [packet for packet, first in zip(recorded, is_first, strict=True) if first == which])


def test_who_sends_anything_changes_nothing(case):
    """Random bytes, random words and too large a message at the control sockets: the daemon goes on, and the bill is right."""
    try:
        zmq = importlib.import_module("zmq")
    except ImportError as error:
        case.skip(f"{error} (package python3-zmq)")
    enter_network(case)
    packets = traffic.mix(seed=23, n_packets=2000)
    daemon = start(case, "mirror0")
    network.send("mirror1", (packet.frame for packet in packets[:1000]))
    source, context = random.Random(23), zmq.Context()
    for name in ("change.sock", "ct-0.sock", "ct-1.sock"):
        asker = context.socket(zmq.DEALER)
        asker.set(zmq.LINGER, 0)
        asker.connect(f"ipc://{case.directory}/run/{name}")
        for _ in range(200):
            asker.send(source.choice((random_bytes, random_words))(source))
            if not asker.poll(10000):
                raise AssertionError(f"{name}: no answer")
            asker.recv()
        asker.send(bytes(65 * 1024))
        assert not asker.poll(300), "a message that is too large was taken"
    context.destroy(linger=0)
    network.send("mirror1", (packet.frame for packet in packets[1000:]))
    assert int(ct(case, "count").stdout) > 0
    stop(daemon)
    assert case.wanmeter.total() == traffic.total(packets)
    case.wanmeter.audit()


def random_bytes(source):
    return source.randbytes(source.randrange(200))


def random_words(source):
    """A Request of words that no command has, or of one that has too few."""
    words = [source.choice([b"ct", b"timeout", b"label", b"flowlabel", b"change", b"x", b"", b"list", b"\xff", b"a\0b"])
             for _ in range(source.randrange(70))]
    if words and words[0] in (b"ct", b"timeout", b"label", b"flowlabel"):
        words.insert(1, b"nothing")
    return b"".join(b"\x0a" + bytes([len(word)]) + word for word in words)


def test_other_users_are_refused_and_counted(case):
    """Also where the file system would let them in."""
    if os.geteuid() != 0:
        case.skip("only root can become another user")
    enter_network(case)
    daemon = start(case, "mirror0")
    for path in [case.directory, *(case.directory / "run").iterdir(), case.directory / "run"]:
        path.chmod(0o777)
    as_other = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"]
    for word in ("flush", "count"):
        refused = case.wanmeter.start("ct", "-r", case.directory / "run", word, prefix=as_other)
        _, errors = refused.communicate(timeout=PATIENCE_S)
        assert refused.returncode == 5 and "only the daemon's own user and root are let in" in errors, errors
    assert re.search(r"shard=0 .*peers_refused=[1-9]", ct(case, "stats").stdout)
    ct(case, "flush")
    daemon.send_signal(signal.SIGTERM)
    _, errors = daemon.communicate(timeout=PATIENCE_S)
    assert daemon.returncode == 0 and "a peer of another user was refused" in errors, errors
    assert case.query("SELECT words, uid FROM change") == [('["ct","flush"]', 0)]


def flow_rows(case, database):
    """Each flow's sums, and what its last record says: a daemon that goes on without packets may cut one more before."""
    return sorted(case.query(
        "SELECT id, orig_src_address, orig_dst_address, orig_src_port, protocol, sum(orig_packets), sum(orig_ct_l3_bytes),"
        " sum(reply_packets), sum(reply_ct_l3_bytes), min(first_ns), max(last_ns), max(state) FILTER (WHERE record = 'final'),"
        " max(status) FILTER (WHERE record = 'final'), max(mark) FILTER (WHERE record = 'final'),"
        " max(hex(labels)) FILTER (WHERE record = 'final'), max(end_reason) FILTER (WHERE record = 'final')"
        " FROM flow GROUP BY id", database=database))


def changes(case, database):
    return case.query("SELECT time_ns, id, words, uid, pid, seed, result, affected FROM change", database=database)


class Recorder:
    """The packets that an interface receives, with the kernel's timestamps and their VLAN tags, which the kernel takes off."""

    SO_TIMESTAMPNS, SOL_PACKET, PACKET_AUXDATA, VLAN_VALID = 35, 263, 8, 1 << 4

    def __init__(self, interface):
        self.packets, self.is_over = [], False
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(network.ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, self.SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(self.SOL_PACKET, self.PACKET_AUXDATA, 1)
        self.socket.bind((interface, 0))
        self.socket.settimeout(0.1)
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.is_over = True
        self.thread.join()
        self.socket.close()

    def run(self):
        while not self.is_over:
            try:
                frame, extra, _, _ = self.socket.recvmsg(65536, 128)
            except TimeoutError:
                continue
            extra = {kind: content for _, kind, content in extra}
            seconds, nanoseconds = struct.unpack("qq", extra[self.SO_TIMESTAMPNS][:16])
            status, _, _, _, _, tag, protocol = struct.unpack("IIIHHHH", extra[self.PACKET_AUXDATA][:20])
            if status & self.VLAN_VALID:
                frame = frame[:12] + struct.pack("!HH", protocol, tag) + frame[12:]
            self.packets.append(capture.Packet(seconds * 10**9 + nanoseconds, frame))

    def wait_for(self, n_packets):
        deadline = time.monotonic() + PATIENCE_S
        while len(self.packets) < n_packets:
            assert time.monotonic() < deadline, f"only {len(self.packets)} of {n_packets}"
            time.sleep(0.01)


# --- beside the real conntrack ---

RULES = """\
table inet t {
 ct helper ftp-h { type "ftp" protocol tcp; }
 chain local { type filter hook output priority -151; policy accept;
  udp dport 5300 ct mark set 0x5
  tcp dport 8001 ct mark set 0x10
  tcp dport 8000 ct helper set "ftp-h"
 }
 chain first { type filter hook output priority -300; policy accept;
  udp dport 5301 ct zone set 9
 }
}
"""
WATCHED = ("-o", "extended,timestamp,id,labels")


def test_lists_and_events_read_as_those_of_conntrack(case):
    """The kernel tracks what goes over the loopback interface; wanmeter watches it go by."""
    if not shutil.which("conntrack") or not shutil.which("nft"):
        case.skip("no conntrack or nft (packages conntrack, nftables)")
    enter_network(case)
    prepare_kernel(case)
    daemon = start(case, "lo", "rules: [{match: udp dst port 5300, ct: 'commit,mark=5'},"
                   " {match: udp dst port 5301, ct: 'commit,zone=9'},"
                   " {match: tcp dst port 8000, ct: 'commit,helper=ftp'},"
                   " {match: tcp dst port 8001, ct: 'commit,mark=0x10'}, {match: ip or ip6, ct: commit}]")
    with Lines("conntrack", "-E", *WATCHED) as kernel, \
            Lines(case.wanmeter.program, "ct", "watch", "-r", case.directory / "run") as ours:
        sockets = talk()
        for lines in (kernel, ours):
            for port in ("8000", "8001", "8002"):
                lines.wait_for(f"dport={port}", "ESTABLISHED")
        listed = subprocess.run(["conntrack", "-L", "-f", "ipv4", "-o", "extended,id,labels,timestamp"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, check=True).stdout
        listed += subprocess.run(["conntrack", "-L", "-f", "ipv6", "-o", "extended,id,labels,timestamp"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True).stdout
        wanted, deadline = plain(set(listed.splitlines())), time.monotonic() + PATIENCE_S
        while plain(ct(case, "list").stdout.splitlines()) != wanted:    # what came last may still be on its way
            assert time.monotonic() < deadline, f"{ct(case, 'list').stdout}\nkernel:\n{listed}"
            time.sleep(0.05)
        subprocess.run(["conntrack", "-D", "-p", "udp"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        ct(case, "delete", "-p", "udp")
        for each in sockets:
            each.close()
        for lines in (kernel, ours):
            for port in ("8000", "8001", "8002"):
                lines.wait_for(f"dport={port}", "TIME_WAIT")
            for port in ("5300", "5301"):
                lines.wait_for(f"dport={port}", "DESTROY")
    stop(daemon)
    for ports, lines in by_connection(kernel.lines).items():
        assert by_connection(ours.lines).get(ports) == lines, "\n".join(by_connection(ours.lines).get(ports, []) + lines)
    assert len(by_connection(ours.lines)) == 5
    assert sum(" helper=ftp " in line for line in ours.lines) == 6
    assert sum(" zone=9 " in line for line in ours.lines) == 2


def prepare_kernel(case):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    loaded = subprocess.run(["nft", "-f", "-"], input=RULES, text=True, stderr=subprocess.PIPE, check=False)
    if loaded.returncode != 0:
        case.skip(f"no connection tracking in a namespace: {loaded.stderr.strip()}")
    for name in ("nf_conntrack_acct", "nf_conntrack_timestamp"):
        subprocess.run(["sysctl", "-qw", f"net.netfilter.{name}=1"], check=True)


def talk():
    """Two datagrams, one answered, and three TCP connections, one over IPv6; returns the open sockets."""
    asker, server = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    server.bind(("127.0.0.1", 5300))
    asker.sendto(b"question", ("127.0.0.1", 5300))
    server.sendto(b"answer", server.recvfrom(100)[1])
    lone, deaf = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    deaf.bind(("127.0.0.1", 5301))
    lone.sendto(b"x", ("127.0.0.1", 5301))
    opened = [asker, server, lone, deaf]
    for family, address, port in ((socket.AF_INET, "127.0.0.1", 8000), (socket.AF_INET, "127.0.0.1", 8001),
                                  (socket.AF_INET6, "::1", 8002)):
        listener = socket.socket(family)
        listener.bind((address, port))
        listener.listen()
        client = socket.create_connection((address, port))
        accepted, _ = listener.accept()
        client.send(b"hello")
        accepted.recv(100)
        opened += [client, accepted, listener]
    return opened


VOLATILE = re.compile(r" id=\d+| use=\d+| delta-time=\d+| \[USERSPACE\].*|^\[[0-9.]+\]\t")
TIMEOUT = re.compile(r"^((?:.*\] )?ipv\S+ +\d+ \S+ +\d+) (\d+)( |$)")


def plain(lines):
    """Without what differs by nature: ids, ages, and seconds that passed between two looks."""
    return sorted(TIMEOUT.sub(lambda found: f"{found[1]} {round(int(found[2]), -1) if int(found[2]) > 5 else 0}{found[3]}",
                              VOLATILE.sub("", line)) for line in lines)


def by_connection(lines):
    """{(source, destination ports): [line, …] in their order}"""
    found = {}
    for line in lines:
        ports = re.search(r"sport=(\d+) dport=(\d+)", line)
        if ports:
            found.setdefault(ports.groups(), []).append(*plain([line]))
    return found


class Lines:
    """What a command prints, while it runs."""

    def __init__(self, *command):
        self.command, self.lines = list(map(str, command)), []

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.thread = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")))
        self.thread.start()
        time.sleep(0.5)     # until it listens, of which it says nothing
        return self

    def __exit__(self, kind, error, trace):
        self.process.terminate()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()

    def wait_for(self, *words):
        deadline = time.monotonic() + PATIENCE_S
        while not any(all(word in line for word in words) for line in list(self.lines)):
            assert time.monotonic() < deadline, f"no line with {words}: {''.join(self.lines)}"
            time.sleep(0.02)


# ---

def enter_network(case):
    problem = network.enter()
    if problem:
        case.skip(problem)
    network.make_veth("mirror0", "mirror1")


def start(case, interface, more="", interfaces=1):
    """Returns when it captures; 'more' goes behind the first interface."""
    config = case.write("live.yaml", CONFIG.format(directory=case.directory, interface=interface) + more)
    daemon = case.wanmeter.start("run", "--config", config)
    said, deadline = b"", time.monotonic() + PATIENCE_S
    while said.count(b"ready: capturing") < interfaces:
        readable, _, _ = select.select([daemon.stderr], [], [], max(0, deadline - time.monotonic()))
        piece = os.read(daemon.stderr.fileno(), 4096) if readable else b""
        said += piece
        if not piece:
            daemon.kill()
            raise AssertionError(f"not ready: {said.decode(errors='replace')} {daemon.communicate()[1]}")
    return daemon


def settle(case):
    """Waits until the trackers' clock has passed what was sent so far."""
    sent_ns, deadline = time.time_ns(), time.monotonic() + PATIENCE_S
    while min(int(clock) for clock in re.findall(r"clock_ns=(-?\d+)", ct(case, "stats").stdout)) < sent_ns:
        assert time.monotonic() < deadline, "the clock stands still"
        time.sleep(0.05)


def stop(daemon):
    daemon.send_signal(signal.SIGTERM)
    output, errors = daemon.communicate(timeout=PATIENCE_S)
    assert daemon.returncode == 0, f"exit code {daemon.returncode}\n{output}\n{errors}"


def ct(case, *arguments, check=0):
    return case.wanmeter("ct", "-r", case.directory / "run", *arguments, check=check)
