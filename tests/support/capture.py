"""capture: frames and capture files made from nothing, so that a test knows every byte of its input.

    frame = ethernet(GATEWAY, HOST, vlan(10, ipv4("10.0.0.1", "192.0.2.1", udp(4000, 53, b"question"))))
    write_pcap(path, [Packet(time_ns, frame)])
    write_pcapng(path, [Packet(time_ns, frame)], interfaces=["eth0"])

Layers are built from the inside out. What goes into a link layer is a pair (ethertype, bytes), what goes into an IP
packet is a pair (protocol, function of the pseudo header's sum to bytes). Checksums and lengths are right unless asked
otherwise. Only the standard library is used.
"""

import ipaddress
import struct
from dataclasses import dataclass

ARP, IPV4, VLAN, IPV6, QINQ, MPLS, PPPOE, LLDP = \
    0x0806, 0x0800, 0x8100, 0x86DD, 0x88A8, 0x8847, 0x8864, 0x88CC
ICMP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 6, 17, 44, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

NANOSECONDS = 10**9


@dataclass
class Packet:
    """A frame at a time, and what is true of it: how it must be counted."""
    time_ns: int
    frame: bytes
    wire_bytes: int = 0         # 0: the frame's size
    l3_bytes: int = 0
    class_name: str = "connection"
    wan: str = "none"
    account: str = "none"
    direction: str = "none"
    connection: tuple = None    # (version, protocol, low end, high end); an end is (address, port)
    source_is_low: bool = True
    about: tuple = None         # the connection that it is in, or (an ICMP error, a lone fragment) tells about
    interface: int = 0          # of a pcapng file

    @property
    def l2_bytes(self):
        return self.wire_bytes or len(self.frame)


# --- link layers ---

def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ethernet(destination, source, inner, smallest=60):
    """A frame without its FCS, padded as a network card does it."""
    ethertype, payload = inner
    frame = mac(destination) + mac(source) + struct.pack("!H", ethertype) + payload
    return frame + bytes(max(0, smallest - len(frame)))


def vlan(vlan_id, inner, ethertype=VLAN):
    return ethertype, struct.pack("!HH", vlan_id, inner[0]) + inner[1]


def qinq(outer_id, inner_id, inner):
    return vlan(outer_id, vlan(inner_id, inner), ethertype=QINQ)


def pppoe(session, inner):
    protocol = {IPV4: 0x0021, IPV6: 0x0057}[inner[0]]
    return PPPOE, struct.pack("!BBHHH", 0x11, 0, session, len(inner[1]) + 2, protocol) + inner[1]


def mpls(labels, inner):
    """'inner' is an IPv4 or IPv6 packet: below the last label nothing says which but its first half byte."""
    stack = b"".join(struct.pack("!I", label << 12 | (n == len(labels) - 1) << 8 | 64)
                     for n, label in enumerate(labels))
    return MPLS, stack + inner[1]


def arp(operation, sender_mac, sender, target_mac, target):
    return ARP, struct.pack("!HHBBH6s4s6s4s", 1, IPV4, 6, 4, operation, mac(sender_mac), address_bytes(sender),
                            mac(target_mac), address_bytes(target))


# --- IP ---

def address_bytes(text):
    return ipaddress.ip_address(text).packed


