"""A second person's release of a draft (R22): what it was given for, and why it does not count.

Judging one approval only. Which drafts wait for one, and the record of it, are `gate`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import duckdb

from invoicing.canonical import price_text
from invoicing.draft import DraftInvoice, rows

# What a release record says under policy `automatic`, so nobody can sign with it.
AUTOMATIC = "automatic"


class ApprovalError(RuntimeError):
    """An approval is refused, with the reasons; nothing was released and nothing recorded."""


@dataclass(frozen=True)
class Approval:
    """The person `by` releases what was seen: this total, as decimal text, of this version set."""

    period: str
    distributor_id: str
    currency: str
    by: str
    total_amount: str
    version_set_sha256: str

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.period, self.distributor_id, self.currency)


def objections(
    conn: duckdb.DuckDBPyConnection, invoice: DraftInvoice, approval: Approval
) -> list[str]:
    """Why the approval does not release the draft as it is now; empty when it does."""
    fault = name_fault(approval.by)
    return [
        *([fault] if fault else []),
        *_changed(invoice, approval),
        *_own_waivers(conn, invoice, approval),
    ]


def name_fault(by: str) -> str | None:
    """Why this cannot be the name of a person who approves, or None."""
    if not by.strip() or not by.isprintable():
        return "An approval needs the name of the person who gives it, in one line: --by NAME."
    if same_person(by, AUTOMATIC):
        return f"`{by}` is not the name of a person: give yours."
    return None


def check_drafted(
    period: str, approvals: Sequence[Approval], drafts: Sequence[DraftInvoice]
) -> None:
    """Raise ApprovalError when one names no draft of the period, or two name the same."""
    keys = [approval.key for approval in approvals]
    drafted = [(period, invoice.distributor_id, invoice.currency) for invoice in drafts]
    for key in keys:
        if key not in drafted:
            there = ", ".join(f"{one[1]} {one[2]}" for one in drafted) or "nobody"
            raise ApprovalError(
                f"An approval names {' '.join(key)}, which has no draft here. Drafts of {period} "
                f"are there for {there}: approve one of these."
            )
        if keys.count(key) > 1:
            raise ApprovalError(f"Two approvals name {' '.join(key)}: leave one.")


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's: capitals, outer and repeated spaces do not matter."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _changed(invoice: DraftInvoice, approval: Approval) -> list[str]:
    now = f"{price_text(invoice.total_amount, invoice.minor_units)} {invoice.currency}"
    given = f"{approval.by}'s approval is void: it was given for {approval.total_amount}"
    if approval.version_set_sha256 != invoice.version_set_sha256:
        return [
            f"{given} {approval.currency} of version set {approval.version_set_sha256[:12]}. Files "
            f"or reference data changed since: the draft is now {now} of version set "
            f"{invoice.version_set_sha256[:12]}."
        ]
    if not _is(approval.total_amount, invoice.total_amount):
        return [f"{given} {approval.currency}, but the draft is {now}."]
    return []


def _is(text: str, amount: Decimal) -> bool:
    try:
        return Decimal(text) == amount
    except InvalidOperation:
        return False


def _own_waivers(
    conn: duckdb.DuckDBPyConnection, invoice: DraftInvoice, approval: Approval
) -> list[str]:
    """Four eyes: who decided a waiver this draft rests on has seen it with the first two."""
    decided = rows(
        conn,
        """
        select discrepancy_id, decided_by
        from billing.draft_discrepancies
        where period = ? and state = 'waived'
            and coalesce(distributor_id, ?) = ? and coalesce(currency, ?) = ?
        order by discrepancy_id
        """,
        [invoice.period, *[invoice.distributor_id] * 2, *[invoice.currency] * 2],
    )
    own = [
        row["discrepancy_id"]
        for row in decided
        if same_person(row["decided_by"] or "", approval.by)
    ]
    if not own:
        return []
    return [
        f"{approval.by} decided on {', '.join(own)} in seeds/waivers.csv, which this draft rests "
        "on. Four eyes: somebody else has to release it."
    ]
