"""control: control connections and what they announce, packet by packet, with the connections that have to be RELATED.

    talk = Talk(start_ns, "10.0.0.1", "10.0.0.2")
    ftp_passive(talk)
    talk.packets; talk.related        [(protocol, source, source port, destination, destination port)] that are expected
    talks(seed, n)                    many of all kinds, one after the other and between each other

Every kind is what a real client and server would send, in short. HELPERS is the configuration that reads them.
"""

import ipaddress
import random
import struct

from support import capture
from support.capture import ACK, FIN, PSH, SYN, Packet, ethernet, ip, tcp, udp

HELPERS = "helpers:\n" + "".join(f"  - name: {name}\n" for name in ("ftp", "tftp", "sip", "irc", "pptp", "amanda"))
MILLISECOND = 10**6
GRE = 47
HERE, THERE = "02:00:00:00:00:02", "02:00:00:00:00:01"
COOKIE = 0x1A2B3C4D


class Talk:
    """What two hosts send each other; times go on by a millisecond a packet."""

    def __init__(self, start_ns, client, server, tick_ns=MILLISECOND):
        self.client, self.server = client, server
        self.now_ns, self.tick_ns = start_ns, tick_ns
        self.packets, self.related = [], []

    def wait(self, seconds):
        self.now_ns += seconds * capture.NANOSECONDS

    def send(self, source, destination, inner):
        frame = ethernet(THERE, HERE, ip(source, destination, inner))
        self.packets.append(Packet(self.now_ns, frame))
        self.now_ns += self.tick_ns

    def udp(self, source, source_port, destination, port, payload=b"x"):
        self.send(source, destination, udp(source_port, port, payload))

    def udp_in_fragments(self, source, source_port, destination, port, payload, size=256):
        for piece in capture.fragments(source, destination, udp(source_port, port, payload), len(self.packets), size):
            self.packets.append(Packet(self.now_ns, ethernet(THERE, HERE, piece)))
            self.now_ns += self.tick_ns

    def gre(self, source, destination, call_id, sequence=0, payload=b"ppp"):
        header = struct.pack("!HHHHI", 0x3001, 0x880B, len(payload), call_id, sequence)
        self.send(source, destination, (GRE, header + payload))

    def expect(self, protocol, source, source_port, destination, port):
        self.related.append((protocol, source, source_port, destination, port))

    def connect(self, source, source_port, destination, port):
        return Tcp(self, source, source_port, destination, port)

    def data(self, source, source_port, destination, port, size=100, is_expected=True):
        """A TCP connection of its own: opened, some bytes, closed."""
        if is_expected:
            self.expect(capture.TCP, source, source_port, destination, port)
        connection = self.connect(source, source_port, destination, port)
        connection.say(1, b"d" * size)
        connection.close()


class Tcp:
    """Side 0 opened it."""

    def __init__(self, talk, source, source_port, destination, port):
        self.talk, self.ends = talk, [(source, source_port), (destination, port)]
        self.sequence = [1000, 2**32 - 50]
        self.send(0, SYN)
        self.send(1, SYN | ACK)
        self.send(0, ACK)

    def send(self, side, flags, payload=b""):
        (source, source_port), (destination, port) = self.ends[side], self.ends[1 - side]
        acknowledgment = self.sequence[1 - side] if flags & ACK else 0
        self.talk.send(source, destination,
                       tcp(source_port, port, flags, self.sequence[side], acknowledgment, payload))
        self.sequence[side] += len(payload) + (1 if flags & (SYN | FIN) else 0)

    def say(self, side, payload):
        self.send(side, PSH | ACK, payload if isinstance(payload, bytes) else payload.encode())
        self.send(1 - side, ACK)

    def close(self):
        self.send(0, FIN | ACK)
        self.send(1, FIN | ACK)
        self.send(0, ACK)


# --- FTP ---

def six_numbers(address, port):
    return ",".join([*address.split("."), str(port >> 8), str(port & 255)])


def ftp_login(talk, client_port=40000, port=21):
    control = talk.connect(talk.client, client_port, talk.server, port)
    control.say(1, "220 ready\r\n")
    control.say(0, "USER anonymous\r\n")
    control.say(1, "230 in\r\n")
    return control


def ftp_passive(talk, client_port=40000, port=50000):
    control = ftp_login(talk, client_port)
    if ":" in talk.client:
        control.say(0, "EPSV\r\n")
        control.say(1, f"229 Entering Extended Passive Mode (|||{port}|)\r\n")
    else:
        control.say(0, "PASV\r\n")
        control.say(1, f"227 Entering Passive Mode ({six_numbers(talk.server, port)}).\r\n")
    talk.data(talk.client, client_port + 1, talk.server, port)
    control.say(1, "226 done\r\n")
    control.close()


def ftp_active(talk, client_port=40000, port=45000):
    control = ftp_login(talk, client_port)
    family = 2 if ":" in talk.client else 1
    control.say(0, f"EPRT |{family}|{talk.client}|{port}|\r\n" if family == 2 or port % 2
                else f"PORT {six_numbers(talk.client, port)}\r\n")
    control.say(1, "200 fine\r\n")
    talk.data(talk.server, 20, talk.client, port)
    control.close()
    talk.data(talk.server, 20, talk.client, port + 1, is_expected=False)


