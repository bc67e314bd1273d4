"""truth: what the capture corpus holds, as other programs counted it; and the same words for a database of ours.

The corpus is optional data beside the repository: $WANMETER_SHARED/corpus, by default ../shared/corpus.
"""

import csv
import hashlib
import os
import socket
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ECHO_TYPES = {1: (0, 8), 58: (128, 129)}


def shared():
    return Path(os.environ.get("WANMETER_SHARED", ROOT.parent / "shared")).resolve()


def corpus():
    """The folder, or None."""
    folder = shared() / "corpus"
    return folder if (folder / "truth" / "manifest.tsv").exists() else None


def manifest():
    """{capture: {column: value}}; numbers as int. Empty without the corpus."""
    if not corpus():
        return {}
    with open(corpus() / "truth" / "manifest.tsv", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {row["capture"]: {name: int(value) if value.isdigit() else value for name, value in row.items()}
            for row in rows}


def lines_hash(lines):
    return hashlib.sha256("".join(line + "\n" for line in sorted(lines)).encode()).hexdigest()


FLOWS = """SELECT protocol, orig_src_address, orig_src_port, orig_dst_address, orig_dst_port, icmp_type, icmp_id,
    orig_packets, orig_l3_bytes, reply_packets, reply_l3_bytes FROM flow"""


def is_icmp_other(protocol, icmp_type):
    return protocol in ECHO_TYPES and icmp_type not in ECHO_TYPES[protocol]


def connection_lines(rows):
    """The canonical lines of FLOWS' rows: all records of one key added up. Without ICMP that is no echo."""
    sums = defaultdict(lambda: [0, 0, 0, 0])
    for protocol, source, source_port, destination, destination_port, icmp_type, icmp_id, *counters in rows:
        if is_icmp_other(protocol, icmp_type):
            continue
        if protocol in ECHO_TYPES:
            source_port = destination_port = icmp_id
        ends = [end(source, source_port), end(destination, destination_port)]
        if ends[0] == ends[1]:
            counters = [counters[0] + counters[2], counters[1] + counters[3], 0, 0]
        elif ends[0] > ends[1]:
            ends.reverse()
            counters = counters[2:] + counters[:2]
        row = sums[(protocol, *ends)]
        for n, value in enumerate(counters):
            row[n] += value
    return sorted(line(protocol, low, high, row) for (protocol, low, high), row in sums.items())


def end(address, port):
    """Orders by address bytes, then port; no port before port 0."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address), -1 if port is None else port


def line(protocol, low, high, row):
    version = 4 if len(low[0]) == 4 else 6
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    texts = [f"{socket.inet_ntop(family, address)} {'-' if port < 0 else port}" for address, port in (low, high)]
    return f"{version} {protocol} {texts[0]} {texts[1]} {' '.join(map(str, row))}"
