"""Every planted case is there, in the planted distributor's data and nowhere else."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from simulated import DAYS, END, PERIODS, REGIONS, SEEDS, SOURCES, START, Demo, demo, off_portal

from ingest.contracts import FEEDS
from ingest.landing import Format as LandingFormat
from ingest.parse import parse
from ingest.reasons import Reason, Rejected
from ingest.reference_checks import problems_of_folder
from ingest.simulate import PLANTS, Format, plant_references, simulate


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return demo(tmp_path_factory.mktemp("clean"), None)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return demo(tmp_path_factory.mktemp("planted"), "cascadia")


def test_every_plant_names_its_ids(planted: Demo) -> None:
    assert {plant.name for plant in PLANTS} == {k for k in planted.cases if "@" not in k}


def test_plants_touch_nobody_else(clean: Demo, planted: Demo) -> None:
    """Files of the other regions are the same bytes; in shared files so are the others' rows."""
    for feed in ("usage", "heartbeat"):
        for name in ("alpenland", "sakura"):
            for path in (clean.root / feed).rglob(f"{REGIONS[name]}.csv*"):
                other = planted.root / path.relative_to(clean.root)
                assert path.read_bytes() == other.read_bytes()
    partners, with_planted = clean.rows("partners"), planted.rows("partners")
    assert partners.equals(
        with_planted.filter(pl.col("partner_id").is_in(partners["partner_id"].unique().implode()))
    )
    added = with_planted.join(partners, on="partner_id", how="anti")
    assert set(added["distributor_id"]) == {"cascadia"}
    theirs = partners.filter(pl.col("distributor_id") != "cascadia")["partner_id"].unique()
    customers = clean.rows("customers").filter(pl.col("partner_id").is_in(theirs.implode()))
    ids = customers["customer_id"].unique()
    psa = pl.read_csv(SEEDS / "psa_companies.csv")
    companies = psa.filter(pl.col("customer_id").is_in(ids.implode()))["company_id"]
    for feed in ("customers", "licences", "transfers", "portal_usage", "psa_additions"):
        column, wanted = (
            ("company_id", companies)
            if feed == "psa_additions"
            else (
                "customer_id",
                ids,
            )
        )
        before, after = (
            demo.rows(feed).filter(pl.col(column).is_in(wanted.implode()))
            for demo in (clean, planted)
        )
        assert before.equals(after)
        assert before.height > 100
        for day in DAYS[1:20]:
            bad = planted.parsed(feed, day, SOURCES[feed][0]).quarantined
            assert bad.height == (1 if feed == "portal_usage" and day.day == 10 else 0)


@pytest.mark.parametrize(("name", "first", "cutoff"), PERIODS)
def test_the_planted_portal_is_off_where_planted_only(
    planted: Demo, name: str, first: date, cutoff: date
) -> None:
    """The moved device counts once, with the taker; the two healed days change nothing."""
    expected = []
    if name == "cascadia":
        for plant, off in (("portal_over", 3), ("portal_under", -2)):
            customer, product, _ = planted.cases[plant].split()
            expected.append((customer, product, off))
    assert off_portal(planted, name, first, cutoff) == sorted(expected)


def test_the_planted_psa_is_off_in_one_place(clean: Demo, planted: Demo) -> None:
    customer, product, _ = planted.cases["psa_over"].split()
    key = ["snapshot_date", "addition_id"]
    both = clean.rows("psa_additions").join(planted.rows("psa_additions"), on=key)
    off = both.filter(pl.col("quantity_right") - pl.col("quantity") == 4)
    companies = pl.read_csv(SEEDS / "psa_companies.csv").filter(customer_id=customer)
    assert set(off["company_id"]) == {companies["company_id"].item()}
    products = pl.read_csv(SEEDS / "psa_products.csv").filter(product_code=product)
    assert set(off["product_id"]) == {products["product_id"].item()}
    assert off.height == len(DAYS)


