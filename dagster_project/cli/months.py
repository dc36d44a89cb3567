"""Commands about months: load, draft, close, status.

One line of an invoice and free questions are `lines`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from dagster_project.cli.dispute import tell_disputes
from dagster_project.cli.group import main
from dagster_project.cli.preview import tell_preview
from dagster_project.cli.telling import (
    LINE_HEADERS,
    LISTED,
    money,
    price,
    print_json,
    print_table,
    shortened,
)
from dagster_project.cli.whatif import tell_what_if
from dagster_project.cli.working import check_period, feeds, load_new, working
from dagster_project.lib import receiving
from dagster_project.lib.settings import ENGINES, Settings

if TYPE_CHECKING:
    from dagster_project.lib.flagged import Flagged
    from dagster_project.lib.space import Space
    from dagster_project.lib.status import CorrectionStatus, PeriodStatus, Status

# A screenful, with what stands above it: room for every kind. A house in order has a handful.
FLAGS_SHOWN = 40
ALL_ISSUED, HELD = 0, 3
_PERIOD_HEADERS = ("period", "distributor", "state", "number", "amount", "currency")


@main.command()
@click.pass_obj
def load(settings: Settings) -> None:
    """Take in everything new in the landing folder and bring the publication up to date."""
    from dagster_project.lib.status import status as find

    with working(settings, "load") as open_runner:
        is_new = load_new(settings, open_runner)
    if not settings.landing.is_dir():
        raise click.ClickException(
            f"Nothing new can have landed: {settings.landing} does not exist. Mount it, or give "
            "the right folder with --landing or MUSTER_LANDING."
        )
    if is_new:
        tell_feeds(find(settings))
    else:
        click.echo("Nothing new: the publication is up to date.")
    _tell_ignored(len(receiving.without_partition(settings, feeds())), settings)


@main.command()
@click.argument("period")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--distributor", metavar="DISTRIBUTOR", help="Only this distributor's.")
@click.option("--partner", metavar="PARTNER", help="A preview that this partner can be shown.")
@click.option("--set", "policies", metavar="POLICY=VALUE", multiple=True, help="Try a policy.")
@click.option("--cutoff-day", metavar="DAY", help="Try a cut-off day.")
@click.pass_obj
def draft(
    settings: Settings,
    period: str,
    as_json: bool,
    distributor: str | None,
    partner: str | None,
    policies: tuple[str, ...],
    cutoff_day: str | None,
) -> None:
    """Show the period as it would be invoiced now; takes in what landed first, issues nothing.

    An issued period is shown as known today, beside what was issued. With --set or --cutoff-day the
    draft is shown beside what it would be, and nothing is written or taken in.
    """
    check_period(settings, period)
    if policies or cutoff_day is not None:
        if partner:
            raise click.UsageError(
                "--partner previews the draft as it is: leave --set and --cutoff-day away."
            )
        tell_what_if(settings, period, policies, cutoff_day, distributor, as_json=as_json)
        return
    with working(settings, f"draft {period}") as open_runner:
        load_new(settings, open_runner)
    if partner:
        tell_preview(settings, period, partner, distributor, as_json=as_json)
        return
    every = _drafts(settings, period)
    drafts = [one for one in every if distributor in (None, one["distributor"]["distributor_id"])]
    if every and not drafts:
        there = ", ".join(sorted({one["distributor"]["distributor_id"] for one in every}))
        raise click.ClickException(
            f"Distributor {distributor!r} has no draft of {period}. Give one of {there}."
        )
    if as_json:
        print_json([_draft_in_text(one) for one in drafts])
    else:
        _tell_drafts(drafts)


@main.command()
@click.argument("period")
@click.option("--engine", type=click.Choice(ENGINES), help="What builds the models [duckdb].")
@click.pass_obj
def close(settings: Settings, period: str, engine: str | None) -> None:
    """Issue the period's invoices: all that is good, with a reason for what is held.

    Ends with 0 when all are issued, 3 when some are held or wait for approval, 1 when it failed.
    Both engines give the same documents; Spark needs a cluster (`make spark-up`).
    """
    check_period(settings, period)
    settings = dataclasses.replace(settings, engine=engine or settings.engine)
    if settings.engine == "spark":
        from dagster_project.lib import spark

        spark.check_ready()
    with working(settings, f"close {period}") as open_runner:
        load_new(settings, open_runner)
        if not _drafts(settings, period):
            raise click.ClickException(
                f"There is nothing to close in {period}. Give a period of what is loaded, or load "
                f"more. {_loaded_in_words(settings)}"
            )
        open_runner().month_end(period)
    click.get_current_context().exit(tell_periods(settings, [period]))


@main.command()
@click.argument("number")
@click.option("--reason", required=True, help="Why; it stays in the ledger and is printed.")
@click.option("--by", required=True, help="Who decided.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The date to print [today, UTC].")
@click.pass_obj
def cancel(settings: Settings, number: str, reason: str, by: str, on: datetime | None) -> None:
    """Take an invoice back with a full credit note; closing its period then issues it anew.

    For an invoice that is wholly wrong. Late data need no cancelling: they become a note of the
    next run by themselves.
    """
    from invoicing.ledger import Ledger

    # The one date a person decides on; it is recorded once and never read from a clock again.
    printed_on = (on or datetime.now(UTC)).date().isoformat()
    invoice = Ledger(settings.ledger).numbered(number)
    if invoice is None:
        raise click.ClickException(
            f"No document has the number {number}. `muster status` lists them."
        )
    with working(settings, f"cancel {number}") as open_runner:
        # Run again after a run that ended between the note and its files, it makes the files.
        done = next((d for d in Ledger(settings.ledger).documents() if d.cancels == number), None)
        if done is None:
            open_runner().cancel(number, reason=reason, by=by, on=printed_on)
        else:
            click.echo(
                f"{number} was taken back already by {done.number}: {done.content['reason']}"
            )
        open_runner().rebuild([invoice.period])
    tell_periods(settings, [invoice.period])


@main.command()
@click.option("--all", "tell_all", is_flag=True, help="Every flag, of issued periods too.")
@click.option("--json", "as_json", is_flag=True, help="For machines; always all.")
@click.pass_obj
def status(settings: Settings, tell_all: bool, as_json: bool) -> None:
    """What is loaded, which periods are where, what is flagged, and what to do next."""
    from dagster_project.lib.status import status as find

    found = find(settings)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    if any(feed.files for feed in found.feeds):
        tell_feeds(found)
    if found.periods:
        print_table("Periods", _PERIOD_HEADERS, [_period_row(one) for one in found.periods])
        tell_holds(found.periods, settings)
    tell_corrections(found.corrections)
    tell_flagged(found.flagged, found.periods, tell_all)
    tell_disputes(found.disputes, "Open disputes")
    _tell_ignored(found.ignored_folders, settings)
    _tell_space(found.space)
    if found.writing:
        click.echo(f"{found.writing} is writing.")
    if found.next or not found.writing:
        click.echo("\n".join(found.next) or "Nothing to do.")


def _tell_space(space: Space) -> None:
    if space.a_day is None or space.days_left is None:
        return
    years = space.days_left / 365
    lasts = f"{space.days_left:,} days" if years < 2 else f"{years:,.0f} years"
    click.echo(
        f"Disk: {space.home / 1e6:,.0f} MB for {space.days:,} days, {space.a_day / 1e6:,.1f} MB a "
        f"day; {space.free / 1e9:,.1f} GB free, enough for {lasts} like these."
    )


def _drafts(settings: Settings, period: str) -> list[dict[str, Any]]:
    """The period's invoices as they would be now: header, lines, what is open against them."""
    from dagster_project.lib.status import published
    from invoicing import disputes
    from invoicing.canonical import price_text
    from invoicing.draft import invoices, notes, rows
    from invoicing.ledger import Ledger

    conn = published(settings)
    if conn is None:
        return []
    ledger = Ledger(settings.ledger)
    standing = [one for one in disputes.every(ledger) if one.is_open]
    found = []
    with conn:
        for invoice in invoices(conn, period):
            key = [invoice.period, invoice.distributor_id, invoice.currency]
            lines = rows(conn, _DRAFT_LINES, key)
            document = ledger.issued(*key)
            billed = [Decimal(d.content["totals"]["amount"]) for d in ledger.of_period(*key)]
            blocking = rows(conn, _DRAFT_BLOCKING, [invoice.period, invoice.distributor_id])
            issued = document and {
                "number": document.number,
                "total_amount": Decimal(document.content["totals"]["amount"]),
                "billed_amount": sum(billed, Decimal(0)),
            }
            disputed = [
                one for one in standing if [one.period, one.distributor_id, one.currency] == key
            ]
            goes_along = [
                {
                    "kind": note.kind,
                    "corrects_period": note.period,
                    "corrects_number": note.corrects_number,
                    "currency": note.currency,
                    "total_amount": price_text(note.total_amount, note.minor_units),
                }
                for note in notes(conn, *key)
            ]
            header = dataclasses.asdict(invoice)
            found.append(
                {
                    **header,
                    "issued": issued,
                    "notes": goes_along,
                    "lines": lines,
                    "blocking": blocking,
                    "disputes": disputed,
                }
            )
    return found


