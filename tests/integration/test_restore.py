"""What a tracker that takes another's place goes on with: open connections and changes."""

import json
import os
import re
import select
import signal
import time
from dataclasses import replace

from integration.test_crash import OK, USAGE_ROWS, Replay
from support import capture, network, traffic
from support.capture import ACK, NANOSECONDS, PSH, SYN
from support.case import PATIENCE_S, each

# Records often, so that flows that go on have one when the tracker is killed.
CONFIG = traffic.CONFIG + """\
tracker: {interim_interval: 1s}
rules:
  - {match: "dst port 443", ct: "commit,mark=0x20/0xff,label=0x6"}
  - {match: "udp", ct: "commit,class=streams,account=shop"}
  - {ct: commit}
classes: [streams]
"""
START_NS = 1_760_000_000 * NANOSECONDS
N_FLOWS = 60
FINAL_ROWS = ("SELECT id, start_ns, state, status, mark, labels, wan, account, class, end_reason FROM flow "
              "WHERE record = 'final' ORDER BY id")
SUMS = ("SELECT usage_packets - flow_packets - gap_packets - open_packets, usage_l2_bytes - flow_l2_bytes - gap_l2_bytes - "
        "open_l2_bytes, usage_l3_bytes - flow_l3_bytes - gap_l3_bytes - open_l3_bytes, usage_billed_bytes - "
        "flow_billed_bytes - gap_billed_bytes - open_billed_bytes, verdict FROM audit_flows")


@each([1, 3])
def test_flows_go_on_when_their_tracker_is_killed(case, shards):
    content = make_capture(case, shards)
    n_parts = 4
    size = len(content) // n_parts + 1
    with Replay(case, "--shards", shards) as replay:
        for i in range(n_parts):
            replay.feed(content[i * size:(i + 1) * size])
            replay.wait_for_usage()
            if i == 0:
                continue
            wait_until_all_are_recorded(case)
            name = f"tracker-{i % shards}"
            replay.kill(name)
            replay.wait_for_restart(name, 1 if shards > 1 else i)
        replay.finish(allowed={OK})
    assert case.query(USAGE_ROWS) == case.query(USAGE_ROWS, database="plain.db")
    assert case.query(SUMS) == [(0, 0, 0, 0, "equal")]
    assert case.query("SELECT verdict FROM audit") == [("exact",)]
    found, wanted = case.query(FINAL_ROWS), case.query(FINAL_ROWS, database="plain.db")
    assert found == wanted, [row for row in zip(found, wanted) if row[0] != row[1]][:3]
    assert case.query("SELECT count(*) > 0 FROM flow_gap") == [(1,)]
    assert "flow_gap" in case.wanmeter("losses").stdout


# What a packet costs depends on packets before it: a link that compresses headers, a mirror that shows packets twice.
REMEMBERED = {
    "compressed headers": CONFIG.replace("overhead: pppoe-llcsnap", "overhead: vj+ppp-hdlc"),
    "copies": CONFIG + "capture: {duplicate_window: 900ms}\n",
}


@each(REMEMBERED)
def test_what_is_billed_by_packets_before_is_the_same_when_a_tracker_is_killed(case, kind):
    packets = long_flows()
    if kind == "copies":
        packets = sorted(packets + [replace(packet, time_ns=packet.time_ns + 700_000_000) for packet in packets],
                         key=lambda packet: packet.time_ns)
    content = make_capture(case, 1, REMEMBERED[kind], packets)
    n_parts = 5
    size = len(content) // n_parts + 1
    with Replay(case, "--shards", 1) as replay:
        for i in range(n_parts):
            replay.feed(content[i * size:(i + 1) * size])
            replay.wait_for_usage()
            if i > 1:   # each flow has a record; its account is known
                replay.kill("tracker-0")
                replay.wait_for_restart("tracker-0", i - 1)
        replay.finish(allowed={OK})
    rows, wanted = case.query(USAGE_ROWS), case.query(USAGE_ROWS, database="plain.db")
    assert rows == wanted, [pair for pair in zip(rows, wanted) if pair[0] != pair[1]]
    assert case.query("SELECT verdict FROM audit") == [("exact",)]
    assert case.query("SELECT count(*) FROM tracker_memory") == [(0,)], "its stream has ended"


