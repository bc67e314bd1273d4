"""wanmeter doctor: what would spoil a bill is found, and the commands that it prints mend it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from integration.test_live import start, stop
from support import capture, network, traffic
from support.case import PATIENCE_S, each

ETH_P_ALL = 0x0003
HOST = ("clock", "file_system", "disk")     # of the machine that the test runs on, whatever it is
OFFLOADS = {"gro": "receive_offloads", "rx-gro-list": "receive_offloads", "rx-udp-gro-forwarding": "receive_offloads",
            "tso": "send_offloads", "gso": "send_offloads", "tx-udp-segmentation": "send_offloads",
            "rxvlan": "vlan_offloads", "txvlan": "vlan_offloads", "rx-vlan-stag-hw-parse": "vlan_offloads",
            "tx-vlan-stag-hw-insert": "vlan_offloads"}


def test_what_is_found_is_mended_by_the_commands_that_are_printed(case):
    enter(case)
    offload("tap0", "gro", "on")
    run("ip link set dev tap0 mtu 1400 down")
    ipv6("tap0").write_text("0")
    found = look(case, "-i", "tap0", check=3)
    assert {check: row["verdict"] for (_, check), row in found.items()} == {
        "link": "wrong", "mtu": "risk", "ipv6": "wrong", "receive_offloads": "wrong", "send_offloads": "risk",
        "vlan_offloads": "risk"}, found
    for row in found.values():
        run(row["mend"])
    assert look(case, "-i", "tap0", check=0) == {}


@each(OFFLOADS)
def test_an_offload_is_found_when_it_is_on(case, word):
    enter(case)
    for other in OFFLOADS:
        offload("tap0", other, "off")
    assert look(case, "-i", "tap0", check=0) == {}
    offload("tap0", word, "on")
    found = look(case, "-i", "tap0", check=3)
    assert list(found) == [("tap0", OFFLOADS[word])], found
    assert found["tap0", OFFLOADS[word]]["mend"] == f"ethtool -K tap0 {word} off"
    assert look(case, "-i", "tap0", "--ignore", OFFLOADS[word], check=0) == {}


SITE = """\
sources:
  - interface: tap0
wans:
  - name: fibre
    mtu: 1500
    match:
      - interface: tap0
        local_prefixes: [192.0.2.1/32]
"""
NEIGHBOUR = """\
import socket, subprocess
print("here", flush=True)
input()
for words in ("ip address add 192.0.2.2/24 dev tap1", "ip link set dev tap1 up"):
    subprocess.run(words.split(), check=True)
with socket.create_server(("192.0.2.2", 7777)) as server:
    print("listening", flush=True)
    while True:
        with server.accept()[0] as peer:
            while peer.recv(65536):
                pass
"""


def test_after_the_commands_a_sender_is_captured_packet_by_packet(case):
    """Data that the capturing machine sends to a neighbour: merged packets before, none after."""
    enter(case)
    run("ip address add 192.0.2.1/24 dev tap0")
    with subprocess.Popen(["unshare", "-n", sys.executable, "-c", NEIGHBOUR], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as neighbour:
        try:
            expect(neighbour, "here")
            run(f"ip link set dev tap1 netns {neighbour.pid}")
            print(file=neighbour.stdin, flush=True)
            expect(neighbour, "listening")
            before = transfer(case, "before.db")
            for row in look(case, "-i", "tap0", check=3).values():
                run(row["mend"])
            after = transfer(case, "after.db")
        finally:
            neighbour.kill()
    assert before[0] > 0 and before[1] > 1_514, before
    assert after[0] == 0 and after[1] <= 1_514, after


def expect(process, word):
    assert process.stdout.readline().strip() == word


def transfer(case, database):
    """(merged packets, mean bytes of a packet with data) of a megabyte that is sent"""
    monitor = start(case, SITE, "--database", database)
    with socket.create_connection(("192.0.2.2", 7777)) as peer:
        peer.sendall(bytes(1_000_000))
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b""
    stop(monitor)
    case.wanmeter.audit(database=database)
    merged, size, packets = case.query("SELECT sum(merged_packets), sum(orig_l2_bytes), sum(orig_packets) FROM flow "
                                       "WHERE orig_dst_port = 7777", database=database)[0]
    assert size > 1_000_000
    return merged, size // packets


def test_what_the_driver_cannot_switch_has_no_command(case):
    enter(case)
    made = subprocess.run("ip link add upper0 link tap0 type macvlan".split(), stderr=subprocess.PIPE, text=True, check=False)
    said = subprocess.run(["ethtool", "-k", "upper0"], stdout=subprocess.PIPE, text=True, check=False).stdout
    if made.returncode != 0 or "tx-tcp-segmentation: on [fixed]" not in said:
        case.skip(f"no driver here that has TSO on for good: {made.stderr.strip()}")
    row = look(case, "-i", "upper0", check=3)["upper0", "send_offloads"]
    assert "fixed on: tso" in row["found"] and "tso" not in (row["mend"] or ""), row


def test_the_loopback_interface_speaks_ipv6_for_this_machine(case):
    enter(case)
    assert look(case, "-i", "lo", "--all", check=3)["lo", "ipv6"]["verdict"] == "ok"


def test_nothing_is_changed(case):
    enter(case)
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=1, n_packets=100))
    case.wanmeter("replay", "in.pcap")
    ipv6("tap0").write_text("0")
    wait_for_address("tap0")
    before = picture(case)
    look(case, "-i", "tap0", "-i", "lo", check=3)
    assert picture(case) == before


def wait_for_address(interface):
    """Its own IPv6 address is another second on trial, and then not: that is the kernel's change."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        said = subprocess.run(["ip", "-6", "address", "show", "dev", interface], stdout=subprocess.PIPE, text=True, check=True).stdout
        if "scope link" in said and "tentative" not in said:
            return
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def picture(case):
    said = [subprocess.run(words.split(), stdout=subprocess.PIPE, check=True).stdout
            for words in ("ip -d link", "ip address", "ethtool -k tap0", "ethtool -k lo")]
    settings = {path: path.read_bytes() for path in ipv6("tap0").parent.iterdir() if path.is_file() and os.access(path, os.R_OK)
                and path.name != "stable_secret"}
    files = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(case.directory.rglob("*"))}
    return said, settings, files


