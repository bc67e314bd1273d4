"""Policies and defaults that change between the packets of connections: each packet sets the timeout the kernel sets.

Random packets of connections of several protocols are given to the live kernel one by one, with random changes between
them, and its table is read after each; then the tracker gets the same packets and changes at the same times.
"""

import json
import random
import subprocess
import sys
import time

from conformance import test_kernel_policies
from support import capture, cttimeout, live_kernel
from support.capture import ACK, FIN, NANOSECONDS, PSH, SYN, Packet
from support.case import each, waits

SEEDS = range(1, 5)
STEPS = 300
START_NS = 1_700_000_000 * NANOSECONDS
POLICIES = ["t:tcp:established=500", "u:udp:unreplied=50", "g:gre:unreplied=65,replied=95", "i:icmp:timeout=80",
            "e:generic:timeout=155@-p 50", "l:udplite:replied=140"]
KINDS = {policy.split(":")[0]: policy.split(":")[1] for policy in POLICIES}
SERVER, SERVER_PORT = "192.0.2.1", 80
STREAM_AGE_S = 2  # from then on UDP is a stream: which side of it a packet is on must be plain
PROMPT_S = 0.2  # what takes longer says little of what the packet set: the kernel's clock goes on
SECONDS = range(200, 900, 15)

# One connection of TCP: whether it is the reply's turn, flags, bytes.
TCP_TALK = [(False, SYN, 0), (True, SYN | ACK, 0), (False, ACK, 0), (False, ACK | PSH, 30), (True, ACK, 0),
            (True, ACK | PSH, 50), (False, ACK, 0), (True, ACK | PSH, 20), (False, ACK | FIN, 0), (True, ACK, 0),
            (True, ACK | FIN, 0), (False, ACK, 0)]


class Connection:
    def __init__(self, number, chance):
        self.protocol = chance.choice(["tcp", "tcp", "tcp", "udp", "gre", "icmp", "generic", "udplite"])
        self.address, self.port = f"10.0.{number // 250}.{number % 250 + 1}", 1000 + number
        self.turn, self.sequence = 0, {False: 100, True: 500}

    def packet(self, chance):
        """The next one, as bytes from its IP header on."""
        is_reply = self.turn > 0 and chance.random() < 0.5
        if self.protocol == "tcp":
            is_reply, flags, size = TCP_TALK[self.turn % len(TCP_TALK)]
        here, there = ((SERVER, SERVER_PORT), (self.address, self.port))[::1 if is_reply else -1]
        if self.protocol == "tcp":
            inner = capture.tcp(here[1], there[1], flags, self.sequence[is_reply],
                                self.sequence[not is_reply] if flags & ACK else 0, b"x" * size)
            self.sequence[is_reply] += size + bool(flags & (SYN | FIN))
        elif self.protocol == "udp":
            inner = capture.udp(here[1], there[1], b"x")
        elif self.protocol == "udplite":
            number, make = capture.udp(here[1], there[1], b"x")
            inner = 136, make
        elif self.protocol == "icmp":
            inner = capture.icmp_echo(self.port, self.turn, reply=is_reply)
        else:
            inner = (47, b"\0\0\x08\0xxxx") if self.protocol == "gre" else (50, b"espespesp")
        self.turn += 1
        return capture.ipv4(here[0], there[0], inner)[1]


@waits
@each(SEEDS)
def test_a_packet_sets_what_the_kernel_sets_after_changes(case, seed):
    live_kernel.need(case)
    chance = random.Random(seed)
    asked = ask_kernel(chance)
    ours = trace(case, asked)
    n_compared = n_changes = 0
    for n, (packet, change, error, verdict, left, took) in enumerate((step[1:] for step in asked)):
        mine = ours[n]
        n_changes += change != ""
        assert error in (0, None), f"{change}: {error}"
        assert mine["v"] + mine["d"] == verdict, f"packet {n}: kernel {verdict}, wanmeter {mine}"
        if mine["t"] is not None and took < PROMPT_S:
            expected = mine["t"] / NANOSECONDS
            assert left is not None and expected - 1 <= left <= expected, \
                f"seed {seed}, packet {n} of protocol {packet[9]}: the kernel has {left} s left, wanmeter set {expected}"
            n_compared += 1
    print(f"{n_compared} timeouts, {n_changes} changes: as the kernel's")
    assert n_compared > STEPS / 3 and n_changes > STEPS / 10


def ask_kernel(chance):
    """[(time in s, packet, change before it or '', its errno, verdict, seconds left after it, how long that took)]"""
    sys.path.insert(0, str(live_kernel.TOOLS))
    import inject  # noqa: PLC0415 - only where there is one
    words = [word for policy in POLICIES for word in (test_kernel_policies.OPTION, policy)]
    session = inject.Session("--nfct", "--checksum", "0", *words)
    kernel = cttimeout.Kernel()
    connections, steps, begin = [], [], time.monotonic()
    for _ in range(STEPS):
        change = some_change(chance) if chance.random() < 0.2 else ""
        error = kernel.ask(change)[0] if change else None
        if not connections or chance.random() < 0.1:
            connections.append(Connection(len(connections), chance))
            connections[-1].begin = time.monotonic()
        young = [one for one in connections if one.protocol != "udp" or time.monotonic() - one.begin < STREAM_AGE_S - PROMPT_S]
        one = chance.choice(young)
        packet = one.packet(chance)
        now = time.monotonic() - begin
        verdict = session(packet)
        left = {entry["orig"]["src"]: entry["timeout"] for entry in session.o.nl.dump()}.get(one.address)
        steps.append((now, packet, change, error, verdict, left, time.monotonic() - begin - now))
    return steps


def some_change(chance):
    name = chance.choice([*KINDS])
    protocol = KINDS[name]
    names = cttimeout.VALUES[protocol][1].split()
    values = " ".join(f"{value}={chance.choice(SECONDS)}" for value in chance.sample(names, chance.randint(1, len(names))))
    verb = chance.choice([f"replace {name}", "default set"])
    return f"timeout {verb} inet {protocol} {values}"


def trace(case, steps):
    """What the tracker says of each."""
    frames = [Packet(START_NS + round(second * NANOSECONDS), bytes.fromhex("02000000000102000000000208 00") + packet)
              for second, packet, *_ in steps]
    capture.write_pcap(case.directory / "a.pcap", frames)
    case.write("changes", "".join(step[2] + "\n" for step in steps))
    config = case.write("policies.yaml", test_kernel_policies.configuration(POLICIES))
    done = subprocess.run([case.build / "tests" / "support" / "ct_trace", "--config", config, "--changes",
                           case.directory / "changes", case.directory / "a.pcap"], stdout=subprocess.PIPE, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["n"]: line for line in lines if "n" in line}