def sum_words(data):
    if len(data) % 2:
        data += b"\0"
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def checksum(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source, destination, inner, identification=0, ttl=64, options=b"", fragment=None):
    """'fragment': (offset in bytes, more follow) with 'inner' (protocol, bytes) as cut by fragments()."""
    protocol, transport = inner
    source, destination = address_bytes(source), address_bytes(destination)
    if callable(transport):
        transport = transport(sum_words(source + destination) + protocol)
    offset, more = fragment or (0, False)
    header_size = 20 + len(options)
    header = struct.pack("!BBHHHBBH4s4s", 0x40 | header_size // 4, 0, header_size + len(transport), identification,
                         more << 13 | offset // 8, ttl, protocol, 0, source, destination) + options
    header = header[:10] + struct.pack("!H", checksum(sum_words(header))) + header[12:]
    return IPV4, header + transport


def ipv6(source, destination, inner, flow_label=0, hop_limit=64):
    protocol, transport = inner
    source, destination = address_bytes(source), address_bytes(destination)
    if callable(transport):
        transport = transport(sum_words(source + destination) + protocol)
    return IPV6, struct.pack("!IHBB16s16s", 6 << 28 | flow_label, len(transport), protocol, hop_limit, source,
                             destination) + transport


def ip(source, destination, inner, **options):
    return (ipv6 if ":" in source else ipv4)(source, destination, inner, **options)


def fragments(source, destination, inner, identification, size):
    """The IPv4 or IPv6 fragments of one datagram, 'size' bytes of it in each (a multiple of 8)."""
    protocol, transport = inner
    whole = transport(sum_words(address_bytes(source) + address_bytes(destination)) + protocol)
    pieces = []
    for offset in range(0, len(whole), size):
        piece, more = whole[offset:offset + size], offset + size < len(whole)
        if ":" in source:
            header = struct.pack("!BBHI", protocol, 0, offset | more, identification)
            pieces.append(ipv6(source, destination, (FRAGMENT, header + piece)))
        else:
            pieces.append(ipv4(source, destination, (protocol, piece), identification, fragment=(offset, more)))
    return pieces


def l3_size(packet):
    """Bytes of the IP packet (ethertype, bytes)."""
    return len(packet[1])


# --- transport: (protocol, function of the pseudo header's sum) ---

def with_checksum(header, at, payload, pseudo_sum):
    header = bytearray(header)
    value = checksum(pseudo_sum + sum_words(bytes(header) + payload))
    struct.pack_into("!H", header, at, value)
    return bytes(header) + payload


def tcp(source_port, destination_port, flags, sequence=0, acknowledgment=0, payload=b"", window=65535, options=b""):
    size = 20 + len(options)
    header = struct.pack("!HHIIBBHHH", source_port, destination_port, sequence & 0xFFFFFFFF,
                         acknowledgment & 0xFFFFFFFF, size // 4 << 4, flags, window, 0, 0) + options
    return TCP, lambda pseudo: with_checksum(header, 16, payload, pseudo + size + len(payload))


def udp(source_port, destination_port, payload=b""):
    size = 8 + len(payload)
    header = struct.pack("!HHHH", source_port, destination_port, size, 0)
    return UDP, lambda pseudo: with_checksum(header, 6, payload, pseudo + size)


def icmp_echo(identifier, sequence, payload=b"", reply=False):
    header = struct.pack("!BBHHH", 0 if reply else 8, 0, 0, identifier, sequence)
    return ICMP, lambda pseudo: with_checksum(header, 2, payload, 0)


def icmpv6_echo(identifier, sequence, payload=b"", reply=False):
    header = struct.pack("!BBHHH", 129 if reply else 128, 0, 0, identifier, sequence)
    return ICMPV6, lambda pseudo: with_checksum(header, 2, payload, pseudo + 8 + len(payload))


def icmp_unreachable(code, quoted):
    """An ICMP error about the IPv4 packet 'quoted': its header and 8 bytes (RFC 792)."""
    header = struct.pack("!BBHI", 3, code, 0, 0)
    return ICMP, lambda pseudo: with_checksum(header, 2, quoted[1][:28], 0)


# --- files ---

def write_pcap(path, packets, nanoseconds=True, order="<", link_type=1, snap_bytes=262144):
    """'order': '<' or '>', the byte order of the file's own numbers."""
    unit = 1 if nanoseconds else 1000
    with open(path, "wb") as out:
        out.write(struct.pack(order + "IHHiIII", 0xA1B23C4D if nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, snap_bytes,
                              link_type))
        for packet in packets:
            seconds, rest = divmod(packet.time_ns, NANOSECONDS)
            kept = packet.frame[:snap_bytes]
            out.write(struct.pack(order + "IIII", seconds, rest // unit, len(kept), packet.l2_bytes))
            out.write(kept)


def pcapng_block(kind, body, order):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def pcapng_option(code, value, order):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def write_pcapng(path, packets, interfaces=("eth0",), order="<", link_type=1):
    """Timestamps in nanoseconds (if_tsresol 9); a packet's 'interface' chooses one of 'interfaces'."""
    with open(path, "wb") as out:
        out.write(pcapng_block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order))
        for name in interfaces:
            options = pcapng_option(2, name.encode(), order) + pcapng_option(9, b"\x09", order)
            options += pcapng_option(0, b"", order)
            out.write(pcapng_block(1, struct.pack(order + "HHI", link_type, 0, 0) + options, order))
        for packet in packets:
            high, low = packet.time_ns >> 32, packet.time_ns & 0xFFFFFFFF
            out.write(pcapng_block(6, struct.pack(order + "IIIII", packet.interface, high, low, len(packet.frame),
                                                  packet.l2_bytes) + packet.frame, order))
