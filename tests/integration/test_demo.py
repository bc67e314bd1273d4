"""`./dev demo` as a user sees it, and the questions of docs/guide.md asked of its database."""

import re
import subprocess
import sys
from collections import defaultdict

from support import demo, traffic
from support.case import ROOT, each

GUIDE = ROOT / "docs" / "guide.md"
FROM_NS, SLOT_NS = demo.START_NS, 300 * 10**9


def test_the_demo_shows_the_bill_and_finds_its_known_totals(case):
    done = subprocess.run([sys.executable, str(case.root / "tests/support/demo.py"), "--build", str(case.build),
                           "--directory", str(case.directory / "demo")], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=case.wanmeter.environment, check=False)
    assert done.returncode == 0, done.stdout
    for word in ("adsl", "lte", "alice", "bob", "shop", "$ wanmeter audit", "accounted for", "Next:"):
        assert word in done.stdout, f"no '{word}' in:\n{done.stdout}"


def test_the_readme_shows_what_the_demo_prints(case):
    """Byte by byte: paths apart, the demo is the same everywhere."""
    folder = case.directory / "demo"
    done = subprocess.run([sys.executable, str(case.root / "tests/support/demo.py"), "--build", str(case.build),
                           "--directory", str(folder)], stdout=subprocess.PIPE, text=True,
                          env=case.wanmeter.environment, check=True)
    shown = re.search(r"^    \$ \./dev demo\n(.*?)^(?=\S)", (case.root / "README.md").read_text(), re.M | re.S).group(1)
    printed = "".join(f"    {line}".rstrip() + "\n"
                      for line in done.stdout.replace(str(folder), "build/demo").splitlines())
    assert shown.rstrip() == printed.rstrip(), f"README.md should have:\n{printed}"


def test_the_demo_fails_when_a_total_is_not_the_known_one(case):
    """The demo is a check, too: it must not call a wrong bill right."""
    program = case.directory / "build" / "cli" / "wanmeter"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\n{case.wanmeter.program} "$@" | sed "s/^alice,adsl,up,connection,/&1/"\n')
    program.chmod(0o755)
    done = subprocess.run([sys.executable, str(case.root / "tests/support/demo.py"), "--build",
                           str(case.directory / "build")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env=case.wanmeter.environment, check=False)
    assert done.returncode != 0 and "differ" in done.stdout, done.stdout


def questions():
    """{heading: sql} of the guide's cookbook."""
    found, heading = {}, None
    for title, block in re.findall(r"^### ([^\n]+)$|^```sql\n(.*?)^```$", GUIDE.read_text(), re.M | re.S):
        heading = title or heading
        if block:
            assert heading not in found, f"two blocks under '{heading}'"
            found[heading] = block
    return found


@each(questions())
def test_the_cookbooks_answer_is_right(case, question):
    packets = demo.packets()
    demo_database(case, packets)
    done = case.wanmeter("sql", questions()[question])
    rows = case.query(questions()[question])
    assert len(done.stdout.splitlines()) >= len(rows), "the program prints what SQLite answers"
    CHECKS[question](rows, [packet for packet in packets])


def test_the_cookbook_has_at_least_twelve_questions_and_each_is_checked(case):
    assert len(questions()) >= 12
    assert set(questions()) == set(CHECKS)


def demo_database(case, packets):
    """One replay serves all questions: the first one keeps it for the others of this build."""
    from support import capture
    capture.write_pcapng(case.directory / "demo.pcapng", packets)
    case.wanmeter("replay", "--config", case.write("demo.yaml", traffic.CONFIG), "demo.pcapng")


# --- what must come out, from what the capture was made of ---

def sums(packets, key, value=traffic.billed_bytes):
    """{key(packet): sum of value(packet)}; keys that are None are left out."""
    found = defaultdict(int)
    for packet in packets:
        if key(packet) is not None:
            found[key(packet)] += value(packet)
    return dict(found)


def october(packet):
    return packet.time_ns < 1_761_955_200 * 10**9


def top_accounts(rows, packets):
    known = sums(packets, lambda p: p.account if p.wan == "adsl" and october(p) else None)
    assert dict(rows) == known and rows[0][1] == max(known.values())


def up_and_down(rows, packets):
    known = sums(packets, lambda p: (p.account, p.direction))
    assert {(account, "up"): up for account, up, _ in rows} | {(account, "down"): down for account, _, down in rows} \
        == known
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)


def by_day(rows, packets):
    known = sums(packets, lambda p: ("2025-10-31" if october(p) else "2025-11-01", p.account))
    assert {row[:2]: row[2] for row in rows} == known


