"""published/index.html: the state of the house on one page, for the vendor's own team.

What is shown and in which order; each figure is the ledger's, the gate's or a mart's.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.lib import checked, periods
from dagster_project.lib.settings import Settings
from invoicing import durable
from invoicing.canonical import price_text

if TYPE_CHECKING:
    import duckdb
    from jinja2 import Template

    from dagster_project.lib.status import PeriodStatus

PAGE = "index.html"

_PAGES = Path(__file__).parents[1] / "pages"
# Two windows and what led up to them: more would not be read.
_CALENDAR_DAYS = 62
_PERIODS_SHOWN = 6
_LISTED = 20


@dataclass(frozen=True)
class Day:
    """One source's file of one day: `received`, `healed`, `missing` or `rejected`, in words.

    `holds` is the period that a hole holds.
    """

    on: date
    state: str
    told: str
    holds: str | None = None


@dataclass(frozen=True)
class Feed:
    """A source's calendar; `line` is an SVG path of its rows a day, 100 by 20."""

    feed: str
    source: str
    days: list[Day]
    holes: list[str]
    rows: int
    line: str
    quarantined: int
    unverified: int


@dataclass(frozen=True)
class Product:
    """Units and amount of a product and currency in the periods shown; None where there is none."""

    name: str
    currency: str
    units: list[int | None]
    amounts: list[str | None]
    change: int | None


def write(settings: Settings) -> Path:
    """Make the page from what is published, the ledger and the gate's records, in one rename.

    The same whenever it is made of the same: no clock. Raises OSError, PublicationError.
    """
    path = settings.published / PAGE
    body = page(settings)
    if not path.is_file() or path.read_bytes() != body:
        durable.write_file(path, body)
    return path


def page(settings: Settings) -> bytes:
    """The page's bytes: one file that asks for nothing outside it."""
    from dagster_project.lib.status import corrections, in_words, published
    from dagster_project.lib.status import periods as periods_of
    from invoicing import disputes
    from invoicing.exports import unfinished
    from invoicing.ledger import Ledger

    ledger = Ledger(settings.ledger)
    every = periods_of(settings)
    conn = published(settings)
    assert conn is not None, "the page is made after a publication"
    with conn:
        as_of, window = _as_of(conn)
        feeds = _feeds(conn)
        shown, products = _products(conn)
        flagged = _flagged(conn)
        quarantined = _quarantined(conn)
        nexts = _next_cutoffs(conn)
        due = _due(conn)
    incomplete = {(one.parent.name, one.name) for one in unfinished(ledger, settings.exports)}
    contested: dict[tuple[str, str], int] = defaultdict(int)
    for one in disputes.every(ledger):
        if one.is_open:
            contested[one.number, str(one.line_number)] += 1
    rows = [
        {
            "status": one,
            "reasons": in_words(one.reasons, settings),
            "folder": f"../exports/{one.period}/{one.distributor_id}/",
            "delivery": _delivery(one, incomplete),
            "due_on": due.get(one.number or ""),
            "disputes": sum(
                count for (number, _), count in contested.items() if number == one.number
            ),
        }
        for one in reversed(every)
    ]
    style = (_PAGES / "operations.css").read_text(encoding="utf-8")
    text = _template().render(
        style=style,
        policy=f"default-src 'none'; style-src '{_digest(style)}'",
        as_of=as_of,
        window=window,
        periods=rows,
        counts=_counts(every),
        nexts=nexts,
        feeds=feeds,
        quarantined=quarantined,
        flagged=flagged,
        corrections=corrections(settings),
        shown=shown,
        products=products,
        checks=checked.read(settings),
        files=_files(settings, every),
    )
    return text.encode("utf-8")


def _as_of(conn: duckdb.DuckDBPyConnection) -> tuple[date | None, str]:
    row = conn.execute(
        "select max(snapshot_date) filter (feed in ('usage', 'heartbeat')), min(snapshot_date), "
        "max(snapshot_date) from quality.feed_calendar where is_received"
    ).fetchall()[0]
    return row[0], f"{row[1]} to {row[2]}" if row[1] else "nothing yet"


