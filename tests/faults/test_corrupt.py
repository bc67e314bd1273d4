"""A database that is damaged: refused, or set aside by name, and never made anew without a word."""

import hashlib
import os
import signal

from faults import crew, outcome, suite
from faults.load import Load
from support import traffic

STEADY = ("tracker.commit_volume=256KiB", "exporter.commit_interval=20ms", "tracker.shards=2")
SET_ASIDE = "exporter.on_corrupt=set_aside"


def make_database(case):
    load = Load(7, n_packets=5_000)
    crew.replay(case, load.write(case.directory / "in.pcap"), config=traffic.CONFIG, sets=STEADY).finish()
    case.more = Load(8, n_packets=1_000)
    case.more.write(case.directory / "more.pcap")
    return (case.directory / "wanmeter.db").read_bytes()


def page_bytes_of(database):
    """As its first bytes say (https://www.sqlite.org/fileformat2.html, 1.3.2)."""
    return int.from_bytes(database[16:18], "big")


def damaged(whole, random_):
    """A page with a head of noise, somewhere: its b-tree makes no sense any more."""
    page_bytes = page_bytes_of(whole)
    at = random_.randrange(1, len(whole) // page_bytes) * page_bytes
    return whole[:at] + random_.randbytes(200) + whole[at + 200:]


def files(case):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in case.directory.glob("wanmeter.db*") if path.is_file()}


def test_a_damaged_database_is_refused_as_it_is_or_set_aside_by_name(case):
    options = suite.options()
    random_ = options.random("corrupt")
    whole = make_database(case)
    path = case.directory / "wanmeter.db"
    n_refused = 0
    n_places = options.choose(6, 60)
    for _ in range(n_places):
        bad = damaged(whole, random_)
        for old in case.directory.glob("wanmeter.db*"):
            old.unlink()
        path.write_bytes(bad)
        before = files(case)
        run = crew.replay(case, "more.pcap", config=traffic.CONFIG, sets=STEADY)
        run.finish(statuses={0, 1, 2})
        if run.process.returncode == 0:
            continue    # a page that nothing uses
        n_refused, refused = n_refused + 1, bad
        assert "damaged" in run.said() and "it was not touched" in run.said(), run.said()
        assert files(case)["wanmeter.db"] == before["wanmeter.db"], "touched"
    assert n_refused > n_places // 2, "the damage was looked for in vain"

    for old in case.directory.glob("wanmeter.db*"):
        old.unlink()
    path.write_bytes(refused)
    crew.replay(case, "more.pcap", config=traffic.CONFIG, sets=(*STEADY, SET_ASIDE)).finish(statuses={3})
    aside = [old for old in case.directory.glob("wanmeter.db.corrupt-*") if old.name[-1].isdigit()]
    assert [old.read_bytes() for old in aside] == [refused]
    assert_new_database(case, aside[0].name, case.more.usage())


def assert_new_database(case, name, truth):
    lines = case.query("SELECT stage, reason, certainty, evidence FROM loss")
    assert [line[:3] for line in lines] == [("exporter", "database_set_aside", "unknown")], lines
    assert name in lines[0][3]
    assert outcome.read_usage(case, "wanmeter.db") == {key: tuple(sums) for key, sums in truth.items()}
    assert case.query("SELECT verdict FROM audit") == [("bounded",)]


def test_a_kill_at_any_step_of_setting_aside_loses_no_word_and_mixes_nothing(case):
    """The states that a kill between two renames, or before the new database's line, leaves behind."""
    whole = make_database(case)
    path = case.directory / "wanmeter.db"
    bad = b"SQLite format 3\0" + bytes(52) + b"wanm" + bytes(20_000)
    wal = b"a log that is not the new one's" * 100
    for n, (has_database, has_wal) in enumerate([(True, True), (False, True), (False, False)]):
        for old in case.directory.glob("wanmeter.db*"):
            old.unlink()
        if has_database:
            path.write_bytes(bad)
        else:
            (case.directory / "wanmeter.db.corrupt-17000000").write_bytes(bad)
        if has_wal:
            (case.directory / "wanmeter.db-wal").write_bytes(wal)
        crew.replay(case, "more.pcap", config=traffic.CONFIG, sets=(*STEADY, SET_ASIDE)).finish(statuses={3})
        aside = sorted(old.name for old in case.directory.glob("wanmeter.db.corrupt-*"))
        if has_wal and not has_database:    # SQLite itself takes away a log that it cannot read
            assert (case.directory / aside[1]).read_bytes() == wal
            assert len(aside) == 2, (n, aside)
        assert_new_database(case, aside[0], case.more.usage())
    assert whole


def test_a_log_without_its_database_is_never_put_into_a_new_one(case):
    make_database(case)
    (case.directory / "wanmeter.db").rename(case.directory / "elsewhere.db")
    (case.directory / "wanmeter.db-wal").write_bytes(b"x" * 10_000)
    run = crew.replay(case, "more.pcap", config=traffic.CONFIG, sets=STEADY)
    run.finish(statuses={1, 2})
    assert "is part of it" in run.said() and not (case.directory / "wanmeter.db").exists()


def test_damage_in_a_running_database_costs_what_it_had_and_the_run_goes_on(case):
    options = suite.options()
    load = Load(options.seed, n_packets=10_000, repeats=options.choose(30, 100))
    load.write(case.directory / "in.pcap")
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG,
                      sets=(*STEADY, SET_ASIDE, "exporter.checkpoint=64KiB", "tracker.flow_records=no"))
    outcome.wait_for_usage(case, "wanmeter.db")
    run.send("exporter", signal.SIGSTOP)
    path = case.directory / "wanmeter.db"
    with open(path, "r+b") as out:
        page_bytes = page_bytes_of(out.read(100))
        for at in range(page_bytes, max(2 * page_bytes, path.stat().st_size), page_bytes):
            out.seek(at)
            out.write(b"\xff" * 64)
    os.truncate(case.directory / "wanmeter.db-wal", 0)  # where newer copies of the pages are
    run.kill("exporter")        # its successor looks before it goes on
    run.finish(statuses={0, 3})
    assert list(case.directory.glob("wanmeter.db.corrupt-*")), run.said()
    counted = [sum(column) for column in zip(*outcome.read_usage(case, "wanmeter.db").values(), strict=True)]
    lost = case.query("SELECT sum(packets), sum(l2_bytes) FROM loss WHERE reason = 'records_lost'")[0]
    assert counted[0] + (lost[0] or 0) == load.n_packets, (counted, lost)
    assert counted[1] + (lost[1] or 0) == load.l2_bytes
    assert case.query("SELECT verdict FROM audit") == [("bounded",)]
    assert case.query("SELECT count(*) FROM loss WHERE reason = 'database_set_aside'") == [(1,)]
