"""A mirror that shows packets twice: copies are class 'duplicate', and nobody pays for them."""

from random import Random

from support import capture, traffic

WINDOW_NS = 2 * 10**6


def test_copies_are_not_billed_whatever_changed_on_the_way(case):
    once = traffic.mix(seed=61, n_packets=3_000, exotic=0)
    capture.write_pcap(case.directory / "once.pcap", once)
    both = with_copies(once, Random(62))
    n_copies = len(both) - len(once)
    assert n_copies > 500
    capture.write_pcap(case.directory / "twice.pcap", both)
    capture.write_pcap(case.directory / "even.pcap", both[::2])
    capture.write_pcap(case.directory / "odd.pcap", both[1::2])
    config = case.write("site.yaml", traffic.CONFIG + "capture:\n  duplicate_window: 2ms\n")
    usage = ("SELECT slot_ns, account, wan, direction, class, packets, l3_bytes, billed_bytes FROM usage"
             " WHERE class <> 'duplicate' ORDER BY 1, 2, 3, 4, 5")
    case.wanmeter("replay", "--config", config, "--database", "once.db", "once.pcap")
    expected = case.query(usage, database="once.db")
    for n, (shards, files) in enumerate(((1, ["twice.pcap"]), (4, ["twice.pcap"]), (3, ["even.pcap", "odd.pcap"]))):
        database = f"{n}.db"
        case.wanmeter("replay", "--config", config, "--shards", shards, "--workers", len(files), "--database", database, *files)
        assert case.query(usage, database=database) == expected, (shards, files)
        found = case.query("SELECT sum(packets), sum(billed_bytes) FROM usage WHERE class = 'duplicate'", database=database)
        assert found == [(n_copies, 0)]
        case.wanmeter.audit(database=database)


def test_what_is_sent_again_stays(case):
    """The same bytes after the window, and another IP id within it."""
    def segment(identification):
        inner = capture.ipv4("10.1.0.7", "192.0.2.1", capture.tcp(40_000, 80, capture.ACK, sequence=1, payload=b"again"),
                             identification=identification)
        return capture.ethernet("02:00:00:00:00:02", "02:00:00:00:01:01", inner)

    start_ns = 1_760_000_000 * capture.NANOSECONDS
    packets = [capture.Packet(start_ns, segment(1)), capture.Packet(start_ns + 1, segment(2)),
               capture.Packet(start_ns + WINDOW_NS, segment(1)), capture.Packet(start_ns + WINDOW_NS + 1, segment(1))]
    capture.write_pcap(case.directory / "in.pcap", packets)
    config = case.write("site.yaml", traffic.CONFIG + "capture:\n  duplicate_window: 2ms\n")
    case.wanmeter("replay", "--config", config, "in.pcap")
    assert case.query("SELECT class, sum(packets) FROM usage GROUP BY class ORDER BY class") == [("connection", 3), ("duplicate", 1)]


def with_copies(packets, random):
    """Some again within the window: as they were, or as another port shows them: untagged, routed once more."""
    both = list(packets)
    for packet in packets:
        if random.random() < 0.3 and packet.l3_bytes:
            both.append(capture.Packet(packet.time_ns + random.randrange(1, WINDOW_NS + 1), routed(packet.frame) if random.random() < 0.5
                                       else packet.frame, wire_bytes=packet.wire_bytes))
    return sorted(both, key=lambda packet: packet.time_ns)


def routed(frame):
    """The frame after a hop: other MACs, no VLAN tag, TTL one less, the header's checksum made again."""
    at = 14
    ethertype = frame[12:14]
    while ethertype in (b"\x81\x00", b"\x88\xa8"):
        ethertype = frame[at + 2:at + 4]
        at += 4
    packet = bytearray(frame[at:])
    if ethertype == b"\x08\x00":
        size = (packet[0] & 15) * 4
        packet[8] -= 1
        packet[10:12] = b"\0\0"
        packet[10:12] = capture.checksum(capture.sum_words(bytes(packet[:size]))).to_bytes(2, "big")
    elif ethertype == b"\x86\xdd":
        packet[7] -= 1
    return b"\x02\xff\0\0\0\1\x02\xff\0\0\0\2" + ethertype + bytes(packet)
