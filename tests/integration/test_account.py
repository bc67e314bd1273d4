"""Accounts that change while packets go by: each packet is the account's that its address has then, in every shard, and once more in
a replay; a restart keeps them."""

import ipaddress
import json
import random
import sqlite3

from integration import test_control, test_live
from support import capture, network
from support.capture import NANOSECONDS, Packet, ethernet, icmp_unreachable, ipv4, ipv6, udp

START_NS = 1_700_000_000 * NANOSECONDS
N_HOSTS = 24
CONFIG = """\
accounts:
  - {name: house, prefixes: [10.0.0.0/24, 2001:db8::/64]}
  - {name: office, prefixes: [10.0.0.20/30]}
  - {name: shop, prefixes: [10.9.0.0/16]}
tariffs:
  - {name: rooms, currency: EUR, wans: [none], quota: 3, unit: kB, quota_percents: [50, 100]}
"""
# (packet time in s, change)
CHANGES = [
    (50, "account add room3 10.0.0.3 2001:db8::3"),
    (80, "account add room4 10.0.0.4 10.0.0.5"),
    (100, "account move room3 10.0.0.4"),
    (100, "account add house 10.0.0.64/26"),
    (150, "account remove room3 10.0.0.3"),
    (180, "account move shop 10.0.0.16/28"),
    (200, "account remove office"),
    (220, "account add room3 10.0.0.3"),
    (260, "account remove house"),
    (280, "account remove room4"),
]


def test_a_packet_is_the_accounts_that_has_its_address_then(case):
    packets, hosts = made_packets()
    capture.write_pcap(case.directory / "a.pcap", packets)
    capture.write_pcap(case.directory / "other.pcap", packets[:1])
    config = case.write("c.yaml", CONFIG)
    case.wanmeter("replay", "-d", "changes.db", "other.pcap")
    record(case.directory / "changes.db", CHANGES)

    expected, found = expected_usage(packets, hosts), []
    assert {"none", "house", "office", "shop", "room3", "room4"} == set(expected)
    for shards in (1, 4, 8):
        database = f"{shards}.db"
        case.wanmeter("replay", "--config", config, "--changes", "changes.db", "-d", database, "--shards", shards, "a.pcap")
        assert usage(case, database) == expected
        found.append((flow_rows(case, database), usage_rows(case, database), quota_rows(case, database)))
        case.wanmeter.audit(database=database)
    assert found[0] == found[1] == found[2]
    assert {("room3", 50), ("room3", 100), ("room4", 50), ("house", 100)} <= {row[:2] for row in found[0][2]}
    of_flows = dict(case.query("SELECT account, sum(orig_packets + reply_packets) FROM flow GROUP BY 1", database="1.db"))
    assert of_flows == dict(case.query("SELECT account, sum(packets) FROM usage WHERE class = 'connection' GROUP BY 1", database="1.db"))
    several = case.query("SELECT count(*) FROM (SELECT id FROM flow GROUP BY id HAVING count(DISTINCT account) > 1)", database="1.db")
    assert several[0][0] > 50, "running flows did not change hands"
    case.wanmeter("replay", "--config", config, "-d", "without.db", "a.pcap")
    assert usage(case, "without.db") != expected


def made_packets():
    """Each host asks three servers by IPv4 and IPv6, one asks it; every few seconds, for 300; some quote an error."""
    source, packets, hosts = random.Random(31), [], set()
    for n in range(N_HOSTS):
        for address, remotes in ((f"10.0.0.{n}", ("192.0.2.1", "192.0.2.2")), (f"2001:db8::{n:x}", ("2001:db8:f::1",))):
            hosts.add(ipaddress.ip_address(address))
            for k, remote in enumerate(remotes):
                make = ipv6 if ":" in address else ipv4
                for i in range(60):
                    ends = (address, remote) if (i + k) % 2 == 0 else (remote, address)
                    ports = (4000 + n, 53 + k) if (i + k) % 2 == 0 else (53 + k, 4000 + n)
                    inner = make(*ends, udp(*ports, b"x" * source.randrange(200)))
                    packets.append(packet(source, i, inner))
                    if ":" not in address and i % 10 == 5:
                        packets.append(packet(source, i, ipv4("192.0.2.99", ends[0], icmp_unreachable(3, inner))))
    return sorted(packets, key=lambda each: each.time_ns), hosts


