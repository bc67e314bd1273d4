"""Floods: memory stays within what the configuration bounds, and every byte of them is on the bill."""

import time

from faults import crew, flood, outcome, suite
from faults.load import Load
from support import traffic
from support.case import each

N_SHARDS = 2
# What is counted of a flood's packet depends on how full a table is; that it is counted does not.
FLOODED = {"connection", "overflow", "frag_orphan"}
LIMITS = ("tracker.connections_max=5000", "capture.fragments_max=1024", "conntrack.fragment_memory=1MiB",
          "capture.window=4MiB", "capture.rss_key=microsoft", f"tracker.shards={N_SHARDS}")
MEMORY_BYTES = 192 << 20    # of each process, its address space's data; far more than the limits add up to
RESIDENT_BYTES = 96 << 20


@each(["syn", "tuples", "fragments", "collisions"])
def test_a_flood_is_billed_to_the_byte_within_the_configured_memory(case, kind):
    options = suite.options()
    random_ = options.random("flood", kind)
    packets = list(getattr(flood, kind)(random_, options.choose(30_000, 1_000_000)))
    load = Load(options.seed, packets=packets)
    load.write(case.directory / "in.pcap")
    run = crew.replay(case, "in.pcap", config=traffic.CONFIG, sets=LIMITS, prefix=["prlimit", f"--data={MEMORY_BYTES}"])
    peaks = {}
    while run.is_running():
        peaks.update({name: bytes_ for name, pid in run.processes().items() if (bytes_ := crew.peak_bytes(pid))})
        time.sleep(0.005)
    run.finish()
    outcome.judge(case, f"flood: {kind}", len(packets), load.usage(), fold=any_class)
    if kind == "collisions":
        carried = case.query("SELECT packets FROM stream WHERE kind = 'capture' ORDER BY packets")
        assert carried == [(0,), (len(packets),)], f"they do not collide: {carried}"
    print("resident at most:", {name: f"{peak >> 20} MiB" for name, peak in sorted(peaks.items())})
    assert {"exporter", "tracker-0", "tracker-1", "capture-0"} <= set(peaks)
    assert max(peaks.values()) <= RESIDENT_BYTES, peaks


def any_class(key):
    return (*key[:4], "flooded" if key[4] in FLOODED else key[4])
