"""suite: how much of the fault suite is run, and from which seed.

    options = suite.options()                   the short form, unless $WANMETER_FAULTS says more
    random_ = options.random("kill", n)         the same seed gives the same faults
    suite.environment(options)                  for the processes of cases

./dev test runs each case in its short form, always with the same seed; ./dev faults the long ones (main.py).
"""

import dataclasses
import os
import random

VARIABLE = "WANMETER_FAULTS"


@dataclasses.dataclass(frozen=True)
class Options:
    seed: int = 1
    kills: int = 6          # processes that are killed, in all cases of kills together
    is_long: bool = False

    def random(self, *words):
        return random.Random(f"{self.seed} {words}")

    def choose(self, short, long):
        return long if self.is_long else short


def options():
    text = os.environ.get(VARIABLE)
    if not text:
        return Options()
    seed, kills = text.split()
    return Options(int(seed), int(kills), True)


def environment(chosen):
    return {VARIABLE: f"{chosen.seed} {chosen.kills}"}
