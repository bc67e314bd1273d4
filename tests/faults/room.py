"""room: directories that are full.

    room.enter(case)                                a mount namespace of this process's own; may skip
    with room.small(case.directory / "db", 4 << 20) as folder:          a file system of 4 MiB
        filler = room.fill(folder, leave=100_000)   a file that takes the rest; filler.unlink() makes room
"""

import contextlib
import ctypes
import os

PIECE_BYTES = 1 << 20
CLONE_NEWNS, MS_PRIVATE_RECURSIVE, MNT_DETACH = 0x00020000, 1 << 18 | 1 << 14, 2


def libc():
    return ctypes.CDLL(None, use_errno=True)


def enter(case):
    if libc().unshare(CLONE_NEWNS) != 0 or libc().mount(None, b"/", None, MS_PRIVATE_RECURSIVE, None) != 0:
        case.skip(f"no mount namespace: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def small(folder, size_bytes, inodes=0):
    """'inodes': so many files and directories, itself among them; 0: as many as one likes."""
    folder.mkdir()
    path = str(folder).encode()
    if libc().mount(b"tmpfs", path, b"tmpfs", 0, f"size={size_bytes},nr_inodes={inodes}".encode()) != 0:
        raise OSError(ctypes.get_errno(), f"cannot mount on {folder}")
    try:
        yield folder
    finally:
        libc().umount2(path, MNT_DETACH)


def free_bytes(folder):
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def fill(folder, leave):
    """Others may be writing there, too."""
    path = folder / "filler"
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as out:
        while (more := min(free_bytes(folder) - leave, PIECE_BYTES)) > 0:
            out.write(bytes(more))
    return path