def test_what_the_planted_psa_bills_alone(planted: Demo) -> None:
    """9 of a product whose licence ended on 2 November, and 3 of a company nobody names."""
    additions, licences = planted.rows("psa_additions"), planted.rows("licences")
    customer, product, company = planted.cases["psa_after_licence"].split()
    ended = licences.filter(customer_id=customer, product_code=product)["ends_on"]
    assert set(ended) == {date(2025, 11, 2)}
    products = pl.read_csv(SEEDS / "psa_products.csv").filter(product_code=product)
    billed = additions.filter(company_id=company)
    assert set(billed["product_id"]) == {products["product_id"].item()}
    assert billed["quantity"].to_list() == [9] * len(DAYS)
    _, stranger = planted.cases["psa_stranger"].split()
    assert pl.read_csv(SEEDS / "psa_companies.csv").filter(company_id=stranger).is_empty()
    assert additions.filter(company_id=stranger)["quantity"].to_list() == [3] * len(DAYS)


def test_planted_registry_cases(planted: Demo) -> None:
    licences = planted.rows("licences")
    usage, beats = planted.rows("usage"), planted.rows("heartbeat")

    customer, serial = planted.cases["unlicensed_firewall"].split()
    box = licences.filter(serial_number=serial)
    assert set(box["ends_on"]) == {date(2025, 11, 17)}  # 45 days before 1 January
    assert beats.filter(serial_number=serial).height == len(DAYS)

    customer, product = planted.cases["unlicensed_usage"].split()
    assert licences.filter(customer_id=customer, product_code=product).is_empty()
    assert not usage.filter(customer_id=customer, product_code=product).is_empty()

    stranger = planted.cases["orphan_usage"]
    assert planted.rows("customers").filter(customer_id=stranger).is_empty()
    assert usage.filter(customer_id=stranger)["device_id"].n_unique() == 2
    serial = planted.cases["orphan_heartbeat"].split()[1]
    assert licences.filter(serial_number=serial).is_empty()
    assert set(beats.filter(serial_number=serial)["customer_id"]) == {stranger}

    customer, before, _, after = planted.cases["unapproved_transfer"].split()
    partner = planted.rows("customers").filter(customer_id=customer).sort("snapshot_date")
    assert (partner["partner_id"][0], partner["partner_id"][-1]) == (before, after)
    assert partner.filter(partner_id=after)["snapshot_date"].min() == date(2026, 2, 12)
    transfer = planted.rows("transfers").filter(customer_id=customer, snapshot_date=END)
    assert transfer["customer_approved_on"].to_list() == [None]
    assert transfer["new_partner_approved_on"].null_count() == 0

    customer, partner_id, product = planted.cases["monthly_outside_flex"].split()
    programme = planted.rows("partners").filter(partner_id=partner_id)["programme"].unique()
    assert programme.to_list() == ["connect"]
    monthly = licences.filter(customer_id=customer, licence_type="monthly")
    assert monthly["snapshot_date"].min() == date(2026, 1, 5)
    assert set(monthly["product_code"]) == {product}

    customer, product = planted.cases["stale_trial"].split()
    trial = licences.filter(customer_id=customer, product_code=product)
    assert set(trial["licence_type"]) == {"trial"}
    assert set(trial["starts_on"]) == {date(2025, 11, 12)}  # 50 days before 1 January
    assert trial["ends_on"].null_count() == trial.height

    device, product, giver, _, taker = planted.cases["moved_device"].split()
    rows = usage.filter(device_id=device, product_code=product)
    day = pl.col("last_active_at").dt.date()
    assert rows.filter(customer_id=giver).select(day.max()).item() < date(2026, 2, 6)
    assert rows.filter(customer_id=taker).select(day.min()).item() == date(2026, 2, 6)


