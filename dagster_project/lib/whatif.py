"""What a draft would be under another policy or cut-off, computed in a scratch home (R2, R6, R1).

Trying only: nothing is decided or kept, and an issued period keeps its recorded policies (R22).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from dagster_project.lib import scratch, warehouse
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from invoicing.draft import Row


class WhatIfError(ValueError):
    """This cannot be tried; the message says why."""


@dataclass(frozen=True)
class Trial:
    """What to try: policies by name, and a cut-off day of one distributor or of all; as text."""

    period: str
    policies: Mapping[str, str] = field(default_factory=dict)
    cutoff_day: str | None = None
    distributor_id: str | None = None


@dataclass(frozen=True)
class Figures:
    """A draft's figures; without a draft no dates, no units and no money.

    blocking  open blocking discrepancies by kind
    """

    cutoff_on: date | None
    window_starts_on: date | None
    units: int
    amount: Decimal
    blocking: Mapping[str, int]


@dataclass(frozen=True)
class ChangedLine:
    """A line of a partner and product that would not be as it is now."""

    partner_id: str
    partner_name: str
    product_code: str
    product_name: str
    units_now: int
    units_then: int
    amount_now: Decimal
    amount_then: Decimal


@dataclass(frozen=True)
class Outcome:
    """One distributor's draft now and as it would be, and the lines that differ."""

    distributor_id: str
    currency: str
    minor_units: int
    now: Figures
    then: Figures
    lines: tuple[ChangedLine, ...]


@dataclass(frozen=True)
class WhatIf:
    """What would be.

    issued        the distributors whose period is issued and so stays
    failed_tests  in words, the tests of the models that would stop any run under these settings
    """

    outcomes: tuple[Outcome, ...]
    issued: tuple[str, ...]
    failed_tests: tuple[str, ...]


def what_if(settings: Settings, trial: Trial, tell: scratch.Tell) -> WhatIf:
    """Both drafts of the period, of every distributor it is not issued for.

    Nothing is written to the home. Raises WhatIfError or ReferenceDataError when it cannot be
    tried, and as `scratch.take_present`.
    """
    from ingest.reference import load_reference

    if settings.reference.exists():  # a slip of the pen need not wait for the copy
        tried_seeds(_seeds(settings), trial)
    with scratch.home(settings) as own:
        scratch.take_present(settings, own, tell)
        changed = tried_seeds(_seeds(own), trial)
        with warehouse.connect(own) as conn:
            issued = _issued(conn, trial)
            now, lines_now = _drafts(conn, trial)
            if not now:
                raise WhatIfError(_nothing_to_try(trial, issued))
            for seed, content in changed.items():
                (own.reference / f"{seed}.csv").write_bytes(content)
            load_reference(conn, own.home)
        select = [f"source:reference.{seed}+" for seed in changed]
        scratch.build(own, select, tell)
        failed_tests = scratch.failed_tests(own, select, tell)
        with warehouse.connect(own) as conn:
            then, lines_then = _drafts(conn, trial)
    outcomes = [
        Outcome(
            *key,
            now=now.get(key, _NO_DRAFT),
            then=then.get(key, _NO_DRAFT),
            lines=_changed(lines_now.get(key, {}), lines_then.get(key, {})),
        )
        for key in sorted(now.keys() | then.keys())
    ]
    return WhatIf(tuple(outcomes), issued, tuple(failed_tests))


def tried_seeds(seeds: Mapping[str, bytes], trial: Trial) -> dict[str, bytes]:
    """The seeds that a trial changes, checked as any reviewed seed is.

    The cut-off day holds for the trial's month only: a row valid on its first day (R1) is split.
    Raises ReferenceDataError in the words of a refused seed, WhatIfError for what no draft shows.
    """
    from ingest.reference_checks import ReferenceDataError, problems_of_folder

    if "clock_skew_minutes" in trial.policies:
        raise WhatIfError(
            "clock_skew_minutes decides which rows are taken in when a file is loaded, so it "
            "cannot be tried on what is loaded already. Changed in seeds/policies.csv, it holds "
            "for files that arrive from then on."
        )
    changed = {}
    if trial.policies:
        rows = _rows(seeds["policies"])
        known = {row["policy"] for row in rows}
        rows = [{**row, "value": trial.policies.get(row["policy"], row["value"])} for row in rows]
        # A policy nobody knows becomes a row too, for the contract to refuse.
        rows += [
            {"policy": name, "value": value, "meaning": "tried"}
            for name, value in trial.policies.items()
            if name not in known
        ]
        changed["policies"] = _csv(rows)
    if trial.cutoff_day is not None:
        changed["distributors"] = _csv(
            [part for row in _rows(seeds["distributors"]) for part in _split(row, trial)]
        )
    problems = problems_of_folder({**seeds, **changed})
    if problems:
        # The lines are those of a file nobody sees.
        raise ReferenceDataError(dict.fromkeys(replace(one, line=None) for one in problems))
    return changed


