#!/usr/bin/python3
"""peers: wanmeter beside the programs that others meter with, on the same generated captures.

    ./dev bench --peers [--scale X] [--runs N] [--kinds mix,small,churn] [--programs WORD,…] [--directory DIR]

Prints a table a capture: nanoseconds of CPU a packet (user and system, all threads and processes of a program, medians
over the runs), how many times wanmeter's and how many times the floor's that is, the peak of its memory (proportional set
size of all its processes) and whether its totals were those that the generator knows. At scale 1 the captures are of
2.86 M (mix), 10 M (small) and 12 M packets (churn); the default takes some minutes. The programs take turns, so that other
work on the machine meets all.

wanmeter: `wanmeter replay` with a WAN, an overhead model, a rule that sets a label; a flow row a connection (or usage rows
alone), synchronous FULL; the audit at its end is in its figure. The others write what they usually do: pmacctd to SQLite
and to text, nfpcapd to its files, softflowd NetFlow 9 to a collector on this machine (whose CPU does not count), argus to
its file. The floor (floor.c) is what no meter can be far below on the machine at hand: one process that reads with libpcap,
parses, looks up, counts, and at the end writes a row of 20 columns a flow to SQLite. Two more rows are it without the
database, and libpcap that only counts.
"""

import argparse
import ctypes
import os
import re
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEED = 1
PACKETS = {"mix": 2_860_000, "small": 10_000_000, "churn": 12_000_000}
SAMPLE_INTERVAL_S = 0.05
PR_SET_CHILD_SUBREAPER = 36
COLLECTOR_PORT = 12955
ORPHANS_S = 20          # writers that a program leaves behind have so long to end

WANMETER_CONFIG = """
wans:
  - name: line
    overhead: pppoe-fcs
    match:
      - local_prefixes: [10.0.0.0/8]
rules:
  - match: tcp dst port 443
    ct: commit,label=0x8/0x8
"""

# A table of version 1, and as many columns as wanmeter's key has: addresses, ports, protocol.
PMACCT_TABLE = """
CREATE TABLE acct (mac_src TEXT NOT NULL DEFAULT '0:0:0:0:0:0', mac_dst TEXT NOT NULL DEFAULT '0:0:0:0:0:0',
    ip_src TEXT NOT NULL, ip_dst TEXT NOT NULL, src_port INT NOT NULL, dst_port INT NOT NULL, ip_proto INT NOT NULL,
    packets INT NOT NULL, bytes BIGINT NOT NULL, stamp_inserted DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00',
    stamp_updated DATETIME)
"""
PMACCT_CONFIG = """
daemonize: false
pcap_savefile: {capture}
plugin_pipe_size: 67108864
plugin_buffer_size: 65536
plugins: {plugin}[p]
aggregate[p]: src_host,dst_host,src_port,dst_port,proto
"""
PMACCT_SQLITE = "sql_db[p]: out.db\nsql_table[p]: acct\nsql_history[p]: 1h\nsql_refresh_time[p]: 60\n" \
                "sql_dont_try_update[p]: true\n"
PMACCT_PRINT = "print_refresh_time[p]: 60\nprint_output[p]: csv\nprint_output_file[p]: out-%s.csv\n" \
               "print_output_file_append[p]: true\n"


class Program:
    """One of those compared. 'l2': its totals are of frames, else of IP packets."""

    name = ""
    l2 = False

    def prepare(self, build, capture):
        """Returns the command; the working directory is an empty one."""
        raise NotImplementedError

    def totals(self):
        """(packets, bytes) that it says it has seen, from what it wrote."""
        raise NotImplementedError


class Wanmeter(Program):
    name = "wanmeter, flow rows"
    options = ()

    def prepare(self, build, capture):
        Path("wanmeter.yaml").write_text(WANMETER_CONFIG, encoding="ascii")
        return [build / "cli/wanmeter", "replay", "--quiet", "--config", "wanmeter.yaml", "--database", "out.db",
                *self.options, capture]

    def totals(self):
        return query("SELECT sum(packets), sum(l3_bytes) FROM usage")


class WanmeterUsage(Wanmeter):
    name = "wanmeter, usage rows only"
    options = ("--set", "tracker.flow_records=no")


class PmacctSqlite(Program):
    name = "pmacctd to SQLite"

    def prepare(self, build, capture):
        text = PMACCT_CONFIG.format(capture=capture, plugin="sqlite3") + PMACCT_SQLITE
        Path("pmacctd.conf").write_text(text, encoding="ascii")
        with sqlite3.connect("out.db") as connection:
            connection.execute(PMACCT_TABLE)
        connection.close()
        return ["pmacctd", "-f", "pmacctd.conf"]

    def totals(self):
        return query("SELECT sum(packets), sum(bytes) FROM acct")


