"""What the processes of a run may still do: as the kernel says of each of their threads."""

import os
import pwd
import signal
import time
from pathlib import Path

from support import capture, network, traffic
from support.case import PATIENCE_S
from support.traffic import CONFIG

OTHER_UID = 65533


def test_the_processes_of_a_run_may_do_little(case):
    problem = network.enter()
    if problem:
        case.skip(problem)
    network.make_veth("mirror0", "mirror1")
    config = case.write("live.yaml", CONFIG + "sources:\n  - interface: mirror0\nsecurity:\n  sandbox: strict\n"
                        f"run_directory: {case.directory}/run\n")
    monitor = case.wanmeter.start("run", "--config", config)
    try:
        workers = wait_for_sandboxes(monitor, 3)
        unprivileged = str(user())
        uids = {name: {status["Uid"].split()[1] for status in statuses(pid)} for name, pid in workers.items()}
        # The exporter is who owns the database's directory: here that is root's, whom it is without what makes root.
        assert uids == {"wanmeter-capture": {unprivileged}, "wanmeter-tracker": {unprivileged}, "wanmeter-exporter": {"0"}}
        for name, pid in workers.items():
            for status in statuses(pid):
                assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", (name, status)
                assert all(int(status[kind], 16) == 0 for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd")), \
                    (name, status)
        state = (case.directory / "run").stat()
        assert (state.st_mode & 0o7777, state.st_uid) == (0o750, user()), oct(state.st_mode)
    finally:
        monitor.send_signal(signal.SIGTERM)
        output, errors = monitor.communicate(timeout=PATIENCE_S)
    assert monitor.returncode == 0, f"exit code {monitor.returncode}\n{output}\n{errors}"


def test_a_database_belongs_to_whom_its_directory_does(case):
    """Whoever types sudo gets no file of root's among the own ones, and no file that nobody could write."""
    if os.geteuid() != 0:
        case.skip("only root can become another user")
    packets = traffic.mix(seed=5, n_packets=2000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    (case.directory / "in.pcap").chmod(0o600)
    home = case.directory / "home"
    home.mkdir()
    os.chown(home, OTHER_UID, OTHER_UID)
    case.directory.chmod(0o755)
    for n in (1, 2):
        case.wanmeter("replay", "--force", "--set", "security.sandbox=strict", "--database", home / "wanmeter.db", "in.pcap")
        owners = {path.name: path.stat().st_uid for path in home.iterdir()}
        assert "wanmeter.db" in owners and set(owners.values()) == {OTHER_UID}, owners
        assert case.wanmeter.total("home/wanmeter.db") == tuple(n * amount for amount in traffic.total(packets))
    case.wanmeter.audit(database="home/wanmeter.db")


def test_without_a_sandbox_the_bill_is_the_same(case):
    packets = traffic.mix(seed=6, n_packets=2000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    case.wanmeter("replay", "--set", "security.sandbox=off", "in.pcap")
    assert case.wanmeter.total() == traffic.total(packets)


def test_a_root_that_may_not_become_another_meters_as_it_is(case):
    """As in a container without capabilities; whoever asks for all of it is told."""
    if os.geteuid() != 0:
        case.skip("only root can be a root without capabilities")
    packets = traffic.mix(seed=6, n_packets=2000)
    capture.write_pcap(case.directory / "in.pcap", packets)
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    for mode, codes in (("best_effort", {0}), ("strict", {1, 2})):
        replay = case.wanmeter.start("replay", "--set", f"security.sandbox={mode}", "--database", f"{mode}.db", "in.pcap",
                                     prefix=bare)
        output, errors = replay.communicate(timeout=PATIENCE_S)
        assert replay.returncode in codes, f"{mode}: exit code {replay.returncode}\n{output}\n{errors}"
        assert (mode == "strict") == ("security.sandbox: strict: user" in errors), errors
    assert case.wanmeter.total("best_effort.db") == traffic.total(packets)


def test_a_user_that_is_not_there_is_named(case):
    if os.geteuid() != 0:
        case.skip("only root becomes another user")
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=7, n_packets=10))
    done = case.wanmeter("replay", "--set", "security.user=nosuchuser", "in.pcap", check={1, 2})
    assert "nosuchuser" in done.stderr, done.stderr


def user():
    for name in ("wanmeter", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise AssertionError("no user to become")


def wait_for_sandboxes(monitor, n):
    """{program: pid} once each has its filter."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert monitor.poll() is None, monitor.communicate()
        found = {}
        for pid in Path(f"/proc/{monitor.pid}/task/{monitor.pid}/children").read_text().split():
            try:
                name = Path(os.readlink(f"/proc/{pid}/exe")).name
                if statuses(pid)[0]["Seccomp"] == "2":
                    found[name] = pid
            except FileNotFoundError:
                continue
        if len(found) == n:
            return found
        assert time.monotonic() < deadline, f"only {found}"
        time.sleep(0.02)


def statuses(pid):
    """Of each thread."""
    return [dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)
            for path in sorted(Path(f"/proc/{pid}/task").glob("*/status"))]
