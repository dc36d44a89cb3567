"""A line and its roster: which units were counted for it, which nearly were, and from which row.

Plain data for any caller to show. Issued lines are read from the ledger, others from the draft.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from invoicing import disputes, documents, draft, roster
from invoicing.canonical import JsonObject, price_text
from invoicing.disputes import Dispute
from invoicing.draft import Row
from invoicing.ledger import Document, Ledger


class UnknownLineError(ValueError):
    """There is no such line; the message says what there is."""


@dataclass(frozen=True)
class Unit:
    """One user, device or firewall. `source` is the row that asserted its last active date, None
    for a near miss, which no row of the window speaks of.

    `reason` is None for a counted unit, else why it was not. Dates are ISO text.
    """

    unit_kind: str
    unit_id: str
    customer_id: str
    customer_name: str | None
    last_device_id: str | None
    device_count: int
    last_active_on: str | None
    active_on: tuple[str, ...]
    source: str | None
    reason: str | None


@dataclass(frozen=True)
class Explanation:
    """A line with its customers and bands (as in the document), its units and its near misses.

    For the line of a note, the units that are counted since it, and those that are not any more.
    `dispute` is the open one of an issued line, if there is one.
    """

    state: Literal["issued", "draft"]
    kind: str
    number: str | None
    period: str
    distributor_id: str
    currency: str
    cutoff_on: str
    window_starts_on: str
    total_amount: str
    line: JsonObject
    counted: tuple[Unit, ...]
    not_counted: tuple[Unit, ...]
    dispute: Dispute | None


def explain(ledger: Ledger, conn: duckdb.DuckDBPyConnection | None, reference: str) -> Explanation:
    """Explain the line that `reference` names.

    `reference` is `PERIOD DISTRIBUTOR LINE [CURRENCY]`, `NUMBER LINE`, or the order line item
    number of usage.csv, `NUMBER-LINE`. Without `conn` only issued lines are found.
    Raises UnknownLineError in words when there is no such line.
    """
    words = reference.split()
    if len(words) == 1 and (named := ledger.numbered(words[0])):
        numbers = [line["line_number"] for line in named.content["lines"]]
        raise UnknownLineError(
            f"Which line of {words[0]}? It has {numbers[0]} to {numbers[-1]}: "
            f"`muster explain {words[0]} {numbers[0]}`."
            if numbers
            else f"{words[0]} has no lines."
        )
    if len(words) == 1:
        words = reference.rsplit("-", 1)
    if len(words) not in (2, 3, 4) or not words[2 if len(words) > 2 else 1].isdecimal():
        raise UnknownLineError(
            f"{reference!r} names no line. Give PERIOD DISTRIBUTOR LINE (2026-01 alpenland 3), "
            "or a document number and a line (ALPENLAND-000001 3)."
        )
    if len(words) == 2:
        document = ledger.numbered(words[0])
        if document is None:
            raise UnknownLineError(
                f"No document has the number {words[0]}. `muster status` lists them."
            )
        return _of_document(ledger, document, int(words[1]))
    period, distributor_id, line_number = words[0], words[1], int(words[2])
    currency = words[3] if len(words) == 4 else None
    issued = [
        document
        for document in ledger.documents(distributor_id)
        if document.period == period
        and currency in (None, document.currency)
        and ledger.issued(period, distributor_id, document.currency) == document
    ]
    drafts = [
        invoice
        for invoice in ([] if issued else _drafts(conn, period))
        if invoice.distributor_id == distributor_id and currency in (None, invoice.currency)
    ]
    found = [d.currency for d in issued] + [d.currency for d in drafts]
    if not found:
        raise UnknownLineError(
            f"{period} {distributor_id} is neither issued nor drafted. `muster status` lists "
            f"what is; `muster draft {period}` computes a draft."
        )
    if len(found) > 1:
        raise UnknownLineError(
            f"{period} {distributor_id} has documents in {' and '.join(found)}: "
            "add the currency as the last word."
        )
    if issued:
        return _of_document(ledger, issued[0], line_number)
    assert conn is not None, "a draft was found, so there is a connection"
    return _of_draft(conn, drafts[0], line_number)


def _drafts(conn: duckdb.DuckDBPyConnection | None, period: str) -> list[draft.DraftInvoice]:
    """None without a connection, or in a warehouse where nothing was ever drafted."""
    if conn is None:
        return []
    try:
        return draft.invoices(conn, period)
    except duckdb.CatalogException:
        return []


def _of_document(ledger: Ledger, document: Document, line_number: int) -> Explanation:
    content = document.content
    line = _line(content["lines"], line_number, document.name)
    path = ledger.intact_roster(document)
    rows = roster.of_product(path, line["partner_id"], line["product_code"])
    if document.is_note:
        rows = _changed(_rows_before(ledger, document, line), rows)
    return Explanation(
        state="issued",
        kind=document.kind,
        number=document.number,
        period=document.billed_period,
        distributor_id=document.distributor_id,
        currency=document.currency,
        cutoff_on=content["dates"]["cutoff_on"],
        window_starts_on=content["dates"]["window_starts_on"],
        total_amount=content["totals"]["amount"],
        line=line,
        dispute=disputes.open_of_line(ledger, document.name, line_number),
        **_units(rows, line),
    )


def _rows_before(ledger: Ledger, note: Document, line: JsonObject) -> list[Row]:
    """The line's roster in the last document that billed the period before this note."""
    billed = ledger.of_period(note.billed_period, note.distributor_id, note.currency)
    earlier = [one for one in billed if one.sequence < note.sequence]
    if not earlier:
        return []
    path = ledger.intact_roster(earlier[-1])
    return roster.of_product(path, line["partner_id"], line["product_code"])


