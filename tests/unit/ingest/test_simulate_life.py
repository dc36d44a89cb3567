"""What lives in the unplanted demo: devices, users, licences, firewalls, and counts that agree."""

from __future__ import annotations

import re
from datetime import date

import polars as pl
import pytest
from simulated import DAYS, END, PERIODS, REGIONS, SEEDS, SOURCES, START, Demo, demo, off_portal

from ingest.contracts import FEEDS


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return demo(tmp_path_factory.mktemp("clean"), None)


def test_without_plants_nothing_is_missing_quarantined_or_repeated(clean: Demo) -> None:
    for feed, sources in SOURCES.items():
        files = {(path.parent.name, path.stem) for path in (clean.root / feed).rglob("*.csv")}
        assert files == {(day.isoformat(), source) for day in DAYS for source in sources}
        for day in DAYS[::6]:
            for source in sources:
                parsed = clean.parsed(feed, day, source)
                assert parsed.quarantined.is_empty()
                assert parsed.duplicates == 0
                assert parsed.warnings == ()
                assert parsed.verified is (feed != "psa_additions")
                assert parsed.rows_in_file > 0


def test_activity_is_never_ahead_of_its_snapshot_and_never_goes_back(clean: Demo) -> None:
    """Consumers OR days together; a time that went back would mean a lost day, not an idle one."""
    keys = {
        "usage": ["customer_id", "product_code", "device_id", "user_id"],
        "heartbeat": ["customer_id", "serial_number"],
    }
    for feed, key in keys.items():
        time = str(FEEDS[feed].activity_time)
        rows = clean.rows(feed).sort(*key, "snapshot_date")
        assert rows.filter(pl.col(time).dt.date() > pl.col("snapshot_date")).is_empty()
        back = pl.col(time) < pl.col(time).shift(1).over(key)
        assert rows.filter(back).is_empty()


def test_devices_report_as_their_kind_does(clean: Demo) -> None:
    """Share of listed devices active on the very day: a Wednesday and a Sunday of one week."""
    rows = clean.rows("usage").with_columns(
        today=pl.col("last_active_at").dt.date() == pl.col("snapshot_date")
    )

    def share(day: date, prefix: str) -> float:
        of = rows.filter(
            pl.col("snapshot_date") == day, pl.col("product_code").str.starts_with(prefix)
        )
        return int(of["today"].sum()) / of.height

    wednesday, sunday = date(2026, 1, 14), date(2026, 1, 18)
    assert share(wednesday, "EP") > 0.75 > 0.1 > share(sunday, "EP")
    assert min(share(wednesday, "SV"), share(sunday, "SV")) > 0.85
    assert 0.1 < share(sunday, "MOB") < share(wednesday, "MOB") < 0.5


def test_devices_come_go_and_idle(clean: Demo) -> None:
    rows = clean.rows("usage")
    first = set(rows.filter(snapshot_date=START)["device_id"])
    last = set(rows.filter(snapshot_date=END)["device_id"])
    assert len(last - first) > 100
    assert len(first - last) > 20
    idle = (pl.col("snapshot_date") - pl.col("last_active_at").dt.date()).dt.total_days()
    assert rows.filter(snapshot_date=START).filter(idle > 30).height > 50
    # Both sides of the window's edge, on each distributor's own cut-offs (R2): day 29 is the
    # oldest that counts.
    for name, cutoffs in {
        "alpenland": (date(2026, 1, 31), date(2026, 2, 28)),
        "cascadia": (date(2026, 1, 25), date(2026, 2, 25)),
        "sakura": (date(2026, 1, 31), date(2026, 2, 28)),
    }.items():
        for cutoff in cutoffs:
            there = rows.filter(source=REGIONS[name], snapshot_date=cutoff)
            ages = set(there.select(idle.alias("age")).to_series())
            assert set(range(28, 34)) <= ages


def test_users_have_several_devices_and_products(clean: Demo) -> None:
    rows = clean.rows("usage").filter(pl.col("user_id").is_not_null())
    per_user = rows.filter(snapshot_date=END).group_by("user_id").n_unique()
    assert per_user.filter(pl.col("device_id") > 1).height > 300
    assert per_user.filter(pl.col("product_code") > 1).height > 300
    assert per_user["customer_id"].max() == 1


