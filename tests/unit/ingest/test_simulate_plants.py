"""Every planted case is there, in the planted distributor's data and nowhere else."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from simulated import DAYS, END, PERIODS, REGIONS, SEEDS, SOURCES, START, Demo, demo, off_portal

from ingest.contracts import FEEDS
from ingest.landing import Format as LandingFormat
from ingest.parse import Rejected, parse
from ingest.reasons import Reason
from ingest.simulate import PLANTS, Format, simulate


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
    partners = clean.rows("partners")
    assert partners.equals(planted.rows("partners"))
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