def test_an_interface_that_this_machine_uses_may_speak_ipv6_but_not_merge_what_it_sends(case):
    enter(case)
    ipv6("tap0").write_text("0")
    run("ip address add 192.0.2.1/24 dev tap0")
    found = look(case, "-i", "tap0", "--all", check=3)
    assert found["tap0", "ipv6"]["verdict"] == "ok"
    assert found["tap0", "send_offloads"]["verdict"] == "wrong"


def test_an_interface_that_this_machine_uses_is_no_dedicated_port(case):
    enter(case)
    config = case.write("site.yaml", "sources:\n  - interface: tap0\n    dedicated: yes\n")
    assert look(case, "--config", config, "--all", check={0, 3})["tap0", "dedicated"]["verdict"] == "ok"
    run("ip address add 192.0.2.1/24 dev tap0")
    row = look(case, "--config", config, check=3)["tap0", "dedicated"]
    assert (row["verdict"], row["mend"]) == ("wrong", "sources: dedicated: no")
    assert ("tap0", "dedicated") not in look(case, "-i", "tap0", check=3)


def test_a_capture_that_is_not_promiscuous_is_found(case):
    enter(case)
    assert look(case, "-i", "tap0", "--all", check=3)["tap0", "promiscuous"]["verdict"] == "ok"
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind(("tap0", 0))
        row = look(case, "-i", "tap0", check=3)["tap0", "promiscuous"]
        assert row["verdict"] == "wrong", row
        run(row["mend"])
        assert ("tap0", "promiscuous") not in look(case, "-i", "tap0", check=3)