def test_devices_change_get_and_lose_their_user(clean: Demo) -> None:
    rows = clean.rows("usage").filter(pl.col("product_code").str.starts_with("SV").not_())
    per_device = rows.group_by("device_id").agg(
        users=pl.col("user_id").drop_nulls().n_unique(),
        without=pl.col("user_id").is_null().sum(),
        first=pl.col("user_id").sort_by("snapshot_date").first(),
        rows=pl.len(),
    )
    changed = per_device.filter(pl.col("users") == 2)
    assert 0.005 < changed.height / per_device.height < 0.02
    got = per_device.filter((pl.col("users") == 1) & (pl.col("without") > 0))
    assert got.filter(pl.col("first").is_null()).height > 5
    assert got.filter(pl.col("first").is_not_null()).height > 3
    assert per_device.filter(pl.col("users") == 0).height > 50


@pytest.mark.parametrize("name", REGIONS)
def test_a_device_has_two_users_on_its_last_day(clean: Demo, name: str) -> None:
    """R6's tie: both users on 10 February, and nobody after."""
    customer = clean.customer("shared_device", name)
    rows = clean.rows("usage").filter(customer_id=customer, snapshot_date=END)
    tied = rows.filter(pl.col("last_active_at").dt.date() == date(2026, 2, 10)).filter(
        pl.len().over("device_id", "product_code") == 2
    )
    assert tied["device_id"].n_unique() == 1
    assert tied["user_id"].n_unique() == 2


def licences_on(demo: Demo, day: date, customer: str) -> list[tuple[str, date, date | None]]:
    """Distinct (type, start, end) of a customer's licences as the crm showed them on a day."""
    rows = demo.rows("licences").filter(snapshot_date=day, customer_id=customer)
    return rows.select("licence_type", "starts_on", "ends_on").unique().sort("starts_on").rows()


@pytest.mark.parametrize("name", REGIONS)
def test_licences_live(clean: Demo, name: str) -> None:
    january, february = date(2026, 1, 31), date(2026, 2, 28)

    converted = clean.customer("converts_on_3rd", name)
    # A trial from 14 December; until it converts, its 30 days run to 12 January.
    assert licences_on(clean, date(2026, 1, 2), converted) == [
        ("trial", date(2025, 12, 14), date(2026, 1, 12))
    ]
    assert licences_on(clean, date(2026, 1, 3), converted) == [
        ("trial", date(2025, 12, 14), date(2026, 1, 2)),
        ("monthly", date(2026, 1, 3), None),
    ]
    later = clean.customer("trial_then_monthly", name)
    assert licences_on(clean, january, later) == [("trial", date(2026, 1, 9), date(2026, 2, 7))]
    assert licences_on(clean, february, later)[1] == ("monthly", date(2026, 2, 3), None)
    assert licences_on(clean, february, clean.customer("trial_lapses", name)) == [
        ("trial", date(2026, 1, 12), date(2026, 2, 9))
    ]
    assert licences_on(clean, february, clean.customer("trial_runs", name)) == [
        ("trial", date(2026, 2, 12), date(2026, 3, 9))
    ]
    cancelled = clean.customer("cancelled_on_2nd", name)
    assert [end for _, _, end in licences_on(clean, date(2026, 2, 1), cancelled)] == [None]
    assert [end for _, _, end in licences_on(clean, february, cancelled)] == [date(2026, 2, 2)]
    nothing = clean.customer("zero_usage", name)
    assert [kind for kind, _, _ in licences_on(clean, january, nothing)] == ["monthly"]
    assert clean.rows("usage").filter(customer_id=nothing).is_empty()
    assert clean.rows("portal_usage").filter(customer_id=nothing)["quantity"].sum() == 0
    assert not clean.rows("portal_usage").filter(customer_id=nothing).is_empty()
    for role, owner in (("term_partner", "partner"), ("term_customer", "customer")):
        term = clean.rows("licences").filter(customer_id=clean.customer(role, name))
        assert set(term["licence_type"]) == {"term"}
        assert set(term["owner"]) == {owner}
        assert term["quantity"].null_count() == 0


@pytest.mark.parametrize("name", REGIONS)
def test_customers_close_and_move(clean: Demo, name: str) -> None:
    rows = clean.rows("customers")
    closed = rows.filter(customer_id=clean.customer("closes", name), status="closed")
    assert closed["snapshot_date"].min() == date(2026, 2, 10)
    assert closed.height == 19  # 10 to 28 February
    moved = rows.filter(customer_id=clean.customer("transferred", name)).sort("snapshot_date")
    before, after = moved["partner_id"][0], moved["partner_id"][-1]
    assert before != after
    partners = clean.rows("partners").filter(snapshot_date=END)
    both = partners.filter(pl.col("partner_id").is_in([before, after]))
    assert set(both["distributor_id"]) == {name}
    assert set(both["programme"]) == {"connect_flex"}
    changed_on = moved.filter(partner_id=after)["snapshot_date"].min()
    (transfer,) = (
        clean.rows("transfers")
        .filter(snapshot_date=changed_on, customer_id=moved["customer_id"][0])
        .rows(named=True)
    )
    assert transfer["effective_on"] == changed_on
    assert (transfer["from_partner_id"], transfer["to_partner_id"]) == (before, after)
    for party in ("current_partner", "new_partner", "customer"):
        assert transfer[f"{party}_approved_on"] < changed_on


