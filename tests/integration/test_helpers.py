"""Control connections: what they announce is RELATED to them, the same however the work is shared out."""

import random
import re
import time

from integration.test_determinism import assert_same_rows
from integration.test_live import SOURCES, enter_network, start, stop
from support import capture, control, network, truth
from support.case import PATIENCE_S, each

EXPECTED, HELPER = 1 << 0, 1 << 13
SLOW_TICKS = (100 * control.MILLISECOND, 5000 * control.MILLISECOND, 40_000 * control.MILLISECOND)
CORPUS = ["zeek__ftp-ipv4.pcap", "zeek__ftp-ipv6.pcap", "ndpi__ftp.pcap", "zeek__irc-dcc-send.pcapng",
          "suricata-verify__ftp-ftp-download-active.pcap", "suricata-verify__output-eve-tftp-01.pcap",
          "ndpi__sip.pcap", "tcpdump__pptp.pcap"]
VARIANTS = {
    "4 shards": ["--shards", "4"],
    "8 shards": ["--shards", "8"],
    "batches of 1": ["--shards", "8", "--batch-packets", "1"],
    "batches of 7": ["--shards", "5", "--batch-packets", "7"],
}
RELATED = f"""SELECT child.protocol, child.orig_src_address, child.orig_src_port, child.orig_dst_address,
    child.orig_dst_port FROM flow child JOIN flow master ON master.id = child.master_id
    WHERE child.status & {EXPECTED} AND child.record = 'final' AND master.record = 'final'"""


@each(control.KINDS)
def test_what_a_control_connection_announces_is_related_to_it(case, kind):
    talk = control.talk_of(kind)
    replay(case, "one.db", talk.packets)
    assert in_order(case.query(RELATED, database="one.db")) == rows_of(talk.related)
    assert all(bits == (1,) for bits in case.query(
        f"SELECT (status & {HELPER}) != 0 FROM flow WHERE id IN (SELECT master_id FROM flow)", database="one.db"))


@each(VARIANTS)
def test_many_talks_at_a_time_give_the_same_rows_whatever_the_shards(case, variant):
    packets, related = control.talks(seed=5, n=150)
    replay(case, "one.db", packets)
    assert in_order(case.query(RELATED, database="one.db")) == rows_of(related)
    replay(case, "other.db", packets, *VARIANTS[variant])
    assert_same_rows(case, "one.db", "other.db")
    case.wanmeter.audit(database="other.db")


@each(range(4))
def test_disturbed_talks_that_run_into_timeouts_give_the_same_rows_whatever_the_shards(case, seed):
    packets, _ = control.talks(seed, 150, ticks=SLOW_TICKS)
    packets = control.disturbed(packets, seed)
    replay(case, "one.db", packets)
    (n_timeouts,), = case.query("SELECT count(*) FROM flow WHERE end_reason = 'timeout'", database="one.db")
    assert n_timeouts > 100, n_timeouts
    replay(case, "other.db", packets, "--shards", 7, "--batch-packets", 5)
    assert_same_rows(case, "one.db", "other.db")
    case.wanmeter.audit(database="other.db")


@each([2, 3])
def test_control_and_data_connections_may_come_by_different_workers(case, workers):
    packets, related = control.talks(seed=6, n=120)
    numbers = random.Random(6)
    share = {}
    parts = [[] for _ in range(workers)]
    for packet in packets:
        parts[share.setdefault(wire_of(packet.frame), numbers.randrange(workers))].append(packet)
    paths = []
    for number, part in enumerate(parts):
        paths.append(case.directory / f"part{number}.pcap")
        capture.write_pcap(paths[-1], part)
    config = case.write("helpers.yaml", control.HELPERS)
    for shards in (1, 8):
        case.wanmeter("replay", "--config", config, "--database", f"{shards}.db", "--shards", shards,
                      "--workers", workers, *paths)
    assert_same_rows(case, "1.db", "8.db")
    assert in_order(case.query(RELATED, database="8.db")) == rows_of(related)
    case.wanmeter.audit(database="8.db")


@each([4, 8])
def test_real_control_connections_give_the_same_rows_whatever_the_shards(case, shards):
    if not truth.corpus():
        case.skip(f"no capture corpus at {truth.shared()}/corpus ($WANMETER_SHARED)")
    config = case.write("helpers.yaml", control.HELPERS)
    files = [truth.corpus() / name for name in CORPUS]
    case.wanmeter("replay", "--config", config, "--database", "one.db", *files)
    case.wanmeter("replay", "--config", config, "--database", "many.db", "--shards", shards, "--workers", 3, *files)
    assert_same_rows(case, "one.db", "many.db")
    (n_related,), = case.query(f"SELECT count(*) FROM ({RELATED})", database="many.db")
    assert n_related >= 15, n_related
    case.wanmeter.audit(database="many.db")


