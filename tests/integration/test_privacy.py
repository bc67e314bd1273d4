"""What is kept of addresses: nothing of them in any file, and the same bill."""

import ipaddress
import os

from support import capture, traffic

KEY = bytes(range(32))
PRIVATE = ("truncated", "anonymised")
BILL = "SELECT slot_ns, account, wan, direction, class, packets, l2_bytes, l3_bytes, billed_bytes FROM usage ORDER BY 1, 2, 3, 4, 5"
COUNTS = "SELECT account, wan, protocol, orig_src_port, orig_packets, reply_packets, orig_l3_bytes, start_ns FROM flow ORDER BY " \
         "start_ns, 4, 3, 1, 2, 5, 6, 7"


def replay(case, database, addresses, *options, check=0):
    case.write("site.yaml", traffic.CONFIG)
    return case.wanmeter("replay", "--config", "site.yaml", "--set", f"privacy.addresses={addresses}",
                         "--set", f"privacy.key_file={case.directory}/key", "--database", database, *options, "in.pcap",
                         check=check)


def prepare(case):
    capture.write_pcap(case.directory / "in.pcap", traffic.mix(seed=3, n_packets=5_000))
    key = case.directory / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    return key


def addresses(case, database):
    return [address for row in case.query("SELECT orig_src_address, orig_dst_address FROM flow", database=database)
            for address in row]


def test_a_bill_is_the_same_whatever_is_kept_of_addresses(case):
    prepare(case)
    replay(case, "full.db", "full")
    for kept in PRIVATE:
        replay(case, f"{kept}.db", kept, "--shards", "2")
        assert case.query(BILL, database=f"{kept}.db") == case.query(BILL, database="full.db")
        assert case.query(COUNTS, database=f"{kept}.db") == case.query(COUNTS, database="full.db")
        case.wanmeter.audit(database=f"{kept}.db")


def test_nothing_of_an_address_or_of_its_flow_id_is_in_the_database(case):
    prepare(case)
    replay(case, "full.db", "full")
    full = {ipaddress.ip_address(address) for address in addresses(case, "full.db")}
    ids = {row[0] for row in case.query("SELECT id FROM flow", database="full.db")}
    for kept in PRIVATE:
        replay(case, f"{kept}.db", kept)
        stored = {ipaddress.ip_address(address) for address in addresses(case, f"{kept}.db")}
        if kept == "truncated":
            assert stored == {ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False).network_address
                              for address in full}
        else:
            assert len(stored) == len(full), "one for one"
            assert len(stored & full) <= 1
        assert not ids & {row[0] for row in case.query("SELECT id FROM flow", database=f"{kept}.db")}
        whole = (case.directory / f"{kept}.db").read_bytes()
        texts = [str(address).encode() for address in full if address.version == 6 and address not in stored]
        # In a row the next column's "2001:..." stands right behind a truncated address.
        texts = [text for text in texts if not b"2001:".startswith(text.split(b"::")[-1])]
        found = [text for text in texts if text in whole]
        assert texts and not found, (len(texts), found[:3])
        masters = case.query("SELECT count(*) FROM flow WHERE master_id IS NOT NULL AND master_id NOT IN (SELECT id FROM flow)",
                             database=f"{kept}.db")
        assert masters == case.query("SELECT count(*) FROM flow WHERE master_id IS NOT NULL AND master_id NOT IN "
                                     "(SELECT id FROM flow)", database="full.db")


def test_the_same_key_gives_the_same_addresses_and_another_one_others(case):
    key = prepare(case)
    for name, content in (("one", KEY), ("same", KEY), ("other", KEY[::-1])):
        key.write_bytes(content)
        replay(case, f"{name}.db", "anonymised", "--shards", "3" if name == "same" else "1")
    rows = "SELECT id, orig_src_address, orig_dst_address, start_ns, record FROM flow ORDER BY 1, 4, 5"
    assert case.query(rows, database="one.db") == case.query(rows, database="same.db")
    assert not set(addresses(case, "one.db")) & set(addresses(case, "other.db"))
    seals = "SELECT seal, hash FROM seal"
    assert case.query(seals, database="one.db") == case.query(seals, database="same.db")


def test_a_key_that_others_may_read_ends_a_run_before_it_begins(case):
    key = prepare(case)
    key.chmod(0o644)
    done = replay(case, "x.db", "anonymised", check={1, 2})
    assert "chmod 600" in done.stderr
    os.unlink(key)
    done = replay(case, "x.db", "truncated", check={1, 2})
    assert "No such file" in done.stderr
    assert not (case.directory / "x.db").exists()
