"""Captures of PPP, PPPoE and MPLS as captures of Ethernet, for programs that read no more than that."""

import struct

ETHERNET = 1
MACS = bytes(12)
IPV4, IPV6, PPPOE, MPLS_UNICAST, OTHER = 0x0800, 0x86DD, 0x8864, 0x8847, 0x88B5
PPP_ETHERTYPES = {0x21: IPV4, 0x57: IPV6, 0x281: MPLS_UNICAST}


def unwrap(source, target):
    """Writes the little-endian pcap file 'source' to 'target', which is returned: as many frames, at the same times."""
    data = source.read_bytes()
    link_type = struct.unpack_from("<I", data, 20)[0]
    out, at = [data[:20], struct.pack("<I", ETHERNET)], 24
    while at + 16 <= len(data):
        seconds, rest, captured, size = struct.unpack_from("<IIII", data, at)
        ethertype, header_bytes = inner(data[at + 16:at + 16 + captured], link_type)
        frame = MACS + struct.pack("!H", ethertype) + data[at + 16 + header_bytes:at + 16 + captured]
        out += [struct.pack("<IIII", seconds, rest, len(frame), size - header_bytes + 14), frame]
        at += 16 + captured
    target.write_bytes(b"".join(out))
    return target


def inner(frame, link_type):
    """The ethertype of what is carried, and how many bytes are before it."""
    at = 0
    if link_type == ETHERNET:
        if struct.unpack_from("!H", frame, 12)[0] != PPPOE:
            return struct.unpack_from("!H", frame, 12)[0], 14
        at = 20
    elif frame[:2] == b"\xff\x03":
        at = 2
    protocol = frame[at]
    at += 1
    if protocol % 2 == 0:  # two bytes: an odd first one is a number that was compressed (RFC 1661, 6.5)
        protocol = protocol << 8 | frame[at]
        at += 1
    ethertype = PPP_ETHERTYPES.get(protocol, OTHER)
    if ethertype != MPLS_UNICAST:
        return ethertype, at
    while not frame[at + 2] & 1:
        at += 4
    at += 4
    return (IPV4 if frame[at] >> 4 == 4 else IPV6), at
