"""What is wrong with the input is said, counted where it can be, and never changes what was there before."""

import os
import signal
import sqlite3
import subprocess
from pathlib import Path

from support import capture, traffic
from support.capture import NANOSECONDS, Packet, ethernet, ipv4, udp
from support.case import PATIENCE_S, each

PCAP_HEADER, RECORD_HEADER = 24, 16
NOT_CAPTURES = {"empty": b"", "text": b"hello, this is no capture at all\n", "pdf": b"%PDF-1.7\n" + bytes(100),
                "half a header": b"\xd4\xc3\xb2\xa1\x02\x00"}


def test_a_capture_cut_at_any_byte_counts_everything_before_the_cut(case):
    """Every offset within the last two packets of a file, each a file of one replay; some of them alone."""
    packets = [Packet(10**18 + n, ethernet("02:00:00:00:00:01", "02:00:00:00:00:02",
                                           ipv4("10.0.0.1", "192.0.2.1", udp(n, 9, bytes(12))))) for n in range(4)]
    capture.write_pcap(case.directory / "whole.pcap", packets)
    whole = (case.directory / "whole.pcap").read_bytes()
    record_bytes = RECORD_HEADER + packets[0].l2_bytes
    sizes = range(PCAP_HEADER + 2 * record_bytes, len(whole))
    for size in sizes:
        (case.directory / f"{size}.pcap").write_bytes(whole[:size])

    def check(database, chosen):
        parts = {f"{size}.pcap": divmod(size - PCAP_HEADER, record_bytes) for size in chosen}
        is_cut = any(rest for _, rest in parts.values())
        case.wanmeter("replay", "--database", database, *parts, check=3 if is_cut else 0)
        found = dict(case.query("SELECT name, packets FROM source", database=database))
        assert found == {name: n_whole for name, (n_whole, _) in parts.items()}
        assert case.wanmeter.total(database)[0] == sum(n_whole for n_whole, _ in parts.values())
        losses = case.wanmeter.losses(database)
        assert {loss[0] for loss in losses} <= {"source"} and len(losses) == sum(rest > 0 for _, rest in parts.values())
        assert {loss[-1].split(":")[0] for loss in losses} == {name for name, (_, rest) in parts.items() if rest}
        case.wanmeter.audit(database=database)

    check("all.db", sizes)
    for offset in (0, 1, RECORD_HEADER - 1, RECORD_HEADER, RECORD_HEADER + 1, record_bytes - 1, record_bytes):
        check(f"{offset}.db", [sizes[offset]])


@each(NOT_CAPTURES)
def test_what_is_not_a_capture_is_refused_by_name(case, kind):
    (case.directory / "in.pcap").write_bytes(NOT_CAPTURES[kind])
    done = case.wanmeter("replay", "in.pcap", check={1, 2})
    assert "in.pcap" in done.stderr, done.stderr
    assert not (case.directory / "wanmeter.db").exists(), "a refused replay must leave nothing"


def test_a_missing_file_is_named_and_nothing_of_the_others_is_counted(case):
    capture.write_pcap(case.directory / "good.pcap", traffic.mix(seed=1, n_packets=100))
    done = case.wanmeter("replay", "good.pcap", "missing.pcap", check={1, 2})
    assert "missing.pcap" in done.stderr and "No such file" in done.stderr, done.stderr
    assert not (case.directory / "wanmeter.db").exists()


def test_an_unreadable_file_is_named(case):
    (case.directory / "folder.pcap").mkdir()
    done = case.wanmeter("replay", "folder.pcap", check={1, 2})
    assert "folder.pcap" in done.stderr, done.stderr


def test_a_damaged_middle_of_a_pcapng_is_a_loss_line(case):
    packets = traffic.mix(seed=2, n_packets=300)
    capture.write_pcapng(case.directory / "in.pcapng", packets)
    damaged = bytearray((case.directory / "in.pcapng").read_bytes())
    middle = len(damaged) // 2
    damaged[middle:middle + 2000] = b"\xff" * 2000
    (case.directory / "in.pcapng").write_bytes(damaged)
    case.wanmeter("replay", "in.pcapng", check=3)
    assert 0 < case.wanmeter.total()[0] < len(packets)
    assert case.wanmeter.losses()
    case.wanmeter.audit()


def test_another_programs_database_is_left_alone(case):
    with sqlite3.connect(case.directory / "other.db") as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = (case.directory / "other.db").read_bytes()
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=3, n_packets=100))
    done = case.wanmeter("replay", "--database", "other.db", "in.pcap", check=2)
    assert "other.db" in done.stderr, done.stderr
    assert (case.directory / "other.db").read_bytes() == before
    case.wanmeter("audit", "--database", "other.db", check={1, 2})


def test_a_text_file_as_database_is_left_alone(case):
    text = case.write("notes.db", "not a database\n" * 100)
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=3, n_packets=100))
    done = case.wanmeter("replay", "--database", "notes.db", "in.pcap", check=2)
    assert "notes.db" in done.stderr, done.stderr
    assert text.read_text() == "not a database\n" * 100


def test_a_newer_schema_is_left_alone(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=4, n_packets=100))
    case.wanmeter("replay", "in.pcap")
    with sqlite3.connect(case.directory / "wanmeter.db") as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        assert version > 0
        database.execute(f"PRAGMA user_version = {version + 1}")
    database.close()
    before = case.query("SELECT sum(packets) FROM usage")
    done = case.wanmeter("replay", "--force", "in.pcap", check=2)
    assert "newer" in done.stderr, done.stderr
    assert case.query("SELECT sum(packets) FROM usage") == before


