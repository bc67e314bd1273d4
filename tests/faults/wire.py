"""wire: a mirror port of the test's own, and a sender that keeps a pace.

    wire.lay(case)                              mirror0 -- mirror1, in a namespace of this process; may skip
    with wire.Sender(packets, per_second=20_000) as sender: …       sends in the background, again and again
    sender.usage()                              what it has sent, as load.usage() has it
"""

import itertools
import socket
import threading
import time

from faults import load
from support import network

CHUNK_S = 0.005


def lay(case):
    problem = network.enter()
    if problem:
        case.skip(problem)
    network.make_veth("mirror0", "mirror1")


class Sender:
    def __init__(self, packets, per_second):
        self.packets, self.per_second = packets, per_second
        self.n_sent = 0
        self.is_stopped = False
        self.error = None
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.is_stopped = True
        self.thread.join()
        if self.error:
            raise self.error

    def sent(self):
        """Each of them once."""
        return self.packets[:self.n_sent]

    def usage(self):
        n_times, rest = divmod(self.n_sent, len(self.packets))
        sums = load.usage(self.packets[:rest])
        for key, amounts in load.usage(self.packets).items() if n_times else ():
            load.add(sums, key, tuple(n_times * amount for amount in amounts))
        return sums

    def _run(self):
        try:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(network.ETH_P_ALL)) as out:
                out.bind(("mirror1", 0))
                self._send_all(out)
        except OSError as error:
            self.error = error

    def _send_all(self, out):
        started = time.monotonic()
        for packet in itertools.cycle(self.packets):
            if self.is_stopped:
                return
            out.send(packet.frame)
            self.n_sent += 1
            ahead_s = self.n_sent / self.per_second - (time.monotonic() - started)
            if ahead_s > CHUNK_S:
                time.sleep(ahead_s)
