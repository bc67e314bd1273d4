"""Timeout policies: the same commands to the Linux kernel and to the tracker's module, the same results.

The kernel is that of a network namespace of the test's own, asked over netlink (tests/support/cttimeout.py), where all
it can be asked can be said; test_timeout_nfct.py compares what people type.
"""

import json
import random
import shutil
import subprocess

from support import cttimeout, network
from support.case import each

SEEDS = range(1, 9)
COMMANDS = 3000
NAMES = [f"p{n}" for n in range(12)] + ["a" * 31, "b" * 32]
SECONDS = [0, 1, 2, 7, 100, 600, 432000, 8589934, 8589935, 17179868, 17179869, 17179870, 2**31 - 1, 2**31, 2**32 - 1]
PROTOCOLS = [*cttimeout.VALUES, "17", "6", "0", "2", "33", "50", "99", "254"]

CASES = """\
timeout new p1 inet tcp syn_sent=11 established=33
timeout get p1
timeout new p1 inet tcp syn_sent=12
timeout new p1 inet tcp exclusive syn_sent=12
timeout replace p1 inet udp unreplied=12
timeout replace p1 inet6 tcp syn_sent=12
timeout replace p1 inet tcp syn_recv=22
timeout get p1
timeout new p8 inet tcp
timeout get p8
timeout new q1 inet 1 timeout=7
timeout new q2 inet 2 timeout=7
timeout new q6 inet 6 syn_sent=7
timeout new q17 inet 17 unreplied=7
timeout new q33 inet 33 timeout=7
timeout new q47 inet 47 unreplied=7
timeout new q50 inet 50 timeout=7
timeout new q58 inet 58 timeout=7
timeout new q132 inet 132 closed=7
timeout new q136 inet 136 unreplied=7
timeout new q255 inet 255 timeout=7
timeout list
timeout new aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa inet tcp syn_sent=1
timeout new bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb inet tcp syn_sent=1
timeout new ccccccccccccccccccccccccccccccccc inet tcp syn_sent=1
timeout new zero inet udp unreplied=0
timeout get zero
timeout new huge inet udp unreplied=4294967295
timeout get huge
timeout get nope
timeout delete nope
timeout default get inet tcp
timeout default get inet 33
timeout default set inet tcp established=777
timeout default get inet6 tcp
timeout get p1
timeout new after inet tcp
timeout get after
timeout default set inet6 udp unreplied=44
timeout default get inet udplite
timeout default set inet generic timeout=601
timeout default get inet generic
timeout default set inet 99 timeout=601
use p1
timeout list
timeout delete p1
timeout replace p1 inet tcp syn_sent=55
timeout get p1
timeout flush
timeout list
"""


def test_the_known_cases_give_the_kernels_results(case):
    compare(case, CASES.splitlines())


@each(SEEDS)
def test_random_commands_give_the_kernels_results(case, seed):
    compare(case, list(script(random.Random(seed))))


def script(chance):
    """Some of everything; after each command the policies, or the defaults, that it may have changed."""
    for n in range(COMMANDS):
        name, family, protocol = chance.choice(NAMES), chance.choice(["inet", "inet6"]), chance.choice(PROTOCOLS)
        verb = chance.choices(["new", "new x", "replace", "delete", "default set", "flush", "use"],
                              [40, 10, 20, 20, 10, 0.2, 0.1])[0]
        values = " ".join(some_values(chance, protocol))
        yield {
            "new": f"timeout new {name} {family} {protocol} {values}",
            "new x": f"timeout new {name} {family} {protocol} exclusive {values}",
            "replace": f"timeout replace {name} {family} {protocol} {values}",
            "delete": f"timeout delete {name}",
            "default set": f"timeout default set {family} {protocol} {values}",
            "flush": "timeout flush",
            "use": f"use {chance.choice(NAMES[:12])}",
        }[verb].strip()
        yield f"timeout default get {family} {protocol}" if verb == "default set" else f"timeout get {name}"
        if n % 50 == 0:
            yield "timeout list"
    yield "timeout list"


def some_values(chance, protocol):
    number = cttimeout.protocol_number(protocol)
    names = cttimeout.names_of(number) or ["timeout"]
    for name in chance.sample(names, chance.randint(0, len(names))):
        seconds = chance.choice(SECONDS) if chance.random() < 0.7 else chance.randrange(2**32)
        yield f"{name}={seconds}"


def compare(case, lines):
    kernel = open_kernel(case)
    theirs, done = [], []
    for line in lines:
        answer = use(kernel, line.split()[1]) if line.startswith("use") else kernel.ask(line)
        if answer is not None:
            theirs.append((answer[0], answer[1]))
            done.append(line)
    ours = run_module(case, done)
    assert len(ours) == len(theirs) == len(done)
    for n, (line, mine, their) in enumerate(zip(done, ours, theirs)):
        assert mine == their, f"command {n}, {line!r}: kernel {their}, wanmeter {mine}\n" + \
            "\n".join(done[max(0, n - 10):n + 1])
    errors = sorted({error for error, _ in theirs})
    print(f"{len(done)} commands, errno {errors}: the kernel's results")


def open_kernel(case):
    problem = network.enter() or cttimeout.why_not()
    if problem:
        case.skip(f"the kernel cannot be asked: {problem}")
    if not shutil.which("iptables") or not shutil.which("ip6tables"):
        case.skip("no iptables, with which a rule would use a policy")
    return cttimeout.Kernel()


def use(kernel, name):
    """Makes a rule that names the policy; None: it is of no kind that a rule can name, or there is none."""
    error, rows = kernel.ask(f"timeout get {name}")
    if error:
        return error, []
    _, family, protocol, _, _ = rows[0]
    if (family, protocol) in (("inet", "icmpv6"), ("inet6", "icmp")):
        return None
    program = "iptables" if family == "inet" else "ip6tables"
    number = "50" if protocol == "generic" else str(cttimeout.protocol_number(protocol))
    subprocess.run([program, "-t", "raw", "-A", "PREROUTING", "-p", number, "-j", "CT", "--timeout", name], check=True)
    return 0, []


def run_module(case, lines):
    done = subprocess.run([case.build / "tests" / "support" / "timeout_script"], input="\n".join(lines) + "\n",
                          stdout=subprocess.PIPE, text=True, check=True)
    return [(answer["error"], answer["rows"]) for answer in map(json.loads, done.stdout.splitlines())]