def test_an_older_schema_is_named_where_a_command_needs_a_newer_one(case):
    steps = sorted((Path(__file__).parents[2] / "schema").glob("[0-9]*.sql"))
    with sqlite3.connect(case.directory / "old.db") as database:
        for step in steps[:16]:
            database.executescript(step.read_text())
        database.executescript("PRAGMA application_id = 0x77616e6d; PRAGMA user_version = 16")
    database.close()
    before = (case.directory / "old.db").read_bytes()
    done = case.wanmeter("audit", "--database", "old.db", check=1)
    assert f"schema version is 16, this wanmeter's {len(steps)}" in done.stderr, done.stderr
    assert (case.directory / "old.db").read_bytes() == before
    case.wanmeter("seal", "--database", "old.db")
    case.wanmeter.audit(database="old.db")


def test_an_unknown_option_of_the_configuration_is_named_with_its_place_and_what_was_meant(case):
    config = case.write("bad.yaml", "local_prefixes: [10.0.0.0/8]\ntracker:\n  shard: 4\n  interim_interval: 5\n")
    capture.write_pcap(case.directory / "in.pcap", [])
    done = case.wanmeter("replay", "--config", config, "in.pcap", check=2)
    assert "bad.yaml:3:3" in done.stderr and "shards" in done.stderr, done.stderr
    assert "bad.yaml:4:" in done.stderr, "all errors at once"
    assert case.wanmeter("config", "check", config, check=2).stderr.count("bad.yaml:") == 2


@each([-1, 1])
def test_a_lone_timestamp_far_off_is_counted_as_bad_time(case, sign):
    packets = traffic.mix(seed=5, n_packets=500)
    lone = Packet(packets[100].time_ns + sign * 400 * 86_400 * NANOSECONDS, packets[0].frame,
                  l3_bytes=packets[0].l3_bytes)
    capture.write_pcap(case.directory / "in.pcap", [*packets[:101], lone, *packets[101:]])
    case.wanmeter("replay", "in.pcap")
    known = traffic.totals(packets, lambda packet: packet.class_name)
    known["bad_time"] = (1, lone.l2_bytes, lone.l3_bytes)
    assert case.wanmeter.class_totals() == known
    case.wanmeter.audit()


def test_results_that_cannot_be_written_are_an_error(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=6, n_packets=500))
    case.wanmeter("replay", "in.pcap")
    for command in ("usage", "flows", "audit"):
        with open("/dev/full", "w") as full:
            done = case.wanmeter(command, stdout=full, check=1)
        assert "No space left" in done.stderr, done.stderr


def test_a_reader_that_goes_away_is_not_a_crash(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=6, n_packets=20_000))
    case.wanmeter("replay", "in.pcap")
    reader, writer = os.pipe()
    os.close(reader)
    done = case.wanmeter("flows", stdout=writer, check=None)
    os.close(writer)
    assert done.returncode in (0, 1, -signal.SIGPIPE) and "Sanitizer" not in done.stderr, (done.returncode, done.stderr)


def test_a_replay_interrupted_leaves_a_bill_that_adds_up(case):
    """The file is given by a pipe that stays open: the signal comes while the replay is under way, for certain."""
    packets = traffic.mix(seed=7, n_packets=30_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    reader, writer = os.pipe()
    replay = case.wanmeter.start("replay", "-", stdin=reader)
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        pipe.write((case.directory / "in.pcap").read_bytes()[:-10])
        pipe.flush()
        replay.send_signal(signal.SIGINT)
        output, errors = replay.communicate(timeout=PATIENCE_S)
    assert replay.returncode == 3, f"exit code {replay.returncode}\n{output}\n{errors}"
    assert 0 < case.wanmeter.total()[0] < len(packets)
    assert case.query("SELECT count(*) FROM run WHERE finished_ns IS NULL") == [(0,)]
    case.wanmeter.audit()


def test_an_interrupt_before_the_processes_listen_is_heard_when_they_do(case):
    """What came by a pipe cannot be read again: a worker that the signal killed would fail the run."""
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=9, n_packets=20))
    roster = case.directory / "run" / "processes"
    reader, writer = os.pipe()
    replay = case.wanmeter.start("replay", "-", "--set", "run_directory=run", stdin=reader)
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        pipe.write((case.directory / "in.pcap").read_bytes())
        pipe.flush()
        while not roster.exists():
            assert replay.poll() is None, replay.communicate()
        replay.send_signal(signal.SIGINT)
        output, errors = replay.communicate(timeout=PATIENCE_S)
    assert replay.returncode in (0, 3) and "error" not in errors, f"exit code {replay.returncode}\n{output}\n{errors}"
    case.wanmeter.audit()


def test_a_second_interrupt_ends_at_once_and_leaves_no_process(case):
    reader, writer = os.pipe()
    replay = case.wanmeter.start("replay", "-", stdin=reader)
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=8, n_packets=5_000))
        pipe.write((case.directory / "in.pcap").read_bytes())
        pipe.flush()
        for _ in range(3):
            replay.send_signal(signal.SIGINT)
        replay.communicate(timeout=PATIENCE_S)
    assert replay.returncode != 0


def test_wrong_arguments_are_a_usage_error(case):
    for arguments in (["replay"], ["replay", "--nosuch", "x"], ["nosuch"], ["flows", "--format", "xml"], []):
        done = subprocess.run([case.wanmeter.program, *arguments], cwd=case.directory, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 2, (arguments, done.returncode)
        assert done.stderr, arguments