def busiest_hour(rows, packets):
    hours = sums(packets, lambda p: (p.time_ns - FROM_NS) // (3600 * 10**9) if p.wan == "adsl" else None)
    assert rows == [("2025-10-31 19:00", max(hours.values()))], rows


def overhead(rows, packets):
    l2_bytes, l3_bytes = (sums(packets, lambda p: p.wan, lambda p, name=name: getattr(p, name))
                          for name in ("l2_bytes", "l3_bytes"))
    billed_bytes = sums(packets, lambda p: p.wan)
    assert rows == [(wan, model, l2_bytes[wan], l3_bytes[wan], billed_bytes[wan],
                     round(100 * (billed_bytes[wan] - l3_bytes[wan]) / l3_bytes[wan], 1))
                    for wan, model in (("adsl", "pppoe-llcsnap"), ("lte", "ip"))]
    assert rows[0][-1] > 10


def percentile(rows, packets):
    expected = []
    for direction in ("up", "down"):
        slots = sums(packets, lambda p, way=direction: (p.time_ns - FROM_NS) // SLOT_NS
                     if p.wan == "adsl" and p.direction == way else None)
        samples = sorted((slots.get(n, 0) * 8 // 300 for n in range(288)), reverse=True)
        expected.append(samples[288 * 5 // 100])
    assert rows == [(max(expected),)] and rows[0][0] > 0


def protocols(rows, packets):
    numbers = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
    known = sums(packets, lambda p: p.connection and numbers[p.connection[1]], lambda p: p.l3_bytes)
    assert {row[0]: row[2] for row in rows} == known
    assert abs(sum(row[3] for row in rows) - 100) < 1


def services(rows, packets):
    assert len(rows) == 10 and {row[:2] for row in rows} >= {("tcp", 443), ("tcp", 80), ("udp", 53)}
    known = sums(packets, lambda p: p.connection and p.connection[1] == 6 and 443 in
                 (p.connection[2][1], p.connection[3][1]) or None)
    assert next(row[3] for row in rows if row[:2] == ("tcp", 443)) == known[True]


def longest(rows, packets):
    spans = {}
    for packet in packets:
        if packet.connection:
            first, _ = spans.get(packet.connection, (packet.time_ns, 0))
            spans[packet.connection] = first, packet.time_ns
    known = sorted(((last - first) / 10**9 for first, last in spans.values()), reverse=True)[:10]
    assert all(abs(row[5] - seconds) < 1e-6 for row, seconds in zip(rows, known, strict=True)), (rows, known)


def of_a_host(rows, packets):
    known = {p.connection for p in packets if p.connection and p.time_ns < 1_761_976_800 * 10**9 and
             "10.1.0.7" in (p.connection[2][0], p.connection[3][0])}
    assert len(rows) == len(known) > 0, (rows, known)
    assert all("10.1.0.7" in (row[2], row[4]) for row in rows)


def scanned(rows, packets):
    known = sums(packets, lambda p: p.account if p.connection and p.connection[1] == 6 else None, lambda p: 1)
    assert rows[0][0] == "shop" and rows[0][1] >= 150 and set(row[0] for row in rows) <= set(known)
    assert all(attempts >= ports for _, attempts, _, ports in rows)


def unattributed(rows, packets):
    known = sums(packets, lambda p: (p.wan, p.account, p.class_name, p.direction) if p.account == "none" else None,
                 lambda p: 1)
    assert {row[:4]: row[4] for row in rows} == known


def classes(rows, packets):
    known = traffic.totals(packets, lambda p: p.class_name)
    assert {row[0]: row[1:] for row in rows} == {name: row for name, row in known.items() if name != "connection"}


def nothing_lost(rows, _):
    assert rows == []


def captures(rows, packets):
    assert len(rows) == 1 and rows[0][0].endswith("demo.pcapng")
    assert rows[0][1:3] == traffic.total(packets)[:2] and rows[0][-1] == 1


def adds_up(rows, packets):
    captured, counted, lost, in_flows, in_connections = rows[0]
    assert captured == counted == len(packets) and lost == 0 and in_flows == in_connections


CHECKS = {
    "Which accounts used most of a WAN in a month?": top_accounts,
    "Who sends and who receives most?": up_and_down,
    "What did each account use each day?": by_day,
    "Which was the busiest hour of a WAN?": busiest_hour,
    "What does each WAN bill, compared with IP and with the frames on the wire?": overhead,
    "What is the 95th percentile of a WAN, by five-minute samples?": percentile,
    "How is the traffic shared between protocols?": protocols,
    "Which services carry most bytes?": services,
    "Which connections lasted longest?": longest,
    "Which connections did a host have at a given time?": of_a_host,
    "Who is being scanned?": scanned,
    "What traffic belongs to no account or no WAN?": unattributed,
    "What is in no connection, and why?": classes,
    "How much was lost on each day?": nothing_lost,
    "Which captures are in this bill?": captures,
    "Does it add up? The audit by hand": adds_up,
}
