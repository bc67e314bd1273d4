"""What a link charges: each packet by its WAN's model, before anything is added up."""

from collections import defaultdict
from random import Random

from support import capture, traffic, vj
from support.case import each


def cells(length, payload_bytes=48, cell_bytes=53):
    return -(-length // payload_bytes) * cell_bytes


# By hand from the field sums of RFC 2684 and RFC 2516 (ADSL, PPPoE over LLC/SNAP), ITU-T G.992.3 annex N (PTM: a byte
# for each 64 begun), WireGuard's message layout, and IEEE 802.3.
MODELS = {
    "ip": lambda length: length,
    "pppoe-llcsnap": lambda length: cells(length + 40),
    "pppoe-ptm": lambda length: length + 30 + -(-(length + 30) // 64),
    "ethernet-wire": lambda length: max(length + 38, 84),
    "gre4+pppoe-llcsnap": lambda length: cells(length + 24 + 40),
}


@each(MODELS)
def test_each_packet_is_billed_by_its_wans_model(case, model):
    packets = traffic.mix(seed=41, n_packets=4_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    config = case.write("site.yaml", traffic.CONFIG.replace("pppoe-llcsnap", model))
    billed = expected(packets, {"adsl": MODELS[model], "lte": MODELS["ip"], "none": MODELS["ip"]})
    for shards in (1, 4):
        database = f"{shards}.db"
        case.wanmeter("replay", "--config", config, "--shards", shards, "--database", database, "in.pcap")
        rows = case.query("SELECT wan, direction, sum(billed_bytes) FROM usage GROUP BY wan, direction", database=database)
        assert {(wan, direction): total for wan, direction, total in rows} == billed
        in_flows = case.query("SELECT sum(orig_billed_bytes + reply_billed_bytes) FROM flow", database=database)
        in_class = case.query("SELECT sum(billed_bytes) FROM usage WHERE class = 'connection'", database=database)
        assert in_flows == in_class
        case.wanmeter.audit(database=database)


def expected(packets, models):
    billed = defaultdict(int)
    for packet in packets:
        billed[packet.wan, packet.direction] += models[packet.wan](packet.l3_bytes) if packet.l3_bytes else 0
    return dict(billed)


def test_the_directions_of_a_wan_may_cost_differently(case):
    packets = traffic.mix(seed=43, n_packets=2_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    models = "pppoe-llcsnap\n    overhead_up: linklayer atm overhead 32 mpu 96\n    overhead_down: docsis"
    config = case.write("site.yaml", traffic.CONFIG.replace("pppoe-llcsnap", models))
    case.wanmeter("replay", "--config", config, "in.pcap")
    by_direction = {"up": lambda length: cells(max(length + 32, 96)), "down": lambda length: max(length + 18, 64),
                    "none": MODELS["pppoe-llcsnap"]}
    for direction, model in by_direction.items():
        billed = sum(model(packet.l3_bytes) for packet in packets
                     if packet.wan == "adsl" and packet.direction == direction and packet.l3_bytes)
        found = case.query(f"SELECT coalesce(sum(billed_bytes), 0) FROM usage WHERE wan = 'adsl' AND direction = '{direction}'")
        assert found == [(billed,)], direction
    assert ("up", "linklayer atm overhead 32 mpu 96") in case.query("SELECT DISTINCT direction, model FROM usage WHERE wan = 'adsl'")


def test_parts_of_a_byte_are_carried_within_a_flow(case):
    packets = traffic.mix(seed=45, n_packets=3_000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    config = case.write("site.yaml", traffic.CONFIG.replace("pppoe-llcsnap", "ptm-exact-pppoe"))
    bills = []
    for shards in (1, 4):
        database = f"{shards}.db"
        case.wanmeter("replay", "--config", config, "--shards", shards, "--database", database, "in.pcap")
        flows = case.query("SELECT orig_packets, sum(orig_l3_bytes), sum(orig_billed_bytes), sum(orig_packets), sum(reply_packets),"
                           " sum(reply_l3_bytes), sum(reply_billed_bytes) FROM flow WHERE wan = 'adsl' AND wan_changes = 0"
                           " GROUP BY id", database=database)
        assert len(flows) > 50, len(flows)
        for _, l3_bytes, billed, n, n_reply, reply_l3_bytes, reply_billed in flows:
            assert billed == (l3_bytes + 30 * n) * 65 // 64
            assert reply_billed == (reply_l3_bytes + 30 * n_reply) * 65 // 64
        bills.append(case.query("SELECT wan, direction, class, sum(billed_bytes) FROM usage GROUP BY wan, direction, class", database=database))
        case.wanmeter.audit(database=database)
    assert bills[0] == bills[1]


IP_AT = 18  # Ethernet and the ADSL line's 802.1Q tag


def test_a_link_with_compressed_headers_bills_what_is_left_of_them(case):
    packets = typing(seed=44, n_packets=3_000)
    capture.write_pcap(case.directory / "whole.pcap", packets)
    capture.write_pcap(case.directory / "even.pcap", packets[::2])
    capture.write_pcap(case.directory / "odd.pcap", packets[1::2])
    for slots in (2, 16):
        config = case.write("site.yaml", traffic.CONFIG.replace("pppoe-llcsnap", f"vj({slots},1)+ppp-hdlc"))
        links = {direction: vj.Link(slots) for direction in ("up", "down")}
        billed, saved = defaultdict(int), 0
        for packet in packets:
            size = links[packet.direction].size(packet.frame[IP_AT:])
            billed[packet.direction] += size + 7
            saved += packet.l3_bytes - size
        assert saved > 3 * len(packets)
        for n, (shards, files) in enumerate(((1, ["whole.pcap"]), (4, ["whole.pcap"]), (3, ["even.pcap", "odd.pcap"]))):
            database = f"{slots}-{n}.db"
            case.wanmeter("replay", "--config", config, "--shards", shards, "--workers", len(files), "--database", database, *files)
            rows = case.query("SELECT direction, sum(billed_bytes) FROM usage GROUP BY direction", database=database)
            assert dict(rows) == dict(billed), (slots, shards, files)
            case.wanmeter.audit(database=database)


def typing(seed, n_packets):
    """Bulk and echoed data of more connections than a link has slots, over the ADSL line."""
    random = Random(seed)
    packets, time_ns = [], 1_760_000_000 * capture.NANOSECONDS
    talks = [{"port": 40_000 + i, "sequence": [random.randrange(1 << 32), random.randrange(1 << 32)], "id": [0, 0]}
             for i in range(24)]
    while len(packets) < n_packets:
        talk = random.choice(talks[:random.choice((2, 24))])
        time_ns += random.randrange(1, 10**8)
        is_down = random.random() < 0.5
        data = bytes(random.choice((0, 1, 1, 200, 512)))
        own, other = talk["sequence"][is_down], talk["sequence"][not is_down]
        talk["id"][is_down] += random.choice((1, 1, 1, 2, 300))
        ends = ("10.1.0.7", "192.0.2.1")
        source, destination = reversed(ends) if is_down else ends
        ports = (23, talk["port"]) if is_down else (talk["port"], 23)
        segment = capture.tcp(*ports, capture.ACK, sequence=own, acknowledgment=other, payload=data,
                              window=random.choice((8192, 8192, 8192, 4096)))
        inner = capture.ipv4(source, destination, segment, identification=talk["id"][is_down] % 65536)
        talk["sequence"][is_down] = (own + len(data)) % (1 << 32)
        macs = ("02:00:00:00:00:01", "02:00:00:00:01:01")
        frame = capture.ethernet(*(reversed(macs) if is_down else macs), capture.vlan(10, inner))
        packets.append(capture.Packet(time_ns, frame, l3_bytes=capture.l3_size(inner), wan="adsl",
                                      direction="down" if is_down else "up"))
    return packets


def test_merged_packets_are_billed_as_what_they_were(case):
    """Of a TCP connection with an MSS of 1,000 in one direction, and of UDP over a link with an MTU."""
    def tcp(is_down, flags, sequence, payload=b"", options=b""):
        ends, ports = ("10.1.0.7", "192.0.2.1"), (40_000, 80)
        if is_down:
            ends, ports = ends[::-1], ports[::-1]
        inner = capture.ipv4(*ends, capture.tcp(*ports, flags, sequence=sequence, acknowledgment=1, payload=payload, options=options))
        return packet(is_down, inner)

    def packet(is_down, inner):
        macs = ("02:00:00:00:00:01", "02:00:00:00:01:01")
        return capture.ethernet(*(macs[::-1] if is_down else macs), capture.vlan(10, inner))

    mss = bytes((2, 4, 1000 >> 8, 1000 & 255))
    frames = [tcp(False, capture.SYN, 0, options=mss), tcp(True, capture.SYN | capture.ACK, 0),
              tcp(True, capture.ACK, 1, bytes(5_300)), tcp(False, capture.ACK, 1, bytes(5_300)),
              packet(False, capture.ipv4("10.1.0.7", "192.0.2.9", capture.udp(5000, 5001, bytes(3_000))))]
    packets = [capture.Packet(1_760_000_000 * capture.NANOSECONDS + i, frame) for i, frame in enumerate(frames)]
    capture.write_pcap(case.directory / "in.pcap", packets)
    for mtu, up, down in (
            (0, cells(44 + 40) + cells(5_340 + 40) + cells(3_028 + 40), cells(40 + 40) + 5 * cells(1_040 + 40) + cells(340 + 40)),
            (1500, cells(44 + 40) + 3 * cells(1_500 + 40) + cells(960 + 40) + 2 * cells(1_500 + 40) + cells(84 + 40),
             cells(40 + 40) + 5 * cells(1_040 + 40) + cells(340 + 40))):
        config = case.write("site.yaml", traffic.CONFIG.replace("pppoe-llcsnap", f"pppoe-llcsnap\n    mtu: {mtu}"))
        case.wanmeter("replay", "--config", config, "--database", f"{mtu}.db", "in.pcap")
        rows = case.query("SELECT direction, sum(billed_bytes) FROM usage GROUP BY direction", database=f"{mtu}.db")
        assert dict(rows) == {"up": up, "down": down}, mtu
        n_merged = case.query("SELECT sum(merged_packets) FROM flow", database=f"{mtu}.db")
        assert n_merged == [(1 if mtu == 0 else 3,)]
        case.wanmeter.audit(database=f"{mtu}.db")


def test_the_model_of_a_usage_row_is_named(case):
    packets = traffic.mix(seed=42, n_packets=500)
    capture.write_pcap(case.directory / "in.pcap", packets)
    config = case.write("site.yaml", traffic.CONFIG.replace("  - name: lte\n", "  - name: lte\n    overhead: docsis\n"))
    case.wanmeter("replay", "--config", config, "in.pcap")
    models = set(case.query("SELECT DISTINCT wan, model FROM usage"))
    assert ("lte", "docsis") in models and ("adsl", "pppoe-llcsnap") in models


def test_what_is_an_estimate_says_so(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=35, n_packets=200))
    config = traffic.CONFIG.replace("pppoe-llcsnap", "rohc-rtp+ppp-hdlc")
    case.wanmeter("replay", "--config", case.write("site.yaml", config), "in.pcap")
    rows = case.query("SELECT DISTINCT wan, is_estimated, status FROM usage_record ORDER BY 1")
    assert {wan for wan, is_estimated, _ in rows if is_estimated} == {"adsl"}
    assert {is_estimated for _, is_estimated, _ in rows} == {0, 1}
