#!/usr/bin/python3
"""scaling: whether a packet costs the same with more shards, with more connections, and what a second core gives.

    ./dev bench --scaling [--tables shards,cores,connections,corpus] [--full] [--packets N] [--kinds mix,…] [--runs N]
                          [--shards 1,2,4,8] [--connections 10000,…] [--directory DIR]

Tables, medians over the runs, which take turns:

shards       CPU ns a packet of a replay (user and system; of all processes, of capture, of all trackers), and how many more
             packets than the mean the busiest shard had. Each process takes some ms to start and to end, whatever the capture's
             length: --full takes captures of 2.86 M (mix), 10 M (small) and 12 M packets (churn) instead of --packets.
cores        wall seconds of a replay on one core and on two, median and smallest: other work on the machine is in them.
connections  CPU ns a packet in the tracker's table (bench_flow: TCP; key, look-up, judgement, counting; connections in turn,
             so that each packet's entry is out of the caches).
corpus       how evenly packets and connections of the capture corpus ($WANMETER_SHARED/corpus) lie over 8 shards, where it is.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imbalance
from bench import SEED, check, replay
from peers import PACKETS

CORPUS_SHARDS = 8


def main():
    arguments = parse_arguments()
    tables = {"shards": by_shards, "cores": by_cores, "connections": by_connections, "corpus": of_corpus}
    with tempfile.TemporaryDirectory(prefix="wanmeter-scaling-", dir=arguments.directory) as directory:
        for name in arguments.tables.split(","):
            tables[name](arguments, Path(directory))
    return 0


def of_each_kind(arguments, directory, n_packets):
    """(kind, capture, what its generator knows) of each; the capture goes when the next one comes."""
    capture = directory / "in.pcap"
    for kind in arguments.kinds.split(","):
        done = subprocess.run([arguments.build / "tests/bench/generate", kind, str(n_packets(kind)), str(SEED), capture],
                              stdout=subprocess.PIPE, text=True, check=True)
        yield kind, capture, tuple(map(int, done.stdout.split()))
        capture.unlink()


def length(arguments):
    return lambda kind: PACKETS[kind] if arguments.full else arguments.packets


def by_shards(arguments, directory):
    for kind, capture, known in of_each_kind(arguments, directory, length(arguments)):
        numbers = arguments.shards.split(",")
        runs, uneven = {n: [] for n in numbers}, {n: [] for n in numbers}
        for _ in range(arguments.runs):
            for n in numbers:
                with_shards = argparse.Namespace(build=arguments.build, shards=n, workers=1)
                runs[n].append(replay(with_shards, directory, capture, known))
                uneven[n].append(imbalance.of(imbalance.packets_by_shard(directory / "bench.db")))
        print(f"\n{kind}, {known[0]} packets, {known[3]} connections\nshards  all ns  capture ns  trackers ns  imbalance")
        for n in numbers:
            def median(value, n=n):
                return statistics.median(map(value, runs[n])) * 1e9 / known[0]
            print(f"{n:>6} {median(lambda run: run.cpu_s):7.0f} {median(lambda run: run.process_s['capture']):11.0f} "
                  f"{median(lambda run: run.process_s['tracker']):12.0f} {max(uneven[n]):9.1%}", flush=True)


def by_cores(arguments, directory):
    ours = sorted(os.sched_getaffinity(0))
    if len(ours) < 2:
        print("\ncores: only one here, not measured")
        return
    print("\nwall seconds     one core: median, smallest    two: median, smallest    times as fast: median, smallest")
    for kind, capture, known in of_each_kind(arguments, directory, length(arguments)):
        walls = {1: [], 2: []}
        for _ in range(arguments.runs):
            for n, found in walls.items():
                found.append(wall_s(arguments, directory, capture, known, ours[:n]))
        (one, two), (one_best, two_best) = (list(map(taken, walls.values())) for taken in (statistics.median, min))
        print(f"{kind:16} {one:18.2f} {one_best:9.2f} {two:16.2f} {two_best:9.2f} {one / two:22.2f} {one_best / two_best:9.2f}",
              flush=True)


def wall_s(arguments, directory, capture, known, cores):
    """Seconds of a replay whose processes are kept to 'cores'."""
    database = directory / "bench.db"
    for leftover in directory.glob("bench.db*"):
        leftover.unlink()
    started = time.monotonic()
    subprocess.run(["taskset", "--cpu-list", ",".join(map(str, cores)), arguments.build / "cli/wanmeter", "replay", "--quiet",
                    "--database", database, capture], check=True)
    seconds = time.monotonic() - started
    check(database, known)
    return seconds


def by_connections(arguments, _):
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
    done = subprocess.run([arguments.build / "cli/wanmeter", "replay", "--quiet", "--shards", str(CORPUS_SHARDS), "--set",
                           "capture.rss_key=microsoft", "--database", database, *captures], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 3):   # 3: some are cut
        sys.exit(f"scaling: replay of the corpus ended with {done.returncode}: {done.stderr}")
    print(f"\ncorpus: {len(captures)} captures, {CORPUS_SHARDS} shards")
    imbalance.show(imbalance.shares(database), CORPUS_SHARDS, imbalance.packets_by_shard(database))


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench --scaling", description="More shards, cores, connections.")
    parser.add_argument("--build", type=lambda path: Path(path).resolve(), required=True, help=argparse.SUPPRESS)
    parser.add_argument("--scaling", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tables", default="shards,cores,connections,corpus", help="(default: all four)")
    parser.add_argument("--full", action="store_true", help="captures at the lengths of ./dev bench --peers --scale 1")
    parser.add_argument("--packets", type=int, default=1_000_000, help="of a capture (default: 1000000)")
    parser.add_argument("--kinds", default="mix", help="of traffic (default: mix)")
    parser.add_argument("--runs", type=int, default=3, help="medians are of this many (default: 3)")
    parser.add_argument("--shards", default="1,2,4,8", help="(default: 1,2,4,8)")
    parser.add_argument("--connections", default="10000,100000,1000000,10000000",
                        help="(default: 10000,100000,1000000,10000000; the last takes 4 GB)")
    parser.add_argument("--directory", help="where captures and databases go (default: the system's)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