def test_planted_customers_carry_what_they_are_there_for(planted: Demo) -> None:
    """Each on the last day of the second month, unless a day is named."""
    cases = planted.cases
    licences, usage = planted.rows("licences"), planted.rows("usage")
    beats, customers = planted.rows("heartbeat"), planted.rows("customers")
    partners = planted.rows("partners").filter(snapshot_date=END)

    def held(serial: str) -> list[tuple[str, str, date | None]]:
        found = licences.filter(serial_number=serial, snapshot_date=END)
        return found.select("customer_id", "product_code", "ends_on").sort("product_code").rows()

    def heard(serial: str) -> set[tuple[str, date]]:
        rows = beats.filter(serial_number=serial, snapshot_date=END)
        return set(rows.select("customer_id", pl.col("last_heartbeat_at").dt.date()).rows())

    owner, product, serial = cases["firewall_silent"].split()
    assert (held(serial), heard(serial)) == ([(owner, product, None)], set())
    owner, product, serial = cases["firewall_elsewhere"].split()
    assert held(serial) == [(owner, product, None)]
    assert heard(serial) == {("C9999905", END)}
    owner, serial = cases["firewall_two_products"].split()
    assert held(serial) == [(owner, "FWENT", None), (owner, "FWFULL", None)]
    assert heard(serial) == {(owner, END)}
    owner, product, serial = cases["odd_system"].split()
    assert held(serial) == [(owner, product, None)]
    assert heard(serial) == {(owner, END)}
    assert set(beats.filter(serial_number=serial)["operating_system"]) == {"XGOS 2"}
    stranger, serial = cases["expired_firewall"].split()
    # 60 days before 1 January.
    assert held(serial) == [("C9999906", "FWENT", date(2025, 11, 2))]
    assert heard(serial) == {(stranger, END)}
    owner, product, cluster = cases["silent_pair"].split()
    pair = beats.filter(cluster_id=cluster, snapshot_date=END).sort("last_heartbeat_at")
    assert pair["cluster_mode"].unique().to_list() == ["active-passive"]
    # 20 days before 1 January, and today.
    assert pair["last_heartbeat_at"].dt.date().to_list() == [date(2025, 12, 12), END]
    assert [held(one) for one in pair["serial_number"]] == [[(owner, product, None)], []]

    lost = customers.filter(customer_id=cases["unknown_partner"])
    assert lost["partner_id"].unique().is_in(partners["partner_id"].implode()).any() is False
    assert usage.filter(customer_id=cases["unknown_partner"]).height == len(DAYS) - 2
    owner, product = cases["unlisted_product"].split()
    assert not usage.filter(customer_id=owner, product_code=product).is_empty()
    assert product not in (SEEDS / "products.csv").read_text()

    product, device, *both = cases["device_at_two"].split()
    days = [
        set(usage.filter(product_code=product, device_id=device, customer_id=one)["snapshot_date"])
        for one in both
    ]
    assert len(days[0]) == len(DAYS) - 2
    assert days[0] == days[1]
    assert sorted(both) == both
    monthly = licences.filter(product_code=product, snapshot_date=END, licence_type="monthly")
    assert set(both) <= set(monthly["customer_id"])

    owner, product = cases["usage_of_firewall"].split()
    assert usage.filter(customer_id=owner, product_code=product)["device_id"].n_unique() == 1
    assert f"\n{product}," in (SEEDS / "products.csv").read_text()

    owner, product, key = cases["twin_devices"].split()
    devices = usage.filter(customer_id=owner, product_code=product)["device_id"].unique().to_list()
    assert len(devices) == 2
    assert {device.lower().replace("-", "") for device in devices} == {key}
    users = usage.filter(customer_id=cases["email_id"], product_code="EPADV")["user_id"]
    assert users.unique().to_list() == ["jo.doe@example.com"]
    names = [
        customers.filter(customer_id=one, snapshot_date=END, source="crm")["customer_name"].item()
        for one in cases["twin_names"].split()
    ]
    assert names[0] != names[1]
    assert unicodedata.normalize("NFC", names[1]) == names[0]
    owner, product = cases["term_overuse"].split()
    bought = licences.filter(customer_id=owner, product_code=product, snapshot_date=END)
    assert bought.select("licence_type", "quantity").rows() == [("term", 1)]
    assert usage.filter(customer_id=owner, product_code=product)["user_id"].n_unique() == 3
    product, licence = cases["term_shared"].split()
    shared = licences.filter(licence_id=licence, snapshot_date=END)
    assert shared["customer_id"].n_unique() == 2
    assert set(shared["licence_type"]) == {"term"}

    days = customers.filter(customer_id=cases["vanishing_customer"])["snapshot_date"]
    assert (days.min(), days.max()) == (START, date(2026, 1, 19))
    twice = customers.filter(customer_id=cases["second_registry"], snapshot_date=END)
    assert sorted(twice["source"]) == ["crm", "crm-west"]
    assert cases["registry_gap"] == "2026-01-10"
    west = customers.filter(source="crm-west")["snapshot_date"].unique()
    assert set(DAYS) - set(west) == {date(2026, 1, 10)}

    def partner(of: str) -> dict[str, object]:
        return partners.filter(partner_id=of).row(0, named=True)

    # Taking nobody new since 8 August 2016, as seeds/programmes.csv says.
    assert partner(cases["legacy_partner"])["programme"] == "msp_v1"
    assert partner(cases["legacy_partner"])["registered_on"] == date(2016, 9, 1)
    for plant, column, value in (
        ("partner_abroad", "country", "GB"),
        ("partner_of_partner", "parent_partner_id", "P0002"),
    ):
        owner, product = cases[plant].split()
        monthly = licences.filter(customer_id=owner, product_code=product, snapshot_date=END)
        assert set(monthly["licence_type"]) == {"monthly"}
        of = customers.filter(customer_id=owner, snapshot_date=END)["partner_id"].item()
        assert (partner(of)["programme"], partner(of)[column]) == ("connect_flex", value)
    for plant in ("no_price", "two_prices"):
        sold = licences.filter(product_code=cases[plant])
        assert sold["snapshot_date"].min() == date(2026, 2, 1)

    owner, product = cases["growing_customer"].split()
    theirs = customers.filter(partner_id=owner, snapshot_date=END)["customer_id"]
    users_on = {
        day: usage.filter(
            pl.col("customer_id").is_in(theirs.implode()),
            snapshot_date=day,
            product_code=product,
        )["user_id"].n_unique()
        for day in (date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 25))
    }
    assert list(users_on.values()) == [5, 11, 65]


