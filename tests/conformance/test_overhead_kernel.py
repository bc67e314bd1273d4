"""What the running kernel charges for a packet, beside the models: size tables (tc-stab) and sch_cake.

A queue's counters and its backlog are of adjusted lengths, so one packet through a veth tells what its length became.
"""

import json
import os
import re
import socket
import subprocess

from support import network
from support.case import each

ETHERNET = 14
HEADER = bytes(12) + b"\x88\xb5"    # of an experiment on the local network: no host answers it
STABS = ("linklayer atm overhead 10", "linklayer atm overhead 40", "linklayer adsl overhead 32 mpu 96",
         "linklayer ethernet overhead 38 mpu 84", "linklayer ethernet overhead 4", "linklayer ethernet overhead -14 mpu 64",
         "linklayer atm overhead 0 mtu 1500 tsize 128", "linklayer atm overhead 0 mtu 9000",
         "linklayer atm overhead -4 mpu 53 mtu 2048 tsize 256", "linklayer ethernet mpu 64 mtu 1600 tsize 16")
CAKES = {"raw": "cake:raw", "conservative": "cake:conservative", "pppoa-vcmux": "cake:pppoa-vcmux", "pppoa-llc": "cake:pppoa-llc",
         "pppoe-vcmux": "cake:pppoe-vcmux", "pppoe-llcsnap": "cake:pppoe-llcsnap", "bridged-vcmux": "cake:bridged-vcmux",
         "bridged-llcsnap": "cake:bridged-llcsnap", "ipoa-vcmux": "cake:ipoa-vcmux", "ipoa-llcsnap": "cake:ipoa-llcsnap",
         "pppoe-ptm": "cake:pppoe-ptm", "bridged-ptm": "cake:bridged-ptm", "docsis": "cake:docsis", "ethernet": "cake:ethernet",
         "ethernet ether-vlan": "cake:ethernet+ether-vlan", "pppoe-ptm ether-vlan": "cake:pppoe-ptm+ether-vlan",
         "overhead 44 mpu 84 atm": "linklayer atm overhead 44 mpu 84", "overhead 22 noatm": "linklayer none overhead 22",
         "overhead 8 mpu 72 ptm": "linklayer ptm overhead 8 mpu 72"}


@each(STABS)
def test_a_size_table_charges_what_its_model_says(case, stab):
    """The bytes sent, of lengths over the whole table and behind its end."""
    enter(case)
    queue(case, f"stab {stab} pfifo")
    lengths = sorted({*range(1, 240), *range(240, 2_100, 23), *range(2_030, 2_060), 1_499, 1_500, 1_501, 8_192, 9_000, 9_216,
                      24_575, 24_576, 24_577, 40_000, 65_521, 65_535})
    assert_charged(case, stab, lengths, lambda: state()["bytes"])


@each(STABS[:4])
def test_what_waits_in_a_shaper_is_as_long_as_its_model_says(case, stab):
    enter(case)
    queue(case, f"stab {stab} tbf rate 8kbit burst 75000 limit 100000000")
    with sender() as wan:
        for _ in range(4):      # the bucket is empty for a minute, all else waits
            wan.send(frame(60_000))
    assert state()["qlen"] >= 2
    assert_charged(case, stab, [1, 2, 28, 33, 34, 35, 40, 82, 576, 1_000, 1_478, 1_500, 9_000], lambda: state()["backlog"])


@each(STABS[:4])
def test_a_class_of_a_shaper_is_charged_what_its_model_says(case, stab):
    enter(case)
    queue(case, f"stab {stab} htb default 1")
    tc(case, "class add dev wan0 parent 1: classid 1:1 htb rate 10gbit burst 1000000 quantum 60000")
    assert_charged(case, stab, [1, 2, 28, 33, 34, 35, 40, 82, 576, 1_000, 1_478, 1_500, 9_000], class_bytes)


def test_cake_charges_what_the_models_of_its_keywords_say(case):
    """Cake tells the shortest and the longest packet since it was attached, before and after its adjustment."""
    enter(case)
    lengths = [20, 28, 29, 40, 46, 47, 63, 64, 65, 128, 576, 1_000, 1_280, 1_420, 1_478, 1_492, 1_500]
    for keyword, name in CAKES.items():
        charged = {length: cake_charge(case, keyword, length) for length in lengths}
        assert charged == model(case, name, lengths), keyword


def cake_charge(case, keyword, length):
    queue(case, f"cake unlimited {keyword}")
    with sender() as wan:
        wan.send(frame(length))
    told = state()
    tc(case, "qdisc del dev wan0 root")
    assert [told["min_network_size"], told["max_network_size"], told["avg_hdr_offset"]] == [length, length, ETHERNET], told
    assert told["min_adj_size"] == told["max_adj_size"], told
    return told["max_adj_size"]


def enter(case):
    if os.geteuid() != 0:
        case.skip("queues of a kernel are root's to make")
    problem = network.enter()
    if problem:
        case.skip(problem)
    network.make_veth("wan0", "wan1")
    for interface in ("wan0", "wan1"):
        subprocess.run(["ip", "link", "set", interface, "mtu", "65535"], check=True)


def queue(case, words):
    tc(case, f"qdisc add dev wan0 root handle 1: {words}")


def tc(case, words):
    """Skips the case where the kernel has not this kind of queue."""
    done = subprocess.run(["tc", *words.split()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if "kind is unknown" in done.stdout:
        case.skip(f"this kernel has no such queue: {words}: {done.stdout.splitlines()[0]}")
    assert done.returncode == 0, f"tc {words}: {done.stdout}"


def state():
    done = subprocess.run(["tc", "-s", "-j", "qdisc", "show", "dev", "wan0"], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)[0]


def class_bytes():
    done = subprocess.run(["tc", "-s", "class", "show", "dev", "wan0"], stdout=subprocess.PIPE, text=True, check=True)
    return int(re.search(r"Sent (\d+) bytes", done.stdout)[1])


def frame(length):
    """'length' bytes behind an Ethernet header."""
    return HEADER + bytes(length)


def sender():
    """What is sent on it is in the queue when send() returns."""
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    out.bind(("wan0", 0))
    return out


def assert_charged(case, stab, lengths, read):
    """What 'read' grows by, packet by packet, is what the model makes of its length."""
    charged, before = {}, read()
    with sender() as wan:
        for length in lengths:
            wan.send(frame(length))
            now = read()
            charged[length], before = now - before, now
    expected = model(case, f"ethernet-l2-nopad+stab {stab}", lengths)
    assert charged == expected, {n: (charged[n], expected[n]) for n in lengths if charged[n] != expected[n]}


def model(case, name, lengths):
    lines = case.wanmeter("overhead", "calc", name, *lengths).stdout.splitlines()
    return {int(length): int(billed) for length, billed in map(str.split, lines)}
