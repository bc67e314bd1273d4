"""IPv6 flow labels: in flows and events, and leased, so that what carries one is of an account and a class."""

import json
import signal
from dataclasses import dataclass

from support import capture, network
from support.capture import NANOSECONDS, Packet
from support.case import PATIENCE_S

CONFIG = """\
run_directory: {directory}/run
sources:
  - interface: mirror0
local_prefixes: ["2001:db8:1::/48"]
accounts:
  - name: alice
    prefixes: ["2001:db8:1::/48"]
  - name: bob
    prefixes: ["2001:db8:2::/48"]
classes: [voice]
{more}
"""
HERE, THERE = "2001:db8:1::1", "2001:db8:ffff::1"
KERNEL_HEADING = "Label S Owner  Users  Linger Expires  Dst                              Opt"


def test_a_flow_has_its_directions_first_labels_and_counts_changes(case):
    packets = [udp(n, label, reply) for n, (label, reply) in enumerate(
        [(5, False), (6, False), (0xfffff, True), (6, False), (5, False), (0xfffff, True), (0, True)])]
    capture.write_pcap(case.directory / "labels.pcap", packets)
    case.wanmeter("replay", "labels.pcap")
    assert case.query("SELECT sum(orig_packets), sum(reply_packets), min(flow_label_orig), max(flow_label_reply), "
                      "sum(flow_label_changes) FROM flow") == [(4, 3, 5, 0xfffff, 3)]
    case.wanmeter.audit()


def test_a_lease_gives_its_packets_an_account_and_a_class_while_it_lasts(case):
    """Asked for live; what it does is seen in replays with these changes, of packets before, during and after it."""
    daemon = start(case)
    label = flowlabel(case, "get", "new", f"dst={THERE}", "account=bob", "class=voice", "linger=8").strip()
    flowlabel(case, "put", label)
    stop(daemon)
    (got,), (put,) = case.query("SELECT time_ns FROM change WHERE result = 0 ORDER BY time_ns")
    over = put + 8 * NANOSECONDS
    sent = [Flow(40001, got - 1, "alice", "connection"), Flow(40002, got, "bob", "voice"),
            Flow(40003, put, "bob", "voice"), Flow(40004, over - 1, "bob", "voice"),
            Flow(40005, over, "alice", "connection"), Flow(40006, got + 1, "alice", "connection", label=7),
            Flow(40007, got + 2, "alice", "connection", destination="2001:db8:ffff::2")]
    capture.write_pcap(case.directory / "sent.pcap",
                       sorted((flow.packet(int(label, 16)) for flow in sent), key=lambda packet: packet.time_ns))
    for shards in (1, 4):
        database = f"{shards}.db"
        case.wanmeter("replay", "--config", config(case), "--changes", "wanmeter.db", "-d", database, "--shards", shards,
                      "sent.pcap")
        found = case.query("SELECT DISTINCT orig_src_port, account, class FROM flow ORDER BY 1", database=database)
        assert found == [(flow.port, flow.account, flow.kind) for flow in sent]
        billed = case.query("SELECT account, class, sum(packets) FROM usage GROUP BY 1, 2 ORDER BY 1", database=database)
        assert billed == [("alice", "connection", 4), ("bob", "voice", 3)]
        case.wanmeter.audit(database=database)


def test_a_rule_outranks_a_lease(case):
    rules = 'rules:\n  - match: "udp dst port 9"\n    ct: commit,account=alice\n'
    daemon = start(case, rules)
    label = flowlabel(case, "get", "new", f"dst={THERE}", "account=bob", "class=voice").strip()
    network.send("mirror1", [Flow(40001, 0, "", "").packet(int(label, 16)).frame,
                             Flow(40002, 0, "", "", to_port=10).packet(int(label, 16)).frame])
    stop(daemon)
    assert case.query("SELECT orig_src_port, account, class FROM flow ORDER BY 1") == [
        (40001, "alice", "voice"), (40002, "bob", "voice")]


def test_connections_that_are_listed_have_their_labels(case):
    daemon = start(case)
    network.send("mirror1", (udp(n, label, reply).frame for n, (label, reply) in enumerate(
        [(5, False), (0xfffff, True), (6, False), (6, False), (7, False)])))
    rows = []
    while sum(int(row["orig"]["packets"]) for row in rows) < 4:
        done = case.wanmeter("ct", "list", "--format", "json", "--run-directory", run_directory(case))
        rows = json.loads(done.stdout)["rows"]
    assert [(row["flow_label_orig"], row["flow_label_reply"], row["flow_label_changes"]) for row in rows] == [(5, 0xfffff, 2)]
    stop(daemon)


