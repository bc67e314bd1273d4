"""What a person or a script sees of the program: options, formats, exit codes, processes that come and go."""

import csv
import io
import json
import os
import re
import select
import signal
import sqlite3
import time
from pathlib import Path

from support import capture, traffic
from support.case import PATIENCE_S, each

COMMANDS = ("replay", "run", "usage", "flows", "losses", "audit", "events", "sql", "config", "overhead")
READERS = (["usage"], ["flows"], ["losses"], ["audit"], ["sql", "SELECT 1"])
OK, RUNTIME, USAGE, LOSS, MISMATCH, UNREACHABLE = range(6)
SLOT_NS = 300 * 10**9


# --- options ---

@each(COMMANDS)
def test_every_command_explains_itself_on_one_screen(case, command):
    done = case.wanmeter(command, "--help")
    assert "Examples:\n  wanmeter " in done.stdout or "Examples:\n  tcpdump" in done.stdout
    assert len(done.stdout.splitlines()) <= 30 and not done.stderr
    assert re.search(rf"^  {command} ", case.wanmeter("--help").stdout, re.MULTILINE)


@each([["usgae"], ["usage", "--acount", "x"], ["usage", "--by", "acount"], ["usage", "--format", "jsn"],
       ["config", "chek", "x"]])
def test_a_slip_is_answered_with_what_was_meant(case, arguments):
    done = case.wanmeter(*arguments, check=USAGE)
    assert "did you mean" in done.stderr and not done.stdout, done.stderr


@each([["usage", "--from", "yesterday"], ["flows", "--limit", "-1"], ["flows", "--host", "10.0.0.256"],
       ["audit", "--format", "csv"], ["sql"], ["sql", "SELECT 1", "SELECT 2"], ["config"], ["config", "check"],
       ["replay", "--shards", "x", "f"], ["replay", "--set", "no.such=1", "f"], ["events", "--endpoint", "here"]])
def test_what_cannot_be_meant_is_a_usage_error(case, arguments):
    done = case.wanmeter(*arguments, check=USAGE)
    assert done.stderr and not done.stdout


def test_help_that_cannot_be_written_is_an_error(case):
    for arguments in (["--help"], ["usage", "--help"], ["--version"], ["config", "example"]):
        with open("/dev/full", "w") as full:
            assert "No space left" in case.wanmeter(*arguments, stdout=full, check=RUNTIME).stderr


def test_the_example_configuration_is_a_good_one(case):
    example = case.write("example.yaml", case.wanmeter("config", "example").stdout)
    assert case.wanmeter("config", "check", example).stdout == f"{example}: ok\n"
    assert "tracker" in case.wanmeter("config", "reference").stdout


# --- databases ---

@each(range(len(READERS)))
def test_a_missing_database_is_named_and_not_made(case, n):
    done = case.wanmeter(*READERS[n], "--database", "none.db", check=RUNTIME)
    assert "none.db" in done.stderr and not done.stdout
    assert not list(case.directory.glob("none.db*"))


@each(range(len(READERS)))
def test_another_programs_database_is_a_usage_error(case, n):
    with sqlite3.connect(case.directory / "other.db") as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    done = case.wanmeter(*READERS[n], "--database", "other.db", check=USAGE)
    assert "other.db" in done.stderr and not done.stdout


def test_the_formats_say_the_same(case):
    replay_mix(case)
    for command in (["usage"], ["flows"], ["losses"], ["sql", "SELECT * FROM flow"]):
        rows = json_rows(case, *command)
        table = list(csv.reader(io.StringIO(case.wanmeter(*command, "--format", "csv").stdout, newline="")))
        names, lines = table[0], table[1:]
        assert len(lines) == len(rows)
        for row, line in zip(rows, lines, strict=True):
            assert [as_csv(row[name]) for name in names] == line
        assert len(case.wanmeter(*command).stdout.splitlines()) == len(rows) + 1


def test_flows_have_every_column_of_the_view(case):
    replay_mix(case)
    columns = [row[0] for row in case.query("SELECT name FROM pragma_table_info('flow')")]
    assert list(json_rows(case, "flows", "--limit", "1")[0]) == columns


