"""cttimeout: the Linux kernel's timeout policies (nfnetlink_cttimeout), asked in wanmeter's words.

    kernel = Kernel()                                          of the network namespace this process is in
    kernel.ask("timeout new p inet tcp close=4")               (errno, rows)
    kernel.ask("timeout list")                                 (0, [[name, l3, l4, use, "syn_sent=120 …"], …])

Needs CAP_NET_ADMIN over the namespace. Kernel() raises OSError where the kernel has no such policies.
"""

import errno
import os
import socket
import struct

NETLINK_NETFILTER, SUBSYSTEM = 12, 8
NEW, GET, DELETE, DEFAULT_SET, DEFAULT_GET = range(5)
REQUEST, ACK, DUMP, REPLACE, EXCLUSIVE, CREATE = 0x1, 0x4, 0x300, 0x100, 0x200, 0x400
NESTED = 0x8000
NAME, L3, L4, DATA, USE = range(1, 6)
ERROR, DONE = 2, 3

FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
VALUES = {    # in the order of the kernel's attributes, from 1
    "tcp": (6, "syn_sent syn_recv established fin_wait close_wait last_ack time_wait close syn_sent2 retrans "
               "unacknowledged"),
    "udp": (17, "unreplied replied"),
    "udplite": (136, "unreplied replied"),
    "icmp": (1, "timeout"),
    "icmpv6": (58, "timeout"),
    "sctp": (132, "closed cookie_wait cookie_echoed established shutdown_sent shutdown_recd shutdown_ack_sent "
                  "heartbeat_sent"),
    "gre": (47, "unreplied replied"),
    "generic": (255, "timeout"),
}
OTHERS = {"dccp": 33}


class Kernel:
    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.bind((0, 0))
        self.socket.settimeout(10)
        self.sequence = 0
        error, _ = self.ask("timeout list")
        if error:
            self.socket.close()
            raise OSError(error, f"the kernel has no timeout policies: {os.strerror(error)}")

    def ask(self, line):
        words = line.split()[1:]
        verb = " ".join(words[:2]) if words[0] == "default" else words[0]
        return {"new": self.put, "replace": self.put, "delete": self.delete, "flush": self.flush, "get": self.get,
                "list": self.list, "default set": self.default_set, "default get": self.default_get}[verb](words)

    def put(self, words):
        verb, name, family, protocol, *values = words
        flags = CREATE | (REPLACE if verb == "replace" else 0)
        if values[:1] == ["exclusive"]:
            flags |= EXCLUSIVE
            values = values[1:]
        body = text(NAME, name) + kind(family, protocol) + data(protocol, values)
        return self.request(NEW, flags, body)[0], []

    def delete(self, words):
        return self.request(DELETE, 0, text(NAME, words[1]))[0], []

    def flush(self, _words):
        return self.request(DELETE, 0, b"")[0], []

    def get(self, words):
        error, answers = self.request(GET, 0, text(NAME, words[1]))
        return error, [row(answer) for answer in answers]

    def list(self, _words):
        error, answers = self.request(GET, DUMP, b"")
        return error, [row(answer) for answer in answers]

    def default_set(self, words):
        _, _, family, protocol, *values = words
        return self.request(DEFAULT_SET, 0, kind(family, protocol) + data(protocol, values))[0], []

    def default_get(self, words):
        error, answers = self.request(DEFAULT_GET, 0, kind(*words[2:4]))
        return error, [row(answer)[1:3] + row(answer)[4:] for answer in answers]

    def request(self, message, flags, body):
        self.sequence += 1
        wants_ack = 0 if flags & DUMP == DUMP else ACK
        content = struct.pack("=BBH", 0, 0, 0) + body
        self.socket.send(struct.pack("=IHHII", 16 + len(content), SUBSYSTEM << 8 | message, flags | REQUEST | wants_ack,
                                     self.sequence, 0) + content)
        answers = []
        while True:
            received, offset = self.socket.recv(1 << 20), 0
            while offset + 16 <= len(received):
                length, answer, _, sequence, _ = struct.unpack_from("=IHHII", received, offset)
                if sequence == self.sequence and answer == DONE:
                    return 0, answers
                if sequence == self.sequence and answer == ERROR:
                    return -struct.unpack_from("=i", received, offset + 16)[0], answers
                if sequence == self.sequence:
                    answers.append(attributes(received[offset + 20:offset + length]))
                offset += (length + 3) & ~3


def attribute(number, payload):
    return struct.pack("=HH", 4 + len(payload), number) + payload + b"\0" * (-len(payload) & 3)


def text(number, value):
    return attribute(number, value.encode() + b"\0")


def attributes(content):
    found, offset = {}, 0
    while offset + 4 <= len(content):
        length, number = struct.unpack_from("=HH", content, offset)
        found[number & 0x3FFF] = content[offset + 4:offset + length]
        offset += (length + 3) & ~3
    return found


def protocol_number(protocol):
    if protocol.isdigit():
        return int(protocol)
    return VALUES[protocol][0] if protocol in VALUES else OTHERS[protocol]


def kind(family, protocol):
    return attribute(L3, struct.pack("!H", FAMILIES[family])) + attribute(L4, bytes([protocol_number(protocol)]))


def names_of(number):
    return next((names.split() for known, names in VALUES.values() if known == number), [])


def data(protocol, values):
    names, content = names_of(protocol_number(protocol)), b""
    for word in values:
        name, seconds = word.split("=")
        content += attribute(names.index(name) + 1 if names else 1, struct.pack("!I", int(seconds)))
    return attribute(DATA | NESTED, content)


def row(answer):
    number = answer[L4][0]
    name = next(name for name, (known, _) in VALUES.items() if known == number)
    found = attributes(answer[DATA])
    values = " ".join(f"{value}={struct.unpack('!I', found[i])[0]}" for i, value in enumerate(names_of(number), 1))
    family = next(name for name, known in FAMILIES.items() if known == struct.unpack("!H", answer[L3])[0])
    use = str(struct.unpack("!I", answer[USE])[0]) if USE in answer else ""
    return [answer.get(NAME, b"").rstrip(b"\0").decode(), family, name, use, values]


def why_not():
    """None, or why the kernel of this namespace cannot be asked."""
    try:
        Kernel().socket.close()
    except OSError as error:
        return error.strerror or errno.errorcode.get(error.errno, str(error))
    return None
