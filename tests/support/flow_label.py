"""flow_label: leases of IPv6 flow labels, from the Linux kernel and from wanmeter's manager, in the same words.

    enter_namespace()
    with Kernel([0, 0, 65534]) as kernel, Manager(build, settings) as manager:    uids of the actors
        ask = Ask(actor=2, socket="udp1", action="get", label=0x123, dst="2001:db8::1", share=1, flags=1, …)
        kernel.ask(ask)      (errno, label)
        manager.ask(ask, kernel.actors[2], seed)
        kernel.rows(), manager.query(time_ns, "flowlabel list")

Linux's side: the socket option IPV6_FLOWLABEL_MGR (include/uapi/linux/in6.h, struct in6_flowlabel_req).
"""

import ctypes
import dataclasses
import os
import pickle
import socket
import struct
import subprocess
import time

IPV6_FLOWLABEL_MGR = 32
ACTIONS = {"get": 0, "put": 1, "renew": 2}
CREATE, EXCLUSIVE, REFLECT, REMOTE = 1, 2, 4, 8
NONE, EXCL, PROCESS, USER, ANY = 0, 1, 2, 3, 255
STATELESS = 0x80000
OPTION_TYPES = {"hopopts": 54, "rthdrdstopts": 55, "rthdr": 57, "dstopts": 59}  # of control messages: IPV6_HOPOPTS, …
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclasses.dataclass
class Ask:
    actor: int = 0
    socket: str = "udp0"
    action: str = "get"
    label: int = 0
    dst: str = "2001:db8::1"
    share: int = ANY
    flags: int = CREATE
    linger: int = 0
    expires: int = 0
    options: tuple = ()  # (name, bytes)

    def words(self):
        if self.action == "close":
            return f"flowlabel put all holder={self.holder()}"
        words = f"flowlabel {self.action} {self.label} dst={self.dst} share={self.share} flags={self.flags} " \
                f"linger={self.linger} expires={self.expires} holder={self.holder()} protocol={self.socket[:3]}"
        return " ".join([words] + [f"{name}={value.hex()}" for name, value in self.options])

    def holder(self):
        return f"{self.actor}-{self.socket}"

    def request(self):
        messages = b"".join(control_message(OPTION_TYPES[name], value) for name, value in self.options)
        return socket.inet_pton(socket.AF_INET6, self.dst) + struct.pack("!I", self.label) + struct.pack(
            "=BBHHHI", ACTIONS[self.action], self.share, self.flags, self.expires, self.linger, 0) + messages


def control_message(kind, value):
    size = 16 + len(value)
    return struct.pack("=QII", size, socket.IPPROTO_IPV6, kind) + value + bytes(-size % 8)


class Sockets:
    """What one process of the kernel's side has; sockets are opened when first named."""

    def __init__(self):
        self.open = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.open.values():
            each.close()

    def get(self, name):
        if name not in self.open:
            kind = socket.SOCK_STREAM if name.startswith("tcp") else socket.SOCK_DGRAM
            self.open[name] = socket.socket(socket.AF_INET6, kind)
        return self.open[name]

    def ask(self, ask):
        if ask.action == "close":
            self.get(ask.socket).close()
            del self.open[ask.socket]
            return 0, 0
        request = bytearray(ask.request())
        memory = (ctypes.c_char * len(request)).from_buffer(request)
        failed = LIBC.setsockopt(self.get(ask.socket).fileno(), socket.IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, memory,
                                 len(request))
        return (ctypes.get_errno() if failed else 0), struct.unpack_from("!I", request, 16)[0]


def enter_namespace():
    """Moves this process to a new network namespace. An error text, or None."""
    if LIBC.unshare(CLONE_NEWNET) != 0:
        return f"no network namespace: {os.strerror(ctypes.get_errno())}"
    return None


def has_room(uid):
    """Whether half of all labels are free, over all namespaces: only then that user may have a second."""
    pid = os.fork()
    if pid == 0:
        problem = enter_namespace()
        os.setresuid(uid, uid, uid)
        with Sockets() as sockets:
            errors = [sockets.ask(Ask())[0] for _ in range(2)]
        os._exit(1 if problem or any(errors) else 0)
    return os.waitpid(pid, 0)[1] == 0


class Kernel:
    """Processes that ask the kernel, in the network namespace of this one."""

    def __init__(self, uids, sysctls=()):
        self.uids, self.sysctls = uids, dict(sysctls)
        self.actors, self.pipes = [], []

    def __enter__(self):
        for name, value in self.sysctls.items():
            with open(f"/proc/sys/net/ipv6/{name}", "w", encoding="ascii") as file:
                file.write(str(value))
        for uid in self.uids:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            pid = os.fork()
            if pid == 0:
                for other in [ours, *self.pipes]:
                    other.close()
                act(theirs, uid)
            theirs.close()
            self.pipes.append(ours)
            self.actors.append((pid, uid))
        return self

    def __exit__(self, *_):
        for pipe in self.pipes:
            pipe.close()
        for pid, _ in self.actors:
            os.waitpid(pid, 0)

    def ask(self, ask):
        self.pipes[ask.actor].send(pickle.dumps(ask))
        return pickle.loads(self.pipes[ask.actor].recv(4096))

    def rows(self):
        with open("/proc/net/ip6_flowlabel", encoding="ascii") as file:
            return [row.split() for row in file.read().splitlines()[1:]]


def act(pipe, uid):
    """A process of the kernel's side: does not return."""
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    sockets = Sockets()
    while message := pipe.recv(65536):
        pipe.send(pickle.dumps(sockets.ask(pickle.loads(message))))
    os._exit(0)


class Manager:
    """wanmeter's manager, by tests/support/flow_label_trace.c."""

    def __init__(self, build, settings=()):
        self.command = [build / "tests" / "support" / "flow_label_trace"]
        for setting in settings:
            self.command += ["-s", setting]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        status = self.process.wait()
        assert kind or status == 0, status

    def ask(self, ask, actor, time_ns, seed=1):
        """(errno, label)"""
        pid, uid = actor
        self.put(f"ask {time_ns} {pid} {uid} {seed} {ask.words()}")
        error, _, answer = self.process.stdout.readline().strip().partition(" ")
        return int(error), int(answer, 16) if answer.startswith("0x") else 0

    def query(self, time_ns, words):
        """A list of the values of each row."""
        self.put(f"query {time_ns} {words}")
        rows = []
        while row := self.process.stdout.readline().rstrip("\n"):
            rows.append(row.split(" "))
        return rows

    def put(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


def now_ns():
    return time.monotonic_ns()
