"""invoice.json and invoice.csv: the document itself, and its lines for the accounts department.

One CSV row per invoice line and no other kind of row; the customers behind a line are usage.csv.
"""

from __future__ import annotations

from invoicing.canonical import JsonObject, canonical_json
from invoicing.exports.exported import ExportedFile, csv_bytes

_DOCUMENT = ("number", "period")
_DATES = ("period_starts_on", "cutoff_on", "issue_on", "due_on")
_LINE = (
    "line_number",
    "partner_id",
    "partner_name",
    "product_code",
    "product_name",
    "category",
    "billing_unit",
    "sku",
    "customer_count",
    "quantity",
    "pricing_model",
    "unit_price",
    "amount",
)
_PARTIES = ("seller_name", "distributor_id", "distributor_name", "purchase_order")
HEADER = (*_DOCUMENT, *_DATES, *_PARTIES, *_LINE, "currency")


def invoice_json(content: JsonObject) -> ExportedFile:
    """The document's content, so that the file's SHA-256 is the content hash of the chain."""
    totals = content["totals"]
    return ExportedFile(
        path="invoice.json",
        body=canonical_json(content),
        rows=totals["line_count"],
        totals={"amount": totals["amount"], "quantity": totals["units"]},
    )


def invoice_csv(content: JsonObject) -> ExportedFile:
    """One row per line by line number; amounts are in `currency`, unit price empty if graduated."""
    document = (
        *(content[column] for column in _DOCUMENT),
        *(content["dates"][column] for column in _DATES),
        content["seller"]["seller_name"],
        content["distributor"]["distributor_id"],
        content["distributor"]["distributor_name"],
        content["purchase_order"],
    )
    rows = [
        (*document, *(line[column] for column in _LINE), content["currency"])
        for line in content["lines"]
    ]
    totals = content["totals"]
    return ExportedFile(
        path="invoice.csv",
        body=csv_bytes(HEADER, rows),
        rows=len(rows),
        totals={"amount": totals["amount"], "quantity": totals["units"]},
    )
