"""One ledger document, read back from every file it becomes: the same figures to the cent.

What a single format owes its readers is tested beside that format.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pypdf
import pytest
from billing_marts import Warehouse, add_period, correct_january, fill_january
from lxml import etree

from invoicing import documents, gate, notes
from invoicing.exports import render_period
from invoicing.exports.papers import figure
from invoicing.ledger import Ledger

# Quantity and amount by line number, and what is to be paid in all.
Lines = dict[int, tuple[int, Decimal]]
Said = tuple[Lines, Decimal]

DOCUMENTS = {
    "ALPENLAND-000001": "EUR",
    "ALPENLAND-000002": "EUR",
    "ALPENLAND-000003": "EUR",
    "ALPENLAND-000004": "EUR",
    "CASCADIA-000001": "USD",
    "SAKURA-000001": "JPY",
}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EUR and USD invoices of January, a credit note with February's, an invoice in JPY, and the
    cancellation of January's in EUR."""
    root = tmp_path_factory.mktemp("agree")
    warehouse, ledger = Warehouse(), Ledger(root / "ledger")
    fill_january(warehouse)
    _close(warehouse, ledger, "2026-01")
    correct_january(warehouse)
    add_period(warehouse, "2026-02")
    add_period(warehouse, "2026-02", "sakura")
    _close(warehouse, ledger, "2026-02")
    notes.cancel(ledger, "ALPENLAND-000001", reason="wrong", by="Ada", on=date(2026, 3, 5))
    for period in ("2026-01", "2026-02"):
        render_period(ledger, period, root / "exports")
    return root


def _close(warehouse: Warehouse, ledger: Ledger, period: str) -> None:
    gate.decide(warehouse.conn, ledger, period, [])
    documents.issue(warehouse.conn, ledger, period)


def _truth(root: Path, number: str) -> dict[str, Any]:
    for path in sorted((root / "ledger").glob("*/[0-9]*.json")):
        content: dict[str, Any] = json.loads(path.read_bytes())["content"]
        if content["number"] == number:
            return content
    raise AssertionError(number)


def _said(content: dict[str, Any]) -> Said:
    lines = {
        line["line_number"]: (line["quantity"], Decimal(line["amount"]))
        for line in content["lines"]
    }
    return lines, Decimal(content["tax"]["payable_amount"])


def _file(root: Path, content: dict[str, Any], suffix: str) -> bytes:
    """The document's own file: the folder's invoice, a cancelled one, or a note by its number."""
    folder = root / "exports" / content["period"] / content["distributor"]["distributor_id"]
    kind, number = content["kind"], content["number"]
    for name in (f"{kind}_{number}", f"cancelled_{kind}_{number}", kind):
        if (folder / f"{name}.{suffix}").exists():
            return (folder / f"{name}.{suffix}").read_bytes()
    raise AssertionError((number, suffix))


def _csv(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode("utf-8"), newline="")))


def from_json(root: Path, content: dict[str, Any]) -> Said:
    return _said(json.loads(_file(root, content, "json")))


def from_csv(root: Path, content: dict[str, Any]) -> Said:
    """A note has a row per customer. A CSV has net amounts: the tax of these documents is 0."""
    lines: Lines = defaultdict(lambda: (0, Decimal(0)))
    for row in _csv(_file(root, content, "csv")):
        units, amount = lines[int(row["line_number"])]
        found = (units + int(row["quantity"]), amount + Decimal(row["amount"]))
        lines[int(row["line_number"])] = found
    return dict(lines), sum((amount for _, amount in lines.values()), Decimal(0))


def from_xlsx(root: Path, content: dict[str, Any]) -> Said:
    book = openpyxl.load_workbook(io.BytesIO(_file(root, content, "xlsx")))
    headings, *rows = [[cell.value for cell in row] for row in book["Lines"]]
    places = {str(name).lower(): place for place, name in enumerate(headings)}
    quantity = places.get("difference", places.get("quantity"))
    amount = places.get("difference amount", places.get("amount"))
    number = places.get("line number", places.get("line"))
    assert None not in (quantity, amount, number), headings
    lines = {row[number]: (row[quantity], Decimal(repr(row[amount]))) for row in rows}
    pairs = {row[0].value: row[1].value for row in book.worksheets[0] if len(row) > 1}
    (payable,) = [value for name, value in pairs.items() if str(name).startswith("Payable")]
    return lines, Decimal(repr(payable))


def from_ubl(root: Path, content: dict[str, Any]) -> Said:
    """A credit note states what it credits, so its signs are the other way round."""
    tree = etree.fromstring(_file(root, content, "ubl.xml"))
    sign = -1 if content["kind"] == "credit_note" else 1
    lines = {}
    for line in tree.xpath("//*[local-name()='InvoiceLine' or local-name()='CreditNoteLine']"):
        number = line.xpath("string(*[local-name()='ID'])")
        amount = line.xpath("string(*[local-name()='LineExtensionAmount'])")
        units = line.xpath("string(*[contains(local-name(), 'edQuantity')])")
        lines[int(number)] = (sign * int(Decimal(units)), sign * Decimal(amount))
    payable = tree.xpath("string(//*[local-name()='PayableAmount'])")
    # Graduated lines and differences without a unit are stated as one lump.
    return lines, sign * Decimal(payable)


