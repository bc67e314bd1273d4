"""Rules on real captures: zones, marks, labels, classes and accounts in the bill; names of labels in a running daemon."""

import json
import time

from integration.test_control import enter_network, settle, start, stop
from support import capture, network, traffic
from support.capture import ACK, NANOSECONDS, SYN, Packet
from support.case import each

HERE, THERE = "02:00:00:00:00:05", "02:00:00:00:00:01"
RULES = """\
classes: [voice, web]
labels: ["17 gold", "3 cheap stuff"]
rules:
  - {match: "tcp port 80 or tcp port 443", ct: "commit,mark=0x5/0xff,label=gold,class=web"}
  - {match: "udp", ct: "commit,zone=9,class=voice,account=bob,label=cheap stuff"}
  - {match: "icmp or icmp6", ct: "account=shop"}
  - {match: "tcp dst port 22", ct: notrack}
  - {match: "not (icmp or icmp6)", ct: commit}
"""


@each([1, 2, 4])
def test_rules_give_the_same_rows_whatever_the_shards(case, shards):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=31, n_packets=8000))
    config = case.write("site.yaml", traffic.CONFIG + RULES)
    replay(case, config, "in.pcap", "--shards", shards, "--workers", 1)
    assert case.query("SELECT verdict FROM audit_flows") == [("equal",)]
    assert case.query("SELECT count(*) > 0 FROM flow WHERE class = 'voice' AND zone = 9 AND account = 'bob'") == [(1,)]
    strays = "SELECT count(*) FROM flow WHERE (protocol = 17) <> (class = 'voice') OR (class = 'web') <> (mark = 5)"
    assert case.query(strays) == [(0,)]
    assert case.query("SELECT DISTINCT label_names FROM flow WHERE class = 'web'") == [("gold",)]
    assert case.query("SELECT count(*) FROM flow WHERE protocol IN (1, 58) AND (state <> 'none' OR account <> 'shop')") \
        == [(0,)]
    replay(case, config, "in.pcap", database="one.db")
    for view in ("usage", "flow"):
        rows = f"SELECT * FROM {view}"
        assert sorted(case.query(rows), key=repr) == sorted(case.query(rows, database="one.db"), key=repr)


def test_one_tuple_in_two_zones_is_two_connections(case):
    tick = NANOSECONDS
    frames = [tcp(HERE, "10.0.0.1", "192.0.2.1", 1000, 80, SYN), tcp(HERE, "10.0.0.1", "192.0.2.1", 1000, 80, SYN, vlan=7),
              tcp(THERE, "192.0.2.1", "10.0.0.1", 80, 1000, SYN | ACK, vlan=7)]
    capture.write_pcap(case.directory / "in.pcap", [Packet(n * tick, frame) for n, frame in enumerate(frames)])
    config = case.write("site.yaml", "wans: [{name: a, match: {vlan: 7}}]\nrules: [{wan: a, ct: 'commit,zone=7'}]\n")
    replay(case, config, "in.pcap", "--shards", 2)
    assert case.query("SELECT zone, state, orig_packets, reply_packets FROM flow ORDER BY zone") == \
        [(0, "SYN_SENT", 1, 0), (7, "SYN_RECV", 1, 1)]
    assert case.query("SELECT count(DISTINCT id) FROM flow") == [(2,)]
    shown = case.wanmeter("flows", "--zone", 7, "--format", "json").stdout
    assert [row["zone"] for row in json.loads(shown)["rows"]] == [7]


@each(["yes", "no"])
def test_a_connection_that_was_announced_has_its_master_s_mark_and_by_choice_its_labels(case, related_labels):
    capture.write_pcap(case.directory / "in.pcap", [Packet(n * NANOSECONDS, frame) for n, frame in enumerate(ftp())])
    config = case.write("site.yaml", f"""\
labels: [1 control, 2 data]
conntrack: {{related_labels: {related_labels}}}
rules:
  - {{match: tcp dst port 21, ct: "commit,helper=ftp,mark=0x77,label=control"}}
  - {{state: related, ct: "commit,mark=0x100/0x100,label=data"}}
""")
    replay(case, config, "in.pcap", "--shards", 3)
    assert case.query("SELECT orig_dst_port, mark, label_names, master_id IS NOT NULL FROM flow ORDER BY 1") == \
        [(21, 0x77, "control", 0), (40000, 0x177, "control,data" if related_labels == "yes" else "data", 1)]


def test_fragments_are_in_the_zone_of_their_datagram(case):
    datagram = capture.udp(4000, 53, bytes(3000))
    packets = capture.fragments("10.0.0.1", "192.0.2.1", datagram, identification=5, size=1000)
    frames = [capture.ethernet(THERE, HERE, packet) for packet in packets]
    order = frames[1:] + frames[:1]  # the ports come last
    capture.write_pcap(case.directory / "in.pcap", [Packet(n * NANOSECONDS, frame) for n, frame in enumerate(order)])
    config = case.write("site.yaml", "rules: [{match: udp dst port 53, ct: 'commit,zone=5,mark=1'}]\n")
    replay(case, config, "in.pcap", "--shards", 2)
    assert case.query("SELECT zone, mark, sum(orig_packets) FROM flow GROUP BY 1, 2") == [(5, 1, len(frames))]


