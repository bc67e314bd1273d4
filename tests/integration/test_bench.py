"""The yardsticks of the benchmarks count what is there: a figure beside a wrong total says nothing."""

import subprocess

from support import capture
from support.capture import Packet
from support.case import each

TOTALS = "SELECT sum(src_packets + dst_packets), sum(src_l2_bytes + dst_l2_bytes), sum(src_l3_bytes + dst_l3_bytes), count(*)"


@each(["mix", "small", "churn", "few", "ipv6"])
def test_the_floor_counts_what_was_generated(case, kind):
    known = run(case, "generate", kind, 20_000, 1, "in.pcap")
    assert run(case, "floor", "in.pcap") == known
    assert run(case, "floor", "in.pcap", "floor.db") == known
    assert case.query(f"{TOTALS} FROM flow", database="floor.db") == [known]


def test_the_floor_has_both_directions_of_every_ip_version_in_one_row(case):
    ends = [("10.0.0.1", "198.51.100.7"), ("2001:db8::1", "2001:db8:1::7")]
    frames = []
    for source, destination in ends:
        frames.append(capture.ip(source, destination, capture.udp(5000, 53, b"question")))
        frames.append(capture.ip(destination, source, capture.udp(53, 5000, b"a longer answer")))
    inner = [capture.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", frame) for frame in frames]
    tagged = capture.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", capture.vlan(7, frames[0]))
    capture.write_pcap(case.directory / "in.pcap", [Packet(n, frame) for n, frame in enumerate([*inner, tagged])])
    assert run(case, "floor", "in.pcap", "floor.db")[3] == 2
    rows = case.query("SELECT version, src_port, src_packets, src_l3_bytes, dst_packets, dst_l3_bytes FROM flow ORDER BY id",
                      database="floor.db")
    assert rows == [(4, 5000, 2, 2 * 36, 1, 43), (6, 5000, 1, 56, 1, 63)], rows


def run(case, program, *arguments):
    """The numbers that it prints."""
    done = subprocess.run([case.build / "tests/bench" / program, *map(str, arguments)], cwd=case.directory, check=True,
                          stdout=subprocess.PIPE, text=True)
    return tuple(map(int, done.stdout.split()))
