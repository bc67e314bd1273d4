"""Flow records go by age; the bill, its seals and its proof stay."""

import os

from support import capture, traffic
from support.capture import NANOSECONDS

START_NS = 1_760_000_400 * NANOSECONDS      # the start of a quarter hour
HOUR_NS = 3600 * NANOSECONDS
BILL = "SELECT slot_ns, account, wan, direction, class, packets, l2_bytes, l3_bytes, billed_bytes FROM usage ORDER BY 1, 2, 3, 4, 5"
SEALS = "SELECT seal, hash FROM seal ORDER BY 1"


def make(case, hours=4, seed=5, start_ns=START_NS, name="in.pcap"):
    """A capture of some hours, of the same number of packets each."""
    packets = []
    for hour in range(hours):
        packets += traffic.mix(seed=seed + hour, n_packets=2_000, start_ns=start_ns + hour * HOUR_NS, gap_ns=HOUR_NS // 2_500)
    packets.sort(key=lambda packet: packet.time_ns)
    capture.write_pcap(case.directory / name, packets)


def replay(case, database, *sets, name="in.pcap"):
    case.write("site.yaml", traffic.CONFIG)
    options = [word for assignment in sets for word in ("--set", assignment)]
    case.wanmeter("replay", "--config", "site.yaml", *options, "--database", database, name)


def assert_same_bill(case, database, other):
    assert case.query(BILL, database=database) == case.query(BILL, database=other)
    assert case.query(SEALS, database=database) == case.query(SEALS, database=other) != []
    assert case.query("SELECT verdict FROM audit", database=database) == [("exact",)]
    assert case.query("SELECT verdict FROM audit_flows", database=database) == [("equal",)]
    case.wanmeter.audit(database=database)


def test_old_records_go_while_a_run_goes_on_and_the_bill_stays(case):
    make(case)
    replay(case, "all.db")
    replay(case, "kept.db", "retention.flows=1h", "exporter.commit_interval=1ms")
    assert_same_bill(case, "kept.db", "all.db")
    n_all = case.query("SELECT count(*) FROM flow", database="all.db")[0][0]
    n_kept = case.query("SELECT count(*) FROM flow", database="kept.db")[0][0]
    n_pruned = case.query("SELECT sum(flow_rows) FROM pruned", database="kept.db")[0][0]
    assert n_kept + n_pruned == n_all and n_kept < n_all


def test_prune_deletes_what_is_before_and_no_more_and_seals_hold(case):
    make(case)
    replay(case, "all.db")
    replay(case, "wanmeter.db")
    before_ns = START_NS + 2 * HOUR_NS
    seal = before_ns // (900 * NANOSECONDS)
    rest = "SELECT id, orig_src_address, first_ns, last_ns, record, seal FROM flow WHERE seal >= ? ORDER BY 1, 3, 4"
    done = case.wanmeter("prune", "--before", f"@{before_ns // NANOSECONDS}")
    assert case.query("SELECT count(*) FROM flow WHERE seal < ?", [seal]) == [(0,)]
    assert case.query(rest, [seal]) == case.query(rest, [seal], database="all.db") != []
    n_gone = case.query("SELECT count(*) FROM flow WHERE seal < ?", [seal], database="all.db")[0][0]
    assert f"{n_gone} flow records are deleted" in done.stdout and n_gone > 0
    assert_same_bill(case, "wanmeter.db", "all.db")
    assert "pruned" in case.wanmeter("audit").stdout
    case.wanmeter("prune", "--before", f"@{before_ns // NANOSECONDS + 3600}")      # on, from there
    assert_same_bill(case, "wanmeter.db", "all.db")


def test_what_was_deleted_is_not_in_the_file_any_more(case):
    make(case, hours=2)
    replay(case, "wanmeter.db")
    case.wanmeter("seal")
    addresses = {row[0].encode() for row in case.query("SELECT orig_src_address FROM flow WHERE ip_version = 6")
                 if len(row[0]) > 13}
    whole = (case.directory / "wanmeter.db").read_bytes()
    there = {address for address in addresses if address in whole}
    assert len(there) > 2, len(addresses)
    case.wanmeter("prune", "--before", f"@{(START_NS + 100 * HOUR_NS) // NANOSECONDS}")
    assert case.query("SELECT count(*) FROM flow") == [(0,)]
    whole = b"".join(path.read_bytes() for path in case.directory.glob("wanmeter.db*"))
    assert not {address for address in there if address in whole}
    case.wanmeter.audit()


def test_a_changed_row_is_found_before_and_what_was_deleted_cannot_be_changed_unseen(case):
    make(case, hours=2)
    replay(case, "wanmeter.db")
    case.wanmeter("prune", "--before", f"@{(START_NS + HOUR_NS) // NANOSECONDS}")
    case.wanmeter.audit()
    import sqlite3
    with sqlite3.connect(case.directory / "wanmeter.db") as connection:
        connection.execute("UPDATE pruned_flows SET flow_rows = flow_rows + 1 WHERE seal = (SELECT max(seal) FROM pruned_flows)")
    connection.close()
    case.wanmeter("audit", check=4)


def test_the_file_stays_bounded_when_as_much_goes_as_comes(case):
    sizes = []
    for day in range(5):
        make(case, hours=2, seed=20 + day, start_ns=START_NS + day * 24 * HOUR_NS, name=f"{day}.pcap")
        replay(case, "wanmeter.db", name=f"{day}.pcap")
        case.wanmeter("seal")
        case.wanmeter("prune", "--before", f"@{(START_NS + (day * 24 + 23) * HOUR_NS) // NANOSECONDS}")
        sizes.append(os.stat(case.directory / "wanmeter.db").st_size)
    assert case.query("SELECT count(*) FROM flow") == [(0,)]
    assert sizes[-1] < sizes[0] * 1.6, sizes      # usage sums are what grows
