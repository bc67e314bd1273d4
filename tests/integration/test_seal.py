"""Sealed periods over real replays: the chain, corrections, what a restart and a flipped bit do."""

import json
import random
import sqlite3

from support import capture, traffic, truth
from support.capture import NANOSECONDS
from support.case import each

MISMATCH = 4
SEAL_NS = 900 * NANOSECONDS
START_NS = 1_760_000_400 * NANOSECONDS      # the start of a quarter hour
VARIANTS = {
    "shards": ["--shards", 4],
    "batches of one packet": ["--batch-packets", 1],
    "workers and shards": ["--workers", 2, "--shards", 3, "--batch-packets", 7],
}


def test_the_chain_is_the_same_however_the_work_is_shared_out(case):
    files = halves(case, hours(3))
    replay(case, "one.db", *files)
    expected = chain(case, "one.db")
    assert len(expected) == 11, "all but the last quarter hour"
    for name, options in VARIANTS.items():
        database = f"{name.replace(' ', '-')}.db"
        replay(case, database, *options, *files)
        assert chain(case, database) == expected, name


def test_the_chain_of_the_whole_corpus_is_the_same_however_it_is_shared_out(case):
    if not truth.corpus():
        case.skip(f"no capture corpus at {truth.shared()}/corpus ($WANMETER_SHARED)")
    files = [truth.corpus() / name for name in truth.manifest()]
    for database, options in (("one.db", []), ("other.db", ["--workers", 3, "--shards", 2])):
        case.wanmeter("replay", *options, "--database", database, *files, check=3)  # some of them are cut
        case.wanmeter.audit(database=database)
    assert len(chain(case, "one.db")) > 50
    assert chain(case, "one.db") == chain(case, "other.db")


