"""Every capture of the corpus against what other programs counted in it (tests/README.md says where it comes from).

For a capture that two correct readers may read differently (the manifest's column 'ambiguous'), DIFFERENCES says what
differs here and why, and each difference must be exactly that one.
"""

from support import truth
from support.case import each

NO_CORPUS = "(none)"
CAPTURES = list(truth.manifest()) or [NO_CORPUS]

# capture: (why, {measure: what is counted here})
DIFFERENCES = {
    "suricata-verify__bug-1450-04-tls_DER-incomplete-header.pcap": (
        "a damaged file: its second packet is of 1994, all others are of 2015",
        {"connections": (1, "618e54ffee56857e"), "other_classes": {"bad_time": (1, 74, 60)}}),
    "suricata-verify__firewall-tcp-session-decode-malformed-ipv4.pcap": (
        "IPv4 options that make no sense; the header says where it ends, and there are the ports",
        {"no_ports": (0, 0), "connections": (1, "8bfb61b1c43d7d07")}),
    "tcpdump__ipv6-bad-version.pcap": (
        "the link layer says IPv6, the header says another version",
        {"malformed": (2, 172), "non_ip": (0, 0)}),
    "zeek__ipv6-mobility-dst-opts.pcap": (
        "a destination option that makes no sense within a header of the right length: the ports are behind it",
        {"no_ports": (1, 76), "connections": (1, "da8969833dcef472")}),
    "zeek__snap-tcp.pcap": (
        "IP behind LLC and SNAP is IP",
        {"l3_bytes": 434, "non_ip": (0, 0), "connections": (1, "af3cdda98eb3981f")}),
}


@each(CAPTURES)
def test_packets_bytes_classes_and_connections_are_the_truth(case, capture):
    if capture == NO_CORPUS:
        case.skip(f"no capture corpus at {truth.shared()}/corpus ($WANMETER_SHARED)")
    row = truth.manifest()[capture]
    case.wanmeter("replay", truth.corpus() / capture, check=3 if row["file_problem"] else 0)
    case.wanmeter.audit()

    _, differences = DIFFERENCES.get(capture, ("", {}))
    assert not differences or row["ambiguous"], f"{capture} is not ambiguous: nothing may differ"
    counted, expected = count(case), expect(row)
    found = {name: counted[name] for name in expected if counted[name] != expected[name]}
    for name in sorted(set(found) | set(differences)):
        print(f"{name}: counted {counted[name]}, truth {expected[name]}, "
              f"known difference {differences.get(name, 'none')}")
    assert found == differences, "differs from the truth"


def expect(row):
    """What the manifest says, by the names of our classes."""
    return {
        "packets": row["packets"],
        "l2_bytes": row["l2_bytes"],
        "l3_bytes": row["l3_bytes"],
        "arp": (row["arp_packets"], row["arp_l2_bytes"]),
        "non_ip": (row["non_ip_packets"], row["non_ip_l2_bytes"]),
        "malformed": (row["malformed_ip_packets"], row["malformed_ip_l2_bytes"]),
        "frag_orphan": (row["frag_orphan_packets"], row["frag_orphan_l3_bytes"]),
        "no_ports": (row["no_ports_packets"], row["no_ports_l3_bytes"]),
        "icmp_other": (row["icmp_other_packets"], row["icmp_other_l3_bytes"]),
        "connections": (row["connections_but_icmp_other"], row["connections_but_icmp_other_sha256"][:16]),
        "other_classes": {},
    }


def count(case):
    packets, l2_bytes, l3_bytes = case.wanmeter.total()
    classes = case.wanmeter.class_totals()
    flows = case.query(truth.FLOWS)
    lines = truth.connection_lines(flows)
    none = (0, 0, 0)
    counted = {"packets": packets, "l2_bytes": l2_bytes, "l3_bytes": l3_bytes,
               "icmp_other": icmp_other(flows, classes.get("icmp_error", none)),
               "connections": (len(lines), truth.lines_hash(lines)[:16])}
    for name in ("arp", "non_ip", "malformed"):
        counted[name] = classes.get(name, none)[:2]
    for name in ("frag_orphan", "no_ports"):
        counted[name] = classes.get(name, none)[::2]
    named = {"connection", "icmp_error", *counted}
    counted["other_classes"] = {name: values for name, values in classes.items() if name not in named}
    return counted


def icmp_other(flows, errors):
    """ICMP that is no echo: the errors, and the flows of what is neither (neighbour discovery, timestamps, …)."""
    packets, _, l3_bytes = errors
    for protocol, _, _, _, _, icmp_type, _, *counters in flows:
        if truth.is_icmp_other(protocol, icmp_type):
            packets += counters[0] + counters[2]
            l3_bytes += counters[1] + counters[3]
    return packets, l3_bytes
