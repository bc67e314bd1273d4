"""Zones, marks and labels by rules against the Linux kernel's: the same conditions as nft rules and as wanmeter's.

Recorded: the kernel's answers to captures with rules. Live: random conditions from seeds over random sequences of
packets, asked of this machine's kernel as in test_kernel.py. Compared: every packet's verdict, and every connection
with its zone, mark and labels.
"""

import json
import random
import subprocess
import sys

from conformance.test_kernel import CHECKSUM
from support import kernel, live_kernel
from support.case import each, waits
from support.live_kernel import TOOLS

# nft's words, and ours.
RECORDED = {
    "marks": 'rules: [{state: new, ct: "commit,mark=0xffff1234"}, {state: reply, ct: "commit,mark=0x56/0xff"}]',
    "labels": 'rules: [{state: new, ct: "commit,label=0x1/0x1"}, '
              '{state: reply, ct: "commit,label=0x8%s/0x8%s"}]' % ("0" * 31, "0" * 31),
    "zones": 'rules: [{match: "udp[4:2] = 9", ct: "commit,zone=1"}, {match: "udp[4:2] = 11", ct: "commit,zone=2"}]',
}
# Of a packet of the original direction, or of the reply: (nft, pcap-filter).
CONDITIONS = [
    ("meta l4proto tcp", "tcp"),
    ("meta l4proto udp", "udp"),
    ("meta l4proto sctp", "sctp"),
    ("tcp dport 80", "tcp dst port 80"),
    ("tcp sport 80", "tcp src port 80"),
    ("tcp sport 1000", "tcp src port 1000"),
    ("tcp dport 1000-1001", "tcp dst portrange 1000-1001"),
    ("udp dport 53", "udp dst port 53"),
    ("udp dport != 53", "udp and not dst port 53"),
    ("meta l4proto tcp meta nfproto ipv6", "ip6 and tcp"),
    ("meta l4proto udp meta nfproto ipv4", "ip and udp"),
    ("ip saddr 10.0.0.1 meta l4proto { 6, 17, 132 }", "src host 10.0.0.1 and (tcp or udp or sctp)"),
    ("ip daddr 10.0.0.0/30 meta l4proto { 6, 17, 132 }", "ip dst net 10.0.0.0/30 and (tcp or udp or sctp)"),
    ("ip6 saddr 2001:db8::1 meta l4proto { 6, 17, 132 }", "src host 2001:db8::1 and (tcp or udp or sctp)"),
    ("icmp type echo-request", "icmp[icmptype] = icmp-echo"),
]
OF_PACKETS = [("meta nfproto ipv4", "ip"), ("meta nfproto ipv6", "ip6"), ("meta l4proto icmp", "icmp"),
              ("ip saddr 10.0.0.2", "src host 10.0.0.2")]
SEEDS = [0, 1, 2, 3, 105, 110]  # 105, 110: rules that overlap
FUZZ_FILES = 10
VLANS = (1, 2, 3)


@each(RECORDED)
def test_a_recorded_answer_with_rules_is_ours(case, name):
    path = TOOLS / "vectors" / f"{name}.json"
    if not path.exists():
        case.skip(f"no recorded answers of the kernel at {TOOLS}/vectors ($WANMETER_SHARED)")
    config = case.write("rules.yaml", RECORDED[name])
    answer = json.loads(path.read_text())
    ours = kernel.trace(case.build, path.with_suffix(".pcap"), [CHECKSUM], config)
    found = kernel.differences(ours, answer)
    assert not found, "\n".join(found)


@waits
@each(SEEDS)
def test_the_live_kernel_gives_the_same_zones_marks_and_labels(case, seed):
    live_kernel.need(case)
    options, rules = random_rules(random.Random(seed))
    config = case.write("rules.yaml", "rules:\n" + "".join(f"  - {rule}\n" for rule in rules))
    compare(case, captures(case, seed), config, options)


@waits
def test_the_live_kernel_gives_the_same_zones_by_vlan(case):
    live_kernel.need(case)
    wans = [f"  - {{name: w{vlan}, zone: {vlan}, match: [{{vlan: {vlan}}}]}}\n" for vlan in VLANS]
    config = case.write("rules.yaml", "wans:\n" + "".join(wans))
    files = captures(case, 99)
    for path in files:
        tag_frames(path, random.Random(path.name))
    compare(case, files, config, ["--zone-by-vlan"])


def captures(case, seed):
    subprocess.run([sys.executable, TOOLS / "genfuzz.py", case.directory, str(FUZZ_FILES), str(seed)], check=True)
    return sorted(case.directory.glob("*.pcap"))


def compare(case, files, config, options):
    def differences(path, answer):
        return kernel.differences(kernel.trace(case.build, path, [], config), answer, False)

    asked = live_kernel.ask(files, ["--checksum", "0", *options], differences)
    connections = [entry for _, answer, _ in asked for entry in answer["connections"]]
    n_marked = sum("mark" in entry or "zone" in entry or "labels" in entry for entry in connections)
    print(f"{len(connections)} connections, {n_marked} of them with zone, mark or labels, {len(options)} options")
    print(options, config.read_text())
    assert n_marked > 0, "the rules touch nothing"
    live_kernel.assert_agreed(asked)


def random_rules(chance):
    """(options of the kernel's side, lines of 'rules'): zones and no tracking by packet, marks and labels by connection."""
    options, zones, others = [], [], ["{ct: commit}"]
    for _ in range(chance.randrange(4)):
        nft, match = chance.choice(CONDITIONS + OF_PACKETS)
        zone = chance.choice([0, 1, 7, 65535])
        options += ["--zone-rule", f"{nft} => {zone}"]
        zones.append(f'{{match: "{match}", ct: "commit,zone={zone}"}}')
    if chance.random() < 0.3:
        nft, match = chance.choice(CONDITIONS)
        options += ["--notrack", nft]
        zones.append(f'{{match: "{match}", ct: "notrack"}}')
    for _ in range(chance.randrange(1, 6)):
        nft, match = chance.choice(CONDITIONS)
        state, words = chance.choice([("new", "ct state new"), ("reply", "ct direction reply")])
        options += [None, None]
        if chance.random() < 0.6:
            mask = chance.choice([0xffffffff, 0xff, 0xf0f0, 0xffff0000])
            value = chance.getrandbits(32) & mask
            written = f"{value:#x}" if mask == 0xffffffff else f"{value:#x}/{mask:#x}"
            options[-2:] = ["--mark-rule", f"{words} {nft} => {written}"]
            action = f"mark={written}"
        else:
            bit = chance.randrange(128)
            options[-2:] = ["--label-rule", f"{words} {nft} => {bit}"]
            action = f"label={1 << bit:#x}/{1 << bit:#x}"
        others.append(f'{{state: {state}, match: "{match}", ct: "commit,{action}"}}')
    return options, zones + others


def tag_frames(path, chance):
    """Gives every frame of a capture (Ethernet, little-endian) an 802.1Q tag of a few VLANs."""
    data = path.read_bytes()
    out, at = bytearray(data[:24]), 24
    while at < len(data):
        header, size = data[at:at + 8], int.from_bytes(data[at + 8:at + 12], "little")
        frame = data[at + 16:at + 16 + size]
        tagged = frame[:12] + b"\x81\x00" + chance.choice(VLANS).to_bytes(2, "big") + frame[12:]
        out += header + len(tagged).to_bytes(4, "little") * 2 + tagged
        at += 16 + size
    path.write_bytes(out)
