"""load: captures of any length whose every usage row is known.

    load = Load(seed=1, n_packets=20_000, repeats=50)
    load.write(case.directory / "in.pcap")              the same day again and again, later each time
    load.usage()                                        {(slot_ns, account, wan, direction, class): amounts}
    load.write_parts(case.directory, 2)                 the same packets in two files, to be merged by time

Packets are made once, by support.traffic; a repeat is the same bytes some slots later, so that a capture of
millions is written in seconds and its sums are known without reading it. Frames are snapped: what they weighed
stands in their headers. amounts are (packets, l2_bytes, l3_bytes, billed_bytes).
"""

import struct

from support import traffic
from support.capture import NANOSECONDS

SLOT_NS = 300 * NANOSECONDS
START_NS = 1_760_000_100 * NANOSECONDS // SLOT_NS * SLOT_NS
GAP_NS = 150 * 10**6
SNAP_BYTES = 160
FILE_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)


class Load:
    def __init__(self, seed, n_packets=20_000, repeats=1, packets=None):
        self.repeats = repeats
        self.packets = packets or traffic.mix(seed, n_packets, start_ns=START_NS, gap_ns=GAP_NS)
        span_ns = self.packets[-1].time_ns - START_NS
        self.shift_ns = (span_ns // SLOT_NS + 1) * SLOT_NS      # whole slots: a repeat's sums are the first's, later

    @property
    def n_packets(self):
        return len(self.packets) * self.repeats

    @property
    def l2_bytes(self):
        return sum(packet.l2_bytes for packet in self.packets) * self.repeats

    def usage(self):
        once = usage(self.packets)
        return {(key[0] + n * self.shift_ns, *key[1:]): sums for n in range(self.repeats) for key, sums in once.items()}

    def write(self, path):
        self._write(path, self.packets)
        return path.name

    def write_parts(self, directory, n_parts, name="part"):
        """Connection by connection: what belongs together is in one file, as with a mirror of several ports."""
        names = []
        for part in range(n_parts):
            chosen = [packet for packet in self.packets if hash_of(packet) % n_parts == part]
            path = directory / f"{name}{part}.pcap"
            self._write(path, chosen)
            names.append(path.name)
        return names

    def _write(self, path, packets):
        records = [(*divmod(packet.time_ns, NANOSECONDS), record_rest(packet)) for packet in packets]
        with open(path, "wb") as out:
            out.write(FILE_HEADER)
            for n in range(self.repeats):
                shift_s = n * self.shift_ns // NANOSECONDS
                out.write(b"".join([struct.pack("<II", seconds + shift_s, rest) + tail
                                    for seconds, rest, tail in records]))


def record_rest(packet):
    kept = packet.frame[:SNAP_BYTES]
    return struct.pack("<II", len(kept), packet.l2_bytes) + kept


def hash_of(packet):
    return sum(repr(packet.about or packet.frame[:14]).encode())


def usage(packets):
    """{(slot_ns, account, wan, direction, class): (packets, l2_bytes, l3_bytes, billed_bytes)}"""
    sums = {}
    for packet in packets:
        key = (packet.time_ns // SLOT_NS * SLOT_NS, packet.account, packet.wan, packet.direction, packet.class_name)
        row = sums.setdefault(key, [0, 0, 0, 0])
        row[0] += 1
        row[1] += packet.l2_bytes
        row[2] += packet.l3_bytes
        row[3] += traffic.billed_bytes(packet)
    return {key: tuple(row) for key, row in sums.items()}


def any_slot(key):
    """Of what was sent live: the kernel says when it came; and a datagram's first fragment may have come when nobody
    captured, so that the others are in no flow."""
    return (0, *key[1:-1], "connection" if key[-1] == "frag_orphan" else key[-1])


def folded(rows, fold):
    """The sums of rows by fold(key)."""
    sums = {}
    for key, amounts in rows.items():
        add(sums, fold(key), amounts)
    return sums


def add(sums, key, amounts):
    sums[key] = tuple(map(sum, zip(sums.get(key, (0,) * len(amounts)), amounts, strict=True)))


def total_usage(parts):
    """The sums over several lists of packets."""
    sums = {}
    for part in parts:
        for key, amounts in usage(part).items():
            add(sums, key, amounts)
    return sums
