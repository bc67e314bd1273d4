"""Leases of IPv6 flow labels: the Linux kernel's flow-label manager and wanmeter's, asked the same.

Every request has the same errno and, where it is not chosen by chance, the same label; at the end both list the same
leases, in the same order. The kernel is asked through IPV6_FLOWLABEL_MGR in a network namespace of the test's own, by
several processes and users. Its 4,096 leases are one pool over all namespaces, so cases that ask it wait for each other.
"""

import contextlib
import errno
import fcntl
import os
import random
import socket
import struct
import subprocess
import time

from support import flow_label
from support.case import PATIENCE_S, each, waits
from support.flow_label import (ANY, CREATE, EXCL, EXCLUSIVE, NONE, PROCESS, REFLECT, REMOTE, STATELESS, USER, Ask, Kernel,
                                Manager)

NOBODY, SOMEBODY = 65534, 12345
UIDS = [0, 0, NOBODY, NOBODY, SOMEBODY]
SEEDS = range(8)
ASKS = 1000
FORGOTTEN_S = 3  # after this the kernel has forgotten the leases of a namespace that nobody is in: 20 ms, more where many namespaces end
JIFFIES_NS = 8_000_000  # the kernel's times are whole jiffies
SETTINGS = [{}, {"flowlabel_consistency": 0}, {"flowlabel_state_ranges": 1},
            {"flowlabel_consistency": 0, "flowlabel_state_ranges": 1}]

ETH_P_IPV6 = 0x86dd
ECHO_REQUEST, ECHO_REPLY = 128, 129
SYN, RST, ACK = 2, 4, 16
LABEL = 0x54321
IPV6_FLOWINFO_SEND = 33
HOP = bytes([0, 0, 1, 4, 0, 0, 0, 0])  # one PadN option
HEADERS = [HOP, HOP[:7], bytes([0, 1, 1, 12]) + bytes(12), bytes([0, 2, 1, 20]) + bytes(20), bytes([0, 2]), b"\0",
           bytes([0, 2, 0, 1]) + bytes(20), bytes([0, 0, 200, 9, 1, 2, 3, 4])]

LEASED = [(), (("hopopts", HEADERS[2]),), (("hopopts", HOP), ("rthdrdstopts", HEADERS[3])), (("rthdrdstopts", HOP),)]
OWN = [(), (("hopopts", HEADERS[3]),), (("dstopts", HEADERS[2]),), (("hopopts", HOP), ("dstopts", HEADERS[3]))]


@waits
@each(SEEDS)
def test_random_sequences_of_leases_have_the_kernels_answers(case, seed):
    sysctls = SETTINGS[seed % len(SETTINGS)]
    with asked_alone(case), both(case, UIDS, sysctls) as pair:
        chance = random.Random(seed)
        for _ in range(ASKS):
            pair.ask(random_ask(chance, pair))
        pair.compare_lists()


@waits
@each(["root", "nobody"])
def test_as_many_labels_are_granted_as_by_the_kernel(case, who):
    with asked_alone(case), both(case, [0, NOBODY], {}) as pair:
        time.sleep(FORGOTTEN_S)
        if who == "nobody":
            sockets = fill_as_nobody(pair)
            assert len(sockets) > 1000, len(sockets)
            pair.ask(Ask(actor=1, socket="udp-late"))
        else:
            for _ in range(4096):
                pair.ask(Ask(share=USER))
                assert pair.errors[-1] == 0, "labels are leased elsewhere on this machine"
        pair.ask(Ask())
        pair.ask(Ask(label=0x12345))
        pair.ask(Ask(action="close"))
        pair.ask(Ask(label=0x12345))
        pair.compare_lists()
        assert errno.ENOBUFS in pair.errors


@waits
def test_leases_linger_expire_and_are_collected_as_the_kernels_are(case):
    """Waits as long as labels linger; asks at quarters of seconds where nothing ends, as the kernel collects late."""
    with asked_alone(case), both(case, [0, 0], {}) as pair:
        start_ns = flow_label.now_ns()
        for at_s, asks in timetable():
            time.sleep(max(0, at_s - (flow_label.now_ns() - start_ns) / 1e9))
            for ask in asks:
                pair.ask(ask)
            pair.compare_lists()
        assert errno.ENOENT in pair.errors and errno.EEXIST in pair.errors


