"""A capture file that ends anywhere: what came before the cut is counted, and the cut is a loss line of that file."""

import struct

from faults import crew, outcome, suite
from faults.load import GAP_NS, START_NS, total_usage
from support import capture, traffic
from support.case import each

FILES_MAX = 300
EXIT_DONE, EXIT_USAGE, EXIT_LOSS = 0, 2, 3
PCAP_HEADER_BYTES, RECORD_HEADER_BYTES = 24, 16
WRITERS = {"pcap": capture.write_pcap, "pcapng": capture.write_pcapng}


@each(WRITERS)
def test_a_capture_cut_at_every_offset_counts_what_came_before(case, kind):
    """Every cut is a file of its own, and many files are one run's: each is a source whose row says what it had."""
    options = suite.options()
    packets = traffic.mix(options.seed, 40, START_NS, GAP_NS, exotic=0)[:options.choose(4, 16)]
    WRITERS[kind](case.directory / "whole", packets)
    content = (case.directory / "whole").read_bytes()
    boundaries = list(packet_boundaries(content, kind))

    sizes = range(boundaries[0][0], len(content) + 1)
    for first in range(0, len(sizes), FILES_MAX):
        chosen = sizes[first:first + FILES_MAX]
        row = check_cuts(case, f"{first}.db", content, boundaries, packets, chosen)
        outcome.tell(row, f"{kind} cut at every offset", len(chosen))
    refuse_headers(case, content[:boundaries[0][0]])


def check_cuts(case, database, content, boundaries, packets, sizes):
    for size in sizes:
        (case.directory / f"{size}.cut").write_bytes(content[:size])
    names = [f"{size}.cut" for size in sizes]
    ends = dict(boundaries)
    n_cut = sum(size not in ends for size in sizes)
    run = crew.replay(case, *names, config=traffic.CONFIG, options=["--database", database])
    run.finish({EXIT_LOSS if n_cut else EXIT_DONE})

    n_packets = {f"{size}.cut": max(n for end, n in boundaries if end <= size) for size in sizes}
    assert dict(case.query("SELECT name, packets FROM source", database=database)) == n_packets
    cut = {line[0].split(":")[0] for line in case.query("SELECT evidence FROM loss", database=database)}
    assert cut == {f"{size}.cut" for size in sizes if size not in ends}
    truth = total_usage(packets[:n] for n in n_packets.values())
    row = outcome.check(case, truth, verdicts={"bounded"} if n_cut else {"exact"}, database=database)
    assert row.lines == row.unknown == n_cut and row.difference == 0
    return row


def refuse_headers(case, header):
    for size in range(len(header)):
        (case.directory / "header.cut").write_bytes(header[:size])
        done = case.wanmeter("replay", "--database", "none.db", "header.cut", check=EXIT_USAGE)
        assert "header.cut" in done.stderr and not (case.directory / "none.db").exists()


def packet_boundaries(content, kind):
    """(offset, packets before it), from the first at which the file is a capture."""
    at, n_packets = PCAP_HEADER_BYTES if kind == "pcap" else struct.unpack_from("<I", content, 4)[0], 0
    yield at, n_packets
    while at < len(content):
        if kind == "pcap":
            at += RECORD_HEADER_BYTES + struct.unpack_from("<I", content, at + 8)[0]
            n_packets += 1
        else:
            n_packets += struct.unpack_from("<I", content, at)[0] == 6
            at += struct.unpack_from("<I", content, at + 4)[0]
        yield at, n_packets