@each(["account", "wan", "direction", "class", "slot", "hour", "day", "model", "hour,account", "day,wan,class"])
def test_usage_is_the_same_sum_by_whatever_it_is_split(case, keys):
    packets = replay_mix(case)
    rows = json_rows(case, "usage", "--by", keys)
    names = [key + ("_ns" if key in ("slot", "hour", "day") else "") for key in keys.split(",")]
    assert len({tuple(row[name] for name in names) for row in rows}) == len(rows)
    sums = tuple(sum(row[name] for row in rows) for name in ("packets", "l2_bytes", "l3_bytes"))
    assert sums == traffic.total(packets)


def test_usage_by_hour_and_day_is_that_of_the_views(case):
    replay_mix(case)
    for key in ("hour", "day"):
        view = {"hour": "usage_hourly", "day": "usage_daily"}[key]
        rows = [tuple(row.values()) for row in json_rows(case, "usage", "--by", f"{key},account")]
        assert rows == case.query(f"SELECT {key}_ns, account, sum(packets), sum(l2_bytes), sum(l3_bytes), "
                                  f"sum(billed_bytes) FROM {view} GROUP BY 1, 2 ORDER BY 1, 2")


def test_a_time_cuts_usage_in_two_without_loss_or_overlap(case):
    packets = replay_mix(case)
    cut_ns = (packets[0].time_ns // SLOT_NS + 1) * SLOT_NS
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(cut_ns // 10**9))
    n = 0
    for limits in (["--to", moment], ["--from", moment]):
        n += sum(row["packets"] for row in json_rows(case, "usage", *limits))
    assert n == len(packets)
    assert json_rows(case, "usage", "--from", cut_ns) == json_rows(case, "usage", "--from", f"@{cut_ns // 10**9}")


def test_flows_are_found_by_host_protocol_account_and_wan(case):
    replay_mix(case)
    rows = json_rows(case, "flows")
    host = next(row["orig_src_address"] for row in rows if ":" in row["orig_src_address"])
    for option, value, holds in (
            ("--host", host.upper(), lambda row: host in (row["orig_src_address"], row["orig_dst_address"])),
            ("--protocol", "udp", lambda row: row["protocol"] == 17), ("--protocol", "6", lambda row: row["protocol"] == 6),
            ("--account", "alice", lambda row: row["account"] == "alice"), ("--wan", "lte", lambda row: row["wan"] == "lte")):
        expected = [row for row in rows if holds(row)]
        assert expected and json_rows(case, "flows", option, value) == expected, option
    assert json_rows(case, "flows", "--limit", 3) == rows[:3]


def test_a_bill_that_was_tampered_with_does_not_pass_the_audit(case):
    replay_mix(case)
    assert case.wanmeter.audit().stdout.endswith("audit: exact\n")
    with sqlite3.connect(case.directory / "wanmeter.db") as database:
        database.execute("UPDATE usage_slot SET l3_bytes = l3_bytes - 1 WHERE l3_bytes > 0")
    database.close()
    done = case.wanmeter.audit(check=MISMATCH)
    assert done.stdout.endswith("audit: mismatch\n") and "difference 0\n" in done.stdout.splitlines(True)[0]
    row, = json.loads(case.wanmeter("audit", "--format", "json", check=MISMATCH).stdout)["rows"]
    assert row["verdict"] == "mismatch" and row["difference_l3_bytes"] > 0 and row["difference_packets"] == 0


# --- sql ---

@each(["DELETE FROM usage_slot", "INSERT INTO wan VALUES (99, 'x')", "DROP VIEW usage", "CREATE TABLE t (x)",
       "CREATE TEMP TABLE t (x)", "ATTACH 'other.db' AS other", "VACUUM INTO 'copy.db'", "PRAGMA user_version = 9",
       "PRAGMA journal_mode = DELETE", "PRAGMA query_only = 0", "SELECT load_extension('x')", "BEGIN IMMEDIATE"])
def test_sql_changes_nothing(case, query):
    replay_mix(case)
    before = (case.directory / "wanmeter.db").read_bytes()
    done = case.wanmeter("sql", query, check={RUNTIME, USAGE})
    assert done.stderr and not done.stdout
    assert (case.directory / "wanmeter.db").read_bytes() == before
    assert not (case.directory / "other.db").exists() and not (case.directory / "copy.db").exists()


def test_sql_answers_one_statement(case):
    replay_mix(case)
    assert json_rows(case, "sql", "SELECT count(*) AS n, NULL AS missing, x'00ff' AS bytes FROM run; -- one") == \
        [{"n": 1, "missing": None, "bytes": "00ff"}]
    for query in ("SELECT 1; SELECT 2", "", "-- nothing", "SELEC 1", "SELECT * FROM nosuch"):
        assert case.wanmeter("sql", query, check=USAGE).stderr
    assert 'near "SELEC"' in case.wanmeter("sql", "SELEC 1", check=USAGE).stderr


def test_sql_gives_up_in_time(case):
    replay_mix(case)
    started = time.monotonic()
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    done = case.wanmeter("sql", "--timeout", "200ms", endless, check=RUNTIME)
    assert "--timeout" in done.stderr and time.monotonic() - started < PATIENCE_S


# --- replay ---

def test_a_capture_that_is_held_already_is_refused_unless_forced(case):
    packets = replay_mix(case)
    (case.directory / "copy.pcap").write_bytes((case.directory / "in.pcap").read_bytes())
    for files in (["in.pcap"], ["copy.pcap"], ["new.pcap", "copy.pcap"]):
        capture.write_pcap(case.directory / "new.pcap", traffic.mix(seed=77, n_packets=100))
        done = case.wanmeter("replay", *files, check=USAGE)
        assert files[-1] in done.stderr and "in.pcap" in done.stderr and "--force" in done.stderr, done.stderr
        assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", done.stderr), "it says when"
        assert case.wanmeter.total()[0] == len(packets)
    case.wanmeter("replay", "--force", "copy.pcap")
    assert case.wanmeter.total()[0] == 2 * len(packets)
    case.wanmeter.audit()


def test_one_capture_given_twice_is_refused(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=1, n_packets=100))
    done = case.wanmeter("replay", "in.pcap", "wan0=in.pcap", check=USAGE)
    assert "wan0=in.pcap" in done.stderr
    assert not (case.directory / "wanmeter.db").exists()


def test_the_summary_names_totals_wans_and_the_verdict(case):
    packets = traffic.mix(seed=1, n_packets=2_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    site = case.write("site.yaml", traffic.CONFIG)
    lines = case.wanmeter("replay", "--config", site, "in.pcap").stdout.splitlines()
    assert any(line.lstrip().startswith(f"{len(packets):,} ") for line in lines), lines
    assert any(line.startswith("adsl  up") for line in lines) and any(line.startswith("lte ") for line in lines)
    assert [line.split()[0] for line in lines[-4:]] == ["packets", "l2_bytes", "l3_bytes", "audit:"], lines
    assert lines[-1] == "audit: exact"


def test_a_quiet_replay_says_nothing(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=1, n_packets=100))
    done = case.wanmeter("replay", "--quiet", "in.pcap")
    assert done.stdout == "" and done.stderr == ""


def test_losses_of_an_earlier_replay_do_not_count_against_a_later_one(case):
    for name, seed in (("cut.pcap", 1), ("whole.pcap", 2)):
        capture.write_pcap(case.directory / name, traffic.mix(seed=seed, n_packets=100, start_ns=seed * 10**18))
    cut = case.directory / "cut.pcap"
    cut.write_bytes(cut.read_bytes()[:-5])
    assert "Lost in this run:" in case.wanmeter("replay", "cut.pcap", check=LOSS).stdout
    assert "Lost in this run:" not in case.wanmeter("replay", "whole.pcap").stdout
    case.wanmeter.audit()


def test_more_workers_than_files_are_as_many_as_files(case):
    packets = traffic.mix(seed=3, n_packets=1_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    case.wanmeter("replay", "--workers", "8", "--shards", "2", "in.pcap")
    assert case.query("SELECT DISTINCT producer FROM stream WHERE kind = 'capture'") == [("capture-0",)]
    assert case.wanmeter.total() == traffic.total(packets)


@each([0, 1, 2])
def test_a_standard_descriptor_that_is_closed_stays_closed(case, descriptor):
    """It is not taken for the next file that is opened, and does not make anything wait."""
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=5, n_packets=500))
    name = "-" if descriptor == 0 else "in.pcap"
    replay = case.wanmeter.start("replay", name, preexec_fn=lambda: os.close(descriptor))
    replay.communicate(timeout=PATIENCE_S)
    assert replay.returncode == (OK if descriptor == 2 else RUNTIME)
    if descriptor > 0:
        case.wanmeter.audit()


