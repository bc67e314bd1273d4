"""Timeout policies given by rules: every connection's last timeout is the kernel's.

Recorded answers, and the live kernel on captures of the corpus and on random sequences, as in test_kernel.py. There the
policies are attached with 'iptables -j CT --timeout', here by a rule: both before a connection's first packet is judged.
"""

import json
import subprocess
import sys

from conformance import test_kernel
from support import kernel, live_kernel, truth
from support.case import each, waits
from support.live_kernel import TOOLS

OPTION = "--timeout-policy"
RECORDED = [path.stem for path in sorted((TOOLS / "vectors").glob("*.json"))
            if OPTION in json.loads(path.read_text())["args"]] or [test_kernel.NOTHING]
STRIDE = 6  # of the corpus: every so many captures
FUZZ_FILES = 40

# Every number is another one, none near another, or near a default: what the kernel says is left is rounded up to them.
TCP = ("syn_sent=36,syn_recv=40,established=5000,fin_wait=44,close_wait=48,last_ack=52,time_wait=56,close=15,"
       "syn_sent2=67,retrans=71,unacknowledged=75")
SCTP = ("closed=19,cookie_wait=23,cookie_echoed=27,established=307,shutdown_sent=79,shutdown_recd=83,"
        "shutdown_ack_sent=87,heartbeat_sent=91")
POLICIES = [
    f"t:tcp:{TCP}", f"t6:tcp:{TCP}", "u:udp:unreplied=95,replied=240", "u6:udp:unreplied=99,replied=244",
    "i:icmp:timeout=103", "i6:icmpv6:timeout=107", f"s:sctp:{SCTP}", "g:gre:unreplied=111,replied=248",
    "l:udplite:unreplied=115,replied=252", "e:generic:timeout=127@-p 50", "e6:generic:timeout=131@-p 50",
]
SHORT = [  # connections end and begin again
    "t:tcp:syn_sent=15,established=52,fin_wait=20,close=6", "u:udp:unreplied=15,replied=25", "i:icmp:timeout=15",
    "s:sctp:closed=15,established=40", "g:gre:unreplied=15,replied=25", "u6:udp:unreplied=15,replied=25",
]
ZERO = ["t:tcp:syn_recv=0,close=0,time_wait=0", "u:udp:unreplied=0", "i:icmp:timeout=0", "s:sctp:closed=0",
        "u6:udp:replied=0", "g:gre:replied=0"]
FILTERS = {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "icmpv6": "icmp6", "sctp": "sctp", "gre": "proto 47",
           "udplite": "proto 136", "generic": "proto 50"}


@each(RECORDED)
def test_a_recorded_answer_with_policies_is_ours(case, name):
    if name == test_kernel.NOTHING:
        case.skip(f"no recorded answers of the kernel at {TOOLS}/vectors ($WANMETER_SHARED)")
    answer = json.loads((TOOLS / "vectors" / f"{name}.json").read_text())
    words = answer["args"]
    policies = [words[i + 1] for i, word in enumerate(words) if word == OPTION]
    ours = trace(case, TOOLS / "vectors" / f"{name}.pcap", policies)
    found = kernel.differences(ours, answer)
    assert not found, "\n".join(found)


@waits
@each(["every", "short"])
def test_the_live_kernel_gives_every_capture_the_same_timeouts(case, kind):
    live_kernel.need(case)
    if not truth.corpus():
        case.skip(f"no capture corpus at {truth.shared()}/corpus ($WANMETER_SHARED)")
    captures = [truth.corpus() / name for name in list(truth.manifest())[{"every": 0, "short": 3}[kind]::STRIDE]]
    compare(case, captures, {"every": POLICIES, "short": SHORT}[kind], "--lenient")


@waits
@each(["every", "short"])
def test_the_live_kernel_gives_random_sequences_the_same_timeouts(case, kind):
    live_kernel.need(case)
    subprocess.run([sys.executable, TOOLS / "genfuzz.py", case.directory, str(FUZZ_FILES),
                    {"every": "23", "short": "24"}[kind]], check=True)
    compare(case, sorted(case.directory.glob("*.pcap")), {"every": POLICIES, "short": SHORT}[kind], "--checksum", "0")


@waits
def test_the_live_kernel_ends_what_has_a_timeout_of_zero_at_once(case):
    """Verdicts only: what ended at once has no counters left that could be read."""
    live_kernel.need(case)
    subprocess.run([sys.executable, TOOLS / "genfuzz.py", case.directory, str(FUZZ_FILES), "25"], check=True)

    def differences(capture, answer):
        found = kernel.differences(trace(case, capture, ZERO), dict(answer, connections=[]))
        return [line for line in found if line.startswith("packet")]

    asked = ask(sorted(case.directory.glob("*.pcap")), ZERO, differences, "--checksum", "0")
    print(f"{sum(len(answer['verdicts']) for _, answer, _ in asked)} verdicts")
    live_kernel.assert_agreed(asked)


def ask(captures, policies, differences, *options):
    words = [word for policy in policies for word in (OPTION, policy)]
    return live_kernel.ask(captures, ["--nfct", *words, *options], differences)


def compare(case, captures, policies, *options):
    asked = ask(captures, policies, lambda capture, answer: kernel.differences(trace(case, capture, policies), answer), *options)
    n_connections = sum(len(answer["connections"]) for _, answer, _ in asked)
    print(f"{sum(not found for _, _, found in asked)} of {len(asked)} captures agree, {n_connections} connections")
    assert n_connections > 0
    live_kernel.assert_agreed(asked)


def trace(case, capture, policies):
    return kernel.trace(case.build, capture, config=case.write("policies.yaml", configuration(policies)))


def configuration(policies):
    """NAME:L4:VALUE=SECONDS,…[@MATCH] each; a NAME that ends in 6 is of IPv6."""
    declared, rules = "timeout_policies:\n", "rules:\n"
    for policy in policies:
        name, protocol, values = policy.partition("@")[0].split(":")
        family = "6" if name.endswith("6") else ""
        pairs = ", ".join(f"{key}: {seconds}s" for key, seconds in (word.split("=") for word in values.split(",")))
        declared += f"  - {{name: {name}, l3: inet{family}, l4: {protocol}, values: {{{pairs}}}}}\n"
        expression = FILTERS[protocol]
        match = f"ip{family} {expression}" if expression.startswith("proto") else f"ip{family} and {expression}"
        rules += f"  - {{match: '{match}', ct: 'commit,timeout={name}'}}\n"
    return declared + rules