def _feeds(conn: duckdb.DuckDBPyConnection) -> list[Feed]:
    rows = conn.execute(
        """
        select
            feed, source, snapshot_date, state, is_verified, rejected_because, rows_accepted,
            rows_quarantined, next_received_on, hole_in_period
        from quality.feed_calendar
        where snapshot_date > (select max(snapshot_date) from quality.feed_calendar) - ?::integer
        order by feed, source, snapshot_date
        """,
        [_CALENDAR_DAYS],
    ).fetchall()
    by_source: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for feed, source, *rest in rows:
        by_source[feed, source].append(tuple(rest))
    found = []
    for (feed, source), days in by_source.items():
        told = [_day(*day) for day in days]
        counts = [int(day[4] or 0) for day in days]
        found.append(
            Feed(
                feed=feed,
                source=source,
                days=told,
                # What holds an invoice comes first: not all are shown.
                holes=[
                    f"{one.on} {one.state}" + (f", holds {one.holds}" if one.holds else "")
                    for one in sorted(told, key=lambda one: one.holds is None)
                    if one.state != "received"
                ],
                rows=counts[-1],
                line=_line(counts),
                quarantined=sum(int(day[5] or 0) for day in days),
                unverified=sum(day[1] == "received" and not day[2] for day in days),
            )
        )
    return found


def _day(
    on: date,
    state: str,
    is_verified: bool,
    rejected: str | None,
    rows: int | None,
    quarantined: int | None,
    next_on: date | None,
    holds: str | None,
) -> Day:
    if state == "received":
        bad = f", {quarantined} quarantined" if quarantined else ""
        return Day(on, "received", f"{on}: {rows or 0:,} rows{bad}")
    told = f"{on}: refused, {rejected}" if rejected else f"{on}: missing"
    if state == "hole":
        told += f"; nothing came in time for the cut-off of {holds}"
    if state == "healed":
        told += f"; the file of {next_on} shows the same"
    if rejected:
        return Day(on, "rejected", told, holds)
    return Day(on, "missing" if state == "hole" else state, told, holds)


def _line(counts: Sequence[int]) -> str:
    """An SVG path through the counts, the largest at the top."""
    top, last = max([*counts, 1]), max(len(counts) - 1, 1)
    points = (
        f"{100 * place / last:.1f} {20 - 18 * count / top:.1f}"
        for place, count in enumerate(counts)
    )
    return "M" + "L".join(points)