def test_progress_is_shown_on_a_terminal_only(case):
    """The capture comes through a pipe that stays open until the line was seen."""
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=4, n_packets=2_000))
    terminal, its_end = os.openpty()
    reader, writer = os.pipe()
    replay = case.wanmeter.start("replay", "-", stdin=reader, stderr=its_end)
    os.close(reader)
    os.close(its_end)
    with os.fdopen(writer, "wb") as pipe:
        pipe.write((case.directory / "in.pcap").read_bytes())
        pipe.flush()
        seen = read_until(terminal, b"packets/s")
    replay.communicate(timeout=PATIENCE_S)
    os.close(terminal)
    assert b"packets/s" in seen and replay.returncode == OK
    assert case.wanmeter("replay", "--force", "in.pcap").stderr == ""


# --- overhead ---

def test_overhead_prints_what_each_length_costs(case):
    assert case.wanmeter("overhead", "calc", "ip", "0", "64", "1500").stdout == "0 0\n64 64\n1500 1500\n"
    composed = case.wanmeter("overhead", "calc", "add(20)+align(4)", "1", "1500").stdout
    assert composed == "1 24\n1500 1520\n"
    models = [row["model"] for row in json_rows(case, "overhead", "list")]
    assert "ip" in models and len(models) == len(set(models))
    for model in models:
        assert model in case.wanmeter("overhead", "explain", model).stdout
        assert case.wanmeter("overhead", "calc", model, "1500").stdout.startswith("1500 ")
    for arguments in (["calc", "nosuch", "1"], ["calc", "ip", "x"], ["calc", "ip", "-1"], ["calc", "ip"], ["explain"], []):
        assert case.wanmeter("overhead", *arguments, check=USAGE).stderr


