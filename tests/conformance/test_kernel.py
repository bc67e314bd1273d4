"""Every packet's verdict and every connection against the Linux kernel's own connection tracker.

Recorded: small captures with the kernel's answers. Live: the same question put to this machine's kernel, in a network
namespace of its own, for the captures of the corpus, for random sequences and for random fragments, from seeds; needs root
and nft. Both use $WANMETER_SHARED/tools/kernel (tests/README.md).
"""

import json
import random
import subprocess
import sys

from support import fragments, kernel, live_kernel, truth
from support.case import each, waits
from support.live_kernel import TOOLS

NOTHING = "(none)"
ELSEWHERE = ("--timeout-policy", "--zone-rule", "--mark-rule", "--label-rule",  # test_kernel_policies.py, _rules.py
             "--helper")  # _helpers.py


def is_elsewhere(path):
    return any(option in json.loads(path.read_text())["args"] for option in ELSEWHERE)


RECORDED = sorted(path.stem for path in (TOOLS / "vectors").glob("*.json") if not is_elsewhere(path)) or [NOTHING]
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
    live_kernel.need(case)
    if not truth.corpus():
        case.skip(f"no capture corpus at {truth.shared()}/corpus ($WANMETER_SHARED)")
    mode, _, number = mode_and_number.rpartition("-")
    compare(case, [truth.corpus() / name for name in list(truth.manifest())[int(number)::SLICES]], mode)


@waits
@each(MODES)
def test_the_live_kernel_says_the_same_of_random_sequences(case, mode):
    live_kernel.need(case)
    subprocess.run([sys.executable, TOOLS / "genfuzz.py", case.directory, str(FUZZ_FILES), "11"], check=True)
    compare(case, sorted(case.directory.glob("*.pcap")), mode)


@waits
@each(["default", "checksum"])
def test_the_live_kernel_says_the_same_of_random_fragments(case, mode):
    live_kernel.need(case)
    captures = [case.directory / f"fragments-{seed}.pcap" for seed in range(FUZZ_FILES)]
    for seed, capture in enumerate(captures):
        fragments.write(capture, random.Random(seed), FUZZ_FRAGMENTS)
    compare(case, captures, mode)


def compare(case, captures, mode):
    options, settings = MODES[mode]
    is_strict = mode == "checksum"
    sums = [0, 0, 0, 0]

    def trace(capture):
        return kernel.trace(case.build, capture, settings, is_as_captured=is_strict)

    asked = live_kernel.ask(captures, options, lambda capture, answer: kernel.differences(trace(capture), answer, is_strict))
    for capture, answer, _ in asked:
        sums = [a + b for a, b in zip(sums, kernel.agreement(trace(capture), answer, is_strict))]
    n_agree = sum(not found for _, _, found in asked)
    print(f"{n_agree} of {len(captures)} captures, {sums[0]} of {sums[1]} verdicts, {sums[2]} of {sums[3]} connections agree")
    live_kernel.assert_agreed(asked)