def wait_until_all_are_recorded(case):
    """Each as it is once both ends have answered: what no record tells of goes on as another flow, or from an older state."""
    deadline = time.monotonic() + PATIENCE_S
    n_flows = case.query("SELECT count(DISTINCT id) FROM flow", database="plain.db")
    while case.query("SELECT count(*) FROM (SELECT id FROM flow GROUP BY id HAVING count(*) >= 3)") != n_flows:
        assert time.monotonic() < deadline, f"not all of {n_flows} have a record"
        time.sleep(0.01)


def make_capture(case, shards, config=CONFIG, packets=None):
    """The bytes of in.pcap, and what an undisturbed replay makes of them in plain.db."""
    path = case.directory / "in.pcap"
    capture.write_pcap(path, packets or long_flows())
    case.write("config.yaml", config)
    case.wanmeter("replay", "--quiet", "--config", "config.yaml", "--shards", shards, "--database", "plain.db", path)
    return path.read_bytes()


def long_flows():
    """Connections that begin in the first seconds and go on for half a minute, a packet a fifth of a second each way."""
    source = traffic.Traffic(seed=5)
    for i in range(N_FLOWS):
        account, wan = source.accounts[i % 3], source.wans[i % 2]
        version = 6 if i % 5 == 0 else 4
        protocol = capture.UDP if i % 3 == 0 else capture.TCP
        path = source._path(account, wan, version, source._port(), (443, 80, 5060)[i % 3], protocol)
        time_ns = START_NS + i * 20_000_000
        talk(source, path, protocol, time_ns)
    return source.in_order()


def talk(source, path, protocol, time_ns):
    sequence = [1000, 2000]

    def send(direction, flags, size):
        nonlocal time_ns
        up = direction == "up"
        if protocol == capture.UDP:
            transport = capture.udp(path.port(up), path.port(not up), bytes(size))
        else:
            transport = capture.tcp(path.port(up), path.port(not up), flags, sequence[not up],
                                    sequence[up] if flags & ACK else 0, bytes(size))
            sequence[not up] += size + bool(flags & SYN)
        source._send(time_ns, path, direction, transport)
        time_ns += 100_000_000

    send("up", SYN, 0)
    send("down", SYN | ACK, 0)
    for _ in range(150):
        send("up", PSH | ACK, 100)
        send("down", ACK, 700)


# --- live ---

LIVE = CONFIG + """\
run_directory: {directory}/run
sources:
  - interface: mirror0
"""
IDS = ("SELECT protocol, orig_src_address, orig_src_port, orig_dst_port, count(DISTINCT id) FROM flow "
       "GROUP BY 1, 2, 3, 4 HAVING count(DISTINCT id) > 1")


def test_changes_are_in_force_again_when_trackers_were_killed(case):
    frames, daemon = begin_live(case)
    try:
        talk_until_recorded(case, frames)
        n_udp = int(ct(case, "count", "-p", "udp").stdout)
        ct(case, "update", "-p", "udp", "--set-mark", "0x700/0xf00", "--set-label", "0x10")
        change(case, "label", "add", "gold", "4")
        change(case, "timeout", "new", "brief", "inet", "udp", "unreplied=20")
        change(case, "account", "add", "late", "10.9.0.0/16")
        settle(case)
        before = policy(case)
        for i in range(2):
            kill(case, f"tracker-{i}")
        wait(case, lambda: all(roster(case).get(f"tracker-{i}", (0, "", 0))[1:] == ("running", 1) for i in range(2)))
        wait(case, lambda: policy(case) == before and all_answer(case))
        assert len(ct(case, "list", "--mark", "0x700/0xf00", "--label", "0x10").stdout.splitlines()) == n_udp
        assert "late" in case.wanmeter("account", "list", "-r", case.directory / "run").stdout
        send(frames)
        settle(case)
    finally:
        stop(daemon)
    assert case.query(IDS) == []
    assert case.query("SELECT count(*), min(mark & 0xf00) FROM flow WHERE protocol = 17 AND record = 'final'") == \
        [(n_udp, 0x700)]
    assert case.query("SELECT count(*), sum(result) FROM change") == [(4, 0)]
    assert case.query(SUMS) == [(0, 0, 0, 0, "equal")]
    assert case.query("SELECT verdict FROM audit") == [("exact",)]


