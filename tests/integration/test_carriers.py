"""A mirror's own headers are no traffic of the WAN: unwrapped, they are neither billed nor missing from the audit."""

import struct

from support import capture, traffic
from support.capture import Packet, ethernet
from support.case import each

IPV4, UDP, GRE, VXLAN_PORT = 0x0800, 17, 47, 4789


def outer(protocol, payload):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, b"\xc0\0\2\1", b"\xc0\0\2\2")
    return ethernet("02:00:00:00:00:aa", "02:00:00:00:00:bb", (IPV4, header + payload))


def vxlan(frame):
    inner = struct.pack("!II", 0x08000000, 7 << 8) + frame
    return outer(UDP, struct.pack("!HHHH", 50000, VXLAN_PORT, 8 + len(inner), 0) + inner)


def erspan_2(frame):
    return outer(GRE, struct.pack("!HHI", 0x1000, 0x88BE, 1) + struct.pack("!II", 0x10000001, 0) + frame)


def gre(frame):
    return outer(GRE, struct.pack("!HH", 0, 0x6558) + frame)


CARRIERS = {"vxlan": vxlan, "erspan": erspan_2, "gre": gre}


@each(CARRIERS)
def test_what_a_carrier_brings_is_billed_as_if_it_had_come_alone(case, name):
    packets = traffic.mix(seed=51, n_packets=2_000, exotic=0)
    config = case.write("site.yaml", traffic.CONFIG)
    carried = [Packet(packet.time_ns, CARRIERS[name](packet.frame)) for packet in packets]
    capture.write_pcap(case.directory / "in.pcap", carried)
    for shards in (1, 3):
        database = f"{shards}.db"
        case.wanmeter("replay", "--config", config, "--set", f"capture.decapsulate={name}", "--shards", shards,
                      "--database", database, "in.pcap")
        assert case.wanmeter.usage_totals(database=database) == traffic.usage_totals(packets)
        case.wanmeter.audit(database=database)
    read = case.query("SELECT packets, l2_bytes, carrier_bytes, first_ns, last_ns FROM source", database="1.db")
    l2_bytes = sum(packet.l2_bytes for packet in carried)
    assert read == [(len(packets), l2_bytes, l2_bytes - traffic.total(packets)[1], packets[0].time_ns, packets[-1].time_ns)]


def test_a_carrier_that_is_not_named_counts_itself(case):
    packets = traffic.mix(seed=52, n_packets=200)
    capture.write_pcap(case.directory / "in.pcap", [Packet(packet.time_ns, vxlan(packet.frame)) for packet in packets])
    case.wanmeter("replay", "in.pcap")
    assert case.query("SELECT DISTINCT protocol_name, orig_dst_port FROM flow") == [("udp", VXLAN_PORT)]
    assert case.query("SELECT carrier_bytes FROM source") == [(0,)]
    case.wanmeter.audit()
