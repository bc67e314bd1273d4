#!/usr/bin/python3
"""demo: a day of a small site through the real processes, and the bill.

    tests/support/demo.py --build DIR [--directory DIR]

Makes a capture whose totals are known, replays it into a fresh database, shows what a user would ask for, and fails if
anything differs from what is known.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import capture, traffic  # noqa: E402
from support.capture import NANOSECONDS  # noqa: E402
from support.traffic import ACCOUNTS, CONFIG, WANS, Traffic  # noqa: E402

SEED = 20251031
START_NS = 1_761_933_600 * NANOSECONDS      # 2025-10-31 18:00 UTC: a day over the end of a month
DAY_NS = 86_400 * NANOSECONDS


def packets():
    """A day: everyday sessions of three accounts on two WANs, a large download, a scan, and one of every oddity."""
    day = Traffic(SEED)
    time_ns = START_NS
    while time_ns < START_NS + DAY_NS:
        day.anything(time_ns, exotic=0.05)
        time_ns += day.random.randrange(120 * NANOSECONDS)
    evening_ns = START_NS + 3600 * NANOSECONDS
    day.browse(evening_ns, ACCOUNTS[0], WANS[0], requests=400)
    for n in range(150):
        day.probe(evening_ns + n * NANOSECONDS, ACCOUNTS[2], WANS[0])
    for session in (day.orphan, day.refused, day.arp, day.malformed, day.large_datagram):
        session(evening_ns, ACCOUNTS[1], WANS[1])
    day.announcement(evening_ns, WANS[1])
    return day.in_order()


def main():
    parser = argparse.ArgumentParser(description="Replays a capture with known totals and prints the bill.")
    parser.add_argument("--build", required=True, type=Path)
    parser.add_argument("--directory", type=Path, help="where its files go (default: BUILD/demo)")
    arguments = parser.parse_args()
    directory = arguments.directory or arguments.build / "demo"
    program = str(arguments.build.resolve() / "cli" / "wanmeter")

    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    known = packets()
    capture.write_pcapng(directory / "demo.pcapng", known, interfaces=["mirror0"])
    (directory / "demo.yaml").write_text(CONFIG)
    count, l2_bytes, l3_bytes = traffic.total(known)
    print(f"{directory}/demo.pcapng: {count} packets, {l2_bytes} L2 bytes, {l3_bytes} L3 bytes, "
          f"{len(traffic.connection_lines(known))} connections\n")

    database = str(directory / "demo.db")
    show(program, "replay", "--quiet", "--config", str(directory / "demo.yaml"), "--database", database,
         str(directory / "demo.pcapng"))
    show(program, "usage", "--database", database, "--by", "wan,direction")
    show(program, "usage", "--database", database, "--by", "account,wan")
    show(program, "losses", "--database", database)
    show(program, "audit", "--database", database)
    compare(program, database, known)
    print(f"""The totals are those of the capture: every byte is accounted for.

Next:
  ./dev wanmeter flows --database {database}
  ./dev wanmeter usage --database {database} --format json
  ./dev wanmeter replay --database my.db FILE.pcap     your own capture: no root, no configuration
  docs/guide.md                                        questions to ask in SQL, live capture, subscribing""")


def show(program, *arguments):
    words = [f"'{word}'" if " " in word else word for word in arguments]
    print(f"$ wanmeter {' '.join(words)}", flush=True)
    done = subprocess.run([program, *arguments], check=False)
    if done.returncode != 0:
        sys.exit(f"demo: exit code {done.returncode}")
    print(flush=True)


def compare(program, database, known):
    """Usage by account, WAN, direction and class must be what the capture was made with."""
    query = """SELECT account, wan, direction, class, sum(packets), sum(l2_bytes), sum(l3_bytes) FROM usage
               GROUP BY 1, 2, 3, 4"""
    done = subprocess.run([program, "sql", "--database", database, "--format", "csv", query], check=True,
                          stdout=subprocess.PIPE, text=True)
    rows = [line.split(",") for line in done.stdout.splitlines()[1:]]
    counted = {tuple(row[:4]): tuple(map(int, row[4:])) for row in rows}
    expected = traffic.usage_totals(known)
    for key in sorted(set(counted) | set(expected)):
        if counted.get(key) != expected.get(key):
            print(f"differs: {key}: counted {counted.get(key)}, known {expected.get(key)}")
    if counted != expected:
        sys.exit("demo: the totals differ from what the capture was made with")


if __name__ == "__main__":
    main()