# --- TFTP, IRC, Amanda ---

def tftp(talk, client_port=2000, port=33000):
    talk.udp(talk.client, client_port, talk.server, 69, b"\0\1file\0octet\0")
    talk.expect(capture.UDP, talk.server, port, talk.client, client_port)
    for block in range(1, 4):
        talk.udp(talk.server, port, talk.client, client_port, struct.pack("!HH", 3, block) + b"d" * 512)
        talk.udp(talk.client, client_port, talk.server, port, struct.pack("!HH", 4, block))


def irc_dcc(talk, client_port=41000, port=5000, other="192.0.2.77"):
    control = talk.connect(talk.client, client_port, talk.server, 6667)
    control.say(1, ":server 001 nick :welcome\r\n")
    number = int(ipaddress.ip_address(talk.client))
    control.say(0, f"PRIVMSG friend :\1DCC SEND file.bin {number} {port} 5000\1\r\n")
    talk.data(other, 6000, talk.client, port)
    control.close()


def amanda(talk, client_port=1000, port=11000):
    talk.udp(talk.client, client_port, talk.server, 10080, b"Amanda 2.6 REQ HANDLE 000 SEQ 1\n")
    talk.udp(talk.server, 10080, talk.client, client_port,
             f"Amanda 2.6 REP HANDLE 000 SEQ 1\nCONNECT DATA {port} MESG {port + 1} INDEX {port + 2}\n\n".encode())
    for n in range(3):
        talk.data(talk.client, 900 + n, talk.server, port + n)


# --- SIP ---

def host_text(address):
    return f"[{address}]" if ":" in address else address


def session(address, audio, video=0):
    version = 6 if ":" in address else 4
    lines = ["v=0", f"o=- 1 1 IN IP{version} {address}", "s=-", f"c=IN IP{version} {address}", "t=0 0",
             f"m=audio {audio} RTP/AVP 0"]
    if video:
        lines += [f"m=video {video} RTP/AVP 31"]
    return "".join(line + "\r\n" for line in lines)