def from_focus(root: Path, content: dict[str, Any]) -> Said:
    folder = root / "exports" / content["period"] / content["distributor"]["distributor_id"]
    rows = [
        row
        for row in _csv((folder / "focus_invoice_detail.csv").read_bytes())
        if row["InvoiceId"] == content["number"]
    ]
    lines = {
        int(row["InvoiceDetailId"].rpartition("-")[2]): (
            int(row["x_PricingQuantity"]),
            Decimal(row["BilledCost"]),
        )
        for row in rows
        if row["ChargeCategory"] != "Tax"
    }
    return lines, sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0))


@pytest.mark.parametrize("number", DOCUMENTS)
@pytest.mark.parametrize("read", [from_json, from_csv, from_xlsx, from_focus])
def test_lines_and_total_are_the_ledgers(
    exports: Path, number: str, read: Callable[[Path, dict[str, Any]], Said]
) -> None:
    content = _truth(exports, number)
    assert content["currency"] == DOCUMENTS[number]
    assert read(exports, content) == _said(content)


@pytest.mark.parametrize("number", DOCUMENTS)
def test_the_e_invoice_has_the_amounts_and_the_units_of_lines_with_a_price(
    exports: Path, number: str
) -> None:
    content = _truth(exports, number)
    (found, payable), (lines, due) = from_ubl(exports, content), _said(content)
    assert payable == due
    assert {key: amount for key, (_, amount) in found.items()} == {
        key: amount for key, (_, amount) in lines.items()
    }
    priced = {
        line["line_number"]
        for line in content["lines"]
        if line["unit_price"]
        and Decimal(line["unit_price"]) * line["quantity"]
        == pytest.approx(Decimal(line["amount"]), abs=Decimal("0.005"))
    }
    assert priced or content["kind"] == "credit_note"
    assert {found[key][0] for key in priced} == {lines[key][0] for key in priced}


@pytest.mark.parametrize("number", DOCUMENTS)
def test_the_page_prints_every_line_and_total(exports: Path, number: str) -> None:
    """Every amount of the ledger is on the page, as often as the ledger has it; and the e-invoice
    inside it is the one beside it."""
    content = _truth(exports, number)
    reader = pypdf.PdfReader(io.BytesIO(_file(exports, content, "pdf")))
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    tokens = re.findall(r"\u2212?[0-9][0-9,]*(?:\.[0-9]+)?", text)
    for line in content["lines"]:
        assert figure(line["amount"]) in tokens, line
        assert f"{line['quantity']}".replace("-", "\u2212") in tokens, line
    assert figure(content["tax"]["payable_amount"]) in tokens
    (attached,) = [body for bodies in reader.attachments.values() for body in bodies]
    assert attached == _file(exports, content, "ubl.xml")


@pytest.mark.parametrize("number", ["ALPENLAND-000003", "CASCADIA-000001", "SAKURA-000001"])
def test_usage_statements_and_pages_have_the_customers_of_each_line(
    exports: Path, number: str
) -> None:
    """In force are February's in EUR and these two; each partner's files together are the whole."""
    content = _truth(exports, number)
    folder = exports / "exports" / content["period"] / content["distributor"]["distributor_id"]
    truth = {
        (customer["customer_id"], line["product_code"]): (
            customer["quantity"],
            Decimal(customer["amount"]),
        )
        for line in (*content["lines"], *content["unused"])
        for customer in line["customers"]
    }
    usage = {
        (row["accountId"], row["productCode"]): (
            int(row["billableQuantity"]),
            Decimal(row["netPrice"]),
        )
        for row in _csv((folder / "usage.csv").read_bytes())
    }
    assert usage == truth
    stated: dict[tuple[str, str], tuple[int, Decimal]] = {}
    sheets: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for path in sorted(folder.glob("partners/*/statement.csv")):
        rows = [row for row in _csv(path.read_bytes()) if row["record"] == "customer"]
        for row in rows:
            key = (row["customer_id"], row["product_code"])
            stated[key] = (int(row["quantity"]), Decimal(row["amount"]))
        book = openpyxl.load_workbook(path.with_suffix(".xlsx"))
        headings, *cells = [[cell.value for cell in row] for row in book["Customers"]]
        places = {str(name).lower(): place for place, name in enumerate(headings)}
        for row in cells:
            key = (row[places["customer id"]], row[places["product code"]])
            sheets[key] = (row[places["quantity"]], Decimal(repr(row[places["amount"]])))
    assert stated == truth
    assert sheets == truth
    shown = {
        (row["customer_id"], row["product_code"]): int(row["billed_units"])
        for row in _csv((folder / "managed_customer_usage.csv").read_bytes())
    }
    assert shown == {key: units for key, (units, _) in truth.items()}