def test_a_run_goes_on_with_what_a_killed_one_left_open(case):
    frames, daemon = begin_live(case)
    talk_until_recorded(case, frames)
    ids = set(case.query("SELECT DISTINCT id FROM flow"))
    pids = [pid for pid, _, _ in roster(case).values()] + [daemon.pid]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    daemon.communicate(timeout=PATIENCE_S)
    daemon = start(case)
    try:
        send(frames)
        settle(case)
        rows = json.loads(ct(case, "list", "--format", "json").stdout)["rows"]
        assert {(row["id"],) for row in rows} == ids
    finally:
        stop(daemon, code=3)
    assert case.query(IDS) == []
    losses = set(case.query("SELECT stage, reason, certainty FROM loss"))
    assert {("kernel", "worker_died", "unknown")} <= losses <= {("kernel", "worker_died", "unknown"), ("capture", "worker_died", "exact")}
    assert case.query(SUMS) == [(0, 0, 0, 0, "equal")]
    assert case.query("SELECT verdict FROM audit") == [("bounded",)]
    assert case.query("SELECT DISTINCT end_reason FROM flow WHERE record = 'final'") == [("end_of_input",)]


def test_an_account_made_before_an_exporter_was_killed_is_known_to_its_successor(case):
    frames, daemon = begin_live(case)
    try:
        change(case, "account", "add", "late", "10.1.0.0/25", "10.2.0.0/25")
        wait(case, lambda: case.query("SELECT count(*) FROM change") == [(1,)])
        kill(case, "exporter")
        wait(case, lambda: roster(case).get("exporter", (0, "", 0))[1:] == ("running", 1))
        send(frames)
        settle(case)
    finally:
        stop(daemon)
    assert case.query("SELECT sum(packets) FROM usage WHERE account = 'late'")[0][0] > 0
    assert case.query("SELECT verdict FROM audit") == [("exact",)]


def begin_live(case):
    problem = network.enter()
    if problem:
        case.skip(problem)
    network.make_veth("mirror0", "mirror1")
    config = LIVE.replace("{directory}", str(case.directory)).replace("tracker: {", "tracker: {shards: 2, ")
    case.write("live.yaml", config)
    frames = [packet.frame for packet in long_flows() if packet.time_ns < START_NS + 2 * NANOSECONDS]
    return frames, start(case)


def start(case):
    daemon = case.wanmeter.start("run", "--config", "live.yaml")
    said, deadline = b"", time.monotonic() + PATIENCE_S
    while b"ready: capturing" not in said:
        readable, _, _ = select.select([daemon.stderr], [], [], max(0, deadline - time.monotonic()))
        piece = os.read(daemon.stderr.fileno(), 4096) if readable else b""
        said += piece
        if not piece:
            daemon.kill()
            raise AssertionError(f"not ready: {said} {daemon.communicate()}")
    return daemon


def stop(daemon, code=0):
    daemon.send_signal(signal.SIGTERM)
    output, errors = daemon.communicate(timeout=PATIENCE_S)
    assert daemon.returncode == code, f"exit code {daemon.returncode}\n{output}\n{errors}"


def send(frames):
    network.send("mirror1", iter(frames))


def talk_until_recorded(case, frames):
    """Again and again, until each flow has an interim record."""

    def is_recorded():
        send(frames)
        time.sleep(0.2)
        return case.query("SELECT count(DISTINCT id) FROM flow") == [(N_FLOWS,)]

    wait(case, is_recorded)


def wait(case, is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, roster(case)
        time.sleep(0.05)


def settle(case):
    sent_ns = time.time_ns()
    wait(case, lambda: min(map(int, re.findall(r"clock_ns=(-?\d+)", ct(case, "stats").stdout))) >= sent_ns)


def roster(case):
    rows = [line.split() for line in (case.directory / "run" / "processes").read_text().splitlines()]
    return {name: (int(pid), state, int(n)) for name, pid, state, n in rows}


def kill(case, name):
    os.kill(roster(case)[name][0], signal.SIGKILL)


def ct(case, *arguments):
    return case.wanmeter("ct", "-r", case.directory / "run", *arguments)


def all_answer(case):
    """A tracker that runs is not yet one that listens."""
    return case.wanmeter("ct", "-r", case.directory / "run", "count", check=None).returncode == 0


def change(case, command, *arguments):
    return case.wanmeter(command, *arguments, "-r", case.directory / "run")


def policy(case):
    return case.wanmeter("timeout", "list", "-r", case.directory / "run", check=None).stdout
