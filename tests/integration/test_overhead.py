"""What a link charges: each packet by its WAN's model, before anything is added up."""

from collections import defaultdict

from support import capture, traffic
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


def test_the_model_of_a_usage_row_is_named(case):
    packets = traffic.mix(seed=42, n_packets=500)
    capture.write_pcap(case.directory / "in.pcap", packets)
    config = case.write("site.yaml", traffic.CONFIG.replace("  - name: lte\n", "  - name: lte\n    overhead: docsis\n"))
    case.wanmeter("replay", "--config", config, "in.pcap")
    models = set(case.query("SELECT DISTINCT wan, model FROM usage"))
    assert ("lte", "docsis") in models and ("adsl", "pppoe-llcsnap") in models