def packet(source, i, inner):
    return Packet(START_NS + i * 5 * NANOSECONDS + source.randrange(4 * NANOSECONDS),
                  ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", inner))


def expected_usage(packets, hosts):
    """{account: (packets, l2_bytes)}, by a table that is searched from its beginning for every packet."""
    table = {ipaddress.ip_network(prefix): name for name, prefixes in (
        ("house", ("10.0.0.0/24", "2001:db8::/64")), ("office", ("10.0.0.20/30",)), ("shop", ("10.9.0.0/16",)))
        for prefix in prefixes}
    waiting, sums = list(CHANGES), {}
    for each in packets:
        while waiting and START_NS + waiting[0][0] * NANOSECONDS <= each.time_ns:
            change(table, *waiting.pop(0)[1].split()[1:])
        account = owner(table, local_end(each, hosts))
        before = sums.get(account, (0, 0))
        sums[account] = (before[0] + 1, before[1] + len(each.frame))
    return sums


def change(table, verb, name, *prefixes):
    networks = [ipaddress.ip_network(prefix) for prefix in prefixes]
    if verb == "remove":
        for each in networks or [each for each in table if table[each] == name]:
            assert table.pop(each) == name
    else:
        table.update(dict.fromkeys(networks, name))


def owner(table, address):
    holders = [each for each in table if address.version == each.version and address in each]
    return table[max(holders, key=lambda each: each.prefixlen)] if holders else "none"


def local_end(each, hosts):
    """Of an error: that of the packet which it quotes."""
    frame = each.frame[14:]
    if each.frame[12:14] == b"\x08\x00" and frame[9] == 1:
        frame = frame[28:]
    ends = (frame[12:16], frame[16:20]) if frame[0] >> 4 == 4 else (frame[8:24], frame[24:40])
    return next(address for address in map(ipaddress.ip_address, ends) if address in hosts)


def record(path, changes):
    """The changes, as a run records them."""
    database = sqlite3.connect(path)
    with database:
        for n, (time, words) in enumerate(changes):
            database.execute("INSERT INTO change_line (run_id, change_id, time_ns, words, uid, pid, seed, result, affected,"
                             " answer) VALUES (1, ?, ?, ?, 0, 1, 0, 0, 1, '')",
                             (n + 1, START_NS + time * NANOSECONDS, json.dumps(words.split())))
    database.close()


# --- live ---

LIVE = """\
run_directory: {directory}/run
tracker: {{shards: 2}}
sources:
  - interface: mirror0
"""


def test_a_portal_changes_accounts_and_a_replay_and_a_restart_know_them(case):
    test_live.enter_network(case)
    (case.directory / "run").mkdir()
    config = CONFIG + LIVE.format(directory=case.directory)
    packets = live_packets()
    daemon = test_live.start(case, config)
    with test_control.Recorder("mirror0") as recorder:
        steps = ["add guest1 10.0.0.1", "add guest2 10.0.0.2 2001:db8::2", "remove guest1", "add --move guest2 10.0.0.20/30",
                 "add guest1 10.0.0.3"]
        for step, line in enumerate([None, *steps]):
            if line:
                account(case, line)
            network.send("mirror1", (each.frame for each in packets[step::len(steps) + 1]))
            recorder.wait_for(len(packets[:1]) and sum(len(packets[k::len(steps) + 1]) for k in range(step + 1)))
        listed = [(row["account"], row["prefix"], row["from"]) for row in rows(case)]
        assert listed == [
            ("guest1", "10.0.0.3/32", "command"), ("guest2", "10.0.0.2/32", "command"), ("guest2", "10.0.0.20/30", "command"),
            ("guest2", "2001:db8::2/128", "command"), ("house", "10.0.0.0/24", "file"), ("house", "2001:db8::/64", "file"),
            ("shop", "10.9.0.0/16", "file")], listed
        before = rows(case)
        assert case.wanmeter("ct", "-r", case.directory / "run", "count", "--account", "guest1").stdout == "4\n"
        assert all(f'"account": "{name}"' in case.wanmeter("ct", "-r", case.directory / "run", "list", "--format", "json").stdout
                   for name in ("guest1", "guest2", "house"))
    test_live.stop(daemon)
    assert {"guest1", "guest2", "house"} <= {row[0] for row in case.query("SELECT account FROM usage")}
    capture.write_pcap(case.directory / "same.pcap", recorder.packets)
    config_path = case.write("replayed.yaml", CONFIG)
    for shards in (1, 4, 8):
        again = f"again-{shards}.db"
        case.wanmeter("replay", "--config", config_path, "--changes", "wanmeter.db", "-d", again, "--shards", shards, "same.pcap")
        assert usage_rows(case, again) == usage_rows(case, "wanmeter.db")
        assert counted(case, again) == counted(case, "wanmeter.db")
        case.wanmeter.audit(database=again)
    case.wanmeter.audit()

    daemon = test_live.start(case, config)
    assert "File exists" in account(case, "add guest3 10.0.0.2", check=1)   # behind what is restored
    assert rows(case) == before
    network.send("mirror1", (each.frame for each in packets))
    account(case, "add guest3 10.0.0.1")
    network.send("mirror1", (each.frame for each in packets))
    test_live.stop(daemon)
    case.wanmeter.audit()
    guest3 = case.query("SELECT sum(packets) FROM usage WHERE account = 'guest3'")[0][0]
    assert guest3 == sum(b"\x0a\x00\x00\x01" in (each.frame[26:30], each.frame[30:34]) for each in packets)
    assert case.query("SELECT count(*), sum(result = 0) FROM change") == [(len(steps) + 2, len(steps) + 1)]


def live_packets():
    """Four flows of each of four hosts; packets of each host in every sixth."""
    source, packets = random.Random(32), []
    for _ in range(40):
        for k in range(4):
            for n in range(1, 5):
                packets.append(Packet(0, ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", ipv4(
                    f"10.0.0.{n}", "192.0.2.1", udp(4000 + n, 53 + k, b"x" * source.randrange(100))))))
    source.shuffle(packets)
    return packets


