"""An issued invoice beside the same period as known today: lines, customers, and the units behind.

Comparing only; nothing is corrected or owed by it, and who counts today is decided by the marts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from invoicing import documents, draft
from invoicing.canonical import JsonObject
from invoicing.draft import rows
from invoicing.ledger import Document


@dataclass(frozen=True)
class Changed:
    """A line, or with `customer_id` one customer under it; units and money as issued and as now.

    Prices and amounts are decimal text; a price is None for a graduated line, for a customer and
    where there is no line.
    """

    partner_id: str
    partner_name: str
    product_code: str
    product_name: str
    customer_id: str | None
    customer_name: str | None
    units_issued: int
    units_now: int
    amount_issued: str
    amount_now: str
    price_issued: str | None = None
    price_now: str | None = None


@dataclass(frozen=True)
class ChangedUnit:
    """A user, device or firewall that is counted now and was not, or the other way round.

    `why` says in words what else is or was known of it; `source` is the row that says so: of now,
    or where no row of now speaks of it, the one it was counted by.
    """

    partner_id: str
    product_code: str
    customer_id: str
    unit_kind: str
    unit_id: str
    is_counted_now: bool
    why: str
    source: str


@dataclass(frozen=True)
class AsKnown:
    """What differs. `total_now` is decimal text in the currency of the document."""

    total_issued: str
    total_now: str
    lines: tuple[Changed, ...]
    customers: tuple[Changed, ...]
    units: tuple[ChangedUnit, ...]

    @property
    def is_same(self) -> bool:
        return not (self.lines or self.customers or self.units)


def is_recomputed(conn: duckdb.DuckDBPyConnection, document: Document) -> bool:
    """Whether the marts hold its period: they leave out what is past correcting (R25)."""
    return any(
        invoice.distributor_id == document.distributor_id
        for invoice in draft.invoices(conn, document.period)
    )


def as_known(conn: duckdb.DuckDBPyConnection, document: Document, roster: Path) -> AsKnown:
    """What differs between an invoice, with its roster file, and the billing marts of `conn`.

    The period must be recomputed there. A product or customer that is only on one side has 0 units
    on the other.
    """
    key = [document.period, document.distributor_id, document.currency]
    issued = [*document.content["lines"], *document.content["unused"]]
    now: list[JsonObject] = []
    total_now = f"{Decimal(0):.{document.content['minor_units']}f}"
    for invoice in draft.invoices(conn, document.period):
        if [invoice.period, invoice.distributor_id, invoice.currency] == key:
            lines, unused = documents.lines_of(conn, invoice)
            now = [*lines, *unused]
            total_now = f"{invoice.total_amount:.{invoice.minor_units}f}"
    return AsKnown(
        total_issued=document.content["totals"]["amount"],
        total_now=total_now,
        lines=_changed(_lines(issued), _lines(now)),
        customers=_changed(_customers(issued), _customers(now)),
        units=_units(conn, key, roster),
    )


_Figures = Mapping[tuple[str, ...], JsonObject]


def _lines(groups: list[JsonObject]) -> _Figures:
    return {(group["partner_id"], group["product_code"]): group for group in groups}


def _customers(groups: list[JsonObject]) -> _Figures:
    """Customers with what names their line; a customer has no price of its own."""
    named = ("partner_id", "partner_name", "product_code", "product_name")
    return {
        (group["partner_id"], group["product_code"], customer["customer_id"]): {
            **{name: group[name] for name in named},
            **customer,
        }
        for group in groups
        for customer in group["customers"]
    }


def _changed(issued: _Figures, now: _Figures) -> tuple[Changed, ...]:
    found = []
    for key in sorted(issued.keys() | now.keys()):
        one, other = issued.get(key, {}), now.get(key, {})
        named = other or one
        change = Changed(
            partner_id=named["partner_id"],
            partner_name=named["partner_name"],
            product_code=named["product_code"],
            product_name=named["product_name"],
            customer_id=named.get("customer_id"),
            customer_name=named.get("customer_name"),
            units_issued=one.get("quantity", 0),
            units_now=other.get("quantity", 0),
            amount_issued=one.get("amount", "0"),
            amount_now=other.get("amount", "0"),
            price_issued=one.get("unit_price"),
            price_now=other.get("unit_price"),
        )
        if change.units_issued != change.units_now or (
            Decimal(change.amount_issued) != Decimal(change.amount_now)
        ):
            found.append(change)
    return tuple(found)


def _units(
    conn: duckdb.DuckDBPyConnection, key: list[str], roster: Path
) -> tuple[ChangedUnit, ...]:
    found = rows(
        conn,
        """
        with
            issued as (select * from read_parquet(?)),

            today as (
                select * from billing.draft_roster
                where period = ? and distributor_id = ? and (currency = ? or currency is null)
            )

        select
            partner_id, product_code, customer_id, unit_kind, unit_id,
            coalesce(issued.is_counted, false) as was_counted,
            issued.reason as reason_issued,
            today.unit_kind is not null as is_known_now,
            today.reason as reason_now,
            coalesce(today.source_feed, issued.source_feed) as source_feed,
            coalesce(today.source_snapshot_date, issued.source_snapshot_date) as source_date,
            coalesce(today.source_name, issued.source_name) as source_name,
            coalesce(today.source_row, issued.source_row) as source_row
        from issued
        full join today using (partner_id, product_code, customer_id, unit_kind, unit_id)
        where coalesce(issued.is_counted, false) <> coalesce(today.is_counted, false)
        order by partner_id, product_code, customer_id, was_counted desc, unit_kind, unit_id
        """,
        [str(roster), *key],
    )
    return tuple(
        ChangedUnit(
            partner_id=row["partner_id"],
            product_code=row["product_code"],
            customer_id=row["customer_id"],
            unit_kind=row["unit_kind"],
            unit_id=row["unit_id"],
            is_counted_now=not row["was_counted"],
            why=_why(row),
            source=(
                f"{row['source_feed']}/{row['source_date']}/{row['source_name']} "
                f"data row {row['source_row']}"
            ),
        )
        for row in found
    )


def _why(row: dict[str, Any]) -> str:
    if not row["was_counted"]:
        return f"then {row['reason_issued']}" if row["reason_issued"] else "then not known"
    if row["reason_now"]:
        return f"now {row['reason_now']}"
    return "now not counted" if row["is_known_now"] else "now in no file of the window"
