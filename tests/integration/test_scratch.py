"""What is computed in a scratch home: issued documents made again, drafts under other policies.

And a partner's preview. None of them may write to the home.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import shutil
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from house import CLEAN, PLANTED, House, tree
from recount import blocked_customers, recount
from recount import lines as recount_lines

pytestmark = pytest.mark.long

_LATE_DAY = "2026-01-20"


@pytest.fixture(scope="module")
def later(closed_house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """The closed house after the planted distributor's two months were waived and issued. Between
    them a refused file was delivered again, a late one came for January, a price was edited, and
    the distributor's cut-off moved from the 25th to the 20th, as if it had always been there.
    """
    folder = tmp_path_factory.mktemp("later")
    house = House(folder / "home", folder / "landing", folder / "seeds")
    shutil.copytree(closed_house.home, house.home, symlinks=True)
    shutil.copytree(closed_house.landing, house.landing)
    shutil.copytree(closed_house.seeds, house.seeds)
    _waive(house, "2026-01")
    house.muster("close", "2026-01")
    _deliver_again(house)
    _add_user(house, *_line_and_customer(house))
    _edit(
        house.seeds / "price_bands.csv",
        "EPSTD,EUR,volume,1,99,2.100,",
        "EPSTD,EUR,volume,1,99,2.200,",
    )
    _edit(house.seeds / "distributors.csv", ",USD,25,", ",USD,20,")
    # The planted line with two prices and the one without: no waiver helps those (R18).
    _edit(
        house.seeds / "price_bands.csv",
        "ZTNA,USD,volume,1,,7,2026-01-01,",
        "SAFEGD,USD,volume,1,,4,2026-01-01,",
    )
    house.muster("load")
    _waive(house, "2026-02")
    house.muster("close", "2026-02")
    return house


def test_every_issued_document_is_made_again_byte_for_byte(later: House) -> None:
    documents = [_read(path) for path in sorted(later.home.glob("ledger/*/[0-9]*.json"))]
    names = [document["content"]["number"] for document in documents]
    assert names == [
        f"{distributor_id.upper()}-{number:06d}"
        for distributor_id in sorted([*CLEAN, PLANTED])
        for number in (1, 2)
    ]
    # Those issued by one run knew the documents before it, not each other.
    both = {"alpenland": 1, "sakura": 1}
    late = {"alpenland": 2, "sakura": 2}
    known = [document["provenance"]["ledger"] for document in documents]
    assert known == [{}, both, late, {"alpenland": 2, PLANTED: 1, "sakura": 2}, {}, both]
    january, february = (document["content"] for document in documents[2:4])
    # January's document tells of a refused file, which has been replaced since.
    assert "rejected: manifest_mismatch" in json.dumps(january)
    refused = _refused(later)["file_name"]
    deliveries = [one["kind"] for one in _journal(later) if one["file_name"] == refused]
    assert deliveries == ["rejected", "accepted"]
    # R1: January was issued with its cut-off on the 25th, so February begins the day after that.
    assert february["dates"]["period_starts_on"] == "2026-01-26"
    assert february["dates"]["cutoff_on"] == "2026-02-20"
    before = _whole(later.home)
    for name, document in zip(names, documents, strict=True):
        made = later.ask("reproduce", name)
        content = json.dumps(document["content"], ensure_ascii=False, separators=(",", ":")) + "\n"
        assert made["content_sha256_found"] == hashlib.sha256(content.encode()).hexdigest()
        assert made["roster_sha256_found"] == document["content"]["roster"]["sha256"]
        assert (made["is_identical"], made["first_difference"]) == (True, None)
    assert _whole(later.home) == before


def test_beside_it_stands_the_period_as_known_today(later: House) -> None:
    """One user more on one line, and ten cents more for each unit of the first price band."""
    line, customer = _line_and_customer(later)
    told = later.ask("reproduce", "2026-01", "alpenland", "--now")
    assert told["is_identical"]
    today = told["as_known_today"]
    (unit,) = today["units"]
    with gzip.open(_late_file(later), "rt", encoding="utf-8") as late:
        rows = sum(1 for _ in late) - 1
    assert (unit["unit_id"], unit["is_counted_now"]) == ("u-late", True)
    assert unit["customer_id"] == customer["customer_id"]
    assert unit["why"] == "then not known"
    assert unit["source"] == f"usage/{_LATE_DAY}/{_source(later)} data row {rows}"
    issued = _read(later.home / "ledger/alpenland/000001.json")["content"]
    expected = {}
    for one in issued["lines"]:
        if (one["product_code"], one["band_min"]) == ("EPSTD", 1):
            quantity = one["quantity"] + (one["line_number"] == line["line_number"])
            assert quantity <= 99  # still in the first band
            expected[one["partner_id"]] = (quantity, f"{quantity * Decimal('2.20'):.2f}")
    assert len(expected) > 0
    changed = {one["partner_id"]: (one["units_now"], one["amount_now"]) for one in today["lines"]}
    assert changed == expected
    assert {(one["price_issued"], one["price_now"]) for one in today["lines"]} == {("2.10", "2.20")}
    more = [one for one in today["customers"] if one["units_now"] != one["units_issued"]]
    assert [(one["customer_id"], one["units_now"]) for one in more] == [
        (customer["customer_id"], customer["quantity"] + 1)
    ]
    sums = sum(Decimal(one["amount_now"]) - Decimal(one["amount_issued"]) for one in today["lines"])
    assert Decimal(today["total_now"]) - Decimal(issued["totals"]["amount"]) == sums


def test_missing_and_damaged_archive_files_are_all_named(later: House, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(later.home, home, symlinks=True)
    house = replace(later, home=home)
    accepted = [one for one in _journal(house) if one["kind"] == "accepted"]
    missing, flipped = accepted[10], accepted[20]
    (home / "archive" / missing["sha256"]).unlink()
    path = home / "archive" / flipped["sha256"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    told = house.muster("reproduce", "ALPENLAND-000001", expect=1)
    assert "2 of the " in told
    assert f"{missing['file_name']}: {home}/archive/{missing['sha256']} is missing" in told
    assert f"{flipped['file_name']}: {path} is damaged" in told
    assert "copy it back from objects/ of a backup" in told
    version_set = _read(home / "ledger/alpenland/000001.json")["provenance"]["version_set_sha256"]
    (home / "archive" / version_set).unlink()
    told = house.muster("reproduce", "ALPENLAND-000001", expect=1)
    assert "The list of versions the document names" in told
    assert "is missing from the archive: copy it back" in told


def test_what_if_is_what_a_recount_under_that_policy_finds(
    closed_house: House, tmp_path: Path
) -> None:
    """31 days instead of 30, counted without any of our code."""
    seeds = tmp_path / "seeds"
    shutil.copytree(closed_house.seeds, seeds)
    _edit(seeds / "policies.csv", "active_window_days,30,", "active_window_days,31,")
    units = recount(closed_house.landing, seeds, "2026-02")
    # What R15 and R16 keep out of the planted distributor's draft, counted apart.
    blocked = blocked_customers(closed_house.landing, seeds, "2026-02").filter(
        pl.col("reason").is_in(["excluded_territory", "partner_resale"])
    )
    units = units.join(blocked, on=["distributor_id", "customer_id"], how="anti")
    counted = recount_lines(units, seeds, "2026-02")
    expected = {
        # A line without one price is drafted without an amount (R18).
        (row["partner_id"], row["product_code"]): (row["quantity"], row["amount"] or Decimal(0))
        for row in counted.to_dicts()
        if row["distributor_id"] == PLANTED
    }
    before = _whole(closed_house.home)
    told = closed_house.ask("draft", "2026-02", "--set", "active_window_days=31")
    assert _whole(closed_house.home) == before
    # Issued periods keep their policies.
    assert told["issued"] == list(CLEAN)
    (draft,) = told["drafts"]
    assert draft["distributor_id"] == PLANTED
    assert draft["now"]["window_starts_on"] == "2026-01-27"
    assert draft["then"]["window_starts_on"] == "2026-01-26"
    assert len(draft["lines"]) > 0
    assert _then(closed_house, draft) == expected
    assert Decimal(draft["then"]["amount"]) == sum(amount for _, amount in expected.values())
    assert draft["then"]["units"] == sum(quantity for quantity, _ in expected.values())


def test_what_if_is_what_a_house_under_these_settings_drafts(
    closed_house: House, tmp_path: Path
) -> None:
    """Three settings at once, against a home in which they were reviewed and loaded."""
    house = _copy(closed_house, tmp_path)
    _edit(house.seeds / "policies.csv", "active_window_days,30,", "active_window_days,31,")
    _edit(house.seeds / "policies.csv", "attribution,latest,", "attribution,any,")
    distributors = house.seeds / "distributors.csv"
    (row,) = [line for line in distributors.read_text().splitlines() if line.startswith(PLANTED)]
    assert row.endswith("2025-01-01,")
    until = row.replace("2025-01-01,", "2025-01-01,2026-01-31")
    since = row.replace(",25,", ",20,").replace("2025-01-01,", "2026-02-01,")
    _edit(distributors, row, f"{until}\n{since}")
    house.muster("load")
    trial = ["--set", "active_window_days=31", "--set", "device_user_attribution=any"]
    trial += ["--cutoff-day", "20", "--distributor", PLANTED]
    (draft,) = closed_house.ask("draft", "2026-02", *trial)["drafts"]
    assert draft["then"]["cutoff_on"] == "2026-02-20"
    assert draft["then"]["window_starts_on"] == "2026-01-21"
    assert _then(closed_house, draft) == _drafted_lines(house)
    ((total, blocking),) = _ask(
        house,
        "select total_amount, (select count(*) from billing.draft_discrepancies where period = "
        f"'2026-02' and distributor_id = '{PLANTED}' and severity = 'blocking') "
        f"from billing.draft_invoices where period = '2026-02' and distributor_id = '{PLANTED}'",
    )
    assert Decimal(draft["then"]["amount"]) == total
    assert sum(draft["then"]["blocking"].values()) == blocking

    # Live usage and compared counts are the draft's to the unit; an issued month stays as it was.
    billed: dict[tuple[str, str], int] = {}
    for distributor, cutoff in ((PLANTED, "2026-02-20"), (CLEAN[0], "2026-02-28")):
        (usage,) = house.ask("usage", "--distributor", distributor, "--as-of", cutoff)
        managed = _ask(
            house,
            "select customer_id, product_code, active_units, billed_units "
            "from billing.draft_managed_customers "
            f"where period = '2026-02' and distributor_id = '{distributor}'",
        )
        names = ("customer_id", "product_code", "active_units", "billed_units")
        assert {tuple(one[name] for name in names) for one in usage["customers"]} == set(managed)
        billed |= {(customer, product): units for customer, product, _, units in managed}
    compared = house.ask("compare", "--period", "2026-02", "--against", "portal")["differences"]
    ours = {(one["customer_id"], one["product_code"]): one["ours"] for one in compared}
    assert len(ours) > 20
    assert ours.items() <= billed.items()


def test_an_issued_period_is_not_tried(closed_house: House) -> None:
    told = closed_house.muster(
        "draft", "2026-02", "--cutoff-day", "20", "--distributor", "sakura", expect=1
    )
    assert "2026-02 sakura is issued" in told
    assert "(R22)" in told


def test_a_preview_shows_a_partner_its_own_part_and_nobody_else(closed_house: House) -> None:
    partners = dict(
        _ask(
            closed_house,
            "select distinct partner_id, partner_name from billing.draft_invoice_customers "
            "where period = '2026-02'",
        )
    )
    assert len(partners) > 5
    customers = _ask(
        closed_house,
        "select distinct customer_id, partner_id from billing.draft_invoice_customers",
    )
    ids = _ask(closed_house, "select discrepancy_id from billing.draft_discrepancies")
    distributors = _ask(
        closed_house, "select distributor_id, distributor_name from reference.distributors"
    )
    (planted,) = {
        partner_id
        for partner_id, *_ in _ask(
            closed_house,
            "select partner_id from billing.draft_discrepancies where period = '2026-02' "
            "and kind = 'portal_mismatch' order by all limit 1",
        )
    }
    for partner_id in {planted, min(partners), max(partners)}:
        (preview,) = closed_house.ask("draft", "2026-02", "--partner", partner_id)
        told = closed_house.muster("draft", "2026-02", "--partner", partner_id)
        ((amount, units),) = _ask(
            closed_house,
            "select sum(amount), sum(quantity) from billing.draft_invoice_lines "
            f"where period = '2026-02' and partner_id = '{partner_id}'",
        )
        assert (Decimal(preview["amount"]), preview["units"]) == (amount, units)
        assert preview["as_of"] == "2026-02-28"
        assert "as of 2026-02-28" in told
        own = {customer_id for customer_id, of in customers if of == partner_id}
        foreign = [one for one in partners if one != partner_id]
        foreign += [partners[one] for one in partners if one != partner_id]
        foreign += [customer_id for customer_id, _ in customers if customer_id not in own]
        foreign += [text for names in distributors for text in names]
        foreign += [discrepancy_id for (discrepancy_id,) in ids]
        foreign += ["seeds/", ".csv", str(closed_house.home)]
        for text in (told, json.dumps(preview, ensure_ascii=False)):
            assert [one for one in foreign if one in text] == []
        if partner_id == planted:
            assert "portal shows" in told
            assert preview["is_provisional"]


# ── Helpers ───────────────────────────────────────────────────────────────────────────────────


def _whole(home: Path) -> tuple[dict[str, str], list[str]]:
    """Every file but the lock, which may be taken, and every folder and link."""
    files = {name: sha256 for name, sha256 in tree(home).items() if name != "lock"}
    return files, sorted(str(path.relative_to(home)) for path in home.rglob("*"))


def _copy(house: House, folder: Path) -> House:
    """A home and seeds of its own on the same landing folder."""
    copy = replace(house, home=folder / "home", seeds=folder / "seeds")
    shutil.copytree(house.home, copy.home, symlinks=True)
    shutil.copytree(house.seeds, copy.seeds)
    return copy


def _ask(house: House, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(house.home / "published/current.duckdb", read_only=True) as conn:
        return conn.execute(query).fetchall()


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _journal(house: House) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (house.home / "journal").read_text().splitlines()]


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def _waive(house: House, period: str) -> None:
    found = _ask(
        house,
        "select discrepancy_id from billing.draft_discrepancies "
        f"where period = '{period}' and distributor_id = '{PLANTED}' and severity = 'blocking'",
    )
    assert found
    with (house.seeds / "waivers.csv").open("a") as waivers:
        for (discrepancy_id,) in found:
            waivers.write(f"{discrepancy_id},exclude,being moved,A. Clerk,2026-02-01\n")


def _refused(house: House) -> dict[str, Any]:
    """The data file that was refused; a retraction was too."""
    (refused,) = [
        one
        for one in _journal(house)
        if one["kind"] == "rejected" and one["file_name"].endswith(".csv.gz")
    ]
    return refused


def _deliver_again(house: House) -> None:
    """The refused file as a good one: the day before's rows, dated as they should be."""
    refused = _refused(house)
    path = house.landing / refused["file_name"]
    day = date.fromisoformat(refused["snapshot_date"])
    eve = str(day - timedelta(days=1))
    lines = gzip.decompress((path.parent.parent / eve / path.name).read_bytes()).decode()
    path.write_bytes(gzip.compress(lines.replace(f"\n{eve},", f"\n{day},").encode()))
    path.with_name(f"{path.name}.manifest.json").unlink()


