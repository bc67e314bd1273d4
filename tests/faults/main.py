#!/usr/bin/python3
"""main: the fault suite in its long form, and a table of what it did and lost.

    tests/faults/main.py [--build DIR] [--seed N] [--kills N] [--minutes N] [--jobs N] [--list] [PATTERN…]

The same seed gives the same faults at the same points; what a machine's load makes of a moment is not in it. With
--minutes, rounds with further seeds (seed + 1, …) follow until so much time has gone by; rows of one fault are added up.
'difference' is what was generated, less what is counted, less what is declared lost: 0, or 'unknown' where a loss line
says that nobody knows. Exit code 0: every case passed.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

import run  # noqa: E402
from faults import suite  # noqa: E402
from faults.outcome import MARK  # noqa: E402

CASE_TIMEOUT_S = 3600
SUMS = ("count", "generated", "counted", "declared", "difference", "lines", "unknown")


def main():
    arguments = parse_arguments()
    os.environ.update(suite.environment(suite.Options(arguments.seed, arguments.kills, True)))
    names = [name for name in run.list_cases() if name.startswith("faults.") and run.matches(name, arguments.patterns)]
    if arguments.list:
        print("\n".join(names))
        return 0
    run.CASE_TIMEOUT_S = CASE_TIMEOUT_S
    rows, results, started = {}, [], time.monotonic()
    seed = arguments.seed
    while True:
        os.environ.update(suite.environment(suite.Options(seed, arguments.kills, True)))
        for name, outcome, output, seconds in run.run_cases(names, arguments):
            results.append((f"{name} (seed {seed})", outcome, output, seconds))
            add_rows(rows, output, outcome, name)
        seed += 1
        if time.monotonic() - started >= 60 * arguments.minutes:
            break
    print_table(rows, arguments.seed, seed - arguments.seed, time.monotonic() - started)
    return run.report(results)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Hurts wanmeter in every way we know, and adds up the bill.")
    parser.add_argument("--build", default=str(TESTS.parent / "build"), help="the build to test (default: build)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200, help="processes killed in a round (default: 200)")
    parser.add_argument("--minutes", type=float, default=0, help="rounds are repeated until so much time has gone by")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    return parser.parse_args()


def add_rows(rows, output, outcome, name):
    found = [json.loads(line[len(MARK):]) for line in output.splitlines() if line.startswith(MARK)]
    if outcome != run.PASSED:
        found.append({"fault": f"{name.partition('::')[2]}: {outcome.upper()}", "verdict": "-",
                      **dict.fromkeys(SUMS, 0)})
    for row in found:
        sums = rows.setdefault(row["fault"], {"fault": row["fault"], "verdicts": set(), **dict.fromkeys(SUMS, 0)})
        sums["verdicts"].add(row["verdict"])
        for column in SUMS:
            sums[column] += row[column]


def print_table(rows, seed, n_rounds, seconds):
    head = ("fault", "count", "bytes generated", "bytes counted", "bytes declared lost", "difference", "audit")
    lines = [head] + [(row["fault"], f"{row['count']:,}", f"{row['generated']:,}", f"{row['counted']:,}",
                       f"{row['declared']:,}", difference(row), ", ".join(sorted(row["verdicts"])))
                      for row in rows.values()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(f"\n{processor()}, {os.cpu_count()} CPUs, Linux {platform.release()}, "
          f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC: seed {seed}, {n_rounds} rounds, {seconds:.0f} s\n")
    for n, line in enumerate(lines):
        cells = [cell.ljust(width) if column in (0, 6) else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(line, widths, strict=True))]
        print("| " + " | ".join(cells) + " |")
        if n == 0:
            print("|" + "|".join(("-" * (width + 1) + (":" if column not in (0, 6) else "-"))
                                 for column, width in enumerate(widths)) + "|")
    print(flush=True)


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def difference(row):
    return f"{row['difference']:,} ({row['unknown']} lines: unknown)" if row["unknown"] else f"{row['difference']:,}"


if __name__ == "__main__":
    sys.exit(main())
