"""The FOCUS files keep the rules of the specification's column list and add up to the documents.

`focus_1_4_columns.csv` is the list of FOCUS 1.4 for the two datasets: level, nulls, type, values.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from billing_marts import Warehouse, add_period, correct_january

from invoicing import notes
from invoicing.exports import render
from invoicing.exports.focus import focus
from invoicing.ledger import Document, Ledger

Close = Callable[[Warehouse, Ledger, str], list[Document]]
Row = dict[str, str]

_FORMATS = {
    "Decimal": re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"),
    "Date/Time": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T00:00:00Z"),
    "String": re.compile(r"(?s).+"),
    "JSON": re.compile(r"\{.+\}"),
}
_COLUMNS: dict[str, dict[str, Row]] = defaultdict(dict)
with (Path(__file__).parent / "focus_1_4_columns.csv").open(encoding="utf-8", newline="") as _file:
    for _column in csv.DictReader(_file):
        _COLUMNS[_column["dataset"]][_column["column"]] = _column


def checked(path: Path, dataset: str) -> list[Row]:
    """The rows of a file that keeps every rule of the list."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows, header = list(reader), reader.fieldnames or []
    columns = _COLUMNS[dataset]
    assert {n for n, one in columns.items() if one["level"] == "Mandatory"} <= set(header)
    assert [name for name in header if name not in columns and not name.startswith("x_")] == []
    assert len(set(header)) == len(header)
    for row in rows:
        for name, column in columns.items():
            value = row.get(name, "")
            if not value:
                assert column["nullable"] == "True" or name not in header, name
                continue
            assert _FORMATS[column["type"]].fullmatch(value), (name, value)
            assert value in column["allowed"].split("|") or not column["allowed"], (name, value)
            if column["type"] == "JSON":
                assert all(isinstance(one, str) for one in json.loads(value).values())
    return rows


@pytest.fixture
def run(ledger: Ledger, january: Warehouse, close: Close, tmp_path: Path) -> Path:
    """Alpenland's folder of February: a credit note of 0.34 for January, and an invoice."""
    close(january, ledger, "2026-01")
    add_period(january, "2026-02")
    correct_january(january)
    close(january, ledger, "2026-02")
    for document in ledger.documents():
        render(ledger, document, tmp_path)
    return tmp_path / "2026-02" / "alpenland"


def test_every_folder_keeps_the_rules_and_adds_up_to_its_documents(
    run: Path, ledger: Ledger
) -> None:
    folders = defaultdict(list)
    for document in ledger.documents():
        folders[run.parents[1] / document.period / document.distributor_id].append(document)
    assert len(folders) > 3
    for folder, documents in folders.items():
        rows = checked(folder / "focus_invoice_detail.csv", "Invoice Detail")
        sums: dict[str, Decimal] = defaultdict(Decimal)
        units: dict[str, int] = defaultdict(int)
        for row in rows:
            sums[row["InvoiceId"]] += Decimal(row["BilledCost"])
            units[row["InvoiceId"]] += int(row["x_PricingQuantity"] or 0)
        numbered = {d.number: d.content for d in documents if d.number}
        assert sums == {
            number: Decimal(one["tax"]["payable_amount"]) for number, one in numbered.items()
        }
        assert units == {number: one["totals"]["units"] for number, one in numbered.items()}
        assert len({row["InvoiceDetailId"] for row in rows}) == len(rows)
        (period,) = checked(folder / "focus_billing_period.csv", "Billing Period")
        bounds = ("BillingPeriodStart", "BillingPeriodEnd", "InvoiceIssuerName")
        assert {tuple(row[name] for name in bounds) for row in rows} <= {
            tuple(period[name] for name in bounds)
        }


def test_an_invoice_in_focus(run: Path) -> None:
    """January's invoice: 3 units at 0.335, 5 graduated for 46.00, 1 at 0.335, due in 30 days."""
    rows = checked(run.parents[1] / "2026-01/alpenland/focus_invoice_detail.csv", "Invoice Detail")
    figures = ("BilledCost", "x_PricingQuantity", "x_PricingUnit", "x_UnitPrice", "InvoiceDetailId")
    assert [tuple(row[name] for name in figures) for row in rows[:3]] == [
        ("1.01", "3", "user", "0.335", "ALPENLAND-000001-1"),
        ("46.00", "5", "firewall", "", "ALPENLAND-000001-2"),
        ("0.34", "1", "user", "0.335", "ALPENLAND-000001-3"),
    ]
    first = rows[0]
    assert (first["BillingPeriodStart"], first["BillingPeriodEnd"]) == (
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",  # FOCUS: exclusive
    )
    assert first["ReferenceInvoiceId"] == first["InvoiceId"] == "ALPENLAND-000001"
    assert (first["ChargeCategory"], first["x_ChargeClass"]) == ("Usage", "")
    assert json.loads(first["InvoiceDetailGrain"])["SubAccountId"] == "P0001"