def timetable():
    """[(seconds, what is asked then)]; the lists are compared after each."""
    def get(label, socket="udp0", flags=CREATE, **more):
        return Ask(label=label, socket=socket, flags=flags, **more)

    def put(label, socket="udp0"):
        return Ask(action="put", label=label, socket=socket)

    return [
        (0, [get(1), get(2, linger=8), get(3, expires=12), get(4, linger=7), get(5, linger=9, share=EXCL),
             get(6, linger=6, share=PROCESS), get(7, linger=9, expires=10, share=USER)]),
        (0.1, [put(1), put(2), put(3), put(5), put(6)]),
        (2, [get(1, flags=CREATE | EXCLUSIVE), get(6, flags=0, share=PROCESS), get(6, share=PROCESS, linger=8)]),
        (3, [Ask(action="renew", label=7, linger=6, expires=6), put(7), put(6),
             Ask(action="renew", label=3, share=NONE, expires=100)]),
        (6.8, [get(9)]),  # 1 is there still: it was asked for at 2
        (7.8, [get(4, socket="udp1"), put(4), get(1, flags=0)]),  # 1 is over at 8
        (8.8, [get(1, share=EXCL)]),  # 2 is over at 8.1, 1 anew
        (9.8, [get(5, flags=0), get(5, share=USER)]),  # 5 is over at 9.1, and anew
        (12.8, [get(3, share=PROCESS)]),  # 3 is over at 12, 6 at 11, 7 at 12
        (13.8, [Ask(action="close"), Ask(action="close", socket="udp1")]),
    ]


@waits
@each(range(len(LEASED)))
def test_headers_are_merged_as_leased(case, number):
    """What the kernel sends under a lease, of a socket with headers of its own; the manager is asked what it would."""
    lease = Ask(label=0x12345, dst="::1", share=EXCL, options=LEASED[number])
    with asked_alone(case), both(case, [0], {}) as pair:
        pair.ask(lease)
        with packets_on_loopback() as sent, flow_label.Sockets() as sockets:
            assert sockets.ask(Ask(**{**vars(lease), "action": "close"})) == (0, 0)
            assert sockets.ask(Ask(**{**vars(lease), "label": LABEL}))[0] == 0
            sender = sockets.get(lease.socket)
            sockets.get("udp1").bind(("::1", 9))
            sender.setsockopt(socket.IPPROTO_IPV6, IPV6_FLOWINFO_SEND, 1)
            for own in OWN:
                messages = [(socket.IPPROTO_IPV6, flow_label.OPTION_TYPES[kind], value) for kind, value in own]
                sender.sendmsg([b"x"], messages, 0, ("::1", 9, LABEL, 0))
                words = " ".join(f"{kind}={value.hex()}" for kind, value in own)
                (ours,) = pair.manager.query(flow_label.now_ns(), f"flowlabel headers 0x12345 {words}")
                assert headers(next_udp(sent)) == [value[2:] for value in (ours[0], ours[3]) if value != "-"], own


@waits
@each(range(8))
def test_labels_come_back_where_reflection_says_so(case, reflect):
    """The kinds of packets that the bits of flowlabel_reflect stand for, as flow_labels.reflect takes them."""
    with asked_alone(case), Kernel([], {"flowlabel_consistency": 0, "flowlabel_reflect": reflect}), \
            packets_on_loopback() as sent, contextlib.ExitStack() as stack:
        server, client, refused = (stack.enter_context(labelled(socket.SOCK_STREAM)) for _ in range(3))
        ping = stack.enter_context(labelled(socket.SOCK_RAW, socket.IPPROTO_ICMPV6))
        server.bind(("::1", 9))
        server.listen()
        client.connect(("::1", 9, LABEL, 0))
        with contextlib.suppress(ConnectionRefusedError):
            refused.connect(("::1", 10, LABEL, 0))
        ping.sendto(struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, 1, 1), ("::1", 0, LABEL, 0))
        came_back = {}
        while len(came_back) < 3:
            frame = sent.recv(2048)
            kind = reply_kind(frame)
            if kind:
                came_back[kind] = frame[14:18] == struct.pack("!I", 6 << 28 | LABEL)
    assert came_back == {"tcp": bool(reflect & 1), "reset": bool(reflect & 2), "echo": bool(reflect & 4)}


