"""ledger_journal.csv: a period's documents as balanced postings, for the vendor's own accounting.

It speaks of every distributor, so it lies beside their folders and is sent to none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from invoicing.canonical import JsonObject, money_text
from invoicing.exports.exported import Cell, ExportedFile, csv_bytes

HEADER = (
    "period",
    "posting_date",
    "number",
    "kind",
    "corrects",
    "distributor_id",
    "account",
    "category",
    "product_code",
    "tax_category",
    "tax_rate",
    "debit",
    "credit",
    "currency",
    "due_on",
    "text",
)

RECEIVABLE, REVENUE, TAX = "accounts_receivable", "revenue", "output_tax"


def ledger_journal_csv(contents: Iterable[JsonObject]) -> ExportedFile:
    """The postings of documents, in the order given; per document debits equal credits.

    An invoice debits `accounts_receivable` with what the distributor pays and credits `revenue`, a
    row per product, and `output_tax`; what takes back does the reverse. Amounts are positive and
    in `currency`; a row of nothing is left out, and so is a document without an amount. Accounts
    have names, not numbers: an import maps each of the three, `revenue` by category if it likes.
    """
    rows = [row for content in contents for row in _postings(content)]
    return ExportedFile("ledger_journal.csv", csv_bytes(HEADER, rows), rows=len(rows))


def _postings(content: JsonObject) -> Iterator[tuple[Cell, ...]]:
    tax = content.get("tax") or {}
    net = content["totals"]["amount"]
    yield from _posting(content, RECEIVABLE, -Decimal(tax.get("payable_amount", net)))
    products: dict[tuple[int, str, str], Decimal] = defaultdict(Decimal)
    for line in content["lines"]:
        key = (line["listing_order"], line["product_code"], line["category"])
        products[key] += Decimal(line["amount"])
    for (_, product_code, category), amount in sorted(products.items()):
        yield from _posting(content, REVENUE, amount, category, product_code)
    if tax:
        yield from _posting(content, TAX, Decimal(tax["tax_amount"]))


def _posting(
    content: JsonObject,
    account: str,
    credit: Decimal,
    category: str | None = None,
    product_code: str | None = None,
) -> Iterator[tuple[Cell, ...]]:
    """One row, or none for nothing; a negative credit is a debit."""
    if not credit:
        return
    tax = content.get("tax") or {}
    corrects = (content.get("corrects") or {}).get("number")
    amount = money_text(abs(credit), content["minor_units"])
    name = content["distributor"]["distributor_name"]
    yield (
        content["period"],
        content["dates"]["issue_on"],
        content["number"],
        content["kind"],
        corrects,
        content["distributor"]["distributor_id"],
        account,
        category,
        product_code,
        tax.get("category"),
        tax.get("rate"),
        None if credit > 0 else amount,
        amount if credit > 0 else None,
        content["currency"],
        content["dates"]["due_on"],
        f"{name}, {content['kind'].replace('_', ' ')} {content['number']}",
    )