# --- processes ---

def test_all_processes_have_the_configuration_that_was_read_once(case):
    """From a pipe it can be read by one of them only."""
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=1, n_packets=500))
    reader, writer = os.pipe()
    os.write(writer, traffic.CONFIG.encode())
    os.close(writer)
    case.wanmeter("replay", "--config", "/dev/stdin", "--shards", "2", "in.pcap", stdin=reader)
    os.close(reader)
    assert {"adsl", "lte"} <= {wan for (wan,) in case.query("SELECT DISTINCT wan FROM usage")}


def test_a_worker_that_dies_is_named_and_ends_the_others(case):
    """Its input, a pipe, cannot be read again. Other processes are started again: test_crash.py."""
    name = "capture"
    replay, pipe, directory = open_replay(case)
    os.kill(wait_for_process(replay.pid, name), signal.SIGKILL)
    output, errors = replay.communicate(timeout=PATIENCE_S)
    pipe.close()
    assert replay.returncode == RUNTIME, (replay.returncode, errors)
    assert re.search(rf"{name}\S*: killed by signal 9", errors), errors
    assert not output and not directory.exists()


def test_a_killed_supervisor_takes_its_processes_along_and_its_directory_is_used_again(case):
    replay, pipe, directory = open_replay(case)
    directory.mkdir(exist_ok=True)
    processes = [wait_for_process(replay.pid, name) for name in ("exporter", "tracker", "capture")]
    replay.kill()
    replay.communicate(timeout=PATIENCE_S)
    pipe.close()
    deadline = time.monotonic() + PATIENCE_S
    while any(is_alive(pid) for pid in processes):
        assert time.monotonic() < deadline, "orphans"
        time.sleep(0.01)
    case.wanmeter("replay", "--set", f"run_directory={directory}", "--database", "second.db", "in.pcap")
    case.wanmeter.audit(database="second.db")


def test_a_run_directory_in_use_is_refused(case):
    replay, pipe, directory = open_replay(case)
    wait_for_process(replay.pid, "capture")
    done = case.wanmeter("replay", "--set", f"run_directory={directory}", "--database", "second.db", "in.pcap",
                         check=RUNTIME)
    assert str(directory) in done.stderr and "another wanmeter" in done.stderr
    pipe.close()
    replay.communicate(timeout=PATIENCE_S)
    assert replay.returncode == OK and not directory.exists()


def test_a_run_without_interfaces_is_a_usage_error(case):
    assert "sources" in case.wanmeter("run", check=USAGE).stderr


# --- events ---

