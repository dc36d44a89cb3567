"""What a sheet or a page says in place of a name in the data: titles, headings, causes.

English, fixed: nothing here asks for a language or a locale.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from invoicing.canonical import JsonObject

_TITLES = {
    "invoice": "Invoice",
    "nil": "Nothing to invoice",
    "credit_note": "Credit note",
    "debit_note": "Debit note",
}
_HEADINGS = {
    "sku": "SKU",
    "iban": "IBAN",
    "cutoff_on": "Cut-off",
    "period_starts_on": "First day",
    "period_begins_on": "Period begins",
    "window_starts_on": "Counted from",
    "issue_on": "Issued",
    "due_on": "Due",
    "billing_unit": "Unit",
    "endpoint_id": "Electronic address",
    "line_number": "Line",
    "corrects_line": "Corrects line",
    "line_count": "Lines",
    "customer_count": "Customers",
    "licence_type": "Licence",
    "left_since": "Left",
    "calendar_month_units": "Units in calendar month",
    "units_to_next_band": "Units to next price band",
    "pricing_model": "Pricing",
    "tax_id": "Tax ID",
}
# What a cause of a correction (R25) means to somebody who has only the note.
_CAUSES = {
    "late_data": "Reported after the invoice",
    "trial": "Trial",
    "term": "Paid for by a term licence",
    "unlicensed": "Licence",
    "outside_programme": "Outside the programme",
    "move": "Moved to or from another partner or customer",
    "identity": "Same user or device under two names",
    "window": "Outside the counted days",
    "retired_product": "Product retired",
    "price": "Price list changed",
    "price_band": "Other price band",
    "reallocation": "Rounding between customers",
    "cancelled": "Taken back",
}


def title_of(content: JsonObject) -> str:
    """`Credit note ALPENLAND-000004`; a nil document has no number."""
    title = _TITLES[content["kind"]]
    return f"{title} {content['number']}" if content["number"] else title


def heading(column: str) -> str:
    """`partner_id` is `Partner ID`."""
    if column in _HEADINGS:
        return _HEADINGS[column]
    words = column.replace("_", " ").capitalize()
    return words[:-2] + "ID" if words.endswith(" id") else words


def causes(of: Iterable[JsonObject]) -> list[tuple[str, int, Decimal]]:
    """Each cause in words with its units and its money, which add up to the row they are of."""
    return [
        (
            _CAUSES.get(one["cause"], heading(one["cause"])),
            one["quantity"],
            Decimal(one["amount"]),
        )
        for one in of
    ]


def bands_in_words(bands: Iterable[JsonObject]) -> str:
    """`1 to 3: 3 \u00d7 10.00; from 4: 2 \u00d7 8.00`: which units of a line have which price."""
    return "; ".join(
        (
            f"from {band['min_quantity']}"
            if band["max_quantity"] is None
            else f"{band['min_quantity']} to {band['max_quantity']}"
        )
        + f": {band['quantity']} \u00d7 {band['unit_price']}"
        for band in bands
    )