def test_a_capture_in_two_runs_gives_the_chain_of_one_run(case):
    packets = hours(2)
    middle = next(n for n, packet in enumerate(packets) if packet.time_ns > START_NS + 5 * SEAL_NS // 2)
    for name, part in (("all", packets), ("first", packets[:middle]), ("second", packets[middle:])):
        capture.write_pcap(case.directory / f"{name}.pcap", part)
    replay(case, "one.db", "all.pcap")
    replay(case, "two.db", "first.pcap")
    assert case.query("SELECT DISTINCT status FROM usage WHERE slot_ns < ?", [START_NS + 2 * SEAL_NS],
                      database="two.db") == [("final",)]
    assert case.query("SELECT DISTINCT status FROM usage WHERE slot_ns >= ?", [START_NS + 2 * SEAL_NS],
                      database="two.db") == [("interim",)], "a quarter hour that the first run ended in stays open"
    replay(case, "two.db", "second.pcap")
    # Flows end with the first run's input, so flow records differ; what is billed does not.
    columns = "seal, usage_rows, usage_sha256, packets, billed_bytes"
    assert case.query(f"SELECT {columns} FROM seal", database="one.db") == \
        case.query(f"SELECT {columns} FROM seal", database="two.db")


def test_late_traffic_is_counted_in_corrections_and_changes_no_seal(case):
    packets = hours(2)
    late = {id(packet) for packet in random.Random(5).sample(packets, 300)}
    capture.write_pcap(case.directory / "on-time.pcap", [packet for packet in packets if id(packet) not in late])
    capture.write_pcap(case.directory / "late.pcap", [packet for packet in packets if id(packet) in late])
    replay(case, "wanmeter.db", "on-time.pcap")
    before = chain(case)
    totals = case.wanmeter.total()
    replay(case, "wanmeter.db", "late.pcap")
    assert chain(case)[:len(before)] == before
    assert case.wanmeter.total() == traffic.total(packets)
    (n_corrections, n_packets), = case.query("SELECT count(*), sum(packets) FROM usage WHERE status = 'correction'")
    assert n_corrections > 0 and 0 < n_packets <= 300 and totals[0] == len(packets) - 300
    assert not case.query("SELECT 1 FROM usage WHERE status = 'correction' AND NOT EXISTS"
                          " (SELECT 1 FROM seal WHERE seal = corrects)"), "it names a seal that there is"
    case.wanmeter("seal")
    assert chain(case)[:len(before)] == before
    assert not case.query("SELECT 1 FROM usage WHERE NOT EXISTS (SELECT 1 FROM seal AS s WHERE s.seal = usage.seal)")
    assert case.query("SELECT sum(packets) FROM seal") == [(len(packets),)]
    case.wanmeter.audit()


def test_a_capture_that_steps_back_has_corrections_in_the_same_places_for_any_number_of_shards(case):
    packets = hours(2)
    moved, begin, end = packets[100:200], 200, next(
        n for n, packet in enumerate(packets) if packet.time_ns > START_NS + 3 * SEAL_NS)
    assert moved[-1].time_ns < START_NS + SEAL_NS
    capture.write_pcap(case.directory / "in.pcap", packets[:100] + packets[begin:end] + moved + packets[end:])
    for database, options in (("one.db", []), ("other.db", ["--shards", 3, "--batch-packets", 5])):
        replay(case, database, *options, "in.pcap")
        (n_packets,), = case.query("SELECT sum(packets) FROM usage WHERE status = 'correction'", database=database)
        assert n_packets == 100
    assert chain(case, "one.db") == chain(case, "other.db")


@each(["UPDATE usage_slot SET billed_bytes = billed_bytes + 1 WHERE slot_ns = (SELECT min(slot_ns) FROM usage_slot)",
       "DELETE FROM usage_slot WHERE slot_ns = (SELECT min(slot_ns) FROM usage_slot)",
       "UPDATE flow_record SET status = status + (1 << 32) WHERE record_id = 1",
       "UPDATE flow_record SET src_address = src_address + 1 WHERE record_id = 1",
       "UPDATE period_seal SET l3_bytes = l3_bytes - 1 WHERE number = (SELECT min(number) FROM period_seal)",
       "UPDATE period_seal SET hash = replace(hash, 'a', 'A')", "UPDATE account SET name = 'mallory' WHERE name = 'alice'"])
def test_a_changed_row_of_a_sealed_time_is_found_and_named(case, change):
    capture.write_pcap(case.directory / "in.pcap", hours(1))
    replay(case, "wanmeter.db", "in.pcap")
    assert "3 hold, the last until 2025-10-09T09:45:00Z\n" in case.wanmeter.audit().stdout
    row, = json.loads(case.wanmeter("audit", "--format", "json").stdout)["rows"]
    assert (row["seals"], row["wrong_seals"], row["last_seal"]) == (3, 0, chain(case)[-1][1])
    tamper(case, change)
    done = case.wanmeter.audit(check=MISMATCH)
    assert "does not hold: " in done.stdout and done.stdout.endswith("audit: mismatch\n"), done.stdout
    row, = json.loads(case.wanmeter("audit", "--format", "json", check=MISMATCH).stdout)["rows"]
    assert row["verdict"] == "mismatch" and row["wrong_seals"] >= 1 and "2025-10-09T09:" in row["seal_findings"]


def test_a_chain_without_its_end_is_found_by_the_hash_of_a_bill(case):
    capture.write_pcap(case.directory / "in.pcap", hours(1))
    replay(case, "wanmeter.db", "in.pcap")
    last = chain(case)[-1][1]
    case.wanmeter("audit", "--seal", last)
    tamper(case, "DELETE FROM period_seal WHERE number = (SELECT max(number) FROM period_seal)")
    case.wanmeter.audit()
    assert last in case.wanmeter("audit", "--seal", last, check=MISMATCH).stderr


def test_seal_closes_what_is_open_and_needs_a_database(case):
    assert case.wanmeter("seal", check=1).stderr
    assert not (case.directory / "wanmeter.db").exists()
    capture.write_pcap(case.directory / "in.pcap", hours(1))
    replay(case, "wanmeter.db", "in.pcap")
    for _ in range(2):
        done = case.wanmeter("seal")
        assert done.stdout == f"4 seals, the last until 2025-10-09T10:00:00Z: {chain(case)[-1][1]}\n"
    assert case.query("SELECT DISTINCT status FROM usage") == [("final",)]
    case.wanmeter.audit()


def test_a_row_carries_its_model_and_what_its_slot_covers_and_lost(case):
    capture.write_pcap(case.directory / "in.pcap", hours(1))
    data = (case.directory / "in.pcap").read_bytes()
    (case.directory / "in.pcap").write_bytes(data[:-10])
    config = case.write("site.yaml", traffic.CONFIG)
    case.wanmeter("replay", "--config", config, "in.pcap", check=3)
    (loss_ns,), = case.query("SELECT last_ns FROM loss")
    for slot_ns, coverage_ppm, lines, packets in case.query(
            "SELECT slot_ns, coverage_ppm, loss_lines, lost_packets FROM usage_record"):
        is_hit = slot_ns <= loss_ns < slot_ns + 300 * NANOSECONDS
        assert (lines, packets) == ((1, None) if is_hit else (0, 0))
        assert coverage_ppm == 1_000_000 or slot_ns in (START_NS, loss_ns // (300 * NANOSECONDS) * 300 * NANOSECONDS)
    assert case.query("SELECT count(DISTINCT model) > 1, count(DISTINCT model_sha256) = count(DISTINCT model),"
                      " min(length(model_sha256)) FROM usage") == [(1, 1, 64)]


def test_a_flow_record_says_which_match_of_its_wan_held(case):
    capture.write_pcap(case.directory / "in.pcap", hours(1))
    config = case.write("two.yaml", """
local_prefixes: [10.0.0.0/8, "2001:db8::/32"]
wans:
  - name: one
    match:
      - local_prefixes: ["2001:db8:1::/48", "2001:db8:2::/48", "2001:db8:3::/48"]
      - local_prefixes: [10.0.0.0/8]
""")
    case.wanmeter("replay", "--config", config, "in.pcap")
    found = set(case.query("SELECT DISTINCT ip_version, wan, wan_match FROM flow WHERE wan = 'one'"))
    assert found == {(4, "one", 2), (6, "one", 1)}, found
    case.wanmeter.audit()


# --- helpers of this file ---

def hours(n):
    """Everyday traffic over some hours from the start of a quarter hour."""
    traffic_of = traffic.Traffic(11)
    time_ns = START_NS
    while time_ns < START_NS + n * 4 * SEAL_NS - 60 * NANOSECONDS:
        traffic_of.anything(time_ns)
        time_ns += traffic_of.random.randrange(20 * NANOSECONDS)
    end_ns = START_NS + n * 4 * SEAL_NS
    return [packet for packet in traffic_of.in_order() if packet.time_ns < end_ns]


def halves(case, packets):
    for n in range(2):
        capture.write_pcap(case.directory / f"{n}.pcap", packets[n::2])
    return ["0.pcap", "1.pcap"]


def replay(case, database, *arguments):
    config = case.write("site.yaml", traffic.CONFIG)
    case.wanmeter("replay", "--config", config, "--database", database, *arguments)


def chain(case, database="wanmeter.db"):
    return case.query("SELECT seal, hash FROM seal ORDER BY seal", database=database)


def tamper(case, statement):
    connection = sqlite3.connect(case.directory / "wanmeter.db")
    with connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()