_DRAFT_LINES = """
    select line_number, partner_id, partner_name, product_code, product_name, quantity,
        pricing_model, unit_price, amount, customer_count
    from billing.draft_invoice_lines
    where period = ? and distributor_id = ? and currency = ?
    order by line_number
"""
_DRAFT_BLOCKING = """
    select discrepancy_id, kind, partner_id, customer_id, product_code, expected, found,
        amount_at_stake, currency, action
    from billing.draft_discrepancies
    where period = ? and severity = 'blocking' and state = 'open'
        and (distributor_id = ? or distributor_id is null)
    order by kind, discrepancy_id
"""


def tell_feeds(found: Status) -> None:
    print_table(
        "Feeds",
        ("feed", "from", "to", "files", "rows", "quarantined", "refused", "missing"),
        [
            (
                feed.feed,
                feed.first_day,
                feed.last_day,
                feed.files,
                feed.rows,
                feed.rows_quarantined or None,
                len(feed.refused) or None,
                shortened(feed.missing),
            )
            for feed in found.feeds
        ],
    )
    for refused in [text for feed in found.feeds for text in feed.refused][:LISTED]:
        click.echo(f"Refused: {refused}")
    for retracted in [text for feed in found.feeds for text in feed.retracted][:LISTED]:
        click.echo(f"Taken back: {retracted}")
    for unrecognised in found.unrecognised[:LISTED]:
        click.echo(f"Not a delivery: {unrecognised}")


