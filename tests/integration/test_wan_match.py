"""Which WAN a packet used, by expressions over its frame, and which of the WAN's matches said so."""

from collections import Counter

from support import capture, traffic

CONFIG = """\
local_prefixes: [10.0.0.0/8, "2001:db8::/32"]
wans:
  - name: adsl
    match:
      - filter: vlan 99
      - filter: vlan 10 and ip
      - vlan: 10
        filter: ether host 02:00:00:00:00:01
  - name: lte
    match:
      - filter: ether host 02:00:00:00:00:02
"""


def test_a_filter_over_the_frame_tells_the_wan(case):
    packets = traffic.mix(seed=71, n_packets=2_000, exotic=0)
    capture.write_pcap(case.directory / "in.pcap", packets)
    case.wanmeter("replay", "--config", case.write("keys.yaml", traffic.CONFIG), "--database", "keys.db", "in.pcap")
    case.wanmeter("replay", "--config", case.write("filters.yaml", CONFIG), "--shards", 3, "--database", "filters.db", "in.pcap")
    sums = "SELECT wan, sum(packets), sum(l3_bytes) FROM usage WHERE l3_bytes > 0 GROUP BY wan ORDER BY 1"
    assert case.query(sums, database="filters.db") == case.query(sums, database="keys.db")
    case.wanmeter.audit(database="filters.db")


def test_the_record_says_which_match_held(case):
    packets = traffic.mix(seed=72, n_packets=2_000, exotic=0)
    capture.write_pcap(case.directory / "in.pcap", packets)
    case.wanmeter("replay", "--config", case.write("filters.yaml", CONFIG), "in.pcap")
    expected = Counter()
    for packet in packets:
        if packet.class_name == "connection":
            version = 6 if b"\x86\xdd" in packet.frame[12:18] else 4
            expected[packet.wan, {"adsl": 2 if version == 4 else 3, "lte": 1, "none": None}[packet.wan]] += 1
    rows = case.query("SELECT wan, wan_match, sum(orig_packets + reply_packets) FROM flow WHERE wan_changes = 0 GROUP BY wan, wan_match")
    assert {(wan, match): n for wan, match, n in rows} == dict(expected)


SESSIONS = """\
capture:
  pppoe_padt: {padt}
wans:
  - name: dsl
    match:
      - pppoe_concentrators: ["02:00:00:00:00:aa"]
"""


def test_sessions_are_known_by_the_concentrator_that_opened_them(case):
    """Before its PADS, of another concentrator, refused, and after its PADT a session is no WAN's."""
    concentrator, other, host = "02:00:00:00:00:aa", "02:00:00:00:00:bb", "02:00:00:00:01:01"
    question = capture.ipv4("10.1.0.7", "192.0.2.1", capture.udp(5000, 53, b"question"))
    answer = capture.ipv4("192.0.2.1", "10.1.0.7", capture.udp(53, 5000, b"answer"))

    def discovery(source, destination, code, session):
        return capture.ethernet(destination, source, (0x8863, bytes((0x11, code)) + session.to_bytes(2, "big") + b"\0\0"))

    def both(peer, session):
        return [capture.ethernet(peer, host, capture.pppoe(session, question)), capture.ethernet(host, peer, capture.pppoe(session, answer))]

    frames = [*both(concentrator, 7), discovery(concentrator, host, 0x65, 7), *both(concentrator, 7),
              discovery(other, host, 0x65, 8), *both(other, 8), *both(concentrator, 8),
              discovery(concentrator, host, 0x65, 0), *both(concentrator, 0),
              discovery(host, concentrator, 0xa7, 7), *both(concentrator, 7)]
    packets = [capture.Packet(1_760_000_000 * capture.NANOSECONDS + i, frame) for i, frame in enumerate(frames)]
    capture.write_pcap(case.directory / "in.pcap", packets)
    for padt, n in (("yes", 1), ("no", 2)):
        case.wanmeter("replay", "--config", case.write("site.yaml", SESSIONS.format(padt=padt)), "--database", f"{padt}.db", "in.pcap")
        rows = case.query("SELECT wan, direction, sum(packets) FROM usage WHERE class = 'connection' GROUP BY wan, direction", database=f"{padt}.db")
        assert set(rows) == {("dsl", "up", n), ("dsl", "down", n), ("none", "none", 12 - 2 * n)}
        case.wanmeter.audit(database=f"{padt}.db")