# --- both sides ---

@contextlib.contextmanager
def asked_alone(case):
    """In a namespace of the case's own, which is left again before another case may ask."""
    if os.geteuid() != 0 or not os.path.exists("/proc/net/ip6_flowlabel"):
        case.skip("the kernel is asked for flow labels as root only, and where it has IPv6")
    problem = flow_label.enter_namespace()
    if problem:
        case.skip(problem)
    with open(__file__, encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        deadline = time.monotonic() + PATIENCE_S
        while not flow_label.has_room(NOBODY):
            assert time.monotonic() < deadline, "flow labels are leased elsewhere on this machine"
        try:
            yield
        finally:
            flow_label.enter_namespace()


@contextlib.contextmanager
def both(case, uids, sysctls):
    settings = [f"flow_labels.{name.removeprefix('flowlabel_')}={'yes' if value else 'no'}"
                for name, value in sysctls.items()]
    with Kernel(uids, sysctls) as kernel, Manager(case.build, settings) as manager:
        yield Pair(kernel, manager)


class Pair:
    """The two, and what they have been asked."""

    def __init__(self, kernel, manager):
        self.kernel, self.manager = kernel, manager
        self.granted = []  # labels of chance: (the kernel's, wanmeter's)
        self.errors = []

    def ask(self, ask):
        """A label from -1 down is a granted one of chance."""
        number, ours = len(self.errors), ask
        if ask.label < 0:
            theirs, mine = self.granted[-1 - ask.label]
            ask, ours = (Ask(**{**vars(ask), "label": label}) for label in (theirs, mine))
        error, label = self.kernel.ask(ask)
        answer, granted = self.manager.ask(ours, self.kernel.actors[ask.actor], flow_label.now_ns(), number)
        assert answer == error, f"ask {number} {ask}: kernel {name(error)}, wanmeter {name(answer)}"
        if error == 0 and ask.action == "get" and ask.label == 0 and not ask.flags & REFLECT:
            assert 0 < granted <= 0xfffff, granted
            self.granted.append((label, granted))
        elif error == 0 and ask.action != "close":
            assert granted == ours.label, (ask, granted)
        self.errors.append(error)

    def compare_lists(self):
        before_ns = flow_label.now_ns()
        theirs = self.kernel.rows()
        early = self.manager.query(before_ns - JIFFIES_NS, "flowlabel list")
        late = self.manager.query(flow_label.now_ns() + JIFFIES_NS, "flowlabel list")
        by_kernel = {kernel: n for n, (kernel, _) in enumerate(self.granted)}
        by_us = {ours: n for n, (_, ours) in enumerate(self.granted)}
        kernel, first, last = parse(theirs, by_kernel), parse(early, by_us), parse(late, by_us)
        assert list(kernel) == list(first) == list(last), difference(kernel, first)
        for label, (fields, expires) in kernel.items():
            assert fields == first[label][0], f"{label}: kernel {fields}, wanmeter {first[label][0]}"
            assert last[label][1] <= expires <= first[label][1], (label, expires, last[label], first[label])


def parse(rows, chance):
    """{label: (fields, expires)}: those of chance, by number, after those that were asked for, which are in order."""
    found, by_chance = {}, {}
    for label, share, owner, users, linger, expires, destination, options, *_ in rows:
        into, key = (by_chance, chance[int(label, 16)]) if int(label, 16) in chance else (found, label)
        into[key] = ((share, owner, users, linger, destination, options), int(expires))
    return found | dict(sorted(by_chance.items()))


def difference(kernel, ours):
    return f"kernel has {[k for k in kernel if k not in ours]}, wanmeter {[k for k in ours if k not in kernel]}; " \
           f"{list(kernel)[:20]}, {list(ours)[:20]}"


def name(error):
    return errno.errorcode.get(error, str(error))


# --- what is sent ---

@contextlib.contextmanager
def packets_on_loopback():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IPV6)) as sent:
        sent.settimeout(5)
        sent.bind(("lo", ETH_P_IPV6))
        yield sent


