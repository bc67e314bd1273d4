"""outcome: whether a bill under fire is right, and the row of the table that says how.

    outcome.judge(case, "kill -9 tracker", count=3, truth=load.usage())

What must hold after every fault:
- the database is whole (PRAGMA integrity_check), and no other was put in its place;
- no usage row has more than what the generator made, and none is of what it did not make;
- what all rows lack together is what the exact and derived loss lines declare, to the packet and the byte; only
  beside a line that knows no amount, or no more than a bound, may more be missing, and not more than the bound;
- 'wanmeter audit' comes to the same: exact, or bounded where something was never captured or nobody knows how much;
- nothing is left in the run directory, no lock and no spool beside the database.
That no process is left is seen by support.case.
"""

import json
import math
import sqlite3
import time
from dataclasses import asdict, dataclass, replace

from faults.load import folded

PACKETS, L2_BYTES, CERTAINTY = 2, 3, 5      # columns of LOSSES
LOSSES = "SELECT stage, reason, packets, l2_bytes, l3_bytes, certainty, evidence FROM loss"
RUN_DIRECTORY = "run"   # where a case wants one that it knows
MARK = "FAULT "     # begins a line of standard output that is a row for the table


@dataclass
class Row:
    fault: str
    count: int          # how often it was done
    generated: int      # L2 bytes
    counted: int
    declared: int
    difference: int     # generated - counted - declared
    verdict: str        # of wanmeter audit
    lines: int = 0      # loss lines
    unknown: int = 0    # of these, without an amount


def judge(case, fault, count, truth, **how):
    """Checks all of the above, and tells the row."""
    return tell(check(case, truth, **how), fault, count)


def check(case, truth, *, verdicts=("exact",), database="wanmeter.db", fold=None):
    """Asserts all of the above. Returns the row, without a name yet.

    'verdicts': those that this fault may end in. 'fold': a key of load.usage() to what is compared of it, where the
    generator cannot know more (load.any_slot: of what was sent live)."""
    assert case.query("PRAGMA integrity_check", database=database) == [("ok",)]
    counted = read_usage(case, database)
    if fold:
        counted, truth = folded(counted, fold), folded(truth, fold)
    missing = subtract(truth, counted)
    losses = case.query(LOSSES, database=database)
    declared, most = declared_amounts(losses)
    verdict = audit(case, database)
    story = f"missing {missing}, declared {declared} to {most}, audit {verdict}, loss lines: {losses}"
    assert all(low <= lack <= high for low, lack, high in zip(declared, missing, most, strict=True)), story
    assert verdict in verdicts, story
    assert_nothing_left(case, database)
    return Row("", 0, total(truth)[1], total(counted)[1], declared[1], missing[1] - declared[1], verdict, len(losses),
               sum(line[L2_BYTES] is None for line in losses))


def tell(row, fault, count, times=1):
    """Names the row, which may stand for several like it, and puts it into the table."""
    row = replace(row, fault=fault, count=count, **{name: getattr(row, name) * times for name in
                                                    ("generated", "counted", "declared", "difference")})
    print(MARK + json.dumps(asdict(row)), flush=True)
    return row


def read_usage(case, database):
    rows = case.query("SELECT slot_ns, account, wan, direction, class, sum(packets), sum(l2_bytes), sum(l3_bytes), "
                      "sum(billed_bytes) FROM usage GROUP BY 1, 2, 3, 4, 5", database=database)
    return {row[:5]: row[5:] for row in rows}


def subtract(truth, counted):
    """(packets, l2_bytes, l3_bytes) that the rows lack together; none has more than it should."""
    for key, amounts in counted.items():
        known = truth.get(key)
        assert known, f"nothing like this was made: {key} {amounts}"
        assert all(have <= want for have, want in zip(amounts, known, strict=True)), \
            f"{key}: counted {amounts}, made {known}"
    return tuple(want - have for want, have in zip(total(truth), total(counted), strict=True))[:3]


def total(rows):
    return tuple(map(sum, zip(*rows.values(), strict=True))) if rows else (0, 0, 0, 0)


def declared_amounts(losses):
    """What is lost at least and at most, in packets, L2 and L3 bytes: an amount that nobody knows has no bound."""
    least, most = [0, 0, 0], [0, 0, 0]
    for line in losses:
        for n, amount in enumerate(line[PACKETS:CERTAINTY]):
            least[n] += amount if amount and line[CERTAINTY] in ("exact", "derived") else 0
            most[n] += math.inf if amount is None else amount
    return tuple(least), tuple(most)


def audit(case, database):
    """The verdict; the exit code must say the same."""
    done = case.wanmeter("audit", "--database", database, check=None)
    verdict = done.stdout.strip().rsplit(" ", 1)[-1] if done.stdout else "none"
    wanted = {"exact": 0, "bounded": 0, "mismatch": 4}.get(verdict)
    assert done.returncode == wanted, f"exit code {done.returncode}: {done.stdout}{done.stderr}"
    return verdict


def assert_nothing_left(case, database):
    left = [str(path.relative_to(case.directory))
            for folder in (case.wanmeter.sockets, case.directory / RUN_DIRECTORY) for path in folder.rglob("*")]
    names = {database, database + "-wal", database + "-shm"}
    folder = (case.directory / database).parent
    left += [path.name for path in folder.iterdir()
             if path.name.startswith(database.rsplit("/", 1)[-1]) and path.name not in
             {name.rsplit("/", 1)[-1] for name in names}]
    assert not left, f"left behind: {left}"


def wait_for_usage(case, database):
    """Until the first rows are committed."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if case.query("SELECT count(*) FROM usage_slot", database=database) != [(0,)]:
                return
        except (AssertionError, sqlite3.OperationalError):
            pass    # not made yet
        assert time.monotonic() < deadline, "nothing was ever committed"
        time.sleep(0.01)
