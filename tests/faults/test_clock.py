"""The wall clock steps: timers are the monotonic clock's, and no byte is lost or counted twice."""

from faults import crew, outcome, suite, wire, wrapped
from faults.load import Load, any_slot
from support import traffic
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
    load = Load(options.seed, n_packets=options.choose(15_000, 100_000))
    run = crew.live(case, config=traffic.CONFIG, program=program)
    steps, n_steps = options.random("clock", role), 0
    with wire.Sender(load.packets, RATE) as sender:
        while sender.is_sending():
            sender.thread.join(steps.uniform(0.1, 0.4))
            clock.write_text(f"{steps.choice(STEPS_S):+d}\n")
            n_steps += 1
    run.stop({0, 3})
    outcome.judge(case, f"clock steps, {role}", n_steps, load.usage(), fold=any_slot, verdicts=("exact", "bounded"))
