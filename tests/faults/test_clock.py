"""The wall clock steps: timers are the monotonic clock's, and no byte is lost or counted twice."""

import time

from faults import crew, outcome, suite, wire, wrapped
from faults.load import Load, any_slot
from support import capture, traffic
from support.case import each

RATE = 10_000
STEPS_S = (3600, -7200, 86400 * 400, -86400 * 800)


@each(suite.options().choose(("capture",), ("capture", "tracker", "exporter")))
def test_a_clock_that_steps_while_it_is_captured_changes_no_bill(case, role):
    """The process believes in another time, forwards and backwards, every some hundred milliseconds."""
    if not wrapped.has(wrapped.FAKETIME):
        case.skip("no libfaketime (package faketime)")
    options = suite.options()
    wire.lay(case)
    clock = case.write("clock", "+0\n")
    program = wrapped.programs(case, role, {
        "LD_PRELOAD": wrapped.FAKETIME[0], "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1, "DONT_FAKE_MONOTONIC": 1})
    load = Load(options.seed, n_packets=20_000)
    run = crew.live(case, config=traffic.CONFIG, program=program, sets=(wrapped.OPEN,))
    random_, n_steps = options.random("clock", role), options.choose(5, 40)
    with wire.Sender(load.packets, RATE) as sender:
        for _ in range(n_steps):
            time.sleep(random_.uniform(0.1, 0.4))
            clock.write_text(f"{random_.choice(STEPS_S):+d}\n")
    run.stop({0, 3})
    assert_none_expired(case, sender.sent())
    outcome.judge(case, f"clock steps, {role}", n_steps, sender.usage(), fold=any_slot, verdicts=("exact", "bounded"))


def assert_none_expired(case, sent):
    """Its timeouts are longer than the test: a UDP connection that comes again is the same, whatever the clock did."""
    connections = {packet.connection for packet in sent if packet.connection and packet.connection[1] == capture.UDP}
    found = case.query(f"SELECT count(DISTINCT id) FROM flow WHERE protocol = {capture.UDP}")[0][0]
    assert found == len(connections), f"{len(connections)} connections have become {found}"
