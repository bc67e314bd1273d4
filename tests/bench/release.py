#!/usr/bin/python3
"""release: whether a release, which is optimised as a whole, bills as the ordinary build does.

    tests/bench/release.py --build DIR --with DIR       the same replays by both: every row must be the same

The end of `./dev release`. The captures are made here, from seeds: the benchmarks' traces (IPv4, and IPv6 in a
VLAN), everyday sessions of accounts on two WANs with VLANs, PPPoE and all that is odd, random fragments; with rules, labels
and overhead models, with flow records and without, by one shard and by several.
"""

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peers import WANMETER_CONFIG  # noqa: E402
from support import capture, fragments, traffic  # noqa: E402

SEED = 1
RULES = """
rules:
  - match: tcp dst port 443
    ct: commit,label=0x8/0x8
  - match: udp
    ct: commit,mark=0x1/0xff
"""
TABLES = ("usage", "flow", "loss")
OF_THE_RUN = {"stream", "epoch", "run_id"}      # columns of loss that name the run, not the traffic


class Replay:
    def __init__(self, name, config, files, *options):
        self.name, self.config, self.files, self.options = name, config, files, options

    def __call__(self, build, directory):
        """The rows of the bill, sorted, by table."""
        (directory / "site.yaml").write_text(self.config, encoding="ascii")
        database = directory / "out.db"
        for leftover in directory.glob("out.db*"):
            leftover.unlink()
        subprocess.run([build / "cli/wanmeter", "replay", "--quiet", "--config", directory / "site.yaml", "--database", database,
                        *self.options, *self.files], check=True)
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        bill = {table: rows(connection, table) for table in TABLES}
        connection.close()
        return bill


def rows(connection, table):
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in OF_THE_RUN]
    return sorted(connection.execute(f"SELECT {', '.join(columns)} FROM {table}"), key=str)


def replays(generate, directory, n_packets):
    """'n_packets': of each of the benchmarks' traces; of what is odd there is less."""
    traces = {}
    for kind in ("mix", "small", "churn", "ipv6"):
        traces[kind] = directory / f"{kind}.pcap"
        subprocess.run([generate, kind, str(n_packets), str(SEED), traces[kind]], stdout=subprocess.DEVNULL, check=True)
    site, broken = directory / "site.pcap", directory / "fragments.pcap"
    capture.write_pcap(site, traffic.mix(SEED, n_packets // 5))
    fragments.write(broken, random.Random(SEED), n_packets // 10)
    for kind, path in traces.items():
        yield Replay(kind, WANMETER_CONFIG, [path])
    yield Replay("mix, usage rows only", WANMETER_CONFIG, [traces["mix"]], "--set", "tracker.flow_records=no")
    yield Replay("a site of all that is odd", traffic.CONFIG + RULES, [site])
    yield Replay("fragments", traffic.CONFIG + RULES, [broken], "--set", "conntrack.checksum=yes")
    yield Replay("several at once", traffic.CONFIG + RULES, [site, broken, traces["ipv6"]], "--shards", "2", "--workers", "2")


def compare(arguments, directory):
    is_same = True
    for replay in replays(arguments.build / "tests/bench/generate", directory, arguments.packets):
        ours, theirs = replay(arguments.build, directory), replay(arguments.other, directory)
        n_rows = sum(map(len, ours.values()))
        verdict = "the same" if ours == theirs and n_rows else "NOT THE SAME"
        is_same &= verdict == "the same"
        print(f"release: {replay.name}: {n_rows} rows, {verdict} as of {arguments.other.name}", flush=True)
    return 0 if is_same else 1


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="wanmeter-release-") as directory:
        return compare(arguments, Path(directory))


def parse_arguments():
    parser = argparse.ArgumentParser(prog="release.py", description="Compares the bills of two builds.")
    parser.add_argument("--build", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--with", dest="other", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--packets", type=int, default=20_000, help="of a trace (default: 20000)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