def test_leases_are_listed_in_the_kernels_columns(case):
    daemon = start(case, shards=3)
    flowlabel(case, "get", "0x12345", "create", f"dst={THERE}", "share=user", "linger=30", "expires=100", "account=bob")
    flowlabel(case, "get", "0x12345", f"dst={THERE}", "share=user", "holder=other")
    flowlabel(case, "get", "0x54321", "create", "dst=::1", "hopopts=0000010400000000")
    heading, *rows = flowlabel(case, "list").splitlines()
    assert heading == KERNEL_HEADING
    assert [row.split() for row in rows] == [
        ["54321", "1", "0", "1", "6", rows[0].split()[5], "0" * 31 + "1", "8"],
        ["12345", "3", "0", "2", "30", rows[1].split()[5], "20010db8ffff00000000000000000001", "0"]]
    starts = [heading.index(word) for word in heading.split()]
    assert all(row[at] != " " and row[at - 1:at] in ("", " ") for row in rows for at in starts), rows
    listed = json.loads(flowlabel(case, "list", "--format", "json"))["rows"]
    assert [(row["label"], row["address"], row["account"], row["class"]) for row in listed] == [
        ("54321", "::1", None, None), ("12345", THERE, "bob", None)]
    headers = json.loads(flowlabel(case, "headers", "0x54321", "dstopts=0000010400000000", "--format", "json"))["rows"]
    assert headers == [{"hopopts": "0000010400000000", "rthdrdstopts": None, "rthdr": None, "dstopts": "0000010400000000"}]
    stop(daemon)


def test_what_is_refused_has_the_kernels_error(case):
    daemon = start(case)
    flowlabel(case, "get", "0x12345", "create", f"dst={THERE}")
    for words, said in [
        (("get", "0x12345", f"dst={THERE}"), "Operation not permitted"),
        (("get", "0x12345", "create", "exclusive", f"dst={THERE}"), "File exists"),
        (("get", "0x12346", f"dst={THERE}"), "No such file or directory"),
        (("get", "0x100000", "create", f"dst={THERE}"), "Invalid argument"),
        (("get", "new", "reflect", f"dst={THERE}"), "Operation not permitted"),
        (("put", "0x12346"), "No such process"),
        (("renew", "0x12346"), "No such process"),
        (("get", "new", f"dst={THERE}", "account=carol"), "there is none of the name 'carol'"),
    ]:
        done = case.wanmeter("flowlabel", *words, "--run-directory", run_directory(case), check=1)
        assert said in done.stderr, done.stderr
    for words in (["take"], ["get"], ["list", "all"]):
        case.wanmeter("flowlabel", *words, check=2)
    stop(daemon)
    case.wanmeter("flowlabel", "list", "--run-directory", run_directory(case), check=5)


# --- packets ---

@dataclass
class Flow:
    """One packet, and what it must be counted as."""
    port: int
    time_ns: int
    account: str
    kind: str
    label: int = None
    destination: str = THERE
    to_port: int = 9

    def packet(self, label):
        label = label if self.label is None else self.label
        inner = capture.ipv6(HERE, self.destination, capture.udp(self.port, self.to_port, b"x"), flow_label=label)
        return Packet(self.time_ns, capture.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", inner))


def udp(second, label, is_reply):
    ends = (THERE, HERE) if is_reply else (HERE, THERE)
    ports = (9, 40000) if is_reply else (40000, 9)
    inner = capture.ipv6(*ends, capture.udp(*ports, b"x"), flow_label=label)
    return Packet((10**9 + second) * NANOSECONDS, capture.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", inner))


# --- a running daemon ---

def config(case, more=""):
    return case.write("labels.yaml", CONFIG.format(directory=case.directory, more=more))


def run_directory(case):
    return case.directory / "run"


def start(case, more="", shards=2):
    problem = network.enter()
    if problem:
        case.skip(problem)
    network.make_veth("mirror0", "mirror1")
    daemon = case.wanmeter.start("run", "--config", config(case, more), "--set", f"tracker.shards={shards}")
    for line in daemon.stderr:
        if "ready: capturing" in line:
            return daemon
    raise AssertionError(daemon.communicate()[0])


def stop(daemon):
    daemon.send_signal(signal.SIGTERM)
    output, errors = daemon.communicate(timeout=PATIENCE_S)
    assert daemon.returncode == 0, f"exit code {daemon.returncode}\n{output}\n{errors}"


def flowlabel(case, *words):
    return case.wanmeter("flowlabel", *words, "--run-directory", run_directory(case)).stdout
