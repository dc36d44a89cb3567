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
class DraftInvoice:
    """One row of billing.draft_invoices: a distributor's invoice as it would be issued now."""

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
    is_complete: bool
    version_set_sha256: str
    policies: JsonObject
    purchase_order: str | None
    seller: JsonObject
    distributor: JsonObject


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
            minor_units, issue_on, due_on, line_count, total_amount, is_complete,
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
    return [DraftInvoice(**row) for row in found]


def current_version_set(conn: duckdb.DuckDBPyConnection) -> str:
    """The version set now in force in the warehouse."""
    found = conn.execute("select sha256 from raw.version_set").fetchall()
    if len(found) != 1:
        raise RuntimeError(
            f"raw.version_set has {len(found)} rows instead of one. "
            "Run `muster load`, or `muster rebuild` if that does not help."
        )
    return str(found[0][0])


def ledger_state(conn: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """The last document of each distributor that the drafts were computed with, by distributor."""
    found = conn.execute(
        """
        select distributor_id, max(sequence) from ledger.documents
        group by distributor_id
        order by distributor_id
        """
    ).fetchall()
    return dict(found)
