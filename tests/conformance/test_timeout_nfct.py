"""Timeout policies as people ask for them: the same script typed for nfct and for 'wanmeter timeout' of a live run.

Both in one network namespace of the test's own: nfct talks to its kernel, wanmeter to the daemon that listens on its
interface. What is printed, whether it failed, and with which error, are the same.
"""

import os
import random
import re
import shutil
import subprocess
import threading

from integration import test_live
from support import cttimeout, network, traffic
from support.case import each

CONFIG = """\
sources:
  - interface: mirror0
run_directory: {directory}
tracker: {{shards: 2}}
timeout_policies:
  - {{name: used, l4: udp, values: {{unreplied: 11s}}}}
rules:
  - {{match: udp, ct: "commit,timeout=used"}}
"""
CASES = """\
list
new t1 inet tcp established=100 close=4 close_wait=4
new t1 inet tcp established=100
new t1 inet udp unreplied=100
get t1
list
new t2 inet dccp request=5
new t3 inet generic timeout=5
new t4 inet6 icmpv6 timeout=0
new t5 inet6 icmp timeout=4294967295
new t6 inet sctp cookie_wait=4
new t7 inet gre bogus=4
get t5
delete t1
delete t1
get t1
delete used
default set inet udp unreplied=20
default get inet udp
default get inet6 udplite
default set inet dccp request=5
default get inet dccp
default set inet tcp syn_sent=1 retrans=3 unacknowledged=4
default get inet tcp
new t8 inet udplite replied=9
list
flush
list
"""
NFCT = {"new": "add timeout", "get": "get timeout", "list": "list timeout", "delete": "delete timeout",
        "flush": "flush timeout", "default set": "default-set timeout", "default get": "default-get timeout"}
# What nfct 1.4.7 does not print: the last state of SCTP, and the line that begins the defaults.
UNKNOWN_TO_NFCT = re.compile(r"\t\t\.HEARTBEAT_SENT = \d+,\n|^\.default = \{\n")
RANDOM_COMMANDS = 60


@each(["cases", 1, 2])
def test_what_is_typed_has_the_results_of_nfct(case, script):
    enter(case)
    run = test_live.start(case, CONFIG.format(directory=case.directory / "run"))
    stop = keep_clocks_going()
    try:
        lines = CASES.splitlines() if script == "cases" else list(random_lines(random.Random(script)))
        for n, line in enumerate(lines):
            theirs, mine = nfct(line), wanmeter(case, line)
            assert mine == theirs, f"command {n}, {line!r}: nfct {theirs}, wanmeter {mine}"
    finally:
        stop()
        test_live.stop(run)
    print(f"{len(lines)} commands: the results of nfct")


def enter(case):
    test_live.enter_network(case)
    problem = cttimeout.why_not()
    if problem:
        case.skip(f"the kernel cannot be asked: {problem}")
    if not shutil.which("nfct") or not shutil.which("iptables"):
        case.skip("no nfct and iptables to compare with")
    (case.directory / "run").mkdir()
    subprocess.run("nfct add timeout used inet udp unreplied 11".split(), check=True)
    subprocess.run("iptables -t raw -A PREROUTING -p udp -j CT --timeout used".split(), check=True)


def keep_clocks_going():
    """A change waits for the next packets; on a link without any for up to 2 s. Returns what ends it."""
    frames = [packet.frame for packet in traffic.mix(seed=5, n_packets=10)]
    is_over = threading.Event()

    def send():
        while not is_over.wait(0.02):
            network.send("mirror1", frames[:1])
    thread = threading.Thread(target=send)
    thread.start()

    def stop():
        is_over.set()
        thread.join()
    return stop


def random_lines(chance):
    names = [f"p{n}" for n in range(4)] + ["a" * 31, "used"]  # nfct cuts longer ones
    protocols = [*cttimeout.VALUES, "dccp"]
    for _ in range(RANDOM_COMMANDS):
        verb = chance.choices([*NFCT], [6, 2, 1, 3, 0.2, 2, 1])[0]
        name, family, protocol = chance.choice(names), chance.choice(["inet", "inet6"]), chance.choice(protocols)
        values = cttimeout.VALUES.get(protocol, (0, "request"))[1].replace("heartbeat_sent", "").split()
        some = " ".join(f"{value}={chance.choice([0, 1, 30, 432000, 8589935, 2**32 - 1])}"
                        for value in chance.sample(values, chance.randint(1, len(values))))
        yield {"new": f"new {name} {family} {protocol} {some}", "default set": f"default set {family} {protocol} {some}",
               "default get": f"default get {family} {protocol}", "list": "list", "flush": "flush"}.get(
                   verb, f"{verb} {name}")


def nfct(line):
    verb = next(verb for verb in NFCT if line.startswith(verb))
    words = line[len(verb):].replace("=", " ").split()
    done = subprocess.run(["nfct", *NFCT[verb].split(), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, LC_ALL="C.UTF-8"))
    error = re.search(r"netlink error: (.*)", done.stderr)
    return done.returncode != 0, error.group(1) if error else None, done.stdout


def wanmeter(case, line):
    done = case.wanmeter("timeout", "--run-directory", case.directory / "run", *line.split(), check={0, 1})
    error = re.search(r"^wanmeter timeout: ([^:]*)", done.stderr)
    text = error.group(1) if error else None
    if text == "Invalid argument" and "no timeout of" in done.stderr:
        text = None   # nfct looks at the names of states itself
    return done.returncode != 0, text, UNKNOWN_TO_NFCT.sub("", done.stdout)
