"""wanmeter as a service: what systemd is told, with the rights that the unit gives, and what the units leave open."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

from support import network, traffic
from support.case import PATIENCE_S, each
from support.traffic import CONFIG

SERVICE_UID = 65533
UNITS = ["wanmeter.service", "wanmeter-exporter.service", "wanmeter-tracker.service", "wanmeter-capture.service",
         "wanmeter-audit.service"]
EXPOSURE_MAX = {"wanmeter.service": 1.5, "wanmeter-capture.service": 1.5}     # who captures needs the network
# As the unit has it: a user of its own, one capability, none to be had.
AS_SERVICE = ["setpriv", f"--reuid={SERVICE_UID}", f"--regid={SERVICE_UID}", "--clear-groups", "--inh-caps=-all,+net_raw",
              "--ambient-caps=-all,+net_raw", "--bounding-set=-all,+net_raw", "--no-new-privs"]


def test_systemd_hears_that_it_is_ready_and_lives_and_stops(case):
    problem = network.enter()
    if problem:
        case.skip(problem)
    if subprocess.run([*AS_SERVICE, "test", "-x", case.wanmeter.program], check=False).returncode != 0:
        case.skip("the build is in a directory that other users cannot enter")
    network.make_veth("mirror0", "mirror1")
    home = case.directory / "home"
    home.mkdir()
    case.directory.chmod(0o755)
    os.chown(home, SERVICE_UID, SERVICE_UID)
    config = case.write("live.yaml", CONFIG + f"sources:\n  - interface: mirror0\nrun_directory: {home}/run\n"
                        f"database: {home}/wanmeter.db\nsecurity:\n  sandbox: strict\n")
    packets = traffic.mix(seed=8, n_packets=3000)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(case.directory / "notify"))
        (case.directory / "notify").chmod(0o777)
        case.wanmeter.environment |= {"NOTIFY_SOCKET": str(case.directory / "notify"), "WATCHDOG_USEC": "2000000"}
        monitor = case.wanmeter.start("run", "--quiet", "--config", config, prefix=AS_SERVICE)
        try:
            hear(systemd, "READY=1")
            network.send("mirror1", (packet.frame for packet in packets))
            hear(systemd, "WATCHDOG=1")
            hear(systemd, "WATCHDOG=1")
        finally:
            monitor.send_signal(signal.SIGTERM)
            output, errors = monitor.communicate(timeout=PATIENCE_S)
        hear(systemd, "STOPPING=1")
    (case.directory / "notify").unlink()
    assert monitor.returncode == 0, f"exit code {monitor.returncode}\n{output}\n{errors}"
    assert case.wanmeter.total("home/wanmeter.db") == traffic.total(packets)


def test_a_part_that_waits_for_a_run_is_ready_and_lives(case):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(case.directory / "notify"))
        case.wanmeter.environment |= {"NOTIFY_SOCKET": str(case.directory / "notify"), "WATCHDOG_USEC": "2000000"}
        part = case.wanmeter.start("run", "--role", "tracker", "--set", "run_directory=run")
        try:
            hear(systemd, "STATUS=waiting for the exporter to begin a run")
            hear(systemd, "READY=1")
            hear(systemd, "WATCHDOG=1")
        finally:
            part.send_signal(signal.SIGTERM)
            output, errors = part.communicate(timeout=PATIENCE_S)
        hear(systemd, "STOPPING=1")
    (case.directory / "notify").unlink()
    assert part.returncode == 0, f"exit code {part.returncode}\n{output}\n{errors}"


@each(UNITS)
def test_a_unit_leaves_little_open(case, unit):
    if not shutil.which("systemd-analyze"):
        case.skip("no systemd-analyze (package systemd)")
    exposure_max = EXPOSURE_MAX.get(unit, 0.6)
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", case.build / "systemd" / unit],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if "Overall exposure level" in line), None)
    assert line, done.stdout
    exposure = float(line.split(":")[1].split()[0])
    assert exposure <= exposure_max, done.stdout


def test_systemd_understands_every_unit(case):
    if not shutil.which("systemd-analyze"):
        case.skip("no systemd-analyze (package systemd)")
    units = case.directory / "units"
    units.mkdir()
    installed = ["wanmeter.target", "wanmeter-audit.timer"]
    for path in [case.build / "systemd" / unit for unit in UNITS] + [case.root / "systemd" / unit for unit in installed]:
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={case.wanmeter.program}", path.read_text(), flags=re.MULTILINE)
        (units / path.name).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *sorted(units.iterdir())],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    ours = [line for line in done.stdout.splitlines() if "wanmeter" in line]
    assert done.returncode == 0 and not ours, done.stdout


def hear(systemd, text):
    deadline = time.monotonic() + PATIENCE_S
    heard = []
    while True:
        systemd.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            heard.append(systemd.recv(4096).decode())
        except TimeoutError:
            raise AssertionError(f"no {text}: {heard}") from None
        if text in heard[-1].splitlines():
            return
