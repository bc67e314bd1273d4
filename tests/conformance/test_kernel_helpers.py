"""Helpers against the Linux kernel's: what is RELATED to what, in recorded cases, real captures, and made-up ones.

Recorded: the kernel's answers to captures with '--helper'. Live: this machine's kernel, as in test_kernel.py, is given
the same helpers and the captures of the corpus that have control connections, one talk of every kind, and many talks at
a time whose packets were lost, doubled, swapped and garbled. Compared: every packet's verdict, and every connection
with its status, master and mark.
"""

import json

from conformance.test_kernel import CHECKSUM
from support import capture, control, kernel, live_kernel, truth
from support.case import each, waits
from support.live_kernel import TOOLS

NOTHING = "(none)"
RECORDED = sorted(path.stem for path in (TOOLS / "vectors").glob("*.json")
                  if '"--helper"' in path.read_text()) or [NOTHING]
IPV4 = ["ftp:21", "tftp:69", "sip:udp:5060", "irc:6667", "pptp:1723", "amanda:10080"]
IPV6 = ["ftp:21@ip6", "tftp:69@ip6", "sip:udp:5060@ip6", "amanda:10080@ip6"]
EVERY_HELPER = [word for helper in IPV4 + IPV6 for word in ("--helper", helper)]
CORPUS = ["zeek__ftp-ipv4.pcap", "zeek__ftp-ipv6.pcap", "ndpi__ftp.pcap", "suricata-verify__ftp-epsv.pcap",
          "suricata-verify__ftp-ftp-download-active.pcap", "suricata-verify__ftp-ftp-download-passive.pcap",
          "suricata-verify__output-eve-tftp-01.pcap", "zeek__irc-dcc-send.pcapng", "ndpi__sip.pcap",
          "tcpdump__pptp.pcap"]
SEEDS = range(12)
TALKS = 40
SIP_TIMEOUT = 3600
SLOW_TICKS = (5000 * control.MILLISECOND, 40_000 * control.MILLISECOND)
# The kernel's fragments wait in real time, and the oracle does not see that a registration lasts longer.
KINDS_OF_PACKET_TIME = [kind for kind in control.KINDS if "fragments" not in kind and kind != "sip registration"]

USED_UP = "an expectation of UDP that fits many tuples is not used up by the first (docs/conntrack.md)"


@each(RECORDED)
def test_a_recorded_answer_with_helpers_is_ours(case, name):
    if name == NOTHING:
        case.skip(f"no recorded answers of the kernel at {TOOLS}/vectors ($WANMETER_SHARED)")
    answer = json.loads((TOOLS / "vectors" / f"{name}.json").read_text())
    rules = 'rules: [{match: tcp dst port 21, state: new, ct: "commit,mark=0x77"}]\n'
    config = case.write("helpers.yaml", control.HELPERS + (rules if "--mark-rule" in answer["args"] else ""))
    found = kernel.differences(kernel.trace(case.build, TOOLS / "vectors" / f"{name}.pcap", [CHECKSUM], config), answer)
    assert not found, "\n".join(found)


@waits
def test_the_live_kernel_expects_the_same_in_real_captures(case):
    live_kernel.need(case)
    if not truth.corpus():
        case.skip(f"no capture corpus at {truth.shared()}/corpus ($WANMETER_SHARED)")
    compare(case, [truth.corpus() / name for name in CORPUS], "--lenient")


@waits
@each(control.KINDS)
def test_the_live_kernel_expects_the_same_in_a_talk_of_each_kind(case, kind):
    live_kernel.need(case)
    talk = control.talk_of(kind)
    capture.write_pcap(case.directory / "talk.pcap", talk.packets)
    answer, = compare(case, [case.directory / "talk.pcap"])
    n_expected = sum("EXPECTED" in connection["status"] for connection in answer["connections"])
    assert n_expected == len(talk.related), (n_expected, talk.related)


@waits
@each(SEEDS)
def test_the_live_kernel_expects_the_same_in_disturbed_talks(case, seed):
    live_kernel.need(case)
    packets, _ = control.talks(seed, TALKS)
    capture.write_pcap(case.directory / "talks.pcap", control.disturbed(packets, seed))
    compare(case, [case.directory / "talks.pcap"], "--checksum", "0")


@waits
@each(range(2))
def test_the_live_kernel_expects_the_same_in_talks_that_run_into_timeouts(case, seed):
    live_kernel.need(case)
    packets, _ = control.talks(seed, 10, SLOW_TICKS, KINDS_OF_PACKET_TIME)
    capture.write_pcap(case.directory / "talks.pcap", control.disturbed(packets, seed))
    compare(case, [case.directory / "talks.pcap"], "--checksum", "0")


def compare(case, captures, *options):
    """The answers of the live kernel; fails at a difference."""
    config = case.write("helpers.yaml", control.HELPERS)
    settings = [] if options else [CHECKSUM]
    used_up = {}

    def differences(path, answer):
        ours = kernel.trace(case.build, path, settings, config)
        used_up[path] = make_comparable(ours, answer)
        return kernel.differences(ours, answer)

    asked = live_kernel.ask(captures, [*options, *EVERY_HELPER, "--pkt-conn"], differences)
    for path, answer, found in asked:
        n_expected = sum("EXPECTED" in connection["status"] for connection in answer["connections"])
        print(f"{path.name}: {len(answer['connections'])} connections, {n_expected} expected, {len(found)} differences"
              f" and {used_up[path]} known: {USED_UP}")
    live_kernel.assert_agreed(asked)
    return [answer for _, answer, _ in asked]


def make_comparable(ours, answer):
    """Takes out of the kernel's answer what is known to differ; how many connections that were."""
    # A packet that a helper would drop had its effect before.
    answer["verdicts"] = "".join(letter if letter == "x" else letter.upper() for letter in answer["verdicts"])
    used_up = 0
    for number, (mine, theirs) in enumerate(zip(ours["connections"], answer["connections"])):
        if theirs.get("timeout") == SIP_TIMEOUT - 1:
            theirs["timeout"] = SIP_TIMEOUT  # the kernel's seconds are cut, and the oracle does not know this number
        if "EXPECTED" not in mine["status"] or "EXPECTED" in theirs["status"] or mine["proto"] != "udp":
            continue
        if any(is_twin(mine, other) for other in answer["connections"][:number]):
            theirs.update(status=[*theirs["status"], "EXPECTED"], master=mine["master"], mark=mine["mark"])
            answer["verdicts"] = "".join(
                "R" if connection == number and letter == "N" else letter
                for letter, connection in zip(answer["verdicts"], answer["pkt_conn"]))
            used_up += 1
    return used_up


def is_twin(mine, other):
    """Did the kernel use up for 'other' what fits 'mine' too?"""
    return (other.get("master") == mine["master"] and other["proto"] == mine["proto"] and
            other["orig"][2:] == mine["orig"][2:])
