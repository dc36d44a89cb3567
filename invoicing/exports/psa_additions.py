"""partners/<partner_id>/psa_additions.csv: what to change in the PSA, addition by addition.

So that the partner's own invoices bill what it is billed; nothing of any other partner.
"""

from __future__ import annotations

from collections.abc import Iterator

from invoicing.canonical import JsonObject
from invoicing.exports.exported import ExportedFile, csv_bytes

_ADDITION = (
    "psa",
    "company_id",
    "agreement_id",
    "addition_id",
    "product_id",
    "customer_id",
    "customer_name",
    "product_code",
    "action",
    "from_quantity",
    "to_quantity",
    "unit_price",
    "counted_on",
)
HEADER = (*_ADDITION, "period", "number")


def psa_additions(content: JsonObject) -> Iterator[ExportedFile]:
    """A file for each partner whose PSA is known, in order of partner id.

    A row per agreement addition, those that are right included (`keep`), and per product that no
    addition bills yet (`add`: `addition_id` empty, `agreement_id` only when there is but one).
    Where nothing is billed because no licence was in effect, an addition goes to 0 (`remove`); so
    does one of a company that no customer is known for (`unknown_customer`, without its id).
    `from_quantity` is what the PSA billed on `counted_on`, the date of its snapshot; `to_quantity`
    what the partner is billed. `unit_price` is what the partner charges.
    Ordered by PSA, company, agreement, addition and product.
    """
    changes = content.get("psa_changes") or []
    for partner_id in sorted({one["partner_id"] for one in changes}):
        rows = [
            (*(one[column] for column in _ADDITION), content["period"], content["number"])
            for one in changes
            if one["partner_id"] == partner_id
        ]
        yield ExportedFile(
            path=f"partners/{partner_id}/psa_additions.csv",
            body=csv_bytes(HEADER, rows),
            rows=len(rows),
            totals={
                "from_quantity": sum(row[_ADDITION.index("from_quantity")] for row in rows),
                "to_quantity": sum(row[_ADDITION.index("to_quantity")] for row in rows),
            },
        )