def _line_and_customer(house: House) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line of alpenland's January in the first band of EPSTD, and a customer with users on it."""
    content = _read(house.home / "ledger/alpenland/000001.json")["content"]
    line = next(
        one for one in content["lines"] if (one["product_code"], one["band_min"]) == ("EPSTD", 1)
    )
    return line, next(one for one in line["customers"] if one["quantity"] > 0)


def _late_file(house: House) -> Path:
    return house.landing / f"usage/{_LATE_DAY}/{_source(house)}.csv.gz"


def _source(house: House) -> str:
    """The first source of usage; any may speak of any customer."""
    with (house.seeds / "expected_sources.csv").open() as file:
        return min(row["source"] for row in csv.DictReader(file) if row["feed"] == "usage")


def _add_user(house: House, line: dict[str, Any], customer: dict[str, Any]) -> None:
    """A new version of a usage file with one more row: a user and device nobody has seen."""
    path = _late_file(house)
    row = f"{_LATE_DAY},{customer['customer_id']},{line['product_code']},d-late,u-late,"
    content = gzip.decompress(path.read_bytes()) + f"{row}{_LATE_DAY}T08:00:00Z\n".encode()
    path.write_bytes(gzip.compress(content))
    path.with_name(f"{path.name}.manifest.json").unlink()


def _drafted_lines(house: House) -> dict[tuple[str, str], tuple[int, Decimal]]:
    found = _ask(
        house,
        "select partner_id, product_code, quantity, amount from billing.draft_invoice_lines "
        f"where period = '2026-02' and distributor_id = '{PLANTED}'",
    )
    return {row[:2]: row[2:] for row in found}


def _then(house: House, draft: dict[str, Any]) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """The lines as they would be: those published now, with the changed ones put in their place."""
    lines = _drafted_lines(house)
    for one in draft["lines"]:
        key = (one["partner_id"], one["product_code"])
        now = (one["units_now"], Decimal(one["amount_now"]))
        assert lines.get(key, (0, 0)) == now
        lines[key] = (one["units_then"], Decimal(one["amount_then"]))
    return {key: figures for key, figures in lines.items() if figures[0]}
