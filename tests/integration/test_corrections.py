"""Late, retracted and too late: what was billed and corrected is always what is known (R24, R25).

One home lives through four months of a vendor whose every figure is worked out by hand.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from house import House
from tiny import month_end, seeds, usage, write

# Endpoint Advanced in EUR: 1-99 at 3.35, 100-499 at 3.015 (seeds/price_bands.csv).
# January: C1 60 users, C2 38: 98 x 3.35 = 328.30.
FIRST = [f"a{number}" for number in range(60)]
SECOND = [f"b{number}" for number in range(38)]
LATE = ["x1", "x2", "x3"]
AT_HOME = "NL000000024B01"


def users(on: str) -> list[tuple[str, str, str, str, str]]:
    return usage("C1", FIRST, on) + usage("C2", SECOND, on)


def documents(house: House) -> list[dict[str, object]]:
    found = []
    for path in sorted((house.home / "ledger/alpenland").glob("[0-9]*.json")):
        content = json.loads(path.read_bytes())["content"]
        corrects = content.get("corrects") or {"period": None, "number": None}
        found.append(
            {
                "number": content["number"],
                "kind": content["kind"],
                "run": content["period"],
                "corrects": corrects["number"],
                "amount": content["totals"]["amount"],
            }
        )
    return found


def unsettled(house: House) -> list[tuple[object, ...]]:
    """Billed + pending + unbilled, less what is known, summed from the publication (R25)."""
    with duckdb.connect(house.home / "published/current.duckdb", read_only=True) as conn:
        return conn.execute(
            """
            with entries as (
                select billed_period as period, currency, partner_id, product_code, amount, quantity
                from billing.issued_invoice_lines where distributor_id = 'alpenland'
                union all
                select period, currency, partner_id, product_code, amount, quantity
                from billing.draft_note_lines where distributor_id = 'alpenland'
                union all
                select period, currency, partner_id, product_code, amount, quantity
                from billing.unbilled_corrections where distributor_id = 'alpenland'
                union all
                select period, currency, partner_id, product_code, -amount, -quantity
                from billing.draft_invoice_lines where distributor_id = 'alpenland'
            )
            select period, partner_id, product_code, sum(quantity), sum(amount) from entries
            where period in (select billed_period from billing.issued_invoices)
            group by all having sum(quantity) <> 0 or sum(amount) <> 0
            """
        ).fetchall()


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> House:
    """January to March closed, with a late file before February's run and its retraction before
    March's; then a late file again, when January is out of reach. correction_periods is 2.
    The distributor is in the seller's country, where tax is charged."""
    root = tmp_path_factory.mktemp("corrected")
    house = House(
        root / "home", root / "landing", seeds=seeds(root / "seeds", correction_periods="2")
    )
    distributors = house.seeds / "distributors.csv"
    at_home = distributors.read_text().replace(",AT,", ",NL,").replace("ATU00000024", AT_HOME)
    distributors.write_text(at_home.replace("9914:", "9944:"))
    month_end(house.landing, "2026-01-31", users("2026-01-31"))
    house.muster("close", "2026-01")
    # Three users of C1 turn out to have been active on 20 January: in January's window, not in
    # February's (30 January to 28 February).
    late = write(
        house.landing, "usage", "2026-01-30", "eu-central", usage("C1", LATE, "2026-01-20")
    )
    month_end(house.landing, "2026-02-28", users("2026-02-28"))
    house.muster("close", "2026-02")
    retraction = {
        "sha256": hashlib.sha256(late.read_bytes()).hexdigest(),
        "who": "Ada",
        "why": "test devices",
    }
    late.with_name(f"{late.name}.retracted.json").write_text(json.dumps(retraction))
    late.unlink()
    month_end(house.landing, "2026-03-31", users("2026-03-31"))
    house.muster("close", "2026-03")
    write(house.landing, "usage", "2026-01-29", "eu-central", usage("C1", LATE, "2026-01-20"))
    house.muster("load")
    return house


