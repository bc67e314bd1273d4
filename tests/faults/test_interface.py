"""A live interface under pressure: what the kernel drops is a loss line, and the rest is counted."""

import signal

from faults import crew, outcome, suite, wire
from faults.load import Load, any_slot
from support import network, traffic
from support.case import each


@each(["dedicated", "shared"])
def test_what_the_kernel_drops_for_a_tiny_ring_is_declared(case, kind):
    """The worker stands still while more than its ring holds is sent. On a dedicated port the bytes are known, too."""
    options = suite.options()
    wire.lay(case)
    load = Load(options.seed, n_packets=options.choose(10_000, 300_000))
    run = crew.live(case, config=traffic.CONFIG, sets=("capture.ring=1MiB",), is_dedicated=kind == "dedicated")
    run.send("capture-0", signal.SIGSTOP)
    network.send("mirror1", (packet.frame for packet in load.packets))
    run.send("capture-0", signal.SIGCONT)
    run.stop({3})
    row = outcome.judge(case, f"kernel drops, ring of 1 MiB, {kind} port", 1, load.usage(), verdicts=("bounded",),
                        fold=any_slot)
    assert row.counted < row.generated
    assert row.difference == 0 or kind == "shared"
    lost = case.query("SELECT sum(packets) FROM loss WHERE stage = 'kernel'")[0][0]
    counted = sum(amounts[0] for amounts in outcome.read_usage(case, "wanmeter.db").values())
    assert lost + counted == load.n_packets, (lost, counted, load.n_packets)
