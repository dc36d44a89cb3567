"""What a document says, by hand-derived figures, and that it depends on the content alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from billing_marts import (
    ALPHA,
    BETA,
    REVERSE_CHARGE,
    VERSION_SET,
    Warehouse,
    add_period,
    fill_january,
)

from invoicing import documents, gate
from invoicing.canonical import canonical_json, sha256
from invoicing.content import SECOND_FORMAT
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_an_invoice_of_format_2_is_made_again_as_it_was(
    ledger: Ledger, warehouse: Warehouse
) -> None:
    """The units of the whole month, and no kind of discrepancy that was not looked for then (R26).

    Up to the cut-off 3 users of C001 were active in the month, in all of it 4.
    """
    fill_january(warehouse)
    warehouse.conn.execute(
        "update billing.draft_invoice_customers set whole_month_units = 4 "
        "where customer_id = 'C001' and product_code = 'EPSTD'"
    )
    for kind in ("device_at_two_customers", "usage_of_firewall_product", "device_moved"):
        warehouse.discrepancy(kind, "alpenland", kind=kind, severity="warning", state="open")
    gate.decide(warehouse.conn, ledger, "2026-01", [])
    told = {}
    formats: dict[int, str]
    for formats in ({}, {1: SECOND_FORMAT}):
        other = Ledger(ledger.root.with_name(f"ledger-{len(formats)}"))
        shutil.copytree(ledger.root, other.root)
        invoice, *_ = documents.issue(warehouse.conn, other, "2026-01", formats)
        told[invoice.content["format"]] = (
            [one["calendar_month_units"] for one in invoice.content["lines"][0]["customers"]],
            [one["kind"] for one in invoice.content["discrepancies"]],
        )
    assert told == {
        "musterhouse-document/3": (
            [3, 1, 0],
            ["device_at_two_customers", "device_moved", "usage_of_firewall_product"],
        ),
        "musterhouse-document/2": ([4, 1, 0], ["device_moved"]),
    }


def test_an_invoice_says_what_the_draft_said(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    content = close(january, ledger, "2026-01")[0].content
    assert content["dates"] == {
        "period_starts_on": "2026-01-01",
        "cutoff_on": "2026-01-31",
        "window_starts_on": "2026-01-02",  # 30 dates back, both ends included (R2)
        "issue_on": "2026-02-01",
        "due_on": "2026-03-03",
    }
    # Derived in billing_marts.fill_january.
    assert [
        (line["line_number"], line["partner_id"], line["product_code"], line["quantity"])
        for line in content["lines"]
    ] == [(1, "P0001", "EPSTD", 3), (2, "P0001", "FWENT", 5), (3, "P0002", "EPSTD", 1)]
    assert [line["amount"] for line in content["lines"]] == ["1.01", "46.00", "0.34"]
    assert [line["unit_price"] for line in content["lines"]] == ["0.335", None, "0.335"]
    assert [c["amount"] for c in content["lines"][0]["customers"]] == ["0.67", "0.34", "0.00"]
    assert content["lines"][1]["bands"] == [
        {"min_quantity": 1, "max_quantity": 3, "unit_price": "10.00", "quantity": 3},
        {"min_quantity": 4, "max_quantity": None, "unit_price": "8.00", "quantity": 2},
    ]
    # Services from the Netherlands to Austria: the buyer owes the tax.
    assert content["tax"] == {
        "category": "AE",
        "rate": "0.00",
        "reason": REVERSE_CHARGE,
        "taxable_amount": "47.35",
        "tax_amount": "0.00",
        "payable_amount": "47.35",
    }
    # Server Advanced was used by nobody: no line, but shown with 0 (R20).
    assert [(g["line_number"], g["product_code"]) for g in content["unused"]] == [(None, "SVADV")]
    assert content["not_billed"] == [
        {
            "partner_id": "P0002",
            "customer_id": "C004",
            "product_code": "SVADV",
            "reason": "trial",
            "units": 4,
        }
    ]


def test_totals_add_up_by_partner_product_and_category(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    totals = close(january, ledger, "2026-01")[0].content["totals"]
    # Units 3 + 5 + 1 = 9 in 6 customer rows, two of them zero.
    assert (totals["line_count"], totals["usage_rows"], totals["units"]) == (3, 6, 9)
    assert totals["amount"] == "47.35"
    # Alpha IT 1.01 + 46.00, joined C002 1, left C003 2.
    alpha = totals["partners"][0]
    assert (alpha["amount"], alpha["units"], alpha["joined"], alpha["left_since"]) == (
        "47.01",
        8,
        1,
        2,
    )
    assert {p["partner_id"]: p["amount"] for p in totals["partners"]} == {
        "P0001": "47.01",
        "P0002": "0.34",
    }
    # Endpoint Standard 1.01 + 0.34 = 1.35.
    assert {c["category"]: (c["units"], c["amount"]) for c in totals["categories"]} == {
        "endpoint": (4, "1.35"),
        "firewall": (5, "46.00"),
        "server": (0, "0.00"),
    }


def test_who_joined_is_null_not_zero_while_it_is_not_known(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    """A first period has no window before it to compare with."""
    january.conn.execute(
        "update billing.draft_invoice_customers set joined = null, left_since = null"
    )
    content = close(january, ledger, "2026-01")[0].content
    figures = [*content["lines"], *content["totals"]["partners"]]
    assert {(each["joined"], each["left_since"]) for each in figures} == {(None, None)}


def test_yen_have_no_decimals(ledger: Ledger, january: Warehouse, close: Close) -> None:
    add_period(january, "2026-02", "sakura")
    close(january, ledger, "2026-01")
    (document,) = close(january, ledger, "2026-02")
    line = document.content["lines"][0]
    assert (line["unit_price"], line["amount"]) == ("100", "300")
    assert document.content["totals"]["amount"] == "300"


def test_provenance_pins_where_it_came_from(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    january.discrepancy(
        "d1",
        "alpenland",
        state="waived",
        decision="bill",
        decided_by="R. Roe",
        waiver_reason="Agreed in writing.",
    )
    # Alpenland's third document is of this very run, written before the run was killed.
    for distributor_id, sequence, period, version_set in (
        ("sakura", 1, "2025-12", "b" * 64),
        ("alpenland", 2, "2026-01", "b" * 64),
        ("alpenland", 3, "2026-01", VERSION_SET),
        ("sakura", 3, "2025-12", VERSION_SET),
    ):
        january.put(
            "issued_invoices",
            distributor_id=distributor_id,
            sequence=sequence,
            period=period,
            version_set_sha256=version_set,
        )
    document = close(january, ledger, "2026-01")[0]
    provenance = document.provenance
    assert provenance["content_sha256"] == sha256(canonical_json(document.content))
    assert provenance["version_set_sha256"] == VERSION_SET
    # What the drafts were computed with, not what is in the ledger by the time of writing.
    assert list(provenance["ledger"].items()) == [("alpenland", 2), ("sakura", 3)]
    assert provenance["released_by"] == "automatic"
    assert provenance["versions"]["duckdb"]
    # Who waived is for our auditors; what was decided and why is for the distributor.
    assert provenance["waivers"] == [{"discrepancy_id": "d1", "decided_by": "R. Roe"}]
    (shown,) = document.content["discrepancies"]
    assert (shown["decision"], shown["waiver_reason"]) == ("bill", "Agreed in writing.")
    assert "R. Roe" not in json.dumps(document.content)


def test_issuing_again_writes_nothing(ledger: Ledger, january: Warehouse, close: Close) -> None:
    close(january, ledger, "2026-01")
    before = tree(ledger.root)
    assert close(january, ledger, "2026-01") == []
    assert documents.issue(january.conn, ledger, "2026-01") == []
    assert tree(ledger.root) == before


def test_nothing_is_issued_without_a_release(ledger: Ledger, january: Warehouse) -> None:
    assert documents.issue(january.conn, ledger, "2026-01") == []
    assert ledger.distributors() == []


def test_the_bytes_do_not_depend_on_the_order_of_the_rows_or_on_threads(
    ledger: Ledger, january: Warehouse, close: Close, tmp_path: Path
) -> None:
    close(january, ledger, "2026-01")
    other = Warehouse()
    fill_january(other)
    other.conn.execute("set threads = 1")
    for (table,) in other.conn.execute(
        "select table_name from information_schema.tables where table_schema = 'billing'"
    ).fetchall():
        other.conn.execute(
            f"create or replace table billing.{table} as "
            f"select * from billing.{table} order by rowid desc"
        )
    reversed_ledger = Ledger(tmp_path / "reversed")
    close(other, reversed_ledger, "2026-01")
    assert tree(reversed_ledger.root) == tree(ledger.root)


def test_content_does_not_depend_on_the_version_set(
    ledger: Ledger, january: Warehouse, close: Close, tmp_path: Path
) -> None:
    """The same month landed as Parquet has other file hashes, and the same invoice."""
    first = close(january, ledger, "2026-01")
    january.set_version("c" * 64)
    january.conn.execute("update billing.draft_invoices set version_set_sha256 = repeat('c', 64)")
    second = close(january, Ledger(tmp_path / "parquet"), "2026-01")
    assert [d.content for d in first] == [d.content for d in second]
    assert [d.provenance for d in first] != [d.provenance for d in second]


def test_dates_come_from_the_release_record(ledger: Ledger, january: Warehouse) -> None:
    gate.decide(january.conn, ledger, "2026-01", [])
    january.conn.execute("update billing.draft_invoices set issue_on = '2026-02-09'")
    document = documents.issue(january.conn, ledger, "2026-01")[0]
    assert document.content["dates"]["issue_on"] == "2026-02-01"


def test_another_distributors_names_become_anonymous(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    january.discrepancy(
        "d1",
        "alpenland",
        severity="warning",
        partner_id="P0009",
        customer_id="C001",
        found="moved to P0009.",
        evidence="C001 of Alpha IT went to Gamma Security (P0009) at cascadia, was C0010.",
        amount_at_stake=Decimal("1.5"),
        currency="EUR",
    )
    (shown,) = close(january, ledger, "2026-01")[0].content["discrepancies"]
    assert shown["partner_id"] == "another partner"
    assert shown["customer_id"] == "C001"
    assert shown["found"] == "moved to another partner."
    assert shown["evidence"] == (
        "C001 of Alpha IT went to another partner (another partner) at another distributor, "
        "was C0010."
    )
    assert shown["amount_at_stake"] == "1.50"


def test_two_currencies_of_one_distributor_are_two_documents(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    january.invoice("alpenland", "2", 1, currency="USD")
    january.line(BETA, 1, "EPSTD", 2, "1.000000", "2", currency="USD")
    january.customer(BETA, 1, "EPSTD", "C005", 2, "2", currency="USD")
    for unit_id in ("u-1", "u-2"):
        january.unit(BETA, "EPSTD", "C005", unit_id, currency="USD")
    written = [d for d in close(january, ledger, "2026-01") if d.distributor_id == "alpenland"]
    assert [(d.currency, d.number, d.content["totals"]["amount"]) for d in written] == [
        ("EUR", "ALPENLAND-000001", "47.35"),
        ("USD", "ALPENLAND-000002", "2.00"),
    ]
    assert [d.content["roster"]["rows"] for d in written] == [10, 2]
    assert ledger.verify() is None


def test_a_near_miss_without_currency_is_in_the_roster(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    january.unit(
        ALPHA,
        "SVADV",
        "C003",
        "D9",
        line_number=None,
        currency=None,
        is_counted=False,
        reason="trial",
    )
    document = close(january, ledger, "2026-01")[0]
    roster = document.content["roster"]
    assert (roster["rows"], roster["counted"]) == (11, 9)
