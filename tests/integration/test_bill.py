"""Bills: what known packets cost, worked out once more with fractions and Python's own time zones."""

import csv
import io
import json
import xml.dom.minidom
from collections import defaultdict
from datetime import datetime, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from support import capture, traffic
from support.capture import NANOSECONDS
from support.case import PATIENCE_S, each
from support.traffic import Traffic

SLOT_S = 300
BERLIN = "Europe/Berlin"

TARIFFS = """\
tariffs:
  - name: volume
    accounts: [alice]
    wans: [adsl]
    currency: EUR
    unit: kB
    timezone: Europe/Berlin
    fee: 19.90
    price: 0.001
    tiers: [{above: 300, price: 0.002}, {above: 450, price: 0.0035}]
    times: [{from: "22:00", to: "06:00", price: 0.0005}]
    quota: 500
  - name: transit
    accounts: [alice]
    wans: [lte]
    kind: percentile
    rule: max
    percentile: 90
    missing: zero
    currency: EUR
    unit: kbit/s
    decimals: 4
    timezone: Europe/Berlin
    price: 12.5
  - name: everything
    accounts: [bob]
    currency: USD
    unit: MiB
    rule: in
    price: 1
    decimals: 6
"""


def days(first, n, seed, gap_s=7_200):
    """Sessions over n days from 'first' (UTC), all day long."""
    site = Traffic(seed)
    time_ns = int(datetime.fromisoformat(first).replace(tzinfo=timezone.utc).timestamp()) * NANOSECONDS
    end_ns = time_ns + n * 86_400 * NANOSECONDS
    while time_ns < end_ns:
        site.anything(time_ns, exotic=0.02)
        time_ns += site.random.randrange(gap_s * NANOSECONDS)
    return site.in_order()


def autumn():
    """The end of September to the beginning of November: October is over, and sealed."""
    return days("2026-09-30", 33, seed=71)


def meter(case, packets, config=traffic.CONFIG + TARIFFS, name="in", check=0, options=()):
    capture.write_pcap(case.directory / f"{name}.pcap", packets)
    path = case.write(f"{name}.yaml", config)
    return case.wanmeter("replay", "--quiet", "--config", path, *options, f"{name}.pcap", check=check)


def invoice(case, account, period, *options):
    return json.loads(case.wanmeter("invoice", "--account", account, "--period", period, "--format", "json", *options).stdout)


def slots(packets, account, wans, zone, year, month):
    """{slot: {direction: billed bytes}} of a local month."""
    begin, end = local_month(zone, year, month)
    found = defaultdict(lambda: defaultdict(int))
    for packet in packets:
        slot_s = packet.time_ns // NANOSECONDS // SLOT_S * SLOT_S
        if packet.account == account and packet.wan in wans and begin <= slot_s < end:
            found[slot_s][packet.direction] += traffic.billed_bytes(packet)
    return found


