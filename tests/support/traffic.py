"""traffic: a day at a small site with several WANs and accounts, packet by packet, with known totals.

    traffic = Traffic(seed=1, wans=WANS, accounts=ACCOUNTS)
    traffic.browse(start_ns, ACCOUNTS[0], WANS[0])      one kind of session; there are more
    packets = traffic.in_order()                        by time
    usage_totals(packets), class_totals(packets), connection_lines(packets)

The same seed gives the same packets. What each packet must count as is decided here, when it is made, and never by
reading it back.
"""

import random
from collections import defaultdict
from dataclasses import dataclass

from support import capture
from support.capture import ACK, FIN, NANOSECONDS, PSH, SYN, Packet, address_bytes

MILLISECOND = 10**6


@dataclass(frozen=True)
class Wan:
    name: str
    gateway_mac: str
    vlan: int = None
    billed_bytes: callable = lambda l3_bytes: l3_bytes      # of one packet with an IP header


def aal5_pppoe_llcsnap(l3_bytes):
    """PPPoE in bridged Ethernet over AAL5, LLC/SNAP: 40 bytes more, then whole ATM cells (RFC 2516, RFC 2684)."""
    return -(-(l3_bytes + 40) // 48) * 53


@dataclass(frozen=True)
class Account:
    name: str
    ipv4: str       # the start of its addresses: "10.1.0."
    ipv6: str       # "2001:db8:1::"
    mac: str


WANS = (Wan("adsl", "02:00:00:00:00:01", vlan=10, billed_bytes=aal5_pppoe_llcsnap), Wan("lte", "02:00:00:00:00:02"))
ACCOUNTS = (Account("alice", "10.1.0.", "2001:db8:1::", "02:00:00:00:01:01"),
            Account("bob", "10.2.0.", "2001:db8:2::", "02:00:00:00:01:02"),
            Account("shop", "10.3.0.", "2001:db8:3::", "02:00:00:00:01:03"))

# As the program under test is told of them.
CONFIG = """\
local_prefixes: [10.0.0.0/8, "2001:db8::/32"]
wans:
  - name: adsl
    overhead: pppoe-llcsnap
    match:
      - vlan: 10
        gateway_macs: ["02:00:00:00:00:01"]
  - name: lte
    match:
      - gateway_macs: ["02:00:00:00:00:02"]
accounts:
  - name: alice
    prefixes: [10.1.0.0/24, "2001:db8:1::/48"]
  - name: bob
    prefixes: [10.2.0.0/24, "2001:db8:2::/48"]
  - name: shop
    prefixes: [10.3.0.0/24, "2001:db8:3::/48"]
"""


class Traffic:
    def __init__(self, seed, wans=WANS, accounts=ACCOUNTS, tick_ns=1):
        """'tick_ns': times are multiples of it; a coarse tick makes exact ties."""
        self.random = random.Random(seed)
        self.wans, self.accounts, self.tick_ns = wans, accounts, tick_ns
        self.packets = []
        self.next_port = 1024

    def in_order(self):
        return sorted(self.packets, key=lambda packet: packet.time_ns)

    # --- sessions; each returns the time after its last packet ---

    def browse(self, start_ns, account, wan, requests=None, version=4):
        """A TCP connection: handshake, requests and answers, both ends close."""
        path = self._path(account, wan, version, self._port(), self.random.choice((80, 443, 8443)), capture.TCP)
        time_ns = start_ns
        sequence = [self.random.getrandbits(32), self.random.getrandbits(32)]

        def send(direction, flags, payload_size=0):
            nonlocal time_ns
            up = direction == "up"
            ours, theirs = (0, 1) if up else (1, 0)
            segment = capture.tcp(path.port(up), path.port(not up), flags, sequence[ours],
                                  sequence[theirs] if flags & ACK else 0, bytes(payload_size))
            self._send(time_ns, path, direction, segment)
            sequence[ours] += payload_size + bool(flags & (SYN | FIN))
            time_ns += self.random.randrange(MILLISECOND // 10, 30 * MILLISECOND)

        send("up", SYN)
        send("down", SYN | ACK)
        send("up", ACK)
        for _ in range(requests or self.random.randint(1, 5)):
            send("up", PSH | ACK, self.random.randint(60, 900))
            for _ in range(self.random.randint(1, 8)):
                send("down", ACK, 1400)
                send("up", ACK)
            send("down", PSH | ACK, self.random.randint(1, 1400))
            send("up", ACK)
        send("up", FIN | ACK)
        send("down", FIN | ACK)
        send("up", ACK)
        return time_ns

    def probe(self, start_ns, account, wan):
        """A SYN from outside that nobody answers."""
        path = self._path(account, wan, 4, self.random.randint(1, 1023), self._port(), capture.TCP)
        self._send(start_ns, path, "down", capture.tcp(path.port(False), path.port(True), SYN,
                                                       self.random.getrandbits(32)))
        return start_ns + MILLISECOND

    def resolve(self, start_ns, account, wan, version=4):
        path = self._path(account, wan, version, self._port(), 53, capture.UDP)
        self._send(start_ns, path, "up", capture.udp(path.port(True), 53, bytes(self.random.randint(20, 60))))
        self._send(start_ns + 8 * MILLISECOND, path, "down",
                   capture.udp(53, path.port(True), bytes(self.random.randint(60, 400))))
        return start_ns + 9 * MILLISECOND

    def ping(self, start_ns, account, wan, count=3, version=4):
        identifier = self.random.getrandbits(16)
        protocol = capture.ICMP if version == 4 else capture.ICMPV6
        path = self._path(account, wan, version, identifier, identifier, protocol)
        make = capture.icmp_echo if version == 4 else capture.icmpv6_echo
        for n in range(count):
            at = start_ns + n * NANOSECONDS
            self._send(at, path, "up", make(identifier, n, bytes(56)))
            self._send(at + 11 * MILLISECOND, path, "down", make(identifier, n, bytes(56), reply=True))
        return start_ns + count * NANOSECONDS

    def large_datagram(self, start_ns, account, wan, version=4, reverse=False):
        """A datagram of three fragments; 'reverse': the first one comes last."""
        path = self._path(account, wan, version, self._port(), 4500, capture.UDP)
        pieces = capture.fragments(path.local, path.remote, capture.udp(path.port(True), 4500, bytes(3000)),
                                   self.random.getrandbits(16), 1200)
        for n, piece in enumerate(reversed(pieces) if reverse else pieces):
            self._emit(start_ns + n * MILLISECOND, path, "up", piece)
        return start_ns + 3 * MILLISECOND

    def orphan(self, start_ns, account, wan):
        """A later fragment whose first one never comes."""
        path = self._path(account, wan, 4, 0, 0, capture.UDP)
        last = capture.fragments(path.local, path.remote, capture.udp(1, 2, bytes(2000)),
                                 self.random.getrandbits(16), 1200)[-1]
        self._emit(start_ns, path, "up", last, class_name="frag_orphan")
        return start_ns + MILLISECOND

    def refused(self, start_ns, account, wan):
        """A UDP packet, and the ICMP error that it is answered with."""
        path = self._path(account, wan, 4, self._port(), self._port(), capture.UDP)
        sent = capture.ipv4(path.local, path.remote, capture.udp(path.port(True), path.port(False), bytes(40)))
        self._emit(start_ns, path, "up", sent)
        error = capture.ipv4(path.remote, path.local, capture.icmp_unreachable(3, sent))
        self._emit(start_ns + 5 * MILLISECOND, path, "down", error, class_name="icmp_error")
        return start_ns + 6 * MILLISECOND

    def arp(self, start_ns, account, wan):
        """The gateway asks for a host's address."""
        question = capture.arp(1, wan.gateway_mac, "10.0.0.1", "00:00:00:00:00:00", account.ipv4 + "5")
        answer = capture.arp(2, account.mac, account.ipv4 + "5", wan.gateway_mac, "10.0.0.1")
        self._raw(start_ns, wan, "down", "ff:ff:ff:ff:ff:ff", wan.gateway_mac, question, "arp")
        self._raw(start_ns + MILLISECOND, wan, "up", wan.gateway_mac, account.mac, answer, "arp")
        return start_ns + 2 * MILLISECOND

    def announcement(self, start_ns, wan):
        """The gateway's LLDP frame: not IP."""
        self._raw(start_ns, wan, "down", "01:80:c2:00:00:0e", wan.gateway_mac, (capture.LLDP, bytes(46)), "non_ip")
        return start_ns + MILLISECOND

    def malformed(self, start_ns, account, wan):
        """An IPv4 header that says it is 16 bytes long."""
        good = capture.ipv4(account.ipv4 + "9", "192.0.2.9", capture.udp(9, 9, bytes(30)))[1]
        self._raw(start_ns, wan, "up", wan.gateway_mac, account.mac, (capture.IPV4, b"\x44" + good[1:]), "malformed")
        return start_ns + MILLISECOND

    def anything(self, start_ns, exotic=0.1):
        """One session of a random kind; 'exotic' is the share of those that are not everyday traffic."""
        account, wan = self.random.choice(self.accounts), self.random.choice(self.wans)
        version = self.random.choice((4, 4, 6))
        if self.random.random() < exotic:
            return self.random.choice((
                lambda: self.large_datagram(start_ns, account, wan, version, self.random.random() < 0.5),
                lambda: self.orphan(start_ns, account, wan), lambda: self.refused(start_ns, account, wan),
                lambda: self.arp(start_ns, account, wan), lambda: self.announcement(start_ns, wan),
                lambda: self.malformed(start_ns, account, wan), lambda: self.probe(start_ns, account, wan)))()
        return self.random.choice((
            lambda: self.browse(start_ns, account, wan, version=version),
            lambda: self.browse(start_ns, account, wan, version=version),
            lambda: self.resolve(start_ns, account, wan, version), lambda: self.resolve(start_ns, account, wan, version),
            lambda: self.ping(start_ns, account, wan, self.random.randint(1, 5), version)))()

    # --- from a session's step to a packet ---

    def _port(self):
        """No tuple is used twice: a reused one would be another flow or the same, depending on timeouts."""
        self.next_port = self.next_port + 1 if self.next_port < 65535 else 1024
        return self.next_port

    def _path(self, account, wan, version, local_port, remote_port, protocol):
        host = self.random.randint(1, 250)
        remote = self.random.randint(1, 65000)
        if version == 4:
            ends = f"{account.ipv4}{host}", f"198.{18 + remote % 2}.{remote // 256}.{remote % 256}"
        else:
            ends = f"{account.ipv6}{host:x}", f"2001:db8:ffff::{remote:x}"
        return Path(account, wan, version, protocol, ends[0], local_port, ends[1], remote_port)

    def _send(self, time_ns, path, direction, transport):
        ends = (path.local, path.remote) if direction == "up" else (path.remote, path.local)
        self._emit(time_ns, path, direction, capture.ip(*ends, transport))

    def _emit(self, time_ns, path, direction, ip_packet, class_name="connection"):
        packet = self._raw(time_ns, path.wan, direction, *path.macs(direction), ip_packet, class_name)
        packet.l3_bytes = capture.l3_size(ip_packet)
        packet.account = path.account.name
        packet.about = path.connection()
        if class_name == "connection":
            packet.connection = packet.about
            packet.source_is_low = path.end(direction == "up") == packet.connection[2]

    def _raw(self, time_ns, wan, direction, destination_mac, source_mac, inner, class_name):
        tagged = capture.vlan(wan.vlan, inner) if wan.vlan else inner
        packet = Packet(time_ns - time_ns % self.tick_ns, capture.ethernet(destination_mac, source_mac, tagged),
                        class_name=class_name, wan=wan.name, direction=direction)
        self.packets.append(packet)
        return packet


@dataclass(frozen=True)
class Path:
    account: Account
    wan: Wan
    version: int
    protocol: int
    local: str
    local_port: int
    remote: str
    remote_port: int

    def port(self, local):
        return self.local_port if local else self.remote_port

    def macs(self, direction):
        ends = (self.wan.gateway_mac, self.account.mac)
        return ends if direction == "up" else ends[::-1]

    def end(self, local):
        return (self.local, self.local_port) if local else (self.remote, self.remote_port)

    def connection(self):
        ends = sorted((self.end(True), self.end(False)), key=lambda end: (address_bytes(end[0]), end[1]))
        return self.version, self.protocol, *ends


# --- what must come out ---

def totals(packets, key):
    """{key(packet): [packets, l2_bytes, l3_bytes]}"""
    sums = defaultdict(lambda: [0, 0, 0])
    for packet in packets:
        row = sums[key(packet)]
        row[0] += 1
        row[1] += packet.l2_bytes
        row[2] += packet.l3_bytes
    return {name: tuple(row) for name, row in sums.items()}


def total(packets):
    return totals(packets, lambda packet: None).get(None, (0, 0, 0))


def billed_bytes(packet):
    """What the packet's WAN charges for it."""
    charge = next((wan.billed_bytes for wan in WANS if wan.name == packet.wan), lambda l3_bytes: l3_bytes)
    return charge(packet.l3_bytes) if packet.l3_bytes else 0


def usage_totals(packets):
    return totals(packets, lambda packet: (packet.account, packet.wan, packet.direction, packet.class_name))


def connection_lines(packets):
    """Canonical lines of the connections, as support.truth.connection_lines() makes them of a database."""
    sums = defaultdict(lambda: [0, 0, 0, 0])
    for packet in packets:
        if packet.connection:
            row = sums[packet.connection]
            row[0 if packet.source_is_low else 2] += 1
            row[1 if packet.source_is_low else 3] += packet.l3_bytes
    return sorted(f"{version} {protocol} {low[0]} {low[1]} {high[0]} {high[1]} {' '.join(map(str, row))}"
                  for (version, protocol, low, high), row in sums.items())


def mix(seed, n_packets, start_ns=1_760_000_000 * NANOSECONDS, gap_ns=20 * MILLISECOND, tick_ns=1, exotic=0.1):
    """At least 'n_packets' of everything, sessions overlapping, in time order."""
    traffic = Traffic(seed, tick_ns=tick_ns)
    time_ns = start_ns
    while len(traffic.packets) < n_packets:
        traffic.anything(time_ns, exotic)
        time_ns += traffic.random.randrange(2 * gap_ns)
    return traffic.in_order()
