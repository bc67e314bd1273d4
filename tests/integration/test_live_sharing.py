"""Live captures by several workers, of several interfaces, of all kinds of frames: each packet is counted once, by its own size."""

import random
import re
import subprocess
import threading
from collections import Counter
from pathlib import Path

from integration.test_live import children, enter_network, start, stop
from support import network, traffic
from support.capture import ACK, ethernet, fragments, ip, qinq, tcp, udp, vlan
from support.traffic import CONFIG

PORT = "sources:\n  - interface: mirror0\n"
WORKERS = 3
GATEWAY, HOST = "02:00:00:00:00:01", "02:00:00:00:01:01"


def test_from_ready_on_no_packet_goes_by(case):
    """Packets come all the while that four workers start; those sent after the last has said ready are all counted."""
    enter_network(case)
    is_ready = threading.Event()
    sent = Counter()
    sender = threading.Thread(target=send_until, args=(is_ready, sent))
    sender.start()
    try:
        monitor = start(case, PORT + "    workers: 4\n", workers=4)
    finally:
        is_ready.set()
        sender.join()
    stop(monitor)
    counted = dict(case.query("SELECT orig_dst_port, sum(orig_packets) FROM flow GROUP BY 1"))
    assert sent["before"] > 0 and counted[2222] == sent["after"] == 5000, (counted, sent)
    assert counted.get(1111, 0) <= sent["before"]
    case.wanmeter.audit()


def send_until(is_ready, sent):
    frames = {port: [ethernet(GATEWAY, HOST, ip("10.1.0.1", "192.0.2.1", udp(source, port, b"x"))) for source in range(2000, 2050)]
              for port in (1111, 2222)}
    with network.door("mirror1") as out:
        while not is_ready.is_set():
            for frame in frames[1111]:
                out.send(frame)
            sent["before"] += len(frames[1111])
        for _ in range(100):
            for frame in frames[2222]:
                out.send(frame)
            sent["after"] += len(frames[2222])


def test_fragments_find_their_ports_with_several_workers(case):
    enter_network(case)
    choice = random.Random(5)
    known, pieces = Counter(), []
    for number in range(600):
        source, target = (f"10.1.0.{number % 200}", "192.0.2.7") if number % 2 else (f"2001:db8:1::{number % 200:x}", "2001:db8:9::7")
        port = 2000 + number
        cut = fragments(source, target, udp(port, 53, bytes(choice.randrange(200, 3000))), number, 296)
        known[port] = sum(len(piece[1]) for piece in cut)
        pieces.append([ethernet(GATEWAY, HOST, piece) for piece in cut])
    monitor = start(case, CONFIG + PORT + f"    workers: {WORKERS}\n", "--set", "tracker.shards=2", workers=WORKERS)
    network.send("mirror1", in_disorder(choice, pieces))
    stop(monitor)
    assert set(case.wanmeter.class_totals()) == {"connection"}
    counted = dict(case.query("SELECT orig_src_port, sum(orig_l3_bytes) FROM flow GROUP BY 1"))
    assert counted == known
    busy = case.query("SELECT count(DISTINCT producer) FROM stream WHERE kind = 'capture' AND packets > 0")
    assert busy[0][0] > 1, "one worker had it all"
    case.wanmeter.audit()


def in_disorder(choice, pieces):
    """Frames of some datagrams at a time, in any order, first fragments last among them."""
    for at in range(0, len(pieces), 8):
        group = [(number > 0, choice.random(), frame) for cut in pieces[at:at + 8] for number, frame in enumerate(cut)]
        yield from (frame for _, _, frame in sorted(group, reverse=True, key=lambda item: item[:2]))


