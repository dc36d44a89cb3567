"""Usage before the invoice: on a cut-off it is the draft's to the unit, on any date the marts'; the
pages of issued months are the ledger's.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import duckdb
import pytest
from house import CLEAN, PLANTED, House

CUTOFFS = [(name, "2026-01-31", "2026-01") for name in CLEAN]
CUTOFFS += [(name, "2026-02-28", "2026-02") for name in CLEAN]
# Cut off on the 25th, and held: nothing of it was issued.
CUTOFFS += [(PLANTED, "2026-01-25", "2026-01"), (PLANTED, "2026-02-25", "2026-02")]


def marts(house: House, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(house.home / "published/current.duckdb"), read_only=True) as conn:
        return conn.execute(query, list(parameters)).fetchall()


@pytest.mark.parametrize(("distributor", "cutoff", "period"), CUTOFFS)
def test_on_a_cut_off_it_is_the_draft(
    closed_house: House, distributor: str, cutoff: str, period: str
) -> None:
    """Counted from the store by the functions for any date, and by the models of the invoice."""
    (told,) = closed_house.ask("usage", "--distributor", distributor, "--as-of", cutoff)
    assert (told["state"], told["as_of"], told["period"]) == ("provisional", cutoff, period)
    columns = (
        "partner_id",
        "customer_id",
        "product_code",
        "licence_type",
        "owner",
        "licensed_quantity",
        "active_units",
        "billed_units",
    )
    drafted = marts(
        closed_house,
        f"""
        select {", ".join(columns)} from billing.draft_managed_customers
        where period = ? and distributor_id = ?
        """,
        period,
        distributor,
    )
    assert len(drafted) > 100
    assert {tuple(one[name] for name in columns) for one in told["customers"]} == set(drafted)


def test_in_the_middle_of_a_month_it_is_what_the_functions_say(closed_house: House) -> None:
    """Users and devices in 30 dates up to the 10th, and in the 10 since the month began."""
    for days, figure in ((30, "active_units"), (10, "month_to_date_units")):
        told = closed_house.ask("usage", "--as-of", "2026-02-10", "--distributor", CLEAN[0])
        counted = {
            (one["customer_id"], one["product_code"]): one[figure]
            for one in told[0]["customers"]
            if not one["product_code"].startswith(("FW", "firewall"))
        }
        active = marts(
            closed_house,
            "select customer_id, product_code, active_units "
            "from activity.active_users(date '2026-02-10', ?::integer)",
            days,
        )
        customers = {key[0] for key in counted}
        expected = {(one, code): units for one, code, units in active if one in customers}
        assert expected
        assert {key: units for key, units in counted.items() if units} == expected


def test_a_partner_is_shown_nobody_else(closed_house: House, tmp_path: Path) -> None:
    (told,) = closed_house.ask("usage", "--partner", "P0001")
    assert {one["partner_id"] for one in told["customers"]} == {"P0001"}
    page = tmp_path / "page.html"
    said = closed_house.muster("usage", "--partner", "P0001", "--html", str(page))
    assert "provisional, as of 2026-02-28" in said
    text = page.read_text("utf-8")
    own = {one["customer_id"] for one in told["customers"]}
    others = marts(closed_house, "select distinct customer_id from billing.draft_managed_customers")
    assert len(own) > 5
    for (customer_id,) in others:
        assert (customer_id in text) == (customer_id in own), customer_id
    assert '"state":"provisional","as_of":"2026-02-28"' in text
    assert "It can change until 2026-02 is closed." in text


def test_what_it_cannot_tell_it_says_in_words(closed_house: House, tmp_path: Path) -> None:
    for arguments, words in (
        (["--as-of", "2026-03-10"], "Usage is known up to 2026-02-28, not up to 2026-03-10."),
        (["--as-of", "2025-03-10"], "No period that is still computed holds 2025-03-10"),
        (["--partner", "NOBODY"], "Nothing is known of NOBODY on 2026-02-28."),
        (["--html", str(tmp_path / "x.html")], "A page is one partner's or one distributor's."),
    ):
        assert words in closed_house.muster("usage", *arguments, expect=1)
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("period", ["2026-01", "2026-02"])
@pytest.mark.parametrize("distributor", CLEAN)
def test_the_csv_of_an_issued_month_is_the_mart(
    closed_house: House, distributor: str, period: str
) -> None:
    folder = closed_house.home / "exports" / period / distributor
    columns = ("partner_id", "customer_id", "product_code", "licence_type", "active_units")
    columns += ("billed_units",)
    rows = csv.DictReader(
        io.StringIO((folder / "managed_customer_usage.csv").read_text("utf-8"), newline="")
    )
    found = [tuple(row[name] for name in columns) for row in rows]
    expected = marts(
        closed_house,
        f"""
        select {", ".join(f"cast({name} as varchar)" for name in columns)}
        from activity.managed_customer_usage where period = ? and distributor_id = ?
        """,
        period,
        distributor,
    )
    assert sorted(found) == sorted(expected)
    # Every partner has its own part, term and trial customers' partners too.
    parts = [
        row
        for path in sorted(folder.glob("partners/*/managed_customer_usage.csv"))
        for row in csv.DictReader(io.StringIO(path.read_text("utf-8"), newline=""))
    ]
    assert sorted(tuple(row[name] for name in columns) for row in parts) == sorted(expected)