def test_what_cannot_be_done_says_why(case):
    test_live.enter_network(case)
    (case.directory / "run").mkdir()
    assert "no daemon" in account(case, "list", check=5)
    daemon = test_live.start(case, CONFIG + LIVE.format(directory=case.directory))
    before = rows(case)
    for status, line, words in [
        (1, "add guest 10.0.0.0/24", "File exists: 10.0.0.0/24 is account 'house'"),
        (1, "add guest 10.0.0.1 10.0.0.0/24", "is account 'house'"),
        (1, "remove nobody", "no account has this name"),
        (1, "remove house 10.9.0.0/16", "10.9.0.0/16 is account 'shop'"),
        (1, "remove house 10.8.0.0/16", "10.8.0.0/16 is account 'none'"),
        (2, "add guest 10.0.0.1/24", "did you mean 10.0.0.0/24"),
        (2, "add guest 10.0.0.1/33", "0 to 32"),
        (2, "add guest 02:00:00:00:00:01", "not an address block"),
        (2, "add none 10.0.0.1", "not 'none'"),
        (2, "add guest", "expected NAME PREFIX"),
        (2, "remove --move house", "--move is of 'add'"),
        (2, "list house", "expected nothing more"),
        (2, "frob", "frob"),
        (2, "add guest" + " 10.0.0.1" * 62, "several commands"),
    ]:
        said = account(case, line, check=status)
        assert words in said, said
    assert rows(case) == before
    account(case, "add shop 10.9.0.0/16")
    assert rows(case) == before, "what was hers is so since then"
    test_live.stop(daemon)
    case.wanmeter.audit()


def account(case, line, check=0):
    done = case.wanmeter("account", "--run-directory", case.directory / "run", *line.split(), check=check)
    return done.stdout + done.stderr


def rows(case):
    return json.loads(account(case, "list --format json"))["rows"]


def usage(case, database):
    return {name: (packets, size) for name, packets, size in case.query(
        "SELECT account, sum(packets), sum(l2_bytes) FROM usage GROUP BY 1", database=database)}


def usage_rows(case, database):
    return sorted(case.query("SELECT slot_ns, account, wan, direction, class, packets, l2_bytes, l3_bytes, billed_bytes FROM usage",
                             database=database))


def quota_rows(case, database):
    return case.query("SELECT account, percent, slot_ns, used_bytes FROM quota ORDER BY account, percent", database=database)


def flow_rows(case, database):
    return sorted(case.query(
        "SELECT id, orig_src_address, orig_src_port, account, orig_packets, orig_billed_bytes, reply_packets, reply_billed_bytes,"
        " first_ns, last_ns, status, end_reason FROM flow", database=database))


def counted(case, database):
    """What each account has of each flow: a daemon that waits without packets ends it otherwise than the end of a capture does."""
    return sorted(case.query("SELECT id, account, sum(orig_packets), sum(orig_billed_bytes), sum(reply_packets), min(first_ns),"
                             " max(last_ns) FROM flow GROUP BY id, account", database=database))
