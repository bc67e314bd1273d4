"""wrapped: the built programs, one of them started in an environment of its own.

    program = wrapped.programs(case, "exporter", {"FAKETIME_TIMESTAMP_FILE": …})
    crew.replay(case, …, program=program)

    program = wrapped.programs(case, "tracker", before="kill -STOP $$")     what a shell does first

    program = wrapped.programs(case, "exporter", wrapped.failing(case))
    wrapped.fail(case, pid, "libc/mm/*", 0.001)         from now on, in this process; its successor is spared

Makes a tree like the build's in the case's directory: wanmeter finds its processes beside itself.
"""

import shutil
import subprocess
from pathlib import Path

ROLES = ("exporter", "tracker", "capture")
FIU = ("/usr/lib/fiu/fiu_run_preload.so", "/usr/lib/fiu/fiu_posix_preload.so")
FAKETIME = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",)
CONTROL = "fiu"
OPEN = "security.sandbox=off"   # what is preloaded has files of its own to read while it runs


def programs(case, role, environment=None, before=":"):
    root = case.directory / "programs"
    (root / "cli").mkdir(parents=True)
    shutil.copy(case.wanmeter.program, root / "cli" / "wanmeter")
    for name in ROLES:
        (root / name).mkdir()
        path, real = root / name / f"wanmeter-{name}", case.build / name / f"wanmeter-{name}"
        words = [f"export {key}='{value}'" for key, value in (environment or {}).items()]
        lines = [*words, before] if name == role else []
        path.write_text("".join(f"{line}\n" for line in ("#!/bin/sh", *lines, f'exec {real} "$@"')))
        path.chmod(0o755)
    return str(root / "cli" / "wanmeter")


def failing(case):
    """The environment of a process whose calls fail() can make fail; it listens on two pipes."""
    return {"LD_PRELOAD": " ".join(FIU), "FIU_CTRL_FIFO": case.directory / CONTROL}


def fail(case, pid, names, probability):
    return control(case, pid, [f"enable_random name={name},probability={probability}" for name in names.split(",")])


def relieve(case, pid, names):
    """Not where reading is what fails: it would not read this."""
    return control(case, pid, [f"disable name={name}" for name in names.split(",")])


def control(case, pid, commands):
    commands = [word for command in commands for word in ("-c", command)]
    return subprocess.run(["fiu-ctrl", "-f", case.directory / CONTROL, *commands, str(pid)], check=False, timeout=20,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def has(libraries):
    return all(Path(library).exists() for library in libraries)
