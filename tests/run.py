#!/usr/bin/python3
"""run: every test of the repository, and one closing line.

    tests/run.py [--build DIR] [--sanitized DIR] [--jobs N] [--list] [PATTERN…]

Two kinds of cases. Programs that meson knows (suites unit and fuzz), of the plain and the sanitizer build. And each
function test_*(case) in tests/integration, tests/conformance and tests/faults, which drives the built programs; one marked
@each(ITEMS) is a case for every item. Every such case runs in a process of its own, with a directory of its own, and
fails too if it leaves a process or a socket behind. Those marked @waits run beside the others, several at a time.

PATTERN: only cases whose name contains one of them. Exit code 0: nothing failed.
"""

import argparse
import concurrent.futures
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS))

from support.case import EXIT_SKIP, Case, Skip, watch_descendants  # noqa: E402

CASE_TIMEOUT_S = 300
N_SLOWEST = 10
JOBS_MAX = 8        # each case has processes of its own, and their memory
WAITING_JOBS = 6    # cases that wait for the kernel's clock, beside the others
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


def main():
    arguments = parse_arguments()
    if arguments.one:
        return run_one(arguments.one, Path(arguments.build))
    names = [name for name in list_cases() if matches(name, arguments.patterns)]
    if arguments.list:
        print("\n".join(names))
        return 0

    results = []
    for label, build in (("", arguments.build), ("sanitized ", arguments.sanitized)):
        if build:
            results += run_meson(label, Path(build), arguments.patterns, arguments.jobs)
    results += run_cases(names, arguments)
    return report(results)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Runs the tests of a build.")
    parser.add_argument("--build", default=str(TESTS.parent / "build"), help="the build to test (default: build)")
    parser.add_argument("--sanitized", help="a second build, whose unit and fuzz suites are run too")
    parser.add_argument("--jobs", type=int, default=min(2 * (os.cpu_count() or 1), JOBS_MAX),
                        help=f"cases at a time: most wait more than they work (default: two a processor, at most {JOBS_MAX})")
    parser.add_argument("--list", action="store_true", help="print the names of the integration and conformance cases")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    return parser.parse_args()


def matches(name, patterns):
    return not patterns or any(pattern in name for pattern in patterns)


# --- cases that meson knows ---

def run_meson(label, build, patterns, jobs):
    """Runs the programs of one build whose name is asked for; their output is in its testlog.json."""
    listing = subprocess.run(["meson", "introspect", build, "--tests"], stdout=subprocess.PIPE, text=True, check=True)
    programs = [test["name"] for test in json.loads(listing.stdout)]
    chosen = [program for program in programs if matches(label + program, patterns)]
    if not chosen:
        return []
    log = build / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--num-processes", str(jobs), *chosen],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    results = [show(*meson_result(label, json.loads(line))) for line in log.read_text().splitlines()]
    missing = len(chosen) - len(results)
    if missing:
        results.append(show(f"{label}meson", FAILED, f"{missing} programs of {build} did not report", 0))
    return results


def meson_result(label, entry):
    outcome = {"OK": PASSED, "SKIP": SKIPPED}.get(entry["result"], FAILED)
    output = (entry.get("stdout") or "") + (entry.get("stderr") or "")
    if outcome == FAILED:
        output = f"{entry['result']}, exit code {entry['returncode']}\n{output}"
    return label + entry["name"].split(" / ")[-1], outcome, output, entry["duration"]


# --- cases that are Python functions ---

def modules():
    for folder in ("integration", "conformance", "faults"):
        for path in sorted((TESTS / folder).glob("test_*.py")):
            yield f"{folder}.{path.stem}"


def list_cases():
    """'module::function' or 'module::function[item]', in order."""
    for module in modules():
        for name, function in vars(importlib.import_module(module)).items():
            if name.startswith("test_") and callable(function):
                for item in getattr(function, "items", [None]):
                    yield f"{module}::{name}" + ("" if item is None else f"[{item}]")


def function_of(name):
    module, _, rest = name.partition("::")
    return getattr(importlib.import_module(module), rest.partition("[")[0])


def run_cases(names, arguments):
    with (concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool,
          concurrent.futures.ThreadPoolExecutor(WAITING_JOBS) as waiting):
        futures = [(waiting if hasattr(function_of(name), "waits") else pool).submit(run_in_process, name, arguments.build)
                   for name in names]
        return [show(*future.result()) for future in concurrent.futures.as_completed(futures)]


def run_in_process(name, build):
    started = time.monotonic()
    command = [sys.executable, __file__, "--build", build, "--one", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=CASE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.terminate()
            output = process.communicate()[0] + f"\nnot finished after {CASE_TIMEOUT_S} s\n"
    outcome = {0: PASSED, EXIT_SKIP: SKIPPED}.get(process.returncode, FAILED)
    return name, outcome, output, time.monotonic() - started


def run_one(name, build):
    """Runs one case in this process; its exit code is the outcome."""
    watch_descendants()
    test = function_of(name)
    item = name.removesuffix("]").partition("[")[2]
    items = {str(value): value for value in getattr(test, "items", [])}
    with Case(name, build) as case:
        try:
            test(case, *([items[item]] if items else []))
        except Skip as skip:
            print(skip)
            return EXIT_SKIP
    return 0


# --- the report ---

def show(name, outcome, output, seconds):
    if outcome == PASSED:
        print(f"ok      {name} ({seconds:.1f} s)")
    elif outcome == SKIPPED:
        print(f"SKIPPED {name}: {output.strip()}")
    else:
        print(f"FAILED  {name} ({seconds:.1f} s)\n" + "".join(f"    {line}\n" for line in output.splitlines()))
    sys.stdout.flush()
    return name, outcome, output, seconds


def report(results):
    """What took longest; what failed and what was skipped once more, at the end where it is seen; then the one line."""
    print("slowest: " + ", ".join(f"{seconds:.1f} s {name}" for name, _, _, seconds in
                                  sorted(results, key=lambda result: -result[3])[:N_SLOWEST]))
    by_outcome = {outcome: [r for r in results if r[1] == outcome] for outcome in (PASSED, FAILED, SKIPPED)}
    for name, *_ in by_outcome[FAILED]:
        print(f"FAILED  {name}")
    reasons = {}
    for name, _, output, _ in by_outcome[SKIPPED]:
        reasons.setdefault(output.strip(), []).append(name)
    for reason, names in reasons.items():
        print(f"SKIPPED {len(names)} ({names[0]}{', …' if len(names) > 1 else ''}): {reason}")
    if by_outcome[SKIPPED]:
        print(f"{len(by_outcome[SKIPPED])} skipped: NOT TESTED on this machine")
    print(f"{len(by_outcome[PASSED])} passed, {len(by_outcome[FAILED])} failed")
    return 1 if by_outcome[FAILED] or not by_outcome[PASSED] else 0


if __name__ == "__main__":
    sys.exit(main())
