"""kernel: wanmeter's connection tracker and the Linux kernel's answers in the same words.

    ours = kernel.trace(build, "x.pcap", ["conntrack.tcp_loose=no"])      by tests/support/ct_trace.c
    kernel.differences(ours, answer)                                      [] or what differs, as text

'answer' is what a replay of the capture through nf_conntrack gave: verdicts and dirs (a letter a frame) and connections.
"""

import json
import subprocess

CONFIRMED = 1 << 3
STATUS = {"EXPECTED": 1 << 0, "SEEN_REPLY": 1 << 1, "ASSURED": 1 << 2, "HELPER": 1 << 13}  # compared
PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6",
             132: "sctp", 136: "udplite"}
HAVE_STATES = ("tcp", "sctp")
DCCP = 33  # the kernel knows only its addresses, wanmeter its ports: not compared
HELD = "Fx"  # held in reassembly, refused by the IP layer


def trace(build, capture, settings=(), config=None, is_as_captured=False):
    """{"verdicts": {frame: (letter, direction)}, "connections": […]}, connections in order of creation."""
    options = ["-w"] * is_as_captured + [word for setting in settings for word in ("-s", setting)]
    if config:
        options += ["--config", config]
    done = subprocess.run([build / "tests" / "support" / "ct_trace", *options, capture], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    verdicts, open_flows, connections, closed, counted = {}, {}, [], {}, {}
    for line in done.stdout.splitlines():
        entry = json.loads(line)
        if "flow" in entry:
            for name in ("packets", "bytes"):
                entry[name] = [a + b for a, b in zip(entry[name], counted.pop((entry["flow"], name), (0, 0)))]
                if entry["end"] == "none":
                    counted[entry["flow"], name] = entry[name]
            if entry["end"] == "none":
                continue
            group = open_flows.pop(entry["flow"], {"first": None, "timeout": None})
            entry.update(group)
            if entry["protocol"] != DCCP:
                connections.append(entry)
            closed = {entry["flow"]: entry} if entry["end"] == "closed" else {}
            continue
        verdicts[entry["n"]] = (entry["v"], entry["d"]) if entry["p"] != DCCP else None
        if entry["id"]:
            # What a packet ends is told before it.
            group = closed.pop(entry["id"], None) or open_flows.setdefault(entry["id"], {"first": None, "timeout": None})
            if group["first"] is None:
                group["first"] = entry["n"]
            if entry["t"] is not None:
                group["timeout"] = entry["t"] // 10**9
        closed = {}
    masters = {entry["flow"]: master_of(entry) for entry in connections}
    connections = [normal(entry, masters) for entry in connections if entry["status"] & CONFIRMED]
    return {"verdicts": verdicts, "connections": sorted(connections, key=lambda entry: entry["first"])}


def master_of(entry):
    return [PROTOCOLS.get(entry["protocol"]), entry["src"], entry["sport"], entry["dst"], entry["dport"]]


def normal(entry, masters):
    protocol = PROTOCOLS.get(entry["protocol"], entry["protocol"])
    if protocol in ("icmp", "icmpv6"):
        ends = [entry["src"], entry["dst"], entry["type"], entry["code"], entry["sport"]]
    elif protocol in ("tcp", "udp", "udplite", "sctp", "gre"):
        ends = [entry["src"], entry["sport"], entry["dst"], entry["dport"]]
    else:
        ends = [entry["src"], None, entry["dst"], None]
    status = [name for name, bit in STATUS.items() if entry["status"] & bit]
    return {"proto": protocol, "orig": ends, "state": entry["state"] if protocol in HAVE_STATES else None,
            "pkts": entry["packets"], "bytes": entry["bytes"], "status": status, "timeout": entry["timeout"],
            "first": entry["first"], "zone": entry["zone"], "mark": entry["mark"], "labels": int(entry["labels"], 16),
            "master": masters.get(entry["master"])}


def compared_verdicts(ours, answer, is_strict):
    """(frame, kernel's letter and direction, ours) of each packet that both judge. What the kernel's IP layer refuses
    (x) is compared in a strict comparison only: without checksums wanmeter judges it."""
    for n, (letter, direction) in enumerate(zip(answer["verdicts"], answer["dirs"])):
        got = ours["verdicts"].get(n, ("?", "-"))
        if got is None or letter == "." or (letter == "x" and not is_strict):
            continue
        yield n, (letter, direction), got if letter not in HELD or got[0] not in HELD else (letter, direction)


def agreement(ours, answer, is_strict=False):
    """Verdicts that agree, of how many; connections that agree, of how many."""
    verdicts = [theirs == mine for _, theirs, mine in compared_verdicts(ours, answer, is_strict)]
    answers = [entry for entry in answer["connections"] if entry["proto"] != PROTOCOLS[DCCP]]
    agree = [any(all(same(name, mine, theirs) for name in mine) for mine in ours["connections"]) for theirs in answers]
    return sum(verdicts), len(verdicts), sum(agree), max(len(answers), len(ours["connections"]))


def differences(ours, answer, is_strict=False):
    """Verdicts first, then connections; [] where both agree."""
    found = [f"packet {n}: kernel {''.join(theirs)}, wanmeter {''.join(mine)}"
             for n, theirs, mine in compared_verdicts(ours, answer, is_strict) if theirs != mine]
    answers = [entry for entry in answer["connections"] if entry["proto"] != PROTOCOLS[DCCP]]
    if len(ours["connections"]) != len(answers):
        found.append(f"connections: kernel {len(answers)}, wanmeter {len(ours['connections'])}")
    for n, (mine, theirs) in enumerate(zip(ours["connections"], answers)):
        unlike = {name: (theirs.get(name), mine[name]) for name in mine if not same(name, mine, theirs)}
        if unlike:
            found.append(f"connection {n} {mine['proto']} {mine['orig']}: kernel, wanmeter {unlike}")
    return found


def same(name, mine, theirs):
    if name == "timeout" and theirs.get("timeout") is None:
        return True  # destroyed by the packet that would have set it
    if name == "status":
        return sorted(bit for bit in theirs["status"] if bit in STATUS) == sorted(mine["status"])
    if name == "labels":
        return mine[name] == int(theirs.get(name, "0"), 16)
    if name in ("zone", "mark"):
        return mine[name] == theirs.get(name, 0)
    return mine[name] == theirs.get(name)
