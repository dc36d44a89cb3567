"""invoice.xlsx, note.xlsx and each partner's statement.xlsx: the figures, to filter and add up.

Which columns a sheet has. Totals are the document's own, as numbers: a formula could disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from invoicing.canonical import JsonObject
from invoicing.content import says_what_counted
from invoicing.exports.exported import ExportedFile
from invoicing.exports.words import bands_in_words, causes, heading, title_of
from invoicing.exports.xlsx import Cell, Page, Table, workbook

_DOCUMENT = ("number", "period", "purchase_order", "currency")
_DATES = ("period_starts_on", "cutoff_on", "window_starts_on", "issue_on", "due_on")
_PARTNER = ("partner_id", "partner_name")
_PRODUCT = ("product_code", "product_name")
_CUSTOMER = ("customer_id", "customer_name", "licence_type", "owner")
_UNITS = ("quantity", "joined", "left_since")
_BAND = ("pricing_model", "unit_price", "band_min", "band_max", "units_to_next_band", "price_bands")
LINE = (
    *("line_number", *_PARTNER, *_PRODUCT, "category", "billing_unit", "sku"),
    *("customer_count", "quantity", "pricing_model", "unit_price", "price_bands"),
    *("amount", "currency"),
)
CUSTOMER = (
    *("line_number", *_PARTNER, *_PRODUCT, *_CUSTOMER, *_UNITS),
    *("calendar_month_units", "unit_price", "amount", "currency"),
)
STATEMENT_PRODUCT = (
    *("line_number", *_PRODUCT, "billing_unit", *_UNITS, *_BAND, "amount", "currency"),
)
STATEMENT_CUSTOMER = tuple(column for column in CUSTOMER if column not in _PARTNER)
_KNOWN = ("billed_quantity", "billed_amount", "known_quantity", "known_amount")
NOTE_LINE = (
    *("line_number", "corrects_line", *_PARTNER, *_PRODUCT, "billing_unit", "sku"),
    *("billed_unit_price", "unit_price", *_KNOWN, "quantity", "amount", "causes", "currency"),
)
NOTE_CUSTOMER = (
    *("line_number", "corrects_line", *_PARTNER, *_PRODUCT, *_CUSTOMER),
    *(*_KNOWN, "quantity", "amount", "causes", "currency"),
)
_NOT_BILLED = ("partner_id", "customer_id", "product_code", "reason", "units")
_DISCREPANCY = (
    *("discrepancy_id", "kind", "severity", "state", "partner_id", "customer_id", "product_code"),
    *("expected", "found", "amount_at_stake", "currency", "evidence", "action", "decision"),
    "waiver_reason",
)
_PARTY = ("street", "postal_code", "city", "country", "tax_id", "endpoint_id", "iban")
_TOTALS = ("line_count", "units", "joined", "left_since", "amount")
_MONEY = (
    *("unit_price", "amount", "amount_at_stake", "billed_unit_price", "billed_amount"),
    *("known_amount", "taxable_amount", "tax_amount", "payable_amount"),
)
# On a note these two are differences, and `unit_price` is the price known now.
_OF_NOTE = {"quantity": "difference", "amount": "difference_amount", "unit_price": "known_price"}


def invoice_xlsx(content: JsonObject) -> ExportedFile:
    """Sheets Invoice, Lines, Customers (zero usage included), Not billed and Discrepancies."""
    groups = (*content["lines"], *content["unused"])
    sheets = (
        Page("Invoice", title_of(content), (*_head(content), *_totals_by(content))),
        _table("Lines", LINE, content["lines"], content),
        _table("Customers", CUSTOMER, _customers(groups), content),
        _table("Not billed", _NOT_BILLED, content["not_billed"], content),
        _table("Discrepancies", _DISCREPANCY, content["discrepancies"], content),
    )
    return _file("invoice.xlsx", sheets, content)


def note_xlsx(content: JsonObject) -> ExportedFile:
    """Sheets Note, Lines and Customers; quantities and amounts are differences, signs kept."""
    sheets = (
        Page("Note", title_of(content), (*_head(content), *_totals_by(content))),
        _table("Lines", NOTE_LINE, content["lines"], content, _OF_NOTE),
        _table("Customers", NOTE_CUSTOMER, _customers(content["lines"]), content, _OF_NOTE),
    )
    return _file("note.xlsx", sheets, content)


def statements_xlsx(content: JsonObject) -> list[ExportedFile]:
    """One workbook per partner: sheets Statement, Products and Customers, nothing of another."""
    return [_statement(content, partner) for partner in content["totals"]["partners"]]


def _statement(content: JsonObject, partner: JsonObject) -> ExportedFile:
    partner_id = partner["partner_id"]
    groups = groups_of(content, partner_id)
    dates = content["dates"]
    head = {
        **{column: partner[column] for column in _PARTNER},
        "invoice": content["number"],
        "period": content["period"],
        **_dates(content, ("period_starts_on", "cutoff_on", "issue_on")),
        "distributor": content["distributor"].get("distributor_name"),
        "currency": content["currency"],
    }
    title = f"Statement {content['period']}"
    sheets = (
        Page(
            "Statement",
            title,
            (_form("Statement", head), _form("Total", _of(partner, _TOTALS))),
        ),
        _table("Products", STATEMENT_PRODUCT, groups, content),
        _table("Customers", STATEMENT_CUSTOMER, _customers(groups), content),
    )
    return ExportedFile(
        path=f"partners/{partner_id}/statement.xlsx",
        body=workbook(sheets, title=title, on=date.fromisoformat(dates["issue_on"])),
        rows=sum(len(group["customers"]) for group in groups),
        totals={"amount": partner["amount"], "quantity": partner["units"]},
    )


def groups_of(content: JsonObject, partner_id: str) -> list[JsonObject]:
    """A partner's lines and the products it did not use, in order of the product listing."""
    return sorted(
        (g for g in (*content["lines"], *content["unused"]) if g["partner_id"] == partner_id),
        key=lambda group: (group["listing_order"], group["product_code"]),
    )


