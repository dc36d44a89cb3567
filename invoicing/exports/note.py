"""A credit or debit note as JSON and CSV, and each partner's part of it.

One CSV row per customer that differs: what was billed, what is known now, the difference, why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from invoicing.canonical import JsonObject, canonical_json
from invoicing.exports.exported import Cell, ExportedFile, csv_bytes

_LINE = (
    "line_number",
    "corrects_line",
    "partner_id",
    "partner_name",
    "product_code",
    "product_name",
    "billing_unit",
    "sku",
)
_CUSTOMER = ("customer_id", "customer_name")
_FIGURES = (
    "billed_quantity",
    "billed_amount",
    "known_quantity",
    "known_amount",
    "quantity",
    "amount",
)
HEADER = (
    "number",
    "kind",
    "period",
    "corrected_period",
    "corrected_invoice",
    "issue_on",
    *_LINE,
    *_CUSTOMER,
    *_FIGURES,
    "causes",
    "currency",
)


def note_json(content: JsonObject) -> ExportedFile:
    """The document's content, so that the file's SHA-256 is the content hash of the chain."""
    totals = content["totals"]
    return ExportedFile(
        path="note.json",
        body=canonical_json(content),
        rows=totals["line_count"],
        totals={"amount": totals["amount"], "quantity": totals["units"]},
    )


def note_csv(content: JsonObject) -> ExportedFile:
    """One row per line and customer, in the document's order; `amount` is the difference.

    `corrects_line` is the line of the corrected invoice, empty for a new one; `causes` reads
    `late_data +2 (6.70); price_band 0 (-33.50)`: units and money that add up to the row.
    """
    rows = list(_rows(content, content["lines"]))
    totals = content["totals"]
    return ExportedFile(
        path="note.csv",
        body=csv_bytes(HEADER, rows),
        rows=len(rows),
        totals={"amount": totals["amount"], "quantity": totals["units"]},
    )


def note_statements(content: JsonObject) -> list[ExportedFile]:
    """The rows of each partner by itself, to be handed on to it."""
    return [_statement(content, partner) for partner in content["totals"]["partners"]]


def _statement(content: JsonObject, partner: JsonObject) -> ExportedFile:
    partner_id = partner["partner_id"]
    own = [line for line in content["lines"] if line["partner_id"] == partner_id]
    rows = list(_rows(content, own))
    return ExportedFile(
        path=f"partners/{partner_id}/{content['kind']}_{content['number']}.csv",
        body=csv_bytes(HEADER, rows),
        rows=len(rows),
        totals={"amount": partner["amount"], "quantity": partner["units"]},
    )


def _rows(content: JsonObject, lines: Iterable[JsonObject]) -> Iterator[tuple[Cell, ...]]:
    for line in lines:
        for customer in line["customers"]:
            yield (
                content["number"],
                content["kind"],
                content["period"],
                content["corrects"]["period"],
                content["corrects"]["number"],
                content["dates"]["issue_on"],
                *(line[column] for column in _LINE),
                *(customer[column] for column in _CUSTOMER),
                *(customer[column] for column in _FIGURES),
                causes_in_words(customer["causes"]),
                content["currency"],
            )


def causes_in_words(causes: Iterable[JsonObject]) -> str:
    """`late_data +2 (6.70); reallocation 0 (0.01)`."""
    return "; ".join(
        f"{one['cause']} {one['quantity']:+d} ({one['amount']})"
        if one["quantity"]
        else f"{one['cause']} 0 ({one['amount']})"
        for one in causes
    )