def _split(row: dict[str, str], trial: Trial) -> list[dict[str, str]]:
    """A distributor's row as it is before and after the trial's month, and as tried within it."""
    first = date.fromisoformat(f"{trial.period}-01")
    next_month = (first + timedelta(days=31)).replace(day=1)
    # ISO dates compare as text; a blank valid_to never ends.
    is_valid = row["valid_from"] <= str(first) and not "" < row["valid_to"] < str(first)
    if not is_valid or trial.distributor_id not in (None, row["distributor_id"]):
        return [row]
    eve, last = str(first - timedelta(days=1)), str(next_month - timedelta(days=1))
    parts = []
    if row["valid_from"] <= eve:
        parts.append({**row, "valid_to": eve})
    until = min(row["valid_to"] or last, last)
    parts.append(
        {**row, "cutoff_day": trial.cutoff_day or "", "valid_from": str(first), "valid_to": until}
    )
    if not row["valid_to"] or row["valid_to"] > last:
        parts.append({**row, "valid_from": str(next_month)})
    return parts


def _seeds(settings: Settings) -> dict[str, bytes]:
    from ingest.reference_contracts import SEEDS

    return {seed: (settings.reference / f"{seed}.csv").read_bytes() for seed in SEEDS}


def _rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def _csv(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


_NO_DRAFT = Figures(None, None, 0, Decimal(0), {})
_Key = tuple[str, str, int]  # distributor, currency, its minor units
_Lines: TypeAlias = "dict[tuple[str, str], Row]"  # by partner and product


def _issued(conn: duckdb.DuckDBPyConnection, trial: Trial) -> tuple[str, ...]:
    found = conn.execute(
        """
        select distinct distributor_id from ledger.documents
        where period = ? and distributor_id = coalesce(?, distributor_id)
            and kind in ('invoice', 'nil')
        order by distributor_id
        """,
        [trial.period, trial.distributor_id],
    ).fetchall()
    return tuple(row[0] for row in found)


def _nothing_to_try(trial: Trial, issued: tuple[str, ...]) -> str:
    what = f"{trial.period} {trial.distributor_id or ''}".strip()
    if issued:
        return (
            f"{what} is issued, and an issued period keeps the policies and the cut-off recorded "
            "in its document (R22): nothing can be tried on it."
        )
    return f"Nothing is drafted for {what}. `muster status` lists periods and distributors."


def _drafts(
    conn: duckdb.DuckDBPyConnection, trial: Trial
) -> tuple[dict[_Key, Figures], dict[_Key, _Lines]]:
    """The unissued drafts of the trial's period, and their lines."""
    from invoicing.draft import rows

    meant = [trial.period, trial.distributor_id]
    figures: dict[_Key, Figures] = {}
    lines: dict[_Key, _Lines] = {}
    for row in rows(conn, _DRAFTS, meant):
        key = (row["distributor_id"], row["currency"], row["minor_units"])
        blocking = rows(conn, _BLOCKING, [trial.period, row["distributor_id"]])
        found = rows(conn, _LINES, [trial.period, row["distributor_id"], row["currency"]])
        figures[key] = Figures(
            row["cutoff_on"],
            row["window_starts_on"],
            sum(line["quantity"] for line in found),
            row["total_amount"],
            {one["kind"]: one["found"] for one in blocking},
        )
        lines[key] = {(line["partner_id"], line["product_code"]): line for line in found}
    return figures, lines


_DRAFTS = """
    select distributor_id, currency, minor_units, cutoff_on, window_starts_on, total_amount
    from billing.draft_invoices
    where period = ? and distributor_id = coalesce(?, distributor_id) and not is_issued
    order by distributor_id, currency
"""
_LINES = """
    select partner_id, partner_name, product_code, product_name, quantity, amount
    from billing.draft_invoice_lines
    where period = ? and distributor_id = ? and currency = ?
    order by line_number
"""
_BLOCKING = """
    select kind, count(*) as found
    from billing.draft_discrepancies
    where period = ? and distributor_id = ? and severity = 'blocking' and state = 'open'
    group by kind
    order by kind
"""


def _changed(now: _Lines, then: _Lines) -> tuple[ChangedLine, ...]:
    """By partner and product; a line that is on one side only has 0 units on the other."""
    none: Row = {"quantity": 0, "amount": Decimal(0)}
    changed = []
    for key in sorted(now.keys() | then.keys()):
        one, other = now.get(key, none), then.get(key, none)
        if (one["quantity"], one["amount"]) != (other["quantity"], other["amount"]):
            named = now.get(key) or then[key]
            changed.append(
                ChangedLine(
                    partner_id=named["partner_id"],
                    partner_name=named["partner_name"],
                    product_code=named["product_code"],
                    product_name=named["product_name"],
                    units_now=one["quantity"],
                    units_then=other["quantity"],
                    amount_now=one["amount"],
                    amount_then=other["amount"],
                )
            )
    return tuple(changed)