@each(["sip", "ftp active"])
def test_live_enough_is_captured_for_helpers_to_read(case, kind):
    enter_network(case)
    talk = control.talk_of(kind)
    assert kind != "sip" or max(len(packet.frame) for packet in talk.packets) > 256, "the snap length by default"
    config = control.HELPERS + SOURCES + f"run_directory: {case.directory}/run\n"
    monitor = start(case, config, "--set", "tracker.shards=3")
    network.send("mirror1", (packet.frame for packet in talk.packets))
    wait_for_expected(case, len(talk.related))
    stop(monitor)
    assert in_order(case.query(RELATED)) == rows_of(talk.related)
    case.wanmeter.audit()


def test_without_helpers_nothing_is_related(case):
    talk = control.talk_of("ftp passive")
    capture.write_pcap(case.directory / "in.pcap", talk.packets)
    case.wanmeter("replay", "--database", "none.db", "in.pcap")
    assert case.query(RELATED, database="none.db") == []


@each([1, 4])
def test_a_rule_gives_a_helper_to_another_port_and_its_mark_is_inherited(case, shards):
    talk = control.Talk(10**18, "10.0.0.1", "10.0.0.2")
    login = control.ftp_login(talk, port=2121)
    login.say(1, f"227 Entering Passive Mode ({control.six_numbers(talk.server, 50000)}).\r\n")
    talk.data(talk.client, 40001, talk.server, 50000)
    config = 'rules: [{match: tcp port 2121, ct: "commit,helper=ftp,mark=0x77"}]\n'
    replay(case, "rule.db", talk.packets, "--shards", shards, config=config)
    assert case.query(RELATED, database="rule.db") == talk.related
    assert case.query("SELECT DISTINCT mark FROM flow WHERE record = 'final'", database="rule.db") == [(0x77,)]


@each([False, True])
def test_labels_are_inherited_where_the_configuration_says_so(case, is_inherited):
    talk = control.talk_of("ftp active")
    config = control.HELPERS + 'labels: ["3 files"]\nrules: [{match: tcp port 21, ct: "commit,label=files"}]\n'
    config += f"conntrack: {{related_labels: {'yes' if is_inherited else 'no'}}}\n"
    replay(case, "labels.db", talk.packets, "--shards", 2, config=config)
    labels = case.query(f"SELECT labels != '' AND labels IS NOT NULL FROM flow WHERE status & {EXPECTED}",
                        database="labels.db")
    assert labels == [(int(is_inherited),)], labels


def test_a_full_room_of_expectations_expects_no_more(case):
    packets, related = control.talks(seed=7, n=60)
    replay(case, "few.db", packets, config=control.HELPERS + "conntrack: {expect_max: 1}\n")
    found = case.query(RELATED, database="few.db")
    assert 0 < len(found) < len(related) and set(found) <= set(rows_of(related))
    case.wanmeter.audit(database="few.db")


def wait_for_expected(case, n_expected):
    """Until the trackers say that so many connections were expected, all in all."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        stats = case.wanmeter("ct", "-r", case.directory / "run", "stats").stdout
        if sum(int(number) for number in re.findall(r"expected=(\d+)", stats)) == n_expected:
            return
        assert time.monotonic() < deadline, stats


def wire_of(frame):
    """The same of all packets of a connection; fragments are on one wire, since they are matched within one."""
    is_ipv4 = frame[12:14] == b"\x08\x00"
    if frame[20:22] not in (b"\0\0", b"\x40\0") if is_ipv4 else frame[20] == capture.FRAGMENT:
        return "fragments"
    (source, size), ports = ((26, 4), 34) if is_ipv4 else ((22, 16), 54)
    ends = [frame[source + n * size:source + (n + 1) * size] + frame[ports + 2 * n:ports + 2 * n + 2] for n in (0, 1)]
    return tuple(sorted(ends))


def rows_of(related):
    """As the database has them: of GRE no ports."""
    return in_order((protocol, source, None, destination, None) if protocol == control.GRE else
                      (protocol, source, source_port, destination, port)
                      for protocol, source, source_port, destination, port in related)


def in_order(rows):
    return sorted(rows, key=str)


def replay(case, database, packets, *options, config=control.HELPERS):
    capture.write_pcap(case.directory / "in.pcap", packets)
    path = case.write("helpers.yaml", config)
    case.wanmeter("replay", "--config", path, "--database", database, *options, "in.pcap")