@each(["macvlan", "bridge"])
def test_the_offloads_of_what_carries_an_interface_are_found(case, kind):
    enter(case)
    offload("tap0", "gro", "on")
    if kind == "macvlan":
        made = subprocess.run("ip link add upper0 link tap0 type macvlan".split(), stderr=subprocess.PIPE, text=True, check=False)
    else:
        made = subprocess.run("ip link add upper0 type bridge".split(), stderr=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        case.skip(f"this kernel has no {kind}: {made.stderr.strip()}")
    if kind == "bridge":
        run("ip link set dev tap0 master upper0")
    found = look(case, "-i", "upper0", check=3)
    assert found["tap0", "receive_offloads"]["mend"] == "ethtool -K tap0 gro off"


def test_the_longest_packet_of_a_wan_must_fit(case):
    enter(case)
    wan = "  - name: {}\n    mtu: {}\n    match:\n      - interface: {}\n        pppoe_session: 7\n        inner_vlan: 3\n"
    config = case.write("site.yaml", "sources:\n  - interface: tap0\nwans:\n" + wan.format("fibre", 1500, "tap0") +
                        wan.format("other", 9000, "tap9"))
    row = look(case, "--config", config, check=3)["tap0", "mtu"]
    assert (row["verdict"], row["mend"]) == ("wrong", "ip link set dev tap0 mtu 1512"), row
    run(row["mend"])
    assert ("tap0", "mtu") not in look(case, "--config", config, check=3)


def test_an_interface_that_this_machine_uses_may_be_as_narrow_as_its_link(case):
    enter(case)
    run("ip link set dev tap0 mtu 1400")
    assert look(case, "-i", "tap0", check=3)["tap0", "mtu"]["verdict"] == "risk"
    run("ip address add 192.0.2.1/24 dev tap0")
    assert ("tap0", "mtu") not in look(case, "-i", "tap0", check=3)


def test_an_interface_with_a_dot_in_its_name_is_mended_too(case):
    enter(case)
    run("ip link set dev tap0 down")
    run("ip link set dev tap0 name tap.7 up")
    ipv6("tap.7").write_text("0")
    run(look(case, "-i", "tap.7", check=3)["tap.7", "ipv6"]["mend"])
    assert ipv6("tap.7").read_text().strip() == "1"


def test_an_interface_that_is_not_there_is_found(case):
    found = look(case, "-i", "nosuch0", check=3)
    assert found["nosuch0", "link"]["found"] == "no such interface"


def test_more_ring_than_memory_is_found(case):
    row = look(case, "-i", "lo", "--all", "--set", "capture.ring=1MiB", check={0, 3})["capture.ring", "capture_ring"]
    assert row["verdict"] == "ok", row
    config = case.write("site.yaml", "capture:\n  ring: 2047MiB\nsources:\n" +
                        "".join(f"  - interface: tap{i}\n    workers: 64\n" for i in range(64)))
    row = look(case, "--config", config, check=3)["capture.ring", "capture_ring"]
    assert row["verdict"] == "wrong", row


def test_a_user_who_may_not_capture_is_told_what_gives_the_permission(case):
    enter(case)
    program = copy_programs(case)
    words = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    row = look(case, "-i", "tap0", check=3, prefix=words, program=program)[str(program[1]), "capture_permission"]
    assert (row["verdict"], row["mend"]) == ("wrong", f"setcap cap_net_raw=ep {program[1]}")
    run(row["mend"])
    found = look(case, "-i", "tap0", check=3, prefix=words, program=program)
    assert (str(program[1]), "capture_permission") not in found


def copy_programs(case):
    made = []
    for folder, name in (("cli", "wanmeter"), ("capture", "wanmeter-capture")):
        (case.directory / folder).mkdir()
        made.append(shutil.copy(case.build / folder / name, case.directory / folder / name))
    return made


def test_a_directory_that_cannot_be_written_is_found(case):
    enter(case)
    closed = case.directory / "closed"
    closed.mkdir(mode=0o500)
    words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    database = closed / "wanmeter.db"
    row = look(case, "-i", "tap0", "--database", database, check=3, prefix=words)[str(database), "database"]
    assert (row["verdict"], row["mend"]) == ("wrong", f"chown root {closed}/")
    missing = case.directory / "missing" / "wanmeter.db"
    row = look(case, "-i", "tap0", "--database", missing, check=3)[str(missing), "database"]
    assert row["mend"] == f"mkdir -p {missing.parent}/"
    run(row["mend"])
    assert (str(missing), "database") not in look(case, "-i", "tap0", "--database", missing, check=3)


def test_a_full_disk_that_forgets_is_found(case):
    enter(case)
    (case.directory / "small").mkdir()
    words = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=32m none small && exec "$0" "$@"']
    found = look(case, "-i", "tap0", "--database", "small/wanmeter.db", check=3, prefix=words, ignored=())
    assert found["small/", "disk"]["verdict"] == "wrong" and found["small/", "file_system"]["verdict"] == "risk", found


def test_a_command_line_that_makes_no_sense_is_refused(case):
    assert "--interface" in case.wanmeter("doctor", check=2).stderr
    assert "did you mean clock?" in case.wanmeter("doctor", "-i", "lo", "--ignore", "clok", check=2).stderr
    assert "bad.yaml:1:" in case.wanmeter("doctor", "--config", case.write("bad.yaml", "sorces: []\n"), check=2).stderr


def enter(case):
    if os.geteuid() != 0:
        case.skip("interfaces are root's to change")
    if not shutil.which("ethtool"):
        case.skip("no ethtool")
    problem = network.enter()
    if problem:
        case.skip(problem)
    network.make_veth("tap0", "tap1")


def look(case, *arguments, check, prefix=(), program=None, ignored=HOST):
    """{(subject, check): row}"""
    words = [*prefix, str(program[0]) if program else case.wanmeter.program, "doctor", "--format", "json", *map(str, arguments)]
    for name in ignored:
        words += ["--ignore", name]
    done = subprocess.run(words, cwd=case.directory, env=case.wanmeter.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode in ({check} if isinstance(check, int) else check), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return {(row["subject"], row["check"]): row for row in json.loads(done.stdout)["rows"]}


def run(command):
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}"


def offload(interface, word, state):
    run(f"ethtool -K {interface} {word} {state}")


def ipv6(interface):
    return Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6")