def next_udp(sent):
    """The next that was sent under the lease."""
    while True:
        frame = sent.recv(2048)
        if frame[-1:] == b"x" and frame[14:18] == struct.pack("!I", 6 << 28 | LABEL):
            return frame


def labelled(kind, protocol=0):
    made = socket.socket(socket.AF_INET6, kind, protocol)
    made.setsockopt(socket.IPPROTO_IPV6, IPV6_FLOWINFO_SEND, 1)
    return made


def reply_kind(frame):
    """Of a reply to what was sent with the label: SYN-ACK, RST, echo reply; else None."""
    if frame[14 + 6] == socket.IPPROTO_TCP:
        return {SYN | ACK: "tcp", RST | ACK: "reset"}.get(frame[14 + 40 + 13])
    return "echo" if frame[14 + 40] == ECHO_REPLY else None


def headers(frame):
    """The extension headers before UDP, as hexadecimal digits; of each without its first byte, the next header."""
    found, at, following = [], 14 + 40, frame[14 + 6]
    while following != socket.IPPROTO_UDP:
        size = (frame[at + 1] + 1) * 8
        found.append(frame[at + 1:at + size].hex())
        following, at = frame[at], at + size
    return found


# --- what is asked ---

def random_ask(chance, pair):
    socket = chance.choice(["udp0", "udp0", "udp1", "udp2", "tcp0"])
    ask = Ask(actor=chance.randrange(len(UIDS)), socket=socket, label=random_label(chance, pair),
              dst=chance.choices(["2001:db8::1", "2001:db8::2", "ff02::1", "::1", "::", "::ffff:192.0.2.1", "::5"],
                                 [8, 8, 2, 1, 1, 1, 1])[0],
              share=chance.choices([ANY, USER, PROCESS, EXCL, NONE, 4, 7], [8, 6, 6, 4, 2, 1, 1])[0],
              flags=chance.choices([CREATE, 0, CREATE | EXCLUSIVE, EXCLUSIVE, REMOTE | CREATE, 0x8011, REFLECT,
                                    REFLECT | CREATE], [16, 6, 3, 1, 1, 1, 1, 1])[0],
              linger=random_seconds(chance), expires=random_seconds(chance))
    ask.action = chance.choices(["get", "put", "renew", "close"], [12, 5, 4, 1])[0]
    if ask.action == "close" and chance.random() < 0.7:
        ask.action = "put"
    if ask.action == "get" and chance.random() < 0.15:
        kinds = chance.choices(["hopopts", "rthdrdstopts", "rthdr", "dstopts"], [8, 4, 1, 1], k=chance.choice([1, 1, 2, 3]))
        ask.options = tuple((kind, chance.choices(HEADERS, [8, 1, 4, 4, 1, 1, 1, 1])[0]) for kind in kinds)
    return ask


def random_label(chance, pair):
    """Some that share a chain; 0: by chance; below: one that chance gave, where both sides' is in the same range."""
    alike = [-1 - n for n, (theirs, ours) in enumerate(pair.granted) if (theirs ^ ours) < STATELESS]
    if alike and chance.random() < 0.25:
        return chance.choice(alike)
    return chance.choice([0, 0, 1, 0x101, 0x201, 0xfff01, 0x123, 0x80123, 0x80000, 0x7ffff, 0xfffff, 0x100001, 5, 6, 7, 8])


def random_seconds(chance):
    return chance.choices([0, 3, 6, 7, 20, 100, 150, 151, 1000, 65535], [8, 2, 4, 4, 4, 4, 4, 1, 1, 1])[0]


def fill_as_nobody(pair):
    """Sockets one after the other, each as full as it gets."""
    sockets = []
    while not sockets or sockets[-1]:
        n_before = pair.errors.count(0)
        while True:
            pair.ask(Ask(actor=1, socket=f"udp{len(sockets)}"))
            if pair.errors[-1]:
                break
        sockets.append(pair.errors.count(0) - n_before)
    return sockets