class PmacctPrint(Program):
    name = "pmacctd to text"

    def prepare(self, build, capture):
        text = PMACCT_CONFIG.format(capture=capture, plugin="print") + PMACCT_PRINT
        Path("pmacctd.conf").write_text(text, encoding="ascii")
        return ["pmacctd", "-f", "pmacctd.conf"]

    def totals(self):
        packets = l3_bytes = 0
        for path in Path(".").glob("out-*.csv"):
            with path.open(encoding="ascii") as lines:
                for line in lines:
                    fields = line.rsplit(",", 2)
                    if fields[1].isdigit():
                        packets, l3_bytes = packets + int(fields[1]), l3_bytes + int(fields[2])
        return packets, l3_bytes


class Nfpcapd(Program):
    name = "nfpcapd to nfdump file"

    def prepare(self, build, capture):
        Path("flows").mkdir()
        return ["nfpcapd", "-r", capture, "-w", "flows"]

    def totals(self):
        return nfdump_totals()


class Softflowd(Program):
    name = "softflowd to NetFlow 9"
    collector = None

    def prepare(self, build, capture):
        Path("flows").mkdir()
        self.collector = subprocess.Popen(["nfcapd", "-w", "flows", "-p", str(COLLECTOR_PORT), "-b", "127.0.0.1",
                                           "-B", "67108864"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not is_udp_bound(COLLECTOR_PORT):
            if self.collector.poll() is not None:
                sys.exit("peers: nfcapd does not start")
            time.sleep(SAMPLE_INTERVAL_S)
        return ["softflowd", "-r", capture, "-n", f"127.0.0.1:{COLLECTOR_PORT}", "-v", "9", "-m", "10000000"]

    def totals(self):
        time.sleep(1)   # what is in the collector's socket: nothing tells when it has read all
        self.collector.send_signal(signal.SIGTERM)
        self.collector.wait()
        return nfdump_totals()


class Argus(Program):
    name = "argus to its file"
    l2 = True

    def prepare(self, build, capture):
        return ["argus", "-r", capture, "-w", "out.argus"]

    def totals(self):
        text = subprocess.run(["racount", "-r", "out.argus"], stdout=subprocess.PIPE, text=True, check=True).stdout
        fields = text.splitlines()[-1].split()
        return int(fields[2]), int(fields[5])


class Floor(Program):
    name = "floor: one process to SQLite"

    def prepare(self, build, capture):
        return [build / "tests/bench/floor", capture, "out.db"]

    def totals(self):
        return query("SELECT sum(src_packets + dst_packets), sum(src_l3_bytes + dst_l3_bytes) FROM flow")


class FloorWithoutRows(Program):
    name = "floor, nothing written"

    def prepare(self, build, capture):
        return [build / "tests/bench/floor", capture]

    def totals(self):
        packets, _, l3_bytes, _ = map(int, Path("log").read_text(encoding="ascii").split())
        return packets, l3_bytes


class LibpcapCounting(Program):
    name = "libpcap, counting only"
    l2 = True

    def prepare(self, build, capture):
        return [build / "tests/bench/count_libpcap", capture]

    def totals(self):
        return tuple(map(int, Path("log").read_text(encoding="ascii").split()))


PROGRAMS = (Wanmeter(), WanmeterUsage(), PmacctSqlite(), PmacctPrint(), Nfpcapd(), Softflowd(), Argus(), Floor(),
            FloorWithoutRows(), LibpcapCounting())
OURS = (Wanmeter, Floor, FloorWithoutRows, LibpcapCounting)     # whose totals must be right


def is_udp_bound(port):
    return any(line.split()[1].endswith(f":{port:04X}") for line in Path("/proc/net/udp").read_text().splitlines()[1:])


def query(sql):
    connection = sqlite3.connect("file:out.db?mode=ro", uri=True)
    row = connection.execute(sql).fetchone()
    connection.close()
    return row


def nfdump_totals():
    text = subprocess.run(["nfdump", "-R", "flows", "-I"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=True).stdout
    packets = sum(map(int, re.findall(r"^Packets: (\d+)", text, re.M)))
    return packets, sum(map(int, re.findall(r"^Bytes: (\d+)", text, re.M)))


# --- running one ---

def children(pid):
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def family(pid):
    """'pid' and all below it."""
    return [pid] + [member for child in children(pid) for member in family(child)]


def memory_bytes(pid):
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return int(found[1]) * 1024 if found else 0


def run(command, directory, bystander):
    """(CPU seconds, peak bytes, exit code). 'bystander': a child that is not looked at, or None."""
    peak = 0
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, sum(map(memory_bytes, family(process.pid))))
        time.sleep(SAMPLE_INTERVAL_S)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    if usage.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:    # else it is ours, of before exec()
        peak = max(peak, usage.ru_maxrss * 1024)
    return cpu_s + wait_for_orphans(bystander), peak, process.returncode


def wait_for_orphans(bystander):
    """CPU seconds of the processes that a program left behind: they are ours now."""
    cpu_s, patience = 0, round(ORPHANS_S / SAMPLE_INTERVAL_S)
    while orphans := [child for child in children(os.getpid()) if not bystander or child != bystander.pid]:
        for orphan in orphans:
            pid, _, usage = os.wait4(orphan, os.WNOHANG)
            cpu_s += usage.ru_utime + usage.ru_stime if pid else 0
            if not pid and patience == 0:
                os.kill(orphan, signal.SIGKILL)
        patience -= 1
        time.sleep(SAMPLE_INTERVAL_S)
    return cpu_s


class Result:
    """What one run of one program came to."""

    def __init__(self, program, build, capture, known, directory):
        packets, l2_bytes, l3_bytes, _ = known
        here = Path.cwd()
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        os.chdir(directory)
        try:
            command = program.prepare(build, capture)
            cpu_s, self.peak_bytes, code = run(command, directory, getattr(program, "collector", None))
            self.seen = program.totals()
        finally:
            os.chdir(here)
        self.ns = cpu_s * 1e9 / packets
        self.expected = packets, l2_bytes if program.l2 else l3_bytes
        self.is_right = code == 0 and self.seen == self.expected
        shutil.rmtree(directory)

    def verdict(self):
        if self.is_right:
            return "right"
        packets, n_bytes = (seen or 0 for seen in self.seen)
        return f"wrong: packets {packets - self.expected[0]:+}, bytes {n_bytes - self.expected[1]:+}"


def measure(kind, programs, arguments, directory):
    packets = round(PACKETS[kind] * arguments.scale)
    capture = directory / "in.pcap"
    done = subprocess.run([arguments.build / "tests/bench/generate", kind, str(packets), str(SEED), capture],
                          stdout=subprocess.PIPE, text=True, check=True)
    known = tuple(map(int, done.stdout.split()))
    results = {program: [] for program in programs}
    for _ in range(arguments.runs):
        for program in programs:
            results[program].append(Result(program, arguments.build, capture, known, directory / "run"))
    capture.unlink()
    print(f"\n{kind}: {known[0]} packets, {known[3]} connections, {known[1]} bytes of frames, {known[2]} of IP")
    return results


def show(results):
    """Prints the table; whether wanmeter's and the yardsticks' totals were right."""
    median = {program: statistics.median(result.ns for result in runs) for program, runs in results.items()}
    print(f"{'':28} {'ns a':>7} {'times':>8} {'times':>9} {'peak':>6}\n"
          f"{'program':28} {'packet':>7} {'wanmeter':>8} {'the floor':>9} {'MiB':>6}  totals")
    for program, runs in results.items():
        peak = max(result.peak_bytes for result in runs) / 2**20
        verdict = next((result.verdict() for result in runs if not result.is_right), "right")
        print(f"{program.name:28} {median[program]:7.0f} {times(median, program, Wanmeter):>8} "
              f"{times(median, program, Floor):>9} {peak:6.0f}  {verdict}", flush=True)
    return all(result.is_right for program, runs in results.items() if isinstance(program, OURS) for result in runs)


def times(median, program, kind):
    """How many times what the one of class 'kind' takes: text."""
    base = [ns for other, ns in median.items() if type(other) is kind]
    return f"{median[program] / base[0]:.2f}" if base else "-"


def main():
    arguments = parse_arguments()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    words = arguments.programs.split(",")
    programs = [program for program in PROGRAMS if any(word in program.name for word in words)]
    is_right = True
    with tempfile.TemporaryDirectory(prefix="wanmeter-peers-", dir=arguments.directory) as directory:
        for kind in arguments.kinds.split(","):
            is_right &= show(measure(kind, programs, arguments, Path(directory)))
    return 0 if is_right else 1


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench --peers", description="wanmeter beside others.")
    parser.add_argument("--build", type=lambda path: Path(path).resolve(), required=True, help=argparse.SUPPRESS)
    parser.add_argument("--peers", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--scale", type=float, default=0.25, help="of the captures' full lengths (default: 0.25)")
    parser.add_argument("--runs", type=int, default=1, help="medians are of this many (default: 1)")
    parser.add_argument("--kinds", default="mix,small,churn", help="of traffic (default: mix,small,churn)")
    parser.add_argument("--programs", default="", help="only those with one of these words in their names")
    parser.add_argument("--directory", help="where captures and records go (default: the system's)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