def test_late_data_and_its_retraction_become_notes_of_the_next_runs(corrected: House) -> None:
    # 101 users cross the band: 101 x 3.015 = 304.515, half away from zero 304.52. More users, and
    # yet 304.52 - 328.30 = -23.78: a credit. Taken back, the 23.78 are charged again.
    assert documents(corrected) == [
        {
            "number": "ALPENLAND-000001",
            "kind": "invoice",
            "run": "2026-01",
            "corrects": None,
            "amount": "328.30",
        },
        {
            "number": "ALPENLAND-000002",
            "kind": "credit_note",
            "run": "2026-02",
            "corrects": "ALPENLAND-000001",
            "amount": "-23.78",
        },
        {
            "number": "ALPENLAND-000003",
            "kind": "invoice",
            "run": "2026-02",
            "corrects": None,
            "amount": "328.30",
        },
        {
            "number": "ALPENLAND-000004",
            "kind": "debit_note",
            "run": "2026-03",
            "corrects": "ALPENLAND-000001",
            "amount": "23.78",
        },
        {
            "number": "ALPENLAND-000005",
            "kind": "invoice",
            "run": "2026-03",
            "corrects": None,
            "amount": "328.30",
        },
    ]


def test_a_note_says_by_customer_what_late_data_and_the_band_did(corrected: House) -> None:
    # C1: 63/101 of 30452 cents = 18994.81..., C2: 38/101 = 11457.18...; the last cent goes to the
    # larger remainder, C1: 189.95 and 114.57. Billed were 60 x 3.35 = 201.00, 38 x 3.35 = 127.30.
    # Three of C1's 63 units are worth 3 x 189.95 / 63 = 9.045..., 9.05; the rest is the band.
    path = corrected.home / "exports/2026-02/alpenland/credit_note_ALPENLAND-000002.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [
        (row["customer_id"], row["corrects_line"], row["quantity"], row["amount"], row["causes"])
        for row in rows
    ] == [
        ("C1", "1", "3", "-11.05", "late_data +3 (9.05); price_band 0 (-20.10)"),
        ("C2", "1", "0", "-12.73", "price_band 0 (-12.73)"),
    ]


def test_what_comes_too_late_is_reported_and_not_billed(corrected: House) -> None:
    # April's run is three after January's, correction_periods is 2.
    status = corrected.ask("status")
    assert [
        (one["period"], one["state"], one["run"], one["amount"]) for one in status["corrections"]
    ] == [
        ("2026-01", "issued", "2026-02", "-23.78"),
        ("2026-01", "issued", "2026-03", "23.78"),
        ("2026-01", "unbilled", None, "-23.78"),
    ]
    found = corrected.muster(
        "sql",
        "select period, amount_at_stake from quality.discrepancies "
        "where kind = 'unbilled_correction'",
        "--csv",
    )
    assert found.splitlines() == ["period,amount_at_stake", "2026-01,23.780"]


def test_billed_and_corrected_is_what_is_known(corrected: House) -> None:
    assert unsettled(corrected) == []
    # Not because there is nothing: January is known with 304.52 and was billed 328.30 in the end.
    with duckdb.connect(corrected.home / "published/current.duckdb", read_only=True) as conn:
        assert conn.execute(
            "select sum(amount) from billing.draft_invoice_lines where period = '2026-01'"
        ).fetchall() == [(Decimal("304.520"),)]


def test_a_correction_is_explained_unit_by_unit(corrected: House) -> None:
    found = corrected.ask("explain", "ALPENLAND-000002", "1")
    assert found["state"] == "issued"
    assert [unit["unit_id"] for unit in found["counted"]] == ["u-x1", "u-x2", "u-x3"]
    assert {unit["source"] for unit in found["counted"]} == {
        "usage/2026-01-30/eu-central data row 1",
        "usage/2026-01-30/eu-central data row 2",
        "usage/2026-01-30/eu-central data row 3",
    }
    taken_back = corrected.ask("explain", "ALPENLAND-000004", "1")
    assert taken_back["counted"] == []
    assert [unit["unit_id"] for unit in taken_back["not_counted"]] == ["u-x1", "u-x2", "u-x3"]
    assert {unit["reason"] for unit in taken_back["not_counted"]} == {"no_longer_reported"}


