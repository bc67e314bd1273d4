"""The same captures give the same rows, whatever the shards, batches and workers."""

import random
import zlib

from support import capture, fragments, traffic, truth
from support.capture import NANOSECONDS
from support.case import each

MILLISECOND = 10**6

CORPUS = ["arkime__arkime_synthetic.pcap", "ndpi__1kxun.pcap", "zeek__tunnels-gtp-gtp1_gn_normal_incl_fragmentation.pcap",
          "arkime__tcp-reassembly-synthetic.pcap", "zeek__icmp-icmp6-ping.pcap"]
VARIANTS = {
    "2 shards": ["--shards", "2"],
    "4 shards": ["--shards", "4"],
    "8 shards": ["--shards", "8"],
    "batches of 1": ["--batch-packets", "1"],
    "batches of 7": ["--batch-packets", "7", "--shards", "2"],
    "batches of 4096": ["--batch-packets", "4096", "--shards", "3"],
}


def test_the_whole_corpus_at_once_gives_the_same_rows_however_it_is_shared_out(case):
    if not truth.corpus():
        case.skip(f"no capture corpus at {truth.shared()}/corpus ($WANMETER_SHARED)")
    files = [truth.corpus() / name for name in truth.manifest()]
    expect_same_rows(case, [], ["--workers", "4", "--shards", "3"], files, check=3)  # some of them are cut


@each(VARIANTS)
def test_shards_and_batches_change_no_row(case, variant):
    packets = with_steps_back(traffic.mix(seed=7, n_packets=12_000, tick_ns=100))
    capture.write_pcap(case.directory / "in.pcap", packets)
    config = case.write("site.yaml", traffic.CONFIG)
    expect_same_rows(case, ["--config", config], VARIANTS[variant], [case.directory / "in.pcap"])
    case.wanmeter.audit(database="other.db")


@each(CORPUS)
def test_shards_and_batches_change_no_row_of_real_traffic(case, name):
    if not truth.corpus():
        case.skip(f"no capture corpus at {truth.shared()}/corpus ($WANMETER_SHARED)")
    expect_same_rows(case, [], ["--shards", "4", "--batch-packets", "7"], [truth.corpus() / name])


@each(["no", "yes"])
def test_shards_batches_and_workers_change_no_row_of_random_fragments(case, checksum):
    files = [case.directory / f"fragments-{seed}.pcap" for seed in range(4)]
    for seed, path in enumerate(files):
        fragments.write(path, random.Random(seed), 2000)
    how = ["--shards", "4", "--workers", "3", "--batch-packets", "7"]
    expect_same_rows(case, ["--set", f"conntrack.checksum={checksum}"], how, files)
    case.wanmeter.audit(database="other.db")


@each([1, 2, 3])
def test_a_capture_split_by_flow_over_files_and_workers_gives_the_same_rows(case, workers):
    packets = traffic.mix(seed=8, n_packets=12_000, tick_ns=2 * MILLISECOND)
    assert n_ties(packets) > 1000, "the split must be tested with ties"
    capture.write_pcap(case.directory / "whole.pcap", packets)
    config = case.write("site.yaml", traffic.CONFIG)
    parts = []
    for part in range(3):
        parts.append(case.directory / f"part{part}.pcap")
        capture.write_pcap(parts[-1], [packet for packet in packets if part_of(packet) == part])
    case.wanmeter("replay", "--config", config, "--database", "whole.db", "whole.pcap")
    case.wanmeter("replay", "--config", config, "--database", "parts.db", "--workers", workers, "--shards", 2, *parts)
    assert_same_rows(case, "whole.db", "parts.db")
    case.wanmeter.audit(database="parts.db")


def test_the_order_of_the_files_on_the_command_line_changes_no_row(case):
    packets = traffic.mix(seed=9, n_packets=6_000, tick_ns=2 * MILLISECOND)
    for part in range(3):
        capture.write_pcap(case.directory / f"part{part}.pcap", [p for p in packets if part_of(p) == part])
    case.wanmeter("replay", "--database", "a.db", "part0.pcap", "part1.pcap", "part2.pcap")
    case.wanmeter("replay", "--database", "b.db", "--workers", 3, "part2.pcap", "part0.pcap", "part1.pcap")
    assert_same_rows(case, "a.db", "b.db")


def test_a_file_twice_with_force_doubles_the_bill(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=10, n_packets=2_000))
    case.wanmeter("replay", "in.pcap")
    once = case.wanmeter.total()
    refused = case.wanmeter("replay", "in.pcap", check=2)
    assert "in.pcap" in refused.stderr, refused.stderr
    assert case.wanmeter.total() == once, "a refused replay must not change the database"
    case.wanmeter("replay", "--force", "in.pcap")
    assert case.wanmeter.total() == tuple(2 * n for n in once)
    case.wanmeter.audit()


def with_steps_back(packets):
    """Some packets carry an earlier time than the packet before them, as captures of several queues do."""
    source = random.Random(3)
    for packet in packets:
        if source.random() < 0.05:
            packet.time_ns -= source.randrange(NANOSECONDS)
    return packets


def part_of(packet):
    """Which of three files: both directions of a connection, its fragments and the errors about it go together."""
    return zlib.crc32(repr(packet.about or packet.frame).encode()) % 3


def n_ties(packets):
    return sum(a.time_ns == b.time_ns for a, b in zip(packets, packets[1:]))


def expect_same_rows(case, options, variant, files, check=0):
    case.wanmeter("replay", *options, "--database", "one.db", *files, check=check)
    case.wanmeter("replay", *options, *variant, "--database", "other.db", *files, check=check)
    assert_same_rows(case, "one.db", "other.db")


def assert_same_rows(case, one, other):
    for table in ("usage", "flow", "loss"):
        left, right = (rows(case, table, database) for database in (one, other))
        assert left or table == "loss", f"{table}: no rows at all"
        only = [f"only in {one}: {row}" for row in sorted(set(left) - set(right), key=str)[:5]]
        only += [f"only in {other}: {row}" for row in sorted(set(right) - set(left), key=str)[:5]]
        assert left == right, f"{table}: {len(left)} and {len(right)} rows\n" + "\n".join(only)


def rows(case, table, database):
    """All rows, sorted, as tuples of (column, value); without what names the run and not the traffic."""
    skipped = {"stream", "epoch", "run_id"} if table == "loss" else set()
    columns = [row[1] for row in case.query(f"PRAGMA table_info({table})", database=database)]
    chosen = [column for column in columns if column not in skipped]
    found = case.query(f"SELECT {', '.join(chosen)} FROM {table}", database=database)
    return sorted((tuple(zip(chosen, row)) for row in found), key=str)
