"""discrepancies.csv: what was flagged for this distributor, its amount at stake and its state.

As recorded in the document; an open blocking one never gets here, because it holds the invoice.
"""

from __future__ import annotations

from invoicing.canonical import JsonObject
from invoicing.exports.exported import ExportedFile, csv_bytes

HEADER = (
    "discrepancy_id",
    "kind",
    "severity",
    "state",
    "partner_id",
    "customer_id",
    "product_code",
    "expected",
    "found",
    "amount_at_stake",
    "currency",
    "evidence",
    "action",
    "decision",
    "waiver_reason",
)


def discrepancies_csv(content: JsonObject) -> ExportedFile:
    """One row per discrepancy in the document's order; amounts have the row's own currency."""
    rows = [tuple(row[column] for column in HEADER) for row in content["discrepancies"]]
    return ExportedFile("discrepancies.csv", csv_bytes(HEADER, rows), rows=len(rows))