def _changed(before: list[Row], after: list[Row]) -> list[Row]:
    """What a note stands for: the units counted only now, then those counted only before."""

    def key(row: Row) -> tuple[str, str, str]:
        return (row["customer_id"], row["unit_kind"], row["unit_id"])

    was = {key(row) for row in before if row["is_counted"]}
    now = {key(row): row for row in after}
    gained = [row for row in after if row["is_counted"] and key(row) not in was]
    lost = []
    for row in before:
        still = now.get(key(row))
        if row["is_counted"] and not (still and still["is_counted"]):
            reason = still["reason"] if still else "no_longer_reported"
            lost.append({**row, "is_counted": False, "reason": reason})
    return [*gained, *lost]


def _of_draft(
    conn: duckdb.DuckDBPyConnection, invoice: draft.DraftInvoice, line_number: int
) -> Explanation:
    lines, _ = documents.lines_of(conn, invoice)
    name = f"the draft of {invoice.period} {invoice.distributor_id}"
    line = _line(lines, line_number, name)
    key = (invoice.period, invoice.distributor_id, invoice.currency)
    rows = roster.of_draft_product(conn, key, line["partner_id"], line["product_code"])
    return Explanation(
        state="draft",
        kind="invoice",
        number=None,
        period=invoice.period,
        distributor_id=invoice.distributor_id,
        currency=invoice.currency,
        cutoff_on=invoice.cutoff_on.isoformat(),
        window_starts_on=invoice.window_starts_on.isoformat(),
        total_amount=price_text(invoice.total_amount, invoice.minor_units),
        line=line,
        dispute=None,
        **_units(rows, line),
    )


def _line(lines: list[JsonObject], line_number: int, name: str) -> JsonObject:
    for line in lines:
        if line["line_number"] == line_number:
            return line
    numbers = [line["line_number"] for line in lines]
    give = f"Give one of {numbers[0]} to {numbers[-1]}" if numbers else "It has none"
    raise UnknownLineError(f"{name} has no line {line_number}. {give}.")


def _units(rows: list[Row], line: JsonObject) -> dict[str, Any]:
    names = {c["customer_id"]: c["customer_name"] for c in line["customers"]}
    units = [(row["is_counted"], _unit(row, names.get(row["customer_id"]))) for row in rows]
    return {
        "counted": tuple(unit for is_counted, unit in units if is_counted),
        "not_counted": tuple(unit for is_counted, unit in units if not is_counted),
    }


def _unit(row: Row, customer_name: str | None) -> Unit:
    last = row["last_active_on"]
    return Unit(
        unit_kind=row["unit_kind"],
        unit_id=row["unit_id"],
        customer_id=row["customer_id"],
        customer_name=customer_name,
        last_device_id=row["last_device_id"],
        device_count=row["device_count"],
        last_active_on=last.isoformat() if last else None,
        active_on=tuple(day.isoformat() for day in row["active_on"] or ()),
        source=(
            f"{row['source_feed']}/{row['source_snapshot_date']}/{row['source_name']}"
            f" data row {row['source_row']}"
            if row["source_feed"]
            else None
        ),
        reason=row["reason"],
    )