def test_programmes_and_countries(clean: Demo) -> None:
    partners = clean.rows("partners").filter(snapshot_date=START)
    assert sorted(partners["programme"]) == ["connect"] * 3 + ["connect_flex"] * 8 + ["msp_v1"]
    assert "GB" not in set(partners["country"])
    assert partners["parent_partner_id"].null_count() == 12
    legacy = partners.filter(programme="msp_v1")["registered_on"].item()
    assert legacy < date(2016, 8, 8)
    licences = clean.rows("licences").join(
        clean.rows("customers").select("snapshot_date", "customer_id", "partner_id"),
        on=["snapshot_date", "customer_id"],
    )
    licences = licences.join(partners.select("partner_id", "programme"), on="partner_id")
    kinds = {
        programme: set(licences.filter(programme=programme)["licence_type"])
        for programme in ("connect", "msp_v1")
    }
    assert kinds == {"connect": {"trial", "term"}, "msp_v1": {"term"}}


def test_names_exercise_quoting_and_scripts(clean: Demo) -> None:
    every = clean.rows("customers")["customer_name"].unique()
    names = "\n".join(every)
    for sample in ("ü", "株", ",", '"', "<"):
        assert sample in names
    for script in ("\u0370-\u03ff", "\u0400-\u04ff"):  # Greek, Cyrillic
        assert re.search(f"[{script}]", names)
    for first in "=+-@":
        assert every.str.starts_with(first).any()
    assert len(every) > 80


@pytest.mark.parametrize("name", REGIONS)
def test_firewalls_of_every_sort(clean: Demo, name: str) -> None:
    rows = clean.rows("heartbeat").filter(snapshot_date=END, source=REGIONS[name])
    pairs = rows.filter(customer_id=clean.customer("ha_pairs", name))
    modes = pairs.group_by("cluster_id").agg(pl.col("cluster_mode").first(), pl.len())
    assert sorted(modes.select("cluster_mode", "len").rows()) == [
        ("active-active", 2),
        ("active-passive", 2),
        ("active-passive", 2),
    ]
    licensed = clean.rows("licences").filter(snapshot_date=END)["serial_number"].drop_nulls()
    # Of the six members one is the passive half whose licence is the other's.
    assert pairs["serial_number"].is_in(licensed.implode()).sum() == 5
    boxes = rows.filter(customer_id=clean.customer("utm9", name))
    assert sorted(boxes["operating_system"]) == ["SFOS", "UTM 9", "UTM 9"]
    silent = clean.customer("silent_firewalls", name)
    cutoff = date(2026, 2, 25 if name == "cascadia" else 28)
    heard = clean.rows("heartbeat").filter(snapshot_date=END, customer_id=silent)
    ages = [(cutoff - moment.date()).days for moment in heard["last_heartbeat_at"]]
    # The window's first day, the day before it, and 60 days before 1 January.
    assert sorted(ages)[:2] == [29, 30]
    assert min(heard["last_heartbeat_at"]).date() == date(2025, 11, 2)
    mine = clean.rows("licences").filter(snapshot_date=END, customer_id=silent)
    serials = mine["serial_number"].drop_nulls()
    assert set(serials) - set(clean.rows("heartbeat")["serial_number"])


@pytest.mark.parametrize(("name", "first", "cutoff"), PERIODS)
def test_the_portal_counts_what_the_files_show(
    clean: Demo, name: str, first: date, cutoff: date
) -> None:
    assert off_portal(clean, name, first, cutoff) == []


def test_the_psa_bills_what_the_portal_counts(clean: Demo) -> None:
    companies = pl.read_csv(SEEDS / "psa_companies.csv").select("company_id", "customer_id")
    products = pl.read_csv(SEEDS / "psa_products.csv").select("product_id", "product_code")
    additions = clean.rows("psa_additions").join(companies, on="company_id")
    additions = additions.join(products, on="product_id")
    key = ["snapshot_date", "customer_id", "product_code"]
    portal = clean.rows("portal_usage").join(companies, on="customer_id")
    both = portal.join(additions, on=key, how="full", suffix="_psa", coalesce=True)
    assert both.height == portal.height > 3000
    assert both.filter(pl.col("quantity").ne_missing(pl.col("quantity_psa"))).is_empty()
    assert additions.filter(pl.col("unit_price") <= 0).is_empty()
