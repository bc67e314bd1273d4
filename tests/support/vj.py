"""vj: what RFC 1144 leaves of packets, written from the RFC a second time, to check the first by.

    link = Link(slots=16)
    size = link.size(ip_packet)
"""

import struct


class Link:
    """One direction of a link."""

    def __init__(self, slots, names_slot_once=True):
        self.recent = []                    # connection keys, the one used last first
        self.known = {}                     # key: (slot, ip header, tcp header, IP length)
        self.free = list(range(slots))
        self.names_slot_once = names_slot_once
        self.last = None

    def size(self, ip):
        length = struct.unpack_from(">H", ip, 2)[0]
        split = self.split(ip)
        if not split:
            return length
        head, tcp = split
        key = head[12:20] + tcp[:4]
        before = self.known.get(key)
        slot = self.slot(key, before)
        deltas = None if before is None else changes(before[1:], (head, tcp, length))
        self.known[key] = (slot, head, tcp, length)
        is_said = not self.names_slot_once or slot != self.last
        self.last = slot
        if deltas is None:
            return length
        return length - len(head) - len(tcp) + 3 + is_said + sum(deltas)

    @staticmethod
    def split(ip):
        at = (ip[0] & 15) * 4
        if ip[9] != 6 or struct.unpack_from(">H", ip, 6)[0] & 0x3fff or ip[at + 13] & 0x17 != 0x10:
            return None
        return ip[:at], ip[at:at + (ip[at + 12] >> 4) * 4]

    def slot(self, key, before):
        if before:
            slot = before[0]
            self.recent.remove(key)
        elif self.free:
            slot = self.free.pop(0)
        else:
            slot = self.known.pop(self.recent.pop())[0]
        self.recent.insert(0, key)
        return slot


def changes(before, now):
    """The sizes of the deltas that are sent; None: the packet is sent whole."""
    (head0, tcp0, length0), (head, tcp, length) = before, now
    if (head0[0:2], head0[6:10], head0[20:], tcp0[12] >> 4, tcp0[20:]) != (head[0:2], head[6:10], head[20:], tcp[12] >> 4, tcp[20:]):
        return None

    def field(form, at, wrap):
        return (struct.unpack_from(form, tcp, at)[0] - struct.unpack_from(form, tcp0, at)[0]) % wrap

    window, ack, sequence = field(">H", 14, 1 << 16), field(">I", 8, 1 << 32), field(">I", 4, 1 << 32)
    urgent = struct.unpack_from(">H", tcp, 18)[0]
    is_urgent = tcp[13] & 0x20
    if (not is_urgent and field(">H", 18, 1 << 16)) or ack > 0xffff or sequence > 0xffff:
        return None
    data0 = length0 - len(head) - len(tcp)
    kinds = (bool(is_urgent), bool(window), bool(ack), bool(sequence))
    deltas = [3 if urgent > 255 or urgent == 0 else 1] if is_urgent else []
    deltas += [3 if delta > 255 else 1 for delta in (window, ack, sequence) if delta]
    if kinds in ((True, True, False, True), (True, True, True, True)):
        return None
    if not any(kinds) and (length == length0 or data0):
        return None
    if kinds == (False, False, False, True) and sequence == data0:
        deltas = []
    if kinds == (False, False, True, True) and sequence == ack == data0:
        deltas = []
    identification = (struct.unpack_from(">H", head, 4)[0] - struct.unpack_from(">H", head0, 4)[0]) % (1 << 16)
    if identification != 1:
        deltas.append(3 if identification > 255 or identification == 0 else 1)
    return deltas