def test_a_label_file_s_names_are_kept_with_the_bill(case):
    capture.write_pcap(case.directory / "in.pcap", [Packet(NANOSECONDS, tcp(HERE, "10.0.0.1", "192.0.2.1", 1000, 80, SYN))])
    case.write("connlabel.conf", "# names\n5 gold\n9 web\n")
    config = case.write("site.yaml", "label_file: connlabel.conf\nrules: [{ct: 'commit,label=0x220'}]\n")
    replay(case, config, "in.pcap")
    assert case.query("SELECT labels, label_names FROM flow") == [("0" * 29 + "220", "gold,web")]
    case.write("connlabel.conf", "5 silver\n")
    case.wanmeter("replay", "--config", config, "--force", "in.pcap")
    assert case.query("SELECT label_names FROM flow ORDER BY 1") == [("gold,web",), ("silver",)]
    case.write("connlabel.conf", "5 gold\n500 web\n")
    refused = case.wanmeter("replay", "--config", config, "--force", "in.pcap", check=2)
    assert "connlabel.conf:2:1: no such bit (got '500 web', expected 0 to 127)" in refused.stderr


def test_names_of_labels_change_while_the_daemon_runs(case):
    enter_network(case)
    daemon = start(case, "mirror0", "labels: [5 gold]\nrules: [{ct: 'commit,label=0x20/0x20'}]\n")
    network.send("mirror1", (packet.frame for packet in traffic.mix(seed=32, n_packets=200)))
    settle(case)
    held = listed(case)["gold"]["connections"]
    assert held > 0
    assert label(case, "add", "web").stdout == "0 web\n"
    assert label(case, "add", "silver", "7", "--sticky").stdout == "7 silver\n"
    assert "the bit has another name" in label(case, "add", "bronze", "5", check=1).stderr
    assert "of this name" in label(case, "add", "gold", check=1).stderr
    assert "no label has this name" in label(case, "remove", "bronze", check=1).stderr

    label(case, "remove", "gold")
    assert listed(case)["gold"] == {"bit": 5, "name": "gold", "kind": "maskable", "state": "removed", "connections": held}
    assert "still have the bit" in label(case, "add", "bronze", "5", check=1).stderr
    case.wanmeter("ct", "flush", "-r", case.directory / "run")
    assert "gold" not in listed(case)
    assert label(case, "add", "bronze", "5").stdout == "5 bronze\n"
    assert listed(case)["silver"]["kind"] == "sticky"
    stop(daemon)
    assert case.query("SELECT DISTINCT label_names FROM flow WHERE labels IS NOT NULL") == [("gold",)]
    case.wanmeter.audit()

    # The recorded changes, in a replay of what comes after them, give the same names.
    packet = Packet(time.time_ns() + NANOSECONDS, tcp(HERE, "10.0.0.1", "192.0.2.1", 1000, 80, SYN))
    capture.write_pcap(case.directory / "later.pcap", [packet])
    config = case.write("again.yaml", "labels: [5 gold]\nrules: [{ct: 'commit,label=0xa1'}]\n")
    replay(case, config, "later.pcap", "--changes", "wanmeter.db", "--shards", 2, database="again.db")
    assert case.query("SELECT label_names FROM flow", database="again.db") == [("web,bronze,silver",)]


def label(case, *words, check=0):
    return case.wanmeter("label", *words, "-r", case.directory / "run", check=check)


def listed(case):
    return {row["name"]: row for row in json.loads(label(case, "list", "--format", "json").stdout)["rows"]}


def replay(case, config, path, *options, database="wanmeter.db"):
    case.wanmeter("replay", "--config", config, "--database", database, *options, path)
    case.wanmeter.audit(database=database)


def tcp(sender, source, destination, source_port, destination_port, flags, vlan=None):
    inner = capture.ip(source, destination, capture.tcp(source_port, destination_port, flags))
    receiver = THERE if sender == HERE else HERE
    return capture.ethernet(receiver, sender, capture.vlan(vlan, inner) if vlan else inner)


def ftp():
    """A control connection, in which the server says where it waits, and the first packet to there."""
    sequence, frames = {HERE: 100, THERE: 900}, []

    def say(sender, text=b"", flags=ACK):
        ends = [("10.0.0.1", 5000), ("192.0.2.1", 21)]
        (source, source_port), (destination, destination_port) = ends if sender == HERE else ends[::-1]
        other = THERE if sender == HERE else HERE
        segment = capture.tcp(source_port, destination_port, flags, sequence[sender], sequence[other] if flags & ACK else 0, text)
        frames.append(capture.ethernet(other, sender, capture.ip(source, destination, segment)))
        sequence[sender] += len(text) + (flags & SYN != 0)

    say(HERE, flags=SYN)
    say(THERE, flags=SYN | ACK)
    say(HERE)
    say(THERE, b"220 ready\r\n")
    say(HERE, b"PASV\r\n")
    say(THERE, b"227 Entering Passive Mode (192,0,2,1,156,64)\r\n")
    return [*frames, tcp(HERE, "10.0.0.1", "192.0.2.1", 5001, 40000, SYN)]
