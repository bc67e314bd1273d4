#!/usr/bin/python3
"""bench: what a packet costs, end to end and in each process, beside libpcap that only counts the same file.

    ./dev bench [--packets N] [--kinds mix,small,churn] [--runs N] [--shards N] [--workers N] [--directory DIR]
                [--parts]

Prints "name value unit" lines, medians over the runs. CPU time is user + system of all threads: of the whole program
exactly (wait4), of each process from /proc, looked at every 20 ms until its end. Ratios are what can be compared
between machines. Fails if the database does not hold what the generator made.
"""

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

SEED = 1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SAMPLE_INTERVAL_S = 0.02
PROCESSES = ("capture", "tracker", "exporter")


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="wanmeter-bench-", dir=arguments.directory) as directory:
        few = replay(arguments, Path(directory), *make_capture(arguments, Path(directory), "few", arguments.packets))
        for kind in arguments.kinds.split(","):
            bench(arguments, Path(directory), kind, few)
        if arguments.parts:
            for program in sorted((arguments.build / "tests/bench").glob("bench_*")):
                if program.is_file():
                    subprocess.run([program.resolve()], cwd=directory, check=True)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measures replays of generated captures.")
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--packets", type=int, default=2_000_000, help="a capture (default: 2000000)")
    parser.add_argument("--kinds", default="mix,small,churn", help="of traffic (default: mix,small,churn)")
    parser.add_argument("--runs", type=int, default=3, help="medians are of this many (default: 3)")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--directory", help="where captures and databases go (default: the system's)")
    parser.add_argument("--parts", action="store_true", help="then the benchmarks of single modules")
    return parser.parse_args()


def bench(arguments, directory, kind, few):
    """'few': a run of as many packets in few connections: what the tracker holds besides connections."""
    path, known = make_capture(arguments, directory, kind, arguments.packets)
    packets, _, _, connections = known
    runs = []
    for _ in range(arguments.runs):
        libpcap_s = count_by_libpcap(arguments, path, known)
        runs.append((libpcap_s, replay(arguments, directory, path, known)))
    path.unlink()

    def show(name, unit, value, digits=0):
        print(f"{kind}.{name} {statistics.median(map(value, runs)):.{digits}f} {unit}", flush=True)

    show("packets", "1", lambda run: packets)
    show("connections", "1", lambda run: connections)
    show("cpu_per_packet", "ns", lambda run: run[1].cpu_s * 1e9 / packets)
    show("packets_per_cpu_second", "1/s", lambda run: packets / run[1].cpu_s)
    show("packets_per_second", "1/s", lambda run: packets / run[1].wall_s)
    for process in PROCESSES:
        show(f"{process}.cpu_per_packet", "ns", lambda run, name=process: run[1].process_s[name] * 1e9 / packets)
    show("libpcap_counting.cpu_per_packet", "ns", lambda run: run[0] * 1e9 / packets)
    show("cpu_ratio_to_libpcap_counting", "1", lambda run: run[1].cpu_s / run[0], 2)
    for process in PROCESSES:
        show(f"{process}.peak_memory", "MiB", lambda run, name=process: run[1].peak_bytes[name] / 2**20, 1)
    show("tracker.memory_per_connection", "B",
         lambda run: (run[1].peak_bytes["tracker"] - few.peak_bytes["tracker"]) / connections)
    show("database_bytes_per_connection", "B", lambda run: run[1].database_bytes / connections)


def make_capture(arguments, directory, kind, packets):
    path = directory / f"{kind}-{packets}.pcap"
    done = subprocess.run([arguments.build / "tests/bench/generate", kind, str(packets), str(SEED), path],
                          stdout=subprocess.PIPE, text=True, check=True)
    return path, tuple(map(int, done.stdout.split()))


def count_by_libpcap(arguments, path, known):
    """CPU seconds."""
    with subprocess.Popen([arguments.build / "tests/bench/count_libpcap", path], stdout=subprocess.PIPE,
                          text=True) as process:
        counted = tuple(map(int, process.stdout.read().split()))
        usage = wait(process)[1]
    if counted != known[:2]:
        sys.exit(f"bench: libpcap counted {counted} of {known}")
    return usage.ru_utime + usage.ru_stime


def wait(process):
    """(exit code, rusage): what it and all that it waited for used."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage


class Run:
    """What one replay used."""

    def __init__(self):
        self.cpu_s = self.wall_s = self.database_bytes = 0
        self.process_s = defaultdict(float)     # by name; several of one name are added up
        self.peak_bytes = defaultdict(int)


def replay(arguments, directory, path, known=None):
    database = directory / "bench.db"
    for leftover in directory.glob("bench.db*"):
        leftover.unlink()
    command = [arguments.build / "cli/wanmeter", "replay", "--database", database, "--shards", str(arguments.shards),
               "--workers", str(arguments.workers), path]
    run, samples, started = Run(), {}, time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        # WNOWAIT: it stays a zombie until wait4() takes its usage.
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            look(process.pid, samples)
            time.sleep(SAMPLE_INTERVAL_S)
        code, usage = wait(process)
        errors = process.stderr.read()
    if code != 0:
        sys.exit(f"bench: replay ended with {code}: {errors}")
    run.wall_s, run.cpu_s = time.monotonic() - started, usage.ru_utime + usage.ru_stime
    for name, cpu_s, peak_bytes in samples.values():
        run.process_s[name] += cpu_s
        run.peak_bytes[name] += peak_bytes
    run.database_bytes = sum(file.stat().st_size for file in directory.glob("bench.db*"))
    check(database, known)
    return run


def look(pid, samples):
    """Notes every child of 'pid': {its pid: (name, CPU seconds, peak bytes)}."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return
    for child in children:
        try:
            program = Path(f"/proc/{child}/cmdline").read_text().partition("\0")[0]
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2]
            status = Path(f"/proc/{child}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = fields.split()
        peak = [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")]
        known = [process for process in PROCESSES if program.endswith(process)]
        if peak and known:
            samples[child] = known[0], (int(fields[11]) + int(fields[12])) / TICKS_PER_S, peak[0]


def check(database, known):
    if known is None:
        return
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        counted = connection.execute("SELECT sum(packets), sum(l2_bytes), sum(l3_bytes) FROM usage").fetchone()
        flows = connection.execute("SELECT count(DISTINCT id) FROM flow_record").fetchone()
    connection.close()
    if counted + flows != known:
        sys.exit(f"bench: the database has {counted + flows}, the capture {known} (packets, L2, L3, connections)")


if __name__ == "__main__":
    main()