def _quarantined(conn: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return conn.execute(
        """
        select feed, source, reason, count(*), min(snapshot_date), max(snapshot_date)
        from quality.quarantined_rows
        group by feed, source, reason
        order by count(*) desc, feed, source, reason
        limit ?
        """,
        [_LISTED],
    ).fetchall()


def _products(conn: duckdb.DuckDBPyConnection) -> tuple[list[str], list[Product]]:
    """What was billed for each period, corrections included, or would be as things are."""
    rows = conn.execute(
        """
        with
            issued as (
                select lines.billed_period as period, lines.currency, lines.product_code,
                    sum(lines.quantity) as units, sum(lines.amount) as amount
                from billing.issued_invoice_lines as lines
                group by all
            ),

            drafted as (
                select drafts.period, drafts.currency, lines.product_code,
                    sum(lines.quantity) as units, sum(lines.amount) as amount
                from billing.draft_invoices as drafts
                inner join billing.draft_invoice_lines as lines
                    using (period, distributor_id, currency)
                where not drafts.is_issued and drafts.is_complete and not drafts.is_passed_over
                group by all
            ),

            combined as (select * from issued union all by name select * from drafted)

        select
            combined.period, combined.currency, combined.product_code,
            any_value(coalesce(products.product_name, combined.product_code)),
            any_value(coalesce(products.listing_order, 9999)),
            sum(combined.units)::bigint, sum(combined.amount), any_value(currencies.minor_units)
        from combined
        left join activity.products as products
            on combined.product_code = products.product_code and products.valid_to is null
        left join reference.currencies as currencies using (currency)
        group by combined.period, combined.currency, combined.product_code
        order by combined.currency, 5, combined.product_code, combined.period
        """
    ).fetchall()
    shown = sorted({row[0] for row in rows})[-_PERIODS_SHOWN:]
    by_product: dict[tuple[str, str], dict[str, tuple[int, str]]] = defaultdict(dict)
    names: dict[tuple[str, str], str] = {}
    for period, currency, code, name, _, units, amount, minor_units in rows:
        by_product[currency, code][period] = (units, price_text(Decimal(amount), minor_units or 0))
        names[currency, code] = name
    return shown, [
        _product(names[key], key[0], [found.get(period) for period in shown])
        for key, found in by_product.items()
        if any(period in found for period in shown)
    ]


def _product(name: str, currency: str, figures: Sequence[tuple[int, str] | None]) -> Product:
    units = [one[0] if one else None for one in figures]
    before, now = (units[-2] if len(units) > 1 else None), units[-1]
    change = round(100 * (now - before) / before) if before and now is not None else None
    return Product(name, currency, units, [one[1] if one else None for one in figures], change)


def _flagged(conn: duckdb.DuckDBPyConnection) -> list[Any]:
    from dagster_project.lib.flagged import flagged

    return flagged(conn)


def _next_cutoffs(conn: duckdb.DuckDBPyConnection) -> list[tuple[str, str, date, bool]]:
    """Distributor, period, cut-off and whether data reach it: the first one that is not issued."""
    drafted: list[tuple[str, str, date, bool]] = conn.execute(
        """
        select distributor_id, min(period), min_by(cutoff_on, period), min_by(is_complete, period)
        from billing.draft_invoices
        where not is_issued and not is_passed_over
        group by distributor_id
        """
    ).fetchall()
    issued: list[tuple[str, str, int]] = conn.execute(
        """
        select distributor_id, max(issued.billed_period), any_value(coalesce(cutoff_day, 31))
        from billing.issued_invoices as issued
        inner join reference.distributors using (distributor_id)
        where issued.kind in ('invoice', 'nil') and valid_to is null
        group by distributor_id
        """
    ).fetchall()
    waiting = {one[0] for one in drafted}
    for distributor_id, period, cutoff_day in issued:
        if distributor_id not in waiting:
            after = date.fromisoformat(f"{period}-28") + timedelta(days=7)
            on = periods.cutoff(after.year, after.month, cutoff_day)
            drafted.append((distributor_id, f"{after:%Y-%m}", on, False))
    return sorted(drafted)


def _due(conn: duckdb.DuckDBPyConnection) -> dict[str, date]:
    rows: list[tuple[str, date]] = conn.execute(
        "select number, due_on from billing.issued_invoices where number is not null"
    ).fetchall()
    return dict(rows)


def _delivery(one: PeriodStatus, incomplete: set[tuple[str, str]]) -> str:
    if one.state != "issued":
        return ""
    unfinished = (one.period, one.distributor_id) in incomplete
    return "being made: do not send" if unfinished else "ready to send"


def _counts(every: Sequence[PeriodStatus]) -> Mapping[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for one in every:
        counts[one.state] += 1
    return counts


def _files(settings: Settings, every: Sequence[PeriodStatus]) -> list[tuple[str, str]]:
    """What lies where, as links from the page."""
    closed = sorted({one.period for one in every if one.state == "issued"}, reverse=True)
    return [
        ("current.duckdb", "the marts, for SQL"),
        ("marts/", "the same as Parquet, with a manifest"),
        ("docs.html", "every table and column: what it means, its tests, where it comes from"),
        *(
            (f"../exports/{period}/_vendor/ledger_journal.csv", f"postings of {period}")
            for period in closed[:_PERIODS_SHOWN]
        ),
    ]


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((_PAGES / "operations.html").read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