def local_month(zone, year, month):
    def first(y, m):
        return int(datetime(y, m, 1, tzinfo=ZoneInfo(zone)).timestamp())
    return first(year, month), first(year + month // 12, month % 12 + 1)


def rounded(amount, decimals):
    return str((Decimal(amount.numerator) / Decimal(amount.denominator)).quantize(Decimal(1).scaleb(-decimals),
                                                                                 ROUND_HALF_EVEN))


def lines(document, tariff):
    return [(row["line"], row["billed_bytes"], row["amount"]) for row in document["rows"] if row["tariff"] == tariff]


# --- what it costs ---

@each([1, 3])
def test_a_volume_costs_what_its_packets_do_by_tier_and_hour(case, shards):
    packets = autumn()
    meter(case, packets, options=["--shards", shards])
    found = slots(packets, "alice", {"adsl"}, BERLIN, 2026, 10)
    night = day = 0
    for slot_s, bytes_by_direction in found.items():
        hour = datetime.fromtimestamp(slot_s, ZoneInfo(BERLIN)).hour
        if hour >= 22 or hour < 6:
            night += sum(bytes_by_direction.values())
        else:
            day += sum(bytes_by_direction.values())
    assert day > 450_000 and night > 0, (day, night)
    expected = [("fee", None, "19.90"),
                ("volume from 22:00 to 06:00", night, rounded(Fraction(night, 1000) * Fraction("0.0005"), 2)),
                ("volume up to 300 kB", 300_000, "0.30"),
                ("volume above 300 up to 450 kB", 150_000, "0.30"),
                ("volume above 450 kB", day - 450_000, rounded(Fraction(day - 450_000, 1000) * Fraction("0.0035"), 2))]
    document = invoice(case, "alice", "2026-10")
    assert lines(document, "volume") == expected
    part = document["tariffs"][0]
    assert part["amount"] == str(sum(Decimal(amount) for _, _, amount in expected))
    assert part["cycle_seconds"] == 31 * 86_400 + 3_600      # the hour that October has twice
    assert {row["missing_bytes_max"] for row in document["rows"]} == {0}


@each(["exclude", "zero"])
def test_a_percentile_is_that_of_the_sorted_slots(case, missing):
    packets = days("2026-10-05", 2, seed=72, gap_s=250)
    meter(case, packets, traffic.CONFIG + TARIFFS.replace("missing: zero", f"missing: {missing}"))
    found = slots(packets, "alice", {"lte"}, BERLIN, 2026, 10)
    watched = packets[-1].time_ns // NANOSECONDS // SLOT_S - packets[0].time_ns // NANOSECONDS // SLOT_S + 1
    n = {"exclude": watched, "zero": 8_940}[missing]
    discarded = n // 10
    best = max(sorted([0] * (n - len(found)) + [slot[direction] for slot in found.values()])[n - discarded - 1]
               for direction in ("up", "down"))
    assert (best > 0) == (missing == "exclude")
    document = invoice(case, "alice", "2026-10")
    percentile = document["tariffs"][1]["percentile"]
    assert percentile["slot_bytes"] == best
    assert (percentile["samples"], percentile["discarded"], percentile["rank"]) == (n, discarded, n - discarded)
    assert (percentile["samples_present"], percentile["samples_missing"]) == (watched, 8_940 - watched)
    assert percentile["bits_per_second"] == best * 8 // SLOT_S
    assert lines(document, "transit") == [("rate", None, rounded(Fraction(best * 8, SLOT_S * 1000) * Fraction("12.5"), 4))]


def test_all_wans_but_none_are_summed_where_no_wan_is_named(case):
    packets = autumn()
    meter(case, packets)
    found = slots(packets, "bob", {"adsl", "lte"}, "UTC", 2026, 10)
    down = sum(slot["down"] for slot in found.values())
    document = invoice(case, "bob", "2026-10")
    assert lines(document, "everything") == [("volume", down, rounded(Fraction(down, 1 << 20), 6))]
    assert document["totals"] == [{"currency": "USD", "amount": rounded(Fraction(down, 1 << 20), 6)}]


# --- the documents ---

def test_every_format_says_the_same(case):
    meter(case, autumn())
    document = invoice(case, "alice", "2026-10")
    arguments = ("invoice", "--account", "alice", "--period", "2026-10", "--format")
    rows = list(csv.DictReader(io.StringIO(case.wanmeter(*arguments, "csv").stdout)))
    assert rows == [{name: "" if value is None else str(value) for name, value in row.items()} for row in document["rows"]]
    total = document["totals"][0]["amount"] + " EUR"
    page = case.wanmeter(*arguments, "html").stdout
    assert total in case.wanmeter(*arguments, "table").stdout and total in page
    tree = xml.dom.minidom.parseString(page.replace("<!DOCTYPE html>\n", "", 1))
    assert tree.documentElement.tagName == "html"
    assert not tree.getElementsByTagName("script") and "http" not in page     # it needs nothing else
    cells = [node.firstChild.data for node in tree.getElementsByTagName("td") if node.firstChild]
    assert all(row["amount"] in cells for row in document["rows"])
    seal = case.query("SELECT hash FROM period_seal WHERE number = ?", [document["rows"][0]["seal"]])[0][0]
    assert seal in page and {row["seal_hash"] for row in document["rows"]} == {seal}


def test_losses_stand_on_the_invoice_with_what_they_may_have_cost(case):
    packets = autumn()
    capture.write_pcap(case.directory / "whole.pcap", packets)
    cut = (case.directory / "whole.pcap").read_bytes()[:-5]
    (case.directory / "in.pcap").write_bytes(cut)
    config = case.write("site.yaml", traffic.CONFIG + TARIFFS)
    case.wanmeter("replay", "--quiet", "--config", config, "in.pcap", check=3)
    losses = case.query("SELECT stage, reason FROM loss")
    november = invoice(case, "alice", "2026-11")
    assert [(loss["stage"], loss["reason"]) for loss in november["tariffs"][0]["losses"]] == losses != []
    assert november["rows"][0]["missing_bytes_max"] != 0
    assert invoice(case, "alice", "2026-10")["rows"][0]["missing_bytes_max"] == 0


# --- what is sealed stays ---

def test_an_edited_tariff_or_zone_changes_no_sealed_period(case):
    meter(case, autumn())
    before = case.wanmeter("invoice", "--account", "alice", "--period", "2026-10", "--format", "html").stdout
    edited = TARIFFS.replace("price: 0.001", "price: 0.5").replace(BERLIN, "Asia/Tokyo")
    meter(case, days("2026-11-02", 3, seed=73), traffic.CONFIG + edited, name="later")
    assert case.wanmeter("invoice", "--account", "alice", "--period", "2026-10", "--format", "html").stdout == before
    november = invoice(case, "alice", "2026-11")
    assert {row["status"] for row in november["rows"]} == {"interim"} and november["run"] == 2
    assert {row["timezone"] for row in november["rows"]} == {"Asia/Tokyo"}


def test_bytes_that_come_late_are_a_line_of_their_own(case):
    packets = autumn()
    late = days("2026-10-12", 1, seed=74, gap_s=600)
    meter(case, packets)
    before = invoice(case, "bob", "2026-10")
    meter(case, late, name="late")
    after = invoice(case, "bob", "2026-10")
    assert after["rows"][:-1] == before["rows"]
    correction = after["rows"][-1]
    bytes_late = sum(slot["down"] for slot in slots(late, "bob", {"adsl", "lte"}, "UTC", 2026, 10).values())
    assert (correction["status"], correction["billed_bytes"]) == ("correction", bytes_late)
    assert Decimal(after["totals"][0]["amount"]) == sum(Decimal(row["amount"]) for row in after["rows"])


# --- quotas ---

def expected_quotas(packets):
    """[(begin, percent, slot, used)] of alice's volume, by walking through the slots."""
    found = []
    for year, month in ((2026, 9), (2026, 10), (2026, 11)):
        used, by_slot = 0, slots(packets, "alice", {"adsl"}, BERLIN, year, month)
        left = [60, 95, 100]
        for slot_s in sorted(by_slot):
            used += sum(by_slot[slot_s].values())
            while left and used * 100 >= 500_000 * left[0]:
                found.append((local_month(BERLIN, year, month)[0] * NANOSECONDS, left.pop(0), slot_s * NANOSECONDS, used))
    return found


@each([1, 4])
def test_quotas_are_reached_in_the_slot_that_reaches_them(case, shards):
    packets = autumn()
    meter(case, packets, options=["--shards", shards, "--batch-packets", 7])
    rows = case.query("SELECT begin_ns, percent, slot_ns, used_bytes FROM quota ORDER BY 1, 2")
    assert rows == expected_quotas(packets) != []


def test_a_quota_is_told_to_subscribers(case):
    packets = autumn()
    capture.write_pcap(case.directory / "in.pcap", packets)
    config = case.write("site.yaml", traffic.CONFIG + TARIFFS)
    endpoint = f"ipc://{case.directory}/events"
    replay = case.wanmeter.start("replay", "--quiet", "--config", config, "--events", endpoint, "--wait-subscribers", "1",
                                 "in.pcap")
    events = case.wanmeter("events", "--endpoint", endpoint, "--format", "json").stdout
    output, errors = replay.communicate(timeout=PATIENCE_S)
    assert replay.returncode == 0, output + errors
    quotas = [json.loads(line) for line in events.splitlines() if '"quota.alice"' in line]
    assert [(event["quota"]["begin_ns"], event["quota"]["percent"]) for event in quotas] == \
        [(begin, percent) for begin, percent, _, _ in expected_quotas(packets)]


# --- once more, otherwise ---

def rerated(case, *options):
    document = json.loads(case.wanmeter("rerate", "--account", "alice", "--period", "2026-10", "--format", "json",
                                        *options).stdout)
    return {(row["version"], row["tariff"]): row for row in document["rows"]}


def test_another_tariff_is_rated_beside_the_old_one_and_changes_nothing(case):
    meter(case, autumn())
    before = invoice(case, "alice", "2026-10")
    other = case.write("other.yaml", traffic.CONFIG + TARIFFS.replace("fee: 19.90", "fee: 29.90"))
    rows = rerated(case, "--config", other)
    old, new = rows["billed", "volume"], rows["rerated", "volume"]
    assert old["low_amount"] == before["tariffs"][0]["amount"]
    assert Decimal(new["low_amount"]) - Decimal(old["low_amount"]) == 10 and new["certainty"] == "exact"
    assert invoice(case, "alice", "2026-10") == before


def test_another_model_is_exact_or_within_bounds_and_says_which(case):
    packets = autumn()
    meter(case, packets)
    begin, end = local_month(BERLIN, 2026, 10)
    mine = [packet for packet in packets if (packet.account, packet.wan) == ("alice", "adsl") and packet.l3_bytes and
            begin <= packet.time_ns // NANOSECONDS < end]
    exact = rerated(case, "--overhead", "gre4", "--wan", "adsl")["rerated", "volume"]
    assert exact["low_billed_bytes"] == exact["high_billed_bytes"] == sum(packet.l3_bytes + 24 for packet in mine)
    assert exact["certainty"] == "exact"
    wire = rerated(case, "--overhead", "ethernet-wire", "--wan", "adsl")["rerated", "volume"]
    truth = sum(max(packet.l3_bytes + 38, 84) for packet in mine)
    assert wire["low_billed_bytes"] <= truth <= wire["high_billed_bytes"] and wire["certainty"] == "bounded"


def test_the_operators_figure_finds_its_counting_point(case):
    packets = autumn()
    meter(case, packets)
    on_wan = [packet for packet in packets if packet.wan == "adsl" and packet.l3_bytes]
    counter = sum(packet.l3_bytes + 24 for packet in on_wan)
    rows = json.loads(case.wanmeter("reconcile", "--wan", "adsl", "--counter", counter, "--format", "json").stdout)["rows"]
    billed = next(row for row in rows if row["counting_point"] == "as billed")
    total = sum(traffic.billed_bytes(packet) for packet in packets if packet.wan == "adsl")
    assert billed["low_bytes"] == total
    assert billed["low_difference_ppm"] == int(Fraction(total - counter, counter) * 1_000_000)
    best = next(row for row in rows if row["rank"] == 1)
    assert (best["low_difference_ppm"], best["high_difference_ppm"], best["certainty"]) == (0, 0, "exact")
    assert "gre4" in [row["counting_point"] for row in rows if row["low_bytes"] == counter]


def test_the_published_specification_is_that_of_the_configuration(case):
    config = case.write("site.yaml", traffic.CONFIG + TARIFFS)
    text = case.wanmeter("meter-spec", "--config", config).stdout
    for word in ("pppoe-llcsnap", "LLC/SNAP 8", "VLAN 10", "Europe/Berlin", "percentile 90", "half-even"):
        assert word in text, word
    meter(case, autumn()[:100])
    assert case.wanmeter("meter-spec").stdout.split("##")[1:] == text.split("##")[1:]


# --- local days ---

def test_usage_by_day_and_month_is_that_of_the_place(case):
    packets = autumn()
    meter(case, packets)
    rows = json.loads(case.wanmeter("usage", "--by", "day", "--timezone", BERLIN, "--format", "json").stdout)["rows"]
    expected = defaultdict(int)
    for packet in packets:
        slot_s = packet.time_ns // NANOSECONDS // SLOT_S * SLOT_S
        expected[str(datetime.fromtimestamp(slot_s, ZoneInfo(BERLIN)).date())] += 1
    assert {row["day"]: row["packets"] for row in rows} == expected
    begin = datetime(2026, 10, 25, tzinfo=ZoneInfo(BERLIN))
    lengths = {row["day"]: row["day_ns"] for row in rows}
    assert lengths["2026-10-25"] == int(begin.timestamp()) * NANOSECONDS
    assert lengths["2026-10-26"] - lengths["2026-10-25"] == 25 * 3_600 * NANOSECONDS
    rows = json.loads(case.wanmeter("usage", "--by", "month", "--timezone", BERLIN, "--format", "json").stdout)["rows"]
    assert sum(row["packets"] for row in rows) == len(packets)
    assert [row["month"] for row in rows] == sorted({day[:7] for day in expected})


# --- bad input ---

WRONG = {
    "no account": (["invoice", "--account", "alise", "--period", "2026-10"], "did you mean 'alice'"),
    "no tariff": (["invoice", "--account", "shop", "--period", "2026-10"], "no tariff for account 'shop'"),
    "no period": (["invoice", "--account", "alice", "--period", "2026-13"], "expected a month such as 2026-10"),
    "no model": (["rerate", "--account", "alice", "--period", "2026-10", "--overhead", "x"], "is no model"),
    "nothing to rerate": (["rerate", "--account", "alice", "--period", "2026-10"], "--overhead"),
    "no WAN": (["reconcile", "--wan", "adls", "--counter", "5"], "did you mean 'adsl'"),
    "no counter": (["reconcile", "--wan", "adsl"], "--counter"),
    "no zone": (["usage", "--by", "day", "--timezone", "Europe/Berlni"], "did you mean Europe/Berlin"),
}


@each(WRONG)
def test_what_is_wrong_is_named(case, what):
    meter(case, autumn()[:50])
    arguments, message = WRONG[what]
    assert message in case.wanmeter(*arguments, check=2).stderr


def test_a_tariff_that_is_wrong_stops_before_anything_is_written(case):
    config = traffic.CONFIG + TARIFFS.replace(BERLIN, "Europe/Berlni", 1)
    done = meter(case, autumn()[:50], config, check=2)
    assert "no such time zone (got 'Europe/Berlni'" in done.stderr and "did you mean Europe/Berlin?" in done.stderr
    assert not (case.directory / "wanmeter.db").exists()
