"""crew: a run of wanmeter in the background, whose processes are found by name and hurt.

    run = crew.replay(case, "in.pcap", "tracker.shards=2")
    pid = run.wait_for("tracker-1")             once it is there
    run.kill("tracker-1")                       kill -9; False: it was not there
    run.finish(statuses={0})                    waits for the end; what it said goes into the message of a failure

Processes are known by their command lines: exporter, tracker-N, capture-N; "wanmeter" is the supervisor itself.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from support.case import children, children_of

ROLES = {"wanmeter-exporter": None, "wanmeter-tracker": "--shard", "wanmeter-capture": "--worker"}
WAIT_S = 60
FINISH_S = 240


class Run:
    def __init__(self, case, *arguments, prefix=(), environment=None, program=None):
        self.case = case
        self.log = case.directory / f"log-{len(list(case.directory.glob('log-*')))}"
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                [*prefix, program or case.wanmeter.program, *map(str, arguments)], cwd=case.directory, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, env=dict(case.wanmeter.environment, **(environment or {})))

    def said(self):
        return self.log.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def processes(self):
        """{name: pid} of those that run now, the supervisor among them."""
        found = {"wanmeter": self.process.pid} if self.is_running() else {}
        return {**found, **{name: pid for pid in descendants() if (name := role_name(pid))}}

    def wait_for(self, *names):
        """Their pids, once all of them run; None: the run is over."""
        deadline = time.monotonic() + WAIT_S
        while not set(names) <= set(now := self.processes()):
            if not self.is_running():
                return None
            assert time.monotonic() < deadline, f"only {now} after {WAIT_S} s: {self.said()[-2000:]}"
            time.sleep(0.005)
        return [now[name] for name in names]

    def wait_until_said(self, text, count=1):
        deadline = time.monotonic() + WAIT_S
        while self.said().count(text) < count:
            assert self.is_running() and time.monotonic() < deadline, f"no '{text}': {self.said()[-2000:]}"
            time.sleep(0.01)

    def send(self, name, number):
        pid = self.processes().get(name)
        try:
            if pid:
                os.kill(pid, number)
        except ProcessLookupError:
            return False
        return pid is not None

    def kill(self, name):
        return self.send(name, signal.SIGKILL)

    def finish(self, statuses=frozenset({0}), timeout=FINISH_S):
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            now = self.processes()
            self.end()
            raise AssertionError(f"not finished after {timeout} s, {now}: {self.said()[-4000:]}") from None
        assert status in statuses, f"exit code {status}, expected {sorted(statuses)}: {self.said()[-4000:]}"
        return status

    def stop(self, statuses=frozenset({0})):
        """As an operator stops it."""
        self.send("wanmeter", signal.SIGTERM)
        return self.finish(statuses)

    def end(self):
        self.process.kill()
        self.process.wait()


def replay(case, *files, sets=(), config=None, options=(), **how):
    arguments = ["replay", *options]
    if config:
        arguments += ["--config", case.write("site.yaml", config)]
    for assignment in sets:
        arguments += ["--set", assignment]
    return Run(case, *arguments, *files, **how)


def descendants():
    found, new = [], children()
    while new:
        found += new
        new = [child for pid in new for child in children_of(pid)]
    return found


def role_name(pid):
    """None: none of ours, or gone, or a zombie."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    program = Path(words[0]).name
    if program not in ROLES:
        return None
    option = ROLES[program]
    if option is None:
        return "exporter"
    return f"{program.removeprefix('wanmeter-')}-{words[words.index(option) + 1]}" if option in words else None


def live(case, *, sets=(), config, workers=1, is_dedicated=False, is_awaited=True, **how):
    """A daemon on mirror0; returns when it captures ('is_awaited'): until then packets may go by."""
    sources = f"sources:\n  - interface: mirror0\n    workers: {workers}\n"
    sources += "    dedicated: yes\n" if is_dedicated else ""
    arguments = ["run", "--config", case.write("live.yaml", config + sources)]
    for assignment in sets:
        arguments += ["--set", assignment]
    run = Run(case, *arguments, **how)
    if is_awaited:
        run.wait_until_said("ready: capturing", workers)
    return run


def peak_bytes(pid):
    """What it has had resident at most (VmHWM); None: it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), None)
