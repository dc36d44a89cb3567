"""The command with which a second person releases a draft: release (R22).

Whether an approval counts is decided by the gate, in the same run as any month-end.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from dagster_project.cli.group import main
from dagster_project.cli.months import ALL_ISSUED, HELD, tell_periods
from dagster_project.cli.working import check_period, working
from dagster_project.lib import lock
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.gate import Release
    from invoicing.ledger import Document, Ledger


@main.command()
@click.argument("period")
@click.argument("distributor")
@click.option("--by", "name", metavar="NAME", required=True, help="Who releases it.")
@click.option("--currency", help="Which, when the distributor has drafts in several.")
@click.option("--total", help="The total you looked at; refused when it is another one by now.")
@click.option(
    "--on",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The date of what is issued [the one it was closed with].",
)
@click.pass_obj
def release(
    settings: Settings,
    period: str,
    distributor: str,
    name: str,
    currency: str | None,
    total: str | None,
    on: datetime | None,
) -> None:
    """Release and issue a draft that waits for a second person (policy release = approved).

    It releases what `muster close` showed last, to the cent, and takes in nothing new. It is
    refused when data changed since, when something else holds the draft, and to whoever decided
    one of its waivers.
    """
    from invoicing.approval import Approval, ApprovalError, name_fault
    from invoicing.ledger import Ledger

    check_period(settings, period)
    ledger = Ledger(settings.ledger)
    seen = _seen(ledger, period, distributor, currency)
    document = ledger.issued(period, distributor, seen.currency)
    if document:
        _finish(settings, ledger, document)
        return
    _check_waits(seen)
    fault = name_fault(name)
    if fault:
        raise ApprovalError(fault)
    approval = Approval(
        period=period,
        distributor_id=distributor,
        currency=seen.currency,
        by=name,
        total_amount=total or seen.total_amount,
        version_set_sha256=seen.version_set_sha256,
    )
    with working(settings, f"release {period} {distributor}") as open_runner:
        open_runner().month_end(period, [approval], on.date() if on else None)
    tell_periods(settings, [period])
    is_issued = ledger.issued(period, distributor, seen.currency) is not None
    click.get_current_context().exit(ALL_ISSUED if is_issued else HELD)


def _finish(settings: Settings, ledger: Ledger, document: Document) -> None:
    """Make the files and the publication of what is issued, if a run ended before it made them."""
    from dagster_project.lib import publish
    from invoicing.exports.standing import unfinished

    said = (
        f"{document.period} {document.distributor_id} is issued already: {document.name}, "
        f"released by {document.provenance['released_by']}."
    )
    with lock.writer(settings.lock, "muster release"):
        is_whole = not unfinished(ledger, settings.exports) and publish.is_current(settings)
    if is_whole:
        click.echo(f"{said} Nothing was changed.")
        return
    click.echo(f"{said} Its files and the publication are made again.")
    with working(settings, f"release {document.period} {document.distributor_id}") as open_runner:
        open_runner().rebuild([document.period])
    tell_periods(settings, [document.period])


def _seen(ledger: Ledger, period: str, distributor: str, currency: str | None) -> Release:
    """The record the last close wrote: what it showed is what can be approved."""
    from invoicing.gate import records

    decided = records(ledger, period)
    found = [one for one in decided if one.distributor_id == distributor]
    if not found:
        there = ", ".join(sorted({one.distributor_id for one in decided}))
        closed = f"it was closed for {there}" if there else "it was not closed yet"
        raise click.ClickException(
            f"There is nothing to release in {period} for {distributor!r}: {closed}. "
            f"`muster close {period}` shows what waits for approval."
        )
    currencies = [one.currency for one in found]
    if currency is None and len(found) > 1:
        raise click.ClickException(
            f"{period} {distributor} has drafts in {' and '.join(currencies)}: add --currency."
        )
    of_currency = [one for one in found if currency in (None, one.currency)]
    if not of_currency:
        raise click.ClickException(
            f"{period} {distributor} has no draft in {currency}: "
            f"give --currency {' or '.join(currencies)}."
        )
    return of_currency[0]


def _check_waits(seen: Release) -> None:
    """Raise ClickException unless only an approval is missing, or a run ended after it."""
    close = f"`muster close {seen.period}`"
    if seen.policies.get("release") != "approved":
        raise click.ClickException(
            f"Nothing was released: {seen.period} was closed under policy release = automatic, so "
            f"{close} issues whatever is good, and no approval is needed."
        )
    if seen.state == "held":
        reasons = "".join(f"\n  - {reason}" for reason in seen.reasons)
        raise click.ClickException(
            f"{seen.period} {seen.distributor_id} {seen.currency} is held for other reasons, which "
            f"an approval does not settle. Nothing was released:{reasons}\n"
            f"Once they are settled, {close} shows what can be approved."
        )