def _file(path: str, sheets: Sequence[Page | Table], content: JsonObject) -> ExportedFile:
    totals = content["totals"]
    issued = date.fromisoformat(content["dates"]["issue_on"])
    return ExportedFile(
        path=path,
        body=workbook(sheets, title=title_of(content), on=issued),
        rows=totals["line_count"],
        totals={"amount": totals["amount"], "quantity": totals["units"]},
    )


def _head(content: JsonObject) -> Iterable[Table]:
    """Who, when and how much."""
    document = {**_of(content, _DOCUMENT), **_dates(content, _DATES)}
    if "corrects" in content:
        document["corrected_invoice"] = content["corrects"]["number"]
        document["corrected_period"] = content["corrects"]["period"]
        document["reason"] = content["reason"]
    yield _form("Document", document)
    for name, party in (("seller", content["seller"]), ("distributor", content["distributor"])):
        own = {f"{name}_id": party[f"{name}_id"], f"{name}_name": party.get(f"{name}_name")}
        yield _form("Seller" if name == "seller" else "Buyer", {**own, **_of(party, _PARTY)})
    totals = content["totals"]
    money = {"lines": totals["line_count"], "units": totals["units"], "amount": totals["amount"]}
    tax = content.get("tax")
    if tax:
        money |= {"tax_category": tax["category"], "tax_rate_percent": Decimal(tax["rate"])}
        money |= {"tax_reason": tax.get("reason")}
        money |= _of(tax, ("taxable_amount", "tax_amount", "payable_amount"))
    yield _form("Total", {**money, "currency": content["currency"]})


def _dates(content: JsonObject, columns: Iterable[str]) -> JsonObject:
    """A period that begins on the 1st may count from the 30th before (R1, R2), so both are said."""
    dates = content["dates"]
    if not says_what_counted(content):
        return _of(dates, columns)
    said = [one for one in columns if one not in ("period_starts_on", "window_starts_on")]
    begins = {"period_begins_on": dates["period_starts_on"]}
    return {**begins, **_of(dates, ("window_starts_on", *said))}


def _totals_by(content: JsonObject) -> Iterable[Table]:
    totals = content["totals"]
    yield _table("By partner", (*_PARTNER, *_TOTALS, "currency"), totals["partners"], content)
    yield _table("By product", (*_PRODUCT, *_TOTALS, "currency"), totals["products"], content)
    # The second column stays empty, so that figures stand below figures.
    columns = ("category", "", *_TOTALS, "currency")
    yield _table("By category", columns, totals["categories"], content)


def _customers(groups: Iterable[JsonObject]) -> list[JsonObject]:
    """The customers of each line with what they share with it, in the document's order."""
    return [{**group, **customer} for group in groups for customer in group["customers"]]


def _of(source: JsonObject, columns: Iterable[str]) -> JsonObject:
    return {column: source[column] for column in columns if source.get(column) is not None}


def _form(name: str, values: JsonObject) -> Table:
    rows = [
        (heading(column), _cell(column, value))
        for column, value in values.items()
        if value is not None
    ]
    return Table(name, (), rows)


def _table(
    name: str,
    columns: Sequence[str],
    records: Sequence[JsonObject],
    content: JsonObject,
    renamed: dict[str, str] | None = None,
) -> Table:
    headings = tuple(heading((renamed or {}).get(column, column)) for column in columns)
    shared = {"currency": content["currency"]}
    rows = [
        [_cell(column, _value({**shared, **record}, column)) for column in columns]
        for record in records
    ]
    return Table(name, headings, rows)


def _value(record: JsonObject, column: str) -> Cell:
    if column == "price_bands":
        return bands_in_words(record.get("bands") or []) or None
    if column == "causes":
        return "; ".join(
            f"{words}: {units:+d} units, {money:+}"
            for words, units, money in causes(record[column])
        )
    value: Cell = record.get(column)
    return value


def _cell(column: str, value: Cell) -> Cell:
    """Money becomes a number and a date a date; every other text stays the text it is."""
    if isinstance(value, str) and column in _MONEY:
        return Decimal(value)
    if isinstance(value, str) and column.endswith("_on"):
        return date.fromisoformat(value)
    return value