def test_without_a_daemon_events_end_soon(case):
    started = time.monotonic()
    for arguments in (["--run-directory", case.directory], ["--endpoint", "tcp://127.0.0.1:1", "--wait", "1s"]):
        assert case.wanmeter("events", *arguments, check=UNREACHABLE).stderr
    assert time.monotonic() - started < PATIENCE_S


def test_events_as_json_add_up_to_the_bill(case):
    packets, output = replay_with_events(case, "json")
    events = [json.loads(line) for line in output.splitlines()]
    numbers = [event["global_seq"] for event in events]
    assert numbers == sorted(set(numbers)) and all(event["schema"] == 1 for event in events)
    usage = [event["usage"] for event in events if "usage" in event]
    assert tuple(sum(row[name] for row in usage) for name in ("packets", "l2_bytes", "l3_bytes")) == traffic.total(packets)
    ended = {event["connection"]["id"] for event in events if event["topic"].startswith("destroy.")}
    assert ended == {row[0] for row in case.query("SELECT id FROM flow WHERE record = 'final' AND state <> 'none'")}


def test_events_in_conntracks_form_are_what_its_readers_expect(case):
    _, output = replay_with_events(case, "conntrack")
    line_form = re.compile(r"^\[\d+\.\d{6}\]\t(    \[NEW\]| \[UPDATE\]|\[DESTROY\]) ipv[46] +(2|10) \w+ +\d+( \d+)?( \w+)? "
                           r"src=\S+ dst=\S+ .*src=\S+ dst=\S+ .*id=\d+$")
    lines = output.splitlines()
    assert lines and not [line for line in lines if not line_form.match(line)]
    assert sum("[NEW]" in line for line in lines) == sum("[DESTROY]" in line for line in lines)


def test_as_many_events_as_asked_for(case):
    _, output = replay_with_events(case, "table", "--count", "7")
    assert len(output.splitlines()) == 7


# --- helpers ---

def replay_mix(case, n_packets=3_000):
    packets = traffic.mix(seed=1, n_packets=n_packets)
    capture.write_pcap(case.directory / "in.pcap", packets)
    case.wanmeter("replay", "--quiet", "--config", case.write("site.yaml", traffic.CONFIG), "in.pcap")
    return packets


def json_rows(case, *arguments):
    document = json.loads(case.wanmeter(*arguments, "--format", "json").stdout)
    assert document["schema"] == 1 and document["command"] == arguments[0]
    return document["rows"]


def as_csv(value):
    return "" if value is None else str(value)


def read_until(descriptor, wanted):
    seen, deadline = b"", time.monotonic() + PATIENCE_S
    while wanted not in seen and time.monotonic() < deadline:
        if select.select([descriptor], [], [], 0.1)[0]:
            seen += os.read(descriptor, 4096)
    return seen


def open_replay(case):
    """A replay under way whose input stays open: (process, the pipe to close, its run directory)."""
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=9, n_packets=1_000))
    directory = case.wanmeter.sockets / "own"
    reader, writer = os.pipe()
    replay = case.wanmeter.start("replay", "--quiet", "--set", f"run_directory={directory}", "-", stdin=reader)
    os.close(reader)
    pipe = os.fdopen(writer, "wb")
    pipe.write((case.directory / "in.pcap").read_bytes())
    pipe.flush()
    return replay, pipe, directory


def wait_for_process(parent, name):
    """The child of 'parent' that runs wanmeter-NAME, as soon as it is there."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if Path(os.readlink(f"/proc/{pid}/exe")).name == f"wanmeter-{name}":
                return int(pid)
        time.sleep(0.01)
    raise AssertionError(f"no wanmeter-{name}")


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def replay_with_events(case, form, *options):
    """A replay that waits for 'wanmeter events' to subscribe: (its packets, what the events command printed)."""
    packets = traffic.mix(seed=31, n_packets=2_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    directory = case.wanmeter.sockets / "own"
    with open(case.directory / "events", "w") as output:
        events = case.wanmeter.start("events", "--run-directory", directory, "--format", form, "--wait", "30s", *options,
                                     stdout=output)
    case.wanmeter("replay", "--config", case.write("site.yaml", traffic.CONFIG), "--set", f"run_directory={directory}",
                  "--wait-subscribers", "1", "in.pcap")
    _, errors = events.communicate(timeout=PATIENCE_S)
    assert events.returncode == OK and not errors, (events.returncode, errors)
    return packets, (case.directory / "events").read_text()