def _tell_ignored(folders: int, settings: Settings) -> None:
    if folders:
        click.echo(
            f"{folders} folders are not loaded: they are dated before {settings.first_day} "
            "(MUSTER_FIRST_DAY), after today, or before what the retention policy keeps."
        )


def tell_periods(settings: Settings, wanted: Sequence[str]) -> int:
    """The invoices and holds of some periods, and where the files are; the exit code."""
    from dagster_project.lib.status import corrections, periods

    found = [one for one in periods(settings) if one.period in wanted]
    print_table("Invoices", _PERIOD_HEADERS, [_period_row(one) for one in found])
    tell_holds(found, settings)
    tell_corrections([one for one in corrections(settings) if one.run in wanted])
    for period in sorted({one.period for one in found if one.state == "issued"}):
        click.echo(f"Files of {period}: {settings.exports / period}")
    return ALL_ISSUED if all(one.state == "issued" for one in found) else HELD


def _period_row(one: PeriodStatus) -> tuple[object, ...]:
    number = one.number or ("nil" if one.state == "issued" else None)
    return (one.period, one.distributor_id, one.state, number, one.amount, one.currency)


def tell_corrections(found: Sequence[CorrectionStatus]) -> None:
    """Notes of the run, and differences of issued periods that are still to be settled."""
    if not found:
        return
    words = {
        "issued": "issued with",
        "pending": "goes out with",
        "unbilled": "too old to be billed",
    }
    print_table(
        "Corrections",
        ("corrects", "distributor", "state", "run", "note", "number", "amount", "currency"),
        [
            (
                one.period,
                one.distributor_id,
                words[one.state],
                one.run,
                one.kind.replace("_", " "),
                one.number,
                one.amount,
                one.currency,
            )
            for one in found
        ],
    )


def tell_holds(found: Sequence[PeriodStatus], settings: Settings) -> None:
    from dagster_project.lib.status import in_words

    for one in found:
        if one.state == "held":
            click.echo(f"Held: {one.period} {one.distributor_id}, {one.amount} {one.currency}")
            for reason in in_words(one.reasons, settings):
                click.echo(f"  - {reason}")
    for one in found:
        if one.state == "waiting":
            click.echo(f"Waiting: {one.period} {one.distributor_id}, {one.amount} {one.currency}")
            for reason in one.reasons:
                click.echo(f"  - {reason}")
            if one.command:
                click.echo(f"  {one.command}")


def tell_flagged(found: Sequence[Flagged], periods: Sequence[PeriodStatus], tell_all: bool) -> None:
    """What to look at besides the holds, a line a kind; in periods not issued, unless all."""
    from dagster_project.lib.flagged import in_full, sections

    told = in_full(found) if tell_all else sections(found, periods, FLAGS_SHOWN)
    for section in told:
        whose = section.distributor_id or "nobody in particular"
        again = f"{section.again} kinds as before" if section.again else ""
        besides = f" (and {again})" if section.shown and again else again and f": {again}"
        if section.shown or again:
            click.echo(f"To look at in {section.period} for {whose}{besides}")
        for one in section.shown:
            click.echo(f"  - {one.sentence}")
    left_out = sum(section.left_out for section in told)
    if left_out:
        click.echo(f"{left_out} more kinds: `muster status --all`.")
    if told:
        click.echo(
            'What was expected and found, one by one: `muster sql "from quality.discrepancies '
            f"where period = '{told[0].period}'\"`."
        )


