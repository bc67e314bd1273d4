"""network: a network of the test's own: a namespace with a veth pair, entered by this process.

    problem = network.enter()                       None, or why this machine does not let us
    network.make_veth("tap0", "tap1")               both up, without IPv6, so nothing is on the wire but what we send
    network.send("tap1", frames)

Works as root, and else through a user namespace. The namespace ends with the process and what it started.
"""

import ctypes
import os
import socket
import subprocess
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
ETH_P_ALL = 0x0003


def enter():
    """Moves this (single-threaded) process to a new network namespace. Returns an error text, or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWNET if uid == 0 else CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return f"no network namespace: {os.strerror(ctypes.get_errno())}"
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    made = subprocess.run(["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode != 0:
        return f"no veth interface in a namespace: {made.stdout.strip()}"
    subprocess.run(["ip", "link", "delete", "probe0"], check=True)
    return None


def make_veth(name, peer):
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", peer], check=True)
    for interface in (name, peer):
        ipv6 = Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6")
        if ipv6.exists():
            ipv6.write_text("1")
        subprocess.run(["ip", "link", "set", interface, "up"], check=True)


def statistics(interface):
    """(packets, bytes) that the kernel has received on it."""
    folder = Path(f"/sys/class/net/{interface}/statistics")
    if not folder.exists():     # /sys shows the namespace that it was mounted in
        fields = next(line for line in Path("/proc/net/dev").read_text().splitlines()
                      if line.strip().startswith(interface + ":")).split(":")[1].split()
        return int(fields[1]), int(fields[0])
    return tuple(int((folder / name).read_text()) for name in ("rx_packets", "rx_bytes"))


def door(interface):
    """A socket that sends frames, and receives none; blocks while the interface's queue is full."""
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    return out


def send(interface, frames):
    """Sends every frame."""
    with door(interface) as out:
        for frame in frames:
            out.send(frame)
