#!/usr/bin/python3
"""instructions: what a packet costs in each process, in instructions, against the figures in instructions.json.

    ./dev instructions [--write]

Counted by callgrind, so that other work on the machine does not matter; of the release build. A replay of few packets
is taken from one of many: what is left are the packets' own instructions, without start and end. Fails where a process
takes more than 5 % above its figure (one run differs from the next by up to 1.5 %); --write stores what was counted.
The figures are of Debian 12's compiler and libraries: elsewhere they are another measure.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FIGURES = Path(__file__).with_suffix(".json")
KINDS = ("mix", "churn")
FEW, MANY = 20_000, 80_000
SEED = 1
MARGIN = 1.05
PROCESSES = ("capture", "tracker", "exporter")
TIMEOUT_S = 300


def main():
    arguments = parse_arguments()
    if not shutil.which("valgrind"):
        print("instructions: SKIPPED: no valgrind here, nothing was counted")
        return 77
    counted = {kind: count_kind(arguments.build, kind) for kind in KINDS}
    if arguments.write:
        FIGURES.write_text(json.dumps(counted, indent=4) + "\n", encoding="ascii")
    stored = json.loads(FIGURES.read_text(encoding="ascii"))
    verdicts = [show(kind, process, counted[kind][process], stored[kind][process])
                for kind in KINDS for process in PROCESSES]
    return 0 if all(verdicts) else 1


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev instructions", description="Counts instructions a packet.")
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="store what is counted as the figures")
    return parser.parse_args()


def show(kind, process, counted, stored):
    is_good = counted <= stored * MARGIN
    verdict = "ok" if is_good else "TOO MANY"
    print(f"{kind}.{process} {counted} instructions a packet, stored {stored}: {verdict}", flush=True)
    return is_good


def count_kind(build, kind):
    few, many = count(build, kind, FEW), count(build, kind, MANY)
    return {process: round((many[process] - few[process]) / (MANY - FEW)) for process in PROCESSES}


def count(build, kind, n_packets):
    """{process: instructions} of one replay."""
    with tempfile.TemporaryDirectory(prefix="wm", dir="/dev/shm") as name:
        directory = Path(name)
        subprocess.run([build / "tests/bench/generate", kind, str(n_packets), str(SEED), directory / "in.pcap"],
                       stdout=subprocess.DEVNULL, check=True)
        subprocess.run(["valgrind", "--quiet", "--tool=callgrind", "--trace-children=yes",
                        f"--callgrind-out-file={directory}/%p.out", build / "cli/wanmeter", "replay", "--quiet",
                        "--set", "security.sandbox=off",  # else callgrind could not write what it counted
                        "--database", directory / "out.db", directory / "in.pcap"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=TIMEOUT_S)
        return dict(read_total(path) for path in directory.glob("*.out"))


def read_total(path):
    """(process, instructions) of callgrind's output."""
    process, total = "", 0
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("cmd:"):
                process = line.split()[1].rpartition("/")[2].removeprefix("wanmeter-")
            elif line.startswith("totals:"):
                total = int(line.split()[1])
    return process, total


if __name__ == "__main__":
    sys.exit(main())