def test_planted_sources_are_silent_retracted_and_refused(planted: Demo) -> None:
    sent = {path.parent.name for path in (planted.root / "heartbeat").rglob("us-south.csv")}
    assert {day.isoformat() for day in DAYS} - sent == {"2026-02-25"}
    assert planted.cases["hole_at_cutoff"] == "2026-02-25"
    assert planted.cases["retracted_file"] == "2026-02-10"
    for name, names_the_file in (
        ("heartbeat/2026-02-10/us-south.csv", True),
        ("usage/2026-02-03/us-west.csv", False),
    ):
        path = planted.root / name
        said = json.loads(path.with_name(f"{path.name}.retracted.json").read_bytes())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert (said["sha256"] == digest) is names_the_file
    assert len(list(planted.root.rglob("*.retracted.json"))) == 2
    assert not list(planted.root.rglob("autotask.*"))

    assert planted.cases["thin_file"] == "2026-01-23"
    rows = planted.rows("usage").filter(source="us-west")
    per_day = dict(rows.group_by("snapshot_date").len().rows())
    # A third of about 1,970 rows, and the planted customers' rows whole.
    assert per_day[date(2026, 1, 23)] * 2 < per_day[date(2026, 1, 22)]
    assert abs(per_day[date(2026, 1, 24)] - per_day[date(2026, 1, 22)]) < 50


