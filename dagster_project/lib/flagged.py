"""What is open and flagged, by period, distributor and kind, in the words of the warehouse.

Every word stands in `quality.discrepancies` and `quality.discrepancy_kinds`; here they are put
together. What holds an invoice is the gate's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

    from dagster_project.lib.status import PeriodStatus

_NAMED = 2

_OPEN = """
    select
        found.period, found.distributor_id, found.severity, found.kind,
        count(*) as discrepancies,
        sum(found.units)::bigint as units,
        any_value(case when kinds.kind is null then found.kind end) as unworded,
        any_value(kinds.one) as one, any_value(kinds.many) as many,
        any_value(kinds.consequence) as consequence,
        list(distinct found.customer_id order by found.customer_id)
            filter (where found.customer_id is not null) as customers,
        list(distinct found.partner_id order by found.partner_id)
            filter (where found.partner_id is not null) as partners,
        list(distinct found.subject order by found.subject)
            filter (where found.subject <> '') as subjects,
        sum(found.amount_at_stake) as amount,
        any_value(found.currency) as currency,
        any_value(currencies.minor_units) as minor_units,
        list(distinct found.action order by found.action) as actions
    from quality.discrepancies as found
    left join quality.discrepancy_kinds as kinds using (kind, severity)
    left join reference.currencies as currencies using (currency)
    where found.state = 'open'
    group by found.period, found.distributor_id, found.severity, found.kind
    order by
        found.period, found.distributor_id nulls last,
        case found.severity when 'blocking' then 1 when 'warning' then 2 else 3 end,
        sum(found.amount_at_stake) desc nulls last, found.kind
"""


@dataclass(frozen=True)
class Flagged:
    """The open discrepancies of one kind and severity, of one period and distributor.

    distributor_id None when they could be anybody's
    what           how many of what, as a person says it
    whom           the customers, or else partners, or else files or serials they are about
    amount         decimal text in the distributor's currency, None when there is nothing at stake
    consequence    what the amount is: not billed, perhaps billed twice …
    """

    period: str
    distributor_id: str | None
    severity: str
    kind: str
    discrepancies: int
    what: str
    whom: list[str]
    amount: str | None
    currency: str | None
    consequence: str
    actions: list[str]

    @property
    def sentence(self) -> str:
        named = " and ".join(self.whom[:_NAMED])
        if len(self.whom) > _NAMED:
            named = f"{', '.join(self.whom[:_NAMED])} and {len(self.whom) - _NAMED} more"
        whom = f" ({named})" if named else ""
        stake = f", {self.amount} {self.currency} {self.consequence}" if self.amount else ""
        return f"{self.what}{whom}{stake.rstrip()}. {' '.join(self.actions)}"


@dataclass(frozen=True)
class Section:
    """What a person is told of one period and distributor.

    again    kinds that an earlier period of this distributor told already
    left_out kinds that no longer fit
    """

    period: str
    distributor_id: str | None
    shown: list[Flagged]
    again: int = 0
    left_out: int = 0


def in_full(found: Sequence[Flagged]) -> list[Section]:
    """Everything, period by period."""
    return [Section(*key, group) for key, group in _by_period(found).items()]


def sections(
    found: Sequence[Flagged], periods: Sequence[PeriodStatus], limit: int
) -> list[Section]:
    """What is flagged in periods that are not issued, at most `limit` kinds.

    Periods are worked on in order, so a kind is told in the first one and counted in the next. What
    blocks a held period counts as told: the gate's reasons say it.
    """
    unissued = {(one.period, one.distributor_id) for one in periods if one.state != "issued"}
    held = {(one.period, one.distributor_id) for one in periods if one.state == "held"}
    current: set[tuple[str, str | None]] = {*unissued, *((period, None) for period, _ in unissued)}
    told: dict[str | None, set[tuple[str, str]]] = {}
    shown: list[Section] = []
    for key, group in _by_period(found).items():
        if key not in current:
            continue
        before = told.setdefault(key[1], set())
        if key in held:
            before |= {(one.kind, one.severity) for one in group if one.severity == "blocking"}
            group = [one for one in group if one.severity != "blocking"]
        fresh = [one for one in group if (one.kind, one.severity) not in before]
        before |= {(one.kind, one.severity) for one in fresh}
        fitting = fresh[:limit]
        limit -= len(fitting)
        again, left_out = len(group) - len(fresh), len(fresh) - len(fitting)
        if group:
            shown.append(Section(*key, fitting, again, left_out))
    return shown


def kinds_in_words(conn: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What one discrepancy of each blocking kind is."""
    import duckdb

    query = "select kind, one from quality.discrepancy_kinds where severity = 'blocking'"
    try:
        return dict(conn.execute(query).fetchall())
    except (duckdb.CatalogException, duckdb.BinderException):
        return {}  # as below


def flagged(conn: duckdb.DuckDBPyConnection) -> list[Flagged]:
    """By period and distributor, the most serious and dearest first."""
    import duckdb

    try:
        cursor = conn.execute(_OPEN)
    except (duckdb.CatalogException, duckdb.BinderException):
        # A publication of a version that had no words for kinds: the next load makes a new one.
        return []
    names = [column[0] for column in cursor.description or []]
    return [_group(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _group(row: dict[str, Any]) -> Flagged:
    amount = row["amount"]
    words = row["unworded"] or (row["one"] if row["units"] == 1 else row["many"])
    return Flagged(
        period=row["period"],
        distributor_id=row["distributor_id"],
        severity=row["severity"],
        kind=row["kind"],
        discrepancies=row["discrepancies"],
        what=f"{row['units']:,} {words}",
        whom=row["customers"] or row["partners"] or row["subjects"] or [],
        amount=f"{amount:,.{row['minor_units'] or 0}f}" if amount else None,
        currency=row["currency"],
        consequence=row["consequence"] or "at stake",
        actions=row["actions"],
    )


def _by_period(
    found: Sequence[Flagged],
) -> dict[tuple[str, str | None], list[Flagged]]:
    groups: dict[tuple[str, str | None], list[Flagged]] = {}
    for one in found:
        groups.setdefault((one.period, one.distributor_id), []).append(one)
    return groups
