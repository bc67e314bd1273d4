"""From a capture file to rows: everything that the generator knows about its packets must be in the database."""

import gzip
import shutil

from support import capture, traffic, truth
from support.capture import Packet, ethernet, ipv4, udp
from support.case import each

FORMS = {
    "pcap nanoseconds": lambda path, packets: capture.write_pcap(path, packets),
    "pcap microseconds": lambda path, packets: capture.write_pcap(path, packets, nanoseconds=False),
    "pcap big-endian": lambda path, packets: capture.write_pcap(path, packets, order=">"),
    "pcapng": lambda path, packets: capture.write_pcapng(path, packets),
    "pcapng big-endian": lambda path, packets: capture.write_pcapng(path, packets, order=">"),
    "snapped": lambda path, packets: capture.write_pcap(path, packets, snap_bytes=80),
}


@each(FORMS)
def test_usage_and_connections_are_what_the_capture_was_made_with(case, form):
    packets = traffic.mix(seed=1, n_packets=5_000, tick_ns=1000)
    FORMS[form](case.directory / "in.cap", packets)
    replay(case, "in.cap")
    assert_known(case, packets)


def test_the_bill_of_a_compressed_capture_is_that_of_the_capture(case):
    packets = traffic.mix(seed=2, n_packets=3_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    with open(case.directory / "in.pcap", "rb") as plain, gzip.open(case.directory / "in.pcap.gz", "wb", 1) as packed:
        shutil.copyfileobj(plain, packed)
    replay(case, "in.pcap.gz")
    assert_known(case, packets)


def test_the_summary_of_an_exact_run_tells_the_three_sums_and_nothing_else_of_its_audit(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=2, n_packets=10))
    printed = case.wanmeter("replay", "in.pcap").stdout.splitlines()
    assert [line.split()[0] for line in printed[-4:]] == ["packets", "l2_bytes", "l3_bytes", "audit:"], printed
    assert not any(line.startswith(("flows", "sources")) for line in printed), printed


def test_standard_input_is_read_as_a_file_is(case):
    packets = traffic.mix(seed=3, n_packets=3_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    config = case.write("site.yaml", traffic.CONFIG)
    with open(case.directory / "in.pcap", "rb") as source:
        case.wanmeter("replay", "--config", config, "-", stdin=source)
    assert_known(case, packets)


def test_several_files_are_one_bill(case):
    """Even where each connection's packets are spread over them."""
    packets = traffic.mix(seed=4, n_packets=3_000, exotic=0)
    for n in range(3):
        capture.write_pcapng(case.directory / f"{n}.pcapng", packets[n::3])
    config = case.write("site.yaml", traffic.CONFIG)
    case.wanmeter("replay", "--config", config, "2.pcapng", "0.pcapng", "1.pcapng")
    assert_known(case, packets)


def test_a_second_capture_adds_to_the_bill(case):
    first, second = (traffic.mix(seed=seed, n_packets=2_000, start_ns=seed * 10**18) for seed in (1, 2))
    for name, packets in (("first.pcap", first), ("second.pcap", second)):
        capture.write_pcap(case.directory / name, packets)
        replay(case, name)
    assert_known(case, first + second)


@each(["qinq", "pppoe", "mpls", "vlan in mpls labels"])
def test_link_layers_are_looked_through(case, layer):
    inner = ipv4("10.0.0.1", "192.0.2.1", udp(1000, 2000, bytes(100)))
    wrapped = {"qinq": capture.qinq(100, 7, inner), "pppoe": capture.vlan(5, capture.pppoe(17, inner)),
               "mpls": capture.mpls([100], inner), "vlan in mpls labels": capture.vlan(3, capture.mpls([1, 2], inner))}
    frame = ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", wrapped[layer])
    capture.write_pcap(case.directory / "in.pcap", [Packet(10**18, frame)])
    case.wanmeter("replay", "in.pcap")
    assert case.wanmeter.total() == (1, len(frame), 128)
    assert truth.connection_lines(case.query(truth.FLOWS)) == ["4 17 10.0.0.1 1000 192.0.2.1 2000 1 128 0 0"]


def test_an_empty_capture_is_an_empty_bill(case):
    capture.write_pcap(case.directory / "in.pcap", [])
    case.wanmeter("replay", "in.pcap")
    assert case.wanmeter.total() == (0, 0, 0)
    case.wanmeter.audit()


def test_usage_rows_are_cut_at_slot_edges(case):
    """Two packets, a nanosecond before and at a slot's edge."""
    edge_ns = 300 * 10**9 * 6_000_000
    frame = ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", ipv4("10.0.0.1", "192.0.2.1", udp(1, 2, bytes(50))))
    capture.write_pcap(case.directory / "in.pcap", [Packet(edge_ns - 1, frame), Packet(edge_ns, frame)])
    case.wanmeter("replay", "in.pcap")
    assert case.query("SELECT slot_ns, slot_seconds, packets FROM usage ORDER BY 1") == \
        [(edge_ns - 300 * 10**9, 300, 1), (edge_ns, 300, 1)]


def replay(case, name):
    case.wanmeter("replay", "--config", case.write("site.yaml", traffic.CONFIG), name)


def assert_known(case, packets):
    counted, known = case.wanmeter.usage_totals(), traffic.usage_totals(packets)
    differing = [f"{key}: counted {counted.get(key)}, known {known.get(key)}"
                 for key in sorted(set(counted) | set(known)) if counted.get(key) != known.get(key)]
    assert not differing, "\n".join(differing)
    lines, known_lines = truth.connection_lines(case.query(truth.FLOWS)), traffic.connection_lines(packets)
    assert lines == known_lines, f"{sorted(set(lines) ^ set(known_lines))[:10]}"
    case.wanmeter.audit()