def test_the_reference_copy_is_sound_and_gives_the_same_files(tmp_path: Path) -> None:
    copy = tmp_path / "seeds"
    plant_references(SEEDS, copy, START, "cascadia")
    assert problems_of_folder({path.stem: path.read_bytes() for path in copy.glob("*.csv")}) == []
    changed = {
        path.name
        for path in copy.iterdir()
        if path.read_bytes() != (SEEDS / path.name).read_bytes()
    }
    # Policies: one correction period, so that two months show what comes too late for a note.
    assert changed == {
        "expected_sources.csv",
        "products.csv",
        "price_bands.csv",
        "psa_companies.csv",
        "policies.csv",
    }
    prices = pl.read_csv(copy / "price_bands.csv")
    counted = prices.filter(pl.col("product_code").is_in(["SAFEGD", "ZTNA"]))
    assert sorted(counted.group_by("product_code", "currency").len().rows()) == [
        ("SAFEGD", "EUR", 1),
        ("SAFEGD", "JPY", 1),
        ("ZTNA", "EUR", 1),
        ("ZTNA", "JPY", 1),
        ("ZTNA", "USD", 2),
    ]
    for seeds, out in ((SEEDS, "a"), (copy, "b")):
        simulate(
            tmp_path / out,
            START,
            START + timedelta(days=1),
            partners=12,
            customers=150,
            devices=1500,
            seed=7,
            format="csv",
            seeds=seeds,
            plant="cascadia",
        )
    for path in (tmp_path / "a").rglob("*.csv"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
    with pytest.raises(ValueError, match="No distributor 'nobody'"):
        plant_references(SEEDS, tmp_path / "c", START, "nobody")


def test_planted_files_are_missing_and_corrupt(planted: Demo) -> None:
    assert planted.cases["missing_day"] == "2026-01-14"
    assert not (planted.root / "usage/2026-01-14/us-west.csv").exists()
    assert (planted.root / "usage/2026-01-14/eu-central.csv").exists()
    assert planted.cases["corrupt_file"] == "2026-01-20"
    with pytest.raises(Rejected) as refused:
        planted.parsed("usage", date(2026, 1, 20), "us-west")
    assert refused.value.reason is Reason.MANIFEST_MISMATCH
    for day in (date(2026, 1, 15), date(2026, 1, 21)):
        assert planted.parsed("usage", day, "us-west").quarantined.is_empty()


@pytest.mark.parametrize("file_format", ["csv.gz", "parquet"])
def test_the_corrupt_file_cannot_be_read_at_all(tmp_path: Path, file_format: Format) -> None:
    last = START + timedelta(days=19)
    simulate(
        tmp_path,
        START,
        last,
        partners=12,
        customers=150,
        devices=1500,
        seed=7,
        format=file_format,
        seeds=SEEDS,
        plant="cascadia",
    )
    path = tmp_path / f"usage/2026-01-20/us-west.{file_format}"
    with pytest.raises(Rejected) as refused:
        parse(path, LandingFormat(file_format), FEEDS["usage"], last, 10)
    assert refused.value.reason is Reason.CORRUPT_FILE


def test_planted_rows_are_bad_in_each_way(planted: Demo) -> None:
    for day in DAYS:
        if day.isoformat() in (planted.cases["missing_day"], planted.cases["corrupt_file"]):
            continue
        parsed = planted.parsed("usage", day, "us-west")
        assert parsed.duplicates == (1 if day.day == 17 else 0)
        reasons = sorted(parsed.quarantined["reason"])
        expected = [
            "duplicate_key",
            "duplicate_key",
            "future_time",
            "invalid_timestamp",
            "wrong_field_count",
        ]
        assert reasons == (expected if day.day == 8 else [])
    portal = planted.parsed("portal_usage", date(2026, 2, 10), "portal").quarantined
    assert portal.select("column_name", "reason").rows() == [("quantity", "invalid_integer")]
    assert portal["raw_text"].item().endswith(",WEB,3.7")
