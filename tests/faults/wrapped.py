"""wrapped: the built programs, one of them started in an environment of its own.

    program = wrapped.programs(case, "exporter", {"LD_PRELOAD": wrapped.FIU, …}, starts=2)
    crew.replay(case, …, program=program)

Makes a tree like the build's in the case's directory: wanmeter finds its processes beside itself. 'starts': only so many
starts of that process are hurt; those that come after them, restarted by the supervisor, are not. None: all.
"""

import shutil
from pathlib import Path

ROLES = ("exporter", "tracker", "capture")
FIU = ("/usr/lib/fiu/fiu_run_preload.so", "/usr/lib/fiu/fiu_posix_preload.so")
FAKETIME = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",)
SCRIPT = """#!/bin/sh
if mkdir "{mark}.$({count})" 2>/dev/null && [ "$({count})" -le {starts} ]; then
    export {assignments}
fi
exec {real} "$@"
"""


def programs(case, role, environment, starts=None):
    root = case.directory / "programs"
    (root / "cli").mkdir(parents=True)
    shutil.copy(case.wanmeter.program, root / "cli" / "wanmeter")
    for name in ROLES:
        (root / name).mkdir()
        path, real = root / name / f"wanmeter-{name}", case.build / name / f"wanmeter-{name}"
        path.write_text(script(root / "start", environment, real, starts) if name == role else
                        f'#!/bin/sh\nexec {real} "$@"\n')
        path.chmod(0o755)
    return str(root / "cli" / "wanmeter")


def script(mark, environment, real, starts):
    """A directory is made at each start: that is atomic, and their number is that of the starts."""
    return SCRIPT.format(mark=mark, count=f"ls -d {mark}.* 2>/dev/null | wc -l", starts=1 << 30 if starts is None else starts,
                         assignments=" ".join(f"{name}='{value}'" for name, value in environment.items()), real=real)


def has(libraries):
    return all(Path(library).exists() for library in libraries)
