"""Reads the billing marts of one draft as rows of plain values.

Every query of the package on schema `billing` that more than one module needs is here; no rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from invoicing.canonical import JsonObject, parse_object

Row = dict[str, Any]


@dataclass(frozen=True)
class Tax:
    """What is charged on a net total: UNCL 5305 category, rate in per cent, why none is charged."""

    category: str
    rate: Decimal
    reason: str | None
    tax_amount: Decimal
    payable_amount: Decimal


@dataclass(frozen=True)
class DraftInvoice:
    """One row of billing.draft_invoices: a distributor's invoice as it would be issued now.

    `tax` is None unless exactly one rate is in effect; `tax_rate_count` says how many are.
    """

    period: str
    distributor_id: str
    currency: str
    cutoff_on: date
    period_starts_on: date
    window_starts_on: date
    minor_units: int
    issue_on: date
    due_on: date
    line_count: int
    total_amount: Decimal
    tax_rate_count: int
    tax: Tax | None
    is_complete: bool
    is_passed_over: bool
    version_set_sha256: str
    policies: JsonObject
    purchase_order: str | None
    seller: JsonObject
    distributor: JsonObject


@dataclass(frozen=True)
class DraftNote:
    """One row of billing.draft_notes: what a run would correct of one period and currency (R25).

    `period` is the corrected one, `run_period` the run's. `corrects_number` is None where the
    period was billed with nothing. `tax_rate_count` is None, and `tax` too, where the corrected
    invoice carries no tax.
    """

    period: str
    distributor_id: str
    currency: str
    kind: str
    run_period: str
    corrects_number: str | None
    corrects_sequence: int | None
    minor_units: int
    period_starts_on: date
    cutoff_on: date
    window_starts_on: date
    total_amount: Decimal
    tax_rate_count: int | None
    tax: Tax | None
    policies: JsonObject


def rows(conn: duckdb.DuckDBPyConnection, query: str, parameters: list[Any]) -> list[Row]:
    """All rows of a query, each a dict in column order."""
    cursor = conn.execute(query, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def invoices(conn: duckdb.DuckDBPyConnection, period: str | None = None) -> list[DraftInvoice]:
    """The drafts of one period, or of all, ordered by period, distributor and currency."""
    found = rows(
        conn,
        """
        select
            period, distributor_id, currency, cutoff_on, period_starts_on, window_starts_on,
            minor_units, issue_on, due_on, line_count, total_amount, tax_rate_count, tax_category,
            tax_rate, tax_reason, tax_amount, payable_amount, is_complete, is_passed_over,
            version_set_sha256, policies, purchase_order, seller, distributor
        from billing.draft_invoices
        where period = coalesce(?, period)
        order by period, distributor_id, currency
        """,
        [period],
    )
    for row in found:
        for column in ("policies", "seller", "distributor"):
            row[column] = parse_object(row[column])
    return [DraftInvoice(**_with_tax(row)) for row in found]


def notes(
    conn: duckdb.DuckDBPyConnection, period: str, distributor_id: str, currency: str
) -> list[DraftNote]:
    """The notes that go out with this invoice of a run, by corrected period and currency."""
    found = rows(
        conn,
        """
        select
            period, distributor_id, currency, kind, run_period, corrects_number, corrects_sequence,
            minor_units, period_starts_on, cutoff_on, window_starts_on, total_amount,
            tax_rate_count, tax_category, tax_rate, tax_reason, tax_amount, payable_amount, policies
        from billing.draft_notes
        where run_period = ? and distributor_id = ? and invoice_currency = ?
        order by period, currency
        """,
        [period, distributor_id, currency],
    )
    return [
        DraftNote(**_with_tax({**row, "policies": parse_object(row["policies"])})) for row in found
    ]


def _with_tax(row: Row) -> Row:
    """The tax columns of a draft as one value."""
    columns = ("tax_category", "tax_rate", "tax_reason", "tax_amount", "payable_amount")
    values = [row[column] for column in columns]
    rest = {name: value for name, value in row.items() if name not in columns}
    return {**rest, "tax": None if values[0] is None else Tax(*values)}


def current_version_set(conn: duckdb.DuckDBPyConnection) -> str:
    """The version set now in force in the warehouse."""
    found = conn.execute("select sha256 from raw.version_set").fetchall()
    if len(found) != 1:
        raise RuntimeError(
            f"raw.version_set has {len(found)} rows instead of one. "
            "Run `muster load`, or `muster rebuild` if that does not help."
        )
    return str(found[0][0])


def ledger_state(conn: duckdb.DuckDBPyConnection, invoice: DraftInvoice) -> dict[str, int]:
    """The last document of each distributor that this draft was computed with, by distributor.

    Documents of the same run from the same versions are left out: they were computed together,
    and a run that was killed and made again must not say otherwise than one that was not. What
    was cancelled since, and its cancellation, is of an earlier run whatever its versions (R24).
    """
    found = conn.execute(
        """
        with
            cancellations as (
                select distributor_id, max(sequence) as sequence
                from billing.issued_invoices
                where cancels is not null
                group by distributor_id
            )

        select issued.distributor_id, max(issued.sequence)
        from billing.issued_invoices as issued
        left join cancellations on issued.distributor_id = cancellations.distributor_id
        where
            not (issued.period = ? and issued.version_set_sha256 = ?)
            or issued.sequence <= cancellations.sequence
        group by issued.distributor_id
        order by issued.distributor_id
        """,
        [invoice.period, invoice.version_set_sha256],
    ).fetchall()
    return dict(found)
