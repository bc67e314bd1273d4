"""Every packet's verdict and every connection against the Linux kernel's own connection tracker.

Recorded: small captures with the kernel's answers. Live: the same question put to this machine's kernel, in a network
namespace of its own, for the captures of the corpus, for random sequences and for random fragments, from seeds; needs root
and nft. Both use $WANMETER_SHARED/tools/kernel (tests/README.md).
"""

import concurrent.futures
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support import fragments, kernel, truth, unwrap
from support.case import each, waits

TOOLS = truth.shared() / "tools" / "kernel"
NOTHING = "(none)"
ELSEWHERE = ("--timeout-policy", "--zone-rule", "--mark-rule", "--label-rule",  # test_kernel_policies.py, _rules.py
             "--helper")  # _helpers.py


def is_elsewhere(path):
    return any(option in json.loads(path.read_text())["args"] for option in ELSEWHERE)


RECORDED = sorted(path.stem for path in (TOOLS / "vectors").glob("*.json") if not is_elsewhere(path)) or [NOTHING]
PARALLEL = 16  # the kernel's side mostly waits
SLICES = 4
FUZZ_FILES, FUZZ_FRAGMENTS = 40, 300

SETTINGS = {"--liberal": "conntrack.tcp_be_liberal=yes", "--no-loose": "conntrack.tcp_loose=no"}
CHECKSUM = "conntrack.checksum=yes"

# What the kernel is asked with, and wanmeter. Lenient: with right IP header checksums, and what a snap length cut off as
# zeros; checksum: as it is.
MODES = {
    "default": (["--lenient"], []),
    "liberal": (["--lenient", "--liberal"], [SETTINGS["--liberal"]]),
    "no-loose": (["--lenient", "--no-loose"], [SETTINGS["--no-loose"]]),
    "checksum": ([], [CHECKSUM]),
}

# Of a PPPoE session with compressed protocol numbers, of PPP with them, of MPLS in PPP: what asks the kernel does not read
# these, so it is given the packets in them, on an Ethernet.
UNWRAPPED = {
    "suricata-verify__bug-4810-pppoe-session-http.pcap",
    "suricata-verify__defrag-bug-6887-defrag-ppp-ipv6-tcp-frag-ppp-ipv6-tcp.pcap",
    "tcpdump__mpls-traceroute.pcap",
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


@waits
@each([f"{mode}-{number}" for mode in MODES for number in range(SLICES)])
def test_the_live_kernel_says_the_same_of_every_capture(case, mode_and_number):
    need_kernel(case)
    if not truth.corpus():
        case.skip(f"no capture corpus at {truth.shared()}/corpus ($WANMETER_SHARED)")
    mode, _, number = mode_and_number.rpartition("-")
    compare(case, [truth.corpus() / name for name in list(truth.manifest())[int(number)::SLICES]], mode)


@waits
@each(MODES)
def test_the_live_kernel_says_the_same_of_random_sequences(case, mode):
    need_kernel(case)
    subprocess.run([sys.executable, TOOLS / "genfuzz.py", case.directory, str(FUZZ_FILES), "11"], check=True)
    compare(case, sorted(case.directory.glob("*.pcap")), mode)


@waits
@each(["default", "checksum"])
def test_the_live_kernel_says_the_same_of_random_fragments(case, mode):
    need_kernel(case)
    captures = [case.directory / f"fragments-{seed}.pcap" for seed in range(FUZZ_FILES)]
    for seed, capture in enumerate(captures):
        fragments.write(capture, random.Random(seed), FUZZ_FRAGMENTS)
    compare(case, captures, mode)


def need_kernel(case):
    if not (TOOLS / "oracle.py").exists():
        case.skip(f"no programs to ask the kernel with at {TOOLS} ($WANMETER_SHARED)")
    if os.geteuid() != 0 or not shutil.which("nft") or not os.path.exists("/dev/net/tun"):
        case.skip("the live kernel is asked as root only, with nft and /dev/net/tun")
    answer = ask_one(TOOLS / "vectors" / "tcp-normal.pcap", [])
    if "error" in answer:
        case.skip(f"this kernel cannot be asked: {answer['error']}")


def ask_one(capture, options):
    with tempfile.TemporaryDirectory() as directory:
        if capture.name in UNWRAPPED:
            capture = unwrap.unwrap(capture, Path(directory) / capture.name)
        return ask(capture, options)


def ask(capture, options):
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


def compare(case, captures, mode):
    options, settings = MODES[mode]
    is_strict = mode == "checksum"
    surprises, n_agree, sums = [], 0, [0, 0, 0, 0]
    for capture, answer in ask_kernel(captures, *options):
        ours = kernel.trace(case.build, capture, settings, is_as_captured=is_strict)
        found = kernel.differences(ours, answer, is_strict)
        if found:
            answer = ask_one(capture, options)  # alone: the 2 s of a UDP stream are of its own clock, and others slow it
            found = kernel.differences(ours, answer, is_strict)
        sums = [a + b for a, b in zip(sums, kernel.agreement(ours, answer, is_strict))]
        n_agree += not found
        if found:
            surprises.append(f"{capture.name}: " + "; ".join(found[:3]))
    print(f"{n_agree} of {len(captures)} captures, {sums[0]} of {sums[1]} verdicts, {sums[2]} of {sums[3]} connections agree")
    assert not surprises, "\n".join(surprises)
