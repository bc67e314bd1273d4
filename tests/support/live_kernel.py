"""live_kernel: this machine's kernel is asked what it makes of captures, each in a network namespace of its own.

    live_kernel.need(case)                                        skips the case where the kernel cannot be asked
    asked = live_kernel.ask(captures, options, differences)       [(capture, answer, what differs)], in order
    live_kernel.assert_agreed(asked)

'differences(capture, answer)' is a list, empty where both say the same. Captures are asked several at a time. One that
differs is asked again, alone: the two seconds after which the kernel calls a UDP stream assured are of the kernel's own
clock, which goes on while others work, and in captures of the corpus a stream's packets come as little as 6 ms before them.
What the kernel truly judges otherwise it judges so every time.
"""

import concurrent.futures
import fcntl
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support import truth, unwrap

TOOLS = truth.shared() / "tools" / "kernel"
PARALLEL = 16  # the kernel's side mostly waits
TRIES_ALONE = 4

# Of a PPPoE session with compressed protocol numbers, of PPP with them, of MPLS in PPP: what asks the kernel does not read
# these, so it is given the packets in them, on an Ethernet.
UNWRAPPED = {
    "suricata-verify__bug-4810-pppoe-session-http.pcap",
    "suricata-verify__defrag-bug-6887-defrag-ppp-ipv6-tcp-frag-ppp-ipv6-tcp.pcap",
    "tcpdump__mpls-traceroute.pcap",
}


def need(case):
    if not (TOOLS / "oracle.py").exists():
        case.skip(f"no programs to ask the kernel with at {TOOLS} ($WANMETER_SHARED)")
    if os.geteuid() != 0 or not shutil.which("nft") or not os.path.exists("/dev/net/tun"):
        case.skip("the live kernel is asked as root only, with nft and /dev/net/tun")
    answer = ask_one(TOOLS / "vectors" / "tcp-normal.pcap", [])
    if "error" in answer:
        case.skip(f"this kernel cannot be asked: {answer['error']}")


def ask(captures, options, differences):
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(lambda capture: ask_one(capture, options), captures))
    assert answers
    return [judge(capture, answer, options, differences) for capture, answer in zip(captures, answers)]


def judge(capture, answer, options, differences):
    found = checked(capture, answer, differences)
    for _ in range(TRIES_ALONE):
        if not found:
            break
        answer = ask_alone(capture, options)
        found = checked(capture, answer, differences)
    return capture, answer, found


def checked(capture, answer, differences):
    assert "error" not in answer, f"{capture.name}: {answer['error']}"
    return differences(capture, answer)


def assert_agreed(asked):
    surprises = [f"{capture.name}: " + "; ".join(found[:3]) for capture, _, found in asked if found]
    assert not surprises, "\n".join(surprises)


def ask_one(capture, options, prefix=()):
    with tempfile.TemporaryDirectory() as directory:
        if capture.name in UNWRAPPED:
            capture = unwrap.unwrap(capture, Path(directory) / capture.name)
        done = subprocess.run([*prefix, sys.executable, TOOLS / "oracle.py", capture, "--time", "virtual", *options],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return json.loads(done.stdout) if done.stdout else {"error": done.stderr.strip()[-300:] or "no answer"}


def ask_alone(capture, options):
    """One at a time of all cases that run, and before all other work of the machine where that is permitted."""
    with open(TOOLS / "oracle.py") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return ask_one(capture, options, urgently())


@functools.cache
def urgently():
    words = ["chrt", "--fifo", "1"]
    may = shutil.which(words[0]) and subprocess.run([*words, "true"], stderr=subprocess.DEVNULL).returncode == 0
    return words if may else []
