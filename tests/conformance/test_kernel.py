"""Every packet's verdict and every connection against the Linux kernel's own connection tracker.

Recorded: small captures with the kernel's answers. Live: the same question put to this machine's kernel, in a network
namespace of its own, for the captures of the corpus and for random sequences from seeds; needs root and nft. Both use
$WANMETER_SHARED/tools/kernel (tests/README.md). docs/conntrack.md explains each difference listed here.
"""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys

from support import kernel, truth
from support.case import each

TOOLS = truth.shared() / "tools" / "kernel"
NOTHING = "(none)"
ELSEWHERE = ("--timeout-policy", "--zone-rule", "--mark-rule", "--label-rule",  # test_kernel_policies.py, _rules.py
             "--helper")  # _helpers.py


def is_elsewhere(path):
    return any(option in json.loads(path.read_text())["args"] for option in ELSEWHERE)


RECORDED = sorted(path.stem for path in (TOOLS / "vectors").glob("*.json") if not is_elsewhere(path)) or [NOTHING]
PARALLEL = 16  # the kernel's side mostly waits
SLICES = 4
FUZZ_FILES = 40

SETTINGS = {"--liberal": "conntrack.tcp_be_liberal=yes", "--no-loose": "conntrack.tcp_loose=no"}
CHECKSUM = "conntrack.checksum=yes"

LENGTH_0 = "an IP length of 0 (segmentation offload, BIG TCP): the kernel drops it, wanmeter bills it"
LINK = "a link layer that the kernel's side of the comparison does not read"

CORPUS_DIFFERENCES = {
    "ndpi__thrift.pcap": LENGTH_0,
    "suricata-verify__bug-4810-pppoe-session-http.pcap": LINK,
    "suricata-verify__defrag-bug-6887-defrag-ppp-ipv6-tcp-frag-ppp-ipv6-tcp.pcap": LINK,
    "tcpdump__bigtcp-ipv4.pcap": LENGTH_0,
    "tcpdump__bigtcp-ipv6.pcap": LENGTH_0,
    "tcpdump__mpls-traceroute.pcap": LINK,
    "zeek__krb-kerberos_tso.pcapng": LENGTH_0,
}


@each(RECORDED)
def test_a_recorded_answer_of_the_kernel_is_ours(case, name):
    if name == NOTHING:
        case.skip(f"no recorded answers of the kernel at {TOOLS}/vectors ($WANMETER_SHARED)")
    answer = json.loads((TOOLS / "vectors" / f"{name}.json").read_text())
    settings = [SETTINGS[word] for word in answer["args"] if word in SETTINGS]
    is_strict = "--checksum" not in answer["args"]
    ours = kernel.trace(case.build, TOOLS / "vectors" / f"{name}.pcap", [CHECKSUM] * is_strict + settings)
    found = kernel.differences(ours, answer, is_strict)
    assert not found, "\n".join(found)


@each(range(SLICES))
def test_the_live_kernel_says_the_same_of_every_capture(case, number):
    need_kernel(case)
    if not truth.corpus():
        case.skip(f"no capture corpus at {truth.shared()}/corpus ($WANMETER_SHARED)")
    captures = [truth.corpus() / name for name in list(truth.manifest())[number::SLICES]]
    answers = ask_kernel(captures, "--lenient")
    compare(case, answers, CORPUS_DIFFERENCES)


@each(["default", "--liberal", "--no-loose"])
def test_the_live_kernel_says_the_same_of_random_sequences(case, mode):
    need_kernel(case)
    subprocess.run([sys.executable, TOOLS / "genfuzz.py", case.directory, str(FUZZ_FILES), "11"], check=True)
    options = ["--checksum", "0"] + ([] if mode == "default" else [mode])
    answers = ask_kernel(sorted(case.directory.glob("*.pcap")), *options)
    compare(case, answers, {}, [SETTINGS[mode]] if mode in SETTINGS else [])


def need_kernel(case):
    if not (TOOLS / "oracle.py").exists():
        case.skip(f"no programs to ask the kernel with at {TOOLS} ($WANMETER_SHARED)")
    if os.geteuid() != 0 or not shutil.which("nft") or not os.path.exists("/dev/net/tun"):
        case.skip("the live kernel is asked as root only, with nft and /dev/net/tun")
    answer = ask_one(TOOLS / "vectors" / "tcp-normal.pcap", [])
    if "error" in answer:
        case.skip(f"this kernel cannot be asked: {answer['error']}")


def ask_one(capture, options):
    done = subprocess.run([sys.executable, TOOLS / "oracle.py", capture, "--time", "virtual", *options],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return json.loads(done.stdout) if done.stdout else {"error": done.stderr.strip()[-300:] or "no answer"}


def ask_kernel(captures, *options):
    """[(capture, answer)]; every capture has one."""
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(lambda capture: (capture, ask_one(capture, options)), captures))
    assert answers
    for capture, answer in answers:
        assert "error" not in answer, f"{capture.name}: {answer['error']}"
    return answers


def compare(case, answers, known, settings=()):
    """Prints what differs and why; fails at an unknown difference, and at a known one that is none any more."""
    surprises, n_agree = [], 0
    for capture, answer in answers:
        found = kernel.differences(kernel.trace(case.build, capture, settings), answer)
        reason = known.get(capture.name)
        n_agree += not found
        if bool(found) != bool(reason):
            surprises.append(f"{capture.name}: " + ("; ".join(found[:3]) or f"agrees now, though: {reason}"))
        elif found:
            print(f"{capture.name}: {len(found)} differences, known: {reason}")
    print(f"{n_agree} of {len(answers)} captures agree in every verdict and connection")
    assert not surprises, "\n".join(surprises)
