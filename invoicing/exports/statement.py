"""partners/<partner_id>/statement.csv: the partner's part of the invoice, to be handed on to it.

The same figures as the invoice, customers included; nothing of any other partner.
"""

from __future__ import annotations

from collections.abc import Iterator

from invoicing.canonical import JsonObject
from invoicing.exports.exported import Cell, ExportedFile, csv_bytes

_DOCUMENT = ("record", "number", "period", "partner_id", "partner_name")
_PRODUCT = ("line_number", "product_code", "product_name", "billing_unit")
_CUSTOMER = ("customer_id", "customer_name", "licence_type", "owner")
_UNITS = ("quantity", "joined", "left_since")
_BAND = ("pricing_model", "unit_price", "band_min", "band_max", "units_to_next_band")
HEADER = (
    *_DOCUMENT,
    *_PRODUCT,
    *_CUSTOMER,
    *_UNITS,
    "calendar_month_units",
    *_BAND,
    "amount",
    "currency",
)


def statements(content: JsonObject) -> list[ExportedFile]:
    """One statement per partner with a monthly customer, in order of partner id.

    Column `record` says what a row is: `product` (the invoice line, with how many units joined and
    left since the last month and how far the next price band is), then its `customer` rows, and
    one `total` at the end. Filter on it before adding up.
    """
    return [_statement(content, partner) for partner in content["totals"]["partners"]]


def _statement(content: JsonObject, partner: JsonObject) -> ExportedFile:
    partner_id = partner["partner_id"]
    groups = sorted(
        (g for g in (*content["lines"], *content["unused"]) if g["partner_id"] == partner_id),
        key=lambda group: (group["listing_order"], group["product_code"]),
    )
    document = {
        "number": content["number"],
        "period": content["period"],
        "currency": content["currency"],
        "partner_id": partner_id,
        "partner_name": partner["partner_name"],
    }
    records = [record for group in groups for record in _records(group)]
    total = {
        "record": "total",
        "quantity": partner["units"],
        "joined": partner["joined"],
        "left_since": partner["left_since"],
        "amount": partner["amount"],
    }
    rows = [_row({**document, **record}) for record in (*records, total)]
    return ExportedFile(
        path=f"partners/{partner_id}/statement.csv",
        body=csv_bytes(HEADER, rows),
        rows=len(rows),
        totals={"amount": partner["amount"], "quantity": partner["units"]},
    )


def _records(group: JsonObject) -> Iterator[JsonObject]:
    product = {column: group[column] for column in _PRODUCT}
    figures = {column: group[column] for column in (*_UNITS, *_BAND, "amount")}
    yield {"record": "product", **product, **figures}
    for customer in group["customers"]:
        own = {column: customer[column] for column in (*_CUSTOMER, *_UNITS)}
        yield {
            "record": "customer",
            **product,
            **own,
            "calendar_month_units": customer["calendar_month_units"],
            "unit_price": group["unit_price"],
            "amount": customer["amount"],
        }


def _row(record: JsonObject) -> tuple[Cell, ...]:
    return tuple(record.get(column) for column in HEADER)
