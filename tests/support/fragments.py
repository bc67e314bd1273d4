"""fragments: captures of random fragments, by seed: any order, duplicates, overlaps, wrong ends and lengths, damage.

    fragments.write(path, random.Random(7), 400)
"""

import socket
import struct

ETHERNET = {4: bytes(12) + b"\x08\x00", 6: bytes(12) + b"\x86\xdd"}
UDP, TCP, ICMP, ICMPV6, SCTP, ESP = 17, 6, 1, 58, 132, 50
DESTINATION_OPTIONS, FRAGMENT = 60, 44
OPTIONS_8 = bytes([0, 1, 4, 0, 0, 0, 0])  # without the next header


def write(path, random, n_frames):
    frames = []
    while len(frames) < n_frames:
        frames += burst(random)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for number, frame in enumerate(frames[:n_frames]):
            file.write(struct.pack("<IIII", 1000 + number // 1000, number % 1000 * 1000, len(frame), len(frame)) + frame)


def burst(random):
    """The fragments of one to three datagrams, among each other."""
    piles = [datagram(random) for _ in range(random.choice([1, 1, 2, 3]))]
    frames = []
    while any(piles):
        frames.append(random.choice([pile for pile in piles if pile]).pop(0))
    if random.random() < 0.03:  # as many of the same source in between as it takes to begin anew
        spread = random.randrange(60, 70)
        middle = [ipv4(b"z" * 8, 1 << 13, 50000 + number, UDP, *ends(random, 4)) for number in range(spread)]
        at = random.randrange(len(frames) + 1)
        frames[at:at] = middle
    return frames


def datagram(random):
    version = random.choice([4, 6])
    source, destination = ends(random, version)
    protocol, payload = transport(random, version, source, destination)
    ident = random.randrange(6)
    cuts = sorted(random.sample(range(8, len(payload), 8), min(random.randrange(6), (len(payload) - 1) // 8)))
    edges = list(zip([0, *cuts], [*cuts, len(payload)]))
    pieces = [(begin, payload[begin:end], end < len(payload)) for begin, end in edges]
    if random.random() < 0.5:
        random.shuffle(pieces)
    for _ in range(random.choice([0, 0, 0, 1, 2])):
        pieces.insert(random.randrange(len(pieces) + 1), odd_piece(random, payload))
    if random.random() < 0.1:
        pieces.pop(random.randrange(len(pieces)))
    make = ipv4_piece if version == 4 else ipv6_piece
    return [make(random, piece, ident, protocol, source, destination) for piece in pieces]


def odd_piece(random, payload):
    begin = random.randrange(0, len(payload) + 9, 8)
    size = random.choice([0, 5, 8, 8, 16, 24, len(payload)])
    if random.random() < 0.05:
        begin = random.choice([65528, 65520, 65000])
    data = (payload[begin : begin + size] + bytes(size))[:size]
    return begin, data, random.random() < 0.7


def ends(random, version):
    numbers = random.sample([1, 2], 2)
    if version == 4:
        return [bytes([10, 0, 0, number]) for number in numbers]
    return [socket.inet_pton(socket.AF_INET6, f"2001:db8::{number}") for number in numbers]


def transport(random, version, source, destination):
    protocol = random.choice([UDP, UDP, UDP, TCP, ICMP if version == 4 else ICMPV6, SCTP, ESP, 136])
    data = bytes(random.randrange(256) for _ in range(random.choice([0, 1, 20, 100, 300])))
    ports = struct.pack("!HH", *random.choice([(7, 9), (9, 7)]))
    if protocol == UDP:
        payload = ports + struct.pack("!HH", random.choice([8 + len(data)] * 9 + [8, 4000]), 0) + data
    elif protocol == 136:
        payload = ports + struct.pack("!HH", random.choice([0, 8, 8 + len(data)]), 1) + data
    elif protocol == TCP:
        flags = random.choice([2, 0x12, 0x10, 0x10, 0x18, 0x11, 4])
        payload = ports + struct.pack("!IIBBHHH", random.choice([100, 101, 500]), 200, 5 << 4, flags, 8192, 0, 0) + data
    elif protocol == SCTP:
        payload = ports + struct.pack("!II", 0, 0) + struct.pack("!BBHIIHHI", 1, 0, 20, 77, 1000, 1, 1, 1)
        payload += struct.pack("!BBH", 0, 0, 4) if random.random() < 0.2 else b""
    elif protocol == ESP:
        payload = bytes(8) + data
    else:
        echo = [(8, 0), (0, 0)] if version == 4 else [(128, 0), (129, 0)]
        payload = bytes(random.choice(echo)) + struct.pack("!HHH", 0, 3, 1) + data
    return protocol, with_sum(random, version, protocol, payload, source, destination)


def with_sum(random, version, protocol, payload, source, destination):
    """Right three times of four."""
    places = {UDP: 6, 136: 6, TCP: 16, ICMP: 2, ICMPV6: 2}
    if random.random() < 0.25 or protocol not in places:
        return payload
    pseudo = source + destination + struct.pack("!II", len(payload), UDP if protocol == 136 else protocol)
    covered = payload
    if protocol == 136 and 8 <= struct.unpack_from("!H", payload, 4)[0] <= len(payload):
        covered = payload[: struct.unpack_from("!H", payload, 4)[0]]
    at = places[protocol]
    covered = covered[:at] + bytes(2) + covered[at + 2 :]
    total = internet_sum((b"" if protocol == ICMP else pseudo) + covered)
    return payload[:at] + struct.pack("!H", total or 0xFFFF) + payload[at + 2 :]


def internet_sum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4_piece(random, piece, ident, protocol, source, destination):
    begin, data, has_more = piece
    options = bytes([1, 1, 1, 1]) if random.random() < 0.1 else b""
    frame = ipv4(data, begin // 8 | has_more << 13, ident, protocol, source, destination, options)
    if random.random() < 0.02:
        frame = frame[:24] + bytes([frame[24] ^ 1]) + frame[25:]  # a wrong header checksum
    if random.random() < 0.02:
        frame = frame[:-1] if len(frame) > 40 else frame  # longer than its frame
    return frame


def ipv4(data, field, ident, protocol, source, destination, options=b""):
    header_size = 20 + len(options)
    header = struct.pack("!BBHHHBBH", 0x40 | header_size // 4, 0, header_size + len(data), ident, field, 64, protocol, 0)
    header += source + destination + options
    return ETHERNET[4] + header[:10] + struct.pack("!H", internet_sum(header)) + header[12:] + data


def ipv6_piece(random, piece, ident, protocol, source, destination):
    begin, data, has_more = piece
    before = bytes([FRAGMENT]) + OPTIONS_8 if random.random() < 0.1 else b""
    first = DESTINATION_OPTIONS if before else FRAGMENT
    after = struct.pack("!BBHI", protocol, 0, begin | has_more, ident) + data
    header = struct.pack("!IHBB", 6 << 28, len(before + after), first, 64) + source + destination
    return ETHERNET[6] + header + before + after
