"""Timeout policies and defaults: they last over a restart, and a change counts from its packet time on, in every shard."""

import json
import sqlite3

from integration import test_live
from support import capture
from support.capture import NANOSECONDS, Packet, ethernet, ipv4, udp

DNS = 53
START_NS = 1_700_000_000 * NANOSECONDS
CONFIG = """\
timeout_policies:
  - {name: dns, l4: udp, values: {unreplied: 12s}}
rules:
  - {match: udp port 53, ct: "commit,timeout=dns"}
"""
LIVE = """\
sources:
  - interface: mirror0
run_directory: {directory}/run
"""
# (packet time in s, change, {port or None: unreplied from then on}); of all other ports the default.
CHANGES = [
    (100, "timeout default set inet udp unreplied=10", {None: 10}),
    (200, "timeout replace dns inet udp unreplied=45", {DNS: 45}),
    (300, "timeout default set inet6 udplite unreplied=60", {None: 60}),
    (300, "timeout new other inet udp unreplied=1", {}),
    (400, "timeout replace dns inet udp", {DNS: 60}),
]


def test_policies_and_defaults_last_over_a_restart(case):
    test_live.enter_network(case)
    (case.directory / "run").mkdir()
    config = CONFIG + LIVE.format(directory=case.directory)
    daemon = test_live.start(case, config, "--set", "tracker.shards=2")
    for line in ["new p inet tcp established=100", "new q inet6 sctp", "replace dns inet udp replied=9", "delete q",
                 "default set inet gre replied=77", "new after inet gre unreplied=5"]:
        timeout(case, line)
    before = known(case)
    test_live.stop(daemon)
    assert [row["name"] for row in before[0]] == ["dns", "p", "after"]

    for shards in (1, 3):
        daemon = test_live.start(case, config, "--set", f"tracker.shards={shards}")
        # Its place is behind what is restored, which is in force from the first packet on.
        assert "File exists" in timeout(case, "new --exclusive p inet tcp", check=1)
        assert known(case) == before
        test_live.stop(daemon)


def timeout(case, line, check=0, command=("timeout",)):
    done = case.wanmeter(*command, "--run-directory", case.directory / "run", *line.split(), check=check)
    return done.stdout + done.stderr


def known(case):
    return [json.loads(timeout(case, f"{line} --format json", command=("ct", "timeout")))["rows"] for line in ("list", "default get inet gre")]


def test_a_change_counts_from_its_packet_time_at_any_number_of_shards(case):
    packets, times = made_packets()
    capture.write_pcap(case.directory / "a.pcap", packets)
    capture.write_pcap(case.directory / "other.pcap", packets[:1])
    case.wanmeter("replay", "-d", "changes.db", "other.pcap")
    record(case.directory / "changes.db")
    config = case.write("c.yaml", CONFIG)

    found = []
    for shards in (1, 4, 8):
        database = f"{shards}.db"
        case.wanmeter("replay", "--config", config, "--changes", "changes.db", "-d", database, "--shards", shards, "a.pcap")
        found.append(flows(case, database))
        case.wanmeter.audit(database=database)
    assert found[0] == expected_flows(times)
    assert found[0] == found[1] == found[2]
    case.wanmeter("replay", "--config", config, "-d", "without.db", "a.pcap")
    assert flows(case, "without.db") != found[0]


def made_packets():
    """Of each of 60 ports a packet every so many seconds; ({port: [s, …]})."""
    times = {}
    for n in range(60):
        step = 5 + n
        times[(2000 + n, DNS if n % 3 == 0 else 1000 + n)] = [n / 100 + i * step for i in range(500 // step)]
    packets = [Packet(START_NS + round(time * NANOSECONDS),
                      ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", ipv4("10.0.0.1", "192.0.2.1", udp(*ports, b"x"))))
               for ports, own in times.items() for time in own]
    return sorted(packets, key=lambda packet: packet.time_ns), times


def record(path):
    """The changes, as a run records them."""
    database = sqlite3.connect(path)
    with database:
        for n, (time, words, _) in enumerate(CHANGES):
            database.execute("INSERT INTO change_line (run_id, change_id, time_ns, words, uid, pid, seed, result, affected,"
                             " answer) VALUES (1, ?, ?, ?, 0, 1, 0, 0, 1, '')",
                             (n + 1, START_NS + time * NANOSECONDS, json.dumps(words.split())))
    database.close()


def expected_flows(times):
    """{(port, port): packets of each flow}: a flow is over when its last packet's timeout is."""
    flows_of = {}
    for ports, own in times.items():
        sizes, over = [], 0
        for time in own:
            if sizes and time < over:
                sizes[-1] += 1
            else:
                sizes.append(1)
            over = time + unreplied(ports[1], time)
        flows_of[ports] = sizes
    return flows_of


def unreplied(port, time):
    in_force = {None: 30, DNS: 12}
    for since, _, values in CHANGES:
        if time >= since:
            in_force.update(values)
    return in_force[DNS if port == DNS else None]


def flows(case, database):
    found = {}
    for source, destination, packets in case.query(
            "SELECT orig_src_port, orig_dst_port, sum(orig_packets) FROM flow GROUP BY id ORDER BY min(first_ns)",
            database=database):
        found.setdefault((source, destination), []).append(packets)
    return found