def test_a_note_is_a_correction_in_the_period_of_its_run(run: Path) -> None:
    rows = checked(run / "focus_invoice_detail.csv", "Invoice Detail")
    note = [row for row in rows if row["InvoiceId"] == "ALPENLAND-000002"]
    assert {row["ReferenceInvoiceId"] for row in note} == {"ALPENLAND-000001"}
    assert {row["x_ChargeClass"] for row in note} == {"Correction"}
    assert {row["BillingPeriodStart"] for row in note} == {"2026-02-01T00:00:00Z"}
    assert sum(Decimal(row["BilledCost"]) for row in note) == Decimal("-0.34")
    invoice = [row for row in rows if row["InvoiceId"] == "ALPENLAND-000003"]
    assert {row["x_ChargeClass"] for row in invoice} == {""}
    assert len(note) + len(invoice) == len(rows)


def test_a_cancelled_invoice_adds_up_to_nothing_and_opens_its_period(
    run: Path, ledger: Ledger
) -> None:
    path = run.parents[1] / "2026-01/alpenland/focus_billing_period.csv"
    (period,) = checked(path, "Billing Period")
    assert period["BillingPeriodStatus"] == "Closed"
    note = notes.cancel(ledger, "ALPENLAND-000001", reason="x", by="Ada", on=date(2026, 3, 9))
    render(ledger, note, run.parents[1])
    rows = checked(path.with_name("focus_invoice_detail.csv"), "Invoice Detail")
    # The note takes back what the note of February left: 47.35 - 0.34.
    by_document: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        by_document[row["InvoiceId"]] += Decimal(row["BilledCost"])
    assert by_document == {
        "ALPENLAND-000001": Decimal("47.35"),
        "ALPENLAND-000004": Decimal("-47.01"),
    }
    (period,) = checked(path, "Billing Period")
    assert period["BillingPeriodStatus"] == "Open"
    assert period["BillingPeriodLastUpdated"] == "2026-03-09T00:00:00Z"


def test_tax_is_a_row_of_its_own(ledger: Ledger, run: Path, tmp_path: Path) -> None:
    document = ledger.numbered("ALPENLAND-000001")
    assert document is not None
    content: dict[str, Any] = deepcopy(document.content)
    content["tax"] = {
        "category": "S",
        "rate": "20.00",
        "reason": None,
        "taxable_amount": "47.35",
        "tax_amount": "9.47",
        "payable_amount": "56.82",
    }
    detail, _ = focus([content])
    assert isinstance(detail.body, bytes)
    path = tmp_path / "focus_invoice_detail.csv"
    path.write_bytes(detail.body)
    rows = checked(path, "Invoice Detail")
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal("56.82")
    assert detail.totals == {"ALPENLAND-000001": "56.82"}
    (tax,) = [row for row in rows if row["ChargeCategory"] == "Tax"]
    assert (tax["BilledCost"], tax["InvoiceDetailId"]) == ("9.47", "ALPENLAND-000001-tax")
    assert tax["InvoiceDetailDescription"] == "Tax at 20.00 per cent"
    assert json.loads(tax["InvoiceDetailGrain"]) == {"x_TaxCategory": "S", "x_TaxRate": "20.00"}
    # A document from before there was tax in documents shows its net amounts only.
    untaxed = {name: value for name, value in content.items() if name != "tax"}
    assert focus([untaxed])[0].totals == {"ALPENLAND-000001": "47.35"}
    assert focus([untaxed])[0].rows == detail.rows - 1
    # A run that has only notes yet has no billing period to tell.
    assert focus([{**content, "corrects": {"number": "A"}}]) == []


def test_hostile_names_are_text(run: Path, ledger: Ledger, tmp_path: Path) -> None:
    document = ledger.numbered("ALPENLAND-000001")
    assert document is not None
    content: dict[str, Any] = deepcopy(document.content)
    name = '=cmd|"; +1\r\n@x'
    content["lines"][0]["product_name"] = name
    detail, _ = focus([content])
    assert isinstance(detail.body, bytes)
    (tmp_path / "x.csv").write_bytes(detail.body)
    row = checked(tmp_path / "x.csv", "Invoice Detail")[0]
    # An apostrophe before each sign that a spreadsheet would act on, and JSON that still is one.
    assert row["InvoiceDetailDescription"].startswith("'=cmd|\";' +1\r\n'@x")
    assert json.loads(row["InvoiceDetailGrain"])["ServiceName"].startswith("=cmd")
