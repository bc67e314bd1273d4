"""What a tracker that takes another's place goes on with: open connections and changes."""

from integration.test_crash import OK, USAGE_ROWS, Replay
from support import capture, traffic
from support.capture import ACK, NANOSECONDS, PSH, SYN
from support.case import each

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
FINAL_ROWS = ("SELECT id, start_ns, last_ns, state, status, mark, labels, wan, account, class, end_reason FROM flow "
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
            name = f"tracker-{i % shards}"
            replay.kill(name)
            replay.wait_for_restart(name, 1 if shards > 1 else i)
        replay.finish(allowed={OK})
    assert case.query(USAGE_ROWS) == case.query(USAGE_ROWS, database="plain.db")
    assert case.query(SUMS) == [(0, 0, 0, 0, "equal")]
    assert case.query("SELECT verdict FROM audit") == [("exact",)]
    assert case.query(FINAL_ROWS) == case.query(FINAL_ROWS, database="plain.db")
    assert case.query("SELECT count(*) > 0 FROM flow_gap") == [(1,)]
    assert "flow_gap" in case.wanmeter("losses").stdout


def make_capture(case, shards):
    """The bytes of in.pcap, and what an undisturbed replay makes of them in plain.db."""
    path = case.directory / "in.pcap"
    capture.write_pcap(path, long_flows())
    case.write("config.yaml", CONFIG)
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