def message(start, headers, body=""):
    lines = [start, *(f"{name}: {value}" for name, value in headers), f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(lines).encode()


def sip_headers(method, number):
    return [("Via", "SIP/2.0/UDP host"), ("From", "<sip:a@a.example>;tag=1"), ("To", "<sip:b@b.example>"),
            ("Call-ID", "1@a"), ("CSeq", f"{number} {method}")]


def sip_call(talk, client_port=5060, audio=(16000, 26000), video=0):
    def from_client(payload):
        talk.udp(talk.client, client_port, talk.server, 5060, payload)

    def from_server(payload):
        talk.udp(talk.server, 5060, talk.client, client_port, payload)

    headers = sip_headers("INVITE", 1)
    from_client(message("INVITE sip:b@b.example SIP/2.0", headers, session(talk.client, audio[0], video)))
    from_server(message("SIP/2.0 180 Ringing", headers))
    from_server(message("SIP/2.0 200 OK", headers, session(talk.server, audio[1], video and video + 1000)))
    from_client(message("ACK sip:b@b.example SIP/2.0", sip_headers("ACK", 1)))
    for offset in (0, 1):
        talk.expect(capture.UDP, talk.client, audio[0] + offset, talk.server, audio[1] + offset)
        for _ in range(3):
            talk.udp(talk.client, audio[0] + offset, talk.server, audio[1] + offset, b"r" * 160)
            talk.udp(talk.server, audio[1] + offset, talk.client, audio[0] + offset, b"r" * 160)
    if video:
        talk.expect(capture.UDP, talk.server, video + 1000, talk.client, video)
        talk.udp(talk.server, video + 1000, talk.client, video, b"v" * 900)
    from_client(message("BYE sip:b@b.example SIP/2.0", sip_headers("BYE", 2)))
    from_server(message("SIP/2.0 200 OK", sip_headers("BYE", 2)))
    talk.udp(talk.client, audio[0] + 4, talk.server, audio[1], b"late")


def sip_call_in_fragments(talk, audio=18000):
    headers = sip_headers("INVITE", 1) + [("User-Agent", "x" * 600)]
    talk.udp_in_fragments(talk.client, 5060, talk.server, 5060,
                          message("INVITE sip:b@b.example SIP/2.0", headers, session(talk.client, audio)))
    talk.udp(talk.server, 5060, talk.client, 5060, message("SIP/2.0 180 Ringing", headers))
    talk.expect(capture.UDP, talk.server, 28000, talk.client, audio)
    talk.udp(talk.server, 28000, talk.client, audio, b"early media")


def sip_register(talk, client_port=5060, caller_port=6060):
    headers = sip_headers("REGISTER", 7) + [
        ("Contact", f"<sip:a@{host_text(talk.client)}:{client_port}>;expires=600"), ("Expires", "300")]
    talk.udp(talk.client, client_port, talk.server, 5060, message("REGISTER sip:b.example SIP/2.0", headers))
    talk.udp(talk.server, 5060, talk.client, client_port, message("SIP/2.0 200 OK", headers))
    talk.wait(100)
    talk.expect(capture.UDP, talk.server, caller_port, talk.client, client_port)
    talk.udp(talk.server, caller_port, talk.client, client_port,
             message("INVITE sip:a@a.example SIP/2.0", sip_headers("INVITE", 9), session(talk.server, 30000)))
    talk.udp(talk.client, client_port, talk.server, caller_port,
             message("SIP/2.0 200 OK", sip_headers("INVITE", 9), session(talk.client, 31000)))


# --- PPTP ---

def pptp_message(kind, body):
    return struct.pack("!HHIHH", len(body) + 12, 1, COOKIE, kind, 0) + body


def pptp(talk, client_port=42000, calls=(0x11, 0x22), hangs_up=True):
    client_call, server_call = calls
    control = talk.connect(talk.client, client_port, talk.server, 1723)
    control.say(0, pptp_message(1, struct.pack("!HH", 0x100, 0) + bytes(140)))
    control.say(1, pptp_message(2, struct.pack("!HBB", 0x100, 1, 0) + bytes(140)))
    control.say(0, pptp_message(7, struct.pack("!HH", client_call, 1) + bytes(152)))
    control.say(1, pptp_message(8, struct.pack("!HHBB", server_call, client_call, 1, 0) + bytes(14)))
    talk.expect(GRE, talk.client, client_call, talk.server, server_call)
    for n in range(4):
        talk.gre(talk.client, talk.server, server_call, n)
        talk.gre(talk.server, talk.client, client_call, n)
    if hangs_up:
        control.say(0, pptp_message(12, struct.pack("!HH", client_call, 0)))
        control.say(1, pptp_message(13, struct.pack("!HBBHH", server_call, 1, 0, 0, 0) + bytes(128)))
        talk.gre(talk.server, talk.client, client_call, 9)
    control.close()


KINDS = {
    "ftp passive": (ftp_passive, 4), "ftp active": (ftp_active, 4), "ftp passive, IPv6": (ftp_passive, 6),
    "ftp active, IPv6": (ftp_active, 6), "tftp": (tftp, 4), "tftp, IPv6": (tftp, 6), "irc": (irc_dcc, 4),
    "amanda": (amanda, 4), "sip": (sip_call, 4), "sip, IPv6": (sip_call, 6), "sip registration": (sip_register, 4),
    "sip in fragments": (sip_call_in_fragments, 4), "sip in fragments, IPv6": (sip_call_in_fragments, 6),
    "pptp": (pptp, 4),
}


def talk_of(kind, start_ns=10**18, client_number=1, tick_ns=MILLISECOND):
    make, version = KINDS[kind]
    hosts = f"10.0.{client_number}.1", "10.1.0.2"
    if version == 6:
        hosts = f"2001:db8:{client_number:x}::1", "2001:db8:ffff::2"
    talk = Talk(start_ns, *hosts, tick_ns=tick_ns)
    make(talk)
    return talk


def talks(seed, n, ticks=(MILLISECOND, 7 * MILLISECOND), kinds=tuple(KINDS), start_ns=10**18):
    """'n' of them, many at a time; packets in order."""
    numbers = random.Random(seed)
    made = [talk_of(numbers.choice(kinds), start_ns + numbers.randrange(1000 * ticks[-1] // n + 10**6),
                    1 + n_client % 200, numbers.choice(ticks))
            for n_client in range(n)]
    packets = sorted((packet for talk in made for packet in talk.packets), key=lambda packet: packet.time_ns)
    return packets, [related for talk in made for related in talk.related]


def disturbed(packets, seed):
    """Some lost, doubled, late, or with a byte of their payload garbled (their checksum then is wrong)."""
    numbers = random.Random(seed)
    out = []
    for packet in packets:
        fate = numbers.random()
        if fate < 0.02:
            continue
        frame = garbled(packet.frame, numbers) if fate < 0.06 else packet.frame
        out.append(Packet(packet.time_ns, frame))
        if 0.06 <= fate < 0.09:
            out.append(Packet(packet.time_ns + 1000, frame))
        if 0.09 <= fate < 0.12 and len(out) > 1:
            out[-1], out[-2] = Packet(out[-1].time_ns, out[-2].frame), Packet(out[-2].time_ns, out[-1].frame)
    return sorted(out, key=lambda packet: packet.time_ns)


def garbled(frame, numbers):
    """A byte behind the TCP header is another; other frames stay."""
    is_ipv4 = frame[12:14] == b"\x08\x00"
    payload_at = 54 if is_ipv4 else 74
    if frame[23 if is_ipv4 else 20] != capture.TCP or len(frame) <= max(payload_at, 60):
        return frame
    at = numbers.randrange(payload_at, len(frame))
    return frame[:at] + bytes([numbers.choice(b" \r\n,.:|()09AZ\x00\xff")]) + frame[at + 1:]
