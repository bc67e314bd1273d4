"""A frame that cannot be decoded is counted, by what was wrong with it, and its bytes are in the audit."""

import struct

from support import capture
from support.capture import Packet, ethernet

IPV4 = 0x0800
START_NS = 1_700_000_000 * 10**9


def header(version=4, words=5, total_bytes=40):
    return struct.pack("!BBHHHBBH4s4s", version << 4 | words, 0, total_bytes, 1, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")


BROKEN = {
    "ip_version": [header(version=5) + bytes(20)],
    "ip_header": [header(words=4) + bytes(20), header(words=0) + bytes(20)],
    "ip_length": [header(total_bytes=19) + bytes(20), header(total_bytes=1) + bytes(20), header(words=6, total_bytes=20) + bytes(20)],
}


def test_malformed_frames_are_counted_by_cause(case):
    packets = [Packet(START_NS + n, ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", (IPV4, payload)))
               for n, payload in enumerate(payload for payloads in BROKEN.values() for payload in payloads)]
    capture.write_pcap(case.directory / "in.pcap", packets)
    case.wanmeter("replay", "in.pcap")
    rows = case.query("SELECT cause, sum(packets), sum(l2_bytes), sum(l3_bytes) FROM usage WHERE class = 'malformed' GROUP BY cause")
    smallest = 60   # a frame's padding
    assert {cause: (packets, l2, l3) for cause, packets, l2, l3 in rows} == \
        {cause: (len(payloads), smallest * len(payloads), 0) for cause, payloads in BROKEN.items()}
    case.wanmeter.audit()


def test_what_is_not_malformed_has_no_cause(case):
    packets = [Packet(START_NS, ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", (0x88CC, bytes(46))))]
    capture.write_pcap(case.directory / "in.pcap", packets)
    case.wanmeter("replay", "in.pcap")
    assert case.query("SELECT class, cause, packets FROM usage") == [("non_ip", None, 1)]
