"""flood: hostile packets by the hundred thousand, quickly made, whose sums are known.

    flood.syn(random_, n), flood.tuples(random_, n), flood.fragments(random_, n), flood.collisions(random_, n)

Each yields support.capture.Packet, a few microseconds apart, all towards the account 'alice' by the WAN 'lte'. Frames
are made by writing numbers into a template; checksums are not looked at (conntrack.checksum).
"""

import struct

from faults.load import START_NS
from support import capture
from support.capture import Packet
from support.traffic import ACCOUNTS, WANS

ETHERNET, ADDRESSES, PORTS = 14, 14 + 12, 14 + 20
GAP_NS = 3_000
VICTIM = ACCOUNTS[0].ipv4 + "7"
MICROSOFT_KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")


def template(ip_packet):
    return bytearray(capture.ethernet(ACCOUNTS[0].mac, WANS[1].gateway_mac, ip_packet))


def packet(n, frame, l3_bytes):
    return Packet(START_NS + n * GAP_NS, bytes(frame), l3_bytes=l3_bytes, wan=WANS[1].name, account=ACCOUNTS[0].name,
                  direction="down")


def syn(random_, n_packets):
    """SYNs from random sources to one port."""
    frame = template(capture.ipv4("198.18.0.1", VICTIM, capture.tcp(1, 443, capture.SYN)))
    for n in range(n_packets):
        struct.pack_into("!I", frame, ADDRESSES, 0xC6000000 | random_.getrandbits(24))
        struct.pack_into("!H", frame, PORTS, random_.getrandbits(16))
        yield packet(n, frame, 40)


def tuples(random_, n_packets):
    """UDP from anywhere to any port."""
    frame = template(capture.ipv4("198.18.0.1", VICTIM, capture.udp(1, 2, bytes(30))))
    for n in range(n_packets):
        struct.pack_into("!I", frame, ADDRESSES, 0xC6000000 | random_.getrandbits(24))
        struct.pack_into("!I", frame, PORTS, random_.getrandbits(32))
        yield packet(n, frame, 58)


def fragments(random_, n_packets):
    """First ones without a rest, middle ones without a first, overlapping ones; of IPv4."""
    first = template(capture.ipv4("198.18.0.1", VICTIM, (capture.UDP, bytes(64)), fragment=(0, True)))
    for n in range(n_packets):
        struct.pack_into("!I", first, ADDRESSES, 0xC6000000 | random_.getrandbits(12))
        struct.pack_into("!H", first, ETHERNET + 4, random_.getrandbits(16))
        more, offset = random_.choice(((1, 0), (1, 0), (1, 3), (0, 6), (1, 8190)))
        struct.pack_into("!H", first, ETHERNET + 6, more << 13 | offset)
        struct.pack_into("!I", first, PORTS, random_.getrandbits(32))
        yield packet(n, first, 84)


def collisions(random_, n_packets):
    """UDP of one Toeplitz hash under Microsoft's key: all of it in one shard, whatever their number."""
    frame = template(capture.ipv4("198.18.0.1", VICTIM, capture.udp(1, 2, bytes(30))))
    basis = same_hash()
    for n in range(n_packets):
        bits = 0
        for vector in basis:
            bits ^= vector if random_.getrandbits(1) else 0
        struct.pack_into("!I", frame, ADDRESSES, 0xC6000000 | bits >> 32)
        struct.pack_into("!I", frame, PORTS, bits & 0xFFFFFFFF)
        yield packet(n, frame, 58)


def same_hash():
    """Combinations of 24 bits of the source address and both ports that leave the hash as it is.

    The hash is linear: each bit of its input adds 32 bits of the key. Endpoints come in order of their addresses, so the
    input is victim, source, victim's port, source's port. Gaussian elimination finds what adds up to nothing."""
    key = int.from_bytes(MICROSOFT_KEY, "big")
    basis, kernel = {}, []
    for bit in range(56):
        value, combination = window(key, input_place(bit)), 1 << bit
        while value and (top := value.bit_length()) in basis:
            value, combination = value ^ basis[top][0], combination ^ basis[top][1]
        if value:
            basis[value.bit_length()] = value, combination
        else:
            kernel.append(combination)
    return kernel


def window(key, place):
    return key >> 320 - 32 - place & 0xFFFFFFFF


def input_place(bit):
    """Of bit 0 to 15 (destination port), 16 to 31 (source port), 32 to 55 (source address): where it is in the input."""
    if bit < 16:
        return 64 + 15 - bit
    if bit < 32:
        return 80 + 31 - bit
    return 32 + 31 - (bit - 32)
