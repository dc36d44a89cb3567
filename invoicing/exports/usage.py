"""usage.csv: the customer detail under the vendor feed's own column names.

A row per customer and product, zero usage included; sums per line are in invoice.csv.
"""

from __future__ import annotations

from collections.abc import Iterator

from invoicing.canonical import JsonObject
from invoicing.exports.exported import Cell, ExportedFile, csv_bytes

HEADER = (
    "partnerAccountId",
    "partnerEdiAccountNumber",
    "partnerAccountName",
    "billingStartDate",
    "billingEndDate",
    "orderNumber",
    "orderLineItemNumber",
    "accountNumberOrSerialNumber",
    "productDescription",
    "productGroup",
    "sku",
    "billableQuantity",
    "externalId",
    "accountId",
    "accountStatus",
    "actualQuantity",
    "productCode",
    "unitPrice",
    "netPrice",
    "currency",
)


def usage_csv(content: JsonObject) -> ExportedFile:
    """The vendor's 17 columns, then unitPrice, netPrice and currency.

    - partnerAccountId, partnerAccountName: the partner. partnerEdiAccountNumber: the electronic
      address the invoice goes to, which is the distributor's `endpoint_id`.
    - billingStartDate, billingEndDate: first day of the period and its cut-off.
    - orderNumber: the document's number; orderLineItemNumber: `<number>-<line>`. The latter is
      empty for a product without a line.
    - accountNumberOrSerialNumber, accountId: the customer. externalId: the row's own key,
      `<period>/<customer>/<product>`.
    - productGroup: the billing unit, capitalised as in the vendor's sample (`User`).
    - billableQuantity: units in the window (R2). actualQuantity: units active in the calendar
      month up to the cut-off, so that the two show what the 30-day window leaves out.
    - accountStatus: `active` with at least one billable unit, else `idle`.
    - unitPrice: the line's band price, empty if graduated or without a line. netPrice: the
      customer's share of the line (R17).

    Ordered by partner, product listing and customer.
    """
    groups = sorted(
        (*content["lines"], *content["unused"]),
        key=lambda group: (group["partner_id"], group["listing_order"], group["product_code"]),
    )
    rows = [row for group in groups for row in _rows(content, group)]
    totals = content["totals"]
    return ExportedFile(
        path="usage.csv",
        body=csv_bytes(HEADER, rows),
        rows=len(rows),
        totals={"netPrice": totals["amount"], "billableQuantity": totals["units"]},
    )


def _rows(content: JsonObject, group: JsonObject) -> Iterator[tuple[Cell, ...]]:
    line = group["line_number"]
    for customer in group["customers"]:
        yield (
            group["partner_id"],
            content["distributor"].get("endpoint_id"),
            group["partner_name"],
            content["dates"]["period_starts_on"],
            content["dates"]["cutoff_on"],
            content["number"],
            None if line is None else f"{content['number']}-{line}",
            customer["customer_id"],
            group["product_name"],
            group["billing_unit"].capitalize(),
            group["sku"],
            customer["quantity"],
            f"{content['period']}/{customer['customer_id']}/{group['product_code']}",
            customer["customer_id"],
            "active" if customer["quantity"] else "idle",
            customer["calendar_month_units"],
            group["product_code"],
            group["unit_price"],
            customer["amount"],
            content["currency"],
        )
