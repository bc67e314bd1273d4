#!/usr/bin/python3
"""scaling: whether a packet costs the same with more shards and with more connections.

    ./dev bench --scaling [--packets N] [--runs N] [--shards 1,2,4,8] [--connections 10000,…] [--directory DIR]

Two tables. By shards: CPU ns a packet of a replay (user and system; of all processes, of capture, of all trackers), and
how much more packets the busiest shard had than the mean; also of the capture corpus ($WANMETER_SHARED/corpus) where it
is. By connections: CPU ns a packet in the tracker's table (bench_flow: TCP; key, look-up, judgement, counting; connections
in turn, so that each packet's entry is out of the caches). Medians over the runs; the runs take turns.
"""

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import SEED, replay

CORPUS_SHARDS = "8"


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="wanmeter-scaling-", dir=arguments.directory) as name:
        directory = Path(name)
        by_shards(arguments, directory)
        by_connections(arguments)
        of_corpus(arguments, directory)
    return 0


def by_shards(arguments, directory):
    capture = directory / "in.pcap"
    done = subprocess.run([arguments.build / "tests/bench/generate", "mix", str(arguments.packets), str(SEED), capture],
                          stdout=subprocess.PIPE, text=True, check=True)
    known = tuple(map(int, done.stdout.split()))
    numbers = arguments.shards.split(",")
    runs = {n: [] for n in numbers}
    imbalance = {n: [] for n in numbers}
    for _ in range(arguments.runs):
        for n in numbers:
            arguments.shards, arguments.workers = n, 1
            runs[n].append(replay(arguments, directory, capture, known))
            imbalance[n].append(imbalance_of(directory / "bench.db"))
    print("shards  all ns  capture ns  trackers ns  imbalance")
    for n in numbers:
        def median(value, n=n):
            return statistics.median(map(value, runs[n])) * 1e9 / known[0]
        print(f"{n:>6} {median(lambda run: run.cpu_s):7.0f} {median(lambda run: run.process_s['capture']):11.0f} "
              f"{median(lambda run: run.process_s['tracker']):12.0f} {max(imbalance[n]):9.1%}", flush=True)


def imbalance_of(database):
    """How many packets more than the mean of the shards the one with the most had."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    packets = [row[0] for row in connection.execute("SELECT sum(packets) FROM stream WHERE kind = 'capture' GROUP BY shard")]
    connection.close()
    return max(packets) * len(packets) / sum(packets) - 1


def by_connections(arguments):
    sizes = arguments.connections.split(",")
    results = {n: [] for n in sizes}
    for _ in range(arguments.runs):
        done = subprocess.run([arguments.build / "tests/bench/bench_flow", *sizes], stdout=subprocess.PIPE, text=True, check=True)
        for n, line in zip(sizes, done.stdout.splitlines()):
            results[n].append(float(line.split()[1]))
    print("\nconnections  ns a packet")
    for n in sizes:
        print(f"{n:>11} {statistics.median(results[n]):12.0f}", flush=True)


def of_corpus(arguments, directory):
    corpus = Path(os.environ.get("WANMETER_SHARED", "../shared")) / "corpus"
    captures = [path for path in sorted(corpus.rglob("*")) if path.suffix in (".pcap", ".pcapng", ".cap", ".gz")]
    if not captures:
        print("\ncorpus: not here, not measured")
        return
    database = directory / "corpus.db"
    done = subprocess.run([arguments.build / "cli/wanmeter", "replay", "--quiet", "--shards", CORPUS_SHARDS, "--database",
                           database, *captures], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 3):
        sys.exit(f"scaling: replay of the corpus ended with {done.returncode}: {done.stderr}")
    print(f"\ncorpus: {len(captures)} captures, {CORPUS_SHARDS} shards, imbalance {imbalance_of(database):.1%}")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench --scaling", description="More shards, more connections.")
    parser.add_argument("--build", type=lambda path: Path(path).resolve(), required=True, help=argparse.SUPPRESS)
    parser.add_argument("--scaling", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--packets", type=int, default=1_000_000, help="of the capture (default: 1000000)")
    parser.add_argument("--runs", type=int, default=3, help="medians are of this many (default: 3)")
    parser.add_argument("--shards", default="1,2,4,8", help="(default: 1,2,4,8)")
    parser.add_argument("--connections", default="10000,100000,1000000,10000000",
                        help="(default: 10000,100000,1000000,10000000; the last takes 4 GB)")
    parser.add_argument("--directory", help="where captures and databases go (default: the system's)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