def test_notes_and_their_runs_are_made_again_byte_for_byte(corrected: House) -> None:
    # R26: from the files each document names; the late file is long retracted.
    for number in ("ALPENLAND-000002", "ALPENLAND-000003"):
        made = corrected.ask("reproduce", number)
        assert (made["is_identical"], made["first_difference"]) == (True, None)


@pytest.mark.long
def test_a_period_that_is_not_recomputed_any_more_is_computed_when_asked_for(
    corrected: House, tmp_path: Path
) -> None:
    # R26: with recomputed_periods 0, January is past its 2 correction periods and not published.
    seeds_before = (corrected.seeds / "policies.csv").read_text(encoding="utf-8")
    house = House(tmp_path / "home", corrected.landing, tmp_path / "seeds")
    shutil.copytree(corrected.home, house.home, symlinks=True)
    shutil.copytree(corrected.seeds, house.seeds)
    policies = seeds_before.replace("recomputed_periods,6,", "recomputed_periods,0,")
    (house.seeds / "policies.csv").write_text(policies, encoding="utf-8")
    house.muster("load")
    assert [one["period"] for one in house.ask("draft", "2026-01")] == []
    today = house.ask("reproduce", "ALPENLAND-000001", "--now")["as_known_today"]
    assert (today["total_issued"], today["total_now"]) == ("328.30", "304.52")
    assert [unit["unit_id"] for unit in today["units"]] == ["u-x1", "u-x2", "u-x3"]


def test_a_cancelled_invoice_is_issued_anew_and_rebuilds_identical(corrected: House) -> None:
    before = corrected.ledger()
    corrected.muster(
        *("cancel", "ALPENLAND-000003", "--reason", "wrong purchase order", "--by", "Ada"),
        *("--on", "2026-04-02"),
    )
    periods = {one["period"]: one for one in corrected.ask("status")["periods"]}
    assert periods["2026-02"]["state"] == "cancelled"
    corrected.muster("close", "2026-02")
    assert [(one["number"], one["amount"]) for one in documents(corrected)[5:]] == [
        ("ALPENLAND-000006", "-328.30"),
        ("ALPENLAND-000007", "328.30"),
    ]
    after = corrected.ledger()
    documents_before = {
        name: sha
        for name, sha in before.items()
        if name[:8] != "releases" and name != "heads.jsonl"
    }
    assert {name: after[name] for name in documents_before} == documents_before
    exports, marts = corrected.exports(), corrected.marts()
    corrected.muster("rebuild")
    assert corrected.ledger() == after
    assert corrected.exports() == exports
    assert corrected.marts() == marts
    assert unsettled(corrected) == []
    # 21 % of 328.30 is 68.943, of 23.78 it is 4.9938; what is cancelled leaves no tax either.
    assert [
        json.loads(path.read_bytes())["content"]["tax"]["tax_amount"]
        for path in sorted((corrected.home / "ledger/alpenland").glob("[0-9]*.json"))
    ] == ["68.94", "-4.99", "68.94", "4.99", "68.94", "-68.94", "68.94"]
    validity = corrected.ask("validate")
    assert (validity["is_valid"], validity["findings"], validity["documents"]) == (True, [], 7)
    # Notes, a cancellation and the invoice issued anew, each figure worked out again.
    found = corrected.ask("verify")
    assert found["is_good"]
    assert len(documents(corrected)) == 7
    counts = {check["check"]: check["looked_at"] for check in found["checks"]}
    assert counts["documents"].startswith("7 of 1 distributors, 7 as the heads have them")
    assert counts["heads"].startswith("7 lines")


def test_closing_again_writes_nothing(corrected: House) -> None:
    before = corrected.ledger(), corrected.exports()
    for period in ("2026-01", "2026-02", "2026-03"):
        corrected.muster("close", period)
    assert (corrected.ledger(), corrected.exports()) == before