def tell_documents(settings: Settings, period: str) -> None:
    """The invoices issued for a period, line by line, as they stand in the ledger."""
    from invoicing.ledger import Ledger

    for document in Ledger(settings.ledger).documents():
        if document.period != period or document.kind != "invoice":
            continue
        content = document.content
        dates = content["dates"]
        print_table(
            f"Invoice {document.number} to {content['distributor']['distributor_name']}, "
            f"{dates['period_starts_on']} to {dates['cutoff_on']}",
            LINE_HEADERS,
            [
                (
                    line["line_number"],
                    f"{line['partner_id']} {line['partner_name']}",
                    line["product_name"],
                    line["quantity"],
                    line["unit_price"] or "graduated",
                    line["amount"],
                )
                for line in content["lines"]
            ],
        )
        total = content["totals"]["amount"]
        tax = _tax_in_words(content.get("tax"), content)
        click.echo(f"Total {total} {document.currency}{tax}, due on {dates['due_on']}\n")


def _tell_drafts(drafts: Sequence[dict[str, Any]]) -> None:
    for one in drafts:
        state = "" if one["is_complete"] else ", period not over"
        print_table(
            f"{one['period']} {one['distributor']['distributor_name']}{state}",
            LINE_HEADERS,
            [
                (
                    line["line_number"],
                    f"{line['partner_id']} {line['partner_name']}",
                    line["product_name"],
                    line["quantity"],
                    price(line["unit_price"], line["pricing_model"], one["minor_units"]),
                    money(line["amount"], one["minor_units"]),
                )
                for line in one["lines"]
            ],
        )
        total = money(one["total_amount"], one["minor_units"])
        tax = _tax_in_words(one["tax"] if one["lines"] else None, one)
        click.echo(f"Total {total} {one['currency']}{tax}, cut-off {one['cutoff_on']}")
        if one["issued"]:
            was, places = one["issued"]["total_amount"], one["minor_units"]
            billed = one["issued"]["billed_amount"]
            corrected = "" if billed == was else f", corrected to {money(billed, places)}"
            click.echo(
                f"Issued as {one['issued']['number'] or 'nil'} with {money(was, places)}{corrected}"
                f"; as known today, {money(one['total_amount'] - billed, places)} more."
            )
        for note in one["notes"]:
            click.echo(
                f"With it goes a {note['kind'].replace('_', ' ')} of {note['total_amount']} "
                f"{note['currency']} for {note['corrects_period']}."
            )
        tell_disputes(one["disputes"], "Disputed")
        for found in one["blocking"]:
            click.echo(f"  blocking {found['kind']} {found['discrepancy_id']}: {found['action']}")
        click.echo()
    if not drafts:
        click.echo("No distributor has a draft of this period.")


def _draft_in_text(draft: dict[str, Any]) -> dict[str, Any]:
    """The same with money as text to the currency's digits, as in status, explain and exports."""
    from invoicing.canonical import money_text, price_text

    places = draft["minor_units"]
    issued = draft["issued"] and {
        **draft["issued"],
        "total_amount": money_text(draft["issued"]["total_amount"], places),
        "billed_amount": money_text(draft["issued"]["billed_amount"], places),
    }
    lines = [
        {
            **line,
            "unit_price": line["unit_price"] and price_text(line["unit_price"], places),
            "amount": money_text(line["amount"], places),
        }
        for line in draft["lines"]
    ]
    total = money_text(draft["total_amount"], places)
    disputed = [dataclasses.asdict(one) for one in draft["disputes"]]
    return {
        **draft,
        "total_amount": total,
        "tax": _tax_in_text(draft["tax"], places),
        "issued": issued,
        "lines": lines,
        "disputes": disputed,
    }


def _tax_in_text(tax: dict[str, Any] | None, places: int) -> dict[str, Any] | None:
    from invoicing.canonical import money_text, price_text

    return tax and {
        **tax,
        "rate": price_text(tax["rate"], 2),
        "tax_amount": money_text(tax["tax_amount"], places),
        "payable_amount": money_text(tax["payable_amount"], places),
    }


def _tax_in_words(tax: dict[str, Any] | None, of: dict[str, Any]) -> str:
    """`, tax S 21.00% 2.10, payable 12.10 EUR`, and why where none is charged."""
    from invoicing.canonical import price_text

    if not tax:
        return ""
    charged, payable = (
        money(Decimal(tax[name]), of["minor_units"]) for name in ("tax_amount", "payable_amount")
    )
    rate = price_text(Decimal(tax["rate"]), 2)
    reason = f" ({tax['reason']})" if tax["reason"] else ""
    return f", tax {tax['category']} {rate}% {charged}{reason}, payable {payable} {of['currency']}"


def _loaded_in_words(settings: Settings) -> str:
    from dagster_project.lib.status import status as find

    usage = next(feed for feed in find(settings).feeds if feed.feed == "usage")
    if usage.last_day is None:
        return f"No usage is loaded: put landing files into {settings.landing}."
    return f"Usage is loaded from {usage.first_day} to {usage.last_day}."
