"""The vendor's postings: balanced per document, every amount once, in nobody's folder."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

from billing_marts import Warehouse, add_period, correct_january

from invoicing import notes
from invoicing.exports import render_period
from invoicing.exports.ledger_journal import ledger_journal_csv
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]
Rows = list[dict[str, str]]


def _rows(body: bytes | Path) -> Rows:
    assert isinstance(body, bytes)
    return list(csv.DictReader(io.StringIO(body.decode("utf-8"), newline="")))


def _postings(rows: Rows, number: str) -> list[tuple[str, str, str, str]]:
    return [
        (row["account"], row["product_code"], row["debit"], row["credit"])
        for row in rows
        if row["number"] == number
    ]


def test_an_invoice_debits_the_receivable_and_credits_revenue_by_product(
    ledger: Ledger, january: Warehouse, close: Close, tmp_path: Path
) -> None:
    """Alpenland: Endpoint Standard of two partners, 1.01 + 0.34 = 1.35; firewalls 46.00."""
    close(january, ledger, "2026-01")
    render_period(ledger, "2026-01", tmp_path)
    rows = _rows((tmp_path / "2026-01/_vendor/ledger_journal.csv").read_bytes())
    assert _postings(rows, "ALPENLAND-000001") == [
        ("accounts_receivable", "", "47.35", ""),
        ("revenue", "EPSTD", "", "1.35"),
        ("revenue", "FWENT", "", "46.00"),
    ]
    assert _postings(rows, "CASCADIA-000001") == [
        ("accounts_receivable", "", "4.62", ""),
        ("revenue", "EPSTD", "", "4.62"),
    ]
    # Sakura used nothing: a nil document is posted nowhere.
    assert {row["distributor_id"] for row in rows} == {"alpenland", "cascadia"}


def test_what_takes_back_is_posted_the_other_way_round(
    ledger: Ledger, january: Warehouse, close: Close, warehouse: Warehouse
) -> None:
    close(january, ledger, "2026-01")
    add_period(warehouse, "2026-02")
    correct_january(warehouse)
    note, invoice = close(warehouse, ledger, "2026-02")
    taken_back = notes.cancel(
        ledger, invoice.number or "", reason="wrong", by="Ada", on=date(2026, 3, 1)
    )
    contents = [note.content, invoice.content, taken_back.content]
    rows = _rows(ledger_journal_csv(contents).body)
    assert _postings(rows, note.number or "") == [
        ("accounts_receivable", "", "", "0.34"),
        ("revenue", "EPSTD", "0.34", ""),
    ]
    (corrects,) = {row["corrects"] for row in rows if row["number"] == note.number}
    assert corrects == "ALPENLAND-000001"
    # The invoice and the note that takes it back leave nothing.
    left: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["number"] in (invoice.number, taken_back.number):
            left[row["account"]] += Decimal(row["debit"] or 0) - Decimal(row["credit"] or 0)
    assert dict(left) == {"accounts_receivable": 0, "revenue": 0}


def test_tax_is_posted_by_itself_and_every_document_balances(
    ledger: Ledger, january: Warehouse, close: Close
) -> None:
    """21 % of 47.35 is 9.9435, so 9.94; the distributor owes 57.29."""
    issued, *_ = close(january, ledger, "2026-01")
    tax = {
        "category": "S",
        "rate": "21.00",
        "reason": None,
        "taxable_amount": "47.35",
        "tax_amount": "9.94",
        "payable_amount": "57.29",
    }
    rows = _rows(ledger_journal_csv([{**issued.content, "tax": tax}]).body)
    assert [(row["account"], row["debit"], row["credit"]) for row in rows] == [
        ("accounts_receivable", "57.29", ""),
        ("revenue", "", "1.35"),
        ("revenue", "", "46.00"),
        ("output_tax", "", "9.94"),
    ]
    assert {row["tax_rate"] for row in rows} == {"21.00"}
    debits = sum(Decimal(row["debit"] or 0) for row in rows)
    assert debits == sum(Decimal(row["credit"] or 0) for row in rows) == Decimal("57.29")


def test_it_is_in_no_distributors_folder(
    ledger: Ledger, january: Warehouse, close: Close, tmp_path: Path
) -> None:
    close(january, ledger, "2026-01")
    folders = {one.folder.name for one in render_period(ledger, "2026-01", tmp_path)}
    assert folders == {"alpenland", "cascadia", "sakura"}
    assert [path.parent.name for path in tmp_path.rglob("ledger_journal.csv")] == ["_vendor"]
