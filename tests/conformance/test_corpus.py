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
