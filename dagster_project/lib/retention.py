"""From which date usage and counts are kept: the retention policy, and what periods still need.

Finding the date only; letting go of files is `ingest.retention`.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from ingest.journal import State

# A draft counts in its window, in the one before it (who joined and left) and in its calendar
# month: the window before begins at most so many days earlier (R2: 60, and a month of 31 days).
_WINDOW_BEFORE = timedelta(days=92)


def policy_date(settings: Settings, state: State | None = None) -> date | None:
    """The first date that the policy keeps, by the latest usage; None while it keeps everything.

    `state` is the journal's, for whoever has read it.
    """
    from ingest.journal import Journal
    from ingest.reference import policies

    days = [
        slot.snapshot_date
        for slot in (state or Journal(settings.journal).state()).in_force
        if slot.feed in ("usage", "heartbeat")
    ]
    if not days or not settings.reference.exists():
        return None
    months = policies(settings.home).raw_retention_months
    if not months:
        return None
    return _months_before(max(days), months)


def kept_from(settings: Settings, state: State | None = None) -> date | None:
    """The first date whose files stay: the policy's, or earlier while a period rests on them.

    Always the first of a month. None while everything is kept, and before anything is published.
    Raises PublicationError.
    """
    from dagster_project.lib.status import published

    by_policy = policy_date(settings, state)
    conn = published(settings) if by_policy else None
    if by_policy is None or conn is None:
        return None
    with conn:
        needed: date | None = conn.execute(
            "select min(window_starts_on) from billing.draft_invoices"
        ).fetchall()[0][0]
    if needed is None:
        return by_policy
    return min(by_policy, (needed - _WINDOW_BEFORE).replace(day=1))


def _months_before(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 - months
    return date(max(index // 12, 1), index % 12 + 1, 1)