def test_both_arms_of_a_tap_give_one_connection(case):
    """What goes up is on one interface, what comes down on another: the source says which, whatever the addresses are."""
    enter_network(case)
    network.make_veth("down0", "down1")
    site = "sources:\n  - interface: mirror0\n    direction: up\n  - interface: down0\n    direction: down\n" \
        "wans:\n  - name: fibre\n    match: [{}]\n"
    monitor = start(case, site, workers=2)
    with network.door("mirror1") as up, network.door("down1") as down:
        for number in range(300):
            source = 3000 + number % 30
            up.send(ethernet(GATEWAY, HOST, ip("192.0.2.1", "10.1.0.1", tcp(source, 80, ACK, payload=b"up"))))
            down.send(ethernet(HOST, GATEWAY, ip("10.1.0.1", "192.0.2.1", tcp(80, source, ACK, payload=b"to the site"))))
    stop(monitor)
    assert case.query("SELECT direction, sum(packets), sum(l3_bytes) FROM usage GROUP BY 1 ORDER BY 1") == \
        [("down", 300, 300 * 51), ("up", 300, 300 * 42)]
    assert case.query("SELECT count(*), sum(orig_packets), sum(reply_packets) FROM flow") == [(30, 300, 300)]
    assert case.query("SELECT name, packets FROM source ORDER BY name") == [("down0", 300), ("mirror0", 300)]
    case.wanmeter.audit()


def test_several_interfaces_with_several_workers_each_are_one_bill(case):
    enter_network(case)
    network.make_veth("other0", "other1")
    packets = traffic.mix(seed=31, n_packets=8_000)
    monitor = start(case, CONFIG + PORT + "    workers: 2\n  - interface: other0\n    workers: 2\n", "--set", "tracker.shards=2",
                    workers=4)
    halves = [threading.Thread(target=network.send, args=(f"{name}1", [packet.frame for packet in packets[at::2]]))
              for at, name in enumerate(("mirror", "other"))]
    for half in halves:
        half.start()
    for half in halves:
        half.join()
    stop(monitor)
    assert case.wanmeter.total() == traffic.total(packets)
    case.wanmeter.audit()


def test_tags_that_the_kernel_takes_off_are_counted(case):
    """Linux keeps a frame's outer VLAN tag beside the packet; it was on the wire, before or after the snap length."""
    enter_network(case)
    inner = ip("10.1.0.1", "192.0.2.1", udp(1, 2, bytes(100)))
    frames = [ethernet(GATEWAY, HOST, made) for made in (inner, vlan(10, inner), qinq(20, 10, inner), vlan(0, vlan(10, inner)))]
    monitor = start(case, CONFIG + PORT, "--set", "capture.snap=64B")
    network.send("mirror1", frames * 10)
    stop(monitor)
    assert case.wanmeter.total() == (40, 10 * sum(map(len, frames)), 40 * 128)
    assert case.query("SELECT sum(packets) FROM usage WHERE wan = 'adsl'") == [(20,)]


def test_frames_longer_than_a_block_of_the_ring_usually_holds_are_whole_in_length(case):
    enter_network(case)
    for interface in ("mirror0", "mirror1"):
        subprocess.run(["ip", "link", "set", "dev", interface, "mtu", "65535"], check=True)
    sizes = (1, 1500, 9000, 30_000, 65_000)
    frames = [ethernet(GATEWAY, HOST, ip("10.1.0.1", "192.0.2.1", udp(1, 2, bytes(size)))) for size in sizes]
    for snap in ("64B", "256KiB"):
        database = f"{snap}.db"
        monitor = start(case, PORT, "--database", database, "--set", f"capture.snap={snap}")
        network.send("mirror1", frames * 3)
        stop(monitor)
        assert case.wanmeter.total(database) == (3 * len(sizes), 3 * sum(map(len, frames)), 3 * sum(size + 28 for size in sizes))
        assert case.wanmeter.losses(database) == []


def test_the_ring_has_the_size_that_was_asked_for(case):
    enter_network(case)
    for size in (2, 48):
        monitor = start(case, PORT + "    workers: 2\n", "--set", f"capture.ring={size}MiB", "--database", f"{size}.db", workers=2)
        rings = [ring_bytes(pid) for pid in children(monitor.pid, "wanmeter-capture")]
        stop(monitor)
        assert len(rings) == 2 and all(size * 2**20 * 9 // 10 <= ring <= size * 2**20 for ring in rings), rings


def ring_bytes(pid):
    """What the process has mapped of packet sockets."""
    maps = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) .* socket:\[", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE)
    return sum(int(end, 16) - int(start, 16) for start, end in maps)
