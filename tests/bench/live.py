#!/usr/bin/python3
"""live: what a packet costs from an interface, and whether any is dropped at the rate that a sender reaches.

    ./dev bench --live [--packets N] [--kinds mix,small] [--rates 0,100000,…] [--runs N] [--snap BYTES] [--ring BYTES]

A veth pair in a network namespace of its own; one end sends a generated capture, at a rate or (0) as fast as it can. At
the other end libpcap counts, with the ring and snap length of a capture worker: that is the kernel's delivery. Then
wanmeter meters the same. CPU is user and system of the process, ns a packet; what the kernel does before the ring is the
sender's. Fails if what was counted and what was declared lost is not what was sent. Medians over the runs.
"""

import argparse
import os
import select
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import PROCESSES, look, make_capture, wait

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from support import network  # noqa: E402 (its folder is not on the path before)

NEAR, FAR = "mirror0", "mirror1"
START_S, SETTLE_S = 20, 0.5


def main():
    arguments = parse_arguments()
    problem = network.enter()
    if problem:
        print(f"live: SKIPPED: {problem}, nothing was measured")
        return 0
    network.make_veth(NEAR, FAR)
    print(f"{'':<8}{'sent/s':>10}  counting, ns  dropped  capture, ns  trackers  exporter   beyond counting  dropped")
    with tempfile.TemporaryDirectory(prefix="wanmeter-live-", dir=arguments.directory) as name:
        for kind in arguments.kinds.split(","):
            capture, known = make_capture(arguments, Path(name), kind, arguments.packets)
            for rate in arguments.rates.split(","):
                show(kind, known[0], [measure(arguments, Path(name), capture, known, rate) for _ in range(arguments.runs)])
            capture.unlink()
    return 0


def show(kind, packets, runs):
    def median(value):
        return statistics.median(map(value, runs))

    counting = median(lambda run: run["counting"][0]) * 1e9 / packets
    capture, tracker, exporter = (median(lambda run, name=name: run["cpu_s"][name]) * 1e9 / packets for name in PROCESSES)
    print(f"{kind:<8}{median(lambda run: run['rate']):10,.0f}{counting:14.0f}{max(run['counting'][1] for run in runs):9,}"
          f"{capture:13.0f}{tracker:10.0f}{exporter:10.0f}{capture - counting:18.0f}"
          f"{max(run['lost'] for run in runs):9,}", flush=True)


def measure(arguments, directory, capture, known, rate):
    counting = count(arguments, capture, rate)
    cpu_s, lost, reached = meter(arguments, directory, capture, known, rate)
    return {"counting": counting, "cpu_s": cpu_s, "lost": lost, "rate": reached}


def send(arguments, capture, rate):
    """Packets a second that were reached."""
    done = subprocess.run([arguments.build / "tests/bench/send", capture, FAR, rate], stdout=subprocess.PIPE, text=True,
                          check=True)
    n, _, duration_ns = map(int, done.stdout.split())
    return n * 1e9 / duration_ns


def count(arguments, capture, rate):
    """(CPU seconds, packets dropped) of libpcap that counts."""
    command = [arguments.build / "tests/bench/count_libpcap", "-i", NEAR, str(arguments.snap), str(arguments.ring)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n", "count_libpcap cannot open the interface"
        send(arguments, capture, rate)
        time.sleep(SETTLE_S)
        process.send_signal(signal.SIGTERM)
        dropped = int(process.stdout.read().split()[2])
        _, usage = wait(process)
    return usage.ru_utime + usage.ru_stime, dropped


def meter(arguments, directory, capture, known, rate):
    """({process: CPU seconds}, packets declared lost, packets a second sent)."""
    config, database = directory / "live.yaml", directory / "live.db"
    config.write_text(f"sources:\n  - interface: {NEAR}\ncapture:\n  snap: {arguments.snap}B\n  ring: {arguments.ring}B\n",
                      encoding="ascii")
    for leftover in directory.glob("live.db*"):
        leftover.unlink()
    samples = {}
    with subprocess.Popen([arguments.build / "cli/wanmeter", "run", "--config", config, "--database", database,
                           "--set", f"run_directory={directory / 'run'}"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:
        await_ready(process)
        look(process.pid, before := {})
        reached = send(arguments, capture, rate)
        time.sleep(SETTLE_S)
        look(process.pid, samples)
        process.send_signal(signal.SIGTERM)
        errors = process.stderr.read()
        code, _ = wait(process)
    if code not in (0, 3):
        sys.exit(f"live: wanmeter ended with {code}: {errors}")
    cpu_s = dict.fromkeys(PROCESSES, 0)
    for child, (name, used_s, _) in samples.items():
        cpu_s[name] += used_s - before[child][1]
    return cpu_s, check(database, known), reached


def await_ready(process):
    said, deadline = "", time.monotonic() + START_S
    while "ready: capturing" not in said:
        readable, _, _ = select.select([process.stderr], [], [], max(0, deadline - time.monotonic()))
        piece = os.read(process.stderr.fileno(), 4096).decode(errors="replace") if readable else ""
        said += piece
        if not piece:
            process.kill()
            sys.exit(f"live: wanmeter is not ready: {said}")


def check(database, known):
    """Packets declared lost. What was sent is all counted or declared."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        counted = connection.execute("SELECT ifnull(sum(packets), 0) FROM usage").fetchone()[0]
        lost = connection.execute("SELECT ifnull(sum(packets), 0) FROM loss").fetchone()[0]
    connection.close()
    if counted + lost != known[0]:
        sys.exit(f"live: {counted} counted and {lost} declared lost are not the {known[0]} that were sent")
    return lost


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench --live", description="Meters what a veth pair carries.")
    parser.add_argument("--build", type=lambda path: Path(path).resolve(), required=True, help=argparse.SUPPRESS)
    parser.add_argument("--live", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--packets", type=int, default=1_000_000, help="a run (default: 1000000)")
    parser.add_argument("--kinds", default="mix,small", help="of traffic (default: mix,small)")
    parser.add_argument("--rates", default="0,200000", help="packets a second; 0: as many as go (default: 0,200000)")
    parser.add_argument("--runs", type=int, default=3, help="medians are of this many (default: 3)")
    parser.add_argument("--snap", type=int, default=256, help="snap length, bytes (default: 256)")
    parser.add_argument("--ring", type=int, default=64 << 20, help="of the kernel, bytes (default: 64 MiB)")
    parser.add_argument("--directory", help="where captures and databases go (default: the system's)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
