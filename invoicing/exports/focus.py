"""focus_invoice_detail.csv and focus_billing_period.csv: FinOps FOCUS 1.4, for cost tools.

The documents of one run under FOCUS names. Columns FOCUS does not know begin with `x_`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from invoicing.canonical import JsonObject
from invoicing.exports.exported import Cell, ExportedFile, csv_bytes

INVOICE_DETAIL = (
    "BilledCost",
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "InvoiceDetailCreated",
    "InvoiceDetailDescription",
    "InvoiceDetailGrain",
    "InvoiceDetailId",
    "InvoiceDetailLastUpdated",
    "InvoiceId",
    "InvoiceIssueDate",
    "InvoiceIssueStatus",
    "InvoiceIssuerName",
    "PaymentDueDate",
    "PaymentTerms",
    "PurchaseOrderNumber",
    "ReferenceInvoiceId",
    "x_ChargeClass",
    "x_PricingQuantity",
    "x_PricingUnit",
    "x_UnitPrice",
)
BILLING_PERIOD = (
    "BillingPeriodCreated",
    "BillingPeriodEnd",
    "BillingPeriodLastUpdated",
    "BillingPeriodStart",
    "BillingPeriodStatus",
    "InvoiceIssuerName",
)


def focus(contents: Sequence[JsonObject]) -> list[ExportedFile]:
    """Both files for the contents of one run's documents, in the order of their numbers.

    Nothing while the run has notes only: the billing period is the one its invoice gives.
    """
    period = next((one["dates"] for one in contents if "corrects" not in one), None)
    if period is None:
        return []
    return [_invoice_detail(contents, period), _billing_period(contents, period)]


def _invoice_detail(contents: Sequence[JsonObject], period: JsonObject) -> ExportedFile:
    """A row per line of every document, 0 included, and one for the tax of a document that has any.

    The rows of a document add up to what is payable. A note is billed in the period of its run,
    names the invoice it corrects in ReferenceInvoiceId, and has the ChargeClass `Correction`. A
    cancelled invoice stays `Issued`: it was, and the note that takes it back is there too.
    """
    rows = [row for content in contents for row in _details(content, period)]
    return ExportedFile(
        path="focus_invoice_detail.csv",
        body=csv_bytes(
            INVOICE_DETAIL, [[row[column] for column in INVOICE_DETAIL] for row in rows]
        ),
        rows=len(rows),
        totals={content["number"]: _payable(content) for content in contents if content["number"]},
    )


def _payable(content: JsonObject) -> str:
    return str((content.get("tax") or {}).get("payable_amount", content["totals"]["amount"]))


def _details(content: JsonObject, period: JsonObject) -> Iterator[dict[str, Cell]]:
    dates, number = content["dates"], content["number"]
    corrects = (content.get("corrects") or {}).get("number")
    document: dict[str, Cell] = {
        **_bounds(period),
        "BillingAccountId": content["distributor"]["distributor_id"],
        "BillingCurrency": content["currency"],
        "InvoiceDetailCreated": _midnight(dates["issue_on"]),
        "InvoiceDetailLastUpdated": _midnight(dates["issue_on"]),
        "InvoiceId": number,
        "InvoiceIssueDate": _midnight(dates["issue_on"]),
        "InvoiceIssueStatus": "Issued",
        "InvoiceIssuerName": content["seller"]["seller_name"],
        "PaymentDueDate": _midnight(dates["due_on"]),
        "PaymentTerms": f"Net {_days(dates['issue_on'], dates['due_on'])}",
        "PurchaseOrderNumber": content["purchase_order"],
        "ReferenceInvoiceId": corrects or number,
        "x_ChargeClass": "Correction" if "corrects" in content else None,
        "x_PricingQuantity": None,
        "x_PricingUnit": None,
        "x_UnitPrice": None,
    }
    for line in content["lines"]:
        yield {
            **document,
            "BilledCost": line["amount"],
            "ChargeCategory": "Usage",
            "InvoiceDetailDescription": f"{line['product_name']}, {line['partner_name']}",
            "InvoiceDetailGrain": _grain(
                ServiceName=line["product_name"],
                SkuId=line["sku"],
                SubAccountId=line["partner_id"],
                x_ProductCode=line["product_code"],
            ),
            "InvoiceDetailId": f"{number}-{line['line_number']}",
            "x_PricingQuantity": line["quantity"],
            "x_PricingUnit": line["billing_unit"],
            "x_UnitPrice": line["unit_price"],
        }
    if tax := content.get("tax"):
        yield {
            **document,
            "BilledCost": tax["tax_amount"],
            "ChargeCategory": "Tax",
            "InvoiceDetailDescription": tax["reason"] or f"Tax at {tax['rate']} per cent",
            "InvoiceDetailGrain": _grain(x_TaxCategory=tax["category"], x_TaxRate=tax["rate"]),
            "InvoiceDetailId": f"{number}-tax",
        }


def _billing_period(contents: Sequence[JsonObject], period: JsonObject) -> ExportedFile:
    """One row: the period of the run. It is open again while its invoice is cancelled (R24)."""
    invoices = [content for content in contents if "corrects" not in content]
    cancelled = {content.get("cancels") for content in contents} - {None}
    in_force = {one["currency"] for one in invoices if one["number"] not in cancelled}
    is_closed = in_force == {one["currency"] for one in invoices}
    issued = sorted(content["dates"]["issue_on"] for content in contents)
    row: dict[str, Cell] = {
        **_bounds(period),
        "BillingPeriodCreated": _midnight(issued[0]),
        "BillingPeriodLastUpdated": _midnight(issued[-1]),
        "BillingPeriodStatus": "Closed" if is_closed else "Open",
        "InvoiceIssuerName": contents[-1]["seller"]["seller_name"],
    }
    body = csv_bytes(BILLING_PERIOD, [[row[column] for column in BILLING_PERIOD]])
    return ExportedFile(path="focus_billing_period.csv", body=body, rows=1)


def _bounds(period: JsonObject) -> dict[str, Cell]:
    """FOCUS periods end before their end; ours end on the cut-off (R1)."""
    after = date.fromisoformat(period["cutoff_on"]) + timedelta(days=1)
    return {
        "BillingPeriodStart": _midnight(period["period_starts_on"]),
        "BillingPeriodEnd": _midnight(after.isoformat()),
    }


def _grain(**properties: str) -> str:
    return json.dumps(properties, ensure_ascii=False, sort_keys=True)


def _midnight(day: str) -> str:
    """Documents know days, FOCUS wants moments; dates are UTC."""
    return f"{day}T00:00:00Z"


def _days(first: str, last: str) -> int:
    return (date.fromisoformat(last) - date.fromisoformat(first)).days
